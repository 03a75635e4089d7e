/* SPDX-License-Identifier: MIT */
/*
 * Semaphores from dependences.
 *
 * A lane is one pipe of one tile; inside a lane everything is in order. For every instruction the bytes it touches are
 * looked up in what earlier instructions touched; each conflict with another lane is an edge. An edge that earlier
 * waits already imply is dropped: every instruction carries a vector clock, for each lane the last instruction known to
 * be complete before it starts. The edges that stay become semaphores, one for each ordered pair of lanes: the producer
 * signals 1, the consumer waits for 1; both sides use a pair's semaphore in the same order, so the k-th wait is met by
 * the k-th signal.
 *
 * A multicast LOAD's signal to a local semaphore would reach every tile, so its edges have semaphores of their own,
 * global ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_access.h>
#include "compiler/target/program_internal.h"
#include "compiler/target/segments.h"

#define LANES (AXL_MAX_TILES * AXL_NUM_PIPES)
#define SPACES (2 * AXL_MAX_TILES + 1 + AXL_NUM_BASES)
#define NOBODY 0 /* positions in a lane count from 1 */

struct ordering {
	struct program *program;
	unsigned int lanes;
	struct segments spaces[SPACES];
	uint32_t position[LANES];      /* instructions of the lane so far */
	uint32_t *clocks;              /* [instruction][lanes]: complete before it ends */
	uint32_t *at[LANES];           /* instruction by position */
	uint8_t pair[2][LANES][LANES]; /* semaphore + 1 of a pair; [1]: multicast producers */
	unsigned int next_local[AXL_MAX_TILES], next_global;
};

static unsigned int lane_of(const struct instruction *instruction)
{
	return instruction->tile * (unsigned int)AXL_NUM_PIPES + instruction->insn.header.pipe;
}

static bool is_multicast(const struct instruction *instruction)
{
	return instruction->insn.header.opcode == AXL_OP_LOAD && instruction->insn.dma.tiles;
}

/* ---- who touched what ---- */

static void need(uint32_t *needed, unsigned int lane, uint32_t position)
{
	if (position > needed[lane])
		needed[lane] = position;
}

/* Collect what an access depends on, and record it. */
static int touch(struct ordering *order, struct segments *space, uint64_t lo, uint64_t hi, bool write,
		 unsigned int lane, uint32_t position, uint32_t *needed)
{
	struct segment_cursor cursor;
	struct segment *segment;

	if (lo >= hi)
		return 0;
	if (segments_cut(space, lo, hi, &cursor))
		return -ENOMEM;
	while ((segment = segments_next(space, &cursor, hi))) {
		if (segment->writer)
			need(needed, segment->writer_lane, segment->writer);
		if (!write) {
			segment->readers[lane] = position;
			continue;
		}
		for (unsigned int l = 0; l < order->lanes; l++)
			need(needed, l, segment->readers[l]);
	}
	if (write) {
		segment = segments_join(space, lo, hi);
		segment->writer_lane = lane;
		segment->writer = position;
	}
	return 0;
}

/* The space and absolute range of an access. A multicast LOAD writes several tiles: called once for each. */
static struct segments *space_of(struct ordering *order, const struct buffer *buffer, unsigned int tile)
{
	switch (buffer->space) {
	case PROGRAM_SPAD:
	case PROGRAM_MULTICAST:
		return &order->spaces[tile];
	case PROGRAM_ACC:
		return &order->spaces[AXL_MAX_TILES + tile];
	case PROGRAM_ARENA:
		return &order->spaces[2 * AXL_MAX_TILES];
	case PROGRAM_OUTPUT:
		return &order->spaces[2 * AXL_MAX_TILES + 1 + buffer->index];
	default:
		return NULL; /* weights and inputs are never written */
	}
}

