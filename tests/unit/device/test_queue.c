/* SPDX-License-Identifier: MIT */
/* Rings, packets, page tables, faults and scheduling, seen from a driver and a hostile program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/device/front.h"

static int setup(void **state)
{
	struct front *front = malloc(sizeof(*front));

	front_init(front, "axl-edge");
	front_context(front, 0);
	*state = front;
	return 0;
}

static int teardown(void **state)
{
	front_finish(*state);
	free(*state);
	return 0;
}

static struct producer plain_queue(struct front *f)
{
	return front_queue(f, 0, 0, 1, 0, 0, 0);
}

static void push_fence(struct producer *p, uint8_t opcode, uint64_t address, uint64_t value, uint32_t op)
{
	struct axl_packet_fence packet = {.header.opcode = opcode, .address = address, .value = value, .op = op};

	front_push(p, &packet);
}

static void push_nop(struct producer *p)
{
	front_push(p, &(union axl_packet){.header.opcode = AXL_PKT_NOP});
}

static const struct axl_fault_record *last_fault(struct front *f)
{
	uint32_t write = (uint32_t)front_read(f, AXL_REG_FAULT_WRITE);

	assert_true(write > 0);
	return &f->faults[(write - 1) % FAULT_RECORDS];
}

static void expect_fault(struct front *f, const struct producer *p, enum axl_cause cause, uint64_t packet)
{
	const struct axl_fault_record *record = last_fault(f);

	assert_int_equal(p->status->state, AXL_QUEUE_FAULTED);
	assert_int_equal(p->status->error, cause);
	assert_int_equal(record->cause, cause);
	assert_int_equal(record->queue, p->number);
	assert_true(record->packet == packet && p->status->retired == packet);
}

/* Reset, then start: the queue goes on behind the packet that stopped it. */
static void recover(struct front *f, struct producer *p)
{
	uint64_t generation = p->status->generation;

	assert_int_equal(front_command(f, AXL_CMD_QUEUE_RESET, p->number), AXL_CMD_OK);
	assert_int_equal(p->status->state, AXL_QUEUE_OFF);
	assert_true(p->status->generation == generation + 1);
	assert_int_equal(front_command(f, AXL_CMD_QUEUE_START, p->number), AXL_CMD_OK);
	assert_int_equal(p->status->state, AXL_QUEUE_RUNNING);
}

static void packets_retire_in_order_and_the_ring_goes_round(void **state)
{
	struct front *f = *state;
	struct producer p = plain_queue(f);
	uint64_t *word = front_alloc(f, 4096);

	for (uint64_t i = 1; i <= 3 * RING_SLOTS; i++) {
		push_fence(&p, AXL_PKT_SIGNAL, front_va(f, word), i, 0);
		front_run(f);
		assert_true(*word == i);
		assert_true(p.status->retired == i && p.index->read == i);
	}
	assert_int_equal(front_read(f, AXL_REG_COUNT_PACKETS), 3 * RING_SLOTS);
}

static void copy_and_fill_move_bytes_across_pages_and_memories(void **state)
{
	struct front *f = *state;
	struct producer p = plain_queue(f);
	uint8_t *from = front_alloc(f, 3 * 4096), *to = front_alloc(f, 3 * 4096);
	struct axl_packet_copy out = {
		.header.opcode = AXL_PKT_COPY, .dst = LOCAL_VA + 77, .src = front_va(f, from) + 13, .size = 9000};
	struct axl_packet_copy back = {
		.header.opcode = AXL_PKT_COPY, .dst = front_va(f, to) + 5, .src = LOCAL_VA + 77, .size = 9000};
	struct axl_packet_fill fill = {
		.header.opcode = AXL_PKT_FILL, .dst = front_va(f, to) + 9008, .size = 64, .pattern = 0x04030201};

	for (int i = 0; i < 3 * 4096; i++)
		from[i] = (uint8_t)(i * 7 + i / 256);
	front_push(&p, &out);
	front_push(&p, &back);
	front_push(&p, &fill);
	front_run(f);
	assert_true(p.status->retired == 3);
	assert_memory_equal(to + 5, from + 13, 9000);
	for (int i = 0; i < 64; i++)
		assert_int_equal(to[9008 + i], 1 + i % 4);
	assert_int_equal(to[9072], 0);
}

