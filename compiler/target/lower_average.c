/* SPDX-License-Identifier: MIT */
/*
 * Average pools on the matrix unit: a depthwise convolution with weights of one, divided in the drain. Where padding
 * does not count, positions at the border have divisors of their own; matrix_lower() cuts its chunks there.
 *
 * Quantized pools are as ONNX Runtime's: saturate(round_half_even(sum of (x - x_zero) * s) + y_zero) with
 * s = x_scale / (y_scale * count), each operation rounded to binary32.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/target/lower_matrix.h"
#include "compiler/target/lower_pool.h"
#include "compiler/target/resident.h"

/* Above, a running sum of floats loses digits that the vector unit's partial sums keep. */
#define MAX_TAPS 1024

bool average_fits_matrix(const struct graph_node *node, const struct pool *pool)
{
	for (int i = 0; i < 2; i++)
		if (pool->kernel[i] > 255 || pool->stride[i] > 255 || pool->dilation[i] > 255 || pool->in[i] > 65535 ||
		    pool->begin[i] > 4096)
			return false;
	for (size_t i = 1; i < node->num_inputs; i++)
		if (node->inputs[i] && (!node->inputs[i]->constant || tensor_count(node->inputs[i]->constant) != 1))
			return false;
	return pool->kernel[0] * pool->kernel[1] <= MAX_TAPS;
}

bool average_takes(const struct lower *lower, const struct graph_node *node)
{
	struct pool pool;
	char reason[64];

	return pass_runs(lower->disabled, PASS_POOL_MATRIX) && !pool_read(node, &pool, reason, sizeof(reason)) &&
	       average_fits_matrix(node, &pool);
}

static void set_geometry(struct matrix_work *work, const struct pool *pool, int64_t channels)
{
	work->depthwise = work->uniform = true;
	work->groups = work->oc = channels;
	work->ic = 1;
	work->ih = pool->in[0];
	work->iw = pool->in[1];
	work->oh = pool->out[0];
	work->ow = pool->out[1];
	work->kh = pool->kernel[0];
	work->kw = pool->kernel[1];
	work->sh = pool->stride[0];
	work->sw = pool->stride[1];
	work->dh = pool->dilation[0];
	work->dw = pool->dilation[1];
	work->pt = pool->begin[0];
	work->pl = pool->begin[1];
	work->in_dil_h = work->in_dil_w = 1;
}

/* X, X_scale, X_zero, Y_scale, Y_zero of a quantized pool; a float one divides by the count alone. */
static void set_mean(struct matrix_work *work, const struct graph_node *node)
{
	const struct graph_value *y_zero = node->num_inputs > 4 ? node->inputs[4] : NULL;

	work->post.dr_flags |= AXL_DR_SCALE_IMM;
	work->mean_scale = work->mean_divisor = 1;
	if (!pool_is_quantized(node))
		return;
	work->mean_scale = (float)tensor_get_f64(node->inputs[1]->constant, 0);
	work->mean_divisor = (float)tensor_get_f64(node->inputs[3]->constant, 0);
	matrix_set_zeros(work, node->inputs[2], NULL);
	work->post.out_zero = (int16_t)(y_zero ? tensor_get_s64(y_zero->constant, 0) : 0);
}

int average_lower(struct lower *lower, struct graph_node *node)
{
	static const int order[4] = {0, 2, 3, 1}, order_1d[3] = {0, 2, 1};
	static const int8_t one = 1;
	static const float one_float = 1;
	bool quantized = pool_is_quantized(node);
	struct matrix_work work = {.node = node};
	struct pool pool;
	const struct dev_tensor *x, *y;
	int64_t *counts;
	int err = pool_read(node, &pool, lower->error, sizeof(lower->error));

	if (err)
		return err;
	work.source = node->inputs[0];
	x = cut_has_channels(lower, work.source) ? &lower->tensors[work.source->id] : lower_tensor(lower, work.source);
	y = lower_output_resident(lower, node->outputs[0], pool.spatial == 2 ? order : order_1d);
	counts = malloc((size_t)(pool.out[0] + pool.out[1]) * sizeof(*counts));
	if (!x || !y || !counts) {
		free(counts);
		return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
	}
	for (int64_t h = 0; h < pool.out[0]; h++)
		counts[h] = pool_count(&pool, 0, h);
	for (int64_t w = 0; w < pool.out[1]; w++)
		counts[pool.out[0] + w] = pool_count(&pool, 1, w);
	work.x = matrix_image(x);
	work.y = matrix_image(y);
	work.x_resident = tensor_is_resident(lower, x);
	work.y_resident = tensor_is_resident(lower, y);
	work.spad_taken = lower->resident.bytes;
	set_geometry(&work, &pool, node->inputs[0]->dims[1]);
	work.count_h = counts;
	work.count_w = counts + pool.out[0];
	work.weight.data = quantized ? (const void *)&one : &one_float;
	work.weight.dtype = quantized ? DTYPE_S8 : DTYPE_F32;
	err = matrix_set_types(lower, &work, node->inputs[0], work.weight.dtype, node->outputs[0]);
	if (!err) {
		set_mean(&work, node);
		err = matrix_lower(lower, &work);
	} else {
		lower_fail(lower, node, err, "an average of this type");
	}
	free(counts);
	return err;
}

uint64_t average_cycles(const struct graph_node *node, const struct target *target, enum lower_precision precision)
{
	struct matrix_work work = {.node = node};
	struct matrix_plan plan;
	struct pool pool;
	char reason[64];

	if (pool_read(node, &pool, reason, sizeof(reason)))
		return 0;
	set_geometry(&work, &pool, node->inputs[0]->dims[1]);
	work.x.dims[WORK_N] = node->inputs[0]->dims[0];
	matrix_estimate_types(&work, node->inputs[0]->dtype, precision);
	return matrix_plan(&work, target, &plan, NULL) ? 0 : plan.cycles;
}

static int average_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			    char *reason, size_t size)
{
	struct op_node op = graph_op_node(node);
	struct pool pool;
	int err = pool_read(node, &pool, reason, size);

	(void)target;
	(void)precision;
	if (err)
		return err;
	if (op_attr_int(&op, "channels_last", 0)) {
		snprintf(reason, size, "channels_last");
		return -ENOTSUP;
	}
	if (!average_fits_matrix(node, &pool)) {
		snprintf(reason, size, "its window is too large for the matrix unit, or a scale not one constant");
		return -ENOTSUP;
	}
	return 0;
}

extern const struct lower_op lower_ops_average[];
const struct lower_op lower_ops_average[] = {
	{"com.microsoft", "QLinearAveragePool", average_supports, average_lower, average_cycles},
	{NULL, NULL, NULL, NULL, NULL},
};
