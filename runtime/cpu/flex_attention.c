// SPDX-License-Identifier: MIT
/*
 * FlexAttention (ai.onnx.preview): attention whose scores and probabilities pass through graphs of the model, each a tensor
 * in and a tensor of the same shape out.
 *
 * Without graphs it is sdpa.h's business. With them the matrix of scores has to exist, and the rest is Softmax's and
 * MatMul's.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/sdpa.h"

enum { IN_Q, IN_K, IN_V, NUM_IN };

/* struct flex - the operands in the type of the computation */
struct flex {
	struct sdpa sdpa;
	struct tensor in[NUM_IN], scores, y;
};

static struct sdpa_rows planes_of(const struct tensor *t)
{
	int64_t row = t->dims[3], head = t->dims[2] * row;

	return (struct sdpa_rows){t->data, t->dims[1] * head, head, row};
}

static int read_shapes(struct op_call *call, struct flex *f)
{
	const struct tensor *q = call->inputs[IN_Q], *k = call->inputs[IN_K], *v = call->inputs[IN_V];

	if (q->rank != 4 || k->rank != 4 || v->rank != 4 || k->dims[0] != q->dims[0] || v->dims[0] != q->dims[0] ||
	    k->dims[3] != q->dims[3] || v->dims[1] != k->dims[1] || v->dims[2] != k->dims[2] || k->dims[1] < 1 ||
	    q->dims[1] % k->dims[1])
		return op_fail(call, -EINVAL,
			       "FlexAttention: Q, K and V must be [batch, heads, sequence, size] and fit each other");
	f->sdpa = (struct sdpa){
		.dtype = q->dtype == DTYPE_F64 || op_attr_int(call->node, "softmax_precision", 0) == DTYPE_F64
				 ? DTYPE_F64
				 : DTYPE_F32,
		.batch = q->dims[0],
		.heads = q->dims[1],
		.kv_heads = k->dims[1],
		.queries = q->dims[2],
		.keys = k->dims[2],
		.head_size = q->dims[3],
		.value_size = v->dims[3],
		.scale = op_attr(call->node, "scale") ? (double)op_attr_float(call->node, "scale", 1)
						      : 1 / sqrt((double)q->dims[3]),
		.left = -1,
		.right = -1,
	};
	return 0;
}

/* Q, K and V as the computation has them, and Y; with the scores when a graph will ask for them. */
static int attend(struct op_call *call, struct flex *f, bool with_scores)
{
	struct sdpa *s = &f->sdpa;
	int64_t y[4] = {s->batch, s->heads, s->queries, s->value_size};
	int64_t scores[4] = {s->batch, s->heads, s->queries, s->keys};
	int err = 0;

	for (int i = 0; !err && i < NUM_IN; i++)
		err = tensor_cast(call->inputs[i], s->dtype, &f->in[i]);
	if (!err)
		err = tensor_init(&f->y, s->dtype, 4, y);
	if (!err && with_scores)
		err = tensor_init(&f->scores, s->dtype, 4, scores);
	if (!err) {
		s->q = planes_of(&f->in[IN_Q]);
		s->k = planes_of(&f->in[IN_K]);
		s->v = planes_of(&f->in[IN_V]);
		s->y = planes_of(&f->y);
		s->scores = f->scores.data;
		err = sdpa_run(s, call->pool);
	}
	return err ? op_fail(call, err, "FlexAttention: no memory, or inputs of type %s",
			     dtype_name(call->inputs[IN_Q]->dtype))
		   : 0;
}

/* @t through the graph @name, which sees the type of Q; nothing happens without that attribute. */
static int modify(struct op_call *call, const char *name, struct tensor *t)
{
	struct tensor given = {0}, result = {0}, back = {0};
	const struct tensor *inputs[] = {&given};
	struct tensor *outputs[] = {&result};
	const struct attr *body;
	int err;

	if (!op_attr(call->node, name))
		return 0;
	body = op_body(call, name);
	if (!body)
		return -EINVAL;
	err = tensor_cast(t, call->inputs[IN_Q]->dtype, &given);
	if (!err)
		err = call->runner->run(call, body, inputs, 1, outputs, 1);
	if (!err && (!dtype_is_float(result.dtype) || !tensor_same_shape(&result, t)))
		err = op_fail(call, -EINVAL, "FlexAttention: the graph %s gives another shape than it gets, or %s",
			      name, dtype_name(result.dtype));
	if (!err)
		err = tensor_cast(&result, t->dtype, &back);
	if (!err && !back.owned) {
		/* A view of the result, which goes. */
		back = result;
		result = (struct tensor){0};
	}
	if (!err) {
		tensor_finish(t);
		*t = back;
	}
	tensor_finish(&given);
	tensor_finish(&result);
	return err && !call->error[0] ? op_fail(call, err, "FlexAttention: no memory for the graph %s", name) : err;
}

