/* SPDX-License-Identifier: MIT */
/*
 * Derivatives of operators; see gradient.h. In the formulas x, a, b are inputs, y is the output, d… the derivative of the
 * target by it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/graph/gradient.h"

#define TWO_OVER_ROOT_PI 1.1283791670955126f

/* ---- shorthand ---- */

static struct graph_value *one(struct gradient *g, const char *op_type, struct graph_value *x)
{
	return gradient_emit(g, op_type, x, 1, &x);
}

static struct graph_value *two(struct gradient *g, const char *op_type, struct graph_value *a, struct graph_value *b)
{
	return gradient_emit(g, op_type, a, 2, (struct graph_value *[]){a, b});
}

static struct graph_value *times(struct gradient *g, struct graph_value *a, struct graph_value *b)
{
	return two(g, "Mul", a, b);
}

static struct graph_value *numbers(struct gradient *g, int64_t count, const int64_t *values)
{
	struct graph_value *constant;
	struct tensor t;

	if (g->failed || tensor_init(&t, DTYPE_S64, 1, &count)) {
		g->failed = true;
		return NULL;
	}
	if (count)
		memcpy(t.data, values, (size_t)count * sizeof(*values));
	constant = graph_add_constant(g->graph, NULL, &t);
	g->failed |= !constant;
	return constant;
}

static void set_int(struct gradient *g, struct graph_value *of, const char *name, int64_t value)
{
	if (of && graph_node_set_int(g->graph, of->producer, name, value))
		g->failed = true;
}

static int no_rule(struct gradient *g, const struct graph_node *node, const char *form)
{
	snprintf(g->error, g->error_size, "no rule for the derivative of %s %s (node %s)", node->op_type, form,
		 node->name);
	return -ENOTSUP;
}

static bool same_static_shape(const struct graph_value *a, const struct graph_value *b)
{
	if (!graph_value_is_static(a) || !graph_value_is_static(b) || a->rank != b->rank)
		return false;
	for (int i = 0; i < a->rank; i++)
		if (a->dims[i] != b->dims[i])
			return false;
	return true;
}

/* The shape @shape with ones in front, as long as the shape @other. */
static struct graph_value *padded_shape(struct gradient *g, struct graph_value *shape, struct graph_value *other)
{
	struct graph_value *missing = two(g, "Sub", one(g, "Shape", other), one(g, "Shape", shape));
	struct graph_value *ones = two(g, "Expand", numbers(g, 1, (int64_t[]){1}), missing);
	struct graph_value *padded = two(g, "Concat", ones, shape);

	set_int(g, padded, "axis", 0);
	return padded;
}

/*
 * @derivative, summed over the axes along which @x was stretched to the shape of @y (NULL: not known). Shapes may not be
 * known before the graph runs: the axes are found by comparing them there.
 */
static struct graph_value *unstretch(struct gradient *g, struct graph_value *derivative, struct graph_value *x,
				     const struct graph_value *y)
{
	struct graph_value *small, *large, *differ, *axes, *sum;

	if (y && same_static_shape(x, y))
		return derivative;
	small = gradient_emit(g, "Shape", NULL, 1, &x);
	large = gradient_emit(g, "Shape", NULL, 1, &derivative);
	differ = one(g, "Not", two(g, "Equal", padded_shape(g, small, large), large));
	axes = two(g, "Squeeze", one(g, "NonZero", differ), numbers(g, 1, (int64_t[]){0}));
	sum = two(g, "ReduceSum", derivative, axes);
	set_int(g, sum, "keepdims", 1);
	set_int(g, sum, "noop_with_empty_axes", 1);
	sum = two(g, "Reshape", sum, small);
	set_int(g, sum, "allowzero", 1);
	return sum;
}

/* @derivative in the shape of @x. */
static struct graph_value *reshape_like(struct gradient *g, struct graph_value *derivative, struct graph_value *x)
{
	struct graph_value *shaped = gradient_emit(
		g, "Reshape", x, 2, (struct graph_value *[]){derivative, gradient_emit(g, "Shape", NULL, 1, &x)});

