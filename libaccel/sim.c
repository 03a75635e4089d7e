/* SPDX-License-Identifier: MIT */
/* Backend "sim:": the in-process device. Options of the name, and a table over sim/inproc/inproc.h. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libaccel/backend.h"
#include "sim/inproc/inproc.h"

static int __attribute__((format(printf, 4, 5))) fail(char *error, size_t size, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (size)
		vsnprintf(error, size, format, args);
	va_end(args);
	return err;
}

static bool parse_number(const char *text, unsigned long low, unsigned long high, unsigned long *value)
{
	char *end;

	errno = 0;
	*value = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *value >= low && *value <= high;
}

/* Room for the names of targets in the options. */
struct names {
	char target[64], becomes[64];
};

/* One "key=value". */
static int parse_option(const char *option, struct inproc_options *options, struct names *names, char *error,
			size_t error_size)
{
	const char *value = strchr(option, '=');
	size_t key = value ? (size_t)(value++ - option) : 0;
	const struct {
		const char *name;
		uint64_t *count;
		unsigned long most;
	} counts[] = {
		{"fault-packet", &options->faults.packet, ULONG_MAX}, {"fault-hang", &options->faults.hang, ULONG_MAX},
		{"fault-gone", &options->faults.gone, ULONG_MAX},     {"fault-back", &options->faults.back, ULONG_MAX},
		{"fault-call", &options->faults.call, ULONG_MAX},     {"memory", &options->mem_bytes, 1ul << 40},
	};
	unsigned long number;

	if (key == 6 && !strncmp(option, "target", key)) {
		snprintf(names->target, sizeof(names->target), "%s", value);
		return 0;
	}
	if (key == 13 && !strncmp(option, "fault-becomes", key)) {
		snprintf(names->becomes, sizeof(names->becomes), "%s", value);
		options->faults.becomes = names->becomes;
		return 0;
	}
	if (key == 7 && !strncmp(option, "threads", key)) {
		if (!parse_number(value, 1, 64, &number))
			return fail(error, error_size, -EINVAL, "device option '%s': 1 to 64 threads", option);
		options->threads = (unsigned int)number;
		return 0;
	}
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (key == strlen(counts[i].name) && !strncmp(option, counts[i].name, key)) {
			if (!parse_number(value, 1, counts[i].most, &number))
				return fail(error, error_size, -EINVAL, "device option '%s': 1 to %lu", option,
					    counts[i].most);
			*counts[i].count = number;
			return 0;
		}
	if (key == 4 && !strncmp(option, "spin", key)) {
		if (!parse_number(value, 0, 1000000, &number))
			return fail(error, error_size, -EINVAL, "device option '%s': 0 to 1000000 microseconds",
				    option);
		options->spin_us = (unsigned int)number;
		return 0;
	}
	if ((key == 6 && !strncmp(option, "timing", key)) || (key == 10 && !strncmp(option, "race-check", key))) {
		if (!parse_number(value, 0, 1, &number))
			return fail(error, error_size, -EINVAL, "device option '%s': 0 or 1", option);
		*(key == 6 ? &options->timing : &options->race_check) = number;
		return 0;
	}
	return fail(error, error_size, -EINVAL,
		    "device option '%s': there are target=NAME, threads=N, timing=0|1, race-check=0|1, "
		    "spin=MICROSECONDS, memory=BYTES, fault-packet=N, fault-hang=N, fault-gone=N, fault-back=N, "
		    "fault-call=N and fault-becomes=NAME",
		    option);
}

static size_t sim_list(struct accel_device_entry *entries, size_t max)
{
	static const struct accel_device_entry known[] = {
		{"sim:target=axl-edge", "in-process model of axl-edge, one tile"},
		{"sim:target=axl-pro", "in-process model of axl-pro, four tiles"},
	};
	const size_t count = sizeof(known) / sizeof(known[0]);

	if (max)
		memcpy(entries, known, (max < count ? max : count) * sizeof(*entries));
	return count;
}

static int sim_open(const char *name, void **device, char *error, size_t error_size)
{
	struct inproc_options options = {.spin_us = 50, .timing = true};
	struct names names = {.target = "axl-edge"};
	struct inproc *opened;
	int err;

	options.target = names.target;
	for (const char *text = name + strlen("sim:"); *text;) {
		size_t length = strcspn(text, ",");
		char option[80];

		if (length >= sizeof(option))
			return fail(error, error_size, -EINVAL, "device option '%.40s…' is too long", text);
		memcpy(option, text, length);
		option[length] = '\0';
		err = length ? parse_option(option, &options, &names, error, error_size) : 0;
		if (err)
			return err;
		text += length + (text[length] == ',');
	}
	err = inproc_create(&options, &opened);
	if (err == -ENOENT)
		return fail(error, error_size, -EINVAL, "device '%s': no such target '%s%s%s'", name, names.target,
			    options.faults.becomes ? "' or '" : "", names.becomes);
	if (err)
		return fail(error, error_size, err, "device '%s': %s", name, strerror(-err));
	*device = opened;
	return 0;
}

static int sim_open_again(void *before, void **device, char *error, size_t error_size)
{
	struct inproc *opened;
	int err = inproc_create_again(before, &opened);

	if (err)
		return fail(error, error_size, err, "%s",
			    err == -ENODEV ? "the in-process device has not been put in again" : strerror(-err));
	*device = opened;
	return 0;
}

