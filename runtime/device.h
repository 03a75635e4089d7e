/* SPDX-License-Identifier: MIT */
/*
 * Device side of a session: regions uploaded through libaccel, and run. Knows buffers, queues and command buffers; knows nothing of
 * nodes and of the CPU backend.
 *
 *	device	  one for each name that the session was given; any thread
 *	program	  code and weights of a region on a device, shared by all requests; never changes
 *	lane	  a queue of a device, of one request at a time: what fails in it fails for no other request
 *	launch	  a program's memory for one request (arena, inputs, outputs); runs in a lane of the same device
 */
#ifndef RUNTIME_DEVICE_H
#define RUNTIME_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <accel/accel.h>
#include <axl/axl_queue.h>

#include "compiler/package/axm.h"
#include "runtime/cpu/tensor.h"

struct runtime_device;
struct runtime_program;
struct runtime_lane;
struct runtime_launch;

/* Open by libaccel's name, with a context. @threads is added to the options of an in-process device. */
int runtime_device_open(const char *name, unsigned int threads, struct runtime_device **device, char *error,
			size_t error_size);
void runtime_device_close(struct runtime_device *device); /* NULL is fine; programs and lanes are gone before */

/*
 * Open again a device that is gone: what answers now in its place. Its programs, lanes and launches are gone before, and nobody makes new
 * ones meanwhile. -ENODEV and the like: it is not there (yet); -EINVAL: something else is. After an error all is as before.
 */
int runtime_device_reopen(struct runtime_device *device, char *error, size_t error_size);

const char *runtime_device_name(const struct runtime_device *device);
/*
 * The device as libaccel knows it, for the caller of the session: it stays open until runtime_device_close(), also when the device was
 * opened again, since buffers of his may be of it. Any thread.
 */
struct accel_device *runtime_device_handle(struct runtime_device *device);
/* The address space that its programs and launches are in; another one after it was opened again. Any thread. */
struct accel_vm *runtime_device_vm(struct runtime_device *device);
/* How long what takes @cycles on the device's own memory may take on the host's. */
uint64_t runtime_device_host_cycles(const struct runtime_device *device, uint64_t cycles);
/* Name of the target description that fits the device ("axl-edge"). The device's memory. */
const char *runtime_device_target(const struct runtime_device *device);

/*
 * Upload region @index of @axm (code, weights). @axm may be closed afterwards. -EINVAL: it is for a larger device; -ENOSPC: the
 * device's memory is full; -ENOMEM.
 */
int runtime_program_create(struct runtime_device *device, const struct axm *axm, uint32_t index,
			   struct runtime_program **program, char *error, size_t error_size);
void runtime_program_destroy(struct runtime_program *program); /* its launches are gone before */

/* A lane that takes nothing before it was fitted. -ENOMEM. */
int runtime_lane_create(struct runtime_device *device, struct runtime_lane **lane);
/*
 * Make the empty @lane fit for @launches launches at a time, of which the longest takes @cycles by the compiler's estimate; the device
 * stops one that takes several times as long. Does nothing when it fits already. Errors as accel_queue_create().
 */
int runtime_lane_fit(struct runtime_lane *lane, size_t launches, uint64_t cycles);
void runtime_lane_destroy(struct runtime_lane *lane); /* NULL is fine */
/* Drop all that was started and has not ended; the lane is as new. After an error it takes nothing until a reset succeeds. */
int runtime_lane_reset(struct runtime_lane *lane);
/*
 * Let what runs in the lane now end with -ECANCELED, what is behind it go on. Any thread. What the device has not begun yet runs on to
 * its end.
 */
void runtime_lane_kill(struct runtime_lane *lane);

/* @trace_records: room for so many trace records a run, 0: none. -ENOSPC: the device's memory is full; -ENOMEM. */
int runtime_launch_create(struct runtime_program *program, const struct axm *axm, uint32_t index, size_t trace_records,
			  struct runtime_launch **launch, char *error, size_t error_size);
void runtime_launch_destroy(struct runtime_launch *launch); /* NULL is fine; it does not run */

/*
 * From now on operand @index (inputs, then outputs) lies at @address of the device and is not copied; 0: in the launch's own memory. Not
 * while it runs.
 */
void runtime_launch_place(struct runtime_launch *launch, uint32_t index, uint64_t address);
/* Copy those @inputs in that are not placed elsewhere, while it does not run. Returns the bytes. */
uint64_t runtime_launch_load(struct runtime_launch *launch, const struct tensor *const *inputs);
/* Start in @lane. Launches of a lane run in the order in which they were started. -EIO: the lane takes nothing. */
int runtime_launch_start(struct runtime_launch *launch, struct runtime_lane *lane);
/* Whether it has ended, or was dropped. */
bool runtime_launch_done(const struct runtime_launch *launch);
/*
 * Wait for its end, until @deadline_ns of CLOCK_MONOTONIC (INT64_MAX: for ever). 0; -EIO: the device faulted, how is in @error, and the
 * lane has to be reset; -ETIMEDOUT; -ECANCELED: killed; -ENODEV: the device is gone.
 */
int runtime_launch_wait(struct runtime_launch *launch, int64_t deadline_ns, char *error, size_t error_size);
/*
 * After a good end: copy those @outputs out that are not placed elsewhere (their memory is there and of the right size). *stats stays
 * until the next start, *trace points to stats->trace_records records that stay as long. Returns the bytes. What they are
 * worth runtime_launch_is_true() says.
 */
uint64_t runtime_launch_finish(const struct runtime_launch *launch, struct tensor *const *outputs,
			       const struct axl_exec_stats **stats, const struct axl_trace_record **trace);
/*
 * Whether what was read of the device's memory before was its memory. Behind a link that went down all of it reads as ones, and no load
 * fails; nor does one of a page that the driver put in the place of a device that was removed.
 */
bool runtime_launch_is_true(const struct runtime_launch *launch);

#endif
