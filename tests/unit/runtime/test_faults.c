/* SPDX-License-Identifier: MIT */
/*
 * Devices that fail: packets that are refused, command buffers that never end, devices that are taken out, memory that is full. What
 * the caller wanted in that case happens, every request ends, and the next one finds the session as it was.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "compiler/compiler.h"
#include "tests/unit/control/body.h"
#include "tests/unit/runtime/campaign.h"
#include "tests/unit/runtime/digits.h"

#define IMAGES CAMPAIGN_IMAGES

static struct accel_device_stats stats_of(struct accel_session *session, size_t index)
{
	struct accel_device_stats stats;

	assert_int_equal(accel_session_device_stats(session, index, &stats), 0);
	return stats;
}

static void expect_run(struct accel_session *session, unsigned int seed, float (*expected)[DIGITS_CLASSES])
{
	float scores[DIGITS_CLASSES];
	char error[256] = "";

	if (digits_run(session, seed % IMAGES, scores, error, sizeof(error)))
		fail_msg("%s", error);
	assert_memory_equal(scores, expected[seed % IMAGES], sizeof(scores));
}

/* ---- one at a time ---- */

static void a_fault_is_reported_and_the_next_run_is_good(void **state)
{
	const struct accel_session_options options = {.device = "sim:fault-packet=3", .threads = 1};
	struct accel_session *session = digits_session(&options);

	(void)state;
	for (unsigned int n = 1; n <= 30; n++) {
		float scores[DIGITS_CLASSES];
		char error[256];

		if (n % 3) {
			expect_run(session, n, campaign_on_device);
			continue;
		}
		assert_int_equal(digits_run(session, n % IMAGES, scores, error, sizeof(error)), -EIO);
		assert_non_null(strstr(error, "malformed packet"));
	}
	assert_int_equal(stats_of(session, 0).faults, 10);
	assert_int_equal(stats_of(session, 0).requests, 20);
	accel_session_destroy(session);
}

static void a_run_is_done_again_after_a_fault(void **state)
{
	static const char *const devices[] = {"sim:fault-packet=2", "sim:fault-hang=2"};

	(void)state;
	for (size_t d = 0; d < 2; d++) {
		const struct accel_session_options options = {
			.device = devices[d], .threads = 1, .on_fault = ACCEL_FAULT_RETRY};
		struct accel_session *session = digits_session(&options);

		for (unsigned int n = 0; n < 20; n++)
			expect_run(session, n, campaign_on_device);
		assert_true(stats_of(session, 0).faults >= 19);
		assert_false(stats_of(session, 0).gone);
		accel_session_destroy(session);
	}
}

static void a_run_is_not_done_again_for_ever(void **state)
{
	const struct accel_session_options options = {
		.device = "sim:fault-packet=1", .threads = 1, .on_fault = ACCEL_FAULT_RETRY};
	struct accel_session *session = digits_session(&options);
	float scores[DIGITS_CLASSES];

	(void)state;
	assert_int_equal(digits_run(session, 0, scores, NULL, 0), -EIO);
	assert_int_equal(stats_of(session, 0).faults, 4);
	accel_session_destroy(session);
}

static void the_cpu_does_what_the_device_can_not(void **state)
{
	static const char *const devices[] = {"sim:fault-packet=1", "sim:fault-hang=1", "sim:fault-gone=1"};

	(void)state;
	for (size_t d = 0; d < 3; d++) {
		const struct accel_session_options options = {
			.device = devices[d], .threads = 1, .on_fault = ACCEL_FAULT_CPU};
		struct accel_session *session = digits_session(&options);

		if (d == 2)
			expect_run(session, 0, campaign_on_device);
		for (unsigned int n = 0; n < 5; n++)
			expect_run(session, n, campaign_on_cpu);
		assert_int_equal(stats_of(session, 0).gone, d == 2);
		accel_session_destroy(session);
	}
}

