// SPDX-License-Identifier: MIT
/*
 * ConvTranspose: the product of the transposed weight [channels * taps, inputs] with the image [inputs, pixels] gives
 * what each input pixel adds under each tap; adding those up where they overlap is the output.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/conv_f64.h"
#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/scratch.h"
#include "runtime/cpu/sgemm.h"
#include "runtime/cpu/window.h"

/* Product memory to use at once: as many planes as fit, at least one. */
#define PRODUCT_LIMIT ((int64_t)64 << 20)

/* What is prepared of a constant weight: as in struct transpose. */
struct transpose_state {
	float *packed;
	size_t group_size;
};

struct transpose {
	/* The window's input is the small side: output = input * stride + tap * dilation - pad_lo. */
	struct window window;
	int64_t batch, group;
	int64_t inputs, channels; /* of one group */
	int64_t in_count, out_count, taps;
	const float *x, *w, *bias;
	float *y;
	const float *packed; /* all groups, group_size bytes each */
	size_t group_size;
	float *product; /* [planes at once][channels * taps][in_count]; a plane is one group of one image */
	int64_t first_plane;
	int64_t block_rows, block_columns, row_blocks, column_blocks;
	atomic_int err;
};

static void multiply_block(void *arg, size_t index)
{
	struct transpose *t = arg;
	int64_t i = (int64_t)index, column = i % t->column_blocks * t->block_columns, row, slot, plane, err;
	struct sgemm_matrix image = {.row_stride = t->in_count, .column_stride = 1};
	struct sgemm product = {
		.m = t->channels * t->taps,
		.n = t->in_count,
		.k = t->inputs,
		.fill_b = sgemm_fill_matrix,
		.arg = &image,
		.c_stride = t->in_count,
	};

	i /= t->column_blocks;
	row = i % t->row_blocks * t->block_rows;
	slot = i / t->row_blocks;
	plane = t->first_plane + slot;
	image.b = t->x + plane * t->inputs * t->in_count;
	product.a = t->packed + (size_t)(plane % t->group) * (t->group_size / sizeof(float));
	product.c = t->product + slot * product.m * product.n;
	err = sgemm_block(&product, row, product.m - row < t->block_rows ? product.m - row : t->block_rows, column,
			  product.n - column < t->block_columns ? product.n - column : t->block_columns);
	if (err)
		atomic_store_explicit(&t->err, (int)err, memory_order_relaxed);
}

CPU_CLONES static void add_row(int64_t count, const float *from, float *to, int64_t stride)
{
	if (stride == 1)
		for (int64_t i = 0; i < count; i++)
			to[i] += from[i];
	else
		for (int64_t i = 0; i < count; i++)
			to[i * stride] += from[i];
}

/* Inputs [*first, *last) of @axis that reach the output under tap @k. */
static void input_range(const struct window *w, int axis, int64_t k, int64_t *first, int64_t *last)
{
	int64_t offset = k * w->dilation[axis] - w->pad_lo[axis], stride = w->stride[axis],
		room = w->out[axis] - offset;

	*first = offset < 0 ? (-offset + stride - 1) / stride : 0;
	*last = room <= 0 ? 0 : (room + stride - 1) / stride;
	if (*last > w->in[axis])
		*last = w->in[axis];
}

static void add_tap(const struct window *w, const int64_t *k, const float *from, float *y)
{
	int64_t first[3], last[3], origin[3];

	for (int a = 0; a < 3; a++) {
		input_range(w, a, k[a], &first[a], &last[a]);
		origin[a] = k[a] * w->dilation[a] - w->pad_lo[a];
	}
	if (first[2] >= last[2])
		return;
	for (int64_t z = first[0]; z < last[0]; z++)
		for (int64_t row = first[1]; row < last[1]; row++) {
			int64_t oz = z * w->stride[0] + origin[0], oy = row * w->stride[1] + origin[1];
			int64_t ox = first[2] * w->stride[2] + origin[2];

			add_row(last[2] - first[2], from + (z * w->in[1] + row) * w->in[2] + first[2],
				y + (oz * w->out[1] + oy) * w->out[2] + ox, w->stride[2]);
		}
}

