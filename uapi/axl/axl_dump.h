/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * AXL dump: what a queue stood in when it faulted, enough to run its packet again. Written by the driver (devcoredump), read by
 * `accel replay`.
 *
 *	struct axl_dump_header
 *	struct axl_dump_section, payload	DEVICE	 struct axl_dump_device
 *	struct axl_dump_section, payload	QUEUE	 struct axl_dump_queue
 *	struct axl_dump_section, payload	FAULT	 struct axl_dump_fault
 *	struct axl_dump_section, payload	PACKETS	 struct axl_dump_packet, one after another
 *	struct axl_dump_section, payload	RANGES	 struct axl_dump_range, one after another
 *	struct axl_dump_section, payload	MEMORY	 struct axl_dump_memory and its bytes; as often as needed
 *
 * Everything is little endian; each header and payload begins at a multiple of 8. Sections may come in any order; each but MEMORY
 * comes once. A struct grows at its end: a reader takes what it knows of @item bytes and passes over the rest, and passes over
 * sections that it does not know. What can not be read so is a new version. A reader trusts nothing in it.
 */
#ifndef UAPI_AXL_AXL_DUMP_H
#define UAPI_AXL_AXL_DUMP_H

#include <linux/types.h>

#include <axl/axl_queue.h>
#include <axl/axl_regs.h>

#define AXL_DUMP_MAGIC 0x444c5841u /* "AXLD" */
#define AXL_DUMP_VERSION 1

/* What is missing, because it would have been too much. */
#define AXL_DUMP_CUT_CODE 0x1 /* the end of the command buffer */
#define AXL_DUMP_CUT_DATA 0x2 /* contents of ranges that can be read: those without AXL_DUMP_RANGE_HELD */

/*
 * @magic:    AXL_DUMP_MAGIC
 * @version:  AXL_DUMP_VERSION
 * @flags:    AXL_DUMP_CUT_*
 * @sections: how many follow
 * @reserved: 0
 * @size:     bytes of the whole dump, this header included
 */
struct axl_dump_header {
	__u32 magic;
	__u16 version;
	__u16 flags;
	__u32 sections;
	__u32 reserved;
	__u64 size;
};

enum axl_dump_type {
	AXL_DUMP_DEVICE = 1,
	AXL_DUMP_QUEUE = 2,
	AXL_DUMP_FAULT = 3,
	AXL_DUMP_PACKETS = 4,
	AXL_DUMP_RANGES = 5,
	AXL_DUMP_MEMORY = 6,
};

/*
 * @type: enum axl_dump_type
 * @item: bytes of each struct in the payload, a multiple of 8
 * @size: bytes of the payload, a multiple of 8; the next section follows them
 */
struct axl_dump_section {
	__u32 type;
	__u32 item;
	__u64 size;
};

/* What device it is: the registers of the same names (AXL_REGS). */
struct axl_dump_device {
	__u32 version;
	__u32 tiles;
	__u32 spad_bytes;
	__u32 acc_bytes;
	__u32 clock_khz;
	__u32 dram_rate;
	__u32 host_rate;
	__u32 dram_latency;
	__u32 host_latency;
	__u32 spad_banks;
	__u32 features;
	__u32 control;
	__u64 mem_size;
};

#define AXL_DUMP_QUEUE_KERNEL 0x1 /* the driver's own (DRM_IOCTL_AXL_SUBMIT) */

/*
 * @context: its entry of the context table; @number of the table's entry is desc.context
 * @desc:    its entry of the queue table
 * @status:  its entry of the status page when it stood
 * @write, @read: words of its index page
 * @number:  of the queue table's entry
 * @flags:   AXL_DUMP_QUEUE_*
 */
struct axl_dump_queue {
	struct axl_context_desc context;
	struct axl_queue_desc desc;
	struct axl_queue_status status;
	__u64 write;
	__u64 read;
	__u32 number;
	__u32 flags;
};

/*
 * @record: of the fault
 * @walk:   when its address is one of memory: the page table entries of that address as the driver has them, walk[l] at level l; 0
 *	    below the level where the walk ends
 */
struct axl_dump_fault {
	struct axl_fault_record record;
	__u64 walk[AXL_TABLE_LEVELS];
};

/*
 * A packet of the ring as it lay there, @index free running. The packets around the one at which the queue stands (status.retired),
 * ascending, without a gap. The device works on a copy of its own: a program that wrote to the slot meanwhile shows here.
 */
struct axl_dump_packet {
	__u64 index;
	union axl_packet packet;
};

/*
 * MEMORY has all of its contents; what none has is zero. (Of a driver's own queue, ring and index page are what PACKETS and QUEUE
 * have.)
 */
#define AXL_DUMP_RANGE_HELD 0x1

/*
 * A mapping of the address space: all of them that the queue's context may use, but for queues of the driver's own that are not this
 * one. Ascending by @va, none over another.
 * @va, @size: bytes, multiples of 4096
 * @address: with AXL_PTE_LOCAL: where it lies in local memory; else 0: where a system page lies is nobody's business
 * @bits:    AXL_PTE_READ, WRITE, EXEC, LOCAL
 * @flags:   AXL_DUMP_RANGE_*
 */
struct axl_dump_range {
	__u64 va;
	__u64 size;
	__u64 address;
	__u32 bits;
	__u32 flags;
};

/*
 * Contents of memory: @bytes bytes from @va on follow this struct (@item bytes long), and zeros up to a multiple of 8. Where two
 * sections have the same byte, the later one counts.
 */
struct axl_dump_memory {
	__u64 va;
	__u64 bytes;
};

AXL_ASSERT(sizeof(struct axl_dump_header) == 24, "dump header");
AXL_ASSERT(sizeof(struct axl_dump_section) == 16, "dump section");
AXL_ASSERT(sizeof(struct axl_dump_device) == 56, "dump device");
AXL_ASSERT(sizeof(struct axl_dump_queue) == 216, "dump queue");
AXL_ASSERT(sizeof(struct axl_dump_fault) == 544, "dump fault");
AXL_ASSERT(sizeof(struct axl_dump_packet) == 72, "dump packet");
AXL_ASSERT(sizeof(struct axl_dump_range) == 32, "dump range");
AXL_ASSERT(sizeof(struct axl_dump_memory) == 16, "dump memory");

#endif
