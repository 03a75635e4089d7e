/* SPDX-License-Identifier: MIT */
/*
 * Working memory of a thread: grows to the largest request and is kept until the thread ends, so that kernels that pack
 * blocks do not allocate in steady state.
 */
#ifndef RUNTIME_CPU_SCRATCH_H
#define RUNTIME_CPU_SCRATCH_H

#include <stddef.h>

/* What for: each use has memory of its own. */
enum scratch_use {
	SCRATCH_BLOCK,  /* of the function that asks */
	SCRATCH_IMAGE,  /* of the thread that runs an operator; while it does, the pool's threads work on it too */
	SCRATCH_TILE,   /* of a function that calls those that use SCRATCH_BLOCK */
	SCRATCH_ADDEND, /* as SCRATCH_IMAGE, beside it: a product's scaled C */
	SCRATCH_INNER, /* of a kernel that runs another, for what that one writes: no kernel that others run may use it */
	SCRATCH_USES,
};

/*
 * At least @size bytes, 64-byte aligned, undefined contents. Every call on a thread returns the same memory for the same
 * use: one user at a time, from the call until its function returns, and never across a call of another kernel (but SCRATCH_INNER). NULL
 * when out of memory.
 */
void *scratch_get_for(enum scratch_use use, size_t size);

static inline void *scratch_get(size_t size)
{
	return scratch_get_for(SCRATCH_BLOCK, size);
}

#endif
