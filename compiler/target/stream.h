/* SPDX-License-Identifier: MIT */
/*
 * Reading a verified command buffer as its sequencers do: tile by tile, loops unrolled, base registers followed. What is not
 * verified (verify.h) must not come here: nothing is checked again.
 */
#ifndef COMPILER_TARGET_STREAM_H
#define COMPILER_TARGET_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <axl/axl_isa.h>

/* @bases: set by the caller to where each region of memory is taken to lie; ADDBASE adds to them. */
struct stream_cursor {
	const uint8_t *code;
	uint32_t at, end;
	struct {
		uint32_t start, left;
	} loops[AXL_LOOP_DEPTH];
	int depth;
	uint64_t bases[AXL_NUM_BASES];
};

unsigned int stream_tiles(const uint8_t *code);
/* Before the first instruction of @tile; all bases 0. */
void stream_begin(struct stream_cursor *cursor, const uint8_t *code, unsigned int tile);
/*
 * The next instruction of the stream, sequencer instructions included (each time round a loop). *offset: where it is in the
 * buffer. False: END.
 */
bool stream_next(struct stream_cursor *cursor, union axl_insn *insn, uint32_t *offset);

#endif
