/* SPDX-License-Identifier: MIT */
/*
 * Matrix work over the parts of a cut image (cut.h): every tile computes its own rectangle of output positions, all
 * channels of it; weights go to all tiles at once.
 *
 *	for image			       once, where every tile has its own
 *	  for stripe of the parts' rows        one, where the input is cut and there already
 *	    for block of output channels       its weights to all tiles
 *	      for image of the tiles' own, K block, tile, chunk
 *				               CONV
 *	      for tile, chunk                  DRAIN to the part, what others need to memory
 *	      halos of the plane that is complete now from memory
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_access.h>
#include "compiler/target/arith.h"
#include "compiler/target/cost.h"
#include "compiler/target/matrix_nest.h"

#define MAX_CHUNKS 64

/*
 * struct parts
 * @mask:  tiles that have a part, for multicast; 0: only one
 * @h, @w: the largest part
 * @images: that a tile has at once; 0: tiles share each image
 */
struct parts {
	struct nest nest;
	struct cut_grid grid;
	unsigned int tiles;
	uint8_t mask;
	int64_t h, w, images;
};

static struct cut_box owned(const struct parts *parts, unsigned int tile)
{
	const struct matrix_work *work = parts->nest.work;
	const int64_t pool[2] = {matrix_pool_h(work), matrix_pool_w(work)};

	return cut_owned_windows(parts->grid, work->oh, work->ow, pool, tile);
}

/* ---- choosing ---- */

static uint64_t block_bytes(const struct matrix_work *work, int64_t n, int64_t k)
{
	return (uint64_t)(work->kh * work->kw * (work->depthwise ? 1 : k) * n) * access_type_bytes(work->w_type) +
	       8 * (uint64_t)n + 64;
}

static uint64_t stripe_bytes(const struct parts *parts, int64_t rows)
{
	const struct matrix_work *work = parts->nest.work;
	int64_t high = MIN(work->ih, (rows - 1) * work->sh + (work->kh - 1) * work->dh + 1);
	int64_t wide = MIN(work->iw, (parts->w - 1) * work->sw + (work->kw - 1) * work->dw + 1);

	return work->x_cut ? 0 : (uint64_t)(high * wide * work->ic * work->groups) * access_type_bytes(work->a_type);
}

/*
 * Rows by columns of a chunk: at most @positions, at least two chunks where that leaves the array busy, and four where
 * the two inner ones then do not wait for halos.
 */
static void choose_chunk(const struct parts *parts, int64_t rows, int64_t positions, struct matrix_plan *plan)
{
	const struct matrix_work *work = parts->nest.work;
	int64_t pool_h = matrix_pool_h(work), pool_w = matrix_pool_w(work), columns = parts->w / pool_w, chunks;

	positions /= pool_h * pool_w;
	plan->chunk_w = ceil_div(columns, ceil_div(columns, MAX(1, MIN(positions, columns)))) * pool_w;
	plan->chunk_h = plan->chunk_w < parts->w ? pool_h : MAX(1, MIN(rows / pool_h, positions / columns)) * pool_h;
	chunks = ceil_div(rows, plan->chunk_h);
	if (chunks == 1 && rows * plan->chunk_w >= 128)
		chunks = 2;
	if (chunks == 2 && rows * plan->chunk_w >= 256)
		chunks = 4;
	plan->chunk_h = matrix_rows(work, rows, chunks);
}

static int64_t num_chunks(const struct matrix_plan *plan, int64_t rows, int64_t columns)
{
	return ceil_div(rows, plan->chunk_h) * ceil_div(columns, plan->chunk_w);
}

