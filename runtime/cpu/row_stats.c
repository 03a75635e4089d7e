// SPDX-License-Identifier: MIT
/*
 * Sums over contiguous floats: see row_stats.h.
 */
#include "runtime/cpu/row_stats.h"

#include <math.h>

#include "runtime/cpu/cpu_clones.h"

#define LANES 16
#define BLOCK 1024

CPU_CLONES double row_sum(int64_t n, const float *x)
{
	double total = 0;

	for (int64_t i = 0; i < n;) {
		int64_t end = i + BLOCK < n ? i + BLOCK : n;
		float lanes[LANES] = {0}, block = 0;

		for (; i + LANES <= end; i += LANES)
			for (int l = 0; l < LANES; l++)
				lanes[l] += x[i + l];
		for (; i < end; i++)
			block += x[i];
		for (int l = 0; l < LANES; l++)
			block += lanes[l];
		total += (double)block;
	}
	return total;
}

CPU_CLONES double row_sum_squares(int64_t n, const float *x, float center)
{
	double total = 0;

	for (int64_t i = 0; i < n;) {
		int64_t end = i + BLOCK < n ? i + BLOCK : n;
		float lanes[LANES] = {0}, block = 0;

		for (; i + LANES <= end; i += LANES)
			for (int l = 0; l < LANES; l++) {
				float d = x[i + l] - center;

				lanes[l] += d * d;
			}
		for (; i < end; i++)
			block += (x[i] - center) * (x[i] - center);
		for (int l = 0; l < LANES; l++)
			block += lanes[l];
		total += (double)block;
	}
	return total;
}

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
