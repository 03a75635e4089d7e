/* SPDX-License-Identifier: MIT */
/*
 * libaccel: user-mode queues, the submission path.
 *
 *	packet = accel_queue_next(queue);	a free slot of the ring, or NULL: full
 *	accel_packet_execute(packet, …);	fill it, all 64 bytes
 *	…					more of them
 *	index = accel_queue_submit(queue);	one store makes all of them visible to the device
 *	accel_queue_done(queue, index)		poll; or sleep with accel_queue_wait()
 *
 * What is inline here takes no lock and makes no system call; of submit the doorbell alone leaves the fast path, when
 * the device says that it sleeps. The protocol is that of <axl/axl_queue.h>. A queue has one producer: one thread at a
 * time may call space, next and submit. Reading progress (retired, done, state) and waiting are for any thread.
 */
#ifndef ACCEL_QUEUE_H
#define ACCEL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <axl/axl_queue.h>
#include <axl/axl_regs.h>

#ifdef __cplusplus
extern "C" {
#endif

struct accel_context;

/*
 * A queue. The fields are what the inline functions need; programs use the functions.
 * @ring, @index, @status: shared with the device
 * @doorbell: where a store wakes the device; NULL: @wake does
 * @mask:     slots - 1
 * @head:     index of the next packet that accel_queue_next() hands out
 * @written:  packets submitted
 * @retired:  what was seen of status->retired last: saves loads of a line that the device writes
 */
struct accel_queue {
	union axl_packet *ring;
	struct axl_queue_index *index;
	const struct axl_queue_status *status;
	volatile uint64_t *doorbell;
	void (*wake)(struct accel_queue *queue);
	uint64_t mask;
	uint64_t head, written, retired;
};

/*
 * How a queue is made.
 * @slots:     of the ring: a power of two, AXL_RING_MIN_SLOTS to AXL_RING_MAX_SLOTS; 0: 256
 * @priority:  0 to 3; higher goes first; behind the kernel driver 2 and 3 need CAP_SYS_NICE
 * @flags:     AXL_QUEUE_BOUNDED: no WAIT packets, and @watchdog is not 0
 * @timeslice: units of 1024 device cycles after which a queue of the same priority may take the tiles; 0: at the ends
 *	       of packets
 * @watchdog:  units of 1024 device cycles that one packet may run; 0: no limit, behind the kernel driver the driver's
 */
struct accel_queue_options {
	uint32_t slots, priority, flags, timeslice, watchdog;
};

/*
 * Create a queue in @context; it runs at once. @options: NULL for a queue of 256 slots, priority 1, without limits.
 * -EINVAL: an option out of its range; -EPERM: a priority that needs more rights; -EMFILE: behind the kernel driver,
 * more than a quarter of the device's queues without CAP_SYS_RESOURCE; -ENOSPC: the context has AXL_QUEUES_PER_CONTEXT
 * queues, or the device no more; -ENOMEM. The queue belongs to the caller, who destroys it before its context.
 */
int accel_queue_create(struct accel_context *context, const struct accel_queue_options *options,
		       struct accel_queue **queue);
/* Kill what it runs, and free it. No other thread uses the queue. NULL is fine. */
void accel_queue_destroy(struct accel_queue *queue);

/* Packets that may be handed out before the ring is full, by what is known of the device's progress. */
static inline uint64_t accel_queue_space(const struct accel_queue *queue)
{
	return queue->mask + 1 - (queue->head - __atomic_load_n(&queue->status->retired, __ATOMIC_ACQUIRE));
}

/* The next free slot; NULL: the ring is full until the device retires a packet. The slot holds anything: fill it whole.
 */
static inline union axl_packet *accel_queue_next(struct accel_queue *queue)
{
	if (__builtin_expect(queue->head - queue->retired > queue->mask, 0)) {
		/* Pairs with the device's release of retired: it has done with the slot before we write to it. */
		queue->retired = __atomic_load_n(&queue->status->retired, __ATOMIC_ACQUIRE);
		if (queue->head - queue->retired > queue->mask)
			return NULL;
	}
	return &queue->ring[queue->head++ & queue->mask];
}

/*
 * Give everything that accel_queue_next() handed out to the device. Returns the index to wait for: the queue has done
 * it all when status->retired reaches it. With nothing to give it returns the same index as before.
 */
static inline uint64_t accel_queue_submit(struct accel_queue *queue)
{
	uint64_t old = queue->written, event;

	if (queue->head == old)
		return old;
	queue->written = queue->head;
	/* Pairs with the device's acquire of write: the packets are in the ring before they are counted. */
	__atomic_store_n(&queue->index->write, queue->written, __ATOMIC_RELEASE);
	/* Full barrier: pairs with the device's, between its store of event and its last look at write. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = __atomic_load_n(&queue->status->event, __ATOMIC_RELAXED);
	/* Free-running indices: true when event lies in [old, written). AXL_EVENT_AWAKE never does. */
	if (__builtin_expect(event - old < queue->written - old, 0)) {
		if (queue->doorbell)
			*queue->doorbell = queue->written;
		else
			queue->wake(queue);
	}
	return queue->written;
}

/* Packets retired so far. What they wrote is visible to the caller. */
static inline uint64_t accel_queue_retired(const struct accel_queue *queue)
{
	return __atomic_load_n(&queue->status->retired, __ATOMIC_ACQUIRE);
}

/* True when the packets below @index, from accel_queue_submit(), have retired. */
static inline bool accel_queue_done(const struct accel_queue *queue, uint64_t index)
{
	return accel_queue_retired(queue) >= index;
}

/* What the device says of the queue: running, suspended, faulted …, as of now. */
static inline enum axl_queue_state accel_queue_state(const struct accel_queue *queue)
{
	return (enum axl_queue_state)__atomic_load_n(&queue->status->state, __ATOMIC_ACQUIRE);
}

/* Device cycles that this queue's packets used so far, as of the last one that retired. */
static inline uint64_t accel_queue_cycles(const struct accel_queue *queue)
{
	return __atomic_load_n(&queue->status->busy_cycles, __ATOMIC_RELAXED);
}

/* Zeroes but for the opcode: what the functions below begin with, and what a packet of another kind may. */
static inline union axl_packet accel_packet_empty(enum axl_packet_opcode opcode)
{
	union axl_packet packet;

	memset(&packet, 0, sizeof(packet));
	packet.header.opcode = (uint8_t)opcode;
	return packet;
}

/*
 * Fill a packet: all of its 64 bytes. Addresses are device addresses in the queue's address space. The packet's meaning
 * and what it is refused for are in <axl/axl_queue.h>; a refused packet stops the queue (AXL_CAUSE_PACKET).
 */
static inline void accel_packet_nop(union axl_packet *packet)
{
	*packet = accel_packet_empty(AXL_PKT_NOP);
}

/* Run the command buffer of @size bytes at @cmdbuf; @args: its base registers; @stats: struct axl_exec_stats, or 0. */
static inline void accel_packet_execute(union axl_packet *packet, uint64_t cmdbuf, uint32_t size, uint64_t args,
					uint64_t stats)
{
	union axl_packet filled = accel_packet_empty(AXL_PKT_EXECUTE);

	filled.execute.cmdbuf = cmdbuf;
	filled.execute.size = size;
	filled.execute.args = args;
	filled.execute.stats = stats;
	*packet = filled;
}

/* Copy @size bytes from @src to @dst, device addresses; the ranges do not overlap. */
static inline void accel_packet_copy(union axl_packet *packet, uint64_t dst, uint64_t src, uint64_t size)
{
	union axl_packet filled = accel_packet_empty(AXL_PKT_COPY);

	filled.copy.dst = dst;
	filled.copy.src = src;
	filled.copy.size = size;
	*packet = filled;
}

/* Write the 32-bit @pattern over @size bytes at @dst, a device address. */
static inline void accel_packet_fill(union axl_packet *packet, uint64_t dst, uint32_t pattern, uint64_t size)
{
	union axl_packet filled = accel_packet_empty(AXL_PKT_FILL);

	filled.fill.dst = dst;
	filled.fill.size = size;
	filled.fill.pattern = pattern;
	*packet = filled;
}

/* Hold the queue until the 64-bit word at @address and @value are as @op says. */
static inline void accel_packet_wait(union axl_packet *packet, uint64_t address, enum axl_wait_op op, uint64_t value)
{
	union axl_packet filled = accel_packet_empty(AXL_PKT_WAIT);

	filled.fence.address = address;
	filled.fence.value = value;
	filled.fence.op = op;
	*packet = filled;
}

/* Write @value to the 64-bit word at @address, behind everything before it in the queue, and wake who waits for it. */
static inline void accel_packet_signal(union axl_packet *packet, uint64_t address, uint64_t value)
{
	union axl_packet filled = accel_packet_empty(AXL_PKT_SIGNAL);

	filled.fence.address = address;
	filled.fence.value = value;
	*packet = filled;
}

/* Write the device's cycle counter to the 64-bit word at @address, behind everything before it in the queue. */
static inline void accel_packet_timestamp(union axl_packet *packet, uint64_t address)
{
	union axl_packet filled = accel_packet_empty(AXL_PKT_TIMESTAMP);

	filled.timestamp.address = address;
	*packet = filled;
}

/* The user's tag of a packet that was filled: it comes back in fault records. */
static inline void accel_packet_tag(union axl_packet *packet, uint32_t tag)
{
	packet->header.tag = tag;
}

#define ACCEL_FOREVER INT64_MAX

/*
 * Sleep until the packets below @index have retired. @deadline_ns: CLOCK_MONOTONIC, ACCEL_FOREVER, or 0 to look only.
 * 0; -ETIMEDOUT; -EIO: the queue stands FAULTED before that (accel_queue_fault() says why); -ECANCELED: the last reset
 * dropped the packet below @index. Any thread.
 */
int accel_queue_wait(struct accel_queue *queue, uint64_t index, int64_t deadline_ns);

/* One of several things to wait for. @result: 0 or what accel_queue_wait() would return, written by accel_wait_many().
 */
struct accel_wait {
	struct accel_queue *queue;
	uint64_t index;
	int result;
};

#define ACCEL_WAIT_MAX 64

/*
 * Sleep until any (or all, by @all) of @count entries ended, in good or with an error; queues of one device. Returns
 * the number of entries that ended, or -ETIMEDOUT; the results of entries that did not end are -ETIMEDOUT. -EINVAL: no
 * entry, more than ACCEL_WAIT_MAX, or queues of several devices; -ENOMEM, with more than eight entries only; after
 * both no result is written. -ENODEV: the device is gone. Any thread.
 */
int accel_wait_many(struct accel_wait *waits, size_t count, bool all, int64_t deadline_ns);

/*
 * Kill what the queue runs, drop the packet at which it stands (status->dropped), and go on with the next: the way out
 * of a fault and of a hang. What was dropped has not completed, though it may have written; waiting for it gives
 * -ECANCELED. Packets behind it run: a program that does not want them makes a new queue. Behind the kernel driver,
 * after a reset of the whole device (the fault's cause is AXL_CAUSE_RESET), nothing is dropped: the packet is begun
 * again. Any thread. -EIO: the device did not take the command.
 */
int accel_queue_reset(struct accel_queue *queue);
/*
 * Suspend at the next packet or YIELD, and go on. Suspending returns when the queue stands: SUSPENDED, or FAULTED on
 * the way. Packets may be submitted meanwhile. -EINVAL: not running, not suspended, or, behind the kernel driver, a queue
 * with AXL_QUEUE_BOUNDED. Any thread. -EIO: the device did not take the command.
 */
int accel_queue_suspend(struct accel_queue *queue);
int accel_queue_resume(struct accel_queue *queue);

/* The record of the queue's last fault. -ENOENT: it had none. Any thread. */
int accel_queue_fault(struct accel_queue *queue, struct axl_fault_record *record);
/* A fault in one sentence: cause, tile, pipe, offset of the instruction, address. Returns @text. */
char *accel_fault_text(const struct axl_fault_record *fault, char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
