/* SPDX-License-Identifier: MIT */
/*
 * Images of a batch one after another: a run of nodes is lowered for the first image, then for the second, and so on. What
 * the nodes pass on then is one image at a time and stays in the scratchpads, where the whole batch would not fit; their
 * weights come once for each image, which costs nothing while they come faster than an image is computed.
 *
 * To the lowerings it looks like a graph with a batch of one: while a run is lowered its values have one image, and the
 * tensors that it shares with the rest of the region (its border) are views of one.
 */
#ifndef COMPILER_TARGET_IMAGES_H
#define COMPILER_TARGET_IMAGES_H

#include "compiler/target/lower.h"

struct images_value;

/*
 * struct images - a run that is being lowered
 * @first, @last: numbers of its nodes, both included
 * @batch: how many images
 */
struct images {
	size_t first, last;
	int64_t batch;
	struct images_value *values;
	size_t num_values;
};

/*
 * Number the runs of nodes [@first, @first + @count) in @lower->runs. A node is in one where it works on each image by
 * itself and its weights come in at most half the time that it takes; runs of one node are none. False: there is none.
 */
bool images_find(struct lower *lower, size_t first, size_t count);
/*
 * Begin the run that starts with node @first: images_select() is to be called for each image, and images_end() whatever
 * happens. 0, or -ENOMEM (lower->error says so).
 */
int images_begin(struct lower *lower, size_t first, struct images *images);
void images_select(struct lower *lower, const struct images *images, int64_t image);
void images_end(struct lower *lower, struct images *images);

/* May @reader find what @producer made where it left it: same region, and both or none in the same run? */
bool images_together(const struct lower *lower, const struct graph_node *producer, const struct graph_node *reader);

#endif
