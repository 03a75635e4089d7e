/* SPDX-License-Identifier: MIT */
/*
 * What exporters take apart is recognised, and every device computes what the parts say: layer normalization, GELU, linear
 * layers and attention from primitive operators, of random sizes, against plain loops in double.
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
#define MAX_INPUTS 4

/*
 * struct trial - a model, its inputs, what it must give, and the one operator it must have become
 * @inputs: tensors of @in, which are the trial's
 * @path:   the model's file, once it is written
 */
struct trial {
	struct model model;
	struct accel_tensor inputs[MAX_INPUTS];
	float *in[MAX_INPUTS];
	size_t num_inputs;
	double *want;
	int64_t count;
	const char *op_type, *path;
};

static uint32_t random_state = 1;

static uint32_t below(uint32_t bound)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(random_state >> 8) * bound >> 24);
}

static float *numbers(int64_t count, float scale)
{
	float *values = malloc((size_t)count * sizeof(*values));

	assert_non_null(values);
	for (int64_t i = 0; i < count; i++)
		values[i] = scale * ((float)below(2001) / 1000.0f - 1.0f);
	return values;
}

static int64_t count_of(int rank, const int64_t *dims)
{
	int64_t count = 1;

	for (int d = 0; d < rank; d++)
		count *= dims[d];
	return count;
}

static void start(struct trial *trial, const char *op_type)
{
	memset(trial, 0, sizeof(*trial));
	model_init(&trial->model);
	trial->op_type = op_type;
}

static const float *add_input(struct trial *trial, const char *name, float scale, int rank, const int64_t *dims)
{
	float *values = numbers(count_of(rank, dims), scale);

	model_input(&trial->model, name, FLOAT, (size_t)rank, dims);
	trial->in[trial->num_inputs] = values;
	trial->inputs[trial->num_inputs++] = floats_of(values, rank, dims);
	return values;
}

/* The caller frees what it gets. */
static float *add_constant(struct trial *trial, const char *name, float scale, int rank, const int64_t *dims)
{
	int64_t count = count_of(rank, dims);
	float *values = numbers(count, scale);

	model_initializer(&trial->model, model_floats(&trial->model, name, (size_t)rank, dims, (size_t)count, values));
	return values;
}

static void add_number(struct trial *trial, const char *name, float value)
{
	model_initializer(&trial->model, model_floats(&trial->model, name, 0, NULL, 1, &value));
}

static void expect(struct trial *trial, int64_t count)
{
	model_output(&trial->model, "y");
	trial->count = count;
	trial->want = calloc((size_t)count, sizeof(double));
	assert_non_null(trial->want);
}

static void finish(struct trial *trial)
{
	for (size_t i = 0; i < trial->num_inputs; i++)
		free(trial->in[i]);
	free(trial->want);
	model_finish(&trial->model);
}

/* ---- the patterns ---- */

static void mean_node(struct trial *trial, const char *from, const char *to)
{
	Onnx__NodeProto *node = model_node(&trial->model, "ReduceMean", NAMES(from), NAMES(to));

	body_ints(&trial->model, node, "axes", 1, DIMS(-1));
}

static void layer_norm(struct trial *trial, int form)
{
	const int64_t dims[] = {1 + below(3), 1 + below(40), 2 + below(300)};
	int64_t rows = dims[0] * dims[1], width = dims[2];
	float *scale, *bias;
	const float *x;

	start(trial, "LayerNormalization");
	x = add_input(trial, "x", 3, 3, dims);
	scale = add_constant(trial, "scale", 2, 1, &width);
	bias = add_constant(trial, "bias", 1, 1, &width);
	add_number(trial, "two", 2);
	add_number(trial, "epsilon", 1e-5f);
	mean_node(trial, "x", "mean");
	model_node(&trial->model, "Sub", NAMES("x", "mean"), NAMES("centred"));
	if (form & 1)
		model_node(&trial->model, "Mul", NAMES("centred", "centred"), NAMES("square"));
	else
		model_node(&trial->model, "Pow", NAMES("centred", "two"), NAMES("square"));
	mean_node(trial, "square", "variance");
	model_node(&trial->model, "Add", NAMES("variance", "epsilon"), NAMES("shifted"));
	model_node(&trial->model, "Sqrt", NAMES("shifted"), NAMES("deviation"));
	model_node(&trial->model, "Div", NAMES("centred", "deviation"), NAMES("normal"));
	model_node(&trial->model, "Mul", NAMES("normal", "scale"), NAMES(form & 2 ? "y" : "scaled"));
	if (!(form & 2))
		model_node(&trial->model, "Add", NAMES("bias", "scaled"), NAMES("y"));
	expect(trial, rows * width);
	for (int64_t r = 0; r < rows; r++) {
		double mean = 0, variance = 0;

		for (int64_t i = 0; i < width; i++)
			mean += x[r * width + i] / (double)width;
		for (int64_t i = 0; i < width; i++)
			variance += (x[r * width + i] - mean) * (x[r * width + i] - mean) / (double)width;
		for (int64_t i = 0; i < width; i++)
			trial->want[r * width + i] =
				(x[r * width + i] - mean) / sqrt(variance + 1e-5) * scale[i] + (form & 2 ? 0 : bias[i]);
	}
	free(scale);
	free(bias);
}

