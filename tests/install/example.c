/* SPDX-License-Identifier: MIT */
/*
 * A program against the installed library: fill a buffer on the device, wait, look. Built by install.sh with nothing but
 * pkg-config, as C and as C++.
 */
#include <stdio.h>

#include <accel/accel.h>

int main(void)
{
	struct accel_device *device;
	struct accel_context *context;
	struct accel_queue *queue;
	struct accel_buffer *buffer;
	struct accel_device_info info;
	char error[200];
	uint64_t index;

	if (accel_open("sim:", &device, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	accel_device_info(device, &info);
	if (accel_context_create(accel_device_vm(device), &context) || accel_queue_create(context, NULL, &queue) ||
	    accel_buffer_create(device, 4096, ACCEL_BUFFER_LOCAL | ACCEL_BUFFER_WRITE, &buffer))
		return 1;
	accel_packet_fill(accel_queue_next(queue), accel_buffer_address(buffer), 0x2a2a2a2a, 4096);
	index = accel_queue_submit(queue);
	if (accel_queue_wait(queue, index, ACCEL_FOREVER))
		return 1;
	printf("libaccel %s, %s: %d\n", accel_version(), info.target, ((unsigned char *)accel_buffer_data(buffer))[4095]);
	index = ((unsigned char *)accel_buffer_data(buffer))[4095];
	accel_queue_destroy(queue);
	accel_context_destroy(context);
	accel_buffer_destroy(buffer);
	accel_close(device);
	return index == 42 ? 0 : 1;
}
