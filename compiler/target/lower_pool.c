/* SPDX-License-Identifier: MIT */
/*
 * MaxPool, AveragePool and LRN: reductions over overlapping views of a padded image in the scratchpad.
 *
 * A window is two more dimensions of a view: element (oh, ow, kh, kw, c) of the input lies at (oh * sh + kh * dh, ow *
 * sw + kw * dw, c), so one vector reduction does a stripe of output rows. The load pipe pads: with -inf for the
 * maximum, 0 for the mean. ONNX Operators: MaxPool-12, AveragePool-19, LRN-13.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/target/cost.h"
#include "compiler/target/lower_loop.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))

enum { N, H, W, C };

/* 2-D geometry; 1-D pools have one column. */
struct pool {
	int spatial;
	int64_t kernel[2], stride[2], dilation[2], begin[2], end[2], in[2], out[2];
	bool average, include_pad;
};

static int refuse(char *reason, size_t size, const char *text)
{
	snprintf(reason, size, "%s", text);
	return -ENOTSUP;
}

static void spatial_ints(const struct op_node *node, const char *name, int spatial, int64_t *out)
{
	const int64_t *values;
	size_t count = op_attr_ints(node, name, &values);

	for (int i = 0; i < 2; i++)
		out[i] = i < spatial && (size_t)i < count ? values[i] : 1;
}

static int read_pool(const struct graph_node *node, struct pool *pool, char *reason, size_t size)
{
	const struct graph_value *x = node->inputs[0], *y = node->outputs[0];
	struct op_node op = graph_op_node(node);
	const int64_t *pads;
	size_t count;

	memset(pool, 0, sizeof(*pool));
	if (!graph_value_is_static(x) || !graph_value_is_static(y))
		return refuse(reason, size, "its shapes are not known at compile time; bind the symbolic dimensions");
	if (x->dtype != DTYPE_F32 && x->dtype != DTYPE_F16 && x->dtype != DTYPE_BF16 &&
	    !(!strcmp(node->op_type, "MaxPool") && (x->dtype == DTYPE_U8 || x->dtype == DTYPE_S8)))
		return refuse(reason, size, "pooling of this type");
	pool->spatial = x->rank - 2;
	if (pool->spatial < 1 || pool->spatial > 2)
		return refuse(reason, size, "the device pools 1-D and 2-D images only");
	if (node->num_outputs > 1 && node->outputs[1])
		return refuse(reason, size, "its indices output is used");
	if (dims_count(x->rank, x->dims) <= 0 || dims_count(y->rank, y->dims) <= 0)
		return refuse(reason, size, "an empty image");
	pool->average = !strcmp(node->op_type, "AveragePool");
	pool->include_pad = op_attr_int(&op, "count_include_pad", 0) != 0;
	spatial_ints(&op, "kernel_shape", pool->spatial, pool->kernel);
	spatial_ints(&op, "strides", pool->spatial, pool->stride);
	spatial_ints(&op, "dilations", pool->spatial, pool->dilation);
	count = op_attr_ints(&op, "pads", &pads);
	for (int i = 0; i < 2; i++) {
		bool real = i < pool->spatial;
		bool upper = op_attr_is(&op, "auto_pad", "NOTSET", "SAME_UPPER");
		bool lower = op_attr_is(&op, "auto_pad", "NOTSET", "SAME_LOWER");
		int64_t span = (pool->kernel[i] - 1) * pool->dilation[i] + 1, total;

		pool->in[i] = real ? x->dims[2 + i] : 1;
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
	int err = read_pool(node, &pool, reason, size);

	(void)precision;
	if (!err && stripe_bytes(&pool, 1, 1, 4) > target->spad_bytes / 2)
		return refuse(reason, size, "one row of windows does not fit the scratchpad");
	return err;
}

/* [N][C][W] or [N][C][H][W] as [N][H][W][C]. */
static struct dev_tensor image_view(const struct dev_tensor *tensor)
{
	struct dev_tensor view = {.type = tensor->type, .rank = 4, .place = tensor->place};
	int wide = tensor->rank == 4;

	view.dims[N] = tensor->dims[0];
	view.stride[N] = tensor->stride[0];
	view.dims[C] = tensor->dims[1];
	view.stride[C] = tensor->stride[1];
	view.dims[H] = tensor->dims[2];
	view.stride[H] = tensor->stride[2];
	view.dims[W] = wide ? tensor->dims[3] : 1;
	view.stride[W] = wide ? tensor->stride[3] : 0;
	return view;
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
			int64_t at[2] = {h, w}, count = 1;

			for (int i = 0; i < 2; i++) {
				int64_t first = at[i] * pool->stride[i] - pool->begin[i], n = 0;
				int64_t low = pool->include_pad ? -pool->begin[i] : 0;
				int64_t high = pool->in[i] + (pool->include_pad ? pool->end[i] : 0);

				for (int64_t k = 0; k < pool->kernel[i]; k++)
					n += first + k * pool->dilation[i] >= low &&
					     first + k * pool->dilation[i] < high;
				count *= n;
			}
			values[h * pool->out[1] + w] = (float)(count ? count : 1);
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
static struct spad_view flat_view(const struct spad_view *out)
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

struct pool_run {
	const struct graph_node *node;
	struct pool pool;
	struct dev_tensor x, y, table;
	enum axl_type type; /* of the input in the scratchpad */
	uint32_t fill;
};

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
	flat_out = flat_view(&out);
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
		flat_sum = flat_view(&sum);
		flat_divisor = flat_view(&divisor);
		err = vec_append(lower, tile, &args, 5, window, flat, &flat_sum, &windows, NULL);
		if (!err)
			err = vec_append(lower, tile, &divide, 5, flat_out.dims, flat, &flat_out, &flat_sum,
					 &flat_divisor);
	}
	box = (struct lower_box){.start = {image, h0, 0, c0}, .size = {1, rows, pool->out[1], channels}};
	return err ? err : lower_commit(lower, &run->y, &box, &out);
}

