// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues: a ring of the user's bound to a hardware queue, and what the driver learns of its
 * progress.
 */
#include <linux/capability.h>
#include <linux/slab.h>

#include "axl_drv.h"
#include "axl_trace.h"

/* ---- life ---- */

static void queue_release(struct kref *ref)
{
	struct axl_queue *queue = container_of(ref, struct axl_queue, ref);

	axl_ctx_put(queue->ctx);
	kfree(queue);
}

void axl_queue_put(struct axl_queue *queue)
{
	kref_put(&queue->ref, queue_release);
}

struct axl_queue *axl_queue_get(struct axl_file *priv, u32 handle)
{
	struct axl_queue *queue;

	mutex_lock(&priv->axl->objects);
	queue = xa_load(&priv->queues, handle);
	if (queue)
		kref_get(&queue->ref);
	mutex_unlock(&priv->axl->objects);
	return queue;
}

static void publish(struct axl_queue *queue, bool there)
{
	struct axl_device *axl = queue->ctx->axl;
	unsigned long flags;

	spin_lock_irqsave(&axl->irq_lock, flags);
	queue->ctx->queues[queue->slot] = there ? queue : NULL;
	queue->dead = !there;
	spin_unlock_irqrestore(&axl->irq_lock, flags);
}

static int take_number(struct axl_queue *queue)
{
	struct axl_device *axl = queue->ctx->axl;

	if (queue->ctx->file->num_queues >= axl->info.max_queues / AXL_FILE_SHARE &&
	    !capable(CAP_SYS_RESOURCE))
		return axl_refuse(axl, -EMFILE, "the file has %u queues",
				  queue->ctx->file->num_queues);
	while (queue->number < axl->info.max_queues && axl->queue_table[queue->number].valid)
		queue->number++;
	if (queue->number == axl->info.max_queues)
		return axl_refuse(axl, -ENOSPC, "all %u queues are in use", axl->info.max_queues);
	while (queue->slot < AXL_QUEUES_PER_CONTEXT && queue->ctx->queues[queue->slot])
		queue->slot++;
	if (queue->slot == AXL_QUEUES_PER_CONTEXT)
		return axl_refuse(axl, -ENOSPC, "all %u slots of the context are in use",
				  AXL_QUEUES_PER_CONTEXT);
	return 0;
}

/*
 * A queue that runs; the objects lock is held. Of @desc all but valid, context and slot is given.
 */
struct axl_queue *axl_queue_add(struct axl_ctx *ctx, struct axl_queue_desc *desc)
{
	struct axl_queue *queue = kzalloc(sizeof(*queue), GFP_KERNEL);
	int err;

	lockdep_assert_held(&ctx->axl->objects);
	if (!queue)
		return ERR_PTR(-ENOMEM);
	kref_init(&queue->ref);
	spin_lock_init(&queue->lock);
	INIT_LIST_HEAD(&queue->fences);
	queue->ctx = ctx;
	queue->fence_context = dma_fence_context_alloc(1);
	err = take_number(queue);
	if (err)
		goto err_free;
	queue->status = &ctx->status->queue[queue->slot];
	*queue->status = (struct axl_queue_status){};
	desc->valid = 1;
	desc->context = ctx->number;
	desc->slot = queue->slot;
	queue->desc = *desc;
	kref_get(&ctx->ref);
	ctx->file->num_queues++;
	publish(queue, true);
	err = axl_queue_start(queue);
	if (err)
		goto err_publish;
	return queue;

err_publish:
	publish(queue, false);
	ctx->file->num_queues--;
	axl_ctx_put(ctx);
err_free:
	kfree(queue);
	return ERR_PTR(err);
}

static u64 ring_bytes(const struct axl_queue *queue)
{
	return (u64)queue->desc.slots * AXL_PACKET_BYTES;
}

