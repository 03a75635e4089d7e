/* SPDX-License-Identifier: MIT */
/* deterministic=on: the device lives in the machine's virtual time, which here is what the test makes of it. */
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_isa.h>
#include <cmocka.h>

#include "tests/qemu/axl_rig.h"

#define STEP_NS 100
#define WAKE_NS 500 /* a store is half a round trip of 1000 cycles on its way */
#define MS 1000000ull

static struct qtest qt;
static struct axl the_axl;
static struct axl *axl = &the_axl;
static struct producer queue, other;

static void open_queues(void)
{
	axl_context(axl, 0);
	queue = axl_queue(axl, 0, 0, 0, 0);
	other = axl_queue(axl, 1, 0, 0, 0);
}

/* Brought up, asleep, and the clock stands from here on. */
static void start(const char *more)
{
	char options[256];

	snprintf(options, sizeof(options), ",deterministic=on%s", more);
	*axl = (struct axl){0};
	axl_start(axl, &qt, options);
	open_queues();
	axl_assert_works(&queue);
	qtest_walk_clock(&qt, 0);
	qtest_clock_step(&qt, MS);
	/* A nanosecond is a cycle. */
	assert_int_equal(axl_read(axl, AXL_REG_CLOCK_KHZ), 1000000);
}

static int setup(void **state)
{
	(void)state;
	start("");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	qtest_stop(&qt);
	return 0;
}

/* Virtual ns until @producer's packets have retired, or it has faulted. */
static uint64_t time_until_over(const struct producer *producer, uint64_t step, uint64_t limit)
{
	for (uint64_t ns = 0; ns <= limit; ns += step) {
		if (producer->status->retired == producer->index->write || producer->status->error)
			return ns;
		qtest_clock_step(&qt, step);
	}
	fail_msg("queue %u: %llu of %llu after %llu ns", producer->number,
		 (unsigned long long)producer->status->retired, (unsigned long long)producer->index->write,
		 (unsigned long long)limit);
	return 0;
}

static void it_needs_timing(void **state)
{
	char *text = qtest_refusal("-device axl,deterministic=on,timing=off");

	(void)state;
	assert_non_null(strstr(text, "'deterministic' is nothing without 'timing'"));
	free(text);
}

static void it_has_no_thread_and_none_comes(void **state)
{
	unsigned int threads = qtest_threads(&qt);
	struct axl_packet_execute loop = axl_loop(axl, 1000, false);

	(void)state;
	axl_push(&queue, &loop);
	time_until_over(&queue, STEP_NS, 10 * MS);
	assert_int_equal(qtest_threads(&qt), threads);
	qtest_stop(&qt);
	*axl = (struct axl){0};
	/* The same machine with a device that has one. */
	axl_start(axl, &qt, "");
	assert_int_equal(qtest_threads(&qt), threads + 1);
}

static void nothing_happens_while_the_clock_stands(void **state)
{
	struct axl_packet_fill fill = axl_fill(user_va(qtest_alloc(&qt, 4096)), 4096, 1);
	uint64_t retired = queue.status->retired;

	(void)state;
	axl_push(&queue, &fill);
	axl_write(axl, AXL_REG_COMMAND_ARG, 0);
	axl_write(axl, AXL_REG_COMMAND, AXL_CMD_TLB_INVALIDATE);
	for (int i = 0; i < 100; i++)
		qtest_pause();
	assert_int_equal(queue.status->retired, retired);
	assert_true(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_COMMAND_BUSY);
	qtest_clock_step(&qt, MS);
	assert_int_equal(queue.status->retired, retired + 1);
	assert_false(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_COMMAND_BUSY);
}

static void work_takes_its_cycles(void **state)
{
	struct axl_packet_copy copy = axl_copy(LOCAL_VA, user_va(qtest_alloc(&qt, 1 << 20)), 1 << 20);
	struct axl_packet_execute loop = axl_loop(axl, 1000, false);
	uint64_t before, cycles, ns;

	(void)state;
	before = queue.status->busy_cycles;
	axl_push(&queue, &copy);
	ns = time_until_over(&queue, STEP_NS, 10 * MS);
	cycles = queue.status->busy_cycles - before;
	assert_true(cycles > (1 << 20) / 16);
	assert_in_range(ns, WAKE_NS + cycles, WAKE_NS + cycles + STEP_NS);
	qtest_clock_step(&qt, MS);

	before = queue.status->busy_cycles;
	axl_push(&queue, &loop);
	ns = time_until_over(&queue, STEP_NS, 10 * MS);
	cycles = queue.status->busy_cycles - before;
	assert_true(cycles > 1000);
	assert_in_range(ns, WAKE_NS + cycles, WAKE_NS + cycles + STEP_NS);
}

