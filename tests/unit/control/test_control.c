/* SPDX-License-Identifier: MIT */
/* Branches and loops through the whole stack: imported, compiled, packaged, run in sessions. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/control/body.h"

static const char *const devices[] = {"cpu", "sim:"};

/*
 * (a, b) becomes (b, a + b): one loop-carried value goes through untouched, and both change places. Scan output: a of every
 * iteration. Inputs: the trip count, the condition, a and b.
 */
static void fibonacci(struct model *model)
{
	Onnx__GraphProto *body;

	model_init(model);
	model_input(model, "trips", INT64, 0, NULL);
	model_input(model, "go", BOOL, 0, NULL);
	model_input(model, "a", FLOAT, 1, DIMS(2));
	model_input(model, "b", FLOAT, 1, DIMS(2));
	body = body_of(model, model_node(model, "Loop", NAMES("trips", "go", "a", "b"), NAMES("x", "y", "all")),
		       "body");
	body_input(model, body, "i", INT64, 0, NULL);
	body_input(model, body, "c", BOOL, 0, NULL);
	body_input(model, body, "p", FLOAT, -1, NULL);
	body_input(model, body, "q", FLOAT, -1, NULL);
	body_node(model, body, "Add", NAMES("p", "q"), NAMES("sum"));
	body_node(model, body, "Identity", NAMES("p"), NAMES("each"));
	body_output(model, body, "c", BOOL);
	body_output(model, body, "q", FLOAT);
	body_output(model, body, "sum", FLOAT);
	body_output(model, body, "each", FLOAT);
	model_output(model, "x");
	model_output(model, "y");
	model_output(model, "all");
}

static void loop_carried_values_change_places(void **state)
{
	struct model model;
	char error[512] = "";

	(void)state;
	fibonacci(&model);
	for (size_t d = 0; d < 2; d++) {
		struct accel_session *session = body_session(&model, devices[d], error);
		int64_t trips = 10;
		bool go = true;
		float a[2] = {0, 0}, b[2] = {1, 10};
		struct accel_tensor inputs[4] = {ints_of(&trips, 0, NULL),
						 {.dtype = BOOL, .data = &go, .size = 1},
						 floats_of(a, 1, DIMS(2)),
						 floats_of(b, 1, DIMS(2))};

		if (!session)
			fail_msg("%s", error);
		for (int run = 0; run < 3; run++) { /* the memory of the first run serves the others */
			struct accel_tensor outputs[3] = {0};

			trips = 10 - run;
			if (accel_session_run(session, inputs, 4, outputs, 3, error, sizeof(error)))
				fail_msg("%s", error);
			assert_true(((float *)outputs[0].data)[0] == (run == 0 ? 55.0f : run == 1 ? 34.0f : 21.0f));
			assert_true(((float *)outputs[1].data)[1] == (run == 0 ? 890.0f : run == 1 ? 550.0f : 340.0f));
			assert_int_equal(outputs[2].rank, 2);
			assert_int_equal(outputs[2].dims[0], trips);
			assert_true(((float *)outputs[2].data)[2 * 7] == 13.0f);
		}
		accel_session_destroy(session);
	}
	model_finish(&model);
}

static void a_loop_that_does_not_run_gives_what_it_got(void **state)
{
	struct model model;
	struct accel_session *session;
	char error[512] = "";
	int64_t trips = 5;
	bool go = false;
	float a[2] = {3, 4}, b[2] = {5, 6};
	struct accel_tensor inputs[4] = {ints_of(&trips, 0, NULL),
					 {.dtype = BOOL, .data = &go, .size = 1},
					 floats_of(a, 1, DIMS(2)),
					 floats_of(b, 1, DIMS(2))};
	struct accel_tensor outputs[3] = {0};

	(void)state;
	fibonacci(&model);
	session = body_session(&model, "cpu", error);
	assert_non_null(session);
	assert_int_equal(accel_session_run(session, inputs, 4, outputs, 3, error, sizeof(error)), 0);
	assert_memory_equal(outputs[0].data, a, sizeof(a));
	assert_memory_equal(outputs[1].data, b, sizeof(b));
	assert_int_equal(outputs[2].dims[0], 0);
	accel_session_destroy(session);
	model_finish(&model);
}

