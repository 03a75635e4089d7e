// SPDX-License-Identifier: MIT
/*
 * Half floats through float32: see half.h.
 */
#include "runtime/cpu/half.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"

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

/*
 * What one call needs: the float32 tensors of its inputs and outputs. Kept from call to call, so that a steady state allocates
 * nothing.
 */
struct workspace {
	size_t num_tensors;
	struct tensor *tensors; /* by input, then by output */
	const struct tensor **inputs;
	struct tensor **outputs;
};

/*
 * What op_prepare() makes of a node whose kernel takes halves as float32.
 * @inner:     what the kernel prepared, its half constants as float32
 * @constants: those, by input; without data where the input is none
 * @spare:     a workspace that no call uses; a call that finds none makes one, and several may run at once
 */
struct half_state {
	void *inner;
	size_t num_inputs;
	struct tensor *constants;
	_Atomic(struct workspace *) spare;
};

static void destroy_workspace(struct workspace *w)
{
	if (!w)
		return;
	for (size_t i = 0; w->tensors && i < w->num_tensors; i++)
		tensor_finish(&w->tensors[i]);
	free(w->tensors);
	free(w->inputs);
	free(w->outputs);
	free(w);
}

static struct workspace *create_workspace(const struct op_node *node)
{
	/* Inputs of bodies come behind the node's own. */
	size_t num_inputs = node->num_inputs + node->num_captures;
	struct workspace *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->num_tensors = node->num_inputs + node->num_outputs;
	w->tensors = calloc(w->num_tensors + 1, sizeof(*w->tensors));
	w->inputs = calloc(num_inputs + 1, sizeof(*w->inputs));
	w->outputs = calloc(node->num_outputs + 1, sizeof(*w->outputs));
	if (!w->tensors || !w->inputs || !w->outputs) {
		destroy_workspace(w);
		return NULL;
	}
	return w;
}

struct conversion {
	cast_fn cast;
	const char *from;
	char *to;
	size_t from_size, to_size;
};

static void convert_range(void *arg, int64_t begin, int64_t end)
{
	const struct conversion *c = arg;

	c->cast((size_t)(end - begin), c->from + (size_t)begin * c->from_size, c->to + (size_t)begin * c->to_size);
}

/* The elements of @from to @to, which has memory for as many. */
static void convert(struct cpu_pool *pool, const struct tensor *from, const struct tensor *to)
{
	struct conversion c = {cast_row(from->dtype, to->dtype), from->data, to->data, dtype_size(from->dtype),
			       dtype_size(to->dtype)};

	parallel_range(pool, tensor_count(from), PARALLEL_GRAIN, convert_range, &c);
}

/* @in as float32 in @out, in the memory that it has where that is enough. */
static int widen(struct cpu_pool *pool, const struct tensor *in, struct tensor *out)
{
	int err = 0;

	if (!out->data || (uint64_t)tensor_count(in) > out->size / sizeof(float)) {
		tensor_finish(out);
		err = tensor_init(out, DTYPE_F32, in->rank, in->dims);
	}
	if (err)
		return err;
	out->dtype = DTYPE_F32;
	out->rank = in->rank;
	memcpy(out->dims, in->dims, sizeof(out->dims));
	convert(pool, in, out);
	return 0;
}

/* One f32 output of the inner call, rounded into the outer call's tensor. */
static int round_output(struct op_call *call, size_t index, enum dtype type, const struct tensor *value)
{
	int err = op_output(call, index, value->dtype == DTYPE_F32 ? type : value->dtype, value->rank, value->dims);

	if (!err)
		convert(call->pool, value, call->outputs[index]);
	return err;
}

static int run_widened(struct op_call *call, const struct op_kernel *kernel, const struct half_state *state,
		       struct workspace *w)
{
	size_t num_inputs = call->node->num_inputs, num_outputs = call->node->num_outputs;
	struct op_call inner = *call;
	int err = 0;

	for (size_t i = 0; !err && i < num_inputs + call->node->num_captures; i++) {
		w->inputs[i] = call->inputs[i];
		if (i >= num_inputs || !w->inputs[i] || !dtype_is_half(w->inputs[i]->dtype))
			continue;
		if (state && state->constants[i].data) {
			w->inputs[i] = &state->constants[i];
			continue;
		}
		err = widen(call->pool, call->inputs[i], &w->tensors[i]);
		w->inputs[i] = &w->tensors[i];
	}
	for (size_t i = 0; i < num_outputs; i++)
		w->outputs[i] = call->outputs[i] ? &w->tensors[num_inputs + i] : NULL;
	if (err)
		return err;
	inner.inputs = w->inputs;
	inner.outputs = w->outputs;
	inner.state = state ? state->inner : NULL;
	err = kernel->run(&inner);
	if (err && inner.error[0])
		op_fail(call, err, "%s", inner.error);
	for (size_t i = 0; !err && i < num_outputs; i++)
		if (w->outputs[i])
			err = round_output(call, i, rounded_type(call, kernel->half_in_f32, i), w->outputs[i]);
	return err;
}

int half_run(struct op_call *call, const struct op_kernel *kernel)
{
	struct half_state *state = call->state;
	struct workspace *w = NULL;
	int err;

	if (!call_has_half(call)) {
		struct op_call inner = *call;

		inner.state = state ? state->inner : NULL;
		err = kernel->run(&inner);
		memcpy(call->error, inner.error, sizeof(call->error));
		return err;
	}
	/* Acquire and release: what the call before wrote into the workspace, its tensors' memory first of all. */
	if (state)
		w = atomic_exchange_explicit(&state->spare, NULL, memory_order_acq_rel);
	if (!w)
		w = create_workspace(call->node);
	if (!w)
		return -ENOMEM;
	err = run_widened(call, kernel, state, w);
	if (state)
		w = atomic_exchange_explicit(&state->spare, w, memory_order_acq_rel);
	destroy_workspace(w);
	return err;
}

int half_prepare(const struct op_kernel *kernel, const struct op_node *node, const struct tensor *const *constants,
		 void **out)
{
	struct half_state *state = calloc(1, sizeof(*state));
	const struct tensor **widened = calloc(node->num_inputs + 1, sizeof(*widened));
	int err = 0;

	if (state)
		state->constants = calloc(node->num_inputs + 1, sizeof(*state->constants));
	if (!state || !widened || !state->constants)
		err = -ENOMEM;
	if (!err)
		state->num_inputs = node->num_inputs;
	for (size_t i = 0; i < node->num_inputs && !err; i++) {
		widened[i] = constants[i];
		if (!constants[i] || !dtype_is_half(constants[i]->dtype))
			continue;
		err = widen(NULL, constants[i], &state->constants[i]);
		widened[i] = &state->constants[i];
	}
	if (!err && kernel->prepare)
		err = kernel->prepare(node, widened, &state->inner);
	free(widened);
	if (err) {
		half_release(kernel, state);
		return err;
	}
	*out = state;
	return 0;
}

void half_release(const struct op_kernel *kernel, void *arg)
{
	struct half_state *state = arg;

	if (!state)
		return;
	if (state->inner && kernel->release)
		kernel->release(state->inner);
	for (size_t i = 0; i < state->num_inputs; i++)
		tensor_finish(&state->constants[i]);
	destroy_workspace(atomic_load_explicit(&state->spare, memory_order_acquire));
	free(state->constants);
	free(state);
}