static void a_wait_holds_its_queue_and_no_other(void **state)
{
	struct front *f = *state;
	struct producer a = front_queue(f, 0, 0, 0, 0, 0, 0), b = front_queue(f, 1, 0, 0, 0, 0, 0);
	uint64_t *word = front_alloc(f, 4096);

	push_fence(&a, AXL_PKT_WAIT, front_va(f, word), 5, AXL_WAIT_GE);
	push_nop(&a);
	push_nop(&b);
	front_run(f);
	assert_true(a.status->retired == 0 && b.status->retired == 1);
	push_fence(&b, AXL_PKT_SIGNAL, front_va(f, word), 5, 0);
	front_run(f);
	assert_true(a.status->retired == 2 && b.status->retired == 2);
}

static void every_comparison_of_wait(void **state)
{
	static const bool holds[6][3] = {{0, 1, 0}, {1, 0, 1}, {0, 1, 1},
					 {0, 0, 1}, {1, 1, 0}, {1, 0, 0}}; /* 4, 5, 6 against 5 */
	struct front *f = *state;
	uint64_t *word = front_alloc(f, 4096);

	for (uint32_t op = 0; op < 6; op++)
		for (uint64_t value = 4; value <= 6; value++) {
			struct producer p = plain_queue(f);

			*word = value;
			push_fence(&p, AXL_PKT_WAIT, front_va(f, word), 5, op);
			front_run(f);
			assert_int_equal(p.status->retired, holds[op][value - 4]);
			assert_int_equal(front_command(f, AXL_CMD_QUEUE_RESET, 0), AXL_CMD_OK);
			memset((void *)p.status, 0, sizeof(*p.status));
		}
}

static void a_malformed_packet_stops_its_queue_with_a_record(void **state)
{
	static const union axl_packet bad[] = {
		{.header.opcode = AXL_NUM_PACKETS},
		{.header = {.opcode = AXL_PKT_NOP, .flags = 0x80}},
		{.header = {.opcode = AXL_PKT_NOP, .reserved = 1}},
		{.bytes[63] = 1},
		{.execute = {.header.opcode = AXL_PKT_EXECUTE, .cmdbuf = 8, .size = 256}},
		{.execute = {.header.opcode = AXL_PKT_EXECUTE, .cmdbuf = 64, .size = 8}},
		{.execute = {.header.opcode = AXL_PKT_EXECUTE, .cmdbuf = 64, .size = ~0u}},
		{.execute = {.header.opcode = AXL_PKT_EXECUTE, .cmdbuf = 64, .size = 256, .args = 4}},
		{.execute = {.header.opcode = AXL_PKT_EXECUTE, .cmdbuf = 64, .size = 256, .stats = 4}},
		{.execute =
			 {.header.opcode = AXL_PKT_EXECUTE, .cmdbuf = 64, .size = 256, .trace = 64, .trace_size = 31}},
		{.execute = {.header.opcode = AXL_PKT_EXECUTE, .cmdbuf = 64, .size = 256, .reserved[1] = 1}},
		{.copy = {.header.opcode = AXL_PKT_COPY, .dst = 100, .src = 50, .size = 51}},
		{.copy = {.header.opcode = AXL_PKT_COPY, .dst = 100, .src = 5000, .size = ~0ull}},
		{.fill = {.header.opcode = AXL_PKT_FILL, .dst = 2, .size = 4}},
		{.fill = {.header.opcode = AXL_PKT_FILL, .dst = 4, .size = 5}},
		{.fence = {.header.opcode = AXL_PKT_WAIT, .address = 4}},
		{.fence = {.header.opcode = AXL_PKT_WAIT, .op = 6}},
		{.fence = {.header.opcode = AXL_PKT_SIGNAL, .op = 1}},
		{.timestamp = {.header.opcode = AXL_PKT_TIMESTAMP, .address = 12}},
		{.timestamp = {.header.opcode = AXL_PKT_TIMESTAMP, .reserved[5] = 12}},
	};
	struct front *f = *state;
	struct producer p = plain_queue(f);
	uint64_t *word = front_alloc(f, 4096), done = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		union axl_packet packet = bad[i];

		packet.header.tag = 1000 + (uint32_t)i;
		front_push(&p, &packet);
		push_fence(&p, AXL_PKT_SIGNAL, front_va(f, word), i + 1, 0);
		front_run(f);
		expect_fault(f, &p, AXL_CAUSE_PACKET, done);
		assert_int_equal(last_fault(f)->tag, packet.header.tag);
		assert_true(*word == i);
		recover(f, &p);
		front_run(f);
		done += 2;
		assert_true(*word == i + 1 && p.status->retired == done && p.status->dropped == done - 1);
		front_write(f, AXL_REG_FAULT_READ, front_read(f, AXL_REG_FAULT_WRITE));
	}
	assert_int_equal(front_read(f, AXL_REG_FAULT_DROPPED), 0);
}

