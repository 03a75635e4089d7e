/* SPDX-License-Identifier: MIT */
/* See compare.h. */
#include "tests/conformance/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/conformance/runner.h"

bool compare_near(double got, double want)
{
	if (isnan(want) || isnan(got))
		return isnan(want) && isnan(got);
	if (isinf(want) || isinf(got))
		return want == got;
	return fabs(got - want) <= ATOL + RTOL * fabs(want);
}

void compare_describe(const struct tensor *t, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "%s[", dtype_name(t->dtype));

	for (int i = 0; i < t->rank && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? "," : "", (long long)t->dims[i]);
	if (used < size)
		snprintf(text + used, size - used, "]");
}

static bool same_element(const struct tensor *got, const struct tensor *want, int64_t i)
{
	size_t size = dtype_size(want->dtype);

	if (want->dtype == DTYPE_STRING) {
		const struct tensor_string *a = (const struct tensor_string *)got->data + i;
		const struct tensor_string *b = (const struct tensor_string *)want->data + i;

		return a->size == b->size && (a->size == 0 || !memcmp(a->data, b->data, a->size));
	}
	if (want->dtype == DTYPE_C64 || want->dtype == DTYPE_C128) {
		for (int part = 0; part < 2; part++) {
			double a = want->dtype == DTYPE_C64 ? ((const float *)got->data)[2 * i + part]
							    : ((const double *)got->data)[2 * i + part];
			double b = want->dtype == DTYPE_C64 ? ((const float *)want->data)[2 * i + part]
							    : ((const double *)want->data)[2 * i + part];

			if (!compare_near(a, b))
				return false;
		}
		return true;
	}
	/* By value: a type may have several codes for NaN. */
	if (dtype_is_narrow_float(want->dtype)) {
		double a = tensor_get_f64(got, i), b = tensor_get_f64(want, i);

		return a == b || (isnan(a) && isnan(b));
	}
	if (dtype_is_float(want->dtype))
		return compare_near(tensor_get_f64(got, i), tensor_get_f64(want, i));
	/* Everything else to the bit. */
	return !memcmp((const char *)got->data + (size_t)i * size, (const char *)want->data + (size_t)i * size, size);
}

static void describe_difference(const struct tensor *got, const struct tensor *want, const char *name, int64_t i,
				char *why)
{
	if (want->dtype == DTYPE_STRING) {
		const struct tensor_string *a = (const struct tensor_string *)got->data + i;
		const struct tensor_string *b = (const struct tensor_string *)want->data + i;

		snprintf(why, TEXT_SIZE, "%.200s[%lld] is \"%.*s\", expected \"%.*s\"", name, (long long)i,
			 a->size < 60 ? (int)a->size : 60, a->data ? a->data : "", b->size < 60 ? (int)b->size : 60,
			 b->data ? b->data : "");
		return;
	}
	snprintf(why, TEXT_SIZE, "%.200s[%lld] is %.9g, expected %.9g", name, (long long)i, tensor_get_f64(got, i),
		 tensor_get_f64(want, i));
}

bool compare_values(const struct tensor *got, const struct tensor *want, const char *name, char *why)
{
	char a[128], b[128];

	if (got->dtype != want->dtype || !tensor_same_shape(got, want)) {
		compare_describe(got, a, sizeof(a));
		compare_describe(want, b, sizeof(b));
		snprintf(why, TEXT_SIZE, "%.200s is %s, expected %s", name, a, b);
		return false;
	}
	for (int64_t i = 0; i < tensor_count(want); i++) {
		if (dtype_is_nested(want->dtype)) {
			char element[256];

			snprintf(element, sizeof(element), "%.200s[%lld]", name, (long long)i);
			if (!compare_values(&tensor_elements(got)[i], &tensor_elements(want)[i], element, why))
				return false;
		} else if (!same_element(got, want, i)) {
			describe_difference(got, want, name, i, why);
			return false;
		}
	}
	return true;
}
