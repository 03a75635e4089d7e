// SPDX-License-Identifier: MIT
/*
 * Gemm, MatMul and their fused forms against triple loops.
 */
#include "tests/unit/cpu/op_case.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static float at(const float *matrix, bool transposed, int64_t rows, int64_t columns, int64_t i, int64_t j)
{
	return transposed ? matrix[j * rows + i] : matrix[i * columns + j];
}

static double dot(const float *a, bool trans_a, const float *b, bool trans_b, int64_t m, int64_t n, int64_t k,
		  int64_t i, int64_t j)
{
	double sum = 0;

	for (int64_t l = 0; l < k; l++)
		sum += (double)at(a, trans_a, m, k, i, l) * at(b, trans_b, k, n, l, j);
	return sum;
}

/* Shape number @kind of a C that broadcasts to [m, n]. */
static int addend_dims(int kind, int64_t m, int64_t n, int64_t *dims)
{
	static const struct {
		int rank;
		bool rows, columns;
	} kinds[] = {{0, false, false}, {1, false, true}, {1, false, false},
		     {2, true, true},   {2, true, false}, {2, false, true}};

	dims[0] = kinds[kind].rows ? m : 1;
	dims[1] = kinds[kind].columns ? n : 1;
	if (kinds[kind].rank == 1)
		dims[0] = dims[1];
	return kinds[kind].rank;
}

static void check_gemm(struct cpu_pool *pool, int round)
{
	int64_t m = round % 5 ? 1 + random_below(70) : 1, n = 1 + random_below(90),
		k = 1 + random_below(round % 7 ? 60 : 700);
	bool trans_a = random_below(2), trans_b = random_below(2);
	int64_t a_dims[2] = {trans_a ? k : m, trans_a ? m : k}, b_dims[2] = {trans_b ? n : k, trans_b ? k : n},
		c_dims[2];
	int kind = round % 7, rank = kind < 6 ? addend_dims(kind, m, n, c_dims) : -1;
	float alpha = random_below(2) ? 1 : 0.5f, beta = random_below(2) ? 1 : -2, *y;
	bool relu = random_below(2);
	const float *a, *b, *c = NULL;
	struct op_case cs;

	op_case_init(&cs, relu ? "com.microsoft" : "", relu ? "FusedGemm" : "Gemm", relu ? 1 : 13);
	op_case_int(&cs, "transA", trans_a);
	op_case_int(&cs, "transB", trans_b);
	op_case_float(&cs, "alpha", alpha);
	op_case_float(&cs, "beta", beta);
	if (relu)
		op_case_string(&cs, "activation", "Relu");
	a = op_case_random(&cs, 2, a_dims);
	b = op_case_random(&cs, 2, b_dims);
	cs.constants = random_below(2) ? 1u << 1 : 0; /* packed once, or for the call */
	if (rank >= 0)
		c = op_case_random(&cs, rank, c_dims);
	cs.pool = pool;
	op_case_expect_ok(&cs);
	expect_shape(&cs.outputs[0], 2, (int64_t[]){m, n});
	y = malloc((size_t)(m * n) * sizeof(*y));
	for (int64_t i = 0; i < m; i++)
		for (int64_t j = 0; j < n; j++) {
			double v = alpha * dot(a, trans_a, b, trans_b, m, n, k, i, j);
			bool rows = rank == 2 && c_dims[0] > 1, columns = rank > 0 && c_dims[rank - 1] > 1;

			if (c)
				v += beta * c[(rows ? i * (columns ? n : 1) : 0) + (columns ? j : 0)];
			y[i * n + j] = (float)(relu && v < 0 ? 0 : v);
		}
	expect_near(&cs.outputs[0], y, 1e-5, 1e-4);
	free(y);
	op_case_finish(&cs);
}

static void gemm_follows_the_formula(void **state)
{
	struct cpu_pool *pool;

	(void)state;
	assert_int_equal(cpu_pool_create(2, &pool), 0);
	for (int round = 0; round < 140; round++)
		check_gemm(round % 2 ? pool : NULL, round);
	cpu_pool_destroy(pool);
}

