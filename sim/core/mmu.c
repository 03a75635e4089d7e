/* SPDX-License-Identifier: MIT */
/* See mmu.h. */
#include "sim/core/mmu.h"

#include <errno.h>
#include <string.h>

void mmu_init(struct mmu *mmu, const struct device_host_ops *ops, void *opaque, uint8_t *local, uint64_t local_bytes)
{
	memset(mmu, 0, sizeof(*mmu));
	mmu->ops = ops;
	mmu->opaque = opaque;
	mmu->local = local;
	mmu->local_bytes = local_bytes;
}

void mmu_invalidate(struct mmu *mmu, unsigned int number)
{
	/* A generation that comes round again must not find entries of its first life. */
	if (++mmu->generation[number] == 1u << 20) {
		memset(mmu->cache, 0, sizeof(mmu->cache));
		mmu->generation[number] = 0;
	}
}

void mmu_attach(struct mmu *mmu, unsigned int number, uint64_t root)
{
	mmu->root[number] = root;
	mmu_forget(mmu, number);
	mmu_invalidate(mmu, number);
}

void mmu_forget(struct mmu *mmu, unsigned int number)
{
	mmu->epoch[number]++;
}

static int refuse(struct engine_fault *fault, enum axl_cause cause, enum axl_access access, unsigned int level,
		  uint64_t va)
{
	fault->cause = cause;
	fault->access = access;
	fault->level = (uint8_t)level;
	fault->address = va;
	return -EFAULT;
}

/* Memory behind a leaf; NULL: beyond local memory, or no memory on the bus. */
static uint8_t *reach(struct mmu *mmu, uint64_t entry, uint64_t bytes)
{
	uint64_t address = entry & AXL_PTE_ADDR;

	if (!(entry & AXL_PTE_LOCAL))
		return mmu->ops->map(mmu->opaque, address, bytes, entry & AXL_PTE_WRITE);
	return address < mmu->local_bytes && bytes <= mmu->local_bytes - address ? mmu->local + address : NULL;
}

static int walk(struct mmu *mmu, unsigned int number, uint64_t va, enum axl_access access, struct mmu_entry *out,
		struct engine_fault *fault)
{
	uint64_t table = mmu->root[number];

	mmu->walks++;
	for (int level = AXL_TABLE_LEVELS - 1;; level--) {
		const uint64_t *entries = mmu->ops->map(mmu->opaque, table, AXL_PAGE_BYTES, false);
		uint64_t entry, bytes = level ? AXL_LARGE_PAGE_BYTES : AXL_PAGE_BYTES;

		if (!entries)
			return refuse(fault, AXL_CAUSE_BUS, access, (unsigned int)level, va);
		entry = __atomic_load_n(&entries[va >> (12 + 9 * level) & (AXL_TABLE_ENTRIES - 1)], __ATOMIC_ACQUIRE);
		if (!(entry & AXL_PTE_VALID))
			return refuse(fault, AXL_CAUSE_NOT_MAPPED, access, (unsigned int)level, va);
		if (entry & AXL_PTE_RESERVED || (entry & AXL_PTE_LEAF && level != 1) ||
		    (entry & AXL_PTE_LEAF && entry & AXL_PTE_ADDR & (AXL_LARGE_PAGE_BYTES - 1)))
			return refuse(fault, AXL_CAUSE_TABLE, access, (unsigned int)level, va);
		if (level && !(entry & AXL_PTE_LEAF)) {
			/* Tables lie in host memory and have no rights of their own. */
			if (entry & (AXL_PTE_LOCAL | AXL_PTE_READ | AXL_PTE_WRITE | AXL_PTE_EXEC))
				return refuse(fault, AXL_CAUSE_TABLE, access, (unsigned int)level, va);
			table = entry & AXL_PTE_ADDR;
			continue;
		}
		out->va = va & ~(bytes - 1);
		out->bytes = (uint32_t)bytes;
		out->rights = (uint8_t)(entry & 0x3f);
		out->host = reach(mmu, entry, bytes);
		if (!out->host && level) {
			/* One stretch of bus addresses may be many of this process, behind an IOMMU say. */
			out->va = va & ~(uint64_t)(AXL_PAGE_BYTES - 1);
			out->bytes = AXL_PAGE_BYTES;
			out->host = reach(mmu, entry + (out->va & (AXL_LARGE_PAGE_BYTES - 1)), AXL_PAGE_BYTES);
		}
		return out->host ? 0 : refuse(fault, AXL_CAUSE_BUS, access, (unsigned int)level, va);
	}
}

