/* SPDX-License-Identifier: MIT */
/*
 * Elementary functions in f32 that a loop can be vectorised over: no branches, no tables, no calls.
 *
 * glibc's own are exact to less than one unit in the last place, but a call per element costs ten times as much. These
 * stay within 4 units in the last place (tests/unit/ops measures it) and keep infinities and NaN. The series are
 * Taylor's; the range reduction is Cody and Waite's with ln 2 in two parts. Always inlined, so that they take the
 * vector width of the caller (cpu_clones.h).
 */
#ifndef RUNTIME_CPU_VECTOR_MATH_H
#define RUNTIME_CPU_VECTOR_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define VECTOR_MATH static inline __attribute__((always_inline))

/* 2^n for n in [-126, 127]. */
VECTOR_MATH float vector_exp2i(int32_t n)
{
	uint32_t bits = (uint32_t)(n + 127) << 23;
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* x = n ln2 + r with |r| <= ln2 / 2; returns n (0 of a NaN), which needs |x| < 2^21. Adding 1.5 * 2^23 rounds to an integer. */
VECTOR_MATH int32_t vector_reduce_exp(float x, float *r)
{
	float shifted = x * 0x1.715476p+0f + 0x1.8p23f;
	float n = shifted - 0x1.8p23f;

	*r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
	return n == n ? (int32_t)n : 0;
}

/* (e^r - 1) / r for |r| <= ln2 / 2: the next term is below 2^-27 of the sum. */
VECTOR_MATH float vector_expm1_series(float r)
{
	float p = 1.0f / 5040;

	p = p * r + 1.0f / 720;
	p = p * r + 1.0f / 120;
	p = p * r + 1.0f / 24;
	p = p * r + 1.0f / 6;
	p = p * r + 0.5f;
	return p * r + 1.0f;
}

VECTOR_MATH float vector_expf(float x)
{
	float r, y, clamped = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x;
	int32_t n = vector_reduce_exp(clamped, &r);

	/* In two steps, because 2^n alone may lie outside the range of normal numbers where the result does not. */
	y = (1.0f + r * vector_expm1_series(r)) * vector_exp2i(n >> 1) * vector_exp2i(n - (n >> 1));
	return x != x ? x : y;
}

/* e^x - 1 without cancellation near 0. */
VECTOR_MATH float vector_expm1f(float x)
{
	float r, scale, y, clamped = x < -25.0f ? -25.0f : x > 89.0f ? 89.0f : x;
	int32_t n = vector_reduce_exp(clamped, &r);

	scale = vector_exp2i(n >> 1);
	/* 2^n (e^r - 1) + (2^n - 1); half of the scale is applied last, n may be 128. */
	y = r * vector_expm1_series(r) * scale * vector_exp2i(n - (n >> 1));
	y += scale * vector_exp2i(n - (n >> 1)) - 1.0f;
	y = x > 88.0f ? vector_expf(x) : y;
	return x != x ? x : x == 0 ? x : y;
}

VECTOR_MATH float vector_sigmoidf(float x)
{
	/* From the side on which the exponential does not overflow; small results keep their digits. */
	float e = vector_expf(-fabsf(x));
	float y = 1.0f / (1.0f + e);

	return x < 0 ? e * y : y;
}

VECTOR_MATH float vector_tanhf(float x)
{
	float a = fabsf(x), e, y;

	a = a > 10.0f ? 10.0f : a;
	e = vector_expm1f(2.0f * a);
	y = e / (e + 2.0f);
	return x != x ? x : copysignf(y, x);
}

/* Maclaurin's series below 1 (the next term is below 2^-29), Abramowitz and Stegun 7.1.26 (error below 1.5e-7) above.
 */
VECTOR_MATH float vector_erff(float x)
{
	float a = fabsf(x), z = x * x, t, p, small, large;

	p = -1.0f / 76204800;
	p = p * z + 1.0f / 6894720;
	p = p * z - 1.0f / 685440;
	p = p * z + 1.0f / 75600;
	p = p * z - 1.0f / 9360;
	p = p * z + 1.0f / 1320;
	p = p * z - 1.0f / 216;
	p = p * z + 1.0f / 42;
	p = p * z - 0.1f;
	p = p * z + 1.0f / 3;
	small = x * 0x1.20dd76p+0f * (1.0f - z * p);
	t = 1.0f / (1.0f + 0.3275911f * a);
	p = 1.061405429f;
	p = p * t - 1.453152027f;
	p = p * t + 1.421413741f;
	p = p * t - 0.284496736f;
	p = p * t + 0.254829592f;
	large = copysignf(1.0f - p * t * vector_expf(a > 9.0f ? -81.0f : -a * a), x);
	return a < 1.0f ? small : x != x ? x : large;
}

#endif
