/* SPDX-License-Identifier: MIT */
/*
 * Branches and loops: If, Loop and SequenceMap. The kernels decide what runs how often with which values; the bodies themselves are
 * run by whoever called op_run() (struct op_runner). Scan is in scan.c.
 *
 * A loop's values live in the node's outputs while it runs: each iteration reads them and gives them back by exchange, so that an
 * iteration allocates nothing once the shapes stay.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/scan_output.h"

/* A condition or trip count: one element. */
static int scalar_input(struct op_call *call, const struct tensor *t, const char *what, enum dtype dtype,
			int64_t *value)
{
	if (t->dtype != dtype || tensor_count(t) != 1)
		return op_fail(call, -EINVAL, "%s: the %s is a %s of %" PRId64 " elements, expected one %s",
			       call->node->op_type, what, dtype_name(t->dtype), tensor_count(t), dtype_name(dtype));
	*value = tensor_get_s64(t, 0);
	return 0;
}

/* ---- If ---- */

/* A condition of several elements was allowed in practice before opset 11 said "one element"; none is not. */
static int run_if(struct op_call *call)
{
	const struct attr *body;
	int64_t condition = 0;
	int err = scalar_input(call, call->inputs[0], "condition", DTYPE_BOOL, &condition);

	if (err)
		return err;
	body = op_body(call, condition ? "then_branch" : "else_branch");
	return body ? call->runner->run(call, body, NULL, 0, call->outputs, call->node->num_outputs) : -EINVAL;
}

/* ---- Loop ---- */

/*
 * struct loop - one execution
 * @trips:      at most so many iterations; INT64_MAX without a trip count
 * @condition:  of the next iteration; @conditional: the condition counts (without that input the body's is ignored:
 *              Loop in the operator specification, "Operator inputs defined as (max_trip_count, condition_var)")
 * @num_state, @num_scans: loop-carried values and scan outputs
 * @next:       1 + num_state + num_scans tensors that the body's outputs go to: those of the node where they are loop-carried
 *              and wanted, else @own
 */
struct loop {
	const struct attr *body;
	int64_t trips, iteration;
	bool condition;
	bool conditional;
	size_t num_state, num_scans;
	struct tensor *own;
	struct tensor **next;
	const struct tensor **inputs;
	struct scan_output *scans;
};

static int loop_start(struct op_call *call, struct loop *loop)
{
	const struct op_node *node = call->node;
	const struct tensor *trips = op_input(call, 0), *condition = op_input(call, 1);
	int64_t value = 0;
	int err = 0;

	*loop = (struct loop){.trips = INT64_MAX, .condition = true, .conditional = condition != NULL};
	loop->body = op_body(call, "body");
	if (!loop->body)
		return -EINVAL;
	if (trips)
		err = scalar_input(call, trips, "trip count", DTYPE_S64, &loop->trips);
	if (!err && condition) {
		err = scalar_input(call, condition, "condition", DTYPE_BOOL, &value);
		loop->condition = !err && value;
	}
	if (err)
		return err;
	if (!trips && !condition)
		return op_fail(call, -EINVAL, "Loop: neither a trip count nor a condition: it would never end");
	loop->num_state = node->num_inputs > 2 ? node->num_inputs - 2 : 0;
	if (node->num_outputs < loop->num_state)
		return op_fail(call, -EINVAL, "Loop: %zu loop-carried values and only %zu outputs", loop->num_state,
			       node->num_outputs);
	loop->num_scans = node->num_outputs - loop->num_state;
	loop->own = calloc(1 + node->num_outputs, sizeof(*loop->own));
	loop->next = calloc(1 + node->num_outputs, sizeof(*loop->next));
	loop->inputs = calloc(2 + loop->num_state, sizeof(*loop->inputs));
	loop->scans = calloc(loop->num_scans + 1, sizeof(*loop->scans));
	if (!loop->own || !loop->next || !loop->inputs || !loop->scans)
		return op_fail(call, -ENOMEM, "Loop: out of memory");
	loop->next[0] = &loop->own[0];
	for (size_t k = 0; k < loop->num_state; k++) {
		loop->next[1 + k] = op_wanted(call, k) ? call->outputs[k] : &loop->own[1 + k];
		loop->inputs[2 + k] = op_input(call, 2 + k);
		if (!loop->inputs[2 + k])
			return op_fail(call, -EINVAL, "Loop: input %zu is missing", 2 + k);
	}
	for (size_t k = 0; k < loop->num_scans; k++) {
		size_t output = loop->num_state + k;

		loop->next[1 + output] = &loop->own[1 + output];
		scan_output_begin(&loop->scans[k], op_wanted(call, output) ? call->outputs[output] : NULL, 0, false,
				  loop->trips);
	}
	return 0;
}

