/* SPDX-License-Identifier: MIT */
/*
 * Requests that are joined into one run: each gets what it gets alone, whatever becomes of the others: cancelled, late, wrong, or all of
 * them on a device that fails.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/control/body.h"
#include "tests/unit/runtime/bound.h"
#include "tests/unit/runtime/digits.h"
#include "tests/unit/runtime/gate.h"

#define IMAGES 16
#define MOST_ROWS 3
#define WAIT_US 600000000 /* ten minutes: what ends before did not wait for it */

struct job {
	struct accel_request *request;
	struct accel_tensor input, output;
	float images[MOST_ROWS][DIGITS_PIXELS], scores[MOST_ROWS][DIGITS_CLASSES];
	unsigned int seed, rows;
};

static int job_start(struct accel_session *session, struct job *job, unsigned int seed, unsigned int rows,
		     const struct accel_run_options *options)
{
	if (!job->request)
		assert_int_equal(accel_request_create(session, &job->request), 0);
	job->seed = seed;
	job->rows = rows;
	for (unsigned int r = 0; r < rows; r++)
		digits_image(job->images[r], (seed + r) % IMAGES);
	memset(job->scores, 0, sizeof(job->scores));
	job->input = digits_input(job->images[0]);
	job->input.dims[0] = rows;
	job->input.size *= rows;
	job->output = digits_output(job->scores[0]);
	job->output.size *= rows;
	return accel_session_run_async(session, job->request, &job->input, 1, &job->output, 1, options);
}

static void job_check(struct job *job, float (*expected)[DIGITS_CLASSES], unsigned int joined)
{
	struct accel_run_stats stats;

	assert_int_equal(accel_request_wait(job->request, INT64_MAX), 0);
	assert_string_equal(accel_request_error(job->request), "");
	assert_int_equal(job->output.rank, 2);
	assert_int_equal(job->output.dims[0], job->rows);
	assert_int_equal(job->output.size, job->rows * sizeof(job->scores[0]));
	for (unsigned int r = 0; r < job->rows; r++)
		assert_memory_equal((const float *)job->output.data + (size_t)r * DIGITS_CLASSES,
				    expected[(job->seed + r) % IMAGES], sizeof(job->scores[0]));
	assert_int_equal(accel_request_stats(job->request, &stats), 0);
	if (joined)
		assert_int_equal(stats.joined, joined);
}

/* A session of one thread, which stands in a callback: what comes then waits, until it is let go. */
struct stage {
	struct accel_session *session;
	float (*expected)[DIGITS_CLASSES];
	struct job held;
	struct gate gate;
};

static void stage_hold(struct stage *stage)
{
	const struct accel_run_options hold = {.done = gate_pass, .context = &stage->gate};

	gate_init(&stage->gate);
	assert_int_equal(job_start(stage->session, &stage->held, 0, 1, &hold), 0);
	gate_await(&stage->gate);
}

static void stage_open(struct stage *stage, const char *device, unsigned int batch, enum accel_on_fault on_fault)
{
	const struct accel_session_options options = {
		.device = device, .threads = 1, .depth = 1, .queue = 16, .batch = batch, .on_fault = on_fault};

	*stage = (struct stage){.session = digits_session(&options),
				.expected = digits_expected(strcmp(device, "cpu") ? "sim:" : "cpu", IMAGES)};
}

static void stage_close(struct stage *stage, struct job *jobs, size_t count)
{
	accel_request_destroy(stage->held.request);
	for (size_t i = 0; i < count; i++)
		accel_request_destroy(jobs[i].request);
	gate_finish(&stage->gate);
	accel_session_destroy(stage->session);
	free(stage->expected);
}

/* ---- all is well ---- */

static void joined_requests_give_what_they_give_alone(void **state)
{
	struct accel_run_stats one, all;
	struct job jobs[7] = {0};
	struct stage stage;

	(void)state;
	stage_open(&stage, "sim:", 8, ACCEL_FAULT_REPORT);
	stage_hold(&stage);
	for (unsigned int i = 0; i < 7; i++)
		assert_int_equal(job_start(stage.session, &jobs[i], i, 1, NULL), 0);
	jobs[3].output.data = NULL; /* in memory of the request */
	gate_open(&stage.gate);
	for (unsigned int i = 0; i < 7; i++)
		job_check(&jobs[i], stage.expected, 7);
	job_check(&stage.held, stage.expected, 1);
	assert_int_equal(accel_request_stats(stage.held.request, &one), 0);
	assert_int_equal(accel_request_stats(jobs[0].request, &all), 0);
	/* That is what it is for. */
	assert_true(all.cycles < 7 * one.cycles);
	assert_true(all.copied_in == 8 * sizeof(jobs[0].images[0]));
	stage_close(&stage, jobs, 7);
}