	set_int(g, shaped, "allowzero", 1);
	return shaped;
}

/* ---- arithmetic ---- */

#define RULE(name)                                                                                                     \
	static int name(struct gradient *g, const struct graph_node *node, struct graph_value *dy, const bool *active, \
			struct graph_value **dx)

RULE(add)
{
	for (size_t i = 0; i < node->num_inputs; i++)
		if (active[i])
			dx[i] = unstretch(g, dy, node->inputs[i], node->outputs[0]);
	return 0;
}

RULE(subtract)
{
	if (active[0])
		dx[0] = unstretch(g, dy, node->inputs[0], node->outputs[0]);
	if (active[1])
		dx[1] = unstretch(g, one(g, "Neg", dy), node->inputs[1], node->outputs[0]);
	return 0;
}

RULE(multiply)
{
	for (int i = 0; i < 2; i++)
		if (active[i])
			dx[i] = unstretch(g, times(g, dy, node->inputs[1 - i]), node->inputs[i], node->outputs[0]);
	return 0;
}

/* da = dy / b, db = -dy y / b */
RULE(divide)
{
	struct graph_value *quotient = two(g, "Div", dy, node->inputs[1]);

	if (active[0])
		dx[0] = unstretch(g, quotient, node->inputs[0], node->outputs[0]);
	if (active[1])
		dx[1] = unstretch(g, one(g, "Neg", times(g, quotient, node->outputs[0])), node->inputs[1],
				  node->outputs[0]);
	return 0;
}

/* da = dy b a^(b - 1), db = dy y log a */
RULE(power)
{
	struct graph_value *a = node->inputs[0], *b = node->inputs[1];

	if (active[0]) {
		struct graph_value *exponent = gradient_emit(g, "CastLike", a, 2, (struct graph_value *[]){b, a});
		struct graph_value *less = two(g, "Pow", a, two(g, "Sub", exponent, gradient_scalar(g, 1, a)));

		dx[0] = unstretch(g, times(g, dy, times(g, exponent, less)), a, node->outputs[0]);
	}
	if (active[1])
		dx[1] = unstretch(g, times(g, dy, times(g, node->outputs[0], one(g, "Log", a))), b, node->outputs[0]);
	return 0;
}

/* ---- functions of one number ---- */

RULE(copy)
{
	(void)g;
	(void)node;
	(void)active;
	dx[0] = dy;
	return 0;
}

RULE(negate)
{
	(void)node;
	(void)active;
	dx[0] = one(g, "Neg", dy);
	return 0;
}

RULE(exponential)
{
	(void)active;
	dx[0] = times(g, dy, node->outputs[0]);
	return 0;
}

RULE(logarithm)
{
	(void)active;
	dx[0] = two(g, "Div", dy, node->inputs[0]);
	return 0;
}

/* dx = dy / (2 y) */
RULE(root)
{
	(void)active;
	dx[0] = two(g, "Div", dy, two(g, "Add", node->outputs[0], node->outputs[0]));
	return 0;
}

/* dx = -dy y^2 */
RULE(reciprocal)
{
	(void)active;
	dx[0] = one(g, "Neg", times(g, dy, times(g, node->outputs[0], node->outputs[0])));
	return 0;
}

RULE(sine)
{
	(void)active;
	dx[0] = times(g, dy, one(g, "Cos", node->inputs[0]));
	return 0;
}

RULE(cosine)
{
	(void)active;
	dx[0] = one(g, "Neg", times(g, dy, one(g, "Sin", node->inputs[0])));
	return 0;
}

/* dx = dy (1 - y^2) */
RULE(hyperbolic_tangent)
{
	struct graph_value *y = node->outputs[0];

	(void)active;
	dx[0] = times(g, dy, two(g, "Sub", gradient_scalar(g, 1, y), times(g, y, y)));
	return 0;
}

