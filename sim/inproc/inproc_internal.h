/* SPDX-License-Identifier: MIT */
/*
 * State of the in-process device, shared by its files: inproc.c (life, bus, mailbox, interrupts), memory.c (objects),
 * space.c (page tables) and queue.c (contexts, queues, waiting).
 *
 * Locks, outermost first: @lock (driver state; held across commands), @bus_lock (what the device may reach; its thread
 * takes it), @irq_lock (faults and waiting). The device's own thread takes the inner two only.
 */
#ifndef SIM_INPROC_INPROC_INTERNAL_H
#define SIM_INPROC_INPROC_INTERNAL_H

#include <pthread.h>
#include <stddef.h>

#include "sim/core/device.h"
#include "sim/inproc/inproc.h"

/* [start, start + size) of something. */
struct span {
	uint64_t start, size;
};

/* Sorted by start, never overlapping. */
struct spans {
	struct span *item;
	size_t count, capacity;
};

int spans_insert(struct spans *spans, uint64_t start, uint64_t size);
void spans_remove(struct spans *spans, size_t index);
/* The index of the span that holds @at, or -1. */
ptrdiff_t spans_find(const struct spans *spans, uint64_t at);

struct fault_slot {
	bool valid;
	struct axl_fault_record record;
};

struct inproc {
	struct device *device;
	struct inproc_options options; /* its names are the targets' own */
	struct engine_config config;
	pthread_mutex_t lock, bus_lock, irq_lock;
	pthread_cond_t irq; /* with @irq_lock: an interrupt came */

	/* What goes wrong: counts of the device's thread. */
	uint64_t packets, executions;

	/* Under bus_lock: host memory that the device may reach; what of it is the caller's own, a list that may overlap. */
	struct spans bus;
	struct inproc_memory *imported;

	/* Under lock. */
	struct axl_context_desc *contexts;
	struct axl_queue_desc *queues;
	struct spans local_free;
	void *free_tables; /* page tables not in use, linked by their first word */
	struct spans table_chunks;

	/* Under irq_lock. */
	struct axl_fault_record *fault_ring;
	uint32_t fault_read;
	bool gone;
	uint64_t calls; /* for new queues and memory */
	uint64_t looks; /* for it to come back */
	struct fault_slot records[DEVICE_NUM_QUEUES];
};

/* Page-aligned, zeroed memory that the device may reach. NULL: out of memory. */
void *bus_alloc(struct inproc *device, uint64_t size);
void bus_free(struct inproc *device, void *memory, uint64_t size);
/* Whether it was taken out. */
/* For who wants something new of it. -ENODEV: it is gone; -EIO: this time it does not answer (faults.call). */
int inproc_ask(struct inproc *device);
/* Run a command and wait for its end; the lock is held. 0, -EINVAL, -EIO (the result is not AXL_CMD_OK). */
int mailbox_command(struct inproc *device, enum axl_command command, uint64_t arg);

struct inproc_memory {
	struct inproc *device;
	void *data;
	uint64_t size;
	uint64_t offset; /* in local memory */
	bool local, imported;
	bool mapped;                /* imported, and the map is this object's */
	unsigned int bound;         /* bindings */
	struct inproc_memory *next; /* of the imported ones */
};

/* Whether this process can read, or with @write read and write, all of an imported object's range: 0, -EFAULT. */
int imported_access(const struct inproc_memory *memory, uint64_t offset, uint64_t size, bool write);

int local_memory_init(struct inproc *device);

struct binding {
	uint64_t va, size;
	struct inproc_memory *memory;
};

struct inproc_space {
	struct inproc *device;
	uint64_t *root;
	struct binding *bindings;
	size_t count, capacity;
	uint64_t contexts; /* a bit each: those that use it */
};

struct inproc_context {
	struct inproc_space *space;
	unsigned int number;
	struct axl_status_page *status;
	unsigned int queues;
	uint32_t slots; /* a bit each, taken */
};

struct inproc_queue {
	struct inproc_context *context;
	struct axl_queue_status *status;
	unsigned int number, slot;
};

#endif
