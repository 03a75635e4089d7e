/* SPDX-License-Identifier: MIT */
/*
 * Partitioning: which node runs where, and which nodes run together.
 *
 * The device can do a node when a lowering says so, unless the caller wants everything on the CPU or the node was refused before
 * (struct partition_refusal). Of what it can do it gets what makes the whole fastest, by the costs of placement.h: never more than
 * everything possible on the device, and than everything on the CPU by no more than the model's error (PARTITION_ERROR_NS): within
 * that the device, which was asked for, keeps a region. Regions are levels of the graph (placement.h).
 *
 * "Fastest" compares nanoseconds of unlike clocks: the device's modelled one, at the target's frequency, and the CPU's, measured on the
 * reference host (cpu_rates.h). It says what a device of that frequency in that host would do; how long the device's model takes to
 * run in a process is not asked. The choice depends on the options alone, not on the machine that compiles.
 *
 * README.md has how it chooses, the constants and how they are measured, and what is not modelled.
 */
#ifndef COMPILER_PARTITION_PARTITION_H
#define COMPILER_PARTITION_PARTITION_H

#include "compiler/graph/graph.h"
#include "compiler/target/lower.h"

/* Threads of the CPU backend that are counted on where the caller does not say. */
#define PARTITION_THREADS 2

/*
 * struct partition_options
 * @target:  NULL: everything on the CPU
 * @threads: of the CPU backend, 0: PARTITION_THREADS
 * @all:     all that the device can do goes there, whatever it costs
 * @known:   device cycles of nodes as compiled code had them, plus one, by id of their first output; 0: not known, the lowering's
 *	     estimate counts. NULL: none. @num_known: entries
 */
struct partition_options {
	const struct target *target;
	enum lower_precision precision;
	unsigned int threads;
	bool all;
	const uint64_t *known;
	size_t num_known;
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
 * What a placement costs, in nanoseconds.
 * @cpu_ns:    its nodes on the CPU
 * @device_ns: its nodes on the device
 * @launch_ns: starting @calls device regions
 * @copy_ns:   values over the borders of device regions
 */
struct partition_cost {
	uint64_t cpu_ns, device_ns, launch_ns, copy_ns;
	unsigned int calls;
};

static inline uint64_t partition_cost_ns(const struct partition_cost *cost)
{
	return cost->cpu_ns + cost->device_ns + cost->launch_ns + cost->copy_ns;
}

/*
 * struct partition - what partition_graph() found
 * @num_regions: ascending in execution order
 * @device:      by region, is it one of the device; malloc'ed, the caller's
 * @changed:     a node has another side than before the call
 * @chosen:      what the placement costs
 * @cpu_only, @all_able: everything on the CPU; all that the device can do there
 */
struct partition {
	int num_regions;
	bool *device, changed;
	struct partition_cost chosen, cpu_only, all_able;
};

/*
 * Sets placement, region and reason of every node (reasons are interned in the graph), and orders the nodes by region. Every node has a
 * reason: on the CPU why it is there, on the device what its region costs there and would cost on the CPU. -ENOMEM: *partition is empty.
 */
int partition_graph(struct graph *graph, const struct partition_options *options,
		    const struct partition_refusal *refusals, size_t num_refusals, struct partition *partition);

#endif
