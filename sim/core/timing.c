/* SPDX-License-Identifier: MIT */
/*
 * When instructions end: uapi/axl/axl_timing.h says what each takes alone; here is what they take from each other.
 * Scratchpad bandwidth is given to the instruction that started first, what is left to those after it; a memory channel
 * serves transfers in the order in which they started, and a later one before that only where it keeps none of them waiting. The
 * engine starts instructions in the order of time, so that an
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
 * later than start + cycles where others, which started before, leave less than @demand. @take: it is so decided.
 */
static uint64_t pass_ports(struct run *run, unsigned int tile, uint64_t now, uint64_t start, uint64_t cycles,
			   uint32_t demand, bool take)
{
	struct bandwidth *band = &run->bands[tile];
	uint32_t capacity = run->config->spad_banks * AXL_T_BANK_BYTES;
	uint64_t left, at = start;
	unsigned int i = step_at(band, start, now);

	demand = demand > capacity ? capacity : demand;
	if (!demand || !cycles)
		return start + cycles;
	left = cycles * demand;
	if (take)
		i = cut(band, i, start);
	for (;; i++) {
		uint32_t room = capacity - band->step[i].used, grant = room < demand ? room : demand;
		uint64_t until = i + 1 < band->count ? band->step[i + 1].time : ~0ull;
		uint64_t need = grant ? axl_div_up(left, grant) : ~0ull - at;

		if (need <= until - at) {
			if (take) {
				cut(band, i, at + need);
				band->step[i].used += grant;
			}
			return at + need;
		}
		if (take)
			band->step[i].used += grant;
		left -= grant * (until - at);
		at = until;
	}
}

/* ---- transfers ---- */

/*
 * Where a channel has a gap for data that are ready at @ready: *data, and the end. What was given to others stands;
 * what has passed at @now is forgotten.
 */
static uint64_t find_gap(struct run *run, unsigned int tile, struct channel *channel, uint64_t now, uint64_t ready,
			 uint64_t cycles, uint32_t rate, bool read, uint64_t turn, uint64_t *data)
{
	unsigned int drop = 0, i = 0;
	uint64_t at = ready, end;

	/* One that has passed stays: its direction decides about the turnaround. */
	while (drop + 1 < channel->count && channel->flows[drop].end <= now && channel->flows[drop + 1].end <= now)
		drop++;
	channel->count -= drop;
	for (unsigned int k = 0; drop && k < channel->count; k++)
		channel->flows[k] = channel->flows[k + drop];
	for (;;) {
		while (i < channel->count && channel->flows[i].data < at)
			i++;
		if (i && channel->flows[i - 1].end + (channel->flows[i - 1].read != read ? turn : 0) > at)
			at = channel->flows[i - 1].end + (channel->flows[i - 1].read != read ? turn : 0);
		end = pass_ports(run, tile, now, at, cycles, rate, false);
		if (i == channel->count || end + (channel->flows[i].read != read ? turn : 0) <= channel->flows[i].data)
			break;
		at = channel->flows[i++].end;
	}
	*data = at;
	if (channel->count == CHANNEL_FLOWS) { /* the oldest gives its place: at worst a gap looks free that is not */
		for (unsigned int k = 1; k < channel->count; k++)
			channel->flows[k - 1] = channel->flows[k];
		channel->count--;
		i -= i > 0;
	}
	for (unsigned int k = channel->count++; k > i; k--)
		channel->flows[k] = channel->flows[k - 1];
	channel->flows[i] = (struct flow){at, end, read};
	pass_ports(run, tile, now, at, cycles, rate, true);
	return end;
}

