/* SPDX-License-Identifier: MIT */
/* Reading a request: see infer.h. */
#include "runtime/cli/serve/infer.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "runtime/cli/serve/datatype.h"
#include "runtime/cli/serve/infer_data.h"
#include "runtime/fail.h"

/* Objects in arrays in objects around the data, and the data's own dimensions. */
#define MAX_DEPTH (8 + TENSOR_MAX_RANK)

/* @binary, @binary_size: the bytes behind the JSON that no input has taken yet; @all_binary: outputs, unless they say otherwise */
struct reading {
	const struct infer_model *model;
	struct infer_request *request;
	const char *binary;
	size_t binary_size;
	bool all_binary;
	char *error;
	size_t error_size;
};

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, key, &value);
	return value;
}

/* NULL: @object has no such string, or one with a NUL in it, which nothing here is called. */
static const char *text_member(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key);

	if (!json_object_is_type(value, json_type_string) ||
	    strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
		return NULL;
	return json_object_get_string(value);
}

/* The parameters of @object in *parameters (NULL: none), refused where they would change the answer. */
static int read_parameters(struct reading *from, struct json_object *object, const char *whose,
			   struct json_object **parameters)
{
	static const char *const refused[] = {"shared_memory_", "sequence_", "classification"};

	*parameters = member(object, "parameters");
	if (!*parameters)
		return 0;
	if (!json_object_is_type(*parameters, json_type_object))
		return fail(from->error, from->error_size, -EINVAL, "%s: \"parameters\" is no object", whose);
	json_object_object_foreach(*parameters, key, value)
	{
		(void)value;
		for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
			if (!strncmp(key, refused[i], strlen(refused[i])))
				return fail(from->error, from->error_size, -EINVAL,
					    "%s: the parameter '%s' is not supported", whose, key);
	}
	return 0;
}

static int read_flag(struct reading *from, struct json_object *parameters, const char *key, const char *whose,
		     bool *flag)
{
	struct json_object *value = parameters ? member(parameters, key) : NULL;

	if (!value)
		return 0;
	if (!json_object_is_type(value, json_type_boolean))
		return fail(from->error, from->error_size, -EINVAL, "%s: the parameter '%s' is no boolean", whose, key);
	*flag = json_object_get_boolean(value);
	return 0;
}

static int read_shape(struct reading *from, struct json_object *shape, const char *name, struct tensor *tensor)
{
	if (!json_object_is_type(shape, json_type_array))
		return fail(from->error, from->error_size, -EINVAL, "input '%s': \"shape\" is no array", name);
	if (json_object_array_length(shape) > TENSOR_MAX_RANK)
		return fail(from->error, from->error_size, -EINVAL, "input '%s': %zu dimensions, at most %d can be",
			    name, json_object_array_length(shape), TENSOR_MAX_RANK);
	tensor->rank = (int)json_object_array_length(shape);
	for (int i = 0; i < tensor->rank; i++) {
		struct json_object *size = json_object_array_get_idx(shape, (size_t)i);

		if (!json_object_is_type(size, json_type_int) || json_object_get_int64(size) < 0)
			return fail(from->error, from->error_size, -EINVAL,
				    "input '%s': dimension %d of the shape is no size", name, i);
		tensor->dims[i] = json_object_get_int64(size);
	}
	if (dims_count(tensor->rank, tensor->dims) < 0)
		return fail(from->error, from->error_size, -EINVAL, "input '%s': the shape has too many elements",
			    name);
	return 0;
}

static int read_data(struct reading *from, struct json_object *input, struct json_object *parameters, const char *name,
		     struct tensor *tensor)
{
	struct json_object *bytes = parameters ? member(parameters, "binary_data_size") : NULL;
	struct json_object *data = member(input, "data");
	int64_t size;
	int err;

	if (!bytes == !data)
		return fail(from->error, from->error_size, -EINVAL, "input '%s': %s \"data\" and \"binary_data_size\"",
			    name, data ? "both" : "neither");
	if (data)
		return infer_data_from_json(tensor, data, name, from->error, from->error_size);
	size = json_object_get_int64(bytes);
	if (!json_object_is_type(bytes, json_type_int) || size < 0)
		return fail(from->error, from->error_size, -EINVAL, "input '%s': \"binary_data_size\" is no size",
			    name);
	if ((uint64_t)size > from->binary_size)
		return fail(from->error, from->error_size, -EINVAL,
			    "input '%s': %lld bytes of binary data, %zu are there", name, (long long)size,
			    from->binary_size);
	err = infer_data_from_bytes(tensor, from->binary, (size_t)size, name, from->error, from->error_size);
	from->binary += size;
	from->binary_size -= (size_t)size;
	return err;
}

