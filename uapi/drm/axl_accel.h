/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * AXL accelerator driver: the contract between user space and axl.ko.
 *
 * Rules of every struct: naturally aligned to 8 bytes, no holes, the same layout for 32- and 64-bit user space. Flags and padding
 * that a call does not know are checked for zero (-EINVAL). A struct grows at its end only: what a caller's shorter struct leaves
 * out is zero, what a driver does not know has to be zero (drm_ioctl() does both by the size in the ioctl number). Handles of VMs,
 * contexts and queues belong to the file and start at 1. Times are absolute, CLOCK_MONOTONIC, nanoseconds. Every call may be
 * restarted after a signal.
 *
 * Memory maps of the file, by offset: buffers (AXL_BO_INFO), a context's doorbell page and its status page (AXL_CTX_CREATE).
 */
#ifndef UAPI_DRM_AXL_ACCEL_H
#define UAPI_DRM_AXL_ACCEL_H

/* User space finds it in libdrm's folder (pkg-config --cflags libdrm). */
#if defined(__KERNEL__)
#include <drm/drm.h>
#else
#include <drm.h>
#endif

#if defined(__cplusplus)
extern "C" {
#endif

#define DRM_AXL_DEV_QUERY 0x00
#define DRM_AXL_GET_TIME 0x01
#define DRM_AXL_BO_CREATE 0x02
#define DRM_AXL_BO_INFO 0x03
#define DRM_AXL_VM_CREATE 0x04
#define DRM_AXL_VM_DESTROY 0x05
#define DRM_AXL_VM_BIND 0x06
#define DRM_AXL_CTX_CREATE 0x07
#define DRM_AXL_CTX_DESTROY 0x08
#define DRM_AXL_QUEUE_CREATE 0x09
#define DRM_AXL_QUEUE_DESTROY 0x0a
#define DRM_AXL_QUEUE_QUERY 0x0b
#define DRM_AXL_QUEUE_RESET 0x0c
#define DRM_AXL_WAIT 0x0d
#define DRM_AXL_SUBMIT 0x0e
#define DRM_AXL_FENCE_EXPORT 0x0f
#define DRM_AXL_FENCE_IMPORT 0x10
#define DRM_AXL_EVENT_CONFIG 0x11
#define DRM_AXL_PERF_OPEN 0x12
#define DRM_AXL_QUEUE_SUSPEND 0x13
#define DRM_AXL_QUEUE_RESUME 0x14

/**
 * struct drm_axl_dev_info - what a device is
 * @interface_version: AXL_REG_INTERFACE_VERSION of the device
 * @isa_version: AXL_ISA_VERSION of the device
 * @tiles: number of tiles
 * @spad_bytes: scratchpad a tile
 * @acc_bytes: accumulator memory a tile
 * @clock_khz: device clock
 * @mem_bytes: local memory
 * @dram_rate: of local memory, bytes a cycle
 * @host_rate: of host memory, bytes a cycle
 * @dram_latency: cycles
 * @host_latency: cycles
 * @spad_banks: of a scratchpad
 * @features: AXL_FEATURE_*
 * @max_contexts: of the device
 * @max_queues: of the device
 * @doorbell_stride: bytes of a doorbell mapping
 * @pad: zero
 */
struct drm_axl_dev_info {
	__u32 interface_version;
	__u32 isa_version;
	__u32 tiles;
	__u32 spad_bytes;
	__u32 acc_bytes;
	__u32 clock_khz;
	__u64 mem_bytes;
	__u32 dram_rate;
	__u32 host_rate;
	__u32 dram_latency;
	__u32 host_latency;
	__u32 spad_banks;
	__u32 features;
	__u32 max_contexts;
	__u32 max_queues;
	__u32 doorbell_stride;
	__u32 pad;
};

/**
 * struct drm_axl_counters - since the driver took the device, over sleep and resets: sums of the registers of the same names
 * @cycles: CYCLES
 * @busy: COUNT_BUSY
 * @packets: COUNT_PACKETS
 * @doorbells: COUNT_DOORBELLS
 * @faults: COUNT_FAULTS
 * @tlb_misses: COUNT_TLB_MISSES
 * @dram_bytes: COUNT_DRAM_BYTES
 * @host_bytes: COUNT_HOST_BYTES
 */
struct drm_axl_counters {
	__u64 cycles;
	__u64 busy;
	__u64 packets;
	__u64 doorbells;
	__u64 faults;
	__u64 tlb_misses;
	__u64 dram_bytes;
	__u64 host_bytes;
};

#define DRM_AXL_MAX_PIPES 8

/**
 * struct drm_axl_pipe_counters - since the driver took the device, over sleep and resets; read together
 * @cycles: CYCLES
 * @busy: COUNT_PIPE_*, by enum axl_pipe; what the device has no pipe for is 0
 */
struct drm_axl_pipe_counters {
	__u64 cycles;
	__u64 busy[DRM_AXL_MAX_PIPES];
};

#define DRM_AXL_QUERY_INFO 0	 /* struct drm_axl_dev_info */
#define DRM_AXL_QUERY_COUNTERS 1 /* struct drm_axl_counters */
#define DRM_AXL_QUERY_PIPES 2	 /* struct drm_axl_pipe_counters; EOPNOTSUPP without AXL_FEATURE_PIPE_COUNTERS */

/**
 * struct drm_axl_dev_query - read a property of the device; answers on a wedged device too, from what was read at probe
 * @type: DRM_AXL_QUERY_*
 * @size: bytes at @data; the driver writes how many it has. With @data 0 nothing is copied
 * @data: user pointer
 */
struct drm_axl_dev_query {
	__u32 type;
	__u32 size;
	__u64 data;
};

/**
 * struct drm_axl_get_time - the device's clock and the system's, read together
 * @cycles: device cycle counter, from the device's last reset or sleep on: what AXL_PKT_TIMESTAMP stores
 * @cpu_ns: CLOCK_MONOTONIC
 */
struct drm_axl_get_time {
	__u64 cycles;
	__u64 cpu_ns;
};

#define DRM_AXL_BO_LOCAL 0x1 /* in the device's memory, else system memory */

/**
 * struct drm_axl_bo_create - create a zeroed buffer
 * @size: bytes, rounded up to pages; the driver writes what it is
 * @flags: DRM_AXL_BO_*
 * @handle: GEM handle, out
 *
 * -ENOSPC: local memory is full; -EDQUOT: the file would have more than a quarter of it, and no CAP_SYS_RESOURCE; -ENOMEM. What
 * is imported does not count. A dma-buf of local memory (PRIME) gives the buffer to other files of the same device; another
 * device's driver, and mmap() of the dma-buf, are refused (-EOPNOTSUPP, -EINVAL).
 */
struct drm_axl_bo_create {
	__u64 size;
	__u32 flags;
	__u32 handle;
};

/**
 * struct drm_axl_bo_info - what a buffer is
 * @handle: GEM handle
 * @flags: DRM_AXL_BO_*, out
 * @size: bytes, out
 * @mmap_offset: for mmap() of the file, out
 */
struct drm_axl_bo_info {
	__u32 handle;
	__u32 flags;
	__u64 size;
	__u64 mmap_offset;
};

/**
 * struct drm_axl_vm_create - create an address space
 * @vm: handle, out
 * @flags: zero
 * @kernel_va: start of a range that the driver places its own objects in, a multiple of 2 MiB; zero with @kernel_size 0
 * @kernel_size: bytes, a multiple of 2 MiB; 0: none, then SUBMIT is refused for its contexts
 *
 * All other addresses are the user's to choose.
 */
struct drm_axl_vm_create {
	__u32 vm;
	__u32 flags;
	__u64 kernel_va;
	__u64 kernel_size;
};

/**
 * struct drm_axl_vm_destroy - destroy an address space
 * @vm: handle
 * @flags: zero
 *
 * -EBUSY: contexts use it.
 */
struct drm_axl_vm_destroy {
	__u32 vm;
	__u32 flags;
};

#define DRM_AXL_BIND_MAP 0
#define DRM_AXL_BIND_UNMAP 1
#define DRM_AXL_BIND_MAP_USER 2

#define DRM_AXL_BIND_READ 0x1
#define DRM_AXL_BIND_WRITE 0x2
#define DRM_AXL_BIND_EXEC 0x4

/**
 * struct drm_axl_bind_op - one change of an address space
 * @op: DRM_AXL_BIND_MAP, MAP_USER or UNMAP
 * @flags: DRM_AXL_BIND_READ, WRITE, EXEC of a map; zero of an UNMAP
 * @handle: GEM handle of a MAP, else zero
 * @pad: zero
 * @va: device address, a multiple of 4096
 * @offset: of a MAP: in the buffer; of a MAP_USER: address of the caller's memory; multiples of 4096; zero of an UNMAP
 * @size: bytes, a multiple of 4096
 *
 * A map over something that is mapped: -EEXIST; into the driver's own range: -EINVAL. A MAP_USER pins the pages until the
 * UNMAP; they count for RLIMIT_MEMLOCK (-ENOMEM), and memory that can't be written can only be mapped for reading (-EFAULT).
 * An UNMAP takes exactly one earlier map away, else -ENOENT; one that a queue's ring or index page lies in: -EBUSY.
 */
struct drm_axl_bind_op {
	__u32 op;
	__u32 flags;
	__u32 handle;
	__u32 pad;
	__u64 va;
	__u64 offset;
	__u64 size;
};

/**
 * struct drm_axl_vm_bind - change an address space, all of @ops or none
 * @vm: handle
 * @flags: zero
 * @num_ops: at most 256
 * @stride: sizeof(struct drm_axl_bind_op)
 * @ops: user pointer to the operations, done in their order
 * @num_in: syncobjs to wait for, at most 64; each has a fence already, else -EINVAL
 * @num_out: syncobjs to signal, at most 64
 * @in: user pointer to struct drm_axl_sync
 * @out: user pointer to struct drm_axl_sync
 *
 * Calls of an address space take effect in their order. Without syncobjs the call first waits for those before it; when it
 * returns, what was unmapped is out of the device's reach: nothing is in flight under the old translation. With syncobjs, of
 * either kind, it returns at once. All that it can be refused for, as though all calls before it had taken effect, is refused
 * here. It takes effect when all of @in have signalled, with or without an error, and then @out signal: well, or with -EIO (the
 * device did not say that it has forgotten what was unmapped), -ECANCELED (the address space was destroyed first), -ENODEV (the
 * device went). What it unmaps is given back, and no longer counts for RLIMIT_MEMLOCK, when @out have signalled and the next
 * call begins, or a moment later. A QUEUE_CREATE whose ring's map has not taken effect: -EFAULT.
 */
struct drm_axl_vm_bind {
	__u32 vm;
	__u32 flags;
	__u32 num_ops;
	__u32 stride;
	__u64 ops;
	__u32 num_in;
	__u32 num_out;
	__u64 in;
	__u64 out;
};

#define DRM_AXL_CTX_SUBMIT 0x1 /* SUBMIT will be used: the driver makes a queue of its own in the VM's kernel range */

/**
 * struct drm_axl_ctx_create - create a context, the owner of queues
 * @vm: handle of its address space
 * @flags: DRM_AXL_CTX_*
 * @ctx: handle, out
 * @pad: zero
 * @doorbell_offset: for mmap() of its doorbell page, write only, out
 * @status_offset: for mmap() of its struct axl_status_page, read only, out
 *
 * A file has a quarter of the device's contexts at most (-EMFILE), unless it has CAP_SYS_RESOURCE.
 */
struct drm_axl_ctx_create {
	__u32 vm;
	__u32 flags;
	__u32 ctx;
	__u32 pad;
	__u64 doorbell_offset;
	__u64 status_offset;
};

/**
 * struct drm_axl_ctx_destroy - destroy a context and its queues
 * @ctx: handle
 * @pad: zero
 */
struct drm_axl_ctx_destroy {
	__u32 ctx;
	__u32 pad;
};

/**
 * struct drm_axl_queue_create - bind a ring to a hardware queue; it runs when the call returns
 * @ctx: handle of its context
 * @slots: of the ring, a power of two
 * @ring: device address of the packets, mapped for reading
 * @index: device address of struct axl_queue_index, mapped for reading and writing
 * @priority: 0 to 3; from 2 on CAP_SYS_NICE is needed (-EPERM)
 * @flags: AXL_QUEUE_BOUNDED
 * @timeslice: units of 1024 device cycles, zero: until a packet ends
 * @watchdog: likewise, zero: the driver's default
 * @queue: handle, out
 * @slot: in the context's status and doorbell pages, out
 *
 * Ring and index page stay mapped while the queue lives. A file has a quarter of the device's queues at most (-EMFILE), unless
 * it has CAP_SYS_RESOURCE.
 */
struct drm_axl_queue_create {
	__u32 ctx;
	__u32 slots;
	__u64 ring;
	__u64 index;
	__u32 priority;
	__u32 flags;
	__u32 timeslice;
	__u32 watchdog;
	__u32 queue;
	__u32 slot;
};

/**
 * struct drm_axl_queue_op - destroy, reset, suspend or resume a queue
 * @queue: handle
 * @flags: zero
 *
 * A reset kills what runs, drops the packet at which the queue stands (status.dropped) and goes on behind it. After a reset of
 * the whole device (error AXL_CAUSE_RESET) nobody knows whether the packet ran: it is begun again.
 *
 * SUSPEND asks the queue to stop at the next packet or YIELD and returns when it stands: status.state is AXL_QUEUE_SUSPENDED, or
 * FAULTED on the way. -EINVAL: it stands FAULTED already, or has AXL_QUEUE_BOUNDED: others may wait for its fences. One that is
 * suspended stays so (0). Packets may be submitted meanwhile. RESUME lets it go on; -EINVAL: it is not suspended. A suspended
 * queue keeps the device awake; over a system suspend a packet that it stands in is begun again. RESET lets it go on too.
 */
struct drm_axl_queue_op {
	__u32 queue;
	__u32 flags;
};

/**
 * struct drm_axl_queue_query - what stopped a queue
 * @queue: handle
 * @valid: 1 when there was a fault since the queue was created, out
 * @record: user pointer to room for struct axl_fault_record, or 0
 */
struct drm_axl_queue_query {
	__u32 queue;
	__u32 valid;
	__u64 record;
};

#define DRM_AXL_WAIT_ALL 0x1

/**
 * struct drm_axl_wait_entry - one thing to wait for
 * @queue: handle
 * @result: out: 0, or a negative errno: -ETIME not yet, -EIO the queue stands FAULTED, -ECANCELED a reset dropped the packet
 * @index: status.retired that is waited for
 */
struct drm_axl_wait_entry {
	__u32 queue;
	__s32 result;
	__u64 index;
};

/**
 * struct drm_axl_wait - sleep until any (or all) of the entries ended
 * @entries: user pointer
 * @num_entries: 1 to 64
 * @flags: DRM_AXL_WAIT_ALL
 * @deadline_ns: CLOCK_MONOTONIC; 0: look only; negative: for ever
 * @ended: how many entries ended, out
 * @pad: zero
 *
 * -ETIME: not enough of them ended in time; results are written. -ENODEV: the device is gone.
 */
struct drm_axl_wait {
	__u64 entries;
	__u32 num_entries;
	__u32 flags;
	__s64 deadline_ns;
	__u32 ended;
	__u32 pad;
};

#define DRM_AXL_SYNC_TIMELINE 0x1 /* @point of a timeline syncobj; else a binary one and @point 0 */

/**
 * struct drm_axl_sync - a syncobj that is waited for or signalled
 * @handle: syncobj
 * @flags: DRM_AXL_SYNC_*
 * @point: of a timeline
 */
struct drm_axl_sync {
	__u32 handle;
	__u32 flags;
	__u64 point;
};

/**
 * struct drm_axl_submit - run packets through the kernel's scheduler, after and before other fences
 * @ctx: handle of a context that was created with DRM_AXL_CTX_SUBMIT
 * @flags: zero
 * @packets: user pointer to union axl_packet[@num_packets], copied once; no WAIT packets
 * @num_packets: 1 to 16
 * @num_in: syncobjs to wait for, at most 64
 * @in: user pointer to struct drm_axl_sync
 * @num_out: syncobjs to signal, at most 64
 * @pad: zero
 * @out: user pointer to struct drm_axl_sync
 *
 * Jobs of a context run in the order of the calls. A job that faults or passes the watchdog ends with an error in its fence (-EIO,
 * -ETIME), its remaining packets are not run, and the context's next job runs.
 */
struct drm_axl_submit {
	__u32 ctx;
	__u32 flags;
	__u64 packets;
	__u32 num_packets;
	__u32 num_in;
	__u64 in;
	__u32 num_out;
	__u32 pad;
	__u64 out;
};

/**
 * struct drm_axl_fence_export - give a syncobj the fence of a queue's progress
 * @queue: handle of a queue with AXL_QUEUE_BOUNDED: a FREE queue might never come to it (-EINVAL)
 * @pad: zero
 * @index: status.retired that is waited for, at most a ring ahead (-EINVAL)
 * @sync: the syncobj; its fence ends with -EIO when the queue faults before @index, -ECANCELED when a reset drops that packet, and
 *	  -ETIME after ten seconds (one that was never submitted, say): then the queue is reset too
 */
struct drm_axl_fence_export {
	__u32 queue;
	__u32 pad;
	__u64 index;
	struct drm_axl_sync sync;
};

/**
 * struct drm_axl_fence_import - store a value when a syncobj signals
 * @sync: what is waited for; it has a fence already, else -EINVAL
 * @handle: GEM handle of the buffer that is written; not one that another driver lent (-EOPNOTSUPP)
 * @pad: zero
 * @offset: in the buffer, a multiple of 8
 * @value: 64 bits, stored when the fence signals, with or without an error
 *
 * A WAIT packet of a queue that looks at that word goes on then. The buffer lives until the store is done.
 */
struct drm_axl_fence_import {
	struct drm_axl_sync sync;
	__u32 handle;
	__u32 pad;
	__u64 offset;
	__u64 value;
};

#define DRM_AXL_EVENT_MASK_FAULT 0x1
#define DRM_AXL_EVENT_MASK_RESET 0x2

#define DRM_AXL_EVENT_FD 0x1

/**
 * struct drm_axl_event_config - ask for events of this file's queues, read from the file descriptor
 * @mask: DRM_AXL_EVENT_MASK_*; 0: none
 * @flags: DRM_AXL_EVENT_FD: @eventfd is signalled with each event as well, one that finds no room included; without the flag
 *	an earlier one is let go
 * @eventfd: an eventfd; zero without the flag
 * @pad: zero
 */
struct drm_axl_event_config {
	__u32 mask;
	__u32 flags;
	__s32 eventfd;
	__u32 pad;
};

#define DRM_AXL_EVENT_FAULT 0x80000000 /* a queue stands FAULTED */
#define DRM_AXL_EVENT_RESET 0x80000001 /* a queue was reset by the driver */

/**
 * struct drm_axl_event - what read() of the file gives (struct drm_event first); a full queue of events drops the newest
 * @type: DRM_AXL_EVENT_*
 * @length: sizeof(struct drm_axl_event)
 * @queue: handle
 * @cause: enum axl_cause
 * @packet: index of the packet
 * @address: of the fault
 * @cycle: of the device
 */
struct drm_axl_event {
	__u32 type;
	__u32 length;
	__u32 queue;
	__u32 cause;
	__u64 packet;
	__u64 address;
	__u64 cycle;
};

#define DRM_AXL_PERF_DEVICE 0x1		/* of all contexts; needs CAP_PERFMON */
#define DRM_AXL_PERF_MIN_PERIOD 100000 /* ns */

/**
 * struct drm_axl_perf_open - a file from which counters are read, taken at a fixed period
 * @ctx: whose; 0 with DRM_AXL_PERF_DEVICE
 * @flags: DRM_AXL_PERF_*
 * @period_ns: DRM_AXL_PERF_MIN_PERIOD .. 10^9
 * @fd: out: read() gives whole records, oldest first, and waits for one unless O_NONBLOCK; poll() works; the file outlives
 *	context and device file. ENODEV when the device is gone and all records are read
 * @pad: zero
 */
struct drm_axl_perf_open {
	__u32 ctx;
	__u32 flags;
	__u64 period_ns;
	__s32 fd;
	__u32 pad;
};

/**
 * struct drm_axl_perf_record - what is read from it
 * @cpu_ns: CLOCK_MONOTONIC when it was taken
 * @lost: records so far that found no room: 1024 may wait to be read
 * @counters: of the device; of a context @busy (cycles) and @packets (retired) alone, summed over its queues of that moment
 */
struct drm_axl_perf_record {
	__u64 cpu_ns;
	__u64 lost;
	struct drm_axl_counters counters;
};

#define DRM_IOCTL_AXL_DEV_QUERY DRM_IOWR(DRM_COMMAND_BASE + DRM_AXL_DEV_QUERY, struct drm_axl_dev_query)
#define DRM_IOCTL_AXL_GET_TIME DRM_IOWR(DRM_COMMAND_BASE + DRM_AXL_GET_TIME, struct drm_axl_get_time)
#define DRM_IOCTL_AXL_BO_CREATE DRM_IOWR(DRM_COMMAND_BASE + DRM_AXL_BO_CREATE, struct drm_axl_bo_create)
#define DRM_IOCTL_AXL_BO_INFO DRM_IOWR(DRM_COMMAND_BASE + DRM_AXL_BO_INFO, struct drm_axl_bo_info)
#define DRM_IOCTL_AXL_VM_CREATE DRM_IOWR(DRM_COMMAND_BASE + DRM_AXL_VM_CREATE, struct drm_axl_vm_create)
#define DRM_IOCTL_AXL_VM_DESTROY DRM_IOW(DRM_COMMAND_BASE + DRM_AXL_VM_DESTROY, struct drm_axl_vm_destroy)
#define DRM_IOCTL_AXL_VM_BIND DRM_IOW(DRM_COMMAND_BASE + DRM_AXL_VM_BIND, struct drm_axl_vm_bind)
#define DRM_IOCTL_AXL_CTX_CREATE DRM_IOWR(DRM_COMMAND_BASE + DRM_AXL_CTX_CREATE, struct drm_axl_ctx_create)
#define DRM_IOCTL_AXL_CTX_DESTROY DRM_IOW(DRM_COMMAND_BASE + DRM_AXL_CTX_DESTROY, struct drm_axl_ctx_destroy)
#define DRM_IOCTL_AXL_QUEUE_CREATE DRM_IOWR(DRM_COMMAND_BASE + DRM_AXL_QUEUE_CREATE, struct drm_axl_queue_create)
#define DRM_IOCTL_AXL_QUEUE_DESTROY DRM_IOW(DRM_COMMAND_BASE + DRM_AXL_QUEUE_DESTROY, struct drm_axl_queue_op)
#define DRM_IOCTL_AXL_QUEUE_QUERY DRM_IOWR(DRM_COMMAND_BASE + DRM_AXL_QUEUE_QUERY, struct drm_axl_queue_query)
#define DRM_IOCTL_AXL_QUEUE_RESET DRM_IOW(DRM_COMMAND_BASE + DRM_AXL_QUEUE_RESET, struct drm_axl_queue_op)
#define DRM_IOCTL_AXL_WAIT DRM_IOWR(DRM_COMMAND_BASE + DRM_AXL_WAIT, struct drm_axl_wait)
#define DRM_IOCTL_AXL_SUBMIT DRM_IOW(DRM_COMMAND_BASE + DRM_AXL_SUBMIT, struct drm_axl_submit)
#define DRM_IOCTL_AXL_FENCE_EXPORT DRM_IOW(DRM_COMMAND_BASE + DRM_AXL_FENCE_EXPORT, struct drm_axl_fence_export)
#define DRM_IOCTL_AXL_FENCE_IMPORT DRM_IOW(DRM_COMMAND_BASE + DRM_AXL_FENCE_IMPORT, struct drm_axl_fence_import)
#define DRM_IOCTL_AXL_EVENT_CONFIG DRM_IOW(DRM_COMMAND_BASE + DRM_AXL_EVENT_CONFIG, struct drm_axl_event_config)
#define DRM_IOCTL_AXL_PERF_OPEN DRM_IOWR(DRM_COMMAND_BASE + DRM_AXL_PERF_OPEN, struct drm_axl_perf_open)
#define DRM_IOCTL_AXL_QUEUE_SUSPEND DRM_IOW(DRM_COMMAND_BASE + DRM_AXL_QUEUE_SUSPEND, struct drm_axl_queue_op)
#define DRM_IOCTL_AXL_QUEUE_RESUME DRM_IOW(DRM_COMMAND_BASE + DRM_AXL_QUEUE_RESUME, struct drm_axl_queue_op)

#if defined(__cplusplus)
}
#endif

#endif
