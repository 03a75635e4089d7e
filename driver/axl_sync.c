// SPDX-License-Identifier: GPL-2.0-only
/*
 * Syncobjs that calls wait for and signal, and the fences they are given. Everything that can fail
 * is done before there is a fence to put into them.
 */
#include <linux/dma-fence-chain.h>
#include <linux/slab.h>
#include <drm/drm_syncobj.h>

#include "axl_drv.h"

static int check(struct axl_device *axl, const struct drm_axl_sync *sync)
{
	if (sync->flags & ~DRM_AXL_SYNC_TIMELINE ||
	    (!(sync->flags & DRM_AXL_SYNC_TIMELINE) && sync->point))
		return axl_refuse(axl, -EINVAL, "syncobj %u: flags %#x, point %llu", sync->handle,
				  sync->flags, sync->point);
	return 0;
}

/* NULL: there are none; kfree() it. */
struct drm_axl_sync *axl_syncs_copy(u64 from, u32 count)
{
	return count ? memdup_array_user(u64_to_user_ptr(from), count, sizeof(struct drm_axl_sync))
		     : NULL;
}

/* The fence that @sync waits for, which is there already. */
int axl_sync_fence(struct drm_file *file, const struct drm_axl_sync *sync, struct dma_fence **fence)
{
	struct axl_device *axl = to_axl(file->minor->dev);
	int err = check(axl, sync);

	if (!err)
		err = drm_syncobj_find_fence(file, sync->handle, sync->point, 0, fence);
	return err ? axl_refuse(axl, err, "syncobj %u, point %llu to wait for: %d", sync->handle,
				sync->point, err)
		   : 0;
}

/* ---- fences of calls ---- */

static const char *done_driver(struct dma_fence *base)
{
	return "axl";
}

static const char *done_timeline(struct dma_fence *base)
{
	return container_of(base, struct axl_done, base)->timeline;
}

static const struct dma_fence_ops done_ops = {
	.get_driver_name = done_driver,
	.get_timeline_name = done_timeline,
};

/* @timeline: a literal. For axl_done_init(); kfree() it when it is not initialised. */
struct axl_done *axl_done_alloc(const char *timeline)
{
	struct axl_done *done = kzalloc(sizeof(*done), GFP_KERNEL);

	BUILD_BUG_ON(offsetof(struct axl_done, base)); /* dma_fence_free() frees it */
	if (done)
		done->timeline = timeline;
	return done;
}

void axl_done_init(struct axl_done *done, u64 context, u64 seqno)
{
	spin_lock_init(&done->lock);
	dma_fence_init(&done->base, &done_ops, &done->lock, context, seqno);
}

/* ---- syncobjs that calls signal ---- */

/* What signalling needs, so that it can't fail: @chain of a timeline, NULL of a binary one. */
struct axl_out {
	struct drm_syncobj *syncobj;
	struct dma_fence_chain *chain;
	u64 point;
};

void axl_syncs_free(struct axl_out *outs, u32 count)
{
	for (u32 i = 0; outs && i < count; i++) {
		if (outs[i].syncobj)
			drm_syncobj_put(outs[i].syncobj);
		dma_fence_chain_free(outs[i].chain);
	}
	kfree(outs);
}

struct axl_out *axl_syncs_prepare(struct drm_file *file, const struct drm_axl_sync *syncs,
				  u32 count)
{
	struct axl_device *axl = to_axl(file->minor->dev);
	struct axl_out *outs = kcalloc(count, sizeof(*outs), GFP_KERNEL);
	int err = outs || !count ? 0 : -ENOMEM;

	for (u32 i = 0; i < count && !err; i++) {
		err = check(axl, &syncs[i]);
		if (err)
			break;
		outs[i].point = syncs[i].point;
		outs[i].syncobj = drm_syncobj_find(file, syncs[i].handle);
		if (!outs[i].syncobj)
			err = axl_refuse(axl, -ENOENT, "syncobj %u", syncs[i].handle);
		if (syncs[i].flags & DRM_AXL_SYNC_TIMELINE) {
			outs[i].chain = dma_fence_chain_alloc();
			if (!outs[i].chain)
				err = -ENOMEM;
		}
	}
	if (!err)
		return outs;
	axl_syncs_free(outs, count);
	return ERR_PTR(err);
}

void axl_syncs_signal(struct axl_out *outs, u32 count, struct dma_fence *fence)
{
	for (u32 i = 0; i < count; i++) {
		if (outs[i].chain)
			drm_syncobj_add_point(outs[i].syncobj, outs[i].chain, fence, outs[i].point);
		else
			drm_syncobj_replace_fence(outs[i].syncobj, fence);
		outs[i].chain = NULL; /* the syncobj's */
	}
}