/* A pipe's requests run ahead of its data by no more than the memory's latency: when the next transfer may start. */
static uint64_t next_issue(struct lane *lane, uint64_t start, uint64_t latency, struct flow flow)
{
	uint64_t outstanding = 0, issue = start + AXL_T_DMA_ISSUE;
	unsigned int drop = 0;

	while (drop < lane->num_flows && (lane->flows[drop].end <= start || lane->num_flows - drop == FLOWS))
		drop++;
	lane->num_flows -= drop;
	for (unsigned int k = 0; drop && k < lane->num_flows; k++)
		lane->flows[k] = lane->flows[k + drop];
	lane->flows[lane->num_flows++] = flow;
	for (unsigned int k = 0; k < lane->num_flows; k++) {
		uint64_t from = max(lane->flows[k].data, issue);

		outstanding += from < lane->flows[k].end ? lane->flows[k].end - from : 0;
	}
	for (unsigned int k = 0; k < lane->num_flows && outstanding > latency; k++) {
		uint64_t from = max(lane->flows[k].data, issue), excess = outstanding - latency;

		if (from >= lane->flows[k].end)
			continue;
		if (lane->flows[k].end - from >= excess)
			return from + excess;
		outstanding -= lane->flows[k].end - from;
		issue = lane->flows[k].end;
	}
	return issue;
}

/* Latency, page walks, then the bursts through the memory's channel and into or out of the scratchpad. */
struct duration timing_dma(struct run *run, unsigned int tile, unsigned int pipe, const struct queued *queued,
			   uint64_t start)
{
	const struct engine_config *config = run->config;
	struct lane *lane = &run->lanes[tile][pipe];
	uint64_t latency = queued->host ? config->host_latency : config->dram_latency, data;
	uint32_t rate = queued->host ? config->host_rate : config->dram_rate;
	bool read = pipe != AXL_PIPE_STORE;
	uint64_t cycles = queued->host ? axl_host_cycles(queued->lines, queued->packets, rate, latency, read)
				       : axl_local_cycles(queued->lines, queued->rows, rate);
	struct duration took = {.host = queued->host, .walks = queued->walks * (uint64_t)AXL_T_WALK, .busy = cycles};

	took.end = find_gap(run, tile, queued->host ? &run->host : &run->dram, start,
			    max(start + latency + took.walks, lane->end), cycles, rate, read,
			    queued->host ? 0 : AXL_T_TURNAROUND, &data);
	took.banks = took.end - data - cycles;
	took.issue = next_issue(lane, start, latency, (struct flow){data, took.end, read});
	return took;
}

/* ---- computing ---- */

static void count_macs(struct run *run, const struct axl_conv *conv, uint64_t cycles)
{
	uint64_t m = (uint64_t)conv->out_h * conv->out_w, taps = (uint64_t)conv->kernel_h * conv->kernel_w;
	uint64_t channels = conv->header.opcode == AXL_OP_DWCONV ? 1 : conv->channels;

	run->stats->macs_useful += m * taps * channels * conv->n;
	run->stats->macs_issued += cycles * axl_array_rows(conv->a_type) * AXL_ARRAY_N;
}

struct duration timing_compute(struct run *run, unsigned int tile, const struct lane *lane, const struct queued *queued,
			       uint64_t start)
{
	struct duration took = {0};
	uint64_t fill = 0, elements;
	uint32_t demand;

	took.busy = axl_compute_cycles(&queued->insn, &demand);
	switch (queued->insn.header.opcode) {
	case AXL_OP_CONV:
	case AXL_OP_DWCONV:
		count_macs(run, &queued->insn.conv, took.busy);
		/* Back to back the weights of the next slice are in the shadow plane already. */
		fill = start > lane->end + AXL_T_ARRAY_IDLE || !lane->end ? AXL_T_ARRAY_LATENCY : 0;
		break;
	case AXL_OP_VEC:
		axl_vec_insn_cycles(&queued->insn.vec, &elements, &demand);
		run->stats->vector_ops += elements;
		break;
	default:
		break;
	}
	took.end = pass_ports(run, tile, start, start + fill, took.busy, demand, true);
	took.banks = took.end - start - fill - took.busy;
	took.busy += fill; /* the array is filling: no other pipe is the reason */
	took.issue = took.end;
	return took;
}
