/* SPDX-License-Identifier: MIT */
/* One range for what must have one scale. */
#ifndef COMPILER_QUANT_SHARE_H
#define COMPILER_QUANT_SHARE_H

#include "compiler/quant/stats.h"

/*
 * Give what is joined by a concatenation, and what only chooses or moves elements of it, one range: the concatenation
 * then needs no arithmetic. @stats: by value id. -ENOMEM.
 */
int quant_share_ranges(const struct graph *graph, struct quant_stats *stats);

#endif
