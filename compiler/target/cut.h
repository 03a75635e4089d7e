/* SPDX-License-Identifier: MIT */
/*
 * Cut tensors: images whose parts stay in the scratchpads of several tiles, from the node that makes them to the last
 * that reads them. Every tile owns a rectangle of positions, all channels; producer and consumers cut alike, by one
 * grid. What a consumer's window needs beyond its own rectangle (the halo) is stored to local memory by its owner and
 * loaded by the others, plane of channels by plane, while the next is computed.
 *
 *	+-------+---+-------+        owned: the tile's own positions, written by its drain
 *	| tile 0    :tile 1 |        stored: with the halo that the readers of this tensor need
 *	+ - - - - - + - - - +
 *	| tile 2    :tile 3 |
 *	+-----------+-------+
 *
 * Images too small for that go each to a tile, whole, where the batch has one or more for each of them: no tile then needs
 * anything of another.
 *
 * A reader that knows nothing of it finds the tensor in memory: parts are stored as they are made where it is known
 * beforehand (@whole), else when the reader asks (lower_tensor()).
 */
#ifndef COMPILER_TARGET_CUT_H
#define COMPILER_TARGET_CUT_H

#include "compiler/target/cut_grid.h"
#include "compiler/target/lower.h"

struct cut_part {
	struct cut_box owned, stored;
	struct program_place place; /* of stored's first element */
};

/*
 * struct cut - a value that is cut
 * @tiles:  0: it is not
 * @plane:  a part is a row of planes of so many channels, each with all positions, channels innermost: who reads the
 *	    first does not wait for the last to be written and its halo to come
 * @images: each part is whole images, those of its tile
 * @channels: 0, or each part is all positions of so many channels, one plane: those of tile t begin with t * @channels. Residuals
 *	    and averages are read that way
 * @shared: some tile stores more than it owns
 * @whole:  memory gets all of it
 * @step:   but only every @step'th row and column, from the first: all that its readers there want; 0 as 1
 */
struct cut {
	unsigned int tiles;
	bool images, shared, whole;
	int64_t plane, channels, step;
	struct cut_part parts[AXL_MAX_TILES];
};

/* Has @tile a part of image @n? */
bool cut_has_image(const struct cut *cut, unsigned int tile, int64_t n);

/* Channels of a plane of an image: a fourth, or as near to it as whole columns of the array are. */
int64_t cut_plane(int64_t channels);

/* How @value is cut, or NULL. */
const struct cut *cut_find(const struct lower *lower, const struct graph_value *value);
/* How a tile gets what it stores and does not own: by cut_exchange(), or the producer makes it in every tile itself. */
enum cut_halo { CUT_EXCHANGED, CUT_MADE };
/* Does each tile have some of its channels? */
bool cut_has_channels(const struct lower *lower, const struct graph_value *value);
/*
 * Cut @value, an image [N][C][H][W] whose tensor lies in memory with channels innermost, if a reader gains by it and
 * there is room. The caller is its producer and then writes parts.
 */
bool cut_take(struct lower *lower, const struct graph_value *value, enum cut_halo halo);

/*
 * Keep @channels channels of @value, an image, in each tile for those who add it or take averages, if there are any and there is
 * room. The caller makes them there. False: it is in memory alone.
 */
bool cut_take_channels(struct lower *lower, const struct graph_value *value, int64_t channels);

/* Positions @box of image @n, channels [c0, c0 + c) of one plane, in @tile. @image: the tensor as [N][H][W][C]. */
struct spad_view cut_view(const struct cut *cut, const struct dev_tensor *image, unsigned int tile, int64_t n,
			  struct cut_box box, int64_t c0, int64_t c);
/*
 * The turn @at of @count in which the stripes of a part are made: those at its edges come first where other tiles wait
 * for them.
 */
int64_t cut_edges_first(int64_t at, int64_t count);
/* @box ([N][H][W][C]) of what @tile stores has been written: store what others, or readers from memory, need. */
int cut_commit(struct lower *lower, const struct cut *cut, const struct dev_tensor *image, unsigned int tile,
	       const struct lower_box *box);
/* Bytes from one plane of an image in @tile to the next. */
int64_t cut_plane_bytes(const struct cut *cut, const struct dev_tensor *image, unsigned int tile);
/* All tiles have committed the plane of image @n that begins with channel @c0: bring its halos. */
int cut_exchange(struct lower *lower, const struct cut *cut, const struct dev_tensor *image, int64_t n, int64_t c0);
/* Load all that the tiles store of @image, which lies in memory. */
int cut_fill(struct lower *lower, const struct cut *cut, const struct dev_tensor *image);
/*
 * The node that is being lowered reads its parts of @value: where that lies in memory and later nodes read theirs, too, the
 * parts are loaded once and stay until the last of them has been lowered, if there is room. 0, or negative errno with
 * lower->error.
 */
int cut_bring(struct lower *lower, const struct graph_value *value);
/* Has memory every @step'th row and column of @value, or all, without anything to do? */
bool cut_has_step(const struct lower *lower, const struct graph_value *value, int64_t step);
/* Have all of @value in memory for a reader that wants it there. */
int cut_spill(struct lower *lower, const struct graph_value *value);

#endif
