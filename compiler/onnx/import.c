/* SPDX-License-Identifier: MIT */
/* See import.h. protobuf-c checks the wire format; everything that the messages say is checked here. */
#include "compiler/onnx/import.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/graph/gradient.h"
#include "compiler/onnx/check/check.h"
#include "compiler/onnx/model_file.h"
#include "compiler/onnx/scope.h"
#include "compiler/onnx/tensor_proto.h"
#include "runtime/fail.h"

#define OLDEST_IR 3
#define MAX_NAME 1000
#define MAX_DEPTH 32
#define MAX_STEPS 1000000 /* nodes and calls, after functions are expanded: calls of calls multiply */

struct importer {
	const Onnx__ModelProto *model;
	size_t steps;
	int depth; /* of subgraphs */
	struct graph *graph;
	const char *folder;
	char *error;
	size_t error_size;
};

static int __attribute__((format(printf, 3, 4))) bad(struct importer *im, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(im->error, im->error_size, format, args);
	va_end(args);
	return err;
}

static const char *text(const char *string)
{
	return string ? string : "";
}

/* ---- opsets ---- */

static const char *canonical_domain(const char *domain)
{
	return !strcmp(text(domain), "ai.onnx") ? "" : text(domain);
}

static int import_opsets(struct importer *im, const Onnx__ModelProto *model)
{
	im->graph->opsets = calloc(model->n_opset_import + 1, sizeof(im->graph->opsets[0]));
	if (!im->graph->opsets)
		return bad(im, -ENOMEM, "out of memory");
	for (size_t i = 0; i < model->n_opset_import; i++) {
		const Onnx__OperatorSetIdProto *set = model->opset_import[i];

		if (!set->has_version || set->version < 1 || set->version > 1000)
			return bad(im, -EINVAL, "opset_import %zu: version %lld", i, (long long)set->version);
		im->graph->opsets[i].domain = graph_intern(im->graph, canonical_domain(set->domain));
		im->graph->opsets[i].version = (int)set->version;
	}
	im->graph->num_opsets = model->n_opset_import;
	return model->n_opset_import ? 0 : bad(im, -EINVAL, "the model imports no operator set");
}

static int opset_of(const struct graph *graph, const char *domain)
{
	while (graph->outer) /* the model's own graph imports them */
		graph = graph->outer;
	for (size_t i = 0; i < graph->num_opsets; i++)
		if (!strcmp(graph->opsets[i].domain, domain))
			return graph->opsets[i].version;
	return *domain ? 1 : 0;
}

/* ---- values ---- */

static int64_t symbol_dim(struct graph *graph, const char *name)
{
	const char **grown;

	for (size_t i = 0; i < graph->num_symbols; i++)
		if (!strcmp(graph->symbols[i], name))
			return GRAPH_DIM_SYMBOL(i);
	grown = realloc(graph->symbols, (graph->num_symbols + 1) * sizeof(*grown));
	if (!grown)
		return GRAPH_DIM_UNKNOWN;
	graph->symbols = grown;
	graph->symbols[graph->num_symbols] = graph_intern(graph, name);
	if (!graph->symbols[graph->num_symbols])
		return GRAPH_DIM_UNKNOWN;
	return GRAPH_DIM_SYMBOL(graph->num_symbols++);
}

/*
 * What a ValueInfoProto says.
 * @type: as in struct graph_value; DTYPE_UNDEFINED where it gives none
 * @rank: -1 where it gives none
 */
struct stated_type {
	struct graph_type type;
	int rank;
	int64_t dims[TENSOR_MAX_RANK];
};

static int element_type(struct importer *im, const char *name, int number, enum dtype *dtype)
{
	*dtype = (enum dtype)number;
	if (!dtype_is_element(number))
		return bad(im, -ENOTSUP, "value %s: element type %d", name, number);
	return 0;
}

