/* SPDX-License-Identifier: MIT */
/* Buffers: memory of the device or of the host that both sides see. */
#include <errno.h>
#include <stdlib.h>

#include "libaccel/internal.h"

#define MAX_BYTES (UINT64_C(1) << 40)

static unsigned int rights_of(unsigned int flags)
{
	return ACCEL_READ | (flags & ACCEL_BUFFER_WRITE ? ACCEL_WRITE : 0) |
	       (flags & ACCEL_BUFFER_EXEC ? ACCEL_EXEC : 0);
}

#define BINDING_FLAGS (ACCEL_BUFFER_WRITE | ACCEL_BUFFER_EXEC)

static bool good_flags(unsigned int flags, unsigned int known)
{
	return !(flags & ~(BINDING_FLAGS | ACCEL_BUFFER_UNBOUND | known)) &&
	       !(flags & ACCEL_BUFFER_UNBOUND && flags & BINDING_FLAGS);
}

/* Bind what has its memory, unless the flags say not to; on an error memory and buffer go. */
static int finish(struct accel_buffer *made, unsigned int flags, struct accel_buffer **buffer)
{
	int err = 0;

	made->flags = flags;
	if (!(flags & ACCEL_BUFFER_UNBOUND))
		err = accel_vm_bind(made->device->vm, made, 0, made->bytes, rights_of(flags), &made->address);
	if (err) {
		made->device->backend->memory_destroy(made->handle);
		free(made);
		return err;
	}
	*buffer = made;
	return 0;
}

int accel_buffer_create(struct accel_device *device, uint64_t size, unsigned int flags, struct accel_buffer **buffer)
{
	struct accel_buffer *b;
	int err;

	*buffer = NULL;
	if (!size || size > MAX_BYTES || !good_flags(flags, ACCEL_BUFFER_LOCAL))
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->device = device;
	b->size = size;
	b->bytes = (size + AXL_PAGE_BYTES - 1) & ~(uint64_t)(AXL_PAGE_BYTES - 1);
	err = device->backend->memory_create(device->handle, b->bytes, flags & ACCEL_BUFFER_LOCAL, &b->handle,
					     &b->data);
	if (err) {
		free(b);
		return err;
	}
	return finish(b, flags, buffer);
}

int accel_buffer_import_memory(struct accel_device *device, void *data, uint64_t size, unsigned int flags,
			       struct accel_buffer **buffer)
{
	struct accel_buffer *b;
	int err;

	*buffer = NULL;
	if (!data || !size || size > MAX_BYTES || ((uintptr_t)data | size) % AXL_PAGE_BYTES || !good_flags(flags, 0))
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->device = device;
	b->size = b->bytes = size;
	b->data = data;
	err = device->backend->memory_import(device->handle, data, size, &b->handle);
	if (err) {
		free(b);
		return err;
	}
	return finish(b, flags, buffer);
}

int accel_buffer_import_fd(struct accel_device *device, int fd, unsigned int flags, struct accel_buffer **buffer)
{
	struct accel_buffer *b;
	int err;

	*buffer = NULL;
	if (!good_flags(flags, 0))
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->device = device;
	err = device->backend->memory_import_fd(device->handle, fd, &b->size, &b->handle, &b->data);
	if (err) {
		free(b);
		return err;
	}
	b->bytes = b->size;
	return finish(b, flags, buffer);
}

int accel_buffer_export_fd(const struct accel_buffer *buffer, int *fd)
{
	*fd = -1;
	return buffer->device->backend->memory_export_fd(buffer->handle, fd);
}

int accel_buffer_destroy(struct accel_buffer *buffer)
{
	const struct accel_backend *backend;
	int err;

	if (!buffer)
		return 0;
	backend = buffer->device->backend;
	if (buffer->address) {
		err = accel_vm_unbind(buffer->device->vm, buffer->address, buffer->bytes);
		/* -EIO: a device that does not answer; what it may still reach is the driver's until it is removed. */
		if (err && err != -ENOENT && err != -EIO)
			return err;
	}
	err = backend->memory_destroy(buffer->handle);
	if (err) {
		buffer->address = 0; /* it is bound elsewhere still; here it is not any more */
		return err;
	}
	free(buffer);
	return 0;
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

unsigned int accel_buffer_flags(const struct accel_buffer *buffer)
{
	return buffer->flags;
}
