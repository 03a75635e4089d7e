/* SPDX-License-Identifier: MIT */
/*
 * Streams of random numbers: Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011). A number is a function of the key and of its index alone, so that threads share a stream without order or state.
 */
#ifndef RUNTIME_CPU_RANDOM_STREAM_H
#define RUNTIME_CPU_RANDOM_STREAM_H

#include "runtime/cpu/op.h"

struct random_stream {
	uint32_t key[2];
};

/* One block of the generator: four words from a counter of four and a key of two. */
void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/*
 * The stream of one execution of @node: from its attribute seed (a float, for Dropout an integer), the same on every run; a
 * different one for each call where there is no seed, taken from the system.
 */
struct random_stream random_stream_of(const struct op_node *node);

/* Number @i of the stream, uniform in (0, 1), 53 bits: never 0 nor 1. Element i of a tensor uses number i. */
double random_uniform(const struct random_stream *stream, int64_t i);

/* Number @i, normal with mean 0 and variance 1 (Box and Muller 1958). */
double random_normal(const struct random_stream *stream, int64_t i);

#endif
