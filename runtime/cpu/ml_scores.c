// SPDX-License-Identifier: MIT
/*
 * Rows, labels and score transforms of ai.onnx.ml: see ml_scores.h.
 */
#include "runtime/cpu/ml_scores.h"

#include <errno.h>
#include <float.h>
#include <math.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"

int ml_check_number(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];

	if (x->dtype != DTYPE_F32 && x->dtype != DTYPE_F64 && x->dtype != DTYPE_S32 && x->dtype != DTYPE_S64)
		return op_fail(call, -EINVAL, "%s: input 0 is %s, allowed are float32, float64, int32 and int64",
			       call->node->op_type, dtype_name(x->dtype));
	if (x->rank < 1)
		return op_fail(call, -EINVAL, "%s: input 0 is a scalar", call->node->op_type);
	return 0;
}

int ml_rows_read(struct op_call *call, struct ml_rows *rows)
{
	const struct tensor *x = call->inputs[0];
	int err = ml_check_number(call);

	*rows = (struct ml_rows){0};
	if (err)
		return err;
	if (x->rank > 2)
		return op_fail(call, -EINVAL, "%s: input 0 has rank %d, expected [N, C] or [C]", call->node->op_type,
			       x->rank);
	rows->rows = x->rank == 2 ? x->dims[0] : 1;
	rows->features = x->dims[x->rank - 1];
	err = tensor_cast(x, DTYPE_F32, &rows->x);
	return err ? op_fail(call, err, "%s: input 0 does not convert to float32", call->node->op_type) : 0;
}

/* ---- labels ---- */

int ml_labels_read(struct op_call *call, const char *ints_name, const char *strings_name, struct ml_labels *labels)
{
	const int64_t *ints;
	const struct tensor_string *strings;
	size_t num_ints = op_attr_ints(call->node, ints_name, &ints);
	size_t num_strings = op_attr_strings(call->node, strings_name, &strings);

	if (!num_ints == !num_strings)
		return op_fail(call, -EINVAL, "%s: %s of the attributes %s and %s must have labels, %s",
			       call->node->op_type, "one", ints_name, strings_name,
			       num_ints ? "both have" : "none has");
	labels->ints = ints;
	labels->strings = strings;
	labels->count = num_ints + num_strings;
	return 0;
}

int ml_labels_output(struct op_call *call, size_t index, const struct ml_labels *labels, int64_t count)
{
	return op_output(call, index, labels->strings ? DTYPE_STRING : DTYPE_S64, 1, &count);
}

int ml_label_set(struct tensor *out, int64_t row, const struct ml_labels *labels, size_t which)
{
	if (labels->strings)
		return tensor_string_set((struct tensor_string *)out->data + row, labels->strings[which].data,
					 labels->strings[which].size);
	((int64_t *)out->data)[row] = labels->ints[which];
	return 0;
}

/* ---- transforms ---- */

int ml_post_find(const struct op_node *node, enum ml_post *post)
{
	static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (op_attr_is(node, "post_transform", "NONE", names[i])) {
			*post = (enum ml_post)i;
			return 0;
		}
	return -EINVAL;
}

int ml_post_read(struct op_call *call, enum ml_post *post)
{
	if (!ml_post_find(call->node, post))
		return 0;
	return op_fail(call, -EINVAL, "%s: attribute post_transform is " ML_POST_RULE, call->node->op_type);
}

static float logistic(float x)
{
	float v = 1 / (1 + expf(-fabsf(x)));

	return x < 0 ? 1 - v : v;
}

/*
 * The inverse of the normal distribution through Winitzki's approximation of the inverse error function (S. Winitzki, "A handy
 * approximation for the error function and its inverse", 2008) with a = 0.147, which is what ONNX's reference has.
 */
static float probit(float p)
{
	float x = 2 * p - 1, logarithm = logf((1 - x) * (1 + x));
	float v = 2 / (3.14159f * 0.147f) + 0.5f * logarithm;
	float erf_inverse = sqrtf(-v + sqrtf(v * v - logarithm / 0.147f));

	return 1.41421356f * (x < 0 ? -erf_inverse : erf_inverse);
}

/* @keep_zeros: scores that are zero take no part (SOFTMAX_ZERO). */
static void softmax(int64_t n, float *scores, bool keep_zeros)
{
	float max = -FLT_MAX, sum = 0;

	for (int64_t i = 0; i < n; i++)
		max = scores[i] > max ? scores[i] : max;
	for (int64_t i = 0; i < n; i++) {
		if (keep_zeros && fabsf(scores[i]) <= 1e-7f) {
			scores[i] *= expf(-max);
			continue;
		}
		scores[i] = expf(scores[i] - max);
		sum += scores[i];
	}
	/* All zeros stay zeros. */
	for (int64_t i = 0; i < n && sum != 0; i++)
		scores[i] /= sum;
}

void ml_post_apply(enum ml_post post, int64_t n, float *scores)
{
	switch (post) {
	case ML_POST_NONE:
		break;
	case ML_POST_SOFTMAX:
	case ML_POST_SOFTMAX_ZERO:
		softmax(n, scores, post == ML_POST_SOFTMAX_ZERO);
		break;
	case ML_POST_LOGISTIC:
		for (int64_t i = 0; i < n; i++)
			scores[i] = logistic(scores[i]);
		break;
	case ML_POST_PROBIT:
		for (int64_t i = 0; i < n; i++)
			scores[i] = probit(scores[i]);
		break;
	}
}

void ml_post_binary(enum ml_post post, bool complement, float score, float *two)
{
	two[0] = complement ? 1 - score : -score;
	two[1] = score;
	ml_post_apply(post, 2, two);
}

size_t ml_largest(int64_t n, const float *scores)
{
	size_t best = 0;

	for (size_t i = 1; i < (size_t)n; i++)
		if (scores[i] > scores[best])
			best = i;
	return best;
}
