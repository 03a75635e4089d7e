/* SPDX-License-Identifier: MIT */
/*
 * Whose command buffer the tiles run: the queue of the highest priority; among equals the one whose turn began least
 * recently, until its time slice is used up. A buffer gives way at a YIELD, and its state waits in its queue.
 *
 * While the engine runs it asks back (attend_running()) between instructions: commands are served there, and packets of
 * other queues that need no tile, so that a long buffer holds up nobody but those who want its tiles.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/core/device_internal.h"

#define SLICE_UNIT 1024 /* cycles, of time slices and watchdogs */
#define FRONT_PERIOD 16 /* questions of the engine between two looks at the rings */

static bool wants_tiles(const struct queue *queue)
{
	return queue->state == AXL_QUEUE_RUNNING && queue->busy && queue->packet.header.opcode == AXL_PKT_EXECUTE;
}

static struct queue *next_queue(struct device *device)
{
	struct queue *best = NULL;

	for (unsigned int q = 0; q < device->num_live; q++) {
		struct queue *queue = &device->queues[q];

		if (wants_tiles(queue) && (!best || queue->desc.priority > best->desc.priority ||
					   (queue->desc.priority == best->desc.priority && queue->turn < best->turn)))
			best = queue;
	}
	return best;
}

/* Its turn is over: the others of its priority come first now. */
static void end_turn(struct device *device, struct queue *queue)
{
	queue->turn = ++device->turns;
	queue->slice = 0;
}

static bool slice_used(const struct queue *queue, uint64_t cycles)
{
	return queue->desc.timeslice && queue->slice + cycles >= (uint64_t)queue->desc.timeslice * SLICE_UNIT;
}

uint64_t schedule_uncharged(const struct device *device)
{
	const struct execution *execution = device->running ? device->running->execution : NULL;
	const struct axl_exec_stats *stats;

	if (!execution)
		return 0;
	stats = &execution->stats;
	return (execution->hung ? stats->end - stats->start : engine_cycles(device->engine)) - execution->charged;
}

/* Another queue should have the tiles now. */
static bool must_give_way(struct device *device, const struct queue *running)
{
	uint64_t cycles = schedule_uncharged(device);

	for (unsigned int q = 0; q < device->num_live; q++) {
		const struct queue *queue = &device->queues[q];

		if (queue == running || !wants_tiles(queue))
			continue;
		if (queue->desc.priority > running->desc.priority)
			return true;
		if (queue->desc.priority == running->desc.priority && slice_used(running, cycles))
			return true;
	}
	return false;
}

static enum engine_stop attend_running(void *opaque)
{
	struct device *device = opaque;
	struct queue *running = device->running;

	if (device->verdict == VERDICT_NONE) {
		device_attend(device);
		device_pace(device);
		while (device->pause && device->verdict == VERDICT_NONE &&
		       !(atomic_load(&device->attention) & ATTENTION_QUIT)) {
			device_park(device);
			device_attend(device);
		}
		if (device->verdict == VERDICT_NONE && ++device->checks % FRONT_PERIOD == 0 && device_enabled(device))
			queue_front_pass(device);
	}
	if (device->verdict != VERDICT_NONE || atomic_load(&device->attention) & ATTENTION_QUIT)
		return ENGINE_KILL;
	return running->stopping || must_give_way(device, running) ? ENGINE_PREEMPT : ENGINE_GO;
}

/* ---- starting ---- */

void schedule_free(struct execution *execution)
{
	if (!execution)
		return;
	if (execution->state)
		engine_state_destroy(execution->state);
	free(execution->job.trace);
	free(execution->code);
	free(execution);
}

static int no_memory(struct engine_fault *fault)
{
	fault->cause = AXL_CAUSE_BUS;
	return -EFAULT;
}

/* The command buffer and its arguments, copied: what the program does to them from here on changes nothing. */
static int prepare(struct device *device, struct queue *queue, struct engine_fault *fault)
{
	const struct axl_packet_execute *packet = &queue->packet.execute;
	struct execution *execution = calloc(1, sizeof(*execution));
	struct axl_cmdbuf header;
	int err;

	if (!execution)
		return no_memory(fault);
	queue->execution = execution;
	execution->memory = device->contexts[queue->desc.context].memory;
	execution->code = malloc(packet->size);
	if (!execution->code)
		return no_memory(fault);
	err = mmu_read(&execution->memory, packet->cmdbuf, execution->code, packet->size, AXL_ACCESS_EXEC, fault);
	if (err)
		return err;
	memcpy(&header, execution->code, sizeof(header));
	if (header.num_bases > AXL_NUM_BASES) {
		fault->cause = AXL_CAUSE_CMDBUF;
		return -EFAULT;
	}
	err = header.num_bases ? mmu_read(&execution->memory, packet->args, execution->job.bases,
					  header.num_bases * sizeof(uint64_t), AXL_ACCESS_READ, fault)
			       : 0;
	if (err)
		return err;
	execution->job.trace_max = packet->trace_size / sizeof(struct axl_trace_record);
	execution->job.trace = packet->trace_size ? malloc(packet->trace_size) : NULL;
	if (packet->trace_size && !execution->job.trace)
		return no_memory(fault);
	execution->job.cmdbuf = execution->code;
	execution->job.size = packet->size;
	execution->job.start = device->cycles;
	execution->job.watchdog = (uint64_t)queue->desc.watchdog * SLICE_UNIT;
	execution->job.timing = device->config.timing;
	execution->job.memory = &mmu_memory_ops;
	execution->job.memory_opaque = &execution->memory;
	execution->job.stop = attend_running;
	execution->job.stop_opaque = device;
	return 0;
}

