/* SPDX-License-Identifier: MIT */
/* Sessions on the in-process device: the same bits for any number of host threads, and clear answers to bad calls. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <accel/runtime.h>

#include "tests/unit/runtime/shares.h"

#define PIXELS 64

static void make_image(float *image, unsigned int seed)
{
	for (int i = 0; i < PIXELS; i++) {
		seed = seed * 1664525u + 1013904223u;
		image[i] = (float)(seed >> 8) / 16777216.0f;
	}
}

static struct accel_session *open_session(const char *device, enum accel_precision precision)
{
	struct accel_session_options options = {
		.device = device, .precision = precision, .seed = 1, .trace = true, .disable = "placement"};
	struct accel_session *session;
	char error[512] = "";

	if (accel_session_create(getenv("AXL_TEST_MODEL"), &options, &session, error, sizeof(error)))
		fail_msg("%s", error);
	return session;
}

static uint64_t run(struct accel_session *session, float *image, float *scores)
{
	struct accel_tensor input = {
		.dtype = 1, .rank = 4, .dims = {1, 1, 8, 8}, .data = image, .size = PIXELS * sizeof(float)};
	struct accel_tensor output = {.data = scores, .size = 10 * sizeof(float)};
	struct accel_run_stats stats;
	char error[512] = "";

	if (accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)))
		fail_msg("%s", error);
	accel_session_stats(session, &stats);
	return stats.cycles;
}

static void one_and_two_host_threads_give_the_same_bits_and_cycles(void **state)
{
	static const enum accel_precision precisions[] = {ACCEL_F32, ACCEL_F16, ACCEL_BF16, ACCEL_INT8};

	(void)state;
	for (int p = 0; p < 4; p++) {
		struct accel_session *one = open_session("sim:threads=1", precisions[p]);
		struct accel_session *two = open_session("sim:threads=2", precisions[p]);

		for (unsigned int n = 0; n < 8; n++) {
			float image[PIXELS], a[10], b[10];
			uint64_t cycles;

			make_image(image, n);
			cycles = run(one, image, a);
			assert_true(cycles > 0);
			assert_int_equal(cycles, run(two, image, b));
			assert_memory_equal(a, b, sizeof(a));
		}
		accel_session_destroy(one);
		accel_session_destroy(two);
	}
}

static void four_tiles_compute_what_one_does(void **state)
{
	struct accel_session *edge = open_session("sim:target=axl-edge", ACCEL_F32);
	struct accel_session *pro = open_session("sim:target=axl-pro", ACCEL_F32);

	(void)state;
	for (unsigned int n = 0; n < 8; n++) {
		float image[PIXELS], a[10], b[10];

		make_image(image, n);
		run(edge, image, a);
		run(pro, image, b);
		for (int i = 0; i < 10; i++)
			assert_true(a[i] - b[i] < 1e-4f && b[i] - a[i] < 1e-4f);
	}
	accel_session_destroy(edge);
	accel_session_destroy(pro);
}

static void nodes_share_the_cycles_of_the_run(void **state)
{
	static const char *const devices[] = {"sim:target=axl-edge", "sim:target=axl-pro"};

	(void)state;
	for (int d = 0; d < 2; d++) {
		struct accel_session *session = open_session(devices[d], ACCEL_INT8);
		struct accel_run_stats stats;
		float image[PIXELS], scores[10];
		double gap = 0;
		uint64_t sum = 0;

		make_image(image, 0);
		run(session, image, scores);
		accel_session_stats(session, &stats);
		for (size_t n = 0; n < stats.num_nodes; n++) {
			assert_true((double)stats.nodes[n].macs <= (double)stats.nodes[n].cycles * stats.peak_macs);
			sum += stats.nodes[n].cycles;
		}
		assert_int_equal(sum, stats.cycles);
		assert_true(stats.has_ledger);
		for (int cause = 0; cause < ACCEL_NUM_CAUSES; cause++)
			gap += stats.causes[cause];
		assert_true(stats.roofline_cycles > 0 && gap > 0);
		assert_true(stats.in_order_cycles >= stats.roofline_cycles);
		assert_true(stats.in_order_cycles <= (double)stats.cycles);
		assert_true(fabs(stats.roofline_cycles + gap - (double)stats.cycles) < 1e-6 * (double)stats.cycles);
		accel_session_destroy(session);
	}
}

/* The compiler runs the streams in time: it knows all but data. Two per cent of a network, five of an operator. */
static void the_estimate_is_what_the_device_takes(void **state)
{
	static const char *const devices[] = {"sim:target=axl-edge", "sim:target=axl-pro"};
	static const enum accel_precision precisions[] = {ACCEL_F32, ACCEL_F16, ACCEL_BF16, ACCEL_INT8};

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct accel_session *session = open_session(devices[i % 2], precisions[i / 2]);
		struct accel_run_stats stats;
		float image[PIXELS], scores[10];
		uint64_t estimate = 0;

		make_image(image, 0);
		run(session, image, scores);
		accel_session_stats(session, &stats);
		for (size_t r = 0; r < stats.num_regions; r++)
			estimate += stats.regions[r].estimate;
		assert_true(stats.cycles > 1000);
		assert_in_range(estimate, stats.cycles - stats.cycles / 50, stats.cycles + stats.cycles / 50);
		for (size_t n = 0; n < stats.num_nodes; n++)
			assert_in_range(stats.nodes[n].estimate, stats.nodes[n].cycles - stats.nodes[n].cycles / 20,
					stats.nodes[n].cycles + stats.nodes[n].cycles / 20);
		accel_session_destroy(session);
	}
}

