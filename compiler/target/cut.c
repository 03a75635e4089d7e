/* SPDX-License-Identifier: MIT */
/* See cut.h. */
#include "compiler/target/cut.h"

#include <string.h>

#include <axl/axl_access.h>
#include "compiler/target/arith.h"
#include "compiler/target/images.h"
#include "compiler/target/lower_matrix.h"
#include "compiler/target/lower_pool.h"
#include "compiler/target/resident.h"

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
				cut->parts[t].stored = cut_span(cut->parts[t].stored, box);
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

		bytes = MAX(bytes, cut_positions(box) * position);
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
		cut.shared |= halo == CUT_EXCHANGED && !cut_is_inside(cut.parts[t].stored, cut.parts[t].owned);
	if (cut.shared)
		cut.step = 1; /* halos come from memory, too */
	if (!bytes || !resident_hold(lower, (size_t)value->producer->id, last, bytes))
		return false;
	resident_keep(lower, last);
	if (!place_parts(lower, value, bytes, &cut))
		return false;
	lower->cuts[value->id] = cut;
	for (unsigned int t = 0; t < cut.tiles && cut.shared; t++)
		lower->halos += (cut_positions(cut.parts[t].stored) - cut_positions(cut.parts[t].owned)) *
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

/* ---- what lies in memory ---- */

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
	lower->cuts[value->id] = cut;
	return cut_fill(lower, &cut, &image);
}