/* ---- the table's entries: handles to objects ---- */

static void sim_close(void *device)
{
	inproc_destroy(device);
}

static const char *sim_target(void *device)
{
	return inproc_target(device);
}

static uint64_t sim_read_register(void *device, enum axl_reg reg)
{
	return inproc_register(device, reg);
}

static int sim_memory_create(void *device, uint64_t size, bool local, void **memory, void **data)
{
	struct inproc_memory *made;
	int err = inproc_memory_create(device, size, local, &made, data);

	*memory = err ? NULL : made;
	return err;
}

static int sim_memory_import(void *device, void *data, uint64_t size, void **memory)
{
	struct inproc_memory *made;
	int err = inproc_memory_import(device, data, size, &made);

	*memory = err ? NULL : made;
	return err;
}

static int sim_memory_import_fd(void *device, int fd, uint64_t *size, void **memory, void **data)
{
	struct inproc_memory *made;
	int err = inproc_memory_import_fd(device, fd, &made, data, size);

	*memory = err ? NULL : made;
	return err;
}

/* dma-bufs are the kernel's: a device inside a process has none to give. */
static int sim_memory_export_fd(void *memory, int *fd)
{
	(void)memory, (void)fd;
	return -ENOTSUP;
}

static int sim_memory_destroy(void *memory)
{
	return inproc_memory_destroy(memory);
}

static int sim_space_create(void *device, void **space)
{
	struct inproc_space *made;
	int err = inproc_space_create(device, &made);

	*space = err ? NULL : made;
	return err;
}

static int sim_space_destroy(void *space)
{
	return inproc_space_destroy(space);
}

_Static_assert(ACCEL_READ == INPROC_READ && ACCEL_WRITE == INPROC_WRITE && ACCEL_EXEC == INPROC_EXEC,
	       "rights are alike");

static int sim_bind(void *space, uint64_t va, void *memory, uint64_t offset, uint64_t size, unsigned int rights)
{
	return inproc_bind(space, va, memory, offset, size, rights);
}

static int sim_unbind(void *space, uint64_t va, uint64_t size)
{
	return inproc_unbind(space, va, size);
}

static int sim_context_create(void *space, void **context, const struct axl_status_page **status)
{
	struct inproc_context *made;
	int err = inproc_context_create(space, &made, status);

	*context = err ? NULL : made;
	return err;
}

static int sim_context_destroy(void *context)
{
	return inproc_context_destroy(context);
}

static int sim_queue_create(void *context, struct accel_backend_queue_args *args, void **queue,
			    volatile uint64_t **doorbell)
{
	const struct inproc_queue_args from = {
		.slot = args->slot,
		.slots = args->slots,
		.ring = args->ring,
		.index = args->index,
		.priority = args->priority,
		.flags = args->flags,
		.timeslice = args->timeslice,
		.watchdog = args->watchdog,
	};
	struct inproc_queue *made;
	int err = inproc_queue_create(context, &from, &made);

	*queue = err ? NULL : made;
	*doorbell = NULL; /* a store to memory wakes no thread */
	return err;
}

static void sim_queue_destroy(void *queue)
{
	inproc_queue_destroy(queue);
}

static void sim_wake(void *context, unsigned int slot)
{
	inproc_doorbell(context, slot);
}

static int sim_queue_reset(void *queue)
{
	return inproc_queue_reset(queue);
}

static int sim_queue_stop(void *queue)
{
	return inproc_queue_stop(queue);
}

static int sim_queue_start(void *queue)
{
	return inproc_queue_start(queue);
}

static int sim_wait_many(void *device, struct accel_backend_wait *waits, size_t count, bool all, int64_t deadline_ns)
{
	struct inproc_wait few[8], *list = count <= 8 ? few : malloc(count * sizeof(*list));
	int ended;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		list[i] = (struct inproc_wait){waits[i].queue, waits[i].index, 0};
	ended = inproc_wait_many(device, list, count, all, deadline_ns);
	for (size_t i = 0; i < count && (ended >= 0 || ended == -ETIMEDOUT); i++)
		waits[i].result = list[i].result;
	if (list != few)
		free(list);
	return ended;
}

static bool sim_queue_fault(void *queue, struct axl_fault_record *record)
{
	return inproc_queue_fault(queue, record);
}

const struct accel_backend accel_backend_sim = {
	.prefix = "sim:",
	.list = sim_list,
	.open = sim_open,
	.open_again = sim_open_again,
	.close = sim_close,
	.target = sim_target,
	.read_register = sim_read_register,
	.memory_create = sim_memory_create,
	.memory_import = sim_memory_import,
	.memory_import_fd = sim_memory_import_fd,
	.memory_export_fd = sim_memory_export_fd,
	.memory_destroy = sim_memory_destroy,
	.space_create = sim_space_create,
	.space_destroy = sim_space_destroy,
	.bind = sim_bind,
	.unbind = sim_unbind,
	.context_create = sim_context_create,
	.context_destroy = sim_context_destroy,
	.queue_create = sim_queue_create,
	.queue_destroy = sim_queue_destroy,
	.wake = sim_wake,
	.queue_reset = sim_queue_reset,
	.queue_stop = sim_queue_stop,
	.queue_start = sim_queue_start,
	.wait_many = sim_wait_many,
	.queue_fault = sim_queue_fault,
};
