/* SPDX-License-Identifier: MIT */
/*
 * The MMU: virtual addresses of a context to memory of this process, by the page tables of uapi/axl/axl_regs.h.
 *
 * Tables are read through the host's map callback, their contents are untrusted. A software cache of translations makes
 * repeated accesses cheap; mmu_invalidate() empties it for a context. Used by the device's own thread only.
 */
#ifndef SIM_CORE_MMU_H
#define SIM_CORE_MMU_H

#include <axl/axl_contention.h>

#include "sim/core/device.h"

#define MMU_CACHE_ENTRIES 4096

/* @key: context, generation and 4 KiB page; 0: empty. @host: of the large or small page's start. */
struct mmu_entry {
	uint64_t va;
	uint64_t key;
	uint8_t *host;
	uint32_t bytes;
	uint32_t epoch; /* of the context when it was walked */
	uint8_t rights; /* AXL_PTE_* bits of the leaf */
};

struct mmu {
	const struct device_host_ops *ops;
	void *opaque;
	uint8_t *local;
	uint64_t local_bytes;
	uint32_t generation[AXL_MAX_CONTEXTS];
	uint32_t epoch[AXL_MAX_CONTEXTS]; /* counts what the driver asked, generation what was done about it */
	uint64_t root[AXL_MAX_CONTEXTS];
	struct mmu_entry cache[MMU_CACHE_ENTRIES];
	struct axl_tlb tlb;
	uint64_t walks; /* page walks so far */
};

/* The context an access belongs to: the opaque of the engine's memory callbacks. */
struct mmu_context {
	struct mmu *mmu;
	unsigned int number;
};

void mmu_init(struct mmu *mmu, const struct device_host_ops *ops, void *opaque, uint8_t *local, uint64_t local_bytes);
/* Give context @number its root table; forgets what was cached for it. */
void mmu_attach(struct mmu *mmu, unsigned int number, uint64_t root);
void mmu_invalidate(struct mmu *mmu, unsigned int number);
/* The driver wants everything of the context forgotten; who uses an older translation from here on is reported. */
void mmu_forget(struct mmu *mmu, unsigned int number);

/* Translate for the engine: struct engine_memory_ops.translate with a struct mmu_context. Counts in the modelled TLB.
 */
int mmu_translate(void *context, uint64_t va, enum axl_access access, struct engine_page *page,
		  struct engine_fault *fault);
extern const struct engine_memory_ops mmu_memory_ops;

/*
 * The front's own accesses, outside the modelled TLB. 0, or -EFAULT with cause, access, level and address in *fault.
 * mmu_word(): host address of an aligned 64-bit word, for atomic access.
 */
int mmu_read(struct mmu_context *context, uint64_t va, void *data, uint64_t size, enum axl_access access,
	     struct engine_fault *fault);
int mmu_write(struct mmu_context *context, uint64_t va, const void *data, uint64_t size, struct engine_fault *fault);
int mmu_word(struct mmu_context *context, uint64_t va, enum axl_access access, uint64_t **word,
	     struct engine_fault *fault);
/* The longest stretch at @va: host address and how many bytes it covers. @local: may be NULL. */
int mmu_stretch(struct mmu_context *context, uint64_t va, enum axl_access access, uint8_t **host, uint64_t *bytes,
		bool *local, struct engine_fault *fault);

#endif
