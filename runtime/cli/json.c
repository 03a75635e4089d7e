/* SPDX-License-Identifier: MIT */
/* See json.h. */
#include "runtime/cli/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static void put_string(struct json *json, const char *text)
{
	fputc('"', json->out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(json->out, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(json->out, "\\u%04x", c);
		else
			fputc(c, json->out);
	}
	fputc('"', json->out);
}

static void member(struct json *json, const char *key)
{
	fputs(json->filled[json->depth] ? ",\n" : "\n", json->out);
	for (int i = 0; i <= json->depth; i++)
		fputc('\t', json->out);
	json->filled[json->depth] = true;
	if (key) {
		put_string(json, key);
		fputs(": ", json->out);
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
	if (filled) {
		fputc('\n', json->out);
		for (int i = 0; i <= json->depth; i++)
			fputc('\t', json->out);
	}
	fputc(bracket, json->out);
}

int json_end(struct json *json)
{
	fputs("\n}\n", json->out);
	return fflush(json->out) || ferror(json->out) ? -EIO : 0;
}

void json_text(struct json *json, const char *key, const char *value)
{
	member(json, key);
	put_string(json, value);
}

void json_unsigned(struct json *json, const char *key, uint64_t value)
{
	member(json, key);
	fprintf(json->out, "%llu", (unsigned long long)value);
}

void json_number(struct json *json, const char *key, double value)
{
	member(json, key);
	if (isfinite(value))
		fprintf(json->out, "%.9g", value);
	else
		fputs("null", json->out);
}

void json_bool(struct json *json, const char *key, bool value)
{
	member(json, key);
	fputs(value ? "true" : "false", json->out);
}
