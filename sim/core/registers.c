/* SPDX-License-Identifier: MIT */
/*
 * BAR0: which offset is which register, how wide it is and who may write it, from AXL_REGS; reading and writing each.
 * A write only latches; what it asks for happens on the device's thread.
 */
#include "sim/core/registers.h"

#include <string.h>

#include <axl/axl_isa.h>

#include "sim/core/device_internal.h"

enum access { ACCESS_RO, ACCESS_RW, ACCESS_WO, ACCESS_W1C };

struct reg {
	uint32_t offset;
	uint8_t bits, access;
};

static const struct reg regs[] = {
#define REG_ROW(name, offset, bits, access, text) {offset, bits, ACCESS_##access},
	AXL_REGS(REG_ROW)
#undef REG_ROW
};

/* The register that holds [offset, offset + size), when an access of that size is one that the contract allows. */
static const struct reg *find(uint64_t offset, unsigned int size)
{
	if ((size != 4 && size != 8) || offset % size || offset >= AXL_BAR0_BYTES)
		return NULL;
	for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
		if (offset >= regs[i].offset && offset + size <= regs[i].offset + regs[i].bits / 8)
			return &regs[i];
	return NULL;
}

/* Not with something latched that nobody has looked at: a doorbell. What it wakes clears idle before it takes it. */
static bool is_idle(const struct device *device)
{
	return !atomic_load(&device->attention) && device->idle;
}

/* The lock is held. */
static uint64_t load(const struct device *device, enum axl_reg offset)
{
	const struct engine_config *engine = &device->config.engine;

	switch (offset) {
	case AXL_REG_ID:
		return AXL_ID_MAGIC;
	case AXL_REG_VERSION:
		return AXL_ISA_VERSION << 16 | AXL_REG_INTERFACE_VERSION;
	case AXL_REG_TILES:
		return engine->tiles;
	case AXL_REG_SPAD_BYTES:
		return engine->spad_bytes;
	case AXL_REG_ACC_BYTES:
		return engine->acc_bytes;
	case AXL_REG_CLOCK_KHZ:
		return engine->clock_khz;
	case AXL_REG_MEM_SIZE:
		return engine->mem_bytes;
	case AXL_REG_DRAM_RATE:
		return engine->dram_rate;
	case AXL_REG_HOST_RATE:
		return engine->host_rate;
	case AXL_REG_NUM_CONTEXTS:
		return AXL_MAX_CONTEXTS;
	case AXL_REG_NUM_QUEUES:
		return DEVICE_NUM_QUEUES;
	case AXL_REG_DRAM_LATENCY:
		return engine->dram_latency;
	case AXL_REG_HOST_LATENCY:
		return engine->host_latency;
	case AXL_REG_FEATURES:
		return AXL_FEATURE_RACE_CHECK | AXL_FEATURE_PIPE_COUNTERS;
	case AXL_REG_SPAD_BANKS:
		return engine->spad_banks;
	case AXL_REG_CONTROL:
		return device->control;
	case AXL_REG_STATUS:
		return (device->ready ? AXL_STATUS_READY : 0) | (device->command_busy ? AXL_STATUS_COMMAND_BUSY : 0) |
		       (is_idle(device) ? AXL_STATUS_IDLE : 0);
	case AXL_REG_CYCLES:
		return device->cycles;
	case AXL_REG_CONTEXT_TABLE:
		return device->context_table;
	case AXL_REG_QUEUE_TABLE:
		return device->queue_table;
	case AXL_REG_FAULT_RING:
		return device->fault_ring;
	case AXL_REG_FAULT_SIZE:
		return device->fault_size;
	case AXL_REG_FAULT_WRITE:
		return device->fault_write;
	case AXL_REG_FAULT_READ:
		return device->fault_read;
	case AXL_REG_FAULT_DROPPED:
		return device->fault_dropped;
	case AXL_REG_COMMAND_ARG:
		return device->command_arg;
	case AXL_REG_COMMAND:
		return 0;
	case AXL_REG_COMMAND_RESULT:
		return device->command_result;
	case AXL_REG_IRQ_PENDING:
		return device->irq_pending;
	case AXL_REG_IRQ_MASK:
		return device->irq_mask;
	case AXL_REG_IRQ_CAUSE:
		return device->irq_cause;
	case AXL_REG_IRQ_CONTEXTS:
		return device->irq_contexts;
	case AXL_REG_COUNT_PACKETS:
		return device->packets;
	case AXL_REG_COUNT_DOORBELLS:
		return device->doorbells;
	case AXL_REG_COUNT_FAULTS:
		return device->faults;
	case AXL_REG_COUNT_TLB_MISSES:
		return device->tlb_misses;
	case AXL_REG_COUNT_BUSY:
		return device->busy;
	case AXL_REG_COUNT_DRAM_BYTES:
		return device->dram_bytes;
	case AXL_REG_COUNT_HOST_BYTES:
		return device->host_bytes;
#define PIPE_CASE(name, number, text)   \
	case AXL_REG_COUNT_PIPE_##name: \
		return device->pipes[number];
		AXL_PIPES(PIPE_CASE)
#undef PIPE_CASE
	}
	return ~0ull;
}

