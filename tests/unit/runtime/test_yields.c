/* SPDX-License-Identifier: MIT */
/*
 * Another queue never waits long: on the device, the YIELDs of compiled networks are at most 100,000 cycles apart on each tile. The
 * committed models are smaller than that; a network of layers that are longer is made here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/target/resident.h"
#include "tests/unit/control/body.h"

#define ERROR_SIZE 512

static const char *const targets[] = {"sim:target=axl-edge", "sim:target=axl-pro"};
static const enum accel_precision precisions[] = {ACCEL_INT8, ACCEL_F16, ACCEL_F32};

/* Zeros for every input, of a type of at most eight bytes: time does not depend on data. */
static int run_once(struct accel_session *session, char *error)
{
	size_t count = accel_session_num_inputs(session), num_outputs = accel_session_num_outputs(session);
	struct accel_tensor *in = calloc(count, sizeof(*in)), *out = calloc(num_outputs, sizeof(*out));
	int err;

	assert_non_null(in);
	assert_non_null(out);
	for (size_t i = 0; i < count; i++) {
		static const size_t element[] = {[FLOAT] = 4, [INT64] = 8, [BOOL] = 1, [10 /* float16 */] = 2};
		struct accel_value_info info;

		assert_int_equal(accel_session_input(session, i, &info), 0);
		assert_in_range(info.dtype, 1, 10);
		in[i] = (struct accel_tensor){.dtype = info.dtype, .rank = info.rank, .size = element[info.dtype]};
		assert_true(in[i].size > 0);
		for (int32_t d = 0; d < info.rank; d++) {
			in[i].dims[d] = info.dims[d] < 0 ? 1 : info.dims[d];
			in[i].size *= (size_t)in[i].dims[d];
		}
		in[i].data = calloc(1, in[i].size);
		assert_non_null(in[i].data);
	}
	err = accel_session_run(session, in, count, out, num_outputs, error, ERROR_SIZE);
	for (size_t i = 0; i < count; i++)
		free(in[i].data);
	free(in);
	free(out);
	return err;
}

/* Of @path everywhere; the most cycles that a region took. */
static uint64_t check(const char *path)
{
	uint64_t longest = 0;

	for (size_t t = 0; t < 2; t++)
		for (size_t p = 0; p < 3; p++) {
			struct accel_session_options options = {
				.device = targets[t], .precision = precisions[p], .seed = 1, .trace = true, .disable = "placement"};
			struct accel_session *session = NULL;
			struct accel_run_stats stats;
			char error[ERROR_SIZE] = "";
			bool device = false;

			if (accel_session_create(path, &options, &session, error, sizeof(error)) ||
			    run_once(session, error))
				fail_msg("%s, %s: %s", path, targets[t], error);
			assert_int_equal(accel_session_stats(session, &stats), 0);
			for (size_t r = 0; r < stats.num_regions; r++) {
				const struct accel_region_stats *region = &stats.regions[r];

				if (!region->device)
					continue;
				device = true;
				longest = region->cycles > longest ? region->cycles : longest;
				/* Somewhere it is at least the mean. */
				assert_true(region->yield_distance * (region->yields + 1) >= region->cycles / 2);
				assert_true(region->preempt_latency >= region->yield_distance);
				if (region->yield_distance > RESIDENT_MAX_CYCLES)
					fail_msg("%s, %s, precision %d: %llu cycles between two YIELDs", path,
						 targets[t], (int)precisions[p],
						 (unsigned long long)region->yield_distance);
			}
			assert_true(device);
			accel_session_destroy(session);
		}
	return longest;
}

static void in_committed_models(void **state)
{
	const char *models = getenv("AXL_TEST_MODELS");
	char *paths, *rest = NULL;

	(void)state;
	assert_non_null(models);
	paths = strdup(models);
	for (char *path = strtok_r(paths, ":", &rest); path; path = strtok_r(NULL, ":", &rest))
		assert_true(check(path) > 0);
	free(paths);
}

/* One convolution of @channels at 56 x 56 is 2.8 cycles for each 9 x @channels weights in int8, four times as many in fp32. */
static void in_layers_that_are_longer(void **state)
{
	const int64_t channels = 160, side = 56, dims[] = {1, channels, side, side};
	const int64_t weight[] = {channels, channels, 3, 3};
	size_t count = (size_t)(channels * channels * 9);
	float *values = malloc(count * sizeof(*values));
	struct model model;

	(void)state;
	assert_non_null(values);
	for (size_t i = 0; i < count; i++)
		values[i] = (float)((int)(i * 2654435761u >> 24) - 128) / 4096;
	model_init(&model);
	model_input(&model, "x", FLOAT, 4, dims);
	model_initializer(&model, model_floats(&model, "w", 4, weight, count, values));
	for (int layer = 0; layer < 2; layer++) {
		Onnx__NodeProto *node = model_node(&model, "Conv", layer ? NAMES("relu", "w") : NAMES("x", "w"),
						   layer ? NAMES("second") : NAMES("first"));

		body_ints(&model, node, "pads", 4, DIMS(1, 1, 1, 1));
		if (!layer)
			model_node(&model, "Relu", NAMES("first"), NAMES("relu"));
	}
	model_output(&model, "second");
	assert_true(check(body_file(&model)) > 10 * RESIDENT_MAX_CYCLES);
	model_finish(&model);
	free(values);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_committed_models),
		cmocka_unit_test(in_layers_that_are_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