/* What a first run needs, a queue and buffers, the device does not give; the next time it may. */
static void a_device_that_does_not_answer_is_asked_again(void **state)
{
	static const char *const devices[] = {"sim:fault-call=5", "sim:fault-call=6", "sim:fault-call=7"};

	(void)state;
	for (size_t d = 0; d < 3; d++) {
		struct accel_session_options options = {.device = devices[d], .threads = 1};
		struct accel_session *session = digits_session(&options);
		float scores[DIGITS_CLASSES];
		char error[256];
		unsigned int failed = 0;

		while (digits_run(session, 0, scores, error, sizeof(error))) {
			assert_non_null(strstr(error, strerror(EIO)));
			failed++;
		}
		assert_memory_equal(scores, campaign_on_device[0], sizeof(scores));
		assert_true(failed > 0);
		assert_int_equal(stats_of(session, 0).faults, failed);
		accel_session_destroy(session);

		options.on_fault = ACCEL_FAULT_RETRY;
		session = digits_session(&options);
		expect_run(session, 0, campaign_on_device);
		assert_int_equal(stats_of(session, 0).faults, failed);
		accel_session_destroy(session);

		options.on_fault = ACCEL_FAULT_CPU;
		session = digits_session(&options);
		for (unsigned int n = 0; n < failed; n++)
			expect_run(session, n, campaign_on_cpu);
		expect_run(session, failed, campaign_on_device);
		accel_session_destroy(session);
	}
}

static void one_that_never_answers_has_no_part(void **state)
{
	struct accel_session_options options = {
		.device = "sim:fault-call=3", .threads = 1, .on_fault = ACCEL_FAULT_RETRY};
	struct accel_session *session = digits_session(&options);
	float scores[DIGITS_CLASSES];

	(void)state;
	assert_int_equal(digits_run(session, 0, scores, NULL, 0), -EIO);
	assert_int_equal(stats_of(session, 0).faults, 4);
	accel_session_destroy(session);

	options.on_fault = ACCEL_FAULT_CPU;
	session = digits_session(&options);
	for (unsigned int n = 0; n < 5; n++)
		expect_run(session, n, campaign_on_cpu);
	assert_int_equal(stats_of(session, 0).requests, 0);
	accel_session_destroy(session);

	options = (struct accel_session_options){
		.device = "sim:fault-call=3,sim:", .threads = 1, .on_fault = ACCEL_FAULT_RETRY};
	session = digits_session(&options);
	for (unsigned int n = 0; n < 30; n++)
		expect_run(session, n, campaign_on_device);
	assert_int_equal(stats_of(session, 0).requests, 0);
	assert_int_equal(stats_of(session, 1).requests, 30);
	accel_session_destroy(session);
}

static void a_device_that_is_gone_is_left_alone(void **state)
{
	const struct accel_session_options two = {
		.device = "sim:fault-gone=5,sim:", .threads = 1, .on_fault = ACCEL_FAULT_RETRY};
	const struct accel_session_options one = {
		.device = "sim:fault-gone=2", .threads = 1, .on_fault = ACCEL_FAULT_RETRY};
	struct accel_session *session = digits_session(&two);
	float scores[DIGITS_CLASSES];
	char error[256];

	(void)state;
	for (unsigned int n = 0; n < 30; n++)
		expect_run(session, n, campaign_on_device);
	assert_true(stats_of(session, 0).gone);
	assert_false(stats_of(session, 1).gone);
	assert_int_equal(stats_of(session, 0).requests, 5);
	assert_int_equal(stats_of(session, 1).requests, 25);
	accel_session_destroy(session);

	session = digits_session(&one);
	expect_run(session, 0, campaign_on_device);
	expect_run(session, 1, campaign_on_device);
	for (int n = 0; n < 3; n++) {
		assert_int_equal(digits_run(session, 0, scores, error, sizeof(error)), -ENODEV);
		assert_non_null(strstr(error, "gone"));
	}
	accel_session_destroy(session);
}

/* ---- devices that come back ---- */

