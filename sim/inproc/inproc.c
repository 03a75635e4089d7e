/* SPDX-License-Identifier: MIT */
/* The in-process device's life, the bus behind it, its command mailbox and its interrupts. See inproc.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "sim/inproc/inproc_internal.h"

#define FAULT_RECORDS 64u
#define COMMAND_SPINS 2000 /* looks at STATUS before sleeping: commands take microseconds */

/* ---- spans ---- */

/* First span that starts after @at. */
static size_t spans_after(const struct spans *spans, uint64_t at)
{
	size_t low = 0, high = spans->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (spans->item[middle].start > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

int spans_insert(struct spans *spans, uint64_t start, uint64_t size)
{
	size_t at = spans_after(spans, start);

	if (spans->count == spans->capacity) {
		size_t capacity = spans->capacity * 2 + 16;
		struct span *grown = realloc(spans->item, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		spans->item = grown;
		spans->capacity = capacity;
	}
	memmove(&spans->item[at + 1], &spans->item[at], (spans->count - at) * sizeof(*spans->item));
	spans->item[at] = (struct span){start, size};
	spans->count++;
	return 0;
}

void spans_remove(struct spans *spans, size_t index)
{
	memmove(&spans->item[index], &spans->item[index + 1], (--spans->count - index) * sizeof(*spans->item));
}

ptrdiff_t spans_find(const struct spans *spans, uint64_t at)
{
	size_t after = spans_after(spans, at);

	return after && at - spans->item[after - 1].start < spans->item[after - 1].size ? (ptrdiff_t)after - 1 : -1;
}

/* ---- the bus: addresses are those of this process, and only what is listed answers ---- */

void *bus_alloc(struct inproc *device, uint64_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int err;

	if (memory == MAP_FAILED)
		return NULL;
	pthread_mutex_lock(&device->bus_lock);
	err = spans_insert(&device->bus, (uintptr_t)memory, size);
	pthread_mutex_unlock(&device->bus_lock);
	if (err) {
		munmap(memory, size);
		return NULL;
	}
	return memory;
}

void bus_free(struct inproc *device, void *memory, uint64_t size)
{
	ptrdiff_t at;

	if (!memory)
		return;
	pthread_mutex_lock(&device->bus_lock);
	at = spans_find(&device->bus, (uintptr_t)memory);
	if (at >= 0)
		spans_remove(&device->bus, (size_t)at);
	pthread_mutex_unlock(&device->bus_lock);
	munmap(memory, size);
}

/* The bus lock is held. */
static bool is_imported(const struct inproc *device, uint64_t address, uint64_t size)
{
	for (const struct inproc_memory *m = device->imported; m; m = m->next)
		if (address >= (uintptr_t)m->data && size <= m->size && address - (uintptr_t)m->data <= m->size - size)
			return true;
	return false;
}

static void *bus_map(void *opaque, uint64_t address, uint64_t size, bool write)
{
	struct inproc *device = opaque;
	const struct span *span;
	ptrdiff_t at;
	bool inside;

	(void)write; /* all of it can be written: what is bound with that right */
	pthread_mutex_lock(&device->bus_lock);
	at = spans_find(&device->bus, address);
	span = at < 0 ? NULL : &device->bus.item[at];
	inside = (span && size <= span->size && address - span->start <= span->size - size) ||
		 is_imported(device, address, size);
	pthread_mutex_unlock(&device->bus_lock);
	return inside ? (void *)(uintptr_t)address : NULL;
}

/* ---- interrupts ---- */

/* Records to their queues; irq_lock is held. */
static void drain_faults(struct inproc *device)
{
	uint32_t write = (uint32_t)device_reg_read(device->device, AXL_REG_FAULT_WRITE, 4);

	for (; device->fault_read != write; device->fault_read++) {
		const struct axl_fault_record *record = &device->fault_ring[device->fault_read & (FAULT_RECORDS - 1)];

		if (record->queue < DEVICE_NUM_QUEUES)
			device->records[record->queue] = (struct fault_slot){true, *record};
	}
	device_reg_write(device->device, AXL_REG_FAULT_READ, device->fault_read, 4);
}

static void on_irq(void *opaque, unsigned int vector)
{
	struct inproc *device = opaque;

	pthread_mutex_lock(&device->irq_lock);
	/* Clear first, then look: what comes in between raises it again. */
	device_reg_write(device->device, AXL_REG_IRQ_PENDING, 1u << vector, 4);
	if (!vector) {
		device_reg_write(device->device, AXL_REG_IRQ_CAUSE, AXL_IRQ_FAULT | AXL_IRQ_COMMAND, 4);
		drain_faults(device);
	}
	pthread_cond_broadcast(&device->irq);
	pthread_mutex_unlock(&device->irq_lock);
}

/* ---- what goes wrong ---- */

/* An opcode that there is not: byte 0 of the packet, its upper bit. */
#define REFUSED_PACKET (UINT64_C(0x7f) * AXL_PACKET_BYTES)

/* The device does nothing any more, and says so to all that wait for it. */
static void take_out(struct inproc *device)
{
	pthread_mutex_lock(&device->irq_lock);
	device->gone = true;
	pthread_cond_broadcast(&device->irq);
	pthread_mutex_unlock(&device->irq_lock);
}

int inproc_ask(struct inproc *device)
{
	uint64_t refused = device->options.faults.call;
	int err = 0;

	pthread_mutex_lock(&device->irq_lock);
	device->calls++;
	if (device->gone)
		err = -ENODEV;
	else if (refused && device->calls % refused == 0)
		err = -EIO;
	pthread_mutex_unlock(&device->irq_lock);
	return err;
}

static bool on_fault(void *opaque, enum device_fault_site site, unsigned int queue, uint64_t *value)
{
	struct inproc *device = opaque;
	const struct inproc_faults *faults = &device->options.faults;

	(void)queue;
	switch (site) {
	case DEVICE_SITE_FETCH:
		device->packets++;
		if (faults->gone && device->packets == faults->gone + 1)
			take_out(device);
		*value = REFUSED_PACKET;
		return faults->packet && device->packets % faults->packet == 0;
	case DEVICE_SITE_PACKET:
		return faults->gone && device->packets > faults->gone;
	case DEVICE_SITE_PIPE:
		device->executions++;
		return (faults->gone && device->packets > faults->gone) ||
		       (faults->hang && device->executions % faults->hang == 0);
	default:
		return false;
	}
}

static const struct device_host_ops host_ops = {.map = bus_map, .irq = on_irq, .fault = on_fault};

/* ---- mailbox ---- */

static bool command_busy(struct inproc *device)
{
	return device_reg_read(device->device, AXL_REG_STATUS, 4) & AXL_STATUS_COMMAND_BUSY;
}

int mailbox_command(struct inproc *device, enum axl_command command, uint64_t arg)
{
	device_reg_write(device->device, AXL_REG_COMMAND_ARG, arg, 8);
	device_reg_write(device->device, AXL_REG_COMMAND, command, 4);
	for (int i = 0; i < COMMAND_SPINS && command_busy(device); i++)
		;
	pthread_mutex_lock(&device->irq_lock);
	while (command_busy(device))
		pthread_cond_wait(&device->irq, &device->irq_lock);
	pthread_mutex_unlock(&device->irq_lock);
	switch ((enum axl_command_result)device_reg_read(device->device, AXL_REG_COMMAND_RESULT, 4)) {
	case AXL_CMD_OK:
		return 0;
	case AXL_CMD_BAD_ARGUMENT:
	case AXL_CMD_BAD_DESCRIPTOR:
		return -EINVAL;
	default:
		return -EIO;
	}
}

/* ---- life ---- */

static int init_locks(struct inproc *device)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&device->lock, NULL);
	pthread_mutex_init(&device->bus_lock, NULL);
	pthread_mutex_init(&device->irq_lock, NULL);
	if (pthread_condattr_init(&attributes))
		return -ENOMEM;
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&device->irq, &attributes);
	pthread_condattr_destroy(&attributes);
	return 0;
}

