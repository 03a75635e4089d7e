/* SPDX-License-Identifier: MIT */
/* Faults injected at run time: rules and how they are refused, each action, the counters, the seed; stale DMA. */
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/qemu/axl_rig.h"

#define FAULT_PATH RIG_PATH "/fault"

static struct qtest qt;
static struct axl the_axl;
static struct axl *axl = &the_axl;
static struct producer queue, other;

static void open_queues(void)
{
	axl_context(axl, 0);
	axl_context(axl, 1);
	queue = axl_queue(axl, 0, 0, 0, 0);
	other = axl_queue(axl, 1, 1, 0, 0);
}

static int setup(void **state)
{
	(void)state;
	axl_start(axl, &qt, "");
	open_queues();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	qtest_stop(&qt);
	return 0;
}

static uint64_t injected(const char *site)
{
	char name[64];

	snprintf(name, sizeof(name), "injected%s%s", *site ? "-" : "", site);
	return qtest_qom_get(&qt, FAULT_PATH, name);
}

/* Everything that an interrupt of vector 0 goes through, at once. */
static void cause_interrupt(void)
{
	axl_write(axl, AXL_REG_IRQ_PENDING, ~0u);
	axl->messages[0] = 0;
	assert_int_equal(axl_command(axl, AXL_CMD_TLB_INVALIDATE, 5), AXL_CMD_OK);
	QTEST_WAIT(axl_read(axl, AXL_REG_IRQ_PENDING) & 1);
}

/* ---- rules ---- */

static void bad_rules_are_refused_by_the_word_that_is_wrong(void **state)
{
	static const struct {
		const char *rules, *word;
	} bad[] = {
		{"nonsense", "'nonsense' is not key=word"},
		{"site=moon,action=drop", "no site 'moon'"},
		{"site=msix,action=explode", "no action 'explode'"},
		{"site=msix,action=corrupt", "no action 'corrupt' at site 'msix'"},
		{"site=aer,action=drop", "no action 'drop' at site 'aer'"},
		{"site=msix,action=fatal", "no action 'fatal' at site 'msix'"},
		{"site=msix", "has no action"},
		{"action=drop", "has no site"},
		{"site=msix,action=drop,colour=3", "no key 'colour'"},
		{"site=msix,action=drop,nth=x", "'x' of 'nth'"},
		{"site=msix,action=drop,nth=0", "'0' of 'nth'"},
		{"site=msix,action=drop,nth=-1", "'-1' of 'nth'"},
		{"site=msix,action=drop,vector=16", "'16' of 'vector'"},
		{"site=fetch,action=corrupt,queue=256", "'256' of 'queue'"},
		{"site=fetch,action=corrupt,probability=101", "'101' of 'probability'"},
		{"site=reset,action=slow,delay=99999999999999999999", "'99999999999999999999' of 'delay'"},
		{"site=msix,action=drop;", "'' is no rule"},
		{"site=msix,action=drop;;site=map,action=refuse", "'' is no rule"},
		{"site=msix,action=drop,", "'' is not key=word"},
	};
	const char *good = "site=map,action=refuse,address=0x1000";

	(void)state;
	axl_set_rules(&qt, good);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *answer = qtest_qmp(
			&qt, "{'execute':'qom-set','arguments':{'path':'%s','property':'fault-rules','value':'%s'}}",
			RIG_PATH, bad[i].rules);

		if (!strstr(answer, "\"error\""))
			fail_msg("taken: %s", bad[i].rules);
		if (!strstr(answer, bad[i].word))
			fail_msg("%s: %s", bad[i].rules, answer);
	}
	/* All or none: the good ones still stand. */
	assert_non_null(strstr(
		qtest_qmp_ok(&qt, "{'execute':'qom-get','arguments':{'path':'" RIG_PATH "','property':'fault-rules'}}"),
		good));
	axl_set_rules(&qt, "");
	axl_assert_works(&queue);
	assert_int_equal(injected(""), 0);
}

