/* SPDX-License-Identifier: MIT */
/* See batch.h. */
#include "runtime/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/fail.h"
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
		pthread_cond_signal(&batch->more);
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
	pthread_cond_signal(&batch->more);
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
	session->gathering = NULL;
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

/* ---- a joined run ---- */

static int64_t power_of_two(int64_t rows, int64_t most)
{
	int64_t power = 1;

	while (power < rows)
		power *= 2;
	return power < most ? power : most;
}

/* Input @index of all members, and the last row again up to @rows of them. */
static int join_input(struct batch *batch, size_t index, int64_t rows)
{
	struct request_memory *memory = &batch->inputs[index];
	struct accel_tensor shape = batch->shapes[index];
	struct tensor *view = &batch->views[index];
	size_t row, at = 0;
	uint8_t *to;
	int err;

	shape.dims[0] = 1;
	row = dtype_size((enum dtype)shape.dtype) * (size_t)dims_count(shape.rank, shape.dims);
	err = request_memory_fit(memory, (size_t)rows * row);
	if (err)
		return err;
	to = memory->data;
	for (size_t i = 0; i < batch->count; i++) {
		const struct accel_request *member = batch->members[i];

		if (!member)
			continue;
		memcpy(to + at, member->inputs[index].data, member->rows * row);
		at += member->rows * row;
	}
	for (; at < (size_t)rows * row; at += row)
		memcpy(to + at, to + at - row, row);
	shape.dims[0] = rows;
	return tensor_init_view(view, (enum dtype)shape.dtype, shape.rank, shape.dims, memory->data, memory->size);
}

static int join_inputs(struct batch *batch)
{
	int64_t rows = 0;
	int err = 0;

	for (size_t i = 0; i < batch->count; i++)
		rows += batch->members[i] ? (int64_t)batch->members[i]->rows : 0;
	rows = power_of_two(rows, batch->session->options.batch);
	for (size_t i = 0; i < accel_session_num_inputs(batch->session) && !err; i++)
		err = join_input(batch, i, rows);
	return err;
}

/* Member @index is done with: nothing of it is looked at any more. */
static void end_member(struct batch *batch, size_t index, int result)
{
	struct accel_request *member = batch->members[index];

	batch->members[index] = NULL;
	request_end(member, result);
}

/* Why @member is not to begin, or 0. */
static int is_over(struct accel_request *member, int64_t deadline)
{
	if (atomic_load(&member->cancelled))
		return fail(member->error, sizeof(member->error), -ECANCELED, "cancelled");
	if (deadline <= (int64_t)instance_now())
		return fail(member->error, sizeof(member->error), -ETIMEDOUT, "not begun by its deadline");
	return 0;
}

/*
 * Their inputs are copied, nothing else of theirs is needed before the end: let them be JOINED, to leave when they want. Who wants to
 * already is ended. How many are JOINED; *deadline: of the last of them.
 */
static unsigned int let_go(struct batch *batch, int64_t *deadline)
{
	unsigned int joined = 0;

	*deadline = 0;
	for (size_t i = 0; i < batch->count; i++) {
		struct accel_request *member = batch->members[i];
		int64_t own = member ? request_deadline(member) : 0;
		int over;

		if (!member)
			continue;
		pthread_mutex_lock(&batch->session->lock);
		over = is_over(member, own);
		if (over) {
			batch->left--;
		} else {
			member->state = REQUEST_JOINED;
			member->batch = batch;
			joined++;
			*deadline = own > *deadline ? own : *deadline;
		}
		pthread_mutex_unlock(&batch->session->lock);
		if (over)
			end_member(batch, i, over);
	}
	return joined;
}

/* The other way round. How many there are still. */
static unsigned int take_back(struct batch *batch)
{
	unsigned int count = 0;

	pthread_mutex_lock(&batch->session->lock);
	for (size_t i = 0; i < batch->count; i++) {
		struct accel_request *member = batch->members[i];

		if (!member)
			continue;
		member->state = REQUEST_RUNNING;
		member->batch = NULL;
		count++;
	}
	pthread_mutex_unlock(&batch->session->lock);
	return count;
}

