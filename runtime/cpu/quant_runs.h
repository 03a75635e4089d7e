/* SPDX-License-Identifier: MIT */
/*
 * Which scale and zero point belong to which element: one for all, one for each index of an axis, or one for each block of
 * an axis (ONNX QuantizeLinear since version 21: "granularities").
 */
#ifndef RUNTIME_CPU_QUANT_RUNS_H
#define RUNTIME_CPU_QUANT_RUNS_H

#include "runtime/cpu/op.h"

/*
 * struct quant_runs - elements of a tensor as [outer][size][inner], where @size is that of the axis
 * @block:  elements of the axis that share a scale; 0: each has its own, in every row (per axis)
 * @blocks: scales along the axis when @block is set
 * @size:   0: one scale for all
 */
struct quant_runs {
	int64_t size, inner, block, blocks;
};

/*
 * From the shapes of @x, @scale and @zero (NULL: none) and the attributes axis and block_size of the call's node.
 * -EINVAL with the call's error set when they do not fit.
 */
int quant_runs_init(struct op_call *call, const struct tensor *x, const struct tensor *scale, const struct tensor *zero,
		    struct quant_runs *runs);

/*
 * The elements from @begin on, up to @end at most, whose parameters start at *index and advance by *step (0 or 1) with each
 * element. Returns the first element that no longer belongs to them.
 */
int64_t quant_run(const struct quant_runs *runs, int64_t begin, int64_t end, int64_t *index, int64_t *step);

#endif