/* Runs of the only device that fail because it is away, with what they say, until one does not: how many. */
static unsigned int wait_for_return(struct accel_session *session, const char *says)
{
	unsigned int failed = 0;

	for (;;) {
		float scores[DIGITS_CLASSES];
		char error[512] = "";
		int err = digits_run(session, 0, scores, error, sizeof(error));

		if (!err) {
			assert_memory_equal(scores, campaign_on_device[0], sizeof(scores));
			return failed;
		}
		assert_int_equal(err, -ENODEV);
		assert_true(stats_of(session, 0).gone);
		assert_non_null(strstr(error, "gone"));
		if (*stats_of(session, 0).why)
			assert_non_null(strstr(error, says));
		failed++;
	}
}

static void a_device_that_comes_back_is_used_again(void **state)
{
	const struct accel_session_options options = {
		.device = "sim:fault-gone=4,fault-back=3", .threads = 1, .on_fault = ACCEL_FAULT_RETRY};
	struct accel_session *session = digits_session(&options);
	struct accel_run_stats stats;

	(void)state;
	for (unsigned int round = 0; round < 3; round++) {
		int64_t began;

		for (unsigned int n = round ? 1 : 0; n < 4; n++)
			expect_run(session, n, campaign_on_device);
		assert_false(stats_of(session, 0).gone);
		/* Tries behind 10, 20 and 40 ms, however many requests come meanwhile. */
		began = digits_deadline(0);
		assert_true(wait_for_return(session, "not been put in again") > 0);
		assert_true(digits_deadline(0) - began >= 70 * 1000 * INT64_C(1000));
		assert_int_equal(stats_of(session, 0).returns, round + 1);
		assert_string_equal(stats_of(session, 0).why, "");
		assert_int_equal(stats_of(session, 0).requests, 4 * (round + 1) + 1);
		assert_int_equal(accel_session_stats(session, &stats), 0);
		assert_true(stats.cycles > 0);
	}
	accel_session_destroy(session);
}

/* The CPU answers meanwhile, or the other device; when it is back it does its part again. */
static void others_do_its_work_meanwhile(void **state)
{
	const struct accel_session_options cpu = {
		.device = "sim:fault-gone=3,fault-back=2", .threads = 1, .on_fault = ACCEL_FAULT_CPU};
	const struct accel_session_options two = {
		.device = "sim:,sim:fault-gone=5,fault-back=2", .threads = 1, .on_fault = ACCEL_FAULT_RETRY};
	struct accel_session *session = digits_session(&cpu);
	unsigned int elsewhere = 0;

	(void)state;
	for (unsigned int n = 0; n < 3; n++)
		expect_run(session, n, campaign_on_device);
	while (!stats_of(session, 0).returns) {
		uint64_t before = stats_of(session, 0).requests;
		float scores[DIGITS_CLASSES];

		assert_int_equal(digits_run(session, 1, scores, NULL, 0), 0);
		assert_memory_equal(scores,
				    stats_of(session, 0).requests > before ? campaign_on_device[1] : campaign_on_cpu[1],
				    sizeof(scores));
		elsewhere += stats_of(session, 0).requests == before;
	}
	assert_true(elsewhere > 0);
	assert_int_equal(stats_of(session, 0).requests, 4);
	accel_session_destroy(session);

	session = digits_session(&two);
	for (unsigned int n = 0; n < 10; n++)
		expect_run(session, n, campaign_on_device);
	assert_int_equal(stats_of(session, 1).requests, 5);
	while (!stats_of(session, 1).returns)
		expect_run(session, 0, campaign_on_device);
	assert_true(stats_of(session, 0).requests > 5);
	elsewhere = (unsigned int)stats_of(session, 0).requests;
	while (!stats_of(session, 1).gone)
		expect_run(session, 0, campaign_on_device);
	/* Both have their share of these, not the one that was away all of them. */
	assert_int_equal(stats_of(session, 1).requests, 10);
	assert_in_range(stats_of(session, 0).requests - elsewhere, 3, 7);
	accel_session_destroy(session);
}

