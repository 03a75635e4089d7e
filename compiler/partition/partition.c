/* SPDX-License-Identifier: MIT */
/* See partition.h. */
#include "compiler/partition/partition.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/partition/choose.h"
#include "compiler/partition/cpu_cost.h"

/* Does the node read or write only integers of 64 bits: arithmetic on shapes, which belongs where shapes are known. */
static bool shape_arithmetic(const struct graph_node *node)
{
	for (size_t i = 0; i < node->num_outputs; i++)
		if (node->outputs[i] && node->outputs[i]->dtype != DTYPE_S64)
			return false;
	return true;
}

static const char *refusal_reason(const struct graph_node *node, const struct partition_refusal *refusals, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (node->num_outputs && node->outputs[0] && !strcmp(node->outputs[0]->name, refusals[i].output))
			return refusals[i].reason;
	return NULL;
}

/* A shape or type that only a run will tell: device code is for fixed shapes. */
static bool is_unknown(const struct graph_value *value)
{
	return !value->dtype || !graph_value_is_static(value);
}

/* Nothing that a region could be bound to; a constant is not bound. Of values that are known. */
static bool is_empty(const struct graph_value *value)
{
	return !value->constant && dims_count(value->rank, value->dims) == 0;
}

/* The first input or output of which @is holds, NULL when there is none. */
static const struct graph_value *find_operand(const struct graph_node *node,
					      bool (*is)(const struct graph_value *value))
{
	for (size_t i = 0; i < node->num_inputs + node->num_outputs; i++) {
		const struct graph_value *value =
			i < node->num_inputs ? node->inputs[i] : node->outputs[i - node->num_inputs];

		if (value && is(value))
			return value;
	}
	return NULL;
}

/* Can the device do the node? Why not is in @reason. */
static bool able(const struct graph_node *node, const struct partition_options *options, char *reason, size_t size)
{
	const struct graph_value *unknown, *empty;
	const struct lower_op *op;

	if (!options->target) {
		snprintf(reason, size, "the CPU was asked for");
		return false;
	}
	for (size_t i = 0; i < node->num_attrs; i++)
		if (node->attrs[i].type == ATTR_GRAPH || node->attrs[i].type == ATTR_GRAPHS) {
			snprintf(reason, size, "control flow runs on the CPU");
			return false;
		}
	unknown = find_operand(node, is_unknown);
	op = lower_find(node);
	if (op && unknown) {
		snprintf(reason, size, "the shape of %.100s is known only when it runs", unknown->name);
		return false;
	}
	if (!op) {
		snprintf(reason, size, "no lowering for %s%s%s", node->domain, *node->domain ? "::" : "",
			 node->op_type);
		return false;
	}
	if (shape_arithmetic(node) && strncmp(node->op_type, "Arg", 3)) {
		snprintf(reason, size, "arithmetic on shapes (int64) stays on the CPU");
		return false;
	}
	empty = find_operand(node, is_empty);
	if (empty) {
		snprintf(reason, size, "%.100s has no elements", empty->name);
		return false;
	}
	reason[0] = '\0';
	return !op->supports(node, options->target, options->precision, reason, size);
}

/* Of compiled code, where there was some; else as the lowering expects. */
static uint64_t device_ns(const struct graph_node *node, const struct partition_options *options)
{
	const struct lower_op *op = lower_find(node);
	size_t id = node->num_outputs && node->outputs[0] ? (size_t)node->outputs[0]->id : SIZE_MAX;
	uint64_t cycles;

	if (options->known && id < options->num_known && options->known[id])
		cycles = options->known[id] - 1;
	else
		cycles = op->cycles ? op->cycles(node, options->target, options->precision) : 0;
	return cycles * 1000000 / options->target->clock_khz;
}

/* Of every node, whether the device can do it and what either side takes. What it can not do gets its reason. */
static int survey(struct placement *placement, struct graph *graph, const struct partition_options *options,
		  const struct partition_refusal *refusals, size_t num_refusals)
{
	unsigned int threads = options->threads ? options->threads : PARTITION_THREADS;

	for (size_t i = 0; i < graph->num_nodes; i++) {
		struct graph_node *node = graph->nodes[i];
		const char *refused = refusal_reason(node, refusals, num_refusals);
		char reason[256];

		placement->able[i] = able(node, options, reason, sizeof(reason));
		if (placement->able[i] && refused) {
			placement->able[i] = false;
			snprintf(reason, sizeof(reason), "%s", refused);
		}
		placement->cpu_ns[i] = cpu_cost_ns(node, threads);
		if (placement->able[i])
			placement->device_ns[i] = device_ns(node, options);
		node->reason = placement->able[i] ? "" : graph_intern(graph, reason);
		if (!node->reason)
			return -ENOMEM;
	}
	return 0;
}

static void all_sides(struct placement *placement, bool device, struct partition_cost *cost)
{
	for (size_t i = 0; i < placement->graph->num_nodes; i++)
		placement->device[i] = device && placement->able[i];
	placement_update(placement);
	placement_cost(placement, -1, cost);
}

/* Leaves the placement that was chosen, up to date. */
static int choose(struct placement *placement, const struct partition_options *options, struct choice *choices,
		  struct partition *partition)
{
	int err;