static double gelu_of(double x, bool fast)
{
	return fast ? 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)))
		    : 0.5 * x * (1 + erf(x / sqrt(2)));
}

/* From x to y by primitive operators; order of the products by @form. */
static void gelu_nodes(struct trial *trial, const char *x, bool fast, int form)
{
	struct model *model = &trial->model;

	add_number(trial, "one", 1);
	add_number(trial, "half", 0.5f);
	add_number(trial, "root", sqrtf(2));
	add_number(trial, "three", 3);
	add_number(trial, "small", 0.044715f);
	add_number(trial, "factor", sqrtf(2 / (float)M_PI));
	if (fast) {
		model_node(model, "Pow", NAMES(x, "three"), NAMES("cube"));
		model_node(model, "Mul", NAMES("small", "cube"), NAMES("part"));
		model_node(model, "Add", NAMES(x, "part"), NAMES("inner"));
		model_node(model, "Mul", NAMES("inner", "factor"), NAMES("bent"));
		model_node(model, "Tanh", NAMES("bent"), NAMES("bend"));
	} else {
		model_node(model, "Div", NAMES(x, "root"), NAMES("bent"));
		model_node(model, "Erf", NAMES("bent"), NAMES("bend"));
	}
	model_node(model, "Add", NAMES("bend", "one"), NAMES("gate"));
	if (form == 0) {
		model_node(model, "Mul", NAMES(x, "gate"), NAMES("twice"));
		model_node(model, "Mul", NAMES("twice", "half"), NAMES("y"));
	} else if (form == 1) {
		model_node(model, "Mul", NAMES(x, "half"), NAMES("halved"));
		model_node(model, "Mul", NAMES("halved", "gate"), NAMES("y"));
	} else {
		model_node(model, "Mul", NAMES("half", "gate"), NAMES("halved"));
		model_node(model, "Mul", NAMES("halved", x), NAMES("y"));
	}
}

static void gelu(struct trial *trial, int form)
{
	const int64_t dims[] = {1 + below(60), 1 + below(200)};
	const float *x;

	start(trial, "Gelu");
	x = add_input(trial, "x", 4, 2, dims);
	gelu_nodes(trial, "x", form >= 3, form % 3);
	expect(trial, dims[0] * dims[1]);
	for (int64_t i = 0; i < trial->count; i++)
		trial->want[i] = gelu_of(x[i], form >= 3);
}

enum { PLAIN, WITH_GELU, WITH_FAST_GELU, WITH_RESIDUAL, WITH_RELU, LINEAR_FORMS };

static void linear(struct trial *trial, int form)
{
	const int64_t dims[] = {1 + below(3), 1 + below(70), 1 + below(150)}, n = 1 + below(200);
	const int64_t out[] = {dims[0], dims[1], n};
	int64_t rows = dims[0] * dims[1], k = dims[2];
	const float *x, *residual = NULL;
	float *w, *bias;

	start(trial, "Linear");
	x = add_input(trial, "x", 1, 3, dims);
	if (form == WITH_RESIDUAL)
		residual = add_input(trial, "residual", 1, 3, out);
	w = add_constant(trial, "w", 2 / sqrtf((float)k), 2, DIMS(k, n));
	bias = add_constant(trial, "bias", 1, 1, &n);
	model_node(&trial->model, "MatMul", NAMES("x", "w"), NAMES("product"));
	model_node(&trial->model, "Add", NAMES("bias", "product"), NAMES(form == PLAIN ? "y" : "sum"));
	if (form == WITH_GELU || form == WITH_FAST_GELU)
		gelu_nodes(trial, "sum", form == WITH_FAST_GELU, 0);
	if (form == WITH_RESIDUAL)
		model_node(&trial->model, "Add", NAMES("sum", "residual"), NAMES("y"));
	if (form == WITH_RELU)
		model_node(&trial->model, "Relu", NAMES("sum"), NAMES("y"));
	expect(trial, rows * n);
	for (int64_t r = 0; r < rows; r++)
		for (int64_t c = 0; c < n; c++) {
			double sum = bias[c];

			for (int64_t i = 0; i < k; i++)
				sum += (double)x[r * k + i] * w[i * n + c];
			if (form == WITH_GELU || form == WITH_FAST_GELU)
				sum = gelu_of(sum, form == WITH_FAST_GELU);
			if (form == WITH_RELU)
				sum = sum > 0 ? sum : 0;
			trial->want[r * n + c] = sum + (residual ? residual[r * n + c] : 0);
		}
	free(w);
	free(bias);
}

