/* SPDX-License-Identifier: MIT */
/* Whose a device cycle is, on records by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <axl/axl_isa.h>
#include <cmocka.h>

#include "compiler/report/node_cycles.h"

enum { FIRST = 7, NODES = 3 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct axl_trace_record record(uint16_t node, uint8_t tile, uint8_t pipe, uint64_t begin, uint64_t end)
{
	return (struct axl_trace_record){
		.begin = begin, .end = end, .tag = (uint16_t)(FIRST + node), .tile = tile, .pipe = pipe};
}

static void expect(const struct axl_trace_record *records, size_t count, uint64_t total, const uint64_t *cycles)
{
	uint64_t nodes[NODES] = {99};

	node_cycles_attribute(records, count, total, FIRST, NODES, nodes);
	for (int n = 0; n < NODES; n++)
		if (nodes[n] != cycles[n])
			fail_msg("node %d has %llu cycles, not %llu", n, (unsigned long long)nodes[n],
				 (unsigned long long)cycles[n]);
}

static void the_matrix_unit_comes_first(void **state)
{
	/* Node 0 loads and stores around two products of node 1. */
	const struct axl_trace_record records[] = {
		record(0, 0, AXL_PIPE_LOAD, 0, 100),
		record(1, 0, AXL_PIPE_MATRIX, 20, 50),
		record(0, 0, AXL_PIPE_STORE, 40, 120),
		record(1, 0, AXL_PIPE_MATRIX, 60, 110),
	};

	(void)state;
	expect(records, COUNT(records), 120, (uint64_t[]){20 + 10 + 10, 30 + 50, 0});
}

static void the_oldest_has_what_the_matrix_unit_leaves(void **state)
{
	const struct axl_trace_record records[] = {
		record(0, 0, AXL_PIPE_LOAD, 0, 40), record(1, 0, AXL_PIPE_VECTOR, 10, 60),
		record(2, 0, AXL_PIPE_STORE, 20, 50), /* in the shadow of the others */
		record(2, 0, AXL_PIPE_STORE, 80, 90), /* after cycles in which nothing ran */
	};

	(void)state;
	expect(records, COUNT(records), 90, (uint64_t[]){40, 20, 20 + 10});
}

static void tiles_share_a_cycle(void **state)
{
	const struct axl_trace_record records[] = {
		record(0, 0, AXL_PIPE_MATRIX, 0, 100), record(1, 1, AXL_PIPE_MATRIX, 0, 51),
		record(2, 1, AXL_PIPE_LOAD, 51, 80), /* then its tile has nothing to do */
	};

	(void)state;
	/* 100 + 20 tile-cycles, 51 and 29: halves go down and up. */
	expect(records, COUNT(records), 100, (uint64_t[]){60, 25, 15});
}

static void what_nobody_does_is_waited_for(void **state)
{
	const struct axl_trace_record records[] = {
		record(0, 0, AXL_PIPE_LOAD, 5, 40),    /* the sequencer reads first */
		record(1, 0, AXL_PIPE_VECTOR, 50, 60), /* waits for ten cycles */
	};

	(void)state;
	expect(records, COUNT(records), 62, (uint64_t[]){40, 20 + 2, 0});
}

static void instructions_of_others_are_theirs(void **state)
{
	const struct axl_trace_record records[] = {
		record(0, 0, AXL_PIPE_MATRIX, 0, 100),
		record(9, 0, AXL_PIPE_LOAD, 0, 200), /* a node of another region */
	};

	(void)state;
	expect(records, COUNT(records), 200, (uint64_t[]){100, 0, 0});
}

/* Any records: all of the cycles are somebody's, and the matrix unit's are its node's. */
static void cycles_add_up_whatever_runs(void **state)
{
	enum { MOST = 60, TILES = 3 };
	static const uint8_t pipes[] = {AXL_PIPE_LOAD, AXL_PIPE_MATRIX, AXL_PIPE_VECTOR, AXL_PIPE_STORE};
	uint32_t random = 1;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct axl_trace_record records[MOST];
		uint64_t nodes[NODES] = {0};
		uint64_t at = 0, free[TILES] = {0}, matrix[NODES] = {0}, total = 0, sum = 0;

		for (int i = 0; i < MOST; i++) {
			uint16_t node;
			uint8_t tile, pipe;

			random = random * 1664525u + 1013904223u;
			node = (uint16_t)(random >> 8 & 1023) % NODES;
			tile = (uint8_t)((random >> 18 & 63) % TILES);
			pipe = pipes[random >> 24 & 3];
			at += random >> 26;
			if (pipe == AXL_PIPE_MATRIX && at < free[tile])
				pipe = AXL_PIPE_DRAIN; /* one product at a time */
			records[i] = record(node, tile, pipe, at, at + 1 + (random >> 4 & 127));
			total = records[i].end > total ? records[i].end : total;
			if (pipe == AXL_PIPE_MATRIX) {
				free[tile] = records[i].end;
				matrix[node] += records[i].end - at;
			}
		}
		node_cycles_attribute(records, MOST, total + 2, FIRST, NODES, nodes);
		for (int n = 0; n < NODES; n++) {
			sum += nodes[n];
			assert_true(nodes[n] + 1 >= matrix[n] / TILES);
		}
		assert_int_equal(sum, total + 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_matrix_unit_comes_first),
		cmocka_unit_test(the_oldest_has_what_the_matrix_unit_leaves),
		cmocka_unit_test(tiles_share_a_cycle),
		cmocka_unit_test(what_nobody_does_is_waited_for),
		cmocka_unit_test(instructions_of_others_are_theirs),
		cmocka_unit_test(cycles_add_up_whatever_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
