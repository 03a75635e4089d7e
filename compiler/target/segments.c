/* SPDX-License-Identifier: MIT */
/* See segments.h. No chunk is empty. */
#include "compiler/target/segments.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 64 /* segments */

static size_t stride_of(const struct segments *segments)
{
	return (sizeof(struct segment) + segments->lanes * sizeof(uint32_t) + 7) / 8 * 8;
}

static struct segment *segment_at(const struct segments *segments, struct segment_cursor at)
{
	return (struct segment *)(void *)(segments->chunks[at.chunk].list + at.index * stride_of(segments));
}

/* The first segment that ends after @address; chunk == count: none. */
static struct segment_cursor find(const struct segments *segments, uint64_t address)
{
	struct segment_cursor at;
	size_t low = 0, high = segments->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		at = (struct segment_cursor){middle, segments->chunks[middle].count - 1};
		if (segment_at(segments, at)->hi <= address)
			low = middle + 1;
		else
			high = middle;
	}
	at = (struct segment_cursor){low, 0};
	if (low == segments->count)
		return at;
	low = 0;
	high = segments->chunks[at.chunk].count;
	while (low < high) {
		at.index = (low + high) / 2;
		if (segment_at(segments, at)->hi <= address)
			low = at.index + 1;
		else
			high = at.index;
	}
	at.index = low;
	return at;
}

/* An empty chunk in front of chunk number @at. */
static int insert_chunk(struct segments *segments, size_t at)
{
	uint8_t *list = malloc(CHUNK * stride_of(segments));

	if (segments->count == segments->capacity && list) {
		size_t capacity = segments->capacity * 2 + 16;
		struct segment_chunk *grown = realloc(segments->chunks, capacity * sizeof(*grown));

		if (!grown) {
			free(list);
			return -ENOMEM;
		}
		segments->chunks = grown;
		segments->capacity = capacity;
	}
	if (!list)
		return -ENOMEM;
	memmove(&segments->chunks[at + 1], &segments->chunks[at], (segments->count++ - at) * sizeof(*segments->chunks));
	segments->chunks[at] = (struct segment_chunk){0, list};
	return 0;
}

/* Room for a segment at @at, which may then be elsewhere. */
static int make_room(struct segments *segments, struct segment_cursor *at)
{
	size_t stride = stride_of(segments);
	struct segment_chunk *chunk;

	if (at->chunk == segments->count) {
		if (!segments->count && insert_chunk(segments, 0))
			return -ENOMEM;
		at->chunk = segments->count - 1;
		at->index = segments->chunks[at->chunk].count;
	}
	if (segments->chunks[at->chunk].count == CHUNK) {
		/* What grows upwards, as most does, fills its chunks. */
		size_t kept = at->index == CHUNK ? CHUNK : CHUNK / 2;

		if (insert_chunk(segments, at->chunk + 1))
			return -ENOMEM;
		chunk = &segments->chunks[at->chunk];
		memcpy(chunk[1].list, chunk[0].list + kept * stride, (CHUNK - kept) * stride);
		chunk[1].count = CHUNK - kept;
		chunk[0].count = kept;
		if (at->index >= kept) {
			at->chunk++;
			at->index -= kept;
		}
	}
	chunk = &segments->chunks[at->chunk];
	memmove(chunk->list + (at->index + 1) * stride, chunk->list + at->index * stride,
		(chunk->count++ - at->index) * stride);
	return 0;
}

static int split_at(struct segments *segments, uint64_t address)
{
	struct segment_cursor at = find(segments, address);
	size_t stride = stride_of(segments);
	struct segment *left, *right;

	if (at.chunk == segments->count || segment_at(segments, at)->lo >= address)
		return 0;
	if (make_room(segments, &at))
		return -ENOMEM;
	left = segment_at(segments, at);
	at.index++; /* in the same chunk: make_room() leaves what stands there behind the new one */
	right = segment_at(segments, at);
	memcpy(left, right, stride);
	left->hi = address;
	right->lo = address;
	return 0;
}

static int fill_gaps(struct segments *segments, uint64_t lo, uint64_t hi)
{
	for (uint64_t at = lo; at < hi;) {
		struct segment_cursor cursor = find(segments, at);
		uint64_t next = cursor.chunk < segments->count ? segment_at(segments, cursor)->lo : hi;

		if (next > at) {
			struct segment *gap;

			if (make_room(segments, &cursor))
				return -ENOMEM;
			gap = segment_at(segments, cursor);
			memset(gap, 0, stride_of(segments));
			gap->lo = at;
			gap->hi = next < hi ? next : hi;
		}
		at = segment_at(segments, cursor)->hi;
	}
	return 0;
}

int segments_cut(struct segments *segments, uint64_t lo, uint64_t hi, struct segment_cursor *cursor)
{
	const struct segment *segment;

	*cursor = find(segments, lo);
	segment = cursor->chunk < segments->count ? segment_at(segments, *cursor) : NULL;
	if (segment && segment->lo == lo && segment->hi == hi)
		return 0;
	if (split_at(segments, lo) || split_at(segments, hi) || fill_gaps(segments, lo, hi))
		return -ENOMEM;
	*cursor = find(segments, lo);
	return 0;
}

struct segment *segments_next(struct segments *segments, struct segment_cursor *cursor, uint64_t hi)
{
	struct segment *segment;

	if (cursor->chunk < segments->count && cursor->index == segments->chunks[cursor->chunk].count)
		*cursor = (struct segment_cursor){cursor->chunk + 1, 0};
	if (cursor->chunk == segments->count)
		return NULL;
	segment = segment_at(segments, *cursor);
	if (segment->lo >= hi)
		return NULL;
	cursor->index++;
	return segment;
}

/* Remove what begins below @hi from the chunk at @at, from there on. False: there may be more in the next one. */
static bool remove_from(struct segments *segments, struct segment_cursor at, uint64_t hi)
{
	struct segment_chunk *chunk = &segments->chunks[at.chunk];
	struct segment_cursor end = at;
	size_t stride = stride_of(segments);
	bool done;

	while (end.index < chunk->count && segment_at(segments, end)->lo < hi)
		end.index++;
	done = end.index < chunk->count;
	memmove(chunk->list + at.index * stride, chunk->list + end.index * stride, (chunk->count - end.index) * stride);
	chunk->count -= end.index - at.index;
	if (!chunk->count) {
		free(chunk->list);
		memmove(chunk, chunk + 1, (--segments->count - at.chunk) * sizeof(*chunk));
	}
	return done;
}

struct segment *segments_join(struct segments *segments, uint64_t lo, uint64_t hi)
{
	struct segment_cursor at = find(segments, lo);
	struct segment *segment = segment_at(segments, at);

	if (segment->hi < hi && !remove_from(segments, (struct segment_cursor){at.chunk, at.index + 1}, hi))
		while (at.chunk + 1 < segments->count &&
		       !remove_from(segments, (struct segment_cursor){at.chunk + 1, 0}, hi))
			;
	segment = segment_at(segments, at);
	memset(segment, 0, stride_of(segments));
	segment->lo = lo;
	segment->hi = hi;
	return segment;
}

void segments_finish(struct segments *segments)
{
	for (size_t i = 0; i < segments->count; i++)
		free(segments->chunks[i].list);
	free(segments->chunks);
	segments->chunks = NULL;
	segments->count = segments->capacity = 0;
}
