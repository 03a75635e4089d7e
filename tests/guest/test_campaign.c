/* SPDX-License-Identifier: MIT */
/*
 * The runtime on the driver's device (AXL_DEVICE) while somebody breaks it: AXL_RUNS requests (100) from each of eight threads, by what
 * the session does about a fault. AXL_FAULTS: fail when no fault was seen. AXL_RETURNS: go on until the device was taken away and given
 * back so often, and work on it then. AXL_FILTER: only tests of that name.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

/* Files of devices that this process has open. */
static unsigned int count_files(void)
{
	DIR *files = opendir("/proc/self/fd");
	unsigned int count = 0;
	struct dirent *entry;

	assert_non_null(files);
	while ((entry = readdir(files))) {
		char target[64] = "";

		if (readlinkat(dirfd(files), entry->d_name, target, sizeof(target) - 1) > 0)
			count += !strncmp(target, "/dev/accel/", strlen("/dev/accel/"));
	}
	closedir(files);
	return count;
}

/* Maps of devices' memory, of all files that were ever opened. */
static unsigned int count_maps(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned int count = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		count += strstr(line, "/dev/accel/") || strstr(line, "drm mm object");
	fclose(maps);
	return count;
}

/* One run after the other, until one was done by the device; of what was before nothing is open then. */
static void work_on_what_is_there(struct accel_session *session)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	int64_t deadline = digits_deadline(PATIENCE_US);
	struct accel_device_stats before, now;
	float scores[DIGITS_CLASSES];
	char error[512] = "";

	assert_int_equal(accel_session_device_stats(session, 0, &before), 0);
	do {
		int err = digits_run(session, 1, scores, error, sizeof(error));

		if (digits_deadline(0) > deadline)
			fail_msg("the device is not used again: %d, %s", err, error);
		accel_session_device_stats(session, 0, &now);
		if (err || now.requests == before.requests)
			nanosleep(&pause, NULL);
	} while (now.requests == before.requests);
	assert_memory_equal(scores, campaign_on_device[1], sizeof(scores));
	assert_int_equal(count_files(), 1);
}

static void run_campaign(enum accel_on_fault on_fault, const char *name)
{
	const struct accel_session_options options = {
		.device = getenv("AXL_DEVICE"), .threads = 1, .depth = 8, .on_fault = on_fault};
	const char *runs = getenv("AXL_RUNS");
	struct campaign campaign = {.runs = runs ? (unsigned int)atoi(runs) : 100,
				    .may_fail = on_fault != ACCEL_FAULT_CPU};
	struct accel_session *session = open_session(&options);
	const char *wanted = getenv("AXL_RETURNS");
	unsigned int good = 0, failed = 0, rounds = 0;
	unsigned int returns = wanted ? (unsigned int)atoi(wanted) : 0;
	int64_t deadline = digits_deadline((returns + 1) * (int64_t)PATIENCE_US);
	bool faulted = false;

	/* Who breaks the device takes his time: until he has met this session. */
	do {
		campaign_run(&campaign, session);
		good += campaign.good;
		failed += campaign.failed;
		rounds++;
		faulted |= campaign.faults > 0;
	} while (((getenv("AXL_FAULTS") && !faulted) || campaign.returns < returns) && digits_deadline(0) < deadline);
	printf("figure %u requests from %d threads, %s: %u right, %u failed, %llu faults, %llu returns\n",
	       rounds * CAMPAIGN_THREADS * campaign.runs, CAMPAIGN_THREADS, name, good, failed,
	       (unsigned long long)campaign.faults, (unsigned long long)campaign.returns);
	fflush(stdout);
	assert_true(good > 0);
	if (returns)
		work_on_what_is_there(session);
	assert_in_range(campaign.returns, returns, UINT64_MAX);
	accel_session_destroy(session);
	assert_int_equal(count_files(), 0);
	assert_int_equal(count_maps(), 0);
	if (getenv("AXL_FAULTS"))
		assert_true(faulted);
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
