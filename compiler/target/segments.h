/* SPDX-License-Identifier: MIT */
/*
 * A map of addresses: disjoint segments, each with who touched it. For the orderer (order.c) and the verifier (verify.c), which share
 * this container and no rule of what may touch what.
 *
 * Strided transfers leave a segment for each row, a hundred thousand of them in a large network: segments lie in chunks, so that a new
 * one moves few others.
 */
#ifndef COMPILER_TARGET_SEGMENTS_H
#define COMPILER_TARGET_SEGMENTS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Who touched [lo, hi) last. Positions count instructions of a lane from 1; 0: nobody.
 * @epoch: YIELDs before the writer
 * @readers: by lane, the last since
 */
struct segment {
	uint64_t lo, hi;
	uint32_t writer, epoch;
	uint32_t writer_lane;
	uint32_t readers[];
};

struct segment_chunk {
	size_t count;
	uint8_t *list;
};

/* @lanes: numbers in each segment's readers; set before the first call, all else zero */
struct segments {
	unsigned int lanes;
	struct segment_chunk *chunks;
	size_t count, capacity;
};

struct segment_cursor {
	size_t chunk, index;
};

/*
 * Make [lo, hi) whole segments, untouched ones where there were none, and set *cursor before the first. lo < hi. 0, -ENOMEM.
 */
int segments_cut(struct segments *segments, uint64_t lo, uint64_t hi, struct segment_cursor *cursor);
/* The next segment below @hi, or NULL. */
struct segment *segments_next(struct segments *segments, struct segment_cursor *cursor, uint64_t hi);
/* One untouched segment instead of those of [lo, hi), which segments_cut() made whole. */
struct segment *segments_join(struct segments *segments, uint64_t lo, uint64_t hi);
void segments_finish(struct segments *segments);

#endif
