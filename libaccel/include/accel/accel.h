/* SPDX-License-Identifier: MIT */
/*
 * libaccel: access to AXL devices from user programs.
 *
 *	accel_device_list(entries, max)			what can be opened
 *	accel_open("sim:", &device, …)			a device, by name
 *	accel_buffer_create(device, size, flags, &b)	memory that both sides see
 *	accel_execute(device, …)			run a command buffer and wait: the simple way
 *
 *	accel_vm_create(device, &vm)			an address space of one's own
 *	accel_vm_bind(vm, buffer, …)			buffers in it, with rights
 *	accel_context_create(vm, &context)		what owns queues
 *	accel_queue_create(context, …)			<accel/queue.h>: submission without system calls
 *
 * Objects are destroyed in the reverse order: queues, contexts, address spaces, buffers, device. Functions that can
 * fail return 0 or a negative errno. Unless a function says otherwise, objects of one device may be used by several
 * threads at once; a queue has one producer; no thread uses an object that another one destroys. Nothing is printed,
 * there is no global state, and the only threads are those of the in-process device itself. Each accel_open("sim:")
 * makes a device of its own.
 *
 * Names of devices: "sim:" is the device inside this process; options follow, separated by commas:
 *
 *	target=NAME	axl-edge (one tile) or axl-pro (four)		axl-edge
 *	threads=N	1 to 64 host threads that compute		one a processor
 *	timing=0	no cycles: the same results, sooner		1
 *	race-check=1	unordered accesses fault (AXL_CAUSE_RACE)	0
 *	spin=N		microseconds that the device polls its rings	50
 *			before it sleeps and wants a doorbell
 *	memory=BYTES	local memory, a power of two from 2 MiB on	the target's
 *	fault-packet=N	every N-th packet is refused			never
 *	fault-hang=N	every N-th command buffer never ends; a		never
 *			watchdog sees it
 *	fault-gone=N	behind N packets the device is taken out:	never
 *			waiting, new queues and buffers give -ENODEV
 *	fault-call=N	every N-th new queue or buffer gives -EIO, as	never
 *			of a device that does not answer
 *	fault-back=N	the N-th accel_open_again() of a device		never
 *			that was taken out finds it put in again
 *	fault-becomes=NAME	what is put in again is this target	the same
 *
 * "/dev/accel/accelN" is a device behind the kernel driver axl.ko; "pci:0000:01:00.0" is the same by its address on
 * the bus, "pci:01:00.0" in domain 0, "pci:" the only one there is. What differs behind the driver is said where it
 * does. <accel/pci.h> says what the bus has and why a device can not be used.
 */
#ifndef ACCEL_ACCEL_H
#define ACCEL_ACCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <accel/pci.h>
#include <accel/queue.h>
#include <axl/axl_isa.h>
#include <axl/axl_queue.h>
#include <axl/axl_regs.h>

