/* SPDX-License-Identifier: MIT */
/* Buffers that are bound to tensors of a session, for tests. */
#ifndef TESTS_UNIT_RUNTIME_BOUND_H
#define TESTS_UNIT_RUNTIME_BOUND_H

#include <accel/accel.h>
#include <accel/runtime.h>

struct bound {
	struct accel_buffer *buffer;
	struct accel_binding *binding;
	uint8_t *data;
};

/* A buffer of device @device of @session, all of it bound for @use; 0xa5 everywhere. The test fails when that can not be. */
struct bound bound_create(struct accel_session *session, size_t device, uint64_t size, unsigned int flags,
			  unsigned int use);
/* The same of a buffer that is there, which bound_destroy() destroys too. */
struct bound bound_of(struct accel_session *session, struct accel_buffer *buffer, uint64_t size, unsigned int use);
void bound_destroy(struct bound *bound);

/* An input and an output of the digits network where they are bound. */
struct accel_tensor bound_image(const struct bound *bound, unsigned int seed);
struct accel_tensor bound_scores(const struct bound *bound);

#endif
