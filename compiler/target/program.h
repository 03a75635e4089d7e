/* SPDX-License-Identifier: MIT */
/*
 * Programs: what lowerings write and the back end turns into a command buffer.
 *
 * A lowering appends instructions IN SEQUENTIAL ORDER, as if the device ran one at a time, over buffers that have no
 * address yet. It never thinks of semaphores, addresses, double buffering or which pipe runs ahead. The back end then
 *
 *	program_interleave() lists the instructions of neighbouring nodes in the order in which they could start
 *	program_allocate()   gives scratchpad and accumulator buffers addresses (next-fit in program order, so that
 *			     consecutive tiles of one loop land in different places: that IS the double buffering) and
 *			     places DRAM buffers
 *	program_order()	     finds the dependences between pipes and tiles from the bytes that instructions touch,
 *			     removes the implied ones, and puts semaphore waits and signals (SYNC where two do not
 *			     suffice) into the headers
 *	program_emit()	     writes the streams
 *	program_emit_weights() the constants
 *
 * so that pipes run ahead of each other exactly as far as the data and the memory allow. The lowering decides how far
 * by the size of its buffers: what should be double-buffered must fit twice.
 *
 * Two buffers may share an address when their lifetimes in program order, from first to last instruction that names
 * them, do not overlap. A program is not thread-safe.
 */
#ifndef COMPILER_TARGET_PROGRAM_H
#define COMPILER_TARGET_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <axl/axl_isa.h>

#include "compiler/target/matrix_choice.h"
#include "compiler/target/target.h"

struct program;

/* A buffer: index into the program's table; 0 is "none". */
typedef uint32_t program_buf;

/* Where a buffer lives. DRAM kinds: base register of its own for each INPUT and OUTPUT, one each for WEIGHT and ARENA.
 */
enum program_space {
	PROGRAM_SPAD,      /* scratchpad of one tile */
	PROGRAM_ACC,       /* accumulator memory of one tile */
	PROGRAM_WEIGHT,    /* constant bytes, part of the package */
	PROGRAM_ARENA,     /* intermediate tensors */
	PROGRAM_INPUT,     /* region input, given by the runtime */
	PROGRAM_OUTPUT,    /* region output, given by the runtime */
	PROGRAM_MULTICAST, /* scratchpad, the same address in every tile of a mask */
};

int program_create(const struct target *target, struct program **program);
void program_destroy(struct program *program);
const struct target *program_target(const struct program *program);

/*
 * New buffers; 0 on failure (program_error() says why). @name is copied, for prints.
 * Scratchpad and accumulator buffers are aligned to 64 bytes; a whole 64-byte multiple is reserved.
 */
program_buf program_spad(struct program *program, unsigned int tile, uint64_t bytes, const char *name);
/* A scratchpad buffer that lives across nodes: placed at the far end, away from what comes and goes. */
void program_pin(struct program *program, program_buf buf);
program_buf program_multicast(struct program *program, uint8_t tiles, uint64_t bytes, const char *name);
program_buf program_acc(struct program *program, unsigned int tile, uint64_t bytes, const char *name);
program_buf program_arena(struct program *program, uint64_t bytes, const char *name);
/* @index numbers the region's inputs (outputs) as the runtime will bind them. */
program_buf program_input(struct program *program, unsigned int index, uint64_t bytes, const char *name);
program_buf program_output(struct program *program, unsigned int index, uint64_t bytes, const char *name);
/* @data is copied; identical contents of one size share a buffer. Aligned to 64 bytes. */
program_buf program_weight(struct program *program, const void *data, uint64_t bytes, const char *name);
/* Same, but the caller fills the returned memory (of the program, zeroed) before program_emit(). */
program_buf program_weight_alloc(struct program *program, uint64_t bytes, const char *name, void **data);

enum program_space program_buf_space(const struct program *program, program_buf buf);
uint64_t program_buf_bytes(const struct program *program, program_buf buf);

/*
 * A place: byte @offset of @buf. Address operands of an instruction are given as places, one per address field of its
 * format, in this order (buf 0 where the field is not used):
 *	DMA	memory, spad, index_addr
 *	CONV	a, w, acc
 *	DRAIN	acc, out, bias, scale, res, table
 *	VEC	dst, src0, src1, table
 */
