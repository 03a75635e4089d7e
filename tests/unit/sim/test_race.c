/* SPDX-License-Identifier: MIT */
/*
 * Race-check mode: a program with every kind of dependence runs clean, and each wait that is taken away is reported,
 * with the offsets of the two instructions that are not ordered any more.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/sim/assemble.h"

#define NO_INSN ~0u

/* One case: two instructions with a dependence, and whatever makes their operands valid before. */
struct step {
	unsigned int tile;
	union axl_insn insn;
};

static int run(const char *target, unsigned int tiles, const struct step *steps, unsigned int count,
	       unsigned int without, struct engine_fault *fault, uint32_t *offsets)
{
	struct bench *bench = malloc(sizeof(*bench));
	struct assembly code;
	unsigned int index[AXL_MAX_TILES] = {0};
	int result;

	bench_init(bench, target, 1);
	assembly_init(&code, tiles);
	bench->job.race_check = true;
	for (unsigned int i = 0; i < count; i++) {
		union axl_insn insn = steps[i].insn;

		if (i == without)
			memset(insn.header.wait, 0, sizeof(insn.header.wait));
		emit(&code, steps[i].tile, &insn);
	}
	result = bench_run(bench, &code);
	for (unsigned int i = 0; i < count; i++)
		offsets[i] = offset_of(&code, steps[i].tile, index[steps[i].tile]++);
	*fault = bench->fault;
	assembly_finish(&code);
	bench_finish(bench);
	free(bench);
	return result;
}

/*
 * @waiter: the step whose wait orders it behind step @other. Clean with it; without, a race between the two, or (of a
 * read) bytes that nobody has written.
 */
static void expect_dependence(const char *target, unsigned int tiles, const struct step *steps, unsigned int count,
			      unsigned int waiter, unsigned int other)
{
	struct engine_fault fault;
	uint32_t offsets[16];

	if (run(target, tiles, steps, count, NO_INSN, &fault, offsets))
		fail_msg("the whole program: cause %u at offset %u", fault.cause, fault.offset);
	assert_int_equal(run(target, tiles, steps, count, waiter, &fault, offsets), -EFAULT);
	if (fault.cause == AXL_CAUSE_UNINITIALIZED) {
		assert_int_equal(fault.offset, offsets[waiter]);
		return;
	}
	assert_int_equal(fault.cause, AXL_CAUSE_RACE);
	/* Whichever of the two the model runs first, the later one finds the other. */
	assert_true((fault.offset == offsets[waiter] && fault.other_offset == offsets[other]) ||
		    (fault.offset == offsets[other] && fault.other_offset == offsets[waiter]));
}

#define W(insn, sem) with_wait(insn, sem, 1)
#define S(insn, sem) with_signal(insn, sem, 1)

static void a_read_waits_for_the_write_in_the_scratchpad(void **state)
{
	const struct step load_store[] = {{0, S(insn_load(0, 0, 64), 0)}, {0, W(insn_store(4096, 0, 64), 0)}};
	const struct step weight_vector[] = {{0, S(insn_weight(0, 0, 64), 0)}, {0, W(insn_add(64, 0, 0, 64), 0)}};
	const struct step vector_store[] = {{0, S(insn_load(0, 0, 64), 0)},
					    {0, S(W(insn_add(64, 0, 0, 64), 0), 1)},
					    {0, W(insn_store(4096, 64, 64), 1)}};

	(void)state;
	expect_dependence("axl-edge", 1, load_store, 2, 1, 0);
	expect_dependence("axl-edge", 1, weight_vector, 2, 1, 0);
	expect_dependence("axl-edge", 1, vector_store, 3, 1, 0);
	expect_dependence("axl-edge", 1, vector_store, 3, 2, 1);
}

static void a_write_waits_for_the_read_in_the_scratchpad(void **state)
{
	const struct step steps[] = {
		{0, S(insn_load(0, 0, 64), 0)},
		{0, S(W(insn_store(4096, 0, 64), 0), 1)},
		{0, W(insn_load(0, 64, 64), 1)},
	};

	(void)state;
	expect_dependence("axl-edge", 1, steps, 3, 2, 1);
}

static void a_write_waits_for_the_write_in_the_scratchpad(void **state)
{
	const struct step steps[] = {{0, S(insn_load(0, 0, 64), 0)}, {0, W(insn_weight(32, 64, 64), 0)}};

	(void)state;
	expect_dependence("axl-edge", 1, steps, 2, 1, 0);
}

