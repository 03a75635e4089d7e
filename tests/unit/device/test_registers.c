/* SPDX-License-Identifier: MIT */
/* BAR0: identity, widths, what may be written, interrupts, commands, resets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/device/front.h"

static int setup(void **state)
{
	struct front *front = malloc(sizeof(*front));

	front_init(front, "axl-pro");
	*state = front;
	return 0;
}

static int teardown(void **state)
{
	front_finish(*state);
	free(*state);
	return 0;
}

static void identity_and_sizes_are_those_of_the_target(void **state)
{
	struct front *f = *state;

	assert_int_equal(front_read(f, AXL_REG_ID), AXL_ID_MAGIC);
	assert_int_equal(front_read(f, AXL_REG_VERSION), AXL_ISA_VERSION << 16 | AXL_REG_INTERFACE_VERSION);
	assert_int_equal(front_read(f, AXL_REG_TILES), 4);
	assert_int_equal(front_read(f, AXL_REG_SPAD_BYTES), 1 << 20);
	assert_int_equal(front_read(f, AXL_REG_MEM_SIZE), 4 << 20);
	assert_true(front_read(f, AXL_REG_STATUS) & AXL_STATUS_READY);
	assert_true(front_read(f, AXL_REG_STATUS) & AXL_STATUS_IDLE);
}

static void halves_of_a_64_bit_register_are_its_words(void **state)
{
	struct front *f = *state;

	device_reg_write(f->device, AXL_REG_COMMAND_ARG, 0x1122334455667788, 8);
	assert_int_equal(device_reg_read(f->device, AXL_REG_COMMAND_ARG, 4), 0x55667788);
	assert_int_equal(device_reg_read(f->device, AXL_REG_COMMAND_ARG + 4, 4), 0x11223344);
	device_reg_write(f->device, AXL_REG_COMMAND_ARG + 4, 0xaabbccdd, 4);
	assert_true(device_reg_read(f->device, AXL_REG_COMMAND_ARG, 8) == 0xaabbccdd55667788ull);
}

static void accesses_that_the_contract_does_not_allow_read_as_ones_and_write_nothing(void **state)
{
	static const struct {
		uint64_t offset;
		unsigned int size;
	} bad[] = {{AXL_REG_ID, 1}, {AXL_REG_ID, 2}, {AXL_REG_ID + 2, 4},
		   {AXL_REG_ID, 8}, {0x0fc0, 4},     {AXL_REG_COMMAND_ARG + 4, 8},
		   {~0ull - 3, 4}};
	struct front *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(device_reg_read(f->device, bad[i].offset, bad[i].size) ==
			    (bad[i].size == 8 ? ~0ull : 0xffffffffull));
		device_reg_write(f->device, bad[i].offset, 0x55, bad[i].size);
	}
	front_write(f, AXL_REG_ID, 7);
	front_write(f, AXL_REG_CYCLES, 7);
	assert_int_equal(front_read(f, AXL_REG_ID), AXL_ID_MAGIC);
	assert_int_equal(front_read(f, AXL_REG_COMMAND_ARG), 0);
}

static void a_masked_interrupt_stays_pending_and_comes_when_unmasked(void **state)
{
	struct front *f = *state;
	unsigned int before = f->irqs[0];

	front_write(f, AXL_REG_IRQ_PENDING, ~0u);
	front_write(f, AXL_REG_IRQ_MASK, 1);
	assert_int_equal(front_command(f, AXL_CMD_TLB_INVALIDATE, 0), AXL_CMD_OK);
	assert_int_equal(f->irqs[0], before);
	assert_int_equal(front_read(f, AXL_REG_IRQ_PENDING) & 1, 1);
	assert_true(front_read(f, AXL_REG_IRQ_CAUSE) & AXL_IRQ_COMMAND);
	front_write(f, AXL_REG_IRQ_MASK, 0);
	assert_int_equal(f->irqs[0], before + 1);
	front_write(f, AXL_REG_IRQ_CAUSE, AXL_IRQ_COMMAND);
	front_write(f, AXL_REG_IRQ_PENDING, 1);
	assert_int_equal(front_read(f, AXL_REG_IRQ_CAUSE), 0);
	assert_int_equal(front_read(f, AXL_REG_IRQ_PENDING), 0);
}

static void commands_refuse_what_they_do_not_know(void **state)
{
	struct front *f = *state;

	assert_int_equal(front_command(f, 0, 0), AXL_CMD_BAD_ARGUMENT);
	assert_int_equal(front_command(f, 99, 0), AXL_CMD_BAD_ARGUMENT);
	assert_int_equal(front_command(f, AXL_CMD_CONTEXT_UPDATE, AXL_MAX_CONTEXTS), AXL_CMD_BAD_ARGUMENT);
	assert_int_equal(front_command(f, AXL_CMD_TLB_INVALIDATE, ~0ull), AXL_CMD_BAD_ARGUMENT);
	assert_int_equal(front_command(f, AXL_CMD_QUEUE_START, 1u << 20), AXL_CMD_BAD_ARGUMENT);
	assert_int_equal(front_command(f, AXL_CMD_QUEUE_STOP, 0), AXL_CMD_BAD_ARGUMENT);
	assert_int_equal(front_command(f, AXL_CMD_QUEUE_RESET, 0), AXL_CMD_BAD_ARGUMENT);
	assert_int_equal(front_command(f, AXL_CMD_TILE_RESET, 0), AXL_CMD_BAD_ARGUMENT);
	assert_int_equal(front_command(f, AXL_CMD_TILE_RESET, 16), AXL_CMD_BAD_ARGUMENT);
	assert_int_equal(front_command(f, AXL_CMD_TILE_RESET, 15), AXL_CMD_OK);
}

static void a_second_command_is_ignored_while_one_runs(void **state)
{
	struct front *f = *state;

	front_write(f, AXL_REG_COMMAND_ARG, 0);
	front_write(f, AXL_REG_COMMAND, AXL_CMD_TLB_INVALIDATE);
	front_write(f, AXL_REG_COMMAND_ARG, 77);
	front_write(f, AXL_REG_COMMAND, AXL_CMD_QUEUE_STOP);
	assert_int_equal(front_read(f, AXL_REG_COMMAND_ARG), 0);
	front_run(f);
	assert_int_equal(front_read(f, AXL_REG_COMMAND_RESULT), AXL_CMD_OK);
}

static void descriptors_are_checked(void **state)
{
	struct front *f = *state;

	f->contexts[1] = (struct axl_context_desc){.valid = 2};
	assert_int_equal(front_command(f, AXL_CMD_CONTEXT_UPDATE, 1), AXL_CMD_BAD_DESCRIPTOR);
	f->contexts[1] = (struct axl_context_desc){.valid = 1, .page_table = BUS_BASE + 8, .status = BUS_BASE};
	assert_int_equal(front_command(f, AXL_CMD_CONTEXT_UPDATE, 1), AXL_CMD_BAD_DESCRIPTOR);
	f->contexts[1] = (struct axl_context_desc){.valid = 1, .page_table = BUS_BASE, .status = 0x1000};
	assert_int_equal(front_command(f, AXL_CMD_CONTEXT_UPDATE, 1), AXL_CMD_NO_ACCESS);
	front_write(f, AXL_REG_CONTEXT_TABLE, 0x1000);
	assert_int_equal(front_command(f, AXL_CMD_CONTEXT_UPDATE, 1), AXL_CMD_NO_ACCESS);
	front_write(f, AXL_REG_CONTEXT_TABLE, front_bus(f, f->contexts));
	front_context(f, 0);
	f->queues[0] = (struct axl_queue_desc){.valid = 1, .slots = 8, .ring = USER_VA, .index = USER_VA + 4096};
	for (int field = 0; field < 9; field++) {
		struct axl_queue_desc bad = f->queues[0];

		*(field == 0   ? &bad.valid
		  : field == 1 ? &bad.context
		  : field == 2 ? &bad.slot
		  : field == 3 ? &bad.slots
		  : field == 4 ? &bad.priority
		  : field == 5 ? &bad.flags
			       : &bad.watchdog) = field == 6 ? 0 : 63 + (field == 1) * 100;
		bad.ring += field == 6;
		bad.index += field == 7 ? 64 : 0;
		bad.reserved[1] = field == 8;
		f->queues[1] = bad;
		assert_int_equal(front_command(f, AXL_CMD_QUEUE_START, 1), AXL_CMD_BAD_DESCRIPTOR);
	}
	/* Bounded needs a watchdog. */
	f->queues[1] = f->queues[0];
	f->queues[1].flags = AXL_QUEUE_BOUNDED;
	assert_int_equal(front_command(f, AXL_CMD_QUEUE_START, 1), AXL_CMD_BAD_DESCRIPTOR);
	/* One slot, one queue. */
	assert_int_equal(front_command(f, AXL_CMD_QUEUE_START, 0), AXL_CMD_OK);
	f->queues[1] = f->queues[0];
	assert_int_equal(front_command(f, AXL_CMD_QUEUE_START, 1), AXL_CMD_BAD_DESCRIPTOR);
	assert_int_equal(front_command(f, AXL_CMD_QUEUE_START, 0), AXL_CMD_BAD_ARGUMENT);
}

