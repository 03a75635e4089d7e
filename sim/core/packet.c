/* SPDX-License-Identifier: MIT */
/* Packets: which are well formed, and what those that need no tile do. EXECUTE is schedule.c's. */
#include <errno.h>
#include <string.h>

#include "sim/core/device_internal.h"

#define COPY_CHUNK (1u << 20) /* bytes between two looks at commands and other queues */
#define PACKET_CYCLES 32
#define HANG_CYCLES 1024 /* a packet that hangs takes, between two looks at the rest */

static int malformed(struct engine_fault *fault, uint64_t value)
{
	fault->cause = AXL_CAUSE_PACKET;
	fault->address = value;
	return -EFAULT;
}

/* ---- checks: the field that is wrong is the fault's address ---- */

static int check_nop(const struct queue *queue, struct engine_fault *fault)
{
	const uint8_t *bytes = queue->packet.bytes;

	for (size_t i = sizeof(struct axl_packet_header); i < AXL_PACKET_BYTES; i++)
		if (bytes[i])
			return malformed(fault, bytes[i]);
	return 0;
}

static int check_execute(const struct queue *queue, struct engine_fault *fault)
{
	const struct axl_packet_execute *p = &queue->packet.execute;

	if (p->reserved[0] | p->reserved[1])
		return malformed(fault, p->reserved[0] | p->reserved[1]);
	if (p->cmdbuf % 64)
		return malformed(fault, p->cmdbuf);
	if (p->size < sizeof(struct axl_cmdbuf) || p->size > DEVICE_MAX_CMDBUF)
		return malformed(fault, p->size);
	if (p->args % 8)
		return malformed(fault, p->args);
	if (p->stats % 8)
		return malformed(fault, p->stats);
	if (p->trace_size % sizeof(struct axl_trace_record) || p->trace_size > DEVICE_MAX_TRACE ||
	    (p->trace_size && !p->trace))
		return malformed(fault, p->trace_size);
	return 0;
}

static int check_copy(const struct queue *queue, struct engine_fault *fault)
{
	const struct axl_packet_copy *p = &queue->packet.copy;

	if (p->reserved[0] | p->reserved[1] | p->reserved[2] | p->reserved[3])
		return malformed(fault, p->reserved[0]);
	if (p->size > 1ull << AXL_VA_BITS || p->dst >> AXL_VA_BITS || p->src >> AXL_VA_BITS)
		return malformed(fault, p->size);
	if (p->dst < p->src + p->size && p->src < p->dst + p->size)
		return malformed(fault, p->dst);
	return 0;
}

static int check_fill(const struct queue *queue, struct engine_fault *fault)
{
	const struct axl_packet_fill *p = &queue->packet.fill;

	if (p->reserved0 | p->reserved[0] | p->reserved[1] | p->reserved[2] | p->reserved[3])
		return malformed(fault, p->reserved0);
	if (p->dst % 4 || p->size % 4)
		return malformed(fault, p->dst % 4 ? p->dst : p->size);
	return 0;
}

static int check_fence(const struct queue *queue, struct engine_fault *fault)
{
	const struct axl_packet_fence *p = &queue->packet.fence;
	bool wait = p->header.opcode == AXL_PKT_WAIT;

	if (p->reserved0 | p->reserved[0] | p->reserved[1] | p->reserved[2] | p->reserved[3])
		return malformed(fault, p->reserved0);
	if (p->address % 8)
		return malformed(fault, p->address);
	if (p->op > (wait ? AXL_WAIT_LT : 0))
		return malformed(fault, p->op);
	if (wait && queue->desc.flags & AXL_QUEUE_BOUNDED)
		return malformed(fault, p->address);
	return 0;
}

static int check_timestamp(const struct queue *queue, struct engine_fault *fault)
{
	const struct axl_packet_timestamp *p = &queue->packet.timestamp;

	for (int i = 0; i < 6; i++)
		if (p->reserved[i])
			return malformed(fault, p->reserved[i]);
	return p->address % 8 ? malformed(fault, p->address) : 0;
}

/* ---- effects ---- */

static enum packet_result run_nop(struct device *device, struct queue *queue, struct engine_fault *fault)
{
	(void)device, (void)queue, (void)fault;
	return PACKET_DONE;
}

static enum packet_result run_execute(struct device *device, struct queue *queue, struct engine_fault *fault)
{
	(void)device, (void)queue, (void)fault;
	return PACKET_TILES;
}

static struct mmu_context *memory_of(struct device *device, const struct queue *queue)
{
	return &device->contexts[queue->desc.context].memory;
}

/* Cycles of the copy engine: the slower memory's rate; latency once a packet. */
static void spend_bytes(struct device *device, struct queue *queue, uint64_t bytes, bool local, bool both)
{
	const struct engine_config *config = &device->config.engine;
	uint64_t rate = local ? config->dram_rate : config->host_rate;
	uint64_t latency = local ? config->dram_latency : config->host_latency;

	uint64_t cycles = (bytes + rate - 1) / rate * (both && local ? 2 : 1) + (queue->moved ? 0 : latency);

	queue->spent += cycles;
	queue_spend(device, queue, cycles);
	if (local)
		device->dram_bytes += both ? 2 * bytes : bytes;
	else
		device->host_bytes += bytes;
}

/* The watchdog holds for every packet that runs. */
static bool too_long(const struct queue *queue, struct engine_fault *fault)
{
	if (!queue->desc.watchdog || queue->spent <= queue->desc.watchdog * 1024ull)
		return false;
	fault->cause = AXL_CAUSE_WATCHDOG;
	fault->address = queue->moved;
	return true;
}

static enum packet_result run_copy(struct device *device, struct queue *queue, struct engine_fault *fault)
{
	const struct axl_packet_copy *p = &queue->packet.copy;
	uint64_t budget = COPY_CHUNK;

