// SPDX-License-Identifier: MIT
/*
 * Conversions of any two number types (cast_elements() of cast.h). Types of one byte and less have no loop for each pair:
 * they pass through the native type that holds their values exactly, their carrier, in blocks that stay in the cache.
 */
#include "runtime/cpu/cast.h"

#include <assert.h>
#include <string.h>

#define BLOCK 512

const struct cast_rule cast_default = {.saturate = true, .round = E8M0_UP};

/* The native type that holds every value of @type. */
static enum dtype carrier_of(enum dtype type)
{
	switch (type) {
	case DTYPE_U4:
	case DTYPE_U2:
		return DTYPE_U8; /* and the same bytes in memory */
	case DTYPE_S4:
	case DTYPE_S2:
		return DTYPE_S8;
	default:
		return dtype_is_narrow_float(type) ? DTYPE_F32 : type;
	}
}

bool cast_exists(enum dtype from, enum dtype to)
{
	return cast_row(carrier_of(from), carrier_of(to)) != NULL;
}

/* ---- to the carrier ---- */

/* Values of all codes: a look-up is faster than the decoding where there are more elements than codes. */
static void decode(enum dtype type, size_t n, const uint8_t *in, float *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = narrow_to_f32(type, in[i]);
}

static void fill_table(enum dtype type, float *table)
{
	uint8_t codes[256];

	for (int i = 0; i < 256; i++)
		codes[i] = (uint8_t)i;
	decode(type, 256, codes, table);
}

/* ---- from a native type to a narrow one ---- */

void wrap_bits(enum dtype type, size_t n, const uint8_t *in, uint8_t *out)
{
	int unused = 8 - dtype_bits(type);
	bool is_signed = type == DTYPE_S4 || type == DTYPE_S2;

	for (size_t i = 0; i < n; i++) {
		uint8_t high = (uint8_t)(in[i] << unused);

		out[i] = is_signed ? (uint8_t)((int8_t)high >> unused) : (uint8_t)(high >> unused);
	}
}

static void encode(enum dtype type, const struct cast_rule *rule, size_t n, const float *in, uint8_t *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = type == DTYPE_F8E8M0 ? f32_to_e8m0(in[i], rule->round, rule->saturate)
					      : f32_to_narrow(type, in[i], rule->saturate);
}

/* @n <= BLOCK elements of the native type @from to the narrow type @to. */
static void narrow_block(enum dtype from, enum dtype to, const struct cast_rule *rule, size_t n, const void *src,
			 uint8_t *dst)
{
	float single[BLOCK];
	union {
		double f64[BLOCK];
		int64_t s64[BLOCK];
	} wide;

	if (dtype_is_narrow_integer(to)) {
		/* Truncated, then the low bits. */
		cast_row(from, DTYPE_S64)(n, src, wide.s64);
		cast_row(DTYPE_S64, DTYPE_U8)(n, wide.s64, dst);
		wrap_bits(to, n, dst, dst);
		return;
	}
	if (from == DTYPE_F32 || dtype_is_half(from)) {
		cast_row(from, DTYPE_F32)(n, src, single);
	} else {
		cast_row(from, DTYPE_F64)(n, src, wide.f64);
		for (size_t i = 0; i < n; i++)
			single[i] = f64_to_f32_odd(wide.f64[i]);
	}
	encode(to, rule, n, single, dst);
}

void cast_elements(enum dtype from, enum dtype to, const struct cast_rule *rule, size_t n, const void *src, void *dst)
{
	size_t step_in = dtype_size(from), step_out = dtype_size(to);
	float values[BLOCK], table[256];
	bool use_table = dtype_is_narrow_float(from) && n >= 256;

	if (from == to) {
		memcpy(dst, src, n * step_in);
		return;
	}
	if (carrier_of(to) == to && !dtype_is_narrow_float(from)) {
		cast_row(carrier_of(from), to)(n, src, dst);
		return;
	}
	if (use_table)
		fill_table(from, table);
	for (size_t i = 0; i < n; i += BLOCK) {
		size_t m = n - i < BLOCK ? n - i : BLOCK;
		const uint8_t *in = (const uint8_t *)src + i * step_in;
		uint8_t *out = (uint8_t *)dst + i * step_out;

		if (use_table)
			for (size_t k = 0; k < m; k++)
				values[k] = table[in[k]];
		else if (dtype_is_narrow_float(from))
			decode(from, m, in, values);
		if (carrier_of(to) == to)
			cast_row(DTYPE_F32, to)(m, values, out);
		else
			narrow_block(carrier_of(from), to, rule, m,
				     dtype_is_narrow_float(from) ? (const void *)values : in, out);
	}
}
