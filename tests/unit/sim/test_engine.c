/* SPDX-License-Identifier: MIT */
/* The tile engine on command buffers by hand: order, loops, faults, suspension, accounts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/sim/assemble.h"

struct fixture {
	struct bench bench;
	struct assembly code;
};

static struct fixture *fixture_new(const char *target, unsigned int tiles)
{
	struct fixture *f = malloc(sizeof(*f));

	assert_non_null(f);
	bench_init(&f->bench, target, 1);
	assembly_init(&f->code, tiles);
	return f;
}

static void fixture_free(struct fixture *f)
{
	assembly_finish(&f->code);
	bench_finish(&f->bench);
	free(f);
}

static void put(struct fixture *f, unsigned int tile, union axl_insn insn)
{
	emit(&f->code, tile, &insn);
}

/* load 16x32 and 32x8 bytes, multiply, drain, store; @at: where in memory. Semaphores 0 to 3. */
static void put_product(struct fixture *f, unsigned int tile, uint64_t at)
{
	put(f, tile, with_signal(insn_load(0, at, 512), 0, 1));
	put(f, tile, with_signal(insn_weight(1024, at + 512, 256), 1, 1));
	put(f, tile, with_signal(with_wait(with_wait(insn_matmul(0, 0, 1024, 16, 32, 8), 0, 1), 1, 1), 2, 1));
	put(f, tile, with_signal(with_wait(insn_drain(2048, 0, 16, 8), 2, 1), 3, 1));
	put(f, tile, with_wait(insn_store(at + 1024, 2048, 512), 3, 1));
}

static void fill_product(struct fixture *f, uint64_t at)
{
	for (int i = 0; i < 768; i++)
		f->bench.memory[at + (uint64_t)i] = (uint8_t)(i * 31 + 7);
}

static void expect_product(struct fixture *f, uint64_t at)
{
	const uint8_t *memory = f->bench.memory + at;

	for (int m = 0; m < 16; m++)
		for (int n = 0; n < 8; n++) {
			int32_t sum = 0, got;

			for (int k = 0; k < 32; k++)
				sum += memory[m * 32 + k] * memory[512 + k * 8 + n];
			memcpy(&got, memory + 1024 + (m * 8 + n) * 4, 4);
			assert_int_equal(got, sum);
		}
}

static void accounts_add_up(const struct fixture *f)
{
	const struct axl_exec_stats *stats = &f->bench.stats;
	uint64_t cycles = stats->end - stats->start;

	for (unsigned int t = 0; t < f->code.tiles; t++)
		for (int p = AXL_PIPE_LOAD; p < AXL_NUM_PIPES; p++) {
			uint64_t sum = 0;

			for (int why = 0; why < AXL_NUM_STALLS; why++)
				sum += stats->pipe[t][p][why];
			assert_true(sum == cycles);
		}
}

static void a_product_goes_through_all_pipes(void **state)
{
	struct fixture *f = fixture_new("axl-edge", 1);

	(void)state;
	fill_product(f, 0);
	put_product(f, 0, 0);
	assert_int_equal(bench_run(&f->bench, &f->code), 0);
	expect_product(f, 0);
	accounts_add_up(f);
	assert_int_equal(f->bench.stats.macs_useful, 16 * 32 * 8);
	assert_int_equal(f->bench.stats.instructions, 6);
	assert_int_equal(f->bench.stats.trace_records, 5);
	for (int i = 0; i < 5; i++)
		assert_true(f->bench.trace[i].begin < f->bench.trace[i].end);
	assert_int_equal(f->bench.stats.bytes[AXL_PURPOSE_ACTIVATION][0], 512);
	assert_int_equal(f->bench.stats.bytes[AXL_PURPOSE_WEIGHT][0], 256);
	assert_int_equal(f->bench.stats.bytes[AXL_PURPOSE_OUTPUT][0], 512);
	fixture_free(f);
}