/* Doubles x while it is below the limit, which the body captures. */
static void a_condition_ends_a_loop(void **state)
{
	struct model model;
	struct accel_session *session;
	Onnx__GraphProto *body;
	char error[512] = "";
	float x = 3, limit = 100;
	struct accel_tensor inputs[2] = {floats_of(&x, 0, NULL), floats_of(&limit, 0, NULL)}, output = {0};

	(void)state;
	model_init(&model);
	model_input(&model, "x", FLOAT, 0, NULL);
	model_input(&model, "limit", FLOAT, 0, NULL);
	model_node(&model, "Less", NAMES("x", "limit"), NAMES("start"));
	body = body_of(&model, model_node(&model, "Loop", NAMES("", "start", "x"), NAMES("y")), "body");
	body_input(&model, body, "i", INT64, 0, NULL);
	body_input(&model, body, "c", BOOL, 0, NULL);
	body_input(&model, body, "v", FLOAT, -1, NULL);
	body_node(&model, body, "Add", NAMES("v", "v"), NAMES("twice"));
	body_node(&model, body, "Less", NAMES("twice", "limit"), NAMES("more"));
	body_output(&model, body, "more", BOOL);
	body_output(&model, body, "twice", FLOAT);
	model_output(&model, "y");
	session = body_session(&model, "sim:", error);
	if (!session)
		fail_msg("%s", error);
	assert_int_equal(accel_session_run(session, inputs, 2, &output, 1, error, sizeof(error)), 0);
	assert_true(*(float *)output.data == 192);
	x = 200;
	assert_int_equal(accel_session_run(session, inputs, 2, &output, 1, error, sizeof(error)), 0);
	assert_true(*(float *)output.data == 200);
	accel_session_destroy(session);
	model_finish(&model);
}

static void a_loop_without_an_end_is_refused(void **state)
{
	struct model model;
	struct accel_session *session;
	Onnx__GraphProto *body;
	char error[512] = "";
	float x = 3;
	struct accel_tensor input = floats_of(&x, 0, NULL), output = {0};

	(void)state;
	model_init(&model);
	model_input(&model, "x", FLOAT, 0, NULL);
	body = body_of(&model, model_node(&model, "Loop", NAMES("", "", "x"), NAMES("y")), "body");
	body_input(&model, body, "i", INT64, 0, NULL);
	body_input(&model, body, "c", BOOL, 0, NULL);
	body_input(&model, body, "v", FLOAT, -1, NULL);
	body_output(&model, body, "c", BOOL);
	body_output(&model, body, "v", FLOAT);
	model_output(&model, "y");
	session = body_session(&model, "cpu", error);
	if (!session)
		fail_msg("%s", error);
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "never end"));
	accel_session_destroy(session);
	model_finish(&model);
}

/* The sums of columns from the last to the first, each put behind the last axis, the first of them last. */
static void scans_take_axes_and_directions(void **state)
{
	struct model model;
	struct accel_session *session;
	Onnx__GraphProto *body;
	Onnx__NodeProto *scan;
	char error[512] = "";
	float zero[2] = {0, 0}, x[6] = {1, 2, 3, 10, 20, 30};
	static const float sums[6] = {6, 5, 3, 60, 50, 30};
	struct accel_tensor inputs[2] = {floats_of(zero, 1, DIMS(2)), floats_of(x, 2, DIMS(2, 3))}, outputs[2] = {0};

	(void)state;
	model_init(&model);
	model_input(&model, "zero", FLOAT, 1, DIMS(2));
	model_input(&model, "x", FLOAT, 2, DIMS(2, 3));
	scan = model_node(&model, "Scan", NAMES("zero", "x"), NAMES("last", "sums"));
	body_int(&model, scan, "num_scan_inputs", 1);
	body_ints(&model, scan, "scan_input_axes", 1, DIMS(1));
	body_ints(&model, scan, "scan_input_directions", 1, DIMS(1));
	body_ints(&model, scan, "scan_output_axes", 1, DIMS(-1));
	body_ints(&model, scan, "scan_output_directions", 1, DIMS(1));
	body = body_of(&model, scan, "body");
	body_input(&model, body, "s", FLOAT, -1, NULL);
	body_input(&model, body, "column", FLOAT, -1, NULL);
	body_node(&model, body, "Add", NAMES("s", "column"), NAMES("t"));
	body_output(&model, body, "t", FLOAT);
	body_output(&model, body, "t", FLOAT); /* one value, two outputs */
	model_output(&model, "last");
	model_output(&model, "sums");
	session = body_session(&model, "cpu", error);
	if (!session)
		fail_msg("%s", error);
	for (int run = 0; run < 2; run++) {
		memset(outputs, 0, sizeof(outputs));
		if (accel_session_run(session, inputs, 2, outputs, 2, error, sizeof(error)))
			fail_msg("%s", error);
		assert_true(((float *)outputs[0].data)[1] == 60);
		assert_int_equal(outputs[1].dims[1], 3);
		assert_memory_equal(outputs[1].data, sums, sizeof(sums));
	}
	accel_session_destroy(session);
	model_finish(&model);
}

