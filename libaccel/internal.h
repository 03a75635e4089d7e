/* SPDX-License-Identifier: MIT */
/* The library's objects. Each belongs to the file of its name; the others use its functions. */
#ifndef LIBACCEL_INTERNAL_H
#define LIBACCEL_INTERNAL_H

#include <pthread.h>

#include "libaccel/backend.h"

struct accel_runner; /* execute.c */

struct accel_device {
	const struct accel_backend *backend;
	void *handle;
	struct accel_vm *vm;  /* the default address space */
	pthread_mutex_t lock; /* of @runner */
	struct accel_runner *runner;
};

/* @next: addresses below it were chosen once; under @lock */
struct accel_vm {
	struct accel_device *device;
	void *handle;
	pthread_mutex_t lock;
	uint64_t next;
};

struct accel_buffer {
	struct accel_device *device;
	void *handle;
	void *data;
	uint64_t size, bytes, address; /* as asked for; as it is; in the default address space, or 0 */
};

/* @slots: a bit each, taken; under @lock */
struct accel_context {
	struct accel_vm *vm;
	void *handle;
	const struct axl_status_page *status;
	pthread_mutex_t lock;
	uint32_t slots;
};

/* Frees what accel_execute() made for itself. */
void accel_runner_destroy(struct accel_runner *runner);

/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t accel_now(void);

#endif
