/* SPDX-License-Identifier: MIT */
/* See race.h. */
#include "sim/core/race.h"

#include <axl/axl_access.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define POISON 0xa5
#define PAGE 4096u
#define NO_WRITER 0ull

/* When an instruction ran: the number of its lane and its own in that lane, from 1. Packed: a shadow word. */
static uint64_t stamp(unsigned int lane, uint32_t sequence)
{
	return (uint64_t)lane << 32 | sequence;
}

/*
 * Shadow of a range of bytes. @writer: a stamp each, NO_WRITER; @reads: by lane, the sequence number of the lane's last
 * read since; arrays are made when a lane first reads.
 */
struct shadow {
	uint64_t size;
	uint64_t *writer;
	uint32_t *reads[RACE_LANES];
};

/* A page of memory. Until something writes it, reads are remembered for the page as a whole. */
struct page {
	uint64_t number;
	uint32_t read[RACE_LANES];
	struct shadow *bytes;
};

struct lane {
	struct race_clock clock;
	struct {
		uint32_t offset, epoch;
	} * history; /* by sequence number - 1 */
	uint32_t count, capacity;
};

struct race {
	struct exec_memory *memory;
	unsigned int tiles;
	struct lane lanes[RACE_LANES];
	struct shadow spad[AXL_MAX_TILES], acc[AXL_MAX_TILES];
	struct page **pages; /* open hash by number, capacity a power of two */
	size_t num_pages, capacity;
};

/* One access under way. @tile: whose scratchpad */
struct access_context {
	struct race *race;
	unsigned int lane;
	uint32_t epoch;
	bool write;
	struct race_finding *finding;
	int err;
};

/* ---- life ---- */

static void poison(struct race *race)
{
	for (unsigned int t = 0; t < race->tiles; t++) {
		memset(race->memory[t].spad, POISON, race->memory[t].spad_bytes);
		memset(race->memory[t].acc, POISON, race->memory[t].acc_bytes);
	}
}

static bool shadow_init(struct shadow *shadow, uint64_t size)
{
	shadow->size = size;
	shadow->writer = calloc(size, sizeof(*shadow->writer));
	return shadow->writer;
}

static void shadow_finish(struct shadow *shadow)
{
	free(shadow->writer);
	for (unsigned int l = 0; l < RACE_LANES; l++)
		free(shadow->reads[l]);
}

static void shadow_clear(struct shadow *shadow)
{
	memset(shadow->writer, 0, shadow->size * sizeof(*shadow->writer));
	for (unsigned int l = 0; l < RACE_LANES; l++)
		if (shadow->reads[l])
			memset(shadow->reads[l], 0, shadow->size * sizeof(*shadow->reads[l]));
}

struct race *race_create(struct exec_memory *memory, unsigned int tiles)
{
	struct race *race = calloc(1, sizeof(*race));

	if (!race)
		return NULL;
	race->memory = memory;
	race->tiles = tiles;
	race->capacity = 1024;
	race->pages = calloc(race->capacity, sizeof(struct page *));
	for (unsigned int t = 0; t < tiles && race->pages; t++)
		if (!shadow_init(&race->spad[t], memory[t].spad_bytes) ||
		    !shadow_init(&race->acc[t], memory[t].acc_bytes)) {
			race_destroy(race);
			return NULL;
		}
	if (!race->pages) {
		race_destroy(race);
		return NULL;
	}
	poison(race);
	return race;
}

void race_destroy(struct race *race)
{
	if (!race)
		return;
	for (unsigned int t = 0; t < race->tiles; t++) {
		shadow_finish(&race->spad[t]);
		shadow_finish(&race->acc[t]);
	}
	for (size_t i = 0; race->pages && i < race->capacity; i++)
		if (race->pages[i]) {
			if (race->pages[i]->bytes)
				shadow_finish(race->pages[i]->bytes);
			free(race->pages[i]->bytes);
			free(race->pages[i]);
		}
	free(race->pages);
	for (unsigned int l = 0; l < RACE_LANES; l++)
		free(race->lanes[l].history);
	free(race);
}

