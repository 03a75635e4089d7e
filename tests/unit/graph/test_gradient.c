// SPDX-License-Identifier: MIT
/*
 * Gradient: the derivative of every operator with a rule against differences of what the operator itself computes, in
 * double; what has no rule is refused by name.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/graph/gradient_case.h"

/* ---- every rule ---- */

/*
 * struct rule_case - target = op(a, b) * w; @a and @b: shapes, rank first, 0: no such input
 * @numbers: an int64 input behind them, count first
 * @attr:    an integer attribute
 */
static const struct rule_case {
	const char *op;
	int64_t a[4], b[4], numbers[4];
	const char *attr;
	int64_t attr_value;
} rule_cases[] = {
	{"Abs", {2, 2, 3}},
	{"Add", {2, 2, 3}, {1, 3}},
	{"Add", {2, 2, 1}, {3, 4, 1, 3}},
	{"Sub", {1, 3}, {2, 2, 3}},
	{"Mul", {2, 2, 3}, {2, 2, 1}},
	{"Mul", {2, 2, 3}, {2, 2, 3}},
	{"Div", {2, 2, 3}, {1, 3}},
	{"Pow", {2, 2, 3}, {1, 3}},
	{"Sum", {2, 2, 3}, {1, 1}},
	{"Max", {2, 2, 3}, {1, 3}},
	{"Min", {2, 2, 3}, {2, 2, 1}},
	{"Concat", {2, 2, 3}, {2, 2, 4}, {0}, "axis", -1},
	{"Concat", {2, 2, 3}, {2, 1, 3}, {0}, "axis", 0},
	{"Cos", {2, 2, 3}},
	{"Erf", {1, 5}},
	{"Exp", {1, 5}},
	{"Identity", {1, 5}},
	{"LeakyRelu", {1, 5}},
	{"Log", {1, 5}},
	{"Neg", {1, 5}},
	{"Reciprocal", {1, 5}},
	{"Relu", {1, 5}},
	{"Sigmoid", {1, 5}},
	{"Sin", {1, 5}},
	{"Softplus", {1, 5}},
	{"Sqrt", {1, 5}},
	{"Tanh", {1, 5}},
	{"Softmax", {2, 2, 4}},
	{"Softmax", {2, 2, 4}, {0}, {0}, "axis", 0},
	{"LogSoftmax", {2, 2, 4}},
	{"MatMul", {2, 2, 3}, {2, 3, 4}},
	{"MatMul", {3, 2, 2, 3}, {2, 3, 2}},
	{"Gemm", {2, 2, 3}, {2, 3, 4}},
	{"Gemm", {2, 3, 2}, {2, 3, 4}, {0}, "transA", 1},
	{"Gemm", {2, 2, 3}, {2, 4, 3}, {0}, "transB", 1},
	{"Flatten", {3, 2, 3, 2}},
	{"Transpose", {3, 2, 3, 4}},
	{"Reshape", {2, 2, 3}, {0}, {1, 6}},
	{"Expand", {2, 2, 1}, {0}, {2, 2, 3}},
	{"Squeeze", {2, 1, 3}, {0}, {1, 0}},
	{"Unsqueeze", {1, 3}, {0}, {1, 1}},
	{"ReduceSum", {2, 2, 3}, {0}, {1, 1}},
	{"ReduceSum", {2, 2, 3}, {0}, {1, 0}, "keepdims", 0},
	{"ReduceSum", {2, 2, 3}, {0}, {0}, "keepdims", 0},
	{"ReduceMean", {2, 2, 3}},
	{"ReduceMean", {2, 2, 3}, {0}, {0}, "keepdims", 0},
};

