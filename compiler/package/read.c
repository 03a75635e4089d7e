/* SPDX-License-Identifier: MIT */
/*
 * Opens .axm files. The file is hostile: nothing is handed out before every rule of axm.h has been checked, in this
 * order: container (header, sections, checksum), tables (every index and size), data flow, command buffers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/package/axm.h"
#include "compiler/package/checksum.h"
#include "compiler/target/verify.h"
#include "runtime/cpu/op.h"

/* More than any real model, few enough that no product below can overflow. */
#define MAX_ENTRIES (1u << 24)
#define MAX_REGION_IO (AXL_NUM_BASES - 2)
#define MAX_DEPTH 64 /* of bodies in bodies */

struct reader {
	struct axm *axm;
	char *error;
	size_t error_size;
};

static int __attribute__((format(printf, 2, 3))) bad(struct reader *reader, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reader->error, reader->error_size, format, args);
	va_end(args);
	return -EINVAL;
}

/* ---- container ---- */

static const uint32_t entry_bytes[AXM_NUM_SECTIONS] = {
	[AXM_STRINGS] = 1,
	[AXM_MODEL] = sizeof(struct axm_model),
	[AXM_VALUES] = sizeof(struct axm_value),
	[AXM_NODES] = sizeof(struct axm_node),
	[AXM_ATTRS] = sizeof(struct axm_attr),
	[AXM_IDS] = sizeof(uint32_t),
	[AXM_REGIONS] = sizeof(struct axm_region),
	[AXM_GRAPHS] = sizeof(struct axm_graph),
	[AXM_DIMS] = sizeof(struct axm_dim),
	[AXM_TILINGS] = sizeof(struct axm_tiling),
	[AXM_DATA] = 1,
};

static int check_header(struct reader *reader)
{
	struct axm *axm = reader->axm;
	struct axm_header header;

	if (axm->size < sizeof(header) || axm->size % 64)
		return bad(reader, "file size %llu is not that of an .axm file", (unsigned long long)axm->size);
	memcpy(&header, axm->bytes, sizeof(header));
	if (memcmp(header.magic, AXM_MAGIC, sizeof(header.magic)))
		return bad(reader, "not an .axm file (magic)");
	if (header.version != AXM_VERSION) {
		bad(reader, "format version %u, this reader knows %u", header.version, AXM_VERSION);
		return -ENOTSUP;
	}
	if (header.num_sections != AXM_NUM_SECTIONS || header.file_size != axm->size)
		return bad(reader, "header says %u sections and %llu bytes, file has %llu", header.num_sections,
			   (unsigned long long)header.file_size, (unsigned long long)axm->size);
	return 0;
}

static int check_sum(struct reader *reader)
{
	const struct axm *axm = reader->axm;
	const struct axm_header *header = (const void *)axm->bytes;

	if (checksum_file(axm->bytes, axm->size, offsetof(struct axm_header, checksum)) != header->checksum)
		return bad(reader, "checksum does not hold: the file is damaged");
	return 0;
}

