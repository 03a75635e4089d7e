/* SPDX-License-Identifier: MIT */
/*
 * Passes over the graph between import and partitioning. Each leaves a valid, topologically sorted, executable graph.
 */
#ifndef COMPILER_GRAPH_PASSES_H
#define COMPILER_GRAPH_PASSES_H

#include "compiler/graph/graph.h"

/* Give symbol @name the size @size everywhere; -ENOENT when the graph has no such symbol. */
int graph_bind_symbol(struct graph *graph, const char *name, int64_t size);
/* Give every symbol that is left the size @size. */
int graph_bind_rest(struct graph *graph, int64_t size);

/*
 * Types, shapes and constants, in one walk: a node whose inputs are constants is computed by the CPU library and becomes one; of
 * the rest the shape follows from a formula, or from a run of its CPU kernel on zeros, so that shapes can not differ from what
 * will be computed. Constants above @fold_limit bytes are not made from smaller ones. A node whose output shape depends on data
 * leaves it unknown. -EINVAL with the node in @error when an operator rejects its inputs.
 *
 * DequantizeLinear of a constant is not folded, so that quantized weights stay integers: graph_fold_constants() does it.
 */
int graph_infer(struct graph *graph, size_t fold_limit, char *error, size_t error_size);

/*
 * Types of the outputs of @node that have none yet, from those of its inputs, where the standard says them; for nodes whose shapes only a
 * run tells. What stays DTYPE_UNDEFINED is found out by the run. -ENOMEM.
 */
int graph_infer_types(struct graph *graph, struct graph_node *node);

/*
 * Does @node draw other numbers on every run? Such nodes are not folded, removed or computed in another way. A Dropout does where
 * it trains: before opset 7 without is_test, since opset 12 unless input 2 is absent or a constant false.
 */
bool graph_node_is_random(const struct graph_node *node);

/*
 * Compute what depends on constants only and was left by graph_infer() (DequantizeLinear of weights, and what reads them). Types and
 * shapes must be known. Graph outputs keep their node. A node that can not be computed stays as it is. -ENOMEM.
 */
int graph_fold_constants(struct graph *graph);

/* Remove nodes that nothing reads, Identity, inference-time Dropout, and reshapes of reshapes. */
int graph_simplify(struct graph *graph);

/* Multiply-accumulates of a node: convolutions and matrix products; 0 for all others. */
uint64_t graph_node_macs(const struct graph_node *node);

#endif
