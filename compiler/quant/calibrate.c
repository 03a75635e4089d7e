/* SPDX-License-Identifier: MIT */
/* Runs a graph on the CPU to see the range of every value. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compiler/graph/execute.h"
#include "compiler/onnx/tensor_file.h"
#include "compiler/quant/quantize.h"
#include "runtime/cpu/pool.h"

struct calibration {
	struct graph *graph;
	struct tensor *tensors; /* by value id */
	size_t *reads;          /* of each value still to come */
	struct cpu_pool *pool;
	char *error;
	size_t error_size;
};

static void record_range(struct graph_value *value, const struct tensor *tensor)
{
	int64_t count = tensor_count(tensor);

	if (!dtype_is_float(tensor->dtype))
		return;
	for (int64_t i = 0; i < count; i++) {
		float x = tensor->dtype == DTYPE_F32 ? ((const float *)tensor->data)[i]
						     : (float)tensor_get_f64(tensor, i);

		if (!isfinite(x))
			continue;
		if (!value->has_range) {
			value->has_range = true;
			value->lo = value->hi = x;
		}
		value->lo = x < value->lo ? x : value->lo;
		value->hi = x > value->hi ? x : value->hi;
	}
}

static int run_node(struct calibration *run, struct graph_node *node)
{
	int err = graph_run_node(node, run->tensors, run->pool, run->error, run->error_size);

	if (err)
		return err == -ENOENT ? -ENOTSUP : err;
	for (size_t i = 0; i < node->num_outputs; i++)
		if (node->outputs[i])
			record_range(node->outputs[i], &run->tensors[node->outputs[i]->id]);
	/* Memory of values that nobody reads any more. */
	for (size_t i = 0; i < node->num_inputs; i++) {
		struct graph_value *value = node->inputs[i];

		if (value && !value->constant && --run->reads[value->id] == 0 && value->producer)
			tensor_finish(&run->tensors[value->id]);
	}
	return 0;
}

static int run_sample(struct calibration *run, const struct quant_sample *sample)
{
	struct graph *graph = run->graph;
	int err = 0;

	for (size_t i = 0; i < graph->num_values; i++)
		run->reads[i] = graph->values[i]->num_uses;
	for (size_t i = 0; i < graph->num_inputs && !err; i++) {
		const struct tensor *input = sample->inputs[i];

		err = tensor_init_view(&run->tensors[graph->inputs[i]->id], input->dtype, input->rank, input->dims,
				       input->data, input->size);
		if (!err)
			record_range(graph->inputs[i], input);
	}
	for (size_t n = 0; n < graph->num_nodes && !err; n++)
		err = run_node(run, graph->nodes[n]);
	for (size_t i = 0; i < graph->num_values; i++)
		tensor_finish(&run->tensors[i]);
	return err;
}

int quant_calibrate(struct graph *graph, const struct quant_sample *samples, size_t count, char *error,
		    size_t error_size)
{
	struct calibration run = {.graph = graph, .error = error, .error_size = error_size};
	int err = cpu_pool_create(0, &run.pool);

	run.tensors = calloc(graph->num_values + 1, sizeof(*run.tensors));
	run.reads = calloc(graph->num_values + 1, sizeof(*run.reads));
	if (!run.tensors || !run.reads)
		err = -ENOMEM;
	for (size_t i = 0; i < count && !err; i++)
		err = run_sample(&run, &samples[i]);
	free(run.tensors);
	free(run.reads);
	cpu_pool_destroy(run.pool);
	return err;
}

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

static int read_sample(const struct graph *graph, const char *folder, size_t index, struct quant_sample *sample, char *error,
		       size_t error_size)
{
	struct tensor **inputs = calloc(graph->num_inputs + 1, sizeof(*inputs));
	int err = inputs ? 0 : -ENOMEM;

	sample->inputs = (const struct tensor *const *)inputs;
	for (size_t i = 0; i < graph->num_inputs && !err; i++) {
		char path[4096];

		inputs[i] = calloc(1, sizeof(*inputs[i]));
		if (!inputs[i])
			return -ENOMEM;
		/* DIR/input_I.pb is the only sample, or DIR/test_data_set_N/input_I.pb the sample N. */
		snprintf(path, sizeof(path), "%s/test_data_set_%zu/input_%zu.pb", folder, index, i);
		if (access(path, R_OK) && index == 0)
			snprintf(path, sizeof(path), "%s/input_%zu.pb", folder, i);
		err = access(path, R_OK) ? -ENOENT : onnx_tensor_read(path, inputs[i], error, error_size);
		if (!err && (inputs[i]->dtype != graph->inputs[i]->dtype || inputs[i]->rank != graph->inputs[i]->rank ||
			     memcmp(inputs[i]->dims, graph->inputs[i]->dims, (size_t)inputs[i]->rank * sizeof(int64_t)))) {
			snprintf(error, error_size, "%s: not of input %s's type and shape", path, graph->inputs[i]->name);
			err = -EINVAL;
		}
	}
	return err;
}

int quant_load_samples(const struct graph *graph, const char *folder, struct quant_sample **samples, size_t *count, char *error,
		       size_t error_size)
{
	struct quant_sample *loaded = calloc(QUANT_MAX_SAMPLES + 1, sizeof(*loaded));
	int err = loaded ? 0 : -ENOMEM;
	size_t n = 0;

	for (; n < QUANT_MAX_SAMPLES && !err; n++)
		err = read_sample(graph, folder, n, &loaded[n], error, error_size);
	if (err == -ENOENT && n > 1) { /* the one after the last */
		quant_samples_free_one(&loaded[n - 1], graph->num_inputs);
		n--;
		err = 0;
	} else if (err == -ENOENT) {
		snprintf(error, error_size, "%s: no input_0.pb and no test_data_set_0", folder);
	}
	if (err) {
		quant_samples_free(loaded, n, graph->num_inputs);
		return err;
	}
	*samples = loaded;
	*count = n;
	return 0;
}
