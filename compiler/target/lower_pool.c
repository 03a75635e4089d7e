/* SPDX-License-Identifier: MIT */
/*
 * MaxPool and AveragePool: reductions over overlapping views of a padded image in the scratchpad.
 *
 * A window is two more dimensions of a view: element (oh, ow, kh, kw, c) of the input lies at (oh * sh + kh * dh, ow *
 * sw + kw * dw, c), so one vector reduction does a stripe of output rows. The load pipe pads: with -inf for the
 * maximum, 0 for the mean. ONNX Operators: MaxPool-12, AveragePool-19.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/target/arith.h"
#include "compiler/target/cost.h"
#include "compiler/target/lower_matrix.h"
#include "compiler/target/lower_loop.h"
#include "compiler/target/lower_pool.h"
#include "compiler/target/resident.h"

static void spatial_ints(const struct op_node *node, const char *name, int spatial, int64_t *out)
{
	const int64_t *values;
	size_t count = op_attr_ints(node, name, &values);

	for (int i = 0; i < 2; i++)
		out[i] = i < spatial && (size_t)i < count ? values[i] : 1;
}

bool pool_is_quantized(const struct graph_node *node)
{
	return !strcmp(node->op_type, "QLinearAveragePool") || !strcmp(node->op_type, "QLinearGlobalAveragePool");
}

int pool_read(const struct graph_node *node, struct pool *pool, char *reason, size_t size)
{
	const struct graph_value *x = node->inputs[0], *y = node->outputs[0];
	struct op_node op = graph_op_node(node);
	const int64_t *pads;
	size_t count;
	bool global;

	memset(pool, 0, sizeof(*pool));
	if (!graph_value_is_static(x) || !graph_value_is_static(y))
		return refuse(reason, size, "its shapes are not known at compile time; bind the symbolic dimensions");
	if (x->dtype != DTYPE_F32 && x->dtype != DTYPE_F16 && x->dtype != DTYPE_BF16 &&
	    !((!strcmp(node->op_type, "MaxPool") || pool_is_quantized(node)) &&
	      (x->dtype == DTYPE_U8 || x->dtype == DTYPE_S8)))
		return refuse(reason, size, "pooling of this type");
	pool->spatial = x->rank - 2;
	if (pool->spatial < 1 || pool->spatial > 2)
		return refuse(reason, size, "the device pools 1-D and 2-D images only");
	if (node->num_outputs > 1 && node->outputs[1])
		return refuse(reason, size, "its indices output is used");
	if (dims_count(x->rank, x->dims) <= 0 || dims_count(y->rank, y->dims) <= 0)
		return refuse(reason, size, "an empty image");
	pool->average = strcmp(node->op_type, "MaxPool") != 0;
	global = strstr(node->op_type, "Global") != NULL;
	pool->include_pad = op_attr_int(&op, "count_include_pad", 0) != 0;
	spatial_ints(&op, "kernel_shape", pool->spatial, pool->kernel);
	spatial_ints(&op, "strides", pool->spatial, pool->stride);
	spatial_ints(&op, "dilations", pool->spatial, pool->dilation);
	count = op_attr_ints(&op, "pads", &pads);
	for (int i = 0; i < 2; i++) {
		bool real = i < pool->spatial;
		bool upper = op_attr_is(&op, "auto_pad", "NOTSET", "SAME_UPPER");
		bool lower = op_attr_is(&op, "auto_pad", "NOTSET", "SAME_LOWER");
		int64_t span, total;

		pool->in[i] = real ? x->dims[2 + i] : 1;
		if (global)
			pool->kernel[i] = pool->in[i];
		span = (pool->kernel[i] - 1) * pool->dilation[i] + 1;
		pool->out[i] = real ? y->dims[2 + i] : 1;
		if (real && count == 2 * (size_t)pool->spatial) {
			pool->begin[i] = pads[i];
			pool->end[i] = pads[i + pool->spatial];
		}
		if (real && (upper || lower)) {
			total = (pool->out[i] - 1) * pool->stride[i] + span - pool->in[i];
			total = total > 0 ? total : 0;
			pool->begin[i] = upper ? total / 2 : total - total / 2;
			pool->end[i] = total - pool->begin[i];
		}
		if (pool->kernel[i] > 65535 || pool->begin[i] < 0 || pool->begin[i] > 60000)
			return refuse(reason, size, "kernel or padding out of range");
	}
	return 0;
}

/* Input rows and columns that @count outputs need, padding included. */
static int64_t extent(const struct pool *pool, int i, int64_t count)
{
	return (count - 1) * pool->stride[i] + (pool->kernel[i] - 1) * pool->dilation[i] + 1;
}

