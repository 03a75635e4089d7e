/* SPDX-License-Identifier: MIT */
/*
 * The innermost loop of the integer product, in one form for each processor level.
 */
#ifndef RUNTIME_CPU_IGEMM_TILE_H
#define RUNTIME_CPU_IGEMM_TILE_H

#include <stddef.h>
#include <stdint.h>

#define IGEMM_TILE_MAX_ROWS 12
#define IGEMM_TILE_MAX_COLUMNS 32

/*
 * struct igemm_tile - one form
 * @multiply: acc[rows][columns] = sum over pairs of a[pair][row][2] * b[pair][column][2]; all wraps in int32
 */
struct igemm_tile {
	const char *name;
	int64_t rows, columns;
	void (*multiply)(int64_t pairs, const int16_t *a, const int16_t *b, int32_t *acc);
};

/* The best form for this processor; always the same one in a process. */
const struct igemm_tile *igemm_tile(void);

/* Form @index of those that this processor can run, the best first; NULL past the last. For tests. */
const struct igemm_tile *igemm_tile_at(size_t index);

#endif
