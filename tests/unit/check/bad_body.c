/* SPDX-License-Identifier: MIT */
/* Subgraphs, functions and training graphs. See bad_models.h; all begin with the good model. */
#include "tests/unit/check/bad_build.h"

#include <stdio.h>
#include <string.h>

/* ---- subgraphs ---- */

static Onnx__GraphProto *body_of(struct model *m, Onnx__NodeProto *node, const char *attribute, const char *op_type,
				 const char *input, const char *output, int type)
{
	Onnx__GraphProto *body = model_alloc(m, sizeof(*body));
	Onnx__NodeProto *inner = model_make_node(m, op_type, NAMES(input), NAMES(output));

	onnx__graph_proto__init(body);
	body->name = (char *)"body";
	inner->name = (char *)"inner";
	MODEL_APPEND(m, body->node, body->n_node, inner);
	MODEL_APPEND(m, body->output, body->n_output, model_value(m, output, type, 2, two_by_three));
	model_attribute(m, node, attribute, A_GRAPH)->g = body;
	return body;
}

static Onnx__NodeProto *choice(struct model *m)
{
	good_model(m);
	model_input(m, "c", BOOL, 0, NULL);
	return add(m, "choice", "If", NAMES("c"), NAMES("z"));
}

static void branch_that_captures_nothing(struct model *m)
{
	Onnx__NodeProto *node = choice(m);

	body_of(m, node, "then_branch", "Neg", "nobody", "a", FLOAT);
	body_of(m, node, "else_branch", "Abs", "x", "b", FLOAT);
}

static void branch_that_shadows(struct model *m)
{
	Onnx__NodeProto *node = choice(m);

	body_of(m, node, "then_branch", "Neg", "x", "y", FLOAT);
	body_of(m, node, "else_branch", "Abs", "x", "b", FLOAT);
}

static void branch_with_an_input(struct model *m)
{
	Onnx__NodeProto *node = choice(m);
	Onnx__GraphProto *body = body_of(m, node, "then_branch", "Neg", "x", "a", FLOAT);

	body_of(m, node, "else_branch", "Abs", "x", "b", FLOAT);
	MODEL_APPEND(m, body->input, body->n_input, model_value(m, "i", FLOAT, 2, two_by_three));
}

static void branch_without_outputs(struct model *m)
{
	Onnx__NodeProto *node = choice(m);

	body_of(m, node, "then_branch", "Neg", "x", "a", FLOAT);
	body_of(m, node, "else_branch", "Abs", "x", "b", FLOAT)->n_output = 0;
}

static void branches_of_two_types(struct model *m)
{
	Onnx__NodeProto *node = choice(m);

	body_of(m, node, "then_branch", "Neg", "x", "a", FLOAT);
	body_of(m, node, "else_branch", "Shape", "x", "b", INT64);
}

static void loop_body_without_inputs(struct model *m)
{
	good_model(m);
	body_of(m, add(m, "loop", "Loop", NAMES("", "", "x"), NAMES("z")), "body", "Neg", "x", "a", FLOAT);
}

static void scan_of_no_inputs(struct model *m)
{
	Onnx__GraphProto *body;

	good_model(m);
	body = body_of(m, add(m, "scan", "Scan", NAMES("x"), NAMES("z")), "body", "Neg", "row", "a", FLOAT);
	MODEL_APPEND(m, body->input, body->n_input, model_value(m, "row", FLOAT, 1, three));
	set_int(model_attribute(m, graph_of(m)->node[1], "num_scan_inputs", A_INT), 0);
}

static void subgraphs_without_end(struct model *m)
{
	Onnx__NodeProto *node = choice(m);

	for (int depth = 0; depth < 35; depth++) {
		char *name = model_alloc(m, 16);
		Onnx__GraphProto *body;

		snprintf(name, 16, "d%d", depth);
		body = body_of(m, node, "then_branch", "Neg", "x", name, FLOAT);
		name = model_alloc(m, 16);
		snprintf(name, 16, "e%d", depth);
		body_of(m, node, "else_branch", "Abs", "x", name, FLOAT);
		name = model_alloc(m, 16);
		snprintf(name, 16, "n%d", depth);
		node = model_make_node(m, "If", NAMES("c"), NAMES(name));
		node->name = name;
		MODEL_APPEND(m, body->node, body->n_node, node);
	}
	body_of(m, node, "then_branch", "Neg", "x", "last", FLOAT);
	body_of(m, node, "else_branch", "Abs", "x", "end", FLOAT);
}

/* ---- functions ---- */

/* NAME(a) = { b = Neg(a) }, which node "call" calls. */
static Onnx__FunctionProto *function(struct model *m, const char *name)
{
	Onnx__FunctionProto *f = model_alloc(m, sizeof(*f));
	Onnx__NodeProto *lists = model_make_node(m, name, NAMES("a"), NAMES("b"));
	Onnx__NodeProto *node = model_make_node(m, "Neg", NAMES("a"), NAMES("b"));

	node->name = (char *)"inner";
	onnx__function_proto__init(f);
	f->name = lists->op_type;
	f->domain = (char *)"local";
	f->n_input = lists->n_input;
	f->input = lists->input;
	f->n_output = lists->n_output;
	f->output = lists->output;
	f->n_opset_import = m->proto.n_opset_import;
	f->opset_import = m->proto.opset_import;
	MODEL_APPEND(m, f->node, f->n_node, node);
	MODEL_APPEND(m, m->proto.functions, m->proto.n_functions, f);
	return f;
}