static void a_drain_waits_for_the_sums_and_the_next_sums_for_the_drain(void **state)
{
	const struct step steps[] = {
		{0, S(insn_load(0, 0, 1024), 0)},
		{0, S(insn_weight(2048, 0, 1024), 1)},
		{0, S(W(W(insn_matmul(0, 0, 2048, 16, 32, 8), 0), 1), 2)},
		{0, S(W(insn_drain(4096, 0, 16, 8), 2), 3)},
		{0, S(W(insn_matmul(256, 0, 2048, 8, 32, 8), 3), 4)},
		{0, W(insn_drain(8192, 256, 8, 8), 4)},
	};
	struct step only_one[6];

	(void)state;
	expect_dependence("axl-edge", 1, steps, 6, 3, 2);
	expect_dependence("axl-edge", 1, steps, 6, 4, 3);
	/* Of two waits, each alone. */
	memcpy(only_one, steps, sizeof(steps));
	only_one[2].insn.header.wait[0] = (struct axl_sem_op){0};
	expect_dependence("axl-edge", 1, steps, 3, 2, 0);
	{
		struct engine_fault fault;
		uint32_t offsets[16];

		assert_int_equal(run("axl-edge", 1, only_one, 6, NO_INSN, &fault, offsets), -EFAULT);
		assert_true(fault.cause == AXL_CAUSE_RACE || fault.cause == AXL_CAUSE_UNINITIALIZED);
	}
}

static void memory_is_ordered_like_the_scratchpad(void **state)
{
	const struct step read_after_write[] = {{0, S(insn_load(0, 0, 64), 0)},
						{0, S(W(insn_store(4096, 0, 64), 0), 1)},
						{0, W(insn_load(128, 4100, 16), 1)}};
	struct step write_after_read[] = {
		{0, S(insn_load(0, 0, 64), 0)},
		{0, S(insn_weight(64, 4096, 64), 1)},
		{0, W(W(insn_store(4096 + 63, 0, 1), 0), 1)},
	};
	const struct step write_after_write[] = {
		{0, S(insn_load(0, 0, 64), 64)},
		{0, S(W(insn_store(4096, 0, 64), 64), 65)},
		{1, S(insn_load(0, 0, 64), 0)},
		{1, W(W(insn_store(4100, 0, 64), 0), 65)},
	};
	struct step half[4];
	struct engine_fault fault;
	uint32_t offsets[16];

	(void)state;
	expect_dependence("axl-edge", 1, read_after_write, 3, 2, 1);
	assert_int_equal(run("axl-edge", 1, write_after_read, 3, NO_INSN, &fault, offsets), 0);
	write_after_read[2].insn.header.wait[1] = (struct axl_sem_op){0};
	assert_int_equal(run("axl-edge", 1, write_after_read, 3, NO_INSN, &fault, offsets), -EFAULT);
	assert_int_equal(fault.cause, AXL_CAUSE_RACE);
	assert_true(fault.address == MEMORY_VA + 4096 + 63);
	assert_int_equal(run("axl-pro", 2, write_after_write, 4, NO_INSN, &fault, offsets), 0);
	memcpy(half, write_after_write, sizeof(half));
	half[3].insn.header.wait[1] = (struct axl_sem_op){0};
	assert_int_equal(run("axl-pro", 2, half, 4, NO_INSN, &fault, offsets), -EFAULT);
	assert_int_equal(fault.cause, AXL_CAUSE_RACE);
	assert_true(fault.address == MEMORY_VA + 4100);
}

static void tiles_are_ordered_by_global_semaphores_only(void **state)
{
	const struct step steps[] = {
		{0, S(insn_load(0, 0, 64), 0)},
		{0, S(W(insn_store(4096, 0, 64), 0), 64)},
		{1, W(insn_load(0, 4096, 64), 64)},
	};

	(void)state;
	expect_dependence("axl-pro", 2, steps, 3, 2, 1);
}

static void a_multicast_waits_for_the_readers_of_every_tile(void **state)
{
	union axl_insn cast = S(insn_load(0, 0, 64), 0);
	struct step steps[] = {
		{0, cast},
		{0, W(insn_store(4096, 0, 64), 0)},
		{1, S(W(insn_store(8192, 0, 64), 0), 64)},
		{0, cast},
	};

	(void)state;
	steps[0].insn.dma.tiles = steps[3].insn.dma.tiles = 3;
	/* The second load waits for tile 1's reader; it still races with tile 0's, unless that is ordered too. */
	steps[1].insn = S(steps[1].insn, 65);
	steps[3].insn = W(W(steps[3].insn, 64), 65);
	expect_dependence("axl-pro", 2, steps, 4, 2, 0);
	{
		struct engine_fault fault;
		uint32_t offsets[16];

		steps[3].insn.header.wait[0] = (struct axl_sem_op){0};
		assert_int_equal(run("axl-pro", 2, steps, 4, NO_INSN, &fault, offsets), -EFAULT);
		assert_int_equal(fault.cause, AXL_CAUSE_RACE);
		assert_true((fault.offset == offsets[3] && fault.other_offset == offsets[2]) ||
			    (fault.offset == offsets[2] && fault.other_offset == offsets[3]));
	}
}

