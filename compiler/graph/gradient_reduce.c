/* SPDX-License-Identifier: MIT */
/*
 * Derivatives of reductions, of softmax and of the losses; see gradient_rules.h.
 */
#include "compiler/graph/gradient_rules.h"

#include <string.h>

/* ---- reductions ---- */

/* @dy of a reduction, stretched over what was reduced. */
static struct graph_value *stretch_back(struct gradient *g, const struct graph_node *node, struct graph_value *dy)
{
	struct op_node op = graph_op_node(node);
	struct graph_value *x = node->inputs[0], *axes = node->num_inputs > 1 ? node->inputs[1] : NULL;
	const int64_t *values;
	size_t count = op_attr_ints(&op, "axes", &values);

	if (count)
		axes = numbers(g, (int64_t)count, values);
	/* Without axes everything was reduced: the scalar stretches by itself. */
	if (axes && !op_attr_int(&op, "keepdims", 1))
		dy = two(g, "Unsqueeze", dy, axes);
	return two(g, "Expand", dy, gradient_emit(g, "Shape", NULL, 1, &x));
}

RULE(reduce_sum)
{
	(void)active;
	dx[0] = stretch_back(g, node, dy);
	return 0;
}

/* The sum's derivative by the number of elements that made each mean. */
RULE(reduce_mean)
{
	struct graph_value *x = node->inputs[0], *y = node->outputs[0];
	struct graph_value *count = gradient_emit(
		g, "Div", NULL, 2,
		(struct graph_value *[]){gradient_emit(g, "Size", NULL, 1, &x), gradient_emit(g, "Size", NULL, 1, &y)});

	(void)active;
	dx[0] = two(g, "Div", stretch_back(g, node, dy),
		    gradient_emit(g, "CastLike", dy, 2, (struct graph_value *[]){count, dy}));
	return 0;
}

/* dx = f(x, y) dy, y and dy stretched over what was reduced. */
#define STRETCHED(name, expression)                                                                    \
	RULE(name)                                                                                     \
	{                                                                                              \
		struct graph_value *x = node->inputs[0], *y = stretch_back(g, node, node->outputs[0]); \
                                                                                                       \
		(void)active, (void)x, (void)y;                                                        \
		dx[0] = times(g, stretch_back(g, node, dy), expression);                               \
		return 0;                                                                              \
	}

STRETCHED(reduce_sum_square, plus(g, x, x))
STRETCHED(reduce_l1, one(g, "Sign", x))
STRETCHED(reduce_l2, two(g, "Div", x, y))
STRETCHED(reduce_log_sum, one(g, "Exp", one(g, "Neg", y)))
STRETCHED(reduce_log_sum_exp, one(g, "Exp", minus(g, x, y)))
STRETCHED(reduce_product, two(g, "Div", y, x))

/* Elements that are equally extreme share the derivative. */
RULE(reduce_extreme)
{
	struct graph_value *x = node->inputs[0];
	struct graph_value *same = gradient_emit(g, "Equal", NULL, 2,
						 (struct graph_value *[]){x, stretch_back(g, node, node->outputs[0])});
	struct graph_value *mask = gradient_emit(g, "CastLike", x, 2, (struct graph_value *[]){same, x});
	struct graph_value *inputs[2] = {mask, node->num_inputs > 1 ? node->inputs[1] : NULL}, *count;
	struct op_node op = graph_op_node(node);
	const int64_t *values;
	size_t num_axes = op_attr_ints(&op, "axes", &values);

	(void)active;
	if (num_axes)
		inputs[1] = numbers(g, (int64_t)num_axes, values);
	count = gradient_emit(g, "ReduceSum", x, inputs[1] ? 2 : 1, inputs);
	set_int(g, count, "keepdims", op_attr_int(&op, "keepdims", 1));
	set_int(g, count, "noop_with_empty_axes", op_attr_int(&op, "noop_with_empty_axes", 0));
	dx[0] = times(g, stretch_back(g, node, two(g, "Div", dy, count)), mask);
	return 0;
}

/* dx = CumSum(dy) from the other end */
RULE(cumulative_sum)
{
	struct op_node op = graph_op_node(node);

	(void)active;
	dx[0] = two(g, "CumSum", dy, node->inputs[1]);
	set_int(g, dx[0], "exclusive", op_attr_int(&op, "exclusive", 0));
	set_int(g, dx[0], "reverse", !op_attr_int(&op, "reverse", 0));
	return 0;
}

/* ---- softmax ---- */

/* Until opset 13 all axes from the given one on are normalized together: a matrix whose columns they are. */
static struct graph_value *flattened(struct gradient *g, const struct graph_node *node, struct graph_value *value)
{
	struct op_node op = graph_op_node(node);
	struct graph_value *matrix;

	if (node->opset >= 13)
		return value;
	matrix = one(g, "Flatten", value);
	set_int(g, matrix, "axis", op_attr_int(&op, "axis", 1));
	return matrix;
}

