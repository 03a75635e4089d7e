/* SPDX-License-Identifier: MIT */
/* The tile loop over the parts of a cut image (cut.h): elementwise operators in front of convolutions. */
#include <string.h>

#include "compiler/target/arith.h"
#include "compiler/target/cut.h"
#include "compiler/target/lower_loop.h"
#include "compiler/target/lower_matrix.h"

enum { LOOP_N, LOOP_C, LOOP_H, LOOP_W };

#define STRIPES 6 /* of a part: who reads the first does not wait for the others */

static struct cut_box box_of(const int64_t *start, const int64_t *size)
{
	return (struct cut_box){start[LOOP_H], start[LOOP_H] + size[LOOP_H], start[LOOP_W],
				start[LOOP_W] + size[LOOP_W]};
}

struct spad_view loop_part_view(const struct loop *loop, unsigned int tile, const int64_t *start, const int64_t *size)
{
	const struct dev_tensor image = matrix_image(loop->out);
	const struct spad_view part =
		cut_view(loop->cut, &image, tile, start[LOOP_N], box_of(start, size), start[LOOP_C], size[LOOP_C]);
	static const int from[] = {0, 3, 1, 2}; /* [N][C][H][W] of [N][H][W][C] */
	struct spad_view view = part;

	for (int d = 0; d < view.rank; d++) {
		view.dims[d] = part.dims[from[d]];
		view.stride[d] = part.stride[from[d]];
	}
	return view;
}

int loop_part_commit(struct lower *lower, const struct loop *loop, unsigned int tile, const int64_t *start,
		     const int64_t *size)
{
	const struct dev_tensor image = matrix_image(loop->out);
	struct lower_box box = {.start = {start[LOOP_N], start[LOOP_H], start[LOOP_W], start[LOOP_C]},
				.size = {1, size[LOOP_H], size[LOOP_W], size[LOOP_C]}};

	return cut_commit(lower, loop->cut, &image, tile, &box);
}

/* Stripe @at of a plane of @tile's part; with fewer rows than stripes there may be none. */
static int run_stripe(struct lower *lower, const struct loop *loop, unsigned int tile, int64_t n, int64_t c0,
		      int64_t at, struct spad_view *table)
{
	struct cut_box box = loop->cut->parts[tile].stored;
	int64_t rows = (box.h1 - box.h0 + STRIPES - 1) / STRIPES;
	int64_t start[TENSOR_MAX_RANK] = {n, c0, box.h0 + at * rows, box.w0};
	int64_t size[TENSOR_MAX_RANK] = {1, loop->cut->plane, MIN(rows, box.h1 - start[LOOP_H]), box.w1 - box.w0};

	if (size[LOOP_H] <= 0 || size[LOOP_W] <= 0 || !cut_has_image(loop->cut, tile, n))
		return 0;
	return loop_box(lower, loop, tile, start, size, table);
}

int loop_run_parts(struct lower *lower, const struct loop *loop)
{
	struct spad_view tables[AXL_MAX_TILES];
	int err = 0;

	memset(tables, 0, sizeof(tables));
	for (int64_t n = 0; n < loop->dims[LOOP_N] && !err; n++)
		for (int64_t c0 = 0; c0 < loop->dims[LOOP_C] && !err; c0 += loop->cut->plane)
			for (int64_t at = 0; at < STRIPES && !err; at++)
				for (unsigned int t = 0; t < loop->cut->tiles && !err; t++)
					err = run_stripe(lower, loop, t, n, c0, cut_edges_first(at, STRIPES),
							 &tables[t]);
	return err;
}
