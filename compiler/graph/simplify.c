/* SPDX-License-Identifier: MIT */
/* Dead nodes, nodes that do nothing, and the work of nodes; see passes.h. */
#include <errno.h>
#include <string.h>

#include "compiler/graph/passes.h"

static bool is_dead(const struct graph_node *node)
{
	for (size_t i = 0; i < node->num_outputs; i++)
		if (node->outputs[i] && (node->outputs[i]->num_uses || node->outputs[i]->is_output))
			return false;
	return true;
}

static int remove_dead(struct graph *graph)
{
	bool removed = true;

	while (removed) {
		removed = false;
		for (size_t n = graph->num_nodes; n-- > 0;)
			if (is_dead(graph->nodes[n])) {
				int err = graph_remove_node(graph, graph->nodes[n]);

				if (err)
					return err;
				removed = true;
			}
	}
	return 0;
}

bool graph_node_is_random(const struct graph_node *node)
{
	struct op_node op = graph_op_node(node);

	if (*node->domain)
		return false;
	if (!strcmp(node->op_type, "Dropout")) {
		const struct graph_value *training = node->num_inputs > 2 ? node->inputs[2] : NULL;

		if (node->opset < 7)
			return !op_attr_int(&op, "is_test", 0);
		return node->opset >= 12 && training && !(training->constant && !tensor_get_s64(training->constant, 0));
	}
	return !strncmp(node->op_type, "Random", 6) || !strcmp(node->op_type, "Bernoulli") ||
	       !strcmp(node->op_type, "Multinomial");
}

static bool does_nothing(const struct graph_node *node)
{
	if (node->num_inputs < 1 || !node->inputs[0])
		return false;
	if (!strcmp(node->op_type, "Identity"))
		return true;
	return !strcmp(node->op_type, "Dropout") && !graph_node_is_random(node) &&
	       (node->num_outputs < 2 || !node->outputs[1] ||
		(!node->outputs[1]->num_uses && !node->outputs[1]->is_output));
}

/* Readers of a node that does nothing read its input. One whose input or output is the graph's own stays. */
static int skip_nothing(struct graph *graph)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		struct graph_node *node = graph->nodes[n];
		int err;

		if (!does_nothing(node) ||
		    (node->outputs[0]->is_output && (!node->inputs[0]->producer || node->inputs[0]->is_output)))
			continue;
		err = graph_replace_value(graph, node->outputs[0], node->inputs[0]);
		if (err)
			return err;
	}
	return 0;
}

/* A Sum of two is an Add: one form for the patterns to know. Opset 8 gave Sum the broadcasting that Add has. */
static void sums_to_adds(struct graph *graph)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		struct graph_node *node = graph->nodes[n];

		if (!strcmp(node->op_type, "Sum") && !*node->domain && node->num_inputs == 2 && node->opset >= 8)
			node->op_type = "Add";
	}
}

static int simplify_bodies(struct graph *graph)
{
	int err = 0;

	for (size_t n = 0; n < graph->num_nodes; n++)
		for (size_t i = 0; i < graph->nodes[n]->num_attrs && !err; i++)
			if (graph_node_body(graph->nodes[n], i))
				err = graph_simplify(graph_node_body(graph->nodes[n], i));
	return err;
}

int graph_simplify(struct graph *graph)
{
	int err = skip_nothing(graph);

	if (!err)
		err = simplify_bodies(graph);

	sums_to_adds(graph);

	if (!err)
		err = remove_dead(graph);
	return err ? err : graph_sort(graph);
}

/* ---- work ---- */

static const struct {
	const char *op_type;
	int w; /* the input that holds the weights */
	bool conv;
} products[] = {
	{"Conv", 1, true},         {"FusedConv", 1, true}, {"ConvTranspose", 1, true},  {"QLinearConv", 3, true},
	{"ConvInteger", 1, true},  {"Gemm", 1, false},     {"FusedGemm", 1, false},     {"MatMul", 1, false},
	{"FusedMatMul", 1, false}, {"QGemm", 3, false},    {"QLinearMatMul", 3, false}, {"MatMulInteger", 1, false},
	{"Linear", 1, false},      {"QLinear", 3, false},
};

/* Both products of every head: a score for each query and key, and the weighted sum of the values. */
static uint64_t attention_macs(const struct graph_node *node)
{
	const struct graph_value *q = node->inputs[0], *k = node->inputs[1], *y = node->outputs[0];

	if (!graph_value_is_static(q) || !graph_value_is_static(k) || !graph_value_is_static(y))
		return 0;
	/* Keys are the axis before the last, whether the heads are in a row or apart. */
	return (uint64_t)((dims_count(q->rank, q->dims) + dims_count(y->rank, y->dims)) * k->dims[k->rank - 2]);
}

uint64_t graph_node_macs(const struct graph_node *node)
{
	if (!strcmp(node->op_type, "Attention") && !*node->domain)
		return attention_macs(node);
	for (size_t i = 0; i < sizeof(products) / sizeof(products[0]); i++) {
		const struct graph_value *x, *w, *y = node->outputs[0];
		struct op_node op = graph_op_node(node);
		int64_t outputs;

		if (strcmp(products[i].op_type, node->op_type))
			continue;
		x = node->inputs[0];
		w = node->inputs[products[i].w];
		if (!graph_value_is_static(x) || !graph_value_is_static(w) || !graph_value_is_static(y) || w->rank < 1)
			return 0;
		outputs = dims_count(y->rank, y->dims);
		if (!strcmp(node->op_type, "ConvTranspose")) /* every input element meets the weights of its channel */
			return (uint64_t)(dims_count(x->rank, x->dims) * (dims_count(w->rank, w->dims) / w->dims[0]));
		if (products[i].conv)
			return (uint64_t)(outputs * (dims_count(w->rank, w->dims) / w->dims[0]));
		return (uint64_t)(outputs * x->dims[op_attr_int(&op, "transA", 0) ? 0 : x->rank - 1]);
	}
	return 0;
}
