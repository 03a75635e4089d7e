/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of probe and of resume fails once, in turn: N = 1, 2, … until nothing is left to fail. A probe that
 * fails leaves nothing, and the next one comes through; a device that can not be resumed says so, and the next call wakes
 * it.
 *
 * DRM 6.12 oopses when an allocation in drm_sysfs_minor_alloc() fails (drm_minor_alloc_release() puts the error pointer
 * that it has returned): what that function allocates is spared, and nothing else.
 *
 * Needs a kernel with CONFIG_FAULT_INJECTION_STACKTRACE_FILTER. AXL_FIRST: the N to begin with in probe.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "failing.h"

#define SPARED "drm_sysfs_minor_alloc"

static char address[64];

static int begin(void **state)
{
	const char *missing = failing_begin();
	int err;

	(void)state;
	if (missing)
		fail_msg("%s: this kernel injects no failures", missing);
	err = failing_spare(SPARED);
	if (err)
		fail_msg(SPARED " can not be spared: %s", strerror(-err));
	assert_true(guest_find_device(address));
	check_taint = guest_taint();
	alarm(1800);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	failing_set(0);
	alarm(0);
	return guest_taint() == check_taint ? 0 : -1;
}

/* ---- probe ---- */

static bool is_bound(void)
{
	char path[160];

	snprintf(path, sizeof(path), GUEST_DRIVER "/%s", address);
	return !access(path, F_OK);
}

static void job(void)
{
	struct guest guest;

	assert_int_equal(guest_create(&guest, NULL), 0);
	assert_int_equal(guest_job(&guest, 1), 0);
	assert_int_equal(guest_destroy(&guest), 0);
}

/* With the @n-th allocation failing; whether there was one. */
static bool bind(int n, int *err)
{
	int fd = open(GUEST_DRIVER "/bind", O_WRONLY | O_CLOEXEC);
	bool struck;

	assert_true(fd >= 0);
	assert_int_equal(failing_set(n), 0);
	*err = write(fd, address, strlen(address)) < 0 ? -errno : 0;
	struck = failing_struck();
	failing_set(0);
	close(fd);
	return struck;
}

static void every_failure_of_probe_is_survived(void **state)
{
	int refused = 0, n = (int)guest_setting("AXL_FIRST", 1), err;

	(void)state;
	assert_int_equal(guest_write_text(GUEST_DRIVER "/unbind", address), 0);
	while (bind(n, &err)) {
		/* Much that is for debugging only may be missing. */
		if (!err != is_bound())
			fail_msg("failure %d of probe: error %d, and it is%s bound", n, err, err ? "" : " not");
		refused += !!err;
		/* The PCI core says -EBUSY and -EINVAL of a BAR that it can not claim or map. */
		if (err && !failing_explains(err) && err != -ENODEV && err != -EBUSY && err != -EINVAL)
			fail_msg("failure %d of probe: error %d", n, err);
		/* From time to time the good case, which goes on from what the bad one left. */
		if (err && n % 16 == 0)
			assert_int_equal(guest_write_text(GUEST_DRIVER "/bind", address), 0);
		if (!err || n % 16 == 0) {
			job();
			assert_int_equal(guest_write_text(GUEST_DRIVER "/unbind", address), 0);
		}
		assert_true(++n < FAILING_MOST);
	}
	assert_int_equal(err, 0);
	assert_true(refused > 0);
	job();
	printf("figure probe: %d failures survived, %d of them refused it; spared: " SPARED "\n", n - 1, refused);
}

/* ---- resume ---- */

static void set_power(const char *name, const char *value)
{
	char path[160];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/power/%s", address, name);
	assert_int_equal(guest_write_text(path, value), 0);
}

static void await_sleep(void)
{
	int64_t end = guest_in(20 * SECOND);
	char path[160], text[32] = "";

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/power/runtime_status", address);
	while (strcmp(text, "suspended")) {
		assert_true(guest_now() < end);
		guest_sleep(2 * MILLISECOND);
		guest_read_text(path, text, sizeof(text));
	}
}

/* A call that wakes the device, in this process from the registers to the tables. */
static void every_failure_of_a_runtime_resume_is_survived(void **state)
{
	struct drm_axl_get_time args = {0};
	bool struck = true;
	struct guest guest;
	int n = 1;

	(void)state;
	set_power("autosuspend_delay_ms", "20");
	set_power("control", "auto");
	assert_int_equal(guest_create(&guest, NULL), 0);
	for (; struck; n++) {
		int err;

		await_sleep();
		assert_int_equal(failing_set(n), 0);
		err = guest_ioctl(guest.fd, DRM_IOCTL_AXL_GET_TIME, &args);
		struck = failing_struck();
		failing_set(0);
		if (err && (!struck || !failing_explains(err)))
			fail_msg("failure %d of a runtime resume: error %d", n, err);
		assert_int_equal(guest_job(&guest, (uint32_t)n), 0);
		assert_true(n < FAILING_MOST);
	}
	assert_int_equal(guest_destroy(&guest), 0);
	set_power("control", "on");
	set_power("autosuspend_delay_ms", "500");
	printf("figure runtime resume: %d failures survived\n", n - 2);
}

/*
 * The whole system's way down and up, devices one after another in this process. Only what the driver is in fails: the
 * kernel's own console does not come back from a failure of its own.
 */
static void every_failure_of_a_system_resume_is_survived(void **state)
{
	bool struck = true;
	struct guest guest;
	int n = 1, slept = 0;

	(void)state;
	assert_int_equal(failing_below("axl"), 0);
	assert_int_equal(guest_write_text("/sys/power/pm_async", "0"), 0);
	assert_int_equal(guest_write_text("/sys/power/pm_test", "devices"), 0);
	guest_write_text("/sys/module/suspend/parameters/pm_test_delay", "0");
	assert_int_equal(guest_create(&guest, NULL), 0);
	for (; struck; n++) {
		int fd = open("/sys/power/state", O_WRONLY | O_CLOEXEC), err;

		assert_true(fd >= 0);
		assert_int_equal(failing_set(n), 0);
		err = write(fd, "mem", 3) < 0 ? -errno : 0;
		struck = failing_struck();
		failing_set(0);
		close(fd);
		slept += !err;
		if (err && !struck)
			fail_msg("a suspend without failures: error %d", err);
		assert_int_equal(guest_job(&guest, (uint32_t)n), 0);
		assert_true(n < FAILING_MOST);
	}
	assert_true(slept > 0);
	assert_int_equal(guest_destroy(&guest), 0);
	guest_write_text("/sys/power/pm_test", "none");
	assert_int_equal(failing_below(NULL), 0);
	printf("figure system suspend and resume: %d failures survived, %d of them asleep\n", n - 2, slept - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failure_of_a_runtime_resume_is_survived),
		cmocka_unit_test(every_failure_of_a_system_resume_is_survived),
		cmocka_unit_test(every_failure_of_probe_is_survived),
	};

	return check_run("fail-probe", tests, begin, finish);
}
