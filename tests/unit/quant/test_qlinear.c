/* SPDX-License-Identifier: MIT */
/*
 * The quantized operators of com.microsoft on the device, race-checked, on one tile and four: for random shapes, types, scales and
 * zero points the bytes of the CPU's kernels, and no node on the CPU.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/control/body.h"

#define ERROR_SIZE 512
#define TRIALS 8 /* of each operator; a trial is three sessions */
#define MAX_INPUTS 4
#define MAX_NAMES 16

enum { UINT8 = 2, INT8 = 3, INT32 = 6 }; /* element types */

#define ATTR_FLOAT 1

/* A model of one operator under construction. */
struct trial {
	struct model model;
	uint64_t random;
	int type; /* of all bytes */
	unsigned int constants;
	size_t num_inputs, num_names;
	struct accel_tensor inputs[MAX_INPUTS];
	char names[MAX_NAMES][8];
};

static uint32_t below(struct trial *trial, uint32_t bound)
{
	trial->random = trial->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((trial->random >> 32) % bound);
}

static const char *new_name(struct trial *trial, char kind)
{
	assert_true(trial->num_names < MAX_NAMES);
	snprintf(trial->names[trial->num_names], sizeof(trial->names[0]), "%c%zu", kind, trial->num_names);
	return trial->names[trial->num_names++];
}

static void input(struct trial *trial, int rank, const int64_t *dims)
{
	struct accel_tensor *x = &trial->inputs[trial->num_inputs++];
	const char *name = new_name(trial, 'x');
	uint32_t middle = below(trial, 256), spread = 1 + below(trial, 256);

	assert_true(trial->num_inputs <= MAX_INPUTS);
	*x = (struct accel_tensor){.dtype = trial->type, .rank = rank, .size = 1};
	for (int d = 0; d < rank; d++) {
		x->dims[d] = dims[d];
		x->size *= (size_t)dims[d];
	}
	x->data = malloc(x->size);
	assert_non_null(x->data);
	for (size_t i = 0; i < x->size; i++)
		((uint8_t *)x->data)[i] = (uint8_t)(middle + below(trial, spread));
	model_input(&trial->model, name, trial->type, (size_t)rank, dims);
}

static void constant(struct trial *trial, int type, size_t rank, const int64_t *dims, size_t size, const void *data)
{
	Onnx__TensorProto *tensor = model_floats(&trial->model, new_name(trial, 'c'), rank, dims, 0, NULL);

	tensor->data_type = type;
	tensor->has_raw_data = 1;
	tensor->raw_data.len = size;
	tensor->raw_data.data = model_alloc(&trial->model, size);
	memcpy(tensor->raw_data.data, data, size);
	model_initializer(&trial->model, tensor);
}

/* A scale from 2^low to 2^high, and a zero point. */
static void grid(struct trial *trial, int low, int high)
{
	float scale = exp2f((float)low + (float)(high - low) * (float)below(trial, 10000) / 10000);
	uint8_t zero = (uint8_t)below(trial, 256);

	constant(trial, FLOAT, 0, NULL, sizeof(scale), &scale);
	constant(trial, trial->type, 0, NULL, 1, &zero);
}

static Onnx__NodeProto *operator(struct trial *trial, const char *op_type)
{
	static char domain[] = "com.microsoft";
	const char *names[MAX_NAMES + 1] = {NULL};
	Onnx__NodeProto *node;

	for (size_t i = 0; i < trial->num_names; i++)
		names[i] = trial->names[i];
	node = model_node(&trial->model, op_type, names, NAMES("y"));
	node->domain = domain;
	model_output(&trial->model, "y");
	return node;
}

static void begin(struct trial *trial, uint32_t seed)
{
	*trial = (struct trial){.random = seed};
	below(trial, 1);
	trial->type = below(trial, 2) ? UINT8 : INT8;
	model_init(&trial->model);
	model_opset(&trial->model, "com.microsoft", 1);
}

/* The output, malloc'ed, of @device. @disable: passes to leave out. */
static uint8_t *run(struct trial *trial, const char *path, const char *device, const char *disable, size_t *size)
{
	struct accel_session_options options = {
		.device = device, .threads = 1, .precision = ACCEL_F32, .disable = disable};
	struct accel_session *session = NULL;
	struct accel_run_stats stats;
	struct accel_tensor output = {0};
	char error[ERROR_SIZE] = "";
	uint8_t *copy;

	if (accel_session_create(path, &options, &session, error, sizeof(error)) ||
	    accel_session_run(session, trial->inputs, trial->num_inputs, &output, 1, error, sizeof(error)))
		fail_msg("%s: %s", device, error);
	assert_int_equal(accel_session_stats(session, &stats), 0);
	assert_true(stats.num_nodes > 0);
	for (size_t i = 0; i < stats.num_nodes && strcmp(device, "cpu"); i++)
		if (!stats.nodes[i].device)
			fail_msg("%s: %s is on the CPU: %s", device, stats.nodes[i].op_type, stats.nodes[i].reason);
	copy = malloc(output.size);
	assert_non_null(copy);
	memcpy(copy, output.data, output.size);
	*size = output.size;
	accel_session_destroy(session);
	return copy;
}

