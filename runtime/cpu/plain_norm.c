// SPDX-License-Identifier: MIT
/*
 * Normalizations without parameters: LRN over neighbouring channels, LpNormalization along one axis,
 * MeanVarianceNormalization over any axes.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/normalize.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/shape_rules.h"

static int check_type(struct op_call *call)
{
	enum dtype type = call->inputs[0]->dtype;

	return type == DTYPE_F32 || type == DTYPE_F64
		       ? 0
		       : op_fail(call, -EINVAL, "%s: input 0 is %s, expected a float type", call->node->op_type,
				 dtype_name(type));
}

/* ---- MeanVarianceNormalization ---- */

/* (x - mean) / (deviation + 1e-9) over the attribute's axes, default [0, 2, 3]: the specification's function body. */
static int run_mean_variance_normalization(struct op_call *call)
{
	static const int64_t default_axes[] = {0, 2, 3};
	const struct tensor *x = call->inputs[0];
	struct normalize n = {.rank = x->rank, .form = NORMALIZE_DEVIATION, .epsilon = 1e-9};
	const int64_t *axes;
	size_t num_axes = op_attr_ints(call->node, "axes", &axes);
	struct tensor wide = {0}, y = {0};
	int err = check_type(call);

	if (!num_axes) {
		axes = default_axes;
		num_axes = 3;
	}
	if (!err && normalize_axes(axes, num_axes, x->rank, n.over))
		err = op_fail(call, -EINVAL, "MeanVarianceNormalization: the axes do not fit a tensor of rank %d",
			      x->rank);
	if (!err)
		err = op_output(call, 0, x->dtype, x->rank, x->dims);
	if (err || !op_wanted(call, 0))
		return err;
	memcpy(n.dims, x->dims, sizeof(n.dims));
	err = tensor_cast(x, DTYPE_F64, &wide);
	if (!err)
		err = tensor_init(&y, DTYPE_F64, x->rank, x->dims);
	if (!err) {
		n.x = wide.data;
		n.y = y.data;
		normalize_run(&n, call->pool);
		cast_row(DTYPE_F64, x->dtype)((size_t)tensor_count(x), y.data, call->outputs[0]->data);
	}
	tensor_finish(&wide);
	tensor_finish(&y);
	return err ? op_fail(call, err, "MeanVarianceNormalization: no memory for doubles") : 0;
}

/* ---- LpNormalization ---- */

/* x / norm along @n elements with a stride; a zero norm leaves zeros. */
#define NORMALIZE_LINE(NAME, TYPE)                                                                  \
	static void NAME(int64_t n, int64_t stride, int64_t p, const TYPE *x, TYPE *y)              \
	{                                                                                           \
		double norm = 0;                                                                    \
                                                                                                    \
		for (int64_t i = 0; i < n; i++) {                                                   \
			double v = (double)x[i * stride];                                           \
                                                                                                    \
			norm += p == 1 ? fabs(v) : v * v;                                           \
		}                                                                                   \
		if (p == 2)                                                                         \
			norm = sqrt(norm);                                                          \
		for (int64_t i = 0; i < n; i++)                                                     \
			y[i * stride] = norm != 0 ? (TYPE)((double)x[i * stride] / norm) : (TYPE)0; \
	}
NORMALIZE_LINE(normalize_line_f32, float)
NORMALIZE_LINE(normalize_line_f64, double)

static int run_lp_normalization(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	int64_t axis = op_attr_int(call->node, "axis", -1), p = op_attr_int(call->node, "p", 2), inner, n;
	int err = check_type(call);

	if (!err && (p < 1 || p > 2))
		err = op_fail(call, -EINVAL, "LpNormalization: attribute p is %lld, 1 and 2 are defined", (long long)p);
	if (!err && normalize_axis(&axis, x->rank))
		err = op_fail(call, -EINVAL, "LpNormalization: axis %lld of a tensor of rank %d", (long long)axis,
			      x->rank);
	if (!err)
		err = op_output(call, 0, x->dtype, x->rank, x->dims);
	if (err || !op_wanted(call, 0) || !tensor_count(x))
		return err;
	n = x->dims[axis];
	inner = dims_count(x->rank - (int)axis - 1, x->dims + axis + 1);
	for (int64_t i = 0; i < tensor_count(x) / n; i++) {
		int64_t at = i / inner * n * inner + i % inner;

		if (x->dtype == DTYPE_F64)
			normalize_line_f64(n, inner, p, (const double *)x->data + at,
					   (double *)call->outputs[0]->data + at);
		else
			normalize_line_f32(n, inner, p, (const float *)x->data + at,
					   (float *)call->outputs[0]->data + at);
	}
	return 0;
}

/* ---- LRN ---- */

struct lrn {
	int64_t channels, count, before, after; /* channels of the window before and after the own one */
	float alpha, beta, bias;                /* alpha already divided by the window's size */
	const float *x;
	float *y;
};

