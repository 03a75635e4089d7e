/* SPDX-License-Identifier: MIT */
/*
 * See instance.h. All values are tensors with memory that stays from run to run: a steady state allocates nothing. Those whose sizes
 * are known share one block (memory_plan.h).
 */
#include "runtime/instance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <axl/axl_isa.h>

#include "runtime/fail.h"
#include "runtime/memory_plan.h"

uint64_t instance_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* ---- nodes on the CPU ---- */

static const struct op_runner body_runner;

static int run_nodes(struct instance *instance, uint32_t first, uint32_t count, char *error, size_t size)
{
	const struct plan *plan = instance->plan;

	for (uint32_t n = first; n < first + count; n++) {
		const struct plan_node *node = &plan->nodes[n];
		const struct axm_node *lists = &plan->axm.nodes[n];
		struct op_call call = {.node = &node->node,
				       .inputs = (const struct tensor *const *)&instance->operands[lists->inputs_first],
				       .outputs = &instance->operands[lists->outputs_first],
				       .state = node->state,
				       .pool = plan->host.pool,
				       .runner = &body_runner,
				       .context = instance};
		bool outer =
			n < plan->axm.num_region_nodes; /* a body may run a million times: its node stands for it */
		uint64_t start = instance_now(), end;
		int err;

		if (outer)
			runtime_trace_node_begins(instance->trace, n);
		err = op_run(node->kernel, &call);
		if (err)
			return fail(error, size, err, "node %s (%s): %s", node->node.name, node->node.op_type,
				    call.error[0] ? call.error : strerror(-err));
		end = instance_now();
		instance->node_stats[n].cpu_ns += end - start; /* a body's nodes run often */
		if (outer)
			runtime_trace_node(instance->trace, n, start, end);
		err = instance->between ? instance->between(instance->between_context, end) : 0;
		if (err)
			return err;
	}
	return 0;
}

static void note_worker(void *context, size_t worker, uint64_t start, uint64_t end)
{
	runtime_trace_worker(context, worker, start, end);
}

int instance_run_region(struct instance *instance, uint32_t index, char *error, size_t size)
{
	const struct axm_region *region = &instance->plan->axm.regions[index];
	const struct cpu_pool_watch watch = {note_worker, instance->trace};
	uint64_t start = instance_now();
	int err;

	cpu_pool_watch(instance->trace ? &watch : NULL);
	cpu_pool_begin(instance->plan->host.pool);
	err = run_nodes(instance, region->first_node, region->num_nodes, error, size);
	cpu_pool_end(instance->plan->host.pool);
	cpu_pool_watch(NULL);
	instance->region_stats[index].ns = instance_now() - start;
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
	struct instance *instance = call->context;
	const struct axm *axm = &instance->plan->axm;
	const struct axm_graph *graph = body->graph;
	char error[OP_ERROR_SIZE] = "";
	int err;

	if (num_inputs != graph->num_inputs || num_outputs != graph->num_outputs)
		return op_fail(call, -EINVAL, "%s has %u inputs and %u outputs, %s wants %zu and %zu", body->name,
			       graph->num_inputs, graph->num_outputs, call->node->op_type, num_inputs, num_outputs);
	for (uint32_t i = 0; i < graph->num_inputs; i++) {
		struct tensor *value = &instance->values[axm->ids[graph->inputs_first + i]];

		if (!inputs[i])
			return op_fail(call, -EINVAL, "input %u of %s is missing", i, body->name);
		*value = *inputs[i];
		value->owned = false;
	}
	err = run_nodes(instance, graph->first_node, graph->num_nodes, error, sizeof(error));
	if (err)
		return op_fail(call, err, "%s", error);
	for (uint32_t i = 0; i < graph->num_outputs && !err; i++)
		if (outputs[i])
			err = tensor_give(outputs[i], &instance->values[axm->ids[graph->outputs_first + i]]);
	return err ? op_fail(call, err, "no memory for the outputs of %s", body->name) : 0;
}

