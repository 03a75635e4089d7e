/* SPDX-License-Identifier: MIT */
/* How long a request for the tiles waits: on records by hand, and never less than where the engine then stands. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/report/preemption.h"
#include "compiler/target/estimate.h"
#include "tests/unit/sim/assemble.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void put(struct assembly *code, unsigned int tile, union axl_insn insn)
{
	emit(code, tile, &insn);
}

static struct axl_trace_record record(const struct assembly *code, unsigned int tile, unsigned int index,
				      enum axl_pipe pipe, uint64_t begin, uint64_t end)
{
	return (struct axl_trace_record){.begin = begin,
					 .end = end,
					 .offset = offset_of(code, tile, index),
					 .tag = (uint16_t)(10 * tile + index),
					 .tile = (uint8_t)tile,
					 .pipe = (uint8_t)pipe};
}

static void a_request_waits_from_one_yield_read_to_the_next_passed(void **state)
{
	struct axl_trace_record records[4];
	struct preemption found;
	struct assembly code;
	const uint8_t *buffer;
	uint32_t size;

	(void)state;
	assembly_init(&code, 1);
	put(&code, 0, insn_load(0, 0, 64));
	put(&code, 0, insn_store(0, 0, 64));
	put(&code, 0, insn_seq(AXL_OP_YIELD, 0));
	put(&code, 0, insn_load(0, 0, 64));
	put(&code, 0, insn_store(0, 0, 64));
	buffer = assembly_close(&code, &size);
	records[0] = record(&code, 0, 0, AXL_PIPE_LOAD, 2, 300);
	records[1] = record(&code, 0, 3, AXL_PIPE_LOAD, 100, 400);
	records[2] = record(&code, 0, 1, AXL_PIPE_STORE, 300, 500);
	records[3] = record(&code, 0, 4, AXL_PIPE_STORE, 500, 700);
	assert_int_equal(preemption_measure(buffer, records, COUNT(records), &found), 0);
	assert_int_equal(found.yields, 1);
	assert_int_equal(found.distance, 500); /* from the start to the end of the first store; then 200 */
	assert_int_equal(found.tag, 1);
	assert_int_equal(found.latency, 700 - 5); /* two slots, two slots, the YIELD, and all of the rest */
	assert_int_equal(preemption_measure(buffer, records, COUNT(records) - 1, &found), -EINVAL);
	records[3].offset++;
	assert_int_equal(preemption_measure(buffer, records, COUNT(records), &found), -EINVAL);
	assembly_finish(&code);
}

static void tiles_wait_for_the_one_that_is_last(void **state)
{
	struct axl_trace_record records[3];
	struct preemption found;
	struct assembly code;
	const uint8_t *buffer;
	uint32_t size;

	(void)state;
	assembly_init(&code, 2);
	for (unsigned int t = 0; t < 2; t++) {
		put(&code, t, insn_load(0, 0, 64));
		put(&code, t, insn_seq(AXL_OP_YIELD, 0));
	}
	put(&code, 1, insn_load(0, 0, 64));
	buffer = assembly_close(&code, &size);
	records[0] = record(&code, 0, 0, AXL_PIPE_LOAD, 2, 100);
	records[1] = record(&code, 1, 0, AXL_PIPE_LOAD, 2, 900);
	records[2] = record(&code, 1, 2, AXL_PIPE_LOAD, 400, 1000);
	assert_int_equal(preemption_measure(buffer, records, COUNT(records), &found), 0);
	assert_int_equal(found.yields, 1);
	assert_int_equal(found.distance, 900);
	assert_int_equal(found.tag, 10);
	assert_int_equal(found.latency, 1000 - 3); /* the other tile reads its YIELD at 3 and then has nothing more */
	assembly_finish(&code);
}

/* A request at cycle @at. */
struct request {
	const struct engine *engine;
	uint64_t at;
};

static enum engine_stop stop(void *opaque)
{
	const struct request *request = opaque;

