/* SPDX-License-Identifier: MIT */
/*
 * What the lowerings of Conv and Gemm share: element types, zero points, bias and scale tables, activations of the
 * drain.
 */
#ifndef COMPILER_TARGET_LOWER_MATRIX_H
#define COMPILER_TARGET_LOWER_MATRIX_H

#include "compiler/target/cut.h"
#include "compiler/target/matrix_work.h"

/* An [N][C][W] or [N][C][H][W] tensor as [N][H][W][C]. */
struct dev_tensor matrix_image(const struct dev_tensor *tensor);

/* Tables that a matrix_work points to, owned here. */
struct matrix_tables {
	void *bias;
	float *scale;
};
void matrix_tables_finish(struct matrix_tables *tables);

/* 0 when @value (NULL: zero) is one zero point for all channels, else -ENOTSUP. */
int matrix_zero_uniform(const struct graph_value *value);

/* a_type, w_type and the accumulator, output and residual types of @work. -ENOTSUP when the device has no such type. */
int matrix_set_types(struct lower *lower, struct matrix_work *work, const struct graph_value *x, enum dtype w,
		     const struct graph_value *y);
/* The same for an estimate, where no tensors exist yet. */
void matrix_estimate_types(struct matrix_work *work, enum dtype x, enum lower_precision precision);

void matrix_set_zeros(struct matrix_work *work, const struct graph_value *a_zero, const struct graph_value *w_zero);

/*
 * Requantization as ONNX's QLinear operators define it: out = saturate(round_half_even(acc * s) + y_zero), with
 * s = (x_scale * w_scale[oc]) / y_scale, both operations rounded to binary32 (ONNX Operators, QLinearConv,
 * QLinearMatMul).
 */
int matrix_set_requantize(struct matrix_work *work, struct matrix_tables *tables, const struct graph_value *x_scale,
			  const struct graph_value *x_zero, const struct graph_value *w_scale,
			  const struct graph_value *w_zero, const struct graph_value *y_scale,
			  const struct graph_value *y_zero);

/*
 * The same of axl QLinear (runtime/cpu/linear.c): the product goes back to floats, acc * (x_scale * w_scale[oc]), and after
 * activation and residual into integers again where there is @y_scale.
 */
int matrix_set_rescale(struct matrix_work *work, struct matrix_tables *tables, const struct graph_value *x_scale,
		       const struct graph_value *x_zero, const struct graph_value *w_scale,
		       const struct graph_value *w_zero, const struct graph_value *y_scale,
		       const struct graph_value *y_zero);

/* Bias of oc elements (or one for all), times @factor for float ones. NULL: none. */
int matrix_set_bias(struct matrix_work *work, struct matrix_tables *tables, const struct graph_value *bias,
		    float factor);

/*
 * Is @node an addition or a pool that the convolution in front of it does in its drain, as far as can be said before that is
 * lowered?
 */
bool lower_conv_does(const struct lower *lower, const struct graph_node *node);
/* Is @value what a convolution adds to its sums in @node: its own residual, or an addition that it does? */
bool lower_conv_adds(const struct lower *lower, const struct graph_node *node, const struct graph_value *value);
/*
 * Does the convolution or addition @node, on a target of several tiles, take @value in parts (cut.h)? *box: the
 * positions that @tile then reads of it.
 */
bool lower_conv_reads_part(const struct lower *lower, const struct graph_node *node, const struct graph_value *value,
			   unsigned int tile, struct cut_box *box);

/* The step between rows and columns of @value that the convolution @node reads, if it can leave the others in memory; else 1. */
int64_t lower_conv_step(const struct lower *lower, const struct graph_node *node, const struct graph_value *value);

/* The attributes activation and activation_params of Fused* operators; after the residual when there is one. */
int matrix_activation_supported(const struct graph_node *node, char *reason, size_t size);
int matrix_set_activation(struct matrix_work *work, const struct graph_node *node, bool residual);

#endif
