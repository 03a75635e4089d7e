/* SPDX-License-Identifier: MIT */
/* See cut_grid.h. */
#include "compiler/target/cut_grid.h"

#include "compiler/target/arith.h"

#define STRIP_ROWS 7 /* with fewer the halos are a large part */
/* Strips of rows may be uneven: the largest by one in so many larger than the largest of blocks would be. */
#define STRIP_LARGER 28

/* Positions of a part below which the array waits for weights; the largest has at most a third more than its share. */
#define PART_MIN_POSITIONS 32

/* Positions of the largest part. */
static int64_t part_positions(struct cut_grid grid, int64_t h, int64_t w)
{
	struct cut_box first = cut_owned(grid, h, w, 0);

	return (first.h1 - first.h0) * (first.w1 - first.w0);
}

static bool positions_pay(struct cut_grid grid, int64_t h, int64_t w)
{
	int64_t part = part_positions(grid, h, w);

	return part >= PART_MIN_POSITIONS && part * grid.rows * grid.columns * 3 <= h * w * 4;
}

static struct cut_grid grid_of_positions(const struct target *target, int64_t h, int64_t w)
{
	const struct cut_grid strips = {target->tiles, 1, false};
	struct cut_grid blocks;
	int64_t columns = 1, larger;

	/* As square as powers of two allow: the halo is shortest. */
	while (w > columns && columns * columns * 4 <= target->tiles && target->tiles % (columns * 2) == 0)
		columns *= 2;
	blocks = (struct cut_grid){target->tiles / columns, columns, false};
	/*
	 * But of strips only the first and the last rows wait for halos, and those lie together. Where an image is wider than
	 * high (stripes.h) their halos are too long, and few rows hardly divide.
	 */
	larger = part_positions(strips, h, w) - part_positions(blocks, h, w);
	return !target->blocks && h / target->tiles >= STRIP_ROWS && h >= w &&
			       larger * STRIP_LARGER <= part_positions(blocks, h, w)
		       ? strips
		       : blocks;
}

struct cut_grid cut_grid(const struct target *target, int64_t batch, int64_t h, int64_t w)
{
	const struct cut_grid positions = grid_of_positions(target, h, w), images = {1, 1, true};

	if (target->tiles > 1 && batch % target->tiles == 0 && batch / target->tiles <= CUT_MAX_IMAGES &&
	    !positions_pay(positions, h, w) && positions_pay(images, h, w))
		return images;
	return positions;
}

struct cut_box cut_owned(struct cut_grid grid, int64_t h, int64_t w, unsigned int tile)
{
	int64_t rows = (h + grid.rows - 1) / grid.rows, columns = (w + grid.columns - 1) / grid.columns;
	int64_t row = tile / grid.columns, column = tile % grid.columns;

	if (grid.images)
		return (struct cut_box){0, h, 0, w};

	return (struct cut_box){MIN(row * rows, h), MIN((row + 1) * rows, h), MIN(column * columns, w),
				MIN((column + 1) * columns, w)};
}

struct cut_box cut_owned_windows(struct cut_grid grid, int64_t h, int64_t w, const int64_t pool[2], unsigned int tile)
{
	struct cut_box box = cut_owned(grid, h / pool[0], w / pool[1], tile);

	return (struct cut_box){box.h0 * pool[0], box.h1 * pool[0], box.w0 * pool[1], box.w1 * pool[1]};
}

bool cut_is_empty(struct cut_box box)
{
	return box.h1 <= box.h0 || box.w1 <= box.w0;
}

bool cut_pays(const struct target *target, int64_t batch, int64_t h, int64_t w)
{
	return target->tiles > 1 && positions_pay(cut_grid(target, batch, h, w), h, w);
}

uint64_t cut_positions(struct cut_box box)
{
	return cut_is_empty(box) ? 0 : (uint64_t)((box.h1 - box.h0) * (box.w1 - box.w0));
}

bool cut_is_inside(struct cut_box inner, struct cut_box outer)
{
	return inner.h0 >= outer.h0 && inner.h1 <= outer.h1 && inner.w0 >= outer.w0 && inner.w1 <= outer.w1;
}

struct cut_box cut_intersect(struct cut_box a, struct cut_box b)
{
	return (struct cut_box){MAX(a.h0, b.h0), MIN(a.h1, b.h1), MAX(a.w0, b.w0), MIN(a.w1, b.w1)};
}

struct cut_box cut_span(struct cut_box a, struct cut_box b)
{
	if (cut_is_empty(b))
		return a;
	if (cut_is_empty(a))
		return b;
	return (struct cut_box){MIN(a.h0, b.h0), MAX(a.h1, b.h1), MIN(a.w0, b.w0), MAX(a.w1, b.w1)};
}

void cut_window(int64_t first, int64_t last, int64_t stride, int64_t span, int64_t pad, int64_t size, int64_t *lo,
		int64_t *hi)
{
	*lo = MIN(MAX(first * stride - pad, 0), size - 1);
	*hi = MAX(MIN((last - 1) * stride - pad + span, size), *lo + 1);
}