/* A branch in a branch: both levels read the model's input, the inner one a value of the outer, too. */
static void bodies_capture_through_two_levels(void **state)
{
	struct model model;
	char error[512] = "";

	(void)state;
	model_init(&model);
	model_input(&model, "which", BOOL, 0, NULL);
	model_input(&model, "x", FLOAT, 1, DIMS(4));
	model_node(&model, "Relu", NAMES("x"), NAMES("positive"));
	{
		Onnx__NodeProto *outer = model_node(&model, "If", NAMES("which"), NAMES("y"));
		Onnx__GraphProto *then = body_of(&model, outer, "then_branch"), *otherwise, *deep;
		Onnx__NodeProto *inner;

		body_node(&model, then, "Add", NAMES("positive", "x"), NAMES("sum"));
		inner = body_node(&model, then, "If", NAMES("which"), NAMES("z"));
		deep = body_of(&model, inner, "then_branch");
		body_node(&model, deep, "Mul", NAMES("sum", "x"), NAMES("product"));
		body_output(&model, deep, "product", FLOAT);
		deep = body_of(&model, inner, "else_branch");
		body_output(&model, deep, "x", FLOAT);
		body_output(&model, then, "z", FLOAT);
		otherwise = body_of(&model, outer, "else_branch");
		body_output(&model, otherwise, "positive", FLOAT); /* handed out as it is */
	}
	model_output(&model, "y");
	for (size_t d = 0; d < 2; d++) {
		struct accel_session *session = body_session(&model, devices[d], error);
		float x[4] = {-1, 2, -3, 4};
		static const float taken[4] = {1, 8, 9, 32}, left[4] = {0, 2, 0, 4};
		bool which = true;
		struct accel_tensor inputs[2] = {{.dtype = BOOL, .data = &which, .size = 1}, floats_of(x, 1, DIMS(4))};
		struct accel_tensor output = {0};

		if (!session)
			fail_msg("%s", error);
		assert_int_equal(accel_session_run(session, inputs, 2, &output, 1, error, sizeof(error)), 0);
		assert_memory_equal(output.data, taken, sizeof(taken));
		which = false;
		output.data = NULL;
		assert_int_equal(accel_session_run(session, inputs, 2, &output, 1, error, sizeof(error)), 0);
		assert_memory_equal(output.data, left, sizeof(left));
		accel_session_destroy(session);
	}
	model_finish(&model);
}