#ifdef __cplusplus
extern "C" {
#endif

struct accel_device;
struct accel_vm;
struct accel_buffer;
struct accel_context;

/* The library's version, "MAJOR.MINOR.PATCH". Static. */
const char *accel_version(void);

/* ---- devices ---- */

/*
 * One device that accel_open() can open here.
 * @name: for accel_open()
 * @text: what it is, one line for a person
 */
struct accel_device_entry {
	char name[64];
	char text[128];
};

/*
 * Fill @entries, room for @max (NULL when 0), in an order that stays. Returns how many devices there are, which may be
 * more. The in-process device is always there, once for each of its targets.
 */
size_t accel_device_list(struct accel_device_entry *entries, size_t max);

/*
 * Open a device. @error gets a text of at most @error_size bytes when it fails; of a device behind the kernel driver
 * it says what the PCI bus shows of the cause, and what to do. -EINVAL: a name, option or PCI address that does not
 * exist, or "pci:" with several devices; -ENOTSUP: a kind of device that this version can not open, or a node that is
 * no AXL's; -ENODEV: no AXL at this PCI address, or one that can not be used; -ENOENT, -EACCES, …: what opening the
 * node said; -ENOMEM; -EAGAIN: threads can not be started.
 */
int accel_open(const char *name, struct accel_device **device, char *error, size_t error_size);

/*
 * Open what is now where @before was opened, when that is gone (-ENODEV): behind the kernel driver the device at the same
 * PCI address, whatever its node is called now; in the process one of the same options. It is a device of its own and has
 * nothing that was made of @before, which stays open; whether it is the same kind is for the caller to see
 * (accel_device_info()). -ENODEV, or what accel_pci_finding() says: it is not there (yet); else as accel_open().
 */
int accel_open_again(const struct accel_device *before, struct accel_device **device, char *error, size_t error_size);

/* Close. Its objects have been destroyed before. NULL is fine. */
void accel_close(struct accel_device *device);

/*
 * What a device is: the figures of the registers of the same names (axl_regs.h). Rates in bytes a cycle, latencies in
 * cycles. @target is the name of the compiler's target description that fits, valid while the device is open.
 * @isa_version: of the command buffers that it runs; @interface_version: of its registers and queues.
 */
struct accel_device_info {
	const char *target;
	uint32_t tiles, spad_bytes, acc_bytes, spad_banks, clock_khz;
	uint64_t mem_bytes;
	uint32_t dram_rate, dram_latency, host_rate, host_latency;
	uint32_t isa_version, interface_version;
};
void accel_device_info(const struct accel_device *device, struct accel_device_info *info);

/* Free-running counters of the whole device: the registers COUNT_* and CYCLES. */
struct accel_counters {
	uint64_t cycles, busy_cycles, packets, doorbells, faults, tlb_misses, dram_bytes, host_bytes;
};
void accel_device_counters(const struct accel_device *device, struct accel_counters *counters);

/*
 * Cycles in which each pipe (enum axl_pipe) was busy, summed over the tiles, of executions that have ended: the registers COUNT_PIPE_*. Of
 * accel_counters.cycles times accel_device_info.tiles they are the share. -ENOTSUP: the device has no such registers; -ENODEV: it, or its
 * driver, does not tell. *busy is not to be looked at then.
 */
int accel_device_pipes(const struct accel_device *device, uint64_t busy[AXL_NUM_PIPES]);

/* The file of a device behind the kernel driver, for libdrm's syncobjs; the device's. -ENOTSUP: it has none. */
int accel_device_fd(const struct accel_device *device);

/* ---- address spaces ---- */

/* Addresses below are the caller's to choose, those from here up to 2^48 the library's. */
#define ACCEL_VM_CHOSEN (UINT64_C(1) << 40)

/* What the device may do with what is bound. */
#define ACCEL_READ 0x1u
#define ACCEL_WRITE 0x2u
#define ACCEL_EXEC 0x4u

/* An address space of 48 bits, empty. -ENOMEM. Destroy: -EBUSY while a context uses it. NULL is fine. */
int accel_vm_create(struct accel_device *device, struct accel_vm **vm);
int accel_vm_destroy(struct accel_vm *vm);
/* The address space in which accel_buffer_create() binds; the device's own, not to be destroyed. */
struct accel_vm *accel_device_vm(struct accel_device *device);

/*
 * Bind [offset, offset + size) of @buffer, multiples of 4096, at *@address, the range ending at ACCEL_VM_CHOSEN or
 * below; 0 there: an address is chosen and written, one that was never used before in this address space, followed by
 * a page that is never bound. A buffer may be bound several times, in several address spaces. @rights: of ACCEL_READ,
 * WRITE, EXEC. -EINVAL: range, alignment or rights, or the buffer is of another device; -EEXIST: something is bound
 * there; -ENOMEM. Of a buffer from accel_buffer_import_memory(): -EFAULT: part of the memory is not there, or may not
 * be written and @rights has ACCEL_WRITE; -ENOMEM also: behind the kernel driver its pages are pinned while they are
 * bound, once for each binding, and count for RLIMIT_MEMLOCK.
 */
int accel_vm_bind(struct accel_vm *vm, struct accel_buffer *buffer, uint64_t offset, uint64_t size, unsigned int rights,
		  uint64_t *address);
/*
 * Take one binding away, whole: -ENOENT if @address and @size are not those of one. When it returns the device does not
 * touch the buffer through it any more; a packet or command buffer that does faults. -EIO, behind the kernel driver: the
 * binding is taken away, and the device did not answer: it may reach the pages, which the driver keeps, until it is removed.
 */
int accel_vm_unbind(struct accel_vm *vm, uint64_t address, uint64_t size);

/**
 * struct accel_vm_op - one change of an address space
 * @buffer:  what is bound, as accel_vm_bind(); NULL: the binding of @address and @size is taken away, the rest is zero
 * @address: 0 of a bind: one is chosen, and written when the call returns 0
 */
struct accel_vm_op {
	struct accel_buffer *buffer;
	uint64_t offset, size, address;
	unsigned int rights;
};

/* A syncobj (libdrm) of the file accel_device_fd(). @point: of a timeline; 0: a binary one. */
struct accel_sync {
	uint32_t syncobj;
	uint64_t point;
};

#define ACCEL_VM_OPS_MAX 256
#define ACCEL_SYNCS_MAX 64

/*
 * Up to ACCEL_VM_OPS_MAX changes in one call, in their order, all of them or none. With syncobjs, at most
 * ACCEL_SYNCS_MAX each way, it returns at once; the changes take effect when all of @in have signalled, and behind the
 * changes that earlier calls asked for, and then @out signal. What is wrong with the changes is said at once, as
 * though the earlier ones had taken effect: the errors of accel_vm_bind() and accel_vm_unbind(). -ENOENT, -EINVAL: a
 * syncobj that is none, or one of @in that has no fence yet. A fence of @out has an error when the device went (ENODEV),
 * the address space was destroyed first (ECANCELED) or the device does not let go of what was unbound (EIO). Calls
 * without syncobjs wait for those before them. -ENOTSUP: the device in the process, which has no syncobjs. Any thread.
 */
int accel_vm_update(struct accel_vm *vm, struct accel_vm_op *ops, size_t count, const struct accel_sync *in,
		    size_t num_in, const struct accel_sync *out, size_t num_out);

/* ---- buffers ---- */

#define ACCEL_BUFFER_LOCAL 0x1u   /* in the device's memory; else in the host's, over PCIe */
#define ACCEL_BUFFER_WRITE 0x2u   /* bound with ACCEL_WRITE */
#define ACCEL_BUFFER_EXEC 0x4u    /* bound with ACCEL_EXEC: command buffers may run from it */
#define ACCEL_BUFFER_UNBOUND 0x8u /* not bound anywhere; no other flag but LOCAL */

/*
 * Create a buffer of @size > 0 bytes, zeroed, rounded up to pages, and bind it in accel_device_vm(): for reading, and
 * for what @flags add. -EINVAL: size or flags; -ENOSPC: local memory is full; -ENOMEM.
 */
int accel_buffer_create(struct accel_device *device, uint64_t size, unsigned int flags, struct accel_buffer **buffer);
/*
 * Make a buffer of the caller's own memory: [data, data + size), multiples of 4096 both; nothing is copied. @flags as
 * for accel_buffer_create(), without LOCAL. The memory stays the caller's: it must stay mapped, and where it is, until
 * the buffer is destroyed, which leaves it as it is. (Behind the kernel driver a binding holds the pages, so that a
 * device never reaches foreign ones; the in-process device would crash the program.) A child of fork() must not write
 * to it while it is bound. The same memory may be in several buffers. -EINVAL: alignment, size 0 or above 2^40, flags;
 * -ENOMEM; and, unless UNBOUND, as accel_vm_bind().
 */
int accel_buffer_import_memory(struct accel_device *device, void *data, uint64_t size, unsigned int flags,
			       struct accel_buffer **buffer);

/*
 * Make a buffer of a dma-buf, another device's or program's memory. @flags as for accel_buffer_create(), without
 * LOCAL. @fd stays the caller's and may be closed at once: the buffer holds the memory. Its size is the dma-buf's.
 * accel_buffer_data() is NULL when the exporter lets no processor look at it; else its caches may need
 * DMA_BUF_IOCTL_SYNC on @fd around the accesses of this process. Fences that other devices attached to it are not
 * waited for: packets run when they are submitted. The same dma-buf may be in several buffers. -EINVAL: flags; -EBADF,
 * -EINVAL, …: what the kernel says of an @fd that is no dma-buf or can not be reached by the device; -ENOMEM; and,
 * unless UNBOUND, as accel_vm_bind().
 *
 * The in-process device takes memfds in their place, of the kind that udmabuf makes dma-bufs of: whole pages, sealed
 * with F_SEAL_SHRINK (-EINVAL otherwise), writable (-EPERM, -EACCES). -ENOTSUP: any other file, a dma-buf too.
 */
int accel_buffer_import_fd(struct accel_device *device, int fd, unsigned int flags, struct accel_buffer **buffer);
/*
 * A dma-buf of the buffer, for other devices and programs: *fd is a new file descriptor, close-on-exec, the caller's
 * to close; the memory lives until it and the buffer are gone. That of a LOCAL buffer is for programs on the same
 * device: others refuse it. *fd is -1 after an error. -ENOTSUP: the in-process device and the caller's own memory;
 * -EMFILE; -ENOMEM. Any thread.
 */
int accel_buffer_export_fd(const struct accel_buffer *buffer, int *fd);

/*
 * Unbind what the create or import call bound, and free. Packets that still name it fault. -EBUSY: accel_vm_bind()
 * bound it and nothing unbound it since: the buffer lives on, its address is 0 now. NULL is fine.
 */
int accel_buffer_destroy(struct accel_buffer *buffer);
/*
 * The buffer's memory in this process (NULL: a dma-buf that shows none); its address in accel_device_vm() (0: UNBOUND);
 * the size asked for; the flags that it was made with.
 */
void *accel_buffer_data(const struct accel_buffer *buffer);
uint64_t accel_buffer_address(const struct accel_buffer *buffer);
uint64_t accel_buffer_size(const struct accel_buffer *buffer);
unsigned int accel_buffer_flags(const struct accel_buffer *buffer);

/* ---- contexts ---- */

/*
 * A context runs queues in one address space; scratchpads are cleared between two of them. -ENOSPC: the device has no
 * more; -EMFILE: behind the kernel driver, what one accel_open() gave may have a quarter of them, and more only with
 * CAP_SYS_RESOURCE; -ENOMEM.
 */
int accel_context_create(struct accel_vm *vm, struct accel_context **context);
/* -EBUSY while it has queues. NULL is fine. */
int accel_context_destroy(struct accel_context *context);

/* ---- fences: 64-bit words that WAIT and SIGNAL packets, and CPUs, agree on ---- */

struct accel_fence;

/* A fence of value 0, bound in @vm. Destroy: no packet that names it is under way. NULL is fine. -ENOMEM. */
int accel_fence_create(struct accel_vm *vm, struct accel_fence **fence);
void accel_fence_destroy(struct accel_fence *fence);
/* The word's address for packets of queues in its address space. */
uint64_t accel_fence_address(const struct accel_fence *fence);
/* Load (acquire) and store (release); a WAIT packet sees a store within 50 us. Any thread. */
uint64_t accel_fence_value(const struct accel_fence *fence);
void accel_fence_signal(struct accel_fence *fence, uint64_t value);
/*
 * Sleep until the value is at least @value: looks again every 50 us, since no interrupt comes of a fence. (To sleep
 * until a packet is done, accel_queue_wait() is better.) -ETIMEDOUT.
 */
int accel_fence_wait(const struct accel_fence *fence, uint64_t value, int64_t deadline_ns);

/* ---- the simple way ---- */

/*
 * Run the command buffer (struct axl_cmdbuf) that fills @code from its start, @size bytes, with @num_bases base
 * registers, and wait until it ends. *stats holds the counters, also of a run that faulted. @trace: NULL, or room for
 * @trace_max records; stats->trace_records were written. -EFAULT: *fault says what stopped it, accel_fault_text() in
 * words; what it wrote until then stays. -EINVAL: @code is of another device or smaller than @size, or there are more
 * bases than AXL_NUM_BASES; -ENOMEM. Buffers are those of accel_device_vm(). One run at a time: others wait.
 */
int accel_execute(struct accel_device *device, const struct accel_buffer *code, uint32_t size, const uint64_t *bases,
		  unsigned int num_bases, struct axl_exec_stats *stats, struct axl_trace_record *trace,
		  size_t trace_max, struct axl_fault_record *fault);

#ifdef __cplusplus
}
#endif

#endif