/* Bytes of scratchpad for @rows output rows and @channels. */
static int64_t stripe_bytes(const struct pool *pool, int64_t rows, int64_t channels, int64_t size)
{
	return (extent(pool, 0, rows) * extent(pool, 1, pool->out[1]) + 2 * rows * pool->out[1]) * channels * size +
	       256;
}

static int pool_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			 char *reason, size_t size)
{
	struct pool pool;
	int err = pool_read(node, &pool, reason, size);

	(void)precision;
	if (!err && stripe_bytes(&pool, 1, 1, 4) > target->spad_bytes / 2)
		return refuse(reason, size, "one row of windows does not fit the scratchpad");
	return err;
}

int64_t pool_count(const struct pool *pool, int axis, int64_t at)
{
	int64_t first = at * pool->stride[axis] - pool->begin[axis], count = 0;
	int64_t low = pool->include_pad ? -pool->begin[axis] : 0;
	int64_t high = pool->in[axis] + (pool->include_pad ? pool->end[axis] : 0);

	for (int64_t k = 0; k < pool->kernel[axis]; k++)
		count += first + k * pool->dilation[axis] >= low && first + k * pool->dilation[axis] < high;
	return count ? count : 1;
}

/* 1 / (elements under the window) for every output position, as ONNX counts them. */
static int divisors(struct lower *lower, const struct pool *pool, struct dev_tensor *table)
{
	int64_t dims[4] = {1, pool->out[0], pool->out[1], 1};
	float *values = malloc((size_t)(pool->out[0] * pool->out[1]) * sizeof(float));

	if (!values)
		return -ENOMEM;
	for (int64_t h = 0; h < pool->out[0]; h++)
		for (int64_t w = 0; w < pool->out[1]; w++) {
			values[h * pool->out[1] + w] = (float)(pool_count(pool, 0, h) * pool_count(pool, 1, w));
		}
	*table = tensor_of_floats(lower, 4, dims, values);
	free(values);
	return table->place.buf ? 0 : -ENOMEM;
}

/* Windows of a fetched stripe as dimensions: [oh][ow][kh][kw][c]. */
static struct spad_view window_view(const struct pool *pool, const struct spad_view *stripe, int64_t rows,
				    int64_t channels)
{
	struct spad_view view = *stripe;
	const int64_t dims[5] = {rows, pool->out[1], pool->kernel[0], pool->kernel[1], channels};

	view.rank = 5;
	memcpy(view.dims, dims, sizeof(dims));
	view.stride[0] = stripe->stride[H] * pool->stride[0];
	view.stride[1] = stripe->stride[W] * pool->stride[1];
	view.stride[2] = stripe->stride[H] * pool->dilation[0];
	view.stride[3] = stripe->stride[W] * pool->dilation[1];
	view.stride[4] = stripe->stride[C];
	return view;
}

/* An [1][rows][ow][channels] view as the five dimensions of the window, kernel ones of size 1. */
struct spad_view pool_flat_view(const struct spad_view *out)
{
	struct spad_view view = *out;

	view.rank = 5;
	view.dims[0] = out->dims[H];
	view.dims[1] = out->dims[W];
	view.dims[2] = view.dims[3] = 1;
	view.dims[4] = out->dims[C];
	view.stride[0] = out->stride[H];
	view.stride[1] = out->stride[W];
	view.stride[2] = view.stride[3] = 0;
	view.stride[4] = out->stride[C];
	return view;
}

