/* SPDX-License-Identifier: MIT */
/*
 * Two convolutions depth-first: a stripe of rows of the second one's output, and with it the rows of the first one's that it reads,
 * then the next stripe. What the first passes on is then some rows at a time and stays in the scratchpads, where the whole image
 * would not fit or would be there over a preemption point; rows that two stripes read are computed twice, and the weights come
 * once for each stripe.
 *
 *	 input    ┌──────────┐ first  ┌──────────┐ second ┌──────────┐
 *	 (memory) │ rows + 2 │ ─────► │ rows + 1 │ ─────► │   rows   │ (memory)
 *		  └──────────┘        └──────────┘        └──────────┘
 *
 * To the lowerings it looks like a graph of smaller images, as with the images of a batch (images.h): while a stripe is lowered
 * the values of the run have its rows only, and lower->first_row says which.
 */
#ifndef COMPILER_TARGET_STRIPES_H
#define COMPILER_TARGET_STRIPES_H

#include "compiler/target/lower.h"

#define STRIPES_NODES 3 /* two convolutions, and a pool that the second one does */

/* @whole: the tensor of all rows, where the run shares the value with other nodes (@border) */
struct stripes_value {
	struct graph_value *value;
	int64_t rows;
	bool border;
	struct dev_tensor whole;
};

/*
 * struct stripes - a run that is being lowered
 * @first, @num_nodes: its nodes
 * @count: how many stripes
 * @values: what its first node reads, then what each makes
 */
struct stripes {
	size_t first, num_nodes;
	int64_t count;
	struct stripes_value values[STRIPES_NODES + 1];
};

/*
 * Number the runs of nodes [@first, @first + @count) in @lower->runs, and set @lower->stripes at their first nodes: pairs whose
 * image between them would go through memory, where that costs more than the weights that come again, and the rows that are
 * computed twice next to nothing.
 */
void stripes_find(struct lower *lower, size_t first, size_t count);
/*
 * Begin the run that starts with node @first: stripes_select() is to be called for each of its stripes, and stripes_end()
 * whatever happens. 0, or -ENOMEM (lower->error says so).
 */
int stripes_begin(struct lower *lower, size_t first, struct stripes *stripes);
void stripes_select(struct lower *lower, struct stripes *stripes, int64_t stripe);
void stripes_end(struct lower *lower, struct stripes *stripes);

#endif
