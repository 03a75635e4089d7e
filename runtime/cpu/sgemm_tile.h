/* SPDX-License-Identifier: MIT */
/*
 * The innermost loop of the float product, in one form for each processor level.
 */
#ifndef RUNTIME_CPU_SGEMM_TILE_H
#define RUNTIME_CPU_SGEMM_TILE_H

#include <stdbool.h>
#include <stdint.h>

#define SGEMM_TILE_MAX_ROWS 12
#define SGEMM_TILE_MAX_COLUMNS 32

/*
 * struct sgemm_tile - one form
 * @rows, @columns: the tile of C that stays in registers
 * @multiply:  c[rows][columns] (+)= a[depth][rows]^T * b[depth][columns], @stride elements between the rows of @c
 * @narrow:    the same for the first half of the columns, in half the time; @b has all of them
 * @scattered: as @multiply, with row k of B at b + offsets[k]
 */
struct sgemm_tile {
	const char *name;
	int64_t rows, columns;
	void (*multiply)(int64_t depth, const float *a, const float *b, float *c, int64_t stride, bool accumulate);
	void (*narrow)(int64_t depth, const float *a, const float *b, float *c, int64_t stride, bool accumulate);
	void (*scattered)(int64_t depth, const float *a, const float *b, const int64_t *offsets, float *c,
			  int64_t stride, bool accumulate);
};

/* The best form for this processor; always the same one in a process. */
const struct sgemm_tile *sgemm_tile(void);

#endif
