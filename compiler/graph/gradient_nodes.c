/* SPDX-License-Identifier: MIT */
/* What the rules share: see gradient_rules.h. */
#include "compiler/graph/gradient_rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct graph_value *one(struct gradient *g, const char *op_type, struct graph_value *x)
{
	return gradient_emit(g, op_type, x, 1, &x);
}

struct graph_value *two(struct gradient *g, const char *op_type, struct graph_value *a, struct graph_value *b)
{
	return gradient_emit(g, op_type, a, 2, (struct graph_value *[]){a, b});
}

struct graph_value *times(struct gradient *g, struct graph_value *a, struct graph_value *b)
{
	return two(g, "Mul", a, b);
}

struct graph_value *plus(struct gradient *g, struct graph_value *a, struct graph_value *b)
{
	return two(g, "Add", a, b);
}

struct graph_value *minus(struct gradient *g, struct graph_value *a, struct graph_value *b)
{
	return two(g, "Sub", a, b);
}

struct graph_value *scaled(struct gradient *g, struct graph_value *x, double factor)
{
	return times(g, x, gradient_scalar(g, factor, x));
}

struct graph_value *shifted(struct gradient *g, struct graph_value *x, double summand)
{
	return plus(g, x, gradient_scalar(g, summand, x));
}

struct graph_value *choose(struct gradient *g, struct graph_value *condition, struct graph_value *a,
			   struct graph_value *b)
{
	return gradient_emit(g, "Where", a, 3, (struct graph_value *[]){condition, a, b});
}

struct graph_value *compare(struct gradient *g, const char *relation, struct graph_value *x, double number)
{
	return gradient_emit(g, relation, NULL, 2, (struct graph_value *[]){x, gradient_scalar(g, number, x)});
}

/* ---- lists of integers ---- */

static struct graph_value *integers(struct gradient *g, int rank, int64_t count, const int64_t *values)
{
	struct graph_value *constant;
	struct tensor t;

	if (g->failed || tensor_init(&t, DTYPE_S64, rank, &count)) {
		g->failed = true;
		return NULL;
	}
	if (count)
		memcpy(t.data, values, (size_t)count * sizeof(*values));
	constant = graph_add_constant(g->graph, NULL, &t);
	g->failed |= !constant;
	return constant;
}

struct graph_value *numbers(struct gradient *g, int64_t count, const int64_t *values)
{
	return integers(g, 1, count, values);
}

struct graph_value *number(struct gradient *g, int64_t value)
{
	return integers(g, 0, 1, &value);
}

struct graph_value *join(struct gradient *g, struct graph_value *a, struct graph_value *b, struct graph_value *c)
{
	struct graph_value *list = gradient_emit(g, "Concat", NULL, c ? 3 : 2, (struct graph_value *[]){a, b, c});

	set_int(g, list, "axis", 0);
	return list;
}

struct graph_value *shape_part(struct gradient *g, struct graph_value *x, int64_t begin, int64_t end)
{
	struct graph_value *shape = gradient_emit(g, "Shape", NULL, 1, &x);

	set_int(g, shape, "start", begin);
	set_int(g, shape, "end", end);
	return shape;
}

struct graph_value *range(struct gradient *g, struct graph_value *begin, struct graph_value *end)
{
	return gradient_emit(g, "Range", NULL, 3, (struct graph_value *[]){begin, end, number(g, 1)});
}

struct graph_value *rank_of(struct gradient *g, struct graph_value *x)
{
	return gradient_emit(g, "Size", NULL, 1, (struct graph_value *[]){gradient_emit(g, "Shape", NULL, 1, &x)});
}

struct graph_value *list_part(struct gradient *g, struct graph_value *x, int64_t begin, int64_t end)
{
	return gradient_emit(g, "Slice", x, 3, (struct graph_value *[]){x, numbers(g, 1, &begin), numbers(g, 1, &end)});
}

/* ---- attributes ---- */

void set_int(struct gradient *g, struct graph_value *of, const char *name, int64_t value)
{
	if (of && graph_node_set_int(g->graph, of->producer, name, value))
		g->failed = true;
}

void set_ints(struct gradient *g, struct graph_value *of, const char *name, size_t count, const int64_t *values)
{
	if (of && graph_node_set_ints(g->graph, of->producer, name, count, values))
		g->failed = true;
}

void set_string(struct gradient *g, struct graph_value *of, const char *name, const char *value)
{
	if (of && graph_node_set_string(g->graph, of->producer, name, value))
		g->failed = true;
}

int no_rule(struct gradient *g, const struct graph_node *node, const char *form)
{
	snprintf(g->error, g->error_size, "no rule for the derivative of %s %s (node %s)", node->op_type, form,
		 node->name);
	return -ENOTSUP;
}

/* ---- shapes ---- */

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

struct graph_value *unstretch(struct gradient *g, struct graph_value *derivative, struct graph_value *x,
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

struct graph_value *reshape_to(struct gradient *g, struct graph_value *x, struct graph_value *shape)
{
	struct graph_value *shaped = two(g, "Reshape", x, shape);

	set_int(g, shaped, "allowzero", 1);
	return shaped;
}

struct graph_value *reshape_like(struct gradient *g, struct graph_value *x, struct graph_value *like)
{
	return reshape_to(g, x, gradient_emit(g, "Shape", NULL, 1, &like));
}

struct graph_value *sum_over(struct gradient *g, struct graph_value *x, struct graph_value *axes)
{
	return two(g, "ReduceSum", x, axes);
}

struct graph_value *mean_over(struct gradient *g, struct graph_value *x, struct graph_value *axes)
{
	return two(g, "ReduceMean", x, axes);
}

struct graph_value *scatter_sum(struct gradient *g, struct graph_value *room, struct graph_value *index,
				struct graph_value *values)
{
	struct graph_value *all = numbers(g, 1, (int64_t[]){-1});
	struct graph_value *zeros = two(g, "Expand", gradient_scalar(g, 0, values), two(g, "Reshape", room, all));
	struct graph_value *sum = gradient_emit(
		g, "ScatterElements", values, 3,
		(struct graph_value *[]){zeros, two(g, "Reshape", index, all), two(g, "Reshape", values, all)});

	set_string(g, sum, "reduction", "add");
	return sum;
}

struct graph_value *repeat(struct gradient *g, const struct graph_node *node, struct graph_value *input,
			   size_t num_inputs, size_t index)
{
	struct graph_value **operands, **results;
	struct graph_value *result = NULL;
	struct graph_node *copy;

	if (g->failed)
		return NULL;
	operands = calloc(num_inputs + index + 2, sizeof(*operands));
	if (!operands) {
		g->failed = true;
		return NULL;
	}
	results = operands + num_inputs;
	memcpy(operands, node->inputs, num_inputs * sizeof(*operands));
	operands[0] = input;
	result = results[index] = graph_add_value(g->graph, NULL, DTYPE_UNDEFINED, -1, NULL);
	/* An output in front of the one that is wanted: not every operator takes a missing one. */
	for (size_t i = 0; i < index; i++)
		results[i] = graph_add_value(g->graph, NULL, DTYPE_UNDEFINED, -1, NULL);
	copy = result ? graph_add_node(g->graph, g->before, node->domain, node->op_type, node->opset, NULL, num_inputs,
				       operands, index + 1, results)
		      : NULL;
	if (!copy || gradient_copy_attributes(g, node, copy)) {
		g->failed = true;
		result = NULL;
	}
	free(operands);
	return result;
}
