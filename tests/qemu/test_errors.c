/* SPDX-License-Identifier: MIT */
/*
 * What a guest, a program or a user of the command line gets wrong: packets, tables, descriptors, addresses that are no
 * memory, properties. Each is refused with the cause that the contract names, and the device works on.
 */
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_isa.h>
#include <cmocka.h>

#include "tests/qemu/axl_rig.h"

static struct qtest qt;
static struct axl the_axl;
static struct axl *axl = &the_axl;
static struct producer queue, other;

static int setup(void **state)
{
	(void)state;
	axl_start(axl, &qt, "");
	axl_context(axl, 0);
	axl_context(axl, 1);
	queue = axl_queue(axl, 0, 0, 0, 0);
	other = axl_queue(axl, 1, 1, 0, 0);
	return 0;
}

/* Whatever a test did to the first queue, the other one has not noticed. */
static int teardown(void **state)
{
	(void)state;
	axl_assert_works(&other);
	qtest_stop(&qt);
	return 0;
}

/* ---- packets ---- */

static void malformed_packets_fault_and_name_the_field(void **state)
{
	static const struct {
		union axl_packet packet;
		uint64_t address;
	} bad[] = {
		{{.header = {.opcode = AXL_NUM_PACKETS}}, AXL_NUM_PACKETS},
		{{.header = {.opcode = 0xff}}, 0xff},
		{{.header = {.flags = 0x82}}, 0x82},
		{{.header = {.reserved = 1}}, 0},
		{{.bytes = {[63] = 9}}, 9},
		{{.fill = {.header.opcode = AXL_PKT_FILL, .dst = USER_VA + 2, .size = 4}}, USER_VA + 2},
		{{.fill = {.header.opcode = AXL_PKT_FILL, .dst = USER_VA, .size = 5}}, 5},
		{{.fill = {.header.opcode = AXL_PKT_FILL, .dst = USER_VA, .size = 4, .reserved0 = 3}}, 3},
		{{.copy = {.header.opcode = AXL_PKT_COPY, .dst = 1ull << 48, .size = 4}}, 4},
		{{.copy = {.header.opcode = AXL_PKT_COPY, .src = ~0ull, .size = 8}}, 8},
		{{.copy = {.header.opcode = AXL_PKT_COPY, .size = ~0ull}}, ~0ull},
		{{.copy = {.header.opcode = AXL_PKT_COPY, .dst = USER_VA, .src = USER_VA + 7, .size = 8}}, USER_VA},
		{{.fence = {.header.opcode = AXL_PKT_WAIT, .address = USER_VA + 4}}, USER_VA + 4},
		{{.fence = {.header.opcode = AXL_PKT_WAIT, .address = USER_VA, .op = 6}}, 6},
		{{.fence = {.header.opcode = AXL_PKT_SIGNAL, .address = USER_VA, .op = 1}}, 1},
		{{.timestamp = {.header.opcode = AXL_PKT_TIMESTAMP, .address = USER_VA + 1}}, USER_VA + 1},
		{{.execute = {.header.opcode = AXL_PKT_EXECUTE, .cmdbuf = USER_VA + 32, .size = 4096}}, USER_VA + 32},
		{{.execute = {.header.opcode = AXL_PKT_EXECUTE, .cmdbuf = USER_VA, .size = 8}}, 8},
		{{.execute = {.header.opcode = AXL_PKT_EXECUTE, .cmdbuf = USER_VA, .size = 0xffffffff}}, 0xffffffff},
		{{.execute = {.header.opcode = AXL_PKT_EXECUTE, .cmdbuf = USER_VA, .size = 4096, .stats = 4}}, 4},
		{{.execute = {.header.opcode = AXL_PKT_EXECUTE, .cmdbuf = USER_VA, .size = 4096, .trace_size = 33}},
		 33},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		union axl_packet packet = bad[i].packet;
		struct axl_fault_record record;

		packet.header.tag = (uint32_t)i + 100;
		record = axl_run_faulting(&queue, &packet);
		if (record.cause != AXL_CAUSE_PACKET || record.address != bad[i].address)
			fail_msg("packet %zu: cause %u, address 0x%llx", i, record.cause,
				 (unsigned long long)record.address);
		assert_int_equal(record.tag, i + 100);
		assert_int_equal(record.sequence, i);
		assert_int_equal(record.queue, 0);
		assert_int_equal(record.packet, queue.status->retired);
		assert_int_equal(queue.status->error, AXL_CAUSE_PACKET);
		axl_recover(&queue);
	}
	axl_assert_works(&queue);
}

