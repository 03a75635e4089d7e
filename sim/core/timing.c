/* SPDX-License-Identifier: MIT */
/*
 * When instructions end: uapi/axl/axl_timing.h says what each takes alone; here is what they take from each other.
 * Scratchpad bandwidth is given to the instruction that started first, what is left to those after it; a memory channel
 * serves transfers in the order in which they started. The engine starts instructions in the order of time, so that an
 * instruction's end is known when it starts.
 */
#include <axl/axl_timing.h>

#include "sim/core/engine_internal.h"

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* ---- scratchpad bandwidth ---- */

/* The step that is in force at @time; steps before @now, the start of the newest instruction, are forgotten. */
static unsigned int step_at(struct bandwidth *band, uint64_t time, uint64_t now)
{
	unsigned int drop = 0, i;

	while (drop + 1 < band->count && band->step[drop + 1].time <= now)
		drop++;
	if (drop) {
		band->count -= drop;
		for (i = 0; i < band->count; i++)
			band->step[i] = band->step[i + drop];
	}
	if (!band->count) {
		band->step[0].time = 0;
		band->step[0].used = 0;
		band->count = 1;
	}
	for (i = 0; i + 1 < band->count && band->step[i + 1].time <= time; i++)
		;
	return i;
}

/* Make a step begin at @time, which lies in step @i; returns its index. Full: the boundary is given up. */
static unsigned int cut(struct bandwidth *band, unsigned int i, uint64_t time)
{
	if (band->step[i].time >= time)
		return i;
	if (band->count == BANDWIDTH_STEPS)
		return i;
	for (unsigned int k = band->count; k > i + 1; k--)
		band->step[k] = band->step[k - 1];
	band->step[i + 1].time = time;
	band->step[i + 1].used = band->step[i].used;
	band->count++;
	return i + 1;
}

/*
 * Move bytes through the scratchpad's ports from @start: @cycles of work at @demand bytes a cycle. Returns the end,
 * later than start + cycles where others, which started before, leave less than @demand.
 */
static uint64_t reserve(struct run *run, unsigned int tile, uint64_t now, uint64_t start, uint64_t cycles,
			uint32_t demand)
{
	struct bandwidth *band = &run->bands[tile];
	uint32_t capacity = run->config->spad_banks * AXL_T_BANK_BYTES;
	uint64_t left, at = start;
	unsigned int i = step_at(band, start, now);

	demand = demand > capacity ? capacity : demand;
	if (!demand || !cycles)
		return start + cycles;
	left = cycles * demand;
	i = cut(band, i, start);
	for (;;) {
		uint32_t room = capacity - band->step[i].used, grant = room < demand ? room : demand;
		uint64_t until = i + 1 < band->count ? band->step[i + 1].time : ~0ull;
		uint64_t need = grant ? axl_div_up(left, grant) : ~0ull - at;

		if (need <= until - at) {
			cut(band, i, at + need);
			band->step[i].used += grant;
			return at + need;
		}
		band->step[i].used += grant;
		left -= grant * (until - at);
		at = until;
		i++;
	}
}

/* ---- transfers ---- */

/* Latency, page walks, then the bursts through the memory's channel and into or out of the scratchpad. */
struct duration timing_dma(struct run *run, unsigned int tile, unsigned int pipe, const struct queued *queued,
			   uint64_t start)
{
	const struct engine_config *config = run->config;
	struct channel *channel = queued->host ? &run->host : &run->dram;
	uint64_t latency = queued->host ? config->host_latency : config->dram_latency;
	bool read = pipe != AXL_PIPE_STORE;
	uint64_t cycles = queued->host
				  ? axl_host_cycles(queued->lines, queued->packets, config->host_rate, latency, read)
				  : axl_local_cycles(queued->lines, queued->rows, config->dram_rate);
	struct duration took = {.host = queued->host, .walks = queued->walks * (uint64_t)AXL_T_WALK};
	uint64_t data = max(start + latency + took.walks, run->lanes[tile][pipe].end);
	uint64_t free =
		channel->free + (!queued->host && channel->free && channel->read != read ? AXL_T_TURNAROUND : 0);

	data = max(data, free);
	took.end = reserve(run, tile, start, data, cycles, queued->host ? config->host_rate : config->dram_rate);
	took.banks = took.end - data - cycles;
	channel->free = took.end;
	channel->read = read;
	took.busy = cycles;
	/* The next transfer's requests go out while this one's data come: latencies overlap. */
	took.issue = max(start + AXL_T_DMA_ISSUE, took.end > latency ? took.end - latency : 0);
	return took;
}

