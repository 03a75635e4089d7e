// SPDX-License-Identifier: GPL-2.0-only
/* DRM events: what read() and poll() of the file tell of its queues. */
#include <linux/slab.h>
#include <drm/drm_file.h>

#include "axl_drv.h"

struct event {
	struct drm_pending_event base;
	struct drm_axl_event event;
};

int axl_event_config_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_axl_event_config *args = data;
	struct axl_file *priv = file->driver_priv;

	if (args->mask & ~(DRM_AXL_EVENT_MASK_FAULT | DRM_AXL_EVENT_MASK_RESET) || args->pad)
		return axl_refuse(to_axl(drm), -EINVAL, "mask %#x, pad %u", args->mask, args->pad);
	WRITE_ONCE(priv->events, args->mask);
	return 0;
}

/*
 * From an interrupt too. @record: of a fault. One that there is no memory or no room for is lost:
 * the state is in the status page.
 */
void axl_event_send(struct axl_queue *queue, u32 type, const struct axl_fault_record *record)
{
	struct axl_file *priv = queue->ctx->file;
	u32 bit = type == DRM_AXL_EVENT_FAULT ? DRM_AXL_EVENT_MASK_FAULT : DRM_AXL_EVENT_MASK_RESET;
	struct drm_device *drm = &queue->ctx->axl->drm;
	struct event *event;

	if (queue->kernel || !(READ_ONCE(priv->events) & bit))
		return;
	event = kzalloc(sizeof(*event), GFP_ATOMIC);
	if (!event)
		return;
	event->event = (struct drm_axl_event){
		.type = type,
		.length = sizeof(event->event),
		.queue = queue->handle,
		.cause = READ_ONCE(queue->status->error),
		.packet = READ_ONCE(queue->status->retired),
		.address = record ? record->address : 0,
		.cycle = record ? record->cycle : 0,
	};
	event->base.event = (struct drm_event *)&event->event;
	if (drm_event_reserve_init(drm, priv->drm, &event->base, event->base.event)) {
		kfree(event);
		return;
	}
	drm_send_event(drm, &event->base);
}