static Onnx__FunctionProto *called(struct model *m)
{
	good_model(m);
	model_opset(m, "local", 1);
	add(m, "call", "twice", NAMES("x"), NAMES("z"))->domain = (char *)"local";
	return function(m, "twice");
}

static void function_before_its_time(struct model *m)
{
	called(m);
	m->proto.ir_version = 7;
}

static void overload_before_its_time(struct model *m)
{
	called(m)->overload = (char *)"fast";
	graph_of(m)->node[1]->overload = (char *)"fast";
}

static void function_without_name(struct model *m)
{
	called(m);
	function(m, "")->name = NULL;
}

static void function_twice(struct model *m)
{
	called(m);
	function(m, "twice");
}

static void formal_twice(struct model *m)
{
	Onnx__FunctionProto *f = called(m);

	MODEL_APPEND(m, f->input, f->n_input, (char *)"a");
}

static void function_attribute_twice(struct model *m)
{
	Onnx__FunctionProto *f = function((good_model(m), m), "unused");

	for (int i = 0; i < 2; i++)
		MODEL_APPEND(m, f->attribute, f->n_attribute, (char *)"slope");
}

static void function_calls_itself(struct model *m)
{
	Onnx__FunctionProto *f = called(m);

	f->node[0]->op_type = (char *)"twice";
	f->node[0]->domain = (char *)"local";
}

static void functions_call_each_other(struct model *m)
{
	Onnx__FunctionProto *f = called(m), *g = function(m, "other");

	f->node[0]->op_type = (char *)"other";
	f->node[0]->domain = (char *)"local";
	g->node[0]->op_type = (char *)"twice";
	g->node[0]->domain = (char *)"local";
}

static void function_named_as_an_operator(struct model *m)
{
	good_model(m);
	function(m, "Relu")->domain = (char *)"";
}

static void call_with_too_many_inputs(struct model *m)
{
	called(m);
	MODEL_APPEND(m, graph_of(m)->node[1]->input, graph_of(m)->node[1]->n_input, (char *)"x");
}

static void call_of_an_unknown_domain(struct model *m)
{
	called(m);
	m->proto.n_opset_import = 1;
}

static void call_without_its_attribute(struct model *m)
{
	Onnx__FunctionProto *f = called(m);

	MODEL_APPEND(m, f->attribute, f->n_attribute, (char *)"slope");
}

static void function_without_opsets(struct model *m)
{
	called(m)->n_opset_import = 0;
}

static void function_output_of_nothing(struct model *m)
{
	called(m)->node[0]->output[0] = (char *)"elsewhere";
}

static void reference_to_no_attribute(struct model *m)
{
	Onnx__FunctionProto *f = called(m);

	f->node[0]->op_type = (char *)"LeakyRelu";
	model_attribute(m, f->node[0], "alpha", A_FLOAT)->ref_attr_name = (char *)"slope";
}

/* ---- training ---- */

static void update_of_no_initializer(struct model *m)
{
	Onnx__TrainingInfoProto *info;
	Onnx__StringStringEntryProto *binding;
	Onnx__GraphProto *algorithm;

	good_model(m);
	info = model_alloc(m, sizeof(*info));
	binding = model_alloc(m, sizeof(*binding));
	algorithm = model_alloc(m, sizeof(*algorithm));
	onnx__training_info_proto__init(info);
	onnx__string_string_entry_proto__init(binding);
	onnx__graph_proto__init(algorithm);
	algorithm->name = (char *)"algorithm";
	MODEL_APPEND(m, algorithm->node, algorithm->n_node, model_make_node(m, "Neg", NAMES("x"), NAMES("w_new")));
	MODEL_APPEND(m, algorithm->output, algorithm->n_output, model_value(m, "w_new", FLOAT, 2, two_by_three));
	info->algorithm = algorithm;
	binding->key = (char *)"w";
	binding->value = (char *)"w_new";
	MODEL_APPEND(m, info->update_binding, info->n_update_binding, binding);
	MODEL_APPEND(m, m->proto.training_info, m->proto.n_training_info, info);
}

const struct bad_model bad_body_models[] = {
	BAD(function_before_its_time, "ir-feature", ""),
	BAD(overload_before_its_time, "ir-feature", ""),
	BAD(function_without_opsets, "opset-missing", ""),
	BAD(branch_that_shadows, "ssa-shadow", "inner"),
	BAD(branch_that_captures_nothing, "name-undefined", "inner"),
	BAD(function_output_of_nothing, "output-undefined", ""),
	BAD(scan_of_no_inputs, "attr-value", "scan"),
	BAD(reference_to_no_attribute, "attr-reference", "inner"),
	BAD(branch_with_an_input, "subgraph-inputs", "choice"),
	BAD(loop_body_without_inputs, "subgraph-inputs", "loop"),
	BAD(branch_without_outputs, "subgraph-outputs", "choice"),
	BAD(branches_of_two_types, "subgraph-type", "choice"),
	BAD(subgraphs_without_end, "subgraph-depth", "n31"),
	BAD(function_without_name, "function-name", ""),
	BAD(function_twice, "function-duplicate", ""),
	BAD(formal_twice, "function-formal", ""),
	BAD(function_attribute_twice, "function-formal", ""),
	BAD(function_calls_itself, "function-recursion", ""),
	BAD(functions_call_each_other, "function-recursion", ""),
	BAD(function_named_as_an_operator, "function-clash", ""),
	BAD(call_with_too_many_inputs, "function-call", "call"),
	BAD(call_of_an_unknown_domain, "function-domain", "call"),
	BAD(call_without_its_attribute, "function-attribute", "call"),
	BAD(update_of_no_initializer, "training-binding", ""),
	{NULL},
};
