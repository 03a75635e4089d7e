/* SPDX-License-Identifier: MIT */
/* Chains of nodes that keep tensors in the scratchpad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "compiler/report/chains.h"

#define NODES 8

/* @kept: by node, until which its result is kept; 0: not at all */
static struct axm package(struct axm_node nodes[NODES], const uint32_t kept[NODES])
{
	for (int n = 0; n < NODES; n++)
		nodes[n] = (struct axm_node){.kept_until = kept[n], .region = n < 4 ? 0 : 1};
	return (struct axm){.nodes = nodes, .num_nodes = NODES, .num_region_nodes = NODES};
}

static void no_node_keeps_nothing_and_no_chain_is_found(void **state)
{
	static const uint32_t kept[NODES] = {0};
	struct axm_node nodes[NODES];
	struct axm axm = package(nodes, kept);
	struct chain chain;

	(void)state;
	assert_false(chain_next(&axm, 0, &chain));
}

/* 1 to 2 to 3 in a row; 5 until 7, with 6 beside it. */
static void chains_reach_to_the_last_reader(void **state)
{
	static const uint32_t kept[NODES] = {0, 2, 3, 0, 0, 7, 0, 0};
	struct axm_node nodes[NODES];
	struct axm axm = package(nodes, kept);
	struct chain chain;

	(void)state;
	assert_true(chain_next(&axm, 0, &chain));
	assert_int_equal(chain.region, 0);
	assert_int_equal(chain.first, 1);
	assert_int_equal(chain.count, 3);
	assert_true(chain_next(&axm, chain.first + chain.count, &chain));
	assert_int_equal(chain.region, 1);
	assert_int_equal(chain.first, 5);
	assert_int_equal(chain.count, 3);
	assert_false(chain_next(&axm, chain.first + chain.count, &chain));
}

/* What a node inside keeps for longer makes the chain longer, what the last one keeps, too. */
static void what_overlaps_is_one_chain(void **state)
{
	static const uint32_t kept[NODES] = {2, 3, 0, 5, 0, 6, 0, 0};
	struct axm_node nodes[NODES];
	struct axm axm = package(nodes, kept);
	struct chain chain;

	(void)state;
	assert_true(chain_next(&axm, 0, &chain));
	assert_int_equal(chain.first, 0);
	assert_int_equal(chain.count, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_node_keeps_nothing_and_no_chain_is_found),
		cmocka_unit_test(chains_reach_to_the_last_reader),
		cmocka_unit_test(what_overlaps_is_one_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
