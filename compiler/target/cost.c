/* SPDX-License-Identifier: MIT */
/* See cost.h; the formulas are those of the timing chapter of the specification (uapi/). */
#include "compiler/target/cost.h"

#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Rates of the pipes; the device model's own table is compared with these by the tests (cost against cycles). */
enum {
	WEIGHT_PORT = 128,    /* bytes a cycle into the shadow plane */
	ARRAY_LATENCY = 128,  /* first weights and skew, when the array was idle */
	DRAIN_RATE = 128,     /* values a cycle */
	DRAIN_SLOW_RATE = 32, /* with a transcendental activation */
	DRAIN_START = 32,
	VECTOR_START = 16,
	VECTOR_LANES = 64,
	VECTOR_STRIDED = 16,
	DWCONV_OUTPUTS = 128, /* values a cycle */
	DWCONV_TAPS = 32,     /* taps of one pass at two pixels a cycle */
	DRAM_LINE = 64,
};

static uint64_t div_up(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

static unsigned int element_bytes(enum axl_type type)
{
	return type == AXL_TYPE_F32 || type == AXL_TYPE_S32 ? 4 : type == AXL_TYPE_F16 || type == AXL_TYPE_BF16 ? 2 : 1;
}

/* Rows of the array that one cycle uses: 64 of 8 bits, half as many of 16, an eighth of binary32. */
static uint64_t slice_rows(enum axl_type type)
{
	return element_bytes(type) == 4 ? AXL_ARRAY_K / 8 : AXL_ARRAY_K / element_bytes(type);
}

uint64_t cost_conv(uint64_t m, uint64_t k, uint64_t n, enum axl_type type, unsigned int split)
{
	uint64_t ways_k = split & AXL_SPLIT_K ? 2 : 1, ways_n = split & AXL_SPLIT_N ? 2 : 1;
	uint64_t slice = slice_rows(type) / ways_k, columns = AXL_ARRAY_N / ways_n;
	uint64_t fill = slice * columns * element_bytes(type) / WEIGHT_PORT;

	return div_up(n, columns) * div_up(k, slice) * MAX(div_up(m, ways_k * ways_n), MAX(fill, 1));
}

unsigned int cost_best_split(uint64_t m, uint64_t k, uint64_t n, enum axl_type type)
{
	unsigned int best = 0;

	for (unsigned int split = 1; split <= (AXL_SPLIT_K | AXL_SPLIT_N); split++)
		if (cost_conv(m, k, n, type, split) < cost_conv(m, k, n, type, best))
			best = split;
	return best;
}

uint64_t cost_dwconv(uint64_t m, uint64_t taps, uint64_t channels, enum axl_type type)
{
	uint64_t pixels = DWCONV_OUTPUTS / AXL_ARRAY_N;

	return div_up(channels, AXL_ARRAY_N) * div_up(m, pixels) * div_up(taps, DWCONV_TAPS) * element_bytes(type);
}

uint64_t cost_drain(uint64_t m, uint64_t n, enum axl_act act)
{
	return DRAIN_START + div_up(m * n, act >= AXL_ACT_SIGMOID ? DRAIN_SLOW_RATE : DRAIN_RATE);
}

uint64_t cost_dma(const struct target *target, uint64_t bytes, uint64_t run)
{
	uint64_t lines = run >= DRAM_LINE || !run ? bytes : bytes / run * DRAM_LINE;

	return div_up(lines, target->dram_rate);
}

uint64_t cost_vec(enum axl_vec_op op, uint64_t elements, unsigned int size, int dense)
{
	static const uint8_t cost[] = {
#define VEC_COST(name, number, class, domains, cycles, text) [number] = cycles,
		AXL_VEC_OPS(VEC_COST)
#undef VEC_COST
	};
	uint64_t lanes = dense ? VECTOR_LANES * (4 / size) : VECTOR_STRIDED;

	return VECTOR_START + div_up(elements, lanes) * cost[op];
}