/* Cycles of one tile, or UINT64_MAX where the tiling does not fit. */
static uint64_t price(const struct parts *parts, struct matrix_plan *plan, uint64_t room)
{
	const struct matrix_work *work = parts->nest.work;
	const struct target *target = parts->nest.lower->target;
	bool depthwise = work->depthwise, k_cut = !depthwise && plan->k < work->ic;
	int64_t n = plan->n, blocks = ceil_div(work->oc, n), k_blocks = depthwise ? 1 : ceil_div(work->ic, plan->k);
	uint64_t out = work->y_cut ? 0 : access_type_bytes(work->post.out_type);
	uint64_t res = work->z.rank && !work->z_cut ? access_type_bytes(work->post.res_type) : 0;
	uint64_t acc = target->acc_bytes / 4 / (k_cut ? 1 : 2), w = block_bytes(work, n, plan->k), need, matrix, drain;
	uint64_t fetch, own = (uint64_t)MAX(parts->images, 1);
	int64_t stripes = ceil_div(parts->h, plan->rows), chunks, m;

	choose_chunk(parts, plan->rows, (int64_t)acc / n, plan);
	chunks = num_chunks(plan, plan->rows, parts->w);
	m = plan->chunk_h * plan->chunk_w;
	if (k_cut && (uint64_t)(chunks * m * n) > acc)
		return UINT64_MAX;
	if (chunks > MAX_CHUNKS || (uint64_t)(m * n) > acc)
		return UINT64_MAX;
	need = stripe_bytes(parts, plan->rows) * own * (stripes > 1 ? 2 : 1) + (uint64_t)(m * n) * (out + res) * 2 +
	       (plan->keep_weights ? w * (uint64_t)(blocks * k_blocks) : 2 * w);
	if (need > room)
		return UINT64_MAX;
	matrix = matrix_conv_cycles(work, plan) * (uint64_t)k_blocks;
	drain = matrix_drain_cycles(work, plan);
	fetch = cost_dma(target, w * (uint64_t)(blocks * k_blocks), 256);
	fetch *= plan->keep_weights ? 1 : (uint64_t)stripes * (k_cut ? own : 1);
	/* By positions: the last chunk of a stripe may be smaller than the others. */
	plan->cycles = MAX(MAX(matrix, drain) * own * (uint64_t)(plan->rows * parts->w * blocks * stripes / m), fetch) +
		       drain + cost_dma(target, w, 256) / 2;
	plan->bytes = w * (uint64_t)(blocks * k_blocks) * (plan->keep_weights ? 1 : (uint64_t)stripes);
	return plan->cycles;
}

/* A block of @n output channels lies in one plane of what it is written to, and of the residual. */
static bool fits_planes(const struct matrix_work *work, int64_t n)
{
	const struct cut *cuts[] = {work->y_cut, work->z_cut};

	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
		if (cuts[i] && cuts[i]->plane < work->oc && cuts[i]->plane % n)
			return false;
	return true;
}

static int choose(struct parts *parts, struct matrix_choice *choice)
{
	const struct matrix_work *work = parts->nest.work;
	const struct target *target = parts->nest.lower->target;
	uint64_t room = target->spad_bytes - target->spad_bytes / 32, best = UINT64_MAX;
	int64_t images = parts->images ? 1 : work->x.dims[WORK_N], step = 64;

	room = room > work->spad_taken ? room - work->spad_taken : 0;
	for (int64_t k = work->ic; best == UINT64_MAX && k; k = k >= 32 ? ceil_div(k, 2) : 0) {
		for (int64_t n = MIN(step, work->oc); n <= MIN(work->oc, 512);
		     n = n == work->oc ? n + 1 : MIN(n + step, work->oc))
			for (int64_t cuts = 1; cuts <= parts->h && fits_planes(work, n);
			     cuts = work->x_cut ? parts->h + 1 : cuts * 2)
				for (int keep = 0; keep < (cuts > 1 || images > 1 ? 2 : 1); keep++) {
					struct matrix_plan plan = {.n = n,
								   .k = work->depthwise ? work->ic : k,
								   .rows = matrix_rows(work, parts->h, cuts),
								   .keep_weights = keep && k == work->ic};
					uint64_t cycles = price(parts, &plan, room);

					if (cycles != UINT64_MAX)
						matrix_choice_add(choice, &plan);
					if (cycles < best) {
						best = cycles;
						parts->nest.plan = plan;
					}
				}
		if (work->depthwise || work->groups > 1)
			break;
	}
	if (best == UINT64_MAX)
		return -ENOSPC;
	matrix_choice_close(choice, &parts->nest.plan);
	return 0;
}

/* ---- writing ---- */

/* The input box @from plane by plane, laid out as cut images are: the first is summed while the others come. */
static int fetch_planes(struct parts *parts, unsigned int tile, struct lower_box *from, struct stripe *stripe)
{
	const struct matrix_work *work = parts->nest.work;
	static const int order[WORK_RANK] = {WORK_N, WORK_H, WORK_W, WORK_C};
	int64_t plane = parts->nest.plane, dims[WORK_RANK] = {work->ic / plane, stripe->rows, stripe->cols, plane};
	int err = lower_spad(parts->nest.lower, tile, work->a_type, WORK_RANK, dims, order, "in", &stripe->view);
	struct spad_view view = stripe->view;

	stripe->plane_bytes = view.stride[WORK_N];
	view.dims[WORK_N] = 1;
	from->size[WORK_C] = plane;
	for (; from->start[WORK_C] < work->ic && !err; from->start[WORK_C] += plane) {
		err = lower_load_view(parts->nest.lower, &work->x, from, &view);
		view.place.offset += (uint64_t)stripe->plane_bytes;
	}
	return err;
}

