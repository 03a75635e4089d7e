/* SPDX-License-Identifier: MIT */
/* Which models' rows go through them side by side, so that requests can be joined: compile_check_rows(). To be too careful is no error. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/compiler.h"
#include "tests/unit/control/body.h"

/* A model with one input x[N, 4, 6] and whatever @make adds. 0, or what compile_check_rows() said, with its text. */
static int check(void (*make)(struct model *model), char *error, size_t size)
{
	struct model model;
	int err;

	model_init(&model);
	model_input(&model, "x", FLOAT, 3, DIMS(1, 4, 6));
	body_symbol(&model, 0, 0, "N");
	make(&model);
	err = compile_check_rows(body_file(&model), error, size);
	model_finish(&model);
	return err;
}

static Onnx__NodeProto *node(struct model *model, const char *op_type, const char *const *inputs, const char *output)
{
	return model_node(model, op_type, inputs, NAMES(output));
}

static void constant(struct model *model, const char *name, size_t rank, const int64_t *dims)
{
	float ones[64];
	size_t count = 1;

	for (size_t d = 0; d < rank; d++)
		count *= (size_t)dims[d];
	assert_in_range(count, 1, 64);
	for (size_t i = 0; i < count; i++)
		ones[i] = 1;
	model_initializer(model, model_floats(model, name, rank, dims, count, ones));
}

static void integers(struct model *model, const char *name, size_t count, const int64_t *values)
{
	model_initializer(model, model_ints(model, name, 1, (const int64_t[]){(int64_t)count}, count, values));
}

/* ---- side by side ---- */

/* One of many: by element, with constants that broadcast, products, normalizations, along other axes, reshaped. */
static void make_chain(struct model *model)
{
	constant(model, "bias", 1, DIMS(6));
	constant(model, "one", 3, DIMS(1, 4, 1));
	constant(model, "weights", 2, DIMS(6, 8));
	constant(model, "more", 2, DIMS(8, 4));
	integers(model, "flat", 2, DIMS(-1, 32));
	integers(model, "back", 3, DIMS(0, 8, 4));
	integers(model, "axes", 1, DIMS(1));
	node(model, "Add", NAMES("x", "bias"), "a");
	node(model, "Mul", NAMES("one", "a"), "b");
	node(model, "MatMul", NAMES("b", "weights"), "c");
	body_int(model, node(model, "Softmax", NAMES("c"), "d"), "axis", 1);
	node(model, "Reshape", NAMES("d", "flat"), "e");
	node(model, "Reshape", NAMES("e", "back"), "f");
	body_ints(model, node(model, "Transpose", NAMES("f"), "g"), "perm", 3, DIMS(0, 2, 1));
	node(model, "MatMul", NAMES("g", "f"), "h");
	node(model, "ReduceSum", NAMES("h", "axes"), "i");
	body_int(model, node(model, "Flatten", NAMES("i"), "j"), "axis", 1);
	body_int(model, node(model, "Concat", NAMES("j", "j"), "k"), "axis", 1);
	node(model, "Gemm", NAMES("k", "more"), "y");
	model_output(model, "y");
}

/* As exporters write it: the new shape is made of the old one. */
static void make_shape_of_rows(struct model *model)
{
	integers(model, "first", 1, DIMS(0));
	integers(model, "rest", 1, DIMS(24));
	node(model, "Shape", NAMES("x"), "shape");
	node(model, "Gather", NAMES("shape", "first"), "count");
	body_int(model, node(model, "Concat", NAMES("count", "rest"), "wanted"), "axis", 0);
	node(model, "Reshape", NAMES("x", "wanted"), "y");
	model_output(model, "y");
}

static void rows_that_go_side_by_side_are_seen(void **state)
{
	static void (*const makes[])(struct model *) = {make_chain, make_shape_of_rows};
	char error[256] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(makes) / sizeof(makes[0]); i++)
		if (check(makes[i], error, sizeof(error)))
			fail_msg("model %zu: %s", i, error);
}

/* Networks of images. (PyTorch's own encoder puts its rows into the second dimension on the way.) */
static void networks_are_seen(void **state)
{
	static const char *const models[] = {"digits/digits.onnx", "exported/torch_cnn/model.onnx"};

	(void)state;
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		char path[512], error[256] = "";

		snprintf(path, sizeof(path), "%s/%s", getenv("AXL_TEST_MODELS"), models[i]);
		if (compile_check_rows(path, error, sizeof(error)))
			fail_msg("%s: %s", models[i], error);
	}
}

/* ---- not so ---- */

static void make_softmax_over_rows(struct model *model)
{
	body_int(model, node(model, "Softmax", NAMES("x"), "y"), "axis", 0);
	model_output(model, "y");
}

static void make_mean_over_rows(struct model *model)
{
	body_ints(model, node(model, "ReduceMean", NAMES("x"), "mean"), "axes", 1, DIMS(0));
	node(model, "Sub", NAMES("x", "mean"), "y");
	model_output(model, "y");
}

