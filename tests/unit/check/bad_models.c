/* SPDX-License-Identifier: MIT */
/* See bad_models.h. All begin with the good model: x -> act (Relu) -> y. */
#include "tests/unit/check/bad_models.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { FLOAT = 1, INT64 = 7, BOOL = 9, INT4 = 22 };
enum { A_FLOAT = 1, A_INT = 2, A_STRING = 3, A_TENSOR = 4, A_GRAPH = 5, A_INTS = 7 };

static const int64_t two_by_three[] = {2, 3}, three[] = {3}, six_values[] = {0, 1, 2, 3, 4, 5};
static const float six_floats[] = {1, 2, 3, 4, 5, 6};

static Onnx__GraphProto *graph_of(struct model *m)
{
	return m->proto.graph;
}

/* A node with a name, for the finding. */
static Onnx__NodeProto *add(struct model *m, const char *name, const char *op_type, const char *const *inputs,
			    const char *const *outputs)
{
	Onnx__NodeProto *node = model_node(m, op_type, inputs, outputs);

	node->name = (char *)name;
	return node;
}

static void add_output(struct model *m, const char *name, int type)
{
	MODEL_APPEND(m, graph_of(m)->output, graph_of(m)->n_output, model_value(m, name, type, 2, two_by_three));
}

static void set_int(Onnx__AttributeProto *attribute, int64_t value)
{
	attribute->has_i = 1;
	attribute->i = value;
}

