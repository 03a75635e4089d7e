/* SPDX-License-Identifier: MIT */
#include "array.h"
#include "wire.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DIMS = 1,
	TYPE = 2,
	FLOATS = 4,
	INT32S = 5,
	STRINGS = 6,
	INT64S = 7,
	NAME = 8,
	RAW = 9,
	DOUBLES = 10,
	UINT64S = 11
};
enum { LOCATION = 14 };

static const struct {
	const char *name;
	size_t size;
} types[] = {
	[ARRAY_FLOAT] = {"float", 4},       [ARRAY_UINT8] = {"uint8", 1},   [ARRAY_INT8] = {"int8", 1},
	[ARRAY_UINT16] = {"uint16", 2},     [ARRAY_INT16] = {"int16", 2},   [ARRAY_INT32] = {"int32", 4},
	[ARRAY_INT64] = {"int64", 8},       [ARRAY_STRING] = {"string", 0}, [ARRAY_BOOL] = {"bool", 1},
	[ARRAY_FLOAT16] = {"float16", 2},   [ARRAY_DOUBLE] = {"double", 8}, [ARRAY_UINT32] = {"uint32", 4},
	[ARRAY_UINT64] = {"uint64", 8},     [14] = {"complex64", 0},         [15] = {"complex128", 0},
	[ARRAY_BFLOAT16] = {"bfloat16", 2},
};

size_t array_element_size(int type)
{
	return type > 0 && (size_t)type < sizeof(types) / sizeof(*types) ? types[type].size : 0;
}

const char *array_type_name(int type)
{
	return type > 0 && (size_t)type < sizeof(types) / sizeof(*types) && types[type].name ? types[type].name
											     : "unknown type";
}

int array_allocate(struct array *tensor)
{
	size_t element = array_element_size(tensor->type);

	if (!element)
		return -ENOTSUP;
	tensor->elements = 1;
	for (size_t i = 0; i < tensor->ndim; i++)
		if (tensor->dim[i] < 0 ||
		    __builtin_mul_overflow(tensor->elements, (uint64_t)tensor->dim[i], &tensor->elements))
			return -EOVERFLOW;
	if (__builtin_mul_overflow(tensor->elements, element, &tensor->size) || tensor->size > PTRDIFF_MAX)
		return -EOVERFLOW;
	tensor->data = calloc(tensor->size ? tensor->size : 1, 1);
	return tensor->data ? 0 : -ENOMEM;
}

void array_finish(struct array *tensor)
{
	free(tensor->data);
	*tensor = (struct array){0};
}

/* -- elements -- */

static double from_half(uint16_t bits)
{
	int exponent = bits >> 10 & 31, mantissa = bits & 1023;
	double number;

	if (exponent == 31)
		number = mantissa ? NAN : INFINITY;
	else
		number = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
	return bits & 0x8000 ? -number : number;
}

static uint16_t to_half(double number)
{
	uint16_t sign = signbit(number) ? 0x8000 : 0;
	double magnitude = fabs(number);
	int exponent;

	if (isnan(number))
		return 0x7e00;
	if (magnitude >= 65520)
		return sign | 0x7c00;
	if (magnitude < 0x1p-14)
		return (uint16_t)(sign + (uint16_t)nearbyint(ldexp(magnitude, 24)));
	frexp(magnitude, &exponent);
	/* A mantissa that rounds up to 2048 carries into the exponent by the addition. */
	return (uint16_t)(sign + ((exponent + 14) << 10) + (int)nearbyint(ldexp(magnitude, 11 - exponent)) - 1024);
}

static double from_bfloat(uint16_t bits)
{
	uint32_t word = (uint32_t)bits << 16;
	float number;

	memcpy(&number, &word, sizeof(number));
	return number;
}

static uint16_t to_bfloat(double value)
{
	float number = (float)value;
	uint32_t word;

	memcpy(&word, &number, sizeof(word));
	if (isnan(number))
		return 0x7fc0;
	return (uint16_t)((word + 0x7fff + (word >> 16 & 1)) >> 16);
}

double array_element(const struct array *tensor, uint64_t index)
{
	const void *data = tensor->data;

	switch (tensor->type) {
	case ARRAY_FLOAT:
		return ((const float *)data)[index];
	case ARRAY_DOUBLE:
		return ((const double *)data)[index];
	case ARRAY_FLOAT16:
		return from_half(((const uint16_t *)data)[index]);
	case ARRAY_BFLOAT16:
		return from_bfloat(((const uint16_t *)data)[index]);
	case ARRAY_INT8:
		return ((const int8_t *)data)[index];
	case ARRAY_UINT16:
		return ((const uint16_t *)data)[index];
	case ARRAY_INT16:
		return ((const int16_t *)data)[index];
	case ARRAY_INT32:
		return ((const int32_t *)data)[index];
	case ARRAY_UINT32:
		return ((const uint32_t *)data)[index];
	case ARRAY_INT64:
		return (double)((const int64_t *)data)[index];
	case ARRAY_UINT64:
		return (double)((const uint64_t *)data)[index];
	default: /* bool, uint8 */
		return ((const uint8_t *)data)[index];
	}
}

