/* SPDX-License-Identifier: MIT */
/* Between the files of shape inference: infer.c runs kernels, infer_shapes.c knows what goes without. */
#ifndef COMPILER_GRAPH_INFER_H
#define COMPILER_GRAPH_INFER_H

#include "compiler/graph/graph.h"

static inline void graph_set_shape(struct graph_value *value, enum dtype dtype, int rank, const int64_t *dims)
{
	value->dtype = dtype;
	value->rank = rank;
	for (int d = 0; d < rank; d++)
		value->dims[d] = dims[d];
}

/* The shape of output 0 of @node by a formula, where a run of the kernel would be slow. False: there is none for this form. */
bool graph_infer_formula(const struct graph_node *node);

/* Does the output shape depend on what is in an input that is not constant, not only on the shapes? */
bool graph_shape_needs_data(const struct graph_node *node);

#endif
