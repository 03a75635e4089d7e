/* SPDX-License-Identifier: MIT */
/*
 * Which bytes an instruction touches, from the ISA's definition alone: a bounding range for each operand.
 */
#ifndef COMPILER_TARGET_ACCESS_H
#define COMPILER_TARGET_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <axl/axl_isa.h>

enum access_space { ACCESS_SPAD, ACCESS_ACC, ACCESS_MEMORY };

/*
 * struct access
 * @place:  number of the operand, as program_append() numbers places
 * @lo, @hi: bytes [lo, hi) relative to the operand's address (may be negative)
 * @align:  the address must be a multiple of it
 */
struct access {
	enum access_space space;
	int place;
	int64_t lo, hi;
	bool write;
	unsigned int align;
};

#define ACCESS_MAX 8

/* Returns the number of accesses; 0 for sequencer instructions and SYNC. The operands' sizes need not have been
 * checked. */
size_t access_list(const union axl_insn *insn, struct access *list);

unsigned int access_type_bytes(unsigned int type); /* 0 for an unknown type */

/* Offset of the address field of place @place (ADDR and ACC fields) in the instruction, or -1. */
int access_field(unsigned int opcode, int place);

#endif
