/* SPDX-License-Identifier: MIT */
/* See samples.h. */
#include "compiler/quant/samples.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/onnx/npy.h"
#include "compiler/onnx/tensor_file.h"

/* ---- made samples ---- */

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

static int make_tensor(const struct graph_value *value, uint64_t *state, struct tensor **made)
{
	struct tensor *tensor = calloc(1, sizeof(*tensor));
	int err = tensor ? tensor_init(tensor, value->dtype, value->rank, value->dims) : -ENOMEM;

	if (!err)
		for (int64_t i = 0; i < tensor_count(tensor); i++) {
			uint64_t bits = next_random(state);

			if (value->dtype == DTYPE_F32)
				((float *)tensor->data)[i] = (float)bits / 1073741824.0f - 1.0f;
			else if (value->dtype == DTYPE_S64)
				((int64_t *)tensor->data)[i] = (int64_t)(bits % 100);
			else if (value->dtype == DTYPE_S32)
				((int32_t *)tensor->data)[i] = (int32_t)(bits % 100);
			else if (dtype_size(value->dtype) == 1)
				((uint8_t *)tensor->data)[i] =
					value->dtype == DTYPE_BOOL ? bits & 1 : (uint8_t)(bits % 100);
		}
	if (err) {
		free(tensor);
		tensor = NULL;
	}
	*made = tensor;
	return err;
}

int quant_make_samples(const struct graph *graph, uint64_t seed, size_t count, struct quant_sample **samples)
{
	struct quant_sample *made = calloc(count + 1, sizeof(*made));
	uint64_t state = seed * 2654435761u + 1;
	int err = made ? 0 : -ENOMEM;

	for (size_t s = 0; s < count && !err; s++) {
		struct tensor **inputs = calloc(graph->num_inputs + 1, sizeof(*inputs));

		made[s].inputs = (const struct tensor *const *)inputs;
		if (!inputs)
			err = -ENOMEM;
		for (size_t i = 0; i < graph->num_inputs && !err; i++)
			err = make_tensor(graph->inputs[i], &state, &inputs[i]);
	}
	if (err)
		quant_samples_free(made, count, graph->num_inputs);
	else
		*samples = made;
	return err;
}

static void quant_samples_free_one(struct quant_sample *sample, size_t num_inputs)
{
	struct tensor **inputs = (struct tensor **)(uintptr_t)sample->inputs;

	for (size_t i = 0; inputs && i < num_inputs && inputs[i]; i++) {
		tensor_finish(inputs[i]);
		free(inputs[i]);
	}
	free(inputs);
	sample->inputs = NULL;
}

void quant_samples_free(struct quant_sample *samples, size_t count, size_t num_inputs)
{
	for (size_t s = 0; samples && s < count; s++)
		quant_samples_free_one(&samples[s], num_inputs);
	free(samples);
}

/* ---- samples from files ---- */

/* What was read so far, @count @samples of @graph's inputs, and where an error is told. */
struct loading {
	const struct graph *graph;
	struct quant_sample *samples;
	size_t count;
	char *error;
	size_t error_size;
};

static bool has_shape(const struct tensor *tensor, const struct graph_value *value)
{
	return tensor->dtype == value->dtype && tensor->rank == value->rank &&
	       !memcmp(tensor->dims, value->dims, (size_t)tensor->rank * sizeof(int64_t));
}

static bool all_finite(const struct tensor *tensor)
{
	int64_t count = tensor_count(tensor);

	if (!dtype_is_float(tensor->dtype))
		return true;
	for (int64_t i = 0; i < count; i++)
		if (!isfinite(tensor->dtype == DTYPE_F32 ? ((const float *)tensor->data)[i]
							 : tensor_get_f64(tensor, i)))
			return false;
	return true;
}

static int check_sample(const struct loading *load, const char *path, const struct tensor *tensor,
			const struct graph_value *value)
{
	char type[256];

	if (!has_shape(tensor, value)) {
		snprintf(load->error, load->error_size, "%s: not of the type and shape of input %s, %s", path,
			 value->name, graph_value_type(load->graph, value, type, sizeof(type)));
		return -EINVAL;
	}
	if (!all_finite(tensor)) {
		snprintf(load->error, load->error_size, "%s: it holds a number that is not finite", path);
		return -EINVAL;
	}
	return 0;
}