/* ---- computing: cycles alone, and bytes a cycle of the scratchpad ---- */

static uint64_t conv_cycles(struct run *run, const struct axl_conv *conv, uint32_t *demand)
{
	uint64_t size = axl_type_size(conv->a_type), m = (uint64_t)conv->out_h * conv->out_w;
	uint64_t taps = (uint64_t)conv->kernel_h * conv->kernel_w, cycles;

	if (conv->header.opcode == AXL_OP_DWCONV) {
		cycles = axl_dwconv_cycles(m, taps, conv->n, conv->a_type);
		run->stats->macs_useful += m * taps * conv->n;
		*demand = AXL_T_DW_PIXELS * AXL_ARRAY_N;
	} else {
		cycles = axl_conv_cycles(m, taps * conv->channels, conv->n, conv->a_type, conv->split);
		run->stats->macs_useful += m * taps * conv->channels * conv->n;
		*demand = (uint32_t)(axl_array_rows(conv->a_type) * size) + AXL_T_WEIGHT_PORT;
	}
	run->stats->macs_issued += cycles * axl_array_rows(conv->a_type) * AXL_ARRAY_N;
	return cycles;
}

static uint64_t drain_cycles(const struct axl_drain *drain, uint32_t *demand)
{
	bool slow = axl_act_is_slow(drain->act1) || axl_act_is_slow(drain->act2);
	uint64_t bytes = axl_type_size(drain->out_type) +
			 (drain->dr_flags & AXL_DR_RESIDUAL ? axl_type_size(drain->res_type) : 0);

	*demand = (uint32_t)(bytes * (slow ? AXL_T_DRAIN_SLOW_RATE : AXL_T_DRAIN_RATE));
	return axl_drain_cycles((uint64_t)drain->rows_h * drain->rows_w * drain->n, slow);
}

static uint64_t vec_cycles(struct run *run, const struct axl_vec *vec, uint32_t *demand)
{
	uint64_t elements = 1, dst = axl_type_size(vec->dst_type), src = axl_type_size(vec->src0_type),
		 size = max(dst, src);
	bool binary = vec->op >= AXL_VEC_ADD && vec->op <= AXL_VEC_SELECT;
	int inner = 4;
	bool dense;

	for (int d = 0; d < 5; d++)
		elements *= vec->dims[d];
	while (inner > 0 && vec->dims[inner] == 1)
		inner--;
	dense = (vec->dst_stride[inner] == (int32_t)dst || vec->reduce_mask >> inner & 1) &&
		(vec->src0_stride[inner] == (int32_t)src || !vec->src0_stride[inner]) && vec->op != AXL_VEC_GATHER;
	run->stats->vector_ops += elements;
	*demand =
		(uint32_t)(axl_vector_lanes(size, dense) * (dst + src + (binary ? axl_type_size(vec->src1_type) : 0)) /
			   max(axl_vec_cost(vec->op), 1));
	return axl_vec_cycles(vec->op, elements, size, dense);
}

struct duration timing_compute(struct run *run, unsigned int tile, const struct lane *lane, const struct queued *queued,
			       uint64_t start)
{
	struct duration took = {0};
	uint64_t fill = 0;
	uint32_t demand = 0;

	switch (queued->insn.header.opcode) {
	case AXL_OP_CONV:
	case AXL_OP_DWCONV:
		took.busy = conv_cycles(run, &queued->insn.conv, &demand);
		/* Back to back the weights of the next slice are in the shadow plane already. */
		fill = start > lane->end + AXL_T_ARRAY_IDLE || !lane->end ? AXL_T_ARRAY_LATENCY : 0;
		break;
	case AXL_OP_DRAIN:
		took.busy = drain_cycles(&queued->insn.drain, &demand);
		break;
	default:
		took.busy = vec_cycles(run, &queued->insn.vec, &demand);
	}
	took.end = reserve(run, tile, start, start + fill, took.busy, demand);
	took.banks = took.end - start - fill - took.busy;
	took.busy += fill; /* the array is filling: no other pipe is the reason */
	took.issue = took.end;
	return took;
}
