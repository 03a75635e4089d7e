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
	unsigned int flags;            /* as asked for */
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

#define PCI_DRIVER "axl"  /* the kernel driver's name on the PCI bus */
#define PCI_PREFIX "pci:" /* of names for accel_open() */

/* @root: as accel_pci_list(). */
/*
 * The node of the function that @name ("pci:ADDRESS") names; else the errors of accel_pci_find() or of the first
 * finding that blocks.
 */
int accel_pci_resolve(const char *root, const char *name, char *node, size_t size, char *error, size_t error_size);
/* Why the node @name can not be opened, as the PCI bus sees it: one line in @text, "" when it sees nothing wrong. */
void accel_pci_explain(const char *root, const char *name, char *text, size_t size);

/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t accel_now(void);

#endif