static int check_sections(struct reader *reader)
{
	struct axm *axm = reader->axm;
	struct axm_section section[AXM_NUM_SECTIONS];
	uint64_t end = sizeof(struct axm_header) + sizeof(section);

	if (axm->size < end)
		return bad(reader, "section table is cut off");
	memcpy(section, axm->bytes + sizeof(struct axm_header), sizeof(section));
	for (uint32_t i = 0; i < AXM_NUM_SECTIONS; i++) {
		if (section[i].type != i || section[i].offset % 64 || section[i].offset < end ||
		    section[i].offset > axm->size || section[i].size > axm->size - section[i].offset ||
		    section[i].size % entry_bytes[i])
			return bad(reader, "section %u: type, offset or size", i);
		if (i != AXM_DATA && section[i].size / entry_bytes[i] > MAX_ENTRIES * (i == AXM_STRINGS ? 16 : 1))
			return bad(reader, "section %u: more than %u entries", i, MAX_ENTRIES);
		end = section[i].offset + section[i].size;
	}
	if (section[AXM_MODEL].size != sizeof(struct axm_model))
		return bad(reader, "model section has not one entry");
	axm->strings = (const char *)axm->bytes + section[AXM_STRINGS].offset;
	axm->string_bytes = section[AXM_STRINGS].size;
	if (!axm->string_bytes || axm->strings[axm->string_bytes - 1] || axm->strings[0])
		return bad(reader, "strings do not start with \"\" and end with NUL");
	axm->model = (const void *)(axm->bytes + section[AXM_MODEL].offset);
	axm->values = (const void *)(axm->bytes + section[AXM_VALUES].offset);
	axm->nodes = (const void *)(axm->bytes + section[AXM_NODES].offset);
	axm->attrs = (const void *)(axm->bytes + section[AXM_ATTRS].offset);
	axm->ids = (const void *)(axm->bytes + section[AXM_IDS].offset);
	axm->regions = (const void *)(axm->bytes + section[AXM_REGIONS].offset);
	axm->graphs = (const void *)(axm->bytes + section[AXM_GRAPHS].offset);
	axm->dims = (const void *)(axm->bytes + section[AXM_DIMS].offset);
	axm->tilings = (const void *)(axm->bytes + section[AXM_TILINGS].offset);
	axm->data = axm->bytes + section[AXM_DATA].offset;
	axm->data_bytes = section[AXM_DATA].size;
	axm->num_values = (uint32_t)(section[AXM_VALUES].size / sizeof(struct axm_value));
	axm->num_nodes = (uint32_t)(section[AXM_NODES].size / sizeof(struct axm_node));
	axm->num_attrs = (uint32_t)(section[AXM_ATTRS].size / sizeof(struct axm_attr));
	axm->num_ids = (uint32_t)(section[AXM_IDS].size / sizeof(uint32_t));
	axm->num_regions = (uint32_t)(section[AXM_REGIONS].size / sizeof(struct axm_region));
	axm->num_graphs = (uint32_t)(section[AXM_GRAPHS].size / sizeof(struct axm_graph));
	axm->num_dims = (uint32_t)(section[AXM_DIMS].size / sizeof(struct axm_dim));
	axm->num_tilings = (uint32_t)(section[AXM_TILINGS].size / sizeof(struct axm_tiling));
	return 0;
}

/* ---- tables ---- */

static bool string_ok(const struct axm *axm, uint32_t offset)
{
	return offset < axm->string_bytes;
}

static bool data_ok(const struct axm *axm, uint64_t offset, uint64_t size)
{
	return offset % 64 == 0 && offset <= axm->data_bytes && size <= axm->data_bytes - offset;
}

/* @count strings at @offset that take @size bytes. */
static bool strings_ok(const struct axm *axm, uint64_t offset, uint64_t count, uint64_t size)
{
	const uint64_t *ends = (const void *)(axm->data + offset);

	if (count >= MAX_ENTRIES || !data_ok(axm, offset, size) || size < (count + 1) * sizeof(*ends) || ends[0])
		return false;
	for (uint64_t i = 0; i < count; i++)
		if (ends[i + 1] < ends[i] || ends[i + 1] > size - (count + 1) * sizeof(*ends))
			return false;
	return true;
}

static bool list_ok(const struct axm *axm, uint32_t first, uint32_t count)
{
	return first <= axm->num_ids && count <= axm->num_ids - first;
}

/* A list of value ids; @optional: AXM_NO_ID may occur. */
static bool ids_ok(const struct axm *axm, uint32_t first, uint32_t count, bool optional)
{
	if (!list_ok(axm, first, count))
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (axm->ids[first + i] >= axm->num_values && !(optional && axm->ids[first + i] == AXM_NO_ID))
			return false;
	return true;
}

static bool constant_ok(const struct axm *axm, const struct axm_value *value)
{
	int64_t count = dims_count((int)value->rank, value->dims);
	size_t size = dtype_size((enum dtype)value->dtype);

	if (count < 0 || !size || dtype_is_nested((enum dtype)value->dtype) || (value->flags & AXM_VALUE_UNRANKED))
		return false;
	if (value->dtype == DTYPE_STRING)
		return strings_ok(axm, value->data, (uint64_t)count, value->size);
	return (uint64_t)count <= UINT64_MAX / size && value->size == (uint64_t)count * size &&
	       data_ok(axm, value->data, value->size);
}