static struct graph_value *sum_along(struct gradient *g, const struct graph_node *node, struct graph_value *x)
{
	struct op_node op = graph_op_node(node);
	int64_t axis = node->opset >= 13 ? op_attr_int(&op, "axis", -1) : 1;

	return sum_over(g, x, numbers(g, 1, &axis));
}

/* dx = y (dy - sum(dy y)) */
RULE(softmax)
{
	struct graph_value *y = flattened(g, node, node->outputs[0]);

	(void)active;
	dy = flattened(g, node, dy);
	dx[0] = reshape_like(g, times(g, y, minus(g, dy, sum_along(g, node, times(g, dy, y)))), node->inputs[0]);
	return 0;
}

/* dx = dy - exp(y) sum(dy) */
RULE(log_softmax)
{
	struct graph_value *y = flattened(g, node, node->outputs[0]);

	(void)active;
	dy = flattened(g, node, dy);
	dx[0] = reshape_like(g, minus(g, dy, times(g, one(g, "Exp", y), sum_along(g, node, dy))), node->inputs[0]);
	return 0;
}

/* ---- losses ---- */

/*
 * The derivative of the negative log likelihood by the logarithms @x, [N, C, …]: at the target's class minus the weight of the class,
 * divided by the sum of all weights for the mean; zero where the target is ignored.
 */
static struct graph_value *likelihood(struct gradient *g, const struct graph_node *node, struct graph_value *x,
				      struct graph_value *dy)
{
	struct op_node op = graph_op_node(node);
	struct graph_value *target = node->inputs[1], *class = target, *weight, *class_axis, *ignored = NULL, *spread;
	bool mean = op_attr_is(&op, "reduction", "mean", "mean");

	if (op_attr(&op, "ignore_index")) {
		struct graph_value *none =
			gradient_emit(g, "CastLike", NULL, 2,
				      (struct graph_value *[]){number(g, op_attr_int(&op, "ignore_index", 0)), target});

		ignored = gradient_emit(g, "Equal", NULL, 2, (struct graph_value *[]){target, none});
		class = gradient_emit(g, "Where", NULL, 3,
				      (struct graph_value *[]){ignored, minus(g, target, target), target});
	}
	if (node->num_inputs > 2 && node->inputs[2])
		weight = two(g, "Gather", node->inputs[2], class);
	else
		weight = two(g, "Expand", gradient_scalar(g, 1, x), gradient_emit(g, "Shape", NULL, 1, &target));
	if (ignored)
		weight = choose(g, ignored, gradient_scalar(g, 0, x), weight);
	if (mean)
		dy = two(g, "Div", dy, gradient_emit(g, "ReduceSum", x, 1, (struct graph_value *[]){weight}));
	class_axis = numbers(g, 1, (int64_t[]){1});
	class = gradient_emit(g, "Unsqueeze", NULL, 2, (struct graph_value *[]){class, class_axis});
	spread = gradient_emit(
		g, "ScatterElements", x, 3,
		(struct graph_value *[]){gradient_fill(g, 0, x), class,
					 two(g, "Unsqueeze", one(g, "Neg", times(g, weight, dy)), class_axis)});
	set_int(g, spread, "axis", 1);
	return spread;
}

RULE(negative_log_likelihood)
{
	if (node->num_inputs > 2 && active[2])
		return no_rule(g, node, "by its weights");
	dx[0] = likelihood(g, node, node->inputs[0], dy);
	return 0;
}

RULE(softmax_cross_entropy)
{
	struct graph_value *scores = node->inputs[0], *logs = one(g, "LogSoftmax", scores), *by_log, *axis;

	if (node->num_inputs > 2 && active[2])
		return no_rule(g, node, "by its weights");
	set_int(g, logs, "axis", 1);
	axis = numbers(g, 1, (int64_t[]){1});
	by_log = likelihood(g, node, scores, dy);
	dx[0] = minus(g, by_log, times(g, one(g, "Exp", logs), sum_over(g, by_log, axis)));
	return 0;
}

const struct gradient_rule gradient_reduce_rules[] = {
	{"CumSum", cumulative_sum},
	{"GlobalAveragePool", reduce_mean},
	{"LogSoftmax", log_softmax},
	{"NegativeLogLikelihoodLoss", negative_log_likelihood},
	{"ReduceL1", reduce_l1},
	{"ReduceL2", reduce_l2},
	{"ReduceLogSum", reduce_log_sum},
	{"ReduceLogSumExp", reduce_log_sum_exp},
	{"ReduceMax", reduce_extreme},
	{"ReduceMean", reduce_mean},
	{"ReduceMin", reduce_extreme},
	{"ReduceProd", reduce_product},
	{"ReduceSum", reduce_sum},
	{"ReduceSumSquare", reduce_sum_square},
	{"Softmax", softmax},
	{"SoftmaxCrossEntropyLoss", softmax_cross_entropy},
	{NULL, NULL},
};
