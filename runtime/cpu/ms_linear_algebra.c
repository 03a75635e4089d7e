// SPDX-License-Identifier: MIT
/*
 * com.microsoft CDist (distances between all pairs of rows) and Inverse (of square matrices).
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/nested.h"

/* Inputs and outputs as doubles, whatever float type they have. */
static int widen(struct op_call *call, size_t index, struct tensor *out)
{
	const struct tensor *t = call->inputs[index];

	if (!dtype_is_float(t->dtype))
		return op_fail(call, -EINVAL, "%s: input %zu is %s", call->node->op_type, index, dtype_name(t->dtype));
	return tensor_cast(t, DTYPE_F64, out);
}

static int narrow(struct op_call *call, int rank, const int64_t *dims, const double *values)
{
	enum dtype type = call->inputs[0]->dtype;
	int err = op_output(call, 0, type, rank, dims);

	if (!err && op_wanted(call, 0))
		cast_row(DTYPE_F64, type)((size_t)tensor_count(call->outputs[0]), values, call->outputs[0]->data);
	return err;
}

/* A [m, d], B [n, d] to [m, n] */
static int run_cdist(struct op_call *call)
{
	bool root = op_attr_is(call->node, "metric", "sqeuclidean", "euclidean");
	struct tensor a = {0}, b = {0};
	int64_t dims[2];
	double *y = NULL;
	int err;

	if (!root && !op_attr_is(call->node, "metric", "sqeuclidean", "sqeuclidean"))
		return op_fail(call, -ENOTSUP, "CDist: attribute metric is neither euclidean nor sqeuclidean");
	err = widen(call, 0, &a);
	if (!err)
		err = widen(call, 1, &b);
	if (!err && (a.rank != 2 || b.rank != 2 || a.dims[1] != b.dims[1]))
		err = op_fail(call, -EINVAL, "CDist: the inputs are not [m, d] and [n, d]");
	if (!err) {
		dims[0] = a.dims[0];
		dims[1] = b.dims[0];
		y = calloc((size_t)(dims[0] * dims[1]) + 1, sizeof(*y));
		err = y ? 0 : -ENOMEM;
	}
	for (int64_t i = 0; !err && i < dims[0] * dims[1]; i++) {
		const double *p = (const double *)a.data + i / dims[1] * a.dims[1];
		const double *q = (const double *)b.data + i % dims[1] * a.dims[1];

		for (int64_t k = 0; k < a.dims[1]; k++)
			y[i] += (p[k] - q[k]) * (p[k] - q[k]);
		y[i] = root ? sqrt(y[i]) : y[i];
	}
	if (!err)
		err = narrow(call, 2, dims, y);
	free(y);
	tensor_finish(&a);
	tensor_finish(&b);
	return err;
}

/* Gauss and Jordan with partial pivoting: @a becomes the unit matrix, @inverse, a unit matrix before, its inverse. */
static bool invert(int64_t n, double *a, double *inverse)
{
	for (int64_t c = 0; c < n; c++) {
		int64_t pivot = c;
		double scale;

		for (int64_t r = c + 1; r < n; r++)
			if (fabs(a[r * n + c]) > fabs(a[pivot * n + c]))
				pivot = r;
		if (!(fabs(a[pivot * n + c]) > 0))
			return false;
		for (int64_t k = 0; k < n && pivot != c; k++) {
			double x = a[c * n + k], y = inverse[c * n + k];

			a[c * n + k] = a[pivot * n + k];
			a[pivot * n + k] = x;
			inverse[c * n + k] = inverse[pivot * n + k];
			inverse[pivot * n + k] = y;
		}
		scale = 1 / a[c * n + c];
		for (int64_t k = 0; k < n; k++) {
			a[c * n + k] *= scale;
			inverse[c * n + k] *= scale;
		}
		for (int64_t r = 0; r < n; r++) {
			double factor = a[r * n + c];

			for (int64_t k = 0; k < n && r != c; k++) {
				a[r * n + k] -= factor * a[c * n + k];
				inverse[r * n + k] -= factor * inverse[c * n + k];
			}
		}
	}
	return true;
}

/* [..., n, n]. A singular matrix gives NaN: ONNX Runtime gives what its library leaves. */
static int run_inverse(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	struct tensor wide = {0};
	double *a = NULL, *inverse = NULL;
	int64_t n, count;
	int err;

	if (x->rank < 2 || x->dims[x->rank - 1] != x->dims[x->rank - 2])
		return op_fail(call, -EINVAL, "Inverse: input 0 is not [..., n, n]");
	n = x->dims[x->rank - 1];
	count = tensor_count(x);
	err = widen(call, 0, &wide);
	if (!err) {
		a = malloc((size_t)count * sizeof(*a) + 1);
		inverse = calloc((size_t)count + 1, sizeof(*inverse));
		err = a && inverse ? 0 : -ENOMEM;
	}
	if (!err)
		memcpy(a, wide.data, (size_t)count * sizeof(*a));
	for (int64_t m = 0; !err && m < count; m += n * n) {
		for (int64_t i = 0; i < n; i++)
			inverse[m + i * n + i] = 1;
		if (!invert(n, a + m, inverse + m))
			for (int64_t i = 0; i < n * n; i++)
				inverse[m + i] = NAN;
	}
	if (!err)
		err = narrow(call, x->rank, x->dims, inverse);
	free(a);
	free(inverse);
	tensor_finish(&wide);
	return err;
}

const struct op_kernel ops_ms_linear_algebra[] = {
	{MICROSOFT, "CDist", 1, 0, 2, 2, 1, 1, run_cdist, NULL, NULL, NULL},
	{MICROSOFT, "Inverse", 1, 0, 1, 1, 1, 1, run_inverse, NULL, NULL, NULL},
};
const size_t ops_ms_linear_algebra_count = sizeof(ops_ms_linear_algebra) / sizeof(ops_ms_linear_algebra[0]);