static void what_comes_after_work_waits_for_it(void **state)
{
	struct axl_packet_copy copy = axl_copy(LOCAL_VA, user_va(qtest_alloc(&qt, 1 << 20)), 1 << 20);
	uint64_t word_at = qtest_alloc(&qt, 4096);
	struct axl_packet_fence signal = axl_signal(user_va(word_at), 77);
	const uint64_t *word = qtest_at(&qt, word_at);

	(void)state;
	axl_push(&queue, &copy);
	axl_push(&queue, &signal);
	qtest_clock_step(&qt, 60000);
	assert_int_equal(*word, 0);
	qtest_clock_step(&qt, 60000);
	assert_int_equal(*word, 77);
}

static void commands_are_served_while_a_buffer_runs(void **state)
{
	struct axl_packet_execute loop = axl_loop(axl, 10000000, false);
	uint64_t retired = queue.status->retired;

	(void)state;
	axl_push(&queue, &loop);
	qtest_clock_step(&qt, MS);
	assert_int_equal(queue.index->read, retired + 1);
	axl_write(axl, AXL_REG_COMMAND_ARG, 0);
	axl_write(axl, AXL_REG_COMMAND, AXL_CMD_TLB_INVALIDATE);
	assert_true(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_COMMAND_BUSY);
	qtest_clock_step(&qt, WAKE_NS);
	assert_false(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_COMMAND_BUSY);
	assert_int_equal(queue.status->retired, retired);
	/* And it ends when it is told to, whatever it has computed by then. */
	qtest_walk_clock(&qt, WAKE_NS);
	axl_recover(&queue);
	assert_int_equal(queue.status->dropped, retired + 1);
	axl_assert_works(&queue);
}

static void the_end_of_a_buffer_can_still_be_taken_back(void **state)
{
	struct axl_packet_execute loop = axl_loop(axl, 20000, false);
	uint64_t ns, retired = queue.status->retired;

	(void)state;
	axl_push(&queue, &loop);
	ns = time_until_over(&queue, STEP_NS, 10 * MS);
	/* Again, and no further than just before its end. */
	axl_push(&queue, &loop);
	qtest_clock_step(&qt, ns - 2 * STEP_NS - WAKE_NS);
	assert_int_equal(queue.status->retired, retired + 1);
	axl_write(axl, AXL_REG_COMMAND_ARG, 1);
	axl_write(axl, AXL_REG_COMMAND, AXL_CMD_TILE_RESET);
	qtest_clock_step(&qt, WAKE_NS);
	qtest_clock_step(&qt, MS);
	assert_int_equal(queue.status->state, AXL_QUEUE_FAULTED);
	assert_int_equal(queue.status->error, AXL_CAUSE_RESET);
}

static void higher_priority_gets_the_tiles_at_the_next_yield(void **state)
{
	struct axl_packet_execute longer = axl_loop(axl, 1000000, true), shorter = axl_loop(axl, 10, false);
	uint64_t long_retired, ns;

	(void)state;
	qtest_walk_clock(&qt, WAKE_NS);
	assert_int_equal(axl_command(axl, AXL_CMD_QUEUE_RESET, 1), AXL_CMD_OK);
	axl->queues[1].priority = 1;
	assert_int_equal(axl_command(axl, AXL_CMD_QUEUE_START, 1), AXL_CMD_OK);
	qtest_walk_clock(&qt, 0);
	long_retired = queue.status->retired;
	axl_push(&queue, &longer);
	qtest_clock_step(&qt, MS / 10);
	axl_push(&other, &shorter);
	ns = time_until_over(&other, STEP_NS, MS);
	/* A device that is awake looks at its rings at every YIELD. */
	assert_in_range(ns, STEP_NS, MS / 100);
	assert_int_equal(queue.status->retired, long_retired);
	time_until_over(&queue, MS, 100 * MS);
	assert_int_equal(queue.status->retired, long_retired + 1);
}

static void the_watchdog_bites_in_virtual_time(void **state)
{
	struct axl_packet_execute loop = axl_loop(axl, 1, false);
	struct axl_packet_fill nop = {.header.opcode = AXL_PKT_NOP};
	uint64_t ns;

	(void)state;
	qtest_walk_clock(&qt, WAKE_NS);
	queue = axl_queue(axl, 2, 0, 0, 1000);
	qtest_walk_clock(&qt, 0);
	axl_set_rules(&qt, "site=pipe,action=hang");
	axl_push(&queue, &loop);
	ns = time_until_over(&queue, 1024, 10 * MS);
	assert_int_equal(queue.status->error, AXL_CAUSE_WATCHDOG);
	assert_in_range(ns, 1000 * 1024, 1003 * 1024);
	qtest_walk_clock(&qt, WAKE_NS);
	axl_recover(&queue);
	qtest_walk_clock(&qt, 0);
	axl_set_rules(&qt, "site=packet,action=hang");
	axl_push(&queue, &nop);
	ns = time_until_over(&queue, 1024, 10 * MS);
	assert_int_equal(queue.status->error, AXL_CAUSE_WATCHDOG);
	assert_in_range(ns, 1000 * 1024, 1003 * 1024);
}