static void a_full_fault_ring_drops_records_and_counts_them(void **state)
{
	struct front *f = *state;
	struct producer p = plain_queue(f);

	for (int i = 0; i < FAULT_RECORDS + 2; i++) {
		front_push(&p, &(union axl_packet){.header.opcode = 99});
		front_run(f);
		recover(f, &p);
	}
	assert_int_equal(front_read(f, AXL_REG_FAULT_WRITE), FAULT_RECORDS);
	assert_int_equal(front_read(f, AXL_REG_FAULT_DROPPED), 2);
	assert_int_equal(front_read(f, AXL_REG_COUNT_FAULTS), FAULT_RECORDS + 2);
	for (uint32_t i = 0; i < FAULT_RECORDS; i++)
		assert_true(f->faults[i].sequence == i);
}

static void write_indices_that_lie_stop_the_queue(void **state)
{
	static const uint64_t lies[] = {RING_SLOTS + 1, ~0ull, 1ull << 63};
	struct front *f = *state;

	for (size_t i = 0; i < 3; i++) {
		struct producer p = plain_queue(f);

		p.index->write = lies[i];
		front_run(f);
		expect_fault(f, &p, AXL_CAUSE_RING, 0);
		assert_true(last_fault(f)->address == lies[i]);
		front_write(f, AXL_REG_FAULT_READ, front_read(f, AXL_REG_FAULT_WRITE));
		assert_int_equal(front_command(f, AXL_CMD_QUEUE_RESET, 0), AXL_CMD_OK);
		memset((void *)p.status, 0, sizeof(*p.status));
	}
}

/* What page tables can say wrongly, and what the record then says. */
static void page_tables_are_not_trusted(void **state)
{
	static const struct {
		uint64_t entry;
		enum axl_cause cause;
	} cases[] = {
		{0, AXL_CAUSE_NOT_MAPPED},
		{AXL_PTE_READ | AXL_PTE_WRITE | BUS_BASE, AXL_CAUSE_NOT_MAPPED},
		{AXL_PTE_VALID | AXL_PTE_READ | BUS_BASE, AXL_CAUSE_PERMISSION},
		{AXL_PTE_VALID | AXL_PTE_WRITE | AXL_PTE_LEAF | BUS_BASE, AXL_CAUSE_TABLE},
		{AXL_PTE_VALID | AXL_PTE_WRITE | 1ull << 60 | BUS_BASE, AXL_CAUSE_TABLE},
		{AXL_PTE_VALID | AXL_PTE_WRITE | 1ull << 7 | BUS_BASE, AXL_CAUSE_TABLE},
		{AXL_PTE_VALID | AXL_PTE_WRITE | 0x1000, AXL_CAUSE_BUS},
		{AXL_PTE_VALID | AXL_PTE_WRITE | AXL_PTE_LOCAL | 4 << 20, AXL_CAUSE_BUS},
		{AXL_PTE_VALID | AXL_PTE_WRITE | AXL_PTE_LOCAL | 0xffffffffff000, AXL_CAUSE_BUS},
	};
	struct front *f = *state;
	struct producer p = plain_queue(f);
	uint8_t *page = front_alloc(f, 4096);
	uint64_t index = (uint64_t)(page - f->arena) >> 12;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* The arena begins at a 2 MiB boundary of USER_VA: the first leaf table holds its first 512 pages. */
		assert_true(index < 512);
		f->leaves[0][index] = cases[i].entry;
		assert_int_equal(front_command(f, AXL_CMD_TLB_INVALIDATE, 0), AXL_CMD_OK);
		push_fence(&p, AXL_PKT_SIGNAL, front_va(f, page) + 8, 1, 0);
		front_run(f);
		expect_fault(f, &p, cases[i].cause, i);
		assert_true(last_fault(f)->address == front_va(f, page) + 8);
		assert_int_equal(last_fault(f)->level, 0);
		assert_int_equal(last_fault(f)->access, AXL_ACCESS_WRITE);
		recover(f, &p);
		front_write(f, AXL_REG_FAULT_READ, front_read(f, AXL_REG_FAULT_WRITE));
	}
}

