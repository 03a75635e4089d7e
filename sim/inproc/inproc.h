/* SPDX-License-Identifier: MIT */
/*
 * The in-process AXL device: sim/core behind function calls, without kernel, PCI bus or VM.
 *
 * Plays the part that the kernel driver plays on a bus: owns page tables, context and queue tables, status pages, fault
 * ring and local memory, talks to the device through its registers, and sleeps until an interrupt. The calls mirror
 * the driver's (uapi/drm): memory objects, address spaces, contexts, queues, waiting, faults. What a program writes
 * into rings, index pages and command buffers goes to the device untouched and is checked there.
 *
 * Every call may come from any thread. Objects are destroyed in the reverse order of their creation: queues before
 * contexts, contexts before spaces, memory when no space has it bound. Errors are negative errno.
 */
#ifndef SIM_INPROC_INPROC_H
#define SIM_INPROC_INPROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <axl/axl_queue.h>
#include <axl/axl_regs.h>

struct inproc;
struct inproc_memory;
struct inproc_space;
struct inproc_context;
struct inproc_queue;

/*
 * @packet: every so many packets one is refused (AXL_CAUSE_PACKET)
 * @hang:   every so many command buffers one never ends; the watchdog sees it
 * @gone:   behind so many packets the device is taken out: who waits for it, or wants a queue or memory, gets -ENODEV
 * @call:   every so many new queues and pieces of memory one gets -EIO, as from a device that does not answer
 * @back:   the so-manieth inproc_create_again() of a device that was taken out finds it put in again; 0: none does
 * @becomes: the target that is put in again instead; NULL: the same
 */
struct inproc_faults {
	uint64_t packet, hang, gone, call, back;
	const char *becomes;
};

/*
 * @target:  "axl-edge" or "axl-pro"
 * @threads: host threads that compute, 0: one per processor
 * @spin_us: how long the device polls before it sleeps and wants a doorbell
 * @timing:  false: no cycles, same results
 * @faults:  what goes wrong, for tests of those who have to live with it; 0: nothing
 * @tiles, @mem_bytes: 0: the target's own; else at most AXL_MAX_TILES, and a power of two of at least 2 MiB
 */
struct inproc_options {
	const char *target;
	unsigned int threads;
	unsigned int spin_us;
	bool timing;
	bool race_check;
	struct inproc_faults faults;
	uint32_t tiles;
	uint64_t mem_bytes;
};

/* -ENOENT: no such target; -EINVAL: sizes; -ENOMEM; -EAGAIN: threads can not be started. */
int inproc_create(const struct inproc_options *options, struct inproc **device);
/*
 * What stands where @before stood, by the same options: new, nothing in it is left of what @before had, which stays the caller's to
 * destroy. -ENODEV: nothing does, @before was taken out (faults.gone) and is not back; else as inproc_create().
 */
int inproc_create_again(struct inproc *before, struct inproc **device);
void inproc_destroy(struct inproc *device);

/* The target's name, and the value of a 32- or 64-bit register of BAR0. */
const char *inproc_target(const struct inproc *device);
uint64_t inproc_register(struct inproc *device, enum axl_reg reg);

/*
 * Memory objects: zeroed, page aligned, @size rounded up to pages. @local: in the device's memory (2 MiB aligned when
 * that large), else host memory. *data: the object in this process. -EINVAL: size 0; -ENOSPC: local memory is full;
 * -ENODEV: the device was taken out; -ENOMEM. Destroying one that is bound somewhere: -EBUSY, and nothing happens.
 */
int inproc_memory_create(struct inproc *device, uint64_t size, bool local, struct inproc_memory **memory, void **data);
int inproc_memory_destroy(struct inproc_memory *memory);

/*
 * The caller's own memory as an object: [data, data + size), page aligned both, which stays where it is until the
 * object is destroyed. inproc_bind() looks whether it is there. May overlap other such objects. -EINVAL: alignment,
 * size 0; -ENOMEM.
 */
int inproc_memory_import(struct inproc *device, void *data, uint64_t size, struct inproc_memory **memory);
/*
 * The memory behind a memfd whose size is a multiple of the page size and can not shrink (F_SEAL_SHRINK): the device's threads would
 * die of a page that somebody took away. *data: where it is mapped in this process, until the object is destroyed; *size: all of it.
 * @fd may be closed. -EBADF; -ENOTSUP: it is no memfd; -EINVAL: its size, or it may shrink; -EPERM, -EACCES: it can not be written
 * (F_SEAL_WRITE, opened for reading); -ENOMEM.
 */
