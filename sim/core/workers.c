/* SPDX-License-Identifier: MIT */
/* See workers.h. Threads spin for a moment between jobs: instructions follow each other in microseconds. */
#include "sim/core/workers.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define SPINS 20000
#define LOOKS 200 /* then the others get the processor */
#define MAX_THREADS 64

/*
 * @generation: counts jobs; a thread takes part when it sees a new one
 * @next: next part to take; @left: parts not done; @inside: threads that may still look at the job
 */
struct workers {
	pthread_t threads[MAX_THREADS];
	unsigned int count;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	atomic_uint generation;
	atomic_size_t next, left, inside;
	atomic_bool stop;
	atomic_int processor; /* of the caller */
	size_t parts;
	void (*fn)(void *arg, size_t part);
	void *arg;
};

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/* Until @count is 0. A thread that it waits for may have to have this processor. */
static void await_zero(const atomic_size_t *count)
{
	for (int i = 0; atomic_load(count); i++)
		if (i < LOOKS)
			relax();
		else
			sched_yield();
}

/*
 * A thread that looks for work on the processor of the caller takes half of it, for as long as the kernel leaves both there: it goes
 * elsewhere, within what it is allowed.
 */
static void leave_caller(const struct workers *workers)
{
	int processor = sched_getcpu();
	cpu_set_t allowed, others;

	if (processor < 0 || processor != atomic_load(&workers->processor) ||
	    sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	others = allowed;
	CPU_CLR((size_t)processor, &others);
	if (CPU_COUNT(&others) && !sched_setaffinity(0, sizeof(others), &others))
		sched_setaffinity(0, sizeof(allowed), &allowed);
}

static void work(struct workers *workers)
{
	size_t part;

	while ((part = atomic_fetch_add(&workers->next, 1)) < workers->parts) {
		workers->fn(workers->arg, part);
		atomic_fetch_sub(&workers->left, 1);
	}
}

static void *thread_main(void *arg)
{
	struct workers *workers = arg;
	unsigned int seen = 0;

	for (;;) {
		for (int i = 0; i < SPINS && atomic_load(&workers->generation) == seen && !atomic_load(&workers->stop);
		     i++) {
			if (i % LOOKS == 0)
				leave_caller(workers);
			relax();
		}
		pthread_mutex_lock(&workers->lock);
		while (atomic_load(&workers->generation) == seen && !atomic_load(&workers->stop))
			pthread_cond_wait(&workers->wake, &workers->lock);
		seen = atomic_load(&workers->generation);
		/* Under the lock: a job is not replaced while a thread is inside. */
		atomic_fetch_add(&workers->inside, 1);
		pthread_mutex_unlock(&workers->lock);
		if (atomic_load(&workers->stop))
			return NULL;
		work(workers);
		atomic_fetch_sub(&workers->inside, 1);
	}
}

int workers_create(unsigned int threads, struct workers **workers)
{
	struct workers *w = calloc(1, sizeof(*w));
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	if (!w)
		return -ENOMEM;
	threads = threads ? threads : online > 0 ? (unsigned int)online : 1;
	threads = threads > MAX_THREADS ? MAX_THREADS : threads;
	atomic_init(&w->processor, -1);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	for (; w->count + 1 < threads; w->count++)
		if (pthread_create(&w->threads[w->count], NULL, thread_main, w)) {
			workers_destroy(w);
			return -EAGAIN;
		}
	*workers = w;
	return 0;
}

void workers_destroy(struct workers *workers)
{
	if (!workers)
		return;
	pthread_mutex_lock(&workers->lock);
	atomic_store(&workers->stop, true);
	pthread_cond_broadcast(&workers->wake);
	pthread_mutex_unlock(&workers->lock);
	for (unsigned int i = 0; i < workers->count; i++)
		pthread_join(workers->threads[i], NULL);
	pthread_mutex_destroy(&workers->lock);
	pthread_cond_destroy(&workers->wake);
	free(workers);
}

void workers_run(struct workers *workers, size_t parts, void (*fn)(void *arg, size_t part), void *arg)
{
	if (parts < 2 || !workers->count) {
		for (size_t i = 0; i < parts; i++)
			fn(arg, i);
		return;
	}
	pthread_mutex_lock(&workers->lock);
	await_zero(&workers->inside); /* a thread that came late to the last job finds nothing and leaves at once */
	workers->parts = parts;
	workers->fn = fn;
	workers->arg = arg;
	atomic_store(&workers->processor, sched_getcpu());
	atomic_store(&workers->left, parts);
	atomic_store(&workers->next, 0);
	atomic_fetch_add(&workers->generation, 1);
	pthread_cond_broadcast(&workers->wake);
	pthread_mutex_unlock(&workers->lock);
	work(workers);
	await_zero(&workers->left);
}
