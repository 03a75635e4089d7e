// SPDX-License-Identifier: MIT
/*
 * CausalConvWithState and LinearAttention: against their formulas, and a sequence in two pieces against the whole.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "tests/unit/cpu/op_case.h"

enum { BATCH = 2, STEPS = 7, HEADS = 4, KV_HEADS = 2, KEY = 3, VALUE = 5 };

/* Rows [first, last) of the middle axis of input @from, as a further input of @to. */
static void add_part(struct op_case *to, const struct op_case *from, size_t index, int axis, int64_t first,
		     int64_t last)
{
	const struct tensor *whole = &from->inputs[index];
	int64_t dims[4], inner = 1, outer = 1;
	struct tensor *part;

	memcpy(dims, whole->dims, sizeof(dims));
	dims[axis] = last - first;
	part = op_case_input(to, DTYPE_F32, whole->rank, dims);
	for (int i = 0; i < whole->rank; i++)
		*(i < axis ? &outer : &inner) *= i == axis ? 1 : whole->dims[i];
	for (int64_t o = 0; o < outer; o++)
		memcpy((float *)part->data + o * (last - first) * inner,
		       (float *)whole->data + (o * whole->dims[axis] + first) * inner,
		       (size_t)((last - first) * inner) * sizeof(float));
}

static void add_copy(struct op_case *to, const struct tensor *t)
{
	memcpy(op_case_input(to, DTYPE_F32, t->rank, t->dims)->data, t->data, tensor_bytes(t));
}

/* The state after every step, one state a head, and what the queries read from it, in double. */
static void linear_attention_follows_the_recurrence(void **state)
{
	static const struct {
		const char *rule;
		bool gated, delta;
	} rules[] = {
		{"linear", false, false}, {"gated", true, false}, {"delta", false, true}, {"gated_delta", true, true}};

	(void)state;
	for (size_t k = 0; k < 4; k++) {
		const float *q, *key, *v, *decay = NULL, *beta = NULL;
		struct op_case c;

		op_case_init(&c, "", "LinearAttention", 27);
		c.node.num_outputs = 2;
		op_case_string(&c, "update_rule", rules[k].rule);
		op_case_int(&c, "q_num_heads", HEADS);
		op_case_int(&c, "kv_num_heads", KV_HEADS);
		q = op_case_random(&c, 3, (int64_t[]){BATCH, STEPS, HEADS * KEY});
		key = op_case_random(&c, 3, (int64_t[]){BATCH, STEPS, KV_HEADS * KEY});
		v = op_case_random(&c, 3, (int64_t[]){BATCH, STEPS, KV_HEADS * VALUE});
		op_case_omit(&c);
		if (rules[k].gated)
			decay = op_case_random(&c, 3, (int64_t[]){BATCH, STEPS, KV_HEADS});
		else
			op_case_omit(&c);
		if (rules[k].delta)
			beta = op_case_random(&c, 3, (int64_t[]){BATCH, STEPS, 1});
		op_case_expect_ok(&c);
		for (int64_t b = 0; b < BATCH; b++)
			for (int64_t h = 0; h < HEADS; h++) {
				double s[KEY][VALUE] = {{0}};
				int64_t kv = h / (HEADS / KV_HEADS);

				for (int64_t t = 0; t < STEPS; t++) {
					int64_t row = b * STEPS + t;

					for (int m = 0; m < VALUE; m++) {
						double value = v[(row * KV_HEADS + kv) * VALUE + m], y = 0, kept = 0;

						for (int d = 0; d < KEY; d++) {
							if (decay)
								s[d][m] *= exp((double)decay[row * KV_HEADS + kv]);
							kept += s[d][m] * key[(row * KV_HEADS + kv) * KEY + d];
						}
						if (beta)
							value = beta[row] * (value - kept);
						for (int d = 0; d < KEY; d++) {
							s[d][m] += key[(row * KV_HEADS + kv) * KEY + d] * value;
							y += q[(row * HEADS + h) * KEY + d] * s[d][m] / sqrt(KEY);
						}
						assert_float_equal(
							((float *)c.outputs[0].data)[(row * HEADS + h) * VALUE + m], y,
							1e-4);
					}
				}
				for (int i = 0; i < KEY * VALUE; i++)
					assert_float_equal(
						((float *)c.outputs[1].data)[(b * KV_HEADS + kv) * KEY * VALUE + i],
						s[i / VALUE][i % VALUE], 1e-4);
			}
		op_case_finish(&c);
	}
}

static void a_convolution_in_two_pieces_is_the_whole(void **state)
{
	int64_t channels = 3;

	(void)state;
	for (int64_t cut = 1; cut < STEPS; cut++) {
		struct op_case whole, first, second, *all[] = {&whole, &first, &second};

		for (int i = 0; i < 3; i++) {
			op_case_init(all[i], "", "CausalConvWithState", 27);
			all[i]->node.num_outputs = 2;
			op_case_string(all[i], "activation", "silu");
		}
		op_case_random(&whole, 3, (int64_t[]){BATCH, channels, STEPS});
		op_case_random(&whole, 3, (int64_t[]){channels, 1, 4});
		op_case_random(&whole, 1, &channels);
		op_case_expect_ok(&whole);
		for (int i = 1; i < 3; i++) {
			add_part(all[i], &whole, 0, 2, i == 1 ? 0 : cut, i == 1 ? cut : STEPS);
			add_copy(all[i], &whole.inputs[1]);
			add_copy(all[i], &whole.inputs[2]);
			if (i == 2)
				add_copy(&second, &first.outputs[1]);
			op_case_expect_ok(all[i]);
		}
		for (int64_t plane = 0; plane < BATCH * channels; plane++)
			for (int64_t i = 0; i < STEPS; i++) {
				double sum = ((float *)whole.inputs[2].data)[plane % channels];
				float y = ((float *)whole.outputs[0].data)[plane * STEPS + i];
				float part =
					i < cut ? ((float *)first.outputs[0].data)[plane * cut + i]
						: ((float *)second.outputs[0].data)[plane * (STEPS - cut) + i - cut];

				for (int64_t t = 0; t < 4; t++)
					if (i + t >= 3)
						sum += ((float *)whole.inputs[1].data)[plane % channels * 4 + t] *
						       ((float *)whole.inputs[0].data)[plane * STEPS + i + t - 3];
				assert_float_equal(y, sum / (1 + exp(-sum)), 1e-5);
				assert_float_equal(part, y, 1e-5);
			}
		expect_same_bytes(&second.outputs[1], whole.outputs[1].data);
		for (int i = 0; i < 3; i++)
			op_case_finish(all[i]);
	}
}

static void streaming_operators_say_what_does_not_fit(void **state)
{
	int64_t x[3] = {1, 2, 4}, w[3] = {3, 1, 2};
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "CausalConvWithState", 27);
	op_case_random(&c, 3, x);
	op_case_random(&c, 3, w);
	op_case_expect_error(&c, -EINVAL, "the weight [channels, 1, taps]");
	op_case_finish(&c);
	op_case_init(&c, "", "LinearAttention", 27);
	op_case_int(&c, "q_num_heads", 2);
	op_case_int(&c, "kv_num_heads", 2);
	for (int i = 0; i < 3; i++)
		op_case_random(&c, 3, x);
	op_case_expect_error(&c, -EINVAL, "gated_delta needs decay");
	op_case_finish(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linear_attention_follows_the_recurrence),
		cmocka_unit_test(a_convolution_in_two_pieces_is_the_whole),
		cmocka_unit_test(streaming_operators_say_what_does_not_fit),
	};

	random_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