	all_sides(placement, false, &partition->cpu_only);
	all_sides(placement, true, &partition->all_able);
	partition->chosen = partition->all_able;
	if (options->all || !partition->all_able.calls)
		return 0;
	err = choose_placement(placement, choices);
	if (err)
		return err;
	placement_update(placement);
	placement_cost(placement, -1, &partition->chosen);
	if (partition_cost_ns(&partition->chosen) >
	    partition_cost_ns(&partition->cpu_only) + PARTITION_ERROR_NS(partition_cost_ns(&partition->cpu_only)))
		all_sides(placement, false, &partition->chosen);
	return 0;
}

/* ---- reasons ---- */

static double micro(uint64_t ns)
{
	return (double)ns / 1e3;
}

/* Why the nodes of device region @level are there. */
static const char *region_reason(struct placement *placement, struct graph *graph, int level, bool all)
{
	struct partition_cost here;
	uint64_t cpu = 0;
	size_t nodes = 0;
	char text[256];

	for (size_t i = 0; i < graph->num_nodes; i++)
		if (placement->level[i] == level) {
			cpu += placement->cpu_ns[i];
			nodes++;
		}
	placement_cost(placement, level, &here);
	snprintf(text, sizeof(text),
		 "%s%zu node%s: %.1f us here (%.1f computing, %.1f the call, %.1f copies), %.1f us on the CPU",
		 all ? "all that the device can do was asked for; " : "", nodes, nodes == 1 ? "" : "s",
		 micro(partition_cost_ns(&here)), micro(here.device_ns), micro(here.launch_ns), micro(here.copy_ns),
		 micro(cpu));
	return graph_intern(graph, text);
}

/* Why a node that the device can do is on the CPU. */
static const char *moved_reason(struct graph *graph, const struct choice *choice, const struct partition *partition)
{
	char text[256];

	if (choice->nodes && partition->chosen.calls)
		snprintf(text, sizeof(text),
			 "does not pay on the device: its %zu node%s would take %.1f us there with call and copies, "
			 "%.1f us here",
			 choice->nodes, choice->nodes == 1 ? "" : "s", micro(choice->device_ns), micro(choice->cpu_ns));
	else
		snprintf(text, sizeof(text),
			 "does not pay on the device: the whole would take %.1f us with what it can do there, %.1f us "
			 "all on the CPU",
			 micro(partition_cost_ns(&partition->all_able)),
			 micro(partition_cost_ns(&partition->cpu_only)));
	return graph_intern(graph, text);
}

static int explain(struct placement *placement, struct graph *graph, const struct partition_options *options,
		   const struct choice *choices, struct partition *partition)
{
	const char **regions = calloc((size_t)placement->levels + 1, sizeof(*regions));
	int err = regions ? 0 : -ENOMEM;

	for (size_t i = 0; i < graph->num_nodes && !err; i++) {
		struct graph_node *node = graph->nodes[i];
		int level = placement->level[i];
		enum graph_placement side = placement->device[i] ? GRAPH_PLACE_NPU : GRAPH_PLACE_CPU;

		partition->changed |= node->placement != side;
		node->placement = side;
		node->region = level;
		if (placement->device[i]) {
			if (!regions[level])
				regions[level] = region_reason(placement, graph, level, options->all);
			node->reason = regions[level];
		} else if (placement->able[i]) {
			node->reason = moved_reason(graph, &choices[i], partition);
		}
		err = node->reason ? 0 : -ENOMEM;
	}
	free(regions);
	return err;
}

/* ---- regions ---- */

static int by_region(const void *a, const void *b)
{
	const struct graph_node *x = *(struct graph_node *const *)a, *y = *(struct graph_node *const *)b;

	return x->region != y->region ? (x->region > y->region) - (x->region < y->region)
				      : (x->id > y->id) - (x->id < y->id);
}

/* Regions are numbered without gaps, nodes ordered by them. */
static int number_regions(struct graph *graph, int levels, struct partition *partition)
{
	int last = -1;

	partition->device = calloc((size_t)levels + 1, sizeof(*partition->device));
	if (!partition->device)
		return -ENOMEM;
	qsort(graph->nodes, graph->num_nodes, sizeof(graph->nodes[0]), by_region);
	for (size_t i = 0; i < graph->num_nodes; i++) {
		struct graph_node *node = graph->nodes[i];

		if (node->region != last) {
			last = node->region;
			partition->device[partition->num_regions++] = node->placement == GRAPH_PLACE_NPU;
		}
		node->id = (int)i;
		node->region = partition->num_regions - 1;
	}
	return 0;
}

int partition_graph(struct graph *graph, const struct partition_options *options,
		    const struct partition_refusal *refusals, size_t num_refusals, struct partition *partition)
{
	struct choice *choices = calloc(graph->num_nodes + 1, sizeof(*choices));
	struct placement placement;
	int err = choices ? placement_init(&placement, graph, options->target) : -ENOMEM;

	*partition = (struct partition){0};
	if (err) {
		free(choices);
		return err;
	}
	err = survey(&placement, graph, options, refusals, num_refusals);
	if (!err)
		err = choose(&placement, options, choices, partition);
	if (!err)
		err = explain(&placement, graph, options, choices, partition);
	if (!err)
		err = number_regions(graph, placement.levels, partition);
	if (err)
		*partition = (struct partition){0};
	placement_finish(&placement);
	free(choices);
	return err;
}