/* What the CPU gives without the passes @disable is what everybody gives. */
static void finish_as(struct trial *trial, const char *what, uint32_t seed, const char *disable)
{
	static const char *const devices[] = {"cpu", "sim:target=axl-edge,race-check=1",
					      "sim:target=axl-pro,race-check=1"};
	const char *path = body_file(&trial->model);
	size_t expected_size, size;
	uint8_t *expected = run(trial, path, "cpu", disable, &expected_size);

	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		uint8_t *got = run(trial, path, devices[i], "placement", &size);

		assert_int_equal(size, expected_size);
		for (size_t k = 0; k < size; k++)
			if (got[k] != expected[k])
				fail_msg("%s, seed %u, %s: byte %zu of %zu is %u, should be %u", what, seed, devices[i],
					 k, size, got[k], expected[k]);
		free(got);
	}
	free(expected);
	for (size_t i = 0; i < trial->num_inputs; i++)
		free(trial->inputs[i].data);
	model_finish(&trial->model);
}

static void finish(struct trial *trial, const char *what, uint32_t seed)
{
	finish_as(trial, what, seed, "placement");
}

/* A shape of one to five dimensions, some of them large. */
static int random_shape(struct trial *trial, int64_t *dims)
{
	int rank = 1 + (int)below(trial, 5);

	for (int d = 0; d < rank; d++)
		dims[d] = 1 + below(trial, 9);
	if (!below(trial, 3))
		dims[below(trial, (uint32_t)rank)] *= 1 + below(trial, 40);
	return rank;
}

static void functions_of_a_byte(void **unused)
{
	static const char *const names[] = {"QLinearSigmoid", "QLinearLeakyRelu"};

	(void)unused;
	for (uint32_t seed = 0; seed < 2 * TRIALS; seed++) {
		bool leaky = seed % 2;
		int64_t dims[5];
		struct trial trial;
		int rank;

		begin(&trial, seed);
		rank = random_shape(&trial, dims);
		input(&trial, rank, dims);
		grid(&trial, -6, -2);
		grid(&trial, leaky ? -6 : -8, leaky ? -2 : -7);
		operator(&trial, names[leaky]);
		finish(&trial, names[leaky], seed);
	}
}

static void softmax(void **unused)
{
	(void)unused;
	for (uint32_t seed = 100; seed < 100 + 2 * TRIALS; seed++) {
		bool one_axis = below(&(struct trial){.random = seed}, 2);
		int64_t dims[5];
		Onnx__NodeProto *node;
		struct trial trial;
		int rank;

		begin(&trial, seed);
		rank = random_shape(&trial, dims);
		if (!one_axis)
			for (int d = 1; d < rank - 1; d++)
				dims[d] = 1; /* lines of one dimension, see softmax_supports() */
		input(&trial, rank, dims);
		grid(&trial, -8, -1);
		grid(&trial, -9, -7);
		node = operator(&trial, "QLinearSoftmax");
		body_int(&trial.model, node, "opset", one_axis ? 13 : 11);
		body_int(&trial.model, node, "axis",
			 one_axis ? (int64_t)below(&trial, 2 * (uint32_t)rank) - rank : rank > 1);
		finish(&trial, "QLinearSoftmax", seed);
	}
}

static void concatenations(void **unused)
{
	(void)unused;
	for (uint32_t seed = 200; seed < 200 + TRIALS; seed++) {
		int64_t dims[5];
		struct trial trial;
		Onnx__NodeProto *node;
		int rank, axis;

		begin(&trial, seed);
		rank = random_shape(&trial, dims);
		axis = (int)below(&trial, (uint32_t)rank);
		grid(&trial, -5, -3);
		for (uint32_t parts = 1 + below(&trial, 4); parts; parts--) {
			dims[axis] = 1 + below(&trial, 30);
			input(&trial, rank, dims);
			grid(&trial, -5, -3);
		}
		node = operator(&trial, "QLinearConcat");
		body_int(&trial.model, node, "axis", axis - (below(&trial, 2) ? rank : 0));
		finish(&trial, "QLinearConcat", seed);
	}
}

