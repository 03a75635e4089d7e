/* SPDX-License-Identifier: MIT */
/*
 * One device region: a run of nodes of a partitioned graph -> a verified command buffer.
 */
#ifndef COMPILER_REGION_H
#define COMPILER_REGION_H

#include "compiler/graph/graph.h"
#include "compiler/target/lower.h"
#include "compiler/target/program.h"
#include "compiler/work_share.h"

/* A list of values; the arrays are malloc'ed. */
struct value_list {
	struct graph_value **values;
	uint32_t count;
};

/*
 * struct region
 * @first, @count: its nodes, graph->nodes[first .. first + count - 1]
 * @inputs:  values it reads that are no constants and come from outside
 * @outputs: values that it writes and that others read
 */
struct region {
	bool device;
	size_t first, count;
	struct value_list inputs, outputs;
};

/* Find the regions of a partitioned graph (by node->region). *regions is malloc'ed; regions_finish() frees. */
int regions_find(const struct graph *graph, int count, const bool *device, struct region **regions);
void regions_finish(struct region *regions, int count);

/*
 * struct region_build - what region_compile() is given and gives back
 * @failed: the node at which a lowering gave up (-ENOTSUP, -ENOSPC), else NULL; @error then says why
 * @disabled: passes to leave out (compiler/pass.h)
 * @by_image: images of a batch were lowered one after another (target/images.h)
 * @saved: bytes that were not loaded again, as something was loaded once for several nodes
 * @halos: bytes that tiles got of what other tiles made (target/cut.h)
 * @share:  told how far it is; @attempts is region_compile()'s own: how often it has begun anew
 * @print_lowered, @print_scheduled: where to print the program after lowering and after scheduling, or NULL
 */
struct region_build {
	const struct target *target;
	enum lower_precision precision;
	uint32_t disabled;
	FILE *print_lowered, *print_scheduled;
	struct work_share share;
	unsigned int *attempts;
	struct program_image image;
	struct program_stats stats;
	struct graph_node *failed;
	bool by_image;
	uint64_t saved, halos;
	char error[320];
};

/* Lower, schedule, emit and verify. 0, -ENOTSUP or -ENOSPC with @failed set, or another error with text. */
int region_compile(const struct graph *graph, const struct region *region, struct region_build *build);

#endif