static int check_values(struct reader *reader)
{
	const struct axm *axm = reader->axm;

	for (uint32_t i = 0; i < axm->num_values; i++) {
		const struct axm_value *value = &axm->values[i];

		if (!string_ok(axm, value->name) || !string_ok(axm, value->type) || value->rank > AXM_MAX_RANK ||
		    value->flags > 15 || !(dtype_size((enum dtype)value->dtype) || value->dtype == 0) ||
		    (value->rank && (value->flags & AXM_VALUE_UNRANKED || dtype_is_nested((enum dtype)value->dtype))))
			return bad(reader, "value %u: name, rank, type or flags", i);
		for (uint32_t d = 0; d < value->rank; d++)
			if (value->dims[d] < -1 || (value->dims[d] < 0 && (value->flags & AXM_VALUE_CONSTANT)))
				return bad(reader, "value %u: dimension %u", i, d);
		if (!(value->flags & AXM_VALUE_CONSTANT) && (value->data || value->size))
			return bad(reader, "value %u: has data but is no constant", i);
		if (value->flags & AXM_VALUE_CONSTANT && !constant_ok(axm, value))
			return bad(reader, "value %u: constant's size or place", i);
	}
	for (uint32_t i = 0; i < axm->num_dims; i++) {
		const struct axm_dim *dim = &axm->dims[i];

		if (dim->value >= axm->num_values ||
		    !(axm->values[dim->value].flags & (AXM_VALUE_INPUT | AXM_VALUE_OUTPUT)) ||
		    dim->dimension >= axm->values[dim->value].rank || !string_ok(axm, dim->symbol) || dim->size < 0)
			return bad(reader, "symbolic dimension %u: value, dimension, name or size", i);
	}
	return 0;
}

static int check_attrs(struct reader *reader)
{
	const struct axm *axm = reader->axm;

	for (uint32_t i = 0; i < axm->num_attrs; i++) {
		const struct axm_attr *attr = &axm->attrs[i];
		uint64_t size = attr->type == ATTR_INTS ? 8 : attr->type == ATTR_FLOATS ? 4 : 1;

		if (!string_ok(axm, attr->name))
			return bad(reader, "attribute %u: name", i);
		switch (attr->type) {
		case ATTR_INT:
		case ATTR_FLOAT:
			break;
		case ATTR_INTS:
		case ATTR_FLOATS:
		case ATTR_STRING:
			if (!data_ok(axm, attr->data, attr->count * size))
				return bad(reader, "attribute %u: data outside the file", i);
			break;
		case ATTR_TENSOR:
			if (attr->i < 0 || attr->i >= axm->num_values ||
			    !(axm->values[attr->i].flags & AXM_VALUE_CONSTANT))
				return bad(reader, "attribute %u: not a constant", i);
			break;
		case ATTR_STRINGS:
			if (attr->i < 0 || !strings_ok(axm, attr->data, attr->count, (uint64_t)attr->i))
				return bad(reader, "attribute %u: strings", i);
			break;
		case ATTR_GRAPH: /* which node may have which is checked with the data flow */
			if (attr->i < 0 || attr->i >= axm->num_graphs)
				return bad(reader, "attribute %u: no graph", i);
			break;
		default:
			return bad(reader, "attribute %u: type %u", i, attr->type);
		}
	}
	return 0;
}

