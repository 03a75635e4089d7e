/* SPDX-License-Identifier: MIT */
/*
 * The order of instructions: program_interleave().
 *
 * A lowering writes node after node, and every pipe works in that order. So a pool's first stripe stands behind all of the
 * convolution in front of it in the store pipe, and a branch that could compute behind one that waits. Here the
 * instructions of a stretch between two preemption points are listed again in the order in which they could start: a
 * simulation in which every pipe takes what is ready first, and of that what was written first. What a node gives to one
 * pipe keeps its order.
 *
 * Loads are no part of that race, they would all be first: each is put right before the first instruction that needs it,
 * and how early it runs is decided by the room that program_allocate() finds. Room is also why an instruction may have to
 * wait in the simulation: what is alive has to fit.
 *
 * A preemption point orders nothing on the device but would here: it is left out where the stretches on both sides
 * together still end within the bound.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_access.h>
#include "compiler/target/cost.h"
#include "compiler/target/program_internal.h"

#define LANES (AXL_MAX_TILES * AXL_NUM_PIPES)
#define HANDOVER 12 /* cycles from the end of an instruction to the start of one that waits for it */
#define MOST_SUMS 2 /* accumulator buffers of a tile that are alive at once */
#define NONE UINT32_MAX

/* Bytes of a buffer that an instruction of the stretch touches. */
struct touch {
	int64_t lo, hi;
	uint32_t insn, next;
	bool write;
};

/*
 * An instruction of the stretch.
 * @preds: the first of those that it has to follow, @num_preds; @next: the next one of its queue
 * @ready: of a load: when it may start; @end: when it is done, if @listed
 */
struct step {
	uint64_t cycles, end;
	size_t preds;
	uint32_t num_preds, next;
	uint8_t lane;
	bool load, listed;
};

/* What one node gives to one pipe, in order. */
struct queue {
	uint32_t head, tail;
	uint16_t tag;
	uint8_t lane;
};

/* @touches: first of the buffer's list; @uses: of instructions that are not listed yet; @mark: of the last count */
struct room {
	uint32_t touches, uses, mark;
	bool alive;
};

struct list {
	struct program *program;
	const uint64_t *most; /* cycles of this stretch */
	size_t first, count;  /* the stretch */
	struct step *steps;
	struct queue *queues;
	struct touch *touches;
	struct room *rooms; /* by buffer */
	uint32_t *preds, *order;
	size_t num_queues, num_touches, max_touches, num_preds, max_preds, num_listed;
	uint64_t lane_free[LANES], alive[2][AXL_MAX_TILES]; /* [1]: accumulators */
	unsigned int sums[AXL_MAX_TILES];                   /* accumulator buffers alive */
	uint32_t mark;
};

static bool is_local(const struct buffer *buffer)
{
	return buffer->space == PROGRAM_SPAD || buffer->space == PROGRAM_ACC || buffer->space == PROGRAM_MULTICAST;
}

static int grow(void **array, size_t *capacity, size_t used, size_t size)
{
	void *grown;

	if (used < *capacity)
		return 0;
	grown = realloc(*array, (*capacity * 2 + 256) * size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*capacity = *capacity * 2 + 256;
	return 0;
}

/* ---- who has to follow whom ---- */

static int add_pred(struct list *list, struct step *step, uint32_t pred)
{
	if (step->num_preds && list->preds[list->num_preds - 1] == pred)
		return 0;
	if (grow((void **)&list->preds, &list->max_preds, list->num_preds, sizeof(*list->preds)))
		return -ENOMEM;
	list->preds[list->num_preds++] = pred;
	step->num_preds++;
	return 0;
}

static int touch(struct list *list, uint32_t insn, uint32_t buf, int64_t lo, int64_t hi, bool write)
{
	uint32_t *link = &list->rooms[buf].touches;

	while (*link != NONE) {
		struct touch *before = &list->touches[*link];

		if (before->insn != insn && before->lo < hi && before->hi > lo && (write || before->write)) {
			if (add_pred(list, &list->steps[insn], before->insn))
				return -ENOMEM;
			if (write && before->lo >= lo && before->hi <= hi) { /* who follows me follows it */
				*link = before->next;
				continue;
			}
		}
		link = &before->next;
	}
	if (grow((void **)&list->touches, &list->max_touches, list->num_touches, sizeof(*list->touches)))
		return -ENOMEM;
	list->touches[list->num_touches] = (struct touch){lo, hi, insn, list->rooms[buf].touches, write};
	list->rooms[buf].touches = (uint32_t)list->num_touches++;
	return 0;
}

static int touch_all(struct list *list, uint32_t insn)
{
	const struct instruction *instruction = &list->program->instructions[list->first + insn];
	struct access accesses[ACCESS_MAX];
	size_t count = access_list(&instruction->insn, accesses);
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		const struct program_place *place = &instruction->places[accesses[i].place];
		enum program_space space = list->program->buffers[place->buf].space;

		if (accesses[i].hi <= accesses[i].lo || space == PROGRAM_WEIGHT || space == PROGRAM_INPUT)
			continue;
		err = touch(list, insn, place->buf, (int64_t)place->offset + accesses[i].lo,
			    (int64_t)place->offset + accesses[i].hi, accesses[i].write);
	}
	return err;
}