/* A fault that its owner saw before the interrupt came is told, and dumped while it stands. */
static void settle(struct axl_queue *queue)
{
	struct axl_device *axl = queue->ctx->axl;
	int idx;

	if (queue->kernel || !drm_dev_enter(&axl->drm, &idx))
		return;
	axl_drain_faults(axl);
	axl_queue_progress(queue);
	drm_dev_exit(idx);
	axl_dump_wait(queue);
}

/* The objects lock is held; the handle is gone already. */
void axl_queue_kill(struct axl_queue *queue)
{
	struct axl_device *axl = queue->ctx->axl;

	settle(queue);
	axl_queue_off(queue);
	publish(queue, false);
	/* Nobody asks for one any more: then nothing looks at the queue without a reference. */
	axl_dump_wait(queue);
	axl_queue_progress(queue);
	queue->ctx->file->num_queues--;
	queue->ctx->file->busy_cycles += READ_ONCE(queue->status->busy_cycles);
	if (!queue->kernel) {
		axl_vm_unpin(queue->ctx->vm, queue->desc.ring, ring_bytes(queue));
		axl_vm_unpin(queue->ctx->vm, queue->desc.index, AXL_PAGE_BYTES);
	}
	wake_up_all(&axl->irq);
	axl_queue_put(queue);
}

/* ---- progress: from the interrupt, the poll, a reset, the end ---- */

/* Ask the device for an interrupt at @index, unless an earlier one is asked for. */
static void notify_locked(struct axl_queue *queue, u64 index)
{
	u64 asked = READ_ONCE(queue->status->notify);

	lockdep_assert_held(&queue->lock);
	if (asked > READ_ONCE(queue->status->retired) && asked <= index)
		return;
	WRITE_ONCE(queue->status->notify, index);
	/*
	 * Pairs with the device's barrier between its store of retired and its load of notify: the
	 * caller looks once more.
	 */
	smp_mb();
}

void axl_queue_notify(struct axl_queue *queue, u64 index)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	notify_locked(queue, index);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/*
 * Whether a reset dropped one of the packets (after, until]; queue->lock is held, or what came
 * before is not asked for.
 */
static bool was_dropped(const struct axl_queue *queue, u64 after, u64 until)
{
	u64 last = READ_ONCE(queue->status->dropped);

	if (last > after && last <= until)
		return true;
	for (unsigned int i = 0; i < min_t(unsigned int, READ_ONCE(queue->num_dropped), AXL_DROPS);
	     i++)
		if (queue->dropped[i] > after && queue->dropped[i] <= until)
			return true;
	return false;
}

/* How the packets (after, until] have ended: 0, an error, or -EINPROGRESS. */
int axl_queue_outcome(const struct axl_queue *queue, u64 after, u64 until)
{
	u32 state = axl_state(queue->status);

	if (axl_retired(queue->status) >= until)
		return was_dropped(queue, after, until) ? -ECANCELED : 0;
	if (READ_ONCE(queue->dead))
		return -ENODEV;
	/* Of the driver's own queue the scheduler drops the packet and goes on. */
	return state == AXL_QUEUE_FAULTED && !queue->kernel ? -EIO : -EINPROGRESS;
}

static void end_fence(struct axl_queue *queue, struct axl_fence *fence, int result)
{
	trace_axl_complete(&queue->ctx->axl->drm, queue->number, fence->until, result);
	list_del_init(&fence->link);
	if (result && !fence->base.error)
		dma_fence_set_error(&fence->base, result);
	dma_fence_signal(&fence->base);
	atomic_dec(&queue->ctx->axl->pending_fences);
	axl_awake_put(queue->ctx->axl);
	dma_fence_put(&fence->base);
}

