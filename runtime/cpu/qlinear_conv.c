// SPDX-License-Identifier: MIT
/*
 * QLinearConv and ConvInteger: convolutions of 8-bit integers with int32 sums. axl's QLinearConv has the attribute `activation`, Relu or
 * nothing, as FusedConv has it: what it writes is then at least the output's zero point.
 *
 * Padding is the input's zero point, that is 0 in the sums. Depthwise convolutions run in floats, which hold their sums
 * exactly; all others are products (igemm.h) whose right operand is gathered from the image.
 */
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/conv_depthwise.h"
#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/igemm.h"
#include "runtime/cpu/large_memory.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/quant_input.h"
#include "runtime/cpu/scratch.h"
#include "runtime/cpu/window.h"

/* Where the inputs of the two operators stand; -1: it has none. */
struct inputs {
	int x, w, x_scale, x_zero, w_scale, w_zero, y_scale, y_zero, bias;
};

static const struct inputs qlinear_inputs = {0, 3, 1, 2, 4, 5, 6, 7, 8};
static const struct inputs integer_inputs = {0, 1, -1, 2, -1, 3, -1, -1, -1};

struct conv {
	struct window window;
	int64_t batch, group;
	int64_t inputs, channels; /* of one group */
	int64_t in_count, out_count, taps;
	enum dtype x_dtype, w_dtype;
	const uint8_t *x;
	const void *w, *x_zero, *w_zero;
	int64_t w_zero_step;
	char *y;
	struct requantize requantize;
	const int16_t *packed;
	size_t group_size; /* bytes of one packed group */
	int64_t block_rows, block_columns, row_blocks, column_blocks;
	bool dense;
	struct depthwise layout;
	atomic_int err;
};

/* What op_prepare() keeps. */
struct conv_state {
	int16_t *packed;
	size_t group_size;
};

/* ---- as a product ---- */

struct image {
	const struct conv *conv;
	const uint8_t *x; /* first channel of the group */
};

static void copy_strided(uint8_t *to, const uint8_t *from, int64_t count, int64_t stride)
{
	if (stride == 1)
		memcpy(to, from, (size_t)count);
	else
		for (int64_t i = 0; i < count; i++)
			to[i] = from[i * stride];
}

/* Part [ox, ox + length) of output row (oz, oy) under one tap. */
static void gather_run(const struct window *w, const uint8_t *x, const int64_t *tap, const int64_t *o, int64_t length,
		       int pad, uint8_t *to)
{
	int64_t z = o[0] * w->stride[0] + tap[0] * w->dilation[0] - w->pad_lo[0];
	int64_t y = o[1] * w->stride[1] + tap[1] * w->dilation[1] - w->pad_lo[1];
	int64_t begin, end;

	window_output_range(w, 2, tap[2], &begin, &end);
	begin = begin > o[2] ? begin - o[2] : 0;
	end = end - o[2] < length ? end - o[2] : length;
	if (begin >= end || z < 0 || z >= w->in[0] || y < 0 || y >= w->in[1]) {
		memset(to, pad, (size_t)length);
		return;
	}
	memset(to, pad, (size_t)begin);
	copy_strided(to + begin,
		     x + (z * w->in[1] + y) * w->in[2] + (o[2] + begin) * w->stride[2] + tap[2] * w->dilation[2] -
			     w->pad_lo[2],
		     end - begin, w->stride[2]);
	memset(to + end, pad, (size_t)(length - end));
}

static const uint8_t *gather_row(const void *arg, int64_t k, int64_t n, int64_t columns, uint8_t *line)
{
	const struct image *image = arg;
	const struct conv *conv = image->conv;
	const struct window *w = &conv->window;
	const uint8_t *x = image->x + k / conv->taps * conv->in_count;
	int64_t t = k % conv->taps;
	int64_t tap[3] = {t / (w->kernel[1] * w->kernel[2]), t / w->kernel[2] % w->kernel[1], t % w->kernel[2]};
	int64_t o[3] = {n / w->out[2] / w->out[1], n / w->out[2] % w->out[1], n % w->out[2]};
	int pad = conv->x_zero ? *(const uint8_t *)conv->x_zero : 0;

	if (conv->dense)
		return x + n;
	for (int64_t at = 0; at < columns;) {
		int64_t length = w->out[2] - o[2] < columns - at ? w->out[2] - o[2] : columns - at;

		gather_run(w, x, tap, o, length, pad, line + at);
		at += length;
		o[2] = 0;
		if (++o[1] == w->out[1]) {
			o[1] = 0;
			o[0]++;
		}
	}
	return line;
}

