/* SPDX-License-Identifier: MIT */
/*
 * What a person sees of a run: the partition table, the slowest nodes, totals; and the same figures as JSON.
 */
#ifndef RUNTIME_CLI_REPORT_H
#define RUNTIME_CLI_REPORT_H

#include <accel/runtime.h>

#include "runtime/cli/command.h"
#include "runtime/cli/json.h"

void report_regions(const struct accel_run_stats *stats, FILE *out);
void report_nodes(const struct accel_run_stats *stats, size_t most, FILE *out); /* slowest first */
void report_reasons(const struct accel_run_stats *stats, FILE *out);            /* nodes on the CPU, and why */
void report_notes(const struct accel_run_stats *stats,
		  const struct options *options); /* of the cache and the opset; --verbose: counts */
void report_json(const struct accel_run_stats *stats, struct json *json);

#endif
