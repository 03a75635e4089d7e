// SPDX-License-Identifier: MIT
/*
 * Reductions, ArgMax, TopK and Einsum against plain loops over all elements, on random shapes and axes.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/cpu/op_case.h"

/* Index of the output element that input element @i is folded into. */
static int64_t folded_index(const struct tensor *in, const bool *reduced, int64_t i)
{
	int64_t at = 0, stride = 1;

	for (int d = in->rank - 1; d >= 0; d--) {
		if (!reduced[d]) {
			at += i % in->dims[d] * stride;
			stride *= in->dims[d];
		}
		i /= in->dims[d];
	}
	return at;
}

/* One of the operators, by the plain definition, in double. */
static void fold(const char *op, const struct tensor *in, const bool *reduced, int64_t outputs, double *out)
{
	int64_t count = outputs ? tensor_count(in) / outputs : 0;
	bool largest = !strcmp(op, "ReduceMax");

	for (int64_t i = 0; i < outputs; i++)
		out[i] = largest ? -INFINITY : 0;
	for (int64_t i = 0; i < tensor_count(in); i++) {
		double *sum = &out[folded_index(in, reduced, i)], x = ((float *)in->data)[i];

		if (largest)
			*sum = fmax(*sum, x);
		else
			*sum += !strcmp(op, "ReduceL2")          ? x * x
				: !strcmp(op, "ReduceL1")        ? fabs(x)
				: !strcmp(op, "ReduceLogSumExp") ? exp(x)
								 : x;
	}
	for (int64_t i = 0; i < outputs; i++) {
		if (!strcmp(op, "ReduceMean"))
			out[i] /= (double)count;
		else if (!strcmp(op, "ReduceL2"))
			out[i] = sqrt(out[i]);
		else if (!strcmp(op, "ReduceLogSumExp"))
			out[i] = log(out[i]);
	}
}

static void reduce_once(struct cpu_pool *pool, const char *op, bool large)
{
	int64_t dims[5], axes[5], kept[5];
	int rank = 1 + random_below(5), count = 0, rank_out = 0;
	bool reduced[5], keep = random_below(2);
	struct op_case c;
	double *want;

	op_case_init(&c, "", op, 13);
	c.pool = pool;
	for (int i = 0; i < rank; i++) {
		dims[i] = 1 + random_below(large ? 30 : 6);
		reduced[i] = random_below(2);
		if (reduced[i])
			axes[count++] = random_below(2) ? i : i - rank;
	}
	for (int i = 0; i < rank; i++) {
		if (count == 0)
			reduced[i] = true;
		if (!reduced[i] || keep)
			kept[rank_out++] = reduced[i] ? 1 : dims[i];
	}
	if (large && dims_count(rank, dims) > 2000000)
		dims[0] = dims[1] = 1;
	rank_out = 0;
	for (int i = 0; i < rank; i++)
		if (!reduced[i] || keep)
			kept[rank_out++] = reduced[i] ? 1 : dims[i];
	op_case_random(&c, rank, dims);
	op_case_int(&c, "keepdims", keep);
	if (strcmp(op, "ReduceSum")) {
		op_case_ints(&c, "axes", count, axes);
	} else if (count) {
		memcpy(op_case_input(&c, DTYPE_S64, 1, (int64_t[]){count})->data, axes, count * sizeof(*axes));
	}
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], rank_out, kept);
	want = calloc(tensor_count(&c.outputs[0]) + 1, sizeof(*want));
	assert_non_null(want);
	fold(op, &c.inputs[0], reduced, tensor_count(&c.outputs[0]), want);
	for (int64_t i = 0; i < tensor_count(&c.outputs[0]); i++) {
		double got = ((float *)c.outputs[0].data)[i];

		assert_true(fabs(got - want[i]) <= 1e-5 + 1e-5 * fabs(want[i]));
	}
	free(want);
	op_case_finish(&c);
}

