// SPDX-License-Identifier: MIT
/*
 * Pow: the exponent has a type of its own.
 */
#include <errno.h>
#include <math.h>

#include "runtime/cpu/broadcast.h"
#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/half.h"

/* x[i] = x[i * sx] ^ y[i * sy], from the end so that a standing x[0] is read before it is written. */
static void pow_row_f32(size_t n, float *x, const float *y, int64_t sx, int64_t sy)
{
	/* The two exponents that networks use; both exact to the last bit, -0 and -infinity included. */
	if (!sy && sx && y[0] == 2) {
		for (size_t i = 0; i < n; i++)
			x[i] *= x[i];
	} else if (!sy && sx && y[0] == 0.5f) {
		for (size_t i = 0; i < n; i++)
			x[i] = x[i] == -INFINITY ? INFINITY : sqrtf(x[i] + 0.0f);
	} else {
		for (size_t i = n; i-- > 0;)
			x[i] = powf(x[i * sx], y[i * sy]);
	}
}

static void pow_row_f64(size_t n, double *x, const double *y, int64_t sx, int64_t sy)
{
	for (size_t i = n; i-- > 0;)
		x[i] = pow(x[i * sx], y[i * sy]);
}

/* Squaring and multiplying, modulo 2^64; a negative exponent gives the integer part of the fraction. */
static int64_t pow_s64(int64_t x, int64_t y)
{
	uint64_t base = x, result = 1;

	if (y < 0)
		return x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0;
	for (; y; y >>= 1, base *= base)
		if (y & 1)
			result *= base;
	return result;
}

static void pow_row_s64(size_t n, int64_t *x, const int64_t *y, int64_t sx, int64_t sy)
{
	for (size_t i = n; i-- > 0;)
		x[i] = pow_s64(x[i * sx], y[i * sy]);
}

struct pow_job {
	cast_fn widen_base, widen_exponent, narrow;
	bool integers;
	bool single;
	char *out;
	const char *base, *exponent;
	size_t base_size, exponent_size;
};

static void run_pow_row(void *arg, size_t n, int64_t out, const int64_t *in, const int64_t *step)
{
	const struct pow_job *job = arg;
	const char *base = job->base + in[0] * job->base_size;
	const char *exponent = job->exponent + in[1] * job->exponent_size;
	char *to = job->out + out * job->base_size;
	union {
		float f32[HALF_BLOCK];
		double f64[HALF_BLOCK];
		int64_t s64[HALF_BLOCK];
	} x, y;

	for (size_t i = 0; i < n; i += HALF_BLOCK) {
		size_t m = n - i < HALF_BLOCK ? n - i : HALF_BLOCK;

		job->widen_base(step[0] ? m : 1, base + i * step[0] * job->base_size, &x);
		job->widen_exponent(step[1] ? m : 1, exponent + i * step[1] * job->exponent_size, &y);
		if (job->integers)
			pow_row_s64(m, x.s64, y.s64, step[0], step[1]);
		else if (job->single)
			pow_row_f32(m, x.f32, y.f32, step[0], step[1]);
		else
			pow_row_f64(m, x.f64, y.f64, step[0], step[1]);
		job->narrow(m, &x, to + i * job->base_size);
	}
}

static int run_pow(struct op_call *call)
{
	const struct tensor *base = call->inputs[0], *exponent = call->inputs[1];
	const struct tensor *operands[2] = {base, exponent};
	struct op_call aligned = *call;
	struct tensor view;
	struct pow_job job = {0};
	struct broadcast plan;
	int64_t dims[TENSOR_MAX_RANK];
	enum dtype wide;
	int rank, err;

	if (!op_wanted(call, 0))
		return 0;
	if (call->node->opset < 7) {
		err = broadcast_align_legacy(call, &view);
		if (err)
			return err;
		operands[1] = &view;
	}
	aligned.inputs = operands;
	err = broadcast_shape(&aligned, &rank, dims);
	if (err)
		return op_fail(call, err, "%s", aligned.error);
	job.integers = dtype_is_integer(base->dtype) && dtype_is_integer(exponent->dtype);
	job.single = (base->dtype == DTYPE_F32 || dtype_is_half(base->dtype)) && exponent->dtype != DTYPE_F64;
	wide = job.integers ? DTYPE_S64 : job.single ? DTYPE_F32 : DTYPE_F64;
	job.widen_base = cast_row(base->dtype, wide);
	job.widen_exponent = cast_row(exponent->dtype, wide);
	job.narrow = cast_row(wide, base->dtype);
	if (!job.widen_base || !job.widen_exponent)
		return op_fail(call, -ENOTSUP, "Pow: %s to the power of %s", dtype_name(base->dtype),
			       dtype_name(exponent->dtype));
	err = op_output(call, 0, base->dtype, rank, dims);
	if (err)
		return err;
	err = broadcast_plan(&plan, 2, operands, rank, dims);
	if (err)
		return op_fail(call, err, "Pow: the inputs do not broadcast");
	job.out = call->outputs[0]->data;
	job.base = base->data;
	job.exponent = exponent->data;
	job.base_size = dtype_size(base->dtype);
	job.exponent_size = dtype_size(exponent->dtype);
	broadcast_run(&plan, call->pool, run_pow_row, &job);
	return 0;
}

const struct op_kernel ops_pow[] = {
	{"", "Pow", 1, 0, 2, 2, 1, 1, run_pow},
};
const size_t ops_pow_count = sizeof(ops_pow) / sizeof(ops_pow[0]);
