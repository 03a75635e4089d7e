/* SPDX-License-Identifier: MIT */
/* The search for the cheapest placement. */
#ifndef COMPILER_PARTITION_CHOOSE_H
#define COMPILER_PARTITION_CHOOSE_H

#include "compiler/partition/placement.h"

/*
 * Why a node that the device can do is on the CPU.
 * @nodes: the size of the group that it was moved with; 0: it was never moved
 * @cpu_ns, @device_ns: what the group takes on either side, with calls and copies
 */
struct choice {
	size_t nodes;
	uint64_t cpu_ns, device_ns;
};

/*
 * From the placement as it is to one that costs no more: groups of connected nodes of one region, whole regions, and single nodes at
 * borders change sides as long as the whole gets cheaper and a node is left on the device. @choices: by node, zeroed. The work is bounded
 * (README.md). -ENOMEM.
 */
int choose_placement(struct placement *placement, struct choice *choices);

#endif
