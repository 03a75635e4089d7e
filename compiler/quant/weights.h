/* SPDX-License-Identifier: MIT */
/* Weights and biases of convolutions and products as integers. */
#ifndef COMPILER_QUANT_WEIGHTS_H
#define COMPILER_QUANT_WEIGHTS_H

#include "compiler/quant/plan.h"

/*
 * Quantize the weights of @node, whose input has the grid @x, along @axis of the weights. @bias: float, or NULL; @factor it is
 * multiplied by. @input: what the samples gave for the input, for the correction of the bias; NULL: no correction.
 *
 * Sums can not overflow: with inputs of 8 bits, a channel's sum stays in 32 bits with its bias whatever the input is, else its
 * scale is widened. -ENOMEM.
 */
int quant_weights_make(struct quant_weights *weights, const struct graph_node *node, int axis,
		       const struct quant_value *x, const struct tensor *bias, float factor,
		       const struct quant_stats *input);
void quant_weights_finish(struct quant_weights *weights);

#endif
