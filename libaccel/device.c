/* SPDX-License-Identifier: MIT */
/* Devices by name, buffers, execution: the in-process backend. See accel.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <accel/accel.h>

#include "sim/inproc/direct.h"

struct accel_device {
	struct direct *inproc;
};

struct accel_buffer {
	struct accel_device *device;
	void *data;
	uint64_t size, address;
};

static int __attribute__((format(printf, 4, 5))) fail(char *error, size_t size, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (size)
		vsnprintf(error, size, format, args);
	va_end(args);
	return err;
}

/* "key=value,key=value" of a sim: name. */
static int parse_options(const char *text, char *target, size_t target_size, unsigned int *threads, char *error,
			 size_t error_size)
{
	while (*text) {
		size_t length = strcspn(text, ",");
		char option[64];

		if (length >= sizeof(option))
			return fail(error, error_size, -EINVAL, "device option '%.40s…' is too long", text);
		memcpy(option, text, length);
		option[length] = '\0';
		if (!strncmp(option, "target=", 7)) {
			snprintf(target, target_size, "%s", option + 7);
		} else if (!strncmp(option, "threads=", 8)) {
			char *end;
			unsigned long value = strtoul(option + 8, &end, 10);

			if (*end || end == option + 8 || value < 1 || value > 64)
				return fail(error, error_size, -EINVAL, "device option '%s': 1 to 64 threads", option);
			*threads = (unsigned int)value;
		} else if (length) {
			return fail(error, error_size, -EINVAL,
				    "device option '%s': there are target=NAME and threads=N", option);
		}
		text += length + (text[length] == ',');
	}
	return 0;
}

int accel_open(const char *name, struct accel_device **device, char *error, size_t error_size)
{
	char target[64] = "axl-edge";
	unsigned int threads = 0;
	struct accel_device *d;
	int err;

	*device = NULL;
	if (strncmp(name, "sim:", 4))
		return fail(error, error_size, -ENOTSUP,
			    "device '%s': this version opens the in-process device 'sim:' only", name);
	err = parse_options(name + 4, target, sizeof(target), &threads, error, error_size);
	if (err)
		return err;
	d = calloc(1, sizeof(*d));
	if (!d)
		return fail(error, error_size, -ENOMEM, "out of memory");
	err = direct_create(target, threads, &d->inproc);
	if (err) {
		free(d);
		return fail(error, error_size, err == -ENOENT ? -EINVAL : err, "device '%s': %s", name,
			    err == -ENOENT ? "no such target" : strerror(-err));
	}
	*device = d;
	return 0;
}

void accel_close(struct accel_device *device)
{
	if (device)
		direct_destroy(device->inproc);
	free(device);
}

void accel_device_info(const struct accel_device *device, struct accel_device_info *info)
{
	struct direct_info from;

	direct_info(device->inproc, &from);
	*info = (struct accel_device_info){from.target,       from.tiles,     from.spad_bytes,  from.acc_bytes,
					   from.spad_banks,   from.clock_khz, from.mem_bytes,   from.dram_rate,
					   from.dram_latency, from.host_rate, from.host_latency};
}

int accel_buffer_create(struct accel_device *device, uint64_t size, unsigned int flags, struct accel_buffer **buffer)
{
	struct accel_buffer *b;
	int err;

	*buffer = NULL;
	if (!size || size > 1ull << 40 || flags & ~7u)
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->device = device;
	b->size = size;
	b->data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b->data == MAP_FAILED) {
		free(b);
		return -ENOMEM;
	}
	err = direct_map(device->inproc, b->data, size, flags & ACCEL_BUFFER_LOCAL, flags & ACCEL_BUFFER_WRITE,
			 flags & ACCEL_BUFFER_EXEC, &b->address);
	if (err) {
		munmap(b->data, size);
		free(b);
		return err;
	}
	*buffer = b;
	return 0;
}

void accel_buffer_destroy(struct accel_buffer *buffer)
{
	if (!buffer)
		return;
	direct_unmap(buffer->device->inproc, buffer->address);
	munmap(buffer->data, buffer->size);
	free(buffer);
}

void *accel_buffer_data(const struct accel_buffer *buffer)
{
	return buffer->data;
}

uint64_t accel_buffer_address(const struct accel_buffer *buffer)
{
	return buffer->address;
}

uint64_t accel_buffer_size(const struct accel_buffer *buffer)
{
	return buffer->size;
}

int accel_execute(struct accel_device *device, const struct accel_buffer *code, uint32_t size, const uint64_t *bases,
		  unsigned int num_bases, struct axl_exec_stats *stats, struct axl_trace_record *trace,
		  size_t trace_max, struct axl_fault_record *fault)
{
	if (size > code->size || num_bases > AXL_NUM_BASES)
		return -EINVAL;
	return direct_execute(device->inproc, code->address, size, bases, num_bases, stats, trace, trace_max, fault);
}

char *accel_fault_text(const struct axl_fault_record *fault, char *text, size_t size)
{
	static const char *const causes[AXL_NUM_CAUSES] = {
#define CAUSE_TEXT(name, number, words) [number] = words,
		AXL_CAUSES(CAUSE_TEXT)
#undef CAUSE_TEXT
	};
	static const char *const pipes[AXL_NUM_PIPES] = {
#define PIPE_TEXT(name, number, words) [number] = words,
		AXL_PIPES(PIPE_TEXT)
#undef PIPE_TEXT
	};

	snprintf(text, size, "%s; tile %u, pipe %s, instruction at offset %u, address 0x%llx",
		 fault->cause < AXL_NUM_CAUSES ? causes[fault->cause] : "unknown cause", fault->tile,
		 fault->pipe < AXL_NUM_PIPES ? pipes[fault->pipe] : "?", fault->offset,
		 (unsigned long long)fault->address);
	return text;
}
