/* SPDX-License-Identifier: MIT */
/* See cycle_model.h. */
#include "tests/unit/timing/cycle_model.h"

#include <stdlib.h>
#include <string.h>

#include <axl/axl_timing.h>

enum { IN_FLIGHT = 64, SEMAPHORES = AXL_LOCAL_SEMS + AXL_GLOBAL_SEMS };

/* An instruction between its start and its end. */
struct flight {
	bool busy;
	union axl_insn insn;
	uint64_t start;  /* its age: the older takes the scratchpad first */
	uint32_t demand; /* bytes of the scratchpad for one step */
	uint32_t credit; /* bytes granted that make no whole step yet */
	uint64_t steps;  /* that are left; of a product: of its passes */
	/* Products: what is left of the pass through the array, and how many passes follow. */
	uint64_t stream, fill, passes;
	uint64_t idle; /* cycles before its first step */
	/* Transfers */
	uint64_t ready; /* when its data may flow */
	bool host, read, flowing;
};

/* @head, @count: of the FIFO; flights in the order of their starts: compute pipes have one */
struct pipe {
	struct {
		union axl_insn insn;
		uint64_t base;
	} fifo[AXL_FIFO_DEPTH];
	unsigned int head, count;
	struct flight flights[IN_FLIGHT];
	unsigned int first, flying;
	uint64_t last_start, last_end;
	bool ever;
};

struct tile {
	uint32_t at, end;
	unsigned int slots_read;
	bool ended;
	uint64_t bases[AXL_NUM_BASES];
	struct {
		uint32_t at, left;
	} loops[AXL_LOOP_DEPTH];
	int depth;
	struct pipe pipes[AXL_NUM_PIPES];
	uint32_t sems[AXL_LOCAL_SEMS];
};

/* @serving: whose data flow; @turn: cycles before they do */
struct channel {
	struct flight *serving;
	uint64_t turn;
	bool used, read;
};

struct model {
	const struct cycle_config *config;
	const uint8_t *code;
	unsigned int num_tiles;
	struct tile tiles[AXL_MAX_TILES];
	uint32_t global[AXL_GLOBAL_SEMS];
	struct channel dram, host;
	uint64_t now;
};

/* ---- sequencers ---- */

static void fetch(struct model *model, struct tile *tile)
{
	union axl_insn insn = {.bytes = {0}};
	struct pipe *pipe;

	if (tile->ended)
		return;
	memcpy(&insn, model->code + tile->at, AXL_SLOT_BYTES);
	if (insn.header.slots == 2)
		memcpy(&insn, model->code + tile->at, 2 * AXL_SLOT_BYTES);
	pipe = &tile->pipes[insn.header.pipe];
	if (insn.header.pipe != AXL_PIPE_SEQ && pipe->count == AXL_FIFO_DEPTH)
		return;
	if (++tile->slots_read < insn.header.slots)
		return;
	tile->slots_read = 0;
	tile->at += insn.header.slots * AXL_SLOT_BYTES;
	switch (insn.header.opcode) {
	case AXL_OP_END:
		tile->ended = true;
		break;
	case AXL_OP_LOOP:
		tile->loops[tile->depth].at = tile->at;
		tile->loops[tile->depth++].left = insn.loop.count;
		break;
	case AXL_OP_ENDLOOP:
		if (--tile->loops[tile->depth - 1].left)
			tile->at = tile->loops[tile->depth - 1].at;
		else
			tile->depth--;
		break;
	case AXL_OP_ADDBASE:
		tile->bases[insn.addbase.reg] += (uint64_t)insn.addbase.value;
		break;
	case AXL_OP_YIELD:
		break;
	default:
		pipe->fifo[(pipe->head + pipe->count) % AXL_FIFO_DEPTH].insn = insn;
		pipe->fifo[(pipe->head + pipe->count++) % AXL_FIFO_DEPTH].base =
			insn.header.opcode == AXL_OP_LOAD || insn.header.opcode == AXL_OP_STORE
				? tile->bases[insn.dma.base]
				: 0;
	}
}

