/* SPDX-License-Identifier: MIT */
/* See replay.h. */
#include "sim/replay/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/core/engine.h"
#include "sim/inproc/inproc.h"

/* Memory behind a range of the dump. @data: where the CPU sees its first byte */
struct piece {
	const struct axl_dump_range *range;
	struct inproc_memory *memory; /* NULL: it lies in local memory */
	uint8_t *data;
};

struct rig {
	struct inproc *device;
	struct inproc_space *space;
	struct inproc_context *context;
	struct inproc_queue *queue;
	const struct axl_status_page *status;
	struct inproc_memory *local;
	uint8_t *local_data;
	struct piece *pieces;
	size_t num_pieces;
};

/* ---- the device ---- */

/* A row of the targets with the dump's figures; tiles and local memory may be others, as they may in QEMU. */
static const struct engine_config *find_target(const struct axl_dump_device *device)
{
	for (const struct engine_config *row = engine_configs; row->name; row++)
		if (row->spad_bytes == device->spad_bytes && row->acc_bytes == device->acc_bytes &&
		    row->clock_khz == device->clock_khz && row->dram_rate == device->dram_rate &&
		    row->dram_latency == device->dram_latency && row->host_rate == device->host_rate &&
		    row->host_latency == device->host_latency && row->spad_banks == device->spad_banks)
			return row;
	return NULL;
}

static int create_device(struct rig *rig, const struct dump *dump, const struct replay_options *options,
			 struct replay_result *result, char *error, size_t error_size)
{
	const struct axl_dump_device *device = &dump->device;
	const struct engine_config *row = options->target ? engine_config_find(options->target) : find_target(device);
	struct inproc_options inproc = {
		.threads = options->threads,
		.timing = true,
		.race_check = device->control & AXL_CONTROL_RACE_CHECK,
		.tiles = options->target ? 0 : device->tiles,
		.mem_bytes = device->mem_size,
	};
	int err = -EINVAL;

	if (device->version != ((uint32_t)AXL_ISA_VERSION << 16 | AXL_REG_INTERFACE_VERSION)) {
		snprintf(error, error_size, "instruction set %u with registers %u; the in-process device has %u and %u",
			 device->version >> 16, device->version & 0xffff, AXL_ISA_VERSION, AXL_REG_INTERFACE_VERSION);
		return err;
	}
	if (!row) {
		snprintf(error, error_size,
			 options->target ? "no target '%s'" : "no target has this device's sizes and speeds",
			 options->target);
		return err;
	}
	inproc.target = row->name;
	snprintf(result->target, sizeof(result->target), "%s", row->name);
	/* 0 would be taken for the target's own. */
	if (device->mem_size && device->mem_size <= 1ull << 40 && (device->tiles || options->target))
		err = inproc_create(&inproc, &rig->device);
	if (err)
		snprintf(error, error_size, "a device of %u tiles and %llu bytes of memory: %s", device->tiles,
			 (unsigned long long)device->mem_size, strerror(-err));
	return err;
}

/* ---- memory ---- */

static unsigned int rights_of(const struct axl_dump_range *range)
{
	return (range->bits & AXL_PTE_READ ? INPROC_READ : 0) | (range->bits & AXL_PTE_WRITE ? INPROC_WRITE : 0) |
	       (range->bits & AXL_PTE_EXEC ? INPROC_EXEC : 0);
}

/*
 * System memory is mapped page by page, as the driver does it: never where 2 MiB pages would fit, whose walks are
 * shorter. Local memory lies where it lay.
 */
static int map_piece(struct rig *rig, struct piece *piece)
{
	const struct axl_dump_range *range = piece->range;
	uint64_t offset = range->address;
	struct inproc_memory *memory = rig->local;
	void *data;
	int err;

	if (range->bits & AXL_PTE_LOCAL) {
		piece->data = rig->local_data + offset;
	} else {
		err = inproc_memory_create(rig->device, range->size + AXL_PAGE_BYTES, false, &piece->memory, &data);
		if (err)
			return err;
		memory = piece->memory;
		offset = ((uintptr_t)data - range->va) % AXL_LARGE_PAGE_BYTES ? 0 : AXL_PAGE_BYTES;
		piece->data = (uint8_t *)data + offset;
	}
	return inproc_bind(rig->space, range->va, memory, offset, range->size, rights_of(range));
}

static int map_ranges(struct rig *rig, const struct dump *dump)
{
	void *data;
	int err = inproc_memory_create(rig->device, dump->device.mem_size, true, &rig->local, &data);

	if (err)
		return err;
	rig->local_data = data;
	rig->pieces = calloc(dump->num_ranges + 1, sizeof(*rig->pieces));
	if (!rig->pieces)
		return -ENOMEM;
	for (size_t i = 0; i < dump->num_ranges && !err; i++) {
		rig->pieces[rig->num_pieces].range = &dump->ranges[i];
		err = map_piece(rig, &rig->pieces[rig->num_pieces++]);
	}
	return err;
}

