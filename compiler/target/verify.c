/* SPDX-License-Identifier: MIT */
/*
 * See verify.h. Two passes over the streams:
 *
 * 1. Each tile's sequencer is run alone: format, bounds, loops; the result is a list of operations by lane (pipe of a
 * tile).
 * 2. The lanes are run against each other as far as their semaphores allow, in any order: a wait takes what signals
 * have given. What is left over is a deadlock. While running, every operation carries a vector clock; bytes remember
 * their last writer and readers, and an access that is not ordered after them is a race.
 *
 * Happens-before through a semaphore: signals and waits of one semaphore are matched in order. That is exact when one
 * lane signals it and one lane waits for it; a semaphore with several lanes on a side is refused as not provable
 * (VERIFY_RACE names it).
 */
#include "compiler/target/verify.h"
#include "compiler/target/verify_runs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_access.h>

#include "compiler/target/segments.h"

#define LANES (AXL_MAX_TILES * AXL_NUM_PIPES)
#define SEMS (AXL_MAX_TILES * AXL_LOCAL_SEMS + AXL_GLOBAL_SEMS)
#define NO_LANE 0xff

/* One operation in a lane. @insn: its bytes in the buffer; @epoch: YIELDs before it. @bases: of its stream, for
 * transfers. */
struct operation {
	const uint8_t *bytes;
	uint32_t offset;
	uint32_t epoch;
	uint64_t base;   /* of a transfer's region register, when the sequencer read it */
	uint32_t *clock; /* when it ended */
};

struct lane {
	struct operation *operations;
	size_t count, capacity, done;
};

/* A semaphore's history: one signalling and one waiting lane; end clocks of the signals in order. */
struct semaphore {
	uint8_t signaller, waiter;
	uint32_t value;
	struct {
		uint32_t total; /* cumulative count after this signal */
		uint32_t position;
	} * signals;
	size_t count, capacity;
	uint32_t taken;
};

struct verifier {
	const uint8_t *code;
	uint64_t size;
	struct axl_cmdbuf header;
	const struct target *target;
	unsigned int num_regions;
	const struct verify_region *regions;
	uint64_t max_instructions, instructions;
	struct verify_report *report;
	unsigned int lanes;
	struct lane lane[LANES];
	struct semaphore sems[SEMS];
	struct segments spad[AXL_MAX_TILES], acc[AXL_MAX_TILES], memory[AXL_NUM_BASES];
	uint32_t yields[AXL_MAX_TILES];
};

static int __attribute__((format(printf, 5, 6)))
finding(struct verifier *v, enum verify_rule rule, unsigned int tile, uint32_t offset, const char *format, ...)
{
	va_list args;

	v->report->rule = rule;
	v->report->tile = tile;
	v->report->offset = offset;
	va_start(args, format);
	vsnprintf(v->report->text, sizeof(v->report->text), format, args);
	va_end(args);
	return -EINVAL;
}

/* ---- format and bounds ---- */

static const struct {
	uint8_t slots, pipe;
	bool known;
} opcodes[256] = {
#define AXL_PIPE_ANY AXL_PIPE_SEQ
#define OPCODE_ROW(name, number, format, pipe, slots, text) [number] = {slots, AXL_PIPE_##pipe, true},
	AXL_OPCODES(OPCODE_ROW)
#undef OPCODE_ROW
#undef AXL_PIPE_ANY
};

static bool all_zero(const uint8_t *bytes, size_t count)
{
	while (count--)
		if (*bytes++)
			return false;
	return true;
}

