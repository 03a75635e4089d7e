/* SPDX-License-Identifier: MIT */
/*
 * What a kind of device has to offer: the calls of the kernel driver, whoever answers them. Handles are the backend's
 * own. All functions follow sim/inproc/inproc.h, which documents each: sim.c is a table over it, kernel.c one over
 * ioctls.
 */
#ifndef LIBACCEL_BACKEND_H
#define LIBACCEL_BACKEND_H

#include <accel/accel.h>

struct accel_backend_queue_args {
	uint32_t slot, slots;
	uint64_t ring, index;
	uint32_t priority, flags, timeslice, watchdog;
};

/* @queue: a backend's handle */
struct accel_backend_wait {
	void *queue;
	uint64_t index;
	int result;
};

/* @memory: NULL: unbind, @offset and @rights are 0 */
struct accel_backend_op {
	void *memory;
	uint64_t va, offset, size;
	unsigned int rights;
};

/*
 * @prefix: names that begin so are its own
 * @list: as accel_device_list(), its own devices
 * @open: @name is the whole name; the text of an error goes into @error
 * @open_again: what is now where @before was, whatever it is called; @before stays open
 * @memory_import: the caller's memory, pages, which he keeps until it is destroyed
 * @memory_import_fd: a dma-buf; *data may become NULL. @memory_export_fd: a dma-buf of it. Both -ENOTSUP where there
 *	are none
 * @fd, @update: NULL where there are no syncobjs
 * @wait_many: @deadline_ns is not negative
 * @queue_create: args->slot is a wish, and what it became; *doorbell: where a store wakes the device, or NULL when @wake has to be called
 */
struct accel_backend {
	const char *prefix;
	size_t (*list)(struct accel_device_entry *entries, size_t max);
	int (*open)(const char *name, void **device, char *error, size_t error_size);
	int (*open_again)(void *before, void **device, char *error, size_t error_size);
	void (*close)(void *device);
	const char *(*target)(void *device);
	uint64_t (*read_register)(void *device, enum axl_reg reg);
	int (*fd)(void *device);

	int (*memory_create)(void *device, uint64_t size, bool local, void **memory, void **data);
	int (*memory_import)(void *device, void *data, uint64_t size, void **memory);
	int (*memory_import_fd)(void *device, int fd, uint64_t *size, void **memory, void **data);
	int (*memory_export_fd)(void *memory, int *fd);
	int (*memory_destroy)(void *memory);

	int (*space_create)(void *device, void **space);
	int (*space_destroy)(void *space);
	int (*bind)(void *space, uint64_t va, void *memory, uint64_t offset, uint64_t size, unsigned int rights);
	int (*unbind)(void *space, uint64_t va, uint64_t size);
	int (*update)(void *space, const struct accel_backend_op *ops, size_t count, const struct accel_sync *in,
		      size_t num_in, const struct accel_sync *out, size_t num_out);

	int (*context_create)(void *space, void **context, const struct axl_status_page **status);
	int (*context_destroy)(void *context);

	int (*queue_create)(void *context, struct accel_backend_queue_args *args, void **queue,
			    volatile uint64_t **doorbell);
	void (*queue_destroy)(void *queue);
	void (*wake)(void *context, unsigned int slot);
	int (*queue_reset)(void *queue);
	int (*queue_stop)(void *queue);
	int (*queue_start)(void *queue);
	int (*wait_many)(void *device, struct accel_backend_wait *waits, size_t count, bool all, int64_t deadline_ns);
	bool (*queue_fault)(void *queue, struct axl_fault_record *record);
};

extern const struct accel_backend accel_backend_sim, accel_backend_kernel;

#endif
