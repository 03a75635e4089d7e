/* SPDX-License-Identifier: MIT */
/*
 * Derivatives of convolutions and pools; see gradient_rules.h.
 *
 * A convolution's derivative by its input is the transposed convolution with the same weights, that by its weights the convolution of
 * the input with dy, batch and channels exchanged, strides and dilations exchanged. A mean is a convolution with equal weights of each
 * channel alone.
 */
#include "compiler/graph/gradient_rules.h"

#include <stdint.h>
#include <string.h>

#define MAX_SPATIAL (TENSOR_MAX_RANK - 2)

/* struct window - a kernel over @rank spatial axes; @pads: those at the beginnings, then those at the ends */
struct window {
	size_t rank;
	int64_t kernel[MAX_SPATIAL], strides[MAX_SPATIAL], dilations[MAX_SPATIAL], pads[2 * MAX_SPATIAL];
};

/* Half of what is missing to ceil(size / stride) positions in front, the larger half there or behind. */
static int same_pads(struct gradient *g, const struct graph_node *node, bool lower, struct window *w)
{
	const struct graph_value *x = node->inputs[0];

	if (!graph_value_is_static(x))
		return no_rule(g, node, "with auto_pad, on sizes that are not known");
	for (size_t i = 0; i < w->rank; i++) {
		int64_t positions = (x->dims[2 + i] + w->strides[i] - 1) / w->strides[i];
		int64_t pad =
			(positions - 1) * w->strides[i] + (w->kernel[i] - 1) * w->dilations[i] + 1 - x->dims[2 + i];

		pad = pad > 0 ? pad : 0;
		w->pads[i] = lower ? pad - pad / 2 : pad / 2;
		w->pads[w->rank + i] = pad - w->pads[i];
	}
	return 0;
}

/* A list of @count numbers that an attribute gives; @fallback everywhere where it is absent. */
static int read_list(struct gradient *g, const struct graph_node *node, const char *name, size_t count,
		     int64_t fallback, int64_t *list)
{
	struct op_node op = graph_op_node(node);
	const int64_t *values;
	size_t given = op_attr_ints(&op, name, &values);

	if (given && given != count)
		return no_rule(g, node, "with lists of different lengths");
	for (size_t i = 0; i < count; i++) {
		list[i] = given ? values[i] : fallback;
		if (list[i] < fallback || list[i] > INT32_MAX)
			return no_rule(g, node, "with a stride, dilation or pad that is none");
	}
	return 0;
}

/* @weights: [M, C / group, kernel…] of known rank; NULL: the attribute kernel_shape gives the kernel. */
static int read_window(struct gradient *g, const struct graph_node *node, const struct graph_value *weights,
		       struct window *w)
{
	struct op_node op = graph_op_node(node);
	const int64_t *kernel;
	size_t given = op_attr_ints(&op, "kernel_shape", &kernel);
	int err;

	memset(w, 0, sizeof(*w));
	w->rank = weights ? (size_t)(weights->rank - 2) : given;
	if ((weights && weights->rank < 3) || w->rank < 1 || w->rank > MAX_SPATIAL || (given && given != w->rank))
		return no_rule(g, node, "whose kernel has no known rank");
	for (size_t i = 0; i < w->rank; i++) {
		w->kernel[i] = given ? kernel[i] : weights->dims[2 + i];
		if (w->kernel[i] < 1 || w->kernel[i] > INT32_MAX)
			return no_rule(g, node, "whose kernel has no known size");
	}
	err = read_list(g, node, "strides", w->rank, 1, w->strides);
	if (!err)
		err = read_list(g, node, "dilations", w->rank, 1, w->dilations);
	if (err)
		return err;
	if (op_attr_is(&op, "auto_pad", "NOTSET", "NOTSET"))
		return read_list(g, node, "pads", 2 * w->rank, 0, w->pads);
	if (op_attr_is(&op, "auto_pad", "NOTSET", "VALID"))
		return 0;
	return same_pads(g, node, op_attr_is(&op, "auto_pad", "NOTSET", "SAME_LOWER"), w);
}

/* Attributes of a convolution with @w, pads apart. */
static void set_window(struct gradient *g, struct graph_value *y, const struct window *w, int64_t group)
{
	set_ints(g, y, "strides", w->rank, w->strides);
	set_ints(g, y, "dilations", w->rank, w->dilations);
	set_int(g, y, "group", group);
}

static struct graph_value *convolution(struct gradient *g, struct graph_value *x, struct graph_value *weights,
				       const struct window *w, int64_t group)
{
	struct graph_value *y = two(g, "Conv", x, weights);

	set_window(g, y, w, group);
	set_ints(g, y, "pads", 2 * w->rank, w->pads);
	return y;
}

