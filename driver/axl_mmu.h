/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page tables of one address space. Memory only: no locks, no device, no objects; where tables come
 * from is the caller's affair, so that KUnit can be the caller.
 *
 * A change comes in two steps. axl_mmu_prepare() makes the tables that a mapping will need and may
 * fail; axl_mmu_map() and axl_mmu_clear() write entries, never allocate and never fail. One caller
 * may prepare and another one map or clear at the same time; what was prepared may be mapped in any
 * order with what was prepared later. Tables stay until the space goes: the device may be walking
 * them.
 */
#ifndef AXL_MMU_H
#define AXL_MMU_H

#include <linux/types.h>

#include <axl/axl_regs.h>

struct axl_mmu_ops {
	/* A zeroed table of 512 entries and its bus address, or NULL. */
	u64 *(*alloc)(void *opaque, u64 *address);
	void (*free)(void *opaque, u64 *entries, u64 address);
};

struct axl_table {
	u64 *entries;
	u64 address;
	struct axl_table **child; /* NULL at level 0 */
};

struct axl_mmu {
	const struct axl_mmu_ops *ops;
	void *opaque;
	struct axl_table *root;
};

int axl_mmu_init(struct axl_mmu *mmu, const struct axl_mmu_ops *ops, void *opaque);
void axl_mmu_fini(struct axl_mmu *mmu);

/*
 * Tables for [@va, @va + @size), whole pages inside the space. @address: of memory that is
 * contiguous, so that 2 MiB pages are used where it and @va allow; AXL_MMU_SCATTERED: 4 KiB pages.
 * -ENOMEM: nothing that is mapped has changed.
 */
#define AXL_MMU_SCATTERED (~0ull)
int axl_mmu_prepare(struct axl_mmu *mmu, u64 va, u64 size, u64 address);

/*
 * Map contiguous memory at @address; @bits: AXL_PTE_* but VALID, LEAF and the address. The range
 * was prepared and is clear.
 */
void axl_mmu_map(struct axl_mmu *mmu, u64 va, u64 size, u64 address, u64 bits);

/*
 * Clear the entries of a range that mappings cover exactly. The device may hold translations until
 * it is told.
 */
void axl_mmu_clear(struct axl_mmu *mmu, u64 va, u64 size);

/*
 * What the device reads when it walks to @va: the entry of each level, zero below the one at which
 * it ends.
 */
void axl_mmu_walk(const struct axl_mmu *mmu, u64 va, u64 walk[AXL_TABLE_LEVELS]);

#endif
