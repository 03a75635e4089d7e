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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(four_tiles_give_the_bits_of_one),
		cmocka_unit_test(so_do_batches),
		cmocka_unit_test(what_convolutions_pass_on_stays_in_the_tiles),
		cmocka_unit_test(so_does_what_a_stem_and_a_pool_make),
		cmocka_unit_test(so_do_residuals_by_channels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