/* The type that @proto describes; *type is its own, its elements' belong to the graph. @depth: how deep it is nested. */
static int read_nested_type(struct importer *im, const char *name, const Onnx__TypeProto *proto, int depth,
			    struct graph_type *type)
{
	const Onnx__TypeProto *inner = NULL;
	struct graph_type element;
	int err = 0;

	*type = (struct graph_type){0};
	if (depth > MAX_DEPTH)
		return bad(im, -ENOTSUP, "value %s: its type nests deeper than %d", name, MAX_DEPTH);
	if (proto->tensor_type)
		return element_type(im, name, proto->tensor_type->elem_type, &type->dtype);
	if (proto->sparse_tensor_type) /* held dense */
		return element_type(im, name, proto->sparse_tensor_type->elem_type, &type->dtype);
	if (proto->sequence_type) {
		type->dtype = DTYPE_SEQUENCE;
		inner = proto->sequence_type->elem_type;
	} else if (proto->optional_type) {
		type->dtype = DTYPE_OPTIONAL;
		inner = proto->optional_type->elem_type;
	} else if (proto->map_type) {
		type->dtype = DTYPE_MAP;
		inner = proto->map_type->value_type;
		err = element_type(im, name, proto->map_type->key_type, &type->key);
	} else {
		return bad(im, -ENOTSUP, "value %s: a type that is no tensor, sequence, optional or map", name);
	}
	if (err || !inner)
		return err;
	err = read_nested_type(im, name, inner, depth + 1, &element);
	if (err)
		return err;
	type->element = graph_add_type(im->graph, element.dtype, element.key, element.element);
	return type->element ? 0 : bad(im, -ENOMEM, "out of memory");
}

static int read_type(struct importer *im, const Onnx__ValueInfoProto *info, struct stated_type *stated)
{
	const char *name = text(info->name);
	const Onnx__TensorShapeProto *shape = NULL;
	int err;

	*stated = (struct stated_type){.rank = -1};
	if (!info->type)
		return 0;
	err = read_nested_type(im, name, info->type, 0, &stated->type);
	if (err)
		return err;
	if (info->type->tensor_type)
		shape = info->type->tensor_type->shape;
	else if (info->type->sparse_tensor_type)
		shape = info->type->sparse_tensor_type->shape;
	if (!shape)
		return 0;
	if (shape->n_dim > TENSOR_MAX_RANK)
		return bad(im, -ENOTSUP, "value %s: rank %zu, at most %d is possible", name, shape->n_dim,
			   TENSOR_MAX_RANK);
	stated->rank = (int)shape->n_dim;
	for (int d = 0; d < stated->rank; d++) {
		const Onnx__TensorShapeProto__Dimension *dim = shape->dim[d];

		stated->dims[d] = GRAPH_DIM_UNKNOWN;
		if (dim->has_dim_value && dim->dim_value >= 0)
			stated->dims[d] = dim->dim_value;
		else if (dim->dim_param && *dim->dim_param)
			stated->dims[d] = symbol_dim(im->graph, dim->dim_param);
		else if (!dim->has_dim_value || dim->dim_value < 0) {
			/* An unnamed dimension of an input gets a symbol of its own, so that it can be bound. */
			char symbol[300];

			snprintf(symbol, sizeof(symbol), "%.250s.dim%d", name, d);
			stated->dims[d] = symbol_dim(im->graph, symbol);
		}
	}
	return 0;
}

static void set_type(struct graph_value *value, const struct graph_type *type)
{
	value->dtype = type->dtype;
	value->key = type->key;
	value->element = type->element;
}

/* A tensor of the model. In the body of a function, which is read for each of its calls, the bytes stay where they are. */
static int import_tensor(struct importer *im, Onnx__TensorProto *from, bool keep, struct tensor *tensor, char *reason,
			 size_t reason_size)
{
	ProtobufCBinaryData bytes = from->raw_data;
	int err;

	if (keep && from->has_raw_data && bytes.len) {
		from->raw_data.data = malloc(bytes.len);
		if (!from->raw_data.data) {
			from->raw_data = bytes;
			snprintf(reason, reason_size, "out of memory");
			return -ENOMEM;
		}
		memcpy(from->raw_data.data, bytes.data, bytes.len);
	}
	err = onnx_tensor_from_proto(from, im->folder, tensor, reason, reason_size);
	if (keep && from->has_raw_data && bytes.len) {
		free(from->raw_data.data); /* NULL when it was taken over */
		from->raw_data = bytes;
	}
	return err;
}

