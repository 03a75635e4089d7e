/* SPDX-License-Identifier: MIT */
/*
 * What tests of libaccel begin with: a device, a context and a queue in the device's address space. The device is in
 * this process, or the one that AXL_DEVICE names (tests/vm/suite runs them on /dev/accel/accel0).
 */
#ifndef TESTS_UNIT_ACCEL_RIG_H
#define TESTS_UNIT_ACCEL_RIG_H

#include <setjmp.h>
#include <stdarg.h>

#include <accel/accel.h>
#include <cmocka.h>

#define SECOND 1000000000ll

struct rig {
	struct accel_device *device;
	struct accel_context *context;
	struct accel_queue *queue;
};

/* The name of the device under test, and whether it is behind the kernel driver. */
const char *rig_device(void);
bool rig_is_kernel(void);

/* cmocka's setup and teardown: *state is a struct rig. */
int rig_setup(void **state);
int rig_teardown(void **state);

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

/* The deadline @ns from now. */
int64_t in(int64_t ns);

#endif
