/* SPDX-License-Identifier: MIT */
/*
 * Unary functions in binary32 and conversions. The polynomials and the order of operations are the specification's
 * (uapi/README.md, "Numerics"): every + and * is rounded once, fma where it says fma.
 */
#include <math.h>
#include <string.h>

#include "sim/core/exec_internal.h"

static inline float f16_value(uint16_t bits)
{
	uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 0x3ff, out;
	float f;

	if (exponent == 31) {
		out = sign | 0x7f800000u | fraction << 13;
	} else if (exponent) {
		out = sign | (exponent + 112) << 23 | fraction << 13;
	} else { /* zero or subnormal: exact in binary32 */
		f = (float)fraction * 0x1p-24f;
		memcpy(&out, &f, 4);
		out |= sign;
	}
	memcpy(&f, &out, 4);
	return f;
}

static inline uint16_t f16_bits(float f)
{
	uint32_t x, sign, rounded;
	float a = fabsf(f);

	memcpy(&x, &f, 4);
	sign = x >> 16 & 0x8000;
	x &= 0x7fffffff;
	if (x > 0x7f800000)
		return 0x7e00;
	if (a >= 65520.0f)
		return (uint16_t)(sign | 0x7c00);
	if (a < 0x1p-14f) /* subnormal: to a multiple of 2^-24, ties to even */
		return (uint16_t)(sign | (uint32_t)__builtin_rintf(a * 0x1p24f));
	rounded = x + 0xfff + (x >> 13 & 1);
	return (uint16_t)(sign | ((rounded >> 13) - (112 << 10)));
}

static inline uint16_t bf16_bits(float f)
{
	uint32_t x;

	memcpy(&x, &f, 4);
	if ((x & 0x7fffffff) > 0x7f800000)
		return 0x7fc0;
	return (uint16_t)((x + 0x7fff + (x >> 16 & 1)) >> 16);
}

EXEC_CLONES static void f16_to_f32_row(float *dst, const uint16_t *src, size_t count)
{
	for (size_t i = 0; i < count; i++)
		dst[i] = f16_value(src[i]);
}

EXEC_CLONES static void f32_to_f16_row(uint16_t *dst, const float *src, size_t count)
{
	for (size_t i = 0; i < count; i++)
		dst[i] = f16_bits(src[i]);
}

#define CONVERT_ROW(name, from, expression)                                     \
	EXEC_CLONES static void name(float *dst, const from *src, size_t count) \
	{                                                                       \
		for (size_t i = 0; i < count; i++)                              \
			dst[i] = expression;                                    \
	}

CONVERT_ROW(u8_row, uint8_t, (float)src[i])
CONVERT_ROW(s8_row, int8_t, (float)src[i])
CONVERT_ROW(s16_row, int16_t, (float)src[i])
CONVERT_ROW(s32_row, int32_t, (float)src[i])
CONVERT_ROW(bool_row, uint8_t, src[i] ? 1.0f : 0.0f)

void exec_to_f32(float *dst, const void *src, enum axl_type type, size_t count)
{
	switch (type) {
	case AXL_TYPE_U8:
		u8_row(dst, src, count);
		break;
	case AXL_TYPE_S8:
		s8_row(dst, src, count);
		break;
	case AXL_TYPE_S16:
		s16_row(dst, src, count);
		break;
	case AXL_TYPE_S32:
		s32_row(dst, src, count);
		break;
	case AXL_TYPE_F16:
		f16_to_f32_row(dst, src, count);
		break;
	case AXL_TYPE_BF16:
		for (size_t i = 0; i < count; i++) {
			uint32_t bits = (uint32_t)((const uint16_t *)src)[i] << 16;

			memcpy(&dst[i], &bits, 4);
		}
		break;
	case AXL_TYPE_S64:
		for (size_t i = 0; i < count; i++)
			dst[i] = (float)((const int64_t *)src)[i];
		break;
	case AXL_TYPE_BOOL:
		bool_row(dst, src, count);
		break;
	default:
		memcpy(dst, src, count * 4);
	}
}

