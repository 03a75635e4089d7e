/* SPDX-License-Identifier: MIT */
/* Attributes: named once, of the type and value that the operator allows, with the content that their type says. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "compiler/onnx/check/checker.h"
#include "runtime/cpu/op.h"

/* AttributeProto.AttributeType beyond those of op.h. */
enum { TYPE_SPARSE_TENSOR = 11, TYPE_SPARSE_TENSORS, TYPE_TYPE_PROTO, TYPE_TYPE_PROTOS, NUM_TYPES };

static const char *const type_names[NUM_TYPES] = {
	"none",    "float",   "int",    "string",        "tensor",         "graph",      "floats",      "ints",
	"strings", "tensors", "graphs", "sparse_tensor", "sparse_tensors", "type_proto", "type_protos",
};

/* Which fields have something: bit N for type N. */
static unsigned int fields_of(const Onnx__AttributeProto *a)
{
	const bool has[NUM_TYPES] = {
		[ATTR_FLOAT] = a->has_f,
		[ATTR_INT] = a->has_i,
		[ATTR_STRING] = a->has_s,
		[ATTR_TENSOR] = a->t,
		[ATTR_GRAPH] = a->g,
		[ATTR_FLOATS] = a->n_floats,
		[ATTR_INTS] = a->n_ints,
		[ATTR_STRINGS] = a->n_strings,
		[ATTR_TENSORS] = a->n_tensors,
		[ATTR_GRAPHS] = a->n_graphs,
		[TYPE_SPARSE_TENSOR] = a->sparse_tensor,
		[TYPE_SPARSE_TENSORS] = a->n_sparse_tensors,
		[TYPE_TYPE_PROTO] = a->tp,
		[TYPE_TYPE_PROTOS] = a->n_type_protos,
	};
	unsigned int fields = 0;

	for (int type = 1; type < NUM_TYPES; type++)
		fields |= (unsigned int)has[type] << type;
	return fields;
}

int check_attribute_type(const Onnx__AttributeProto *attribute)
{
	unsigned int fields = fields_of(attribute);

	return attribute->type ? attribute->type : fields ? __builtin_ctz(fields) : 0;
}

const Onnx__AttributeProto *check_attribute_find(const Onnx__NodeProto *node, const char *name)
{
	for (size_t i = 0; i < node->n_attribute; i++)
		if (!strcmp(check_text(node->attribute[i]->name), name))
			return node->attribute[i];
	return NULL;
}

/* Lists may be empty, and numbers and strings that are 0 or "" may have been left out by a writer of proto3. */
static bool needs_content(int type)
{
	return type == ATTR_TENSOR || type == ATTR_GRAPH || type == TYPE_SPARSE_TENSOR || type == TYPE_TYPE_PROTO;
}

/* The content, whatever the operator. False: there is none to look at. */
static bool check_content(struct check_scope *scope, const Onnx__AttributeProto *attribute)
{
	struct checker *checker = scope->checker;
	const char *name = check_text(attribute->name);
	unsigned int fields = fields_of(attribute), others;
	int type = attribute->type;
	char what[200];

	snprintf(what, sizeof(what), "attribute %.150s", name);
	if (type < 0 || type >= NUM_TYPES) {
		check_found(checker, scope, RULE_ATTR_TYPE, name, "attribute %s is of type %d, which does not exist",
			    name, type);
		return false;
	}
	if (*check_text(attribute->ref_attr_name)) {
		if (fields)
			check_found(checker, scope, RULE_ATTR_CONTENT, name,
				    "attribute %s has a value and refers to attribute %s as well", name,
				    attribute->ref_attr_name);
		return false;
	}
	others = type ? fields & ~(1u << type) : fields & (fields - 1);
	if (others)
		check_found(checker, scope, RULE_ATTR_CONTENT, name,
			    "attribute %s of type %s has a value of type %s as well", name,
			    type_names[check_attribute_type(attribute)], type_names[__builtin_ctz(others)]);
	if (!fields && (!type || needs_content(type))) {
		check_found(checker, scope, RULE_ATTR_CONTENT, name, "attribute %s has no %s", name,
			    type ? type_names[type] : "value");
		return false;
	}
	if (attribute->t)
		check_tensor(checker, scope, what, attribute->t);
	for (size_t i = 0; i < attribute->n_tensors; i++)
		check_tensor(checker, scope, what, attribute->tensors[i]);
	if (attribute->sparse_tensor)
		check_sparse_tensor(checker, scope, what, attribute->sparse_tensor);
	for (size_t i = 0; i < attribute->n_sparse_tensors; i++)
		check_sparse_tensor(checker, scope, what, attribute->sparse_tensors[i]);
	check_type(checker, scope, name, attribute->tp);
	return true;
}

static void check_allowed(struct check_scope *scope, const char *name, const struct schema_attribute *formal,
			  const void *value, size_t size)
{
	if (!schema_attribute_allows(formal, value, size))
		check_found(scope->checker, scope, RULE_ATTR_VALUE, name, "attribute %s is '%.*s', allowed: %.*s", name,
			    (int)(size < 60 ? size : 60), (const char *)value, (int)formal->allowed.size,
			    formal->allowed.at);
}

