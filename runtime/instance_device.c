/* SPDX-License-Identifier: MIT */
/* See instance.h: its regions on the device, and what the device says of them. */
#include <errno.h>
#include <string.h>

#include "compiler/report/node_cycles.h"
#include "compiler/report/preemption.h"
#include "runtime/fail.h"
#include "runtime/instance.h"

/* The time, of a traced run. */
static uint64_t trace_now(const struct instance *instance)
{
	return instance->trace ? instance_now() : 0;
}

/* Bound ones where they are bound, the others in the launch's own memory. */
static void place_operands(struct instance *instance, const struct axm_region *region, struct runtime_launch *launch)
{
	const uint32_t *ids = instance->plan->axm.ids;

	for (uint32_t i = 0; i < region->num_inputs; i++)
		runtime_launch_place(launch, i, instance->addresses[ids[region->inputs_first + i]]);
	for (uint32_t i = 0; i < region->num_outputs; i++)
		runtime_launch_place(launch, region->num_inputs + i,
				     instance->addresses[ids[region->outputs_first + i]]);
}

int instance_start_region(struct instance *instance, struct runtime_lane *lane, uint32_t index, char *error,
			  size_t size)
{
	const struct axm *axm = &instance->plan->axm;
	const struct axm_region *region = &axm->regions[index];
	struct tensor **outputs = &instance->operands[region->outputs_first];
	struct runtime_launch *launch = instance_launch(instance, index);
	uint64_t bytes, copied;
	int err = 0;

	place_operands(instance, region, launch);
	for (uint32_t i = 0; i < region->num_outputs && !err; i++) {
		uint32_t id = axm->ids[region->outputs_first + i];
		const struct axm_value *value = &axm->values[id];

		if (!outputs[i]->data && !instance->addresses[id])
			err = tensor_init(outputs[i], (enum dtype)value->dtype, (int)value->rank, value->dims);
	}
	if (err)
		return fail(error, size, err, "region %u: out of memory for outputs", index);
	instance->starts[index] = instance_now();
	bytes = runtime_launch_load(launch, (const struct tensor *const *)&instance->operands[region->inputs_first]);
	instance->stats.copied_in += bytes;
	copied = trace_now(instance);
	err = runtime_launch_start(launch, lane);
	if (err)
		return fail(error, size, err, "region %u: the device takes no work", index);
	runtime_trace_submit(instance->trace, index, bytes, instance->starts[index], copied, trace_now(instance));
	return 0;
}

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

static int analyse(struct instance *instance, uint32_t index, const struct axl_exec_stats *exec,
		   const struct axl_trace_record *trace, char *error, size_t size)
{
	const struct plan *plan = instance->plan;
	const struct axm *axm = &plan->axm;
	const struct axm_region *region = &axm->regions[index];
	struct accel_region_stats *stats = &instance->region_stats[index];
	size_t num_trace = trace ? exec->trace_records : 0;
	enum roofline_bound bound;
	int err;

	node_cycles_attribute(trace, num_trace, stats->cycles, region->first_node, region->num_nodes,
			      &instance->cycles[region->first_node]);
	for (uint32_t n = region->first_node; n < region->first_node + region->num_nodes; n++)
		instance->node_stats[n].cycles = instance->cycles[n];
	if (!num_trace || exec->trace_dropped) {
		instance->stats.has_ledger = false;
		return 0;
	}
	roofline_cycles(&plan->roofline, &bound);
	if (ledger_add(&instance->ledger, trace, num_trace, exec, axm->model->tiles, stats->cycles, bound))
		return fail(error, size, -ENOMEM, "region %u: out of memory for the ledger", index);
	err = note_preemption(axm->data + region->code, trace, num_trace, exec, stats);
	return err ? fail(error, size, err, "region %u: the trace can not be read: %s", index, strerror(-err)) : 0;
}

int instance_finish_region(struct instance *instance, uint32_t index, char *error, size_t size)
{
	const struct axm *axm = &instance->plan->axm;
	struct accel_region_stats *stats = &instance->region_stats[index];
	const struct axl_trace_record *trace;
	const struct axl_exec_stats *exec;
	uint64_t seen = trace_now(instance), bytes, end, now;
	int err;

	bytes = runtime_launch_finish(instance_launch(instance, index),
				      &instance->operands[axm->regions[index].outputs_first], &exec, &trace);
	instance->stats.copied_out += bytes;
	if (!runtime_launch_is_true(instance_launch(instance, index)))
		return fail(error, size, -ENODEV, "region %u: the device's memory can not be read any more", index);
	end = instance_now();
	stats->cycles = exec->end - exec->start;
	instance->stats.cycles += stats->cycles;
	stats->ns = end - instance->starts[index];
	stats->local_bytes = stats->host_bytes = 0;
	for (size_t i = 0; i < sizeof(exec->bytes) / sizeof(exec->bytes[0]); i++) {
		stats->local_bytes += exec->bytes[i][0];
		stats->host_bytes += exec->bytes[i][1];
	}
	err = analyse(instance, index, exec, trace, error, size);
	runtime_trace_complete(instance->trace, index, exec, trace, bytes, seen, end);
	now = instance_now();
	runtime_trace_analysis(instance->trace, index, end, now);
	instance->analysis_ns += now - end;
	return err;
}
