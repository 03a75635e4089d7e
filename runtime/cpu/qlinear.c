// SPDX-License-Identifier: MIT
/*
 * com.microsoft's quantized elementwise operators, pools and Concat: QLinearAdd, QLinearMul, QLinearSigmoid,
 * QLinearLeakyRelu, QLinearSoftmax, QLinearConcat, QLinearAveragePool, QLinearGlobalAveragePool.
 *
 * Each computes in float32 what the operator says of (q - zero) * scale and requantizes the result once. A function of
 * one byte is a table of 256.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/broadcast.h"
#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/ms_channels_last.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/quant_input.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/window.h"

/* What stands between bytes and numbers: number = (byte - zero) * scale. */
struct grid {
	enum dtype dtype;
	float scale;
	int32_t zero, low, high;
};

static int read_grid(struct op_call *call, size_t scale, enum dtype dtype, struct grid *grid)
{
	grid->dtype = dtype;
	grid->low = dtype == DTYPE_S8 ? INT8_MIN : 0;
	grid->high = dtype == DTYPE_S8 ? INT8_MAX : UINT8_MAX;
	return quant_scalar(call, scale, dtype, &grid->scale, &grid->zero);
}

static float grid_number(const struct grid *grid, int32_t byte)
{
	return (float)(byte - grid->zero) * grid->scale;
}

static int32_t grid_byte(const struct grid *grid, float number)
{
	return quant_round(number / grid->scale, grid->zero, grid->low, grid->high);
}

/* ---- two operands ---- */

struct binary {
	struct grid a, b, c;
	const void *x, *y;
	void *out;
	bool multiply;
};

/* Rows of both operands as numbers in this many elements at a time. */
#define BINARY_BLOCK 256

CPU_CLONES static void to_numbers(enum dtype dtype, int64_t n, const void *bytes, int64_t at, int64_t step,
				  int32_t zero, float scale, float *numbers)
{
	const int8_t *s = (const int8_t *)bytes + at;
	const uint8_t *u = (const uint8_t *)bytes + at;

	if (!step)
		for (int64_t i = 0; i < n; i++)
			numbers[i] = (float)((dtype == DTYPE_S8 ? s[0] : u[0]) - zero) * scale;
	else if (dtype == DTYPE_S8)
		for (int64_t i = 0; i < n; i++)
			numbers[i] = (float)(s[i] - zero) * scale;
	else
		for (int64_t i = 0; i < n; i++)
			numbers[i] = (float)(u[i] - zero) * scale;
}

CPU_CLONES static void combine(bool multiply, int64_t n, const float *a, const float *b, const struct grid *grid,
			       uint8_t *out)
{
	float scale = grid->scale;
	int32_t zero = grid->zero, low = grid->low, high = grid->high;

	if (multiply)
		for (int64_t i = 0; i < n; i++)
			out[i] = (uint8_t)quant_round(a[i] * b[i] / scale, zero, low, high);
	else
		for (int64_t i = 0; i < n; i++)
			out[i] = (uint8_t)quant_round((a[i] + b[i]) / scale, zero, low, high);
}

static void binary_row(void *arg, size_t n, int64_t out, const int64_t *in, const int64_t *step)
{
	const struct binary *job = arg;
	float a[BINARY_BLOCK], b[BINARY_BLOCK];

	for (int64_t i = 0; i < (int64_t)n; i += BINARY_BLOCK) {
		int64_t width = (int64_t)n - i < BINARY_BLOCK ? (int64_t)n - i : BINARY_BLOCK;

		to_numbers(job->a.dtype, width, job->x, in[0] + i * step[0], step[0], job->a.zero, job->a.scale, a);
		to_numbers(job->b.dtype, width, job->y, in[1] + i * step[1], step[1], job->b.zero, job->b.scale, b);
		combine(job->multiply, width, a, b, &job->c, (uint8_t *)job->out + out + i);
	}
}

/* A, A_scale, A_zero, B, B_scale, B_zero, C_scale, C_zero */
static int run_binary(struct op_call *call, bool multiply)
{
	const struct tensor *operands[2] = {call->inputs[0], call->inputs[3]};
	struct binary job = {.x = operands[0]->data, .y = operands[1]->data, .multiply = multiply};
	struct broadcast plan;
	int64_t dims[TENSOR_MAX_RANK];
	int rank, err = quant_check_bytes(call, 0);

	if (!err)
		err = quant_check_bytes(call, 3);
	if (!err)
		err = read_grid(call, 1, operands[0]->dtype, &job.a);
	if (!err)
		err = read_grid(call, 4, operands[1]->dtype, &job.b);
	if (!err)
		err = read_grid(call, 6, operands[0]->dtype, &job.c);
	if (err)
		return err;
	err = broadcast_dims(operands[0]->rank, operands[0]->dims, operands[1]->rank, operands[1]->dims, &rank, dims);
	if (!err)
		err = broadcast_plan(&plan, 2, operands, rank, dims);
	if (err)
		return op_fail(call, err, "%s: inputs 0 and 3 do not broadcast", call->node->op_type);
	err = op_output(call, 0, operands[0]->dtype, rank, dims);
	if (err || !op_wanted(call, 0))
		return err;
	job.out = call->outputs[0]->data;
	broadcast_run(&plan, call->pool, binary_row, &job);
	return 0;
}

