/* SPDX-License-Identifier: MIT */
/*
 * How long instructions take; the formulas of the specification's chapter on timing. The compiler's cost model
 * (compiler/target/cost.c) states the same rates.
 */
#include "sim/core/engine_internal.h"

enum {
	WEIGHT_PORT = 128,    /* bytes a cycle into the shadow plane */
	ARRAY_LATENCY = 128,  /* first weights and skew of the array, when it was idle */
	DRAIN_RATE = 128,     /* values a cycle */
	DRAIN_SLOW_RATE = 32, /* with a transcendental activation */
	DRAIN_START = 32,
	VECTOR_START = 16,
	VECTOR_LANES = 64,
	VECTOR_STRIDED = 16, /* elements a cycle where the innermost dimension is not dense */
	DW_PIXELS = 2,       /* output positions a cycle */
	DW_TAPS = 32,        /* taps of one pass */
	DMA_ISSUE = 8,       /* cycles between two transfers of a pipe */
	WALK_CYCLES = 40,    /* a page table entry from the walk cache or host memory, overlapped by four walkers */
	LINE = 64,
};

static uint64_t div_up(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* A transfer: latency, then its bursts through the memory's channel, which all tiles share. */
struct duration timing_dma(struct run *run, unsigned int tile, unsigned int pipe, const struct queued *queued,
			   uint64_t start)
{
	const struct engine_config *config = run->config;
	uint64_t *channel = queued->host ? &run->host_free : &run->dram_free;
	uint64_t latency = queued->host ? config->host_latency : config->dram_latency;
	uint64_t rate = queued->host ? config->host_rate : config->dram_rate;
	/* Refresh and turnaround: one cycle in thirty-two is not for data. */
	uint64_t cycles = div_up(queued->lines * LINE * 33, rate * 32);
	struct duration took = {.host = queued->host, .walks = queued->walks * (uint64_t)WALK_CYCLES};
	uint64_t data = max(max(start + latency + took.walks, *channel), run->lanes[tile][pipe].end);

	took.end = data + max(cycles, 1);
	*channel = took.end;
	took.busy = max(cycles, 1);
	/* The next transfer's requests go out while this one's data come: latencies overlap. */
	took.issue = max(start + DMA_ISSUE, took.end > latency ? took.end - latency : 0);
	return took;
}

static uint64_t conv_cycles(struct run *run, const struct axl_conv *conv)
{
	uint64_t ways_k = conv->split & AXL_SPLIT_K ? 2 : 1, ways_n = conv->split & AXL_SPLIT_N ? 2 : 1;
	uint64_t size = exec_type_size((enum axl_type)conv->a_type), m = (uint64_t)conv->out_h * conv->out_w;
	uint64_t taps = (uint64_t)conv->kernel_h * conv->kernel_w;
	uint64_t rows = (size == 4 ? AXL_ARRAY_K / 8 : AXL_ARRAY_K / size) / ways_k, columns = AXL_ARRAY_N / ways_n,
		 cycles;

	if (conv->header.opcode == AXL_OP_DWCONV) {
		cycles = div_up(conv->n, AXL_ARRAY_N) * div_up(m, DW_PIXELS) * div_up(taps, DW_TAPS) * size;
		run->stats->macs_useful += m * taps * conv->n;
	} else {
		uint64_t k = taps * conv->channels, fill = max(rows * columns * size / WEIGHT_PORT, 1);

		cycles = div_up(conv->n, columns) * div_up(k, rows) * max(div_up(m, ways_k * ways_n), fill);
		run->stats->macs_useful += m * k * conv->n;
	}
	run->stats->macs_issued += cycles * (AXL_ARRAY_K / (size == 4 ? 8 : size)) * AXL_ARRAY_N;
	return cycles;
}

static uint64_t drain_cycles(const struct axl_drain *drain)
{
	uint64_t values = (uint64_t)drain->rows_h * drain->rows_w * drain->n;
	bool slow = drain->act1 >= AXL_ACT_SIGMOID || drain->act2 >= AXL_ACT_SIGMOID;

	return DRAIN_START + div_up(values, slow ? DRAIN_SLOW_RATE : DRAIN_RATE);
}

static uint64_t vec_cycles(struct run *run, const struct axl_vec *vec)
{
	static const uint8_t cost[256] = {
#define COST_ROW(name, number, class, domains, cycles, text) [number] = cycles,
		AXL_VEC_OPS(COST_ROW)
#undef COST_ROW
	};
	uint64_t elements = 1, size = max(exec_type_size((enum axl_type)vec->dst_type),
					  exec_type_size((enum axl_type)vec->src0_type));
	int inner = 4;
	bool dense;

	for (int d = 0; d < 5; d++)
		elements *= vec->dims[d];
	while (inner > 0 && vec->dims[inner] == 1)
		inner--;
	dense = (vec->dst_stride[inner] == (int32_t)exec_type_size((enum axl_type)vec->dst_type) ||
		 vec->reduce_mask >> inner & 1) &&
		(vec->src0_stride[inner] == (int32_t)exec_type_size((enum axl_type)vec->src0_type) ||
		 !vec->src0_stride[inner]) &&
		vec->op != AXL_VEC_GATHER;
	run->stats->vector_ops += elements;
	return VECTOR_START +
	       div_up(elements, dense ? VECTOR_LANES * (4 / max(size, 1)) : VECTOR_STRIDED) * cost[vec->op];
}

struct duration timing_compute(struct run *run, const struct lane *lane, const struct queued *queued, uint64_t start)
{
	struct duration took = {0};

	switch (queued->insn.header.opcode) {
	case AXL_OP_CONV:
	case AXL_OP_DWCONV:
		took.busy = conv_cycles(run, &queued->insn.conv);
		/* Back to back the weights of the next slice are in the shadow plane already. */
		took.end = start + took.busy + (start > lane->end + 16 || !lane->end ? ARRAY_LATENCY : 0);
		break;
	case AXL_OP_DRAIN:
		took.busy = drain_cycles(&queued->insn.drain);
		took.end = start + took.busy;
		break;
	default:
		took.busy = vec_cycles(run, &queued->insn.vec);
		took.end = start + took.busy;
	}
	took.issue = took.end;
	return took;
}
