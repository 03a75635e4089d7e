/* SPDX-License-Identifier: MIT */
/*
 * See export.h. The message is built of blocks that are freed together (struct exporter.blocks); strings, and the
 * elements of tensors where they lie on the wire as in memory, are the graph's own.
 */
#include "compiler/onnx/export.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/fail.h"
#include "compiler/onnx/schema/schema.h"
#include "compiler/onnx/tensor_proto.h"
#include "onnx.pb-c.h"

struct block {
	struct block *next;
	max_align_t memory[];
};

/*
 * @model: where the operator sets are
 * @failed: an allocation did; checked before the message is used
 */
struct exporter {
	struct block *blocks;
	const struct graph *model;
	bool failed;
	char *error;
	size_t error_size;
};

/* @outer, @node: of a body, the graph around and the node in it that the body belongs to */
struct place {
	const struct graph *graph;
	const struct graph_node *node;
	const struct place *outer;
};

static Onnx__GraphProto *export_graph(struct exporter *ex, const struct place *place);

/* ---- memory ---- */

static void *allocate(struct exporter *ex, size_t count, size_t size)
{
	struct block *block = calloc(1, sizeof(*block) + (count + 1) * size);

	ex->failed |= !block;
	if (!block)
		return NULL;
	block->next = ex->blocks;
	ex->blocks = block;
	return block->memory;
}

/* A message of type @Type, initialised; NULL with ex->failed set. */
#define NEW(ex, Type, init)                                  \
	({                                                   \
		Type *made_ = allocate(ex, 1, sizeof(Type)); \
		if (made_)                                   \
			init(made_);                         \
		made_;                                       \
	})

static char *text(const char *string)
{
	return (char *)(uintptr_t)(string ? string : "");
}

/* ---- tensors ---- */

static ProtobufCBinaryData *export_strings(struct exporter *ex, const struct tensor_string *strings, size_t count)
{
	ProtobufCBinaryData *out = allocate(ex, count, sizeof(*out));

	for (size_t i = 0; out && i < count; i++)
		out[i] = (ProtobufCBinaryData){strings[i].size, (uint8_t *)strings[i].data};
	return out;
}

static uint8_t *packed(struct exporter *ex, const struct tensor *tensor, size_t size)
{
	uint8_t *out = allocate(ex, size, 1);

	if (out)
		onnx_pack(tensor, out);
	return out;
}

static Onnx__TensorProto *export_tensor(struct exporter *ex, const char *name, const struct tensor *tensor)
{
	Onnx__TensorProto *proto = NEW(ex, Onnx__TensorProto, onnx__tensor_proto__init);
	size_t count = (size_t)tensor_count(tensor);

	if (!proto)
		return NULL;
	proto->name = text(name);
	proto->has_data_type = true;
	proto->data_type = (int32_t)tensor->dtype;
	proto->n_dims = (size_t)tensor->rank;
	proto->dims = (int64_t *)(uintptr_t)tensor->dims;
	if (tensor->dtype == DTYPE_STRING) {
		proto->n_string_data = count;
		proto->string_data = export_strings(ex, tensor->data, count);
		return proto;
	}
	proto->has_raw_data = true;
	proto->raw_data.len = onnx_wire_bytes(tensor->dtype, (int64_t)count);
	proto->raw_data.data =
		dtype_bits(tensor->dtype) < 8 ? packed(ex, tensor, proto->raw_data.len) : (uint8_t *)tensor->data;
	return proto;
}

/* ---- types ---- */