/* Stripes of output rows, channels cut only where one row of all of them does not fit twice. */
static int run_pool(struct lower *lower, const struct pool_run *run)
{
	const struct pool *pool = &run->pool;
	int64_t channels = run->x.dims[C], rows = pool->out[0], budget = lower->target->spad_bytes / 2;
	int64_t tiles = lower->target->tiles, share = (rows + tiles - 1) / tiles;
	unsigned int tile = 0;

	/* Large stripes again in four, so that transfers run beside the pooling. */
	if (tiles > 1 && stripe_bytes(pool, share, channels, 4) > 65536)
		share = (share + 3) / 4;

	while (channels > 1 && stripe_bytes(pool, 1, channels, 4) > budget)
		channels = (channels + 1) / 2;
	while (rows > 1 && (stripe_bytes(pool, rows, channels, 4) > budget ||
			    (tiles > 1 && channels >= run->x.dims[C] && rows > share)))
		rows = (rows + 1) / 2;
	for (int64_t image = 0; image < run->x.dims[N]; image++)
		for (int64_t c0 = 0; c0 < run->x.dims[C]; c0 += channels)
			for (int64_t h0 = 0; h0 < pool->out[0]; h0 += rows) {
				int err = pool_stripe(lower, run, tile, image, h0, MIN(rows, pool->out[0] - h0), c0,
						      MIN(channels, run->x.dims[C] - c0));

				if (err)
					return err;
				tile = (tile + 1) % lower->target->tiles;
			}
	return 0;
}

