/* SPDX-License-Identifier: MIT */
/* See walk.h. */
#include "compiler/quant/walk.h"

#include <errno.h>
#include <stdlib.h>

#include "compiler/graph/execute.h"

struct run {
	const struct graph *graph;
	const struct quant_visitor *visitor;
	struct tensor *tensors; /* by value id */
	size_t *reads;          /* of each value still to come */
	size_t count;           /* samples */
	struct cpu_pool *pool;
	char *error;
	size_t error_size;
};

static int visit(const struct run *run, const struct graph_value *value)
{
	return run->visitor->value ? run->visitor->value(run->visitor->context, value, &run->tensors[value->id]) : 0;
}

static int run_node(struct run *run, const struct graph_node *node)
{
	const struct quant_visitor *visitor = run->visitor;
	int err = visitor->node
			  ? visitor->node(visitor->context, node, run->tensors, run->pool, run->error, run->error_size)
			  : graph_run_node(node, run->tensors, run->pool, run->error, run->error_size);

	if (err)
		return err == -ENOENT ? -ENOTSUP : err;
	for (size_t i = 0; i < node->num_outputs && !err; i++)
		if (node->outputs[i])
			err = visit(run, node->outputs[i]);
	/* Memory of values that nobody reads any more. */
	for (size_t i = 0; i < node->num_inputs; i++) {
		struct graph_value *value = node->inputs[i];

		if (value && !value->constant && --run->reads[value->id] == 0 && value->producer && !value->is_output)
			tensor_finish(&run->tensors[value->id]);
	}
	return err;
}

static int run_sample(struct run *run, size_t index, const struct quant_sample *sample)
{
	const struct graph *graph = run->graph;
	int err = 0;

	for (size_t i = 0; i < graph->num_values; i++)
		run->reads[i] = graph->values[i]->num_uses;
	for (size_t i = 0; i < graph->num_inputs && !err; i++) {
		const struct tensor *input = sample->inputs[i];

		err = tensor_init_view(&run->tensors[graph->inputs[i]->id], input->dtype, input->rank, input->dims,
				       input->data, input->size);
		if (!err)
			err = visit(run, graph->inputs[i]);
	}
	for (size_t n = 0; n < graph->num_nodes && !err; n++) {
		err = run_node(run, graph->nodes[n]);
		if (run->visitor->share)
			work_share_done(run->visitor->share,
					((double)index + (double)(n + 1) / (double)graph->num_nodes) /
						(double)run->count);
	}
	if (!err && run->visitor->done)
		err = run->visitor->done(run->visitor->context, index, run->tensors);
	for (size_t i = 0; i < graph->num_values; i++)
		tensor_finish(&run->tensors[i]);
	return err;
}

int quant_walk(const struct graph *graph, const struct quant_sample *samples, size_t count,
	       const struct quant_visitor *visitor, char *error, size_t error_size)
{
	struct run run = {.graph = graph, .visitor = visitor, .count = count, .error = error, .error_size = error_size};
	int err = cpu_pool_create(0, &run.pool);

	run.tensors = calloc(graph->num_values + 1, sizeof(*run.tensors));
	run.reads = calloc(graph->num_values + 1, sizeof(*run.reads));
	if (!run.tensors || !run.reads)
		err = -ENOMEM;
	for (size_t i = 0; i < count && !err; i++)
		err = run_sample(&run, i, &samples[i]);
	free(run.tensors);
	free(run.reads);
	cpu_pool_destroy(run.pool);
	return err;
}
