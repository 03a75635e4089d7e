// SPDX-License-Identifier: MIT
/*
 * Attention (opset 23 up): reads the node and its shapes, keeps the cache of keys and values, and leaves the arithmetic to
 * sdpa.h.
 *
 * The order of the steps is that of the specification since its correction (onnx 7867, 7913): scale, softcap, bias,
 * softmax. It is taken for opset 23 as well, as the correction was.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/half.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/sdpa.h"
#include "runtime/cpu/strided_copy.h"

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_PAST_KEY, IN_PAST_VALUE, IN_VALID };
enum { OUT_Y, OUT_PRESENT_KEY, OUT_PRESENT_VALUE, OUT_SCORES };

/*
 * struct attention - a call, as the specification names its sizes
 * @wide:        Q, K, V and the past in the type of the computation
 * @mask:        the mask in that type, -infinity where it hides
 * @key, @value: the cache when it is made for this call only; the outputs' otherwise
 * @offset, @valid: by batch element, NULL where not needed
 */
struct attention {
	struct sdpa sdpa;
	int64_t new_keys, past_keys;
	struct tensor wide[IN_MASK], past[2], mask, key, value, y, scores;
	int64_t *offset, *valid;
};

static void finish_attention(struct attention *a)
{
	for (int i = 0; i < IN_MASK; i++)
		tensor_finish(&a->wide[i]);
	for (int i = 0; i < 2; i++)
		tensor_finish(&a->past[i]);
	tensor_finish(&a->mask);
	tensor_finish(&a->key);
	tensor_finish(&a->value);
	tensor_finish(&a->y);
	tensor_finish(&a->scores);
	free(a->offset);
	free(a->valid);
}

/* Heads and head size of input @index: [batch, heads, rows, size], or [batch, rows, heads * size] and attribute @name. */
static int read_heads(struct op_call *call, size_t index, const char *name, int64_t *heads, int64_t *rows,
		      int64_t *size)
{
	const struct tensor *t = call->inputs[index];

	if (t->rank == 4) {
		*heads = t->dims[1];
		*rows = t->dims[2];
		*size = t->dims[3];
		if (*heads < 1 || op_attr_int(call->node, name, *heads) != *heads)
			return op_fail(call, -EINVAL, "Attention: input %zu has %lld heads, attribute %s says %lld",
				       index, (long long)*heads, name,
				       (long long)op_attr_int(call->node, name, *heads));
		return 0;
	}
	*heads = op_attr_int(call->node, name, 0);
	*rows = t->dims[1];
	if (*heads < 1 || t->dims[2] % *heads)
		return op_fail(call, -EINVAL, "Attention: input %zu has rows of %lld for attribute %s = %lld", index,
			       (long long)t->dims[2], name, (long long)*heads);
	*size = t->dims[2] / *heads;
	return 0;
}

static struct sdpa_rows rows_of(int rank, void *data, int64_t heads, int64_t rows, int64_t size)
{
	if (rank == 4)
		return (struct sdpa_rows){data, heads * rows * size, rows * size, size};
	return (struct sdpa_rows){data, heads * rows * size, size, heads * size};
}

static int read_shapes(struct op_call *call, struct attention *a)
{
	const struct tensor *q = call->inputs[IN_Q], *k = call->inputs[IN_K], *v = call->inputs[IN_V];
	struct sdpa *s = &a->sdpa;
	int64_t key_size, value_heads, value_rows;
	int err;

	if ((q->rank != 3 && q->rank != 4) || k->rank != q->rank || v->rank != q->rank)
		return op_fail(call, -EINVAL, "Attention: Q, K and V have ranks %d, %d and %d, all must be 3 or all 4",
			       q->rank, k->rank, v->rank);
	if (k->dims[0] != q->dims[0] || v->dims[0] != q->dims[0])
		return op_fail(call, -EINVAL, "Attention: Q, K and V have batches of %lld, %lld and %lld",
			       (long long)q->dims[0], (long long)k->dims[0], (long long)v->dims[0]);
	s->batch = q->dims[0];
	err = read_heads(call, IN_Q, "q_num_heads", &s->heads, &s->queries, &s->head_size);
	if (!err)
		err = read_heads(call, IN_K, "kv_num_heads", &s->kv_heads, &a->new_keys, &key_size);
	if (!err)
		err = read_heads(call, IN_V, "kv_num_heads", &value_heads, &value_rows, &s->value_size);
	if (err)
		return err;
	if (key_size != s->head_size || value_heads != s->kv_heads || value_rows != a->new_keys)
		return op_fail(call, -EINVAL,
			       "Attention: queries of %lld, %lld heads of %lld keys of %lld, %lld heads of %lld values",
			       (long long)s->head_size, (long long)s->kv_heads, (long long)a->new_keys,
			       (long long)key_size, (long long)value_heads, (long long)value_rows);
	if (s->heads % s->kv_heads)
		return op_fail(call, -EINVAL, "Attention: %lld heads of queries for %lld heads of keys",
			       (long long)s->heads, (long long)s->kv_heads);
	return 0;
}

