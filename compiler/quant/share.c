/* SPDX-License-Identifier: MIT */
/*
 * One range for what a concatenation joins. Knows which values must have the same scale so that a concatenation of
 * quantized tensors is one of bytes; the ranges come from calibrate.c, the grids are made in plan.c.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/quant/share.h"
#include "compiler/quant/plan.h"

static bool has_range(const struct quant_stats *stats, const struct graph_value *value)
{
	return value && !value->constant && value->dtype == DTYPE_F32 && stats[value->id].seen;
}

/* The class of value @id: roots are their own parent. */
static int root_of(int *parent, int id)
{
	while (parent[id] != id) {
		parent[id] = parent[parent[id]];
		id = parent[id];
	}
	return id;
}

static void join(int *parent, const struct graph_value *a, const struct graph_value *b)
{
	parent[root_of(parent, (int)a->id)] = root_of(parent, (int)b->id);
}

int quant_share_ranges(const struct graph *graph, struct quant_stats *stats)
{
	int *parent = malloc((graph->num_values + 1) * sizeof(*parent));
	struct quant_stats **widest = calloc(graph->num_values + 1, sizeof(*widest));

	if (!parent || !widest) {
		free(parent);
		free(widest);
		return -ENOMEM;
	}
	for (size_t i = 0; i < graph->num_values; i++)
		parent[i] = (int)i;
	for (size_t n = 0; n < graph->num_nodes; n++) {
		const struct graph_node *node = graph->nodes[n];
		bool concat = !strcmp(node->op_type, "Concat");
		size_t joined = concat ? node->num_inputs : quant_kind_of(node) == QUANT_MOVING ? 1 : 0;

		for (size_t i = 0; i < joined; i++)
			if (has_range(stats, node->inputs[i]) && has_range(stats, node->outputs[0]))
				join(parent, node->inputs[i], node->outputs[0]);
	}
	/* The range of a class is that of all its members; the first member met carries it. */
	for (int write = 0; write < 2; write++)
		for (size_t i = 0; i < graph->num_values; i++) {
			const struct graph_value *value = graph->values[i];
			struct quant_stats *own = &stats[i], **at = has_range(stats, value)
									    ? &widest[root_of(parent, (int)value->id)]
									    : NULL;

			if (!at)
				continue;
			if (!*at)
				*at = own;
			if (write) {
				own->lo = (*at)->lo;
				own->hi = (*at)->hi;
			} else {
				(*at)->lo = fminf((*at)->lo, own->lo);
				(*at)->hi = fmaxf((*at)->hi, own->hi);
			}
		}
	free(parent);
	free(widest);
	return 0;
}
