/* SPDX-License-Identifier: MIT */
/*
 * Derivatives of normalizations; see gradient_rules.h. All are y = n scale + bias with n = (x - mean) / sqrt(variance + epsilon) over
 * some axes; they differ in the axes, in the shape of scale and bias, and in whether the mean counts.
 */
#include "compiler/graph/gradient_rules.h"

#include <stdint.h>

/*
 * struct normal - n and what it was computed with
 * @axes: a list in the graph
 */
struct normal {
	struct graph_value *axes, *n, *inverse;
	bool centred;
};

static double epsilon_of(const struct graph_node *node)
{
	struct op_node op = graph_op_node(node);

	return (double)op_attr_float(&op, "epsilon", 1e-5f);
}

static struct normal normalize(struct gradient *g, const struct graph_node *node, struct graph_value *x,
			       struct graph_value *axes, bool centred)
{
	struct graph_value *d = centred ? minus(g, x, mean_over(g, x, axes)) : x;
	struct graph_value *variance = shifted(g, mean_over(g, times(g, d, d), axes), epsilon_of(node));
	struct graph_value *inverse = one(g, "Reciprocal", one(g, "Sqrt", variance));

	return (struct normal){.axes = axes, .n = times(g, d, inverse), .inverse = inverse, .centred = centred};
}

/* From @dn, the derivative by n, that by x: (dn - mean(dn) - n mean(dn n)) / sqrt(variance + epsilon). */
static struct graph_value *by_input(struct gradient *g, const struct normal *normal, struct graph_value *dn)
{
	struct graph_value *rest = times(g, normal->n, mean_over(g, times(g, dn, normal->n), normal->axes));
	struct graph_value *d = minus(g, dn, rest);

	if (normal->centred)
		d = minus(g, d, mean_over(g, dn, normal->axes));
	return times(g, d, normal->inverse);
}

/* ---- by channel ---- */

/* A list of numbers by channel in the shape [1, C, 1, …] of the rank of @x. */
static struct graph_value *by_channel(struct gradient *g, struct graph_value *list, struct graph_value *x)
{
	struct graph_value *rank = shape_part(g, gradient_emit(g, "Shape", NULL, 1, &x), 0, 1);
	struct graph_value *count =
		gradient_emit(g, "Sub", NULL, 2, (struct graph_value *[]){rank, numbers(g, 1, (int64_t[]){2})});
	struct graph_value *ones =
		gradient_emit(g, "Expand", NULL, 2, (struct graph_value *[]){numbers(g, 1, (int64_t[]){1}), count});

	return two(g, "Reshape", list, join(g, numbers(g, 2, (int64_t[]){1, -1}), ones, NULL));
}

static struct graph_value *spatial_axes(struct gradient *g, struct graph_value *x)
{
	return range(g, number(g, 2), rank_of(g, x));
}

static struct graph_value *all_but_channels(struct gradient *g, struct graph_value *x)
{
	return join(g, numbers(g, 1, (int64_t[]){0}), spatial_axes(g, x), NULL);
}

/* One sum a channel. */
static struct graph_value *channel_sums(struct gradient *g, struct graph_value *x)
{
	struct graph_value *sums = sum_over(g, x, all_but_channels(g, x));

	set_int(g, sums, "keepdims", 0);
	return sums;
}

RULE(instance)
{
	struct graph_value *x = node->inputs[0];
	struct normal normal = normalize(g, node, x, spatial_axes(g, x), true);

	if (active[0])
		dx[0] = by_input(g, &normal, times(g, dy, by_channel(g, node->inputs[1], x)));
	if (active[1])
		dx[1] = channel_sums(g, times(g, dy, normal.n));
	if (active[2])
		dx[2] = channel_sums(g, dy);
	return 0;
}

/* Inference: y is linear in x; the mean and the variance are inputs. */
static void fixed_batch(struct gradient *g, const struct graph_node *node, struct graph_value *dy, const bool *active,
			struct graph_value **dx)
{
	struct graph_value *x = node->inputs[0], *scale = by_channel(g, node->inputs[1], x);
	struct graph_value *d = minus(g, x, by_channel(g, node->inputs[3], x));
	struct graph_value *variance = shifted(g, by_channel(g, node->inputs[4], x), epsilon_of(node));
	struct graph_value *inverse = one(g, "Reciprocal", one(g, "Sqrt", variance));
	struct graph_value *slope = times(g, dy, times(g, scale, inverse));

	if (active[0])
		dx[0] = slope;
	if (active[1])
		dx[1] = channel_sums(g, times(g, dy, times(g, d, inverse)));
	if (active[3])
		dx[3] = channel_sums(g, one(g, "Neg", slope));
	if (active[4])
		dx[4] = channel_sums(g, scaled(g, two(g, "Div", times(g, slope, d), variance), -0.5));
}

