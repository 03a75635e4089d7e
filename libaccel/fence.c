/* SPDX-License-Identifier: MIT */
/* Fences: 64-bit words in memory that packets and CPUs wait for and signal. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "libaccel/internal.h"

#define POLL_NS 50000
#define SPINS 2000 /* looks before the first sleep */

struct accel_fence {
	struct accel_vm *vm;
	struct accel_buffer *buffer;
	uint64_t *word;
	uint64_t address;
};

int accel_fence_create(struct accel_vm *vm, struct accel_fence **fence)
{
	struct accel_fence *f = calloc(1, sizeof(*f));
	int err;

	*fence = NULL;
	if (!f)
		return -ENOMEM;
	f->vm = vm;
	err = accel_buffer_create(vm->device, AXL_PAGE_BYTES, ACCEL_BUFFER_UNBOUND, &f->buffer);
	if (err)
		goto err_free;
	err = accel_vm_bind(vm, f->buffer, 0, AXL_PAGE_BYTES, ACCEL_READ | ACCEL_WRITE, &f->address);
	if (err)
		goto err_buffer;
	f->word = accel_buffer_data(f->buffer);
	*fence = f;
	return 0;

err_buffer:
	accel_buffer_destroy(f->buffer);
err_free:
	free(f);
	return err;
}

void accel_fence_destroy(struct accel_fence *fence)
{
	if (!fence)
		return;
	accel_vm_unbind(fence->vm, fence->address, AXL_PAGE_BYTES);
	accel_buffer_destroy(fence->buffer);
	free(fence);
}

uint64_t accel_fence_address(const struct accel_fence *fence)
{
	return fence->address;
}

uint64_t accel_fence_value(const struct accel_fence *fence)
{
	/* Pairs with the release of SIGNAL packets and of accel_fence_signal(). */
	return __atomic_load_n(fence->word, __ATOMIC_ACQUIRE);
}

void accel_fence_signal(struct accel_fence *fence, uint64_t value)
{
	/* Pairs with the acquire of WAIT packets. */
	__atomic_store_n(fence->word, value, __ATOMIC_RELEASE);
}

int accel_fence_wait(const struct accel_fence *fence, uint64_t value, int64_t deadline_ns)
{
	const struct timespec nap = {.tv_nsec = POLL_NS};

	for (int i = 0; i < SPINS; i++)
		if (accel_fence_value(fence) >= value)
			return 0;
	while (accel_fence_value(fence) < value) {
		if (deadline_ns != ACCEL_FOREVER && accel_now() >= deadline_ns)
			return -ETIMEDOUT;
		nanosleep(&nap, NULL);
	}
	return 0;
}
