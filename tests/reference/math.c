/* SPDX-License-Identifier: MIT */
/* Operations on binary32 values, each as uapi/numerics.md writes it. NaN payloads are left to whoever stores the
 * result. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "tests/reference/element.h"
#include "tests/reference/parts.h"
#include "tests/reference/reference.h"

/* A chain of fma: coefficients[0] + x * (coefficients[1] + ...), highest first. */
static float chain(float x, const float *coefficients, int count)
{
	float p = coefficients[count - 1];

	for (int i = count - 2; i >= 0; i--)
		p = fmaf(p, x, coefficients[i]);
	return p;
}

/* 2^n, n in the range of normal numbers. */
static float power_of_two(int n)
{
	return ldexpf(1.0f, n);
}

static float clip(float x, float lo, float hi)
{
	float y = x > lo ? x : lo;

	y = y < hi ? y : hi;
	return x == x ? y : x;
}

static float relu(float x)
{
	return x > 0 ? x : x == x ? 0 : x;
}

static float exponential(float x)
{
	static const float c[] = {AXL_EXP_C0, AXL_EXP_C1, AXL_EXP_C2, AXL_EXP_C3, AXL_EXP_C4};
	float y = x > AXL_EXP_LO ? x : AXL_EXP_LO, n, r, p;
	int half;

	if (x != x)
		return x;
	y = y < AXL_EXP_HI ? y : AXL_EXP_HI;
	n = rintf(y * AXL_LOG2E);
	r = fmaf(n, -AXL_LN2_LO, fmaf(n, -AXL_LN2_HI, y));
	p = chain(r, c, 5);
	p = fmaf(p, r * r, r) + 1;
	half = (int)floorf(n / 2);
	p = p * power_of_two(half);
	return p * power_of_two((int)n - half);
}

static float logarithm(float x)
{
	static const float c[] = {AXL_LOG_C0, AXL_LOG_C1, AXL_LOG_C2, AXL_LOG_C3};
	float t = x < 0x1p-126f ? x * 0x1p23f : x, m, f, s, z, p, y, e;
	uint32_t bits;
	int32_t k;

	if (x != x || x < 0)
		return NAN;
	if (x == 0)
		return -INFINITY;
	if (isinf(x))
		return x;
	memcpy(&bits, &t, 4);
	k = (int32_t)floor((double)((int64_t)bits - 0x3f3504f3) / 0x800000);
	bits -= (uint32_t)k << 23;
	memcpy(&m, &bits, 4);
	e = (float)(x < 0x1p-126f ? k - 23 : k);
	f = m - 1;
	s = f / (f + 2);
	z = s * s;
	p = chain(z, c, 4);
	y = fmaf(s, p * z - f, f);
	return fmaf(e, AXL_LN2_HI, fmaf(e, AXL_LN2_LO, y));
}

static float sigmoid(float x)
{
	float e = exponential(-fabsf(x)), s = 1 / (1 + e);

	return x >= 0 ? s : e * s;
}

static float hyperbolic_tangent(float x)
{
	static const float c[] = {AXL_TANH_C0, AXL_TANH_C1, AXL_TANH_C2, AXL_TANH_C3, AXL_TANH_C4};
	float a = fabsf(x), z = a * a, p = chain(z, c, 5), e = exponential(-2 * a);

	return copysignf(a < AXL_TANH_SMALL ? fmaf(p * z, a, a) : (1 - e) / (1 + e), x);
}

static float error_function(float x)
{
	static const float c[] = {AXL_ERF_C0, AXL_ERF_C1, AXL_ERF_C2, AXL_ERF_C3, AXL_ERF_C4, AXL_ERF_C5, AXL_ERF_C6};
	static const float d[] = {AXL_ERF_D0, AXL_ERF_D1, AXL_ERF_D2, AXL_ERF_D3, AXL_ERF_D4, AXL_ERF_D5, AXL_ERF_D6};
	float a = fabsf(x), magnitude;

	if (x != x)
		return x;
	if (a < 1)
		magnitude = fmaf(chain(a * a, c, 7), a, a);
	else
		magnitude = a < AXL_ERF_ONE ? 1 - exponential(-chain(a, d, 7)) : 1;
	return copysignf(magnitude, x);
}

/* sin for @quarter 0, cos for 1. */
static float circular(float x, int quarter)
{
	static const float sines[] = {AXL_SIN_C0, AXL_SIN_C1, AXL_SIN_C2, AXL_SIN_C3};
	static const float cosines[] = {AXL_COS_C0, AXL_COS_C1, AXL_COS_C2};
	float t = rintf(x * AXL_TWO_OVER_PI), n = fabsf(t) < 0x1p30f ? t : 0, r, z, s, c, v;
	int q;

	if (x != x || isinf(x))
		return NAN;
	if (!(fabsf(t) < 0x1p30f))
		return 0;
	r = fmaf(n, -AXL_PIO2_LO, fmaf(n, -AXL_PIO2_MID, fmaf(n, -AXL_PIO2_HI, x)));
	z = r * r;
	s = chain(z, sines, 4);
	s = fmaf(s * z, r, r);
	c = chain(z, cosines, 3);
	c = fmaf(c * z, z, fmaf(-0.5f, z, 1));
	q = (int)n + quarter;
	v = q & 1 ? c : s;
	return q & 2 ? -v : v;
}

