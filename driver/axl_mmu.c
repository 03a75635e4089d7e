// SPDX-License-Identifier: GPL-2.0-only
/* See axl_mmu.h. */
#include <linux/align.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/barrier.h>

#include "axl_mmu.h"

static unsigned int index_of(u64 va, int level)
{
	return va >> (12 + 9 * level) & (AXL_TABLE_ENTRIES - 1);
}

static struct axl_table *table_create(struct axl_mmu *mmu, int level)
{
	struct axl_table *table = kzalloc(sizeof(*table), GFP_KERNEL);

	if (!table)
		return NULL;
	if (level) {
		table->child = kcalloc(AXL_TABLE_ENTRIES, sizeof(*table->child), GFP_KERNEL);
		if (!table->child)
			goto err_free;
	}
	table->entries = mmu->ops->alloc(mmu->opaque, &table->address);
	if (!table->entries)
		goto err_child;
	return table;

err_child:
	kfree(table->child);
err_free:
	kfree(table);
	return NULL;
}

static void table_destroy(struct axl_mmu *mmu, struct axl_table *table, int level)
{
	if (!table)
		return;
	for (int i = 0; level && i < AXL_TABLE_ENTRIES; i++)
		table_destroy(mmu, table->child[i], level - 1);
	mmu->ops->free(mmu->opaque, table->entries, table->address);
	kfree(table->child);
	kfree(table);
}

int axl_mmu_init(struct axl_mmu *mmu, const struct axl_mmu_ops *ops, void *opaque)
{
	*mmu = (struct axl_mmu){ .ops = ops, .opaque = opaque };
	mmu->root = table_create(mmu, AXL_TABLE_LEVELS - 1);
	return mmu->root ? 0 : -ENOMEM;
}

void axl_mmu_fini(struct axl_mmu *mmu)
{
	table_destroy(mmu, mmu->root, AXL_TABLE_LEVELS - 1);
	mmu->root = NULL;
}

static struct axl_table *child_of(const struct axl_table *table, unsigned int i)
{
	return smp_load_acquire(&table->child[i]); /* pairs with set_child() */
}

/* Whoever finds it finds it whole, though he may be writing entries at the same time. */
static void set_child(struct axl_table *table, unsigned int i, struct axl_table *child)
{
	smp_store_release(&table->child[i], child); /* pairs with child_of() */
}

/* The level-1 table of @va; made where it is missing if @make. */
static struct axl_table *directory(struct axl_mmu *mmu, u64 va, bool make)
{
	struct axl_table *table = mmu->root;

	for (int level = AXL_TABLE_LEVELS - 1; level > 1; level--) {
		unsigned int i = index_of(va, level);
		struct axl_table *next = child_of(table, i);

		if (!next) {
			next = make ? table_create(mmu, level - 1) : NULL;
			if (!next)
				return NULL;
			/* The device's walk finds an empty table, never an old one. */
			dma_wmb();
			WRITE_ONCE(table->entries[i], next->address | AXL_PTE_VALID);
			set_child(table, i, next);
		}
		table = next;
	}
	return table;
}

/*
 * Whether the 2 MiB around @va can be one page: where there is a table of small pages it stays one.
 */
static bool is_large(const struct axl_table *dir, u64 va, u64 end, u64 address)
{
	return !((va | address) & (AXL_LARGE_PAGE_BYTES - 1)) && end - va >= AXL_LARGE_PAGE_BYTES &&
	       !child_of(dir, index_of(va, 1));
}

static u64 chunk_end(u64 va, u64 end)
{
	return min(ALIGN(va + 1, AXL_LARGE_PAGE_BYTES), end);
}

int axl_mmu_prepare(struct axl_mmu *mmu, u64 va, u64 size, u64 address)
{
	u64 end = va + size;

	for (u64 at = va; at < end; at = chunk_end(at, end)) {
		struct axl_table *dir = directory(mmu, at, true), *table;
		unsigned int i = index_of(at, 1);

		if (!dir)
			return -ENOMEM;
		if (child_of(dir, i) ||
		    (address != AXL_MMU_SCATTERED && is_large(dir, at, end, address + (at - va))))
			continue;
		/* Not hooked in yet: a large page that is about to go may be there. */
		table = table_create(mmu, 0);
		if (!table)
			return -ENOMEM;
		set_child(dir, i, table);
	}
	return 0;
}

void axl_mmu_map(struct axl_mmu *mmu, u64 va, u64 size, u64 address, u64 bits)
{
	u64 end = va + size;

	for (u64 at = va, next; at < end; at = next) {
		struct axl_table *dir = directory(mmu, at, false), *table;
		unsigned int i = index_of(at, 1);

		next = chunk_end(at, end);
		if (is_large(dir, at, end, address + (at - va))) {
			WRITE_ONCE(dir->entries[i],
				   (address + (at - va)) | bits | AXL_PTE_LEAF | AXL_PTE_VALID);
			continue;
		}
		table = child_of(dir, i);
		for (u64 page = at; page < next; page += AXL_PAGE_BYTES)
			WRITE_ONCE(table->entries[index_of(page, 0)],
				   (address + (page - va)) | bits | AXL_PTE_VALID);
		/* Whoever finds the table finds what is in it. */
		dma_wmb();
		WRITE_ONCE(dir->entries[i], table->address | AXL_PTE_VALID);
	}
}

void axl_mmu_clear(struct axl_mmu *mmu, u64 va, u64 size)
{
	u64 end = va + size;

	for (u64 at = va, next; at < end; at = next) {
		struct axl_table *dir = directory(mmu, at, false), *table;
		unsigned int i = index_of(at, 1);

		next = chunk_end(at, end);
		if (!dir)
			continue;
		if (dir->entries[i] & AXL_PTE_LEAF) {
			WRITE_ONCE(dir->entries[i], 0);
			continue;
		}
		table = child_of(dir, i);
		for (u64 page = at; table && page < next; page += AXL_PAGE_BYTES)
			WRITE_ONCE(table->entries[index_of(page, 0)], 0);
	}
}

void axl_mmu_walk(const struct axl_mmu *mmu, u64 va, u64 walk[AXL_TABLE_LEVELS])
{
	const struct axl_table *table = mmu->root;

	memset(walk, 0, AXL_TABLE_LEVELS * sizeof(walk[0]));
	for (int level = AXL_TABLE_LEVELS - 1; table; level--) {
		unsigned int i = index_of(va, level);

		walk[level] = READ_ONCE(table->entries[i]);
		/* A table may be there that is not hooked in: the device does not see it. */
		if (!level || !(walk[level] & AXL_PTE_VALID) || walk[level] & AXL_PTE_LEAF)
			break;
		table = child_of(table, i);
	}
}