static void averages(void **unused)
{
	(void)unused;
	for (uint32_t seed = 300; seed < 300 + 2 * TRIALS; seed++) {
		struct trial trial;
		int64_t kernel[2], dims[4], pads[4];
		Onnx__NodeProto *node;

		begin(&trial, seed);
		dims[0] = 1 + below(&trial, 2);
		dims[1] = 1 + below(&trial, 40);
		for (int i = 0; i < 2; i++) {
			kernel[i] = 1 + below(&trial, 4);
			dims[2 + i] = kernel[i] + below(&trial, 12);
			pads[i] = below(&trial, (uint32_t)kernel[i]);
			pads[2 + i] = below(&trial, (uint32_t)kernel[i]);
		}
		input(&trial, 4, dims);
		grid(&trial, -6, -2);
		grid(&trial, -6, -2);
		if (!below(&trial, 4)) {
			operator(&trial, "QLinearGlobalAveragePool");
		} else {
			node = operator(&trial, "QLinearAveragePool");
			body_ints(&trial.model, node, "kernel_shape", 2, kernel);
			body_ints(&trial.model, node, "pads", 4, pads);
			body_ints(&trial.model, node, "strides", 2, DIMS(1 + below(&trial, 3), 1 + below(&trial, 3)));
			body_int(&trial.model, node, "count_include_pad", below(&trial, 2));
			body_int(&trial.model, node, "ceil_mode", below(&trial, 2));
		}
		finish(&trial, "average", seed);
	}
}

static void binary_operators(void **unused)
{
	static const char *const names[] = {"QLinearAdd", "QLinearMul"};

	(void)unused;
	for (uint32_t seed = 400; seed < 400 + TRIALS; seed++) {
		int64_t dims[5];
		struct trial trial;
		int rank;

		begin(&trial, seed);
		rank = random_shape(&trial, dims);
		input(&trial, rank, dims);
		grid(&trial, -6, -2);
		for (int d = 0; d < rank; d++)
			dims[d] = below(&trial, 4) ? dims[d] : 1;
		input(&trial, rank, dims);
		grid(&trial, -6, -2);
		grid(&trial, -6, -2);
		operator(&trial, names[seed % 2]);
		finish(&trial, names[seed % 2], seed);
	}
}

/* transA, transB, alpha, a scale a column, with and without C; bytes, or floats where no output scale is given. */
static void products(void **unused)
{
	(void)unused;
	for (uint32_t seed = 500; seed < 500 + 3 * TRIALS; seed++) {
		struct trial trial;
		int64_t m, k, n, count;
		bool trans_a, trans_b, by_column, has_c;
		Onnx__AttributeProto *alpha;
		Onnx__NodeProto *node;
		int8_t weights[40 * 40], zero = 0;
		float scales[40];
		int32_t bias[40];

		begin(&trial, seed);
		m = 1 + below(&trial, 12);
		k = 1 + below(&trial, 40);
		n = 1 + below(&trial, 40);
		trans_a = below(&trial, 2);
		trans_b = below(&trial, 2);
		by_column = below(&trial, 2);
		has_c = below(&trial, 2);
		input(&trial, 2, trans_a ? DIMS(k, m) : DIMS(m, k));
		grid(&trial, -6, -2);
		for (int64_t i = 0; i < k * n; i++)
			weights[i] = (int8_t)below(&trial, 255);
		for (int64_t i = 0; i < n; i++) {
			scales[i] = exp2f(-4 - (float)below(&trial, 1000) / 300);
			bias[i] = (int32_t)below(&trial, 20000) - 10000;
		}
		constant(&trial, INT8, 2, trans_b ? DIMS(n, k) : DIMS(k, n), (size_t)(k * n), weights);
		count = by_column ? n : 1;
		constant(&trial, FLOAT, by_column, &count, (size_t)count * sizeof(*scales), scales);
		constant(&trial, INT8, 0, NULL, 1, &zero);
		if (has_c)
			constant(&trial, INT32, 1, &n, (size_t)n * sizeof(*bias), bias);
		else
			trial.names[trial.num_names++][0] = '\0';
		if (seed % 3)
			grid(&trial, -2, 3);
		node = operator(&trial, "QGemm");
		body_int(&trial.model, node, "transA", trans_a);
		body_int(&trial.model, node, "transB", trans_b);
		alpha = model_attribute(&trial.model, node, "alpha", ATTR_FLOAT);
		alpha->has_f = 1;
		alpha->f = below(&trial, 2) ? 1 : 0.3f;
		finish(&trial, "QGemm", seed);
	}
}

