/* SPDX-License-Identifier: MIT */
/* Ranges from histograms: each method keeps what it says and cuts what it may. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/quant/range.h"

static struct quant_histogram histogram;

static void start(float lo, float hi)
{
	memset(&histogram, 0, sizeof(histogram));
	histogram.lo = lo;
	histogram.hi = hi;
}

/* A bell of @count numbers around 0 with deviation 1, by quantiles: the same in every run. */
static void add_bell(int count)
{
	for (int i = 0; i < count; i++) {
		/* The logistic distribution's quantile, scaled to deviation 1: close enough to a normal one. */
		double p = (i + 0.5) / count;

		quant_histogram_add(&histogram, (float)(log(p / (1 - p)) * 0.5513));
	}
}

static void every_range_has_zero_in_it(void **state)
{
	float lo, hi;

	(void)state;
	for (int method = QUANT_MINMAX; method <= QUANT_MSE; method++) {
		start(3, 5);
		for (int i = 0; i < 1000; i++)
			quant_histogram_add(&histogram, 3 + (float)i * 0.002f);
		quant_range(&histogram, (enum quant_method)method, &lo, &hi);
		assert_true(lo == 0);
		assert_true(hi > 4.9f && hi <= 5);
		start(-5, -3);
		for (int i = 0; i < 1000; i++)
			quant_histogram_add(&histogram, -3 - (float)i * 0.002f);
		quant_range(&histogram, (enum quant_method)method, &lo, &hi);
		assert_true(hi == 0);
		assert_true(lo < -4.9f && lo >= -5);
	}
}

static void nothing_and_one_number_are_ranges_too(void **state)
{
	float lo, hi, scale;
	int zero;

	(void)state;
	for (int method = QUANT_MINMAX; method <= QUANT_MSE; method++) {
		start(0, 0);
		quant_range(&histogram, (enum quant_method)method, &lo, &hi);
		quant_range_scale(lo, hi, 0, &scale, &zero);
		assert_true(lo == 0 && hi == 0 && scale == 1 && zero == 0);
		start(2, 2);
		quant_histogram_add(&histogram, 2);
		quant_range(&histogram, (enum quant_method)method, &lo, &hi);
		assert_true(lo == 0 && hi == 2);
	}
}

static void minmax_keeps_the_outlier_and_the_others_cut_it(void **state)
{
	float lo, hi;

	(void)state;
	for (int method = QUANT_MINMAX; method <= QUANT_MSE; method++) {
		start(-8, 20);
		add_bell(1000000);
		quant_histogram_add(&histogram, 20);
		quant_range(&histogram, (enum quant_method)method, &lo, &hi);
		if (method == QUANT_MINMAX)
			assert_true(lo == -8 && hi == 20);
		else
			assert_true(hi < 15 && hi >= 2 && lo >= -8 && lo <= -2);
	}
}

/* One in 20,000 at each end is cut, and no more. */
static void the_percentile_is_where_it_says(void **state)
{
	float lo, hi;

	(void)state;
	start(0, 1);
	for (int i = 0; i < 200000; i++)
		quant_histogram_add(&histogram, (float)i / 200000);
	quant_range(&histogram, QUANT_PERCENTILE, &lo, &hi);
	assert_true(lo == 0 && hi > 0.998f && hi <= 1);
	start(-1, 1);
	quant_histogram_add(&histogram, -1);
	quant_histogram_add(&histogram, 1);
	for (int i = 0; i < 1000; i++) /* 1 of 1002 is more than 1 of 20,000 */
		quant_histogram_add(&histogram, 0.25f);
	quant_range(&histogram, QUANT_PERCENTILE, &lo, &hi);
	assert_true(lo == -1 && hi == 1);
}

/* Square error of all numbers with the range that the method gives, by the arithmetic of QuantizeLinear. */
static double error_with(enum quant_method method)
{
	float lo, hi, scale;
	double sum = 0;
	int zero;

	quant_range(&histogram, method, &lo, &hi);
	quant_range_scale(lo, hi, 0, &scale, &zero);
	for (int i = 0; i < QUANT_BINS; i++) {
		float x = histogram.lo + (histogram.hi - histogram.lo) * ((float)i + 0.5f) / QUANT_BINS;
		float q = nearbyintf(x / scale) + (float)zero;
		double d;

		q = q < 0 ? 0 : q > 255 ? 255 : q;
		d = (double)(x - (q - (float)zero) * scale);
		sum += (double)histogram.bins[i] * d * d;
	}
	return sum;
}

static void mse_has_the_least_square_error(void **state)
{
	(void)state;
	start(-8, 20);
	add_bell(1000000);
	quant_histogram_add(&histogram, 20);
	for (int method = QUANT_MINMAX; method < QUANT_MSE; method++)
		assert_true(error_with(QUANT_MSE) <= error_with((enum quant_method)method) * 1.001);
	assert_true(error_with(QUANT_MSE) < error_with(QUANT_MINMAX) * 0.7);
}

/* A Relu's peak at zero does not make the range narrow: 0 is exact in any. */
static void entropy_does_not_fall_for_the_peak_of_a_relu(void **state)
{
	float lo, hi;

	(void)state;
	start(0, 4);
	for (int i = 0; i < 100000; i++)
		quant_histogram_add(&histogram, 0);
	for (int i = 0; i < 100000; i++)
		quant_histogram_add(&histogram, 4 * (float)i / 100000);
	quant_range(&histogram, QUANT_ENTROPY, &lo, &hi);
	assert_true(lo == 0 && hi > 3.5f);
}

static void scales_reach_both_ends(void **state)
{
	float scale;
	int zero;

	(void)state;
	quant_range_scale(0, 2.55f, 0, &scale, &zero);
	assert_true(fabsf(scale - 0.01f) < 1e-7f && zero == 0);
	quant_range_scale(0, 2.55f, 1, &scale, &zero);
	assert_int_equal(zero, -128);
	quant_range_scale(-1, 1, 0, &scale, &zero);
	assert_true(zero == 127 || zero == 128);
	quant_range_scale(-3, 0, 0, &scale, &zero);
	assert_int_equal(zero, 255);
	quant_range_scale(-3e38f, 3e38f, 0, &scale, &zero); /* their distance is no float */
	assert_true(isfinite(scale));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_range_has_zero_in_it),
		cmocka_unit_test(nothing_and_one_number_are_ranges_too),
		cmocka_unit_test(minmax_keeps_the_outlier_and_the_others_cut_it),
		cmocka_unit_test(the_percentile_is_where_it_says),
		cmocka_unit_test(mse_has_the_least_square_error),
		cmocka_unit_test(entropy_does_not_fall_for_the_peak_of_a_relu),
		cmocka_unit_test(scales_reach_both_ends),
	};

	return cmocka_run_group_tests_name("quant range", tests, NULL, NULL);
}
