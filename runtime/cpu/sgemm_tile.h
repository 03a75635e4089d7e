/* SPDX-License-Identifier: MIT */
/*
 * The innermost loop of the float product, in one form for each processor level.
 */
#ifndef RUNTIME_CPU_SGEMM_TILE_H
#define RUNTIME_CPU_SGEMM_TILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SGEMM_TILE_MAX_ROWS 12
#define SGEMM_TILE_MAX_COLUMNS 32

#define SGEMM_TILE_HEIGHTS 3

/*
 * struct sgemm_finish - what a tile does to its sums before it stores them: max(sum + bias + residual, floor), NaN kept
 * @bias:     one number a row, or NULL
 * @residual: as the tile lies in C, row stride @residual_stride, or NULL
 */
struct sgemm_finish {
	const float *bias;
	const float *residual;
	int64_t residual_stride;
	float floor;
};

/*
 * struct sgemm_functions - the code for a tile of h rows
 * @multiply:  c[h][columns] (+)= a[depth][h]^T * b[depth][columns], @stride elements between the rows of @c
 * @narrow:    the same for the first half of the columns, in half the time; @b has all of them
 * @scattered, @scattered_narrow: the same with row k of B at b + offsets[k]
 * @plus, @scattered_plus: the same for one column of B more, which stands alone: its row k is at extra[k * 2 vectors], or at
 *             extra[offsets[k]]; its h sums go to @sums as they are. A column costs a twelfth of what it would in a tile of
 *             its own. NULL where the processor has no registers left for it.
 * @finish may be NULL: the sums as they are.
 */
struct sgemm_functions {
	void (*multiply)(int64_t depth, const float *a, const float *b, float *c, int64_t stride, bool accumulate,
			 const struct sgemm_finish *finish);
	void (*narrow)(int64_t depth, const float *a, const float *b, float *c, int64_t stride, bool accumulate,
		       const struct sgemm_finish *finish);
	void (*scattered)(int64_t depth, const float *a, const float *b, const int64_t *offsets, float *c,
			  int64_t stride, bool accumulate, const struct sgemm_finish *finish);
	void (*scattered_narrow)(int64_t depth, const float *a, const float *b, const int64_t *offsets, float *c,
				 int64_t stride, bool accumulate, const struct sgemm_finish *finish);
	void (*plus)(int64_t depth, const float *a, const float *b, const float *extra, float *c, int64_t stride,
		     bool accumulate, const struct sgemm_finish *finish, float *sums);
	void (*scattered_plus)(int64_t depth, const float *a, const float *b, const float *extra,
			       const int64_t *offsets, float *c, int64_t stride, bool accumulate,
			       const struct sgemm_finish *finish, float *sums);
};

/* Panels of B that the code for a single row of A takes at once: sums enough to hide the multiply-add's latency. */
#define SGEMM_ROW_PANELS 4

/*
 * struct sgemm_tile - one form
 * @row:       y[4][columns] (+)= x[depth] * 4 panels of B, @panel elements apart: a row alone, without packing it
 * @one_panel: the same for one panel
 * @rows, @columns: the tile of C that stays in registers
 * @step:      the last panel of A may have fewer rows, a multiple of this
 * @functions: by height: step, 2 * step, 3 * step = rows
 */
struct sgemm_tile {
	const char *name;
	int64_t rows, columns, step;
	void (*row)(int64_t depth, const float *x, const float *b, int64_t panel, float *y, bool accumulate);
	void (*one_panel)(int64_t depth, const float *x, const float *b, int64_t panel, float *y, bool accumulate);
	struct sgemm_functions functions[SGEMM_TILE_HEIGHTS];
};

/* Rows of the panel that begins @remaining rows before the end of A. */
static inline int64_t sgemm_tile_height(const struct sgemm_tile *tile, int64_t remaining)
{
	return remaining >= tile->rows ? tile->rows : (remaining + tile->step - 1) / tile->step * tile->step;
}

static inline const struct sgemm_functions *sgemm_tile_functions(const struct sgemm_tile *tile, int64_t height)
{
	return &tile->functions[height / tile->step - 1];
}

/* Rows of all panels of an A of @m rows. */
static inline int64_t sgemm_tile_padded(const struct sgemm_tile *tile, int64_t m)
{
	return m / tile->rows * tile->rows + sgemm_tile_height(tile, m % tile->rows);
}

/*
 * How many of @columns, the last ones, the whole tiles before them take along, one each (@plus): 7x7 images have 49
 * columns, three vectors and one column.
 */
static inline int64_t sgemm_tile_along(const struct sgemm_tile *tile, int64_t columns)
{
	int64_t rest = columns % (tile->columns / 2);

	return tile->functions[0].plus && rest <= columns / tile->columns ? rest : 0;
}

/* The best form for this processor; always the same one in a process. */
const struct sgemm_tile *sgemm_tile(void);

/* Form @index of those that this processor can run, the best first; NULL past the last. For tests. */
const struct sgemm_tile *sgemm_tile_at(size_t index);

#endif
