/* SPDX-License-Identifier: MIT */
/*
 * Conversions of rows of elements: what Cast does, and what kernels use that compute in another type than the tensor's
 * (half floats in f32, indices in s64).
 *
 * Rules where ONNX leaves the result open: float to integer truncates and saturates, NaN becomes 0; integer to a
 * narrower integer keeps the low bits, as does anything to an integer of 4 or 2 bits (after truncation; ml_dtypes' rule, with
 * which ONNX makes its expectations); anything but 0 is true. Floats of one byte and less: narrow_float.h.
 */
#ifndef RUNTIME_CPU_CAST_H
#define RUNTIME_CPU_CAST_H

#include "runtime/cpu/narrow_float.h"
#include "runtime/cpu/op.h"

typedef void (*cast_fn)(size_t n, const void *src, void *dst);

/*
 * The loop that converts @from to @to; NULL when one of them is no native number (string, complex, a type of one byte or
 * less other than int8, uint8 and bool, undefined).
 */
cast_fn cast_row(enum dtype from, enum dtype to);

/* What Cast's attributes say about narrow floats; other types do not look at it. */
struct cast_rule {
	bool saturate;
	enum e8m0_round round;
};
extern const struct cast_rule cast_default; /* saturate, round FLOAT8E8M0 up */

/* Both types are numbers (or bool): cast_elements() takes them. */
bool cast_exists(enum dtype from, enum dtype to);

/* Convert @n elements. Thread-safe; @src and @dst do not overlap. */
void cast_elements(enum dtype from, enum dtype to, const struct cast_rule *rule, size_t n, const void *src, void *dst);

static inline bool dtype_is_half(enum dtype type)
{
	return type == DTYPE_F16 || type == DTYPE_BF16;
}

/* The low 2 or 4 bits of each byte, in the form that @type (of so many bits) has in memory. */
void wrap_bits(enum dtype type, size_t n, const uint8_t *in, uint8_t *out);

/*
 * All of @t as a new tensor of type @to in @out, which must hold no memory; the caller finishes it. When the types are
 * equal
 * @out is a view of @t. -EINVAL for types that do not convert, -ENOMEM.
 */
int tensor_cast(const struct tensor *t, enum dtype to, struct tensor *out);

/*
 * Input @index of the call as s64 numbers: shapes, axes, indices. A view or a copy in @out; the caller finishes it.
 * -EINVAL with the call's error set when the input is missing or not int32 or int64 (@any_integer admits the other
 * widths).
 */
int op_input_s64(struct op_call *call, size_t index, bool any_integer, struct tensor *out);

#endif
