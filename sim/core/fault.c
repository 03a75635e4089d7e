/* SPDX-License-Identifier: MIT */
/* Fault records: from what the engine, a packet or the MMU found to the ring that the driver reads. */
#include <string.h>

#include "sim/core/device_internal.h"

static void fill_record(const struct device *device, const struct queue *queue, const struct engine_fault *fault,
			struct axl_fault_record *record)
{
	bool executes = queue->busy && queue->packet.header.opcode == AXL_PKT_EXECUTE;

	*record = (struct axl_fault_record){
		.cycle = device->cycles,
		.context = queue->desc.context,
		.queue = (uint32_t)(queue - device->queues),
		.packet = queue->retired,
		.tag = queue->busy ? queue->packet.header.tag : 0,
		.cause = (uint16_t)fault->cause,
		.access = (uint8_t)fault->access,
		.level = fault->level,
		.cmdbuf = executes ? queue->packet.execute.cmdbuf : 0,
		.offset = fault->offset,
		.other_offset = fault->other_offset,
		.address = fault->address,
		.tile = fault->tile,
		.pipe = fault->pipe,
		.insn_tag = fault->tag,
	};
	memcpy(record->insn, &fault->insn, sizeof(record->insn));
	memcpy(record->sems, fault->sems, sizeof(record->sems));
	memcpy(record->pipe_offset, fault->pipe_offset, sizeof(record->pipe_offset));
}

/*
 * Into the ring, if there is one with room. The map callback may wait for a thread that wants a register, so that the
 * lock is not held across it.
 */
static void write_record(struct device *device, struct axl_fault_record *record)
{
	struct axl_fault_record *slot = NULL;
	uint64_t ring, size, at;
	bool room;

	pthread_mutex_lock(&device->lock);
	ring = device->fault_ring;
	size = device->fault_size;
	at = device->fault_write;
	room = size && device->fault_write - device->fault_read < device->fault_size;
	pthread_mutex_unlock(&device->lock);
	record->sequence = device->faults;
	if (room)
		slot = device->ops->map(device->opaque, ring + (at & (size - 1)) * sizeof(*record), sizeof(*record),
					true);
	if (slot)
		memcpy(slot, record, sizeof(*record));
	pthread_mutex_lock(&device->lock);
	/* The unlock pairs with the lock of the driver's read of FAULT_WRITE: the record is there before it is counted.
	 */
	if (slot)
		device->fault_write++;
	else
		device->fault_dropped++;
	pthread_mutex_unlock(&device->lock);
	device->faults++;
}

void fault_report(struct device *device, struct queue *queue, const struct engine_fault *fault)
{
	struct axl_fault_record record;

	fill_record(device, queue, fault, &record);
	write_record(device, &record);
	__atomic_store_n(&queue->status->error, (uint32_t)fault->cause, __ATOMIC_RELAXED);
	/* First the record: who sees the state finds it. */
	device_interrupt(device, 0, AXL_IRQ_FAULT, 0);
	queue_set_state(device, queue, AXL_QUEUE_FAULTED);
}