static void a_bounded_queue_refuses_to_wait(void **state)
{
	struct producer bounded = axl_queue(axl, 2, 0, AXL_QUEUE_BOUNDED, 1000);
	struct axl_packet_fence wait = axl_wait(user_va(qtest_alloc(&qt, 4096)), 0);

	(void)state;
	assert_int_equal(axl_run_faulting(&bounded, &wait).cause, AXL_CAUSE_PACKET);
}

static void the_watchdog_ends_a_packet_that_takes_too_long(void **state)
{
	struct producer watched = axl_queue(axl, 2, 0, 0, 1);
	uint64_t target = qtest_alloc(&qt, 1 << 20);
	struct axl_packet_fill fill = axl_fill(user_va(target), 1 << 20, 1); /* 65536 cycles at 16 bytes a cycle */

	(void)state;
	assert_int_equal(axl_run_faulting(&watched, &fill).cause, AXL_CAUSE_WATCHDOG);
}

static void a_write_index_that_runs_away_faults(void **state)
{
	const uint64_t wrong[] = {RING_SLOTS + 1, ~0ull, 1ull << 63};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint64_t start = queue.status->retired;

		__atomic_store_n(&queue.index->write, start + wrong[i], __ATOMIC_RELEASE);
		qtest_store(&qt, axl->doorbells, 1, 8);
		axl_wait_state(&queue, AXL_QUEUE_FAULTED);
		assert_int_equal(queue.status->error, AXL_CAUSE_RING);
		assert_int_equal(queue.status->retired, start);
		axl_recover(&queue);
	}
	axl_assert_works(&queue);
}

/* ---- translation ---- */

static void an_address_without_translation_or_right_faults(void **state)
{
	uint64_t page = qtest_alloc(&qt, 4096), read_only, write_only;
	struct axl_packet_fill fill = axl_fill(PAGE_VA, 4, 1);
	struct axl_fault_record record = axl_run_faulting(&queue, &fill);
	struct axl_packet_copy copy;

	(void)state;
	assert_int_equal(record.cause, AXL_CAUSE_NOT_MAPPED);
	assert_int_equal(record.access, AXL_ACCESS_WRITE);
	assert_int_equal(record.level, 0);
	assert_int_equal(record.address, PAGE_VA);
	axl_recover(&queue);
	read_only = axl_map_page(axl, 0, 1, page | AXL_PTE_VALID | AXL_PTE_READ);
	write_only = axl_map_page(axl, 0, 2, page | AXL_PTE_VALID | AXL_PTE_WRITE);
	fill.dst = read_only;
	record = axl_run_faulting(&queue, &fill);
	assert_int_equal(record.cause, AXL_CAUSE_PERMISSION);
	assert_int_equal(record.address, read_only);
	axl_recover(&queue);
	copy = axl_copy(user_va(qtest_alloc(&qt, 4096)), write_only, 4);
	record = axl_run_faulting(&queue, &copy);
	assert_int_equal(record.cause, AXL_CAUSE_PERMISSION);
	assert_int_equal(record.access, AXL_ACCESS_READ);
	axl_recover(&queue);
	assert_int_equal(*(uint32_t *)qtest_at(&qt, page), 0);
	fill.dst = write_only;
	axl_run(&queue, &fill);
	assert_int_equal(*(uint32_t *)qtest_at(&qt, page), 1);
}

static void malformed_page_tables_fault(void **state)
{
	const uint64_t bad[] = {1ull << 6, 1ull << 52, 1ull << 63, AXL_PTE_LEAF};
	uint64_t page = qtest_alloc(&qt, 4096);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct axl_packet_fill fill = axl_fill(axl_map_page(axl, 0, 3, page | RIG_RIGHTS | bad[i]), 4, 1);

		assert_int_equal(axl_run_faulting(&queue, &fill).cause, AXL_CAUSE_TABLE);
		axl_recover(&queue);
	}
	assert_int_equal(*(uint32_t *)qtest_at(&qt, page), 0);
}

static void a_page_that_is_taken_away_is_gone_after_the_invalidation(void **state)
{
	uint64_t page = qtest_alloc(&qt, 4096), va = axl_map_page(axl, 0, 0, page | RIG_RIGHTS);
	struct axl_packet_fill fill = axl_fill(va, 4, 1);

	(void)state;
	axl_run(&queue, &fill);
	axl_map_page(axl, 0, 0, 0);
	fill.pattern = 2;
	assert_int_equal(axl_run_faulting(&queue, &fill).cause, AXL_CAUSE_NOT_MAPPED);
	assert_int_equal(*(uint32_t *)qtest_at(&qt, page), 1);
}

/* ---- DMA to what is no memory ---- */