static int read_attributes(struct op_call *call, struct attention *a)
{
	struct sdpa *s = &a->sdpa;
	int64_t stage = op_attr_int(call->node, "qk_matmul_output_mode", 0);

	s->causal = op_attr_int(call->node, "is_causal", 0) != 0;
	s->softcap = op_attr_float(call->node, "softcap", 0);
	s->scale =
		op_attr(call->node, "scale") ? op_attr_float(call->node, "scale", 1) : 1 / sqrt((double)s->head_size);
	s->left = op_attr_int(call->node, "left_window_size", -1);
	s->right = op_attr_int(call->node, "right_window_size", -1);
	if (s->left < -1 || s->right < -1)
		return op_fail(call, -EINVAL, "Attention: a window of %lld to the left and %lld to the right",
			       (long long)s->left, (long long)s->right);
	if (!(s->softcap >= 0))
		return op_fail(call, -EINVAL, "Attention: attribute softcap is %g", s->softcap);
	if (stage < 0 || stage >= SDPA_STAGES)
		return op_fail(call, -EINVAL, "Attention: attribute qk_matmul_output_mode is %lld", (long long)stage);
	s->stage = (enum sdpa_stage)stage;
	return 0;
}

/* Float64 when Q is, or when the softmax is to be; then and only then are inputs copied. */
static int read_operands(struct op_call *call, struct attention *a)
{
	enum dtype precision = (enum dtype)op_attr_int(call->node, "softmax_precision", DTYPE_F32);
	enum dtype type = call->inputs[IN_Q]->dtype;

	if (!dtype_is_float(precision))
		return op_fail(call, -EINVAL, "Attention: attribute softmax_precision is %d, no float type",
			       (int)precision);
	a->sdpa.dtype = type == DTYPE_F64 || precision == DTYPE_F64 ? DTYPE_F64 : DTYPE_F32;
	for (size_t i = 0; i <= IN_PAST_VALUE; i++) {
		const struct tensor *t = op_input(call, i);
		int err;

		if (!t || i == IN_MASK)
			continue;
		if (!dtype_is_float(t->dtype))
			return op_fail(call, -EINVAL, "Attention: input %zu is %s", i, dtype_name(t->dtype));
		err = tensor_cast(t, a->sdpa.dtype, i < IN_MASK ? &a->wide[i] : &a->past[i - IN_PAST_KEY]);
		if (err)
			return op_fail(call, err, "Attention: no memory for input %zu", i);
	}
	return 0;
}

/* ---- the mask ---- */

/* False hides: as the specification's function, by adding -infinity. */
static int widen_mask(const struct tensor *in, enum dtype type, struct tensor *out)
{
	int err;

	if (in->dtype != DTYPE_BOOL)
		return tensor_cast(in, type, out);
	err = tensor_init(out, type, in->rank, in->dims);
	for (int64_t i = 0; !err && i < tensor_count(in); i++) {
		double value = ((const uint8_t *)in->data)[i] ? 0 : -INFINITY;

		if (type == DTYPE_F64)
			((double *)out->data)[i] = value;
		else
			((float *)out->data)[i] = (float)value;
	}
	return err;
}

