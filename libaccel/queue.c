/* SPDX-License-Identifier: MIT */
/* Contexts and the life of queues; the submission path is inline in <accel/queue.h>. */
#include <errno.h>
#include <stdlib.h>

#include "libaccel/internal.h"

/* @base first: programs hold a pointer to it. */
struct queue {
	struct accel_queue base;
	struct accel_context *context;
	void *handle;
	struct accel_buffer *memory; /* ring, then the index page */
	uint64_t address;
	unsigned int slot;
};

static struct queue *queue_of(struct accel_queue *queue)
{
	return (struct queue *)(void *)queue;
}

static const struct accel_backend *backend_of(const struct queue *queue)
{
	return queue->context->vm->device->backend;
}

int accel_context_create(struct accel_vm *vm, struct accel_context **context)
{
	struct accel_context *c = calloc(1, sizeof(*c));
	int err;

	*context = NULL;
	if (!c)
		return -ENOMEM;
	err = vm->device->backend->context_create(vm->handle, &c->handle, &c->status);
	if (err) {
		free(c);
		return err;
	}
	c->vm = vm;
	pthread_mutex_init(&c->lock, NULL);
	*context = c;
	return 0;
}

int accel_context_destroy(struct accel_context *context)
{
	int err;

	if (!context)
		return 0;
	err = context->vm->device->backend->context_destroy(context->handle);
	if (err)
		return err;
	pthread_mutex_destroy(&context->lock);
	free(context);
	return 0;
}

static void wake(struct accel_queue *queue)
{
	struct queue *q = queue_of(queue);

	backend_of(q)->wake(q->context->handle, q->slot);
}

/* A free slot of the context, taken; -ENOSPC. */
static int take_slot(struct accel_context *context, unsigned int *slot)
{
	int err = 0;

	pthread_mutex_lock(&context->lock);
	if (context->slots == UINT32_MAX) {
		err = -ENOSPC;
	} else {
		*slot = (unsigned int)__builtin_ctz(~context->slots);
		context->slots |= 1u << *slot;
	}
	pthread_mutex_unlock(&context->lock);
	return err;
}

static void give_slot(struct accel_context *context, unsigned int slot)
{
	pthread_mutex_lock(&context->lock);
	context->slots &= ~(1u << slot);
	pthread_mutex_unlock(&context->lock);
}

/* Ring and index page, in host memory: a store of the producer must not cross the bus. */
static int make_memory(struct queue *q, uint32_t slots)
{
	struct accel_vm *vm = q->context->vm;
	uint64_t ring = ((uint64_t)slots * AXL_PACKET_BYTES + AXL_PAGE_BYTES - 1) & ~(uint64_t)(AXL_PAGE_BYTES - 1);
	uint64_t size = ring + AXL_PAGE_BYTES;
	uint8_t *data;
	int err = accel_buffer_create(vm->device, size, ACCEL_BUFFER_UNBOUND, &q->memory);

	if (err)
		return err;
	err = accel_vm_bind(vm, q->memory, 0, size, ACCEL_READ | ACCEL_WRITE, &q->address);
	if (err) {
		accel_buffer_destroy(q->memory);
		return err;
	}
	data = accel_buffer_data(q->memory);
	q->base.ring = (union axl_packet *)(void *)data;
	q->base.index = (struct axl_queue_index *)(void *)(data + ring);
	q->base.mask = slots - 1;
	return 0;
}

static void free_memory(struct queue *q)
{
	accel_vm_unbind(q->context->vm, q->address, q->memory->bytes);
	accel_buffer_destroy(q->memory);
}

int accel_queue_create(struct accel_context *context, const struct accel_queue_options *options,
		       struct accel_queue **queue)
{
	static const struct accel_queue_options plain = {.priority = 1};
	struct accel_backend_queue_args args;
	struct queue *q;
	uint32_t slots;
	int err;

