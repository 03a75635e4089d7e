/* SPDX-License-Identifier: MIT */
/* --json FILE: a JSON object into a file, or to the standard output ("-"). */
#ifndef RUNTIME_CLI_JSON_FILE_H
#define RUNTIME_CLI_JSON_FILE_H

#include "runtime/cli/json.h"

/* Open @path and begin the outermost object. 0, or a negative errno after a complaint. */
int json_open(struct json *json, const char *path);

/* End the object and close the file. 0, or a negative errno after a complaint: not everything was written. */
int json_finish(struct json *json, const char *path);

#endif
