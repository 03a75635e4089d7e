// SPDX-License-Identifier: MIT
/* com.microsoft operators of diffusion models, T5 and WavLM, against their definitions in double. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "tests/unit/cpu/op_case.h"

#define MS "com.microsoft"
enum { N = 2, C = 12, H = 3, W = 5, IMAGE = C * H * W };

/* Element @i, 0 where there is no such input. */
static double element(const struct tensor *t, int i)
{
	return t->data ? (double)((const float *)t->data)[i] : 0;
}

/* Channel and position of element @i of an image. */
static int channel_of(bool last, int i)
{
	return last ? i % C : i / (H * W);
}

/* The definition, from the inputs of @c: s = x + skip + bias, normalized by groups, scaled, SiLU. */
static void expect_group_norm(const struct op_case *c, bool last, int groups, bool silu, bool skip_each)
{
	const float *y = c->outputs[0].data;

	for (int n = 0; n < N; n++) {
		double s[IMAGE], sum[C] = {0}, squares[C] = {0};
		int each = C / groups * H * W;

		for (int i = 0; i < IMAGE; i++) {
			int channel = channel_of(last, i);
			double skip = element(&c->inputs[3], skip_each ? n * IMAGE + i : n * C + channel);

			s[i] = element(&c->inputs[0], n * IMAGE + i) + skip + element(&c->inputs[4], channel);
			sum[channel / (C / groups)] += s[i];
			if (c->node.num_outputs > 1)
				assert_float_equal(((const float *)c->outputs[1].data)[n * IMAGE + i], s[i], 1e-5);
		}
		for (int i = 0; i < IMAGE; i++) {
			double centred = s[i] - sum[channel_of(last, i) / (C / groups)] / each;

			squares[channel_of(last, i) / (C / groups)] += centred * centred;
		}
		for (int i = 0; i < IMAGE; i++) {
			int channel = channel_of(last, i), group = channel / (C / groups);
			double v = (s[i] - sum[group] / each) / sqrt(squares[group] / each + 1e-3) *
					   element(&c->inputs[1], channel) +
				   element(&c->inputs[2], channel);

			assert_float_equal(y[n * IMAGE + i], silu ? v / (1 + exp(-v)) : v, 1e-5);
		}
	}
}

static void start_group_norm(struct op_case *c, const char *op_type, int form, int groups)
{
	static const int64_t last_dims[] = {N, H, W, C}, second_dims[] = {N, C, H, W};

	op_case_init(c, MS, op_type, 1);
	op_case_int(c, "groups", groups);
	op_case_int(c, "activation", form & 1);
	op_case_float(c, "epsilon", 1e-3f);
	if (!(form & 2))
		op_case_int(c, "channels_last", 0);
	op_case_random(c, 4, form & 2 ? last_dims : second_dims);
	op_case_random(c, 1, (int64_t[]){C});
	op_case_random(c, 1, (int64_t[]){C});
}

static void group_norm_in_both_layouts(void **state)
{
	(void)state;
	random_seed();
	for (int form = 0; form < 4; form++)
		for (int groups = 1; groups <= C; groups *= groups < 3 ? 3 : 4) {
			struct op_case c;

			start_group_norm(&c, "GroupNorm", form, groups);
			op_case_expect_ok(&c);
			expect_group_norm(&c, form & 2, groups, form & 1, false);
			op_case_finish(&c);
		}
}

/* The skip by elements or by channels, with and without a bias, the sum asked for or not. */
static void skip_group_norm_adds_first(void **state)
{
	(void)state;
	for (int form = 0; form < 32; form++) {
		bool each = form & 4;
		struct op_case c;

		start_group_norm(&c, "SkipGroupNorm", form, 4);
		if (each)
			op_case_random(&c, 4, c.inputs[0].dims);
		else if (form & 2)
			op_case_random(&c, 4, (int64_t[]){N, 1, 1, C});
		else
			op_case_random(&c, 2, (int64_t[]){N, C});
		if (form & 8)
			op_case_random(&c, 1, (int64_t[]){C});
		c.node.num_outputs = form & 16 ? 2 : 1;
		op_case_expect_ok(&c);
		expect_group_norm(&c, form & 2, 4, form & 1, each);
		op_case_finish(&c);
	}
}

static void group_norms_that_do_not_fit(void **state)
{
	struct op_case c;

	(void)state;
	start_group_norm(&c, "SkipGroupNorm", 2, 5);
	op_case_random(&c, 2, (int64_t[]){N, C});
	op_case_expect_error(&c, -EINVAL, "SkipGroupNorm: 12 channels in 5 groups");
	c.attrs[0].i = 0;
	op_case_expect_error(&c, -EINVAL, "12 channels in 0 groups");
	c.attrs[0].i = 4;
	c.attrs[1].i = 2;
	op_case_expect_error(&c, -EINVAL, "attribute activation is 2");
	c.attrs[1].i = 1;
	c.inputs[3].dims[1] = C - 1;
	op_case_expect_error(&c, -EINVAL, "the skip (input 3)");
	c.inputs[3].dims[1] = C;
	c.inputs[2].dims[0] = C - 1;
	op_case_expect_error(&c, -EINVAL, "input 2 has 11 elements for 12 channels");
	c.inputs[2].dims[0] = C;
	op_case_finish(&c);
}

