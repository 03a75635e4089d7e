/* SPDX-License-Identifier: MIT */
/*
 * What keeps images from travelling: pools in the drain, stripes of two convolutions, and one load for all readers. Each gives the
 * bits that the code without it gives, race-checked on one tile and on four, and moves fewer bytes by what the image has.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cut/chain.h"

#define TRIALS 10

static const char *const devices[] = {"sim:target=axl-edge,race-check=1", "sim:target=axl-pro,race-check=1"};

/* End @chain; by device, the bytes that it moves in int8, and without pass @disable. Both ways give the same bits. */
static void move_both_ways(struct chain *chain, const char *disable, uint64_t with[2], uint64_t without[2])
{
	float *in = chain_numbers(chain, chain->input[0] * chain->input[1] * chain->input[2] * chain->input[3], 1);
	struct accel_tensor x = floats_of(in, 4, chain->input);
	const char *path;

	model_output(&chain->model, chain->value);
	path = body_file(&chain->model);
	for (size_t d = 0; d < 2; d++) {
		struct chain_figures figures;
		size_t size, other_size;
		uint8_t *all = chain_run(path, devices[d], ACCEL_INT8, NULL, &x, &size, &figures), *other;

		with[d] = figures.bytes;
		other = chain_run(path, devices[d], ACCEL_INT8, disable, &x, &other_size, &figures);
		without[d] = figures.bytes;
		if (size != other_size || memcmp(all, other, size))
			fail_msg("%s: other bits without %s", devices[d], disable);
		free(all);
		free(other);
	}
	free(in);
	model_finish(&chain->model);
}

/* Whatever the sizes. */
static void the_drain_takes_maxima(void **unused)
{
	(void)unused;
	for (uint32_t seed = 1; seed <= TRIALS; seed++) {
		struct chain chain = {.random = seed};
		int64_t window = 2 + chain_below(&chain, 2), channels = 8 + 8 * chain_below(&chain, 20);
		uint64_t with[2], without[2];

		chain_start(&chain, 1, 3, window * (8 + chain_below(&chain, 30)),
			    window * (8 + chain_below(&chain, 30)));
		chain_convolve(&chain, channels, 1 + 2 * chain_below(&chain, 3), 1, 1, 1);
		chain_pool(&chain, window, window, 0);
		chain_convolve(&chain, 8 + 8 * chain_below(&chain, 8), 3, 1, 1, 1);
		move_both_ways(&chain, "pool-drain", with, without);
	}
}

/* Of windows side by side only the maxima are written: a large image in front of the pool neither to memory nor back. */
static void what_the_drain_pools_does_not_travel(void **unused)
{
	const int64_t side = 176, channels = 192;
	struct chain chain = {.random = 2};
	uint64_t with[2], without[2];

	(void)unused;
	chain_start(&chain, 1, 3, side, side);
	chain_convolve(&chain, channels, 3, 1, 1, 1);
	chain_pool(&chain, 2, 2, 0);
	chain_convolve(&chain, 32, 1, 1, 1, 1);
	move_both_ways(&chain, "pool-drain", with, without);
	for (size_t d = 0; d < 2; d++)
		if (with[d] + (uint64_t)(side * side * channels * 3 / 2) > without[d])
			fail_msg("%s: %llu bytes, without %llu", devices[d], (unsigned long long)with[d],
				 (unsigned long long)without[d]);
}

/* Windows that overlap, are padded or leave a rest are none of the drain's: nothing changes. */
static void it_leaves_other_windows_alone(void **unused)
{
	static const int64_t pools[][3] = {{3, 2, 1}, {2, 1, 0}, {3, 3, 1}, {3, 3, 0}};

	(void)unused;
	for (size_t i = 0; i < 4; i++) {
		struct chain chain = {.random = 5};
		uint64_t with[2], without[2];

		chain_start(&chain, 1, 3, 40, 32); /* a multiple of no 3 */
		chain_convolve(&chain, 32, 3, 1, 1, 1);
		chain_pool(&chain, pools[i][0], pools[i][1], pools[i][2]);
		move_both_ways(&chain, "pool-drain", with, without);
		assert_true(with[0] == without[0] && with[1] == without[1]);
	}
}