static void loops_and_base_registers_repeat_with_other_addresses(void **state)
{
	struct fixture *f = fixture_new("axl-edge", 1);
	union axl_insn step = {.addbase = {.header = {.opcode = AXL_OP_ADDBASE, .slots = 1}, .value = 4096, .reg = 0}};

	(void)state;
	for (uint64_t i = 0; i < 6; i++)
		fill_product(f, i * 4096);
	put(f, 0, insn_seq(AXL_OP_LOOP, 2));
	put(f, 0, insn_seq(AXL_OP_LOOP, 3));
	put_product(f, 0, 0);
	put(f, 0, step);
	put(f, 0, insn_seq(AXL_OP_ENDLOOP, 0));
	put(f, 0, insn_seq(AXL_OP_ENDLOOP, 0));
	assert_int_equal(bench_run(&f->bench, &f->code), 0);
	/* Instructions of one buffer share addresses in the tile: without waits for their release the values may mix,
	 * but all transfers happened. */
	assert_int_equal(f->bench.stats.bytes[AXL_PURPOSE_OUTPUT][0], 6 * 512);
	expect_product(f, 0);
	fixture_free(f);
}

static void tiles_hand_over_through_global_semaphores(void **state)
{
	struct fixture *f = fixture_new("axl-pro", 2);

	(void)state;
	memset(f->bench.memory, 5, 64);
	put(f, 0, with_signal(insn_load(0, 0, 64), 0, 1));
	put(f, 0, with_signal(with_wait(insn_store(128, 0, 64), 0, 1), 64, 1));
	put(f, 1, with_signal(with_wait(insn_load(0, 128, 64), 64, 1), 0, 1));
	put(f, 1, with_signal(with_wait(insn_add(64, 0, 0, 64), 0, 1), 1, 1));
	put(f, 1, with_wait(insn_store(256, 64, 64), 1, 1));
	assert_int_equal(bench_run(&f->bench, &f->code), 0);
	assert_int_equal(f->bench.memory[256], 10);
	accounts_add_up(f);
	fixture_free(f);
}

static void a_multicast_writes_and_signals_every_tile(void **state)
{
	struct fixture *f = fixture_new("axl-pro", 4);
	union axl_insn load = with_signal(insn_load(0, 0, 64), 0, 1);

	(void)state;
	memset(f->bench.memory, 9, 64);
	load.dma.tiles = 0xf;
	put(f, 2, load);
	for (unsigned int t = 0; t < 4; t++)
		put(f, t, with_wait(insn_store(1024 + 64 * t, 0, 64), 0, 1));
	assert_int_equal(bench_run(&f->bench, &f->code), 0);
	for (int i = 0; i < 256; i++)
		assert_int_equal(f->bench.memory[1024 + i], 9);
	assert_int_equal(f->bench.stats.bytes[AXL_PURPOSE_ACTIVATION][0], 64);
	fixture_free(f);
}

/* ---- faults ---- */

static void expect_fault(struct fixture *f, enum axl_cause cause, uint32_t offset)
{
	assert_int_equal(bench_run(&f->bench, &f->code), -EFAULT);
	assert_int_equal(f->bench.fault.cause, cause);
	assert_int_equal(f->bench.fault.offset, offset);
	fixture_free(f);
}

static void a_deadlock_is_a_fault_with_the_semaphores(void **state)
{
	struct fixture *f = fixture_new("axl-edge", 1);

	(void)state;
	put(f, 0, with_signal(insn_load(0, 0, 64), 5, 3));
	put(f, 0, with_wait(insn_store(64, 0, 64), 5, 4));
	assert_int_equal(bench_run(&f->bench, &f->code), -EFAULT);
	assert_int_equal(f->bench.fault.cause, AXL_CAUSE_DEADLOCK);
	assert_int_equal(f->bench.fault.offset, offset_of(&f->code, 0, 1));
	assert_int_equal(f->bench.fault.sems[5], 3);
	assert_int_equal(f->bench.fault.pipe, AXL_PIPE_STORE);
	assert_int_equal(f->bench.fault.pipe_offset[AXL_PIPE_STORE], offset_of(&f->code, 0, 1));
	assert_true(f->bench.fault.pipe_offset[AXL_PIPE_LOAD] == ~0u);
	fixture_free(f);
}