/* dx = dy y (1 - y) */
RULE(sigmoid)
{
	struct graph_value *y = node->outputs[0];

	(void)active;
	dx[0] = times(g, dy, times(g, y, two(g, "Sub", gradient_scalar(g, 1, y), y)));
	return 0;
}

RULE(softplus)
{
	(void)active;
	dx[0] = times(g, dy, one(g, "Sigmoid", node->inputs[0]));
	return 0;
}

/* dx = dy 2 / sqrt(pi) exp(-x^2) */
RULE(error_function)
{
	struct graph_value *x = node->inputs[0];
	struct graph_value *bell = one(g, "Exp", one(g, "Neg", times(g, x, x)));

	(void)active;
	dx[0] = times(g, dy, times(g, bell, gradient_scalar(g, TWO_OVER_ROOT_PI, x)));
	return 0;
}

/* Zero at zero, as every framework has it. */
RULE(absolute)
{
	(void)active;
	dx[0] = times(g, dy, one(g, "Sign", node->inputs[0]));
	return 0;
}

/* dy where x > 0, @otherwise else. */
static struct graph_value *where_positive(struct gradient *g, struct graph_value *x, struct graph_value *dy,
					  struct graph_value *otherwise)
{
	struct graph_value *condition =
		gradient_emit(g, "Greater", NULL, 2, (struct graph_value *[]){x, gradient_scalar(g, 0, x)});

	return gradient_emit(g, "Where", dy, 3, (struct graph_value *[]){condition, dy, otherwise});
}

RULE(rectifier)
{
	(void)active;
	dx[0] = where_positive(g, node->inputs[0], dy, gradient_scalar(g, 0, node->inputs[0]));
	return 0;
}

RULE(leaky_rectifier)
{
	struct op_node op = graph_op_node(node);
	struct graph_value *alpha = gradient_scalar(g, op_attr_float(&op, "alpha", 0.01f), node->inputs[0]);

	(void)active;
	dx[0] = where_positive(g, node->inputs[0], dy, times(g, dy, alpha));
	return 0;
}

/* 1 where @x is what @y took, else 0. */
static struct graph_value *taken(struct gradient *g, struct graph_value *x, struct graph_value *y)
{
	struct graph_value *equal = gradient_emit(g, "Equal", NULL, 2, (struct graph_value *[]){x, y});

	return gradient_emit(g, "CastLike", y, 2, (struct graph_value *[]){equal, y});
}

/* Max and Min: inputs that are equally the largest share the derivative. */
RULE(extreme)
{
	struct graph_value *y = node->outputs[0], *count = NULL;

	for (size_t i = 0; i < node->num_inputs; i++) {
		struct graph_value *mask = taken(g, node->inputs[i], y);

		count = count ? two(g, "Add", count, mask) : mask;
	}
	for (size_t i = 0; i < node->num_inputs; i++)
		if (active[i])
			dx[i] = unstretch(g, times(g, two(g, "Div", dy, count), taken(g, node->inputs[i], y)),
					  node->inputs[i], y);
	return 0;
}

RULE(clip)
{
	if ((node->num_inputs > 1 && active[1]) || (node->num_inputs > 2 && active[2]))
		return no_rule(g, node, "by its limits");
	dx[0] = times(g, dy, taken(g, node->inputs[0], node->outputs[0]));
	return 0;
}

/* ---- products ---- */

static struct graph_value *swap_last_axes(struct gradient *g, struct graph_value *x)
{
	struct graph_value *swapped = one(g, "Einsum", x);

	if (swapped && graph_node_set_string(g->graph, swapped->producer, "equation", "...ij->...ji"))
		g->failed = true;
	return swapped;
}

