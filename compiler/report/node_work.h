/* SPDX-License-Identifier: MIT */
/* What the code of a region does for each node: bytes moved and cycles of the pipes, each instruction taken alone. */
#ifndef COMPILER_REPORT_NODE_WORK_H
#define COMPILER_REPORT_NODE_WORK_H

#include <stdint.h>

#include <axl/axl_isa.h>

#include "compiler/package/axm.h"

/*
 * @bytes: that the node's transfers move, by purpose; a multicast counts once
 * @pipe:  cycles by pipe, over all tiles; of transfers those of the memory channel
 */
struct node_work {
	uint64_t bytes[AXL_NUM_PURPOSES];
	uint64_t pipe[AXL_NUM_PIPES];
	uint64_t instructions, macs_issued;
};

/* @work: one entry a node of region @region of @axm, which is one of the device. */
void node_work_of_region(const struct axm *axm, uint32_t region, struct node_work *work);

uint64_t node_work_bytes(const struct node_work *work);

#endif