/* attn_mask broadcasts to [batch, heads, queries, keys], but its last dimension may be short: the rest is hidden. */
static int read_mask(struct op_call *call, struct attention *a)
{
	const struct tensor *in = op_input(call, IN_MASK);
	struct sdpa *s = &a->sdpa;
	const int64_t full[4] = {s->batch, s->heads, s->queries, s->keys};
	int64_t strides[4];
	int err;

	if (!in)
		return 0;
	if (in->rank < 1 || in->rank > 4 || in->dims[in->rank - 1] > s->keys)
		return op_fail(call, -EINVAL, "Attention: attn_mask (input 3) has rank %d and does not fit %lld keys",
			       in->rank, (long long)s->keys);
	err = widen_mask(in, s->dtype, &a->mask);
	if (err)
		return op_fail(call, err, "Attention: attn_mask (input 3) of type %s", dtype_name(in->dtype));
	dense_strides(in->rank, in->dims, strides);
	for (int i = 0; i < in->rank; i++) {
		int axis = 4 - in->rank + i;

		s->bias_strides[axis] = in->dims[i] == 1 && axis < 3 ? 0 : strides[i];
		if (axis < 3 && in->dims[i] != 1 && in->dims[i] != full[axis])
			return op_fail(call, -EINVAL,
				       "Attention: dimension %d of attn_mask (input 3) is %lld, not %lld", i,
				       (long long)in->dims[i], (long long)full[axis]);
	}
	s->bias = a->mask.data;
	s->bias_keys = in->dims[in->rank - 1];
	return 0;
}

/* How many keys count (opset 24), and where the queries stand among the keys. */
static int read_positions(struct op_call *call, struct attention *a)
{
	const struct tensor *valid = op_input(call, IN_VALID);
	struct sdpa *s = &a->sdpa;

	if (valid && (valid->dtype != DTYPE_S64 || valid->rank != 1 || valid->dims[0] != s->batch))
		return op_fail(call, -EINVAL, "Attention: nonpad_kv_seqlen (input 6) must be int64 [%lld]",
			       (long long)s->batch);
	a->offset = calloc(s->batch + 1, sizeof(*a->offset));
	a->valid = calloc(s->batch + 1, sizeof(*a->valid));
	if (!a->offset || !a->valid)
		return op_fail(call, -ENOMEM, "Attention: no memory for %lld positions", (long long)s->batch);
	for (int64_t b = 0; b < s->batch; b++) {
		a->valid[b] = valid ? ((const int64_t *)valid->data)[b] : s->keys;
		if (a->valid[b] < 0 || a->valid[b] > s->keys)
			return op_fail(call, -EINVAL, "Attention: nonpad_kv_seqlen (input 6) says %lld of %lld keys",
				       (long long)a->valid[b], (long long)s->keys);
		/* The new keys are the last valid ones of a cache that the model keeps, the last ones of ours. */
		a->offset[b] = valid && !op_input(call, IN_PAST_KEY) ? a->valid[b] - s->queries : a->past_keys;
	}
	s->offset = a->offset;
	s->valid = a->valid;
	return 0;
}

/* ---- the cache ---- */

static int check_past(struct op_call *call, struct attention *a)
{
	const struct tensor *past[2] = {op_input(call, IN_PAST_KEY), op_input(call, IN_PAST_VALUE)};
	const struct sdpa *s = &a->sdpa;

	if (!past[0] != !past[1])
		return op_fail(call, -EINVAL, "Attention: past_key and past_value (inputs 4 and 5) come together");
	for (int i = 0; past[0] && i < 2; i++) {
		const struct tensor *t = past[i];
		int64_t size = i ? s->value_size : s->head_size;

		if (t->rank != 4 || t->dims[0] != s->batch || t->dims[1] != s->kv_heads || t->dims[3] != size ||
		    t->dims[2] != past[0]->dims[2])
			return op_fail(call, -EINVAL,
				       "Attention: input %d does not have the shape [%lld, %lld, %lld, %lld]",
				       IN_PAST_KEY + i, (long long)s->batch, (long long)s->kv_heads,
				       (long long)past[0]->dims[past[0]->rank == 4 ? 2 : 0], (long long)size);
	}
	a->past_keys = past[0] ? past[0]->dims[2] : 0;
	if (__builtin_add_overflow(a->past_keys, a->new_keys, &a->sdpa.keys))
		return op_fail(call, -EOVERFLOW, "Attention: too many keys");
	return 0;
}

