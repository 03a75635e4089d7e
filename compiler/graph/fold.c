/* SPDX-License-Identifier: MIT */
/* Constants that graph_infer() leaves to be folded later; see graph_fold_constants() in passes.h. */
#include <errno.h>
#include <stdlib.h>

#include "compiler/graph/execute.h"
#include "compiler/graph/passes.h"

static bool foldable(const struct graph_node *node)
{
	if (node->num_inputs == 0 || node->num_outputs != 1 || graph_has_body(node) || graph_node_is_random(node) ||
	    !node->outputs[0] || node->outputs[0]->is_output || !dtype_size(node->outputs[0]->dtype) ||
	    dtype_owns_memory(node->outputs[0]->dtype))
		return false;
	for (size_t i = 0; i < node->num_inputs; i++)
		if (node->inputs[i] && !node->inputs[i]->constant)
			return false;
	return true;
}

/* The node's output becomes a constant, and the node goes. @values: as for graph_run_node(). */
static int fold_node(struct graph *graph, struct graph_node *node, struct tensor *values)
{
	struct graph_value *out = node->outputs[0];
	char error[OP_ERROR_SIZE + 128];
	struct tensor *own;
	int err = graph_run_node(node, values, NULL, error, sizeof(error));

	if (err)
		return err == -ENOMEM ? err : 0;
	own = malloc(sizeof(*own));
	if (!own)
		return -ENOMEM;
	*own = values[out->id];
	values[out->id] = (struct tensor){0};
	out->constant = own;
	out->producer = NULL;
	node->num_outputs = 0;
	return graph_remove_node(graph, node);
}

int graph_fold_constants(struct graph *graph)
{
	struct graph_node **nodes = malloc((graph->num_nodes + 1) * sizeof(*nodes));
	struct tensor *values = calloc(graph->num_values + 1, sizeof(*values));
	size_t count = graph->num_nodes;
	int err = nodes && values ? 0 : -ENOMEM;

	for (size_t n = 0; n < count && !err; n++)
		nodes[n] = graph->nodes[n];
	for (size_t n = 0; n < count && !err; n++)
		if (foldable(nodes[n]))
			err = fold_node(graph, nodes[n], values);
	for (size_t i = 0; values && i < graph->num_values; i++)
		tensor_finish(&values[i]);
	free(values);
	free(nodes);
	return err ? err : graph_sort(graph);
}
