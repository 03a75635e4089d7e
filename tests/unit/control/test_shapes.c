/* SPDX-License-Identifier: MIT */
/* Symbolic dimensions: one session, several sizes; and shapes that only a run tells. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/control/body.h"

#define WIDTH 64
#define MOST 12

/* y[N, 64] = relu(x[N, 64] · w) + z[N, 64] */
static void make_model(struct model *model, int64_t fixed)
{
	float weights[WIDTH * WIDTH];

	model_init(model);
	for (int i = 0; i < WIDTH * WIDTH; i++)
		weights[i] = (float)((i * 37) % 19 - 9) / 16.0f;
	model_input(model, "x", FLOAT, 2, DIMS(fixed ? fixed : 1, WIDTH));
	model_input(model, "z", FLOAT, 2, DIMS(fixed ? fixed : 1, WIDTH));
	if (!fixed) {
		body_symbol(model, 0, 0, "N");
		body_symbol(model, 1, 0, "N");
	}
	model_initializer(model, model_floats(model, "w", 2, DIMS(WIDTH, WIDTH), WIDTH * WIDTH, weights));
	model_node(model, "MatMul", NAMES("x", "w"), NAMES("product"));
	model_node(model, "Relu", NAMES("product"), NAMES("positive"));
	model_node(model, "Add", NAMES("positive", "z"), NAMES("y"));
	model_output(model, "y");
}

static void fill(float *x, float *z, int64_t rows)
{
	for (int64_t i = 0; i < rows * WIDTH; i++) {
		x[i] = (float)((i * 13) % 29 - 14) / 8.0f;
		z[i] = (float)((i * 7) % 11) / 4.0f;
	}
}

static int run(struct accel_session *session, int64_t rows, int64_t other, float *y, char *error)
{
	static float x[MOST * WIDTH], z[MOST * WIDTH];
	struct accel_tensor inputs[2] = {floats_of(x, 2, DIMS(rows, WIDTH)), floats_of(z, 2, DIMS(other, WIDTH))},
			    output = {0};
	int err;

	fill(x, z, rows > other ? rows : other);
	err = accel_session_run(session, inputs, 2, &output, 1, error, 512);
	if (err)
		return err;
	assert_int_equal(output.rank, 2);
	assert_int_equal(output.dims[0], rows);
	memcpy(y, output.data, (size_t)rows * WIDTH * sizeof(*y));
	return 0;
}

static uint64_t compilations(struct accel_session *session)
{
	struct accel_run_stats stats;

	accel_session_stats(session, &stats);
	return stats.compilations;
}

static void every_size_computes_what_its_own_model_does(void **state)
{
	static const char *const devices[] = {"cpu", "sim:"};
	static const int64_t sizes[] = {3, 1, 12};
	static float got[MOST * WIDTH], want[MOST * WIDTH];
	char error[512] = "";

	(void)state;
	for (size_t d = 0; d < 2; d++) {
		struct model model;
		struct accel_session *session;

		make_model(&model, 0);
		session = body_session(&model, devices[d], error);
		if (!session)
			fail_msg("%s", error);
		for (size_t pass = 0; pass < 2; pass++)
			for (size_t s = 0; s < 3; s++) {
				struct model fixed;
				struct accel_session *own;

				make_model(&fixed, sizes[s]);
				own = body_session(&fixed, devices[d], error);
				assert_non_null(own);
				assert_int_equal(run(own, sizes[s], sizes[s], want, error), 0);
				if (run(session, sizes[s], sizes[s], got, error))
					fail_msg("%s", error);
				assert_memory_equal(got, want, (size_t)sizes[s] * WIDTH * sizeof(float));
				accel_session_destroy(own);
				model_finish(&fixed);
			}
		/* 1 is what the session started with; the second pass found all three. */
		assert_int_equal(compilations(session), 3);
		accel_session_destroy(session);
		model_finish(&model);
	}
}

static void more_sizes_than_are_kept(void **state)
{
	static float y[MOST * WIDTH];
	struct model model;
	struct accel_session *session;
	struct accel_value_info before, after;
	char error[512] = "";

	(void)state;
	make_model(&model, 0);
	session = body_session(&model, "cpu", error);
	assert_non_null(session);
	accel_session_input(session, 0, &before);
	for (int64_t rows = 1; rows <= MOST; rows++)
		assert_int_equal(run(session, rows, rows, y, error), 0);
	assert_int_equal(compilations(session), MOST);
	assert_int_equal(run(session, MOST, MOST, y, error), 0); /* the last are kept … */
	assert_int_equal(compilations(session), MOST);
	assert_int_equal(run(session, 2, 2, y, error), 0); /* … the oldest are not … */
	assert_int_equal(compilations(session), MOST + 1);
	assert_int_equal(run(session, 1, 1, y, error), 0); /* … but for the first */
	assert_int_equal(compilations(session), MOST + 1);
	accel_session_input(session, 0, &after);
	assert_ptr_equal(before.name, after.name);
	accel_session_destroy(session);
	model_finish(&model);
}