static void make_transposed(struct model *model)
{
	body_ints(model, node(model, "Transpose", NAMES("x"), "y"), "perm", 3, DIMS(1, 0, 2));
	model_output(model, "y");
}

/* x / N: the number of rows as data, though nothing moves from row to row. */
static void make_by_count(struct model *model)
{
	integers(model, "first", 1, DIMS(0));
	node(model, "Shape", NAMES("x"), "shape");
	node(model, "Gather", NAMES("shape", "first"), "count");
	body_int(model, node(model, "Cast", NAMES("count"), "number"), "to", FLOAT);
	node(model, "Div", NAMES("x", "number"), "y");
	model_output(model, "y");
}

/* [N, 4, 6] to [4, N, 6] by bytes: rows lie elsewhere. */
static void make_rows_reshaped_away(struct model *model)
{
	integers(model, "shape", 3, DIMS(4, -1, 6));
	node(model, "Reshape", NAMES("x", "shape"), "y");
	model_output(model, "y");
}

/* Each row by all others. */
static void make_attention_between_rows(struct model *model)
{
	body_int(model, node(model, "Flatten", NAMES("x"), "a"), "axis", 1);
	body_ints(model, node(model, "Transpose", NAMES("a"), "b"), "perm", 2, DIMS(1, 0));
	node(model, "MatMul", NAMES("a", "b"), "c");
	node(model, "MatMul", NAMES("c", "a"), "y");
	model_output(model, "y");
}

static void make_joined_with_constant(struct model *model)
{
	constant(model, "more", 3, DIMS(1, 4, 6));
	body_int(model, node(model, "Concat", NAMES("x", "more"), "y"), "axis", 0);
	model_output(model, "y");
}

static void make_unknown(struct model *model)
{
	model_initializer(model, model_ints(model, "axis", 0, NULL, 1, DIMS(1)));
	node(model, "CumSum", NAMES("x", "axis"), "y");
	model_output(model, "y");
}

static void make_training(struct model *model)
{
	constant(model, "s", 1, DIMS(4));
	body_int(model, node(model, "BatchNormalization", NAMES("x", "s", "s", "s", "s"), "y"), "training_mode", 1);
	model_output(model, "y");
}

static void make_constant_output(struct model *model)
{
	constant(model, "c", 2, DIMS(2, 2));
	node(model, "Relu", NAMES("x"), "y");
	node(model, "Neg", NAMES("c"), "z");
	model_output(model, "y");
	model_output(model, "z");
}

static void make_second_input(struct model *model)
{
	model_input(model, "w", FLOAT, 3, DIMS(1, 4, 6));
	node(model, "Add", NAMES("x", "w"), "y");
	model_output(model, "y");
}

static void make_other_name(struct model *model)
{
	make_second_input(model);
	body_symbol(model, 1, 0, "M");
}

static void make_square(struct model *model)
{
	body_symbol(model, 0, 1, "N");
	node(model, "Relu", NAMES("x"), "y");
	model_output(model, "y");
}

static void make_branch(struct model *model)
{
	Onnx__NodeProto *branch;

	model_input(model, "which", BOOL, 1, DIMS(1));
	body_symbol(model, 1, 0, "N");
	branch = node(model, "If", NAMES("which"), "y");
	for (int i = 0; i < 2; i++) {
		Onnx__GraphProto *body = body_of(model, branch, i ? "then_branch" : "else_branch");

		body_node(model, body, i ? "Neg" : "Relu", NAMES("x"), NAMES(i ? "n" : "r"));
		body_output(model, body, i ? "n" : "r", FLOAT);
	}
	model_output(model, "y");
}

static void rows_that_may_meet_are_refused(void **state)
{
	static const struct {
		void (*make)(struct model *model);
		const char *text;
	} cases[] = {
		{make_softmax_over_rows, "Softmax"},     {make_mean_over_rows, "ReduceMean"},
		{make_transposed, "Transpose"},          {make_by_count, "Div"},
		{make_rows_reshaped_away, "Reshape"},    {make_attention_between_rows, "Transpose"},
		{make_joined_with_constant, "Concat"},   {make_unknown, "CumSum"},
		{make_training, "BatchNormalization"},   {make_constant_output, "output z"},
		{make_second_input, "input w"},          {make_other_name, "input w"},
		{make_square, "dimension 1 of input x"}, {make_branch, "If"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char error[256] = "";
		int err = check(cases[i].make, error, sizeof(error));

		if (err != -ENOTSUP || !strstr(error, cases[i].text))
			fail_msg("case %zu: %d, '%s' without '%s'", i, err, error, cases[i].text);
	}
}

static void files_that_are_none_are_errors(void **state)
{
	char error[256] = "";

	(void)state;
	assert_int_equal(compile_check_rows("/none.onnx", error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "none.onnx"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_that_go_side_by_side_are_seen),
		cmocka_unit_test(networks_are_seen),
		cmocka_unit_test(rows_that_may_meet_are_refused),
		cmocka_unit_test(files_that_are_none_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
