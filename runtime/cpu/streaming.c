// SPDX-License-Identifier: MIT
/*
 * Operators that take a sequence piece by piece and hand a state on to the next call: CausalConvWithState and
 * LinearAttention (opset 27).
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/half.h"
#include "runtime/cpu/parallel.h"

static int check_f32(struct op_call *call)
{
	for (size_t i = 0; i < call->node->num_inputs; i++)
		if (call->inputs[i] && call->inputs[i]->dtype != DTYPE_F32)
			return op_fail(call, -EINVAL, "%s: input %zu is %s, expected float32, float16 or bfloat16",
				       call->node->op_type, i, dtype_name(call->inputs[i]->dtype));
	return 0;
}

/* y += a * x */
CPU_CLONES static void add_scaled(int64_t n, float a, const float *x, float *y)
{
	for (int64_t i = 0; i < n; i++)
		y[i] += a * x[i];
}

/* ---- CausalConvWithState ---- */

/* Depthwise: position i of a channel sees itself and the taps - 1 before it, the first ones in the past state. */
struct causal_conv {
	int64_t channels, length, taps;
	const float *x, *w, *bias, *past;
	float *y, *present;
	bool silu;
};

/* Position @i of the past (negative) and the input behind each other. */
static float causal_input(const struct causal_conv *c, int64_t plane, int64_t i)
{
	if (i >= 0)
		return c->x[plane * c->length + i];
	return c->past ? c->past[plane * (c->taps - 1) + c->taps - 1 + i] : 0;
}

static void causal_planes(void *arg, int64_t begin, int64_t end)
{
	const struct causal_conv *c = arg;

	for (int64_t plane = begin; plane < end; plane++) {
		const float *w = c->w + plane % c->channels * c->taps;
		float *y = c->y ? c->y + plane * c->length : NULL;

		for (int64_t i = 0; y && i < c->length; i++)
			y[i] = c->bias ? c->bias[plane % c->channels] : 0;
		for (int64_t t = 0; y && t < c->taps; t++) {
			int64_t back = c->taps - 1 - t, before = back < c->length ? back : c->length;

			for (int64_t i = 0; i < before; i++)
				y[i] += w[t] * causal_input(c, plane, i - back);
			add_scaled(c->length - before, w[t], c->x + plane * c->length, y + before);
		}
		for (int64_t i = 0; y && c->silu && i < c->length; i++)
			y[i] = y[i] / (1 + expf(-y[i]));
		for (int64_t i = 0; c->present && i < c->taps - 1; i++)
			c->present[plane * (c->taps - 1) + i] = causal_input(c, plane, c->length - (c->taps - 1) + i);
	}
}

