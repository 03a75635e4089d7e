// SPDX-License-Identifier: MIT
/*
 * Masks, layouts and outputs of com.microsoft's attentions: see ms_heads.h.
 */
#include "runtime/cpu/ms_heads.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"

void heads_finish(struct heads *h)
{
	tensor_finish(&h->bias);
	tensor_finish(&h->joined[0]);
	tensor_finish(&h->joined[1]);
}

int heads_check_floats(struct op_call *call, size_t from, size_t to)
{
	for (size_t i = from; i < to && i < call->node->num_inputs; i++)
		if (call->inputs[i] && call->inputs[i]->dtype != DTYPE_F32)
			return op_fail(call, -EINVAL, "%s: input %zu is %s, expected float32, float16 or bfloat16",
				       call->node->op_type, i, dtype_name(call->inputs[i]->dtype));
	return 0;
}

bool heads_have_dims(const struct tensor *t, int rank, const int64_t *dims)
{
	for (int i = 0; i < rank && t->rank == rank; i++)
		if (t->dims[i] != dims[i])
			return false;
	return t->rank == rank;
}

int heads_read_scale(struct op_call *call, struct sdpa *s)
{
	float scale = op_attr_float(call->node, "scale", 0);

	s->dtype = DTYPE_F32;
	s->left = s->right = -1;
	s->scale = scale != 0 ? (double)scale : 1 / sqrt((double)s->head_size);
	return 0;
}

/* ---- masks ---- */

/* Whether key @t counts for query @s of batch element @b, by the forms of the mask that check_mask() admits. */
static bool mask_allows(const struct tensor *mask, const struct sdpa *a, int64_t b, int64_t s, int64_t t)
{
	const int32_t *m = mask->data;

	if (mask->rank == 3)
		return m[(b * a->queries + s) * a->keys + t] > 0;
	if (mask->rank == 2)
		return m[b * a->keys + t] > 0;
	/* Ends, then starts if there are twice as many. */
	return t < m[b] && (mask->dims[0] == a->batch || t >= m[a->batch + b]);
}

static int check_mask(struct op_call *call, size_t index, const struct sdpa *a)
{
	const struct tensor *m = op_input(call, index);
	int64_t full[3] = {a->batch, a->queries, a->keys}, flat[2] = {a->batch, a->keys};

	if (!m)
		return 0;
	if (m->dtype != DTYPE_S32)
		return op_fail(call, -EINVAL, "%s: the mask (input %zu) is %s, expected int32", call->node->op_type,
			       index, dtype_name(m->dtype));
	if (heads_have_dims(m, 3, full) || heads_have_dims(m, 2, flat) ||
	    (m->rank == 1 && (m->dims[0] == a->batch || m->dims[0] == 2 * a->batch)))
		return 0;
	if (m->rank == 4 || (m->rank == 1 && m->dims[0] == 3 * a->batch + 2))
		return op_fail(call, -ENOTSUP, "%s: a mask (input %zu) of the form that only CUDA kernels take",
			       call->node->op_type, index);
	return op_fail(call, -EINVAL,
		       "%s: the mask (input %zu) fits neither [%lld, %lld, %lld], [%lld, %lld] nor [%lld]",
		       call->node->op_type, index, (long long)full[0], (long long)full[1], (long long)full[2],
		       (long long)flat[0], (long long)flat[1], (long long)flat[0]);
}

static int check_attention_bias(struct op_call *call, size_t index, const struct sdpa *a)
{
	const struct tensor *t = op_input(call, index);

	if (!t || (t->rank == 4 && (t->dims[0] == 1 || t->dims[0] == a->batch) &&
		   (t->dims[1] == 1 || t->dims[1] == a->heads) && t->dims[2] == a->queries && t->dims[3] == a->keys))
		return 0;
	return op_fail(call, -EINVAL, "%s: attention_bias (input %zu) does not broadcast to [%lld, %lld, %lld, %lld]",
		       call->node->op_type, index, (long long)a->batch, (long long)a->heads, (long long)a->queries,
		       (long long)a->keys);
}