/* -ENOENT: there is no file @index. */
static int read_folder(struct loading *load, const char *folder, size_t index)
{
	size_t num_inputs = load->graph->num_inputs;
	struct tensor **inputs = calloc(num_inputs + 1, sizeof(*inputs));
	int err = inputs ? 0 : -ENOMEM;

	load->samples[load->count].inputs = (const struct tensor *const *)inputs;
	for (size_t i = 0; i < num_inputs && !err; i++) {
		char path[4096];

		inputs[i] = calloc(1, sizeof(*inputs[i]));
		if (!inputs[i]) {
			err = -ENOMEM;
			break;
		}
		/* DIR/input_I.pb is the only sample, or DIR/test_data_set_N/input_I.pb the sample N. */
		snprintf(path, sizeof(path), "%s/test_data_set_%zu/input_%zu.pb", folder, index, i);
		if (access(path, R_OK) && index == 0)
			snprintf(path, sizeof(path), "%s/input_%zu.pb", folder, i);
		if (access(path, R_OK) && i > 0) {
			snprintf(load->error, load->error_size, "%s: it is missing, and input_0.pb is there", path);
			err = -EINVAL;
		} else {
			err = access(path, R_OK) ? -ENOENT
						 : onnx_tensor_read(path, inputs[i], load->error, load->error_size);
		}
		if (!err)
			err = check_sample(load, path, inputs[i], load->graph->inputs[i]);
	}
	if (err)
		quant_samples_free_one(&load->samples[load->count], num_inputs);
	else
		load->count++;
	return err;
}

/* Rows [@first, …) of @rows as one sample; where there are fewer than it needs, the first follow the last. */
static int add_rows(struct loading *load, const char *path, const struct tensor *rows, int64_t first)
{
	const struct graph_value *value = load->graph->inputs[0];
	struct tensor **inputs = calloc(2, sizeof(*inputs));
	size_t size = (size_t)(tensor_bytes(rows) / (size_t)rows->dims[0]);
	int err = -ENOMEM;

	if (inputs)
		inputs[0] = calloc(1, sizeof(*inputs[0]));
	load->samples[load->count].inputs = (const struct tensor *const *)inputs;
	if (inputs && inputs[0])
		err = tensor_init(inputs[0], value->dtype, value->rank, value->dims);
	for (int64_t i = 0; !err && i < value->dims[0]; i++)
		memcpy((char *)inputs[0]->data + (size_t)i * size,
		       (const char *)rows->data + (size_t)((first + i) % rows->dims[0]) * size, size);
	if (!err)
		err = check_sample(load, path, inputs[0], value);
	if (err)
		quant_samples_free_one(&load->samples[load->count], 1);
	else
		load->count++;
	return err;
}

static int read_npy(struct loading *load, const char *path)
{
	const struct graph_value *value = load->graph->inputs[0];
	struct tensor rows = {0}, row;
	int err;

	if (load->graph->num_inputs != 1) {
		snprintf(load->error, load->error_size,
			 "%s: rows of samples are for models with one input, this has %zu", path,
			 load->graph->num_inputs);
		return -EINVAL;
	}
	err = npy_read(path, DTYPE_UNDEFINED, &rows, load->error, load->error_size);
	if (err)
		return err;
	row = rows;
	if (rows.rank > 0 && value->rank > 0)
		row.dims[0] = value->dims[0];
	if (!has_shape(&row, value) || rows.rank < 1 || value->dims[0] < 1) {
		snprintf(load->error, load->error_size, "%s: its rows are not of the type and shape of input %s", path,
			 value->name);
		err = -EINVAL;
	}
	for (int64_t i = 0; !err && i < rows.dims[0] && (i == 0 || i + value->dims[0] <= rows.dims[0]) &&
			    load->count < QUANT_MAX_SAMPLES;
	     i += value->dims[0])
		err = add_rows(load, path, &rows, i);
	tensor_finish(&rows);
	return err;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_npy(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return length > 4 && !strcmp(entry->d_name + length - 4, ".npy");
}

static int read_npy_folder(struct loading *load, const char *folder)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, is_npy, by_name), err = 0;

	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
		if (!err)
			err = read_npy(load, path);
		free(entries[i]);
	}
	free(entries);
	return err;
}

static int load_all(struct loading *load, const char *path)
{
	struct stat status;
	int err = 0;

	if (stat(path, &status)) {
		err = -errno;
		snprintf(load->error, load->error_size, "%s: %s", path, strerror(-err));
		return err;
	}
	if (!S_ISDIR(status.st_mode))
		return read_npy(load, path);
	for (size_t i = 0; i < QUANT_MAX_SAMPLES && !err; i++)
		err = read_folder(load, path, i);
	if (err == -ENOENT) /* the one after the last */
		err = load->count ? 0 : read_npy_folder(load, path);
	if (!err && !load->count) {
		snprintf(load->error, load->error_size,
			 "%s: no test_data_set_0, no input_0.pb and no .npy file with samples", path);
		err = -ENOENT;
	}
	return err;
}

int quant_load_samples(const struct graph *graph, const char *path, struct quant_sample **samples, size_t *count,
		       char *error, size_t error_size)
{
	struct loading load = {.graph = graph, .error = error, .error_size = error_size};
	int err;

	load.samples = calloc(QUANT_MAX_SAMPLES + 1, sizeof(*load.samples));
	if (!load.samples) {
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	err = load_all(&load, path);
	if (err) {
		quant_samples_free(load.samples, load.count, graph->num_inputs);
		return err;
	}
	*samples = load.samples;
	*count = load.count;
	return 0;
}