/*
 * A device that could reach registers could re-enter itself or its neighbours (CVE-2021-3929 and its kind). Reads too:
 * some registers change when they are read.
 */
static void dma_onto_bars_faults_and_never_arrives(void **state)
{
	const uint64_t targets[] = {axl->regs, axl->regs + 0xf000,        axl->doorbells, axl->doorbells + 0x10000,
				    axl->msix, 0xfee00000 /* the APIC */, 0xfec00000 /* the I/O APIC */};
	uint64_t doorbells = axl_read(axl, AXL_REG_COUNT_DOORBELLS), page = qtest_alloc(&qt, 4096);
	uint32_t entry = (uint32_t)qtest_load(&qt, axl->msix + 8, 4);

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		uint64_t va = axl_map_page(axl, 0, 7, targets[i] | RIG_RIGHTS);
		struct axl_packet_fill fill = axl_fill(va, 4096, 0x2);
		struct axl_packet_copy copy = axl_copy(user_va(page), va, 4096);
		struct axl_packet_fence signal = axl_signal(va, AXL_CONTROL_RESET);
		struct axl_fault_record record = axl_run_faulting(&queue, &fill);

		assert_int_equal(record.cause, AXL_CAUSE_BUS);
		assert_int_equal(record.address, va);
		axl_recover(&queue);
		assert_int_equal(axl_run_faulting(&queue, &copy).cause, AXL_CAUSE_BUS);
		axl_recover(&queue);
		assert_int_equal(axl_run_faulting(&queue, &signal).cause, AXL_CAUSE_BUS);
		axl_recover(&queue);
	}
	/* Nothing rang but this test's own pushes; nothing was reset, masked or rewritten. */
	assert_true(axl_read(axl, AXL_REG_COUNT_DOORBELLS) <= doorbells + 3 * sizeof(targets) / sizeof(targets[0]));
	assert_int_equal(axl_read(axl, AXL_REG_CONTROL), AXL_CONTROL_ENABLE);
	assert_int_equal(qtest_load(&qt, axl->msix + 8, 4), entry);
	axl_assert_works(&queue);
}

/* An MSI-X message is a store wherever its address says. */
static void a_message_onto_the_device_itself_is_blocked(void **state)
{
	const uint64_t targets[] = {axl->regs + AXL_REG_COMMAND_ARG, axl->regs + AXL_REG_IRQ_MASK, axl->msix + 8,
				    axl->doorbells};

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		uint64_t doorbells = axl_read(axl, AXL_REG_COUNT_DOORBELLS);
		uint32_t data = (uint32_t)qtest_load(&qt, axl->msix + 8, 4);

		qtest_store(&qt, axl->msix + PCI_MSIX_ENTRY_LOWER_ADDR, targets[i], 4);
		axl_write(axl, AXL_REG_IRQ_PENDING, ~0u);
		assert_int_equal(axl_command(axl, AXL_CMD_TLB_INVALIDATE, 5), AXL_CMD_OK);
		QTEST_WAIT(axl_read(axl, AXL_REG_IRQ_PENDING) & 1);
		/* Late ones come out of a timer. */
		axl_set_rules(&qt, "site=msix,action=duplicate");
		assert_int_equal(axl_command(axl, AXL_CMD_TLB_INVALIDATE, 5), AXL_CMD_OK);
		QTEST_WAIT(qtest_qom_get(&qt, RIG_PATH "/fault", "injected-msix") > i);
		qtest_clock_step(&qt, 2000000);
		axl_set_rules(&qt, "");
		assert_int_equal(axl_read(axl, AXL_REG_COMMAND_ARG), 5);
		assert_int_equal(axl_read(axl, AXL_REG_IRQ_MASK), 0);
		assert_int_equal(axl_read(axl, AXL_REG_COUNT_DOORBELLS), doorbells);
		assert_int_equal(qtest_load(&qt, axl->msix + 8, 4), data);
	}
	axl_assert_works(&queue);
}

