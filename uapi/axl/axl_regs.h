/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * AXL registers, page tables, descriptors and fault records: the contract between the driver and the device.
 *
 * BAR0  64 KiB, registers below: 32-bit accesses, and aligned 64-bit ones for the 64-bit pairs (LO at the given offset, HI at
 *	 +4). Other sizes and unaligned accesses read as all ones and are ignored as writes; so are offsets that hold no register.
 * BAR2  doorbells: one AXL_DOORBELL_STRIDE page a context, write-only (reads 0). A 32- or 64-bit store of any value at byte
 *	 8 * q of context c's page wakes queue slot q of that context. The device knows the context by the page.
 * BAR4  window onto local memory (prefetchable), AXL_REG_MEM_SIZE bytes. Whoever maps it reaches all of local memory: the
 *	 driver maps to users only what is theirs.
 * MSI-X AXL_NUM_VECTORS vectors: 0 faults and command completion, 1 + (context % (AXL_NUM_VECTORS - 1)) queue interrupts.
 */
#ifndef UAPI_AXL_AXL_REGS_H
#define UAPI_AXL_AXL_REGS_H

#include <linux/types.h>

/* PCI identity: Red Hat's vendor id with a device id from its range for experiments; class 0x12 is processing accelerator. */
#define AXL_PCI_VENDOR 0x1b36
#define AXL_PCI_DEVICE 0x00a1
#define AXL_PCI_CLASS 0x120000
#define AXL_NUM_VECTORS 16
#define AXL_DOORBELL_STRIDE 65536 /* at least the largest page size of a host that may map it */

/*
 * Registers: X(NAME, offset, bits, access, description); the reset value is 0 where it is not fixed. Access: RO read-only, RW, WO write-only, W1C write 1 to clear.
 * The same list names them in traces and in the specification.
 */
