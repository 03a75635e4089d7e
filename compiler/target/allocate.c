/* SPDX-License-Identifier: MIT */
/*
 * Addresses for the buffers of a program.
 *
 * Scratchpad and accumulators: in program order, next-fit, so that consecutive buffers of a loop land in different
 * places and the pipes can run ahead; on several tiles rather what was idle for longest, where next-fit meets what was
 * in use just before; a buffer that lives long is put at the other end, where it does not split what is left. Where
 * accumulators of several sizes do not fit that way, they take the two ends in turn. The arena: all lifetimes are known,
 * so the largest buffers go first, each at the lowest address that is free
 * for its whole life.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/target/program_internal.h"

#define ALIGN 64
#define LONG_LIFE 96 /* instructions of each tile */

struct span {
	uint64_t lo, hi;
	uint32_t buf;
};

/* Bytes that the same instruction used last. */
struct past {
	uint64_t lo, hi;
	size_t last;
};

/* Live buffers of one memory of one tile, by address, and what was there before, in no order. */
struct memory {
	struct span *spans;
	size_t count, capacity;
	uint64_t live;
	struct past *past;
	size_t num_past, max_past;
};

struct local {
	struct program *program;
	struct memory spad[AXL_MAX_TILES], acc[AXL_MAX_TILES];
	uint64_t next_spad[AXL_MAX_TILES], next_acc[AXL_MAX_TILES]; /* where the newest buffer of each ends */
	/* @ends: of accumulators; @high: the last one got the upper end; @full_acc: accumulators did not fit, not spad */
	bool first_fit, ends, high[AXL_MAX_TILES], full_acc;
};