static int pool_lower(struct lower *lower, struct graph_node *node)
{
	static const int order_2d[4] = {0, 2, 3, 1}, order_1d[3] = {0, 2, 1};
	struct pool_run run = {.node = node};
	const struct dev_tensor *x = lower_tensor(lower, node->inputs[0]), *y;
	int err = read_pool(node, &run.pool, lower->error, sizeof(lower->error));

	if (err)
		return err;
	y = lower_output(lower, node->outputs[0], run.pool.spatial == 2 ? order_2d : order_1d);
	if (!x || !y)
		return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
	run.x = image_view(x);
	run.y = image_view(y);
	run.type = lower_type(lower, node->inputs[0]->dtype);
	if (!run.pool.average) {
		static const uint32_t lowest[AXL_NUM_TYPES] = {[AXL_TYPE_S8] = 0x80,
							       [AXL_TYPE_F16] = 0xfc00,
							       [AXL_TYPE_BF16] = 0xff80,
							       [AXL_TYPE_F32] = 0xff800000};

		run.fill = lowest[run.type];
	} else {
		err = divisors(lower, &run.pool, &run.table);
	}
	return err ? lower_fail(lower, node, err, "out of memory") : run_pool(lower, &run);
}

static uint64_t pool_cycles(const struct graph_node *node, const struct target *target, enum lower_precision precision)
{
	struct pool pool;
	char reason[8];
	uint64_t outputs = (uint64_t)dims_count(node->outputs[0]->rank, node->outputs[0]->dims);

	(void)precision;
	if (read_pool(node, &pool, reason, sizeof(reason)))
		return 0;
	return cost_vec(AXL_VEC_RMAX, outputs * (uint64_t)(pool.kernel[0] * pool.kernel[1]), 4, 1) / target->tiles +
	       2 * target->dram_latency;
}

/* ---- LRN ---- */

static int lrn_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			char *reason, size_t size)
{
	const struct graph_value *x = node->inputs[0];

	(void)precision;
	if (!graph_value_is_static(x) || x->rank < 3 || x->rank > 4)
		return refuse(reason, size, "LRN of an image of unknown shape, or not of 1 or 2 dimensions");
	if (x->dtype != DTYPE_F32 && x->dtype != DTYPE_F16 && x->dtype != DTYPE_BF16)
		return refuse(reason, size, "LRN of this type");
	if (dims_count(x->rank, x->dims) <= 0)
		return refuse(reason, size, "an empty image");
	if (!loop_fits(target, x->dims[1] + 16, 24))
		return refuse(reason, size, "the channels of one pixel do not fit the scratchpad");
	return 0;
}

