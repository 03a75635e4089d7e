/* SPDX-License-Identifier: MIT */
/*
 * The kernel backend's memory: GEM buffers, dma-bufs, pinned memory of the caller, and what of them is bound in which
 * address space.
 *
 * GEM handles are not counted: a dma-buf that this file has a handle of already comes in under the same handle, and
 * one GEM_CLOSE takes it from all. So a handle is closed when the last memory object that has it goes, under one lock
 * with the imports.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xf86drm.h>

#include "libaccel/kernel.h"

/*
 * @handle: GEM, 0: the caller's memory at @data
 * @data:   a map of it, NULL: it has none
 * @bound:  bindings, of all address spaces
 * @next:   of the device's list
 */
struct kernel_memory {
	struct kernel_device *device;
	uint32_t handle;
	void *data;
	uint64_t size;
	atomic_uint bound;
	struct kernel_memory *next;
};

struct kernel_binding {
	uint64_t va, size;
	struct kernel_memory *memory;
};

/* ---- memory ---- */

static bool has_handle(const struct kernel_device *device, uint32_t handle)
{
	for (const struct kernel_memory *m = device->memories; m; m = m->next)
		if (m->handle == handle)
			return true;
	return false;
}

/* The device's lock is held. */
static void close_handle_locked(struct kernel_device *device, uint32_t handle)
{
	struct drm_gem_close args = {.handle = handle};

	if (!has_handle(device, handle))
		kernel_call(device->fd, DRM_IOCTL_GEM_CLOSE, &args);
}

static void list_locked(struct kernel_memory *memory)
{
	memory->next = memory->device->memories;
	memory->device->memories = memory;
}

static void unlist_locked(struct kernel_memory *memory)
{
	struct kernel_memory **link = &memory->device->memories;

	while (*link != memory)
		link = &(*link)->next;
	*link = memory->next;
}

static void drop_handle(struct kernel_memory *memory)
{
	pthread_mutex_lock(&memory->device->lock);
	unlist_locked(memory);
	close_handle_locked(memory->device, memory->handle);
	pthread_mutex_unlock(&memory->device->lock);
}

/* Size and map of the buffer behind the handle. */
static int map(struct kernel_memory *memory)
{
	struct drm_axl_bo_info info = {.handle = memory->handle};
	int err = kernel_call(memory->device->fd, DRM_IOCTL_AXL_BO_INFO, &info);

	if (err)
		return err;
	memory->size = info.size;
	memory->data =
		mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->device->fd, (off_t)info.mmap_offset);
	if (memory->data != MAP_FAILED)
		return 0;
	memory->data = NULL;
	return -errno;
}

/* What makes a handle: 0 or a negative errno. */
typedef int make_handle(struct kernel_device *device, const void *from, uint32_t *handle);

/* A memory object with the handle; *err: why it has no map, or, NULL, why there is none. */
static struct kernel_memory *memory_of(struct kernel_device *device, make_handle *make, const void *from, int *err)
{
	struct kernel_memory *m = calloc(1, sizeof(*m));

	*err = -ENOMEM;
	if (!m)
		return NULL;
	m->device = device;
	pthread_mutex_lock(&device->lock);
	*err = make(device, from, &m->handle);
	if (!*err)
		list_locked(m);
	pthread_mutex_unlock(&device->lock);
	if (*err) {
		free(m);
		return NULL;
	}
	*err = map(m);
	return m;
}

static int create_handle(struct kernel_device *device, const void *from, uint32_t *handle)
{
	struct drm_axl_bo_create create = *(const struct drm_axl_bo_create *)from;
	int err = kernel_call(device->fd, DRM_IOCTL_AXL_BO_CREATE, &create);

	*handle = create.handle;
	return err;
}