static int check_nodes(struct reader *reader)
{
	const struct axm *axm = reader->axm;

	for (uint32_t i = 0; i < axm->num_nodes; i++) {
		const struct axm_node *node = &axm->nodes[i];

		if (!string_ok(axm, node->name) || !string_ok(axm, node->op_type) || !string_ok(axm, node->domain) ||
		    !string_ok(axm, node->origin) || !string_ok(axm, node->reason) || node->opset > 1000)
			return bad(reader, "node %u: names or opset", i);
		if (!ids_ok(axm, node->inputs_first, node->num_inputs, true) ||
		    !ids_ok(axm, node->outputs_first, node->num_outputs, true))
			return bad(reader, "node %u: inputs or outputs", i);
		if (node->attrs_first > axm->num_attrs || node->num_attrs > axm->num_attrs - node->attrs_first)
			return bad(reader, "node %u: attributes", i);
		if (node->mac_size > 4 || node->vector_size > 4)
			return bad(reader, "node %u: operand sizes", i);
	}
	return 0;
}

/* Value whose shape is known and whose bytes a region may be bound to. */
static uint64_t bound_bytes(const struct axm *axm, uint32_t id)
{
	const struct axm_value *value = &axm->values[id];
	int64_t count = dims_count((int)value->rank, value->dims);
	uint64_t size = dtype_size((enum dtype)value->dtype);

	if (value->flags & AXM_VALUE_UNRANKED || count <= 0 || dtype_owns_memory((enum dtype)value->dtype) || !size ||
	    (uint64_t)count > (1ull << 40) / size)
		return 0;
	return (uint64_t)count * size;
}

static int check_code(struct reader *reader, uint32_t index)
{
	const struct axm *axm = reader->axm;
	const struct axm_model *model = axm->model;
	const struct axm_region *region = &axm->regions[index];
	struct target target = {
		.name = "package",
		.tiles = model->tiles,
		.spad_bytes = model->spad_bytes,
		.acc_bytes = model->acc_bytes,
		.spad_banks = model->spad_banks,
		.clock_khz = model->clock_khz,
		.mem_bytes = model->mem_bytes,
		.dram_rate = model->dram_rate,
		.dram_latency = model->dram_latency,
		.host_rate = model->host_rate,
		.host_latency = model->host_latency,
	};
	struct verify_region spaces[AXL_NUM_BASES] = {{region->weight_bytes, false}, {region->arena_bytes, true}};
	struct verify_limits limits = {0};
	struct verify_report report;
	unsigned int count = 2;
	int err;

	if (!target.tiles || target.tiles > AXL_MAX_TILES || target.spad_bytes > (1u << 30) ||
	    target.acc_bytes > (1u << 30))
		return bad(reader, "target: tiles, scratchpad or accumulators");
	if (!data_ok(axm, region->code, region->code_bytes) || !data_ok(axm, region->weights, region->weight_bytes) ||
	    region->arena_bytes > (1ull << 40))
		return bad(reader, "region %u: code, weights or arena", index);
	if (region->num_inputs + (uint64_t)region->num_outputs > MAX_REGION_IO)
		return bad(reader, "region %u: more than %d inputs and outputs", index, MAX_REGION_IO);
	for (uint32_t i = 0; i < region->num_inputs + region->num_outputs; i++, count++) {
		bool output = i >= region->num_inputs;
		uint32_t id = output ? axm->ids[region->outputs_first + i - region->num_inputs]
				     : axm->ids[region->inputs_first + i];

		spaces[count].bytes = bound_bytes(axm, id);
		spaces[count].writable = output;
		if (!spaces[count].bytes)
			return bad(reader, "region %u: value %u has no fixed size", index, id);
	}
	err = verify_command_buffer(axm->data + region->code, region->code_bytes, &target, count, spaces, &limits,
				    &report);
	if (err)
		return bad(reader, "region %u: command buffer at offset %u: %s", index, report.offset, report.text);
	return 0;
}

/*
 * The data flow of nodes.
 * @state: of each value
 * @writer: of each value: the graph whose node wrote it, counted from 1; 0 for the model's own
 * @used:  by graph: a node has named it (each is named once, and by a node before its own)
 * @depth: of bodies
 */
enum value_state { UNDEFINED, DEFINED, GONE /* defined in a body that has ended */ };

struct flow {
	struct reader *reader;
	uint8_t *state;
	uint32_t *writer;
	bool *used;
	uint32_t depth;
};

static int check_graph(struct flow *flow, uint32_t node, uint32_t index);

