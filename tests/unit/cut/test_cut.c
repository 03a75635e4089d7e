/* SPDX-License-Identifier: MIT */
/*
 * Images that stay cut over the tiles between convolutions: chains of random kernels, strides, dilations, groups and
 * ragged sizes give, in int8 and race-checked on four tiles, the bits of one tile and, in fp32, what the CPU gives; and they do stay
 * there.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/control/body.h"

#define ERROR_SIZE 512
#define TRIALS 24

/* A chain of convolutions under construction: the newest value and its shape. */
struct chain {
	struct model model;
	int64_t input[4];
	char value[32];
	int64_t channels, h, w;
	unsigned int nodes;
	uint32_t random;
};

static uint32_t below(struct chain *chain, uint32_t bound)
{
	chain->random = chain->random * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(chain->random >> 8) * bound >> 24);
}

static float *numbers(struct chain *chain, int64_t count, float scale)
{
	float *values = malloc((size_t)count * sizeof(*values));

	assert_non_null(values);
	for (int64_t i = 0; i < count; i++)
		values[i] = scale * ((float)below(chain, 2001) / 1000.0f - 1.0f);
	return values;
}

/* The generator is seeded by the caller. */
static void start(struct chain *chain, int64_t batch, int64_t channels, int64_t h, int64_t w)
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

