// SPDX-License-Identifier: MIT
/*
 * The blocked float product: see sgemm.h.
 *
 *	for each block of SGEMM_DEPTH rows of B:      packed B block in the second-level cache
 *	  for each panel of A (rows):                 panel in the first-level cache
 *	    for each panel of B (columns):            tile of C in registers
 *
 * The tile's size and code depend on the processor; everything else here does not.
 */
#include "runtime/cpu/sgemm.h"

#include <errno.h>
#include <string.h>

#include "runtime/cpu/scratch.h"
#include "runtime/cpu/sgemm_tile.h"

/* Columns of B held at once: SGEMM_DEPTH * 512 floats are half of a second-level cache of 1 MiB. */
#define BLOCK_COLUMNS 512

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

size_t sgemm_packed_size(int64_t m, int64_t k)
{
	const struct sgemm_tile *tile = sgemm_tile();
	int64_t count;

	if (m < 0 || k < 0 || m > INT64_MAX - tile->rows)
		return 0;
	if (__builtin_mul_overflow(sgemm_tile_padded(tile, m), k, &count) ||
	    (uint64_t)count > PTRDIFF_MAX / sizeof(float))
		return 0;
	return (size_t)count * sizeof(float);
}

int64_t sgemm_panel_columns(void)
{
	return sgemm_tile()->columns;
}

int64_t sgemm_panel_rows(void)
{
	return sgemm_tile()->rows;
}

/*
 * One panel of A, @height rows high, against panels of B: rows [row, row + rows), columns [column, column + columns) of C.
 * @finish: the last block of k: apply the epilogue
 */
struct strip {
	int64_t height, depth;
	const float *a, *b;
	int64_t row, rows, column, columns;
	bool accumulate, finish;
};

/* A tile at the edge of C goes through a buffer, and only what exists of it is taken over. */
static void multiply_edge(const struct sgemm *p, const struct strip *s, int64_t j, int64_t width)
{
	_Alignas(64) float edge[SGEMM_TILE_MAX_ROWS * SGEMM_TILE_MAX_COLUMNS];
	const struct sgemm_tile *tile = sgemm_tile();
	const struct sgemm_functions *functions = sgemm_tile_functions(tile, s->height);
	float *c = p->c + s->row * p->c_stride + s->column + j;

	(2 * width <= tile->columns ? functions->narrow : functions->multiply)(s->depth, s->a, s->b + j * s->depth,
									       edge, tile->columns, false, NULL);
	for (int64_t i = 0; i < s->rows; i++) {
		const float *from = edge + i * tile->columns;
		float *to = c + i * p->c_stride;

		if (s->accumulate)
			for (int64_t l = 0; l < width; l++)
				to[l] += from[l];
		else
			memcpy(to, from, (size_t)width * sizeof(*to));
	}
	if (s->finish)
		epilogue_apply(&p->epilogue, s->row, s->rows, s->column + j, width, c, p->c_stride);
}

/* Column @j of a strip. */
static const float *panel_column(const struct sgemm_tile *tile, const struct strip *s, int64_t j)
{
	return s->b + j / tile->columns * tile->columns * s->depth + j % tile->columns;
}

/* Where a column that was taken along goes: its @sums, one a row, into C. */
static void store_column(const struct sgemm *p, const struct strip *s, int64_t column, const float *sums)
{
	float *c = p->c + s->row * p->c_stride + s->column + column;

	for (int64_t i = 0; i < s->rows; i++)
		c[i * p->c_stride] = s->accumulate ? c[i * p->c_stride] + sums[i] : sums[i];
	if (s->finish)
		epilogue_apply(&p->epilogue, s->row, s->rows, s->column + column, 1, c, p->c_stride);
}