/* A known condition: the branch's nodes stand in the model's graph, where the device can have them. */
static void a_branch_that_is_always_taken_is_no_branch(void **state)
{
	struct model model;
	struct accel_session *session;
	struct accel_run_stats stats;
	Onnx__NodeProto *node;
	Onnx__GraphProto *body;
	char error[512] = "";
	float x[4] = {-1, 2, -3, 4};
	static const float relu[4] = {0, 2, 0, 4};
	struct accel_tensor input = floats_of(x, 1, DIMS(4)), output = {0};

	(void)state;
	model_init(&model);
	model_input(&model, "x", FLOAT, 1, DIMS(4));
	model_initializer(&model, model_ints(&model, "four", 1, DIMS(1), 1, DIMS(4)));
	model_node(&model, "Shape", NAMES("x"), NAMES("shape"));
	model_node(&model, "Equal", NAMES("shape", "four"), NAMES("is_four"));
	node = model_node(&model, "If", NAMES("is_four"), NAMES("y"));
	body = body_of(&model, node, "then_branch");
	body_node(&model, body, "Relu", NAMES("x"), NAMES("r"));
	body_output(&model, body, "r", FLOAT);
	body = body_of(&model, node, "else_branch");
	body_output(&model, body, "x", FLOAT);
	model_output(&model, "y");
	session = body_session(&model, "sim:", error);
	if (!session)
		fail_msg("%s", error);
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)), 0);
	assert_memory_equal(output.data, relu, sizeof(relu));
	accel_session_stats(session, &stats);
	assert_int_equal(stats.num_nodes, 1);
	assert_string_equal(stats.nodes[0].op_type, "Relu");
	accel_session_destroy(session);
	model_finish(&model);
}

/* scale(v; by) = If v's sum is not zero: v * by, else v. The bodies read the function's operands; its attribute is in one. */
static void bodies_in_functions_read_the_calls_operands(void **state)
{
	struct model model;
	struct accel_session *session;
	Onnx__FunctionProto *function;
	Onnx__NodeProto *node;
	Onnx__GraphProto *body;
	Onnx__AttributeProto *attribute;
	char error[512] = "";
	float x[2] = {1, 2};
	struct accel_tensor input = floats_of(x, 1, DIMS(2)), output = {0};

	(void)state;
	model_init(&model);
	model_opset(&model, "local", 1);
	model_input(&model, "in", FLOAT, 1, DIMS(2));
	function = model_alloc(&model, sizeof(*function));
	onnx__function_proto__init(function);
	function->name = (char *)(uintptr_t) "scale";
	function->domain = (char *)(uintptr_t) "local";
	MODEL_APPEND(&model, function->input, function->n_input, (char *)(uintptr_t) "v");
	MODEL_APPEND(&model, function->output, function->n_output, (char *)(uintptr_t) "w");
	MODEL_APPEND(&model, function->attribute, function->n_attribute, (char *)(uintptr_t) "by");
	MODEL_APPEND(&model, function->opset_import, function->n_opset_import, model.proto.opset_import[0]);
	node = model_make_node(&model, "ReduceSum", NAMES("v"), NAMES("sum"));
	body_int(&model, node, "keepdims", 0);
	MODEL_APPEND(&model, function->node, function->n_node, node);
	node = model_make_node(&model, "Cast", NAMES("sum"), NAMES("some"));
	body_int(&model, node, "to", BOOL);
	MODEL_APPEND(&model, function->node, function->n_node, node);
	node = model_make_node(&model, "If", NAMES("some"), NAMES("w"));
	MODEL_APPEND(&model, function->node, function->n_node, node);
	body = body_of(&model, node, "then_branch");
	attribute = model_attribute(&model, body_node(&model, body, "Constant", NAMES(NULL), NAMES("factor")),
				    "value_float", 1);
	attribute->ref_attr_name = (char *)(uintptr_t) "by";
	body_node(&model, body, "Mul", NAMES("v", "factor"), NAMES("scaled"));
	body_output(&model, body, "scaled", FLOAT);
	body_output(&model, body_of(&model, node, "else_branch"), "v", FLOAT);
	MODEL_APPEND(&model, model.proto.functions, model.proto.n_functions, function);
	for (int call = 0; call < 2; call++) { /* the body is read twice */
		node = call ? model_node(&model, "scale", NAMES("mid"), NAMES("out"))
			    : model_node(&model, "scale", NAMES("in"), NAMES("mid"));
		node->domain = (char *)(uintptr_t) "local";
		attribute = model_attribute(&model, node, "by", 1);
		attribute->has_f = 1;
		attribute->f = call ? 10 : 3;
	}
	model_output(&model, "out");
	session = body_session(&model, "sim:", error);
	if (!session)
		fail_msg("%s", error);
	if (accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)))
		fail_msg("%s", error);
	assert_true(((float *)output.data)[1] == 60);
	x[0] = -2;
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)), 0);
	assert_true(((float *)output.data)[1] == 2);
	accel_session_destroy(session);
	model_finish(&model);
}