/* Towards zero, saturating, NaN gives 0. */
static inline int64_t truncate_to(float f, int64_t lo, int64_t hi)
{
	if (!(f == f))
		return 0;
	if (f <= (float)lo)
		return lo;
	if (f >= (float)hi)
		return hi;
	return (int64_t)f;
}

void exec_from_f32(void *dst, enum axl_type type, const float *src, size_t count)
{
	switch (type) {
	case AXL_TYPE_U8:
		for (size_t i = 0; i < count; i++)
			((uint8_t *)dst)[i] = (uint8_t)truncate_to(src[i], 0, 255);
		break;
	case AXL_TYPE_S8:
		for (size_t i = 0; i < count; i++)
			((int8_t *)dst)[i] = (int8_t)truncate_to(src[i], -128, 127);
		break;
	case AXL_TYPE_S16:
		for (size_t i = 0; i < count; i++)
			((int16_t *)dst)[i] = (int16_t)truncate_to(src[i], -32768, 32767);
		break;
	case AXL_TYPE_S32:
		for (size_t i = 0; i < count; i++)
			((int32_t *)dst)[i] = (int32_t)truncate_to(src[i], INT32_MIN, INT32_MAX);
		break;
	case AXL_TYPE_S64:
		for (size_t i = 0; i < count; i++)
			((int64_t *)dst)[i] = truncate_to(src[i], INT64_MIN, INT64_MAX);
		break;
	case AXL_TYPE_F16:
		f32_to_f16_row(dst, src, count);
		break;
	case AXL_TYPE_BF16:
		for (size_t i = 0; i < count; i++)
			((uint16_t *)dst)[i] = bf16_bits(src[i]);
		break;
	case AXL_TYPE_BOOL:
		for (size_t i = 0; i < count; i++)
			((uint8_t *)dst)[i] = src[i] != 0;
		break;
	default:
		for (size_t i = 0; i < count; i++)
			((float *)dst)[i] = src[i] == src[i] ? src[i] : __builtin_nanf("");
	}
}

/* Integers of any width through 64 bits: saturating. */
static int64_t read_int(const void *src, enum axl_type type, size_t i)
{
	switch (type) {
	case AXL_TYPE_U8:
		return ((const uint8_t *)src)[i];
	case AXL_TYPE_S8:
		return ((const int8_t *)src)[i];
	case AXL_TYPE_S16:
		return ((const int16_t *)src)[i];
	case AXL_TYPE_S32:
		return ((const int32_t *)src)[i];
	case AXL_TYPE_BOOL:
		return ((const uint8_t *)src)[i] != 0;
	default:
		return ((const int64_t *)src)[i];
	}
}

static void write_int(void *dst, enum axl_type type, size_t i, int64_t value)
{
	static const int64_t lo[] = {[AXL_TYPE_U8] = 0,          [AXL_TYPE_S8] = -128,       [AXL_TYPE_S16] = -32768,
				     [AXL_TYPE_S32] = INT32_MIN, [AXL_TYPE_S64] = INT64_MIN, [AXL_TYPE_BOOL] = 0};
	static const int64_t hi[] = {[AXL_TYPE_U8] = 255,        [AXL_TYPE_S8] = 127,        [AXL_TYPE_S16] = 32767,
				     [AXL_TYPE_S32] = INT32_MAX, [AXL_TYPE_S64] = INT64_MAX, [AXL_TYPE_BOOL] = 1};

	if (type == AXL_TYPE_BOOL)
		value = value != 0;
	value = value < lo[type] ? lo[type] : value > hi[type] ? hi[type] : value;
	switch (exec_type_size(type)) {
	case 1:
		((uint8_t *)dst)[i] = (uint8_t)value;
		break;
	case 2:
		((int16_t *)dst)[i] = (int16_t)value;
		break;
	case 4:
		((int32_t *)dst)[i] = (int32_t)value;
		break;
	default:
		((int64_t *)dst)[i] = value;
	}
}

