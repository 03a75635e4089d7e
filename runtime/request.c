/* SPDX-License-Identifier: MIT */
/*
 * Requests: runs that threads of the session do. A request is IDLE, then WAITING for its turn, RUNNING from there until its result is
 * known, and DONE. Whoever takes it out of WAITING ends it: a thread of the session that was given its turn, or who withdraws it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "runtime/fail.h"
#include "runtime/figures.h"
#include "runtime/session_internal.h"

enum request_state { REQUEST_IDLE, REQUEST_WAITING, REQUEST_RUNNING, REQUEST_DONE };

/* Memory for an output that the caller has none for. */
struct output_memory {
	void *data;
	size_t size;
};

/*
 * struct accel_request
 * @inputs, @views: room for the model's
 * @memory:    by output
 * @claim:     what it has while it is on a device, for those who cancel it
 * @fd:        -1 before it is asked for
 * @figures:   of the last run, if it ended well (@has_figures); @trace: its trace, of a session that traces, else NULL
 * All but what the run itself reads is under the session's lock.
 */
struct accel_request {
	struct accel_session *session;
	struct ticket ticket;
	enum request_state state;
	struct accel_tensor *inputs, *outputs;
	struct tensor *views;
	size_t num_inputs, num_outputs;
	struct output_memory *memory;
	struct accel_run_options options;
	atomic_bool cancelled;
	const struct claim *claim;
	int result, fd;
	bool has_figures;
	struct figures figures;
	struct runtime_trace *trace;
	pthread_cond_t ended;
	char error[512];
};

static bool is_under_way(const struct accel_request *request)
{
	return request->state == REQUEST_WAITING || request->state == REQUEST_RUNNING;
}

void request_has(struct accel_request *request, const struct claim *claim)
{
	request->claim = claim;
}

/* ---- the end of a run ---- */

static void end_request(struct accel_request *request, int result)
{
	struct accel_session *session = request->session;

	if (request->options.done)
		request->options.done(request->options.context, request, result);
	pthread_mutex_lock(&session->lock);
	request->result = result;
	request->state = REQUEST_DONE;
	if (request->fd >= 0)
		eventfd_write(request->fd, 1);
	pthread_cond_broadcast(&request->ended);
	/* Its owner may destroy it from here on. */
	pthread_mutex_unlock(&session->lock);
}

/* It does not count as under way any more: its callback may begin another. */
static void leave_queue(struct accel_session *session)
{
	pthread_mutex_lock(&session->lock);
	session->accepted--;
	pthread_cond_signal(&session->room);
	pthread_mutex_unlock(&session->lock);
}

/* Output @index into memory of the request, which it keeps. */
static int keep_output(struct accel_request *request, const struct instance *instance, size_t index)
{
	struct output_memory *memory = &request->memory[index];
	struct accel_tensor *output = &request->outputs[index];
	int err =
		run_describe_output(request->session, instance, index, output, request->error, sizeof(request->error));

	if (err)
		return err;
	if (memory->size < output->size) {
		void *grown = realloc(memory->data, output->size);

		if (!grown)
			return fail(request->error, sizeof(request->error), -ENOMEM, "no memory for output %s",
				    session_output_name(request->session, index));
		*memory = (struct output_memory){grown, output->size};
	}
	if (output->size)
		memcpy(memory->data, output->data, output->size);
	output->data = memory->data;
	return 0;
}

static int give_outputs(struct accel_request *request, const struct instance *instance)
{
	int err = 0;

	for (size_t i = 0; i < request->num_outputs && !err; i++)
		err = request->outputs[i].data ? run_give_output(request->session, instance, i, &request->outputs[i],
								 request->error, sizeof(request->error))
					       : keep_output(request, instance, i);
	return err;
}

/* What is to be known of the run when its instance is another's. */
static int keep_figures(struct accel_request *request, const struct instance *instance)
{
	int err = figures_take(&request->figures, instance->plan->number, &instance->stats);

	if (!err && instance->trace && !request->trace)
		err = runtime_trace_create(0, &request->trace);
	if (!err && instance->trace)
		err = runtime_trace_copy(request->trace, instance->trace);
	return err ? fail(request->error, sizeof(request->error), err, "no memory for the figures of the run") : 0;
}

