/* SPDX-License-Identifier: MIT */
/* See placement.h. */
#include "compiler/partition/placement.h"

#include <errno.h>
#include <stdlib.h>

#include "compiler/partition/cpu_cost.h"

int placement_init(struct placement *placement, const struct graph *graph, const struct target *target)
{
	size_t count = graph->num_nodes + 2;

	*placement = (struct placement){.graph = graph, .target = target};
	placement->cpu_ns = calloc(count, sizeof(*placement->cpu_ns));
	placement->device_ns = calloc(count, sizeof(*placement->device_ns));
	placement->able = calloc(count, sizeof(*placement->able));
	placement->device = calloc(count, sizeof(*placement->device));
	placement->level = calloc(count, sizeof(*placement->level));
	placement->stamps = calloc(2 * count, sizeof(*placement->stamps));
	if (!placement->cpu_ns || !placement->device_ns || !placement->able || !placement->device ||
	    !placement->level || !placement->stamps) {
		placement_finish(placement);
		return -ENOMEM;
	}
	for (size_t i = 0; i < graph->num_nodes; i++)
		graph->nodes[i]->id = (int)i;
	return 0;
}

void placement_finish(struct placement *placement)
{
	free(placement->cpu_ns);
	free(placement->device_ns);
	free(placement->able);
	free(placement->device);
	free(placement->level);
	free(placement->stamps);
	*placement = (struct placement){0};
}

void placement_update(struct placement *placement)
{
	const struct graph *graph = placement->graph;
	int highest = 0;

	for (size_t i = 0; i < graph->num_nodes; i++) {
		const struct graph_node *node = graph->nodes[i];
		bool device = placement->device[i];
		int level = !device;

		for (size_t k = 0; k < node->num_inputs; k++) {
			const struct graph_node *producer = node->inputs[k] ? node->inputs[k]->producer : NULL;
			int least;

			if (!producer)
				continue;
			least = placement->level[producer->id] + (placement->device[producer->id] != device);
			level = least > level ? least : level;
		}
		placement->level[i] = level;
		highest = level > highest ? level : highest;
		placement->visits += node->num_inputs + 1;
	}
	placement->levels = highest + 1;
}

static uint64_t cycles_to_ns(const struct target *target, uint64_t cycles)
{
	return cycles * 1000000 / target->clock_khz;
}

static uint64_t copy_ns(const struct target *target, const struct graph_value *value)
{
	int64_t count = dims_count(value->rank, value->dims);
	uint64_t bytes = count > 0 ? (uint64_t)count * dtype_size(value->dtype) : 0;

	return cycles_to_ns(target, target->host_latency + (bytes + target->host_rate - 1) / target->host_rate);
}

/* Copies of @value to and from the device, counting those that the region of @level (< 0: each) makes. */
static uint64_t copies_ns(struct placement *placement, const struct graph_value *value, int level)
{
	const struct graph_node *producer = value->producer;
	int from = producer ? placement->level[producer->id] : -1;
	bool leaves = value->is_output;
	unsigned int copies = 0;

	placement->stamp++;
	placement->visits += value->num_uses + 1;
	for (size_t i = 0; i < value->num_uses; i++) {
		int at = placement->level[value->uses[i]->id];

		leaves |= at != from;
		if (at == from || !placement->device[value->uses[i]->id] || placement->stamps[at] == placement->stamp)
			continue;
		placement->stamps[at] = placement->stamp;
		copies += level < 0 || at == level;
	}
	copies += leaves && producer && placement->device[producer->id] && (level < 0 || from == level);
	return copies ? copies * copy_ns(placement->target, value) : 0;
}

void placement_cost(struct placement *placement, int level, struct partition_cost *cost)
{
	const struct graph *graph = placement->graph;

	*cost = (struct partition_cost){0};
	placement->stamp++;
	for (size_t i = 0; i < graph->num_nodes; i++) {
		int at = placement->level[i];

		if (level >= 0 && at != level)
			continue;
		if (!placement->device[i]) {
			cost->cpu_ns += placement->cpu_ns[i];
			continue;
		}
		cost->device_ns += placement->device_ns[i];
		cost->calls += placement->stamps[at] != placement->stamp;
		placement->stamps[at] = placement->stamp;
	}
	cost->launch_ns = (uint64_t)cost->calls * PARTITION_LAUNCH_NS;
	if (!cost->calls)
		return;
	for (size_t v = 0; v < graph->num_inputs; v++)
		cost->copy_ns += copies_ns(placement, graph->inputs[v], level);
	for (size_t i = 0; i < graph->num_nodes; i++)
		for (size_t v = 0; v < graph->nodes[i]->num_outputs; v++)
			if (graph->nodes[i]->outputs[v])
				cost->copy_ns += copies_ns(placement, graph->nodes[i]->outputs[v], level);
}

uint64_t placement_total(struct placement *placement)
{
	struct partition_cost cost;

	placement_update(placement);
	placement_cost(placement, -1, &cost);
	return partition_cost_ns(&cost);
}
