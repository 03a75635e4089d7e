/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rig.h"

int64_t in(int64_t ns)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec + ns;
}

const char *rig_device(void)
{
	const char *name = getenv("AXL_DEVICE");

	return name ? name : "sim:threads=1,spin=20";
}

bool rig_is_kernel(void)
{
	return strncmp(rig_device(), "sim:", 4) != 0;
}

int rig_setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	char error[600];

	if (accel_open(rig_device(), &rig->device, error, sizeof(error)))
		fail_msg("%s", error);
	assert_int_equal(accel_context_create(accel_device_vm(rig->device), &rig->context), 0);
	assert_int_equal(accel_queue_create(rig->context, NULL, &rig->queue), 0);
	*state = rig;
	return 0;
}

int rig_teardown(void **state)
{
	struct rig *rig = *state;

	accel_queue_destroy(rig->queue);
	assert_int_equal(accel_context_destroy(rig->context), 0);
	accel_close(rig->device);
	free(rig);
	return 0;
}
