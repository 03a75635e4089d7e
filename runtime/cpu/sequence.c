/* SPDX-License-Identifier: MIT */
/*
 * Sequences and optionals: making them, taking them apart. An element is copied where it goes in or comes out, because a value of the
 * graph may have other readers. (SequenceMap, which runs a body, is in control.c.)
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/strided_copy.h"

static int need_sequence(struct op_call *call, const struct tensor *in)
{
	if (in->dtype != DTYPE_SEQUENCE)
		return op_fail(call, -EINVAL, "%s: input 0 is a %s, expected a sequence", call->node->op_type,
			       dtype_name(in->dtype));
	return 0;
}

static int no_memory(struct op_call *call)
{
	return op_fail(call, -ENOMEM, "%s: out of memory", call->node->op_type);
}

/* The elements of a sequence are of one type; ranks and sizes may differ. */
static int same_type(struct op_call *call, const struct tensor *sequence, const struct tensor *element,
		     const char *what)
{
	if (tensor_count(sequence) && tensor_elements(sequence)[0].dtype != element->dtype)
		return op_fail(call, -EINVAL, "%s: %s is %s, the sequence holds %s", call->node->op_type, what,
			       dtype_name(element->dtype), dtype_name(tensor_elements(sequence)[0].dtype));
	return 0;
}

/*
 * Position of an int32 or int64 scalar input in [-count, count) (@past_end: count is fine, too). A missing input is @fallback.
 */
static int position_input(struct op_call *call, size_t index, int64_t count, bool past_end, int64_t fallback,
			  int64_t *at)
{
	const struct tensor *t = op_input(call, index);

	*at = fallback;
	if (!t)
		return 0;
	if ((t->dtype != DTYPE_S64 && t->dtype != DTYPE_S32) || tensor_count(t) != 1)
		return op_fail(call, -EINVAL, "%s: the position (input %zu) is not one int32 or int64",
			       call->node->op_type, index);
	*at = tensor_get_s64(t, 0);
	if (*at < -count || *at > count - !past_end)
		return op_fail(call, -EINVAL, "%s: position %" PRId64 " in a sequence of %" PRId64, call->node->op_type,
			       *at, count);
	*at += *at < 0 ? count : 0;
	return 0;
}

/* ---- making ---- */

/* SequenceEmpty names the type of its elements; at run time an empty sequence has none. */
static int run_sequence_empty(struct op_call *call)
{
	return op_output(call, 0, DTYPE_SEQUENCE, 1, (const int64_t[]){0});
}

static int run_sequence_construct(struct op_call *call)
{
	int64_t count = (int64_t)call->node->num_inputs;
	int err = op_output(call, 0, DTYPE_SEQUENCE, 1, &count);

	for (int64_t i = 0; i < count && !err && op_wanted(call, 0); i++) {
		const struct tensor *in = call->inputs[i];

		if (!in || (dtype_is_nested(in->dtype) && in->dtype != DTYPE_MAP))
			err = op_fail(call, -EINVAL, "SequenceConstruct: input %" PRId64 " is %s", i,
				      in ? "no tensor" : "missing");
		else if (i && in->dtype != call->inputs[0]->dtype)
			err = op_fail(call, -EINVAL, "SequenceConstruct: input %" PRId64 " is %s, input 0 is %s", i,
				      dtype_name(in->dtype), dtype_name(call->inputs[0]->dtype));
		else if (tensor_copy(&tensor_elements(call->outputs[0])[i], in))
			err = no_memory(call);
	}
	return err;
}

/* Copy @in without element @skip, and with @more at @at; either may be missing (-1, NULL). */
static int edit_sequence(struct op_call *call, const struct tensor *in, int64_t skip, const struct tensor *more,
			 int64_t at)
{
	int64_t count = tensor_count(in), to = 0, length = count + (more != NULL) - (skip >= 0);
	int err = op_output(call, 0, DTYPE_SEQUENCE, 1, &length);

	if (err || !op_wanted(call, 0))
		return err;
	for (int64_t i = 0; i <= count && !err; i++) {
		struct tensor *elements = tensor_elements(call->outputs[0]);

		if (more && i == at)
			err = tensor_copy(&elements[to++], more);
		if (i < count && i != skip && !err)
			err = tensor_copy(&elements[to++], &tensor_elements(in)[i]);
	}
	return err ? no_memory(call) : 0;
}

