/* SPDX-License-Identifier: MIT */
/* Whose a device cycle is, on records by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <axl/axl_isa.h>
#include <cmocka.h>

#include "runtime/node_cycles.h"

enum { FIRST = 7, NODES = 3 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct axl_trace_record record(uint16_t node, uint8_t tile, uint8_t pipe, uint64_t begin, uint64_t end)
{
	return (struct axl_trace_record){
		.begin = begin, .end = end, .tag = (uint16_t)(FIRST + node), .tile = tile, .pipe = pipe};
}

static void expect(const struct axl_trace_record *records, size_t count, unsigned int tiles, const uint64_t *cycles)
{
	struct accel_node_stats nodes[NODES] = {{.cycles = 99}};

	runtime_node_cycles(records, count, tiles, FIRST, NODES, nodes);
	for (int n = 0; n < NODES; n++)
		if (nodes[n].cycles != cycles[n])
			fail_msg("node %d has %llu cycles, not %llu", n, (unsigned long long)nodes[n].cycles,
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
	expect(records, COUNT(records), 1, (uint64_t[]){20 + 10 + 10, 30 + 50, 0});
}

static void the_oldest_has_what_the_matrix_unit_leaves(void **state)
{
	const struct axl_trace_record records[] = {
		record(0, 0, AXL_PIPE_LOAD, 0, 40), record(1, 0, AXL_PIPE_VECTOR, 10, 60),
		record(2, 0, AXL_PIPE_STORE, 20, 50), /* in the shadow of the others */
		record(2, 0, AXL_PIPE_STORE, 80, 90), /* after cycles in which nothing ran */
	};

	(void)state;
	expect(records, COUNT(records), 1, (uint64_t[]){40, 20, 10});
}

static void tiles_share_a_cycle(void **state)
{
	const struct axl_trace_record records[] = {
		record(0, 0, AXL_PIPE_MATRIX, 0, 100), record(1, 1, AXL_PIPE_MATRIX, 0, 51),
		record(9, 1, AXL_PIPE_LOAD, 0, 200), /* a node of another region */
	};

	(void)state;
	expect(records, COUNT(records), 2, (uint64_t[]){50, 26, 0});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_matrix_unit_comes_first),
		cmocka_unit_test(the_oldest_has_what_the_matrix_unit_leaves),
		cmocka_unit_test(tiles_share_a_cycle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
