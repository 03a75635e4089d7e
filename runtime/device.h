/* SPDX-License-Identifier: MIT */
/*
 * Device side of a session: regions uploaded through libaccel, and run. Knows buffers, queues and command buffers;
 * knows nothing of nodes and of the CPU backend.
 */
#ifndef RUNTIME_DEVICE_H
#define RUNTIME_DEVICE_H

#include <axl/axl_queue.h>

#include "compiler/package/axm.h"
#include "runtime/cpu/tensor.h"

struct runtime_device;
struct runtime_program;

/* Open by libaccel's name, with one context and one queue. @threads is added to the options of an in-process device. */
int runtime_device_open(const char *name, unsigned int threads, struct runtime_device **device, char *error,
			size_t error_size);
void runtime_device_close(struct runtime_device *device); /* NULL is fine; programs are gone before */

/* Name of the target description that fits the device ("axl-edge"). The device's memory. */
const char *runtime_device_target(const struct runtime_device *device);

/*
 * Upload region @index of @axm (code, weights) and allocate its arena, inputs and outputs. @trace_records: room for so
 * many trace records a run, 0: none. @axm may be closed afterwards.
 */
int runtime_program_create(struct runtime_device *device, const struct axm *axm, uint32_t index, size_t trace_records,
			   struct runtime_program **program, char *error, size_t error_size);
void runtime_program_destroy(struct runtime_program *program);

/*
 * Copy inputs in, run, copy outputs out (their memory is there and of the right size). *stats as the device wrote them;
 * *trace points to *num_trace records that stay until the next run. -EIO with the fault's text; -ETIMEDOUT.
 */
int runtime_program_run(struct runtime_program *program, const struct tensor *const *inputs,
			struct tensor *const *outputs, struct axl_exec_stats *stats,
			const struct axl_trace_record **trace, size_t *num_trace, char *error, size_t error_size);

#endif