/* Write @value; what the device's thread has to do about it is returned. The lock is held. */
static unsigned int store(struct device *device, enum axl_reg offset, uint64_t value)
{
	switch (offset) {
	case AXL_REG_CONTROL:
		if (value & AXL_CONTROL_RESET) {
			device->ready = 0;
			return ATTENTION_RESET;
		}
		device->control = (uint32_t)value & (AXL_CONTROL_ENABLE | AXL_CONTROL_RACE_CHECK);
		return ATTENTION_CONTROL;
	case AXL_REG_CONTEXT_TABLE:
		device->context_table = value & ~63ull;
		return 0;
	case AXL_REG_QUEUE_TABLE:
		device->queue_table = value & ~63ull;
		return 0;
	case AXL_REG_FAULT_RING:
		device->fault_ring = value & ~63ull;
		return 0;
	case AXL_REG_FAULT_SIZE:
		/* Not a power of two is no ring: records would land anywhere. */
		device->fault_size = value & (value - 1) ? 0 : (uint32_t)value;
		return 0;
	case AXL_REG_FAULT_READ:
		device->fault_read = (uint32_t)value;
		return 0;
	case AXL_REG_COMMAND_ARG:
		if (!device->command_busy)
			device->command_arg = value;
		return 0;
	case AXL_REG_COMMAND:
		if (device->command_busy || !device->ready)
			return 0;
		device->command = (uint32_t)value;
		device->command_busy = 1;
		return ATTENTION_COMMAND;
	case AXL_REG_IRQ_PENDING:
		device->irq_pending &= ~(uint32_t)value;
		return 0;
	case AXL_REG_IRQ_MASK:
		device->irq_mask = (uint32_t)value & ((1u << AXL_NUM_VECTORS) - 1);
		return 0;
	case AXL_REG_IRQ_CAUSE:
		device->irq_cause &= ~(uint32_t)value;
		return 0;
	case AXL_REG_IRQ_CONTEXTS:
		device->irq_contexts &= ~value;
		return 0;
	default:
		return 0;
	}
}

void registers_reset(struct device *device)
{
	device->control = device->config.race_check ? AXL_CONTROL_RACE_CHECK : 0;
	device->command = device->command_busy = device->command_result = 0;
	device->context_table = device->queue_table = device->fault_ring = device->command_arg = 0;
	device->fault_size = device->fault_write = device->fault_read = device->fault_dropped = 0;
	device->irq_pending = device->irq_mask = device->irq_cause = 0;
	device->irq_contexts = 0;
}

uint64_t device_reg_read(struct device *device, uint64_t offset, unsigned int size)
{
	const struct reg *reg = find(offset, size);
	uint64_t value;

	if (!reg || reg->access == ACCESS_WO)
		return reg ? 0 : size == 8 ? ~0ull : 0xffffffffu;
	pthread_mutex_lock(&device->lock);
	value = load(device, (enum axl_reg)reg->offset);
	pthread_mutex_unlock(&device->lock);
	value >>= 8 * (offset - reg->offset);
	return size == 8 ? value : value & 0xffffffffu;
}

void device_reg_write(struct device *device, uint64_t offset, uint64_t value, unsigned int size)
{
	const struct reg *reg = find(offset, size);
	uint32_t raise = 0;
	unsigned int wants;

	if (!reg || reg->access == ACCESS_RO)
		return;
	pthread_mutex_lock(&device->lock);
	if (size == 4 && reg->bits == 64) {
		unsigned int shift = offset == reg->offset ? 0 : 32;
		uint64_t kept = reg->access == ACCESS_W1C ? 0 : load(device, (enum axl_reg)reg->offset);

		value = (kept & ~(0xffffffffull << shift)) | (value & 0xffffffffu) << shift;
	} else if (size == 4) {
		value &= 0xffffffffu;
	}
	wants = store(device, (enum axl_reg)reg->offset, value);
	if (reg->offset == AXL_REG_IRQ_MASK)
		raise = device->irq_pending & ~device->irq_mask;
	if (wants) {
		atomic_fetch_or(&device->attention, wants);
		device_wake(device);
	}
	pthread_mutex_unlock(&device->lock);
	for (unsigned int v = 0; raise; v++, raise >>= 1)
		if (raise & 1)
			device->ops->irq(device->opaque, v);
}
