/* SPDX-License-Identifier: MIT */
/* Buffers: memory of the device or of the host that both sides see. */
#include <errno.h>
#include <stdlib.h>

#include "libaccel/internal.h"

static unsigned int rights_of(unsigned int flags)
{
	return ACCEL_READ | (flags & ACCEL_BUFFER_WRITE ? ACCEL_WRITE : 0) |
	       (flags & ACCEL_BUFFER_EXEC ? ACCEL_EXEC : 0);
}

int accel_buffer_create(struct accel_device *device, uint64_t size, unsigned int flags, struct accel_buffer **buffer)
{
	struct accel_buffer *b;
	int err;

	*buffer = NULL;
	if (!size || size > 1ull << 40 ||
	    flags & ~(ACCEL_BUFFER_LOCAL | ACCEL_BUFFER_WRITE | ACCEL_BUFFER_EXEC | ACCEL_BUFFER_UNBOUND) ||
	    (flags & ACCEL_BUFFER_UNBOUND && flags & (ACCEL_BUFFER_WRITE | ACCEL_BUFFER_EXEC)))
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->device = device;
	b->size = size;
	b->bytes = (size + AXL_PAGE_BYTES - 1) & ~(uint64_t)(AXL_PAGE_BYTES - 1);
	err = device->backend->memory_create(device->handle, b->bytes, flags & ACCEL_BUFFER_LOCAL, &b->handle,
					     &b->data);
	if (err)
		goto err_free;
	err = flags & ACCEL_BUFFER_UNBOUND ? 0
					   : accel_vm_bind(device->vm, b, 0, b->bytes, rights_of(flags), &b->address);
	if (err)
		goto err_memory;
	*buffer = b;
	return 0;

err_memory:
	device->backend->memory_destroy(b->handle);
err_free:
	free(b);
	return err;
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
		if (err && err != -ENOENT)
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
