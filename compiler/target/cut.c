/* SPDX-License-Identifier: MIT */
/* See cut.h. */
#include "compiler/target/cut.h"

#include <string.h>

#include <axl/axl_access.h>
#include "compiler/target/images.h"
#include "compiler/target/lower_matrix.h"
#include "compiler/target/lower_pool.h"
#include "compiler/target/resident.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

enum { IMAGE_N, IMAGE_H, IMAGE_W, IMAGE_C };

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

int64_t cut_edges_first(int64_t at, int64_t count)
{
	if (count <= 2)
		return at;
	return at == 0 ? 0 : at == 1 ? count - 1 : at - 1;
}

static uint64_t positions(struct cut_box box)
{
	return cut_is_empty(box) ? 0 : (uint64_t)((box.h1 - box.h0) * (box.w1 - box.w0));
}

static bool is_inside(struct cut_box inner, struct cut_box outer)
{
	return inner.h0 >= outer.h0 && inner.h1 <= outer.h1 && inner.w0 >= outer.w0 && inner.w1 <= outer.w1;
}

static struct cut_box intersect(struct cut_box a, struct cut_box b)
{
	return (struct cut_box){MAX(a.h0, b.h0), MIN(a.h1, b.h1), MAX(a.w0, b.w0), MIN(a.w1, b.w1)};
}

static struct cut_box span(struct cut_box a, struct cut_box b)
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

const struct cut *cut_find(const struct lower *lower, const struct graph_value *value)
{
	const struct cut *cut = value && lower->cuts ? &lower->cuts[value->id] : NULL;

	return cut && cut->tiles ? cut : NULL;
}

bool cut_has_channels(const struct lower *lower, const struct graph_value *value)
{
	const struct cut *cut = cut_find(lower, value);

	return cut && cut->channels;
}

bool cut_has_image(const struct cut *cut, unsigned int tile, int64_t n)
{
	return !cut_is_empty(cut->parts[tile].owned) && (!cut->images || n % cut->tiles == tile);
}

/* ---- taking ---- */

/* @cut gets @whole, for @reader. */
static void ask_whole(const struct lower *lower, const struct graph_value *value, const struct graph_node *reader,
		      struct cut *cut)
{
	int64_t step = lower->runs[value->producer->id] ? 1 : lower_conv_step(lower, reader, value);

	cut->step = cut->whole && cut->step != step ? 1 : step;
	cut->whole = true;
}

/*
 * Add what the readers from number @first on need to the parts. Returns how many read parts, *@last of them; @cut->whole if not
 * all do.
 */
static size_t ask_readers(const struct lower *lower, const struct graph_value *value, size_t first, struct cut *cut,
			  size_t *last)
{
	size_t readers = 0;

	for (size_t i = 0; i < value->num_uses; i++) {
		struct cut_box box;
		bool reads = images_together(lower, value->producer, value->uses[i]);

		if ((size_t)value->uses[i]->id < first)
			continue;
		for (unsigned int t = 0; t < cut->tiles && reads; t++) {
			reads = lower_conv_reads_part(lower, value->uses[i], value, t, &box) ||
				max_reads_part(value->uses[i], lower->target, t, &box);
			if (reads)
				cut->parts[t].stored = span(cut->parts[t].stored, box);
		}
		if (reads)
			*last = MAX(*last, (size_t)value->uses[i]->id);
		readers += reads;
		if (!reads)
			ask_whole(lower, value, value->uses[i], cut);
	}
	return readers;
}

#define MAX_PLANES 4

int64_t cut_plane(int64_t channels)
{
	int64_t plane = AXL_ARRAY_N;

	while (plane < channels && (plane * MAX_PLANES < channels || channels % plane))
		plane += AXL_ARRAY_N;
	return MIN(plane, channels);
}

/* Channels of a plane of @value: all where a reader has groups. */
static int64_t choose_plane(const struct graph_value *value)
{
	for (size_t i = 0; i < value->num_uses; i++) {
		struct op_node op = graph_op_node(value->uses[i]);

		if (op_attr_int(&op, "group", 1) != 1)
			return value->dims[1];
	}
	return cut_plane(value->dims[1]);
}

