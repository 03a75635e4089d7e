/* SPDX-License-Identifier: MIT */
/* The report of a compiled model: where its cycles go, and below how many nothing can get. */
#ifndef RUNTIME_CLI_COMPILE_REPORT_H
#define RUNTIME_CLI_COMPILE_REPORT_H

#include <accel/runtime.h>

#include "compiler/report/in_order.h"
#include "compiler/report/node_work.h"
#include "compiler/report/roofline.h"
#include "runtime/cli/package_input.h"

/*
 * What a report is made of.
 * @total: of all device nodes; @in_order: the bound of layers one after the other; @work: by node of the regions
 * @stats: of the run; num_nodes is 0 when there was none, and why is @not_run
 * @session: that ran, traced; NULL when there was no run
 * @ran_on: the device
 */
struct report {
	const struct options *options;
	const struct axm *axm;
	struct roofline total;
	double in_order;
	struct node_work *work;
	struct accel_run_stats stats;
	const struct accel_session *session;
	const char *ran_on;
	char not_run[600];
};

/*
 * Write the report on @input to options->report: a page when the name ends in .html, else JSON. The package runs once on the in-process
 * device of its target, so that cycles are the device's; what it is not made for (a package for the CPU alone) has none, and says so.
 * An exit code, after a complaint.
 */
int compile_report(const struct options *options, const struct package_input *input);

/*
 * The same report of a run that has been: the last one of @session, traced, of the package that it started with, on options->device;
 * @stats: of it. To @path. An exit code, after a complaint.
 */
int run_report(const struct options *options, const struct accel_session *session, const struct accel_run_stats *stats,
	       const char *path);

/* Does the name ask for a page? */
bool report_is_page(const char *path);

/* Cycles of a node, or of all: of the run, else of the compiler's estimate. */
uint64_t report_node_cycles(const struct report *report, uint32_t node);
uint64_t report_cycles(const struct report *report);
/* Bytes that all device nodes move. */
uint64_t report_bytes(const struct report *report);
/* The compiler's estimate of all device regions. */
uint64_t report_estimate(const struct axm *axm);
/* The device region that takes longest by the estimate; the number of regions when there is none. */
uint32_t report_region(const struct report *report);
/*
 * What bounds @count nodes from @first on together: the unit that works longest, where it works at least half of their time ("matrix",
 * "drain", "vector", "local memory"), else "dependence"; but "PCIe" where what they get from the host and give back takes longer over
 * PCIe than they do.
 */
const char *report_bound(const struct report *report, uint32_t first, uint32_t count);
/* Cycles for the bytes that these nodes are the first to need from outside the device's region, or that leave it, at the rate of PCIe. */
double report_pcie_cycles(const struct report *report, uint32_t first, uint32_t count);

/* How the tiles of the target divide the work: "-" (there is one), "rows", "channels" or "parts" (of a cut image). */
const char *report_tiles_share(const struct axm *axm, const struct axm_tiling *tiling);
/* Why the search took @taken and not @other, of one search: a phrase. */
const char *report_why_lost(const struct axm_tiling *taken, const struct axm_tiling *other);

#endif
