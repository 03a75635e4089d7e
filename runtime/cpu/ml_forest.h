/* SPDX-License-Identifier: MIT */
/*
 * A tree ensemble as its operator's attributes describe it, read once.
 */
#ifndef RUNTIME_CPU_ML_FOREST_H
#define RUNTIME_CPU_ML_FOREST_H

#include "runtime/cpu/ml_ensemble.h"
#include "runtime/cpu/ml_scores.h"

/* TreeEnsembleClassifier and -Regressor list nodes and votes by tree and node id; TreeEnsemble by position. */
enum forest_form { FOREST_CLASSIFIER, FOREST_REGRESSOR, FOREST_ENSEMBLE };

/*
 * struct forest
 * @base:         added to the sums: @num_base numbers, none, one a target or (classifiers of two classes) one
 * @one_sided:    of two classes, @sole_class alone has votes
 * @all_positive: no vote of a classifier is negative
 * @err, @error:  0, or why the attributes are not a forest; nothing else counts then
 */
struct forest {
	struct ensemble ensemble;
	enum ml_post post;
	double *base;
	size_t num_base;
	bool classifier, one_sided, all_positive;
	size_t sole_class;
	int err;
	char error[OP_ERROR_SIZE];
};

/*
 * Read @node. @wide: thresholds as doubles, whatever the attributes are. What is wrong with the attributes is kept in
 * forest->err, because op_prepare() has nowhere to put a text. -ENOMEM.
 */
int forest_create(const struct op_node *node, enum forest_form form, bool wide, struct forest **forest);
void forest_destroy(struct forest *forest); /* NULL is fine */

#endif
