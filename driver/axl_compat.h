/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Forms that differ between kernel releases; the Kbuild finds out by compiling (AXL_HAVE_*), never
 * by version.
 */
#ifndef AXL_COMPAT_H
#define AXL_COMPAT_H

#include <drm/drm_file.h>
#include <drm/gpu_scheduler.h>

static inline int axl_sched_job_init(struct drm_sched_job *job, struct drm_sched_entity *entity,
				     u32 credits, struct drm_file *file)
{
#ifdef AXL_HAVE_SCHED_CLIENT_ID
	return drm_sched_job_init(job, entity, credits, NULL, file->client_id);
#else
	return drm_sched_job_init(job, entity, credits, NULL);
#endif
}

static inline void axl_sched_start(struct drm_gpu_scheduler *sched)
{
#ifdef AXL_HAVE_SCHED_START_ERRNO
	drm_sched_start(sched, 0);
#else
	drm_sched_start(sched);
#endif
}

#ifdef AXL_HAVE_SCHED_STAT_RESET
#define AXL_SCHED_STAT_RESET DRM_GPU_SCHED_STAT_RESET
#else
#define AXL_SCHED_STAT_RESET DRM_GPU_SCHED_STAT_NOMINAL
#endif

#ifndef AXL_HAVE_VMAP_UNLOCKED
#define drm_gem_vmap_unlocked drm_gem_vmap
#define drm_gem_vunmap_unlocked drm_gem_vunmap
#endif

#endif