/* The rows of one group: bias and multipliers are by output channel. */
static struct requantize group_rows(const struct conv *conv, int64_t group)
{
	struct requantize q = conv->requantize;

	if (q.bias)
		q.bias += group * conv->channels;
	if (q.multiplier)
		q.multiplier += group * conv->channels;
	return q;
}

static void multiply_block(void *arg, size_t index)
{
	struct conv *conv = arg;
	int64_t i = (int64_t)index, column = i % conv->column_blocks * conv->block_columns, row, plane, err;
	struct image image = {.conv = conv};
	struct igemm product = {
		.m = conv->channels,
		.n = conv->out_count,
		.k = conv->inputs * conv->taps,
		.row_b = gather_row,
		.arg = &image,
		.b_dtype = conv->x_dtype,
		.b_zero = conv->x_zero,
		.c_stride = conv->out_count,
	};

	i /= conv->column_blocks;
	row = i % conv->row_blocks * conv->block_rows;
	plane = i / conv->row_blocks;
	image.x = conv->x + plane * conv->inputs * conv->in_count;
	product.a = conv->packed + (size_t)(plane % conv->group) * (conv->group_size / sizeof(int16_t));
	product.c = conv->y + (size_t)(plane * conv->channels * conv->out_count) * dtype_size(conv->requantize.dtype);
	product.requantize = group_rows(conv, plane % conv->group);
	err = igemm_block(&product, row,
			  conv->channels - row < conv->block_rows ? conv->channels - row : conv->block_rows, column,
			  conv->out_count - column < conv->block_columns ? conv->out_count - column
									 : conv->block_columns);
	if (err)
		atomic_store_explicit(&conv->err, (int)err, memory_order_relaxed);
}

static bool is_dense(const struct window *w)
{
	for (int i = 0; i < WINDOW_AXES; i++)
		if (w->kernel[i] != 1 || w->stride[i] != 1 || w->pad_lo[i] || w->in[i] != w->out[i])
			return false;
	return true;
}

static int pack_weight(int64_t group, int64_t channels, int64_t depth, enum dtype dtype, const void *w,
		       const void *zero, int64_t zero_step, size_t *group_size, int16_t **packed)
{
	*group_size = igemm_packed_size(channels, depth);
	if ((depth && !*group_size) || *group_size > (size_t)PTRDIFF_MAX / (size_t)group - 64)
		return -ENOMEM;
	*packed = large_memory(*group_size * (size_t)group);
	if (!*packed)
		return -ENOMEM;
	for (int64_t g = 0; g < group; g++)
		igemm_pack(channels, depth, dtype, (const char *)w + g * channels * depth, depth, 1,
			   zero ? (const char *)zero + g * channels * zero_step : NULL, zero_step,
			   *packed + (size_t)g * (*group_size / sizeof(int16_t)));
	return 0;
}

static int run_product(struct op_call *call, struct conv *conv)
{
	const struct conv_state *state = call->state;
	int64_t depth = conv->inputs * conv->taps;
	int16_t *packed = NULL;

	if (state) {
		conv->packed = state->packed;
		conv->group_size = state->group_size;
	} else {
		int err = pack_weight(conv->group, conv->channels, depth, conv->w_dtype, conv->w, conv->w_zero,
				      conv->w_zero_step, &conv->group_size, &packed);

		if (err)
			return err;
		conv->packed = packed;
	}
	conv->dense = is_dense(&conv->window);
	igemm_split(conv->channels, conv->out_count, depth, conv->batch * conv->group, cpu_pool_threads(call->pool),
		    &conv->block_rows, &conv->block_columns);
	conv->row_blocks = (conv->channels + conv->block_rows - 1) / conv->block_rows;
	conv->column_blocks = (conv->out_count + conv->block_columns - 1) / conv->block_columns;
	cpu_pool_for(call->pool, (size_t)(conv->batch * conv->group * conv->row_blocks * conv->column_blocks),
		     multiply_block, conv);
	free(packed);
	return atomic_load(&conv->err);
}

/* ---- depthwise ---- */

CPU_CLONES static void to_integers(int64_t n, const float *from, int32_t *to)
{
	for (int64_t i = 0; i < n; i++)
		to[i] = (int32_t)from[i];
}