	*queue = NULL;
	options = options ? options : &plain;
	slots = options->slots ? options->slots : 256;
	if (slots < AXL_RING_MIN_SLOTS || slots > AXL_RING_MAX_SLOTS || slots & (slots - 1))
		return -EINVAL;
	/* The kernel driver would put its own watchdog there: the same program is refused everywhere, or nowhere. */
	if (options->flags & AXL_QUEUE_BOUNDED && !options->watchdog)
		return -EINVAL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->context = context;
	err = take_slot(context, &q->slot);
	if (err)
		goto err_free;
	err = make_memory(q, slots);
	if (err)
		goto err_slot;
	args = (struct accel_backend_queue_args){
		.slot = q->slot,
		.slots = slots,
		.ring = q->address,
		.index = q->address + q->memory->bytes - AXL_PAGE_BYTES,
		.priority = options->priority,
		.flags = options->flags,
		.timeslice = options->timeslice,
		.watchdog = options->watchdog,
	};
	err = backend_of(q)->queue_create(context->handle, &args, &q->handle, &q->base.doorbell);
	if (err)
		goto err_memory;
	q->base.status = &context->status->queue[args.slot];
	q->base.wake = wake;
	*queue = &q->base;
	return 0;

err_memory:
	free_memory(q);
err_slot:
	give_slot(context, q->slot);
err_free:
	free(q);
	return err;
}

void accel_queue_destroy(struct accel_queue *queue)
{
	struct queue *q = queue_of(queue);

	if (!queue)
		return;
	backend_of(q)->queue_destroy(q->handle);
	free_memory(q);
	give_slot(q->context, q->slot);
	free(q);
}

int accel_queue_reset(struct accel_queue *queue)
{
	return backend_of(queue_of(queue))->queue_reset(queue_of(queue)->handle);
}

int accel_queue_suspend(struct accel_queue *queue)
{
	return accel_queue_state(queue) == AXL_QUEUE_RUNNING
		       ? backend_of(queue_of(queue))->queue_stop(queue_of(queue)->handle)
		       : -EINVAL;
}

int accel_queue_resume(struct accel_queue *queue)
{
	return accel_queue_state(queue) == AXL_QUEUE_SUSPENDED
		       ? backend_of(queue_of(queue))->queue_start(queue_of(queue)->handle)
		       : -EINVAL;
}

int accel_queue_fault(struct accel_queue *queue, struct axl_fault_record *record)
{
	return backend_of(queue_of(queue))->queue_fault(queue_of(queue)->handle, record) ? 0 : -ENOENT;
}

/* ---- waiting ---- */

int accel_wait_many(struct accel_wait *waits, size_t count, bool all, int64_t deadline_ns)
{
	struct accel_backend_wait few[8], *list;
	struct accel_device *device;
	int ended;

	if (!count || !waits || count > ACCEL_WAIT_MAX)
		return -EINVAL;
	device = queue_of(waits[0].queue)->context->vm->device;
	for (size_t i = 0; i < count; i++)
		if (queue_of(waits[i].queue)->context->vm->device != device)
			return -EINVAL;
	list = count <= 8 ? few : malloc(count * sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		list[i] = (struct accel_backend_wait){queue_of(waits[i].queue)->handle, waits[i].index, 0};
	/* A time before the clock's beginning has passed: "for ever" to the kernel, nothing that threads could sleep until. */
	ended = device->backend->wait_many(device->handle, list, count, all, deadline_ns < 0 ? 0 : deadline_ns);
	for (size_t i = 0; i < count && (ended >= 0 || ended == -ETIMEDOUT); i++)
		waits[i].result = list[i].result;
	if (list != few)
		free(list);
	return ended;
}

int accel_queue_wait(struct accel_queue *queue, uint64_t index, int64_t deadline_ns)
{
	struct accel_wait wait = {queue, index, 0};
	int ended = accel_wait_many(&wait, 1, true, deadline_ns);

	return ended < 0 ? ended : wait.result;
}
