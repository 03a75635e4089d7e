/* SPDX-License-Identifier: MIT */
/* The digits model for tests of sessions: images made from a number, and what a session of its own says of them. */
#ifndef TESTS_UNIT_RUNTIME_DIGITS_H
#define TESTS_UNIT_RUNTIME_DIGITS_H

#include <accel/runtime.h>

#define DIGITS_PIXELS 64
#define DIGITS_CLASSES 10

void digits_image(float image[DIGITS_PIXELS], unsigned int seed);
/* Views of an image and of room for the scores. */
struct accel_tensor digits_input(float image[DIGITS_PIXELS]);
struct accel_tensor digits_output(float scores[DIGITS_CLASSES]);

/* A session of $AXL_TEST_MODEL; the test fails when there is none. */
struct accel_session *digits_session(const struct accel_session_options *options);
/* What accel_session_run() returns for an image. */
int digits_run(struct accel_session *session, unsigned int seed, float scores[DIGITS_CLASSES], char *error,
	       size_t size);

/* Now and some microseconds, as run options want it. */
int64_t digits_deadline(int64_t us);

/* Scores of the images 0 to @count - 1 on @device, bit for bit what any session of its target gives. The caller's. */
float (*digits_expected(const char *device, unsigned int count))[DIGITS_CLASSES];

#endif
