/* SPDX-License-Identifier: MIT */
/* Devices by name, what they are, and their counters. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libaccel/internal.h"

static const struct accel_backend *const backends[] = {&accel_backend_sim, &accel_backend_kernel};

const char *accel_version(void)
{
	return ACCEL_VERSION;
}

int64_t accel_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

size_t accel_device_list(struct accel_device_entry *entries, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		count += backends[i]->list(count < max ? entries + count : NULL, count < max ? max - count : 0);
	return count;
}

/* The device behind @handle, which is closed when it fails. @name: of the device, for the text of an error. */
static int make_device(const struct accel_backend *backend, void *handle, const char *name,
		       struct accel_device **device, char *error, size_t error_size)
{
	struct accel_device *d = calloc(1, sizeof(*d));
	int err = -ENOMEM;

	if (d) {
		d->backend = backend;
		d->handle = handle;
		err = accel_vm_create(d, &d->vm);
	}
	if (err) {
		snprintf(error, error_size, "device '%s': %s", name, strerror(-err));
		backend->close(handle);
		free(d);
		return err;
	}
	pthread_mutex_init(&d->lock, NULL);
	*device = d;
	return 0;
}

int accel_open(const char *name, struct accel_device **device, char *error, size_t error_size)
{
	const struct accel_backend *backend = NULL;
	const char *given = name;
	char node[128];
	void *handle;
	int err;

	*device = NULL;
	if (!strncmp(name, PCI_PREFIX, strlen(PCI_PREFIX))) {
		err = accel_pci_resolve(NULL, name, node, sizeof(node), error, error_size);
		if (err)
			return err;
		name = node;
	}
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		if (!strncmp(name, backends[i]->prefix, strlen(backends[i]->prefix)))
			backend = backends[i];
	if (!backend) {
		snprintf(error, error_size, "device '%s': there are 'sim:', /dev/accel/accelN and 'pci:ADDRESS'", name);
		return -ENOTSUP;
	}
	err = backend->open(name, &handle, error, error_size);
	return err ? err : make_device(backend, handle, given, device, error, error_size);
}

int accel_open_again(const struct accel_device *before, struct accel_device **device, char *error, size_t error_size)
{
	void *handle;
	int err;

	*device = NULL;
	err = before->backend->open_again(before->handle, &handle, error, error_size);
	return err ? err : make_device(before->backend, handle, before->backend->prefix, device, error, error_size);
}

void accel_close(struct accel_device *device)
{
	if (!device)
		return;
	accel_runner_destroy(device->runner);
	accel_vm_destroy(device->vm);
	device->backend->close(device->handle);
	pthread_mutex_destroy(&device->lock);
	free(device);
}

static uint64_t reg(const struct accel_device *device, enum axl_reg which)
{
	return device->backend->read_register(device->handle, which);
}

void accel_device_info(const struct accel_device *device, struct accel_device_info *info)
{
	*info = (struct accel_device_info){
		.target = device->backend->target(device->handle),
		.tiles = (uint32_t)reg(device, AXL_REG_TILES),
		.spad_bytes = (uint32_t)reg(device, AXL_REG_SPAD_BYTES),
		.acc_bytes = (uint32_t)reg(device, AXL_REG_ACC_BYTES),
		.spad_banks = (uint32_t)reg(device, AXL_REG_SPAD_BANKS),
		.clock_khz = (uint32_t)reg(device, AXL_REG_CLOCK_KHZ),
		.mem_bytes = reg(device, AXL_REG_MEM_SIZE),
		.dram_rate = (uint32_t)reg(device, AXL_REG_DRAM_RATE),
		.dram_latency = (uint32_t)reg(device, AXL_REG_DRAM_LATENCY),
		.host_rate = (uint32_t)reg(device, AXL_REG_HOST_RATE),
		.host_latency = (uint32_t)reg(device, AXL_REG_HOST_LATENCY),
		.isa_version = (uint32_t)reg(device, AXL_REG_VERSION) >> 16,
		.interface_version = (uint32_t)reg(device, AXL_REG_VERSION) & 0xffff,
	};
}

int accel_device_fd(const struct accel_device *device)
{
	return device->backend->fd ? device->backend->fd(device->handle) : -ENOTSUP;
}

void accel_device_counters(const struct accel_device *device, struct accel_counters *counters)
{
	*counters = (struct accel_counters){
		.cycles = reg(device, AXL_REG_CYCLES),
		.busy_cycles = reg(device, AXL_REG_COUNT_BUSY),
		.packets = reg(device, AXL_REG_COUNT_PACKETS),
		.doorbells = reg(device, AXL_REG_COUNT_DOORBELLS),
		.faults = reg(device, AXL_REG_COUNT_FAULTS),
		.tlb_misses = reg(device, AXL_REG_COUNT_TLB_MISSES),
		.dram_bytes = reg(device, AXL_REG_COUNT_DRAM_BYTES),
		.host_bytes = reg(device, AXL_REG_COUNT_HOST_BYTES),
	};
}

int accel_device_pipes(const struct accel_device *device, uint64_t busy[AXL_NUM_PIPES])
{
	if (!(reg(device, AXL_REG_FEATURES) & AXL_FEATURE_PIPE_COUNTERS))
		return -ENOTSUP;
	for (unsigned int p = 0; p < AXL_NUM_PIPES; p++) {
		busy[p] = reg(device, (enum axl_reg)(AXL_REG_COUNT_PIPE_SEQ + 8 * p));
		/* What reads as all ones is not there (any more): a driver that can not tell, a device that is gone. */
		if (busy[p] == UINT64_MAX)
			return -ENODEV;
	}
	return 0;
}

struct accel_vm *accel_device_vm(struct accel_device *device)
{
	return device->vm;
}