static bool is_real(enum axl_type type)
{
	return type == AXL_TYPE_F16 || type == AXL_TYPE_BF16 || type == AXL_TYPE_F32;
}

void exec_convert(void *dst, enum axl_type dst_type, const void *src, enum axl_type src_type, size_t count)
{
	if (dst_type == src_type) {
		memmove(dst, src, count * exec_type_size(dst_type));
		return;
	}
	if (!is_real(dst_type) && !is_real(src_type)) {
		for (size_t i = 0; i < count; i++)
			write_int(dst, dst_type, i, read_int(src, src_type, i));
		return;
	}
	while (count) {
		float values[256];
		size_t n = count < 256 ? count : 256;

		exec_to_f32(values, src, src_type, n);
		exec_from_f32(dst, dst_type, values, n);
		dst = (uint8_t *)dst + n * exec_type_size(dst_type);
		src = (const uint8_t *)src + n * exec_type_size(src_type);
		count -= n;
	}
}

/* ---- functions ---- */

static inline float scale_by_power(float x, int n)
{
	/* x * 2^n in two exact steps, so that subnormal results are rounded once. */
	int half = n / 2;
	uint32_t a = (uint32_t)(half + 127) << 23, b = (uint32_t)(n - half + 127) << 23;
	float fa, fb;

	memcpy(&fa, &a, 4);
	memcpy(&fb, &b, 4);
	return x * fa * fb;
}

/* exp: x = n ln2 + r, |r| <= ln2 / 2; degree 6 in r. */
static inline float vec_exp(float x)
{
	float clamped = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x;
	float n = __builtin_rintf(clamped * 0x1.715476p+0f);
	float r = fmaf(n, -0x1.62e400p-1f, clamped);
	float p;

	r = fmaf(n, -0x1.7f7d1cp-20f, r);
	p = 0x1.6850e4p-10f;
	p = fmaf(p, r, 0x1.123bccp-7f);
	p = fmaf(p, r, 0x1.555b98p-5f);
	p = fmaf(p, r, 0x1.55548ep-3f);
	p = fmaf(p, r, 0x1.fffff8p-2f);
	p = fmaf(p, r * r, r);
	p = p + 1.0f;
	return x == x ? scale_by_power(p, (int)(clamped == clamped ? n : 0)) : x;
}

/* log: x = m 2^e, m in [sqrt(1/2), sqrt(2)); log1p by atanh series in s = f / (2 + f). */
static inline float vec_log(float x)
{
	uint32_t bits;
	float scaled = x < 0x1p-126f ? x * 0x1p23f : x, m, e, f, s, z, p;
	int exponent;

	memcpy(&bits, &scaled, 4);
	exponent = (int)(bits - 0x3f3504f3u) >> 23;
	bits -= (uint32_t)exponent << 23;
	memcpy(&m, &bits, 4);
	e = (float)(exponent - (x < 0x1p-126f ? 23 : 0));
	f = m - 1.0f;
	s = f / (2.0f + f);
	z = s * s;
	p = 0x1.d13a06p-3f;
	p = fmaf(p, z, 0x1.23d3dcp-2f);
	p = fmaf(p, z, 0x1.999c26p-2f);
	p = fmaf(p, z, 0x1.555552p-1f);
	p = p * z;
	p = fmaf(s, p, fmaf(e, 0x1.7f7d1cp-20f, 2.0f * s));
	p = fmaf(e, 0x1.62e400p-1f, p);
	if (!(x == x) || x < 0)
		return __builtin_nanf("");
	return x == 0 ? -__builtin_inff() : x == __builtin_inff() ? x : p;
}

static inline float vec_sigmoid(float x)
{
	float e = vec_exp(-fabsf(x)), s = 1.0f / (1.0f + e);

	return x >= 0 ? s : x == x ? e * s : x;
}

