/* SPDX-License-Identifier: MIT */
/* A region's instructions over time: of the run that a report is of, or by the compiler's estimate where there is no such run. */
#ifndef RUNTIME_CLI_REPORT_TIMELINE_H
#define RUNTIME_CLI_REPORT_TIMELINE_H

#include <axl/axl_queue.h>

#include "compiler/target/estimate.h"
#include "runtime/cli/compile_report.h"

/*
 * @records: @count instructions in the order in which they began, times in cycles from 0 to @cycles
 * @of_run:  they are the device's; else @estimate's
 */
struct timeline {
	const struct axl_trace_record *records;
	size_t count;
	uint64_t cycles;
	bool of_run;
	struct estimate estimate;
};

/*
 * The timeline of device region @region. -ENODATA: it did not run, and its target is none that is known here; errors as region_estimate().
 * timeline_finish() when it went well.
 */
int timeline_of_region(const struct report *report, uint32_t region, struct timeline *timeline);
void timeline_finish(struct timeline *timeline);

#endif