static void multiply_strip(const struct sgemm *p, const struct strip *s)
{
	const struct sgemm_tile *tile = sgemm_tile();
	const struct sgemm_functions *functions = sgemm_tile_functions(tile, s->height);
	const struct epilogue *e = &p->epilogue;
	bool fused = s->finish && epilogue_is_affine(e);
	struct sgemm_finish finish = {.bias = e->row_bias ? e->row_bias + s->row : NULL,
				      .residual_stride = e->residual_stride,
				      .floor = epilogue_floor(e)};
	float *c = p->c + s->row * p->c_stride + s->column;
	int64_t along = s->rows == s->height ? sgemm_tile_along(tile, s->columns) : 0, columns = s->columns - along;
	float sums[SGEMM_TILE_MAX_ROWS];

	for (int64_t j = 0; j < columns; j += tile->columns) {
		bool takes = j / tile->columns < along;
		int64_t extra = columns + j / tile->columns; /* the column that this tile takes along */

		if (s->rows != s->height || columns - j < tile->columns) {
			multiply_edge(p, s, j, smaller(columns - j, tile->columns));
			continue;
		}
		if (e->residual)
			finish.residual = e->residual + s->row * e->residual_stride + s->column + j;
		if (takes)
			functions->plus(s->depth, s->a, s->b + j * s->depth, panel_column(tile, s, extra), c + j,
					p->c_stride, s->accumulate, fused ? &finish : NULL, sums);
		else
			functions->multiply(s->depth, s->a, s->b + j * s->depth, c + j, p->c_stride, s->accumulate,
					    fused ? &finish : NULL);
		if (s->finish && !fused)
			epilogue_apply(e, s->row, s->rows, s->column + j, tile->columns, c + j, p->c_stride);
		if (takes)
			store_column(p, s, extra, sums);
	}
}

/* The strips of all panels of A over rows [row, row + rows). */
static void multiply_strips(const struct sgemm *p, struct strip *strip, int64_t row, int64_t rows, int64_t k0)
{
	const struct sgemm_tile *tile = sgemm_tile();
	int64_t padded_m = sgemm_tile_padded(tile, p->m);

	for (strip->row = row; strip->row < row + rows; strip->row += tile->rows) {
		strip->rows = smaller(row + rows - strip->row, tile->rows);
		strip->height = sgemm_tile_height(tile, p->m - strip->row);
		strip->a = p->a + k0 * padded_m + strip->row * strip->depth;
		multiply_strip(p, strip);
	}
}

static void multiply_columns(const struct sgemm *p, int64_t row, int64_t rows, int64_t column, int64_t columns,
			     float *scratch)
{
	int64_t padded_n = sgemm_padded_columns(p->n);

	for (int64_t k0 = 0; k0 < p->k; k0 += SGEMM_DEPTH) {
		struct strip strip = {.depth = smaller(p->k - k0, SGEMM_DEPTH),
				      .b = scratch,
				      .column = column,
				      .columns = columns,
				      .accumulate = k0 > 0};

		strip.finish = k0 + strip.depth == p->k && !epilogue_is_empty(&p->epilogue);
		if (p->panels)
			strip.b = p->panels + k0 * padded_n + column * strip.depth;
		else
			p->fill_b(p->arg, k0, strip.depth, column, columns, scratch);
		multiply_strips(p, &strip, row, rows, k0);
	}
}

int sgemm_block(const struct sgemm *p, int64_t row, int64_t rows, int64_t column, int64_t columns)
{
	const struct sgemm_tile *tile = sgemm_tile();
	int64_t depth = p->k < SGEMM_DEPTH ? p->k : SGEMM_DEPTH;
	int64_t block = columns < BLOCK_COLUMNS ? columns : BLOCK_COLUMNS;
	int64_t padded = (block + tile->columns - 1) / tile->columns * tile->columns;
	float *scratch = NULL;

	if (!p->panels) {
		scratch = scratch_get((size_t)(padded * (depth ? depth : 1)) * sizeof(float));
		if (!scratch)
			return -ENOMEM;
	}
	if (!p->k)
		for (int64_t i = row; i < row + rows; i++)
			memset(p->c + i * p->c_stride + column, 0, (size_t)columns * sizeof(float));
	if (!p->k)
		epilogue_apply(&p->epilogue, row, rows, column, columns, p->c + row * p->c_stride + column,
			       p->c_stride);
	for (int64_t j = 0; j < columns; j += block)
		multiply_columns(p, row, rows, column + j, columns - j < block ? columns - j : block, scratch);
	return 0;
}

