// SPDX-License-Identifier: MIT
/*
 * Streams of random numbers: see random_stream.h.
 */
#include "runtime/cpu/random_stream.h"

#include <math.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
	uint32_t k0 = key[0], k1 = key[1], x[4];

	memcpy(x, counter, sizeof(x));
	for (int round = 0; round < 10; round++) {
		uint64_t a = (uint64_t)0xd2511f53 * x[0], b = (uint64_t)0xcd9e8d57 * x[2];

		x[0] = (uint32_t)(b >> 32) ^ x[1] ^ k0;
		x[1] = (uint32_t)b;
		x[2] = (uint32_t)(a >> 32) ^ x[3] ^ k1;
		x[3] = (uint32_t)a;
		/* Weyl sequences: the golden ratio and the square root of three, less one. */
		k0 += 0x9e3779b9;
		k1 += 0xbb67ae85;
	}
	memcpy(out, x, sizeof(x));
}

struct random_stream random_stream_of(const struct op_node *node)
{
	const struct attr *seed = op_attr(node, "seed");
	struct random_stream stream = {0};
	struct timespec now;

	if (seed && seed->type == ATTR_FLOAT) {
		memcpy(&stream.key[0], &seed->f, sizeof(stream.key[0]));
	} else if (seed && seed->type == ATTR_INT) {
		memcpy(stream.key, &seed->i, sizeof(stream.key));
	} else if (getrandom(stream.key, sizeof(stream.key), GRND_NONBLOCK) != sizeof(stream.key)) {
		/* Early at boot the kernel may have nothing yet; the clock still differs from call to call. */
		clock_gettime(CLOCK_MONOTONIC, &now);
		stream.key[0] = (uint32_t)now.tv_nsec;
		stream.key[1] = (uint32_t)now.tv_sec;
	}
	return stream;
}

static double to_unit(uint32_t high, uint32_t low)
{
	return ((double)(((uint64_t)high << 32 | low) >> 11) + 0.5) * 0x1p-53;
}

static void draw(const struct random_stream *stream, int64_t i, uint32_t words[4])
{
	uint32_t counter[4] = {(uint32_t)i, (uint32_t)((uint64_t)i >> 32), 0, 0};

	philox(counter, stream->key, words);
}

double random_uniform(const struct random_stream *stream, int64_t i)
{
	uint32_t words[4];

	draw(stream, i, words);
	return to_unit(words[0], words[1]);
}

double random_normal(const struct random_stream *stream, int64_t i)
{
	uint32_t words[4];

	draw(stream, i, words);
	return sqrt(-2 * log(to_unit(words[0], words[1]))) * cos(6.283185307179586 * to_unit(words[2], words[3]));
}
