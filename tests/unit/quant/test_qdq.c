/* SPDX-License-Identifier: MIT */
/*
 * QDQ patterns become integer operators where that gives the bits that ONNX defines, and stay where it would not.
 * The judge is a plain sum in 64 bits, rounded once as QLinearConv and QLinearMatMul say.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/fuse/fuse.h"
#include "compiler/graph/execute.h"
#include "compiler/graph/passes.h"
#include "compiler/onnx/import.h"
#include "tests/unit/graph/model.h"

#define CASES 600
#define MOST 4096

static uint64_t state_of_numbers;

static uint32_t next(uint32_t range)
{
	state_of_numbers = state_of_numbers * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state_of_numbers >> 33) % range;
}

static void add_bytes(struct model *model, const char *name, enum dtype type, size_t rank, const int64_t *dims,
		      size_t size, const void *data)
{
	Onnx__TensorProto *tensor = model_floats(model, name, rank, dims, 0, NULL);

	tensor->data_type = (int32_t)type;
	tensor->has_raw_data = 1;
	tensor->raw_data.len = size;
	tensor->raw_data.data = model_alloc(model, size);
	memcpy(tensor->raw_data.data, data, size);
	model_initializer(model, tensor);
}

static void add_number(struct model *model, const char *name, float x)
{
	model_initializer(model, model_floats(model, name, 0, NULL, 1, &x));
}

static void add_byte(struct model *model, const char *name, enum dtype type, int x)
{
	int8_t byte = (int8_t)x;

	add_bytes(model, name, type, 0, NULL, 1, &byte);
}

static struct graph *fused(struct model *model)
{
	struct graph *graph;
	char error[300];
	size_t size;
	uint8_t *bytes = model_pack(model, &size);

	if (onnx_import_bytes(bytes, size, NULL, &graph, error, sizeof(error)) ||
	    graph_infer(graph, 0, error, sizeof(error)) || fuse_qdq(graph) || graph_fold_constants(graph) ||
	    graph_validate(graph, error, sizeof(error)))
		fail_msg("%s", error);
	free(bytes);
	return graph;
}

static size_t count_of(const struct graph *graph, const char *op_type)
{
	size_t count = 0;

	for (size_t n = 0; n < graph->num_nodes; n++)
		count += !strcmp(graph->nodes[n]->op_type, op_type);
	return count;
}

/* ---- random products ---- */

struct product {
	bool gemm, is_signed, per_channel, has_bias, relu;
	int64_t m, k, n;
	float x_scale, y_scale, w_scale[8], sum_scale[8];
	int x_zero, y_zero;
	int8_t x[MOST], w[MOST];
	int32_t bias[8];
};

static void make_product(struct product *p)
{
	p->gemm = next(2);
	p->is_signed = next(2);
	p->per_channel = next(2);
	p->has_bias = p->gemm && next(2);
	p->relu = next(2);
	p->m = 1 + next(6);
	p->k = 1 + next(60);
	p->n = 1 + next(8);
	p->x_scale = (float)(1 + next(1000)) / 4096;
	p->x_zero = (int)next(256) - (p->is_signed ? 128 : 0);
	p->y_zero = p->relu ? p->is_signed ? -128 : 0 : (int)next(256) - (p->is_signed ? 128 : 0);
	p->y_scale = (float)(1 + next(1000)) / 50 * sqrtf((float)p->k);
	for (int i = 0; i < 8; i++) {
		p->w_scale[i] = (float)(1 + next(1000)) / 4096;
		p->sum_scale[i] = p->x_scale * p->w_scale[p->per_channel ? i : 0];
		p->bias[i] = (int32_t)next(20000) - 10000;
	}
	for (int64_t i = 0; i < p->m * p->k; i++)
		p->x[i] = (int8_t)next(256);
	for (int64_t i = 0; i < p->k * p->n; i++)
		p->w[i] = (int8_t)next(256);
}