static struct graph_value *spatial_axes(struct gradient *g, size_t rank)
{
	int64_t axes[MAX_SPATIAL];

	for (size_t i = 0; i < rank; i++)
		axes[i] = (int64_t)i + 2;
	return numbers(g, (int64_t)rank, axes);
}

/* The part of @x of the sizes @sizes (a list in the graph) that begins at @begin. */
static struct graph_value *spatial_part(struct gradient *g, struct graph_value *x, const struct window *w,
					const int64_t *begin, struct graph_value *sizes)
{
	struct graph_value *from = numbers(g, (int64_t)w->rank, begin);
	struct graph_value *to = gradient_emit(g, "Add", NULL, 2, (struct graph_value *[]){from, sizes});

	return gradient_emit(g, "Slice", x, 4, (struct graph_value *[]){x, from, to, spatial_axes(g, w->rank)});
}

/*
 * The derivative by x of a convolution: @dy spread by the strides, which may end before x does (a last stride that has no room), hence
 * the zeros behind; then what lies in the pads is cut off.
 */
static struct graph_value *spread_back(struct gradient *g, struct graph_value *dy, struct graph_value *weights,
				       const struct window *w, int64_t group, struct graph_value *x)
{
	struct graph_value *whole = two(g, "ConvTranspose", dy, weights);
	int64_t behind[2 * TENSOR_MAX_RANK] = {0};

	set_window(g, whole, w, group);
	for (size_t i = 0; i < w->rank; i++)
		behind[w->rank + 4 + i] = w->strides[i] - 1;
	whole = two(g, "Pad", whole, numbers(g, 2 * (int64_t)w->rank + 4, behind));
	return spatial_part(g, whole, w, w->pads, shape_part(g, x, 2, INT64_MAX));
}

/* [N, group, C / group, …] */
static struct graph_value *by_group(struct gradient *g, struct graph_value *x, int64_t group)
{
	struct graph_value *parts = numbers(g, 2, (int64_t[]){group, -1});

	return two(g, "Reshape", x, join(g, shape_part(g, x, 0, 1), parts, shape_part(g, x, 2, INT64_MAX)));
}

/* Axes 0, 1, 2 in the order @a, @b, @c, then the @rank spatial ones. */
static struct graph_value *turned(struct gradient *g, struct graph_value *x, int64_t a, int64_t b, int64_t c,
				  size_t rank)
{
	struct graph_value *y = one(g, "Transpose", x);
	int64_t perm[TENSOR_MAX_RANK + 1] = {a, b, c};

	for (size_t i = 0; i < rank; i++)
		perm[3 + i] = (int64_t)i + 3;
	set_ints(g, y, "perm", 3 + rank, perm);
	return y;
}

/* The derivative by the weights of a convolution of @x whose output has the derivative @dy. */
static struct graph_value *by_weights(struct gradient *g, struct graph_value *x, struct graph_value *dy,
				      const struct window *w, int64_t group)
{
	struct graph_value *space = shape_part(g, x, 2, INT64_MAX), *positions = shape_part(g, dy, 2, INT64_MAX);
	struct graph_value *image = turned(g, by_group(g, x, group), 2, 1, 0, w->rank);
	struct graph_value *kernel = turned(g, by_group(g, dy, group), 1, 2, 0, w->rank), *weights;
	struct window exchanged = *w;
	int64_t perm[TENSOR_MAX_RANK] = {1, 0};

	memcpy(exchanged.strides, w->dilations, sizeof(exchanged.strides));
	memcpy(exchanged.dilations, w->strides, sizeof(exchanged.dilations));
	/* [C / group, group N, …] with [M, N, …] gives [C / group, M, kernel…, more where a stride left a rest]. */
	image = two(g, "Reshape", image, join(g, numbers(g, 2, (int64_t[]){0, -1}), space, NULL));
	kernel = two(g, "Reshape", kernel, join(g, numbers(g, 1, (int64_t[]){-1}), shape_part(g, dy, 0, 1), positions));
	weights = convolution(g, image, kernel, &exchanged, group);
	weights = spatial_part(g, weights, w, (int64_t[MAX_SPATIAL]){0}, numbers(g, (int64_t)w->rank, w->kernel));
	weights = one(g, "Transpose", weights);
	for (size_t i = 0; i < w->rank; i++)
		perm[2 + i] = (int64_t)i + 2;
	set_ints(g, weights, "perm", 2 + w->rank, perm);
	return weights;
}

static struct graph_value *by_bias(struct gradient *g, struct graph_value *dy, size_t rank)
{
	struct graph_value *axes = join(g, numbers(g, 1, (int64_t[]){0}), spatial_axes(g, rank), NULL);
	struct graph_value *sum = sum_over(g, dy, axes);

