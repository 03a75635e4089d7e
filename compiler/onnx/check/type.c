/* SPDX-License-Identifier: MIT */
/*
 * Element types: stated ones exist, operands have types that their operator allows, and those of one type variable are the same.
 * A result's type follows from the variables, or from the attribute that names it; where neither says it, what the model
 * states is believed.
 */
#include <stdio.h>
#include <string.h>

#include "compiler/onnx/check/checker.h"

#define MAX_VARIABLES 16

/* What a type variable stands for in a node, and the operand that said so. */
struct binding {
	struct schema_text variable, operand;
	struct value_type type;
};

bool check_element_type(int type)
{
	return schema_element_name(type);
}

bool check_same_type(struct value_type a, struct value_type b)
{
	return a.kind == b.kind && a.element == b.element && a.key == b.key;
}

char *check_type_text(struct value_type type, char *text, size_t size)
{
	static const char *const forms[] = {
		[VALUE_UNKNOWN] = "unknown",
		[VALUE_TENSOR] = "tensor(%s)",
		[VALUE_SEQUENCE] = "seq(tensor(%s))",
		[VALUE_OPTIONAL] = "optional(tensor(%s))",
		[VALUE_OPTIONAL_SEQUENCE] = "optional(seq(tensor(%s)))",
		[VALUE_MAP] = "map(%2$s, tensor(%1$s))",
		[VALUE_SEQUENCE_OF_MAP] = "seq(map(%2$s, tensor(%1$s)))",
		[VALUE_OTHER] = "another type",
	};
	const char *element = schema_element_name(type.element), *key = schema_element_name(type.key);

	snprintf(text, size, forms[type.kind], element ? element : "?", key ? key : "?");
	return text;
}

/* ---- what a model states ---- */

/* The kind that holds @kind: false, none that operators know. */
static enum value_kind nest(enum value_kind outer, enum value_kind inner)
{
	if (outer == VALUE_SEQUENCE && inner == VALUE_TENSOR)
		return VALUE_SEQUENCE;
	if (outer == VALUE_SEQUENCE && inner == VALUE_MAP)
		return VALUE_SEQUENCE_OF_MAP;
	if (outer == VALUE_OPTIONAL && inner == VALUE_TENSOR)
		return VALUE_OPTIONAL;
	if (outer == VALUE_OPTIONAL && inner == VALUE_SEQUENCE)
		return VALUE_OPTIONAL_SEQUENCE;
	return VALUE_OTHER;
}

static struct value_type nested_type(enum value_kind kind, const Onnx__TypeProto *inner)
{
	struct value_type type = {VALUE_UNKNOWN, 0, 0};

	if (inner && inner->tensor_type)
		type = (struct value_type){VALUE_TENSOR, inner->tensor_type->elem_type, 0};
	else if (inner && kind == VALUE_OPTIONAL && inner->sequence_type)
		type = nested_type(VALUE_SEQUENCE, inner->sequence_type->elem_type);
	else if (inner && kind == VALUE_SEQUENCE && inner->map_type)
		type = check_value_type(inner);
	if (type.kind == VALUE_UNKNOWN)
		return (struct value_type){VALUE_OTHER, 0, 0};
	type.kind = nest(kind, type.kind);
	return type;
}

struct value_type check_value_type(const Onnx__TypeProto *type)
{
	const Onnx__TypeProto *value;

	if (!type)
		return (struct value_type){VALUE_UNKNOWN, 0, 0};
	if (type->tensor_type)
		return check_element_type(type->tensor_type->elem_type)
			       ? (struct value_type){VALUE_TENSOR, type->tensor_type->elem_type, 0}
			       : (struct value_type){VALUE_UNKNOWN, 0, 0};
	if (type->sequence_type)
		return nested_type(VALUE_SEQUENCE, type->sequence_type->elem_type);
	if (type->optional_type)
		return nested_type(VALUE_OPTIONAL, type->optional_type->elem_type);
	if (type->map_type) {
		value = type->map_type->value_type;
		return value && value->tensor_type
			       ? (struct value_type){VALUE_MAP, value->tensor_type->elem_type, type->map_type->key_type}
			       : (struct value_type){VALUE_OTHER, 0, 0};
	}
	return (struct value_type){type->sparse_tensor_type ? VALUE_OTHER : VALUE_UNKNOWN, 0, 0};
}

