/* SPDX-License-Identifier: MIT */
/*
 * Target descriptions: the sizes and speeds of a device that code is generated for. Read from a live device's registers
 * or taken by name; nothing of it is compiled into the lowerings.
 */
#ifndef COMPILER_TARGET_TARGET_H
#define COMPILER_TARGET_TARGET_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The same figures as the registers of the same names (axl_regs.h). Rates in bytes a cycle, latencies in cycles.
 * @blocks: no figure but a choice of region_compile(): images are cut over tiles in blocks alone (cut.h)
 */
struct target {
	char name[32];
	uint32_t tiles;
	uint32_t spad_bytes;
	uint32_t acc_bytes;
	uint32_t spad_banks;
	uint32_t clock_khz;
	uint64_t mem_bytes;
	uint32_t dram_rate;
	uint32_t dram_latency;
	uint32_t host_rate;
	uint32_t host_latency;
	bool blocks;
};

/* "axl-edge" (1 tile, 2 MiB), "axl-pro" (4 tiles of 1 MiB); NULL when unknown. */
const struct target *target_find(const char *name);
/* Target @index, NULL past the end. */
const struct target *target_at(unsigned int index);

#endif
