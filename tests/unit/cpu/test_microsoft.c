// SPDX-License-Identifier: MIT
/* com.microsoft operators beside plain loops in double, and what they say of inputs that do not fit. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "tests/unit/cpu/attr_lists.h"

#define MS "com.microsoft"
#define MANY 4096

static float expected[MANY];

/* ---- weights in blocks ---- */

static double weight(const struct op_case *c, int bits, int64_t blocks, int64_t block, int64_t n, int64_t k)
{
	const uint8_t *bytes = c->inputs[1].data, *zeros = c->inputs[3].data;
	int64_t at = k / block, per_byte = 8 / bits, mask = (1 << bits) - 1, inside = k % block;
	int64_t zero_row = (blocks * bits + 7) / 8;
	int64_t value =
		bytes[(n * blocks + at) * block * bits / 8 + inside / per_byte] >> inside % per_byte * bits & mask;
	int64_t zero = zeros ? zeros[n * zero_row + at / per_byte] >> at % per_byte * bits & mask : 1 << (bits - 1);

	return (double)(value - zero) * (double)((const float *)c->inputs[2].data)[n * blocks + at];
}

/* A few rows and many take different ways; the last block is short. */
static void matmul_nbits_is_a_product_with_dequantized_weights(void **state)
{
	(void)state;
	random_seed();
	for (int form = 0; form < 12; form++) {
		int bits = 2 << form % 3, zeros = form / 3 % 2, with_bias = form % 2;
		int64_t m = form < 6 ? 3 : 40, n = 37, k = 70, block = 32, blocks = 3;
		int64_t weights[3] = {n, blocks, block * bits / 8}, rows[2] = {m, k}, scales[2] = {n, blocks};
		int64_t zero_dims[2] = {n, (blocks * bits + 7) / 8};
		const float *a, *bias = NULL;
		struct op_case c;

		op_case_init(&c, MS, "MatMulNBits", 1);
		op_case_int(&c, "K", k);
		op_case_int(&c, "N", n);
		op_case_int(&c, "bits", bits);
		op_case_int(&c, "block_size", block);
		a = op_case_random(&c, 2, rows);
		op_case_random_bytes(&c, DTYPE_U8, 3, weights);
		op_case_random(&c, 2, scales);
		if (zeros)
			op_case_random_bytes(&c, DTYPE_U8, 2, zero_dims);
		else
			op_case_omit(&c);
		op_case_omit(&c);
		if (with_bias)
			bias = op_case_random(&c, 1, &n);
		op_case_expect_ok(&c);
		for (int64_t i = 0; i < m * n; i++) {
			double sum = bias ? (double)bias[i % n] : 0;

			for (int64_t j = 0; j < k; j++)
				sum += (double)a[i / n * k + j] * weight(&c, bits, blocks, block, i % n, j);
			expected[i] = (float)sum;
		}
		expect_near(&c.outputs[0], expected, 1e-4, 1e-2);
		op_case_finish(&c);
	}
}

static void matmul_nbits_takes_groups_by_index(void **state)
{
	struct op_case c;
	int32_t *group;
	const float *scales;

	(void)state;
	op_case_init(&c, MS, "MatMulNBits", 1);
	op_case_int(&c, "K", 32);
	op_case_int(&c, "N", 1);
	op_case_int(&c, "bits", 8);
	op_case_int(&c, "block_size", 16);
	for (int i = 0; i < 32; i++)
		expected[i] = 1;
	memcpy(op_case_input(&c, DTYPE_F32, 2, (int64_t[]){1, 32})->data, expected, 32 * sizeof(float));
	memset(op_case_input(&c, DTYPE_U8, 3, (int64_t[]){1, 2, 16})->data, 129, 32);
	scales = op_case_random(&c, 2, (int64_t[]){1, 2});
	op_case_omit(&c);
	group = op_case_input(&c, DTYPE_S32, 1, (int64_t[]){32})->data;
	/* 31 times the second block, once the first. */
	for (int i = 0; i < 32; i++)
		group[i] = i != 5;
	op_case_expect_ok(&c);
	expected[0] = scales[0] + 31 * scales[1];
	expect_near(&c.outputs[0], expected, 1e-5, 1e-6);
	group[7] = 2;
	op_case_expect_error(&c, -EINVAL, "g_idx (input 4) has block 2 of 2");
	op_case_finish(&c);
}