/* Same padding, so that the size only falls with the stride. */
static void convolve(struct chain *chain, int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t group)
{
	int64_t dims[] = {out, chain->channels / group, kernel, kernel}, pad = (kernel - 1) * dilation / 2;
	int64_t count = dims[0] * dims[1] * kernel * kernel;
	char weight[32], next[32], relu[32];
	float *values = numbers(chain, count, 1.5f / sqrtf((float)(dims[1] * kernel * kernel)));
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

/* The largest of windows, padded less than their first tap reaches. */
static void pool(struct chain *chain, int64_t kernel, int64_t stride, int64_t pad)
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

/* A block as residual networks have it: narrow, convolve, widen, add. */
static void residual_block(struct chain *chain, int64_t kernel)
{
	char from[32], sum[32];
	int64_t wide = chain->channels;

	memcpy(from, chain->value, sizeof(from));
	convolve(chain, 16 + below(chain, 40), 1, 1, 1, 1);
	convolve(chain, chain->channels, kernel, 1, 1, 1);
	convolve(chain, wide, 1, 1, 1, 1);
	snprintf(sum, sizeof(sum), "s%u", chain->nodes++);
	model_node(&chain->model, "Add", NAMES(chain->value, from), NAMES(sum));
	memcpy(chain->value, sum, sizeof(sum));
}

static void random_chain(struct chain *chain, uint32_t seed, int64_t batch)
{
	uint32_t steps;

	*chain = (struct chain){.random = seed};
	start(chain, batch, 3, 17 + below(chain, 60), 17 + below(chain, 60));
	convolve(chain, 8 + 8 * below(chain, 8), 3, 1, 1, 1);
	steps = 2 + below(chain, 4);
	for (uint32_t i = 0; i < steps; i++) {
		int64_t kernel = 1 + 2 * below(chain, 3);

		if (below(chain, 4) == 0) {
			int64_t window = 2 + below(chain, 3);

			pool(chain, window, 1 + below(chain, 2), below(chain, (uint32_t)window));
		} else if (below(chain, 3) == 0)
			residual_block(chain, kernel);
		else if (below(chain, 4) == 0)
			convolve(chain, chain->channels, kernel, 1, 1, chain->channels);
		else if (chain->channels % 8 == 0 && below(chain, 4) == 0)
			convolve(chain, chain->channels, kernel, 1, 1, 2);
		else
			convolve(chain, 8 + 8 * below(chain, 12), kernel, 1 + (below(chain, 4) == 0),
				 1 + (below(chain, 4) == 0), 1);
	}
	model_output(&chain->model, chain->value);
}

/* The output, malloc'ed, of @device; *bytes: what it moved from and to local memory. */
static uint8_t *run(const char *path, const char *device, enum accel_precision precision, const struct accel_tensor *x,
		    size_t *size, uint64_t *bytes)
{
	struct accel_session_options options = {.device = device, .threads = 2, .precision = precision, .disable = "placement"};
	struct accel_session *session = NULL;
	struct accel_run_stats stats;
	struct accel_tensor output = {0};
	char error[ERROR_SIZE] = "";
	uint8_t *copy;

	if (accel_session_create(path, &options, &session, error, sizeof(error)) ||
	    accel_session_run(session, x, 1, &output, 1, error, sizeof(error)))
		fail_msg("%s: %s", device, error);
	assert_int_equal(accel_session_stats(session, &stats), 0);
	*bytes = 0;
	for (size_t i = 0; i < stats.num_regions; i++)
		*bytes += stats.regions[i].local_bytes;
	copy = malloc(output.size);
	assert_non_null(copy);
	memcpy(copy, output.data, output.size);
	*size = output.size;
	accel_session_destroy(session);
	return copy;
}

static void compare(uint32_t seed, int64_t batch)
{
	struct chain chain;
	uint8_t *one, *four, *cpu, *device;
	size_t one_size, four_size, cpu_size, device_size;
	uint64_t bytes;
	const char *path;
	float *in;
	struct accel_tensor x;

	random_chain(&chain, seed, batch);
	in = numbers(&chain, batch * 3 * chain.input[2] * chain.input[3], 2);
	x = floats_of(in, 4, chain.input);
	path = body_file(&chain.model);
	one = run(path, "sim:target=axl-edge", ACCEL_INT8, &x, &one_size, &bytes);
	four = run(path, "sim:target=axl-pro,race-check=1", ACCEL_INT8, &x, &four_size, &bytes);
	if (one_size != four_size || memcmp(one, four, one_size))
		fail_msg("seed %u, batch %d: four tiles give other bits than one", seed, (int)batch);
	cpu = run(path, "cpu", ACCEL_F32, &x, &cpu_size, &bytes);
	device = run(path, "sim:target=axl-pro,race-check=1", ACCEL_F32, &x, &device_size, &bytes);
	assert_int_equal(cpu_size, device_size);
	for (size_t i = 0; i < cpu_size / 4; i++) {
		float want, got;

		memcpy(&want, cpu + 4 * i, 4);
		memcpy(&got, device + 4 * i, 4);
		if (!(fabsf(want - got) <= 1e-3f * (1 + fabsf(want))))
			fail_msg("seed %u, batch %d: element %zu is %g, should be %g", seed, (int)batch, i, (double)got,
				 (double)want);
	}
	free(one);
	free(four);
	free(cpu);
	free(device);
	free(in);
	model_finish(&chain.model);
}

static void four_tiles_give_the_bits_of_one(void **unused)
{
	(void)unused;
	for (uint32_t seed = 1; seed <= TRIALS; seed++)
		compare(seed, 1);
}

static void so_do_batches(void **unused)
{
	(void)unused;
	for (uint32_t seed = 100; seed < 100 + TRIALS / 4; seed++)
		compare(seed, 2 + seed % 3);
}

/* What @chain, which is finished here, moves from and to local memory. */
static uint64_t bytes_moved(struct chain *chain)
{
	uint64_t bytes;
	size_t size;
	float *in;
	uint8_t *out;
	struct accel_tensor x;

	model_output(&chain->model, chain->value);
	in = numbers(chain, chain->input[0] * chain->input[1] * chain->input[2] * chain->input[3], 1);
	x = floats_of(in, 4, chain->input);
	out = run(body_file(&chain->model), "sim:target=axl-pro", ACCEL_INT8, &x, &size, &bytes);
	free(out);
	free(in);
	model_finish(&chain->model);
	return bytes;
}

/* Of a chain of convolutions only what enters and leaves it, its weights and the halos travel. */
static void what_convolutions_pass_on_stays_in_the_tiles(void **unused)
{
	const int64_t side = 56, channels = 64, links = 5, image = side * side * channels;
	struct chain chain = {.random = 7};

	(void)unused;
	start(&chain, 1, channels, side, side);
	for (int64_t i = 0; i < links; i++)
		convolve(&chain, channels, 3, 1, 1, 1);
	/* fp32 in (rows at the cuts twice) and out, the output in int8 twice; every link's weights; far less than a store and a load each. */
	assert_true(bytes_moved(&chain) <
		    (uint64_t)(2 * 4 * image + 3 * image + links * 9 * channels * channels + links * image / 4));
}

/* The image that is quantized, the stem's and the pool's: all of them are larger than what the test lets travel. */
static void so_does_what_a_stem_and_a_pool_make(void **unused)
{
	const int64_t side = 112, out = 16, stem = side / 2 * side / 2 * 64, pooled = stem / 4;
	struct chain chain = {.random = 8};

	(void)unused;
	start(&chain, 1, 3, side, side);
	convolve(&chain, 64, 7, 2, 1, 1);
	pool(&chain, 3, 2, 1);
	assert_int_equal(chain.h, side / 4);
	convolve(&chain, out, 1, 1, 1, 1);
	assert_true(bytes_moved(&chain) < (uint64_t)(4 * 3 * side * side * 5 / 4 + (4 + 2) * out * chain.h * chain.w +
						     49 * 3 * 64 + 64 * out + pooled));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(four_tiles_give_the_bits_of_one),
		cmocka_unit_test(so_do_batches),
		cmocka_unit_test(what_convolutions_pass_on_stays_in_the_tiles),
		cmocka_unit_test(so_does_what_a_stem_and_a_pool_make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
