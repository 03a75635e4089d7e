/* SPDX-License-Identifier: MIT */
/*
 * The plan of a quantization: which nodes compute in integers, and with which numbers. It changes nothing in the graph, so
 * that it can be measured (measure.c) and made again with other layers left float before it is carried out (insert.c).
 */
#ifndef COMPILER_QUANT_PLAN_H
#define COMPILER_QUANT_PLAN_H

#include "compiler/quant/quantize.h"
#include "compiler/quant/stats.h"
#include "compiler/work_share.h"

/*
 * conv, product: with weights; their sums are int32
 * linear:        axl Linear, a product whose residual is float, and its result where not only Linears read it
 * binary, unary: computed from what the bytes mean and rounded once; concatenations, too
 * moving:        elements are chosen or moved: the grid stays that of the input
 */
enum quant_kind {
	QUANT_FLOAT,
	QUANT_CONV,
	QUANT_PRODUCT,
	QUANT_LINEAR,
	QUANT_BINARY,
	QUANT_UNARY,
	QUANT_CONCAT,
	QUANT_MOVING,
};

/*
 * struct quant_value - the grid of one value
 * @used:    it has a form of 8 bits
 * @integer: an integer node computes it, so that its float form is made from the bytes
 */
struct quant_value {
	bool used, integer;
	float scale;
	int zero;
};

/*
 * struct quant_weights - of a convolution or product
 * @q:      int8, of the shape of the float weights
 * @bias:   int32 by channel, NULL: none
 * @scales: by channel, @channels of them along @axis of the weights
 * @x_scale: of the input that @bias was made for
 */
struct quant_weights {
	struct tensor q;
	int32_t *bias;
	float *scales;
	int64_t channels;
	int axis;
	float x_scale;
};

/*
 * struct quant_node
 * @kind:   what it could be; @integer: it is
 * @reason: why it is not; static
 * @result: the value that gets the grid: its output, or that of the Relu or Clip that saturation replaces
 * @keep_float: asked to stay so
 * @floats_out: it is an integer node whose result is not rounded to 8 bits
 * @signal, @noise: sums of squares of the result and of what quantization adds, in the whole network
 * @own_noise: what it adds by itself
 * @noise_without: of the outputs, when it alone stays float; of layers that were ranked
 */
struct quant_node {
	enum quant_kind kind;
	bool integer, keep_float, floats_out;
	const char *reason;
	struct graph_value *result;
	struct quant_weights weights;
	double signal, noise, own_signal, own_noise, noise_without;
};

struct quant_plan {
	struct graph *graph;
	const struct quant_options *options;
	const struct quant_stats *stats;
	struct quant_node *nodes;   /* by node id */
	struct quant_value *values; /* by value id */
	size_t num_nodes, num_values;
};

/* By the operator alone; plan.c says later whether the node can be what its kind is. */
enum quant_kind quant_kind_of(const struct graph_node *node);

/* Room for the plan of @graph; all layers may be integers. */
int quant_plan_init(struct quant_plan *plan, struct graph *graph, const struct quant_options *options);
/* Decide, with the ranges of @stats and the keep_float of the nodes. May be called again. -ENOMEM. */
int quant_plan_make(struct quant_plan *plan, const struct quant_stats *stats);
void quant_plan_finish(struct quant_plan *plan);

/* Does an integer node of @kind read its input @index in 8 bits? */
static inline bool quant_reads_bytes(enum quant_kind kind, size_t index)
{
	return kind != QUANT_LINEAR || index == 0;
}

/* Element @i of quantized weights as a number, for loops over all: @inner elements follow each other in a channel. */
static inline int64_t quant_weights_inner(const struct quant_weights *weights)
{
	int64_t inner = 1;

	for (int d = weights->axis + 1; d < weights->q.rank; d++)
		inner *= weights->q.dims[d];
	return inner;
}

/* Carry the plan out: the graph gets its QuantizeLinear and DequantizeLinear nodes. The plan's ids are void then. */
int quant_insert(const struct quant_plan *plan);

/* Scale channels before depthwise convolutions to like ranges; *pairs is how many such places there are. @undo: take it back. */
int quant_equalize(struct graph *graph, const struct quant_stats *stats, bool undo, size_t *pairs);

/* What quant_measure() finds for the outputs. */
struct quant_loss {
	double signal, noise;
	size_t same, compared; /* samples whose largest element is the same */
};

/* Run the float graph and the plan beside each other: noise of every node of @plan, and of the outputs. @share: told how far it is. */
int quant_measure(struct quant_plan *plan, const struct quant_sample *samples, size_t count,
		  const struct work_share *share, struct quant_loss *loss, char *error, size_t error_size);

/* Quantize and dequantize. */
float quant_grid_round(const struct quant_plan *plan, const struct quant_value *grid, float x);

#endif
