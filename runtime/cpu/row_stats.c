// SPDX-License-Identifier: MIT
/*
 * Sums over contiguous floats: see row_stats.h.
 */
#include "runtime/cpu/row_stats.h"

#include <math.h>

#include "runtime/cpu/cpu_clones.h"

#define LANES 16
#define BLOCK 1024

/* The sum of TERM, an expression of index @i, over n elements. */
#define LANE_SUM(term)                                                  \
	double total = 0;                                               \
                                                                        \
	for (int64_t begin = 0; begin < n; begin += BLOCK) {            \
		int64_t end = begin + BLOCK < n ? begin + BLOCK : n, i; \
		float lanes[LANES] = {0}, block = 0;                    \
                                                                        \
		for (i = begin; i + LANES <= end; i += LANES)           \
			for (int64_t l = 0, j = i; l < LANES; l++, j++) \
				lanes[l] += term(j);                    \
		for (; i < end; i++)                                    \
			block += term(i);                               \
		for (int l = 0; l < LANES; l++)                         \
			block += lanes[l];                              \
		total += (double)block;                                 \
	}                                                               \
	return total;

#define ELEMENT(i) x[i]
#define SQUARED_DEVIATION(i) ((x[i] - center) * (x[i] - center))
#define PRODUCT(i) (x[i] * y[i])
#define SQUARED_DIFFERENCE(i) ((x[i] - y[i]) * (x[i] - y[i]))

CPU_CLONES double row_sum(int64_t n, const float *x){LANE_SUM(ELEMENT)}

CPU_CLONES double row_sum_squares(int64_t n, const float *x, float center){LANE_SUM(SQUARED_DEVIATION)}

CPU_CLONES double row_dot(int64_t n, const float *x, const float *y){LANE_SUM(PRODUCT)}

CPU_CLONES double row_distance_squared(int64_t n, const float *x, const float *y){LANE_SUM(SQUARED_DIFFERENCE)}

CPU_CLONES float row_max(int64_t n, const float *x)
{
	float lanes[LANES], max = -INFINITY;
	int64_t i = 0;

	for (int l = 0; l < LANES; l++)
		lanes[l] = -INFINITY;
	for (; i + LANES <= n; i += LANES)
		for (int l = 0; l < LANES; l++)
			lanes[l] = x[i + l] > lanes[l] ? x[i + l] : lanes[l];
	for (; i < n; i++)
		max = x[i] > max ? x[i] : max;
	for (int l = 0; l < LANES; l++)
		max = lanes[l] > max ? lanes[l] : max;
	return max;
}

CPU_CLONES void row_affine(int64_t n, const float *x, float scale, float shift, float *y)
{
	for (int64_t i = 0; i < n; i++)
		y[i] = x[i] * scale + shift;
}