/* Rows k0 … k0 + depth of B, whose panel at the first column is @b. */
static void multiply_row(const struct sgemm_tile *tile, int64_t depth, const float *x, const float *b, int64_t columns,
			 float *y, bool accumulate)
{
	_Alignas(64) float edge[SGEMM_TILE_MAX_COLUMNS];
	int64_t panel = tile->columns * depth, four = SGEMM_ROW_PANELS * tile->columns, j = 0;

	for (; j + four <= columns; j += four)
		tile->row(depth, x, b + j * depth, panel, y + j, accumulate);
	for (; j + tile->columns <= columns; j += tile->columns)
		tile->one_panel(depth, x, b + j * depth, panel, y + j, accumulate);
	if (j == columns)
		return;
	tile->one_panel(depth, x, b + j * depth, panel, edge, false);
	for (int64_t i = 0; j + i < columns; i++)
		y[j + i] = accumulate ? y[j + i] + edge[i] : edge[i];
}

void sgemm_row(int64_t k, int64_t n, const float *x, const float *panels, int64_t column, int64_t columns, float *y)
{
	int64_t padded = sgemm_padded_columns(n);

	if (!k)
		memset(y + column, 0, (size_t)columns * sizeof(*y));
	for (int64_t k0 = 0; k0 < k; k0 += SGEMM_DEPTH) {
		int64_t depth = k - k0 < SGEMM_DEPTH ? k - k0 : SGEMM_DEPTH;

		multiply_row(sgemm_tile(), depth, x + k0, panels + k0 * padded + column * depth, columns, y + column,
			     k0 > 0);
	}
}

static int64_t divide_up(int64_t value, int64_t unit)
{
	return (value + unit - 1) / unit;
}

/* A column that goes along is one more multiply-add beside 24. */
int64_t sgemm_columns_price(int64_t columns)
{
	const struct sgemm_tile *tile = sgemm_tile();
	int64_t along = sgemm_tile_along(tile, columns);

	return 12 * divide_up(columns - along, tile->columns / 2) + along;
}

int64_t sgemm_even_columns(int64_t n, int64_t columns)
{
	int64_t even = n > columns ? divide_up(n, divide_up(n, columns)) : columns;

	return sgemm_columns_price(even) < sgemm_columns_price(columns) ? even : columns;
}

/* Price of a split, in tiles a step of k: packing a panel of B costs about as much as one tile. */
static int64_t split_price(int64_t row_tiles, int64_t column_tiles, int64_t jobs, int64_t threads)
{
	return divide_up(jobs, threads) * column_tiles * (row_tiles + 1);
}

void sgemm_split(int64_t m, int64_t n, int64_t count, size_t threads, int64_t *rows, int64_t *columns)
{
	const struct sgemm_tile *tile = sgemm_tile();
	int64_t tiles_m = divide_up(m, tile->rows), tiles_n = divide_up(n, tile->columns);
	int64_t widest = smaller(tiles_n, BLOCK_COLUMNS / tile->columns), width_step = divide_up(widest, 16);
	int64_t best = INT64_MAX;

	*rows = m;
	*columns = n;
	if (m < 1 || n < 1)
		return;
	/* Wide and high blocks first: a cheaper split has to be cheaper by more than 1/32 to be worth more jobs. */
	for (int64_t high = 1; high <= (int64_t)threads && high <= tiles_m; high++)
		for (int64_t width = widest; width > 0; width -= width_step) {
			int64_t height = divide_up(tiles_m, high);
			int64_t jobs = count * divide_up(tiles_m, height) * divide_up(tiles_n, width);
			int64_t price = split_price(height, width, jobs, (int64_t)threads);

			if (price >= best - best / 32)
				continue;
			best = price;
			*rows = smaller(height * tile->rows, m);
			*columns = smaller(width * tile->columns, n);
		}
}
