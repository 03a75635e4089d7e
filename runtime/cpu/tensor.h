/* SPDX-License-Identifier: MIT */
/*
 * Tensors: what an ONNX value is in this project.
 *
 * One struct serves the importer, the graph, constant folding, the CPU operators and the runtime. A tensor is always dense,
 * row-major ("C order") and contiguous: the element at index (i0, i1, …, in) lies at ((i0 * d1 + i1) * d2 + …) elements.
 * It knows nothing of devices: what the NPU does with a layout of its own stays in compiler/target.
 *
 * Values that are no tensors (sequences, optionals, maps) are the same struct, of rank 1, whose elements are tensors in turn; see
 * "Nested values" below.
 */
#ifndef RUNTIME_CPU_TENSOR_H
#define RUNTIME_CPU_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TENSOR_MAX_RANK 12

/*
 * Element types carry the numbers of onnx.TensorProto.DataType (onnx.proto, message TensorProto). In memory an element of a
 * type of less than eight bits is one byte: the signed integers sign-extended, the others with zeros above; they are packed
 * only on the wire (tensor_proto.c).
 */
enum dtype {
	DTYPE_UNDEFINED = 0,
	DTYPE_F32 = 1,
	DTYPE_U8 = 2,
	DTYPE_S8 = 3,
	DTYPE_U16 = 4,
	DTYPE_S16 = 5,
	DTYPE_S32 = 6,
	DTYPE_S64 = 7,
	DTYPE_STRING = 8,
	DTYPE_BOOL = 9,
	DTYPE_F16 = 10,
	DTYPE_F64 = 11,
	DTYPE_U32 = 12,
	DTYPE_U64 = 13,
	DTYPE_C64 = 14,
	DTYPE_C128 = 15,
	DTYPE_BF16 = 16,
	DTYPE_F8E4M3FN = 17,
	DTYPE_F8E4M3FNUZ = 18,
	DTYPE_F8E5M2 = 19,
	DTYPE_F8E5M2FNUZ = 20,
	DTYPE_U4 = 21,
	DTYPE_S4 = 22,
	DTYPE_F4E2M1 = 23,
	DTYPE_F8E8M0 = 24,
	DTYPE_U2 = 25,
	DTYPE_S2 = 26,
	DTYPE_F6E2M3 = 27,
	DTYPE_F6E3M2 = 28,
	/* Not ONNX's numbers: values whose elements are values. */
	DTYPE_SEQUENCE = 0x101,
	DTYPE_OPTIONAL = 0x102,
	DTYPE_MAP = 0x103,
};

/*
 * A string element. Bytes need not end in NUL and may hold any value; `data` belongs to the tensor.
 */
struct tensor_string {
	char *data;
	size_t size;
};

/*
 * struct tensor - a dense tensor, or a view of one
 * @dtype: element type
 * @rank:  number of dimensions, 0 for a scalar, at most TENSOR_MAX_RANK
 * @dims:  sizes, each >= 0; a zero makes the tensor empty (data may then be NULL)
 * @data:  first element, aligned to 64 bytes when allocated here; NULL means "no memory yet"
 * @size:  bytes reachable at @data, at least tensor_bytes()
 * @owned: the tensor frees @data in tensor_finish(); false for a view (mapped file, caller's buffer)
 */
struct tensor {
	enum dtype dtype;
	int rank;
	int64_t dims[TENSOR_MAX_RANK];
	void *data;
	size_t size;
	bool owned;
};

/*
 * Bytes of one element; 0 for DTYPE_UNDEFINED and unknown numbers; sizeof(struct tensor_string) for strings, sizeof(struct tensor)
 * for nested values.
 */
size_t dtype_size(enum dtype type);

/* Bits of one element where it is packed: 2, 4 or 6 for the types that have so many, else eight times dtype_size(). */
int dtype_bits(enum dtype type);

/*
 * "float32", "uint8", … (numpy's names, ml_dtypes' for what numpy lacks: "bfloat16", "float8_e4m3fn", "int4"; "string");
 * "undefined" for anything unknown. Static storage.
 */
