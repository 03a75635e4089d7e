// SPDX-License-Identifier: MIT
/*
 * Attention against its definition, one score after another in double, over random shapes, masks, caches and windows; and
 * RotaryEmbedding against complex multiplication.
 */
#include <complex.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/cpu/op_case.h"

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, VALID };
enum { Y, PRESENT_KEY, PRESENT_VALUE, SCORES };

/* A call's sizes and switches, drawn at random. */
struct draw {
	int64_t batch, heads, kv_heads, queries, keys, past, size, value_size;
	bool rows; /* the layout [batch, sequence, heads * size] */
	bool causal, mask, mask_bool, padded;
	int64_t left, right, stage;
	float softcap;
};

static struct draw draw_call(bool large)
{
	struct draw d = {
		.batch = 1 + random_below(3),
		.kv_heads = 1 + random_below(3),
		.queries = 1 + random_below(large ? 130 : 5),
		.keys = 1 + random_below(large ? 600 : 7),
		.past = random_below(2) ? random_below(9) : 0,
		.size = 1 + random_below(20),
		.value_size = 1 + random_below(20),
		.rows = random_below(2),
		.causal = random_below(2),
		.mask = random_below(2),
		.mask_bool = random_below(2),
		.left = (int64_t)random_below(8) - 1,
		.right = (int64_t)random_below(8) - 1,
		.stage = random_below(4),
		.softcap = random_below(2) ? 1.5f : 0,
	};

	d.heads = d.kv_heads * (1 + random_below(3));
	d.padded = !d.past && random_below(2);
	if (random_below(2))
		d.left = d.right = -1;
	return d;
}

static const float *add_heads(struct op_case *c, const struct draw *d, int64_t heads, int64_t rows, int64_t size)
{
	if (d->rows)
		return op_case_random(c, 3, (int64_t[]){d->batch, rows, heads * size});
	return op_case_random(c, 4, (int64_t[]){d->batch, heads, rows, size});
}

static double element(const struct draw *d, const float *x, int64_t heads, int64_t rows, int64_t size, int64_t b,
		      int64_t h, int64_t i, int64_t j)
{
	return d->rows ? x[((b * rows + i) * heads + h) * size + j] : x[((b * heads + h) * rows + i) * size + j];
}

/* Key or value @j of the past and the new ones behind each other. */
static double cached(const struct draw *d, const float *past, const float *new, int64_t size, int64_t b, int64_t h,
		     int64_t j, int64_t e)
{
	if (j < d->past)
		return past[((b * d->kv_heads + h) * d->past + j) * size + e];
	return element(d, new, d->kv_heads, d->keys, size, b, h, j - d->past, e);
}

static bool is_visible(const struct draw *d, const struct op_case *c, int64_t b, int64_t i, int64_t j)
{
	int64_t valid = d->padded ? ((int64_t *)c->inputs[VALID].data)[b] : d->past + d->keys;
	int64_t at = i + (d->padded ? valid - d->queries : d->past);

	return j < valid && !(d->causal && j > at) && !(d->left >= 0 && j < at - d->left) &&
	       !(d->right >= 0 && j > at + d->right);
}

/* Scores of one query after each stage; the last are probabilities. */
static void score(const struct draw *d, const struct op_case *c, int64_t b, int64_t h, int64_t i,
		  double stages[4][1024])
{
	int64_t total = d->past + d->keys, group = h / (d->heads / d->kv_heads);
	double most = -INFINITY, sum = 0;

	for (int64_t j = 0; j < total; j++) {
		double dot = 0, bias = 0;

		for (int64_t e = 0; e < d->size; e++)
			dot += element(d, c->inputs[Q].data, d->heads, d->queries, d->size, b, h, i, e) *
			       cached(d, c->inputs[PAST_KEY].data, c->inputs[K].data, d->size, b, group, j, e);
		stages[0][j] = dot / sqrt((double)d->size);
		stages[1][j] = d->softcap > 0 ? d->softcap * tanh(stages[0][j] / d->softcap) : stages[0][j];
		if (d->mask && d->mask_bool)
			bias = ((uint8_t *)c->inputs[MASK].data)[i * total + j] ? 0 : -INFINITY;
		else if (d->mask)
			bias = ((float *)c->inputs[MASK].data)[i * total + j];
		stages[2][j] = is_visible(d, c, b, i, j) ? stages[1][j] + bias : -INFINITY;
		most = fmax(most, stages[2][j]);
	}
	for (int64_t j = 0; j < total; j++) {
		stages[3][j] = stages[2][j] == -INFINITY ? 0 : exp(stages[2][j] - most);
		sum += stages[3][j];
	}
	for (int64_t j = 0; j < total; j++)
		stages[3][j] = sum > 0 ? stages[3][j] / sum : 0;
}