/* x / (bias + alpha / size * sum of squares over the window of channels) ^ beta. */
static int lrn_stripe(struct lower *lower, const struct graph_node *node, const struct dev_tensor *x,
		      const struct dev_tensor *y, unsigned int tile, const struct lower_box *box)
{
	static const int order[4] = {N, H, W, C}, order5[5] = {0, 1, 2, 3, 4};
	struct op_node op = graph_op_node(node);
	int64_t window = op_attr_int(&op, "size", 1), before = (window - 1) / 2, channels = box->size[C];
	int64_t padded_dims[4] = {1, box->size[H], box->size[W], channels + window - 1};
	int64_t dims5[5] = {1, box->size[H], box->size[W], channels, window}, dims[4];
	struct vec_args mul = {.op = AXL_VEC_MUL}, sum = {.op = AXL_VEC_RSUM, .reduce = 1u << 4};
	struct vec_args affine = {.op = AXL_VEC_AFFINE}, unary = {.op = AXL_VEC_LOG};
	struct lower_box padded = *box;
	struct spad_view in, square, total, out, centre, windows, total5;
	int err;

	padded.start[C] = -before;
	padded.size[C] = padded_dims[C];
	err = lower_fetch(lower, x, &padded, tile, 0, lower_type(lower, node->inputs[0]->dtype), order, 0,
			  AXL_PIPE_LOAD, AXL_PURPOSE_ACTIVATION, &in);
	if (!err)
		err = lower_spad(lower, tile, AXL_TYPE_F32, 4, padded_dims, order, "square", &square);
	memcpy(dims, box->size, sizeof(dims));
	if (!err)
		err = lower_spad(lower, tile, AXL_TYPE_F32, 4, dims, order, "sum", &total);
	if (!err)
		err = lower_spad(lower, tile, y->type, 4, dims, order, "out", &out);
	if (!err)
		err = vec_append(lower, tile, &mul, 4, padded_dims, order, &square, &in, &in);
	if (err)
		return err;
	windows = square;
	windows.rank = 5;
	windows.dims[C] = channels;
	windows.dims[4] = window;
	windows.stride[4] = square.stride[C];
	total5 = total;
	total5.rank = 5;
	total5.dims[4] = 1;
	total5.stride[4] = 0;
	err = vec_append(lower, tile, &sum, 5, dims5, order5, &total5, &windows, NULL);
	affine.imm0 = float_to_bits(op_attr_float(&op, "alpha", 1e-4f) / (float)window);
	affine.imm1 = float_to_bits(op_attr_float(&op, "bias", 1.0f));
	if (!err)
		err = vec_append(lower, tile, &affine, 4, dims, order, &total, &total, NULL);
	if (!err)
		err = vec_append(lower, tile, &unary, 4, dims, order, &total, &total, NULL);
	affine.imm0 = float_to_bits(-op_attr_float(&op, "beta", 0.75f));
	affine.imm1 = 0;
	if (!err)
		err = vec_append(lower, tile, &affine, 4, dims, order, &total, &total, NULL);
	unary.op = AXL_VEC_EXP;
	if (!err)
		err = vec_append(lower, tile, &unary, 4, dims, order, &total, &total, NULL);
	centre = in;
	centre.dims[C] = channels;
	centre.place.offset += (uint64_t)(before * in.stride[C]);
	if (!err)
		err = vec_append(lower, tile, &mul, 4, dims, order, &out, &centre, &total);
	return err ? err : lower_commit(lower, y, box, &out);
}

static int lrn_lower(struct lower *lower, struct graph_node *node)
{
	static const int order_2d[4] = {0, 2, 3, 1}, order_1d[3] = {0, 2, 1};
	const struct dev_tensor *tensor = lower_tensor(lower, node->inputs[0]), *out;
	int spatial = node->inputs[0]->rank - 2;
	struct dev_tensor x, y;
	int64_t rows;
	unsigned int tile = 0;

	out = lower_output(lower, node->outputs[0], spatial == 2 ? order_2d : order_1d);
	if (!tensor || !out)
		return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
	x = image_view(tensor);
	y = image_view(out);
	rows = x.dims[H];
	while (rows > 1 && rows * x.dims[W] * (x.dims[C] + 16) * 16 > lower->target->spad_bytes / 2)
		rows = (rows + 1) / 2;
	for (int64_t image = 0; image < x.dims[N]; image++)
		for (int64_t h = 0; h < x.dims[H]; h += rows) {
			struct lower_box box = {.start = {image, h, 0, 0},
						.size = {1, MIN(rows, x.dims[H] - h), x.dims[W], x.dims[C]}};
			int err = lrn_stripe(lower, node, &x, &y, tile, &box);

			if (err)
				return err;
			tile = (tile + 1) % lower->target->tiles;
		}
	return 0;
}

static uint64_t lrn_cycles(const struct graph_node *node, const struct target *target, enum lower_precision precision)
{
	struct op_node op = graph_op_node(node);
	uint64_t points = (uint64_t)dims_count(node->inputs[0]->rank, node->inputs[0]->dims);

	(void)precision;
	return cost_vec(AXL_VEC_RSUM, points * (uint64_t)(op_attr_int(&op, "size", 1) + 12), 4, 1) / target->tiles;
}

extern const struct lower_op lower_ops_pool[];
const struct lower_op lower_ops_pool[] = {
	{"", "MaxPool", pool_supports, pool_lower, pool_cycles},
	{"", "AveragePool", pool_supports, pool_lower, pool_cycles},
	{"", "LRN", lrn_supports, lrn_lower, lrn_cycles},
	{NULL, NULL, NULL, NULL, NULL},
};