/*
 * Past and new rows behind each other as [batch, heads, keys, size] in @cache, which @rows then points to; only when there
 * is a past or output @index is wanted, which gets them as well.
 */
static int extend_cache(struct op_call *call, struct attention *a, size_t index, const struct tensor *past,
			const struct tensor *new, int64_t size, struct tensor *cache, struct sdpa_rows *rows)
{
	const struct sdpa *s = &a->sdpa;
	const struct sdpa_rows from = rows_of(new->rank, new->data, s->kv_heads, a->new_keys, size);
	int64_t dims[4] = {s->batch, s->kv_heads, s->keys, size}, plane = s->keys * size, old = a->past_keys * size;
	struct strided_copy copy = {.rank = 4, .size = dtype_size(s->dtype)};
	enum dtype type = call->inputs[index == OUT_PRESENT_KEY ? IN_K : IN_V]->dtype;
	int err;

	*rows = from;
	if (!past->data && !op_wanted(call, index))
		return 0;
	err = op_output(call, index, type, 4, dims);
	if (err)
		return err;
	if (op_wanted(call, index) && type == s->dtype)
		err = tensor_init_view(cache, type, 4, dims, call->outputs[index]->data, call->outputs[index]->size);
	else
		err = tensor_init(cache, s->dtype, 4, dims);
	if (err)
		return op_fail(call, err, "Attention: no memory for %lld keys", (long long)s->keys);
	if (tensor_count(cache) > 0) {
		memcpy(copy.dims, (int64_t[]){s->batch, s->kv_heads, a->past_keys, size}, sizeof(dims));
		memcpy(copy.dst_strides, (int64_t[]){s->kv_heads * plane, plane, size, 1}, sizeof(dims));
		memcpy(copy.src_strides, (int64_t[]){s->kv_heads * old, old, size, 1}, sizeof(dims));
		copy.dst = cache->data;
		copy.src = past->data;
		if (old > 0)
			strided_copy_run(copy, call->pool);
		copy.dims[2] = a->new_keys;
		copy.dst = (char *)cache->data + old * (int64_t)copy.size;
		memcpy(copy.src_strides, (int64_t[]){from.batch, from.head, from.row, 1}, sizeof(dims));
		copy.src = from.data;
		if (a->new_keys > 0)
			strided_copy_run(copy, call->pool);
		if (op_wanted(call, index) && type != s->dtype)
			cast_row(s->dtype, type)(tensor_count(cache), cache->data, call->outputs[index]->data);
	}
	*rows = rows_of(4, cache->data, s->kv_heads, s->keys, size);
	return 0;
}

/* ---- results ---- */

/* Output @index of Q's type as memory of the computation's: the output's own, or a tensor to be cast at the end. */
static int open_result(struct op_call *call, const struct attention *a, size_t index, int rank, const int64_t *dims,
		       struct tensor *out)
{
	enum dtype type = call->inputs[IN_Q]->dtype;
	int err = op_output(call, index, type, rank, dims);

	if (err)
		return err;
	if (op_wanted(call, index) && type == a->sdpa.dtype)
		return tensor_init_view(out, type, rank, dims, call->outputs[index]->data, call->outputs[index]->size);
	err = tensor_init(out, a->sdpa.dtype, rank, dims);
	return err ? op_fail(call, err, "Attention: no memory for output %zu", index) : 0;
}

static void close_result(struct op_call *call, size_t index, const struct tensor *t)
{
	if (op_wanted(call, index) && t->owned)
		cast_row(t->dtype, call->outputs[index]->dtype)(tensor_count(t), t->data, call->outputs[index]->data);
}

