/* SPDX-License-Identifier: MIT */
/* See scan_output.h. */
#include "runtime/cpu/scan_output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/strided_copy.h"

#define FIRST_CAPACITY 8

void scan_output_begin(struct scan_output *scan, struct tensor *into, int64_t axis, bool backward, int64_t limit)
{
	*scan = (struct scan_output){.into = into, .axis = axis, .backward = backward, .limit = limit};
}

static size_t slice_bytes(const struct scan_output *scan)
{
	return (size_t)dims_count(scan->slice.rank, scan->slice.dims) * dtype_size(scan->slice.dtype);
}

/* Memory for @capacity slices; those that are there stay. The elements move: what strings own goes with them. */
static int grow(struct op_call *call, struct scan_output *scan, int64_t capacity)
{
	int64_t dims[TENSOR_MAX_RANK] = {capacity};
	struct tensor grown;
	int err;

	memcpy(dims + 1, scan->slice.dims, (size_t)scan->slice.rank * sizeof(*dims));
	err = tensor_init(&grown, scan->slice.dtype, scan->slice.rank + 1, dims);
	if (err)
		return op_fail(call, err, "%s: no memory for %" PRId64 " slices of a scan output", call->node->op_type,
			       capacity);
	if (scan->count) {
		memcpy(grown.data, scan->into->data, (size_t)scan->count * slice_bytes(scan));
		if (scan->into->owned)
			free(scan->into->data);
	} else {
		tensor_finish(scan->into);
	}
	*scan->into = grown;
	scan->capacity = capacity;
	return 0;
}

/* The first slice says what the others have to be, and how many fit into the memory that is there. */
static int take_shape(struct op_call *call, struct scan_output *scan, const struct tensor *slice)
{
	size_t bytes;

	if (slice->rank == TENSOR_MAX_RANK || dtype_is_nested(slice->dtype))
		return op_fail(call, -EINVAL, "%s: a scan output's slices are %ss of rank %d, which can not be stacked",
			       call->node->op_type, dtype_name(slice->dtype), slice->rank);
	if (normalize_axis(&scan->axis, slice->rank + 1))
		return op_fail(call, -EINVAL, "%s: scan output axis %" PRId64 " is out of range for rank %d",
			       call->node->op_type, scan->axis, slice->rank + 1);
	scan->slice = (struct tensor){.dtype = slice->dtype, .rank = slice->rank};
	memcpy(scan->slice.dims, slice->dims, sizeof(slice->dims));
	bytes = slice_bytes(scan);
	if (!bytes)
		scan->capacity = INT64_MAX;
	else if (!dtype_owns_memory(slice->dtype) && !dtype_owns_memory(scan->into->dtype) && scan->into->data)
		scan->capacity = (int64_t)(scan->into->size / bytes);
	return 0;
}

int scan_output_append(struct op_call *call, struct scan_output *scan, const struct tensor *slice)
{
	size_t bytes;
	int err;

	if (!scan->into)
		return 0;
	if (!scan->count) {
		err = take_shape(call, scan, slice);
		if (err)
			return err;
	} else if (slice->dtype != scan->slice.dtype || !tensor_same_shape(slice, &scan->slice)) {
		return op_fail(call, -EINVAL,
			       "%s: iteration %" PRId64 " gives a scan output another type or shape than the first",
			       call->node->op_type, scan->count);
	}
	bytes = slice_bytes(scan);
	if (scan->count == scan->capacity) {
		int64_t capacity = scan->count < FIRST_CAPACITY / 2 ? FIRST_CAPACITY : scan->count * 2;

		err = grow(call, scan, capacity > scan->limit ? scan->limit : capacity);
		if (err)
			return err;
	}
	if (slice->dtype == DTYPE_STRING) {
		struct tensor copy;

		err = tensor_copy(&copy, slice);
		if (err)
			return op_fail(call, err, "%s: no memory for the strings of a scan output",
				       call->node->op_type);
		memcpy((uint8_t *)scan->into->data + (size_t)scan->count * bytes, copy.data, bytes);
		free(copy.data); /* the strings are the output's now */
	} else if (bytes) {
		memcpy((uint8_t *)scan->into->data + (size_t)scan->count * bytes, slice->data, bytes);
	}
	scan->count++;
	return 0;
}

/* From [count, slice…] in iteration order to the axis and direction asked for. */
static int reorder(struct op_call *call, struct scan_output *scan, int64_t *dims)
{
	struct strided_copy copy = {.rank = scan->slice.rank + 1, .size = dtype_size(scan->slice.dtype)};
	int64_t strides[TENSOR_MAX_RANK], slice = 1;
	struct tensor ordered;
	int err = tensor_init(&ordered, scan->slice.dtype, copy.rank, dims);

	if (err)
		return op_fail(call, err, "%s: out of memory", call->node->op_type);
	dense_strides(copy.rank, dims, strides);
	copy.dims[0] = scan->count;
	copy.dst_strides[0] = strides[scan->axis];
	for (int d = scan->slice.rank - 1; d >= 0; d--) {
		copy.dims[d + 1] = scan->slice.dims[d];
		copy.src_strides[d + 1] = slice;
		copy.dst_strides[d + 1] = strides[d < scan->axis ? d : d + 1];
		slice *= scan->slice.dims[d];
	}
	copy.src_strides[0] = scan->backward ? -slice : slice;
	copy.src = (uint8_t *)scan->into->data + (scan->backward ? (size_t)(scan->count - 1) * slice_bytes(scan) : 0);
	copy.dst = ordered.data;
	strided_copy_run(copy, call->pool);
	if (scan->into->owned)
		free(scan->into->data); /* strings moved */
	*scan->into = ordered;
	return 0;
}

int scan_output_end(struct op_call *call, struct scan_output *scan, const struct attr *body, size_t index)
{
	int64_t dims[TENSOR_MAX_RANK];
	int rank = -1;

	if (!scan->into)
		return 0;
	if (!scan->count) {
		call->runner->output_type(call, body, index, &scan->slice.dtype, &rank, scan->slice.dims);
		if (!scan->slice.dtype)
			return op_fail(call, -EINVAL,
				       "%s: no iteration, and the body does not say what type scan output %zu has",
				       call->node->op_type, index);
		scan->slice.rank = rank < 0 ? 0 : rank;
		for (int d = 0; d < scan->slice.rank; d++)
			scan->slice.dims[d] = scan->slice.dims[d] < 0 ? 0 : scan->slice.dims[d];
		if (scan->slice.rank == TENSOR_MAX_RANK || normalize_axis(&scan->axis, scan->slice.rank + 1))
			return op_fail(call, -EINVAL, "%s: scan output %zu: axis or rank", call->node->op_type, index);
	}
	for (int d = 0; d <= scan->slice.rank; d++)
		dims[d] = d == scan->axis ? scan->count : scan->slice.dims[d < scan->axis ? d : d - 1];
	if (!scan->count || !slice_bytes(scan)) {
		int err;

		tensor_finish(scan->into);
		err = tensor_init(scan->into, scan->slice.dtype, scan->slice.rank + 1, dims);
		return err ? op_fail(call, err, "%s: out of memory", call->node->op_type) : 0;
	}
	if (scan->axis || scan->backward)
		return reorder(call, scan, dims);
	scan->into->dtype = scan->slice.dtype;
	scan->into->rank = scan->slice.rank + 1;
	memcpy(scan->into->dims, dims, sizeof(dims));
	return 0;
}
