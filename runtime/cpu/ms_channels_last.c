// SPDX-License-Identifier: MIT
/*
 * com.microsoft operators whose images have the channels last (NHWC): NhwcConv, NhwcFusedConv, NhwcMaxPool, QLinearConv, and
 * QLinearAveragePool and QLinearGlobalAveragePool with channels_last. The image is transposed, the operator with the
 * channels second does the work, and the result is transposed back.
 */
#include "runtime/cpu/ms_channels_last.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/nested.h"

int move_channels(struct op_call *call, const struct tensor *x, bool back, struct tensor *y)
{
	int64_t perm[TENSOR_MAX_RANK];

	perm[0] = 0;
	for (int i = 1; i < x->rank; i++)
		perm[i] = back ? i + 1 : i - 1;
	perm[back ? x->rank - 1 : 1] = back ? 1 : x->rank - 1;
	return op_nested_transpose(call, x, perm, y);
}

int run_channels_last(struct op_call *call, const char *domain, const char *op_type, int opset)
{
	const struct op_node *node = call->node;
	const struct tensor *x = call->inputs[0];
	struct attr *attrs = calloc(node->num_attrs + 1, sizeof(*attrs));
	const struct tensor **inputs = calloc(node->num_inputs + 1, sizeof(*inputs));
	struct tensor first = {0}, second = {0}, *out = &second;
	struct nested nested = {.domain = domain,
				.op_type = op_type,
				.opset = opset,
				.attrs = attrs,
				.num_inputs = node->num_inputs,
				.inputs = inputs,
				.num_outputs = 1,
				.outputs = &out};
	int err = attrs && inputs ? 0 : -ENOMEM;

	if (!err && x->rank < 3)
		err = op_fail(call, -EINVAL, "%s: input 0 has rank %d, expected [N, ..., C]", node->op_type, x->rank);
	for (size_t i = 0; i < node->num_attrs && !err; i++)
		if (strcmp(node->attrs[i].name, "channels_last"))
			attrs[nested.num_attrs++] = node->attrs[i];
	if (!err) {
		memcpy(inputs, call->inputs, node->num_inputs * sizeof(*inputs));
		inputs[0] = &first;
		err = move_channels(call, x, false, &first);
	}
	if (!err)
		err = op_nested(call, &nested);
	if (!err && op_wanted(call, 0))
		err = move_channels(call, &second, true, call->outputs[0]);
	tensor_finish(&first);
	tensor_finish(&second);
	free(attrs);
	free(inputs);
	return err;
}

static int run_conv(struct op_call *call)
{
	return run_channels_last(call, "", "Conv", 11);
}

/* The residual (input 3) has the output's layout. */
static int run_fused_conv(struct op_call *call)
{
	const struct tensor *residual = op_input(call, 3), *inputs[4];
	struct op_call moved = *call;
	struct tensor second = {0};
	int err;

	if (!residual)
		return run_channels_last(call, MICROSOFT, "FusedConv", 1);
	if (residual->rank != call->inputs[0]->rank || residual->rank < 3)
		return op_fail(call, -EINVAL, "NhwcFusedConv: input 3 has rank %d, input 0 has %d", residual->rank,
			       call->inputs[0]->rank);
	err = move_channels(call, residual, false, &second);
	if (!err) {
		memcpy(inputs, call->inputs, sizeof(inputs));
		inputs[3] = &second;
		moved.inputs = inputs;
		err = run_channels_last(&moved, MICROSOFT, "FusedConv", 1);
		memcpy(call->error, moved.error, sizeof(call->error));
	}
	tensor_finish(&second);
	return err;
}

static int run_max_pool(struct op_call *call)
{
	return run_channels_last(call, "", "MaxPool", 12);
}

static int run_qlinear_conv(struct op_call *call)
{
	struct nested nested = {.domain = "",
				.op_type = "QLinearConv",
				.opset = 10,
				.num_attrs = call->node->num_attrs,
				.attrs = call->node->attrs,
				.num_inputs = call->node->num_inputs,
				.inputs = call->inputs,
				.num_outputs = 1,
				.outputs = call->outputs};

	return op_attr_int(call->node, "channels_last", 0) ? run_channels_last(call, "", "QLinearConv", 10)
							   : op_nested(call, &nested);
}

const struct op_kernel ops_ms_channels_last[] = {
	{MICROSOFT, "NhwcConv", 1, 0, 2, 3, 1, 1, run_conv, NULL, NULL, NULL},
	{MICROSOFT, "NhwcFusedConv", 1, 0, 2, 4, 1, 1, run_fused_conv, NULL, NULL, NULL},
	{MICROSOFT, "NhwcMaxPool", 1, 0, 1, 1, 1, 1, run_max_pool, NULL, NULL, NULL},
	{MICROSOFT, "QLinearConv", 1, 0, 8, 9, 1, 1, run_qlinear_conv, NULL, NULL, NULL},
};
const size_t ops_ms_channels_last_count = sizeof(ops_ms_channels_last) / sizeof(ops_ms_channels_last[0]);
