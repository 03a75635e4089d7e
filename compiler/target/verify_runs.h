/* SPDX-License-Identifier: MIT */
/*
 * The holes of a strided read. access_list() gives the bounding range of an operand; an image that shares its pixels with other
 * tensors (one input of a concatenation) leaves bytes in between alone, and nobody needs to have written those yet.
 */
#ifndef COMPILER_TARGET_VERIFY_RUNS_H
#define COMPILER_TARGET_VERIFY_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include <axl/axl_isa.h>

/* Bytes [k * @period, k * @period + @bytes) from the operand's first byte on; @period 0: the range has no holes. */
struct verify_runs {
	uint64_t period, bytes;
};

/* What operand @place (numbered as in access_list()) reads of the scratchpad; no holes where its strides have no period. */
struct verify_runs verify_runs_of(const union axl_insn *insn, int place);
/* Do bytes [@lo, @hi), counted from the operand's first one, lie between two runs? */
bool verify_runs_miss(const struct verify_runs *runs, uint64_t lo, uint64_t hi);

#endif
