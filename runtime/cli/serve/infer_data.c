/* SPDX-License-Identifier: MIT */
/* See infer_data.h. Nothing is allocated before it is known that the data has as many elements as the shape. */
#include "runtime/cli/serve/infer_data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cli/serve/datatype.h"
#include "runtime/fail.h"

/* Where an array's elements go. @at: the next one. */
struct filling {
	struct tensor *tensor;
	int64_t at;
	const char *name;
	char *error;
	size_t error_size;
};

static int wrong_element(const struct filling *to, struct json_object *element)
{
	return fail(to->error, to->error_size, -EINVAL, "input '%s': element %lld of the data is %.40s, not of type %s",
		    to->name, (long long)to->at, json_object_to_json_string(element), datatype_name(to->tensor->dtype));
}

static int put_integer(struct filling *to, struct json_object *element)
{
	size_t width = dtype_size(to->tensor->dtype);
	char *place = (char *)to->tensor->data + (size_t)to->at * width;
	int64_t least, value = json_object_get_int64(element);
	uint64_t most, bits;

	datatype_bounds(to->tensor->dtype, &least, &most);
	/* Above INT64_MAX the signed value saturates; the unsigned one is 0 for all below 0. */
	bits = value < 0 ? (uint64_t)value : json_object_get_uint64(element);
	if (!json_object_is_type(element, json_type_int) || (value < 0 ? value < least : bits > most))
		return wrong_element(to, element);
	memcpy(place, &bits, width); /* little-endian: the low bytes are first */
	return 0;
}

static int put_float(struct filling *to, struct json_object *element)
{
	double value = json_object_get_double(element);
	void *data = to->tensor->data;

	if (!json_object_is_type(element, json_type_int) && !json_object_is_type(element, json_type_double))
		return wrong_element(to, element);
	switch (to->tensor->dtype) {
	case DTYPE_F64:
		((double *)data)[to->at] = value;
		break;
	case DTYPE_F32:
		((float *)data)[to->at] = (float)value;
		break;
	case DTYPE_F16:
		((uint16_t *)data)[to->at] = f32_to_f16((float)value);
		break;
	default:
		((uint16_t *)data)[to->at] = f32_to_bf16((float)value);
		break;
	}
	return 0;
}

static int put_element(struct filling *to, struct json_object *element)
{
	int err = 0;

	if (to->tensor->dtype == DTYPE_STRING) {
		if (!json_object_is_type(element, json_type_string))
			return wrong_element(to, element);
		err = tensor_string_set(&((struct tensor_string *)to->tensor->data)[to->at],
					json_object_get_string(element), (size_t)json_object_get_string_len(element));
		if (err)
			fail(to->error, to->error_size, err, "out of memory");
	} else if (to->tensor->dtype == DTYPE_BOOL) {
		if (!json_object_is_type(element, json_type_boolean))
			return wrong_element(to, element);
		((uint8_t *)to->tensor->data)[to->at] = (uint8_t)json_object_get_boolean(element);
	} else if (dtype_is_integer(to->tensor->dtype)) {
		err = put_integer(to, element);
	} else {
		err = put_float(to, element);
	}
	to->at++;
	return err;
}

/* @level: dimensions above @array; the rank: @array is one element */
static int put_nested(struct filling *to, struct json_object *array, int level)
{
	size_t length = json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
	int err = 0;

	if (level == to->tensor->rank)
		return put_element(to, array);
	for (size_t i = 0; i < length && !err; i++)
		err = put_nested(to, json_object_array_get_idx(array, i), level + 1);
	return err;
}

/* Do arrays in arrays have the shape of @tensor? */
static bool fits(const struct tensor *tensor, struct json_object *array, int level)
{
	if (level == tensor->rank)
		return !json_object_is_type(array, json_type_array);
	if (!json_object_is_type(array, json_type_array) ||
	    json_object_array_length(array) != (size_t)tensor->dims[level])
		return false;
	for (size_t i = 0; i < json_object_array_length(array); i++)
		if (!fits(tensor, json_object_array_get_idx(array, i), level + 1))
			return false;
	return true;
}

static int allocate(struct tensor *tensor, const char *name, char *error, size_t error_size)
{
	int64_t dims[TENSOR_MAX_RANK];
	int err;

	memcpy(dims, tensor->dims, sizeof(dims));
	err = tensor_init(tensor, tensor->dtype, tensor->rank, dims);
	return err ? fail(error, error_size, err, "input '%s': no memory for its elements", name) : 0;
}