static void matmul_nbits_names_what_does_not_fit(void **state)
{
	static const struct {
		const char *name;
		int64_t value;
		int err;
		const char *text;
	} cases[] = {
		{"K", 31, -EINVAL, "input 0 has rows of 32"},
		{"block_size", 24, -EINVAL, "block_size 24"},
		{"block_size", 64, -EINVAL, "B (input 1) is not uint8 [2, 1, 32]"},
		{"bits", 3, -ENOTSUP, "3 bits"},
		{"bits", 8, -EINVAL, "B (input 1) is not uint8 [2, 1, 32]"},
		{"weight_prepacked", 1, -ENOTSUP, "weight_prepacked"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct op_case c;

		op_case_init(&c, MS, "MatMulNBits", 1);
		op_case_int(&c, cases[i].name, cases[i].value);
		op_case_int(&c, "K", 32);
		op_case_int(&c, "N", 2);
		op_case_int(&c, "block_size", 32);
		op_case_random(&c, 2, (int64_t[]){1, 32});
		op_case_random_bytes(&c, DTYPE_U8, 3, (int64_t[]){2, 1, 16});
		op_case_random(&c, 2, (int64_t[]){2, 1});
		op_case_expect_error(&c, cases[i].err, cases[i].text);
		op_case_finish(&c);
	}
}

/* Two bytes of a row hold four values; an index that is out of range gives zeros. */
static void gather_block_quantized_dequantizes_rows(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, MS, "GatherBlockQuantized", 1);
	op_case_int(&c, "block_size", 16);
	op_case_int(&c, "bits", 4);
	memcpy(op_case_input(&c, DTYPE_U8, 2, (int64_t[]){2, 2})->data, (uint8_t[]){0x98, 0x0f, 0x77, 0x88}, 4);
	memcpy(op_case_input(&c, DTYPE_S64, 1, (int64_t[]){3})->data, (int64_t[]){0, 5, -1}, 24);
	INPUT(&c, 2, ((int64_t[]){2, 1}), 2, 3);
	op_case_expect_ok(&c);
	expect_near(&c.outputs[0], (float[]){0, 2, 14, -16, 0, 0, 0, 0, -3, -3, 0, 0}, 0, 0);
	op_case_finish(&c);
}

/* ---- quantized products ---- */

static void dynamic_quantize_matmul_is_near_the_product(void **state)
{
	int64_t m = 6, k = 50, n = 9;
	const float *a, *scale, *bias;
	const int8_t *b;
	struct op_case c;

	(void)state;
	random_seed();
	op_case_init(&c, MS, "DynamicQuantizeMatMul", 1);
	a = op_case_random(&c, 2, (int64_t[]){m, k});
	op_case_random_bytes(&c, DTYPE_S8, 2, (int64_t[]){k, n});
	scale = op_case_random(&c, 1, &n);
	op_case_omit(&c);
	bias = op_case_random(&c, 1, &n);
	op_case_expect_ok(&c);
	b = c.inputs[1].data;
	for (int64_t i = 0; i < m * n; i++) {
		double sum = 0;

		for (int64_t j = 0; j < k; j++)
			sum += (double)a[i / n * k + j] * b[j * n + i % n];
		expected[i] = (float)(sum * (double)scale[i % n] + (double)bias[i % n]);
	}
	/* A is rounded to 1/128 of its range at most: 50 errors of half a step, times 128. */
	expect_near(&c.outputs[0], expected, 0, 50 * 128 * 0.5 / 127);
	/* And exact where A is on the grid: zeros and ones. */
	for (int64_t i = 0; i < m * k; i++)
		((float *)c.inputs[0].data)[i] = (float)(i % 2);
	op_case_expect_ok(&c);
	for (int64_t i = 0; i < m * n; i++) {
		double sum = 0;

		for (int64_t j = 0; j < k; j++)
			sum += (i / n * k + j) % 2 * b[j * n + i % n];
		expected[i] = (float)(sum * (double)scale[i % n] + (double)bias[i % n]);
	}
	expect_near(&c.outputs[0], expected, 1e-5, 1e-4);
	c.inputs[2].dims[0] = 4;
	op_case_expect_error(&c, -EINVAL, "b_scale is not float32");
	op_case_finish(&c);
}

