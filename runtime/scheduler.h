/* SPDX-License-Identifier: MIT */
/*
 * One run of an instance, in the order of its data: a region begins when all that it reads is there. Device regions are started at once
 * and run while the calling thread does the CPU's; between two nodes the thread looks what the device has done meanwhile. It sleeps
 * only where nothing is left to do but to wait for the device.
 *
 * Several runs go on at the same time, each on its own thread and lane: the device works for one while the CPU works for another.
 */
#ifndef RUNTIME_SCHEDULER_H
#define RUNTIME_SCHEDULER_H

#include <stdatomic.h>

#include "runtime/instance.h"

/*
 * struct scheduler_run - zeroed but for what follows
 * @lane:      of the device that the instance was placed on, fitted for its plan; NULL when the plan has no device regions
 * @deadline_ns: CLOCK_MONOTONIC; INT64_MAX: none
 * @cancelled: may be NULL; set by any thread, which then kills the lane
 * @retries:   how often launches that failed are started again
 * @error:     gets the reason, @size bytes
 * @faults:    launches that failed
 * @gone:      the device is not there any more
 * @mute:      it does not answer after a fault
 */
struct scheduler_run {
	struct instance *instance;
	struct runtime_lane *lane;
	int64_t deadline_ns;
	const atomic_bool *cancelled;
	unsigned int retries;
	char *error;
	size_t size;
	unsigned int faults;
	bool gone, mute;

	/* Its own: heads and tails of the instance's lists, and regions that have not ended. */
	uint32_t ready_head, ready_tail, started_head, started_tail, left;
};

/*
 * Run once; @inputs as instance_begin(). When it returns nothing of it runs any more, whatever it returns. 0; -EIO: the device faulted;
 * -ENODEV: it is gone; -ETIMEDOUT: the deadline; -ECANCELED; what a kernel of the CPU gives.
 */
int scheduler_run(struct scheduler_run *run, const struct tensor *inputs);

#endif