static void product_model(struct model *model, const struct product *p)
{
	const enum dtype type = p->is_signed ? DTYPE_S8 : DTYPE_U8;
	const int64_t x_dims[] = {p->m, p->k}, w_dims[] = {p->k, p->n}, n_dims[] = {p->n};
	static const int8_t zeros[8];
	Onnx__NodeProto *weights;

	model_init(model);
	model_input(model, "x", (int)type, 2, x_dims);
	add_bytes(model, "w", DTYPE_S8, 2, w_dims, (size_t)(p->k * p->n), p->w);
	add_bytes(model, "b", DTYPE_S32, 1, n_dims, (size_t)p->n * 4, p->bias);
	add_number(model, "xs", p->x_scale);
	add_byte(model, "xz", type, p->x_zero);
	add_number(model, "ys", p->y_scale);
	add_byte(model, "yz", type, p->y_zero);
	model_initializer(model, model_floats(model, "ws", p->per_channel, n_dims, p->per_channel ? (size_t)p->n : 1,
					      p->w_scale));
	add_bytes(model, "wz", DTYPE_S8, p->per_channel, n_dims, p->per_channel ? (size_t)p->n : 1, zeros);
	model_initializer(model, model_floats(model, "bs", 1, n_dims, (size_t)p->n, p->sum_scale));
	model_node(model, "DequantizeLinear", NAMES("x", "xs", "xz"), NAMES("xf"));
	weights = model_node(model, "DequantizeLinear", NAMES("w", "ws", "wz"), NAMES("wf"));
	model_attribute(model, weights, "axis", ATTR_INT)->has_i = 1;
	weights->attribute[0]->i = 1;
	if (p->has_bias) {
		Onnx__NodeProto *bias = model_node(model, "DequantizeLinear", NAMES("b", "bs"), NAMES("bf"));

		model_attribute(model, bias, "axis", ATTR_INT)->has_i = 1;
		bias->attribute[0]->i = 0;
		model_node(model, "Gemm", NAMES("xf", "wf", "bf"), NAMES("f"));
	} else {
		model_node(model, p->gemm ? "Gemm" : "MatMul", NAMES("xf", "wf"), NAMES("f"));
	}
	if (p->relu)
		model_node(model, "Relu", NAMES("f"), NAMES("r"));
	model_node(model, "QuantizeLinear", NAMES(p->relu ? "r" : "f", "ys", "yz"), NAMES("y"));
	model_output(model, "y");
}

static int expected_byte(const struct product *p, int64_t row, int64_t column)
{
	int64_t sum = p->has_bias ? p->bias[column] : 0;
	float multiplier = p->sum_scale[column] / p->y_scale, q;
	int low = p->is_signed ? -128 : 0;

	for (int64_t k = 0; k < p->k; k++) {
		int x = p->x[row * p->k + k];

		sum += ((p->is_signed ? x : (uint8_t)x) - p->x_zero) * p->w[k * p->n + column];
	}
	q = nearbyintf((float)sum * multiplier) + (float)p->y_zero;
	return q < (float)low ? low : q > (float)(low + 255) ? low + 255 : (int)q;
}

static void random_products_have_the_bits_that_onnx_defines(void **state)
{
	static struct product p;

	(void)state;
	for (uint64_t seed = 1; seed <= CASES; seed++) {
		struct tensor *values;
		struct model model;
		struct graph *graph;
		char error[300];

		state_of_numbers = seed;
		make_product(&p);
		product_model(&model, &p);
		graph = fused(&model);
		assert_int_equal(graph->num_nodes, 1);
		assert_string_equal(graph->nodes[0]->op_type, p.gemm ? "QGemm" : "QLinearMatMul");
		values = calloc(graph->num_values, sizeof(*values));
		assert_int_equal(tensor_init_view(&values[graph->inputs[0]->id], p.is_signed ? DTYPE_S8 : DTYPE_U8, 2,
						  (int64_t[]){p.m, p.k}, p.x, sizeof(p.x)),
				 0);
		assert_int_equal(graph_run_node(graph->nodes[0], values, NULL, error, sizeof(error)), 0);
		for (int64_t i = 0; i < p.m * p.n; i++) {
			const int8_t *y = values[graph->outputs[0]->id].data;
			int got = p.is_signed ? y[i] : (uint8_t)y[i], want = expected_byte(&p, i / p.n, i % p.n);

			if (got != want)
				fail_msg("seed %d, element %d: %d instead of %d", (int)seed, (int)i, got, want);
		}
		tensor_finish(&values[graph->outputs[0]->id]);
		free(values);
		graph_destroy(graph);
		model_finish(&model);
	}
}

/* ---- what does not fit stays ---- */

static const int64_t image[] = {1, 2, 4, 4}, kernel[] = {2, 2, 1, 1}, channels[] = {2};

/* x -> DequantizeLinear xf; w, b ready; scales xs = 0.5, ws = 0.25, ys = 2. */
static void conv_model(struct model *model, float bias_scale)
{
	model_init(model);
	model_input(model, "x", DTYPE_U8, 4, image);
	add_bytes(model, "w", DTYPE_S8, 4, kernel, 4, (int8_t[]){1, -2, 3, 4});
	add_bytes(model, "b", DTYPE_S32, 1, channels, 8, (int32_t[]){5, -6});
	model_initializer(model, model_floats(model, "float_bias", 1, channels, 2, (float[]){1, 2}));
	add_number(model, "xs", 0.5f);
	add_byte(model, "xz", DTYPE_U8, 7);
	add_number(model, "ws", 0.25f);
	add_number(model, "bs", bias_scale);
	add_number(model, "ys", 2);
	add_byte(model, "yz", DTYPE_U8, 0);
	add_byte(model, "middle", DTYPE_U8, 100);
	model_node(model, "DequantizeLinear", NAMES("x", "xs", "xz"), NAMES("xf"));
	model_node(model, "DequantizeLinear", NAMES("w", "ws"), NAMES("wf"));
	model_node(model, "DequantizeLinear", NAMES("b", "bs"), NAMES("bf"));
}

