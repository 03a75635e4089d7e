/* SPDX-License-Identifier: MIT */
/* The elements of an input: from JSON, or from the bytes behind it. */
#ifndef RUNTIME_CLI_SERVE_INFER_DATA_H
#define RUNTIME_CLI_SERVE_INFER_DATA_H

#include <json-c/json.h>

#include "runtime/cpu/tensor.h"

/*
 * Make @tensor, of the type, rank and sizes that it says (they passed dims_count()), from @data: a flat array of its elements, or arrays
 * in arrays as its shape. @name: the input's, for @error. -EINVAL, -ENOMEM: @tensor has no memory.
 */
int infer_data_from_json(struct tensor *tensor, struct json_object *data, const char *name, char *error,
			 size_t error_size);

/* As infer_data_from_json(), from @size bytes at @bytes, which need not be aligned. */
int infer_data_from_bytes(struct tensor *tensor, const char *bytes, size_t size, const char *name, char *error,
			  size_t error_size);

#endif
