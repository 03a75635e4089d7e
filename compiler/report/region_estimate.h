/* SPDX-License-Identifier: MIT */
/* The estimate of a packaged region: its instructions in time, as the compiler saw them. */
#ifndef COMPILER_REPORT_REGION_ESTIMATE_H
#define COMPILER_REPORT_REGION_ESTIMATE_H

#include "compiler/package/axm.h"
#include "compiler/target/estimate.h"

/* Region @region is one of the device; @target: what it was compiled for, or that with other speeds. Errors as estimate_run(). */
int region_estimate(const struct axm *axm, uint32_t region, const struct target *target, struct estimate *estimate);

#endif
