// SPDX-License-Identifier: MIT
/*
 * com.microsoft Attention, QAttention, MultiHeadAttention, GroupQueryAttention and RotaryEmbedding: the forms of attention
 * that ONNX Runtime's transformer optimizer leaves in models. Nodes and layouts are read here, sdpa.h does the arithmetic.
 *
 * Shapes as ONNX Runtime's documentation (ContribOperators.md) has them: B batch, S queries, L new keys, P past keys,
 * T = P + L keys, N heads, H head size.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/nested.h"
#include "runtime/cpu/sdpa.h"

/*
 * struct heads - one attention
 * @k, @v:  the new rows; joined with the past where there is one
 * @bias:   mask and attention bias as one addend, empty when there is neither
 * @joined: keys and values with the past before them, when no output takes them
 */
struct heads {
	struct sdpa sdpa;
	int64_t new_keys, past_keys;
	struct sdpa_rows k, v;
	struct tensor bias, joined[2];
};

static void finish_heads(struct heads *h)
{
	tensor_finish(&h->bias);
	tensor_finish(&h->joined[0]);
	tensor_finish(&h->joined[1]);
}

static int check_floats(struct op_call *call, size_t from, size_t to)
{
	for (size_t i = from; i < to && i < call->node->num_inputs; i++)
		if (call->inputs[i] && call->inputs[i]->dtype != DTYPE_F32)
			return op_fail(call, -EINVAL, "%s: input %zu is %s, expected float32, float16 or bfloat16",
				       call->node->op_type, i, dtype_name(call->inputs[i]->dtype));
	return 0;
}

static bool has_dims(const struct tensor *t, int rank, const int64_t *dims)
{
	for (int i = 0; i < rank && t->rank == rank; i++)
		if (t->dims[i] != dims[i])
			return false;
	return t->rank == rank;
}

