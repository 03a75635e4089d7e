/* SPDX-License-Identifier: MIT */
/*
 * Concatenations without copies: what makes an input of one writes it where the result will be.
 *
 * A value has one place, so only one concatenation can have it. Its maker must write through lower_commit() or into any
 * strides that the tensor has; an operator that makes a view, or writes densely, is left alone, and the concatenation
 * copies. Concatenations of concatenations nest: the whole chain lies in the last one's result.
 */
#include <string.h>

#include "compiler/target/place.h"

/* Operators that write into whatever strides their output has. */
static bool writes_anywhere(const struct graph_node *node)
{
	static const char *const names[] = {
		"Conv",          "FusedConv",
		"ConvTranspose", "QLinearConv",
		"MaxPool",       "AveragePool",
		"QLinearAdd",    "QLinearAveragePool",
		"QLinearMul",    "QuantizeLinear",
		"Concat",        "DequantizeLinear",
		"Add",           "Mul",
		"Relu",          "LRN",
		"Clip",
	};

	return GRAPH_NODE_IS(node, names);
}

bool place_of(const struct lower *lower, const struct graph_value *value, struct graph_node **concat, int64_t *start)
{
	if (!pass_runs(lower->disabled, PASS_CONCAT_PLACE) || !value->producer || value->is_output ||
	    !writes_anywhere(value->producer))
		return false;
	for (size_t u = 0; u < value->num_uses; u++) {
		struct graph_node *node = value->uses[u];
		int axis = place_axis(node), times = 0;

		if (strcmp(node->op_type, "Concat") || *node->domain || node->region != value->producer->region ||
		    axis < 0 || axis >= value->rank)
			continue;
		*start = 0;
		for (size_t i = 0, before = 1; i < node->num_inputs; i++) {
			times += node->inputs[i] == value;
			before &= node->inputs[i] != value;
			if (!graph_value_is_static(node->inputs[i]) || node->inputs[i]->dtype != value->dtype)
				times = 2;
			else if (before)
				*start += node->inputs[i]->dims[axis];
		}
		if (times != 1)
			continue;
		*concat = node;
		return true;
	}
	return false;
}

int place_axis(const struct graph_node *concat)
{
	struct op_node op = graph_op_node(concat);
	int64_t axis = op_attr_int(&op, "axis", 1), rank = concat->outputs[0] ? concat->outputs[0]->rank : 0;

	return (int)(axis < 0 ? axis + rank : axis);
}
