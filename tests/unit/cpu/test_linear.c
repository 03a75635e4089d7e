/* SPDX-License-Identifier: MIT */
/* axl Linear and QLinear: bits of the integer form against its definition, and what they refuse. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "tests/unit/cpu/op_case.h"

enum { X, X_SCALE, X_ZERO, W, W_SCALE, W_ZERO, BIAS, RESIDUAL, Y_SCALE, Y_ZERO };

static void add_zero(struct op_case *c, enum dtype type, int value)
{
	*(uint8_t *)op_case_input(c, type, 0, NULL)->data = (uint8_t)value;
}

/* y[m][n] of the case as the head of linear.c says it, Relu being the activation. */
static void expect_qlinear(const struct op_case *c, int64_t m, int64_t k, int64_t n, bool integers)
{
	const uint8_t *x = c->inputs[X].data;
	const int8_t *w = c->inputs[W].data;
	const float *w_scale = c->inputs[W_SCALE].data, *residual = c->inputs[RESIDUAL].data;
	float x_scale = *(const float *)c->inputs[X_SCALE].data;

	for (int64_t i = 0; i < m; i++)
		for (int64_t j = 0; j < n; j++) {
			int32_t sum = ((const int32_t *)c->inputs[BIAS].data)[j];
			float f, scaled;

			for (int64_t p = 0; p < k; p++)
				sum += (x[i * k + p] - 100) * w[p * n + j];
			f = (float)sum * (x_scale * w_scale[j]);
			f = (f > 0 ? f : 0) + residual[i * n + j];
			if (!integers) {
				assert_true(((const float *)c->outputs[0].data)[i * n + j] == f);
				continue;
			}
			scaled = nearbyintf(f / *(const float *)c->inputs[Y_SCALE].data) + 7;
			scaled = scaled < 0 ? 0 : scaled > 255 ? 255 : scaled;
			assert_int_equal(((const uint8_t *)c->outputs[0].data)[i * n + j], (int)scaled);
		}
}

static void qlinear_is_exact(void **state)
{
	(void)state;
	for (int round = 0; round < 40; round++) {
		int64_t m = 1 + random_below(20), k = 1 + random_below(90), n = 1 + random_below(40);
		bool integers = round & 1;
		struct op_case c;
		float *w_scale;

		op_case_init(&c, "axl", "QLinear", 1);
		op_case_string(&c, "activation", "Relu");
		op_case_random_bytes(&c, DTYPE_U8, 2, (int64_t[]){m, k});
		op_case_scalar_f32(&c, 0.03f);
		add_zero(&c, DTYPE_U8, 100);
		op_case_random_bytes(&c, DTYPE_S8, 2, (int64_t[]){k, n});
		w_scale = op_case_random(&c, 1, &n);
		for (int64_t j = 0; j < n; j++)
			w_scale[j] = fabsf(w_scale[j]) + 0.01f;
		add_zero(&c, DTYPE_S8, 0);
		op_case_input(&c, DTYPE_S32, 1, &n);
		for (int64_t j = 0; j < n; j++)
			((int32_t *)c.inputs[BIAS].data)[j] = (int32_t)random_below(20000) - 10000;
		op_case_random(&c, 2, (int64_t[]){m, n});
		if (integers) {
			op_case_scalar_f32(&c, 0.4f);
			add_zero(&c, DTYPE_U8, 7);
		}
		op_case_expect_ok(&c);
		expect_qlinear(&c, m, k, n, integers);
		op_case_finish(&c);
	}
}

static void linear(struct op_case *c, int64_t bias, const char *activation)
{
	op_case_init(c, "axl", "Linear", 1);
	op_case_random(c, 2, (int64_t[]){3, 5});
	op_case_random(c, 2, (int64_t[]){5, 4});
	op_case_random(c, 1, &bias);
	if (activation)
		op_case_string(c, "activation", activation);
}

static void wrong_forms_are_refused(void **state)
{
	struct op_case c;

	(void)state;
	linear(&c, 4, NULL);
	op_case_expect_ok(&c);
	op_case_finish(&c);
	linear(&c, 3, NULL);
	op_case_expect_error(&c, -EINVAL, "input 2 must be 4 elements of float32");
	op_case_finish(&c);
	linear(&c, 4, "Softsign");
	op_case_expect_error(&c, -ENOTSUP, "attribute activation");
	op_case_finish(&c);
	linear(&c, 4, NULL);
	op_case_random(&c, 2, (int64_t[]){3, 3});
	op_case_expect_error(&c, -EINVAL, "input 3 must be 12 elements of float32");
	op_case_finish(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qlinear_is_exact),
		cmocka_unit_test(wrong_forms_are_refused),
	};

	random_seed();
	return cmocka_run_group_tests_name("linear", tests, NULL, NULL);
}