/* Tell once that it stands. */
static void report_fault(struct axl_queue *queue)
{
	struct axl_device *axl = queue->ctx->axl;
	struct axl_fault_record *record = &axl->faults[queue->number];
	bool faulted = axl_state(queue->status) == AXL_QUEUE_FAULTED;

	/* More than once: the scheduler forgets it where it sets its clock. */
	if (faulted && queue->kernel)
		axl_submit_fault(queue);
	if (!faulted || queue->reported) {
		queue->reported = faulted;
		return;
	}
	queue->reported = true;
	trace_axl_fault(&axl->drm, queue->number, queue->status->error,
			READ_ONCE(queue->status->retired), record->address, record->cycle);
	axl_event_send(queue, DRM_AXL_EVENT_FAULT, record);
	axl_dump_request(queue);
}

void axl_queue_progress(struct axl_queue *queue)
{
	struct axl_fence *fence, *next;
	unsigned long flags;
	u64 earliest;

	spin_lock_irqsave(&queue->lock, flags);
	do {
		earliest = ~0ull;
		list_for_each_entry_safe(fence, next, &queue->fences, link) {
			int result = axl_queue_outcome(queue, fence->after, fence->until);

			if (result != -EINPROGRESS)
				end_fence(queue, fence, result);
			else
				earliest = min(earliest, fence->until);
		}
		if (earliest != ~0ull)
			notify_locked(queue, earliest);
	} while (axl_retired(queue->status) >= earliest);
	if (!queue->dead)
		report_fault(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/* Fences that are over their time end, or @all do, whatever the queue does. */
void axl_queue_expire(struct axl_queue *queue, bool all)
{
	struct axl_fence *fence, *next;
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	list_for_each_entry_safe(fence, next, &queue->fences, link)
		if (all || axl_fence_overdue(fence))
			end_fence(queue, fence, all ? -EIO : -ETIME);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/* Kill what runs, drop the packet at which it stands, go on behind it. */
int axl_queue_recover(struct axl_queue *queue)
{
	int err = axl_queue_restart(queue);
	unsigned long flags;
	u64 dropped;

	spin_lock_irqsave(&queue->lock, flags);
	queue->reported = false;
	dropped = READ_ONCE(queue->status->dropped);
	if (dropped && (!queue->num_dropped ||
			queue->dropped[(queue->num_dropped - 1) % AXL_DROPS] != dropped))
		queue->dropped[queue->num_dropped++ % AXL_DROPS] = dropped;
	spin_unlock_irqrestore(&queue->lock, flags);
	axl_queue_progress(queue);
	return err;
}

void axl_progress_contexts(struct axl_device *axl, u64 contexts)
{
	struct axl_queue *queue;
	unsigned long flags;

	spin_lock_irqsave(&axl->irq_lock, flags);
	axl_for_each_queue(axl, contexts, queue, at)
		axl_queue_progress(queue);
	spin_unlock_irqrestore(&axl->irq_lock, flags);
}

/* ---- ioctls ---- */

static int check_create(struct axl_device *axl, const struct drm_axl_queue_create *args)
{
	if (args->queue || args->slot)
		return axl_refuse(axl, -EINVAL, "an output that is not zero");
	if (args->priority >= AXL_NUM_PRIORITIES || args->flags & ~AXL_QUEUE_BOUNDED)
		return axl_refuse(axl, -EINVAL, "priority %u, flags %#x", args->priority,
				  args->flags);
	if (args->slots < AXL_RING_MIN_SLOTS || args->slots > AXL_RING_MAX_SLOTS ||
	    args->slots & (args->slots - 1))
		return axl_refuse(axl, -EINVAL, "%u slots", args->slots);
	if (args->ring % AXL_PACKET_BYTES || args->index % AXL_PAGE_BYTES)
		return axl_refuse(axl, -EINVAL, "alignment: ring %#llx, index %#llx", args->ring,
				  args->index);
	if (args->priority >= 2 && !capable(CAP_SYS_NICE))
		return axl_refuse(axl, -EPERM, "priority %u needs CAP_SYS_NICE", args->priority);
	return 0;
}

static int queue_create(struct axl_file *priv, struct drm_axl_queue_create *args)
{
	struct axl_queue_desc desc = {
		.slots = args->slots,
		.ring = args->ring,
		.index = args->index,
		.priority = args->priority,
		.flags = args->flags,
		.timeslice = args->timeslice,
		.watchdog = args->watchdog ? args->watchdog : AXL_DEFAULT_WATCHDOG,
	};
	struct axl_device *axl = priv->axl;
	u64 bytes = (u64)args->slots * AXL_PACKET_BYTES;
	struct axl_queue *queue;
	struct axl_ctx *ctx;
	int err;

	ctx = xa_load(&priv->ctxs, args->ctx);
	if (!ctx)
		return axl_refuse(axl, -ENOENT, "context %u", args->ctx);
	err = axl_vm_pin(ctx->vm, args->ring, bytes, AXL_PTE_READ);
	if (err)
		return axl_refuse(axl, err,
				  "the ring of %#llx bytes at %#llx is not mapped for reading",
				  bytes, args->ring);
	err = axl_vm_pin(ctx->vm, args->index, AXL_PAGE_BYTES, AXL_PTE_READ | AXL_PTE_WRITE);
	if (err) {
		axl_refuse(axl, err,
			   "the index page at %#llx is not mapped for reading and writing",
			   args->index);
		goto err_ring;
	}
	err = xa_alloc(&priv->queues, &args->queue, NULL, XA_LIMIT(1, AXL_MAX_HANDLES), GFP_KERNEL);
	if (err)
		goto err_index;
	queue = axl_queue_add(ctx, &desc);
	if (IS_ERR(queue)) {
		err = PTR_ERR(queue);
		goto err_handle;
	}
	queue->handle = args->queue;
	args->slot = queue->slot;
	xa_store(&priv->queues, args->queue, queue, GFP_KERNEL); /* reserved: it does not fail */
	return 0;

err_handle:
	xa_erase(&priv->queues, args->queue);
err_index:
	axl_vm_unpin(ctx->vm, args->index, AXL_PAGE_BYTES);
err_ring:
	axl_vm_unpin(ctx->vm, args->ring, bytes);
	return err;
}

int axl_queue_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	int err, idx;

	err = check_create(axl, data);
	if (err)
		return err;
	err = axl_enter(axl, &idx);
	if (err)
		return err;
	mutex_lock(&axl->objects);
	err = queue_create(file->driver_priv, data);
	mutex_unlock(&axl->objects);
	axl_exit(axl, idx);
	return err;
}

int axl_queue_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_file *priv = file->driver_priv;
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_queue_op *args = data;
	struct axl_queue *queue;
	bool there;
	int idx;

	if (args->flags)
		return axl_refuse(axl, -EINVAL, "flags %#x", args->flags);
	there = !axl_enter(axl, &idx);
	mutex_lock(&axl->objects);
	queue = xa_erase(&priv->queues, args->queue);
	if (queue)
		axl_queue_kill(queue);
	mutex_unlock(&axl->objects);
	if (there)
		axl_exit(axl, idx);
	return queue ? 0 : axl_refuse(axl, -ENOENT, "queue %u", args->queue);
}

int axl_queue_reset_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_file *priv = file->driver_priv;
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_queue_op *args = data;
	struct axl_queue *queue;
	int err, idx;

	if (args->flags)
		return axl_refuse(axl, -EINVAL, "flags %#x", args->flags);
	err = axl_enter(axl, &idx);
	if (err)
		return err;
	mutex_lock(&axl->objects);
	queue = xa_load(&priv->queues, args->queue);
	if (queue) {
		settle(queue);
		err = axl_queue_recover(queue);
		axl_event_send(queue, DRM_AXL_EVENT_RESET, NULL);
		wake_up_all(&axl->irq);
	} else {
		err = axl_refuse(axl, -ENOENT, "queue %u", args->queue);
	}
	mutex_unlock(&axl->objects);
	axl_exit(axl, idx);
	return err;
}

