/* SPDX-License-Identifier: MIT */
/*
 * The modelled TLB and page walk caches: how many table entries the hardware would read for an access.
 *
 * Knows times only; where an address leads is the MMU's (mmu.h). Each command buffer starts with it empty, so that a
 * buffer costs the same cycles whatever ran before.
 */
#ifndef SIM_CORE_TLB_H
#define SIM_CORE_TLB_H

#include <stdbool.h>
#include <stdint.h>

enum { TLB_WAYS = 4, TLB_SMALL_SETS = 128, TLB_LARGE_SETS = 16, TLB_WALK_SETS = 8 };

/* @tag: page number + 1, 0: empty; @used: for least-recently-used replacement. */
struct tlb_entry {
	uint64_t tag, used;
};

struct tlb {
	struct tlb_entry small[TLB_SMALL_SETS][TLB_WAYS];  /* 4 KiB pages */
	struct tlb_entry large[TLB_LARGE_SETS][TLB_WAYS];  /* 2 MiB pages */
	struct tlb_entry walk[3][TLB_WALK_SETS][TLB_WAYS]; /* tables of level 0, 1, 2 by what they map */
	uint64_t clock;
};

void tlb_empty(struct tlb *tlb);
/* Table entries read for an access to @va in a page of 2 MiB (@large) or 4 KiB: 0 when the TLB has it, up to 4. */
unsigned int tlb_access(struct tlb *tlb, uint64_t va, bool large);

#endif
