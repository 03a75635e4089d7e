/* SPDX-License-Identifier: MIT */
/* See batch.h: who is gathered. */
#include "runtime/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/monotonic_cond.h"

/* ---- life ---- */

int batch_create(struct accel_session *session, struct batch **batch)
{
	size_t inputs = accel_session_num_inputs(session) + 1;
	struct batch *b = calloc(1, sizeof(*b));

	*batch = NULL;
	if (!b)
		return -ENOMEM;
	b->session = session;
	monotonic_cond_init(&b->more);
	b->members = calloc(session->options.batch, sizeof(struct accel_request *));
	b->shapes = calloc(inputs, sizeof(*b->shapes));
	b->inputs = calloc(inputs, sizeof(*b->inputs));
	b->views = calloc(inputs, sizeof(*b->views));
	if (!b->members || !b->shapes || !b->inputs || !b->views) {
		batch_destroy(b);
		return -ENOMEM;
	}
	*batch = b;
	return 0;
}

void batch_destroy(struct batch *batch)
{
	if (!batch)
		return;
	for (size_t i = 0; batch->inputs && i < accel_session_num_inputs(batch->session); i++)
		free(batch->inputs[i].data);
	pthread_cond_destroy(&batch->more);
	free(batch->members);
	free(batch->shapes);
	free(batch->inputs);
	free(batch->views);
	free(batch);
}

/* ---- who belongs together ---- */

size_t batch_rows(struct accel_request *request)
{
	struct accel_session *session = request->session;
	int64_t rows = request->num_inputs && request->inputs[0].rank > 0 ? request->inputs[0].dims[0] : 0;

	if (session->options.batch < 2 || request->has_bindings || rows < 1 || rows > session->options.batch ||
	    run_view_inputs(session, request->inputs, request->views, NULL, 0))
		return 0;
	for (size_t i = 0; i < request->num_inputs; i++)
		if (request->inputs[i].rank < 1 || request->inputs[i].dims[0] != rows ||
		    plan_check_input(session->plans[0]->plan, i, &request->views[i], NULL, 0) < 0)
			return 0;
	return (size_t)rows;
}

static bool same_rows(const struct accel_tensor *a, const struct accel_tensor *b)
{
	return a->dtype == b->dtype && a->rank == b->rank &&
	       !memcmp(&a->dims[1], &b->dims[1], (size_t)(a->rank - 1) * sizeof(a->dims[0]));
}

static bool fits(const struct batch *batch, const struct accel_request *request)
{
	if (!request->rows || batch->rows + request->rows > batch->session->options.batch)
		return false;
	for (size_t i = 0; i < request->num_inputs && batch->count; i++)
		if (!same_rows(&batch->shapes[i], &request->inputs[i]))
			return false;
	return true;
}

static bool is_full(const struct batch *batch)
{
	return batch->rows == batch->session->options.batch;
}

/* It has what it waited for, or nobody to wait for: from now on, not from when its thread wakes up, another may gather. */
static void end_gathering(struct batch *batch)
{
	if (batch->session->gathering == batch)
		batch->session->gathering = NULL;
	pthread_cond_signal(&batch->more);
}

bool batch_join(struct batch *batch, struct accel_request *request)
{
	if (atomic_load(&request->cancelled) || !fits(batch, request))
		return false;
	if (!batch->count)
		memcpy(batch->shapes, request->inputs, request->num_inputs * sizeof(*batch->shapes));
	batch->members[batch->count++] = request;
	batch->left++;
	batch->rows += request->rows;
	request->state = REQUEST_JOINED;
	request->batch = batch;
	if (is_full(batch))
		end_gathering(batch);
	return true;
}

void batch_leave(struct accel_request *request)
{
	struct batch *batch = request->batch;

	for (size_t i = 0; i < batch->count; i++)
		if (batch->members[i] == request)
			batch->members[i] = NULL;
	request->batch = NULL;
	if (--batch->left)
		return;
	atomic_store(&batch->cancelled, true);
	if (batch->claim && batch->claim->lane)
		runtime_lane_kill(batch->claim->lane);
	end_gathering(batch);
}

/* Those of a list of tickets that fit. How many. */
static unsigned int take_along(struct batch *batch, struct ticket **list, struct ticket ***end)
{
	unsigned int taken = 0;

	while (*list && !is_full(batch)) {
		struct ticket *ticket = *list, *next = ticket->next;

		if (!ticket->request || !batch_join(batch, ticket->request)) {
			list = &ticket->next;
			continue;
		}
		taken++;
		*list = next;
		if (!next)
			*end = list;
	}
	return taken;
}

/* The first who has to be done by then is not to be late for others' sake. */
static int64_t gather_until(const struct batch *batch)
{
	int64_t until = (int64_t)instance_now() + (int64_t)batch->session->options.batch_wait_us * 1000;

	for (size_t i = 0; i < batch->count; i++)
		if (batch->members[i] && batch->members[i]->options.deadline_ns &&
		    batch->members[i]->options.deadline_ns < until)
			until = batch->members[i]->options.deadline_ns;
	return until;
}

static void wait_for_more(struct batch *batch)
{
	struct accel_session *session = batch->session;
	const struct timespec until = monotonic_cond_time(gather_until(batch));
	int late = 0;

	session->gathering = batch;
	while (batch->left && !is_full(batch) && !late)
		late = pthread_cond_timedwait(&batch->more, &session->lock, &until);
	end_gathering(batch);
}

bool batch_gather(struct batch *batch, struct accel_request *request)
{
	struct accel_session *session = batch->session;

	batch->count = batch->left = batch->rows = 0;
	atomic_store(&batch->cancelled, false);
	if (!batch_join(batch, request))
		return false;
	/* Those that had a turn of their own need it no more. */
	session->running -= take_along(batch, &session->ready, &session->ready_end);
	take_along(batch, &session->waiting, &session->waiting_end);
	admission_give_turns(session);
	if (session->options.batch_wait_us && !is_full(batch) && !session->gathering)
		wait_for_more(batch);
	/* From here on the thread has what belongs to them. Somebody may have come after the last had left. */
	atomic_store(&batch->cancelled, false);
	for (size_t i = 0; i < batch->count; i++) {
		struct accel_request *member = batch->members[i];

		if (member) {
			member->state = REQUEST_RUNNING;
			member->batch = NULL;
		}
	}
	return true;
}
