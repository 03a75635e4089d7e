/* SPDX-License-Identifier: MIT */
/*
 * A dense tensor in memory and as a TensorProto file (the input_N.pb and output_N.pb of the ONNX backend tests).
 * Numeric element types of 8 bits and more; strings, packed 2- and 4-bit types and external data are refused by name.
 */
#ifndef TESTS_MODELS_ARRAY_H
#define TESTS_MODELS_ARRAY_H

#include <stddef.h>
#include <stdint.h>

/* TensorProto.DataType */
enum array_type {
	ARRAY_FLOAT = 1,
	ARRAY_UINT8,
	ARRAY_INT8,
	ARRAY_UINT16,
	ARRAY_INT16,
	ARRAY_INT32,
	ARRAY_INT64,
	ARRAY_STRING,
	ARRAY_BOOL,
	ARRAY_FLOAT16,
	ARRAY_DOUBLE,
	ARRAY_UINT32,
	ARRAY_UINT64,
	ARRAY_BFLOAT16 = 16,
};

enum { ARRAY_MAX_DIMS = 8, ARRAY_NAME_SIZE = 256 };

struct array {
	char name[ARRAY_NAME_SIZE];
	int type;
	size_t ndim;
	int64_t dim[ARRAY_MAX_DIMS];
	uint64_t elements;
	void *data; /* row-major, little-endian; owned */
	size_t size;
};

/* Bytes of an element, 0 for a type that is not supported here; the name of a type ("float16"). */
size_t array_element_size(int type);
const char *array_type_name(int type);

/* Zeroed data for type and dims as set in *tensor.  0, -ENOTSUP, -EOVERFLOW or -ENOMEM. */
int array_allocate(struct array *tensor);
void array_finish(struct array *tensor);

double array_element(const struct array *tensor, uint64_t index);

/* Stores a number, converted as a C cast does (round to nearest even for the 16-bit floats). */
void array_set_element(struct array *tensor, uint64_t index, double number);

/* -ENOENT when there is no such file, -EINVAL when it is no dense tensor, -ENOTSUP for its type. */
int array_read(struct array *tensor, const char *path);
int array_write(const struct array *tensor, const char *path);

#endif