/* What @tile needs for output @box of image @n: in its part, or fetched. */
static int input_of(struct parts *parts, unsigned int tile, int64_t n, struct cut_box box, struct stripe *stripe)
{
	const struct matrix_work *work = parts->nest.work;
	static const int order[WORK_RANK] = {WORK_N, WORK_H, WORK_W, WORK_C};
	struct lower_box from = {.start = {n}, .size = {1, 0, 0, work->x.dims[WORK_C]}};
	struct cut_box need;

	memset(stripe, 0, sizeof(*stripe));
	if (work->x_cut) {
		need = work->x_cut->parts[tile].stored;
		stripe->view = cut_view(work->x_cut, &work->x, tile, n, need, 0, work->x_cut->plane);
		stripe->plane_bytes = cut_plane_bytes(work->x_cut, &work->x, tile);
	} else {
		cut_window(box.h0, box.h1, work->sh, (work->kh - 1) * work->dh + 1, work->pt, work->ih, &need.h0,
			   &need.h1);
		cut_window(box.w0, box.w1, work->sw, (work->kw - 1) * work->dw + 1, work->pl, work->iw, &need.w0,
			   &need.w1);
	}
	stripe->row = need.h0;
	stripe->rows = need.h1 - need.h0;
	stripe->col = need.w0;
	stripe->cols = need.w1 - need.w0;
	if (work->x_cut)
		return 0;
	from.start[WORK_H] = need.h0;
	from.size[WORK_H] = stripe->rows;
	from.start[WORK_W] = need.w0;
	from.size[WORK_W] = stripe->cols;
	if (parts->nest.plane)
		return fetch_planes(parts, tile, &from, stripe);
	return lower_fetch(parts->nest.lower, &work->x, &from, tile, 0, work->a_type, order, 0, AXL_PIPE_LOAD,
			   AXL_PURPOSE_ACTIVATION, &stripe->view);
}

/* Chunk @index of @box. */
static void chunk_at(const struct parts *parts, struct cut_box box, int64_t index, struct chunk *chunk)
{
	const struct matrix_plan *plan = &parts->nest.plan;
	int64_t columns = ceil_div(box.w1 - box.w0, plan->chunk_w);

	chunk->h0 = box.h0 + index / columns * plan->chunk_h;
	chunk->w0 = box.w0 + index % columns * plan->chunk_w;
	chunk->h = MIN(plan->chunk_h, box.h1 - chunk->h0);
	chunk->w = MIN(plan->chunk_w, box.w1 - chunk->w0);
}

/*
 * The chunk that comes at turn @at of @count: those at the edges of the part last where they wait for halos, first where
 * others wait for them.
 */
static int64_t chunk_turn(const struct matrix_work *work, int64_t at, int64_t count)
{
	if (count > 2 && work->x_cut && work->x_cut->shared)
		return at < count - 2 ? at + 1 : at == count - 2 ? 0 : at;
	return work->y_cut && work->y_cut->shared ? cut_edges_first(at, count) : at;
}

/* One block of output channels for @box of one tile; with K in blocks, block @kb of it. */
static int tile_block(struct parts *parts, unsigned int tile, int64_t image, struct cut_box box,
		      const struct stripe *stripe, int64_t nb, int64_t kb, const struct weight_block *block,
		      program_buf *acc)
{
	struct nest *nest = &parts->nest;
	struct chunk chunk = {.n0 = nb * nest->plan.n};
	int64_t count = num_chunks(&nest->plan, box.h1 - box.h0, box.w1 - box.w0);
	int err = 0;

	chunk.n = MIN(nest->plan.n, nest->work->oc - chunk.n0);
	for (int64_t at = 0; !err && at < count; at++) {
		int64_t i = chunk_turn(nest->work, at, count);

		chunk_at(parts, box, i, &chunk);
		if (kb == 0)
			acc[i] = program_acc(nest->lower->program, tile, (uint64_t)(chunk.h * chunk.w * chunk.n) * 4,
					     "acc");
		if (!acc[i])
			return lower_fail(nest->lower, nest->work->node, -ENOMEM, "%s",
					  program_error(nest->lower->program));
		err = matrix_emit_convs(nest, tile, stripe, &chunk, kb, block, acc[i]);
		if (!err && kb == nest->k_blocks - 1)
			err = matrix_emit_drain(nest, tile, image, &chunk, block, acc[i]);
	}
	return err;
}

/* Whether output channels [n0, n0 + n) end a plane of the output. */
static bool plane_ends(const struct matrix_work *work, int64_t n0, int64_t n)
{
	return (n0 + n) % work->y_cut->plane == 0;
}

