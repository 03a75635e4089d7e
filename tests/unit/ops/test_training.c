// SPDX-License-Identifier: MIT
/*
 * Det and the optimizers, against values from NumPy and against steps by hand.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "tests/unit/cpu/op_case.h"

#define TRAINING "ai.onnx.preview.training"

/* numpy.linalg.det; two matrices that are one another's with rows swapped. */
static void determinants_are_numpys(void **state)
{
	static const double rows[4][4] = {{2, -1, 0, 3}, {4, 1, -2, 0.5}, {0, 3, 1, 1}, {-1, 2, 2, -3}};
	static const enum dtype types[] = {DTYPE_F32, DTYPE_F64, DTYPE_F16, DTYPE_BF16};

	(void)state;
	for (size_t k = 0; k < 4; k++) {
		struct op_case c;
		struct tensor *in;

		op_case_init(&c, "", "Det", 22);
		in = op_case_input(&c, types[k], 3, (int64_t[]){3, 4, 4});
		for (int i = 0; i < 48; i++) {
			/* The third matrix has two equal rows. */
			int row = i / 16 == 0 ? i / 4 % 4 : i / 16 == 1 ? (i / 4 % 4) ^ 1 : i / 4 % 2;
			double x = i / 16 == 1 && i / 4 % 4 > 1 ? rows[i / 4 % 4][i % 4] : rows[row][i % 4];

			if (types[k] == DTYPE_F32)
				((float *)in->data)[i] = (float)x;
			else if (types[k] == DTYPE_F64)
				((double *)in->data)[i] = x;
			else
				((uint16_t *)in->data)[i] =
					types[k] == DTYPE_F16 ? f32_to_f16((float)x) : f32_to_bf16((float)x);
		}
		op_case_expect_ok(&c);
		assert_int_equal(c.outputs[0].dtype, types[k]);
		expect_shape(&c.outputs[0], 1, (int64_t[]){3});
		assert_true(fabs(tensor_get_f64(&c.outputs[0], 0) + 94.5) < 0.3);
		assert_true(fabs(tensor_get_f64(&c.outputs[0], 1) - 94.5) < 0.3);
		assert_true(fabs(tensor_get_f64(&c.outputs[0], 2)) < 1e-9);
		op_case_finish(&c);
	}
}

static void det_wants_square_matrices(void **state)
{
	struct op_case c;

	(void)state;
	op_case_init(&c, "", "Det", 11);
	op_case_random(&c, 2, (int64_t[]){3, 4});
	op_case_expect_error(&c, -EINVAL, "square matrices");
	op_case_finish(&c);
}

static void add_f64(struct op_case *c, double value)
{
	*(double *)op_case_input(c, DTYPE_F64, 1, (int64_t[]){1})->data = value;
}

static void start(struct op_case *c, const char *op, double rate, int64_t count)
{
	op_case_init(c, TRAINING, op, 1);
	*(double *)op_case_input(c, DTYPE_F64, 0, NULL)->data = rate;
	*(int64_t *)op_case_input(c, DTYPE_S64, 0, NULL)->data = count;
}

static void expect_f64(const struct op_case *c, size_t output, double want)
{
	assert_true(fabs(*(double *)c->outputs[output].data - want) < 1e-7);
}

static void adagrad_takes_its_step(void **state)
{
	struct op_case c;

	(void)state;
	/* x = 2, g = 3 + 0.5 * 2 = 4, h = 9 + 16 = 25, rate 0.1 / (1 + 4 * 0.25) = 0.05: x - 0.05 * 4 / 5. */
	start(&c, "Adagrad", 0.1, 4);
	op_case_float(&c, "norm_coefficient", 0.5f);
	op_case_float(&c, "decay_factor", 0.25f);
	add_f64(&c, 2);
	add_f64(&c, 3);
	add_f64(&c, 9);
	c.node.num_outputs = 2;
	op_case_expect_ok(&c);
	expect_f64(&c, 0, 1.96);
	expect_f64(&c, 1, 25);
	op_case_finish(&c);
}

