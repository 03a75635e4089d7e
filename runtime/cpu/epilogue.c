// SPDX-License-Identifier: MIT
/*
 * Epilogues: see epilogue.h. Blocks are small enough to be in the first-level cache when they come here.
 */
#include "runtime/cpu/epilogue.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/vector_math.h"

struct activation_name {
	const char *name;
	enum activation activation;
	float alpha, beta; /* ONNX's defaults */
};

static const struct activation_name activation_names[] = {
	{"Relu", ACTIVATION_RELU, 0, 0},
	{"LeakyRelu", ACTIVATION_LEAKY_RELU, 0.01f, 0},
	{"Clip", ACTIVATION_CLIP, -INFINITY, INFINITY},
	{"HardSigmoid", ACTIVATION_HARD_SIGMOID, 0.2f, 0.5f},
	{"HardSwish", ACTIVATION_HARD_SWISH, 1.0f / 6.0f, 0.5f},
	{"Sigmoid", ACTIVATION_SIGMOID, 0, 0},
	{"Tanh", ACTIVATION_TANH, 0, 0},
};

int epilogue_read(struct op_call *call, struct epilogue *e)
{
	const struct attr *params = op_attr(call->node, "activation_params");
	const struct attr *name = op_attr(call->node, "activation");

	if (!name || name->type != ATTR_STRING || !name->s.size)
		return 0;
	for (size_t i = 0; i < sizeof(activation_names) / sizeof(activation_names[0]); i++) {
		const struct activation_name *entry = &activation_names[i];

		if (!op_attr_is(call->node, "activation", NULL, entry->name))
			continue;
		e->activation = entry->activation;
		e->alpha = op_attr_float(call->node, "activation_alpha", entry->alpha);
		e->beta = op_attr_float(call->node, "activation_beta", entry->beta);
		if (params && params->type == ATTR_FLOATS && params->count > 0)
			e->alpha = params->floats[0];
		if (params && params->type == ATTR_FLOATS && params->count > 1)
			e->beta = params->floats[1];
		return 0;
	}
	return op_fail(call, -ENOTSUP, "%s: the fused activation \"%.*s\" is not implemented", call->node->op_type,
		       (int)(name->s.size > 32 ? 32 : name->s.size), name->s.data);
}

CPU_CLONES static void relu(int64_t n, float *v)
{
	for (int64_t i = 0; i < n; i++)
		v[i] = v[i] < 0 ? 0 : v[i]; /* NaN stays */
}

CPU_CLONES static void leaky_relu(int64_t n, float *v, float alpha)
{
	for (int64_t i = 0; i < n; i++)
		v[i] = v[i] < 0 ? v[i] * alpha : v[i];
}

CPU_CLONES static void clip(int64_t n, float *v, float low, float high)
{
	for (int64_t i = 0; i < n; i++) {
		float x = v[i] < low ? low : v[i];

		v[i] = x > high ? high : x;
	}
}

CPU_CLONES static void hard_sigmoid(int64_t n, float *v, float alpha, float beta)
{
	for (int64_t i = 0; i < n; i++) {
		float x = alpha * v[i] + beta;

		x = x < 0 ? 0 : x;
		v[i] = x > 1 ? 1 : x;
	}
}

CPU_CLONES static void hard_swish(int64_t n, float *v, float alpha, float beta)
{
	for (int64_t i = 0; i < n; i++) {
		float x = alpha * v[i] + beta;

		x = x < 0 ? 0 : x;
		v[i] *= x > 1 ? 1 : x;
	}
}

CPU_CLONES static void sigmoid(int64_t n, float *v)
{
	for (int64_t i = 0; i < n; i++)
		v[i] = vector_sigmoidf(v[i]);
}

CPU_CLONES static void hyperbolic_tangent(int64_t n, float *v)
{
	for (int64_t i = 0; i < n; i++)
		v[i] = vector_tanhf(v[i]);
}

void activation_apply(enum activation activation, float alpha, float beta, int64_t n, float *values)
{
	switch (activation) {
	case ACTIVATION_NONE:
		break;
	case ACTIVATION_RELU:
		relu(n, values);
		break;
	case ACTIVATION_LEAKY_RELU:
		leaky_relu(n, values, alpha);
		break;
	case ACTIVATION_CLIP:
		clip(n, values, alpha, beta);
		break;
	case ACTIVATION_HARD_SIGMOID:
		hard_sigmoid(n, values, alpha, beta);
		break;
	case ACTIVATION_HARD_SWISH:
		hard_swish(n, values, alpha, beta);
		break;
	case ACTIVATION_SIGMOID:
		sigmoid(n, values);
		break;
	case ACTIVATION_TANH:
		hyperbolic_tangent(n, values);
		break;
	}
}

/* The usual tails in one pass over the row: bias, residual and a lower bound (-infinity: none, 0: Relu). */
CPU_CLONES static void add_bias_floor(int64_t n, float *c, float bias, float floor)
{
	for (int64_t i = 0; i < n; i++) {
		float x = c[i] + bias;

		c[i] = x < floor ? floor : x;
	}
}

CPU_CLONES static void add_residual_floor(int64_t n, float *c, float bias, const float *residual, float floor)
{
	for (int64_t i = 0; i < n; i++) {
		float x = (c[i] + bias) + residual[i];

		c[i] = x < floor ? floor : x;
	}
}

CPU_CLONES static void store_bias_floor(int64_t n, const float *restrict sums, float bias, float floor,
					float *restrict y)
{
	for (int64_t i = 0; i < n; i++) {
		float x = sums[i] + bias;

		y[i] = x < floor ? floor : x;
	}
}

CPU_CLONES static void store_residual_floor(int64_t n, const float *restrict sums, float bias,
					    const float *restrict residual, float floor, float *restrict y)
{
	for (int64_t i = 0; i < n; i++) {
		float x = (sums[i] + bias) + residual[i];

		y[i] = x < floor ? floor : x;
	}
}

void epilogue_store(const struct epilogue *e, int64_t row, int64_t column, int64_t n, const float *sums, float *y)
{
	float bias = e->row_bias ? e->row_bias[row] : 0, floor = epilogue_floor(e);

	if (e->residual)
		store_residual_floor(n, sums, bias, e->residual + row * e->residual_stride + column, floor, y);
	else
		store_bias_floor(n, sums, bias, floor, y);
	if (!epilogue_is_affine(e))
		activation_apply(e->activation, e->alpha, e->beta, n, y);
}

void epilogue_apply(const struct epilogue *e, int64_t row, int64_t rows, int64_t column, int64_t columns, float *c,
		    int64_t stride)
{
	float floor = epilogue_floor(e);

	if (epilogue_is_empty(e))
		return;
	for (int64_t i = 0; i < rows; i++) {
		float bias = e->row_bias ? e->row_bias[row + i] : 0, *line = c + i * stride;

		if (e->residual)
			add_residual_floor(columns, line, bias, e->residual + (row + i) * e->residual_stride + column,
					   floor);
		else
			add_bias_floor(columns, line, bias, floor);
		if (e->activation != ACTIVATION_RELU)
			activation_apply(e->activation, e->alpha, e->beta, columns, line);
	}
}
