// SPDX-License-Identifier: MIT
/*
 * Softmax, LogSoftmax and Hardmax.
 *
 * Before opset 13 the input is taken as a matrix (everything from @axis on is a row, default axis 1); since then the
 * operation runs along the one axis (default the last). Both are "for every outer and inner index, along n elements
 * with a stride of inner".
 */
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/row_stats.h"
#include "runtime/cpu/scratch.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/vector_math.h"

enum softmax_kind { SOFTMAX, LOG_SOFTMAX, HARDMAX };

struct softmax {
	enum softmax_kind kind;
	int64_t n, inner;
	const float *x;
	float *y;
	atomic_int err;
};

/* y = e^(x - shift); returns nothing, the sum is a second, exact pass over what is then in the cache. */
CPU_CLONES static void exponentials(int64_t n, const float *x, float shift, float *y)
{
	for (int64_t i = 0; i < n; i++)
		y[i] = vector_expf(x[i] - shift);
}

static void softmax_row(int64_t n, const float *x, float *y)
{
	exponentials(n, x, row_max(n, x), y);
	row_affine(n, y, (float)(1 / row_sum(n, y)), 0, y);
}

static void log_softmax_row(int64_t n, const float *x, float *y)
{
	float max = row_max(n, x);
	double sum;

	exponentials(n, x, max, y);
	sum = row_sum(n, y);
	row_affine(n, x, 1, -max, y); /* the maximum first: it may be large, the rest is not */
	row_affine(n, y, 1, -(float)log(sum), y);
}

/* One at the first maximum. */
static void hardmax_row(int64_t n, const float *x, float *y)
{
	int64_t best = 0;

	for (int64_t i = 1; i < n; i++)
		if (x[i] > x[best])
			best = i;
	memset(y, 0, (size_t)n * sizeof(*y));
	y[best] = 1;
}

static void run_row(enum softmax_kind kind, int64_t n, const float *x, float *y)
{
	switch (kind) {
	case SOFTMAX:
		softmax_row(n, x, y);
		break;
	case LOG_SOFTMAX:
		log_softmax_row(n, x, y);
		break;
	case HARDMAX:
		hardmax_row(n, x, y);
		break;
	}
}

static void run_rows(void *arg, int64_t begin, int64_t end)
{
	const struct softmax *job = arg;

	for (int64_t i = begin; i < end; i++)
		run_row(job->kind, job->n, job->x + i * job->n, job->y + i * job->n);
}

/* An axis with others behind it, eight neighbours at a time through a transposed block in y's order. */
#define NEIGHBOURS 8

static void run_strided(void *arg, int64_t begin, int64_t end)
{
	struct softmax *job = arg;
	int64_t n = job->n, groups = (job->inner + NEIGHBOURS - 1) / NEIGHBOURS;
	float *block = scratch_get((size_t)(n * NEIGHBOURS * 2) * sizeof(float)), *result = block + n * NEIGHBOURS;

	if (!block) {
		atomic_store_explicit(&job->err, -ENOMEM, memory_order_relaxed);
		return;
	}
	for (int64_t i = begin; i < end; i++) {
		int64_t base = i / groups * n * job->inner + i % groups * NEIGHBOURS;
		int64_t width = job->inner - i % groups * NEIGHBOURS;

		if (width > NEIGHBOURS)
			width = NEIGHBOURS;
		for (int64_t j = 0; j < n; j++)
			for (int64_t l = 0; l < width; l++)
				block[l * n + j] = job->x[base + j * job->inner + l];
		for (int64_t l = 0; l < width; l++)
			run_row(job->kind, n, block + l * n, result + l * n);
		for (int64_t j = 0; j < n; j++)
			for (int64_t l = 0; l < width; l++)
				job->y[base + j * job->inner + l] = result[l * n + j];
	}
}

/* Along @n elements with a stride, in double. */
static void run_line_f64(enum softmax_kind kind, int64_t n, int64_t stride, const double *x, double *y)
{
	int64_t best = 0;
	double sum = 0;

	for (int64_t i = 1; i < n; i++)
		if (x[i * stride] > x[best * stride])
			best = i;
	for (int64_t i = 0; i < n; i++)
		sum += exp(x[i * stride] - x[best * stride]);
	for (int64_t i = 0; i < n; i++) {
		double shifted = x[i * stride] - x[best * stride];

		y[i * stride] = kind == HARDMAX ? i == best : kind == SOFTMAX ? exp(shifted) / sum : shifted - log(sum);
	}
}

static int run_kind(struct op_call *call, enum softmax_kind kind)
{
	const struct tensor *x = call->inputs[0];
	bool single_axis = call->node->opset >= 13;
	int64_t axis = op_attr_int(call->node, "axis", single_axis ? -1 : 1), outer = 1, grain;
	struct softmax job = {.kind = kind, .n = 1, .inner = 1};
	int err;

	if (x->dtype != DTYPE_F32 && x->dtype != DTYPE_F64)
		return op_fail(call, -EINVAL, "%s: input 0 is %s, expected a float type", call->node->op_type,
			       dtype_name(x->dtype));
	/* axis == rank is a legal place to cut the old form's matrix. */
	if (!(axis == x->rank && !single_axis) && normalize_axis(&axis, x->rank))
		return op_fail(call, -EINVAL, "%s: axis %lld of a tensor of rank %d", call->node->op_type,
			       (long long)axis, x->rank);
	err = op_output(call, 0, x->dtype, x->rank, x->dims);
	if (err || !op_wanted(call, 0) || !tensor_count(x))
		return err;
	for (int i = 0; i < x->rank; i++) {
		if (i < axis)
			outer *= x->dims[i];
		else if (i == axis || !single_axis)
			job.n *= x->dims[i];
		else
			job.inner *= x->dims[i];
	}
	for (int64_t i = 0; x->dtype == DTYPE_F64 && i < outer * job.inner; i++) {
		int64_t at = i / job.inner * job.n * job.inner + i % job.inner;

		run_line_f64(kind, job.n, job.inner, (const double *)x->data + at,
			     (double *)call->outputs[0]->data + at);
	}
	if (x->dtype == DTYPE_F64)
		return 0;
	job.x = x->data;
	job.y = call->outputs[0]->data;
	grain = PARALLEL_GRAIN / 8 / job.n;
	if (job.inner == 1) {
		parallel_range(call->pool, outer, grain, run_rows, &job);
		return 0;
	}
	if (job.n > PTRDIFF_MAX / (int64_t)(NEIGHBOURS * 2 * sizeof(float)))
		return -ENOMEM;
	parallel_range(call->pool, outer * ((job.inner + NEIGHBOURS - 1) / NEIGHBOURS), grain / NEIGHBOURS, run_strided,
		       &job);
	return atomic_load(&job.err);
}

static int run_softmax(struct op_call *call)
{
	return run_kind(call, SOFTMAX);
}

static int run_log_softmax(struct op_call *call)
{
	return run_kind(call, LOG_SOFTMAX);
}

static int run_hardmax(struct op_call *call)
{
	return run_kind(call, HARDMAX);
}

const struct op_kernel ops_softmax[] = {
	{"", "Hardmax", 1, 0, 1, 1, 1, 1, run_hardmax, NULL, NULL, &op_half_in_f32},
	{"", "LogSoftmax", 1, 0, 1, 1, 1, 1, run_log_softmax, NULL, NULL, &op_half_in_f32},
	{"", "Softmax", 1, 0, 1, 1, 1, 1, run_softmax, NULL, NULL, &op_half_in_f32},
};
const size_t ops_softmax_count = sizeof(ops_softmax) / sizeof(ops_softmax[0]);
