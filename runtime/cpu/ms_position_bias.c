// SPDX-License-Identifier: MIT
/*
 * com.microsoft RelativePositionBias (T5) and GatedRelativePositionBias (WavLM): what attention adds to its scores, by the
 * distance of query and key. Source: ONNX Runtime, docs/ContribOperators.md; C. Raffel et al., "Exploring the limits of
 * transfer learning with a unified text-to-text transformer", section 2.1.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/ms_heads.h"
#include "runtime/cpu/nested.h"
#include "runtime/cpu/parallel.h"

/* ---- RelativePositionBias ---- */

/* struct buckets - distances below half of @count have a bucket each, the others share on a logarithmic scale */
struct buckets {
	int64_t count, max_distance;
	bool bidirectional;
};

/* The bucket of key - query = @distance. Keys to come have the upper half, or all the first one. */
static int64_t bucket_of(const struct buckets *b, int64_t distance)
{
	int64_t count = b->bidirectional ? b->count / 2 : b->count, exact = count / 2, base = 0, far;

	if (b->bidirectional && distance > 0)
		base = count;
	distance = b->bidirectional ? llabs(distance) : distance < 0 ? -distance : 0;
	if (distance < exact)
		return base + distance;
	far = exact + (int64_t)(logf((float)distance / (float)exact) / logf((float)b->max_distance / (float)exact) *
				(float)(count - exact));
	return base + (far < count ? far : count - 1);
}

static int read_length(struct op_call *call, size_t index, int64_t *length)
{
	const struct tensor *t = call->inputs[index];

	if (t->dtype != DTYPE_S64 || tensor_count(t) != 1 || tensor_get_s64(t, 0) < 0 ||
	    tensor_get_s64(t, 0) > INT32_MAX)
		return op_fail(call, -EINVAL, "RelativePositionBias: input %zu is no length", index);
	*length = tensor_get_s64(t, 0);
	return 0;
}

/* bias_table [buckets, heads], stored column by column: a head's buckets lie side by side. */
static int run_relative_position_bias(struct op_call *call)
{
	const struct tensor *table = call->inputs[0];
	struct buckets b = {.max_distance = op_attr_int(call->node, "max_distance", 0),
			    .bidirectional = op_attr_int(call->node, "is_bidirectional", 0) != 0};
	int64_t queries = 0, keys = 0, heads, exact;
	float *y;
	int err = heads_check_floats(call, 0, 1);

	if (!err)
		err = read_length(call, 1, &queries);
	if (!err)
		err = read_length(call, 2, &keys);
	if (err)
		return err;
	if (queries != keys)
		return op_fail(call, -EINVAL, "RelativePositionBias: %lld queries and %lld keys, must be as many",
			       (long long)queries, (long long)keys);
	if (table->rank != 2)
		return op_fail(call, -EINVAL, "RelativePositionBias: input 0 has rank %d, expected [buckets, heads]",
			       table->rank);
	b.count = table->dims[0];
	heads = table->dims[1];
	exact = (b.bidirectional ? b.count / 2 : b.count) / 2;
	if (exact < 1 || b.max_distance <= exact)
		return op_fail(call, -EINVAL, "RelativePositionBias: %lld buckets for a max_distance of %lld",
			       (long long)b.count, (long long)b.max_distance);
	err = op_output(call, 0, DTYPE_F32, 4, (int64_t[]){1, heads, queries, keys});
	if (err || !op_wanted(call, 0))
		return err;
	y = call->outputs[0]->data;
	for (int64_t h = 0; h < heads; h++) {
		const float *head = (const float *)table->data + h * b.count;

		/* A row is the one before it, a key further. */
		for (int64_t q = 0; q < queries; q++, y += keys) {
			y[0] = head[bucket_of(&b, -q)];
			for (int64_t k = 1; k < keys; k++)
				y[k] = q ? y[k - 1 - keys] : head[bucket_of(&b, k)];
		}
	}
	return 0;
}

/* ---- GatedRelativePositionBias ---- */

/* struct gated - @gates: columns of the weight, the first half of which makes the update gate, the second the reset gate */
struct gated {
	int64_t heads, head_size, rows, gates;
	const float *query, *query_bias, *relative, *weight, *bias, *scale;
	float *y;
};

static float sigmoid(double x)
{
	return (float)(1 / (1 + exp(-x)));
}

