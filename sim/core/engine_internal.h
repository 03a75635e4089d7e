/* SPDX-License-Identifier: MIT */
/* State of one execution, shared by the engine, the DMA pipes and the timing. */
#ifndef SIM_CORE_ENGINE_INTERNAL_H
#define SIM_CORE_ENGINE_INTERNAL_H

#include <axl/axl_contention.h>

#include "sim/core/engine.h"
#include "sim/core/exec.h"
#include "sim/core/race.h"

/* An instruction in a pipe's FIFO. @base: of a transfer, when the sequencer read it. DMA results: filled in by
 * dma_run(). */
struct queued {
	union axl_insn insn;
	uint32_t offset;
	uint32_t epoch; /* YIELDs before it */
	uint64_t dispatched;
	uint64_t base;
	uint64_t bytes, lines, rows, packets; /* moved; in bursts; rows of memory opened; PCIe packets */
	uint32_t walks;
	bool host;
};

/*
 * @flows: transfers that may not have ended yet, oldest first
 * @free: when the next instruction may start; @end: when the last one ended (DMA pipes overlap latencies)
 * @slot_free: when the FIFO last gave a place back; @accounted: cycles attributed so far
 */
struct lane {
	struct queued *fifo; /* AXL_FIFO_DEPTH */
	unsigned int head, count;
	uint64_t free, end, slot_free, accounted;
	struct axl_pipe_flows flows;
};

/* @clock: what the signaller knew; race-check mode only. */
struct grant {
	uint64_t time;
	uint32_t count;
	struct race_clock *clock;
};

/* Signals not taken yet, oldest first; value is their sum. */
struct semaphore {
	struct grant *grants;
	size_t first, used, capacity;
	uint32_t value;
};

struct sequencer {
	uint32_t at, end;
	uint64_t time;
	uint64_t bases[AXL_NUM_BASES];
	struct {
		uint32_t start, left;
	} loops[AXL_LOOP_DEPTH];
	int depth;
	uint32_t yields;    /* passed so far */
	bool ended, parked; /* parked: stands at the YIELD at which the buffer is suspended */
};

struct tile {
	struct lane lanes[AXL_NUM_PIPES];
	struct sequencer seq;
	struct semaphore local[AXL_LOCAL_SEMS];
	struct axl_ports ports;
	/* Last: the one part that a new execution does not clear, because entries are written whole. */
	struct queued fifos[AXL_NUM_PIPES][AXL_FIFO_DEPTH];
};

/*
 * @suspend_at: the number of the YIELD at which all tiles stop, 0: none
 * @polls: sequencer steps and instructions since the last question to @job->stop
 * @tiles: as many as the engine has, and no more: of what a small command buffer costs, clearing them is most
 */
struct run {
	struct engine *engine;
	const struct engine_config *config;
	struct exec_memory *memory; /* by tile */
	const struct engine_job *job;
	struct axl_cmdbuf header;
	struct semaphore global[AXL_GLOBAL_SEMS];
	struct axl_channel dram, host;
	uint64_t end;
	uint32_t suspend_at;
	unsigned int polls;
	struct race *race; /* NULL: not checked */
	struct axl_exec_stats *stats;
	struct engine_fault *fault;
	struct tile tiles[];
};

/*
 * @issue: when the pipe may start the next; @busy, @banks, @walks: cycles of the whole that were work, waiting for the
 * scratchpad's ports, and page walks
 */
struct duration {
	uint64_t end, issue, busy, banks, walks;
	bool host;
};

/* Move the data of a LOAD or STORE. -EFAULT with the fault filled in. */
int dma_run(struct run *run, unsigned int tile, struct queued *queued);

struct duration timing_dma(struct run *run, unsigned int tile, unsigned int pipe, const struct queued *queued,
			   uint64_t start);
struct duration timing_compute(struct run *run, unsigned int tile, const struct lane *lane, const struct queued *queued,
			       uint64_t start);

#endif