int inproc_memory_import_fd(struct inproc *device, int fd, struct inproc_memory **memory, void **data, uint64_t *size);

/* Address spaces of 48 bits. Destroy: -EBUSY while a context uses it; what is bound is unbound. */
int inproc_space_create(struct inproc *device, struct inproc_space **space);
int inproc_space_destroy(struct inproc_space *space);

#define INPROC_READ 0x1u
#define INPROC_WRITE 0x2u
#define INPROC_EXEC 0x4u

/*
 * Bind [offset, offset + size) of @memory at @va; all three multiples of the page size. -EINVAL: alignment, range or
 * rights; -EEXIST: part of it is bound; -EFAULT: imported memory that this process can not read, or with INPROC_WRITE
 * not write; -ENOMEM. 2 MiB pages are used where alignment allows.
 */
int inproc_bind(struct inproc_space *space, uint64_t va, struct inproc_memory *memory, uint64_t offset, uint64_t size,
		unsigned int rights);
/*
 * Take exactly one binding away again: the @va and @size of an inproc_bind(); -ENOENT otherwise. When it returns, no
 * access of the device under the old translation is in flight; later ones fault.
 */
int inproc_unbind(struct inproc_space *space, uint64_t va, uint64_t size);

/* A context, with its status page (read only for the caller, valid until destroyed). -ENOSPC: the device has no more.
 */
int inproc_context_create(struct inproc_space *space, struct inproc_context **context,
			  const struct axl_status_page **status);
/* -EBUSY while it has queues. */
int inproc_context_destroy(struct inproc_context *context);

/* The doorbell of queue slot @slot. Never blocks; a system call only when the device sleeps. */
void inproc_doorbell(struct inproc_context *context, unsigned int slot);

/*
 * Fields as struct axl_queue_desc; @slot: < AXL_QUEUES_PER_CONTEXT. @retired: how many packets count as done already, so
 * that a queue goes on in the middle of a ring.
 */
struct inproc_queue_args {
	uint32_t slot, slots;
	uint64_t ring, index;
	uint32_t priority, flags, timeslice, watchdog;
	uint64_t retired;
};

/*
 * -EINVAL: the device refused the descriptor; -EEXIST: slot taken; -ENOSPC: no more queues; -ENODEV: it was taken out. Running when it
 * returns.
 */
int inproc_queue_create(struct inproc_context *context, const struct inproc_queue_args *args,
			struct inproc_queue **queue);
/* Kills what it runs, then frees it. */
void inproc_queue_destroy(struct inproc_queue *queue);
/*
 * Kill what it runs and drop the packet at which it stands (status.retired + 1), generation + 1; then go on behind it.
 * The way out of FAULTED and out of a WAIT that nobody ends.
 */
int inproc_queue_reset(struct inproc_queue *queue);
/* Suspend at the next packet or YIELD, and go on. */
int inproc_queue_stop(struct inproc_queue *queue);
int inproc_queue_start(struct inproc_queue *queue);

/* One thing to wait for: status.retired >= @retired. @result: written by inproc_wait_many(). */
struct inproc_wait {
	struct inproc_queue *queue;
	uint64_t retired;
	int result;
};

/*
 * Sleep until any, or all, of @count entries of this device ended. @deadline_ns: CLOCK_MONOTONIC; INT64_MAX: for ever.
 * Returns how many ended, -ETIMEDOUT, or -ENODEV: the device was taken out. Results: 0; -ETIMEDOUT: not yet; -EIO: the queue is FAULTED
 * and will not get there; -ECANCELED: the last reset dropped that packet (status.dropped == @retired).
 */
int inproc_wait_many(struct inproc *device, struct inproc_wait *waits, size_t count, bool all, int64_t deadline_ns);
/* One of them: its result. */
int inproc_queue_wait(struct inproc_queue *queue, uint64_t retired, int64_t deadline_ns);
/* The record of the last fault of this queue; false: none since it was created. */
bool inproc_queue_fault(struct inproc_queue *queue, struct axl_fault_record *record);

#endif
