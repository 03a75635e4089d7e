/* SPDX-License-Identifier: MIT */
/* See resident.h. */
#include "compiler/target/resident.h"

#include <string.h>

#include <axl/axl_access.h>
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

/* Would what stays until number @last is lowered be gone by the next preemption point? SIZE_MAX: it may not stay. */
static bool ends_in_time(const struct lower *lower, size_t last)
{
	return last != SIZE_MAX && lower->resident.cycles + cycles_until(lower, last) <= lower->resident.most;
}

/* Is @last the next node, or one behind it whose work that one does? */
static bool is_next(const struct lower *lower, size_t last)
{
	for (size_t n = lower->at + 2; n <= last; n++)
		if (lower->estimates[n])
			return false;
	return last > lower->at;
}

/*
 * What the next node reads last is soon gone: it may take half as much again. With more, or for longer, the nodes between
 * would have to work in smaller pieces.
 */
static bool hold(struct lower *lower, size_t last, uint64_t bytes)
{
	struct resident *resident = &lower->resident;
	uint64_t budget = resident->budget + (is_next(lower, last) ? resident->budget / 2 : 0);

	if (resident->count == RESIDENT_MAX || resident->bytes + bytes > budget)
		return false;
	resident->list[resident->count].last = last;
	resident->list[resident->count++].bytes = bytes;
	resident->bytes += bytes;
	return true;
}

void resident_keep(struct lower *lower, size_t last)
{
	if (last > lower->kept_until[lower->at])
		lower->kept_until[lower->at] = last;
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
	if (!ends_in_time(lower, last) || !hold(lower, last, bytes))
		return false;
	resident_keep(lower, last);
	return true;
}

/* ---- what lies in memory ---- */

#define BRING_PIECE (64 << 10) /* bytes of a transfer: who reads the first does not wait for the last */

/* All of a buffer in memory, in an order that convolutions or products read. */
static bool is_whole(const struct lower *lower, const struct dev_tensor *tensor, uint64_t *bytes)
{
	int64_t size = access_type_bytes(tensor->type);
	int inner = tensor->rank == 4 && tensor->stride[1] == size ? 1 : tensor->rank - 1;

	*bytes = (uint64_t)(dims_count(tensor->rank, tensor->dims) * size);
	return tensor->rank > 0 && tensor->stride[inner] == size && !tensor->place.offset &&
	       program_buf_space(lower->program, tensor->place.buf) == PROGRAM_ARENA &&
	       program_buf_bytes(lower->program, tensor->place.buf) == *bytes;
}

static int load_pieces(struct lower *lower, const struct dev_tensor *tensor, program_buf to, int64_t bytes)
{
	const struct dev_tensor row = {
		.type = AXL_TYPE_U8, .rank = 1, .dims = {bytes}, .stride = {1}, .place = tensor->place};
	int err = 0;

	for (int64_t at = 0; at < bytes && !err; at += BRING_PIECE) {
		const struct lower_box box = {.start = {at},
					      .size = {bytes - at < BRING_PIECE ? bytes - at : BRING_PIECE}};
		struct spad_view view = {.place = {to, (uint64_t)at},
					 .rank = 1,
					 .dims = {box.size[0]},
					 .stride = {1},
					 .type = AXL_TYPE_U8};

		err = lower_load_view(lower, &row, &box, &view);
	}
	return err;
}

int resident_bring(struct lower *lower, const struct graph_value *value)
{
	struct dev_tensor *tensor = &lower->tensors[value->id];
	program_buf brought;
	uint64_t bytes;
	size_t last;
	int err;

	if (lower->target->tiles > 1 || value->constant || tensor->rank < 0 || !is_whole(lower, tensor, &bytes))
		return 0;
	last = last_reader(lower, value, 0);
	if (last <= lower->at || !ends_in_time(lower, last) || !hold(lower, last, bytes))
		return 0;
	brought = program_spad(lower->program, 0, bytes, value->name);
	if (!brought)
		return lower_fail(lower, NULL, -ENOMEM, "%s", program_error(lower->program));
	program_pin(lower->program, brought);
	for (size_t i = 0; i < value->num_uses; i++)
		lower->saved += (size_t)value->uses[i]->id > lower->at ? bytes : 0;
	lower->resident.brought += bytes;
	err = load_pieces(lower, tensor, brought, (int64_t)bytes);
	tensor->place = (struct program_place){brought, 0};
	return err;
}

/* ---- the end of a node ---- */

bool resident_end_node(struct lower *lower, size_t node)
{
	struct resident *resident = &lower->resident;

	if (node < lower->graph->num_nodes && lower->estimates[node] > resident->counted)
		resident->cycles += lower->estimates[node] - resident->counted;
	resident->counted = resident->brought = 0;
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
