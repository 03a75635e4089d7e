/* SPDX-License-Identifier: MIT */
/* See cost.h. */
#include "compiler/target/cost.h"

#include <axl/axl_timing.h>

uint64_t cost_conv(uint64_t m, uint64_t k, uint64_t n, enum axl_type type, unsigned int split)
{
	return axl_conv_cycles(m, k, n, type, split);
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
	return axl_dwconv_cycles(m, taps, channels, type);
}

uint64_t cost_drain(uint64_t m, uint64_t n, enum axl_act act)
{
	return axl_drain_cycles(m * n, axl_act_is_slow(act));
}

uint64_t cost_dma(const struct target *target, uint64_t bytes, uint64_t run)
{
	uint64_t lines = run >= AXL_T_LINE || !run ? axl_div_up(bytes, AXL_T_LINE) : bytes / run;

	return axl_local_cycles(lines, 0, target->dram_rate);
}

uint64_t cost_vec(enum axl_vec_op op, uint64_t elements, unsigned int size, int dense)
{
	return axl_vec_cycles(op, elements, size, dense);
}