/* Kinds of fields that say "reserved": checked for zero by walking the field lists. */
static bool reserved_zero(const union axl_insn *insn)
{
	enum {
		ZERO = 1,
		ADDR = 0,
		ACC = 0,
		STRIDE = 0,
		COUNT = 0,
		TYPE = 0,
		ENUM = 0,
		FLAGS = 0,
		INT = 0,
		FLOAT = 0,
		BASE = 0,
		TILES = 0
	};
#define CHECK(ctype, name, n, kind)                                          \
	if (kind && !all_zero((const uint8_t *)&at->name, sizeof(at->name))) \
		return false;
#define WALK(member, FIELDS)                                        \
	{                                                           \
		const __typeof__(insn->member) *at = &insn->member; \
		FIELDS(CHECK)                                       \
		return true;                                        \
	}
	switch (insn->header.opcode) {
	case AXL_OP_LOOP:
		WALK(loop, AXL_FIELDS_LOOP)
	case AXL_OP_ADDBASE:
		WALK(addbase, AXL_FIELDS_ADDBASE)
	case AXL_OP_LOAD:
	case AXL_OP_STORE:
		WALK(dma, AXL_FIELDS_DMA)
	case AXL_OP_CONV:
	case AXL_OP_DWCONV:
		WALK(conv, AXL_FIELDS_CONV)
	case AXL_OP_DRAIN:
		WALK(drain, AXL_FIELDS_DRAIN)
	case AXL_OP_VEC:
		WALK(vec, AXL_FIELDS_VEC)
	default:
		WALK(none, AXL_FIELDS_NONE)
	}
#undef WALK
#undef CHECK
}

static int check_format(struct verifier *v, unsigned int tile, uint32_t offset, const union axl_insn *insn)
{
	const struct axl_header *header = &insn->header;

	if (!opcodes[header->opcode].known || header->slots != opcodes[header->opcode].slots)
		return finding(v, VERIFY_FORMAT, tile, offset, "opcode 0x%02x with %u slots", header->opcode,
			       header->slots);
	if (header->opcode == AXL_OP_SYNC   ? header->pipe == AXL_PIPE_SEQ || header->pipe >= AXL_NUM_PIPES
	    : header->opcode == AXL_OP_LOAD ? header->pipe != AXL_PIPE_LOAD && header->pipe != AXL_PIPE_WEIGHT
					    : header->pipe != opcodes[header->opcode].pipe)
		return finding(v, VERIFY_FORMAT, tile, offset, "pipe %u for opcode 0x%02x", header->pipe,
			       header->opcode);
	if (header->flags || header->reserved || !reserved_zero(insn))
		return finding(v, VERIFY_FORMAT, tile, offset, "reserved bits are set");
	for (int i = 0; i < 2; i++) {
		if (header->wait[i].sem >= AXL_LOCAL_SEMS + AXL_GLOBAL_SEMS ||
		    header->signal[i].sem >= AXL_LOCAL_SEMS + AXL_GLOBAL_SEMS ||
		    (!header->wait[i].count && header->wait[i].sem) ||
		    (!header->signal[i].count && header->signal[i].sem))
			return finding(v, VERIFY_FORMAT, tile, offset, "semaphore of wait or signal %d", i);
		if (header->pipe == AXL_PIPE_SEQ && (header->wait[i].count || header->signal[i].count))
			return finding(v, VERIFY_FORMAT, tile, offset, "a sequencer instruction with semaphores");
	}
	return 0;
}

static uint64_t address_of(const union axl_insn *insn, int place)
{
	int field = access_field(insn->header.opcode, place);
	uint32_t value;

	if (field < 0)
		return 0;
	memcpy(&value, insn->bytes + field, sizeof(value));
	return value;
}

/* Absolute range of an access; false when it wraps or is empty. */
static bool absolute(const union axl_insn *insn, const struct access *access, uint64_t base, uint64_t *lo, uint64_t *hi)
{
	__int128 at = access->space == ACCESS_MEMORY ? (__int128)base + (__int128)insn->dma.offset
						     : (__int128)address_of(insn, access->place);

	if (access->hi <= access->lo)
		return false;
	*lo = at + access->lo < 0 ? UINT64_MAX : (uint64_t)(at + access->lo);
	*hi = at + access->hi < 0 || at + access->hi > INT64_MAX ? UINT64_MAX : (uint64_t)(at + access->hi);
	return true;
}

