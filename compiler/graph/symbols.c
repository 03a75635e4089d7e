/* SPDX-License-Identifier: MIT */
/* Sizes for the symbols in shapes. */
#include <errno.h>
#include <string.h>

#include "compiler/graph/passes.h"

static void bind_value(struct graph_value *value, size_t symbol, int64_t size)
{
	for (int d = 0; d < value->rank; d++)
		if (value->dims[d] == GRAPH_DIM_SYMBOL(symbol))
			value->dims[d] = size;
}

int graph_bind_symbol(struct graph *graph, const char *name, int64_t size)
{
	for (size_t s = 0; s < graph->num_symbols; s++) {
		if (strcmp(graph->symbols[s], name))
			continue;
		for (size_t i = 0; i < graph->num_values; i++)
			bind_value(graph->values[i], s, size);
		return 0;
	}
	return -ENOENT;
}

int graph_bind_rest(struct graph *graph, int64_t size)
{
	for (size_t s = 0; s < graph->num_symbols; s++)
		for (size_t i = 0; i < graph->num_values; i++)
			bind_value(graph->values[i], s, size);
	return 0;
}