static void expect_attention(const struct draw *d, struct op_case *c)
{
	int64_t total = d->past + d->keys;
	static double stages[4][1024];

	for (int64_t b = 0; b < d->batch; b++)
		for (int64_t h = 0; h < d->heads; h++)
			for (int64_t i = 0; i < d->queries; i++) {
				int64_t group = h / (d->heads / d->kv_heads);

				score(d, c, b, h, i, stages);
				for (int64_t e = 0; e < d->value_size; e++) {
					double y = 0, actual = element(d, c->outputs[Y].data, d->heads, d->queries,
								       d->value_size, b, h, i, e);

					for (int64_t j = 0; j < total; j++)
						y += stages[3][j] * cached(d, c->inputs[PAST_VALUE].data,
									   c->inputs[V].data, d->value_size, b, group,
									   j, e);
					assert_float_equal(actual, y, 1e-4);
				}
				for (int64_t j = 0; c->node.num_outputs > SCORES && j < total; j++) {
					double actual =
						((float *)c->outputs[SCORES]
							 .data)[((b * d->heads + h) * d->queries + i) * total + j];
					double want = stages[d->stage][j];

					assert_true(actual == want || fabs(actual - want) < 1e-4);
				}
			}
}

static void attend_once(bool large)
{
	struct draw d = draw_call(large);
	int64_t total = d.past + d.keys;
	struct op_case c;

	op_case_init(&c, "", "Attention", 25);
	c.node.num_outputs = random_below(2) ? 4 : 1;
	if (d.rows) {
		op_case_int(&c, "q_num_heads", d.heads);
		op_case_int(&c, "kv_num_heads", d.kv_heads);
	}
	op_case_int(&c, "is_causal", d.causal);
	op_case_int(&c, "left_window_size", d.left);
	op_case_int(&c, "right_window_size", d.right);
	op_case_int(&c, "qk_matmul_output_mode", d.stage);
	op_case_float(&c, "softcap", d.softcap);
	add_heads(&c, &d, d.heads, d.queries, d.size);
	add_heads(&c, &d, d.kv_heads, d.keys, d.size);
	add_heads(&c, &d, d.kv_heads, d.keys, d.value_size);
	if (d.mask && d.mask_bool) {
		struct tensor *mask = op_case_input(&c, DTYPE_BOOL, 2, (int64_t[]){d.queries, total});

		for (int64_t i = 0; i < tensor_count(mask); i++)
			((uint8_t *)mask->data)[i] = random_below(3) > 0;
	} else if (d.mask) {
		op_case_random(&c, 2, (int64_t[]){d.queries, total});
	} else {
		op_case_omit(&c);
	}
	if (d.past) {
		op_case_random(&c, 4, (int64_t[]){d.batch, d.kv_heads, d.past, d.size});
		op_case_random(&c, 4, (int64_t[]){d.batch, d.kv_heads, d.past, d.value_size});
	} else {
		op_case_omit(&c);
		op_case_omit(&c);
	}
	if (d.padded) {
		struct tensor *valid = op_case_input(&c, DTYPE_S64, 1, &d.batch);

		for (int64_t b = 0; b < d.batch; b++)
			((int64_t *)valid->data)[b] = random_below((uint32_t)total + 1);
	}
	op_case_expect_ok(&c);
	expect_attention(&d, &c);
	op_case_finish(&c);
}

static void attention_is_the_softmax_of_products(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++)
		attend_once(false);
	for (int i = 0; i < 15; i++)
		attend_once(true);
}

static void blocks_of_keys_carry_infinite_scores_on(void **state)
{
	/* Only one key in the third block of keys is seen: the blocks before it hold nothing but -infinity. */
	int64_t dims[4] = {1, 1, 1, 4}, keys[4] = {1, 1, 700, 4}, mask_dims[2] = {1, 700};
	const float *values;
	struct tensor *mask;
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Attention", 24);
	op_case_random(&c, 4, dims);
	op_case_random(&c, 4, keys);
	values = op_case_random(&c, 4, keys);
	mask = op_case_input(&c, DTYPE_BOOL, 2, mask_dims);
	((uint8_t *)mask->data)[600] = 1;
	op_case_expect_ok(&c);
	expect_near(&c.outputs[0], values + 600 * 4, 1e-6, 0);
	op_case_finish(&c);
}

