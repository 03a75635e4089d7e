/* SPDX-License-Identifier: MIT */
/*
 * Power states, error reporting, a card that is pulled out, one that is unplugged: with work in flight, because that is
 * when a driver gets it wrong.
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
static struct producer queue;

static void open_queue(void)
{
	axl_context(axl, 0);
	queue = axl_queue(axl, 0, 0, 0, 0);
}

static int setup(void **state)
{
	(void)state;
	axl_start(axl, &qt, "");
	open_queue();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	qtest_stop(&qt);
	return 0;
}

static int setup_port(void **state)
{
	char args[512];

	(void)state;
	/* PCIe's own hot-plug, not ACPI's: there is no firmware here to speak it. */
	snprintf(args, sizeof(args),
		 "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off "
		 "-device pcie-root-port,id=rp,addr=03.0,chassis=1,slot=1 "
		 "-device axl,id=npu,bus=rp,mem=4M,threads=1%s",
		 axl_options());
	qtest_start(&qt, args);
	if (axl_is_deterministic())
		qtest_walk_clock(&qt, WALK_NS);
	axl_open_port(&qt);
	axl_attach(axl, &qt, 0, 1, 0);
	axl_bring_up(axl);
	open_queue();
	return 0;
}

/* Copies of a megabyte each, more than the device has done when the caller goes on. */
static void push_much(uint64_t page)
{
	struct axl_packet_copy copy = axl_copy(LOCAL_VA, user_va(page), 1 << 20);

	for (int i = 0; i < RING_SLOTS; i++)
		axl_push(&queue, &copy);
}

/* Nothing in the queue's status entry or its index page changes any more. */
static void assert_silent(void)
{
	uint64_t retired = queue.status->retired, read = queue.index->read, event = queue.status->event;

	for (int i = 0; i < 100; i++)
		qtest_pause();
	assert_int_equal(queue.status->retired, retired);
	assert_int_equal(queue.index->read, read);
	assert_int_equal(queue.status->event, event);
}

/* ---- power ---- */

static uint16_t power_register(void)
{
	uint16_t cap = axl_capability(axl, PCI_CAP_ID_PM);

	assert_true(cap);
	return (uint16_t)(cap + PCI_PM_CTRL);
}

static void it_has_d0_and_d3hot_and_nothing_between(void **state)
{
	uint16_t at = power_register();

	(void)state;
	assert_int_equal(axl_config(axl, (uint16_t)(at - PCI_PM_CTRL + PCI_PM_PMC), 2) &
				 (PCI_PM_CAP_D1 | PCI_PM_CAP_D2 | PCI_PM_CAP_PME_MASK),
			 0);
	assert_int_equal(axl_config(axl, at, 2), 0);
	axl_set_config(axl, at, 1, 2);
	assert_int_equal(axl_config(axl, at, 2) & PCI_PM_CTRL_STATE_MASK, 0);
	axl_set_config(axl, at, 2, 2);
	assert_int_equal(axl_config(axl, at, 2) & PCI_PM_CTRL_STATE_MASK, 0);
	axl_set_config(axl, at, 3, 2);
	assert_int_equal(axl_config(axl, at, 2) & PCI_PM_CTRL_STATE_MASK, 3);
}

static void in_d3hot_it_is_silent_and_d0_is_a_reset(void **state)
{
	uint64_t page = qtest_alloc(&qt, 1 << 20);
	uint16_t at = power_register();

	(void)state;
	axl_assert_works(&queue);
	axl_write(axl, AXL_REG_IRQ_MASK, 0x100);
	push_much(page);
	axl_set_config(axl, at, 3, 2);
	memset((void *)(uintptr_t)axl->messages, 0, 64);
	assert_silent();
	for (int v = 0; v < AXL_NUM_VECTORS; v++)
		assert_int_equal(axl->messages[v], 0);
	/* The BARs do not answer. */
	assert_int_not_equal((uint32_t)axl_read(axl, AXL_REG_ID), AXL_ID_MAGIC);
	axl_set_config(axl, at, 0, 2);
	assert_int_equal(axl_config(axl, at, 2) & PCI_PM_CTRL_STATE_MASK, 0);
	axl_place_bars(axl);
	axl_enable_msix(axl);
	QTEST_WAIT(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_READY);
	assert_int_equal(axl_read(axl, AXL_REG_IRQ_MASK), 0);
	assert_int_equal(axl_read(axl, AXL_REG_CONTEXT_TABLE), 0);
	axl_bring_up(axl);
	open_queue();
	axl_assert_works(&queue);
}

