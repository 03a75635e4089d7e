/* SPDX-License-Identifier: MIT */
/* A node: does its operator exist, is it in the imported version, does it have as many operands as it takes. */
#include <string.h>

#include "compiler/onnx/check/checker.h"
#include "compiler/onnx/scope.h"
#include "runtime/cpu/op.h"

/* The version of the operator that the node means, or NULL with what is wrong said. */
static const struct schema *find_schema(struct check_scope *scope, const Onnx__NodeProto *node)
{
	const char *domain = check_domain(node->domain), *op_type = check_text(node->op_type);
	const char *shown = *domain ? domain : "ai.onnx";
	int opset = check_opset(scope, domain);
	const struct schema *schema;
	bool served;

	if (!opset)
		check_found(scope->checker, scope, RULE_OPSET_MISSING, domain,
			    "%s imports no operator set of domain '%s'", scope->function ? "the function" : "the model",
			    shown);
	if (!opset || !schema_newest(domain))
		return NULL; /* a domain of somebody else's: nothing is known of it */
	schema = schema_find(domain, op_type, opset);
	served = op_find(domain, op_type, opset);
	if (schema && schema->deprecated)
		check_found(scope->checker, scope, RULE_OPERATOR_DEPRECATED, op_type,
			    "%s is deprecated since version %d of %s", op_type, schema->since, shown);
	else if (!schema && served)
		check_found(scope->checker, scope, RULE_OPERATOR_EXTRA, op_type,
			    "%s is not in version %d of %s; it is run as implementations have added it", op_type, opset,
			    shown);
	else if (!schema && schema_has_operator(domain, op_type))
		check_found(scope->checker, scope, RULE_OPERATOR_VERSION, op_type,
			    "%s is not yet in version %d of %s, which the model imports", op_type, opset, shown);
	else if (!schema)
		check_found(scope->checker, scope, RULE_OPERATOR_UNKNOWN, op_type, "%s has no operator %s", shown,
			    op_type);
	return schema;
}

static const char *several(int count)
{
	return count == 1 ? "" : "s";
}

static void check_inputs(struct check_scope *scope, const Onnx__NodeProto *node, const struct schema *schema)
{
	struct schema_parameter parameter;
	int min, max;

	schema_input_count(schema, &min, &max);
	if (node->n_input < (size_t)min)
		check_found(scope->checker, scope, RULE_INPUT_COUNT, "", "%zu inputs, %s takes at least %d",
			    node->n_input, node->op_type, min);
	else if (max >= 0 && node->n_input > (size_t)max)
		check_found(scope->checker, scope, RULE_INPUT_COUNT, "", "%zu inputs, %s takes no more than %d",
			    node->n_input, node->op_type, max);
	for (size_t i = 0; i < node->n_input && schema_input(schema, i, &parameter); i++)
		if (!*check_text(node->input[i]) && parameter.option == SCHEMA_SINGLE)
			check_found(scope->checker, scope, RULE_INPUT_MISSING, "",
				    "input %.*s is left out, and is not optional", (int)parameter.name.size,
				    parameter.name.at);
}

static void check_results(struct check_scope *scope, const Onnx__NodeProto *node, const struct schema *schema)
{
	struct schema_parameter parameter;
	int min, max;

	schema_output_count(schema, &min, &max);
	if (node->n_output < (size_t)min)
		check_found(scope->checker, scope, RULE_OUTPUT_COUNT, "", "%zu outputs, %s has at least %d",
			    node->n_output, node->op_type, min);
	else if (max >= 0 && node->n_output > (size_t)max)
		check_found(scope->checker, scope, RULE_OUTPUT_COUNT, "",
			    "%zu outputs, %s has no more than %d output%s", node->n_output, node->op_type, max,
			    several(max));
	for (size_t i = 0; i < node->n_output && schema_output(schema, i, &parameter); i++)
		if (!*check_text(node->output[i]) && parameter.option == SCHEMA_SINGLE)
			check_found(scope->checker, scope, RULE_OUTPUT_MISSING, "",
				    "output %.*s has no name, and is not optional", (int)parameter.name.size,
				    parameter.name.at);
}

void check_node(struct check_scope *scope, const Onnx__NodeProto *node)
{
	const Onnx__FunctionProto *function = scope_find_function(scope->checker->model, node);
	const struct schema *schema = NULL;

	check_utf8(scope->checker, scope, "the operator", node->op_type);
	check_utf8(scope->checker, scope, "the domain", node->domain);
	if (!*check_text(node->op_type))
		check_found(scope->checker, scope, RULE_OPERATOR_MISSING, "", "no operator");
	else if (function)
		check_call(scope, node, function);
	else
		schema = find_schema(scope, node);
	check_attributes(scope, node, schema);
	if (schema) {
		check_inputs(scope, node, schema);
		check_results(scope, node, schema);
		check_operand_types(scope, node, schema);
	}
	check_subgraphs(scope, node);
}