/* The same for a sparse tensor, which becomes a dense one. */
static int import_sparse(struct importer *im, const Onnx__SparseTensorProto *from, struct tensor *tensor, char *reason,
			 size_t reason_size)
{
	size_t size = onnx__sparse_tensor_proto__get_packed_size(from);
	uint8_t *bytes = malloc(size + 1);
	Onnx__SparseTensorProto *copy = NULL;
	int err;

	if (bytes)
		copy = onnx__sparse_tensor_proto__unpack(NULL, onnx__sparse_tensor_proto__pack(from, bytes), bytes);
	free(bytes);
	if (!copy) {
		snprintf(reason, reason_size, "out of memory");
		return -ENOMEM;
	}
	err = onnx_tensor_from_sparse(copy, im->folder, tensor, reason, reason_size);
	onnx__sparse_tensor_proto__free_unpacked(copy, NULL);
	return err;
}

/* One tensor, or a list of them. Kernels see a sparse one as the dense tensor that it stands for. */
static int import_tensors(struct importer *im, const struct graph_node *node, struct attr *attr,
			  const Onnx__AttributeProto *from, bool keep)
{
	bool is_list = attr->type == ATTR_TENSORS, is_sparse = attr->type == ATTR_SPARSE_TENSOR;
	size_t count = is_list ? from->n_tensors : 1;
	Onnx__TensorProto *const *tensors = is_list ? from->tensors : &from->t;
	char reason[200];
	int err = 0;

	attr->type = is_list ? ATTR_TENSORS : ATTR_TENSOR;
	if (is_sparse ? !from->sparse_tensor : !is_list && !from->t)
		return bad(im, -EINVAL, "node %s: attribute %s has no tensor", node->name, attr->name);
	attr->tensor = calloc(count + 1, sizeof(*attr->tensor));
	if (!attr->tensor)
		return bad(im, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count && !err; i++) {
		err = is_sparse ? import_sparse(im, from->sparse_tensor, attr->tensor, reason, sizeof(reason))
				: import_tensor(im, tensors[i], keep, &attr->tensor[i], reason, sizeof(reason));
		if (err)
			bad(im, err, "node %s: attribute %s: %s", node->name, attr->name, reason);
		attr->count += is_list;
	}
	return err;
}

static int import_initializers(struct importer *im, const struct scope *scope, const Onnx__GraphProto *proto)
{
	bool keep = scope_function(scope) != NULL;
	size_t dense = proto->n_initializer;

	for (size_t i = 0; i < dense + proto->n_sparse_initializer; i++) {
		Onnx__SparseTensorProto *sparse = i < dense ? NULL : proto->sparse_initializer[i - dense];
		/* A sparse one has the name of its values. */
		Onnx__TensorProto *values = sparse ? sparse->values : proto->initializer[i];
		const char *name = values ? text(values->name) : "";
		struct tensor tensor;
		char reason[200];
		int err;

		if (!*name || graph_find_value(im->graph, name))
			return bad(im, -EINVAL, "initializer '%s': no name, or one that is taken", name);
		if (sparse && keep)
			return bad(im, -ENOTSUP, "initializer %s: sparse, in a subgraph of a function", name);
		err = sparse ? onnx_tensor_from_sparse(sparse, im->folder, &tensor, reason, sizeof(reason))
			     : import_tensor(im, values, keep, &tensor, reason, sizeof(reason));
		if (err)
			return bad(im, err, "initializer %s: %s", name, reason);
		if (!graph_add_constant(im->graph, name, &tensor))
			return bad(im, -ENOMEM, "out of memory");
	}
	return 0;
}

