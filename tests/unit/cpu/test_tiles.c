// SPDX-License-Identifier: MIT
/*
 * The innermost loops of the products, in every form that this processor can run, against plain loops.
 */
#include "tests/unit/cpu/op_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/depthwise_tile.h"
#include "runtime/cpu/igemm_tile.h"
#include "runtime/cpu/plane_rows.h"
#include "runtime/cpu/sgemm_tile.h"

#define DEPTH 37
#define STRIDE 40

static float a[DEPTH * SGEMM_TILE_MAX_ROWS], b[DEPTH * 100], c[SGEMM_TILE_MAX_ROWS * STRIDE];
static float before[SGEMM_TILE_MAX_ROWS * STRIDE];

static void fill(float *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		values[i] = random_float(-1, 1);
}

/* Element (i, j) of the tile is before (when accumulating) plus the sum over k; outside the tile nothing changes. */
static void check_tile(const struct sgemm_tile *tile, int64_t height, int64_t width, const int64_t *rows,
		       bool accumulate)
{
	for (int64_t i = 0; i < SGEMM_TILE_MAX_ROWS; i++)
		for (int64_t j = 0; j < STRIDE; j++) {
			double sum = accumulate ? before[i * STRIDE + j] : 0;

			if (i >= height || j >= width) {
				assert_true(c[i * STRIDE + j] == before[i * STRIDE + j]);
				continue;
			}
			for (int64_t k = 0; k < DEPTH; k++)
				sum += (double)a[k * height + i] * b[rows[k] + j];
			if (fabs(sum - c[i * STRIDE + j]) > 1e-5)
				fail_msg("%s, %d rows: (%d, %d) is %g, expected %g", tile->name, (int)height, (int)i,
					 (int)j, c[i * STRIDE + j], sum);
		}
}

static void float_tiles_multiply(void **state)
{
	(void)state;
	for (size_t t = 0; sgemm_tile_at(t); t++) {
		const struct sgemm_tile *tile = sgemm_tile_at(t);

		for (int64_t height = tile->step; height <= tile->rows; height += tile->step)
			for (int mode = 0; mode < 8; mode++) {
				const struct sgemm_functions *f = sgemm_tile_functions(tile, height);
				int64_t rows[DEPTH];
				bool accumulate = mode % 2;

				fill(a, sizeof(a) / sizeof(*a));
				fill(b, sizeof(b) / sizeof(*b));
				fill(before, sizeof(before) / sizeof(*before));
				memcpy(c, before, sizeof(c));
				for (int64_t k = 0; k < DEPTH; k++)
					rows[k] = mode < 4 ? k * tile->columns : random_below(DEPTH * 100 - 32);
				if (mode < 2)
					f->multiply(DEPTH, a, b, c, STRIDE, accumulate, NULL);
				else if (mode < 4)
					f->narrow(DEPTH, a, b, c, STRIDE, accumulate, NULL);
				else if (mode < 6)
					f->scattered(DEPTH, a, b, rows, c, STRIDE, accumulate, NULL);
				else
					f->scattered_narrow(DEPTH, a, b, rows, c, STRIDE, accumulate, NULL);
				check_tile(tile, height, mode / 2 % 2 ? tile->columns / 2 : tile->columns, rows,
					   accumulate);
			}
	}
}

/* A column that a tile takes along has the bits that it has in a tile, and the tile has its own. */
static void float_tiles_take_a_column_along(void **state)
{
	static float plain[SGEMM_TILE_MAX_ROWS * STRIDE];

	(void)state;
	for (size_t t = 0; sgemm_tile_at(t); t++) {
		const struct sgemm_tile *tile = sgemm_tile_at(t);

		for (int64_t height = tile->step; height <= tile->rows && tile->functions[0].plus; height += tile->step)
			for (int scattered = 0; scattered < 2; scattered++) {
				const struct sgemm_functions *f = sgemm_tile_functions(tile, height);
				float sums[SGEMM_TILE_MAX_ROWS + 1];
				int64_t rows[DEPTH], column = random_below(tile->columns);

				fill(a, sizeof(a) / sizeof(*a));
				fill(b, sizeof(b) / sizeof(*b));
				sums[height] = 7;
				for (int64_t k = 0; k < DEPTH; k++)
					rows[k] = scattered ? random_below(DEPTH * 100 - 32) : k * tile->columns;
				f->scattered(DEPTH, a, b, rows, plain, STRIDE, false, NULL);
				memset(c, 0, sizeof(c));
				if (scattered)
					f->scattered_plus(DEPTH, a, b, b + column, rows, c, STRIDE, false, NULL, sums);
				else
					f->plus(DEPTH, a, b, b + column, c, STRIDE, false, NULL, sums);
				for (int64_t i = 0; i < height; i++) {
					assert_memory_equal(c + i * STRIDE, plain + i * STRIDE,
							    (size_t)tile->columns * sizeof(*c));
					assert_true(sums[i] == plain[i * STRIDE + column]);
				}
				assert_true(sums[height] == 7);
			}
	}
}