static void rows_of_several_make_a_batch(void **state)
{
	/* Of 6 at most: 3 + 2 + 1, 3 + 3; one that is in no batch; and its neighbours. */
	static const unsigned int rows[] = {3, 2, 1, 3, 3}, joined[] = {3, 3, 3, 2, 2};
	struct job jobs[5] = {0};
	struct stage stage;

	(void)state;
	stage_open(&stage, "sim:", 6, ACCEL_FAULT_REPORT);
	stage_hold(&stage);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(job_start(stage.session, &jobs[i], 2 * i, rows[i], NULL), 0);
	gate_open(&stage.gate);
	for (unsigned int i = 0; i < 5; i++)
		job_check(&jobs[i], stage.expected, joined[i]);
	stage_close(&stage, jobs, 5);
}

static void what_has_no_place_in_a_batch_runs_alone(void **state)
{
	struct bound in, out;
	struct accel_tensor input, output;
	struct accel_request *bound_request;
	struct accel_run_stats stats;
	struct job jobs[4] = {0};
	struct stage stage;

	(void)state;
	stage_open(&stage, "sim:", 2, ACCEL_FAULT_REPORT);
	in = bound_create(stage.session, 0, 4096, 0, ACCEL_BINDING_INPUT);
	out = bound_create(stage.session, 0, 4096, 0, ACCEL_BINDING_OUTPUT);
	assert_int_equal(accel_request_create(stage.session, &bound_request), 0);
	stage_hold(&stage);
	assert_int_equal(job_start(stage.session, &jobs[0], 1, 1, NULL), 0);
	input = bound_image(&in, 2);
	output = bound_scores(&out);
	assert_int_equal(accel_session_run_async(stage.session, bound_request, &input, 1, &output, 1, NULL), 0);
	gate_open(&stage.gate);
	job_check(&stage.held, stage.expected, 1);
	gate_finish(&stage.gate);
	job_check(&jobs[0], stage.expected, 1);
	assert_int_equal(accel_request_wait(bound_request, INT64_MAX), 0);
	assert_memory_equal(out.data, stage.expected[2], sizeof(stage.expected[2]));
	assert_int_equal(accel_request_stats(bound_request, &stats), 0);
	assert_int_equal(stats.joined, 1);
	accel_request_destroy(bound_request);
	bound_destroy(&in);
	bound_destroy(&out);
	/* More rows than a batch has; a shape that is wrong. */
	stage_hold(&stage);
	assert_int_equal(job_start(stage.session, &jobs[0], 3, 1, NULL), 0);
	assert_int_equal(job_start(stage.session, &jobs[1], 4, 3, NULL), 0);
	assert_int_equal(job_start(stage.session, &jobs[2], 5, 1, NULL), 0);
	assert_int_equal(accel_request_create(stage.session, &jobs[3].request), 0);
	input = digits_input(jobs[3].images[0]);
	input.dims[3] = 4;
	assert_int_equal(accel_session_run_async(stage.session, jobs[3].request, &input, 1, &jobs[3].output, 1, NULL),
			 0);
	gate_open(&stage.gate);
	job_check(&jobs[0], stage.expected, 2);
	job_check(&jobs[1], stage.expected, 1);
	job_check(&jobs[2], stage.expected, 2);
	assert_int_equal(accel_request_wait(jobs[3].request, INT64_MAX), -EINVAL);
	assert_non_null(strstr(accel_request_error(jobs[3].request), "dimension 3"));
	stage_close(&stage, jobs, 4);
}

/* ---- waiting for more ---- */

static void a_full_batch_waits_no_longer(void **state)
{
	const struct accel_session_options options = {.threads = 1, .depth = 2, .batch = 2, .batch_wait_us = WAIT_US};
	float(*expected)[DIGITS_CLASSES] = digits_expected("sim:", IMAGES);
	struct accel_session *session = digits_session(&options);
	struct job jobs[4] = {0};

	(void)state;
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 4; i++)
			assert_int_equal(job_start(session, &jobs[i], i + round, 1, NULL), 0);
		for (unsigned int i = 0; i < 4; i++)
			job_check(&jobs[i], expected, 2);
	}
	for (unsigned int i = 0; i < 4; i++)
		accel_request_destroy(jobs[i].request);
	accel_session_destroy(session);
	free(expected);
}

