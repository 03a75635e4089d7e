/* SPDX-License-Identifier: MIT */
/*
 * A JSON writer (RFC 8259): calls in the order of the text; commas, indentation and escapes are its business. Text that
 * is not valid UTF-8 is written byte by byte as U+00XX. Numbers that JSON has not (NaN, infinities) become null.
 */
#ifndef RUNTIME_CLI_JSON_H
#define RUNTIME_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_MAX_DEPTH 16

struct json {
	FILE *out;
	int depth;
	bool filled[JSON_MAX_DEPTH]; /* something was written at this depth */
	char closing[JSON_MAX_DEPTH];
	bool compact; /* no space; to be set after json_begin() */
};

void json_begin(struct json *json, FILE *out); /* the outermost object */
/* Ends the outermost object. 0, or -EIO when the stream has an error. */
int json_end(struct json *json);

/* In objects @key is the member's name; in arrays it is NULL. */
void json_object(struct json *json, const char *key);
void json_array(struct json *json, const char *key);
void json_close(struct json *json); /* the innermost object or array */
void json_text(struct json *json, const char *key, const char *value);
void json_bytes(struct json *json, const char *key, const char *value, size_t size); /* may hold NUL */
void json_unsigned(struct json *json, const char *key, uint64_t value);
void json_signed(struct json *json, const char *key, int64_t value);
void json_number(struct json *json, const char *key, double value); /* nine digits: a float comes back the same */
void json_double(struct json *json, const char *key, double value); /* all of a double's digits */
void json_bool(struct json *json, const char *key, bool value);

#endif