/* input [batch, channels, length], weight [channels, 1, taps], bias? [channels], past_state? [batch, channels, taps - 1] */
static int run_causal_conv(struct op_call *call)
{
	const struct tensor *x = call->inputs[0], *w = call->inputs[1], *bias = op_input(call, 2),
			    *past = op_input(call, 3);
	struct causal_conv c = {.silu = op_attr_is(call->node, "activation", "none", "silu") ||
					op_attr_is(call->node, "activation", "none", "swish")};
	int err = check_f32(call);

	if (err)
		return err;
	if (!c.silu && !op_attr_is(call->node, "activation", "none", "none"))
		return op_fail(call, -EINVAL, "%s: attribute activation is none of none, silu, swish",
			       call->node->op_type);
	if (x->rank != 3 || w->rank != 3 || w->dims[0] != x->dims[1] || w->dims[1] != 1 || w->dims[2] < 1)
		return op_fail(call, -EINVAL,
			       "%s: the input must be [batch, channels, length], the weight [channels, 1, taps]",
			       call->node->op_type);
	c.channels = x->dims[1];
	c.length = x->dims[2];
	c.taps = w->dims[2];
	if (bias && (bias->rank != 1 || bias->dims[0] != c.channels))
		return op_fail(call, -EINVAL, "%s: the bias (input 2) must be [%lld]", call->node->op_type,
			       (long long)c.channels);
	if (past && (past->rank != 3 || past->dims[0] != x->dims[0] || past->dims[1] != c.channels ||
		     past->dims[2] != c.taps - 1))
		return op_fail(call, -EINVAL, "%s: past_state (input 3) must be [%lld, %lld, %lld]",
			       call->node->op_type, (long long)x->dims[0], (long long)c.channels,
			       (long long)c.taps - 1);
	err = op_output(call, 0, DTYPE_F32, 3, x->dims);
	if (!err)
		err = op_output(call, 1, DTYPE_F32, 3, (int64_t[]){x->dims[0], c.channels, c.taps - 1});
	if (err)
		return err;
	c.x = x->data;
	c.w = w->data;
	c.bias = bias ? bias->data : NULL;
	c.past = past ? past->data : NULL;
	c.y = op_wanted(call, 0) ? call->outputs[0]->data : NULL;
	c.present = op_wanted(call, 1) ? call->outputs[1]->data : NULL;
	parallel_range(call->pool, x->dims[0] * c.channels, PARALLEL_GRAIN / (c.length * c.taps + 1), causal_planes,
		       &c);
	return 0;
}

/* ---- LinearAttention ---- */

enum { IN_QUERY, IN_KEY, IN_VALUE, IN_PAST, IN_DECAY, IN_BETA, IN_ERASE };

/*
 * struct linear_attention - the recurrence of the specification, for every key and value head a state S [key size, value size]:
 *	S *= exp(decay);  v' = beta * (v - S^T (erase * k));  S += k v'^T;  y = scale * S^T q
 * where the rule asks for decay (gated) and correction (delta).
 * @decay_size: 1 or key_size; @beta_heads: 1 or kv_heads
 */
struct linear_attention {
	int64_t batch, steps, heads, kv_heads, key_size, value_size, decay_size, beta_heads;
	const float *q, *k, *v, *decay, *beta, *erase;
	float *y, *state; /* y may be NULL */
	float scale;
};

static void linear_step(const struct linear_attention *a, int64_t row, int64_t head, float *state, float *value)
{
	const float *k = a->k + (row * a->kv_heads + head) * a->key_size;
	const float *erase = a->erase ? a->erase + (row * a->kv_heads + head) * a->key_size : NULL;
	int64_t n = a->value_size;

	if (a->decay)
		for (int64_t d = 0; d < a->key_size; d++) {
			float g = a->decay[(row * a->kv_heads + head) * a->decay_size + (a->decay_size > 1 ? d : 0)];

			add_scaled(n, expm1f(g), state + d * n, state + d * n);
		}
	memcpy(value, a->v + (row * a->kv_heads + head) * n, n * sizeof(*value));
	if (a->beta) {
		float beta = a->beta[row * a->beta_heads + (a->beta_heads > 1 ? head : 0)];

		for (int64_t d = 0; d < a->key_size; d++)
			add_scaled(n, -k[d] * (erase ? erase[d] : 1), state + d * n, value);
		for (int64_t i = 0; i < n; i++)
			value[i] *= beta;
	}
	for (int64_t d = 0; d < a->key_size; d++)
		add_scaled(n, k[d], value, state + d * n);
}

/* Heads [begin, end) of keys and values, counted through the batch. */
static void linear_heads(void *arg, int64_t begin, int64_t end)
{
	const struct linear_attention *a = arg;
	int64_t group = a->heads / a->kv_heads, n = a->value_size;

	for (int64_t plane = begin; plane < end; plane++) {
		int64_t b = plane / a->kv_heads, head = plane % a->kv_heads;
		float *state = a->state + plane * (a->key_size + 1) * n, *value = state + a->key_size * n;

		for (int64_t t = 0; t < a->steps; t++) {
			int64_t row = b * a->steps + t;

			linear_step(a, row, head, state, value);
			for (int64_t h = head * group; a->y && h < (head + 1) * group; h++) {
				const float *q = a->q + (row * a->heads + h) * a->key_size;
				float *y = a->y + (row * a->heads + h) * n;

				memset(y, 0, n * sizeof(*y));
				for (int64_t d = 0; d < a->key_size; d++)
					add_scaled(n, a->scale * q[d], state + d * n, y);
			}
		}
	}
}

