// SPDX-License-Identifier: MIT
/*
 * Operators about shapes: asking for one, changing it without touching the elements, and making tensors from one.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/strided_copy.h"

/* ---- Shape, Size ---- */

/* start and end (opset 15) clamp, as a slice does. */
static int run_shape(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int64_t start = op_attr_int(call->node, "start", 0), end = op_attr_int(call->node, "end", in->rank);
	int64_t count = slice_dim(in->rank, &start, end, 1);
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = op_output(call, 0, DTYPE_S64, 1, &count);
	if (!err && count > 0)
		memcpy(call->outputs[0]->data, in->dims + start, count * sizeof(int64_t));
	return err;
}

static int run_size(struct op_call *call)
{
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = op_output(call, 0, DTYPE_S64, 0, NULL);
	if (!err)
		*(int64_t *)call->outputs[0]->data = tensor_count(call->inputs[0]);
	return err;
}

/* ---- Reshape, Flatten, Squeeze, Unsqueeze ---- */

static int run_reshape(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	struct tensor input = {0};
	const int64_t *spec;
	size_t count = op_attr_ints(call->node, "shape", &spec);
	int64_t dims[TENSOR_MAX_RANK];
	int err;

	if (op_input(call, 1)) {
		err = op_input_s64(call, 1, false, &input);
		if (err)
			return err;
		spec = input.data;
		count = tensor_count(&input);
	}
	if (count > TENSOR_MAX_RANK) {
		err = op_fail(call, -EINVAL, "Reshape: shape has %zu dimensions, at most %d are possible", count,
			      TENSOR_MAX_RANK);
	} else {
		err = reshape_dims(in->rank, in->dims, count, spec, op_attr_int(call->node, "allowzero", 0) != 0, dims);
		if (err)
			err = op_fail(call, -EINVAL, "Reshape: %" PRId64 " elements do not fit the shape (input 1)",
				      tensor_count(in));
	}
	tensor_finish(&input);
	return err ? err : op_output_copy(call, 0, in, count, dims);
}

static int run_flatten(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int64_t axis = op_attr_int(call->node, "axis", 1), dims[2];

	if (axis < 0)
		axis += in->rank;
	if (axis < 0 || axis > in->rank)
		return op_fail(call, -EINVAL, "Flatten: axis is out of range for rank %d", in->rank);
	dims[0] = dims_count(axis, in->dims);
	dims[1] = dims_count(in->rank - axis, in->dims + axis);
	if (dims[0] < 0 || dims[1] < 0)
		return op_fail(call, -EOVERFLOW, "Flatten: the dimensions overflow");
	return op_output_copy(call, 0, in, 2, dims);
}

/* Axes from input 1 (opset 13) or the attribute; @count is 0 when neither is there. @input is finished by the caller.
 */
static int read_axes(struct op_call *call, struct tensor *input, const int64_t **axes, size_t *count)
{
	int err;

	memset(input, 0, sizeof(*input));
	*count = op_attr_ints(call->node, "axes", axes);
	if (!op_input(call, 1))
		return 0;
	err = op_input_s64(call, 1, false, input);
	if (err)
		return err;
	*axes = input->data;
	*count = tensor_count(input);
	return 0;
}

static int run_squeeze(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	bool drop[TENSOR_MAX_RANK];
	int64_t dims[TENSOR_MAX_RANK];
	struct tensor input;
	const int64_t *axes;
	size_t count;
	int rank = 0, err;

	err = read_axes(call, &input, &axes, &count);
	if (err)
		return err;
	err = normalize_axes(axes, count, in->rank, drop);
	tensor_finish(&input);
	if (err)
		return op_fail(call, -EINVAL, "Squeeze: axes are out of range or repeated for rank %d", in->rank);
	for (int i = 0; i < in->rank; i++) {
		if (count == 0)
			drop[i] = in->dims[i] == 1;
		if (drop[i] && in->dims[i] != 1)
			return op_fail(call, -EINVAL, "Squeeze: axis %d has %" PRId64 " elements, not 1", i,
				       in->dims[i]);
		if (!drop[i])
			dims[rank++] = in->dims[i];
	}
	return op_output_copy(call, 0, in, rank, dims);
}

static int run_unsqueeze(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	bool insert[TENSOR_MAX_RANK];
	int64_t dims[TENSOR_MAX_RANK];
	struct tensor input;
	const int64_t *axes;
	size_t count;
	int rank, err;

	err = read_axes(call, &input, &axes, &count);
	if (err)
		return err;
	rank = count <= TENSOR_MAX_RANK ? in->rank + (int)count : TENSOR_MAX_RANK + 1;
	err = rank > TENSOR_MAX_RANK ? -ERANGE : normalize_axes(axes, count, rank, insert);
	tensor_finish(&input);
	if (err)
		return op_fail(call, -EINVAL, "Unsqueeze: axes are out of range or repeated for %zu more than rank %d",
			       count, in->rank);
	for (int i = 0, from = 0; i < rank; i++)
		dims[i] = insert[i] ? 1 : in->dims[from++];
	return op_output_copy(call, 0, in, rank, dims);
}

