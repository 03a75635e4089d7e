/* SPDX-License-Identifier: MIT */
/* What the kernel backend's files share: kernel.c (devices, contexts, queues), kernel_memory.c (memory, spaces). */
#ifndef LIBACCEL_KERNEL_H
#define LIBACCEL_KERNEL_H

#include <pthread.h>
#include <sys/types.h>

#include <drm/axl_accel.h>

#include "libaccel/backend.h"

struct kernel_memory;

/*
 * @node:    by which it was opened; @address: on the PCI bus, "" when the kernel does not say
 * @lock:    of @memories, those with a GEM handle, and of taking and closing handles
 */
struct kernel_device {
	int fd;
	char node[128], address[24];
	struct drm_axl_dev_info info;
	pthread_mutex_t lock;
	struct kernel_memory *memories;
};

struct kernel_space {
	struct kernel_device *device;
	uint32_t vm;
	pthread_mutex_t lock; /* of what follows */
	struct kernel_binding *bindings;
	size_t count, capacity;
};

/* An ioctl: 0 or a negative errno; interrupted calls are begun again. */
int kernel_call(int fd, unsigned long request, void *args);

/* The entries of the backend's table; see backend.h. */
int kernel_memory_create(void *device, uint64_t size, bool local, void **memory, void **data);
int kernel_memory_import(void *device, void *data, uint64_t size, void **memory);
int kernel_memory_import_fd(void *device, int fd, uint64_t *size, void **memory, void **data);
int kernel_memory_export_fd(void *memory, int *fd);
int kernel_memory_destroy(void *memory);
int kernel_space_create(void *device, void **space);
int kernel_space_destroy(void *space);
int kernel_bind(void *space, uint64_t va, void *memory, uint64_t offset, uint64_t size, unsigned int rights);
int kernel_unbind(void *space, uint64_t va, uint64_t size);
int kernel_update(void *space, const struct accel_backend_op *ops, size_t count, const struct accel_sync *in,
		  size_t num_in, const struct accel_sync *out, size_t num_out);

#endif
