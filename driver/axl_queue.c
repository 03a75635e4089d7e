// SPDX-License-Identifier: GPL-2.0-only
/* Contexts and user-mode queues, their pages, and waiting for them. */
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "axl_drv.h"

/* Offsets of the file's mappings below those of buffers: a context handle in the middle. */
#define DOORBELL_OFFSET(ctx) (1ull << 30 | (u64)(ctx) << 16)
#define STATUS_OFFSET(ctx) (1ull << 31 | (u64)(ctx) << 16)
#define MAX_HANDLE 1024
#define MAX_WAITS 64

/* ---- contexts ---- */

static int attach(struct axl_context *ctx, bool valid)
{
	struct axl_device *axl = ctx->axl;

	axl->context_table[ctx->number] = (struct axl_context_desc){
		.valid = valid,
		.page_table = valid ? ctx->vm->root->address : 0,
		.status = valid ? ctx->status_dma : 0,
	};
	dma_wmb();
	return axl_command(axl, AXL_CMD_CONTEXT_UPDATE, ctx->number);
}

static int alloc_status(struct axl_context *ctx)
{
	ctx->status_page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!ctx->status_page)
		return -ENOMEM;
	ctx->status = page_address(ctx->status_page);
	ctx->status_dma = dma_map_page(&ctx->axl->pdev->dev, ctx->status_page, 0, PAGE_SIZE, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(&ctx->axl->pdev->dev, ctx->status_dma)) {
		put_page(ctx->status_page);
		return -ENOMEM;
	}
	return 0;
}

static void free_status(struct axl_context *ctx)
{
	dma_unmap_page(&ctx->axl->pdev->dev, ctx->status_dma, PAGE_SIZE, DMA_BIDIRECTIONAL);
	put_page(ctx->status_page); /* a user mapping may still hold it */
}

int axl_ctx_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_file *priv = file->driver_priv;
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_ctx_create *args = data;
	struct axl_context *ctx;
	int err, idx;

	if (args->flags || args->pad || args->ctx || args->doorbell_offset || args->status_offset)
		return axl_refuse(axl, -EINVAL, "flags %#x, or an output that is not zero", args->flags);
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL);
	if (!ctx) {
		err = -ENOMEM;
		goto out_exit;
	}
	ctx->axl = axl;
	mutex_lock(&axl->objects);
	ctx->vm = xa_load(&priv->vms, args->vm);
	if (!ctx->vm) {
		err = axl_refuse(axl, -ENOENT, "vm %u", args->vm);
		goto err_free;
	}
	while (ctx->number < axl->info.max_contexts && axl->context_table[ctx->number].valid)
		ctx->number++;
	if (ctx->number == axl->info.max_contexts) {
		err = axl_refuse(axl, -ENOSPC, "all %u contexts are in use", axl->info.max_contexts);
		goto err_free;
	}
	err = alloc_status(ctx);
	if (err)
		goto err_free;
	err = xa_alloc(&priv->contexts, &args->ctx, ctx, XA_LIMIT(1, MAX_HANDLE), GFP_KERNEL);
	if (err)
		goto err_status;
	err = attach(ctx, true);
	if (err)
		goto err_handle;
	kref_get(&ctx->vm->ref);
	ctx->vm->contexts |= 1ull << ctx->number;
	args->doorbell_offset = DOORBELL_OFFSET(args->ctx);
	args->status_offset = STATUS_OFFSET(args->ctx);
	mutex_unlock(&axl->objects);
	drm_dev_exit(idx);
	return 0;

err_handle:
	xa_erase(&priv->contexts, args->ctx);
	axl->context_table[ctx->number].valid = 0;
err_status:
	free_status(ctx);
err_free:
	mutex_unlock(&axl->objects);
	kfree(ctx);
out_exit:
	drm_dev_exit(idx);
	return err;
}

/* ---- queues ---- */

static void queue_release(struct kref *ref)
{
	struct axl_queue *queue = container_of(ref, struct axl_queue, ref);

	put_page(queue->status_page);
	kfree(queue);
}

static void queue_put(struct axl_queue *queue)
{
	kref_put(&queue->ref, queue_release);
}

static struct axl_queue *queue_get(struct axl_file *priv, u32 handle)
{
	struct axl_queue *queue;

	mutex_lock(&priv->axl->objects);
	queue = xa_load(&priv->queues, handle);
	if (queue)
		kref_get(&queue->ref);
	mutex_unlock(&priv->axl->objects);
	return queue;
}