static void counters_can_not_be_written(void **state)
{
	(void)state;
	assert_non_null(strstr(qtest_qmp(&qt, "{'execute':'qom-set','arguments':{'path':'" FAULT_PATH
					      "','property':'injected-msix','value':1}}"),
			       "\"error\""));
	assert_int_equal(injected("msix"), 0);
}

static void rules_can_stand_on_the_command_line(void **state)
{
	char *text = qtest_refusal("-device axl,fault-rules=site=moon");

	(void)state;
	assert_non_null(strstr(text, "no site 'moon'"));
	free(text);
	axl_start(axl, &qt, ",fault-seed=3,fault-rules=site=packet,,action=hang,,queue=9");
	assert_non_null(strstr(
		qtest_qmp_ok(&qt, "{'execute':'qom-get','arguments':{'path':'" FAULT_PATH "','property':'rules'}}"),
		"site=packet,action=hang,queue=9"));
	assert_int_equal(qtest_qom_get(&qt, FAULT_PATH, "seed"), 3);
	qtest_stop(&qt);
}

/* ---- interrupts ---- */

static void an_interrupt_is_dropped(void **state)
{
	uint64_t sent;

	(void)state;
	axl_set_rules(&qt, "site=msix,action=drop,vector=0,nth=2");
	cause_interrupt();
	QTEST_WAIT(axl->messages[0] == MESSAGE);
	sent = qtest_qom_get(&qt, RIG_PATH, "interrupts-sent");
	cause_interrupt();
	QTEST_WAIT(injected("msix") == 1);
	assert_int_equal(axl->messages[0], 0);
	assert_int_equal(qtest_qom_get(&qt, RIG_PATH, "interrupts-sent"), sent);
	/* The cause is there for who polls. */
	assert_true(axl_read(axl, AXL_REG_IRQ_CAUSE) & AXL_IRQ_COMMAND);
	cause_interrupt();
	QTEST_WAIT(axl->messages[0] == MESSAGE);
	assert_int_equal(injected(""), 1);
}

static void an_interrupt_comes_late(void **state)
{
	(void)state;
	if (axl_is_deterministic())
		skip(); /* needs a clock that stands while it waits */
	axl_set_rules(&qt, "site=msix,action=delay,vector=0,count=1,delay=5000");
	cause_interrupt();
	QTEST_WAIT(injected("msix") == 1);
	qtest_clock_step(&qt, 4999000);
	assert_int_equal(axl->messages[0], 0);
	qtest_clock_step(&qt, 1000);
	QTEST_WAIT(axl->messages[0] == MESSAGE);
}

static void an_interrupt_comes_twice(void **state)
{
	(void)state;
	if (axl_is_deterministic())
		skip(); /* needs a clock that stands while it waits */
	axl_set_rules(&qt, "site=msix,action=duplicate,vector=0,count=1,delay=100");
	cause_interrupt();
	QTEST_WAIT(axl->messages[0] == MESSAGE);
	axl->messages[0] = 0;
	qtest_clock_step(&qt, 99000);
	assert_int_equal(axl->messages[0], 0);
	qtest_clock_step(&qt, 1000);
	QTEST_WAIT(axl->messages[0] == MESSAGE);
}

static void a_reset_takes_back_what_was_to_come_late(void **state)
{
	(void)state;
	axl_set_rules(&qt, "site=msix,action=delay,vector=0,count=1,delay=5000");
	cause_interrupt();
	QTEST_WAIT(injected("msix") == 1);
	qtest_qom_set(&qt, RIG_PATH, "link", "false");
	qtest_qom_set(&qt, RIG_PATH, "link", "true");
	axl_place_bars(axl);
	axl_enable_msix(axl);
	qtest_clock_step(&qt, 10000000);
	assert_int_equal(axl->messages[0], 0);
}

/* ---- work ---- */