void race_resume(struct race *race)
{
	poison(race);
	for (unsigned int t = 0; t < race->tiles; t++) {
		shadow_clear(&race->spad[t]);
		shadow_clear(&race->acc[t]);
	}
}

/* ---- order ---- */

static unsigned int lane_of(unsigned int tile, unsigned int pipe)
{
	return tile * AXL_NUM_PIPES + pipe;
}

void race_wait(struct race *race, unsigned int tile, unsigned int pipe, const struct race_clock *clock)
{
	struct race_clock *own = &race->lanes[lane_of(tile, pipe)].clock;

	for (unsigned int l = 0; l < RACE_LANES; l++)
		own->at[l] = clock->at[l] > own->at[l] ? clock->at[l] : own->at[l];
}

const struct race_clock *race_signal(const struct race *race, unsigned int tile, unsigned int pipe)
{
	return &race->lanes[lane_of(tile, pipe)].clock;
}

/* The lane of @context knows that instruction @sequence of lane @other has ended. */
static bool knows(const struct access_context *context, unsigned int other, uint32_t sequence)
{
	return other == context->lane || context->race->lanes[context->lane].clock.at[other] >= sequence;
}

static bool report(struct access_context *context, uint64_t address, unsigned int lane, uint32_t sequence)
{
	*context->finding = (struct race_finding){
		.address = address,
		.other_offset = context->race->lanes[lane].history[sequence - 1].offset,
	};
	return false;
}

static bool out_of_memory(struct access_context *context)
{
	context->err = -ENOMEM;
	return false;
}

/* ---- bytes ---- */

/* Whether anything wrote the byte since the last YIELD. */
static bool is_initialized(const struct access_context *context, uint64_t writer)
{
	const struct lane *lane = &context->race->lanes[writer >> 32];

	return writer != NO_WRITER && lane->history[(uint32_t)writer - 1].epoch == context->epoch;
}

static bool read_bytes(struct access_context *context, struct shadow *shadow, uint64_t at, uint64_t bytes,
		       uint64_t address, bool must_be_written)
{
	struct lane *own = &context->race->lanes[context->lane];
	uint64_t last = ~0ull;

	if (!shadow->reads[context->lane]) {
		shadow->reads[context->lane] = calloc(shadow->size, sizeof(uint32_t));
		if (!shadow->reads[context->lane])
			return out_of_memory(context);
	}
	for (uint64_t i = at; i < at + bytes; i++) {
		uint64_t writer = shadow->writer[i];

		shadow->reads[context->lane][i] = own->count;
		if (writer == last)
			continue;
		last = writer;
		if (must_be_written && !is_initialized(context, writer)) {
			*context->finding = (struct race_finding){.uninitialized = true, .address = address + (i - at)};
			return false;
		}
		if (writer != NO_WRITER && !knows(context, (unsigned int)(writer >> 32), (uint32_t)writer))
			return report(context, address + (i - at), (unsigned int)(writer >> 32), (uint32_t)writer);
	}
	return true;
}

static bool write_bytes(struct access_context *context, struct shadow *shadow, uint64_t at, uint64_t bytes,
			uint64_t address)
{
	uint64_t mark = stamp(context->lane, context->race->lanes[context->lane].count), last = ~0ull;

	for (uint64_t i = at; i < at + bytes; i++) {
		uint64_t writer = shadow->writer[i];

		shadow->writer[i] = mark;
		if (writer == last)
			continue;
		last = writer;
		if (writer != NO_WRITER && !knows(context, (unsigned int)(writer >> 32), (uint32_t)writer))
			return report(context, address + (i - at), (unsigned int)(writer >> 32), (uint32_t)writer);
	}
	for (unsigned int l = 0; l < RACE_LANES; l++) {
		uint32_t *reads = shadow->reads[l];

		for (uint64_t i = at; reads && i < at + bytes; i++)
			if (reads[i] && !knows(context, l, reads[i]))
				return report(context, address + (i - at), l, reads[i]);
		if (reads)
			memset(reads + at, 0, bytes * sizeof(*reads));
	}
	return true;
}

/* ---- memory, by pages ---- */

