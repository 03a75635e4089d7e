/* SPDX-License-Identifier: MIT */
/* Geometry of pools, and the averages that the matrix unit makes. */
#ifndef COMPILER_TARGET_LOWER_POOL_H
#define COMPILER_TARGET_LOWER_POOL_H

#include "compiler/target/lower.h"

/*
 * 2-D geometry, by axis (rows, columns); 1-D pools have one column.
 * @include_pad: padding counts in an average's divisor
 */
struct pool {
	int spatial;
	int64_t kernel[2], stride[2], dilation[2], begin[2], end[2], in[2], out[2];
	bool average, include_pad;
};

/* 0, or -ENOTSUP with the reason. */
int pool_read(const struct graph_node *node, struct pool *pool, char *reason, size_t size);
/* QLinearAveragePool or QLinearGlobalAveragePool. */
bool pool_is_quantized(const struct graph_node *node);
/* Elements along @axis that an average at output @at counts; at least 1. */
int64_t pool_count(const struct pool *pool, int axis, int64_t at);

/* Average pools as depthwise convolutions with weights of one, divided in the drain. */
bool average_fits_matrix(const struct graph_node *node, const struct pool *pool);
/* The same for GlobalAveragePool and its quantized form, whatever the reason against it. */
bool average_takes(const struct lower *lower, const struct graph_node *node);
int average_lower(struct lower *lower, struct graph_node *node);
uint64_t average_cycles(const struct graph_node *node, const struct target *target, enum lower_precision precision);

#endif
