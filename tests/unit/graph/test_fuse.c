/* SPDX-License-Identifier: MIT */
/*
 * Constants of each channel move into the convolution or normalization before them, a Relu in front of a concatenation, and they stay
 * where they can not.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/fuse/fuse.h"
#include "compiler/graph/passes.h"
#include "compiler/graph/execute.h"
#include "compiler/onnx/import.h"
#include "tests/unit/graph/model.h"

static const int64_t image[] = {1, 2, 3, 3}, weights[] = {2, 2, 1, 1}, two[] = {2}, per_channel[] = {2, 1, 1},
		     per_column[] = {1, 1, 3};
static const float w[] = {1, 2, 3, 4}, bias[] = {10, 20}, factor[] = {3, -2}, addend[] = {0.5f, 7}, ones[] = {1, 1, 1};

static struct graph *imported(struct model *model)
{
	struct graph *graph;
	char error[300];
	size_t size;
	uint8_t *bytes = model_pack(model, &size);

	if (onnx_import_bytes(bytes, size, NULL, &graph, error, sizeof(error)) ||
	    graph_infer(graph, 0, error, sizeof(error)))
		fail_msg("%s", error);
	free(bytes);
	return graph;
}

/* Imported, inferred, and every fusion run. */
static struct graph *fused(struct model *model)
{
	struct graph *graph = imported(model);
	char error[300];

	for (const struct fuse_pass *pass = fuse_passes; pass->name; pass++)
		assert_int_equal(pass->run(graph), 0);
	if (graph_validate(graph, error, sizeof(error)))
		fail_msg("%s", error);
	return graph;
}

static void conv(struct model *model)
{
	model_init(model);
	model_input(model, "x", 1, 4, image);
	model_initializer(model, model_floats(model, "w", 4, weights, 4, w));
	model_initializer(model, model_floats(model, "b", 1, two, 2, bias));
	model_initializer(model, model_floats(model, "factor", 3, per_channel, 2, factor));
	model_initializer(model, model_floats(model, "addend", 3, per_channel, 2, addend));
	model_initializer(model, model_floats(model, "columns", 3, per_column, 3, ones));
	model_initializer(model, model_floats(model, "gamma", 1, two, 2, factor));
	model_initializer(model, model_floats(model, "beta", 1, two, 2, addend));
	model_initializer(model, model_floats(model, "mean", 1, two, 2, (float[]){0, 0}));
	model_initializer(model, model_floats(model, "variance", 1, two, 2, (float[]){1, 1}));
}

static void a_factor_and_an_addend_go_into_the_convolution(void **state)
{
	struct model model;
	struct graph *graph;
	const float *got;

	(void)state;
	conv(&model);
	model_node(&model, "Conv", NAMES("x", "w", "b"), NAMES("c"));
	model_node(&model, "Mul", NAMES("c", "factor"), NAMES("m"));
	model_node(&model, "Add", NAMES("addend", "m"), NAMES("y"));
	model_output(&model, "y");
	graph = fused(&model);
	assert_int_equal(graph->num_nodes, 1);
	assert_string_equal(graph->outputs[0]->name, "y");
	got = graph->nodes[0]->inputs[1]->constant->data;
	for (int i = 0; i < 4; i++)
		assert_true(got[i] == w[i] * factor[i / 2]);
	got = graph->nodes[0]->inputs[2]->constant->data;
	for (int c = 0; c < 2; c++)
		assert_true(got[c] == bias[c] * factor[c] + addend[c]);
	graph_destroy(graph);
	model_finish(&model);
}

static void they_go_into_a_normalization_too(void **state)
{
	struct model model;
	struct graph *graph;

	(void)state;
	conv(&model);
	model_node(&model, "BatchNormalization", NAMES("x", "gamma", "beta", "mean", "variance"), NAMES("n"));
	model_node(&model, "Mul", NAMES("factor", "n"), NAMES("m"));
	model_node(&model, "Add", NAMES("m", "addend"), NAMES("y"));
	model_output(&model, "y");
	graph = fused(&model);
	assert_int_equal(graph->num_nodes, 1);
	/* With nothing before it the normalization then is a depthwise convolution of one tap. */
	assert_string_equal(graph->nodes[0]->op_type, "Conv");
	for (int c = 0; c < 2; c++) {
		float norm = 1 / sqrtf(1 + 1e-5f);
		float scale = ((float *)graph->nodes[0]->inputs[1]->constant->data)[c];
		float shift = ((float *)graph->nodes[0]->inputs[2]->constant->data)[c];

		assert_true(fabsf(scale - factor[c] * factor[c] * norm) < 1e-5f);
		assert_true(fabsf(shift - (addend[c] * factor[c] + addend[c])) < 1e-5f);
	}
	graph_destroy(graph);
	model_finish(&model);
}