static void translations_are_kept_until_they_are_invalidated(void **state)
{
	struct front *f = *state;
	struct producer p = plain_queue(f);
	uint64_t *page = front_alloc(f, 4096);

	push_fence(&p, AXL_PKT_SIGNAL, front_va(f, page), 1, 0);
	front_run(f);
	f->leaves[0][((uint8_t *)page - f->arena) >> 12] = 0;
	assert_int_equal(front_command(f, AXL_CMD_TLB_INVALIDATE, 0), AXL_CMD_OK);
	push_fence(&p, AXL_PKT_SIGNAL, front_va(f, page), 2, 0);
	front_run(f);
	expect_fault(f, &p, AXL_CAUSE_NOT_MAPPED, 1);
	assert_true(*page == 1);
}

static void addresses_beyond_48_bits_are_not_mapped(void **state)
{
	struct front *f = *state;
	struct producer p = plain_queue(f);

	push_fence(&p, AXL_PKT_SIGNAL, 1ull << 48 | USER_VA, 1, 0);
	front_run(f);
	expect_fault(f, &p, AXL_CAUSE_NOT_MAPPED, 0);
}

static void a_bounded_queue_refuses_to_wait(void **state)
{
	struct front *f = *state;
	struct producer p = front_queue(f, 0, 0, 0, AXL_QUEUE_BOUNDED, 0, 1000);

	push_fence(&p, AXL_PKT_WAIT, USER_VA, 0, AXL_WAIT_EQ);
	front_run(f);
	expect_fault(f, &p, AXL_CAUSE_PACKET, 0);
}

/* ---- command buffers ---- */

static union axl_insn sequencer(uint8_t opcode, uint32_t count)
{
	union axl_insn insn = {.header = {.opcode = opcode, .slots = 1, .pipe = AXL_PIPE_SEQ}};

	insn.loop.count = opcode == AXL_OP_LOOP ? count : 0;
	return insn;
}

/* A buffer that takes about @millions x 65536 cycles of the sequencer, with a YIELD in every round or not. */
static void *long_buffer(struct front *f, uint32_t rounds, bool yields)
{
	union axl_insn insns[] = {
		sequencer(AXL_OP_LOOP, rounds), sequencer(AXL_OP_LOOP, 1024), sequencer(AXL_OP_ENDLOOP, 0),
		sequencer(AXL_OP_ENDLOOP, 0),   sequencer(AXL_OP_ENDLOOP, 0),
	};

	insns[3] = yields ? sequencer(AXL_OP_YIELD, 0) : sequencer(AXL_OP_ADDBASE, 0);
	return front_cmdbuf(f, insns, 5, 0);
}

static void execute_writes_statistics_and_advances_the_clock(void **state)
{
	struct front *f = *state;
	struct producer p = plain_queue(f);
	struct axl_exec_stats *stats = front_alloc(f, sizeof(*stats));
	struct axl_packet_execute packet = front_execute(f, long_buffer(f, 4, true));
	uint64_t before = front_read(f, AXL_REG_CYCLES);

	packet.stats = front_va(f, stats);
	front_push(&p, &packet);
	front_run(f);
	assert_true(p.status->retired == 1);
	assert_true(stats->start == before);
	assert_true(stats->instructions > 4 * 1024);
	assert_true(front_read(f, AXL_REG_CYCLES) >= stats->end);
	assert_true(p.status->busy_cycles == front_read(f, AXL_REG_CYCLES) - before);
}

