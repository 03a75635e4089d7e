/* SPDX-License-Identifier: MIT */
/* See shuffle.h. */
#include "compiler/graph/shuffle.h"

#include <string.h>

/* @value's producer, when it is a @op_type; @alone: and nobody but one node reads the value. */
static struct graph_node *producer_is(const struct graph_value *value, const char *op_type, bool alone)
{
	struct graph_node *node = value->producer;

	if (!node || *node->domain || strcmp(node->op_type, op_type) ||
	    (alone && (value->num_uses != 1 || value->is_output)))
		return NULL;
	return node;
}

static bool swaps_groups(const struct graph_node *transpose)
{
	static const int64_t swap[5] = {0, 2, 1, 3, 4};
	struct op_node op = graph_op_node(transpose);
	const int64_t *perm;

	return op_attr_ints(&op, "perm", &perm) == 5 && !memcmp(perm, swap, sizeof(swap));
}

bool shuffle_find(const struct graph_value *value, struct shuffle *shuffle)
{
	struct graph_node *merge = producer_is(value, "Reshape", false);
	struct graph_node *swap = merge ? producer_is(merge->inputs[0], "Transpose", true) : NULL;
	struct graph_node *split = swap ? producer_is(swap->inputs[0], "Reshape", true) : NULL;
	const struct graph_value *from, *parts;

	if (!split || split->num_inputs != 2 || merge->num_inputs != 2 || !swaps_groups(swap))
		return false;
	from = split->inputs[0];
	parts = split->outputs[0];
	if (!graph_value_is_static(from) || !graph_value_is_static(parts) || !graph_value_is_static(value) ||
	    from->rank != 4 || parts->rank != 5 || value->rank != 4 ||
	    memcmp(from->dims, value->dims, 4 * sizeof(from->dims[0])) || parts->dims[0] != from->dims[0] ||
	    parts->dims[3] != from->dims[2] || parts->dims[4] != from->dims[3] ||
	    parts->dims[1] * parts->dims[2] != from->dims[1])
		return false;
	*shuffle = (struct shuffle){split, swap, merge, parts->dims[1]};
	return true;
}

bool shuffle_begins(const struct graph_node *node, struct shuffle *shuffle)
{
	const struct graph_value *value = node->outputs[0];

	for (int step = 0; step < 2; step++) {
		if (value->num_uses != 1 || value->is_output)
			return false;
		value = value->uses[0]->outputs[0];
	}
	return shuffle_find(value, shuffle) && shuffle->split == node;
}
