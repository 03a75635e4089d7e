/* SPDX-License-Identifier: MIT */
/* See trace_file.h. */
#include "tests/unit/runtime/trace_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct json_object *trace_file_read(const char *path)
{
	struct json_object *root = json_object_from_file(path);

	unlink(path);
	assert_non_null(root);
	return root;
}

struct json_object *trace_file_member(struct json_object *object, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) ? value : NULL;
}

const char *trace_file_text(struct json_object *object, const char *key)
{
	struct json_object *value = trace_file_member(object, key);

	return value ? json_object_get_string(value) : "";
}

int64_t trace_file_time(struct json_object *object, const char *key)
{
	return (int64_t)(json_object_get_double(trace_file_member(object, key)) * 1000 + 0.5);
}

struct json_object *trace_file_event(struct json_object *root, const char *phase, const char *name, int index)
{
	struct json_object *events = trace_file_member(root, "traceEvents");

	for (size_t i = 0; i < json_object_array_length(events); i++) {
		struct json_object *event = json_object_array_get_idx(events, i);

		if (!strcmp(trace_file_text(event, "ph"), phase) && !strcmp(trace_file_text(event, "name"), name) &&
		    !index--)
			return event;
	}
	return NULL;
}