/* One node: reads what is defined, defines what was not. */
static int check_node_flow(struct flow *flow, uint32_t n, uint32_t writer, bool device)
{
	const struct axm *axm = flow->reader->axm;
	const struct axm_node *node = &axm->nodes[n];

	for (uint32_t i = 0; i < node->num_inputs; i++) {
		uint32_t id = axm->ids[node->inputs_first + i];

		if (id != AXM_NO_ID && flow->state[id] != DEFINED)
			return bad(flow->reader, "node %u: reads value %u before it is written", n, id);
	}
	for (uint32_t a = node->attrs_first; a < node->attrs_first + node->num_attrs; a++)
		if (axm->attrs[a].type == ATTR_GRAPH && (device || check_graph(flow, n, (uint32_t)axm->attrs[a].i)))
			return device ? bad(flow->reader, "node %u: a body on the device", n) : -EINVAL;
	for (uint32_t i = 0; i < node->num_outputs; i++) {
		uint32_t id = axm->ids[node->outputs_first + i];

		if (id == AXM_NO_ID)
			continue;
		if (flow->state[id] != UNDEFINED)
			return bad(flow->reader, "node %u: value %u is written twice", n, id);
		flow->state[id] = DEFINED;
		flow->writer[id] = writer;
	}
	return 0;
}

/* The outputs are values that nodes of the body write, no two the same: a runner may exchange their memory. */
static int check_graph_outputs(struct flow *flow, uint32_t index)
{
	const struct axm *axm = flow->reader->axm;
	const struct axm_graph *graph = &axm->graphs[index];

	for (uint32_t i = 0; i < graph->num_outputs; i++) {
		uint32_t id = axm->ids[graph->outputs_first + i];

		if (flow->state[id] != DEFINED || flow->writer[id] != index + 1)
			return bad(flow->reader, "graph %u: output %u is not written by a node of its own", index, i);
		flow->writer[id] = 0; /* not twice */
	}
	return 0;
}

/* A body: what it defines is gone behind it. */
static int check_graph(struct flow *flow, uint32_t node, uint32_t index)
{
	const struct axm *axm = flow->reader->axm;
	const struct axm_graph *graph = &axm->graphs[index];

	if (flow->used[index] || graph->first_node <= node || ++flow->depth > MAX_DEPTH)
		return bad(flow->reader, "graph %u: used twice, or by a node of its own, or too deep", index);
	flow->used[index] = true;
	for (uint32_t i = 0; i < graph->num_inputs; i++) {
		uint32_t id = axm->ids[graph->inputs_first + i];

		if (flow->state[id] != UNDEFINED)
			return bad(flow->reader, "graph %u: input %u is defined elsewhere", index, i);
		flow->state[id] = DEFINED;
	}
	for (uint32_t n = graph->first_node; n < graph->first_node + graph->num_nodes; n++)
		if (check_node_flow(flow, n, index + 1, false))
			return -EINVAL;
	if (check_graph_outputs(flow, index))
		return -EINVAL;
	for (uint32_t i = 0; i < graph->num_inputs; i++)
		flow->state[axm->ids[graph->inputs_first + i]] = GONE;
	for (uint32_t n = graph->first_node; n < graph->first_node + graph->num_nodes; n++)
		for (uint32_t i = 0; i < axm->nodes[n].num_outputs; i++)
			if (axm->ids[axm->nodes[n].outputs_first + i] != AXM_NO_ID)
				flow->state[axm->ids[axm->nodes[n].outputs_first + i]] = GONE;
	flow->depth--;
	return 0;
}

/* Where the nodes of bodies lie: behind those of the regions, one body after the other. */
static int check_graphs(struct reader *reader)
{
	const struct axm *axm = reader->axm;
	uint64_t next = axm->num_region_nodes;

	for (uint32_t g = 0; g < axm->num_graphs; g++) {
		const struct axm_graph *graph = &axm->graphs[g];

		if (!string_ok(axm, graph->name) || graph->first_node != next ||
		    graph->num_nodes > axm->num_nodes - next ||
		    !ids_ok(axm, graph->inputs_first, graph->num_inputs, false) ||
		    !ids_ok(axm, graph->outputs_first, graph->num_outputs, false))
			return bad(reader, "graph %u: name, nodes, inputs or outputs", g);
		next += graph->num_nodes;
	}
	return next == axm->num_nodes
		       ? 0
		       : bad(reader, "regions and bodies hold %u of %u nodes", (uint32_t)next, axm->num_nodes);
}

