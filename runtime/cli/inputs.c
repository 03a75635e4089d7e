/* SPDX-License-Identifier: MIT */
/* See inputs.h. */
#include "runtime/cli/inputs.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compiler/onnx/tensor_file.h"
#include "compiler/onnx/npy.h"
#include "runtime/cpu/cast.h"
#include "runtime/value.h"

static bool has_suffix(const char *text, const char *suffix)
{
	size_t length = strlen(text), end = strlen(suffix);

	return length >= end && !strcmp(text + length - end, suffix);
}

static int read_raw(const char *path, const struct accel_value_info *info, struct tensor *tensor)
{
	FILE *file = fopen(path, "rb");
	int err;

	if (!file)
		return complain(-errno, "%s: %s", path, strerror(errno));
	err = tensor_init(tensor, (enum dtype)info->dtype, info->rank, info->dims);
	if (err) {
		complain(0, "%s: a .raw file needs an input of known shape", path);
	} else if (fread(tensor->data, 1, tensor_bytes(tensor), file) != tensor_bytes(tensor) || fgetc(file) != EOF) {
		tensor_finish(tensor);
		err = complain(-EINVAL, "%s: is not of %zu bytes, as input %s is", path, tensor_bytes(tensor),
			       info->name);
	}
	fclose(file);
	return err;
}

int inputs_read_file(const char *path, const struct accel_value_info *info, struct tensor *tensor)
{
	char error[256] = "";
	int err;

	memset(tensor, 0, sizeof(*tensor));
	if (has_suffix(path, ".raw"))
		return info ? read_raw(path, info, tensor)
			    : complain(-EINVAL, "%s: .raw has no shape of its own", path);
	if (has_suffix(path, ".npy"))
		err = npy_read(path, info ? (enum dtype)info->dtype : DTYPE_UNDEFINED, tensor, error, sizeof(error));
	else if (has_suffix(path, ".pb"))
		err = onnx_value_read(path, info ? (enum dtype)info->dtype : DTYPE_UNDEFINED, tensor, error,
				      sizeof(error));
	else
		return complain(-EINVAL, "%s: inputs are .npy, .pb or .raw files", path);
	if (err)
		complain(0, "%s", error);
	return err;
}

/* ---- made from a seed ---- */

/* splitmix64 (Steele, Lea, Flood 2014): the same numbers on every machine. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static double next_unit(uint64_t *state)
{
	return (double)(next_random(state) >> 11) * 0x1p-53;
}

static int make_input(const struct accel_value_info *info, uint64_t seed, struct tensor *tensor)
{
	int64_t dims[TENSOR_MAX_RANK], count, row;
	enum dtype type = (enum dtype)info->dtype;
	double level = 0;
	int err;

	for (int d = 0; d < info->rank; d++)
		dims[d] = info->dims[d] < 0 ? 1 : info->dims[d];
	if (!cast_exists(DTYPE_F64, type))
		return complain(-EINVAL, "input %s: no values of type %s can be made; give a file", info->name,
				*info->type ? info->type : dtype_name(type));
	err = tensor_init(tensor, type, info->rank, dims);
	if (err)
		return complain(err, "input %s: %s", info->name, strerror(-err));
	count = tensor_count(tensor);
	row = info->rank ? dims[info->rank - 1] : 1;
	row = row > 1 ? row : 16;
	for (int64_t i = 0; i < count; i++) {
		double value;

		if (i % ((row + 7) / 8) == 0)
			level = next_unit(&seed) * 1.5 - 0.75;
		if (dtype_is_float(type) || dtype_is_narrow_float(type))
			value = level + (next_unit(&seed) - 0.5) * 0.5;
		else
			value = type == DTYPE_BOOL ? (double)(next_random(&seed) & 1) : floor(next_unit(&seed) * 100);
		cast_elements(DTYPE_F64, type, &cast_default, 1, &value,
			      (char *)tensor->data + (size_t)i * dtype_size(type));
	}
	return 0;
}

/* ---- choosing ---- */

static const char *given_file(const struct options *options, const char *name)
{
	for (size_t i = 0; i < options->num_inputs; i++) {
		const char *equals = strrchr(options->inputs[i], '=');

		if ((size_t)(equals - options->inputs[i]) == strlen(name) &&
		    !strncmp(options->inputs[i], name, strlen(name)))
			return equals + 1;
	}
	return NULL;
}

static int check_names(const struct accel_session *session, const struct options *options)
{
	for (size_t i = 0; i < options->num_inputs; i++) {
		size_t length = (size_t)(strrchr(options->inputs[i], '=') - options->inputs[i]);
		struct accel_value_info info;
		bool found = false;

		for (size_t k = 0; k < accel_session_num_inputs(session) && !found; k++)
			found = !accel_session_input(session, k, &info) && strlen(info.name) == length &&
				!strncmp(info.name, options->inputs[i], length);
		if (!found)
			return complain(-EINVAL, "the model has no input '%.*s'", (int)length, options->inputs[i]);
	}
	return 0;
}

