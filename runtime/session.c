/* SPDX-License-Identifier: MIT */
/*
 * Sessions: a compiled model's values, its regions in order, and where the time went.
 *
 * All values are tensors with memory that stays from run to run: a steady state allocates nothing. The package is the
 * only thing a session knows of the model.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <accel/runtime.h>
#include <axl/axl_isa.h>

#include "compiler/compiler.h"
#include "compiler/package/axm.h"
#include "runtime/cpu/op.h"
#include "runtime/cpu/pool.h"
#include "runtime/device.h"
#include "runtime/node_cycles.h"
#include "runtime/trace.h"

/* A CPU node ready to run. */
struct cpu_node {
	const struct op_kernel *kernel;
	struct op_node node;
	struct attr *attrs;
	struct tensor *attr_tensors;
	const struct tensor **inputs;
	struct tensor **outputs;
	void *state;
};

/*
 * @values:   by value id; constants are views of the package
 * @nodes:    by node id; kernel NULL for device nodes
 * @programs: by region; NULL for CPU regions
 * @lock:     one run at a time
 */
struct accel_session {
	struct axm axm;
	uint8_t *compiled; /* package made here, else NULL: mapped */
	struct tensor *values;
	struct cpu_node *nodes;
	struct runtime_device *device;
	struct runtime_program **programs;
	struct cpu_pool *pool;
	pthread_mutex_t lock;
	struct accel_region_stats *region_stats;
	struct accel_node_stats *node_stats;
	struct accel_run_stats stats;
	struct runtime_trace *trace;
};

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int __attribute__((format(printf, 4, 5))) fail(char *error, size_t size, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (size)
		vsnprintf(error, size, format, args);
	va_end(args);
	return err;
}

/* ---- loading ---- */

static bool has_suffix(const char *text, const char *suffix)
{
	size_t length = strlen(text), end = strlen(suffix);

	return length >= end && !strcmp(text + length - end, suffix);
}

static int load_package(struct accel_session *session, const char *path, const struct accel_session_options *options,
			char *error, size_t size)
{
	bool cpu = !strcmp(options->device, "cpu");
	struct compile_options compile = {
		.target = cpu ? "cpu" : runtime_device_target(session->device),
		.precision = (enum compile_precision)options->precision,
		.calibration = options->calibration,
		.seed = options->seed,
	};
	struct compile_result result;
	struct compile_dim *dims;
	int err;

	if (has_suffix(path, ".axm"))
		return axm_open(path, &session->axm, error, size);
	dims = calloc(options->num_dims + 1, sizeof(*dims));
	if (!dims)
		return fail(error, size, -ENOMEM, "out of memory");
	for (size_t i = 0; i < options->num_dims; i++)
		dims[i] = (struct compile_dim){options->dim_names[i], options->dim_sizes[i]};
	compile.dims = dims;
	compile.num_dims = options->num_dims;
	err = compile_file(path, &compile, &result, error, size);
	free(dims);
	if (err)
		return err;
	session->compiled = result.bytes;
	return axm_open_bytes(result.bytes, result.size, &session->axm, error, size);
}

static int make_values(struct accel_session *session, char *error, size_t size)
{
	const struct axm *axm = &session->axm;

	session->values = calloc(axm->num_values + 1, sizeof(*session->values));
	if (!session->values)
		return fail(error, size, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < axm->num_values; i++) {
		const struct axm_value *value = &axm->values[i];
		int err;

		if (!(value->flags & AXM_VALUE_CONSTANT))
			continue;
		/* Kernels never write to inputs, so the mapping may be read-only. */
		err = tensor_init_view(&session->values[i], (enum dtype)value->dtype, (int)value->rank, value->dims,
				       (void *)(uintptr_t)(axm->data + value->data), value->size);
		if (err)
			return fail(error, size, err, "constant %s", axm_string(axm, value->name));
	}
	return 0;
}

static void read_attr(const struct axm *axm, const struct axm_attr *from, struct tensor *values, struct attr *attr)
{
	void *data = (void *)(uintptr_t)(axm->data + from->data);

	*attr = (struct attr){
		.name = axm_string(axm, from->name), .type = (enum attr_type)from->type, .f = from->f, .i = from->i};
	attr->count = from->count;
	if (from->type == ATTR_STRING)
		attr->s = (struct tensor_string){data, from->count};
	else if (from->type == ATTR_INTS)
		attr->ints = data;
	else if (from->type == ATTR_FLOATS)
		attr->floats = data;
	else if (from->type == ATTR_TENSOR)
		attr->tensor = &values[from->i];
}