static void set_integer(void *data, size_t size, uint64_t index, uint64_t bits)
{
	memcpy((uint8_t *)data + index * size, &bits, size);
}

void array_set_element(struct array *tensor, uint64_t index, double number)
{
	switch (tensor->type) {
	case ARRAY_FLOAT:
		((float *)tensor->data)[index] = (float)number;
		break;
	case ARRAY_DOUBLE:
		((double *)tensor->data)[index] = number;
		break;
	case ARRAY_FLOAT16:
		((uint16_t *)tensor->data)[index] = to_half(number);
		break;
	case ARRAY_BFLOAT16:
		((uint16_t *)tensor->data)[index] = to_bfloat(number);
		break;
	default:
		set_integer(tensor->data, array_element_size(tensor->type), index, (uint64_t)(int64_t)number);
	}
}

/* -- TensorProto -- */

static int add_dim(struct array *tensor, uint64_t dim)
{
	if (tensor->ndim == ARRAY_MAX_DIMS || dim > INT64_MAX)
		return -EINVAL;
	tensor->dim[tensor->ndim++] = (int64_t)dim;
	return 0;
}

static int read_header(struct array *tensor, struct span file)
{
	struct wire_reader reader = wire_open(file), packed;
	struct wire_field field;
	uint64_t dim;
	int error = 0;

	while (!error && wire_next(&reader, &field)) {
		if (field.number == DIMS && field.type == WIRE_VARINT)
			error = add_dim(tensor, field.value);
		else if (field.number == DIMS)
			for (packed = wire_open(field.bytes); !error && wire_next_packed(&packed, &dim);)
				error = add_dim(tensor, dim);
		else if (field.number == TYPE)
			tensor->type = (int)field.value;
		else if (field.number == NAME)
			snprintf(tensor->name, sizeof(tensor->name), "%.*s", (int)field.bytes.size,
				 (const char *)field.bytes.data);
		else if (field.number == LOCATION && field.value)
			error = -ENOTSUP;
	}
	return reader.malformed ? -EINVAL : error;
}

/* Copies what fits and counts all, so that too much and too little are both seen. */
static void put_bytes(struct array *tensor, size_t *at, const void *bytes, size_t size)
{
	if (*at <= tensor->size && size <= tensor->size - *at)
		memcpy((uint8_t *)tensor->data + *at, bytes, size);
	if (__builtin_add_overflow(*at, size, at))
		*at = SIZE_MAX;
}

static int read_elements(struct array *tensor, struct span file)
{
	struct wire_reader reader = wire_open(file), packed;
	size_t element = array_element_size(tensor->type), at = 0;
	struct wire_field field;
	uint64_t word;

	while (wire_next(&reader, &field)) {
		switch (field.number) {
		case RAW:
		case FLOATS:
		case DOUBLES:
			put_bytes(tensor, &at, field.bytes.data, field.bytes.size);
			break;
		case INT32S: /* also the narrower integers, bool and the 16-bit floats' bits */
		case INT64S:
		case UINT64S:
			if (field.type == WIRE_VARINT)
				put_bytes(tensor, &at, &field.value, element);
			else
				for (packed = wire_open(field.bytes); wire_next_packed(&packed, &word);)
					put_bytes(tensor, &at, &word, element);
		}
	}
	return at == tensor->size ? 0 : -EINVAL;
}

int array_read(struct array *tensor, const char *path)
{
	struct span file;
	int error = wire_map_file(path, &file);

	*tensor = (struct array){0};
	if (error)
		return error;
	error = read_header(tensor, file);
	if (!error)
		error = array_allocate(tensor);
	if (!error)
		error = read_elements(tensor, file);
	if (error)
		array_finish(tensor);
	wire_unmap(&file);
	return error;
}

int array_write(const struct array *tensor, const char *path)
{
	struct wire_buffer header = {0};
	FILE *file;
	int error = 0;

	for (size_t i = 0; i < tensor->ndim; i++)
		wire_put_number(&header, DIMS, (uint64_t)tensor->dim[i]);
	wire_put_number(&header, TYPE, (uint64_t)tensor->type);
	wire_put_bytes(&header, NAME, tensor->name, strlen(tensor->name));
	wire_put_length(&header, RAW, tensor->size);
	file = fopen(path, "wb");
	if (!file) {
		error = -errno;
		goto err_header;
	}
	if (header.failed || fwrite(header.data, header.size, 1, file) != 1 ||
	    (tensor->size && fwrite(tensor->data, tensor->size, 1, file) != 1))
		error = -EIO;
	if (fclose(file) && !error)
		error = -EIO;
err_header:
	wire_finish(&header);
	return error;
}