/*
 * Who makes an image is the first to be cut by its own grid; but where every tile makes all that it stores, by the grid of
 * what is made of it: else tiles would make their share of both.
 */
static struct cut_grid choose_grid(const struct lower *lower, const struct graph_value *value, enum cut_halo halo)
{
	const struct graph_value *image = halo == CUT_MADE ? value->uses[0]->outputs[0] : value;

	if (image->rank != 4)
		image = value;
	return cut_grid(lower->target, image->dims[0], image->dims[2], image->dims[3]);
}

/* Bytes of the largest part. */
static uint64_t part_bytes(const struct cut *cut, const struct graph_value *value, const struct dev_tensor *tensor)
{
	uint64_t position = (uint64_t)(value->dims[0] * value->dims[1]) * access_type_bytes(tensor->type), bytes = 0;

	position /= cut->images ? cut->tiles : 1;
	for (unsigned int t = 0; t < cut->tiles; t++) {
		struct cut_box box = cut->parts[t].stored;

		bytes = MAX(bytes, positions(box) * position);
	}
	return bytes;
}

/* Scratchpad for the parts, @bytes each. */
static bool place_parts(struct lower *lower, const struct graph_value *value, uint64_t bytes, struct cut *cut)
{
	for (unsigned int t = 0; t < cut->tiles; t++) {
		cut->parts[t].place.buf = program_spad(lower->program, t, bytes, value->name);
		if (!cut->parts[t].place.buf)
			return false;
		program_pin(lower->program, cut->parts[t].place.buf);
	}
	return true;
}

/* An image in memory that tiles may have parts of. */
static bool may_be_cut(const struct lower *lower, const struct graph_value *value)
{
	const struct dev_tensor *tensor = &lower->tensors[value->id];

	return lower->target->tiles > 1 && value->rank == 4 && value->num_uses && tensor->rank == 4 &&
	       program_buf_space(lower->program, tensor->place.buf) == PROGRAM_ARENA;
}

bool cut_take(struct lower *lower, const struct graph_value *value, enum cut_halo halo)
{
	const struct dev_tensor *tensor = &lower->tensors[value->id];
	struct cut_grid grid;
	struct cut cut = {.tiles = lower->target->tiles, .plane = value->rank == 4 ? choose_plane(value) : 0};
	uint64_t bytes;
	size_t last = 0;

	if (!may_be_cut(lower, value) || value->is_output)
		return false;
	grid = choose_grid(lower, value, halo);
	cut.images = grid.images;
	for (unsigned int t = 0; t < cut.tiles; t++)
		cut.parts[t].owned = cut.parts[t].stored = cut_owned(grid, value->dims[2], value->dims[3], t);
	if (!ask_readers(lower, value, 0, &cut, &last))
		return false;
	bytes = part_bytes(&cut, value, tensor);
	for (unsigned int t = 0; t < cut.tiles; t++)
		cut.shared |= halo == CUT_EXCHANGED && !is_inside(cut.parts[t].stored, cut.parts[t].owned);
	if (cut.shared)
		cut.step = 1; /* halos come from memory, too */
	if (!bytes || !resident_hold(lower, (size_t)value->producer->id, last, bytes))
		return false;
	resident_keep(lower, last);
	if (!place_parts(lower, value, bytes, &cut))
		return false;
	lower->cuts[value->id] = cut;
	for (unsigned int t = 0; t < cut.tiles && cut.shared; t++)
		lower->halos += (positions(cut.parts[t].stored) - positions(cut.parts[t].owned)) *
				(uint64_t)(value->dims[0] * value->dims[1] * access_type_bytes(tensor->type));
	return true;
}

/* What the tile search leaves of a scratchpad, one in so many bytes (matrix_plan.c). */
#define ROOM_BESIDE_PLAN 32

static bool is_averaged(const struct lower *lower, const struct graph_value *value, const struct graph_node *node)
{
	static const char *const names[] = {"AveragePool", "GlobalAveragePool", "QLinearAveragePool",
					    "QLinearGlobalAveragePool"};

	return GRAPH_NODE_IS(node, names) && images_together(lower, value->producer, node) &&
	       average_takes(lower, node);
}