	return engine_cycles(request->engine) >= request->at ? ENGINE_PREEMPT : ENGINE_GO;
}

/* Transfers of random lengths on both tiles, with YIELDs at random places, requested at every hundredth cycle. */
static void the_engine_never_takes_longer(void **state)
{
	uint32_t random = 3;

	(void)state;
	for (int round = 0; round < 4; round++) {
		struct bench *bench = test_malloc(sizeof(*bench));
		struct request request;
		struct preemption found;
		struct assembly code;
		uint64_t cycles;

		bench_init(bench, "axl-pro", 1);
		assembly_init(&code, 2);
		for (unsigned int t = 0; t < 2; t++)
			for (int i = 0; i < 120; i++) {
				union axl_insn insn;

				random = random * 1664525u + 1013904223u;
				insn = i % 12 == 11 ? insn_seq(AXL_OP_YIELD, 0) : insn_load(0, 0, 64 + (random >> 18));
				put(&code, t, insn);
			}
		assert_int_equal(bench_run(bench, &code), 0);
		assert_int_equal(preemption_measure(code.buffer, bench->trace, bench->stats.trace_records, &found), 0);
		assert_int_equal(found.yields, 10);
		cycles = bench->stats.end - bench->stats.start;
		assert_true(found.latency < cycles && found.distance <= found.latency);
		for (uint64_t at = 0; at < cycles; at += 100) {
			int err;

			request = (struct request){bench->engine, at};
			bench->job.stop = stop;
			bench->job.stop_opaque = &request;
			err = bench_resume(bench);
			assert_true(err == 0 || err == -EINTR);
			assert_true(engine_cycles(bench->engine) <= at + found.latency);
			engine_state_destroy(bench->state);
			bench->state = NULL;
		}
		assembly_finish(&code);
		bench_finish(bench);
		test_free(bench);
	}
}

/* The estimate's stretches are the distances that its own records have. */
static void the_estimate_measures_the_same(void **state)
{
	uint32_t random = 5;

	(void)state;
	for (int round = 0; round < 8; round++) {
		const uint64_t bases[] = {1 << 20, 1 << 20, 1 << 20};
		struct estimate estimate;
		struct preemption found;
		struct assembly code;
		uint64_t longest = 0;
		uint32_t size;

		assembly_init(&code, 2);
		for (unsigned int t = 0; t < 2; t++)
			for (int i = 0; i < 60; i++) {
				union axl_insn insn;

				random = random * 1664525u + 1013904223u;
				insn = i % 12 == 11 ? insn_seq(AXL_OP_YIELD, 0) : insn_load(0, 0, 64 + (random >> 18));
				insn.header.tag = (uint16_t)i;
				if (i % 12 == 11 ||
				    i / 12 % 2 == (int)t) /* in the other stretches the tile has nothing to do */
					put(&code, t, insn);
			}
		assert_non_null(assembly_close(&code, &size));
		assert_int_equal(
			estimate_run(&(struct estimate_job){target_find("axl-pro"), code.buffer, size, bases, 3},
				     &estimate),
			0);
		assert_int_equal(preemption_measure(code.buffer, estimate.records, estimate.num_records, &found), 0);
		assert_int_equal(estimate.num_stretches, found.yields);
		for (size_t s = 0; s < estimate.num_stretches; s++) {
			if (estimate.stretches[s].cycles > longest)
				longest = estimate.stretches[s].cycles;
			assert_int_equal(estimate.stretches[s].first, s * 12);
			assert_int_equal(estimate.stretches[s].last, s * 12 + 10);
		}
		assert_int_equal(longest, found.distance);
		estimate_finish(&estimate);
		assembly_finish(&code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_waits_from_one_yield_read_to_the_next_passed),
		cmocka_unit_test(tiles_wait_for_the_one_that_is_last),
		cmocka_unit_test(the_engine_never_takes_longer),
		cmocka_unit_test(the_estimate_measures_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