static Onnx__TensorShapeProto *export_shape(struct exporter *ex, const struct graph *graph,
					    const struct graph_value *value)
{
	Onnx__TensorShapeProto *shape = NEW(ex, Onnx__TensorShapeProto, onnx__tensor_shape_proto__init);

	if (!shape)
		return NULL;
	shape->dim = allocate(ex, (size_t)value->rank, sizeof(*shape->dim));
	for (int d = 0; d < value->rank; d++) {
		Onnx__TensorShapeProto__Dimension *dim =
			NEW(ex, Onnx__TensorShapeProto__Dimension, onnx__tensor_shape_proto__dimension__init);

		if (!dim || !shape->dim)
			return NULL;
		if (value->dims[d] >= 0) {
			dim->has_dim_value = true;
			dim->dim_value = value->dims[d];
		} else if (value->dims[d] != GRAPH_DIM_UNKNOWN) {
			dim->dim_param = text(graph->symbols[-2 - value->dims[d]]);
		}
		shape->dim[shape->n_dim++] = dim;
	}
	return shape;
}

/* NULL where nothing is known. */
static Onnx__TypeProto *export_type(struct exporter *ex, enum dtype dtype, enum dtype key,
				    const struct graph_type *element)
{
	Onnx__TypeProto *type, *inner;

	if (!dtype)
		return NULL;
	type = NEW(ex, Onnx__TypeProto, onnx__type_proto__init);
	inner = element ? export_type(ex, element->dtype, element->key, element->element) : NULL;
	if (!type)
		return NULL;
	if (dtype == DTYPE_SEQUENCE) {
		type->sequence_type = NEW(ex, Onnx__TypeProto__Sequence, onnx__type_proto__sequence__init);
		if (type->sequence_type)
			type->sequence_type->elem_type = inner;
	} else if (dtype == DTYPE_OPTIONAL) {
		type->optional_type = NEW(ex, Onnx__TypeProto__Optional, onnx__type_proto__optional__init);
		if (type->optional_type)
			type->optional_type->elem_type = inner;
	} else if (dtype == DTYPE_MAP) {
		type->map_type = NEW(ex, Onnx__TypeProto__Map, onnx__type_proto__map__init);
		if (type->map_type) {
			type->map_type->has_key_type = true;
			type->map_type->key_type = (int32_t)key;
			type->map_type->value_type = inner;
		}
	} else {
		type->tensor_type = NEW(ex, Onnx__TypeProto__Tensor, onnx__type_proto__tensor__init);
		if (type->tensor_type) {
			type->tensor_type->has_elem_type = true;
			type->tensor_type->elem_type = (int32_t)dtype;
		}
	}
	return type;
}

static Onnx__ValueInfoProto *export_value(struct exporter *ex, const struct place *place, const char *name,
					  const struct graph_value *value)
{
	Onnx__ValueInfoProto *info = NEW(ex, Onnx__ValueInfoProto, onnx__value_info_proto__init);

	if (!info)
		return NULL;
	info->name = text(name);
	info->type = export_type(ex, value->dtype, value->key, value->element);
	if (info->type && info->type->tensor_type && value->rank >= 0)
		info->type->tensor_type->shape = export_shape(ex, place->graph, value);
	return info;
}

/* ---- nodes ---- */

/* What a value is called: what a body captures has its name in the graph that it comes from. */
static const char *name_of(const struct place *place, const struct graph_value *value)
{
	if (!value)
		return "";
	for (size_t i = 0; i < place->graph->num_captures; i++)
		if (place->graph->captures[i].value == value)
			return name_of(place->outer, graph_captured(place->node, place->graph->captures[i].index));
	return value->name;
}

