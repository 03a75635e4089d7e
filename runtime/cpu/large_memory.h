/* SPDX-License-Identifier: MIT */
/*
 * Memory that is read from end to end again and again: packed weights, the values between nodes.
 */
#ifndef RUNTIME_CPU_LARGE_MEMORY_H
#define RUNTIME_CPU_LARGE_MEMORY_H

#include <stddef.h>

#define LARGE_PAGE ((size_t)2 << 20)

/* @size bytes, 64-byte aligned, undefined contents, in large pages where they fill some: for free(). NULL: out of memory. */
void *large_memory(size_t size);

#endif