/* Weights that are multiples of the scale: the float LSTM of the same weights gives the same. */
static void dynamic_quantize_lstm_is_the_lstm_of_its_weights(void **state)
{
	int64_t hidden = 3, inputs = 4, gates = 12;
	struct op_case quantized, plain;
	const float *x;
	const int8_t *weights[2];

	(void)state;
	random_seed();
	op_case_init(&quantized, MS, "DynamicQuantizeLSTM", 1);
	op_case_int(&quantized, "hidden_size", hidden);
	quantized.node.num_outputs = 3;
	x = op_case_random(&quantized, 3, (int64_t[]){5, 2, inputs});
	op_case_random_bytes(&quantized, DTYPE_S8, 3, (int64_t[]){1, inputs, gates});
	op_case_random_bytes(&quantized, DTYPE_S8, 3, (int64_t[]){1, hidden, gates});
	for (int i = 3; i < 8; i++)
		op_case_omit(&quantized);
	for (int i = 0; i < 2; i++) {
		INPUT(&quantized, 1, ((int64_t[]){1}), 0.015625f);
		*(int8_t *)op_case_input(&quantized, DTYPE_S8, 1, (int64_t[]){1})->data = (int8_t)(i + 1);
	}
	op_case_expect_ok(&quantized);
	weights[0] = quantized.inputs[1].data;
	weights[1] = quantized.inputs[2].data;
	op_case_init(&plain, "", "LSTM", 14);
	op_case_int(&plain, "hidden_size", hidden);
	plain.node.num_outputs = 3;
	memcpy(op_case_input(&plain, DTYPE_F32, 3, (int64_t[]){5, 2, inputs})->data, x, 40 * sizeof(*x));
	for (int i = 0; i < 2; i++) {
		int64_t depth = i ? hidden : inputs;
		float *w = op_case_input(&plain, DTYPE_F32, 3, (int64_t[]){1, gates, depth})->data;

		for (int64_t k = 0; k < gates * depth; k++)
			w[k] = (float)(weights[i][k % depth * gates + k / depth] - (i + 1)) * 0.015625f;
	}
	op_case_expect_ok(&plain);
	for (int i = 0; i < 3; i++)
		expect_near(&quantized.outputs[i], plain.outputs[i].data, 1e-5, 1e-6);
	op_case_finish(&plain);
	op_case_finish(&quantized);
}

/* ---- attention ---- */

/* softmax(scale * Q K + addend) V, all in double; heads side by side in rows of @width. */
struct plain_attention {
	int64_t batch, heads, queries, keys, size, width;
	const float *q, *k, *v;
	const int32_t *mask; /* [batch, keys], or NULL */
	bool causal;
};

static void attend(const struct plain_attention *a)
{
	for (int64_t i = 0; i < a->batch * a->heads * a->queries; i++) {
		int64_t s = i % a->queries, h = i / a->queries % a->heads, b = i / a->queries / a->heads;
		double scores[64], sum = 0, largest = -INFINITY;
		const float *q = a->q + (b * a->queries + s) * a->width + h * a->size;

		for (int64_t t = 0; t < a->keys; t++) {
			const float *k = a->k + (b * a->keys + t) * a->width + h * a->size;

			scores[t] = a->mask && !a->mask[b * a->keys + t] ? -10000 : 0;
			for (int64_t j = 0; j < a->size; j++)
				scores[t] += (double)q[j] * (double)k[j] / sqrt((double)a->size);
			if (a->causal && t > s + a->keys - a->queries)
				scores[t] = -INFINITY;
			largest = fmax(largest, scores[t]);
		}
		for (int64_t t = 0; t < a->keys; t++)
			sum += exp(scores[t] - largest);
		for (int64_t j = 0; j < a->size; j++) {
			double y = 0;

			for (int64_t t = 0; t < a->keys; t++)
				y += exp(scores[t] - largest) / sum *
				     (double)a->v[(b * a->keys + t) * a->width + h * a->size + j];
			expected[(b * a->queries + s) * a->width + h * a->size + j] = (float)y;
		}
	}
}

