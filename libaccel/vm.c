/* SPDX-License-Identifier: MIT */
/* Address spaces and what is bound in them. */
#include <errno.h>
#include <stdlib.h>

#include "libaccel/internal.h"

int accel_vm_create(struct accel_device *device, struct accel_vm **vm)
{
	struct accel_vm *v = calloc(1, sizeof(*v));
	int err;

	*vm = NULL;
	if (!v)
		return -ENOMEM;
	err = device->backend->space_create(device->handle, &v->handle);
	if (err) {
		free(v);
		return err;
	}
	v->device = device;
	v->next = ACCEL_VM_CHOSEN;
	pthread_mutex_init(&v->lock, NULL);
	*vm = v;
	return 0;
}

int accel_vm_destroy(struct accel_vm *vm)
{
	int err;

	if (!vm)
		return 0;
	err = vm->device->backend->space_destroy(vm->handle);
	if (err)
		return err;
	pthread_mutex_destroy(&vm->lock);
	free(vm);
	return 0;
}

/*
 * Large buffers start where large pages do; a page that stays unbound follows each, so that running over an end faults.
 * 0: the address space is used up.
 */
static uint64_t choose_address(struct accel_vm *vm, uint64_t size)
{
	uint64_t align = size >= AXL_LARGE_PAGE_BYTES ? AXL_LARGE_PAGE_BYTES : AXL_PAGE_BYTES, address;

	pthread_mutex_lock(&vm->lock);
	address = (vm->next + align - 1) & ~(align - 1);
	if (address < (1ull << AXL_VA_BITS) - size - AXL_PAGE_BYTES)
		vm->next = address + size + AXL_PAGE_BYTES;
	else
		address = 0;
	pthread_mutex_unlock(&vm->lock);
	return address;
}

/* Whether it may be bound, and where: *address is chosen if it is 0. */
static int place(struct accel_vm *vm, const struct accel_buffer *buffer, uint64_t offset, uint64_t size,
		 uint64_t *address)
{
	/* Sizes of buffers are far below 2^48: no sum after this check overflows. */
	if (buffer->device != vm->device || !size || offset > buffer->bytes || size > buffer->bytes - offset)
		return -EINVAL;
	if (*address > ACCEL_VM_CHOSEN - size)
		return -EINVAL;
	if (!*address)
		*address = choose_address(vm, size);
	return *address ? 0 : -ENOMEM;
}

int accel_vm_bind(struct accel_vm *vm, struct accel_buffer *buffer, uint64_t offset, uint64_t size, unsigned int rights,
		  uint64_t *address)
{
	uint64_t at = *address;
	int err = place(vm, buffer, offset, size, &at);

	if (!err)
		err = vm->device->backend->bind(vm->handle, at, buffer->handle, offset, size, rights);
	if (!err)
		*address = at;
	return err;
}

int accel_vm_unbind(struct accel_vm *vm, uint64_t address, uint64_t size)
{
	return vm->device->backend->unbind(vm->handle, address, size);
}

static int prepare(struct accel_vm *vm, const struct accel_vm_op *op, struct accel_backend_op *to)
{
	*to = (struct accel_backend_op){.va = op->address, .size = op->size};
	if (!op->buffer)
		return op->offset || op->rights ? -EINVAL : 0;
	to->memory = op->buffer->handle;
	to->offset = op->offset;
	to->rights = op->rights;
	return place(vm, op->buffer, op->offset, op->size, &to->va);
}

int accel_vm_update(struct accel_vm *vm, struct accel_vm_op *ops, size_t count, const struct accel_sync *in,
		    size_t num_in, const struct accel_sync *out, size_t num_out)
{
	const struct accel_backend *backend = vm->device->backend;
	struct accel_backend_op *list;
	int err = 0;

	if (!backend->update)
		return -ENOTSUP;
	if (!count || count > ACCEL_VM_OPS_MAX || num_in > ACCEL_SYNCS_MAX || num_out > ACCEL_SYNCS_MAX)
		return -EINVAL;
	list = malloc(count * sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < count && !err; i++)
		err = prepare(vm, &ops[i], &list[i]);
	if (!err)
		err = backend->update(vm->handle, list, count, in, num_in, out, num_out);
	for (size_t i = 0; i < count && !err; i++)
		ops[i].address = list[i].va;
	free(list);
	return err;
}
