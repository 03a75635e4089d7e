/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of probe and of resume fails once, in turn: N = 1, 2, … until nothing is left to fail. A probe that
 * fails leaves nothing, and the next one comes through; a device that can not be resumed says so, and the next call wakes
 * it.
 *
 * Two functions of 6.12 are spared, and nothing else:
 * - drm_sysfs_minor_alloc(): when an allocation in it fails, drm_minor_alloc_release() puts the error pointer that it has returned.
 * - register_irq_proc(): unregister_irq_proc() warns of entries of /proc/irq that there was no memory for.
 * The kernel's filter spares one range of code and knows one that must have called. So probe is swept in parts that are all of it
 * together: pages; objects that the cores allocate without the driver; those of the DRM device; those of the rest of the driver.
 *
 * Needs a kernel with CONFIG_FAULT_INJECTION_STACKTRACE_FILTER. AXL_FIRST: the N to begin with in the last part, the longest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "failing.h"

static char address[64];

static int begin(void **state)
{
	const char *missing = failing_begin();

	(void)state;
	if (missing)
		fail_msg("%s: this kernel injects no failures", missing);
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

/* Returns how many failures probe knows of what may fail now, from the failure @n on. */
static int sweep(const char *what, int n)
{
	int refused = 0, nameless = 0, err;

	while (bind(n, &err)) {
		/* Much that is for debugging only may be missing. */
		if (!err != is_bound())
			fail_msg("failure %d of %s: error %d, and it is%s bound", n, what, err, err ? "" : " not");
		refused += !!err;
		/* The PCI core says -EBUSY and -EINVAL of a BAR that it can not claim or map. */
		if (err && !failing_explains(err) && err != -ENODEV && err != -EBUSY && err != -EINVAL)
			fail_msg("failure %d of %s: error %d", n, what, err);
		/* From time to time the good case, which goes on from what the bad one left. */
		if (err && n % 16 == 0)
			assert_int_equal(guest_write_text(GUEST_DRIVER "/bind", address), 0);
		if (!err || n % 16 == 0) {
			/* The kernel tells nobody when it could not make the node in /dev. */
			int fd = guest_open();

			if (fd >= 0)
				close(fd);
			if (fd != -ENOENT || err)
				job();
			else
				nameless++;
			assert_int_equal(guest_write_text(GUEST_DRIVER "/unbind", address), 0);
		}
		assert_true(++n < FAILING_MOST);
	}
	assert_int_equal(err, 0);
	job();
	assert_int_equal(guest_write_text(GUEST_DRIVER "/unbind", address), 0);
	printf("figure probe, %s: %d failures survived, %d of them refused it, after %d there was no node\n", what,
	       n - 1, refused, nameless);
	return n - 1;
}

/* How many objects a probe allocates below the @code, and how often something is copied for it. */
static int count(const struct failing_range *code)
{
	int err, passed;

	assert_int_equal(failing_below(code), 0);
	assert_int_equal(failing_set(FAILING_NONE), 0);
	err = guest_write_text(GUEST_DRIVER "/bind", address);
	passed = failing_passed();
	failing_set(0);
	assert_int_equal(err, 0);
	assert_int_equal(guest_write_text(GUEST_DRIVER "/unbind", address), 0);
	return passed;
}

/* Where the driver's probe goes on after its call of the function @callee: what that allocates is not counted when this is spared. */
static unsigned long long call_of(const struct failing_range *callee)
{
	const struct failing_range nothing = {1, 1};
	struct failing_range probe, at;
	int copies, all;

	assert_int_equal(failing_function("axl_probe", &probe), 0);
	assert_int_equal(failing_only(FAILING_OBJECTS, NULL), 0);
	copies = count(&nothing);
	all = count(callee);
	assert_true(all > copies);
	for (at = probe; at.end - at.begin > 1;) {
		unsigned long long middle = at.begin + (at.end - at.begin) / 2;

		assert_int_equal(failing_only(FAILING_OBJECTS, &(struct failing_range){probe.begin, middle}), 0);
		if (count(callee) == copies)
			at.end = middle;
		else
			at.begin = middle;
	}
	assert_int_equal(failing_only(FAILING_OBJECTS, NULL), 0);
	assert_int_equal(count(&at), all);
	return at.begin;
}

static void every_failure_of_a_page_in_probe_is_survived(void **state)
{
	(void)state;
	assert_int_equal(guest_write_text(GUEST_DRIVER "/unbind", address), 0);
	assert_int_equal(failing_only(FAILING_PAGES, NULL), 0);
	assert_true(sweep("pages", 1) > 0);
	assert_int_equal(guest_write_text(GUEST_DRIVER "/bind", address), 0);
}

static void every_failure_of_an_object_of_the_cores_in_probe_is_survived(void **state)
{
	struct failing_range driver;

	(void)state;
	assert_int_equal(guest_write_text(GUEST_DRIVER "/unbind", address), 0);
	assert_int_equal(failing_module("axl", &driver), 0);
	assert_int_equal(failing_only(FAILING_OBJECTS, &driver), 0);
	assert_true(sweep("objects of the cores", 1) > 0);
	assert_int_equal(guest_write_text(GUEST_DRIVER "/bind", address), 0);
}

static void every_failure_of_an_object_of_the_drm_device_is_survived(void **state)
{
	struct failing_range creation, spared;

	(void)state;
	assert_int_equal(guest_write_text(GUEST_DRIVER "/unbind", address), 0);
	assert_int_equal(failing_function("__devm_drm_dev_alloc", &creation), 0);
	assert_int_equal(failing_function("drm_sysfs_minor_alloc", &spared), 0);
	assert_int_equal(failing_only(FAILING_OBJECTS, &spared), 0);
	assert_int_equal(failing_below(&creation), 0);
	assert_true(sweep("objects of the DRM device", 1) > 0);
	assert_int_equal(failing_below(NULL), 0);
	assert_int_equal(guest_write_text(GUEST_DRIVER "/bind", address), 0);
}

/* All that has an address of the driver in its stack but that of the call that makes the DRM device. */
static void every_failure_of_an_object_of_the_driver_in_probe_is_survived(void **state)
{
	struct failing_range driver, creation, spared, before, behind;
	unsigned long long at;
	int objects;

	(void)state;
	assert_int_equal(guest_write_text(GUEST_DRIVER "/unbind", address), 0);
	assert_int_equal(failing_module("axl", &driver), 0);
	assert_int_equal(failing_function("__devm_drm_dev_alloc", &creation), 0);
	at = call_of(&creation);
	assert_int_equal(failing_function("register_irq_proc", &spared), 0);
	assert_int_equal(failing_only(FAILING_OBJECTS, &spared), 0);
	before = (struct failing_range){driver.begin, at};
	behind = (struct failing_range){at + 1, driver.end};
	assert_int_equal(failing_below(&before), 0);
	objects = sweep("objects of the driver, one half", 1);
	assert_int_equal(failing_below(&behind), 0);
	objects += sweep("objects of the driver, the other half", (int)guest_setting("AXL_FIRST", 1));
	assert_true(objects > 0);
	assert_int_equal(failing_below(NULL), 0);
	assert_int_equal(guest_write_text(GUEST_DRIVER "/bind", address), 0);
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
	int survived[2] = {0};
	struct guest guest;

	(void)state;
	set_power("autosuspend_delay_ms", "20");
	set_power("control", "auto");
	assert_int_equal(guest_create(&guest, NULL), 0);
	for (int kind = 0; kind < 2; kind++) {
		bool struck = true;

		assert_int_equal(failing_only(kind, NULL), 0);
		for (int n = 1; struck; n++) {
			int err;

			await_sleep();
			assert_int_equal(failing_set(n), 0);
			err = guest_ioctl(guest.fd, DRM_IOCTL_AXL_GET_TIME, &args);
			struck = failing_struck();
			failing_set(0);
			if (err && (!struck || !failing_explains(err)))
				fail_msg("failure %d of a runtime resume: error %d", n, err);
			survived[kind] += struck;
			assert_int_equal(guest_job(&guest, (uint32_t)n), 0);
			assert_true(n < FAILING_MOST);
		}
	}
	assert_int_equal(guest_destroy(&guest), 0);
	set_power("control", "on");
	set_power("autosuspend_delay_ms", "500");
	printf("figure runtime resume: %d failures survived, and %d of pages\n", survived[0], survived[1]);
}

/*
 * The whole system's way down and up, devices one after another in this process. Only what the driver is in fails: the
 * kernel's own console does not come back from a failure of its own.
 */
static void every_failure_of_a_system_resume_is_survived(void **state)
{
	int survived[2] = {0}, slept = 0;
	struct failing_range driver;
	struct guest guest;

	(void)state;
	assert_int_equal(failing_module("axl", &driver), 0);
	assert_int_equal(failing_below(&driver), 0);
	assert_int_equal(guest_write_text("/sys/power/pm_async", "0"), 0);
	assert_int_equal(guest_write_text("/sys/power/pm_test", "devices"), 0);
	guest_write_text("/sys/module/suspend/parameters/pm_test_delay", "0");
	assert_int_equal(guest_create(&guest, NULL), 0);
	for (int kind = 0; kind < 2; kind++) {
		bool struck = true;

		assert_int_equal(failing_only(kind, NULL), 0);
		for (int n = 1; struck; n++) {
			int fd = open("/sys/power/state", O_WRONLY | O_CLOEXEC), err;

			assert_true(fd >= 0);
			assert_int_equal(failing_set(n), 0);
			err = write(fd, "mem", 3) < 0 ? -errno : 0;
			struck = failing_struck();
			failing_set(0);
			close(fd);
			if (err && !struck)
				fail_msg("a suspend without failures: error %d", err);
			survived[kind] += struck;
			slept += struck && !err;
			assert_int_equal(guest_job(&guest, (uint32_t)n), 0);
			assert_true(n < FAILING_MOST);
		}
	}
	assert_int_equal(guest_destroy(&guest), 0);
	guest_write_text("/sys/power/pm_test", "none");
	assert_int_equal(failing_below(NULL), 0);
	printf("figure system suspend and resume: %d failures survived, and %d of pages; asleep in spite of %d\n",
	       survived[0], survived[1], slept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failure_of_a_runtime_resume_is_survived),
		cmocka_unit_test(every_failure_of_a_system_resume_is_survived),
		cmocka_unit_test(every_failure_of_a_page_in_probe_is_survived),
		cmocka_unit_test(every_failure_of_an_object_of_the_cores_in_probe_is_survived),
		cmocka_unit_test(every_failure_of_an_object_of_the_drm_device_is_survived),
		cmocka_unit_test(every_failure_of_an_object_of_the_driver_in_probe_is_survived),
	};

	return check_run("fail-probe", tests, begin, finish);
}