static void matmul_broadcasts_the_batch(void **state)
{
	static const struct {
		int a_rank, b_rank, y_rank;
		int64_t a[4], b[4], y[4];
	} cases[] = {
		{2, 2, 2, {5, 7}, {7, 9}, {5, 9}},
		{3, 2, 3, {4, 5, 7}, {7, 9}, {4, 5, 9}},
		{2, 3, 3, {5, 7}, {4, 7, 9}, {4, 5, 9}},
		{4, 3, 4, {2, 1, 5, 7}, {3, 7, 9}, {2, 3, 5, 9}},
		{4, 4, 4, {1, 3, 20, 33}, {2, 1, 33, 40}, {2, 3, 20, 40}},
		{1, 2, 1, {7}, {7, 9}, {9}},
		{2, 1, 1, {5, 7}, {7}, {5}},
		{1, 1, 0, {7}, {7}, {0}},
		{1, 3, 2, {7}, {4, 7, 9}, {4, 9}},
		{3, 1, 2, {4, 5, 7}, {7}, {4, 5}},
	};

	(void)state;
	for (size_t t = 0; t < sizeof(cases) / sizeof(cases[0]); t++) {
		struct op_case c;
		const float *a, *b;
		float *y;
		int64_t m, n, k, a_batch[2] = {1, 1}, b_batch[2] = {1, 1}, batch[2];
		int ar = cases[t].a_rank, br = cases[t].b_rank;

		op_case_init(&c, "", "MatMul", 13);
		a = op_case_random(&c, ar, cases[t].a);
		b = op_case_random(&c, br, cases[t].b);
		op_case_expect_ok(&c);
		expect_shape(&c.outputs[0], cases[t].y_rank, cases[t].y);
		k = cases[t].a[ar - 1];
		m = ar > 1 ? cases[t].a[ar - 2] : 1;
		n = br > 1 ? cases[t].b[br - 1] : 1;
		for (int i = 0; i < 2; i++) {
			if (ar - 3 - i >= 0)
				a_batch[1 - i] = cases[t].a[ar - 3 - i];
			if (br - 3 - i >= 0)
				b_batch[1 - i] = cases[t].b[br - 3 - i];
		}
		for (int i = 0; i < 2; i++)
			batch[i] = a_batch[i] > b_batch[i] ? a_batch[i] : b_batch[i];
		y = malloc((size_t)(batch[0] * batch[1] * m * n) * sizeof(*y));
		for (int64_t i = 0; i < batch[0] * batch[1] * m * n; i++) {
			int64_t p = i / (m * n) / batch[1], q = i / (m * n) % batch[1];
			int64_t am = (a_batch[0] > 1 ? p : 0) * a_batch[1] + (a_batch[1] > 1 ? q : 0);
			int64_t bm = (b_batch[0] > 1 ? p : 0) * b_batch[1] + (b_batch[1] > 1 ? q : 0);

			y[i] = (float)dot(a + am * m * k, false, b + bm * k * n, false, m, n, k, i / n % m, i % n);
		}
		expect_near(&c.outputs[0], y, 1e-5, 2e-5);
		free(y);
		op_case_finish(&c);
	}
}

static void fused_matmul_scales_and_transposes(void **state)
{
	int64_t a_dims[3] = {3, 11, 6}, b_dims[3] = {3, 8, 11};
	struct op_case c;
	const float *a, *b;
	float y[3 * 6 * 8];

	(void)state;
	op_case_init(&c, "com.microsoft", "FusedMatMul", 1);
	op_case_float(&c, "alpha", 0.125f);
	op_case_int(&c, "transA", 1);
	op_case_int(&c, "transB", 1);
	a = op_case_random(&c, 3, a_dims);
	b = op_case_random(&c, 3, b_dims);
	op_case_expect_ok(&c);
	for (int i = 0; i < 3 * 6 * 8; i++)
		y[i] = 0.125f * (float)dot(a + i / 48 * 66, true, b + i / 48 * 88, true, 6, 8, 11, i / 8 % 6, i % 8);
	expect_near(&c.outputs[0], y, 1e-5, 1e-5);
	op_case_finish(&c);
}

static void matmul_of_integers_wraps(void **state)
{
	int64_t dims[2] = {2, 2};
	int32_t a[4] = {INT32_MAX, 1, -5, 7}, b[4] = {2, 3, 4, -6}, y[4] = {2, INT32_MAX - 8, 18, -57};
	struct op_case c;

	(void)state;
	y[0] = (int32_t)((uint32_t)INT32_MAX * 2u + 4u);
	y[1] = (int32_t)((uint32_t)INT32_MAX * 3u - 6u);
	op_case_init(&c, "", "MatMul", 13);
	memcpy(op_case_input(&c, DTYPE_S32, 2, dims)->data, a, sizeof(a));
	memcpy(op_case_input(&c, DTYPE_S32, 2, dims)->data, b, sizeof(b));
	op_case_expect_ok(&c);
	expect_same_bytes(&c.outputs[0], y);
	op_case_finish(&c);
}

