/* SPDX-License-Identifier: MIT */
/*
 * Moving elements without looking at them: the loop behind Transpose, Slice, Concat, Split, Expand, Tile and their
 * like.
 */
#ifndef RUNTIME_CPU_STRIDED_COPY_H
#define RUNTIME_CPU_STRIDED_COPY_H

#include "runtime/cpu/op.h"

/* Tile and DepthToSpace need more dimensions than their tensors have. */
#define STRIDED_MAX_RANK (2 * TENSOR_MAX_RANK)

/*
 * struct strided_copy - copy dst[sum(i * dst_strides)] = src[sum(i * src_strides)] for every index below @dims
 * @size:        bytes of an element: 1, 2, 4, 8 or 16
 * @dst, @src:   the elements at index 0
 * @dst_strides, @src_strides: in elements; a source stride may be 0 (stretch) or negative (reverse). The destinations
 * of different indices must be different.
 */
struct strided_copy {
	int rank;
	size_t size;
	void *dst;
	const void *src;
	int64_t dims[STRIDED_MAX_RANK];
	int64_t dst_strides[STRIDED_MAX_RANK];
	int64_t src_strides[STRIDED_MAX_RANK];
};

/* Do it, on the threads of @pool. The plan is taken by value: it is simplified while running. */
void strided_copy_run(struct strided_copy copy, struct cpu_pool *pool);

/* Row-major strides of @dims into @strides. */
void dense_strides(int rank, const int64_t *dims, int64_t *strides);

/*
 * After moving the structs of a string tensor: give @out copies of the bytes, which still belong to an input. On
 * failure
 * (-ENOMEM, call->error set) @out holds no foreign strings.
 */
int strings_own(struct op_call *call, struct tensor *out);

/* Copy the elements of @in to output @index as shape @dims (the same count; a nested value keeps its own): what Reshape and
 * Identity do. */
int op_output_copy(struct op_call *call, size_t index, const struct tensor *in, int rank, const int64_t *dims);

#endif