const char *dtype_name(enum dtype type);

/* @number, from a model, is that of an element type. */
bool dtype_is_element(int64_t number);

/* Inverse of dtype_name(); also accepts ONNX's own names ("float", "double", "float8e5m2"). DTYPE_UNDEFINED if unknown. */
enum dtype dtype_from_name(const char *name);

/* What kernels compute with … */
bool dtype_is_float(enum dtype type);   /* f16, bf16, f32, f64 */
bool dtype_is_integer(enum dtype type); /* signed and unsigned, 8 to 64 bits; not bool */
/* … and what they only convert. */
bool dtype_is_narrow_float(enum dtype type);   /* the float8, float6 and float4 types */
bool dtype_is_narrow_integer(enum dtype type); /* signed and unsigned, 2 and 4 bits */
bool dtype_is_nested(enum dtype type);         /* sequence, optional, map */
bool dtype_owns_memory(enum dtype type);       /* an element has memory of its own: strings and nested values */

/* Product of @dims. Returns -EOVERFLOW when it passes INT64_MAX, -EINVAL for a negative size. */
int64_t dims_count(int rank, const int64_t *dims);

/* Elements and bytes of @t. Only for tensors whose dims passed dims_count(). */
int64_t tensor_count(const struct tensor *t);
size_t tensor_bytes(const struct tensor *t);

/*
 * Initialise @t and allocate zeroed memory for it (64-byte aligned). @dims may be NULL when rank is 0.
 * -EINVAL (type, rank or negative size), -EOVERFLOW, -ENOMEM; on error @t is a finished tensor (safe to finish again).
 */
int tensor_init(struct tensor *t, enum dtype type, int rank, const int64_t *dims);

/* Initialise @t as a view of @data (@size bytes), which must outlive it. -EINVAL when @size is too small. */
int tensor_init_view(struct tensor *t, enum dtype type, int rank, const int64_t *dims, void *data, size_t size);

/* Deep copy: @dst gets memory of its own, strings and nested values included. @dst must not hold memory. */
int tensor_copy(struct tensor *dst, const struct tensor *src);

/*
 * Let @dst have the value of @src. Where both own their memory they exchange it, so that nothing is allocated or copied and @src
 * holds old memory for the next value; else @src is copied, into @dst's memory when it fits. -ENOMEM; @dst is then unchanged.
 */
int tensor_give(struct tensor *dst, struct tensor *src);

/* Release what @t owns and make it empty. Safe on a zeroed or finished tensor. */
void tensor_finish(struct tensor *t);

/* Replace a string element by a copy of @size bytes at @data. -ENOMEM: the element is as it was. */
int tensor_string_set(struct tensor_string *string, const void *data, size_t size);

bool tensor_same_shape(const struct tensor *a, const struct tensor *b);

/*
 * Nested values. The elements are struct tensor in @data, each owned by the value that holds it:
 *	sequence   dims[0] elements
 *	optional   none, or one
 *	map	   two: keys (rank 1, int64 or string) and values (a tensor or sequence of as many elements, in the same order)
 */

/* An empty tensor for each of @count elements, to be filled. -EINVAL for a count that @type can not have, -EOVERFLOW, -ENOMEM. */
int tensor_init_nested(struct tensor *t, enum dtype type, int64_t count);

/* The elements of a nested value. */
static inline struct tensor *tensor_elements(const struct tensor *t)
{
	return t->data;
}

/* Conversions of single values; round to nearest even, IEEE NaN and infinity kept. */
float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);
float bf16_to_f32(uint16_t bits);
uint16_t f32_to_bf16(float value);

/*
 * Element @i (linear index) as a double or as an int64; the conversions saturate, NaN becomes 0 as an integer.
 * For small tensors such as shapes and axes: not a fast path. Not for strings or complex types (returns 0).
 */
double tensor_get_f64(const struct tensor *t, int64_t i);
int64_t tensor_get_s64(const struct tensor *t, int64_t i);

#endif
