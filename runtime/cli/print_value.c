/* SPDX-License-Identifier: MIT */
/* See print_value.h. */
#include "runtime/cli/print_value.h"

#define MOST_VALUES 8
#define MOST_ELEMENTS 16

/* Text with what a terminal may take for a command made visible. */
static void print_text(FILE *out, const struct tensor_string *text)
{
	fputc('"', out);
	for (size_t i = 0; i < text->size && i < 60; i++) {
		unsigned char c = (unsigned char)text->data[i];

		if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\x%02x", c);
		else
			fputc(c, out);
	}
	fputs(text->size > 60 ? "…\"" : "\"", out);
}

static void print_number(FILE *out, const struct tensor *t, int64_t i)
{
	if (t->dtype == DTYPE_STRING)
		print_text(out, (const struct tensor_string *)t->data + i);
	else if (t->dtype == DTYPE_C64)
		fprintf(out, "%.6g%+.6gi", (double)((const float *)t->data)[2 * i],
			(double)((const float *)t->data)[2 * i + 1]);
	else if (t->dtype == DTYPE_C128)
		fprintf(out, "%.6g%+.6gi", ((const double *)t->data)[2 * i], ((const double *)t->data)[2 * i + 1]);
	else
		fprintf(out, "%.6g", tensor_get_f64(t, i));
}

static void print_tensor(FILE *out, const struct tensor *t)
{
	int64_t count = tensor_count(t);

	fprintf(out, "%s[", dtype_name(t->dtype));
	for (int d = 0; d < t->rank; d++)
		fprintf(out, "%s%lld", d ? "," : "", (long long)t->dims[d]);
	fputs("] =", out);
	for (int64_t i = 0; i < count && i < MOST_VALUES; i++) {
		fputc(' ', out);
		print_number(out, t, i);
	}
	fputs(count > MOST_VALUES ? " …\n" : "\n", out);
}

/* {"key": value, …}; values that are no tensor are printed one by one below. */
static void print_map(FILE *out, const char *name, const struct tensor *map)
{
	const struct tensor *keys = tensor_elements(map), *values = keys + 1;

	if (dtype_is_nested(values->dtype)) {
		print_value(out, name, keys);
		print_value(out, name, values);
		return;
	}
	fputc('{', out);
	for (int64_t i = 0; i < tensor_count(keys) && i < tensor_count(values) && i < MOST_ELEMENTS; i++) {
		fputs(i ? ", " : "", out);
		print_number(out, keys, i);
		fputs(": ", out);
		print_number(out, values, i);
	}
	fputs(tensor_count(keys) > MOST_ELEMENTS ? ", …}\n" : "}\n", out);
}

void print_value(FILE *out, const char *name, const struct tensor *value)
{
	int64_t count = tensor_count(value);

	fprintf(out, "%s: ", name);
	if (!dtype_is_nested(value->dtype)) {
		print_tensor(out, value);
		return;
	}
	if (value->dtype == DTYPE_MAP) {
		print_map(out, name, value);
		return;
	}
	fprintf(out, "%s of %lld\n", dtype_name(value->dtype), (long long)count);
	for (int64_t i = 0; i < count && i < MOST_ELEMENTS; i++) {
		char element[300];

		snprintf(element, sizeof(element), "%.280s[%lld]", name, (long long)i);
		print_value(out, element, &tensor_elements(value)[i]);
	}
	if (count > MOST_ELEMENTS)
		fprintf(out, "%s[…]\n", name);
}