#define LRN_BLOCK 256

CPU_CLONES static void add_squares(int64_t n, const float *x, float *sum)
{
	for (int64_t i = 0; i < n; i++)
		sum[i] += x[i] * x[i];
}

/* y = x * (bias + alpha * sum)^-beta; 0.75, the usual beta, without a logarithm. */
CPU_CLONES static void lrn_scale_usual(int64_t n, const float *x, const float *sum, float bias, float alpha, float *y)
{
	for (int64_t i = 0; i < n; i++) {
		float root = sqrtf(bias + alpha * sum[i]);

		y[i] = x[i] / (root * sqrtf(root));
	}
}

static void lrn_scale(const struct lrn *job, int64_t n, const float *x, const float *sum, float *y)
{
	if (job->beta == 0.75f) {
		lrn_scale_usual(n, x, sum, job->bias, job->alpha, y);
		return;
	}
	for (int64_t i = 0; i < n; i++)
		y[i] = x[i] * powf(job->bias + job->alpha * sum[i], -job->beta);
}

/* Planes [begin, end): image and channel. */
static void lrn_planes(void *arg, int64_t begin, int64_t end)
{
	const struct lrn *job = arg;
	float sum[LRN_BLOCK];

	for (int64_t i = begin; i < end; i++) {
		int64_t c = i % job->channels, first = c < job->before ? 0 : c - job->before;
		int64_t last = job->channels - 1 - c < job->after ? job->channels - 1 : c + job->after;

		for (int64_t j = 0; j < job->count; j += LRN_BLOCK) {
			int64_t width = job->count - j < LRN_BLOCK ? job->count - j : LRN_BLOCK;

			memset(sum, 0, sizeof(sum));
			for (int64_t k = first; k <= last; k++)
				add_squares(width, job->x + (i - c + k) * job->count + j, sum);
			lrn_scale(job, width, job->x + i * job->count + j, sum, job->y + i * job->count + j);
		}
	}
}

/* The same in double, element by element. */
static void lrn_f64(const struct lrn *job, int64_t images, const double *x, double *y)
{
	for (int64_t i = 0; i < images * job->channels * job->count; i++) {
		int64_t c = i / job->count % job->channels, first = c < job->before ? 0 : c - job->before;
		int64_t last = job->channels - 1 - c < job->after ? job->channels - 1 : c + job->after;
		double sum = 0;

		for (int64_t k = first; k <= last; k++)
			sum += x[i + (k - c) * job->count] * x[i + (k - c) * job->count];
		y[i] = x[i] * pow((double)job->bias + (double)job->alpha * sum, -(double)job->beta);
	}
}

static int run_lrn(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	int64_t size = op_attr_int(call->node, "size", 0);
	struct lrn job = {.beta = op_attr_float(call->node, "beta", 0.75f),
			  .bias = op_attr_float(call->node, "bias", 1)};
	int err = check_type(call);

	if (!err && x->rank < 2)
		err = op_fail(call, -EINVAL, "LRN: the input has rank %d, at least 2 is needed", x->rank);
	if (!err && (size < 1 || size > INT32_MAX))
		err = op_fail(call, -EINVAL, "LRN: attribute size is %lld", (long long)size);
	if (!err)
		err = op_output(call, 0, x->dtype, x->rank, x->dims);
	if (err || !op_wanted(call, 0) || !tensor_count(x))
		return err;
	job.alpha = op_attr_float(call->node, "alpha", 1e-4f) / (float)size;
	job.before = (size - 1) / 2; /* floor, and the other half is rounded up (LRN's formula) */
	job.after = size - 1 - job.before;
	job.channels = x->dims[1];
	job.count = x->rank > 2 ? dims_count(x->rank - 2, x->dims + 2) : 1;
	if (x->dtype == DTYPE_F64) {
		lrn_f64(&job, x->dims[0], x->data, call->outputs[0]->data);
		return 0;
	}
	job.x = x->data;
	job.y = call->outputs[0]->data;
	parallel_range(call->pool, x->dims[0] * job.channels, PARALLEL_GRAIN / 4 / job.count, lrn_planes, &job);
	return 0;
}

const struct op_kernel ops_plain_norm[] = {
	{"", "LRN", 1, 0, 1, 1, 1, 1, run_lrn, NULL, NULL, &op_half_in_f32},
	{"", "LpNormalization", 1, 0, 1, 1, 1, 1, run_lp_normalization, NULL, NULL, &op_half_in_f32},
	{"", "MeanVarianceNormalization", 1, 0, 1, 1, 1, 1, run_mean_variance_normalization, NULL, NULL,
	 &op_half_in_f32},
};
const size_t ops_plain_norm_count = sizeof(ops_plain_norm) / sizeof(ops_plain_norm[0]);
