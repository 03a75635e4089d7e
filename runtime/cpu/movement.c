// SPDX-License-Identifier: MIT
/*
 * Operators that move elements between positions fixed by shapes and attributes: Transpose, Concat, Split, Slice,
 * DepthToSpace, SpaceToDepth, ReverseSequence, Trilu. Each one becomes a strided copy (strided_copy.h) or a few.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/scratch.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/strided_copy.h"

/* After all elements of output @index are in place. */
static int finish_output(struct op_call *call, size_t index)
{
	struct tensor *out = call->outputs[index];

	return out->dtype == DTYPE_STRING ? strings_own(call, out) : 0;
}

/* ---- Transpose ---- */

/* Output dimension i is input dimension order[i]. */
static int transpose(struct op_call *call, const struct tensor *in, int rank, const int64_t *in_dims, const int *order,
		     int out_rank, const int64_t *out_dims)
{
	struct strided_copy copy = {.rank = rank, .size = dtype_size(in->dtype), .src = in->data};
	int64_t strides[STRIDED_MAX_RANK];
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = op_output(call, 0, in->dtype, out_rank, out_dims);
	if (err)
		return err;
	copy.dst = call->outputs[0]->data;
	dense_strides(rank, in_dims, strides);
	for (int i = 0; i < rank; i++) {
		copy.dims[i] = in_dims[order[i]];
		copy.src_strides[i] = strides[order[i]];
	}
	dense_strides(rank, copy.dims, copy.dst_strides);
	if (tensor_count(in) > 0)
		strided_copy_run(copy, call->pool);
	return finish_output(call, 0);
}

static int run_transpose(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int64_t dims[TENSOR_MAX_RANK];
	bool seen[TENSOR_MAX_RANK] = {0};
	int order[TENSOR_MAX_RANK];
	const int64_t *perm;
	size_t count = op_attr_ints(call->node, "perm", &perm);

	if (count != 0 && count != (size_t)in->rank)
		return op_fail(call, -EINVAL, "Transpose: perm has %zu entries for rank %d", count, in->rank);
	for (int i = 0; i < in->rank; i++) {
		int64_t axis = count ? perm[i] : in->rank - 1 - i;

		if (normalize_axis(&axis, in->rank) || seen[axis])
			return op_fail(call, -EINVAL, "Transpose: perm is no permutation of %d axes", in->rank);
		seen[axis] = true;
		order[i] = axis;
		dims[i] = in->dims[axis];
	}
	return transpose(call, in, in->rank, in->dims, order, in->rank, dims);
}

/* ---- DepthToSpace, SpaceToDepth ---- */

static int block_size(struct op_call *call, int64_t *block)
{
	*block = op_attr_int(call->node, "blocksize", 0);
	if (call->inputs[0]->rank != 4)
		return op_fail(call, -EINVAL, "%s: input 0 has rank %d, not 4", call->node->op_type,
			       call->inputs[0]->rank);
	if (*block < 1 || *block > INT32_MAX)
		return op_fail(call, -EINVAL, "%s: blocksize is %" PRId64, call->node->op_type, *block);
	return 0;
}

/* In depth a block's positions come before the channels (DCR) or behind them (CRD). */
static int depth_mode(struct op_call *call, bool *is_crd)
{
	*is_crd = op_attr_is(call->node, "mode", "DCR", "CRD");
	if (!*is_crd && !op_attr_is(call->node, "mode", "DCR", "DCR"))
		return op_fail(call, -EINVAL, "%s: attribute mode is neither DCR nor CRD", call->node->op_type);
	return 0;
}

static int run_depth_to_space(struct op_call *call)
{
	/* DCR: depth is [b, b, C'], CRD: [C', b, b]; the blocks go beside rows and columns. */
	static const int dcr[] = {0, 3, 4, 1, 5, 2}, crd[] = {0, 1, 4, 2, 5, 3};
	const struct tensor *in = call->inputs[0];
	int64_t b, out[4], split[6];
	bool is_crd;
	int err = block_size(call, &b);

	if (!err)
		err = depth_mode(call, &is_crd);
	if (err)
		return err;
	if (in->dims[1] % (b * b))
		return op_fail(call, -EINVAL, "DepthToSpace: %" PRId64 " channels for blocksize %" PRId64, in->dims[1],
			       b);
	out[0] = in->dims[0];
	out[1] = in->dims[1] / (b * b);
	if (__builtin_mul_overflow(in->dims[2], b, &out[2]) || __builtin_mul_overflow(in->dims[3], b, &out[3]))
		return op_fail(call, -EOVERFLOW, "DepthToSpace: the output is too large");
	memcpy(split,
	       is_crd ? (int64_t[]){out[0], out[1], b, b, in->dims[2], in->dims[3]}
		      : (int64_t[]){out[0], b, b, out[1], in->dims[2], in->dims[3]},
	       sizeof(split));
	return transpose(call, in, 6, split, is_crd ? crd : dcr, 4, out);
}

