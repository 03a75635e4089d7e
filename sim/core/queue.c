/* SPDX-License-Identifier: MIT */
/*
 * One queue: its ring, its indices, its entry of the status page. The protocol with the producer is at the top of
 * uapi/axl/axl_queue.h. Ring and index page are the program's memory: each word is read once, and nothing read is
 * trusted.
 */
#include <errno.h>
#include <string.h>

#include "sim/core/device_internal.h"

#define BATCH 64 /* packets of a queue before the others are looked at */

static struct mmu_context *memory_of(struct device *device, const struct queue *queue)
{
	return &device->contexts[queue->desc.context].memory;
}

void queue_spend(struct device *device, struct queue *queue, uint64_t cycles)
{
	if (!device->config.timing)
		return;
	device->cycles += cycles;
	queue->cycles += cycles;
}

void queue_interrupt(struct device *device, const struct queue *queue)
{
	device_interrupt(device, 1 + queue->desc.context % (AXL_NUM_VECTORS - 1), 0, 1ull << queue->desc.context);
}

void queue_abandon(struct queue *queue)
{
	schedule_free(queue->execution);
	queue->execution = NULL;
	queue->busy = queue->stopping = false;
	queue->moved = 0;
}

void queue_set_state(struct device *device, struct queue *queue, enum axl_queue_state state)
{
	queue->state = state;
	/* Pairs with the driver's acquire of state: indices and error before it. */
	__atomic_store_n(&queue->status->state, (uint32_t)state, __ATOMIC_RELEASE);
	queue_interrupt(device, queue);
}

void queue_retire(struct device *device, struct queue *queue)
{
	queue->interrupt |= queue->packet.header.flags & AXL_PF_INTERRUPT;
	queue->busy = false;
	queue->moved = 0;
	queue->retired++;
	device->packets++;
}