/* T5's own table: 32 buckets, 128 positions; the buckets are those of its published function for these distances. */
static void relative_positions_have_the_buckets_of_t5(void **state)
{
	static const struct {
		int distance, one_way, two_ways; /* key - query */
	} known[] = {{0, 0, 0},     {-1, 1, 1},    {-7, 7, 7},     {-8, 8, 8},     {-15, 15, 9}, {-16, 16, 10},
		     {-20, 17, 10}, {-60, 26, 13}, {-127, 31, 15}, {-199, 31, 15}, {1, 0, 17},   {7, 0, 23},
		     {8, 0, 24},    {20, 0, 26},   {127, 0, 31},   {199, 0, 31}};
	enum { BUCKETS = 32, HEADS = 2, LENGTH = 200 };

	(void)state;
	for (int two_ways = 0; two_ways < 2; two_ways++) {
		const int64_t length = LENGTH;
		struct op_case c;
		const float *y;

		op_case_init(&c, MS, "RelativePositionBias", 1);
		op_case_int(&c, "max_distance", 128);
		op_case_int(&c, "is_bidirectional", two_ways);
		op_case_input(&c, DTYPE_F32, 2, (int64_t[]){BUCKETS, HEADS});
		for (int i = 0; i < BUCKETS * HEADS; i++)
			((float *)c.inputs[0].data)[i] = (float)i;
		*(int64_t *)op_case_input(&c, DTYPE_S64, 1, (int64_t[]){1})->data = length;
		*(int64_t *)op_case_input(&c, DTYPE_S64, 1, (int64_t[]){1})->data = length;
		op_case_expect_ok(&c);
		y = c.outputs[0].data;
		for (int h = 0; h < HEADS; h++)
			for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
				int query = known[i].distance < 0 ? LENGTH - 1 : 0, key = query + known[i].distance;

				assert_int_equal(y[(h * LENGTH + query) * LENGTH + key],
						 h * BUCKETS + (two_ways ? known[i].two_ways : known[i].one_way));
			}
		*(int64_t *)c.inputs[2].data = length - 1;
		op_case_expect_error(&c, -EINVAL, "200 queries and 199 keys");
		*(int64_t *)c.inputs[2].data = length;
		c.attrs[0].i = 8;
		op_case_expect_error(&c, -EINVAL, "32 buckets for a max_distance of 8");
		op_case_finish(&c);
	}
}

static double logistic(double x)
{
	return 1 / (1 + exp(-x));
}

static void gated_relative_positions(void **state)
{
	enum { HEADS = 3, SIZE = 4, ROWS = 5, GATES = 6 };
	const float *q, *query_bias, *relative, *w, *b, *eco, *y;
	struct op_case c;

	(void)state;
	op_case_init(&c, MS, "GatedRelativePositionBias", 1);
	op_case_int(&c, "num_heads", HEADS);
	q = op_case_random(&c, 3, (int64_t[]){N, ROWS, HEADS * SIZE});
	query_bias = op_case_random(&c, 1, (int64_t[]){HEADS * SIZE});
	relative = op_case_random(&c, 4, (int64_t[]){1, HEADS, ROWS, ROWS});
	w = op_case_random(&c, 2, (int64_t[]){SIZE, GATES});
	b = op_case_random(&c, 1, (int64_t[]){GATES});
	eco = op_case_random(&c, 4, (int64_t[]){1, HEADS, 1, 1});
	op_case_expect_ok(&c);
	y = c.outputs[0].data;
	for (int i = 0; i < N * HEADS * ROWS; i++) {
		int row = i % ROWS, head = i / ROWS % HEADS, n = i / ROWS / HEADS;
		double half[2] = {0, 0}, gate;

		for (int d = 0; d < GATES; d++) {
			half[d / (GATES / 2)] += (double)b[d];
			for (int j = 0; j < SIZE; j++)
				half[d / (GATES / 2)] += ((double)q[((n * ROWS + row) * HEADS + head) * SIZE + j] +
							  (double)query_bias[head * SIZE + j]) *
							 (double)w[j * GATES + d];
		}
		gate = logistic(half[0]) * (logistic(half[1]) * (double)eco[head] - 1) + 2;
		for (int k = 0; k < ROWS; k++)
			assert_float_equal(y[i * ROWS + k], gate * (double)relative[(head * ROWS + row) * ROWS + k],
					   1e-5);
	}
	c.inputs[4].dims[0] = GATES - 1;
	op_case_expect_error(&c, -EINVAL, "input 4 has 5 elements, not 6");
	c.inputs[4].dims[0] = GATES;
	op_case_input(&c, DTYPE_S32, 2, (int64_t[]){N, ROWS});
	op_case_expect_error(&c, -ENOTSUP, "token_offset (input 6) is not implemented");
	op_case_finish(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(group_norm_in_both_layouts),
		cmocka_unit_test(skip_group_norm_adds_first),
		cmocka_unit_test(group_norms_that_do_not_fit),
		cmocka_unit_test(relative_positions_have_the_buckets_of_t5),
		cmocka_unit_test(gated_relative_positions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