/* Input @index: [batch, steps, one of @sizes]; the size that it has goes to *size. */
static int check_sequence(struct op_call *call, size_t index, const struct linear_attention *a, int64_t first,
			  int64_t second)
{
	const struct tensor *t = call->inputs[index];

	if (t->rank == 3 && t->dims[0] == a->batch && t->dims[1] == a->steps &&
	    (t->dims[2] == first || t->dims[2] == second))
		return 0;
	return op_fail(call, -EINVAL, "LinearAttention: input %zu must be [%lld, %lld, %lld or %lld]", index,
		       (long long)a->batch, (long long)a->steps, (long long)first, (long long)second);
}

/* The rule says which of decay, beta and erase_gate there are. */
static int check_rule(struct op_call *call)
{
	static const struct {
		const char *name;
		bool gated, delta;
	} rules[] = {
		{"linear", false, false}, {"gated", true, false}, {"delta", false, true}, {"gated_delta", true, true}};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (!op_attr_is(call->node, "update_rule", "gated_delta", rules[i].name))
			continue;
		if (rules[i].gated != !!op_input(call, IN_DECAY) || rules[i].delta != !!op_input(call, IN_BETA) ||
		    (op_input(call, IN_ERASE) && !rules[i].delta))
			return op_fail(call, -EINVAL,
				       "LinearAttention: update_rule %s %s decay (input 4) and %s beta (input 5)",
				       rules[i].name, rules[i].gated ? "needs" : "has no",
				       rules[i].delta ? "needs" : "has no");
		return 0;
	}
	return op_fail(call, -EINVAL,
		       "LinearAttention: attribute update_rule is none of linear, gated, delta, gated_delta");
}

static int read_linear_attention(struct op_call *call, struct linear_attention *a)
{
	const struct tensor *q = call->inputs[IN_QUERY], *v = call->inputs[IN_VALUE], *past = op_input(call, IN_PAST);
	int err = check_f32(call);

	a->heads = op_attr_int(call->node, "q_num_heads", 0);
	a->kv_heads = op_attr_int(call->node, "kv_num_heads", 0);
	if (!err && (a->heads < 1 || a->kv_heads < 1 || a->heads % a->kv_heads))
		err = op_fail(call, -EINVAL, "LinearAttention: q_num_heads %lld and kv_num_heads %lld",
			      (long long)a->heads, (long long)a->kv_heads);
	if (!err && (q->rank != 3 || v->rank != 3 || q->dims[2] % a->heads || v->dims[2] % a->kv_heads))
		err = op_fail(call, -EINVAL, "LinearAttention: query and value must be [batch, length, heads * size]");
	if (err)
		return err;
	a->batch = q->dims[0];
	a->steps = q->dims[1];
	a->key_size = q->dims[2] / a->heads;
	a->value_size = v->dims[2] / a->kv_heads;
	err = check_rule(call);
	if (!err)
		err = check_sequence(call, IN_KEY, a, a->kv_heads * a->key_size, a->kv_heads * a->key_size);
	if (!err)
		err = check_sequence(call, IN_VALUE, a, a->kv_heads * a->value_size, a->kv_heads * a->value_size);
	if (!err && op_input(call, IN_DECAY))
		err = check_sequence(call, IN_DECAY, a, a->kv_heads, a->kv_heads * a->key_size);
	if (!err && op_input(call, IN_BETA))
		err = check_sequence(call, IN_BETA, a, a->kv_heads, 1);
	if (!err && op_input(call, IN_ERASE))
		err = check_sequence(call, IN_ERASE, a, a->kv_heads * a->key_size, a->kv_heads * a->key_size);
	if (err)
		return err;
	if (past && (past->rank != 4 || past->dims[0] != a->batch || past->dims[1] != a->kv_heads ||
		     past->dims[2] != a->key_size || past->dims[3] != a->value_size))
		return op_fail(call, -EINVAL, "LinearAttention: past_state (input 3) must be [%lld, %lld, %lld, %lld]",
			       (long long)a->batch, (long long)a->kv_heads, (long long)a->key_size,
			       (long long)a->value_size);
	a->scale = op_attr_float(call->node, "scale", 0);
	if (a->scale == 0)
		a->scale = 1 / sqrtf((float)a->key_size);
	return 0;
}