static int prepare_node(struct accel_session *session, uint32_t index, char *error, size_t size)
{
	const struct axm *axm = &session->axm;
	const struct axm_node *from = &axm->nodes[index];
	struct cpu_node *node = &session->nodes[index];
	const struct tensor **constants;
	int err;

	node->kernel = op_find(axm_string(axm, from->domain), axm_string(axm, from->op_type), (int)from->opset);
	if (!node->kernel)
		return fail(error, size, -ENOTSUP, "node %s: the CPU has no %s%s%s of opset %u",
			    axm_string(axm, from->name), axm_string(axm, from->domain),
			    *axm_string(axm, from->domain) ? "::" : "", axm_string(axm, from->op_type), from->opset);
	node->attrs = calloc(from->num_attrs + 1, sizeof(*node->attrs));
	node->inputs = calloc(from->num_inputs + 1, sizeof(*node->inputs));
	node->outputs = calloc(from->num_outputs + 1, sizeof(*node->outputs));
	constants = calloc(from->num_inputs + 1, sizeof(*constants));
	if (!node->attrs || !node->inputs || !node->outputs || !constants) {
		free(constants);
		return fail(error, size, -ENOMEM, "out of memory");
	}
	for (uint32_t i = 0; i < from->num_attrs; i++)
		read_attr(axm, &axm->attrs[from->attrs_first + i], session->values, &node->attrs[i]);
	for (uint32_t i = 0; i < from->num_inputs; i++) {
		uint32_t id = axm->ids[from->inputs_first + i];

		node->inputs[i] = id == AXM_NO_ID ? NULL : &session->values[id];
		if (id != AXM_NO_ID && axm->values[id].flags & AXM_VALUE_CONSTANT)
			constants[i] = &session->values[id];
	}
	for (uint32_t i = 0; i < from->num_outputs; i++) {
		uint32_t id = axm->ids[from->outputs_first + i];

		node->outputs[i] = id == AXM_NO_ID ? NULL : &session->values[id];
	}
	node->node = (struct op_node){
		.name = axm_string(axm, from->name),
		.domain = axm_string(axm, from->domain),
		.op_type = axm_string(axm, from->op_type),
		.opset = (int)from->opset,
		.num_attrs = from->num_attrs,
		.attrs = node->attrs,
		.num_inputs = from->num_inputs,
		.num_outputs = from->num_outputs,
	};
	err = op_prepare(node->kernel, &node->node, constants, &node->state);
	free(constants);
	return err ? fail(error, size, err, "node %s: can not be prepared: %s", node->node.name, strerror(-err)) : 0;
}

static int prepare_regions(struct accel_session *session, bool trace, char *error, size_t size)
{
	const struct axm *axm = &session->axm;

	session->nodes = calloc(axm->num_nodes + 1, sizeof(*session->nodes));
	session->programs = calloc(axm->num_regions + 1, sizeof(*session->programs));
	session->region_stats = calloc(axm->num_regions + 1, sizeof(*session->region_stats));
	session->node_stats = calloc(axm->num_nodes + 1, sizeof(*session->node_stats));
	if (!session->nodes || !session->programs || !session->region_stats || !session->node_stats)
		return fail(error, size, -ENOMEM, "out of memory");
	for (uint32_t r = 0; r < axm->num_regions; r++) {
		const struct axm_region *region = &axm->regions[r];
		int err = 0;

		if (region->device && !session->device)
			return fail(error, size, -ENODEV,
				    "the package has code for a device, and no device was opened");
		if (region->device)
			/* Two records an instruction slot are always enough; a buffer without loops needs one. */
			err = runtime_program_create(session->device, axm, r,
						     trace ? region->code_bytes / AXL_PACKET_BYTES + 64 : 0,
						     &session->programs[r], error, size);
		for (uint32_t n = region->first_node;
		     n < region->first_node + region->num_nodes && !err && !region->device; n++)
			err = prepare_node(session, n, error, size);
		if (err)
			return err;
	}
	return 0;
}

