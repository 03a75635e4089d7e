/* SPDX-License-Identifier: MIT */
/* A graph as text, for people: types, values, nodes. */
#include <errno.h>

#include "compiler/graph/graph.h"

/* ONNX's way to write a type; appends to @text at @at, returns the new end (at most @size). */
static size_t print_type(const struct graph_type *type, char *text, size_t size, size_t at)
{
	const char *key = type && type->dtype == DTYPE_MAP ? dtype_name(type->key) : NULL;

	if (at >= size)
		return size;
	if (!type || !dtype_is_nested(type->dtype))
		return at + (size_t)snprintf(text + at, size - at, "tensor(%s)", type ? dtype_name(type->dtype) : "?");
	at += (size_t)snprintf(text + at, size - at, "%s(%s%s",
			       type->dtype == DTYPE_SEQUENCE ? "seq" : dtype_name(type->dtype), key ? key : "",
			       key ? ", " : "");
	at = print_type(type->element, text, size, at);
	return at < size ? at + (size_t)snprintf(text + at, size - at, ")") : size;
}

char *graph_value_type(const struct graph *graph, const struct graph_value *value, char *text, size_t size)
{
	size_t at;

	if (dtype_is_nested(value->dtype)) {
		print_type(&(struct graph_type){value->dtype, value->key, value->element}, text, size, 0);
		return text;
	}
	at = (size_t)snprintf(text, size, "%s", dtype_name(value->dtype));
	if (value->rank < 0) {
		snprintf(text + at, size - at, "[...]");
		return text;
	}
	for (int d = 0; d <= value->rank && at < size; d++) {
		const char *comma = d == 0 ? "[" : ",";

		if (d == value->rank)
			at += (size_t)snprintf(text + at, size - at, "%s", value->rank ? "]" : "");
		else if (value->dims[d] >= 0)
			at += (size_t)snprintf(text + at, size - at, "%s%lld", comma, (long long)value->dims[d]);
		else if (value->dims[d] == GRAPH_DIM_UNKNOWN || (size_t)(-2 - value->dims[d]) >= graph->num_symbols)
			at += (size_t)snprintf(text + at, size - at, "%s?", comma);
		else
			at += (size_t)snprintf(text + at, size - at, "%s%s", comma,
					       graph->symbols[-2 - value->dims[d]]);
	}
	return text;
}

static void print_node(const struct graph *graph, const struct graph_node *node, FILE *out, int depth);

static void print_graph(const struct graph *graph, FILE *out, int depth)
{
	char type[256];

	fprintf(out, "%*sgraph %s: %zu nodes\n", depth, "", graph->name, graph->num_nodes);
	for (size_t i = 0; i < graph->num_inputs; i++)
		fprintf(out, "%*s  input %%%s: %s\n", depth, "", graph->inputs[i]->name,
			graph_value_type(graph, graph->inputs[i], type, sizeof(type)));
	for (size_t i = 0; i < graph->num_captures; i++)
		fprintf(out, "%*s  capture %%%s: %s\n", depth, "", graph->captures[i].value->name,
			graph_value_type(graph, graph->captures[i].value, type, sizeof(type)));
	for (size_t n = 0; n < graph->num_nodes; n++)
		print_node(graph, graph->nodes[n], out, depth);
	for (size_t i = 0; i < graph->num_outputs; i++)
		fprintf(out, "%*s  output %%%s\n", depth, "", graph->outputs[i]->name);
}

static void print_node(const struct graph *graph, const struct graph_node *node, FILE *out, int depth)
{
	size_t own = node->num_inputs - node->num_captures;
	char type[256];

	fprintf(out, "%*s  %s", depth, "",
		node->placement == GRAPH_PLACE_NPU   ? "npu "
		: node->placement == GRAPH_PLACE_CPU ? "cpu "
						     : "");
	for (size_t i = 0; i < node->num_outputs; i++)
		if (node->outputs[i])
			fprintf(out, "%s%%%s: %s", i ? ", " : "", node->outputs[i]->name,
				graph_value_type(graph, node->outputs[i], type, sizeof(type)));
	fprintf(out, " = %s%s%s(", node->domain, *node->domain ? "::" : "", node->op_type);
	for (size_t i = 0; i < node->num_inputs; i++)
		fprintf(out, "%s%s%s",
			i == own ? (i ? "; captures " : "captures ")
			: i      ? ", "
				 : "",
			node->inputs[i] ? node->inputs[i]->constant ? "#" : "%" : "-",
			node->inputs[i] ? node->inputs[i]->name : "");
	fputs(")\n", out);
	for (size_t i = 0; i < node->num_attrs; i++)
		if (graph_node_body(node, i)) {
			fprintf(out, "%*s    %s:\n", depth, "", node->attrs[i].name);
			print_graph(graph_node_body(node, i), out, depth + 4);
		}
}

int graph_print(const struct graph *graph, FILE *out)
{
	print_graph(graph, out, 0);
	return ferror(out) ? -EIO : 0;
}
