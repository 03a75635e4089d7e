/* SPDX-License-Identifier: MIT */
/* See dump.h. */
#include "sim/replay/dump.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPACE (1ull << AXL_VA_BITS)
#define RIGHTS (AXL_PTE_READ | AXL_PTE_WRITE | AXL_PTE_EXEC)

/*
 * @at: where the section's payload begins
 * @seen: a bit for each type that came
 */
struct reader {
	const uint8_t *bytes;
	size_t size, at;
	struct axl_dump_section section;
	uint32_t seen;
	struct dump *dump;
	char *error;
	size_t error_size;
};

static int __attribute__((format(printf, 2, 3))) bad(const struct reader *r, const char *format, ...)
{
	/* Behind the last section it is about what the sections say. */
	int used = r->at < r->size ? snprintf(r->error, r->error_size, "byte %zu: ", r->at) : 0;
	va_list args;

	va_start(args, format);
	if (used >= 0 && (size_t)used < r->error_size)
		vsnprintf(r->error + used, r->error_size - (size_t)used, format, args);
	va_end(args);
	return -EINVAL;
}

/* ---- sections, one by one: the payload is inside the file ---- */

/* The section is one struct of at least @size bytes. */
static int take_struct(struct reader *r, void *to, size_t size)
{
	if (r->section.size != r->section.item || r->section.size < size)
		return bad(r, "section %u has %llu bytes, not %zu", r->section.type,
			   (unsigned long long)r->section.size, size);
	memcpy(to, r->bytes + r->at, size);
	return 0;
}

/* The section is an array of structs of at least @size bytes: *items is a new array of those @size bytes. */
static int take_array(struct reader *r, void **items, size_t *count, size_t size)
{
	uint8_t *to;

	if (r->section.item < size || r->section.size % r->section.item)
		return bad(r, "section %u: %llu bytes in items of %u, which have at least %zu", r->section.type,
			   (unsigned long long)r->section.size, r->section.item, size);
	*count = r->section.size / r->section.item;
	to = malloc(*count * size + 1);
	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < *count; i++)
		memcpy(to + i * size, r->bytes + r->at + i * r->section.item, size);
	*items = to;
	return 0;
}

static int take_device(struct reader *r)
{
	return take_struct(r, &r->dump->device, sizeof(r->dump->device));
}

static int take_queue(struct reader *r)
{
	return take_struct(r, &r->dump->queue, sizeof(r->dump->queue));
}

static int take_fault(struct reader *r)
{
	return take_struct(r, &r->dump->fault, sizeof(r->dump->fault));
}

static int take_packets(struct reader *r)
{
	void *items = NULL;
	int err = take_array(r, &items, &r->dump->num_packets, sizeof(*r->dump->packets));

	if (!err)
		r->dump->packets = items;
	return err;
}

static int take_ranges(struct reader *r)
{
	void *items = NULL;
	int err = take_array(r, &items, &r->dump->num_ranges, sizeof(*r->dump->ranges));

	if (!err)
		r->dump->ranges = items;
	return err;
}