/* The objects lock is held. */
static void queue_kill(struct axl_queue *queue)
{
	struct axl_device *axl = queue->context->axl;

	axl_command(axl, AXL_CMD_QUEUE_RESET, queue->number);
	axl->queue_table[queue->number].valid = 0;
	queue->context->slots &= ~(1u << queue->slot);
	WRITE_ONCE(queue->dead, true);
	wake_up_all(&axl->irq);
	queue_put(queue);
}

static void context_kill(struct axl_file *priv, struct axl_context *ctx)
{
	struct axl_queue *queue;
	unsigned long handle;

	xa_for_each(&priv->queues, handle, queue)
		if (queue->context == ctx) {
			xa_erase(&priv->queues, handle);
			queue_kill(queue);
		}
	/* When the command has ended, the device touches neither the tables nor the status page any more. */
	attach(ctx, false);
	ctx->vm->contexts &= ~(1ull << ctx->number);
	axl_vm_put(ctx->vm);
	free_status(ctx);
	kfree(ctx);
}

int axl_ctx_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_file *priv = file->driver_priv;
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_ctx_destroy *args = data;
	struct axl_context *ctx;

	if (args->pad)
		return axl_refuse(axl, -EINVAL, "pad %u", args->pad);
	mutex_lock(&axl->objects);
	ctx = xa_erase(&priv->contexts, args->ctx);
	if (ctx) {
		unmap_mapping_range(file->filp->f_mapping, DOORBELL_OFFSET(args->ctx), AXL_DOORBELL_STRIDE, 1);
		unmap_mapping_range(file->filp->f_mapping, STATUS_OFFSET(args->ctx), PAGE_SIZE, 1);
		context_kill(priv, ctx);
	}
	mutex_unlock(&axl->objects);
	return ctx ? 0 : axl_refuse(axl, -ENOENT, "context %u", args->ctx);
}

static int start_queue(struct axl_queue *queue, const struct drm_axl_queue_create *args)
{
	struct axl_device *axl = queue->context->axl;
	int err;

	axl->queue_table[queue->number] = (struct axl_queue_desc){
		.valid = 1,
		.context = queue->context->number,
		.slot = queue->slot,
		.slots = args->slots,
		.ring = args->ring,
		.index = args->index,
		.priority = args->priority,
		.flags = args->flags,
		.timeslice = args->timeslice,
		.watchdog = args->watchdog ? args->watchdog : AXL_DEFAULT_WATCHDOG,
	};
	*queue->status = (struct axl_queue_status){};
	clear_bit(queue->number, axl->has_fault);
	dma_wmb();
	err = axl_command(axl, AXL_CMD_QUEUE_START, queue->number);
	if (err)
		axl->queue_table[queue->number].valid = 0;
	return err;
}

int axl_queue_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_file *priv = file->driver_priv;
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_queue_create *args = data;
	struct axl_context *ctx;
	struct axl_queue *queue;
	int err, idx;

	if (args->queue || args->slot)
		return axl_refuse(axl, -EINVAL, "an output that is not zero");
	if (args->priority >= AXL_NUM_PRIORITIES || args->flags & ~AXL_QUEUE_BOUNDED)
		return axl_refuse(axl, -EINVAL, "priority %u, flags %#x", args->priority, args->flags);
	if (args->priority >= 2 && !capable(CAP_SYS_NICE))
		return axl_refuse(axl, -EPERM, "priority %u needs CAP_SYS_NICE", args->priority);
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	queue = kzalloc(sizeof(*queue), GFP_KERNEL);
	if (!queue) {
		drm_dev_exit(idx);
		return -ENOMEM;
	}
	kref_init(&queue->ref);
	mutex_lock(&axl->objects);
	ctx = xa_load(&priv->contexts, args->ctx);
	err = -ENOENT;
	if (!ctx)
		goto err_free;
	err = -ENOSPC;
	while (queue->number < axl->info.max_queues && axl->queue_table[queue->number].valid)
		queue->number++;
	if (queue->number == axl->info.max_queues || ctx->slots == ~0u)
		goto err_free;
	queue->context = ctx;
	queue->slot = ffz(ctx->slots);
	queue->status = &ctx->status->queue[queue->slot];
	queue->status_page = ctx->status_page;
	err = xa_alloc(&priv->queues, &args->queue, queue, XA_LIMIT(1, MAX_HANDLE), GFP_KERNEL);
	if (err)
		goto err_free;
	err = start_queue(queue, args);
	if (err)
		goto err_handle;
	get_page(queue->status_page);
	ctx->slots |= 1u << queue->slot;
	args->slot = queue->slot;
	mutex_unlock(&axl->objects);
	drm_dev_exit(idx);
	return 0;