static void a_reset_under_work_leaves_nothing_on_its_way(void **state)
{
	uint64_t page = qtest_alloc(&qt, 1 << 20);
	uint16_t control = (uint16_t)(axl_capability(axl, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL);

	(void)state;
	for (int i = 0; i < 20; i++) {
		push_much(page);
		axl_set_config(axl, control, PCI_EXP_DEVCTL_BCR_FLR, 2);
		assert_silent();
		axl_place_bars(axl);
		axl_enable_msix(axl);
		axl_bring_up(axl);
		queue.index->write = queue.index->read = 0;
		memset(axl->status[0], 0, sizeof(*axl->status[0]));
		assert_int_equal(axl_command(axl, AXL_CMD_CONTEXT_UPDATE, 0), AXL_CMD_OK);
		assert_int_equal(axl_command(axl, AXL_CMD_QUEUE_START, 0), AXL_CMD_OK);
	}
	axl_assert_works(&queue);
}

/* ---- errors of the link ---- */

static void errors_can_be_reported(void **state)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} errors[] = {{"INTN", PCI_ERR_UNC_INTN},
		      {"POISON_TLP", PCI_ERR_UNC_POISON_TLP},
		      {"COMP_TIME", PCI_ERR_UNC_COMP_TIME},
		      {"MALF_TLP", PCI_ERR_UNC_MALF_TLP}};
	uint16_t aer = axl_extended_capability(axl, PCI_EXT_CAP_ID_ERR),
		 status = (uint16_t)(aer + PCI_ERR_UNCOR_STATUS);

	(void)state;
	assert_int_equal(aer, 0x100);
	assert_int_equal(axl_config(axl, status, 4), 0);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		char command[64];

		snprintf(command, sizeof(command), "pcie_aer_inject_error npu %s", errors[i].name);
		qtest_hmp(&qt, command);
		assert_true(axl_config(axl, status, 4) & errors[i].bit);
		axl_set_config(axl, status, errors[i].bit, 4); /* write 1 to clear */
		assert_int_equal(axl_config(axl, status, 4), 0);
	}
	axl_assert_works(&queue);
}

static void a_card_that_is_pulled_out_answers_with_ones(void **state)
{
	uint64_t page = qtest_alloc(&qt, 1 << 20);
	uint32_t word = 0x12345678;

	(void)state;
	qtest_write(&qt, axl->local, &word, 4);
	push_much(page);
	qtest_qom_set(&qt, RIG_PATH, "link", "false");
	assert_int_equal(qtest_qom_get(&qt, RIG_PATH, "link"), 0);
	memset((void *)(uintptr_t)axl->messages, 0, 64);
	assert_silent();
	assert_int_equal(axl_config(axl, PCI_VENDOR_ID, 4), 0xffffffff);
	assert_int_equal(axl_config(axl, 0x100, 4), 0xffffffff);
	assert_int_equal(axl_read(axl, AXL_REG_ID), 0xffffffff);
	assert_true(qtest_load(&qt, axl->regs + AXL_REG_CYCLES, 8) == ~0ull);
	assert_true(qtest_load(&qt, axl->doorbells, 8) == ~0ull);
	assert_int_equal(qtest_load(&qt, axl->msix, 4), 0xffffffff);
	assert_int_equal(qtest_load(&qt, axl->local, 4), 0xffffffff);
	/* Writes go nowhere. */
	axl_set_config(axl, PCI_COMMAND, 0, 2);
	axl_write(axl, AXL_REG_CONTROL, AXL_CONTROL_RESET);
	qtest_store(&qt, axl->local, 0, 4);
	qtest_store(&qt, axl->msix, 0, 4);
	qtest_store(&qt, axl->doorbells, 1, 8);
	assert_silent();
	for (int v = 0; v < AXL_NUM_VECTORS; v++)
		assert_int_equal(axl->messages[v], 0);
	/* Plugged in again it is a device after power-on. */
	qtest_qom_set(&qt, RIG_PATH, "link", "true");
	assert_int_equal(axl_config(axl, PCI_VENDOR_ID, 2), AXL_PCI_VENDOR);
	assert_int_equal(axl_config(axl, PCI_BASE_ADDRESS_0, 4), 0);
	axl_place_bars(axl);
	axl_enable_msix(axl);
	axl_bring_up(axl);
	open_queue();
	axl_assert_works(&queue);
}

