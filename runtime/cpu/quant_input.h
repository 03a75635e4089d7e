/* SPDX-License-Identifier: MIT */
/*
 * Scales and zero points as inputs of quantized operators: one number, or one for each of a channel's worth.
 */
#ifndef RUNTIME_CPU_QUANT_INPUT_H
#define RUNTIME_CPU_QUANT_INPUT_H

#include "runtime/cpu/op.h"

/*
 * Input @index as a float32 scale: *step is 0 for one number, 1 for @count numbers. -EINVAL with the call's error set
 * for anything else; @count 1 allows one number only.
 */
int quant_scale(struct op_call *call, size_t index, int64_t count, const float **values, int64_t *step);

/* Input @index as zero points of @dtype; *values is NULL (all zero) when the input is omitted. */
int quant_zero(struct op_call *call, size_t index, enum dtype dtype, int64_t count, const void **values, int64_t *step);

/* Both, one number each: scale at @index, zero point at @index + 1 (0 when omitted). */
int quant_scalar(struct op_call *call, size_t index, enum dtype dtype, float *scale, int32_t *zero);

/* -EINVAL with the call's error set unless input @index is uint8 or int8. */
int quant_check_bytes(struct op_call *call, size_t index);

/* Element @i of 8-bit data of @dtype. */
static inline int32_t quant_byte(enum dtype dtype, const void *bytes, int64_t i)
{
	return dtype == DTYPE_S8 ? ((const int8_t *)bytes)[i] : ((const uint8_t *)bytes)[i];
}

/* saturate(round_half_even(@value) + @zero) in @dtype, uint8 or int8; NaN gives the lowest. */
static inline __attribute__((always_inline)) int32_t quant_round(float value, int32_t zero, int32_t low, int32_t high)
{
	float bottom = (float)(low - zero), top = (float)(high - zero);

	/* Adding and taking off 1.5 * 2^23 rounds to an integer, ties to even, for numbers below 2^22. */
	value = value > bottom ? value : bottom;
	value = value < top ? value : top;
	return (int32_t)((value + 0x1.8p23f) - 0x1.8p23f) + zero;
}

#endif