/* An operator of ai.onnx 13 on @inputs, into the empty tensor @output. */
static int run_inner(struct op_call *call, const char *op_type, const struct tensor *const *inputs, size_t count,
		     struct tensor *output)
{
	const struct op_kernel *kernel = op_find("", op_type, 13);
	const struct op_node node = {.name = call->node->name,
				     .domain = "",
				     .op_type = op_type,
				     .opset = 13,
				     .num_inputs = count,
				     .num_outputs = 1};
	struct tensor *outputs[] = {output};
	struct op_call inner = {.node = &node, .inputs = inputs, .outputs = outputs, .pool = call->pool};
	int err = op_run(kernel, &inner);

	return err ? op_fail(call, err, "FlexAttention: %.200s", inner.error) : 0;
}

/* Probabilities times values; a head of values serves a group of probabilities: [b, kv, group, q, k] x [b, kv, 1, k, v]. */
static int weigh_values(struct op_call *call, struct flex *f, struct tensor *probabilities)
{
	const struct sdpa *s = &f->sdpa;
	const int64_t p[5] = {s->batch, s->kv_heads, s->heads / s->kv_heads, s->queries, s->keys};
	const int64_t v[5] = {s->batch, s->kv_heads, 1, s->keys, s->value_size};
	struct tensor left, right, product = {0};
	const struct tensor *inputs[] = {&left, &right};
	int err = tensor_init_view(&left, s->dtype, 5, p, probabilities->data, probabilities->size);

	if (!err)
		err = tensor_init_view(&right, s->dtype, 5, v, f->in[IN_V].data, f->in[IN_V].size);
	if (err)
		return op_fail(call, err, "FlexAttention: the probabilities do not fit the values");
	err = run_inner(call, "MatMul", inputs, 2, &product);
	if (!err && tensor_count(&product) > 0)
		memcpy(f->y.data, product.data, tensor_bytes(&f->y));
	tensor_finish(&product);
	return err;
}

static int run_flex_attention(struct op_call *call)
{
	bool modified = op_attr(call->node, "score_mod") || op_attr(call->node, "prob_mod");
	struct tensor probabilities = {0};
	struct flex f = {0};
	int err = read_shapes(call, &f);

	if (!err)
		err = attend(call, &f, modified);
	if (!err && modified) {
		const struct tensor *scores[] = {&f.scores};

		err = modify(call, "score_mod", &f.scores);
		if (!err)
			err = run_inner(call, "Softmax", scores, 1, &probabilities);
		if (!err)
			err = modify(call, "prob_mod", &probabilities);
		if (!err)
			err = weigh_values(call, &f, &probabilities);
	}
	if (!err)
		err = op_output(call, 0, call->inputs[IN_Q]->dtype, 4, f.y.dims);
	if (!err && op_wanted(call, 0) && tensor_count(&f.y) > 0)
		cast_row(f.y.dtype, call->outputs[0]->dtype)((size_t)tensor_count(&f.y), f.y.data,
							     call->outputs[0]->data);
	for (int i = 0; i < NUM_IN; i++)
		tensor_finish(&f.in[i]);
	tensor_finish(&f.scores);
	tensor_finish(&f.y);
	tensor_finish(&probabilities);
	return err;
}

const struct op_kernel ops_flex_attention[] = {
	{"ai.onnx.preview", "FlexAttention", 1, 0, 3, 3, 1, 1, run_flex_attention},
};
const size_t ops_flex_attention_count = sizeof(ops_flex_attention) / sizeof(ops_flex_attention[0]);
