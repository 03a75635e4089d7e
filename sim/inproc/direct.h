/* SPDX-License-Identifier: MIT */
/*
 * The device inside this process: the tile engine over an address space of ranges. The one header of sim/ that libaccel
 * includes.
 *
 * What is here executes command buffers and checks every access against the context's mappings. The device's front
 * (registers, user-mode queues, page tables in memory, faults as records, resets) is specified in uapi/ and not
 * modelled yet.
 */
#ifndef SIM_INPROC_DIRECT_H
#define SIM_INPROC_DIRECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <axl/axl_isa.h>
#include <axl/axl_queue.h>
#include <axl/axl_regs.h>

struct direct;

/* Sizes of the device; as the registers of the same names. */
struct direct_info {
	const char *target;
	uint32_t tiles, spad_bytes, acc_bytes, spad_banks, clock_khz;
	uint64_t mem_bytes;
	uint32_t dram_rate, dram_latency, host_rate, host_latency;
};

/* @target: "axl-edge" or "axl-pro". @threads: 0 is one per processor. -ENOENT (target), -ENOMEM, -EAGAIN. */
int direct_create(const char *target, unsigned int threads, struct direct **device);
void direct_destroy(struct direct *device);
void direct_info(const struct direct *device, struct direct_info *info);

/*
 * Map [memory, memory + size) at a device address chosen here, 4096-byte aligned; @local: it counts as the device's own
 * memory, else as host memory over PCIe. Returns 0 and the address. -ENOMEM.
 */
int direct_map(struct direct *device, void *memory, uint64_t size, bool local, bool writable, bool executable,
	       uint64_t *address);
void direct_unmap(struct direct *device, uint64_t address);

/*
 * Run the command buffer at @cmdbuf with @num_bases base registers; returns when it ended. -EFAULT: *fault says why.
 * One caller at a time, and no mapping may change meanwhile.
 */
int direct_execute(struct direct *device, uint64_t cmdbuf, uint32_t size, const uint64_t *bases, unsigned int num_bases,
		   struct axl_exec_stats *stats, struct axl_trace_record *trace, size_t trace_max,
		   struct axl_fault_record *fault);

#endif
