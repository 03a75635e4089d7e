/* SPDX-License-Identifier: MIT */
/* Where the cycles above the roofline went: records by hand, and any records. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <axl/axl_isa.h>
#include <axl/axl_timing.h>
#include <cmocka.h>

#include "runtime/ledger.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct axl_trace_record record(uint8_t tile, uint8_t pipe, uint64_t begin, uint64_t end, uint32_t stalled)
{
	return (struct axl_trace_record){.begin = begin,
					 .end = end,
					 .tile = tile,
					 .pipe = pipe,
					 .opcode = pipe == AXL_PIPE_MATRIX ? AXL_OP_CONV : AXL_OP_LOAD,
					 .stalled = stalled};
}

static double sum_of(const double *causes)
{
	double sum = 0;

	for (int cause = 0; cause < ACCEL_NUM_CAUSES; cause++)
		sum += causes[cause];
	return sum;
}

static void expect(const double *causes, enum accel_cause cause, double cycles)
{
	if (fabs(causes[cause] - cycles) > 1e-9)
		fail_msg("%s: %g cycles, not %g", accel_cause_name(cause), causes[cause], cycles);
}

static void each_cycle_has_the_cause_that_stands_first(void **state)
{
	/* 300 of latency and 100 of data, a product of 20 stalled cycles in 300, a drain, the store's data, its way back. */
	const struct axl_trace_record records[] = {
		record(0, AXL_PIPE_LOAD, 0, 400, 300),   record(0, AXL_PIPE_MATRIX, 400, 700, 20),
		record(0, AXL_PIPE_VECTOR, 500, 600, 0), /* hidden */
		record(0, AXL_PIPE_DRAIN, 700, 750, 0),  record(0, AXL_PIPE_STORE, 760, 800, 0),
	};
	const struct roofline roofline = {.bytes = 500, .cycles = {100, 50, 30}};
	struct axl_exec_stats stats = {.bytes = {{600, 0}, {400, 0}}};
	struct ledger ledger = {{0}};
	double causes[ACCEL_NUM_CAUSES];

	(void)state;
	stats.pipe[0][AXL_PIPE_LOAD][AXL_STALL_TLB] = 100;
	stats.pipe[0][AXL_PIPE_LOAD][AXL_STALL_DRAM] = 200;
	assert_int_equal(ledger_add(&ledger, records, COUNT(records), &stats, 1, 802, ROOFLINE_MATRIX), 0);
	ledger_causes(&ledger, &roofline, 1, causes);
	expect(causes, ACCEL_CAUSE_FILL, AXL_T_ARRAY_LATENCY);
	expect(causes, ACCEL_CAUSE_BANK, 20);
	expect(causes, ACCEL_CAUSE_PADDING, 300 - AXL_T_ARRAY_LATENCY - 20 - 100);
	expect(causes, ACCEL_CAUSE_DRAIN, 50);
	expect(causes, ACCEL_CAUSE_VECTOR, 0);
	expect(causes, ACCEL_CAUSE_SPILL, 140 / 2.0); /* half of the bytes are compulsory */
	expect(causes, ACCEL_CAUSE_DRAM, 140 / 2.0);
	expect(causes, ACCEL_CAUSE_TLB, 300 / 3.0); /* a third of what transfers waited */
	expect(causes, ACCEL_CAUSE_LATENCY, 300 * 2 / 3.0);
	expect(causes, ACCEL_CAUSE_SEMAPHORE, 12);
	assert_true(fabs(sum_of(causes) - (802 - 100)) < 1e-9);
}

static void the_unit_that_bounds_stands_before_the_others(void **state)
{
	const struct axl_trace_record records[] = {
		record(0, AXL_PIPE_LOAD, 0, 400, 100),
		record(0, AXL_PIPE_MATRIX, 200, 500, 0),
	};
	const struct roofline roofline = {.bytes = 100, .cycles = {100, 50, 250}};
	struct axl_exec_stats stats = {.bytes = {{100, 0}}};
	struct ledger ledger = {{0}};
	double causes[ACCEL_NUM_CAUSES];

	(void)state;
	assert_int_equal(ledger_add(&ledger, records, COUNT(records), &stats, 1, 500, ROOFLINE_MEMORY), 0);
	ledger_causes(&ledger, &roofline, 1, causes);
	expect(causes, ACCEL_CAUSE_DRAM, 300 - 250);
	expect(causes, ACCEL_CAUSE_MATRIX, 100);
	expect(causes, ACCEL_CAUSE_PADDING, 0);
	expect(causes, ACCEL_CAUSE_LATENCY, 100);
	assert_true(fabs(sum_of(causes) - 250) < 1e-9);
}

static void a_tile_without_work_is_out_of_balance(void **state)
{
	const struct axl_trace_record records[] = {
		record(0, AXL_PIPE_MATRIX, 0, 400, 0),
		record(1, AXL_PIPE_MATRIX, 0, 300, 0),
	};
	const struct roofline roofline = {.cycles = {350 - AXL_T_ARRAY_LATENCY, 0, 0}};
	struct axl_exec_stats stats = {0};
	struct ledger ledger = {{0}};
	double causes[ACCEL_NUM_CAUSES];

	(void)state;
	assert_int_equal(ledger_add(&ledger, records, COUNT(records), &stats, 2, 400, ROOFLINE_MATRIX), 0);
	ledger_causes(&ledger, &roofline, 2, causes);
	expect(causes, ACCEL_CAUSE_BALANCE, 50);
	expect(causes, ACCEL_CAUSE_PADDING, 0);
	expect(causes, ACCEL_CAUSE_FILL, AXL_T_ARRAY_LATENCY);
}

static void causes_add_up_whatever_runs(void **state)
{
	enum { MOST = 50, TILES = 3 };
	uint32_t random = 7;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct axl_trace_record records[MOST];
		struct axl_exec_stats stats = {.bytes = {{1000, 0}}};
		struct roofline roofline = {.bytes = 400, .cycles = {0}};
		struct ledger ledger = {{0}};
		double causes[ACCEL_NUM_CAUSES];
		uint64_t at = 0, total = 0;

		roofline.cycles[round % ROOFLINE_NUM_BOUNDS] = 64;
		for (int i = 0; i < MOST; i++) {
			uint64_t length;

			random = random * 1664525u + 1013904223u;
			length = 1 + (random >> 4 & 127);
			at += random >> 26;
			records[i] = record((uint8_t)((random >> 12 & 255) % TILES),
					    (uint8_t)(AXL_PIPE_LOAD + (random >> 20 & 15) % 6), at, at + length,
					    (uint32_t)(length / 3));
			total = at + length > total ? at + length : total;
		}
		assert_int_equal(ledger_add(&ledger, records, MOST, &stats, TILES, total + 5,
					    (enum roofline_bound)(round % ROOFLINE_NUM_BOUNDS)),
				 0);
		ledger_causes(&ledger, &roofline, TILES, causes);
		assert_true(fabs(sum_of(causes) - ((double)total + 5 - 64)) < 1e-6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_cycle_has_the_cause_that_stands_first),
		cmocka_unit_test(the_unit_that_bounds_stands_before_the_others),
		cmocka_unit_test(a_tile_without_work_is_out_of_balance),
		cmocka_unit_test(causes_add_up_whatever_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
