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

#include "tests/unit/cut/chain.h"

#define TRIALS 24

static void random_chain(struct chain *chain, uint32_t seed, int64_t batch)
{
	uint32_t steps;

	*chain = (struct chain){.random = seed};
	chain_start(chain, batch, 3, 17 + chain_below(chain, 60), 17 + chain_below(chain, 60));
	chain_convolve(chain, 8 + 8 * chain_below(chain, 8), 3, 1, 1, 1);
	steps = 2 + chain_below(chain, 4);
	for (uint32_t i = 0; i < steps; i++) {
		int64_t kernel = 1 + 2 * chain_below(chain, 3);

		if (chain_below(chain, 4) == 0) {
			int64_t window = 2 + chain_below(chain, 3);

			chain_pool(chain, window, 1 + chain_below(chain, 2), chain_below(chain, (uint32_t)window));
		} else if (chain_below(chain, 3) == 0)
			chain_residual_block(chain, kernel);
		else if (chain_below(chain, 4) == 0)
			chain_convolve(chain, chain->channels, kernel, 1, 1, chain->channels);
		else if (chain->channels % 8 == 0 && chain_below(chain, 4) == 0)
			chain_convolve(chain, chain->channels, kernel, 1, 1, 2);
		else
			chain_convolve(chain, 8 + 8 * chain_below(chain, 12), kernel, 1 + (chain_below(chain, 4) == 0),
				       1 + (chain_below(chain, 4) == 0), 1);
	}
	model_output(&chain->model, chain->value);
}

