/* SPDX-License-Identifier: MIT */
/* Nodes: operators, operands, attributes, types and shapes. See bad_models.h; all begin with the good model. */
#include "tests/unit/check/bad_build.h"

#include <string.h>

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

const struct bad_model bad_node_models[] = {
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
	BAD(reference_outside_of_functions, "attr-reference", "leaky"),
	BAD(operand_of_wrong_type, "type-constraint", "minus"),
	BAD(operands_of_two_types, "type-variable", "mixed"),
	BAD(result_of_another_type, "type-mismatch", "cast"),
	BAD_FILE(result_of_another_shape, "shape-mismatch", ""),
	BAD_FILE(result_of_another_rank, "shape-mismatch", ""),
	BAD_FILE(shapes_that_do_not_fit, "shape-inference", ""),
	{NULL},
};
