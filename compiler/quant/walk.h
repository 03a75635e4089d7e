/* SPDX-License-Identifier: MIT */
/* Running a float graph on samples, and looking at what it computes. */
#ifndef COMPILER_QUANT_WALK_H
#define COMPILER_QUANT_WALK_H

#include "compiler/graph/graph.h"
#include "compiler/quant/samples.h"
#include "compiler/work_share.h"
#include "runtime/cpu/pool.h"

/*
 * struct quant_visitor - what to do while the graph runs; each may be NULL
 * @value: after a value was computed, or an input was given
 * @node:  run the node in another way than graph_run_node(); @values are by id, as there
 * @done:  after a sample; @values of the graph's outputs are still there
 * All return 0, or a negative errno that ends the run.
 * @share: told how far it is, or NULL
 */
struct quant_visitor {
	void *context;
	int (*value)(void *context, const struct graph_value *value, const struct tensor *tensor);
	int (*node)(void *context, const struct graph_node *node, struct tensor *values, struct cpu_pool *pool,
		    char *error, size_t error_size);
	int (*done)(void *context, size_t sample, const struct tensor *values);
	const struct work_share *share;
};

/* Memory of a value is freed after its last reader. -ENOTSUP when an operator has no CPU kernel. */
int quant_walk(const struct graph *graph, const struct quant_sample *samples, size_t count,
	       const struct quant_visitor *visitor, char *error, size_t error_size);

#endif