/* Row @begin of [batch, heads, rows] and on. */
static void gate_rows(void *arg, int64_t begin, int64_t end)
{
	const struct gated *g = arg;

	for (int64_t i = begin; i < end; i++) {
		int64_t row = i % g->rows, head = i / g->rows % g->heads, batch = i / g->rows / g->heads;
		const float *q = g->query + ((batch * g->rows + row) * g->heads + head) * g->head_size;
		const float *relative = g->relative + (head * g->rows + row) * g->rows;
		double sums[2] = {0, 0};
		float update, reset, gate;

		for (int64_t d = 0; d < g->gates; d++)
			sums[d >= g->gates / 2] += (double)g->bias[d];
		for (int64_t j = 0; j < g->head_size; j++) {
			double biased = (double)(q[j] + g->query_bias[head * g->head_size + j]);

			for (int64_t d = 0; d < g->gates; d++)
				sums[d >= g->gates / 2] += biased * (double)g->weight[j * g->gates + d];
		}
		update = sigmoid(sums[0]);
		reset = sigmoid(sums[1]);
		gate = update * (reset * g->scale[head] - 1) + 2;
		for (int64_t k = 0; k < g->rows; k++)
			g->y[i * g->rows + k] = gate * relative[k];
	}
}

static int run_gated_relative_position_bias(struct op_call *call)
{
	const struct tensor *q = call->inputs[0], *weight = call->inputs[3];
	struct gated g = {.heads = op_attr_int(call->node, "num_heads", 0)};
	int64_t sizes[6], dims[4];
	int err = heads_check_floats(call, 0, 6);

	if (err)
		return err;
	if (op_input(call, 6))
		return op_fail(call, -ENOTSUP, "GatedRelativePositionBias: token_offset (input 6) is not implemented");
	if (q->rank != 3 || g.heads < 1 || q->dims[2] % g.heads)
		return op_fail(call, -EINVAL,
			       "GatedRelativePositionBias: input 0 is not [batch, rows, %lld heads * size]",
			       (long long)g.heads);
	g.rows = q->dims[1];
	g.head_size = q->dims[2] / g.heads;
	if (weight->rank != 2 || weight->dims[0] != g.head_size || weight->dims[1] % 2)
		return op_fail(call, -EINVAL, "GatedRelativePositionBias: the weight (input 3) is not [%lld, 2 n]",
			       (long long)g.head_size);
	g.gates = weight->dims[1];
	memcpy(sizes,
	       (int64_t[]){tensor_count(q), q->dims[2], g.heads * g.rows * g.rows, tensor_count(weight), g.gates,
			   g.heads},
	       sizeof(sizes));
	for (size_t i = 0; i < 6; i++)
		if (tensor_count(call->inputs[i]) != sizes[i])
			return op_fail(call, -EINVAL,
				       "GatedRelativePositionBias: input %zu has %lld elements, not %lld", i,
				       (long long)tensor_count(call->inputs[i]), (long long)sizes[i]);
	memcpy(dims, (int64_t[]){q->dims[0], g.heads, g.rows, g.rows}, sizeof(dims));
	err = op_output(call, 0, DTYPE_F32, 4, dims);
	if (err || !op_wanted(call, 0))
		return err;
	g.query = q->data;
	g.query_bias = call->inputs[1]->data;
	g.relative = call->inputs[2]->data;
	g.weight = weight->data;
	g.bias = call->inputs[4]->data;
	g.scale = call->inputs[5]->data;
	g.y = call->outputs[0]->data;
	parallel_range(call->pool, dims[0] * g.heads * g.rows, PARALLEL_GRAIN / (g.rows + g.gates * g.head_size + 1),
		       gate_rows, &g);
	return 0;
}

const struct op_kernel ops_ms_position_bias[] = {
	{MICROSOFT, "GatedRelativePositionBias", 1, 0, 6, 7, 1, 1, run_gated_relative_position_bias, NULL, NULL,
	 &op_half_in_f32},
	{MICROSOFT, "RelativePositionBias", 1, 0, 3, 3, 1, 1, run_relative_position_bias, NULL, NULL, &op_half_in_f32},
};
const size_t ops_ms_position_bias_count = sizeof(ops_ms_position_bias) / sizeof(ops_ms_position_bias[0]);
