// SPDX-License-Identifier: GPL-2.0-only
/*
 * dma_fences over the progress of a queue that comes to its end by construction (AXL_QUEUE_BOUNDED,
 * or the driver's own), and syncobjs turned into stores that queues can wait for.
 */
#include <linux/dma-fence.h>
#include <linux/slab.h>
#include <drm/drm_syncobj.h>

#include "axl_drv.h"
#include "axl_trace.h"

static const char *driver_name(struct dma_fence *base)
{
	return "axl";
}

static const char *timeline_name(struct dma_fence *base)
{
	return "queue";
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = driver_name,
	.get_timeline_name = timeline_name,
};

/* Memory for axl_fence_emit(); kfree() it when it is not emitted. */
struct axl_fence *axl_fence_alloc(void)
{
	struct axl_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL);

	BUILD_BUG_ON(offsetof(struct axl_fence, base)); /* dma_fence_free() frees it */
	return fence;
}

/*
 * Make @fence signal when @queue has retired @until packets; @deadline: jiffies after which the
 * poll resets the queue, 0: never. The caller, after axl_enter(), keeps one reference, the queue
 * takes another.
 * Allocates nothing.
 */
void axl_fence_emit(struct axl_queue *queue, struct axl_fence *fence, u64 after, u64 until,
		    unsigned long deadline)
{
	struct axl_device *axl = queue->ctx->axl;
	unsigned long flags;

	spin_lock_init(&fence->lock);
	fence->after = after;
	fence->until = until;
	fence->deadline = deadline;
	dma_fence_init(&fence->base, &fence_ops, &fence->lock, queue->fence_context,
		       atomic64_inc_return(&queue->fence_seqno));
	dma_fence_get(&fence->base);
	atomic_inc(&axl->pending_fences);
	axl_awake_get(axl); /* until it has signalled */
	spin_lock_irqsave(&queue->lock, flags);
	list_add_tail(&fence->link, &queue->fences);
	spin_unlock_irqrestore(&queue->lock, flags);
	/* It may be there already. */
	axl_queue_progress(queue);
	queue_delayed_work(axl->recovery, &axl->poll, AXL_POLL);
}

bool axl_fence_overdue(const struct axl_fence *fence)
{
	return fence->deadline && time_after(jiffies, fence->deadline);
}

static bool overdue(struct axl_queue *queue)
{
	struct axl_fence *fence;
	bool late = false;

	lockdep_assert_held(&queue->lock);
	list_for_each_entry(fence, &queue->fences, link)
		late |= axl_fence_overdue(fence);
	return late;
}

static struct axl_queue *find_overdue(struct axl_device *axl)
{
	struct axl_queue *queue, *found = NULL;
	unsigned long flags;

	spin_lock_irqsave(&axl->irq_lock, flags);
	axl_for_each_queue(axl, ~0ull, queue, at) {
		spin_lock(&queue->lock);
		if (!found && overdue(queue) && kref_get_unless_zero(&queue->ref))
			found = queue;
		spin_unlock(&queue->lock);
	}
	spin_unlock_irqrestore(&axl->irq_lock, flags);
	return found;
}

/*
 * While fences are pending: find what a lost interrupt would have told, step in where a queue does
 * not move.
 */
void axl_fence_poll(struct work_struct *work)
{
	struct axl_device *axl = container_of(to_delayed_work(work), struct axl_device, poll);
	bool cookie = dma_fence_begin_signalling();
	int before = atomic_read(&axl->pending_fences), idx;
	struct axl_queue *queue;

	if (drm_dev_enter(&axl->drm, &idx)) {
		axl_hw_check(axl);
		axl_drain_faults(axl);
		axl_progress_contexts(axl, ~0ull);
		if (atomic_read(&axl->pending_fences) < before)
			atomic64_inc(&axl->lost_interrupts);
		queue = find_overdue(axl);
		if (queue) {
			drm_err(&axl->drm, "queue %u does not move: it is reset\n", queue->number);
			axl_queue_recover(queue);
			axl_queue_expire(queue, false);
			axl_queue_put(queue);
		}
		drm_dev_exit(idx);
	}
	dma_fence_end_signalling(cookie);
	if (atomic_read(&axl->pending_fences))
		queue_delayed_work(axl->recovery, &axl->poll, AXL_POLL);
}

/* ---- export ---- */

static int check_export(struct axl_queue *queue, const struct drm_axl_fence_export *args)
{
	struct axl_device *axl = queue->ctx->axl;
	u64 most = READ_ONCE(queue->status->retired) + queue->desc.slots;

	if (!(queue->desc.flags & AXL_QUEUE_BOUNDED))
		return axl_refuse(axl, -EINVAL, "queue %u is not bounded", args->queue);
	if (args->index > most)
		return axl_refuse(axl, -EINVAL, "index %llu is not in the ring", args->index);
	return 0;
}

static int export(struct axl_queue *queue, const struct drm_axl_fence_export *args,
		  struct drm_file *file)
{
	struct axl_fence *fence;
	struct axl_out *out;
	int err = check_export(queue, args);

	if (err)
		return err;
	out = axl_syncs_prepare(file, &args->sync, 1);
	if (IS_ERR(out))
		return PTR_ERR(out);
	fence = axl_fence_alloc();
	if (!fence) {
		axl_syncs_free(out, 1);
		return -ENOMEM;
	}
	axl_fence_emit(queue, fence, args->index - 1, args->index, jiffies + axl_job_timeout());
	axl_syncs_signal(out, 1, &fence->base);
	axl_syncs_free(out, 1);
	dma_fence_put(&fence->base);
	return 0;
}