/* What a root port has to be told before an error gets through it. */
static void enable_errors(const struct axl *function)
{
	uint16_t control = (uint16_t)(axl_capability(function, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL);

	axl_set_config(function, PCI_COMMAND, axl_config(function, PCI_COMMAND, 2) | PCI_COMMAND_SERR, 2);
	axl_set_config(
		function, control,
		axl_config(function, control, 2) | PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE, 2);
}

static void the_root_port_hears_of_the_errors_of_the_device(void **state)
{
	static const struct {
		const char *action;
		uint32_t bits;
	} errors[] = {{"correctable", PCI_ERR_ROOT_COR_RCV},
		      {"nonfatal", PCI_ERR_ROOT_UNCOR_RCV | PCI_ERR_ROOT_NONFATAL_RCV},
		      {"fatal", PCI_ERR_ROOT_UNCOR_RCV | PCI_ERR_ROOT_FATAL_RCV | PCI_ERR_ROOT_FIRST_FATAL}};
	struct axl port = {.qt = &qt, .devfn = 3 << 3};
	uint16_t at = (uint16_t)(axl_extended_capability(&port, PCI_EXT_CAP_ID_ERR) + PCI_ERR_ROOT_STATUS);
	const uint32_t received = PCI_ERR_ROOT_COR_RCV | PCI_ERR_ROOT_UNCOR_RCV | PCI_ERR_ROOT_NONFATAL_RCV |
				  PCI_ERR_ROOT_FATAL_RCV | PCI_ERR_ROOT_FIRST_FATAL;

	(void)state;
	enable_errors(axl);
	enable_errors(&port);
	axl_set_config(&port, PCI_BRIDGE_CONTROL, axl_config(&port, PCI_BRIDGE_CONTROL, 2) | PCI_BRIDGE_CTL_SERR, 2);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		char rule[64];

		assert_int_equal(axl_config(&port, at, 4) & received, 0);
		snprintf(rule, sizeof(rule), "site=aer,action=%s,nth=1", errors[i].action);
		axl_set_rules(&qt, rule);
		axl_assert_works(&queue);
		QTEST_WAIT(axl_config(&port, at, 4) & received);
		assert_int_equal(axl_config(&port, at, 4) & received, errors[i].bits);
		axl_set_config(&port, at, received, 4);
	}
}

/* ---- a machine that is stopped ---- */

static void a_stopped_machine_stops_its_device(void **state)
{
	uint64_t page = qtest_alloc(&qt, 1 << 20), begin, retired;
	struct axl_packet_execute loop = axl_loop(axl, 1u << 31, false);
	struct producer other = axl_queue(axl, 1, 0, 0, 0);
	bool caught = false;

	(void)state;
	/* Between packets. */
	for (int tries = 0; tries < 50 && !caught; tries++) {
		push_much(page);
		qtest_qmp_ok(&qt, "{'execute':'stop'}");
		retired = queue.status->retired;
		assert_silent();
		caught = retired < queue.index->write;
		qtest_qmp_ok(&qt, "{'execute':'cont'}");
		axl_wait_retired(&queue, queue.index->write);
	}
	assert_true(caught);
	/* Between instructions: nothing of another queue is served, and no thread works. */
	axl_push(&queue, &loop);
	axl_assert_works(&other);
	qtest_qmp_ok(&qt, "{'execute':'stop'}");
	begin = qtest_cpu_ms(&qt);
	retired = other.status->retired;
	axl_push(&other, &(struct axl_packet_fill){.header.opcode = AXL_PKT_NOP});
	axl_write(axl, AXL_REG_COMMAND_ARG, 0);
	axl_write(axl, AXL_REG_COMMAND, AXL_CMD_TLB_INVALIDATE);
	for (uint64_t until = qtest_now_ms() + 300; qtest_now_ms() < until;)
		qtest_pause();
	assert_in_range(qtest_cpu_ms(&qt) - begin, 0, 150);
	assert_int_equal(other.status->retired, retired);
	assert_true(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_COMMAND_BUSY);
	qtest_qmp_ok(&qt, "{'execute':'cont'}");
	axl_wait_retired(&other, retired + 1);
	QTEST_WAIT(!(axl_read(axl, AXL_REG_STATUS) & AXL_STATUS_COMMAND_BUSY));
	assert_int_equal(queue.status->retired, queue.index->write - 1);
	axl_recover(&queue);
	axl_assert_works(&queue);
}

