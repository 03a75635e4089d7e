/* SPDX-License-Identifier: MIT */
/*
 * What instructions compute. Knows the numerics of uapi/axl/axl_isa.h; knows nothing of time, pipes, semaphores or
 * pages.
 *
 * Memory of one tile goes in, memory of that tile comes out. An instruction must have passed exec_check() before
 * exec_run(): after that no operand can leave the two memories, so that the inner loops carry no checks.
 */
#ifndef SIM_CORE_EXEC_H
#define SIM_CORE_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <axl/axl_isa.h>
#include <axl/axl_regs.h>

/* Memories of a tile. @spad and @acc are 64-byte aligned. */
struct exec_memory {
	uint8_t *spad;
	uint8_t *acc;
	uint32_t spad_bytes;
	uint32_t acc_bytes;
};

/* Why an instruction is refused. @address is the first bad byte address where there is one. */
struct exec_error {
	enum axl_cause cause;
	uint64_t address;
	const char *what; /* static: the operand's field name */
};

/*
 * Check one CONV, DWCONV, DRAIN, VEC, LOAD or STORE (scratchpad side), LOOP, ADDBASE, SYNC, END, YIELD, ENDLOOP:
 * opcode, slots, pipe, flags, reserved bytes, types, ranges, alignment, overlap rules. Returns true when it may run.
 */
bool exec_check(const union axl_insn *insn, uint32_t spad_bytes, uint32_t acc_bytes, unsigned int num_tiles,
		struct exec_error *error);

/*
 * The byte ranges an instruction touches, for race checking, bank timing and the compiler's dependence tests: bounding
 * ranges [lo, hi) per operand. At most EXEC_MAX_RANGES; returns their number.
 */
#define EXEC_MAX_RANGES 8
struct exec_range {
	uint32_t lo, hi;
	bool acc;   /* accumulator memory, else scratchpad */
	bool write; /* else read */
	bool dense; /* every byte of the range is touched */
};
size_t exec_ranges(const union axl_insn *insn, struct exec_range *ranges);

/*
 * Run a checked CONV, DWCONV, DRAIN or VEC. The work is cut into exec_parts() independent parts that may run on
 * different threads at the same time in any order; 1 <= parts. GATHER and TABLE indices are checked while running:
 * -ERANGE with *error filled in (results of the other elements are then unspecified).
 */
size_t exec_parts(const union axl_insn *insn);
int exec_run(const union axl_insn *insn, const struct exec_memory *memory, size_t part, size_t parts,
	     struct exec_error *error);

/*
 * Convert @count elements between memory types as axl_isa.h says (dense to dense); used by the DMA pipes. @dst and @src
 * must not overlap, except that equal types are a copy.
 */
void exec_convert(void *dst, enum axl_type dst_type, const void *src, enum axl_type src_type, size_t count);

size_t exec_type_size(enum axl_type type);

/* Which inner loops are in use: "avx512-vnni", "avx2", "scalar". AXL_SIM_ISA in the environment forces a lower one. */
const char *exec_isa_name(void);

#endif