static uint64_t transfer_cycles(const struct target *target, const struct axl_dma *dma)
{
	uint64_t bytes = axl_type_size(dma->mem_type);

	for (int d = 0; d < 5; d++)
		bytes *= dma->dims[d] ? dma->dims[d] : 1;
	return cost_dma(target, bytes, 256);
}

static void join_queue(struct list *list, uint32_t insn, uint16_t tag)
{
	struct step *step = &list->steps[insn];

	for (size_t q = list->num_queues; q-- > 0;)
		if (list->queues[q].tag == tag && list->queues[q].lane == step->lane) {
			list->steps[list->queues[q].tail].next = insn;
			list->queues[q].tail = insn;
			return;
		}
	list->queues[list->num_queues++] = (struct queue){insn, insn, tag, step->lane};
}

/* A buffer of @instruction's operand @p, once each; 0: none, or named before. */
static uint32_t operand(const struct instruction *instruction, int p)
{
	for (int q = 0; q < p; q++)
		if (instruction->places[q].buf == instruction->places[p].buf)
			return 0;
	return instruction->places[p].buf;
}

static int read_stretch(struct list *list, size_t first, size_t count)
{
	const struct program *program = list->program;

	list->first = first;
	list->count = count;
	list->num_queues = list->num_touches = list->num_preds = list->num_listed = 0;
	list->mark = 0;
	memset(list->lane_free, 0, sizeof(list->lane_free));
	memset(list->alive, 0, sizeof(list->alive));
	memset(list->sums, 0, sizeof(list->sums));
	for (size_t b = 0; b < program->num_buffers; b++)
		list->rooms[b] = (struct room){.touches = NONE};
	for (uint32_t i = 0; i < count; i++) {
		const struct instruction *instruction = &program->instructions[first + i];
		const struct axl_header *header = &instruction->insn.header;
		bool transfer = header->opcode == AXL_OP_LOAD || header->opcode == AXL_OP_STORE;

		list->steps[i] = (struct step){.preds = list->num_preds, .next = NONE};
		if (instruction->tile == PROGRAM_ALL_TILES)
			continue;
		list->steps[i].lane = (uint8_t)(instruction->tile * AXL_NUM_PIPES + header->pipe);
		list->steps[i].load = header->opcode == AXL_OP_LOAD;
		list->steps[i].cycles = transfer ? transfer_cycles(&program->target, &instruction->insn.dma)
						 : cost_compute(&instruction->insn, NULL);
		if (touch_all(list, i))
			return -ENOMEM;
		for (int p = 0; p < PROGRAM_MAX_PLACES; p++)
			list->rooms[operand(instruction, p)].uses++;
		if (!list->steps[i].load)
			join_queue(list, i, header->tag);
	}
	return 0;
}

/* ---- what can start when, and whether it has room ---- */

/*
 * When @insn could start, its pipe left aside: its loads, which are listed with it, are taken to run as soon as they may.
 * False: something that is no load has to be listed before.
 */
static bool ready_at(const struct list *list, uint32_t insn, uint64_t *time)
{
	const struct step *step = &list->steps[insn];

	*time = 0;
	for (uint32_t i = 0; i < step->num_preds; i++) {
		const struct step *pred = &list->steps[list->preds[step->preds + i]];
		uint64_t end = pred->end;

		if (!pred->listed) {
			if (!pred->load || !ready_at(list, list->preds[step->preds + i], &end))
				return false;
			end += pred->cycles + list->program->target.dram_latency;
		}
		*time = end + HANDOVER > *time ? end + HANDOVER : *time;
	}
	return true;
}