static Onnx__AttributeProto *export_attribute(struct exporter *ex, const struct place *place,
					      const struct graph_node *node, const struct attr *attr)
{
	Onnx__AttributeProto *proto = NEW(ex, Onnx__AttributeProto, onnx__attribute_proto__init);

	if (!proto)
		return NULL;
	proto->name = text(attr->name);
	proto->has_type = true;
	proto->type = (int32_t)attr->type;
	switch (attr->type) {
	case ATTR_FLOAT:
		proto->has_f = true;
		proto->f = attr->f;
		break;
	case ATTR_INT:
		proto->has_i = true;
		proto->i = attr->i;
		break;
	case ATTR_STRING:
		proto->has_s = true;
		proto->s = (ProtobufCBinaryData){attr->s.size, (uint8_t *)attr->s.data};
		break;
	case ATTR_FLOATS:
		proto->n_floats = attr->count;
		proto->floats = attr->floats;
		break;
	case ATTR_INTS:
		proto->n_ints = attr->count;
		proto->ints = attr->ints;
		break;
	case ATTR_STRINGS:
		proto->n_strings = attr->count;
		proto->strings = export_strings(ex, attr->strings, attr->count);
		break;
	case ATTR_TENSOR:
		/* A sparse constant was made dense when it was read. */
		if (!strcmp(attr->name, "sparse_value"))
			proto->name = text("value");
		proto->t = export_tensor(ex, NULL, attr->tensor);
		break;
	case ATTR_TENSORS:
		proto->tensors = allocate(ex, attr->count, sizeof(*proto->tensors));
		for (size_t i = 0; proto->tensors && i < attr->count; i++)
			proto->tensors[proto->n_tensors++] = export_tensor(ex, NULL, &attr->tensor[i]);
		break;
	case ATTR_GRAPH: {
		struct place body = {attr->graph, node, place};

		proto->g = export_graph(ex, &body);
		break;
	}
	default: /* no other kind is imported */
		fail(ex->error, ex->error_size, -ENOTSUP, "node %s: attribute %s of type %d", node->name, attr->name,
		     attr->type);
		return NULL;
	}
	return proto;
}

/* The importer keeps the type that an empty Optional states as that of its output. */
static Onnx__AttributeProto *export_optional_type(struct exporter *ex, const struct graph_node *node)
{
	const struct graph_type *element = node->outputs[0] ? node->outputs[0]->element : NULL;
	Onnx__AttributeProto *proto = NEW(ex, Onnx__AttributeProto, onnx__attribute_proto__init);

	if (!proto || !element)
		return NULL;
	proto->name = text("type");
	proto->has_type = true;
	proto->type = ATTR_TYPE;
	proto->tp = export_type(ex, element->dtype, element->key, element->element);
	return proto;
}

static int version_of(const struct exporter *ex, const char *domain)
{
	for (size_t i = 0; i < ex->model->num_opsets; i++)
		if (!strcmp(ex->model->opsets[i].domain, domain))
			return ex->model->opsets[i].version;
	return 0;
}

/* Does the node mean the same in the version that the model imports? */
static bool version_fits(const struct exporter *ex, const struct graph_node *node)
{
	int version = version_of(ex, node->domain);
	const struct schema *own, *model;

	if (!version || version == node->opset) /* what the model does not import yet is added at the node's version */
		return true;
	own = schema_find(node->domain, node->op_type, node->opset);
	model = schema_find(node->domain, node->op_type, version);
	return own && own == model;
}

static Onnx__NodeProto *export_node(struct exporter *ex, const struct place *place, const struct graph_node *node)
{
	Onnx__NodeProto *proto = NEW(ex, Onnx__NodeProto, onnx__node_proto__init);
	size_t inputs = node->num_inputs - node->num_captures;
	bool empty_optional = !strcmp(node->op_type, "Optional") && !inputs;

	if (!version_fits(ex, node)) {
		fail(ex->error, ex->error_size, -ENOTSUP,
		     "node %s: %s of opset %d means something else in opset %d, which the model imports", node->name,
		     node->op_type, node->opset, version_of(ex, node->domain));
		return NULL;
	}
	if (!proto)
		return NULL;
	proto->name = text(node->name);
	proto->op_type = text(node->op_type);
	proto->domain = text(node->domain);
	proto->input = allocate(ex, inputs, sizeof(*proto->input));
	proto->output = allocate(ex, node->num_outputs, sizeof(*proto->output));
	proto->attribute = allocate(ex, node->num_attrs + 1, sizeof(*proto->attribute));
	if (!proto->input || !proto->output || !proto->attribute)
		return NULL;
	for (size_t i = 0; i < inputs; i++)
		proto->input[proto->n_input++] = text(name_of(place, node->inputs[i]));
	for (size_t i = 0; i < node->num_outputs; i++)
		proto->output[proto->n_output++] = text(name_of(place, node->outputs[i]));
	while (proto->n_input && !*proto->input[proto->n_input - 1]) /* omitted at the end: not there */
		proto->n_input--;
	for (size_t i = 0; i < node->num_attrs + empty_optional; i++) {
		Onnx__AttributeProto *attribute = i < node->num_attrs
							  ? export_attribute(ex, place, node, &node->attrs[i])
							  : export_optional_type(ex, node);

		if (!attribute)
			return NULL;
		proto->attribute[proto->n_attribute++] = attribute;
	}
	return proto;
}

