/* SPDX-License-Identifier: MIT */
/*
 * See plan.h. All values are tensors with memory that stays from run to run: a steady state allocates nothing. Those whose
 * sizes are known share one block (memory_plan.h). The package is the only thing a plan knows of the model.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <axl/axl_isa.h>

#include "compiler/report/node_cycles.h"
#include "compiler/report/preemption.h"
#include "compiler/report/in_order.h"
#include "compiler/report/roofline.h"
#include "runtime/cpu/op.h"
#include "runtime/cpu/pool.h"
#include "runtime/fail.h"
#include "runtime/ledger.h"
#include "runtime/memory_plan.h"
#include "runtime/plan.h"

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
 * @bytes:    the package when it was made here, else NULL: it is mapped
 * @values:   by value id; constants are views of the package, planned values of @block
 * @strings:  memory of the elements of string constants and attributes, one piece each
 * @nodes:    by node id, those of bodies too; kernel NULL for device nodes
 * @programs: by region; NULL for CPU regions
 * @roofline, @ledger: of all device regions; the ledger is the last run's
 * @analysis_ns: of the last run's time, what reading its trace took: not counted as the run's
 */
struct plan {
	struct plan_host host;
	struct axm axm;
	uint8_t *bytes;
	struct tensor *values;
	uint8_t *block;
	struct tensor_string **strings;
	size_t num_strings;
	struct cpu_node *nodes;
	struct runtime_program **programs;
	struct accel_region_stats *region_stats;
	struct accel_node_stats *node_stats;
	uint64_t *cycles; /* by node */
	struct accel_run_stats stats;
	struct roofline roofline;
	struct ledger ledger;
	uint64_t analysis_ns;
};

static uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* ---- loading ---- */

/* @count strings at @offset of the package's data; their bytes stay there. NULL when out of memory. */
static struct tensor_string *read_strings(struct plan *plan, uint64_t offset, uint64_t count)
{
	struct tensor_string **grown = realloc(plan->strings, (plan->num_strings + 1) * sizeof(*grown));
	struct tensor_string *strings = calloc(count + 1, sizeof(*strings));

	if (grown)
		plan->strings = grown;
	if (!grown || !strings) {
		free(strings);
		return NULL;
	}
	for (uint64_t i = 0; i < count; i++)
		strings[i] = axm_string_at(&plan->axm, offset, count, i);
	plan->strings[plan->num_strings++] = strings;
	return strings;
}

static int make_values(struct plan *plan, char *error, size_t size)
{
	const struct axm *axm = &plan->axm;

	plan->values = calloc(axm->num_values + 1, sizeof(*plan->values));
	if (!plan->values)
		return fail(error, size, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < axm->num_values; i++) {
		const struct axm_value *value = &axm->values[i];
		/* Kernels never write to inputs, so the mapping may be read-only. */
		void *data = (void *)(uintptr_t)(axm->data + value->data);
		uint64_t bytes = value->size;
		int err;

		if (!(value->flags & AXM_VALUE_CONSTANT))
			continue;
		if (value->dtype == DTYPE_STRING) {
			uint64_t count = (uint64_t)dims_count((int)value->rank, value->dims);

			data = read_strings(plan, value->data, count);
			bytes = count * sizeof(struct tensor_string);
			if (!data)
				return fail(error, size, -ENOMEM, "out of memory");
		}
		err = tensor_init_view(&plan->values[i], (enum dtype)value->dtype, (int)value->rank, value->dims, data,
				       bytes);
		if (err)
			return fail(error, size, err, "constant %s", axm_string(axm, value->name));
	}
	if (memory_plan_place(axm, plan->values, &plan->block))
		return fail(error, size, -ENOMEM, "no memory for the values between nodes");
	return 0;
}

static int read_attr(struct plan *plan, const struct axm_attr *from, struct attr *attr)
{
	const struct axm *axm = &plan->axm;
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
		attr->tensor = &plan->values[from->i];
	else if (from->type == ATTR_GRAPH)
		attr->graph = (void *)(uintptr_t)&axm->graphs[from->i];
	else if (from->type == ATTR_STRINGS) {
		attr->strings = read_strings(plan, from->data, from->count);
		return attr->strings ? 0 : -ENOMEM;
	}
	return 0;
}

