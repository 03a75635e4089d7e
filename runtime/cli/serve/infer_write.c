/* SPDX-License-Identifier: MIT */
/* Writing an answer: see infer.h. */
#include "runtime/cli/serve/infer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cli/json.h"
#include "runtime/cli/serve/datatype.h"
#include "runtime/cpu/utf8.h"
#include "runtime/fail.h"

/* Bytes of @tensor as the binary extension has them. */
static uint64_t binary_size(const struct tensor *tensor)
{
	const struct tensor_string *strings = tensor->data;
	uint64_t size = 0;

	if (tensor->dtype != DTYPE_STRING)
		return tensor_bytes(tensor);
	for (int64_t i = 0; i < tensor_count(tensor); i++)
		size += sizeof(uint32_t) + strings[i].size;
	return size;
}

static void put_binary(FILE *out, const struct tensor *tensor)
{
	const struct tensor_string *strings = tensor->data;

	if (tensor->dtype != DTYPE_STRING) {
		fwrite(tensor->data, 1, tensor_bytes(tensor), out);
		return;
	}
	for (int64_t i = 0; i < tensor_count(tensor); i++) {
		uint32_t length = (uint32_t)strings[i].size;

		fwrite(&length, sizeof(length), 1, out);
		fwrite(strings[i].data, 1, length, out);
	}
}

static bool is_utf8(const struct tensor_string *string)
{
	size_t used;

	for (size_t at = 0; at < string->size; at += used)
		if (utf8_decode(string->data + at, string->size - at, &used) < 0)
			return false;
	return true;
}

static int put_element(struct json *json, const struct tensor *tensor, int64_t i)
{
	if (tensor->dtype == DTYPE_STRING) {
		const struct tensor_string *string = &((const struct tensor_string *)tensor->data)[i];

		if (!is_utf8(string))
			return -EINVAL;
		json_bytes(json, NULL, string->data, string->size);
	} else if (tensor->dtype == DTYPE_BOOL) {
		json_bool(json, NULL, ((const uint8_t *)tensor->data)[i]);
	} else if (tensor->dtype == DTYPE_U64) {
		json_unsigned(json, NULL, ((const uint64_t *)tensor->data)[i]);
	} else if (dtype_is_integer(tensor->dtype)) {
		json_signed(json, NULL, tensor_get_s64(tensor, i));
	} else if (tensor->dtype == DTYPE_F64) {
		json_double(json, NULL, ((const double *)tensor->data)[i]);
	} else {
		json_number(json, NULL, tensor_get_f64(tensor, i));
	}
	return 0;
}

static int put_output(struct json *json, const char *name, const struct tensor *tensor, bool binary, char *error,
		      size_t error_size)
{
	int err = 0;

	json_object(json, NULL);
	json_text(json, "name", name);
	json_text(json, "datatype", datatype_name(tensor->dtype));
	json_array(json, "shape");
	for (int i = 0; i < tensor->rank; i++)
		json_signed(json, NULL, tensor->dims[i]);
	json_close(json);
	if (binary) {
		json_object(json, "parameters");
		json_unsigned(json, "binary_data_size", binary_size(tensor));
		json_close(json);
	} else {
		json_array(json, "data");
		for (int64_t i = 0; i < tensor_count(tensor) && !err; i++)
			err = put_element(json, tensor, i);
		json_close(json);
	}
	json_close(json);
	return err ? fail(error, error_size, err,
			  "output '%s': has a string that is not UTF-8; ask for it as binary data", name)
		   : 0;
}

int infer_write(const struct infer_model *model, const struct infer_request *request, const struct tensor *outputs,
		char **bytes, size_t *size, size_t *json_size, char *error, size_t error_size)
{
	FILE *out = open_memstream(bytes, size);
	struct json json;
	int err = 0;

	if (!out)
		return fail(error, error_size, -ENOMEM, "out of memory");
	json_begin(&json, out);
	json.compact = true;
	json_text(&json, "model_name", model->name);
	json_text(&json, "model_version", "1");
	if (request->id)
		json_bytes(&json, "id", request->id, request->id_size);
	json_array(&json, "outputs");
	for (size_t i = 0; i < request->num_outputs && !err; i++)
		err = put_output(&json, model->outputs[request->outputs[i].index].name, &outputs[i],
				 request->outputs[i].binary, error, error_size);
	json_close(&json);
	json_end(&json);
	*json_size = *size;
	for (size_t i = 0; i < request->num_outputs && !err; i++)
		if (request->outputs[i].binary)
			put_binary(out, &outputs[i]);
	if (!err && ferror(out))
		err = fail(error, error_size, -ENOMEM, "out of memory");
	if (fclose(out) && !err)
		err = fail(error, error_size, -ENOMEM, "out of memory");
	if (err) {
		free(*bytes);
		*bytes = NULL;
	}
	return err;
}
