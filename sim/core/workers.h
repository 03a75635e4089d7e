/* SPDX-License-Identifier: MIT */
/* Host threads that compute the parts of one instruction. */
#ifndef SIM_CORE_WORKERS_H
#define SIM_CORE_WORKERS_H

#include <stddef.h>

struct workers;

int workers_create(unsigned int threads, struct workers **workers); /* 0: one per processor; counts the caller */
void workers_destroy(struct workers *workers);
/* fn(arg, part) for each part, on any thread; returns when all are done. One caller at a time. */
void workers_run(struct workers *workers, size_t parts, void (*fn)(void *arg, size_t part), void *arg);

#endif
