/* SPDX-License-Identifier: MIT */
/*
 * A dense tensor in memory and as a TensorProto file (the input_N.pb and output_N.pb of the ONNX backend tests).
 * Numeric element types of 8 bits and more; strings, packed 2- and 4-bit types and external data are refused by name.
 */
#ifndef TESTS_MODELS_TENSOR_H
#define TESTS_MODELS_TENSOR_H

#include <stddef.h>
#include <stdint.h>

/* TensorProto.DataType */
enum tensor_type {
	TENSOR_FLOAT = 1,
	TENSOR_UINT8,
	TENSOR_INT8,
	TENSOR_UINT16,
	TENSOR_INT16,
	TENSOR_INT32,
	TENSOR_INT64,
	TENSOR_STRING,
	TENSOR_BOOL,
	TENSOR_FLOAT16,
	TENSOR_DOUBLE,
	TENSOR_UINT32,
	TENSOR_UINT64,
	TENSOR_BFLOAT16 = 16,
};

enum { TENSOR_MAX_DIMS = 8, TENSOR_NAME_SIZE = 256 };

struct tensor {
	char name[TENSOR_NAME_SIZE];
	int type;
	size_t ndim;
	int64_t dim[TENSOR_MAX_DIMS];
	uint64_t elements;
	void *data; /* row-major, little-endian; owned */
	size_t size;
};

/* Bytes of an element, 0 for a type that is not supported here; the name of a type ("float16"). */
size_t tensor_element_size(int type);
const char *tensor_type_name(int type);

/* Zeroed data for type and dims as set in *tensor.  0, -ENOTSUP, -EOVERFLOW or -ENOMEM. */
int tensor_allocate(struct tensor *tensor);
void tensor_finish(struct tensor *tensor);

double tensor_element(const struct tensor *tensor, uint64_t index);

/* Stores a number, converted as a C cast does (round to nearest even for the 16-bit floats). */
void tensor_set_element(struct tensor *tensor, uint64_t index, double number);

/* -ENOENT when there is no such file, -EINVAL when it is no dense tensor, -ENOTSUP for its type. */
int tensor_read(struct tensor *tensor, const char *path);
int tensor_write(const struct tensor *tensor, const char *path);

#endif
