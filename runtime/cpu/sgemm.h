/* SPDX-License-Identifier: MIT */
/*
 * A float matrix product whose operands are packed by the caller and whose result passes an epilogue while it is in the
 * cache: what convolutions need and a BLAS does not offer (the right operand is gathered from the image block by block,
 * and never exists as a matrix).
 *
 * C[m][n] = epilogue(sum over k of A[m][k] * B[k][n])
 *
 * A is packed once (weights); B is asked for in blocks, through a callback. Each element of C accumulates in ascending
 * k with one fused multiply-add a step (where the processor has it) inside a block of SGEMM_DEPTH steps, and the blocks
 * are then added in order: the same bits on any number of threads.
 */
#ifndef RUNTIME_CPU_SGEMM_H
#define RUNTIME_CPU_SGEMM_H

#include "runtime/cpu/epilogue.h"

#define SGEMM_DEPTH 256

/* Bytes of A packed; 0 when that overflows. */
size_t sgemm_packed_size(int64_t m, int64_t k);

/*
 * Pack A: element (i, j) is at a[i * row_stride + j * column_stride]. @packed is 64-byte aligned.
 *
 * The layout: blocks of SGEMM_DEPTH columns; in each, panel after panel of sgemm_panel_rows() rows; in a panel, step k
 * holds its rows. sgemm_pack_rows() writes the panels of rows [row, row + rows) only, @row a multiple of a panel's rows,
 * so that threads can share the work.
 */
void sgemm_pack(int64_t m, int64_t k, const float *a, int64_t row_stride, int64_t column_stride, float *packed);
void sgemm_pack_rows(int64_t m, int64_t k, const float *a, int64_t row_stride, int64_t column_stride, int64_t row,
		     int64_t rows, float *packed);

/* Columns of a panel of B: the callback writes panels of this many. */
int64_t sgemm_panel_columns(void);

/*
 * struct sgemm - one product
 * @a:      packed by sgemm_pack()
 * @panels: B packed by sgemm_pack_b(), or NULL: then @fill_b is called with @arg
 * @fill_b: write rows [k, k + depth) and columns [n, n + columns) of B as panels: element (i, j) of the block at
 *          panels[(j / P * depth + i) * P + j % P] with P = sgemm_panel_columns(), the last panel padded with zeros
 */
struct sgemm {
	int64_t m, n, k;
	const float *a;
	const float *panels;
	void (*fill_b)(const void *arg, int64_t k, int64_t depth, int64_t n, int64_t columns, float *panels);
	const void *arg;
	float *c;
	int64_t c_stride;
	struct epilogue epilogue;
};

/* A B that exists as a matrix: element (i, j) is at b[i * row_stride + j * column_stride]. */
struct sgemm_matrix {
	const float *b;
	int64_t row_stride, column_stride;
};

/* A fill_b for struct sgemm_matrix. */
void sgemm_fill_matrix(const void *matrix, int64_t k, int64_t depth, int64_t n, int64_t columns, float *panels);

/*
 * A constant B, packed once: for each SGEMM_DEPTH rows, all panels as @fill_b would write them. Bytes (0 when that
 * overflows), columns with the last panel's padding, and the packing itself.
 */
size_t sgemm_packed_b_size(int64_t k, int64_t n);
int64_t sgemm_padded_columns(int64_t n);
void sgemm_pack_b(int64_t k, int64_t n, const struct sgemm_matrix *matrix, float *panels);

/*
 * Compute rows [row, row + rows) and columns [column, column + columns) of C on this thread. @row must be a multiple of
 * sgemm_panel_rows() (@rows too, unless it reaches m), and @column of sgemm_panel_columns() when B is packed. Uses the thread's scratch
 * memory: -ENOMEM.
 */
int sgemm_block(const struct sgemm *product, int64_t row, int64_t rows, int64_t column, int64_t columns);
int64_t sgemm_panel_rows(void);

/*
 * A single row, y[n] = x[k] * B, with B packed by sgemm_pack_b(): columns [column, column + columns), @column a multiple of
 * sgemm_panel_columns(). The same bits as sgemm_block() gives for such a row.
 */
void sgemm_row(int64_t k, int64_t n, const float *x, const float *panels, int64_t column, int64_t columns, float *y);

/*
 * How to split @count products of this size into blocks for @threads: rows and columns a block.
 */
void sgemm_split(int64_t m, int64_t n, int64_t count, size_t threads, int64_t *rows, int64_t *columns);

/* What computing a row of panels of @columns columns costs, in 24ths of a tile. */
int64_t sgemm_columns_price(int64_t columns);

/*
 * For a B that is not packed, whose blocks may begin anywhere: the columns of as many blocks as @columns give, all equal,
 * where they are cheaper; else @columns.
 */
int64_t sgemm_even_columns(int64_t n, int64_t columns);

#endif
