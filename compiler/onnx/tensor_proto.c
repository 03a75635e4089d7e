/* SPDX-License-Identifier: MIT */
/*
 * See tensor_proto.h. Every count in the message is untrusted: the shape decides how much data there must be, and
 * whatever the message has must be exactly that.
 */
#include "compiler/onnx/tensor_proto.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/onnx/external_data.h"
#include "compiler/onnx/tensor_file.h"
#include "runtime/fail.h"

/* onnx.proto, TensorProto.DataLocation. */
#define LOCATION_EXTERNAL 1

static bool type_is_packed(enum dtype type)
{
	return dtype_bits(type) < 8;
}

/* int32_data holds a byte of packed elements a word, but those of six bits one by one (onnx.proto, TensorProto.int32_data). */
static bool type_is_packed_in_words(enum dtype type)
{
	return type_is_packed(type) && 8 % dtype_bits(type) == 0;
}

/* ---- elements on the wire ---- */

size_t onnx_wire_bytes(enum dtype type, int64_t count)
{
	return type_is_packed(type) ? ((size_t)count * (size_t)dtype_bits(type) + 7) / 8
				    : (size_t)count * dtype_size(type);
}

/* Byte @index of packed elements, in raw bytes or in int32_data with one byte each. */
static uint8_t packed_byte(const uint8_t *bytes, const int32_t *words, size_t index)
{
	return bytes ? bytes[index] : (uint8_t)words[index];
}

/* A stream of bits, the first element in the lowest of the first byte (onnx.proto, TensorProto.raw_data and int32_data). */
static void unpack(struct tensor *tensor, const uint8_t *bytes, const int32_t *words)
{
	int bits = dtype_bits(tensor->dtype);
	bool is_signed = tensor->dtype == DTYPE_S4 || tensor->dtype == DTYPE_S2;
	uint8_t *out = tensor->data, mask = (uint8_t)((1 << bits) - 1), sign = (uint8_t)(1 << (bits - 1));
	int64_t count = tensor_count(tensor);

	for (int64_t i = 0; i < count; i++) {
		size_t byte = (size_t)i * (size_t)bits / 8;
		int shift = (int)(i * bits % 8);
		uint8_t value = (uint8_t)(packed_byte(bytes, words, byte) >> shift);

		if (shift + bits > 8)
			value |= (uint8_t)(packed_byte(bytes, words, byte + 1) << (8 - shift));
		value &= mask;
		out[i] = is_signed && value & sign ? (uint8_t)(value | ~mask) : value;
	}
}

void onnx_pack(const struct tensor *tensor, uint8_t *bytes)
{
	int bits = dtype_bits(tensor->dtype);
	const uint8_t *from = tensor->data;

	for (int64_t i = 0; i < tensor_count(tensor); i++) {
		int code = (from[i] & ((1 << bits) - 1)) << i * bits % 8;

		bytes[i * bits / 8] |= (uint8_t)code;
		if (code > UINT8_MAX)
			bytes[i * bits / 8 + 1] |= (uint8_t)(code >> 8);
	}
}

/* Elements as they lie in raw_data or in a file: little endian, as every host that this is built for. */
static void copy_raw(struct tensor *tensor, const uint8_t *bytes)
{
	if (type_is_packed(tensor->dtype))
		unpack(tensor, bytes, NULL);
	else
		memcpy(tensor->data, bytes, tensor_bytes(tensor));
}

/*
 * int32_data holds every narrow type: integers as they are, floats as their bits (some writers extend the sign), elements of
 * four and two bits packed in bytes.
 */