#define AXL_REGS(X)                                                                                                             \
	/* identity and sizes: valid as soon as the BAR answers */                                                              \
	X(ID, 0x0000, 32, RO, "AXL_ID_MAGIC")                                                                                   \
	X(VERSION, 0x0004, 32, RO, "ISA version << 16 | register interface version")                                           \
	X(TILES, 0x0008, 32, RO, "number of tiles")                                                                             \
	X(SPAD_BYTES, 0x000c, 32, RO, "scratchpad a tile")                                                                      \
	X(ACC_BYTES, 0x0010, 32, RO, "accumulator memory a tile")                                                               \
	X(CLOCK_KHZ, 0x0014, 32, RO, "device clock")                                                                            \
	X(MEM_SIZE, 0x0018, 64, RO, "bytes of local memory")                                                                    \
	X(DRAM_RATE, 0x0020, 32, RO, "local memory, bytes a cycle, shared by the tiles")                                        \
	X(HOST_RATE, 0x0024, 32, RO, "host memory, bytes a cycle")                                                              \
	X(NUM_CONTEXTS, 0x0028, 32, RO, "entries of the context table")                                                         \
	X(NUM_QUEUES, 0x002c, 32, RO, "entries of the queue table")                                                             \
	X(DRAM_LATENCY, 0x0030, 32, RO, "cycles from a read's issue to its first data, row hit")                                \
	X(HOST_LATENCY, 0x0034, 32, RO, "cycles of a read round trip over PCIe")                                                \
	X(FEATURES, 0x0038, 32, RO, "AXL_FEATURE_*")                                                                            \
	X(SPAD_BANKS, 0x003c, 32, RO, "number of scratchpad banks, each AXL_BANK_BYTES wide")                                   \
	/* control */                                                                                                           \
	X(CONTROL, 0x0100, 32, RW, "AXL_CONTROL_*")                                                                             \
	X(STATUS, 0x0104, 32, RO, "AXL_STATUS_*")                                                                               \
	X(CYCLES, 0x0108, 64, RO, "device cycle counter: cycles of work; counts on through resets")                             \
	X(CONTEXT_TABLE, 0x0110, 64, RW, "bus address of struct axl_context_desc[NUM_CONTEXTS], 64-byte aligned")               \
	X(QUEUE_TABLE, 0x0118, 64, RW, "bus address of struct axl_queue_desc[NUM_QUEUES], 64-byte aligned")                     \
	X(FAULT_RING, 0x0120, 64, RW, "bus address of struct axl_fault_record[FAULT_SIZE]")                                     \
	X(FAULT_SIZE, 0x0128, 32, RW, "records, a power of two; 0: none")                                                       \
	X(FAULT_WRITE, 0x012c, 32, RO, "records written, free running")                                                         \
	X(FAULT_READ, 0x0130, 32, RW, "records consumed, set by the driver; a full ring drops records and counts them")         \
	X(FAULT_DROPPED, 0x0134, 32, RO, "records dropped")                                                                     \
	/* commands: one at a time; write ARG first, then COMMAND */                                                            \
	X(COMMAND_ARG, 0x0140, 64, RW, "argument, see enum axl_command")                                                        \
	X(COMMAND, 0x0148, 32, WO, "enum axl_command; ignored while STATUS has COMMAND_BUSY")                                   \
	X(COMMAND_RESULT, 0x014c, 32, RO, "enum axl_command_result of the last command")                                        \
	/* interrupts, by vector */                                                                                             \
	X(IRQ_PENDING, 0x0180, 32, W1C, "bit v: vector v has a cause")                                                          \
	X(IRQ_MASK, 0x0184, 32, RW, "bit v: vector v is not sent; it stays pending")                                            \
	X(IRQ_CAUSE, 0x0188, 32, W1C, "AXL_IRQ_* of vector 0")                                                                  \
	X(IRQ_CONTEXTS, 0x0190, 64, W1C, "bit c: a queue of context c raised its interrupt")                                    \
	/* device-wide counters, free running */                                                                                \
	X(COUNT_PACKETS, 0x0200, 64, RO, "packets retired")                                                                     \
	X(COUNT_DOORBELLS, 0x0208, 64, RO, "doorbell stores")                                                                   \
	X(COUNT_FAULTS, 0x0210, 64, RO, "fault records made")                                                                   \
	X(COUNT_TLB_MISSES, 0x0218, 64, RO, "page walks")                                                                       \
	X(COUNT_BUSY, 0x0220, 64, RO, "cycles in which at least one tile was busy")                                             \
	X(COUNT_DRAM_BYTES, 0x0228, 64, RO, "bytes moved from and to local memory")                                             \
	X(COUNT_HOST_BYTES, 0x0230, 64, RO, "bytes moved from and to host memory")                                              \
	/* with AXL_FEATURE_PIPE_COUNTERS, in the order of enum axl_pipe; an execution is counted when it ends */               \
	X(COUNT_PIPE_SEQ, 0x0240, 64, RO, "cycles in which the pipe was busy, summed over the tiles")                           \
	X(COUNT_PIPE_LOAD, 0x0248, 64, RO, "cycles in which the pipe was busy, summed over the tiles")                          \
	X(COUNT_PIPE_WEIGHT, 0x0250, 64, RO, "cycles in which the pipe was busy, summed over the tiles")                        \
	X(COUNT_PIPE_MATRIX, 0x0258, 64, RO, "cycles in which the pipe was busy, summed over the tiles")                        \
	X(COUNT_PIPE_DRAIN, 0x0260, 64, RO, "cycles in which the pipe was busy, summed over the tiles")                         \
	X(COUNT_PIPE_VECTOR, 0x0268, 64, RO, "cycles in which the pipe was busy, summed over the tiles")                        \
	X(COUNT_PIPE_STORE, 0x0270, 64, RO, "cycles in which the pipe was busy, summed over the tiles")

enum axl_reg {
#define AXL_REG_ENUM(name, offset, bits, access, text) AXL_REG_##name = offset,
	AXL_REGS(AXL_REG_ENUM)
#undef AXL_REG_ENUM
};

#define AXL_BAR0_BYTES 65536
#define AXL_ID_MAGIC 0x4e4c5841u /* "AXLN" */
#define AXL_REG_INTERFACE_VERSION 1
#define AXL_BANK_BYTES 64
#define AXL_MAX_CONTEXTS 64

#define AXL_FEATURE_RACE_CHECK 0x1    /* the device can check for races (model only) */
#define AXL_FEATURE_PIPE_COUNTERS 0x2 /* it has the registers COUNT_PIPE_* */

#define AXL_CONTROL_ENABLE 0x1	   /* fetch queues; 0 stops at packet boundaries */
#define AXL_CONTROL_RESET 0x2	   /* self-clearing: everything but local memory's contents back to its reset state */
#define AXL_CONTROL_RACE_CHECK 0x4 /* with AXL_FEATURE_RACE_CHECK: unordered accesses fault (AXL_CAUSE_RACE) */

