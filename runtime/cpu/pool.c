// SPDX-License-Identifier: MIT
/*
 * The thread pool: see pool.h.
 *
 * A call is a `struct job` on the caller's stack, in the pool's list while it has indices to hand out. Workers take
 * indices of the first such job; the caller takes indices of its own, then leaves the list and waits for the workers
 * that are still inside. A worker enters a job only under the lock and only while it is in the list, so that none can
 * enter after the caller left.
 */
#include "runtime/cpu/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/*
 * How long to look for work, or for the last worker to leave, before sleeping. A wake-up costs some 10 us, in a virtual
 * machine 50. Between cpu_pool_begin() and cpu_pool_end() the next job is expected soon: a node's sequential part, or a
 * node that has none, is rarely longer than LINGER_IN_RUN_NS.
 */
#define LINGER_NS 10000
#define LINGER_IN_RUN_NS 1000000

/* Looks between two readings of the clock. */
#define LOOKS 32

#define BACK ((uint64_t)1 << 32)
#define MAX_COUNT ((size_t)1 << 31)

/*
 * Indices are handed out from both ends: to the caller and every other worker from the front, to the rest from the back. With
 * two threads each gets one half of what there is, and the same half each time, so that it finds in its caches what it wrote in
 * the node before; and they are done at the same time all the same.
 */
struct job {
	void (*fn)(void *arg, size_t i);
	void *arg;
	size_t count;                 /* at most MAX_COUNT */
	atomic_uint_least64_t handed; /* indices handed out: from the front, and times BACK those from the back */
	atomic_size_t inside;         /* workers running this job; grows under the lock only */
	const struct cpu_pool_watch *watch;
	struct job *link;
};

/*
 * Where it may run belongs to the worker, or while it is asleep to who holds the lock:
 * @allowed: as others have it
 * @given:   as it was narrowed here
 * @away:    the processor that @given leaves out; -1: none
 */
struct worker {
	struct cpu_pool *pool;
	pthread_t thread;
	size_t number;
	bool asleep; /* under the lock */
	pid_t tid;
	cpu_set_t allowed, given;
	int away;
};

struct cpu_pool {
	size_t num_workers; /* without the caller */
	struct worker *workers;
	bool spin;              /* there is a processor for every thread */
	atomic_uint generation; /* jobs ever posted: what an idle worker watches */
	atomic_uint runs;       /* cpu_pool_begin() without its cpu_pool_end() */
	atomic_int processor;   /* of the caller that came last */

	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t posted;
	pthread_cond_t left;
	struct job *jobs;
	size_t sleeping;
	bool quit;
};

/* Set while a thread runs a job's function: nested calls run on that thread. */
static _Thread_local bool in_job;

/* Of the calls that this thread makes. */
static _Thread_local const struct cpu_pool_watch *watching;

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Whether it is still worth looking after @start. The end of the last run stops those that linger for its next job. */
static bool lingers(const struct cpu_pool *pool, uint64_t start)
{
	bool in_run = atomic_load_explicit(&pool->runs, memory_order_relaxed);

	return now_ns() - start < (in_run ? LINGER_IN_RUN_NS : LINGER_NS);
}

/*
 * A worker does not run on the processor of the caller it works for. The kernel likes to wake it there, above all in a virtual machine
 * whose other processor is halted, and then it waits for milliseconds until the caller's turn is over. While neither of them moves
 * this costs nothing.
 */
static void keep_off(struct worker *worker, int processor)
{
	cpu_set_t now;

	if (processor < 0 || worker->away == processor || sched_getaffinity(worker->tid, sizeof(now), &now))
		return;
	if (!CPU_EQUAL(&now, &worker->given))
		worker->allowed = now;
	worker->given = worker->allowed;
	CPU_CLR((size_t)processor, &worker->given);
	/* Nowhere else to go. */
	if (!CPU_COUNT(&worker->given))
		worker->given = worker->allowed;
	if (sched_setaffinity(worker->tid, sizeof(worker->given), &worker->given))
		sched_getaffinity(worker->tid, sizeof(worker->given), &worker->given);
	worker->away = processor;
}

/* The worker's own. */
static void leave_caller(struct worker *worker)
{
	int processor = atomic_load_explicit(&worker->pool->processor, memory_order_relaxed);

	if (sched_getcpu() == processor)
		keep_off(worker, processor);
}