static int copy_int32_data(const Onnx__TensorProto *proto, struct tensor *tensor, char *error, size_t error_size)
{
	enum dtype type = tensor->dtype;
	int bits = type_is_packed_in_words(type) ? 8 : dtype_bits(type);
	bool is_code = !dtype_is_integer(type) && type != DTYPE_BOOL;
	bool is_signed = is_code || type == DTYPE_S8 || type == DTYPE_S16;
	int64_t low = is_signed ? -(INT64_C(1) << (bits - 1)) : 0;
	int64_t high = type == DTYPE_BOOL      ? 1
		       : is_signed && !is_code ? (INT64_C(1) << (bits - 1)) - 1
					       : (INT64_C(1) << bits) - 1;

	if (type == DTYPE_S32) {
		memcpy(tensor->data, proto->int32_data, tensor_bytes(tensor));
		return 0;
	}
	for (size_t i = 0; i < proto->n_int32_data; i++)
		if (proto->int32_data[i] < low || proto->int32_data[i] > high)
			return fail(error, error_size, -EINVAL, "int32_data[%zu] is %d, which is no %s", i,
				    proto->int32_data[i], dtype_name(type));
	if (type_is_packed_in_words(type)) {
		unpack(tensor, NULL, proto->int32_data);
		return 0;
	}
	for (size_t i = 0; i < proto->n_int32_data; i++) {
		if (bits <= 8)
			((uint8_t *)tensor->data)[i] = (uint8_t)(proto->int32_data[i] & ((1 << bits) - 1));
		else
			((uint16_t *)tensor->data)[i] = (uint16_t)proto->int32_data[i];
	}
	return 0;
}

static int copy_uint32(const Onnx__TensorProto *proto, struct tensor *tensor, char *error, size_t error_size)
{
	for (size_t i = 0; i < proto->n_uint64_data; i++) {
		if (proto->uint64_data[i] > UINT32_MAX)
			return fail(error, error_size, -EINVAL, "uint64_data[%zu] is %llu, which is no uint32", i,
				    (unsigned long long)proto->uint64_data[i]);
		((uint32_t *)tensor->data)[i] = (uint32_t)proto->uint64_data[i];
	}
	return 0;
}

static int copy_strings(const Onnx__TensorProto *proto, struct tensor *tensor, char *error, size_t error_size)
{
	struct tensor_string *strings = tensor->data;

	for (size_t i = 0; i < proto->n_string_data; i++) {
		size_t size = proto->string_data[i].len;

		strings[i].data = malloc(size + 1);
		if (!strings[i].data)
			return fail(error, error_size, -ENOMEM, "out of memory");
		if (size)
			memcpy(strings[i].data, proto->string_data[i].data, size);
		strings[i].data[size] = '\0';
		strings[i].size = size;
	}
	return 0;
}

const char *onnx_typed_field(const Onnx__TensorProto *proto, enum dtype type, int64_t count, size_t *given,
			     size_t *needed)
{
	*needed = (size_t)count;
	switch (type) {
	case DTYPE_C64:
		*needed *= 2; /* real and imaginary parts in turn */
		__attribute__((fallthrough));
	case DTYPE_F32:
		*given = proto->n_float_data;
		return "float_data";
	case DTYPE_C128:
		*needed *= 2;
		__attribute__((fallthrough));
	case DTYPE_F64:
		*given = proto->n_double_data;
		return "double_data";
	case DTYPE_S64:
		*given = proto->n_int64_data;
		return "int64_data";
	case DTYPE_U32:
	case DTYPE_U64:
		*given = proto->n_uint64_data;
		return "uint64_data";
	case DTYPE_STRING:
		*given = proto->n_string_data;
		return "string_data";
	default:
		if (type_is_packed_in_words(type))
			*needed = onnx_wire_bytes(type, count);
		*given = proto->n_int32_data;
		return "int32_data";
	}
}

static int copy_typed(const Onnx__TensorProto *proto, struct tensor *tensor, char *error, size_t error_size)
{
	switch (tensor->dtype) {
	case DTYPE_F32:
	case DTYPE_C64:
		memcpy(tensor->data, proto->float_data, tensor_bytes(tensor));
		return 0;
	case DTYPE_F64:
	case DTYPE_C128:
		memcpy(tensor->data, proto->double_data, tensor_bytes(tensor));
		return 0;
	case DTYPE_S64:
		memcpy(tensor->data, proto->int64_data, tensor_bytes(tensor));
		return 0;
	case DTYPE_U64:
		memcpy(tensor->data, proto->uint64_data, tensor_bytes(tensor));
		return 0;
	case DTYPE_U32:
		return copy_uint32(proto, tensor, error, error_size);
	case DTYPE_STRING:
		return copy_strings(proto, tensor, error, error_size);
	default:
		return copy_int32_data(proto, tensor, error, error_size);
	}
}

/* ---- the three places where the elements may lie ---- */

