/* SPDX-License-Identifier: MIT */
/*
 * LOAD and STORE: the block is walked along its innermost dimension; each stretch of memory is translated page by page
 * and moved. Memory is touched only where the context's page tables lead.
 */
#include <axl/axl_timing.h>
#include <errno.h>
#include <string.h>

#include "sim/core/engine_internal.h"

/* A walk over one transfer. @page: the last translation; @va..@va_end it covers. */
struct walk {
	struct run *run;
	unsigned int tile;
	struct queued *queued;
	const struct axl_dma *dma;
	bool load;
	size_t mem_size, spad_size;
	struct engine_page page;
	uint64_t va, va_end;
	uint64_t last_line, last_row, run_lines;
};

static int dma_fault(struct walk *walk, enum axl_cause cause, uint64_t address)
{
	struct engine_fault *fault = walk->run->fault;

	if (!fault->cause)
		fault->cause = cause;
	fault->address = address;
	fault->access = walk->load ? AXL_ACCESS_READ : AXL_ACCESS_WRITE;
	fault->tile = (uint8_t)walk->tile;
	fault->offset = walk->queued->offset;
	fault->insn = walk->queued->insn;
	fault->pipe = walk->queued->insn.header.pipe;
	fault->tag = walk->queued->insn.header.tag;
	return -EFAULT;
}

/* Host pointer to @va; *bytes how far it is good. */
static int reach(struct walk *walk, uint64_t va, uint8_t **host, uint64_t *bytes)
{
	const struct engine_job *job = walk->run->job;

	if (va < walk->va || va >= walk->va_end) {
		if (job->memory->translate(job->memory_opaque, va, walk->load ? AXL_ACCESS_READ : AXL_ACCESS_WRITE,
					   &walk->page, walk->run->fault))
			return dma_fault(walk, AXL_CAUSE_NOT_MAPPED, va);
		walk->va = va;
		walk->va_end = va + walk->page.bytes;
		walk->queued->walks += walk->page.walk;
		walk->queued->host |= !walk->page.local;
	}
	*host = walk->page.host + (va - walk->va);
	*bytes = walk->va_end - va;
	return 0;
}

/* Bursts: lines of 64 bytes that this stretch touches, not counting the one it shares with the stretch before. */
static void count_lines(struct walk *walk, uint64_t va, uint64_t bytes)
{
	uint64_t first = va / AXL_T_LINE, last = (va + bytes - 1) / AXL_T_LINE, lines;
	uint64_t first_row = va / AXL_T_ROW_BYTES, last_row = (va + bytes - 1) / AXL_T_ROW_BYTES;
	bool follows = first == walk->last_line + 1 || first == walk->last_line;

	lines = last - first + (first != walk->last_line);
	walk->queued->bytes += bytes;
	walk->queued->lines += lines;
	walk->queued->rows += last_row - first_row + (first_row != walk->last_row);
	/* Bursts that follow each other share a packet up to its largest payload. */
	walk->run_lines = follows ? walk->run_lines + lines : lines;
	walk->queued->packets += axl_div_up(walk->run_lines * AXL_T_LINE, AXL_T_TLP_BYTES) -
				 (follows ? axl_div_up((walk->run_lines - lines) * AXL_T_LINE, AXL_T_TLP_BYTES) : 0);
	walk->last_line = last;
	walk->last_row = last_row;
}

/* @count elements, @va dense in memory, at @spad with @stride in the scratchpad of @memory. */
static int move_dense(struct walk *walk, const struct exec_memory *memory, uint64_t va, int64_t spad, int64_t stride,
		      uint64_t count)
{
	while (count) {
		uint8_t *host;
		uint64_t bytes, n;
		_Alignas(8) uint8_t straddle[8];
		int err = reach(walk, va, &host, &bytes);

		if (err)
			return err;
		n = bytes / walk->mem_size;
		if ((uintptr_t)host % walk->mem_size)
			n = 0; /* memory addresses may be anything: one element at a time */
		if (!n) {      /* misaligned, or across two pages: byte by byte */
			uint8_t *at = memory->spad + spad;

			if (!walk->load)
				exec_convert(straddle, walk->dma->mem_type, at, walk->dma->spad_type, 1);
			for (size_t b = 0; b < walk->mem_size; b++) {
				err = reach(walk, va + b, &host, &bytes);
				if (err)
					return err;
				if (walk->load)
					straddle[b] = *host;
				else
					*host = straddle[b];
			}
			if (walk->load)
				exec_convert(at, walk->dma->spad_type, straddle, walk->dma->mem_type, 1);
			n = 1;
		} else {
			n = n < count ? n : count;
			if (stride == (int64_t)walk->spad_size) {
				if (walk->load)
					exec_convert(memory->spad + spad, walk->dma->spad_type, host,
						     walk->dma->mem_type, n);
				else
					exec_convert(host, walk->dma->mem_type, memory->spad + spad,
						     walk->dma->spad_type, n);
			} else {
				for (uint64_t i = 0; i < n; i++) {
					uint8_t *at = memory->spad + spad + (int64_t)i * stride,
						*mem = host + i * walk->mem_size;

					if (walk->load)
						exec_convert(at, walk->dma->spad_type, mem, walk->dma->mem_type, 1);
					else
						exec_convert(mem, walk->dma->mem_type, at, walk->dma->spad_type, 1);
				}
			}
		}
		va += n * walk->mem_size;
		spad += (int64_t)n * stride;
		count -= n;
	}
	return 0;
}

