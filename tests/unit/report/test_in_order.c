/* SPDX-License-Identifier: MIT */
/* The bound of layers that run one after the other: figures worked out by hand, memory of 10 bytes a cycle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <axl/axl_timing.h>

#include "compiler/report/in_order.h"
#include "compiler/report/roofline.h"

#define CYCLES(layers, window) in_order_cycles(layers, sizeof(layers) / sizeof((layers)[0]), 10, window)

static void no_layers_take_no_time(void **state)
{
	(void)state;
	assert_true(in_order_cycles(NULL, 0, 10, 100) == 0);
}

static void the_first_layer_waits_for_its_bytes(void **state)
{
	const struct in_order_layer layers[] = {{5, 100}};

	(void)state;
	assert_true(CYCLES(layers, 1000) == 10);
}

/* 50 cycles bring the other's 500 bytes: with room for them it waits for none, with room for 200 for 300. */
static void what_the_window_holds_comes_while_another_layer_computes(void **state)
{
	const struct in_order_layer layers[] = {{50, 0}, {5, 500}};

	(void)state;
	assert_true(CYCLES(layers, 1000) == 50 + 5);
	assert_true(CYCLES(layers, 200) == 50 + 30);
	assert_true(CYCLES(layers, 0) == 50 + 50);
}

/* In 20 cycles only 200 bytes come, whatever the window. */
static void nothing_comes_faster_than_memory(void **state)
{
	const struct in_order_layer layers[] = {{20, 0}, {5, 500}};

	(void)state;
	assert_true(CYCLES(layers, 1000) == 20 + 30);
}

/* The second layer uses 300 of 400 bytes, and its own 10 cycles bring 100 more: the third waits for 300 of 500. */
static void what_is_left_ahead_stays_for_the_next(void **state)
{
	const struct in_order_layer layers[] = {{40, 0}, {10, 300}, {1, 500}};

	(void)state;
	assert_true(CYCLES(layers, 400) == 40 + 10 + 30);
}

/* A layer that waits for memory leaves nothing ahead: the bytes of both are all there is. */
static void a_row_of_waiting_layers_takes_what_memory_takes(void **state)
{
	const struct in_order_layer layers[] = {{1, 300}, {1, 300}, {1, 300}};

	(void)state;
	assert_true(CYCLES(layers, 100) == 90);
}

/* ---- packages ---- */

#define WINDOW 65536

/* A convolution of 100,000 cycles, and a linear layer that needs a window of weights and 1,280,000 bytes, 10,000 cycles, more. */
struct package {
	struct axm_model model;
	struct axm_value value;
	struct axm_node nodes[2];
	struct axm_region regions[2];
	uint32_t ids[2];
	struct axm axm;
};

static void make_package(struct package *package, unsigned int regions)
{
	*package = (struct package){
		.model = {.tiles = 1, .spad_bytes = WINDOW, .dram_rate = 128},
		.nodes = {{.macs = 4096 * 100000ull, .mac_size = 1},
			  {.macs = 4096, .mac_size = 1, .bytes = WINDOW + 1280000, .region = regions - 1}},
		.regions = {{.device = 1, .num_nodes = 3 - regions}, {.device = 1, .first_node = 1, .num_nodes = 1}},
	};
	package->axm = (struct axm){.model = &package->model,
				    .values = &package->value,
				    .nodes = package->nodes,
				    .ids = package->ids,
				    .regions = package->regions,
				    .num_values = 1,
				    .num_regions = regions,
				    .num_nodes = 2,
				    .num_region_nodes = 2};
}

static void many_weights_behind_a_convolution_are_above_r(void **state)
{
	struct package package;
	struct roofline total;

	(void)state;
	make_package(&package, 1);
	roofline_of_package(&package.axm, &total);
	assert_true(roofline_cycles(&total, NULL) == 100001);
	assert_true(in_order_of_package(&package.axm) == 100000 + 10000);
	package.model.spad_bytes = WINDOW / 2; /* 256 cycles of it stay to be fetched */
	assert_true(in_order_of_package(&package.axm) == 100000 + 10000 + 256);
}

static void a_region_begins_with_nothing_ahead(void **state)
{
	struct package package;

	(void)state;
	make_package(&package, 2);
	assert_true(in_order_of_package(&package.axm) == 100000 + 512 + 10000);
}

/* What the linear layer's result takes need not have moved when the layer ends. */
static void an_output_may_leave_at_any_time(void **state)
{
	struct package package;

	(void)state;
	make_package(&package, 1);
	package.value = (struct axm_value){.dtype = DTYPE_S8, .rank = 1, .dims = {12800}, .flags = AXM_VALUE_OUTPUT};
	package.nodes[1].num_outputs = 1;
	package.nodes[1].bytes += 12800;
	package.regions[0].num_outputs = 1;
	assert_true(in_order_of_package(&package.axm) == 100000 + 10000);
	/* Between nodes of the region it would be none of the bytes that leave. */
	package.regions[0].num_outputs = 0;
	assert_true(in_order_of_package(&package.axm) == 100000 + 10000 + 100);
}

/* The vector unit may be at another layer than the array: what the two take is not added. */
static void units_are_counted_apart(void **state)
{
	struct package package;

	(void)state;
	make_package(&package, 1);
	package.nodes[1].vector_size = 4;
	package.nodes[1].vector_ops = 50000ull * (uint64_t)axl_vector_lanes(4, 1);
	assert_true(in_order_of_package(&package.axm) == 100000 + 10000);
}

static void it_is_never_below_r(void **state)
{
	struct package package;
	struct roofline total;

	(void)state;
	make_package(&package, 1);
	package.nodes[0].macs = 0;
	package.nodes[1].macs = 0;
	roofline_of_package(&package.axm, &total);
	assert_true(roofline_cycles(&total, NULL) == 512 + 10000);
	assert_true(in_order_of_package(&package.axm) == 512 + 10000);
	package.regions[0].device = 0; /* and nothing is bounded where nothing runs */
	assert_true(in_order_of_package(&package.axm) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_layers_take_no_time),
		cmocka_unit_test(the_first_layer_waits_for_its_bytes),
		cmocka_unit_test(what_the_window_holds_comes_while_another_layer_computes),
		cmocka_unit_test(nothing_comes_faster_than_memory),
		cmocka_unit_test(what_is_left_ahead_stays_for_the_next),
		cmocka_unit_test(a_row_of_waiting_layers_takes_what_memory_takes),
		cmocka_unit_test(many_weights_behind_a_convolution_are_above_r),
		cmocka_unit_test(a_region_begins_with_nothing_ahead),
		cmocka_unit_test(an_output_may_leave_at_any_time),
		cmocka_unit_test(units_are_counted_apart),
		cmocka_unit_test(it_is_never_below_r),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