static int run_sequence_insert(struct op_call *call)
{
	const struct tensor *in = call->inputs[0], *element = call->inputs[1];
	int64_t at;
	int err = need_sequence(call, in);

	if (!err)
		err = same_type(call, in, element, "the new element (input 1)");
	if (!err)
		err = position_input(call, 2, tensor_count(in), true, tensor_count(in), &at);
	return err ? err : edit_sequence(call, in, -1, element, at);
}

static int run_sequence_erase(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int64_t at;
	int err = need_sequence(call, in);

	if (!err)
		err = position_input(call, 1, tensor_count(in), false, tensor_count(in) - 1, &at);
	if (!err && at < 0)
		err = op_fail(call, -EINVAL, "SequenceErase: the sequence is empty");
	return err ? err : edit_sequence(call, in, at, NULL, 0);
}

/* ---- reading ---- */

static int run_sequence_at(struct op_call *call)
{
	const struct tensor *in = call->inputs[0], *element;
	int64_t at;
	int err = need_sequence(call, in);

	if (!err)
		err = position_input(call, 1, tensor_count(in), false, 0, &at);
	if (err)
		return err;
	element = &tensor_elements(in)[at];
	return op_output_copy(call, 0, element, element->rank, element->dims);
}

static int run_sequence_length(struct op_call *call)
{
	int err = need_sequence(call, call->inputs[0]);

	if (!err)
		err = op_output(call, 0, DTYPE_S64, 0, NULL);
	if (!err && op_wanted(call, 0))
		*(int64_t *)call->outputs[0]->data = tensor_count(call->inputs[0]);
	return err;
}

/* ---- tensors to sequences and back ---- */

/* [outer][count][inner] with the split or stacked axis in the middle. */
struct lines {
	int64_t outer, inner;
};

/* Elements [@first, @first + @part) of the axis between @whole (of @count) and @dense (of @part); @split: from the whole. */
static void copy_lines(struct op_call *call, const struct lines *lines, void *whole, int64_t count, int64_t first,
		       void *dense, int64_t part, size_t size, bool split)
{
	uint8_t *at = (uint8_t *)whole + (size_t)(first * lines->inner) * size;
	struct strided_copy copy = {.rank = 2, .size = size, .dims = {lines->outer, part * lines->inner}};
	int64_t far = count * lines->inner, near = part * lines->inner;

	copy.src = split ? (void *)at : dense;
	copy.dst = split ? dense : (void *)at;
	copy.src_strides[0] = split ? far : near;
	copy.dst_strides[0] = split ? near : far;
	copy.src_strides[1] = copy.dst_strides[1] = 1;
	if (copy.dims[0] > 0 && copy.dims[1] > 0)
		strided_copy_run(copy, call->pool);
}

/* The sizes of the parts, malloc'ed: given one by one, of one size (the last may be smaller), or 1 without "split". */
static int part_sizes(struct op_call *call, int64_t total, int64_t **sizes, int64_t *count)
{
	const struct tensor *split = op_input(call, 1);
	int64_t each = 1, sum = 0;

	if (split && ((split->dtype != DTYPE_S64 && split->dtype != DTYPE_S32) || split->rank > 1))
		return op_fail(call, -EINVAL,
			       "SplitToSequence: split (input 1) is not an int32 or int64 scalar or list");
	if (split && split->rank == 0) {
		each = tensor_get_s64(split, 0);
		if (each < 1)
			return op_fail(call, -EINVAL, "SplitToSequence: parts of %" PRId64, each);
	}
	*count = split && split->rank == 1 ? split->dims[0] : total / each + (total % each != 0);
	*sizes = calloc((size_t)*count + 1, sizeof(**sizes));
	if (!*sizes)
		return no_memory(call);
	for (int64_t i = 0; i < *count; i++) {
		int64_t size = split && split->rank == 1 ? tensor_get_s64(split, i)
			       : total - sum < each      ? total - sum
							 : each;

		if (size < 0 || size > total - sum)
			return op_fail(call, -EINVAL,
				       "SplitToSequence: split[%" PRId64 "] is %" PRId64 ", and %" PRId64 " of %" PRId64
				       " are left",
				       i, size, total - sum, total);
		(*sizes)[i] = size;
		sum += size;
	}
	return sum == total ? 0
			    : op_fail(call, -EINVAL, "SplitToSequence: the parts add up to %" PRId64 " of %" PRId64,
				      sum, total);
}

