// SPDX-License-Identifier: MIT
/*
 * CenterCropPad: cut or fill with zeros around the middle, axis by axis; an odd element goes to the end.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/strided_copy.h"

/* The axes that input 1 sizes: those of the attribute, or all. */
static int read_axes(struct op_call *call, int64_t *axes, int64_t *count)
{
	int rank = call->inputs[0]->rank;
	const int64_t *given;
	size_t num_given = op_attr_ints(call->node, "axes", &given);
	bool selected[TENSOR_MAX_RANK];

	*count = op_attr(call->node, "axes") ? (int64_t)num_given : rank;
	if (num_given && normalize_axes(given, num_given, rank, selected))
		return op_fail(call, -EINVAL, "CenterCropPad: attribute axes names an axis twice or one beyond rank %d",
			       rank);
	for (int64_t i = 0; i < *count; i++) {
		axes[i] = num_given ? given[i] : i;
		axes[i] += axes[i] < 0 ? rank : 0;
	}
	return 0;
}

static int read_shape(struct op_call *call, int64_t *dims)
{
	int64_t axes[TENSOR_MAX_RANK], count;
	struct tensor shape;
	int err = read_axes(call, axes, &count);

	if (!err)
		err = op_input_s64(call, 1, false, &shape);
	if (err)
		return err;
	memcpy(dims, call->inputs[0]->dims, sizeof(call->inputs[0]->dims));
	if (tensor_count(&shape) != count)
		err = op_fail(call, -EINVAL,
			      "CenterCropPad: shape (input 1) has %" PRId64 " entries for %" PRId64 " axes",
			      tensor_count(&shape), count);
	for (int64_t i = 0; i < count && !err; i++) {
		dims[axes[i]] = ((const int64_t *)shape.data)[i];
		if (dims[axes[i]] < 0)
			err = op_fail(call, -EINVAL, "CenterCropPad: shape (input 1) has the entry %" PRId64,
				      dims[axes[i]]);
	}
	tensor_finish(&shape);
	return err;
}

static int run_center_crop_pad(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	struct strided_copy copy = {.rank = in->rank, .size = dtype_size(in->dtype)};
	int64_t dims[TENSOR_MAX_RANK], from = 0, to = 0;
	struct tensor *out;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = read_shape(call, dims);
	if (!err)
		err = op_output(call, 0, in->dtype, in->rank, dims);
	if (err)
		return err;
	out = call->outputs[0];
	if (tensor_count(out) > 0)
		memset(out->data, 0, tensor_bytes(out));
	dense_strides(in->rank, in->dims, copy.src_strides);
	dense_strides(in->rank, dims, copy.dst_strides);
	for (int i = 0; i < in->rank; i++) {
		int64_t spare = in->dims[i] - dims[i];

		copy.dims[i] = spare > 0 ? dims[i] : in->dims[i];
		from += (spare > 0 ? spare / 2 : 0) * copy.src_strides[i];
		to += (spare < 0 ? -spare / 2 : 0) * copy.dst_strides[i];
	}
	if (tensor_count(in) == 0 || tensor_count(out) == 0)
		return 0;
	copy.src = (const char *)in->data + (size_t)from * copy.size;
	copy.dst = (char *)out->data + (size_t)to * copy.size;
	strided_copy_run(copy, call->pool);
	return in->dtype == DTYPE_STRING ? strings_own(call, out) : 0;
}

const struct op_kernel ops_center_crop_pad[] = {
	{"", "CenterCropPad", 18, 0, 2, 2, 1, 1, run_center_crop_pad},
};
const size_t ops_center_crop_pad_count = sizeof(ops_center_crop_pad) / sizeof(ops_center_crop_pad[0]);