/* Number @own of the images of @tile, or the one that all tiles share. */
static int64_t image_of(const struct parts *parts, int64_t image, unsigned int tile, int64_t own)
{
	return parts->images ? own * (int64_t)parts->tiles + tile : image;
}

/* Rows [s, s + rows) of all parts. */
static int lower_stripe(struct parts *parts, int64_t image, int64_t s)
{
	struct nest *nest = &parts->nest;
	const struct matrix_work *work = nest->work;
	struct stripe stripes[AXL_MAX_TILES][CUT_MAX_IMAGES];
	struct cut_box boxes[AXL_MAX_TILES];
	program_buf acc[AXL_MAX_TILES][MAX_CHUNKS];
	int64_t count = MAX(parts->images, 1);
	int err = 0;

	for (unsigned int t = 0; t < parts->tiles && !err; t++) {
		boxes[t] = owned(parts, t);
		boxes[t].h0 += s;
		boxes[t].h1 = MIN(boxes[t].h1, boxes[t].h0 + nest->plan.rows);
		for (int64_t i = 0; i < count && !cut_is_empty(boxes[t]) && !err; i++)
			err = input_of(parts, t, image_of(parts, image, t, i), boxes[t], &stripes[t][i]);
	}
	for (int64_t nb = 0; nb < nest->n_blocks && !err; nb++) {
		int64_t n0 = nb * nest->plan.n, n = MIN(nest->plan.n, work->oc - n0);
		struct weight_block fetched, *block = nest->plan.keep_weights ? nest->kept + nb : &fetched;

		for (int64_t at = 0; at < count * nest->k_blocks && !err; at++) {
			int64_t i = at / nest->k_blocks, kb = at % nest->k_blocks;
			bool there = nest->plan.keep_weights ? block->w.buf != 0 : i > 0 && nest->k_blocks == 1;

			if (!there)
				err = matrix_fetch_block(nest, nb, kb, 0, parts->mask, block);
			for (unsigned int t = 0; t < parts->tiles && !err; t++)
				if (!cut_is_empty(boxes[t]))
					err = tile_block(parts, t, image_of(parts, image, t, i), boxes[t],
							 &stripes[t][i], nb, kb, block, acc[t]);
		}
		if (!err && work->y_cut && s + nest->plan.rows >= parts->h && plane_ends(work, n0, n))
			err = cut_exchange(nest->lower, work->y_cut, &work->y, image,
					   n0 / work->y_cut->plane * work->y_cut->plane);
	}
	return err;
}

int matrix_lower_parts(struct lower *lower, const struct matrix_work *work)
{
	struct parts parts = {.nest = {.lower = lower, .work = work},
			      .grid = cut_grid(lower->target, work->x.dims[WORK_N], work->oh / matrix_pool_h(work),
					       work->ow / matrix_pool_w(work))};
	struct matrix_choice choice = {.node = lower->at, .cut = true};
	struct nest *nest = &parts.nest;
	int err;

	for (unsigned int t = 0; t < lower->target->tiles; t++)
		if (!cut_is_empty(owned(&parts, t))) {
			parts.mask |= (uint8_t)(1u << t);
			parts.tiles = t + 1;
		}
	if (!(parts.mask & (parts.mask - 1)))
		parts.mask = 0;
	nest->plane = work->x_cut ? work->x_cut->plane : work->groups == 1 ? cut_plane(work->ic) : work->ic;
	if (nest->plane >= work->ic)
		nest->plane = 0;
	parts.images = parts.grid.images ? work->x.dims[WORK_N] / parts.tiles : 0;
	parts.h = owned(&parts, 0).h1;
	parts.w = owned(&parts, 0).w1;
	if ((work->x_cut && work->x.type != work->a_type) ||
	    (work->y_cut && work->y.type != (enum axl_type)work->post.out_type))
		return lower_fail(lower, work->node, -ENOTSUP, "a cut tensor that would have to be converted");
	err = choose(&parts, &choice);
	if (err)
		return lower_fail(lower, work->node, err, "no tiling of the tiles' parts fits beside what is resident");
	nest->n_blocks = ceil_div(work->oc, nest->plan.n);
	nest->k_blocks = work->depthwise ? 1 : ceil_div(work->ic, nest->plan.k);
	err = nest_start(nest, &choice);
	for (int64_t image = 0; image < (parts.images ? 1 : work->x.dims[WORK_N]) && !err; image++)
		for (int64_t s = 0; s < parts.h && !err; s += nest->plan.rows)
			err = lower_stripe(&parts, image, s);
	nest_finish(nest);
	return err;
}
