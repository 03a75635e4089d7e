/* SPDX-License-Identifier: MIT */
/*
 * Derivatives of arithmetic and products, and the look-up of all rules; see gradient_rules.h.
 */
#include "compiler/graph/gradient_rules.h"

#include <errno.h>
#include <string.h>

/* ---- arithmetic ---- */

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

RULE(mean)
{
	for (size_t i = 0; i < node->num_inputs; i++)
		if (active[i])
			dx[i] = unstretch(g, scaled(g, dy, 1.0 / (double)node->num_inputs), node->inputs[i],
					  node->outputs[0]);
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

	/* A vector is a matrix of one row on the left, of one column on the right. */
	if (b->rank == 1) {
		b = two(g, "Unsqueeze", b, numbers(g, 1, (int64_t[]){1}));
		dy = two(g, "Unsqueeze", dy, numbers(g, 1, (int64_t[]){-1}));
	}
	if (a->rank == 1) {
		a = two(g, "Unsqueeze", a, numbers(g, 1, (int64_t[]){0}));
		dy = two(g, "Unsqueeze", dy, numbers(g, 1, (int64_t[]){-2}));
	}
	if (active[0])
		dx[0] = two(g, "MatMul", dy, swap_last_axes(g, b));
	if (active[1])
		dx[1] = two(g, "MatMul", swap_last_axes(g, a), dy);
	/* Two matrices have no batch axes to stretch. */
	for (int i = 0; i < 2 && !(node->inputs[0]->rank == 2 && node->inputs[1]->rank == 2); i++)
		if (active[i])
			dx[i] = reshape_like(g, unstretch(g, dx[i], i ? b : a, NULL), node->inputs[i]);
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

/* ---- the look-up ---- */

static const struct gradient_rule basic_rules[] = {
	{"Add", add},     {"Div", divide},   {"Gemm", gemm},   {"MatMul", matrix_product},
	{"Max", extreme}, {"Mean", mean},    {"Min", extreme}, {"Mul", multiply},
	{"Pow", power},   {"Sub", subtract}, {"Sum", add},     {NULL, NULL},
};

const struct gradient_rule *gradient_rule_of(const char *op_type)
{
	static const struct gradient_rule *const tables[] = {
		basic_rules,           gradient_unary_rules,  gradient_shape_rules,
		gradient_reduce_rules, gradient_window_rules, gradient_norm_rules,
	};

	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct gradient_rule *rule = tables[t]; rule->op_type; rule++)
			if (!strcmp(rule->op_type, op_type))
				return rule;
	return NULL;
}
