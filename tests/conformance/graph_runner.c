/* SPDX-License-Identifier: MIT */
/* A model as it was imported, or imported, exported and imported: its nodes one after the other, without the compiler's passes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/graph/execute.h"
#include "compiler/onnx/export.h"
#include "compiler/onnx/import.h"
#include "tests/conformance/runner.h"

static void close_graph(struct runner *runner)
{
	graph_destroy(runner->model);
	free(runner->input_types);
	free(runner->output_types);
	runner->model = NULL;
	runner->input_types = runner->output_types = NULL;
}

/* What the model is after a way through the exporter. */
static int export_again(struct graph **graph, char *why)
{
	uint8_t *bytes = NULL;
	size_t size;
	/* Derivatives of older models have nodes of a newer operator set. */
	int err = onnx_upgrade(*graph, 0, why, TEXT_SIZE);

	if (!err)
		err = onnx_export_bytes(*graph, &bytes, &size, why, TEXT_SIZE);
	graph_destroy(*graph);
	*graph = NULL;
	if (!err)
		err = onnx_import_bytes(bytes, size, NULL, graph, why, TEXT_SIZE);
	free(bytes);
	return err;
}

static int open_graph(struct runner *runner, const char *path, char *why)
{
	struct graph *graph;
	int err = onnx_import_file(path, &graph, why, TEXT_SIZE);

	if (!err && runner->export)
		err = export_again(&graph, why);
	if (err)
		return err;
	runner->model = graph;
	runner->num_inputs = graph->num_inputs;
	runner->num_outputs = graph->num_outputs;
	runner->input_types = calloc(graph->num_inputs + 1, sizeof(*runner->input_types));
	runner->output_types = calloc(graph->num_outputs + 1, sizeof(*runner->output_types));
	if (!runner->input_types || !runner->output_types) {
		close_graph(runner);
		snprintf(why, TEXT_SIZE, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < graph->num_inputs; i++)
		runner->input_types[i] = graph->inputs[i]->dtype;
	for (size_t i = 0; i < graph->num_outputs; i++)
		runner->output_types[i] = graph->outputs[i]->dtype;
	return 0;
}

static int run_graph(struct runner *runner, const struct tensor *inputs, struct tensor *outputs, char *why)
{
	const struct graph *graph = runner->model;
	struct tensor *values = calloc(graph->num_values + 1, sizeof(*values));
	int err = values ? 0 : -ENOMEM;

	for (size_t i = 0; i < graph->num_inputs && !err; i++) {
		values[graph->inputs[i]->id] = inputs[i];
		values[graph->inputs[i]->id].owned = false;
	}
	for (size_t n = 0; n < graph->num_nodes && !err; n++) {
		const struct graph_node *node = graph->nodes[n];

		err = graph_run_node(node, values, runner->pool, why, TEXT_SIZE);
		if (err == -ENOENT)
			snprintf(why, TEXT_SIZE, "%s", node->op_type);
	}
	for (size_t i = 0; i < graph->num_outputs && !err; i++) {
		const struct graph_value *value = graph->outputs[i];

		err = tensor_copy(&outputs[i], value->constant ? value->constant : &values[value->id]);
	}
	for (size_t i = 0; values && i < graph->num_values; i++)
		tensor_finish(&values[i]);
	free(values);
	return err;
}

const struct runner graph_case_runner = {.open = open_graph, .close = close_graph, .run = run_graph};