/* Nobody comes: who waits is late or goes; and what came and went is forgotten. */
static void who_waits_for_more_can_leave(void **state)
{
	const struct accel_session_options options = {.threads = 1, .depth = 1, .batch = 3, .batch_wait_us = WAIT_US};
	const struct accel_run_options late = {.deadline_ns = 1};
	float(*expected)[DIGITS_CLASSES] = digits_expected("sim:", IMAGES);
	struct accel_session *session = digits_session(&options);
	struct job jobs[4] = {0};

	(void)state;
	assert_int_equal(job_start(session, &jobs[0], 0, 1, NULL), 0);
	assert_int_equal(accel_request_wait(jobs[0].request, 0), -EINPROGRESS);
	accel_request_cancel(jobs[0].request);
	assert_int_equal(accel_request_wait(jobs[0].request, INT64_MAX), -ECANCELED);
	assert_int_equal(job_start(session, &jobs[0], 0, 1, &late), 0);
	assert_int_equal(accel_request_wait(jobs[0].request, INT64_MAX), -ETIMEDOUT);
	assert_int_equal(job_start(session, &jobs[0], 0, 1, NULL), 0);
	assert_int_equal(job_start(session, &jobs[1], 1, 1, NULL), 0);
	accel_request_cancel(jobs[0].request);
	assert_int_equal(accel_request_wait(jobs[0].request, INT64_MAX), -ECANCELED);
	/* Its place is taken until the batch has run: two more fill it, or the next one. */
	assert_int_equal(job_start(session, &jobs[2], 2, 2, NULL), 0);
	assert_int_equal(job_start(session, &jobs[3], 3, 2, NULL), 0);
	accel_request_cancel(jobs[3].request);
	accel_request_cancel(jobs[1].request);
	accel_request_wait(jobs[3].request, INT64_MAX);
	accel_request_wait(jobs[1].request, INT64_MAX);
	accel_request_destroy(jobs[2].request);
	for (unsigned int i = 0; i < 4; i++)
		if (i != 2)
			accel_request_destroy(jobs[i].request);
	accel_session_destroy(session);
	free(expected);
}

/* ---- what is one's alone ---- */

static void who_is_cancelled_or_late_leaves_the_others(void **state)
{
	const struct accel_run_options late = {.deadline_ns = 1};
	struct job jobs[5] = {0};
	struct stage stage;

	(void)state;
	stage_open(&stage, "sim:", 8, ACCEL_FAULT_REPORT);
	stage_hold(&stage);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(job_start(stage.session, &jobs[i], i, 1, i == 3 ? &late : NULL), 0);
	accel_request_cancel(jobs[1].request);
	gate_open(&stage.gate);
	for (unsigned int i = 0; i < 5; i++)
		if (i == 1)
			assert_int_equal(accel_request_wait(jobs[i].request, INT64_MAX), -ECANCELED);
		else if (i == 3)
			assert_int_equal(accel_request_wait(jobs[i].request, INT64_MAX), -ETIMEDOUT);
		else
			job_check(&jobs[i], stage.expected, 3);
	stage_close(&stage, jobs, 5);
}

/* Rows of a table by numbers; 9 is in no table of ten rows, and 10 less so. */
static void one_that_is_wrong_is_wrong_alone(void **state)
{
	static const int64_t numbers[] = {4, 10, 0, 9};
	struct accel_session_options options = {
		.device = "cpu", .threads = 1, .depth = 1, .batch = 4, .batch_wait_us = WAIT_US};
	struct accel_request *requests[4];
	struct accel_tensor inputs[4], outputs[4] = {{0}};
	struct accel_session *session;
	struct model model;
	float table[20];
	char error[256] = "";

	(void)state;
	for (int i = 0; i < 20; i++)
		table[i] = (float)i;
	model_init(&model);
	model_input(&model, "at", INT64, 1, DIMS(1));
	body_symbol(&model, 0, 0, "N");
	model_initializer(&model, model_floats(&model, "table", 2, DIMS(10, 2), 20, table));
	model_node(&model, "Gather", NAMES("table", "at"), NAMES("rows"));
	model_output(&model, "rows");
	if (accel_session_create(body_file(&model), &options, &session, error, sizeof(error)))
		fail_msg("%s", error);
	for (int i = 0; i < 4; i++) {
		inputs[i] = ints_of((int64_t *)(uintptr_t)&numbers[i], 1, DIMS(1));
		assert_int_equal(accel_request_create(session, &requests[i]), 0);
		assert_int_equal(accel_session_run_async(session, requests[i], &inputs[i], 1, &outputs[i], 1, NULL), 0);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(accel_request_wait(requests[i], INT64_MAX), i == 1 ? -EINVAL : 0);
		if (i == 1)
			assert_non_null(strstr(accel_request_error(requests[i]), "Gather"));
		else
			assert_memory_equal(outputs[i].data, &table[2 * numbers[i]], 2 * sizeof(float));
	}
	for (int i = 0; i < 4; i++)
		accel_request_destroy(requests[i]);
	accel_session_destroy(session);
	model_finish(&model);
}