static int read_scale(struct op_call *call, struct sdpa *s)
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
	if (has_dims(m, 3, full) || has_dims(m, 2, flat) ||
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

/*
 * What is added to the scores: @mask's filter value where it hides, and the attention bias. A filtered key is not gone: where
 * all are filtered, the row is the softmax of its scores as if none were.
 */
static int make_bias(struct op_call *call, struct heads *h, size_t mask_index, size_t bias_index)
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

static struct sdpa_rows plane_rows(const void *data, int64_t heads, int64_t rows, int64_t size)
{
	return (struct sdpa_rows){(void *)data, heads * rows * size, rows * size, size};
}

/* @count rows of every head from row @first of @from to row @at of @to. */
static void copy_rows(const struct sdpa *a, int64_t count, int64_t size, const struct sdpa_rows *from, int64_t first,
		      const struct sdpa_rows *to, int64_t at, int64_t b)
{
	for (int64_t h = 0; h < a->kv_heads; h++)
		for (int64_t i = 0; i < count; i++)
			memcpy((float *)to->data + b * to->batch + h * to->head + (at + i) * to->row,
			       (const float *)from->data + b * from->batch + h * from->head + (first + i) * from->row,
			       (size_t)size * sizeof(float));
}

/*
 * Past rows [B, N, P, size] and the new ones into @to, planes of T rows; *rows is what sdpa reads. Without a past and
 * without @to, the new rows are read where they are.
 */
static int join_past(struct heads *h, const float *past, const struct sdpa_rows *new_rows, int64_t size, float *to,
		     struct tensor *held, struct sdpa_rows *rows)
{
	struct sdpa *a = &h->sdpa;
	struct sdpa_rows old = plane_rows(past, a->kv_heads, h->past_keys, size);
	int64_t dims[4] = {a->batch, a->kv_heads, a->keys, size};
	int err;

	*rows = *new_rows;
	if (!past && !to)
		return 0;
	if (!to) {
		err = tensor_init(held, DTYPE_F32, 4, dims);
		if (err)
			return err;
		to = held->data;
	}
	*rows = plane_rows(to, a->kv_heads, a->keys, size);
	for (int64_t b = 0; b < a->batch; b++) {
		if (past)
			copy_rows(a, h->past_keys, size, &old, 0, rows, 0, b);
		copy_rows(a, h->new_keys, size, new_rows, 0, rows, h->past_keys, b);
	}
	return 0;
}

/* Output 0 [B, S, N * value size], and the scores at output @scores (SIZE_MAX: none). */
static int attend(struct op_call *call, struct heads *h, size_t scores)
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

/* ---- Attention and QAttention: the projection is part of the operator ---- */

/* Widths of Q, K and V in the projection's columns, which are their sum. */
static int read_widths(struct op_call *call, int64_t columns, int64_t *widths)
{
	const int64_t *sizes;
	size_t count = op_attr_ints(call->node, "qkv_hidden_sizes", &sizes);
	int64_t heads = op_attr_int(call->node, "num_heads", 0);

	for (int i = 0; i < 3; i++)
		widths[i] = count == 3 ? sizes[i] : columns / 3;
	if (heads < 1 || (count && count != 3) || widths[0] != widths[1] || widths[0] < 1 || widths[2] < 1 ||
	    widths[0] % heads || widths[2] % heads || widths[0] > columns || widths[2] > columns ||
	    2 * widths[0] + widths[2] != columns)
		return op_fail(call, -EINVAL, "%s: %lld columns of weights for num_heads %lld and its qkv_hidden_sizes",
			       call->node->op_type, (long long)columns, (long long)heads);
	return 0;
}

/*
 * @qkv: the projection, rows of Q, K and V behind each other. Past and present (output 1) are [2, B, N, P or T, H].
 */
static int attend_projected(struct op_call *call, const struct tensor *x, const struct tensor *qkv, size_t mask_index,
			    size_t past_index, size_t bias_index)
{
	const struct tensor *past = op_input(call, past_index);
	struct heads h = {0};
	struct sdpa *a = &h.sdpa;
	int64_t columns = qkv->dims[qkv->rank - 1], widths[3], present[5], plane;
	const float *data = qkv->data, *old = NULL;
	float *new = NULL;
	int err = read_widths(call, columns, widths);

	if (err)
		return err;
	a->batch = x->dims[0];
	a->queries = h.new_keys = x->dims[1];
	a->heads = a->kv_heads = op_attr_int(call->node, "num_heads", 0);
	a->head_size = widths[0] / a->heads;
	a->value_size = widths[2] / a->heads;
	if (op_attr_int(call->node, "do_rotary", 0) || op_attr_int(call->node, "past_present_share_buffer", 0))
		return op_fail(call, -ENOTSUP, "%s: do_rotary and past_present_share_buffer are not implemented",
			       call->node->op_type);
	if ((past || op_wanted(call, 1)) && a->head_size != a->value_size)
		return op_fail(call, -EINVAL, "%s: with a past or present, K and V must have the same size",
			       call->node->op_type);
	memcpy(present, (int64_t[]){2, a->batch, a->heads, past && past->rank == 5 ? past->dims[3] : 0, a->head_size},
	       sizeof(present));
	if (past && !has_dims(past, 5, present))
		return op_fail(call, -EINVAL, "%s: past (input %zu) is not [2, %lld, %lld, P, %lld]",
			       call->node->op_type, past_index, (long long)a->batch, (long long)a->heads,
			       (long long)a->head_size);
	h.past_keys = present[3];
	a->keys = present[3] += h.new_keys;
	a->causal = op_attr_int(call->node, "unidirectional", 0) != 0;
	read_scale(call, a);
	a->q = (struct sdpa_rows){(void *)data, a->queries * columns, a->head_size, columns};
	h.k = (struct sdpa_rows){(void *)(data + widths[0]), a->queries * columns, a->head_size, columns};
	h.v = (struct sdpa_rows){(void *)(data + 2 * widths[0]), a->queries * columns, a->value_size, columns};
	err = op_output(call, 1, DTYPE_F32, 5, present);
	if (!err && op_wanted(call, 1))
		new = call->outputs[1]->data;
	if (past)
		old = past->data;
	plane = a->batch * a->heads * a->head_size;
	if (!err)
		err = join_past(&h, old, &h.k, a->head_size, new, &h.joined[0], &a->k);
	if (!err)
		err = join_past(&h, old ? old + plane * h.past_keys : NULL, &h.v, a->value_size,
				new ? new + plane * a->keys : NULL, &h.joined[1], &a->v);
	if (!err)
		err = make_bias(call, &h, mask_index, bias_index);
	if (!err) {
		int64_t *offset = calloc((size_t)a->batch + 1, sizeof(*offset));

		for (int64_t b = 0; offset && b < a->batch; b++)
			offset[b] = h.past_keys;
		a->offset = offset;
		err = offset ? attend(call, &h, SIZE_MAX) : -ENOMEM;
		free(offset);
	}
	finish_heads(&h);
	return err;
}

/* input [B, S, D], weights [D, columns], bias?, mask?, past?, attention_bias? */
static int run_attention(struct op_call *call)
{
	const struct tensor *x = call->inputs[0], *w = call->inputs[1], *inputs[3];
	struct tensor rows, qkv = {0};
	int64_t dims[2];
	int err = check_floats(call, 0, 3);

	if (err)
		return err;
	if (x->rank != 3 || w->rank != 2 || w->dims[0] != x->dims[2])
		return op_fail(call, -EINVAL, "Attention: inputs 0 and 1 are not [B, S, D] and [D, columns]");
	dims[0] = x->dims[0] * x->dims[1];
	dims[1] = x->dims[2];
	rows = tensor_reshaped(x, 2, dims);
	inputs[0] = &rows;
	inputs[1] = w;
	inputs[2] = op_input(call, 2);
	err = op_nested_simple(call, "Gemm", 13, inputs[2] ? 3 : 2, inputs, &qkv);
	if (!err)
		err = attend_projected(call, x, &qkv, 3, 4, 5);
	tensor_finish(&qkv);
	return err;
}

/* input, weight, bias, input_scale, weight_scale, mask?, input_zero_point?, weight_zero_point?, past? */
static int run_qattention(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	const struct tensor *inputs[7] = {x,
					  call->inputs[1],
					  call->inputs[3],
					  call->inputs[4],
					  op_input(call, 6),
					  op_input(call, 7),
					  call->inputs[2]};
	struct tensor qkv = {0}, *out = &qkv;
	struct nested product = {.domain = MICROSOFT,
				 .op_type = "MatMulIntegerToFloat",
				 .opset = 1,
				 .num_inputs = 7,
				 .inputs = inputs,
				 .num_outputs = 1,
				 .outputs = &out};
	int err;

	if (x->rank != 3)
		return op_fail(call, -EINVAL, "QAttention: input 0 is not [B, S, D]");
	err = op_nested(call, &product);
	if (!err)
		err = attend_projected(call, x, &qkv, 5, 8, SIZE_MAX);
	tensor_finish(&qkv);
	return err;
}

/* ---- MultiHeadAttention ---- */

/*
 * struct operand - query, key or value of MultiHeadAttention
 * @biased: a copy with the bias added, empty without one
 */
struct operand {
	struct tensor biased;
	struct sdpa_rows rows;
};

/* Input @index [B, rows, N * size] plus @width numbers of the bias from @first on. */
static int add_bias(struct op_call *call, size_t index, int64_t first, int64_t width, struct operand *o)
{
	const struct tensor *t = call->inputs[index], *bias = op_input(call, 3), *inputs[2];
	struct tensor part;
	int err;

	if (!bias)
		return 0;
	if (bias->rank != 1 || bias->dims[0] < first + width)
		return op_fail(call, -EINVAL, "MultiHeadAttention: the bias (input 3) is shorter than Q, K and V");
	part = tensor_reshaped(bias, 1, &width);
	part.data = (float *)bias->data + first;
	inputs[0] = t;
	inputs[1] = &part;
	err = op_nested_simple(call, "Add", 14, 2, inputs, &o->biased);
	if (!err)
		o->rows.data = o->biased.data;
	return err;
}

static struct sdpa_rows side_by_side(const struct tensor *t, int64_t size)
{
	return (struct sdpa_rows){t->data, t->dims[1] * t->dims[2], size, t->dims[2]};
}

/* Heads of @parts operands each, interleaved: [B, rows, N, parts, H]. */
static struct sdpa_rows packed_rows(const struct tensor *t, int64_t part)
{
	int64_t parts = t->dims[3], size = t->dims[4], row = t->dims[2] * parts * size;

	return (struct sdpa_rows){(float *)t->data + part * size, t->dims[1] * row, parts * size, row};
}

/* Query, key and value in all their layouts; sizes into h->sdpa. */
static int read_operands(struct op_call *call, struct heads *h, struct operand *q, struct operand *k, struct operand *v)
{
	const struct tensor *query = call->inputs[0], *key = op_input(call, 1), *value = op_input(call, 2);
	struct sdpa *a = &h->sdpa;
	int64_t hidden;
	int err = 0;

	a->heads = a->kv_heads = op_attr_int(call->node, "num_heads", 0);
	if (a->heads < 1 || query->rank < 3 || query->dims[2] % a->heads)
		return op_fail(call, -EINVAL, "MultiHeadAttention: attribute num_heads is %lld, input 0 has rank %d",
			       (long long)a->heads, query->rank);
	a->batch = query->dims[0];
	a->queries = query->dims[1];
	if (query->rank == 5) {
		if (query->dims[2] != a->heads || query->dims[3] != 3 || key || value || op_input(call, 3))
			return op_fail(
				call, -EINVAL,
				"MultiHeadAttention: packed QKV must be [B, S, N, 3, H], without key, value and bias");
		a->head_size = a->value_size = query->dims[4];
		h->new_keys = a->queries;
		q->rows = packed_rows(query, 0);
		k->rows = packed_rows(query, 1);
		v->rows = packed_rows(query, 2);
		return 0;
	}
	if (query->rank != 3 || !key)
		return op_fail(call, -EINVAL, "MultiHeadAttention: the query is not [B, S, D], or there is no key");
	hidden = query->dims[2];
	a->head_size = hidden / a->heads;
	q->rows = side_by_side(query, a->head_size);
	err = add_bias(call, 0, 0, hidden, q);
	if (err)
		return err;
	if (key->rank == 5 && key->dims[0] == a->batch && key->dims[2] == a->heads && key->dims[3] == 2 &&
	    key->dims[4] == a->head_size && !value && !op_input(call, 3)) {
		a->value_size = a->head_size;
		h->new_keys = key->dims[1];
		k->rows = packed_rows(key, 0);
		v->rows = packed_rows(key, 1);
		return 0;
	}
	if (!value || key->rank != value->rank || key->dims[0] != a->batch || value->dims[0] != a->batch)
		return op_fail(call, -EINVAL,
			       "MultiHeadAttention: key and value (inputs 1 and 2) do not fit the query");
	if (key->rank == 4 && key->dims[1] == a->heads && value->dims[1] == a->heads && key->dims[3] == a->head_size &&
	    key->dims[2] == value->dims[2]) {
		a->value_size = value->dims[3];
		h->new_keys = key->dims[2];
		k->rows = plane_rows(key->data, a->heads, h->new_keys, a->head_size);
		v->rows = plane_rows(value->data, a->heads, h->new_keys, a->value_size);
		return 0;
	}
	if (key->rank != 3 || key->dims[2] != hidden || key->dims[1] != value->dims[1] || value->dims[2] % a->heads)
		return op_fail(call, -EINVAL,
			       "MultiHeadAttention: key and value (inputs 1 and 2) do not fit the query");
	h->new_keys = key->dims[1];
	a->value_size = value->dims[2] / a->heads;
	k->rows = side_by_side(key, a->head_size);
	v->rows = side_by_side(value, a->value_size);
	err = add_bias(call, 1, hidden, hidden, k);
	return err ? err : add_bias(call, 2, 2 * hidden, value->dims[2], v);
}

/* Inputs 6 and 7 before the new rows; outputs 1 and 2 get both. */
static int join_multi_head(struct op_call *call, struct heads *h)
{
	const struct tensor *past[2] = {op_input(call, 6), op_input(call, 7)};
	struct sdpa *a = &h->sdpa;
	int err = 0;

	if (!past[0] != !past[1])
		return op_fail(call, -EINVAL, "%s: past_key and past_value come together", call->node->op_type);
	h->past_keys = past[0] && past[0]->rank == 4 ? past[0]->dims[2] : 0;
	a->keys = h->past_keys + h->new_keys;
	for (size_t i = 0; i < 2 && !err; i++) {
		int64_t size = i ? a->value_size : a->head_size;
		int64_t dims[4] = {a->batch, a->heads, h->past_keys, size};

		if (past[i] && !has_dims(past[i], 4, dims))
			return op_fail(call, -EINVAL, "%s: input %zu is not [%lld, %lld, P, %lld]", call->node->op_type,
				       6 + i, (long long)a->batch, (long long)a->heads, (long long)size);
		dims[2] = a->keys;
		err = op_output(call, 1 + i, DTYPE_F32, 4, dims);
		if (!err)
			err = join_past(h, past[i] ? past[i]->data : NULL, i ? &h->v : &h->k, size,
					op_wanted(call, 1 + i) ? call->outputs[1 + i]->data : NULL, &h->joined[i],
					i ? &a->v : &a->k);
	}
	return err;
}

/* query, key?, value?, bias?, key_padding_mask?, attention_bias?, past_key?, past_value?, past_sequence_length?, … */
static int run_multi_head_attention(struct op_call *call)
{
	struct heads h = {0};
	struct sdpa *a = &h.sdpa;
	struct operand q = {0}, k = {0}, v = {0};
	int64_t *offset = NULL;
	int err = check_floats(call, 0, 4);

	if (!err && (op_input(call, 8) || op_input(call, 9)))
		err = op_fail(call, -ENOTSUP, "MultiHeadAttention: a shared cache (inputs 8 and 9) is not implemented");
	if (!err)
		err = read_operands(call, &h, &q, &k, &v);
	if (!err) {
		h.k = k.rows;
		h.v = v.rows;
		a->q = q.rows;
		a->causal = op_attr_int(call->node, "unidirectional", 0) != 0;
		a->stage = SDPA_BIASED;
		read_scale(call, a);
		err = join_multi_head(call, &h);
	}
	if (!err)
		err = make_bias(call, &h, 4, 5);
	if (!err) {
		offset = calloc((size_t)a->batch + 1, sizeof(*offset));
		for (int64_t b = 0; offset && b < a->batch; b++)
			offset[b] = h.past_keys;
		a->offset = offset;
		err = offset ? attend(call, &h, 3) : -ENOMEM;
	}
	free(offset);
	finish_heads(&h);
	tensor_finish(&q.biased);
	tensor_finish(&k.biased);
	tensor_finish(&v.biased);
	return err;
}

/* ---- RotaryEmbedding ---- */

/*
 * ONNX's RotaryEmbedding on @x ([B, S, heads * size] or [B, heads, S, size]), with positions that start at start[b], or are
 * @ids [B, S]. The tables are [positions, dim / 2].
 */
static int rotate(struct op_call *call, const struct tensor *x, int64_t heads, int64_t dim, bool interleaved,
		  const struct tensor *cosine, const struct tensor *sine, const int64_t *start,
		  const struct tensor *ids, struct tensor *y)
{
	struct attr attrs[] = {attr_int("num_heads", heads), attr_int("rotary_embedding_dim", dim),
			       attr_int("interleaved", interleaved)};
	struct tensor positions = {0};
	const struct tensor *inputs[4] = {x, cosine, sine, ids ? ids : &positions};
	struct nested nested = {.domain = "",
				.op_type = "RotaryEmbedding",
				.opset = 23,
				.num_attrs = 3,
				.attrs = attrs,
				.num_inputs = 4,
				.inputs = inputs,
				.num_outputs = 1,
				.outputs = &y};
	int64_t rows = x->dims[x->rank - 2], dims[2] = {x->dims[0], rows};
	int err = ids ? 0 : tensor_init(&positions, DTYPE_S64, 2, dims);

	for (int64_t b = 0; !err && !ids && b < dims[0]; b++)
		for (int64_t s = 0; s < rows; s++)
			((int64_t *)positions.data)[b * rows + s] = start[b] + s;
	if (!err)
		err = op_nested(call, &nested);
	tensor_finish(&positions);
	return err;
}

/* input, position_ids ([1]: where the sequence starts, or [B, S]), cos_cache, sin_cache */
static int run_rotary_embedding(struct op_call *call)
{
	const struct tensor *x = call->inputs[0], *ids = call->inputs[1], *cosine = call->inputs[2];
	int64_t heads = op_attr_int(call->node, "num_heads", 0),
		dim = op_attr_int(call->node, "rotary_embedding_dim", 0);
	int64_t *start;
	int err;

	if (op_attr_float(call->node, "scale", 1) != 1 || op_attr_int(call->node, "is_packed_batching", 0))
		return op_fail(call, -ENOTSUP, "RotaryEmbedding: scale and is_packed_batching are not implemented");
	if ((x->rank != 3 && x->rank != 4) || cosine->rank != 2 || ids->dtype != DTYPE_S64)
		return op_fail(
			call, -EINVAL,
			"RotaryEmbedding: inputs 0 to 2 are not [B, S, D] or [B, N, S, H], int64, [positions, H / 2]");
	/* Without a head size of its own, the tables give it. */
	if (x->rank == 3 && !heads && cosine->dims[1] > 0)
		heads = x->dims[2] / (2 * cosine->dims[1]);
	if (x->rank == 4)
		heads = x->dims[1];
	if (!op_wanted(call, 0))
		return 0;
	if (ids->rank == 2)
		return rotate(call, x, heads, dim, op_attr_int(call->node, "interleaved", 0) != 0, cosine,
			      call->inputs[3], NULL, ids, call->outputs[0]);
	if (tensor_count(ids) != 1)
		return op_fail(call, -EINVAL, "RotaryEmbedding: position_ids (input 1) is neither [1] nor [B, S]");
	start = calloc((size_t)x->dims[0] + 1, sizeof(*start));
	if (!start)
		return -ENOMEM;
	for (int64_t b = 0; b < x->dims[0]; b++)
		start[b] = tensor_get_s64(ids, 0);
	err = rotate(call, x, heads, dim, op_attr_int(call->node, "interleaved", 0) != 0, cosine, call->inputs[3],
		     start, NULL, call->outputs[0]);
	free(start);
	return err;
}

/* ---- GroupQueryAttention ---- */

/*
 * struct group_query - a call
 * @past:    rows of each batch element that the cache holds already
 * @valid:   rows with the new ones
 * @prompt:  the first step: nothing is cached, whatever the cache's memory holds
 * @rotated: Q and K with their positions, empty without do_rotary
 * @unpacked: Q, K and V out of a packed query
 */
struct group_query {
	struct heads h;
	int64_t *past, *valid;
	bool prompt;
	struct tensor rotated[2], unpacked[3];
	const struct tensor *q, *k, *v;
	int64_t buffer; /* rows of the present */
};

static void finish_group_query(struct group_query *g)
{
	finish_heads(&g->h);
	free(g->past);
	free(g->valid);
	for (int i = 0; i < 2; i++)
		tensor_finish(&g->rotated[i]);
	for (int i = 0; i < 3; i++)
		tensor_finish(&g->unpacked[i]);
}

/* Columns [first, first + width) of a packed query. */
static int take_columns(const struct tensor *x, int64_t first, int64_t width, struct tensor *out)
{
	int64_t dims[3] = {x->dims[0], x->dims[1], width}, rows = x->dims[0] * x->dims[1];
	int err = tensor_init(out, DTYPE_F32, 3, dims);

	for (int64_t r = 0; r < rows && !err; r++)
		memcpy((float *)out->data + r * width, (const float *)x->data + r * x->dims[2] + first,
		       (size_t)width * sizeof(float));
	return err;
}

static int read_group_operands(struct op_call *call, struct group_query *g)
{
	const struct tensor *q = call->inputs[0];
	struct sdpa *a = &g->h.sdpa;
	int err = 0;

	a->heads = op_attr_int(call->node, "num_heads", 0);
	a->kv_heads = op_attr_int(call->node, "kv_num_heads", 0);
	if (q->rank != 3 || a->heads < 1 || a->kv_heads < 1 || a->heads % a->kv_heads)
		return op_fail(call, -EINVAL,
			       "GroupQueryAttention: num_heads %lld, kv_num_heads %lld, a query of rank %d",
			       (long long)a->heads, (long long)a->kv_heads, q->rank);
	a->batch = q->dims[0];
	a->queries = q->dims[1];
	g->q = q;
	g->k = op_input(call, 1);
	g->v = op_input(call, 2);
	if (!g->k && !g->v) {
		a->head_size = q->dims[2] / (a->heads + 2 * a->kv_heads);
		for (int i = 0; i < 3 && !err; i++)
			err = take_columns(q, i ? (a->heads + (i - 1) * a->kv_heads) * a->head_size : 0,
					   (i ? a->kv_heads : a->heads) * a->head_size, &g->unpacked[i]);
		if (err)
			return err;
		g->q = &g->unpacked[0];
		g->k = &g->unpacked[1];
		g->v = &g->unpacked[2];
	}
	a->head_size = a->value_size = g->q->dims[2] / a->heads;
	if (!g->k || !g->v || g->k->rank != 3 || !tensor_same_shape(g->k, g->v) || g->k->dims[0] != a->batch ||
	    g->q->dims[2] % a->heads || g->k->dims[2] != a->kv_heads * a->head_size || g->k->dims[1] != a->queries)
		return op_fail(call, -EINVAL,
			       "GroupQueryAttention: query, key and value do not fit %lld and %lld heads",
			       (long long)a->heads, (long long)a->kv_heads);
	g->h.new_keys = a->queries;
	return 0;
}

/* seqlens_k (input 5) is each element's length less one, total_sequence_length (input 6) the longest. */
static int read_lengths(struct op_call *call, struct group_query *g)
{
	const struct tensor *lengths = op_input(call, 5), *longest = op_input(call, 6), *past = op_input(call, 3);
	struct sdpa *a = &g->h.sdpa;
	int64_t total, room = past && past->rank == 4 ? past->dims[2] : 0;

	if (!lengths || !longest || lengths->dtype != DTYPE_S32 || tensor_count(lengths) != a->batch ||
	    longest->dtype != DTYPE_S32 || tensor_count(longest) != 1)
		return op_fail(call, -EINVAL, "GroupQueryAttention: inputs 5 and 6 are not int32 [%lld] and a number",
			       (long long)a->batch);
	total = tensor_get_s64(longest, 0);
	g->prompt = total <= a->queries;
	g->buffer = total > room ? total : room;
	if (g->buffer < a->queries)
		g->buffer = a->queries;
	g->past = calloc((size_t)a->batch + 1, sizeof(*g->past));
	g->valid = calloc((size_t)a->batch + 1, sizeof(*g->valid));
	if (!g->past || !g->valid)
		return -ENOMEM;
	for (int64_t b = 0; b < a->batch; b++) {
		int64_t length = tensor_get_s64(lengths, b) + 1;

		g->past[b] = g->prompt ? 0 : length - a->queries;
		g->valid[b] = g->prompt ? a->queries : length;
		/* Shape inference has no lengths: zeros, of which the first step makes sense. */
		if (g->past[b] < 0)
			return op_fail(call, -EINVAL, "GroupQueryAttention: seqlens_k[%lld] is %lld with %lld new rows",
				       (long long)b, (long long)length - 1, (long long)a->queries);
		if (g->past[b] > room || g->valid[b] > g->buffer)
			return op_fail(call, -EINVAL, "GroupQueryAttention: %lld rows in a cache of %lld",
				       (long long)length, (long long)room);
	}
	return 0;
}

static int rotate_group(struct op_call *call, struct group_query *g)
{
	const struct tensor *cosine = op_input(call, 7), *sine = op_input(call, 8), *ids = op_input(call, 9);
	bool interleaved = op_attr_int(call->node, "rotary_interleaved", 0) != 0;
	struct sdpa *a = &g->h.sdpa;
	int64_t dim;
	int err;

	if (!op_attr_int(call->node, "do_rotary", 0))
		return 0;
	if (!cosine || !sine || cosine->rank != 2)
		return op_fail(call, -EINVAL, "GroupQueryAttention: do_rotary needs cos_cache and sin_cache");
	dim = 2 * cosine->dims[1];
	err = rotate(call, g->q, a->heads, dim, interleaved, cosine, sine, g->past, ids, &g->rotated[0]);
	if (!err)
		err = rotate(call, g->k, a->kv_heads, dim, interleaved, cosine, sine, g->past, ids, &g->rotated[1]);
	g->q = &g->rotated[0];
	g->k = &g->rotated[1];
	return err;
}

/* The cache [B, N, buffer, H]: what the past holds, the new rows behind it, zeros behind those. */
static int extend_cache(struct op_call *call, struct group_query *g, size_t i, const struct tensor *new_rows,
			struct sdpa_rows *rows)
{
	const struct tensor *past = op_input(call, 3 + i);
	struct sdpa *a = &g->h.sdpa;
	int64_t dims[4] = {a->batch, a->kv_heads, g->buffer, a->head_size}, old_dims[4];
	struct sdpa_rows old = {0}, from = side_by_side(new_rows, a->head_size);
	struct tensor *to = &g->h.joined[i];
	int err;

	memcpy(old_dims, dims, sizeof(dims));
	old_dims[2] = past && past->rank == 4 ? past->dims[2] : 0;
	if (past && (!has_dims(past, 4, old_dims) || past->dtype != DTYPE_F32))
		return op_fail(call, past->dtype != DTYPE_F32 ? -ENOTSUP : -EINVAL,
			       "GroupQueryAttention: input %zu is not [%lld, %lld, P, %lld] of the query's type", 3 + i,
			       (long long)a->batch, (long long)a->kv_heads, (long long)a->head_size);
	err = op_output(call, 1 + i, DTYPE_F32, 4, dims);
	if (err)
		return err;
	if (op_wanted(call, 1 + i))
		to = call->outputs[1 + i];
	else
		err = tensor_init(to, DTYPE_F32, 4, dims);
	if (err)
		return err;
	memset(to->data, 0, tensor_bytes(to));
	*rows = plane_rows(to->data, a->kv_heads, g->buffer, a->head_size);
	if (past)
		old = plane_rows(past->data, a->kv_heads, past->dims[2], a->head_size);
	for (int64_t b = 0; b < a->batch; b++) {
		if (past)
			copy_rows(a, g->past[b], a->head_size, &old, 0, rows, 0, b);
		copy_rows(a, g->h.new_keys, a->head_size, &from, 0, rows, g->past[b], b);
	}
	return 0;
}

static int check_group_form(struct op_call *call)
{
	const struct op_node *node = call->node;

	if (op_attr_int(node, "smooth_softmax", 0) > 0 || op_input(call, 11))
		return op_fail(call, -ENOTSUP, "GroupQueryAttention: smooth_softmax and head_sink are not implemented");
	if (!op_attr_is(node, "k_quant_type", "NONE", "NONE") || !op_attr_is(node, "v_quant_type", "NONE", "NONE"))
		return op_fail(call, -ENOTSUP, "GroupQueryAttention: a quantized cache is not implemented");
	if (op_attr_int(node, "sliding_window_cache", 0) || op_input(call, 14) || op_input(call, 15))
		return op_fail(call, -ENOTSUP,
			       "GroupQueryAttention: sliding_window_cache and norm weights are not implemented");
	return check_floats(call, 0, 3);
}

/* query, key?, value?, past_key?, past_value?, seqlens_k, total_sequence_length, cos?, sin?, position_ids?, attention_bias? */
static int run_group_query_attention(struct op_call *call)
{
	struct group_query g = {0};
	struct sdpa *a = &g.h.sdpa;
	int64_t window = op_attr_int(call->node, "local_window_size", -1), qk = op_attr_int(call->node, "qk_output", 0);
	int err = check_group_form(call);

	if (!err)
		err = read_group_operands(call, &g);
	if (!err)
		err = read_lengths(call, &g);
	if (!err)
		err = rotate_group(call, &g);
	if (!err) {
		a->keys = g.buffer;
		read_scale(call, a);
		a->softcap = (double)op_attr_float(call->node, "softcap", 0);
		a->causal = op_attr_int(call->node, "causal", 1) != 0;
		a->left = window > 0 ? window - 1 : -1;
		a->offset = g.past;
		a->valid = g.valid;
		a->stage = qk == 1 ? SDPA_BIASED : SDPA_PROBABILITY;
		a->q = side_by_side(g.q, a->head_size);
		err = extend_cache(call, &g, 0, g.k, &a->k);
	}
	if (!err)
		err = extend_cache(call, &g, 1, g.v, &a->v);
	if (!err && tensor_count(call->inputs[6]) == 1)
		a->keys = g.prompt ? a->queries : tensor_get_s64(call->inputs[6], 0);
	if (!err)
		err = make_bias(call, &g.h, SIZE_MAX, 10);
	if (!err)
		err = attend(call, &g.h, qk ? 3 : SIZE_MAX);
	finish_group_query(&g);
	return err;
}

const struct op_kernel ops_ms_attention[] = {
	{MICROSOFT, "Attention", 1, 0, 2, 7, 1, 2, run_attention, NULL, NULL, &op_half_in_f32},
	{MICROSOFT, "GroupQueryAttention", 1, 0, 1, 16, 1, 4, run_group_query_attention, NULL, NULL, &op_half_in_f32},
	{MICROSOFT, "MultiHeadAttention", 1, 0, 1, 10, 1, 4, run_multi_head_attention, NULL, NULL, &op_half_in_f32},
	{MICROSOFT, "QAttention", 1, 0, 5, 9, 1, 2, run_qattention, NULL, NULL, NULL},
	{MICROSOFT, "RotaryEmbedding", 1, 0, 4, 4, 1, 1, run_rotary_embedding, NULL, NULL, &op_half_in_f32},
};
const size_t ops_ms_attention_count = sizeof(ops_ms_attention) / sizeof(ops_ms_attention[0]);