/* The lock is held. */
static void wake(struct cpu_pool *pool, size_t count)
{
	if (!pool->sleeping)
		return;
	for (size_t i = 0; i < pool->num_workers && pool->spin; i++)
		if (pool->workers[i].asleep)
			keep_off(&pool->workers[i], atomic_load_explicit(&pool->processor, memory_order_relaxed));
	if (count == 1)
		pthread_cond_signal(&pool->posted);
	else
		pthread_cond_broadcast(&pool->posted);
}

/* Until a job has been posted after number @seen, or for as long as is worth it. Called without the lock. */
static bool watch_for_job(struct worker *worker, unsigned int seen)
{
	const struct cpu_pool *pool = worker->pool;
	uint64_t start = now_ns();

	do {
		leave_caller(worker);
		for (int i = 0; i < LOOKS; i++, relax())
			if (atomic_load_explicit(&pool->generation, memory_order_relaxed) != seen)
				return true;
	} while (lingers(pool, start));
	return false;
}

/* Until all workers have left the job, or for as long as is worth it. Called without the lock. */
static void watch_for_end(const struct cpu_pool *pool, const struct job *job)
{
	uint64_t start = now_ns();

	do {
		for (int i = 0; i < LOOKS; i++, relax())
			if (!atomic_load_explicit(&job->inside, memory_order_relaxed))
				return;
	} while (lingers(pool, start));
}

static uint64_t sum_handed(uint64_t handed)
{
	return handed % BACK + handed / BACK;
}

static void take_indices(struct job *job, bool from_back)
{
	uint64_t step = from_back ? BACK : 1, handed;

	in_job = true;
	while (sum_handed(handed = atomic_fetch_add_explicit(&job->handed, step, memory_order_relaxed)) < job->count)
		job->fn(job->arg, from_back ? job->count - 1 - handed / BACK : handed % BACK);
	in_job = false;
}

static void help(struct worker *worker, struct job *job)
{
	uint64_t start = job->watch ? now_ns() : 0;

	if (worker->pool->spin)
		leave_caller(worker);
	take_indices(job, worker->number % 2);
	if (job->watch)
		job->watch->worked(job->watch->context, worker->number, start, now_ns());
}

/* The first job with indices left. Called with the lock held. */
static struct job *find_job(struct cpu_pool *pool)
{
	for (struct job *job = pool->jobs; job; job = job->link)
		if (sum_handed(atomic_load_explicit(&job->handed, memory_order_relaxed)) < job->count)
			return job;
	return NULL;
}

