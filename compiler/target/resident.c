/* SPDX-License-Identifier: MIT */
/* See resident.h. */
#include "compiler/target/resident.h"

#include <string.h>

/* Operators that read a tensor where it lies, in boxes without padding. */
static bool reads_in_place(const struct graph_node *node)
{
	static const char *const names[] = {
		"Conv",   "FusedConv", "QLinearConv",        "QLinearAdd",     "Add",
		"Linear", "QLinear",   "LayerNormalization", "QuantizeLinear", "Attention",
		"MatMul", "Gemm",      "FusedGemm",          "QGemm",          "QLinearMatMul"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(node->op_type, names[i]))
			return true;
	return false;
}

/* Number of the last node of the graph that reads @value, or SIZE_MAX when it may not be resident. */
static size_t last_reader(const struct graph *graph, const struct graph_value *value)
{
	size_t last = 0;

	if (value->is_output || !value->num_uses || !value->producer)
		return SIZE_MAX;
	for (size_t i = 0; i < value->num_uses; i++)
		if (value->uses[i]->region != value->producer->region || !reads_in_place(value->uses[i]))
			return SIZE_MAX;
	for (size_t n = graph->num_nodes; n-- > 0;)
		for (size_t i = 0; i < value->num_uses; i++)
			if (graph->nodes[n] == value->uses[i])
				return n;
	return last;
}

static bool hold(struct lower *lower, size_t last, uint64_t bytes)
{
	struct resident *resident = &lower->resident;

	if (resident->count == RESIDENT_MAX || resident->bytes + bytes > resident->budget)
		return false;
	resident->list[resident->count].last = last;
	resident->list[resident->count++].bytes = bytes;
	resident->bytes += bytes;
	return true;
}

bool resident_hold(struct lower *lower, size_t born, size_t last, uint64_t bytes)
{
	const struct resident *resident = &lower->resident;
	bool alone = true;

	for (unsigned int i = 0; i < resident->count; i++)
		alone &= resident->list[i].last <= born;
	if (resident->cycles > (alone ? RESIDENT_TILES_CYCLES : RESIDENT_TILES_MOST))
		return false;
	return hold(lower, last, bytes);
}

bool resident_take(struct lower *lower, const struct graph_value *value, uint64_t bytes)
{
	size_t last;

	if (lower->target->tiles > 1 || lower->resident.cycles > RESIDENT_MAX_CYCLES)
		return false;
	last = last_reader(lower->graph, value);
	return last != SIZE_MAX && hold(lower, last, bytes);
}

bool resident_end_node(struct lower *lower, size_t node, uint64_t cycles)
{
	struct resident *resident = &lower->resident;

	resident->cycles += cycles;
	for (unsigned int i = 0; i < resident->count;) {
		if (resident->list[i].last > node) {
			i++;
			continue;
		}
		resident->bytes -= resident->list[i].bytes;
		resident->list[i] = resident->list[--resident->count];
	}
	if (resident->count)
		return false;
	resident->cycles = 0;
	return true;
}

bool tensor_is_resident(const struct lower *lower, const struct dev_tensor *tensor)
{
	return program_buf_space(lower->program, tensor->place.buf) == PROGRAM_SPAD;
}
