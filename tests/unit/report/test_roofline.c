/* SPDX-License-Identifier: MIT */
/* What a model has to do at least: figures worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/graph/passes.h"
#include "compiler/onnx/import.h"
#include "compiler/report/roofline.h"
#include "tests/unit/graph/model.h"

#define MOST 8

static const int64_t image[] = {1, 2, 8, 8}, weights[] = {4, 2, 3, 3};

/* x [1,2,8,8] through a 3x3 convolution to c [1,4,6,6]. */
static void conv(struct model *model)
{
	static const float w[72];

	model_init(model);
	model_input(model, "x", 1, 4, image);
	model_initializer(model, model_floats(model, "w", 4, weights, 72, w));
	model_node(model, "Conv", NAMES("x", "w"), NAMES("c"));
}

static void set_ints(struct model *model, Onnx__NodeProto *node, const char *name, int64_t a, int64_t b)
{
	Onnx__AttributeProto *attr = model_attribute(model, node, name, ATTR_INTS);

	attr->ints = model_alloc(model, 2 * sizeof(*attr->ints));
	attr->ints[0] = a;
	attr->ints[1] = b;
	attr->n_ints = 2;
}

/* All nodes on the device, as one region; @work of its nodes in order. */
static struct graph *count(struct model *model, uint32_t precision, struct roofline_work *work)
{
	struct graph *graph;
	char error[300];
	size_t size;
	uint8_t *bytes = model_pack(model, &size);

	if (onnx_import_bytes(bytes, size, NULL, &graph, error, sizeof(error)) ||
	    graph_infer(graph, 0, error, sizeof(error)))
		fail_msg("%s", error);
	assert_true(graph->num_nodes <= MOST);
	for (size_t n = 0; n < graph->num_nodes; n++) {
		graph->nodes[n]->placement = GRAPH_PLACE_NPU;
		graph->nodes[n]->region = 0;
	}
	assert_int_equal(roofline_count(graph, precision, work), 0);
	free(bytes);
	return graph;
}

static void a_product_needs_its_macs_and_its_border(void **state)
{
	struct roofline_work work[MOST];
	struct model model;

	(void)state;
	conv(&model);
	model_output(&model, "c");
	graph_destroy(count(&model, AXM_F16, work));
	model_finish(&model);
	assert_int_equal(work[0].macs, 4 * 6 * 6 * 2 * 3 * 3);
	assert_int_equal(work[0].mac_size, 2);
	assert_int_equal(work[0].vector_ops, 0);
	/* binary32 at the border, 16 bits inside */
	assert_int_equal(work[0].bytes, 128 * 4 + 72 * 2 + 144 * 4);
	assert_int_equal(work[0].operand_bytes, work[0].bytes);
}

static void an_activation_behind_a_product_is_free_and_elsewhere_is_not(void **state)
{
	struct roofline_work work[MOST];
	struct model model;

	(void)state;
	conv(&model);
	model_node(&model, "Relu", NAMES("c"), NAMES("r"));
	model_node(&model, "Exp", NAMES("r"), NAMES("e"));
	model_node(&model, "Relu", NAMES("e"), NAMES("y"));
	model_output(&model, "y");
	graph_destroy(count(&model, AXM_F16, work));
	model_finish(&model);
	assert_int_equal(work[1].vector_ops, 0);
	assert_int_equal(work[2].vector_ops, 144 * 4); /* exp takes four cycles */
	assert_int_equal(work[2].vector_size, 2);
	assert_int_equal(work[3].vector_ops, 144);
	/* Between nodes nothing is compulsory; alone a node has its operands to move. */
	assert_int_equal(work[2].bytes, 0);
	assert_int_equal(work[2].operand_bytes, 2 * 144 * 2);
	assert_int_equal(work[3].bytes, 144 * 4);
}

static void an_activation_that_shares_its_input_is_not_free(void **state)
{
	struct roofline_work work[MOST];
	struct model model;

	(void)state;
	conv(&model);
	model_node(&model, "Relu", NAMES("c"), NAMES("r"));
	model_output(&model, "r");
	model_output(&model, "c");
	graph_destroy(count(&model, AXM_F32, work));
	model_finish(&model);
	assert_int_equal(work[1].vector_ops, 144);
	assert_int_equal(work[1].vector_size, 4);
}

static void pools_are_counted_by_rows_and_columns_unless_the_drain_can(void **state)
{
	struct roofline_work work[MOST];
	struct model model;
	Onnx__NodeProto *node;

	(void)state;
	conv(&model);
	node = model_node(&model, "MaxPool", NAMES("c"), NAMES("p"));
	set_ints(&model, node, "kernel_shape", 2, 2);
	set_ints(&model, node, "strides", 2, 2);
	node = model_node(&model, "MaxPool", NAMES("p"), NAMES("y"));
	set_ints(&model, node, "kernel_shape", 3, 3);
	set_ints(&model, node, "strides", 1, 1);
	model_output(&model, "y");
	graph_destroy(count(&model, AXM_F32, work));
	model_finish(&model);
	assert_int_equal(work[1].vector_ops, 0);
	assert_int_equal(work[2].vector_ops, 4 * 1 * 1 * (3 + 3));
}

static void r_is_the_largest_bound(void **state)
{
	struct roofline roofline = {.cycles = {10, 30, 20}};
	enum roofline_bound bound;

	(void)state;
	assert_true(roofline_cycles(&roofline, &bound) == 30);
	assert_string_equal(roofline_bound_name(bound), "vector");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_product_needs_its_macs_and_its_border),
		cmocka_unit_test(an_activation_behind_a_product_is_free_and_elsewhere_is_not),
		cmocka_unit_test(an_activation_that_shares_its_input_is_not_free),
		cmocka_unit_test(pools_are_counted_by_rows_and_columns_unless_the_drain_can),
		cmocka_unit_test(r_is_the_largest_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
