// SPDX-License-Identifier: MIT
/*
 * com.microsoft RotaryEmbedding and GroupQueryAttention, which rotates its own queries and keys and keeps its own cache.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/ms_heads.h"
#include "runtime/cpu/nested.h"

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
	int64_t buffer;  /* rows of the present */
	float *no_sinks; /* zeros */
};

static void finish_group_query(struct group_query *g)
{
	heads_finish(&g->h);
	free(g->past);
	free(g->valid);
	free(g->no_sinks);
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
	struct sdpa_rows old = {0}, from = heads_side_by_side(new_rows, a->head_size);
	struct tensor *to = &g->h.joined[i];
	int err;

	memcpy(old_dims, dims, sizeof(dims));
	old_dims[2] = past && past->rank == 4 ? past->dims[2] : 0;
	if (past && (!heads_have_dims(past, 4, old_dims) || past->dtype != DTYPE_F32))
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
	*rows = heads_in_planes(to->data, a->kv_heads, g->buffer, a->head_size);
	if (past)
		old = heads_in_planes(past->data, a->kv_heads, past->dims[2], a->head_size);
	for (int64_t b = 0; b < a->batch; b++) {
		if (past)
			heads_copy_rows(a, g->past[b], a->head_size, &old, 0, rows, 0, b);
		heads_copy_rows(a, g->h.new_keys, a->head_size, &from, 0, rows, g->past[b], b);
	}
	return 0;
}

static int check_group_form(struct op_call *call)
{
	const struct op_node *node = call->node;

	if (!op_attr_is(node, "k_quant_type", "NONE", "NONE") || !op_attr_is(node, "v_quant_type", "NONE", "NONE"))
		return op_fail(call, -ENOTSUP, "GroupQueryAttention: a quantized cache is not implemented");
	if (op_attr_int(node, "sliding_window_cache", 0) || op_input(call, 14) || op_input(call, 15))
		return op_fail(call, -ENOTSUP,
			       "GroupQueryAttention: sliding_window_cache and norm weights are not implemented");
	return heads_check_floats(call, 0, 3);
}

/* One more score in every softmax: that of input head_sink for each head, or zero with the attribute smooth_softmax. */
static int read_sinks(struct op_call *call, struct group_query *g)
{
	const struct tensor *sinks = op_input(call, 11);
	struct sdpa *a = &g->h.sdpa;

	if (sinks) {
		if (sinks->rank != 1 || sinks->dims[0] != a->heads || sinks->dtype != DTYPE_F32)
			return op_fail(
				call, -EINVAL,
				"GroupQueryAttention: input 11 (head_sink) is not one number of the query's type for "
				"each of %lld heads",
				(long long)a->heads);
		a->sinks = sinks->data;
	} else if (op_attr_int(call->node, "smooth_softmax", 0) > 0) {
		g->no_sinks = calloc((size_t)a->heads, sizeof(*g->no_sinks));
		if (!g->no_sinks)
			return -ENOMEM;
		a->sinks = g->no_sinks;
	}
	return 0;
}

/* query, key?, value?, past_key?, past_value?, seqlens_k, total_sequence_length, cos?, sin?, position_ids?, attention_bias?, head_sink? */
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
	if (!err)
		err = read_sinks(call, &g);
	if (!err) {
		a->keys = g.buffer;
		heads_read_scale(call, a);
		a->softcap = (double)op_attr_float(call->node, "softcap", 0);
		a->causal = op_attr_int(call->node, "causal", 1) != 0;
		a->left = window > 0 ? window - 1 : -1;
		a->offset = g.past;
		a->valid = g.valid;
		a->stage = qk == 1 ? SDPA_BIASED : SDPA_PROBABILITY;
		a->q = heads_side_by_side(g.q, a->head_size);
		err = extend_cache(call, &g, 0, g.k, &a->k);
	}
	if (!err)
		err = extend_cache(call, &g, 1, g.v, &a->v);
	if (!err && tensor_count(call->inputs[6]) == 1)
		a->keys = g.prompt ? a->queries : tensor_get_s64(call->inputs[6], 0);
	if (!err)
		err = heads_make_bias(call, &g.h, SIZE_MAX, 10);
	if (!err)
		err = heads_attend(call, &g.h, qk ? 3 : SIZE_MAX);
	finish_group_query(&g);
	return err;
}

const struct op_kernel ops_ms_group_query[] = {
	{MICROSOFT, "GroupQueryAttention", 1, 0, 1, 16, 1, 4, run_group_query_attention, NULL, NULL, &op_half_in_f32},
	{MICROSOFT, "RotaryEmbedding", 1, 0, 4, 4, 1, 1, run_rotary_embedding, NULL, NULL, &op_half_in_f32},
};
const size_t ops_ms_group_query_count = sizeof(ops_ms_group_query) / sizeof(ops_ms_group_query[0]);
