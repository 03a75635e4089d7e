/* SPDX-License-Identifier: MIT */
/* Arithmetic of sizes. */
#ifndef COMPILER_TARGET_ARITH_H
#define COMPILER_TARGET_ARITH_H

#include <stdint.h>

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Of numbers that are not negative. */
static inline int64_t ceil_div(int64_t a, int64_t b)
{
	return (a + b - 1) / b;
}

static inline uint64_t ceil_div_u64(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

#endif
