/* SPDX-License-Identifier: MIT */
/* Chains: runs of nodes that hand tensors to each other in the scratchpad, with no preemption point between them. */
#ifndef COMPILER_REPORT_CHAINS_H
#define COMPILER_REPORT_CHAINS_H

#include "compiler/package/axm.h"

/* Nodes @first .. @first + @count - 1 of @region. */
struct chain {
	uint32_t region, first, count;
};

/*
 * The chain that begins at or after node @from: every node up to its last reads, or lies beside, a tensor that an earlier one of it left
 * in the scratchpad. False: there is none.
 */
bool chain_next(const struct axm *axm, uint32_t from, struct chain *chain);

#endif
