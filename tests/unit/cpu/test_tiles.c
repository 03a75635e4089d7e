// SPDX-License-Identifier: MIT
/*
 * The innermost loops of the products, in every form that this processor can run, against plain loops.
 */
#include "tests/unit/cpu/op_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/igemm_tile.h"
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
			for (int mode = 0; mode < 6; mode++) {
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
				else
					f->scattered(DEPTH, a, b, rows, c, STRIDE, accumulate, NULL);
				check_tile(tile, height, mode / 2 == 1 ? tile->columns / 2 : tile->columns, rows,
					   accumulate);
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
		cmocka_unit_test(integer_tiles_multiply_exactly),
	};

	return cmocka_run_group_tests(tests, seed, NULL);
}