/* An image that is larger than the scratchpads, between two convolutions: it is stored and loaded no more, but for halos. */
static void two_convolutions_work_in_stripes(void **unused)
{
	static const struct {
		int64_t side, kernel, stride, dilation, pool;
		size_t devices; /* on which stripes pay: the image does not fit, few rows are computed twice */
	} pairs[] = {{200, 3, 1, 1, 0, 1},
		     {192, 3, 1, 1, 2, 1},
		     {210, 3, 2, 1, 0, 1},
		     {207, 5, 1, 2, 3, 0},
		     {260, 3, 1, 1, 2, 2}};

	(void)unused;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct chain chain = {.random = 17 + (uint32_t)i};
		int64_t wide = pairs[i].side + (pairs[i].pool == 3 ? 9 : 8), image = pairs[i].side * wide * 64;
		uint64_t with[2], without[2];

		chain_start(&chain, 1, 3, pairs[i].side, wide);
		chain_convolve(&chain, 64, 3, 1, 1, 1);
		chain_convolve(&chain, 64, pairs[i].kernel, pairs[i].stride, pairs[i].dilation, 1);
		if (pairs[i].pool)
			chain_pool(&chain, pairs[i].pool, pairs[i].pool, 0);
		chain_convolve(&chain, 16, 1, 1, 1, 1); /* who takes it from memory */
		move_both_ways(&chain, "stripes", with, without);
		for (size_t d = 0; d < pairs[i].devices; d++)
			if (with[d] + (uint64_t)(image / 2) > without[d])
				fail_msg("pair %zu, %s: %llu bytes, without stripes %llu, the image has %lld", i,
					 devices[d], (unsigned long long)with[d], (unsigned long long)without[d],
					 (long long)image);
	}
}

/* Where no stripe would have enough rows, or rows be computed twice too often, the image travels as it did. */
static void small_images_do_not(void **unused)
{
	struct chain chain = {.random = 3};
	uint64_t with[2], without[2];

	(void)unused;
	chain_start(&chain, 1, 64, 30, 30);
	chain_convolve(&chain, 512, 3, 1, 1, 1);
	chain_convolve(&chain, 512, 3, 1, 1, 1);
	move_both_ways(&chain, "stripes", with, without);
	assert_true(with[0] == without[0] && with[1] == without[1]);
}

/*
 * Residual blocks, of which each reads its input twice: where a preemption point ends a chain, that is stored once and loaded once,
 * not for each reader.
 */
static void what_several_nodes_read_is_loaded_once(void **unused)
{
	const int64_t blocks = 5, side = 14, channels = 1024, image = side * side * channels;
	struct chain chain = {.random = 11};
	uint64_t with[2], without[2];

	(void)unused;
	chain_start(&chain, 1, channels, side, side);
	for (int64_t i = 0; i < blocks; i++)
		chain_residual_block(&chain, 5);
	chain_convolve(&chain, 16, 1, 1, 1, 1);
	move_both_ways(&chain, "share", with, without);
	/* On four tiles it costs more cycles than it may, and is left. */
	assert_true(with[0] + (uint64_t)(blocks * image) <= without[0]);
	assert_true(with[1] <= without[1]);
}

/* Large images in strips of rows, small ones in blocks: on four tiles half of an image changes hands between them. */
static void one_kind_of_parts_does_for_all(void **unused)
{
	struct chain chain = {.random = 5};
	uint64_t with[2], without[2];

	(void)unused;
	chain_start(&chain, 1, 64, 28, 28);
	for (int i = 0; i < 2; i++)
		chain_convolve(&chain, 256, 1, 1, 1, 1);
	chain_convolve(&chain, 256, 1, 2, 1, 1);
	for (int i = 0; i < 2; i++)
		chain_convolve(&chain, 256, 3, 1, 1, 1);
	move_both_ways(&chain, "grids", with, without);
	assert_int_equal(with[0], without[0]);
	if (with[1] + 28 * 28 * 256 / 4 > without[1])
		fail_msg("%llu bytes, without %llu", (unsigned long long)with[1], (unsigned long long)without[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_drain_takes_maxima),
		cmocka_unit_test(what_the_drain_pools_does_not_travel),
		cmocka_unit_test(it_leaves_other_windows_alone),
		cmocka_unit_test(two_convolutions_work_in_stripes),
		cmocka_unit_test(small_images_do_not),
		cmocka_unit_test(what_several_nodes_read_is_loaded_once),
		cmocka_unit_test(one_kind_of_parts_does_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
