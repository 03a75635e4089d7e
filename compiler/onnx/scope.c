/* SPDX-License-Identifier: MIT */
/* See scope.h. The rules are those of the IR specification's section on model-local functions. */
#include "compiler/onnx/scope.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *text(const char *string)
{
	return string ? string : "";
}

const Onnx__FunctionProto *scope_find_function(const Onnx__ModelProto *model, const Onnx__NodeProto *node)
{
	for (size_t i = 0; i < model->n_functions; i++) {
		const Onnx__FunctionProto *function = model->functions[i];

		if (!strcmp(text(function->name), text(node->op_type)) &&
		    !strcmp(text(function->domain), text(node->domain)) &&
		    !strcmp(text(function->overload), text(node->overload)))
			return function;
	}
	return NULL;
}

/* The call's operand for formal parameter @name; NULL: it is none. */
static const char *actual(char *const *formals, size_t num_formals, char *const *actuals, size_t num_actuals,
			  const char *name)
{
	for (size_t i = 0; i < num_formals; i++)
		if (!strcmp(text(formals[i]), name))
			return i < num_actuals ? text(actuals[i]) : "";
	return NULL;
}

int scope_resolve(const struct scope *scope, const char *name, char *full, size_t size)
{
	int length;

	for (; scope->function && *name; scope = scope->outer) {
		const Onnx__FunctionProto *f = scope->function;
		const Onnx__NodeProto *call = scope->call;
		const char *input = actual(f->input, f->n_input, call->input, call->n_input, name);
		const char *output = actual(f->output, f->n_output, call->output, call->n_output, name);

		if (!input && (!output || !*output)) {
			/* Known inside the body only, as is a result that the call does not want. */
			length = snprintf(full, size, "%s/%s", scope->prefix, name);
			return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
		}
		name = input ? input : output;
	}
	length = snprintf(full, size, "%s", name);
	return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

static Onnx__AttributeProto *find(size_t count, Onnx__AttributeProto **list, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(text(list[i]->name), name))
			return list[i];
	return NULL;
}

Onnx__AttributeProto *scope_attribute(const struct scope *scope, Onnx__AttributeProto *attribute)
{
	while (attribute && scope && *text(attribute->ref_attr_name)) {
		Onnx__AttributeProto *given;

		if (!scope->function) { /* a subgraph: the references are those of the function around it */
			scope = scope->outer;
			continue;
		}
		given =
			find(scope->call->n_attribute, scope->call->attribute, attribute->ref_attr_name);

		if (!given)
			return find(scope->function->n_attribute_proto, scope->function->attribute_proto,
				    attribute->ref_attr_name);
		attribute = given;
		scope = scope->outer;
	}
	return attribute;
}

const Onnx__FunctionProto *scope_function(const struct scope *scope)
{
	while (scope && !scope->function)
		scope = scope->outer;
	return scope ? scope->function : NULL;
}