static void two_tiles_that_wait_for_each_other(void **state)
{
	struct fixture *f = fixture_new("axl-pro", 2);

	(void)state;
	put(f, 0, with_signal(with_wait(insn_sync(AXL_PIPE_LOAD), 64, 1), 65, 1));
	put(f, 1, with_signal(with_wait(insn_sync(AXL_PIPE_LOAD), 65, 1), 64, 1));
	expect_fault(f, AXL_CAUSE_DEADLOCK, offset_of(&f->code, 0, 0));
}

static void a_semaphore_that_overflows(void **state)
{
	struct fixture *f = fixture_new("axl-edge", 1);

	(void)state;
	put(f, 0, insn_seq(AXL_OP_LOOP, 1000));
	put(f, 0, with_signal(insn_sync(AXL_PIPE_VECTOR), 0, 255));
	put(f, 0, insn_seq(AXL_OP_ENDLOOP, 0));
	expect_fault(f, AXL_CAUSE_SEM_OVERFLOW, offset_of(&f->code, 0, 1));
}

static void an_address_that_is_not_mapped(void **state)
{
	struct fixture *f = fixture_new("axl-edge", 1);

	(void)state;
	put(f, 0, insn_load(0, MEMORY_BYTES - 32, 64));
	assert_int_equal(bench_run(&f->bench, &f->code), -EFAULT);
	assert_int_equal(f->bench.fault.cause, AXL_CAUSE_NOT_MAPPED);
	assert_true(f->bench.fault.address == MEMORY_VA + MEMORY_BYTES);
	assert_int_equal(f->bench.fault.access, AXL_ACCESS_READ);
	fixture_free(f);
}

static void loops_that_are_not_balanced(void **state)
{
	struct fixture *f = fixture_new("axl-edge", 1);

	(void)state;
	put(f, 0, insn_seq(AXL_OP_ENDLOOP, 0));
	expect_fault(f, AXL_CAUSE_LOOP, offset_of(&f->code, 0, 0));
	f = fixture_new("axl-edge", 1);
	put(f, 0, insn_seq(AXL_OP_LOOP, 2));
	expect_fault(f, AXL_CAUSE_LOOP, offset_of(&f->code, 0, 1));
	f = fixture_new("axl-edge", 1);
	for (int i = 0; i <= AXL_LOOP_DEPTH; i++)
		put(f, 0, insn_seq(AXL_OP_LOOP, 2));
	expect_fault(f, AXL_CAUSE_LOOP, offset_of(&f->code, 0, AXL_LOOP_DEPTH));
	f = fixture_new("axl-edge", 1);
	put(f, 0, insn_seq(AXL_OP_LOOP, 0));
	expect_fault(f, AXL_CAUSE_BAD_OPERAND, offset_of(&f->code, 0, 0));
}

static void tiles_that_disagree_about_yields(void **state)
{
	struct fixture *f = fixture_new("axl-pro", 2);

	(void)state;
	put(f, 0, insn_seq(AXL_OP_YIELD, 0));
	assert_int_equal(bench_run(&f->bench, &f->code), -EFAULT);
	assert_int_equal(f->bench.fault.cause, AXL_CAUSE_YIELD);
	assert_int_equal(f->bench.fault.tile, 1);
	fixture_free(f);
}

static void headers_that_lie(void **state)
{
	struct fixture *f = fixture_new("axl-edge", 1);
	struct axl_cmdbuf good, *header;
	uint32_t size;

	(void)state;
	put_product(f, 0, 0);
	assembly_close(&f->code, &size);
	memcpy(&good, f->code.buffer, sizeof(good));
	header = (struct axl_cmdbuf *)(void *)f->code.buffer;
	f->bench.job.cmdbuf = f->code.buffer;
	f->bench.job.size = size;
	assert_int_equal(bench_resume(&f->bench), 0);
	for (int i = 0; i < 17; i++) {
		*header = good;
		switch (i) {
		case 0:
			header->magic++;
			break;
		case 1:
			header->version++;
			break;
		case 2:
			header->num_tiles = 0;
			break;
		case 3:
			header->num_tiles = 2;
			break;
		case 4:
			header->num_tiles = 255;
			break;
		case 5:
			header->flags = 1;
			break;
		case 6:
			header->size += 64;
			break;
		case 7:
			header->num_bases = 33;
			break;
		case 8:
			header->spad_bytes = ~0u;
			break;
		case 9:
			header->acc_bytes = ~0u;
			break;
		case 10:
			header->reserved[9] = 1;
			break;
		case 11:
			header->streams[0].offset = 64;
			break;
		case 12:
			header->streams[0].offset += 1;
			break;
		case 13:
			header->streams[0].size = ~63u;
			break;
		case 14:
			header->streams[0].size = 0;
			break;
		case 15:
			header->streams[0].offset = ~63u;
			break;
		default:
			header->streams[1].size = 64;
			break;
		}
		assert_int_equal(bench_resume(&f->bench), -EFAULT);
		assert_int_equal(f->bench.fault.cause, AXL_CAUSE_CMDBUF);
	}
	/* Shorter than a header, and a stream that runs out. */
	f->bench.job.size = 64;
	assert_int_equal(bench_resume(&f->bench), -EFAULT);
	*header = good;
	header->streams[0].size -= 64;
	f->bench.job.size = size;
	assert_int_equal(bench_resume(&f->bench), -EFAULT);
	assert_int_equal(f->bench.fault.cause, AXL_CAUSE_CMDBUF);
	fixture_free(f);
}