static int attend(struct op_call *call, struct attention *a)
{
	struct sdpa *s = &a->sdpa;
	int rank = call->inputs[IN_Q]->rank, err;
	int64_t dims[4] = {s->batch, s->heads, s->queries, s->value_size};
	int64_t rows[3] = {s->batch, s->queries, s->heads * s->value_size};

	err = open_result(call, a, OUT_Y, rank, rank == 4 ? dims : rows, &a->y);
	if (!err && op_wanted(call, OUT_SCORES))
		err = open_result(call, a, OUT_SCORES, 4, (int64_t[]){s->batch, s->heads, s->queries, s->keys},
				  &a->scores);
	if (err)
		return err;
	s->q = rows_of(rank, a->wide[IN_Q].data, s->heads, s->queries, s->head_size);
	s->y = rows_of(rank, a->y.data, s->heads, s->queries, s->value_size);
	s->scores = a->scores.data;
	err = sdpa_run(s, call->pool);
	if (err)
		return op_fail(call, err, "Attention: no memory for a block of scores");
	close_result(call, OUT_Y, &a->y);
	close_result(call, OUT_SCORES, &a->scores);
	return 0;
}

static int run_attention(struct op_call *call)
{
	struct attention a = {0};
	int err = read_shapes(call, &a);

	if (!err)
		err = read_attributes(call, &a);
	if (!err)
		err = check_past(call, &a);
	if (!err)
		err = read_operands(call, &a);
	if (!err)
		err = read_mask(call, &a);
	if (!err)
		err = read_positions(call, &a);
	if (!err)
		err = extend_cache(call, &a, OUT_PRESENT_KEY, &a.past[0], &a.wide[IN_K], a.sdpa.head_size, &a.key,
				   &a.sdpa.k);
	if (!err)
		err = extend_cache(call, &a, OUT_PRESENT_VALUE, &a.past[1], &a.wide[IN_V], a.sdpa.value_size, &a.value,
				   &a.sdpa.v);
	if (!err)
		err = attend(call, &a);
	finish_attention(&a);
	return err;
}

/* Y and the scores have Q's type, the cache those of K and V. */
static const signed char attention_output[] = {IN_Q, IN_K, IN_V, IN_Q};
static const struct op_widen attention_in_f32 = {attention_output};

/* ---- RotaryEmbedding ---- */

/*
 * struct rotation - pairs of numbers turned by an angle that depends on the position
 * @dim:         how many numbers of a head take part; half as many pairs
 * @interleaved: a pair is (2 i, 2 i + 1); otherwise (i, i + dim / 2)
 * @row:         by batch element and position, the row of the tables
 */
struct rotation {
	struct sdpa_rows x, y;
	int64_t heads, rows, size, dim;
	bool interleaved;
	const float *cosine, *sine;
	const int64_t *row;
};

static void rotate_rows(void *arg, int64_t begin, int64_t end)
{
	const struct rotation *r = arg;
	int64_t half = r->dim / 2, step = r->interleaved ? 2 : 1, other = r->interleaved ? 1 : half;

	for (int64_t i = begin; i < end; i++) {
		int64_t row = i % r->rows, head = i / r->rows % r->heads, b = i / r->rows / r->heads;
		int64_t table = (r->row ? r->row[b * r->rows + row] : b * r->rows + row) * half;
		const float *x = (const float *)r->x.data + b * r->x.batch + head * r->x.head + row * r->x.row;
		float *y = (float *)r->y.data + b * r->y.batch + head * r->y.head + row * r->y.row;

		for (int64_t j = 0; j < half; j++) {
			float c = r->cosine[table + j], s = r->sine[table + j];
			float re = x[j * step], im = x[j * step + other];

			y[j * step] = c * re - s * im;
			y[j * step + other] = s * re + c * im;
		}
		memcpy(y + r->dim, x + r->dim, (r->size - r->dim) * sizeof(*y));
	}
}

