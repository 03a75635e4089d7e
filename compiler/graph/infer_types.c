/* SPDX-License-Identifier: MIT */
/*
 * Types where shapes are not known: what the standard's table says of an operator's outputs (compiler/onnx/schema), and the few
 * operators whose output type is in an attribute or in the elements of an input. See graph_infer_types() in passes.h.
 */
#include <errno.h>
#include <string.h>

#include "compiler/graph/passes.h"
#include "compiler/onnx/schema/schema.h"

static bool same_text(struct schema_text a, struct schema_text b)
{
	return a.size == b.size && !memcmp(a.at, b.at, a.size);
}

static void take_type(struct graph_value *to, enum dtype dtype, enum dtype key, const struct graph_type *element)
{
	to->dtype = dtype;
	to->key = key;
	to->element = element;
}

/* The only type in @types when it is one of a tensor, else DTYPE_UNDEFINED. */
static enum dtype only_type(const struct schema_types *types)
{
	uint32_t tensor = types->tensor;

	if (!tensor || (tensor & (tensor - 1)) || types->sequence || types->optional || types->optional_sequence ||
	    types->map[0] || types->map[1] || types->sequence_of_map[0] || types->sequence_of_map[1])
		return DTYPE_UNDEFINED;
	return (enum dtype)__builtin_ctz(tensor);
}

/* An output has the type of an input with the same variable, or the one type that the standard allows. */
static void type_by_schema(const struct graph_node *node, const struct schema *schema, size_t index)
{
	struct graph_value *value = node->outputs[index];
	struct schema_parameter output, input;
	struct schema_types types;

	if (!schema_output(schema, index, &output) || !output.homogeneous)
		return;
	for (size_t i = 0; i < node->num_inputs - node->num_captures && schema_is_variable(schema, output.type); i++) {
		const struct graph_value *from = node->inputs[i];

		if (!from || !from->dtype || !schema_input(schema, i, &input) || !input.homogeneous ||
		    !same_text(input.type, output.type))
			continue;
		take_type(value, from->dtype, from->key, from->element);
		return;
	}
	schema_types(schema, output.type, &types);
	value->dtype = only_type(&types);
}

/* A sequence or optional of what @of is. */
static int wrap_type(struct graph *graph, struct graph_value *to, enum dtype dtype, const struct graph_value *of)
{
	const struct graph_type *element = of ? graph_add_type(graph, of->dtype, of->key, of->element) : NULL;

	if (of && !element)
		return -ENOMEM;
	take_type(to, dtype, DTYPE_UNDEFINED, element);
	return 0;
}

/* The types that no variable binds. False: not one of these operators. */
static bool type_by_name(struct graph *graph, const struct graph_node *node, int *err)
{
	struct op_node op = graph_op_node(node);
	struct graph_value *to = node->outputs[0];
	const struct graph_value *first = node->num_inputs ? node->inputs[0] : NULL;
	const struct graph_type *element = first ? first->element : NULL;
	const char *name = node->op_type;
	const struct attr *value;

	if (!strcmp(name, "Cast") && op_attr(&op, "to") && op_attr(&op, "to")->type == ATTR_INT) {
		int64_t number = op_attr_int(&op, "to", 0);

		to->dtype = dtype_is_element(number) ? (enum dtype)number : DTYPE_UNDEFINED;
	} else if (!strcmp(name, "ConstantOfShape")) {
		value = op_attr(&op, "value");
		to->dtype = value && value->type == ATTR_TENSOR ? value->tensor->dtype : DTYPE_F32;
	} else if (!strcmp(name, "SequenceConstruct") || !strcmp(name, "SplitToSequence")) {
		*err = wrap_type(graph, to, DTYPE_SEQUENCE, first && first->dtype ? first : NULL);
	} else if (!strcmp(name, "Optional") && first) {
		*err = wrap_type(graph, to, DTYPE_OPTIONAL, first->dtype ? first : NULL);
	} else if (!strcmp(name, "SequenceAt") || !strcmp(name, "OptionalGetElement") ||
		   !strcmp(name, "ConcatFromSequence")) {
		if (element)
			take_type(to, element->dtype, element->key, element->element);
		else if (first && first->dtype && !dtype_is_nested(first->dtype)) /* its own element */
			to->dtype = first->dtype;
	} else {
		return false;
	}
	return true;
}

int graph_infer_types(struct graph *graph, struct graph_node *node)
{
	const struct schema *schema = schema_find(node->domain, node->op_type, node->opset);
	int err = 0;

	if (!schema || !node->num_outputs)
		return 0;
	if (node->outputs[0] && !node->outputs[0]->dtype && !*node->domain && type_by_name(graph, node, &err))
		return err;
	for (size_t i = 0; i < node->num_outputs; i++)
		if (node->outputs[i] && !node->outputs[i]->dtype)
			type_by_schema(node, schema, i);
	return 0;
}