static bool stands(const struct axl_queue *queue)
{
	return axl_state(queue->status) != AXL_QUEUE_RUNNING || READ_ONCE(queue->dead);
}

/* It was asked to: at its next packet or YIELD, or when its watchdog strikes. */
static int wait_until_it_stands(struct axl_device *axl, struct axl_queue *queue)
{
	int idx;

	/* Outside axl_enter(): a device that goes does not wait for a packet. */
	for (;;) {
		long left = wait_event_interruptible_timeout(axl->irq, stands(queue), AXL_POLL);

		if (READ_ONCE(queue->dead))
			return -ENODEV;
		if (left)
			return left < 0 ? left : 0;
		if (drm_dev_enter(&axl->drm, &idx)) {
			axl_hw_check(axl);
			drm_dev_exit(idx);
		}
	}
}

static int suspend(struct axl_device *axl, struct axl_queue *queue)
{
	int err, idx;

	if (queue->desc.flags & AXL_QUEUE_BOUNDED)
		return axl_refuse(axl, -EINVAL, "queue %u is bounded: others may wait for it",
				  queue->handle);
	err = axl_enter(axl, &idx);
	if (err)
		return err;
	err = axl_queue_suspend(queue);
	axl_exit(axl, idx);
	if (err)
		return axl_refuse(axl, err, "queue %u does not run", queue->handle);
	return wait_until_it_stands(axl, queue);
}