static void check_element(struct checker *checker, const struct check_scope *scope, const char *name, int type)
{
	if (!type)
		return;
	if (!check_element_type(type))
		check_found(checker, scope, RULE_ELEMENT_TYPE, name, "%s has element type %d, which does not exist",
			    name, type);
	else
		check_element_feature(checker, scope, name, type);
}

static void check_dimensions(struct checker *checker, const struct check_scope *scope, const char *name,
			     const Onnx__TensorShapeProto *shape)
{
	for (size_t d = 0; shape && d < shape->n_dim; d++)
		if (shape->dim[d]->has_dim_value && shape->dim[d]->dim_value < 0)
			check_found(checker, scope, RULE_DIMENSION, name, "dimension %zu of %s is %lld", d, name,
				    (long long)shape->dim[d]->dim_value);
}

bool check_states_type(const Onnx__TypeProto *type)
{
	for (int depth = 0; type && depth < CHECK_MAX_DEPTH; depth++) {
		if (type->tensor_type)
			return type->tensor_type->elem_type;
		if (type->sparse_tensor_type)
			return type->sparse_tensor_type->elem_type;
		type = type->sequence_type   ? type->sequence_type->elem_type
		       : type->optional_type ? type->optional_type->elem_type
		       : type->map_type      ? type->map_type->value_type
					     : NULL;
	}
	return false;
}

void check_type(struct checker *checker, const struct check_scope *scope, const char *name, const Onnx__TypeProto *type)
{
	for (int depth = 0; type && depth < CHECK_MAX_DEPTH; depth++) {
		if (type->tensor_type) {
			check_element(checker, scope, name, type->tensor_type->elem_type);
			check_dimensions(checker, scope, name, type->tensor_type->shape);
		}
		if (type->sparse_tensor_type) {
			check_element(checker, scope, name, type->sparse_tensor_type->elem_type);
			check_dimensions(checker, scope, name, type->sparse_tensor_type->shape);
		}
		if (type->map_type)
			check_element(checker, scope, name, type->map_type->key_type);
		type = type->sequence_type   ? type->sequence_type->elem_type
		       : type->optional_type ? type->optional_type->elem_type
		       : type->map_type      ? type->map_type->value_type
					     : NULL;
	}
}

/* ---- operands ---- */

static bool types_have(const struct schema_types *types, struct value_type type)
{
	uint32_t bit = check_element_type(type.element) ? UINT32_C(1) << type.element : 0;
	bool string_key = type.key == 8;

	switch (type.kind) {
	case VALUE_UNKNOWN:
		return true;
	case VALUE_TENSOR:
		return types->tensor & bit;
	case VALUE_SEQUENCE:
		return types->sequence & bit;
	case VALUE_OPTIONAL:
		return types->optional & bit;
	case VALUE_OPTIONAL_SEQUENCE:
		return types->optional_sequence & bit;
	case VALUE_MAP:
		return types->map[string_key] & bit;
	case VALUE_SEQUENCE_OF_MAP:
		return types->sequence_of_map[string_key] & bit;
	default:
		return false;
	}
}

/* The one tensor type of the set, if it has only one. */
static struct value_type only_type(const struct schema_types *types)
{
	struct schema_types tensor = {.tensor = types->tensor};

	if (memcmp(&tensor, types, sizeof(tensor)) || __builtin_popcount(types->tensor) != 1)
		return (struct value_type){VALUE_UNKNOWN, 0, 0};
	return (struct value_type){VALUE_TENSOR, __builtin_ctz(types->tensor), 0};
}

static struct binding *find_binding(struct binding *bindings, size_t count, struct schema_text variable)
{
	for (size_t i = 0; i < count; i++)
		if (bindings[i].variable.size == variable.size &&
		    !memcmp(bindings[i].variable.at, variable.at, variable.size))
			return &bindings[i];
	return NULL;
}

static void check_allowed(struct check_scope *scope, const char *what, const char *name, const struct schema *schema,
			  const struct schema_parameter *parameter, struct value_type type)
{
	struct schema_types types;
	char text[80];

	schema_types(schema, parameter->type, &types);
	if (!types_have(&types, type))
		check_found(scope->checker, scope, RULE_TYPE_CONSTRAINT, name,
			    "%s %.*s ('%s') is %s, which %s %d does not allow", what, (int)parameter->name.size,
			    parameter->name.at, name, check_type_text(type, text, sizeof(text)), schema->op_type,
			    schema->since);
}

