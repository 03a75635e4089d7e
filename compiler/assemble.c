/* SPDX-License-Identifier: MIT */
/* See assemble.h. */
#include "compiler/assemble.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/graph/passes.h"
#include "compiler/package/axm.h"
#include "compiler/report/roofline.h"

/* A body, and the node that it belongs to. */
struct body {
	struct graph *graph;
	const struct graph_node *node;
	uint32_t region;
};

/*
 * @bodies:    in the order of their indices in the package: those inside a body come behind it
 * @num_nodes: nodes that are in the package by now
 */
struct assembler {
	const struct assembly *in;
	struct axm_builder *builder;
	struct compile_result *result;
	struct body *bodies;
	uint32_t num_bodies;
	uint32_t num_nodes;
	bool failed;
};

/* ---- values ---- */

/* Ids in the package: values that the CPU reads or writes, or that pass between regions. */
static bool value_in_package(const struct assembly *in, const struct graph_value *value)
{
	if (value->is_input || value->is_output)
		return true;
	if (value->producer && !in->regions[value->producer->region].device)
		return true;
	for (size_t i = 0; i < value->num_uses; i++) {
		int region = value->uses[i]->region;

		if (!in->regions[region].device || (value->producer && value->producer->region != region))
			return true;
	}
	return false;
}

/* @last: nobody else wants the tensor's elements. */
static uint32_t add_constant(struct axm_builder *builder, const char *name, const struct tensor *tensor, bool last)
{
	struct axm_value entry = {.name = axm_add_string(builder, name),
				  .dtype = tensor->dtype,
				  .rank = (uint32_t)tensor->rank,
				  .flags = AXM_VALUE_CONSTANT};

	memcpy(entry.dims, tensor->dims, sizeof(entry.dims));
	entry.size = tensor_bytes(tensor);
	if (tensor->dtype == DTYPE_STRING)
		entry.data = axm_add_strings(builder, tensor->data, (uint64_t)tensor_count(tensor), &entry.size);
	else if (last && tensor->owned)
		entry.data = axm_consume_data(builder, tensor->data, entry.size);
	else
		entry.data = axm_borrow_data(builder, tensor->data, entry.size);
	return axm_add_value(builder, &entry);
}

/* @model: @value belongs to the model's own graph, where inputs and outputs are the model's. */
static uint32_t add_value(struct axm_builder *builder, const struct graph *graph, const struct graph_value *value,
			  bool model)
{
	struct axm_value entry = {.name = axm_add_string(builder, value->name), .dtype = value->dtype};
	char type[256];

	if (value->constant)
		return add_constant(builder, value->name, value->constant, true);
	if (dtype_is_nested(value->dtype))
		entry.type = axm_add_string(builder, graph_value_type(graph, value, type, sizeof(type)));
	else if (value->rank < 0)
		entry.flags = AXM_VALUE_UNRANKED;
	entry.rank = value->rank < 0 ? 0 : (uint32_t)value->rank;
	for (int d = 0; d < value->rank; d++)
		entry.dims[d] = value->dims[d] < 0 ? -1 : value->dims[d];
	if (model)
		entry.flags |= (value->is_input ? AXM_VALUE_INPUT : 0) | (value->is_output ? AXM_VALUE_OUTPUT : 0);
	return axm_add_value(builder, &entry);
}

static void add_values(struct assembler *to)
{
	const struct graph *graph = to->in->graph;

	for (size_t i = 0; i < graph->num_values; i++) {
		struct graph_value *value = graph->values[i];

		value->data = AXM_NO_ID;
		if (value_in_package(to->in, value))
			value->data = add_value(to->builder, graph, value, true);
	}
}

/* A body's captures are the values that they come from. */
static void add_body_values(struct assembler *to, const struct body *body)
{
	for (size_t i = 0; i < body->graph->num_values; i++)
		body->graph->values[i]->data = AXM_NO_ID;
	for (size_t i = 0; i < body->graph->num_captures; i++)
		body->graph->captures[i].value->data = graph_captured(body->node, body->graph->captures[i].index)->data;
	for (size_t i = 0; i < body->graph->num_values; i++) {
		struct graph_value *value = body->graph->values[i];

		if ((uint32_t)value->data == AXM_NO_ID)
			value->data = add_value(to->builder, body->graph, value, false);
	}
}

static uint32_t id_of(const struct graph_value *value)
{
	return value ? (uint32_t)value->data : AXM_NO_ID;
}

