// SPDX-License-Identifier: MIT
/*
 * How far the vectorisable functions are from the exact ones, in units in the last place of the exact result.
 */
#include <math.h>
#include <string.h>

#include "runtime/cpu/vector_math.h"
#include "tests/unit/cpu/op_case.h"

static double units(float got, double exact)
{
	float near = (float)exact;
	double unit = (double)nextafterf(fabsf(near), INFINITY) - (double)fabsf(near);

	if (isnan(exact) || isinf(near))
		return isnan(exact) ? (isnan(got) ? 0 : INFINITY) : got == near ? 0 : INFINITY;
	return fabs((double)got - exact) / unit;
}

/* Every 1009th float of both signs, and the neighbourhood of 0. */
static void expect_close(const char *name, float (*got)(float), double (*exact)(double), double limit)
{
	double worst = 0;
	float at = 0;

	for (uint32_t bits = 0; bits < 0x7f800000; bits += 1009)
		for (int sign = 0; sign < 2; sign++) {
			uint32_t pattern = bits | (uint32_t)sign << 31;
			double error;
			float x;

			memcpy(&x, &pattern, sizeof(x));
			error = units(got(x), exact(x));
			if (error > worst) {
				worst = error;
				at = x;
			}
		}
	print_message("%s: at most %.2f units, at %a\n", name, worst, (double)at);
	assert_true(worst <= limit);
}

static float exp_float(float x)
{
	return vector_expf(x);
}

static float expm1_float(float x)
{
	return vector_expm1f(x);
}

static float tanh_float(float x)
{
	return vector_tanhf(x);
}

static float erf_float(float x)
{
	return vector_erff(x);
}

static float sigmoid_float(float x)
{
	return vector_sigmoidf(x);
}

static double sigmoid_exact(double x)
{
	return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static void functions_stay_close_to_the_exact_ones(void **state)
{
	(void)state;
	expect_close("exp", exp_float, exp, 4);
	expect_close("expm1", expm1_float, expm1, 4);
	expect_close("tanh", tanh_float, tanh, 4);
	expect_close("erf", erf_float, erf, 4);
	expect_close("sigmoid", sigmoid_float, sigmoid_exact, 4);
}

static void infinities_and_nan_pass_through(void **state)
{
	(void)state;
	assert_true(vector_expf(INFINITY) == INFINITY && vector_expf(-INFINITY) == 0);
	assert_true(vector_tanhf(INFINITY) == 1 && vector_tanhf(-INFINITY) == -1);
	assert_true(vector_erff(INFINITY) == 1 && vector_erff(-INFINITY) == -1);
	assert_true(vector_sigmoidf(INFINITY) == 1 && vector_sigmoidf(-INFINITY) == 0);
	assert_true(isnan(vector_expf(NAN)) && isnan(vector_tanhf(NAN)) && isnan(vector_erff(NAN)));
	assert_true(isnan(vector_sigmoidf(NAN)) && isnan(vector_expm1f(NAN)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_stay_close_to_the_exact_ones),
		cmocka_unit_test(infinities_and_nan_pass_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