/* ---- graphs ---- */

static bool export_constants(struct exporter *ex, const struct graph *graph, Onnx__GraphProto *proto)
{
	proto->initializer = allocate(ex, graph->num_values, sizeof(*proto->initializer));
	for (size_t i = 0; proto->initializer && i < graph->num_values; i++) {
		const struct graph_value *value = graph->values[i];

		if (value->constant && !value->producer && (value->num_uses || value->is_output))
			proto->initializer[proto->n_initializer++] = export_tensor(ex, value->name, value->constant);
	}
	return !ex->failed;
}

/* Inputs, outputs, and the types that are known of what is between. */
static bool export_values(struct exporter *ex, const struct place *place, Onnx__GraphProto *proto)
{
	const struct graph *graph = place->graph;

	proto->input = allocate(ex, graph->num_inputs, sizeof(*proto->input));
	proto->output = allocate(ex, graph->num_outputs, sizeof(*proto->output));
	proto->value_info = allocate(ex, graph->num_values, sizeof(*proto->value_info));
	if (!proto->input || !proto->output || !proto->value_info)
		return false;
	for (size_t i = 0; i < graph->num_inputs; i++)
		proto->input[proto->n_input++] = export_value(ex, place, graph->inputs[i]->name, graph->inputs[i]);
	for (size_t i = 0; i < graph->num_outputs; i++)
		proto->output[proto->n_output++] =
			export_value(ex, place, name_of(place, graph->outputs[i]), graph->outputs[i]);
	for (size_t i = 0; i < graph->num_values; i++) {
		const struct graph_value *value = graph->values[i];

		/* ONNX wants a shape where it has a tensor's type. */
		if (value->producer && !value->is_output && value->num_uses && value->dtype &&
		    (value->rank >= 0 || dtype_is_nested(value->dtype)))
			proto->value_info[proto->n_value_info++] = export_value(ex, place, value->name, value);
	}
	return !ex->failed;
}

/* NULL: ex->failed, or a node that can not be written, with the reason in ex->error. */
static Onnx__GraphProto *export_graph(struct exporter *ex, const struct place *place)
{
	const struct graph *graph = place->graph;
	Onnx__GraphProto *proto = NEW(ex, Onnx__GraphProto, onnx__graph_proto__init);

	if (!proto || !export_constants(ex, graph, proto) || !export_values(ex, place, proto))
		return NULL;
	proto->name = text(graph->name && *graph->name ? graph->name : "graph");
	proto->node = allocate(ex, graph->num_nodes, sizeof(*proto->node));
	for (size_t n = 0; n < graph->num_nodes; n++) {
		Onnx__NodeProto *node = export_node(ex, place, graph->nodes[n]);

		if (!node || !proto->node)
			return NULL;
		proto->node[proto->n_node++] = node;
	}
	return proto;
}