static float hard_sigmoid(float x, float imm0, float imm1)
{
	float product = x * imm0;

	return clip(product + imm1, 0, 1);
}

static float power(float x, float y)
{
	float r;

	if (y == 0 || x == 1)
		return 1;
	if (y == 2)
		return x * x;
	if (y == 3)
		return (x * x) * x;
	if (y == 1)
		return x;
	if (y == 0.5f)
		return sqrtf(x);
	r = exponential(y * logarithm(fabsf(x)));
	if (x < 0 && rintf(y) != y)
		return NAN;
	if (x < 0 && fabsf(y) < 0x1p24f && ((int)y & 1))
		return -r;
	return r;
}

int reference_unary(enum axl_vec_op op, float x, float imm0, float imm1, float *result)
{
	float t;

	switch (op) {
	case AXL_VEC_COPY:
		*result = x;
		return 0;
	case AXL_VEC_NEG:
		*result = -x;
		return 0;
	case AXL_VEC_ABS:
		*result = fabsf(x);
		return 0;
	case AXL_VEC_SIGN:
		*result = x > 0 ? 1 : x < 0 ? -1 : x == 0 ? 0 : x;
		return 0;
	case AXL_VEC_FLOOR:
		*result = floorf(x);
		return 0;
	case AXL_VEC_CEIL:
		*result = ceilf(x);
		return 0;
	case AXL_VEC_ROUND:
		*result = rintf(x);
		return 0;
	case AXL_VEC_SQRT:
		*result = sqrtf(x);
		return 0;
	case AXL_VEC_RECIP:
		*result = 1 / x;
		return 0;
	case AXL_VEC_RSQRT:
		*result = 1 / sqrtf(x);
		return 0;
	case AXL_VEC_EXP:
		*result = exponential(x);
		return 0;
	case AXL_VEC_LOG:
		*result = logarithm(x);
		return 0;
	case AXL_VEC_TANH:
		*result = hyperbolic_tangent(x);
		return 0;
	case AXL_VEC_SIGMOID:
		*result = sigmoid(x);
		return 0;
	case AXL_VEC_ERF:
		*result = error_function(x);
		return 0;
	case AXL_VEC_GELU:
		*result = (0.5f * x) * (1 + error_function(x * 0.70710677f));
		return 0;
	case AXL_VEC_GELU_TANH:
		t = fmaf(0.044715f * x * x, x, x);
		*result = (0.5f * x) * (1 + hyperbolic_tangent(0.7978846f * t));
		return 0;
	case AXL_VEC_SILU:
		*result = x * sigmoid(x);
		return 0;
	case AXL_VEC_SOFTPLUS:
		*result = relu(x) + logarithm(1 + exponential(-fabsf(x)));
		return 0;
	case AXL_VEC_RELU:
		*result = relu(x);
		return 0;
	case AXL_VEC_LEAKY:
		*result = x >= 0 ? x : x * imm0;
		return 0;
	case AXL_VEC_CLIP:
		*result = clip(x, imm0, imm1);
		return 0;
	case AXL_VEC_HARDSIGMOID:
		*result = hard_sigmoid(x, imm0, imm1);
		return 0;
	case AXL_VEC_HARDSWISH:
		*result = x * hard_sigmoid(x, imm0, imm1);
		return 0;
	case AXL_VEC_ELU:
		*result = x >= 0 ? x : imm0 * (exponential(x) - 1);
		return 0;
	case AXL_VEC_AFFINE:
		t = x * imm0;
		*result = t + imm1;
		return 0;
	case AXL_VEC_NOT:
		*result = x == 0;
		return 0;
	case AXL_VEC_SIN:
		*result = circular(x, 0);
		return 0;
	case AXL_VEC_COS:
		*result = circular(x, 1);
		return 0;
	default:
		return -ENOTSUP;
	}
}

int reference_binary(enum axl_vec_op op, float x, float y, float *result)
{
	switch (op) {
	case AXL_VEC_ADD:
		*result = x + y;
		return 0;
	case AXL_VEC_SUB:
		*result = x - y;
		return 0;
	case AXL_VEC_MUL:
		*result = x * y;
		return 0;
	case AXL_VEC_DIV:
		*result = x / y;
		return 0;
	case AXL_VEC_MIN:
		*result = x != x ? x : y != y ? y : x < y ? x : y;
		return 0;
	case AXL_VEC_MAX:
		*result = x != x ? x : y != y ? y : x > y ? x : y;
		return 0;
	case AXL_VEC_POW:
		*result = power(x, y);
		return 0;
	case AXL_VEC_PRELU:
		*result = x >= 0 ? x : x * y;
		return 0;
	case AXL_VEC_EQ:
		*result = x == y;
		return 0;
	case AXL_VEC_NE:
		*result = x != y;
		return 0;
	case AXL_VEC_LT:
		*result = x < y;
		return 0;
	case AXL_VEC_LE:
		*result = x <= y;
		return 0;
	case AXL_VEC_GT:
		*result = x > y;
		return 0;
	case AXL_VEC_GE:
		*result = x >= y;
		return 0;
	case AXL_VEC_AND:
		*result = x != 0 && y != 0;
		return 0;
	case AXL_VEC_OR:
		*result = x != 0 || y != 0;
		return 0;
	case AXL_VEC_XOR:
		*result = (x != 0) != (y != 0);
		return 0;
	default:
		return -ENOTSUP;
	}
}