static void a_packet_hangs_until_its_queue_is_reset(void **state)
{
	union axl_packet nop = {0};
	uint64_t before;

	(void)state;
	axl_set_rules(&qt, "site=packet,action=hang,queue=0,nth=1");
	axl_push(&queue, &nop);
	QTEST_WAIT(injected("packet") == 1);
	before = axl_read(axl, AXL_REG_CYCLES);
	axl_assert_works(&other);
	QTEST_WAIT(axl_read(axl, AXL_REG_CYCLES) > before + 100000); /* time goes by */
	assert_int_equal(queue.status->retired, 0);
	assert_int_equal(queue.status->state, AXL_QUEUE_RUNNING);
	assert_false(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_IDLE);
	axl_recover(&queue);
	assert_int_equal(queue.status->dropped, 1);
	axl_assert_works(&queue);
}

static void the_watchdog_ends_a_packet_that_hangs(void **state)
{
	struct producer watched = axl_queue(axl, 2, 0, 0, 10);
	union axl_packet nop = {0};

	(void)state;
	axl_set_rules(&qt, "site=packet,action=hang,queue=2");
	assert_int_equal(axl_run_faulting(&watched, &nop).cause, AXL_CAUSE_WATCHDOG);
	axl_assert_works(&queue);
}

static void a_pipe_hangs_and_holds_the_tiles(void **state)
{
	struct axl_packet_execute execute = axl_loop(axl, 1, false);
	struct producer third = axl_queue(axl, 2, 0, 0, 0);

	(void)state;
	axl_set_rules(&qt, "site=pipe,action=hang,queue=0,nth=1");
	axl_push(&queue, &execute);
	QTEST_WAIT(injected("pipe") == 1);
	axl_assert_works(&other);   /* needs no tile */
	axl_push(&third, &execute); /* needs one */
	for (int i = 0; i < 50; i++)
		qtest_pause();
	assert_int_equal(third.status->retired, 0);
	assert_int_equal(axl_command(axl, AXL_CMD_TILE_RESET, 1), AXL_CMD_OK);
	axl_wait_state(&queue, AXL_QUEUE_FAULTED);
	assert_int_equal(queue.status->error, AXL_CAUSE_RESET);
	axl_wait_retired(&third, 1);
	axl_recover(&queue);
	axl_run(&queue, &execute);
}

static void a_reset_of_the_device_ends_a_pipe_that_hangs(void **state)
{
	struct axl_packet_execute execute = axl_loop(axl, 1, false);

	(void)state;
	axl_set_rules(&qt, "site=pipe,action=hang,nth=1");
	axl_push(&queue, &execute);
	QTEST_WAIT(injected("pipe") == 1);
	axl_bring_up(axl);
	open_queues();
	axl_run(&queue, &execute);
}

static void a_fetched_packet_is_corrupt_and_the_ring_is_not(void **state)
{
	struct axl_packet_fence signal = axl_signal(user_va(qtest_alloc(&qt, 4096)), 1);
	struct axl_fault_record record;

	(void)state;
	/* value = byte + 64 * (bits - 1): all but the lowest bit of the opcode. */
	axl_set_rules(&qt, "site=fetch,action=corrupt,queue=0,nth=1,value=16192");
	record = axl_run_faulting(&queue, &signal);
	assert_int_equal(record.cause, AXL_CAUSE_PACKET);
	assert_int_equal(record.address, AXL_PKT_SIGNAL ^ 0xfe);
	assert_memory_equal(&queue.ring[0], &signal, sizeof(signal));
	axl_recover(&queue);
	axl_assert_works(&queue);
	axl_assert_works(&other);
}

static void a_retired_index_is_wrong(void **state)
{
	union axl_packet nop = {0};

	(void)state;
	axl_set_rules(&qt, "site=retire,action=wrong,queue=0,nth=1,value=1000");
	axl_push(&queue, &nop);
	axl_wait_retired(&queue, 1001);
	assert_int_equal(queue.status->retired, 1001);
	assert_int_equal(axl_read(axl, AXL_REG_COUNT_PACKETS), 1);
	assert_int_equal(injected("retire"), 1);
	axl_assert_works(&other);
}

