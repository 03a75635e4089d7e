/* SPDX-License-Identifier: MIT */
/* See wide.h. */
#include "compiler/quant/wide.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compiler/graph/passes.h"
#include "compiler/onnx/import.h"

static bool is_product(const struct graph_node *node)
{
	static const char *const names[] = {"Conv", "ConvTranspose", "Gemm", "Linear", "MatMul"};

	return node && GRAPH_NODE_IS(node, names);
}

/* The magnitude of @value where it is above the limit, else 0. */
static float above(const struct graph_value *value, const struct quant_stats *stats)
{
	const struct quant_stats *own = value && !value->constant ? &stats[value->id] : NULL;

	if (!own || !own->seen)
		return 0;
	if (own->hi > QUANT_F16_MOST)
		return fmaxf(own->hi, -own->lo);
	return is_product(value->producer) && own->lo < -QUANT_F16_MOST ? -own->lo : 0;
}

void quant_find_wide(const struct graph *graph, const struct quant_stats *stats, const struct quant_plan *plan,
		     struct quant_wide *wide)
{
	*wide = (struct quant_wide){0};
	for (size_t n = 0; n < graph->num_nodes; n++) {
		const struct graph_node *node = graph->nodes[n];
		float largest = 0;

		/* An activation that saturation replaces gives what is integer, too. */
		if (plan && (plan->nodes[n].integer || plan->values[node->outputs[0]->id].integer))
			continue;
		for (size_t i = 0; i < node->num_inputs; i++)
			largest = fmaxf(largest, above(node->inputs[i], stats));
		for (size_t i = 0; i < node->num_outputs; i++)
			largest = fmaxf(largest, above(node->outputs[i], stats));
		if (largest > 0 && !wide->count++) {
			snprintf(wide->name, sizeof(wide->name), "%s", node->outputs[0]->name);
			snprintf(wide->op_type, sizeof(wide->op_type), "%s", node->op_type);
			wide->largest = largest;
		}
	}
}

void quant_wide_text(const struct quant_wide *wide, char *text, size_t size)
{
	int length = snprintf(text, size, "%s '%s' has numbers up to %.3g, fp16 holds %.0f", wide->op_type, wide->name,
			      (double)wide->largest, (double)QUANT_F16_MOST);

	if (wide->count > 1 && length > 0 && (size_t)length < size)
		snprintf(text + length, size - (size_t)length, " (and so %zu layers behind it)", wide->count - 1);
}

/* Sizes with a name are those of the inputs. */
static int bind_inputs(struct graph *graph, const struct tensor *const *inputs, size_t count)
{
	if (graph->num_inputs != count)
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		for (int d = 0; d < graph->inputs[i]->rank && d < inputs[i]->rank; d++) {
			int64_t size = graph->inputs[i]->dims[d];

			if (size < GRAPH_DIM_UNKNOWN &&
			    graph_bind_symbol(graph, graph->symbols[-2 - size], inputs[i]->dims[d]))
				return -EINVAL;
		}
	return 0;
}

int quant_find_wide_file(const char *path, const struct tensor *const *inputs, size_t num_inputs,
			 struct quant_wide *wide, char *error, size_t error_size)
{
	const struct quant_sample sample = {inputs};
	struct quant_stats *stats = NULL;
	struct graph *graph = NULL;
	int err = onnx_import_file(path, &graph, error, error_size);

	if (!err && bind_inputs(graph, inputs, num_inputs)) {
		snprintf(error, error_size, "the inputs are not the model's");
		err = -EINVAL;
	}
	if (!err) {
		graph_bind_rest(graph, 1);
		err = graph_infer(graph, 0, error, error_size);
	}
	if (!err)
		err = quant_calibrate(graph, &sample, 1, QUANT_MINMAX, NULL, &stats, error, error_size);
	if (!err) {
		quant_find_wide(graph, stats, NULL, wide);
		quant_stats_free(stats, graph->num_values);
	}
	graph_destroy(graph);
	return err;
}