int heads_make_bias(struct op_call *call, struct heads *h, size_t mask_index, size_t bias_index)
{
	struct sdpa *a = &h->sdpa;
	const struct tensor *mask = op_input(call, mask_index), *bias = op_input(call, bias_index);
	float filter = op_attr_float(call->node, "mask_filter_value", -10000.0f);
	int64_t dims[4] = {mask ? a->batch : 1, 1, a->queries, a->keys}, at = 0;
	int err = check_mask(call, mask_index, a);

	if (!err)
		err = check_attention_bias(call, bias_index, a);
	if (err || (!mask && !bias))
		return err;
	if (bias) {
		dims[0] = mask || bias->dims[0] > 1 ? a->batch : 1;
		dims[1] = bias->dims[1];
	}
	err = tensor_init(&h->bias, DTYPE_F32, 4, dims);
	if (err)
		return err;
	for (int64_t b = 0; b < dims[0]; b++)
		for (int64_t n = 0; n < dims[1]; n++)
			for (int64_t s = 0; s < a->queries; s++)
				for (int64_t t = 0; t < a->keys; t++, at++) {
					int64_t from =
						bias ? (((bias->dims[0] > 1 ? b : 0) * dims[1] + n) * a->queries + s) *
									a->keys +
								t
						     : 0;
					float value = bias ? ((const float *)bias->data)[from] : 0;

					if (mask && !mask_allows(mask, a, b, s, t))
						value += filter;
					((float *)h->bias.data)[at] = value;
				}
	a->bias = h->bias.data;
	a->bias_keys = a->keys;
	a->bias_strides[3] = 1;
	a->bias_strides[2] = a->keys;
	a->bias_strides[1] = dims[1] > 1 ? a->queries * a->keys : 0;
	a->bias_strides[0] = dims[0] > 1 ? dims[1] * a->queries * a->keys : 0;
	return 0;
}

/* ---- the past ---- */

struct sdpa_rows heads_in_planes(const void *data, int64_t heads, int64_t rows, int64_t size)
{
	return (struct sdpa_rows){(void *)data, heads * rows * size, rows * size, size};
}

void heads_copy_rows(const struct sdpa *a, int64_t count, int64_t size, const struct sdpa_rows *from, int64_t first,
		     const struct sdpa_rows *to, int64_t at, int64_t b)
{
	for (int64_t h = 0; h < a->kv_heads; h++)
		for (int64_t i = 0; i < count; i++)
			memcpy((float *)to->data + b * to->batch + h * to->head + (at + i) * to->row,
			       (const float *)from->data + b * from->batch + h * from->head + (first + i) * from->row,
			       (size_t)size * sizeof(float));
}

int heads_attend(struct op_call *call, struct heads *h, size_t scores)
{
	struct sdpa *a = &h->sdpa;
	int64_t dims[3] = {a->batch, a->queries, a->heads * a->value_size};
	int64_t score_dims[4] = {a->batch, a->heads, a->queries, a->keys};
	struct tensor unread = {0};
	int err = op_output(call, 0, DTYPE_F32, 3, dims);

	if (!err && scores != SIZE_MAX)
		err = op_output(call, scores, DTYPE_F32, 4, score_dims);
	if (!err && !op_wanted(call, 0))
		err = tensor_init(&unread, DTYPE_F32, 3, dims);
	if (err)
		return err;
	a->y = (struct sdpa_rows){op_wanted(call, 0) ? call->outputs[0]->data : unread.data,
				  a->queries * a->heads * a->value_size, a->value_size, a->heads * a->value_size};
	if (scores != SIZE_MAX && op_wanted(call, scores))
		a->scores = call->outputs[scores]->data;
	err = sdpa_run(a, call->pool);
	tensor_finish(&unread);
	return err ? op_fail(call, err, "%s: no memory for a block of scores", call->node->op_type) : 0;
}

struct sdpa_rows heads_side_by_side(const struct tensor *t, int64_t size)
{
	return (struct sdpa_rows){t->data, t->dims[1] * t->dims[2], size, t->dims[2]};
}
