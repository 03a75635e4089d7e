/* SPDX-License-Identifier: MIT */
/* See digits.h. */
#include "tests/unit/runtime/digits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

void digits_image(float image[DIGITS_PIXELS], unsigned int seed)
{
	for (int i = 0; i < DIGITS_PIXELS; i++) {
		seed = seed * 1664525u + 1013904223u;
		image[i] = (float)(seed >> 8) / 16777216.0f;
	}
}

struct accel_tensor digits_input(float image[DIGITS_PIXELS])
{
	return (struct accel_tensor){
		.dtype = 1, .rank = 4, .dims = {1, 1, 8, 8}, .data = image, .size = DIGITS_PIXELS * sizeof(*image)};
}

struct accel_tensor digits_output(float scores[DIGITS_CLASSES])
{
	return (struct accel_tensor){.data = scores, .size = DIGITS_CLASSES * sizeof(*scores)};
}

struct accel_session *digits_session(const struct accel_session_options *options)
{
	struct accel_session *session;
	char error[512] = "";

	if (accel_session_create(getenv("AXL_TEST_MODEL"), options, &session, error, sizeof(error)))
		fail_msg("%s", error);
	return session;
}

int digits_run(struct accel_session *session, unsigned int seed, float scores[DIGITS_CLASSES], char *error, size_t size)
{
	float image[DIGITS_PIXELS];
	struct accel_tensor input = digits_input(image), output = digits_output(scores);

	digits_image(image, seed);
	return accel_session_run(session, &input, 1, &output, 1, error, size);
}

int64_t digits_deadline(int64_t us)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec + us * 1000;
}

float (*digits_expected(const char *device, unsigned int count))[DIGITS_CLASSES]
{
	const struct accel_session_options options = {.device = device, .threads = 1};
	struct accel_session *session = digits_session(&options);
	float(*scores)[DIGITS_CLASSES] = calloc(count, sizeof(*scores));

	assert_non_null(scores);
	for (unsigned int n = 0; n < count; n++)
		assert_int_equal(digits_run(session, n, scores[n], NULL, 0), 0);
	accel_session_destroy(session);
	return scores;
}