static void describe_nodes(struct accel_session *session)
{
	const struct axm *axm = &session->axm;

	for (uint32_t n = 0; n < axm->num_nodes; n++) {
		const struct axm_node *node = &axm->nodes[n];
		struct accel_node_stats *stats = &session->node_stats[n];

		stats->name = axm_string(axm, node->name);
		stats->op_type = axm_string(axm, node->op_type);
		stats->origin = axm_string(axm, node->origin);
		stats->reason = axm_string(axm, node->reason);
		stats->region = node->region;
		stats->device = axm->regions[node->region].device;
		stats->macs = node->macs;
	}
	for (uint32_t r = 0; r < axm->num_regions; r++) {
		struct accel_region_stats *stats = &session->region_stats[r];

		stats->device = axm->regions[r].device;
		stats->num_nodes = axm->regions[r].num_nodes;
		stats->estimate = axm->regions[r].cycles;
		for (uint32_t n = 0; n < stats->num_nodes; n++)
			stats->macs += axm->nodes[axm->regions[r].first_node + n].macs;
		session->stats.macs += stats->macs;
		session->stats.macs_device += stats->device ? stats->macs : 0;
	}
	session->stats.num_regions = axm->num_regions;
	session->stats.num_nodes = axm->num_nodes;
	session->stats.regions = session->region_stats;
	session->stats.nodes = session->node_stats;
	if (session->device) {
		static const double share[] = {[AXM_F32] = 0.125, [AXM_F16] = 0.5, [AXM_BF16] = 0.5, [AXM_INT8] = 1};

		session->stats.peak_macs =
			(double)AXL_ARRAY_K * AXL_ARRAY_N * axm->model->tiles * share[axm->model->precision];
	}
}

int accel_session_create(const char *path, const struct accel_session_options *options, struct accel_session **session,
			 char *error, size_t error_size)
{
	struct accel_session_options defaults = options ? *options : (struct accel_session_options){0};
	struct accel_session *s = calloc(1, sizeof(*s));
	int err;

	*session = NULL;
	if (error_size)
		error[0] = '\0';
	if (!s)
		return fail(error, error_size, -ENOMEM, "out of memory");
	if (!defaults.device)
		defaults.device = "sim:";
	pthread_mutex_init(&s->lock, NULL);
	err = cpu_pool_create(defaults.threads, &s->pool);
	if (err)
		fail(error, error_size, err, "threads: %s", strerror(-err));
	if (!err && strcmp(defaults.device, "cpu"))
		err = runtime_device_open(defaults.device, defaults.threads, &s->device, error, error_size);
	if (!err)
		err = load_package(s, path, &defaults, error, error_size);
	if (!err)
		err = make_values(s, error, error_size);
	if (!err)
		err = prepare_regions(s, defaults.trace, error, error_size);
	if (!err && defaults.trace)
		err = runtime_trace_create(&s->trace);
	if (err) {
		accel_session_destroy(s);
		return err;
	}
	describe_nodes(s);
	*session = s;
	return 0;
}

static void finish_node(struct cpu_node *node)
{
	if (node->kernel)
		op_release(node->kernel, node->state);
	free(node->attrs);
	free(node->inputs);
	free(node->outputs);
}

void accel_session_destroy(struct accel_session *session)
{
	if (!session)
		return;
	for (uint32_t n = 0; session->nodes && n < session->axm.num_nodes; n++)
		finish_node(&session->nodes[n]);
	for (uint32_t r = 0; session->programs && r < session->axm.num_regions; r++)
		runtime_program_destroy(session->programs[r]);
	for (uint32_t i = 0; session->values && i < session->axm.num_values; i++)
		tensor_finish(&session->values[i]);
	runtime_device_close(session->device);
	cpu_pool_destroy(session->pool);
	runtime_trace_destroy(session->trace);
	free(session->nodes);
	free(session->programs);
	free(session->values);
	free(session->region_stats);
	free(session->node_stats);
	axm_close(&session->axm);
	free(session->compiled);
	pthread_mutex_destroy(&session->lock);
	free(session);
}

/* ---- inputs and outputs ---- */

size_t accel_session_num_inputs(const struct accel_session *session)
{
	return session->axm.model->num_inputs;
}

