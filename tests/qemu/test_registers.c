/* SPDX-License-Identifier: MIT */
/* Configuration space and BAR0: identity, sizes, reset values, write masks, accesses that the contract refuses, FLR. */
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_isa.h>
#include <cmocka.h>

#include "tests/qemu/axl_rig.h"

struct machine {
	struct qtest qt;
	struct axl axl;
};

static struct machine machine;

static int setup(void **state)
{
	*state = &machine.axl;
	axl_start(&machine.axl, &machine.qt, "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	qtest_stop(&machine.qt);
	return 0;
}

/* ---- configuration space ---- */

static void identity_is_that_of_the_contract(void **state)
{
	struct axl *axl = *state;

	assert_int_equal(axl_config(axl, PCI_VENDOR_ID, 2), AXL_PCI_VENDOR);
	assert_int_equal(axl_config(axl, PCI_DEVICE_ID, 2), AXL_PCI_DEVICE);
	assert_int_equal(axl_config(axl, PCI_CLASS_REVISION, 4), AXL_PCI_CLASS << 8 | 1);
	assert_int_equal(axl_config(axl, PCI_HEADER_TYPE, 1), PCI_HEADER_TYPE_NORMAL);
}

static void the_header_is_this_byte_for_byte(void **state)
{
	struct axl *axl = *state;
	const uint32_t bars[] = {(uint32_t)axl->regs,          (uint32_t)axl->msix,
				 (uint32_t)axl->doorbells | 4, 0,
				 (uint32_t)axl->local | 0xc,   0};
	uint32_t expected[16] = {
		AXL_PCI_VENDOR | AXL_PCI_DEVICE << 16,
		PCI_STATUS_CAP_LIST << 16 | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
		AXL_PCI_CLASS << 8 | 1,
		0,
		[11] = 0x11001af4,                           /* QEMU's own subsystem */
		[13] = axl_capability(axl, PCI_CAP_ID_MSIX), /* the last that was added is the first of the list */
	};

	memcpy(&expected[4], bars, sizeof(bars));
	for (uint16_t i = 0; i < 64; i++) {
		uint8_t byte = (uint8_t)(expected[i / 4] >> 8 * (i % 4));

		if (axl_config(axl, i, 1) != byte)
			fail_msg("byte 0x%02x is 0x%02x, not 0x%02x", i, axl_config(axl, i, 1), byte);
	}
}

static uint32_t size_mask(struct axl *axl, uint16_t bar)
{
	uint32_t mask, before = axl_config(axl, bar, 4);

	axl_set_config(axl, bar, ~0u, 4);
	mask = axl_config(axl, bar, 4);
	axl_set_config(axl, bar, before, 4);
	return mask;
}

static void bars_have_the_sizes_and_kinds_of_the_contract(void **state)
{
	const uint32_t wide = PCI_BASE_ADDRESS_MEM_TYPE_64, prefetch = PCI_BASE_ADDRESS_MEM_PREFETCH;
	struct axl *axl = *state;

	axl_set_config(axl, PCI_COMMAND, 0, 2);
	assert_int_equal(size_mask(axl, PCI_BASE_ADDRESS_0), ~(AXL_BAR0_BYTES - 1u));
	assert_int_equal(size_mask(axl, PCI_BASE_ADDRESS_2), ~(AXL_MAX_CONTEXTS * AXL_DOORBELL_STRIDE - 1u) | wide);
	assert_int_equal(size_mask(axl, PCI_BASE_ADDRESS_3), ~0u);
	assert_int_equal(size_mask(axl, PCI_BASE_ADDRESS_4), ~((4u << 20) - 1) | wide | prefetch);
	assert_int_equal(size_mask(axl, PCI_BASE_ADDRESS_5), ~0u);
	axl_place_bars(axl);
	assert_int_equal(axl_read(axl, AXL_REG_MEM_SIZE), 4 << 20);
}

static void msix_has_a_vector_for_each_of_the_contract(void **state)
{
	struct axl *axl = *state;
	uint16_t cap = axl_capability(axl, PCI_CAP_ID_MSIX);

	assert_true(cap);
	assert_int_equal((axl_config(axl, (uint16_t)(cap + PCI_MSIX_FLAGS), 2) & PCI_MSIX_FLAGS_QSIZE) + 1,
			 AXL_NUM_VECTORS);
	assert_int_equal(axl_config(axl, (uint16_t)(cap + PCI_MSIX_TABLE), 4) & PCI_MSIX_TABLE_BIR, 1);
}

static void it_is_a_pcie_endpoint_with_function_level_reset(void **state)
{
	struct axl *axl = *state;
	uint16_t cap = axl_capability(axl, PCI_CAP_ID_EXP);

	assert_true(cap);
	assert_true(axl_config(axl, (uint16_t)(cap + PCI_EXP_DEVCAP), 4) & PCI_EXP_DEVCAP_FLR);
}

/* ---- registers ---- */

/* Registers that take what is written; the others of AXL_REGS keep their value. */
static uint64_t written(enum axl_reg reg, uint64_t reset)
{
	switch (reg) {
	case AXL_REG_CONTROL:
		return AXL_CONTROL_ENABLE | AXL_CONTROL_RACE_CHECK;
	case AXL_REG_CONTEXT_TABLE:
	case AXL_REG_QUEUE_TABLE:
	case AXL_REG_FAULT_RING:
		return ~63ull;
	case AXL_REG_FAULT_READ:
		return 0xffffffff;
	case AXL_REG_COMMAND_ARG:
		return ~0ull;
	case AXL_REG_IRQ_MASK:
		return (1u << AXL_NUM_VECTORS) - 1;
	default:
		return reset; /* FAULT_SIZE: all ones are no power of two */
	}
}

static uint64_t reset_value(enum axl_reg reg)
{
	switch (reg) {
	case AXL_REG_ID:
		return AXL_ID_MAGIC;
	case AXL_REG_VERSION:
		return AXL_ISA_VERSION << 16 | AXL_REG_INTERFACE_VERSION;
	case AXL_REG_TILES:
		return 1;
	case AXL_REG_SPAD_BYTES:
		return 2 << 20;
	case AXL_REG_ACC_BYTES:
		return 256 << 10;
	case AXL_REG_CLOCK_KHZ:
		return 1000000;
	case AXL_REG_MEM_SIZE:
		return 4 << 20;
	case AXL_REG_DRAM_RATE:
		return 128;
	case AXL_REG_HOST_RATE:
		return 16;
	case AXL_REG_NUM_CONTEXTS:
		return AXL_MAX_CONTEXTS;
	case AXL_REG_NUM_QUEUES:
		return NUM_QUEUES;
	case AXL_REG_DRAM_LATENCY:
		return 300;
	case AXL_REG_HOST_LATENCY:
		return 1000;
	case AXL_REG_FEATURES:
		return AXL_FEATURE_RACE_CHECK | AXL_FEATURE_PIPE_COUNTERS;
	case AXL_REG_SPAD_BANKS:
		return axl_read(&machine.axl, AXL_REG_SPAD_BANKS); /* a size without a stated figure */
	case AXL_REG_STATUS:
		return AXL_STATUS_READY | AXL_STATUS_IDLE;
	default:
		return 0;
	}
}

static const struct {
	const char *name;
	enum axl_reg reg;
} registers[] = {
#define ROW(name, offset, bits, access, text) {#name, AXL_REG_##name},
	AXL_REGS(ROW)
#undef ROW
};
enum { NUM_REGISTERS = sizeof(registers) / sizeof(registers[0]) };

static void assert_reset_values(struct axl *axl)
{
	QTEST_WAIT(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_IDLE);
	for (int i = 0; i < NUM_REGISTERS; i++) {
		uint64_t value = axl_read(axl, registers[i].reg), expected = reset_value(registers[i].reg);

		if (value != expected)
			fail_msg("%s is 0x%llx, not 0x%llx", registers[i].name, (unsigned long long)value,
				 (unsigned long long)expected);
	}
}

static void every_register_has_its_reset_value(void **state)
{
	struct axl *axl = *state;

	axl_reset(axl);
	assert_reset_values(axl);
}

static void every_register_takes_the_bits_of_its_mask(void **state)
{
	struct axl *axl = *state;

	axl_reset(axl);
	for (int i = 0; i < NUM_REGISTERS; i++) {
		enum axl_reg reg = registers[i].reg;
		uint64_t ones = axl_width(reg) == 8 ? ~0ull : 0xffffffffull, expected, value;

		if (reg == AXL_REG_COMMAND)
			continue; /* would begin one; reads 0 as every write-only register */
		expected = written(reg, reset_value(reg));
		/* All bits but those that reset; they may not stay set. */
		axl_write(axl, reg, reg == AXL_REG_CONTROL ? ones & ~(uint64_t)AXL_CONTROL_RESET : ones);
		value = axl_read(axl, reg);
		if (reg == AXL_REG_STATUS)
			value |= AXL_STATUS_IDLE; /* CONTROL made it look round for work */
		if (value != expected)
			fail_msg("%s is 0x%llx, not 0x%llx", registers[i].name, (unsigned long long)value,
				 (unsigned long long)expected);
	}
	assert_int_equal(axl_read(axl, AXL_REG_COMMAND), 0);
}

static void a_power_of_two_is_a_fault_ring_and_nothing_else(void **state)
{
	struct axl *axl = *state;

	axl_write(axl, AXL_REG_FAULT_SIZE, 64);
	assert_int_equal(axl_read(axl, AXL_REG_FAULT_SIZE), 64);
	axl_write(axl, AXL_REG_FAULT_SIZE, 48);
	assert_int_equal(axl_read(axl, AXL_REG_FAULT_SIZE), 0);
}

static void wide_registers_are_two_words(void **state)
{
	struct axl *axl = *state;
	uint64_t at = axl->regs + AXL_REG_COMMAND_ARG;

	qtest_store(axl->qt, at, 0x1122334455667788, 8);
	assert_int_equal(qtest_load(axl->qt, at, 4), 0x55667788);
	assert_int_equal(qtest_load(axl->qt, at + 4, 4), 0x11223344);
	qtest_store(axl->qt, at + 4, 0xaabbccdd, 4);
	assert_true(qtest_load(axl->qt, at, 8) == 0xaabbccdd55667788ull);
}

static void other_sizes_and_unaligned_accesses_read_ones_and_write_nothing(void **state)
{
	static const struct {
		uint32_t offset, size;
	} bad[] = {{AXL_REG_ID, 1},
		   {AXL_REG_ID + 1, 1},
		   {AXL_REG_ID, 2},
		   {AXL_REG_ID + 2, 2},
		   {AXL_REG_ID + 2, 4},
		   {AXL_REG_ID + 1, 4},
		   {AXL_REG_ID, 8},
		   {AXL_REG_MEM_SIZE + 4, 8},
		   {AXL_REG_COMMAND_ARG + 1, 8},
		   {0x40, 4},
		   {0x0fc0, 4},
		   {AXL_BAR0_BYTES - 4, 4},
		   {0x8000, 8},
		   {AXL_REG_IRQ_MASK, 1},
		   {AXL_REG_IRQ_MASK, 2}};
	struct axl *axl = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t at = axl->regs + bad[i].offset,
			 ones = bad[i].size == 8 ? ~0ull : (1ull << 8 * bad[i].size) - 1;
		uint64_t value = qtest_load(axl->qt, at, bad[i].size);

		if (value != ones)
			fail_msg("0x%x by %u bytes reads 0x%llx", bad[i].offset, bad[i].size,
				 (unsigned long long)value);
		qtest_store(axl->qt, at, 0x55, bad[i].size);
	}
	assert_int_equal(axl_read(axl, AXL_REG_IRQ_MASK), 0);
	assert_int_equal(axl_read(axl, AXL_REG_COMMAND_ARG), 0);
	assert_int_equal(axl_read(axl, AXL_REG_ID), AXL_ID_MAGIC);
}