static int check_rotation(struct op_call *call, const struct rotation *r)
{
	const struct tensor *x = call->inputs[0], *cosine = call->inputs[1], *sine = call->inputs[2];
	const struct tensor *ids = op_input(call, 3);

	for (size_t i = 0; i < 3; i++)
		if (call->inputs[i]->dtype != DTYPE_F32)
			return op_fail(call, -EINVAL,
				       "RotaryEmbedding: input %zu is %s, expected float32, float16 or bfloat16", i,
				       dtype_name(call->inputs[i]->dtype));
	if (r->dim < 0 || r->dim % 2 || r->dim > r->size)
		return op_fail(call, -EINVAL, "RotaryEmbedding: rotary_embedding_dim %lld of a head of %lld",
			       (long long)r->dim, (long long)r->size);
	if (cosine->rank != (ids ? 2 : 3) || !tensor_same_shape(cosine, sine) ||
	    cosine->dims[cosine->rank - 1] != r->dim / 2 ||
	    (!ids && (cosine->dims[0] != x->dims[0] || cosine->dims[1] != r->rows)))
		return op_fail(call, -EINVAL,
			       "RotaryEmbedding: cos_cache and sin_cache (inputs 1 and 2) must both be %s %lld]",
			       ids ? "[positions," : "[batch, sequence,", (long long)r->dim / 2);
	if (ids && (ids->rank != 2 || ids->dims[0] != x->dims[0] || ids->dims[1] != r->rows))
		return op_fail(call, -EINVAL, "RotaryEmbedding: position_ids (input 3) must be [%lld, %lld]",
			       (long long)x->dims[0], (long long)r->rows);
	return 0;
}

/* X [batch, heads, sequence, size] or [batch, sequence, heads * size], cos, sin, position_ids? */
static int run_rotary_embedding(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	struct rotation r = {.interleaved = op_attr_int(call->node, "interleaved", 0) != 0};
	struct tensor ids = {0};
	int err;

	if (x->rank != 3 && x->rank != 4)
		return op_fail(call, -EINVAL, "RotaryEmbedding: input 0 has rank %d, expected 3 or 4", x->rank);
	r.heads = x->rank == 4 ? x->dims[1] : op_attr_int(call->node, "num_heads", 0);
	if (r.heads < 1 || (x->rank == 3 && x->dims[2] % r.heads))
		return op_fail(call, -EINVAL, "RotaryEmbedding: attribute num_heads is %lld for rows of %lld",
			       (long long)r.heads, (long long)x->dims[x->rank - 1]);
	r.rows = x->dims[x->rank - 2];
	r.size = x->rank == 4 ? x->dims[3] : x->dims[2] / r.heads;
	r.dim = op_attr_int(call->node, "rotary_embedding_dim", 0);
	if (r.dim == 0)
		r.dim = r.size;
	err = check_rotation(call, &r);
	if (!err && op_input(call, 3))
		err = op_input_s64(call, 3, false, &ids);
	for (int64_t i = 0; !err && i < tensor_count(&ids) && ids.data; i++)
		if (((int64_t *)ids.data)[i] < 0 || ((int64_t *)ids.data)[i] >= call->inputs[1]->dims[0])
			err = op_fail(call, -EINVAL, "RotaryEmbedding: position %lld of %lld",
				      (long long)((int64_t *)ids.data)[i], (long long)call->inputs[1]->dims[0]);
	if (!err)
		err = op_output(call, 0, DTYPE_F32, x->rank, x->dims);
	if (!err && op_wanted(call, 0) && tensor_count(x) > 0) {
		r.x = rows_of(x->rank, x->data, r.heads, r.rows, r.size);
		r.y = rows_of(x->rank, call->outputs[0]->data, r.heads, r.rows, r.size);
		r.cosine = call->inputs[1]->data;
		r.sine = call->inputs[2]->data;
		r.row = ids.data;
		parallel_range(call->pool, tensor_count(x) / r.size, PARALLEL_GRAIN / r.size, rotate_rows, &r);
	}
	tensor_finish(&ids);
	return err;
}

const struct op_kernel ops_attention[] = {
	{"", "Attention", 23, 0, 3, 7, 1, 4, run_attention, NULL, NULL, &attention_in_f32},
	{"", "RotaryEmbedding", 23, 0, 3, 4, 1, 1, run_rotary_embedding, NULL, NULL, &op_half_in_f32},
};
const size_t ops_attention_count = sizeof(ops_attention) / sizeof(ops_attention[0]);
