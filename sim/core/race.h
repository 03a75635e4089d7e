/* SPDX-License-Identifier: MIT */
/*
 * Race-check mode: which accesses no chain of semaphores orders.
 *
 * Each lane (a pipe of a tile) has a vector clock; signals carry it, waits merge it. For every byte of scratchpads and
 * accumulators, and of memory that the buffer writes, the last writer and the last reader of each lane are remembered.
 * An access that does not know of an earlier conflicting one is a race, whatever the order in which the model happened
 * to run the two. Bytes are exact: strides are walked, ranges are not rounded. Reading a byte of a tile that nothing
 * wrote since the start, or since the last YIELD, is an error as well.
 */
#ifndef SIM_CORE_RACE_H
#define SIM_CORE_RACE_H

#include <stdbool.h>
#include <stdint.h>

#include <axl/axl_isa.h>

#include "sim/core/exec.h"

struct race;

#define RACE_LANES (AXL_MAX_TILES * AXL_NUM_PIPES)

/* Knowledge of all lanes' progress: instruction counts by lane. */
struct race_clock {
	uint32_t at[RACE_LANES];
};

/* What was found. @uninitialized: nobody wrote @address; else the other instruction is at @other_offset. */
struct race_finding {
	bool uninitialized;
	uint64_t address;
	uint32_t other_offset;
};

/* NULL: out of memory. @memory: the tiles' memories, @tiles of them; they are filled with a poison pattern. */
struct race *race_create(struct exec_memory *memory, unsigned int tiles);
void race_destroy(struct race *race);

/* The buffer was suspended and goes on: tiles are poisoned, nothing in them is initialised. */
void race_resume(struct race *race);

/* A wait of lane (@tile, @pipe) took a signal that carried @clock. */
void race_wait(struct race *race, unsigned int tile, unsigned int pipe, const struct race_clock *clock);
/* What a signal of the lane's last instruction carries; valid until the lane's next instruction. */
const struct race_clock *race_signal(const struct race *race, unsigned int tile, unsigned int pipe);

/*
 * The lane begins @insn, at @offset of the buffer, behind @epoch YIELDs; @base: of a transfer. After its race_wait()s.
 * True: clean. False: *finding says what is wrong. -ENOMEM is reported as *finding untouched and *err set.
 */
bool race_begin(struct race *race, unsigned int tile, unsigned int pipe, const union axl_insn *insn, uint32_t offset,
		uint32_t epoch, uint64_t base, struct race_finding *finding, int *err);

#endif
