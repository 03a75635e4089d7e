/* SPDX-License-Identifier: MIT */
/*
 * Bindings of values that the device does not have for itself: what the CPU reads and writes, what is an output twice or an input too, and
 * what has its shape from the run. Everything is right, and said to be in place or copied.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/binding.h"
#include "tests/unit/control/body.h"
#include "tests/unit/runtime/bound.h"

#define ROWS 64
#define COLUMNS 64
#define ELEMENTS (ROWS * COLUMNS)
#define BYTES (ELEMENTS * sizeof(float))
#define MOST 4

/* What the device does stays there, however small it is. */
static struct accel_session *open_model(const struct model *model)
{
	const struct accel_session_options options = {.threads = 1, .disable = "placement"};
	struct accel_session *session;
	char error[512];

	if (accel_session_create(body_file(model), &options, &session, error, sizeof(error)))
		fail_msg("%s", error);
	return session;
}

static void fill(float *values)
{
	for (unsigned int i = 0; i < ELEMENTS; i++)
		values[i] = (float)((int)(i * 31 % 61) - 30);
}

/* A session, its only input bound, and its outputs bound; what an unbound run of it gives. */
struct rig {
	struct accel_session *session;
	size_t outputs;
	struct bound in, out[MOST];
	struct accel_tensor input, output[MOST], expected[MOST];
	uint8_t bytes[MOST][2 * BYTES];
};

static void rig_create(struct rig *rig, const struct model *model, const uint64_t *out_bytes)
{
	struct accel_tensor input;
	float values[ELEMENTS];
	char error[256] = "";

	rig->session = open_model(model);
	rig->outputs = accel_session_num_outputs(rig->session);
	assert_in_range(rig->outputs, 1, MOST);
	fill(values);
	input = floats_of(values, 2, DIMS(ROWS, COLUMNS));
	for (size_t i = 0; i < rig->outputs; i++)
		rig->expected[i] = (struct accel_tensor){.data = rig->bytes[i], .size = sizeof(rig->bytes[i])};
	if (accel_session_run(rig->session, &input, 1, rig->expected, rig->outputs, error, sizeof(error)))
		fail_msg("%s", error);
	rig->in = bound_create(rig->session, 0, BYTES, 0, ACCEL_BINDING_INPUT);
	memcpy(rig->in.data, values, BYTES);
	rig->input = input;
	rig->input.data = NULL;
	rig->input.binding = rig->in.binding;
	for (size_t i = 0; i < rig->outputs; i++) {
		rig->out[i] = bound_create(rig->session, 0, out_bytes[i], 0, ACCEL_BINDING_OUTPUT);
		rig->output[i] = bound_scores(&rig->out[i]);
	}
}

static void rig_destroy(struct rig *rig)
{
	bound_destroy(&rig->in);
	for (size_t i = 0; i < rig->outputs; i++)
		bound_destroy(&rig->out[i]);
	accel_session_destroy(rig->session);
}

static int rig_run(struct rig *rig, char *error, size_t size)
{
	return accel_session_run(rig->session, &rig->input, 1, rig->output, rig->outputs, error, size);
}

/* What was bound has what was expected, twice: values have their own memory back meanwhile. Figures of the bound run. */
static struct accel_run_stats rig_check(struct rig *rig)
{
	struct accel_run_stats stats;
	char error[256] = "";

	for (int round = 0; round < 2; round++) {
		if (rig_run(rig, error, sizeof(error)))
			fail_msg("%s", error);
		assert_int_equal(accel_session_stats(rig->session, &stats), 0);
		for (size_t i = 0; i < rig->outputs; i++) {
			const struct accel_tensor *expected = &rig->expected[i], *output = &rig->output[i];

			assert_int_equal(output->size, expected->size);
			assert_int_equal(output->rank, expected->rank);
			assert_memory_equal(output->dims, expected->dims,
					    (size_t)output->rank * sizeof(output->dims[0]));
			assert_memory_equal(rig->out[i].data, expected->data, expected->size);
			memset(rig->out[i].data, 0xa5, expected->size);
		}
		if (!round) {
			struct accel_tensor unbound[MOST] = {0};

			assert_int_equal(
				accel_session_run(rig->session, &rig->input, 1, unbound, rig->outputs, NULL, 0), 0);
			for (size_t i = 0; i < rig->outputs; i++)
				assert_memory_equal(unbound[i].data, rig->expected[i].data, rig->expected[i].size);
		}
	}
	return stats;
}

/* x ──Relu──► a ──Hardmax (CPU)──► b ──Neg──► c: the CPU reads and writes where the device wrote and reads. */
static void make_mixed(struct model *model)
{
	model_init(model);
	model_input(model, "x", FLOAT, 2, DIMS(ROWS, COLUMNS));
	model_node(model, "Relu", NAMES("x"), NAMES("a"));
	model_node(model, "Hardmax", NAMES("a"), NAMES("b"));
	model_node(model, "Neg", NAMES("b"), NAMES("c"));
	model_output(model, "a");
	model_output(model, "b");
	model_output(model, "c");
}