#define AXL_STATUS_READY 0x1	    /* out of reset */
#define AXL_STATUS_COMMAND_BUSY 0x2 /* a command has not ended */
#define AXL_STATUS_IDLE 0x4	    /* no queue has work in flight, no doorbell is unseen; enabled: all have armed their event */

#define AXL_IRQ_COMMAND 0x1 /* a command ended */
#define AXL_IRQ_FAULT 0x2   /* a fault record was written or dropped */

/*
 * Commands: none waits for work, so that the mailbox is free again in microseconds whatever the queues do. ARG is the number of a
 * context or queue, or a tile mask. Result in COMMAND_RESULT, then AXL_IRQ_COMMAND.
 */
enum axl_command {
	AXL_CMD_CONTEXT_UPDATE = 1, /* read context table entry ARG: attach, change or detach (valid = 0) the context */
	AXL_CMD_TLB_INVALIDATE = 2, /* forget all translations of context ARG; ends when no access under an old one is in flight */
	AXL_CMD_QUEUE_START = 3,    /* read queue table entry ARG and run it from its index page's write/status' retired */
	AXL_CMD_QUEUE_STOP = 4,	    /* ask queue ARG to stop at the next packet or YIELD; its state is SUSPENDED when it stands */
	AXL_CMD_QUEUE_RESET = 5,    /* kill what queue ARG runs, now; its state becomes OFF, generation + 1 */
	AXL_CMD_TILE_RESET = 6,	    /* kill whatever runs on the tiles of mask ARG; their queues fault with AXL_CAUSE_RESET */
};

enum axl_command_result { AXL_CMD_OK = 0, AXL_CMD_BAD_ARGUMENT = 1, AXL_CMD_BAD_DESCRIPTOR = 2, AXL_CMD_NO_ACCESS = 3 };

/*
 * Context table entry, 64 bytes, in host memory, read at AXL_CMD_CONTEXT_UPDATE.
 * @page_table: bus address of the level-3 (root) table, 4 KiB aligned
 * @status:     bus address of the context's struct axl_status_page (page aligned): the device's privileged port
 */
struct axl_context_desc {
	__u32 valid;
	__u32 reserved0;
	__u64 page_table;
	__u64 status;
	__u64 reserved[5];
};

/*
 * Queue table entry, 64 bytes.
 * @context:  of the context table
 * @slot:     entry of the context's status page and doorbell page, < AXL_QUEUES_PER_CONTEXT; used once a context
 * @ring:     virtual address of the packets, 64-byte aligned
 * @index:    virtual address of struct axl_queue_index, 4096-byte aligned
 * @slots:    of the ring, a power of two, AXL_RING_MIN_SLOTS .. AXL_RING_MAX_SLOTS
 * @priority: 0 low .. 3 real-time; higher goes first, equals share by time slices
 * @flags:    AXL_QUEUE_*
 * @timeslice, @watchdog: device cycles in units of 1024; 0: no limit. The watchdog counts a packet's own running time.
 */
struct axl_queue_desc {
	__u32 valid;
	__u32 context;
	__u32 slot;
	__u32 slots;
	__u64 ring;
	__u64 index;
	__u32 priority;
	__u32 flags;
	__u32 timeslice;
	__u32 watchdog;
	__u64 reserved[2];
};

#define AXL_QUEUE_BOUNDED 0x1 /* no WAIT packets; needs a watchdog */
#define AXL_NUM_PRIORITIES 4

/*
 * Page tables: four levels of 512 64-bit entries over a 48-bit virtual address; level 3 is the root, level 0 maps 4 KiB pages,
 * a LEAF at level 1 maps a 2 MiB page. Tables lie in host memory. Reserved bits set, LEAF at levels 2 or 3, and a misaligned
 * 2 MiB address fault (AXL_CAUSE_TABLE). Permissions are those of the leaf.
 */
#define AXL_PTE_VALID (1ull << 0)
#define AXL_PTE_READ (1ull << 1)
#define AXL_PTE_WRITE (1ull << 2)
#define AXL_PTE_EXEC (1ull << 3)
#define AXL_PTE_LOCAL (1ull << 4) /* the address is an offset into local memory, else a bus address */
#define AXL_PTE_LEAF (1ull << 5)  /* at level 1 only; level 0 entries are leaves without it */
#define AXL_PTE_ADDR 0x000ffffffffff000ull
#define AXL_PTE_RESERVED (~(AXL_PTE_ADDR | 0x3full))
#define AXL_VA_BITS 48
#define AXL_PAGE_BYTES 4096
#define AXL_LARGE_PAGE_BYTES (2u << 20)
#define AXL_TABLE_ENTRIES 512
#define AXL_TABLE_LEVELS 4

