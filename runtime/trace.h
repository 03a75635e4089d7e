/* SPDX-License-Identifier: MIT */
/*
 * The trace of a run: device pipes and CPU nodes on one clock (CLOCK_MONOTONIC, ns), written in the Chrome trace format
 * ("Trace Event Format", complete events) that Perfetto and chrome://tracing open.
 *
 * Device cycles are mapped to the wall clock linearly over the region's run: the picture's proportions inside a region
 * are modelled time, its place is real time.
 */
#ifndef RUNTIME_TRACE_H
#define RUNTIME_TRACE_H

#include <stdbool.h>

#include <axl/axl_queue.h>

#include "compiler/package/axm.h"

struct runtime_trace;

int runtime_trace_create(struct runtime_trace **trace);
void runtime_trace_destroy(struct runtime_trace *trace);
/* All of these do nothing when @trace is NULL; what does not fit in memory is left out and counted. */
void runtime_trace_reset(struct runtime_trace *trace);
void runtime_trace_cpu(struct runtime_trace *trace, const char *name, const char *op_type, uint64_t start,
		       uint64_t end);
void runtime_trace_device(struct runtime_trace *trace, const struct axm *axm, uint64_t start, uint64_t end,
			  uint64_t cycles, const struct axl_trace_record *records, size_t count);
int runtime_trace_write(const struct runtime_trace *trace, const char *path);

#endif