/* The second packet is refused: that of the joined run. */
static void a_device_that_fails_is_everybodys(void **state)
{
	(void)state;
	for (int retry = 0; retry < 2; retry++) {
		struct job jobs[3] = {0};
		struct stage stage;

		stage_open(&stage, "sim:fault-packet=2", 4, retry ? ACCEL_FAULT_RETRY : ACCEL_FAULT_REPORT);
		stage_hold(&stage);
		for (unsigned int i = 0; i < 3; i++)
			assert_int_equal(job_start(stage.session, &jobs[i], i, 1, NULL), 0);
		gate_open(&stage.gate);
		for (unsigned int i = 0; i < 3; i++) {
			if (retry) {
				job_check(&jobs[i], stage.expected, 3);
				continue;
			}
			assert_int_equal(accel_request_wait(jobs[i].request, INT64_MAX), -EIO);
			assert_non_null(strstr(accel_request_error(jobs[i].request), "malformed packet"));
		}
		stage_close(&stage, jobs, 3);
	}
}

/* ---- many ---- */

#define JOBS 12

static void requests_joined_and_cancelled_at_any_time_end_once(void **state)
{
	const struct accel_session_options options = {.threads = 1, .depth = 2, .batch = 4, .batch_wait_us = 100};
	float(*expected)[DIGITS_CLASSES] = digits_expected("sim:", IMAGES);
	struct accel_session *session = digits_session(&options);
	struct job jobs[JOBS] = {0};
	unsigned int cancelled = 0, good = 0, joined = 0;

	(void)state;
	for (unsigned int n = 0; n < 50 * JOBS; n++) {
		struct job *job = &jobs[n % JOBS];
		struct accel_request *other = jobs[(n * 7 + n / JOBS) % JOBS].request;
		struct accel_run_stats stats;
		int result = n < JOBS ? -EINVAL : accel_request_wait(job->request, INT64_MAX);

		if (!result) {
			job_check(job, expected, 0);
			assert_int_equal(accel_request_stats(job->request, &stats), 0);
			joined += stats.joined > 1;
			good++;
		} else if (n >= JOBS) {
			assert_int_equal(result, -ECANCELED);
			cancelled++;
		}
		assert_int_equal(job_start(session, job, n % IMAGES, 1 + n % MOST_ROWS, NULL), 0);
		if (n % 5 == 0 && other)
			accel_request_cancel(other);
	}
	assert_true(cancelled > 0 && good > 0 && joined > 0);
	/* Under way: destroying ends them. */
	for (int i = 0; i < JOBS; i++)
		accel_request_destroy(jobs[i].request);
	accel_session_destroy(session);
	free(expected);
}

static void batches_that_can_not_be_are_refused(void **state)
{
	const struct accel_session_options many = {.batch = ACCEL_MAX_BATCH + 1}, two = {.batch = 2};
	struct accel_session *session;
	struct model model;
	char error[256];

	(void)state;
	assert_int_equal(accel_session_create(getenv("AXL_TEST_MODEL"), &many, &session, error, sizeof(error)),
			 -EINVAL);
	assert_non_null(strstr(error, "batches of 65"));
	model_init(&model);
	model_input(&model, "x", FLOAT, 2, DIMS(1, 4));
	body_symbol(&model, 0, 0, "N");
	model_node(&model, "CumSum", NAMES("x", "axis"), NAMES("y"));
	model_initializer(&model, model_ints(&model, "axis", 0, NULL, 1, DIMS(0)));
	model_output(&model, "y");
	assert_int_equal(accel_session_create(body_file(&model), &two, &session, error, sizeof(error)), -ENOTSUP);
	assert_null(session);
	assert_non_null(strstr(error, "CumSum"));
	model_finish(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joined_requests_give_what_they_give_alone),
		cmocka_unit_test(rows_of_several_make_a_batch),
		cmocka_unit_test(what_has_no_place_in_a_batch_runs_alone),
		cmocka_unit_test(a_full_batch_waits_no_longer),
		cmocka_unit_test(who_waits_for_more_can_leave),
		cmocka_unit_test(who_is_cancelled_or_late_leaves_the_others),
		cmocka_unit_test(one_that_is_wrong_is_wrong_alone),
		cmocka_unit_test(a_device_that_fails_is_everybodys),
		cmocka_unit_test(requests_joined_and_cancelled_at_any_time_end_once),
		cmocka_unit_test(batches_that_can_not_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