static void attention_says_what_does_not_fit(void **state)
{
	int64_t q[4] = {1, 4, 2, 8}, k[4] = {1, 3, 2, 8}, mask[2] = {3, 2};
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Attention", 24);
	op_case_random(&c, 4, q);
	op_case_random(&c, 4, k);
	op_case_random(&c, 4, k);
	op_case_expect_error(&c, -EINVAL, "4 heads of queries for 3 heads of keys");
	op_case_finish(&c);
	op_case_init(&c, "", "Attention", 24);
	for (int i = 0; i < 3; i++)
		op_case_random(&c, 4, q);
	op_case_random(&c, 2, mask);
	op_case_expect_error(&c, -EINVAL, "dimension 0 of attn_mask");
	op_case_finish(&c);
	op_case_init(&c, "", "Attention", 24);
	for (int i = 0; i < 3; i++)
		op_case_random(&c, 3, q);
	op_case_expect_error(&c, -EINVAL, "q_num_heads");
	op_case_finish(&c);
}

/* Without graphs FlexAttention is Attention; a graph that nobody can run is an error, not left out. */
static void flex_attention_without_graphs_is_attention(void **state)
{
	int64_t q[4] = {2, 4, 5, 8}, k[4] = {2, 2, 6, 8};
	struct op_case plain, flex;

	(void)state;
	op_case_init(&plain, "", "Attention", 24);
	op_case_init(&flex, "ai.onnx.preview", "FlexAttention", 1);
	for (int i = 0; i < 3; i++) {
		const float *values = op_case_random(&plain, 4, i ? k : q);
		struct tensor *same = op_case_input(&flex, DTYPE_F32, 4, i ? k : q);

		memcpy(same->data, values, tensor_bytes(same));
	}
	op_case_expect_ok(&plain);
	op_case_expect_ok(&flex);
	expect_shape(&flex.outputs[0], 4, plain.outputs[0].dims);
	expect_near(&flex.outputs[0], plain.outputs[0].data, 1e-6, 0);
	op_case_int(&flex, "score_mod", 0);
	op_case_expect_error(&flex, -EINVAL, "must be a graph");
	op_case_finish(&plain);
	op_case_finish(&flex);
}

static void rotary_embedding_turns_pairs(void **state)
{
	int64_t dims[4] = {2, 3, 5, 8}, tables[2] = {9, 3}, ids_dims[2] = {2, 5};

	(void)state;
	for (int interleaved = 0; interleaved < 2; interleaved++) {
		const float *x, *cosine, *sine;
		struct tensor *ids;
		struct op_case c;

		op_case_init(&c, "", "RotaryEmbedding", 23);
		op_case_int(&c, "interleaved", interleaved);
		op_case_int(&c, "rotary_embedding_dim", 6);
		x = op_case_random(&c, 4, dims);
		cosine = op_case_random(&c, 2, tables);
		sine = op_case_random(&c, 2, tables);
		ids = op_case_input(&c, DTYPE_S64, 2, ids_dims);
		for (int i = 0; i < 10; i++)
			((int64_t *)ids->data)[i] = random_below(9);
		op_case_expect_ok(&c);
		for (int64_t i = 0; i < 2 * 3 * 5; i++) {
			int64_t at = ((int64_t *)ids->data)[i / 15 * 5 + i % 5];
			const float *y = (float *)c.outputs[0].data + i * 8;

			for (int64_t j = 0; j < 3; j++) {
				int64_t re = interleaved ? 2 * j : j, im = interleaved ? 2 * j + 1 : j + 3;
				double complex turned = ((double)x[i * 8 + re] + I * (double)x[i * 8 + im]) *
							((double)cosine[at * 3 + j] + I * (double)sine[at * 3 + j]);

				assert_float_equal(y[re], creal(turned), 1e-6);
				assert_float_equal(y[im], cimag(turned), 1e-6);
			}
			for (int64_t j = 6; j < 8; j++)
				assert_float_equal(y[j], x[i * 8 + j], 0);
		}
		((int64_t *)ids->data)[3] = 9;
		op_case_expect_error(&c, -EINVAL, "position 9 of 9");
		op_case_finish(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attention_is_the_softmax_of_products),
		cmocka_unit_test(blocks_of_keys_carry_infinite_scores_on),
		cmocka_unit_test(attention_says_what_does_not_fit),
		cmocka_unit_test(flex_attention_without_graphs_is_attention),
		cmocka_unit_test(rotary_embedding_turns_pairs),
	};

	random_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
