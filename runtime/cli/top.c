/* SPDX-License-Identifier: MIT */
/*
 * accel top: what the devices behind the kernel driver do, for whom. From the kernel's figures of open files (fdinfo), the driver's
 * queues (debugfs, root only) and the device's counters. An in-process device lives in its process alone and is not shown.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <axl/axl_queue.h>

#include "runtime/cli/command.h"
#include "runtime/cli/json_file.h"
#include "runtime/cli/top/sample.h"

#define PERIOD_NS 1000000000

static const char *state_name(unsigned int state)
{
	static const char *const names[] = {
		[AXL_QUEUE_OFF] = "off",
		[AXL_QUEUE_RUNNING] = "running",
		[AXL_QUEUE_FAULTED] = "faulted",
		[AXL_QUEUE_SUSPENDED] = "suspended",
	};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

/* ---- figures ---- */

/* Devices and clients of the sample before; NULL: they are new. */
static const struct top_device *device_before(const struct top_sample *before, const struct top_device *device)
{
	for (size_t i = 0; before && i < before->num_devices; i++)
		if (!strcmp(before->devices[i].name, device->name) && before->devices[i].has_counters)
			return &before->devices[i];
	return NULL;
}

static const struct top_client *client_before(const struct top_sample *before, const struct top_client *client)
{
	for (size_t i = 0; before && i < before->num_clients; i++)
		if (before->clients[i].info.client == client->info.client &&
		    !strcmp(before->clients[i].info.pci, client->info.pci))
			return &before->clients[i];
	return NULL;
}

