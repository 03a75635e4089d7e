/* SPDX-License-Identifier: MIT */
/* TensorProto messages as tensors: initializers of a model, and the .pb files of ONNX test data. */
#ifndef COMPILER_ONNX_TENSOR_FILE_H
#define COMPILER_ONNX_TENSOR_FILE_H

#include <stddef.h>

#include "runtime/cpu/tensor.h"

/* Read a file that holds one TensorProto. @tensor owns its memory. -EINVAL and others with the reason in @error. */
int onnx_tensor_read(const char *path, struct tensor *tensor, char *error, size_t error_size);

#endif