static void add_operator(struct model *model, const struct rule_case *c)
{
	const char *inputs[4] = {"a"};
	int used = 1;
	Onnx__NodeProto *node;

	model_input(model, "a", DOUBLE, (size_t)c->a[0], c->a + 1);
	if (c->b[0]) {
		model_input(model, "b", DOUBLE, (size_t)c->b[0], c->b + 1);
		inputs[used++] = "b";
	}
	if (c->numbers[0]) {
		model_initializer(model,
				  model_ints(model, "numbers", 1, c->numbers, (size_t)c->numbers[0], c->numbers + 1));
		inputs[used++] = "numbers";
	}
	node = model_node(model, c->op, inputs, NAMES("out"));
	if (c->attr) {
		Onnx__AttributeProto *attr = model_attribute(model, node, c->attr, ATTR_INT);

		attr->i = c->attr_value;
		attr->has_i = 1;
	}
}

/* Between 0.5 and 2.5, and below zero for every other one where the operator takes that. */
static void fill(struct tensor *t, const char *op, int seed)
{
	bool positive = !strcmp(op, "Log") || !strcmp(op, "Sqrt") || !strcmp(op, "Pow");

	for (int64_t i = 0; i < tensor_count(t); i++)
		((double *)t->data)[i] = (0.5 + (double)((i * 7 + seed) % 11) / 5) * (positive || i % 2 ? 1 : -1);
}

/* The target weighs the output with sines of itself: a wrong element can not hide in the sum. */
static void rules_are_what_differences_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rule_cases) / sizeof(rule_cases[0]); i++) {
		const struct rule_case *c = &rule_cases[i];
		bool two = c->b[0];
		struct model model;
		struct run run;

		model_init(&model);
		model_opset(&model, "ai.onnx.preview.training", 1);
		add_operator(&model, c);
		model_node(&model, "Sin", NAMES("out"), NAMES("sines"));
		model_node(&model, "Mul", NAMES("out", "sines"), NAMES("target"));
		add_gradient(&model, two ? NAMES("a", "b") : NAMES("a"), two ? NAMES("da", "db") : NAMES("da"),
			     "target");
		model_output(&model, "target");
		model_output(&model, "da");
		if (two)
			model_output(&model, "db");
		start(&run, &model);
		fill(value_of(&run, "a"), c->op, 1);
		if (two)
			fill(value_of(&run, "b"), c->op, 3);
		check_derivative(&run, c->op, "a", "da");
		if (two)
			check_derivative(&run, c->op, "b", "db");
		finish(&run);
		model_finish(&model);
	}
}

/* Two layers with an activation: ranks between them are not known at import. */
static void networks_are_differentiated(void **state)
{
	static const int64_t x[] = {3, 4}, w1[] = {4, 5}, b1[] = {5}, w2[] = {5, 2};
	static const char *const variables[] = {"w1", "b1", "w2", NULL};
	struct model model;
	struct run run;

	(void)state;
	model_init(&model);
	model_opset(&model, "ai.onnx.preview.training", 1);
	model_input(&model, "x", DOUBLE, 2, x);
	model_input(&model, "w1", DOUBLE, 2, w1);
	model_input(&model, "b1", DOUBLE, 1, b1);
	model_input(&model, "w2", DOUBLE, 2, w2);
	model_node(&model, "MatMul", NAMES("x", "w1"), NAMES("xw"));
	model_node(&model, "Add", NAMES("xw", "b1"), NAMES("h"));
	model_node(&model, "Tanh", NAMES("h"), NAMES("t"));
	model_node(&model, "MatMul", NAMES("t", "w2"), NAMES("logits"));
	model_node(&model, "LogSoftmax", NAMES("logits"), NAMES("logs"));
	model_node(&model, "Mul", NAMES("logs", "logs"), NAMES("squares"));
	model_node(&model, "ReduceMean", NAMES("squares"), NAMES("target"));
	add_gradient(&model, variables, NAMES("dw1", "db1", "dw2"), "target");
	model_output(&model, "target");
	model_output(&model, "dw1");
	model_output(&model, "db1");
	model_output(&model, "dw2");
	start(&run, &model);
	fill(value_of(&run, "x"), "", 2);
	for (int i = 0; variables[i]; i++)
		fill(value_of(&run, variables[i]), "", i);
	check_derivative(&run, "network", "w1", "dw1");
	check_derivative(&run, "network", "b1", "db1");
	check_derivative(&run, "network", "w2", "dw2");
	finish(&run);
	model_finish(&model);
}

