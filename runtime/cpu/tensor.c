// SPDX-License-Identifier: MIT
/*
 * Tensors: see tensor.h. Knows element types, sizes and memory; the values' formats are in convert.c.
 */
#include "runtime/cpu/tensor.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/large_memory.h"

#define TENSOR_ALIGNMENT 64

enum dtype_kind {
	KIND_NONE,
	KIND_FLOAT,
	KIND_INTEGER,
	KIND_BOOL,
	KIND_STRING,
	KIND_COMPLEX,
	KIND_NARROW_FLOAT,
	KIND_NARROW_INTEGER,
	KIND_NESTED,
};

struct dtype_info {
	const char *name;
	const char *onnx_name; /* where ONNX's differs */
	unsigned char size;
	unsigned char kind;
	unsigned char packed_bits; /* where an element is less than a byte on the wire */
};

static const struct dtype_info dtypes[] = {
	[DTYPE_UNDEFINED] = {"undefined", NULL, 0, KIND_NONE},
	[DTYPE_F32] = {"float32", "float", 4, KIND_FLOAT},
	[DTYPE_U8] = {"uint8", NULL, 1, KIND_INTEGER},
	[DTYPE_S8] = {"int8", NULL, 1, KIND_INTEGER},
	[DTYPE_U16] = {"uint16", NULL, 2, KIND_INTEGER},
	[DTYPE_S16] = {"int16", NULL, 2, KIND_INTEGER},
	[DTYPE_S32] = {"int32", NULL, 4, KIND_INTEGER},
	[DTYPE_S64] = {"int64", NULL, 8, KIND_INTEGER},
	[DTYPE_STRING] = {"string", NULL, sizeof(struct tensor_string), KIND_STRING},
	[DTYPE_BOOL] = {"bool", NULL, 1, KIND_BOOL},
	[DTYPE_F16] = {"float16", "half", 2, KIND_FLOAT},
	[DTYPE_F64] = {"float64", "double", 8, KIND_FLOAT},
	[DTYPE_U32] = {"uint32", NULL, 4, KIND_INTEGER},
	[DTYPE_U64] = {"uint64", NULL, 8, KIND_INTEGER},
	[DTYPE_C64] = {"complex64", NULL, 8, KIND_COMPLEX},
	[DTYPE_C128] = {"complex128", NULL, 16, KIND_COMPLEX},
	[DTYPE_BF16] = {"bfloat16", NULL, 2, KIND_FLOAT},
	[DTYPE_F8E4M3FN] = {"float8_e4m3fn", "float8e4m3fn", 1, KIND_NARROW_FLOAT},
	[DTYPE_F8E4M3FNUZ] = {"float8_e4m3fnuz", "float8e4m3fnuz", 1, KIND_NARROW_FLOAT},
	[DTYPE_F8E5M2] = {"float8_e5m2", "float8e5m2", 1, KIND_NARROW_FLOAT},
	[DTYPE_F8E5M2FNUZ] = {"float8_e5m2fnuz", "float8e5m2fnuz", 1, KIND_NARROW_FLOAT},
	[DTYPE_U4] = {"uint4", NULL, 1, KIND_NARROW_INTEGER, 4},
	[DTYPE_S4] = {"int4", NULL, 1, KIND_NARROW_INTEGER, 4},
	[DTYPE_F4E2M1] = {"float4_e2m1fn", "float4e2m1", 1, KIND_NARROW_FLOAT, 4},
	[DTYPE_F8E8M0] = {"float8_e8m0fnu", "float8e8m0", 1, KIND_NARROW_FLOAT},
	[DTYPE_U2] = {"uint2", NULL, 1, KIND_NARROW_INTEGER, 2},
	[DTYPE_S2] = {"int2", NULL, 1, KIND_NARROW_INTEGER, 2},
	[DTYPE_F6E2M3] = {"float6_e2m3fn", "float6e2m3", 1, KIND_NARROW_FLOAT, 6},
	[DTYPE_F6E3M2] = {"float6_e3m2fn", "float6e3m2", 1, KIND_NARROW_FLOAT, 6},
};

#define NUM_DTYPES (sizeof(dtypes) / sizeof(dtypes[0]))

/* From DTYPE_SEQUENCE on. */
static const struct dtype_info nested[] = {
	[DTYPE_SEQUENCE - DTYPE_SEQUENCE] = {"sequence", NULL, sizeof(struct tensor), KIND_NESTED},
	[DTYPE_OPTIONAL - DTYPE_SEQUENCE] = {"optional", NULL, sizeof(struct tensor), KIND_NESTED},
	[DTYPE_MAP - DTYPE_SEQUENCE] = {"map", NULL, sizeof(struct tensor), KIND_NESTED},
};