/* In training mean and variance are those of the batch; the inputs are for the running ones alone. */
RULE(batch)
{
	struct op_node op = graph_op_node(node);
	struct graph_value *x = node->inputs[0];

	if (node->opset < 9)
		return no_rule(g, node, "before opset 9");
	if (node->opset < 14 && node->num_outputs > 1)
		return no_rule(g, node, "in training, before opset 14");
	if (op_attr_int(&op, "training_mode", 0)) {
		struct normal normal = normalize(g, node, x, all_but_channels(g, x), true);

		if (active[0])
			dx[0] = by_input(g, &normal, times(g, dy, by_channel(g, node->inputs[1], x)));
		if (active[1])
			dx[1] = channel_sums(g, times(g, dy, normal.n));
	} else {
		fixed_batch(g, node, dy, active, dx);
	}
	if (active[2])
		dx[2] = channel_sums(g, dy);
	return 0;
}

/* The channels of a group together: a third axis, and what it has in itself is one. */
RULE(group)
{
	struct op_node op = graph_op_node(node);
	struct graph_value *x = node->inputs[0], *shape, *grouped;
	struct normal normal;

	if (node->opset < 21)
		return no_rule(g, node, "before opset 21");
	shape = join(g, shape_part(g, x, 0, 1), numbers(g, 2, (int64_t[]){op_attr_int(&op, "num_groups", 1), -1}),
		     NULL);
	grouped = two(g, "Reshape", x, shape);
	normal = normalize(g, node, grouped, numbers(g, 1, (int64_t[]){2}), true);
	if (active[0]) {
		struct graph_value *dn = times(g, dy, by_channel(g, node->inputs[1], x));

		dx[0] = reshape_like(g, by_input(g, &normal, two(g, "Reshape", dn, shape)), x);
	}
	if (active[1])
		dx[1] = channel_sums(g, times(g, dy, reshape_like(g, normal.n, x)));
	if (active[2])
		dx[2] = channel_sums(g, dy);
	return 0;
}

/* ---- over the last axes ---- */

/* From the attribute axis on. */
static struct graph_value *last_axes(struct gradient *g, const struct graph_node *node, struct graph_value *x)
{
	struct op_node op = graph_op_node(node);
	int64_t axis = op_attr_int(&op, "axis", -1);

	return range(g, number(g, axis), axis < 0 ? number(g, 0) : rank_of(g, x));
}

/* LayerNormalization and RMSNormalization: scale and bias stretch over the input. */
static int last(struct gradient *g, const struct graph_node *node, struct graph_value *dy, const bool *active,
		struct graph_value **dx, bool centred)
{
	struct graph_value *x = node->inputs[0], *scale = node->inputs[1];
	struct normal normal = normalize(g, node, x, last_axes(g, node, x), centred);

	if (active[0])
		dx[0] = by_input(g, &normal, times(g, dy, scale));
	if (active[1])
		dx[1] = unstretch(g, times(g, dy, normal.n), scale, node->outputs[0]);
	if (node->num_inputs > 2 && active[2])
		dx[2] = unstretch(g, dy, node->inputs[2], node->outputs[0]);
	return 0;
}

RULE(layer)
{
	return last(g, node, dy, active, dx, true);
}

RULE(root_mean_square)
{
	return last(g, node, dy, active, dx, false);
}

/* x / |x|: (dy - y sum(dy y)) / |x| for p = 2, (dy - sign(x) sum(dy y)) / |x| for p = 1 */
RULE(lp)
{
	struct op_node op = graph_op_node(node);
	struct graph_value *x = node->inputs[0], *y = node->outputs[0], *norm, *along;
	struct graph_value *axis = numbers(g, 1, (int64_t[]){op_attr_int(&op, "axis", -1)});
	bool absolute = op_attr_int(&op, "p", 2) == 1;

	(void)active;
	norm = absolute ? sum_over(g, one(g, "Abs", x), axis) : one(g, "Sqrt", sum_over(g, times(g, x, x), axis));
	along = sum_over(g, times(g, dy, y), axis);
	dx[0] = two(g, "Div", minus(g, dy, times(g, absolute ? one(g, "Sign", x) : y, along)), norm);
	return 0;
}

const struct gradient_rule gradient_norm_rules[] = {
	{"BatchNormalization", batch},
	{"GroupNormalization", group},
	{"InstanceNormalization", instance},
	{"LayerNormalization", layer},
	{"LpNormalization", lp},
	{"RMSNormalization", root_mean_square},
	{NULL, NULL},
};