/* ---- semaphores ---- */

static uint32_t *semaphore(struct model *model, struct tile *tile, unsigned int number)
{
	return number < AXL_LOCAL_SEMS ? &tile->sems[number] : &model->global[number - AXL_LOCAL_SEMS];
}

static bool waits_hold(struct model *model, struct tile *tile, const union axl_insn *insn)
{
	const struct axl_sem_op *wait = insn->header.wait;

	if (wait[0].count && wait[1].count && wait[0].sem == wait[1].sem)
		return *semaphore(model, tile, wait[0].sem) >= (uint32_t)wait[0].count + wait[1].count;
	for (int i = 0; i < 2; i++)
		if (wait[i].count && *semaphore(model, tile, wait[i].sem) < wait[i].count)
			return false;
	return true;
}

static void signal_end(struct model *model, unsigned int number, const union axl_insn *insn)
{
	unsigned int tiles = insn->header.opcode == AXL_OP_LOAD && insn->dma.tiles ? insn->dma.tiles : 1u << number;

	for (int i = 0; i < 2; i++) {
		const struct axl_sem_op *op = &insn->header.signal[i];

		if (!op->count)
			continue;
		if (op->sem >= AXL_LOCAL_SEMS)
			model->global[op->sem - AXL_LOCAL_SEMS] += op->count;
		for (unsigned int t = 0; t < model->num_tiles && op->sem < AXL_LOCAL_SEMS; t++)
			if (tiles >> t & 1)
				model->tiles[t].sems[op->sem] += op->count;
	}
}

/* ---- what an instruction has to do ---- */

/* Bursts, rows and packets of a transfer: one element after the other in the order of the block. */
static void count_transfer(const struct axl_dma *dma, uint64_t base, uint64_t *lines, uint64_t *rows, uint64_t *packets)
{
	uint64_t last_line = ~0ull - 9, last_row = ~0ull, size = axl_type_size(dma->mem_type), run = 0;
	uint32_t i[5];

	*lines = *rows = *packets = 0;
	for (i[0] = 0; i[0] < dma->dims[0]; i[0]++)
		for (i[1] = 0; i[1] < dma->dims[1]; i[1]++)
			for (i[2] = 0; i[2] < dma->dims[2]; i[2]++)
				for (i[3] = 0; i[3] < dma->dims[3]; i[3]++)
					for (i[4] = 0; i[4] < dma->dims[4]; i[4]++) {
						uint64_t at = base + dma->offset;
						bool valid = true;

						for (int d = 0; d < 5; d++) {
							uint32_t hi = dma->hi[d] ? dma->hi[d] : dma->dims[d];

							valid &= i[d] >= dma->lo[d] && i[d] < hi;
							at += (uint64_t)(((int64_t)i[d] - dma->lo[d]) *
									 dma->mem_stride[d]);
						}
						for (uint64_t byte = at; valid && byte < at + size;
						     byte += size - 1 ? size - 1 : 1) {
							uint64_t line = byte / AXL_T_LINE, row = byte / AXL_T_ROW_BYTES;

							if (line != last_line) {
								run = line == last_line + 1 ? run + 1 : 1;
								*lines += 1;
								/* A packet holds so many bursts that follow each other.
								 */
								*packets += run % (AXL_T_TLP_BYTES / AXL_T_LINE) == 1;
							}
							*rows += row != last_row;
							last_line = line;
							last_row = row;
						}
					}
}

static void start_transfer(struct model *model, struct flight *flight, uint64_t base)
{
	const struct cycle_config *config = model->config;
	const struct axl_dma *dma = &flight->insn.dma;
	uint64_t lines, rows, packets;

	count_transfer(dma, base, &lines, &rows, &packets);
	flight->host = base + dma->offset >= config->host_from;
	flight->read = flight->insn.header.opcode == AXL_OP_LOAD;
	flight->demand = flight->host ? config->host_rate : config->dram_rate;
	flight->ready = model->now + (flight->host ? config->host_latency : config->dram_latency);
	flight->steps = flight->host
				? axl_host_cycles(lines, packets, config->host_rate, config->host_latency, flight->read)
				: axl_local_cycles(lines, rows, config->dram_rate);
}

