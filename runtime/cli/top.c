/* SPDX-License-Identifier: MIT */
/*
 * accel top: what the devices behind the kernel driver do, for whom. From the kernel's figures of open files (fdinfo), the driver's
 * queues (debugfs, root only) and the device's counters. An in-process device lives in its process alone and is not shown.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <axl/axl_disasm.h>
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

static void print_counters(FILE *out, const struct top_device *device, const struct top_sample *before, uint64_t now_ns)
{
	static const struct accel_counters none;
	const struct top_device *last = device_before(before, device);
	const struct accel_counters *from = last ? &last->counters : &none, *to = &device->counters;
	double seconds = last ? (double)(now_ns - before->ns) / 1e9 : 0;

	fprintf(out, "  busy %5.1f %%  ",
		percent(growth(from->busy_cycles, to->busy_cycles), growth(from->cycles, to->cycles)));
	if (seconds > 0)
		fprintf(out,
			"%.0f packets/s  %" PRIu64 " faults\n  DRAM %.3f GB/s  PCIe %.3f GB/s  %.0f TLB misses/s\n",
			(double)growth(from->packets, to->packets) / seconds, to->faults,
			(double)growth(from->dram_bytes, to->dram_bytes) / seconds / 1e9,
			(double)growth(from->host_bytes, to->host_bytes) / seconds / 1e9,
			(double)growth(from->tlb_misses, to->tlb_misses) / seconds);
	else
		fprintf(out,
			"%" PRIu64 " packets  %" PRIu64
			" faults  (since the driver has it)\n  DRAM %.3f GB  PCIe %.3f GB  %" PRIu64 " TLB misses\n",
			to->packets, to->faults, (double)to->dram_bytes / 1e9, (double)to->host_bytes / 1e9,
			to->tlb_misses);
}

/* Of the time that all tiles had. The sequencer, which waits for the others, is left out. */
static void print_pipes(FILE *out, const struct top_device *device, const struct top_sample *before)
{
	static const struct top_device none;
	const struct top_device *from = device_before(before, device);
	uint64_t cycles;

	if (!device->has_pipes) {
		fprintf(out, "  pipes - (%s)\n", device->no_pipes);
		return;
	}
	from = from && from->has_pipes ? from : &none;
	cycles = growth(from->counters.cycles, device->counters.cycles) * device->tiles;
	fprintf(out, "  pipes %%");
	for (int p = AXL_PIPE_LOAD; p < AXL_NUM_PIPES; p++)
		fprintf(out, "  %s %.1f", axl_pipe_text(p), percent(growth(from->pipes[p], device->pipes[p]), cycles));
	fprintf(out, "\n");
}

static void print_queues(FILE *out, const struct top_device *device)
{
	fprintf(out, "  %-8s %-8s %-10s %6s %12s %16s %10s\n", "context", "queue", "state", "error", "retired",
		"busy cycles", "generation");
	for (size_t i = 0; i < device->num_queues; i++) {
		const struct queue_line *queue = &device->queues[i];

		fprintf(out, "  %-8u %-4u%-4s %-10s %6u %12" PRIu64 " %16" PRIu64 " %10" PRIu64 "\n", queue->context,
			queue->queue, queue->kernel ? " (k)" : "", state_name(queue->state), queue->error,
			queue->retired, queue->busy, queue->generation);
	}
}

static void print_clients(FILE *out, const struct top_device *device, const struct top_sample *sample,
			  const struct top_sample *before)
{
	fprintf(out, "  %-8s %-16s %8s %16s %12s %12s\n", "process", "command", "busy %", "cycles", "system MiB",
		"local MiB");
	for (size_t i = 0; i < sample->num_clients; i++) {
		const struct top_client *client = &sample->clients[i], *last = client_before(before, client);
		const struct fdinfo *info = &client->info;

		if (strcmp(info->pci, device->pci))
			continue;
		fprintf(out, "  %-8d %-16.16s %8.1f %16" PRIu64 " %12.1f %12.1f\n", client->pid, client->command,
			percent(growth(last ? last->info.cycles : 0, info->cycles),
				growth(last ? last->info.total_cycles : 0, info->total_cycles)),
			info->cycles, (double)info->system / (1 << 20), (double)info->local / (1 << 20));
	}
}

static void print_sample(FILE *out, const struct top_sample *sample, const struct top_sample *before)
{
	for (size_t i = 0; i < sample->num_devices; i++) {
		const struct top_device *device = &sample->devices[i];

		fprintf(out, "%s  %s\n", device->name, device->pci);
		if (device->has_counters)
			print_counters(out, device, before, sample->ns);
		else
			fprintf(out, "  busy - (%s)\n", device->no_counters);
		print_pipes(out, device, before);
		if (device->has_queues)
			print_queues(out, device);
		else
			fprintf(out, "  queues: root sees them (debugfs)\n");
		print_clients(out, device, sample, before);
	}
	if (sample->hidden)
		fprintf(out, "%zu processes of others can not be looked at: root sees them\n", sample->hidden);
	if (sample->broken)
		fprintf(out, "%zu files of the driver say what this version can not read\n", sample->broken);
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
	} else {
		json_text(json, "no_counters", device->no_counters);
	}
	if (device->has_pipes) {
		json_unsigned(json, "tiles", device->tiles);
		json_object(json, "pipe_cycles");
		for (int p = 0; p < AXL_NUM_PIPES; p++)
			json_unsigned(json, axl_pipe_text(p), device->pipes[p]);
		json_close(json);
	} else {
		json_text(json, "no_pipes", device->no_pipes);
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

/* Over the picture before, line by line, so that nothing flickers; no more lines than the terminal has. */
static void paint(const char *text)
{
	struct winsize window = {0};
	unsigned int left = UINT_MAX;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) && window.ws_row > 1)
		left = window.ws_row - 1u;
	fputs("\033[H", stdout);
	for (; *text && left; left--) {
		size_t length = strcspn(text, "\n");

		fwrite(text, 1, length, stdout);
		fputs("\033[K\n", stdout);
		text += length + (text[length] == '\n');
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}

static int paint_sample(const struct top_sample *sample, const struct top_sample *before)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return complain(EXIT_USAGE, "out of memory");
	print_sample(out, sample, before);
	if (!fclose(out))
		paint(text);
	free(text);
	return EXIT_GOOD;
}

/* A picture a second, until a signal. */
static int watch(const char *root)
{
	static const struct timespec period = {.tv_nsec = PERIOD_NS % 1000000000, .tv_sec = PERIOD_NS / 1000000000};
	struct top_sample before = {0}, now;
	int code;

	fputs("\033[2J", stdout);
	while ((code = take(root, &now)) == EXIT_GOOD) {
		code = paint_sample(&now, before.devices ? &before : NULL);
		top_sample_finish(&before);
		before = now;
		if (code)
			break;
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
		print_sample(stdout, &sample, NULL);
	top_sample_finish(&sample);
	return code;
}