static inline float vec_tanh(float x)
{
	float a = fabsf(x), e = vec_exp(-2.0f * a), t = (1.0f - e) / (1.0f + e), z = x * x, p;

	/* Small arguments by the odd polynomial, where 1 - e would cancel. */
	p = fmaf(fmaf(fmaf(fmaf(0x1.66abp-6f, z, -0x1.ba1bap-5f), z, 0x1.1110fp-3f), z, -0x1.55555p-2f), z, 0.0f);
	p = fmaf(p, a, a);
	t = a < 0.3f ? p : t;
	return x == x ? __builtin_copysignf(t, x) : x;
}

/* erf: 1 - t exp(P(t) - x^2) with t = 1 / (1 + |x| / 2) and P of degree 9 (Numerical Recipes in C, 6.2, erfcc). */
static inline float vec_erf(float x)
{
	float a = fabsf(x), z = x * x, t = 1.0f / (1.0f + 0.5f * a), p;

	p = 0.17087277f;
	p = fmaf(p, t, -0.82215223f);
	p = fmaf(p, t, 1.48851587f);
	p = fmaf(p, t, -1.13520398f);
	p = fmaf(p, t, 0.27886807f);
	p = fmaf(p, t, -0.18628806f);
	p = fmaf(p, t, 0.09678418f);
	p = fmaf(p, t, 0.37409196f);
	p = fmaf(p, t, 1.00002368f);
	p = fmaf(p, t, -1.26551223f);
	p = 1.0f - t * vec_exp(p - z);
	p = a > 6.0f ? 1.0f : p;
	return x == x ? __builtin_copysignf(p, x) : x;
}

/* sin and cos: reduction by pi / 2 in three parts, |x| <= 8192; beyond, accuracy falls off. */
static inline float vec_sin_cos(float x, int shift)
{
	float n = __builtin_rintf(x * 0x1.45f306p-1f), r, z, s, c, v;
	int q;

	n = fabsf(n) < 1e9f ? n : 0;
	r = fmaf(n, -0x1.921fb0p+0f, x);
	r = fmaf(n, -0x1.5110b4p-22f, r);
	r = fmaf(n, -0x1.846988p-48f, r);
	q = ((int)n + shift) & 3;
	z = r * r;
	s = fmaf(fmaf(fmaf(0x1.5dbd4ep-19f, z, -0x1.9f6298p-13f), z, 0x1.110f0cp-7f), z, -0x1.555548p-3f);
	s = fmaf(s * z, r, r);
	c = fmaf(fmaf(fmaf(0x1.8bb3bp-16f, z, -0x1.6c087ep-10f), z, 0x1.55553ep-5f), z, -0.5f);
	c = fmaf(c, z, 1.0f);
	v = q & 1 ? c : s;
	v = q & 2 ? -v : v;
	return fabsf(x) < __builtin_inff() ? v : __builtin_nanf("");
}

static inline float clamp(float x, float lo, float hi)
{
	float y = x > lo ? x : lo;

	y = y < hi ? y : hi;
	return x == x ? y : x;
}

#define UNARY_ROW(name, expression)                                                  \
	EXEC_CLONES static void name(float *v, size_t count, float imm0, float imm1) \
	{                                                                            \
		(void)imm0;                                                          \
		(void)imm1;                                                          \
		for (size_t i = 0; i < count; i++) {                                 \
			float x = v[i];                                              \
			v[i] = expression;                                           \
		}                                                                    \
	}