static void what_can_not_wait_is_served_while_it_is_stopped(void **state)
{
	struct axl_packet_execute loop = axl_loop(axl, 1u << 31, false);

	(void)state;
	axl_push(&queue, &loop);
	qtest_qmp_ok(&qt, "{'execute':'stop'}");
	axl_bus_master(axl, false); /* waits until no access is in flight */
	axl_bus_master(axl, true);
	if (!axl_is_deterministic())
		axl_reset(axl); /* takes no time but the host's */
	qtest_qmp_ok(&qt, "{'execute':'cont'}");
	axl_bring_up(axl);
	open_queue();
	axl_assert_works(&queue);
	/* A machine that ends stopped. */
	axl_push(&queue, &loop);
	qtest_qmp_ok(&qt, "{'execute':'stop'}");
}

/* ---- plugging ---- */

static void power_slot_off(void)
{
	struct axl port = {.qt = &qt, .devfn = 3 << 3};
	uint16_t at = (uint16_t)(axl_capability(&port, PCI_CAP_ID_EXP) + PCI_EXP_SLTCTL);
	uint16_t control = (uint16_t)axl_config(&port, at, 2);

	control = (uint16_t)((control & ~PCI_EXP_SLTCTL_PIC) | PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF);
	axl_set_config(&port, at, control, 2);
}

/* As a guest answers the attention button. */
static void unplug(void)
{
	qtest_qmp_ok(&qt, "{'execute':'device_del','arguments':{'id':'npu'}}");
	power_slot_off();
	qtest_qmp_event(&qt, "DEVICE_DELETED", "\"npu\"");
}

static void plug(void)
{
	axl_open_port(&qt);
	qtest_qmp_ok(&qt,
		     "{'execute':'device_add','arguments':{'driver':'axl','id':'npu','bus':'rp','mem':4194304,"
		     "'threads':1,'deterministic':%s}}",
		     axl_is_deterministic() ? "true" : "false");
}

static void behind_a_port_it_works_as_anywhere(void **state)
{
	uint16_t cap = axl_capability(axl, PCI_CAP_ID_EXP);

	(void)state;
	axl_assert_works(&queue);
	assert_int_equal(axl_config(axl, (uint16_t)(cap + PCI_EXP_FLAGS), 2) & PCI_EXP_FLAGS_TYPE,
			 PCI_EXP_TYPE_ENDPOINT << 4);
}

static void it_can_be_unplugged_with_work_in_flight(void **state)
{
	uint64_t page = qtest_alloc(&qt, 1 << 20);

	(void)state;
	push_much(page);
	unplug();
	assert_silent();
	assert_int_equal(config_read(&qt, 1, 0, PCI_VENDOR_ID, 4), 0xffffffff);
	plug();
	axl_attach(axl, &qt, 0, 1, 0);
	axl_bring_up(axl);
	open_queue();
	axl_assert_works(&queue);
}

