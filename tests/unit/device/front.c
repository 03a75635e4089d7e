/* SPDX-License-Identifier: MIT */
/* See front.h. */
#include "tests/unit/device/front.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/core/device_internal.h"

static void *map(void *opaque, uint64_t address, uint64_t size, bool write)
{
	struct front *front = opaque;

	(void)write;
	if (address < BUS_BASE || address - BUS_BASE > ARENA_BYTES || size > ARENA_BYTES - (address - BUS_BASE))
		return NULL;
	return front->arena + (address - BUS_BASE);
}

static void irq(void *opaque, unsigned int vector)
{
	((struct front *)opaque)->irqs[vector]++;
}

static const struct device_host_ops ops = {.map = map, .irq = irq};

void *front_alloc(struct front *front, uint64_t size)
{
	void *memory = front->arena + front->next;

	front->next += (size + AXL_PAGE_BYTES - 1) & ~(uint64_t)(AXL_PAGE_BYTES - 1);
	assert_true(front->next <= ARENA_BYTES);
	return memory;
}

uint64_t front_bus(const struct front *front, const void *memory)
{
	return BUS_BASE + (uint64_t)((const uint8_t *)memory - front->arena);
}

uint64_t front_va(const struct front *front, const void *memory)
{
	return USER_VA + (uint64_t)((const uint8_t *)memory - front->arena);
}

