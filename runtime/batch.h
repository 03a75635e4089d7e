/* SPDX-License-Identifier: MIT */
/*
 * Small requests joined into one run: their inputs one behind the other along the first dimension, the outputs split again.
 *
 * A thread that was given a request's turn takes along those that wait and fit: the same types and shapes but for the first dimension, no
 * more rows together than options.batch; then it waits up to options.batch_wait_us for more. The run has a power of two of rows, so that
 * there are few plans; the last row fills up. Only models of which the compiler knows that a row of the outputs depends on the same row of
 * the inputs alone.
 *
 * What is one request's stays its own: who is cancelled, or late and waited for, leaves (JOINED, request.h) and the others go on; when a
 * joined run fails for another reason than the device, each is run alone and gets a result of its own.
 */
#ifndef RUNTIME_BATCH_H
#define RUNTIME_BATCH_H

#include "runtime/request.h"

/*
 * struct batch - of one thread
 * @members:   @count of them, NULL where one left; @left: that did not
 * @rows:      of all members, at most options.batch
 * @shapes:    by input: what a request must have to fit
 * @inputs, @views: by input: the joined tensor
 * @more:      with the session's lock: a request came or left, while it waits for more
 * @cancelled: all have left
 * @claim:     what the run has, for the last who leaves
 */
struct batch {
	struct accel_session *session;
	struct accel_request **members;
	size_t count, left, rows;
	struct accel_tensor *shapes;
	struct request_memory *inputs;
	struct tensor *views;
	pthread_cond_t more;
	atomic_bool cancelled;
	const struct claim *claim;
};

/* -ENOMEM. */
int batch_create(struct accel_session *session, struct batch **batch);
void batch_destroy(struct batch *batch); /* NULL is fine */

/* How many rows @request has, when it may be joined at all; else 0. */
size_t batch_rows(struct accel_request *request);

/* The rest with the session's lock held. Take @request in, if it fits and nobody has cancelled it. */
bool batch_join(struct batch *batch, struct accel_request *request);
/* Take out @request, which is JOINED in it: the caller ends it. */
void batch_leave(struct accel_request *request);
/*
 * Begin with @request, which has its turn; take along who waits, and wait for more. The lock is released meanwhile. False: it is for no
 * batch, and is RUNNING as before.
 */
bool batch_gather(struct batch *batch, struct accel_request *request);

/* Without the lock: run what was gathered, end every one of them, and give the turn back. */
void batch_run(struct batch *batch);

#endif
