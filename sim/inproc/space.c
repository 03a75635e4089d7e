/* SPDX-License-Identifier: MIT */
/* Address spaces: bindings and the page tables behind them. See inproc.h; the format is in uapi/axl/axl_regs.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/inproc/inproc_internal.h"

#define CHUNK_TABLES 64

/* ---- tables ---- */

static uint64_t *table_alloc(struct inproc *device)
{
	uint64_t *table;

	if (!device->free_tables) {
		uint8_t *chunk = bus_alloc(device, (uint64_t)CHUNK_TABLES * AXL_PAGE_BYTES);

		if (!chunk)
			return NULL;
		for (int i = 0; i < CHUNK_TABLES; i++) {
			void *next = device->free_tables;

			device->free_tables = chunk + (size_t)i * AXL_PAGE_BYTES;
			memcpy(device->free_tables, &next, sizeof(next));
		}
	}
	table = device->free_tables;
	memcpy(&device->free_tables, table, sizeof(device->free_tables));
	memset(table, 0, AXL_PAGE_BYTES);
	return table;
}

static void table_free(struct inproc *device, uint64_t *table)
{
	memcpy(table, &device->free_tables, sizeof(device->free_tables));
	device->free_tables = table;
}

static uint64_t *table_of(uint64_t entry)
{
	return (uint64_t *)(uintptr_t)(entry & AXL_PTE_ADDR);
}

static bool is_table(uint64_t entry, int level)
{
	return level > 0 && entry & AXL_PTE_VALID && !(entry & AXL_PTE_LEAF);
}

/* Free what hangs below @table, and @table. */
static void table_destroy(struct inproc *device, uint64_t *table, int level)
{
	for (int i = 0; i < AXL_TABLE_ENTRIES && level; i++)
		if (is_table(table[i], level))
			table_destroy(device, table_of(table[i]), level - 1);
	table_free(device, table);
}

/*
 * The entry of @va at @level, with the tables above it made when @make. NULL: out of memory, or not there (or a leaf
 * lies above it).
 */
static uint64_t *entry_of(struct inproc_space *space, uint64_t va, int level, bool make)
{
	uint64_t *table = space->root;

	for (int l = AXL_TABLE_LEVELS - 1;; l--) {
		uint64_t *entry = &table[va >> (12 + 9 * l) & (AXL_TABLE_ENTRIES - 1)];

		if (l == level)
			return entry;
		if (!(*entry & AXL_PTE_VALID) && make) {
			uint64_t *made = table_alloc(space->device);

			if (!made)
				return NULL;
			/* Pairs with the walker's acquire: it finds an empty table, never an old one. */
			__atomic_store_n(entry, (uintptr_t)made | AXL_PTE_VALID, __ATOMIC_RELEASE);
		}
		if (!is_table(*entry, l))
			return NULL;
		table = table_of(*entry);
	}
}

static bool use_large(uint64_t va, uint64_t address, uint64_t left)
{
	return !((va | address) & (AXL_LARGE_PAGE_BYTES - 1)) && left >= AXL_LARGE_PAGE_BYTES;
}

static void clear_range(struct inproc_space *space, uint64_t va, uint64_t size)
{
	for (uint64_t at = va; at < va + size;) {
		uint64_t *large = entry_of(space, at, 1, false);
		uint64_t next = (at | (AXL_LARGE_PAGE_BYTES - 1)) + 1;

		if (!large || !(*large & AXL_PTE_VALID)) {
			at = next;
			continue;
		}
		if (*large & AXL_PTE_LEAF) {
			__atomic_store_n(large, 0, __ATOMIC_RELEASE);
			at = next;
			continue;
		}
		for (; at < next && at < va + size; at += AXL_PAGE_BYTES)
			__atomic_store_n(&table_of(*large)[at >> 12 & (AXL_TABLE_ENTRIES - 1)], 0, __ATOMIC_RELEASE);
	}
}

/* Lowest tables in the range that map nothing any more; nobody walks them, the device has been told. */
static void prune_range(struct inproc_space *space, uint64_t va, uint64_t size)
{
	static const uint64_t empty[AXL_TABLE_ENTRIES];

	for (uint64_t at = va; at < va + size; at = (at | (AXL_LARGE_PAGE_BYTES - 1)) + 1) {
		uint64_t *entry = entry_of(space, at, 1, false);

		if (entry && is_table(*entry, 1) && !memcmp(table_of(*entry), empty, sizeof(empty))) {
			uint64_t *table = table_of(*entry);

			__atomic_store_n(entry, 0, __ATOMIC_RELEASE);
			table_free(space->device, table);
		}
	}
}

