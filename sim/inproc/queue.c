/* SPDX-License-Identifier: MIT */
/* Contexts, queues, waiting. See inproc.h. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "sim/inproc/inproc_internal.h"

/* ---- contexts ---- */

int inproc_context_create(struct inproc_space *space, struct inproc_context **context,
			  const struct axl_status_page **status)
{
	struct inproc *device = space->device;
	struct inproc_context *c = calloc(1, sizeof(*c));
	int err = -ENOMEM;

	if (!c)
		return -ENOMEM;
	c->space = space;
	c->status = bus_alloc(device, AXL_PAGE_BYTES);
	if (!c->status)
		goto err_free;
	pthread_mutex_lock(&device->lock);
	err = -ENOSPC;
	while (c->number < AXL_MAX_CONTEXTS && device->contexts[c->number].valid)
		c->number++;
	if (c->number == AXL_MAX_CONTEXTS)
		goto err_unlock;
	device->contexts[c->number] = (struct axl_context_desc){
		.valid = 1,
		.page_table = (uintptr_t)space->root,
		.status = (uintptr_t)c->status,
	};
	err = mailbox_command(device, AXL_CMD_CONTEXT_UPDATE, c->number);
	if (err) {
		device->contexts[c->number].valid = 0;
		goto err_unlock;
	}
	space->contexts |= 1ull << c->number;
	pthread_mutex_unlock(&device->lock);
	*context = c;
	*status = c->status;
	return 0;

err_unlock:
	pthread_mutex_unlock(&device->lock);
	bus_free(device, c->status, AXL_PAGE_BYTES);
err_free:
	free(c);
	return err;
}

int inproc_context_destroy(struct inproc_context *context)
{
	struct inproc *device;

	if (!context)
		return 0;
	device = context->space->device;
	pthread_mutex_lock(&device->lock);
	if (context->queues) {
		pthread_mutex_unlock(&device->lock);
		return -EBUSY;
	}
	device->contexts[context->number] = (struct axl_context_desc){0};
	mailbox_command(device, AXL_CMD_CONTEXT_UPDATE, context->number);
	context->space->contexts &= ~(1ull << context->number);
	pthread_mutex_unlock(&device->lock);
	bus_free(device, context->status, AXL_PAGE_BYTES);
	free(context);
	return 0;
}

void inproc_doorbell(struct inproc_context *context, unsigned int slot)
{
	device_doorbell(context->space->device->device, (uint64_t)context->number * AXL_DOORBELL_STRIDE + 8ull * slot);
}

/* ---- queues ---- */

static struct inproc *device_of(const struct inproc_queue *queue)
{
	return queue->context->space->device;
}

static int create_locked(struct inproc_context *context, const struct inproc_queue_args *args,
			 struct inproc_queue *queue)
{
	struct inproc *device = context->space->device;
	int err;

	if (args->slot >= AXL_QUEUES_PER_CONTEXT)
		return -EINVAL;
	if (context->slots >> args->slot & 1)
		return -EEXIST;
	while (queue->number < DEVICE_NUM_QUEUES && device->queues[queue->number].valid)
		queue->number++;
	if (queue->number == DEVICE_NUM_QUEUES)
		return -ENOSPC;
	device->queues[queue->number] = (struct axl_queue_desc){
		.valid = 1,
		.context = context->number,
		.slot = args->slot,
		.slots = args->slots,
		.ring = args->ring,
		.index = args->index,
		.priority = args->priority,
		.flags = args->flags,
		.timeslice = args->timeslice,
		.watchdog = args->watchdog,
	};
	context->status->queue[args->slot] = (struct axl_queue_status){.retired = args->retired};
	/* Before it starts: what its ring already holds may fault at once. */
	pthread_mutex_lock(&device->irq_lock);
	device->records[queue->number].valid = false;
	pthread_mutex_unlock(&device->irq_lock);
	err = inproc_ask(device);
	if (!err)
		err = mailbox_command(device, AXL_CMD_QUEUE_START, queue->number);
	if (err) {
		device->queues[queue->number].valid = 0;
		return err;
	}
	context->slots |= 1u << args->slot;
	context->queues++;
	return 0;
}

int inproc_queue_create(struct inproc_context *context, const struct inproc_queue_args *args,
			struct inproc_queue **queue)
{
	struct inproc_queue *q = calloc(1, sizeof(*q));
	int err;

	if (!q)
		return -ENOMEM;
	q->context = context;
	q->slot = args->slot;
	pthread_mutex_lock(&context->space->device->lock);
	err = create_locked(context, args, q);
	pthread_mutex_unlock(&context->space->device->lock);
	if (err) {
		free(q);
		return err;
	}
	q->status = &context->status->queue[args->slot];
	*queue = q;
	return 0;
}

static int reset_locked(struct inproc_queue *queue)
{
	struct inproc *device = device_of(queue);
	int err = mailbox_command(device, AXL_CMD_QUEUE_RESET, queue->number);

	/* Who waits for the packet that was dropped has to look again. */
	pthread_mutex_lock(&device->irq_lock);
	pthread_cond_broadcast(&device->irq);
	pthread_mutex_unlock(&device->irq_lock);
	return err;
}

