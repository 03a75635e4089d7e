/* SPDX-License-Identifier: MIT */
/*
 * The tile engine: runs one command buffer on the tiles, in function and in time.
 *
 * Knows the sequencer, the pipes, semaphores, counters, races, deadlocks and the timing of every memory. Knows nothing
 * of queues, packets, registers or interrupts (sim/core/device.h), nor of what an instruction computes (exec.h).
 *
 * One execution gives the results and the cycles. Timing is event driven and depends only on the instruction streams
 * and on addresses, never on the host: any number of host threads, and any speed of the host, gives the same bits and
 * the same cycles.
 */
#ifndef SIM_CORE_ENGINE_H
#define SIM_CORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <axl/axl_isa.h>
#include <axl/axl_queue.h>
#include <axl/axl_regs.h>

/*
 * Sizes and speeds of a device; the named targets are rows of engine_configs[]. All rates are bytes a device cycle, all
 * latencies cycles. Where each figure comes from is said in sim/README.md.
 */
struct engine_config {
	const char *name;
	uint32_t tiles;
	uint32_t spad_bytes;
	uint32_t acc_bytes;
	uint32_t clock_khz;
	uint64_t mem_bytes;
	uint32_t dram_rate;
	uint32_t dram_latency;
	uint32_t host_rate;
	uint32_t host_latency;
	uint32_t spad_banks;
};

extern const struct engine_config engine_configs[]; /* "axl-edge", "axl-pro"; ends with name NULL */
const struct engine_config *engine_config_find(const char *name);

/*
 * Virtual memory as the engine sees it, provided by the MMU (mmu.h): translate one page.
 * @host:  where the byte at @va lies in this process; valid until the engine reports the access done (engine_run
 * returns)
 * @bytes: how many bytes from @va the translation covers
 * @local: local memory, else host memory over PCIe
 * @walk:  memory accesses the page walk made; 0 when the TLB had it
 */
struct engine_page {
	uint8_t *host;
	uint64_t bytes;
	bool local;
	uint8_t walk;
};

struct engine_fault {
	enum axl_cause cause;
	enum axl_access access;
	uint8_t level;
	uint8_t tile;
	uint8_t pipe;
	uint32_t offset;
	uint32_t other_offset;
	uint64_t address;
	uint16_t tag;
	union axl_insn insn;
	uint8_t sems[AXL_LOCAL_SEMS + AXL_GLOBAL_SEMS];
	uint32_t pipe_offset[8];
};

struct engine_memory_ops {
	/* 0, or -EFAULT with cause and level set in *fault. Called from the engine's own thread only. */
	int (*translate)(void *opaque, uint64_t va, enum axl_access access, struct engine_page *page,
			 struct engine_fault *fault);
};

/*
 * One execution.
 * @cmdbuf:  a private copy of the whole buffer, @size bytes, header not yet checked
 * @bases:   base registers, AXL_NUM_BASES of them (0 where the buffer has fewer)
 * @start:   device cycle at which it starts
 * @watchdog: own cycles (not those while it was suspended) after which AXL_CAUSE_WATCHDOG faults; 0: none
 * @stop:    asked at YIELDs and every few thousand instructions; see enum engine_stop
 * @trace:   @trace_max records, or NULL
 */
enum engine_stop { ENGINE_GO = 0, ENGINE_PREEMPT = 1 /* at the next YIELD */, ENGINE_KILL = 2 /* now */ };

struct engine_job {
	const uint8_t *cmdbuf;
	uint32_t size;
	uint64_t bases[AXL_NUM_BASES];
	uint64_t start;
	uint64_t watchdog;
	bool race_check;
	bool timing; /* false: results only; stats hold no cycles */
	const struct engine_memory_ops *memory;
	void *memory_opaque;
	enum engine_stop (*stop)(void *opaque);
	void *stop_opaque;
	struct axl_trace_record *trace;
	size_t trace_max;
};

struct engine;
struct engine_state; /* a suspended execution */

/* @threads: host threads that compute, 0: one per processor. -ENOMEM, -EAGAIN. */
int engine_create(const struct engine_config *config, unsigned int threads, struct engine **engine);
void engine_destroy(struct engine *engine);

/*
 * Run @job, or go on with *state when it is not NULL.
 * 0: ended. -EINTR: suspended at a YIELD, *state holds it: give it back later with the same job, or drop it with
 * engine_state_destroy(); what the tiles hold is lost. -ECANCELED: killed. -EFAULT: *fault says why. In every case
 * *stats holds what was used so far, by all pieces of the execution. One thread at a time for an engine.
 */
int engine_run(struct engine *engine, const struct engine_job *job, struct engine_state **state,
	       struct axl_exec_stats *stats, struct engine_fault *fault);
void engine_state_destroy(struct engine_state *state);

/* Own cycles that the execution in engine_run() has come to, or the last one came to; for its stop callback. */
uint64_t engine_cycles(const struct engine *engine);

/* Forget (zero) scratchpads and accumulators: between two contexts. */
void engine_scrub(struct engine *engine);

#endif