static void doubles_are_products_too(void **state)
{
	int64_t a_dims[2] = {3, 1}, b_dims[2] = {3, 2};
	double a[3] = {1, 2, 3}, b[6] = {1, 10, 100, 0.5, 2, 4}, y[2] = {207, 23};
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Gemm", 13);
	op_case_int(&c, "transA", 1);
	memcpy(op_case_input(&c, DTYPE_F64, 2, a_dims)->data, a, sizeof(a));
	memcpy(op_case_input(&c, DTYPE_F64, 2, b_dims)->data, b, sizeof(b));
	op_case_expect_ok(&c);
	expect_same_bytes(&c.outputs[0], y);
	op_case_finish(&c);
}

static void half_floats_are_computed_in_float(void **state)
{
	int64_t dims[2] = {2, 2};
	float a[4] = {1, 2, 3, 4}, b[4] = {0.5f, -1, 2, 8}, y[4] = {4.5f, 15, 9.5f, 29};
	struct op_case c;

	(void)state;
	for (int bf = 0; bf < 2; bf++) {
		enum dtype type = bf ? DTYPE_BF16 : DTYPE_F16;
		uint16_t *ha, *hb;

		op_case_init(&c, "", "MatMul", 13);
		ha = op_case_input(&c, type, 2, dims)->data;
		hb = op_case_input(&c, type, 2, dims)->data;
		for (int i = 0; i < 4; i++) {
			ha[i] = bf ? f32_to_bf16(a[i]) : f32_to_f16(a[i]);
			hb[i] = bf ? f32_to_bf16(b[i]) : f32_to_f16(b[i]);
		}
		op_case_expect_ok(&c);
		assert_int_equal(c.outputs[0].dtype, type);
		for (int i = 0; i < 4; i++)
			assert_true(tensor_get_f64(&c.outputs[0], i) == y[i]);
		op_case_finish(&c);
	}
}

static void products_that_do_not_fit_are_refused(void **state)
{
	int64_t a_dims[2] = {2, 3}, b_dims[2] = {4, 5}, c_dims[2] = {2, 4}, batch_a[3] = {2, 2, 3},
		batch_b[3] = {3, 3, 2};
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "MatMul", 13);
	op_case_random(&c, 2, a_dims);
	op_case_random(&c, 2, b_dims);
	op_case_expect_error(&c, -EINVAL, "not a product");
	op_case_finish(&c);

	b_dims[0] = 3;
	op_case_init(&c, "", "Gemm", 13);
	op_case_random(&c, 2, a_dims);
	op_case_random(&c, 2, b_dims);
	op_case_random(&c, 2, c_dims);
	op_case_expect_error(&c, -EINVAL, "input 2");
	op_case_finish(&c);

	op_case_init(&c, "", "MatMul", 13);
	op_case_random(&c, 3, batch_a);
	op_case_random(&c, 3, batch_b);
	op_case_expect_error(&c, -EINVAL, "broadcast");
	op_case_finish(&c);

	op_case_init(&c, "", "MatMul", 13);
	op_case_random(&c, 2, a_dims);
	op_case_expect_error(&c, -EINVAL, "inputs");
	op_case_finish(&c);
}

static void empty_products_are_zero(void **state)
{
	int64_t a_dims[2] = {2, 0}, b_dims[2] = {0, 3};
	float zero[6] = {0};
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "MatMul", 13);
	op_case_random(&c, 2, a_dims);
	op_case_random(&c, 2, b_dims);
	op_case_expect_ok(&c);
	expect_shape(&c.outputs[0], 2, (int64_t[]){2, 3});
	expect_near(&c.outputs[0], zero, 0, 0);
	op_case_finish(&c);
}

static int seed(void **state)
{
	(void)state;
	random_seed();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gemm_follows_the_formula),
		cmocka_unit_test(matmul_broadcasts_the_batch),
		cmocka_unit_test(fused_matmul_scales_and_transposes),
		cmocka_unit_test(matmul_of_integers_wraps),
		cmocka_unit_test(doubles_are_products_too),
		cmocka_unit_test(half_floats_are_computed_in_float),
		cmocka_unit_test(products_that_do_not_fit_are_refused),
		cmocka_unit_test(empty_products_are_zero),
	};

	return cmocka_run_group_tests(tests, seed, NULL);
}
