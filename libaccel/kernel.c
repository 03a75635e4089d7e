/* SPDX-License-Identifier: MIT */
/*
 * Backend "/dev/accel/": devices behind axl.ko, by the ioctls of <drm/axl_accel.h>. Devices, contexts, queues; memory
 * and address spaces are in kernel_memory.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <xf86drm.h>

#include "libaccel/internal.h"
#include "libaccel/kernel.h"

struct kernel_context {
	struct kernel_device *device;
	uint32_t ctx;
	const struct axl_status_page *status;
	uint64_t *doorbells;
	atomic_uint queues;
};

struct kernel_queue {
	struct kernel_device *device;
	struct kernel_context *context;
	uint32_t queue;
};

int kernel_call(int fd, unsigned long request, void *args)
{
	return drmIoctl(fd, request, args) ? -errno : 0;
}

/* ---- devices ---- */

static bool is_axl(int fd)
{
	drmVersionPtr version = drmGetVersion(fd);
	bool axl = version && !strcmp(version->name, "axl");

	drmFreeVersion(version);
	return axl;
}

static const char *target_of(const struct drm_axl_dev_info *info)
{
	return info->tiles == 1 ? "axl-edge" : "axl-pro";
}

static int query(int fd, uint32_t type, void *data, uint32_t size)
{
	struct drm_axl_dev_query args = {.type = type, .size = size, .data = (uintptr_t)data};

	return kernel_call(fd, DRM_IOCTL_AXL_DEV_QUERY, &args);
}

/* Open a node and ask what it is. Returns the file, or a negative errno: -ENOTSUP, it is not an AXL. */
static int open_node(const char *path, struct drm_axl_dev_info *info)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = is_axl(fd) ? query(fd, DRM_AXL_QUERY_INFO, info, sizeof(*info)) : -ENOTSUP;
	if (!err)
		return fd;
	close(fd);
	return err;
}

static size_t kernel_list(struct accel_device_entry *entries, size_t max)
{
	struct dirent **files;
	int num_files = scandir("/dev/accel", &files, NULL, versionsort);
	size_t count = 0;

	for (int i = 0; i < num_files; i++) {
		struct drm_axl_dev_info info = {0};
		char path[sizeof(entries->name)];
		int fd = -ENOENT;

		if (!strncmp(files[i]->d_name, "accel", 5) &&
		    snprintf(path, sizeof(path), "/dev/accel/%s", files[i]->d_name) < (int)sizeof(path))
			fd = open_node(path, &info);
		free(files[i]);
		if (fd < 0)
			continue;
		close(fd);
		if (count < max) {
			memcpy(entries[count].name, path, sizeof(path));
			snprintf(entries[count].text, sizeof(entries[count].text), "%s behind the kernel driver",
				 target_of(&info));
		}
		count++;
	}
	if (num_files >= 0)
		free(files);
	return count;
}

/* What the error says, and what the PCI bus says of it. */
static void explain(const char *name, int err, char *error, size_t size)
{
	char text[640];

	accel_pci_explain(NULL, name, text, sizeof(text));
	snprintf(error, size, "device '%s': %s%s%s", name, err == -ENOTSUP ? "not an AXL" : strerror(-err),
		 *text ? "; " : "", text);
}

/* The PCI address behind an open node, "" when there is none: /sys/dev/char/261:0/device is a link to its folder. */
static void find_address(int fd, char *address, size_t size)
{
	char path[64], target[256];
	struct stat file;
	ssize_t length = -1;

	*address = '\0';
	if (!fstat(fd, &file)) {
		snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/device", major(file.st_rdev), minor(file.st_rdev));
		length = readlink(path, target, sizeof(target) - 1);
	}
	if (length <= 0)
		return;
	target[length] = '\0';
	if (strrchr(target, '/') && strlen(strrchr(target, '/') + 1) < size)
		snprintf(address, size, "%s", strrchr(target, '/') + 1);
}