static int import_inputs(struct importer *im, const Onnx__GraphProto *proto)
{
	im->graph->inputs = calloc(proto->n_input + 1, sizeof(*im->graph->inputs));
	if (!im->graph->inputs)
		return bad(im, -ENOMEM, "out of memory");
	for (size_t i = 0; i < proto->n_input; i++) {
		const char *name = text(proto->input[i]->name);
		struct graph_value *value = graph_find_value(im->graph, name);
		struct stated_type stated;
		int err;

		if (value && value->constant)
			continue; /* IR 3 lists initializers as inputs, too */
		if (value || !*name)
			return bad(im, -EINVAL, "input '%s': no name, or one that is taken", name);
		err = read_type(im, proto->input[i], &stated);
		if (err)
			return err;
		value = graph_add_value(im->graph, name, stated.type.dtype, stated.rank, stated.dims);
		if (!value)
			return bad(im, -ENOMEM, "out of memory");
		set_type(value, &stated.type);
		value->is_input = true;
		im->graph->inputs[im->graph->num_inputs++] = value;
	}
	return 0;
}

/* ---- nodes ---- */

static int import_strings(struct importer *im, struct attr *attr, const Onnx__AttributeProto *from)
{
	attr->strings = calloc(from->n_strings + 1, sizeof(*attr->strings));
	if (!attr->strings)
		return bad(im, -ENOMEM, "out of memory");
	for (size_t i = 0; i < from->n_strings; i++) {
		attr->strings[i].data = calloc(1, from->strings[i].len + 1);
		if (!attr->strings[i].data)
			return bad(im, -ENOMEM, "out of memory");
		if (from->strings[i].len)
			memcpy(attr->strings[i].data, from->strings[i].data, from->strings[i].len);
		attr->strings[i].size = from->strings[i].len;
		attr->count++;
	}
	return 0;
}

static int import_graph(struct importer *im, const struct scope *around, Onnx__GraphProto *proto);
static struct graph_value *value_in(struct importer *im, const struct scope *scope, const char *name, bool *omitted,
				    int *err);

/* What @body reads and does not define comes from the graph around, which may in turn have to take it from further out. */
static int capture_values(struct importer *im, const struct scope *scope, struct graph_node *node, struct graph *body)
{
	int err = 0;

	for (size_t i = 0; i < body->num_values && !err; i++) {
		struct graph_value *value = body->values[i], *from;
		bool omitted;

		if (value->producer || value->constant || value->is_input)
			continue;
		from = value_in(im, scope, value->name, &omitted, &err);
		if (!err && !from)
			return bad(im, -EINVAL, "node %s: its body reads %s, an operand that the call leaves out",
				   node->name, value->name);
		if (!err && graph_add_capture(node, body, value, from))
			err = bad(im, -ENOMEM, "out of memory");
	}
	return err;
}

/* The body of a branch or a loop: a graph of its own, whose names may also be those of the graphs around it. */
static int import_subgraph(struct importer *im, const struct scope *scope, struct graph_node *node, struct attr *attr,
			   Onnx__GraphProto *proto)
{
	struct importer inner = *im;
	int err;

	if (++inner.depth > MAX_DEPTH)
		return bad(im, -ENOTSUP, "node %s: subgraphs nest deeper than %d", node->name, MAX_DEPTH);
	if (graph_create(text(proto->name), &inner.graph))
		return bad(im, -ENOMEM, "out of memory");
	inner.graph->outer = im->graph;
	inner.graph->ir_version = im->graph->ir_version;
	err = import_graph(&inner, scope, proto);
	im->steps = inner.steps;
	if (err) {
		graph_destroy(inner.graph);
		return err;
	}
	attr->graph = inner.graph;
	return capture_values(im, scope, node, inner.graph);
}