static void expect(struct model *model, const char *op_type, size_t count)
{
	struct graph *graph;

	model_output(model, "y");
	graph = fused(model);
	assert_int_equal(count_of(graph, op_type), count);
	graph_destroy(graph);
	model_finish(model);
}

static void a_bias_must_be_at_the_scale_of_the_sums(void **state)
{
	struct model model;

	(void)state;
	conv_model(&model, 0.125f);
	model_node(&model, "Conv", NAMES("xf", "wf", "bf"), NAMES("f"));
	model_node(&model, "QuantizeLinear", NAMES("f", "ys", "yz"), NAMES("y"));
	expect(&model, "QLinearConv", 1);
	conv_model(&model, 0.126f);
	model_node(&model, "Conv", NAMES("xf", "wf", "bf"), NAMES("f"));
	model_node(&model, "QuantizeLinear", NAMES("f", "ys", "yz"), NAMES("y"));
	expect(&model, "QLinearConv", 0);
	conv_model(&model, 0.125f);
	model_node(&model, "Conv", NAMES("xf", "wf", "float_bias"), NAMES("f"));
	model_node(&model, "QuantizeLinear", NAMES("f", "ys", "yz"), NAMES("y"));
	expect(&model, "QLinearConv", 0);
}

static void a_relu_goes_where_saturation_does_its_work(void **state)
{
	struct model model;

	(void)state;
	conv_model(&model, 0.125f);
	model_node(&model, "Conv", NAMES("xf", "wf"), NAMES("f"));
	model_node(&model, "Relu", NAMES("f"), NAMES("r"));
	model_node(&model, "QuantizeLinear", NAMES("r", "ys", "yz"), NAMES("y"));
	expect(&model, "Relu", 0);
	conv_model(&model, 0.125f);
	model_node(&model, "Conv", NAMES("xf", "wf"), NAMES("f"));
	model_node(&model, "Relu", NAMES("f"), NAMES("r"));
	model_node(&model, "QuantizeLinear", NAMES("r", "ys", "middle"), NAMES("y"));
	expect(&model, "Relu", 0); /* the convolution's own */
	conv_model(&model, 0.125f);
	model_node(&model, "Add", NAMES("xf", "xf"), NAMES("f"));
	model_node(&model, "Relu", NAMES("f"), NAMES("r"));
	model_node(&model, "QuantizeLinear", NAMES("r", "ys", "middle"), NAMES("y"));
	expect(&model, "Relu", 1);
}

static void a_float_reader_keeps_the_float_operator(void **state)
{
	struct model model;

	(void)state;
	conv_model(&model, 0.125f);
	model_node(&model, "Conv", NAMES("xf", "wf"), NAMES("f"));
	model_node(&model, "QuantizeLinear", NAMES("f", "ys", "yz"), NAMES("y"));
	model_node(&model, "Exp", NAMES("f"), NAMES("e"));
	model_output(&model, "e");
	expect(&model, "QLinearConv", 0);
}

static void bytes_move_where_both_grids_are_the_same(void **state)
{
	struct model model;

	(void)state;
	for (int same = 0; same < 2; same++) {
		conv_model(&model, 0.125f);
		model_node(&model, "Transpose", NAMES("xf"), NAMES("f"));
		model_node(&model, "QuantizeLinear", NAMES("f", same ? "xs" : "ys", "xz"), NAMES("y"));
		expect(&model, "DequantizeLinear", same ? 0 : 1);
	}
}

static void quantized_weights_that_nobody_can_use_become_floats(void **state)
{
	struct model model;

	(void)state;
	conv_model(&model, 0.125f);
	model_node(&model, "Conv", NAMES("xf", "wf", "bf"), NAMES("y"));
	expect(&model, "DequantizeLinear", 1); /* that of x; the weights' are folded */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_products_have_the_bits_that_onnx_defines),
		cmocka_unit_test(a_bias_must_be_at_the_scale_of_the_sums),
		cmocka_unit_test(a_relu_goes_where_saturation_does_its_work),
		cmocka_unit_test(a_float_reader_keeps_the_float_operator),
		cmocka_unit_test(bytes_move_where_both_grids_are_the_same),
		cmocka_unit_test(quantized_weights_that_nobody_can_use_become_floats),
	};

	return cmocka_run_group_tests_name("qdq", tests, NULL, NULL);
}
