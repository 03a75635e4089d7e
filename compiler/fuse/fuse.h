/* SPDX-License-Identifier: MIT */
/*
 * Fusion: patterns of float operators into the fused operators that the device's drain stage and the CPU library do in one go.
 * The graph stays executable; every pass may be left out.
 */
#ifndef COMPILER_FUSE_FUSE_H
#define COMPILER_FUSE_FUSE_H

#include "compiler/graph/graph.h"
#include "compiler/pass.h"

/*
 * When a pass runs besides its turn among all: FUSE_CHANNELS before any quantization (it leaves operators of ONNX only),
 * FUSE_FLOATS before the compiler's own (its pattern is of float operators).
 */
#define FUSE_CHANNELS 1u
#define FUSE_FLOATS 2u

struct fuse_pass {
	const char *name;
	enum compile_pass pass;
	int (*run)(struct graph *graph);
	unsigned int early;
};

/*
 * Quantized operators between DequantizeLinear and QuantizeLinear into the integer operator that they stand for (qdq.c):
 * QLinearConv, QLinearMatMul, QGemm, QLinearAdd, … Before graph_fold_constants(), which makes floats of quantized weights.
 */
int fuse_qdq(struct graph *graph);

/* Normalizations, and factors and addends of each channel, into the convolutions before them. */
int fuse_batchnorm(struct graph *graph);
int fuse_scale(struct graph *graph);
/* What normalizations of images are left into depthwise convolutions of one tap. */
int fuse_norm(struct graph *graph);

/* A Relu behind a concatenation to the convolutions in front of it (concat.c). */
int fuse_concat_relu(struct graph *graph);

/* Channel shuffles behind the depthwise convolutions that read them (shuffle.c). */
int fuse_shuffle(struct graph *graph);

/* In the order in which they are meant to run; ends with a NULL name. */
extern const struct fuse_pass fuse_passes[];

/* Those of them that run early for one of @early and are not in the set @disabled. -ENOMEM. */
int fuse_run_early(struct graph *graph, unsigned int early, uint32_t disabled);

#endif
