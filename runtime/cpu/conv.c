// SPDX-License-Identifier: MIT
/*
 * Conv and com.microsoft FusedConv.
 *
 * A convolution is a product of the weight [channels, inputs * taps] with a matrix whose columns are the output pixels.
 * That matrix is gathered block by block straight into the product's packed form (sgemm.h). Depthwise convolutions have
 * too little work a channel for that and go to conv_depthwise.c.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/conv_depthwise.h"
#include "runtime/cpu/conv_direct.h"
#include "runtime/cpu/conv_f64.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/large_memory.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/sgemm.h"
#include "runtime/cpu/window.h"

/* What op_prepare() keeps: the weight packed, one matrix a group. */
struct conv_state {
	size_t group_size; /* bytes of one packed group */
	float *packed;
};

struct conv {
	struct window window;
	int64_t batch, group;
	int64_t inputs, channels; /* of one group */
	int64_t in_count, out_count;
	const float *x, *w, *packed;
	float *y;
	size_t group_size;
	struct epilogue epilogue;
	int64_t block_rows, block_columns; /* of one job */
	int64_t row_blocks, column_blocks;
	bool dense; /* 1x1, stride 1, no pads: the image is the matrix */
	atomic_int err;
};

/* ---- gathering the image ---- */

struct image {
	const struct window *window;
	const float *x; /* first channel of the group */
	int64_t in_count;
};

/* A run of output pixels in one output row and one panel. */
struct run {
	int64_t offset; /* of the first pixel in a row of the panels, without the depth: panel * P + lane */
	int64_t panel;
	int64_t lane;
	int64_t length;
	int64_t depth, row, column; /* output position of the first pixel */
};

#define MAX_BLOCK 512

static void split_runs(const struct window *w, int64_t n, int64_t columns, int64_t lanes, struct run *runs,
		       int64_t *count)
{
	int64_t position = 0, column = n % w->out[2], line = n / w->out[2];

	for (*count = 0; position < columns; (*count)++) {
		struct run *run = &runs[*count];
		int64_t room = lanes - position % lanes;

		run->panel = position / lanes;
		run->lane = position % lanes;
		run->row = line % w->out[1];
		run->depth = line / w->out[1];
		run->column = column;
		run->length = w->out[2] - column < columns - position ? w->out[2] - column : columns - position;
		if (run->length > room)
			run->length = room;
		position += run->length;
		column += run->length;
		if (column == w->out[2]) {
			column = 0;
			line++;
		}
	}
}

static inline void copy_strided(float *to, const float *from, int64_t count, int64_t stride)
{
	if (stride == 1)
		for (int64_t i = 0; i < count; i++)
			to[i] = from[i];
	else
		for (int64_t i = 0; i < count; i++)
			to[i] = from[i * stride];
}

/* One run of one row of the matrix: the pixels that tap (@tap) of a channel sees, zero outside the image. */
static inline void fill_run(const struct window *w, const struct run *run, const float *x, const int64_t *tap,
			    int64_t first, int64_t last, float *to)
{
	int64_t z = run->depth * w->stride[0] + tap[0] * w->dilation[0] - w->pad_lo[0];
	int64_t y = run->row * w->stride[1] + tap[1] * w->dilation[1] - w->pad_lo[1];
	int64_t begin = first - run->column, end = last - run->column;

	if (z < 0 || z >= w->in[0] || y < 0 || y >= w->in[1])
		begin = end = 0;
	if (begin < 0)
		begin = 0;
	if (end > run->length)
		end = run->length;
	if (begin >= end)
		begin = end = 0;
	for (int64_t i = 0; i < begin; i++)
		to[i] = 0;
	if (begin < end)
		copy_strided(to + begin,
			     x + (z * w->in[1] + y) * w->in[2] + (run->column + begin) * w->stride[2] +
				     tap[2] * w->dilation[2] - w->pad_lo[2],
			     end - begin, w->stride[2]);
	for (int64_t i = end; i < run->length; i++)
		to[i] = 0;
}

static void pad_last_panel(int64_t depth, int64_t columns, int64_t lanes, float *panels)
{
	int64_t used = columns % lanes;
	float *panel = panels + columns / lanes * lanes * depth;

	if (used)
		for (int64_t i = 0; i < depth; i++)
			memset(panel + i * lanes + used, 0, (size_t)(lanes - used) * sizeof(*panel));
}

static void fill_image(const void *arg, int64_t k, int64_t depth, int64_t n, int64_t columns, float *panels)
{
	const struct image *image = arg;
	const struct window *w = image->window;
	int64_t lanes = sgemm_panel_columns(), taps = window_taps(w), count;
	struct run runs[MAX_BLOCK];

	split_runs(w, n, columns, lanes, runs, &count);
	for (int64_t i = 0; i < depth; i++) {
		int64_t channel = (k + i) / taps, t = (k + i) % taps, first, last;
		const float *x = image->x + channel * image->in_count;
		int64_t tap[3] = {t / (w->kernel[1] * w->kernel[2]), t / w->kernel[2] % w->kernel[1], t % w->kernel[2]};

		window_output_range(w, 2, tap[2], &first, &last);
		for (int64_t r = 0; r < count; r++)
			fill_run(w, &runs[r], x, tap, first, last,
				 panels + (runs[r].panel * depth + i) * lanes + runs[r].lane);
	}
	pad_last_panel(depth, columns, lanes, panels);
}

