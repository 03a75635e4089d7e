/* SPDX-License-Identifier: MIT */
/* Sequences, optionals and maps: as values of the public interface, and what the operators refuse. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/control/body.h"

/* The last input becomes a sequence of floats, or an optional of one. */
static void input_of_kind(struct model *model, bool optional)
{
	Onnx__TypeProto *type = model->proto.graph->input[model->proto.graph->n_input - 1]->type;
	Onnx__TypeProto *element = model_alloc(model, sizeof(*element));

	*element = *type;
	onnx__type_proto__init(type);
	if (optional) {
		type->optional_type = model_alloc(model, sizeof(*type->optional_type));
		onnx__type_proto__optional__init(type->optional_type);
		type->optional_type->elem_type = element;
	} else {
		type->sequence_type = model_alloc(model, sizeof(*type->sequence_type));
		onnx__type_proto__sequence__init(type->sequence_type);
		type->sequence_type->elem_type = element;
	}
}

static struct accel_value *value_of(float *data, int rank, const int64_t *dims)
{
	struct accel_tensor tensor = floats_of(data, rank, dims);
	struct accel_value *value;

	assert_int_equal(accel_value_create_tensor(&tensor, &value), 0);
	return value;
}

static struct accel_value *sequence_of_two(void)
{
	float a[2] = {1, 2}, b[3] = {3, 4, 5};
	struct accel_value *elements[2] = {value_of(a, 1, DIMS(2)), value_of(b, 1, DIMS(3))}, *sequence;

	assert_int_equal(accel_value_create_nested(ACCEL_SEQUENCE, elements, 2, &sequence), 0);
	accel_value_destroy(elements[0]);
	accel_value_destroy(elements[1]);
	return sequence;
}

/* Sequence and position in; the sequence with 9 inserted, its length, and its element out. */
static void edit_model(struct model *model)
{
	model_init(model);
	model_input(model, "at", INT64, 0, NULL);
	model_input(model, "s", FLOAT, 0, NULL);
	input_of_kind(model, false);
	model_initializer(model, model_floats(model, "nine", 1, DIMS(1), 1, (const float[]){9}));
	model_node(model, "SequenceInsert", NAMES("s", "nine", "at"), NAMES("longer"));
	model_node(model, "SequenceLength", NAMES("longer"), NAMES("length"));
	model_node(model, "SequenceAt", NAMES("longer", "at"), NAMES("element"));
	body_output(model, model->proto.graph, "length", INT64);
	body_output(model, model->proto.graph, "element", FLOAT);
	model_output(model, "longer");
}

static int run_edit(struct accel_session *session, int64_t at, const struct accel_value **outputs, char *error)
{
	struct accel_tensor position = ints_of(&at, 0, NULL);
	struct accel_value *inputs[2];
	int err;

	assert_int_equal(accel_value_create_tensor(&position, &inputs[0]), 0);
	inputs[1] = sequence_of_two();
	err = accel_session_run_values(session, (const struct accel_value *const *)inputs, 2, outputs, 3, error, 512);
	accel_value_destroy(inputs[0]);
	accel_value_destroy(inputs[1]);
	return err;
}

static void sequences_go_in_and_come_out(void **state)
{
	static const char *const devices[] = {"cpu", "sim:"};
	struct model model;
	char error[512] = "";

	(void)state;
	edit_model(&model);
	for (size_t d = 0; d < 2; d++) {
		struct accel_session *session = body_session(&model, devices[d], error);
		const struct accel_value *outputs[3];
		struct accel_value_info info;
		struct accel_tensor tensor;

		if (!session)
			fail_msg("%s", error);
		assert_int_equal(accel_session_input(session, 1, &info), 0);
		assert_int_equal(info.dtype, ACCEL_SEQUENCE);
		assert_string_equal(info.type, "seq(tensor(float32))");
		for (int run = 0; run < 2; run++) {
			if (run_edit(session, -1, outputs, error))
				fail_msg("%s", error);
			assert_int_equal(accel_value_tensor(outputs[0], &tensor), 0);
			assert_int_equal(*(int64_t *)tensor.data, 3);
			assert_int_equal(accel_value_count(outputs[2]), 3);
			assert_int_equal(accel_value_tensor(accel_value_element(outputs[2], 1), &tensor), 0);
			assert_true(*(float *)tensor.data == 9); /* before the last */
			assert_int_equal(accel_value_tensor(accel_value_element(outputs[2], 2), &tensor), 0);
			assert_int_equal(tensor.dims[0], 3);
			assert_int_equal(accel_value_tensor(outputs[2], &tensor), -EINVAL);
		}
		accel_session_destroy(session);
	}
	model_finish(&model);
}

