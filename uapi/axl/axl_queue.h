/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * AXL user-mode queue: the contract between libaccel and the device.
 *
 * A queue is a ring of 64-byte packets and one index page, both in the owner's address space, plus one entry of the context's
 * status page, which the kernel owns; the user reads it.
 *
 *	producer (one thread at a time)				device
 *	-------------------------------				------
 *	slot = ring[write & mask]; fill it			sleeps: status.event = read; full barrier; looks at write again
 *	store-release index.write = ++write	------------->	load-acquire index.write
 *	full barrier; load status.event				copies the packet once, then checks and runs the copy
 *	if event is in [old write, new write):			store-release status.retired
 *		store the new write to the doorbell -------->	wakes
 *
 * Indices are 64-bit, run freely and never wrap; only the slot number is masked. A slot may be written again when its packet is
 * retired:  write - status.retired < number of slots.  Packets of a queue run one after another, in order; two queues are not
 * ordered. The pair (store write, load event) / (store event, load write) is Dekker's: both sides need a full barrier between
 * their store and their load, or a wake-up is lost.
 *
 * Everything is little endian. Single aligned 64-bit stores are never torn, on either side.
 */
#ifndef UAPI_AXL_AXL_QUEUE_H
#define UAPI_AXL_AXL_QUEUE_H

#include <linux/types.h>

#define AXL_PACKET_BYTES 64
#define AXL_RING_MIN_SLOTS 8
#define AXL_RING_MAX_SLOTS 65536 /* a power of two */

/*
 * Index page of a queue: user memory, 4096 bytes aligned, mapped read and write for the device.
 * @write: packets produced so far; written by the producer only
 * @read:  packets the device has copied so far; written by the device only, for the user's information
 */
struct axl_queue_index {
	__u64 write;
	__u64 reserved0[7];
	__u64 read;
	__u64 reserved1[7];
};

/*
 * Status entry of a queue: 64 bytes, in the context's status page (struct axl_status_page), written by the device through the
 * privileged port, read-only for the user.
 * @retired:     packets completed (or skipped after a reset); monotonic
 * @event:       the device wants a doorbell when write passes this index; ~0: it is awake and wants none. While ENABLE is 0, and
 *		 in a reset, it stays as it is: a queue that was asleep is
 * @state:       enum axl_queue_state
 * @error:       enum axl_cause of the packet that stopped the queue, 0: none
 * @busy_cycles: device cycles that tiles and copy engine spent on this queue, for accounting
 * @generation:  counts resets of the queue
 * @dropped:     retired as it was right after the last reset that dropped a packet: that packet never completed; 0: none
 * @notify:      the one word here that the driver writes: raise the context's interrupt when @retired reaches this index; 0:
 *		 nobody sleeps. Driver: store notify; full barrier; look at retired and state once more before it sleeps. Device:
 *		 store retired; full barrier; load notify. Every change of @state raises the interrupt as well.
 */
struct axl_queue_status {
	__u64 retired;
	__u64 event;
	__u32 state;
	__u32 error;
	__u64 busy_cycles;
	__u64 generation;
	__u64 dropped;
	__u64 notify;
	__u64 reserved;
};

#define AXL_EVENT_AWAKE (~(__u64)0)
#define AXL_QUEUES_PER_CONTEXT 32

struct axl_status_page {
	struct axl_queue_status queue[AXL_QUEUES_PER_CONTEXT];
};

enum axl_queue_state {
	AXL_QUEUE_OFF = 0,
	AXL_QUEUE_RUNNING = 1,
	AXL_QUEUE_FAULTED = 2,	 /* stopped at packet `retired`; see the fault record */
	AXL_QUEUE_SUSPENDED = 3, /* stopped by the driver, at a packet or YIELD boundary */
};

/* Packet header, 8 bytes. @flags: AXL_PF_*; @tag is the user's, copied to fault records. */
struct axl_packet_header {
	__u8 opcode;
	__u8 flags;
	__u16 reserved;
	__u32 tag;
};

#define AXL_PF_INTERRUPT 0x01 /* raise the context's interrupt when retired */

enum axl_packet_opcode {
	AXL_PKT_NOP = 0,
	AXL_PKT_EXECUTE = 1,
	AXL_PKT_COPY = 2,
	AXL_PKT_FILL = 3,
	AXL_PKT_WAIT = 4,
	AXL_PKT_SIGNAL = 5,
	AXL_PKT_TIMESTAMP = 6,
	AXL_NUM_PACKETS
};

/*
 * EXECUTE: run a command buffer (struct axl_cmdbuf).
 * @cmdbuf:     address, 64-byte aligned, readable and executable for @size bytes
 * @args:       address of num_bases 64-bit base register values (8-byte aligned, readable); 0 when there are none
 * @size:       bytes of the command buffer
 * @trace_size: bytes at @trace, a multiple of sizeof(struct axl_trace_record)
 * @stats:      0, or where struct axl_exec_stats is written when the buffer ends (8-byte aligned)
 * @trace:      0, or where struct axl_trace_record are written, one per instruction; what does not fit is counted in
 *              stats.trace_dropped
 */
struct axl_packet_execute {
	struct axl_packet_header header;
	__u64 cmdbuf;
	__u64 args;
	__u32 size;
	__u32 trace_size;
	__u64 stats;
	__u64 trace;
	__u64 reserved[2];
};

/* COPY: @size bytes from @src to @dst; ranges must not overlap (AXL_CAUSE_PACKET). Any alignment. */
struct axl_packet_copy {
	struct axl_packet_header header;
	__u64 dst;
	__u64 src;
	__u64 size;
	__u64 reserved[4];
};

