// SPDX-License-Identifier: MIT
/*
 * com.microsoft Attention, QAttention and MultiHeadAttention: forms of attention that ONNX Runtime's transformer optimizer
 * leaves in models. Nodes and layouts are read here, sdpa.h does the arithmetic.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/ms_heads.h"
#include "runtime/cpu/nested.h"

/*
 * Past rows [B, N, P, size] and the new ones into @to, planes of T rows; *rows is what sdpa reads. Without a past and
 * without @to, the new rows are read where they are.
 */
static int join_past(struct heads *h, const float *past, const struct sdpa_rows *new_rows, int64_t size, float *to,
		     struct tensor *held, struct sdpa_rows *rows)
{
	struct sdpa *a = &h->sdpa;
	struct sdpa_rows old = heads_in_planes(past, a->kv_heads, h->past_keys, size);
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
	*rows = heads_in_planes(to, a->kv_heads, a->keys, size);
	for (int64_t b = 0; b < a->batch; b++) {
		if (past)
			heads_copy_rows(a, h->past_keys, size, &old, 0, rows, 0, b);
		heads_copy_rows(a, h->new_keys, size, new_rows, 0, rows, h->past_keys, b);
	}
	return 0;
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
	if (past && !heads_have_dims(past, 5, present))
		return op_fail(call, -EINVAL, "%s: past (input %zu) is not [2, %lld, %lld, P, %lld]",
			       call->node->op_type, past_index, (long long)a->batch, (long long)a->heads,
			       (long long)a->head_size);
	h.past_keys = present[3];
	a->keys = present[3] += h.new_keys;
	a->causal = op_attr_int(call->node, "unidirectional", 0) != 0;
	heads_read_scale(call, a);
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
		err = heads_make_bias(call, &h, mask_index, bias_index);
	if (!err) {
		int64_t *offset = calloc((size_t)a->batch + 1, sizeof(*offset));

		for (int64_t b = 0; offset && b < a->batch; b++)
			offset[b] = h.past_keys;
		a->offset = offset;
		err = offset ? heads_attend(call, &h, SIZE_MAX) : -ENOMEM;
		free(offset);
	}
	heads_finish(&h);
	return err;
}

/* input [B, S, D], weights [D, columns], bias?, mask?, past?, attention_bias? */
static int run_attention(struct op_call *call)
{
	const struct tensor *x = call->inputs[0], *w = call->inputs[1], *inputs[3];
	struct tensor rows, qkv = {0};
	int64_t dims[2];
	int err = heads_check_floats(call, 0, 3);

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
	q->rows = heads_side_by_side(query, a->head_size);
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
		k->rows = heads_in_planes(key->data, a->heads, h->new_keys, a->head_size);
		v->rows = heads_in_planes(value->data, a->heads, h->new_keys, a->value_size);
		return 0;
	}
	if (key->rank != 3 || key->dims[2] != hidden || key->dims[1] != value->dims[1] || value->dims[2] % a->heads)
		return op_fail(call, -EINVAL,
			       "MultiHeadAttention: key and value (inputs 1 and 2) do not fit the query");
	h->new_keys = key->dims[1];
	a->value_size = value->dims[2] / a->heads;
	k->rows = heads_side_by_side(key, a->head_size);
	v->rows = heads_side_by_side(value, a->value_size);
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

		if (past[i] && !heads_have_dims(past[i], 4, dims))
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
	int err = heads_check_floats(call, 0, 4);

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
		heads_read_scale(call, a);
		err = join_multi_head(call, &h);
	}
	if (!err)
		err = heads_make_bias(call, &h, 4, 5);
	if (!err) {
		offset = calloc((size_t)a->batch + 1, sizeof(*offset));
		for (int64_t b = 0; offset && b < a->batch; b++)
			offset[b] = h.past_keys;
		a->offset = offset;
		err = offset ? heads_attend(call, &h, 3) : -ENOMEM;
	}
	free(offset);
	heads_finish(&h);
	tensor_finish(&q.biased);
	tensor_finish(&k.biased);
	tensor_finish(&v.biased);
	return err;
}

const struct op_kernel ops_ms_attention[] = {
	{MICROSOFT, "Attention", 1, 0, 2, 7, 1, 2, run_attention, NULL, NULL, &op_half_in_f32},
	{MICROSOFT, "MultiHeadAttention", 1, 0, 1, 10, 1, 4, run_multi_head_attention, NULL, NULL, &op_half_in_f32},
	{MICROSOFT, "QAttention", 1, 0, 5, 9, 1, 2, run_qattention, NULL, NULL, NULL},
};
const size_t ops_ms_attention_count = sizeof(ops_ms_attention) / sizeof(ops_ms_attention[0]);