err_handle:
	xa_erase(&priv->queues, args->queue);
err_free:
	mutex_unlock(&axl->objects);
	kfree(queue);
	drm_dev_exit(idx);
	return axl_refuse(axl, err, "context %u, %u slots, ring %#llx, index %#llx: %d", args->ctx, args->slots, args->ring,
			  args->index, err);
}

int axl_queue_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_file *priv = file->driver_priv;
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_queue_op *args = data;
	struct axl_queue *queue;

	if (args->flags)
		return axl_refuse(axl, -EINVAL, "flags %#x", args->flags);
	mutex_lock(&axl->objects);
	queue = xa_erase(&priv->queues, args->queue);
	if (queue)
		queue_kill(queue);
	mutex_unlock(&axl->objects);
	return queue ? 0 : axl_refuse(axl, -ENOENT, "queue %u", args->queue);
}

int axl_queue_reset_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_file *priv = file->driver_priv;
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_queue_op *args = data;
	struct axl_queue *queue;
	int err = -ENOENT;

	if (args->flags)
		return axl_refuse(axl, -EINVAL, "flags %#x", args->flags);
	mutex_lock(&axl->objects);
	queue = xa_load(&priv->queues, args->queue);
	if (queue) {
		err = axl_command(axl, AXL_CMD_QUEUE_RESET, queue->number);
		if (!err)
			err = axl_command(axl, AXL_CMD_QUEUE_START, queue->number);
		wake_up_all(&axl->irq);
	}
	mutex_unlock(&axl->objects);
	return err;
}

int axl_queue_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_queue_query *args = data;
	struct axl_queue *queue = queue_get(file->driver_priv, args->queue);
	struct axl_fault_record *record;
	unsigned long flags;
	int err = 0;

	if (!queue)
		return axl_refuse(axl, -ENOENT, "queue %u", args->queue);
	record = kmalloc(sizeof(*record), GFP_KERNEL);
	if (!record) {
		queue_put(queue);
		return -ENOMEM;
	}
	spin_lock_irqsave(&axl->fault_lock, flags);
	args->valid = test_bit(queue->number, axl->has_fault);
	*record = axl->faults[queue->number];
	spin_unlock_irqrestore(&axl->fault_lock, flags);
	if (args->valid && args->record && copy_to_user(u64_to_user_ptr(args->record), record, sizeof(*record)))
		err = -EFAULT;
	kfree(record);
	queue_put(queue);
	return err;
}

/* ---- waiting ---- */

struct wait {
	struct axl_queue *queue;
	u64 index;
	s32 result;
};

/* Ask the device for an interrupt at @index, unless an earlier one is asked for. */
static void ask_notice(struct axl_queue_status *status, u64 index)
{
	u64 asked = READ_ONCE(status->notify);

	if (asked > READ_ONCE(status->retired) && asked <= index)
		return;
	WRITE_ONCE(status->notify, index);
	/* Pairs with the device's barrier between its store of retired and its load of notify. */
	smp_mb();
}

static s32 outcome(struct wait *wait)
{
	struct axl_queue_status *status = wait->queue->status;
	u32 state = smp_load_acquire(&status->state);

	if (READ_ONCE(wait->queue->dead))
		return -ENODEV;
	if (smp_load_acquire(&status->retired) >= wait->index)
		return wait->index && READ_ONCE(status->dropped) == wait->index ? -ECANCELED : 0;
	return state == AXL_QUEUE_FAULTED ? -EIO : -ETIME;
}

static u32 look(struct wait *waits, u32 count)
{
	u32 ended = 0;

	for (u32 i = 0; i < count; i++) {
		ask_notice(waits[i].queue->status, waits[i].index);
		waits[i].result = outcome(&waits[i]);
		ended += waits[i].result != -ETIME;
	}
	return ended;
}

static int sleep_until(struct axl_device *axl, struct wait *waits, u32 count, u32 enough, s64 deadline)
{
	ktime_t left;

	if (deadline < 0)
		return wait_event_interruptible(axl->irq, look(waits, count) >= enough);
	left = ktime_sub(ns_to_ktime(deadline), ktime_get());
	if (ktime_compare(left, 0) <= 0)
		return look(waits, count) >= enough ? 0 : -ETIME;
	return wait_event_interruptible_hrtimeout(axl->irq, look(waits, count) >= enough, left);
}

