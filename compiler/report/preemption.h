/* SPDX-License-Identifier: MIT */
/*
 * How long another queue may have to wait for the tiles, from the trace of an execution.
 *
 * A tile reaches a YIELD when its sequencer reads it, and has passed it when all instructions before it have ended: that is when a
 * suspended tile stands. The sequencer runs ahead of the pipes by what their FIFOs hold, so a request that comes just too late for
 * one YIELD waits for longer than from one passing to the next.
 */
#ifndef COMPILER_REPORT_PREEMPTION_H
#define COMPILER_REPORT_PREEMPTION_H

#include <stddef.h>
#include <stdint.h>

#include <axl/axl_queue.h>

/*
 * struct preemption
 * @yields:   of each tile
 * @distance: most cycles of a tile from passing a YIELD (or the start) to passing the next (or the end)
 * @tag:	    of the last instruction before the YIELD, or the end, that closes @distance
 * @latency:  most cycles from a request to where all tiles stand at the YIELD that was then chosen, or at the end
 */
struct preemption {
	uint32_t yields;
	uint64_t distance;
	uint16_t tag;
	uint64_t latency;
};

/*
 * Of a verified command buffer @code and the records of one whole execution that was not suspended. 0; -ENOMEM; -EINVAL: records
 * are missing or not of this buffer.
 */
int preemption_measure(const uint8_t *code, const struct axl_trace_record *records, size_t num_records,
		       struct preemption *preemption);

#endif