/* ---- Constant, ConstantOfShape, Range, EyeLike ---- */

static int output_strings(struct op_call *call, int rank, size_t count, const struct tensor_string *strings)
{
	int64_t dims[1] = {count};
	struct tensor view;
	int err = tensor_init_view(&view, DTYPE_STRING, rank, dims, (void *)strings, count * sizeof(*strings));

	return err ? err : op_output_copy(call, 0, &view, rank, dims);
}

static int run_constant(struct op_call *call)
{
	static const struct {
		const char *name;
		enum attr_type type;
	} forms[] = {{"value", ATTR_TENSOR},        {"sparse_value", ATTR_TENSOR},  {"value_int", ATTR_INT},
		     {"value_float", ATTR_FLOAT},   {"value_string", ATTR_STRING},  {"value_ints", ATTR_INTS},
		     {"value_floats", ATTR_FLOATS}, {"value_strings", ATTR_STRINGS}};
	const struct attr *attr = NULL;
	struct tensor view;
	int64_t dims[1];
	int err;

	if (!op_wanted(call, 0))
		return 0;
	for (size_t i = 0; !attr && i < sizeof(forms) / sizeof(forms[0]); i++) {
		attr = op_attr(call->node, forms[i].name);
		if (attr && attr->type != forms[i].type)
			return op_fail(call, -EINVAL, "Constant: attribute %s has type %d", forms[i].name, attr->type);
	}
	if (!attr)
		return op_fail(
			call, -EINVAL,
			"Constant: no attribute value, sparse_value, value_int(s), value_float(s) or value_string(s)");
	dims[0] = attr->count;
	switch (attr->type) {
	case ATTR_TENSOR:
		if (!attr->tensor)
			return op_fail(call, -EINVAL, "Constant: attribute value holds no tensor");
		return op_output_copy(call, 0, attr->tensor, attr->tensor->rank, attr->tensor->dims);
	case ATTR_STRING:
		return output_strings(call, 0, 1, &attr->s);
	case ATTR_STRINGS:
		return output_strings(call, 1, attr->count, attr->strings);
	case ATTR_INT:
		err = tensor_init_view(&view, DTYPE_S64, 0, NULL, (void *)&attr->i, sizeof(attr->i));
		break;
	case ATTR_FLOAT:
		err = tensor_init_view(&view, DTYPE_F32, 0, NULL, (void *)&attr->f, sizeof(attr->f));
		break;
	case ATTR_INTS:
		err = tensor_init_view(&view, DTYPE_S64, 1, dims, attr->ints, attr->count * sizeof(*attr->ints));
		break;
	default:
		err = tensor_init_view(&view, DTYPE_F32, 1, dims, attr->floats, attr->count * sizeof(*attr->floats));
		break;
	}
	return err ? err : op_output_copy(call, 0, &view, view.rank, view.dims);
}

static int run_constant_of_shape(struct op_call *call)
{
	const struct attr *attr = op_attr(call->node, "value");
	const struct tensor *value = attr && attr->type == ATTR_TENSOR ? attr->tensor : NULL;
	struct strided_copy copy = {.rank = 1, .dst_strides = {1}};
	static const float zero;
	int64_t dims[TENSOR_MAX_RANK];
	struct tensor shape;
	int64_t count;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (value && tensor_count(value) != 1)
		return op_fail(call, -EINVAL, "ConstantOfShape: attribute value has %" PRId64 " elements, not 1",
			       tensor_count(value));
	err = op_input_s64(call, 0, false, &shape);
	if (err)
		return err;
	count = tensor_count(&shape);
	if (count > TENSOR_MAX_RANK)
		err = op_fail(call, -EINVAL, "ConstantOfShape: %" PRId64 " dimensions, at most %d are possible", count,
			      TENSOR_MAX_RANK);
	else if (count > 0)
		memcpy(dims, shape.data, count * sizeof(*dims));
	tensor_finish(&shape);
	if (!err)
		err = op_output(call, 0, value ? value->dtype : DTYPE_F32, count, dims);
	if (err)
		return err;
	copy.dims[0] = tensor_count(call->outputs[0]);
	copy.size = dtype_size(call->outputs[0]->dtype);
	copy.dst = call->outputs[0]->data;
	copy.src = value ? value->data : &zero;
	strided_copy_run(copy, call->pool);
	return value && value->dtype == DTYPE_STRING ? strings_own(call, call->outputs[0]) : 0;
}