bool cut_take_channels(struct lower *lower, const struct graph_value *value, int64_t channels)
{
	const struct dev_tensor *tensor = &lower->tensors[value->id];
	struct cut cut = {.tiles = lower->target->tiles, .plane = channels, .channels = channels};
	uint64_t bytes;
	size_t last = 0;

	if (!may_be_cut(lower, value) || value->is_output || value->dims[0] != 1 ||
	    value->dims[1] != channels * cut.tiles)
		return false;
	for (size_t i = 0; i < value->num_uses; i++) {
		if (lower_conv_adds(lower, value->uses[i], value) || is_averaged(lower, value, value->uses[i]))
			last = MAX(last, (size_t)value->uses[i]->id);
		else
			cut.whole = true;
	}
	bytes = (uint64_t)(value->dims[2] * value->dims[3] * channels) * access_type_bytes(tensor->type);
	if (!last || bytes > lower->target->spad_bytes / ROOM_BESIDE_PLAN ||
	    !resident_hold(lower, (size_t)value->producer->id, last, bytes))
		return false;
	for (unsigned int t = 0; t < cut.tiles; t++)
		cut.parts[t].owned = cut.parts[t].stored = (struct cut_box){0, value->dims[2], 0, value->dims[3]};
	resident_keep(lower, last);
	if (!place_parts(lower, value, bytes, &cut))
		return false;
	lower->cuts[value->id] = cut;
	return true;
}

/* ---- boxes ---- */

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
		wanted[count] = intersect(made, cut->parts[tile].owned);
		count += !cut_is_empty(wanted[count]);
	}
	for (unsigned int t = 0; t < cut->tiles && !cut->whole && cut->shared; t++) {
		struct cut_box part = intersect(made, cut->parts[t].stored);
		unsigned int kept = 0;
		bool known = t == tile || cut_is_empty(part);

		for (unsigned int i = 0; i < count && !known; i++)
			known = is_inside(part, wanted[i]);
		if (known)
			continue;
		for (unsigned int i = 0; i < count; i++)
			if (!is_inside(wanted[i], part))
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

/* Does the node that is being lowered read its own parts of @value? An addition that no convolution has done does not. */
static bool is_read_in_parts(const struct lower *lower, const struct graph_value *value)
{
	const struct graph_node *node = lower->graph->nodes[lower->at];
	struct cut_box box;

	return strcmp(node->op_type, "QLinearAdd") &&
	       (lower_conv_reads_part(lower, node, value, 0, &box) || max_reads_part(node, lower->target, 0, &box));
}

int cut_bring(struct lower *lower, const struct graph_value *value)
{
	const struct dev_tensor image = matrix_image(&lower->tensors[value->id]);
	struct cut cut = {.tiles = lower->target->tiles};
	struct cut_grid grid;
	uint64_t bytes;
	size_t last = 0, readers;
	int err = 0;

	if (!may_be_cut(lower, value) || !value->producer || cut_find(lower, value) || !is_read_in_parts(lower, value))
		return 0;
	grid = cut_grid(lower->target, value->dims[0], value->dims[2], value->dims[3]);
	cut.images = grid.images;
	cut.plane = choose_plane(value);
	for (unsigned int t = 0; t < cut.tiles; t++)
		cut.parts[t].owned = cut_owned(grid, value->dims[2], value->dims[3], t);
	readers = ask_readers(lower, value, lower->at, &cut, &last);
	if (readers < 2)
		return 0;
	bytes = part_bytes(&cut, value, &image);
	if (!bytes || !resident_hold(lower, lower->at, last, bytes))
		return 0;
	if (!place_parts(lower, value, bytes, &cut))
		return lower_fail(lower, NULL, -ENOMEM, "%s", program_error(lower->program));
	cut.whole = true; /* it came from there */
	cut.step = 1;
	lower->saved += (readers - 1) * bytes * cut.tiles;
	for (int64_t n = 0; n < image.dims[IMAGE_N]; n++)
		for (int64_t c = 0; c < image.dims[IMAGE_C]; c += cut.plane)
			for (unsigned int t = 0; t < cut.tiles && !err; t++)
				if (cut_has_image(&cut, t, n) && !cut_is_empty(cut.parts[t].stored))
					err = load(lower, &cut, &image, t, n, cut.parts[t].stored, c);
	lower->cuts[value->id] = cut;
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
