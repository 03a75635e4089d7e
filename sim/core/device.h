/* SPDX-License-Identifier: MIT */
/*
 * The AXL device: registers, doorbells, contexts, queues, packets, faults and resets over a tile engine.
 *
 * Transport-neutral: QEMU (sim/qemu), the in-process device (sim/inproc) and the fuzzers are front ends of this one
 * API. They give it a way to reach host memory and to raise interrupts; it gives them BAR accesses. All registers
 * behave as uapi/axl/axl_regs.h says. Everything read through host_ops, and every register value, is untrusted.
 *
 * With its own thread, device_reg_write() and device_doorbell() only latch and wake; they never wait for work. Passive
 * devices do everything in device_run(). Those on the host's clock do it in device_main(), and give way there until the
 * clock has come to what they have computed: what they do, and when, follows from what the host did and when.
 */
#ifndef SIM_CORE_DEVICE_H
#define SIM_CORE_DEVICE_H

#include "sim/core/engine.h"

struct device;

/* Where a front end can make the device misbehave, for tests of those who have to live with it. */
enum device_fault_site {
	DEVICE_SITE_FETCH,      /* a packet was copied: the byte and bits of value are flipped in the copy */
	DEVICE_SITE_PACKET,     /* a packet that needs no tile never ends; cycles go by */
	DEVICE_SITE_PIPE,       /* a command buffer never ends, and holds the tiles */
	DEVICE_SITE_RETIRE,     /* the status page's retired index is value too high from here on */
	DEVICE_SITE_RESET,      /* READY comes value microseconds late; ~0: never */
	DEVICE_SITE_INVALIDATE, /* TLB_INVALIDATE does nothing and says that it did */
	DEVICE_SITE_ANSWER,     /* a command has been carried out, and says so value microseconds late */
	DEVICE_SITE_RESULT,     /* a command has been carried out, and its result is value */
	DEVICE_NUM_SITES
};

/*
 * Host side; bus addresses are what descriptors and page tables hold.
 * @map:  a pointer to [addr, addr + size) of bus memory; NULL when that is not (all) memory. Called by the device's
 * thread only. The pointer stays valid until a command that takes it away has ended: TLB_INVALIDATE or CONTEXT_UPDATE
 * for what page tables lead to, CONTEXT_UPDATE for a status page, a register write for tables and the fault ring.
 * @irq:  raise MSI-X vector. Called from any thread, without locks of the device held; may call device_reg_*().
 * @fault: may be NULL. True: fail here; *value says how (enum device_fault_site). The device's thread.
 * @stale: may be NULL. An access goes through a translation that the driver told the device to forget: a bug of the
 * device, or DEVICE_SITE_INVALIDATE. The device's thread.
 *
 * Of a device on the host's clock, all three; of others, none:
 * @now:   that clock in ns.
 * @sleep: give way, once at least, until the clock has come to @until (UINT64_MAX: for ever) or @wake was called; may
 * come back early. Called from device_main() only.
 * @wake:  something is asked of the device. Any thread, with locks of the device held.
 */
struct device_host_ops {
	void *(*map)(void *opaque, uint64_t addr, uint64_t size, bool write);
	void (*irq)(void *opaque, unsigned int vector);
	bool (*fault)(void *opaque, enum device_fault_site site, unsigned int queue, uint64_t *value);
	void (*stale)(void *opaque, unsigned int context, uint64_t va);
	uint64_t (*now)(void *opaque);
	void (*sleep)(void *opaque, uint64_t until);
	void (*wake)(void *opaque);
};

struct device_config {
	struct engine_config engine;
	unsigned int threads; /* host threads that compute, 0: one per processor */
	bool timing;          /* false: no cycles, faster */
	bool race_check;      /* as AXL_CONTROL_RACE_CHECK from the start */
	bool passive;         /* no thread of its own: device_run() does the work */
	unsigned int spin_us; /* how long the device polls its rings before it sleeps and wants a doorbell */
	uint32_t watchdog;    /* for queues whose descriptor names none, in its units; 0: no limit */
	void *local;          /* engine.mem_bytes of zeroed memory that outlives the device; NULL: it has its own */
};

/* Limits beyond the contract's: what a packet may make the device allocate (AXL_CAUSE_PACKET). */
#define DEVICE_MAX_CMDBUF (256u << 20)
#define DEVICE_MAX_TRACE (256u << 20)
#define DEVICE_NUM_QUEUES 256

/* -ENOMEM, -EAGAIN. */
int device_create(const struct device_config *config, const struct device_host_ops *ops, void *opaque,
		  struct device **device);
void device_destroy(struct device *device); /* stops its threads; no callback comes after it returned */

/* BAR0. @size 4 or 8. Any thread. */
uint64_t device_reg_read(struct device *device, uint64_t offset, unsigned int size);
void device_reg_write(struct device *device, uint64_t offset, uint64_t value, unsigned int size);
/* BAR2: a store at @offset. Any thread. */
void device_doorbell(struct device *device, uint64_t offset);
/*
 * Take all host memory away, for bus master off, power states and resets from outside: queues and contexts are gone,
 * and nothing is written about it. Registers stay. Any thread; does not wait: what the map callback gave is in use
 * until device_revoked(). Until then the callback may be called, and has to answer.
 */
void device_revoke(struct device *device);
/*
 * Let go of every pointer and ask for them again as they are needed: the host's own translations change. Queues go on;
 * those whose status page can not be reached any more are gone. Waiting is as with device_revoke().
 */
void device_refresh(struct device *device);
bool device_revoked(struct device *device);
/*
 * Stop between two instructions or packets, and go on. Resets, device_revoke() and device_refresh() are served
 * meanwhile; doorbells and commands are kept. Does not wait: nothing moves any more once device_paused(). For devices
 * with a thread; the others have their host's time.
 */
void device_pause(struct device *device, bool pause);
bool device_paused(struct device *device);
/* BAR4: local memory, engine.mem_bytes of it, zero at start and never moved. */
void *device_local_memory(struct device *device);

/*
 * Passive devices: do what there is to do. @passes bounds it: in one pass each queue may retire a batch of packets, and
 * one command buffer may run. True: there is more to do at once; false: nothing until a register, doorbell or memory
 * changes.
 */
bool device_run(struct device *device, unsigned int passes);

/* Devices on the host's clock: their life, on a stack of its own. Ends after device_quit(), before device_destroy(). */
void device_main(struct device *device);
void device_quit(struct device *device);

#endif
