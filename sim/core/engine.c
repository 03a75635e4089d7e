/* SPDX-License-Identifier: MIT */
/*
 * The tile engine: event driven, one pass for function and time.
 *
 * A lane is one pipe of one tile. Everything inside a lane is in order, semaphores are counted and matched in order, so
 * the start of an instruction is the latest of: its dispatch by the sequencer, the end of its predecessor, the signals
 * that its waits take. The engine always runs the startable instruction with the earliest start (ties: lowest lane), so
 * that shared memories see transfers in the order of time. The instruction's effect on memory happens then, before its
 * signals exist for anybody.
 */
#include "sim/core/engine.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "sim/core/engine_internal.h"
#include "sim/core/workers.h"

const struct engine_config engine_configs[] = {
	{"axl-edge", 1, 2u << 20, 256u << 10, 1000000, 1ull << 30, 128, 300, 16, 1000, 16},
	{"axl-pro", 4, 1u << 20, 256u << 10, 1000000, 4ull << 30, 256, 300, 16, 1000, 16},
	{NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
};

const struct engine_config *engine_config_find(const char *name)
{
	for (const struct engine_config *config = engine_configs; config->name; config++)
		if (!strcmp(config->name, name))
			return config;
	return NULL;
}

struct engine {
	struct engine_config config;
	struct workers *workers;
	struct exec_memory memory[AXL_MAX_TILES];
	uint64_t cycles; /* of the execution under way */
};

int engine_create(const struct engine_config *config, unsigned int threads, struct engine **engine)
{
	struct engine *e = calloc(1, sizeof(*e));
	int err = e ? workers_create(threads, &e->workers) : -ENOMEM;

	for (unsigned int t = 0; t < config->tiles && !err; t++) {
		e->memory[t].spad_bytes = config->spad_bytes;
		e->memory[t].acc_bytes = config->acc_bytes;
		e->memory[t].spad = aligned_alloc(64, config->spad_bytes);
		e->memory[t].acc = aligned_alloc(64, config->acc_bytes);
		if (!e->memory[t].spad || !e->memory[t].acc)
			err = -ENOMEM;
	}
	if (err) {
		engine_destroy(e);
		return err;
	}
	e->config = *config;
	engine_scrub(e);
	*engine = e;
	return 0;
}

void engine_destroy(struct engine *engine)
{
	if (!engine)
		return;
	workers_destroy(engine->workers);
	for (unsigned int t = 0; t < AXL_MAX_TILES; t++) {
		free(engine->memory[t].spad);
		free(engine->memory[t].acc);
	}
	free(engine);
}

uint64_t engine_cycles(const struct engine *engine)
{
	return engine->cycles;
}

void engine_scrub(struct engine *engine)
{
	for (unsigned int t = 0; t < engine->config.tiles; t++) {
		memset(engine->memory[t].spad, 0, engine->config.spad_bytes);
		memset(engine->memory[t].acc, 0, engine->config.acc_bytes);
	}
}

/* ---- faults ---- */

static int fault(struct run *run, enum axl_cause cause, unsigned int tile, uint32_t offset, const union axl_insn *insn)
{
	/* A header may name tiles that are not there. */
	const struct tile *at = tile < run->config->tiles ? &run->tiles[tile] : NULL;
	struct engine_fault *f = run->fault;
	enum axl_cause known = f->cause;

	f->cause = known ? known : cause;
	f->tile = (uint8_t)tile;
	f->offset = offset;
	if (insn) {
		f->insn = *insn;
		f->tag = insn->header.tag;
		f->pipe = insn->header.pipe;
	}
	for (int s = 0; s < AXL_LOCAL_SEMS + AXL_GLOBAL_SEMS; s++) {
		const struct semaphore *sem = s >= AXL_LOCAL_SEMS ? &run->global[s - AXL_LOCAL_SEMS]
					      : at                ? &at->local[s]
								  : NULL;
		uint32_t value = sem ? sem->value : 0;

		f->sems[s] = value > 255 ? 255 : (uint8_t)value;
	}
	for (int p = 0; p < AXL_NUM_PIPES; p++) {
		const struct lane *lane = at ? &at->lanes[p] : NULL;

		f->pipe_offset[p] = lane && lane->count ? lane->fifo[lane->head].offset : ~0u;
	}
	f->pipe_offset[7] = ~0u;
	return -EFAULT;
}

/* ---- sequencer ---- */

static int check_header(struct run *run)
{
	const struct engine_job *job = run->job;
	struct axl_cmdbuf *header = &run->header;
	uint32_t reserved = 0;

	if (job->size < sizeof(*header))
		return fault(run, AXL_CAUSE_CMDBUF, 0, 0, NULL);
	memcpy(header, job->cmdbuf, sizeof(*header));
	for (size_t i = 0; i < sizeof(header->reserved) / 4; i++)
		reserved |= header->reserved[i];
	if (header->magic != AXL_CMDBUF_MAGIC || header->version != AXL_ISA_VERSION || header->flags || reserved ||
	    header->size != job->size || !header->num_tiles || header->num_tiles > run->engine->config.tiles ||
	    header->num_bases > AXL_NUM_BASES || header->spad_bytes > run->engine->config.spad_bytes ||
	    header->acc_bytes > run->engine->config.acc_bytes)
		return fault(run, AXL_CAUSE_CMDBUF, 0, 0, NULL);
	for (unsigned int t = 0; t < header->num_tiles; t++) {
		uint32_t offset = header->streams[t].offset, size = header->streams[t].size;

		if (offset < sizeof(*header) || offset % AXL_SLOT_BYTES || !size || size % AXL_SLOT_BYTES ||
		    offset > job->size || size > job->size - offset)
			return fault(run, AXL_CAUSE_CMDBUF, t, offset, NULL);
		run->tiles[t].seq.at = offset;
		run->tiles[t].seq.end = offset + size;
		memcpy(run->tiles[t].seq.bases, job->bases, sizeof(run->tiles[t].seq.bases));
	}
	for (unsigned int t = header->num_tiles; t < AXL_MAX_TILES; t++)
		if (header->streams[t].offset || header->streams[t].size)
			return fault(run, AXL_CAUSE_CMDBUF, t, header->streams[t].offset, NULL);
	return 0;
}

/* ---- suspension and killing ---- */

/* How far the execution has come: what its sequencers and pipes have done. */
static uint64_t own_cycles(const struct run *run)
{
	uint64_t cycles = run->end;

	for (unsigned int t = 0; t < run->header.num_tiles; t++)
		cycles = run->tiles[t].seq.time > cycles ? run->tiles[t].seq.time : cycles;
	return cycles;
}

static enum engine_stop asked(struct run *run)
{
	run->engine->cycles = own_cycles(run);
	return run->job->stop ? run->job->stop(run->job->stop_opaque) : ENGINE_GO;
}

/*
 * All tiles stop at the same YIELD: the first that none has left behind. @asking: the tile that stands right at one, or
 * AXL_MAX_TILES.
 */
static void plan_suspension(struct run *run, unsigned int asking)
{
	for (unsigned int t = 0; t < run->header.num_tiles; t++) {
		uint32_t next = run->tiles[t].seq.yields + (t != asking);

		run->suspend_at = next > run->suspend_at ? next : run->suspend_at;
	}
}

/* Now and then: false when the execution is to end at once. */
static bool may_go_on(struct run *run)
{
	enum engine_stop stop;

	if (++run->polls % 256 || !run->job->stop)
		return true;
	stop = asked(run);
	if (stop == ENGINE_PREEMPT && !run->suspend_at)
		plan_suspension(run, AXL_MAX_TILES);
	return stop != ENGINE_KILL;
}

/* Take one instruction of a tile's stream. 1: something moved; 0: blocked or ended. */
static int sequence(struct run *run, unsigned int tile)
{
	struct sequencer *seq = &run->tiles[tile].seq;
	struct exec_error error;
	union axl_insn insn = {.bytes = {0}};
	struct lane *lane;

	if (seq->ended || seq->parked)
		return 0;
	if (seq->at + AXL_SLOT_BYTES > seq->end)
		return fault(run, AXL_CAUSE_CMDBUF, tile, seq->at, NULL);
	memcpy(&insn, run->job->cmdbuf + seq->at, AXL_SLOT_BYTES);
	if (insn.header.slots == 2) {
		if (seq->at + 2 * AXL_SLOT_BYTES > seq->end)
			return fault(run, AXL_CAUSE_BAD_OPCODE, tile, seq->at, &insn);
		memcpy(&insn, run->job->cmdbuf + seq->at, 2 * AXL_SLOT_BYTES);
	}
	lane = &run->tiles[tile].lanes[insn.header.pipe < AXL_NUM_PIPES ? insn.header.pipe : 0];
	if (insn.header.pipe != AXL_PIPE_SEQ && lane->count == AXL_FIFO_DEPTH)
		return 0;
	if (!exec_check(&insn, run->engine->config.spad_bytes, run->engine->config.acc_bytes, run->header.num_tiles,
			&error)) {
		run->fault->address = error.address;
		return fault(run, error.cause, tile, seq->at, &insn);
	}
	seq->time += insn.header.slots;
	run->stats->instructions++;
	run->stats->bytes[4][0] += insn.header.slots * (uint64_t)AXL_SLOT_BYTES;
	if (insn.header.pipe != AXL_PIPE_SEQ) {
		struct queued *queued = &lane->fifo[(lane->head + lane->count++) % AXL_FIFO_DEPTH];

		if (seq->time < lane->slot_free)
			seq->time = lane->slot_free;
		*queued = (struct queued){
			.insn = insn,
			.offset = seq->at,
			.epoch = seq->yields,
			.dispatched = seq->time,
			.base = insn.header.opcode == AXL_OP_LOAD || insn.header.opcode == AXL_OP_STORE
					? seq->bases[insn.dma.base]
					: 0,
		};
		seq->at += insn.header.slots * AXL_SLOT_BYTES;
		return 1;
	}
	{
		uint32_t offset = seq->at;

		seq->at += AXL_SLOT_BYTES;
		switch (insn.header.opcode) {
		case AXL_OP_END:
			seq->ended = true;
			return seq->depth ? fault(run, AXL_CAUSE_LOOP, tile, offset, &insn) : 1;
		case AXL_OP_LOOP:
			if (seq->depth == AXL_LOOP_DEPTH)
				return fault(run, AXL_CAUSE_LOOP, tile, offset, &insn);
			seq->loops[seq->depth].start = seq->at;
			seq->loops[seq->depth++].left = insn.loop.count;
			return 1;
		case AXL_OP_ENDLOOP:
			if (!seq->depth)
				return fault(run, AXL_CAUSE_LOOP, tile, offset, &insn);
			if (--seq->loops[seq->depth - 1].left)
				seq->at = seq->loops[seq->depth - 1].start;
			else
				seq->depth--;
			return 1;
		case AXL_OP_ADDBASE:
			seq->bases[insn.addbase.reg] += (uint64_t)insn.addbase.value;
			return 1;
		default: /* YIELD: orders nothing while nobody wants the tiles */
			seq->yields++;
			if (!run->suspend_at && asked(run) == ENGINE_PREEMPT)
				plan_suspension(run, tile);
			seq->parked = seq->yields == run->suspend_at;
			return 1;
		}
	}
}

/* ---- semaphores in time ---- */

static struct semaphore *semaphore_of(struct run *run, unsigned int tile, unsigned int sem)
{
	return sem < AXL_LOCAL_SEMS ? &run->tiles[tile].local[sem] : &run->global[sem - AXL_LOCAL_SEMS];
}

/* When @count can be taken, beyond what @before takes of the same semaphore; false: not yet known. */
static bool ready_at(const struct semaphore *sem, uint32_t count, uint64_t *time)
{
	if (sem->value < count)
		return false;
	for (size_t i = sem->first; i < sem->used && count; i++) {
		uint32_t taken = sem->grants[i].count < count ? sem->grants[i].count : count;

		*time = sem->grants[i].time > *time ? sem->grants[i].time : *time;
		count -= taken;
	}
	return true;
}

static bool waits_ready(struct run *run, unsigned int tile, const union axl_insn *insn, uint64_t *time)
{
	const struct axl_sem_op *wait = insn->header.wait;

	if (wait[0].count && wait[1].count && wait[0].sem == wait[1].sem)
		return ready_at(semaphore_of(run, tile, wait[0].sem), (uint32_t)wait[0].count + wait[1].count, time);
	for (int i = 0; i < 2; i++)
		if (wait[i].count && !ready_at(semaphore_of(run, tile, wait[i].sem), wait[i].count, time))
			return false;
	return true;
}

static void take(struct run *run, unsigned int tile, unsigned int pipe, struct semaphore *sem, uint32_t count)
{
	sem->value -= count;
	while (count) {
		struct grant *grant = &sem->grants[sem->first];
		uint32_t taken = grant->count < count ? grant->count : count;

		if (grant->clock)
			race_wait(run->race, tile, pipe, grant->clock);
		grant->count -= taken;
		count -= taken;
		if (!grant->count) {
			free(grant->clock);
			grant->clock = NULL;
			sem->first++;
		}
	}
	if (sem->first == sem->used)
		sem->first = sem->used = 0;
}

/* @clock: copied; NULL outside race-check mode. */
static int give(struct semaphore *sem, uint32_t count, uint64_t time, const struct race_clock *clock)
{
	struct race_clock *carried = NULL;

	if (sem->used == sem->capacity) {
		size_t capacity = sem->capacity * 2 + 16;
		struct grant *grown;

		if (sem->first > sem->used / 2) {
			memmove(sem->grants, sem->grants + sem->first, (sem->used - sem->first) * sizeof(*sem->grants));
			sem->used -= sem->first;
			sem->first = 0;
		} else {
			grown = realloc(sem->grants, capacity * sizeof(*grown));
			if (!grown)
				return -ENOMEM;
			sem->grants = grown;
			sem->capacity = capacity;
		}
	}
	if (clock) {
		carried = malloc(sizeof(*carried));
		if (!carried)
			return -ENOMEM;
		*carried = *clock;
	}
	sem->grants[sem->used++] = (struct grant){time, count, carried};
	sem->value += count;
	return sem->value > AXL_SEM_MAX ? -ERANGE : 0;
}

static void free_semaphore(struct semaphore *sem)
{
	for (size_t i = sem->first; i < sem->used; i++)
		free(sem->grants[i].clock);
	free(sem->grants);
}

static int signal_all(struct run *run, unsigned int tile, const struct queued *queued, uint64_t time)
{
	const union axl_insn *insn = &queued->insn;
	const struct race_clock *clock = run->race ? race_signal(run->race, tile, insn->header.pipe) : NULL;
	uint8_t tiles = insn->header.opcode == AXL_OP_LOAD && insn->dma.tiles ? insn->dma.tiles : (uint8_t)(1u << tile);

	for (int i = 0; i < 2; i++) {
		const struct axl_sem_op *op = &insn->header.signal[i];
		int err = 0;

		if (!op->count)
			continue;
		if (op->sem >= AXL_LOCAL_SEMS)
			err = give(semaphore_of(run, tile, op->sem), op->count, time, clock);
		for (unsigned int t = 0; t < run->header.num_tiles && op->sem < AXL_LOCAL_SEMS && !err; t++)
			if (tiles >> t & 1)
				err = give(semaphore_of(run, t, op->sem), op->count, time, clock);
		if (err == -ERANGE)
			return fault(run, AXL_CAUSE_SEM_OVERFLOW, tile, queued->offset, insn);
		if (err)
			return err;
	}
	return 0;
}

/* ---- one instruction ---- */

struct part_job {
	const union axl_insn *insn;
	const struct exec_memory *memory;
	size_t parts;
	struct exec_error error;
	int err;
};

static void run_part(void *arg, size_t part)
{
	struct part_job *job = arg;
	int err = exec_run(job->insn, job->memory, part, job->parts, &job->error);

	if (err)
		job->err = err;
}

static int compute(struct run *run, unsigned int tile, const struct queued *queued)
{
	struct part_job job = {&queued->insn, &run->engine->memory[tile], exec_parts(&queued->insn), {0}, 0};

	workers_run(run->engine->workers, job.parts, run_part, &job);
	if (job.err) {
		run->fault->address = job.error.address;
		return fault(run, job.error.cause, tile, queued->offset, &queued->insn);
	}
	return 0;
}

/* In race-check mode, before the instruction touches anything. */
static int check_race(struct run *run, unsigned int tile, unsigned int pipe, const struct queued *queued)
{
	struct race_finding finding;
	int err;

	if (race_begin(run->race, tile, pipe, &queued->insn, queued->offset, queued->epoch, queued->base, &finding,
		       &err))
		return 0;
	if (err)
		return err;
	run->fault->address = finding.address;
	run->fault->other_offset = finding.other_offset;
	return fault(run, finding.uninitialized ? AXL_CAUSE_UNINITIALIZED : AXL_CAUSE_RACE, tile, queued->offset,
		     &queued->insn);
}

static void account(struct run *run, unsigned int tile, unsigned int pipe, enum axl_stall why, uint64_t cycles)
{
	run->stats->pipe[tile][pipe][why] += (uint32_t)cycles;
}

static void trace(struct run *run, unsigned int tile, const struct queued *queued, uint64_t begin, uint64_t end,
		  uint64_t stalled)
{
	const struct engine_job *job = run->job;
	struct axl_trace_record *record;

	if (!job->trace)
		return;
	if (run->stats->trace_records >= job->trace_max) {
		run->stats->trace_dropped++;
		return;
	}
	record = &job->trace[run->stats->trace_records++];
	*record = (struct axl_trace_record){
		.begin = begin,
		.end = end,
		.offset = queued->offset,
		.tag = queued->insn.header.tag,
		.tile = (uint8_t)tile,
		.pipe = queued->insn.header.pipe,
		.opcode = queued->insn.header.opcode,
		.stalled = (uint32_t)stalled,
	};
	if (queued->insn.header.opcode == AXL_OP_VEC)
		record->detail = queued->insn.vec.op;
	else if (queued->insn.header.opcode == AXL_OP_LOAD || queued->insn.header.opcode == AXL_OP_STORE)
		record->detail = queued->insn.dma.purpose;
}

/*
 * Run the head of a lane, which may start at @start. The lane's account goes on to the instruction's end: what lies
 * before @start was empty (nothing dispatched) or waiting (dispatched, semaphores not there).
 */
static int execute(struct run *run, unsigned int tile, unsigned int pipe, uint64_t start)
{
	struct lane *lane = &run->tiles[tile].lanes[pipe];
	struct queued *queued = &lane->fifo[lane->head];
	bool dma = queued->insn.header.opcode == AXL_OP_LOAD || queued->insn.header.opcode == AXL_OP_STORE;
	struct duration took = {.end = start + 1, .issue = start + 1, .busy = 1};
	uint64_t begin = start;
	int err = 0;

	for (int i = 0; i < 2; i++)
		if (queued->insn.header.wait[i].count)
			take(run, tile, pipe, semaphore_of(run, tile, queued->insn.header.wait[i].sem),
			     queued->insn.header.wait[i].count);
	err = run->race ? check_race(run, tile, pipe, queued) : 0;
	if (err)
		return err;
	if (dma) {
		err = dma_run(run, tile, queued);
		if (!err)
			took = timing_dma(run, tile, pipe, queued, start);
	} else if (queued->insn.header.opcode != AXL_OP_SYNC) {
		err = compute(run, tile, queued);
		took = timing_compute(run, tile, lane, queued, start);
	}
	if (err)
		return err;
	if (lane->accounted < start) {
		uint64_t empty = queued->dispatched > lane->accounted ? queued->dispatched - lane->accounted : 0;

		empty = empty > start - lane->accounted ? start - lane->accounted : empty;
		account(run, tile, pipe, AXL_STALL_EMPTY, empty);
		account(run, tile, pipe, AXL_STALL_SEMAPHORE, start - lane->accounted - empty);
		lane->accounted = start;
	}
	if (took.end > lane->accounted) {
		uint64_t span = took.end - lane->accounted, busy = took.busy < span ? took.busy : span;
		uint64_t banks = took.banks < span - busy ? took.banks : span - busy;
		uint64_t walks = took.walks < span - busy - banks ? took.walks : span - busy - banks;

		account(run, tile, pipe, AXL_STALL_BUSY, busy);
		account(run, tile, pipe, AXL_STALL_BANK, banks);
		account(run, tile, pipe, AXL_STALL_TLB, walks);
		account(run, tile, pipe,
			took.host ? AXL_STALL_HOST
			: dma     ? AXL_STALL_DRAM
				  : AXL_STALL_BANK,
			span - busy - banks - walks);
		lane->accounted = took.end;
	}
	trace(run, tile, queued, begin, took.end, took.end - begin > took.busy ? took.end - begin - took.busy : 0);
	err = signal_all(run, tile, queued, took.end);
	lane->free = took.issue;
	lane->end = took.end;
	lane->slot_free = start;
	lane->head = (lane->head + 1) % AXL_FIFO_DEPTH;
	lane->count--;
	run->end = took.end > run->end ? took.end : run->end;
	return err;
}

/* The startable head with the earliest start. False: none. */
static bool choose(struct run *run, unsigned int *tile, unsigned int *pipe, uint64_t *start)
{
	bool found = false;

	for (unsigned int t = 0; t < run->header.num_tiles; t++)
		for (unsigned int p = AXL_PIPE_LOAD; p < AXL_NUM_PIPES; p++) {
			struct lane *lane = &run->tiles[t].lanes[p];
			uint64_t time;

			if (!lane->count)
				continue;
			time = lane->fifo[lane->head].dispatched > lane->free ? lane->fifo[lane->head].dispatched
									      : lane->free;
			if (!waits_ready(run, t, &lane->fifo[lane->head].insn, &time))
				continue;
			if (!found || time < *start) {
				found = true;
				*tile = t;
				*pipe = p;
				*start = time;
			}
		}
	return found;
}

/* Sequencers as far as they get. 0, -EFAULT, -ECANCELED. */
static int run_sequencers(struct run *run)
{
	for (unsigned int t = 0; t < run->header.num_tiles; t++) {
		int err;

		while ((err = sequence(run, t)) != 0) {
			if (err < 0)
				return err;
			/* A loop without work in it must end as well. */
			if (run->job->watchdog && run->tiles[t].seq.time > run->job->watchdog)
				return fault(run, AXL_CAUSE_WATCHDOG, t, run->tiles[t].seq.at, NULL);
			if (!may_go_on(run))
				return -ECANCELED;
		}
	}
	return 0;
}

/* Nothing can start any more: 0 at the end of all streams, -EINTR when all stand at the YIELD, else a fault. */
static int run_out(struct run *run)
{
	uint32_t yields = run->tiles[0].seq.yields;
	bool parked = run->tiles[0].seq.parked;

	for (unsigned int t = 0; t < run->header.num_tiles; t++)
		for (unsigned int p = 0; p < AXL_NUM_PIPES; p++)
			if (run->tiles[t].lanes[p].count)
				return fault(run, AXL_CAUSE_DEADLOCK, t,
					     run->tiles[t].lanes[p].fifo[run->tiles[t].lanes[p].head].offset,
					     &run->tiles[t].lanes[p].fifo[run->tiles[t].lanes[p].head].insn);
	for (unsigned int t = 1; t < run->header.num_tiles; t++)
		if (run->tiles[t].seq.yields != yields || run->tiles[t].seq.parked != parked)
			return fault(run, AXL_CAUSE_YIELD, t, run->tiles[t].seq.at, NULL);
	return parked ? -EINTR : 0;
}

static int run_loop(struct run *run)
{
	for (;;) {
		unsigned int tile = 0, pipe = 0;
		uint64_t start = 0;
		int err = run_sequencers(run);

		if (err)
			return err;
		if (!choose(run, &tile, &pipe, &start))
			return run_out(run);
		if (run->job->watchdog && start > run->job->watchdog)
			return fault(run, AXL_CAUSE_WATCHDOG, tile,
				     run->tiles[tile].lanes[pipe].fifo[run->tiles[tile].lanes[pipe].head].offset,
				     &run->tiles[tile].lanes[pipe].fifo[run->tiles[tile].lanes[pipe].head].insn);
		err = execute(run, tile, pipe, start);
		if (err)
			return err;
		if (!may_go_on(run))
			return -ECANCELED;
	}
}

/* The cycles of a pipe add up to those of the run. */
static void close_accounts(struct run *run)
{
	for (unsigned int t = 0; t < run->header.num_tiles; t++)
		for (unsigned int p = 0; p < AXL_NUM_PIPES; p++)
			if (run->tiles[t].lanes[p].accounted < run->end)
				account(run, t, p, AXL_STALL_EMPTY, run->end - run->tiles[t].lanes[p].accounted);
}

/* An execution from its first piece to its last. @stats: as of its last piece. */
struct engine_state {
	struct axl_exec_stats stats;
	struct run run; /* its tiles are behind it */
};

void engine_state_destroy(struct engine_state *state)
{
	struct run *run;

	if (!state)
		return;
	run = &state->run;
	for (unsigned int t = 0; t < run->config->tiles; t++)
		for (int s = 0; s < AXL_LOCAL_SEMS; s++)
			free_semaphore(&run->tiles[t].local[s]);
	for (int s = 0; s < AXL_GLOBAL_SEMS; s++)
		free_semaphore(&run->global[s]);
	race_destroy(run->race);
	free(state);
}

/* The pipes are empty: everybody goes on together, from the end of the last piece. */
static void resume(struct run *run)
{
	for (unsigned int t = 0; t < run->header.num_tiles; t++) {
		run->tiles[t].seq.parked = false;
		if (run->tiles[t].seq.time < run->end)
			run->tiles[t].seq.time = run->end;
	}
	run->suspend_at = 0;
	if (run->race)
		race_resume(run->race);
}

static int begin(struct run *run)
{
	int err = check_header(run);

	if (err) {
		run->header.num_tiles = 0; /* nothing ran */
		return err;
	}
	if (run->job->race_check) {
		run->race = race_create(run->engine->memory, run->engine->config.tiles);
		if (!run->race)
			return -ENOMEM;
	}
	return 0;
}

static struct engine_state *create_state(const struct engine *engine)
{
	struct engine_state *state = malloc(sizeof(*state) + engine->config.tiles * sizeof(struct tile));

	if (!state)
		return NULL;
	memset(state, 0, sizeof(*state));
	for (unsigned int t = 0; t < engine->config.tiles; t++) {
		struct tile *tile = &state->run.tiles[t];

		memset(tile, 0, offsetof(struct tile, fifos));
		for (int p = 0; p < AXL_NUM_PIPES; p++)
			tile->lanes[p].fifo = tile->fifos[p];
	}
	return state;
}

int engine_run(struct engine *engine, const struct engine_job *job, struct engine_state **state,
	       struct axl_exec_stats *stats, struct engine_fault *fault)
{
	struct engine_state *s = *state ? *state : create_state(engine);
	struct run *run = &s->run;
	int err = 0;

	memset(stats, 0, sizeof(*stats));
	memset(fault, 0, sizeof(*fault));
	if (!s)
		return -ENOMEM;
	run->engine = engine;
	run->config = &engine->config;
	run->memory = engine->memory;
	run->job = job;
	run->stats = &s->stats;
	run->fault = fault;
	engine->cycles = run->end;
	if (*state)
		resume(run);
	else
		err = begin(run);
	if (!err)
		err = run_loop(run);
	run->end = engine->cycles = own_cycles(run);
	if (err == -EINTR)
		s->stats.preemptions++;
	else
		close_accounts(run);
	s->stats.start = job->start;
	s->stats.end = job->start + (job->timing ? run->end : 0);
	*stats = s->stats;
	*state = err == -EINTR ? s : NULL;
	if (err != -EINTR)
		engine_state_destroy(s);
	return err;
}
