/* SPDX-License-Identifier: MIT */
/*
 * Sums over contiguous floats: what normalizations, softmax and average pools start from.
 *
 * Sixteen lanes add up blocks of 1024, blocks add up in double: vectorises, and keeps six digits on rows of any length.
 */
#ifndef RUNTIME_CPU_ROW_STATS_H
#define RUNTIME_CPU_ROW_STATS_H

#include <stdint.h>

double row_sum(int64_t n, const float *x);
/* Sum of (x - center)^2. */
double row_sum_squares(int64_t n, const float *x, float center);
double row_dot(int64_t n, const float *x, const float *y);
/* Sum of (x - y)^2. */
double row_distance_squared(int64_t n, const float *x, const float *y);
/* -infinity for an empty row; NaN is ignored unless it comes first. */
float row_max(int64_t n, const float *x);
/* y = x * scale + shift; y may be x. */
void row_affine(int64_t n, const float *x, float scale, float shift, float *y);

#endif