/* Add to @more what @insn and its loads bring to life in memories of tiles. */
static void count_room(struct list *list, uint32_t insn, uint64_t more[2][AXL_MAX_TILES])
{
	const struct instruction *instruction = &list->program->instructions[list->first + insn];
	const struct step *step = &list->steps[insn];

	for (int p = 0; p < PROGRAM_MAX_PLACES; p++) {
		uint32_t buf = operand(instruction, p);
		const struct buffer *buffer = &list->program->buffers[buf];
		struct room *room = &list->rooms[buf];

		if (!buf || !is_local(buffer) || room->alive || room->mark == list->mark)
			continue;
		room->mark = list->mark;
		for (unsigned int tile = 0; tile < AXL_MAX_TILES; tile++)
			if (buffer->tiles >> tile & 1)
				more[buffer->space == PROGRAM_ACC][tile] += buffer->bytes;
	}
	for (uint32_t i = 0; i < step->num_preds; i++)
		if (!list->steps[list->preds[step->preds + i]].listed)
			count_room(list, list->preds[step->preds + i], more);
}

/*
 * Whether there is room for @insn: an eighth of the scratchpad is left for loads to run ahead; two accumulator buffers
 * fit wherever they lie, more may not.
 */
static bool has_room(struct list *list, uint32_t insn)
{
	const struct target *target = &list->program->target;
	uint64_t more[2][AXL_MAX_TILES] = {{0}};
	bool fits = true;

	list->mark++;
	count_room(list, insn, more);
	for (unsigned int tile = 0; tile < target->tiles; tile++) {
		fits &= !more[0][tile] ||
			list->alive[0][tile] + more[0][tile] <= target->spad_bytes - target->spad_bytes / 8;
		fits &= !more[1][tile] ||
			(list->alive[1][tile] + more[1][tile] <= target->acc_bytes && list->sums[tile] < MOST_SUMS);
	}
	return fits;
}

static void use_rooms(struct list *list, uint32_t insn)
{
	const struct instruction *instruction = &list->program->instructions[list->first + insn];

	for (int p = 0; p < PROGRAM_MAX_PLACES; p++) {
		uint32_t buf = operand(instruction, p);
		const struct buffer *buffer = &list->program->buffers[buf];
		struct room *room = &list->rooms[buf];
		bool was = room->alive;

		if (!buf || !is_local(buffer))
			continue;
		room->alive = --room->uses > 0;
		for (unsigned int tile = 0; tile < AXL_MAX_TILES; tile++)
			if (buffer->tiles >> tile & 1 && was != room->alive) {
				list->alive[buffer->space == PROGRAM_ACC][tile] += was ? -buffer->bytes : buffer->bytes;
				list->sums[tile] += buffer->space != PROGRAM_ACC ? 0u : was ? -1u : 1u;
			}
	}
}

/* ---- listing ---- */

static void add_step(struct list *list, uint32_t insn)
{
	struct step *step = &list->steps[insn];

	step->listed = true;
	list->order[list->num_listed++] = insn;
	use_rooms(list, insn);
}

/* The loads that @insn needs, each behind what it needs itself. */
static void add_loads(struct list *list, uint32_t insn)
{
	const struct step *step = &list->steps[insn];

	for (uint32_t i = 0; i < step->num_preds; i++) {
		uint32_t pred = list->preds[step->preds + i];
		uint64_t time;

		if (list->steps[pred].listed)
			continue;
		ready_at(list, pred, &time);
		add_loads(list, pred);
		list->steps[pred].end = time + list->steps[pred].cycles + list->program->target.dram_latency;
		add_step(list, pred);
	}
}

/* The head that can start first; @oldest, the first instruction that is not listed, may always. */
static size_t choose(struct list *list, uint32_t oldest, uint64_t *start)
{
	size_t best = list->num_queues;

	for (size_t q = 0; q < list->num_queues; q++) {
		uint32_t head = list->queues[q].head;
		uint64_t time;

		if (head == NONE || !ready_at(list, head, &time))
			continue;
		if (time < list->lane_free[list->queues[q].lane])
			time = list->lane_free[list->queues[q].lane];
		if (best < list->num_queues && (time > *start || (time == *start && head > list->queues[best].head)))
			continue;
		if (head != oldest && !has_room(list, head))
			continue;
		best = q;
		*start = time;
	}
	return best;
}

