/* SPDX-License-Identifier: MIT */
/*
 * One run: its inputs as tensors, a claim, the scheduler, what to do when the device fails; and the calls that do it on the caller's
 * thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/fail.h"
#include "runtime/in_place.h"
#include "runtime/scheduler.h"
#include "runtime/session_internal.h"
#include "runtime/value.h"

#define RETRIES 3

int64_t run_deadline(const struct accel_session *session)
{
	uint64_t now;

	if (!session->options.timeout_ns)
		return INT64_MAX;
	now = instance_now();
	return session->options.timeout_ns < INT64_MAX - now ? (int64_t)(now + session->options.timeout_ns) : INT64_MAX;
}

/* ---- inputs and outputs ---- */

/* What is bound lies in its binding, which this process may not see: then the view has no data. */
static int make_view(const struct accel_tensor *input, struct tensor *view)
{
	const struct accel_binding *binding = input->binding;
	uint8_t unseen;
	int err;

	if (!binding)
		return tensor_init_view(view, (enum dtype)input->dtype, input->rank, input->dims, input->data,
					input->size);
	err = tensor_init_view(view, (enum dtype)input->dtype, input->rank, input->dims,
			       binding->data ? binding->data : &unseen, binding->size);
	if (!err)
		view->data = binding->data;
	return err;
}

static int view_input(const struct accel_session *session, size_t index, const struct accel_tensor *input,
		      struct tensor *view, char *error, size_t size)
{
	struct accel_value_info info;
	int err = accel_session_input(session, index, &info);

	if (err)
		return err;
	if (dtype_is_nested((enum dtype)info.dtype))
		return fail(error, size, -EINVAL, "input %s: is %s: use accel_session_run_values()", info.name,
			    info.type);
	if (input->binding && dtype_owns_memory((enum dtype)info.dtype))
		return fail(error, size, -EINVAL, "input %s: %s have no place in a buffer", info.name,
			    dtype_name((enum dtype)info.dtype));
	err = make_view(input, view);
	if (!err)
		return 0;
	/* A wrong shape is a better reason than too few bytes for it. */
	*view = (struct tensor){.dtype = (enum dtype)input->dtype, .rank = input->rank};
	memcpy(view->dims, input->dims, sizeof(view->dims));
	if (plan_check_input(session->plans[0]->plan, index, view, error, size) < 0)
		return -EINVAL;
	return fail(error, size, err, "input %s: %zu bytes are too few for its shape, or the shape is impossible",
		    info.name, input->binding ? (size_t)input->binding->size : input->size);
}

int run_view_inputs(const struct accel_session *session, const struct accel_tensor *inputs, struct tensor *views,
		    char *error, size_t size)
{
	size_t count = accel_session_num_inputs(session);
	int err = 0;

	for (size_t i = 0; i < count && !err; i++)
		err = view_input(session, i, &inputs[i], &views[i], error, size);
	return err;
}

int run_describe_output(const struct accel_session *session, const struct instance *instance, size_t index,
			struct accel_tensor *output, char *error, size_t size)
{
	const struct tensor *value = instance_output(instance, index);

	if (dtype_is_nested(value->dtype))
		return fail(error, size, -EINVAL, "output %s: is a %s: use accel_session_run_values()",
			    session_output_name(session, index), dtype_name(value->dtype));
	output->dtype = (int32_t)value->dtype;
	output->rank = value->rank;
	memcpy(output->dims, value->dims, sizeof(output->dims));
	output->data = value->data;
	output->size = tensor_bytes(value);
	return 0;
}

int run_copy_output(const struct accel_session *session, size_t index, const struct accel_tensor *given,
		    struct accel_tensor *output, char *error, size_t size)
{
	void *data = output->data;

	if (output->size < given->size)
		return fail(error, size, -ENOSPC, "output %s: needs %zu bytes, has %zu",
			    session_output_name(session, index), given->size, output->size);
	if (given->size)
		memcpy(data, given->data, given->size);
	*output = *given;
	output->data = data;
	return 0;
}

int run_give_output(const struct accel_session *session, struct instance *instance, size_t index,
		    struct accel_tensor *output, char *error, size_t size)
{
	struct accel_tensor given = {0};
	int err;

	if (output->binding)
		return in_place_output(instance, index, output, error, size);
	err = run_describe_output(session, instance, index, &given, error, size);
	if (err)
		return err;
	if (output->data)
		return run_copy_output(session, index, &given, output, error, size);
	*output = given;
	return 0;
}