/* Numbers come from files: anything outside the table is "undefined". */
static const struct dtype_info *dtype_info(enum dtype type)
{
	if (type >= DTYPE_SEQUENCE && type <= DTYPE_MAP)
		return &nested[type - DTYPE_SEQUENCE];
	return &dtypes[(unsigned int)type < NUM_DTYPES ? (unsigned int)type : DTYPE_UNDEFINED];
}

size_t dtype_size(enum dtype type)
{
	return dtype_info(type)->size;
}

int dtype_bits(enum dtype type)
{
	const struct dtype_info *info = dtype_info(type);

	return info->packed_bits ? info->packed_bits : info->size * 8;
}

const char *dtype_name(enum dtype type)
{
	return dtype_info(type)->name;
}

bool dtype_is_element(int64_t number)
{
	return number > 0 && number < (int64_t)NUM_DTYPES;
}

enum dtype dtype_from_name(const char *name)
{
	for (size_t i = 1; i < NUM_DTYPES; i++)
		if (!strcmp(name, dtypes[i].name) || (dtypes[i].onnx_name && !strcmp(name, dtypes[i].onnx_name)))
			return (enum dtype)i;
	return DTYPE_UNDEFINED;
}

bool dtype_is_float(enum dtype type)
{
	return dtype_info(type)->kind == KIND_FLOAT;
}

bool dtype_is_integer(enum dtype type)
{
	return dtype_info(type)->kind == KIND_INTEGER;
}

bool dtype_is_narrow_float(enum dtype type)
{
	return dtype_info(type)->kind == KIND_NARROW_FLOAT;
}

bool dtype_is_narrow_integer(enum dtype type)
{
	return dtype_info(type)->kind == KIND_NARROW_INTEGER;
}

bool dtype_is_nested(enum dtype type)
{
	return dtype_info(type)->kind == KIND_NESTED;
}

bool dtype_owns_memory(enum dtype type)
{
	return type == DTYPE_STRING || dtype_is_nested(type);
}

int64_t dims_count(int rank, const int64_t *dims)
{
	int64_t count = 1;
	bool overflow = false;

	/* A zero anywhere makes the tensor empty however large the other sizes are; a negative size is always wrong. */
	for (int i = 0; i < rank; i++) {
		if (dims[i] < 0)
			return -EINVAL;
		if (dims[i] == 0) {
			count = 0;
			overflow = false;
		} else if (count && __builtin_mul_overflow(count, dims[i], &count)) {
			overflow = true;
			count = 1;
		}
	}
	return overflow ? -EOVERFLOW : count;
}

int64_t tensor_count(const struct tensor *t)
{
	int64_t count = dims_count(t->rank, t->dims);

	return count < 0 ? 0 : count;
}

size_t tensor_bytes(const struct tensor *t)
{
	return (size_t)tensor_count(t) * dtype_size(t->dtype);
}

/* Check type and shape, set both in @t (without memory) and *bytes. */
static int set_shape(struct tensor *t, enum dtype type, int rank, const int64_t *dims, size_t *bytes)
{
	int64_t count;

	*t = (struct tensor){0};
	if (!dtype_size(type) || rank < 0 || rank > TENSOR_MAX_RANK || (rank > 0 && !dims))
		return -EINVAL;
	count = dims_count(rank, dims);
	if (count < 0)
		return (int)count;
	if (__builtin_mul_overflow((size_t)count, dtype_size(type), bytes) || *bytes > PTRDIFF_MAX - TENSOR_ALIGNMENT)
		return -EOVERFLOW;
	t->dtype = type;
	t->rank = rank;
	for (int i = 0; i < rank; i++)
		t->dims[i] = dims[i];
	return 0;
}

int tensor_init(struct tensor *t, enum dtype type, int rank, const int64_t *dims)
{
	int64_t copy[TENSOR_MAX_RANK];
	size_t bytes, room;
	int err;

	/* @dims may be those of @t itself. */
	if (rank > 0 && rank <= TENSOR_MAX_RANK && dims) {
		memcpy(copy, dims, (size_t)rank * sizeof(*dims));
		dims = copy;
	}
	err = set_shape(t, type, rank, dims, &bytes);
	if (err)
		goto err_clear;
	/* At least one block, so that an empty tensor has an address too. */
	room = bytes ? (bytes + TENSOR_ALIGNMENT - 1) / TENSOR_ALIGNMENT * TENSOR_ALIGNMENT : TENSOR_ALIGNMENT;
	t->data = large_memory(room);
	if (!t->data) {
		err = -ENOMEM;
		goto err_clear;
	}
	memset(t->data, 0, room);
	t->size = room;
	t->owned = true;
	return 0;

err_clear:
	*t = (struct tensor){0};
	return err;
}