/* Causes of a fault: X(NAME, number, text). */
#define AXL_CAUSES(X)                                                                                                           \
	X(NONE, 0, "none")                                                                                                      \
	X(BAD_OPCODE, 1, "unknown opcode, or wrong number of slots")                                                            \
	X(BAD_OPERAND, 2, "operand out of its range")                                                                           \
	X(SPAD_RANGE, 3, "scratchpad address outside the memory")                                                               \
	X(ACC_RANGE, 4, "accumulator address outside the memory")                                                               \
	X(NOT_MAPPED, 5, "no translation")                                                                                      \
	X(PERMISSION, 6, "translation without this right")                                                                      \
	X(TABLE, 7, "malformed page table")                                                                                     \
	X(BUS, 8, "bus error, or address outside local memory")                                                                 \
	X(PACKET, 9, "malformed packet")                                                                                        \
	X(CMDBUF, 10, "malformed command buffer")                                                                               \
	X(INDEX, 11, "gather index out of range")                                                                               \
	X(DEADLOCK, 12, "every pipe waits and nothing is in flight")                                                            \
	X(SEM_OVERFLOW, 13, "semaphore passed its maximum")                                                                     \
	X(WATCHDOG, 14, "packet ran longer than the queue's watchdog")                                                          \
	X(RACE, 15, "two accesses without order between them")                                                                  \
	X(UNINITIALIZED, 16, "read of scratchpad that nothing wrote (race check)")                                              \
	X(RESET, 17, "the tile was reset")                                                                                      \
	X(RING, 18, "write index more than the ring's slots ahead, or behind")                                                  \
	X(LOOP, 19, "loops not balanced or nested too deep")                                                                    \
	X(YIELD, 20, "tiles disagree about the number of YIELDs")

enum axl_cause {
#define AXL_CAUSE_ENUM(name, number, text) AXL_CAUSE_##name = number,
	AXL_CAUSES(AXL_CAUSE_ENUM)
#undef AXL_CAUSE_ENUM
	AXL_NUM_CAUSES
};

enum axl_access { AXL_ACCESS_NONE = 0, AXL_ACCESS_READ = 1, AXL_ACCESS_WRITE = 2, AXL_ACCESS_EXEC = 3 };

/*
 * Fault record, 512 bytes: what stopped a queue.
 * @sequence:  number of the record, free running from 0
 * @packet:    index of the packet (free running)
 * @tag:       the packet's tag; @insn_tag the instruction's
 * @cmdbuf:    virtual address of the command buffer, 0 when none ran
 * @offset:    of the instruction in the command buffer (bytes); @other_offset: of the other one (RACE)
 * @address:   virtual address, scratchpad or accumulator address, by cause
 * @level:     page table level at which the walk ended
 * @insn:      the instruction
 * @sems:      local semaphores of the tile, then the global ones (saturated to 255 here)
 */
struct axl_fault_record {
	__u64 sequence;
	__u64 cycle;
	__u32 context;
	__u32 queue;
	__u64 packet;
	__u32 tag;
	__u16 cause;
	__u8 access;
	__u8 level;
	__u64 cmdbuf;
	__u32 offset;
	__u32 other_offset;
	__u64 address;
	__u8 tile;
	__u8 pipe;
	__u16 insn_tag;
	__u32 reserved0;
	__u8 insn[128];
	__u8 sems[128];
	__u32 pipe_offset[8]; /* by pipe: offset of the instruction that each pipe of the tile stood at; ~0: idle */
	__u64 reserved[19];
};

#ifndef AXL_ASSERT
#ifdef __cplusplus
#define AXL_ASSERT(cond, text) static_assert(cond, text)
#else
#define AXL_ASSERT(cond, text) _Static_assert(cond, text)
#endif
#endif
AXL_ASSERT(sizeof(struct axl_context_desc) == 64, "context descriptor");
AXL_ASSERT(sizeof(struct axl_queue_desc) == 64, "queue descriptor");
AXL_ASSERT(sizeof(struct axl_fault_record) == 512, "fault record");

#endif
