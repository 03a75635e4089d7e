/* SPDX-License-Identifier: MIT */
/*
 * See estimate.h. The rules are those of the instruction set's text: a sequencer reads a slot a cycle and stalls at a full
 * pipe; a pipe starts its instructions in order, when their waits hold; the instruction that can start first is taken next, so
 * that shared memories see transfers in the order of time.
 */
#include "compiler/target/estimate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_contention.h>

#include "compiler/target/cost.h"
#include "compiler/target/stream.h"

/* @address: where the base register of a transfer pointed when it was read; @stretch: YIELDs before it */
struct queued {
	union axl_insn insn;
	uint32_t offset, stretch;
	uint64_t dispatched, address;
};

/* @free: when the next instruction may start; @end: when the last one ended; @slot_free: when a place in the FIFO came back */
struct lane {
	struct queued fifo[AXL_FIFO_DEPTH];
	unsigned int head, count;
	uint64_t free, end, slot_free;
	struct axl_pipe_flows flows;
};

/* @next: read from the stream, with no room in its pipe yet */
struct sequencer {
	struct stream_cursor cursor;
	struct queued next;
	uint64_t time;
	uint32_t stretch;
	bool waiting, ended;
};

/* Signals not taken yet, oldest first; @value: their sum. */
struct semaphore {
	struct {
		uint64_t time;
		uint32_t count;
	} * grants;
	size_t first, used, capacity;
	uint32_t value;
};

/* When each tile passes the end of a stretch: all its instructions up to there have ended. @first, @last: as in estimate_stretch */
struct passing {
	uint64_t tile[AXL_MAX_TILES];
	uint16_t first, last;
};

struct timeline {
	const struct estimate_job *job;
	unsigned int tiles;
	struct lane lanes[AXL_MAX_TILES][AXL_NUM_PIPES];
	struct sequencer seq[AXL_MAX_TILES];
	struct semaphore local[AXL_MAX_TILES][AXL_LOCAL_SEMS], global[AXL_GLOBAL_SEMS];
	struct axl_ports ports[AXL_MAX_TILES];
	struct axl_channel dram;
	struct cost_memory memory;
	struct estimate *estimate;
	size_t capacity;
	struct passing *done; /* by stretch */
	size_t stretches;
};

/* ---- sequencers ---- */

