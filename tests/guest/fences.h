/* SPDX-License-Identifier: MIT */
/* Syncobjs by their raw ioctls, and jobs through the kernel's scheduler. Calls return 0 or a negative errno. */
#ifndef TESTS_GUEST_FENCES_H
#define TESTS_GUEST_FENCES_H

#include "guest.h"

/* A syncobj, or 0. */
uint32_t fences_create(struct guest *guest);
void fences_destroy(struct guest *guest, uint32_t syncobj);
/* Until the syncobj's @point (0: it is a binary one) signals, or -ETIME after @ns. */
int fences_wait(struct guest *guest, uint32_t syncobj, uint64_t point, int64_t ns);
/* How the fence of a binary syncobj ended: 1 well, 0 not yet, or its error. */
int fences_status(struct guest *guest, uint32_t syncobj);

/*
 * A syncobj whose fence comes when the next packet of @bounded, a queue with AXL_QUEUE_BOUNDED, has retired, or the
 * driver loses its patience; 0: none.
 */
uint32_t fences_later(struct guest *guest, const struct guest *bounded);

/* VM_BIND behind @in and before @out, each NULL or one sync. */
int fences_bind(struct guest *guest, const struct drm_axl_bind_op *ops, uint32_t count, const struct drm_axl_sync *in,
		const struct drm_axl_sync *out);

/* A context that can SUBMIT, in the guest's address space; its handle, or a negative errno. */
int fences_context(struct guest *guest);
/* @in, @out: NULL or one sync */
int fences_submit(struct guest *guest, uint32_t ctx, const union axl_packet *packets, uint32_t count,
		  const struct drm_axl_sync *in, const struct drm_axl_sync *out);

union axl_packet fences_fill(uint64_t dst, uint32_t pattern, uint64_t size);
union axl_packet fences_execute(uint64_t cmdbuf, uint32_t size);

#endif