	while (queue->moved < p->size && budget) {
		struct mmu_context *memory = memory_of(device, queue);
		uint64_t bytes = p->size - queue->moved, src_bytes, dst_bytes;
		uint8_t *src, *dst;
		bool src_local, dst_local;

		if (mmu_stretch(memory, p->src + queue->moved, AXL_ACCESS_READ, &src, &src_bytes, &src_local, fault) ||
		    mmu_stretch(memory, p->dst + queue->moved, AXL_ACCESS_WRITE, &dst, &dst_bytes, &dst_local, fault))
			return PACKET_FAULT;
		bytes = bytes < src_bytes ? bytes : src_bytes;
		bytes = bytes < dst_bytes ? bytes : dst_bytes;
		bytes = bytes < budget ? bytes : budget;
		memmove(dst, src, bytes); /* two addresses may lead to the same page */
		spend_bytes(device, queue, bytes, src_local && dst_local, true);
		queue->moved += bytes;
		budget -= bytes;
		if (too_long(queue, fault))
			return PACKET_FAULT;
	}
	return queue->moved == p->size ? PACKET_DONE : PACKET_AGAIN;
}

static enum packet_result run_fill(struct device *device, struct queue *queue, struct engine_fault *fault)
{
	const struct axl_packet_fill *p = &queue->packet.fill;
	uint64_t budget = COPY_CHUNK;

	while (queue->moved < p->size && budget) {
		uint64_t bytes = p->size - queue->moved, covered;
		uint8_t *dst;
		bool local;

		if (mmu_stretch(memory_of(device, queue), p->dst + queue->moved, AXL_ACCESS_WRITE, &dst, &covered,
				&local, fault))
			return PACKET_FAULT;
		bytes = bytes < covered ? bytes : covered;
		bytes = bytes < budget ? bytes : budget;
		for (uint64_t at = 0; at < bytes; at += 4)
			memcpy(dst + at, &p->pattern, 4);
		spend_bytes(device, queue, bytes, local, false);
		queue->moved += bytes;
		budget -= bytes;
		if (too_long(queue, fault))
			return PACKET_FAULT;
	}
	return queue->moved == p->size ? PACKET_DONE : PACKET_AGAIN;
}

static bool compare(uint32_t op, uint64_t word, uint64_t value)
{
	switch (op) {
	case AXL_WAIT_EQ:
		return word == value;
	case AXL_WAIT_NE:
		return word != value;
	case AXL_WAIT_GE:
		return word >= value;
	case AXL_WAIT_GT:
		return word > value;
	case AXL_WAIT_LE:
		return word <= value;
	default:
		return word < value;
	}
}

static enum packet_result run_wait(struct device *device, struct queue *queue, struct engine_fault *fault)
{
	const struct axl_packet_fence *p = &queue->packet.fence;
	uint64_t *word;

	if (mmu_word(memory_of(device, queue), p->address, AXL_ACCESS_READ, &word, fault))
		return PACKET_FAULT;
	return compare(p->op, __atomic_load_n(word, __ATOMIC_ACQUIRE), p->value) ? PACKET_DONE : PACKET_BLOCKED;
}

static enum packet_result store_word(struct device *device, struct queue *queue, uint64_t address, uint64_t value,
				     struct engine_fault *fault)
{
	uint64_t *word;

	if (mmu_word(memory_of(device, queue), address, AXL_ACCESS_WRITE, &word, fault))
		return PACKET_FAULT;
	/* After everything that earlier packets of the queue wrote: the contract's release. */
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	return PACKET_DONE;
}

static enum packet_result run_signal(struct device *device, struct queue *queue, struct engine_fault *fault)
{
	return store_word(device, queue, queue->packet.fence.address, queue->packet.fence.value, fault);
}

static enum packet_result run_timestamp(struct device *device, struct queue *queue, struct engine_fault *fault)
{
	return store_word(device, queue, queue->packet.timestamp.address, device->cycles, fault);
}

static const struct {
	int (*check)(const struct queue *queue, struct engine_fault *fault);
	enum packet_result (*run)(struct device *device, struct queue *queue, struct engine_fault *fault);
} packets[AXL_NUM_PACKETS] = {
	[AXL_PKT_NOP] = {check_nop, run_nop},
	[AXL_PKT_EXECUTE] = {check_execute, run_execute},
	[AXL_PKT_COPY] = {check_copy, run_copy},
	[AXL_PKT_FILL] = {check_fill, run_fill},
	[AXL_PKT_WAIT] = {check_fence, run_wait},
	[AXL_PKT_SIGNAL] = {check_fence, run_signal},
	[AXL_PKT_TIMESTAMP] = {check_timestamp, run_timestamp},
};

int packet_check(const struct queue *queue, struct engine_fault *fault)
{
	const struct axl_packet_header *header = &queue->packet.header;

	if (header->opcode >= AXL_NUM_PACKETS)
		return malformed(fault, header->opcode);
	if (header->flags & ~AXL_PF_INTERRUPT || header->reserved)
		return malformed(fault, header->flags);
	return packets[header->opcode].check(queue, fault);
}

enum packet_result packet_run(struct device *device, struct queue *queue, struct engine_fault *fault)
{
	enum packet_result result;

	if (queue->hung) {
		queue->spent += HANG_CYCLES;
		queue_spend(device, queue, HANG_CYCLES);
		return too_long(queue, fault) ? PACKET_FAULT : PACKET_AGAIN;
	}
	result = packets[queue->packet.header.opcode].run(device, queue, fault);

	if (result == PACKET_DONE)
		queue_spend(device, queue, PACKET_CYCLES);
	return result;
}