static int check_bounds(struct verifier *v, unsigned int tile, uint32_t offset, const union axl_insn *insn,
			uint64_t base)
{
	struct access list[ACCESS_MAX];
	size_t count = access_list(insn, list);
	bool transfer = insn->header.opcode == AXL_OP_LOAD || insn->header.opcode == AXL_OP_STORE;

	if (transfer && insn->dma.base >= v->num_regions)
		return finding(v, VERIFY_BOUNDS, tile, offset, "base register %u has no region", insn->dma.base);
	if (transfer && insn->dma.tiles >> v->header.num_tiles)
		return finding(v, VERIFY_BOUNDS, tile, offset, "multicast to tiles that the buffer does not have");
	for (size_t i = 0; i < count; i++) {
		uint64_t limit = list[i].space == ACCESS_SPAD  ? v->header.spad_bytes
				 : list[i].space == ACCESS_ACC ? v->header.acc_bytes
							       : v->regions[insn->dma.base].bytes;
		uint64_t lo, hi;

		if (!absolute(insn, &list[i], base, &lo, &hi))
			continue;
		if (lo > hi || hi > limit)
			return finding(v, VERIFY_BOUNDS, tile, offset, "operand %d: bytes %llu to %llu of %llu",
				       list[i].place, (unsigned long long)lo, (unsigned long long)hi,
				       (unsigned long long)limit);
		if (list[i].space != ACCESS_MEMORY && address_of(insn, list[i].place) % list[i].align)
			return finding(v, VERIFY_FORMAT, tile, offset, "operand %d is not aligned", list[i].place);
		if (list[i].space == ACCESS_MEMORY && list[i].write && !v->regions[insn->dma.base].writable)
			return finding(v, VERIFY_BOUNDS, tile, offset, "a store to region %u, which is read-only",
				       insn->dma.base);
	}
	return 0;
}

/* ---- the sequencer ---- */

