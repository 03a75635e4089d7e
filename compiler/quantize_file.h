/* SPDX-License-Identifier: MIT */
/* An ONNX file in, a quantized ONNX file out: what `accel quantize` does. */
#ifndef COMPILER_QUANTIZE_FILE_H
#define COMPILER_QUANTIZE_FILE_H

#include "compiler/compiler.h"
#include "compiler/quant/quantize.h"

/*
 * struct quantize_request
 * @calibration: samples: a folder or an .npy file (compiler/quant/samples.h)
 * @dims:	 sizes of symbolic dimensions while the samples run; those not named become 1
 * @output:	 the file to write, NULL: none
 */
struct quantize_request {
	const char *calibration;
	size_t num_dims;
	const struct compile_dim *dims;
	const char *output;
	struct quant_options quant;
};

/*
 * struct quantize_result
 * @graph:  the quantized graph, to which the names in the report belong
 * @fixed:  the model computes with a size that had a name, so that the output has the sizes of the samples; else its inputs keep
 *	    their symbolic dimensions
 */
struct quantize_result {
	struct graph *graph;
	struct quant_report report;
	bool fixed;
};

/*
 * Quantize the model at @path. The output is in QDQ form of ONNX opset 13 or newer, as other runtimes read it. -EINVAL: the model
 * breaks a rule, is quantized already, or the samples do not fit; -ENOENT, …: the files; -ENOTSUP; -ENOMEM. Nothing is written
 * then. quantize_result_finish() in any case.
 */
int quantize_file(const char *path, const struct quantize_request *request, struct quantize_result *result, char *error,
		  size_t error_size);
void quantize_result_finish(struct quantize_result *result);

#endif
