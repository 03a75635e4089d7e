/* SPDX-License-Identifier: MIT */
/* Files of test data whose value is no tensor: SequenceProto, OptionalProto and MapProto (onnx-data.proto). See tensor_file.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/onnx/external_data.h"
#include "compiler/onnx/tensor_file.h"
#include "compiler/onnx/tensor_proto.h"

#define MAX_DEPTH 16

/* Numbers of SequenceProto.DataType and OptionalProto.DataType. */
enum kind { KIND_NONE = 0, KIND_TENSOR = 1, KIND_SPARSE = 2, KIND_SEQUENCE = 3, KIND_MAP = 4, KIND_OPTIONAL = 5 };

struct reading {
	int depth;
	char *error;
	size_t size;
};

static int from_sequence(struct reading *in, Onnx__SequenceProto *proto, struct tensor *value);
static int from_optional(struct reading *in, Onnx__OptionalProto *proto, struct tensor *value);

static int fail(struct reading *in, int err, const char *reason)
{
	snprintf(in->error, in->size, "%s", reason);
	return err;
}

static int from_tensor(struct reading *in, Onnx__TensorProto *proto, struct tensor *value)
{
	return proto ? onnx_tensor_from_proto(proto, NULL, value, in->error, in->size)
		     : fail(in, -EINVAL, "an element is missing");
}

static int from_sparse(struct reading *in, Onnx__SparseTensorProto *proto, struct tensor *value)
{
	return proto ? onnx_tensor_from_sparse(proto, NULL, value, in->error, in->size)
		     : fail(in, -EINVAL, "an element is missing");
}

static int make_keys(const Onnx__MapProto *proto, struct tensor *keys)
{
	int64_t count = (int64_t)(proto->n_string_keys ? proto->n_string_keys : proto->n_keys);
	int err = tensor_init(keys, proto->n_string_keys ? DTYPE_STRING : DTYPE_S64, 1, &count);

	if (err)
		return err;
	if (!proto->n_string_keys) {
		if (count)
			memcpy(keys->data, proto->keys, (size_t)count * sizeof(int64_t));
		return 0;
	}
	for (int64_t i = 0; i < count; i++) {
		struct tensor_string *string = (struct tensor_string *)keys->data + i;
		const ProtobufCBinaryData *from = &proto->string_keys[i];

		string->data = malloc(from->len + 1);
		if (!string->data)
			return -ENOMEM;
		if (from->len)
			memcpy(string->data, from->data, from->len);
		string->data[from->len] = '\0';
		string->size = from->len;
	}
	return 0;
}

/* A map's values become one tensor where they are numbers of one type, else they stay a sequence. */
static int join_values(struct tensor *values)
{
	int64_t count = tensor_count(values);
	struct tensor joined, *elements = tensor_elements(values);
	size_t size = count ? dtype_size(elements[0].dtype) : 0;
	int err;

	for (int64_t i = 0; i < count; i++)
		if (elements[i].dtype != elements[0].dtype || dtype_owns_memory(elements[i].dtype) ||
		    tensor_count(&elements[i]) != 1)
			return 0;
	if (!count)
		return 0;
	err = tensor_init(&joined, elements[0].dtype, 1, &count);
	if (err)
		return err;
	for (int64_t i = 0; i < count; i++)
		memcpy((uint8_t *)joined.data + (size_t)i * size, elements[i].data, size);
	tensor_finish(values);
	*values = joined;
	return 0;
}

static int from_map(struct reading *in, Onnx__MapProto *proto, struct tensor *value)
{
	struct tensor *parts;
	int err;

	if (!proto || !proto->values)
		return fail(in, -EINVAL, "a map without values");
	err = tensor_init_nested(value, DTYPE_MAP, 2);
	if (err)
		return fail(in, err, "out of memory");
	parts = tensor_elements(value);
	err = make_keys(proto, &parts[0]);
	if (!err)
		err = from_sequence(in, proto->values, &parts[1]);
	if (!err && tensor_count(&parts[0]) != tensor_count(&parts[1]))
		err = fail(in, -EINVAL, "a map has not as many keys as values");
	if (!err)
		err = join_values(&parts[1]);
	if (err)
		tensor_finish(value);
	return err;
}

