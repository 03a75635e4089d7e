/* SPDX-License-Identifier: MIT */
/* See chain.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cut/chain.h"

#define ERROR_SIZE 512

uint32_t chain_below(struct chain *chain, uint32_t bound)
{
	chain->random = chain->random * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(chain->random >> 8) * bound >> 24);
}

float *chain_numbers(struct chain *chain, int64_t count, float scale)
{
	float *values = malloc((size_t)count * sizeof(*values));

	assert_non_null(values);
	for (int64_t i = 0; i < count; i++)
		values[i] = scale * ((float)chain_below(chain, 2001) / 1000.0f - 1.0f);
	return values;
}

void chain_start(struct chain *chain, int64_t batch, int64_t channels, int64_t h, int64_t w)
{
	const int64_t dims[] = {batch, channels, h, w};

	model_init(&chain->model);
	model_input(&chain->model, "x", FLOAT, 4, dims);
	memcpy(chain->input, dims, sizeof(dims));
	chain->channels = channels;
	chain->h = h;
	chain->w = w;
	strcpy(chain->value, "x");
}

void chain_convolve(struct chain *chain, int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t group)
{
	int64_t dims[] = {out, chain->channels / group, kernel, kernel}, pad = (kernel - 1) * dilation / 2;
	int64_t count = dims[0] * dims[1] * kernel * kernel;
	char weight[32], next[32], relu[32];
	float *values = chain_numbers(chain, count, 1.5f / sqrtf((float)(dims[1] * kernel * kernel)));
	Onnx__NodeProto *node;

	snprintf(weight, sizeof(weight), "w%u", chain->nodes);
	snprintf(next, sizeof(next), "c%u", chain->nodes);
	snprintf(relu, sizeof(relu), "r%u", chain->nodes++);
	model_initializer(&chain->model, model_floats(&chain->model, weight, 4, dims, (size_t)count, values));
	free(values);
	node = model_node(&chain->model, "Conv", NAMES(chain->value, weight), NAMES(next));
	body_ints(&chain->model, node, "pads", 4, DIMS(pad, pad, pad, pad));
	body_ints(&chain->model, node, "strides", 2, DIMS(stride, stride));
	body_ints(&chain->model, node, "dilations", 2, DIMS(dilation, dilation));
	body_int(&chain->model, node, "group", group);
	model_node(&chain->model, "Relu", NAMES(next), NAMES(relu));
	memcpy(chain->value, relu, sizeof(relu));
	chain->channels = out;
	chain->h = (chain->h + stride - 1) / stride;
	chain->w = (chain->w + stride - 1) / stride;
}

void chain_pool(struct chain *chain, int64_t kernel, int64_t stride, int64_t pad)
{
	char next[32];
	Onnx__NodeProto *node;

	snprintf(next, sizeof(next), "p%u", chain->nodes++);
	node = model_node(&chain->model, "MaxPool", NAMES(chain->value), NAMES(next));
	body_ints(&chain->model, node, "kernel_shape", 2, DIMS(kernel, kernel));
	body_ints(&chain->model, node, "pads", 4, DIMS(pad, pad, pad, pad));
	body_ints(&chain->model, node, "strides", 2, DIMS(stride, stride));
	memcpy(chain->value, next, sizeof(next));
	chain->h = (chain->h + 2 * pad - kernel) / stride + 1;
	chain->w = (chain->w + 2 * pad - kernel) / stride + 1;
}

void chain_residual_block(struct chain *chain, int64_t kernel)
{
	char from[32], sum[32];
	int64_t wide = chain->channels;

	memcpy(from, chain->value, sizeof(from));
	chain_convolve(chain, 16 + chain_below(chain, 40), 1, 1, 1, 1);
	chain_convolve(chain, chain->channels, kernel, 1, 1, 1);
	chain_convolve(chain, wide, 1, 1, 1, 1);
	snprintf(sum, sizeof(sum), "s%u", chain->nodes++);
	model_node(&chain->model, "Add", NAMES(chain->value, from), NAMES(sum));
	memcpy(chain->value, sum, sizeof(sum));
}

uint8_t *chain_run(const char *path, const char *device, enum accel_precision precision, const char *disable,
		   const struct accel_tensor *x, size_t *size, struct chain_figures *figures)
{
	char passes[64];
	struct accel_session_options options = {
		.device = device, .threads = 2, .precision = precision, .disable = passes};
	struct accel_session *session = NULL;
	struct accel_run_stats stats;
	struct accel_tensor output = {0};
	char error[ERROR_SIZE] = "";
	uint8_t *copy;

	snprintf(passes, sizeof(passes), "placement%s%s", disable ? "," : "", disable ? disable : "");
	if (accel_session_create(path, &options, &session, error, sizeof(error)) ||
	    accel_session_run(session, x, 1, &output, 1, error, sizeof(error)))
		fail_msg("%s: %s", device, error);
	assert_int_equal(accel_session_stats(session, &stats), 0);
	*figures = (struct chain_figures){0};
	for (size_t i = 0; i < stats.num_regions; i++) {
		figures->bytes += stats.regions[i].local_bytes;
		figures->cycles += stats.regions[i].cycles;
	}
	copy = malloc(output.size);
	assert_non_null(copy);
	memcpy(copy, output.data, output.size);
	*size = output.size;
	accel_session_destroy(session);
	return copy;
}

uint64_t chain_bytes_moved(struct chain *chain)
{
	struct chain_figures figures;
	size_t size;
	float *in;
	uint8_t *out;
	struct accel_tensor x;

	model_output(&chain->model, chain->value);
	in = chain_numbers(chain, chain->input[0] * chain->input[1] * chain->input[2] * chain->input[3], 1);
	x = floats_of(in, 4, chain->input);
	out = chain_run(body_file(&chain->model), "sim:target=axl-pro", ACCEL_INT8, NULL, &x, &size, &figures);
	free(out);
	free(in);
	model_finish(&chain->model);
	return figures.bytes;
}
