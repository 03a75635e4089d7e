/* SPDX-License-Identifier: MIT */
/*
 * Channel shuffles: Reshape to [N, groups, C / groups, H, W], Transpose of the two in the middle, Reshape back. Channel
 * i * groups + g of the result is channel g * (C / groups) + i of what it was made of.
 */
#ifndef COMPILER_GRAPH_SHUFFLE_H
#define COMPILER_GRAPH_SHUFFLE_H

#include "compiler/graph/graph.h"

/* The nodes in their order; @split makes the five dimensions, @merge the shuffled image. */
struct shuffle {
	struct graph_node *split, *swap, *merge;
	int64_t groups;
};

/* Is @value the result of a channel shuffle of which nobody reads the values in between? */
bool shuffle_find(const struct graph_value *value, struct shuffle *shuffle);
/* The shuffle that begins with @node, when nobody else reads the values in between. */
bool shuffle_begins(const struct graph_node *node, struct shuffle *shuffle);

#endif
