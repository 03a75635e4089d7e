/* SPDX-License-Identifier: MIT */
/*
 * A passive device on a small bus, driven as a driver would: registers, tables, page tables, rings. Every address space
 * maps the arena's user part one to one from USER_VA; what a test needs beyond that it writes into the page tables
 * itself.
 */
#ifndef TESTS_UNIT_DEVICE_FRONT_H
#define TESTS_UNIT_DEVICE_FRONT_H

#include "sim/core/device.h"

enum {
	ARENA_BYTES = 16 << 20,
	FAULT_RECORDS = 4,
	RING_SLOTS = 8,
};
#define BUS_BASE 0x40000000ull /* bus address of the arena */
#define USER_VA 0x7000000000ull
#define LOCAL_VA 0x9000000000ull /* the first 2 MiB of local memory, one large page */

/* @next: arena bytes handed out; @irqs: by vector */
struct front {
	struct device *device;
	uint8_t *arena;
	uint64_t next;
	struct axl_context_desc *contexts;
	struct axl_queue_desc *queues;
	struct axl_fault_record *faults;
	uint64_t *root[4], *leaves[4];
	struct axl_status_page *status[4];
	unsigned int irqs[AXL_NUM_VECTORS];
};

/* A queue as its producer sees it. */
struct producer {
	struct front *front;
	unsigned int number;
	union axl_packet *ring;
	struct axl_queue_index *index;
	volatile struct axl_queue_status *status;
	struct axl_queue_desc *desc;
};

/* Up to ENABLE. @target: of engine_configs. */
void front_init(struct front *front, const char *target);
void front_finish(struct front *front);

/* Zeroed arena memory, page aligned; its bus address and its virtual address in every context. */
void *front_alloc(struct front *front, uint64_t size);
uint64_t front_bus(const struct front *front, const void *memory);
uint64_t front_va(const struct front *front, const void *memory);

uint64_t front_read(struct front *front, enum axl_reg reg);
void front_write(struct front *front, enum axl_reg reg, uint64_t value);
enum axl_command_result front_command(struct front *front, enum axl_command command, uint64_t arg);
/* Until nothing moves. */
void front_run(struct front *front);

/* Context @number with tables that map arena and local memory, read, write and execute. */
void front_context(struct front *front, unsigned int number);
/* A queue of @context in slot @number, table entry @number, started. */
struct producer front_queue(struct front *front, unsigned int number, unsigned int context, uint32_t priority,
			    uint32_t flags, uint32_t timeslice, uint32_t watchdog);
/* Append a packet; nothing runs until front_run(). */
void front_push(struct producer *producer, const void *packet);

/* A one-tile command buffer of @count 64-byte instructions in the arena; END is appended. */
void *front_cmdbuf(struct front *front, const union axl_insn *insns, unsigned int count, uint32_t num_bases);
struct axl_packet_execute front_execute(struct front *front, const void *cmdbuf);

#endif
