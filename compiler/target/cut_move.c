/* SPDX-License-Identifier: MIT */
/* See cut.h: what moves between the parts of a cut image and memory. */
#include <axl/axl_access.h>

#include "compiler/target/arith.h"
#include "compiler/target/cut.h"
#include "compiler/target/lower_matrix.h"

enum { IMAGE_N, IMAGE_H, IMAGE_W, IMAGE_C };

int64_t cut_edges_first(int64_t at, int64_t count)
{
	if (count <= 2)
		return at;
	return at == 0 ? 0 : at == 1 ? count - 1 : at - 1;
}

int64_t cut_plane_bytes(const struct cut *cut, const struct dev_tensor *image, unsigned int tile)
{
	const struct cut_box *stored = &cut->parts[tile].stored;

	return (stored->h1 - stored->h0) * (stored->w1 - stored->w0) * cut->plane * access_type_bytes(image->type);
}

struct spad_view cut_view(const struct cut *cut, const struct dev_tensor *image, unsigned int tile, int64_t n,
			  struct cut_box box, int64_t c0, int64_t c)
{
	const struct cut_part *part = &cut->parts[tile];
	int64_t size = access_type_bytes(image->type), pixel = size * cut->plane;
	int64_t row = pixel * (part->stored.w1 - part->stored.w0), plane = cut_plane_bytes(cut, image, tile);
	int64_t whole = plane * (image->dims[IMAGE_C] / cut->plane), own = cut->channels ? tile : 0;
	struct spad_view view = {
		.place = part->place,
		.rank = 4,
		.dims = {1, box.h1 - box.h0, box.w1 - box.w0, c},
		.stride = {whole, row, pixel, size},
		.type = image->type,
		.tile = tile,
	};

	view.place.offset += (uint64_t)((cut->images ? n / cut->tiles : n) * whole + (c0 / cut->plane - own) * plane +
					(box.h0 - part->stored.h0) * row + (box.w0 - part->stored.w0) * pixel +
					c0 % cut->plane * size);
	return view;
}

static struct lower_box image_box(int64_t n, struct cut_box box, int64_t c0, int64_t c)
{
	return (struct lower_box){.start = {n, box.h0, box.w0, c0}, .size = {1, box.h1 - box.h0, box.w1 - box.w0, c}};
}

static int store(struct lower *lower, const struct cut *cut, const struct dev_tensor *image, unsigned int tile,
		 int64_t n, struct cut_box box, int64_t c0, int64_t c)
{
	struct spad_view view = cut_view(cut, image, tile, n, box, c0, c);
	struct lower_box where = image_box(n, box, c0, c);

	return lower_store_view(lower, image, &where, &view);
}

/* Of @box only every cut->step'th row and column of the image. */
static int store_steps(struct lower *lower, const struct cut *cut, const struct dev_tensor *image, unsigned int tile,
		       int64_t n, struct cut_box box, int64_t c0, int64_t c)
{
	int64_t step = cut->step;
	struct cut_box steps = {ceil_div(box.h0, step), ceil_div(box.h1, step), ceil_div(box.w0, step),
				ceil_div(box.w1, step)};
	struct lower_box where = image_box(n, steps, c0, c);
	struct dev_tensor apart = *image;
	struct spad_view view;

	if (cut_is_empty(steps))
		return 0;
	box.h0 = steps.h0 * step;
	box.w0 = steps.w0 * step;
	view = cut_view(cut, image, tile, n, box, c0, c);
	for (int d = IMAGE_H; d <= IMAGE_W; d++) {
		view.dims[d] = where.size[d];
		view.stride[d] *= step;
		apart.dims[d] = ceil_div(image->dims[d], step);
		apart.stride[d] *= step;
	}
	return lower_store_view(lower, &apart, &where, &view);
}