static void the_processor_works_where_values_are_bound(void **state)
{
	struct accel_run_stats stats;
	struct rig rig = {0};
	struct model model;

	(void)state;
	make_mixed(&model);
	rig_create(&rig, &model, (const uint64_t[]){BYTES, BYTES, BYTES});
	stats = rig_check(&rig);
	assert_true(stats.cycles > 0);
	assert_true(!stats.copied_in && !stats.copied_out);
	assert_int_equal(stats.in_place_inputs, 1);
	assert_int_equal(stats.in_place_outputs, 7);
	rig_destroy(&rig);
	model_finish(&model);
}

static void what_the_processor_needs_it_has_to_see(void **state)
{
	struct rig rig = {0};
	struct model model;
	char error[256];

	(void)state;
	make_mixed(&model);
	rig_create(&rig, &model, (const uint64_t[]){BYTES, BYTES, BYTES});
	for (size_t i = 0; i < 2; i++) {
		rig.out[i].binding->data = NULL;
		assert_int_equal(rig_run(&rig, error, sizeof(error)), -ENOTSUP);
		assert_memory_equal(error, i ? "b:" : "a:", 2);
		rig.out[i].binding->data = rig.out[i].data;
	}
	/* c is the device's from begin to end. */
	rig.out[2].binding->data = NULL;
	assert_int_equal(rig_run(&rig, error, sizeof(error)), 0);
	assert_memory_equal(rig.out[2].data, rig.expected[2].data, rig.expected[2].size);
	rig.out[2].binding->data = rig.out[2].data;
	rig_check(&rig);
	rig_destroy(&rig);
	model_finish(&model);
}

/* An output that is the input, and one that is there twice under two names. */
static void outputs_that_are_something_else_too_are_right(void **state)
{
	struct rig rig = {0};
	struct model model;

	(void)state;
	model_init(&model);
	model_input(&model, "x", FLOAT, 2, DIMS(ROWS, COLUMNS));
	model_node(&model, "Identity", NAMES("x"), NAMES("same"));
	model_node(&model, "Relu", NAMES("x"), NAMES("a"));
	model_node(&model, "Identity", NAMES("a"), NAMES("again"));
	model_output(&model, "same");
	model_output(&model, "a");
	model_output(&model, "again");
	rig_create(&rig, &model, (const uint64_t[]){BYTES, BYTES, BYTES});
	assert_true(rig_check(&rig).in_place_outputs & 2);
	rig_destroy(&rig);
	model_finish(&model);
}

/* NonZero: as many columns as there are elements that are not zero. */
static void a_shape_from_the_run_fits_or_is_refused(void **state)
{
	const uint64_t wanted = (uint64_t)2 * ELEMENTS * sizeof(int64_t);
	static const uint64_t sizes[] = {2 * ELEMENTS * sizeof(int64_t), 4096};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		static struct rig rig;
		struct accel_tensor all[1] = {{0}};
		struct model model;
		char error[256];

		model_init(&model);
		model_input(&model, "x", FLOAT, 2, DIMS(ROWS, COLUMNS));
		model_node(&model, "NonZero", NAMES("x"), NAMES("places"));
		model_output(&model, "places");
		rig.session = open_model(&model);
		rig.outputs = 1;
		rig.in = bound_create(rig.session, 0, BYTES, 0, ACCEL_BINDING_INPUT);
		fill((float *)(void *)rig.in.data);
		rig.input = floats_of(NULL, 2, DIMS(ROWS, COLUMNS));
		rig.input.binding = rig.in.binding;
		rig.out[0] = bound_create(rig.session, 0, sizes[i], 0, ACCEL_BINDING_OUTPUT);
		rig.output[0] = bound_scores(&rig.out[0]);
		for (int round = 0; round < 2; round++) {
			assert_int_equal(rig_run(&rig, error, sizeof(error)), sizes[i] == wanted ? 0 : -ENOSPC);
			assert_int_equal(accel_session_run(rig.session, &rig.input, 1, all, 1, NULL, 0), 0);
			assert_true(all[0].size > 4096 && all[0].size <= wanted);
			if (sizes[i] == wanted)
				assert_memory_equal(rig.out[0].data, all[0].data, all[0].size);
			else
				assert_non_null(strstr(error, "its binding has 4096"));
		}
		rig_destroy(&rig);
		model_finish(&model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_processor_works_where_values_are_bound),
		cmocka_unit_test(what_the_processor_needs_it_has_to_see),
		cmocka_unit_test(outputs_that_are_something_else_too_are_right),
		cmocka_unit_test(a_shape_from_the_run_fits_or_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