static int run_space_to_depth(struct op_call *call)
{
	static const int dcr[] = {0, 3, 5, 1, 2, 4}, crd[] = {0, 1, 3, 5, 2, 4};
	const struct tensor *in = call->inputs[0];
	int64_t b, out[4];
	bool is_crd;
	int err = block_size(call, &b);

	if (!err)
		err = depth_mode(call, &is_crd);
	if (err)
		return err;
	if (in->dims[2] % b || in->dims[3] % b)
		return op_fail(call, -EINVAL, "SpaceToDepth: %" PRId64 " x %" PRId64 " for blocksize %" PRId64,
			       in->dims[2], in->dims[3], b);
	out[0] = in->dims[0];
	out[2] = in->dims[2] / b;
	out[3] = in->dims[3] / b;
	if (__builtin_mul_overflow(in->dims[1], b * b, &out[1]))
		return op_fail(call, -EOVERFLOW, "SpaceToDepth: the output is too large");
	return transpose(call, in, 6, (int64_t[]){out[0], in->dims[1], out[2], b, out[3], b}, is_crd ? crd : dcr, 4,
			 out);
}

/* ---- Concat, Split ---- */

/* [outer, axis part, inner] between a whole and the part of it that begins @first elements along the axis. */
static void copy_part(struct op_call *call, void *dst, int64_t dst_line, const void *src, int64_t src_line,
		      int64_t outer, int64_t line, size_t size)
{
	struct strided_copy copy = {.rank = 2,
				    .size = size,
				    .dst = dst,
				    .src = src,
				    .dims = {outer, line},
				    .dst_strides = {dst_line, 1},
				    .src_strides = {src_line, 1}};

	if (outer > 0 && line > 0)
		strided_copy_run(copy, call->pool);
}

static int run_concat(struct op_call *call)
{
	const struct tensor *const *in = call->inputs;
	/* The axis was optional, 1, before opset 4. */
	int64_t axis = op_attr_int(call->node, "axis", 1), dims[TENSOR_MAX_RANK], outer, inner, at = 0;
	size_t size = dtype_size(in[0]->dtype);
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (normalize_axis(&axis, in[0]->rank))
		return op_fail(call, -EINVAL, "Concat: axis %" PRId64 " is out of range for rank %d", axis,
			       in[0]->rank);
	memcpy(dims, in[0]->dims, sizeof(dims));
	for (size_t k = 1; k < call->node->num_inputs; k++) {
		bool fits = in[k] && in[k]->rank == in[0]->rank && in[k]->dtype == in[0]->dtype;

		for (int i = 0; fits && i < in[0]->rank; i++)
			fits = i == axis || in[k]->dims[i] == dims[i];
		if (!fits || __builtin_add_overflow(dims[axis], in[k]->dims[axis], &dims[axis]))
			return op_fail(call, -EINVAL, "Concat: input %zu does not fit input 0 beside axis %" PRId64, k,
				       axis);
	}
	err = op_output(call, 0, in[0]->dtype, in[0]->rank, dims);
	if (err)
		return err;
	outer = dims_count(axis, dims);
	inner = dims_count(in[0]->rank - axis - 1, dims + axis + 1);
	if (outer < 0 || inner < 0)
		return op_fail(call, -EOVERFLOW, "Concat: the dimensions overflow");
	for (size_t k = 0; k < call->node->num_inputs; k++) {
		char *part = (char *)call->outputs[0]->data + at * (int64_t)size;
		int64_t line = in[k]->dims[axis] * inner;

		/* The caller may have had the input written where it belongs. */
		if (outer > 0 && line > 0 && (outer > 1 || part != in[k]->data))
			copy_part(call, part, dims[axis] * inner, in[k]->data, line, outer, line, size);
		at += line;
	}
	return finish_output(call, 0);
}