static void reset_forgets_everything_but_local_memory(void **state)
{
	struct front *f = *state;
	uint8_t *local = device_local_memory(f->device);
	struct producer queue;

	local[100] = 42;
	front_context(f, 0);
	queue = front_queue(f, 0, 0, 0, 0, 0, 0);
	front_write(f, AXL_REG_CONTROL, AXL_CONTROL_RESET);
	assert_false(front_read(f, AXL_REG_STATUS) & AXL_STATUS_READY);
	front_run(f);
	assert_true(front_read(f, AXL_REG_STATUS) & AXL_STATUS_READY);
	assert_int_equal(front_read(f, AXL_REG_CONTROL), 0);
	assert_int_equal(front_read(f, AXL_REG_CONTEXT_TABLE), 0);
	assert_int_equal(front_read(f, AXL_REG_FAULT_SIZE), 0);
	assert_int_equal(local[100], 42);
	front_push(&queue, &(union axl_packet){0});
	front_write(f, AXL_REG_CONTROL, AXL_CONTROL_ENABLE);
	front_run(f);
	assert_int_equal(queue.status->retired, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(identity_and_sizes_are_those_of_the_target),
		TEST(halves_of_a_64_bit_register_are_its_words),
		TEST(accesses_that_the_contract_does_not_allow_read_as_ones_and_write_nothing),
		TEST(a_masked_interrupt_stays_pending_and_comes_when_unmasked),
		TEST(commands_refuse_what_they_do_not_know),
		TEST(a_second_command_is_ignored_while_one_runs),
		TEST(descriptors_are_checked),
		TEST(reset_forgets_everything_but_local_memory),
	};

	return cmocka_run_group_tests_name("registers", tests, NULL, NULL);
}
