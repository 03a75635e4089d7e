/* SPDX-License-Identifier: MIT */
/*
 * Where the cycles above the roofline went.
 *
 * Every cycle of every tile gets one class, by what runs in it. The unit that bounds the network (roofline.h) comes first, so
 * that its own inefficiency is seen whole; then the others in the order of the list: work that something else hides costs
 * nothing. Classes therefore add up to the cycles; less R, they add up to the gap, exactly.
 *
 *	matrix	 the array works				semaphore  nothing runs anywhere: signals and first words
 *	drain	 only the drain works				balance	   nothing runs here, something does on other tiles
 *	vector	 only the vector unit works			latency	   transfers are under way, none moves data
 *	data	 transfers move data, nothing computes here
 *
 * What is then said of causes: of the array's time, filling it and waiting for scratchpad banks are counted, the rest above
 * the MACs at their peak is padding: rows, columns and positions of the array that a layer leaves empty, or weights that come
 * through their port slower than positions stream. Of data, bytes beyond the compulsory ones are spill. Of latency, page walks
 * have the share that the transfers' own counters give them.
 */
#ifndef RUNTIME_LEDGER_H
#define RUNTIME_LEDGER_H

#include <stddef.h>
#include <stdint.h>

#include <accel/runtime.h>
#include <axl/axl_queue.h>

#include "compiler/report/roofline.h"

enum ledger_class {
	LEDGER_MATRIX,
	LEDGER_DRAIN,
	LEDGER_VECTOR,
	LEDGER_DATA,
	LEDGER_LATENCY,
	LEDGER_BALANCE,
	LEDGER_SEMAPHORE,
	LEDGER_NUM_CLASSES
};

/*
 * Of the regions of one run, added up. @cycles: tile-cycles by class; @fill, @bank: of the array's. @walks, @waits: cycles in which
 * transfers waited for page tables, and for memory. @bytes: moved.
 */
struct ledger {
	uint64_t cycles[LEDGER_NUM_CLASSES];
	uint64_t fill, bank, walks, waits, bytes;
};

/*
 * Add an execution of @cycles cycles on @tiles tiles, with its @stats and all its @records in the order in which they began. @bound: of
 * the network. 0, -ENOMEM (nothing is added then).
 */
int ledger_add(struct ledger *ledger, const struct axl_trace_record *records, size_t num_records,
	       const struct axl_exec_stats *stats, unsigned int tiles, uint64_t cycles, enum roofline_bound bound);

/* The causes of the gap above @roofline, cycles of the device; they add up to it. */
void ledger_causes(const struct ledger *ledger, const struct roofline *roofline, unsigned int tiles,
		   double causes[ACCEL_NUM_CAUSES]);

#endif
