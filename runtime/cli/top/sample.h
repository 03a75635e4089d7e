/* SPDX-License-Identifier: MIT */
/* What all devices, their queues and the processes that use them have done so far. */
#ifndef RUNTIME_CLI_TOP_SAMPLE_H
#define RUNTIME_CLI_TOP_SAMPLE_H

#include <stddef.h>

#include <accel/accel.h>

#include "runtime/cli/top/fdinfo.h"

/* A process's open file of a device. */
struct top_client {
	int pid;
	char command[32];
	struct fdinfo info;
};

/*
 * @name: "accel0"; @pci: its address, "" when it has none
 * @counters: with @has_counters, what the driver answered; @pipes: with @has_pipes, cycles in which each was busy, over @tiles of them
 * @no_counters, @no_pipes: else, why not
 * @queues: with @has_queues, from debugfs, which is root's
 */
struct top_device {
	char name[32], pci[32];
	bool has_counters, has_pipes, has_queues;
	struct accel_counters counters;
	uint64_t pipes[AXL_NUM_PIPES];
	uint32_t tiles;
	char no_counters[128], no_pipes[64];
	struct queue_line *queues;
	size_t num_queues;
};

/*
 * @ns: CLOCK_MONOTONIC
 * @hidden: processes whose files may not be looked at; @broken: texts of the driver that could not be read
 */
struct top_sample {
	uint64_t ns;
	struct top_device *devices;
	struct top_client *clients;
	size_t num_devices, num_clients, hidden, broken;
};

/*
 * Look below @root ("": here; else a folder with proc/ and sys/, and then no counters are asked for). Clients are each there once, however
 * many descriptors they have. -ENODEV: no device of the driver; -ENOMEM. On error there is nothing to finish.
 */
int top_sample_take(const char *root, struct top_sample *sample);
void top_sample_finish(struct top_sample *sample);

#endif
