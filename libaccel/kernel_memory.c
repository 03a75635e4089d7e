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

int kernel_memory_create(void *device, uint64_t size, bool local, void **memory, void **data)
{
	struct kernel_device *d = device;
	struct drm_axl_bo_create create = {.size = size, .flags = local ? DRM_AXL_BO_LOCAL : 0};
	struct kernel_memory *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	m->device = d;
	pthread_mutex_lock(&d->lock);
	err = kernel_call(d->fd, DRM_IOCTL_AXL_BO_CREATE, &create);
	m->handle = create.handle;
	if (!err)
		list_locked(m);
	pthread_mutex_unlock(&d->lock);
	if (err)
		goto err_free;
	err = map(m);
	if (err)
		goto err_handle;
	*memory = m;
	*data = m->data;
	return 0;

err_handle:
	drop_handle(m);
err_free:
	free(m);
	return err;
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

int kernel_memory_import_fd(void *device, int fd, uint64_t *size, void **memory, void **data)
{
	struct kernel_device *d = device;
	struct kernel_memory *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	m->device = d;
	pthread_mutex_lock(&d->lock);
	err = drmPrimeFDToHandle(d->fd, fd, &m->handle) ? -errno : 0;
	if (!err)
		list_locked(m);
	pthread_mutex_unlock(&d->lock);
	if (err)
		goto err_free;
	err = map(m);
	/* Its exporter decides whether processors may look at it. The device may, in any case. */
	if (err && !m->size)
		goto err_handle;
	*memory = m;
	*data = m->data;
	*size = m->size;
	return 0;

err_handle:
	drop_handle(m);
err_free:
	free(m);
	return err;
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

	if (err)
		return err;
	for (size_t i = 0; i < s->count; i++)
		atomic_fetch_sub(&s->bindings[i].memory->bound, 1);
	pthread_mutex_destroy(&s->lock);
	free(s->bindings);
	free(s);
	return 0;
}

static int change(struct kernel_space *space, struct drm_axl_bind_op *op)
{
	struct drm_axl_vm_bind args = {.vm = space->vm, .num_ops = 1, .stride = sizeof(*op), .ops = (uintptr_t)op};

	return kernel_call(space->device->fd, DRM_IOCTL_AXL_VM_BIND, &args);
}

_Static_assert(ACCEL_READ == DRM_AXL_BIND_READ && ACCEL_WRITE == DRM_AXL_BIND_WRITE && ACCEL_EXEC == DRM_AXL_BIND_EXEC,
	       "rights are alike");

/* Room for one more binding; the space's lock is held. */
static int make_room(struct kernel_space *space)
{
	size_t capacity = space->capacity * 2 + 16;
	struct kernel_binding *grown;

	if (space->count < space->capacity)
		return 0;
	grown = realloc(space->bindings, capacity * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	space->bindings = grown;
	space->capacity = capacity;
	return 0;
}

int kernel_bind(void *space, uint64_t va, void *memory, uint64_t offset, uint64_t size, unsigned int rights)
{
	struct kernel_space *s = space;
	struct kernel_memory *m = memory;
	struct drm_axl_bind_op op = {
		.op = m->handle ? DRM_AXL_BIND_MAP : DRM_AXL_BIND_MAP_USER,
		.flags = rights,
		.handle = m->handle,
		.va = va,
		.offset = m->handle ? offset : (uintptr_t)m->data + offset,
		.size = size,
	};
	int err;

	pthread_mutex_lock(&s->lock);
	err = make_room(s);
	if (!err)
		err = change(s, &op);
	if (!err) {
		s->bindings[s->count++] = (struct kernel_binding){va, size, m};
		atomic_fetch_add(&m->bound, 1);
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

int kernel_unbind(void *space, uint64_t va, uint64_t size)
{
	struct kernel_space *s = space;
	struct drm_axl_bind_op op = {.op = DRM_AXL_BIND_UNMAP, .va = va, .size = size};
	size_t at = 0;
	int err = -ENOENT;

	pthread_mutex_lock(&s->lock);
	while (at < s->count && (s->bindings[at].va != va || s->bindings[at].size != size))
		at++;
	if (at < s->count)
		err = change(s, &op);
	if (!err) {
		atomic_fetch_sub(&s->bindings[at].memory->bound, 1);
		s->bindings[at] = s->bindings[--s->count];
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}