static void multi_head_attention_masks_and_adds_the_bias(void **state)
{
	(void)state;
	random_seed();
	for (int form = 0; form < 4; form++) {
		struct plain_attention a = {.batch = 2, .heads = 3, .queries = 5, .size = 4, .width = 12};
		float biased[3][2 * 9 * 12];
		const float *parts[3], *bias = NULL;
		struct op_case c;

		a.causal = form & 1;
		a.keys = a.causal ? 5 : 9;
		op_case_init(&c, MS, "MultiHeadAttention", 1);
		op_case_int(&c, "num_heads", a.heads);
		op_case_int(&c, "unidirectional", a.causal);
		for (int i = 0; i < 3; i++)
			parts[i] = op_case_random(&c, 3, (int64_t[]){a.batch, i ? a.keys : a.queries, a.width});
		if (form & 2)
			bias = op_case_random(&c, 1, (int64_t[]){36});
		else
			op_case_omit(&c);
		a.mask = op_case_input(&c, DTYPE_S32, 2, (int64_t[]){a.batch, a.keys})->data;
		for (int64_t i = 0; i < a.batch * a.keys; i++)
			((int32_t *)(uintptr_t)a.mask)[i] = i % a.keys == 0 || random_below(3) > 0;
		for (int i = 0; i < 3; i++)
			for (int64_t k = 0; k < a.batch * (i ? a.keys : a.queries) * a.width; k++)
				biased[i][k] = parts[i][k] + (bias ? bias[i * 12 + k % 12] : 0);
		a.q = biased[0];
		a.k = biased[1];
		a.v = biased[2];
		op_case_expect_ok(&c);
		attend(&a);
		expect_near(&c.outputs[0], expected, 1e-4, 1e-5);
		c.inputs[4].dims[1]--;
		op_case_expect_error(&c, -EINVAL, "the mask (input 4) fits neither");
		op_case_finish(&c);
	}
}

/* Attention with a unit matrix as weights is attention of its own input; past and present are the cache. */
static void attention_projects_and_keeps_its_past(void **state)
{
	struct plain_attention a = {
		.batch = 1, .heads = 2, .queries = 4, .keys = 4, .size = 3, .width = 6, .causal = true};
	struct op_case whole, step;
	const float *x;

	(void)state;
	random_seed();
	for (int pass = 0; pass < 2; pass++) {
		struct op_case *c = pass ? &step : &whole;
		int64_t rows = pass ? 1 : 4;
		float *w;

		op_case_init(c, MS, "Attention", 1);
		op_case_int(c, "num_heads", 2);
		op_case_int(c, "unidirectional", 1);
		c->node.num_outputs = 2;
		if (pass)
			memcpy(op_case_input(c, DTYPE_F32, 3, (int64_t[]){1, 1, 6})->data, x + 18, 6 * sizeof(*x));
		else
			x = op_case_random(c, 3, (int64_t[]){1, rows, 6});
		w = op_case_input(c, DTYPE_F32, 2, (int64_t[]){6, 18})->data;
		for (int i = 0; i < 18; i++)
			w[i % 6 * 18 + i] = 1;
	}
	op_case_expect_ok(&whole);
	a.q = a.k = a.v = x;
	attend(&a);
	expect_near(&whole.outputs[0], expected, 1e-4, 1e-5);
	/* The last row again, with the first three as its past. */
	op_case_omit(&step);
	op_case_omit(&step);
	op_case_input(&step, DTYPE_F32, 5, (int64_t[]){2, 1, 2, 3, 3});
	for (int i = 0; i < 36; i++)
		((float *)step.inputs[4].data)[i] = ((const float *)whole.outputs[1].data)[i / 9 * 12 + i % 9];
	op_case_expect_ok(&step);
	expect_near(&step.outputs[0], expected + 18, 1e-4, 1e-5);
	expect_near(&step.outputs[1], whole.outputs[1].data, 0, 0);
	step.inputs[4].dims[4] = 2;
	op_case_expect_error(&step, -EINVAL, "past (input 4) is not [2, 1, 2, P, 3]");
	op_case_int(&step, "do_rotary", 1);
	op_case_expect_error(&step, -ENOTSUP, "do_rotary");
	op_case_finish(&step);
	op_case_finish(&whole);
}

