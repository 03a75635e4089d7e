/* SPDX-License-Identifier: MIT */
/*
 * The loop over broadcast operands.
 *
 * A plan turns shapes into as few dimensions as possible: dimensions of size 1 go, and neighbours merge when every
 * operand walks through them alike. What remains has an innermost dimension in which each operand either advances by one
 * element or stands still, and that is the row a kernel's inner loop gets:
 *
 *	[8,64,56,56] + [64,1,1]   ->  8 x 64 rows of 3136, steps 1 and 0     (per channel)
 *	[8,64,56,56] + same       ->  1 row of everything, steps 1 and 1
 *	[8,64,56,56] + scalar     ->  1 row of everything, steps 1 and 0
 */
#ifndef RUNTIME_CPU_BROADCAST_H
#define RUNTIME_CPU_BROADCAST_H

#include "runtime/cpu/op.h"

#define BROADCAST_MAX_INPUTS 3

/*
 * struct broadcast - a plan
 * @count:   elements of the output
 * @dims:    merged dimensions of the output, @rank >= 1 of them
 * @strides: by input and dimension, in elements; 0 where the input is stretched. In the last dimension 0 or 1.
 */
struct broadcast {
	size_t num_inputs;
	int rank;
	int64_t count;
	int64_t dims[TENSOR_MAX_RANK + 1];
	int64_t strides[BROADCAST_MAX_INPUTS][TENSOR_MAX_RANK + 1];
};

/* Shapes of @inputs over the output shape @dims, to which each must broadcast (-EINVAL). */
int broadcast_plan(struct broadcast *plan, size_t num_inputs, const struct tensor *const *inputs, int rank,
		   const int64_t *dims);

/*
 * Call fn(arg, n, out, in, step) for rows that together cover the output once: @n elements, the first at element @out
 * of the output and at element in[k] of input k, which advances by step[k] (0 or 1). Rows run on the threads of @pool.
 */
typedef void (*broadcast_row)(void *arg, size_t n, int64_t out, const int64_t *in, const int64_t *step);
void broadcast_run(const struct broadcast *plan, struct cpu_pool *pool, broadcast_row fn, void *arg);

/* Output shape of all inputs of the call, NumPy's rule. Sets the call's error. -EINVAL. */
int broadcast_shape(struct op_call *call, int *rank, int64_t *dims);

/*
 * Opset 6 and older aligned input 1 at an explicit axis of input 0: as a shape that NumPy's rule aligns, it needs 1s at its right.
 * A view of it in @view. -EINVAL with the call's error.
 */
int broadcast_align_legacy(struct op_call *call, struct tensor *view);

#endif