static int take_memory(struct reader *r)
{
	struct dump *dump = r->dump;
	struct axl_dump_memory memory;
	uint64_t room;

	if (r->section.item < sizeof(memory) || r->section.size < r->section.item)
		return bad(r, "memory of %llu bytes, of which %u are its header", (unsigned long long)r->section.size,
			   r->section.item);
	memcpy(&memory, r->bytes + r->at, sizeof(memory));
	room = r->section.size - r->section.item;
	if (memory.bytes > room || room - memory.bytes >= 8)
		return bad(r, "memory says %llu bytes and has %llu", (unsigned long long)memory.bytes,
			   (unsigned long long)room);
	/* Grows by doubling: a power of two is full. */
	if (!(dump->num_memories & (dump->num_memories - 1))) {
		size_t capacity = dump->num_memories ? 2 * dump->num_memories : 1;
		struct dump_memory *grown = realloc(dump->memories, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		dump->memories = grown;
	}
	dump->memories[dump->num_memories++] =
		(struct dump_memory){memory.va, memory.bytes, r->bytes + r->at + r->section.item};
	return 0;
}

static int (*const takers[])(struct reader *r) = {
	[AXL_DUMP_DEVICE] = take_device,   [AXL_DUMP_QUEUE] = take_queue,   [AXL_DUMP_FAULT] = take_fault,
	[AXL_DUMP_PACKETS] = take_packets, [AXL_DUMP_RANGES] = take_ranges, [AXL_DUMP_MEMORY] = take_memory,
};

enum { NUM_TYPES = sizeof(takers) / sizeof(takers[0]) };

static int read_section(struct reader *r)
{
	uint32_t type;

	if (r->size - r->at < sizeof(r->section))
		return bad(r, "the file ends in a section's header");
	memcpy(&r->section, r->bytes + r->at, sizeof(r->section));
	r->at += sizeof(r->section);
	type = r->section.type;
	if (!type)
		return bad(r, "a section of type 0");
	if (r->section.size > r->size - r->at)
		return bad(r, "section %u has %llu bytes, the file %zu", type, (unsigned long long)r->section.size,
			   r->size - r->at);
	if (r->section.size % 8 || !r->section.item || r->section.item % 8)
		return bad(r, "section %u has %llu bytes in items of %u: no multiples of 8", type,
			   (unsigned long long)r->section.size, r->section.item);
	if (type < NUM_TYPES) {
		int err;

		if (r->seen >> type & 1 && type != AXL_DUMP_MEMORY)
			return bad(r, "section %u comes twice", type);
		r->seen |= 1u << type;
		err = takers[type](r);
		if (err)
			return err;
	}
	r->at += r->section.size;
	return 0;
}

static int read_sections(struct reader *r)
{
	struct axl_dump_header header;
	int err;

	if (r->size < sizeof(header))
		return bad(r, "%zu bytes are no dump", r->size);
	memcpy(&header, r->bytes, sizeof(header));
	if (header.magic != AXL_DUMP_MAGIC)
		return bad(r, "not a dump");
	if (header.version != AXL_DUMP_VERSION)
		return bad(r, "version %u, this program knows %u", header.version, AXL_DUMP_VERSION);
	if (header.flags & ~(AXL_DUMP_CUT_CODE | AXL_DUMP_CUT_DATA) || header.reserved)
		return bad(r, "flags %#x, reserved %#x", header.flags, header.reserved);
	if (header.size != r->size)
		return bad(r, "the dump has %llu bytes, the file %zu", (unsigned long long)header.size, r->size);
	r->dump->flags = header.flags;
	r->at = sizeof(header);
	for (uint32_t i = 0; i < header.sections; i++) {
		err = read_section(r);
		if (err)
			return err;
	}
	if (r->at != r->size)
		return bad(r, "%zu bytes behind the last section", r->size - r->at);
	for (uint32_t type = 1; type < NUM_TYPES; type++)
		if (!(r->seen >> type & 1) && type != AXL_DUMP_MEMORY)
			return bad(r, "section %u is missing", type);
	return 0;
}

/* ---- what the sections say ---- */

static int check_queue(const struct reader *r)
{
	const struct axl_queue_desc *desc = &r->dump->queue.desc;
	const struct axl_queue_status *status = &r->dump->queue.status;
	const struct axl_fault_record *record = &r->dump->fault.record;

	if (desc->slots < AXL_RING_MIN_SLOTS || desc->slots > AXL_RING_MAX_SLOTS || desc->slots & (desc->slots - 1))
		return bad(r, "queue: %u slots", desc->slots);
	if (desc->ring % AXL_PACKET_BYTES || desc->ring > SPACE - (uint64_t)desc->slots * AXL_PACKET_BYTES)
		return bad(r, "queue: a ring at %#llx", (unsigned long long)desc->ring);
	if (desc->index % AXL_PAGE_BYTES || desc->index > SPACE - AXL_PAGE_BYTES)
		return bad(r, "queue: an index page at %#llx", (unsigned long long)desc->index);
	if (desc->slot >= AXL_QUEUES_PER_CONTEXT || desc->priority >= AXL_NUM_PRIORITIES ||
	    desc->flags & ~AXL_QUEUE_BOUNDED || (desc->flags & AXL_QUEUE_BOUNDED && !desc->watchdog))
		return bad(r, "queue: slot %u, priority %u, flags %#x, watchdog %u", desc->slot, desc->priority,
			   desc->flags, desc->watchdog);
	if (status->state != AXL_QUEUE_FAULTED || status->error != record->cause || status->retired != record->packet)
		return bad(r,
			   "the queue stands in state %u, error %u, packet %llu, the record has cause %u, packet %llu",
			   status->state, status->error, (unsigned long long)status->retired, record->cause,
			   (unsigned long long)record->packet);
	if (record->cause == AXL_CAUSE_NONE || record->cause >= AXL_NUM_CAUSES)
		return bad(r, "a fault of cause %u", record->cause);
	return 0;
}

static int check_ranges(const struct reader *r)
{
	uint64_t reached = 0, mapped = 0;

	for (size_t i = 0; i < r->dump->num_ranges; i++) {
		const struct axl_dump_range *range = &r->dump->ranges[i];
		bool local = range->bits & AXL_PTE_LOCAL;

		if ((range->va | range->size | range->address) % AXL_PAGE_BYTES || !range->size || range->va >= SPACE ||
		    range->size > SPACE - range->va)
			return bad(r, "range %zu: %#llx bytes at %#llx", i, (unsigned long long)range->size,
				   (unsigned long long)range->va);
		if (range->va < reached)
			return bad(r, "range %zu: at %#llx, below the end of the one before it", i,
				   (unsigned long long)range->va);
		if (range->bits & ~(RIGHTS | AXL_PTE_LOCAL) || !(range->bits & RIGHTS) ||
		    range->flags & ~AXL_DUMP_RANGE_HELD)
			return bad(r, "range %zu: bits %#x, flags %#x", i, range->bits, range->flags);
		if (local ? range->address > r->dump->device.mem_size ||
				    range->size > r->dump->device.mem_size - range->address
			  : range->address)
			return bad(r, "range %zu: %#llx bytes of memory at %#llx", i, (unsigned long long)range->size,
				   (unsigned long long)range->address);
		reached = range->va + range->size;
		mapped += range->size;
		if (mapped > DUMP_MAX_MAPPED)
			return bad(r, "ranges of more than %llu bytes", DUMP_MAX_MAPPED);
	}
	return 0;
}

/* The last range that begins at or below @va, or NULL. */
static const struct axl_dump_range *range_at(const struct dump *dump, uint64_t va)
{
	size_t low = 0, high = dump->num_ranges;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (dump->ranges[middle].va > va)
			high = middle;
		else
			low = middle + 1;
	}
	return low ? &dump->ranges[low - 1] : NULL;
}