static void add_channel(void *arg, size_t index)
{
	struct transpose *t = arg;
	const struct window *w = &t->window;
	int64_t slot = (int64_t)index / t->channels, channel = (int64_t)index % t->channels,
		plane = t->first_plane + slot;
	float *y = t->y + (plane * t->channels + channel) * t->out_count;
	float bias = t->bias ? t->bias[plane % t->group * t->channels + channel] : 0;

	for (int64_t i = 0; i < t->out_count; i++)
		y[i] = bias;
	for (int64_t tap = 0; tap < t->taps; tap++) {
		int64_t k[3] = {tap / (w->kernel[1] * w->kernel[2]), tap / w->kernel[2] % w->kernel[1],
				tap % w->kernel[2]};

		add_tap(w, k, t->product + (((slot * t->channels) + channel) * t->taps + tap) * t->in_count, y);
	}
}

/* Bytes of all groups' packed weights, a multiple of 64; 0: too many. @rows: channels * taps of a group. */
static size_t packed_bytes(int64_t rows, int64_t inputs, int64_t group, size_t *group_size)
{
	*group_size = sgemm_packed_size(rows, inputs);
	if (!*group_size || *group_size > (size_t)PTRDIFF_MAX / (size_t)group - 64)
		return 0;
	return (*group_size * (size_t)group + 63) / 64 * 64;
}

/* The weight is [inputs, channels * taps]: its transpose is packed. */
static void pack_weight(const float *w, int64_t rows, int64_t inputs, int64_t group, size_t group_size, float *packed)
{
	for (int64_t g = 0; g < group; g++)
		sgemm_pack(rows, inputs, w + g * inputs * rows, 1, rows,
			   packed + (size_t)g * (group_size / sizeof(float)));
}

/* As prepared, or packed now. */
static int find_packed(const struct op_call *call, struct transpose *t)
{
	const struct transpose_state *state = call->state;
	int64_t rows = t->channels * t->taps;
	float *packed;
	size_t bytes;

	if (state) {
		t->packed = state->packed;
		t->group_size = state->group_size;
		return 0;
	}
	bytes = packed_bytes(rows, t->inputs, t->group, &t->group_size);
	packed = bytes ? scratch_get_for(SCRATCH_ADDEND, bytes) : NULL;
	if (!packed)
		return -ENOMEM;
	pack_weight(t->w, rows, t->inputs, t->group, t->group_size, packed);
	t->packed = packed;
	return 0;
}

static int multiply_and_add(struct op_call *call, struct transpose *t)
{
	int64_t planes = t->batch * t->group, rows = t->channels * t->taps, at_once, bytes;
	int err;

	if (__builtin_mul_overflow(rows, t->in_count, &bytes) ||
	    __builtin_mul_overflow(bytes, (int64_t)sizeof(float), &bytes))
		return -EOVERFLOW;
	at_once = bytes && PRODUCT_LIMIT / bytes > 1 ? PRODUCT_LIMIT / bytes : 1;
	if (at_once > planes)
		at_once = planes;
	err = find_packed(call, t);
	if (err)
		return err;
	t->product = scratch_get_for(SCRATCH_IMAGE, (size_t)bytes * (size_t)at_once);
	if (!t->product)
		return -ENOMEM;
	sgemm_split(rows, t->in_count, at_once, cpu_pool_threads(call->pool), &t->block_rows, &t->block_columns);
	t->row_blocks = (rows + t->block_rows - 1) / t->block_rows;
	t->column_blocks = (t->in_count + t->block_columns - 1) / t->block_columns;
	for (t->first_plane = 0; t->first_plane < planes && !err; t->first_plane += at_once) {
		int64_t count = planes - t->first_plane < at_once ? planes - t->first_plane : at_once;

		cpu_pool_for(call->pool, (size_t)(count * t->row_blocks * t->column_blocks), multiply_block, t);
		cpu_pool_for(call->pool, (size_t)(count * t->channels), add_channel, t);
		err = atomic_load(&t->err);
	}
	return err;
}