int run_check_counts(const struct accel_session *session, size_t num_inputs, size_t num_outputs, char *error,
		     size_t size)
{
	if (size)
		error[0] = '\0';
	if (num_inputs == accel_session_num_inputs(session) && num_outputs == accel_session_num_outputs(session))
		return 0;
	return fail(error, size, -EINVAL, "%zu inputs and %zu outputs, the model has %zu and %zu", num_inputs,
		    num_outputs, accel_session_num_inputs(session), accel_session_num_outputs(session));
}

/* ---- running ---- */

/* What is known of the device now. @run: the scheduler's, after it came back. */
static void note_device(struct accel_session *session, struct run *run, const struct scheduler_run *done)
{
	pthread_mutex_lock(&session->lock);
	if (run->has)
		*run->has = NULL;
	if (run->claim.device) {
		run->claim.device->stats.faults += done->faults;
		if (done->gone)
			reattach_note_gone(session, run->claim.device);
	}
	pthread_mutex_unlock(&session->lock);
}

/* Of a run that did not end well. @device: it was the device; @gone: that is not there any more; @mute: it does not answer. */
struct failure {
	bool device, gone, mute;
};

static int run_once(struct accel_session *session, struct run *run, const struct tensor *inputs,
		    struct failure *failure, char *error, size_t size)
{
	struct scheduler_run done = {
		.instance = run->claim.instance,
		.lane = run->claim.lane,
		.deadline_ns = run->deadline_ns,
		.cancelled = run->cancelled,
		.retries = session->options.on_fault == ACCEL_FAULT_RETRY ? RETRIES : 0,
		.error = error,
		.size = size,
	};
	int err = in_place_begin(run->claim.instance, run->bound, error, size);

	if (err)
		return err;
	if (run->has) {
		pthread_mutex_lock(&session->lock);
		*run->has = &run->claim;
		pthread_mutex_unlock(&session->lock);
	}
	err = scheduler_run(&done, inputs);
	if (run->has || done.faults || done.gone)
		note_device(session, run, &done);
	*failure = (struct failure){.device = done.gone || err == -EIO, .gone = done.gone, .mute = done.mute};
	return err;
}

/* Where the first of what is bound lies: what is on another device is copied. */
static size_t bound_device(const struct accel_session *session, struct accel_binding *const *bound)
{
	size_t count = accel_session_num_inputs(session) + accel_session_num_outputs(session);

	for (size_t i = 0; i < count; i++)
		if (bound[i])
			return bound[i]->device;
	return CLAIM_ANY_DEVICE;
}

int run_claimed(struct accel_session *session, struct run *run, const struct tensor *inputs, char *error, size_t size)
{
	enum accel_on_fault policy = session->options.on_fault;
	size_t device = run->bound ? bound_device(session, run->bound) : CLAIM_ANY_DEVICE;
	bool cpu = session->cpu_only;
	unsigned int unanswered = 0;

	for (;;) {
		struct failure failure = {0};
		int err = claim_take(session, inputs, cpu, device, &run->claim, error, size);

		if (!err)
			err = run_once(session, run, inputs, &failure, error, size);
		else
			failure = (struct failure){.device = err == -ENODEV || err == -ENOSPC || err == -EIO,
						   .mute = err == -EIO};
		if (!err || !failure.device || cpu || policy == ACCEL_FAULT_REPORT)
			return err;
		/*
		 * Another device can do it when this one is gone; when none is left the claim says so. One that does not answer the driver
		 * resets, and the next claim may be of another.
		 */
		if (policy == ACCEL_FAULT_RETRY && !failure.gone && !(failure.mute && unanswered++ < RETRIES))
			return err;
		claim_give(session, &run->claim, err);
		cpu = policy == ACCEL_FAULT_CPU;
	}
}

/* On the caller's thread; the claim is given back by end_run(). */
static int begin_run(struct accel_session *session, struct run *run, struct accel_binding *const *bound,
		     const struct tensor *inputs, char *error, size_t size)
{
	int err;

	*run = (struct run){.deadline_ns = run_deadline(session), .bound = bound};
	err = admission_enter(session, run->deadline_ns);
	run->admitted = !err;
	if (err)
		return fail(error, size, err, "no turn by its deadline: %u requests are under way",
			    session->options.depth);
	return run_claimed(session, run, inputs, error, size);
}

static void end_run(struct accel_session *session, struct run *run, int result)
{
	claim_give(session, &run->claim, result);
	if (run->admitted)
		admission_leave(session);
}