static int read_input(struct reading *from, struct json_object *input)
{
	const struct infer_model *model = from->model;
	const char *name = json_object_is_type(input, json_type_object) ? text_member(input, "name") : NULL;
	const char *type;
	struct json_object *parameters;
	struct tensor *tensor;
	size_t index = 0;
	int err;

	if (!name)
		return fail(from->error, from->error_size, -EINVAL, "\"inputs\": an input without a name");
	while (index < model->num_inputs && strcmp(model->inputs[index].name, name))
		index++;
	if (index == model->num_inputs)
		return fail(from->error, from->error_size, -EINVAL, "model '%s' has no input '%.200s'", model->name,
			    name);
	tensor = &from->request->inputs[index];
	if (tensor->dtype)
		return fail(from->error, from->error_size, -EINVAL, "input '%s' is there twice", name);
	type = text_member(input, "datatype");
	tensor->dtype = type ? datatype_from_name(type) : DTYPE_UNDEFINED;
	if (tensor->dtype != (enum dtype)model->inputs[index].dtype) {
		err = fail(from->error, from->error_size, -EINVAL,
			   "input '%s': the datatype is %.40s, the model's is %s", name, type ? type : "not given",
			   datatype_name((enum dtype)model->inputs[index].dtype));
		tensor->dtype = DTYPE_UNDEFINED;
		return err;
	}
	err = read_parameters(from, input, name, &parameters);
	if (!err)
		err = read_shape(from, member(input, "shape"), name, tensor);
	return err ? err : read_data(from, input, parameters, name, tensor);
}

static int read_inputs(struct reading *from, struct json_object *inputs)
{
	const struct infer_model *model = from->model;

	if (!json_object_is_type(inputs, json_type_array))
		return fail(from->error, from->error_size, -EINVAL, "there is no array \"inputs\"");
	for (size_t i = 0; i < json_object_array_length(inputs); i++) {
		int err = read_input(from, json_object_array_get_idx(inputs, i));

		if (err)
			return err;
	}
	for (size_t i = 0; i < model->num_inputs; i++)
		if (!from->request->inputs[i].dtype)
			return fail(from->error, from->error_size, -EINVAL, "input '%s' is missing",
				    model->inputs[i].name);
	if (from->binary_size)
		return fail(from->error, from->error_size, -EINVAL, "%zu bytes of binary data are of no input",
			    from->binary_size);
	return 0;
}

static int read_output(struct reading *from, struct json_object *object)
{
	const struct infer_model *model = from->model;
	const char *name = json_object_is_type(object, json_type_object) ? text_member(object, "name") : NULL;
	struct infer_output output = {.binary = from->all_binary};
	struct json_object *parameters;
	int err;

	if (!name)
		return fail(from->error, from->error_size, -EINVAL, "\"outputs\": an output without a name");
	while (output.index < model->num_outputs && strcmp(model->outputs[output.index].name, name))
		output.index++;
	if (output.index == model->num_outputs)
		return fail(from->error, from->error_size, -EINVAL, "model '%s' has no output '%.200s'", model->name,
			    name);
	for (size_t i = 0; i < from->request->num_outputs; i++)
		if (from->request->outputs[i].index == output.index)
			return fail(from->error, from->error_size, -EINVAL, "output '%s' is there twice", name);
	err = read_parameters(from, object, name, &parameters);
	if (!err)
		err = read_flag(from, parameters, "binary_data", name, &output.binary);
	if (!err)
		from->request->outputs[from->request->num_outputs++] = output;
	return err;
}

static int read_outputs(struct reading *from, struct json_object *outputs)
{
	struct infer_request *request = from->request;
	int err = 0;

	if (!outputs) {
		for (size_t i = 0; i < from->model->num_outputs; i++)
			request->outputs[request->num_outputs++] = (struct infer_output){i, from->all_binary};
		return 0;
	}
	if (!json_object_is_type(outputs, json_type_array))
		return fail(from->error, from->error_size, -EINVAL, "\"outputs\" is no array");
	for (size_t i = 0; i < json_object_array_length(outputs) && !err; i++)
		err = read_output(from, json_object_array_get_idx(outputs, i));
	return err;
}

static int read_id(struct reading *from, struct json_object *id)
{
	struct infer_request *request = from->request;

	if (!id)
		return 0;
	if (!json_object_is_type(id, json_type_string))
		return fail(from->error, from->error_size, -EINVAL, "\"id\" is no string");
	request->id_size = (size_t)json_object_get_string_len(id);
	request->id = malloc(request->id_size + 1);
	if (!request->id)
		return fail(from->error, from->error_size, -ENOMEM, "out of memory");
	memcpy(request->id, json_object_get_string(id), request->id_size);
	return 0;
}