static struct page **find_page(struct page **pages, size_t capacity, uint64_t number)
{
	size_t i = (number * 0x9e3779b97f4a7c15ull >> 32) & (capacity - 1);

	while (pages[i] && pages[i]->number != number)
		i = (i + 1) & (capacity - 1);
	return &pages[i];
}

static struct page *get_page(struct race *race, uint64_t number)
{
	struct page **slot = find_page(race->pages, race->capacity, number);

	if (*slot)
		return *slot;
	if (race->num_pages * 2 >= race->capacity) {
		struct page **grown = calloc(race->capacity * 2, sizeof(*grown));

		if (!grown)
			return NULL;
		for (size_t i = 0; i < race->capacity; i++)
			if (race->pages[i])
				*find_page(grown, race->capacity * 2, race->pages[i]->number) = race->pages[i];
		free(race->pages);
		race->pages = grown;
		race->capacity *= 2;
		slot = find_page(grown, race->capacity, number);
	}
	*slot = calloc(1, sizeof(**slot));
	if (*slot) {
		(*slot)->number = number;
		race->num_pages++;
	}
	return *slot;
}

/* First write to a page: the reads of it so far count for each byte. */
static bool open_page(struct page *page)
{
	struct shadow *bytes = calloc(1, sizeof(*bytes));

	if (!bytes || !shadow_init(bytes, PAGE)) {
		free(bytes);
		return false;
	}
	for (unsigned int l = 0; l < RACE_LANES; l++) {
		if (!page->read[l])
			continue;
		bytes->reads[l] = calloc(PAGE, sizeof(uint32_t));
		if (!bytes->reads[l]) {
			shadow_finish(bytes);
			free(bytes);
			return false;
		}
		for (unsigned int i = 0; i < PAGE; i++)
			bytes->reads[l][i] = page->read[l];
	}
	page->bytes = bytes;
	return true;
}

static bool touch_memory(struct access_context *context, uint64_t va, uint64_t bytes)
{
	while (bytes) {
		uint64_t in = va % PAGE, part = PAGE - in < bytes ? PAGE - in : bytes;
		struct page *page = get_page(context->race, va / PAGE);

		if (!page)
			return out_of_memory(context);
		if (context->write && !page->bytes && !open_page(page))
			return out_of_memory(context);
		if (context->write) {
			if (!write_bytes(context, page->bytes, in, part, va))
				return false;
		} else if (page->bytes) {
			if (!read_bytes(context, page->bytes, in, part, va, false))
				return false;
		} else {
			page->read[context->lane] = context->race->lanes[context->lane].count;
		}
		va += part;
		bytes -= part;
	}
	return true;
}

/* ---- walking operands ---- */

enum space { SPACE_SPAD, SPACE_ACC, SPACE_MEMORY };

/* @tiles: whose scratchpads */
struct place {
	enum space space;
	uint8_t tiles;
};

static bool touch(struct access_context *context, struct place place, int64_t address, uint64_t bytes)
{
	if (place.space == SPACE_MEMORY)
		return touch_memory(context, (uint64_t)address, bytes);
	for (unsigned int t = 0; t < context->race->tiles; t++) {
		struct shadow *shadow = place.space == SPACE_ACC ? &context->race->acc[t] : &context->race->spad[t];

		if (!(place.tiles >> t & 1))
			continue;
		if (context->write ? !write_bytes(context, shadow, (uint64_t)address, bytes, (uint64_t)address)
				   : !read_bytes(context, shadow, (uint64_t)address, bytes, (uint64_t)address, true))
			return false;
	}
	return true;
}

/* A block of up to five dimensions: inner ones that lie densely become one stretch. */
static bool touch_block(struct access_context *context, struct place place, int64_t address, int dims,
			const int64_t *count, const int64_t *stride, uint64_t size)
{
	int64_t at[5] = {0};
	uint64_t run = size;

	for (int d = 0; d < dims; d++)
		if (count[d] < 1)
			return true;
	while (dims && (stride[dims - 1] == (int64_t)run || count[dims - 1] == 1))
		run *= (uint64_t)count[--dims];
	for (;;) {
		int64_t start = address;
		int d;

		for (d = 0; d < dims; d++)
			start += at[d] * stride[d];
		if (!touch(context, place, start, run))
			return false;
		for (d = dims - 1; d >= 0; d--) {
			/* A stride of 0 reads the same again. */
			if (stride[d] && ++at[d] < count[d])
				break;
			at[d] = 0;
		}
		if (d < 0)
			return true;
	}
}