static int from_external(const Onnx__TensorProto *proto, const char *folder, enum dtype type, struct tensor *tensor,
			 char *error, size_t error_size)
{
	struct onnx_external external;
	int err;

	if (type == DTYPE_STRING)
		return fail(error, error_size, -EINVAL, "strings can not lie in external data");
	/* The file first: a claim that no data backs must not make us allocate. */
	err = onnx_external_map(proto, folder, onnx_wire_bytes(type, dims_count((int)proto->n_dims, proto->dims)),
				&external, error, error_size);
	if (err)
		return err;
	err = tensor_init(tensor, type, (int)proto->n_dims, proto->dims);
	if (err)
		fail(error, error_size, err, "%s", strerror(-err));
	else
		copy_raw(tensor, external.data);
	onnx_external_finish(&external);
	return err;
}

static int from_raw(Onnx__TensorProto *proto, enum dtype type, struct tensor *tensor, char *error, size_t error_size)
{
	size_t bytes = onnx_wire_bytes(type, dims_count((int)proto->n_dims, proto->dims));
	int err;

	if (type == DTYPE_STRING)
		return fail(error, error_size, -EINVAL, "strings can not lie in raw_data");
	if (proto->raw_data.len != bytes)
		return fail(error, error_size, -EINVAL, "%zu bytes of raw_data, the shape needs %zu",
			    proto->raw_data.len, bytes);
	if (type_is_packed(type)) {
		err = tensor_init(tensor, type, (int)proto->n_dims, proto->dims);
		if (!err)
			copy_raw(tensor, proto->raw_data.data);
	} else {
		err = tensor_init_view(tensor, type, (int)proto->n_dims, proto->dims, proto->raw_data.data, bytes);
		if (!err) {
			tensor->owned = true; /* malloc'ed by the parser */
			proto->raw_data.data = NULL;
			proto->raw_data.len = 0;
		}
	}
	return err ? fail(error, error_size, err, "%s", strerror(-err)) : 0;
}

static int from_typed(const Onnx__TensorProto *proto, enum dtype type, struct tensor *tensor, char *error,
		      size_t error_size)
{
	size_t given, needed;
	const char *field = onnx_typed_field(proto, type, dims_count((int)proto->n_dims, proto->dims), &given, &needed);
	int err;

	if (given != needed)
		return fail(error, error_size, -EINVAL, "%zu values of %s in %s, the shape needs %zu", given,
			    dtype_name(type), field, needed);
	err = tensor_init(tensor, type, (int)proto->n_dims, proto->dims);
	if (err)
		return fail(error, error_size, err, "%s", strerror(-err));
	if (given)
		err = copy_typed(proto, tensor, error, error_size);
	if (err)
		tensor_finish(tensor);
	return err;
}

int onnx_tensor_from_proto(Onnx__TensorProto *proto, const char *folder, struct tensor *tensor, char *error,
			   size_t error_size)
{
	enum dtype type = (enum dtype)proto->data_type;
	int64_t count;

	memset(tensor, 0, sizeof(*tensor));
	if (!dtype_is_element(proto->data_type))
		return fail(error, error_size, -ENOTSUP, "element type %d", proto->data_type);
	if (proto->segment)
		return fail(error, error_size, -ENOTSUP,
			    "a segment (elements %lld to %lld) of a tensor that is stored in parts",
			    (long long)proto->segment->begin, (long long)proto->segment->end);
	if (proto->n_dims > TENSOR_MAX_RANK)
		return fail(error, error_size, -ENOTSUP, "rank %zu, at most %d is possible", proto->n_dims,
			    TENSOR_MAX_RANK);
	count = dims_count((int)proto->n_dims, proto->dims);
	if (count < 0 || (uint64_t)count > (uint64_t)PTRDIFF_MAX / 16)
		return fail(error, error_size, -EINVAL, "its dimensions are negative or too large");
	if (proto->data_location > LOCATION_EXTERNAL || proto->data_location < 0)
		return fail(error, error_size, -ENOTSUP, "data_location %d", proto->data_location);
	if (proto->data_location == LOCATION_EXTERNAL)
		return from_external(proto, folder, type, tensor, error, error_size);
	/* An empty raw_data beside a typed field is what some writers leave behind. */
	if (proto->has_raw_data && (proto->raw_data.len || !count))
		return from_raw(proto, type, tensor, error, error_size);
	return from_typed(proto, type, tensor, error, error_size);
}

