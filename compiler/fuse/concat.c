/* SPDX-License-Identifier: MIT */
/*
 * A Relu behind a concatenation goes to the convolutions in front of it, which do it in the drain, and what they and the others
 * concatenate has one range:
 *
 *	Conv ───────► Concat ──► Relu		Conv, Relu ─► Concat
 *	AveragePool ──►				AveragePool ──►
 */
#include <errno.h>
#include <string.h>

#include "compiler/fuse/fuse.h"
#include "compiler/fuse/pattern.h"

#define MAX_DEPTH 16

/* Are its elements at least 0 (or no numbers), by the operators that made them? */
static bool is_nonnegative(const struct graph_value *value, unsigned int depth)
{
	static const char *const makers[] = {"Abs", "Exp", "Relu", "Sigmoid", "Softmax", "Softplus", "Sqrt"};
	static const char *const keepers[] = {
		"AveragePool", "Dropout", "Flatten", "GlobalAveragePool", "GlobalMaxPool", "Identity", "MaxPool",
		"Reshape",     "Slice",   "Squeeze", "Transpose",         "Unsqueeze",     "Concat"};
	const struct graph_node *node = value->producer;

	if (!node || *node->domain || depth == MAX_DEPTH)
		return false;
	if (GRAPH_NODE_IS(node, makers))
		return true;
	if (!GRAPH_NODE_IS(node, keepers))
		return false;
	for (size_t i = 0; i < (is_op(node, "Concat") ? node->num_inputs : 1); i++)
		if (!is_nonnegative(node->inputs[i], depth + 1))
			return false;
	return true;
}

/* Each input is a convolution's, which can do the Relu, or needs none. */
static bool takes_relu(const struct graph_node *concat)
{
	for (size_t i = 0; i < concat->num_inputs; i++) {
		const struct graph_value *value = concat->inputs[i];

		if (!is_nonnegative(value, 0) &&
		    !(is_op(value->producer, "Conv") && only_reader(value) == concat && value->rank >= 0))
			return false;
	}
	return true;
}

/* A Relu as @relu in front of input @index of @concat. */
static int put_relu(struct graph *graph, struct graph_node *concat, size_t index, const struct graph_node *relu)
{
	struct graph_value *from = concat->inputs[index];
	struct graph_value *to = graph_add_value(graph, NULL, from->dtype, from->rank, from->dims);
	struct graph_node *node =
		to ? graph_add_node(graph, concat, "", "Relu", relu->opset, relu->name, 1, &from, 1, &to) : NULL;

	if (!node)
		return -ENOMEM;
	node->origin = relu->origin;
	return graph_set_input(concat, index, to);
}

int fuse_concat_relu(struct graph *graph)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		struct graph_node *concat = graph->nodes[n], *relu;
		int err = 0;

		if (!is_op(concat, "Concat"))
			continue;
		relu = only_reader(concat->outputs[0]);
		if (!is_op(relu, "Relu") || !takes_relu(concat))
			continue;
		for (size_t i = 0; i < concat->num_inputs && !err; i++)
			if (!is_nonnegative(concat->inputs[i], 0))
				err = put_relu(graph, concat, i, relu);
		err = err ? err : take_output(graph, concat, relu);
		if (err)
			return err;
	}
	return graph_sort(graph);
}