static void a_buffer_needs_execute_rights(void **state)
{
	struct front *f = *state;
	struct producer p = plain_queue(f);
	struct axl_packet_execute packet = front_execute(f, long_buffer(f, 1, true));
	uint64_t index = (packet.cmdbuf - USER_VA) >> 12;

	f->leaves[0][index] &= ~AXL_PTE_EXEC;
	front_push(&p, &packet);
	front_run(f);
	expect_fault(f, &p, AXL_CAUSE_PERMISSION, 0);
	assert_int_equal(last_fault(f)->access, AXL_ACCESS_EXEC);
	assert_true(last_fault(f)->cmdbuf == packet.cmdbuf);
}

static void a_watchdog_ends_what_does_not_end(void **state)
{
	struct front *f = *state;
	struct producer p = front_queue(f, 0, 0, 0, AXL_QUEUE_BOUNDED, 0, 16);
	struct axl_packet_execute packet = front_execute(f, long_buffer(f, 0xffffffff, false));

	front_push(&p, &packet);
	push_nop(&p);
	front_run(f);
	expect_fault(f, &p, AXL_CAUSE_WATCHDOG, 0);
	recover(f, &p);
	front_run(f);
	assert_true(p.status->retired == 2);
}

static void a_watchdog_ends_a_copy_that_takes_too_long(void **state)
{
	struct front *f = *state;
	struct producer p = front_queue(f, 0, 0, 0, AXL_QUEUE_BOUNDED, 0, 1);
	struct axl_packet_fill fill = {.header.opcode = AXL_PKT_FILL, .dst = LOCAL_VA, .size = 1 << 20};

	front_push(&p, &fill);
	push_nop(&p);
	front_run(f);
	expect_fault(f, &p, AXL_CAUSE_WATCHDOG, 0);
	recover(f, &p);
	front_run(f);
	assert_true(p.status->retired == 2);
}

static void a_higher_priority_takes_the_tiles_at_a_yield(void **state)
{
	struct front *f = *state;
	struct producer low = front_queue(f, 0, 0, 0, 0, 0, 0), high = front_queue(f, 1, 0, 3, 0, 0, 0);
	struct axl_exec_stats *stats = front_alloc(f, sizeof(*stats));
	uint64_t *stamps = front_alloc(f, 4096);
	struct axl_packet_execute first = front_execute(f, long_buffer(f, 500, true));
	struct axl_packet_execute second = front_execute(f, long_buffer(f, 2, true));
	struct axl_packet_timestamp stamp = {.header.opcode = AXL_PKT_TIMESTAMP};

	/* The high queue waits for a word that the low one's first packet sets; then both want the tiles. */
	first.stats = front_va(f, stats);
	push_fence(&high, AXL_PKT_WAIT, front_va(f, stamps) + 64, 1, AXL_WAIT_EQ);
	front_push(&high, &second);
	stamp.address = front_va(f, stamps);
	front_push(&high, &stamp);
	front_push(&low, &first);
	stamp.address = front_va(f, stamps) + 8;
	front_push(&low, &stamp);
	front_run(f);
	assert_true(low.status->retired == 2 && high.status->retired == 0);
	assert_int_equal(stats->preemptions, 0);
	stamps[8] = 1;
	front_push(&low, &first);
	front_push(&low, &stamp);
	front_run(f);
	assert_true(low.status->retired == 4 && high.status->retired == 3);
	assert_true(stamps[0] < stamps[1]);
}

static void equals_share_by_time_slices(void **state)
{
	struct front *f = *state;
	struct producer a = front_queue(f, 0, 0, 1, 0, 8, 0), b = front_queue(f, 1, 0, 1, 0, 8, 0);
	struct axl_exec_stats *stats = front_alloc(f, 2 * sizeof(*stats));
	struct axl_packet_execute packet = front_execute(f, long_buffer(f, 100, true));

	packet.stats = front_va(f, stats);
	front_push(&a, &packet);
	packet.stats += sizeof(*stats);
	front_push(&b, &packet);
	front_run(f);
	assert_true(a.status->retired == 1 && b.status->retired == 1);
	assert_true(stats[0].preemptions > 2 && stats[1].preemptions > 2);
	/* What a buffer costs does not depend on who interrupted it. */
	assert_true(stats[0].end - stats[0].start == stats[1].end - stats[1].start);
}

