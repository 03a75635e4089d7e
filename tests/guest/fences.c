/* SPDX-License-Identifier: MIT */
/* See fences.h. */
#include "fences.h"

#include <errno.h>
#include <linux/sync_file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <drm.h>

uint32_t fences_create(struct guest *guest)
{
	struct drm_syncobj_create args = {0};

	return guest_ioctl(guest->fd, DRM_IOCTL_SYNCOBJ_CREATE, &args) ? 0 : args.handle;
}

void fences_destroy(struct guest *guest, uint32_t syncobj)
{
	struct drm_syncobj_destroy args = {.handle = syncobj};

	guest_ioctl(guest->fd, DRM_IOCTL_SYNCOBJ_DESTROY, &args);
}

int fences_wait(struct guest *guest, uint32_t syncobj, uint64_t point, int64_t ns)
{
	struct drm_syncobj_timeline_wait timeline = {
		.handles = (uintptr_t)&syncobj,
		.points = (uintptr_t)&point,
		.timeout_nsec = guest_in(ns),
		.count_handles = 1,
	};
	struct drm_syncobj_wait binary = {
		.handles = (uintptr_t)&syncobj, .timeout_nsec = guest_in(ns), .count_handles = 1};

	return point ? guest_ioctl(guest->fd, DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &timeline)
		     : guest_ioctl(guest->fd, DRM_IOCTL_SYNCOBJ_WAIT, &binary);
}

int fences_status(struct guest *guest, uint32_t syncobj)
{
	struct drm_syncobj_handle handle = {
		.handle = syncobj, .flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE, .fd = -1};
	struct sync_file_info info = {0};
	int err = guest_ioctl(guest->fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &handle);

	if (err)
		return err;
	err = ioctl(handle.fd, SYNC_IOC_FILE_INFO, &info) ? -errno : info.status;
	close(handle.fd);
	return err;
}

uint32_t fences_later(struct guest *guest, const struct guest *bounded)
{
	uint32_t handle = fences_create(guest);
	struct drm_axl_fence_export args = {
		.queue = bounded->queue, .index = bounded->head + 1, .sync = {.handle = handle}};

	if (!handle || !guest_ioctl(guest->fd, DRM_IOCTL_AXL_FENCE_EXPORT, &args))
		return handle;
	fences_destroy(guest, handle);
	return 0;
}

int fences_bind(struct guest *guest, const struct drm_axl_bind_op *ops, uint32_t count, const struct drm_axl_sync *in,
		const struct drm_axl_sync *out)
{
	struct drm_axl_vm_bind args = {
		.vm = guest->vm,
		.num_ops = count,
		.stride = sizeof(*ops),
		.ops = (uintptr_t)ops,
		.num_in = in != NULL,
		.in = (uintptr_t)in,
		.num_out = out != NULL,
		.out = (uintptr_t)out,
	};

	return guest_ioctl(guest->fd, DRM_IOCTL_AXL_VM_BIND, &args);
}

int fences_context(struct guest *guest)
{
	struct drm_axl_ctx_create args = {.vm = guest->vm, .flags = DRM_AXL_CTX_SUBMIT};
	int err = guest_ioctl(guest->fd, DRM_IOCTL_AXL_CTX_CREATE, &args);

	return err ? err : (int)args.ctx;
}

int fences_submit(struct guest *guest, uint32_t ctx, const union axl_packet *packets, uint32_t count,
		  const struct drm_axl_sync *in, const struct drm_axl_sync *out)
{
	struct drm_axl_submit args = {
		.ctx = ctx,
		.packets = (uintptr_t)packets,
		.num_packets = count,
		.num_in = in != NULL,
		.in = (uintptr_t)in,
		.num_out = out != NULL,
		.out = (uintptr_t)out,
	};

	return guest_ioctl(guest->fd, DRM_IOCTL_AXL_SUBMIT, &args);
}

union axl_packet fences_fill(uint64_t dst, uint32_t pattern, uint64_t size)
{
	union axl_packet packet = {.bytes = {0}};

	packet.header.opcode = AXL_PKT_FILL;
	packet.fill.dst = dst;
	packet.fill.pattern = pattern;
	packet.fill.size = size;
	return packet;
}

union axl_packet fences_execute(uint64_t cmdbuf, uint32_t size)
{
	union axl_packet packet = {.bytes = {0}};

	packet.header.opcode = AXL_PKT_EXECUTE;
	packet.execute.cmdbuf = cmdbuf;
	packet.execute.size = size;
	return packet;
}
