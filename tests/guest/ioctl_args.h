/* SPDX-License-Identifier: MIT */
/* The arguments of any call, to be changed word by word and byte by byte. */
#ifndef TESTS_GUEST_IOCTL_ARGS_H
#define TESTS_GUEST_IOCTL_ARGS_H

#include <stdint.h>

#include <drm.h>

#include <drm/axl_accel.h>

union args {
	struct drm_axl_dev_query query;
	struct drm_axl_get_time time;
	struct drm_axl_bo_create bo_create;
	struct drm_axl_bo_info bo_info;
	struct drm_axl_vm_create vm;
	struct drm_axl_vm_bind bind;
	struct drm_axl_ctx_create ctx_create;
	struct drm_axl_ctx_destroy ctx_destroy;
	struct drm_axl_queue_create queue_create;
	struct drm_axl_queue_op queue_op;
	struct drm_axl_queue_query queue_query;
	struct drm_axl_wait wait;
	struct drm_axl_submit submit;
	struct drm_axl_fence_export fence_export;
	struct drm_axl_fence_import fence_import;
	struct drm_axl_event_config event_config;
	struct drm_axl_perf_open perf;
	struct drm_syncobj_create sync_create;
	struct drm_syncobj_destroy sync_destroy;
	struct drm_gem_close close;
	struct drm_prime_handle prime;
	uint64_t words[16];
	uint8_t bytes[128];
};

#endif
