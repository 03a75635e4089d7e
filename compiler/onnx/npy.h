/* SPDX-License-Identifier: MIT */
/*
 * NumPy's .npy files (NEP 1, format versions 1 to 3): little-endian or byte-sized element types in C order.
 */
#ifndef COMPILER_ONNX_NPY_H
#define COMPILER_ONNX_NPY_H

#include <stddef.h>

#include "runtime/cpu/tensor.h"

/*
 * @tensor gets memory of its own. @expected: the type of elements that a file saved without one ("V1", "V2": what numpy has from
 * ml_dtypes); DTYPE_UNDEFINED: none. -EINVAL with the reason in @error: not .npy, a type or order that tensors do not have.
 */
int npy_read(const char *path, enum dtype expected, struct tensor *tensor, char *error, size_t error_size);
/* -ENOTSUP for strings, sequences and the like; the file's errno. */
int npy_write(const char *path, const struct tensor *tensor);

#endif
