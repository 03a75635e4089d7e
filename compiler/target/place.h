/* SPDX-License-Identifier: MIT */
/* Where a value's tensor lies when it is part of a concatenation's result. */
#ifndef COMPILER_TARGET_PLACE_H
#define COMPILER_TARGET_PLACE_H

#include "compiler/target/lower.h"

/* Is @value to be written into the result of *@concat, from index *@start on along place_axis()? */
bool place_of(const struct lower *lower, const struct graph_value *value, struct graph_node **concat, int64_t *start);
/* The axis of a Concat node, from 0. */
int place_axis(const struct graph_node *concat);

#endif
