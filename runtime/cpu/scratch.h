/* SPDX-License-Identifier: MIT */
/*
 * Working memory of a thread: grows to the largest request and is kept until the thread ends, so that kernels that pack
 * blocks do not allocate in steady state.
 */
#ifndef RUNTIME_CPU_SCRATCH_H
#define RUNTIME_CPU_SCRATCH_H

#include <stddef.h>

/*
 * At least @size bytes, 64-byte aligned, undefined contents. Every call on a thread returns the same memory: one user
 * at a time, from the call until its function returns, and never across a call of another kernel. NULL when out of
 * memory.
 */
void *scratch_get(size_t size);

#endif