static void one_name_has_one_size(void **state)
{
	static float y[MOST * WIDTH];
	struct model model;
	struct accel_session *session;
	char error[512] = "";

	(void)state;
	make_model(&model, 0);
	session = body_session(&model, "cpu", error);
	assert_non_null(session);
	assert_int_equal(run(session, 3, 4, y, error), -EINVAL);
	assert_non_null(strstr(error, "N is 3"));
	assert_int_equal(run(session, 2, 2, y, error), 0); /* nothing is broken by it */
	accel_session_destroy(session);
	model_finish(&model);
}

static void dimensions_without_a_name_stay(void **state)
{
	struct model model;
	struct accel_session *session;
	float x[3 * 65] = {0};
	struct accel_tensor inputs[2] = {floats_of(x, 2, DIMS(3, 65)), floats_of(x, 2, DIMS(3, 64))}, output = {0};
	char error[512] = "";

	(void)state;
	make_model(&model, 0);
	session = body_session(&model, "cpu", error);
	assert_non_null(session);
	assert_int_equal(accel_session_run(session, inputs, 2, &output, 1, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "dimension 1 is 65"));
	accel_session_destroy(session);
	model_finish(&model);
}

/* x = relu(x · w) again and again: the shape is known behind the loop. With rows that double it is not. */
static void a_loop_that_keeps_shapes(void **state)
{
	float weights[WIDTH * WIDTH];
	struct model model;
	Onnx__GraphProto *body;
	struct accel_session *session;
	struct accel_value_info info;
	char error[512] = "";

	(void)state;
	for (int i = 0; i < WIDTH * WIDTH; i++)
		weights[i] = (float)((i * 37) % 19 - 9) / 64.0f;
	for (int grows = 0; grows < 2; grows++) {
		model_init(&model);
		model_input(&model, "trips", INT64, 0, NULL);
		model_input(&model, "x", FLOAT, 2, DIMS(4, WIDTH));
		model_initializer(&model, model_floats(&model, "w", 2, DIMS(WIDTH, WIDTH), WIDTH * WIDTH, weights));
		body = body_of(&model, model_node(&model, "Loop", NAMES("trips", "", "x"), NAMES("y")), "body");
		body_input(&model, body, "i", INT64, 0, NULL);
		body_input(&model, body, "c", BOOL, 0, NULL);
		body_input(&model, body, "v", FLOAT, -1, NULL);
		if (grows) /* rows from iteration to iteration */
			body_int(&model, body_node(&model, body, "Concat", NAMES("v", "v"), NAMES("p")), "axis", 0);
		else
			body_node(&model, body, "MatMul", NAMES("v", "w"), NAMES("p"));
		body_node(&model, body, "Relu", NAMES("p"), NAMES("r"));
		body_output(&model, body, "c", BOOL);
		body_output(&model, body, "r", FLOAT);
		model_output(&model, "y");
		session = body_session(&model, "cpu", error);
		if (!session)
			fail_msg("%s", error);
		assert_int_equal(accel_session_output(session, 0, &info), 0);
		assert_int_equal(info.dtype, FLOAT);
		assert_int_equal(info.rank, grows ? -1 : 2);
		if (!grows) {
			assert_int_equal(info.dims[0], 4);
			assert_int_equal(info.dims[1], WIDTH);
		}
		accel_session_destroy(session);
		model_finish(&model);
	}
}

/* A branch that would not work is no error while it is not taken. */
static void a_branch_that_can_not_run_may_stand(void **state)
{
	struct model model;
	Onnx__NodeProto *node;
	Onnx__GraphProto *body;
	struct accel_session *session;
	char error[512] = "";
	bool which = false;
	float x[6] = {1, 2, 3, 4, 5, 6};
	struct accel_tensor inputs[2] = {{.dtype = BOOL, .data = &which, .size = 1}, floats_of(x, 2, DIMS(2, 3))},
			    output = {0};

	(void)state;
	model_init(&model);
	model_input(&model, "which", BOOL, 0, NULL);
	model_input(&model, "x", FLOAT, 2, DIMS(2, 3));
	node = model_node(&model, "If", NAMES("which"), NAMES("y"));
	body = body_of(&model, node, "then_branch");
	body_node(&model, body, "MatMul", NAMES("x", "x"), NAMES("square")); /* 2 x 3 times 2 x 3 */
	body_output(&model, body, "square", FLOAT);
	body = body_of(&model, node, "else_branch");
	body_node(&model, body, "Neg", NAMES("x"), NAMES("n"));
	body_output(&model, body, "n", FLOAT);
	model_output(&model, "y");
	session = body_session(&model, "sim:", error);
	if (!session)
		fail_msg("%s", error);
	assert_int_equal(accel_session_run(session, inputs, 2, &output, 1, error, sizeof(error)), 0);
	assert_true(((float *)output.data)[5] == -6);
	which = true;
	assert_int_equal(accel_session_run(session, inputs, 2, &output, 1, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "square"));
	accel_session_destroy(session);
	model_finish(&model);
}

