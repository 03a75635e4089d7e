/* SPDX-License-Identifier: MIT */
/* What a progress callback was told: the last share, how often it was called, and whether it ever went back or out of [0, 1]. */
#ifndef TESTS_UNIT_RUNTIME_SHARES_H
#define TESTS_UNIT_RUNTIME_SHARES_H

#include <stdbool.h>
#include <stddef.h>

struct shares {
	double last;
	size_t count;
	bool back;
};

/* The callback; @context: struct shares. */
static inline void shares_note(void *context, double done)
{
	struct shares *shares = context;

	shares->back |= done < shares->last || done < 0 || done > 1;
	shares->last = done;
	shares->count++;
}

#endif
