/* SPDX-License-Identifier: MIT */
/*
 * libaccel in one page: a buffer on the device, a queue, two packets, one wait.
 *
 *	cc fill.c $(pkg-config --cflags --libs accel) -o fill && ./fill [DEVICE]
 *
 * DEVICE is "sim:" (the model in this process, no hardware and no root), /dev/accel/accel0, or a PCI address as "pci:01:00.0".
 */
#include <stdio.h>
#include <string.h>

#include <accel/accel.h>

#define BYTES 4096
#define PATTERN 0x2a2a2a2a

int main(int argc, char **argv)
{
	struct accel_device *device = NULL;
	struct accel_context *context = NULL;
	struct accel_queue *queue = NULL;
	struct accel_buffer *source = NULL, *target = NULL;
	struct accel_device_info info;
	const unsigned char *bytes;
	char error[256];
	uint64_t index;
	int err = accel_open(argc > 1 ? argv[1] : "sim:", &device, error, sizeof(error));

	if (err) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	accel_device_info(device, &info);
	/* A context is an address space's place on the device; a queue is a ring in memory that the device reads. */
	err = accel_context_create(accel_device_vm(device), &context);
	if (!err)
		err = accel_queue_create(context, NULL, &queue);
	if (!err)
		err = accel_buffer_create(device, BYTES, ACCEL_BUFFER_LOCAL | ACCEL_BUFFER_WRITE, &source);
	if (!err)
		err = accel_buffer_create(device, BYTES, ACCEL_BUFFER_LOCAL | ACCEL_BUFFER_WRITE, &target);
	if (err)
		goto out;

	/* Packets of one queue run in their order. Nothing of this enters the kernel but the wait, and that only when it has to. */
	accel_packet_fill(accel_queue_next(queue), accel_buffer_address(source), PATTERN, BYTES);
	accel_packet_copy(accel_queue_next(queue), accel_buffer_address(target), accel_buffer_address(source), BYTES);
	index = accel_queue_submit(queue);
	err = accel_queue_wait(queue, index, ACCEL_FOREVER);
	bytes = (const unsigned char *)accel_buffer_data(target);
	if (!err)
		printf("libaccel %s on %s: the last of %d bytes is %d\n", accel_version(), info.target, BYTES,
		       bytes[BYTES - 1]);
	if (!err && bytes[BYTES - 1] != (PATTERN & 0xff))
		err = -1;
out:
	if (err)
		fprintf(stderr, "it failed: %s\n", strerror(-err));
	accel_buffer_destroy(target);
	accel_buffer_destroy(source);
	accel_queue_destroy(queue);
	accel_context_destroy(context);
	accel_close(device);
	return err != 0;
}