/*
 * Two heads of GroupQueryAttention, one query, against plain attention whose weights leave the share exp(@sinks[head]) of their sum to
 * nothing (@sinks NULL: no share).
 */
static void expect_group(const struct op_case *c, struct plain_attention *a, const float *queries, const float *sinks)
{
	for (int head = 0; head < 2; head++) {
		double total = 0, kept = 1;

		a->q = queries + 2 * head;
		attend(a);
		for (int k = 0; k < 3; k++)
			total += exp((a->q[0] * a->k[2 * k] + a->q[1] * a->k[2 * k + 1]) / sqrt(2));
		if (sinks)
			kept = total / (total + exp(sinks[head]));
		for (int j = 0; j < 2; j++)
			assert_float_equal(((const float *)c->outputs[0].data)[2 * head + j], kept * expected[j], 1e-5);
	}
}

/* A cache with room: the new row goes behind what counts, and only that is seen. */
static void group_query_attention_appends_to_its_cache(void **state)
{
	struct plain_attention a = {.batch = 1, .heads = 1, .queries = 1, .keys = 3, .size = 2, .width = 2};
	float keys[6], values[6];
	const float *parts[5];
	struct op_case c;

	(void)state;
	random_seed();
	op_case_init(&c, MS, "GroupQueryAttention", 1);
	op_case_int(&c, "num_heads", 2);
	op_case_int(&c, "kv_num_heads", 1);
	c.node.num_outputs = 3;
	parts[0] = op_case_random(&c, 3, (int64_t[]){1, 1, 4});
	for (int i = 1; i < 3; i++)
		parts[i] = op_case_random(&c, 3, (int64_t[]){1, 1, 2});
	for (int i = 3; i < 5; i++)
		parts[i] = op_case_random(&c, 4, (int64_t[]){1, 1, 5, 2});
	*(int32_t *)op_case_input(&c, DTYPE_S32, 1, (int64_t[]){1})->data = 2;
	*(int32_t *)op_case_input(&c, DTYPE_S32, 0, NULL)->data = 3;
	op_case_expect_ok(&c);
	memcpy(keys, parts[3], 4 * sizeof(float));
	memcpy(keys + 4, parts[1], 2 * sizeof(float));
	memcpy(values, parts[4], 4 * sizeof(float));
	memcpy(values + 4, parts[2], 2 * sizeof(float));
	a.k = keys;
	a.v = values;
	expect_group(&c, &a, parts[0], NULL);
	expect_shape(&c.outputs[1], 4, (int64_t[]){1, 1, 5, 2});
	assert_memory_equal(c.outputs[1].data, keys, sizeof(keys));
	assert_memory_equal(c.outputs[2].data, values, sizeof(values));
	*(int32_t *)c.inputs[5].data = 9;
	op_case_expect_error(&c, -EINVAL, "10 rows in a cache of 5");
	/* One more score of zero, then one by head. */
	*(int32_t *)c.inputs[5].data = 2;
	op_case_int(&c, "smooth_softmax", 1);
	op_case_expect_ok(&c);
	expect_group(&c, &a, parts[0], (float[]){0, 0});
	for (int i = 7; i < 11; i++)
		op_case_omit(&c);
	INPUT(&c, 1, ((int64_t[]){2}), 2, -1);
	op_case_expect_ok(&c);
	expect_group(&c, &a, parts[0], (float[]){2, -1});
	c.inputs[11].dims[0] = 1;
	op_case_expect_error(&c, -EINVAL, "input 11 (head_sink)");
	op_case_finish(&c);
}