/* ---- ending ---- */

/* Statistics and trace to where the packet wants them. */
static int report(const struct queue *queue, struct execution *execution, struct engine_fault *fault)
{
	const struct axl_packet_execute *packet = &queue->packet.execute;
	int err = 0;

	if (packet->trace_size)
		err = mmu_write(&execution->memory, packet->trace, execution->job.trace,
				execution->stats.trace_records * sizeof(struct axl_trace_record), fault);
	if (!err && packet->stats)
		err = mmu_write(&execution->memory, packet->stats, &execution->stats, sizeof(execution->stats), fault);
	return err;
}

static void charge(struct device *device, struct queue *queue, struct execution *execution)
{
	uint64_t cycles = execution->stats.end - execution->stats.start - execution->charged;

	execution->charged += cycles;
	queue->slice += cycles;
	device->busy += cycles;
	queue_spend(device, queue, cycles);
}

static void count(struct device *device, const struct axl_exec_stats *stats)
{
	device->tlb_misses += stats->tlb_misses;
	for (int purpose = 0; purpose < 6; purpose++) {
		device->dram_bytes += stats->bytes[purpose][0];
		device->host_bytes += stats->bytes[purpose][1];
	}
	for (int pipe = 0; pipe < AXL_NUM_PIPES; pipe++) {
		uint64_t busy = 0;

		for (int tile = 0; tile < AXL_MAX_TILES; tile++)
			busy += stats->pipe[tile][pipe][AXL_STALL_BUSY];
		device->pipes[pipe] += busy;
	}
}

/* It ended, in good or with @fault: tell the host. */
static void end(struct device *device, struct queue *queue, struct engine_fault *fault)
{
	struct execution *execution = queue->execution;
	struct engine_fault unwritten = {0};

	count(device, &execution->stats);
	if (report(queue, execution, &unwritten) && !fault->cause)
		*fault = unwritten;
	if (!fault->cause)
		queue_retire(device, queue);
	queue_publish(device, queue);
	if (fault->cause)
		fault_report(device, queue, fault);
	schedule_free(execution);
	queue->execution = NULL;
	if (!queue->desc.timeslice || slice_used(queue, 0))
		end_turn(device, queue);
}

/* In the engine's place: never ends by itself, and can be killed at any time. */
static int hang(struct device *device, struct execution *execution, struct engine_fault *fault)
{
	struct axl_exec_stats *stats = &execution->stats;
	const struct timespec pause = {.tv_nsec = 20000};

	if (!stats->end)
		stats->start = stats->end = execution->job.start;
	while (attend_running(device) != ENGINE_KILL) {
		stats->end += SLICE_UNIT;
		if (execution->job.watchdog && stats->end - stats->start > execution->job.watchdog) {
			fault->cause = AXL_CAUSE_WATCHDOG;
			return -EFAULT;
		}
		if (!device_is_clocked(device))
			nanosleep(&pause, NULL);
	}
	return -ECANCELED;
}

static void run(struct device *device, struct queue *queue)
{
	struct execution *execution = queue->execution;
	uint64_t value = 0;
	struct engine_fault fault = {0};
	int err;

	if (device->tile_context != queue->desc.context)
		engine_scrub(device->engine);
	device->tile_context = queue->desc.context;
	memset(&device->mmu.tlb, 0, sizeof(device->mmu.tlb));
	pthread_mutex_lock(&device->lock);
	execution->job.race_check = device->control & AXL_CONTROL_RACE_CHECK;
	pthread_mutex_unlock(&device->lock);
	device->running = queue;
	device->verdict = VERDICT_NONE;
	execution->hung = device_fault(device, DEVICE_SITE_PIPE, (unsigned int)(queue - device->queues), &value);
	if (execution->hung)
		err = hang(device, execution, &fault);
	else
		err = engine_run(device->engine, &execution->job, &execution->state, &execution->stats, &fault);
	/* Its time is not over yet: it can still be reset. */
	if (device->verdict == VERDICT_NONE)
		device_pace(device);
	if (device->verdict == VERDICT_TILE_RESET)
		err = -ECANCELED;
	device->running = NULL;
	if (device->verdict == VERDICT_DROP) {
		/* The queue has been reset meanwhile, and may be another by now: only the execution is left. */
		schedule_free(execution);
		return;
	}
	charge(device, queue, execution);
	if (err == -EINTR) {
		if (queue->stopping) {
			queue->stopping = false;
			queue_set_state(device, queue, AXL_QUEUE_SUSPENDED);
		}
		end_turn(device, queue);
		return;
	}
	if (err == -ECANCELED && device->verdict == VERDICT_NONE)
		return; /* the device is being destroyed */
	if (err == -ECANCELED) {
		fault = (struct engine_fault){.cause = AXL_CAUSE_RESET};
	} else if (err && !fault.cause) {
		no_memory(&fault);
	}
	end(device, queue, &fault);
	if (queue->stopping) {
		queue->stopping = false;
		if (queue->state == AXL_QUEUE_RUNNING)
			queue_set_state(device, queue, AXL_QUEUE_SUSPENDED);
	}
}

bool schedule_execute(struct device *device)
{
	struct queue *queue = next_queue(device);
	struct engine_fault fault = {0};

	if (!queue)
		return false;
	if (!queue->execution && prepare(device, queue, &fault))
		end(device, queue, &fault);
	else
		run(device, queue);
	return true;
}
