/* SPDX-License-Identifier: MIT */
/*
 * Constant folding: weights that are stored in narrow types become float32 constants while the model is compiled, so that what
 * reads them can run on the device.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/graph/passes.h"
#include "compiler/onnx/import.h"
#include "tests/unit/graph/model.h"

static const int64_t input[] = {2, 4}, weights[] = {4, 3}, blocks[] = {2, 3};

static struct graph *inferred(struct model *model)
{
	struct graph *graph;
	char error[300];
	size_t size;
	uint8_t *bytes = model_pack(model, &size);

	if (onnx_import_bytes(bytes, size, NULL, &graph, error, sizeof(error)) ||
	    graph_infer(graph, 0, error, sizeof(error)))
		fail_msg("%s", error);
	if (graph_validate(graph, error, sizeof(error)))
		fail_msg("%s", error);
	free(bytes);
	return graph;
}

/* An initializer in int32_data: packed elements of four bits, or codes of eight. */
static void narrow_initializer(struct model *model, const char *name, int type, size_t rank, const int64_t *dims,
			       size_t count, const int32_t *entries)
{
	Onnx__TensorProto *tensor = model_floats(model, name, rank, dims, 0, NULL);

	tensor->data_type = type;
	tensor->n_int32_data = count;
	tensor->int32_data = model_alloc(model, count * sizeof(*entries));
	memcpy(tensor->int32_data, entries, count * sizeof(*entries));
	model_initializer(model, tensor);
}

static void start(struct model *model)
{
	model_init(model);
	model->proto.ir_version = 13;
	model->proto.opset_import[0]->version = 25;
	model_input(model, "x", 1, 2, input);
}

/* The one node that is left multiplies by @expected. */
static void multiplies_by(struct model *model, const float *expected)
{
	struct graph *graph;

	model_output(model, "y");
	graph = inferred(model);
	assert_int_equal(graph_fold_constants(graph), 0);
	assert_int_equal(graph->num_nodes, 1);
	assert_string_equal(graph->nodes[0]->op_type, "MatMul");
	assert_non_null(graph->nodes[0]->inputs[1]->constant);
	assert_int_equal(graph->nodes[0]->inputs[1]->constant->dtype, DTYPE_F32);
	assert_memory_equal(graph->nodes[0]->inputs[1]->constant->data, expected, 12 * sizeof(*expected));
	graph_destroy(graph);
	model_finish(model);
}

static void four_bit_weights_in_blocks(void **state)
{
	static const int32_t packed[] = {0x21, 0x43, 0x65, 0x87, 0xa9, 0xcb}; /* 1 to 7, then -8 to -4 */
	static const float scales[] = {1, 2, 3, 0.5f, 0.25f, 4};
	static const int elements[] = {1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4};
	struct model model;
	Onnx__NodeProto *node;
	float expected[12];

	(void)state;
	for (int i = 0; i < 12; i++)
		expected[i] = (float)elements[i] * scales[i / 6 * 3 + i % 3];
	start(&model);
	narrow_initializer(&model, "w", DTYPE_S4, 2, weights, 6, packed);
	model_initializer(&model, model_floats(&model, "s", 2, blocks, 6, scales));
	node = model_node(&model, "DequantizeLinear", NAMES("w", "s"), NAMES("f"));
	model_attribute(&model, node, "axis", ATTR_INT)->has_i = 1;
	node->attribute[0]->i = 0;
	model_attribute(&model, node, "block_size", ATTR_INT)->has_i = 1;
	node->attribute[1]->i = 2;
	model_node(&model, "MatMul", NAMES("x", "f"), NAMES("y"));
	multiplies_by(&model, expected);
}

static void eight_bit_floats(void **state)
{
	/* float8_e4m3fn: 1, 2, 0.5, -1, 448, 2^-9, 0, -0, 1.125, 240, -448, 16 */
	static const int32_t codes[] = {0x38, 0x40, 0x30, 0xb8, 0x7e, 0x01, 0x00, 0x80, 0x39, 0x77, 0xfe, 0x58};
	static const float expected[] = {1, 2, 0.5f, -1, 448, 0x1p-9f, 0, -0.0f, 1.125f, 240, -448, 16};
	struct model model;
	Onnx__NodeProto *node;

	(void)state;
	start(&model);
	narrow_initializer(&model, "w", DTYPE_F8E4M3FN, 2, weights, 12, codes);
	node = model_node(&model, "Cast", NAMES("w"), NAMES("f"));
	model_attribute(&model, node, "to", ATTR_INT)->has_i = 1;
	node->attribute[0]->i = DTYPE_F32;
	model_node(&model, "MatMul", NAMES("x", "f"), NAMES("y"));
	multiplies_by(&model, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(four_bit_weights_in_blocks),
		cmocka_unit_test(eight_bit_floats),
	};

	return cmocka_run_group_tests_name("fold", tests, NULL, NULL);
}
