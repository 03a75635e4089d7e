/* SPDX-License-Identifier: MIT */
/*
 * Post-training quantization of a float graph to 8-bit integers, in QDQ form.
 *
 *	fuse_run_early()   constants of each channel into the convolutions before them
 *	quant_calibrate()  the float graph on samples: a range for every value (stats.h, range.h)
 *	quant_equalize()   channels before depthwise convolutions to like ranges (powers of two: the answer stays)
 *	quant_plan_make()  which nodes compute in integers, with which scales and weights (plan.h)
 *	quant_measure()    the graph with the plan's roundings against the float graph, layer by layer
 *	quant_insert()	   the plan as QuantizeLinear and DequantizeLinear nodes
 *
 * Activations are 8-bit with one scale and zero point a tensor; weights signed 8-bit, symmetric in [-127, 127], with one
 * scale an output channel; biases int32 at the product of both, less the mean of the error that rounding the weights
 * makes. Weight scales are widened where a sum could leave 32 bits. compiler/fuse/qdq.c makes integer operators of the
 * result, here and for models that came quantized. Operators that are not quantized stay float between conversions.
 */
#ifndef COMPILER_QUANT_QUANTIZE_H
#define COMPILER_QUANT_QUANTIZE_H

#include "compiler/graph/graph.h"
#include "compiler/quant/range.h"
#include "compiler/quant/samples.h"
#include "compiler/work_share.h"

struct quant_wide; /* wide.h */

/*
 * struct quant_options - zeroed means defaults
 * @method:      how a range follows from what the samples gave
 * @is_signed:   activations are int8 instead of uint8
 * @plain:	 no equalisation, no bias correction
 * @own_ranges:  inputs of a concatenation keep scales of their own
 * @target_loss: keep layers float until the outputs' relative error (quant_report.loss) is at most this; 0: no target
 * @share:	 told how far it is
 */
struct quant_options {
	enum quant_method method;
	bool is_signed;
	bool plain;
	bool own_ranges;
	double target_loss;
	struct work_share share;
};

/*
 * struct quant_layer - one operator that has an integer form, in the graph's order
 * @integer: it computes in 8 bits; else @reason says why not
 * @own_db:  signal to noise of its output when it alone is quantized, on float inputs
 * @db:	     the same with all that is quantized before it: what it hands on; INFINITY: no noise
 */
struct quant_layer {
	const char *name, *op_type, *reason;
	bool integer;
	double own_db, db;
};

/*
 * struct quant_report
 * @loss:      root of noise over signal, over all float outputs and samples
 * @agreement: share of the samples whose largest element of the first output is the same, 0 to 1; below 0: it has none
 * @equalized: pairs of convolutions whose channels were scaled
 * @kept_float: layers that --target-loss keeps float
 */
struct quant_report {
	size_t num_layers;
	struct quant_layer *layers; /* names belong to the graph */
	size_t num_samples;
	double loss, db, agreement;
	size_t equalized, integer, kept_float;
};
void quant_report_finish(struct quant_report *report);

/* Names of the methods by their number, NULL at the end; -1: no such method. */
extern const char *const quant_methods[];
int quant_method_find(const char *name);

/* The first node that is in a quantized form already, or NULL. */
const struct graph_node *quant_find_quantized(const struct graph *graph);

/*
 * Quantize @graph, whose types and shapes are known, by what @samples give. @report: measured, or NULL: nothing is measured, and
 * @options->target_loss is not looked at. @wide: which of the nodes that stay float are beyond binary16, or NULL. -EINVAL: a sample is
 * not finite; -ENOTSUP: an operator has no CPU kernel, or the target can not be met; -ENOMEM. The text is in @error.
 */
int quant_graph(struct graph *graph, const struct quant_sample *samples, size_t count,
		const struct quant_options *options, struct quant_report *report, struct quant_wide *wide, char *error,
		size_t error_size);

#endif