static void start_product(struct pipe *pipe, struct flight *flight, uint64_t now)
{
	const struct axl_conv *conv = &flight->insn.conv;
	uint64_t size = axl_type_size(conv->a_type), positions = (uint64_t)conv->out_h * conv->out_w;
	uint64_t taps = (uint64_t)conv->kernel_h * conv->kernel_w;

	flight->idle = pipe->ever && now <= pipe->last_end + AXL_T_ARRAY_IDLE ? 0 : AXL_T_ARRAY_LATENCY;
	if (conv->header.opcode == AXL_OP_DWCONV) {
		flight->demand = AXL_T_DW_PIXELS * AXL_ARRAY_N;
		/* Blocks of 64 channels, pairs of positions, groups of taps; the wider the operands the more cycles
		 * each. */
		for (uint32_t c = 0; c < conv->n; c += AXL_ARRAY_N)
			for (uint64_t p = 0; p < positions; p += AXL_T_DW_PIXELS)
				for (uint64_t t = 0; t < taps; t += AXL_T_DW_TAPS)
					flight->steps += size;
	} else {
		uint64_t parts = (conv->split & AXL_SPLIT_K ? 2u : 1u) * (conv->split & AXL_SPLIT_N ? 2u : 1u);
		uint64_t rows = axl_array_rows(conv->a_type) / (conv->split & AXL_SPLIT_K ? 2 : 1);
		uint64_t columns = AXL_ARRAY_N / (conv->split & AXL_SPLIT_N ? 2 : 1);

		flight->demand = (uint32_t)(axl_array_rows(conv->a_type) * size) + AXL_T_WEIGHT_PORT;
		for (uint64_t n = 0; n < conv->n; n += columns)
			for (uint64_t k = 0; k < taps * conv->channels; k += rows)
				flight->passes++;
		for (uint64_t p = 0; p < positions; p += parts)
			flight->stream++;
		flight->fill = rows * columns * size / AXL_T_WEIGHT_PORT;
		flight->fill = flight->fill ? flight->fill : 1;
	}
}

static void start_drain(struct flight *flight)
{
	const struct axl_drain *drain = &flight->insn.drain;
	bool slow = axl_act_is_slow(drain->act1) || axl_act_is_slow(drain->act2);
	uint64_t rate = slow ? AXL_T_DRAIN_SLOW_RATE : AXL_T_DRAIN_RATE, bytes = axl_type_size(drain->out_type);

	if (drain->dr_flags & AXL_DR_RESIDUAL)
		bytes += axl_type_size(drain->res_type);
	flight->demand = (uint32_t)(bytes * rate);
	flight->steps = AXL_T_DRAIN_START;
	for (uint64_t value = 0; value < (uint64_t)drain->rows_h * drain->rows_w * drain->n; value += rate)
		flight->steps++;
}

static void start_vector(struct flight *flight)
{
	const struct axl_vec *vec = &flight->insn.vec;
	uint64_t dst = axl_type_size(vec->dst_type), src = axl_type_size(vec->src0_type), elements = 1, lanes, cost,
		 bytes;
	int inner = 4;
	bool dense;

	while (inner > 0 && vec->dims[inner] == 1)
		inner--;
	dense = (vec->dst_stride[inner] == (int32_t)dst || vec->reduce_mask >> inner & 1) &&
		(vec->src0_stride[inner] == (int32_t)src || vec->src0_stride[inner] == 0) && vec->op != AXL_VEC_GATHER;
	lanes = axl_vector_lanes(dst > src ? dst : src, dense);
	cost = axl_vec_cost(vec->op) ? axl_vec_cost(vec->op) : 1;
	bytes = dst + src + (vec->op >= AXL_VEC_ADD && vec->op <= AXL_VEC_SELECT ? axl_type_size(vec->src1_type) : 0);
	flight->demand = (uint32_t)(lanes * bytes / cost);
	for (int d = 0; d < 5; d++)
		elements *= vec->dims[d];
	flight->steps = AXL_T_VECTOR_START;
	for (uint64_t e = 0; e < elements; e += lanes)
		flight->steps += axl_vec_cost(vec->op);
}