static int check_inputs(struct op_call *call, struct transpose *t)
{
	const struct tensor *x = call->inputs[0], *w = call->inputs[1], *bias = op_input(call, 2);
	int64_t group = op_attr_int(call->node, "group", 1);

	for (size_t i = 0; i < call->node->num_inputs; i++)
		if (call->inputs[i] &&
		    (call->inputs[i]->dtype != x->dtype || (x->dtype != DTYPE_F32 && x->dtype != DTYPE_F64)))
			return op_fail(call, -EINVAL,
				       "ConvTranspose: input %zu is %s, expected one float type for all inputs", i,
				       dtype_name(call->inputs[i]->dtype));
	if (x->rank < 3 || w->rank != x->rank)
		return op_fail(call, -EINVAL,
			       "ConvTranspose: the input has rank %d, the weight %d; both must be equal and at least 3",
			       x->rank, w->rank);
	if (group < 1 || x->dims[1] != w->dims[0] || x->dims[1] % group)
		return op_fail(call, -EINVAL,
			       "ConvTranspose: %lld input channels, a weight for %lld and group %lld do not fit",
			       (long long)x->dims[1], (long long)w->dims[0], (long long)group);
	if (bias && (bias->rank != 1 || bias->dims[0] / group != w->dims[1] || bias->dims[0] % group))
		return op_fail(call, -EINVAL, "ConvTranspose: the bias must be [%lld * %lld]", (long long)w->dims[1],
			       (long long)group);
	t->batch = x->dims[0];
	t->group = group;
	t->inputs = x->dims[1] / group;
	t->channels = w->dims[1];
	t->x = x->data;
	t->w = w->data;
	t->bias = bias ? bias->data : NULL;
	return 0;
}

static int run_conv_transpose(struct op_call *call)
{
	struct transpose t = {0};
	int64_t dims[TENSOR_MAX_RANK], channels;
	int rank, err;

	err = check_inputs(call, &t);
	if (!err)
		err = window_read_transpose(call, call->inputs[0], call->inputs[1]->dims + 2, &t.window);
	if (err)
		return err;
	if (__builtin_mul_overflow(t.channels, t.group, &channels))
		return op_fail(call, -EOVERFLOW, "ConvTranspose: too many output channels");
	rank = window_output_dims(&t.window, t.batch, channels, dims);
	err = op_output(call, 0, call->inputs[0]->dtype, rank, dims);
	if (err || !op_wanted(call, 0) || !tensor_count(call->outputs[0]))
		return err;
	if (call->inputs[0]->dtype == DTYPE_F64) {
		const struct conv_f64 job = {
			.window = &t.window,
			.batch = t.batch,
			.group = t.group,
			.inputs = t.inputs,
			.channels = t.channels,
			.x = call->inputs[0]->data,
			.w = call->inputs[1]->data,
			.bias = op_input(call, 2) ? op_input(call, 2)->data : NULL,
			.y = call->outputs[0]->data,
		};

		conv_transpose_f64(&job, call->pool);
		return 0;
	}
	t.y = call->outputs[0]->data;
	t.in_count = window_in_count(&t.window);
	t.out_count = window_out_count(&t.window);
	t.taps = window_taps(&t.window);
	if (!t.inputs || !t.in_count) {
		/* Nothing to add: only the bias is left. */
		for (int64_t i = 0; i < tensor_count(call->outputs[0]); i++)
			t.y[i] = t.bias ? t.bias[i / t.out_count % channels] : 0;
		return 0;
	}
	return multiply_and_add(call, &t);
}

static int prepare_conv_transpose(const struct op_node *node, const struct tensor *const *constants, void **out)
{
	const struct tensor *w = constants[1];
	int64_t group = op_attr_int(node, "group", 1), rows = 1;
	struct transpose_state *state;
	size_t bytes;

	/* Anything odd is left to run_conv_transpose(), which says what is wrong. */
	if (!w || w->dtype != DTYPE_F32 || w->rank < 3 || group < 1 || w->dims[0] % group || !tensor_count(w))
		return 0;
	for (int i = 1; i < w->rank; i++)
		rows *= w->dims[i];
	state = calloc(1, sizeof(*state));
	if (!state)
		return -ENOMEM;
	bytes = packed_bytes(rows, w->dims[0] / group, group, &state->group_size);
	state->packed = bytes ? aligned_alloc(64, bytes) : NULL;
	if (!state->packed) {
		free(state);
		return -ENOMEM;
	}
	pack_weight(w->data, rows, w->dims[0] / group, group, state->group_size, state->packed);
	*out = state;
	return 0;
}

static void release_conv_transpose(void *arg)
{
	struct transpose_state *state = arg;

	free(state->packed);
	free(state);
}

const struct op_kernel ops_conv_transpose[] = {
	{"", "ConvTranspose", 1, 0, 2, 3, 1, 1, run_conv_transpose, prepare_conv_transpose, release_conv_transpose,
	 &op_half_in_f32},
};
const size_t ops_conv_transpose_count = sizeof(ops_conv_transpose) / sizeof(ops_conv_transpose[0]);
