/* SPDX-License-Identifier: MIT */
/* The report of a compiled model: where its cycles go, and below how many nothing can get. */
#ifndef RUNTIME_CLI_COMPILE_REPORT_H
#define RUNTIME_CLI_COMPILE_REPORT_H

#include "runtime/cli/package_input.h"

/*
 * Write the report on @input to options->report. The package runs once on the in-process device of its target, so that cycles are
 * the device's; what it is not made for (a package for the CPU alone) has none, and says so. An exit code, after a complaint.
 */
int compile_report(const struct options *options, const struct package_input *input);

#endif
