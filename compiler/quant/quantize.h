/* SPDX-License-Identifier: MIT */
/*
 * Post-training quantization of a float graph to 8-bit integers.
 *
 * Activations are unsigned 8-bit with one scale and zero point a tensor, weights signed 8-bit with one scale an output
 * channel, symmetric in [-127, 127]; biases are 32-bit at the product of both scales. Ranges are the smallest and
 * largest values seen when the float graph runs on samples. Convolutions, matrix products, additions, multiplications,
 * poolings and concatenations become ONNX's (or ONNX Runtime's) QLinear operators; Relu and Clip vanish into the
 * saturation of what feeds them; whatever else there is stays float between a DequantizeLinear and a QuantizeLinear.
 */
#ifndef COMPILER_QUANT_QUANTIZE_H
#define COMPILER_QUANT_QUANTIZE_H

#include "compiler/graph/graph.h"

/* One set of inputs, in the graph's order; borrowed. */
struct quant_sample {
	const struct tensor *const *inputs;
};

/*
 * Run the graph on the CPU for each sample and record lo and hi of every float value. -ENOTSUP with the node in @error
 * when an operator has no CPU kernel; what the kernel returns otherwise.
 */
int quant_calibrate(struct graph *graph, const struct quant_sample *samples, size_t count, char *error,
		    size_t error_size);

/* Samples of uniform noise in [-1, 1) (integers 0..99) made from @seed, for graphs without real ones. Free with
 * quant_samples_free(). */
int quant_make_samples(const struct graph *graph, uint64_t seed, size_t count, struct quant_sample **samples);
void quant_samples_free(struct quant_sample *samples, size_t count, size_t num_inputs);

/*
 * Samples from files: FOLDER/test_data_set_N/input_I.pb for N = 0, 1, … (at most QUANT_MAX_SAMPLES), or FOLDER/input_I.pb for one. -ENOENT,
 * -EINVAL with the file in @error.
 */
#define QUANT_MAX_SAMPLES 512
int quant_load_samples(const struct graph *graph, const char *folder, struct quant_sample **samples, size_t *count, char *error,
		       size_t error_size);

/* Undo the fusion of residual additions, so that the sum's operands get ranges of their own. Before quant_calibrate().
 */
int quant_split_residuals(struct graph *graph);

/* Rewrite the calibrated graph. -ENOMEM; -EINVAL when nothing was calibrated. */
int quant_rewrite(struct graph *graph, char *error, size_t error_size);

#endif
