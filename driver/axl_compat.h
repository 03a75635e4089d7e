/* SPDX-License-Identifier: GPL-2.0-only */
/* Forms that differ between kernel releases; the Kbuild finds out by compiling (AXL_HAVE_*), never
 * by version. */
#ifndef AXL_COMPAT_H
#define AXL_COMPAT_H

#ifdef AXL_HAVE_SCHED_CLIENT_ID
#define AXL_SCHED_CLIENT(file) , (file)->client_id
#else
#define AXL_SCHED_CLIENT(file)
#endif

#ifdef AXL_HAVE_SCHED_START_ERRNO
#define AXL_SCHED_START_ERRNO , 0
#else
#define AXL_SCHED_START_ERRNO
#endif

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
