/* SPDX-License-Identifier: MIT */
/* See bound.h. */
#include "tests/unit/runtime/bound.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/runtime/digits.h"

struct bound bound_of(struct accel_session *session, struct accel_buffer *buffer, uint64_t size, unsigned int use)
{
	struct bound bound = {.buffer = buffer, .data = accel_buffer_data(buffer)};
	char error[256] = "";

	if (accel_binding_create(session, buffer, 0, size, use, &bound.binding, error, sizeof(error)))
		fail_msg("%s", error);
	assert_non_null(bound.binding);
	assert_string_equal(error, "");
	if (bound.data)
		memset(bound.data, 0xa5, accel_buffer_size(buffer));
	return bound;
}

struct bound bound_create(struct accel_session *session, size_t device, uint64_t size, unsigned int flags,
			  unsigned int use)
{
	struct accel_buffer *buffer;

	assert_int_equal(accel_buffer_create(accel_session_device(session, device), size, flags, &buffer), 0);
	return bound_of(session, buffer, size, use);
}

void bound_destroy(struct bound *bound)
{
	assert_int_equal(accel_binding_destroy(bound->binding), 0);
	assert_int_equal(accel_buffer_destroy(bound->buffer), 0);
	*bound = (struct bound){0};
}

struct accel_tensor bound_image(const struct bound *bound, unsigned int seed)
{
	float image[DIGITS_PIXELS];
	struct accel_tensor input = digits_input(image);

	digits_image(image, seed);
	memcpy(bound->data, image, sizeof(image));
	input.data = NULL;
	input.size = 0;
	input.binding = bound->binding;
	return input;
}

struct accel_tensor bound_scores(const struct bound *bound)
{
	return (struct accel_tensor){.binding = bound->binding};
}
