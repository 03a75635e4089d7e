// SPDX-License-Identifier: MIT
/*
 * Half floats through float32: see half.h.
 */
#include "runtime/cpu/half.h"

#include <errno.h>
#include <stdlib.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"

const struct op_widen op_half_in_f32;

bool call_has_half(const struct op_call *call)
{
	for (size_t i = 0; i < call->node->num_inputs; i++)
		if (call->inputs[i] && dtype_is_half(call->inputs[i]->dtype))
			return true;
	return false;
}

/* The type of output @index, which the kernel computed in float32. */
static enum dtype rounded_type(const struct op_call *call, const struct op_widen *widen, size_t index)
{
	signed char like = widen->output_like ? widen->output_like[index] : 0;

	if (like < 0)
		return DTYPE_F32;
	return op_input(call, (size_t)like) ? op_input(call, (size_t)like)->dtype : call->inputs[0]->dtype;
}

/* One f32 output of the inner call, rounded into the outer call's tensor. */
static int round_output(struct op_call *call, size_t index, enum dtype type, const struct tensor *value)
{
	bool convert = value->dtype == DTYPE_F32;
	int err = op_output(call, index, convert ? type : value->dtype, value->rank, value->dims);

	if (!err)
		cast_row(value->dtype, convert ? type : value->dtype)((size_t)tensor_count(value), value->data,
								      call->outputs[index]->data);
	return err;
}

int run_half_in_f32(struct op_call *call, const struct op_kernel *kernel)
{
	size_t num_inputs = call->node->num_inputs, num_outputs = call->node->num_outputs;
	struct tensor *tensors = calloc(num_inputs + num_outputs, sizeof(*tensors));
	const struct tensor **inputs = calloc(num_inputs + 1, sizeof(*inputs));
	struct tensor **outputs = calloc(num_outputs + 1, sizeof(*outputs));
	struct op_call inner = *call;
	int err = tensors && inputs && outputs ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < num_inputs; i++) {
		inputs[i] = call->inputs[i];
		if (!inputs[i] || !dtype_is_half(inputs[i]->dtype))
			continue;
		err = tensor_cast(inputs[i], DTYPE_F32, &tensors[i]);
		inputs[i] = &tensors[i];
	}
	for (size_t i = 0; !err && i < num_outputs; i++)
		outputs[i] = call->outputs[i] ? &tensors[num_inputs + i] : NULL;
	if (!err) {
		inner.inputs = inputs;
		inner.outputs = outputs;
		inner.state = NULL;
		err = kernel->run(&inner);
		if (err && inner.error[0])
			op_fail(call, err, "%s", inner.error);
	}
	for (size_t i = 0; !err && i < num_outputs; i++)
		if (outputs[i])
			err = round_output(call, i, rounded_type(call, kernel->half_in_f32, i), outputs[i]);
	for (size_t i = 0; tensors && i < num_inputs + num_outputs; i++)
		tensor_finish(&tensors[i]);
	free(outputs);
	free(inputs);
	free(tensors);
	return err;
}
