/* SPDX-License-Identifier: MIT */
/*
 * libaccel: access to AXL devices from user programs.
 *
 *	accel_open("sim:", &device, …)		a device, by name
 *	accel_buffer_create(device, …)		memory that both sides see
 *	accel_execute(device, …)		run a command buffer, wait for its end
 *
 * Names: "sim:" is the device inside this process; options follow, "sim:target=axl-pro,threads=2". Devices behind a
 *kernel driver
 * (/dev/accel/accelN, PCI addresses) answer -ENOTSUP: that backend, and user-mode queues, are not part of this version.
 *
 * Every function returns 0 or a negative errno. A device may be used by one thread at a time; two devices by two
 *threads. Nothing is printed, no state is global, and the only threads are those of the in-process device itself.
 */
#ifndef ACCEL_ACCEL_H
#define ACCEL_ACCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <axl/axl_isa.h>
#include <axl/axl_queue.h>
#include <axl/axl_regs.h>

#ifdef __cplusplus
extern "C" {
#endif

struct accel_device;
struct accel_buffer;

/*
 * Open a device. @error gets a text of at most @error_size bytes when it fails. -EINVAL: a name or option that does not
 * exist; -ENOTSUP: a kind of device that this version can not open; -ENOMEM; -EAGAIN: threads can not be started.
 */
int accel_open(const char *name, struct accel_device **device, char *error, size_t error_size);

/* Close; all its buffers are destroyed before. NULL is fine. */
void accel_close(struct accel_device *device);

/*
 * What a device is: the figures of the registers of the same names (axl_regs.h). Rates in bytes a cycle, latencies in
 * cycles. @target is the name of the compiler's target description that fits, valid while the device is open.
 */
struct accel_device_info {
	const char *target;
	uint32_t tiles, spad_bytes, acc_bytes, spad_banks, clock_khz;
	uint64_t mem_bytes;
	uint32_t dram_rate, dram_latency, host_rate, host_latency;
};
void accel_device_info(const struct accel_device *device, struct accel_device_info *info);

/* Where a buffer lies, and what the device may do with it. */
#define ACCEL_BUFFER_LOCAL 0x1u /* in the device's memory; else in the host's, over PCIe */
#define ACCEL_BUFFER_WRITE 0x2u /* the device may write */
#define ACCEL_BUFFER_EXEC 0x4u  /* command buffers may run from it */

/*
 * Create a buffer of @size > 0 bytes, zeroed, and map it for the device. -EINVAL: size or flags; -ENOMEM.
 */
int accel_buffer_create(struct accel_device *device, uint64_t size, unsigned int flags, struct accel_buffer **buffer);
/* Unmap and free. Nothing may run that uses it. NULL is fine. */
void accel_buffer_destroy(struct accel_buffer *buffer);
/* The buffer's memory in this process, its address for the device, and its size. */
void *accel_buffer_data(const struct accel_buffer *buffer);
uint64_t accel_buffer_address(const struct accel_buffer *buffer);
uint64_t accel_buffer_size(const struct accel_buffer *buffer);

/*
 * Run the command buffer (struct axl_cmdbuf) that fills @code from its start, @size bytes, with @num_bases base
 * registers, and wait until it ends. *stats holds the counters, also of a run that faulted. @trace: NULL, or room for
 * @trace_max records; stats->trace_records were written. -EFAULT: *fault says what stopped it, accel_fault_text() in
 * words; what it wrote until then stays. -EINVAL, -ENOMEM.
 */
int accel_execute(struct accel_device *device, const struct accel_buffer *code, uint32_t size, const uint64_t *bases,
		  unsigned int num_bases, struct axl_exec_stats *stats, struct axl_trace_record *trace,
		  size_t trace_max, struct axl_fault_record *fault);

/* A fault in one sentence: cause, tile, pipe, offset of the instruction, address. Returns @text. */
char *accel_fault_text(const struct axl_fault_record *fault, char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
