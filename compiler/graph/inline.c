/* SPDX-License-Identifier: MIT */
/* A branch that is always taken becomes part of the graph around it; see graph_inline() in graph.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/graph/graph.h"

/* The value of the outer graph for each value of @body, in its data word. */
static struct graph_value *outer_of(const struct graph_value *value)
{
	return value ? (struct graph_value *)value->data : NULL;
}

static int map_values(struct graph *graph, const struct graph_node *node, struct graph *body)
{
	for (size_t i = 0; i < body->num_values; i++)
		body->values[i]->data = 0;
	for (size_t i = 0; i < body->num_captures; i++)
		body->captures[i].value->data = (intptr_t)graph_captured(node, body->captures[i].index);
	for (size_t i = 0; i < body->num_values; i++) {
		struct graph_value *value = body->values[i], *own;

		if (value->data)
			continue;
		own = graph_add_value(graph, value->name, value->dtype, value->rank, value->dims);
		if (!own)
			return -ENOMEM;
		own->key = value->key;
		own->element = value->element;
		own->constant = value->constant;
		value->constant = NULL;
		for (int d = 0; d < own->rank; d++) /* symbols are the body's */
			own->dims[d] = own->dims[d] < 0 ? GRAPH_DIM_UNKNOWN : own->dims[d];
		value->data = (intptr_t)own;
	}
	return 0;
}

static int move_node(struct graph *graph, struct graph_node *before, struct graph_node *from)
{
	struct graph_value **operands = calloc(from->num_inputs + from->num_outputs + 1, sizeof(*operands));
	struct graph_value **results = operands + from->num_inputs;
	struct graph_node *node = NULL;

	if (!operands)
		return -ENOMEM;
	for (size_t i = 0; i < from->num_inputs; i++)
		operands[i] = outer_of(from->inputs[i]);
	for (size_t i = 0; i < from->num_outputs; i++)
		results[i] = outer_of(from->outputs[i]);
	node = graph_add_node(graph, before, from->domain, from->op_type, from->opset, from->name, from->num_inputs,
			      operands, from->num_outputs, results);
	free(operands);
	if (!node)
		return -ENOMEM;
	node->num_captures = from->num_captures;
	graph_take_place(node, from);
	for (size_t i = 0; i < node->num_attrs; i++)
		if (graph_node_body(node, i))
			graph_node_body(node, i)->outer = graph;
	return 0;
}

/* A graph output keeps its name only where a node writes it, and once: anything else is copied to it. */
static int replace_output(struct graph *graph, struct graph_node *node, size_t index, struct graph_value *to)
{
	struct graph_value *from = node->outputs[index], *copy;

	if (!from)
		return 0;
	if (from->is_output && (!to->producer || to->is_output)) {
		copy = graph_add_value(graph, NULL, to->dtype, to->rank, to->dims);
		if (!copy || !graph_add_node(graph, node, "", "Identity", node->opset, NULL, 1, &to, 1, &copy))
			return -ENOMEM;
		copy->key = to->key;
		copy->element = to->element;
		to = copy;
	}
	return graph_replace_value(graph, from, to);
}

int graph_inline(struct graph *graph, struct graph_node *node, struct graph *body)
{
	int err;

	if (body->num_inputs || body->num_outputs != node->num_outputs)
		return -EINVAL;
	err = map_values(graph, node, body);
	for (size_t n = 0; n < body->num_nodes && !err; n++)
		err = move_node(graph, node, body->nodes[n]);
	for (size_t i = 0; i < node->num_outputs && !err; i++)
		err = replace_output(graph, node, i, outer_of(body->outputs[i]));
	if (err)
		return err;
	graph_take_memory(graph, body);
	return graph_remove_node(graph, node);
}