/* What a run would tell, when there is none: the type of a scan output comes from the operators of the body. */
static void a_loop_that_does_not_run_knows_its_types(void **state)
{
	struct model model;
	struct accel_session *session;
	Onnx__GraphProto *body;
	Onnx__NodeProto *cast;
	char error[512] = "";
	int64_t trips = 0;
	float x[2] = {1, 2};
	struct accel_tensor inputs[2] = {ints_of(&trips, 0, NULL), floats_of(x, 1, DIMS(2))}, output = {0};

	(void)state;
	model_init(&model);
	model_input(&model, "trips", INT64, 0, NULL);
	model_input(&model, "x", FLOAT, 1, DIMS(2));
	body = body_of(&model, model_node(&model, "Loop", NAMES("trips", "", "x"), NAMES("", "all")), "body");
	body_input(&model, body, "i", INT64, 0, NULL);
	body_input(&model, body, "c", BOOL, 0, NULL);
	body_input(&model, body, "v", FLOAT, -1, NULL);
	body_node(&model, body, "Sum", NAMES("v", "v"), NAMES("longer"));
	cast = body_node(&model, body, "Cast", NAMES("longer"), NAMES("number"));
	body_int(&model, cast, "to", INT64);
	body_output(&model, body, "c", BOOL);
	body_output(&model, body, "longer", FLOAT);
	body_output(&model, body, "number", INT64);
	body->output[2]->type = NULL; /* not stated */
	model_output(&model, "all");
	session = body_session(&model, "cpu", error);
	if (!session)
		fail_msg("%s", error);
	if (accel_session_run(session, inputs, 2, &output, 1, error, sizeof(error)))
		fail_msg("%s", error);
	assert_int_equal(output.dtype, INT64);
	assert_int_equal(output.dims[0], 0);
	accel_session_destroy(session);
	model_finish(&model);
}

static void branches_with_other_counts_are_refused(void **state)
{
	struct model model;
	struct accel_session *session;
	Onnx__NodeProto *node;
	Onnx__GraphProto *body;
	char error[512] = "";
	bool which = true;
	float x[4] = {0};
	struct accel_tensor inputs[2] = {{.dtype = BOOL, .data = &which, .size = 1}, floats_of(x, 1, DIMS(4))},
			    output = {0};

	(void)state;
	model_init(&model);
	model_input(&model, "which", BOOL, 0, NULL);
	model_input(&model, "x", FLOAT, 1, DIMS(4));
	node = model_node(&model, "If", NAMES("which"), NAMES("y"));
	body = body_of(&model, node, "then_branch");
	body_output(&model, body, "x", FLOAT);
	body_output(&model, body, "x", FLOAT);
	body_output(&model, body_of(&model, node, "else_branch"), "x", FLOAT);
	model_output(&model, "y");
	session = body_session(&model, "cpu", error);
	if (session) { /* at the latest when it runs */
		assert_int_equal(accel_session_run(session, inputs, 2, &output, 1, error, sizeof(error)), -EINVAL);
		accel_session_destroy(session);
	}
	assert_non_null(strstr(error, "output"));
	model_finish(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loop_carried_values_change_places),
		cmocka_unit_test(a_loop_that_does_not_run_gives_what_it_got),
		cmocka_unit_test(a_condition_ends_a_loop),
		cmocka_unit_test(a_loop_without_an_end_is_refused),
		cmocka_unit_test(scans_take_axes_and_directions),
		cmocka_unit_test(bodies_capture_through_two_levels),
		cmocka_unit_test(a_branch_that_is_always_taken_is_no_branch),
		cmocka_unit_test(bodies_in_functions_read_the_calls_operands),
		cmocka_unit_test(a_loop_that_does_not_run_knows_its_types),
		cmocka_unit_test(branches_with_other_counts_are_refused),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