/* ---- sparse tensors ---- */

/* Row-major position of entry @i, or -1: outside the shape. Indices are positions, or coordinates in rows of @rank. */
static int64_t sparse_position(const struct tensor *indices, int rank, const int64_t *dims, int64_t count, int64_t i)
{
	const int64_t *index = indices->data;
	int64_t position = 0;

	if (indices->rank == 1)
		return index[i] >= 0 && index[i] < count ? index[i] : -1;
	for (int d = 0; d < rank; d++) {
		int64_t at = index[i * rank + d];

		if (at < 0 || at >= dims[d])
			return -1;
		position = position * dims[d] + at;
	}
	return position;
}

/* Moves the elements of @values, which are the caller's own. */
static int scatter(const Onnx__SparseTensorProto *proto, struct tensor *values, const struct tensor *indices,
		   struct tensor *tensor, char *error, size_t error_size)
{
	size_t size = dtype_size(values->dtype);
	int rank = (int)proto->n_dims;
	int64_t count = dims_count(rank, proto->dims), nnz = tensor_count(values), last = -1;
	int err;

	if (values->rank != 1 || indices->dtype != DTYPE_S64 ||
	    !((indices->rank == 1 && indices->dims[0] == nnz) ||
	      (indices->rank == 2 && indices->dims[0] == nnz && indices->dims[1] == rank)))
		return fail(error, error_size, -EINVAL, "sparse values and indices do not fit each other");
	if (count < 0 || count > INT_MAX || (uint64_t)count > (uint64_t)PTRDIFF_MAX / size)
		return fail(error, error_size, -EINVAL, "its dimensions are negative or too large");
	err = tensor_init(tensor, values->dtype, rank, proto->dims);
	if (err)
		return fail(error, error_size, err, "%s", strerror(-err));
	for (int64_t i = 0; i < nnz; i++) {
		int64_t at = sparse_position(indices, rank, proto->dims, count, i);
		char *from = (char *)values->data + (size_t)i * size;

		if (at < 0 || at <= last) {
			tensor_finish(tensor);
			return fail(error, error_size, -EINVAL,
				    at < 0 ? "sparse entry %lld lies outside the shape"
					   : "sparse entry %lld does not come after the one before it",
				    (long long)i);
		}
		last = at;
		memcpy((char *)tensor->data + (size_t)at * size, from, size);
		memset(from, 0, size); /* a string belongs to the dense tensor now */
	}
	return 0;
}

int onnx_tensor_from_sparse(Onnx__SparseTensorProto *proto, const char *folder, struct tensor *tensor, char *error,
			    size_t error_size)
{
	struct tensor values, indices;
	int err;

	memset(tensor, 0, sizeof(*tensor));
	if (!proto->values || !proto->indices || proto->n_dims > TENSOR_MAX_RANK)
		return fail(error, error_size, -EINVAL,
			    "a sparse tensor without values or indices, or of too high a rank");
	err = onnx_tensor_from_proto(proto->values, folder, &values, error, error_size);
	if (err)
		return err;
	err = onnx_tensor_from_proto(proto->indices, folder, &indices, error, error_size);
	if (!err) {
		err = scatter(proto, &values, &indices, tensor, error, error_size);
		tensor_finish(&indices);
	}
	tensor_finish(&values);
	return err;
}

int onnx_tensor_read(const char *path, struct tensor *tensor, char *error, size_t error_size)
{
	Onnx__TensorProto *proto;
	char reason[200];
	uint8_t *bytes;
	size_t size;
	int err;

	memset(tensor, 0, sizeof(*tensor));
	err = onnx_map(path, &bytes, &size, error, error_size);
	if (err)
		return err;
	proto = onnx__tensor_proto__unpack(NULL, size, bytes);
	onnx_unmap(bytes, size);
	if (!proto)
		return fail(error, error_size, -EINVAL, "%s: not a TensorProto", path);
	err = onnx_tensor_from_proto(proto, NULL, tensor, reason, sizeof(reason));
	onnx__tensor_proto__free_unpacked(proto, NULL);
	return err ? fail(error, error_size, err, "%s: %s", path, reason) : 0;
}