static size_t bind_inputs(struct check_scope *scope, const Onnx__NodeProto *node, const struct schema *schema,
			  struct binding *bindings)
{
	struct schema_parameter parameter;
	size_t count = 0;

	for (size_t i = 0; i < node->n_input && schema_input(schema, i, &parameter); i++) {
		const char *name = check_text(node->input[i]);
		const struct definition *definition = *name ? check_resolve(scope, name) : NULL;
		struct binding *bound = find_binding(bindings, count, parameter.type);
		char is[80], was[80];

		if (!definition || definition->type.kind == VALUE_UNKNOWN)
			continue;
		check_allowed(scope, "input", name, schema, &parameter, definition->type);
		if (!schema_is_variable(schema, parameter.type) ||
		    (parameter.option == SCHEMA_VARIADIC && !parameter.homogeneous))
			continue;
		if (bound && !check_same_type(bound->type, definition->type))
			check_found(scope->checker, scope, RULE_TYPE_VARIABLE, name,
				    "input %.*s ('%s') is %s and %.*s is %s: both are of type %.*s",
				    (int)parameter.name.size, parameter.name.at, name,
				    check_type_text(definition->type, is, sizeof(is)), (int)bound->operand.size,
				    bound->operand.at, check_type_text(bound->type, was, sizeof(was)),
				    (int)parameter.type.size, parameter.type.at);
		else if (!bound && count < MAX_VARIABLES)
			bindings[count++] = (struct binding){parameter.type, parameter.name, definition->type};
	}
	return count;
}

/* The element type that an attribute of the node names, 0: none. */
static int attribute_element_type(const Onnx__NodeProto *node)
{
	static const char *const names[] = {"to", "dtype", "output_datatype", "output_dtype"};
	static const struct {
		const char *name;
		int type;
	} values[] = {
		{"value_float", 1}, {"value_floats", 1}, {"value_int", 7},
		{"value_ints", 7},  {"value_string", 8}, {"value_strings", 8},
	};
	const Onnx__AttributeProto *attribute;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((attribute = check_attribute_find(node, names[i])) && attribute->has_i)
			return attribute->i > 0 && attribute->i <= INT32_MAX ? (int)attribute->i : 0;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (check_attribute_find(node, values[i].name))
			return values[i].type;
	attribute = check_attribute_find(node, "value");
	if (attribute && attribute->t)
		return attribute->t->data_type;
	attribute = check_attribute_find(node, "sparse_value");
	return attribute && attribute->sparse_tensor && attribute->sparse_tensor->values
		       ? attribute->sparse_tensor->values->data_type
		       : 0;
}

void check_operand_types(struct check_scope *scope, const Onnx__NodeProto *node, const struct schema *schema)
{
	struct binding bindings[MAX_VARIABLES];
	size_t count = bind_inputs(scope, node, schema, bindings);
	struct schema_parameter parameter;

	for (size_t i = 0; i < node->n_output && schema_output(schema, i, &parameter); i++) {
		const char *name = check_text(node->output[i]);
		struct definition *definition = *name ? check_lookup(scope, name) : NULL;
		const struct binding *bound = find_binding(bindings, count, parameter.type);
		struct value_type type = {VALUE_UNKNOWN, 0, 0};
		struct schema_types types;
		char is[80], stated[80];
		int element;

		if (!definition || definition->node != scope->current ||
		    (parameter.option == SCHEMA_VARIADIC && !parameter.homogeneous))
			continue;
		schema_types(schema, parameter.type, &types);
		element = i ? 0 : attribute_element_type(node);
		if (bound)
			type = bound->type;
		else if (check_element_type(element))
			type = (struct value_type){types.tensor ? VALUE_TENSOR : VALUE_SEQUENCE, element, 0};
		else
			type = only_type(&types);
		if (type.kind != VALUE_UNKNOWN && definition->type.kind != VALUE_UNKNOWN &&
		    !check_same_type(type, definition->type))
			check_found(scope->checker, scope, RULE_TYPE_MISMATCH, name,
				    "output %s is %s, the model states %s", name, check_type_text(type, is, sizeof(is)),
				    check_type_text(definition->type, stated, sizeof(stated)));
		if (type.kind != VALUE_UNKNOWN)
			definition->type = type;
		if (!bound)
			check_allowed(scope, "output", name, schema, &parameter, definition->type);
	}
}