static int kernel_open(const char *name, void **device, char *error, size_t error_size)
{
	struct kernel_device *d = calloc(1, sizeof(*d));
	int err;

	if (!d) {
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	d->fd = open_node(name, &d->info);
	if (d->fd < 0) {
		err = d->fd;
		explain(name, err, error, error_size);
		free(d);
		return err;
	}
	snprintf(d->node, sizeof(d->node), "%s", name);
	find_address(d->fd, d->address, sizeof(d->address));
	pthread_mutex_init(&d->lock, NULL);
	*device = d;
	return 0;
}

/* Nodes are numbered as there is room: where the card is says its address. */
static int kernel_open_again(void *before, void **device, char *error, size_t error_size)
{
	const struct kernel_device *d = before;
	char name[sizeof(PCI_PREFIX) + sizeof(d->address)], node[sizeof(d->node)];
	int err = 0;

	snprintf(node, sizeof(node), "%s", d->node);
	if (*d->address) {
		snprintf(name, sizeof(name), PCI_PREFIX "%s", d->address);
		err = accel_pci_resolve(NULL, name, node, sizeof(node), error, error_size);
	}
	return err ? err : kernel_open(node, device, error, error_size);
}

static void kernel_close(void *device)
{
	struct kernel_device *d = device;

	close(d->fd);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static const char *kernel_target(void *device)
{
	return target_of(&((struct kernel_device *)device)->info);
}

static int kernel_fd(void *device)
{
	return ((struct kernel_device *)device)->fd;
}

static uint64_t kernel_read_register(void *device, enum axl_reg reg)
{
	struct kernel_device *d = device;
	struct drm_axl_counters counters = {0};
	struct drm_axl_pipe_counters pipes = {0};

	switch (reg) {
	case AXL_REG_VERSION:
		return d->info.isa_version << 16 | d->info.interface_version;
	case AXL_REG_TILES:
		return d->info.tiles;
	case AXL_REG_SPAD_BYTES:
		return d->info.spad_bytes;
	case AXL_REG_ACC_BYTES:
		return d->info.acc_bytes;
	case AXL_REG_SPAD_BANKS:
		return d->info.spad_banks;
	case AXL_REG_CLOCK_KHZ:
		return d->info.clock_khz;
	case AXL_REG_MEM_SIZE:
		return d->info.mem_bytes;
	case AXL_REG_DRAM_RATE:
		return d->info.dram_rate;
	case AXL_REG_DRAM_LATENCY:
		return d->info.dram_latency;
	case AXL_REG_HOST_RATE:
		return d->info.host_rate;
	case AXL_REG_HOST_LATENCY:
		return d->info.host_latency;
	case AXL_REG_FEATURES:
		return d->info.features;
#define PIPE_CASE(name, number, text)   \
	case AXL_REG_COUNT_PIPE_##name: \
		return query(d->fd, DRM_AXL_QUERY_PIPES, &pipes, sizeof(pipes)) ? ~UINT64_C(0) : pipes.busy[number];
		AXL_PIPES(PIPE_CASE)
#undef PIPE_CASE
	default:
		break;
	}
	query(d->fd, DRM_AXL_QUERY_COUNTERS, &counters, sizeof(counters));
	switch (reg) {
	case AXL_REG_CYCLES:
		return counters.cycles;
	case AXL_REG_COUNT_BUSY:
		return counters.busy;
	case AXL_REG_COUNT_PACKETS:
		return counters.packets;
	case AXL_REG_COUNT_DOORBELLS:
		return counters.doorbells;
	case AXL_REG_COUNT_FAULTS:
		return counters.faults;
	case AXL_REG_COUNT_TLB_MISSES:
		return counters.tlb_misses;
	case AXL_REG_COUNT_DRAM_BYTES:
		return counters.dram_bytes;
	case AXL_REG_COUNT_HOST_BYTES:
		return counters.host_bytes;
	default:
		return 0;
	}
}

/* ---- contexts ---- */

static int kernel_context_create(void *space, void **context, const struct axl_status_page **status)
{
	struct kernel_space *s = space;
	struct drm_axl_ctx_create args = {.vm = s->vm};
	struct drm_axl_ctx_destroy destroy = {0};
	struct kernel_context *c = calloc(1, sizeof(*c));
	void *page;
	int err;

	if (!c)
		return -ENOMEM;
	c->device = s->device;
	err = kernel_call(c->device->fd, DRM_IOCTL_AXL_CTX_CREATE, &args);
	if (err)
		goto err_free;
	c->ctx = args.ctx;
	page = mmap(NULL, AXL_PAGE_BYTES, PROT_READ, MAP_SHARED, c->device->fd, (off_t)args.status_offset);
	if (page == MAP_FAILED) {
		err = -errno;
		goto err_context;
	}
	c->status = page;
	page = mmap(NULL, AXL_PAGE_BYTES, PROT_WRITE, MAP_SHARED, c->device->fd, (off_t)args.doorbell_offset);
	if (page == MAP_FAILED) {
		err = -errno;
		goto err_status;
	}
	c->doorbells = page;
	*context = c;
	*status = c->status;
	return 0;

err_status:
	munmap((void *)(uintptr_t)c->status, AXL_PAGE_BYTES);
err_context:
	destroy.ctx = args.ctx;
	kernel_call(c->device->fd, DRM_IOCTL_AXL_CTX_DESTROY, &destroy);
err_free:
	free(c);
	return err;
}

static int kernel_context_destroy(void *context)
{
	struct kernel_context *c = context;
	struct drm_axl_ctx_destroy args = {.ctx = c->ctx};

	/* The driver would take its queues along. */
	if (atomic_load(&c->queues))
		return -EBUSY;
	munmap((void *)(uintptr_t)c->status, AXL_PAGE_BYTES);
	munmap(c->doorbells, AXL_PAGE_BYTES);
	kernel_call(c->device->fd, DRM_IOCTL_AXL_CTX_DESTROY, &args);
	free(c);
	return 0;
}

/* ---- queues ---- */

static int kernel_queue_create(void *context, struct accel_backend_queue_args *args, void **queue,
			       volatile uint64_t **doorbell)
{
	struct kernel_context *c = context;
	struct drm_axl_queue_create create = {
		.ctx = c->ctx,
		.slots = args->slots,
		.ring = args->ring,
		.index = args->index,
		.priority = args->priority,
		.flags = args->flags,
		.timeslice = args->timeslice,
		.watchdog = args->watchdog,
	};
	struct kernel_queue *q = calloc(1, sizeof(*q));
	int err;

	if (!q)
		return -ENOMEM;
	err = kernel_call(c->device->fd, DRM_IOCTL_AXL_QUEUE_CREATE, &create);
	if (err) {
		free(q);
		return err;
	}
	q->device = c->device;
	q->context = c;
	q->queue = create.queue;
	atomic_fetch_add(&c->queues, 1);
	*queue = q;
	*doorbell = &c->doorbells[create.slot];
	args->slot = create.slot;
	return 0;
}

static int change_queue(struct kernel_queue *queue, unsigned long request)
{
	struct drm_axl_queue_op args = {.queue = queue->queue};

	return kernel_call(queue->device->fd, request, &args);
}

static void kernel_queue_destroy(void *queue)
{
	struct kernel_queue *q = queue;

	change_queue(q, DRM_IOCTL_AXL_QUEUE_DESTROY);
	atomic_fetch_sub(&q->context->queues, 1);
	free(q);
}

static int kernel_queue_reset(void *queue)
{
	return change_queue(queue, DRM_IOCTL_AXL_QUEUE_RESET);
}

static int kernel_queue_stop(void *queue)
{
	return change_queue(queue, DRM_IOCTL_AXL_QUEUE_SUSPEND);
}

static int kernel_queue_start(void *queue)
{
	return change_queue(queue, DRM_IOCTL_AXL_QUEUE_RESUME);
}

static int kernel_wait_many(void *device, struct accel_backend_wait *waits, size_t count, bool all, int64_t deadline_ns)
{
	struct drm_axl_wait_entry few[8], *entries = count <= 8 ? few : calloc(count, sizeof(*entries));
	struct drm_axl_wait args = {
		.num_entries = (uint32_t)count,
		.flags = all ? DRM_AXL_WAIT_ALL : 0,
		.deadline_ns = deadline_ns == ACCEL_FOREVER ? -1
			       : deadline_ns < 0            ? 0
							    : deadline_ns,
	};
	int err;

	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		entries[i] = (struct drm_axl_wait_entry){.queue = ((struct kernel_queue *)waits[i].queue)->queue,
							 .index = waits[i].index};
	args.entries = (uintptr_t)entries;
	err = kernel_call(((struct kernel_device *)device)->fd, DRM_IOCTL_AXL_WAIT, &args);
	for (size_t i = 0; i < count && (!err || err == -ETIME); i++)
		waits[i].result = entries[i].result == -ETIME ? -ETIMEDOUT : entries[i].result;
	if (entries != few)
		free(entries);
	return err == -ETIME ? -ETIMEDOUT : err ? err : (int)args.ended;
}

static bool kernel_queue_fault(void *queue, struct axl_fault_record *record)
{
	struct kernel_queue *q = queue;
	struct drm_axl_queue_query args = {.queue = q->queue, .record = (uintptr_t)record};

	return !kernel_call(q->device->fd, DRM_IOCTL_AXL_QUEUE_QUERY, &args) && args.valid;
}

const struct accel_backend accel_backend_kernel = {
	.prefix = "/dev/accel/",
	.list = kernel_list,
	.open = kernel_open,
	.open_again = kernel_open_again,
	.close = kernel_close,
	.target = kernel_target,
	.read_register = kernel_read_register,
	.fd = kernel_fd,
	.memory_create = kernel_memory_create,
	.memory_import = kernel_memory_import,
	.memory_import_fd = kernel_memory_import_fd,
	.memory_export_fd = kernel_memory_export_fd,
	.memory_destroy = kernel_memory_destroy,
	.space_create = kernel_space_create,
	.space_destroy = kernel_space_destroy,
	.bind = kernel_bind,
	.unbind = kernel_unbind,
	.update = kernel_update,
	.context_create = kernel_context_create,
	.context_destroy = kernel_context_destroy,
	.queue_create = kernel_queue_create,
	.queue_destroy = kernel_queue_destroy,
	.queue_reset = kernel_queue_reset,
	.queue_stop = kernel_queue_stop,
	.queue_start = kernel_queue_start,
	.wait_many = kernel_wait_many,
	.queue_fault = kernel_queue_fault,
};
