/* SPDX-License-Identifier: MIT */
#include "scan.h"
#include "prng.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODEL_IR_VERSION = 1, MODEL_GRAPH = 7 };
enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11 };
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_OP_TYPE = 4, NODE_ATTRIBUTE = 5 };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_I = 3, ATTRIBUTE_T = 5, ATTRIBUTE_G = 6, ATTRIBUTE_GRAPHS = 11 };
enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_FLOATS = 4, TENSOR_INT64S = 7, TENSOR_NAME = 8, TENSOR_RAW = 9 };
enum { TYPE_FLOAT = 1, TYPE_INT64 = 7 };

static int fail(struct scan *scan, const char *what)
{
	snprintf(scan->error, sizeof(scan->error), "%s", what);
	return -EINVAL;
}

static int fail_memory(struct scan *scan)
{
	snprintf(scan->error, sizeof(scan->error), "out of memory");
	return -ENOMEM;
}

/* Room for one more element of an array that doubles at powers of two. */
static void *grow(void *array, size_t count, size_t element)
{
	if (count & (count - 1))
		return array;
	return reallocarray(array, count ? count * 2 : 1, element);
}

/* -- values by name -- */

static size_t *slot_of(const struct scan *scan, struct span name)
{
	size_t i = (size_t)prng_stream(0, name.data, name.size) & (scan->slots - 1);

	while (scan->slot[i] != SCAN_NONE && !span_equal(scan->value[scan->slot[i]].name, name))
		i = (i + 1) & (scan->slots - 1);
	return &scan->slot[i];
}

size_t scan_find(const struct scan *scan, struct span name)
{
	return scan->slots ? *slot_of(scan, name) : SCAN_NONE;
}