/* ---- embeddings, layouts, matrices ---- */

static void embed_layer_normalization_adds_and_normalizes(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, MS, "EmbedLayerNormalization", 1);
	op_case_float(&c, "epsilon", 0);
	c.node.num_outputs = 3;
	memcpy(op_case_input(&c, DTYPE_S32, 2, (int64_t[]){1, 2})->data, (int32_t[]){1, 0}, 8);
	op_case_omit(&c);
	INPUT(&c, 2, ((int64_t[]){2, 2}), 1, 2, 3, 4);
	INPUT(&c, 2, ((int64_t[]){2, 2}), 0, 1, 5, 0);
	op_case_omit(&c);
	INPUT(&c, 1, ((int64_t[]){2}), 10, 20);
	INPUT(&c, 1, ((int64_t[]){2}), 1, 2);
	memcpy(op_case_input(&c, DTYPE_S32, 2, (int64_t[]){1, 2})->data, (int32_t[]){1, 0}, 8);
	op_case_expect_ok(&c);
	/* Sums (3, 5) and (6, 2): normalized (-1, 1) and (1, -1). */
	expect_near(&c.outputs[2], (float[]){3, 5, 6, 2}, 0, 0);
	expect_near(&c.outputs[0], (float[]){-9, 22, 11, -18}, 1e-5, 0);
	assert_int_equal(tensor_get_s64(&c.outputs[1], 0), 1);
	((int32_t *)c.inputs[0].data)[1] = 2;
	op_case_expect_error(&c, -EINVAL, "word id 2 of 2");
	op_case_finish(&c);
}

/* Two pixels of two channels through a 1 x 1 kernel; the residual comes before the activation. */
static void nhwc_fused_conv_adds_its_residual(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, MS, "NhwcFusedConv", 1);
	op_case_string(&c, "activation", "Relu");
	INPUT(&c, 4, ((int64_t[]){1, 1, 2, 2}), 1, 2, 3, 4);
	INPUT(&c, 4, ((int64_t[]){2, 2, 1, 1}), 1, 0, 1, 1);
	INPUT(&c, 1, ((int64_t[]){2}), 0, 0);
	INPUT(&c, 4, ((int64_t[]){1, 1, 2, 2}), -5, 1, 1, -20);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 4, (int64_t[]){1, 1, 2, 2});
	expect_near(&c.outputs[0], (float[]){0, 4, 4, 0}, 0, 0);
	c.inputs[3].rank = 3;
	op_case_expect_error(&c, -EINVAL, "input 3 has rank 3, input 0 has 4");
	c.inputs[3].rank = 4;
	op_case_finish(&c);
}

static void nhwc_max_pool_and_bias_split_gelu(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, MS, "NhwcMaxPool", 1);
	INTS(&c, "kernel_shape", 2, 2);
	memcpy(op_case_input(&c, DTYPE_U8, 4, (int64_t[]){1, 2, 2, 3})->data,
	       (uint8_t[]){1, 9, 3, 4, 5, 6, 7, 2, 0, 1, 1, 1}, 12);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 4, (int64_t[]){1, 1, 1, 3});
	expect_same_bytes(&c.outputs[0], (uint8_t[]){7, 9, 6});
	op_case_finish(&c);
	op_case_init(&c, MS, "BiasSplitGelu", 1);
	INPUT(&c, 3, ((int64_t[]){1, 1, 4}), 1, 2, 0, 1);
	INPUT(&c, 1, ((int64_t[]){4}), 1, 0, 1, -2);
	op_case_expect_ok(&c);
	/* (2, 2) times Gelu of (1, -1). */
	expect_near(&c.outputs[0], (float[]){2 * 0.84134475f, 2 * -0.15865525f}, 1e-5, 0);
	op_case_finish(&c);
}