static void doorbells_read_zero_and_count_only_whole_stores(void **state)
{
	struct axl *axl = *state;
	uint64_t before = axl_read(axl, AXL_REG_COUNT_DOORBELLS), at = axl->doorbells;
	uint64_t last = at + (AXL_MAX_CONTEXTS - 1) * AXL_DOORBELL_STRIDE + 8 * (AXL_QUEUES_PER_CONTEXT - 1);

	for (unsigned int size = 1; size <= 8; size *= 2)
		assert_int_equal(qtest_load(axl->qt, at, size), 0);
	qtest_store(axl->qt, at, 1, 4);
	qtest_store(axl->qt, at, 1, 8);
	qtest_store(axl->qt, last, 1, 8);
	assert_int_equal(axl_read(axl, AXL_REG_COUNT_DOORBELLS), before + 3);
	/* Too small, between two queues, behind the last queue of a page. */
	qtest_store(axl->qt, at, 1, 1);
	qtest_store(axl->qt, at, 1, 2);
	qtest_store(axl->qt, at + 4, 1, 4);
	qtest_store(axl->qt, at + 3, 1, 8);
	qtest_store(axl->qt, at + 8 * AXL_QUEUES_PER_CONTEXT, 1, 8);
	assert_int_equal(axl_read(axl, AXL_REG_COUNT_DOORBELLS), before + 3);
}

