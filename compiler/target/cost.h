/* SPDX-License-Identifier: MIT */
/*
 * The cost model: cycles that the pipes of a tile need for an instruction, from the same table (axl_timing.h) that the
 * device model uses. An instruction alone, without contention: the tile search adds up pipes and takes the largest.
 */
#ifndef COMPILER_TARGET_COST_H
#define COMPILER_TARGET_COST_H

#include <stdint.h>

#include <axl/axl_contention.h>
#include <axl/axl_isa.h>

#include "compiler/target/target.h"

/* CONV: @m output positions, @k = kernel positions x channels, @n columns, operand type @type, AXL_SPLIT_* in @split.
 */
uint64_t cost_conv(uint64_t m, uint64_t k, uint64_t n, enum axl_type type, unsigned int split);
/* The split that needs the fewest cycles. */
unsigned int cost_best_split(uint64_t m, uint64_t k, uint64_t n, enum axl_type type);
/* DWCONV: @taps = kernel_h * kernel_w. */
uint64_t cost_dwconv(uint64_t m, uint64_t taps, uint64_t channels, enum axl_type type);
/* DRAIN of @m x @n values with activation @act. */
uint64_t cost_drain(uint64_t m, uint64_t n, enum axl_act act);
/* A transfer of @bytes in contiguous runs of @run bytes at the full local memory rate. */
uint64_t cost_dma(const struct target *target, uint64_t bytes, uint64_t run);
/* VEC over @elements of operands whose widest element has @size bytes; @dense: innermost dimension contiguous. */
uint64_t cost_vec(enum axl_vec_op op, uint64_t elements, unsigned int size, int dense);

/* Memory behind a base register: its first address, its bytes in whole pages. */
struct cost_span {
	uint64_t address, bytes;
};

/* Where a region's memory lies, and which of its pages the TLB has; zeroed at the start. */
struct cost_memory {
	struct cost_span span[AXL_NUM_BASES];
	struct axl_tlb tlb;
};

/*
 * A transfer as the memory sees it: @bytes moved, in @lines bursts, opening @rows rows, after @walks page table entries. @address: of
 * its base register. @tiles: how many get a copy. @memory: NULL: no walks are counted.
 */
struct cost_transfer {
	uint64_t bytes, lines, rows, walks;
};
void cost_transfer(const struct axl_dma *dma, uint64_t address, unsigned int tiles, struct cost_memory *memory,
		   struct cost_transfer *transfer);

/*
 * An instruction that computes, alone: its cycles, and in *demand (may be NULL) the bytes a cycle that it wants of the
 * scratchpad. The first weights of an idle array are not in it. 0 for anything else.
 */
uint64_t cost_compute(const union axl_insn *insn, uint32_t *demand);

#endif