int kernel_memory_create(void *device, uint64_t size, bool local, void **memory, void **data)
{
	const struct drm_axl_bo_create create = {.size = size, .flags = local ? DRM_AXL_BO_LOCAL : 0};
	struct kernel_memory *m;
	int err;

	m = memory_of(device, create_handle, &create, &err);
	if (m && err) {
		drop_handle(m);
		free(m);
	}
	if (err)
		return err;
	*memory = m;
	*data = m->data;
	return 0;
}

int kernel_memory_import(void *device, void *data, uint64_t size, void **memory)
{
	struct kernel_memory *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->device = device;
	m->data = data;
	m->size = size;
	*memory = m;
	return 0;
}

static int import_handle(struct kernel_device *device, const void *from, uint32_t *handle)
{
	return drmPrimeFDToHandle(device->fd, *(const int *)from, handle) ? -errno : 0;
}

int kernel_memory_import_fd(void *device, int fd, uint64_t *size, void **memory, void **data)
{
	struct kernel_memory *m;
	int err;

	m = memory_of(device, import_handle, &fd, &err);
	if (!m)
		return err;
	/* Its exporter decides whether processors may look at it. The device may, in any case. */
	if (err && !m->size) {
		drop_handle(m);
		free(m);
		return err;
	}
	*memory = m;
	*data = m->data;
	*size = m->size;
	return 0;
}

int kernel_memory_export_fd(void *memory, int *fd)
{
	const struct kernel_memory *m = memory;

	if (!m->handle)
		return -ENOTSUP;
	return drmPrimeHandleToFD(m->device->fd, m->handle, DRM_CLOEXEC | DRM_RDWR, fd) ? -errno : 0;
}

int kernel_memory_destroy(void *memory)
{
	struct kernel_memory *m = memory;

	if (atomic_load(&m->bound))
		return -EBUSY;
	if (m->handle) {
		if (m->data)
			munmap(m->data, m->size);
		drop_handle(m);
	}
	free(m);
	return 0;
}

/* ---- address spaces ---- */

int kernel_space_create(void *device, void **space)
{
	struct kernel_space *s = calloc(1, sizeof(*s));
	struct drm_axl_vm_create args = {0};
	int err;

	if (!s)
		return -ENOMEM;
	s->device = device;
	err = kernel_call(s->device->fd, DRM_IOCTL_AXL_VM_CREATE, &args);
	if (err) {
		free(s);
		return err;
	}
	s->vm = args.vm;
	pthread_mutex_init(&s->lock, NULL);
	*space = s;
	return 0;
}

int kernel_space_destroy(void *space)
{
	struct kernel_space *s = space;
	struct drm_axl_vm_destroy args = {.vm = s->vm};
	int err = kernel_call(s->device->fd, DRM_IOCTL_AXL_VM_DESTROY, &args);

	/* With a device that is gone everything went that its files had there; of a wedged one it goes with the file. */
	if (err && err != -ENODEV && err != -EIO)
		return err;
	for (size_t i = 0; i < s->count; i++)
		atomic_fetch_sub(&s->bindings[i].memory->bound, 1);
	pthread_mutex_destroy(&s->lock);
	free(s->bindings);
	free(s);
	return 0;
}

_Static_assert(ACCEL_READ == DRM_AXL_BIND_READ && ACCEL_WRITE == DRM_AXL_BIND_WRITE && ACCEL_EXEC == DRM_AXL_BIND_EXEC,
	       "rights are alike");

