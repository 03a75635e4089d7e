/* SPDX-License-Identifier: MIT */
/* Whose bytes lie where in a scratchpad, and for how long: from the code of a region and its instructions over time. */
#ifndef RUNTIME_CLI_SCRATCHPAD_MAP_H
#define RUNTIME_CLI_SCRATCHPAD_MAP_H

#include <axl/axl_queue.h>

#include "compiler/package/axm.h"

/* Slices of addresses that a scratchpad is looked at in. */
#define SCRATCHPAD_SLICES 64

/* Slice @slice holds bytes of node @node, written from cycle @from on and read for the last time at @to. */
struct scratchpad_use {
	unsigned int slice;
	uint32_t node;
	uint64_t from, to;
};

/*
 * Call @use for each use of the scratchpad of @tile while region @region of @axm runs, by the time at which it is over; within a slice
 * they do not overlap. @records: @count instructions of that region in the order in which they began. What is written and never read is no
 * use.
 */
void scratchpad_map(const struct axm *axm, uint32_t region, const struct axl_trace_record *records, size_t count,
		    unsigned int tile, void (*use)(void *context, const struct scratchpad_use *use), void *context);

#endif