static void fourier_transforms_invert_each_other(void **state)
{
	struct op_case there, back;
	const float *x;

	(void)state;
	random_seed();
	op_case_init(&there, MS, "Rfft", 1);
	op_case_int(&there, "signal_ndim", 1);
	x = op_case_random(&there, 2, (int64_t[]){3, 10});
	op_case_expect_ok(&there);
	expect_shape(&there.outputs[0], 3, (int64_t[]){3, 6, 2});
	for (int k = 0; k < 6; k++) {
		double re = 0, im = 0;

		for (int i = 0; i < 10; i++) {
			re += (double)x[i] * cos(2 * M_PI * i * k / 10);
			im -= (double)x[i] * sin(2 * M_PI * i * k / 10);
		}
		assert_float_equal(((const float *)there.outputs[0].data)[2 * k], re, 1e-4);
		assert_float_equal(((const float *)there.outputs[0].data)[2 * k + 1], im, 1e-4);
	}
	op_case_init(&back, MS, "Irfft", 1);
	op_case_int(&back, "signal_ndim", 1);
	memcpy(op_case_input(&back, DTYPE_F32, 3, (int64_t[]){3, 6, 2})->data, there.outputs[0].data,
	       36 * sizeof(float));
	op_case_expect_ok(&back);
	expect_near(&back.outputs[0], x, 1e-4, 1e-5);
	back.attrs[0].i = 2;
	op_case_expect_error(&back, -ENOTSUP, "signal_ndim is 2");
	op_case_finish(&there);
	op_case_finish(&back);
}

static void inverse_pivots(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, MS, "Inverse", 1);
	INPUT(&c, 3, ((int64_t[]){2, 2, 2}), 0, 2, 4, 0, 1, 1, 1, 1);
	op_case_expect_ok(&c);
	expect_near(&c.outputs[0], (float[]){0, 0.25f, 0.5f, 0, NAN, NAN, NAN, NAN}, 1e-6, 1e-7);
	op_case_finish(&c);
}

/* The standard's QuantizeLinear of one number. */
static int32_t quantized(double x, double scale, int32_t zero, bool is_signed)
{
	double q = rint(x / scale) + zero, low = is_signed ? -128 : 0;

	return (int32_t)(q < low ? low : q > low + 255 ? low + 255 : q);
}

static void scalar_byte(struct op_case *c, enum dtype type, int32_t value)
{
	*(uint8_t *)op_case_input(c, type, 0, NULL)->data = (uint8_t)value;
}

static int32_t byte_at(const struct tensor *t, int64_t i)
{
	return t->dtype == DTYPE_S8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
}

/* Scales are powers of two, and no mean lies between two steps: the answer is defined to the bit. */
static void qlinear_reduce_mean_is_the_mean_of_what_the_bytes_mean(void **state)
{
	const int64_t dims[] = {2, 3, 4, 2};

	(void)state;
	random_seed();
	for (int form = 0; form < 8; form++) {
		bool is_signed = form & 1, keep = form & 2, channels = form & 4;
		enum dtype type = is_signed ? DTYPE_S8 : DTYPE_U8;
		int32_t zero = is_signed ? -5 : 117, to = is_signed ? 20 : 90;
		struct op_case c;

		op_case_init(&c, MS, "QLinearReduceMean", 1);
		op_case_ints(&c, "axes", channels ? 1 : 2, channels ? (int64_t[]){1} : (int64_t[]){2, -1});
		op_case_int(&c, "keepdims", keep);
		op_case_random_bytes(&c, type, 4, dims);
		op_case_scalar_f32(&c, 0.25f);
		scalar_byte(&c, type, zero);
		op_case_scalar_f32(&c, 0.125f);
		scalar_byte(&c, type, to);
		op_case_expect_ok(&c);
		assert_int_equal(c.outputs[0].dtype, type);
		assert_int_equal(c.outputs[0].rank, keep ? 4 : channels ? 3 : 2);
		assert_int_equal(tensor_count(&c.outputs[0]), channels ? 16 : 6);
		for (int64_t o = 0; o < tensor_count(&c.outputs[0]); o++) {
			int64_t count = channels ? 3 : 8, step = channels ? 8 : 1,
				first = channels ? o / 8 * 24 + o % 8 : o * 8;
			double sum = 0;

			for (int64_t i = 0; i < count; i++)
				sum += 0.25 * (byte_at(&c.inputs[0], first + i * step) - zero);
			assert_int_equal(byte_at(&c.outputs[0], o),
					 quantized(sum / (double)count, 0.125, to, is_signed));
		}
		op_case_finish(&c);
	}
}

