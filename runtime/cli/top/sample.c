/* SPDX-License-Identifier: MIT */
/* See sample.h. */
#include "runtime/cli/top/sample.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_TEXT 8192

/* The contents of a small file, with a NUL behind it. -ENOENT and the like. */
static int read_text(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "r");
	size_t length;

	if (!file)
		return -errno;
	length = fread(text, 1, size - 1, file);
	text[length] = '\0';
	fclose(file);
	return 0;
}

/* Room for one more element behind @count of them: doubled at powers of two. */
static int grow(void **elements, size_t count, size_t size)
{
	void *grown;

	if (count & (count - 1))
		return 0;
	grown = realloc(*elements, (count ? 2 * count : 1) * size);
	if (!grown)
		return -ENOMEM;
	*elements = grown;
	return 0;
}

/* ---- devices ---- */

static int add_queues(struct top_device *device, char *text)
{
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (grow((void **)&device->queues, device->num_queues, sizeof(*device->queues)))
			return -ENOMEM;
		device->num_queues += !queue_line_parse(line, &device->queues[device->num_queues]);
	}
	return 0;
}

static void read_counters(struct top_device *device)
{
	struct accel_device_info info;
	struct accel_device *opened;
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/dev/accel/%s", device->name);
	device->has_counters = !accel_open(path, &opened, device->no_counters, sizeof(device->no_counters));
	if (!device->has_counters) {
		snprintf(device->no_pipes, sizeof(device->no_pipes), "the device can not be opened");
		return;
	}
	accel_device_info(opened, &info);
	device->tiles = info.tiles;
	/* The pipes first: what ends in between makes them less busy, never more than there is. */
	err = accel_device_pipes(opened, device->pipes);
	device->has_pipes = !err;
	if (err)
		snprintf(device->no_pipes, sizeof(device->no_pipes), "%s",
			 err == -ENOTSUP ? "the device does not count by pipe" : "the driver does not tell");
	accel_device_counters(opened, &device->counters);
	accel_close(opened);
}

static int add_device(struct top_sample *sample, const char *root, const char *name)
{
	struct top_device *device;
	char path[512], target[512], text[MAX_TEXT];
	ssize_t length;

	/* Another driver's node has no link to axl. */
	snprintf(path, sizeof(path), "%s/sys/class/accel/%s/device/driver", root, name);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return 0;
	target[length] = '\0';
	if (strcmp(strrchr(target, '/') ? strrchr(target, '/') + 1 : target, "axl"))
		return 0;
	if (grow((void **)&sample->devices, sample->num_devices, sizeof(*sample->devices)))
		return -ENOMEM;
	device = &sample->devices[sample->num_devices++];
	*device = (struct top_device){0};
	snprintf(device->name, sizeof(device->name), "%s", name);
	snprintf(path, sizeof(path), "%s/sys/class/accel/%s/device", root, name);
	length = readlink(path, target, sizeof(target) - 1);
	if (length > 0) {
		target[length] = '\0';
		snprintf(device->pci, sizeof(device->pci), "%.31s",
			 strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
	}
	if (*root) {
		snprintf(device->no_counters, sizeof(device->no_counters), "not asked for with --root");
		snprintf(device->no_pipes, sizeof(device->no_pipes), "not asked for with --root");
	} else {
		read_counters(device);
	}
	/* Which of the two names debugfs has depends on the kernel. */
	snprintf(path, sizeof(path), "%s/sys/kernel/debug/accel/%s/axl_queues", root, name + strlen("accel"));
	device->has_queues = !read_text(path, text, sizeof(text));
	if (!device->has_queues) {
		snprintf(path, sizeof(path), "%s/sys/kernel/debug/accel/%s/axl_queues", root, device->pci);
		device->has_queues = !read_text(path, text, sizeof(text));
	}
	return device->has_queues ? add_queues(device, text) : 0;
}

static int by_name(const void *a, const void *b)
{
	const struct top_device *x = a, *y = b;
	size_t m = strlen(x->name), n = strlen(y->name);

	return m != n ? (m > n) - (m < n) : strcmp(x->name, y->name);
}

static int add_devices(struct top_sample *sample, const char *root)
{
	struct dirent *entry;
	char path[512];
	int err = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "%s/sys/class/accel", root);
	folder = opendir(path);
	if (!folder)
		return -ENODEV;
	while (!err && (entry = readdir(folder)))
		if (!strncmp(entry->d_name, "accel", strlen("accel")))
			err = add_device(sample, root, entry->d_name);
	closedir(folder);
	if (err)
		return err;
	if (!sample->num_devices)
		return -ENODEV;
	qsort(sample->devices, sample->num_devices, sizeof(*sample->devices), by_name);
	return 0;
}