/* A transfer's bytes in memory: run by run, so that tiles that write interleaved rows do not wait for each other. */
static int touch_memory(struct ordering *order, struct segments *space, const struct axl_dma *dma, uint64_t base,
			bool write, unsigned int lane, uint32_t position, uint32_t *needed)
{
	int64_t starts[ACCESS_MAX_RUNS];
	size_t count;
	uint64_t run = access_memory_runs(dma, starts, &count);
	int err = 0;

	for (size_t i = 0; i < count && run && !err; i++) {
		uint64_t lo = base + (uint64_t)starts[i];

		err = touch(order, space, lo, lo + run, write, lane, position, needed);
	}
	return err;
}

static int touch_all(struct ordering *order, const struct instruction *instruction, unsigned int lane,
		     uint32_t position, uint32_t *needed)
{
	struct access list[ACCESS_MAX];
	size_t count = access_list(&instruction->insn, list);

	/* Reads first: an instruction that reads and writes the same bytes does not depend on itself. */
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < count; i++) {
			const struct program_place *place = &instruction->places[list[i].place];
			const struct buffer *buffer = &order->program->buffers[place->buf];
			uint64_t base = buffer->address + place->offset;
			uint8_t tiles = (uint8_t)(1u << instruction->tile);

			if (list[i].write != (pass == 1) || list[i].hi <= list[i].lo)
				continue;
			if (list[i].space == ACCESS_MEMORY && !(instruction->insn.dma.dma_flags & AXL_DMA_GATHER)) {
				struct segments *space = space_of(order, buffer, 0);

				if (space && touch_memory(order, space, &instruction->insn.dma, base, list[i].write,
							  lane, position, needed))
					return -ENOMEM;
				continue;
			}
			if (list[i].write && list[i].space == ACCESS_SPAD && is_multicast(instruction))
				tiles = instruction->insn.dma.tiles;
			for (unsigned int tile = 0; tile < AXL_MAX_TILES; tile++) {
				struct segments *space = tiles >> tile & 1 ? space_of(order, buffer, tile) : NULL;

				if (space && touch(order, space, base + (uint64_t)list[i].lo,
						   base + (uint64_t)list[i].hi, list[i].write, lane, position, needed))
					return -ENOMEM;
			}
		}
	return 0;
}

/* ---- edges to semaphores ---- */

static int pair_semaphore(struct ordering *order, const struct instruction *from, const struct instruction *to,
			  uint8_t *sem)
{
	bool multicast = is_multicast(from);
	uint8_t *slot = &order->pair[multicast][lane_of(from)][lane_of(to)];

	if (!*slot) {
		if (from->tile == to->tile && !multicast) {
			if (order->next_local[from->tile] >= AXL_LOCAL_SEMS)
				return -ENOSPC;
			*slot = (uint8_t)(++order->next_local[from->tile]);
		} else {
			if (order->next_global >= AXL_GLOBAL_SEMS)
				return -ENOSPC;
			*slot = (uint8_t)(AXL_LOCAL_SEMS + ++order->next_global);
		}
		order->program->stats.semaphores++;
	}
	*sem = *slot - 1;
	return 0;
}

static int add_edge(struct ordering *order, struct instruction *from, struct instruction *to)
{
	uint8_t sem;

	if (pair_semaphore(order, from, to, &sem))
		return program_fail(order->program, -ENOSPC,
				    "more than %d pairs of pipes on different tiles depend on each other",
				    AXL_GLOBAL_SEMS);
	if (from->num_signals == PROGRAM_MAX_SIGNALS || to->num_waits == PROGRAM_MAX_SIGNALS)
		return program_fail(order->program, -ENOSPC, "an instruction with more than %d dependences",
				    PROGRAM_MAX_SIGNALS);
	from->signals[from->num_signals++] = sem;
	to->waits[to->num_waits++] = sem;
	return 0;
}

/* Keep of the needed edges those that the others do not imply, latest producers first: they know most. */
static int reduce_edges(struct ordering *order, size_t index, uint32_t *clock, uint32_t *needed, unsigned int own)
{
	for (;;) {
		struct instruction *to = &order->program->instructions[index];
		uint32_t latest = 0;
		unsigned int best = LANES;
		int err;

		for (unsigned int lane = 0; lane < order->lanes; lane++) {
			if (lane == own || needed[lane] <= clock[lane])
				continue;
			if (best == LANES || order->at[lane][needed[lane]] > latest) {
				latest = order->at[lane][needed[lane]];
				best = lane;
			}
		}
		if (best == LANES)
			return 0;
		err = add_edge(order, &order->program->instructions[latest], to);
		if (err)
			return err;
		for (unsigned int lane = 0; lane < order->lanes; lane++) {
			uint32_t known = order->clocks[(size_t)latest * order->lanes + lane];

			clock[lane] = known > clock[lane] ? known : clock[lane];
		}
	}
}