static int prepare_node(struct plan *plan, uint32_t index, char *error, size_t size)
{
	const struct axm *axm = &plan->axm;
	const struct axm_node *from = &axm->nodes[index];
	struct cpu_node *node = &plan->nodes[index];
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
		if (read_attr(plan, &axm->attrs[from->attrs_first + i], &node->attrs[i])) {
			free(constants);
			return fail(error, size, -ENOMEM, "out of memory");
		}
	for (uint32_t i = 0; i < from->num_inputs; i++) {
		uint32_t id = axm->ids[from->inputs_first + i];

		node->inputs[i] = id == AXM_NO_ID ? NULL : &plan->values[id];
		if (id != AXM_NO_ID && axm->values[id].flags & AXM_VALUE_CONSTANT)
			constants[i] = &plan->values[id];
	}
	for (uint32_t i = 0; i < from->num_outputs; i++) {
		uint32_t id = axm->ids[from->outputs_first + i];

		node->outputs[i] = id == AXM_NO_ID ? NULL : &plan->values[id];
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

static int prepare_regions(struct plan *plan, bool trace, char *error, size_t size)
{
	const struct axm *axm = &plan->axm;

	plan->nodes = calloc(axm->num_nodes + 1, sizeof(*plan->nodes));
	plan->programs = calloc(axm->num_regions + 1, sizeof(*plan->programs));
	plan->region_stats = calloc(axm->num_regions + 1, sizeof(*plan->region_stats));
	plan->node_stats = calloc(axm->num_nodes + 1, sizeof(*plan->node_stats));
	plan->cycles = calloc(axm->num_nodes + 1, sizeof(*plan->cycles));
	if (!plan->nodes || !plan->programs || !plan->region_stats || !plan->node_stats || !plan->cycles)
		return fail(error, size, -ENOMEM, "out of memory");
	for (uint32_t r = 0; r < axm->num_regions; r++) {
		const struct axm_region *region = &axm->regions[r];
		int err = 0;

		if (region->device && !plan->host.device)
			return fail(error, size, -ENODEV,
				    "the package has code for a device, and no device was opened");
		if (region->device)
			/* Two records an instruction slot are always enough; a buffer without loops needs one. */
			err = runtime_program_create(plan->host.device, axm, r,
						     trace ? region->code_bytes / AXL_PACKET_BYTES + 64 : 0,
						     &plan->programs[r], error, size);
		for (uint32_t n = region->first_node;
		     n < region->first_node + region->num_nodes && !err && !region->device; n++)
			err = prepare_node(plan, n, error, size);
		if (err)
			return err;
	}
	for (uint32_t n = axm->num_region_nodes; n < axm->num_nodes; n++) {
		int err = prepare_node(plan, n, error, size);

		if (err)
			return err;
	}
	return 0;
}

static void describe_nodes(struct plan *plan)
{
	const struct axm *axm = &plan->axm;

	for (uint32_t n = 0; n < axm->num_nodes; n++) {
		const struct axm_node *node = &axm->nodes[n];
		struct accel_node_stats *stats = &plan->node_stats[n];

		stats->name = axm_string(axm, node->name);
		stats->op_type = axm_string(axm, node->op_type);
		stats->origin = axm_string(axm, node->origin);
		stats->reason = axm_string(axm, node->reason);
		stats->region = node->region;
		stats->device = axm->regions[node->region].device;
		stats->macs = node->macs;
		stats->estimate = node->cycles;
	}
	for (uint32_t r = 0; r < axm->num_regions; r++) {
		struct accel_region_stats *stats = &plan->region_stats[r];

		stats->device = axm->regions[r].device;
		stats->num_nodes = axm->regions[r].num_nodes;
		stats->estimate = axm->regions[r].cycles;
		for (uint32_t n = 0; n < stats->num_nodes; n++)
			stats->macs += axm->nodes[axm->regions[r].first_node + n].macs;
		plan->stats.macs += stats->macs;
		plan->stats.macs_device += stats->device ? stats->macs : 0;
	}
	plan->stats.num_regions = axm->num_regions;
	plan->stats.num_nodes = axm->num_nodes;
	plan->stats.regions = plan->region_stats;
	plan->stats.nodes = plan->node_stats;
	if (plan->host.device) {
		static const double share[] = {[AXM_F32] = 0.125, [AXM_F16] = 0.5, [AXM_BF16] = 0.5, [AXM_INT8] = 1};

		plan->stats.peak_macs =
			(double)AXL_ARRAY_K * AXL_ARRAY_N * axm->model->tiles * share[axm->model->precision];
		roofline_of_package(axm, &plan->roofline);
		plan->stats.roofline_cycles = roofline_cycles(&plan->roofline, NULL);
		plan->stats.in_order_cycles = in_order_of_package(axm);
	}
}

/* ---- running ---- */

static const struct op_runner body_runner;

/* Nodes of a CPU region or of a body, in order. */
static int run_nodes(struct plan *plan, uint32_t first, uint32_t count, char *error, size_t size)
{
	for (uint32_t n = first; n < first + count; n++) {
		struct cpu_node *node = &plan->nodes[n];
		struct op_call call = {.node = &node->node,
				       .inputs = node->inputs,
				       .outputs = node->outputs,
				       .state = node->state,
				       .pool = plan->host.pool,
				       .runner = &body_runner,
				       .context = plan};
		uint64_t start = now_ns(), end;
		int err = op_run(node->kernel, &call);

		if (err)
			return fail(error, size, err, "node %s (%s): %s", node->node.name, node->node.op_type,
				    call.error[0] ? call.error : strerror(-err));
		end = now_ns();
		plan->node_stats[n].cpu_ns += end - start; /* a body's nodes run often */
		/* A body may run a million times: its node stands for it in the trace. */
		if (n < plan->axm.num_region_nodes)
			runtime_trace_cpu(plan->host.trace, node->node.name, node->node.op_type, start, end);
	}
	return 0;
}

static int run_cpu_region(struct plan *plan, const struct axm_region *region, char *error, size_t size)
{
	int err;

	cpu_pool_begin(plan->host.pool);
	err = run_nodes(plan, region->first_node, region->num_nodes, error, size);
	cpu_pool_end(plan->host.pool);
	return err;
}

/* ---- bodies ---- */

/*
 * The values of a body are values of the package, with memory of their own: what it captures is read where it is, its inputs become
 * views of the caller's tensors, and its outputs, which its own nodes write, are exchanged with the caller's.
 */
static int run_body(struct op_call *call, const struct attr *body, const struct tensor *const *inputs,
		    size_t num_inputs, struct tensor *const *outputs, size_t num_outputs)
{
	struct plan *plan = call->context;
	const struct axm *axm = &plan->axm;
	const struct axm_graph *graph = body->graph;
	char error[OP_ERROR_SIZE];
	int err;

	if (num_inputs != graph->num_inputs || num_outputs != graph->num_outputs)
		return op_fail(call, -EINVAL, "%s has %u inputs and %u outputs, %s wants %zu and %zu", body->name,
			       graph->num_inputs, graph->num_outputs, call->node->op_type, num_inputs, num_outputs);
	for (uint32_t i = 0; i < graph->num_inputs; i++) {
		struct tensor *value = &plan->values[axm->ids[graph->inputs_first + i]];

		if (!inputs[i])
			return op_fail(call, -EINVAL, "input %u of %s is missing", i, body->name);
		*value = *inputs[i];
		value->owned = false;
	}
	err = run_nodes(plan, graph->first_node, graph->num_nodes, error, sizeof(error));
	if (err)
		return op_fail(call, err, "%s", error);
	for (uint32_t i = 0; i < graph->num_outputs && !err; i++)
		if (outputs[i])
			err = tensor_give(outputs[i], &plan->values[axm->ids[graph->outputs_first + i]]);
	return err ? op_fail(call, err, "no memory for the outputs of %s", body->name) : 0;
}

static void body_output_type(const struct op_call *call, const struct attr *body, size_t index, enum dtype *dtype,
			     int *rank, int64_t *dims)
{
	const struct axm *axm = &((const struct plan *)call->context)->axm;
	const struct axm_graph *graph = body->graph;
	const struct axm_value *value;

	*dtype = DTYPE_UNDEFINED;
	*rank = -1;
	if (index >= graph->num_outputs)
		return;
	value = &axm->values[axm->ids[graph->outputs_first + index]];
	*dtype = (enum dtype)value->dtype;
	if (!(value->flags & AXM_VALUE_UNRANKED))
		*rank = (int)value->rank;
	for (int d = 0; d < *rank; d++)
		dims[d] = value->dims[d];
}

static const struct op_runner body_runner = {.run = run_body, .output_type = body_output_type};

/* ---- on the device ---- */

/* Of an execution that was not suspended: one that was has other cycles. */
static int note_preemption(const uint8_t *code, const struct axl_trace_record *trace, size_t num_trace,
			   const struct axl_exec_stats *exec, struct accel_region_stats *stats)
{
	struct preemption preemption = {0};
	int err = exec->preemptions ? 0 : preemption_measure(code, trace, num_trace, &preemption);

	stats->yields = preemption.yields;
	stats->yield_distance = preemption.distance;
	stats->preempt_latency = preemption.latency;
	return err;
}

static int run_device_region(struct plan *plan, uint32_t index, char *error, size_t size)
{
	const struct axm *axm = &plan->axm;
	const struct axm_region *region = &axm->regions[index];
	struct accel_region_stats *stats = &plan->region_stats[index];
	const struct tensor *inputs[AXL_NUM_BASES];
	struct tensor *outputs[AXL_NUM_BASES];
	const struct axl_trace_record *trace;
	struct axl_exec_stats exec;
	uint64_t start = now_ns(), end;
	size_t num_trace;
	int err = 0;

	for (uint32_t i = 0; i < region->num_inputs; i++)
		inputs[i] = &plan->values[axm->ids[region->inputs_first + i]];
	for (uint32_t i = 0; i < region->num_outputs && !err; i++) {
		uint32_t id = axm->ids[region->outputs_first + i];
		const struct axm_value *value = &axm->values[id];

		outputs[i] = &plan->values[id];
		if (!outputs[i]->data)
			err = tensor_init(outputs[i], (enum dtype)value->dtype, (int)value->rank, value->dims);
	}
	if (err)
		return fail(error, size, err, "region %u: out of memory for outputs", index);
	err = runtime_program_run(plan->programs[index], inputs, outputs, &exec, &trace, &num_trace, error, size);
	if (err)
		return err;
	end = now_ns();
	stats->cycles = exec.end - exec.start;
	stats->local_bytes = stats->host_bytes = 0;
	for (size_t i = 0; i < sizeof(exec.bytes) / sizeof(exec.bytes[0]); i++) {
		stats->local_bytes += exec.bytes[i][0];
		stats->host_bytes += exec.bytes[i][1];
	}
	node_cycles_attribute(trace, num_trace, stats->cycles, region->first_node, region->num_nodes,
			      &plan->cycles[region->first_node]);
	for (uint32_t n = region->first_node; n < region->first_node + region->num_nodes; n++)
		plan->node_stats[n].cycles = plan->cycles[n];
	if (num_trace && !exec.trace_dropped) {
		enum roofline_bound bound;

		roofline_cycles(&plan->roofline, &bound);
		if (ledger_add(&plan->ledger, trace, num_trace, &exec, axm->model->tiles, stats->cycles, bound))
			return fail(error, size, -ENOMEM, "region %u: out of memory for the ledger", index);
		err = note_preemption(axm->data + region->code, trace, num_trace, &exec, stats);
		if (err)
			return fail(error, size, err, "region %u: the trace can not be read: %s", index,
				    strerror(-err));
	} else {
		plan->stats.has_ledger = false;
	}
	runtime_trace_device(plan->host.trace, axm, start, end, stats->cycles, trace, num_trace);
	plan->analysis_ns += now_ns() - end;
	return 0;
}

int plan_run(struct plan *plan, const struct tensor *inputs, char *error, size_t size)
{
	const struct axm *axm = &plan->axm;
	uint64_t start = now_ns();
	int err = 0;

	for (uint32_t i = 0; i < axm->model->num_inputs; i++) {
		struct tensor *value = &plan->values[axm->ids[axm->model->inputs_first + i]];

		*value = inputs[i];
		value->owned = false;
	}
	for (uint32_t n = 0; n < axm->num_nodes; n++)
		plan->node_stats[n].cycles = plan->node_stats[n].cpu_ns = 0;
	runtime_trace_reset(plan->host.trace);
	plan->stats.cycles = plan->analysis_ns = 0;
	memset(&plan->ledger, 0, sizeof(plan->ledger));
	plan->stats.has_ledger = plan->host.device && axm->model->tiles;
	for (uint32_t r = 0; r < axm->num_regions && !err; r++) {
		const struct axm_region *region = &axm->regions[r];
		uint64_t begin = now_ns(), analysis = plan->analysis_ns;

		err = region->device ? run_device_region(plan, r, error, size)
				     : run_cpu_region(plan, region, error, size);
		plan->region_stats[r].ns = now_ns() - begin - (plan->analysis_ns - analysis);
		plan->stats.cycles += region->device ? plan->region_stats[r].cycles : 0;
	}
	plan->stats.ns = now_ns() - start - plan->analysis_ns;
	if (plan->stats.has_ledger)
		ledger_causes(&plan->ledger, &plan->roofline, axm->model->tiles, plan->stats.causes);
	return err;
}

const struct tensor *plan_output(const struct plan *plan, size_t index)
{
	return &plan->values[plan->axm.ids[plan->axm.model->outputs_first + index]];
}

const struct accel_run_stats *plan_stats(const struct plan *plan)
{
	return &plan->stats;
}

const struct axm *plan_package(const struct plan *plan)
{
	return &plan->axm;
}

/* ---- inputs ---- */

static bool is_symbolic(const struct axm *axm, uint32_t id, uint32_t dimension)
{
	for (uint32_t i = 0; i < axm->num_dims; i++)
		if (axm->dims[i].value == id && axm->dims[i].dimension == dimension)
			return true;
	return false;
}

int plan_check_input(const struct plan *plan, size_t index, const struct tensor *input, char *error, size_t size)
{
	const struct axm *axm = &plan->axm;
	uint32_t id = axm->ids[axm->model->inputs_first + index];
	const struct axm_value *value = &axm->values[id];
	const char *name = axm_string(axm, value->name);
	bool unranked = value->flags & AXM_VALUE_UNRANKED || dtype_is_nested((enum dtype)value->dtype);
	int other = 0;

	if (value->dtype && input->dtype != (enum dtype)value->dtype)
		return fail(error, size, -EINVAL, "input %s: is %s, the model wants %s", name, dtype_name(input->dtype),
			    *axm_string(axm, value->type) ? axm_string(axm, value->type)
							  : dtype_name((enum dtype)value->dtype));
	if (!unranked && input->rank != (int)value->rank)
		return fail(error, size, -EINVAL, "input %s: is of rank %d, the model wants rank %u", name, input->rank,
			    value->rank);
	for (uint32_t d = 0; d < value->rank && !unranked; d++) {
		if (value->dims[d] < 0 || input->dims[d] == value->dims[d])
			continue;
		if (!is_symbolic(axm, id, d))
			return fail(error, size, -EINVAL, "input %s: dimension %u is %lld, the model wants %lld", name,
				    d, (long long)input->dims[d], (long long)value->dims[d]);
		other = 1;
	}
	return other;
}

/* ---- life ---- */

int plan_create(const struct plan_host *host, struct axm *axm, uint8_t *bytes, bool trace, struct plan **plan,
		char *error, size_t size)
{
	struct plan *p = calloc(1, sizeof(*p));
	int err;

	*plan = NULL;
	if (!p) {
		axm_close(axm);
		free(bytes);
		return fail(error, size, -ENOMEM, "out of memory");
	}
	p->host = *host;
	p->axm = *axm;
	p->bytes = bytes;
	err = make_values(p, error, size);
	if (!err)
		err = prepare_regions(p, trace, error, size);
	if (err) {
		plan_destroy(p);
		return err;
	}
	describe_nodes(p);
	*plan = p;
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

void plan_destroy(struct plan *plan)
{
	if (!plan)
		return;
	for (uint32_t n = 0; plan->nodes && n < plan->axm.num_nodes; n++)
		finish_node(&plan->nodes[n]);
	for (uint32_t r = 0; plan->programs && r < plan->axm.num_regions; r++)
		runtime_program_destroy(plan->programs[r]);
	for (uint32_t i = 0; plan->values && i < plan->axm.num_values; i++)
		tensor_finish(&plan->values[i]);
	for (size_t i = 0; i < plan->num_strings; i++)
		free(plan->strings[i]);
	free(plan->strings);
	free(plan->nodes);
	free(plan->programs);
	free(plan->values);
	free(plan->block);
	free(plan->region_stats);
	free(plan->node_stats);
	free(plan->cycles);
	axm_close(&plan->axm);
	free(plan->bytes);
	free(plan);
}