/* x^3 differentiated twice is 6 x; what the target does not depend on is zero. */
static void gradients_have_gradients(void **state)
{
	static const int64_t dims[] = {3};
	struct model model;
	struct run run;

	(void)state;
	model_init(&model);
	model_opset(&model, "ai.onnx.preview.training", 1);
	model_input(&model, "x", DOUBLE, 1, dims);
	model_input(&model, "z", DOUBLE, 1, dims);
	model_node(&model, "Mul", NAMES("x", "x"), NAMES("x2"));
	model_node(&model, "Mul", NAMES("x2", "x"), NAMES("x3"));
	add_gradient(&model, NAMES("x"), NAMES("dx"), "x3");
	add_gradient(&model, NAMES("x", "z"), NAMES("ddx", "dz"), "dx");
	model_output(&model, "ddx");
	model_output(&model, "dz");
	start(&run, &model);
	memcpy(value_of(&run, "x")->data, (double[]){1, -2, 3}, 24);
	execute(&run);
	for (int i = 0; i < 3; i++) {
		assert_true(fabs(((double *)value_of(&run, "ddx")->data)[i] - (double[]){6, -12, 18}[i]) < 1e-12);
		assert_true(((double *)value_of(&run, "dz")->data)[i] == 0);
	}
	finish(&run);
	model_finish(&model);
}

/* The target is sum(sin(x) * z) of x and z; its derivatives at v and w. The graph's own x and z stay what they are. */
static void derivatives_are_taken_at_the_inputs(void **state)
{
	static const int64_t dims[] = {2};
	Onnx__AttributeProto *zs;
	Onnx__NodeProto *node;
	ProtobufCBinaryData name = {1, NULL};
	struct model model;
	struct run run;

	(void)state;
	model_init(&model);
	model_opset(&model, "ai.onnx.preview.training", 1);
	model_input(&model, "x", DOUBLE, 1, dims);
	model_input(&model, "z", DOUBLE, 1, dims);
	model_input(&model, "v", DOUBLE, 1, dims);
	model_input(&model, "w", DOUBLE, 1, dims);
	node = add_gradient(&model, NAMES("x"), NAMES("dx"), "y");
	node->input[0] = (char *)(uintptr_t) "v";
	MODEL_APPEND(&model, node->input, node->n_input, (char *)(uintptr_t) "w");
	zs = model_attribute(&model, node, "zs", ATTR_STRINGS);
	name.data = model_alloc(&model, 1);
	name.data[0] = 'z';
	MODEL_APPEND(&model, zs->strings, zs->n_strings, name);
	/* Behind the node that differentiates them. */
	model_node(&model, "Sin", NAMES("x"), NAMES("sine"));
	model_node(&model, "Mul", NAMES("sine", "z"), NAMES("product"));
	model_node(&model, "ReduceSum", NAMES("product"), NAMES("y"));
	model_output(&model, "dx");
	model_output(&model, "y");
	start(&run, &model);
	memcpy(value_of(&run, "x")->data, (double[]){1, 2}, 16);
	memcpy(value_of(&run, "z")->data, (double[]){1, 1}, 16);
	memcpy(value_of(&run, "v")->data, (double[]){0.25, -0.5}, 16);
	memcpy(value_of(&run, "w")->data, (double[]){3, 5}, 16);
	execute(&run);
	assert_true(fabs(((double *)value_of(&run, "dx")->data)[0] - 3 * cos(0.25)) < 1e-12);
	assert_true(fabs(((double *)value_of(&run, "dx")->data)[1] - 5 * cos(-0.5)) < 1e-12);
	assert_true(fabs(*(double *)value_of(&run, "y")->data - (sin(1) + sin(2))) < 1e-12);
	finish(&run);
	model_finish(&model);
}

