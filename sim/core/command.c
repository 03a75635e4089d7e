/* SPDX-License-Identifier: MIT */
/*
 * Commands of the mailbox (enum axl_command). They run on the device's thread between instructions, so that no access
 * of the device is in flight while one runs; and none of them waits for work, so that a hung queue can always be reset.
 */
#include <string.h>

#include "sim/core/device_internal.h"

/* A private copy of entry @number of a table, if the register holds one. */
static bool read_entry(struct device *device, const uint64_t *table, uint64_t number, void *entry, size_t size)
{
	const void *from;
	uint64_t address;

	pthread_mutex_lock(&device->lock);
	address = *table;
	pthread_mutex_unlock(&device->lock);
	/* A table at the end of the address space does not go on at its start. */
	if (!address || address + number * size < address)
		return false;
	from = device->ops->map(device->opaque, address + number * size, size, false);
	if (!from)
		return false;
	memcpy(entry, from, size);
	return true;
}

/* Kill what the queue runs and forget the packet in hand. */
static void kill_queue(struct device *device, struct queue *queue)
{
	if (device->running == queue) {
		device->verdict = VERDICT_DROP; /* the execution is freed when the engine has come back */
		queue->execution = NULL;
	}
	queue_abandon(queue);
}

static void stop_for_good(struct device *device, struct queue *queue)
{
	kill_queue(device, queue);
	queue_set_state(device, queue, AXL_QUEUE_OFF);
}

static enum axl_command_result context_update(struct device *device, uint64_t number)
{
	struct axl_context_desc desc;
	struct context *context;
	uint64_t reserved = 0;
	uint8_t *status = NULL;

	if (number >= AXL_MAX_CONTEXTS)
		return AXL_CMD_BAD_ARGUMENT;
	if (!read_entry(device, &device->context_table, number, &desc, sizeof(desc)))
		return AXL_CMD_NO_ACCESS;
	for (int i = 0; i < 5; i++)
		reserved |= desc.reserved[i];
	if (desc.valid > 1 || desc.reserved0 || reserved ||
	    (desc.valid && (desc.page_table & ~AXL_PTE_ADDR || desc.status & ~AXL_PTE_ADDR)))
		return AXL_CMD_BAD_DESCRIPTOR;
	if (desc.valid) {
		status = device->ops->map(device->opaque, desc.status, sizeof(struct axl_status_page), true);
		if (!status)
			return AXL_CMD_NO_ACCESS;
	}
	context = &device->contexts[number];
	for (unsigned int q = 0; q < device->num_live && context->valid; q++) {
		struct queue *queue = &device->queues[q];

		/* Of a context that goes, or whose status page moves, no queue goes on. */
		if (queue->desc.context == number && queue->state != AXL_QUEUE_OFF && status != context->status)
			stop_for_good(device, queue);
	}
	context->valid = desc.valid;
	context->status = status;
	context->status_address = desc.status;
	context->memory = (struct mmu_context){&device->mmu, (unsigned int)number};
	mmu_attach(&device->mmu, (unsigned int)number, desc.valid ? desc.page_table : 0);
	if (device->tile_context == number)
		device->tile_context = AXL_MAX_CONTEXTS;
	return AXL_CMD_OK;
}

static enum axl_command_result tlb_invalidate(struct device *device, uint64_t number)
{
	uint64_t value = 0;

	if (number >= AXL_MAX_CONTEXTS)
		return AXL_CMD_BAD_ARGUMENT;
	mmu_forget(&device->mmu, (unsigned int)number);
	if (!device_fault(device, DEVICE_SITE_INVALIDATE, 0, &value))
		mmu_invalidate(&device->mmu, (unsigned int)number);
	return AXL_CMD_OK;
}

static bool good_descriptor(const struct device *device, uint64_t number, const struct axl_queue_desc *desc)
{
	if (desc->valid != 1 || desc->reserved[0] | desc->reserved[1] || desc->context >= AXL_MAX_CONTEXTS ||
	    !device->contexts[desc->context].valid || desc->slot >= AXL_QUEUES_PER_CONTEXT ||
	    desc->slots < AXL_RING_MIN_SLOTS || desc->slots > AXL_RING_MAX_SLOTS || desc->slots & (desc->slots - 1) ||
	    desc->ring % AXL_PACKET_BYTES || desc->ring >> AXL_VA_BITS || desc->index % AXL_PAGE_BYTES ||
	    desc->index >> AXL_VA_BITS || desc->priority >= AXL_NUM_PRIORITIES || desc->flags & ~AXL_QUEUE_BOUNDED ||
	    (desc->flags & AXL_QUEUE_BOUNDED && !desc->watchdog))
		return false;
	for (unsigned int q = 0; q < device->num_live; q++)
		if (q != number && device->queues[q].state != AXL_QUEUE_OFF &&
		    device->queues[q].desc.context == desc->context && device->queues[q].desc.slot == desc->slot)
			return false;
	return true;
}

