/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a command buffer on the device: it ends or faults. Seeds are packages; the buffer is what follows the
 * first magic number in them. Memory is one region of 64 KiB at address 0 that may be read and written.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sim/core/engine.h"

#define MEMORY 65536

static uint8_t memory[MEMORY];
static struct engine *engine;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int translate(void *opaque, uint64_t va, enum axl_access access, struct engine_page *page,
		     struct engine_fault *fault)
{
	(void)opaque;
	(void)access;
	va &= 0xffffffff; /* the buffers' own offsets, whatever their bases */
	if (va >= MEMORY) {
		fault->cause = AXL_CAUSE_NOT_MAPPED;
		return -EFAULT;
	}
	*page = (struct engine_page){memory + va, MEMORY - va, true, 0};
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct engine_memory_ops ops = {translate};
	static const uint32_t magic = AXL_CMDBUF_MAGIC;
	const uint8_t *at = size > 128 ? memmem(data, size, &magic, sizeof(magic)) : NULL;
	struct engine_job job = {.timing = true, .memory = &ops, .watchdog = 200000};
	struct engine_state *state = NULL;
	struct axl_exec_stats stats;
	struct engine_fault fault;
	uint8_t *copy;

	if (!engine && engine_create(engine_config_find("axl-edge"), 1, &engine))
		return 0;
	if (!at || data + size - at < 128)
		return 0;
	job.size = (uint32_t)(data + size - at);
	copy = malloc(job.size);
	if (!copy)
		return 0;
	memcpy(copy, at, job.size);
	((struct axl_cmdbuf *)(void *)copy)->size = job.size;
	job.cmdbuf = copy;
	engine_run(engine, &job, &state, &stats, &fault);
	engine_state_destroy(state);
	free(copy);
	return 0;
}
