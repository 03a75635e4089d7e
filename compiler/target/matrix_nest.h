/* SPDX-License-Identifier: MIT */
/*
 * The inside of the loop nests over matrix work: weight blocks as they are packed and fetched, the instructions of one
 * chunk. matrix_lower.c walks them by rows or by channels, matrix_parts.c over the parts of a cut image.
 */
#ifndef COMPILER_TARGET_MATRIX_NEST_H
#define COMPILER_TARGET_MATRIX_NEST_H

#include "compiler/target/matrix_work.h"

/* The weight block of (output channels [n0, n0 + n), channels [k0, k0 + k) of each group) where it lies. */
struct weight_block {
	struct program_place tables; /* bias, then scale; buf 0 when it has neither */
	struct program_place w;
	uint32_t stride_k, stride_n;
};

/* What a run over the loop nest carries along. */
struct nest {
	struct lower *lower;
	const struct matrix_work *work;
	struct matrix_plan plan;
	int64_t n_blocks, k_blocks;
	int64_t plane;             /* channels of the input that lie together (cut.h), 0: all */
	uint64_t block_cycles;     /* of one channel block over one stripe, about */
	struct weight_block *kept; /* by channel block, when weights are kept */
	program_buf *packed;       /* WEIGHT buffers by block, shared between stripes and images */
	bool own_packed;
};

/* A chunk of output positions, in coordinates of the image, by a block of output channels. */
struct chunk {
	int64_t h0, h, w0, w;
	int64_t n0, n;
};

/*
 * Input in the scratchpad: row 0, column 0 of @view is row @row, column @col of the image; channels from @c0
 * (depthwise). @plane_bytes: from one plane of channels to the next, where the nest has planes.
 */
struct stripe {
	struct spad_view view;
	int64_t row, rows, col, cols, c0, plane_bytes;
};

/*
 * The tables of a nest whose plan, counts of blocks and planes are set, and their end. Weights that are packed for one image
 * of a run (images.h) are there for the next. @choice, of the first image, goes to the list of them. 0, or -ENOMEM with
 * lower->error; nest_finish() either way.
 */
int nest_start(struct nest *nest, const struct matrix_choice *choice);
void nest_finish(struct nest *nest);
/* Block @nb of output channels, block @kb of K, to @tile or, when not 0, to all of @tiles. */
int matrix_fetch_block(struct nest *nest, int64_t nb, int64_t kb, unsigned int tile, uint8_t tiles,
		       struct weight_block *block);
/* One CONV for each group that the chunk's channels touch. */
int matrix_emit_convs(struct nest *nest, unsigned int tile, const struct stripe *stripe, const struct chunk *chunk,
		      int64_t kb, const struct weight_block *block, program_buf acc);
/* Post-processing of a chunk, and its way to where the output lies. */
int matrix_emit_drain(struct nest *nest, unsigned int tile, int64_t image, const struct chunk *chunk,
		      const struct weight_block *block, program_buf acc);

#endif