static void body_output_type(const struct op_call *call, const struct attr *body, size_t index, enum dtype *dtype,
			     int *rank, int64_t *dims)
{
	const struct axm *axm = &((const struct instance *)call->context)->plan->axm;
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

/* ---- a run ---- */

void instance_begin(struct instance *instance, const struct tensor *inputs)
{
	const struct plan *plan = instance->plan;
	const struct axm *axm = &plan->axm;

	instance->began = instance_now();
	for (uint32_t i = 0; i < axm->model->num_inputs; i++) {
		struct tensor *value = &instance->values[axm->ids[axm->model->inputs_first + i]];

		*value = inputs[i];
		value->owned = false;
	}
	for (uint32_t n = 0; n < axm->num_nodes; n++)
		instance->node_stats[n].cycles = instance->node_stats[n].cpu_ns = 0;
	runtime_trace_begin(instance->trace,
			    plan->launches ? runtime_device_name(plan->host.devices[instance->device]) : NULL,
			    instance->began);
	instance->stats.cycles = instance->analysis_ns = 0;
	instance->stats.copied_in = instance->stats.copied_out = 0;
	instance->stats.joined = 1;
	memset(&instance->ledger, 0, sizeof(instance->ledger));
	instance->stats.has_ledger = plan->launches && axm->model->tiles;
	memcpy(instance->waits, plan->order.waits, plan->order.num * sizeof(*instance->waits));
}

void instance_end(struct instance *instance)
{
	const struct plan *plan = instance->plan;
	uint64_t end = instance_now();

	instance->stats.ns = end - instance->began - instance->analysis_ns;
	runtime_trace_end(instance->trace, end);
	if (instance->stats.has_ledger)
		ledger_causes(&instance->ledger, &plan->roofline, plan->axm.model->tiles, instance->stats.causes);
}

const struct tensor *instance_output(const struct instance *instance, size_t index)
{
	const struct axm *axm = &instance->plan->axm;

	return &instance->values[axm->ids[axm->model->outputs_first + index]];
}

/* ---- life ---- */

static void describe_nodes(struct instance *instance)
{
	const struct plan *plan = instance->plan;
	const struct axm *axm = &plan->axm;

	for (uint32_t n = 0; n < axm->num_nodes; n++) {
		const struct axm_node *node = &axm->nodes[n];
		struct accel_node_stats *stats = &instance->node_stats[n];

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
		struct accel_region_stats *stats = &instance->region_stats[r];

		stats->device = axm->regions[r].device;
		stats->num_nodes = axm->regions[r].num_nodes;
		stats->estimate = axm->regions[r].cycles;
		for (uint32_t n = 0; n < stats->num_nodes; n++)
			stats->macs += axm->nodes[axm->regions[r].first_node + n].macs;
		instance->stats.macs += stats->macs;
		instance->stats.macs_device += stats->device ? stats->macs : 0;
	}
	instance->stats.num_regions = axm->num_regions;
	instance->stats.num_nodes = axm->num_nodes;
	instance->stats.regions = instance->region_stats;
	instance->stats.nodes = instance->node_stats;
	if (plan->host.num_devices) {
		static const double share[] = {[AXM_F32] = 0.125, [AXM_F16] = 0.5, [AXM_BF16] = 0.5, [AXM_INT8] = 1};

		instance->stats.peak_macs =
			(double)AXL_ARRAY_K * AXL_ARRAY_N * axm->model->tiles * share[axm->model->precision];
		instance->stats.roofline_cycles = roofline_cycles(&plan->roofline, NULL);
		instance->stats.in_order_cycles = plan->in_order;
	}
}

static int make_values(struct instance *instance)
{
	const struct axm *axm = &instance->plan->axm;

	instance->values = calloc((size_t)axm->num_values + 1, sizeof(*instance->values));
	instance->operands = calloc((size_t)axm->num_ids + 1, sizeof(struct tensor *));
	instance->addresses = calloc((size_t)axm->num_values + 1, sizeof(*instance->addresses));
	instance->own = calloc((size_t)axm->model->num_outputs + 1, sizeof(*instance->own));
	instance->lent = calloc((size_t)axm->model->num_outputs + 1, sizeof(*instance->lent));
	if (!instance->values || !instance->operands || !instance->addresses || !instance->own || !instance->lent)
		return -ENOMEM;
	memcpy(instance->values, instance->plan->constants, axm->num_values * sizeof(*instance->values));
	for (uint32_t i = 0; i < axm->num_ids; i++)
		instance->operands[i] = axm->ids[i] < axm->num_values ? &instance->values[axm->ids[i]] : NULL;
	return memory_plan_place(axm, instance->values, &instance->block);
}

static int make_figures(struct instance *instance)
{
	const struct plan *plan = instance->plan;
	size_t regions = (size_t)plan->axm.num_regions + 1, nodes = (size_t)plan->axm.num_nodes + 1;

	instance->region_stats = calloc(regions, sizeof(*instance->region_stats));
	instance->node_stats = calloc(nodes, sizeof(*instance->node_stats));
	instance->cycles = calloc(nodes, sizeof(*instance->cycles));
	instance->starts = calloc(regions, sizeof(*instance->starts));
	instance->waits = calloc(regions, sizeof(*instance->waits));
	instance->ready = calloc(regions, sizeof(*instance->ready));
	instance->started = calloc(regions, sizeof(*instance->started));
	instance->launches = calloc(regions * (plan->host.num_devices + 1), sizeof(struct runtime_launch *));
	instance->placed = calloc(plan->host.num_devices + 1, sizeof(*instance->placed));
	if (!instance->region_stats || !instance->node_stats || !instance->cycles || !instance->starts ||
	    !instance->waits || !instance->ready || !instance->started || !instance->launches || !instance->placed)
		return -ENOMEM;
	return plan->host.trace ? runtime_trace_create(plan->axm.num_regions, &instance->trace) : 0;
}

int instance_create(const struct plan *plan, struct instance **instance, char *error, size_t size)
{
	struct instance *i = calloc(1, sizeof(*i));
	int err = -ENOMEM;

	*instance = NULL;
	if (i) {
		i->plan = plan;
		err = make_figures(i);
	}
	if (!err)
		err = make_values(i);
	if (err) {
		instance_destroy(i);
		return fail(error, size, err, "no memory for the values between nodes");
	}
	describe_nodes(i);
	*instance = i;
	return 0;
}

int instance_place(struct instance *instance, size_t device, char *error, size_t size)
{
	const struct plan *plan = instance->plan;
	const struct axm *axm = &plan->axm;
	int err = 0;

	instance->device = device;
	for (uint32_t r = 0; r < axm->num_regions && plan->launches && !instance->placed[device] && !err; r++) {
		struct runtime_launch **launch = &instance->launches[device * axm->num_regions + r];
		struct runtime_program *program = plan->programs[device * axm->num_regions + r];

		if (!axm->regions[r].device || *launch)
			continue;
		if (!program)
			return fail(error, size, -ENODEV, "region %u: the device is gone", r);
		/* Two records an instruction slot are always enough; a buffer without loops needs one. */
		err = runtime_launch_create(program, axm, r,
					    plan->host.trace ? axm->regions[r].code_bytes / AXL_PACKET_BYTES + 64 : 0,
					    launch, error, size);
	}
	instance->placed[device] = !err;
	return err;
}

void instance_displace(struct instance *instance, size_t device)
{
	const struct axm *axm = &instance->plan->axm;

	if (!instance->placed[device])
		return;
	for (uint32_t r = 0; r < axm->num_regions; r++) {
		runtime_launch_destroy(instance->launches[device * axm->num_regions + r]);
		instance->launches[device * axm->num_regions + r] = NULL;
	}
	instance->placed[device] = false;
}

void instance_destroy(struct instance *instance)
{
	const struct axm *axm;

	if (!instance)
		return;
	axm = &instance->plan->axm;
	for (size_t i = 0; instance->launches && i < axm->num_regions * instance->plan->host.num_devices; i++)
		runtime_launch_destroy(instance->launches[i]);
	for (uint32_t i = 0; instance->values && i < axm->num_values; i++)
		tensor_finish(&instance->values[i]);
	runtime_trace_destroy(instance->trace);
	free(instance->values);
	free(instance->addresses);
	free(instance->own);
	free(instance->lent);
	free(instance->block);
	free(instance->operands);
	free(instance->region_stats);
	free(instance->node_stats);
	free(instance->cycles);
	free(instance->starts);
	free(instance->waits);
	free(instance->ready);
	free(instance->started);
	free(instance->launches);
	free(instance->placed);
	free(instance->views);
	free(instance);
}