static void fall_asleep(struct worker *worker)
{
	struct cpu_pool *pool = worker->pool;

	if (pool->spin)
		keep_off(worker, atomic_load_explicit(&pool->processor, memory_order_relaxed));
	worker->asleep = true;
	pool->sleeping++;
	pthread_cond_wait(&pool->posted, &pool->lock);
	pool->sleeping--;
	worker->asleep = false;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct cpu_pool *pool = worker->pool;

	worker->tid = gettid();
	worker->away = -1;
	if (sched_getaffinity(0, sizeof(worker->given), &worker->given))
		CPU_ZERO(&worker->given);
	worker->allowed = worker->given;
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct job *job = find_job(pool);

		if (job) {
			atomic_fetch_add_explicit(&job->inside, 1, memory_order_relaxed);
			pthread_mutex_unlock(&pool->lock);
			help(worker, job);
			pthread_mutex_lock(&pool->lock);
			/* Release: what this worker wrote is seen by the caller that reads 0 (acquire, in wait_left).
			 */
			if (atomic_fetch_sub_explicit(&job->inside, 1, memory_order_release) == 1)
				pthread_cond_broadcast(&pool->left);
			continue;
		}
		if (pool->quit)
			break;
		if (pool->spin) {
			unsigned int seen = atomic_load_explicit(&pool->generation, memory_order_relaxed);
			bool posted;

			pthread_mutex_unlock(&pool->lock);
			posted = watch_for_job(worker, seen);
			pthread_mutex_lock(&pool->lock);
			if (posted || find_job(pool) || pool->quit)
				continue;
		}
		fall_asleep(worker);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void unlink_job(struct cpu_pool *pool, struct job *job)
{
	struct job **link = &pool->jobs;

	while (*link != job)
		link = &(*link)->link;
	*link = job->link;
}

static void share_out(struct cpu_pool *pool, size_t count, void (*fn)(void *arg, size_t i), void *arg)
{
	struct job job = {.fn = fn, .arg = arg, .count = count, .watch = watching};

	atomic_store_explicit(&pool->processor, sched_getcpu(), memory_order_relaxed);
	pthread_mutex_lock(&pool->lock);
	job.link = pool->jobs;
	pool->jobs = &job;
	atomic_fetch_add_explicit(&pool->generation, 1, memory_order_relaxed);
	wake(pool, count - 1);
	pthread_mutex_unlock(&pool->lock);

	take_indices(&job, false);

	pthread_mutex_lock(&pool->lock);
	unlink_job(pool, &job);
	if (pool->spin && atomic_load_explicit(&job.inside, memory_order_relaxed)) {
		pthread_mutex_unlock(&pool->lock);
		watch_for_end(pool, &job);
		pthread_mutex_lock(&pool->lock);
	}
	/* The workers leave under the lock: when 0 is read here, none of them touches the job any more. */
	while (atomic_load_explicit(&job.inside, memory_order_acquire))
		pthread_cond_wait(&pool->left, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

/* Too many indices for one job to count go out in several. */
struct later {
	void (*fn)(void *arg, size_t i);
	void *arg;
	size_t first;
};

static void run_later(void *arg, size_t i)
{
	const struct later *later = arg;

	later->fn(later->arg, later->first + i);
}

void cpu_pool_for(struct cpu_pool *pool, size_t count, void (*fn)(void *arg, size_t i), void *arg)
{
	struct later later = {fn, arg, 0};

	if (!pool || !pool->num_workers || in_job || count < 2) {
		for (size_t i = 0; i < count; i++)
			fn(arg, i);
		return;
	}
	for (; count - later.first > MAX_COUNT; later.first += MAX_COUNT)
		share_out(pool, MAX_COUNT, run_later, &later);
	if (later.first)
		share_out(pool, count - later.first, run_later, &later);
	else
		share_out(pool, count, fn, arg);
}

void cpu_pool_begin(struct cpu_pool *pool)
{
	if (!pool || !pool->num_workers || !pool->spin)
		return;
	atomic_store_explicit(&pool->processor, sched_getcpu(), memory_order_relaxed);
	pthread_mutex_lock(&pool->lock);
	atomic_fetch_add_explicit(&pool->runs, 1, memory_order_relaxed);
	wake(pool, pool->num_workers);
	pthread_mutex_unlock(&pool->lock);
}

void cpu_pool_end(struct cpu_pool *pool)
{
	if (pool && pool->num_workers && pool->spin)
		atomic_fetch_sub_explicit(&pool->runs, 1, memory_order_relaxed);
}

void cpu_pool_watch(const struct cpu_pool_watch *watch)
{
	watching = watch;
}

static void stop_workers(struct cpu_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->quit = true;
	pthread_cond_broadcast(&pool->posted);
	pthread_mutex_unlock(&pool->lock);
	for (size_t i = 0; i < pool->num_workers; i++)
		pthread_join(pool->workers[i].thread, NULL);
}

static size_t online_processors(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);

	return count < 1 ? 1 : (size_t)count;
}

int cpu_pool_create(size_t threads, struct cpu_pool **pool_out)
{
	struct cpu_pool *pool = calloc(1, sizeof(*pool));

	*pool_out = NULL;
	if (!pool)
		return -ENOMEM;
	if (!threads)
		threads = online_processors();
	pool->spin = threads <= online_processors();
	atomic_init(&pool->processor, -1);
	pool->workers = calloc(threads, sizeof(*pool->workers));
	if (!pool->workers) {
		free(pool);
		return -ENOMEM;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->posted, NULL);
	pthread_cond_init(&pool->left, NULL);
	for (; pool->num_workers + 1 < threads; pool->num_workers++) {
		struct worker *worker = &pool->workers[pool->num_workers];

		worker->pool = pool;
		worker->number = pool->num_workers + 1;
		if (pthread_create(&worker->thread, NULL, work, worker)) {
			cpu_pool_destroy(pool);
			return -EAGAIN;
		}
	}
	*pool_out = pool;
	return 0;
}

void cpu_pool_destroy(struct cpu_pool *pool)
{
	if (!pool)
		return;
	stop_workers(pool);
	pthread_cond_destroy(&pool->left);
	pthread_cond_destroy(&pool->posted);
	pthread_mutex_destroy(&pool->lock);
	free(pool->workers);
	free(pool);
}

size_t cpu_pool_threads(const struct cpu_pool *pool)
{
	return pool ? pool->num_workers + 1 : 1;
}
