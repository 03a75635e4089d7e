/* SPDX-License-Identifier: MIT */
/*
 * The whole device under a hostile driver and a hostile program: registers, descriptors, page tables, rings, packets
 * and command buffers. It may fault, never crash or hang, and never touch a byte outside its bus and its local memory.
 *
 * The input is a script over a device that has been brought up: one context whose page tables map the arena and local
 * memory, two running queues. Each operation is a byte, then its operands.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sim/core/device.h"
#include "tests/fuzz/legal_headers.h"

enum { ARENA = 1 << 20, SPAD = 64 << 10, ACC = 16 << 10, LOCAL = 2 << 20, SLOTS = 8, MAX_OPS = 200 };
/* Where things lie in the arena. */
enum {
	CONTEXTS = 0,
	QUEUES = 0x2000,
	FAULTS = 0x8000,
	STATUS = 0xa000,
	ROOT = 0x10000,
	LEVEL2 = 0x11000,
	LEVEL1 = 0x12000,
	LEVEL0 = 0x13000,
	RINGS = 0x20000,
	INDICES = 0x22000,
	CODE = 0x40000,
	DATA = 0x80000,
};
#define BUS 0x100000ull
#define VA 0x200000ull /* the arena; local memory follows at VA + 2 MiB */

static uint8_t *arena;
static struct device *device;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *map(void *opaque, uint64_t address, uint64_t size, bool write)
{
	(void)opaque, (void)write;
	if (address < BUS || address - BUS > ARENA || size > ARENA - (address - BUS))
		return NULL;
	return arena + (address - BUS);
}

static void irq(void *opaque, unsigned int vector)
{
	(void)opaque;
	/* A driver clears what it was told. */
	device_reg_write(device, AXL_REG_IRQ_PENDING, 1u << vector, 4);
}

/* ---- bring-up ---- */

static void put64(uint32_t at, uint64_t value)
{
	memcpy(arena + at, &value, 8);
}

static void command(uint32_t what, uint64_t arg)
{
	/* Without a watchdog a program may run for ever, by right: here every queue gets one. */
	for (unsigned int q = 0; q < 256; q++) {
		struct axl_queue_desc *desc = (struct axl_queue_desc *)(void *)(arena + QUEUES) + q;

		desc->watchdog = desc->watchdog % 64 + 1;
	}
	device_reg_write(device, AXL_REG_COMMAND_ARG, arg, 8);
	device_reg_write(device, AXL_REG_COMMAND, what, 4);
	device_run(device, 4);
}

static void bring_up(void)
{
	const uint64_t rights = AXL_PTE_VALID | AXL_PTE_READ | AXL_PTE_WRITE | AXL_PTE_EXEC;

	memset(arena, 0, ARENA);
	device_reg_write(device, AXL_REG_CONTROL, AXL_CONTROL_RESET, 4);
	device_run(device, 4);
	device_reg_write(device, AXL_REG_CONTEXT_TABLE, BUS + CONTEXTS, 8);
	device_reg_write(device, AXL_REG_QUEUE_TABLE, BUS + QUEUES, 8);
	device_reg_write(device, AXL_REG_FAULT_RING, BUS + FAULTS, 8);
	device_reg_write(device, AXL_REG_FAULT_SIZE, 4, 4);
	put64(ROOT, (BUS + LEVEL2) | AXL_PTE_VALID);
	put64(LEVEL2, (BUS + LEVEL1) | AXL_PTE_VALID);
	put64(LEVEL1 + 8, (BUS + LEVEL0) | AXL_PTE_VALID);
	put64(LEVEL1 + 16, rights | AXL_PTE_LOCAL | AXL_PTE_LEAF);
	for (unsigned int p = 0; p < ARENA / 4096; p++)
		put64(LEVEL0 + 8 * p, (BUS + p * 4096u) | rights);
	*(struct axl_context_desc *)(void *)(arena + CONTEXTS) =
		(struct axl_context_desc){.valid = 1, .page_table = BUS + ROOT, .status = BUS + STATUS};
	command(AXL_CMD_CONTEXT_UPDATE, 0);
	for (unsigned int q = 0; q < 2; q++) {
		((struct axl_queue_desc *)(void *)(arena + QUEUES))[q] = (struct axl_queue_desc){
			.valid = 1,
			.slot = q,
			.slots = SLOTS,
			.ring = VA + RINGS + q * 4096,
			.index = VA + INDICES + q * 4096,
			.priority = q,
			.timeslice = 1,
			.watchdog = 64,
		};
		command(AXL_CMD_QUEUE_START, q);
	}
	device_reg_write(device, AXL_REG_CONTROL, AXL_CONTROL_ENABLE, 4);
	device_run(device, 4);
}

