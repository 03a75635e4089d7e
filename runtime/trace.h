/* SPDX-License-Identifier: MIT */
/*
 * The trace of a run, on one clock (CLOCK_MONOTONIC, ns): the thread of the run with its nodes and its copies to and from the device,
 * the threads of the pool, the packets of the device's queue, and what each pipe did meanwhile.
 *
 * The device counts cycles of work and does not know the host's clock. A packet begins when it was submitted, or when the one before it
 * in the queue had ended; it has ended when the thread of the run has seen that, which looks between two nodes. Its cycles are spread
 * over that time evenly: proportions within a packet are the device's, its place is the host's.
 *
 * One run at a time. All functions that record do nothing when @trace is NULL; what does not fit in memory is left out and counted.
 */
#ifndef RUNTIME_TRACE_H
#define RUNTIME_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <accel/runtime.h>

#include <axl/axl_queue.h>

struct runtime_trace;

/* Of a package with @num_regions regions. -ENOMEM. */
int runtime_trace_create(uint32_t num_regions, struct runtime_trace **trace);
void runtime_trace_destroy(struct runtime_trace *trace); /* NULL is fine */
/* @to, of the same package or of another, becomes what @from is. -ENOMEM: it is empty then. */
int runtime_trace_copy(struct runtime_trace *to, const struct runtime_trace *from);

/* ---- recording: on the thread of the run, but for runtime_trace_worker() ---- */

/* Forget the last run; this one begins. @device: what it runs on, or NULL; stays as long as the trace. */
void runtime_trace_begin(struct runtime_trace *trace, const char *device, uint64_t start);
void runtime_trace_end(struct runtime_trace *trace, uint64_t end);

/* @node runs from here on, as far as the pool's threads are concerned; then: when it ran. Indices of the package. */
void runtime_trace_node_begins(struct runtime_trace *trace, uint32_t node);
void runtime_trace_node(struct runtime_trace *trace, uint32_t node, uint64_t start, uint64_t end);
/* Thread @worker of the pool, from 1, worked for that node. Any thread. */
void runtime_trace_worker(struct runtime_trace *trace, size_t worker, uint64_t start, uint64_t end);

/*
 * @region was started: its inputs, @bytes, were copied from @start to @copied, and its packet was submitted at @submitted. One that was
 * under way already has been dropped, by a fault.
 */
void runtime_trace_submit(struct runtime_trace *trace, uint32_t region, uint64_t bytes, uint64_t start, uint64_t copied,
			  uint64_t submitted);
/* The thread waited for @region. */
void runtime_trace_wait(struct runtime_trace *trace, uint32_t region, uint64_t start, uint64_t end);
/*
 * The end of @region's packet was seen at @seen; from there to @copied its outputs, @bytes, were copied. @records: stats->trace_records of
 * them, which are copied; NULL: there are none.
 */
void runtime_trace_complete(struct runtime_trace *trace, uint32_t region, const struct axl_exec_stats *stats,
			    const struct axl_trace_record *records, uint64_t bytes, uint64_t seen, uint64_t copied);
/* From @start to @end the thread read what the device had recorded: time that is not the run's. */
void runtime_trace_analysis(struct runtime_trace *trace, uint32_t region, uint64_t start, uint64_t end);

/* ---- what was recorded ---- */

/*
 * Instructions of @region in the order in which they began, *count of them; until the next run. NULL: the region did not run on a device,
 * or records of it were lost.
 */
const struct axl_trace_record *runtime_trace_records(const struct runtime_trace *trace, uint32_t region, size_t *count);

/*
 * Write it for Perfetto and chrome://tracing (trace_write.c says in which form). @stats: of the same run, for the names of nodes. A
 * file's errno; -ENOMEM.
 */
int runtime_trace_write(const struct runtime_trace *trace, const struct accel_run_stats *stats, const char *path);

#endif