static void a_page_is_poisoned(void **state)
{
	/* In a large page of its own: the rings' must not be refused with it. */
	uint64_t page =
		(qtest_alloc(&qt, 2 * AXL_LARGE_PAGE_BYTES) + AXL_LARGE_PAGE_BYTES) & ~(AXL_LARGE_PAGE_BYTES - 1ull);
	struct axl_packet_fill fill;
	char rules[96];

	(void)state;
	snprintf(rules, sizeof(rules), "site=map,action=refuse,address=0x%llx", (unsigned long long)page + 8);
	axl_set_rules(&qt, rules);
	fill = axl_fill(axl_map_page(axl, 0, 0, (page + 4096) | RIG_RIGHTS), 4, 1);
	axl_run(&queue, &fill); /* the page beside it is not */
	fill.dst = axl_map_page(axl, 0, 0, page | RIG_RIGHTS);
	assert_int_equal(axl_run_faulting(&queue, &fill).cause, AXL_CAUSE_BUS);
	assert_int_equal(injected("map"), 1);
	axl_set_rules(&qt, "");
	axl_recover(&queue);
	axl_run(&queue, &fill);
	assert_int_equal(*(uint32_t *)qtest_at(&qt, page), 1);
}

static void a_page_is_another(void **state)
{
	uint64_t pages =
		(qtest_alloc(&qt, 3 * AXL_LARGE_PAGE_BYTES) + AXL_LARGE_PAGE_BYTES) & ~(AXL_LARGE_PAGE_BYTES - 1ull);
	uint64_t page = pages, elsewhere = pages + AXL_LARGE_PAGE_BYTES;
	struct axl_packet_fill fill = axl_fill(axl_map_page(axl, 0, 0, page | RIG_RIGHTS), 4, 7);
	char rules[128];

	(void)state;
	snprintf(rules, sizeof(rules), "site=map,action=wrong,address=0x%llx,value=0x%llx", (unsigned long long)page,
		 (unsigned long long)elsewhere);
	axl_set_rules(&qt, rules);
	axl_run(&queue, &fill);
	assert_int_equal(*(uint32_t *)qtest_at(&qt, page), 0);
	assert_int_equal(*(uint32_t *)qtest_at(&qt, elsewhere), 7);

	/* Where nothing is, nothing is reached. */
	page += 2 * 4096;
	snprintf(rules, sizeof(rules), "site=map,action=wrong,address=0x%llx,value=0x%llx", (unsigned long long)page,
		 1ull << 45);
	axl_set_rules(&qt, rules);
	fill.dst = axl_map_page(axl, 0, 0, page | RIG_RIGHTS);
	assert_int_equal(axl_run_faulting(&queue, &fill).cause, AXL_CAUSE_BUS);
	axl_set_rules(&qt, "");
	axl_recover(&queue);
	axl_run(&queue, &fill);
	assert_int_equal(*(uint32_t *)qtest_at(&qt, page), 7);
}

/* ---- registers and resets ---- */

static void a_register_reads_ones_once(void **state)
{
	(void)state;
	axl_set_rules(&qt, "site=read,action=ones,nth=2");
	assert_int_equal(axl_read(axl, AXL_REG_ID), AXL_ID_MAGIC);
	assert_int_equal(axl_read(axl, AXL_REG_ID), 0xffffffff);
	assert_int_equal(axl_read(axl, AXL_REG_ID), AXL_ID_MAGIC);
}

static void the_link_goes_down_at_an_access(void **state)
{
	(void)state;
	axl_set_rules(&qt, "site=read,action=link-down,nth=3");
	axl_read(axl, AXL_REG_ID);
	axl_read(axl, AXL_REG_ID);
	assert_int_equal(axl_read(axl, AXL_REG_ID), 0xffffffff);
	assert_int_equal(axl_config(axl, PCI_VENDOR_ID, 4), 0xffffffff);
	assert_int_equal(qtest_qom_get(&qt, RIG_PATH, "link"), 0);
	assert_int_equal(injected("read"), 1);
}

