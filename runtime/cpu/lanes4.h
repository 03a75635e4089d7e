/* SPDX-License-Identifier: MIT */
/*
 * Four float lanes that the compiler can give any processor: the form of the innermost loops that is always there.
 */
#ifndef RUNTIME_CPU_LANES4_H
#define RUNTIME_CPU_LANES4_H

#include <stdint.h>

typedef float lanes4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t lanes4_mask __attribute__((vector_size(16), aligned(4), may_alias));

#define LANES4_LOAD(p) (*(const lanes4 *)(p))
#define LANES4_STORE(p, v) (*(lanes4 *)(p) = (v))
#define LANES4_SPREAD(x) ((lanes4){(x), (x), (x), (x)})
#define LANES4_ADD(x, y) ((x) + (y))
#define LANES4_MULTIPLY_ADD(x, y, z) ((x) * (y) + (z))

/* a > b ? a : b, as x86's maximum: @b where one of them is NaN. */
static inline lanes4 lanes4_max(lanes4 a, lanes4 b)
{
	lanes4_mask larger = a > b;

	return (lanes4)((larger & (lanes4_mask)a) | (~larger & (lanes4_mask)b));
}

#endif
