/* SPDX-License-Identifier: MIT */
/* See axl_rig.h. */
#include "tests/qemu/axl_rig.h"

#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_isa.h>
#include <cmocka.h>

#define ECAM 0xb0000000ull
#define BARS 0xc0000000ull /* of the first device; the next ones follow */
#define BARS_STRIDE 0x02000000ull

/* ---- configuration space ---- */

static uint32_t address_of(uint8_t bus, uint8_t devfn, uint16_t offset)
{
	return 1u << 31 | (uint32_t)bus << 16 | (uint32_t)devfn << 8 | (offset & 0xfcu);
}

uint32_t config_read(struct qtest *qt, uint8_t bus, uint8_t devfn, uint16_t offset, unsigned int size)
{
	qtest_out(qt, 0xcf8, address_of(bus, devfn, offset), 4);
	return qtest_in(qt, (uint16_t)(0xcfc + (offset & 3)), size);
}

void config_write(struct qtest *qt, uint8_t bus, uint8_t devfn, uint16_t offset, uint32_t value, unsigned int size)
{
	qtest_out(qt, 0xcf8, address_of(bus, devfn, offset), 4);
	qtest_out(qt, (uint16_t)(0xcfc + (offset & 3)), value, size);
}

/* Only the memory-mapped space reaches past 256 bytes; the host bridge is asked to open it. */
static uint64_t ecam(const struct axl *axl, uint16_t offset)
{
	config_write(axl->qt, 0, 0, 0x64, 0, 4);
	config_write(axl->qt, 0, 0, 0x60, (uint32_t)ECAM | 1, 4);
	return ECAM | (uint64_t)axl->bus << 20 | (uint64_t)axl->devfn << 12 | offset;
}

uint32_t axl_config(const struct axl *axl, uint16_t offset, unsigned int size)
{
	if (offset < 256)
		return config_read(axl->qt, axl->bus, axl->devfn, offset, size);
	return (uint32_t)qtest_load(axl->qt, ecam(axl, offset), size);
}

void axl_set_config(const struct axl *axl, uint16_t offset, uint32_t value, unsigned int size)
{
	if (offset < 256)
		config_write(axl->qt, axl->bus, axl->devfn, offset, value, size);
	else
		qtest_store(axl->qt, ecam(axl, offset), value, size);
}

uint16_t axl_capability(const struct axl *axl, uint8_t id)
{
	uint8_t at = (uint8_t)axl_config(axl, PCI_CAPABILITY_LIST, 1);

	for (int i = 0; at && i < 48; i++) {
		if (axl_config(axl, at, 1) == id)
			return at;
		at = (uint8_t)axl_config(axl, (uint16_t)(at + 1), 1);
	}
	return 0;
}

uint16_t axl_extended_capability(const struct axl *axl, uint16_t id)
{
	uint16_t at = 0x100;

	for (int i = 0; at && i < 96; i++) {
		uint32_t header = axl_config(axl, at, 4);

		if ((header & 0xffff) == id)
			return at;
		at = (uint16_t)(header >> 20);
	}
	return 0;
}

/* ---- bringing up ---- */

