/* SPDX-License-Identifier: MIT */
/*
 * A placement, which node runs on which side, its regions, and what it costs.
 *
 * Regions are levels: a node's level is at least that of every producer, and one more where the producer sits on the other side; all
 * nodes of one level form a region. A path can therefore never leave a region and come back, which makes the regions executable one
 * after the other.
 *
 * Costs are nanoseconds: of nodes on the CPU by measured rates (cpu_cost.h), of nodes on the device by cycles at its modelled clock, of
 * each device region a call, and of each value that crosses its border a copy at the rate and latency of the target's host link. Regions
 * run one after the other, so that the sum is what a run takes.
 */
#ifndef COMPILER_PARTITION_PLACEMENT_H
#define COMPILER_PARTITION_PLACEMENT_H

#include "compiler/graph/graph.h"
#include "compiler/partition/partition.h"

/*
 * @cpu_ns, @device_ns: by node, of each side alone
 * @able:   the device can do the node
 * @device: where the node is; false where it is not able
 * @level:  by node: even on the device, odd on the CPU; placement_update() keeps it
 * @stamps, @stamp: what was last seen at each level, and the newest stamp
 * @visits: nodes and uses that were looked at so far
 */
struct placement {
	const struct graph *graph;
	const struct target *target;
	uint64_t *cpu_ns, *device_ns;
	bool *able, *device;
	int *level, levels;
	uint64_t *stamps, stamp;
	uint64_t visits;
};

/* Nodes get their index in the graph as id. Everything is on the CPU, nothing is able. -ENOMEM: there is nothing to finish. */
int placement_init(struct placement *placement, const struct graph *graph, const struct target *target);
void placement_finish(struct placement *placement);

/* Levels from sides. */
void placement_update(struct placement *placement);

/* After placement_update(): what it costs, or what the device region of @level does (level < 0: all). */
void placement_cost(struct placement *placement, int level, struct partition_cost *cost);

/* The same as a sum. */
uint64_t placement_total(struct placement *placement);

#endif
