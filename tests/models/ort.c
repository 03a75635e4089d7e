/* SPDX-License-Identifier: MIT */
/*
 * struct OrtApi is a table of function pointers to which ONNX Runtime only ever appends, so that a function is known by
 * its position in it (include/onnxruntime/core/session/onnxruntime_c_api.h of that project numbers them by
 * declaration). Everything asked for here has been there since API version 10.
 */
#include "ort.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { API_VERSION = 10, LOG_ERROR = 3, ONNX_TYPE_TENSOR = 1, ALLOCATOR_ARENA = 1, MEM_DEFAULT = 0 };
enum { GRAPH_OPT_NONE = 0, GRAPH_OPT_ALL = 99 };

enum slot {
	GET_ERROR_MESSAGE = 2,
	CREATE_ENV = 3,
	CREATE_SESSION = 7,
	RUN = 9,
	CREATE_SESSION_OPTIONS = 10,
	SET_GRAPH_OPTIMIZATION_LEVEL = 23,
	SET_INTRA_OP_THREADS = 24,
	INPUT_COUNT = 30,
	OUTPUT_COUNT = 31,
	INPUT_TYPE_INFO = 33,
	INPUT_NAME = 36,
	OUTPUT_NAME = 37,
	CREATE_TENSOR_WITH_DATA = 49,
	TENSOR_DATA = 51,
	CAST_TYPE_INFO_TO_TENSOR_INFO = 55,
	ELEMENT_TYPE = 60,
	DIMENSIONS_COUNT = 61,
	DIMENSIONS = 62,
	TENSOR_TYPE_AND_SHAPE = 65,
	VALUE_TYPE = 67,
	CREATE_CPU_MEMORY_INFO = 69,
	DEFAULT_ALLOCATOR = 78,
	RELEASE_ENV = 92,
	RELEASE_STATUS = 93,
	RELEASE_MEMORY_INFO = 94,
	RELEASE_SESSION = 95,
	RELEASE_VALUE = 96,
	RELEASE_TYPE_INFO = 98,
	RELEASE_TENSOR_INFO = 99,
	RELEASE_SESSION_OPTIONS = 100,
	ADD_FREE_DIMENSION_BY_NAME = 124,
};

struct api_base {
	void *const *(*get_api)(uint32_t version);
	const char *(*get_version)(void);
};

struct ort {
	void *library;
	void *const *api;
	const struct api_base *base;
	void *env, *options, *session, *memory, *allocator;
	size_t inputs, outputs;
	char **input_name, **output_name;
	char error[1024];
};

/* Calls the function in a slot; every one but the releases returns a status object, NULL for success. */
#define CALL(ort, slot, types, ...) check(ort, ((void *(*)types)(ort)->api[slot])(__VA_ARGS__))

static int check(struct ort *ort, void *status)
{
	if (!status)
		return 0;
	snprintf(ort->error, sizeof(ort->error), "%s",
		 ((const char *(*)(const void *))ort->api[GET_ERROR_MESSAGE])(status));
	((void (*)(void *))ort->api[RELEASE_STATUS])(status);
	return -EIO;
}

static void release(const struct ort *ort, enum slot slot, void *object)
{
	if (object)
		((void (*)(void *))ort->api[slot])(object);
}

static int fail(struct ort *ort, int error, const char *what, const char *detail)
{
	snprintf(ort->error, sizeof(ort->error), "%s%s%s", what, detail ? ": " : "", detail ? detail : "");
	return error;
}

static int load_library(struct ort *ort, const char *library)
{
	const struct api_base *(*get_base)(void);

	ort->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (!ort->library)
		return fail(ort, -ENOENT, "cannot load ONNX Runtime", dlerror());
	*(void **)&get_base = dlsym(ort->library, "OrtGetApiBase");
	if (!get_base)
		return fail(ort, -EINVAL, library, "not ONNX Runtime: it has no OrtGetApiBase");
	ort->base = get_base();
	ort->api = ort->base->get_api(API_VERSION);
	return ort->api ? 0 : fail(ort, -EINVAL, "ONNX Runtime is too old", ort->base->get_version());
}

