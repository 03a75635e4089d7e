/* SPDX-License-Identifier: MIT */
/* A model's file as its message (onnx.proto, ModelProto). */
#ifndef COMPILER_ONNX_MODEL_FILE_H
#define COMPILER_ONNX_MODEL_FILE_H

#include <stddef.h>

#include "onnx.pb-c.h"

/* What there is to say of bytes that are none. */
#define ONNX_NO_MODEL "not an ONNX model: the bytes are no ModelProto"

/*
 * *model is for onnx__model_proto__free_unpacked(…, NULL), and holds nothing of the file. At no time is more of the file in memory beside
 * it than the largest tensor. The file's errno; -EINVAL: no regular file; -EBADMSG: no ModelProto. @error is one line.
 */
int onnx_model_read(const char *path, Onnx__ModelProto **model, char *error, size_t error_size);

#endif
