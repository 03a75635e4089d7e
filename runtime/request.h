/* SPDX-License-Identifier: MIT */
/*
 * What an accel_request is inside, for those who begin and end it (request.c), run it (worker.c) and join it with others (batch.c).
 *
 * A request is IDLE, then WAITING for its turn; JOINED while it is part of a batch that does not look at what belongs to it; RUNNING from
 * the turn until its result is known; and DONE. Whoever takes it out of WAITING or JOINED, under the session's lock, ends it.
 */
#ifndef RUNTIME_REQUEST_H
#define RUNTIME_REQUEST_H

#include "runtime/figures.h"
#include "runtime/session_internal.h"

enum request_state { REQUEST_IDLE, REQUEST_WAITING, REQUEST_JOINED, REQUEST_RUNNING, REQUEST_DONE };

/* Memory that grows. */
struct request_memory {
	void *data;
	size_t size;
};

/* Room for @size bytes; what was there is lost. -ENOMEM. */
int request_memory_fit(struct request_memory *memory, size_t size);

/*
 * struct accel_request
 * @inputs, @views: room for the model's
 * @memory:    by output: for one that the caller has no memory for
 * @bound:     its bindings; @has_bindings: it has some, and holds them
 * @rows:      of its inputs, when it may be part of a batch; else 0. @batch: while it is JOINED
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
	struct request_memory *memory;
	struct accel_binding **bound;
	bool has_bindings;
	size_t rows;
	struct batch *batch;
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

/* The end of one that is RUNNING: it does not count as under way any more, then its callback, then everybody sees @result. */
void request_end(struct accel_request *request, int result);
/* Until when it has to be done. */
int64_t request_deadline(const struct accel_request *request);

/* One that waits for its turn is late: take it out and end it. The lock is held, and released. */
void request_expire(struct accel_request *request);

/* ---- deadline.c ---- */

/* Have somebody look at the deadlines of those that wait, from now on. The lock is held. -ENOMEM. */
int deadline_watch(struct accel_session *session);

/* ---- worker.c ---- */

/* A thread of the session; @arg: struct worker. */
void *worker_main(void *arg);
/* Run one that is RUNNING, whose turn the caller has, and give it its outputs. Its result. */
int worker_run(struct accel_request *request);
/* The same, give back the turn, and end it with the result. */
void worker_serve(struct accel_request *request);
/* Output @index, which is not bound, of a good run: @given copied into memory of the caller, or of the request. -ENOSPC; -ENOMEM. */
int worker_give_output(struct accel_request *request, size_t index, const struct accel_tensor *given);
/* What is to be known of the good run that it was part of, when the instance is another's. -ENOMEM. */
int worker_give_figures(struct accel_request *request, const struct instance *instance);

#endif