/* Regions cover nodes in order, from the first. */
static int check_region_nodes(struct reader *reader)
{
	struct axm *axm = reader->axm;
	uint32_t next = 0;

	for (uint32_t r = 0; r < axm->num_regions; r++) {
		const struct axm_region *region = &axm->regions[r];

		if (region->device > 1 || region->first_node != next || region->num_nodes > axm->num_nodes - next ||
		    !ids_ok(axm, region->inputs_first, region->num_inputs, false) ||
		    !ids_ok(axm, region->outputs_first, region->num_outputs, false))
			return bad(reader, "region %u: nodes, inputs or outputs", r);
		next += region->num_nodes;
	}
	axm->num_region_nodes = next;
	for (uint32_t n = next; n < axm->num_nodes; n++)
		if (axm->nodes[n].region >= axm->num_regions || axm->regions[axm->nodes[n].region].device)
			return bad(reader, "node %u: region", n);
	return check_graphs(reader);
}

/* Every value is defined before it is read, once. */
static int check_regions(struct flow *flow)
{
	struct reader *reader = flow->reader;
	const struct axm *axm = reader->axm;

	for (uint32_t r = 0; r < axm->num_regions; r++) {
		const struct axm_region *region = &axm->regions[r];

		for (uint32_t i = 0; i < region->num_inputs; i++)
			if (flow->state[axm->ids[region->inputs_first + i]] != DEFINED)
				return bad(reader, "region %u: reads a value that nothing before it writes", r);
		for (uint32_t n = region->first_node; n < region->first_node + region->num_nodes; n++) {
			if (axm->nodes[n].region != r)
				return bad(reader, "node %u: region", n);
			if (check_node_flow(flow, n, 0, region->device))
				return -EINVAL;
		}
		for (uint32_t i = 0; i < region->num_outputs; i++)
			if (flow->state[axm->ids[region->outputs_first + i]] != DEFINED)
				return bad(reader, "region %u: output that no node of it writes", r);
		if (region->device && check_code(reader, r))
			return -EINVAL;
	}
	for (uint32_t g = 0; g < axm->num_graphs; g++)
		if (!flow->used[g])
			return bad(reader, "graph %u: belongs to no node", g);
	return 0;
}

static int check_flow(struct reader *reader)
{
	const struct axm *axm = reader->axm;
	const struct axm_model *model = axm->model;
	struct flow flow = {.reader = reader};
	int err;

	if (!string_ok(axm, model->name) || !string_ok(axm, model->target_name) || model->precision > AXM_INT8 ||
	    !ids_ok(axm, model->inputs_first, model->num_inputs, false) ||
	    !ids_ok(axm, model->outputs_first, model->num_outputs, false))
		return bad(reader, "model: names, precision, inputs or outputs");
	if (check_region_nodes(reader))
		return -EINVAL;
	flow.state = calloc(axm->num_values + 1, sizeof(*flow.state));
	flow.writer = calloc(axm->num_values + 1, sizeof(*flow.writer));
	flow.used = calloc(axm->num_graphs + 1, sizeof(*flow.used));
	err = flow.state && flow.writer && flow.used ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < axm->num_values && !err; i++)
		if (axm->values[i].flags & (AXM_VALUE_INPUT | AXM_VALUE_CONSTANT))
			flow.state[i] = DEFINED;
	if (!err)
		err = check_regions(&flow);
	for (uint32_t i = 0; i < model->num_outputs && !err; i++)
		if (flow.state[axm->ids[model->outputs_first + i]] != DEFINED)
			err = bad(reader, "model output %u is never written", i);
	free(flow.state);
	free(flow.writer);
	free(flow.used);
	return err;
}