static void a_watchdog_ends_any_endless_program(void **state)
{
	struct fixture *f = fixture_new("axl-edge", 1);

	(void)state;
	f->bench.job.watchdog = 100000;
	for (int i = 0; i < AXL_LOOP_DEPTH; i++)
		put(f, 0, insn_seq(AXL_OP_LOOP, ~0u));
	for (int i = 0; i < AXL_LOOP_DEPTH; i++)
		put(f, 0, insn_seq(AXL_OP_ENDLOOP, 0));
	assert_int_equal(bench_run(&f->bench, &f->code), -EFAULT);
	assert_int_equal(f->bench.fault.cause, AXL_CAUSE_WATCHDOG);
	assert_in_range(f->bench.stats.end - f->bench.stats.start, 100000, 100100);
	fixture_free(f);
	f = fixture_new("axl-edge", 1);
	f->bench.job.watchdog = 100000;
	put(f, 0, insn_seq(AXL_OP_LOOP, ~0u));
	put(f, 0, insn_load(0, 0, 4096));
	put(f, 0, insn_seq(AXL_OP_ENDLOOP, 0));
	assert_int_equal(bench_run(&f->bench, &f->code), -EFAULT);
	assert_int_equal(f->bench.fault.cause, AXL_CAUSE_WATCHDOG);
	fixture_free(f);
}

/* ---- suspension ---- */

struct stopper {
	unsigned int calls, at;
	enum engine_stop what;
};

static enum engine_stop stop_at(void *opaque)
{
	struct stopper *stopper = opaque;

	return ++stopper->calls >= stopper->at ? stopper->what : ENGINE_GO;
}

static void a_kill_ends_an_endless_program(void **state)
{
	struct fixture *f = fixture_new("axl-edge", 1);
	struct stopper stopper = {.at = 50, .what = ENGINE_KILL};

	(void)state;
	f->bench.job.watchdog = 0;
	f->bench.job.stop = stop_at;
	f->bench.job.stop_opaque = &stopper;
	put(f, 0, insn_seq(AXL_OP_LOOP, ~0u));
	put(f, 0, insn_seq(AXL_OP_ENDLOOP, 0));
	assert_int_equal(bench_run(&f->bench, &f->code), -ECANCELED);
	assert_null(f->bench.state);
	fixture_free(f);
}

/* Four products with a YIELD after each, on @tiles tiles. */
static struct fixture *yielding(const char *target, unsigned int tiles)
{
	struct fixture *f = fixture_new(target, tiles);

	for (unsigned int t = 0; t < tiles; t++)
		for (uint64_t i = 0; i < 4; i++) {
			fill_product(f, (t * 4 + i) * 4096);
			put_product(f, t, (t * 4 + i) * 4096);
			put(f, t, insn_seq(AXL_OP_YIELD, 0));
		}
	return f;
}

