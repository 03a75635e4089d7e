/* SPDX-License-Identifier: MIT */
/*
 * Ranges over the thread pool: the pool counts jobs, most kernels have elements.
 */
#ifndef RUNTIME_CPU_PARALLEL_H
#define RUNTIME_CPU_PARALLEL_H

#include <stdint.h>

struct cpu_pool;

/* Elements of simple work (one pass over memory) below which waking a thread costs more than it brings. */
#define PARALLEL_GRAIN 32768

/*
 * Call fn(arg, begin, end) so that the calls together cover [0, count) once, each with at least @grain elements (but
 * the last), on the threads of @pool and the caller. Returns when all are done. One call on this thread when @pool is
 * NULL or there is little to do; none when count is 0.
 */
void parallel_range(struct cpu_pool *pool, int64_t count, int64_t grain,
		    void (*fn)(void *arg, int64_t begin, int64_t end), void *arg);

#endif