/* A tile's finish is max(sum + bias + residual, floor) of what it would have stored. */
static void float_tiles_finish(void **state)
{
	static float plain[SGEMM_TILE_MAX_ROWS * STRIDE], bias[SGEMM_TILE_MAX_ROWS],
		residual[SGEMM_TILE_MAX_ROWS * STRIDE];

	(void)state;
	fill(bias, SGEMM_TILE_MAX_ROWS);
	fill(residual, SGEMM_TILE_MAX_ROWS * STRIDE);
	for (size_t t = 0; sgemm_tile_at(t); t++)
		for (int mode = 0; mode < 8; mode++) {
			const struct sgemm_tile *tile = sgemm_tile_at(t);
			const struct sgemm_functions *f = sgemm_tile_functions(tile, tile->rows);
			struct sgemm_finish finish = {.bias = mode & 1 ? bias : NULL,
						      .residual = mode & 2 ? residual : NULL,
						      .residual_stride = STRIDE,
						      .floor = mode & 4 ? 0 : -INFINITY};

			fill(a, sizeof(a) / sizeof(*a));
			fill(b, sizeof(b) / sizeof(*b));
			a[0] = NAN; /* row 0 is not a number, and stays so */
			f->multiply(DEPTH, a, b, plain, STRIDE, false, NULL);
			f->multiply(DEPTH, a, b, c, STRIDE, false, &finish);
			for (int64_t i = 0; i < tile->rows; i++)
				for (int64_t j = 0; j < tile->columns; j++) {
					float sum = plain[i * STRIDE + j] + (finish.bias ? bias[i] : 0);

					sum += finish.residual ? residual[i * STRIDE + j] : 0;
					if (i == 0)
						assert_true(isnan(c[j]));
					else
						assert_true(c[i * STRIDE + j] ==
							    (sum < finish.floor ? finish.floor : sum));
				}
		}
}

/* A row alone gives the bits that it has in a tile. */
static void a_single_row_multiplies_as_in_a_tile(void **state)
{
	static float panels[SGEMM_ROW_PANELS * DEPTH * SGEMM_TILE_MAX_COLUMNS], x[DEPTH];
	static float y[SGEMM_ROW_PANELS * SGEMM_TILE_MAX_COLUMNS];

	(void)state;
	for (size_t t = 0; sgemm_tile_at(t); t++)
		for (int accumulate = 0; accumulate < 2; accumulate++) {
			const struct sgemm_tile *tile = sgemm_tile_at(t);
			const struct sgemm_functions *f = sgemm_tile_functions(tile, tile->rows);
			int64_t panel = DEPTH * tile->columns;

			fill(a, sizeof(a) / sizeof(*a));
			fill(panels, sizeof(panels) / sizeof(*panels));
			fill(c, sizeof(c) / sizeof(*c));
			for (int64_t k = 0; k < DEPTH; k++)
				x[k] = a[k * tile->rows];
			for (int64_t p = 0; p < SGEMM_ROW_PANELS; p++)
				memcpy(y + p * tile->columns, c, (size_t)tile->columns * sizeof(*y));
			memcpy(before, c, sizeof(c));
			tile->row(DEPTH, x, panels, panel, y, accumulate);
			for (int64_t p = 0; p < SGEMM_ROW_PANELS; p++) {
				float alone[SGEMM_TILE_MAX_COLUMNS];

				memcpy(c, before, sizeof(c));
				memcpy(alone, before, sizeof(alone));
				f->multiply(DEPTH, a, panels + p * panel, c, STRIDE, accumulate, NULL);
				tile->one_panel(DEPTH, x, panels + p * panel, panel, alone, accumulate);
				assert_memory_equal(y + p * tile->columns, c, (size_t)tile->columns * sizeof(*y));
				assert_memory_equal(alone, c, (size_t)tile->columns * sizeof(*y));
			}
		}
}

/* Every form of the depthwise loops, for every number of outputs, against plain loops. */
static void depthwise_tiles_run_over_all_taps(void **state)
{
	static const int64_t offsets[] = {0, 1, 2, 50, 51, 52, 100, 101, 103};
	static float x[300], w[9], y[140], was[140];

	(void)state;
	for (size_t t = 0; depthwise_tile_at(t); t++)
		for (int64_t n = depthwise_tile_at(t)->lanes; n < 140; n++)
			for (int mode = 0; mode < 6; mode++) {
				const struct depthwise_tile *tile = depthwise_tile_at(t);
				bool accumulate = mode % 2;

				fill(x, 300);
				fill(w, 9);
				fill(was, 140);
				memcpy(y, was, sizeof(y));
				if (mode < 2)
					tile->convolve(9, offsets, w, n, x, 0.25f, -0.5f, accumulate, y);
				else if (mode < 4)
					tile->max(9, offsets, n, x, accumulate, y);
				else
					tile->sum(9, offsets, n, x, accumulate, y);
				for (int64_t i = 0; i < 140; i++) {
					double sum = accumulate ? was[i] : 0, largest = accumulate ? was[i] : -1e9;

					for (int k = 0; k < 9; k++) {
						sum += (double)x[i + offsets[k]] * (mode < 2 ? w[k] : 1);
						largest = fmax(largest, x[i + offsets[k]]);
					}
					if (i >= n)
						assert_true(y[i] == was[i]);
					else if (mode < 2)
						assert_true(fabs(y[i] - fmax(sum + 0.25, -0.5)) < 1e-5);
					else
						assert_true(fabs(y[i] - (mode < 4 ? largest : sum)) < 1e-5);
				}
			}
}