static int add_operation(struct verifier *v, unsigned int tile, uint32_t offset, const union axl_insn *insn,
			 uint32_t epoch, uint64_t base)
{
	struct lane *lane = &v->lane[tile * AXL_NUM_PIPES + insn->header.pipe];

	if (lane->count == lane->capacity) {
		size_t capacity = lane->capacity * 2 + 256;
		struct operation *grown = realloc(lane->operations, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		lane->operations = grown;
		lane->capacity = capacity;
	}
	lane->operations[lane->count++] =
		(struct operation){.bytes = v->code + offset, .offset = offset, .epoch = epoch, .base = base};
	return 0;
}

static void read_insn(const struct verifier *v, uint32_t offset, union axl_insn *insn)
{
	memset(insn, 0, sizeof(*insn));
	memcpy(insn, v->code + offset, AXL_SLOT_BYTES);
	if (insn->header.slots == 2)
		memcpy(insn, v->code + offset, 2 * AXL_SLOT_BYTES);
}

static int run_stream(struct verifier *v, unsigned int tile)
{
	uint32_t at = v->header.streams[tile].offset, end = at + v->header.streams[tile].size, epoch = 0;
	struct {
		uint32_t start, left;
	} loops[AXL_LOOP_DEPTH];
	uint64_t bases[AXL_NUM_BASES] = {0};
	int depth = 0, err;

	for (;;) {
		union axl_insn insn;
		uint32_t offset = at;

		if (at + AXL_SLOT_BYTES > end || (v->code[at + 1] == 2 && at + 2 * AXL_SLOT_BYTES > end))
			return finding(v, VERIFY_FORMAT, tile, at, "the stream ends without END");
		if (++v->instructions > v->max_instructions)
			return finding(v, VERIFY_LIMIT, tile, at, "more than %llu instructions",
				       (unsigned long long)v->max_instructions);
		read_insn(v, at, &insn);
		err = check_format(v, tile, offset, &insn);
		if (err)
			return err;
		at += insn.header.slots * AXL_SLOT_BYTES;
		switch (insn.header.opcode) {
		case AXL_OP_END:
			v->yields[tile] = epoch;
			if (depth)
				return finding(v, VERIFY_FORMAT, tile, offset, "END inside a loop");
			return at == end ? 0
					 : finding(v, VERIFY_FORMAT, tile, offset, "END before the end of the stream");
		case AXL_OP_YIELD:
			epoch++;
			continue;
		case AXL_OP_LOOP:
			if (depth == AXL_LOOP_DEPTH || !insn.loop.count)
				return finding(v, VERIFY_FORMAT, tile, offset, "loop nested too deep, or of count 0");
			loops[depth].start = at;
			loops[depth++].left = insn.loop.count;
			continue;
		case AXL_OP_ENDLOOP:
			if (!depth)
				return finding(v, VERIFY_FORMAT, tile, offset, "ENDLOOP without LOOP");
			if (--loops[depth - 1].left)
				at = loops[depth - 1].start;
			else
				depth--;
			continue;
		case AXL_OP_ADDBASE:
			if (insn.addbase.reg >= v->num_regions)
				return finding(v, VERIFY_FORMAT, tile, offset, "base register %u", insn.addbase.reg);
			bases[insn.addbase.reg] += (uint64_t)insn.addbase.value;
			continue;
		default:
			break;
		}
		{
			bool transfer = insn.header.opcode == AXL_OP_LOAD || insn.header.opcode == AXL_OP_STORE;
			uint64_t base = transfer && insn.dma.base < AXL_NUM_BASES ? bases[insn.dma.base] : 0;

			err = check_bounds(v, tile, offset, &insn, base);
			if (!err)
				err = add_operation(v, tile, offset, &insn, epoch, base);
			if (err)
				return err;
		}
	}
}

/* ---- semaphores ---- */

static struct semaphore *semaphore_of(struct verifier *v, unsigned int tile, unsigned int sem)
{
	return sem < AXL_LOCAL_SEMS ? &v->sems[tile * AXL_LOCAL_SEMS + sem]
				    : &v->sems[AXL_MAX_TILES * AXL_LOCAL_SEMS + sem - AXL_LOCAL_SEMS];
}

static int signal_one(struct verifier *v, unsigned int lane, unsigned int tile, const struct axl_sem_op *op,
		      uint32_t position, uint32_t offset)
{
	struct semaphore *sem = semaphore_of(v, tile, op->sem);

	if (sem->signaller != NO_LANE && sem->signaller != lane)
		return finding(v, VERIFY_RACE, tile, offset,
			       "semaphore %u is signalled by several pipes: order can not be proved", op->sem);
	sem->signaller = (uint8_t)lane;
	if (sem->count == sem->capacity) {
		size_t capacity = sem->capacity * 2 + 32;
		void *grown = realloc(sem->signals, capacity * sizeof(*sem->signals));

		if (!grown)
			return -ENOMEM;
		sem->signals = grown;
		sem->capacity = capacity;
	}
	sem->value += op->count;
	if (sem->value > AXL_SEM_MAX)
		return finding(v, VERIFY_DEADLOCK, tile, offset, "semaphore %u can pass its maximum", op->sem);
	sem->signals[sem->count].total = (sem->count ? sem->signals[sem->count - 1].total : 0) + op->count;
	sem->signals[sem->count++].position = position;
	return 0;
}

/* The signals of an operation; a multicast LOAD's local ones go to every tile of its mask. */
static int signal_all(struct verifier *v, unsigned int lane, const union axl_insn *insn, uint32_t position,
		      uint32_t offset)
{
	unsigned int own = lane / AXL_NUM_PIPES;
	uint8_t tiles = (uint8_t)(1u << own);

	if (insn->header.opcode == AXL_OP_LOAD && insn->dma.tiles)
		tiles = insn->dma.tiles;
	for (int i = 0; i < 2; i++) {
		const struct axl_sem_op *op = &insn->header.signal[i];
		int err = 0;

		if (!op->count)
			continue;
		if (op->sem >= AXL_LOCAL_SEMS)
			err = signal_one(v, lane, own, op, position, offset);
		for (unsigned int tile = 0; tile < v->header.num_tiles && op->sem < AXL_LOCAL_SEMS && !err; tile++)
			if (tiles >> tile & 1)
				err = signal_one(v, lane, tile, op, position, offset);
		if (err)
			return err;
	}
	return 0;
}

static bool can_start(struct verifier *v, unsigned int tile, const union axl_insn *insn)
{
	const struct axl_sem_op *wait = insn->header.wait;

	/* Two waits for one semaphore need the sum. */
	if (wait[0].count && wait[1].count && wait[0].sem == wait[1].sem)
		return semaphore_of(v, tile, wait[0].sem)->value >= (uint32_t)wait[0].count + wait[1].count;
	for (int i = 0; i < 2; i++)
		if (wait[i].count && semaphore_of(v, tile, wait[i].sem)->value < wait[i].count)
			return false;
	return true;
}

/* Take what the waits take; the clock learns what the matched signals knew. */
static int take_waits(struct verifier *v, unsigned int lane, const union axl_insn *insn, uint32_t *clock,
		      uint32_t offset)
{
	unsigned int tile = lane / AXL_NUM_PIPES;

	for (int i = 0; i < 2; i++) {
		const struct axl_sem_op *op = &insn->header.wait[i];
		struct semaphore *sem = semaphore_of(v, tile, op->sem);
		size_t low = 0, high = sem->count;

		if (!op->count)
			continue;
		if (sem->waiter != NO_LANE && sem->waiter != lane)
			return finding(v, VERIFY_RACE, tile, offset,
				       "semaphore %u is waited for by several pipes: order can not be proved", op->sem);
		sem->waiter = (uint8_t)lane;
		sem->value -= op->count;
		sem->taken += op->count;
		while (low < high) { /* first signal whose total reaches what was taken */
			size_t middle = (low + high) / 2;

			if (sem->signals[middle].total < sem->taken)
				low = middle + 1;
			else
				high = middle;
		}
		{
			const uint32_t *known =
				v->lane[sem->signaller].operations[sem->signals[low].position - 1].clock;

			for (unsigned int l = 0; l < v->lanes; l++)
				clock[l] = known[l] > clock[l] ? known[l] : clock[l];
		}
	}
	return 0;
}

/* ---- who touched what ---- */

static int race(struct verifier *v, unsigned int lane, uint32_t offset, unsigned int other_lane, uint32_t position,
		const char *what)
{
	v->report->other_offset = v->lane[other_lane].operations[position - 1].offset;
	v->report->other_tile = other_lane / AXL_NUM_PIPES;
	return finding(v, VERIFY_RACE, lane / AXL_NUM_PIPES, offset,
		       "%s the instruction at %u of tile %u without order between them", what, v->report->other_offset,
		       v->report->other_tile);
}

/*
 * One access of an operation whose clock is @clock; @reads: the bytes of the range that have to be there, NULL where reading
 * what nobody wrote is fine.
 */
static int touch(struct verifier *v, struct segments *space, uint64_t lo, uint64_t hi, bool write, unsigned int lane,
		 uint32_t position, const struct operation *operation, const uint32_t *clock,
		 const struct verify_runs *reads)
{
	struct segment_cursor cursor;
	struct segment *segment;

	if (lo >= hi)
		return 0;
	if (segments_cut(space, lo, hi, &cursor))
		return -ENOMEM;
	while ((segment = segments_next(space, &cursor, hi))) {
		if (segment->writer && segment->writer_lane != lane && clock[segment->writer_lane] < segment->writer)
			return race(v, lane, operation->offset, segment->writer_lane, segment->writer,
				    write ? "overwrites what was written by" : "reads what is written by");
		if (!write) {
			bool needed = reads && !verify_runs_miss(reads, segment->lo - lo, segment->hi - lo);

			if (needed && !segment->writer)
				return finding(v, VERIFY_UNINITIALIZED, lane / AXL_NUM_PIPES, operation->offset,
					       "bytes %llu to %llu are read before anything wrote them",
					       (unsigned long long)segment->lo, (unsigned long long)segment->hi);
			if (needed && segment->epoch != operation->epoch)
				return finding(v, VERIFY_YIELD, lane / AXL_NUM_PIPES, operation->offset,
					       "bytes %llu to %llu were written before a preemption point",
					       (unsigned long long)segment->lo, (unsigned long long)segment->hi);
			segment->readers[lane] = position;
			continue;
		}
		for (unsigned int l = 0; l < v->lanes; l++)
			if (l != lane && clock[l] < segment->readers[l])
				return race(v, lane, operation->offset, l, segment->readers[l],
					    "overwrites what is read by");
	}
	if (write) {
		segment = segments_join(space, lo, hi);
		segment->writer = position;
		segment->writer_lane = lane;
		segment->epoch = operation->epoch;
	}
	return 0;
}

/* What a transfer touches of memory at @base, run by run; its bounds have been checked. */
static int touch_memory(struct verifier *v, const struct axl_dma *dma, uint64_t base, bool write, unsigned int lane,
			uint32_t position, const struct operation *operation, const uint32_t *clock)
{
	int64_t starts[ACCESS_MAX_RUNS];
	size_t count;
	uint64_t run = access_memory_runs(dma, starts, &count);
	int err = 0;

	for (size_t i = 0; i < count && run && !err; i++) {
		uint64_t lo = base + (uint64_t)starts[i];

		err = touch(v, &v->memory[dma->base], lo, lo + run, write, lane, position, operation, clock, NULL);
	}
	return err;
}

static int touch_all(struct verifier *v, unsigned int lane, uint32_t position, const struct operation *operation,
		     const union axl_insn *insn, const uint32_t *clock)
{
	struct access list[ACCESS_MAX];
	size_t count = access_list(insn, list);
	unsigned int own = lane / AXL_NUM_PIPES;
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < count; i++) {
			struct segments *space = list[i].space == ACCESS_SPAD  ? &v->spad[own]
						 : list[i].space == ACCESS_ACC ? &v->acc[own]
									       : &v->memory[insn->dma.base];
			uint64_t lo, hi;
			int err = 0;

			if (list[i].write != (pass == 1) || !absolute(insn, &list[i], operation->base, &lo, &hi))
				continue;
			if (list[i].space == ACCESS_MEMORY && !v->regions[insn->dma.base].writable)
				continue; /* nobody writes it */
			if (list[i].space == ACCESS_MEMORY && !(insn->dma.dma_flags & AXL_DMA_GATHER)) {
				err = touch_memory(v, &insn->dma, operation->base + insn->dma.offset, list[i].write,
						   lane, position, operation, clock);
				if (err)
					return err;
				continue;
			}
			if (list[i].write && list[i].space == ACCESS_SPAD && insn->header.opcode == AXL_OP_LOAD &&
			    insn->dma.tiles) {
				for (unsigned int tile = 0; tile < v->header.num_tiles && !err; tile++)
					if (insn->dma.tiles >> tile & 1)
						err = touch(v, &v->spad[tile], lo, hi, true, lane, position, operation,
							    clock, NULL);
			} else {
				struct verify_runs reads = verify_runs_of(insn, list[i].place);
				bool all = list[i].write || list[i].space == ACCESS_MEMORY;

				err = touch(v, space, lo, hi, list[i].write, lane, position, operation, clock,
					    all ? NULL : &reads);
			}
			if (err)
				return err;
		}
	return 0;
}