/* Sizes of the parts: input 1 (opset 13), attribute "split", num_outputs (18), or even. @sizes has num_outputs entries.
 */
static int split_sizes(struct op_call *call, int64_t length, int64_t *sizes)
{
	size_t parts = call->node->num_outputs, count;
	int64_t total = 0, declared = op_attr_int(call->node, "num_outputs", parts);
	struct tensor input = {0};
	const int64_t *given;
	int err;

	count = op_attr_ints(call->node, "split", &given);
	if (op_input(call, 1)) {
		/* Opset 1 gave the sizes the type of the data, which is a float. */
		if (call->node->opset < 2 && dtype_is_float(op_input(call, 1)->dtype))
			err = tensor_cast(op_input(call, 1), DTYPE_S64, &input);
		else
			err = op_input_s64(call, 1, false, &input);
		if (err)
			return call->error[0] ? err : op_fail(call, err, "Split: no memory for the sizes (input 1)");
		given = input.data;
		count = tensor_count(&input);
	}
	if (count == 0) {
		tensor_finish(&input);
		if (declared != (int64_t)parts)
			return op_fail(call, -EINVAL, "Split: num_outputs is %" PRId64 " but there are %zu outputs",
				       declared, parts);
		if (split_even(length, parts, call->node->opset < 18, sizes))
			return op_fail(call, -EINVAL, "Split: %" PRId64 " elements in %zu even parts", length, parts);
		return 0;
	}
	err = count == parts ? 0 : -EINVAL;
	for (size_t i = 0; !err && i < parts; i++) {
		sizes[i] = given[i];
		if (given[i] < 0 || __builtin_add_overflow(total, given[i], &total))
			err = -EINVAL;
	}
	tensor_finish(&input);
	if (err || total != length)
		return op_fail(call, -EINVAL, "Split: the sizes do not add up to %" PRId64 " in %zu parts", length,
			       parts);
	return 0;
}

static int run_split(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int64_t axis = op_attr_int(call->node, "axis", 0), dims[TENSOR_MAX_RANK], *sizes, outer, inner, at = 0;
	size_t size = dtype_size(in->dtype);
	int err;

	if (normalize_axis(&axis, in->rank))
		return op_fail(call, -EINVAL, "Split: axis %" PRId64 " is out of range for rank %d", axis, in->rank);
	sizes = scratch_get_for(SCRATCH_IMAGE, call->node->num_outputs * sizeof(*sizes));
	if (!sizes)
		return op_fail(call, -ENOMEM, "Split: no memory for %zu sizes", call->node->num_outputs);
	err = split_sizes(call, in->dims[axis], sizes);
	memcpy(dims, in->dims, sizeof(dims));
	outer = dims_count(axis, dims);
	inner = dims_count(in->rank - axis - 1, dims + axis + 1);
	if (!err && (outer < 0 || inner < 0))
		err = op_fail(call, -EOVERFLOW, "Split: the dimensions overflow");
	for (size_t k = 0; !err && k < call->node->num_outputs; k++) {
		int64_t line = sizes[k] * inner;

		dims[axis] = sizes[k];
		if (op_wanted(call, k)) {
			err = op_output(call, k, in->dtype, in->rank, dims);
			if (!err && outer > 0 && line > 0)
				copy_part(call, call->outputs[k]->data, line, (char *)in->data + at * (int64_t)size,
					  in->dims[axis] * inner, outer, line, size);
			if (!err)
				err = finish_output(call, k);
		}
		at += line;
	}
	return err;
}

/* ---- Slice ---- */

/*
 * struct slice - starts, ends, axes and steps, wherever they came from
 * @count: entries; @axes or @steps may be NULL (0, 1, 2, … and 1)
 */
struct slice {
	size_t count;
	const int64_t *starts, *ends, *axes, *steps;
};