/* ---- clients ---- */

static bool is_known(const struct top_sample *sample, const struct fdinfo *info)
{
	for (size_t i = 0; i < sample->num_clients; i++)
		if (sample->clients[i].info.client == info->client && !strcmp(sample->clients[i].info.pci, info->pci))
			return true;
	return false;
}

static int add_file(struct top_sample *sample, const char *root, const char *pid, const char *fd)
{
	char path[512], target[256], text[MAX_TEXT];
	struct top_client *client;
	struct fdinfo info;
	ssize_t length;
	int err;

	snprintf(path, sizeof(path), "%s/proc/%.20s/fd/%.20s", root, pid, fd);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return 0; /* closed meanwhile */
	target[length] = '\0';
	if (strncmp(target, "/dev/accel/", strlen("/dev/accel/")))
		return 0;
	snprintf(path, sizeof(path), "%s/proc/%.20s/fdinfo/%.20s", root, pid, fd);
	if (read_text(path, text, sizeof(text)))
		return 0;
	err = fdinfo_parse(text, &info);
	if (err) {
		sample->broken += err == -EINVAL;
		return 0;
	}
	if (is_known(sample, &info))
		return 0;
	if (grow((void **)&sample->clients, sample->num_clients, sizeof(*sample->clients)))
		return -ENOMEM;
	client = &sample->clients[sample->num_clients++];
	*client = (struct top_client){.pid = atoi(pid), .info = info};
	snprintf(path, sizeof(path), "%s/proc/%.20s/comm", root, pid);
	if (!read_text(path, client->command, sizeof(client->command)))
		client->command[strcspn(client->command, "\n")] = '\0';
	return 0;
}

static int add_process(struct top_sample *sample, const char *root, const char *pid)
{
	struct dirent *entry;
	char path[512];
	int err = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "%s/proc/%.20s/fd", root, pid);
	folder = opendir(path);
	if (!folder) {
		sample->hidden += errno == EACCES;
		return 0;
	}
	while (!err && (entry = readdir(folder)))
		if (isdigit((unsigned char)entry->d_name[0]))
			err = add_file(sample, root, pid, entry->d_name);
	closedir(folder);
	return err;
}

static int add_processes(struct top_sample *sample, const char *root)
{
	struct dirent *entry;
	char path[512];
	int err = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "%s/proc", root);
	folder = opendir(path);
	if (!folder)
		return 0;
	while (!err && (entry = readdir(folder)))
		if (isdigit((unsigned char)entry->d_name[0]) && (*root || atoi(entry->d_name) != getpid()))
			err = add_process(sample, root, entry->d_name);
	closedir(folder);
	return err;
}

int top_sample_take(const char *root, struct top_sample *sample)
{
	struct timespec now;
	int err;

	*sample = (struct top_sample){0};
	clock_gettime(CLOCK_MONOTONIC, &now);
	sample->ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	err = add_devices(sample, root);
	if (!err)
		err = add_processes(sample, root);
	if (err)
		top_sample_finish(sample);
	return err;
}

void top_sample_finish(struct top_sample *sample)
{
	for (size_t i = 0; i < sample->num_devices; i++)
		free(sample->devices[i].queues);
	free(sample->devices);
	free(sample->clients);
	*sample = (struct top_sample){0};
}