static int run_add(struct op_call *call)
{
	return run_binary(call, false);
}

static int run_multiply(struct op_call *call)
{
	return run_binary(call, true);
}

/* ---- functions of one byte ---- */

struct table {
	uint8_t values[256]; /* by the byte's bits */
	const uint8_t *x;
	uint8_t *y;
};

static void make_table(const struct grid *from, const struct grid *to, float (*fn)(float x, float alpha), float alpha,
		       uint8_t *values)
{
	for (int32_t bits = 0; bits < 256; bits++) {
		int32_t byte = from->dtype == DTYPE_S8 ? (int8_t)bits : bits;

		values[bits] = (uint8_t)grid_byte(to, fn(grid_number(from, byte), alpha));
	}
}

static void look_up(void *arg, int64_t begin, int64_t end)
{
	const struct table *table = arg;

	for (int64_t i = begin; i < end; i++)
		table->y[i] = table->values[table->x[i]];
}

static float leaky_relu(float x, float alpha)
{
	return x < 0 ? alpha * x : x;
}

static float sigmoid(float x, float alpha)
{
	(void)alpha;
	return 1 / (1 + expf(-x));
}

static float identity(float x, float alpha)
{
	(void)alpha;
	return x;
}

/* X, X_scale, X_zero, Y_scale, Y_zero */
static int run_table(struct op_call *call, float (*fn)(float x, float alpha))
{
	const struct tensor *x = call->inputs[0];
	struct table table = {.x = x->data};
	struct grid from, to;
	int err = quant_check_bytes(call, 0);

	if (!err)
		err = read_grid(call, 1, x->dtype, &from);
	if (!err)
		err = read_grid(call, 3, x->dtype, &to);
	if (!err)
		err = op_output(call, 0, x->dtype, x->rank, x->dims);
	if (err || !op_wanted(call, 0))
		return err;
	make_table(&from, &to, fn, op_attr_float(call->node, "alpha", 0.01f), table.values);
	table.y = call->outputs[0]->data;
	parallel_range(call->pool, tensor_count(x), PARALLEL_GRAIN, look_up, &table);
	return 0;
}

static int run_leaky_relu(struct op_call *call)
{
	return run_table(call, leaky_relu);
}

static int run_sigmoid(struct op_call *call)
{
	return run_table(call, sigmoid);
}

/* ---- Softmax ---- */

/* Terms of the sum are added in this many lanes, and those in pairs at the end, as a vector unit does it. */
#define SUM_LANES 16

struct softmax {
	float exponentials[256]; /* e^(-scale * i): by the distance from the row's greatest byte */
	struct grid from, to;
	int64_t n, inner;
	const void *x;
	uint8_t *y;
};

/* One line of n elements, inner apart. */
static void softmax_line(const struct softmax *job, int64_t first)
{
	enum dtype dtype = job->from.dtype;
	int32_t max = job->from.low;
	float sums[SUM_LANES] = {0};

	for (int64_t i = 0; i < job->n; i++) {
		int32_t byte = quant_byte(dtype, job->x, first + i * job->inner);

		max = byte > max ? byte : max;
	}
	for (int64_t i = 0; i < job->n; i++)
		sums[i % SUM_LANES] += job->exponentials[max - quant_byte(dtype, job->x, first + i * job->inner)];
	for (int lanes = SUM_LANES / 2; lanes; lanes /= 2)
		for (int i = 0; i < lanes; i++)
			sums[i] += sums[i + lanes];
	for (int64_t i = 0; i < job->n; i++) {
		int64_t at = first + i * job->inner;

		job->y[at] =
			(uint8_t)grid_byte(&job->to, job->exponentials[max - quant_byte(dtype, job->x, at)] / sums[0]);
	}
}

static void softmax_lines(void *arg, int64_t begin, int64_t end)
{
	const struct softmax *job = arg;

	for (int64_t i = begin; i < end; i++)
		softmax_line(job, i / job->inner * job->n * job->inner + i % job->inner);
}