/* Room for @more bindings; the space's lock is held. */
static int make_room(struct kernel_space *space, size_t more)
{
	size_t capacity = (space->count + more) * 2;
	struct kernel_binding *grown;

	if (space->count + more <= space->capacity)
		return 0;
	grown = realloc(space->bindings, capacity * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	space->bindings = grown;
	space->capacity = capacity;
	return 0;
}

static struct drm_axl_bind_op op_of(const struct accel_backend_op *op)
{
	const struct kernel_memory *m = op->memory;

	if (!m)
		return (struct drm_axl_bind_op){.op = DRM_AXL_BIND_UNMAP, .va = op->va, .size = op->size};
	return (struct drm_axl_bind_op){
		.op = m->handle ? DRM_AXL_BIND_MAP : DRM_AXL_BIND_MAP_USER,
		.flags = op->rights,
		.handle = m->handle,
		.va = op->va,
		.offset = m->handle ? op->offset : (uintptr_t)m->data + op->offset,
		.size = op->size,
	};
}

/* The driver has taken it; the space's lock is held, and there is room. */
static void keep_account(struct kernel_space *space, const struct accel_backend_op *op)
{
	struct kernel_memory *m = op->memory;
	size_t at = 0;

	if (m) {
		space->bindings[space->count++] = (struct kernel_binding){op->va, op->size, m};
		atomic_fetch_add(&m->bound, 1);
		return;
	}
	/* It is there: the driver unmaps what was mapped by us, and nothing else. */
	while (space->bindings[at].va != op->va || space->bindings[at].size != op->size)
		at++;
	atomic_fetch_sub(&space->bindings[at].memory->bound, 1);
	space->bindings[at] = space->bindings[--space->count];
}

static void put_syncs(struct drm_axl_sync *to, const struct accel_sync *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		to[i] = (struct drm_axl_sync){.handle = from[i].syncobj,
					      .flags = from[i].point ? DRM_AXL_SYNC_TIMELINE : 0,
					      .point = from[i].point};
}

int kernel_update(void *space, const struct accel_backend_op *ops, size_t count, const struct accel_sync *in,
		  size_t num_in, const struct accel_sync *out, size_t num_out)
{
	struct kernel_space *s = space;
	struct drm_axl_sync ins[ACCEL_SYNCS_MAX], outs[ACCEL_SYNCS_MAX];
	struct drm_axl_bind_op few[8], *list = count <= 8 ? few : malloc(count * sizeof(*list));
	struct drm_axl_vm_bind args = {
		.vm = s->vm,
		.num_ops = (uint32_t)count,
		.stride = sizeof(*list),
		.ops = (uintptr_t)list,
		.num_in = (uint32_t)num_in,
		.num_out = (uint32_t)num_out,
		.in = (uintptr_t)ins,
		.out = (uintptr_t)outs,
	};
	int err;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		list[i] = op_of(&ops[i]);
	put_syncs(ins, in, num_in);
	put_syncs(outs, out, num_out);
	pthread_mutex_lock(&s->lock);
	err = make_room(s, count);
	if (!err)
		err = kernel_call(s->device->fd, DRM_IOCTL_AXL_VM_BIND, &args);
	for (size_t i = 0; i < count && !err; i++)
		keep_account(s, &ops[i]);
	pthread_mutex_unlock(&s->lock);
	if (list != few)
		free(list);
	return err;
}

int kernel_bind(void *space, uint64_t va, void *memory, uint64_t offset, uint64_t size, unsigned int rights)
{
	const struct accel_backend_op op = {memory, va, offset, size, rights};

	return kernel_update(space, &op, 1, NULL, 0, NULL, 0);
}

/* The driver has no such binding any more: the account is all that is left. -ENOENT: there was none. */
static int forget(struct kernel_space *space, const struct accel_backend_op *op)
{
	int err = -ENOENT;

	pthread_mutex_lock(&space->lock);
	for (size_t i = 0; i < space->count && err; i++)
		if (space->bindings[i].va == op->va && space->bindings[i].size == op->size) {
			keep_account(space, op);
			err = 0;
		}
	pthread_mutex_unlock(&space->lock);
	return err;
}

int kernel_unbind(void *space, uint64_t va, uint64_t size)
{
	const struct accel_backend_op op = {.va = va, .size = size};
	int err = kernel_update(space, &op, 1, NULL, 0, NULL, 0);

	/* A device that is gone has none. One that does not answer may know it still: the driver has taken it away, and keeps the pages. */
	if (err == -ENODEV)
		return forget(space, &op);
	if (err == -EIO)
		forget(space, &op);
	return err;
}