/* What is there for the report: nodes of the device, in order, searches that begin with what they took. */
static int check_decisions(struct reader *reader)
{
	const struct axm *axm = reader->axm;

	for (uint32_t n = 0; n < axm->num_nodes; n++) {
		const struct axm_node *node = &axm->nodes[n];
		const struct axm_region *region = &axm->regions[node->region];

		if (node->kept_until && (!region->device || node->kept_until <= n ||
					 node->kept_until - region->first_node >= region->num_nodes))
			return bad(reader, "node %u: its result is kept until node %u", n, node->kept_until);
		if (!list_ok(axm, node->sources_first, node->num_sources) || (node->num_sources && !region->device))
			return bad(reader, "node %u: sources", n);
		for (uint32_t i = 0; i < node->num_sources; i++) {
			uint32_t source = axm->ids[node->sources_first + i];

			if (source >= n || source < region->first_node)
				return bad(reader, "node %u: source %u is not before it in its region", n, source);
		}
	}
	for (uint32_t i = 0; i < axm->num_tilings; i++) {
		const struct axm_tiling *tiling = &axm->tilings[i];
		bool taken = tiling->flags & AXM_TILING_TAKEN;

		if (tiling->node >= axm->num_region_nodes || !axm->regions[axm->nodes[tiling->node].region].device ||
		    tiling->flags > 15 || (i && tiling->node < tiling[-1].node) ||
		    (!taken && (!i || tiling->node != tiling[-1].node)) || taken != (tiling->compared > 0))
			return bad(reader, "tiling %u: node, flags or order", i);
	}
	return 0;
}

static int open_bytes(const void *bytes, size_t size, bool built, struct axm *axm, char *error, size_t error_size)
{
	struct reader reader = {axm, error, error_size};
	int (*const checks[])(struct reader *) = {
		check_header, built ? NULL : check_sum, check_sections, check_values, check_attrs, check_nodes,
		check_flow,   check_decisions};

	if (error_size)
		error[0] = '\0';
	memset(axm, 0, sizeof(*axm));
	axm->bytes = bytes;
	axm->size = size;
	if ((uintptr_t)bytes % 64)
		return bad(&reader, "the file's memory is not 64-byte aligned");
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		int err = checks[i] ? checks[i](&reader) : 0;

		if (err) {
			memset(axm, 0, sizeof(*axm));
			return err;
		}
	}
	return 0;
}

int axm_open_built(const void *bytes, size_t size, struct axm *axm, char *error, size_t error_size)
{
	return open_bytes(bytes, size, true, axm, error, error_size);
}

int axm_open_bytes(const void *bytes, size_t size, struct axm *axm, char *error, size_t error_size)
{
	return open_bytes(bytes, size, false, axm, error, error_size);
}

int axm_open(const char *path, struct axm *axm, char *error, size_t error_size)
{
	struct stat status;
	void *mapping;
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;

	memset(axm, 0, sizeof(*axm));
	if (fd < 0 || fstat(fd, &status)) {
		err = -errno;
		snprintf(error, error_size, "%s: %s", path, strerror(-err));
		goto out;
	}
	if (!S_ISREG(status.st_mode) || status.st_size < (off_t)sizeof(struct axm_header)) {
		snprintf(error, error_size, "%s: not an .axm file (too short)", path);
		err = -EINVAL;
		goto out;
	}
	mapping = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (mapping == MAP_FAILED) {
		err = -errno;
		snprintf(error, error_size, "%s: %s", path, strerror(-err));
		goto out;
	}
	err = axm_open_bytes(mapping, (size_t)status.st_size, axm, error, error_size);
	if (err)
		munmap(mapping, (size_t)status.st_size);
	if (!err) {
		axm->mapping = mapping;
		axm->mapping_size = (uint64_t)status.st_size;
	}
out:
	if (fd >= 0)
		close(fd);
	return err;
}

void axm_close(struct axm *axm)
{
	if (axm && axm->mapping)
		munmap(axm->mapping, axm->mapping_size);
	if (axm)
		memset(axm, 0, sizeof(*axm));
}