static int bring_up(struct inproc *device)
{
	device->contexts = bus_alloc(device, AXL_MAX_CONTEXTS * sizeof(*device->contexts));
	device->queues = bus_alloc(device, DEVICE_NUM_QUEUES * sizeof(*device->queues));
	device->fault_ring = bus_alloc(device, FAULT_RECORDS * sizeof(*device->fault_ring));
	if (!device->contexts || !device->queues || !device->fault_ring)
		return -ENOMEM;
	device_reg_write(device->device, AXL_REG_CONTEXT_TABLE, (uintptr_t)device->contexts, 8);
	device_reg_write(device->device, AXL_REG_QUEUE_TABLE, (uintptr_t)device->queues, 8);
	device_reg_write(device->device, AXL_REG_FAULT_RING, (uintptr_t)device->fault_ring, 8);
	device_reg_write(device->device, AXL_REG_FAULT_SIZE, FAULT_RECORDS, 4);
	device_reg_write(device->device, AXL_REG_CONTROL,
			 AXL_CONTROL_ENABLE | device_reg_read(device->device, AXL_REG_CONTROL, 4), 4);
	return local_memory_init(device);
}

int inproc_create(const struct inproc_options *options, struct inproc **device)
{
	const struct engine_config *config = engine_config_find(options->target);
	const char *becomes = options->faults.becomes;
	const struct engine_config *other = becomes ? engine_config_find(becomes) : config;
	struct device_config device_config;
	struct inproc *d;
	int err;

	if (!config || !other)
		return -ENOENT;
	if (options->tiles > AXL_MAX_TILES || options->mem_bytes & (options->mem_bytes - 1) ||
	    (options->mem_bytes && options->mem_bytes < AXL_LARGE_PAGE_BYTES))
		return -EINVAL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->config = *config;
	d->options = *options;
	d->options.target = config->name;
	d->options.faults.becomes = becomes ? other->name : NULL;
	if (options->tiles)
		d->config.tiles = options->tiles;
	if (options->mem_bytes)
		d->config.mem_bytes = options->mem_bytes;
	device_config = (struct device_config){
		.engine = d->config,
		.threads = options->threads,
		.timing = options->timing,
		.race_check = options->race_check,
		.spin_us = options->spin_us,
	};
	err = init_locks(d);
	if (!err)
		err = device_create(&device_config, &host_ops, d, &d->device);
	if (!err)
		err = bring_up(d);
	if (err) {
		inproc_destroy(d);
		return err;
	}
	*device = d;
	return 0;
}

