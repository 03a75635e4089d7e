/* SPDX-License-Identifier: MIT */
/* See choose.h. */
#include "compiler/partition/choose.h"

#include <errno.h>
#include <stdlib.h>

/* Nodes and uses that one search may look at: about a tenth of a second. What is reached by then is kept. */
#define MOST_VISITS 20000000

/*
 * @group: by node, the index of a group of nodes that change sides together; -1: none
 * @list:  nodes of one group
 * @on_device: nodes that are there; the last ones stay
 */
struct search {
	struct placement *placement;
	struct choice *choices;
	uint64_t total;
	int *group;
	size_t *list;
	size_t on_device;
};

static bool may_move(const struct search *search)
{
	return search->placement->visits < MOST_VISITS;
}

static void swap_sides(struct search *search, size_t count)
{
	for (size_t k = 0; k < count; k++)
		search->placement->device[search->list[k]] = !search->placement->device[search->list[k]];
}

/* Let the @count nodes of the list, all of one side, change it if that makes the whole cheaper. */
static bool try_move(struct search *search, size_t count)
{
	struct placement *placement = search->placement;
	bool leave = placement->device[search->list[0]];
	uint64_t cpu = 0, total;

	if (leave && count == search->on_device)
		return false;
	swap_sides(search, count);
	total = placement_total(placement);
	if (total >= search->total) {
		swap_sides(search, count);
		placement_update(placement);
		return false;
	}
	for (size_t k = 0; k < count; k++)
		cpu += placement->cpu_ns[search->list[k]];
	for (size_t k = 0; k < count; k++)
		if (!placement->device[search->list[k]])
			search->choices[search->list[k]] = (struct choice){
				.nodes = count, .cpu_ns = cpu, .device_ns = cpu + (search->total - total)};
	search->on_device = leave ? search->on_device - count : search->on_device + count;
	search->total = total;
	return true;
}

/* ---- groups ---- */

static int root_of(int *parent, int i)
{
	while (parent[i] != i) {
		parent[i] = parent[parent[i]];
		i = parent[i];
	}
	return i;
}

/* The first node of each island: nodes of one level that an edge connects. On the CPU only what the device can do counts. */
static void find_islands(struct search *search)
{
	const struct placement *placement = search->placement;
	const struct graph *graph = placement->graph;

	for (size_t i = 0; i < graph->num_nodes; i++)
		search->group[i] = (int)i;
	for (size_t i = 0; i < graph->num_nodes; i++) {
		const struct graph_node *node = graph->nodes[i];

		for (size_t k = 0; k < node->num_inputs && placement->able[i]; k++) {
			const struct graph_node *producer = node->inputs[k] ? node->inputs[k]->producer : NULL;

			if (producer && placement->able[producer->id] &&
			    placement->level[producer->id] == placement->level[i])
				search->group[root_of(search->group, (int)i)] = root_of(search->group, producer->id);
		}
	}
	for (size_t i = 0; i < graph->num_nodes; i++)
		search->group[i] = placement->able[i] ? root_of(search->group, (int)i) : -1;
}

/* One region each. */
static void find_regions(struct search *search)
{
	const struct placement *placement = search->placement;

	for (size_t i = 0; i < placement->graph->num_nodes; i++)
		search->group[i] = placement->able[i] ? placement->level[i] : -1;
}

/* Groups change sides, one after the other; a group is what it was when the round began. */
static bool move_groups(struct search *search, void (*find)(struct search *search))
{
	size_t count = search->placement->graph->num_nodes;
	bool moved = false;

	find(search);
	for (size_t i = 0; i < count && may_move(search); i++) {
		int group = search->group[i];
		size_t members = 0;

		if (group < 0)
			continue;
		for (size_t k = i; k < count; k++)
			if (search->group[k] == group) {
				search->list[members++] = k;
				search->group[k] = -1;
			}
		search->placement->visits += count - i;
		moved |= try_move(search, members);
	}
	return moved;
}

/* ---- borders ---- */

static bool at_border(const struct placement *placement, const struct graph_node *node)
{
	bool device = placement->device[node->id];

	for (size_t k = 0; k < node->num_inputs; k++)
		if (node->inputs[k] && node->inputs[k]->producer &&
		    placement->device[node->inputs[k]->producer->id] != device)
			return true;
	for (size_t k = 0; k < node->num_outputs; k++)
		for (size_t u = 0; node->outputs[k] && u < node->outputs[k]->num_uses; u++)
			if (placement->device[node->outputs[k]->uses[u]->id] != device)
				return true;
	return false;
}

static bool move_borders(struct search *search)
{
	const struct graph *graph = search->placement->graph;
	bool moved = false;

	for (size_t i = 0; i < graph->num_nodes && may_move(search); i++) {
		if (!search->placement->able[i] || !at_border(search->placement, graph->nodes[i]))
			continue;
		search->list[0] = i;
		moved |= try_move(search, 1);
	}
	return moved;
}

int choose_placement(struct placement *placement, struct choice *choices)
{
	size_t count = placement->graph->num_nodes + 1;
	struct search search = {.placement = placement, .choices = choices};
	bool moved = true;

	search.group = calloc(count, sizeof(*search.group));
	search.list = calloc(count, sizeof(*search.list));
	if (!search.group || !search.list) {
		free(search.group);
		free(search.list);
		return -ENOMEM;
	}
	for (size_t i = 0; i < placement->graph->num_nodes; i++)
		search.on_device += placement->device[i];
	placement->visits = 0;
	search.total = placement_total(placement);
	while (moved && may_move(&search)) {
		moved = move_groups(&search, find_regions);
		moved |= move_groups(&search, find_islands);
		moved |= move_borders(&search);
	}
	free(search.group);
	free(search.list);
	return 0;
}