static int from_sequence(struct reading *in, Onnx__SequenceProto *proto, struct tensor *value)
{
	size_t counts[] = {[KIND_TENSOR] = proto->n_tensor_values,
			   [KIND_SPARSE] = proto->n_sparse_tensor_values,
			   [KIND_SEQUENCE] = proto->n_sequence_values,
			   [KIND_MAP] = proto->n_map_values,
			   [KIND_OPTIONAL] = proto->n_optional_values};
	int kind = proto->elem_type, err;

	if (kind < KIND_NONE || kind > KIND_OPTIONAL)
		return fail(in, -EINVAL, "a sequence of elements of unknown kind");
	if (++in->depth > MAX_DEPTH)
		return fail(in, -ENOTSUP, "the value nests too deep");
	err = tensor_init_nested(value, DTYPE_SEQUENCE, (int64_t)counts[kind]);
	if (err)
		return fail(in, err, "out of memory");
	for (size_t i = 0; i < counts[kind] && !err; i++) {
		struct tensor *element = &tensor_elements(value)[i];

		switch (kind) {
		case KIND_TENSOR:
			err = from_tensor(in, proto->tensor_values[i], element);
			break;
		case KIND_SPARSE:
			err = from_sparse(in, proto->sparse_tensor_values[i], element);
			break;
		case KIND_SEQUENCE:
			err = from_sequence(in, proto->sequence_values[i], element);
			break;
		case KIND_MAP:
			err = from_map(in, proto->map_values[i], element);
			break;
		default:
			err = from_optional(in, proto->optional_values[i], element);
		}
	}
	in->depth--;
	if (err)
		tensor_finish(value);
	return err;
}

static int from_optional(struct reading *in, Onnx__OptionalProto *proto, struct tensor *value)
{
	struct tensor *element;
	int err;

	if (++in->depth > MAX_DEPTH)
		return fail(in, -ENOTSUP, "the value nests too deep");
	err = tensor_init_nested(value, DTYPE_OPTIONAL, proto->elem_type != KIND_NONE);
	if (err)
		return fail(in, err, "out of memory");
	element = tensor_elements(value);
	switch (proto->elem_type) {
	case KIND_NONE:
		break;
	case KIND_TENSOR:
		err = from_tensor(in, proto->tensor_value, element);
		break;
	case KIND_SPARSE:
		err = from_sparse(in, proto->sparse_tensor_value, element);
		break;
	case KIND_SEQUENCE:
		err = proto->sequence_value ? from_sequence(in, proto->sequence_value, element)
					    : fail(in, -EINVAL, "an element is missing");
		break;
	case KIND_MAP:
		err = from_map(in, proto->map_value, element);
		break;
	case KIND_OPTIONAL:
		err = proto->optional_value ? from_optional(in, proto->optional_value, element)
					    : fail(in, -EINVAL, "an element is missing");
		break;
	default:
		err = fail(in, -EINVAL, "an optional element of unknown kind");
	}
	in->depth--;
	if (err)
		tensor_finish(value);
	return err;
}

int onnx_value_read(const char *path, enum dtype type, struct tensor *value, char *error, size_t error_size)
{
	char reason[200] = "";
	struct reading in = {.error = reason, .size = sizeof(reason)};
	Onnx__SequenceProto *sequence = NULL;
	Onnx__OptionalProto *optional = NULL;
	Onnx__MapProto *map = NULL;
	uint8_t *bytes;
	size_t size;
	int err;

	if (!dtype_is_nested(type)) {
		err = onnx_tensor_read(path, value, error, error_size);
		if (!err && type == DTYPE_BF16 && value->dtype == DTYPE_U16)
			value->dtype = DTYPE_BF16;
		return err;
	}
	memset(value, 0, sizeof(*value));
	err = onnx_map(path, &bytes, &size, error, error_size);
	if (err)
		return err;
	if (type == DTYPE_SEQUENCE)
		sequence = onnx__sequence_proto__unpack(NULL, size, bytes);
	else if (type == DTYPE_OPTIONAL)
		optional = onnx__optional_proto__unpack(NULL, size, bytes);
	else
		map = onnx__map_proto__unpack(NULL, size, bytes);
	onnx_unmap(bytes, size);
	if (sequence)
		err = from_sequence(&in, sequence, value);
	else if (optional)
		err = from_optional(&in, optional, value);
	else if (map)
		err = from_map(&in, map, value);
	else
		err = fail(&in, -EINVAL, "its bytes are no value of that type");
	if (sequence)
		onnx__sequence_proto__free_unpacked(sequence, NULL);
	if (optional)
		onnx__optional_proto__free_unpacked(optional, NULL);
	if (map)
		onnx__map_proto__free_unpacked(map, NULL);
	if (err)
		snprintf(error, error_size, "%s: as %s: %s", path, dtype_name(type), reason);
	return err;
}
