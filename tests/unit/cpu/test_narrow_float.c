// SPDX-License-Identifier: MIT
/*
 * Narrow floats: every code against the formula of its format in double, every rounding boundary from both sides, and the
 * values that are no numbers against the tables of ONNX's Cast.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/cpu/narrow_float.h"

struct layout {
	enum dtype type;
	int exponent_bits, fraction_bits, bias;
	double max;
	bool infinities;       /* the last exponent is IEEE's: fraction 0 is infinity, the rest NaN */
	bool one_nan;          /* sign bit alone */
	bool last_code_is_nan; /* all ones below the sign */
};

static const struct layout layouts[] = {
	{DTYPE_F8E4M3FN, 4, 3, 7, 448, false, false, true},  {DTYPE_F8E4M3FNUZ, 4, 3, 8, 240, false, true, false},
	{DTYPE_F8E5M2, 5, 2, 15, 57344, true, false, false}, {DTYPE_F8E5M2FNUZ, 5, 2, 16, 57344, false, true, false},
	{DTYPE_F6E2M3, 2, 3, 1, 7.5, false, false, false},   {DTYPE_F6E3M2, 3, 2, 3, 28, false, false, false},
	{DTYPE_F4E2M1, 2, 1, 1, 6, false, false, false},
};
#define NUM_LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

static int sign_code(const struct layout *l)
{
	return 1 << (l->exponent_bits + l->fraction_bits);
}

/* A format without infinities and NaN. */
static bool always_saturates(const struct layout *l)
{
	return !l->infinities && !l->one_nan && !l->last_code_is_nan;
}

/* The value by definition: (-1)^s 2^(e - bias) (1 + f / 2^n), or 2^(1 - bias) f / 2^n where e is 0. */
static double value_of(const struct layout *l, int code)
{
	int magnitude = code & (sign_code(l) - 1), fraction = magnitude & ((1 << l->fraction_bits) - 1);
	int exponent = magnitude >> l->fraction_bits;
	double value = fraction / (double)(1 << l->fraction_bits);

	if ((l->one_nan && code == sign_code(l)) || (l->last_code_is_nan && magnitude == sign_code(l) - 1))
		return NAN;
	if (l->infinities && exponent == (1 << l->exponent_bits) - 1)
		value = fraction ? NAN : INFINITY;
	else
		value = exponent ? (1 + value) * pow(2, exponent - l->bias) : value * pow(2, 1 - l->bias);
	return code & sign_code(l) ? -value : value;
}

static void every_code_has_the_value_of_its_format(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_LAYOUTS; i++)
		for (int code = 0; code < 2 * sign_code(&layouts[i]); code++) {
			double expected = value_of(&layouts[i], code);
			float value = narrow_to_f32(layouts[i].type, (uint8_t)code);

			if (isnan(expected))
				assert_true(isnan(value));
			else
				assert_true(value == expected && !signbit(value) == !signbit(expected));
		}
	for (int code = 0; code < 255; code++)
		assert_true(narrow_to_f32(DTYPE_F8E8M0, (uint8_t)code) == pow(2, code - 127));
	assert_true(isnan(narrow_to_f32(DTYPE_F8E8M0, 255)));
}

static void every_value_comes_back_as_its_code(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_LAYOUTS; i++)
		for (int code = 0; code < 2 * sign_code(&layouts[i]); code++) {
			float value = narrow_to_f32(layouts[i].type, (uint8_t)code);

			if (isnan(value))
				assert_true(isnan(
					narrow_to_f32(layouts[i].type, f32_to_narrow(layouts[i].type, value, true))));
			else if (!isinf(value))
				assert_int_equal(f32_to_narrow(layouts[i].type, value, true), code);
			assert_int_equal(f32_to_narrow(layouts[i].type, value, false) == code || isnan(value), 1);
		}
	for (int code = 0; code < 255; code++)
		for (int round = E8M0_UP; round <= E8M0_NEAREST; round++)
			assert_int_equal(f32_to_e8m0(ldexpf(1, code - 127), (enum e8m0_round)round, true), code);
	assert_int_equal(f32_to_e8m0(NAN, E8M0_UP, true), 255);
}