/* The dump's reader has seen to it that all of it is mapped; ranges ascend. */
static void store(struct rig *rig, uint64_t va, const void *from, uint64_t bytes)
{
	size_t low = 0, high = rig->num_pieces;

	while (low + 1 < high) {
		size_t middle = (low + high) / 2;

		if (rig->pieces[middle].range->va > va)
			high = middle;
		else
			low = middle;
	}
	for (uint64_t done = 0; done < bytes; low++) {
		const struct piece *piece = &rig->pieces[low];
		uint64_t at = va + done - piece->range->va, part = piece->range->size - at;

		part = part < bytes - done ? part : bytes - done;
		memcpy(piece->data + at, (const uint8_t *)from + done, part);
		done += part;
	}
}

/* Contents, then the packets: the ring may be among the contents, as it lay later. */
static void fill(struct rig *rig, const struct dump *dump)
{
	const struct axl_queue_desc *desc = &dump->queue.desc;
	struct axl_queue_index index = {.write = dump->queue.status.retired + 1, .read = dump->queue.status.retired};

	for (size_t i = 0; i < dump->num_memories; i++)
		store(rig, dump->memories[i].va, dump->memories[i].data, dump->memories[i].bytes);
	for (size_t i = 0; i < dump->num_packets; i++)
		store(rig, desc->ring + (dump->packets[i].index & (desc->slots - 1)) * AXL_PACKET_BYTES,
		      &dump->packets[i].packet, AXL_PACKET_BYTES);
	/* This packet and no other, unless it is the index that was wrong. */
	if (dump->fault.record.cause == AXL_CAUSE_RING)
		index.write = dump->queue.write;
	store(rig, desc->index, &index, sizeof(index));
}

/* ---- the run ---- */

static int run(struct rig *rig, const struct dump *dump, int64_t deadline_ns, struct replay_result *result)
{
	const struct axl_queue_desc *desc = &dump->queue.desc;
	const struct inproc_queue_args args = {
		.slot = desc->slot,
		.slots = desc->slots,
		.ring = desc->ring,
		.index = desc->index,
		.priority = desc->priority,
		.flags = desc->flags,
		.timeslice = desc->timeslice,
		.watchdog = desc->watchdog,
		.retired = dump->queue.status.retired,
	};
	int err = inproc_queue_create(rig->context, &args, &rig->queue);

	if (err)
		return err;
	inproc_doorbell(rig->context, desc->slot);
	err = inproc_queue_wait(rig->queue, args.retired + 1, deadline_ns);
	if (err == -EIO) {
		result->end = REPLAY_FAULTED;
		return inproc_queue_fault(rig->queue, &result->record) ? 0 : -EIO;
	}
	result->end = err ? REPLAY_LATE : REPLAY_RETIRED;
	return 0;
}

static void take_down(struct rig *rig)
{
	inproc_queue_destroy(rig->queue);
	inproc_context_destroy(rig->context);
	inproc_space_destroy(rig->space);
	for (size_t i = 0; i < rig->num_pieces; i++)
		inproc_memory_destroy(rig->pieces[i].memory);
	inproc_memory_destroy(rig->local);
	inproc_destroy(rig->device);
	free(rig->pieces);
}

int replay_run(const struct dump *dump, const struct replay_options *options, struct replay_result *result, char *error,
	       size_t error_size)
{
	struct rig rig = {0};
	int err;

	*result = (struct replay_result){.end = REPLAY_LATE};
	err = create_device(&rig, dump, options, result, error, error_size);
	if (err)
		goto out;
	err = inproc_space_create(rig.device, &rig.space);
	if (!err)
		err = map_ranges(&rig, dump);
	if (!err)
		err = inproc_context_create(rig.space, &rig.context, &rig.status);
	if (!err) {
		fill(&rig, dump);
		err = run(&rig, dump, options->deadline_ns, result);
	}
	if (err)
		snprintf(error, error_size, "the in-process device: %s", strerror(-err));
out:
	take_down(&rig);
	return err;
}

const char *replay_difference(const struct axl_fault_record *a, const struct axl_fault_record *b)
{
#define SAME(field)               \
	if (a->field != b->field) \
		return #field;
	SAME(cause)
	SAME(address)
	SAME(packet)
	SAME(offset)
	SAME(tile)
	SAME(pipe)
	SAME(access)
	SAME(cmdbuf)
	SAME(tag)
	SAME(insn_tag)
	SAME(other_offset)
#undef SAME
	return memcmp(a->insn, b->insn, sizeof(a->insn)) ? "insn" : NULL;
}