/* An instruction of @stretch of @tile ends, or the YIELD behind it is read, at @time. */
static int end_stretch(struct timeline *t, unsigned int tile, uint32_t stretch, uint64_t time)
{
	while (t->stretches <= stretch) {
		struct passing *grown = realloc(t->done, (t->stretches + 1) * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		t->done = grown;
		t->done[t->stretches++] = (struct passing){.first = 1};
	}
	t->done[stretch].tile[tile] = axl_later(t->done[stretch].tile[tile], time);
	return 0;
}

static void dispatch(struct timeline *t, unsigned int tile)
{
	struct sequencer *seq = &t->seq[tile];
	struct lane *lane = &t->lanes[tile][seq->next.insn.header.pipe];

	seq->time += seq->next.insn.header.slots;
	if (seq->time < lane->slot_free)
		seq->time = lane->slot_free;
	seq->next.dispatched = seq->time;
	lane->fifo[(lane->head + lane->count++) % AXL_FIFO_DEPTH] = seq->next;
	seq->waiting = false;
}

/* Read on until a pipe is full or the stream ends. */
static int sequence(struct timeline *t, unsigned int tile)
{
	struct sequencer *seq = &t->seq[tile];

	while (!seq->ended) {
		struct queued *next = &seq->next;

		if (!seq->waiting) {
			if (!stream_next(&seq->cursor, &next->insn, &next->offset)) {
				seq->ended = true;
				seq->time++;
				return 0;
			}
			if (next->insn.header.pipe == AXL_PIPE_SEQ) {
				seq->time++;
				if (next->insn.header.opcode == AXL_OP_YIELD &&
				    end_stretch(t, tile, seq->stretch++, seq->time))
					return -ENOMEM;
				continue;
			}
			next->stretch = seq->stretch;
			next->address =
				next->insn.header.opcode == AXL_OP_LOAD || next->insn.header.opcode == AXL_OP_STORE
					? seq->cursor.bases[next->insn.dma.base]
					: 0;
			seq->waiting = true;
		}
		if (t->lanes[tile][next->insn.header.pipe].count == AXL_FIFO_DEPTH)
			return 0;
		dispatch(t, tile);
	}
	return 0;
}

/* ---- semaphores ---- */

static struct semaphore *semaphore_of(struct timeline *t, unsigned int tile, unsigned int number)
{
	return number < AXL_LOCAL_SEMS ? &t->local[tile][number] : &t->global[number - AXL_LOCAL_SEMS];
}

/* When @count can be taken, not before *time; false: not given yet. */
static bool ready_at(const struct semaphore *sem, uint32_t count, uint64_t *time)
{
	if (sem->value < count)
		return false;
	for (size_t i = sem->first; i < sem->used && count; i++) {
		*time = axl_later(*time, sem->grants[i].time);
		count -= sem->grants[i].count < count ? sem->grants[i].count : count;
	}
	return true;
}

static bool waits_ready(struct timeline *t, unsigned int tile, const struct axl_sem_op *wait, uint64_t *time)
{
	if (wait[0].count && wait[1].count && wait[0].sem == wait[1].sem)
		return ready_at(semaphore_of(t, tile, wait[0].sem), (uint32_t)wait[0].count + wait[1].count, time);
	for (int i = 0; i < 2; i++)
		if (wait[i].count && !ready_at(semaphore_of(t, tile, wait[i].sem), wait[i].count, time))
			return false;
	return true;
}

static void take(struct semaphore *sem, uint32_t count)
{
	sem->value -= count;
	while (count) {
		uint32_t taken = sem->grants[sem->first].count < count ? sem->grants[sem->first].count : count;

		sem->grants[sem->first].count -= taken;
		count -= taken;
		sem->first += !sem->grants[sem->first].count;
	}
	if (sem->first == sem->used)
		sem->first = sem->used = 0;
}

static int give(struct semaphore *sem, uint32_t count, uint64_t time)
{
	if (sem->used == sem->capacity) {
		size_t capacity = sem->capacity * 2 + 16;
		void *grown = realloc(sem->grants, capacity * sizeof(*sem->grants));

		if (!grown)
			return -ENOMEM;
		sem->grants = grown;
		sem->capacity = capacity;
	}
	sem->grants[sem->used].time = time;
	sem->grants[sem->used++].count = count;
	sem->value += count;
	return 0;
}

/* The signals of a multicast go to every tile that got its data. */
static int signal_all(struct timeline *t, unsigned int tile, const union axl_insn *insn, uint64_t time)
{
	unsigned int tiles = insn->header.opcode == AXL_OP_LOAD && insn->dma.tiles ? insn->dma.tiles : 1u << tile;
	int err = 0;

	for (int i = 0; i < 2 && !err; i++) {
		const struct axl_sem_op *op = &insn->header.signal[i];

		if (op->count && op->sem >= AXL_LOCAL_SEMS)
			err = give(semaphore_of(t, tile, op->sem), op->count, time);
		for (unsigned int k = 0; k < t->tiles && op->count && op->sem < AXL_LOCAL_SEMS && !err; k++)
			if (tiles >> k & 1)
				err = give(semaphore_of(t, k, op->sem), op->count, time);
	}
	return err;
}

/* ---- instructions ---- */

/* When the instruction ends, the cycles in which it advances, and when its pipe may start the next. */
struct span {
	uint64_t end, busy, issue;
};

static struct span transfer_span(struct timeline *t, unsigned int tile, struct lane *lane, const struct queued *queued,
				 uint64_t start)
{
	const struct target *target = t->job->target;
	unsigned int tiles = queued->insn.dma.tiles ? (unsigned int)__builtin_popcount(queued->insn.dma.tiles) : 1;
	struct cost_transfer moved;
	struct axl_transfer_time time;
	uint64_t cycles;

	cost_transfer(&queued->insn.dma, queued->address, tiles, &t->memory, &moved);
	t->estimate->lines += moved.lines;
	cycles = axl_local_cycles(moved.lines, moved.rows, target->dram_rate);
	time = axl_transfer(&t->dram, &t->ports[tile], &lane->flows, start, lane->end, target->dram_latency,
			    moved.walks, cycles, target->dram_rate, queued->insn.header.opcode == AXL_OP_LOAD,
			    AXL_T_TURNAROUND);
	return (struct span){time.end, cycles, time.issue};
}

static struct span compute_span(struct timeline *t, unsigned int tile, const struct lane *lane,
				const struct queued *queued, uint64_t start)
{
	uint32_t demand;
	uint64_t busy = cost_compute(&queued->insn, &demand), fill = 0, end;

	/* Back to back the weights of the next slice are in the shadow plane already. */
	if (queued->insn.header.pipe == AXL_PIPE_MATRIX && (start > lane->end + AXL_T_ARRAY_IDLE || !lane->end))
		fill = AXL_T_ARRAY_LATENCY;
	end = axl_ports_pass(&t->ports[tile], start, start + fill, busy, demand, 1);
	return (struct span){end, busy + fill, end};
}

static int record(struct timeline *t, unsigned int tile, const struct queued *queued, uint64_t start, struct span span)
{
	struct estimate *e = t->estimate;

	if (e->num_records == t->capacity) {
		size_t capacity = t->capacity * 2 + 1024;
		struct axl_trace_record *grown = realloc(e->records, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		e->records = grown;
		t->capacity = capacity;
	}
	e->records[e->num_records++] = (struct axl_trace_record){
		.begin = start,
		.end = span.end,
		.offset = queued->offset,
		.tag = queued->insn.header.tag,
		.tile = (uint8_t)tile,
		.pipe = queued->insn.header.pipe,
		.opcode = queued->insn.header.opcode,
		.stalled = (uint32_t)(span.end - start > span.busy ? span.end - start - span.busy : 0),
	};
	return 0;
}

static void count_tag(struct passing *stretch, uint16_t tag)
{
	bool none = stretch->first > stretch->last;

	stretch->first = none || tag < stretch->first ? tag : stretch->first;
	stretch->last = none || tag > stretch->last ? tag : stretch->last;
}

/* Run the head of a pipe, which may start at @start. */
static int execute(struct timeline *t, unsigned int tile, unsigned int pipe, uint64_t start)
{
	struct lane *lane = &t->lanes[tile][pipe];
	struct queued *queued = &lane->fifo[lane->head];
	struct span span = {start + 1, 1, start + 1};
	uint32_t stretch = queued->stretch;
	int err;

	for (int i = 0; i < 2; i++)
		if (queued->insn.header.wait[i].count)
			take(semaphore_of(t, tile, queued->insn.header.wait[i].sem), queued->insn.header.wait[i].count);
	if (queued->insn.header.opcode == AXL_OP_LOAD || queued->insn.header.opcode == AXL_OP_STORE)
		span = transfer_span(t, tile, lane, queued, start);
	else if (queued->insn.header.opcode != AXL_OP_SYNC)
		span = compute_span(t, tile, lane, queued, start);
	err = record(t, tile, queued, start, span);
	if (!err)
		err = signal_all(t, tile, &queued->insn, span.end);
	lane->free = span.issue;
	lane->end = span.end;
	lane->slot_free = start;
	lane->head = (lane->head + 1) % AXL_FIFO_DEPTH;
	lane->count--;
	t->estimate->cycles = axl_later(t->estimate->cycles, span.end);
	if (!err)
		err = end_stretch(t, tile, stretch, span.end);
	if (!err)
		count_tag(&t->done[stretch], queued->insn.header.tag);
	return err;
}

/* The head that can start first. False: none can. */
static bool choose(struct timeline *t, unsigned int *tile, unsigned int *pipe, uint64_t *start)
{
	bool found = false;

	for (unsigned int k = 0; k < t->tiles; k++)
		for (unsigned int p = AXL_PIPE_LOAD; p < AXL_NUM_PIPES; p++) {
			struct lane *lane = &t->lanes[k][p];
			uint64_t time;

			if (!lane->count)
				continue;
			time = axl_later(lane->fifo[lane->head].dispatched, lane->free);
			if ((found && time >= *start) ||
			    !waits_ready(t, k, lane->fifo[lane->head].insn.header.wait, &time) ||
			    (found && time >= *start))
				continue;
			found = true;
			*tile = k;
			*pipe = p;
			*start = time;
		}
	return found;
}

/* ---- the whole ---- */

/* As runtime and libaccel place buffers: large ones in whole large pages, an unmapped page behind each. */
static void place_memory(struct timeline *t)
{
	uint64_t at = 0;

	for (unsigned int i = 0; i <= t->job->num_bases; i++) {
		uint64_t bytes = i ? t->job->bases[i - 1] : t->job->code_bytes;
		uint64_t align = bytes >= ESTIMATE_LARGE_PAGES_FROM ? AXL_LARGE_PAGE_BYTES : AXL_PAGE_BYTES;

		if (!bytes)
			continue;
		bytes = axl_div_up(bytes, align) * align;
		at = axl_div_up(at, align) * align;
		if (i)
			t->memory.span[i - 1] = (struct cost_span){at, bytes};
		at += bytes + AXL_PAGE_BYTES;
	}
}

static int run(struct timeline *t)
{
	for (;;) {
		unsigned int tile = 0, pipe = 0;
		uint64_t start = 0;
		int err;

		for (unsigned int k = 0; k < t->tiles; k++)
			if (sequence(t, k))
				return -ENOMEM;
		if (!choose(t, &tile, &pipe, &start))
			break;
		err = execute(t, tile, pipe, start);
		if (err)
			return err;
	}
	for (unsigned int k = 0; k < t->tiles; k++) {
		for (unsigned int p = 0; p < AXL_NUM_PIPES; p++)
			if (t->lanes[k][p].count)
				return -EDEADLK;
		t->estimate->cycles = axl_later(t->estimate->cycles, t->seq[k].time);
	}
	return 0;
}

/*
 * Of each tile from where it passes one preemption point to where it passes the next. A tile that has nothing to do between two
 * passes the second early, and may be long on its way to the third.
 */
static int measure_stretches(struct timeline *t)
{
	struct estimate *e = t->estimate;
	struct passing before = {{0}};

	e->stretches = calloc(t->stretches + 1, sizeof(*e->stretches));
	if (!e->stretches)
		return -ENOMEM;
	e->num_stretches = t->stretches;
	for (size_t s = 0; s < t->stretches; s++) {
		struct estimate_stretch *stretch = &e->stretches[s];

		stretch->first = t->done[s].first;
		stretch->last = t->done[s].last;
		for (unsigned int k = 0; k < t->tiles; k++) {
			uint64_t done = axl_later(t->done[s].tile[k], before.tile[k]);

			stretch->cycles = axl_later(stretch->cycles, done - before.tile[k]);
			before.tile[k] = done;
		}
	}
	return 0;
}

int estimate_run(const struct estimate_job *job, struct estimate *estimate)
{
	struct timeline *t = calloc(1, sizeof(*t));
	int err;

	memset(estimate, 0, sizeof(*estimate));
	if (!t)
		return -ENOMEM;
	t->job = job;
	t->estimate = estimate;
	t->tiles = stream_tiles(job->code);
	place_memory(t);
	for (unsigned int k = 0; k < t->tiles; k++) {
		t->ports[k].rate = job->target->spad_banks * AXL_T_BANK_BYTES;
		stream_begin(&t->seq[k].cursor, job->code, k);
		for (unsigned int i = 0; i < job->num_bases; i++)
			t->seq[k].cursor.bases[i] = t->memory.span[i].address;
	}
	err = run(t);
	if (!err)
		err = measure_stretches(t);
	for (unsigned int k = 0; k < AXL_MAX_TILES; k++)
		for (int s = 0; s < AXL_LOCAL_SEMS; s++)
			free(t->local[k][s].grants);
	for (int s = 0; s < AXL_GLOBAL_SEMS; s++)
		free(t->global[s].grants);
	free(t->done);
	free(t);
	if (err)
		estimate_finish(estimate);
	return err;
}

void estimate_finish(struct estimate *estimate)
{
	free(estimate->records);
	free(estimate->stretches);
	estimate->records = NULL;
	estimate->stretches = NULL;
	estimate->num_records = 0;
}
