/* SPDX-License-Identifier: MIT */
/*
 * What a tile search compared: the tiling that it took and the best of those that differ from it in kind. Kept for the report; nothing
 * is decided by it.
 */
#ifndef COMPILER_TARGET_MATRIX_CHOICE_H
#define COMPILER_TARGET_MATRIX_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A tiling. Rows of the output are cut into stripes of @rows; a stripe's input stays in the scratchpad while all blocks
 * of @n output channels pass over it. Inside, chunks of @chunk_h x @chunk_w positions share an accumulator buffer. @k
 * channels of a group are summed at a time. @keep_weights: every weight block is loaded once and kept.
 * @split_rows: tiles take different stripes (weights multicast), else different channel blocks.
 */
struct matrix_plan {
	int64_t rows, n, k, chunk_h, chunk_w;
	bool keep_weights;
	bool split_rows;
	uint64_t cycles; /* estimate */
	uint64_t bytes;  /* local memory traffic */
};

#define MATRIX_RUNNERS 4

/*
 * @node:     in whose work it was
 * @cut:      of the parts of a cut image (cut.h), where every tile has its own positions
 * @compared: tilings that fit and were priced
 * @plans:    once matrix_choice_close() was called first the one that was taken, then the others, fewest cycles first; @count of them.
 *	      Two are of a kind when they agree in n, k, keep_weights and split_rows: of each kind the one with the fewest cycles
 */
struct matrix_choice {
	size_t node;
	bool cut;
	uint32_t compared;
	unsigned int count;
	struct matrix_plan plans[MATRIX_RUNNERS + 1];
};

/* A tiling was priced. */
void matrix_choice_add(struct matrix_choice *choice, const struct matrix_plan *plan);
/* @taken was taken: it comes first, and no other of its kind stays. */
void matrix_choice_close(struct matrix_choice *choice, const struct matrix_plan *taken);

/* A list that grows. Zeroed: empty. */
struct matrix_choices {
	struct matrix_choice *list;
	size_t count;
};

/* 0, or -ENOMEM. */
int matrix_choices_append(struct matrix_choices *choices, const struct matrix_choice *choice);
void matrix_choices_finish(struct matrix_choices *choices);

#endif