static void set_text(Onnx__AttributeProto *attribute, const char *text)
{
	attribute->has_s = 1;
	attribute->s = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

void good_model(struct model *m)
{
	model_init(m);
	model_input(m, "x", FLOAT, 2, two_by_three);
	add(m, "act", "Relu", NAMES("x"), NAMES("y"));
	add_output(m, "y", FLOAT);
}

/* ---- model ---- */

static void no_ir_version(struct model *m)
{
	good_model(m);
	m->proto.has_ir_version = 0;
}

static void ir_version_zero(struct model *m)
{
	good_model(m);
	m->proto.ir_version = 0;
}

static void no_opset(struct model *m)
{
	good_model(m);
	m->proto.n_opset_import = 0;
}

static void domain_not_imported(struct model *m)
{
	good_model(m);
	add(m, "scale", "Scaler", NAMES("x"), NAMES("z"))->domain = (char *)"ai.onnx.ml";
}

static void domain_twice(struct model *m)
{
	good_model(m);
	model_opset(m, "ai.onnx", 16);
}

static void opset_zero(struct model *m)
{
	good_model(m);
	m->proto.opset_import[0]->version = 0;
}

static void opset_of_the_future(struct model *m)
{
	good_model(m);
	m->proto.opset_import[0]->version = 99;
}

static void no_graph(struct model *m)
{
	good_model(m);
	m->proto.graph = NULL;
}

static void graph_without_name(struct model *m)
{
	good_model(m);
	graph_of(m)->name = NULL;
}

static void name_not_utf8(struct model *m)
{
	good_model(m);
	graph_of(m)->node[0]->name = (char *)"a\xc3";
}

/* ---- inputs and outputs ---- */

static void input_without_name(struct model *m)
{
	good_model(m);
	model_input(m, "", FLOAT, 2, two_by_three);
}

static void output_without_name(struct model *m)
{
	good_model(m);
	add_output(m, "", FLOAT);
}

static void initializer_without_name(struct model *m)
{
	good_model(m);
	model_initializer(m, model_floats(m, "", 2, two_by_three, 6, six_floats));
}

static void input_without_type(struct model *m)
{
	good_model(m);
	graph_of(m)->input[0]->type = NULL;
}

static void output_without_type(struct model *m)
{
	good_model(m);
	graph_of(m)->output[0]->type = NULL;
}

static void type_of_nothing(struct model *m)
{
	good_model(m);
	graph_of(m)->input[0]->type->tensor_type = NULL;
}

static void input_of_type_99(struct model *m)
{
	good_model(m);
	model_input(m, "q", 99, 2, two_by_three);
}

static void initializer_of_type_99(struct model *m)
{
	good_model(m);
	model_initializer(m, model_floats(m, "w", 2, two_by_three, 6, six_floats));
	graph_of(m)->initializer[0]->data_type = 99;
}

static void negative_dimension(struct model *m)
{
	static const int64_t dims[] = {2, -3};

	good_model(m);
	model_input(m, "q", FLOAT, 2, dims);
}

/* ---- names ---- */

static void two_nodes_write_it(struct model *m)
{
	good_model(m);
	add(m, "again", "Neg", NAMES("x"), NAMES("y"));
}

static void node_writes_an_input(struct model *m)
{
	good_model(m);
	add(m, "back", "Neg", NAMES("y"), NAMES("x"));
}

static void node_writes_an_initializer(struct model *m)
{
	good_model(m);
	model_initializer(m, model_floats(m, "w", 2, two_by_three, 6, six_floats));
	add(m, "over", "Neg", NAMES("x"), NAMES("w"));
}

static void node_writes_twice(struct model *m)
{
	good_model(m);
	add(m, "both", "Split", NAMES("x"), NAMES("s", "s"));
}

static void input_twice(struct model *m)
{
	good_model(m);
	model_input(m, "x", FLOAT, 2, two_by_three);
}

static void initializer_twice(struct model *m)
{
	good_model(m);
	for (int i = 0; i < 2; i++)
		model_initializer(m, model_floats(m, "w", 2, two_by_three, 6, six_floats));
}

static void nothing_writes_it(struct model *m)
{
	good_model(m);
	add(m, "reads", "Neg", NAMES("nowhere"), NAMES("z"));
}

static void read_before_written(struct model *m)
{
	good_model(m);
	add(m, "early", "Neg", NAMES("late"), NAMES("z"));
	add(m, "writes", "Neg", NAMES("x"), NAMES("late"));
}

static void own_result(struct model *m)
{
	good_model(m);
	add(m, "snake", "Add", NAMES("x", "z"), NAMES("z"));
}

static void cycle_of_two(struct model *m)
{
	good_model(m);
	add(m, "hen", "Add", NAMES("x", "egg"), NAMES("chick"));
	add(m, "brood", "Neg", NAMES("chick"), NAMES("egg"));
}

static void output_of_nothing(struct model *m)
{
	good_model(m);
	add_output(m, "nowhere", FLOAT);
}

/* ---- nodes ---- */

static void no_operator(struct model *m)
{
	good_model(m);
	add(m, "idle", "", NAMES("x"), NAMES("z"));
}

static void unknown_operator(struct model *m)
{
	good_model(m);
	add(m, "odd", "Frobnicate", NAMES("x"), NAMES("z"));
}

static void operator_of_a_later_version(struct model *m)
{
	good_model(m);
	m->proto.opset_import[0]->version = 19;
	add(m, "early", "StringConcat", NAMES("x", "x"), NAMES("z"));
}

static void operator_of_implementations(struct model *m)
{
	good_model(m);
	m->proto.opset_import[0]->version = 16;
	model_initializer(m, model_floats(m, "scale", 1, three, 3, six_floats));
	add(m, "norm", "LayerNormalization", NAMES("x", "scale"), NAMES("z"));
}

static void deprecated_operator(struct model *m)
{
	good_model(m);
	model_initializer(m, model_floats(m, "scales", 1, (const int64_t[]){2}, 2, six_floats));
	add(m, "old", "Upsample", NAMES("x", "scales"), NAMES("z"));
}

static void too_few_inputs(struct model *m)
{
	good_model(m);
	add(m, "half", "Add", NAMES("x"), NAMES("z"));
}

static void too_many_inputs(struct model *m)
{
	good_model(m);
	add(m, "full", "Neg", NAMES("x", "x"), NAMES("z"));
}

static void required_input_left_out(struct model *m)
{
	good_model(m);
	add(m, "gap", "Add", NAMES("", "x"), NAMES("z"));
}

static void too_many_outputs(struct model *m)
{
	good_model(m);
	add(m, "rich", "Neg", NAMES("x"), NAMES("z", "more"));
}

static void no_outputs(struct model *m)
{
	good_model(m);
	add(m, "sink", "Neg", NAMES("x"), NAMES(NULL));
}

static void output_left_out(struct model *m)
{
	good_model(m);
	add(m, "mute", "Neg", NAMES("x"), NAMES(""));
}

/* ---- attributes ---- */

static Onnx__NodeProto *leaky(struct model *m)
{
	good_model(m);
	return add(m, "leaky", "LeakyRelu", NAMES("x"), NAMES("z"));
}

static void attribute_without_name(struct model *m)
{
	model_attribute(m, leaky(m), "", A_FLOAT)->has_f = 1;
}

static void attribute_twice(struct model *m)
{
	Onnx__NodeProto *node = leaky(m);

	for (int i = 0; i < 2; i++)
		model_attribute(m, node, "alpha", A_FLOAT)->has_f = 1;
}

static void unknown_attribute(struct model *m)
{
	model_attribute(m, leaky(m), "beta", A_FLOAT)->has_f = 1;
}

static void required_attribute_left_out(struct model *m)
{
	good_model(m);
	add(m, "join", "Concat", NAMES("x", "x"), NAMES("z"));
}

static void attribute_of_wrong_type(struct model *m)
{
	set_int(model_attribute(m, leaky(m), "alpha", A_INT), 1);
}

static void attribute_of_no_type(struct model *m)
{
	model_attribute(m, leaky(m), "alpha", 77)->has_f = 1;
}

static void attribute_without_tensor(struct model *m)
{
	good_model(m);
	model_attribute(m, add(m, "empty", "Constant", NAMES(NULL), NAMES("c")), "value", A_TENSOR);
}

static void attribute_with_two_values(struct model *m)
{
	Onnx__AttributeProto *alpha = model_attribute(m, leaky(m), "alpha", A_FLOAT);

	alpha->has_f = 1;
	set_int(alpha, 1);
}

static void attribute_value_not_listed(struct model *m)
{
	good_model(m);
	set_text(model_attribute(m, add(m, "gelu", "DepthToSpace", NAMES("x"), NAMES("z")), "mode", A_STRING), "ABC");
	set_int(model_attribute(m, graph_of(m)->node[1], "blocksize", A_INT), 1);
}

static void cast_to_nothing(struct model *m)
{
	good_model(m);
	set_int(model_attribute(m, add(m, "cast", "Cast", NAMES("x"), NAMES("z")), "to", A_INT), 99);
}

static void reference_outside_of_functions(struct model *m)
{
	model_attribute(m, leaky(m), "alpha", A_FLOAT)->ref_attr_name = (char *)"slope";
}

/* ---- types and shapes ---- */

static void operand_of_wrong_type(struct model *m)
{
	good_model(m);
	model_input(m, "b", BOOL, 2, two_by_three);
	add(m, "minus", "Neg", NAMES("b"), NAMES("z"));
}

static void operands_of_two_types(struct model *m)
{
	good_model(m);
	model_input(m, "i", INT64, 2, two_by_three);
	add(m, "mixed", "Add", NAMES("x", "i"), NAMES("z"));
}

static void result_of_another_type(struct model *m)
{
	good_model(m);
	set_int(model_attribute(m, add(m, "cast", "Cast", NAMES("x"), NAMES("z")), "to", A_INT), INT64);
	add_output(m, "z", FLOAT);
}

static void result_of_another_shape(struct model *m)
{
	static const int64_t dims[] = {2, 4};

	good_model(m);
	MODEL_APPEND(m, graph_of(m)->value_info, graph_of(m)->n_value_info, model_value(m, "z", FLOAT, 2, dims));
	add(m, "same", "Neg", NAMES("x"), NAMES("z"));
}

static void result_of_another_rank(struct model *m)
{
	good_model(m);
	MODEL_APPEND(m, graph_of(m)->value_info, graph_of(m)->n_value_info, model_value(m, "z", FLOAT, 1, three));
	add(m, "same", "Neg", NAMES("x"), NAMES("z"));
}

static void shapes_that_do_not_fit(struct model *m)
{
	good_model(m);
	add(m, "product", "MatMul", NAMES("x", "x"), NAMES("z"));
}

/* ---- tensors ---- */

static Onnx__TensorProto *weights(struct model *m)
{
	good_model(m);
	model_initializer(m, model_floats(m, "w", 2, two_by_three, 6, six_floats));
	return graph_of(m)->initializer[0];
}

static void negative_size(struct model *m)
{
	weights(m)->dims[1] = -3;
}

static void contents_in_another_field(struct model *m)
{
	weights(m)->data_type = INT64;
}

static void contents_in_two_fields(struct model *m)
{
	Onnx__TensorProto *w = weights(m);

	w->has_raw_data = 1;
	w->raw_data = (ProtobufCBinaryData){sizeof(six_floats), (uint8_t *)(uintptr_t)six_floats};
}

static void too_few_values(struct model *m)
{
	weights(m)->n_float_data = 5;
}

static void too_many_bytes(struct model *m)
{
	Onnx__TensorProto *w = weights(m);

	w->n_float_data = 0;
	w->has_raw_data = 1;
	w->raw_data = (ProtobufCBinaryData){sizeof(six_values), (uint8_t *)(uintptr_t)six_values};
}

static void initializer_that_is_no_input(struct model *m)
{
	weights(m);
	m->proto.ir_version = 3;
}

static void initializer_of_another_type(struct model *m)
{
	weights(m);
	model_input(m, "w", INT64, 2, two_by_three);
}

static void initializer_of_another_shape(struct model *m)
{
	weights(m);
	model_input(m, "w", FLOAT, 1, three);
}

static void int4_before_its_time(struct model *m)
{
	Onnx__TensorProto *w = weights(m);

	w->data_type = INT4;
	w->n_float_data = 0;
	w->n_int32_data = 3;
	w->int32_data = model_alloc(m, 3 * sizeof(*w->int32_data));
}

/* ---- external data ---- */

static void say(struct model *m, Onnx__TensorProto *tensor, const char *key, const char *value)
{
	Onnx__StringStringEntryProto *entry = model_alloc(m, sizeof(*entry));

	onnx__string_string_entry_proto__init(entry);
	entry->key = (char *)key;
	entry->value = (char *)value;
	MODEL_APPEND(m, tensor->external_data, tensor->n_external_data, entry);
}

static Onnx__TensorProto *external(struct model *m, const char *location)
{
	Onnx__TensorProto *w = weights(m);

	w->n_float_data = 0;
	w->has_data_location = 1;
	w->data_location = 1;
	if (location)
		say(m, w, "location", location);
	return w;
}

static void external_without_location(struct model *m)
{
	external(m, NULL);
}

static void external_above(struct model *m)
{
	external(m, "../inside.bin");
}

static void external_absolute(struct model *m)
{
	external(m, "/dev/zero");
}

static void external_by_a_link(struct model *m)
{
	external(m, "leads_out.bin");
}

static void external_that_is_not_there(struct model *m)
{
	external(m, "nothing.bin");
}

static void external_offset_of_letters(struct model *m)
{
	say(m, external(m, "inside.bin"), "offset", "ten");
}

static void external_past_the_end(struct model *m)
{
	say(m, external(m, "inside.bin"), "offset", "4");
}

static void external_of_another_length(struct model *m)
{
	say(m, external(m, "inside.bin"), "length", "20");
}

/* ---- sparse tensors ---- */

static Onnx__SparseTensorProto *sparse(struct model *m, const int64_t *indices)
{
	Onnx__SparseTensorProto *tensor = model_alloc(m, sizeof(*tensor));

	good_model(m);
	onnx__sparse_tensor_proto__init(tensor);
	tensor->values = model_floats(m, "w", 1, three, 3, six_floats);
	tensor->indices = model_ints(m, "", 1, three, 3, indices);
	tensor->n_dims = 2;
	tensor->dims = (int64_t *)(uintptr_t)two_by_three;
	MODEL_APPEND(m, graph_of(m)->sparse_initializer, graph_of(m)->n_sparse_initializer, tensor);
	return tensor;
}

static void sparse_without_indices(struct model *m)
{
	model_init(m);
	sparse(m, six_values)->indices = NULL;
}

static void sparse_that_does_not_fit(struct model *m)
{
	Onnx__SparseTensorProto *tensor;

	model_init(m);
	tensor = sparse(m, six_values);
	tensor->indices = model_ints(m, "", 2, two_by_three, 6, six_values);
}

static void sparse_outside(struct model *m)
{
	static const int64_t indices[] = {0, 3, 6};

	model_init(m);
	sparse(m, indices);
}

static void sparse_in_disorder(struct model *m)
{
	static const int64_t indices[] = {3, 1, 2};

	model_init(m);
	sparse(m, indices);
}

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
	Onnx__TrainingInfoProto *info = model_alloc(m, sizeof(*info));
	Onnx__StringStringEntryProto *binding = model_alloc(m, sizeof(*binding));
	Onnx__NodeProto *step = model_make_node(m, "Neg", NAMES("x"), NAMES("w_new"));

	good_model(m);
	onnx__training_info_proto__init(info);
	onnx__string_string_entry_proto__init(binding);
	info->algorithm = model_alloc(m, sizeof(*info->algorithm));
	onnx__graph_proto__init(info->algorithm);
	info->algorithm->name = (char *)"algorithm";
	MODEL_APPEND(m, info->algorithm->node, info->algorithm->n_node, step);
	MODEL_APPEND(m, info->algorithm->output, info->algorithm->n_output,
		     model_value(m, "w_new", FLOAT, 2, two_by_three));
	binding->key = (char *)"w";
	binding->value = (char *)"w_new";
	MODEL_APPEND(m, info->update_binding, info->n_update_binding, binding);
	MODEL_APPEND(m, m->proto.training_info, m->proto.n_training_info, info);
}

