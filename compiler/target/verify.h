/* SPDX-License-Identifier: MIT */
/*
 * The verifier: proves a command buffer well formed, in bounds, free of races and of deadlock, from its bytes alone.
 *
 * It shares nothing with the code that wrote the buffer but the ISA table. Every emitted buffer passes through it, and
 * so does every buffer of a loaded package.
 *
 * Method: each stream is executed by its sequencer (loops unrolled, bounded by @max_instructions); happens-before is
 * program order inside a pipe plus matched semaphore operations: a wait that takes k from a semaphore that one pipe
 * signals is ordered after that pipe's signals that are needed to reach the cumulative count. A semaphore signalled by
 * several pipes orders a waiter only where every possible matching does.
 */
#ifndef COMPILER_TARGET_VERIFY_H
#define COMPILER_TARGET_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include <axl/axl_isa.h>

#include "compiler/target/target.h"

/*
 * What base registers may address: sizes in bytes, and whether the region may be written. Two regions never overlap.
 */
struct verify_region {
	uint64_t bytes;
	bool writable;
};

enum verify_rule {
	VERIFY_OK,
	VERIFY_FORMAT,        /* header, opcode, reserved bytes, operand ranges */
	VERIFY_BOUNDS,        /* scratchpad, accumulator or region exceeded */
	VERIFY_RACE,          /* two accesses to a byte, one a write, without order */
	VERIFY_DEADLOCK,      /* a wait that no signal can satisfy */
	VERIFY_UNINITIALIZED, /* scratchpad or accumulator read before anything wrote it */
	VERIFY_YIELD,         /* data live across a YIELD, or tiles disagree */
	VERIFY_LEFTOVER,      /* a semaphore is not zero at the end */
	VERIFY_LIMIT,         /* more than max_instructions */
};

struct verify_report {
	enum verify_rule rule;
	unsigned int tile;
	uint32_t offset;       /* of the instruction in the buffer */
	uint32_t other_offset; /* RACE: the other one, ~0 where there is none */
	unsigned int other_tile;
	char text[256];
};

struct verify_limits {
	uint64_t max_instructions; /* after unrolling; 0: 4,000,000 */
};

/* 0, or -EINVAL with the first finding in *report; -ENOMEM. Thread-safe. */
int verify_command_buffer(const void *code, uint64_t size, const struct target *target, unsigned int num_regions,
			  const struct verify_region *regions, const struct verify_limits *limits,
			  struct verify_report *report);

#endif
