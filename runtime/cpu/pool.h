/* SPDX-License-Identifier: MIT */
/*
 * The one thread pool of the CPU backend.
 *
 * OpenBLAS is told to use one thread; parallel kernels split their work here, so that a session's thread count is what the
 * user asked for and two thread pools never fight.
 */
#ifndef RUNTIME_CPU_POOL_H
#define RUNTIME_CPU_POOL_H

#include <stddef.h>
#include <stdint.h>

struct cpu_pool;

/* @threads >= 1 counts the calling thread; 0 means one per online processor. -ENOMEM, -EAGAIN (thread creation). */
int cpu_pool_create(size_t threads, struct cpu_pool **pool);
void cpu_pool_destroy(struct cpu_pool *pool); /* NULL is fine; no call may be in flight */
size_t cpu_pool_threads(const struct cpu_pool *pool);

/*
 * Call fn(arg, i) for every i in [0, count), spread over the pool's threads and the caller, and return when all are done.
 * A NULL pool, or a call from inside such a function, runs on the calling thread alone. Several threads may call at once.
 */
void cpu_pool_for(struct cpu_pool *pool, size_t count, void (*fn)(void *arg, size_t i), void *arg);

/*
 * Around a run of many calls: wake the workers, and let them look for the next call instead of sleeping, for up to a
 * millisecond each time. Outside they sleep after some microseconds, so that an idle session costs nothing. Pairs may
 * nest and overlap; each begin needs its end, and neither changes what cpu_pool_for() does. NULL is fine.
 */
void cpu_pool_begin(struct cpu_pool *pool);
void cpu_pool_end(struct cpu_pool *pool);

/*
 * Who wants to know what the pool's threads do for the calls of a thread: @worked is told, on thread @worker of the pool (from 1), that it
 * worked for one from @start to @end (CLOCK_MONOTONIC, ns), before that call returns.
 */
struct cpu_pool_watch {
	void (*worked)(void *context, size_t worker, uint64_t start, uint64_t end);
	void *context;
};
/* From now on, for the calls of this thread, of any pool; NULL: nobody. @watch stays until then. */
void cpu_pool_watch(const struct cpu_pool_watch *watch);

#endif
