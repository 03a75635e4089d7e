/* SPDX-License-Identifier: MIT */
/*
 * Which range of numbers eight bits should cover, from a histogram of what was seen. All ranges include 0, so that
 * padding is exact.
 */
#ifndef COMPILER_QUANT_RANGE_H
#define COMPILER_QUANT_RANGE_H

#include <stdint.h>

/*
 * minmax:     all that was seen
 * percentile: but for the outermost 0.005 % on either side
 * entropy:    the range that keeps most of the distribution (least Kullback-Leibler divergence of 256 steps)
 * mse:	       the range with the least mean square of rounding and cutting
 */
enum quant_method { QUANT_MINMAX, QUANT_PERCENTILE, QUANT_ENTROPY, QUANT_MSE };

#define QUANT_BINS 2048

/* @bins: equal parts of [@lo, @hi] */
struct quant_histogram {
	float lo, hi;
	uint64_t bins[QUANT_BINS];
};

/* One finite number. */
void quant_histogram_add(struct quant_histogram *histogram, float x);

/* The range by @method; @histogram may be empty or all one number. */
void quant_range(const struct quant_histogram *histogram, enum quant_method method, float *lo, float *hi);

/* Scale and zero point of [lo, hi] for uint8, or int8. A range of nothing gets scale 1. */
void quant_range_scale(float lo, float hi, int is_signed, float *scale, int *zero);

#endif