static void transpose(struct trial *trial, const char *from, const char *to, const int64_t *perm)
{
	body_ints(&trial->model, model_node(&trial->model, "Transpose", NAMES(from), NAMES(to)), "perm", 4, perm);
}

/* Element (b, h, s, d) of rows [B][S][H * D] or of [B][H][S][D]. */
static double head_element(const float *x, bool rows, const int64_t *size, int64_t b, int64_t h, int64_t s, int64_t d)
{
	return rows ? x[((b * size[1] + s) * size[2] + h) * size[3] + d]
		    : x[((b * size[2] + h) * size[1] + s) * size[3] + d];
}

/* The definition; sizes are B, S, H, D. */
static void attend(struct trial *trial, const float *q, const float *k, const float *v, const float *mask,
		   const int64_t *q_size, const int64_t *k_size, const int64_t *v_size, bool rows)
{
	int64_t keys = k_size[1];
	double *score = calloc((size_t)keys, sizeof(*score));

	assert_non_null(score);
	for (int64_t i = 0; i < q_size[0] * q_size[2] * q_size[1]; i++) {
		int64_t s = i % q_size[1], h = i / q_size[1] % q_size[2], b = i / q_size[1] / q_size[2];
		double largest = -1e300, sum = 0;

		for (int64_t key = 0; key < keys; key++) {
			score[key] = 0;
			for (int64_t d = 0; d < q_size[3]; d++)
				score[key] += head_element(q, rows, q_size, b, h, s, d) *
					      head_element(k, rows, k_size, b, h, key, d);
			score[key] = score[key] / 4 + (mask ? mask[b * keys + key] : 0);
			largest = fmax(largest, score[key]);
		}
		for (int64_t key = 0; key < keys; key++)
			sum += exp(score[key] - largest);
		for (int64_t d = 0; d < v_size[3]; d++) {
			double value = 0;

			for (int64_t key = 0; key < keys; key++)
				value += exp(score[key] - largest) / sum * head_element(v, rows, v_size, b, h, key, d);
			trial->want[rows ? ((b * q_size[1] + s) * v_size[2] + h) * v_size[3] + d
					 : ((b * q_size[2] + h) * q_size[1] + s) * v_size[3] + d] = value;
		}
	}
	free(score);
}

enum { ROWS = 1, MASKED = 2, TWO_TRANSPOSES = 4, SCALED_FIRST = 8, ATTENTION_FORMS = 16 };

static void split_heads(struct trial *trial, const char *from, const char *to, const int64_t *size, const int64_t *perm)
{
	char shape[16], split[16];

	snprintf(shape, sizeof(shape), "%s.shape", from);
	snprintf(split, sizeof(split), "%s.split", from);
	model_initializer(&trial->model, model_ints(&trial->model, shape, 1, DIMS(4), 4, size));
	model_node(&trial->model, "Reshape", NAMES(from, shape), NAMES(split));
	transpose(trial, split, to, perm);
}

/* Q, K and V as inputs, up to q, kt and v as the products take them. */
static void attention_operands(struct trial *trial, const int64_t *q, const int64_t *k, const int64_t *v, int form)
{
	bool twice = form & TWO_TRANSPOSES;

	if (!(form & ROWS)) {
		transpose(trial, "ki", "kt", DIMS(0, 1, 3, 2));
		model_node(&trial->model, "Identity", NAMES("qi"), NAMES("q"));
		model_node(&trial->model, "Identity", NAMES("vi"), NAMES("v"));
		return;
	}
	split_heads(trial, "qi", "q", q, DIMS(0, 2, 1, 3));
	split_heads(trial, "vi", "v", v, DIMS(0, 2, 1, 3));
	split_heads(trial, "ki", twice ? "k" : "kt", k, twice ? DIMS(0, 2, 1, 3) : DIMS(0, 2, 3, 1));
	if (twice)
		transpose(trial, "k", "kt", DIMS(0, 1, 3, 2));
}

