/* SPDX-License-Identifier: MIT */
/*
 * Partitioning: which node runs where, and which nodes run together.
 *
 * A node is placed on the NPU when a lowering says that it can do it, unless the caller wants everything on the CPU or the node was
 * refused before (struct partition_refusal). Regions are then levels: a node's level is at least that of every producer, and
 * one more where the producer sits on the other side; all nodes of one level form a region. A path can therefore never leave a
 * region and come back, which makes the regions executable one after the other.
 *
 * Device regions too small to pay for their transfers go to the CPU; the reason says so.
 */
#ifndef COMPILER_PARTITION_PARTITION_H
#define COMPILER_PARTITION_PARTITION_H

#include "compiler/graph/graph.h"
#include "compiler/target/lower.h"

struct partition_options {
	const struct target *target; /* NULL: everything on the CPU */
	enum lower_precision precision;
	uint64_t min_cycles; /* a device region of less is moved to the CPU, unless it is the only one */
};

/*
 * A node that the device can not do after all, found while lowering; kept by name of its first output, so that it survives
 * a new run.
 */
struct partition_refusal {
	const char *output;
	const char *reason;
};

/*
 * Sets placement, region and reason of every node (reasons are interned in the graph), and orders the nodes by region.
 * *num_regions regions, ascending in execution order; *device[r] says where (malloc'ed, the caller's). -ENOMEM, -EINVAL.
 */
int partition_graph(struct graph *graph, const struct partition_options *options, const struct partition_refusal *refusals,
		    size_t num_refusals, int *num_regions, bool **device);

#endif
