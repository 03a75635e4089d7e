/* SPDX-License-Identifier: MIT */
/*
 * What one request needs of a plan for itself: the memory of the values, the launches of the device's regions, the figures of its run.
 * Of one thread at a time. It knows how each region is run; in which order is the scheduler's (scheduler.h).
 */
#ifndef RUNTIME_INSTANCE_H
#define RUNTIME_INSTANCE_H

#include <accel/runtime.h>

#include "runtime/ledger.h"
#include "runtime/plan.h"
#include "runtime/trace.h"

/*
 * struct instance
 * @next:     in the session's list of those that are idle; @sibling: of all that its plan has
 * @device:   where its launches run, an index of the host's devices; @placed: by device: they are all there
 * @values:   by value id; constants are views of the package, planned values of @block
 * @operands: by entry of the package's id lists: the value, or NULL
 * @launches: by device, then by region; NULL for CPU regions
 * @waits:    by region: how many of those that it waits for have not ended
 * @ready:    CPU regions in the order in which they became ready, @started: device regions in the order of their start; each region
 *	      is in one of them once a run
 * @starts:   by region: when it was started on the device
 * @between:  called behind each node with the time, unless NULL: what it returns but 0 ends the run, with a text of its own
 * @bound:    of a run with bindings (in_place.h), else NULL; @addresses: by value id: where it lies on @device, 0: in its tensor
 * @own, @lent: by output: its own memory while its tensor is the binding's, and whether it is
 * @views:    what accel_session_run_values() gives: views of the outputs, or NULL
 * @ledger:   of the last run
 * @analysis_ns: of the last run's time, what reading its trace took: not counted as the run's
 */
struct instance {
	const struct plan *plan;
	struct instance *next, *sibling;
	size_t device;
	bool *placed;
	struct tensor *values, **operands;
	uint8_t *block;
	struct runtime_launch **launches;
	uint32_t *waits, *ready, *started;
	uint64_t *starts, *cycles;
	int (*between)(void *context, uint64_t now);
	void *between_context;
	struct accel_region_stats *region_stats;
	struct accel_node_stats *node_stats;
	struct accel_run_stats stats;
	struct accel_binding *const *bound;
	uint64_t *addresses;
	struct tensor *own;
	bool *lent;
	struct accel_value *views;
	struct ledger ledger;
	struct runtime_trace *trace;
	uint64_t began, analysis_ns;
};

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t instance_now(void);

/* -ENOMEM. It has no launches yet. */
int instance_create(const struct plan *plan, struct instance **instance, char *error, size_t size);
void instance_destroy(struct instance *instance); /* NULL is fine */
/*
 * Its launches run on @device from now on; allocates what it has not there yet. -ENOSPC: the device's memory is full; -ENODEV: the
 * device is gone; -ENOMEM.
 */
int instance_place(struct instance *instance, size_t device, char *error, size_t size);
/* Give up what it has on @device, on which it does not run; it may run on another one meanwhile. */
void instance_displace(struct instance *instance, size_t device);

static inline struct runtime_launch *instance_launch(const struct instance *instance, uint32_t region)
{
	return instance->launches[instance->device * instance->plan->axm.num_regions + region];
}

/* A run: @inputs were checked with plan_check_input(), and are borrowed until its end. */
void instance_begin(struct instance *instance, const struct tensor *inputs);
/* Nodes of a CPU region, in order. Errors are the kernels', with the node in @error, and what @between gave. */
int instance_run_region(struct instance *instance, uint32_t region, char *error, size_t size);
/*
 * Start a device region; when it has ended well, take its outputs and figures. Errors as runtime_launch_start(); -ENODEV: the device went
 * before they were read; -ENOMEM.
 */
int instance_start_region(struct instance *instance, struct runtime_lane *lane, uint32_t region, char *error,
			  size_t size);
int instance_finish_region(struct instance *instance, uint32_t region, char *error, size_t size);
/* Sum up the figures of a run that ended well. */
void instance_end(struct instance *instance);

/* Output @index of the last run; the instance's, until its next run. */
const struct tensor *instance_output(const struct instance *instance, size_t index);

#endif
