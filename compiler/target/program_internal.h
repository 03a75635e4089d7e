/* SPDX-License-Identifier: MIT */
/* What the passes over a program share. */
#ifndef COMPILER_TARGET_PROGRAM_INTERNAL_H
#define COMPILER_TARGET_PROGRAM_INTERNAL_H

#include "compiler/target/program.h"

#define PROGRAM_ALL_TILES 0xff
#define PROGRAM_MAX_SIGNALS 16

/*
 * struct buffer
 * @tiles:   mask of the tiles it lives in (scratchpad, accumulators)
 * @pinned:  program_pin()
 * @index:   of the region's input or output
 * @address: in its memory; valid after program_allocate()
 * @first, @last: instructions that use it first and last; first > last: never used
 */
struct buffer {
	enum program_space space;
	uint8_t tiles;
	bool pinned;
	uint32_t index;
	uint64_t bytes;
	uint64_t address;
	size_t first, last;
	uint8_t *data; /* WEIGHT */
	char name[24];
};

/*
 * struct instruction
 * @tile: PROGRAM_ALL_TILES for a YIELD
 * @waits, @signals: semaphores, set by program_order(); a count of 1 each
 */
struct instruction {
	union axl_insn insn;
	uint8_t tile;
	uint8_t num_waits, num_signals;
	uint8_t waits[PROGRAM_MAX_SIGNALS], signals[PROGRAM_MAX_SIGNALS];
	struct program_place places[PROGRAM_MAX_PLACES];
};

struct program {
	struct target target;
	struct buffer *buffers; /* [0] is unused */
	size_t num_buffers, max_buffers;
	struct instruction *instructions;
	size_t count, capacity;
	struct instruction *written; /* before program_interleave(), or NULL */
	size_t num_written;
	uint32_t *hash; /* of WEIGHT buffers by contents; 0 empty */
	size_t hash_size, num_weights;
	uint16_t tag, failed_tag;
	uint32_t num_inputs, num_outputs;
	bool allocated, ordered;
	bool spread; /* arena buffers never share addresses */
	struct program_stats stats;
	char error[256];
};

int program_fail(struct program *program, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Number of tiles that have instructions. */
unsigned int program_tiles(const struct program *program);

#endif
