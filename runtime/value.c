/* SPDX-License-Identifier: MIT */
/* Values that may be sequences, optionals or maps, as accel/runtime.h has them. */
#include "runtime/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct accel_string) == sizeof(struct tensor_string), "string elements are the same in both");
_Static_assert(sizeof(struct accel_value) == sizeof(struct tensor), "an element is a value");
_Static_assert((int)ACCEL_SEQUENCE == (int)DTYPE_SEQUENCE && (int)ACCEL_OPTIONAL == (int)DTYPE_OPTIONAL &&
		       (int)ACCEL_MAP == (int)DTYPE_MAP,
	       "nested types are the same in both");

int accel_value_create_tensor(const struct accel_tensor *from, struct accel_value **value)
{
	struct accel_value *v = calloc(1, sizeof(*v));
	struct tensor view;
	int err;

	*value = NULL;
	if (!v)
		return -ENOMEM;
	err = dtype_is_nested((enum dtype)from->dtype) ? -EINVAL
						       : tensor_init_view(&view, (enum dtype)from->dtype, from->rank,
									  from->dims, from->data, from->size);
	if (!err)
		err = tensor_copy(&v->tensor, &view);
	if (err) {
		free(v);
		return err;
	}
	*value = v;
	return 0;
}

int accel_value_create_nested(int32_t type, struct accel_value *const *elements, size_t count,
			      struct accel_value **value)
{
	struct accel_value *v = calloc(1, sizeof(*v));
	int err;

	*value = NULL;
	if (!v)
		return -ENOMEM;
	err = tensor_init_nested(&v->tensor, (enum dtype)type, (int64_t)count);
	for (size_t i = 0; i < count && !err; i++)
		err = elements[i] ? tensor_copy(&tensor_elements(&v->tensor)[i], &elements[i]->tensor) : -EINVAL;
	if (!err && type == ACCEL_MAP) {
		const struct tensor *keys = tensor_elements(&v->tensor), *values = keys + 1;

		if (keys->rank != 1 || (keys->dtype != DTYPE_S64 && keys->dtype != DTYPE_STRING) ||
		    tensor_count(values) != tensor_count(keys))
			err = -EINVAL;
	}
	if (err) {
		accel_value_destroy(v);
		return err;
	}
	*value = v;
	return 0;
}

void accel_value_destroy(struct accel_value *value)
{
	if (!value)
		return;
	tensor_finish(&value->tensor);
	free(value);
}

int32_t accel_value_type(const struct accel_value *value)
{
	return (int32_t)value->tensor.dtype;
}

size_t accel_value_count(const struct accel_value *value)
{
	return dtype_is_nested(value->tensor.dtype) ? (size_t)tensor_count(&value->tensor) : 0;
}

const struct accel_value *accel_value_element(const struct accel_value *value, size_t index)
{
	return index < accel_value_count(value) ? (const struct accel_value *)value->tensor.data + index : NULL;
}

int accel_value_tensor(const struct accel_value *value, struct accel_tensor *tensor)
{
	const struct tensor *from = &value->tensor;

	if (dtype_is_nested(from->dtype))
		return -EINVAL;
	*tensor = (struct accel_tensor){
		.dtype = (int32_t)from->dtype, .rank = from->rank, .data = from->data, .size = tensor_bytes(from)};
	memcpy(tensor->dims, from->dims, sizeof(tensor->dims));
	return 0;
}
