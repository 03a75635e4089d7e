/* SPDX-License-Identifier: MIT */
/* See tlb.h. */
#include "sim/core/tlb.h"

#include <string.h>

void tlb_empty(struct tlb *tlb)
{
	memset(tlb, 0, sizeof(*tlb));
}

/* True when @page is there; it is the most recently used of its set afterwards in any case. */
static bool look_up(struct tlb *tlb, struct tlb_entry (*sets)[TLB_WAYS], unsigned int num_sets, uint64_t page)
{
	struct tlb_entry *set = sets[page % num_sets], *victim = set;

	tlb->clock++;
	for (int way = 0; way < TLB_WAYS; way++) {
		if (set[way].tag == page + 1) {
			set[way].used = tlb->clock;
			return true;
		}
		if (set[way].used < victim->used)
			victim = &set[way];
	}
	*victim = (struct tlb_entry){page + 1, tlb->clock};
	return false;
}

unsigned int tlb_access(struct tlb *tlb, uint64_t va, bool large)
{
	unsigned int reads = 1;
	int level = large ? 1 : 0;

	if (large ? look_up(tlb, tlb->large, TLB_LARGE_SETS, va >> 21)
		  : look_up(tlb, tlb->small, TLB_SMALL_SETS, va >> 12))
		return 0;
	/* A table of level n maps 2^(21 + 9n) bytes; the lowest one that is cached saves the reads above it. */
	for (; level < 3 && !look_up(tlb, tlb->walk[level], TLB_WALK_SETS, va >> (21 + 9 * level)); level++)
		reads++;
	return reads;
}
