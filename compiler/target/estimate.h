/* SPDX-License-Identifier: MIT */
/*
 * How long a finished command buffer takes: its instruction streams run in time only, against the same arithmetic as the device
 * (axl_timing.h, axl_contention.h), with nothing computed. What it does not know is data: which rows a gather reads. What it has
 * to assume is where the region's memory lies: buffers one behind the other in local memory, as libaccel binds them in a new
 * address space.
 */
#ifndef COMPILER_TARGET_ESTIMATE_H
#define COMPILER_TARGET_ESTIMATE_H

#include <stddef.h>
#include <stdint.h>

#include <axl/axl_queue.h>
#include <axl/axl_regs.h>

#include "compiler/target/target.h"

/*
 * Buffers from this size on get whole large pages (runtime/device.c): with small ones the walks take longer than the transfers,
 * and what is wasted is less than a large page for each buffer.
 */
#define ESTIMATE_LARGE_PAGES_FROM (AXL_LARGE_PAGE_BYTES / 8)

/*
 * struct estimate_job
 * @code:  a verified command buffer (verify.h), @code_bytes
 * @bases: bytes of the memory behind each base register, @num_bases
 */
struct estimate_job {
	const struct target *target;
	const uint8_t *code;
	uint64_t code_bytes;
	const uint64_t *bases;
	unsigned int num_bases;
};

/*
 * From one preemption point, or the start, to the next, or the end.
 * @cycles:	 the most of a tile from passing one to passing the other (compiler/report/preemption.h measures the same on the device)
 * @first, @last: least and greatest tag of its instructions; 1 and 0 where it has none
 */
struct estimate_stretch {
	uint64_t cycles;
	uint16_t first, last;
};

/*
 * @records: one an instruction, in the order in which they begin, as the device would trace them; malloc'ed, the caller's
 * @cycles:  of the whole; @lines: of memory that transfers move (AXL_T_LINE)
 * @stretches: between preemption points, in order; malloc'ed like the records
 */
struct estimate {
	struct axl_trace_record *records;
	size_t num_records;
	uint64_t cycles, lines;
	struct estimate_stretch *stretches;
	size_t num_stretches;
};

/* 0; -ENOMEM; -EDEADLK: streams that wait for each other for ever, which the verifier refuses. */
int estimate_run(const struct estimate_job *job, struct estimate *estimate);
void estimate_finish(struct estimate *estimate);

#endif