/* X, X_scale, X_zero, Y_scale, Y_zero; the attribute opset says which Softmax is meant. */
static int run_softmax(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	bool single_axis = op_attr_int(call->node, "opset", 13) >= 13;
	int64_t axis = op_attr_int(call->node, "axis", single_axis ? -1 : 1), outer = 1;
	struct softmax job = {.n = 1, .inner = 1, .x = x->data};
	int err = quant_check_bytes(call, 0);

	if (!err)
		err = read_grid(call, 1, x->dtype, &job.from);
	if (!err)
		err = read_grid(call, 3, x->dtype, &job.to);
	if (!err && normalize_axis(&axis, x->rank))
		err = op_fail(call, -EINVAL, "QLinearSoftmax: axis %lld of a tensor of rank %d", (long long)axis,
			      x->rank);
	if (!err)
		err = op_output(call, 0, x->dtype, x->rank, x->dims);
	if (err || !op_wanted(call, 0) || !tensor_count(x))
		return err;
	for (int i = 0; i < x->rank; i++)
		*(i < axis ? &outer : i == axis || !single_axis ? &job.n : &job.inner) *= x->dims[i];
	for (int i = 0; i < 256; i++)
		job.exponentials[i] = expf(-job.from.scale * (float)i);
	job.y = call->outputs[0]->data;
	parallel_range(call->pool, outer * job.inner, PARALLEL_GRAIN / 8 / job.n, softmax_lines, &job);
	return 0;
}

/* ---- Concat ---- */

/* The output's shape: inputs 2, 5, 8, … agree but for @axis. */
static int concat_shape(struct op_call *call, int64_t *axis, int64_t *dims)
{
	const struct tensor *first = call->inputs[2];

	if (normalize_axis(axis, first->rank))
		return op_fail(call, -EINVAL, "QLinearConcat: axis %lld of a tensor of rank %d", (long long)*axis,
			       first->rank);
	memcpy(dims, first->dims, (size_t)first->rank * sizeof(*dims));
	dims[*axis] = 0;
	for (size_t i = 2; i < call->node->num_inputs; i += 3) {
		const struct tensor *t = op_input(call, i);

		if (!t || t->rank != first->rank || t->dtype != first->dtype)
			return op_fail(call, -EINVAL, "QLinearConcat: input %zu does not fit input 2", i);
		for (int a = 0; a < t->rank; a++)
			if (a != *axis && t->dims[a] != dims[a])
				return op_fail(call, -EINVAL, "QLinearConcat: input %zu differs in dimension %d", i, a);
		if (__builtin_add_overflow(dims[*axis], t->dims[*axis], &dims[*axis]))
			return op_fail(call, -EOVERFLOW, "QLinearConcat: the output is too large");
	}
	return 0;
}

/* Y_scale, Y_zero, then for each part: tensor, scale, zero */
static int run_concat(struct op_call *call)
{
	const struct tensor *first = call->inputs[2];
	int64_t dims[TENSOR_MAX_RANK], axis = op_attr_int(call->node, "axis", 1), outer = 1, row, at = 0;
	struct grid from, to;
	int err = quant_check_bytes(call, 2);

	if (!err && call->node->num_inputs % 3 != 2)
		err = op_fail(call, -EINVAL, "QLinearConcat: %zu inputs are not triples after the first two",
			      call->node->num_inputs);
	if (!err)
		err = read_grid(call, 0, first->dtype, &to);
	if (!err)
		err = concat_shape(call, &axis, dims);
	if (!err)
		err = op_output(call, 0, first->dtype, first->rank, dims);
	if (err || !op_wanted(call, 0) || !tensor_count(call->outputs[0]))
		return err;
	for (int i = 0; i < axis; i++)
		outer *= dims[i];
	row = tensor_count(call->outputs[0]) / outer;
	for (size_t i = 2; i < call->node->num_inputs; i += 3) {
		const struct tensor *t = call->inputs[i];
		int64_t length = tensor_count(t) / outer;
		struct table table = {.x = t->data, .y = (uint8_t *)call->outputs[0]->data + at};

		err = read_grid(call, i + 1, t->dtype, &from);
		if (err)
			return err;
		make_table(&from, &to, identity, 0, table.values);
		for (int64_t o = 0; o < outer; o++, table.x += length, table.y += row)
			look_up(&table, 0, length);
		at += length;
	}
	return 0;
}

/* ---- average pools ---- */

struct pooling {
	struct window window;
	struct grid from, to;
	bool include_pad;
	const void *x;
	uint8_t *y;
};