static unsigned int width(enum axl_reg reg)
{
#define WIDTH(name, offset, bits, access, text) \
	if (reg == AXL_REG_##name)              \
		return bits / 8;
	AXL_REGS(WIDTH)
#undef WIDTH
	return 4;
}

uint64_t front_read(struct front *front, enum axl_reg reg)
{
	return device_reg_read(front->device, reg, width(reg));
}

void front_write(struct front *front, enum axl_reg reg, uint64_t value)
{
	device_reg_write(front->device, reg, value, width(reg));
}

void front_run(struct front *front)
{
	while (device_run(front->device, 1000))
		;
}

enum axl_command_result front_command(struct front *front, enum axl_command command, uint64_t arg)
{
	front_write(front, AXL_REG_COMMAND_ARG, arg);
	front_write(front, AXL_REG_COMMAND, command);
	assert_true(front_read(front, AXL_REG_STATUS) & AXL_STATUS_COMMAND_BUSY);
	device_run(front->device, 1);
	assert_false(front_read(front, AXL_REG_STATUS) & AXL_STATUS_COMMAND_BUSY);
	return (enum axl_command_result)front_read(front, AXL_REG_COMMAND_RESULT);
}

void front_init(struct front *front, const char *target)
{
	struct device_config config = {.threads = 1, .timing = true, .passive = true};

	memset(front, 0, sizeof(*front));
	config.engine = *engine_config_find(target);
	config.engine.mem_bytes = 4 << 20;
	front->arena = calloc(1, ARENA_BYTES);
	assert_non_null(front->arena);
	assert_int_equal(device_create(&config, &ops, front, &front->device), 0);
	front->contexts = front_alloc(front, AXL_MAX_CONTEXTS * sizeof(*front->contexts));
	front->queues = front_alloc(front, DEVICE_NUM_QUEUES * sizeof(*front->queues));
	front->faults = front_alloc(front, FAULT_RECORDS * sizeof(*front->faults));
	front_write(front, AXL_REG_CONTEXT_TABLE, front_bus(front, front->contexts));
	front_write(front, AXL_REG_QUEUE_TABLE, front_bus(front, front->queues));
	front_write(front, AXL_REG_FAULT_RING, front_bus(front, front->faults));
	front_write(front, AXL_REG_FAULT_SIZE, FAULT_RECORDS);
	front_write(front, AXL_REG_CONTROL, AXL_CONTROL_ENABLE);
	front_run(front);
}

void front_finish(struct front *front)
{
	device_destroy(front->device);
	free(front->arena);
}

static uint64_t *link_table(struct front *front, uint64_t *table, uint64_t va, int level)
{
	uint64_t *next = front_alloc(front, AXL_PAGE_BYTES);

	table[va >> (12 + 9 * level) & 511] = front_bus(front, next) | AXL_PTE_VALID;
	return next;
}

void front_context(struct front *front, unsigned int number)
{
	const uint64_t rights = AXL_PTE_VALID | AXL_PTE_READ | AXL_PTE_WRITE | AXL_PTE_EXEC;
	uint64_t *root = front_alloc(front, AXL_PAGE_BYTES), *level2, *level1;

	front->root[number] = root;
	front->status[number] = front_alloc(front, AXL_PAGE_BYTES);
	level2 = link_table(front, root, USER_VA, 3);
	level1 = link_table(front, level2, USER_VA, 2);
	front->leaves[number] = NULL;
	for (uint64_t at = 0; at < ARENA_BYTES; at += AXL_LARGE_PAGE_BYTES) {
		uint64_t *leaves = link_table(front, level1, USER_VA + at, 1);

		front->leaves[number] = at ? front->leaves[number] : leaves;
		for (uint64_t page = 0; page < AXL_LARGE_PAGE_BYTES; page += AXL_PAGE_BYTES)
			leaves[page >> 12] = (BUS_BASE + at + page) | rights;
	}
	level1 = link_table(front, link_table(front, root, LOCAL_VA, 3), LOCAL_VA, 2);
	level1[LOCAL_VA >> 21 & 511] = rights | AXL_PTE_LOCAL | AXL_PTE_LEAF;
	front->contexts[number] = (struct axl_context_desc){
		.valid = 1,
		.page_table = front_bus(front, root),
		.status = front_bus(front, front->status[number]),
	};
	assert_int_equal(front_command(front, AXL_CMD_CONTEXT_UPDATE, number), AXL_CMD_OK);
}

struct producer front_queue(struct front *front, unsigned int number, unsigned int context, uint32_t priority,
			    uint32_t flags, uint32_t timeslice, uint32_t watchdog)
{
	struct producer p = {.front = front, .number = number};

	p.ring = front_alloc(front, RING_SLOTS * AXL_PACKET_BYTES);
	p.index = front_alloc(front, AXL_PAGE_BYTES);
	p.status = &front->status[context]->queue[number];
	p.desc = &front->queues[number];
	*p.desc = (struct axl_queue_desc){
		.valid = 1,
		.context = context,
		.slot = number,
		.slots = RING_SLOTS,
		.ring = front_va(front, p.ring),
		.index = front_va(front, p.index),
		.priority = priority,
		.flags = flags,
		.timeslice = timeslice,
		.watchdog = watchdog,
	};
	assert_int_equal(front_command(front, AXL_CMD_QUEUE_START, number), AXL_CMD_OK);
	return p;
}

void front_push(struct producer *producer, const void *packet)
{
	assert_true(producer->index->write - producer->status->retired < RING_SLOTS);
	memcpy(&producer->ring[producer->index->write & (RING_SLOTS - 1)], packet, AXL_PACKET_BYTES);
	producer->index->write++;
}

void *front_cmdbuf(struct front *front, const union axl_insn *insns, unsigned int count, uint32_t num_bases)
{
	uint32_t size = (uint32_t)sizeof(struct axl_cmdbuf) + (count + 1) * AXL_SLOT_BYTES;
	struct axl_cmdbuf *header = front_alloc(front, size);
	union axl_insn end = {.header = {.opcode = AXL_OP_END, .slots = 1, .pipe = AXL_PIPE_SEQ}};
	uint8_t *stream = (uint8_t *)(header + 1);

	*header = (struct axl_cmdbuf){
		.magic = AXL_CMDBUF_MAGIC,
		.version = AXL_ISA_VERSION,
		.num_tiles = 1,
		.size = size,
		.num_bases = num_bases,
		.streams[0] = {sizeof(*header), (count + 1) * AXL_SLOT_BYTES},
	};
	for (unsigned int i = 0; i < count; i++)
		memcpy(stream + i * AXL_SLOT_BYTES, &insns[i], AXL_SLOT_BYTES);
	memcpy(stream + count * AXL_SLOT_BYTES, &end, AXL_SLOT_BYTES);
	return header;
}

struct axl_packet_execute front_execute(struct front *front, const void *cmdbuf)
{
	return (struct axl_packet_execute){
		.header.opcode = AXL_PKT_EXECUTE,
		.cmdbuf = front_va(front, cmdbuf),
		.size = ((const struct axl_cmdbuf *)cmdbuf)->size,
	};
}