static bool touch_dma(struct access_context *context, const struct axl_dma *dma, unsigned int tile, uint64_t base,
		      bool memory_side)
{
	bool load = dma->header.opcode == AXL_OP_LOAD, valid_only = memory_side || !load;
	struct place place = {memory_side ? SPACE_MEMORY : SPACE_SPAD,
			      load && dma->tiles && !memory_side ? dma->tiles : (uint8_t)(1u << tile)};
	int64_t count[5], stride[5], address = memory_side ? (int64_t)(base + dma->offset) : (int64_t)dma->spad;
	uint64_t size = access_type_bytes(memory_side ? dma->mem_type : dma->spad_type);

	for (int d = 0; d < 5; d++) {
		int64_t hi = dma->hi[d] && dma->hi[d] < dma->dims[d] ? dma->hi[d] : dma->dims[d];

		stride[d] = memory_side ? dma->mem_stride[d] : dma->spad_stride[d];
		count[d] = valid_only ? hi - dma->lo[d] : dma->dims[d];
		if (valid_only && !memory_side)
			address += dma->lo[d] * stride[d];
	}
	if (memory_side && dma->dma_flags & AXL_DMA_GATHER) {
		int64_t rows = count[0];

		count[0] = 1;
		for (int64_t i = 0; i < rows; i++) {
			int32_t index;

			memcpy(&index, context->race->memory[tile].spad + dma->index_addr + 4 * i, 4);
			/* A bad index faults when the transfer runs. */
			if (index >= 0 && (uint32_t)index < dma->index_limit &&
			    !touch_block(context, place, address + index * stride[0], 5, count, stride, size))
				return false;
		}
		return true;
	}
	return touch_block(context, place, address, 5, count, stride, size);
}

static bool dma_accesses_of(struct access_context *context, const struct axl_dma *dma, unsigned int tile, uint64_t base,
			    bool write)
{
	bool load = dma->header.opcode == AXL_OP_LOAD;

	if (!write && dma->dma_flags & AXL_DMA_GATHER) {
		int64_t hi = dma->hi[0] && dma->hi[0] < dma->dims[0] ? dma->hi[0] : dma->dims[0];

		if (hi > dma->lo[0] && !touch(context, (struct place){SPACE_SPAD, (uint8_t)(1u << tile)},
					      dma->index_addr, 4 * (uint64_t)(hi - dma->lo[0])))
			return false;
	}
	return touch_dma(context, dma, tile, base, load != write);
}

/* Which rows (or columns) of the input the kernel reaches: a row y of the output grid's coordinates is row y / dil. */
static void reached(bool *rows, int in, int out, int kernel, int step, int dilation, int dil, int pad)
{
	memset(rows, 0, (size_t)in);
	for (int o = 0; o < out; o++)
		for (int k = 0; k < kernel; k++) {
			int y = o * step + k * dilation - pad;

			if (y >= 0 && y % dil == 0 && y / dil < in)
				rows[y / dil] = true;
		}
}

static bool conv_input(struct access_context *context, const struct axl_conv *conv, unsigned int tile)
{
	bool *rows = malloc((size_t)conv->in_h + conv->in_w + 1), *columns = rows + conv->in_h, clean = true;
	uint64_t pixel = (uint64_t)conv->channels * access_type_bytes(conv->a_type);

	if (!rows)
		return out_of_memory(context);
	reached(rows, conv->in_h, conv->out_h, conv->kernel_h, conv->stride_h, conv->dilation_h, conv->in_dil_h,
		conv->pad_top);
	reached(columns, conv->in_w, conv->out_w, conv->kernel_w, conv->stride_w, conv->dilation_w, conv->in_dil_w,
		conv->pad_left);
	for (int y = 0; y < conv->in_h && clean; y++)
		for (int x = 0; x < conv->in_w && rows[y] && clean; x++)
			if (columns[x])
				clean = touch(context, (struct place){SPACE_SPAD, (uint8_t)(1u << tile)},
					      conv->a + (int64_t)y * conv->a_stride_h + (int64_t)x * conv->a_stride_w,
					      pixel);
	free(rows);
	return clean;
}

