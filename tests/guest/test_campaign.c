/* SPDX-License-Identifier: MIT */
/*
 * The runtime on the driver's device (AXL_DEVICE) while somebody breaks it: AXL_RUNS requests (100) from each of eight threads, by what
 * the session does about a fault. AXL_FAULTS: fail when no fault was seen. AXL_FILTER: only tests of that name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "tests/unit/runtime/campaign.h"

#define PATIENCE_US 60000000

/* A device that is just being broken can not be opened at all: it is asked again. */
static struct accel_session *open_session(const struct accel_session_options *options)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	int64_t deadline = digits_deadline(PATIENCE_US);
	struct accel_session *session;
	char error[512];

	while (accel_session_create(getenv("AXL_TEST_MODEL"), options, &session, error, sizeof(error))) {
		if (digits_deadline(0) > deadline)
			fail_msg("%s", error);
		nanosleep(&pause, NULL);
	}
	return session;
}

static void run_campaign(enum accel_on_fault on_fault, const char *name)
{
	const struct accel_session_options options = {
		.device = getenv("AXL_DEVICE"), .threads = 1, .depth = 8, .on_fault = on_fault};
	const char *runs = getenv("AXL_RUNS");
	struct campaign campaign = {.runs = runs ? (unsigned int)atoi(runs) : 100,
				    .may_fail = on_fault != ACCEL_FAULT_CPU};
	struct accel_session *session = open_session(&options);
	unsigned int good = 0, failed = 0, rounds = 0;
	int64_t deadline = digits_deadline(PATIENCE_US);

	/* Who breaks the device takes his time: until he has met this session. */
	do {
		campaign_run(&campaign, session);
		good += campaign.good;
		failed += campaign.failed;
		rounds++;
	} while (getenv("AXL_FAULTS") && !campaign.faults && digits_deadline(0) < deadline);
	printf("figure %u requests from %d threads, %s: %u right, %u failed, %llu faults\n",
	       rounds * CAMPAIGN_THREADS * campaign.runs, CAMPAIGN_THREADS, name, good, failed,
	       (unsigned long long)campaign.faults);
	accel_session_destroy(session);
	if (getenv("AXL_FAULTS"))
		assert_true(campaign.faults > 0);
}

static void a_fault_is_reported(void **state)
{
	(void)state;
	run_campaign(ACCEL_FAULT_REPORT, "faults reported");
}

static void a_run_is_done_again(void **state)
{
	(void)state;
	run_campaign(ACCEL_FAULT_RETRY, "done again on the device");
}

/* None fails but those that are cancelled or late. */
static void the_cpu_does_it(void **state)
{
	(void)state;
	run_campaign(ACCEL_FAULT_CPU, "done again on the CPU");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_is_reported),
		cmocka_unit_test(a_run_is_done_again),
		cmocka_unit_test(the_cpu_does_it),
	};

	if (getenv("AXL_FILTER"))
		cmocka_set_test_filter(getenv("AXL_FILTER"));
	return cmocka_run_group_tests(tests, campaign_make_answers, campaign_free_answers);
}