static void a_detached_context_runs_nothing_any_more(void **state)
{
	struct front *f = *state;
	struct producer p = plain_queue(f);

	push_nop(&p);
	f->contexts[0].valid = 0;
	assert_int_equal(front_command(f, AXL_CMD_CONTEXT_UPDATE, 0), AXL_CMD_OK);
	front_run(f);
	assert_int_equal(p.status->state, AXL_QUEUE_OFF);
	assert_true(p.status->retired == 0);
	assert_int_equal(front_command(f, AXL_CMD_QUEUE_START, 0), AXL_CMD_BAD_DESCRIPTOR);
}

static void a_stopped_queue_goes_on_where_it_stood(void **state)
{
	struct front *f = *state;
	struct producer p = plain_queue(f);
	uint64_t *word = front_alloc(f, 4096);

	push_fence(&p, AXL_PKT_WAIT, front_va(f, word), 1, AXL_WAIT_EQ);
	push_nop(&p);
	front_run(f);
	assert_int_equal(front_command(f, AXL_CMD_QUEUE_STOP, 0), AXL_CMD_OK);
	assert_int_equal(p.status->state, AXL_QUEUE_SUSPENDED);
	*word = 1;
	front_run(f);
	assert_true(p.status->retired == 0);
	assert_int_equal(front_command(f, AXL_CMD_QUEUE_START, 0), AXL_CMD_OK);
	front_run(f);
	assert_true(p.status->retired == 2);
}

static void the_interrupt_comes_when_asked_for(void **state)
{
	struct front *f = *state;
	struct producer p = plain_queue(f);
	union axl_packet loud = {.header = {.opcode = AXL_PKT_NOP, .flags = AXL_PF_INTERRUPT}};
	unsigned int before = f->irqs[1];

	push_nop(&p);
	front_run(f);
	assert_int_equal(f->irqs[1], before);
	front_push(&p, &loud);
	front_run(f);
	assert_int_equal(f->irqs[1], before + 1);
	assert_int_equal(front_read(f, AXL_REG_IRQ_CONTEXTS), 1);
	/* The sleeper's word: only when that index is reached. */
	((struct axl_queue_status *)p.status)->notify = 4;
	push_nop(&p);
	front_run(f);
	assert_int_equal(f->irqs[1], before + 1);
	push_nop(&p);
	front_run(f);
	assert_int_equal(f->irqs[1], before + 2);
}

static void an_idle_device_asks_for_a_doorbell(void **state)
{
	struct front *f = *state;
	struct producer p = plain_queue(f);

	push_nop(&p);
	front_run(f);
	assert_true(p.status->event == 1);
	assert_true(front_read(f, AXL_REG_STATUS) & AXL_STATUS_IDLE);
	device_doorbell(f->device, 0);
	device_doorbell(f->device, AXL_DOORBELL_STRIDE * (uint64_t)AXL_MAX_CONTEXTS);
	device_doorbell(f->device, 8 * AXL_QUEUES_PER_CONTEXT);
	assert_int_equal(front_read(f, AXL_REG_COUNT_DOORBELLS), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(packets_retire_in_order_and_the_ring_goes_round),
		TEST(copy_and_fill_move_bytes_across_pages_and_memories),
		TEST(a_wait_holds_its_queue_and_no_other),
		TEST(every_comparison_of_wait),
		TEST(a_malformed_packet_stops_its_queue_with_a_record),
		TEST(a_full_fault_ring_drops_records_and_counts_them),
		TEST(write_indices_that_lie_stop_the_queue),
		TEST(page_tables_are_not_trusted),
		TEST(translations_are_kept_until_they_are_invalidated),
		TEST(addresses_beyond_48_bits_are_not_mapped),
		TEST(a_bounded_queue_refuses_to_wait),
		TEST(execute_writes_statistics_and_advances_the_clock),
		TEST(a_buffer_needs_execute_rights),
		TEST(a_watchdog_ends_what_does_not_end),
		TEST(a_watchdog_ends_a_copy_that_takes_too_long),
		TEST(a_higher_priority_takes_the_tiles_at_a_yield),
		TEST(equals_share_by_time_slices),
		TEST(a_detached_context_runs_nothing_any_more),
		TEST(a_stopped_queue_goes_on_where_it_stood),
		TEST(the_interrupt_comes_when_asked_for),
		TEST(an_idle_device_asks_for_a_doorbell),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