/* ---- running ---- */

static int run_operation(struct verifier *v, unsigned int index)
{
	struct lane *lane = &v->lane[index];
	struct operation *operation = &lane->operations[lane->done];
	uint32_t position = (uint32_t)lane->done + 1;
	union axl_insn insn;
	int err;

	read_insn(v, operation->offset, &insn);
	operation->clock = calloc(v->lanes, sizeof(*operation->clock));
	if (!operation->clock)
		return -ENOMEM;
	if (lane->done)
		memcpy(operation->clock, lane->operations[lane->done - 1].clock, v->lanes * sizeof(*operation->clock));
	err = take_waits(v, index, &insn, operation->clock, operation->offset);
	if (!err)
		err = touch_all(v, index, position, operation, &insn, operation->clock);
	operation->clock[index] = position;
	if (!err)
		err = signal_all(v, index, &insn, position, operation->offset);
	lane->done++;
	return err;
}

static int run_lanes(struct verifier *v)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (unsigned int index = 0; index < v->lanes; index++) {
			struct lane *lane = &v->lane[index];

			while (lane->done < lane->count) {
				union axl_insn insn;
				int err;

				read_insn(v, lane->operations[lane->done].offset, &insn);
				if (!can_start(v, index / AXL_NUM_PIPES, &insn))
					break;
				err = run_operation(v, index);
				if (err)
					return err;
				moved = true;
			}
		}
	}
	for (unsigned int index = 0; index < v->lanes; index++)
		if (v->lane[index].done < v->lane[index].count)
			return finding(v, VERIFY_DEADLOCK, index / AXL_NUM_PIPES,
				       v->lane[index].operations[v->lane[index].done].offset,
				       "waits for a signal that never comes");
	for (unsigned int s = 0; s < SEMS; s++)
		if (v->sems[s].value)
			return finding(v, VERIFY_LEFTOVER, 0, 0, "semaphore %u of tile %u ends at %u",
				       s < AXL_MAX_TILES * AXL_LOCAL_SEMS
					       ? s % AXL_LOCAL_SEMS
					       : s - AXL_MAX_TILES * AXL_LOCAL_SEMS + AXL_LOCAL_SEMS,
				       s < AXL_MAX_TILES * AXL_LOCAL_SEMS ? s / AXL_LOCAL_SEMS : 0, v->sems[s].value);
	return 0;
}

