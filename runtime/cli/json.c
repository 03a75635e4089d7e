/* SPDX-License-Identifier: MIT */
/* See json.h. */
#include "runtime/cli/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "runtime/json_text.h"

static void put_string(struct json *json, const char *text, size_t size)
{
	fputc('"', json->out);
	json_put_text(json->out, text, size);
	fputc('"', json->out);
}

/* A new line, up to the innermost member. */
static void new_line(struct json *json)
{
	if (json->compact)
		return;
	fputc('\n', json->out);
	for (int i = 0; i <= json->depth; i++)
		fputc('\t', json->out);
}

static void member(struct json *json, const char *key)
{
	if (json->filled[json->depth])
		fputc(',', json->out);
	new_line(json);
	json->filled[json->depth] = true;
	if (key) {
		put_string(json, key, strlen(key));
		fputs(json->compact ? ":" : ": ", json->out);
	}
}

static void deeper(struct json *json, char bracket)
{
	fputc(bracket, json->out);
	if (json->depth + 1 < JSON_MAX_DEPTH)
		json->depth++;
	json->filled[json->depth] = false;
	json->closing[json->depth] = bracket == '{' ? '}' : ']';
}

void json_begin(struct json *json, FILE *out)
{
	memset(json, 0, sizeof(*json));
	json->out = out;
	json->closing[0] = '}';
	fputc('{', out);
}

void json_object(struct json *json, const char *key)
{
	member(json, key);
	deeper(json, '{');
}

void json_array(struct json *json, const char *key)
{
	member(json, key);
	deeper(json, '[');
}

void json_close(struct json *json)
{
	bool filled = json->filled[json->depth];
	char bracket = json->closing[json->depth];

	if (json->depth > 0)
		json->depth--;
	if (filled)
		new_line(json);
	fputc(bracket, json->out);
}

int json_end(struct json *json)
{
	fputs(json->compact ? "}" : "\n}\n", json->out);
	return fflush(json->out) || ferror(json->out) ? -EIO : 0;
}

void json_text(struct json *json, const char *key, const char *value)
{
	json_bytes(json, key, value, strlen(value));
}

void json_bytes(struct json *json, const char *key, const char *value, size_t size)
{
	member(json, key);
	put_string(json, value, size);
}

void json_unsigned(struct json *json, const char *key, uint64_t value)
{
	member(json, key);
	fprintf(json->out, "%llu", (unsigned long long)value);
}

void json_signed(struct json *json, const char *key, int64_t value)
{
	member(json, key);
	fprintf(json->out, "%lld", (long long)value);
}

static void put_number(struct json *json, const char *key, double value, int digits)
{
	member(json, key);
	if (isfinite(value))
		fprintf(json->out, "%.*g", digits, value);
	else
		fputs("null", json->out);
}

void json_number(struct json *json, const char *key, double value)
{
	put_number(json, key, value, 9);
}

void json_double(struct json *json, const char *key, double value)
{
	put_number(json, key, value, 17);
}

void json_bool(struct json *json, const char *key, bool value)
{
	member(json, key);
	fputs(value ? "true" : "false", json->out);
}