static void a_suspended_buffer_goes_on_as_if_nothing_had_been(void **state)
{
	(void)state;
	for (unsigned int tiles = 1; tiles <= 4; tiles += 3) {
		struct fixture *f = yielding(tiles == 1 ? "axl-edge" : "axl-pro", tiles);
		struct stopper stopper = {.at = 1, .what = ENGINE_PREEMPT};
		int pieces = 1, result;

		f->bench.job.stop = stop_at;
		f->bench.job.stop_opaque = &stopper;
		result = bench_run(&f->bench, &f->code);
		while (result == -EINTR) {
			assert_non_null(f->bench.state);
			engine_scrub(f->bench.engine); /* another buffer ran */
			result = bench_resume(&f->bench);
			pieces++;
		}
		assert_int_equal(result, 0);
		assert_in_range(pieces, 2, 5);
		assert_int_equal(f->bench.stats.preemptions, pieces - 1);
		for (uint64_t i = 0; i < 4 * tiles; i++)
			expect_product(f, i * 4096);
		assert_int_equal(f->bench.stats.macs_useful, 4 * tiles * 16 * 32 * 8);
		accounts_add_up(f);
		fixture_free(f);
	}
}

static void a_suspended_buffer_can_be_dropped(void **state)
{
	struct fixture *f = yielding("axl-pro", 4);
	struct stopper stopper = {.at = 1, .what = ENGINE_PREEMPT};

	(void)state;
	f->bench.job.stop = stop_at;
	f->bench.job.stop_opaque = &stopper;
	f->bench.job.race_check = true;
	assert_int_equal(bench_run(&f->bench, &f->code), -EINTR);
	fixture_free(f);
}

static void one_and_more_host_threads_give_the_same(void **state)
{
	struct axl_exec_stats stats = {0};
	uint8_t *memory = NULL;

	(void)state;
	for (unsigned int threads = 1; threads <= 3; threads++) {
		struct fixture *f = fixture_new("axl-edge", 1);

		bench_finish(&f->bench);
		bench_init(&f->bench, "axl-edge", threads);
		for (int i = 0; i < MEMORY_BYTES; i++)
			f->bench.memory[i] = (uint8_t)(i * 13 + i / 256);
		put(f, 0, with_signal(insn_load(0, 0, 128 * 256), 0, 1));
		put(f, 0, with_signal(insn_weight(1 << 16, 1 << 16, 256 * 128), 1, 1));
		put(f, 0,
		    with_signal(with_wait(with_wait(insn_matmul(0, 0, 1 << 16, 128, 256, 128), 0, 1), 1, 1), 2, 1));
		put(f, 0, with_signal(with_wait(insn_drain(1 << 17, 0, 128, 128), 2, 1), 3, 1));
		put(f, 0, with_wait(insn_store(1 << 18, 1 << 17, 128 * 128 * 4), 3, 1));
		assert_int_equal(bench_run(&f->bench, &f->code), 0);
		if (memory) {
			assert_memory_equal(memory, f->bench.memory, MEMORY_BYTES);
			assert_memory_equal(&stats, &f->bench.stats, sizeof(stats));
		} else {
			memory = malloc(MEMORY_BYTES);
			memcpy(memory, f->bench.memory, MEMORY_BYTES);
			stats = f->bench.stats;
		}
		fixture_free(f);
	}
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_product_goes_through_all_pipes),
		cmocka_unit_test(loops_and_base_registers_repeat_with_other_addresses),
		cmocka_unit_test(tiles_hand_over_through_global_semaphores),
		cmocka_unit_test(a_multicast_writes_and_signals_every_tile),
		cmocka_unit_test(a_deadlock_is_a_fault_with_the_semaphores),
		cmocka_unit_test(two_tiles_that_wait_for_each_other),
		cmocka_unit_test(a_semaphore_that_overflows),
		cmocka_unit_test(an_address_that_is_not_mapped),
		cmocka_unit_test(loops_that_are_not_balanced),
		cmocka_unit_test(tiles_that_disagree_about_yields),
		cmocka_unit_test(headers_that_lie),
		cmocka_unit_test(a_watchdog_ends_any_endless_program),
		cmocka_unit_test(a_kill_ends_an_endless_program),
		cmocka_unit_test(a_suspended_buffer_goes_on_as_if_nothing_had_been),
		cmocka_unit_test(a_suspended_buffer_can_be_dropped),
		cmocka_unit_test(one_and_more_host_threads_give_the_same),
	};

	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