/* x · w on the device, the places above zero on the CPU, their values gathered, and a sum of squares behind them. */
static void shapes_that_depend_on_data(void **state)
{
	static const char *const devices[] = {"cpu", "sim:"};
	float weights[WIDTH * WIDTH], x[4 * WIDTH], y[2];
	struct model model;
	char error[512] = "";

	(void)state;
	for (int i = 0; i < WIDTH * WIDTH; i++)
		weights[i] = (float)((i * 37) % 19 - 9) / 16.0f;
	model_init(&model);
	model_input(&model, "x", FLOAT, 2, DIMS(4, WIDTH));
	model_initializer(&model, model_floats(&model, "w", 2, DIMS(WIDTH, WIDTH), WIDTH * WIDTH, weights));
	model_initializer(&model, model_floats(&model, "zero", 0, NULL, 1, (const float[]){0}));
	model_node(&model, "MatMul", NAMES("x", "w"), NAMES("p"));
	model_node(&model, "Greater", NAMES("p", "zero"), NAMES("above"));
	model_node(&model, "NonZero", NAMES("above"), NAMES("places"));
	model_node(&model, "Transpose", NAMES("places"), NAMES("rows"));
	model_node(&model, "GatherND", NAMES("p", "rows"), NAMES("values"));
	model_node(&model, "Mul", NAMES("values", "values"), NAMES("squares"));
	model_node(&model, "ReduceSum", NAMES("squares"), NAMES("y"));
	model_output(&model, "y");
	for (int i = 0; i < 4 * WIDTH; i++)
		x[i] = (float)((i * 13) % 29 - 14) / 8.0f;
	for (size_t d = 0; d < 2; d++) {
		struct accel_session *session = body_session(&model, devices[d], error);
		struct accel_tensor input = floats_of(x, 2, DIMS(4, WIDTH)), output = {0};
		struct accel_run_stats stats;
		bool said = false;

		if (!session)
			fail_msg("%s", error);
		if (accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)))
			fail_msg("%s", error);
		y[d] = *(float *)output.data;
		accel_session_stats(session, &stats);
		for (size_t n = 0; n < stats.num_nodes; n++)
			said |= strstr(stats.nodes[n].reason, "known only when it runs") != NULL;
		assert_int_equal(said, d == 1);
		accel_session_destroy(session);
	}
	assert_true(y[0] > 0);
	assert_true(y[0] - y[1] < y[0] * 1e-5f && y[1] - y[0] < y[0] * 1e-5f);
	model_finish(&model);
}

/* y = Relu(CastLike(x, like)), z = Abs(empty): what has no elements can not be bound to the device, and is no obstacle. */
static void inputs_without_elements(void **state)
{
	static const char *const devices[] = {"cpu", "sim:"};
	float x[4] = {-2, 3, -4, 5}, none[1] = {0};
	char error[512] = "";

	(void)state;
	for (size_t d = 0; d < 2; d++) {
		struct accel_tensor inputs[] = {floats_of(x, 2, DIMS(2, 2)), floats_of(none, 1, DIMS(0)),
						floats_of(none, 2, DIMS(0, 3))};
		struct accel_tensor outputs[2] = {0};
		struct accel_session *session;
		struct model model;

		model_init(&model);
		model_input(&model, "x", FLOAT, 2, DIMS(2, 2));
		model_input(&model, "like", FLOAT, 1, DIMS(0));
		model_input(&model, "empty", FLOAT, 2, DIMS(0, 3));
		model_node(&model, "CastLike", NAMES("x", "like"), NAMES("cast"));
		model_node(&model, "Relu", NAMES("cast"), NAMES("y"));
		model_node(&model, "Abs", NAMES("empty"), NAMES("z"));
		model_output(&model, "y");
		model_output(&model, "z");
		session = body_session(&model, devices[d], error);
		if (!session || accel_session_run(session, inputs, 3, outputs, 2, error, sizeof(error)))
			fail_msg("%s: %s", devices[d], error);
		assert_memory_equal(outputs[0].data, ((float[]){0, 3, 0, 5}), sizeof(x));
		assert_int_equal(outputs[1].size, 0);
		assert_int_equal(outputs[1].dims[1], 3);
		accel_session_destroy(session);
		model_finish(&model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_computes_what_its_own_model_does),
		cmocka_unit_test(more_sizes_than_are_kept),
		cmocka_unit_test(one_name_has_one_size),
		cmocka_unit_test(dimensions_without_a_name_stay),
		cmocka_unit_test(a_loop_that_keeps_shapes),
		cmocka_unit_test(a_branch_that_can_not_run_may_stand),
		cmocka_unit_test(shapes_that_depend_on_data),
		cmocka_unit_test(inputs_without_elements),
	};

	return cmocka_run_group_tests_name("shapes", tests, NULL, NULL);
}
