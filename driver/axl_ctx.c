// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contexts: a hardware context, its status page, the queues in it. And what a file leaves behind.
 */
#include <linux/capability.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "axl_drv.h"

static int alloc_status(struct axl_ctx *ctx)
{
	struct device *dev = &ctx->axl->pdev->dev;

	ctx->status_page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!ctx->status_page)
		return -ENOMEM;
	ctx->status = page_address(ctx->status_page);
	ctx->status_dma = dma_map_page(dev, ctx->status_page, 0, PAGE_SIZE, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(dev, ctx->status_dma)) {
		put_page(ctx->status_page);
		return -ENOMEM;
	}
	return 0;
}

static void free_status(struct axl_ctx *ctx)
{
	dma_unmap_page(&ctx->axl->pdev->dev, ctx->status_dma, PAGE_SIZE, DMA_BIDIRECTIONAL);
	put_page(ctx->status_page);
}

static void ctx_release(struct kref *ref)
{
	struct axl_ctx *ctx = container_of(ref, struct axl_ctx, ref);

	put_page(ctx->status_page);
	axl_vm_put(ctx->vm);
	kfree(ctx);
}

void axl_ctx_put(struct axl_ctx *ctx)
{
	kref_put(&ctx->ref, ctx_release);
}

static void publish(struct axl_ctx *ctx, bool there)
{
	unsigned long flags;

	spin_lock_irqsave(&ctx->axl->irq_lock, flags);
	ctx->axl->ctxs[ctx->number] = there ? ctx : NULL;
	spin_unlock_irqrestore(&ctx->axl->irq_lock, flags);
}

/* From now on the device walks the VM's tables. */
static int attach(struct axl_ctx *ctx)
{
	struct axl_context_desc desc = {
		.valid = 1,
		.page_table = ctx->vm->mmu.root->address,
		.status = ctx->status_dma,
	};
	int err;

	mutex_lock(&ctx->vm->lock);
	/* First, so that whoever changes tables after the command tells this context too. */
	WRITE_ONCE(ctx->vm->contexts, ctx->vm->contexts | 1ull << ctx->number);
	err = axl_context_update(ctx->axl, ctx->number, &desc);
	if (err)
		WRITE_ONCE(ctx->vm->contexts, ctx->vm->contexts & ~(1ull << ctx->number));
	else
		ctx->file->num_ctxs++;
	mutex_unlock(&ctx->vm->lock);
	return err;
}

/* When it returns, the device touches neither the tables nor the status page any more. */
static void detach(struct axl_ctx *ctx)
{
	struct axl_context_desc desc = {};
	struct axl_device *axl = ctx->axl;

	mutex_lock(&ctx->vm->lock);
	axl_context_update(axl, ctx->number, &desc);
	WRITE_ONCE(ctx->vm->contexts, ctx->vm->contexts & ~(1ull << ctx->number));
	ctx->file->num_ctxs--;
	mutex_unlock(&ctx->vm->lock);
	publish(ctx, false);
	if (axl_is_loose(axl)) {
		kref_get(&ctx->ref);
		list_add(&ctx->lost, &axl->lost_ctxs);
		return;
	}
	dma_unmap_page(&axl->pdev->dev, ctx->status_dma, PAGE_SIZE, DMA_BIDIRECTIONAL);
}

/* The device has gone, and reaches nothing any more. The objects lock is held. */
void axl_ctxs_abandon(struct axl_device *axl)
{
	struct axl_ctx *ctx, *next;

	lockdep_assert_held(&axl->objects);
	list_for_each_entry_safe(ctx, next, &axl->lost_ctxs, lost) {
		dma_unmap_page(&axl->pdev->dev, ctx->status_dma, PAGE_SIZE, DMA_BIDIRECTIONAL);
		axl_ctx_put(ctx);
	}
	INIT_LIST_HEAD(&axl->lost_ctxs);
}

static int take_number(struct axl_ctx *ctx)
{
	struct axl_device *axl = ctx->axl;

	lockdep_assert_held(&axl->objects);
	if (ctx->file->num_ctxs >= axl->info.max_contexts / AXL_FILE_SHARE &&
	    !capable(CAP_SYS_RESOURCE))
		return axl_refuse(axl, -EMFILE, "the file has %u contexts", ctx->file->num_ctxs);
	while (ctx->number < axl->info.max_contexts && axl->ctxs[ctx->number])
		ctx->number++;
	if (ctx->number == axl->info.max_contexts)
		return axl_refuse(axl, -ENOSPC, "all %u contexts are in use",
				  axl->info.max_contexts);
	return 0;
}