static void local_memory_is_its_window(void **state)
{
	struct axl *axl = *state;
	uint8_t pattern[64], back[64];

	for (int i = 0; i < 64; i++)
		pattern[i] = (uint8_t)(i * 7);
	qtest_write(axl->qt, axl->local + (4 << 20) - 64, pattern, 64);
	qtest_read(axl->qt, axl->local + (4 << 20) - 64, back, 64);
	assert_memory_equal(pattern, back, 64);
	/* Contents survive the reset that clears everything else. */
	axl_reset(axl);
	qtest_read(axl->qt, axl->local + (4 << 20) - 64, back, 64);
	assert_memory_equal(pattern, back, 64);
}

/* READY is of the last reset: what is written after it is seen stays, whatever came before. */
static void two_resets_in_a_row_end_with_the_second(void **state)
{
	struct axl *axl = *state;

	for (uint32_t round = 1; round <= 500; round++) {
		axl_write(axl, AXL_REG_CONTROL, AXL_CONTROL_RESET);
		axl_reset(axl);
		axl_write(axl, AXL_REG_COMMAND_ARG, round);
		assert_int_equal(axl_command(axl, AXL_CMD_TLB_INVALIDATE, round),
				 round < AXL_MAX_CONTEXTS ? AXL_CMD_OK : AXL_CMD_BAD_ARGUMENT);
		assert_int_equal(axl_read(axl, AXL_REG_COMMAND_ARG), round);
	}
}