/* ceil((limit - start) / delta) of integers, at least 0. -EOVERFLOW, -EINVAL for delta 0. */
static int64_t range_count(int64_t start, int64_t limit, int64_t delta)
{
	int64_t span;

	if (delta == 0)
		return -EINVAL;
	if (delta > 0 ? limit <= start : limit >= start)
		return 0;
	if (__builtin_sub_overflow(limit, start, &span))
		return -EOVERFLOW;
	if (delta == -1)
		return span == INT64_MIN ? -EOVERFLOW : -span;
	return span / delta + (span % delta != 0);
}

static int run_range(struct op_call *call)
{
	const struct tensor *const *in = call->inputs;
	enum dtype type = in[0]->dtype;
	bool real = dtype_is_float(type);
	cast_fn narrow = cast_row(real ? DTYPE_F64 : DTYPE_S64, type);
	int64_t count;
	char *out;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (!narrow || type == DTYPE_BOOL)
		return op_fail(call, -ENOTSUP, "Range: elements of type %s", dtype_name(type));
	for (int i = 0; i < 3; i++)
		if (in[i]->dtype != type || tensor_count(in[i]) != 1)
			return op_fail(call, -EINVAL, "Range: input %d is not a %s scalar", i, dtype_name(type));
	if (real) {
		double n = ceil((tensor_get_f64(in[1], 0) - tensor_get_f64(in[0], 0)) / tensor_get_f64(in[2], 0));

		/* The negation catches NaN: 0 / 0. */
		count = !(n < 0x1p40) ? -EINVAL : n > 0 ? (int64_t)n : 0;
	} else {
		count = range_count(tensor_get_s64(in[0], 0), tensor_get_s64(in[1], 0), tensor_get_s64(in[2], 0));
	}
	if (count < 0)
		return op_fail(call, -EINVAL, "Range: from start to limit there is no countable number of deltas");
	err = op_output(call, 0, type, 1, &count);
	if (err)
		return err;
	out = call->outputs[0]->data;
	for (int64_t i = 0; i < count; i++, out += dtype_size(type)) {
		if (real) {
			double x = tensor_get_f64(in[0], 0) + (double)i * tensor_get_f64(in[2], 0);

			narrow(1, &x, out);
		} else {
			int64_t x = tensor_get_s64(in[0], 0) + i * tensor_get_s64(in[2], 0);

			narrow(1, &x, out);
		}
	}
	return 0;
}

static int run_eye_like(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int64_t k = op_attr_int(call->node, "k", 0);
	enum dtype type = op_attr_int(call->node, "dtype", in->dtype);
	cast_fn narrow = cast_row(DTYPE_U8, type);
	size_t size = dtype_size(type);
	const uint8_t one = 1;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (in->rank != 2)
		return op_fail(call, -EINVAL, "EyeLike: input 0 has rank %d, not 2", in->rank);
	if (!narrow)
		return op_fail(call, -ENOTSUP, "EyeLike: elements of type %s (%d)", dtype_name(type), (int)type);
	err = op_output(call, 0, type, 2, in->dims);
	if (err)
		return err;
	if (tensor_count(in) > 0)
		memset(call->outputs[0]->data, 0, tensor_bytes(call->outputs[0]));
	if (k <= -in->dims[0] || k >= in->dims[1])
		return 0;
	for (int64_t row = 0; row < in->dims[0]; row++)
		if (row + k >= 0 && row + k < in->dims[1])
			narrow(1, &one, (char *)call->outputs[0]->data + (row * in->dims[1] + row + k) * size);
	return 0;
}

/* ---- Expand, Tile ---- */

static int run_expand(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	struct strided_copy copy = {0};
	int64_t dims[TENSOR_MAX_RANK], strides[TENSOR_MAX_RANK];
	struct tensor shape;
	int64_t count;
	int rank, err;

	if (!op_wanted(call, 0))
		return 0;
	err = op_input_s64(call, 1, false, &shape);
	if (err)
		return err;
	count = tensor_count(&shape);
	err = count > TENSOR_MAX_RANK ? -EINVAL : broadcast_dims(in->rank, in->dims, count, shape.data, &rank, dims);
	tensor_finish(&shape);
	if (err)
		return op_fail(call, err, "Expand: input 0 does not broadcast to the shape (input 1)");
	err = op_output(call, 0, in->dtype, rank, dims);
	if (err || tensor_count(call->outputs[0]) == 0)
		return err;
	copy.rank = rank;
	copy.size = dtype_size(in->dtype);
	copy.dst = call->outputs[0]->data;
	copy.src = in->data;
	memcpy(copy.dims, dims, rank * sizeof(*dims));
	dense_strides(rank, dims, copy.dst_strides);
	dense_strides(in->rank, in->dims, strides);
	for (int i = 0; i < in->rank; i++)
		copy.src_strides[rank - in->rank + i] = in->dims[i] == 1 ? 0 : strides[i];
	strided_copy_run(copy, call->pool);
	return in->dtype == DTYPE_STRING ? strings_own(call, call->outputs[0]) : 0;
}

