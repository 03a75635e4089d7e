/* SPDX-License-Identifier: MIT */
/*
 * Batches: images that go one after another through a run of nodes, and small ones of which every tile has its own. Either
 * way the bits are those of the whole batch at once, race-checked, and it pays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cut/chain.h"

#define PRO "sim:target=axl-pro,race-check=1"
#define EDGE "sim:target=axl-edge,race-check=1"

/* @chain, which ends here, with and without passes @disable gives the same bits on @device; the figures of both. */
static void same_bits(struct chain *chain, const char *device, const char *disable, struct chain_figures *with,
		      struct chain_figures *without)
{
	int64_t count = chain->input[0] * chain->input[1] * chain->input[2] * chain->input[3];
	struct accel_tensor x;
	size_t size, other_size;
	uint8_t *out, *other;
	const char *path;
	float *in;

	model_output(&chain->model, chain->value);
	in = chain_numbers(chain, count, 1);
	x = floats_of(in, 4, chain->input);
	path = body_file(&chain->model);
	out = chain_run(path, device, ACCEL_INT8, NULL, &x, &size, with);
	other = chain_run(path, device, ACCEL_INT8, disable, &x, &other_size, without);
	assert_int_equal(size, other_size);
	assert_memory_equal(out, other, size);
	free(out);
	free(other);
	free(in);
	model_finish(&chain->model);
}

/* The beginning of a residual network for @batch images, and small layers behind it that take the batch together. */
static void residual_network(struct chain *chain, int64_t batch, int64_t channels)
{
	*chain = (struct chain){.random = 11};
	chain_start(chain, batch, 3, 112, 112);
	chain_convolve(chain, 64, 7, 2, 1, 1);
	chain_pool(chain, 3, 2, 1);
	chain_convolve(chain, channels, 1, 1, 1, 1);
	chain_residual_block(chain, 3);
	chain_residual_block(chain, 3);
	chain_convolve(chain, 64, 3, 2, 1, 1);
	chain_convolve(chain, 64, 3, 2, 1, 1);
	chain_convolve(chain, 128, 1, 1, 1, 1);
}

static void images_one_after_another_are_faster(void **unused)
{
	static const char *const devices[] = {EDGE, PRO};
	struct chain_figures with, without;
	struct chain chain;

	(void)unused;
	for (size_t d = 0; d < sizeof(devices) / sizeof(devices[0]); d++) {
		residual_network(&chain, 3 + (int64_t)d, 512);
		same_bits(&chain, devices[d], "images", &with, &without);
		if (with.cycles >= without.cycles || with.bytes >= without.bytes)
			fail_msg("%s: %llu cycles, %llu bytes, at once %llu and %llu", devices[d],
				 (unsigned long long)with.cycles, (unsigned long long)with.bytes,
				 (unsigned long long)without.cycles, (unsigned long long)without.bytes);
	}
}

/* One image has no batch to take apart: the pass changes nothing. */
static void one_image_is_as_it_was(void **unused)
{
	struct chain_figures with, without;
	struct chain chain;

	(void)unused;
	residual_network(&chain, 1, 64);
	same_bits(&chain, PRO, "images", &with, &without);
	assert_int_equal(with.cycles, without.cycles);
	assert_int_equal(with.bytes, without.bytes);
}

/* Of images of 7 x 7, one or two a tile, nothing but the network's input, output and weights travels. */
static void small_images_stay_each_in_a_tile(void **unused)
{
	const int64_t side = 7, channels = 256, links = 5;

	(void)unused;
	for (int64_t batch = 4; batch <= 8; batch += 4) {
		int64_t image = batch * side * side * channels, most;
		uint64_t moved;
		struct chain chain = {.random = 12};

		chain_start(&chain, batch, channels, side, side);
		for (int64_t i = 0; i < links; i++)
			chain_convolve(&chain, channels, 3, 1, 1, 1);
		/* fp32 in and out, int8 of both written and read (in lines), and the weights with their tables. */
		most = 2 * 4 * image + 5 * image + links * channels * (9 * channels + 16);
		moved = chain_bytes_moved(&chain);
		if (moved > (uint64_t)most)
			fail_msg("%d images: %llu bytes, not %lld", (int)batch, (unsigned long long)moved,
				 (long long)most);
	}
}

/* Every kind of layer on small images, and sizes that a tile can not have alone. */
static void small_images_give_the_bits_of_one_tile(void **unused)
{
	(void)unused;
	for (uint32_t seed = 1; seed <= 8; seed++) {
		struct chain chain = {.random = seed};
		struct chain_figures figures;
		struct accel_tensor x;
		size_t one_size, four_size;
		uint8_t *one, *four;
		const char *path;
		float *in;
		int64_t batch = 4 * (1 + chain_below(&chain, 5));

		chain_start(&chain, batch, 16, 5 + chain_below(&chain, 12), 5 + chain_below(&chain, 12));
		for (int i = 0; i < 4; i++) {
			int64_t kernel = 1 + 2 * chain_below(&chain, 2);

			if (chain_below(&chain, 3) == 0)
				chain_residual_block(&chain, kernel);
			else if (chain_below(&chain, 3) == 0)
				chain_convolve(&chain, chain.channels, 3, 1, 1, chain.channels);
			else if (chain_below(&chain, 3) == 0)
				chain_pool(&chain, 3, 1, 1);
			else
				chain_convolve(&chain, 64 + 64 * chain_below(&chain, 10), kernel,
					       1 + (chain_below(&chain, 5) == 0), 1, 1);
		}
		model_output(&chain.model, chain.value);
		in = chain_numbers(&chain, batch * 16 * chain.input[2] * chain.input[3], 1);
		x = floats_of(in, 4, chain.input);
		path = body_file(&chain.model);
		one = chain_run(path, EDGE, ACCEL_INT8, "images", &x, &one_size, &figures);
		four = chain_run(path, PRO, ACCEL_INT8, NULL, &x, &four_size, &figures);
		if (one_size != four_size || memcmp(one, four, one_size))
			fail_msg("seed %u, %d images: four tiles give other bits than one", seed, (int)batch);
		free(one);
		free(four);
		free(in);
		model_finish(&chain.model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_one_after_another_are_faster),
		cmocka_unit_test(one_image_is_as_it_was),
		cmocka_unit_test(small_images_stay_each_in_a_tile),
		cmocka_unit_test(small_images_give_the_bits_of_one_tile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