int tensor_init_view(struct tensor *t, enum dtype type, int rank, const int64_t *dims, void *data, size_t size)
{
	size_t bytes;
	int err = set_shape(t, type, rank, dims, &bytes);

	if (!err && (size < bytes || (bytes && !data)))
		err = -EINVAL;
	if (err) {
		*t = (struct tensor){0};
		return err;
	}
	t->data = data;
	t->size = size;
	return 0;
}

int tensor_string_set(struct tensor_string *string, const void *data, size_t size)
{
	char *copy = NULL;

	if (size) {
		copy = malloc(size);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, data, size);
	}
	free(string->data);
	string->data = copy;
	string->size = size;
	return 0;
}

static int copy_strings(struct tensor *dst, const struct tensor *src)
{
	const struct tensor_string *from = src->data;
	struct tensor_string *to = dst->data;
	int64_t count = tensor_count(src);

	for (int64_t i = 0; i < count; i++)
		if (tensor_string_set(&to[i], from[i].data, from[i].size))
			return -ENOMEM;
	return 0;
}

static int copy_elements(struct tensor *dst, const struct tensor *src)
{
	int64_t count = tensor_count(src);
	int err = 0;

	for (int64_t i = 0; i < count && !err; i++)
		if (tensor_elements(src)[i].dtype)
			err = tensor_copy(&tensor_elements(dst)[i], &tensor_elements(src)[i]);
	return err;
}

int tensor_copy(struct tensor *dst, const struct tensor *src)
{
	int err = tensor_init(dst, src->dtype, src->rank, src->dims);

	if (err)
		return err;
	if (!src->data)
		return 0;
	if (src->dtype == DTYPE_STRING)
		err = copy_strings(dst, src);
	else if (dtype_is_nested(src->dtype))
		err = copy_elements(dst, src);
	else
		memcpy(dst->data, src->data, tensor_bytes(src));
	if (err)
		tensor_finish(dst);
	return err;
}

/* What the elements own. All elements that fit, not all that the shape counts: the memory was zeroed, so the rest is empty. */
static void finish_elements(struct tensor *t)
{
	size_t count = dtype_owns_memory(t->dtype) ? t->size / dtype_size(t->dtype) : 0;

	for (size_t i = 0; i < count; i++)
		if (t->dtype == DTYPE_STRING)
			free(((struct tensor_string *)t->data)[i].data);
		else
			tensor_finish(&tensor_elements(t)[i]);
}

void tensor_finish(struct tensor *t)
{
	if (t->owned && t->data) {
		finish_elements(t);
		free(t->data);
	}
	*t = (struct tensor){0};
}

int tensor_give(struct tensor *dst, struct tensor *src)
{
	struct tensor copy;
	int err;

	if (src->owned && (dst->owned || !dst->data)) {
		copy = *dst;
		*dst = *src;
		*src = copy;
		return 0;
	}
	if (dst->data && !dtype_owns_memory(src->dtype) && !dtype_owns_memory(dst->dtype) &&
	    dst->size >= tensor_bytes(src)) {
		memmove(dst->data, src->data, tensor_bytes(src));
		dst->dtype = src->dtype;
		dst->rank = src->rank;
		memcpy(dst->dims, src->dims, sizeof(dst->dims));
		return 0;
	}
	err = tensor_copy(&copy, src);
	if (err)
		return err;
	tensor_finish(dst);
	*dst = copy;
	return 0;
}

int tensor_init_nested(struct tensor *t, enum dtype type, int64_t count)
{
	*t = (struct tensor){0};
	if (!dtype_is_nested(type) || (type == DTYPE_OPTIONAL && count > 1) || (type == DTYPE_MAP && count != 2))
		return -EINVAL;
	return tensor_init(t, type, 1, &count);
}

bool tensor_same_shape(const struct tensor *a, const struct tensor *b)
{
	if (a->rank != b->rank)
		return false;
	for (int i = 0; i < a->rank; i++)
		if (a->dims[i] != b->dims[i])
			return false;
	return true;
}
