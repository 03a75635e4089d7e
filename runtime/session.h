/* SPDX-License-Identifier: MIT */
/* What the command needs of a session beyond the public interface. */
#ifndef RUNTIME_SESSION_H
#define RUNTIME_SESSION_H

#include <accel/runtime.h>

#include <axl/axl_queue.h>

#include "compiler/package/axm.h"

/* The package that @session started with: the session's memory, until its end. */
const struct axm *session_package(const struct accel_session *session);

/*
 * What the device did in @region of the last run, in the order in which its instructions began, *count of them; until the next run. NULL:
 * it was not traced, the region did not run on a device, or records were lost.
 */
const struct axl_trace_record *session_records(const struct accel_session *session, uint32_t region, size_t *count);

#endif
