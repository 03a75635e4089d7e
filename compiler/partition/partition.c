/* SPDX-License-Identifier: MIT */
/* See partition.h. */
#include "compiler/partition/partition.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* An operand whose shape or type only a run will tell, NULL when there is none: device code is for fixed shapes. */
static const struct graph_value *unknown_operand(const struct graph_node *node)
{
	for (size_t i = 0; i < node->num_inputs + node->num_outputs; i++) {
		const struct graph_value *value = i < node->num_inputs ? node->inputs[i] : node->outputs[i - node->num_inputs];

		if (value && (!value->dtype || !graph_value_is_static(value)))
			return value;
	}
	return NULL;
}

/* Where one node goes; the reason for the CPU in @reason. */
static enum graph_placement place(const struct graph_node *node, const struct partition_options *options, char *reason, size_t size)
{
	const struct graph_value *unknown;
	const struct lower_op *op;

	if (!options->target) {
		snprintf(reason, size, "the CPU was asked for");
		return GRAPH_PLACE_CPU;
	}
	for (size_t i = 0; i < node->num_attrs; i++)
		if (node->attrs[i].type == ATTR_GRAPH || node->attrs[i].type == ATTR_GRAPHS) {
			snprintf(reason, size, "control flow runs on the CPU");
			return GRAPH_PLACE_CPU;
		}
	unknown = unknown_operand(node);
	op = lower_find(node);
	if (op && unknown) {
		snprintf(reason, size, "the shape of %.100s is known only when it runs", unknown->name);
		return GRAPH_PLACE_CPU;
	}
	if (!op) {
		snprintf(reason, size, "no lowering for %s%s%s", node->domain, *node->domain ? "::" : "", node->op_type);
		return GRAPH_PLACE_CPU;
	}
	if (shape_arithmetic(node) && strncmp(node->op_type, "Arg", 3)) {
		snprintf(reason, size, "arithmetic on shapes (int64) stays on the CPU");
		return GRAPH_PLACE_CPU;
	}
	reason[0] = '\0';
	return op->supports(node, options->target, options->precision, reason, size) ? GRAPH_PLACE_CPU : GRAPH_PLACE_NPU;
}

static int place_all(struct graph *graph, const struct partition_options *options, const struct partition_refusal *refusals,
		     size_t num_refusals)
{
	for (size_t i = 0; i < graph->num_nodes; i++) {
		struct graph_node *node = graph->nodes[i];
		const char *refused = refusal_reason(node, refusals, num_refusals);
		char reason[256];

		node->placement = place(node, options, reason, sizeof(reason));
		if (node->placement == GRAPH_PLACE_NPU && refused) {
			node->placement = GRAPH_PLACE_CPU;
			snprintf(reason, sizeof(reason), "%s", refused);
		}
		node->reason = node->placement == GRAPH_PLACE_NPU ? "" : graph_intern(graph, reason);
		if (!node->reason)
			return -ENOMEM;
	}
	return 0;
}

/* Level of every node: even on the NPU, odd on the CPU, rising along every edge between the two. */
static int assign_levels(struct graph *graph)
{
	int highest = 0;

	for (size_t i = 0; i < graph->num_nodes; i++) {
		struct graph_node *node = graph->nodes[i];
		int side = node->placement == GRAPH_PLACE_CPU, level = side;

		for (size_t k = 0; k < node->num_inputs; k++) {
			const struct graph_node *producer = node->inputs[k] ? node->inputs[k]->producer : NULL;

			if (!producer)
				continue;
			if (producer->region >= level)
				level = producer->placement == node->placement ? producer->region : producer->region + 1;
		}
		node->region = level;
		highest = level > highest ? level : highest;
	}
	return highest + 1;
}

static uint64_t node_cycles(const struct graph_node *node, const struct partition_options *options)
{
	const struct lower_op *op = lower_find(node);

	return op && op->cycles ? op->cycles(node, options->target, options->precision) : 0;
}

/* Move small device regions to the CPU. Returns true when something moved. */
static bool move_small(struct graph *graph, const struct partition_options *options, int levels)
{
	uint64_t *cycles = calloc((size_t)levels, sizeof(*cycles)), most = 0;
	int largest = -1;
	bool moved = false;

	if (!cycles)
		return false;
	for (size_t i = 0; i < graph->num_nodes; i++)
		if (graph->nodes[i]->placement == GRAPH_PLACE_NPU)
			cycles[graph->nodes[i]->region] += node_cycles(graph->nodes[i], options);
	for (int l = 0; l < levels; l++)
		if (cycles[l] > most) {
			most = cycles[l];
			largest = l;
		}
	for (size_t i = 0; i < graph->num_nodes; i++) {
		struct graph_node *node = graph->nodes[i];
		char reason[160];

		if (node->placement != GRAPH_PLACE_NPU || node->region == largest || cycles[node->region] >= options->min_cycles)
			continue;
		snprintf(reason, sizeof(reason), "its region of about %llu cycles is too small to pay for two transfers",
			 (unsigned long long)cycles[node->region]);
		node->placement = GRAPH_PLACE_CPU;
		node->reason = graph_intern(graph, reason);
		moved = true;
	}
	free(cycles);
	return moved;
}

static int by_region(const void *a, const void *b)
{
	const struct graph_node *x = *(struct graph_node *const *)a, *y = *(struct graph_node *const *)b;

	return x->region != y->region ? (x->region > y->region) - (x->region < y->region) : (x->id > y->id) - (x->id < y->id);
}

int partition_graph(struct graph *graph, const struct partition_options *options, const struct partition_refusal *refusals,
		    size_t num_refusals, int *num_regions, bool **device)
{
	int levels, err = place_all(graph, options, refusals, num_refusals), regions = 0, last = -1;
	bool *sides;

	if (err)
		return err;
	levels = assign_levels(graph);
	if (options->target)
		while (move_small(graph, options, levels))
			levels = assign_levels(graph);
	qsort(graph->nodes, graph->num_nodes, sizeof(graph->nodes[0]), by_region);
	sides = calloc((size_t)levels + 1, sizeof(*sides));
	if (!sides)
		return -ENOMEM;
	for (size_t i = 0; i < graph->num_nodes; i++) {
		struct graph_node *node = graph->nodes[i];

		if (node->region != last) {
			last = node->region;
			sides[regions++] = node->placement == GRAPH_PLACE_NPU;
		}
		node->id = (int)i;
		node->region = regions - 1;
	}
	*num_regions = regions;
	*device = sides;
	return 0;
}