static uint64_t align_up(uint64_t value)
{
	return (value + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
}

static struct memory *memory_of(struct local *local, const struct buffer *buffer, unsigned int tile)
{
	return buffer->space == PROGRAM_ACC ? &local->acc[tile] : &local->spad[tile];
}

/* End of the span that overlaps [lo, lo + size) in any tile of the buffer; 0: none does. *below gets that span's start.
 */
static uint64_t conflict(struct local *local, const struct buffer *buffer, uint64_t lo, uint64_t size, uint64_t *below)
{
	for (unsigned int tile = 0; tile < AXL_MAX_TILES; tile++) {
		const struct memory *memory = memory_of(local, buffer, tile);

		if (!(buffer->tiles >> tile & 1))
			continue;
		for (size_t i = 0; i < memory->count; i++)
			if (memory->spans[i].lo < lo + size && memory->spans[i].hi > lo) {
				*below = memory->spans[i].lo;
				return memory->spans[i].hi;
			}
	}
	return 0;
}

static bool find_up(struct local *local, const struct buffer *buffer, uint64_t from, uint64_t end, uint64_t size,
		    uint64_t *address)
{
	uint64_t lo = from, below;

	while (lo + size <= end) {
		uint64_t next = conflict(local, buffer, lo, size, &below);

		if (!next) {
			*address = lo;
			return true;
		}
		lo = next;
	}
	return false;
}

/* The latest use of [lo, lo + size) in the buffer's tiles. */
static size_t latest_use(struct local *local, const struct buffer *buffer, uint64_t lo, uint64_t size)
{
	size_t latest = 0;

	for (unsigned int tile = 0; tile < AXL_MAX_TILES; tile++) {
		const struct memory *memory = memory_of(local, buffer, tile);

		for (size_t i = 0; buffer->tiles >> tile & 1 && i < memory->num_past; i++)
			if (memory->past[i].lo < lo + size && memory->past[i].hi > lo && memory->past[i].last > latest)
				latest = memory->past[i].last;
	}
	return latest;
}

/*
 * On several tiles: at @from or above, unless that was in use shortly before; then where the bytes have been idle for
 * longest, so that weights are on their way before others are done. Tiles share memory: what one waits for comes later
 * for all.
 */
static bool find_idle(struct local *local, const struct buffer *buffer, uint64_t from, uint64_t end, uint64_t size,
		      uint64_t *address)
{
	size_t best = SIZE_MAX;
	uint64_t below;

	if (find_up(local, buffer, from, end, size, address))
		best = latest_use(local, buffer, *address, size);
	if (best != SIZE_MAX && best + LONG_LIFE / 2 * local->program->target.tiles < buffer->first)
		return true;
	for (unsigned int tile = 0; tile < AXL_MAX_TILES; tile++) {
		const struct memory *memory = memory_of(local, buffer, tile);

		for (size_t i = 0; buffer->tiles >> tile & 1 && i < memory->num_past; i++) {
			uint64_t lo = memory->past[i].lo;
			size_t latest;

			if (memory->past[i].last >= best || lo + size > end ||
			    conflict(local, buffer, lo, size, &below))
				continue;
			latest = latest_use(local, buffer, lo, size);
			if (latest < best) {
				best = latest;
				*address = lo;
			}
		}
	}
	return best != SIZE_MAX;
}

static bool find_down(struct local *local, const struct buffer *buffer, uint64_t end, uint64_t size, uint64_t *address)
{
	uint64_t lo, below;

	if (size > end)
		return false;
	for (lo = end - size;; lo = below - size) {
		if (!conflict(local, buffer, lo, size, &below)) {
			*address = lo;
			return true;
		}
		if (below < size)
			return false;
	}
}

/* The end of the accumulators that the last buffer did not get. */
static bool find_end(struct local *local, const struct buffer *buffer, uint64_t end, uint64_t size, uint64_t *address)
{
	uint64_t below;
	unsigned int tile = 0;

	while (!(buffer->tiles >> tile & 1))
		tile++;
	local->high[tile] = !local->high[tile];
	*address = local->high[tile] ? end - size : 0;
	return size <= end && !conflict(local, buffer, *address, size, &below);
}

static int insert(struct memory *memory, uint64_t lo, uint64_t size, uint32_t buf)
{
	size_t at = memory->count;

	if (memory->count == memory->capacity) {
		size_t capacity = memory->capacity * 2 + 32;
		struct span *grown = realloc(memory->spans, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		memory->spans = grown;
		memory->capacity = capacity;
	}
	for (; at > 0 && memory->spans[at - 1].lo > lo; at--)
		memory->spans[at] = memory->spans[at - 1];
	memory->spans[at] = (struct span){lo, lo + size, buf};
	memory->count++;
	memory->live += size;
	return 0;
}

static int add_past(struct memory *memory, struct past past)
{
	if (past.lo >= past.hi)
		return 0;
	if (memory->num_past == memory->max_past) {
		size_t capacity = memory->max_past * 2 + 32;
		struct past *grown = realloc(memory->past, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		memory->past = grown;
		memory->max_past = capacity;
	}
	memory->past[memory->num_past++] = past;
	return 0;
}

/* [lo, hi) was used by instruction @last: what was known of it before is forgotten. */
static int remember(struct memory *memory, uint64_t lo, uint64_t hi, size_t last)
{
	for (size_t i = 0; i < memory->num_past;) {
		struct past past = memory->past[i];
		int err;

		if (past.hi <= lo || past.lo >= hi) {
			i++;
			continue;
		}
		memory->past[i] = memory->past[--memory->num_past];
		err = add_past(memory, (struct past){past.lo, lo, past.last});
		if (!err)
			err = add_past(memory, (struct past){hi, past.hi, past.last});
		if (err)
			return err;
	}
	return add_past(memory, (struct past){lo, hi, last});
}

static int remove_span(struct memory *memory, uint32_t buf, size_t last)
{
	for (size_t i = 0; i < memory->count; i++)
		if (memory->spans[i].buf == buf) {
			int err = remember(memory, memory->spans[i].lo, memory->spans[i].hi, last);

			memory->live -= memory->spans[i].hi - memory->spans[i].lo;
			memmove(&memory->spans[i], &memory->spans[i + 1],
				(memory->count - i - 1) * sizeof(memory->spans[0]));
			memory->count--;
			return err;
		}
	return 0;
}

static int place(struct local *local, uint32_t buf)
{
	struct program *program = local->program;
	struct buffer *buffer = &program->buffers[buf];
	bool acc = buffer->space == PROGRAM_ACC;
	uint64_t capacity = acc ? program->target.acc_bytes : program->target.spad_bytes,
		 size = align_up(buffer->bytes);
	size_t long_life = (size_t)LONG_LIFE * program->target.tiles;
	uint64_t *next = acc ? local->next_acc : local->next_spad, from = 0, live = 0;
	bool found = false;

	size = size ? size : ALIGN;
	for (unsigned int tile = 0; tile < AXL_MAX_TILES; tile++)
		if (buffer->tiles >> tile & 1 && next[tile] > from)
			from = next[tile];
	if (!acc && (buffer->pinned || buffer->last - buffer->first > long_life))
		found = find_down(local, buffer, capacity, size, &buffer->address);
	else if (acc && local->ends)
		found = find_end(local, buffer, capacity, size, &buffer->address) ||
			find_end(local, buffer, capacity, size, &buffer->address) ||
			find_up(local, buffer, 0, capacity, size, &buffer->address);
	else
		found = (!local->first_fit && (program->target.tiles > 1 ? find_idle : find_up)(
						      local, buffer, from, capacity, size, &buffer->address)) ||
			find_up(local, buffer, 0, capacity, size, &buffer->address);
	for (unsigned int tile = 0; tile < AXL_MAX_TILES; tile++)
		if (buffer->tiles >> tile & 1 && memory_of(local, buffer, tile)->live > live)
			live = memory_of(local, buffer, tile)->live;
	local->full_acc = acc && !found;
	if (!found)
		return program_fail(program, -ENOSPC,
				    "buffer %s of %llu bytes does not fit: %llu of %llu bytes are in use", buffer->name,
				    (unsigned long long)size, (unsigned long long)live, (unsigned long long)capacity);
	for (unsigned int tile = 0; tile < AXL_MAX_TILES; tile++) {
		struct memory *memory = memory_of(local, buffer, tile);

		if (!(buffer->tiles >> tile & 1))
			continue;
		if ((buffer->last - buffer->first <= long_life && !buffer->pinned) || acc)
			next[tile] = buffer->address + size;
		if (insert(memory, buffer->address, size, buf))
			return program_fail(program, -ENOMEM, "out of memory");
		if (!acc && memory->live > program->stats.spad_bound)
			program->stats.spad_bound = memory->live;
	}
	if (acc && buffer->address + size > program->stats.acc_peak)
		program->stats.acc_peak = buffer->address + size;
	if (!acc && buffer->address + size > program->stats.spad_peak)
		program->stats.spad_peak = buffer->address + size;
	return 0;
}

static bool is_local(const struct buffer *buffer)
{
	return buffer->space == PROGRAM_SPAD || buffer->space == PROGRAM_ACC || buffer->space == PROGRAM_MULTICAST;
}

static void forget_all(struct local *local)
{
	for (unsigned int tile = 0; tile < AXL_MAX_TILES; tile++) {
		local->spad[tile].count = local->acc[tile].count = 0;
		local->spad[tile].live = local->acc[tile].live = 0;
		local->next_spad[tile] = local->next_acc[tile] = 0;
	}
}

/* Place what instruction @i uses first. */
static int place_new(struct local *local, size_t i)
{
	struct program *program = local->program;
	const struct instruction *instruction = &program->instructions[i];

	for (int p = 0; p < PROGRAM_MAX_PLACES; p++) {
		uint32_t buf = instruction->places[p].buf;
		bool again = false;

		for (int q = 0; q < p; q++) /* the same buffer in two operands is placed once */
			again |= instruction->places[q].buf == buf;
		if (buf && !again && is_local(&program->buffers[buf]) && program->buffers[buf].first == i) {
			int err = place(local, buf);

			if (err)
				return err;
		}
	}
	return 0;
}

static int drop_old(struct local *local, size_t i)
{
	struct program *program = local->program;
	const struct instruction *instruction = &program->instructions[i];
	int err = 0;

	for (int p = 0; p < PROGRAM_MAX_PLACES; p++) {
		uint32_t buf = instruction->places[p].buf;

		if (!buf || !is_local(&program->buffers[buf]) || program->buffers[buf].last != i)
			continue;
		for (unsigned int tile = 0; tile < AXL_MAX_TILES && !err; tile++)
			if (program->buffers[buf].tiles >> tile & 1)
				err = remove_span(memory_of(local, &program->buffers[buf], tile), buf, i);
	}
	return err;
}

/*
 * Walk the program: place what an instruction uses first, then drop what it used last. Between two preemption points,
 * where nothing is alive, a stretch that next-fit has cut to pieces is placed again: by
 * first-fit, or at the ends of the accumulators.
 */
static int allocate_local(struct local *local)
{
	struct program *program = local->program;
	size_t stretch = 0;

	for (size_t i = 0; i < program->count; i++) {
		int err;

		if (program->instructions[i].tile == PROGRAM_ALL_TILES) {
			stretch = i + 1;
			local->first_fit = local->ends = false;
			continue;
		}
		err = place_new(local, i);
		if (err == -ENOSPC && !(local->full_acc ? local->ends : local->first_fit)) {
			if (local->full_acc)
				local->ends = true;
			else
				local->first_fit = true;
			forget_all(local);
			i = stretch - 1; /* again from its start */
			continue;
		}
		if (err) {
			program->failed_tag = program->instructions[i].insn.header.tag;
			return err;
		}
		if (drop_old(local, i))
			return program_fail(program, -ENOMEM, "out of memory");
	}
	return 0;
}

/* ---- arena ---- */

static const struct buffer *sorting; /* qsort has no argument */

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	if (sorting[x].bytes != sorting[y].bytes)
		return sorting[x].bytes < sorting[y].bytes ? 1 : -1;
	return x < y ? -1 : 1;
}

static bool overlap_in_time(const struct program *program, const struct buffer *a, const struct buffer *b)
{
	return program->spread || (a->first <= b->last && b->first <= a->last);
}

/* Lowest address free during @buffer's life among the first @count of @placed, which are sorted by address. */
static uint64_t lowest_free(const struct program *program, const struct buffer *buffer, const uint32_t *placed,
			    size_t count)
{
	uint64_t at = 0;

	for (size_t i = 0; i < count; i++) {
		const struct buffer *other = &program->buffers[placed[i]];

		if (!overlap_in_time(program, buffer, other))
			continue;
		if (other->address >= at + buffer->bytes)
			break;
		if (other->address + other->bytes > at)
			at = align_up(other->address + other->bytes);
	}
	return at;
}

static uint64_t most_live(const struct program *program, const uint32_t *order, size_t count)
{
	uint64_t most = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t live = 0;

		for (size_t k = 0; k < count; k++)
			if (program->buffers[order[k]].first <= program->buffers[order[i]].first &&
			    program->buffers[order[k]].last >= program->buffers[order[i]].first)
				live += align_up(program->buffers[order[k]].bytes);
		most = live > most ? live : most;
	}
	return most;
}

static int allocate_arena(struct program *program)
{
	uint32_t *order = malloc(program->num_buffers * sizeof(*order)),
		 *placed = malloc(program->num_buffers * sizeof(*placed));
	size_t count = 0;

	if (!order || !placed) {
		free(order);
		free(placed);
		return program_fail(program, -ENOMEM, "out of memory");
	}
	for (uint32_t b = 1; b < program->num_buffers; b++)
		if (program->buffers[b].space == PROGRAM_ARENA && program->buffers[b].first != SIZE_MAX)
			order[count++] = b;
	sorting = program->buffers;
	qsort(order, count, sizeof(*order), by_size);
	program->stats.arena_bytes = 0;
	for (size_t i = 0; i < count; i++) {
		struct buffer *buffer = &program->buffers[order[i]];
		size_t at = i;

		buffer->address = lowest_free(program, buffer, placed, i);
		if (buffer->address + buffer->bytes > program->stats.arena_bytes)
			program->stats.arena_bytes = align_up(buffer->address + buffer->bytes);
		for (; at > 0 && program->buffers[placed[at - 1]].address > buffer->address; at--)
			placed[at] = placed[at - 1];
		placed[at] = order[i];
	}
	program->stats.arena_bound = most_live(program, order, count);
	free(order);
	free(placed);
	return 0;
}

static void place_weights(struct program *program)
{
	uint64_t at = 0;

	for (size_t b = 1; b < program->num_buffers; b++) {
		struct buffer *buffer = &program->buffers[b];

		if (buffer->space != PROGRAM_WEIGHT || buffer->first == SIZE_MAX)
			continue;
		buffer->address = at;
		at = align_up(at + buffer->bytes);
	}
	program->stats.weight_bytes = at;
}

int program_allocate(struct program *program)
{
	struct local local = {.program = program};
	int err = allocate_local(&local);

	for (unsigned int tile = 0; tile < AXL_MAX_TILES; tile++) {
		free(local.spad[tile].spans);
		free(local.acc[tile].spans);
		free(local.spad[tile].past);
		free(local.acc[tile].past);
	}
	if (!err)
		err = allocate_arena(program);
	if (err)
		return err;
	place_weights(program);
	program->allocated = true;
	return 0;
}