/* ---- starting ---- */

static bool is_transfer(const union axl_insn *insn)
{
	return insn->header.opcode == AXL_OP_LOAD || insn->header.opcode == AXL_OP_STORE;
}

static struct flight *newest(struct pipe *pipe)
{
	return pipe->flying ? &pipe->flights[(pipe->first + pipe->flying - 1) % IN_FLIGHT] : NULL;
}

/* A pipe starts its next when the last has ended; transfers run ahead of their data by the memory's latency. */
static bool pipe_is_free(struct model *model, struct pipe *pipe)
{
	struct flight *last = newest(pipe);
	uint64_t outstanding = 0;

	if (!last)
		return !pipe->ever || !is_transfer(&pipe->fifo[pipe->head].insn) ||
		       model->now >= pipe->last_start + AXL_T_DMA_ISSUE;
	if (!is_transfer(&last->insn) || pipe->flying == IN_FLIGHT || model->now < pipe->last_start + AXL_T_DMA_ISSUE)
		return false;
	for (unsigned int f = 0; f < pipe->flying; f++)
		outstanding += pipe->flights[(pipe->first + f) % IN_FLIGHT].steps;
	return outstanding <= (last->host ? model->config->host_latency : model->config->dram_latency);
}

static void start(struct model *model, struct tile *tile, struct pipe *pipe)
{
	struct flight *flight = &pipe->flights[(pipe->first + pipe->flying++) % IN_FLIGHT];
	uint64_t base = pipe->fifo[pipe->head].base;

	memset(flight, 0, sizeof(*flight));
	flight->busy = true;
	flight->insn = pipe->fifo[pipe->head].insn;
	flight->start = model->now;
	pipe->head = (pipe->head + 1) % AXL_FIFO_DEPTH;
	pipe->count--;
	pipe->last_start = model->now;
	for (int i = 0; i < 2; i++)
		if (flight->insn.header.wait[i].count)
			*semaphore(model, tile, flight->insn.header.wait[i].sem) -= flight->insn.header.wait[i].count;
	switch (flight->insn.header.opcode) {
	case AXL_OP_LOAD:
	case AXL_OP_STORE:
		start_transfer(model, flight, base);
		break;
	case AXL_OP_CONV:
	case AXL_OP_DWCONV:
		start_product(pipe, flight, model->now);
		break;
	case AXL_OP_DRAIN:
		start_drain(flight);
		break;
	case AXL_OP_VEC:
		start_vector(flight);
		break;
	default:
		flight->steps = 1;
	}
}

/* ---- one cycle of work ---- */

/* What the other memory has to move before a transfer that was asked for at @start. */
static uint64_t ahead(const struct model *model, const struct flight *than)
{
	uint64_t steps = 0;

	for (unsigned int t = 0; t < model->num_tiles; t++)
		for (unsigned int p = 0; p < AXL_NUM_PIPES; p++) {
			const struct pipe *pipe = &model->tiles[t].pipes[p];

			for (unsigned int f = 0; f < pipe->flying; f++) {
				const struct flight *flight = &pipe->flights[(pipe->first + f) % IN_FLIGHT];

				if (is_transfer(&flight->insn) && flight->host == than->host &&
				    (flight->start < than->start || flight->flowing))
					steps += flight->steps;
			}
		}
	return steps;
}

