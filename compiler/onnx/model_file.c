/* SPDX-License-Identifier: MIT */
/* See model_file.h. */
#include "compiler/onnx/model_file.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "compiler/onnx/external_data.h"
#include "runtime/fail.h"

/* Of an allocation: a tensor's elements, which are worth asking the kernel for room. */
#define LARGE ((size_t)1 << 20)

struct mapping {
	uint8_t *bytes;
	size_t size;
};

/*
 * Whoever is about to copy a large tensor has copied those in front of it: their pages of the file need not stay. What is read once
 * more comes back by itself.
 */
static void *allocate(void *context, size_t size)
{
	const struct mapping *mapping = context;

	if (size >= LARGE)
		madvise(mapping->bytes, mapping->size, MADV_DONTNEED); /* where it fails, the pages just stay */
	return malloc(size);
}

static void release(void *context, void *memory)
{
	(void)context;
	free(memory);
}

int onnx_model_read(const char *path, Onnx__ModelProto **model, char *error, size_t error_size)
{
	struct mapping mapping;
	ProtobufCAllocator allocator = {allocate, release, &mapping};
	int err = onnx_map(path, &mapping.bytes, &mapping.size, error, error_size);

	*model = NULL;
	if (err)
		return err;
	*model = onnx__model_proto__unpack(&allocator, mapping.size, mapping.bytes);
	onnx_unmap(mapping.bytes, mapping.size);
	return *model ? 0 : fail(error, error_size, -EBADMSG, "%s: " ONNX_NO_MODEL, path);
}
