/* SPDX-License-Identifier: MIT */
/* An ONNX file in, one out whose inner values are outputs as well: for looking at a network layer by layer. */
#ifndef COMPILER_PROBE_FILE_H
#define COMPILER_PROBE_FILE_H

#include "compiler/compiler.h"

/* What an output of the probed model is: the node's name and operator. The strings are the result's. */
struct probe_value {
	const char *value, *node, *op_type;
};

/*
 * @values: the outputs of the probed model in their order, which is that of the nodes
 * @graph:  to which the names belong
 */
struct probe_result {
	struct graph *graph;
	size_t num_values;
	struct probe_value *values;
};

/*
 * Write the model at @path to @output with every tensor that a node of the main graph computes as an output. Constants are folded, symbolic
 * dimensions get the sizes of @dims or 1, nothing else changes. What the model gives besides (an input passed through, a sequence) stays
 * an output, behind those. -EINVAL: the model breaks a rule, -EFBIG: more than 2 GiB, -ENOTSUP, -ENOMEM, the files' errors.
 * probe_result_finish() in any case.
 */
int probe_file(const char *path, size_t num_dims, const struct compile_dim *dims, const char *output,
	       struct probe_result *result, char *error, size_t error_size);
void probe_result_finish(struct probe_result *result);

#endif