	set_int(g, sum, "keepdims", 0);
	return sum;
}

RULE(conv)
{
	struct op_node op = graph_op_node(node);
	struct graph_value *x = node->inputs[0], *weights = node->inputs[1];
	int64_t group = op_attr_int(&op, "group", 1);
	struct window w;
	int err = read_window(g, node, weights, &w);

	if (err)
		return err;
	if (active[0])
		dx[0] = spread_back(g, dy, weights, &w, group, x);
	if (active[1])
		dx[1] = by_weights(g, x, dy, &w, group);
	if (node->num_inputs > 2 && active[2])
		dx[2] = by_bias(g, dy, w.rank);
	return 0;
}

/* The same with x and dy in each other's place. */
RULE(conv_transpose)
{
	struct op_node op = graph_op_node(node);
	struct graph_value *x = node->inputs[0], *weights = node->inputs[1];
	int64_t group = op_attr_int(&op, "group", 1);
	struct window w;
	int err;

	if (op_attr(&op, "output_shape") ||
	    !(op_attr_is(&op, "auto_pad", "NOTSET", "NOTSET") || op_attr_is(&op, "auto_pad", "NOTSET", "VALID")))
		return no_rule(g, node, "whose output's shape says the pads");
	err = read_window(g, node, weights, &w);
	if (err)
		return err;
	if (active[0])
		dx[0] = convolution(g, dy, weights, &w, group);
	if (active[1])
		dx[1] = by_weights(g, dy, x, &w, group);
	if (node->num_inputs > 2 && active[2])
		dx[2] = by_bias(g, dy, w.rank);
	return 0;
}

/* ---- pools ---- */

/* Each maximum's derivative goes to the place where it was found. */
RULE(max_pool)
{
	struct graph_value *x = node->inputs[0], *places;
	struct graph_node from = *node;

	(void)active;
	from.opset = node->opset < 8 ? 8 : node->opset; /* version 8 has the places, and whatever 1 had */
	places = repeat(g, &from, x, 1, 1);
	set_int(g, places, "storage_order", 0);
	dx[0] = reshape_like(g, scatter_sum(g, gradient_emit(g, "Size", NULL, 1, &x), places, dy), x);
	return 0;
}

/* A number in the shape [1, 1, …] of @like, or of @sizes. */
static struct graph_value *ones(struct gradient *g, struct graph_value *sizes, struct graph_value *like)
{
	struct graph_value *shape = join(g, numbers(g, 2, (int64_t[]){1, 1}), sizes, NULL);

	return two(g, "Expand", gradient_scalar(g, 1, like), shape);
}

/* [N C, 1, …] */
static struct graph_value *single_channels(struct gradient *g, struct graph_value *x)
{
	return two(g, "Reshape", x, join(g, numbers(g, 2, (int64_t[]){-1, 1}), shape_part(g, x, 2, INT64_MAX), NULL));
}

/*
 * By how much a mean was divided is what it is where all elements are one, by the number of them that it saw: the pads count as the
 * attributes say.
 */
RULE(average_pool)
{
	struct op_node op = graph_op_node(node);
	struct graph_value *x = node->inputs[0], *image, *kernel, *seen, *share;
	struct window w;
	int err = read_window(g, node, NULL, &w);

	(void)active;
	if (err)
		return err;
	if (op_attr_int(&op, "ceil_mode", 0))
		return no_rule(g, node, "with ceil_mode");
	image = ones(g, shape_part(g, x, 2, INT64_MAX), x);
	kernel = ones(g, numbers(g, (int64_t)w.rank, w.kernel), x);
	seen = convolution(g, image, kernel, &w, 1);
	share = two(g, "Div", repeat(g, node, image, 1, 0), seen);
	dx[0] = reshape_like(
		g, spread_back(g, times(g, single_channels(g, dy), share), kernel, &w, 1, single_channels(g, x)), x);
	return 0;
}

/* Elements that are equally large share the derivative. */
RULE(global_max_pool)
{
	struct graph_value *x = node->inputs[0], *mask, *count;
	struct graph_value *same = gradient_emit(g, "Equal", NULL, 2, (struct graph_value *[]){x, node->outputs[0]});

	(void)active;
	mask = gradient_emit(g, "CastLike", x, 2, (struct graph_value *[]){same, x});
	count = sum_over(g, mask, range(g, number(g, 2), rank_of(g, x)));
	dx[0] = times(g, two(g, "Div", dy, count), mask);
	return 0;
}

const struct gradient_rule gradient_window_rules[] = {
	{"AveragePool", average_pool},      {"Conv", conv},        {"ConvTranspose", conv_transpose},
	{"GlobalMaxPool", global_max_pool}, {"MaxPool", max_pool}, {NULL, NULL},
};