/* @name: that of the attribute, @from: what it stands for in @scope, where @node is. */
static int import_attribute(struct importer *im, const struct scope *scope, struct graph_node *node, const char *name,
			    Onnx__AttributeProto *from)
{
	bool keep = scope_function(scope) != NULL; /* its bytes are read again in the next call */
	struct attr *attr = &node->attrs[node->num_attrs];
	int type = from->type;
	int err = 0;

	for (size_t i = 0; i < node->num_attrs; i++)
		if (!strcmp(node->attrs[i].name, name))
			return bad(im, -EINVAL, "node %s: attribute %s is given twice", node->name, name);
	memset(attr, 0, sizeof(*attr));
	attr->name = graph_intern(im->graph, name);
	if (!attr->name)
		return bad(im, -ENOMEM, "out of memory");
	/* Early models leave the type out: the field that is there says it. */
	if (!type)
		type = from->has_f       ? ATTR_FLOAT
		       : from->has_i     ? ATTR_INT
		       : from->has_s     ? ATTR_STRING
		       : from->t         ? ATTR_TENSOR
		       : from->g         ? ATTR_GRAPH
		       : from->n_floats  ? ATTR_FLOATS
		       : from->n_strings ? ATTR_STRINGS
					 : ATTR_INTS;
	attr->type = (enum attr_type)type;
	switch (type) {
	case ATTR_FLOAT:
		attr->f = from->f;
		break;
	case ATTR_INT:
		attr->i = from->i;
		break;
	case ATTR_STRING:
		attr->s.data = graph_copy_bytes(im->graph, from->s.data, from->s.len);
		attr->s.size = attr->s.data ? from->s.len : 0;
		attr->count = attr->s.size;
		err = attr->s.data ? 0 : bad(im, -ENOMEM, "out of memory");
		break;
	case ATTR_FLOATS:
		node->num_attrs++;
		return graph_node_set_floats(im->graph, node, attr->name, from->n_floats, from->floats);
	case ATTR_INTS:
		node->num_attrs++;
		return graph_node_set_ints(im->graph, node, attr->name, from->n_ints, from->ints);
	case ATTR_TENSOR:
	case ATTR_SPARSE_TENSOR:
	case ATTR_TENSORS:
		err = import_tensors(im, node, attr, from, keep);
		break;
	case ATTR_STRINGS:
		err = import_strings(im, attr, from);
		break;
	case ATTR_GRAPH:
		if (!from->g)
			err = bad(im, -EINVAL, "node %s: attribute %s has no graph", node->name, attr->name);
		else
			err = import_subgraph(im, scope, node, attr, from->g);
		if (!attr->graph)
			attr->type = ATTR_UNDEFINED;
		break;
	case ATTR_TYPE: {
		struct graph_type element;

		if (!from->tp)
			return bad(im, -EINVAL, "node %s: attribute %s has no type", node->name, attr->name);
		err = read_nested_type(im, node->name, from->tp, 0, &element);
		if (!err && node->num_outputs && node->outputs[0] && !strcmp(node->op_type, "Optional")) {
			node->outputs[0]->dtype = DTYPE_OPTIONAL;
			node->outputs[0]->element =
				graph_add_type(im->graph, element.dtype, element.key, element.element);
		}
		return err; /* the node does not keep it */
	}
	case ATTR_GRAPHS:
		err = bad(im, -ENOTSUP, "node %s (%s): lists of subgraphs are not imported", node->name, node->op_type);
		attr->type = ATTR_UNDEFINED;
		break;
	default:
		err = bad(im, -ENOTSUP, "node %s: attribute %s of type %d", node->name, attr->name, type);
	}
	node->num_attrs++;
	return err;
}

/* What a node is called in messages and reports. */
static const char *label_of(const Onnx__NodeProto *node)
{
	return *text(node->name) ? node->name : node->n_output ? text(node->output[0]) : text(node->op_type);
}

static int import_node(struct importer *im, const struct scope *scope, const Onnx__NodeProto *from);

