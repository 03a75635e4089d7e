// SPDX-License-Identifier: MIT
/*
 * Scales and zero points: see quant_input.h.
 */
#include "runtime/cpu/quant_input.h"

#include <errno.h>

#include "runtime/cpu/families.h"

static int check_count(struct op_call *call, size_t index, const char *what, const struct tensor *t, int64_t count,
		       int64_t *step)
{
	int64_t have = tensor_count(t);

	*step = have == 1 ? 0 : 1;
	if (have == 1 || (have == count && t->rank == 1))
		return 0;
	return op_fail(call, -EINVAL, "%s: input %zu (%s) has %lld elements, expected 1%s", call->node->op_type, index,
		       what, (long long)have, count > 1 ? " or one a channel" : "");
}

int quant_scale(struct op_call *call, size_t index, int64_t count, const float **values, int64_t *step)
{
	const struct tensor *t = op_input(call, index);

	if (!t || t->dtype != DTYPE_F32)
		return op_fail(call, -EINVAL, "%s: input %zu (a scale) must be float32", call->node->op_type, index);
	*values = t->data;
	return check_count(call, index, "a scale", t, count, step);
}

int quant_zero(struct op_call *call, size_t index, enum dtype dtype, int64_t count, const void **values, int64_t *step)
{
	const struct tensor *t = op_input(call, index);

	*values = NULL;
	*step = 0;
	if (!t)
		return 0;
	if (t->dtype != dtype)
		return op_fail(call, -EINVAL, "%s: input %zu (a zero point) is %s, its data %s", call->node->op_type,
			       index, dtype_name(t->dtype), dtype_name(dtype));
	*values = t->data;
	return check_count(call, index, "a zero point", t, count, step);
}

int quant_scalar(struct op_call *call, size_t index, enum dtype dtype, float *scale, int32_t *zero)
{
	const float *scales = NULL;
	const void *zeros = NULL;
	int64_t step;
	int err = quant_scale(call, index, 1, &scales, &step);

	if (!err)
		err = quant_zero(call, index + 1, dtype, 1, &zeros, &step);
	if (err)
		return err;
	*scale = scales[0];
	*zero = zeros ? quant_byte(dtype, zeros, 0) : 0;
	return 0;
}

int quant_check_bytes(struct op_call *call, size_t index)
{
	const struct tensor *t = op_input(call, index);

	if (t && (t->dtype == DTYPE_U8 || t->dtype == DTYPE_S8))
		return 0;
	return op_fail(call, -EINVAL, "%s: input %zu is %s, expected uint8 or int8", call->node->op_type, index,
		       t ? dtype_name(t->dtype) : "missing");
}
