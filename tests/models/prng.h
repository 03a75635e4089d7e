/* SPDX-License-Identifier: MIT */
/*
 * Counter-based random numbers that are the same on every machine: splitmix64 (Steele, Lea, Flood 2014) on a stream
 * start plus an index, and a bell-shaped variate made of integer sums, so that the only floating-point operations are
 * one multiplication and one addition in double and one rounding to float.  Needs -ffp-contract=off.
 */
#ifndef TESTS_MODELS_PRNG_H
#define TESTS_MODELS_PRNG_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t prng_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* The index-th 64-bit word of a stream. */
static inline uint64_t prng_word(uint64_t stream, uint64_t index)
{
	return prng_mix(stream + (index + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

/* The stream of a named thing under a seed: neighbours in the file do not change it.  FNV-1a over the name. */
static inline uint64_t prng_stream(uint64_t seed, const void *name, size_t size)
{
	const uint8_t *byte = name;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
	return prng_mix(hash ^ prng_mix(seed + UINT64_C(0x9e3779b97f4a7c15)));
}

/* Uniform in [0, 1), 53 bits. */
static inline double prng_uniform(uint64_t stream, uint64_t index)
{
	return (double)(prng_word(stream, index) >> 11) * 0x1p-53;
}

/*
 * Mean 0, deviation 1, within +-2*sqrt(3): the sum of four 16-bit uniforms.  Bounded on purpose: a variance drawn as
 * 1 + 0.1 z is never negative, and no weight is an outlier that would decide an int8 scale alone.
 */
static inline double prng_bell(uint64_t stream, uint64_t index)
{
	uint64_t word = prng_word(stream, index);
	int64_t sum = (int64_t)(word & 0xffff) + (int64_t)(word >> 16 & 0xffff) + (int64_t)(word >> 32 & 0xffff) +
		      (int64_t)(word >> 48);

	/* 1 / sqrt(4 * (2^32 - 1) / 12) */
	return (double)(sum - 2 * INT64_C(0xffff)) * 2.6428997921303018e-05;
}

#endif
