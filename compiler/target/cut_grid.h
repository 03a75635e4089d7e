/* SPDX-License-Identifier: MIT */
/* How images are divided among tiles: grids of rectangles, and what is asked of rectangles (cut.h). */
#ifndef COMPILER_TARGET_CUT_GRID_H
#define COMPILER_TARGET_CUT_GRID_H

#include <stdbool.h>
#include <stdint.h>

#include "compiler/target/target.h"

/* Positions [h0, h1) x [w0, w1). */
struct cut_box {
	int64_t h0, h1, w0, w1;
};

/* Tiles are numbered row by row of the grid. @images: it is one of a single part, image n is tile n % tiles'. */
struct cut_grid {
	int64_t rows, columns;
	bool images;
};

/* The grid for @batch images of @h x @w. */
struct cut_grid cut_grid(const struct target *target, int64_t batch, int64_t h, int64_t w);
/* What @tile owns of an image of @h x @w; empty (h1 <= h0 or w1 <= w0) for some tiles of small images. */
struct cut_box cut_owned(struct cut_grid grid, int64_t h, int64_t w, unsigned int tile);
/* The same of an image that a pool with windows of @pool[0] x @pool[1], side by side, makes of it: no window is cut. */
struct cut_box cut_owned_windows(struct cut_grid grid, int64_t h, int64_t w, const int64_t pool[2], unsigned int tile);
bool cut_is_empty(struct cut_box box);
/* Is making an image of @h x @w in parts worth it? Their positions have to keep the array busy, and to be about as many. */
bool cut_pays(const struct target *target, int64_t batch, int64_t h, int64_t w);
/* Images of a batch that one tile may have, where tiles have whole ones. */
#define CUT_MAX_IMAGES 4

/* The input rows (columns) that outputs [first, last) of a window read: [*lo, *hi), inside the image. */
void cut_window(int64_t first, int64_t last, int64_t stride, int64_t span, int64_t pad, int64_t size, int64_t *lo,
		int64_t *hi);

uint64_t cut_positions(struct cut_box box);
bool cut_is_inside(struct cut_box inner, struct cut_box outer);
struct cut_box cut_intersect(struct cut_box a, struct cut_box b);
/* The smallest that has both in it. */
struct cut_box cut_span(struct cut_box a, struct cut_box b);

#endif
