/* SPDX-License-Identifier: MIT */
/*
 * MaxPool of images that lie in scratchpads, whole in the one of a single tile or in parts (cut.h): nothing pads them, so
 * windows at the border are smaller, and outputs whose windows have the same taps share an instruction.
 */
#include <string.h>

#include "compiler/target/arith.h"
#include "compiler/target/lower_loop.h"
#include "compiler/target/lower_pool.h"
#include "compiler/target/resident.h"

/* Taps [first, last) of the window of output @at that lie in the image, along @axis. */
static void valid_taps(const struct pool *pool, int axis, int64_t at, int64_t *first, int64_t *last)
{
	int64_t begin = at * pool->stride[axis] - pool->begin[axis];

	for (*first = 0; *first < pool->kernel[axis] && begin + *first * pool->dilation[axis] < 0; ++*first)
		;
	for (*last = pool->kernel[axis]; *last > *first && begin + (*last - 1) * pool->dilation[axis] >= pool->in[axis];
	     --*last)
		;
}

/* How many of @count outputs from @at on have windows with the same valid taps. */
static int64_t same_taps(const struct pool *pool, int axis, int64_t at, int64_t count)
{
	int64_t first, last, other_first, other_last, n = 1;

	valid_taps(pool, axis, at, &first, &last);
	for (; n < count; n++) {
		valid_taps(pool, axis, at + n, &other_first, &other_last);
		if (other_first != first || other_last != last)
			break;
	}
	return n;
}

/*
 * Part of an image in a scratchpad.
 * @view: [1][rows][columns][channels]; its first element is row @row, column @column of the image
 */
struct extract {
	struct spad_view view;
	int64_t row, column;
};

/* The maximum over @count outputs from @at, whose windows have the same taps, to @out, which begins with @from. */
static int max_rectangle(struct lower *lower, const struct pool_run *run, const struct extract *in,
			 const struct spad_view *out, const int64_t *from, const int64_t *at, const int64_t *count)
{
	static const int flat[5] = {0, 1, 2, 3, 4}, dim_of[2] = {H, W};
	struct vec_args args = {.op = AXL_VEC_RMAX, .reduce = 1u << 2 | 1u << 3};
	struct spad_view windows = {.rank = 5, .type = in->view.type, .place = in->view.place};
	struct spad_view result = pool_flat_view(out);
	const int64_t origin[2] = {in->row, in->column};
	int64_t offset = 0;

	for (int i = 0; i < 2; i++) {
		int64_t first, last, stride = in->view.stride[dim_of[i]];

		valid_taps(&run->pool, i, at[i], &first, &last);
		if (first == last)
			return lower_fail(lower, run->node, -ENOTSUP, "a window lies wholly in the padding");
		offset += stride * (at[i] * run->pool.stride[i] - run->pool.begin[i] + first * run->pool.dilation[i] -
				    origin[i]);
		windows.dims[i] = result.dims[i] = count[i];
		windows.stride[i] = stride * run->pool.stride[i];
		windows.dims[2 + i] = last - first;
		windows.stride[2 + i] = stride * run->pool.dilation[i];
		result.place.offset += (uint64_t)((at[i] - from[i]) * out->stride[dim_of[i]]);
	}
	windows.dims[4] = in->view.dims[C];
	windows.stride[4] = in->view.stride[C];
	windows.place.offset += (uint64_t)offset;
	return vec_append(lower, out->tile, &args, 5, windows.dims, flat, &result, &windows, NULL);
}

/* The maxima at the positions of @box, to @out. */
static int max_box(struct lower *lower, const struct pool_run *run, const struct extract *in, struct cut_box box,
		   const struct spad_view *out)
{
	const int64_t from[2] = {box.h0, box.w0};
	int64_t at[2], count[2];
	int err = 0;

	for (at[0] = box.h0; at[0] < box.h1 && !err; at[0] += count[0]) {
		count[0] = same_taps(&run->pool, 0, at[0], box.h1 - at[0]);
		for (at[1] = box.w0; at[1] < box.w1 && !err; at[1] += count[1]) {
			count[1] = same_taps(&run->pool, 1, at[1], box.w1 - at[1]);
			err = max_rectangle(lower, run, in, out, from, at, count);
		}
	}
	return err;
}

int max_in_place(struct lower *lower, const struct pool_run *run, int64_t image, int64_t h0, int64_t rows)
{
	static const int order[4] = {N, H, W, C};
	struct cut_box outputs = {h0, h0 + rows, 0, run->pool.out[1]};
	struct lower_box box = {.start = {image, h0, 0, 0}, .size = {1, rows, run->pool.out[1], run->x.dims[C]}};
	struct extract in = {.view = {.place = run->x.place, .type = run->x.type, .dims[C] = run->x.dims[C]}};
	struct spad_view out;
	int err = tensor_is_resident(lower, &run->y)
			  ? lower_fetch(lower, &run->y, &box, 0, 0, run->y.type, order, 0, AXL_PIPE_LOAD,
					AXL_PURPOSE_ACTIVATION, &out) /* where it stays */
			  : lower_spad(lower, 0, run->y.type, 4, box.size, order, "pooled", &out);

	memcpy(in.view.stride, run->x.stride, 4 * sizeof(in.view.stride[0]));
	in.view.place.offset += (uint64_t)(image * run->x.stride[N]);
	if (!err)
		err = max_box(lower, run, &in, outputs, &out);
	return err ? err : lower_commit(lower, &run->y, &box, &out);
}