/* Attributes whose value is an element type. DequantizeLinear's output_dtype and others mean by 0: none. */
static bool names_element_type(const char *name)
{
	return !strcmp(name, "to") || !strcmp(name, "dtype") || !strcmp(name, "output_datatype") ||
	       !strcmp(name, "output_dtype") || !strcmp(name, "stash_type") || !strcmp(name, "softmax_precision");
}

static void check_value(struct check_scope *scope, const Onnx__AttributeProto *attribute,
			const struct schema_attribute *formal)
{
	const char *name = check_text(attribute->name);
	char number[24];

	switch (check_attribute_type(attribute)) {
	case ATTR_STRING:
		check_allowed(scope, name, formal, attribute->s.data, attribute->s.len);
		break;
	case ATTR_STRINGS:
		for (size_t i = 0; i < attribute->n_strings; i++)
			check_allowed(scope, name, formal, attribute->strings[i].data, attribute->strings[i].len);
		break;
	case ATTR_INT:
		snprintf(number, sizeof(number), "%" PRId64, attribute->i);
		check_allowed(scope, name, formal, number, strlen(number));
		if (names_element_type(name) && attribute->i &&
		    (attribute->i > INT32_MAX || !check_element_type((int)attribute->i)))
			check_found(scope->checker, scope, RULE_ATTR_VALUE, name,
				    "attribute %s is element type %s, which does not exist", name, number);
		break;
	default:
		break;
	}
}

static void check_against(struct check_scope *scope, const Onnx__AttributeProto *attribute, const struct schema *schema,
			  bool content)
{
	const char *name = check_text(attribute->name);
	struct schema_attribute formal;
	int type = check_attribute_type(attribute);

	if (!schema_attribute_find(schema, name, &formal))
		check_found(scope->checker, scope, RULE_ATTR_UNKNOWN, name, "%s %d has no attribute %s",
			    schema->op_type, schema->since, name);
	else if (type && type != formal.type)
		check_found(scope->checker, scope, RULE_ATTR_TYPE, name, "attribute %s is of type %s, %s takes %s",
			    name, type < NUM_TYPES ? type_names[type] : "?", schema->op_type, type_names[formal.type]);
	else if (content)
		check_value(scope, attribute, &formal);
}

static bool function_has(const Onnx__FunctionProto *function, const char *name)
{
	for (size_t i = 0; i < function->n_attribute; i++)
		if (!strcmp(check_text(function->attribute[i]), name))
			return true;
	for (size_t i = 0; i < function->n_attribute_proto; i++)
		if (!strcmp(check_text(function->attribute_proto[i]->name), name))
			return true;
	return false;
}

static void check_reference(struct check_scope *scope, const Onnx__AttributeProto *attribute)
{
	const char *name = check_text(attribute->name), *to = check_text(attribute->ref_attr_name);

	if (*to && !scope->function)
		check_found(scope->checker, scope, RULE_ATTR_REFERENCE, name,
			    "attribute %s refers to attribute %s of a function, and the node is in none", name, to);
	else if (*to && !function_has(scope->function, to))
		check_found(scope->checker, scope, RULE_ATTR_REFERENCE, name,
			    "attribute %s refers to attribute %s, which function %s does not have", name, to,
			    check_text(scope->function->name));
}

void check_attributes(struct check_scope *scope, const Onnx__NodeProto *node, const struct schema *schema)
{
	struct schema_attribute formal;

	for (size_t i = 0; i < node->n_attribute; i++) {
		const Onnx__AttributeProto *attribute = node->attribute[i];
		const char *name = check_text(attribute->name);
		bool content;

		check_utf8(scope->checker, scope, "the name of an attribute", attribute->name);
		if (!*name)
			check_found(scope->checker, scope, RULE_ATTR_NAME, "", "attribute %zu has no name", i);
		for (size_t k = 0; k < i; k++)
			if (*name && !strcmp(check_text(node->attribute[k]->name), name)) {
				check_found(scope->checker, scope, RULE_ATTR_DUPLICATE, name,
					    "attribute %s is given twice", name);
				break;
			}
		check_reference(scope, attribute);
		content = check_content(scope, attribute);
		if (schema && *name)
			check_against(scope, attribute, schema, content);
	}
	for (size_t i = 0; schema && schema_attribute_at(schema, i, &formal); i++) {
		bool given = false;

		for (size_t k = 0; k < node->n_attribute && formal.required; k++) {
			const char *name = check_text(node->attribute[k]->name);

			given = given ||
				(strlen(name) == formal.name.size && !memcmp(name, formal.name.at, formal.name.size));
		}
		if (formal.required && !given)
			check_found(scope->checker, scope, RULE_ATTR_REQUIRED, "", "%s %d needs attribute %.*s",
				    schema->op_type, schema->since, (int)formal.name.size, formal.name.at);
	}
}
