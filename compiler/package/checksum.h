/* SPDX-License-Identifier: MIT */
/*
 * FNV-1a with 64 bits (Fowler, Noll, Vo): over the bytes of a text, and over the 64-bit words of a file. Finds damage,
 * not malice: what a hostile file may do is decided by the checks in read.c.
 */
#ifndef COMPILER_PACKAGE_CHECKSUM_H
#define COMPILER_PACKAGE_CHECKSUM_H

#include <stdint.h>
#include <string.h>

#define CHECKSUM_BASIS 0xcbf29ce484222325ull
#define CHECKSUM_PRIME 0x100000001b3ull

static inline uint64_t checksum_text(const char *text)
{
	uint64_t hash = CHECKSUM_BASIS;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * CHECKSUM_PRIME;
	return hash;
}

/*
 * @size is a multiple of 8; the word at byte @skip (the checksum itself) counts as 0. Four chains, so that a file of
 * hundreds of megabytes costs milliseconds.
 */
static inline uint64_t checksum_file(const uint8_t *bytes, uint64_t size, uint64_t skip)
{
	uint64_t hash[4] = {CHECKSUM_BASIS, CHECKSUM_BASIS + 1, CHECKSUM_BASIS + 2, CHECKSUM_BASIS + 3};

	for (uint64_t i = 0; i + 8 <= size; i += 8) {
		uint64_t word = 0;

		if (i != skip)
			memcpy(&word, bytes + i, sizeof(word));
		hash[i / 8 % 4] = (hash[i / 8 % 4] ^ word) * CHECKSUM_PRIME;
	}
	for (int i = 1; i < 4; i++)
		hash[0] = (hash[0] ^ hash[i]) * CHECKSUM_PRIME;
	return hash[0];
}

#endif
