/* SPDX-License-Identifier: MIT */
/* See cost.h. */
#include "compiler/target/cost.h"

#include <stdbool.h>

#include <axl/axl_access.h>
#include <axl/axl_regs.h>
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

/* ---- finished instructions ---- */

/* A walk over a transfer's memory. @page, @page_end: the last page it was in; @count: bursts too, not page walks only. */
struct bursts {
	struct cost_transfer *to;
	struct cost_memory *memory;
	uint64_t last_line, last_row, page, page_end;
	bool count;
};

/* Page by page; a span of large pages may end in small ones. */
static void walk_pages(struct bursts *bursts, uint64_t at, uint64_t bytes)
{
	for (uint64_t end = at + bytes; at < end; at = bursts->page_end) {
		const struct cost_span *span = bursts->memory->span;
		uint64_t large = at & ~(uint64_t)(AXL_LARGE_PAGE_BYTES - 1);
		bool is_large = false;

		if (at >= bursts->page && at < bursts->page_end)
			continue;
		for (int i = 0; i < AXL_NUM_BASES && !is_large; i++)
			is_large = large >= span[i].address &&
				   large + AXL_LARGE_PAGE_BYTES <= span[i].address + span[i].bytes;
		bursts->page = at;
		bursts->page_end = is_large ? large + AXL_LARGE_PAGE_BYTES
					    : (at & ~(uint64_t)(AXL_PAGE_BYTES - 1)) + AXL_PAGE_BYTES;
		bursts->to->walks += axl_tlb_access(&bursts->memory->tlb, at, is_large);
	}
}

/* Bytes [@at, @at + @bytes) behind those counted so far. */
static void count_bursts(struct bursts *bursts, uint64_t at, uint64_t bytes)
{
	uint64_t line = at / AXL_T_LINE, last_line = (at + bytes - 1) / AXL_T_LINE;
	uint64_t row = at / AXL_T_ROW_BYTES, last_row = (at + bytes - 1) / AXL_T_ROW_BYTES;

	if (bursts->memory && (at < bursts->page || at + bytes > bursts->page_end))
		walk_pages(bursts, at, bytes);
	if (!bursts->count)
		return;
	bursts->to->bytes += bytes;
	bursts->to->lines += last_line - line + (line != bursts->last_line);
	bursts->to->rows += last_row - row + (row != bursts->last_row);
	bursts->last_line = last_line;
	bursts->last_row = last_row;
}

/* The innermost dimension of a block, from its first element at @at. */
static void count_row(struct bursts *bursts, const struct axl_dma *dma, uint64_t at)
{
	uint64_t size = access_type_bytes(dma->mem_type), n = dma->dims[4], lo = dma->lo[4];
	uint64_t hi = dma->hi[4] && dma->hi[4] < n ? dma->hi[4] : n;

	if (lo >= hi)
		return;
	if (dma->mem_stride[4] == (int32_t)size || hi - lo == 1) {
		count_bursts(bursts, at, (hi - lo) * size);
		return;
	}
	for (uint64_t i = 0; i < hi - lo; i++)
		count_bursts(bursts, at + (uint64_t)((int64_t)i * dma->mem_stride[4]), size);
}

static void count_block(struct bursts *bursts, const struct axl_dma *dma, uint64_t address)
{
	uint32_t count[4], at[4] = {0};

	for (int d = 0; d < 4; d++) {
		uint32_t hi = dma->hi[d] && dma->hi[d] < dma->dims[d] ? dma->hi[d] : dma->dims[d];

		if (dma->lo[d] >= hi)
			return;
		count[d] = hi - dma->lo[d];
	}
	for (int d = 0; d >= 0;) {
		uint64_t place = address + dma->offset;

		/* Which rows a gather reads, only the run tells: it is taken to read the first ones. */
		for (int k = 0; k < 4; k++)
			place += (uint64_t)((int64_t)at[k] * dma->mem_stride[k]);
		count_row(bursts, dma, place);
		for (d = 3; d >= 0; d--) {
			if (++at[d] < count[d])
				break;
			at[d] = 0;
		}
	}
}

void cost_transfer(const struct axl_dma *dma, uint64_t address, unsigned int tiles, struct cost_memory *memory,
		   struct cost_transfer *transfer)
{
	struct bursts bursts = {transfer, memory, ~0ull - 1, ~0ull, 0, 0, true};

	*transfer = (struct cost_transfer){0};
	for (unsigned int copy = 0; copy < (memory ? tiles : 1); copy++) {
		count_block(&bursts, dma, address);
		bursts.count = false; /* memory is read once, but addresses are translated for each copy */
	}
}

uint64_t cost_compute(const union axl_insn *insn, uint32_t *demand)
{
	uint32_t ignored;

	return axl_compute_cycles(insn, demand ? demand : &ignored);
}