static int slice(struct op_call *call, const struct slice *s)
{
	const struct tensor *in = call->inputs[0];
	struct strided_copy copy = {.rank = in->rank, .size = dtype_size(in->dtype)};
	int64_t strides[TENSOR_MAX_RANK], offset = 0;
	bool seen[TENSOR_MAX_RANK] = {0};
	int err;

	dense_strides(in->rank, in->dims, strides);
	memcpy(copy.dims, in->dims, in->rank * sizeof(*copy.dims));
	memcpy(copy.src_strides, strides, in->rank * sizeof(*strides));
	for (size_t i = 0; i < s->count; i++) {
		int64_t axis = s->axes ? s->axes[i] : (int64_t)i, step = s->steps ? s->steps[i] : 1;
		int64_t start = s->starts[i], taken;

		if (normalize_axis(&axis, in->rank) || seen[axis])
			return op_fail(call, -EINVAL, "Slice: axis %" PRId64 " is out of range or repeated for rank %d",
				       axis, in->rank);
		taken = slice_dim(in->dims[axis], &start, s->ends[i], step);
		if (taken < 0)
			return op_fail(call, -EINVAL, "Slice: step 0 on axis %" PRId64, axis);
		seen[axis] = true;
		copy.dims[axis] = taken;
		/* With one element taken the step may be anything, also too large to multiply. */
		copy.src_strides[axis] = taken > 1 ? strides[axis] * step : 0;
		offset += taken > 0 ? start * strides[axis] : 0;
	}
	err = op_output(call, 0, in->dtype, in->rank, copy.dims);
	if (err || tensor_count(call->outputs[0]) == 0)
		return err;
	copy.dst = call->outputs[0]->data;
	copy.src = (const char *)in->data + offset * (int64_t)copy.size;
	dense_strides(in->rank, copy.dims, copy.dst_strides);
	strided_copy_run(copy, call->pool);
	return finish_output(call, 0);
}

static int run_slice_attributes(struct op_call *call)
{
	struct slice s = {0};
	size_t ends, axes;

	if (!op_wanted(call, 0))
		return 0;
	s.count = op_attr_ints(call->node, "starts", &s.starts);
	ends = op_attr_ints(call->node, "ends", &s.ends);
	axes = op_attr_ints(call->node, "axes", &s.axes);
	if (ends != s.count || (axes && axes != s.count))
		return op_fail(call, -EINVAL, "Slice: %zu starts, %zu ends and %zu axes", s.count, ends, axes);
	if (!axes)
		s.axes = NULL;
	return slice(call, &s);
}

static int run_slice(struct op_call *call)
{
	struct tensor input[5] = {0};
	struct slice s;
	int err = 0;

	if (!op_wanted(call, 0))
		return 0;
	for (size_t i = 1; !err && i < call->node->num_inputs; i++)
		if (call->inputs[i])
			err = op_input_s64(call, i, false, &input[i]);
	s = (struct slice){call->inputs[1] ? tensor_count(&input[1]) : 0, input[1].data, input[2].data,
			   op_input(call, 3) ? input[3].data : NULL, op_input(call, 4) ? input[4].data : NULL};
	for (size_t i = 2; !err && i < call->node->num_inputs; i++)
		if (call->inputs[i] && (size_t)tensor_count(&input[i]) != s.count)
			err = op_fail(call, -EINVAL, "Slice: input %zu has %" PRId64 " entries for %zu starts", i,
				      tensor_count(&input[i]), s.count);
	if (!err)
		err = slice(call, &s);
	for (size_t i = 1; i < 5; i++)
		tensor_finish(&input[i]);
	return err;
}

/* ---- ReverseSequence ---- */

/* Reverse @count steps of @size bytes, @stride bytes apart, in place: strings stay the output's own. */
static void reverse_steps(char *first, int64_t count, int64_t stride, size_t size)
{
	for (int64_t i = 0; i < count / 2; i++) {
		char *a = first + i * stride, *b = first + (count - 1 - i) * stride, swap[256];

		for (size_t at = 0; at < size; at += sizeof(swap)) {
			size_t part = size - at < sizeof(swap) ? size - at : sizeof(swap);

			memcpy(swap, a + at, part);
			memcpy(a + at, b + at, part);
			memcpy(b + at, swap, part);
		}
	}
}

