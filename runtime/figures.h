/* SPDX-License-Identifier: MIT */
/*
 * Figures of a run that outlive what ran it: a request's, which are looked at when its instance has long been another's, and its plan may be
 * gone.
 */
#ifndef RUNTIME_FIGURES_H
#define RUNTIME_FIGURES_H

#include <accel/runtime.h>

/*
 * Zeroed: none.
 * @plan:  the number of the plan that @texts are of (struct plan)
 * @texts: names and reasons of all nodes, to which @nodes point
 */
struct figures {
	uint64_t plan;
	struct accel_run_stats stats;
	struct accel_region_stats *regions;
	struct accel_node_stats *nodes;
	char *texts;
};

/* Take @stats, of a run of plan number @plan; of the same plan as before it allocates nothing. -ENOMEM: there are none then. */
int figures_take(struct figures *figures, uint64_t plan, const struct accel_run_stats *stats);
void figures_finish(struct figures *figures);

#endif
