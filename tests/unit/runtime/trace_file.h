/* SPDX-License-Identifier: MIT */
/* A trace as it was written (runtime/trace_write.c), read back. */
#ifndef TESTS_UNIT_RUNTIME_TRACE_FILE_H
#define TESTS_UNIT_RUNTIME_TRACE_FILE_H

#include <stdint.h>

#include <json-c/json.h>

/* The caller's: json_object_put(). Removes the file. */
struct json_object *trace_file_read(const char *path);

/* NULL: @object has none of that name. */
struct json_object *trace_file_member(struct json_object *object, const char *key);
/* "" when there is none. */
const char *trace_file_text(struct json_object *object, const char *key);
/* Nanoseconds; 0 when there is none. */
int64_t trace_file_time(struct json_object *object, const char *key);

/* Event number @index of phase @phase with name @name; NULL: there are not so many. */
struct json_object *trace_file_event(struct json_object *root, const char *phase, const char *name, int index);

#endif