/* It has its turn. */
static void serve(struct accel_request *request)
{
	struct accel_session *session = request->session;
	struct run run = {.deadline_ns =
				  request->options.deadline_ns ? request->options.deadline_ns : run_deadline(session),
			  .cancelled = &request->cancelled,
			  .request = request};
	int err = run_view_inputs(session, request->inputs, request->views, request->error, sizeof(request->error));

	if (!err)
		err = run_claimed(session, &run, request->views, request->error, sizeof(request->error));
	if (!err)
		err = give_outputs(request, run.claim.instance);
	if (!err)
		err = keep_figures(request, run.claim.instance);
	if (!err) {
		request->has_figures = true;
		request->error[0] = '\0';
	}
	claim_give(session, &run.claim, err);
	admission_leave(session);
	leave_queue(session);
	end_request(request, err);
}

static void *work(void *arg)
{
	struct accel_session *session = arg;

	pthread_mutex_lock(&session->lock);
	for (;;) {
		struct accel_request *request;

		while (!session->ready && !session->quit)
			pthread_cond_wait(&session->work, &session->lock);
		if (!session->ready)
			break;
		request = session->ready->request;
		session->ready = session->ready->next;
		if (!session->ready)
			session->ready_end = &session->ready;
		request->state = REQUEST_RUNNING;
		pthread_mutex_unlock(&session->lock);
		serve(request);
		pthread_mutex_lock(&session->lock);
	}
	pthread_mutex_unlock(&session->lock);
	return NULL;
}

void request_finish(struct accel_session *session)
{
	pthread_mutex_lock(&session->lock);
	session->quit = true;
	pthread_cond_broadcast(&session->work);
	pthread_mutex_unlock(&session->lock);
	for (unsigned int i = 0; i < session->workers; i++)
		pthread_join(session->threads[i], NULL);
}

/* ---- life ---- */

int accel_request_create(struct accel_session *session, struct accel_request **request)
{
	struct accel_request *r = calloc(1, sizeof(*r));
	pthread_condattr_t attributes;

	*request = NULL;
	if (!r)
		return -ENOMEM;
	r->session = session;
	r->ticket.request = r;
	r->fd = -1;
	r->num_inputs = accel_session_num_inputs(session);
	r->num_outputs = accel_session_num_outputs(session);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&r->ended, &attributes);
	pthread_condattr_destroy(&attributes);
	r->inputs = calloc(r->num_inputs + 1, sizeof(*r->inputs));
	r->views = calloc(r->num_inputs + 1, sizeof(*r->views));
	r->memory = calloc(r->num_outputs + 1, sizeof(*r->memory));
	if (!r->inputs || !r->views || !r->memory) {
		accel_request_destroy(r);
		return -ENOMEM;
	}
	*request = r;
	return 0;
}

void accel_request_destroy(struct accel_request *request)
{
	if (!request)
		return;
	accel_request_cancel(request);
	accel_request_wait(request, INT64_MAX);
	if (request->fd >= 0)
		close(request->fd);
	for (size_t i = 0; request->memory && i < request->num_outputs; i++)
		free(request->memory[i].data);
	pthread_cond_destroy(&request->ended);
	figures_finish(&request->figures);
	runtime_trace_destroy(request->trace);
	free(request->inputs);
	free(request->views);
	free(request->memory);
	free(request);
}

/* ---- beginning ---- */

/* One thread for each request that is under way, up to those that have a turn at the same time. The lock is held. */
static int have_worker(struct accel_session *session)
{
	int err = 0;

	if (session->workers < session->options.depth && session->workers < session->accepted) {
		err = -pthread_create(&session->threads[session->workers], NULL, work, session);
		session->workers += !err;
	}
	return session->workers ? 0 : err;
}

/* The lock is held. */
static int accept_request(struct accel_session *session, struct accel_request *request)
{
	int err;

	if (is_under_way(request))
		return -EBUSY;
	if (request->options.nonblock && session->accepted >= session->options.depth + session->options.queue)
		return -EAGAIN;
	request->state = REQUEST_WAITING;
	atomic_store(&request->cancelled, false);
	while (session->accepted >= session->options.depth + session->options.queue)
		pthread_cond_wait(&session->room, &session->lock);
	session->accepted++;
	err = have_worker(session);
	if (err) {
		session->accepted--;
		request->state = REQUEST_IDLE;
		return -ENOMEM;
	}
	request->error[0] = '\0';
	request->has_figures = false;
	admission_queue(session, &request->ticket);
	return 0;
}

int accel_session_run_async(struct accel_session *session, struct accel_request *request,
			    const struct accel_tensor *inputs, size_t num_inputs, struct accel_tensor *outputs,
			    size_t num_outputs, const struct accel_run_options *options)
{
	eventfd_t old;
	int err;

	if (request->session != session || num_inputs != request->num_inputs || num_outputs != request->num_outputs)
		return -EINVAL;
	pthread_mutex_lock(&session->lock);
	err = is_under_way(request) ? -EBUSY : 0;
	if (!err) {
		request->options = options ? *options : (struct accel_run_options){0};
		memcpy(request->inputs, inputs, num_inputs * sizeof(*inputs));
		request->outputs = outputs;
		if (request->fd >= 0)
			eventfd_read(request->fd, &old);
		err = accept_request(session, request);
	}
	pthread_mutex_unlock(&session->lock);
	return err;
}

