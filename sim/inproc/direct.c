/* SPDX-License-Identifier: MIT */
/* See direct.h. */
#include "sim/inproc/direct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/core/engine.h"

#define PAGE 4096u
#define FIRST_ADDRESS 0x100000000ull

struct range {
	uint64_t address, size;
	uint8_t *memory;
	bool local, writable, executable;
};

/* @ranges: sorted by address; addresses are not used again, so a stale one never reaches a later mapping. */
struct direct {
	const struct engine_config *config;
	struct engine *engine;
	struct range *ranges;
	size_t count, capacity;
	uint64_t next, cycle;
};

int direct_create(const char *target, unsigned int threads, struct direct **device)
{
	struct direct *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	d->next = FIRST_ADDRESS;
	d->config = engine_config_find(target);
	err = d->config ? engine_create(d->config, threads, &d->engine) : -ENOENT;
	if (err) {
		free(d);
		return err;
	}
	*device = d;
	return 0;
}

void direct_destroy(struct direct *device)
{
	if (!device)
		return;
	engine_destroy(device->engine);
	free(device->ranges);
	free(device);
}

void direct_info(const struct direct *device, struct direct_info *info)
{
	const struct engine_config *config = device->config;

	*info = (struct direct_info){config->name,         config->tiles,     config->spad_bytes,  config->acc_bytes,
				     config->spad_banks,   config->clock_khz, config->mem_bytes,   config->dram_rate,
				     config->dram_latency, config->host_rate, config->host_latency};
}

int direct_map(struct direct *device, void *memory, uint64_t size, bool local, bool writable, bool executable,
	       uint64_t *address)
{
	struct range *grown;

	if (device->count == device->capacity) {
		size_t capacity = device->capacity * 2 + 16;

		grown = realloc(device->ranges, capacity * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		device->ranges = grown;
		device->capacity = capacity;
	}
	*address = device->next;
	/* A page that is never mapped lies between two mappings: running over an end is a fault. */
	device->next += ((size + PAGE - 1) & ~(uint64_t)(PAGE - 1)) + PAGE;
	device->ranges[device->count++] = (struct range){*address, size, memory, local, writable, executable};
	return 0;
}

void direct_unmap(struct direct *device, uint64_t address)
{
	for (size_t i = 0; i < device->count; i++)
		if (device->ranges[i].address == address) {
			memmove(&device->ranges[i], &device->ranges[i + 1],
				(device->count - i - 1) * sizeof(device->ranges[0]));
			device->count--;
			return;
		}
}

static int translate(void *opaque, uint64_t va, enum axl_access access, struct engine_page *page,
		     struct engine_fault *fault)
{
	const struct direct *device = opaque;
	size_t low = 0, high = device->count;
	const struct range *range;

	while (low < high) { /* last range that starts at or before va */
		size_t middle = (low + high) / 2;

		if (device->ranges[middle].address <= va)
			low = middle + 1;
		else
			high = middle;
	}
	range = low ? &device->ranges[low - 1] : NULL;
	if (!range || va - range->address >= range->size) {
		fault->cause = AXL_CAUSE_NOT_MAPPED;
		return -EFAULT;
	}
	if ((access == AXL_ACCESS_WRITE && !range->writable) || (access == AXL_ACCESS_EXEC && !range->executable)) {
		fault->cause = AXL_CAUSE_PERMISSION;
		return -EFAULT;
	}
	page->host = range->memory + (va - range->address);
	page->bytes = range->size - (va - range->address);
	page->local = range->local;
	page->walk = 0;
	return 0;
}

static void record_fault(const struct engine_fault *from, uint64_t cmdbuf, struct axl_fault_record *record)
{
	memset(record, 0, sizeof(*record));
	record->cause = (uint16_t)from->cause;
	record->access = (uint8_t)from->access;
	record->level = from->level;
	record->cmdbuf = cmdbuf;
	record->offset = from->offset;
	record->other_offset = from->other_offset;
	record->address = from->address;
	record->tile = from->tile;
	record->pipe = from->pipe;
	record->insn_tag = from->tag;
	memcpy(record->insn, &from->insn, sizeof(record->insn));
	memcpy(record->sems, from->sems, sizeof(record->sems));
	memcpy(record->pipe_offset, from->pipe_offset, sizeof(record->pipe_offset));
}

int direct_execute(struct direct *device, uint64_t cmdbuf, uint32_t size, const uint64_t *bases, unsigned int num_bases,
		   struct axl_exec_stats *stats, struct axl_trace_record *trace, size_t trace_max,
		   struct axl_fault_record *fault)
{
	static const struct engine_memory_ops ops = {translate};
	struct engine_job job = {.size = size,
				 .start = device->cycle,
				 .timing = true,
				 .memory = &ops,
				 .memory_opaque = device,
				 .trace = trace,
				 .trace_max = trace_max};
	struct engine_state *state = NULL;
	struct engine_fault why = {.cause = AXL_CAUSE_NONE};
	struct engine_page page;
	uint8_t *copy;
	int err = translate(device, cmdbuf, AXL_ACCESS_EXEC, &page, &why);

	memset(stats, 0, sizeof(*stats));
	if (err || page.bytes < size || num_bases > AXL_NUM_BASES) {
		why.cause = err ? why.cause : AXL_CAUSE_CMDBUF;
		record_fault(&why, cmdbuf, fault);
		return -EFAULT;
	}
	/* A private copy: what the program does to its buffer while it runs changes nothing. */
	copy = malloc(size);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, page.host, size);
	job.cmdbuf = copy;
	memcpy(job.bases, bases, num_bases * sizeof(*bases));
	err = engine_run(device->engine, &job, &state, stats, &why);
	free(copy);
	device->cycle = stats->end;
	if (err == -EFAULT)
		record_fault(&why, cmdbuf, fault);
	return err;
}