static void reductions_match_plain_loops(void **state)
{
	static const char *const ops[] = {"ReduceSum", "ReduceMean", "ReduceMax",
					  "ReduceL1",  "ReduceL2",   "ReduceLogSumExp"};
	struct cpu_pool *pool;

	(void)state;
	assert_int_equal(cpu_pool_create(3, &pool), 0);
	for (int i = 0; i < 600; i++)
		reduce_once(i % 2 ? pool : NULL, ops[i % 6], i % 100 == 0);
	cpu_pool_destroy(pool);
}

static void a_large_mean_keeps_its_digits(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "ReduceMean", 13);
	op_case_input(&c, DTYPE_F32, 1, (int64_t[]){1 << 22});
	for (int i = 0; i < 1 << 22; i++)
		((float *)c.inputs[0].data)[i] = 0.1f;
	op_case_expect_ok(&c);
	assert_true(*(float *)c.outputs[0].data == 0.1f);
	op_case_finish(&c);
}

static void log_sum_exp_does_not_overflow(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "ReduceLogSumExp", 13);
	memcpy(op_case_input(&c, DTYPE_F32, 1, (int64_t[]){2})->data, (float[]){1000, 1000}, 8);
	op_case_expect_ok(&c);
	assert_true(fabsf(*(float *)c.outputs[0].data - 1000.6931f) < 1e-3f);
	op_case_finish(&c);
}

static void arg_max_finds_the_first_or_the_last(void **state)
{
	(void)state;
	for (int last = 0; last < 2; last++) {
		struct op_case c;

		op_case_init(&c, "", "ArgMax", 13);
		op_case_int(&c, "axis", 1);
		op_case_int(&c, "keepdims", 0);
		op_case_int(&c, "select_last_index", last);
		memcpy(op_case_input(&c, DTYPE_F32, 2, (int64_t[]){2, 4})->data, (float[]){1, 3, 3, 0, -1, -1, -2, -1},
		       32);
		op_case_expect_ok(&c);
		expect_same_bytes(&c.outputs[0], last ? (int64_t[]){2, 3} : (int64_t[]){1, 0});
		op_case_finish(&c);
	}
}

/* The fast paths (last axis, inner block) against the definition, NaN included: the first NaN is the largest. */
static void arg_of_any_axis_matches_a_plain_loop(void **state)
{
	(void)state;
	for (int round = 0; round < 200; round++) {
		int64_t dims[3] = {1 + random_below(3), 1 + random_below(9), 1 + random_below(600)}, inner, length;
		bool least = random_below(2);
		int axis = random_below(3);
		struct op_case c;

		op_case_init(&c, "", least ? "ArgMin" : "ArgMax", 13);
		op_case_int(&c, "axis", axis);
		op_case_random(&c, 3, dims);
		for (int64_t i = 0; i < tensor_count(&c.inputs[0]); i++) {
			float *x = (float *)c.inputs[0].data + i;

			*x = !least && random_below(20) == 0 ? NAN : roundf(*x * 3);
		}
		op_case_expect_ok(&c);
		inner = dims_count(2 - axis, dims + axis + 1);
		length = dims[axis];
		for (int64_t i = 0; i < tensor_count(&c.outputs[0]); i++) {
			const float *x = (float *)c.inputs[0].data + i / inner * length * inner + i % inner;
			int64_t best = 0;

			for (int64_t k = 1; k < length && !isnan(x[best * inner]); k++)
				if (least ? x[k * inner] < x[best * inner]
					  : x[k * inner] > x[best * inner] || isnan(x[k * inner]))
					best = k;
			assert_int_equal(((int64_t *)c.outputs[0].data)[i], best);
		}
		op_case_finish(&c);
	}
}

static int descending(const void *left, const void *right)
{
	float a = *(const float *)left, b = *(const float *)right;

	return (a < b) - (a > b);
}

