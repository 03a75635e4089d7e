/* SPDX-License-Identifier: MIT */
/*
 * A package made ready to run: its values' memory, its CPU nodes prepared, its device code uploaded. A session has one for each set of
 * input shapes that it compiled for. Not thread-safe: the session runs one request at a time.
 */
#ifndef RUNTIME_PLAN_H
#define RUNTIME_PLAN_H

#include <accel/runtime.h>

#include "compiler/package/axm.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/tensor.h"
#include "runtime/device.h"
#include "runtime/trace.h"

struct plan;

/* What all plans of a session share; outlives them. @device is NULL for "cpu"; @trace may be NULL. */
struct plan_host {
	struct runtime_device *device;
	struct cpu_pool *pool;
	struct runtime_trace *trace;
};

/*
 * Takes over @axm and, when it is not NULL, @bytes, the malloc'ed package that @axm looks into (both also on failure). -ENOTSUP: a
 * CPU node without a kernel; -ENODEV: device code and no device; what uploading gives; -ENOMEM. The reason is in @error.
 */
int plan_create(const struct plan_host *host, struct axm *axm, uint8_t *bytes, bool trace, struct plan **plan,
		char *error, size_t size);
void plan_destroy(struct plan *plan);

const struct axm *plan_package(const struct plan *plan);

/*
 * Does @input fit input @index? 0; 1: all but symbolic dimensions fit, so that a plan for its shape is possible; -EINVAL with what is
 * wrong in @error.
 */
int plan_check_input(const struct plan *plan, size_t index, const struct tensor *input, char *error, size_t size);

/* Run once. @inputs: checked with plan_check_input(), borrowed for the call. Errors as accel_session_run(). */
int plan_run(struct plan *plan, const struct tensor *inputs, char *error, size_t size);

/* Output @index of the last run; the plan's, until its next run. */
const struct tensor *plan_output(const struct plan *plan, size_t index);

/* Figures of the last run. */
const struct accel_run_stats *plan_stats(const struct plan *plan);

#endif