/* Nothing of the session is for it, and the next one that comes may be right. */
static void another_kind_of_device_is_refused(void **state)
{
	const struct accel_session_options options = {.device = "sim:fault-gone=2,fault-back=1,fault-becomes=axl-pro",
						      .threads = 1};
	struct accel_session *session = digits_session(&options);
	int64_t until = digits_deadline(100000);
	float scores[DIGITS_CLASSES];
	char error[512] = "";

	(void)state;
	for (unsigned int n = 0; n < 2; n++)
		expect_run(session, n, campaign_on_device);
	while (digits_deadline(0) < until)
		assert_int_equal(digits_run(session, 0, scores, error, sizeof(error)), -ENODEV);
	assert_non_null(strstr(error, "what came back is of target axl-pro"));
	assert_non_null(strstr(error, "of target axl-edge"));
	assert_true(stats_of(session, 0).gone);
	assert_int_equal(stats_of(session, 0).returns, 0);
	assert_int_equal(stats_of(session, 0).requests, 2);
	accel_session_destroy(session);
}

/* What was compiled while it was away is there for it as well; so is what it had before. */
static void it_gets_plans_that_were_made_without_it(void **state)
{
	const struct accel_session_options options = {
		.device = "sim:fault-gone=2,fault-back=4,sim:", .threads = 1, .on_fault = ACCEL_FAULT_RETRY};
	struct accel_session *session = digits_session(&options);
	float images[3 * DIGITS_PIXELS], scores[3 * DIGITS_CLASSES];
	struct accel_tensor input = digits_input(images), output;
	uint64_t before;

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		digits_image(images + (size_t)i * DIGITS_PIXELS, i);
	input.dims[0] = 3;
	input.size = sizeof(images);
	for (unsigned int n = 0; !stats_of(session, 0).gone; n++)
		expect_run(session, n, campaign_on_device);
	do {
		output = (struct accel_tensor){.data = scores, .size = sizeof(scores)};
		before = stats_of(session, 0).requests;
		assert_int_equal(accel_session_run(session, &input, 1, &output, 1, NULL, 0), 0);
		for (unsigned int i = 0; i < 3; i++)
			for (unsigned int k = 0; k < DIGITS_CLASSES; k++)
				assert_true(scores[i * DIGITS_CLASSES + k] - campaign_on_device[i][k] < 1e-3f &&
					    campaign_on_device[i][k] - scores[i * DIGITS_CLASSES + k] < 1e-3f);
	} while (stats_of(session, 0).requests == before);
	assert_int_equal(stats_of(session, 0).returns, 1);
	before = stats_of(session, 0).requests;
	while (stats_of(session, 0).requests == before)
		expect_run(session, 5, campaign_on_device);
	accel_session_destroy(session);
}

static void a_package_has_no_other_way(void **state)
{
	const struct compile_options compile = {.target = "axl-edge"};
	const struct accel_session_options options = {.threads = 1, .on_fault = ACCEL_FAULT_CPU};
	char path[] = "/tmp/axl-faults-XXXXXX.axm", error[256];
	struct accel_session *session;
	struct compile_result result;
	int fd = mkstemps(path, 4);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(compile_file(getenv("AXL_TEST_MODEL"), &compile, &result, error, sizeof(error)), 0);
	assert_int_equal(write(fd, result.bytes, result.size), result.size);
	close(fd);
	compile_result_finish(&result);
	assert_int_equal(accel_session_create(path, &options, &session, error, sizeof(error)), -ENOTSUP);
	assert_non_null(strstr(error, "ONNX"));
	unlink(path);
}

