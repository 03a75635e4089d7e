/* SPDX-License-Identifier: MIT */
/* A request's life: begun, waited for, cancelled, ended. Who runs it is worker.c's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/batch.h"
#include "runtime/fail.h"
#include "runtime/monotonic_cond.h"

static bool is_under_way(const struct accel_request *request)
{
	return request->state != REQUEST_IDLE && request->state != REQUEST_DONE;
}

int64_t request_deadline(const struct accel_request *request)
{
	return request->options.deadline_ns ? request->options.deadline_ns : run_deadline(request->session);
}

/* The lock is held. */
static void release_bindings(struct accel_request *request)
{
	if (request->has_bindings)
		binding_release(request->bound, request->num_inputs, request->num_outputs);
	request->has_bindings = false;
}

/* ---- the end of a run ---- */

/* It does not count as under way any more, and has no bindings: its callback may begin another. */
static void leave_queue(struct accel_request *request)
{
	struct accel_session *session = request->session;

	pthread_mutex_lock(&session->lock);
	session->accepted--;
	release_bindings(request);
	pthread_cond_signal(&session->room);
	pthread_mutex_unlock(&session->lock);
}

void request_end(struct accel_request *request, int result)
{
	struct accel_session *session = request->session;

	leave_queue(request);
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

int request_prepare(struct accel_session *session)
{
	int err = 0;

	for (unsigned int i = 0; i < session->options.depth && !err; i++) {
		session->threads[i].session = session;
		if (session->options.batch > 1)
			err = batch_create(session, &session->threads[i].batch);
	}
	return err;
}

void request_finish(struct accel_session *session)
{
	pthread_mutex_lock(&session->lock);
	session->quit = true;
	pthread_cond_broadcast(&session->work);
	pthread_cond_signal(&session->deadline);
	pthread_mutex_unlock(&session->lock);
	if (session->has_watch)
		pthread_join(session->watch, NULL);
	for (unsigned int i = 0; i < session->workers; i++)
		pthread_join(session->threads[i].thread, NULL);
	for (unsigned int i = 0; i < ACCEL_MAX_DEPTH; i++)
		batch_destroy(session->threads[i].batch);
}

/* ---- life ---- */

int accel_request_create(struct accel_session *session, struct accel_request **request)
{
	struct accel_request *r = calloc(1, sizeof(*r));

	*request = NULL;
	if (!r)
		return -ENOMEM;
	r->session = session;
	r->ticket.request = r;
	r->fd = -1;
	r->num_inputs = accel_session_num_inputs(session);
	r->num_outputs = accel_session_num_outputs(session);
	monotonic_cond_init(&r->ended);
	r->inputs = calloc(r->num_inputs + 1, sizeof(*r->inputs));
	r->views = calloc(r->num_inputs + 1, sizeof(*r->views));
	r->memory = calloc(r->num_outputs + 1, sizeof(*r->memory));
	r->bound = calloc(r->num_inputs + r->num_outputs + 1, sizeof(struct accel_binding *));
	if (!r->inputs || !r->views || !r->memory || !r->bound) {
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
	free(request->bound);
	free(request);
}

/* ---- beginning ---- */

/* One thread for each request that is under way, up to those that have a turn at the same time. The lock is held. */
static int have_worker(struct accel_session *session)
{
	int err = 0;

	if (session->workers < session->options.depth && session->workers < session->accepted) {
		struct worker *worker = &session->threads[session->workers];

		err = -pthread_create(&worker->thread, NULL, worker_main, worker);
		session->workers += !err;
	}
	return session->workers ? 0 : err;
}

/* For the whole of its way. The lock is held. */
static int hold_bindings(struct accel_request *request)
{
	int err;

	if (!binding_collect(request->inputs, request->num_inputs, request->outputs, request->num_outputs,
			     request->bound))
		return 0;
	err = binding_hold(request->session, request->bound, request->num_inputs, request->num_outputs, request->error,
			   sizeof(request->error));
	request->has_bindings = !err;
	return err;
}

/* The lock is held. */
static int accept_request(struct accel_session *session, struct accel_request *request)
{
	int err;

	if (request->options.nonblock && session->accepted >= session->options.depth + session->options.queue)
		return -EAGAIN;
	request->state = REQUEST_WAITING;
	atomic_store(&request->cancelled, false);
	while (session->accepted >= session->options.depth + session->options.queue)
		pthread_cond_wait(&session->room, &session->lock);
	request->error[0] = '\0';
	err = hold_bindings(request);
	if (err) {
		request->state = REQUEST_IDLE;
		return err;
	}
	session->accepted++;
	err = have_worker(session);
	if (!err && request->options.deadline_ns)
		err = deadline_watch(session);
	if (err) {
		session->accepted--;
		release_bindings(request);
		request->state = REQUEST_IDLE;
		return -ENOMEM;
	}
	request->has_figures = false;
	request->rows = batch_rows(request);
	if (!session->gathering || !batch_join(session->gathering, request))
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

/* Take it out of where others could begin or end it. False: it is too late. The lock is held. */
static bool withdraw(struct accel_request *request)
{
	if (request->state == REQUEST_JOINED) {
		batch_leave(request);
		return true;
	}
	return request->state == REQUEST_WAITING && admission_withdraw(request->session, &request->ticket);
}

/* It was withdrawn: end it. The lock is held, and released. */
static void end_withdrawn(struct accel_request *request, int result, const char *why)
{
	struct accel_session *session = request->session;

	request->state = REQUEST_RUNNING;
	pthread_mutex_unlock(&session->lock);
	fail(request->error, sizeof(request->error), result, "%s", why);
	request_end(request, result);
}

void request_expire(struct accel_request *request)
{
	if (withdraw(request))
		end_withdrawn(request, -ETIMEDOUT, "not begun by its deadline");
	else
		pthread_mutex_unlock(&request->session->lock);
}

int accel_request_wait(struct accel_request *request, int64_t deadline_ns)
{
	struct accel_session *session = request->session;
	int err = 0;

	pthread_mutex_lock(&session->lock);
	while (is_under_way(request) && !err) {
		bool own = request->state != REQUEST_RUNNING && request->options.deadline_ns &&
			   request->options.deadline_ns < deadline_ns;
		int64_t until = own ? request->options.deadline_ns : deadline_ns;
		const struct timespec time = monotonic_cond_time(until);

		if (until == INT64_MAX)
			pthread_cond_wait(&request->ended, &session->lock);
		else if (pthread_cond_timedwait(&request->ended, &session->lock, &time) != ETIMEDOUT)
			continue;
		else if (!own)
			err = is_under_way(request) ? -EINPROGRESS : 0;
		else if (withdraw(request)) {
			end_withdrawn(request, -ETIMEDOUT, "not done by its deadline");
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
	if (withdraw(request)) {
		end_withdrawn(request, -ECANCELED, "cancelled");
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
		stats->note = request->session->notes.precision;
		stats->opset_note = request->session->notes.opset;
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
