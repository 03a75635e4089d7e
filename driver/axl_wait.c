// SPDX-License-Identifier: GPL-2.0-only
/* Sleeping until queues have come somewhere. */
#include <linux/slab.h>

#include "axl_drv.h"

#define MAX_WAITS 64

struct wait {
	struct axl_queue *queue;
	u64 index;
	s32 result;
};

static s32 outcome(const struct wait *wait)
{
	int result = axl_queue_outcome(wait->queue, wait->index - 1, wait->index);

	if (!result || result == -ECANCELED)
		return result;
	if (drm_dev_is_unplugged(&wait->queue->ctx->axl->drm))
		return -ENODEV;
	return result == -EINPROGRESS ? -ETIME : result;
}

static u32 look(struct wait *waits, u32 count)
{
	u32 ended = 0;

	for (u32 i = 0; i < count; i++) {
		waits[i].result = outcome(&waits[i]);
		if (waits[i].result == -ETIME) {
			axl_queue_notify(waits[i].queue, waits[i].index);
			waits[i].result = outcome(&waits[i]);
		}
		ended += waits[i].result != -ETIME;
	}
	return ended;
}

static int sleep_until(struct axl_device *axl, struct wait *waits, u32 count, u32 enough,
		       s64 deadline)
{
	for (;;) {
		ktime_t slice = ktime_add(ktime_get(), ns_to_ktime(jiffies_to_nsecs(AXL_POLL)));
		bool last = deadline >= 0 && ktime_compare(slice, ns_to_ktime(deadline)) >= 0;
		ktime_t left = ktime_sub(last ? ns_to_ktime(deadline) : slice, ktime_get());
		int err, idx;

		if (ktime_compare(left, 0) <= 0)
			return look(waits, count) >= enough ? 0 : -ETIME;
		err = wait_event_interruptible_hrtimeout(axl->irq, look(waits, count) >= enough,
							 left);
		if (err != -ETIME)
			return err;
		if (look(waits, count) >= enough) {
			atomic64_inc(&axl->lost_interrupts);
			return 0;
		}
		if (last)
			return -ETIME;
		if (drm_dev_enter(&axl->drm, &idx)) {
			axl_hw_check(axl);
			drm_dev_exit(idx);
		}
	}
}

static int get_queues(struct axl_file *priv, const struct drm_axl_wait_entry *entries,
		      struct wait *waits, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		waits[i].index = entries[i].index;
		waits[i].queue = axl_queue_get(priv, entries[i].queue);
		if (!waits[i].queue)
			return axl_refuse(priv->axl, -ENOENT, "entry %u: queue %u", i,
					  entries[i].queue);
	}
	return 0;
}

int axl_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct axl_device *axl = to_axl(drm);
	struct drm_axl_wait *args = data;
	struct drm_axl_wait_entry *entries;
	u32 count = args->num_entries;
	struct wait *waits;
	int err;

	if (!count || count > MAX_WAITS || args->flags & ~DRM_AXL_WAIT_ALL || args->pad)
		return axl_refuse(axl, -EINVAL, "num_entries %u, flags %#x", count, args->flags);
	entries = memdup_array_user(u64_to_user_ptr(args->entries), count, sizeof(*entries));
	if (IS_ERR(entries))
		return PTR_ERR(entries);
	waits = kcalloc(count, sizeof(*waits), GFP_KERNEL);
	if (!waits) {
		kfree(entries);
		return -ENOMEM;
	}
	err = get_queues(file->driver_priv, entries, waits, count);
	if (err)
		goto out;
	err = sleep_until(axl, waits, count, args->flags & DRM_AXL_WAIT_ALL ? count : 1,
			  args->deadline_ns);
	if (err && err != -ETIME)
		goto out;
	args->ended = 0;
	for (u32 i = 0; i < count; i++) {
		entries[i].result = waits[i].result;
		args->ended += waits[i].result != -ETIME;
	}
	if (copy_to_user(u64_to_user_ptr(args->entries), entries, count * sizeof(*entries)))
		err = -EFAULT;
out:
	for (u32 i = 0; i < count; i++)
		if (waits[i].queue)
			axl_queue_put(waits[i].queue);
	kfree(waits);
	kfree(entries);
	return err;
}
