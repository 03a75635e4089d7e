/* SPDX-License-Identifier: MIT */
/* See scheduler.h. */
#include "runtime/scheduler.h"

#include <errno.h>
#include <string.h>

#include "runtime/fail.h"

static int check(const struct scheduler_run *run, uint64_t now)
{
	if (run->cancelled && atomic_load(run->cancelled))
		return fail(run->error, run->size, -ECANCELED, "cancelled");
	if (run->deadline_ns != INT64_MAX && (int64_t)now >= run->deadline_ns)
		return fail(run->error, run->size, -ETIMEDOUT, "not done by its deadline");
	return 0;
}

static int start(struct scheduler_run *run, uint32_t region)
{
	int err = instance_start_region(run->instance, run->lane, region, run->error, run->size);

	if (!err)
		run->instance->started[run->started_tail++] = region;
	return err;
}

static int become_ready(struct scheduler_run *run, uint32_t region)
{
	if (run->instance->plan->axm.regions[region].device)
		return start(run, region);
	run->instance->ready[run->ready_tail++] = region;
	return 0;
}

/* @region has ended: who waited for it alone can begin. */
static int complete(struct scheduler_run *run, uint32_t region)
{
	const struct region_order *order = &run->instance->plan->order;
	int err = 0;

	run->left--;
	for (uint32_t i = order->first[region]; i < order->first[region + 1] && !err; i++)
		if (!--run->instance->waits[order->followers[i]])
			err = become_ready(run, order->followers[i]);
	return err;
}

/* ---- the device ---- */

/* The oldest launch failed with @err. Start it again, and with it those behind it, which a reset takes along. */
static int recover(struct scheduler_run *run, int err)
{
	uint32_t tail = run->started_tail;

	run->faults++;
	if (run->faults > run->retries)
		return err;
	err = runtime_lane_reset(run->lane);
	run->gone |= err == -ENODEV;
	run->mute |= err == -EIO;
	if (err)
		return fail(run->error, run->size, err, "the device takes no work after a fault: %s", strerror(-err));
	run->started_tail = run->started_head;
	while (run->started_tail < tail && !err)
		err = start(run, run->instance->started[run->started_tail]);
	return err;
}

/* Wait for the oldest launch, and go on from it. */
static int reap(struct scheduler_run *run)
{
	uint32_t region = run->instance->started[run->started_head];
	struct runtime_launch *launch = instance_launch(run->instance, region);
	bool waits = run->instance->trace && !runtime_launch_done(launch);
	uint64_t begin = waits ? instance_now() : 0;
	int err = runtime_launch_wait(launch, run->deadline_ns, run->error, run->size);

	if (waits)
		runtime_trace_wait(run->instance->trace, region, begin, instance_now());
	if (err == -EIO)
		return recover(run, err);
	if (err == -ETIMEDOUT)
		return check(run, UINT64_MAX >> 1);
	if (!err)
		err = instance_finish_region(run->instance, region, run->error, run->size);
	run->gone |= err == -ENODEV;
	if (err)
		return err;
	run->started_head++;
	return complete(run, region);
}

static bool is_oldest_done(const struct scheduler_run *run)
{
	return run->started_head < run->started_tail &&
	       runtime_launch_done(instance_launch(run->instance, run->instance->started[run->started_head]));
}

/* Between two nodes. */
static int look(void *context, uint64_t now)
{
	struct scheduler_run *run = context;
	int err = check(run, now);

	while (!err && is_oldest_done(run))
		err = reap(run);
	return err;
}

/* ---- all of it ---- */

static int begin(struct scheduler_run *run)
{
	const struct region_order *order = &run->instance->plan->order;
	int err = check(run, instance_now());

	run->left = order->num;
	for (uint32_t r = 0; r < order->num && !err; r++)
		if (!order->waits[r])
			err = become_ready(run, r);
	return err;
}

static int step(struct scheduler_run *run)
{
	uint32_t region;
	int err;

	if (run->ready_head == run->ready_tail)
		return reap(run);
	region = run->instance->ready[run->ready_head++];
	err = instance_run_region(run->instance, region, run->error, run->size);
	return err ? err : complete(run, region);
}

int scheduler_run(struct scheduler_run *run, const struct tensor *inputs)
{
	int err;

	instance_begin(run->instance, inputs);
	run->instance->between = look;
	run->instance->between_context = run;
	err = begin(run);
	while (run->left && !err) {
		err = step(run);
		if (!err && run->left)
			err = check(run, instance_now());
	}
	if (!err)
		instance_end(run->instance);
	else if (run->started_head < run->started_tail && runtime_lane_reset(run->lane))
		run->gone = true;
	return err;
}