static void positions_outside_are_refused(void **state)
{
	struct model model;
	struct accel_session *session;
	const struct accel_value *outputs[3];
	char error[512] = "";

	(void)state;
	edit_model(&model);
	session = body_session(&model, "cpu", error);
	assert_non_null(session);
	assert_int_equal(run_edit(session, 3, outputs, error), -EINVAL);
	assert_non_null(strstr(error, "position 3 in a sequence of 2"));
	assert_int_equal(run_edit(session, -3, outputs, error), -EINVAL);
	assert_int_equal(run_edit(session, 2, outputs, error), 0);
	accel_session_destroy(session);
	model_finish(&model);
}

static void tensors_are_not_taken_for_sequences(void **state)
{
	struct model model;
	struct accel_session *session;
	char error[512] = "";
	int64_t at = 0;
	float x = 1;
	struct accel_tensor inputs[2] = {ints_of(&at, 0, NULL), floats_of(&x, 0, NULL)}, outputs[3] = {0};
	struct accel_value *values[2];
	const struct accel_value *results[3];

	(void)state;
	edit_model(&model);
	session = body_session(&model, "cpu", error);
	assert_non_null(session);
	assert_int_equal(accel_session_run(session, inputs, 2, outputs, 3, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "accel_session_run_values"));
	assert_int_equal(accel_value_create_tensor(&inputs[0], &values[0]), 0);
	assert_int_equal(accel_value_create_tensor(&inputs[1], &values[1]), 0);
	assert_int_equal(accel_session_run_values(session, (const struct accel_value *const *)values, 2, results, 3,
						  error, sizeof(error)),
			 -EINVAL);
	assert_non_null(strstr(error, "seq(tensor(float32))"));
	accel_value_destroy(values[0]);
	accel_value_destroy(values[1]);
	accel_session_destroy(session);
	model_finish(&model);
}

/* x[5] in parts of the sizes given, the parts put together again along a new axis when they are alike. */
static void parts_have_to_add_up_and_to_be_alike(void **state)
{
	static const struct {
		int64_t sizes[2];
		const char *reason;
	} cases[] = {
		{{2, 2}, "the parts add up to 4 of 5"},
		{{4, 2}, "split[1] is 2, and 1 of 5 are left"},
		{{-1, 6}, "split[0] is -1"},
		{{2, 3}, "element 1 does not fit element 0"},
	};
	struct model model;
	struct accel_session *session;
	char error[512] = "";
	float x[5] = {1, 2, 3, 4, 5};
	int64_t sizes[2];
	struct accel_tensor inputs[2] = {floats_of(x, 1, DIMS(5)), ints_of(sizes, 1, DIMS(2))}, output = {0};

	(void)state;
	model_init(&model);
	model_input(&model, "x", FLOAT, 1, DIMS(5));
	model_input(&model, "sizes", INT64, 1, DIMS(2));
	model_node(&model, "SplitToSequence", NAMES("x", "sizes"), NAMES("parts"));
	{
		Onnx__NodeProto *node = model_node(&model, "ConcatFromSequence", NAMES("parts"), NAMES("y"));

		body_int(&model, node, "axis", 1);
		body_int(&model, node, "new_axis", 1);
	}
	model_output(&model, "y");
	session = body_session(&model, "cpu", error);
	if (!session)
		fail_msg("%s", error);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(sizes, cases[i].sizes, sizeof(sizes));
		assert_int_equal(accel_session_run(session, inputs, 2, &output, 1, error, sizeof(error)), -EINVAL);
		if (!strstr(error, cases[i].reason))
			fail_msg("%s", error);
	}
	accel_session_destroy(session);
	model_finish(&model);
}

static void elements_of_two_types_are_refused(void **state)
{
	struct model model;
	struct accel_session *session;
	char error[512] = "";
	float x = 1;
	int64_t n = 1;
	struct accel_tensor inputs[2] = {floats_of(&x, 0, NULL), ints_of(&n, 0, NULL)}, output = {0};

	(void)state;
	model_init(&model);
	model_input(&model, "x", FLOAT, 0, NULL);
	model_input(&model, "n", INT64, 0, NULL);
	model_node(&model, "SequenceConstruct", NAMES("x", "n"), NAMES("s"));
	model_node(&model, "SequenceLength", NAMES("s"), NAMES("y"));
	body_output(&model, model.proto.graph, "y", INT64);
	session = body_session(&model, "cpu", error);
	if (session) { /* at the latest when it runs */
		assert_int_equal(accel_session_run(session, inputs, 2, &output, 1, error, sizeof(error)), -EINVAL);
		accel_session_destroy(session);
	}
	assert_true(strstr(error, "int64") || strstr(error, "type"));
	model_finish(&model);
}