int inproc_create_again(struct inproc *before, struct inproc **device)
{
	struct inproc_options options = before->options;
	bool back;

	pthread_mutex_lock(&before->irq_lock);
	back = !before->gone || (options.faults.back && ++before->looks >= options.faults.back);
	pthread_mutex_unlock(&before->irq_lock);
	if (!back)
		return -ENODEV;
	if (options.faults.becomes)
		options.target = options.faults.becomes;
	return inproc_create(&options, device);
}

void inproc_destroy(struct inproc *device)
{
	if (!device)
		return;
	device_destroy(device->device); /* no callback after this */
	for (size_t i = 0; i < device->bus.count; i++)
		munmap((void *)(uintptr_t)device->bus.item[i].start, device->bus.item[i].size);
	free(device->bus.item);
	free(device->local_free.item);
	free(device->table_chunks.item);
	pthread_cond_destroy(&device->irq);
	pthread_mutex_destroy(&device->irq_lock);
	pthread_mutex_destroy(&device->bus_lock);
	pthread_mutex_destroy(&device->lock);
	free(device);
}

const char *inproc_target(const struct inproc *device)
{
	return device->config.name;
}

uint64_t inproc_register(struct inproc *device, enum axl_reg reg)
{
	static const struct {
		uint32_t offset, bits;
	} widths[] = {
#define WIDTH_ROW(name, offset, bits, access, text) {offset, bits},
		AXL_REGS(WIDTH_ROW)
#undef WIDTH_ROW
	};

	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++)
		if (widths[i].offset == (uint32_t)reg)
			return device_reg_read(device->device, reg, widths[i].bits / 8);
	return 0;
}