/* The body of @function in the place of its call. */
static int import_call(struct importer *im, const struct scope *outer, const Onnx__NodeProto *call,
		       const Onnx__FunctionProto *function)
{
	char prefix[MAX_NAME];
	struct scope scope = {
		.function = function, .call = call, .outer = outer, .prefix = prefix, .depth = outer->depth + 1};
	int err = 0;

	if (scope.depth > SCOPE_MAX_DEPTH)
		return bad(im, -EINVAL, "function %s: calls nest deeper than %d, or it calls itself",
			   text(function->name), SCOPE_MAX_DEPTH);
	if (call->n_input > function->n_input || call->n_output > function->n_output)
		return bad(im, -EINVAL, "node %s: function %s has %zu inputs and %zu outputs", label_of(call),
			   text(function->name), function->n_input, function->n_output);
	if (snprintf(prefix, sizeof(prefix), "%s%s%s", outer->function ? outer->prefix : "", outer->function ? "/" : "",
		     call->n_output ? text(call->output[0]) : label_of(call)) >= (int)sizeof(prefix))
		return bad(im, -ENOTSUP, "node %.80s…: its name is longer than %d characters", label_of(call),
			   MAX_NAME);
	for (size_t i = 0; i < function->n_node && !err; i++)
		err = import_node(im, &scope, function->node[i]);
	return err;
}

/* The operator set that a node's version comes from: the function's own, inside one. */
static int opset_in(struct importer *im, const struct scope *scope, const char *domain)
{
	const Onnx__FunctionProto *function = scope_function(scope);

	for (size_t i = 0; function && i < function->n_opset_import; i++)
		if (!strcmp(canonical_domain(function->opset_import[i]->domain), domain))
			return (int)function->opset_import[i]->version;
	return opset_of(im->graph, domain);
}

/* The value that @name means: found, or made for whoever writes it later. NULL with *err set. */
static struct graph_value *value_in(struct importer *im, const struct scope *scope, const char *name, bool *omitted,
				    int *err)
{
	struct graph_value *value;
	char full[MAX_NAME];

	if (scope_resolve(scope, name, full, sizeof(full))) {
		*err = bad(im, -ENOTSUP, "value %.80s…: its name is longer than %d characters", name, MAX_NAME);
		return NULL;
	}
	*omitted = !*full;
	if (*omitted)
		return NULL;
	value = graph_find_value(im->graph, full);
	if (!value) /* defined later, or never: graph_sort() and the check below tell */
		value = graph_add_value(im->graph, full, DTYPE_UNDEFINED, -1, NULL);
	if (!value)
		*err = bad(im, -ENOMEM, "out of memory");
	return value;
}