static void a_reset_is_slow(void **state)
{
	uint64_t begin = qtest_now_ms();

	(void)state;
	axl_set_rules(&qt, "site=reset,action=slow,delay=300000,nth=1");
	axl_reset(axl);
	assert_true(qtest_now_ms() - begin >= 300);
	axl_bring_up(axl); /* the next one is not */
	open_queues();
	axl_assert_works(&queue);
}

static void a_reset_fails_until_one_does_not(void **state)
{
	(void)state;
	axl_set_rules(&qt, "site=reset,action=fail,count=2");
	for (int i = 0; i < 2; i++) {
		axl_write(axl, AXL_REG_CONTROL, AXL_CONTROL_RESET);
		QTEST_WAIT(injected("reset") == (uint64_t)i + 1);
		for (int pause = 0; pause < 50; pause++)
			qtest_pause();
		assert_false(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_READY);
		/* Commands are not taken meanwhile. */
		axl_write(axl, AXL_REG_COMMAND, AXL_CMD_TLB_INVALIDATE);
		assert_false(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_COMMAND_BUSY);
	}
	axl_bring_up(axl);
	open_queues();
	axl_assert_works(&queue);
}

/* ---- errors that the device reports ---- */

static void the_device_reports_its_errors(void **state)
{
	static const struct {
		const char *action;
		uint16_t at;
		uint32_t bit;
	} errors[] = {{"correctable", PCI_ERR_COR_STATUS, PCI_ERR_COR_INTERNAL},
		      {"nonfatal", PCI_ERR_UNCOR_STATUS, PCI_ERR_UNC_POISON_TLP},
		      {"fatal", PCI_ERR_UNCOR_STATUS, PCI_ERR_UNC_INTN}};
	uint16_t aer = axl_extended_capability(axl, PCI_EXT_CAP_ID_ERR);

	(void)state;
	assert_true(axl_config(axl, (uint16_t)(aer + PCI_ERR_UNCOR_SEVER), 4) & PCI_ERR_UNC_INTN);
	assert_false(axl_config(axl, (uint16_t)(aer + PCI_ERR_UNCOR_SEVER), 4) & PCI_ERR_UNC_POISON_TLP);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		uint16_t at = (uint16_t)(aer + errors[i].at);
		char rule[64];

		assert_int_equal(axl_config(axl, at, 4), 0);
		snprintf(rule, sizeof(rule), "site=aer,action=%s,queue=0,nth=2", errors[i].action);
		axl_set_rules(&qt, rule);
		axl_assert_works(&other); /* another queue's packet is none of its events */
		axl_assert_works(&queue);
		assert_int_equal(injected("aer"), i);
		axl_assert_works(&queue);
		assert_int_equal(injected("aer"), i + 1);
		QTEST_WAIT(axl_config(axl, at, 4));
		assert_int_equal(axl_config(axl, at, 4), errors[i].bit);
		axl_set_config(axl, at, errors[i].bit, 4);
		assert_int_equal(axl_config(axl, at, 4), 0);
	}
}

/* ---- chance ---- */

static uint64_t faults_of_a_hundred(const char *seed)
{
	qtest_qom_set(&qt, RIG_PATH, "fault-seed", seed);
	axl_write(axl, AXL_REG_FAULT_READ, axl_read(axl, AXL_REG_FAULT_WRITE));
	axl_set_rules(&qt, "site=fetch,action=corrupt,queue=0,probability=30,value=16192");
	for (int i = 0; i < 100; i++) {
		union axl_packet nop = {0};

		axl_push(&queue, &nop);
		QTEST_WAIT(queue.status->retired == queue.index->write || queue.status->state == AXL_QUEUE_FAULTED);
		if (queue.status->state == AXL_QUEUE_FAULTED)
			axl_recover(&queue);
	}
	return injected("fetch");
}