static void fill_row(const struct walk *walk, const struct exec_memory *memory, int64_t spad, int64_t stride,
		     uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		memcpy(memory->spad + spad + (int64_t)i * stride, &walk->dma->fill, walk->spad_size);
}

/* The innermost row of the block whose outer indices give @va and @spad; @inside: outer indices are all in range. */
static int move_row(struct walk *walk, const struct exec_memory *memory, uint64_t va, int64_t spad, bool inside,
		    bool count)
{
	const struct axl_dma *dma = walk->dma;
	uint64_t n = dma->dims[4], lo = dma->lo[4], hi = dma->hi[4] && dma->hi[4] < n ? dma->hi[4] : n;
	int64_t stride = dma->spad_stride[4];
	int err = 0;

	lo = !inside || lo > n ? n : lo;
	hi = hi < lo ? lo : hi;
	if (walk->load) {
		fill_row(walk, memory, spad, stride, lo);
		fill_row(walk, memory, spad + (int64_t)hi * stride, stride, n - hi);
	}
	if (lo == hi)
		return 0;
	spad += (int64_t)lo * stride;
	if (dma->mem_stride[4] == (int32_t)walk->mem_size || hi - lo == 1) {
		if (count)
			count_lines(walk, va, (hi - lo) * walk->mem_size);
		return move_dense(walk, memory, va, spad, stride, hi - lo);
	}
	for (uint64_t i = 0; i < hi - lo && !err; i++) {
		uint64_t at = va + (uint64_t)((int64_t)i * dma->mem_stride[4]);

		if (count)
			count_lines(walk, at, walk->mem_size);
		err = move_dense(walk, memory, at, spad + (int64_t)i * stride, stride, 1);
	}
	return err;
}

/* Row of dimension 0 by the index table; -EFAULT when it is out of range. */
static int look_up(struct walk *walk, uint32_t i, int64_t *row)
{
	const struct axl_dma *dma = walk->dma;
	uint32_t address = dma->index_addr + 4 * (i - dma->lo[0]);
	int32_t index;

	memcpy(&index, walk->run->memory[walk->tile].spad + address, 4);
	if (index < 0 || (uint32_t)index >= dma->index_limit)
		return dma_fault(walk, AXL_CAUSE_INDEX, address);
	*row = index;
	return 0;
}

static int move_block(struct walk *walk, const struct exec_memory *memory, bool count)
{
	const struct axl_dma *dma = walk->dma;
	uint64_t start = walk->queued->base + dma->offset;
	uint32_t at[4] = {0};

	for (int d = 0; d >= 0;) {
		int64_t spad = dma->spad;
		uint64_t va = start;
		bool inside = true;
		int err = 0;

		for (int k = 0; k < 4; k++) {
			uint32_t hi = dma->hi[k] && dma->hi[k] < dma->dims[k] ? dma->hi[k] : dma->dims[k];
			int64_t row = (int64_t)at[k] - dma->lo[k];

			spad += (int64_t)at[k] * dma->spad_stride[k];
			inside &= at[k] >= dma->lo[k] && at[k] < hi;
			if (k == 0 && inside && dma->dma_flags & AXL_DMA_GATHER)
				err = look_up(walk, at[0], &row);
			va += (uint64_t)(row * dma->mem_stride[k]);
		}
		if (!err)
			err = move_row(walk, memory, va, spad, inside, count);
		if (err)
			return err;
		for (d = 3; d >= 0; d--) {
			if (++at[d] < dma->dims[d])
				break;
			at[d] = 0;
		}
	}
	return 0;
}

int dma_run(struct run *run, unsigned int tile, struct queued *queued)
{
	const struct axl_dma *dma = &queued->insn.dma;
	struct walk walk = {.run = run,
			    .tile = tile,
			    .queued = queued,
			    .dma = dma,
			    .load = dma->header.opcode == AXL_OP_LOAD,
			    .mem_size = exec_type_size(dma->mem_type),
			    .spad_size = exec_type_size(dma->spad_type),
			    .last_line = ~0ull - 1,
			    .last_row = ~0ull};
	uint8_t tiles = dma->tiles ? dma->tiles : (uint8_t)(1u << tile);
	bool first = true;

	queued->bytes = queued->lines = queued->rows = queued->packets = queued->walks = 0;
	queued->host = false;
	for (unsigned int t = 0; t < run->header.num_tiles; t++) {
		int err = tiles >> t & 1 ? move_block(&walk, &run->memory[t], first) : 0;

		if (err)
			return err;
		first &= !(tiles >> t & 1);
	}
	run->stats->bytes[dma->purpose][queued->host] += queued->bytes;
	run->stats->bytes[5][1] += queued->walks * 8;
	run->stats->tlb_misses += queued->walks > 0;
	return 0;
}