/* The watchdog ends what hangs if neither deadline nor cancelling comes first. */
static void a_run_that_hangs_can_be_late_and_cancelled(void **state)
{
	const struct accel_session_options options = {.device = "sim:fault-hang=1", .threads = 1, .depth = 1};
	struct accel_session *session = digits_session(&options);
	struct accel_request *request;
	float image[DIGITS_PIXELS], scores[DIGITS_CLASSES];
	struct accel_tensor input = digits_input(image), output = digits_output(scores);
	unsigned int late = 0, cancelled = 0;

	(void)state;
	digits_image(image, 0);
	assert_int_equal(accel_request_create(session, &request), 0);
	for (unsigned int n = 0; n < 40; n++) {
		const struct accel_run_options run = {.deadline_ns = n % 4 < 2 ? digits_deadline(1000) : 0};
		int result;

		assert_int_equal(accel_session_run_async(session, request, &input, 1, &output, 1, &run), 0);
		if (n % 4 >= 2) {
			accel_request_wait(request, digits_deadline(500));
			accel_request_cancel(request);
		}
		result = accel_request_wait(request, INT64_MAX);
		late += result == -ETIMEDOUT;
		cancelled += result == -ECANCELED;
		assert_true(result == -ETIMEDOUT || result == -ECANCELED || result == -EIO);
	}
	assert_true(late > 0);
	assert_true(cancelled > 0);
	accel_request_destroy(request);
	accel_session_destroy(session);
}

/* ---- memory ---- */

/* Input and output of a request are large pages of 2 MiB each: in 16 MiB there is room for some, not for eight. */
#define ELEMENTS (128 * 1024)

struct reader {
	struct accel_session *session;
	unsigned int seed;
	bool good;
};

static void *read_much(void *arg)
{
	struct reader *reader = arg;
	float *in = malloc(ELEMENTS * sizeof(*in)), *out = malloc(ELEMENTS * sizeof(*out));

	reader->good = in && out;
	for (unsigned int n = 0; n < 5 && reader->good; n++) {
		struct accel_tensor input = floats_of(in, 2, DIMS(128, ELEMENTS / 128));
		struct accel_tensor output = {.data = out, .size = ELEMENTS * sizeof(*out)};

		for (int i = 0; i < ELEMENTS; i++)
			in[i] = (float)((i * 7 + (int)(reader->seed + n)) % 101 - 50);
		reader->good = !accel_session_run(reader->session, &input, 1, &output, 1, NULL, 0);
		for (int i = 0; i < ELEMENTS; i++)
			reader->good &= out[i] == (in[i] > 0 ? in[i] : 0);
	}
	free(in);
	free(out);
	return NULL;
}