static void optionals_are_empty_or_not(void **state)
{
	struct model model;
	struct accel_session *session;
	char error[512] = "";
	float x = 7;
	struct accel_value *element = value_of(&x, 0, NULL), *some, *none;
	const struct accel_value *outputs[2];
	struct accel_tensor tensor;

	(void)state;
	assert_int_equal(accel_value_create_nested(ACCEL_OPTIONAL, &element, 1, &some), 0);
	assert_int_equal(accel_value_create_nested(ACCEL_OPTIONAL, NULL, 0, &none), 0);
	model_init(&model);
	model_input(&model, "o", FLOAT, 0, NULL);
	input_of_kind(&model, true);
	model_node(&model, "OptionalHasElement", NAMES("o"), NAMES("has"));
	model_node(&model, "OptionalGetElement", NAMES("o"), NAMES("x"));
	body_output(&model, model.proto.graph, "has", BOOL);
	body_output(&model, model.proto.graph, "x", FLOAT);
	session = body_session(&model, "cpu", error);
	if (!session)
		fail_msg("%s", error);
	assert_int_equal(accel_session_run_values(session, (const struct accel_value *const *)&some, 1, outputs, 2,
						  error, sizeof(error)),
			 0);
	assert_int_equal(accel_value_tensor(outputs[0], &tensor), 0);
	assert_true(*(bool *)tensor.data);
	assert_int_equal(accel_value_tensor(outputs[1], &tensor), 0);
	assert_true(*(float *)tensor.data == 7);
	assert_int_equal(accel_session_run_values(session, (const struct accel_value *const *)&none, 1, outputs, 2,
						  error, sizeof(error)),
			 -EINVAL);
	assert_non_null(strstr(error, "the optional is empty"));
	accel_value_destroy(element);
	accel_value_destroy(some);
	accel_value_destroy(none);
	accel_session_destroy(session);
	model_finish(&model);
}

static void maps_have_as_many_keys_as_values(void **state)
{
	struct accel_string names[2] = {{(char *)(uintptr_t) "one", 3}, {(char *)(uintptr_t) "two", 3}};
	struct accel_tensor keys = {.dtype = STRING, .rank = 1, .dims = {2}, .data = names, .size = sizeof(names)},
			    back;
	float numbers[3] = {1, 2, 3};
	struct accel_value *parts[2], *map;

	(void)state;
	assert_int_equal(accel_value_create_tensor(&keys, &parts[0]), 0);
	parts[1] = value_of(numbers, 1, DIMS(3));
	assert_int_equal(accel_value_create_nested(ACCEL_MAP, parts, 2, &map), -EINVAL);
	accel_value_destroy(parts[1]);
	parts[1] = value_of(numbers, 1, DIMS(2));
	assert_int_equal(accel_value_create_nested(ACCEL_MAP, parts, 2, &map), 0);
	assert_int_equal(accel_value_type(map), ACCEL_MAP);
	assert_int_equal(accel_value_tensor(accel_value_element(map, 0), &back), 0);
	assert_memory_equal(((struct accel_string *)back.data)[1].data, "two", 3);
	assert_null(accel_value_element(map, 2));
	accel_value_destroy(map);
	assert_int_equal(accel_value_create_nested(ACCEL_MAP, parts, 1, &map), -EINVAL);
	assert_int_equal(accel_value_create_nested(FLOAT, parts, 2, &map), -EINVAL);
	accel_value_destroy(NULL);
	accel_value_destroy(parts[0]);
	accel_value_destroy(parts[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sequences_go_in_and_come_out),        cmocka_unit_test(positions_outside_are_refused),
		cmocka_unit_test(parts_have_to_add_up_and_to_be_alike),
		cmocka_unit_test(elements_of_two_types_are_refused),
		cmocka_unit_test(tensors_are_not_taken_for_sequences), cmocka_unit_test(optionals_are_empty_or_not),
		cmocka_unit_test(maps_have_as_many_keys_as_values),
	};

	return cmocka_run_group_tests_name("sequence", tests, NULL, NULL);
}
