/* SPDX-License-Identifier: MIT */
/* The graphs in a node's attributes, and what If, Loop, Scan and SequenceMap demand of them. */
#include <stdio.h>
#include <string.h>

#include "compiler/onnx/check/checker.h"

/* Node @node of @scope gives a body @given inputs and wants @wanted of its outputs. */
static void check_interface(struct check_scope *scope, const char *name, const Onnx__GraphProto *body, size_t given,
			    size_t wanted)
{
	if (body->n_input != given)
		check_found(scope->checker, scope, RULE_SUBGRAPH_INPUTS, name,
			    "%s has %zu inputs, the node gives it %zu", name, body->n_input, given);
	if (body->n_output < wanted)
		check_found(scope->checker, scope, RULE_SUBGRAPH_OUTPUTS, name,
			    "%s has %zu outputs, the node needs %zu", name, body->n_output, wanted);
}

static const Onnx__GraphProto *body_of(const Onnx__NodeProto *node, const char *name)
{
	const Onnx__AttributeProto *attribute = check_attribute_find(node, name);

	return attribute ? attribute->g : NULL;
}

static void check_if(struct check_scope *scope, const Onnx__NodeProto *node)
{
	const Onnx__GraphProto *first = body_of(node, "then_branch"), *second = body_of(node, "else_branch");

	if (first)
		check_interface(scope, "then_branch", first, 0, node->n_output);
	if (second)
		check_interface(scope, "else_branch", second, 0, node->n_output);
	if (!first || !second)
		return;
	if (first->n_output != second->n_output)
		check_found(scope->checker, scope, RULE_SUBGRAPH_OUTPUTS, "then_branch",
			    "then_branch has %zu outputs, else_branch %zu", first->n_output, second->n_output);
	for (size_t i = 0; i < first->n_output && i < second->n_output; i++) {
		struct value_type a = check_value_type(first->output[i]->type);
		struct value_type b = check_value_type(second->output[i]->type);
		char one[80], other[80];

		if (a.kind != VALUE_UNKNOWN && b.kind != VALUE_UNKNOWN && !check_same_type(a, b))
			check_found(scope->checker, scope, RULE_SUBGRAPH_TYPE, "else_branch",
				    "output %zu of then_branch is %s, of else_branch %s", i,
				    check_type_text(a, one, sizeof(one)), check_type_text(b, other, sizeof(other)));
	}
}

/* Inputs: iteration number, condition, loop-carried values. Outputs: condition, those values, scan outputs. */
static void check_loop(struct check_scope *scope, const Onnx__NodeProto *node)
{
	const Onnx__GraphProto *body = body_of(node, "body");

	if (body)
		check_interface(scope, "body", body, node->n_input < 2 ? 2 : node->n_input,
				(node->n_output + 2 > node->n_input ? node->n_output : node->n_input - 2) + 1);
}

static void check_scan(struct check_scope *scope, const Onnx__NodeProto *node)
{
	const Onnx__AttributeProto *count = check_attribute_find(node, "num_scan_inputs");
	const Onnx__GraphProto *body = body_of(node, "body");
	/* Version 8 has the lengths of the sequences before them. */
	size_t lengths = check_opset(scope, "") < 9;
	size_t given = node->n_input > lengths ? node->n_input - lengths : 0;

	if (body)
		check_interface(scope, "body", body, given, node->n_output);
	if (count && count->has_i && (count->i < 1 || (uint64_t)count->i > given))
		check_found(scope->checker, scope, RULE_ATTR_VALUE, "num_scan_inputs",
			    "attribute num_scan_inputs is %lld of %zu inputs", (long long)count->i, given);
}

static void check_sequence_map(struct check_scope *scope, const Onnx__NodeProto *node)
{
	const Onnx__GraphProto *body = body_of(node, "body");

	if (body)
		check_interface(scope, "body", body, node->n_input, node->n_output);
}

static const struct {
	const char *op_type;
	void (*check)(struct check_scope *scope, const Onnx__NodeProto *node);
} operators[] = {
	{"If", check_if},
	{"Loop", check_loop},
	{"Scan", check_scan},
	{"SequenceMap", check_sequence_map},
};

static void check_body(struct check_scope *scope, const Onnx__NodeProto *node, const char *attribute,
		       const Onnx__GraphProto *body)
{
	const char *name = *check_text(node->name) ? node->name : node->n_output ? check_text(node->output[0]) : "";
	char path[CHECK_MAX_PATH];

	/* Cut where it is too long: it is for reading. */
	if (snprintf(path, sizeof(path), "%.120s/%.40s.%.30s", scope->path, name, attribute) < 0)
		return;
	check_graph(scope->checker, scope, path, body);
}

void check_subgraphs(struct check_scope *scope, const Onnx__NodeProto *node)
{
	for (size_t i = 0; i < node->n_attribute; i++) {
		const Onnx__AttributeProto *attribute = node->attribute[i];

		if (attribute->g)
			check_body(scope, node, check_text(attribute->name), attribute->g);
		for (size_t k = 0; k < attribute->n_graphs; k++)
			check_body(scope, node, check_text(attribute->name), attribute->graphs[k]);
	}
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
		if (!*check_domain(node->domain) && !strcmp(check_text(node->op_type), operators[i].op_type))
			operators[i].check(scope, node);
}