/* ---- in parts ---- */

#define STRIPES 8 /* of a part: the first is pooled while the rows of the others are still made */

static struct cut_box owned(const struct pool *pool, const struct target *target, unsigned int tile)
{
	return cut_owned(cut_grid(target, 1, pool->out[0], pool->out[1]), pool->out[0], pool->out[1], tile);
}

/* The positions that outputs @box read. */
static struct cut_box window(const struct pool *pool, struct cut_box box)
{
	struct cut_box in = {0};
	const int64_t span[2] = {(pool->kernel[0] - 1) * pool->dilation[0] + 1,
				 (pool->kernel[1] - 1) * pool->dilation[1] + 1};

	if (cut_is_empty(box))
		return in;
	cut_window(box.h0, box.h1, pool->stride[0], span[0], pool->begin[0], pool->in[0], &in.h0, &in.h1);
	cut_window(box.w0, box.w1, pool->stride[1], span[1], pool->begin[1], pool->in[1], &in.w0, &in.w1);
	return in;
}

bool max_cuts(const struct pool *pool, const struct target *target)
{
	int64_t first, last;

	if (pool->average || pool->spatial != 2 || !cut_pays(target, 1, pool->out[0], pool->out[1]))
		return false;
	for (int axis = 0; axis < 2; axis++)
		for (int64_t at = 0; at < pool->out[axis]; at++) {
			valid_taps(pool, axis, at, &first, &last);
			if (first == last)
				return false;
		}
	return true;
}

bool max_reads_part(const struct graph_node *node, const struct target *target, unsigned int tile, struct cut_box *box)
{
	struct pool pool;
	char reason[64];

	if (strcmp(node->op_type, "MaxPool") || pool_read(node, &pool, reason, sizeof(reason)) ||
	    !max_cuts(&pool, target) || cut_grid(target, node->inputs[0]->dims[0], pool.in[0], pool.in[1]).images)
		return false;
	*box = window(&pool, owned(&pool, target, tile));
	return true;
}

/* Channels [@c0, @c0 + @count) of what outputs @box of image @n read: in @tile's part, or loaded. */
static int input_of(struct lower *lower, const struct pool_run *run, unsigned int tile, int64_t n, struct cut_box box,
		    int64_t c0, int64_t count, struct extract *in)
{
	static const int order[4] = {N, H, W, C};
	struct cut_box need = window(&run->pool, box);
	struct lower_box from = {.start = {n, need.h0, need.w0, c0},
				 .size = {1, need.h1 - need.h0, need.w1 - need.w0, count}};

	in->row = need.h0;
	in->column = need.w0;
	if (!run->x_cut)
		return lower_fetch(lower, &run->x, &from, tile, 0, run->type, order, 0, AXL_PIPE_LOAD,
				   AXL_PURPOSE_ACTIVATION, &in->view);
	in->view = cut_view(run->x_cut, &run->x, tile, n, need, c0, count);
	return 0;
}

static int part_stripe(struct lower *lower, const struct pool_run *run, unsigned int tile, int64_t n,
		       struct cut_box box, int64_t c0, int64_t count)
{
	static const int order[4] = {N, H, W, C};
	struct lower_box where = {.start = {n, box.h0, box.w0, c0},
				  .size = {1, box.h1 - box.h0, box.w1 - box.w0, count}};
	struct spad_view out;
	struct extract in;
	int err = input_of(lower, run, tile, n, box, c0, count, &in);

	if (!err && run->y_cut)
		out = cut_view(run->y_cut, &run->y, tile, n, box, c0, count);
	else if (!err)
		err = lower_spad(lower, tile, run->y.type, 4, where.size, order, "pooled", &out);
	if (!err)
		err = max_box(lower, run, &in, box, &out);
	if (err)
		return err;
	return run->y_cut ? cut_commit(lower, run->y_cut, &run->y, tile, &where)
			  : lower_commit(lower, &run->y, &where, &out);
}

/* Channels that lie together both in the input and in the output: a plane is a whole number of them. */
static int64_t common_plane(const struct pool_run *run)
{
	int64_t plane = run->x.dims[C];

	if (run->x_cut)
		plane = MIN(plane, run->x_cut->plane);
	return run->y_cut ? MIN(plane, run->y_cut->plane) : plane;
}

int max_parts(struct lower *lower, const struct pool_run *run)
{
	int64_t plane = common_plane(run), channels = run->x.dims[C];
	struct cut_box part = owned(&run->pool, lower->target, 0);
	int64_t rows = (part.h1 + STRIPES - 1) / STRIPES;
	int err = 0;

	for (int64_t n = 0; n < run->x.dims[N] && !err; n++)
		for (int64_t c0 = 0; c0 < channels && !err; c0 += plane) {
			for (int64_t h0 = 0; h0 < part.h1 && !err; h0 += rows)
				for (unsigned int t = 0; t < lower->target->tiles && !err; t++) {
					struct cut_box box = owned(&run->pool, lower->target, t);

					box.h1 = MIN(box.h1, box.h0 + h0 + rows);
					box.h0 += h0;
					if (!cut_is_empty(box))
						err = part_stripe(lower, run, t, n, box, c0, plane);
				}
			if (!err && run->y_cut && (c0 + plane) % run->y_cut->plane == 0)
				err = cut_exchange(lower, run->y_cut, &run->y, n,
						   c0 / run->y_cut->plane * run->y_cut->plane);
		}
	return err;
}