static void a_slow_reset_is_slow_in_virtual_time(void **state)
{
	(void)state;
	axl_set_rules(&qt, "site=reset,action=slow,delay=5000");
	axl_write(axl, AXL_REG_CONTROL, AXL_CONTROL_RESET);
	qtest_clock_step(&qt, 4900000);
	assert_false(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_READY);
	qtest_clock_step(&qt, 200000);
	assert_true(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_READY);
}

/* ---- twice the same ---- */

/* A bit of everything; nothing in it looks at the host's time. */
static void play(void)
{
	struct axl_packet_copy copy = axl_copy(LOCAL_VA, user_va(qtest_alloc(&qt, 1 << 16)), 1 << 16);
	uint64_t word = user_va(qtest_alloc(&qt, 4096));
	struct axl_packet_fence wait = axl_wait(word, 5), signal = axl_signal(word, 5);
	struct axl_packet_execute loop = axl_loop(axl, 5000, true);
	uint64_t course = 1;

	axl_set_rules(&qt, "site=msix,action=delay,probability=30,delay=40;site=fetch,action=corrupt,probability=5;"
			   "site=map,action=refuse,probability=2;site=aer,action=correctable,probability=10");
	for (int i = 0; i < 60; i++) {
		struct producer *producer = course >> 40 & 1 ? &queue : &other;
		const void *const packets[] = {&copy, &wait, &signal, &loop};

		course = course * 6364136223846793005ull + 1442695040888963407ull;
		if (producer->index->write - producer->status->retired < RING_SLOTS - 1 && !producer->status->error)
			axl_push(producer, packets[course >> 50 & 3]);
		if (course >> 32 & 1)
			axl_write(axl, AXL_REG_IRQ_MASK, course >> 20 & 3);
		axl_write(axl, AXL_REG_IRQ_PENDING, ~0u);
		qtest_clock_step(&qt, course >> 34 & 0x1ffff);
		if (i % 20 == 19) {
			qtest_walk_clock(&qt, WAKE_NS);
			axl_command(axl, AXL_CMD_QUEUE_RESET, course >> 33 & 1);
			producer = course >> 33 & 1 ? &other : &queue;
			producer->index->write = producer->status->retired;
			axl_command(axl, AXL_CMD_QUEUE_START, course >> 33 & 1);
			qtest_walk_clock(&qt, 0);
		}
	}
}

/* The trace without what is the process's own: where the host has put things, what else it says. */
static char *played_trace(void)
{
	char *log, *to;

	start(",fault-seed=4 -trace axl_*");
	play();
	log = to = qtest_log(&qt);
	for (const char *from = log; *from; from++) {
		if ((from == log || from[-1] == '\n') && strncmp(from, "axl_", 4)) {
			from += strcspn(from, "\n");
			if (!*from)
				break;
			continue;
		}
		/* Programs lie from 0x5555... on, mappings within a TiB below 0x7fff...: 0x7e.. to 0x7f.. */
		if (!strncmp(from, "0x5", 3) || !strncmp(from, "0x7", 3)) {
			size_t digits = strspn(from + 2, "0123456789abcdef");

			if (digits == 12) {
				*to++ = '@';
				from += 1 + digits;
				continue;
			}
		}
		*to++ = *from;
	}
	*to = 0;
	qtest_stop(&qt);
	return log;
}

static unsigned int count(const char *text, const char *word)
{
	unsigned int found = 0;

	for (const char *at = text; (at = strstr(at, word)); at++)
		found++;
	return found;
}

static void the_same_story_gives_the_same_trace(void **state)
{
	char *first = played_trace(), *second = played_trace();

	(void)state;
	/* Something went on. */
	assert_in_range(count(first, "axl_clock"), 100, 100000);
	assert_in_range(count(first, "axl_irq_send"), 10, 10000);
	assert_in_range(count(first, "axl_irq_later"), 1, 10000);
	assert_in_range(count(first, "axl_aer"), 1, 10000);
	assert_in_range(count(first, "axl_fault_injected"), 5, 10000);
	if (strcmp(first, second)) {
		size_t at = 0;

		while (first[at] == second[at])
			at++;
		at = at > 200 ? at - 200 : 0;
		fail_msg("first: %.400s\nsecond: %.400s", first + at, second + at);
	}
	free(first);
	free(second);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_needs_timing),
		TEST(it_has_no_thread_and_none_comes),
		TEST(nothing_happens_while_the_clock_stands),
		TEST(work_takes_its_cycles),
		TEST(what_comes_after_work_waits_for_it),
		TEST(commands_are_served_while_a_buffer_runs),
		TEST(the_end_of_a_buffer_can_still_be_taken_back),
		TEST(higher_priority_gets_the_tiles_at_the_next_yield),
		TEST(the_watchdog_bites_in_virtual_time),
		TEST(a_slow_reset_is_slow_in_virtual_time),
		cmocka_unit_test(the_same_story_gives_the_same_trace),
	};

	if (!qtest_binary())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
