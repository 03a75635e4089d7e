/* SPDX-License-Identifier: MIT */
/*
 * What the classifiers and regressors of ai.onnx.ml share: rows of features, class labels, and the transform that makes
 * scores of sums.
 *
 * Formulas where the specification (Operators-ml.md) leaves them open are those of ONNX's reference implementation
 * (onnx/reference/ops/aionnxml) and of ONNX Runtime, which agree.
 */
#ifndef RUNTIME_CPU_ML_SCORES_H
#define RUNTIME_CPU_ML_SCORES_H

#include "runtime/cpu/op.h"

/* struct ml_rows - input 0 as float32: @rows of @features. @x is a view or a copy; the caller finishes it. */
struct ml_rows {
	struct tensor x;
	int64_t rows, features;
};

/* Reads input 0, [N, C] or [C] of float32, float64, int32 or int64. -EINVAL or -ENOMEM with the call's error set. */
int ml_rows_read(struct op_call *call, struct ml_rows *rows);

/* -EINVAL with the call's error set unless input 0 is float32, float64, int32 or int64 of rank 1 or more. */
int ml_check_number(struct op_call *call);

/* struct ml_labels - the classes' names: @strings, or @ints when that is NULL; borrowed from the node */
struct ml_labels {
	const struct tensor_string *strings;
	const int64_t *ints;
	size_t count;
};

/* Reads attribute @ints_name or @strings_name, of which exactly one must be there and not empty. -EINVAL. */
int ml_labels_read(struct op_call *call, const char *ints_name, const char *strings_name, struct ml_labels *labels);

/* Shapes output @index as a vector of @count labels' type. */
int ml_labels_output(struct op_call *call, size_t index, const struct ml_labels *labels, int64_t count);

/* Element @row of @out becomes label @which, which must be below labels->count. -ENOMEM. */
int ml_label_set(struct tensor *out, int64_t row, const struct ml_labels *labels, size_t which);

/* The numbers are those of TreeEnsemble (version 5), which has them as an integer. */
enum ml_post { ML_POST_NONE, ML_POST_SOFTMAX, ML_POST_LOGISTIC, ML_POST_SOFTMAX_ZERO, ML_POST_PROBIT };

/* Attribute post_transform in its string form. -EINVAL for a name that does not exist; ml_post_read() says so in the call's
 * error. */
#define ML_POST_RULE "none of NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO and PROBIT"
int ml_post_find(const struct op_node *node, enum ml_post *post);
int ml_post_read(struct op_call *call, enum ml_post *post);

/* Transforms the @n scores of one row in place. */
void ml_post_apply(enum ml_post post, int64_t n, float *scores);

/*
 * The single score of a two-class model as the scores of both: the other class gets 1 - @score with @complement, else
 * -@score; then the transform.
 */
void ml_post_binary(enum ml_post post, bool complement, float score, float *two);

/* Index of the largest of @n >= 1 scores, the first of equal ones. */
size_t ml_largest(int64_t n, const float *scores);

#endif
