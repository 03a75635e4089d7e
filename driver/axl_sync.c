// SPDX-License-Identifier: GPL-2.0-only
/*
 * Syncobjs that calls signal: everything that can fail is done before there is a fence to put into
 * them.
 */
#include <linux/dma-fence-chain.h>
#include <linux/slab.h>
#include <drm/drm_syncobj.h>

#include "axl_drv.h"

int axl_sync_check(struct axl_device *axl, const struct drm_axl_sync *sync)
{
	if (sync->flags & ~DRM_AXL_SYNC_TIMELINE ||
	    (!(sync->flags & DRM_AXL_SYNC_TIMELINE) && sync->point))
		return axl_refuse(axl, -EINVAL, "syncobj %u: flags %#x, point %llu", sync->handle,
				  sync->flags, sync->point);
	return 0;
}

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
		err = axl_sync_check(axl, &syncs[i]);
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