/* Every byte of [va, va + bytes) is mapped. */
static bool is_mapped(const struct dump *dump, uint64_t va, uint64_t bytes)
{
	if (va >= SPACE || bytes > SPACE - va)
		return false;
	for (uint64_t at = va; at < va + bytes;) {
		const struct axl_dump_range *range = range_at(dump, at);

		if (!range || at - range->va >= range->size)
			return false;
		at = range->va + range->size;
	}
	return true;
}

static int check_packets(const struct reader *r)
{
	const struct dump *dump = r->dump;
	const struct axl_queue_desc *desc = &dump->queue.desc;
	uint64_t at = dump->queue.status.retired, first = dump->num_packets ? dump->packets[0].index : 0;

	if (!is_mapped(dump, desc->ring, (uint64_t)desc->slots * AXL_PACKET_BYTES) ||
	    !is_mapped(dump, desc->index, AXL_PAGE_BYTES))
		return bad(r, "ring or index page lie in no range");
	if (dump->num_packets > desc->slots)
		return bad(r, "%zu packets of a ring of %u", dump->num_packets, desc->slots);
	for (size_t i = 0; i < dump->num_packets; i++)
		if (dump->packets[i].index != first + i)
			return bad(r, "packet %llu behind packet %llu", (unsigned long long)dump->packets[i].index,
				   (unsigned long long)(first + i - 1));
	if (at - first >= dump->num_packets)
		return bad(r, "packet %llu, at which the queue stands, is not there", (unsigned long long)at);
	return 0;
}

static int check_memories(const struct reader *r)
{
	for (size_t i = 0; i < r->dump->num_memories; i++) {
		const struct dump_memory *memory = &r->dump->memories[i];

		if (!is_mapped(r->dump, memory->va, memory->bytes))
			return bad(r, "contents of %#llx bytes at %#llx, which lie in no range",
				   (unsigned long long)memory->bytes, (unsigned long long)memory->va);
	}
	return 0;
}

int dump_open(const uint8_t *bytes, size_t size, struct dump *dump, char *error, size_t error_size)
{
	struct reader r = {.bytes = bytes, .size = size, .dump = dump, .error = error, .error_size = error_size};
	int err;

	*dump = (struct dump){0};
	if (error_size)
		*error = '\0';
	err = read_sections(&r);
	if (!err)
		err = check_queue(&r);
	if (!err)
		err = check_ranges(&r);
	if (!err)
		err = check_packets(&r);
	if (!err)
		err = check_memories(&r);
	if (err == -ENOMEM)
		snprintf(error, error_size, "out of memory");
	if (err)
		dump_finish(dump);
	return err;
}

void dump_finish(struct dump *dump)
{
	free(dump->packets);
	free(dump->ranges);
	free(dump->memories);
	*dump = (struct dump){0};
}