static void requests_share_what_memory_there_is(void **state)
{
	struct accel_session_options options = {
		.device = "sim:memory=16777216", .threads = 1, .depth = 8, .disable = "placement"};
	struct reader readers[8];
	pthread_t threads[8];
	struct model model;
	struct accel_session *session;
	float *in = calloc(ELEMENTS, sizeof(*in));
	struct accel_tensor input = floats_of(in, 2, DIMS(128, ELEMENTS / 128));
	char error[256];

	(void)state;
	assert_non_null(in);
	model_init(&model);
	model_input(&model, "x", FLOAT, 2, DIMS(128, ELEMENTS / 128));
	model_node(&model, "Relu", NAMES("x"), NAMES("y"));
	model_output(&model, "y");
	assert_int_equal(accel_session_create(body_file(&model), &options, &session, error, sizeof(error)), 0);
	for (unsigned int i = 0; i < 8; i++) {
		readers[i] = (struct reader){session, i, false};
		assert_int_equal(pthread_create(&threads[i], NULL, read_much, &readers[i]), 0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		assert_true(readers[i].good);
	}
	assert_int_equal(stats_of(session, 0).requests, 40);
	accel_session_destroy(session);

	/* Not enough for one: said, or done on the CPU. */
	options.device = "sim:memory=2097152";
	model_finish(&model);
	model_init(&model);
	model_input(&model, "x", FLOAT, 2, DIMS(128, ELEMENTS / 128));
	model_node(&model, "Relu", NAMES("x"), NAMES("y"));
	model_node(&model, "Transpose", NAMES("y"), NAMES("z"));
	model_node(&model, "Transpose", NAMES("x"), NAMES("u"));
	model_output(&model, "y");
	model_output(&model, "z");
	model_output(&model, "u");
	for (int cpu = 0; cpu < 2; cpu++) {
		struct accel_tensor outputs[3] = {0};
		int err;

		options.on_fault = cpu ? ACCEL_FAULT_CPU : ACCEL_FAULT_RETRY;
		err = accel_session_create(body_file(&model), &options, &session, error, sizeof(error));
		assert_int_equal(err, 0);
		err = accel_session_run(session, &input, 1, outputs, 3, error, sizeof(error));
		assert_int_equal(err, cpu ? 0 : -ENOSPC);
		assert_int_equal(stats_of(session, 0).requests, 0);
		accel_session_destroy(session);
	}
	free(in);
	model_finish(&model);
}

/* ---- all at once ---- */

static void run_campaign(const char *device, enum accel_on_fault on_fault, unsigned int runs)
{
	const struct accel_session_options options = {.device = device, .threads = 1, .depth = 8, .on_fault = on_fault};
	struct campaign campaign = {.runs = runs, .may_fail = on_fault == ACCEL_FAULT_REPORT};
	struct accel_session *session = digits_session(&options);

	campaign_run(&campaign, session);
	print_message("%s: %u good, %u failed, %llu faults, %llu returns\n", device, campaign.good, campaign.failed,
		      (unsigned long long)campaign.faults, (unsigned long long)campaign.returns);
	assert_true(campaign.good > 0);
	assert_true(strstr(device, "fault-back") ? campaign.returns > 0 : campaign.faults > 0);
	accel_session_destroy(session);
}

static void none_is_wrong_lost_or_hung(void **state)
{
	(void)state;
	run_campaign("sim:fault-packet=50,fault-hang=211,sim:fault-packet=37", ACCEL_FAULT_RETRY, 400);
	run_campaign("sim:fault-packet=7,fault-hang=101,sim:fault-packet=5", ACCEL_FAULT_CPU, 200);
	run_campaign("sim:fault-packet=7,fault-hang=101", ACCEL_FAULT_REPORT, 200);
	run_campaign("sim:fault-gone=300,sim:", ACCEL_FAULT_RETRY, 100);
	run_campaign("sim:fault-gone=100", ACCEL_FAULT_CPU, 100);
	run_campaign("sim:fault-gone=60,fault-back=1,sim:fault-gone=90,fault-back=2,sim:", ACCEL_FAULT_RETRY, 400);
	run_campaign("sim:fault-gone=50,fault-back=1,fault-hang=101", ACCEL_FAULT_CPU, 400);
	run_campaign("sim:fault-gone=50,fault-back=1,fault-packet=31", ACCEL_FAULT_REPORT, 400);
	run_campaign("sim:fault-gone=50,fault-back=1,fault-packet=5,fault-call=9", ACCEL_FAULT_CPU, 400);
	run_campaign("sim:fault-packet=50,fault-call=8,sim:fault-packet=37", ACCEL_FAULT_RETRY, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_is_reported_and_the_next_run_is_good),
		cmocka_unit_test(a_run_is_done_again_after_a_fault),
		cmocka_unit_test(a_run_is_not_done_again_for_ever),
		cmocka_unit_test(the_cpu_does_what_the_device_can_not),
		cmocka_unit_test(a_device_that_does_not_answer_is_asked_again),
		cmocka_unit_test(one_that_never_answers_has_no_part),
		cmocka_unit_test(a_device_that_is_gone_is_left_alone),
		cmocka_unit_test(a_device_that_comes_back_is_used_again),
		cmocka_unit_test(others_do_its_work_meanwhile),
		cmocka_unit_test(another_kind_of_device_is_refused),
		cmocka_unit_test(it_gets_plans_that_were_made_without_it),
		cmocka_unit_test(a_package_has_no_other_way),
		cmocka_unit_test(a_run_that_hangs_can_be_late_and_cancelled),
		cmocka_unit_test(requests_share_what_memory_there_is),
		cmocka_unit_test(none_is_wrong_lost_or_hung),
	};

	return cmocka_run_group_tests(tests, campaign_make_answers, campaign_free_answers);
}