static int grow_slots(struct scan *scan)
{
	size_t slots = scan->slots ? scan->slots * 2 : 256;
	size_t *slot = malloc(slots * sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	memset(slot, 0xff, slots * sizeof(*slot));
	free(scan->slot);
	scan->slot = slot;
	scan->slots = slots;
	for (size_t i = 0; i < scan->values; i++)
		*slot_of(scan, scan->value[i].name) = i;
	return 0;
}

static size_t intern(struct scan *scan, struct span name)
{
	struct scan_value *grown;
	size_t *slot;

	if (scan->values * 2 >= scan->slots && grow_slots(scan))
		return SCAN_NONE;
	slot = slot_of(scan, name);
	if (*slot != SCAN_NONE)
		return *slot;
	grown = grow(scan->value, scan->values, sizeof(*grown));
	if (!grown)
		return SCAN_NONE;
	scan->value = grown;
	grown[scan->values] =
		(struct scan_value){.name = name, .producer = SCAN_NONE, .first_use = SCAN_NONE, .last_use = SCAN_NONE};
	*slot = scan->values;
	return scan->values++;
}

/* -- tensors -- */

static int add_dim(struct scan_value *value, uint64_t dim)
{
	if (value->ndim == SCAN_MAX_DIMS || dim > INT32_MAX)
		return -EINVAL;
	value->dim[value->ndim++] = (int64_t)dim;
	return __builtin_mul_overflow(value->elements, dim, &value->elements) ? -EINVAL : 0;
}

static int read_dims(struct scan_value *value, const struct wire_field *field)
{
	struct wire_reader packed = wire_open(field->bytes);
	uint64_t dim;
	int error = 0;

	if (field->type == WIRE_VARINT)
		return add_dim(value, field->value);
	while (!error && wire_next_packed(&packed, &dim))
		error = add_dim(value, dim);
	return packed.malformed ? -EINVAL : error;
}

/* Shape, type and name of a TensorProto; the elements stay where they are. */
static int read_tensor(struct span tensor, struct scan_value *value, struct span *name)
{
	struct wire_reader reader = wire_open(tensor);
	struct wire_field field;
	int error = 0;

	value->ndim = 0;
	value->elements = 1;
	while (!error && wire_next(&reader, &field)) {
		if (field.number == TENSOR_DIMS)
			error = read_dims(value, &field);
		else if (field.number == TENSOR_TYPE)
			value->type = (int32_t)field.value;
		else if (field.number == TENSOR_NAME && name)
			*name = field.bytes;
	}
	return reader.malformed ? -EINVAL : error;
}

int scan_int64(const struct scan_value *value, int64_t *element, size_t capacity)
{
	struct wire_reader reader = wire_open(value->tensor), packed;
	struct wire_field field;
	size_t n = 0;
	uint64_t word;

	if (value->constant != SCAN_INITIALIZER || value->type != TYPE_INT64 || value->elements > capacity)
		return -EINVAL;
	while (wire_next(&reader, &field)) {
		if (field.number == TENSOR_RAW && field.bytes.size == value->elements * 8) {
			memcpy(element, field.bytes.data, field.bytes.size);
			n = value->elements;
		} else if (field.number == TENSOR_INT64S && field.type == WIRE_VARINT && n < capacity) {
			element[n++] = (int64_t)field.value;
		} else if (field.number == TENSOR_INT64S) {
			for (packed = wire_open(field.bytes); n < capacity && wire_next_packed(&packed, &word);)
				element[n++] = (int64_t)word;
		}
	}
	return n == value->elements ? (int)n : -EINVAL;
}

bool scan_repeats(const struct scan_value *value)
{
	struct wire_reader reader = wire_open(value->tensor);
	struct wire_field field;

	if (value->constant == SCAN_FILLED)
		return true;
	if (value->constant != SCAN_INITIALIZER || value->type != TYPE_FLOAT)
		return false;
	while (wire_next(&reader, &field))
		if ((field.number == TENSOR_RAW || field.number == TENSOR_FLOATS) && field.type == WIRE_BYTES &&
		    field.bytes.size == value->elements * 4 && field.bytes.size)
			return !memcmp(field.bytes.data, field.bytes.data + 4, field.bytes.size - 4);
	return false;
}

/* -- nodes -- */

static int read_attribute(struct scan *scan, struct scan_node *node, struct span attribute)
{
	struct wire_reader reader = wire_open(attribute);
	struct span name = {0}, tensor = {0};
	struct wire_field field;
	int64_t number = 0;

	while (wire_next(&reader, &field)) {
		if (field.number == ATTRIBUTE_NAME)
			name = field.bytes;
		else if (field.number == ATTRIBUTE_I)
			number = (int64_t)field.value;
		else if (field.number == ATTRIBUTE_T)
			tensor = field.bytes;
		else if (field.number == ATTRIBUTE_G || field.number == ATTRIBUTE_GRAPHS)
			scan->subgraphs = true;
	}
	if (span_is(name, "group"))
		node->group = number;
	else if (span_is(name, "transA"))
		node->trans_a = number;
	else if (span_is(name, "transB"))
		node->trans_b = number;
	else if (span_is(name, "value"))
		node->fill = tensor;
	return reader.malformed ? fail(scan, "malformed attribute") : 0;
}

static int add_input(struct scan *scan, size_t node, size_t slot, struct span name)
{
	size_t value = name.size ? intern(scan, name) : SCAN_NONE;
	size_t *inputs = grow(scan->input, scan->inputs, sizeof(*inputs));
	struct scan_use *uses;

	if (!inputs || (name.size && value == SCAN_NONE))
		return fail_memory(scan);
	scan->input = inputs;
	inputs[scan->inputs++] = value;
	if (value == SCAN_NONE)
		return 0;
	uses = grow(scan->use, scan->uses, sizeof(*uses));
	if (!uses)
		return fail_memory(scan);
	scan->use = uses;
	uses[scan->uses] = (struct scan_use){node, slot, SCAN_NONE};
	if (scan->value[value].last_use == SCAN_NONE)
		scan->value[value].first_use = scan->uses;
	else
		uses[scan->value[value].last_use].next = scan->uses;
	scan->value[value].last_use = scan->uses++;
	return 0;
}

static int add_output(struct scan *scan, struct scan_node *node, bool first, struct span name)
{
	size_t value = name.size ? intern(scan, name) : SCAN_NONE;

	if (name.size && value == SCAN_NONE)
		return fail_memory(scan);
	if (value != SCAN_NONE)
		scan->value[value].producer = scan->nodes;
	if (first)
		node->output = value;
	return 0;
}

static int read_node(struct scan *scan, struct span message)
{
	struct scan_node node = {.group = 1, .output = SCAN_NONE, .first_input = scan->inputs};
	struct wire_reader reader = wire_open(message);
	struct scan_node *grown;
	struct wire_field field;
	bool first = true;
	int error = 0;

	while (!error && wire_next(&reader, &field)) {
		if (field.number == NODE_OP_TYPE) {
			node.op = field.bytes;
		} else if (field.number == NODE_INPUT) {
			error = add_input(scan, scan->nodes, node.inputs++, field.bytes);
		} else if (field.number == NODE_OUTPUT) {
			error = add_output(scan, &node, first, field.bytes);
			first = false;
		} else if (field.number == NODE_ATTRIBUTE) {
			error = read_attribute(scan, &node, field.bytes);
		}
	}
	if (!error && reader.malformed)
		error = fail(scan, "malformed node");
	if (error)
		return error;
	node.constant_of_shape = span_is(node.op, "ConstantOfShape");
	grown = grow(scan->node, scan->nodes, sizeof(*grown));
	if (!grown)
		return fail_memory(scan);
	scan->node = grown;
	grown[scan->nodes++] = node;
	return 0;
}

static int read_initializer(struct scan *scan, struct span tensor)
{
	struct scan_value read = {0};
	struct span name = {0};
	size_t value;

	if (read_tensor(tensor, &read, &name) || !name.size)
		return fail(scan, "initializer with a malformed shape or without a name");
	value = intern(scan, name);
	if (value == SCAN_NONE)
		return fail_memory(scan);
	scan->value[value].constant = SCAN_INITIALIZER;
	scan->value[value].tensor = tensor;
	scan->value[value].type = read.type;
	scan->value[value].ndim = read.ndim;
	scan->value[value].elements = read.elements;
	memcpy(scan->value[value].dim, read.dim, sizeof(read.dim));
	return 0;
}

static int read_graph_input(struct scan *scan, struct span info)
{
	struct wire_reader reader = wire_open(info);
	struct wire_field field;
	size_t value;

	while (wire_next(&reader, &field)) {
		if (field.number != 1)
			continue;
		value = intern(scan, field.bytes);
		if (value == SCAN_NONE)
			return fail_memory(scan);
		scan->value[value].graph_input = true;
	}
	return reader.malformed ? fail(scan, "malformed graph input") : 0;
}

/* Marks the outputs of ConstantOfShape that are as constant as an initializer. */
static int find_filled(struct scan *scan)
{
	for (size_t i = 0; i < scan->nodes; i++) {
		const struct scan_node *node = &scan->node[i];
		int64_t dim[SCAN_MAX_DIMS] = {0};
		struct scan_value *value;
		struct scan_value fill = {.type = TYPE_FLOAT};
		size_t shape;
		int ndim;

		if (!node->constant_of_shape || node->inputs != 1 || node->output == SCAN_NONE)
			continue;
		shape = scan->input[node->first_input];
		ndim = shape == SCAN_NONE ? -1 : scan_int64(&scan->value[shape], dim, SCAN_MAX_DIMS);
		if (ndim < 0)
			continue;
		if (node->fill.size && read_tensor(node->fill, &fill, NULL))
			return fail(scan, "ConstantOfShape with a malformed value");
		value = &scan->value[node->output];
		value->constant = SCAN_FILLED;
		value->type = fill.type;
		value->elements = 1;
		for (int d = 0; d < ndim; d++)
			if (add_dim(value, (uint64_t)dim[d]))
				return fail(scan, "ConstantOfShape with an impossible shape");
	}
	return 0;
}

static int read_graph(struct scan *scan)
{
	struct wire_reader reader = wire_open(scan->graph);
	struct wire_field field;
	int error = 0;

	while (!error && wire_next(&reader, &field)) {
		if (field.number == GRAPH_NODE)
			error = read_node(scan, field.bytes);
		else if (field.number == GRAPH_INITIALIZER)
			error = read_initializer(scan, field.bytes);
		else if (field.number == GRAPH_INPUT)
			error = read_graph_input(scan, field.bytes);
	}
	if (!error && reader.malformed)
		error = fail(scan, "malformed graph");
	return error ? error : find_filled(scan);
}

int scan_init(struct scan *scan, struct span model)
{
	struct wire_reader reader = wire_open(model);
	struct wire_field field;

	*scan = (struct scan){0};
	while (wire_next(&reader, &field)) {
		if (field.number == MODEL_IR_VERSION)
			scan->ir_version = (int64_t)field.value;
		else if (field.number == MODEL_GRAPH && field.type == WIRE_BYTES)
			scan->graph = field.bytes;
	}
	if (reader.malformed)
		return fail(scan, "not a protobuf message");
	if (!scan->graph.data)
		return fail(scan, "no graph in it: not an ONNX model");
	return read_graph(scan);
}

void scan_finish(struct scan *scan)
{
	free(scan->node);
	free(scan->value);
	free(scan->use);
	free(scan->input);
	free(scan->slot);
}