static void compare(uint32_t seed, int64_t batch)
{
	struct chain chain;
	uint8_t *one, *four, *cpu, *device;
	size_t one_size, four_size, cpu_size, device_size;
	struct chain_figures figures;
	const char *path;
	float *in;
	struct accel_tensor x;

	random_chain(&chain, seed, batch);
	in = chain_numbers(&chain, batch * 3 * chain.input[2] * chain.input[3], 2);
	x = floats_of(in, 4, chain.input);
	path = body_file(&chain.model);
	one = chain_run(path, "sim:target=axl-edge", ACCEL_INT8, NULL, &x, &one_size, &figures);
	four = chain_run(path, "sim:target=axl-pro,race-check=1", ACCEL_INT8, NULL, &x, &four_size, &figures);
	if (one_size != four_size || memcmp(one, four, one_size))
		fail_msg("seed %u, batch %d: four tiles give other bits than one", seed, (int)batch);
	cpu = chain_run(path, "cpu", ACCEL_F32, NULL, &x, &cpu_size, &figures);
	device = chain_run(path, "sim:target=axl-pro,race-check=1", ACCEL_F32, NULL, &x, &device_size, &figures);
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

/* Of a chain of convolutions only what enters and leaves it, its weights and the halos travel. */
static void what_convolutions_pass_on_stays_in_the_tiles(void **unused)
{
	const int64_t side = 56, channels = 64, links = 5, image = side * side * channels;
	struct chain chain = {.random = 7};

	(void)unused;
	chain_start(&chain, 1, channels, side, side);
	for (int64_t i = 0; i < links; i++)
		chain_convolve(&chain, channels, 3, 1, 1, 1);
	/* fp32 in (rows at the cuts twice) and out, the output in int8 twice; every link's weights; far less than a store and a load each. */
	assert_true(chain_bytes_moved(&chain) <
		    (uint64_t)(2 * 4 * image + 3 * image + links * 9 * channels * channels + links * image / 4));
}

/* The image that is quantized, the stem's and the pool's: all of them are larger than what the test lets travel. */
static void so_does_what_a_stem_and_a_pool_make(void **unused)
{
	const int64_t side = 112, out = 16, stem = side / 2 * side / 2 * 64, pooled = stem / 4;
	struct chain chain = {.random = 8};

	(void)unused;
	chain_start(&chain, 1, 3, side, side);
	chain_convolve(&chain, 64, 7, 2, 1, 1);
	chain_pool(&chain, 3, 2, 1);
	assert_int_equal(chain.h, side / 4);
	chain_convolve(&chain, out, 1, 1, 1, 1);
	assert_true(chain_bytes_moved(&chain) <
		    (uint64_t)(4 * 3 * side * side * 5 / 4 + (4 + 2) * out * chain.h * chain.w + 49 * 3 * 64 +
			       64 * out + pooled));
}

/* Of images too small to be cut by positions what is added to sums stays with the tiles that made its channels. */
static void so_do_residuals_by_channels(void **unused)
{
	const int64_t side = 7, channels = 256, blocks = 3, image = side * side * channels;
	struct chain chain = {.random = 9};
	struct chain_figures kept, fetched;
	size_t size, other_size;
	struct accel_tensor x;
	uint8_t *out, *other;
	const char *path;
	float *in;

	(void)unused;
	chain_start(&chain, 1, channels, side, side);
	chain_convolve(&chain, channels, 1, 1, 1, 1);
	for (int64_t i = 0; i < blocks; i++)
		chain_residual_block(&chain, 1);
	model_output(&chain.model, chain.value);
	in = chain_numbers(&chain, image, 1);
	x = floats_of(in, 4, chain.input);
	path = body_file(&chain.model);
	out = chain_run(path, "sim:target=axl-pro,race-check=1", ACCEL_INT8, NULL, &x, &size, &kept);
	other = chain_run(path, "sim:target=axl-pro", ACCEL_INT8, "resident", &x, &other_size, &fetched);
	assert_int_equal(size, other_size);
	assert_memory_equal(out, other, size);
	assert_true(kept.bytes + (uint64_t)image <= fetched.bytes); /* one block's tilings share channels alike */
	free(out);
	free(other);
	free(in);
	model_finish(&chain.model);
}

/*
 * An image that 1x1 convolutions read on, one of them with @stride, from memory, since its own result is too small to be cut; and
 * with @all another that wants all of it there. The result, on @device.
 */
static uint8_t *run_strided(const char *device, int64_t side, int64_t channels, int64_t stride, bool all, size_t *size,
			    struct chain_figures *figures)
{
	struct chain chain = {.random = 10}, from;
	char strided[32], sum[32] = "sum", more[32] = "more";
	struct accel_tensor x;
	uint8_t *out;
	float *in;

	chain_start(&chain, 1, 32, side, side);
	chain_convolve(&chain, channels, 3, 1, 1, 1);
	from = chain;
	chain_convolve(&chain, 32, 1, 1, 1, 1);
	chain_convolve(&chain, 64, 3, stride, 1, 1);
	from.model = chain.model;
	from.nodes = chain.nodes;
	memcpy(strided, chain.value, sizeof(strided));
	chain = from;
	chain_convolve(&chain, 64, 1, stride, 1, 1);
	model_node(&chain.model, "Add", NAMES(chain.value, strided), NAMES(sum));
	if (all) {
		memcpy(strided, sum, sizeof(strided));
		from.model = chain.model;
		from.nodes = chain.nodes;
		chain = from;
		chain_convolve(&chain, 64, 3, stride, 1, 1);
		model_node(&chain.model, "Add", NAMES(chain.value, strided), NAMES(more));
	}
	model_output(&chain.model, all ? more : sum);
	in = chain_numbers(&chain, 32 * side * side, 1);
	x = floats_of(in, 4, chain.input);
	out = chain_run(body_file(&chain.model), device, ACCEL_INT8, NULL, &x, size, figures);
	free(in);
	model_finish(&chain.model);
	return out;
}

static void memory_gets_the_positions_that_strides_read(void **unused)
{
	static const struct {
		int64_t side, stride;
	} cases[] = {{14, 2}, {13, 2}, {15, 3}, {16, 3}, {14, 4}};

	(void)unused;
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t side = cases[i / 2].side, stride = cases[i / 2].stride, taken = (side + stride - 1) / stride;
		uint64_t image = (uint64_t)(256 * side * side), strided = (uint64_t)(256 * taken * taken);
		struct chain_figures figures, more;
		size_t one_size, four_size;
		uint8_t *one = run_strided("sim:target=axl-edge", side, 256, stride, i % 2, &one_size, &figures);
		uint8_t *four =
			run_strided("sim:target=axl-pro,race-check=1", side, 256, stride, i % 2, &four_size, &figures);

		assert_int_equal(one_size, four_size);
		assert_memory_equal(one, four, one_size);
		free(one);
		free(four);
		if (i % 2)
			continue;
		/* What 256 channels more take: their weights, and a store and a load of what is read of them, not of the image. */
		free(run_strided("sim:target=axl-pro", side, 512, stride, false, &four_size, &more));
		assert_true(more.bytes - figures.bytes <
			    256 * (9 * 32 + 32 + 64) + 2 * strided + (image - strided) / 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(four_tiles_give_the_bits_of_one),
		cmocka_unit_test(so_do_batches),
		cmocka_unit_test(what_convolutions_pass_on_stays_in_the_tiles),
		cmocka_unit_test(so_does_what_a_stem_and_a_pool_make),
		cmocka_unit_test(so_do_residuals_by_channels),
		cmocka_unit_test(memory_gets_the_positions_that_strides_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
