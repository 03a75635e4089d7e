/* SPDX-License-Identifier: MIT */
/* Files beside a model: mapped into memory, and never outside the model's folder. */
#ifndef COMPILER_ONNX_EXTERNAL_DATA_H
#define COMPILER_ONNX_EXTERNAL_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "onnx.pb-c.h"

/* A whole file in memory. *bytes is mapped read-only; onnx_unmap() when done. The file's errno, -EINVAL: no regular file. */
int onnx_map(const char *path, uint8_t **bytes, size_t *size, char *error, size_t error_size);
void onnx_unmap(uint8_t *bytes, size_t size);

/* struct onnx_external_fields - what external_data says; @location NULL: not given; @length counts when @has_length */
struct onnx_external_fields {
	const char *location;
	uint64_t offset, length;
	bool has_length;
};

/* -EINVAL: offset or length is no number of bytes. */
int onnx_external_fields(const Onnx__TensorProto *proto, struct onnx_external_fields *fields, char *error,
			 size_t error_size);
/*
 * The path of @location below the model's @folder: relative, no "..", and still inside when symbolic links are followed. -EINVAL:
 * it is not, or @folder is NULL; the file's errno; -ENAMETOOLONG.
 */
int onnx_external_path(const char *folder, const char *location, char *path, size_t size, char *error,
		       size_t error_size);

/*
 * struct onnx_external - bytes of a file beside the model, mapped read-only
 * @data: the bytes that were asked for
 * @file, @file_size: the whole file, for onnx_external_finish()
 */
struct onnx_external {
	const uint8_t *data;
	uint8_t *file;
	size_t file_size;
};

/*
 * The @needed bytes that @proto's external_data names (IR specification, "External Tensor Data": location, offset, length).
 * The location is relative to @folder and stays inside it, symbolic links followed; @folder NULL: none is allowed.
 * -EINVAL when the keys, the path or the size of the file do not fit, or the file's errno. Finish @external only after success.
 */
int onnx_external_map(const Onnx__TensorProto *proto, const char *folder, size_t needed, struct onnx_external *external,
		      char *error, size_t error_size);
void onnx_external_finish(struct onnx_external *external);

#endif
