/* SPDX-License-Identifier: MIT */
/*
 * Random legal instructions and memories for them. Destinations never overlap with themselves or with a source, except
 * where they are that source; everything else that exec_check() lets pass may come.
 */
#ifndef TESTS_UNIT_EXEC_GENERATE_H
#define TESTS_UNIT_EXEC_GENERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <axl/axl_isa.h>

enum { GENERATE_SPAD = 1 << 20, GENERATE_ACC = 1 << 18 };

struct random {
	uint64_t state;
};

uint32_t random_bits(struct random *random);
/* In [low, high]. */
uint32_t random_in(struct random *random, uint32_t low, uint32_t high);

/* Bytes that are hostile to arithmetic: denormals, infinities, NaNs, extremes, and ordinary values of every type. */
void generate_memory(struct random *random, uint8_t *memory, size_t bytes);

/* An instruction of @opcode (CONV, DWCONV, DRAIN); for VEC the operation and the three types are given. */
void generate_conv(struct random *random, bool depthwise, union axl_insn *insn);
void generate_drain(struct random *random, union axl_insn *insn);
void generate_vec(struct random *random, enum axl_vec_op op, enum axl_type dst, enum axl_type src0, enum axl_type src1,
		  union axl_insn *insn);
/* GATHER: indices below the limit where src1 points, in @spad. */
void generate_indices(struct random *random, const union axl_insn *insn, uint8_t *spad);

#endif
