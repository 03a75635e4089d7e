/* SPDX-License-Identifier: MIT */
/* The threads of a session: each takes a request that has its turn, runs it, alone or joined with others (batch.h), and ends it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/batch.h"
#include "runtime/fail.h"

int request_memory_fit(struct request_memory *memory, size_t size)
{
	void *grown;

	if (memory->size >= size)
		return 0;
	grown = malloc(size);
	if (!grown)
		return -ENOMEM;
	free(memory->data);
	*memory = (struct request_memory){grown, size};
	return 0;
}

int worker_give_output(struct accel_request *request, size_t index, const struct accel_tensor *given)
{
	struct request_memory *memory = &request->memory[index];
	struct accel_tensor *output = &request->outputs[index];

	if (!output->data && request_memory_fit(memory, given->size))
		return fail(request->error, sizeof(request->error), -ENOMEM, "no memory for output %s",
			    session_output_name(request->session, index));
	if (!output->data) {
		*output = *given;
		output->data = memory->data;
		if (given->size)
			memcpy(memory->data, given->data, given->size);
		return 0;
	}
	return run_copy_output(request->session, index, given, output, request->error, sizeof(request->error));
}

static int give_outputs(struct accel_request *request, struct instance *instance)
{
	int err = 0;

	for (size_t i = 0; i < request->num_outputs && !err; i++) {
		struct accel_tensor given = {0};

		if (request->outputs[i].binding) {
			err = run_give_output(request->session, instance, i, &request->outputs[i], request->error,
					      sizeof(request->error));
			continue;
		}
		err = run_describe_output(request->session, instance, i, &given, request->error,
					  sizeof(request->error));
		if (!err)
			err = worker_give_output(request, i, &given);
	}
	return err;
}

int worker_give_figures(struct accel_request *request, const struct instance *instance)
{
	int err = figures_take(&request->figures, instance->plan->number, &instance->stats);

	if (!err && instance->trace && !request->trace)
		err = runtime_trace_create(0, &request->trace);
	if (!err && instance->trace)
		err = runtime_trace_copy(request->trace, instance->trace);
	if (err)
		return fail(request->error, sizeof(request->error), err, "no memory for the figures of the run");
	request->has_figures = true;
	request->error[0] = '\0';
	return 0;
}

int worker_run(struct accel_request *request)
{
	struct accel_session *session = request->session;
	struct run run = {.deadline_ns = request_deadline(request),
			  .cancelled = &request->cancelled,
			  .has = &request->claim,
			  .bound = request->has_bindings ? request->bound : NULL};
	int err = run_view_inputs(session, request->inputs, request->views, request->error, sizeof(request->error));

	if (!err)
		err = run_claimed(session, &run, request->views, request->error, sizeof(request->error));
	if (!err)
		err = give_outputs(request, run.claim.instance);
	if (!err)
		err = worker_give_figures(request, run.claim.instance);
	claim_give(session, &run.claim, err);
	return err;
}

void worker_serve(struct accel_request *request)
{
	int result = worker_run(request);

	admission_leave(request->session);
	request_end(request, result);
}

/* The first that has its turn and no thread. The lock is held. */
static struct accel_request *take_ready(struct accel_session *session)
{
	struct accel_request *request = session->ready->request;

	session->ready = session->ready->next;
	if (!session->ready)
		session->ready_end = &session->ready;
	request->state = REQUEST_RUNNING;
	return request;
}

void *worker_main(void *arg)
{
	struct worker *worker = arg;
	struct accel_session *session = worker->session;

	pthread_mutex_lock(&session->lock);
	for (;;) {
		struct accel_request *request;
		bool joined;

		while (!session->ready && !session->quit)
			pthread_cond_wait(&session->work, &session->lock);
		if (!session->ready)
			break;
		request = take_ready(session);
		joined = request->rows && batch_gather(worker->batch, request);
		pthread_mutex_unlock(&session->lock);
		if (joined)
			batch_run(worker->batch);
		else
			worker_serve(request);
		pthread_mutex_lock(&session->lock);
	}
	pthread_mutex_unlock(&session->lock);
	return NULL;
}