struct program_place {
	program_buf buf;
	uint64_t offset;
};

#define PROGRAM_MAX_PLACES 6

/*
 * Append @insn for @tile. Header opcode and all operands except the addresses are the caller's; slots, pipe (a LOAD's
 * pipe is taken as given: LOAD or WEIGHT), waits, signals, tag, base and addresses are filled in here or later. 0, or
 * -EINVAL (bad operands: checked against the ISA's rules as far as known now, text in program_error()), -ENOMEM.
 */
int program_append(struct program *program, unsigned int tile, const union axl_insn *insn,
		   const struct program_place *places);

/* Tag of the instructions appended from now on (an index into the package's node table). */
void program_set_tag(struct program *program, uint16_t tag);

/*
 * A point where no scratchpad or accumulator buffer is meant to be live: becomes a YIELD in every tile. Buffers used on
 * both sides are an error at program_order() time (-EINVAL).
 */
int program_yield(struct program *program);

/* Largest scratchpad (accumulator) use so far of the live buffers in program order, and what the back end reached. */
struct program_stats {
	size_t instructions;
	size_t syncs;
	size_t semaphores;
	uint64_t spad_peak, spad_bound; /* bytes reached, lower bound (most live bytes) */
	uint64_t acc_peak;
	uint64_t arena_bytes, arena_bound;
	uint64_t weight_bytes;
	uint64_t code_bytes;
};

/*
 * Between preemption points, of which some are left out. By an estimate that does not know what transfers do to each other,
 * at most @most cycles stay between two: by stretch, in order, @count of them, the last one for those that follow. What is then
 * allocated and ordered may turn out slower, or not fit: program_restore() brings back the order as it was written, before
 * anything else is tried. 0, or -ENOMEM.
 */
int program_interleave(struct program *program, const uint64_t *most, size_t count);
void program_restore(struct program *program);

/* The back end's passes, in this order. 0 or negative errno with program_error(). -ENOSPC: buffers do not fit. */
int program_allocate(struct program *program);
/* From the next program_allocate() on no two arena buffers share an address: more memory, fewer dependences between
 * tiles. */
void program_spread(struct program *program);
int program_order(struct program *program);

/*
 * The finished command buffer and weight image.
 * @code:    struct axl_cmdbuf and streams, @code_bytes
 * @weights: the WEIGHT region's contents, once program_emit_weights() has written them; @weight_bytes
 * @arena_bound, @spad_bytes, @spad_bound: as in struct program_stats
 * @cycles, @node_cycles: what the region is estimated to take, and its nodes in their order; @stretches: the same from each of
 *	     its preemption points to the next (estimate.h), @longest: cycles of the longest of them; @lines: of memory that are moved;
 *	     region_compile() sets them
 * @choices, @kept_until: what the lowerings decided, as in struct lower
 * Base registers: 0 weights, 1 arena, then inputs in order of index, then outputs. All malloc'ed, the caller's.
 */
struct program_image {
	uint8_t *code;
	uint64_t code_bytes;
	uint8_t *weights;
	uint64_t weight_bytes;
	uint64_t arena_bytes;
	uint32_t num_inputs, num_outputs;
	uint64_t arena_bound, spad_bytes, spad_bound;
	uint64_t cycles, longest, lines, *node_cycles;
	struct estimate_stretch *stretches;
	size_t num_stretches;
	struct matrix_choices choices;
	size_t *kept_until;
};
int program_emit(struct program *program, struct program_image *image); /* all but the weights' contents */
/* The contents, which the program then has no more: the last thing to be done with it. */
int program_emit_weights(struct program *program, struct program_image *image);
void program_image_finish(struct program_image *image);

/* After -ENOSPC of program_allocate(): the tag of the instruction whose buffers do not fit. */
uint16_t program_failed_tag(const struct program *program);
void program_get_stats(const struct program *program, struct program_stats *stats);
const char *program_error(const struct program *program); /* the last error's text, "" when none */
/* The program as text, one instruction a line, at whatever stage it is. */
int program_print(const struct program *program, FILE *out);

#define PROGRAM_BASE_WEIGHT 0
#define PROGRAM_BASE_ARENA 1
#define PROGRAM_BASE_INPUT 2

#endif