/* Between two neighbours the nearer one wins, in the middle the one whose code is even; on both sides of zero. */
static void values_between_codes_round_to_nearest_even(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_LAYOUTS; i++) {
		const struct layout *l = &layouts[i];

		for (int code = 0; value_of(l, code) < l->max; code++) {
			float middle = (float)((value_of(l, code) + value_of(l, code + 1)) / 2);
			int even = code & 1 ? code + 1 : code;

			for (int saturate = 0; saturate < 2; saturate++)
				for (int negative = 0; negative < 2; negative++) {
					int sign = negative ? sign_code(l) : 0;
					float s = negative ? -1.0f : 1.0f;
					/* The FNUZ formats have no -0. */
					int low = code || !l->one_nan ? code + sign : 0;

					assert_int_equal(f32_to_narrow(l->type, s * nextafterf(middle, 0), saturate),
							 low);
					assert_int_equal(
						f32_to_narrow(l->type, s * nextafterf(middle, INFINITY), saturate),
						code + 1 + sign);
					assert_int_equal(f32_to_narrow(l->type, s * middle, saturate),
							 even == code ? low : even + sign);
				}
		}
	}
}

/* The last finite value reaches half a step further, to the even side; then the tables of Cast hold. */
static void values_out_of_range_saturate_or_overflow(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_LAYOUTS; i++) {
		const struct layout *l = &layouts[i];
		uint8_t max = f32_to_narrow(l->type, (float)l->max, true);
		double below = value_of(l, max - 1);
		float limit = (float)(l->max + (l->max - below) / 2);
		const float beyond[] = {nextafterf(limit, INFINITY), 1e6f, INFINITY};

		assert_true(value_of(l, max) == l->max);
		assert_int_equal(f32_to_narrow(l->type, nextafterf(limit, 0), false), max);
		for (size_t k = 0; k < 3; k++)
			for (int negative = 0; negative < 2; negative++) {
				float x = negative ? -beyond[k] : beyond[k];
				float free_value = narrow_to_f32(l->type, f32_to_narrow(l->type, x, false));

				assert_int_equal(f32_to_narrow(l->type, x, true), max | (negative ? sign_code(l) : 0));
				if (l->infinities)
					assert_true(isinf(free_value) && signbit(free_value) == signbit(x));
				else if (always_saturates(l))
					assert_true(free_value == (negative ? -l->max : l->max));
				else
					assert_true(isnan(free_value));
			}
		/* No NaN in four and six bits: -0, as ml_dtypes has it. */
		if (always_saturates(l))
			assert_int_equal(f32_to_narrow(l->type, NAN, true), sign_code(l));
		else
			assert_true(isnan(narrow_to_f32(l->type, f32_to_narrow(l->type, NAN, true))));
	}
	assert_int_equal(f32_to_narrow(DTYPE_F8E4M3FNUZ, -0.0f, true), 0);
	assert_int_equal(f32_to_narrow(DTYPE_F8E4M3FN, -0.0f, true), 0x80);
}

/* Scales: each gap between powers of two from its ends and its middle. */
static void scales_round_as_told(void **state)
{
	(void)state;
	for (int code = 0; code < 254; code++) {
		double low = pow(2, code - 127), middle = 1.5 * low, high = 2 * low;
		const float at[] = {nextafterf((float)low, INFINITY), nextafterf((float)middle, 0), (float)middle,
				    nextafterf((float)high, 0)};

		for (int k = 0; k < 4; k++) {
			assert_int_equal(f32_to_e8m0(at[k], E8M0_UP, true), code + 1);
			assert_int_equal(f32_to_e8m0(at[k], E8M0_DOWN, true), code);
			assert_int_equal(f32_to_e8m0(at[k], E8M0_NEAREST, false), k >= 2 ? code + 1 : code);
		}
	}
	/* Cast's table for FLOAT8E8M0. */
	assert_int_equal(f32_to_e8m0(0, E8M0_UP, true), 0);
	assert_int_equal(f32_to_e8m0(0, E8M0_NEAREST, false), 255);
	assert_int_equal(f32_to_e8m0(0x1p-140f, E8M0_UP, true), 0);
	assert_int_equal(f32_to_e8m0(0x1p-140f, E8M0_NEAREST, false), 255);
	assert_int_equal(f32_to_e8m0(INFINITY, E8M0_UP, true), 254);
	assert_int_equal(f32_to_e8m0(INFINITY, E8M0_NEAREST, false), 255);
	assert_int_equal(f32_to_e8m0(0x1.8p127f, E8M0_UP, true), 254);
	assert_int_equal(f32_to_e8m0(0x1.8p127f, E8M0_NEAREST, false), 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_the_value_of_its_format),
		cmocka_unit_test(every_value_comes_back_as_its_code),
		cmocka_unit_test(values_between_codes_round_to_nearest_even),
		cmocka_unit_test(values_out_of_range_saturate_or_overflow),
		cmocka_unit_test(scales_round_as_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