static void a_plug_that_fails_leaves_nothing_behind(void **state)
{
	static const char *const bad[] = {"'tiles':9",       "'threads':65",      "'mem':3",
					  "'target':'none'", "'spin-us':9999999", "'fault-rules':'site=moon'"};
	unsigned int descriptors = 0, threads = 0;

	(void)state;
	unplug();
	axl_open_port(&qt);
	for (int round = 0; round < 60; round++) {
		const char *answer =
			qtest_qmp(&qt, "{'execute':'device_add','arguments':{'driver':'axl','id':'npu','bus':'rp',%s}}",
				  bad[round % 6]);

		assert_non_null(strstr(answer, "\"error\""));
		if (round == 6) {
			descriptors = qtest_descriptors(&qt);
			threads = qtest_threads(&qt);
		}
	}
	assert_true(qtest_descriptors(&qt) <= descriptors);
	assert_true(qtest_threads(&qt) <= threads);
	plug();
	axl_attach(axl, &qt, 0, 1, 0);
	axl_bring_up(axl);
	open_queue();
	axl_assert_works(&queue);
}

static void two_hundred_rounds_of_plugging_leave_nothing_behind(void **state)
{
	uint64_t page = qtest_alloc(&qt, 1 << 20), word = qtest_alloc(&qt, 4096), start;
	unsigned int before = 0;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct axl_packet_fence wait = axl_wait(user_va(word), 1);

		start = qt.next;
		/* In turn: idle, copying, in a WAIT that never comes true, with a command just begun. */
		if (round % 4 == 1)
			push_much(page);
		if (round % 4 == 2)
			axl_push(&queue, &wait);
		if (round % 4 == 3)
			axl_write(axl, AXL_REG_COMMAND, AXL_CMD_CONTEXT_UPDATE);
		unplug();
		plug();
		axl_attach(axl, &qt, 0, 1, 0);
		axl_bring_up(axl);
		open_queue();
		axl_assert_works(&queue);
		if (round == 20)
			before = qtest_descriptors(&qt);
		qt.next = start; /* the next device has the same memory */
	}
	/* Event descriptors, sockets, threads' pipes: none more than after the first rounds. */
	assert_true(qtest_descriptors(&qt) <= before);
	assert_true(qtest_threads(&qt) <= 8);
}

/*
 * A device that writes into its neighbour's local memory, over the bus: a card may do that. When that memory moves or
 * goes, so does the way to it, though nobody told the writer.
 */
static void memory_of_a_neighbour_that_goes_is_gone(void **state)
{
	struct axl neighbour;
	struct axl_packet_fill fill;
	uint32_t word = 0;

	(void)state;
	qtest_start(&qt, "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off "
			 "-device axl,id=writer,addr=05.0,mem=4M,threads=1 "
			 "-device pcie-root-port,id=rp,addr=03.0,chassis=1,slot=1 "
			 "-device axl,id=npu,bus=rp,mem=4M,threads=1");
	axl_open_port(&qt);
	axl_attach(&neighbour, &qt, 0, 1, 0);
	axl_attach(axl, &qt, 1, 0, 5 << 3);
	axl_bring_up(axl);
	open_queue();
	fill = axl_fill(axl_map_page(axl, 0, 0, neighbour.local | RIG_RIGHTS), 4, 0x1234);
	axl_run(&queue, &fill);
	qtest_read(&qt, neighbour.local, &word, 4);
	assert_int_equal(word, 0x1234);
	/* It moves up by its size: what was its first page is nothing now. */
	neighbour.local += 4 << 20;
	axl_place_bars(&neighbour);
	fill.pattern = 0x5678;
	assert_int_equal(axl_run_faulting(&queue, &fill).cause, AXL_CAUSE_BUS);
	qtest_read(&qt, neighbour.local, &word, 4);
	assert_int_equal(word, 0x1234);
	axl_recover(&queue);
	fill.dst = axl_map_page(axl, 0, 0, neighbour.local | RIG_RIGHTS);
	axl_run(&queue, &fill);
	unplug();
	assert_int_equal(axl_run_faulting(&queue, &fill).cause, AXL_CAUSE_BUS);
	axl_recover(&queue);
	axl_assert_works(&queue);
	qtest_stop(&qt);
}

/* ---- other machines, and no machine ---- */

static void on_a_conventional_bus_it_works_too(void **state)
{
	(void)state;
	axl_start(axl, &qt, " -machine pc");
	open_queue();
	axl_assert_works(&queue);
	assert_int_equal(axl_config(axl, PCI_VENDOR_ID, 2), AXL_PCI_VENDOR);
	qtest_stop(&qt);
}

