/* SPDX-License-Identifier: MIT */
/*
 * What a session is, for the files that make it: session.c (life, what the model is), specialise.c (plans), claim.c (what a run has),
 * reattach.c (devices that went and came back), admission.c (whose turn it is), run.c (a run from its claim to its end), request.c,
 * worker.c and batch.c (runs on threads of the session).
 *
 * Locks, outermost first: @compiling, @lock. Neither is held while anything runs.
 */
#ifndef RUNTIME_SESSION_INTERNAL_H
#define RUNTIME_SESSION_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <accel/runtime.h>

#include "compiler/compiler.h"
#include "runtime/binding.h"
#include "runtime/cache.h"
#include "runtime/instance.h"
#include "runtime/plan.h"

/*
 * A plan and its instances.
 * @cpu:       for the CPU alone, of a session with devices
 * @used:      when, by the session's clock of requests
 * @users:     requests that have it; it stays while there are any
 * @instances: how many there are, of which @idle are not in use; @limit: no more of them fit into the device's memory
 * @all:       all that were made, linked by sibling, under the compiling lock
 */
struct specialisation {
	struct plan *plan;
	bool cpu;
	uint64_t used;
	size_t users, instances, limit;
	struct instance *idle, *all;
};

/*
 * A device of the session. @idle: lanes; @lanes of them exist
 * @committed: the compiler's estimate of all that it was ever given, cycles: who has got less is next
 * @try_ns:    of a device that is gone: when to look for it next, CLOCK_MONOTONIC; @wait_ns: how long after the last time
 * @served:    stats.requests when it went last
 */
struct session_device {
	struct runtime_device *device;
	struct runtime_lane *idle[ACCEL_MAX_DEPTH];
	size_t num_idle;
	uint64_t committed;
	uint64_t try_ns, wait_ns, served;
	struct accel_device_stats stats;
};

/* Waits for its turn. @request: NULL for a thread that runs by itself, which sleeps on @turn. */
struct ticket {
	struct ticket *next;
	struct accel_request *request;
	bool admitted;
	pthread_cond_t turn;
};

/* A thread of the session. @batch: for requests that it joins; NULL when options.batch says that there are none */
struct worker {
	struct accel_session *session;
	struct batch *batch;
	pthread_t thread;
};

/*
 * @plans:     the first is that of accel_session_create()
 * @host:      what all plans share; @cpu_host: the same without devices
 * @cache:     packages of earlier sessions, under the compiling lock; @cached: how many came from it
 * @notes:     what the compiler said of the package
 * @cpu_only:  the device has no memory for the model
 * @last:      the instance that ran last, and its figures
 * @bindings:  all of them
 * @gone:      devices that are gone; @trying: somebody looks whether one of them is back
 * @running:   requests that have their turn; @waiting: those that have not, in their order
 * @ready:     requests that have their turn and no thread yet; @accepted: requests that have not ended
 * @gathering: a batch that waits for more requests, or NULL
 * @watch:     the thread that ends those that are late while they wait (deadline.c), if @has_watch
 * @work, @room, @released, @deadline: with @lock: a request is ready or the session ends; one ended; an instance became idle; one with a
 *	       deadline waits, or the session ends
 */
struct accel_session {
	struct accel_session_options options;
	char *path, *calibration, *method, *disable;
	struct session_device devices[ACCEL_MAX_DEVICES];
	struct runtime_device *opened[ACCEL_MAX_DEVICES];
	struct plan_host host, cpu_host;
	bool cpu_only;
	pthread_mutex_t compiling;
	struct cache *cache;

	pthread_mutex_t lock;
	struct specialisation *plans[ACCEL_MAX_SPECIALISATIONS + ACCEL_MAX_DEPTH];
	size_t num_plans;
	uint64_t clock, compilations, cached;
	struct compile_notes notes;
	struct instance *last;
	struct accel_run_stats last_stats;
	struct accel_binding *bindings;
	unsigned int gone;
	bool trying;

	unsigned int running;
	struct ticket *waiting, **waiting_end;
	struct ticket *ready, **ready_end;
	unsigned int accepted, workers;
	struct worker threads[ACCEL_MAX_DEPTH];
	struct batch *gathering;
	pthread_t watch;
	bool has_watch;
	pthread_cond_t work, room, released, deadline;
	bool quit;
};

/* ---- specialise.c ---- */

/* The first plan, for the sizes that the options name. */
int specialise_first(struct accel_session *session, char *error, size_t size);
void specialise_finish(struct accel_session *session);
/* Whether what options.batch asks for is possible: -ENOTSUP, with what stands against it; errors of reading the file. */
int specialise_check_batch(struct accel_session *session, char *error, size_t size);

/* No input is wrong, and there is no plan for these sizes of symbolic dimensions yet. */
#define SPECIALISE_OTHER_SIZES 1