/* ---- the script ---- */

struct script {
	const uint8_t *at, *end;
};

static void take(struct script *script, void *to, size_t bytes)
{
	size_t left = (size_t)(script->end - script->at), n = bytes < left ? bytes : left;

	memset(to, 0, bytes);
	memcpy(to, script->at, n);
	script->at += n;
}

static uint32_t take32(struct script *script)
{
	uint32_t value;

	take(script, &value, 4);
	return value;
}

static uint8_t take8(struct script *script)
{
	uint8_t value;

	take(script, &value, 1);
	return value;
}

/* An address that is likely to be mapped. */
static uint64_t likely(uint32_t value)
{
	return VA + (value % (ARENA + (1 << 19))) + (value >> 31 ? 2u << 20 : 0);
}

static void push(uint8_t q, union axl_packet *packet)
{
	struct axl_queue_index *index = (struct axl_queue_index *)(void *)(arena + INDICES + (q & 1) * 4096);

	memcpy(arena + RINGS + (q & 1) * 4096 + index->write % SLOTS * AXL_PACKET_BYTES, packet, AXL_PACKET_BYTES);
	index->write++;
}

static void push_packet(struct script *script)
{
	union axl_packet packet;
	uint8_t q = take8(script), opcode = take8(script);

	take(script, &packet, 32);
	memset(packet.bytes + 32, 0, 32);
	packet.header = (struct axl_packet_header){.opcode = opcode % 8, .flags = opcode >> 7};
	switch (packet.header.opcode) {
	case AXL_PKT_COPY:
		packet.copy.dst = likely((uint32_t)packet.copy.dst);
		packet.copy.src = likely((uint32_t)packet.copy.src);
		packet.copy.size &= 0xfffff;
		break;
	case AXL_PKT_FILL:
		packet.fill.dst = likely((uint32_t)packet.fill.dst) & ~3ull;
		packet.fill.size &= 0xffffc;
		packet.fill.reserved0 = 0;
		break;
	case AXL_PKT_WAIT:
	case AXL_PKT_SIGNAL:
	case AXL_PKT_TIMESTAMP:
		packet.fence.address = likely((uint32_t)packet.fence.address) & ~7ull;
		break;
	default:
		break;
	}
	push(q, &packet);
}