void inproc_queue_destroy(struct inproc_queue *queue)
{
	struct inproc *device;

	if (!queue)
		return;
	device = device_of(queue);
	pthread_mutex_lock(&device->lock);
	reset_locked(queue);
	device->queues[queue->number].valid = 0;
	queue->context->slots &= ~(1u << queue->slot);
	queue->context->queues--;
	pthread_mutex_unlock(&device->lock);
	free(queue);
}

int inproc_queue_reset(struct inproc_queue *queue)
{
	struct inproc *device = device_of(queue);
	int err;

	pthread_mutex_lock(&device->lock);
	err = reset_locked(queue);
	if (!err)
		err = mailbox_command(device, AXL_CMD_QUEUE_START, queue->number);
	pthread_mutex_unlock(&device->lock);
	return err;
}

static int command(struct inproc_queue *queue, enum axl_command what)
{
	struct inproc *device = device_of(queue);
	int err;

	pthread_mutex_lock(&device->lock);
	err = mailbox_command(device, what, queue->number);
	pthread_mutex_unlock(&device->lock);
	return err;
}

int inproc_queue_stop(struct inproc_queue *queue)
{
	int err = command(queue, AXL_CMD_QUEUE_STOP);
	struct inproc *device = device_of(queue);

	if (err)
		return err;
	/* The command only asks; the state says when it stands, or that the queue faulted on the way. */
	pthread_mutex_lock(&device->irq_lock);
	while (__atomic_load_n(&queue->status->state, __ATOMIC_ACQUIRE) == AXL_QUEUE_RUNNING)
		pthread_cond_wait(&device->irq, &device->irq_lock);
	pthread_mutex_unlock(&device->irq_lock);
	return 0;
}

int inproc_queue_start(struct inproc_queue *queue)
{
	return command(queue, AXL_CMD_QUEUE_START);
}

/* ---- waiting ---- */

/* -ETIMEDOUT: not yet. irq_lock is held. */
static int outcome(const struct inproc_wait *wait)
{
	const struct axl_queue_status *status = wait->queue->status;
	/* State first: a queue that faults after it has retired the packet is no failure of that packet. */
	uint32_t state = __atomic_load_n(&status->state, __ATOMIC_ACQUIRE);

	if (__atomic_load_n(&status->retired, __ATOMIC_ACQUIRE) >= wait->retired)
		return wait->retired && wait->retired == __atomic_load_n(&status->dropped, __ATOMIC_RELAXED)
			       ? -ECANCELED
			       : 0;
	return state == AXL_QUEUE_FAULTED ? -EIO : -ETIMEDOUT;
}

/* Ask for an interrupt at @target, unless one that comes before is asked for. irq_lock is held. */
static void ask_notice(struct inproc_queue *queue, uint64_t target)
{
	uint64_t asked = __atomic_load_n(&queue->status->notify, __ATOMIC_RELAXED);

	if (asked > __atomic_load_n(&queue->status->retired, __ATOMIC_RELAXED) && asked <= target)
		return;
	__atomic_store_n(&queue->status->notify, target, __ATOMIC_RELAXED);
	/* Full barrier: pairs with the device's, between its store of retired and its load of notify. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Results as they are now; how many ended. */
static size_t look(struct inproc_wait *waits, size_t count)
{
	size_t ended = 0;

	for (size_t i = 0; i < count; i++) {
		ask_notice(waits[i].queue, waits[i].retired);
		waits[i].result = outcome(&waits[i]);
		ended += waits[i].result != -ETIMEDOUT;
	}
	return ended;
}

int inproc_wait_many(struct inproc *device, struct inproc_wait *waits, size_t count, bool all, int64_t deadline_ns)
{
	struct timespec until = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};
	size_t enough = all ? count : 1, ended;
	int late = 0;
	bool gone;

	pthread_mutex_lock(&device->irq_lock);
	while ((ended = look(waits, count)) < enough && late != ETIMEDOUT && !device->gone)
		late = deadline_ns == INT64_MAX ? pthread_cond_wait(&device->irq, &device->irq_lock)
						: pthread_cond_timedwait(&device->irq, &device->irq_lock, &until);
	gone = device->gone;
	pthread_mutex_unlock(&device->irq_lock);
	return ended >= enough ? (int)ended : gone ? -ENODEV : -ETIMEDOUT;
}

int inproc_queue_wait(struct inproc_queue *queue, uint64_t retired, int64_t deadline_ns)
{
	struct inproc_wait wait = {queue, retired, 0};

	inproc_wait_many(device_of(queue), &wait, 1, true, deadline_ns);
	return wait.result;
}

bool inproc_queue_fault(struct inproc_queue *queue, struct axl_fault_record *record)
{
	struct inproc *device = device_of(queue);
	const struct fault_slot *slot = &device->records[queue->number];
	bool valid;

	pthread_mutex_lock(&device->irq_lock);
	valid = slot->valid;
	if (valid)
		*record = slot->record;
	pthread_mutex_unlock(&device->irq_lock);
	return valid;
}
