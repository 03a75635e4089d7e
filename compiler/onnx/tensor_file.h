/* SPDX-License-Identifier: MIT */
/* The .pb files of ONNX test data as values. */
#ifndef COMPILER_ONNX_TENSOR_FILE_H
#define COMPILER_ONNX_TENSOR_FILE_H

#include <stddef.h>

#include "runtime/cpu/tensor.h"

/* Read a file that holds one TensorProto. @tensor owns its memory. -EINVAL and others with the reason in @error. */
int onnx_tensor_read(const char *path, struct tensor *tensor, char *error, size_t error_size);

/*
 * Read a file that holds one value of @type: DTYPE_SEQUENCE a SequenceProto, DTYPE_OPTIONAL an OptionalProto, DTYPE_MAP a MapProto,
 * anything else a TensorProto of whatever element type. Where @type is bfloat16 a file that says uint16 is taken at its bits: the
 * first editions of the backend suite were made by a library that had no bfloat16.
 */
int onnx_value_read(const char *path, enum dtype type, struct tensor *value, char *error, size_t error_size);

#endif