static int check_header(struct verifier *v)
{
	const struct axl_cmdbuf *header = &v->header;

	if (v->size < sizeof(*header) || v->size > UINT32_MAX)
		return finding(v, VERIFY_FORMAT, 0, 0, "%llu bytes are no command buffer", (unsigned long long)v->size);
	memcpy(&v->header, v->code, sizeof(v->header));
	if (header->magic != AXL_CMDBUF_MAGIC || header->version != AXL_ISA_VERSION || header->flags ||
	    header->size != v->size || !all_zero((const uint8_t *)header->reserved, sizeof(header->reserved)))
		return finding(v, VERIFY_FORMAT, 0, 0, "magic, version, flags, size or reserved bytes of the header");
	if (!header->num_tiles || header->num_tiles > AXL_MAX_TILES || header->num_tiles > v->target->tiles)
		return finding(v, VERIFY_FORMAT, 0, 0, "%u tiles, the target has %u", header->num_tiles,
			       v->target->tiles);
	if (header->spad_bytes > v->target->spad_bytes || header->acc_bytes > v->target->acc_bytes)
		return finding(v, VERIFY_BOUNDS, 0, 0, "needs more scratchpad or accumulators than the target has");
	if (header->num_bases != v->num_regions || header->num_bases > AXL_NUM_BASES)
		return finding(v, VERIFY_BOUNDS, 0, 0, "%u base registers for %u regions", header->num_bases,
			       v->num_regions);
	for (unsigned int tile = 0; tile < AXL_MAX_TILES; tile++) {
		uint32_t offset = header->streams[tile].offset, size = header->streams[tile].size;

		if (tile >= header->num_tiles
			    ? offset || size
			    : offset < sizeof(*header) || offset % AXL_SLOT_BYTES || !size || size % AXL_SLOT_BYTES ||
				      offset > v->size || size > v->size - offset)
			return finding(v, VERIFY_FORMAT, tile, 0, "stream at %u of %u bytes", offset, size);
	}
	return 0;
}