/* The domain of the node is among the operator sets that are written. */
static int import_domains(struct exporter *ex, const struct graph *graph, Onnx__ModelProto *model)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		const struct graph_node *node = graph->nodes[n];
		bool found = false;

		for (size_t i = 0; i < model->n_opset_import && !found; i++)
			found = !strcmp(model->opset_import[i]->domain, node->domain);
		if (!found) {
			Onnx__OperatorSetIdProto **grown =
				allocate(ex, model->n_opset_import + 1, sizeof(*model->opset_import));
			Onnx__OperatorSetIdProto *set =
				NEW(ex, Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__init);

			if (!grown || !set)
				return -ENOMEM;
			if (model->n_opset_import)
				memcpy(grown, model->opset_import, model->n_opset_import * sizeof(*grown));
			set->domain = text(node->domain);
			set->has_version = true;
			set->version = node->opset;
			grown[model->n_opset_import++] = set;
			model->opset_import = grown;
		}
		for (size_t i = 0; i < node->num_attrs; i++)
			if (graph_node_body(node, i) && import_domains(ex, graph_node_body(node, i), model))
				return -ENOMEM;
	}
	return 0;
}

static int export_opsets(struct exporter *ex, Onnx__ModelProto *model)
{
	model->opset_import = allocate(ex, ex->model->num_opsets, sizeof(*model->opset_import));
	for (size_t i = 0; model->opset_import && i < ex->model->num_opsets; i++) {
		Onnx__OperatorSetIdProto *set = NEW(ex, Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__init);

		if (!set)
			break;
		set->domain = text(ex->model->opsets[i].domain);
		set->has_version = true;
		set->version = ex->model->opsets[i].version;
		model->opset_import[model->n_opset_import++] = set;
	}
	return ex->failed ? -ENOMEM : import_domains(ex, ex->model, model);
}

static int pack(struct exporter *ex, const Onnx__ModelProto *model, uint8_t **bytes, size_t *size)
{
	*size = onnx__model_proto__get_packed_size(model);
	if (*size > INT_MAX)
		return fail(ex->error, ex->error_size, -EFBIG,
			    "the model takes %zu bytes, more than a protobuf message can have", *size);
	*bytes = malloc(*size + 1);
	if (!*bytes)
		return fail(ex->error, ex->error_size, -ENOMEM, "out of memory");
	onnx__model_proto__pack(model, *bytes);
	return 0;
}

int onnx_export_bytes(const struct graph *graph, uint8_t **bytes, size_t *size, char *error, size_t error_size)
{
	struct exporter ex = {.model = graph, .error = error, .error_size = error_size};
	struct place place = {.graph = graph};
	Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
	int err;

	*bytes = NULL;
	model.has_ir_version = true;
	model.ir_version = graph->ir_version;
	model.producer_name = text("accel");
	model.graph = export_graph(&ex, &place);
	err = model.graph ? export_opsets(&ex, &model) : -ENOTSUP;
	if (ex.failed || err == -ENOMEM)
		err = fail(error, error_size, -ENOMEM, "out of memory");
	if (!err)
		err = pack(&ex, &model, bytes, size);
	while (ex.blocks) {
		struct block *next = ex.blocks->next;

		free(ex.blocks);
		ex.blocks = next;
	}
	return err;
}

int onnx_export_file(const struct graph *graph, const char *path, char *error, size_t error_size)
{
	char reason[400];
	uint8_t *bytes;
	size_t size;
	FILE *file;
	int err = onnx_export_bytes(graph, &bytes, &size, reason, sizeof(reason));

	if (err)
		return fail(error, error_size, err, "%s: %s", path, reason);
	file = fopen(path, "wb");
	if (!file) {
		err = -errno;
	} else {
		bool written = fwrite(bytes, 1, size, file) == size;

		if (fclose(file) || !written) {
			err = -EIO;
			remove(path);
		}
	}
	free(bytes);
	return err ? fail(error, error_size, err, "%s: %s", path, strerror(-err)) : 0;
}