void queue_publish(struct device *device, struct queue *queue)
{
	struct axl_queue_status *status = queue->status;
	uint64_t before = __atomic_load_n(&status->retired, __ATOMIC_RELAXED) - queue->excess, notify;

	if (before == queue->retired)
		return;
	device_fault(device, DEVICE_SITE_RETIRE, (unsigned int)(queue - device->queues), &queue->excess);
	__atomic_store_n(&status->busy_cycles, queue->cycles, __ATOMIC_RELAXED);
	/* Pairs with the acquire of everybody who polls it: what the packets wrote is visible first. */
	__atomic_store_n(&status->retired, queue->retired + queue->excess, __ATOMIC_RELEASE);
	/* Full barrier: pairs with the sleeper's, between its store of notify and its last look at retired. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	notify = __atomic_load_n(&status->notify, __ATOMIC_RELAXED);
	if (queue->interrupt || (notify > before && notify <= queue->retired))
		queue_interrupt(device, queue);
	queue->interrupt = false;
}

/* ---- fetching ---- */

static int load_write_index(struct device *device, struct queue *queue, uint64_t *write, struct engine_fault *fault)
{
	uint64_t *word;
	int err = mmu_word(memory_of(device, queue), queue->desc.index + offsetof(struct axl_queue_index, write),
			   AXL_ACCESS_READ, &word, fault);

	if (!err)
		/* Pairs with the producer's release: the packets below it are written. */
		*write = __atomic_load_n(word, __ATOMIC_ACQUIRE);
	return err;
}

static int store_read_index(struct device *device, struct queue *queue, struct engine_fault *fault)
{
	uint64_t *word;
	int err = mmu_word(memory_of(device, queue), queue->desc.index + offsetof(struct axl_queue_index, read),
			   AXL_ACCESS_WRITE, &word, fault);

	if (!err)
		__atomic_store_n(word, queue->read, __ATOMIC_RELEASE);
	return err;
}

/* What is to go wrong with the packet that was copied. */
static void inject(struct device *device, struct queue *queue)
{
	unsigned int number = (unsigned int)(queue - device->queues);
	uint64_t value = 0;

	if (device_fault(device, DEVICE_SITE_FETCH, number, &value))
		queue->packet.bytes[value % AXL_PACKET_BYTES] ^= (uint8_t)(1 + value / AXL_PACKET_BYTES % 255);
	queue->hung = queue->packet.header.opcode != AXL_PKT_EXECUTE &&
		      device_fault(device, DEVICE_SITE_PACKET, number, &value);
}

/* Take the next packet in hand. 0: there is none; 1: it is there; -EFAULT. */
static int fetch(struct device *device, struct queue *queue, struct engine_fault *fault)
{
	uint64_t slot;
	int err;

	if (queue->read == queue->written) {
		uint64_t write;

		err = load_write_index(device, queue, &write, fault);
		if (err)
			return err;
		if (write - queue->read > queue->desc.slots) {
			fault->cause = AXL_CAUSE_RING;
			fault->address = write;
			return -EFAULT;
		}
		if (write == queue->read)
			return 0;
		queue->written = write;
	}
	slot = queue->read & (queue->desc.slots - 1);
	err = mmu_read(memory_of(device, queue), queue->desc.ring + slot * AXL_PACKET_BYTES, &queue->packet,
		       AXL_PACKET_BYTES, AXL_ACCESS_READ, fault);
	if (err)
		return err;
	queue->read++;
	inject(device, queue);
	queue->busy = true;
	queue->moved = queue->spent = 0;
	return 1;
}

/* One packet further, if that needs no tile. True: something moved, and more may. */
static bool step(struct device *device, struct queue *queue)
{
	struct engine_fault fault = {0};
	enum packet_result result = PACKET_FAULT;

	if (!queue->busy) {
		int err = fetch(device, queue, &fault);

		if (!err)
			return false;
		if (err > 0 && !packet_check(queue, &fault))
			result = packet_run(device, queue, &fault);
	} else {
		result = packet_run(device, queue, &fault);
	}
	if (result == PACKET_DONE)
		queue_retire(device, queue);
	if (result == PACKET_FAULT) {
		queue_publish(device, queue);
		fault_report(device, queue, &fault);
	}
	return result == PACKET_DONE || result == PACKET_AGAIN;
}

bool queue_front_pass(struct device *device)
{
	bool moved = false;

	for (unsigned int q = 0; q < device->num_live; q++) {
		struct queue *queue = &device->queues[q];
		uint64_t read = queue->read;
		struct engine_fault fault = {0};

		if (queue->state != AXL_QUEUE_RUNNING)
			continue;
		for (int i = 0; i < BATCH && queue->state == AXL_QUEUE_RUNNING && step(device, queue); i++) {
			moved = true;
			device_pace(device);
		}
		if (queue->state != AXL_QUEUE_RUNNING)
			continue;
		if (queue->read != read && store_read_index(device, queue, &fault))
			fault_report(device, queue, &fault);
		moved |= queue->read != read;
		queue_publish(device, queue);
	}
	return moved;
}

/* ---- sleeping ---- */

void queue_disarm_events(struct device *device)
{
	for (unsigned int q = 0; q < device->num_live; q++)
		if (device->queues[q].state == AXL_QUEUE_RUNNING)
			__atomic_store_n(&device->queues[q].status->event, AXL_EVENT_AWAKE, __ATOMIC_RELAXED);
}

bool queue_arm_events(struct device *device)
{
	for (unsigned int q = 0; q < device->num_live; q++) {
		struct queue *queue = &device->queues[q];

		/* With a packet in hand it looks at its ring afterwards anyway. */
		if (queue->state == AXL_QUEUE_RUNNING && !queue->busy)
			__atomic_store_n(&queue->status->event, queue->read, __ATOMIC_RELAXED);
	}
	/* Pairs with the producer's barrier between its store of write and its load of event. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned int q = 0; q < device->num_live; q++) {
		struct queue *queue = &device->queues[q];
		struct engine_fault fault = {0};
		uint64_t write;

		/* What can not be read faults when it is fetched: that is work as well. */
		if (queue->state == AXL_QUEUE_RUNNING && !queue->busy &&
		    (load_write_index(device, queue, &write, &fault) || write != queue->read))
			return true;
	}
	return false;
}

bool queue_waits_for_memory(const struct device *device)
{
	for (unsigned int q = 0; q < device->num_live; q++)
		if (device->queues[q].state == AXL_QUEUE_RUNNING && device->queues[q].busy &&
		    device->queues[q].packet.header.opcode == AXL_PKT_WAIT)
			return true;
	return false;
}

bool queue_all_idle(const struct device *device)
{
	for (unsigned int q = 0; q < device->num_live; q++)
		if (device->queues[q].state == AXL_QUEUE_RUNNING && device->queues[q].busy)
			return false;
	return true;
}