/* The objects lock is held; the handle is gone already. */
static void ctx_kill(struct axl_file *priv, struct axl_ctx *ctx)
{
	struct axl_queue *queue;
	unsigned long handle;

	if (ctx->submit)
		axl_submit_queue_destroy(ctx);
	xa_for_each(&priv->queues, handle, queue)
		if (queue->ctx == ctx) {
			xa_erase(&priv->queues, handle);
			axl_queue_kill(queue);
		}
	detach(ctx);
	axl_ctx_put(ctx);
}

/* The objects lock is held. */
static struct axl_ctx *ctx_create(struct axl_file *priv, const struct drm_axl_ctx_create *args)
{
	struct axl_device *axl = priv->axl;
	struct axl_ctx *ctx;
	int err;

	lockdep_assert_held(&axl->objects);
	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL);
	if (!ctx)
		return ERR_PTR(-ENOMEM);
	kref_init(&ctx->ref);
	ctx->axl = axl;
	ctx->file = priv;
	ctx->id = ++axl->last_id;
	ctx->vm = xa_load(&priv->vms, args->vm);
	if (!ctx->vm) {
		err = axl_refuse(axl, -ENOENT, "vm %u", args->vm);
		goto err_free;
	}
	err = take_number(ctx);
	if (err)
		goto err_free;
	err = alloc_status(ctx);
	if (err)
		goto err_free;
	err = xa_alloc(&priv->ctxs, &ctx->handle, NULL, XA_LIMIT(1, AXL_MAX_HANDLES), GFP_KERNEL);
	if (err)
		goto err_status;
	err = attach(ctx);
	if (err)
		goto err_handle;
	kref_get(&ctx->vm->ref);
	publish(ctx, true);
	err = args->flags & DRM_AXL_CTX_SUBMIT ? axl_submit_queue_create(ctx) : 0;
	if (err)
		goto err_attach;
	xa_store(&priv->ctxs, ctx->handle, ctx, GFP_KERNEL); /* reserved: it does not fail */
	return ctx;

err_attach:
	xa_erase(&priv->ctxs, ctx->handle);
	detach(ctx);
	axl_ctx_put(ctx);
	return ERR_PTR(err);
err_handle:
	xa_erase(&priv->ctxs, ctx->handle);
err_status:
	free_status(ctx);
err_free:
	kfree(ctx);
	return ERR_PTR(err);
}

int axl_ctx_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_ctx_create *args = data;
	struct axl_ctx *ctx;
	int err, idx;

	if (args->flags & ~DRM_AXL_CTX_SUBMIT || args->pad || args->ctx || args->doorbell_offset ||
	    args->status_offset)
		return axl_refuse(axl, -EINVAL, "flags %#x, or an output that is not zero",
				  args->flags);
	err = axl_enter(axl, &idx);
	if (err)
		return err;
	mutex_lock(&axl->objects);
	ctx = ctx_create(file->driver_priv, args);
	if (!IS_ERR(ctx)) {
		args->ctx = ctx->handle;
		args->doorbell_offset = axl_doorbell_offset(ctx->handle);
		args->status_offset = axl_status_offset(ctx->handle);
	}
	mutex_unlock(&axl->objects);
	axl_exit(axl, idx);
	return PTR_ERR_OR_ZERO(ctx);
}

int axl_ctx_destroy_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_file *priv = file->driver_priv;
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_ctx_destroy *args = data;
	struct axl_ctx *ctx;
	bool there;
	int idx;

	if (args->pad)
		return axl_refuse(axl, -EINVAL, "pad %u", args->pad);
	there = !axl_enter(axl, &idx);
	mutex_lock(&axl->objects);
	mutex_lock(&axl->map_lock);
	ctx = xa_erase(&priv->ctxs, args->ctx);
	if (ctx)
		axl_mmap_revoke(axl);
	mutex_unlock(&axl->map_lock);
	if (ctx)
		ctx_kill(priv, ctx);
	mutex_unlock(&axl->objects);
	if (there)
		axl_exit(axl, idx);
	return ctx ? 0 : axl_refuse(axl, -ENOENT, "context %u", args->ctx);
}

/* The file is closed, or the device goes. The objects lock is held. */
void axl_file_release(struct axl_file *priv)
{
	struct axl_ctx *ctx;
	struct axl_vm *vm;
	unsigned long handle;

	lockdep_assert_held(&priv->axl->objects);
	xa_for_each(&priv->ctxs, handle, ctx) {
		mutex_lock(&priv->axl->map_lock);
		xa_erase(&priv->ctxs, handle);
		mutex_unlock(&priv->axl->map_lock);
		ctx_kill(priv, ctx);
	}
	xa_for_each(&priv->vms, handle, vm) {
		xa_erase(&priv->vms, handle);
		axl_binds_cancel(vm, -ECANCELED);
		axl_vm_put(vm);
	}
}
