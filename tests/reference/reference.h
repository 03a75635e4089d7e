/* SPDX-License-Identifier: MIT */
/*
 * The judge of the device's numerics: CONV, DWCONV, DRAIN, VEC and element conversion once more, plain and slow.
 *
 * Written from the text of uapi/axl/axl_isa.h and uapi/numerics.md, one element at a time, in the order of the text. It
 * shares no code with sim/core (only the contract's field lists and coefficients), takes no shortcut for common cases
 * and checks no operand: what it is given must have passed the device's checks.
 */
#ifndef TESTS_REFERENCE_REFERENCE_H
#define TESTS_REFERENCE_REFERENCE_H

#include <stdint.h>

#include <axl/axl_isa.h>

/*
 * Run one CONV, DWCONV, DRAIN or VEC on the memories of a tile. Returns 0; -ERANGE when an index of a GATHER is outside
 * its limit (elements before it are written); -ENOTSUP for an opcode or operation that the reference does not have.
 */
int reference_run(const union axl_insn *insn, uint8_t *spad, uint8_t *acc);

/*
 * Run one LOAD or STORE of tile @tile. @spads: the scratchpads of @tiles tiles; @memory: what lies at the address in
 * base register dma.base. -ERANGE: an index outside its limit.
 */
int reference_transfer(const struct axl_dma *dma, uint8_t *const *spads, unsigned int tiles, unsigned int tile,
		       uint8_t *memory);

/* Convert one element, as LOAD and STORE do: equal types move the bits. */
void reference_convert(void *dst, enum axl_type dst_type, const void *src, enum axl_type src_type);

/* A unary operation on one binary32 value; the device's bits, except that NaN payloads are left as they come. */
int reference_unary(enum axl_vec_op op, float x, float imm0, float imm1, float *result);

#endif
