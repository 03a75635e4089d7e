// SPDX-License-Identifier: MIT
/*
 * Working types: see work_type.h.
 */
#include "runtime/cpu/work_type.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"

int op_input_float(struct op_call *call, size_t index, enum dtype work, struct tensor *out)
{
	const struct tensor *in = op_input(call, index);
	int err;

	memset(out, 0, sizeof(*out));
	if (!in)
		return op_fail(call, -EINVAL, "%s: input %zu is missing", call->node->op_type, index);
	if (!dtype_is_float(in->dtype))
		return op_fail(call, -ENOTSUP, "%s: input %zu is %s, expected a float type", call->node->op_type, index,
			       dtype_name(in->dtype));
	err = tensor_cast(in, work, out);
	return err ? op_fail(call, err, "%s: no memory for input %zu", call->node->op_type, index) : 0;
}

int op_input_scalar(struct op_call *call, size_t index, int64_t fallback, int64_t *value)
{
	struct tensor t;
	int err;

	*value = fallback;
	if (!op_input(call, index))
		return 0;
	err = op_input_s64(call, index, false, &t);
	if (err)
		return err;
	if (tensor_count(&t) == 1)
		*value = ((const int64_t *)t.data)[0];
	else
		err = op_fail(call, -EINVAL, "%s: input %zu has %" PRId64 " elements, expected one",
			      call->node->op_type, index, tensor_count(&t));
	tensor_finish(&t);
	return err;
}

int op_output_cast(struct op_call *call, size_t index, enum dtype type, const struct tensor *work)
{
	cast_fn convert = cast_row(work->dtype, type);
	int err;

	if (!op_wanted(call, index))
		return 0;
	if (!convert)
		return op_fail(call, -ENOTSUP, "%s: output %zu as %s", call->node->op_type, index, dtype_name(type));
	err = op_output(call, index, type, work->rank, work->dims);
	if (!err && tensor_count(work) > 0)
		convert((size_t)tensor_count(work), work->data, call->outputs[index]->data);
	return err;
}
