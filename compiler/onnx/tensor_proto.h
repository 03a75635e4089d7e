/* SPDX-License-Identifier: MIT */
/* From the wire's TensorProto to a tensor; shared by the importer and tensor_file.c. */
#ifndef COMPILER_ONNX_TENSOR_PROTO_H
#define COMPILER_ONNX_TENSOR_PROTO_H

#include <stddef.h>

#include "onnx.pb-c.h"
#include "runtime/cpu/tensor.h"

/*
 * @folder: of the model, for external data, which must lie inside it; NULL: none is allowed. Takes raw_data over from
 * @proto where that saves a copy. -EINVAL, -ENOTSUP (element type), -ENOMEM, or the file's error, with the reason in
 * @error.
 */
int onnx_tensor_from_proto(Onnx__TensorProto *proto, const char *folder, struct tensor *tensor, char *error,
			   size_t error_size);

/* Bytes that @count elements take in raw_data and in external files, where narrow types are packed. */
size_t onnx_wire_bytes(enum dtype type, int64_t count);

/* @tensor, of a type of less than eight bits, as it lies there: @bytes has onnx_wire_bytes() zeros. */
void onnx_pack(const struct tensor *tensor, uint8_t *bytes);
/* The field that holds elements of @type outside raw_data: its name and entries, and how many the shape needs. */
const char *onnx_typed_field(const Onnx__TensorProto *proto, enum dtype type, int64_t count, size_t *given,
			     size_t *needed);

/* A sparse tensor (IR specification, SparseTensorProto) as a dense one, zero where it has no value. Errors likewise. */
int onnx_tensor_from_sparse(Onnx__SparseTensorProto *proto, const char *folder, struct tensor *tensor, char *error,
			    size_t error_size);

#endif