static int split_part(struct op_call *call, const struct tensor *in, int axis, const struct lines *lines, int64_t first,
		      int64_t part, bool keep, struct tensor *out)
{
	int64_t dims[TENSOR_MAX_RANK];
	int rank = in->rank, err;

	memcpy(dims, in->dims, sizeof(dims));
	dims[axis] = part;
	if (!keep) {
		memmove(dims + axis, dims + axis + 1, (size_t)(rank - axis - 1) * sizeof(*dims));
		rank--;
	}
	err = tensor_init(out, in->dtype, rank, dims);
	if (err)
		return no_memory(call);
	copy_lines(call, lines, in->data, in->dims[axis], first, out->data, part, dtype_size(in->dtype), true);
	return in->dtype == DTYPE_STRING ? strings_own(call, out) : 0;
}

static int run_split_to_sequence(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int64_t axis = op_attr_int(call->node, "axis", 0), *sizes = NULL, count = 0, first = 0;
	bool keep = op_input(call, 1) || op_attr_int(call->node, "keepdims", 1);
	struct lines lines;
	int err;

	if (dtype_is_nested(in->dtype) || normalize_axis(&axis, in->rank))
		return op_fail(call, -EINVAL, "SplitToSequence: axis %" PRId64 " of a %s of rank %d", axis,
			       dtype_name(in->dtype), in->rank);
	err = part_sizes(call, in->dims[axis], &sizes, &count);
	lines = (struct lines){dims_count((int)axis, in->dims),
			       dims_count(in->rank - (int)axis - 1, in->dims + axis + 1)};
	if (!err)
		err = op_output(call, 0, DTYPE_SEQUENCE, 1, &count);
	for (int64_t i = 0; i < count && !err && op_wanted(call, 0); i++) {
		err = split_part(call, in, (int)axis, &lines, first, sizes[i], keep,
				 &tensor_elements(call->outputs[0])[i]);
		first += sizes[i];
	}
	free(sizes);
	return err;
}

/* The shape of the whole: all elements agree but in the axis (in everything when it is new). */
static int concat_shape(struct op_call *call, const struct tensor *in, bool new_axis, int64_t *axis, int *rank,
			int64_t *dims)
{
	const struct tensor *first = tensor_elements(in);
	int64_t total = 0, count = tensor_count(in);

	if (!count)
		return op_fail(call, -EINVAL, "ConcatFromSequence: the sequence is empty");
	*rank = first->rank + new_axis;
	if (*rank > TENSOR_MAX_RANK || dtype_is_nested(first->dtype) || normalize_axis(axis, *rank))
		return op_fail(call, -EINVAL, "ConcatFromSequence: axis %" PRId64 " for elements %s of rank %d", *axis,
			       dtype_name(first->dtype), first->rank);
	for (int64_t i = 0; i < count; i++) {
		const struct tensor *element = &tensor_elements(in)[i];
		bool same = element->dtype == first->dtype && element->rank == first->rank;

		for (int d = 0; d < first->rank && same; d++)
			same = element->dims[d] == first->dims[d] || (!new_axis && d == *axis);
		if (!same)
			return op_fail(call, -EINVAL, "ConcatFromSequence: element %" PRId64 " does not fit element 0",
				       i);
		if (__builtin_add_overflow(total, new_axis ? 1 : element->dims[*axis], &total))
			return op_fail(call, -EOVERFLOW, "ConcatFromSequence: the axis is too long");
	}
	memcpy(dims, first->dims, (size_t)*axis * sizeof(*dims));
	dims[*axis] = total;
	for (int d = (int)*axis + 1; d < *rank; d++)
		dims[d] = first->dims[new_axis ? d - 1 : d];
	return 0;
}