/* A device that is made and thrown away unrealized: what tools do that list its properties. */
static void it_can_be_looked_at_without_being_there(void **state)
{
	static const char *const names[] = {"tiles",  "mem",      "threads",     "target",
					    "timing", "watchdog", "fault-rules", "link"};
	const char *answer;

	(void)state;
	for (int i = 0; i < 20; i++)
		answer = qtest_qmp_ok(&qt, "{'execute':'device-list-properties','arguments':{'typename':'axl'}}");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char quoted[32];

		snprintf(quoted, sizeof(quoted), "\"%s\"", names[i]);
		assert_non_null(strstr(answer, quoted));
	}
	axl_assert_works(&queue);
}

static void it_does_not_migrate_and_says_so(void **state)
{
	const char *answer = qtest_qmp(&qt, "{'execute':'migrate','arguments':{'uri':'exec:cat'}}");

	(void)state;
	assert_non_null(strstr(answer, "axl"));
	assert_non_null(strstr(answer, "non-migratable"));
	axl_assert_works(&queue);
}

/* ---- traces ---- */

static void each_change_of_state_is_traced(void **state)
{
	static const char *const names[] = {
		"axl_realize ",     "axl_command ",     "CONTEXT_UPDATE 0x0", "QUEUE_START 0x0",  "axl_reset ",
		"axl_reg_read ",    "axl_reg_write ",   "axl_doorbell ",      "axl_dma_map ",     "axl_dma_refused ",
		"axl_dma_revoke ",  "axl_dma_revoked ", "axl_irq_send ",      "axl_bus_master ",  "function level 1",
		"function level 0", "axl_power ",       "axl_link ",          "axl_bar_refused ",
	};
	struct axl_packet_fill onto_registers;
	char *log;

	(void)state;
	axl_start(axl, &qt, " -trace axl_*");
	open_queue();
	axl_assert_works(&queue);
	QTEST_WAIT(queue.status->event == 1);
	axl_assert_works(&queue); /* this one rings */
	onto_registers = axl_fill(axl_map_page(axl, 0, 0, axl->regs | RIG_RIGHTS), 4, 0);
	axl_run_faulting(&queue, &onto_registers);
	axl_bus_master(axl, false);
	axl_set_config(axl, power_register(), 3, 2);
	axl_set_config(axl, power_register(), 0, 2);
	axl_set_config(axl, (uint16_t)(axl_capability(axl, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL), PCI_EXP_DEVCTL_BCR_FLR,
		       2);
	axl_place_bars(axl);
	qtest_qom_set(&qt, RIG_PATH, "link", "false");
	axl_read(axl, AXL_REG_ID);
	log = qtest_log(&qt);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strstr(log, names[i]))
			fail_msg("no %s in the trace", names[i]);
	free(log);
	qtest_stop(&qt);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define PORT_TEST(name) cmocka_unit_test_setup_teardown(name, setup_port, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_has_d0_and_d3hot_and_nothing_between),
		TEST(in_d3hot_it_is_silent_and_d0_is_a_reset),
		TEST(a_reset_under_work_leaves_nothing_on_its_way),
		TEST(errors_can_be_reported),
		TEST(a_stopped_machine_stops_its_device),
		TEST(what_can_not_wait_is_served_while_it_is_stopped),
		TEST(a_card_that_is_pulled_out_answers_with_ones),
		cmocka_unit_test(memory_of_a_neighbour_that_goes_is_gone),
		cmocka_unit_test(on_a_conventional_bus_it_works_too),
		TEST(it_can_be_looked_at_without_being_there),
		TEST(it_does_not_migrate_and_says_so),
		cmocka_unit_test(each_change_of_state_is_traced),
		PORT_TEST(behind_a_port_it_works_as_anywhere),
		PORT_TEST(the_root_port_hears_of_the_errors_of_the_device),
		PORT_TEST(it_can_be_unplugged_with_work_in_flight),
		PORT_TEST(a_plug_that_fails_leaves_nothing_behind),
		PORT_TEST(two_hundred_rounds_of_plugging_leave_nothing_behind),
	};

	if (!qtest_binary())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