/* The ids of @count values; those that are no part of the package are left as omitted. */
static uint32_t add_ids(struct axm_builder *builder, struct graph_value *const *values, size_t count)
{
	uint32_t first = AXM_NO_ID;

	for (size_t i = 0; i < count; i++) {
		uint32_t id = id_of(values[i]), at = axm_add_ids(builder, &id, 1);

		first = i ? first : at;
	}
	return count ? first : 0;
}

/* ---- nodes ---- */

/* The index that the body gets. */
static uint32_t add_body(struct assembler *to, const struct graph_node *node, struct graph *graph, uint32_t region)
{
	struct body *grown = realloc(to->bodies, (to->num_bodies + 1) * sizeof(*grown));

	if (!grown) {
		to->failed = true;
		return 0;
	}
	to->bodies = grown;
	grown[to->num_bodies] = (struct body){graph, node, region};
	return to->num_bodies++;
}

static void fill_attr(struct assembler *to, const struct graph_node *node, const struct attr *attr, uint32_t region,
		      struct axm_attr *entry)
{
	struct axm_builder *builder = to->builder;
	uint64_t size;

	switch (attr->type) {
	case ATTR_STRING:
		entry->count = (uint32_t)attr->s.size;
		entry->data = axm_add_data(builder, attr->s.data, attr->s.size);
		break;
	case ATTR_INTS:
		entry->data = axm_add_data(builder, attr->ints, attr->count * sizeof(int64_t));
		break;
	case ATTR_FLOATS:
		entry->data = axm_add_data(builder, attr->floats, attr->count * sizeof(float));
		break;
	case ATTR_STRINGS:
		entry->data = axm_add_strings(builder, attr->strings, attr->count, &size);
		entry->i = (int64_t)size;
		break;
	case ATTR_TENSOR:
		entry->i = add_constant(builder, attr->name, attr->tensor, false);
		break;
	case ATTR_GRAPH:
		entry->i = add_body(to, node, attr->graph, region);
		break;
	default:
		break;
	}
}

static uint32_t add_attrs(struct assembler *to, const struct graph_node *node, uint32_t region, uint32_t *count)
{
	uint32_t first = 0;

	*count = 0;
	for (size_t i = 0; i < node->num_attrs; i++) {
		const struct attr *attr = &node->attrs[i];
		struct axm_attr entry = {.name = axm_add_string(to->builder, attr->name),
					 .type = attr->type,
					 .i = attr->i,
					 .f = attr->f,
					 .count = (uint32_t)attr->count};
		uint32_t at;

		fill_attr(to, node, attr, region, &entry);
		at = axm_add_attr(to->builder, &entry);
		first = *count ? first : at;
		(*count)++;
	}
	return first;
}

/* @work: of a node that is in no body, else NULL. */
/* The nodes of its own region that @node reads from, each once. */
static uint32_t add_sources(struct assembler *to, const struct graph_node *node, uint32_t *count)
{
	uint32_t *list = calloc(node->num_inputs + 1, sizeof(*list)), first;

	*count = 0;
	if (!list) {
		to->failed = true;
		return 0;
	}
	for (size_t i = 0; i < node->num_inputs; i++) {
		const struct graph_node *source = node->inputs[i] ? node->inputs[i]->producer : NULL;
		bool listed = !source || source->region != node->region;

		for (uint32_t k = 0; k < *count && !listed; k++)
			listed = list[k] == (uint32_t)source->id;
		if (!listed)
			list[(*count)++] = (uint32_t)source->id;
	}
	first = *count ? axm_add_ids(to->builder, list, *count) : 0;
	free(list);
	return first;
}

static void add_node(struct assembler *to, const struct graph_node *node, uint32_t region, bool device,
		     const struct roofline_work *work)
{
	struct axm_builder *builder = to->builder;
	struct axm_node entry = {
		.name = axm_add_string(builder, node->name),
		.op_type = axm_add_string(builder, node->op_type),
		.domain = axm_add_string(builder, node->domain),
		.origin = axm_add_string(builder, node->origin),
		.reason = axm_add_string(builder, node->reason),
		.opset = (uint32_t)node->opset,
		.region = region,
		.num_inputs = (uint32_t)(node->num_inputs - node->num_captures),
		.num_outputs = (uint32_t)node->num_outputs,
		.macs = graph_node_macs(node),
	};

	if (work) {
		entry.mac_size = work->mac_size;
		entry.vector_size = work->vector_size;
		entry.vector_ops = work->vector_ops;
		entry.bytes = work->bytes;
		entry.operand_bytes = work->operand_bytes;
	}
	entry.inputs_first = add_ids(builder, node->inputs, node->num_inputs - node->num_captures);
	entry.outputs_first = add_ids(builder, node->outputs, node->num_outputs);
	if (device) {
		entry.cycles = to->in->images[region].node_cycles[(size_t)node->id - to->in->regions[region].first];
		entry.sources_first = add_sources(to, node, &entry.num_sources);
		entry.kept_until = (uint32_t)to->in->images[region].kept_until[node->id];
	} else {
		entry.attrs_first = add_attrs(to, node, region, &entry.num_attrs);
	}
	axm_add_node(builder, &entry);
	to->num_nodes++;
	to->result->nodes++;
	to->result->cpu_nodes += !device;
	to->result->macs += entry.macs;
	to->result->macs_npu += device ? entry.macs : 0;
}