/* ---- in QDQ form ---- */

/* A scale that is a power of two, so that floats hold all sums exactly, and a zero point away from the ends. */
static void exact_grid(struct trial *trial, int exponent)
{
	float scale = exp2f((float)exponent);
	uint8_t zero = (uint8_t)((trial->type == UINT8 ? 20 : -100) + (int)below(trial, 200));

	constant(trial, FLOAT, 0, NULL, sizeof(scale), &scale);
	constant(trial, trial->type, 0, NULL, 1, &zero);
}

/* x0, scale c1, zero c2 -> a; weights c3, c4 -> w; Conv, Relu, QuantizeLinear by c5, c6 -> q. */
static void clamped_convolution(struct trial *trial, int64_t *out)
{
	int64_t kernel = 1 + 2 * below(trial, 2), stride = 1 + below(trial, 2), group = 1;
	int64_t dims[] = {1, 1 + below(trial, 40), kernel + below(trial, 16), kernel + below(trial, 16)};
	int64_t channels = 1 + below(trial, 70);
	int8_t weights[70 * 40 * 9];
	Onnx__NodeProto *conv;
	float scale = 0.125f;

	if (!below(trial, 4))
		group = channels = dims[1];
	input(trial, 4, dims);
	exact_grid(trial, -4);
	for (size_t i = 0; i < sizeof(weights); i++)
		weights[i] = (int8_t)below(trial, 255);
	constant(trial, INT8, 4, DIMS(channels, dims[1] / group, kernel, kernel),
		 (size_t)(channels * dims[1] / group * kernel * kernel), weights);
	constant(trial, FLOAT, 0, NULL, sizeof(scale), &scale);
	exact_grid(trial, (int)below(trial, 3));
	model_node(&trial->model, "DequantizeLinear", NAMES("x0", "c1", "c2"), NAMES("a"));
	model_node(&trial->model, "DequantizeLinear", NAMES("c3", "c4"), NAMES("w"));
	conv = model_node(&trial->model, "Conv", NAMES("a", "w"), NAMES("f"));
	body_ints(&trial->model, conv, "strides", 2, DIMS(stride, stride));
	body_int(&trial->model, conv, "group", group);
	model_node(&trial->model, "Relu", NAMES("f"), NAMES("r"));
	model_node(&trial->model, "QuantizeLinear", NAMES("r", "c5", "c6"), NAMES("q"));
	out[0] = 1;
	out[1] = channels;
	out[2] = (dims[2] - kernel) / stride + 1;
	out[3] = (dims[3] - kernel) / stride + 1;
}

/*
 * A Relu in front of a grid with negative numbers, as values that are concatenated with others have it: the convolution does it, before
 * an addition or a pool that it does as well.
 */
static void relus_on_any_grid(void **unused)
{
	(void)unused;
	for (uint32_t seed = 600; seed < 600 + 6 * TRIALS; seed++) {
		struct trial trial;
		int64_t out[4];

		begin(&trial, seed);
		clamped_convolution(&trial, out);
		if (seed % 3 == 0) {
			model_output(&trial.model, "q");
			finish_as(&trial, "Relu", seed, "placement,qdq");
			continue;
		}
		model_node(&trial.model, "DequantizeLinear", NAMES("q", "c5", "c6"), NAMES("d"));
		if (seed % 3 == 1) {
			int64_t window[] = {1 + (out[2] > 1), 1 + (out[3] > 1)};
			Onnx__NodeProto *pool = model_node(&trial.model, "MaxPool", NAMES("d"), NAMES("p"));

			body_ints(&trial.model, pool, "kernel_shape", 2, window);
			body_ints(&trial.model, pool, "strides", 2, window);
			model_node(&trial.model, "QuantizeLinear", NAMES("p", "c5", "c6"), NAMES("y"));
		} else {
			input(&trial, 4, out); /* x7 */
			exact_grid(&trial, 1); /* c8, c9 */
			model_node(&trial.model, "DequantizeLinear", NAMES("x7", "c5", "c6"), NAMES("e"));
			model_node(&trial.model, "Add", NAMES("d", "e"), NAMES("s"));
			model_node(&trial.model, "QuantizeLinear", NAMES("s", "c8", "c9"), NAMES("y"));
		}
		model_output(&trial.model, "y");
		finish_as(&trial, "Relu", seed, "placement,qdq");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_of_a_byte), cmocka_unit_test(softmax),
		cmocka_unit_test(concatenations),      cmocka_unit_test(averages),
		cmocka_unit_test(binary_operators),    cmocka_unit_test(products),
		cmocka_unit_test(relus_on_any_grid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