/* Rows [first, first + rows) of all outputs. */
static int give_rows(struct accel_request *member, const struct instance *instance, int64_t first, int64_t all)
{
	int err = 0;

	for (size_t o = 0; o < member->num_outputs && !err; o++) {
		struct accel_tensor given = {0};
		size_t row;

		err = run_describe_output(member->session, instance, o, &given, member->error, sizeof(member->error));
		if (err)
			return err;
		if (given.rank < 1 || given.dims[0] != all)
			return fail(member->error, sizeof(member->error), -ENOTSUP,
				    "output %s of a joined run has not as many rows as the inputs",
				    session_output_name(member->session, o));
		row = given.size / (size_t)all;
		given.data = (uint8_t *)given.data + (size_t)first * row;
		given.size = member->rows * row;
		given.dims[0] = (int64_t)member->rows;
		err = worker_give_output(member, o, &given);
	}
	return err;
}

/* Whether it can only be this one's fault, or nobody's: each is to be run alone. */
static bool may_be_better_alone(int err)
{
	return err && err != -EIO && err != -ENODEV && err != -ETIMEDOUT && err != -ECANCELED;
}

/* What the joined run gave, or failed with, is each member's. @firsts: by member: its first row. */
static void settle(struct batch *batch, const struct claim *claim, int err, const char *error, const int64_t *firsts,
		   int *results)
{
	int64_t now = (int64_t)instance_now(), all = batch->views[0].dims[0];

	for (size_t i = 0; i < batch->count; i++) {
		struct accel_request *member = batch->members[i];

		if (!member)
			continue;
		if (err)
			results[i] = fail(member->error, sizeof(member->error), err, "%s", error);
		else if (request_deadline(member) <= now)
			results[i] = fail(member->error, sizeof(member->error), -ETIMEDOUT, "not done by its deadline");
		else
			results[i] = give_rows(member, claim->instance, firsts[i], all);
		if (!results[i])
			results[i] = worker_give_figures(member, claim->instance);
	}
}

static void run_alone(struct batch *batch, int *results)
{
	for (size_t i = 0; i < batch->count; i++)
		if (batch->members[i])
			results[i] = worker_run(batch->members[i]);
}

static void run_joined(struct batch *batch)
{
	struct accel_session *session = batch->session;
	struct run run = {.cancelled = &batch->cancelled, .has = &batch->claim};
	int64_t firsts[ACCEL_MAX_BATCH], first = 0;
	int results[ACCEL_MAX_BATCH] = {0};
	char error[512] = "";
	int err;

	for (size_t i = 0; i < batch->count; i++) {
		firsts[i] = first;
		first += batch->members[i] ? (int64_t)batch->members[i]->rows : 0;
	}
	err = join_inputs(batch);
	if (let_go(batch, &run.deadline_ns) && !err)
		err = run_claimed(session, &run, batch->views, error, sizeof(error));
	run.claim.requests = take_back(batch);
	if (run.claim.requests && !may_be_better_alone(err)) {
		if (!err)
			run.claim.instance->stats.joined = run.claim.requests;
		settle(batch, &run.claim, err, error, firsts, results);
	}
	claim_give(session, &run.claim, err);
	if (may_be_better_alone(err))
		run_alone(batch, results);
	admission_leave(session);
	for (size_t i = 0; i < batch->count; i++)
		if (batch->members[i])
			end_member(batch, i, results[i]);
}

void batch_run(struct batch *batch)
{
	struct accel_request *only = NULL;
	int result;

	for (size_t i = 0; i < batch->count && batch->left == 1; i++)
		only = batch->members[i] ? batch->members[i] : only;
	if (batch->left > 1) {
		run_joined(batch);
		return;
	}
	result = only ? worker_run(only) : 0;
	admission_leave(batch->session);
	if (only)
		request_end(only, result);
}