/* ---- waiting and cancelling ---- */

/* It will not begin: end it. The lock is held, and released. */
static void end_withdrawn(struct accel_request *request, int result, const char *why)
{
	struct accel_session *session = request->session;

	request->state = REQUEST_RUNNING;
	pthread_mutex_unlock(&session->lock);
	fail(request->error, sizeof(request->error), result, "%s", why);
	leave_queue(session);
	end_request(request, result);
}

int accel_request_wait(struct accel_request *request, int64_t deadline_ns)
{
	struct accel_session *session = request->session;
	int err = 0;

	pthread_mutex_lock(&session->lock);
	while (is_under_way(request) && !err) {
		bool own = request->state == REQUEST_WAITING && request->options.deadline_ns &&
			   request->options.deadline_ns < deadline_ns;
		int64_t until = own ? request->options.deadline_ns : deadline_ns;
		struct timespec time = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};

		if (until == INT64_MAX)
			pthread_cond_wait(&request->ended, &session->lock);
		else if (pthread_cond_timedwait(&request->ended, &session->lock, &time) != ETIMEDOUT)
			continue;
		else if (!own)
			err = is_under_way(request) ? -EINPROGRESS : 0;
		else if (request->state == REQUEST_WAITING && admission_withdraw(session, &request->ticket)) {
			end_withdrawn(request, -ETIMEDOUT, "not begun by its deadline");
			pthread_mutex_lock(&session->lock);
		} else if (request->state == REQUEST_WAITING) {
			/* It has its turn, and will see by itself that it is late. */
			pthread_cond_wait(&request->ended, &session->lock);
		}
	}
	if (!err)
		err = request->state == REQUEST_DONE ? request->result : -EINVAL;
	pthread_mutex_unlock(&session->lock);
	return err;
}

void accel_request_cancel(struct accel_request *request)
{
	struct accel_session *session = request->session;

	pthread_mutex_lock(&session->lock);
	if (request->state == REQUEST_WAITING && admission_withdraw(session, &request->ticket)) {
		end_withdrawn(request, -ECANCELED, "cancelled before it began");
		return;
	}
	if (is_under_way(request)) {
		atomic_store(&request->cancelled, true);
		/* Under the lock: while it has the claim nobody else has the lane. */
		if (request->claim && request->claim->lane)
			runtime_lane_kill(request->claim->lane);
	}
	pthread_mutex_unlock(&session->lock);
}

const char *accel_request_error(const struct accel_request *request)
{
	return request->error;
}

int accel_request_fd(struct accel_request *request)
{
	int fd;

	pthread_mutex_lock(&request->session->lock);
	if (request->fd < 0 && is_under_way(request)) {
		fd = -EBUSY;
	} else if (request->fd < 0) {
		fd = eventfd(request->state == REQUEST_DONE, EFD_CLOEXEC | EFD_NONBLOCK);
		fd = fd < 0 ? -errno : fd;
		request->fd = fd < 0 ? -1 : fd;
	} else {
		fd = request->fd;
	}
	pthread_mutex_unlock(&request->session->lock);
	return fd;
}

/* Whether the last run has ended, and well. The lock is held. */
static int has_run(const struct accel_request *request)
{
	if (is_under_way(request))
		return -EINPROGRESS;
	return request->state == REQUEST_IDLE || !request->has_figures ? -EINVAL : 0;
}

int accel_request_stats(struct accel_request *request, struct accel_run_stats *stats)
{
	int err;

	pthread_mutex_lock(&request->session->lock);
	err = has_run(request);
	if (!err) {
		*stats = request->figures.stats;
		stats->compilations = request->session->compilations;
		stats->cached = request->session->cached;
		stats->cache_note = cache_message(request->session->cache);
		stats->note = request->session->note;
	}
	pthread_mutex_unlock(&request->session->lock);
	return err;
}

int accel_request_trace(struct accel_request *request, const char *path)
{
	int err;

	pthread_mutex_lock(&request->session->lock);
	err = has_run(request);
	pthread_mutex_unlock(&request->session->lock);
	if (err)
		return err;
	/* Nobody but its owner, who is here, begins another run. */
	return request->trace ? runtime_trace_write(request->trace, &request->figures.stats, path) : -ENODATA;
}