int axl_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_wait *args = data;
	struct drm_axl_wait_entry *entries;
	struct wait *waits;
	u32 count = 0;
	int err = 0;

	if (!args->num_entries || args->num_entries > MAX_WAITS || args->flags & ~DRM_AXL_WAIT_ALL || args->pad)
		return axl_refuse(axl, -EINVAL, "num_entries %u, flags %#x", args->num_entries, args->flags);
	entries = memdup_array_user(u64_to_user_ptr(args->entries), args->num_entries, sizeof(*entries));
	if (IS_ERR(entries))
		return PTR_ERR(entries);
	waits = kcalloc(args->num_entries, sizeof(*waits), GFP_KERNEL);
	if (!waits)
		err = -ENOMEM;
	for (; count < args->num_entries && !err; count++) {
		waits[count].queue = queue_get(file->driver_priv, entries[count].queue);
		waits[count].index = entries[count].index;
		if (!waits[count].queue) {
			err = axl_refuse(axl, -ENOENT, "queue %u", entries[count].queue);
			break;
		}
	}
	if (!err)
		err = sleep_until(axl, waits, count, args->flags & DRM_AXL_WAIT_ALL ? count : 1, args->deadline_ns);
	if (!err || err == -ETIME) {
		args->ended = 0;
		for (u32 i = 0; i < count; i++) {
			entries[i].result = waits[i].result;
			args->ended += waits[i].result != -ETIME;
		}
		if (copy_to_user(u64_to_user_ptr(args->entries), entries, count * sizeof(*entries)))
			err = -EFAULT;
	}
	while (count)
		queue_put(waits[--count].queue);
	kfree(waits);
	kfree(entries);
	return err;
}

/* ---- mappings ---- */

static struct axl_context *context_at(struct axl_file *priv, u64 offset)
{
	return xa_load(&priv->contexts, offset >> 16 & 0x3fff);
}

static vm_fault_t page_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct drm_file *file = vma->vm_file->private_data;
	struct axl_file *priv = file->driver_priv;
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	struct axl_context *ctx;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	mutex_lock(&priv->axl->objects);
	ctx = context_at(priv, offset);
	if (ctx && offset >> 31 & 1)
		ret = vmf_insert_page(vma, vmf->address, ctx->status_page);
	else if (ctx)
		ret = vmf_insert_pfn(vma, vmf->address,
				     (priv->axl->doorbells + (u64)ctx->number * AXL_DOORBELL_STRIDE) >> PAGE_SHIFT);
	mutex_unlock(&priv->axl->objects);
	return ret;
}

static const struct vm_operations_struct page_vm_ops = {
	.fault = page_fault,
};

int axl_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct drm_file *file = filp->private_data;
	struct axl_file *priv = file->driver_priv;
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	bool status = offset >> 31 & 1;

	if (offset >= 1ull << 32)
		return drm_gem_mmap(filp, vma);
	if (!(offset >> 30 & 3) || offset & 0xffff || vma->vm_end - vma->vm_start != PAGE_SIZE ||
	    !(vma->vm_flags & VM_SHARED) || !context_at(priv, offset))
		return axl_refuse(priv->axl, -EINVAL, "offset %#llx", offset);
	if (vma->vm_flags & (status ? VM_WRITE | VM_EXEC : VM_READ | VM_EXEC))
		return axl_refuse(priv->axl, -EACCES, "%s page", status ? "a status page is read only: this" : "a doorbell");
	vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);
	if (status) {
		vm_flags_mod(vma, VM_MIXEDMAP, VM_MAYWRITE);
	} else {
		vm_flags_set(vma, VM_IO | VM_PFNMAP);
		vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	}
	vma->vm_ops = &page_vm_ops;
	return 0;
}

void axl_file_release(struct axl_file *file)
{
	struct axl_context *ctx;
	struct axl_queue *queue;
	struct axl_vm *vm;
	unsigned long handle;

	mutex_lock(&file->axl->objects);
	xa_for_each(&file->contexts, handle, ctx) {
		xa_erase(&file->contexts, handle);
		context_kill(file, ctx);
	}
	mutex_unlock(&file->axl->objects);
	xa_for_each(&file->queues, handle, queue)
		queue_put(queue);
	xa_for_each(&file->vms, handle, vm)
		axl_vm_put(vm);
	xa_destroy(&file->contexts);
	xa_destroy(&file->queues);
	xa_destroy(&file->vms);
}
