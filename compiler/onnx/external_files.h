/* SPDX-License-Identifier: MIT */
/* Which files beside it a model needs, from its bytes alone: nothing is unpacked, no tensor is copied. */
#ifndef COMPILER_ONNX_EXTERNAL_FILES_H
#define COMPILER_ONNX_EXTERNAL_FILES_H

#include <stddef.h>
#include <stdint.h>

/* struct onnx_external_files - @locations as the model writes them, each once, in the order of their first use */
struct onnx_external_files {
	char **locations;
	size_t count;
};

/*
 * The locations of all external data in the ModelProto of @size @bytes: initializers, sparse ones, attributes, bodies and functions. 0;
 * -EINVAL: no protobuf message, or nested deeper than an importer goes; -ENOMEM. Finish @files in any case.
 */
int onnx_external_files(const uint8_t *bytes, size_t size, struct onnx_external_files *files);
void onnx_external_files_finish(struct onnx_external_files *files);

#endif