static void attention(struct trial *trial, int form)
{
	int64_t batch = 1 + below(2), heads = 1 + below(4), queries = 1 + below(150), keys = 1 + below(150);
	const int64_t q[] = {batch, queries, heads, 1 + below(40)}, k[] = {batch, keys, heads, q[3]},
		      v[] = {batch, keys, heads, 1 + below(40)};
	bool rows = form & ROWS;
	const float *in[4] = {0};

	start(trial, "Attention");
	for (int i = 0; i < 3; i++) {
		const int64_t *size = i == 0 ? q : i == 1 ? k : v;

		in[i] = add_input(trial,
				  i == 0   ? "qi"
				  : i == 1 ? "ki"
					   : "vi",
				  2, rows ? 3 : 4,
				  rows ? DIMS(batch, size[1], heads * size[3]) : DIMS(batch, heads, size[1], size[3]));
	}
	if (form & MASKED)
		in[3] = add_input(trial, "mask", 3, 4, DIMS(batch, 1, 1, keys));
	add_number(trial, "four", 4);
	add_number(trial, "quarter", 0.25f);
	attention_operands(trial, q, k, v, form);
	if (form & SCALED_FIRST)
		model_node(&trial->model, "Mul", NAMES("q", "quarter"), NAMES("qs"));
	model_node(&trial->model, "MatMul", NAMES(form & SCALED_FIRST ? "qs" : "q", "kt"), NAMES("product"));
	if (!(form & SCALED_FIRST))
		model_node(&trial->model, "Div", NAMES("product", "four"), NAMES("scores"));
	if (form & MASKED)
		model_node(&trial->model, "Add", NAMES(form & SCALED_FIRST ? "product" : "scores", "mask"),
			   NAMES("masked"));
	model_node(&trial->model, "Softmax",
		   NAMES(form & MASKED         ? "masked"
			 : form & SCALED_FIRST ? "product"
					       : "scores"),
		   NAMES("weights"));
	model_node(&trial->model, "MatMul", NAMES("weights", "v"), NAMES(rows ? "context" : "y"));
	if (rows) {
		model_initializer(&trial->model,
				  model_ints(&trial->model, "rows", 1, DIMS(3), 3, DIMS(batch, queries, heads * v[3])));
		transpose(trial, "context", "merged", DIMS(0, 2, 1, 3));
		model_node(&trial->model, "Reshape", NAMES("merged", "rows"), NAMES("y"));
	}
	expect(trial, batch * queries * heads * v[3]);
	attend(trial, in[0], in[1], in[2], in[3], q, k, v, rows);
}

/* ---- running ---- */

/* Nodes that are not what the trial must have become: only what an output or input of the graph itself needs. */
static void only_the_fused(struct accel_session *session, const struct trial *trial, bool device)
{
	struct accel_run_stats stats;
	size_t found = 0;

	accel_session_stats(session, &stats);
	for (size_t i = 0; i < stats.num_nodes; i++) {
		if (stats.nodes[i].device != device)
			fail_msg("%s is on the %s: %s", stats.nodes[i].op_type, device ? "CPU" : "device",
				 stats.nodes[i].reason);
		if (!strcmp(stats.nodes[i].op_type, trial->op_type))
			found++;
		else if (strcmp(stats.nodes[i].op_type, "Identity"))
			fail_msg("%s is left of what should be one %s", stats.nodes[i].op_type, trial->op_type);
	}
	assert_int_equal(found, 1);
}

static float *run(struct trial *trial, const char *device, enum accel_precision precision, bool fused)
{
	struct accel_session_options options = {.device = device, .precision = precision, .threads = 2, .seed = 3, .disable = "placement"};
	struct accel_session *session;
	struct accel_tensor output = {0};
	char error[ERROR_SIZE] = "";
	float *got = malloc((size_t)trial->count * sizeof(*got));

	assert_non_null(got);
	if (!trial->path)
		trial->path = body_file(&trial->model);
	if (accel_session_create(trial->path, &options, &session, error, sizeof(error)) ||
	    accel_session_run(session, trial->inputs, trial->num_inputs, &output, 1, error, sizeof(error)))
		fail_msg("%s: %s", device, error);
	assert_int_equal(output.size, (size_t)trial->count * sizeof(*got));
	memcpy(got, output.data, output.size);
	if (fused)
		only_the_fused(session, trial, strcmp(device, "cpu") != 0);
	accel_session_destroy(session);
	return got;
}