static int run_concat_from_sequence(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	bool new_axis = op_attr_int(call->node, "new_axis", 0) != 0;
	int64_t axis = op_attr_int(call->node, "axis", 0), dims[TENSOR_MAX_RANK], first = 0;
	struct lines lines;
	int rank = 0, err;

	if (!op_attr(call->node, "axis"))
		return op_fail(call, -EINVAL, "ConcatFromSequence: the axis is missing");
	err = need_sequence(call, in);
	if (!err)
		err = concat_shape(call, in, new_axis, &axis, &rank, dims);
	if (!err)
		err = op_output(call, 0, tensor_elements(in)[0].dtype, rank, dims);
	if (err || !op_wanted(call, 0))
		return err;
	lines = (struct lines){dims_count((int)axis, dims), dims_count(rank - (int)axis - 1, dims + axis + 1)};
	for (int64_t i = 0; i < tensor_count(in); i++) {
		struct tensor *element = &tensor_elements(in)[i];
		int64_t part = new_axis ? 1 : element->dims[axis];

		copy_lines(call, &lines, call->outputs[0]->data, dims[axis], first, element->data, part,
			   dtype_size(element->dtype), false);
		first += part;
	}
	return call->outputs[0]->dtype == DTYPE_STRING ? strings_own(call, call->outputs[0]) : 0;
}

/* ---- optionals ---- */

static int run_optional(struct op_call *call)
{
	const struct tensor *in = op_input(call, 0);
	int64_t count = in != NULL;
	int err = op_output(call, 0, DTYPE_OPTIONAL, 1, &count);

	if (!err && in && op_wanted(call, 0) && tensor_copy(tensor_elements(call->outputs[0]), in))
		err = no_memory(call);
	return err;
}

/*
 * A tensor or sequence that is no optional is its own element: since opset 18 as the types say; before, because a Loop may start with
 * an optional and go on with what was in it (the suite's loop16_seq_none).
 */
static int run_optional_get_element(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];

	if (in->dtype == DTYPE_OPTIONAL) {
		if (!tensor_count(in))
			return op_fail(call, -EINVAL, "OptionalGetElement: the optional is empty");
		in = tensor_elements(in);
	}
	return op_output_copy(call, 0, in, in->rank, in->dims);
}

static int run_optional_has_element(struct op_call *call)
{
	const struct tensor *in = op_input(call, 0);
	int err;

	err = op_output(call, 0, DTYPE_BOOL, 0, NULL);
	if (!err && op_wanted(call, 0))
		*(bool *)call->outputs[0]->data = in && (in->dtype != DTYPE_OPTIONAL || tensor_count(in));
	return err;
}

const struct op_kernel ops_sequence[] = {
	{"", "ConcatFromSequence", 11, 0, 1, 1, 1, 1, run_concat_from_sequence},
	{"", "Optional", 15, 0, 0, 1, 1, 1, run_optional},
	{"", "OptionalGetElement", 15, 0, 1, 1, 1, 1, run_optional_get_element},
	{"", "OptionalHasElement", 15, 17, 1, 1, 1, 1, run_optional_has_element},
	{"", "OptionalHasElement", 18, 0, 0, 1, 1, 1, run_optional_has_element},
	{"", "SequenceAt", 11, 0, 2, 2, 1, 1, run_sequence_at},
	{"", "SequenceConstruct", 11, 0, 1, -1, 1, 1, run_sequence_construct},
	{"", "SequenceEmpty", 11, 0, 0, 0, 1, 1, run_sequence_empty},
	{"", "SequenceErase", 11, 0, 1, 2, 1, 1, run_sequence_erase},
	{"", "SequenceInsert", 11, 0, 2, 3, 1, 1, run_sequence_insert},
	{"", "SequenceLength", 11, 0, 1, 1, 1, 1, run_sequence_length},
	{"", "SplitToSequence", 11, 0, 1, 2, 1, 1, run_split_to_sequence},
};
const size_t ops_sequence_count = sizeof(ops_sequence) / sizeof(ops_sequence[0]);
