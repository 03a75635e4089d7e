// SPDX-License-Identifier: MIT
/*
 * The thread pool: every index is run once, whoever calls and whether the workers sleep; and idle workers do sleep.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <pthread.h>

#include "runtime/cpu/pool.h"

#define COUNT 97
#define CALLERS 3
#define CALLS 200

struct tally {
	struct cpu_pool *pool;
	atomic_int runs[COUNT];
};

static void count_run(void *arg, size_t i)
{
	struct tally *tally = arg;

	atomic_fetch_add_explicit(&tally->runs[i], 1, memory_order_relaxed);
}

/* A call from inside a job runs on its thread. */
static void count_nested(void *arg, size_t i)
{
	struct tally *tally = arg;

	if (!i)
		cpu_pool_for(tally->pool, COUNT, count_run, tally);
}

static void assert_each_ran(struct tally *tally, int times)
{
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(atomic_load(&tally->runs[i]), times);
}

static void every_index_runs_once(void **state)
{
	(void)state;
	for (size_t threads = 1; threads <= 4; threads++)
		for (int in_run = 0; in_run < 2; in_run++) {
			struct tally tally = {0};

			assert_int_equal(cpu_pool_create(threads, &tally.pool), 0);
			assert_int_equal(cpu_pool_threads(tally.pool), threads);
			if (in_run)
				cpu_pool_begin(tally.pool);
			for (int call = 0; call < CALLS; call++)
				cpu_pool_for(tally.pool, COUNT, count_run, &tally);
			assert_each_ran(&tally, CALLS);
			cpu_pool_for(tally.pool, 2, count_nested, &tally);
			assert_each_ran(&tally, CALLS + 1);
			if (in_run)
				cpu_pool_end(tally.pool);
			cpu_pool_destroy(tally.pool);
		}
}

static void *call_often(void *arg)
{
	struct tally *tally = arg;

	for (int call = 0; call < CALLS; call++) {
		cpu_pool_begin(tally->pool);
		cpu_pool_for(tally->pool, COUNT, count_run, tally);
		cpu_pool_end(tally->pool);
	}
	return NULL;
}

static void several_threads_call_at_once(void **state)
{
	struct tally tallies[CALLERS] = {0};
	pthread_t callers[CALLERS];
	struct cpu_pool *pool;

	(void)state;
	assert_int_equal(cpu_pool_create(2, &pool), 0);
	for (int i = 0; i < CALLERS; i++) {
		tallies[i].pool = pool;
		assert_int_equal(pthread_create(&callers[i], NULL, call_often, &tallies[i]), 0);
	}
	for (int i = 0; i < CALLERS; i++)
		pthread_join(callers[i], NULL);
	for (int i = 0; i < CALLERS; i++)
		assert_each_ran(&tallies[i], CALLS);
	cpu_pool_destroy(pool);
}

static uint64_t processor_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

#define PAUSE_NS 200000000 /* a worker that never sleeps takes as much */

/* Processor time of the whole process while this thread sleeps, after a call. */
static uint64_t idle_ns(struct cpu_pool *pool, struct tally *tally)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	uint64_t start;

	cpu_pool_for(pool, COUNT, count_run, tally);
	start = processor_ns();
	nanosleep(&pause, NULL);
	return processor_ns() - start;
}

static void idle_workers_sleep(void **state)
{
	struct tally tally = {0};
	struct cpu_pool *pool;

	(void)state;
	assert_int_equal(cpu_pool_create(2, &pool), 0);
	assert_in_range(idle_ns(pool, &tally), 0, PAUSE_NS / 2);
	/* In a run they linger, but not for ever. */
	cpu_pool_begin(pool);
	assert_in_range(idle_ns(pool, &tally), 0, PAUSE_NS / 2);
	cpu_pool_end(pool);
	assert_in_range(idle_ns(pool, &tally), 0, PAUSE_NS / 2);
	cpu_pool_destroy(pool);
}

/* Two parts, each of which goes on when the other has begun: two threads, one of them the pool's. */
struct meeting {
	struct cpu_pool *pool;
	pthread_barrier_t both;
	atomic_int told;
	uint64_t start, end;
	size_t worker;
};

static void meet(void *arg, size_t i)
{
	struct meeting *meeting = arg;

	(void)i;
	pthread_barrier_wait(&meeting->both);
}

static void note_work(void *context, size_t worker, uint64_t start, uint64_t end)
{
	struct meeting *meeting = context;

	meeting->worker = worker;
	meeting->start = start;
	meeting->end = end;
	atomic_fetch_add(&meeting->told, 1);
}

static void *call_unwatched(void *arg)
{
	struct meeting *meeting = arg;

	cpu_pool_for(meeting->pool, 2, meet, meeting);
	return NULL;
}

static void who_watches_is_told_what_the_threads_do_for_him(void **state)
{
	struct meeting meeting = {0};
	const struct cpu_pool_watch watch = {note_work, &meeting};
	pthread_t other;

	(void)state;
	assert_int_equal(cpu_pool_create(2, &meeting.pool), 0);
	pthread_barrier_init(&meeting.both, NULL, 2);
	cpu_pool_watch(&watch);
	cpu_pool_for(meeting.pool, 2, meet, &meeting);
	assert_int_equal(atomic_load(&meeting.told), 1);
	assert_int_equal(meeting.worker, 1);
	assert_true(meeting.start && meeting.start <= meeting.end);
	/* Not what they do for another thread, and nothing any more. */
	assert_int_equal(pthread_create(&other, NULL, call_unwatched, &meeting), 0);
	pthread_join(other, NULL);
	assert_int_equal(atomic_load(&meeting.told), 1);
	cpu_pool_watch(NULL);
	cpu_pool_for(meeting.pool, 2, meet, &meeting);
	assert_int_equal(atomic_load(&meeting.told), 1);
	pthread_barrier_destroy(&meeting.both);
	cpu_pool_destroy(meeting.pool);
}

static void no_pool_runs_on_the_caller(void **state)
{
	struct tally tally = {0};

	(void)state;
	cpu_pool_begin(NULL);
	cpu_pool_for(NULL, COUNT, count_run, &tally);
	cpu_pool_end(NULL);
	assert_each_ran(&tally, 1);
	assert_int_equal(cpu_pool_threads(NULL), 1);
	cpu_pool_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_index_runs_once),
		cmocka_unit_test(several_threads_call_at_once),
		cmocka_unit_test(idle_workers_sleep),
		cmocka_unit_test(who_watches_is_told_what_the_threads_do_for_him),
		cmocka_unit_test(no_pool_runs_on_the_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
