/* SPDX-License-Identifier: MIT */
/* What others must know of LRN: it takes the conversion before it. */
#ifndef COMPILER_TARGET_LOWER_LRN_H
#define COMPILER_TARGET_LOWER_LRN_H

#include "compiler/target/lower.h"

/* The LRN that reads @node, a DequantizeLinear, alone and converts by itself; NULL: none. */
const struct graph_node *lrn_of_dequantize(const struct graph_node *node);

#endif
