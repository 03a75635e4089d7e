/* SPDX-License-Identifier: MIT */
/* Condition variables whose deadlines are of CLOCK_MONOTONIC, in nanoseconds. */
#ifndef RUNTIME_MONOTONIC_COND_H
#define RUNTIME_MONOTONIC_COND_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

static inline void monotonic_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* For pthread_cond_timedwait(). */
static inline struct timespec monotonic_cond_time(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

#endif
