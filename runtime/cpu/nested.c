// SPDX-License-Identifier: MIT
/*
 * Calls from one kernel to another: see nested.h.
 */
#include "runtime/cpu/nested.h"

#include <errno.h>

int op_nested(struct op_call *call, const struct nested *nested)
{
	const struct op_node node = {
		.name = call->node->name,
		.domain = nested->domain,
		.op_type = nested->op_type,
		.opset = nested->opset,
		.num_attrs = nested->num_attrs,
		.attrs = nested->attrs,
		.num_inputs = nested->num_inputs,
		.num_outputs = nested->num_outputs,
	};
	const struct op_kernel *kernel = op_find(node.domain, node.op_type, node.opset);
	struct op_call inner = {
		.node = &node, .inputs = nested->inputs, .outputs = nested->outputs, .pool = call->pool};
	int err;

	if (!kernel)
		return op_fail(call, -ENOTSUP, "%s: there is no kernel %s", call->node->op_type, node.op_type);
	err = op_run(kernel, &inner);
	return err ? op_fail(call, err, "%s: %.200s", call->node->op_type, inner.error) : 0;
}

int op_nested_simple(struct op_call *call, const char *op_type, int opset, size_t num_inputs,
		     const struct tensor *const *inputs, struct tensor *output)
{
	struct nested nested = {.domain = "",
				.op_type = op_type,
				.opset = opset,
				.num_inputs = num_inputs,
				.inputs = inputs,
				.num_outputs = 1,
				.outputs = &output};

	return op_nested(call, &nested);
}

int op_nested_transpose(struct op_call *call, const struct tensor *x, const int64_t *perm, struct tensor *y)
{
	struct attr attr = attr_ints("perm", (size_t)x->rank, perm);
	struct nested transpose = {.domain = "",
				   .op_type = "Transpose",
				   .opset = 13,
				   .num_attrs = 1,
				   .attrs = &attr,
				   .num_inputs = 1,
				   .inputs = &x,
				   .num_outputs = 1,
				   .outputs = &y};

	return op_nested(call, &transpose);
}