UNARY_ROW(row_copy, x)
UNARY_ROW(row_neg, -x)
UNARY_ROW(row_abs, fabsf(x))
UNARY_ROW(row_sign, x > 0 ? 1.0f : x < 0 ? -1.0f : x == 0 ? 0.0f : x)
UNARY_ROW(row_floor, __builtin_floorf(x))
UNARY_ROW(row_ceil, __builtin_ceilf(x))
UNARY_ROW(row_round, __builtin_rintf(x))
UNARY_ROW(row_sqrt, __builtin_sqrtf(x))
UNARY_ROW(row_recip, 1.0f / x)
UNARY_ROW(row_rsqrt, 1.0f / __builtin_sqrtf(x))
UNARY_ROW(row_exp, vec_exp(x))
UNARY_ROW(row_log, vec_log(x))
UNARY_ROW(row_tanh, vec_tanh(x))
UNARY_ROW(row_sigmoid, vec_sigmoid(x))
UNARY_ROW(row_erf, vec_erf(x))
UNARY_ROW(row_gelu, (0.5f * x) * (1.0f + vec_erf(x * 0.70710677f)))
UNARY_ROW(row_gelu_tanh, (0.5f * x) * (1.0f + vec_tanh(0.7978846f * fmaf(0.044715f * x * x, x, x))))
UNARY_ROW(row_silu, x *vec_sigmoid(x))
UNARY_ROW(row_softplus, (x > 0 ? x : x == x ? 0.0f : x) + vec_log(1.0f + vec_exp(-fabsf(x))))
UNARY_ROW(row_relu, x > 0 ? x : x == x ? 0.0f : x)
UNARY_ROW(row_leaky, x >= 0 ? x : x * imm0)
UNARY_ROW(row_clip, clamp(x, imm0, imm1))
UNARY_ROW(row_hardsigmoid, clamp(x *imm0 + imm1, 0.0f, 1.0f))
UNARY_ROW(row_hardswish, x *clamp(x *imm0 + imm1, 0.0f, 1.0f))
UNARY_ROW(row_elu, x >= 0 ? x : imm0 * (vec_exp(x) - 1.0f))
UNARY_ROW(row_affine, x *imm0 + imm1)
UNARY_ROW(row_not, x == 0 ? 1.0f : 0.0f)
UNARY_ROW(row_sin, vec_sin_cos(x, 0))
UNARY_ROW(row_cos, vec_sin_cos(x, 1))

static void (*const rows[])(float *, size_t, float, float) = {
	[AXL_VEC_COPY] = row_copy,
	[AXL_VEC_NEG] = row_neg,
	[AXL_VEC_ABS] = row_abs,
	[AXL_VEC_SIGN] = row_sign,
	[AXL_VEC_FLOOR] = row_floor,
	[AXL_VEC_CEIL] = row_ceil,
	[AXL_VEC_ROUND] = row_round,
	[AXL_VEC_SQRT] = row_sqrt,
	[AXL_VEC_RECIP] = row_recip,
	[AXL_VEC_RSQRT] = row_rsqrt,
	[AXL_VEC_EXP] = row_exp,
	[AXL_VEC_LOG] = row_log,
	[AXL_VEC_TANH] = row_tanh,
	[AXL_VEC_SIGMOID] = row_sigmoid,
	[AXL_VEC_ERF] = row_erf,
	[AXL_VEC_GELU] = row_gelu,
	[AXL_VEC_GELU_TANH] = row_gelu_tanh,
	[AXL_VEC_SILU] = row_silu,
	[AXL_VEC_SOFTPLUS] = row_softplus,
	[AXL_VEC_RELU] = row_relu,
	[AXL_VEC_LEAKY] = row_leaky,
	[AXL_VEC_CLIP] = row_clip,
	[AXL_VEC_HARDSIGMOID] = row_hardsigmoid,
	[AXL_VEC_HARDSWISH] = row_hardswish,
	[AXL_VEC_ELU] = row_elu,
	[AXL_VEC_AFFINE] = row_affine,
	[AXL_VEC_NOT] = row_not,
	[AXL_VEC_SIN] = row_sin,
	[AXL_VEC_COS] = row_cos,
};

void exec_unary_f32(enum axl_vec_op op, float *values, size_t count, float imm0, float imm1)
{
	rows[op](values, count, imm0, imm1);
}
