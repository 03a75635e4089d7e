/* SPDX-License-Identifier: MIT */
/* See json_file.h. */
#include "runtime/cli/json_file.h"

#include <errno.h>
#include <string.h>

#include "runtime/cli/command.h"

int json_open(struct json *json, const char *path)
{
	FILE *out = strcmp(path, "-") ? fopen(path, "w") : stdout;

	if (!out)
		return complain(-errno, "%s: %s", path, strerror(errno));
	json_begin(json, out);
	return 0;
}

int json_finish(struct json *json, const char *path)
{
	int err = json_end(json);

	if (json->out != stdout && fclose(json->out))
		err = -EIO;
	return err ? complain(err, "%s: can not be written", path) : 0;
}