static int set_dim(struct ort *ort, const char *assignment)
{
	const char *equals = strrchr(assignment, '=');
	char name[ARRAY_NAME_SIZE], *end;
	long long size;

	if (!equals || (size_t)(equals - assignment) >= sizeof(name))
		return fail(ort, -EINVAL, "a dimension is given as NAME=SIZE", assignment);
	snprintf(name, sizeof(name), "%.*s", (int)(equals - assignment), assignment);
	size = strtoll(equals + 1, &end, 0);
	if (!equals[1] || *end || size < 1)
		return fail(ort, -EINVAL, "a dimension is given as NAME=SIZE", assignment);
	return CALL(ort, ADD_FREE_DIMENSION_BY_NAME, (void *, const char *, int64_t), ort->options, name,
		    (int64_t)size);
}

static int open_session(struct ort *ort, const char *model, const struct ort_options *options)
{
	int level = options->unoptimized ? GRAPH_OPT_NONE : GRAPH_OPT_ALL;
	int error = CALL(ort, CREATE_ENV, (int, const char *, void **), LOG_ERROR, "axl", &ort->env);

	if (!error)
		error = CALL(ort, CREATE_SESSION_OPTIONS, (void **), &ort->options);
	if (!error)
		error = CALL(ort, SET_INTRA_OP_THREADS, (void *, int), ort->options, options->threads);
	if (!error)
		error = CALL(ort, SET_GRAPH_OPTIMIZATION_LEVEL, (void *, int), ort->options, level);
	for (size_t i = 0; !error && options->dim && options->dim[i]; i++)
		error = set_dim(ort, options->dim[i]);
	if (!error)
		error = CALL(ort, CREATE_SESSION, (void *, const char *, void *, void **), ort->env, model,
			     ort->options, &ort->session);
	if (!error)
		error = CALL(ort, CREATE_CPU_MEMORY_INFO, (int, int, void **), ALLOCATOR_ARENA, MEM_DEFAULT,
			     &ort->memory);
	if (!error)
		error = CALL(ort, DEFAULT_ALLOCATOR, (void **), &ort->allocator);
	return error;
}

/* The names are the session's allocator's memory and are kept until the process ends its use of the library. */
static int read_names(struct ort *ort, enum slot count_slot, enum slot name_slot, size_t *count, char ***names)
{
	size_t n = 0;
	int error = CALL(ort, count_slot, (void *, size_t *), ort->session, &n);

	if (error)
		return error;
	*names = calloc(n + 1, sizeof(**names));
	if (!*names)
		return fail(ort, -ENOMEM, "out of memory", NULL);
	for (size_t i = 0; !error && i < n; i++)
		error = CALL(ort, name_slot, (void *, size_t, void *, char **), ort->session, i, ort->allocator,
			     &(*names)[i]);
	*count = n;
	return error;
}

int ort_create(struct ort **created, const char *library, const char *model, const struct ort_options *options)
{
	struct ort *ort = calloc(1, sizeof(*ort));
	int error;

	*created = ort;
	if (!ort)
		return -ENOMEM;
	error = load_library(ort, library);
	if (!error)
		error = open_session(ort, model, options);
	if (!error)
		error = read_names(ort, INPUT_COUNT, INPUT_NAME, &ort->inputs, &ort->input_name);
	if (!error)
		error = read_names(ort, OUTPUT_COUNT, OUTPUT_NAME, &ort->outputs, &ort->output_name);
	return error;
}

/* The library stays loaded: it does not survive dlclose() with its threads. */
void ort_destroy(struct ort *ort)
{
	if (!ort)
		return;
	if (ort->api) {
		release(ort, RELEASE_MEMORY_INFO, ort->memory);
		release(ort, RELEASE_SESSION, ort->session);
		release(ort, RELEASE_SESSION_OPTIONS, ort->options);
		release(ort, RELEASE_ENV, ort->env);
	}
	free(ort->input_name);
	free(ort->output_name);
	free(ort);
}

const char *ort_error(const struct ort *ort)
{
	return ort ? ort->error : "out of memory";
}

const char *ort_version(const struct ort *ort)
{
	return ort->base->get_version();
}

size_t ort_inputs(const struct ort *ort)
{
	return ort->inputs;
}

size_t ort_outputs(const struct ort *ort)
{
	return ort->outputs;
}

const char *ort_input_name(const struct ort *ort, size_t index)
{
	return ort->input_name[index];
}

const char *ort_output_name(const struct ort *ort, size_t index)
{
	return ort->output_name[index];
}