static int verify(struct verifier *v)
{
	int err = check_header(v);

	if (err)
		return err;
	v->lanes = v->header.num_tiles * AXL_NUM_PIPES;
	for (int tile = 0; tile < AXL_MAX_TILES; tile++)
		v->spad[tile].lanes = v->acc[tile].lanes = v->lanes;
	for (int r = 0; r < AXL_NUM_BASES; r++)
		v->memory[r].lanes = v->lanes;
	for (unsigned int tile = 0; tile < v->header.num_tiles && !err; tile++) {
		err = run_stream(v, tile);
		if (!err && v->yields[tile] != v->yields[0])
			err = finding(v, VERIFY_YIELD, tile, 0, "%u preemption points, tile 0 has %u", v->yields[tile],
				      v->yields[0]);
	}
	return err ? err : run_lanes(v);
}

int verify_command_buffer(const void *code, uint64_t size, const struct target *target, unsigned int num_regions,
			  const struct verify_region *regions, const struct verify_limits *limits,
			  struct verify_report *report)
{
	struct verifier *v = calloc(1, sizeof(*v));
	int err;

	memset(report, 0, sizeof(*report));
	report->other_offset = ~0u;
	if (!v)
		return -ENOMEM;
	v->code = code;
	v->size = size;
	v->target = target;
	v->num_regions = num_regions;
	v->regions = regions;
	v->max_instructions = limits->max_instructions ? limits->max_instructions : 4000000;
	v->report = report;
	for (unsigned int s = 0; s < SEMS; s++)
		v->sems[s].signaller = v->sems[s].waiter = NO_LANE;
	err = verify(v);
	for (unsigned int l = 0; l < LANES; l++) {
		for (size_t i = 0; i < v->lane[l].done; i++)
			free(v->lane[l].operations[i].clock);
		free(v->lane[l].operations);
	}
	for (unsigned int s = 0; s < SEMS; s++)
		free(v->sems[s].signals);
	for (unsigned int tile = 0; tile < AXL_MAX_TILES; tile++) {
		segments_finish(&v->spad[tile]);
		segments_finish(&v->acc[tile]);
	}
	for (unsigned int r = 0; r < AXL_NUM_BASES; r++)
		segments_finish(&v->memory[r]);
	free(v);
	return err;
}
