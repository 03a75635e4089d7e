// SPDX-License-Identifier: GPL-2.0-only
/* DRM events: what read() and poll() of the file tell of its queues. */
#include <linux/eventfd.h>
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
	struct eventfd_ctx *eventfd = NULL;

	if (args->mask & ~(DRM_AXL_EVENT_MASK_FAULT | DRM_AXL_EVENT_MASK_RESET) ||
	    args->flags & ~DRM_AXL_EVENT_FD || args->pad)
		return axl_refuse(to_axl(drm), -EINVAL, "mask %#x, flags %#x, pad %u", args->mask,
				  args->flags, args->pad);
	if (args->flags & DRM_AXL_EVENT_FD)
		eventfd = eventfd_ctx_fdget(args->eventfd);
	else if (args->eventfd)
		return axl_refuse(to_axl(drm), -EINVAL, "eventfd %d without the flag",
				  args->eventfd);
	if (IS_ERR(eventfd))
		return axl_refuse(to_axl(drm), PTR_ERR(eventfd), "eventfd %d", args->eventfd);
	axl_event_config(file->driver_priv, args->mask, eventfd);
	return 0;
}

/* Takes the reference of @eventfd, which may be NULL. */
void axl_event_config(struct axl_file *priv, u32 mask, struct eventfd_ctx *eventfd)
{
	spin_lock_irq(&priv->event_lock);
	priv->events = mask;
	swap(priv->eventfd, eventfd);
	spin_unlock_irq(&priv->event_lock);
	if (eventfd)
		eventfd_ctx_put(eventfd);
}

static bool make_event(struct axl_queue *queue, u32 type, const struct axl_fault_record *record)
{
	struct drm_device *drm = &queue->ctx->axl->drm;
	struct event *event = kzalloc(sizeof(*event), GFP_ATOMIC);

	if (!event)
		return false;
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
	if (drm_event_reserve_init(drm, queue->ctx->file->drm, &event->base, event->base.event)) {
		kfree(event);
		return false;
	}
	drm_send_event(drm, &event->base);
	return true;
}

/*
 * From an interrupt too. @record: of a fault. One that there is no memory or no room for is lost:
 * the state is in the status page.
 */
void axl_event_send(struct axl_queue *queue, u32 type, const struct axl_fault_record *record)
{
	u32 bit = type == DRM_AXL_EVENT_FAULT ? DRM_AXL_EVENT_MASK_FAULT : DRM_AXL_EVENT_MASK_RESET;
	struct axl_file *priv = queue->ctx->file;
	unsigned long flags;

	if (queue->kernel)
		return;
	/* Held to the end: a file that closes has no event after axl_event_config(). */
	spin_lock_irqsave(&priv->event_lock, flags);
	if (priv->events & bit) {
		if (!make_event(queue, type, record))
			drm_dbg_driver(&queue->ctx->axl->drm, "an event of queue %u is lost\n",
				       queue->number);
		if (priv->eventfd)
			eventfd_signal(priv->eventfd);
	}
	spin_unlock_irqrestore(&priv->event_lock, flags);
}