static bool conv_accesses_of(struct access_context *context, const struct axl_conv *conv, unsigned int tile, bool write)
{
	struct place spad = {SPACE_SPAD, (uint8_t)(1u << tile)}, acc = {SPACE_ACC, (uint8_t)(1u << tile)};
	int64_t taps = (int64_t)conv->kernel_h * conv->kernel_w;
	int64_t weights[2] = {conv->header.opcode == AXL_OP_DWCONV ? taps : taps * conv->channels, conv->n};
	int64_t weight_stride[2] = {conv->w_stride_k, conv->w_stride_n};
	int64_t sums[2] = {(int64_t)conv->out_h * conv->out_w, conv->n}, sum_stride[2] = {conv->acc_stride, 4};

	if ((write || conv->mx_flags & AXL_MX_ACCUMULATE) &&
	    !touch_block(context, acc, conv->acc, 2, sums, sum_stride, 4))
		return false;
	return write ||
	       (conv_input(context, conv, tile) &&
		touch_block(context, spad, conv->w, 2, weights, weight_stride, access_type_bytes(conv->w_type)));
}

static bool drain_accesses_of(struct access_context *context, const struct axl_drain *drain, unsigned int tile,
			      bool write)
{
	struct place spad = {SPACE_SPAD, (uint8_t)(1u << tile)}, acc = {SPACE_ACC, (uint8_t)(1u << tile)};
	int pool_h = drain->pool_hw >> 4, pool_w = drain->pool_hw & 15;
	int step_h = drain->pool_stride >> 4, step_w = drain->pool_stride & 15;
	int64_t rows[3] = {drain->rows_h, drain->rows_w, drain->n};
	int64_t out[3] = {pool_h && step_h ? (rows[0] - pool_h) / step_h + 1 : rows[0],
			  pool_w && step_w ? (rows[1] - pool_w) / step_w + 1 : rows[1], drain->n};
	int64_t out_size = access_type_bytes(drain->out_type), res_size = access_type_bytes(drain->res_type);
	int64_t out_stride[3] = {drain->out_stride_h, drain->out_stride_w, out_size};
	int64_t res_stride[3] = {drain->res_stride_h, drain->res_stride_w, res_size};
	int64_t sums[2] = {rows[0] * rows[1], drain->n}, sum_stride[2] = {drain->acc_stride, 4};
	uint64_t channels = 4 * (uint64_t)drain->n;

	if (write)
		return touch_block(context, spad, drain->out, 3, out, out_stride, (uint64_t)out_size);
	return touch_block(context, acc, drain->acc, 2, sums, sum_stride, 4) &&
	       (!(drain->dr_flags & AXL_DR_BIAS) || touch(context, spad, drain->bias, channels)) &&
	       (!(drain->dr_flags & AXL_DR_SCALE) || touch(context, spad, drain->scale, channels)) &&
	       (!(drain->dr_flags & AXL_DR_TABLE) || touch(context, spad, drain->table, 256)) &&
	       (!(drain->dr_flags & AXL_DR_RESIDUAL) ||
		touch_block(context, spad, drain->res, 3, rows, res_stride, (uint64_t)res_size));
}

static bool vec_operand(struct access_context *context, const struct axl_vec *vec, unsigned int tile, uint32_t address,
			const __s32 *stride, unsigned int type, uint8_t skip)
{
	int64_t count[5], step[5];

	for (int d = 0; d < 5; d++) {
		count[d] = skip >> d & 1 ? 1 : vec->dims[d];
		step[d] = stride[d];
	}
	return touch_block(context, (struct place){SPACE_SPAD, (uint8_t)(1u << tile)}, address, 5, count, step,
			   access_type_bytes(type));
}