int infer_data_from_json(struct tensor *tensor, struct json_object *data, const char *name, char *error,
			 size_t error_size)
{
	struct filling to = {tensor, 0, name, error, error_size};
	int64_t count = dims_count(tensor->rank, tensor->dims);
	bool nested;
	int err;

	if (!json_object_is_type(data, json_type_array))
		return fail(error, error_size, -EINVAL, "input '%s': \"data\" is no array", name);
	nested = json_object_array_length(data) &&
		 json_object_is_type(json_object_array_get_idx(data, 0), json_type_array);
	if (nested && !fits(tensor, data, 0))
		return fail(error, error_size, -EINVAL, "input '%s': the arrays of \"data\" have not its shape", name);
	if (!nested && json_object_array_length(data) != (size_t)count)
		return fail(error, error_size, -EINVAL, "input '%s': %zu elements of data, its shape has %lld", name,
			    json_object_array_length(data), (long long)count);
	err = allocate(tensor, name, error, error_size);
	if (!err && nested)
		err = put_nested(&to, data, 0);
	for (size_t i = 0; !nested && i < (size_t)count && !err; i++)
		err = put_element(&to, json_object_array_get_idx(data, i));
	if (err)
		tensor_finish(tensor);
	return err;
}

/* ---- bytes ---- */

/* Elements of BYTES in @size bytes; -1: the last one is cut. */
static int64_t count_strings(const char *bytes, size_t size)
{
	int64_t count = 0;
	uint32_t length;

	for (size_t at = 0; at < size; at += length, count++) {
		if (size - at < sizeof(length))
			return -1;
		memcpy(&length, bytes + at, sizeof(length));
		at += sizeof(length);
		if (length > size - at)
			return -1;
	}
	return count;
}

static int put_strings(struct tensor *tensor, const char *bytes, size_t size)
{
	struct tensor_string *element = tensor->data;
	uint32_t length;

	for (size_t at = 0; at < size; at += length) {
		int err;

		memcpy(&length, bytes + at, sizeof(length));
		at += sizeof(length);
		err = tensor_string_set(element++, bytes + at, length);
		if (err)
			return err;
	}
	return 0;
}

static int check_bytes(const struct tensor *tensor, const char *bytes, size_t size, const char *name, char *error,
		       size_t error_size)
{
	int64_t count = dims_count(tensor->rank, tensor->dims);

	if (tensor->dtype == DTYPE_STRING) {
		int64_t given = count_strings(bytes, size);

		if (given < 0)
			return fail(error, error_size, -EINVAL,
				    "input '%s': the last element of its binary data is cut", name);
		return given == count ? 0
				      : fail(error, error_size, -EINVAL,
					     "input '%s': %lld elements of binary data, its shape has %lld", name,
					     (long long)given, (long long)count);
	}
	/* Divided, not multiplied: the shape may be any. */
	if (size % dtype_size(tensor->dtype) || size / dtype_size(tensor->dtype) != (size_t)count)
		return fail(error, error_size, -EINVAL,
			    "input '%s': %zu bytes of binary data, its shape has %lld elements of %zu bytes", name,
			    size, (long long)count, dtype_size(tensor->dtype));
	for (size_t i = 0; tensor->dtype == DTYPE_BOOL && i < size; i++)
		if ((unsigned char)bytes[i] > 1)
			return fail(error, error_size, -EINVAL,
				    "input '%s': byte %zu of its binary data is no BOOL (0 or 1)", name, i);
	return 0;
}

int infer_data_from_bytes(struct tensor *tensor, const char *bytes, size_t size, const char *name, char *error,
			  size_t error_size)
{
	int err = check_bytes(tensor, bytes, size, name, error, error_size);

	if (!err)
		err = allocate(tensor, name, error, error_size);
	if (err)
		return err;
	if (tensor->dtype != DTYPE_STRING) {
		if (size)
			memcpy(tensor->data, bytes, size);
		return 0;
	}
	err = put_strings(tensor, bytes, size);
	if (err) {
		tensor_finish(tensor);
		fail(error, error_size, err, "input '%s': no memory for its elements", name);
	}
	return err;
}
