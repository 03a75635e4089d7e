/* SPDX-License-Identifier: MIT */
/* See quantize_file.h. */
#include "compiler/quantize_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/fuse/fuse.h"
#include "compiler/graph/passes.h"
#include "compiler/onnx/export.h"
#include "compiler/onnx/import.h"
#include "runtime/fail.h"

#define OPSET 13 /* the first with a scale for each channel */

/* Dimensions of the inputs and outputs before symbols got a size; @inferred: ranks after it. */
struct shapes {
	size_t count;
	int *ranks, *inferred;
	int64_t (*dims)[TENSOR_MAX_RANK];
};

static struct graph_value *end_of(const struct graph *graph, size_t i)
{
	return i < graph->num_inputs ? graph->inputs[i] : graph->outputs[i - graph->num_inputs];
}

static int keep_shapes(const struct graph *graph, struct shapes *shapes)
{
	shapes->count = graph->num_inputs + graph->num_outputs;
	shapes->ranks = malloc((shapes->count + 1) * sizeof(*shapes->ranks));
	shapes->inferred = malloc((shapes->count + 1) * sizeof(*shapes->inferred));
	shapes->dims = malloc((shapes->count + 1) * sizeof(*shapes->dims));
	if (!shapes->ranks || !shapes->inferred || !shapes->dims)
		return -ENOMEM;
	for (size_t i = 0; i < shapes->count; i++) {
		shapes->ranks[i] = end_of(graph, i)->rank;
		memcpy(shapes->dims[i], end_of(graph, i)->dims, sizeof(shapes->dims[i]));
	}
	return 0;
}

static bool has_symbols(const struct graph *graph)
{
	for (size_t i = 0; i < graph->num_inputs; i++)
		for (int d = 0; d < graph->inputs[i]->rank; d++)
			if (graph->inputs[i]->dims[d] < 0)
				return true;
	return false;
}

/* Does a node compute with sizes? What follows from it was folded to the sizes of the samples. */
static bool computes_sizes(const struct graph *graph)
{
	for (size_t n = 0; n < graph->num_nodes; n++)
		if (!strcmp(graph->nodes[n]->op_type, "Shape") || !strcmp(graph->nodes[n]->op_type, "Size") ||
		    graph_has_body(graph->nodes[n]))
			return true;
	return false;
}

/*
 * The ends get their symbols back; of what is between only types are known, of outputs whose shape was not stated how many
 * dimensions they have.
 */
static void restore_shapes(struct graph *graph, struct shapes *shapes)
{
	for (size_t i = 0; i < shapes->count; i++)
		shapes->inferred[i] = end_of(graph, i)->rank;
	for (size_t i = 0; i < graph->num_values; i++)
		if (graph->values[i]->producer)
			graph->values[i]->rank = -1;
	for (size_t i = 0; i < shapes->count; i++) {
		struct graph_value *value = end_of(graph, i);

		value->rank = shapes->ranks[i];
		memcpy(value->dims, shapes->dims[i], sizeof(value->dims));
		if (value->rank >= 0)
			continue;
		value->rank = shapes->inferred[i];
		for (int d = 0; d < value->rank; d++)
			value->dims[d] = GRAPH_DIM_UNKNOWN;
	}
}

static int infer(struct graph *graph, const struct quantize_request *request, char *error, size_t error_size)
{
	int err;

	for (size_t i = 0; i < request->num_dims; i++)
		if (graph_bind_symbol(graph, request->dims[i].name, request->dims[i].size))
			return fail(error, error_size, -EINVAL, "the model has no dimension '%s'",
				    request->dims[i].name);
	graph_bind_rest(graph, 1);
	err = graph_infer(graph, 0, error, error_size);
	if (!err && (graph_simplify(graph) || fuse_run_early(graph, FUSE_CHANNELS, 0) || graph_simplify(graph)))
		err = fail(error, error_size, -ENOMEM, "out of memory");
	return err;
}

static int quantize(struct graph *graph, const struct quantize_request *request, struct quantize_result *result,
		    char *error, size_t error_size)
{
	struct quant_sample *samples = NULL;
	size_t count = 0;
	int err = quant_load_samples(graph, request->calibration, &samples, &count, error, error_size);

	if (!err)
		err = quant_graph(graph, samples, count, &request->quant, &result->report, NULL, error, error_size);
	quant_samples_free(samples, count, graph->num_inputs);
	if (!err && graph_simplify(graph))
		err = fail(error, error_size, -ENOMEM, "out of memory");
	return err ? err : graph_validate(graph, error, error_size);
}

static int run(const char *path, const struct quantize_request *request, struct quantize_result *result,
	       struct shapes *shapes, char *error, size_t error_size)
{
	int err = onnx_import_file(path, &result->graph, error, error_size);
	const struct graph_node *node;
	bool symbols;

	if (err)
		return err;
	node = quant_find_quantized(result->graph);
	if (node)
		return fail(error, error_size, -EINVAL, "%s: it is quantized already: node %s (%s)", path, node->name,
			    node->op_type);
	if (keep_shapes(result->graph, shapes))
		return fail(error, error_size, -ENOMEM, "out of memory");
	symbols = has_symbols(result->graph);
	result->fixed = symbols && computes_sizes(result->graph);
	err = infer(result->graph, request, error, error_size);
	if (!err)
		err = quantize(result->graph, request, result, error, error_size);
	if (!err)
		err = onnx_upgrade(result->graph, OPSET, error, error_size);
	if (!err && symbols && !result->fixed)
		restore_shapes(result->graph, shapes);
	if (!err && request->output)
		err = onnx_export_file(result->graph, request->output, error, error_size);
	return err;
}

int quantize_file(const char *path, const struct quantize_request *request, struct quantize_result *result, char *error,
		  size_t error_size)
{
	struct shapes shapes = {0};
	int err;

	*result = (struct quantize_result){0};
	err = run(path, request, result, &shapes, error, error_size);
	if (!err)
		work_share_done(&request->quant.share, 1);
	free(shapes.ranks);
	free(shapes.inferred);
	free(shapes.dims);
	return err;
}

void quantize_result_finish(struct quantize_result *result)
{
	quant_report_finish(&result->report);
	graph_destroy(result->graph);
	*result = (struct quantize_result){0};
}
