/* SPDX-License-Identifier: MIT */
/*
 * Element types and conversions. The two 16-bit float formats are handled as what they are, a sign and a whole number
 * of quanta 2^e, with ldexp() and rint() on binary64 (which holds every such number exactly), instead of by shifting
 * bits.
 */
#include <math.h>
#include <string.h>

#include "tests/reference/element.h"
#include "tests/reference/reference.h"

/* A narrow binary format. */
struct narrow {
	int mantissa_bits;
	int min_exponent; /* of the smallest normal number */
	int max_exponent;
	uint16_t quiet_nan;
};

static const struct narrow narrow_f16 = {10, -14, 15, 0x7e00};
static const struct narrow narrow_bf16 = {7, -126, 127, 0x7fc0};

static float narrow_decode(uint16_t bits, const struct narrow *format)
{
	unsigned int exponent_mask = (1u << (15 - format->mantissa_bits)) - 1;
	unsigned int exponent = (bits >> format->mantissa_bits) & exponent_mask;
	unsigned int mantissa = bits & ((1u << format->mantissa_bits) - 1);
	double magnitude;

	if (exponent == exponent_mask)
		magnitude = mantissa ? NAN : INFINITY;
	else if (exponent == 0)
		magnitude = ldexp(mantissa, format->min_exponent - format->mantissa_bits);
	else
		magnitude = ldexp(mantissa + (1u << format->mantissa_bits),
				  (int)exponent - 1 + format->min_exponent - format->mantissa_bits);
	return (float)(bits >> 15 ? -magnitude : magnitude);
}

static uint16_t narrow_encode(float value, const struct narrow *format)
{
	unsigned int exponent_mask = (1u << (15 - format->mantissa_bits)) - 1;
	uint16_t sign = signbit(value) ? 0x8000 : 0, infinity = (uint16_t)(exponent_mask << format->mantissa_bits);
	double magnitude = fabs((double)value), quanta;
	int exponent;

	if (isnan(value))
		return format->quiet_nan;
	if (magnitude == 0)
		return sign;
	if (isinf(value))
		return sign | infinity;
	exponent = ilogb(magnitude);
	if (exponent < format->min_exponent)
		exponent = format->min_exponent;
	if (exponent > format->max_exponent)
		return sign | infinity;
	quanta = rint(ldexp(magnitude, format->mantissa_bits - exponent));
	/*
	 * A normal number has 2^mantissa_bits quanta or more, of which the first 2^mantissa_bits are the hidden bit; so
	 * quanta that round up to the next power of two carry into the exponent, from the largest one into infinity.
	 */
	return sign | (uint16_t)((((unsigned int)(exponent - format->min_exponent)) << format->mantissa_bits) +
				 (unsigned int)quanta);
}

bool element_is_float(unsigned int type)
{
	return type == AXL_TYPE_F16 || type == AXL_TYPE_BF16 || type == AXL_TYPE_F32;
}

unsigned int element_size(unsigned int type)
{
	static const unsigned int sizes[] = {
#define TYPE_SIZE(name, number, size, text) [number] = size,
		AXL_TYPES(TYPE_SIZE)
#undef TYPE_SIZE
	};

	return sizes[type];
}

float float_from_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, 4);
	return value;
}

/* Little endian whatever the host is. */
static uint64_t read_bits(const uint8_t *at, unsigned int size)
{
	uint64_t bits = 0;

	for (unsigned int i = 0; i < size; i++)
		bits |= (uint64_t)at[i] << (8 * i);
	return bits;
}

static void write_bits(uint8_t *at, unsigned int size, uint64_t bits)
{
	for (unsigned int i = 0; i < size; i++)
		at[i] = (uint8_t)(bits >> (8 * i));
}

int64_t element_read_int(const uint8_t *at, unsigned int type)
{
	uint64_t bits = read_bits(at, element_size(type));

	switch (type) {
	case AXL_TYPE_BOOL:
		return bits != 0;
	case AXL_TYPE_S8:
		return (int8_t)bits;
	case AXL_TYPE_S16:
		return (int16_t)bits;
	case AXL_TYPE_S32:
		return (int32_t)bits;
	default:
		return (int64_t)bits;
	}
}

float element_read_float(const uint8_t *at, unsigned int type)
{
	switch (type) {
	case AXL_TYPE_F16:
		return narrow_decode((uint16_t)read_bits(at, 2), &narrow_f16);
	case AXL_TYPE_BF16:
		return narrow_decode((uint16_t)read_bits(at, 2), &narrow_bf16);
	case AXL_TYPE_F32:
		return float_from_bits((uint32_t)read_bits(at, 4));
	default:
		return (float)element_read_int(at, type);
	}
}

int64_t saturate(int64_t value, unsigned int type)
{
	int64_t lo, hi;

	if (type == AXL_TYPE_S64)
		return value;
	if (type == AXL_TYPE_U8) {
		lo = 0;
		hi = 255;
	} else {
		hi = (INT64_C(1) << (8 * element_size(type) - 1)) - 1;
		lo = -hi - 1;
	}
	return value < lo ? lo : value > hi ? hi : value;
}

int32_t round_to_int(float value)
{
	double rounded = rint((double)value);

	if (isnan(value))
		return 0;
	if (rounded >= 2147483647.0)
		return INT32_MAX;
	if (rounded <= -2147483648.0)
		return INT32_MIN;
	return (int32_t)rounded;
}

static int64_t truncate_to_int(float value)
{
	if (isnan(value))
		return 0;
	if (value >= 0x1p63f)
		return INT64_MAX;
	if (value <= -0x1p63f)
		return INT64_MIN;
	return (int64_t)value;
}

void element_write_float(uint8_t *at, unsigned int type, float value)
{
	uint32_t bits;

	switch (type) {
	case AXL_TYPE_F16:
		write_bits(at, 2, narrow_encode(value, &narrow_f16));
		break;
	case AXL_TYPE_BF16:
		write_bits(at, 2, narrow_encode(value, &narrow_bf16));
		break;
	case AXL_TYPE_F32:
		memcpy(&bits, &value, 4);
		write_bits(at, 4, isnan(value) ? 0x7fc00000 : bits);
		break;
	case AXL_TYPE_BOOL:
		*at = value != 0;
		break;
	default:
		write_bits(at, element_size(type), (uint64_t)saturate(truncate_to_int(value), type));
	}
}

void element_write_int(uint8_t *at, unsigned int type, int64_t value)
{
	if (element_is_float(type))
		element_write_float(at, type, (float)value);
	else if (type == AXL_TYPE_BOOL)
		*at = value != 0;
	else
		write_bits(at, element_size(type), (uint64_t)saturate(value, type));
}

void element_copy(uint8_t *dst, unsigned int dst_type, const uint8_t *src, unsigned int src_type)
{
	if (dst_type == src_type)
		write_bits(dst, element_size(dst_type), read_bits(src, element_size(src_type)));
	else if (element_is_float(src_type))
		element_write_float(dst, dst_type, element_read_float(src, src_type));
	else
		element_write_int(dst, dst_type, element_read_int(src, src_type));
}

void reference_convert(void *dst, enum axl_type dst_type, const void *src, enum axl_type src_type)
{
	element_copy(dst, dst_type, src, src_type);
}
