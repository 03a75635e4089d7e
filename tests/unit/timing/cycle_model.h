/* SPDX-License-Identifier: MIT */
/*
 * The core once more, cycle by cycle: every cycle each sequencer reads a slot, each pipe that may starts an
 * instruction, the memories serve their transfers, the scratchpad's ports are handed out, and what is done signals.
 * Slow and plain: the event-driven timing of sim/core is compared with it. It moves no data. The rates are those of
 * <axl/axl_timing.h>; what a transfer touches, how the array passes over a product and who waits for whom is worked out
 * here on its own.
 */
#ifndef TESTS_UNIT_TIMING_CYCLE_MODEL_H
#define TESTS_UNIT_TIMING_CYCLE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include <axl/axl_isa.h>

struct cycle_config {
	uint32_t dram_rate, dram_latency, host_rate, host_latency, spad_banks;
	uint64_t host_from; /* virtual addresses from here on are host memory */
};

/*
 * Cycles of the command buffer; 0: it does not end (a deadlock), or more than @limit. Legal buffers only. @bases: its
 * base registers.
 */
uint64_t cycle_model_run(const struct cycle_config *config, const uint8_t *code, const uint64_t *bases, uint64_t limit);

#endif