/* da = dy b', db = a' dy, each summed over stretched batch axes. */
RULE(matrix_product)
{
	struct graph_value *a = node->inputs[0], *b = node->inputs[1];

	if ((a->rank >= 0 && a->rank < 2) || (b->rank >= 0 && b->rank < 2))
		return no_rule(g, node, "with a vector");
	if (active[0])
		dx[0] = two(g, "MatMul", dy, swap_last_axes(g, b));
	if (active[1])
		dx[1] = two(g, "MatMul", swap_last_axes(g, a), dy);
	/* Two matrices have no batch axes to stretch. */
	for (int i = 0; i < 2 && !(a->rank == 2 && b->rank == 2); i++)
		if (active[i])
			dx[i] = unstretch(g, dx[i], node->inputs[i], NULL);
	return 0;
}

/* alpha op(a) op(b) as a Gemm node. */
static struct graph_value *product(struct gradient *g, struct graph_value *a, bool turn_a, struct graph_value *b,
				   bool turn_b, float alpha)
{
	struct graph_value *y = two(g, "Gemm", a, b);

	set_int(g, y, "transA", turn_a);
	set_int(g, y, "transB", turn_b);
	if (y && graph_node_set_float(g->graph, y->producer, "alpha", alpha))
		g->failed = true;
	return y;
}

RULE(gemm)
{
	struct op_node op = graph_op_node(node);
	bool turn_a = op_attr_int(&op, "transA", 0), turn_b = op_attr_int(&op, "transB", 0);
	struct graph_value *a = node->inputs[0], *b = node->inputs[1];
	float alpha = op_attr_float(&op, "alpha", 1);

	if (active[0])
		dx[0] = turn_a ? product(g, b, turn_b, dy, true, alpha) : product(g, dy, false, b, !turn_b, alpha);
	if (active[1])
		dx[1] = turn_b ? product(g, dy, true, a, turn_a, alpha) : product(g, a, !turn_a, dy, false, alpha);
	if (node->num_inputs > 2 && active[2])
		dx[2] = unstretch(g, times(g, dy, gradient_scalar(g, op_attr_float(&op, "beta", 1), dy)),
				  node->inputs[2], node->outputs[0]);
	return 0;
}

/* ---- shapes ---- */

RULE(reshape)
{
	(void)active;
	dx[0] = reshape_like(g, dy, node->inputs[0]);
	return 0;
}

RULE(expand)
{
	(void)active;
	dx[0] = unstretch(g, dy, node->inputs[0], node->outputs[0]);
	return 0;
}

RULE(cast)
{
	(void)active;
	dx[0] = gradient_emit(g, "CastLike", node->inputs[0], 2, (struct graph_value *[]){dy, node->inputs[0]});
	return 0;
}

RULE(transpose)
{
	struct op_node op = graph_op_node(node);
	const int64_t *perm;
	int64_t inverse[TENSOR_MAX_RANK];
	size_t rank = op_attr_ints(&op, "perm", &perm);

	(void)active;
	dx[0] = one(g, "Transpose", dy);
	for (size_t i = 0; i < rank; i++) {
		if (rank > TENSOR_MAX_RANK || perm[i] < 0 || perm[i] >= (int64_t)rank)
			return no_rule(g, node, "with a perm that is none");
		inverse[perm[i]] = (int64_t)i;
	}
	if (rank && dx[0] && graph_node_set_ints(g->graph, dx[0]->producer, "perm", rank, inverse))
		g->failed = true;
	return 0;
}

/* Split @dy along the axis into parts as long as the inputs. */
RULE(concat)
{
	struct op_node op = graph_op_node(node);
	int64_t axis = op_attr_int(&op, "axis", 1);
	struct graph_value **parts = calloc(node->num_inputs + 1, sizeof(*parts));
	struct graph_value *sizes = NULL;
	struct graph_node *split;

	(void)active;
	for (size_t i = 0; parts && i < node->num_inputs; i++) {
		struct graph_value *shape = gradient_emit(g, "Shape", NULL, 1, &node->inputs[i]);

		parts[i] = two(g, "Gather", shape, numbers(g, 1, &axis));
	}
	if (parts && !g->failed)
		sizes = gradient_emit(g, "Concat", NULL, node->num_inputs, parts);
	set_int(g, sizes, "axis", 0);
	for (size_t i = 0; sizes && i < node->num_inputs; i++) {
		dx[i] = graph_add_value(g->graph, NULL, dy->dtype, -1, NULL);
		g->failed |= !dx[i];
	}
	free(parts);
	if (!sizes || g->failed)
		return -ENOMEM;
	split = graph_add_node(g->graph, g->before, "", "Split", sizes->producer->opset, NULL, 2,
			       (struct graph_value *[]){dy, sizes}, node->num_inputs, dx);
	return split ? graph_node_set_int(g->graph, split, "axis", axis) : -ENOMEM;
}

