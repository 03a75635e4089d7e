/* SPDX-License-Identifier: MIT */
/*
 * The AXL function in a QEMU without a guest, driven as a driver would: configuration space, BARs, tables, page tables,
 * rings. Every context maps all of the allocatable RAM one to one from USER_VA; what a test needs beyond that it maps
 * page by page from PAGE_VA.
 *
 * MSI-X messages are pointed at words in RAM, so that a test sees that one was sent, and which.
 */
#ifndef TESTS_QEMU_AXL_RIG_H
#define TESTS_QEMU_AXL_RIG_H

#include <axl/axl_queue.h>
#include <axl/axl_regs.h>

#include "tests/qemu/qtest.h"

enum {
	RING_SLOTS = 16,
	FAULT_RECORDS = 16,
	NUM_QUEUES = 256,
	MESSAGE = 0x4000, /* + vector: what an MSI-X message stores */
	RIG_CONTEXTS = 4, /* that axl_context() can set up */
	WALK_NS = 100000, /* of a deterministic device's time, at each look of a test that waits */
};
/* Each under its own entry of the root table. */
#define USER_VA 0x7000000000ull
#define LOCAL_VA 0x9000000000ull /* the first 2 MiB of local memory */
#define PAGE_VA 0x11000000000ull /* 512 pages that a test maps itself */
#define RIG_RIGHTS (AXL_PTE_VALID | AXL_PTE_READ | AXL_PTE_WRITE | AXL_PTE_EXEC)
/* The usual device; more options may follow. */
#define RIG_DEVICE "-device axl,id=npu,addr=04.0,mem=4M,threads=1"
#define RIG_PATH "/machine/peripheral/npu"

struct axl {
	struct qtest *qt;
	uint8_t bus, devfn;
	uint64_t regs, msix, doorbells, local; /* where the BARs lie */
	volatile uint32_t *messages;           /* by vector */
	struct axl_context_desc *contexts;
	struct axl_queue_desc *queues;
	struct axl_fault_record *faults;
	uint64_t *pages[RIG_CONTEXTS]; /* level 0 table of PAGE_VA */
	struct axl_status_page *status[RIG_CONTEXTS];
};

/* A queue as its producer sees it. */
struct producer {
	struct axl *axl;
	unsigned int number, context;
	union axl_packet *ring;
	struct axl_queue_index *index;
	volatile struct axl_queue_status *status;
};

/* ---- configuration space ---- */
uint32_t config_read(struct qtest *qt, uint8_t bus, uint8_t devfn, uint16_t offset, unsigned int size);
void config_write(struct qtest *qt, uint8_t bus, uint8_t devfn, uint16_t offset, uint32_t value, unsigned int size);
/* Of the device; offsets from 256 up too. */
uint32_t axl_config(const struct axl *axl, uint16_t offset, unsigned int size);
void axl_set_config(const struct axl *axl, uint16_t offset, uint32_t value, unsigned int size);
/* Offset of a capability; 0: none. */
uint16_t axl_capability(const struct axl *axl, uint8_t id);
uint16_t axl_extended_capability(const struct axl *axl, uint16_t id);

/* ---- bringing up ---- */
/* Place the BARs of the device at @bus, @devfn (the @place-th of the machine), memory and bus master on, MSI-X on. */
void axl_attach(struct axl *axl, struct qtest *qt, unsigned int place, uint8_t bus, uint8_t devfn);
void axl_place_bars(const struct axl *axl);
void axl_enable_msix(struct axl *axl);
void axl_bus_master(const struct axl *axl, bool on);
/* Reset, tables, fault ring, enable. */
void axl_bring_up(struct axl *axl);
/* More options for the device that is tested, from AXL_TEST_DEVICE; and if that makes it a deterministic one. */
const char *axl_options(void);
bool axl_is_deterministic(void);
/*
 * One machine with one device, up to here; for cmocka setups. More options for the device come from AXL_TEST_DEVICE.
 * The clock of a deterministic one goes by while a test waits.
 */
void axl_start(struct axl *axl, struct qtest *qt, const char *more_args);
/* The device's fault rules (sim/qemu/README.md), good ones; "": none. */
void axl_set_rules(struct qtest *qt, const char *rules);
/* A root port at slot 3 with bus 1 behind it and the slot powered; for machines with -device pcie-root-port,addr=03.0.
 */
void axl_open_port(struct qtest *qt);

unsigned int axl_width(enum axl_reg reg); /* bytes */
uint64_t axl_read(const struct axl *axl, enum axl_reg reg);
void axl_write(const struct axl *axl, enum axl_reg reg, uint64_t value);
enum axl_command_result axl_command(const struct axl *axl, enum axl_command command, uint64_t arg);
void axl_reset(const struct axl *axl); /* CONTROL.RESET, until READY */

/* ---- contexts and queues ---- */
void axl_context(struct axl *axl, unsigned int number);
/* Page @page of PAGE_VA in @context; its address. */
uint64_t axl_map_page(struct axl *axl, unsigned int context, unsigned int page, uint64_t entry);
struct producer axl_queue(struct axl *axl, unsigned int number, unsigned int context, uint32_t flags,
			  uint32_t watchdog);
static inline uint64_t user_va(uint64_t address)
{
	return USER_VA + address;
}

/* Append a packet and ring the doorbell if the device wants it. */
void axl_push(struct producer *producer, const void *packet);
/* Append and wait until it has retired. */
void axl_run(struct producer *producer, const void *packet);
void axl_wait_retired(const struct producer *producer, uint64_t retired);
void axl_wait_state(const struct producer *producer, enum axl_queue_state state);
/* Append, wait for the fault, and give back its record. */
struct axl_fault_record axl_run_faulting(struct producer *producer, const void *packet);
/* Queue reset and start, after a fault. */
void axl_recover(struct producer *producer);
/* Fill a page of RAM through @producer and look at it: the queue works. */
void axl_assert_works(struct producer *producer);

/* A program that goes @count times round, a few cycles each time, with a YIELD in the round if @yields. */
struct axl_packet_execute axl_loop(struct axl *axl, uint32_t count, bool yields);
struct axl_packet_fill axl_fill(uint64_t dst, uint64_t size, uint32_t pattern);
struct axl_packet_copy axl_copy(uint64_t dst, uint64_t src, uint64_t size);
struct axl_packet_fence axl_signal(uint64_t address, uint64_t value);
struct axl_packet_fence axl_wait(uint64_t address, uint64_t value); /* until it is equal */

#endif