/* ---- resets from the bus ---- */

static void function_level_reset_is_a_reset(void **state)
{
	struct axl *axl = *state;
	uint16_t control = (uint16_t)(axl_capability(axl, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL);
	struct producer queue;
	uint32_t before;

	axl_context(axl, 1);
	queue = axl_queue(axl, 3, 1, 0, 0);
	axl_assert_works(&queue);
	axl_write(axl, AXL_REG_IRQ_MASK, 0xff);
	before = axl_config(axl, control, 2);
	axl_set_config(axl, control, before | PCI_EXP_DEVCTL_BCR_FLR, 2);
	/* Configuration is gone, BARs included. */
	assert_int_equal(axl_config(axl, PCI_COMMAND, 2) & (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER), 0);
	assert_int_equal(axl_config(axl, PCI_BASE_ADDRESS_0, 4), 0);
	assert_int_equal(axl_config(axl, control, 2) & PCI_EXP_DEVCTL_BCR_FLR, 0);
	axl_place_bars(axl);
	QTEST_WAIT(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_READY);
	axl->queues[3] = (struct axl_queue_desc){0};
	{
		/* Cycles count on through resets; nothing else is left. */
		uint64_t cycles = axl_read(axl, AXL_REG_CYCLES);

		assert_true(cycles > 0);
		QTEST_WAIT(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_IDLE);
		for (int i = 0; i < NUM_REGISTERS; i++)
			if (registers[i].reg != AXL_REG_CYCLES)
				assert_int_equal(axl_read(axl, registers[i].reg), reset_value(registers[i].reg));
	}
	axl_enable_msix(axl);
	axl_bring_up(axl);
	axl_context(axl, 1);
	queue = axl_queue(axl, 3, 1, 0, 0);
	axl_assert_works(&queue);
}

static void a_machine_reset_is_a_reset(void **state)
{
	struct axl *axl = *state;

	axl_write(axl, AXL_REG_IRQ_MASK, 0xff);
	qtest_qmp_ok(axl->qt, "{'execute':'system_reset'}");
	qtest_qmp_event(axl->qt, "RESET", "");
	axl_place_bars(axl);
	QTEST_WAIT(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_READY);
	assert_reset_values(axl);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(identity_is_that_of_the_contract),
		TEST(the_header_is_this_byte_for_byte),
		TEST(bars_have_the_sizes_and_kinds_of_the_contract),
		TEST(msix_has_a_vector_for_each_of_the_contract),
		TEST(it_is_a_pcie_endpoint_with_function_level_reset),
		TEST(every_register_has_its_reset_value),
		TEST(every_register_takes_the_bits_of_its_mask),
		TEST(a_power_of_two_is_a_fault_ring_and_nothing_else),
		TEST(wide_registers_are_two_words),
		TEST(other_sizes_and_unaligned_accesses_read_ones_and_write_nothing),
		TEST(doorbells_read_zero_and_count_only_whole_stores),
		TEST(local_memory_is_its_window),
		TEST(two_resets_in_a_row_end_with_the_second),
		TEST(function_level_reset_is_a_reset),
		TEST(a_machine_reset_is_a_reset),
	};

	if (!qtest_binary())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