static void bad_calls_are_answered(void **state)
{
	struct accel_session *session = open_session("sim:", ACCEL_F32);
	float image[PIXELS] = {0}, scores[10];
	struct accel_tensor input = {.dtype = 1, .rank = 4, .dims = {1, 1, 8, 8}, .data = image, .size = sizeof(image)};
	struct accel_tensor output = {.data = scores, .size = 4};
	struct accel_session *none;
	char error[512];

	(void)state;
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)), -ENOSPC);
	input.dims[3] = 9;
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "dimension 3"));
	input.dims[3] = 8;
	input.size = 8;
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)), -EINVAL);
	assert_int_equal(accel_session_run(session, &input, 0, &output, 1, error, sizeof(error)), -EINVAL);
	accel_session_destroy(session);
	assert_int_equal(accel_session_create("/nonexistent.onnx", NULL, &none, error, sizeof(error)), -ENOENT);
	assert_null(none);
}

/* A list of events of both kinds of pipe, closed as JSON is; and none where none was asked for. */
static void a_trace_is_written_when_it_was_asked_for(void **state)
{
	struct accel_session_options options = {.device = "sim:"};
	struct accel_session *session = open_session("sim:", ACCEL_F32), *untraced;
	char path[] = "/tmp/axl_trace_XXXXXX", text[1 << 16];
	float image[PIXELS], scores[10];
	size_t length;
	FILE *file;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	make_image(image, 1);
	run(session, image, scores);
	assert_int_equal(accel_session_trace(session, path), 0);
	file = fopen(path, "r");
	length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[length] = '\0';
	assert_true(length > 1000 && length < sizeof(text) - 1);
	assert_non_null(strstr(text, "traceEvents"));
	assert_non_null(strstr(text, "\"ph\""));
	assert_int_equal(text[length - 2], '}');
	assert_true(accel_session_trace(session, "/nonexistent/trace.json") < 0);
	accel_session_destroy(session);

	assert_int_equal(accel_session_create(getenv("AXL_TEST_MODEL"), &options, &untraced, NULL, 0), 0);
	run(untraced, image, scores);
	assert_int_equal(accel_session_trace(untraced, path), -ENODATA);
	accel_session_destroy(untraced);
	unlink(path);
}

/* ---- progress ---- */

/* From 0 to 1 and never back, in every precision and with a node that goes back to the CPU; not of what is compiled already. */
static void who_wants_to_know_is_told_how_far_compiling_is(void **state)
{
	static const enum accel_precision precisions[] = {ACCEL_F32, ACCEL_F16, ACCEL_BF16, ACCEL_INT8};
	char folder[] = "/tmp/axl_cache_XXXXXX", command[64];

	(void)state;
	assert_non_null(mkdtemp(folder));
	for (int again = 0; again < 2; again++)
		for (int p = 0; p < 4; p++) {
			struct shares shares = {0};
			const struct accel_session_options options = {.device = p ? "sim:" : "sim:target=axl-pro",
								      .precision = precisions[p],
								      .cache = folder,
								      .progress = shares_note,
								      .progress_context = &shares};
			struct accel_session *session;
			size_t told;
			float image[PIXELS], scores[10];

			assert_int_equal(accel_session_create(getenv("AXL_TEST_MODEL"), &options, &session, NULL, 0),
					 0);
			assert_false(shares.back);
			if (again) {
				assert_int_equal(shares.count, 0);
			} else {
				assert_true(shares.count > 5);
				assert_true(shares.last == 1);
			}
			told = shares.count;
			make_image(image, 1);
			run(session, image, scores);
			assert_int_equal(shares.count, told);
			accel_session_destroy(session);
		}
	snprintf(command, sizeof(command), "rm -r %s", folder);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_and_two_host_threads_give_the_same_bits_and_cycles),
		cmocka_unit_test(four_tiles_compute_what_one_does),
		cmocka_unit_test(nodes_share_the_cycles_of_the_run),
		cmocka_unit_test(the_estimate_is_what_the_device_takes),
		cmocka_unit_test(bad_calls_are_answered),
		cmocka_unit_test(a_trace_is_written_when_it_was_asked_for),
		cmocka_unit_test(who_wants_to_know_is_told_how_far_compiling_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