void axl_place_bars(const struct axl *axl)
{
	const uint64_t bars[] = {axl->regs,  axl->msix,       axl->doorbells, axl->doorbells >> 32,
				 axl->local, axl->local >> 32};

	for (uint16_t i = 0; i < 6; i++)
		axl_set_config(axl, (uint16_t)(PCI_BASE_ADDRESS_0 + 4 * i), (uint32_t)bars[i], 4);
	axl_set_config(axl, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

void axl_bus_master(const struct axl *axl, bool on)
{
	axl_set_config(axl, PCI_COMMAND, PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0), 2);
}

void axl_enable_msix(struct axl *axl)
{
	uint16_t cap = axl_capability(axl, PCI_CAP_ID_MSIX);
	uint64_t messages = axl->messages ? (uint64_t)((const volatile uint8_t *)axl->messages - axl->qt->ram)
					  : qtest_alloc(axl->qt, 4096);

	assert_true(cap);
	axl->messages = qtest_at(axl->qt, messages);
	for (unsigned int v = 0; v < AXL_NUM_VECTORS; v++) {
		uint64_t entry = axl->msix + v * PCI_MSIX_ENTRY_SIZE;

		axl->messages[v] = 0;
		qtest_store(axl->qt, entry + PCI_MSIX_ENTRY_LOWER_ADDR, messages + 4 * v, 4);
		qtest_store(axl->qt, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 0, 4);
		qtest_store(axl->qt, entry + PCI_MSIX_ENTRY_DATA, MESSAGE + v, 4);
		qtest_store(axl->qt, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0, 4);
	}
	axl_set_config(axl, (uint16_t)(cap + PCI_MSIX_FLAGS), PCI_MSIX_FLAGS_ENABLE, 2);
}

void axl_attach(struct axl *axl, struct qtest *qt, unsigned int place, uint8_t bus, uint8_t devfn)
{
	uint64_t base = BARS + place * BARS_STRIDE;

	memset(axl, 0, sizeof(*axl));
	axl->qt = qt;
	axl->bus = bus;
	axl->devfn = devfn;
	axl->regs = base;
	axl->msix = base + 0x100000;
	axl->doorbells = base + 0x400000;
	axl->local = base + 0x800000;
	assert_int_equal(axl_config(axl, PCI_VENDOR_ID, 4), AXL_PCI_VENDOR | AXL_PCI_DEVICE << 16);
	axl_place_bars(axl);
	axl_enable_msix(axl);
}

static uint64_t where(const struct axl *axl, const void *memory)
{
	return (uint64_t)((const uint8_t *)memory - axl->qt->ram);
}

void axl_bring_up(struct axl *axl)
{
	axl_reset(axl);
	if (!axl->contexts) {
		axl->contexts = qtest_at(axl->qt, qtest_alloc(axl->qt, AXL_MAX_CONTEXTS * sizeof(*axl->contexts)));
		axl->queues = qtest_at(axl->qt, qtest_alloc(axl->qt, NUM_QUEUES * sizeof(*axl->queues)));
		axl->faults = qtest_at(axl->qt, qtest_alloc(axl->qt, FAULT_RECORDS * sizeof(*axl->faults)));
	}
	axl_write(axl, AXL_REG_CONTEXT_TABLE, where(axl, axl->contexts));
	axl_write(axl, AXL_REG_QUEUE_TABLE, where(axl, axl->queues));
	axl_write(axl, AXL_REG_FAULT_RING, where(axl, axl->faults));
	axl_write(axl, AXL_REG_FAULT_SIZE, FAULT_RECORDS);
	axl_write(axl, AXL_REG_CONTROL, AXL_CONTROL_ENABLE);
}

const char *axl_options(void)
{
	const char *options = getenv("AXL_TEST_DEVICE");

	return options ? options : "";
}

bool axl_is_deterministic(void)
{
	return strstr(axl_options(), "deterministic=on");
}

void axl_start(struct axl *axl, struct qtest *qt, const char *more_args)
{
	char args[1024];

	snprintf(args, sizeof(args), RIG_DEVICE "%s%s", axl_options(), more_args);
	qtest_start(qt, args);
	if (strstr(args, "deterministic=on"))
		qtest_walk_clock(qt, WALK_NS);
	axl_attach(axl, qt, 0, 0, 4 << 3);
	axl_bring_up(axl);
}

void axl_set_rules(struct qtest *qt, const char *rules)
{
	char json[256];

	snprintf(json, sizeof(json), "'%s'", rules);
	qtest_qom_set(qt, RIG_PATH, "fault-rules", json);
}

void axl_open_port(struct qtest *qt)
{
	const uint8_t port = 3 << 3;
	struct axl bridge = {.qt = qt, .devfn = port};
	uint16_t cap = axl_capability(&bridge, PCI_CAP_ID_EXP), control;
	uint64_t last = BARS + BARS_STRIDE - 1;

	assert_true(cap);
	axl_set_config(&bridge, PCI_PRIMARY_BUS, 0x010100, 4);
	axl_set_config(&bridge, PCI_MEMORY_BASE, (uint32_t)(BARS >> 16 | (last >> 16) << 16), 4);
	axl_set_config(&bridge, PCI_PREF_MEMORY_BASE, 0x0000fff0, 4);
	axl_set_config(&bridge, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	control = (uint16_t)axl_config(&bridge, (uint16_t)(cap + PCI_EXP_SLTCTL), 2);
	control = (uint16_t)((control & ~(PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PIC)) | PCI_EXP_SLTCTL_PWR_IND_ON);
	axl_set_config(&bridge, (uint16_t)(cap + PCI_EXP_SLTCTL), control, 2);
}

/* ---- registers ---- */

unsigned int axl_width(enum axl_reg reg)
{
#define WIDTH(name, offset, bits, access, text) \
	if (reg == AXL_REG_##name)              \
		return bits / 8;
	AXL_REGS(WIDTH)
#undef WIDTH
	fail_msg("no register 0x%x", (unsigned int)reg);
	return 4;
}

uint64_t axl_read(const struct axl *axl, enum axl_reg reg)
{
	return qtest_load(axl->qt, axl->regs + reg, axl_width(reg));
}

void axl_write(const struct axl *axl, enum axl_reg reg, uint64_t value)
{
	qtest_store(axl->qt, axl->regs + reg, value, axl_width(reg));
}

enum axl_command_result axl_command(const struct axl *axl, enum axl_command command, uint64_t arg)
{
	axl_write(axl, AXL_REG_COMMAND_ARG, arg);
	axl_write(axl, AXL_REG_COMMAND, command);
	QTEST_WAIT(!(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_COMMAND_BUSY));
	return (enum axl_command_result)axl_read(axl, AXL_REG_COMMAND_RESULT);
}

void axl_reset(const struct axl *axl)
{
	axl_write(axl, AXL_REG_CONTROL, AXL_CONTROL_RESET);
	QTEST_WAIT(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_READY);
}

/* ---- contexts and queues ---- */

static uint64_t *table(struct axl *axl, uint64_t *above, uint64_t va, int level)
{
	uint64_t address = qtest_alloc(axl->qt, AXL_PAGE_BYTES);

	if (above)
		above[va >> (12 + 9 * level) & (AXL_TABLE_ENTRIES - 1)] = address | AXL_PTE_VALID;
	return qtest_at(axl->qt, address);
}

void axl_context(struct axl *axl, unsigned int number)
{
	uint64_t *root = table(axl, NULL, 0, 0), *level1;

	assert_true(number < RIG_CONTEXTS);
	level1 = table(axl, table(axl, root, USER_VA, 3), USER_VA, 2);
	/* Not the first 2 MiB: not all of that is RAM. */
	for (uint64_t at = AXL_LARGE_PAGE_BYTES; at < QTEST_RAM_BYTES; at += AXL_LARGE_PAGE_BYTES)
		level1[(USER_VA + at) >> 21 & (AXL_TABLE_ENTRIES - 1)] = at | RIG_RIGHTS | AXL_PTE_LEAF;
	level1 = table(axl, table(axl, root, LOCAL_VA, 3), LOCAL_VA, 2);
	level1[LOCAL_VA >> 21 & (AXL_TABLE_ENTRIES - 1)] = RIG_RIGHTS | AXL_PTE_LOCAL | AXL_PTE_LEAF;
	level1 = table(axl, table(axl, root, PAGE_VA, 3), PAGE_VA, 2);
	axl->pages[number] = table(axl, level1, PAGE_VA, 1);
	axl->status[number] = qtest_at(axl->qt, qtest_alloc(axl->qt, sizeof(struct axl_status_page)));
	axl->contexts[number] = (struct axl_context_desc){
		.valid = 1, .page_table = where(axl, root), .status = where(axl, axl->status[number])};
	assert_int_equal(axl_command(axl, AXL_CMD_CONTEXT_UPDATE, number), AXL_CMD_OK);
}

uint64_t axl_map_page(struct axl *axl, unsigned int context, unsigned int page, uint64_t entry)
{
	assert_true(page < AXL_TABLE_ENTRIES);
	axl->pages[context][page] = entry;
	assert_int_equal(axl_command(axl, AXL_CMD_TLB_INVALIDATE, context), AXL_CMD_OK);
	return PAGE_VA + (uint64_t)page * AXL_PAGE_BYTES;
}

struct producer axl_queue(struct axl *axl, unsigned int number, unsigned int context, uint32_t flags, uint32_t watchdog)
{
	uint64_t ring = qtest_alloc(axl->qt, RING_SLOTS * AXL_PACKET_BYTES), index = qtest_alloc(axl->qt, 4096);
	struct producer p = {.axl = axl, .number = number, .context = context};

	assert_true(number < AXL_QUEUES_PER_CONTEXT);
	p.ring = qtest_at(axl->qt, ring);
	p.index = qtest_at(axl->qt, index);
	p.status = &axl->status[context]->queue[number];
	axl->queues[number] = (struct axl_queue_desc){
		.valid = 1,
		.context = context,
		.slot = number,
		.slots = RING_SLOTS,
		.ring = user_va(ring),
		.index = user_va(index),
		.flags = flags,
		.watchdog = watchdog,
	};
	assert_int_equal(axl_command(axl, AXL_CMD_QUEUE_START, number), AXL_CMD_OK);
	assert_int_not_equal(p.status->state, AXL_QUEUE_OFF); /* it may have faulted already */
	return p;
}

void axl_push(struct producer *producer, const void *packet)
{
	struct axl_queue_index *index = producer->index;
	struct axl *axl = producer->axl;
	uint64_t write = index->write;

	assert_true(write - producer->status->retired < RING_SLOTS);
	memcpy(&producer->ring[write & (RING_SLOTS - 1)], packet, AXL_PACKET_BYTES);
	__atomic_store_n(&index->write, write + 1, __ATOMIC_RELEASE);
	/* Pairs with the device's, between its store of event and its last look at write. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (producer->status->event == write)
		qtest_store(axl->qt, axl->doorbells + producer->context * AXL_DOORBELL_STRIDE + 8 * producer->number,
			    write + 1, 8);
}

void axl_wait_retired(const struct producer *producer, uint64_t retired)
{
	QTEST_WAIT(__atomic_load_n(&producer->status->retired, __ATOMIC_ACQUIRE) >= retired || producer->status->error);
	if (producer->status->error)
		fail_msg("queue %u: cause %u at packet %llu", producer->number, producer->status->error,
			 (unsigned long long)producer->status->retired);
}

void axl_wait_state(const struct producer *producer, enum axl_queue_state state)
{
	QTEST_WAIT(__atomic_load_n(&producer->status->state, __ATOMIC_ACQUIRE) == (uint32_t)state);
}

void axl_run(struct producer *producer, const void *packet)
{
	axl_push(producer, packet);
	axl_wait_retired(producer, producer->index->write);
}

struct axl_fault_record axl_run_faulting(struct producer *producer, const void *packet)
{
	struct axl *axl = producer->axl;
	uint32_t before = (uint32_t)axl_read(axl, AXL_REG_FAULT_WRITE);

	axl_push(producer, packet);
	axl_wait_state(producer, AXL_QUEUE_FAULTED);
	assert_int_equal(axl_read(axl, AXL_REG_FAULT_WRITE), before + 1);
	axl_write(axl, AXL_REG_FAULT_READ, before + 1);
	return axl->faults[before % FAULT_RECORDS];
}

void axl_recover(struct producer *producer)
{
	assert_int_equal(axl_command(producer->axl, AXL_CMD_QUEUE_RESET, producer->number), AXL_CMD_OK);
	assert_int_equal(producer->status->state, AXL_QUEUE_OFF);
	/* A queue that was reset may have had no packet in hand: what the ring holds is dropped in any case. */
	producer->index->write = producer->status->retired;
	assert_int_equal(axl_command(producer->axl, AXL_CMD_QUEUE_START, producer->number), AXL_CMD_OK);
}

void axl_assert_works(struct producer *producer)
{
	struct qtest *qt = producer->axl->qt;
	uint64_t target = qtest_alloc(qt, 4096);
	struct axl_packet_fill fill = axl_fill(user_va(target), 4096, 0x600d600d);
	const uint32_t *words = qtest_at(qt, target);

	axl_run(producer, &fill);
	for (int i = 0; i < 1024; i++)
		assert_int_equal(words[i], 0x600d600d);
}

/* ---- packets ---- */

struct axl_packet_execute axl_loop(struct axl *axl, uint32_t count, bool yields)
{
	const uint8_t body = yields ? AXL_OP_YIELD : AXL_OP_ADDBASE;
	const uint8_t opcodes[] = {AXL_OP_LOOP, body, AXL_OP_ENDLOOP, AXL_OP_END};
	uint64_t at = qtest_alloc(axl->qt, 4096);
	struct axl_cmdbuf *header = qtest_at(axl->qt, at);

	*header = (struct axl_cmdbuf){.magic = AXL_CMDBUF_MAGIC,
				      .version = AXL_ISA_VERSION,
				      .num_tiles = 1,
				      .num_bases = 1,
				      .size = sizeof(*header) + sizeof(opcodes) * AXL_SLOT_BYTES,
				      .streams[0] = {sizeof(*header), sizeof(opcodes) * AXL_SLOT_BYTES}};
	for (size_t i = 0; i < sizeof(opcodes); i++) {
		union axl_insn *insn = (union axl_insn *)(void *)((uint8_t *)(header + 1) + i * AXL_SLOT_BYTES);

		insn->header.opcode = opcodes[i];
		insn->header.pipe = AXL_PIPE_SEQ;
		insn->header.slots = 1;
		if (opcodes[i] == AXL_OP_LOOP)
			insn->loop.count = count;
	}
	return (struct axl_packet_execute){.header.opcode = AXL_PKT_EXECUTE,
					   .cmdbuf = user_va(at),
					   .args = user_va(at + 2048),
					   .size = header->size};
}

struct axl_packet_fill axl_fill(uint64_t dst, uint64_t size, uint32_t pattern)
{
	return (struct axl_packet_fill){.header.opcode = AXL_PKT_FILL, .dst = dst, .size = size, .pattern = pattern};
}

struct axl_packet_copy axl_copy(uint64_t dst, uint64_t src, uint64_t size)
{
	return (struct axl_packet_copy){.header.opcode = AXL_PKT_COPY, .dst = dst, .src = src, .size = size};
}

struct axl_packet_fence axl_signal(uint64_t address, uint64_t value)
{
	return (struct axl_packet_fence){.header.opcode = AXL_PKT_SIGNAL, .address = address, .value = value};
}

struct axl_packet_fence axl_wait(uint64_t address, uint64_t value)
{
	return (struct axl_packet_fence){
		.header.opcode = AXL_PKT_WAIT, .address = address, .value = value, .op = AXL_WAIT_EQ};
}
