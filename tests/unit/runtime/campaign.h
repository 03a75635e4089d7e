/* SPDX-License-Identifier: MIT */
/*
 * Requests of the digits model from eight threads to a session whose devices fail: answers are right, or the request has failed, and
 * every request ends.
 */
#ifndef TESTS_UNIT_RUNTIME_CAMPAIGN_H
#define TESTS_UNIT_RUNTIME_CAMPAIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/runtime/digits.h"

#define CAMPAIGN_IMAGES 16
#define CAMPAIGN_THREADS 8

/*
 * The answers that are right, for digits_image(0) to CAMPAIGN_IMAGES - 1: of the device in this process, which are any device's, bit for
 * bit, and of the CPU. Set-up and clean-up of a group of tests, before anything is broken.
 */
extern float (*campaign_on_device)[DIGITS_CLASSES], (*campaign_on_cpu)[DIGITS_CLASSES];
int campaign_make_answers(void **state);
int campaign_free_answers(void **state);

/*
 * @runs:     requests of each thread
 * @may_fail: requests that nobody cancels and that have no deadline may fail as well
 * What campaign_run() counts:
 * @good, @failed: requests by their end; @faults: of the devices, those that are gone included; @returns: how often one came back
 */
struct campaign {
	unsigned int runs;
	bool may_fail;

	unsigned int good, failed;
	uint64_t faults, returns;
};

/* The test fails when an answer is wrong or a request is lost. One that hangs hangs the test. */
void campaign_run(struct campaign *campaign, struct accel_session *session);

#endif
