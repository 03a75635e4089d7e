/* SPDX-License-Identifier: MIT */
/*
 * Fusions for transformers: what exporters take apart is put together again.
 *
 *	fuse_layer_norm()  ReduceMean … Div, Mul, Add		  -> LayerNormalization (opset 17)
 *	fuse_gelu()	   x * (1 + Erf(x / sqrt 2)) / 2, or Tanh -> Gelu (opset 20)
 *	fuse_attention()   MatMul, scale, mask, Softmax, MatMul	  -> Attention (opset 23), the heads' Reshape and Transpose in it
 *	fuse_linear()	   MatMul, bias, activation or residual	  -> axl Linear (runtime/cpu/linear.c)
 *
 * All return 0 or -ENOMEM; the graph stays executable.
 */
#ifndef COMPILER_FUSE_TRANSFORMER_H
#define COMPILER_FUSE_TRANSFORMER_H

#include "compiler/graph/graph.h"

int fuse_layer_norm(struct graph *graph);
int fuse_gelu(struct graph *graph);
int fuse_attention(struct graph *graph);
int fuse_linear(struct graph *graph);

#endif