static enum axl_command_result queue_begin(struct device *device, struct queue *queue, uint64_t number)
{
	struct axl_queue_desc desc;
	struct axl_status_page *page;

	if (!read_entry(device, &device->queue_table, number, &desc, sizeof(desc)))
		return AXL_CMD_NO_ACCESS;
	if (!good_descriptor(device, number, &desc))
		return AXL_CMD_BAD_DESCRIPTOR;
	page = (struct axl_status_page *)(void *)device->contexts[desc.context].status;
	if (!desc.watchdog)
		desc.watchdog = device->config.watchdog;
	*queue = (struct queue){.desc = desc, .status = &page->queue[desc.slot], .turn = ++device->turns};
	/* The status page is the driver's: its words are what a queue goes on from. */
	queue->retired = __atomic_load_n(&queue->status->retired, __ATOMIC_ACQUIRE);
	queue->cycles = __atomic_load_n(&queue->status->busy_cycles, __ATOMIC_RELAXED);
	queue->read = queue->written = queue->retired;
	__atomic_store_n(&queue->status->event, AXL_EVENT_AWAKE, __ATOMIC_RELAXED);
	__atomic_store_n(&queue->status->error, 0, __ATOMIC_RELAXED);
	queue_set_state(device, queue, AXL_QUEUE_RUNNING);
	return AXL_CMD_OK;
}

static enum axl_command_result queue_start(struct device *device, uint64_t number)
{
	struct queue *queue = &device->queues[number < DEVICE_NUM_QUEUES ? number : 0];

	if (number >= DEVICE_NUM_QUEUES)
		return AXL_CMD_BAD_ARGUMENT;
	if (queue->state == AXL_QUEUE_SUSPENDED) {
		__atomic_store_n(&queue->status->event, AXL_EVENT_AWAKE, __ATOMIC_RELAXED);
		queue_set_state(device, queue, AXL_QUEUE_RUNNING);
		return AXL_CMD_OK;
	}
	if (queue->state != AXL_QUEUE_OFF)
		return AXL_CMD_BAD_ARGUMENT;
	if (device->num_live <= number)
		device->num_live = (unsigned int)number + 1;
	return queue_begin(device, queue, number);
}

static enum axl_command_result queue_stop(struct device *device, uint64_t number)
{
	struct queue *queue = &device->queues[number < device->num_live ? number : 0];

	if (number >= device->num_live || queue->state != AXL_QUEUE_RUNNING)
		return AXL_CMD_BAD_ARGUMENT;
	if (device->running == queue)
		queue->stopping = true;
	else
		queue_set_state(device, queue, AXL_QUEUE_SUSPENDED);
	return AXL_CMD_OK;
}

static enum axl_command_result queue_reset(struct device *device, uint64_t number)
{
	struct queue *queue = &device->queues[number < device->num_live ? number : 0];

	if (number >= device->num_live || queue->state == AXL_QUEUE_OFF)
		return AXL_CMD_BAD_ARGUMENT;
	if (queue->busy) {
		queue->retired++;
		__atomic_store_n(&queue->status->dropped, queue->retired, __ATOMIC_RELAXED);
	}
	kill_queue(device, queue);
	queue_publish(device, queue);
	__atomic_fetch_add(&queue->status->generation, 1, __ATOMIC_RELAXED);
	queue_set_state(device, queue, AXL_QUEUE_OFF);
	return AXL_CMD_OK;
}

static enum axl_command_result tile_reset(struct device *device, uint64_t mask)
{
	struct axl_cmdbuf header;

	if (!mask || mask >> device->config.engine.tiles)
		return AXL_CMD_BAD_ARGUMENT;
	if (!device->running)
		return AXL_CMD_OK;
	memcpy(&header, device->running->execution->code, sizeof(header));
	if (mask & ((1ull << (header.num_tiles < 64 ? header.num_tiles : 63)) - 1))
		device->verdict = VERDICT_TILE_RESET;
	return AXL_CMD_OK;
}

enum axl_command_result device_command(struct device *device, enum axl_command command, uint64_t arg)
{
	switch (command) {
	case AXL_CMD_CONTEXT_UPDATE:
		return context_update(device, arg);
	case AXL_CMD_TLB_INVALIDATE:
		return tlb_invalidate(device, arg);
	case AXL_CMD_QUEUE_START:
		return queue_start(device, arg);
	case AXL_CMD_QUEUE_STOP:
		return queue_stop(device, arg);
	case AXL_CMD_QUEUE_RESET:
		return queue_reset(device, arg);
	case AXL_CMD_TILE_RESET:
		return tile_reset(device, arg);
	}
	return AXL_CMD_BAD_ARGUMENT;
}