/* Tensors and bindings of a run: few lie on the stack. */
struct operands {
	struct tensor few_views[16], *views;
	struct accel_binding *few_bound[32], **bound;
};

static void operands_finish(struct operands *operands)
{
	if (operands->views != operands->few_views)
		free(operands->views);
	if (operands->bound != operands->few_bound)
		free(operands->bound);
}

static int operands_init(struct operands *operands, size_t num_inputs, size_t num_outputs, char *error, size_t size)
{
	operands->views = operands->few_views;
	operands->bound = operands->few_bound;
	if (num_inputs > sizeof(operands->few_views) / sizeof(*operands->few_views))
		operands->views = calloc(num_inputs, sizeof(*operands->views));
	if (num_inputs + num_outputs > sizeof(operands->few_bound) / sizeof(struct accel_binding *))
		operands->bound = calloc(num_inputs + num_outputs, sizeof(struct accel_binding *));
	if (operands->views && operands->bound)
		return 0;
	operands_finish(operands);
	return fail(error, size, -ENOMEM, "out of memory");
}

static int run_operands(struct accel_session *session, struct operands *operands, struct accel_binding *const *bound,
			const struct accel_tensor *inputs, struct accel_tensor *outputs, size_t num_outputs,
			char *error, size_t size)
{
	int err = run_view_inputs(session, inputs, operands->views, error, size);
	struct run run;

	if (err)
		return err;
	err = begin_run(session, &run, bound, operands->views, error, size);
	for (size_t i = 0; i < num_outputs && !err; i++)
		err = run_give_output(session, run.claim.instance, i, &outputs[i], error, size);
	end_run(session, &run, err);
	return err;
}

static int run_bound(struct accel_session *session, struct operands *operands, const struct accel_tensor *inputs,
		     size_t num_inputs, struct accel_tensor *outputs, size_t num_outputs, char *error, size_t size)
{
	int err;

	pthread_mutex_lock(&session->lock);
	err = binding_hold(session, operands->bound, num_inputs, num_outputs, error, size);
	pthread_mutex_unlock(&session->lock);
	if (err)
		return err;
	err = run_operands(session, operands, operands->bound, inputs, outputs, num_outputs, error, size);
	pthread_mutex_lock(&session->lock);
	binding_release(operands->bound, num_inputs, num_outputs);
	pthread_mutex_unlock(&session->lock);
	return err;
}

int accel_session_run(struct accel_session *session, const struct accel_tensor *inputs, size_t num_inputs,
		      struct accel_tensor *outputs, size_t num_outputs, char *error, size_t error_size)
{
	int err = run_check_counts(session, num_inputs, num_outputs, error, error_size);
	struct operands operands;

	if (!err)
		err = operands_init(&operands, num_inputs, num_outputs, error, error_size);
	if (err)
		return err;
	if (binding_collect(inputs, num_inputs, outputs, num_outputs, operands.bound))
		err = run_bound(session, &operands, inputs, num_inputs, outputs, num_outputs, error, error_size);
	else
		err = run_operands(session, &operands, NULL, inputs, outputs, num_outputs, error, error_size);
	operands_finish(&operands);
	return err;
}

/* Views of the outputs, of the instance. */
static int give_values(struct instance *instance, const struct accel_value **outputs, size_t count, char *error,
		       size_t size)
{
	if (!instance->views)
		instance->views = calloc(count + 1, sizeof(*instance->views));
	if (!instance->views)
		return fail(error, size, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		instance->views[i].tensor = *instance_output(instance, i);
		instance->views[i].tensor.owned = false;
		outputs[i] = &instance->views[i];
	}
	return 0;
}

int accel_session_run_values(struct accel_session *session, const struct accel_value *const *inputs, size_t num_inputs,
			     const struct accel_value **outputs, size_t num_outputs, char *error, size_t error_size)
{
	int err = run_check_counts(session, num_inputs, num_outputs, error, error_size);
	struct tensor *tensors;
	struct run run;

	if (err)
		return err;
	tensors = calloc(num_inputs + 1, sizeof(*tensors));
	if (!tensors)
		return fail(error, error_size, -ENOMEM, "out of memory");
	for (size_t i = 0; i < num_inputs; i++)
		tensors[i] = inputs[i]->tensor;
	err = begin_run(session, &run, NULL, tensors, error, error_size);
	if (!err)
		err = give_values(run.claim.instance, outputs, num_outputs, error, error_size);
	end_run(session, &run, err);
	free(tensors);
	return err;
}
