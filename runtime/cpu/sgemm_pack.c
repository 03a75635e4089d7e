// SPDX-License-Identifier: MIT
/*
 * Packing the operands of the float product: see sgemm.h for the layouts.
 *
 * Copies are small (a panel is two vectors wide) and there are many, so that rows are copied by inlined vector moves, and
 * matrices that lie the other way are turned four by four in registers.
 */
#include <string.h>

#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/lanes4.h"
#include "runtime/cpu/sgemm.h"
#include "runtime/cpu/sgemm_tile.h"

/* Panels filled side by side: long enough runs of a row for the processor's prefetcher. */
#define PANELS_AT_ONCE 8

typedef float lanes16 __attribute__((vector_size(64), aligned(4), may_alias));

static inline int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* to[j * to_stride + i] = from[i * from_stride + j] for i < 4, j < 4 */
static inline void turn_four(const float *from, int64_t from_stride, float *to, int64_t to_stride)
{
	lanes4 a = *(const lanes4 *)from, b = *(const lanes4 *)(from + from_stride);
	lanes4 c = *(const lanes4 *)(from + 2 * from_stride), d = *(const lanes4 *)(from + 3 * from_stride);
	lanes4 ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
	lanes4 cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);

	*(lanes4 *)to = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
	*(lanes4 *)(to + to_stride) = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
	*(lanes4 *)(to + 2 * to_stride) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
	*(lanes4 *)(to + 3 * to_stride) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

/* to[j * to_stride + i] = from[i * from_stride + j] for i < @rows, j < @columns */
static void turn(int64_t rows, int64_t columns, const float *from, int64_t from_stride, float *to, int64_t to_stride)
{
	int64_t i = 0;

	for (; i + 4 <= rows; i += 4, from += 4 * from_stride) {
		int64_t j = 0;

		for (; j + 4 <= columns; j += 4)
			turn_four(from + j, from_stride, to + j * to_stride + i, to_stride);
		for (; j < columns; j++)
			for (int64_t l = 0; l < 4; l++)
				to[j * to_stride + i + l] = from[l * from_stride + j];
	}
	for (; i < rows; i++, from += from_stride)
		for (int64_t j = 0; j < columns; j++)
			to[j * to_stride + i] = from[j];
}

/* ---- A ---- */

static void pack_panel(int64_t rows, int64_t height, int64_t depth, const float *a, int64_t row_stride,
		       int64_t column_stride, float *panel)
{
	if (rows < height)
		memset(panel, 0, (size_t)(height * depth) * sizeof(*panel));
	if (column_stride == 1)
		turn(rows, depth, a, row_stride, panel, height);
	else
		for (int64_t j = 0; j < depth; j++)
			for (int64_t i = 0; i < rows; i++)
				panel[j * height + i] = a[i * row_stride + j * column_stride];
}

void sgemm_pack_rows(int64_t m, int64_t k, const float *a, int64_t row_stride, int64_t column_stride, int64_t row,
		     int64_t rows, float *packed)
{
	const struct sgemm_tile *tile = sgemm_tile();
	int64_t padded_m = sgemm_tile_padded(tile, m);

	for (int64_t k0 = 0; k0 < k; k0 += SGEMM_DEPTH) {
		int64_t depth = smaller(k - k0, SGEMM_DEPTH);

		for (int64_t i = row; i < row + rows; i += tile->rows)
			pack_panel(smaller(m - i, tile->rows), sgemm_tile_height(tile, m - i), depth,
				   a + i * row_stride + k0 * column_stride, row_stride, column_stride,
				   packed + k0 * padded_m + i * depth);
	}
}

void sgemm_pack(int64_t m, int64_t k, const float *a, int64_t row_stride, int64_t column_stride, float *packed)
{
	sgemm_pack_rows(m, k, a, row_stride, column_stride, 0, m, packed);
}

/* ---- B ---- */

/* @count whole panels of @lanes (16 or 32) columns from consecutive columns of a row-major matrix. */
CPU_CLONES static void copy_panels(int64_t count, int64_t lanes, int64_t depth, const float *from, int64_t stride,
				   float *panels)
{
	int64_t panel = lanes * depth;

	for (int64_t i = 0; i < depth; i++, from += stride, panels += lanes)
		for (int64_t p = 0; p < count; p++) {
			const lanes16 *row = (const lanes16 *)(from + p * lanes);
			lanes16 *to = (lanes16 *)(panels + p * panel);

			to[0] = row[0];
			if (lanes == 32)
				to[1] = row[1];
		}
}

static void copy_rows(int64_t width, int64_t lanes, int64_t depth, const float *from, int64_t stride, float *panel)
{
	for (int64_t i = 0; i < depth; i++)
		memcpy(panel + i * lanes, from + i * stride, (size_t)width * sizeof(*panel));
}

static void fill_panel(const struct sgemm_matrix *matrix, int64_t width, int64_t lanes, int64_t depth,
		       const float *from, float *panel)
{
	if (width < lanes)
		memset(panel, 0, (size_t)(lanes * depth) * sizeof(*panel));
	if (matrix->column_stride == 1)
		copy_rows(width, lanes, depth, from, matrix->row_stride, panel);
	else if (matrix->row_stride == 1)
		turn(width, depth, from, matrix->column_stride, panel, lanes);
	else
		for (int64_t i = 0; i < depth; i++)
			for (int64_t j = 0; j < width; j++)
				panel[i * lanes + j] = from[i * matrix->row_stride + j * matrix->column_stride];
}

void sgemm_fill_matrix(const void *arg, int64_t k, int64_t depth, int64_t n, int64_t columns, float *panels)
{
	const struct sgemm_matrix *matrix = arg;
	const float *from = matrix->b + k * matrix->row_stride + n * matrix->column_stride;
	int64_t lanes = sgemm_tile()->columns, j = 0;

	if (matrix->column_stride == 1 && (lanes == 16 || lanes == 32))
		while (columns - j >= lanes) {
			int64_t count = smaller((columns - j) / lanes, PANELS_AT_ONCE);

			copy_panels(count, lanes, depth, from + j, matrix->row_stride, panels + j * depth);
			j += count * lanes;
		}
	for (; j < columns; j += lanes)
		fill_panel(matrix, smaller(columns - j, lanes), lanes, depth, from + j * matrix->column_stride,
			   panels + j * depth);
}

int64_t sgemm_padded_columns(int64_t n)
{
	int64_t lanes = sgemm_tile()->columns;

	return (n + lanes - 1) / lanes * lanes;
}

size_t sgemm_packed_b_size(int64_t k, int64_t n)
{
	int64_t count;

	if (k < 0 || n < 0 || n > INT64_MAX - SGEMM_TILE_MAX_COLUMNS ||
	    __builtin_mul_overflow(sgemm_padded_columns(n), k, &count) || (uint64_t)count > PTRDIFF_MAX / sizeof(float))
		return 0;
	return (size_t)count * sizeof(float);
}

void sgemm_pack_b(int64_t k, int64_t n, const struct sgemm_matrix *matrix, float *panels)
{
	int64_t padded = sgemm_padded_columns(n);

	for (int64_t k0 = 0; k0 < k; k0 += SGEMM_DEPTH)
		sgemm_fill_matrix(matrix, k0, smaller(k - k0, SGEMM_DEPTH), 0, n, panels + k0 * padded);
}
