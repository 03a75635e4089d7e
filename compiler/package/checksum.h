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

/* Of a file that comes in pieces: @hash by the word's number modulo 4, up to byte @at. */
struct checksum {
	uint64_t hash[4];
	uint64_t at;
};

static inline struct checksum checksum_begin(void)
{
	return (struct checksum){.hash = {CHECKSUM_BASIS, CHECKSUM_BASIS + 1, CHECKSUM_BASIS + 2, CHECKSUM_BASIS + 3}};
}

static inline void checksum_group(uint64_t hash[4], const uint8_t bytes[32])
{
	for (int i = 0; i < 4; i++) {
		uint64_t word;

		memcpy(&word, bytes + 8 * i, sizeof(word));
		hash[i] = (hash[i] ^ word) * CHECKSUM_PRIME;
	}
}

/* The file is there up to byte @end: take what is whole of it, four words at a time. */
static inline void checksum_more(struct checksum *sum, const uint8_t *file, uint64_t end)
{
	uint64_t hash[4];

	memcpy(hash, sum->hash, sizeof(hash));
	for (; sum->at + 32 <= end; sum->at += 32)
		checksum_group(hash, file + sum->at);
	memcpy(sum->hash, hash, sizeof(hash));
}

static inline uint64_t checksum_end(const struct checksum *sum)
{
	uint64_t hash = sum->hash[0];

	for (int i = 1; i < 4; i++)
		hash = (hash ^ sum->hash[i]) * CHECKSUM_PRIME;
	return hash;
}

/*
 * @size is a multiple of 32; the word at byte @skip (the checksum itself) counts as 0. Four chains, so that a file of
 * hundreds of megabytes costs milliseconds.
 */
static inline uint64_t checksum_file(const uint8_t *bytes, uint64_t size, uint64_t skip)
{
	struct checksum sum = checksum_begin();
	uint8_t group[32];

	checksum_more(&sum, bytes, skip);
	memcpy(group, bytes + sum.at, sizeof(group));
	memset(group + skip % sizeof(group), 0, sizeof(uint64_t));
	checksum_group(sum.hash, group);
	sum.at += sizeof(group);
	checksum_more(&sum, bytes, size);
	return checksum_end(&sum);
}

#endif