int cut_commit(struct lower *lower, const struct cut *cut, const struct dev_tensor *image, unsigned int tile,
	       const struct lower_box *box)
{
	struct cut_box made = {box->start[IMAGE_H], box->start[IMAGE_H] + box->size[IMAGE_H], box->start[IMAGE_W],
			       box->start[IMAGE_W] + box->size[IMAGE_W]},
		       wanted[AXL_MAX_TILES];
	unsigned int count = 0;

	if (cut->whole) {
		wanted[count] = cut_intersect(made, cut->parts[tile].owned);
		count += !cut_is_empty(wanted[count]);
	}
	for (unsigned int t = 0; t < cut->tiles && !cut->whole && cut->shared; t++) {
		struct cut_box part = cut_intersect(made, cut->parts[t].stored);
		unsigned int kept = 0;
		bool known = t == tile || cut_is_empty(part);

		for (unsigned int i = 0; i < count && !known; i++)
			known = cut_is_inside(part, wanted[i]);
		if (known)
			continue;
		for (unsigned int i = 0; i < count; i++)
			if (!cut_is_inside(wanted[i], part))
				wanted[kept++] = wanted[i];
		wanted[kept++] = part;
		count = kept;
	}
	for (unsigned int i = 0; i < count; i++) {
		int err = (cut->step > 1 ? store_steps : store)(lower, cut, image, tile, box->start[IMAGE_N], wanted[i],
								box->start[IMAGE_C], box->size[IMAGE_C]);

		if (err)
			return err;
	}
	return 0;
}

/* Positions @box of image @n in memory, the plane that begins with channel @c0, to @tile's part. */
static int load(struct lower *lower, const struct cut *cut, const struct dev_tensor *image, unsigned int tile,
		int64_t n, struct cut_box box, int64_t c0)
{
	struct spad_view view = cut_view(cut, image, tile, n, box, c0, cut->plane);
	struct lower_box where = image_box(n, box, c0, cut->plane);

	return lower_load_view(lower, image, &where, &view);
}

int cut_exchange(struct lower *lower, const struct cut *cut, const struct dev_tensor *image, int64_t n, int64_t c0)
{
	for (unsigned int t = 0; t < cut->tiles && cut->shared; t++) {
		struct cut_box o = cut->parts[t].owned, s = cut->parts[t].stored;
		struct cut_box halo[] = {{s.h0, o.h0, s.w0, s.w1},
					 {o.h1, s.h1, s.w0, s.w1},
					 {o.h0, o.h1, s.w0, o.w0},
					 {o.h0, o.h1, o.w1, s.w1}};

		if (cut_is_empty(o)) {
			halo[0] = s;
			halo[1] = halo[2] = halo[3] = o;
		}
		for (size_t i = 0; i < sizeof(halo) / sizeof(halo[0]); i++) {
			int err = cut_is_empty(halo[i]) ? 0 : load(lower, cut, image, t, n, halo[i], c0);

			if (err)
				return err;
		}
	}
	return 0;
}

int cut_fill(struct lower *lower, const struct cut *cut, const struct dev_tensor *image)
{
	int err = 0;

	for (int64_t n = 0; n < image->dims[IMAGE_N] && !err; n++)
		for (int64_t c = 0; c < image->dims[IMAGE_C] && !err; c += cut->plane)
			for (unsigned int t = 0; t < cut->tiles && !err; t++)
				if (cut_has_image(cut, t, n) && !cut_is_empty(cut->parts[t].stored))
					err = load(lower, cut, image, t, n, cut->parts[t].stored, c);
	return err;
}

bool cut_has_step(const struct lower *lower, const struct graph_value *value, int64_t step)
{
	const struct cut *cut = cut_find(lower, value);

	return cut && cut->whole && (cut->step <= 1 || cut->step == step);
}

int cut_spill(struct lower *lower, const struct graph_value *value)
{
	struct cut *cut = &lower->cuts[value->id];
	const struct dev_tensor image = matrix_image(&lower->tensors[value->id]);
	bool whole = cut_has_step(lower, value, 1);
	int err = 0;

	for (unsigned int t = 0; t < cut->tiles && !whole && !err; t++)
		for (int64_t n = 0; n < image.dims[IMAGE_N] && !err; n++)
			for (int64_t c = 0; c < image.dims[IMAGE_C] && cut_has_image(cut, t, n) && !err;
			     c += cut->plane)
				if (!cut->channels || c == t * cut->channels)
					err = store(lower, cut, &image, t, n, cut->parts[t].owned, c, cut->plane);
	cut->whole = true;
	cut->step = 1;
	return err;
}