/*
 * When a transfer's data can flow at the earliest: they are there, and its pipe has moved all before it. @place: how many of the
 * pipe's are before it.
 */
static uint64_t earliest(const struct model *model, const struct pipe *pipe, unsigned int place)
{
	const struct flight *last = &pipe->flights[(pipe->first + place) % IN_FLIGHT];
	uint64_t at = model->now;

	for (unsigned int f = 0; f <= place; f++) {
		const struct flight *flight = &pipe->flights[(pipe->first + f) % IN_FLIGHT];

		at = at > flight->ready ? at : flight->ready;
		if (f < place && flight->host != last->host && !flight->flowing)
			at = at > model->now + ahead(model, flight) ? at : model->now + ahead(model, flight);
		at += f < place ? flight->steps : 0;
	}
	return at;
}

/* No transfer that was asked for before @flight has to wait for it when it is served now. */
static bool fits_before_older(const struct model *model, const struct flight *flight, uint64_t cycles)
{
	for (unsigned int t = 0; t < model->num_tiles; t++)
		for (unsigned int p = 0; p < AXL_NUM_PIPES; p++) {
			const struct pipe *pipe = &model->tiles[t].pipes[p];

			for (unsigned int f = 0; f < pipe->flying; f++) {
				const struct flight *other = &pipe->flights[(pipe->first + f) % IN_FLIGHT];
				uint64_t turn = !flight->host && other->read != flight->read ? AXL_T_TURNAROUND : 0;

				if (is_transfer(&other->insn) && other->host == flight->host && other->steps &&
				    other->start < flight->start &&
				    earliest(model, pipe, f) < model->now + cycles + turn)
					return false;
			}
		}
	return true;
}

static uint64_t turn_to(const struct channel *channel, const struct flight *flight)
{
	return !flight->host && channel->used && channel->read != flight->read ? AXL_T_TURNAROUND : 0;
}

/* The oldest transfer of a memory whose data can flow, where that keeps no older one waiting. */
static struct flight *next_served(struct model *model, const struct channel *channel, bool host)
{
	struct flight *best = NULL;

	for (unsigned int t = 0; t < model->num_tiles; t++)
		for (unsigned int p = 0; p < AXL_NUM_PIPES; p++) {
			struct pipe *pipe = &model->tiles[t].pipes[p];
			struct flight *flight = pipe->flying ? &pipe->flights[pipe->first] : NULL;

			if (flight && is_transfer(&flight->insn) && flight->host == host &&
			    flight->ready <= model->now && flight->steps && (!best || flight->start < best->start) &&
			    fits_before_older(model, flight, turn_to(channel, flight) + flight->steps))
				best = flight;
		}
	return best;
}

static void serve(struct model *model, struct channel *channel, bool host)
{
	if (channel->serving && !channel->serving->steps)
		channel->serving = NULL;
	if (!channel->serving) {
		channel->serving = next_served(model, channel, host);
		if (channel->serving) {
			channel->turn = turn_to(channel, channel->serving);
			channel->used = true;
			channel->read = channel->serving->read;
			channel->serving->flowing = true;
		}
	}
	if (channel->turn)
		channel->turn--;
}

/* A step of the pipe's own work was granted. */
static void advance(struct flight *flight)
{
	if (!flight->passes) {
		flight->steps--;
		return;
	}
	/* The array: positions stream through one slice while the next is filled; a pass ends when both are done. */
	flight->steps++;
	if (flight->steps >= flight->stream && flight->steps >= flight->fill) {
		flight->steps = 0;
		flight->passes--;
	}
}

static bool wants_step(struct model *model, struct flight *flight)
{
	if (!flight->busy || (!flight->steps && !flight->passes))
		return false;
	if (is_transfer(&flight->insn)) {
		struct channel *channel = flight->host ? &model->host : &model->dram;

		return channel->serving == flight && !channel->turn;
	}
	if (flight->idle) {
		flight->idle--;
		return false;
	}
	return true;
}

