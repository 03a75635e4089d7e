/* SPDX-License-Identifier: MIT */
/*
 * Normalization over any axes, in double: what float64 runs through, and every form that is too rare for a loop of its own
 * (scales that broadcast, statistics by activation, training).
 */
#ifndef RUNTIME_CPU_NORMALIZE_H
#define RUNTIME_CPU_NORMALIZE_H

#include <stdbool.h>

#include "runtime/cpu/tensor.h"

struct cpu_pool;

enum normalize_form {
	NORMALIZE_VARIANCE,  /* (x - mean) / sqrt(variance + epsilon) */
	NORMALIZE_DEVIATION, /* (x - mean) / (sqrt(variance) + epsilon): MeanVarianceNormalization */
	NORMALIZE_SQUARES,   /* x / sqrt(mean of squares + epsilon): RMSNormalization */
};

/* A parameter that broadcasts to x: its element at an index of x is at the sum of index times stride. NULL data: none. */
struct normalize_operand {
	const double *data;
	int64_t strides[TENSOR_MAX_RANK];
};

/*
 * struct normalize - one call; memory is the caller's
 * @x, @y:     dense tensors of @dims
 * @over:      by axis: the statistics are taken over it
 * @mean, @variance: statistics that are given (both or none); none are taken then
 * @mean_out, @variance_out: by position of the axes that are kept, in row-major order; NULL when nobody asks. With
 *             NORMALIZE_SQUARES the second is the mean of squares
 */
struct normalize {
	int rank;
	int64_t dims[TENSOR_MAX_RANK];
	bool over[TENSOR_MAX_RANK];
	enum normalize_form form;
	double epsilon;
	const double *x;
	double *y;
	struct normalize_operand scale, bias, mean, variance;
	double *mean_out, *variance_out;
};

/* y = normalized x * scale + bias. Nothing can fail; empty tensors are left alone. */
void normalize_run(const struct normalize *n, struct cpu_pool *pool);

#endif