static int pool_stripe(struct lower *lower, const struct pool_run *run, unsigned int tile, int64_t image, int64_t h0,
		       int64_t rows, int64_t c0, int64_t channels)
{
	static const int order[4] = {N, H, W, C}, flat[5] = {0, 1, 2, 3, 4};
	const struct pool *pool = &run->pool;
	struct lower_box box = {.start = {image, h0 * pool->stride[0] - pool->begin[0], -pool->begin[1], c0},
				.size = {1, extent(pool, 0, rows), extent(pool, 1, pool->out[1]), channels}};
	int64_t dims[4] = {1, rows, pool->out[1], channels}, window[5];
	struct vec_args args = {.op = pool->average ? AXL_VEC_RSUM : AXL_VEC_RMAX, .reduce = 1u << 2 | 1u << 3};
	struct spad_view stripe, sum, out, windows, flat_sum, flat_out, divisor;
	int err = lower_fetch(lower, &run->x, &box, tile, 0, run->type, order, run->fill, AXL_PIPE_LOAD,
			      AXL_PURPOSE_ACTIVATION, &stripe);

	if (!err)
		err = lower_spad(lower, tile, run->y.type, 4, dims, order, "pooled", &out);
	if (err)
		return err;
	windows = window_view(pool, &stripe, rows, channels);
	memcpy(window, windows.dims, sizeof(window));
	flat_out = pool_flat_view(&out);
	if (!pool->average) {
		err = vec_append(lower, tile, &args, 5, window, flat, &flat_out, &windows, NULL);
	} else {
		struct lower_box part = {.start = {0, h0, 0, 0}, .size = {1, rows, pool->out[1], 1}};
		struct vec_args divide = {.op = AXL_VEC_DIV};
		struct spad_view flat_divisor;

		err = lower_spad(lower, tile, AXL_TYPE_F32, 4, dims, order, "sum", &sum);
		if (!err)
			err = lower_fetch(lower, &run->table, &part, tile, 0, AXL_TYPE_F32, order, 0, AXL_PIPE_LOAD,
					  AXL_PURPOSE_WEIGHT, &divisor);
		if (err)
			return err;
		flat_sum = pool_flat_view(&sum);
		flat_divisor = pool_flat_view(&divisor);
		err = vec_append(lower, tile, &args, 5, window, flat, &flat_sum, &windows, NULL);
		if (!err)
			err = vec_append(lower, tile, &divide, 5, flat_out.dims, flat, &flat_out, &flat_sum,
					 &flat_divisor);
	}
	box = (struct lower_box){.start = {image, h0, 0, c0}, .size = {1, rows, pool->out[1], channels}};
	return err ? err : lower_commit(lower, &run->y, &box, &out);
}

/* Rows of a stripe so that there are several: what comes next starts while the last are made. */
static int64_t overlapping_rows(int64_t rows, int64_t bytes_row)
{
	int64_t least = 16384 / MAX(bytes_row, 1) + 1, share = (rows + 7) / 8;

	return MIN(rows, MAX(share, least));
}

/* Stripes of output rows, channels cut only where one row of all of them does not fit twice. */
static int run_pool(struct lower *lower, const struct pool_run *run)
{
	const struct pool *pool = &run->pool;
	int64_t channels = run->x.dims[C], rows = pool->out[0];
	int64_t budget = ((int64_t)lower->target->spad_bytes - (int64_t)lower->resident.bytes) / 2;
	bool in_place = !pool->average && tensor_is_resident(lower, &run->x);
	int64_t tiles = lower->target->tiles, share = (rows + tiles - 1) / tiles;
	unsigned int tile = 0;

	/* Large stripes again in four, so that transfers run beside the pooling. */
	if (tiles > 1 && stripe_bytes(pool, share, channels, 4) > 65536)
		share = (share + 3) / 4;

	while (!in_place && channels > 1 && stripe_bytes(pool, 1, channels, 4) > budget)
		channels = (channels + 1) / 2;
	while (rows > 1 && (stripe_bytes(pool, rows, channels, 4) > budget ||
			    (tiles > 1 && channels >= run->x.dims[C] && rows > share)))
		rows = (rows + 1) / 2;
	rows = MIN(rows, overlapping_rows(pool->out[0], pool->out[1] * channels * pool->kernel[0] * pool->kernel[1]));
	for (int64_t image = 0; image < run->x.dims[N]; image++)
		for (int64_t c0 = 0; c0 < run->x.dims[C]; c0 += channels)
			for (int64_t h0 = 0; h0 < pool->out[0]; h0 += rows) {
				int64_t height = MIN(rows, pool->out[0] - h0);
				bool paused;
				int err = resident_pause(
					lower, lower->estimates[lower->at] * (uint64_t)height / (uint64_t)pool->out[0],
					&paused);

				if (!err && in_place)
					err = max_in_place(lower, run, image, h0, height);
				else if (!err)
					err = pool_stripe(lower, run, tile, image, h0, height, c0,
							  MIN(channels, run->x.dims[C] - c0));

				if (err)
					return err;
				tile = (tile + 1) % lower->target->tiles;
			}
	return 0;
}

