// SPDX-License-Identifier: MIT
/*
 * Numbers as text: see cast_string.h.
 */
#include "runtime/cpu/cast_string.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- printing ---- */

/* @text is the same number of @type as @x. */
static bool reads_back(const char *text, double x, enum dtype type)
{
	double value = strtod(text, NULL);
	float near = strtof(text, NULL);

	switch (type) {
	case DTYPE_F64:
		return value == x;
	case DTYPE_F16:
		return f16_to_f32(f32_to_f16(f64_to_f32_odd(value))) == (float)x;
	case DTYPE_BF16:
		return bf16_to_f32(f32_to_bf16(f64_to_f32_odd(value))) == (float)x;
	default:
		return near == (float)x;
	}
}

/* The shortest decimal that reads back, as numpy prints it. */
static void print_float(double x, enum dtype type, char *text, size_t size)
{
	int most = type == DTYPE_F64 ? 17 : 9;

	if (x != x || isinf(x)) {
		snprintf(text, size, "%s", x != x ? "NaN" : x > 0 ? "INF" : "-INF");
		return;
	}
	for (int digits = 1; digits <= most; digits++) {
		snprintf(text, size, "%.*g", digits, x);
		if (reads_back(text, x, type))
			break;
	}
	/* 1e+06 is 1000000.0 to numpy; only very large and very small numbers keep the exponent. */
	if (fabs(x) < 1e16 && fabs(x) >= 1e-4 && strchr(text, 'e')) {
		for (int decimals = 0; decimals <= 20; decimals++) {
			snprintf(text, size, "%.*f", decimals, x);
			if (reads_back(text, x, type))
				break;
		}
	}
	if (!strpbrk(text, ".e") && strlen(text) + 3 <= size)
		strcat(text, ".0");
}

size_t print_number(const struct tensor *t, int64_t i, char *text, size_t size)
{
	if (dtype_is_float(t->dtype) || dtype_is_narrow_float(t->dtype))
		print_float(tensor_get_f64(t, i), t->dtype, text, size);
	else if (t->dtype == DTYPE_U64)
		snprintf(text, size, "%" PRIu64, ((const uint64_t *)t->data)[i]);
	else if (t->dtype == DTYPE_BOOL)
		snprintf(text, size, "%s", ((const uint8_t *)t->data)[i] ? "True" : "False");
	else
		snprintf(text, size, "%" PRId64, tensor_get_s64(t, i));
	return strlen(text);
}

static int make_string(struct tensor_string *s, const char *bytes, size_t size)
{
	s->data = malloc(size + 1);
	if (!s->data)
		return -ENOMEM;
	if (size)
		memcpy(s->data, bytes, size);
	s->data[size] = '\0';
	s->size = size;
	return 0;
}

int cast_to_strings(struct op_call *call, const struct tensor *in, struct tensor *out)
{
	const struct tensor_string *from = in->dtype == DTYPE_STRING ? in->data : NULL;
	struct tensor_string *to = out->data;
	char text[64];

	for (int64_t i = 0; i < tensor_count(in); i++) {
		int err = from ? make_string(&to[i], from[i].data, from[i].size)
			       : make_string(&to[i], text, print_number(in, i, text, sizeof(text)));

		if (err)
			return op_fail(call, err, "%s: no memory for strings", call->node->op_type);
	}
	return 0;
}

/* ---- reading ---- */

/* One element from @text. "NaN", "INF", "-inf", … are what strtod() takes. */
static int parse_element(const char *text, enum dtype type, const struct cast_rule *rule, void *dst)
{
	char *end;

	if (type == DTYPE_U64 && !strpbrk(text, ".eE")) {
		uint64_t value = strtoull(text, &end, 10);

		cast_elements(DTYPE_U64, type, rule, 1, &value, dst);
	} else if ((dtype_is_integer(type) || dtype_is_narrow_integer(type)) && !strpbrk(text, ".eE")) {
		int64_t value = strtoll(text, &end, 10);

		cast_elements(DTYPE_S64, type, rule, 1, &value, dst);
	} else {
		double value = strtod(text, &end);

		cast_elements(DTYPE_F64, type, rule, 1, &value, dst);
	}
	return end == text || *end ? -EINVAL : 0;
}

int cast_from_strings(struct op_call *call, const struct tensor *in, const struct cast_rule *rule, struct tensor *out)
{
	const struct tensor_string *strings = in->data;
	size_t step = dtype_size(out->dtype);

	for (int64_t i = 0; i < tensor_count(in); i++) {
		struct tensor_string text;
		int err = make_string(&text, strings[i].data, strings[i].size);

		if (err)
			return op_fail(call, err, "%s: no memory for strings", call->node->op_type);
		/* A NUL inside is no part of a number. */
		err = strlen(text.data) == text.size
			      ? parse_element(text.data, out->dtype, rule, (char *)out->data + (size_t)i * step)
			      : -EINVAL;
		free(text.data);
		if (err)
			return op_fail(call, -EINVAL, "%s: \"%.*s\" (element %" PRId64 ") is not a %s",
				       call->node->op_type, (int)(strings[i].size < 40 ? strings[i].size : 40),
				       strings[i].data, i, dtype_name(out->dtype));
	}
	return 0;
}