/* List the stretch; what it takes about, in *cycles. */
static void list_stretch(struct list *list, uint64_t *cycles)
{
	uint32_t oldest = 0;

	*cycles = 0;
	for (;;) {
		uint64_t start = 0;
		struct step *step;
		size_t q;

		while (oldest < list->count &&
		       (list->steps[oldest].listed || list->steps[oldest].load ||
			list->program->instructions[list->first + oldest].tile == PROGRAM_ALL_TILES))
			oldest++;
		q = choose(list, oldest, &start);
		if (q == list->num_queues)
			break;
		step = &list->steps[list->queues[q].head];
		if (list->queues[q].lane % AXL_NUM_PIPES == AXL_PIPE_MATRIX &&
		    start > list->lane_free[list->queues[q].lane] + AXL_T_ARRAY_IDLE)
			start += AXL_T_ARRAY_LATENCY;
		step->end = start + step->cycles;
		list->lane_free[list->queues[q].lane] = step->end;
		*cycles = step->end > *cycles ? step->end : *cycles;
		add_loads(list, list->queues[q].head);
		add_step(list, list->queues[q].head);
		list->queues[q].head = step->next;
	}
	for (uint32_t i = 0; i < list->count; i++) /* loads that nobody reads */
		if (!list->steps[i].listed && list->steps[i].load)
			add_step(list, i);
}

/* End of the stretch that begins at @first: at a preemption point or behind the last instruction. */
static size_t stretch_end(const struct program *program, size_t first)
{
	while (first < program->count && program->instructions[first].tile != PROGRAM_ALL_TILES)
		first++;
	return first;
}

/* Append the longest list from @first on that stays within the bound to @to; *first gets behind it. */
static int list_longest(struct list *list, size_t *first, struct instruction *to, size_t *count)
{
	const struct program *program = list->program;
	size_t end = *first, listed = 0;
	uint64_t cycles;
	int err = 0;

	for (size_t next = stretch_end(program, *first); !err; next = stretch_end(program, next + 1)) {
		err = read_stretch(list, *first, next - *first);
		if (err)
			break;
		list_stretch(list, &cycles);
		if (listed && cycles > *list->most)
			break;
		end = next;
		for (listed = 0; listed < list->num_listed; listed++)
			to[*count + listed] = program->instructions[list->first + list->order[listed]];
		if (next == program->count || cycles > *list->most)
			break;
	}
	*count += listed;
	if (end < program->count)
		to[(*count)++] = program->instructions[end++];
	*first = end;
	return err;
}

/* Which instructions use a buffer first and last. */
static void find_lives(struct program *program)
{
	for (size_t b = 1; b < program->num_buffers; b++) {
		program->buffers[b].first = SIZE_MAX;
		program->buffers[b].last = 0;
	}
	for (size_t i = 0; i < program->count; i++)
		for (int p = 0; p < PROGRAM_MAX_PLACES; p++) {
			struct buffer *buffer = &program->buffers[program->instructions[i].places[p].buf];

			buffer->first = buffer->first == SIZE_MAX ? i : buffer->first;
			buffer->last = i;
		}
}

int program_interleave(struct program *program, const uint64_t *most, size_t most_count)
{
	struct list list = {.program = program, .most = most};
	struct instruction *to = calloc(program->count + 1, sizeof(*to));
	size_t count = 0;
	int err = 0;

	list.steps = calloc(program->count + 1, sizeof(*list.steps));
	list.queues = calloc(program->count + 1, sizeof(*list.queues));
	list.rooms = calloc(program->num_buffers + 1, sizeof(*list.rooms));
	list.order = calloc(program->count + 1, sizeof(*list.order));
	if (!to || !list.steps || !list.queues || !list.rooms || !list.order)
		err = -ENOMEM;
	for (size_t first = 0; first < program->count && !err;) {
		err = list_longest(&list, &first, to, &count);
		list.most += most_count > 1;
		most_count -= most_count > 1;
	}
	if (err) {
		free(to);
		program_fail(program, err, "out of memory");
	} else {
		program->written = program->instructions;
		program->num_written = program->count;
		program->instructions = to;
		program->count = count;
		program->capacity = count + 1;
		find_lives(program);
	}
	free(list.steps);
	free(list.queues);
	free(list.rooms);
	free(list.order);
	free(list.touches);
	free(list.preds);
	return err;
}

void program_restore(struct program *program)
{
	free(program->instructions);
	program->instructions = program->written;
	program->count = program->capacity = program->num_written;
	program->written = NULL;
	find_lives(program);
}