/*
 * A runner exchanges the memory of a body's outputs with that of its caller: each has to be a value that a node of the body computes,
 * and another for each output.
 */
static int own_outputs(struct graph *graph)
{
	int opset = graph->num_nodes ? graph->nodes[0]->opset : 13;

	for (size_t i = 0; i < graph->num_outputs; i++) {
		struct graph_value *value = graph->outputs[i], *copy;
		bool own = value->producer != NULL;

		for (size_t k = 0; k < i; k++)
			own &= graph->outputs[k] != value;
		if (own)
			continue;
		copy = graph_add_value(graph, value->name, value->dtype, value->rank, value->dims);
		if (!copy)
			return -ENOMEM;
		copy->key = value->key;
		copy->element = value->element;
		if (!graph_add_node(graph, NULL, "", "Identity", opset, copy->name, 1, &value, 1, &copy))
			return -ENOMEM;
		graph->outputs[i] = copy;
	}
	return 0;
}

/* The bodies found so far, and those found in them. */
static int add_bodies(struct assembler *to)
{
	for (uint32_t i = 0; i < to->num_bodies && !to->failed; i++) {
		struct body body = to->bodies[i]; /* the list grows */
		struct axm_graph entry = {.name = axm_add_string(to->builder, body.graph->name),
					  .first_node = to->num_nodes,
					  .num_inputs = (uint32_t)body.graph->num_inputs,
					  .num_outputs = (uint32_t)body.graph->num_outputs};

		if (own_outputs(body.graph))
			return -ENOMEM;
		add_body_values(to, &body);
		for (size_t n = 0; n < body.graph->num_nodes; n++) {
			struct graph_node *node = body.graph->nodes[n];

			node->reason = "in the body of a branch or a loop";
			add_node(to, node, body.region, false, NULL);
		}
		entry.num_nodes = to->num_nodes - entry.first_node;
		entry.inputs_first = add_ids(to->builder, body.graph->inputs, body.graph->num_inputs);
		entry.outputs_first = add_ids(to->builder, body.graph->outputs, body.graph->num_outputs);
		axm_add_graph(to->builder, &entry);
	}
	return to->failed ? -ENOMEM : 0;
}

/* ---- regions and the model ---- */

static void add_regions(struct assembler *to)
{
	const struct assembly *in = to->in;

	for (int r = 0; r < in->num_regions; r++) {
		const struct region *region = &in->regions[r];
		const struct program_image *image = &in->images[r];
		struct axm_region entry = {.device = region->device,
					   .first_node = (uint32_t)region->first,
					   .num_nodes = (uint32_t)region->count,
					   .num_inputs = region->inputs.count,
					   .num_outputs = region->outputs.count};

		entry.inputs_first = add_ids(to->builder, region->inputs.values, region->inputs.count);
		entry.outputs_first = add_ids(to->builder, region->outputs.values, region->outputs.count);
		if (region->device) {
			entry.code = axm_borrow_data(to->builder, image->code, image->code_bytes);
			entry.code_bytes = image->code_bytes;
			entry.weights = axm_borrow_data(to->builder, image->weights, image->weight_bytes);
			entry.weight_bytes = image->weight_bytes;
			entry.arena_bytes = image->arena_bytes;
			entry.arena_bound = image->arena_bound;
			entry.spad_bytes = image->spad_bytes;
			entry.spad_bound = image->spad_bound;
			entry.cycles = image->cycles;
		}
		axm_add_region(to->builder, &entry);
	}
}