int axl_fence_export_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_fence_export *args = data;
	struct axl_queue *queue;
	int err, idx;

	if (args->pad)
		return axl_refuse(axl, -EINVAL, "pad %u", args->pad);
	err = axl_enter(axl, &idx);
	if (err)
		return err;
	queue = axl_queue_get(file->driver_priv, args->queue);
	if (queue) {
		err = export(queue, args, file);
		axl_queue_put(queue);
	} else {
		err = axl_refuse(axl, -ENOENT, "queue %u", args->queue);
	}
	axl_exit(axl, idx);
	return err;
}

/* ---- import ---- */

/*
 * A store that waits for a fence. Two references: the file's list, and the callback or its work.
 * @map: of the buffer, when it is in system memory; @io: of its page, when it is in local memory
 */
struct store {
	struct kref ref;
	struct list_head link;
	struct axl_file *file; /* NULL: it is gone */
	struct dma_fence_cb cb;
	struct work_struct work;
	struct dma_fence *fence;
	struct drm_gem_object *gem;
	struct iosys_map map;
	void __iomem *io;
	u64 offset;
	u64 value;
};

static void store_release(struct kref *ref)
{
	struct store *store = container_of(ref, struct store, ref);

	if (store->map.vaddr)
		drm_gem_vunmap_unlocked(store->gem, &store->map);
	if (store->io)
		iounmap(store->io);
	dma_fence_put(store->fence);
	drm_gem_object_put(store->gem);
	kfree(store);
}

static void do_store(struct store *store)
{
	struct axl_device *axl = to_axl(store->gem->dev);
	int idx;

	if (store->map.vaddr) {
		/* Whoever sees the value sees what came before the fence. */
		smp_store_release((u64 *)(store->map.vaddr + store->offset), store->value);
	} else if (!axl_enter(axl, &idx)) {
		writeq(store->value, store->io + (store->offset & ~PAGE_MASK));
		axl_exit(axl, idx);
	}
}

static void store_work(struct work_struct *work)
{
	struct store *store = container_of(work, struct store, work);
	bool listed;

	do_store(store);
	mutex_lock(&to_axl(store->gem->dev)->store_lock);
	listed = store->file;
	store->file = NULL;
	list_del_init(&store->link);
	mutex_unlock(&to_axl(store->gem->dev)->store_lock);
	if (listed)
		kref_put(&store->ref, store_release);
	kref_put(&store->ref, store_release);
}

static void store_cb(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct store *store = container_of(cb, struct store, cb);

	queue_work(to_axl(store->gem->dev)->stores, &store->work);
}

/* What still waits goes with the file; what has begun is waited for. */
void axl_fence_release(struct axl_file *priv)
{
	struct store *store;

	for (;;) {
		mutex_lock(&priv->axl->store_lock);
		store = list_first_entry_or_null(&priv->stores, struct store, link);
		if (store) {
			list_del_init(&store->link);
			store->file = NULL;
		}
		mutex_unlock(&priv->axl->store_lock);
		if (!store)
			break;
		if (dma_fence_remove_callback(store->fence, &store->cb))
			kref_put(&store->ref, store_release);
		kref_put(&store->ref, store_release);
	}
	flush_workqueue(priv->axl->stores);
}

static int import(struct store *store, const struct drm_axl_fence_import *args,
		  struct drm_file *file)
{
	struct axl_file *priv = file->driver_priv;
	int err;

	/* It would have to be kept while the other driver's device goes, and ours. */
	if (store->gem->import_attach)
		return axl_refuse(priv->axl, -EOPNOTSUPP, "the buffer is another driver's");
	if (store->gem->size < 8 || args->offset > store->gem->size - 8)
		return axl_refuse(priv->axl, -EINVAL, "offset %#llx is outside the buffer",
				  args->offset);
	err = axl_sync_fence(file, &args->sync, &store->fence);
	if (err)
		return err;
	if (to_axl_bo(store->gem)->local) {
		store->io =
			axl_local_map(to_axl_bo(store->gem), store->offset & PAGE_MASK, PAGE_SIZE);
		err = store->io ? 0 : -ENOMEM;
	} else {
		err = drm_gem_vmap_unlocked(store->gem, &store->map);
	}
	if (err)
		return err;
	mutex_lock(&priv->axl->store_lock);
	store->file = priv;
	list_add_tail(&store->link, &priv->stores);
	kref_get(&store->ref);
	mutex_unlock(&priv->axl->store_lock);
	if (dma_fence_add_callback(store->fence, &store->cb, store_cb))
		store_work(&store->work); /* it has signalled */
	return 0;
}

int axl_fence_import_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_fence_import *args = data;
	struct store *store;
	int err;

	if (args->pad || args->offset % 8)
		return axl_refuse(axl, -EINVAL, "pad %u, offset %#llx", args->pad, args->offset);
	store = kzalloc(sizeof(*store), GFP_KERNEL);
	if (!store)
		return -ENOMEM;
	kref_init(&store->ref);
	INIT_WORK(&store->work, store_work);
	store->offset = args->offset;
	store->value = args->value;
	store->gem = drm_gem_object_lookup(file, args->handle);
	if (!store->gem) {
		kfree(store);
		return axl_refuse(axl, -ENOENT, "handle %u", args->handle);
	}
	err = import(store, args, file);
	if (err)
		kref_put(&store->ref, store_release);
	return err;
}