int inputs_load(const struct accel_session *session, const struct options *options, struct inputs *inputs)
{
	size_t count = accel_session_num_inputs(session);
	int err = check_names(session, options);

	memset(inputs, 0, sizeof(*inputs));
	if (err)
		return err;
	inputs->tensors = calloc(count + 1, sizeof(*inputs->tensors));
	inputs->views = calloc(count + 1, sizeof(*inputs->views));
	inputs->values = calloc(count + 1, sizeof(*inputs->values));
	if (!inputs->tensors || !inputs->views || !inputs->values) {
		inputs_finish(inputs);
		return complain(-ENOMEM, "out of memory");
	}
	inputs->count = count;
	for (size_t i = 0; i < count && !err; i++) {
		struct accel_value_info info;
		const char *file;
		char path[4096];

		accel_session_input(session, i, &info);
		file = given_file(options, info.name);
		if (!file && options->data_set) {
			snprintf(path, sizeof(path), "%s/input_%zu.pb", options->data_set, i);
			file = access(path, R_OK) ? NULL : path;
		}
		if (file) {
			err = inputs_read_file(file, &info, &inputs->tensors[i]);
		} else if (options->data_set) {
			err = complain(-ENOENT, "%s: no input_%zu.pb for input %s", options->data_set, i, info.name);
		} else {
			inputs->made++;
			err = make_input(&info, options->seed * 1000 + i, &inputs->tensors[i]);
		}
		inputs->views[i].tensor = inputs->tensors[i];
		inputs->values[i] = &inputs->views[i];
	}
	if (err)
		inputs_finish(inputs);
	return err;
}

void inputs_finish(struct inputs *inputs)
{
	for (size_t i = 0; inputs->tensors && i < inputs->count; i++)
		tensor_finish(&inputs->tensors[i]);
	free(inputs->tensors);
	free(inputs->views);
	free(inputs->values);
	memset(inputs, 0, sizeof(*inputs));
}

struct accel_tensor inputs_view(const struct tensor *tensor)
{
	struct accel_tensor view = {
		.dtype = (int32_t)tensor->dtype, .rank = tensor->rank, .data = tensor->data, .size = tensor->size};

	memcpy(view.dims, tensor->dims, sizeof(view.dims));
	return view;
}

/* ---- comparing ---- */

static bool same_string(const void *a, const void *b, int64_t i)
{
	const struct tensor_string *x = (const struct tensor_string *)a + i, *y = (const struct tensor_string *)b + i;

	return x->size == y->size && !memcmp(x->data, y->data, x->size);
}

/* Integers of 64 bits that are the same double. */
static bool differ_in_low_bits(const struct tensor *a, const struct tensor *b, int64_t i)
{
	return (a->dtype == DTYPE_S64 || a->dtype == DTYPE_U64) &&
	       ((const uint64_t *)a->data)[i] != ((const uint64_t *)b->data)[i];
}

static void compare_tensors(const struct tensor *actual, const struct tensor *expected, double rtol, double atol,
			    struct difference *difference)
{
	bool complex = expected->dtype == DTYPE_C64 || expected->dtype == DTYPE_C128;
	int64_t count = tensor_count(expected);

	if (complex) { /* real and imaginary parts are numbers of their own */
		enum dtype part = expected->dtype == DTYPE_C64 ? DTYPE_F32 : DTYPE_F64;
		struct tensor a = {.dtype = part, .rank = 1, .dims = {2 * count}, .data = actual->data};
		struct tensor e = {.dtype = part, .rank = 1, .dims = {2 * count}, .data = expected->data};

		compare_tensors(&a, &e, rtol, atol, difference);
		return;
	}
	for (int64_t i = 0; i < count; i++) {
		double a, e, distance;

		if (expected->dtype == DTYPE_STRING) {
			difference->count += !same_string(actual->data, expected->data, i);
			continue;
		}
		a = tensor_get_f64(actual, i);
		e = tensor_get_f64(expected, i);
		distance = isnan(a) && isnan(e) ? 0 : a == e ? 0 : fabs(a - e);
		if (distance == 0 && differ_in_low_bits(actual, expected, i))
			distance = 1;
		if (distance != 0 && !(distance <= atol + rtol * fabs(e)))
			difference->count++;
		if (distance > difference->largest || isnan(distance)) {
			difference->largest = distance;
			difference->index = difference->total + i;
			difference->actual = a;
			difference->expected = e;
		}
	}
	difference->total += count;
}

static void compare_values(const struct tensor *actual, const struct tensor *expected, double rtol, double atol,
			   struct difference *difference)
{
	int64_t count = tensor_count(expected);

	if (actual->dtype != expected->dtype)
		difference->what = "type";
	else if (!tensor_same_shape(actual, expected))
		difference->what = dtype_is_nested(expected->dtype) ? "number of elements" : "shape";
	if (difference->what) {
		difference->count += count + 1;
		difference->total += count;
		return;
	}
	if (!dtype_is_nested(expected->dtype)) {
		compare_tensors(actual, expected, rtol, atol, difference);
		return;
	}
	for (int64_t i = 0; i < count && !difference->what; i++)
		compare_values(&tensor_elements(actual)[i], &tensor_elements(expected)[i], rtol, atol, difference);
}

void inputs_compare(const struct tensor *actual, const struct tensor *expected, double rtol, double atol,
		    struct difference *difference)
{
	*difference = (struct difference){.largest = -1};
	compare_values(actual, expected, rtol, atol, difference);
}