static void adam_corrects_its_moments(void **state)
{
	struct op_case c;

	(void)state;
	/*
	 * alpha = 0.5, beta = 0.75, T = 2: v = 0.5 * 1 + 0.5 * 4 = 2.5, h = 0.75 * 4 + 0.25 * 16 = 7,
	 * rate = 0.1 * sqrt(1 - 0.5625) / (1 - 0.25); x = 0.5 * (2 - rate * 2.5 / sqrt(7)) with norm_coefficient_post 0.5.
	 */
	start(&c, "Adam", 0.1, 2);
	op_case_float(&c, "alpha", 0.5f);
	op_case_float(&c, "beta", 0.75f);
	op_case_float(&c, "epsilon", 0);
	op_case_float(&c, "norm_coefficient_post", 0.5f);
	add_f64(&c, 2);
	add_f64(&c, 4);
	add_f64(&c, 1);
	add_f64(&c, 4);
	c.node.num_outputs = 3;
	op_case_expect_ok(&c);
	expect_f64(&c, 0, 0.5 * (2 - 0.1 * sqrt(0.4375) / 0.75 * 2.5 / sqrt(7)));
	expect_f64(&c, 1, 2.5);
	expect_f64(&c, 2, 7);
	op_case_finish(&c);
}

static void momentum_has_two_modes(void **state)
{
	(void)state;
	for (int nesterov = 0; nesterov < 2; nesterov++)
		for (int64_t count = 0; count < 2; count++) {
			/* x = 1, g = 2, v = 4, alpha = 0.5, beta = 0.25 (1 in the first step): v = 2 + beta * 2. */
			double v = 2 + (count ? 0.25 : 1) * 2;
			struct op_case c;

			start(&c, "Momentum", 0.1, count);
			op_case_float(&c, "alpha", 0.5f);
			op_case_float(&c, "beta", 0.25f);
			op_case_float(&c, "norm_coefficient", 0);
			op_case_string(&c, "mode", nesterov ? "nesterov" : "standard");
			add_f64(&c, 1);
			add_f64(&c, 2);
			add_f64(&c, 4);
			c.node.num_outputs = 2;
			op_case_expect_ok(&c);
			expect_f64(&c, 0, 1 - 0.1 * (nesterov ? 2 + 0.5 * v : v));
			expect_f64(&c, 1, v);
			op_case_finish(&c);
		}
}

static void optimizers_name_what_does_not_fit(void **state)
{
	struct op_case c;

	(void)state;
	start(&c, "Adagrad", 0.1, 0);
	add_f64(&c, 1);
	add_f64(&c, 1);
	op_case_random(&c, 1, (int64_t[]){2});
	c.node.num_outputs = 2;
	op_case_expect_error(&c, -EINVAL, "input 4 has not the type and shape of input 2");
	op_case_finish(&c);

	start(&c, "Adagrad", 0.1, 0);
	for (int i = 0; i < 4; i++)
		add_f64(&c, 1);
	c.node.num_outputs = 2;
	op_case_expect_error(&c, -EINVAL, "no whole number of parameters");
	op_case_finish(&c);

	start(&c, "Momentum", 0.1, 0);
	for (int i = 0; i < 3; i++)
		add_f64(&c, 1);
	c.node.num_outputs = 2;
	op_case_string(&c, "mode", "heavy");
	op_case_expect_error(&c, -EINVAL, "neither standard nor nesterov");
	op_case_finish(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(determinants_are_numpys), cmocka_unit_test(det_wants_square_matrices),
		cmocka_unit_test(adagrad_takes_its_step),  cmocka_unit_test(adam_corrects_its_moments),
		cmocka_unit_test(momentum_has_two_modes),  cmocka_unit_test(optimizers_name_what_does_not_fit),
	};

	return cmocka_run_group_tests_name("training", tests, NULL, NULL);
}
