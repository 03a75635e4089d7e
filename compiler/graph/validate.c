/* SPDX-License-Identifier: MIT */
/* The invariants of a graph that every pass leaves: uses and producers are recorded, values are written before they are read. */
#include <errno.h>

#include "compiler/graph/graph.h"

/* Bodies are graphs of their own, and read only what their node is known to read. */
static int validate_bodies(const struct graph_node *node, char *error, size_t error_size)
{
	int err = 0;

	for (size_t i = 0; i < node->num_attrs && !err; i++) {
		const struct graph *body = graph_node_body(node, i);

		if (!body)
			continue;
		for (size_t c = 0; c < body->num_captures; c++)
			if (body->captures[c].index >= node->num_captures) {
				snprintf(error, error_size, "node %s: %s captures more than the node", node->name,
					 node->attrs[i].name);
				return -EINVAL;
			}
		err = graph_validate(body, error, error_size);
	}
	return err;
}

int graph_validate(const struct graph *graph, char *error, size_t error_size)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		const struct graph_node *node = graph->nodes[n];

		for (size_t i = 0; i < node->num_outputs; i++)
			if (node->outputs[i] && node->outputs[i]->producer != node) {
				snprintf(error, error_size, "node %s: output %s belongs to another node", node->name,
					 node->outputs[i]->name);
				return -EINVAL;
			}
		for (size_t i = 0; i < node->num_inputs; i++) {
			const struct graph_value *value = node->inputs[i];
			bool listed = !value;

			for (size_t u = 0; value && u < value->num_uses; u++)
				listed |= value->uses[u] == node;
			if (!listed || (value && value->producer && value->producer->id >= node->id)) {
				snprintf(error, error_size,
					 "node %s: input %zu is not recorded, or read before it is written", node->name,
					 i);
				return -EINVAL;
			}
			if (value && !value->producer && !value->constant && !value->is_input) {
				snprintf(error, error_size, "node %s: nothing writes its input %s", node->name,
					 value->name);
				return -EINVAL;
			}
		}
		if (validate_bodies(node, error, error_size))
			return -EINVAL;
	}
	return 0;
}