size_t accel_session_num_outputs(const struct accel_session *session)
{
	return session->axm.model->num_outputs;
}

static uint32_t input_id(const struct accel_session *session, size_t index)
{
	return session->axm.ids[session->axm.model->inputs_first + index];
}

static uint32_t output_id(const struct accel_session *session, size_t index)
{
	return session->axm.ids[session->axm.model->outputs_first + index];
}

static int value_info(const struct accel_session *session, uint32_t id, struct accel_value_info *info)
{
	const struct axm_value *value = &session->axm.values[id];

	info->name = axm_string(&session->axm, value->name);
	info->dtype = (int32_t)value->dtype;
	info->rank = (int32_t)value->rank;
	memcpy(info->dims, value->dims, sizeof(info->dims));
	return 0;
}

int accel_session_input(const struct accel_session *session, size_t index, struct accel_value_info *info)
{
	return index < accel_session_num_inputs(session) ? value_info(session, input_id(session, index), info)
							 : -EINVAL;
}

int accel_session_output(const struct accel_session *session, size_t index, struct accel_value_info *info)
{
	return index < accel_session_num_outputs(session) ? value_info(session, output_id(session, index), info)
							  : -EINVAL;
}

static int bind_input(struct accel_session *session, size_t index, const struct accel_tensor *input, char *error,
		      size_t size)
{
	uint32_t id = input_id(session, index);
	const struct axm_value *value = &session->axm.values[id];
	const char *name = axm_string(&session->axm, value->name);
	int err;

	if (input->dtype != (int32_t)value->dtype || input->rank != (int32_t)value->rank)
		return fail(error, size, -EINVAL, "input %s: is %s of rank %d, the model wants %s of rank %u", name,
			    dtype_name((enum dtype)input->dtype), input->rank, dtype_name((enum dtype)value->dtype),
			    value->rank);
	for (uint32_t d = 0; d < value->rank; d++)
		if (value->dims[d] >= 0 && input->dims[d] != value->dims[d])
			return fail(error, size, -EINVAL, "input %s: dimension %u is %lld, the model wants %lld", name,
				    d, (long long)input->dims[d], (long long)value->dims[d]);
	err = tensor_init_view(&session->values[id], (enum dtype)value->dtype, input->rank, input->dims, input->data,
			       input->size);
	return err ? fail(error, size, err, "input %s: %zu bytes are too few for its shape", name, input->size) : 0;
}

static int give_output(const struct accel_session *session, size_t index, struct accel_tensor *output, char *error,
		       size_t size)
{
	uint32_t id = output_id(session, index);
	const struct tensor *value = &session->values[id];
	size_t bytes = tensor_bytes(value);

	if (output->data && output->size < bytes)
		return fail(error, size, -ENOSPC, "output %s: needs %zu bytes, has %zu",
			    axm_string(&session->axm, session->axm.values[id].name), bytes, output->size);
	output->dtype = (int32_t)value->dtype;
	output->rank = value->rank;
	memcpy(output->dims, value->dims, sizeof(output->dims));
	if (output->data)
		memcpy(output->data, value->data, bytes);
	else
		output->data = value->data;
	output->size = bytes;
	return 0;
}

/* ---- running ---- */

static int run_cpu_region(struct accel_session *session, const struct axm_region *region, char *error, size_t size)
{
	for (uint32_t n = region->first_node; n < region->first_node + region->num_nodes; n++) {
		struct cpu_node *node = &session->nodes[n];
		struct op_call call = {.node = &node->node,
				       .inputs = node->inputs,
				       .outputs = node->outputs,
				       .state = node->state,
				       .pool = session->pool};
		uint64_t start = now_ns(), end;
		int err = op_run(node->kernel, &call);

		if (err)
			return fail(error, size, err, "node %s (%s): %s", node->node.name, node->node.op_type,
				    call.error[0] ? call.error : strerror(-err));
		end = now_ns();
		session->node_stats[n].cpu_ns = end - start;
		runtime_trace_cpu(session->trace, node->node.name, node->node.op_type, start, end);
	}
	return 0;
}

