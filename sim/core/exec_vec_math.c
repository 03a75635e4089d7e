/* SPDX-License-Identifier: MIT */
/*
 * Unary functions in binary32 and conversions. The polynomials and the order of operations are the specification's
 * (uapi/numerics.md, coefficients in axl_isa.h): every + and * is rounded once, fma where it says fma.
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

static inline float float_of(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static inline float quiet_nan(void)
{
	return __builtin_nanf("");
}

/* p * 2^n, |n| <= 252, in two steps: the first is exact, so that a subnormal result is rounded once. */
static inline float scale_by_power(float p, int32_t n)
{
	int32_t half = n >> 1;

	return p * float_of((uint32_t)(half + 127) << 23) * float_of((uint32_t)(n - half + 127) << 23);
}

/* exp: x = n ln2 + r, |r| <= ln2 / 2; degree 6 in r. At most 0.95 ulp. */
static inline float vec_exp(float x)
{
	float low = x > AXL_EXP_LO ? x : AXL_EXP_LO, inside = low < AXL_EXP_HI ? low : AXL_EXP_HI; /* NaN: AXL_EXP_LO */
	float n = __builtin_rintf(inside * AXL_LOG2E);
	float r = fmaf(n, -AXL_LN2_LO, fmaf(n, -AXL_LN2_HI, inside));
	float p = fmaf(AXL_EXP_C4, r, AXL_EXP_C3);

	p = fmaf(p, r, AXL_EXP_C2);
	p = fmaf(p, r, AXL_EXP_C1);
	p = fmaf(p, r, AXL_EXP_C0);
	p = fmaf(p, r * r, r) + 1.0f;
	p = scale_by_power(p, (int32_t)n);
	return x == x ? p : x;
}

/* log: x = m 2^e, m in [sqrt(1/2), sqrt(2)); log(m) = f - s (f - R(s^2)), f = m - 1, s = f / (f + 2). At most 0.9 ulp.
 */
static inline float vec_log(float x)
{
	int tiny = x < 0x1p-126f;
	float scaled = tiny ? x * 0x1p23f : x, e, f, s, z, p;
	uint32_t bits;
	int32_t exponent;

	memcpy(&bits, &scaled, sizeof(bits));
	exponent = (int32_t)(bits - 0x3f3504f3u) >> 23;
	f = float_of(bits - ((uint32_t)exponent << 23)) - 1.0f;
	e = (float)(exponent - (tiny ? 23 : 0));
	s = f / (f + 2.0f);
	z = s * s;
	p = fmaf(AXL_LOG_C3, z, AXL_LOG_C2);
	p = fmaf(p, z, AXL_LOG_C1);
	p = fmaf(p, z, AXL_LOG_C0);
	p = fmaf(s, p * z - f, f);
	p = fmaf(e, AXL_LN2_HI, fmaf(e, AXL_LN2_LO, p));
	p = x == __builtin_inff() ? x : p;
	p = x == 0.0f ? -__builtin_inff() : p;
	return x >= 0.0f ? p : quiet_nan();
}

static inline float vec_sigmoid(float x)
{
	float e = vec_exp(-fabsf(x)), s = 1.0f / (1.0f + e);

	return x >= 0.0f ? s : e * s;
}

/* Small arguments by an odd polynomial, where 1 - e would cancel. At most 1.5 ulp. */
static inline float vec_tanh(float x)
{
	float a = fabsf(x), z = a * a, p = fmaf(AXL_TANH_C4, z, AXL_TANH_C3);
	float e = vec_exp(-2.0f * a), t = (1.0f - e) / (1.0f + e);

	p = fmaf(p, z, AXL_TANH_C2);
	p = fmaf(p, z, AXL_TANH_C1);
	p = fmaf(p, z, AXL_TANH_C0);
	p = fmaf(p * z, a, a);
	return __builtin_copysignf(a < AXL_TANH_SMALL ? p : t, x);
}

/* erf: an odd polynomial below 1, then 1 - exp(-Q(|x|)), then 1. At most 1.1 ulp. */
static inline float vec_erf(float x)
{
	float a = fabsf(x), z = a * a, p = fmaf(AXL_ERF_C6, z, AXL_ERF_C5), q = fmaf(AXL_ERF_D6, a, AXL_ERF_D5), y;

	p = fmaf(p, z, AXL_ERF_C4);
	p = fmaf(p, z, AXL_ERF_C3);
	p = fmaf(p, z, AXL_ERF_C2);
	p = fmaf(p, z, AXL_ERF_C1);
	p = fmaf(p, z, AXL_ERF_C0);
	p = fmaf(p, a, a);
	q = fmaf(q, a, AXL_ERF_D4);
	q = fmaf(q, a, AXL_ERF_D3);
	q = fmaf(q, a, AXL_ERF_D2);
	q = fmaf(q, a, AXL_ERF_D1);
	q = fmaf(q, a, AXL_ERF_D0);
	y = a < AXL_ERF_ONE ? 1.0f - vec_exp(-q) : 1.0f;
	y = a < 1.0f ? p : y;
	return x == x ? __builtin_copysignf(y, x) : x;
}

/* sin for shift 0, cos for shift 1: reduction by pi / 2 in three parts. At most 1e-7 off for |x| <= 1e5; farther out it
 * falls off. */
static inline float vec_sin_cos(float x, int32_t shift)
{
	float turns = __builtin_rintf(x * AXL_TWO_OVER_PI), n = fabsf(turns) < 0x1p30f ? turns : 0.0f;
	float r = fmaf(n, -AXL_PIO2_LO, fmaf(n, -AXL_PIO2_MID, fmaf(n, -AXL_PIO2_HI, x)));
	float z = r * r, s = fmaf(AXL_SIN_C3, z, AXL_SIN_C2), c = fmaf(AXL_COS_C2, z, AXL_COS_C1), v;
	int32_t quadrant = (int32_t)n + shift;

	s = fmaf(s, z, AXL_SIN_C1);
	s = fmaf(s, z, AXL_SIN_C0);
	s = fmaf(s * z, r, r);
	c = fmaf(c, z, AXL_COS_C0);
	c = fmaf(c * z, z, fmaf(-0.5f, z, 1.0f));
	v = quadrant & 1 ? c : s;
	v = quadrant & 2 ? -v : v;
	v = fabsf(turns) < 0x1p30f ? v : 0.0f; /* no digits are left */
	return fabsf(x) < __builtin_inff() ? v : quiet_nan();
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
