/* SPDX-License-Identifier: MIT */
/*
 * Derivatives of what changes shapes and moves elements; see gradient_rules.h.
 *
 * Operators that only copy elements of their input have one rule: they run on the elements' numbers, and the derivative of each copy is
 * added to that of the element that it came from.
 */
#include "compiler/graph/gradient_rules.h"

#include <errno.h>
#include <stdlib.h>

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
	if (rank)
		set_ints(g, dx[0], "perm", rank, inverse);
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

/* Parts that the target does not depend on are zero. */
RULE(split)
{
	struct op_node op = graph_op_node(node);
	struct graph_value **parts = calloc(node->num_outputs + 1, sizeof(*parts));

	(void)dy, (void)active;
	if (!parts)
		return -ENOMEM;
	for (size_t i = 0; i < node->num_outputs; i++) {
		if (!node->outputs[i]) {
			free(parts);
			return no_rule(g, node, "with an output that has no name");
		}
		parts[i] = g->dys[i] ? g->dys[i] : gradient_fill(g, 0, node->outputs[i]);
	}
	dx[0] = gradient_emit(g, "Concat", node->inputs[0], node->num_outputs, parts);
	set_int(g, dx[0], "axis", op_attr_int(&op, "axis", 0));
	free(parts);
	return 0;
}

/*
 * The elements of input 0 get the numbers from 1 on, which the operator moves as it moves them. What it puts in itself has the number
 * 0, whose derivative is left over. @num_inputs: of the operator that count here. Returns the sums by number, that of 0 first.
 */
static struct graph_value *sums_by_number(struct gradient *g, const struct graph_node *node, struct graph_value *dy,
					  size_t num_inputs)
{
	struct graph_value *x = node->inputs[0];
	struct graph_value *size = gradient_emit(g, "Size", NULL, 1, &x);
	struct graph_value *room = gradient_emit(g, "Add", NULL, 2, (struct graph_value *[]){size, number(g, 1)});
	struct graph_value *index = reshape_like(g, range(g, number(g, 1), room), x);

	return scatter_sum(g, room, repeat(g, node, index, num_inputs, 0), dy);
}

RULE(moved)
{
	(void)active;
	dx[0] = reshape_like(g, list_part(g, sums_by_number(g, node, dy, node->num_inputs), 1, INT64_MAX),
			     node->inputs[0]);
	return 0;
}

/* The values around, too: element 0 of the sums is their derivative. */
RULE(pad)
{
	struct graph_node numbered = *node;
	struct graph_value *inputs[4] = {NULL}, *sums;

	if (node->opset < 11)
		return no_rule(g, node, "before opset 11");
	for (size_t i = 0; i < node->num_inputs && i < 4; i++)
		inputs[i] = i == 2 ? NULL : node->inputs[i];
	numbered.inputs = inputs;
	sums = sums_by_number(g, &numbered, dy, node->num_inputs == 3 ? 2 : node->num_inputs);
	if (active[0])
		dx[0] = reshape_like(g, list_part(g, sums, 1, INT64_MAX), node->inputs[0]);
	if (node->num_inputs > 2 && active[2])
		dx[2] = reshape_like(g, list_part(g, sums, 0, 1), node->inputs[2]);
	return 0;
}

const struct gradient_rule gradient_shape_rules[] = {
	{"Cast", cast},
	{"CastLike", cast},
	{"Compress", moved},
	{"Concat", concat},
	{"DepthToSpace", moved},
	{"Expand", expand},
	{"Flatten", reshape},
	{"Gather", moved},
	{"GatherElements", moved},
	{"GatherND", moved},
	{"Pad", pad},
	{"Reshape", reshape},
	{"ReverseSequence", moved},
	{"Slice", moved},
	{"SpaceToDepth", moved},
	{"Split", split, true},
	{"Squeeze", reshape},
	{"Tile", moved},
	{"Transpose", transpose},
	{"Trilu", moved},
	{"Unsqueeze", reshape},
	{"Where", where},
	{NULL, NULL},
};