static void tables_and_rings_on_bars_are_refused(void **state)
{
	struct axl_context_desc good = axl->contexts[0];

	(void)state;
	axl->contexts[2] = good;
	axl->contexts[2].status = axl->regs;
	assert_int_equal(axl_command(axl, AXL_CMD_CONTEXT_UPDATE, 2), AXL_CMD_NO_ACCESS);
	axl->contexts[2].status = axl->doorbells;
	assert_int_equal(axl_command(axl, AXL_CMD_CONTEXT_UPDATE, 2), AXL_CMD_NO_ACCESS);
	/* A page table in registers: found when it is walked. */
	axl->contexts[2] = good;
	axl->contexts[2].page_table = axl->regs;
	axl->contexts[2].status = qtest_alloc(&qt, 4096);
	axl->status[2] = qtest_at(&qt, axl->contexts[2].status);
	assert_int_equal(axl_command(axl, AXL_CMD_CONTEXT_UPDATE, 2), AXL_CMD_OK);
	{
		struct producer lost = axl_queue(axl, 2, 2, 0, 0);

		axl_wait_state(&lost, AXL_QUEUE_FAULTED);
		assert_int_equal(lost.status->error, AXL_CAUSE_BUS);
	}
	axl_write(axl, AXL_REG_CONTEXT_TABLE, axl->regs);
	assert_int_equal(axl_command(axl, AXL_CMD_CONTEXT_UPDATE, 3), AXL_CMD_NO_ACCESS);
	axl_write(axl, AXL_REG_QUEUE_TABLE, axl->msix);
	assert_int_equal(axl_command(axl, AXL_CMD_QUEUE_START, 9), AXL_CMD_NO_ACCESS);
	axl_write(axl, AXL_REG_QUEUE_TABLE, ~0ull);
	assert_int_equal(axl_command(axl, AXL_CMD_QUEUE_START, 9), AXL_CMD_NO_ACCESS);
}

static void a_fault_ring_that_is_no_memory_drops_records_and_counts(void **state)
{
	union axl_packet bad = {.header.opcode = 0x77};
	uint64_t before = axl_read(axl, AXL_REG_FAULT_DROPPED);

	(void)state;
	axl_write(axl, AXL_REG_FAULT_RING, axl->regs);
	axl_push(&queue, &bad);
	axl_wait_state(&queue, AXL_QUEUE_FAULTED);
	assert_int_equal(axl_read(axl, AXL_REG_FAULT_DROPPED), before + 1);
	assert_int_equal(axl_read(axl, AXL_REG_FAULT_WRITE), 0);
	assert_int_equal(queue.status->error, AXL_CAUSE_PACKET);
}

static void a_full_fault_ring_drops_records_and_counts(void **state)
{
	union axl_packet bad = {.header.opcode = 0x77};

	(void)state;
	axl_write(axl, AXL_REG_FAULT_SIZE, 2);
	for (int i = 0; i < 5; i++) {
		axl_push(&queue, &bad);
		axl_wait_state(&queue, AXL_QUEUE_FAULTED);
		axl_recover(&queue);
	}
	assert_int_equal(axl_read(axl, AXL_REG_FAULT_WRITE), 2);
	assert_int_equal(axl_read(axl, AXL_REG_FAULT_DROPPED), 3);
	assert_int_equal(axl_read(axl, AXL_REG_COUNT_FAULTS), 5);
	assert_int_equal(axl->faults[2].cause, 0);
}

/* ---- descriptors ---- */

static void bad_descriptors_are_refused(void **state)
{
	const struct axl_queue_desc good = {.valid = 1,
					    .context = 0,
					    .slot = 9,
					    .slots = RING_SLOTS,
					    .ring = USER_VA + (4 << 20),
					    .index = USER_VA + (5 << 20)};
	struct axl_context_desc context = axl->contexts[0];

	(void)state;
#define REFUSED(field, value)                                                                       \
	do {                                                                                        \
		axl->queues[9] = good;                                                              \
		axl->queues[9].field = (value);                                                     \
		assert_int_equal(axl_command(axl, AXL_CMD_QUEUE_START, 9), AXL_CMD_BAD_DESCRIPTOR); \
	} while (0)
	REFUSED(valid, 0);
	REFUSED(valid, 2);
	REFUSED(context, 5); /* not attached */
	REFUSED(context, AXL_MAX_CONTEXTS);
	REFUSED(context, 0xffffffff);
	REFUSED(slot, AXL_QUEUES_PER_CONTEXT);
	REFUSED(slot, 0); /* taken */
	REFUSED(slots, 0);
	REFUSED(slots, 24);
	REFUSED(slots, 4);
	REFUSED(slots, 2 * AXL_RING_MAX_SLOTS);
	REFUSED(ring, USER_VA + 32);
	REFUSED(ring, 1ull << 48);
	REFUSED(index, USER_VA + 64);
	REFUSED(index, 1ull << 60);
	REFUSED(priority, AXL_NUM_PRIORITIES);
	REFUSED(flags, 2);
	REFUSED(flags, AXL_QUEUE_BOUNDED); /* without a watchdog */
	REFUSED(reserved[1], 1);
#undef REFUSED
#define REFUSED(field, value)                                                                          \
	do {                                                                                           \
		axl->contexts[9] = context;                                                            \
		axl->contexts[9].field = (value);                                                      \
		assert_int_equal(axl_command(axl, AXL_CMD_CONTEXT_UPDATE, 9), AXL_CMD_BAD_DESCRIPTOR); \
	} while (0)
	REFUSED(valid, 2);
	REFUSED(reserved0, 1);
	REFUSED(reserved[4], 1);
	REFUSED(page_table, context.page_table + 8);
	REFUSED(page_table, 1ull << 52);
	REFUSED(status, context.status + 64);
#undef REFUSED
	assert_int_equal(axl_command(axl, AXL_CMD_CONTEXT_UPDATE, AXL_MAX_CONTEXTS), AXL_CMD_BAD_ARGUMENT);
	assert_int_equal(axl_command(axl, AXL_CMD_QUEUE_START, ~0ull), AXL_CMD_BAD_ARGUMENT);
	assert_int_equal(axl_command(axl, (enum axl_command)0xdead, 0), AXL_CMD_BAD_ARGUMENT);
	axl_assert_works(&queue);
}

