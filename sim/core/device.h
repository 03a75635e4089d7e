/* SPDX-License-Identifier: MIT */
/*
 * The AXL device: registers, doorbells, contexts, queues, packets, faults and resets over a tile engine.
 *
 * Transport-neutral: QEMU (sim/qemu), the in-process device (sim/inproc) and the fuzzers are front ends of this one
 * API. They give it a way to reach host memory and to raise interrupts; it gives them BAR accesses. All registers
 * behave as uapi/axl/axl_regs.h says. Everything read through host_ops, and every register value, is untrusted.
 *
 * The device runs on its own threads. device_reg_write() and device_doorbell() only latch and wake; they never wait for
 * work.
 */
#ifndef SIM_CORE_DEVICE_H
#define SIM_CORE_DEVICE_H

#include "sim/core/engine.h"

struct device;

/*
 * Host side. Called from the device's threads; must be thread-safe. Bus addresses are what descriptors and page tables
 * hold.
 * @map:  a pointer to [addr, addr + size) of bus memory that stays valid until device_quiesce() or the next
 * TLB_INVALIDATE completes; NULL when it is not (all) memory
 * @irq:  raise MSI-X vector
 */
struct device_host_ops {
	void *(*map)(void *opaque, uint64_t addr, uint64_t size, bool write);
	void (*irq)(void *opaque, unsigned int vector);
};

struct device_config {
	struct engine_config engine;
	unsigned int threads; /* host threads that compute, 0: one per processor */
	bool timing;          /* false: no cycles, faster */
	bool race_check;      /* as AXL_CONTROL_RACE_CHECK from the start */
	unsigned int spin_us; /* how long the device polls its rings before it sleeps and wants a doorbell */
};

int device_create(const struct device_config *config, const struct device_host_ops *ops, void *opaque,
		  struct device **device);
void device_destroy(struct device *device); /* stops its threads; no callback comes after it returned */

/* BAR0. @size 4 or 8. Any thread. */
uint64_t device_reg_read(struct device *device, uint64_t offset, unsigned int size);
void device_reg_write(struct device *device, uint64_t offset, uint64_t value, unsigned int size);
/* BAR2: a store at @offset. Any thread. */
void device_doorbell(struct device *device, uint64_t offset);
/* BAR4: local memory, engine.mem_bytes of it, zero at start and never moved. */
void *device_local_memory(struct device *device);

/* Wait until no queue has work in flight (in-process use and tests). -ETIMEDOUT after @timeout_ms. */
int device_wait_idle(struct device *device, unsigned int timeout_ms);

#endif