/* The plan for the shapes of @inputs. @cpu: for the CPU alone. 0, SPECIALISE_OTHER_SIZES or -EINVAL. The lock is held. */
int specialise_find(struct accel_session *session, const struct tensor *inputs, bool cpu, struct specialisation **plan,
		    char *error, size_t size);
/* Make the plan for the shapes of @inputs, unless somebody else just did. -EINVAL: an .axm file; what compiling gives; -ENOMEM. */
int specialise_make(struct accel_session *session, const struct tensor *inputs, bool cpu, char *error, size_t size);

/* ---- reattach.c ---- */

/* The device is gone: nobody gets it any more, and what is bound in its memory is lost. The lock is held. */
void reattach_note_gone(struct accel_session *session, struct session_device *device);
/*
 * A device that is gone, that nobody has any more and that is to be looked for now, or NULL; who gets one has to try it. The lock is held.
 */
struct session_device *reattach_due(struct accel_session *session);
/* If it is there again: make anew what the session has on it, and use it. */
void reattach_try(struct accel_session *session, struct session_device *device);
/* Why the devices that are gone are not there, as @error says it. The lock is held. -ENODEV. */
int reattach_explain(const struct accel_session *session, char *error, size_t size);

/* ---- claim.c ---- */

/*
 * What a run has while it runs. @device: an index, @lane: of it; NULL when the plan has no device regions. @requests: how many are joined in
 * it; 0 counts as one
 */
struct claim {
	struct specialisation *plan;
	struct instance *instance;
	struct session_device *device;
	struct runtime_lane *lane;
	unsigned int requests;
};

/* No device rather than another. */
#define CLAIM_ANY_DEVICE SIZE_MAX

/*
 * An idle instance for the shapes of @inputs, with a device and a lane; compiles and allocates what is not there. @cpu: of a plan for
 * the CPU alone. @device: where what the run has bound lies: this one unless it is gone, or CLAIM_ANY_DEVICE. -EINVAL: an input does not
 * fit; -ENODEV: every device is gone; -EIO: it does not answer, or else -ENOSPC: its memory is
 * full; what compiling gives. The caller has its turn.
 */
int claim_take(struct accel_session *session, const struct tensor *inputs, bool cpu, size_t device, struct claim *claim,
	       char *error, size_t size);
/* The other way round; does nothing for an empty one. @result: of the run. */
void claim_give(struct accel_session *session, struct claim *claim, int result);

/* ---- admission.c ---- */

/* Wait for a turn, until @deadline_ns. -ETIMEDOUT. */
int admission_enter(struct accel_session *session, int64_t deadline_ns);
/* With the lock held: put @ticket at the end of those that wait; it may get its turn at once. */
void admission_queue(struct accel_session *session, struct ticket *ticket);
/* With the lock held: take @ticket, which has no turn yet, out again. False: it has one. */
bool admission_withdraw(struct accel_session *session, struct ticket *ticket);
/* With the lock held: give turns to those at the front while there is room. */
void admission_give_turns(struct accel_session *session);
/* The turn is over. */
void admission_leave(struct accel_session *session);

/* ---- run.c ---- */

/*
 * A run: until when, whether it was cancelled (or NULL), where those who cancel it see what it has on a device (or NULL), its bindings
 * (binding_collect(), or NULL), whether it has its turn, and what it has claimed.
 */
struct run {
	int64_t deadline_ns;
	const atomic_bool *cancelled;
	const struct claim **has;
	struct accel_binding *const *bound;
	bool admitted;
	struct claim claim;
};

/* Inputs as tensors: views. */
int run_view_inputs(const struct accel_session *session, const struct accel_tensor *inputs, struct tensor *views,
		    char *error, size_t size);
int run_check_counts(const struct accel_session *session, size_t num_inputs, size_t num_outputs, char *error,
		     size_t size);
/* Run @inputs. The claim is the caller's to give back, after he has taken the outputs, in good and in bad. */
int run_claimed(struct accel_session *session, struct run *run, const struct tensor *inputs, char *error, size_t size);
/* Output @index as a tensor that points into the instance. -EINVAL: it is none. */
int run_describe_output(const struct accel_session *session, const struct instance *instance, size_t index,
			struct accel_tensor *output, char *error, size_t size);
/* The same, in its binding, or copied into the caller's memory, where there is one of them. -ENOSPC: too little. */
int run_give_output(const struct accel_session *session, struct instance *instance, size_t index,
		    struct accel_tensor *output, char *error, size_t size);
/* @given, of output @index, into the memory of @output. -ENOSPC: too little. */
int run_copy_output(const struct accel_session *session, size_t index, const struct accel_tensor *given,
		    struct accel_tensor *output, char *error, size_t size);
/* When a run that begins now has to be done. */
int64_t run_deadline(const struct accel_session *session);

/* ---- request.c ---- */

/* What its threads need, once there is a plan. -ENOMEM. */
int request_prepare(struct accel_session *session);
/* Stop the threads. */
void request_finish(struct accel_session *session);

/* ---- session.c ---- */

const char *session_output_name(const struct accel_session *session, size_t index);

#endif