/* ---- bus master ---- */

static void without_bus_master_nothing_is_read_or_written(void **state)
{
	uint64_t word = qtest_alloc(&qt, 4096);
	struct axl_packet_fence signal = axl_signal(user_va(word), 1);

	(void)state;
	axl_run(&queue, &signal);
	axl_assert_works(&other);
	axl_bus_master(axl, false);
	/* All pointers that it ever had are old now: no packet is fetched, no status word changes, no message is sent.
	 */
	memset((void *)(uintptr_t)axl->messages, 0, 64);
	signal.value = 2;
	memcpy(&queue.ring[1], &signal, sizeof(signal));
	queue.index->write = 2;
	qtest_store(&qt, axl->doorbells, 1, 8);
	assert_int_equal(axl_command(axl, AXL_CMD_CONTEXT_UPDATE, 0), AXL_CMD_NO_ACCESS);
	for (int i = 0; i < 100; i++)
		qtest_pause();
	assert_int_equal(*(uint64_t *)qtest_at(&qt, word), 1);
	assert_int_equal(queue.status->retired, 1);
	assert_int_equal(queue.status->state, AXL_QUEUE_RUNNING);
	for (int v = 0; v < AXL_NUM_VECTORS; v++)
		assert_int_equal(axl->messages[v], 0);
	/* Its queues are lost to it: the driver brings it up again. */
	axl_bus_master(axl, true);
	axl_bring_up(axl);
	axl_context(axl, 0);
	axl_context(axl, 1);
	queue = axl_queue(axl, 0, 0, 0, 0);
	other = axl_queue(axl, 1, 1, 0, 0);
	axl_assert_works(&queue);
}

/* ---- the command line ---- */

static void bad_properties_are_refused_by_name(void **state)
{
	static const struct {
		const char *options, *says;
	} bad[] = {
		{"tiles=9", "axl: 'tiles'"},
		{"tiles=4294967295", "axl: 'tiles'"},
		{"threads=65", "axl: 'threads'"},
		{"mem=1M", "axl: 'mem'"},
		{"mem=3M", "axl: 'mem'"},
		{"mem=2097153", "axl: 'mem'"},
		{"mem=4611686018427387904", "axl: 'mem'"},
		{"target=axl-none", "'target' names no device: 'axl-none'"},
		{"spin-us=1000001", "axl: 'spin-us'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char args[128], *text;

		snprintf(args, sizeof(args), "-device axl,%s", bad[i].options);
		text = qtest_refusal(args);
		if (!strstr(text, bad[i].says))
			fail_msg("%s: %s", bad[i].options, text);
		free(text);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(malformed_packets_fault_and_name_the_field),
		TEST(a_bounded_queue_refuses_to_wait),
		TEST(the_watchdog_ends_a_packet_that_takes_too_long),
		TEST(a_write_index_that_runs_away_faults),
		TEST(an_address_without_translation_or_right_faults),
		TEST(malformed_page_tables_fault),
		TEST(a_page_that_is_taken_away_is_gone_after_the_invalidation),
		TEST(dma_onto_bars_faults_and_never_arrives),
		TEST(a_message_onto_the_device_itself_is_blocked),
		TEST(tables_and_rings_on_bars_are_refused),
		TEST(a_fault_ring_that_is_no_memory_drops_records_and_counts),
		TEST(a_full_fault_ring_drops_records_and_counts),
		TEST(bad_descriptors_are_refused),
		TEST(without_bus_master_nothing_is_read_or_written),
		cmocka_unit_test(bad_properties_are_refused_by_name),
	};

	if (!qtest_binary())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
