/* SPDX-License-Identifier: MIT */
/* accel_execute(): one command buffer and its end, on a queue that the device keeps for it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libaccel/internal.h"

/* @exchange: base registers, then statistics; @trace: as large as was asked for so far */
struct accel_runner {
	struct accel_context *context;
	struct accel_queue *queue;
	struct accel_buffer *exchange, *trace;
};

#define STATS_OFFSET (AXL_NUM_BASES * sizeof(uint64_t))

void accel_runner_destroy(struct accel_runner *runner)
{
	if (!runner)
		return;
	accel_queue_destroy(runner->queue);
	accel_context_destroy(runner->context);
	accel_buffer_destroy(runner->exchange);
	accel_buffer_destroy(runner->trace);
	free(runner);
}

static int make_runner(struct accel_device *device, struct accel_runner **runner)
{
	static const struct accel_queue_options options = {.slots = AXL_RING_MIN_SLOTS, .priority = 1};
	struct accel_runner *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	err = accel_context_create(device->vm, &r->context);
	if (!err)
		err = accel_queue_create(r->context, &options, &r->queue);
	if (!err)
		err = accel_buffer_create(device, STATS_OFFSET + sizeof(struct axl_exec_stats), ACCEL_BUFFER_WRITE,
					  &r->exchange);
	if (err) {
		accel_runner_destroy(r);
		return err;
	}
	*runner = r;
	return 0;
}

static int fit_trace(struct accel_device *device, struct accel_runner *runner, uint64_t size)
{
	if (!size || (runner->trace && accel_buffer_size(runner->trace) >= size))
		return 0;
	accel_buffer_destroy(runner->trace);
	runner->trace = NULL;
	return accel_buffer_create(device, size, ACCEL_BUFFER_WRITE, &runner->trace);
}

static int run(struct accel_runner *runner, const struct accel_buffer *code, uint32_t size, uint32_t trace_size,
	       struct axl_fault_record *fault)
{
	union axl_packet *packet = accel_queue_next(runner->queue);
	uint64_t exchange = accel_buffer_address(runner->exchange);
	int err;

	if (!packet)
		return -EIO; /* it stands behind an earlier fault whose reset failed */
	accel_packet_execute(packet, accel_buffer_address(code), size, exchange, exchange + STATS_OFFSET);
	packet->execute.trace = trace_size ? accel_buffer_address(runner->trace) : 0;
	packet->execute.trace_size = trace_size;
	err = accel_queue_wait(runner->queue, accel_queue_submit(runner->queue), ACCEL_FOREVER);
	if (err != -EIO)
		return err;
	err = accel_queue_fault(runner->queue, fault);
	accel_queue_reset(runner->queue);
	return err ? -EIO : -EFAULT;
}

int accel_execute(struct accel_device *device, const struct accel_buffer *code, uint32_t size, const uint64_t *bases,
		  unsigned int num_bases, struct axl_exec_stats *stats, struct axl_trace_record *trace,
		  size_t trace_max, struct axl_fault_record *fault)
{
	uint64_t trace_size = trace ? trace_max * sizeof(*trace) : 0;
	int err = 0;

	memset(stats, 0, sizeof(*stats));
	if (code->device != device || size > accel_buffer_size(code) || num_bases > AXL_NUM_BASES ||
	    trace_max > UINT32_MAX / sizeof(*trace))
		return -EINVAL;
	pthread_mutex_lock(&device->lock);
	if (!device->runner)
		err = make_runner(device, &device->runner);
	if (!err)
		err = fit_trace(device, device->runner, trace_size);
	if (!err) {
		uint8_t *exchange = accel_buffer_data(device->runner->exchange);

		memset(exchange, 0, accel_buffer_size(device->runner->exchange));
		if (num_bases)
			memcpy(exchange, bases, num_bases * sizeof(*bases));
		err = run(device->runner, code, size, (uint32_t)trace_size, fault);
		memcpy(stats, exchange + STATS_OFFSET, sizeof(*stats));
		if (trace_size && stats->trace_records <= trace_max)
			memcpy(trace, accel_buffer_data(device->runner->trace), stats->trace_records * sizeof(*trace));
	}
	pthread_mutex_unlock(&device->lock);
	return err;
}