RULE(where)
{
	struct graph_value *condition = node->inputs[0], *zero = gradient_scalar(g, 0, dy);

	if (active[1])
		dx[1] = unstretch(g, gradient_emit(g, "Where", dy, 3, (struct graph_value *[]){condition, dy, zero}),
				  node->inputs[1], node->outputs[0]);
	if (active[2])
		dx[2] = unstretch(g, gradient_emit(g, "Where", dy, 3, (struct graph_value *[]){condition, zero, dy}),
				  node->inputs[2], node->outputs[0]);
	return 0;
}

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

static struct graph_value *sum_along(struct gradient *g, struct graph_value *x, int64_t axis)
{
	struct graph_value *sum = two(g, "ReduceSum", x, numbers(g, 1, &axis));

	set_int(g, sum, "keepdims", 1);
	return sum;
}

/* dx = y (dy - sum(dy y)) */
RULE(softmax)
{
	struct op_node op = graph_op_node(node);
	struct graph_value *y = node->outputs[0];

	(void)active;
	if (node->opset < 13)
		return no_rule(g, node, "before opset 13");
	dx[0] = times(g, y, two(g, "Sub", dy, sum_along(g, times(g, dy, y), op_attr_int(&op, "axis", -1))));
	return 0;
}

/* dx = dy - exp(y) sum(dy) */
RULE(log_softmax)
{
	struct op_node op = graph_op_node(node);

	(void)active;
	if (node->opset < 13)
		return no_rule(g, node, "before opset 13");
	dx[0] = two(g, "Sub", dy,
		    times(g, one(g, "Exp", node->outputs[0]), sum_along(g, dy, op_attr_int(&op, "axis", -1))));
	return 0;
}

/* ---- the table ---- */

static const struct {
	const char *op_type;
	gradient_rule rule;
} rules[] = {
	{"Abs", absolute},
	{"Add", add},
	{"Cast", cast},
	{"CastLike", cast},
	{"Clip", clip},
	{"Concat", concat},
	{"Cos", cosine},
	{"Div", divide},
	{"Erf", error_function},
	{"Exp", exponential},
	{"Expand", expand},
	{"Flatten", reshape},
	{"Gemm", gemm},
	{"Identity", copy},
	{"LeakyRelu", leaky_rectifier},
	{"Log", logarithm},
	{"LogSoftmax", log_softmax},
	{"MatMul", matrix_product},
	{"Max", extreme},
	{"Min", extreme},
	{"Mul", multiply},
	{"Neg", negate},
	{"Pow", power},
	{"Reciprocal", reciprocal},
	{"ReduceMean", reduce_mean},
	{"ReduceSum", reduce_sum},
	{"Relu", rectifier},
	{"Reshape", reshape},
	{"Sigmoid", sigmoid},
	{"Sin", sine},
	{"Softmax", softmax},
	{"Softplus", softplus},
	{"Sqrt", root},
	{"Squeeze", reshape},
	{"Sub", subtract},
	{"Sum", add},
	{"Tanh", hyperbolic_tangent},
	{"Transpose", transpose},
	{"Unsqueeze", reshape},
	{"Where", where},
};

gradient_rule gradient_rule_of(const char *op_type)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (!strcmp(rules[i].op_type, op_type))
			return rules[i].rule;
	return NULL;
}