#define BAD(build, rule, node)                   \
	{                                        \
#build, rule, node, build, false \
	}
static const struct bad_model models[] = {
	BAD(no_ir_version, "ir-version", ""),
	BAD(ir_version_zero, "ir-version", ""),
	BAD(function_before_its_time, "ir-feature", ""),
	BAD(int4_before_its_time, "ir-feature", ""),
	BAD(no_opset, "opset-missing", ""),
	BAD(domain_not_imported, "opset-missing", "scale"),
	BAD(function_without_opsets, "opset-missing", ""),
	BAD(domain_twice, "opset-duplicate", ""),
	BAD(opset_zero, "opset-version", ""),
	BAD(opset_of_the_future, "opset-unknown", ""),
	BAD(no_graph, "graph-missing", ""),
	BAD(graph_without_name, "graph-name", ""),
	BAD(name_not_utf8, "name-utf8", "a?"),
	BAD(input_without_name, "value-name", ""),
	BAD(output_without_name, "value-name", ""),
	BAD(initializer_without_name, "value-name", ""),
	BAD(input_without_type, "value-type", ""),
	BAD(output_without_type, "value-type", ""),
	BAD(type_of_nothing, "value-type", ""),
	BAD(input_of_type_99, "element-type", ""),
	BAD(initializer_of_type_99, "element-type", ""),
	BAD(negative_dimension, "dimension-negative", ""),
	BAD(two_nodes_write_it, "ssa-duplicate", "again"),
	BAD(node_writes_an_input, "ssa-duplicate", "back"),
	BAD(node_writes_an_initializer, "ssa-duplicate", "over"),
	BAD(node_writes_twice, "ssa-duplicate", "both"),
	BAD(input_twice, "ssa-duplicate", ""),
	BAD(initializer_twice, "ssa-duplicate", ""),
	BAD(branch_that_shadows, "ssa-shadow", "inner"),
	BAD(nothing_writes_it, "name-undefined", "reads"),
	BAD(branch_that_captures_nothing, "name-undefined", "inner"),
	BAD(read_before_written, "node-order", "early"),
	BAD(own_result, "graph-cycle", "snake"),
	BAD(cycle_of_two, "graph-cycle", "hen"),
	BAD(output_of_nothing, "output-undefined", ""),
	BAD(function_output_of_nothing, "output-undefined", ""),
	BAD(no_operator, "operator-missing", "idle"),
	BAD(unknown_operator, "operator-unknown", "odd"),
	BAD(operator_of_a_later_version, "operator-version", "early"),
	BAD(operator_of_implementations, "operator-nonstandard", "norm"),
	BAD(deprecated_operator, "operator-deprecated", "old"),
	BAD(too_few_inputs, "input-count", "half"),
	BAD(too_many_inputs, "input-count", "full"),
	BAD(required_input_left_out, "input-missing", "gap"),
	BAD(too_many_outputs, "output-count", "rich"),
	BAD(no_outputs, "output-count", "sink"),
	BAD(output_left_out, "output-missing", "mute"),
	BAD(attribute_without_name, "attr-name", "leaky"),
	BAD(attribute_twice, "attr-duplicate", "leaky"),
	BAD(unknown_attribute, "attr-unknown", "leaky"),
	BAD(required_attribute_left_out, "attr-required", "join"),
	BAD(attribute_of_wrong_type, "attr-type", "leaky"),
	BAD(attribute_of_no_type, "attr-type", "leaky"),
	BAD(attribute_without_tensor, "attr-content", "empty"),
	BAD(attribute_with_two_values, "attr-content", "leaky"),
	BAD(attribute_value_not_listed, "attr-value", "gelu"),
	BAD(cast_to_nothing, "attr-value", "cast"),
	BAD(scan_of_no_inputs, "attr-value", "scan"),
	BAD(reference_outside_of_functions, "attr-reference", "leaky"),
	BAD(reference_to_no_attribute, "attr-reference", "inner"),
	BAD(operand_of_wrong_type, "type-constraint", "minus"),
	BAD(operands_of_two_types, "type-variable", "mixed"),
	BAD(result_of_another_type, "type-mismatch", "cast"),
	{"result_of_another_shape", "shape-mismatch", "", result_of_another_shape, true},
	{"result_of_another_rank", "shape-mismatch", "", result_of_another_rank, true},
	{"shapes_that_do_not_fit", "shape-inference", "", shapes_that_do_not_fit, true},
	BAD(negative_size, "tensor-dims", ""),
	BAD(contents_in_another_field, "tensor-field", ""),
	BAD(contents_in_two_fields, "tensor-field", ""),
	BAD(too_few_values, "tensor-size", ""),
	BAD(too_many_bytes, "tensor-size", ""),
	BAD(external_of_another_length, "tensor-size", ""),
	BAD(initializer_that_is_no_input, "initializer-input", ""),
	BAD(initializer_of_another_type, "initializer-type", ""),
	BAD(initializer_of_another_shape, "initializer-type", ""),
	BAD(external_without_location, "external-location", ""),
	BAD(external_above, "external-data-outside", ""),
	BAD(external_absolute, "external-data-outside", ""),
	BAD(external_by_a_link, "external-data-outside", ""),
	BAD(external_that_is_not_there, "external-missing", ""),
	BAD(external_offset_of_letters, "external-number", ""),
	BAD(external_past_the_end, "external-range", ""),
	BAD(sparse_without_indices, "sparse-parts", ""),
	BAD(sparse_that_does_not_fit, "sparse-parts", ""),
	BAD(sparse_outside, "sparse-index", ""),
	BAD(sparse_in_disorder, "sparse-order", ""),
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
};

const struct bad_model *bad_model_at(size_t index)
{
	return index < sizeof(models) / sizeof(models[0]) ? &models[index] : NULL;
}

int bad_model_files(const char *folder)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/inside.bin", folder);
	file = fopen(path, "wb");
	if (!file || fwrite(six_floats, sizeof(six_floats), 1, file) != 1 || fclose(file))
		return -1;
	snprintf(path, sizeof(path), "%s/leads_out.bin", folder);
	return symlink("/proc/version", path);
}
