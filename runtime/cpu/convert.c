// SPDX-License-Identifier: MIT
/*
 * Single values between formats: half floats, and "any element as a number". Rows are in cast.c.
 */
#include "runtime/cpu/tensor.h"

#include <math.h>
#include <string.h>

#include "runtime/cpu/narrow_float.h"

static float float_from_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static uint32_t float_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

float f16_to_f32(uint16_t bits)
{
	uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
	uint32_t exponent = (bits >> 10) & 0x1f, mantissa = bits & 0x3ff;

	if (exponent == 0x1f)
		return float_from_bits(sign | 0x7f800000 | mantissa << 13);
	if (exponent)
		return float_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
	/* Zero and denormals: mantissa * 2^-24 is exact in f32. */
	return float_from_bits(sign | float_bits((float)mantissa * 0x1p-24f));
}

uint16_t f32_to_f16(float value)
{
	uint32_t bits = float_bits(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;

	if (magnitude > 0x7f800000) /* NaN: quiet, the upper payload kept */
		return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
	if (magnitude >= 0x477ff000) /* 65520 and up round to infinity */
		return (uint16_t)(sign | 0x7c00);
	if (magnitude < 0x38800000) {
		/* Below 2^-14: adding 0.5 leaves the result in the low bits, in units of 2^-24, rounded by the FPU. */
		float shifted = float_from_bits(magnitude) + 0.5f;

		return (uint16_t)(sign | (float_bits(shifted) - float_bits(0.5f)));
	}
	magnitude +=
		0xfff + (magnitude >> 13 & 1); /* to nearest, ties to even; a carry moves the exponent, as it should */
	return (uint16_t)(sign | ((magnitude >> 13) - (112 << 10)));
}

float bf16_to_f32(uint16_t bits)
{
	return float_from_bits((uint32_t)bits << 16);
}

uint16_t f32_to_bf16(float value)
{
	uint32_t bits = float_bits(value);

	if ((bits & 0x7fffffff) > 0x7f800000) /* rounding could turn a NaN into infinity: make it quiet instead */
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

double tensor_get_f64(const struct tensor *t, int64_t i)
{
	switch (t->dtype) {
	case DTYPE_F32:
		return ((const float *)t->data)[i];
	case DTYPE_F64:
		return ((const double *)t->data)[i];
	case DTYPE_F16:
		return f16_to_f32(((const uint16_t *)t->data)[i]);
	case DTYPE_BF16:
		return bf16_to_f32(((const uint16_t *)t->data)[i]);
	case DTYPE_U64:
		return (double)((const uint64_t *)t->data)[i];
	case DTYPE_F8E4M3FN:
	case DTYPE_F8E4M3FNUZ:
	case DTYPE_F8E5M2:
	case DTYPE_F8E5M2FNUZ:
	case DTYPE_F6E2M3:
	case DTYPE_F6E3M2:
	case DTYPE_F4E2M1:
	case DTYPE_F8E8M0:
		return narrow_to_f32(t->dtype, ((const uint8_t *)t->data)[i]);
	default:
		return (double)tensor_get_s64(t, i);
	}
}

static int64_t saturate_s64(double value)
{
	if (isnan(value))
		return 0;
	if (value >= 0x1p63)
		return INT64_MAX;
	if (value < -0x1p63)
		return INT64_MIN;
	return (int64_t)value;
}

int64_t tensor_get_s64(const struct tensor *t, int64_t i)
{
	switch (t->dtype) {
	case DTYPE_U8:
	case DTYPE_U4:
	case DTYPE_U2:
		return ((const uint8_t *)t->data)[i];
	case DTYPE_S8:
	case DTYPE_S4:
	case DTYPE_S2:
		return ((const int8_t *)t->data)[i];
	case DTYPE_U16:
		return ((const uint16_t *)t->data)[i];
	case DTYPE_S16:
		return ((const int16_t *)t->data)[i];
	case DTYPE_S32:
		return ((const int32_t *)t->data)[i];
	case DTYPE_U32:
		return ((const uint32_t *)t->data)[i];
	case DTYPE_S64:
		return ((const int64_t *)t->data)[i];
	case DTYPE_U64: {
		uint64_t value = ((const uint64_t *)t->data)[i];

		return value > INT64_MAX ? INT64_MAX : (int64_t)value;
	}
	case DTYPE_BOOL:
		return ((const uint8_t *)t->data)[i] != 0;
	case DTYPE_F32:
	case DTYPE_F64:
	case DTYPE_F16:
	case DTYPE_BF16:
	case DTYPE_F8E4M3FN:
	case DTYPE_F8E4M3FNUZ:
	case DTYPE_F8E5M2:
	case DTYPE_F8E5M2FNUZ:
	case DTYPE_F6E2M3:
	case DTYPE_F6E3M2:
	case DTYPE_F4E2M1:
	case DTYPE_F8E8M0:
		return saturate_s64(tensor_get_f64(t, i));
	default:
		return 0;
	}
}