static int run_reverse_sequence(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int64_t batch = op_attr_int(call->node, "batch_axis", 1), time = op_attr_int(call->node, "time_axis", 0);
	int64_t strides[TENSOR_MAX_RANK];
	size_t size = dtype_size(in->dtype);
	struct tensor lengths;
	int err;

	if (in->rank < 2 || batch < 0 || batch > 1 || time != 1 - batch)
		return op_fail(call, -EINVAL, "ReverseSequence: batch_axis and time_axis must be 0 and 1");
	err = op_output_copy(call, 0, in, in->rank, in->dims);
	if (err || !op_wanted(call, 0))
		return err;
	err = op_input_s64(call, 1, false, &lengths);
	if (err)
		return err;
	if (tensor_count(&lengths) != in->dims[batch])
		err = op_fail(call, -EINVAL, "ReverseSequence: %" PRId64 " lengths (input 1) for a batch of %" PRId64,
			      tensor_count(&lengths), in->dims[batch]);
	dense_strides(in->rank, in->dims, strides);
	for (int64_t b = 0; !err && b < in->dims[batch] && tensor_count(in) > 0; b++) {
		int64_t length = ((int64_t *)lengths.data)[b];

		if (length < 0 || length > in->dims[time])
			err = op_fail(call, -EINVAL, "ReverseSequence: length %" PRId64 " of %" PRId64 " steps", length,
				      in->dims[time]);
		else
			reverse_steps((char *)call->outputs[0]->data + b * strides[batch] * (int64_t)size, length,
				      strides[time] * (int64_t)size, (size_t)strides[1] * size);
	}
	tensor_finish(&lengths);
	return err;
}

/* ---- Trilu ---- */

static int64_t clamp_position(int64_t value, int64_t lo, int64_t hi)
{
	return value < lo ? lo : value > hi ? hi : value;
}

/* Zeros, or empty strings. */
static void clear_elements(struct tensor *t, int64_t first, int64_t count)
{
	size_t size = dtype_size(t->dtype);

	for (int64_t i = first; i < first + count && t->dtype == DTYPE_STRING; i++)
		free(((struct tensor_string *)t->data)[i].data);
	memset((char *)t->data + (size_t)first * size, 0, (size_t)count * size);
}

static int run_trilu(struct op_call *call)
{
	const struct tensor *in = call->inputs[0], *shift = op_input(call, 1);
	bool upper = op_attr_int(call->node, "upper", 1) != 0;
	int64_t k = shift && tensor_count(shift) == 1 ? tensor_get_s64(shift, 0) : 0, rows, columns;
	int err;

	if (in->rank < 2 || (shift && tensor_count(shift) > 1))
		return op_fail(call, -EINVAL,
			       in->rank < 2 ? "Trilu: input 0 is no matrix" : "Trilu: k (input 1) is not a scalar");
	err = op_output_copy(call, 0, in, in->rank, in->dims);
	if (err || !op_wanted(call, 0) || tensor_count(in) == 0)
		return err;
	rows = in->dims[in->rank - 2];
	columns = in->dims[in->rank - 1];
	/* Beyond the corners nothing changes; and the sum below cannot overflow. */
	k = clamp_position(k, -rows, columns);
	for (int64_t line = 0; line < tensor_count(in) / columns; line++) {
		int64_t diagonal = line % rows + k; /* first column on or right of the diagonal */
		int64_t begin = clamp_position(upper ? 0 : diagonal + 1, 0, columns);
		int64_t end = clamp_position(upper ? diagonal : columns, begin, columns);

		clear_elements(call->outputs[0], line * columns + begin, end - begin);
	}
	return 0;
}

const struct op_kernel ops_movement[] = {
	{"", "Concat", 1, 0, 1, -1, 1, 1, run_concat},
	{"", "DepthToSpace", 1, 0, 1, 1, 1, 1, run_depth_to_space},
	{"", "ReverseSequence", 10, 0, 2, 2, 1, 1, run_reverse_sequence},
	{"", "Slice", 1, 9, 1, 1, 1, 1, run_slice_attributes},
	{"", "Slice", 10, 0, 3, 5, 1, 1, run_slice},
	{"", "SpaceToDepth", 1, 0, 1, 1, 1, 1, run_space_to_depth},
	{"", "Split", 1, 0, 1, 2, 1, -1, run_split},
	{"", "Transpose", 1, 0, 1, 1, 1, 1, run_transpose},
	{"", "Trilu", 14, 0, 1, 2, 1, 1, run_trilu},
};
const size_t ops_movement_count = sizeof(ops_movement) / sizeof(ops_movement[0]);
