// SPDX-License-Identifier: MIT
/*
 * Ranges over the thread pool: see parallel.h.
 */
#include "runtime/cpu/parallel.h"

#include "runtime/cpu/pool.h"

/* More parts than threads, so that a thread that was descheduled does not hold up the rest. */
#define PARTS_PER_THREAD 4

struct range_job {
	void (*fn)(void *arg, int64_t begin, int64_t end);
	void *arg;
	int64_t count;
	int64_t part;
};

static void run_part(void *arg, size_t i)
{
	const struct range_job *job = arg;
	int64_t begin = (int64_t)i * job->part;
	int64_t end = job->count - begin < job->part ? job->count : begin + job->part;

	job->fn(job->arg, begin, end);
}

void parallel_range(struct cpu_pool *pool, int64_t count, int64_t grain,
		    void (*fn)(void *arg, int64_t begin, int64_t end), void *arg)
{
	struct range_job job = {.fn = fn, .arg = arg, .count = count};
	int64_t parts = pool ? (int64_t)cpu_pool_threads(pool) * PARTS_PER_THREAD : 1;

	if (count <= 0)
		return;
	if (grain < 1)
		grain = 1;
	if (parts > count / grain)
		parts = count / grain;
	if (parts < 2) {
		fn(arg, 0, count);
		return;
	}
	job.part = (count - 1) / parts + 1;
	cpu_pool_for(pool, (count - 1) / job.part + 1, run_part, &job);
}