static int look_up(struct mmu_context *context, uint64_t va, enum axl_access access, const struct mmu_entry **found,
		   struct engine_fault *fault)
{
	static const uint8_t needs[] = {
		[AXL_ACCESS_READ] = AXL_PTE_READ,
		[AXL_ACCESS_WRITE] = AXL_PTE_WRITE,
		[AXL_ACCESS_EXEC] = AXL_PTE_EXEC,
	};
	struct mmu *mmu = context->mmu;
	uint64_t page = va >> 12;
	/* 36 bits of page, 20 of generation, 6 of context, and never 0. */
	uint64_t key =
		page | (uint64_t)mmu->generation[context->number] << 36 | (uint64_t)context->number << 56 | 1ull << 63;
	struct mmu_entry *entry = &mmu->cache[(page ^ page >> 12 ^ context->number * 977u) % MMU_CACHE_ENTRIES];

	if (va >> AXL_VA_BITS)
		return refuse(fault, AXL_CAUSE_NOT_MAPPED, access, AXL_TABLE_LEVELS - 1, va);
	if (entry->key != key) {
		struct mmu_entry walked = {.key = key, .epoch = mmu->epoch[context->number]};
		int err = walk(mmu, context->number, va, access, &walked, fault);

		if (err)
			return err;
		*entry = walked;
	} else if (entry->epoch != mmu->epoch[context->number] && mmu->ops->stale) {
		mmu->ops->stale(mmu->opaque, context->number, va);
	}
	if (!(entry->rights & needs[access]))
		return refuse(fault, AXL_CAUSE_PERMISSION, access, entry->rights & AXL_PTE_LEAF ? 1 : 0, va);
	*found = entry;
	return 0;
}

int mmu_translate(void *context, uint64_t va, enum axl_access access, struct engine_page *page,
		  struct engine_fault *fault)
{
	struct mmu_context *c = context;
	const struct mmu_entry *entry;
	int err = look_up(c, va, access, &entry, fault);

	if (err)
		return err;
	page->host = entry->host + (va - entry->va);
	page->bytes = entry->va + entry->bytes - va;
	page->local = entry->rights & AXL_PTE_LOCAL;
	page->walk = (uint8_t)axl_tlb_access(&c->mmu->tlb, va, entry->rights & AXL_PTE_LEAF);
	return 0;
}

const struct engine_memory_ops mmu_memory_ops = {.translate = mmu_translate};

int mmu_stretch(struct mmu_context *context, uint64_t va, enum axl_access access, uint8_t **host, uint64_t *bytes,
		bool *local, struct engine_fault *fault)
{
	const struct mmu_entry *entry;
	int err = look_up(context, va, access, &entry, fault);

	if (err)
		return err;
	*host = entry->host + (va - entry->va);
	*bytes = entry->va + entry->bytes - va;
	if (local)
		*local = entry->rights & AXL_PTE_LOCAL;
	return 0;
}

int mmu_read(struct mmu_context *context, uint64_t va, void *data, uint64_t size, enum axl_access access,
	     struct engine_fault *fault)
{
	for (uint64_t done = 0; done < size;) {
		uint8_t *host;
		uint64_t bytes;
		int err = mmu_stretch(context, va + done, access, &host, &bytes, NULL, fault);

		if (err)
			return err;
		bytes = bytes < size - done ? bytes : size - done;
		memcpy((uint8_t *)data + done, host, bytes);
		done += bytes;
	}
	return 0;
}

int mmu_write(struct mmu_context *context, uint64_t va, const void *data, uint64_t size, struct engine_fault *fault)
{
	for (uint64_t done = 0; done < size;) {
		uint8_t *host;
		uint64_t bytes;
		int err = mmu_stretch(context, va + done, AXL_ACCESS_WRITE, &host, &bytes, NULL, fault);

		if (err)
			return err;
		bytes = bytes < size - done ? bytes : size - done;
		memcpy(host, (const uint8_t *)data + done, bytes);
		done += bytes;
	}
	return 0;
}

int mmu_word(struct mmu_context *context, uint64_t va, enum axl_access access, uint64_t **word,
	     struct engine_fault *fault)
{
	uint8_t *host = NULL;
	uint64_t bytes;
	int err = mmu_stretch(context, va, access, &host, &bytes, NULL, fault);

	*word = (uint64_t *)(void *)host;
	return err;
}
