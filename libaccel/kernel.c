/* SPDX-License-Identifier: MIT */
/* Backend "/dev/accel/": devices behind axl.ko, by the ioctls of <drm/axl_accel.h>. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm/axl_accel.h>
#include <xf86drm.h>

#include "libaccel/backend.h"

struct kernel_device {
	int fd;
	struct drm_axl_dev_info info;
};

struct kernel_memory {
	struct kernel_device *device;
	uint32_t handle;
	void *data;
	uint64_t size;
};

struct kernel_space {
	struct kernel_device *device;
	uint32_t vm;
};

struct kernel_context {
	struct kernel_device *device;
	uint32_t ctx;
	const struct axl_status_page *status;
	uint64_t *doorbells;
};

struct kernel_queue {
	struct kernel_device *device;
	uint32_t queue;
};

/* 0 or a negative errno; interrupted calls are begun again. */
static int call(int fd, unsigned long request, void *args)
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

static size_t kernel_list(struct accel_device_entry *entries, size_t max)
{
	struct dirent *file;
	DIR *folder = opendir("/dev/accel");
	size_t count = 0;

	while (folder && (file = readdir(folder))) {
		char path[sizeof(entries->name)];
		int fd;

		if (file->d_name[0] == '.' || strlen(file->d_name) > 16)
			continue;
		snprintf(path, sizeof(path), "/dev/accel/%.16s", file->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (is_axl(fd)) {
			if (count < max) {
				snprintf(entries[count].name, sizeof(entries[count].name), "%s", path);
				snprintf(entries[count].text, sizeof(entries[count].text),
					 "AXL behind the kernel driver");
			}
			count++;
		}
		close(fd);
	}
	if (folder)
		closedir(folder);
	return count;
}

static int kernel_open(const char *name, void **device, char *error, size_t error_size)
{
	struct kernel_device *d = calloc(1, sizeof(*d));
	struct drm_axl_dev_query query = {.type = DRM_AXL_QUERY_INFO, .size = sizeof(d->info)};
	int err;

	if (!d) {
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	d->fd = open(name, O_RDWR | O_CLOEXEC);
	if (d->fd < 0) {
		err = -errno;
		snprintf(error, error_size, "device '%s': %s", name, strerror(errno));
		goto err_free;
	}
	if (!is_axl(d->fd)) {
		err = -ENOTSUP;
		snprintf(error, error_size, "device '%s': not an AXL", name);
		goto err_close;
	}
	query.data = (uintptr_t)&d->info;
	err = call(d->fd, DRM_IOCTL_AXL_DEV_QUERY, &query);
	if (err) {
		snprintf(error, error_size, "device '%s': DEV_QUERY: %s", name, strerror(-err));
		goto err_close;
	}
	*device = d;
	return 0;

err_close:
	close(d->fd);
err_free:
	free(d);
	return err;
}

static void kernel_close(void *device)
{
	struct kernel_device *d = device;

	close(d->fd);
	free(d);
}

static const char *kernel_target(void *device)
{
	const struct kernel_device *d = device;

	return d->info.tiles == 1 ? "axl-edge" : "axl-pro";
}

static uint64_t kernel_read_register(void *device, enum axl_reg reg)
{
	struct kernel_device *d = device;
	struct drm_axl_counters counters = {0};
	struct drm_axl_dev_query query = {
		.type = DRM_AXL_QUERY_COUNTERS, .size = sizeof(counters), .data = (uintptr_t)&counters};

	switch (reg) {
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
	default:
		break;
	}
	call(d->fd, DRM_IOCTL_AXL_DEV_QUERY, &query);
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

/* ---- memory ---- */

static void close_handle(struct kernel_device *device, uint32_t handle)
{
	struct drm_gem_close args = {.handle = handle};

	call(device->fd, DRM_IOCTL_GEM_CLOSE, &args);
}

static int kernel_memory_create(void *device, uint64_t size, bool local, void **memory, void **data)
{
	struct kernel_device *d = device;
	struct drm_axl_bo_create create = {.size = size, .flags = local ? DRM_AXL_BO_LOCAL : 0};
	struct drm_axl_bo_info info = {0};
	struct kernel_memory *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	err = call(d->fd, DRM_IOCTL_AXL_BO_CREATE, &create);
	if (err)
		goto err_free;
	info.handle = create.handle;
	err = call(d->fd, DRM_IOCTL_AXL_BO_INFO, &info);
	if (err)
		goto err_handle;
	m->data = mmap(NULL, create.size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, (off_t)info.mmap_offset);
	if (m->data == MAP_FAILED) {
		err = -errno;
		goto err_handle;
	}
	m->device = d;
	m->handle = create.handle;
	m->size = create.size;
	*memory = m;
	*data = m->data;
	return 0;

err_handle:
	close_handle(d, create.handle);
err_free:
	free(m);
	return err;
}

static int kernel_memory_destroy(void *memory)
{
	struct kernel_memory *m = memory;

	munmap(m->data, m->size);
	close_handle(m->device, m->handle);
	free(m);
	return 0;
}

/* ---- address spaces ---- */

static int kernel_space_create(void *device, void **space)
{
	struct kernel_space *s = calloc(1, sizeof(*s));
	struct drm_axl_vm_create args = {0};
	int err;

	if (!s)
		return -ENOMEM;
	s->device = device;
	err = call(s->device->fd, DRM_IOCTL_AXL_VM_CREATE, &args);
	if (err) {
		free(s);
		return err;
	}
	s->vm = args.vm;
	*space = s;
	return 0;
}

static int kernel_space_destroy(void *space)
{
	struct kernel_space *s = space;
	struct drm_axl_vm_destroy args = {.vm = s->vm};
	int err = call(s->device->fd, DRM_IOCTL_AXL_VM_DESTROY, &args);

	if (!err)
		free(s);
	return err;
}

static int bind_one(struct kernel_space *space, struct drm_axl_bind_op *op)
{
	struct drm_axl_vm_bind args = {.vm = space->vm, .num_ops = 1, .stride = sizeof(*op), .ops = (uintptr_t)op};

	return call(space->device->fd, DRM_IOCTL_AXL_VM_BIND, &args);
}

_Static_assert(ACCEL_READ == DRM_AXL_BIND_READ && ACCEL_WRITE == DRM_AXL_BIND_WRITE && ACCEL_EXEC == DRM_AXL_BIND_EXEC,
	       "rights are alike");

static int kernel_bind(void *space, uint64_t va, void *memory, uint64_t offset, uint64_t size, unsigned int rights)
{
	struct drm_axl_bind_op op = {
		.op = DRM_AXL_BIND_MAP,
		.flags = rights,
		.handle = ((struct kernel_memory *)memory)->handle,
		.va = va,
		.offset = offset,
		.size = size,
	};

	return bind_one(space, &op);
}

static int kernel_unbind(void *space, uint64_t va, uint64_t size)
{
	struct drm_axl_bind_op op = {.op = DRM_AXL_BIND_UNMAP, .va = va, .size = size};

	return bind_one(space, &op);
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
	err = call(c->device->fd, DRM_IOCTL_AXL_CTX_CREATE, &args);
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
	call(c->device->fd, DRM_IOCTL_AXL_CTX_DESTROY, &destroy);
err_free:
	free(c);
	return err;
}

static int kernel_context_destroy(void *context)
{
	struct kernel_context *c = context;
	struct drm_axl_ctx_destroy args = {.ctx = c->ctx};

	munmap((void *)(uintptr_t)c->status, AXL_PAGE_BYTES);
	munmap(c->doorbells, AXL_PAGE_BYTES);
	call(c->device->fd, DRM_IOCTL_AXL_CTX_DESTROY, &args);
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
	err = call(c->device->fd, DRM_IOCTL_AXL_QUEUE_CREATE, &create);
	if (err) {
		free(q);
		return err;
	}
	q->device = c->device;
	q->queue = create.queue;
	*queue = q;
	*doorbell = &c->doorbells[create.slot];
	args->slot = create.slot;
	return 0;
}

static void kernel_queue_destroy(void *queue)
{
	struct kernel_queue *q = queue;
	struct drm_axl_queue_op args = {.queue = q->queue};

	call(q->device->fd, DRM_IOCTL_AXL_QUEUE_DESTROY, &args);
	free(q);
}

static int kernel_queue_reset(void *queue)
{
	struct kernel_queue *q = queue;
	struct drm_axl_queue_op args = {.queue = q->queue};

	return call(q->device->fd, DRM_IOCTL_AXL_QUEUE_RESET, &args);
}

/* The driver has no call to suspend a queue. */
static int kernel_queue_stop(void *queue)
{
	(void)queue;
	return -ENOTSUP;
}

static int kernel_wait_many(void *device, struct accel_backend_wait *waits, size_t count, bool all, int64_t deadline_ns)
{
	struct drm_axl_wait_entry few[8], *entries = count <= 8 ? few : calloc(count, sizeof(*entries));
	struct drm_axl_wait args = {
		.num_entries = (uint32_t)count,
		.flags = all ? DRM_AXL_WAIT_ALL : 0,
		.deadline_ns = deadline_ns == ACCEL_FOREVER ? -1 : deadline_ns,
	};
	int err;

	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		entries[i] = (struct drm_axl_wait_entry){.queue = ((struct kernel_queue *)waits[i].queue)->queue,
							 .index = waits[i].index};
	args.entries = (uintptr_t)entries;
	err = call(((struct kernel_device *)device)->fd, DRM_IOCTL_AXL_WAIT, &args);
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

	return !call(q->device->fd, DRM_IOCTL_AXL_QUEUE_QUERY, &args) && args.valid;
}

const struct accel_backend accel_backend_kernel = {
	.prefix = "/dev/accel/",
	.list = kernel_list,
	.open = kernel_open,
	.close = kernel_close,
	.target = kernel_target,
	.read_register = kernel_read_register,
	.memory_create = kernel_memory_create,
	.memory_destroy = kernel_memory_destroy,
	.space_create = kernel_space_create,
	.space_destroy = kernel_space_destroy,
	.bind = kernel_bind,
	.unbind = kernel_unbind,
	.context_create = kernel_context_create,
	.context_destroy = kernel_context_destroy,
	.queue_create = kernel_queue_create,
	.queue_destroy = kernel_queue_destroy,
	.queue_reset = kernel_queue_reset,
	.queue_stop = kernel_queue_stop,
	.queue_start = kernel_queue_stop,
	.wait_many = kernel_wait_many,
	.queue_fault = kernel_queue_fault,
};
