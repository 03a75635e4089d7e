/* SPDX-License-Identifier: MIT */
/*
 * The innermost loops of depthwise convolutions and of pools, in one form for each processor level: every output is made of
 * the same few inputs relative to its own position, so that outputs side by side are vector lanes.
 */
#ifndef RUNTIME_CPU_DEPTHWISE_TILE_H
#define RUNTIME_CPU_DEPTHWISE_TILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEPTHWISE_TILE_MAX_LANES 16

/*
 * struct depthwise_tile - one form
 * @lanes:    the fewest outputs that the functions below take
 * @convolve: y[i] = max(sum over t of x[i + offsets[t]] * w[t], plus y[i] when accumulating, + bias; floor), one fused
 *            multiply-add a tap where the processor has it; NaN stays
 * @max:      y[i] = the largest x[i + offsets[t]] (the later one where they do not compare), and y[i] when accumulating
 * @sum:      y[i] = the sum of x[i + offsets[t]], and y[i] when accumulating
 * None of them lets @y overlap with what it reads.
 */
struct depthwise_tile {
	const char *name;
	int64_t lanes;
	void (*convolve)(int64_t taps, const int64_t *offsets, const float *w, int64_t n, const float *x, float bias,
			 float floor, bool accumulate, float *y);
	void (*max)(int64_t taps, const int64_t *offsets, int64_t n, const float *x, bool accumulate, float *y);
	void (*sum)(int64_t taps, const int64_t *offsets, int64_t n, const float *x, bool accumulate, float *y);
};

/* The best form for this processor; always the same one in a process. */
const struct depthwise_tile *depthwise_tile(void);

/* Form @index of those that this processor can run, the best first; NULL past the last. For tests. */
const struct depthwise_tile *depthwise_tile_at(size_t index);

#endif