static void a_seed_gives_the_same_faults_again(void **state)
{
	uint64_t first, second, third;

	(void)state;
	first = faults_of_a_hundred("7");
	second = faults_of_a_hundred("7") - first;
	third = faults_of_a_hundred("8") - first - second;
	assert_int_equal(first, second);
	assert_in_range(first, 15, 45);
	assert_in_range(third, 15, 45);
	assert_int_equal(axl_read(axl, AXL_REG_COUNT_FAULTS), first + second + third);
}

/* ---- DMA after it was to end ---- */

static void normal_work_has_no_stale_dma(void **state)
{
	uint64_t page = qtest_alloc(&qt, 8192);

	(void)state;
	for (int i = 0; i < 50; i++) {
		struct axl_packet_fill fill =
			axl_fill(axl_map_page(axl, 0, 0, (page + (i & 1) * 4096) | RIG_RIGHTS), 4096, (uint32_t)i);

		axl_run(&queue, &fill);
		assert_int_equal(*(uint32_t *)qtest_at(&qt, page + (i & 1) * 4096), i);
		if (i % 10 == 9) {
			axl_bring_up(axl);
			open_queues();
		}
	}
	assert_int_equal(qtest_qom_get(&qt, RIG_PATH, "dma-violations"), 0);
}

static void a_lost_invalidation_is_seen_at_the_next_access(void **state)
{
	uint64_t page = qtest_alloc(&qt, 4096), va = axl_map_page(axl, 0, 0, page | RIG_RIGHTS);
	struct axl_packet_fill fill = axl_fill(va, 4, 1);
	char *log;

	(void)state;
	axl_run(&queue, &fill);
	axl_set_rules(&qt, "site=invalidate,action=drop,nth=1");
	axl_map_page(axl, 0, 0, 0);
	assert_int_equal(injected("invalidate"), 1);
	fill.pattern = 2;
	axl_run(&queue, &fill); /* goes through, as on a device with this bug */
	assert_int_equal(*(uint32_t *)qtest_at(&qt, page), 2);
	assert_true(qtest_qom_get(&qt, RIG_PATH, "dma-violations") > 0);
	log = qtest_log(&qt);
	assert_non_null(strstr(log, "through a translation that it was told to forget"));
	free(log);
	/* Told again, it forgets. */
	axl_map_page(axl, 0, 0, 0);
	assert_int_equal(axl_run_faulting(&queue, &fill).cause, AXL_CAUSE_NOT_MAPPED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(bad_rules_are_refused_by_the_word_that_is_wrong),
		TEST(counters_can_not_be_written),
		cmocka_unit_test(rules_can_stand_on_the_command_line),
		TEST(an_interrupt_is_dropped),
		TEST(an_interrupt_comes_late),
		TEST(an_interrupt_comes_twice),
		TEST(a_reset_takes_back_what_was_to_come_late),
		TEST(a_packet_hangs_until_its_queue_is_reset),
		TEST(the_watchdog_ends_a_packet_that_hangs),
		TEST(a_pipe_hangs_and_holds_the_tiles),
		TEST(a_reset_of_the_device_ends_a_pipe_that_hangs),
		TEST(a_fetched_packet_is_corrupt_and_the_ring_is_not),
		TEST(a_retired_index_is_wrong),
		TEST(a_page_is_poisoned),
		TEST(a_page_is_another),
		TEST(a_register_reads_ones_once),
		TEST(the_link_goes_down_at_an_access),
		TEST(a_reset_is_slow),
		TEST(a_reset_fails_until_one_does_not),
		TEST(the_device_reports_its_errors),
		TEST(a_seed_gives_the_same_faults_again),
		TEST(normal_work_has_no_stale_dma),
		TEST(a_lost_invalidation_is_seen_at_the_next_access),
	};

	if (!qtest_binary())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
