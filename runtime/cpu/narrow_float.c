// SPDX-License-Identifier: MIT
/*
 * Narrow floats: see narrow_float.h. Knows bit layouts, one value at a time; rows and other types are cast.c's.
 */
#include "runtime/cpu/narrow_float.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/*
 * struct float_format - sign, exponent and fraction of a format, from the highest bit down
 * @sign:          the sign's bit
 * @fraction:      bits of the fraction
 * @bias:          of the exponent
 * @max:           code of the largest finite value
 * @overflow:      what stands for a value above it when not saturating; the sign is added, as to @nan
 * @nan:           what stands for NaN
 * @unsigned_zero: the code of -0 is the one NaN (the FNUZ formats)
 */
struct float_format {
	uint8_t sign;
	uint8_t fraction;
	uint8_t bias;
	uint8_t max, overflow, nan;
	bool unsigned_zero;
};

static const struct float_format e4m3fn = {0x80, 3, 7, 0x7e, 0x7f, 0x7f, false};
static const struct float_format e4m3fnuz = {0x80, 3, 8, 0x7f, 0x80, 0x80, true};
static const struct float_format e5m2 = {0x80, 2, 15, 0x7b, 0x7c, 0x7e, false};
static const struct float_format e5m2fnuz = {0x80, 2, 16, 0x7f, 0x80, 0x80, true};
static const struct float_format e2m3 = {0x20, 3, 1, 0x1f, 0x1f, 0x20, false};
static const struct float_format e3m2 = {0x20, 2, 3, 0x1f, 0x1f, 0x20, false};
static const struct float_format e2m1 = {0x08, 1, 1, 0x07, 0x07, 0x08, false};

static const struct float_format *format_of(enum dtype type)
{
	switch (type) {
	case DTYPE_F8E4M3FN:
		return &e4m3fn;
	case DTYPE_F8E4M3FNUZ:
		return &e4m3fnuz;
	case DTYPE_F8E5M2:
		return &e5m2;
	case DTYPE_F8E5M2FNUZ:
		return &e5m2fnuz;
	case DTYPE_F6E2M3:
		return &e2m3;
	case DTYPE_F6E3M2:
		return &e3m2;
	default:
		assert(type == DTYPE_F4E2M1);
		return &e2m1;
	}
}

static float from_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static uint32_t to_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

#define F32_INFINITY 0x7f800000u

static float e8m0_to_f32(uint8_t code)
{
	if (code == 0xff)
		return NAN;
	/* 2^-127 is subnormal in f32. */
	return from_bits(code ? (uint32_t)code << 23 : 0x00400000);
}

float narrow_to_f32(enum dtype type, uint8_t code)
{
	const struct float_format *format;
	uint8_t magnitude;
	int exponent;
	float value;

	if (type == DTYPE_F8E8M0)
		return e8m0_to_f32(code);
	format = format_of(type);
	magnitude = code & (format->sign - 1);
	exponent = magnitude >> format->fraction;
	value = (float)(magnitude & ((1 << format->fraction) - 1));
	if (exponent)
		value += (float)(1 << format->fraction);
	value = ldexpf(value, (exponent ? exponent : 1) - format->bias - format->fraction);
	if (format->unsigned_zero && code == format->nan)
		return NAN;
	if (magnitude > format->max)
		value = magnitude == format->overflow && format->overflow != format->nan ? INFINITY : NAN;
	return code & format->sign ? -value : value;
}

/*
 * Magnitude bits of a finite float as a code, rounded to nearest even; above the format's last code where it overflows.
 * A code counts units in the last place, so that a carry out of the fraction moves the exponent, as it should.
 */
static uint32_t round_magnitude(const struct float_format *format, uint32_t magnitude)
{
	int shift = 23 - format->fraction;
	uint32_t smallest_normal = (uint32_t)(127 + 1 - format->bias) << 23;

	if (magnitude < smallest_normal) {
		/* Subnormal: the addition leaves units of the format's last place in the low bits, rounded by the FPU. */
		float unit = from_bits((uint32_t)(127 + 1 - format->bias - format->fraction + 23) << 23);

		return to_bits(from_bits(magnitude) + unit) - to_bits(unit);
	}
	magnitude += (1u << (shift - 1)) - 1 + (magnitude >> shift & 1);
	return (magnitude >> shift) - ((uint32_t)(127 - format->bias) << format->fraction);
}

uint8_t f32_to_narrow(enum dtype type, float value, bool saturate)
{
	const struct float_format *format = format_of(type);
	uint32_t bits = to_bits(value), magnitude = bits & 0x7fffffff, code;
	uint8_t sign = bits >> 31 ? format->sign : 0;

	if (magnitude > F32_INFINITY)
		return format->nan | sign;
	code = magnitude == F32_INFINITY ? UINT32_MAX : round_magnitude(format, magnitude);
	if (code > format->max)
		code = saturate ? format->max : format->overflow;
	if (!code && format->unsigned_zero)
		sign = 0;
	return (uint8_t)code | sign;
}

uint8_t f32_to_e8m0(float value, enum e8m0_round round, bool saturate)
{
	uint32_t magnitude = to_bits(value) & 0x7fffffff, code, rest;

	if (magnitude > F32_INFINITY)
		return 0xff;
	if (magnitude < 0x00400000)
		return saturate ? 0 : 0xff;
	/* Subnormals from 2^-127 on have the exponent of the next power of two down: its code is 0 like theirs. */
	code = magnitude >> 23;
	rest = code ? magnitude & 0x7fffff : (magnitude & 0x3fffff) << 1;
	if (round == E8M0_UP ? rest > 0 : round == E8M0_NEAREST && rest >= 0x400000)
		code++;
	if (code < 0xff && magnitude < F32_INFINITY)
		return (uint8_t)code;
	return saturate ? 0xfe : 0xff;
}

float f64_to_f32_odd(double value)
{
	float near = (float)value;
	uint32_t bits = to_bits(near);

	if ((double)near == value || value != value || isinf(near))
		return near;
	/* Towards zero, then set the last bit. */
	if (fabs((double)near) > fabs(value))
		bits--;
	return from_bits(bits | 1);
}