int axl_queue_suspend_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_queue_op *args = data;
	struct axl_queue *queue;
	int err;

	if (args->flags)
		return axl_refuse(axl, -EINVAL, "flags %#x", args->flags);
	queue = axl_queue_get(file->driver_priv, args->queue);
	if (!queue)
		return axl_refuse(axl, -ENOENT, "queue %u", args->queue);
	err = suspend(axl, queue);
	axl_queue_put(queue);
	return err;
}

int axl_queue_resume_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_queue_op *args = data;
	struct axl_queue *queue;
	int err, idx;

	if (args->flags)
		return axl_refuse(axl, -EINVAL, "flags %#x", args->flags);
	err = axl_enter(axl, &idx);
	if (err)
		return err;
	queue = axl_queue_get(file->driver_priv, args->queue);
	if (queue) {
		err = axl_queue_resume(queue);
		if (err == -EINVAL)
			axl_refuse(axl, err, "queue %u is not suspended", args->queue);
		axl_queue_put(queue);
	} else {
		err = axl_refuse(axl, -ENOENT, "queue %u", args->queue);
	}
	axl_exit(axl, idx);
	return err;
}

int axl_queue_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_queue_query *args = data;
	struct axl_fault_record *record;
	struct axl_queue *queue;
	unsigned long flags;
	int err = 0, idx;

	if (args->valid)
		return axl_refuse(axl, -EINVAL, "an output that is not zero");
	queue = axl_queue_get(file->driver_priv, args->queue);
	if (!queue)
		return axl_refuse(axl, -ENOENT, "queue %u", args->queue);
	record = kmalloc(sizeof(*record), GFP_KERNEL);
	if (!record) {
		axl_queue_put(queue);
		return -ENOMEM;
	}
	/* Who polls sees the fault before the interrupt comes. */
	if (drm_dev_enter(drm, &idx)) {
		axl_drain_faults(axl);
		drm_dev_exit(idx);
	}
	spin_lock_irqsave(&axl->irq_lock, flags);
	args->valid = !queue->dead && test_bit(queue->number, axl->has_fault);
	*record = axl->faults[queue->number];
	spin_unlock_irqrestore(&axl->irq_lock, flags);
	if (args->valid && args->record &&
	    copy_to_user(u64_to_user_ptr(args->record), record, sizeof(*record)))
		err = -EFAULT;
	kfree(record);
	axl_queue_put(queue);
	return err;
}