/* What is between the limits counts for x, what was cut off for the limit. */
static void clipped_elements_count_for_the_limits(void **state)
{
	static const int64_t dims[] = {4};
	struct model model;
	struct run run;

	(void)state;
	model_init(&model);
	model_opset(&model, "ai.onnx.preview.training", 1);
	model_input(&model, "x", DOUBLE, 1, dims);
	model_input(&model, "low", DOUBLE, 0, NULL);
	model_input(&model, "high", DOUBLE, 0, NULL);
	model_node(&model, "Clip", NAMES("x", "low", "high"), NAMES("y"));
	model_node(&model, "Mul", NAMES("y", "y"), NAMES("target"));
	add_gradient(&model, NAMES("x", "low", "high"), NAMES("dx", "dlow", "dhigh"), "target");
	model_output(&model, "dx");
	model_output(&model, "dlow");
	model_output(&model, "dhigh");
	start(&run, &model);
	memcpy(value_of(&run, "x")->data, (double[]){-3, -0.5, 0.75, 8}, 32);
	*(double *)value_of(&run, "low")->data = -1;
	*(double *)value_of(&run, "high")->data = 2;
	execute(&run);
	for (int i = 0; i < 4; i++)
		assert_true(((double *)value_of(&run, "dx")->data)[i] == ((double[]){0, -1, 1.5, 0})[i]);
	assert_true(*(double *)value_of(&run, "dlow")->data == -2);
	assert_true(*(double *)value_of(&run, "dhigh")->data == 4);
	finish(&run);
	model_finish(&model);
}

/* ---- what is refused ---- */

static void refused(const struct model *model, int err, const char *says)
{
	struct graph *graph;
	char error[500] = "";
	int got = import(model, &graph, error, sizeof(error));

	if (!got)
		graph_destroy(graph);
	if (got != err || !strstr(error, says))
		fail_msg("%d '%s', expected %d and '%s'", got, error, err, says);
}

static void begin(struct model *model, const char *op)
{
	static const int64_t dims[] = {2, 2};

	model_init(model);
	model_opset(model, "ai.onnx.preview.training", 1);
	model_input(model, "x", DOUBLE, 2, dims);
	model_input(model, "v", DOUBLE, 1, dims);
	if (!strcmp(op, "BatchNormalization"))
		model_node(model, op, NAMES("x", "v", "v", "v", "v"), NAMES("other", "y"));
	else
		model_node(model, op, NAMES("x"), NAMES("y"));
	model_output(model, "dx");
}

static void what_has_no_rule_is_named(void **state)
{
	static const struct {
		const char *op, *text;
	} cases[] = {
		{"Det", "no rule for the derivative of Det, opset 17"},
		{"BatchNormalization", "no rule for the derivative of output 1 of BatchNormalization"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct model model;

		begin(&model, cases[i].op);
		add_gradient(&model, NAMES("x"), NAMES("dx"), "y");
		refused(&model, -ENOTSUP, cases[i].text);
		model_finish(&model);
	}
}

static void bad_names_are_refused(void **state)
{
	Onnx__NodeProto *node;
	struct model model;

	(void)state;
	begin(&model, "Sin");
	add_gradient(&model, NAMES("x"), NAMES("dx"), "nowhere");
	refused(&model, -EINVAL, "no value is called nowhere (attribute y)");
	model_finish(&model);

	begin(&model, "Sin");
	node = add_gradient(&model, NAMES("x"), NAMES("dx"), "y");
	node->input[0] = (char *)(uintptr_t) "";
	refused(&model, -EINVAL, "input 0 is missing");
	model_finish(&model);

	begin(&model, "Sin");
	add_gradient(&model, NAMES("x"), NAMES("dx", "more"), "y");
	refused(&model, -EINVAL, "1 inputs and 2 outputs for 1 names in xs");
	model_finish(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_what_differences_say),
		cmocka_unit_test(networks_are_differentiated),
		cmocka_unit_test(gradients_have_gradients),
		cmocka_unit_test(derivatives_are_taken_at_the_inputs),
		cmocka_unit_test(clipped_elements_count_for_the_limits),
		cmocka_unit_test(what_has_no_rule_is_named),
		cmocka_unit_test(bad_names_are_refused),
	};

	return cmocka_run_group_tests_name("gradient", tests, NULL, NULL);
}