/* FILL: the 4 bytes of @pattern, repeated, @size bytes from @dst; both multiples of 4. */
struct axl_packet_fill {
	struct axl_packet_header header;
	__u64 dst;
	__u64 size;
	__u32 pattern;
	__u32 reserved0;
	__u64 reserved[4];
};

/*
 * WAIT: until the 64-bit word at @address compares true with @value (unsigned); an acquire. Refused in a BOUNDED queue
 * (AXL_CAUSE_PACKET). SIGNAL: store @value there, a release: after everything that earlier packets of the queue wrote.
 */
enum axl_wait_op { AXL_WAIT_EQ = 0, AXL_WAIT_NE = 1, AXL_WAIT_GE = 2, AXL_WAIT_GT = 3, AXL_WAIT_LE = 4, AXL_WAIT_LT = 5 };

struct axl_packet_fence {
	struct axl_packet_header header;
	__u64 address; /* 8-byte aligned */
	__u64 value;
	__u32 op; /* enum axl_wait_op; SIGNAL: 0 */
	__u32 reserved0;
	__u64 reserved[4];
};

/* TIMESTAMP: store the device's cycle counter (64 bits) at @address; as SIGNAL in order. */
struct axl_packet_timestamp {
	struct axl_packet_header header;
	__u64 address;
	__u64 reserved[6];
};

union axl_packet {
	struct axl_packet_header header;
	struct axl_packet_execute execute;
	struct axl_packet_copy copy;
	struct axl_packet_fill fill;
	struct axl_packet_fence fence;
	struct axl_packet_timestamp timestamp;
	__u8 bytes[AXL_PACKET_BYTES];
};

/*
 * Why a pipe did not work in a cycle. BUSY and the stalls of a pipe add up to the cycles of the execution, per tile.
 */
#define AXL_STALLS(X)                                                                                                           \
	X(BUSY, 0, "busy")                                                                                                      \
	X(SEMAPHORE, 1, "semaphore") /* a wait does not hold */                                                                 \
	X(BANK, 2, "bank")	     /* scratchpad banks taken by other pipes */                                                \
	X(DRAM, 3, "dram")	     /* local memory: latency or bandwidth */                                                   \
	X(HOST, 4, "host")	     /* PCIe: latency, tags or bandwidth */                                                     \
	X(TLB, 5, "tlb")	     /* page walks */                                                                           \
	X(EMPTY, 6, "empty")	     /* no instruction */

enum axl_stall {
#define AXL_STALL_ENUM(name, number, text) AXL_STALL_##name = number,
	AXL_STALLS(AXL_STALL_ENUM)
#undef AXL_STALL_ENUM
	AXL_NUM_STALLS
};

/*
 * Counters of one execution, 2048 bytes.
 * @start, @end: device cycle counter
 * @macs_issued: array positions times cycles while the matrix pipe streamed; @macs_useful: products that entered a result
 *               (8-bit products; a 16-bit one counts once as well)
 * @bytes: by purpose (enum axl_purpose; index 4: command stream, index 5: page tables) and memory (0 local, 1 system)
 * @pipe: cycles by tile, pipe (enum axl_pipe), reason (enum axl_stall)
 */
struct axl_exec_stats {
	__u64 start;
	__u64 end;
	__u64 instructions;
	__u64 macs_issued;
	__u64 macs_useful;
	__u64 vector_ops;
	__u64 tlb_misses;
	__u64 preemptions;
	__u64 trace_records;
	__u64 trace_dropped;
	__u64 reserved0[6];
	__u64 bytes[6][2];
	__u64 reserved1[4];
	__u32 pipe[8][7][7]; /* AXL_MAX_TILES, AXL_NUM_PIPES, AXL_NUM_STALLS */
	__u32 reserved2[56];
};

/* Trace record, 32 bytes: one per instruction that a pipe ended. Cycles relative to stats.start. */
struct axl_trace_record {
	__u64 begin; /* when the instruction started: waits held */
	__u64 end;   /* when its signals were sent */
	__u32 offset; /* of the instruction in its command buffer, bytes */
	__u16 tag;
	__u8 tile;
	__u8 pipe;
	__u8 opcode;
	__u8 detail; /* VEC: the operation; DMA: purpose; else 0 */
	__u16 reserved;
	__u32 stalled; /* cycles of [begin, end) in which it did not advance */
};

#ifndef AXL_ASSERT
#ifdef __cplusplus
#define AXL_ASSERT(cond, text) static_assert(cond, text)
#else
#define AXL_ASSERT(cond, text) _Static_assert(cond, text)
#endif
#endif
AXL_ASSERT(sizeof(struct axl_queue_index) == 128, "two cache lines");
AXL_ASSERT(sizeof(struct axl_queue_status) == 64, "one cache line");
AXL_ASSERT(sizeof(struct axl_packet_execute) == AXL_PACKET_BYTES, "packet");
AXL_ASSERT(sizeof(struct axl_packet_copy) == AXL_PACKET_BYTES, "packet");
AXL_ASSERT(sizeof(struct axl_packet_fill) == AXL_PACKET_BYTES, "packet");
AXL_ASSERT(sizeof(struct axl_packet_fence) == AXL_PACKET_BYTES, "packet");
AXL_ASSERT(sizeof(struct axl_packet_timestamp) == AXL_PACKET_BYTES, "packet");
AXL_ASSERT(sizeof(union axl_packet) == AXL_PACKET_BYTES, "packet");
AXL_ASSERT(sizeof(struct axl_exec_stats) == 2048, "stats");
AXL_ASSERT(sizeof(struct axl_trace_record) == 32, "trace record");

#endif