static void an_order_that_a_chain_implies_is_enough(void **state)
{
	/* load -> vector -> store: the second load waits for the store and so for the vector too. */
	const struct step steps[] = {
		{0, S(insn_load(0, 0, 64), 0)},
		{0, S(W(insn_add(64, 0, 0, 64), 0), 1)},
		{0, S(W(insn_store(4096, 64, 64), 1), 2)},
		{0, W(insn_load(0, 64, 128), 2)},
	};
	struct engine_fault fault;
	uint32_t offsets[16];

	(void)state;
	assert_int_equal(run("axl-edge", 1, steps, 4, NO_INSN, &fault, offsets), 0);
}

static void bytes_that_interleave_do_not_touch(void **state)
{
	/* Two pipes write the even and the odd bytes of the same range. */
	union axl_insn even = insn_load(0, 0, 32), odd = insn_weight(1, 64, 32);
	struct step steps[2];
	struct engine_fault fault;
	uint32_t offsets[16];

	(void)state;
	even.dma.spad_stride[4] = odd.dma.spad_stride[4] = 2;
	steps[0] = (struct step){0, even};
	steps[1] = (struct step){0, odd};
	assert_int_equal(run("axl-edge", 1, steps, 2, NO_INSN, &fault, offsets), 0);
	steps[1].insn.dma.spad = 2;
	assert_int_equal(run("axl-edge", 1, steps, 2, NO_INSN, &fault, offsets), -EFAULT);
	assert_int_equal(fault.cause, AXL_CAUSE_RACE);
	assert_true(fault.address == 2);
}

static void reading_what_nobody_wrote(void **state)
{
	const struct step store[] = {{0, insn_store(0, 100, 4)}};
	const struct step partly[] = {{0, S(insn_load(0, 0, 64), 0)}, {0, W(insn_store(4096, 0, 65), 0)}};
	const struct step yielded[] = {
		{0, S(insn_load(0, 0, 64), 0)}, {0, insn_seq(AXL_OP_YIELD, 0)}, {0, W(insn_store(4096, 0, 64), 0)}};
	const struct step sums[] = {{0, insn_drain(0, 1024, 2, 4)}};
	struct engine_fault fault;
	uint32_t offsets[16];

	(void)state;
	assert_int_equal(run("axl-edge", 1, store, 1, NO_INSN, &fault, offsets), -EFAULT);
	assert_int_equal(fault.cause, AXL_CAUSE_UNINITIALIZED);
	assert_true(fault.address == 100);
	assert_int_equal(run("axl-edge", 1, partly, 2, NO_INSN, &fault, offsets), -EFAULT);
	assert_int_equal(fault.cause, AXL_CAUSE_UNINITIALIZED);
	assert_true(fault.address == 64);
	assert_int_equal(run("axl-edge", 1, yielded, 3, NO_INSN, &fault, offsets), -EFAULT);
	assert_int_equal(fault.cause, AXL_CAUSE_UNINITIALIZED);
	assert_int_equal(run("axl-edge", 1, sums, 1, NO_INSN, &fault, offsets), -EFAULT);
	assert_int_equal(fault.cause, AXL_CAUSE_UNINITIALIZED);
	assert_int_equal(fault.address, 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_waits_for_the_write_in_the_scratchpad),
		cmocka_unit_test(a_write_waits_for_the_read_in_the_scratchpad),
		cmocka_unit_test(a_write_waits_for_the_write_in_the_scratchpad),
		cmocka_unit_test(a_drain_waits_for_the_sums_and_the_next_sums_for_the_drain),
		cmocka_unit_test(memory_is_ordered_like_the_scratchpad),
		cmocka_unit_test(tiles_are_ordered_by_global_semaphores_only),
		cmocka_unit_test(a_multicast_waits_for_the_readers_of_every_tile),
		cmocka_unit_test(an_order_that_a_chain_implies_is_enough),
		cmocka_unit_test(bytes_that_interleave_do_not_touch),
		cmocka_unit_test(reading_what_nobody_wrote),
	};

	return cmocka_run_group_tests_name("race", tests, NULL, NULL);
}