/* The elements that a GATHER picks: as many as there are indices. */
static bool vec_gathered(struct access_context *context, const struct axl_vec *vec, unsigned int tile)
{
	const uint8_t *spad = context->race->memory[tile].spad;
	uint64_t size = access_type_bytes(vec->src0_type);
	uint32_t at[5];

	for (at[0] = 0; at[0] < vec->dims[0]; at[0]++)
		for (at[1] = 0; at[1] < vec->dims[1]; at[1]++)
			for (at[2] = 0; at[2] < vec->dims[2]; at[2]++)
				for (at[3] = 0; at[3] < vec->dims[3]; at[3]++)
					for (at[4] = 0; at[4] < vec->dims[4]; at[4]++) {
						int64_t from = vec->src0, where = vec->src1;
						int32_t index;

						for (int d = 0; d < 5; d++) {
							from += (int64_t)at[d] * vec->src0_stride[d];
							where += (int64_t)at[d] * vec->src1_stride[d];
						}
						memcpy(&index, spad + where, 4);
						if (index >= 0 && (uint32_t)index < vec->limit &&
						    !touch(context, (struct place){SPACE_SPAD, (uint8_t)(1u << tile)},
							   from + (int64_t)index * vec->gather_stride, size))
							return false;
					}
	return true;
}

static bool vec_accesses_of(struct access_context *context, const struct axl_vec *vec, unsigned int tile, bool write)
{
	if (write)
		return vec_operand(context, vec, tile, vec->dst, vec->dst_stride, vec->dst_type,
				   vec_is_reduction(vec->op) ? vec->reduce_mask : 0);
	if (vec_is_binary(vec->op) && !vec_operand(context, vec, tile, vec->src1, vec->src1_stride, vec->src1_type, 0))
		return false;
	if (vec->op == AXL_VEC_TABLE &&
	    !touch(context, (struct place){SPACE_SPAD, (uint8_t)(1u << tile)}, vec->table, 256))
		return false;
	return vec->op == AXL_VEC_GATHER
		       ? vec_gathered(context, vec, tile)
		       : vec_operand(context, vec, tile, vec->src0, vec->src0_stride, vec->src0_type, 0);
}

static bool accesses_of(struct access_context *context, const union axl_insn *insn, unsigned int tile, uint64_t base)
{
	switch (insn->header.opcode) {
	case AXL_OP_LOAD:
	case AXL_OP_STORE:
		return dma_accesses_of(context, &insn->dma, tile, base, context->write);
	case AXL_OP_CONV:
	case AXL_OP_DWCONV:
		return conv_accesses_of(context, &insn->conv, tile, context->write);
	case AXL_OP_DRAIN:
		return drain_accesses_of(context, &insn->drain, tile, context->write);
	case AXL_OP_VEC:
		return vec_accesses_of(context, &insn->vec, tile, context->write);
	default:
		return true;
	}
}

static bool remember(struct lane *lane, uint32_t offset, uint32_t epoch)
{
	if (lane->count == lane->capacity) {
		uint32_t capacity = lane->capacity * 2 + 64;
		void *grown = realloc(lane->history, capacity * sizeof(*lane->history));

		if (!grown)
			return false;
		lane->history = grown;
		lane->capacity = capacity;
	}
	lane->history[lane->count].offset = offset;
	lane->history[lane->count++].epoch = epoch;
	return true;
}

bool race_begin(struct race *race, unsigned int tile, unsigned int pipe, const union axl_insn *insn, uint32_t offset,
		uint32_t epoch, uint64_t base, struct race_finding *finding, int *err)
{
	unsigned int number = lane_of(tile, pipe);
	struct access_context context = {.race = race, .lane = number, .epoch = epoch, .finding = finding};
	bool clean;

	*err = 0;
	if (!remember(&race->lanes[number], offset, epoch)) {
		*err = -ENOMEM;
		return false;
	}
	race->lanes[number].clock.at[number] = race->lanes[number].count;
	clean = accesses_of(&context, insn, tile, base);
	context.write = true;
	clean = clean && accesses_of(&context, insn, tile, base);
	*err = context.err;
	return clean;
}