/* Hand out the ports of a scratchpad, the oldest instruction first. */
static void hand_out(struct model *model, struct tile *tile)
{
	struct flight *list[AXL_NUM_PIPES * 2];
	uint32_t room = model->config->spad_banks * AXL_T_BANK_BYTES;
	unsigned int count = 0;

	for (unsigned int p = 0; p < AXL_NUM_PIPES; p++) {
		struct pipe *pipe = &tile->pipes[p];

		if (pipe->flying && wants_step(model, &pipe->flights[pipe->first]))
			list[count++] = &pipe->flights[pipe->first];
	}
	while (count) {
		unsigned int oldest = 0;
		struct flight *flight;
		uint32_t want, grant;

		for (unsigned int i = 1; i < count; i++)
			if (list[i]->start < list[oldest]->start)
				oldest = i;
		flight = list[oldest];
		list[oldest] = list[--count];
		want = flight->demand < model->config->spad_banks * AXL_T_BANK_BYTES
			       ? flight->demand
			       : model->config->spad_banks * AXL_T_BANK_BYTES;
		grant = want < room ? want : room;
		room -= grant;
		flight->credit += grant;
		if (flight->credit >= want) {
			flight->credit -= want;
			advance(flight);
		}
	}
}

/* What has done its last step ends with this cycle. */
static void finish(struct model *model)
{
	for (unsigned int t = 0; t < model->num_tiles; t++)
		for (unsigned int p = 0; p < AXL_NUM_PIPES; p++) {
			struct pipe *pipe = &model->tiles[t].pipes[p];
			struct flight *flight = &pipe->flights[pipe->first];

			if (!pipe->flying || flight->steps || flight->passes || flight->idle)
				continue;
			signal_end(model, t, &flight->insn);
			flight->busy = false;
			pipe->last_end = model->now + 1;
			pipe->ever = true;
			pipe->first = (pipe->first + 1) % IN_FLIGHT;
			pipe->flying--;
		}
}

static bool all_done(const struct model *model)
{
	for (unsigned int t = 0; t < model->num_tiles; t++) {
		if (!model->tiles[t].ended)
			return false;
		for (unsigned int p = 0; p < AXL_NUM_PIPES; p++)
			if (model->tiles[t].pipes[p].count || model->tiles[t].pipes[p].flying)
				return false;
	}
	return true;
}

uint64_t cycle_model_run(const struct cycle_config *config, const uint8_t *code, const uint64_t *bases, uint64_t limit)
{
	struct model *model = calloc(1, sizeof(*model));
	struct axl_cmdbuf header;
	uint64_t cycles;

	if (!model)
		return 0;
	memcpy(&header, code, sizeof(header));
	model->config = config;
	model->code = code;
	model->num_tiles = header.num_tiles;
	for (unsigned int t = 0; t < header.num_tiles; t++) {
		model->tiles[t].at = header.streams[t].offset;
		memcpy(model->tiles[t].bases, bases, sizeof(model->tiles[t].bases));
	}
	for (model->now = 0; model->now < limit && !all_done(model); model->now++) {
		for (unsigned int t = 0; t < model->num_tiles; t++)
			for (unsigned int p = AXL_PIPE_LOAD; p < AXL_NUM_PIPES; p++) {
				struct pipe *pipe = &model->tiles[t].pipes[p];

				if (pipe->count && pipe_is_free(model, pipe) &&
				    waits_hold(model, &model->tiles[t], &pipe->fifo[pipe->head].insn))
					start(model, &model->tiles[t], pipe);
			}
		for (unsigned int t = 0; t < model->num_tiles; t++)
			fetch(model, &model->tiles[t]);
		serve(model, &model->dram, false);
		serve(model, &model->host, true);
		for (unsigned int t = 0; t < model->num_tiles; t++)
			hand_out(model, &model->tiles[t]);
		finish(model);
	}
	cycles = all_done(model) ? model->now : 0;
	free(model);
	return cycles;
}
