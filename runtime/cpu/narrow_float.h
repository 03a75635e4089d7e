/* SPDX-License-Identifier: MIT */
/*
 * Floating-point formats of one byte or less: FLOAT8E4M3FN, FLOAT8E4M3FNUZ, FLOAT8E5M2, FLOAT8E5M2FNUZ (P. Micikevicius et
 * al., "FP8 formats for deep learning"; B. Noune et al., "8-bit numerical formats for deep neural networks"), FLOAT6E2M3,
 * FLOAT6E3M2, FLOAT4E2M1 and FLOAT8E8M0 (Open Compute Project, "Microscaling formats (MX)" v1.0, section 5.3 and 5.4).
 *
 * In memory one element is one byte; codes of six and four bits are in its low ones, the others are ignored when read and
 * zero when written. What happens to NaN, infinity and values out of range is the table of ONNX's Cast (version 24; 28 for
 * six bits: ONNX, "Float stored in 6 bits").
 */
#ifndef RUNTIME_CPU_NARROW_FLOAT_H
#define RUNTIME_CPU_NARROW_FLOAT_H

#include "runtime/cpu/tensor.h"

/* How FLOAT8E8M0, which has powers of two only, takes what lies between: Cast's attribute round_mode. */
enum e8m0_round {
	E8M0_UP,      /* to the next larger power of two */
	E8M0_DOWN,    /* to the next smaller one */
	E8M0_NEAREST, /* to the nearer one, from the middle up */
};

/* The value of @code; exact. @type must satisfy dtype_is_narrow_float(). */
float narrow_to_f32(enum dtype type, uint8_t code);

/*
 * @value rounded to nearest even. @type: a narrow float other than FLOAT8E8M0.
 * @saturate: what is out of range, infinity too, becomes the largest finite value of its sign; otherwise infinity where
 * the format has one, else NaN. The formats of six and four bits have neither and always saturate; a NaN becomes -0 in
 * them, as in ml_dtypes (the MX specification leaves it open). The FNUZ formats have one zero and one NaN, without sign.
 */
uint8_t f32_to_narrow(enum dtype type, float value, bool saturate);

/*
 * The scale that stands for @value. NaN stays NaN. @saturate: 0 and what is below 2^-127 become 2^-127, infinity and what is
 * above 2^127 become 2^127; otherwise all of these become NaN. ONNX leaves negative values open: their magnitude counts.
 */
uint8_t f32_to_e8m0(float value, enum e8m0_round round, bool saturate);

/*
 * A double as a float that still tells on which side of a shorter format's rounding point it lies: round to odd (S. Boldo and
 * G. Melquiond, "Emulation of FMA and correctly rounded sums", section 3). Rounding that to 16 bits or fewer gives the same
 * as rounding the double once.
 */
float f64_to_f32_odd(double value);

#endif
