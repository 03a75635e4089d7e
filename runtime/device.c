/* SPDX-License-Identifier: MIT */
#include "runtime/device.h"
#include <errno.h>
#include <stdio.h>
int runtime_device_open(const char *name, unsigned int threads, struct runtime_device **device, char *error,
			size_t error_size)
{
	(void)threads;
	*device = NULL;
	snprintf(error, error_size, "device '%s': no device backend is built in yet", name);
	return -ENODEV;
}
void runtime_device_close(struct runtime_device *device)
{
	(void)device;
}
const char *runtime_device_target(const struct runtime_device *device)
{
	(void)device;
	return "axl-edge";
}
int runtime_program_create(struct runtime_device *device, const struct axm *axm, uint32_t index, size_t trace_records,
			   struct runtime_program **program, char *error, size_t error_size)
{
	(void)device;
	(void)axm;
	(void)index;
	(void)trace_records;
	(void)program;
	(void)error;
	(void)error_size;
	return -ENODEV;
}
void runtime_program_destroy(struct runtime_program *program)
{
	(void)program;
}
int runtime_program_run(struct runtime_program *program, const struct tensor *const *inputs,
			struct tensor *const *outputs, struct axl_exec_stats *stats,
			const struct axl_trace_record **trace, size_t *num_trace, char *error, size_t error_size)
{
	(void)program;
	(void)inputs;
	(void)outputs;
	(void)stats;
	(void)trace;
	(void)num_trace;
	(void)error;
	(void)error_size;
	return -ENODEV;
}