/* Type and dims; the numbering of element types is TensorProto's for all types that struct array takes. */
static int read_info(struct ort *ort, void *info, struct array *tensor)
{
	int error = CALL(ort, ELEMENT_TYPE, (void *, int *), info, &tensor->type);

	if (!error)
		error = CALL(ort, DIMENSIONS_COUNT, (void *, size_t *), info, &tensor->ndim);
	if (error)
		return error;
	if (tensor->ndim > ARRAY_MAX_DIMS)
		return fail(ort, -ENOTSUP, tensor->name, "more than 8 dimensions");
	if (!array_element_size(tensor->type))
		return fail(ort, -ENOTSUP, tensor->name, array_type_name(tensor->type));
	return CALL(ort, DIMENSIONS, (void *, int64_t *, size_t), info, tensor->dim, tensor->ndim);
}

int ort_input_info(struct ort *ort, size_t index, struct array *tensor)
{
	void *type = NULL, *info = NULL;
	int error = CALL(ort, INPUT_TYPE_INFO, (void *, size_t, void **), ort->session, index, &type);

	*tensor = (struct array){0};
	snprintf(tensor->name, sizeof(tensor->name), "%s", ort->input_name[index]);
	if (error)
		return error;
	error = CALL(ort, CAST_TYPE_INFO_TO_TENSOR_INFO, (void *, void **), type, &info);
	if (!error && !info)
		error = fail(ort, -ENOTSUP, tensor->name, "this input is not a tensor");
	if (!error)
		error = read_info(ort, info, tensor);
	for (size_t i = 0; !error && i < tensor->ndim; i++)
		if (tensor->dim[i] < 0)
			tensor->dim[i] = 1;
	release(ort, RELEASE_TYPE_INFO, type);
	return error;
}

static int copy_output(struct ort *ort, size_t index, void *value, struct array *tensor)
{
	void *info = NULL, *data = NULL;
	int type = 0, error;

	snprintf(tensor->name, sizeof(tensor->name), "%s", ort->output_name[index]);
	error = CALL(ort, VALUE_TYPE, (void *, int *), value, &type);
	if (!error && type != ONNX_TYPE_TENSOR)
		error = fail(ort, -ENOTSUP, tensor->name, "this output is not a tensor");
	if (!error)
		error = CALL(ort, TENSOR_TYPE_AND_SHAPE, (void *, void **), value, &info);
	if (!error)
		error = read_info(ort, info, tensor);
	if (!error)
		error = CALL(ort, TENSOR_DATA, (void *, void **), value, &data);
	if (!error && array_allocate(tensor))
		error = fail(ort, -ENOMEM, tensor->name, "out of memory");
	if (!error)
		memcpy(tensor->data, data, tensor->size);
	release(ort, RELEASE_TENSOR_INFO, info);
	return error;
}

int ort_run(struct ort *ort, const struct array *inputs, struct array *outputs)
{
	void **in = calloc(ort->inputs + 1, sizeof(*in)), **out = calloc(ort->outputs + 1, sizeof(*out));
	const char **name = calloc(ort->inputs + 1, sizeof(*name));
	size_t fed = 0;
	int error = in && out && name ? 0 : fail(ort, -ENOMEM, "out of memory", NULL);

	for (size_t i = 0; !error && i < ort->inputs; i++) {
		const struct array *tensor = &inputs[i];

		if (!tensor->data)
			continue;
		error = CALL(ort, CREATE_TENSOR_WITH_DATA,
			     (void *, void *, size_t, const int64_t *, size_t, int, void **), ort->memory, tensor->data,
			     tensor->size, tensor->dim, tensor->ndim, tensor->type, &in[fed]);
		name[fed++] = ort->input_name[i];
	}
	if (!error)
		error = CALL(ort, RUN,
			     (void *, void *, const char *const *, const void *const *, size_t, const char *const *,
			      size_t, void **),
			     ort->session, NULL, name, (const void *const *)in, fed,
			     (const char *const *)ort->output_name, ort->outputs, out);
	for (size_t i = 0; !error && i < ort->outputs; i++)
		error = copy_output(ort, i, out[i], &outputs[i]);
	for (size_t i = 0; in && i < fed; i++)
		release(ort, RELEASE_VALUE, in[i]);
	for (size_t i = 0; out && i < ort->outputs; i++)
		release(ort, RELEASE_VALUE, out[i]);
	free(in);
	free(out);
	free(name);
	return error;
}