static void top_k_is_the_front_of_the_sorted_line(void **state)
{
	(void)state;
	for (int round = 0; round < 200; round++) {
		int64_t n = 1 + random_below(300), k = random_below(n + 1);
		float sorted[300];
		struct op_case c;

		op_case_init(&c, "", "TopK", 11);
		c.node.num_outputs = 2;
		op_case_random(&c, 1, &n);
		/* Some equal values, so that the index decides. */
		for (int64_t i = 0; i < n; i++)
			((float *)c.inputs[0].data)[i] = roundf(((float *)c.inputs[0].data)[i] * 20);
		*(int64_t *)op_case_input(&c, DTYPE_S64, 1, (int64_t[]){1})->data = k;
		memcpy(sorted, c.inputs[0].data, n * sizeof(float));
		qsort(sorted, n, sizeof(float), descending);
		op_case_expect_ok(&c);
		for (int64_t i = 0; i < k; i++) {
			int64_t at = ((int64_t *)c.outputs[1].data)[i];

			assert_true(((float *)c.outputs[0].data)[i] == sorted[i]);
			assert_true(((float *)c.inputs[0].data)[at] == sorted[i]);
			if (i > 0 && sorted[i] == sorted[i - 1])
				assert_true(at > ((int64_t *)c.outputs[1].data)[i - 1]);
		}
		op_case_finish(&c);
	}
}

/* bhid,bhjd->bhij, what attention computes: the path through MatMul against four loops. */
static void einsum_of_attention_matches_loops(void **state)
{
	enum { B = 2, H = 3, I = 5, J = 7, D = 4 };
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Einsum", 13);
	op_case_string(&c, "equation", "bhid, bhjd -> bhij");
	op_case_random(&c, 4, (int64_t[]){B, H, I, D});
	op_case_random(&c, 4, (int64_t[]){B, H, J, D});
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 4, (int64_t[]){B, H, I, J});
	for (int bh = 0; bh < B * H; bh++)
		for (int i = 0; i < I; i++)
			for (int j = 0; j < J; j++) {
				double sum = 0;

				for (int d = 0; d < D; d++)
					sum += (double)((float *)c.inputs[0].data)[(bh * I + i) * D + d] *
					       ((float *)c.inputs[1].data)[(bh * J + j) * D + d];
				assert_true(fabs(((float *)c.outputs[0].data)[(bh * I + i) * J + j] - sum) < 1e-5);
			}
	op_case_finish(&c);
}

static void errors_name_the_axis(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "ReduceMean", 13);
	op_case_ints(&c, "axes", 1, (int64_t[]){2});
	op_case_random(&c, 2, (int64_t[]){2, 3});
	op_case_expect_error(&c, -EINVAL, "axes");
	op_case_finish(&c);

	op_case_init(&c, "", "TopK", 11);
	c.node.num_outputs = 2;
	op_case_random(&c, 1, (int64_t[]){3});
	*(int64_t *)op_case_input(&c, DTYPE_S64, 1, (int64_t[]){1})->data = 4;
	op_case_expect_error(&c, -EINVAL, "k is 4");
	op_case_finish(&c);

	op_case_init(&c, "", "Einsum", 13);
	op_case_string(&c, "equation", "ij,jk->iz");
	op_case_random(&c, 2, (int64_t[]){2, 3});
	op_case_random(&c, 2, (int64_t[]){3, 2});
	op_case_expect_error(&c, -EINVAL, "output");
	op_case_finish(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reductions_match_plain_loops),
		cmocka_unit_test(a_large_mean_keeps_its_digits),
		cmocka_unit_test(log_sum_exp_does_not_overflow),
		cmocka_unit_test(arg_max_finds_the_first_or_the_last),
		cmocka_unit_test(arg_of_any_axis_matches_a_plain_loop),
		cmocka_unit_test(top_k_is_the_front_of_the_sorted_line),
		cmocka_unit_test(einsum_of_attention_matches_loops),
		cmocka_unit_test(errors_name_the_axis),
	};

	random_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
