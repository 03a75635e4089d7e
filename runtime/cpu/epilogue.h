/* SPDX-License-Identifier: MIT */
/*
 * What fused operators do to a product before it is stored: add a bias, add a residual, apply an activation.
 *
 * Rows are the product's rows. A convolution's row is an output channel, its bias is one number a row; Gemm's bias may
 * differ by column too.
 */
#ifndef RUNTIME_CPU_EPILOGUE_H
#define RUNTIME_CPU_EPILOGUE_H

#include <math.h>

#include "runtime/cpu/op.h"

enum activation {
	ACTIVATION_NONE,
	ACTIVATION_RELU,
	ACTIVATION_LEAKY_RELU,   /* alpha */
	ACTIVATION_CLIP,         /* alpha: low, beta: high */
	ACTIVATION_HARD_SIGMOID, /* alpha, beta */
	ACTIVATION_HARD_SWISH,   /* x * HardSigmoid(x; alpha, beta) */
	ACTIVATION_SIGMOID,
	ACTIVATION_TANH,
};

/*
 * struct epilogue - y = activation(c + bias + residual)
 * @row_bias:      one number a row, or NULL
 * @residual:      as large as the product, row stride @residual_stride elements, or NULL
 */
struct epilogue {
	enum activation activation;
	float alpha, beta;
	const float *row_bias;
	const float *residual;
	int64_t residual_stride;
};

/*
 * The attributes activation and activation_params of FusedConv, or activation, activation_alpha, activation_beta and
 * activation_gamma of FusedGemm. -ENOTSUP with the call's error set for an activation that is not in the list above.
 */
int epilogue_read(struct op_call *call, struct epilogue *e);

/* Nothing to do; no more than bias, residual and a lower bound, which epilogue_floor() is (-infinity: none). */
static inline bool epilogue_is_empty(const struct epilogue *e)
{
	return !e->row_bias && !e->residual && e->activation == ACTIVATION_NONE;
}

static inline bool epilogue_is_affine(const struct epilogue *e)
{
	return e->activation == ACTIVATION_NONE || e->activation == ACTIVATION_RELU;
}

static inline float epilogue_floor(const struct epilogue *e)
{
	return e->activation == ACTIVATION_RELU ? 0 : -INFINITY;
}

/* One row elsewhere: y[n] from sums[n], which are row @row from column @column on. They must not overlap. */
void epilogue_store(const struct epilogue *e, int64_t row, int64_t column, int64_t n, const float *sums, float *y);

/* Apply to rows [row, row + rows), columns [column, column + columns) of the product at @c, row stride @stride. */
void epilogue_apply(const struct epilogue *e, int64_t row, int64_t rows, int64_t column, int64_t columns, float *c,
		    int64_t stride);

/* Only the activation, on @n numbers. */
void activation_apply(enum activation activation, float alpha, float beta, int64_t n, float *values);

#endif
