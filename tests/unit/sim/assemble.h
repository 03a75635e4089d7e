/* SPDX-License-Identifier: MIT */
/*
 * Command buffers by hand, and an engine with flat memory to run them: virtual address MEMORY_VA + x is memory[x].
 */
#ifndef TESTS_UNIT_SIM_ASSEMBLE_H
#define TESTS_UNIT_SIM_ASSEMBLE_H

#include "sim/core/engine.h"

#define MEMORY_VA 0x10000ull
enum { MEMORY_BYTES = 1 << 20, MAX_CODE = 1 << 20 };

/* Streams under construction. */
struct assembly {
	unsigned int tiles;
	uint8_t *stream[AXL_MAX_TILES];
	uint32_t size[AXL_MAX_TILES];
	uint8_t *buffer; /* the finished one */
};

/* @state: of a suspended execution */
struct bench {
	struct engine *engine;
	uint8_t *memory;
	struct engine_job job;
	struct engine_state *state;
	struct axl_exec_stats stats;
	struct engine_fault fault;
	struct axl_trace_record trace[4096];
};

void assembly_init(struct assembly *assembly, unsigned int tiles);
void assembly_finish(struct assembly *assembly);
/* Append; returns the offset that it has in the buffer when no later tile's stream precedes it (tile 0), for faults. */
uint32_t emit(struct assembly *assembly, unsigned int tile, const union axl_insn *insn);
/* The whole buffer, END appended to each stream; valid until the assembly is finished. */
const uint8_t *assembly_close(struct assembly *assembly, uint32_t *size);
/* Where instruction number @index of @tile lies in the closed buffer. */
uint32_t offset_of(const struct assembly *assembly, unsigned int tile, unsigned int index);

/* Instructions: dense rows of bytes, no waits and signals yet. */
union axl_insn insn_load(uint32_t spad, uint64_t at, uint32_t bytes);
union axl_insn insn_weight(uint32_t spad, uint64_t at, uint32_t bytes);
union axl_insn insn_store(uint64_t at, uint32_t spad, uint32_t bytes);
/* u8 product of @m rows of @k at @a with @k x @n at @w into @acc. */
union axl_insn insn_matmul(uint32_t acc, uint32_t a, uint32_t w, uint32_t m, uint32_t k, uint32_t n);
/* @rows x @n sums as s32. */
union axl_insn insn_drain(uint32_t out, uint32_t acc, uint32_t rows, uint32_t n);
/* dst = src0 + src1, @count u8. */
union axl_insn insn_add(uint32_t dst, uint32_t src0, uint32_t src1, uint32_t count);
union axl_insn insn_seq(uint8_t opcode, uint32_t count);
union axl_insn insn_sync(uint8_t pipe);
union axl_insn with_wait(union axl_insn insn, uint8_t sem, uint8_t count);
union axl_insn with_signal(union axl_insn insn, uint8_t sem, uint8_t count);

void bench_init(struct bench *bench, const char *target, unsigned int threads);
void bench_finish(struct bench *bench);
/* Close and run from the start; the result of engine_run(). */
int bench_run(struct bench *bench, struct assembly *assembly);
/* Go on with a suspended one. */
int bench_resume(struct bench *bench);

#endif
