/* SPDX-License-Identifier: MIT */
/*
 * Which regions of a package have to wait for which: the dataflow that the scheduler runs, and that the memory plan respects.
 *
 * A region waits for those that write what it reads. A package with bodies (If, Loop, Scan) runs in its own order, each region behind
 * the one before: a body reads values that its node does not list.
 */
#ifndef RUNTIME_REGION_ORDER_H
#define RUNTIME_REGION_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "compiler/package/axm.h"

/*
 * struct region_order
 * @waits:      by region: how many others it waits for directly
 * @first:      by region: where its followers begin in @followers, those that wait for it; num + 1 entries
 * @earliest:   by region: the first that may run while it does or after it, though it comes before; itself when there is none
 * @latest:     by region: the last that may run while it does or before it, though it comes behind; itself when there is none
 */
struct region_order {
	uint32_t num;
	uint32_t *waits, *first, *followers, *earliest, *latest;
};

/* 0 or -ENOMEM; region_order_finish() is safe in either case. */
int region_order_make(const struct axm *axm, struct region_order *order);
void region_order_finish(struct region_order *order);

/* Whether a node of @axm has a body. */
bool region_order_has_bodies(const struct axm *axm);

#endif