static void what_is_not_of_a_channel_or_read_elsewhere_stays(void **state)
{
	struct model model;
	struct graph *graph;

	(void)state;
	/* One number a column, not a channel. */
	conv(&model);
	model_node(&model, "Conv", NAMES("x", "w", "b"), NAMES("c"));
	model_node(&model, "Mul", NAMES("c", "columns"), NAMES("y"));
	model_output(&model, "y");
	graph = fused(&model);
	assert_int_equal(graph->num_nodes, 2);
	graph_destroy(graph);
	model_finish(&model);

	/* The convolution's own result is wanted as well. */
	conv(&model);
	model_node(&model, "Conv", NAMES("x", "w", "b"), NAMES("c"));
	model_node(&model, "Mul", NAMES("c", "factor"), NAMES("y"));
	model_output(&model, "y");
	model_output(&model, "c");
	graph = fused(&model);
	assert_int_equal(graph->num_nodes, 2);
	graph_destroy(graph);
	model_finish(&model);

	/* A square is no factor. */
	conv(&model);
	model_node(&model, "Conv", NAMES("x", "w", "b"), NAMES("c"));
	model_node(&model, "Mul", NAMES("c", "c"), NAMES("y"));
	model_output(&model, "y");
	graph = fused(&model);
	assert_int_equal(graph->num_nodes, 2);
	graph_destroy(graph);
	model_finish(&model);
}

/* ---- a Relu behind a concatenation ---- */

static size_t count_of(const struct graph *graph, const char *op_type)
{
	size_t count = 0;

	for (size_t n = 0; n < graph->num_nodes; n++)
		count += !strcmp(graph->nodes[n]->op_type, op_type);
	return count;
}

/* What @graph, which goes, makes of one image: @count numbers. */
static void evaluate(struct graph *graph, size_t count, float *y)
{
	struct tensor *values = calloc(graph->num_values, sizeof(*values));
	float x[18];
	char error[300];

	for (int i = 0; i < 18; i++)
		x[i] = (float)(i * 7 % 18) - 9;
	assert_int_equal(tensor_init_view(&values[graph->inputs[0]->id], DTYPE_F32, 4, image, x, sizeof(x)), 0);
	for (size_t n = 0; n < graph->num_nodes; n++)
		if (graph_run_node(graph->nodes[n], values, NULL, error, sizeof(error)))
			fail_msg("%s", error);
	assert_int_equal(tensor_count(&values[graph->outputs[0]->id]), count);
	memcpy(y, values[graph->outputs[0]->id].data, count * sizeof(*y));
	for (size_t v = 0; v < graph->num_values; v++)
		tensor_finish(&values[v]);
	free(values);
	graph_destroy(graph);
}

/* c and d: convolutions' results; p: a pool's that is never negative, or with @negative may be. */
static void branches(struct model *model, bool negative)
{
	static const float other[] = {-1, 2, 1, -3};
	Onnx__NodeProto *pool;

	conv(model);
	model_initializer(model, model_floats(model, "other", 4, weights, 4, other));
	model_node(model, "Conv", NAMES("x", "w"), NAMES("c"));
	model_node(model, "Conv", NAMES("x", "other", "b"), NAMES("d"));
	model_node(model, negative ? "Neg" : "Relu", NAMES("x"), NAMES("r"));
	pool = model_node(model, "MaxPool", NAMES("r"), NAMES("p"));
	model_attribute(model, pool, "kernel_shape", 7)->n_ints = 2;
	pool->attribute[0]->ints = model_alloc(model, 2 * sizeof(int64_t));
	pool->attribute[0]->ints[0] = pool->attribute[0]->ints[1] = 1;
}

/* @left: how many Relus are nodes of their own in the end, that of branches() among them. */
static void concatenate(struct model *model, const char *const *parts, size_t channels, size_t left)
{
	Onnx__NodeProto *concat = model_node(model, "Concat", parts, NAMES("j"));
	float *before = calloc(channels * 18, sizeof(*before)), *after = before + channels * 9;
	struct graph *graph;

	assert_non_null(before);
	model_attribute(model, concat, "axis", 2)->has_i = 1;
	concat->attribute[0]->i = 1;
	model_node(model, "Relu", NAMES("j"), NAMES("y"));
	model_output(model, "y");
	evaluate(imported(model), channels * 9, before);
	graph = fused(model);
	assert_int_equal(count_of(graph, "Relu"), left);
	evaluate(graph, channels * 9, after);
	assert_memory_equal(before, after, channels * 9 * sizeof(*before));
	free(before);
	model_finish(model);
}

static void a_relu_goes_in_front_of_a_concatenation(void **state)
{
	struct model model;

	(void)state;
	branches(&model, false);
	concatenate(&model, NAMES("c", "p", "d"), 6, 1);
	/* Something is neither a convolution's nor known to need none. */
	branches(&model, true);
	concatenate(&model, NAMES("c", "p", "d"), 6, 1);
	branches(&model, false);
	concatenate(&model, NAMES("c", "x"), 4, 2);
	/* A convolution's own result is wanted as well. */
	branches(&model, false);
	concatenate(&model, NAMES("c", "c"), 4, 2);
	branches(&model, false);
	model_node(&model, "Neg", NAMES("c"), NAMES("n"));
	concatenate(&model, NAMES("c", "n", "d"), 6, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_factor_and_an_addend_go_into_the_convolution),
		cmocka_unit_test(they_go_into_a_normalization_too),
		cmocka_unit_test(what_is_not_of_a_channel_or_read_elsewhere_stays),
		cmocka_unit_test(a_relu_goes_in_front_of_a_concatenation),
	};

	return cmocka_run_group_tests_name("fuse", tests, NULL, NULL);
}
