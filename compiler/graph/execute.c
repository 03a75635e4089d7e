/* SPDX-License-Identifier: MIT */
/* See execute.h. */
#include "compiler/graph/execute.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct tensor *tensor_of(const struct graph_value *value, const struct tensor *values)
{
	return !value ? NULL : value->constant ? value->constant : &values[value->id];
}

int graph_run_node(const struct graph_node *node, struct tensor *values, struct cpu_pool *pool, char *error,
		   size_t error_size)
{
	const struct op_kernel *kernel = op_find(node->domain, node->op_type, node->opset);
	struct op_node op = graph_op_node(node);
	const struct tensor **inputs = calloc(node->num_inputs + 1, sizeof(*inputs));
	struct tensor **outputs = calloc(node->num_outputs + 1, sizeof(*outputs));
	struct op_call call = {
		.node = &op, .inputs = inputs, .outputs = outputs, .pool = pool, .runner = &graph_runner};
	int err = -ENOMEM;

	if (!inputs || !outputs) {
		snprintf(error, error_size, "out of memory");
		goto out;
	}
	if (!kernel) {
		snprintf(error, error_size, "node %.100s: no CPU kernel for %s%s%s of opset %d", node->name,
			 node->domain, *node->domain ? "::" : "", node->op_type, node->opset);
		err = -ENOENT;
		goto out;
	}
	for (size_t i = 0; i < node->num_inputs; i++)
		inputs[i] = tensor_of(node->inputs[i], values);
	for (size_t i = 0; i < node->num_outputs; i++)
		outputs[i] = node->outputs[i] ? &values[node->outputs[i]->id] : NULL;
	err = op_prepare(kernel, &op, inputs, &call.state);
	if (!err)
		err = op_run(kernel, &call);
	op_release(kernel, call.state);
	if (err)
		snprintf(error, error_size, "node %.100s (%s): %.200s", node->name, node->op_type,
			 call.error[0] ? call.error : strerror(-err));
out:
	free(inputs);
	free(outputs);
	return err;
}

/* Another name for @from, whose memory it does not own. */
static struct tensor view_of(const struct tensor *from)
{
	struct tensor view = *from;

	view.owned = false;
	return view;
}

static int bind_operands(struct op_call *call, const struct graph *body, const struct tensor *const *inputs,
			 struct tensor *values)
{
	for (size_t i = 0; i < body->num_inputs; i++) {
		if (!inputs[i])
			return op_fail(call, -EINVAL, "input %zu of the body is missing", i);
		values[body->inputs[i]->id] = view_of(inputs[i]);
	}
	for (size_t i = 0; i < body->num_captures; i++) {
		const struct graph_capture *capture = &body->captures[i];
		const struct tensor *from = call->inputs[call->node->num_inputs + capture->index];

		if (from)
			values[capture->value->id] = view_of(from);
	}
	return 0;
}

/*
 * The graph's outputs into the caller's tensors. One that is not computed by a node, or is handed out twice, is copied before any
 * exchange, because its memory may be that of another output.
 */
static int give_outputs(struct op_call *call, const struct graph *body, struct tensor *values,
			struct tensor *const *outputs)
{
	struct tensor *copies = calloc(body->num_outputs + 1, sizeof(*copies));
	int err = copies ? 0 : -ENOMEM;

	for (size_t i = 0; i < body->num_outputs && !err; i++) {
		struct tensor *value = (struct tensor *)(uintptr_t)tensor_of(body->outputs[i], values);
		bool again = !value->owned || body->outputs[i]->constant;

		for (size_t k = 0; k < i && !again; k++)
			again = body->outputs[k] == body->outputs[i];
		if (again && outputs[i])
			err = tensor_copy(&copies[i], value);
	}
	for (size_t i = 0; i < body->num_outputs && !err; i++)
		if (outputs[i])
			err = tensor_give(outputs[i], copies[i].dtype ? &copies[i] : &values[body->outputs[i]->id]);
	for (size_t i = 0; copies && i < body->num_outputs; i++)
		tensor_finish(&copies[i]);
	free(copies);
	return err ? op_fail(call, err, "no memory for the body's outputs") : 0;
}

static int run_body(struct op_call *call, const struct attr *attr, const struct tensor *const *inputs,
		    size_t num_inputs, struct tensor *const *outputs, size_t num_outputs)
{
	const struct graph *body = attr->graph;
	struct tensor *values;
	char error[OP_ERROR_SIZE];
	int err;

	if (num_inputs != body->num_inputs || num_outputs != body->num_outputs)
		return op_fail(call, -EINVAL, "%s has %zu inputs and %zu outputs, %s wants %zu and %zu", attr->name,
			       body->num_inputs, body->num_outputs, call->node->op_type, num_inputs, num_outputs);
	values = calloc(body->num_values + 1, sizeof(*values));
	if (!values)
		return op_fail(call, -ENOMEM, "no memory for the values of %s", attr->name);
	err = bind_operands(call, body, inputs, values);
	for (size_t n = 0; n < body->num_nodes && !err; n++) {
		err = graph_run_node(body->nodes[n], values, call->pool, error, sizeof(error));
		if (err)
			op_fail(call, err, "%s", error);
	}
	if (!err)
		err = give_outputs(call, body, values, outputs);
	for (size_t i = 0; i < body->num_values; i++)
		tensor_finish(&values[i]);
	free(values);
	return err;
}

static void output_type(const struct op_call *call, const struct attr *attr, size_t index, enum dtype *dtype, int *rank,
			int64_t *dims)
{
	const struct graph *body = attr->graph;
	const struct graph_value *value = index < body->num_outputs ? body->outputs[index] : NULL;

	(void)call;
	*dtype = value ? value->dtype : DTYPE_UNDEFINED;
	*rank = value ? value->rank : -1;
	for (int d = 0; d < *rank; d++)
		dims[d] = value->dims[d] < 0 ? -1 : value->dims[d];
}

const struct op_runner graph_runner = {.run = run_body, .output_type = output_type};
