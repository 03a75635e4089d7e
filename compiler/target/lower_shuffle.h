/* SPDX-License-Identifier: MIT */
/*
 * 1x1 convolutions of a shuffled image (graph/shuffle.h) that read it as it was before the shuffle.
 *
 * Before the shuffle a pixel is @groups runs of C / groups channels, and the channels [i0, i1) that come together by the
 * shuffle lie in each of the runs at the same place. So the image is one of @groups columns a pixel with C / groups channels,
 * and the convolution has a kernel of one row and @groups columns that moves on by as many: nothing is copied, and the sums
 * have as many products as before (more where C / groups / groups is no whole number: then the weights between are zero).
 */
#ifndef COMPILER_TARGET_LOWER_SHUFFLE_H
#define COMPILER_TARGET_LOWER_SHUFFLE_H

#include "compiler/graph/shuffle.h"
#include "compiler/target/matrix_work.h"

/* Input @index of @conv is a shuffled image, and the convolution will read what the shuffle was made of. */
bool lower_shuffle_reads(const struct lower *lower, const struct graph_node *conv, int index, struct shuffle *shuffle);
/* Is @merge, the last node of a shuffle, left to the convolution that reads it? */
bool lower_shuffle_left(const struct lower *lower, const struct graph_node *merge);
/* The convolution that reads the shuffle that begins with @node, if it may do so without the shuffle; else NULL. */
const struct graph_node *lower_shuffle_reader(const struct lower *lower, const struct graph_node *node);
/*
 * Let @work, a 1x1 convolution whose x is the image before the shuffle, do without it. *@weights gets new weights that @work
 * points to: to be freed when the instructions are written. @zero: the weights' zero point. -ENOMEM.
 */
int lower_shuffle_apply(struct matrix_work *work, const struct shuffle *shuffle, int zero, void **weights);

#endif