static int run_device_region(struct accel_session *session, uint32_t index, char *error, size_t size)
{
	const struct axm *axm = &session->axm;
	const struct axm_region *region = &axm->regions[index];
	struct accel_region_stats *stats = &session->region_stats[index];
	const struct tensor *inputs[AXL_NUM_BASES];
	struct tensor *outputs[AXL_NUM_BASES];
	const struct axl_trace_record *trace;
	struct axl_exec_stats exec;
	uint64_t start = now_ns();
	size_t num_trace;
	int err = 0;

	for (uint32_t i = 0; i < region->num_inputs; i++)
		inputs[i] = &session->values[axm->ids[region->inputs_first + i]];
	for (uint32_t i = 0; i < region->num_outputs && !err; i++) {
		uint32_t id = axm->ids[region->outputs_first + i];
		const struct axm_value *value = &axm->values[id];

		outputs[i] = &session->values[id];
		if (!outputs[i]->data)
			err = tensor_init(outputs[i], (enum dtype)value->dtype, (int)value->rank, value->dims);
	}
	if (err)
		return fail(error, size, err, "region %u: out of memory for outputs", index);
	err = runtime_program_run(session->programs[index], inputs, outputs, &exec, &trace, &num_trace, error, size);
	if (err)
		return err;
	stats->cycles = exec.end - exec.start;
	stats->local_bytes = stats->host_bytes = 0;
	for (size_t i = 0; i < sizeof(exec.bytes) / sizeof(exec.bytes[0]); i++) {
		stats->local_bytes += exec.bytes[i][0];
		stats->host_bytes += exec.bytes[i][1];
	}
	runtime_node_cycles(trace, num_trace, axm->model->tiles, region->first_node, region->num_nodes,
			    &session->node_stats[region->first_node]);
	runtime_trace_device(session->trace, axm, start, now_ns(), stats->cycles, trace, num_trace);
	return 0;
}

static int run_locked(struct accel_session *session, const struct accel_tensor *inputs, struct accel_tensor *outputs,
		      size_t num_outputs, char *error, size_t size)
{
	uint64_t start = now_ns();
	int err = 0;

	for (size_t i = 0; i < accel_session_num_inputs(session) && !err; i++)
		err = bind_input(session, i, &inputs[i], error, size);
	for (uint32_t n = 0; n < session->axm.num_nodes; n++)
		session->node_stats[n].cycles = session->node_stats[n].cpu_ns = 0;
	runtime_trace_reset(session->trace);
	session->stats.cycles = 0;
	for (uint32_t r = 0; r < session->axm.num_regions && !err; r++) {
		const struct axm_region *region = &session->axm.regions[r];
		uint64_t begin = now_ns();

		err = region->device ? run_device_region(session, r, error, size)
				     : run_cpu_region(session, region, error, size);
		session->region_stats[r].ns = now_ns() - begin;
		session->stats.cycles += region->device ? session->region_stats[r].cycles : 0;
	}
	for (size_t i = 0; i < num_outputs && !err; i++)
		err = give_output(session, i, &outputs[i], error, size);
	/* The caller's memory is not ours after the run. */
	for (size_t i = 0; i < accel_session_num_inputs(session); i++)
		tensor_finish(&session->values[input_id(session, i)]);
	session->stats.ns = now_ns() - start;
	return err;
}

int accel_session_run(struct accel_session *session, const struct accel_tensor *inputs, size_t num_inputs,
		      struct accel_tensor *outputs, size_t num_outputs, char *error, size_t error_size)
{
	int err;

	if (error_size)
		error[0] = '\0';
	if (num_inputs != accel_session_num_inputs(session) || num_outputs != accel_session_num_outputs(session))
		return fail(error, error_size, -EINVAL, "%zu inputs and %zu outputs, the model has %zu and %zu",
			    num_inputs, num_outputs, accel_session_num_inputs(session),
			    accel_session_num_outputs(session));
	pthread_mutex_lock(&session->lock);
	err = run_locked(session, inputs, outputs, num_outputs, error, error_size);
	pthread_mutex_unlock(&session->lock);
	return err;
}

int accel_session_stats(const struct accel_session *session, struct accel_run_stats *stats)
{
	*stats = session->stats;
	return 0;
}

int accel_session_trace(const struct accel_session *session, const char *path)
{
	return session->trace ? runtime_trace_write(session->trace, path) : -ENODATA;
}