/* Legal headers around whatever the input says: the checks behind the opcode are what is fuzzed. */
static void push_code(struct script *script)
{
	struct axl_cmdbuf *header = (struct axl_cmdbuf *)(void *)(arena + CODE);
	uint8_t q = take8(script), count = take8(script) % 12, tiles = take8(script) % 2 + 1;
	union axl_packet packet = {0};
	uint32_t at = sizeof(*header);

	memset(header, 0, sizeof(*header));
	*header = (struct axl_cmdbuf){
		.magic = AXL_CMDBUF_MAGIC, .version = AXL_ISA_VERSION, .num_tiles = tiles, .num_bases = 2};
	for (uint8_t t = 0; t < tiles; t++) {
		header->streams[t].offset = at;
		for (uint8_t i = 0; i < count; i++) {
			uint8_t kind = take8(script);
			size_t k = kind % NUM_LEGAL_HEADERS;
			union axl_insn *insn = (union axl_insn *)(void *)(arena + CODE + at);
			size_t bytes = legal_headers[k].slots * (size_t)AXL_SLOT_BYTES;

			memset(insn, 0, bytes);
			take(script, insn->bytes + 4, 12); /* waits, signals, tag */
			insn->header.reserved = 0;
			take(script, insn->bytes + 16, kind & 0x80 ? bytes - 16 : bytes - 64);
			insn->header.opcode = legal_headers[k].opcode;
			insn->header.pipe = legal_headers[k].pipe;
			insn->header.slots = legal_headers[k].slots;
			at += (uint32_t)bytes;
		}
		memset(arena + CODE + at, 0, AXL_SLOT_BYTES);
		arena[CODE + at] = AXL_OP_END;
		arena[CODE + at + 1] = 1;
		at += AXL_SLOT_BYTES;
		header->streams[t].size = at - header->streams[t].offset;
	}
	header->size = at;
	put64(DATA, VA + DATA);
	put64(DATA + 8, VA + (2u << 20));
	packet.execute.header.opcode = AXL_PKT_EXECUTE;
	packet.execute.cmdbuf = VA + CODE;
	packet.execute.args = VA + DATA;
	packet.execute.size = at;
	packet.execute.stats = VA + DATA + 4096;
	packet.execute.trace = VA + DATA + 8192;
	packet.execute.trace_size = 32 * 16;
	push(q, &packet);
}

static void step(struct script *script)
{
	uint32_t a, b;

	switch (take8(script) % 8) {
	case 0: /* any register, or none */
		a = take32(script);
		b = take32(script);
		/* The mailbox goes through command(), for the watchdogs. */
		if ((a & 0xffff) >= AXL_REG_COMMAND_ARG && (a & 0xffff) < AXL_REG_COMMAND_RESULT)
			command(b % 8, a >> 16);
		else
			device_reg_write(device, a & 0xffff, (uint64_t)b << 32 | a, a >> 16 & 1 ? 8 : 4);
		device_reg_read(device, b & 0xffff, a >> 17 & 1 ? 8 : 4);
		break;
	case 1:
		a = take8(script);
		command(a % 8, take8(script));
		break;
	case 2: /* tables, rings, status pages, anything */
		a = take32(script) % (ARENA - 8);
		take(script, arena + a, 8);
		break;
	case 3: /* a page table entry that makes some sense */
		a = take32(script);
		put64(LEVEL0 + a % 512 * 8, (BUS + (a >> 9) % (ARENA / 4096) * 4096ull) | (a >> 24 & 0x3f));
		break;
	case 4:
		push_packet(script);
		break;
	case 5:
		push_code(script);
		break;
	case 6:
		device_doorbell(device, take32(script));
		break;
	default:
		break;
	}
	if (take8(script) & 1)
		device_run(device, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct device_host_ops ops = {.map = map, .irq = irq};
	struct script script = {data, data + size};

	if (!device) {
		struct device_config config = {.threads = 1, .timing = true, .passive = true};

		config.engine = *engine_config_find("axl-pro");
		config.engine.tiles = 2;
		config.engine.spad_bytes = SPAD;
		config.engine.acc_bytes = ACC;
		config.engine.mem_bytes = LOCAL;
		arena = aligned_alloc(4096, ARENA);
		if (!arena || device_create(&config, &ops, NULL, &device))
			abort();
	}
	bring_up();
	if (!(device_reg_read(device, AXL_REG_STATUS, 4) & AXL_STATUS_READY))
		abort();
	for (int i = 0; i < MAX_OPS && script.at < script.end; i++)
		step(&script);
	device_run(device, 64);
	/* Whatever happened, a reset brings it back. */
	device_reg_write(device, AXL_REG_CONTROL, AXL_CONTROL_RESET, 4);
	device_run(device, 4);
	if (!(device_reg_read(device, AXL_REG_STATUS, 4) & AXL_STATUS_READY))
		abort();
	return 0;
}
