/* SPDX-License-Identifier: MIT */
/* Chains of convolutions for the tests of images that are cut over tiles: built in memory, run on a device. */
#ifndef TESTS_UNIT_CUT_CHAIN_H
#define TESTS_UNIT_CUT_CHAIN_H

#include "tests/unit/control/body.h"

/* A chain of convolutions under construction: the newest value and its shape. */
struct chain {
	struct model model;
	int64_t input[4];
	char value[32];
	int64_t channels, h, w;
	unsigned int nodes;
	uint32_t random;
};

/* Of a run: device cycles, and bytes from and to local memory. */
struct chain_figures {
	uint64_t cycles, bytes;
};

/* The next random number, less than @bound. The generator is seeded by the caller. */
uint32_t chain_below(struct chain *chain, uint32_t bound);
/* @count of them from -@scale to @scale, malloc'ed. */
float *chain_numbers(struct chain *chain, int64_t count, float scale);
/* Begin with an input; the caller has set @random. */
void chain_start(struct chain *chain, int64_t batch, int64_t channels, int64_t h, int64_t w);
/* A convolution and a Relu; same padding, so that the size only falls with the stride. */
void chain_convolve(struct chain *chain, int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t group);
/* The largest of windows, padded less than their first tap reaches. */
void chain_pool(struct chain *chain, int64_t kernel, int64_t stride, int64_t pad);
/* A block as residual networks have it: narrow, convolve, widen, add. */
void chain_residual_block(struct chain *chain, int64_t kernel);
/*
 * The output, malloc'ed, of the model at @path, all of it on @device whatever it costs there. @disable: further passes to leave
 * out, or NULL.
 */
uint8_t *chain_run(const char *path, const char *device, enum accel_precision precision, const char *disable,
		   const struct accel_tensor *x, size_t *size, struct chain_figures *figures);
/* End @chain with its newest value as the output, and free it: the bytes that it moves in int8 on four tiles. */
uint64_t chain_bytes_moved(struct chain *chain);

#endif