static int import_node(struct importer *im, const struct scope *scope, const Onnx__NodeProto *from)
{
	const Onnx__FunctionProto *function = scope_find_function(im->model, from);
	const char *op_type = text(from->op_type), *domain = canonical_domain(from->domain);
	int opset = opset_in(im, scope, domain);
	char label[MAX_NAME];
	struct graph_value **inputs, **outputs;
	struct graph_node *node = NULL;
	bool omitted;
	int err = 0;

	if (im->steps++ >= MAX_STEPS)
		return bad(im, -ENOTSUP, "more than %d nodes", MAX_STEPS);
	if (function)
		return import_call(im, scope, from, function);
	snprintf(label, sizeof(label), "%s%s%s", scope->function ? scope->prefix : "", scope->function ? "/" : "",
		 label_of(from));
	inputs = calloc(from->n_input + 1, sizeof(*inputs));
	outputs = calloc(from->n_output + 1, sizeof(*outputs));
	if (!inputs || !outputs)
		err = bad(im, -ENOMEM, "out of memory");
	if (!err && !*op_type)
		err = bad(im, -EINVAL, "node %s: no operator", label);
	if (!err && !opset)
		err = bad(im, -EINVAL, "node %s (%s): the model imports no operator set for it", label, op_type);
	for (size_t i = 0; i < from->n_input && !err; i++)
		inputs[i] = value_in(im, scope, text(from->input[i]), &omitted, &err);
	for (size_t i = 0; i < from->n_output && !err; i++) {
		outputs[i] = value_in(im, scope, text(from->output[i]), &omitted, &err);
		if (outputs[i] && (outputs[i]->producer || outputs[i]->constant || outputs[i]->is_input))
			err = bad(im, -EINVAL, "node %s: value %s is written a second time", label, outputs[i]->name);
		for (size_t k = 0; k < i && !err; k++)
			if (outputs[k] && outputs[k] == outputs[i])
				err = bad(im, -EINVAL, "node %s: value %s is written twice", label, outputs[i]->name);
	}
	if (!err) {
		node = graph_add_node(im->graph, NULL, domain, op_type, opset, label, from->n_input, inputs,
				      from->n_output, outputs);
		err = node ? 0 : bad(im, -ENOMEM, "out of memory");
	}
	if (node && from->n_attribute) {
		node->attrs = calloc(from->n_attribute, sizeof(*node->attrs));
		err = node->attrs ? 0 : bad(im, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < from->n_attribute && !err; i++) {
		Onnx__AttributeProto *attribute = scope_attribute(scope, from->attribute[i]);

		if (attribute)
			err = import_attribute(im, scope, node, text(from->attribute[i]->name), attribute);
	}
	free(inputs);
	free(outputs);
	return err;
}

/* Types that the model states for inner values: taken where they say something, shape inference has the last word. */
static int import_value_infos(struct importer *im, size_t count, Onnx__ValueInfoProto **infos)
{
	for (size_t i = 0; i < count; i++) {
		struct graph_value *value = graph_find_value(im->graph, text(infos[i]->name));
		struct stated_type stated;
		int err;

		if (!value || value->constant || value->is_input)
			continue;
		err = read_type(im, infos[i], &stated);
		if (err)
			return err;
		if (!value->dtype)
			set_type(value, &stated.type);
	}
	return 0;
}

static int import_outputs(struct importer *im, const Onnx__GraphProto *proto)
{
	im->graph->outputs = calloc(proto->n_output + 1, sizeof(*im->graph->outputs));
	if (!im->graph->outputs)
		return bad(im, -ENOMEM, "out of memory");
	for (size_t i = 0; i < proto->n_output; i++) {
		const char *name = text(proto->output[i]->name);
		struct graph_value *value = graph_find_value(im->graph, name);

		if (!value && *name && im->graph->outer) /* a branch may hand out what it captures */
			value = graph_add_value(im->graph, name, DTYPE_UNDEFINED, -1, NULL);
		if (!value)
			return bad(im, -EINVAL, "graph output '%s' is no value of the graph",
				   text(proto->output[i]->name));
		value->is_output = true;
		im->graph->outputs[im->graph->num_outputs++] = value;
	}
	return 0;
}

/* What the file says of the shapes of the model's outputs: the names in them. Inference says how large they are. */
static int import_output_shapes(struct importer *im, const Onnx__GraphProto *proto)
{
	im->graph->stated = calloc(proto->n_output + 1, sizeof(*im->graph->stated));
	if (!im->graph->stated)
		return bad(im, -ENOMEM, "out of memory");
	for (size_t i = 0; i < proto->n_output; i++) {
		struct stated_type stated;
		int err = read_type(im, proto->output[i], &stated);

		if (err)
			return err;
		im->graph->stated[i].rank = stated.rank;
		for (int d = 0; d < stated.rank; d++)
			im->graph->stated[i].dims[d] = stated.dims[d];
	}
	return 0;
}

static int check_written(struct importer *im)
{
	for (size_t i = 0; i < im->graph->num_values; i++) {
		const struct graph_value *value = im->graph->values[i];

		if (!value->producer && !value->constant && !value->is_input)
			return bad(im, -EINVAL, "value %s is read%s%s and nothing writes it", value->name,
				   value->num_uses ? " by node " : "", value->num_uses ? value->uses[0]->name : "");
	}
	return 0;
}

/* @around: where the node of a subgraph is; NULL: the model's graph */
static int import_graph(struct importer *im, const struct scope *around, Onnx__GraphProto *proto)
{
	const struct scope scope = {.outer = around, .depth = around ? around->depth : 0};
	int err = import_initializers(im, &scope, proto);

	if (!err)
		err = import_inputs(im, proto);
	for (size_t i = 0; i < proto->n_node && !err; i++)
		err = import_node(im, &scope, proto->node[i]);
	if (!err)
		err = import_outputs(im, proto);
	if (!err)
		err = import_value_infos(im, proto->n_value_info, proto->value_info);
	if (!err)
		err = import_value_infos(im, proto->n_output, proto->output);
	if (!err && !around)
		err = import_output_shapes(im, proto);
	if (!err && !around)
		err = check_written(im);
	if (!err && graph_sort(im->graph) == -ELOOP)
		err = bad(im, -EINVAL, "graph %s has a cycle", text(proto->name));
	return err;
}

/* What breaks a rule of the standard is not imported; the checker says it for the whole model, with its place. */
static int check(const Onnx__ModelProto *model, const char *folder, char *error, size_t error_size)
{
	const struct check_finding *refusal;
	struct check_report report;
	char line[1200];
	int err = check_message(model, folder, &report);

	if (err)
		return fail(error, error_size, err, "out of memory");
	refusal = check_report_refusal(&report);
	if (refusal)
		err = fail(error, error_size, -EINVAL, "%s", check_finding_text(refusal, line, sizeof(line)));
	check_report_finish(&report);
	return err;
}

int onnx_import_message(struct Onnx__ModelProto *model, const char *folder, struct graph **graph, char *error,
			size_t error_size)
{
	struct importer im = {.model = model, .folder = folder, .error = error, .error_size = error_size};
	int err = 0;

	*graph = NULL;
	if (model->ir_version < OLDEST_IR)
		return bad(&im, -ENOTSUP, "IR version %lld, %d is the oldest that is read",
			   (long long)model->ir_version, OLDEST_IR);
	if (graph_create(text(model->graph->name), &im.graph))
		return bad(&im, -ENOMEM, "out of memory");
	im.graph->ir_version = (int)model->ir_version;
	err = import_opsets(&im, model);
	if (!err)
		err = import_graph(&im, NULL, model->graph);
	if (!err)
		err = graph_expand_gradients(im.graph, error, error_size);
	if (err)
		graph_destroy(im.graph);
	else
		*graph = im.graph;
	return err;
}

/* @model is the callee's. */
static int import_checked(Onnx__ModelProto *model, const char *folder, struct graph **graph, char *error,
			  size_t error_size)
{
	int err = check(model, folder, error, error_size);

	if (!err)
		err = onnx_import_message(model, folder, graph, error, error_size);
	onnx__model_proto__free_unpacked(model, NULL);
	return err;
}

int onnx_import_bytes(const uint8_t *bytes, size_t size, const char *folder, struct graph **graph, char *error,
		      size_t error_size)
{
	Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);

	*graph = NULL;
	if (!model)
		return fail(error, error_size, -EINVAL, ONNX_NO_MODEL);
	return import_checked(model, folder, graph, error, error_size);
}

int onnx_import_file(const char *path, struct graph **graph, char *error, size_t error_size)
{
	char folder[PATH_MAX], reason[400];
	Onnx__ModelProto *model;
	int err = onnx_model_read(path, &model, error, error_size);

	*graph = NULL;
	if (err)
		return err == -EBADMSG ? -EINVAL : err;
	snprintf(folder, sizeof(folder), "%s", path);
	err = import_checked(model, dirname(folder), graph, reason, sizeof(reason));
	if (err)
		snprintf(error, error_size, "%s: %s", path, reason);
	return err;
}