static void expect_near(const struct trial *trial, const float *got, const char *device, const char *precision,
			double tolerance)
{
	double largest = 1e-3;

	for (int64_t i = 0; i < trial->count; i++)
		largest = fmax(largest, fabs(trial->want[i]));
	for (int64_t i = 0; i < trial->count; i++)
		if (!(fabs(got[i] - trial->want[i]) <= tolerance * largest))
			fail_msg("%s on %s in %s: element %lld is %g, not %g (largest %g)", trial->op_type, device,
				 precision, (long long)i, (double)got[i], trial->want[i], largest);
}

static void everywhere(struct trial *trial)
{
	static const struct {
		const char *device;
		enum accel_precision precision;
		const char *name;
		double tolerance;
	} places[] = {
		{"cpu", ACCEL_F32, "fp32", 1e-5},
		{"sim:target=axl-edge", ACCEL_F32, "fp32", 2e-5},
		{"sim:target=axl-edge", ACCEL_F16, "fp16", 5e-3},
		{"sim:target=axl-pro", ACCEL_F16, "fp16", 5e-3},
		{"sim:target=axl-edge", ACCEL_BF16, "bf16", 4e-2},
	};

	for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++) {
		float *got = run(trial, places[p].device, places[p].precision, true);

		expect_near(trial, got, places[p].device, places[p].name, places[p].tolerance);
		free(got);
	}
}

static void layer_norm_is_one_node(void **unused)
{
	(void)unused;
	for (int i = 0; i < 8; i++) {
		struct trial trial;

		layer_norm(&trial, i % 4);
		everywhere(&trial);
		finish(&trial);
	}
}

static void gelu_is_one_node(void **unused)
{
	(void)unused;
	for (int i = 0; i < 6; i++) {
		struct trial trial;

		gelu(&trial, i);
		everywhere(&trial);
		finish(&trial);
	}
}

static void a_linear_layer_is_one_node(void **unused)
{
	(void)unused;
	for (int i = 0; i < 2 * LINEAR_FORMS; i++) {
		struct trial trial;

		linear(&trial, i % LINEAR_FORMS);
		everywhere(&trial);
		finish(&trial);
	}
}

static void attention_is_one_node(void **unused)
{
	(void)unused;
	for (int i = 0; i < ATTENTION_FORMS; i++) {
		struct trial trial;

		if (!(i & ROWS) && i & TWO_TRANSPOSES)
			continue; /* heads that are apart have one form of keys */
		attention(&trial, i);
		everywhere(&trial);
		finish(&trial);
	}
}

/* The device in int8 and the CPU library on the same integers: no more than their half floats differ. */
static void a_quantized_layer_is_the_same_everywhere(void **unused)
{
	(void)unused;
	for (int i = 0; i < LINEAR_FORMS; i++) {
		struct trial trial;
		float *cpu, *device;

		linear(&trial, i);
		cpu = run(&trial, "cpu", ACCEL_INT8, false);
		device = run(&trial, "sim:", ACCEL_INT8, false);
		for (int64_t n = 0; n < trial.count; n++)
			trial.want[n] = cpu[n];
		expect_near(&trial, device, "sim:", "int8", 3e-3);
		free(cpu);
		free(device);
		finish(&trial);
	}
}

/* A mean that somebody else reads stays what it is, and the answer right. */
static void what_is_read_elsewhere_stays(void **unused)
{
	struct accel_session *session;
	struct accel_run_stats stats;
	struct accel_tensor outputs[2] = {0};
	char error[ERROR_SIZE] = "";
	struct trial trial;

	(void)unused;
	layer_norm(&trial, 0);
	model_output(&trial.model, "mean");
	session = body_session(&trial.model, "cpu", error);
	if (!session || accel_session_run(session, trial.inputs, 1, outputs, 2, error, sizeof(error)))
		fail_msg("%s", error);
	accel_session_stats(session, &stats);
	assert_true(stats.num_nodes > 1);
	for (size_t i = 0; i < stats.num_nodes; i++)
		assert_string_not_equal(stats.nodes[i].op_type, "LayerNormalization");
	expect_near(&trial, outputs[0].data, "cpu", "fp32", 1e-5);
	accel_session_destroy(session);
	finish(&trial);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layer_norm_is_one_node),
		cmocka_unit_test(gelu_is_one_node),
		cmocka_unit_test(a_linear_layer_is_one_node),
		cmocka_unit_test(attention_is_one_node),
		cmocka_unit_test(a_quantized_layer_is_the_same_everywhere),
		cmocka_unit_test(what_is_read_elsewhere_stays),
	};

	return cmocka_run_group_tests_name("transformer", tests, NULL, NULL);
}