static int order_instruction(struct ordering *order, size_t index)
{
	struct instruction *instruction = &order->program->instructions[index];
	unsigned int lane = lane_of(instruction);
	uint32_t position = ++order->position[lane], needed[LANES] = {0};
	uint32_t *clock = &order->clocks[index * order->lanes];
	int err;

	if (position > 1)
		memcpy(clock, &order->clocks[(size_t)order->at[lane][position - 1] * order->lanes],
		       order->lanes * sizeof(*clock));
	order->at[lane][position] = (uint32_t)index;
	if (touch_all(order, instruction, lane, position, needed))
		return program_fail(order->program, -ENOMEM, "out of memory");
	err = reduce_edges(order, index, clock, needed, lane);
	clock[lane] = position;
	return err;
}

/* ---- preemption points ---- */

/* Nothing in scratchpad or accumulators may be alive across a YIELD. */
static int check_yields(struct program *program)
{
	size_t *yields = malloc((program->count + 1) * sizeof(*yields)), last = 0;

	if (!yields)
		return program_fail(program, -ENOMEM, "out of memory");
	/* yields[i]: the first YIELD at or after instruction i */
	last = SIZE_MAX;
	for (size_t i = program->count; i-- > 0;) {
		if (program->instructions[i].tile == PROGRAM_ALL_TILES)
			last = i;
		yields[i] = last;
	}
	for (size_t b = 1; b < program->num_buffers; b++) {
		const struct buffer *buffer = &program->buffers[b];

		if (buffer->space != PROGRAM_SPAD && buffer->space != PROGRAM_ACC && buffer->space != PROGRAM_MULTICAST)
			continue;
		if (buffer->first != SIZE_MAX && yields[buffer->first] < buffer->last) {
			free(yields);
			return program_fail(program, -EINVAL, "buffer %s is alive across a preemption point",
					    buffer->name);
		}
	}
	free(yields);
	return 0;
}

int program_order(struct program *program)
{
	struct ordering *order = calloc(1, sizeof(*order));
	int err = check_yields(program);

	program->stats.semaphores = 0;
	for (size_t i = 0; i < program->count; i++)
		program->instructions[i].num_waits = program->instructions[i].num_signals = 0;
	if (!order)
		return program_fail(program, -ENOMEM, "out of memory");
	order->program = program;
	order->lanes = program_tiles(program) * AXL_NUM_PIPES;
	for (size_t i = 0; i < SPACES; i++)
		order->spaces[i].lanes = order->lanes;
	order->clocks = calloc(program->count + 1, order->lanes * sizeof(*order->clocks));
	for (unsigned int lane = 0; lane < order->lanes; lane++) {
		size_t length = 1;

		for (size_t i = 0; i < program->count; i++)
			length += program->instructions[i].tile != PROGRAM_ALL_TILES &&
				  lane_of(&program->instructions[i]) == lane;
		order->at[lane] = calloc(length + 1, sizeof(*order->at[lane]));
		if (!order->at[lane])
			err = -ENOMEM;
	}
	if (!order->clocks)
		err = -ENOMEM;
	if (err == -ENOMEM)
		program_fail(program, err, "out of memory");
	for (size_t i = 0; i < program->count && !err; i++)
		if (program->instructions[i].tile != PROGRAM_ALL_TILES)
			err = order_instruction(order, i);
	for (int s = 0; s < SPACES; s++)
		segments_finish(&order->spaces[s]);
	for (unsigned int lane = 0; lane < order->lanes; lane++)
		free(order->at[lane]);
	free(order->clocks);
	free(order);
	program->ordered = !err;
	return err;
}