/* ---- the product ---- */

static void multiply_block(void *arg, size_t index)
{
	struct conv *conv = arg;
	int64_t i = (int64_t)index, column = i % conv->column_blocks, row, plane, group, err;
	struct image image = {.window = &conv->window, .in_count = conv->in_count};
	struct sgemm_matrix matrix = {.row_stride = conv->in_count, .column_stride = 1};
	struct sgemm product = {
		.m = conv->channels,
		.n = conv->out_count,
		.k = conv->inputs * window_taps(&conv->window),
		.fill_b = conv->dense ? sgemm_fill_matrix : fill_image,
		.arg = conv->dense ? (const void *)&matrix : &image,
		.c_stride = conv->out_count,
		.epilogue = conv->epilogue,
	};
	int64_t rows, columns;

	i /= conv->column_blocks;
	row = i % conv->row_blocks * conv->block_rows;
	plane = i / conv->row_blocks; /* image * group */
	group = plane % conv->group;
	column *= conv->block_columns;
	matrix.b = image.x = conv->x + plane * conv->inputs * conv->in_count;
	product.a = conv->packed + (size_t)group * (conv->group_size / sizeof(float));
	product.c = conv->y + plane * conv->channels * conv->out_count;
	if (product.epilogue.row_bias)
		product.epilogue.row_bias += group * conv->channels;
	if (product.epilogue.residual)
		product.epilogue.residual += plane * conv->channels * conv->out_count;
	rows = conv->channels - row < conv->block_rows ? conv->channels - row : conv->block_rows;
	columns = conv->out_count - column < conv->block_columns ? conv->out_count - column : conv->block_columns;
	err = sgemm_block(&product, row, rows, column, columns);
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

static int pack_weight(const float *w, int64_t group, int64_t channels, int64_t depth, size_t *group_size,
		       float **packed)
{
	*group_size = sgemm_packed_size(channels, depth);
	if (!*group_size || *group_size > (size_t)PTRDIFF_MAX / (size_t)group - 64)
		return -ENOMEM;
	/* Groups start at multiples of a tile, not of a cache line: the loads do not ask for more. */
	*packed = large_memory(*group_size * (size_t)group);
	if (!*packed)
		return -ENOMEM;
	for (int64_t g = 0; g < group; g++)
		sgemm_pack(channels, depth, w + g * channels * depth, depth, 1,
			   *packed + (size_t)g * (*group_size / sizeof(float)));
	return 0;
}

static int run_product(struct op_call *call, struct conv *conv)
{
	const struct conv_state *state = call->state;
	int64_t depth = conv->inputs * window_taps(&conv->window);
	float *packed = NULL;

	if (state) {
		conv->packed = state->packed;
		conv->group_size = state->group_size;
	} else if (depth) {
		int err = pack_weight(conv->w, conv->group, conv->channels, depth, &conv->group_size, &packed);

		if (err)
			return err;
		conv->packed = packed;
	}
	if (depth && conv_direct_pays(&conv->window, conv->channels)) {
		const struct conv_direct direct = {
			.window = &conv->window,
			.batch = conv->batch,
			.group = conv->group,
			.inputs = conv->inputs,
			.channels = conv->channels,
			.x = conv->x,
			.packed = conv->packed,
			.group_stride = conv->group_size / sizeof(float),
			.y = conv->y,
			.epilogue = conv->epilogue,
		};
		int err = conv_direct(call, &direct);

		free(packed);
		return err;
	}
	conv->dense = is_dense(&conv->window);
	sgemm_split(conv->channels, conv->out_count, conv->batch * conv->group, cpu_pool_threads(call->pool),
		    &conv->block_rows, &conv->block_columns);
	conv->block_columns = sgemm_even_columns(conv->out_count, conv->block_columns);
	conv->row_blocks = (conv->channels + conv->block_rows - 1) / conv->block_rows;
	conv->column_blocks = (conv->out_count + conv->block_columns - 1) / conv->block_columns;
	cpu_pool_for(call->pool, (size_t)(conv->batch * conv->group * conv->row_blocks * conv->column_blocks),
		     multiply_block, conv);
	free(packed);
	return atomic_load(&conv->err);
}

/* ---- the operator ---- */

static int check_inputs(struct op_call *call, struct conv *conv)
{
	const struct tensor *x = call->inputs[0], *w = call->inputs[1], *bias = op_input(call, 2);
	int64_t group = op_attr_int(call->node, "group", 1);

	for (size_t i = 0; i < call->node->num_inputs; i++)
		if (call->inputs[i] &&
		    (call->inputs[i]->dtype != x->dtype || (x->dtype != DTYPE_F32 && x->dtype != DTYPE_F64)))
			return op_fail(call, -EINVAL, "%s: input %zu is %s, expected one float type for all inputs",
				       call->node->op_type, i, dtype_name(call->inputs[i]->dtype));
	if (x->rank < 3 || w->rank != x->rank)
		return op_fail(call, -EINVAL,
			       "%s: the input has rank %d, the weight %d; both must be equal and at least 3",
			       call->node->op_type, x->rank, w->rank);
	if (group < 1 || x->dims[1] % group || w->dims[0] % group || x->dims[1] / group != w->dims[1])
		return op_fail(call, -EINVAL,
			       "%s: %lld input channels and a weight [%lld, %lld, …] do not fit group %lld",
			       call->node->op_type, (long long)x->dims[1], (long long)w->dims[0], (long long)w->dims[1],
			       (long long)group);
	if (bias && (bias->rank != 1 || bias->dims[0] != w->dims[0]))
		return op_fail(call, -EINVAL, "%s: the bias must be [%lld]", call->node->op_type,
			       (long long)w->dims[0]);
	conv->batch = x->dims[0];
	conv->group = group;
	conv->inputs = w->dims[1];
	conv->channels = w->dims[0] / group;
	conv->x = x->data;
	conv->w = w->data;
	conv->epilogue.row_bias = bias ? bias->data : NULL;
	return 0;
}

/* Only Conv has doubles; the epilogues of FusedConv are float32. */
static int run_f64(struct op_call *call, const struct conv *conv)
{
	const struct conv_f64 job = {
		.window = &conv->window,
		.batch = conv->batch,
		.group = conv->group,
		.inputs = conv->inputs,
		.channels = conv->channels,
		.x = call->inputs[0]->data,
		.w = call->inputs[1]->data,
		.bias = op_input(call, 2) ? op_input(call, 2)->data : NULL,
		.y = call->outputs[0]->data,
	};

	if (op_input(call, 3) || conv->epilogue.activation != ACTIVATION_NONE)
		return op_fail(call, -ENOTSUP, "%s: a residual or an activation on float64", call->node->op_type);
	conv_f64(&job, call->pool);
	return 0;
}

static int run_conv(struct op_call *call)
{
	const struct tensor *residual = op_input(call, 3);
	struct conv conv = {0};
	int64_t dims[TENSOR_MAX_RANK];
	int rank, err;

	err = check_inputs(call, &conv);
	if (!err)
		err = window_read(call, call->inputs[0], call->inputs[1]->dims + 2, false, &conv.window);
	if (!err)
		err = epilogue_read(call, &conv.epilogue);
	if (err)
		return err;
	rank = window_output_dims(&conv.window, conv.batch, conv.channels * conv.group, dims);
	err = op_output(call, 0, call->inputs[0]->dtype, rank, dims);
	if (err || !op_wanted(call, 0) || !tensor_count(call->outputs[0]))
		return err;
	if (call->inputs[0]->dtype == DTYPE_F64)
		return run_f64(call, &conv);
	if (residual && !tensor_same_shape(residual, call->outputs[0]))
		return op_fail(call, -EINVAL, "%s: input 3 (the residual) has another shape than the output",
			       call->node->op_type);
	conv.y = call->outputs[0]->data;
	conv.in_count = window_in_count(&conv.window);
	conv.out_count = window_out_count(&conv.window);
	if (residual) {
		conv.epilogue.residual = residual->data;
		conv.epilogue.residual_stride = conv.out_count;
	}
	if (conv.inputs == 1 && conv.channels <= 4)
		return conv_depthwise(call, &conv.window, conv.batch * conv.group, conv.group, conv.channels, conv.x,
				      conv.w, &conv.epilogue, conv.y);
	return run_product(call, &conv);
}

static int prepare_conv(const struct op_node *node, const struct tensor *const *constants, void **out)
{
	const struct tensor *w = constants[1];
	int64_t group = op_attr_int(node, "group", 1), depth = 1;
	struct conv_state *state;
	int err;

	/* Anything odd is left to run_conv(), which says what is wrong. */
	if (!w || w->dtype != DTYPE_F32 || w->rank < 3 || group < 1 || w->dims[0] % group || !tensor_count(w) ||
	    (w->dims[1] == 1 && w->dims[0] / group <= 4))
		return 0;
	for (int i = 1; i < w->rank; i++)
		depth *= w->dims[i];
	state = calloc(1, sizeof(*state));
	if (!state)
		return -ENOMEM;
	err = pack_weight(w->data, group, w->dims[0] / group, depth, &state->group_size, &state->packed);
	if (err) {
		free(state);
		return err;
	}
	*out = state;
	return 0;
}

static void release_conv(void *arg)
{
	struct conv_state *state = arg;

	free(state->packed);
	free(state);
}

const struct op_kernel ops_conv[] = {
	{"", "Conv", 1, 0, 2, 3, 1, 1, run_conv, prepare_conv, release_conv, &op_half_in_f32},
	{"com.microsoft", "FusedConv", 1, 0, 2, 4, 1, 1, run_conv, prepare_conv, release_conv, &op_half_in_f32},
};
const size_t ops_conv_count = sizeof(ops_conv) / sizeof(ops_conv[0]);