/* Differences of bytes and their products are exact in float32, and so are sums of up to DEPTHWISE_EXACT_TAPS. */
static void convolve_planes(void *arg, int64_t begin, int64_t end)
{
	struct conv *conv = arg;
	const struct depthwise *layout = &conv->layout;
	int64_t channels = conv->group * conv->channels, count = conv->out_count;
	float *memory = scratch_get((depthwise_memory(layout) + (size_t)(count * 2 + conv->taps)) * sizeof(float));
	float *sums = memory + depthwise_memory(layout), *weight = sums + 2 * count;
	int32_t *acc = (int32_t *)(sums + count), zero = conv->x_zero ? quant_byte(conv->x_dtype, conv->x_zero, 0) : 0;

	if (!memory) {
		atomic_store_explicit(&conv->err, -ENOMEM, memory_order_relaxed);
		return;
	}
	depthwise_clear(layout, 0, memory);
	for (int64_t plane = begin; plane < end; plane++) {
		depthwise_load(layout, conv->x_dtype, conv->x + plane * conv->in_count, zero, memory);
		for (int64_t c = 0; c < conv->channels; c++) {
			int64_t row = plane * conv->channels + c, channel = row % channels;
			int32_t w_zero =
				conv->w_zero ? quant_byte(conv->w_dtype, conv->w_zero, channel * conv->w_zero_step) : 0;

			for (int64_t t = 0; t < conv->taps; t++)
				weight[t] =
					(float)(quant_byte(conv->w_dtype, conv->w, channel * conv->taps + t) - w_zero);
			depthwise_convolve(layout, memory, weight, 0, -INFINITY, sums);
			to_integers(count, sums, acc);
			requantize_row(&conv->requantize, channel, 0, count, acc,
				       conv->y + (size_t)(row * count) * dtype_size(conv->requantize.dtype));
		}
	}
}

static int run_depthwise(struct op_call *call, struct conv *conv)
{
	int err = depthwise_init(&conv->layout, call, &conv->window);

	if (err)
		return err;
	parallel_range(call->pool, conv->batch * conv->group, PARALLEL_GRAIN / 2 / (conv->layout.span + 1),
		       convolve_planes, conv);
	return atomic_load(&conv->err);
}

/* ---- the operators ---- */

static int read_weight(struct op_call *call, const struct inputs *at, struct conv *conv)
{
	const struct tensor *x = call->inputs[at->x], *w = call->inputs[at->w];
	int64_t group = op_attr_int(call->node, "group", 1), step;
	int err = quant_check_bytes(call, (size_t)at->x);

	if (!err)
		err = quant_check_bytes(call, (size_t)at->w);
	if (err)
		return err;
	if (x->rank < 3 || w->rank != x->rank)
		return op_fail(call, -EINVAL,
			       "%s: the input has rank %d, the weight %d; both must be equal and at least 3",
			       call->node->op_type, x->rank, w->rank);
	if (group < 1 || x->dims[1] % group || w->dims[0] % group || x->dims[1] / group != w->dims[1])
		return op_fail(call, -EINVAL,
			       "%s: %lld input channels and a weight [%lld, %lld, …] do not fit group %lld",
			       call->node->op_type, (long long)x->dims[1], (long long)w->dims[0], (long long)w->dims[1],
			       (long long)group);
	conv->batch = x->dims[0];
	conv->group = group;
	conv->inputs = w->dims[1];
	conv->channels = w->dims[0] / group;
	conv->x_dtype = x->dtype;
	conv->w_dtype = w->dtype;
	conv->x = x->data;
	conv->w = w->data;
	err = quant_zero(call, (size_t)at->x_zero, x->dtype, 1, &conv->x_zero, &step);
	if (!err)
		err = quant_zero(call, (size_t)at->w_zero, w->dtype, w->dims[0], &conv->w_zero, &conv->w_zero_step);
	return err;
}

/* Scales, output type and bias of QLinearConv; *multiplier is the caller's to free. */
static int read_scales(struct op_call *call, const struct inputs *at, struct conv *conv, float **multiplier)
{
	const struct tensor *y_zero = call->inputs[at->y_zero], *bias = op_input(call, (size_t)at->bias);
	int64_t channels = conv->group * conv->channels, step, x_step;
	const float *x_scale, *w_scale;
	float y_scale;
	int err = quant_check_bytes(call, (size_t)at->y_zero);

	if (!err)
		err = quant_scalar(call, (size_t)at->y_scale, y_zero->dtype, &y_scale, &conv->requantize.zero);
	if (!err)
		err = quant_scale(call, (size_t)at->x_scale, 1, &x_scale, &x_step);
	if (!err)
		err = quant_scale(call, (size_t)at->w_scale, channels, &w_scale, &step);
	if (!err && bias && (bias->dtype != DTYPE_S32 || bias->rank != 1 || bias->dims[0] != channels))
		err = op_fail(call, -EINVAL, "%s: the bias must be int32 [%lld]", call->node->op_type,
			      (long long)channels);
	if (err)
		return err;
	*multiplier = malloc((size_t)(channels + 1) * sizeof(**multiplier));
	if (!*multiplier)
		return -ENOMEM;
	for (int64_t c = 0; c < channels; c++)
		(*multiplier)[c] = x_scale[0] * w_scale[c * step] / y_scale;
	conv->requantize.dtype = y_zero->dtype;
	conv->requantize.bias = bias ? bias->data : NULL;
	conv->requantize.bias_row_step = 1;
	conv->requantize.relu = op_attr_is(call->node, "activation", "", "Relu");
	conv->requantize.multiplier = *multiplier;
	conv->requantize.row_step = 1;
	return 0;
}

