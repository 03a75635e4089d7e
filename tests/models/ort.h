/* SPDX-License-Identifier: MIT */
/*
 * ONNX Runtime as a peer at test time: its C API through dlopen, without its headers.  Opens a model on the CPU
 * provider and runs dense numeric tensors through it.  Not thread-safe.
 */
#ifndef TESTS_MODELS_ORT_H
#define TESTS_MODELS_ORT_H

#include "array.h"

#include <stdbool.h>

struct ort;

struct ort_options {
	int threads;            /* intra-op; at least 1 */
	bool unoptimized;       /* no graph rewriting: the model as it is written */
	const char *const *dim; /* "NAME=SIZE" for symbolic dimensions, NULL-terminated; NULL for none */
};

/*
 * library: path of libonnxruntime.so.  On failure *ort is still an object (NULL only when out of memory) whose
 * ort_error() says why.  Free with ort_destroy() in any case.
 */
int ort_create(struct ort **ort, const char *library, const char *model, const struct ort_options *options);
void ort_destroy(struct ort *ort);
const char *ort_error(const struct ort *ort);
const char *ort_version(const struct ort *ort);

size_t ort_inputs(const struct ort *ort);
size_t ort_outputs(const struct ort *ort);
const char *ort_input_name(const struct ort *ort, size_t index);
const char *ort_output_name(const struct ort *ort, size_t index);

/* Name, type and dims of an input, unknown dims as 1; no data. */
int ort_input_info(struct ort *ort, size_t index, struct array *info);

/* inputs in the model's order, data NULL for one that is not fed.  outputs: filled, to be finished by the caller. */
int ort_run(struct ort *ort, const struct array *inputs, struct array *outputs);

#endif
