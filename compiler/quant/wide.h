/* SPDX-License-Identifier: MIT */
/* Layers whose numbers binary16 can not hold. */
#ifndef COMPILER_QUANT_WIDE_H
#define COMPILER_QUANT_WIDE_H

#include "compiler/quant/plan.h"
#include "compiler/quant/stats.h"

/* The largest finite number of binary16. */
#define QUANT_F16_MOST 65504.0f

/*
 * struct quant_wide
 * @count:   nodes that read or give numbers above QUANT_F16_MOST; of the first in the graph's order:
 * @name, @op_type: its output, what it is; @largest: the largest magnitude that the samples gave
 */
struct quant_wide {
	size_t count;
	char name[80], op_type[32];
	float largest;
};

/*
 * Look at all float nodes of @graph, which @plan (NULL: none is) does not quantize. Negative numbers count behind products only:
 * masks of attention are as low as can be, and may become infinite.
 */
void quant_find_wide(const struct graph *graph, const struct quant_stats *stats, const struct quant_plan *plan,
		     struct quant_wide *wide);

/* One sentence: which layer, and how many more. */
void quant_wide_text(const struct quant_wide *wide, char *text, size_t size);

/*
 * The same for the model at @path, run in float32 on the CPU with @inputs, in the model's order: sizes that have a name are
 * theirs. 0, or what import and the run return, with the text in @error.
 */
int quant_find_wide_file(const char *path, const struct tensor *const *inputs, size_t num_inputs,
			 struct quant_wide *wide, char *error, size_t error_size);

#endif