static void integer_tiles_multiply_exactly(void **state)
{
	static int16_t x[DEPTH * IGEMM_TILE_MAX_ROWS * 2], y[DEPTH * IGEMM_TILE_MAX_COLUMNS * 2];
	int32_t acc[IGEMM_TILE_MAX_ROWS * IGEMM_TILE_MAX_COLUMNS];

	(void)state;
	for (size_t t = 0; igemm_tile_at(t); t++) {
		const struct igemm_tile *tile = igemm_tile_at(t);

		for (size_t i = 0; i < sizeof(x) / sizeof(*x); i++)
			x[i] = (int16_t)((int)random_below(511) - 255);
		for (size_t i = 0; i < sizeof(y) / sizeof(*y); i++)
			y[i] = (int16_t)((int)random_below(511) - 255);
		tile->multiply(DEPTH, x, y, acc);
		for (int64_t i = 0; i < tile->rows; i++)
			for (int64_t j = 0; j < tile->columns; j++) {
				int32_t sum = 0;

				for (int64_t k = 0; k < DEPTH; k++)
					for (int p = 0; p < 2; p++)
						sum += x[(k * tile->rows + i) * 2 + p] *
						       y[(k * tile->columns + j) * 2 + p];
				assert_int_equal(acc[i * tile->columns + j], sum);
			}
	}
}

#define PITCH 70
#define ROWS 3

/* A plane of PITCH columns holds its positions. */
static float pixel(int64_t row, int64_t column)
{
	return (float)(row * PITCH + column);
}

static void rows_change_their_pitch(void **state)
{
	static float plane[ROWS * PITCH], to[2][ROWS * PITCH];

	(void)state;
	for (int64_t i = 0; i < ROWS * PITCH; i++)
		plane[i] = (float)i;
	for (size_t f = 0; plane_rows_form_at(f); f++)
		for (int64_t n = 0; n < 60; n++) {
			for (int64_t i = 0; i < ROWS * PITCH; i++)
				to[0][i] = -1;
			plane_rows_form_at(f)->copy(ROWS, n, plane, PITCH, to[0], 65);
			for (int64_t i = 0; i < ROWS * PITCH; i++)
				assert_true(to[0][i] == (i % 65 < n && i / 65 < ROWS ? pixel(i / 65, i % 65) : -1));
		}
}

static void columns_are_parted(void **state)
{
	static float plane[ROWS * PITCH], to[2][ROWS * PITCH];

	(void)state;
	for (int64_t i = 0; i < ROWS * PITCH; i++)
		plane[i] = (float)i;
	for (size_t f = 0; plane_rows_form_at(f); f++)
		for (int64_t n = 0; n < 35 * 35; n++) {
			int64_t count[2] = {n % 35, n / 35};

			for (int64_t i = 0; i < 2 * ROWS * PITCH; i++)
				to[i / (ROWS * PITCH)][i % (ROWS * PITCH)] = -1;
			plane_rows_form_at(f)->part(ROWS, count[0], count[1], plane, PITCH, to[0], to[1], 40);
			for (int64_t i = 0; i < 2 * ROWS * PITCH; i++) {
				int64_t odd = i / (ROWS * PITCH), at = i % (ROWS * PITCH);
				bool taken = at / 40 < ROWS && at % 40 < count[odd];

				assert_true(to[odd][at] == (taken ? pixel(at / 40, at % 40 * 2 + odd) : -1));
			}
		}
}

static int seed(void **state)
{
	(void)state;
	random_seed();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(float_tiles_multiply),
		cmocka_unit_test(float_tiles_take_a_column_along),
		cmocka_unit_test(float_tiles_finish),
		cmocka_unit_test(a_single_row_multiplies_as_in_a_tile),
		cmocka_unit_test(depthwise_tiles_run_over_all_taps),
		cmocka_unit_test(integer_tiles_multiply_exactly),
		cmocka_unit_test(rows_change_their_pitch),
		cmocka_unit_test(columns_are_parted),
	};

	return cmocka_run_group_tests(tests, seed, NULL);
}
