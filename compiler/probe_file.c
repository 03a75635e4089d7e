/* SPDX-License-Identifier: MIT */
/* See probe_file.h. */
#include "compiler/probe_file.h"

#include <errno.h>
#include <stdlib.h>

#include "compiler/graph/passes.h"
#include "compiler/onnx/export.h"
#include "compiler/onnx/import.h"
#include "runtime/fail.h"

static bool is_layer(const struct graph_value *value)
{
	return value && value->dtype && !dtype_is_nested(value->dtype) && !value->constant;
}

/* The new outputs of @graph: what its nodes compute, in order, then what else it gives. */
static size_t list_outputs(const struct graph *graph, struct graph_value **list, struct probe_value *values)
{
	size_t count = 0;

	for (size_t n = 0; n < graph->num_nodes; n++)
		for (size_t i = 0; i < graph->nodes[n]->num_outputs; i++) {
			const struct graph_node *node = graph->nodes[n];

			if (!is_layer(node->outputs[i]))
				continue;
			values[count] = (struct probe_value){node->outputs[i]->name, node->name, node->op_type};
			list[count++] = node->outputs[i];
		}
	for (size_t i = 0; i < graph->num_outputs; i++) {
		struct graph_value *value = graph->outputs[i];

		if (value->producer && is_layer(value))
			continue;
		values[count] = (struct probe_value){value->name, value->producer ? value->producer->name : "",
						     value->producer ? value->producer->op_type : ""};
		list[count++] = value;
	}
	return count;
}

static int add_outputs(struct graph *graph, struct probe_result *result)
{
	struct graph_value **list;
	size_t room = graph->num_outputs + 1;

	for (size_t n = 0; n < graph->num_nodes; n++)
		room += graph->nodes[n]->num_outputs;
	list = calloc(room, sizeof(*list));
	result->values = calloc(room, sizeof(*result->values));
	if (!list || !result->values) {
		free(list);
		return -ENOMEM;
	}
	result->num_values = list_outputs(graph, list, result->values);
	free(graph->outputs);
	graph->outputs = list;
	graph->num_outputs = result->num_values;
	for (size_t i = 0; i < graph->num_outputs; i++)
		list[i]->is_output = true;
	return 0;
}

int probe_file(const char *path, size_t num_dims, const struct compile_dim *dims, const char *output,
	       struct probe_result *result, char *error, size_t error_size)
{
	int err;

	*result = (struct probe_result){0};
	err = onnx_import_file(path, &result->graph, error, error_size);
	for (size_t i = 0; i < num_dims && !err; i++)
		if (graph_bind_symbol(result->graph, dims[i].name, dims[i].size))
			err = fail(error, error_size, -EINVAL, "the model has no dimension '%s'", dims[i].name);
	if (err)
		return err;
	graph_bind_rest(result->graph, 1);
	err = graph_infer(result->graph, 0, error, error_size);
	if (!err && add_outputs(result->graph, result))
		err = fail(error, error_size, -ENOMEM, "out of memory");
	return err ? err : onnx_export_file(result->graph, output, error, error_size);
}

void probe_result_finish(struct probe_result *result)
{
	graph_destroy(result->graph);
	free(result->values);
	*result = (struct probe_result){0};
}
