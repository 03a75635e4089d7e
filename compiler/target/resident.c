/* SPDX-License-Identifier: MIT */
/* See resident.h. */
#include "compiler/target/resident.h"

#include <string.h>

#include "compiler/target/images.h"
#include "compiler/target/lower_lrn.h"
#include "compiler/target/lower_pool.h"
#include "compiler/target/lower_shuffle.h"
#include "compiler/target/place.h"

/* Operators that read a tensor where it lies: in boxes without padding, or with views for the border. */
static bool reads_in_place(const struct lower *lower, const struct graph_node *node)
{
	static const char *const names[] = {"Conv",
					    "FusedConv",
					    "ConvTranspose",
					    "QLinearConv",
					    "QLinearAdd",
					    "Add",
					    "Concat",
					    "MaxPool",
					    "Relu",
					    "QLinearMul",
					    "Clip",
					    "QLinearAveragePool",
					    "LRN",
					    "QuantizeLinear",
					    "DequantizeLinear",
					    "Linear",
					    "LayerNormalization",
					    "QLinear",
					    "Attention",
					    "MatMul",
					    "Gemm",
					    "FusedGemm",
					    "QGemm",
					    "QLinearMatMul"};

	if (GRAPH_NODE_IS(node, names))
		return true;
	return (!strcmp(node->op_type, "AveragePool") || !strcmp(node->op_type, "GlobalAveragePool") ||
		!strcmp(node->op_type, "QLinearGlobalAveragePool")) &&
	       average_takes(lower, node);
}

/* Only another shape of a vector: a view of the tensor, whatever its layout. */
static bool is_vector_view(const struct graph_node *node)
{
	static const char *const names[] = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"};
	const struct graph_value *x = node->inputs[0];
	int long_dims = 0;

	for (int d = 0; d < x->rank; d++)
		long_dims += x->dims[d] != 1;
	return GRAPH_NODE_IS(node, names) && long_dims < 2;
}

/*
 * Number of the last node of the graph that reads @value's tensor, or SIZE_MAX when it may not be resident. A
 * concatenation's tensor is that of its inputs, too.
 */
static size_t last_reader(const struct lower *lower, const struct graph_value *value, unsigned int depth)
{
	size_t last = 0;

	if (value->is_output || !value->num_uses || !value->producer || depth > 64)
		return SIZE_MAX;
	for (size_t i = 0; i < value->num_uses; i++) {
		const struct graph_node *reader = value->uses[i];
		size_t at;

		if (lrn_of_dequantize(reader))
			reader = lrn_of_dequantize(reader);
		else if (lower_shuffle_reader(lower, reader))
			reader = lower_shuffle_reader(lower, reader);
		at = (size_t)reader->id;
		if (!images_together(lower, value->producer, reader))
			return SIZE_MAX;
		if (is_vector_view(reader))
			at = last_reader(lower, reader->outputs[0], depth + 1);
		else if (!reads_in_place(lower, reader))
			return SIZE_MAX;
		last = at > last ? at : last;
	}
	if (last == SIZE_MAX || strcmp(value->producer->op_type, "Concat"))
		return last;
	for (size_t i = 0; i < value->producer->num_inputs; i++) {
		const struct graph_value *part = value->producer->inputs[i];
		struct graph_node *concat;
		int64_t start;
		size_t reader;

		if (!place_of(lower, part, &concat, &start) || concat != value->producer)
			continue;
		reader = last_reader(lower, part, depth + 1);
		if (reader == SIZE_MAX)
			return SIZE_MAX;
		last = reader > last ? reader : last;
	}
	return last;
}

/* The estimate from the node that is being lowered to number @last. */
static uint64_t cycles_until(const struct lower *lower, size_t last)
{
	uint64_t cycles = 0;

	for (size_t n = lower->at; n <= last && n < lower->graph->num_nodes; n++)
		cycles += lower->estimates[n];
	return cycles;
}

/*
 * What the next node reads last is soon gone: it may take half as much again. With more, or for longer, the nodes between
 * would have to work in smaller pieces.
 */
static bool hold(struct lower *lower, size_t last, uint64_t bytes)
{
	struct resident *resident = &lower->resident;
	uint64_t budget = resident->budget + (last == lower->at + 1 ? resident->budget / 2 : 0);

	if (resident->count == RESIDENT_MAX || resident->bytes + bytes > budget)
		return false;
	resident->list[resident->count].last = last;
	resident->list[resident->count++].bytes = bytes;
	resident->bytes += bytes;
	if (last > lower->kept_until[lower->at])
		lower->kept_until[lower->at] = last;
	return true;
}

bool resident_hold(struct lower *lower, size_t born, size_t last, uint64_t bytes)
{
	const struct resident *resident = &lower->resident;
	bool alone = true;

	for (unsigned int i = 0; i < resident->count; i++)
		alone &= resident->list[i].last <= born;
	if (resident->exact && resident->cycles + cycles_until(lower, last) > resident->most)
		return false;
	/* From 72 % on a chain may end, from 88 % on it must. */
	if (resident->cycles > resident->most / 100 * (alone ? 72 : 88))
		return false;
	return hold(lower, last, bytes);
}

bool resident_take(struct lower *lower, const struct graph_value *value, uint64_t bytes)
{
	size_t last;

	if (lower->target->tiles > 1)
		return false;
	last = last_reader(lower, value, 0);
	return last != SIZE_MAX && lower->resident.cycles + cycles_until(lower, last) <= lower->resident.most &&
	       hold(lower, last, bytes);
}

bool resident_end_node(struct lower *lower, size_t node)
{
	struct resident *resident = &lower->resident;

	if (node < lower->graph->num_nodes && lower->estimates[node] > resident->counted)
		resident->cycles += lower->estimates[node] - resident->counted;
	resident->counted = 0;
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

int resident_pause(struct lower *lower, uint64_t cycles, bool *paused)
{
	struct resident *resident = &lower->resident;

	*paused = !resident->count && resident->cycles + cycles > resident->most / 10 * 9;
	resident->counted += cycles;
	resident->cycles = *paused ? cycles : resident->cycles + cycles;
	return *paused ? program_yield(lower->program) : 0;
}

bool tensor_is_resident(const struct lower *lower, const struct dev_tensor *tensor)
{
	return program_buf_space(lower->program, tensor->place.buf) == PROGRAM_SPAD;
}