static int read_object(struct reading *from, struct json_object *object)
{
	struct json_object *parameters;
	int err;

	if (!json_object_is_type(object, json_type_object))
		return fail(from->error, from->error_size, -EINVAL, "the request is no JSON object");
	err = read_parameters(from, object, "the request", &parameters);
	if (!err)
		err = read_flag(from, parameters, "binary_data_output", "the request", &from->all_binary);
	if (!err)
		err = read_id(from, member(object, "id"));
	if (!err)
		err = read_outputs(from, member(object, "outputs"));
	return err ? err : read_inputs(from, member(object, "inputs"));
}

/* Is a JSON integer of @count @digits one that json-c keeps? It makes the nearest one it has of any other. */
static bool integer_fits(const char *digits, size_t count, bool negative)
{
	const char *most = negative ? "9223372036854775808" : "18446744073709551615";

	return count < strlen(most) || (count == strlen(most) && memcmp(digits, most, count) <= 0);
}

/* The first byte of an integer, outside strings, that does not fit; @size: there is none. Of @text that is JSON. */
static size_t find_wide_integer(const char *text, size_t size)
{
	for (size_t at = 0, length; at < size; at += length) {
		bool negative = at && text[at - 1] == '-';

		length = 1;
		if (text[at] == '"') {
			for (; at + length < size && text[at + length] != '"'; length++)
				length += text[at + length] == '\\';
			length++;
		} else if (text[at] >= '0' && text[at] <= '9') {
			while (at + length < size && text[at + length] >= '0' && text[at + length] <= '9')
				length++;
			if (at + length < size && strchr(".eE", text[at + length])) {
				while (at + length < size && strchr(".eE+-0123456789", text[at + length]))
					length++;
			} else if (!integer_fits(text + at, length, negative)) {
				return at;
			}
		}
	}
	return size;
}

/* NULL after an @error. */
static struct json_object *parse(const char *text, size_t size, char *error, size_t error_size)
{
	struct json_tokener *tokener = json_tokener_new_ex(MAX_DEPTH);
	struct json_object *object = NULL;
	enum json_tokener_error state;
	size_t wide;

	if (!tokener) {
		fail(error, error_size, -ENOMEM, "out of memory");
		return NULL;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	if (size <= INT_MAX - 1)
		object = json_tokener_parse_ex(tokener, text, (int)size);
	state = json_tokener_get_error(tokener);
	/* A NUL ends the text for json-c, whatever is behind it. */
	if (state == json_tokener_success && memchr(text, '\0', size))
		state = json_tokener_error_parse_unexpected;
	if (state != json_tokener_success || !object) {
		fail(error, error_size, -EINVAL, "the JSON is wrong at byte %zu: %s",
		     json_tokener_get_parse_end(tokener),
		     state == json_tokener_continue ? "it ends too early" : json_tokener_error_desc(state));
		json_object_put(object);
		object = NULL;
	}
	json_tokener_free(tokener);
	wide = object ? find_wide_integer(text, size) : size;
	if (wide < size) {
		fail(error, error_size, -EINVAL,
		     "the JSON has an integer of more than 64 bits at byte %zu: as a float it needs a point or an "
		     "exponent",
		     wide);
		json_object_put(object);
		object = NULL;
	}
	return object;
}

int infer_read(const struct infer_model *model, const char *body, size_t size, size_t json_size,
	       struct infer_request *request, char *error, size_t error_size)
{
	struct reading from = {.model = model, .request = request, .error = error, .error_size = error_size};
	struct json_object *object;
	int err = -ENOMEM;

	memset(request, 0, sizeof(*request));
	if (json_size > size)
		return fail(error, error_size, -EINVAL, "%zu bytes of JSON in a body of %zu", json_size, size);
	from.binary = body + json_size;
	from.binary_size = size - json_size;
	error[0] = '\0';
	object = parse(body, json_size, error, error_size);
	if (!object)
		return -EINVAL;
	request->num_inputs = model->num_inputs;
	request->inputs = calloc(model->num_inputs + 1, sizeof(*request->inputs));
	request->outputs = calloc(model->num_outputs + 1, sizeof(*request->outputs));
	if (request->inputs && request->outputs)
		err = read_object(&from, object);
	else
		fail(error, error_size, err, "out of memory");
	json_object_put(object);
	if (err)
		infer_finish(request);
	return err;
}

void infer_finish(struct infer_request *request)
{
	for (size_t i = 0; request->inputs && i < request->num_inputs; i++)
		tensor_finish(&request->inputs[i]);
	free(request->inputs);
	free(request->outputs);
	free(request->id);
	memset(request, 0, sizeof(*request));
}