/* Largest elements: what the load pipe pads with has to be less than all of them. */
static uint32_t lowest(enum axl_type type)
{
	static const uint32_t bits[AXL_NUM_TYPES] = {
		[AXL_TYPE_S8] = 0x80, [AXL_TYPE_F16] = 0xfc00, [AXL_TYPE_BF16] = 0xff80, [AXL_TYPE_F32] = 0xff800000};

	return bits[type];
}

static int pool_lower(struct lower *lower, struct graph_node *node)
{
	static const int order_2d[4] = {0, 2, 3, 1}, order_1d[3] = {0, 2, 1};
	struct pool_run run = {.node = node};
	const struct dev_tensor *x, *y;
	int err = pool_read(node, &run.pool, lower->error, sizeof(lower->error));

	if (err)
		return err;
	if (run.pool.average && average_takes(lower, node))
		return average_lower(lower, node);
	y = lower_output_resident(lower, node->outputs[0], run.pool.spatial == 2 ? order_2d : order_1d);
	if (y && max_cuts(&run.pool, lower->target)) {
		run.x_cut = cut_find(lower, node->inputs[0]);
		if (run.x_cut && (run.x_cut->images || run.x_cut->channels))
			run.x_cut = NULL;
		run.y_cut = cut_take(lower, node->outputs[0], CUT_EXCHANGED) ? cut_find(lower, node->outputs[0]) : NULL;
	}
	x = run.x_cut ? &lower->tensors[node->inputs[0]->id] : lower_tensor(lower, node->inputs[0]);
	if (!x || !y)
		return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
	run.x = matrix_image(x);
	run.y = matrix_image(y);
	run.type = lower_type(lower, node->inputs[0]->dtype);
	if (!run.pool.average)
		run.fill = lowest(run.type);
	else
		err = divisors(lower, &run.pool, &run.table);
	if (err)
		return lower_fail(lower, node, err, "out of memory");
	return run.x_cut || run.y_cut ? max_parts(lower, &run) : run_pool(lower, &run);
}

static uint64_t pool_cycles(const struct graph_node *node, const struct target *target, enum lower_precision precision)
{
	struct pool pool;
	char reason[8];
	uint64_t outputs = (uint64_t)dims_count(node->outputs[0]->rank, node->outputs[0]->dims);
	enum dtype type = node->inputs[0]->dtype;
	unsigned int size = !dtype_is_float(type) ? (unsigned int)dtype_size(type) : precision == LOWER_F32 ? 4 : 2;

	if (pool_read(node, &pool, reason, sizeof(reason)))
		return 0;
	if (pool.average && average_fits_matrix(node, &pool))
		return average_cycles(node, target, precision);
	return cost_vec(AXL_VEC_RMAX, outputs * (uint64_t)(pool.kernel[0] * pool.kernel[1]), size, 1) / target->tiles +
	       2 * target->dram_latency;
}

extern const struct lower_op lower_ops_pool[];
const struct lower_op lower_ops_pool[] = {
	{"", "MaxPool", pool_supports, pool_lower, pool_cycles},
	{"", "AveragePool", pool_supports, pool_lower, pool_cycles},
	{NULL, NULL, NULL, NULL, NULL},
};
