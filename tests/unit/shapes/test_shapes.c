/* SPDX-License-Identifier: MIT */
/*
 * Every operator compiles in every shape: the verifier passes what comes out, and the estimate ends. How long that takes is
 * tests/bench/operator_shapes.c.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/package/axm.h"
#include "tests/unit/shapes/shapes.h"

/* Of the shapes, how many may be left to the CPU: operands that the device's index ranges or scratchpad do not hold. */
#define MOST_ON_CPU(count) ((count) / 15)

static unsigned int number(const char *name, unsigned int otherwise)
{
	return getenv(name) ? (unsigned int)strtoul(getenv(name), NULL, 10) : otherwise;
}

/* Whether all of the case's nodes are on the device, with an estimate. */
static bool compiled(struct shape_case *shape, uint32_t seed)
{
	struct compile_result result;
	char error[512] = "";
	struct axm axm;
	uint64_t cycles = 0;
	bool device;

	if (shape_case_compile(shape, &result, error, sizeof(error)))
		fail_msg("AXL_TEST_SEED=%u AXL_TEST_ROUNDS=1: %s: %s", seed, shape->text, error);
	if (axm_open_bytes(result.bytes, result.size, &axm, error, sizeof(error)))
		fail_msg("AXL_TEST_SEED=%u AXL_TEST_ROUNDS=1: %s: %s", seed, shape->text, error);
	for (uint32_t r = 0; r < axm.num_regions; r++)
		if (axm.regions[r].device) {
			assert_true(axm.regions[r].cycles > 0);
			cycles += axm.regions[r].cycles;
		}
	device = cycles && !result.cpu_nodes;
	if (!device && getenv("AXL_TEST_VERBOSE"))
		for (uint32_t n = 0; n < axm.num_nodes; n++)
			if (!axm.regions[axm.nodes[n].region].device)
				print_message("%s: %s: %s\n", shape->text, axm_string(&axm, axm.nodes[n].op_type),
					      axm_string(&axm, axm.nodes[n].reason));
	axm_close(&axm);
	compile_result_finish(&result);
	return device;
}

static void random_shapes_compile_for_the_device(void **state)
{
	unsigned int first = number("AXL_TEST_SEED", 1), count = number("AXL_TEST_ROUNDS", 300), on_cpu = 0;

	(void)state;
	for (uint32_t seed = first; seed < first + count; seed++) {
		struct shape_case *shape = malloc(sizeof(*shape));

		assert_non_null(shape);
		shape_case_make(shape, seed);
		on_cpu += !compiled(shape, seed);
		model_finish(&shape->model);
		free(shape);
	}
	print_message("%u of %u shapes on the device\n", count - on_cpu, count);
	if (count > 1 && on_cpu > MOST_ON_CPU(count))
		fail_msg("%u of %u shapes were left to the CPU; AXL_TEST_VERBOSE=1 says why", on_cpu, count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_shapes_compile_for_the_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
