/* SPDX-License-Identifier: MIT */
/* See device.h. */
#include "runtime/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <accel/accel.h>

#include "compiler/report/region_estimate.h"

struct runtime_device {
	struct accel_device *device;
	struct accel_device_info info;
};

/*
 * @buffers: weights, arena, then inputs and outputs, in the order of the base registers; NULL where a region has no
 * bytes
 */
struct runtime_program {
	struct runtime_device *device;
	struct accel_buffer *code, *buffers[AXL_NUM_BASES];
	uint64_t bases[AXL_NUM_BASES];
	uint32_t code_bytes, num_inputs, num_outputs;
	struct axl_trace_record *trace;
	size_t max_trace;
};

int runtime_device_open(const char *name, unsigned int threads, struct runtime_device **device, char *error,
			size_t error_size)
{
	struct runtime_device *d = calloc(1, sizeof(*d));
	char full[256];
	int err;

	if (!d) {
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	snprintf(full, sizeof(full), "%s", name);
	if (threads && !strncmp(name, "sim:", 4) && !strstr(name, "threads="))
		snprintf(full, sizeof(full), "%s%sthreads=%u", name, name[4] ? "," : "", threads);
	err = accel_open(full, &d->device, error, error_size);
	if (err) {
		free(d);
		return err;
	}
	accel_device_info(d->device, &d->info);
	*device = d;
	return 0;
}

void runtime_device_close(struct runtime_device *device)
{
	if (device)
		accel_close(device->device);
	free(device);
}

const char *runtime_device_target(const struct runtime_device *device)
{
	return device->info.target;
}

/* A buffer with a copy of @data, or zeroed. Empty ones are none. */
static int make_buffer(struct runtime_program *program, const void *data, uint64_t size, unsigned int flags,
		       struct accel_buffer **buffer)
{
	uint64_t mask = size >= ESTIMATE_LARGE_PAGES_FROM ? AXL_LARGE_PAGE_BYTES - 1 : 0;
	int err = size ? accel_buffer_create(program->device->device, (size + mask) & ~mask, flags, buffer) : 0;

	if (!err && size && data)
		memcpy(accel_buffer_data(*buffer), data, size);
	return err;
}

static int make_buffers(struct runtime_program *program, const struct axm *axm, const struct axm_region *region)
{
	int err = make_buffer(program, axm->data + region->code, region->code_bytes,
			      ACCEL_BUFFER_LOCAL | ACCEL_BUFFER_EXEC, &program->code);

	if (!err)
		err = make_buffer(program, axm->data + region->weights, region->weight_bytes, ACCEL_BUFFER_LOCAL,
				  &program->buffers[0]);
	if (!err)
		err = make_buffer(program, NULL, region->arena_bytes, ACCEL_BUFFER_LOCAL | ACCEL_BUFFER_WRITE,
				  &program->buffers[1]);
	for (uint32_t i = 0; i < region->num_inputs + region->num_outputs && !err; i++) {
		bool output = i >= region->num_inputs;
		uint32_t id = output ? axm->ids[region->outputs_first + i - region->num_inputs]
				     : axm->ids[region->inputs_first + i];

		err = make_buffer(program, NULL, axm_value_bytes(&axm->values[id]),
				  ACCEL_BUFFER_LOCAL | (output ? ACCEL_BUFFER_WRITE : 0), &program->buffers[2 + i]);
	}
	for (uint32_t i = 0; i < AXL_NUM_BASES && !err; i++)
		program->bases[i] = program->buffers[i] ? accel_buffer_address(program->buffers[i]) : 0;
	return err;
}

int runtime_program_create(struct runtime_device *device, const struct axm *axm, uint32_t index, size_t trace_records,
			   struct runtime_program **program, char *error, size_t error_size)
{
	const struct axm_region *region = &axm->regions[index];
	struct runtime_program *p = calloc(1, sizeof(*p));
	int err = p ? 0 : -ENOMEM;

	if (!err && (axm->model->tiles > device->info.tiles || axm->model->spad_bytes > device->info.spad_bytes ||
		     axm->model->acc_bytes > device->info.acc_bytes)) {
		free(p);
		snprintf(error, error_size,
			 "the package is for %u tiles with %u bytes of scratchpad, the device (%s) has %u with %u",
			 axm->model->tiles, axm->model->spad_bytes, device->info.target, device->info.tiles,
			 device->info.spad_bytes);
		return -EINVAL;
	}
	if (!err) {
		p->device = device;
		p->code_bytes = (uint32_t)region->code_bytes;
		p->num_inputs = region->num_inputs;
		p->num_outputs = region->num_outputs;
		p->max_trace = trace_records;
		p->trace = trace_records ? malloc(trace_records * sizeof(*p->trace)) : NULL;
		err = trace_records && !p->trace ? -ENOMEM : make_buffers(p, axm, region);
	}
	if (err) {
		runtime_program_destroy(p);
		snprintf(error, error_size, "region %u: %s", index, strerror(-err));
		return err;
	}
	*program = p;
	return 0;
}

void runtime_program_destroy(struct runtime_program *program)
{
	if (!program)
		return;
	accel_buffer_destroy(program->code);
	for (int i = 0; i < AXL_NUM_BASES; i++)
		accel_buffer_destroy(program->buffers[i]);
	free(program->trace);
	free(program);
}

int runtime_program_run(struct runtime_program *program, const struct tensor *const *inputs,
			struct tensor *const *outputs, struct axl_exec_stats *stats,
			const struct axl_trace_record **trace, size_t *num_trace, char *error, size_t error_size)
{
	struct axl_fault_record fault;
	int err;

	for (uint32_t i = 0; i < program->num_inputs; i++)
		memcpy(accel_buffer_data(program->buffers[2 + i]), inputs[i]->data, tensor_bytes(inputs[i]));
	err = accel_execute(program->device->device, program->code, program->code_bytes, program->bases,
			    2 + program->num_inputs + program->num_outputs, stats, program->trace, program->max_trace,
			    &fault);
	if (err == -EFAULT) {
		char text[200];

		snprintf(error, error_size, "device fault: %s", accel_fault_text(&fault, text, sizeof(text)));
		return -EIO;
	}
	if (err) {
		snprintf(error, error_size, "device: %s", strerror(-err));
		return err;
	}
	for (uint32_t i = 0; i < program->num_outputs; i++)
		memcpy(outputs[i]->data, accel_buffer_data(program->buffers[2 + program->num_inputs + i]),
		       tensor_bytes(outputs[i]));
	*trace = program->trace;
	*num_trace = stats->trace_records;
	return 0;
}