static int loop_step(struct op_call *call, struct loop *loop)
{
	bool condition = loop->condition;
	struct tensor number = {.dtype = DTYPE_S64, .data = &loop->iteration, .size = sizeof(loop->iteration)};
	struct tensor truth = {.dtype = DTYPE_BOOL, .data = &condition, .size = sizeof(condition)};
	int64_t value = 0;
	int err;

	loop->inputs[0] = &number;
	loop->inputs[1] = &truth;
	err = call->runner->run(call, loop->body, loop->inputs, 2 + loop->num_state, loop->next,
				1 + call->node->num_outputs);
	if (err)
		return err;
	for (size_t k = 0; k < loop->num_state; k++)
		loop->inputs[2 + k] = loop->next[1 + k];
	for (size_t k = 0; k < loop->num_scans && !err; k++)
		err = scan_output_append(call, &loop->scans[k], loop->next[1 + loop->num_state + k]);
	if (!err)
		err = scalar_input(call, loop->next[0], "condition that the body returns", DTYPE_BOOL, &value);
	if (!err && loop->conditional)
		loop->condition = value != 0;
	loop->iteration++;
	return err;
}

/* Without an iteration the final values are the initial ones, and the scan outputs are empty. */
static int loop_end(struct op_call *call, struct loop *loop)
{
	int err = 0;

	for (size_t k = 0; k < loop->num_state && !err && !loop->iteration; k++) {
		struct tensor initial = *loop->inputs[2 + k];

		initial.owned = false;
		if (op_wanted(call, k))
			err = tensor_give(call->outputs[k], &initial);
	}
	if (err)
		return op_fail(call, err, "Loop: out of memory");
	for (size_t k = 0; k < loop->num_scans && !err; k++)
		err = scan_output_end(call, &loop->scans[k], loop->body, 1 + loop->num_state + k);
	return err;
}

static int run_loop(struct op_call *call)
{
	struct loop loop;
	int err = loop_start(call, &loop);

	while (!err && loop.iteration < loop.trips && loop.condition)
		err = loop_step(call, &loop);
	if (!err)
		err = loop_end(call, &loop);
	for (size_t k = 0; loop.own && k < 1 + call->node->num_outputs; k++)
		tensor_finish(&loop.own[k]);
	free(loop.own);
	free(loop.next);
	free(loop.inputs);
	free(loop.scans);
	return err;
}

/* ---- SequenceMap ---- */

/* The body's operands for element @i: of every sequence its element, everything else whole. */
static int map_operands(struct op_call *call, int64_t i, int64_t length, const struct tensor **operands)
{
	for (size_t k = 0; k < call->node->num_inputs; k++) {
		const struct tensor *in = call->inputs[k];

		if (!in)
			return op_fail(call, -EINVAL, "SequenceMap: input %zu is missing", k);
		operands[k] = in;
		if (in->dtype != DTYPE_SEQUENCE)
			continue;
		if (tensor_count(in) != length)
			return op_fail(call, -EINVAL,
				       "SequenceMap: input %zu has %" PRId64 " elements, input 0 has %" PRId64, k,
				       tensor_count(in), length);
		operands[k] = &tensor_elements(in)[i];
	}
	return 0;
}

static int run_sequence_map(struct op_call *call)
{
	const struct op_node *node = call->node;
	const struct attr *body = op_body(call, "body");
	const struct tensor **operands = calloc(node->num_inputs + 1, sizeof(*operands));
	struct tensor **results = calloc(node->num_outputs + 1, sizeof(*results));
	int64_t length;
	int err = 0;

	if (!body)
		err = -EINVAL;
	else if (!operands || !results)
		err = op_fail(call, -ENOMEM, "SequenceMap: out of memory");
	else if (call->inputs[0]->dtype != DTYPE_SEQUENCE)
		err = op_fail(call, -EINVAL, "SequenceMap: input 0 is a %s, expected a sequence",
			      dtype_name(call->inputs[0]->dtype));
	length = err ? 0 : tensor_count(call->inputs[0]);
	for (size_t k = 0; k < node->num_outputs && !err; k++)
		err = op_output(call, k, DTYPE_SEQUENCE, 1, &length);
	for (int64_t i = 0; i < length && !err; i++) {
		err = map_operands(call, i, length, operands);
		for (size_t k = 0; k < node->num_outputs; k++)
			results[k] = op_wanted(call, k) ? &tensor_elements(call->outputs[k])[i] : NULL;
		if (!err)
			err = call->runner->run(call, body, operands, node->num_inputs, results, node->num_outputs);
	}
	free(operands);
	free(results);
	return err;
}

const struct op_kernel ops_control[] = {
	{"", "If", 1, 0, 1, 1, 1, -1, run_if},
	{"", "Loop", 1, 0, 0, -1, 1, -1, run_loop},
	{"", "SequenceMap", 17, 0, 1, -1, 1, -1, run_sequence_map},
};
const size_t ops_control_count = sizeof(ops_control) / sizeof(ops_control[0]);