static bool is_depthwise(int64_t inputs, int64_t channels, int64_t taps)
{
	return inputs == 1 && channels <= 4 && taps <= DEPTHWISE_EXACT_TAPS;
}

static int run_conv(struct op_call *call, const struct inputs *at)
{
	struct conv conv = {.requantize = {.dtype = DTYPE_S32}};
	int64_t dims[TENSOR_MAX_RANK];
	float *multiplier = NULL;
	int err = read_weight(call, at, &conv);

	if (!err)
		err = window_read(call, call->inputs[at->x], call->inputs[at->w]->dims + 2, false, &conv.window);
	if (!err && at->y_scale >= 0)
		err = read_scales(call, at, &conv, &multiplier);
	if (err)
		goto out_free;
	err = op_output(call, 0, conv.requantize.dtype,
			window_output_dims(&conv.window, conv.batch, conv.channels * conv.group, dims), dims);
	if (err || !op_wanted(call, 0) || !tensor_count(call->outputs[0]))
		goto out_free;
	conv.y = call->outputs[0]->data;
	conv.in_count = window_in_count(&conv.window);
	conv.out_count = window_out_count(&conv.window);
	conv.taps = window_taps(&conv.window);
	if (is_depthwise(conv.inputs, conv.channels, conv.taps))
		err = run_depthwise(call, &conv);
	else
		err = run_product(call, &conv);
out_free:
	free(multiplier);
	return err;
}

static int run_qlinear_conv(struct op_call *call)
{
	return run_conv(call, &qlinear_inputs);
}

static int run_conv_integer(struct op_call *call)
{
	return run_conv(call, &integer_inputs);
}

static int prepare(const struct op_node *node, const struct tensor *const *constants, const struct inputs *at,
		   void **out)
{
	bool has_zero = node->num_inputs > (size_t)at->w_zero;
	const struct tensor *w = constants[at->w], *zero = has_zero ? constants[at->w_zero] : NULL;
	int64_t group = op_attr_int(node, "group", 1), depth = 1, zeros = zero ? tensor_count(zero) : 0;
	struct conv_state *state;
	int err;

	/* Anything odd is left to run_conv(), which says what is wrong. A zero point must be known too, or left out. */
	if (!w || (w->dtype != DTYPE_U8 && w->dtype != DTYPE_S8) || w->rank < 3 || group < 1 || w->dims[0] % group ||
	    !tensor_count(w) || (has_zero && (!zero || zero->dtype != w->dtype || (zeros != 1 && zeros != w->dims[0]))))
		return 0;
	for (int i = 1; i < w->rank; i++)
		depth *= w->dims[i];
	if (is_depthwise(w->dims[1], w->dims[0] / group, depth / w->dims[1]))
		return 0;
	state = calloc(1, sizeof(*state));
	if (!state)
		return -ENOMEM;
	err = pack_weight(group, w->dims[0] / group, depth, w->dtype, w->data, zero ? zero->data : NULL, zeros > 1,
			  &state->group_size, &state->packed);
	if (err) {
		free(state);
		return err;
	}
	*out = state;
	return 0;
}

static int prepare_qlinear_conv(const struct op_node *node, const struct tensor *const *constants, void **state)
{
	return prepare(node, constants, &qlinear_inputs, state);
}

static int prepare_conv_integer(const struct op_node *node, const struct tensor *const *constants, void **state)
{
	return prepare(node, constants, &integer_inputs, state);
}

static void release_conv(void *arg)
{
	struct conv_state *state = arg;

	free(state->packed);
	free(state);
}

const struct op_kernel ops_qlinear_conv[] = {
	{"", "ConvInteger", 10, 0, 2, 4, 1, 1, run_conv_integer, prepare_conv_integer, release_conv},
	{"", "QLinearConv", 10, 0, 8, 9, 1, 1, run_qlinear_conv, prepare_qlinear_conv, release_conv},
	{"axl", "QLinearConv", 1, 0, 8, 9, 1, 1, run_qlinear_conv, prepare_qlinear_conv, release_conv},
};
const size_t ops_qlinear_conv_count = sizeof(ops_qlinear_conv) / sizeof(ops_qlinear_conv[0]);
