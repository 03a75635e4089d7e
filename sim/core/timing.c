/* SPDX-License-Identifier: MIT */
/*
 * When instructions end: uapi/axl/axl_timing.h says what each takes alone, axl_contention.h what they take from each other.
 * Scratchpad bandwidth is given to the instruction that started first, what is left to those after it; a memory channel
 * serves transfers in the order in which they started, and a later one before that only where it keeps none of them waiting. The
 * engine starts instructions in the order of time, so that an
 * instruction's end is known when it starts.
 */
#include <axl/axl_contention.h>

#include "sim/core/engine_internal.h"

static struct axl_ports *ports_of(struct run *run, unsigned int tile)
{
	run->tiles[tile].ports.rate = run->config->spad_banks * AXL_T_BANK_BYTES;
	return &run->tiles[tile].ports;
}

/* Latency, page walks, then the bursts through the memory's channel and into or out of the scratchpad. */
struct duration timing_dma(struct run *run, unsigned int tile, unsigned int pipe, const struct queued *queued,
			   uint64_t start)
{
	const struct engine_config *config = run->config;
	struct lane *lane = &run->tiles[tile].lanes[pipe];
	uint64_t latency = queued->host ? config->host_latency : config->dram_latency;
	uint32_t rate = queued->host ? config->host_rate : config->dram_rate;
	bool read = pipe != AXL_PIPE_STORE;
	uint64_t cycles = queued->host ? axl_host_cycles(queued->lines, queued->packets, rate, latency, read)
				       : axl_local_cycles(queued->lines, queued->rows, rate);
	struct axl_transfer_time time = axl_transfer(queued->host ? &run->host : &run->dram, ports_of(run, tile),
						     &lane->flows, start, lane->end, latency, queued->walks, cycles,
						     rate, read, queued->host ? 0 : AXL_T_TURNAROUND);

	return (struct duration){.host = queued->host,
				 .walks = queued->walks * (uint64_t)AXL_T_WALK,
				 .busy = cycles,
				 .end = time.end,
				 .banks = time.end - time.data - cycles,
				 .issue = time.issue};
}

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
	took.end = axl_ports_pass(ports_of(run, tile), start, start + fill, took.busy, demand, 1);
	took.banks = took.end - start - fill - took.busy;
	took.busy += fill; /* the array is filling: no other pipe is the reason */
	took.issue = took.end;
	return took;
}