static void qlinear_reduce_mean_names_what_does_not_fit(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, MS, "QLinearReduceMean", 1);
	op_case_ints(&c, "axes", 1, (int64_t[]){5});
	op_case_random_bytes(&c, DTYPE_U8, 2, (int64_t[]){2, 3});
	op_case_scalar_f32(&c, 0.25f);
	op_case_omit(&c);
	op_case_scalar_f32(&c, 0.125f);
	op_case_expect_error(&c, -EINVAL, "axis");
	op_case_ints(&c, "axes", 1, (int64_t[]){1});
	c.node.num_attrs--;
	c.attrs[0] = c.attrs[1];
	op_case_expect_ok(&c);
	assert_int_equal(c.outputs[0].dtype, DTYPE_U8);
	op_case_finish(&c);
}

/* Both grids and the result's differ; a condition of one dimension. */
static void qlinear_where_chooses_and_rounds(void **state)
{
	const int64_t dims[] = {3, 5};
	struct op_case c;
	uint8_t *condition;

	(void)state;
	random_seed();
	op_case_init(&c, MS, "QLinearWhere", 1);
	condition = op_case_input(&c, DTYPE_BOOL, 1, &dims[1])->data;
	for (int i = 0; i < 5; i++)
		condition[i] = i % 2;
	op_case_random_bytes(&c, DTYPE_U8, 2, dims);
	op_case_scalar_f32(&c, 0.25f);
	scalar_byte(&c, DTYPE_U8, 100);
	op_case_random_bytes(&c, DTYPE_U8, 2, dims);
	op_case_scalar_f32(&c, 0.5f);
	scalar_byte(&c, DTYPE_U8, 30);
	op_case_scalar_f32(&c, 0.375f);
	scalar_byte(&c, DTYPE_U8, 60);
	op_case_expect_ok(&c);
	assert_int_equal(tensor_count(&c.outputs[0]), 15);
	for (int64_t i = 0; i < 15; i++) {
		double x = 0.25 * (byte_at(&c.inputs[1], i) - 100), y = 0.5 * (byte_at(&c.inputs[4], i) - 30);

		assert_int_equal(byte_at(&c.outputs[0], i), quantized(i % 5 % 2 ? x : y, 0.375, 60, false));
	}
	op_case_finish(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matmul_nbits_is_a_product_with_dequantized_weights),
		cmocka_unit_test(matmul_nbits_takes_groups_by_index),
		cmocka_unit_test(matmul_nbits_names_what_does_not_fit),
		cmocka_unit_test(gather_block_quantized_dequantizes_rows),
		cmocka_unit_test(dynamic_quantize_matmul_is_near_the_product),
		cmocka_unit_test(dynamic_quantize_lstm_is_the_lstm_of_its_weights),
		cmocka_unit_test(multi_head_attention_masks_and_adds_the_bias),
		cmocka_unit_test(attention_projects_and_keeps_its_past),
		cmocka_unit_test(group_query_attention_appends_to_its_cache),
		cmocka_unit_test(embed_layer_normalization_adds_and_normalizes),
		cmocka_unit_test(nhwc_fused_conv_adds_its_residual),
		cmocka_unit_test(nhwc_max_pool_and_bias_split_gelu),
		cmocka_unit_test(fourier_transforms_invert_each_other),
		cmocka_unit_test(inverse_pivots),
		cmocka_unit_test(qlinear_reduce_mean_is_the_mean_of_what_the_bytes_mean),
		cmocka_unit_test(qlinear_reduce_mean_names_what_does_not_fit),
		cmocka_unit_test(qlinear_where_chooses_and_rounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