/* @repeats per axis. The output is seen as [repeat 0, dim 0, repeat 1, dim 1, …]; the source stands still in the
 * repeats. */
static int tile(struct op_call *call, const int64_t *repeats)
{
	const struct tensor *in = call->inputs[0];
	struct strided_copy copy = {.rank = 2 * in->rank, .size = dtype_size(in->dtype)};
	int64_t dims[TENSOR_MAX_RANK], in_strides[TENSOR_MAX_RANK], out_strides[TENSOR_MAX_RANK];
	int err;

	for (int i = 0; i < in->rank; i++)
		if (repeats[i] < 0 || __builtin_mul_overflow(in->dims[i], repeats[i], &dims[i]))
			return op_fail(call, -EINVAL, "Tile: %" PRId64 " repeats of axis %d", repeats[i], i);
	err = op_output(call, 0, in->dtype, in->rank, dims);
	if (err || tensor_count(call->outputs[0]) == 0)
		return err;
	copy.dst = call->outputs[0]->data;
	copy.src = in->data;
	dense_strides(in->rank, dims, out_strides);
	dense_strides(in->rank, in->dims, in_strides);
	for (int i = 0; i < in->rank; i++) {
		copy.dims[2 * i] = repeats[i];
		copy.dst_strides[2 * i] = in->dims[i] * out_strides[i];
		copy.dims[2 * i + 1] = in->dims[i];
		copy.dst_strides[2 * i + 1] = out_strides[i];
		copy.src_strides[2 * i + 1] = in_strides[i];
	}
	strided_copy_run(copy, call->pool);
	return in->dtype == DTYPE_STRING ? strings_own(call, call->outputs[0]) : 0;
}

static int run_tile(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	struct tensor repeats;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = op_input_s64(call, 1, false, &repeats);
	if (err)
		return err;
	if (tensor_count(&repeats) != in->rank)
		err = op_fail(call, -EINVAL, "Tile: %" PRId64 " repeats (input 1) for rank %d", tensor_count(&repeats),
			      in->rank);
	else
		err = tile(call, repeats.data);
	tensor_finish(&repeats);
	return err;
}

/* Opset 1: how often (input 1) along which axis (input 2). */
static int run_tile_axis(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int64_t repeats[TENSOR_MAX_RANK], axis = tensor_get_s64(call->inputs[2], 0);

	if (!op_wanted(call, 0))
		return 0;
	if (tensor_count(call->inputs[1]) != 1 || tensor_count(call->inputs[2]) != 1 || normalize_axis(&axis, in->rank))
		return op_fail(call, -EINVAL, "Tile: tiles or axis (inputs 1 and 2) do not fit rank %d", in->rank);
	for (int i = 0; i < in->rank; i++)
		repeats[i] = i == axis ? tensor_get_s64(call->inputs[1], 0) : 1;
	return tile(call, repeats);
}

const struct op_kernel ops_shape[] = {
	{"", "Constant", 1, 0, 0, 0, 1, 1, run_constant},
	{"", "ConstantOfShape", 9, 0, 1, 1, 1, 1, run_constant_of_shape},
	{"", "Expand", 8, 0, 2, 2, 1, 1, run_expand},
	{"", "EyeLike", 9, 0, 1, 1, 1, 1, run_eye_like},
	{"", "Flatten", 1, 0, 1, 1, 1, 1, run_flatten},
	{"", "Range", 11, 0, 3, 3, 1, 1, run_range},
	{"", "Reshape", 1, 4, 1, 1, 1, 1, run_reshape},
	{"", "Reshape", 5, 0, 2, 2, 1, 1, run_reshape},
	{"", "Shape", 1, 0, 1, 1, 1, 1, run_shape},
	{"", "Size", 1, 0, 1, 1, 1, 1, run_size},
	{"", "Squeeze", 1, 0, 1, 2, 1, 1, run_squeeze},
	{"", "Tile", 1, 5, 3, 3, 1, 1, run_tile_axis},
	{"", "Tile", 6, 0, 2, 2, 1, 1, run_tile},
	{"", "Unsqueeze", 1, 0, 1, 2, 1, 1, run_unsqueeze},
};
const size_t ops_shape_count = sizeof(ops_shape) / sizeof(ops_shape[0]);