/* Sum of one window less the zero point, and how many elements the average counts. */
static int64_t window_sum(const struct pooling *job, int64_t plane, const int64_t *o, int64_t *count)
{
	const struct window *w = &job->window;
	int64_t first[3], last[3], sum = 0;

	*count = 1;
	for (int a = 0; a < 3; a++) {
		window_tap_range(w, a, o[a], &first[a], &last[a]);
		if (last[a] < first[a])
			last[a] = first[a];
		if (job->include_pad) {
			int64_t start = o[a] * w->stride[a] - w->pad_lo[a],
				end = start + (w->kernel[a] - 1) * w->dilation[a] + 1;
			int64_t bound = w->in[a] + w->pad_hi[a];

			end = end < bound ? end : bound;
			*count *= (end - start + w->dilation[a] - 1) / w->dilation[a];
		} else {
			*count *= last[a] - first[a];
		}
	}
	for (int64_t z = first[0]; z < last[0]; z++)
		for (int64_t y = first[1]; y < last[1]; y++)
			for (int64_t x = first[2]; x < last[2]; x++) {
				int64_t iz = o[0] * w->stride[0] + z * w->dilation[0] - w->pad_lo[0];
				int64_t iy = o[1] * w->stride[1] + y * w->dilation[1] - w->pad_lo[1];
				int64_t ix = o[2] * w->stride[2] + x * w->dilation[2] - w->pad_lo[2];

				sum += quant_byte(job->from.dtype, job->x,
						  ((plane * w->in[0] + iz) * w->in[1] + iy) * w->in[2] + ix) -
				       job->from.zero;
			}
	return sum;
}

static void pool_plane(void *arg, size_t index)
{
	const struct pooling *job = arg;
	const struct window *w = &job->window;
	uint8_t *y = job->y + index * (size_t)window_out_count(w);
	int64_t o[3], count;

	for (o[0] = 0; o[0] < w->out[0]; o[0]++)
		for (o[1] = 0; o[1] < w->out[1]; o[1]++)
			for (o[2] = 0; o[2] < w->out[2]; o[2]++) {
				int64_t sum = window_sum(job, (int64_t)index, o, &count);
				/* As ONNX Runtime's kernel: one factor, rounded first. */
				float scale = job->from.scale / (job->to.scale * (float)(count > 0 ? count : 1));

				*y++ = (uint8_t)quant_round((float)sum * scale, job->to.zero, job->to.low,
							    job->to.high);
			}
}

/* X, X_scale, X_zero, Y_scale, Y_zero */
static int run_pool(struct op_call *call, bool global)
{
	const struct tensor *x = call->inputs[0];
	struct pooling job = {.x = x->data, .include_pad = op_attr_int(call->node, "count_include_pad", 0)};
	int64_t dims[TENSOR_MAX_RANK];
	int err = quant_check_bytes(call, 0);

	if (!err && op_attr_int(call->node, "channels_last", 0))
		return run_channels_last(call, call->node->domain, call->node->op_type, call->node->opset);
	if (!err)
		err = read_grid(call, 1, x->dtype, &job.from);
	if (!err)
		err = read_grid(call, 3, x->dtype, &job.to);
	if (!err)
		err = global ? window_global(call, x, &job.window)
			     : window_read(call, x, NULL, op_attr_int(call->node, "ceil_mode", 0), &job.window);
	if (err)
		return err;
	err = op_output(call, 0, x->dtype, window_output_dims(&job.window, x->dims[0], x->dims[1], dims), dims);
	if (err || !op_wanted(call, 0) || !tensor_count(call->outputs[0]))
		return err;
	job.y = call->outputs[0]->data;
	cpu_pool_for(call->pool, (size_t)(x->dims[0] * x->dims[1]), pool_plane, &job);
	return 0;
}

static int run_average_pool(struct op_call *call)
{
	return run_pool(call, false);
}

static int run_global_average_pool(struct op_call *call)
{
	return run_pool(call, true);
}

const struct op_kernel ops_qlinear[] = {
	{"com.microsoft", "QLinearAdd", 1, 0, 7, 8, 1, 1, run_add, NULL, NULL},
	{"com.microsoft", "QLinearAveragePool", 1, 0, 4, 5, 1, 1, run_average_pool, NULL, NULL},
	{"com.microsoft", "QLinearConcat", 1, 0, 5, -1, 1, 1, run_concat, NULL, NULL},
	{"com.microsoft", "QLinearGlobalAveragePool", 1, 0, 4, 5, 1, 1, run_global_average_pool, NULL, NULL},
	{"com.microsoft", "QLinearLeakyRelu", 1, 0, 4, 5, 1, 1, run_leaky_relu, NULL, NULL},
	{"com.microsoft", "QLinearMul", 1, 0, 7, 8, 1, 1, run_multiply, NULL, NULL},
	{"com.microsoft", "QLinearSigmoid", 1, 0, 4, 5, 1, 1, run_sigmoid, NULL, NULL},
	{"com.microsoft", "QLinearSoftmax", 1, 0, 5, 5, 1, 1, run_softmax, NULL, NULL},
};
const size_t ops_qlinear_count = sizeof(ops_qlinear) / sizeof(ops_qlinear[0]);