/* What a counter grew by; one that went back (another driver's life) began again. */
static uint64_t growth(uint64_t before, uint64_t now)
{
	return now >= before ? now - before : now;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* ---- the picture ---- */

static void print_counters(const struct top_device *device, const struct top_sample *before, uint64_t now_ns)
{
	static const struct accel_counters none;
	const struct top_device *last = device_before(before, device);
	const struct accel_counters *from = last ? &last->counters : &none, *to = &device->counters;
	double seconds = last ? (double)(now_ns - before->ns) / 1e9 : 0;

	printf("  busy %5.1f %% %s",
	       percent(growth(from->busy_cycles, to->busy_cycles), growth(from->cycles, to->cycles)),
	       last ? "" : "since the driver has it, ");
	if (seconds > 0)
		printf(" %.0f packets/s  DRAM %.3f GB/s  PCIe %.3f GB/s  %.0f TLB misses/s",
		       (double)growth(from->packets, to->packets) / seconds,
		       (double)growth(from->dram_bytes, to->dram_bytes) / seconds / 1e9,
		       (double)growth(from->host_bytes, to->host_bytes) / seconds / 1e9,
		       (double)growth(from->tlb_misses, to->tlb_misses) / seconds);
	else
		printf("%" PRIu64 " packets, DRAM %.3f GB, PCIe %.3f GB", to->packets, (double)to->dram_bytes / 1e9,
		       (double)to->host_bytes / 1e9);
	printf("  %" PRIu64 " faults\n", to->faults);
}

static void print_queues(const struct top_device *device)
{
	printf("  %-8s %-8s %-10s %6s %12s %16s %10s\n", "context", "queue", "state", "error", "retired", "busy cycles",
	       "generation");
	for (size_t i = 0; i < device->num_queues; i++) {
		const struct queue_line *queue = &device->queues[i];

		printf("  %-8u %-4u%-4s %-10s %6u %12" PRIu64 " %16" PRIu64 " %10" PRIu64 "\n", queue->context,
		       queue->queue, queue->kernel ? " (k)" : "", state_name(queue->state), queue->error,
		       queue->retired, queue->busy, queue->generation);
	}
}

static void print_clients(const struct top_device *device, const struct top_sample *sample,
			  const struct top_sample *before)
{
	printf("  %-8s %-16s %8s %16s %12s %12s\n", "process", "command", "busy %", "cycles", "system MiB",
	       "local MiB");
	for (size_t i = 0; i < sample->num_clients; i++) {
		const struct top_client *client = &sample->clients[i], *last = client_before(before, client);
		const struct fdinfo *info = &client->info;

		if (strcmp(info->pci, device->pci))
			continue;
		printf("  %-8d %-16.16s %8.1f %16" PRIu64 " %12.1f %12.1f\n", client->pid, client->command,
		       percent(growth(last ? last->info.cycles : 0, info->cycles),
			       growth(last ? last->info.total_cycles : 0, info->total_cycles)),
		       info->cycles, (double)info->system / (1 << 20), (double)info->local / (1 << 20));
	}
}

static void print_sample(const struct top_sample *sample, const struct top_sample *before)
{
	for (size_t i = 0; i < sample->num_devices; i++) {
		const struct top_device *device = &sample->devices[i];

		printf("%s  %s\n", device->name, device->pci);
		if (device->has_counters)
			print_counters(device, before, sample->ns);
		if (device->has_queues)
			print_queues(device);
		else
			printf("  queues: root sees them (debugfs)\n");
		print_clients(device, sample, before);
	}
	if (sample->hidden)
		printf("%zu processes of others can not be looked at: root sees them\n", sample->hidden);
	if (sample->broken)
		printf("%zu files of the driver say what this version can not read\n", sample->broken);
}

/* ---- JSON ---- */

static void put_device(struct json *json, const struct top_device *device, const struct top_sample *sample)
{
	json_object(json, NULL);
	json_text(json, "name", device->name);
	json_text(json, "pci", device->pci);
	if (device->has_counters) {
		json_object(json, "counters");
		json_unsigned(json, "cycles", device->counters.cycles);
		json_unsigned(json, "busy_cycles", device->counters.busy_cycles);
		json_unsigned(json, "packets", device->counters.packets);
		json_unsigned(json, "doorbells", device->counters.doorbells);
		json_unsigned(json, "faults", device->counters.faults);
		json_unsigned(json, "tlb_misses", device->counters.tlb_misses);
		json_unsigned(json, "dram_bytes", device->counters.dram_bytes);
		json_unsigned(json, "host_bytes", device->counters.host_bytes);
		json_close(json);
	}
	json_bool(json, "queues_seen", device->has_queues);
	json_array(json, "queues");
	for (size_t i = 0; i < device->num_queues; i++) {
		const struct queue_line *queue = &device->queues[i];

		json_object(json, NULL);
		json_unsigned(json, "context", queue->context);
		json_unsigned(json, "queue", queue->queue);
		json_bool(json, "kernel", queue->kernel);
		json_text(json, "state", state_name(queue->state));
		json_unsigned(json, "error", queue->error);
		json_unsigned(json, "retired", queue->retired);
		json_unsigned(json, "busy_cycles", queue->busy);
		json_unsigned(json, "generation", queue->generation);
		json_close(json);
	}
	json_close(json);
	json_array(json, "clients");
	for (size_t i = 0; i < sample->num_clients; i++) {
		const struct top_client *client = &sample->clients[i];

		if (strcmp(client->info.pci, device->pci))
			continue;
		json_object(json, NULL);
		json_unsigned(json, "pid", (uint64_t)client->pid);
		json_text(json, "command", client->command);
		json_unsigned(json, "client", client->info.client);
		json_unsigned(json, "cycles", client->info.cycles);
		json_unsigned(json, "device_cycles", client->info.total_cycles);
		json_unsigned(json, "engine_ns", client->info.engine_ns);
		json_unsigned(json, "system_bytes", client->info.system);
		json_unsigned(json, "resident_bytes", client->info.resident);
		json_unsigned(json, "local_bytes", client->info.local);
		json_close(json);
	}
	json_close(json);
	json_close(json);
}

static int write_json(const struct top_sample *sample, const char *path)
{
	struct json json;

	if (json_open(&json, path))
		return EXIT_USAGE;
	json_array(&json, "devices");
	for (size_t i = 0; i < sample->num_devices; i++)
		put_device(&json, &sample->devices[i], sample);
	json_close(&json);
	json_unsigned(&json, "hidden_processes", sample->hidden);
	json_unsigned(&json, "unreadable_files", sample->broken);
	return json_finish(&json, path) ? EXIT_USAGE : EXIT_GOOD;
}

/* ---- the command ---- */

static int take(const char *root, struct top_sample *sample)
{
	int err = top_sample_take(root, sample);

	if (err == -ENODEV)
		return complain(EXIT_DEVICE,
				"no device of the driver is here ('accel info' says why); sim: devices are not shown");
	return err ? complain(EXIT_USAGE, "%s", strerror(-err)) : EXIT_GOOD;
}

/* A picture a second, until a signal. */
static int watch(const char *root)
{
	static const struct timespec period = {.tv_nsec = PERIOD_NS % 1000000000, .tv_sec = PERIOD_NS / 1000000000};
	struct top_sample before = {0}, now;
	int code;

	while ((code = take(root, &now)) == EXIT_GOOD) {
		fputs("\033[H\033[2J", stdout);
		print_sample(&now, before.devices ? &before : NULL);
		fflush(stdout);
		top_sample_finish(&before);
		before = now;
		nanosleep(&period, NULL);
	}
	top_sample_finish(&before);
	return code;
}

int command_top(int argc, char **argv)
{
	struct top_sample sample;
	struct options options;
	const char *root;
	int code;

	if (options_parse(argc, argv, "top",
			  "Show what the devices behind the kernel driver do, for whom; once a second.", "1jOq",
			  &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	root = options.root ? options.root : "";
	if (!options.once && !options.json) {
		if (isatty(STDOUT_FILENO))
			return watch(root);
		return complain(EXIT_USAGE, "top: the standard output is no terminal; give --once or --json");
	}
	code = take(root, &sample);
	if (code != EXIT_GOOD)
		return code;
	if (options.json)
		code = write_json(&sample, options.json);
	else
		print_sample(&sample, NULL);
	top_sample_finish(&sample);
	return code;
}
