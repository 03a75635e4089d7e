/* SPDX-License-Identifier: MIT */
/* The model, and the names of its graph. See bad_models.h; all begin with the good model. */
#include "tests/unit/check/bad_build.h"

#include <string.h>

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

const struct bad_model bad_graph_models[] = {
	BAD(no_ir_version, "ir-version", ""),
	BAD(ir_version_zero, "ir-version", ""),
	BAD(no_opset, "opset-missing", ""),
	BAD(domain_not_imported, "opset-missing", "scale"),
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
	BAD(nothing_writes_it, "name-undefined", "reads"),
	BAD(read_before_written, "node-order", "early"),
	BAD(own_result, "graph-cycle", "snake"),
	BAD(cycle_of_two, "graph-cycle", "hen"),
	BAD(output_of_nothing, "output-undefined", ""),
	{NULL},
};