static int set_range(struct inproc_space *space, uint64_t va, uint64_t address, uint64_t size, uint64_t rights)
{
	for (uint64_t done = 0; done < size;) {
		bool large = use_large(va + done, address + done, size - done);
		uint64_t *entry = entry_of(space, va + done, large ? 1 : 0, true);

		if (!entry)
			return -ENOMEM;
		__atomic_store_n(entry, (address + done) | rights | AXL_PTE_VALID | (large ? AXL_PTE_LEAF : 0),
				 __ATOMIC_RELEASE);
		done += large ? AXL_LARGE_PAGE_BYTES : AXL_PAGE_BYTES;
	}
	return 0;
}

/* No translation of the space is cached, and no access under an old one in flight, when it returns. */
static int invalidate(struct inproc_space *space)
{
	int err = 0;

	for (unsigned int c = 0; c < AXL_MAX_CONTEXTS && !err; c++)
		if (space->contexts >> c & 1)
			err = mailbox_command(space->device, AXL_CMD_TLB_INVALIDATE, c);
	return err;
}

/* ---- spaces and bindings ---- */

int inproc_space_create(struct inproc *device, struct inproc_space **space)
{
	struct inproc_space *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->device = device;
	pthread_mutex_lock(&device->lock);
	s->root = table_alloc(device);
	pthread_mutex_unlock(&device->lock);
	if (!s->root) {
		free(s);
		return -ENOMEM;
	}
	*space = s;
	return 0;
}

int inproc_space_destroy(struct inproc_space *space)
{
	struct inproc *device;

	if (!space)
		return 0;
	device = space->device;
	pthread_mutex_lock(&device->lock);
	if (space->contexts) {
		pthread_mutex_unlock(&device->lock);
		return -EBUSY;
	}
	for (size_t i = 0; i < space->count; i++)
		space->bindings[i].memory->bound--;
	table_destroy(device, space->root, AXL_TABLE_LEVELS - 1);
	pthread_mutex_unlock(&device->lock);
	free(space->bindings);
	free(space);
	return 0;
}

static bool is_bound(const struct inproc_space *space, uint64_t va, uint64_t size)
{
	for (size_t i = 0; i < space->count; i++)
		if (va < space->bindings[i].va + space->bindings[i].size && space->bindings[i].va < va + size)
			return true;
	return false;
}

static int bind_locked(struct inproc_space *space, uint64_t va, struct inproc_memory *memory, uint64_t offset,
		       uint64_t size, uint64_t rights)
{
	uint64_t address = memory->local ? memory->offset + offset : (uintptr_t)memory->data + offset;
	int err;

	if (is_bound(space, va, size))
		return -EEXIST;
	err = memory->imported ? imported_access(memory, offset, size, rights & AXL_PTE_WRITE) : 0;
	if (err)
		return err;
	if (space->count == space->capacity) {
		size_t capacity = space->capacity * 2 + 16;
		struct binding *grown = realloc(space->bindings, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		space->bindings = grown;
		space->capacity = capacity;
	}
	err = set_range(space, va, address, size, rights | (memory->local ? AXL_PTE_LOCAL : 0));
	if (err) {
		clear_range(space, va, size);
		invalidate(space);
		prune_range(space, va, size);
		return err;
	}
	space->bindings[space->count++] = (struct binding){va, size, memory};
	memory->bound++;
	return 0;
}

int inproc_bind(struct inproc_space *space, uint64_t va, struct inproc_memory *memory, uint64_t offset, uint64_t size,
		unsigned int rights)
{
	uint64_t bits = (rights & INPROC_READ ? AXL_PTE_READ : 0) | (rights & INPROC_WRITE ? AXL_PTE_WRITE : 0) |
			(rights & INPROC_EXEC ? AXL_PTE_EXEC : 0);
	int err;

	if ((va | offset | size) % AXL_PAGE_BYTES || !size || !rights ||
	    rights & ~(INPROC_READ | INPROC_WRITE | INPROC_EXEC) || offset > memory->size ||
	    size > memory->size - offset || va >> AXL_VA_BITS || size > (1ull << AXL_VA_BITS) - va)
		return -EINVAL;
	pthread_mutex_lock(&space->device->lock);
	err = bind_locked(space, va, memory, offset, size, bits);
	pthread_mutex_unlock(&space->device->lock);
	return err;
}

int inproc_unbind(struct inproc_space *space, uint64_t va, uint64_t size)
{
	int err = -ENOENT;

	pthread_mutex_lock(&space->device->lock);
	for (size_t i = 0; i < space->count; i++) {
		struct inproc_memory *memory = space->bindings[i].memory;

		if (space->bindings[i].va != va || space->bindings[i].size != size)
			continue;
		clear_range(space, va, size);
		err = invalidate(space);
		prune_range(space, va, size);
		space->bindings[i] = space->bindings[--space->count];
		memory->bound--;
		break;
	}
	pthread_mutex_unlock(&space->device->lock);
	return err;
}
