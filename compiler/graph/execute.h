/* SPDX-License-Identifier: MIT */
/*
 * Running a graph as it is, node by node on the CPU: for constant folding, calibration and tests. Plain and slow: memory is
 * allocated for every run, nothing is prepared. The runtime has its own way (runtime/plan.c).
 */
#ifndef COMPILER_GRAPH_EXECUTE_H
#define COMPILER_GRAPH_EXECUTE_H

#include "compiler/graph/graph.h"

/* Runs bodies that are graphs (struct graph). For struct op_call.runner; needs no context; any number of threads. */
extern const struct op_runner graph_runner;

/*
 * Run @node. @values: a tensor for each value of the graph by id; constants are taken from the graph, inputs must be there, outputs
 * are written. -ENOENT: there is no kernel. -EINVAL, -ENOTSUP, -ENOMEM with the node in @error.
 */
int graph_run_node(const struct graph_node *node, struct tensor *values, struct cpu_pool *pool, char *error,
		   size_t error_size);

#endif
