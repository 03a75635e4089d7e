/* SPDX-License-Identifier: MIT */
/* Work through rings: packets, fences, interrupts, several contexts and several devices. */
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

static int setup(void **state)
{
	(void)state;
	axl_start(axl, &qt, "");
	axl_context(axl, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	qtest_stop(&qt);
	return 0;
}

/* ---- packets ---- */

static void a_fill_writes_its_range_and_nothing_beside_it(void **state)
{
	struct producer queue = axl_queue(axl, 0, 0, 0, 0);
	uint64_t page = qtest_alloc(&qt, 8192);
	struct axl_packet_fill fill = axl_fill(user_va(page) + 4, 8184, 0x01020304);
	const uint32_t *words = qtest_at(&qt, page);

	(void)state;
	axl_run(&queue, &fill);
	assert_int_equal(words[0], 0);
	assert_int_equal(words[2047], 0);
	for (int i = 1; i < 2047; i++)
		assert_int_equal(words[i], 0x01020304);
	assert_int_equal(queue.status->error, 0);
	assert_true(queue.status->busy_cycles > 0);
	assert_int_equal(axl_read(axl, AXL_REG_COUNT_PACKETS), 1);
}

static void a_copy_goes_through_local_memory_and_back(void **state)
{
	struct producer queue = axl_queue(axl, 0, 0, 0, 0);
	uint64_t from = qtest_alloc(&qt, 1 << 20), to = qtest_alloc(&qt, 1 << 20);
	struct axl_packet_copy in = axl_copy(LOCAL_VA + 13, user_va(from), 1000003);
	struct axl_packet_copy out = axl_copy(user_va(to) + 1, LOCAL_VA + 13, 1000003);
	uint8_t *bytes = qtest_at(&qt, from), window[16];

	(void)state;
	for (size_t i = 0; i < 1 << 20; i++)
		bytes[i] = (uint8_t)(i * 31 >> 3);
	axl_push(&queue, &in);
	axl_run(&queue, &out);
	assert_memory_equal(qtest_at(&qt, to + 1), bytes, 1000003);
	assert_int_equal(*(uint8_t *)qtest_at(&qt, to), 0);
	assert_int_equal(*(uint8_t *)qtest_at(&qt, to + 1 + 1000003), 0);
	/* The processor sees the same bytes through BAR4. */
	qtest_read(&qt, axl->local + 13, window, sizeof(window));
	assert_memory_equal(window, bytes, sizeof(window));
}

static void packets_run_in_order_and_the_ring_goes_round(void **state)
{
	struct producer queue = axl_queue(axl, 0, 0, 0, 0);
	uint64_t word = qtest_alloc(&qt, 4096);

	(void)state;
	for (uint64_t i = 1; i <= 20 * RING_SLOTS; i++) {
		struct axl_packet_fence signal = axl_signal(user_va(word), i);

		if (i > RING_SLOTS)
			axl_wait_retired(&queue, i - RING_SLOTS);
		axl_push(&queue, &signal);
	}
	axl_wait_retired(&queue, 20 * RING_SLOTS);
	assert_int_equal(*(uint64_t *)qtest_at(&qt, word), 20 * RING_SLOTS);
	/* The read index is for the user's information and comes before the count of what retired. */
	assert_int_equal(queue.index->read, 20 * RING_SLOTS);
}

static void two_queues_meet_at_a_fence(void **state)
{
	struct producer first = axl_queue(axl, 0, 0, 0, 0), second = axl_queue(axl, 1, 0, 0, 0);
	uint64_t word = qtest_alloc(&qt, 4096), data = qtest_alloc(&qt, 4096);
	struct axl_packet_fence wait = axl_wait(user_va(word), 7), signal = axl_signal(user_va(word), 7);
	struct axl_packet_copy copy = axl_copy(user_va(data) + 2048, user_va(data), 1024);
	struct axl_packet_fill fill = axl_fill(user_va(data), 1024, 0xabcd0123);

	(void)state;
	axl_push(&first, &wait);
	axl_push(&first, &copy);
	axl_run(&second, &fill);
	assert_int_equal(first.status->retired, 0);
	axl_run(&second, &signal);
	axl_wait_retired(&first, 2);
	assert_memory_equal(qtest_at(&qt, data), qtest_at(&qt, data + 2048), 1024);
}

static void a_wait_sees_what_the_processor_stores(void **state)
{
	struct producer queue = axl_queue(axl, 0, 0, 0, 0);
	uint64_t word = qtest_alloc(&qt, 4096);
	struct axl_packet_fence wait = axl_wait(user_va(word), 1);

	(void)state;
	axl_push(&queue, &wait);
	for (int i = 0; i < 20; i++)
		qtest_pause();
	assert_int_equal(queue.status->retired, 0);
	__atomic_store_n((uint64_t *)qtest_at(&qt, word), 1, __ATOMIC_RELEASE);
	axl_wait_retired(&queue, 1);
}

static void a_timestamp_is_the_cycle_counter(void **state)
{
	struct producer queue = axl_queue(axl, 0, 0, 0, 0);
	uint64_t word = qtest_alloc(&qt, 4096), *stamps = qtest_at(&qt, word);
	struct axl_packet_timestamp stamp = {.header.opcode = AXL_PKT_TIMESTAMP, .address = user_va(word)};

	(void)state;
	axl_run(&queue, &stamp);
	stamp.address += 8;
	axl_assert_works(&queue);
	axl_run(&queue, &stamp);
	assert_true(stamps[1] > stamps[0] + 4096 / 16);
	assert_true(stamps[1] <= axl_read(axl, AXL_REG_CYCLES));
}

static void a_command_buffer_runs_and_reports(void **state)
{
	struct producer queue = axl_queue(axl, 0, 0, 0, 0);
	uint64_t stats_at = qtest_alloc(&qt, 4096);
	const struct axl_exec_stats *stats = qtest_at(&qt, stats_at);
	struct axl_packet_execute execute = axl_loop(axl, 10, false);

	(void)state;
	execute.stats = user_va(stats_at);
	axl_run(&queue, &execute);
	assert_int_equal(stats->instructions, 1 + 10 * 2 + 1);
	assert_true(stats->end > stats->start);
	assert_true(axl_read(axl, AXL_REG_COUNT_BUSY) > 0);
}

/* ---- doorbells and interrupts ---- */

static void a_device_that_is_awake_needs_no_doorbell(void **state)
{
	struct producer queue = axl_queue(axl, 0, 0, 0, 0);
	uint64_t before;

	(void)state;
	axl_assert_works(&queue);
	QTEST_WAIT(queue.status->event == 1);
	before = axl_read(axl, AXL_REG_COUNT_DOORBELLS);
	axl_assert_works(&queue);
	assert_int_equal(axl_read(axl, AXL_REG_COUNT_DOORBELLS), before + 1);
	/* A doorbell of a context without queues wakes it for nothing and harms nobody. */
	qtest_store(&qt, axl->doorbells + 9 * AXL_DOORBELL_STRIDE, 1, 8);
	axl_assert_works(&queue);
}

static void a_packet_that_asks_raises_its_contexts_vector(void **state)
{
	const unsigned int contexts[] = {0, 1, 3};

	(void)state;
	axl_context(axl, 1);
	axl_context(axl, 3);
	for (unsigned int i = 0; i < 3; i++) {
		unsigned int context = contexts[i], vector = 1 + context % (AXL_NUM_VECTORS - 1);
		struct producer queue = axl_queue(axl, 10 + i, context, 0, 0);
		union axl_packet nop = {.header = {.flags = AXL_PF_INTERRUPT}};

		/* Starting it has raised the vector as well. */
		QTEST_WAIT(axl->messages[vector] == MESSAGE + vector);
		axl_write(axl, AXL_REG_IRQ_CONTEXTS, ~0ull);
		axl_write(axl, AXL_REG_IRQ_PENDING, ~0u);
		axl->messages[vector] = 0;
		axl_run(&queue, &nop);
		QTEST_WAIT(axl->messages[vector] == MESSAGE + vector);
		assert_int_equal(axl_read(axl, AXL_REG_IRQ_PENDING), 1 << vector);
		assert_int_equal(axl_read(axl, AXL_REG_IRQ_CONTEXTS), 1ull << context);
		axl_write(axl, AXL_REG_IRQ_CONTEXTS, 1ull << context);
		axl_write(axl, AXL_REG_IRQ_PENDING, 1u << vector);
		assert_int_equal(axl_read(axl, AXL_REG_IRQ_PENDING), 0);
		assert_int_equal(axl_read(axl, AXL_REG_IRQ_CONTEXTS), 0);
	}
}

static void a_sleeper_is_woken_at_the_index_it_named(void **state)
{
	struct producer queue = axl_queue(axl, 0, 0, 0, 0);
	union axl_packet nop = {0};

	(void)state;
	QTEST_WAIT(axl->messages[1]);
	axl->messages[1] = 0;
	queue.status->notify = 3;
	axl_run(&queue, &nop);
	axl_run(&queue, &nop);
	assert_int_equal(axl_command(axl, AXL_CMD_TLB_INVALIDATE, 0), AXL_CMD_OK); /* what was on its way is out */
	assert_int_equal(axl->messages[1], 0);
	axl_run(&queue, &nop);
	QTEST_WAIT(axl->messages[1] == MESSAGE + 1);
}

static void a_masked_vector_of_the_device_is_sent_when_unmasked(void **state)
{
	(void)state;
	QTEST_WAIT(axl->messages[0]);
	axl->messages[0] = 0;
	axl_write(axl, AXL_REG_IRQ_MASK, 1);
	assert_int_equal(axl_command(axl, AXL_CMD_TLB_INVALIDATE, 0), AXL_CMD_OK);
	QTEST_WAIT(axl_read(axl, AXL_REG_IRQ_PENDING) & 1);
	assert_int_equal(axl->messages[0], 0);
	axl_write(axl, AXL_REG_IRQ_MASK, 0);
	QTEST_WAIT(axl->messages[0] == MESSAGE);
}

static void a_vector_masked_in_the_table_is_pending_there(void **state)
{
	uint16_t cap = axl_capability(axl, PCI_CAP_ID_MSIX);
	uint64_t pba = axl->msix + (axl_config(axl, (uint16_t)(cap + PCI_MSIX_PBA), 4) & ~7u);
	uint64_t control = axl->msix + PCI_MSIX_ENTRY_VECTOR_CTRL;

	(void)state;
	QTEST_WAIT(axl->messages[0]);
	axl->messages[0] = 0;
	qtest_store(&qt, control, PCI_MSIX_ENTRY_CTRL_MASKBIT, 4);
	assert_int_equal(axl_command(axl, AXL_CMD_TLB_INVALIDATE, 0), AXL_CMD_OK);
	QTEST_WAIT(qtest_load(&qt, pba, 8) == 1);
	assert_int_equal(axl->messages[0], 0);
	qtest_store(&qt, control, 0, 4);
	QTEST_WAIT(axl->messages[0] == MESSAGE);
	assert_int_equal(qtest_load(&qt, pba, 8), 0);
}

/* ---- the program's memory changes under the device ---- */

static void a_ring_rewritten_after_the_fetch_changes_nothing(void **state)
{
	struct producer queue = axl_queue(axl, 0, 0, 0, 0);
	uint64_t word = qtest_alloc(&qt, 4096), other = qtest_alloc(&qt, 4096);
	struct axl_packet_fence wait = axl_wait(user_va(word), 1);

	(void)state;
	axl_push(&queue, &wait);
	/* The device has it in hand: read counts it. */
	QTEST_WAIT(__atomic_load_n(&queue.index->read, __ATOMIC_ACQUIRE) == 1);
	queue.ring[0].fence = axl_signal(user_va(other), 0xbad);
	__atomic_store_n((uint64_t *)qtest_at(&qt, word), 1, __ATOMIC_RELEASE);
	axl_wait_retired(&queue, 1);
	assert_int_equal(*(uint64_t *)qtest_at(&qt, other), 0);
	axl_assert_works(&queue);
}

/*
 * The packet flips between two good addresses, and now and then to a bad opcode, while the device fetches: whatever it
 * sees is checked after it was copied, so that it does one of the two or faults, and the other words stay untouched.
 */
static void a_ring_that_changes_while_it_is_fetched_can_not_escape_the_checks(void **state)
{
	struct producer queue = axl_queue(axl, 0, 0, 0, 0);
	uint64_t good = qtest_alloc(&qt, 4096), guard = qtest_alloc(&qt, 4096);
	unsigned int faults = 0;

	(void)state;
	for (unsigned int round = 0; round < 300; round++) {
		struct axl_packet_fill fill = axl_fill(user_va(good), 64, 0x11111111);
		uint64_t at = queue.index->write & (RING_SLOTS - 1);
		volatile union axl_packet *slot = &queue.ring[at];

		axl_push(&queue, &fill);
		for (unsigned int i = 0; i < 50 && queue.status->retired != queue.index->write; i++) {
			slot->fill.dst = user_va(guard) + 1; /* refused: not a multiple of 4 */
			slot->header.opcode = 0xee;
			slot->fill.dst = user_va(good) + 64;
			slot->header.opcode = AXL_PKT_FILL;
		}
		QTEST_WAIT(queue.status->retired == queue.index->write || queue.status->state == AXL_QUEUE_FAULTED);
		if (queue.status->state == AXL_QUEUE_FAULTED) {
			assert_int_equal(queue.status->error, AXL_CAUSE_PACKET);
			axl_write(axl, AXL_REG_FAULT_READ, axl_read(axl, AXL_REG_FAULT_WRITE));
			axl_recover(&queue);
			faults++;
		}
	}
	for (int i = 0; i < 1024; i++)
		assert_int_equal(((uint32_t *)qtest_at(&qt, guard))[i], 0);
	assert_int_equal(axl_read(axl, AXL_REG_COUNT_FAULTS), faults);
	axl_assert_works(&queue);
}

/* ---- more than one ---- */

static void contexts_do_not_see_each_other(void **state)
{
	struct producer a = axl_queue(axl, 0, 0, 0, 0), b;
	uint64_t secret = qtest_alloc(&qt, 4096), va;
	struct axl_packet_fill fill;
	struct axl_fault_record fault;

	(void)state;
	axl_context(axl, 1);
	b = axl_queue(axl, 1, 1, 0, 0);
	va = axl_map_page(axl, 0, 5, secret | RIG_RIGHTS);
	fill = axl_fill(va, 16, 0x77777777);
	axl_run(&a, &fill);
	assert_int_equal(*(uint32_t *)qtest_at(&qt, secret), 0x77777777);
	fill.pattern = 0x66666666;
	fault = axl_run_faulting(&b, &fill);
	assert_int_equal(fault.cause, AXL_CAUSE_NOT_MAPPED);
	assert_int_equal(fault.context, 1);
	assert_int_equal(*(uint32_t *)qtest_at(&qt, secret), 0x77777777);
	axl_assert_works(&a);
}

static void three_devices_in_a_machine_work_apart(void **state)
{
	struct axl devices[3];
	struct producer queues[3];
	struct axl_packet_fill wrong = axl_fill(user_va(0) + 1, 4, 0);

	(void)state;
	qtest_start(&qt, "-device axl,id=npu,addr=04.0,mem=4M,threads=1 -device axl,addr=05.0,mem=8M,threads=1,tiles=2 "
			 "-device axl,addr=06.0,mem=2M,threads=1,target=axl-pro");
	for (unsigned int i = 0; i < 3; i++) {
		axl_attach(&devices[i], &qt, i, 0, (uint8_t)((4 + i) << 3));
		axl_bring_up(&devices[i]);
		axl_context(&devices[i], 0);
		queues[i] = axl_queue(&devices[i], 0, 0, 0, 0);
	}
	assert_int_equal(axl_read(&devices[0], AXL_REG_TILES), 1);
	assert_int_equal(axl_read(&devices[1], AXL_REG_TILES), 2);
	assert_int_equal(axl_read(&devices[1], AXL_REG_MEM_SIZE), 8 << 20);
	assert_int_equal(axl_read(&devices[2], AXL_REG_TILES), 4);
	for (unsigned int i = 0; i < 3; i++)
		axl_assert_works(&queues[i]);
	assert_int_equal(axl_run_faulting(&queues[1], &wrong).cause, AXL_CAUSE_PACKET);
	axl_assert_works(&queues[0]);
	axl_reset(&devices[2]);
	axl_assert_works(&queues[0]);
	axl_recover(&queues[1]);
	axl_assert_works(&queues[1]);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(axl_read(&devices[i], AXL_REG_COUNT_FAULTS), i == 1);
	qtest_stop(&qt);
}

/* ---- options ---- */

static void start_with(const char *options, struct producer *queue)
{
	axl_start(axl, &qt, options);
	axl_context(axl, 0);
	*queue = axl_queue(axl, 0, 0, 0, 0);
}

static void a_queue_without_a_watchdog_has_the_devices(void **state)
{
	struct axl_packet_fill fill;
	struct producer queue;

	(void)state;
	start_with(",watchdog=4", &queue);
	axl_assert_works(&queue); /* short enough */
	fill = axl_fill(user_va(qtest_alloc(&qt, 1 << 20)), 1 << 20, 1);
	assert_int_equal(axl_run_faulting(&queue, &fill).cause, AXL_CAUSE_WATCHDOG);
	qtest_stop(&qt);
}

static void without_timing_no_cycle_goes_by(void **state)
{
	struct producer queue;

	(void)state;
	if (axl_is_deterministic())
		skip(); /* without cycles it has no time */
	start_with(",timing=off", &queue);
	axl_assert_works(&queue);
	assert_int_equal(axl_read(axl, AXL_REG_CYCLES), 0);
	assert_int_equal(queue.status->busy_cycles, 0);
	qtest_stop(&qt);
}

static void race_check_can_be_on_from_the_start(void **state)
{
	struct producer queue;

	(void)state;
	start_with(",race-check=on", &queue);
	axl_reset(axl);
	assert_int_equal(axl_read(axl, AXL_REG_CONTROL), AXL_CONTROL_RACE_CHECK);
	qtest_stop(&qt);
}

static void a_device_that_never_spins_works(void **state)
{
	struct producer queue;

	(void)state;
	start_with(",spin-us=0,threads=4", &queue);
	for (int i = 0; i < 50; i++)
		axl_assert_works(&queue);
	assert_int_equal(queue.status->retired, 50);
	qtest_stop(&qt);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_fill_writes_its_range_and_nothing_beside_it),
		TEST(a_copy_goes_through_local_memory_and_back),
		TEST(packets_run_in_order_and_the_ring_goes_round),
		TEST(two_queues_meet_at_a_fence),
		TEST(a_wait_sees_what_the_processor_stores),
		TEST(a_timestamp_is_the_cycle_counter),
		TEST(a_command_buffer_runs_and_reports),
		TEST(a_device_that_is_awake_needs_no_doorbell),
		TEST(a_packet_that_asks_raises_its_contexts_vector),
		TEST(a_sleeper_is_woken_at_the_index_it_named),
		TEST(a_masked_vector_of_the_device_is_sent_when_unmasked),
		TEST(a_vector_masked_in_the_table_is_pending_there),
		TEST(a_ring_rewritten_after_the_fetch_changes_nothing),
		TEST(a_ring_that_changes_while_it_is_fetched_can_not_escape_the_checks),
		TEST(contexts_do_not_see_each_other),
		cmocka_unit_test(three_devices_in_a_machine_work_apart),
		cmocka_unit_test(a_queue_without_a_watchdog_has_the_devices),
		cmocka_unit_test(without_timing_no_cycle_goes_by),
		cmocka_unit_test(race_check_can_be_on_from_the_start),
		cmocka_unit_test(a_device_that_never_spins_works),
	};

	if (!qtest_binary())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
