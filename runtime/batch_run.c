/* SPDX-License-Identifier: MIT */
/* See batch.h: the joined run of those that were gathered, and what becomes of each. */
#include <errno.h>
#include <string.h>

#include "runtime/batch.h"
#include "runtime/fail.h"

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

	for (size_t i = 0; i < batch->count && batch->left == 1; i++)
		only = batch->members[i] ? batch->members[i] : only;
	if (batch->left > 1) {
		run_joined(batch);
		return;
	}
	if (only)
		worker_serve(only);
	else
		admission_leave(batch->session);
}
