/* SPDX-License-Identifier: MIT */
/*
 * The 8-bit integer product behind the quantized operators, exact in int32 (and wrapping there, as ONNX's do):
 *
 *	acc[m][n] = sum over k of (A[m][k] - a_zero[m]) * (B[k][n] - b_zero[n])
 *	C[m][n]   = acc + bias, or its requantization
 *
 * Both operands are packed as differences in int16, which takes every combination of signs and zero points and lets the
 * processor multiply and add pairs of k in one instruction.
 */
#ifndef RUNTIME_CPU_IGEMM_H
#define RUNTIME_CPU_IGEMM_H

#include "runtime/cpu/op.h"

/*
 * struct requantize - int32 to the output type
 * @dtype:      DTYPE_U8 or DTYPE_S8: saturate(round_half_even((float)acc * multiplier) + zero);
 *              DTYPE_F32: (float)acc * multiplier; DTYPE_S32: acc
 * @relu:       then at least @zero, the byte of the number 0
 * @bias:       added first, bias[row * bias_row_step + column * bias_column_step]; NULL for none
 * @multiplier: multiplier[row * row_step + column * column_step]; the step of columns is 0 or 1
 */
struct requantize {
	enum dtype dtype;
	int32_t zero;
	bool relu;
	const int32_t *bias;
	int64_t bias_row_step, bias_column_step;
	const float *multiplier;
	int64_t row_step, column_step;
};

/* @n sums of one @row from @column on, to @to of the output type. @acc is overwritten. */
void requantize_row(const struct requantize *q, int64_t row, int64_t column, int64_t n, int32_t *acc, void *to);

/* Bytes of a packed A; 0 when that overflows. */
size_t igemm_packed_size(int64_t m, int64_t k);

/*
 * Pack A, 8-bit of @dtype, element (i, j) at a[i * row_stride + j * column_stride]. @zero: the zero point, one number
 * (@zero_step 0) or one a row (1), of the same type; NULL is 0.
 */
void igemm_pack(int64_t m, int64_t k, enum dtype dtype, const void *a, int64_t row_stride, int64_t column_stride,
		const void *zero, int64_t zero_step, int16_t *packed);

/*
 * struct igemm - one product
 * @row_b:  columns [n, n + columns) of row @k of B, as bytes: in @line, or wherever they lie already; returns where
 * @b_dtype, @b_zero, @b_zero_step: type of B's bytes and zero points, one or one a column; b_zero NULL is 0
 */
struct igemm {
	int64_t m, n, k;
	const int16_t *a;
	const uint8_t *(*row_b)(const void *arg, int64_t k, int64_t n, int64_t columns, uint8_t *line);
	const void *arg;
	enum dtype b_dtype;
	const void *b_zero;
	int64_t b_zero_step;
	void *c;
	int64_t c_stride;
	struct requantize requantize;
};

/* Rows [row, row + rows) and columns [column, column + columns) on this thread; as sgemm_block(). */
int igemm_block(const struct igemm *product, int64_t row, int64_t rows, int64_t column, int64_t columns);

/* As sgemm_split(). */
void igemm_split(int64_t m, int64_t n, int64_t k, int64_t count, size_t threads, int64_t *rows, int64_t *columns);

#endif