static int run_linear_attention(struct op_call *call)
{
	const struct tensor *past = op_input(call, IN_PAST);
	struct linear_attention a = {0};
	int err = read_linear_attention(call, &a);
	int64_t state[4] = {a.batch, a.kv_heads, a.key_size + 1, a.value_size}; /* one row to work in */
	struct tensor work = {0};
	size_t bytes;

	if (!err)
		err = op_output(call, 0, DTYPE_F32, 3, (int64_t[]){a.batch, a.steps, a.heads * a.value_size});
	if (!err)
		err = op_output(call, 1, DTYPE_F32, 4, (int64_t[]){a.batch, a.kv_heads, a.key_size, a.value_size});
	if (err)
		return err;
	err = tensor_init(&work, DTYPE_F32, 4, state);
	if (err)
		return op_fail(call, err, "LinearAttention: no memory for the state");
	bytes = (size_t)(a.key_size * a.value_size) * sizeof(float);
	a.q = call->inputs[IN_QUERY]->data;
	a.k = call->inputs[IN_KEY]->data;
	a.v = call->inputs[IN_VALUE]->data;
	a.decay = op_input(call, IN_DECAY) ? op_input(call, IN_DECAY)->data : NULL;
	a.decay_size = a.decay ? op_input(call, IN_DECAY)->dims[2] / a.kv_heads : 1;
	a.beta = op_input(call, IN_BETA) ? op_input(call, IN_BETA)->data : NULL;
	a.beta_heads = a.beta ? op_input(call, IN_BETA)->dims[2] : 1;
	a.erase = op_input(call, IN_ERASE) ? op_input(call, IN_ERASE)->data : NULL;
	a.y = op_wanted(call, 0) ? call->outputs[0]->data : NULL;
	a.state = work.data;
	for (int64_t i = 0; past && bytes && i < a.batch * a.kv_heads; i++)
		memcpy(a.state + i * (a.key_size + 1) * a.value_size,
		       (const float *)past->data + i * a.key_size * a.value_size, bytes);
	parallel_range(call->pool, a.batch * a.kv_heads, 1, linear_heads, &a);
	for (int64_t i = 0; op_wanted(call, 1) && bytes && i < a.batch * a.kv_heads; i++)
		memcpy((float *)call->outputs[1]->data + i * a.key_size * a.value_size,
		       a.state + i * (a.key_size + 1) * a.value_size, bytes);
	tensor_finish(&work);
	return 0;
}

/* present_state has the type of past_state; without one that of the query. */
static const signed char linear_output[] = {IN_QUERY, IN_PAST};
static const struct op_widen linear_in_f32 = {linear_output};

const struct op_kernel ops_streaming[] = {
	{"", "CausalConvWithState", 27, 0, 2, 4, 1, 2, run_causal_conv, NULL, NULL, &op_half_in_f32},
	{"", "LinearAttention", 27, 0, 3, 7, 1, 2, run_linear_attention, NULL, NULL, &linear_in_f32},
};
const size_t ops_streaming_count = sizeof(ops_streaming) / sizeof(ops_streaming[0]);