static void add_tiling(struct assembler *to, const struct matrix_choice *choice, const struct matrix_plan *plan)
{
	bool taken = plan == choice->plans;
	struct axm_tiling entry = {
		.node = (uint32_t)choice->node,
		.flags = (taken ? AXM_TILING_TAKEN : 0) | (plan->keep_weights ? AXM_TILING_KEEP_WEIGHTS : 0) |
			 (plan->split_rows ? AXM_TILING_SPLIT_ROWS : 0) | (choice->cut ? AXM_TILING_CUT : 0),
		.rows = (uint32_t)plan->rows,
		.channels = (uint32_t)plan->n,
		.depth = (uint32_t)plan->k,
		.chunk_h = (uint32_t)plan->chunk_h,
		.chunk_w = (uint32_t)plan->chunk_w,
		.compared = taken ? choice->compared : 0,
		.cycles = plan->cycles,
		.bytes = plan->bytes,
	};

	axm_add_tiling(to->builder, &entry);
}

static void add_tilings(struct assembler *to)
{
	for (int r = 0; r < to->in->num_regions; r++)
		for (size_t i = 0; to->in->regions[r].device && i < to->in->images[r].choices.count; i++) {
			const struct matrix_choice *choice = &to->in->images[r].choices.list[i];

			for (unsigned int p = 0; p < choice->count; p++)
				add_tiling(to, choice, &choice->plans[p]);
		}
}

static void add_symbols(struct assembler *to)
{
	for (size_t i = 0; i < to->in->num_symbols; i++) {
		const struct assembly_symbol *symbol = &to->in->symbols[i];
		const struct graph *graph = to->in->graph;
		const struct graph_value *value =
			symbol->output ? graph->outputs[symbol->index] : graph->inputs[symbol->index];
		struct axm_dim entry = {.value = id_of(value),
					.dimension = (uint32_t)symbol->dimension,
					.symbol = axm_add_string(to->builder, symbol->name)};

		/* Of an output the run may tell more than the name. */
		if (symbol->dimension >= value->rank || value->dims[symbol->dimension] < 0)
			continue;
		entry.size = value->dims[symbol->dimension];
		axm_add_dim(to->builder, &entry);
	}
}

static void add_model(struct assembler *to)
{
	const struct graph *graph = to->in->graph;
	const struct target *target = to->in->target;
	struct axm_model model = {.name = axm_add_string(to->builder, graph->name),
				  .precision = to->in->precision,
				  .num_inputs = (uint32_t)graph->num_inputs,
				  .num_outputs = (uint32_t)graph->num_outputs};

	model.inputs_first = add_ids(to->builder, graph->inputs, graph->num_inputs);
	model.outputs_first = add_ids(to->builder, graph->outputs, graph->num_outputs);
	if (target) {
		model.target_name = axm_add_string(to->builder, target->name);
		model.tiles = target->tiles;
		model.spad_bytes = target->spad_bytes;
		model.acc_bytes = target->acc_bytes;
		model.spad_banks = target->spad_banks;
		model.clock_khz = target->clock_khz;
		model.mem_bytes = target->mem_bytes;
		model.dram_rate = target->dram_rate;
		model.dram_latency = target->dram_latency;
		model.host_rate = target->host_rate;
		model.host_latency = target->host_latency;
	}
	axm_set_model(to->builder, &model);
}

/* Weights that are in the device's image are not needed as tensors any more: let go of them before the file is put
 * together. */
static void drop_constants(const struct graph *graph)
{
	for (size_t i = 0; i < graph->num_values; i++)
		if (graph->values[i]->constant && id_of(graph->values[i]) == AXM_NO_ID)
			tensor_finish(graph->values[i]->constant);
}

int assemble_package(const struct assembly *assembly, struct compile_result *result)
{
	struct assembler to = {.in = assembly, .result = result};
	const struct graph *graph = assembly->graph;
	struct roofline_work *work = calloc(graph->num_nodes + 1, sizeof(*work));
	int err = work ? roofline_count(graph, assembly->precision, work) : -ENOMEM;

	if (!err)
		err = axm_builder_create(&to.builder);
	if (err) {
		free(work);
		return err;
	}
	add_values(&to);
	add_model(&to);
	for (size_t n = 0; n < graph->num_nodes; n++)
		add_node(&to, graph->nodes[n], (uint32_t)graph->nodes[n]->region,
			 assembly->regions[graph->nodes[n]->region].device, &work[n]);
	free(work);
	err = add_bodies(&to);
	add_regions(&to);
	add_symbols(&to);
	add_tilings(&to);
	drop_constants(graph);
	if (!err)
		err = axm_builder_finish(to.builder, &result->bytes, &result->size);
	axm_builder_destroy(to.builder);
	free(to.bodies);
	return err;
}
