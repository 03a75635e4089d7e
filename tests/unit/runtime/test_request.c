/* SPDX-License-Identifier: MIT */
/*
 * Requests of a session: several at once, from several threads; their ends, by waiting, callback and file descriptor; what happens when
 * there are too many, when they are cancelled, and when they are late.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/runtime/digits.h"
#include "tests/unit/runtime/gate.h"

#define IMAGES 16

/* A request and all that it needs. */
struct job {
	struct accel_request *request;
	struct accel_tensor input, output;
	float image[DIGITS_PIXELS], scores[DIGITS_CLASSES];
	unsigned int seed;
};

static void job_create(struct accel_session *session, struct job *job)
{
	assert_int_equal(accel_request_create(session, &job->request), 0);
	job->input = digits_input(job->image);
}

static int job_start(struct accel_session *session, struct job *job, unsigned int seed,
		     const struct accel_run_options *options)
{
	job->seed = seed;
	digits_image(job->image, seed);
	job->output = digits_output(job->scores);
	return accel_session_run_async(session, job->request, &job->input, 1, &job->output, 1, options);
}

static void job_check(const struct job *job, float (*expected)[DIGITS_CLASSES])
{
	assert_int_equal(accel_request_wait(job->request, INT64_MAX), 0);
	assert_string_equal(accel_request_error(job->request), "");
	assert_memory_equal(job->scores, expected[job->seed % IMAGES], sizeof(job->scores));
	assert_int_equal(job->output.rank, 2);
}

static void requests_give_what_calls_give(void **state)
{
	static const char *const devices[] = {"sim:", "cpu", "sim:,sim:"};

	(void)state;
	for (size_t d = 0; d < 3; d++) {
		const struct accel_session_options options = {.device = devices[d], .threads = 2, .depth = 3};
		float(*expected)[DIGITS_CLASSES] = digits_expected(d == 1 ? "cpu" : "sim:", IMAGES);
		struct accel_session *session = digits_session(&options);
		struct job jobs[6] = {0};
		struct accel_run_stats stats;

		for (int i = 0; i < 6; i++) {
			job_create(session, &jobs[i]);
			assert_int_equal(accel_request_wait(jobs[i].request, 0), -EINVAL);
			assert_int_equal(accel_request_stats(jobs[i].request, &stats), -EINVAL);
		}
		for (unsigned int n = 0; n < 60; n++) {
			struct job *job = &jobs[n % 6];

			if (n >= 6)
				job_check(job, expected);
			assert_int_equal(job_start(session, job, n % IMAGES, NULL), 0);
		}
		for (int i = 0; i < 6; i++) {
			job_check(&jobs[i], expected);
			assert_int_equal(accel_request_stats(jobs[i].request, &stats), 0);
			assert_true(stats.ns > 0);
			assert_int_equal(stats.cycles > 0, d != 1);
			assert_non_null(stats.nodes);
			/* The session does not trace. */
			assert_int_equal(accel_request_trace(jobs[i].request, "/tmp/none"), -ENODATA);
			accel_request_destroy(jobs[i].request);
		}
		accel_session_destroy(session);
		free(expected);
	}
}

static uint64_t node_cycles(const struct accel_run_stats *stats)
{
	uint64_t sum = 0;

	for (size_t n = 0; n < stats->num_nodes; n++)
		sum += stats->nodes[n].cycles;
	return sum;
}

static uint64_t region_cycles(const struct accel_run_stats *stats)
{
	uint64_t sum = 0;

	for (size_t r = 0; r < stats->num_regions; r++)
		sum += stats->regions[r].cycles;
	return sum;
}

/* Events of the trace of @request in which @text occurs. */
static size_t count_in_trace(struct accel_request *request, const char *text)
{
	char path[] = "/tmp/axl_trace_XXXXXX", line[4096];
	int fd = mkstemp(path);
	size_t count = 0;
	FILE *file;

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(accel_request_trace(request, path), 0);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) /* an event a line */
		count += strstr(line, text) != NULL;
	fclose(file);
	unlink(path);
	return count;
}

/* Of each request, while others run on the same instances; the sums are those of its run. */
static void requests_have_figures_and_a_trace_of_their_own(void **state)
{
	const struct accel_session_options options = {
		.device = "sim:,sim:", .threads = 1, .depth = 2, .trace = true, .disable = "placement"};
	struct accel_session *session = digits_session(&options);
	struct job jobs[4] = {0};
	struct accel_run_stats stats;

	(void)state;
	for (int i = 0; i < 4; i++) {
		job_create(session, &jobs[i]);
		assert_int_equal(accel_request_trace(jobs[i].request, "/tmp/none"), -EINVAL);
	}
	for (int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 4; i++)
			assert_int_equal(job_start(session, &jobs[i], i, NULL), 0);
		for (int i = 0; i < 4; i++)
			assert_int_equal(accel_request_wait(jobs[i].request, INT64_MAX), 0);
		for (int i = 0; i < 4; i++) {
			size_t regions = 0;

			assert_int_equal(accel_request_stats(jobs[i].request, &stats), 0);
			assert_true(stats.cycles > 0);
			assert_int_equal(node_cycles(&stats), stats.cycles);
			assert_int_equal(region_cycles(&stats), stats.cycles);
			for (size_t r = 0; r < stats.num_regions; r++)
				regions += stats.regions[r].device;
			assert_int_equal(count_in_trace(jobs[i].request, "\"cat\":\"packet\",\"ph\":\"X\""), regions);
			assert_int_equal(count_in_trace(jobs[i].request, "\"name\":\"run\""), 1);
			assert_true(count_in_trace(jobs[i].request, "\"cat\":\"FusedConv\"") > 0);
		}
	}
	assert_int_equal(accel_request_trace(jobs[0].request, "/nonexistent/trace"), -ENOENT);
	for (int i = 0; i < 4; i++)
		accel_request_destroy(jobs[i].request);
	accel_session_destroy(session);
}

/* One image more than before: the session compiles for it. */
static void run_batch(struct accel_session *session, struct accel_request *request, int64_t images)
{
	float *pixels = calloc((size_t)images * DIGITS_PIXELS, sizeof(*pixels));
	struct accel_tensor input = digits_input(pixels), output = {0};

	assert_non_null(pixels);
	input.dims[0] = images;
	input.size *= (size_t)images;
	assert_int_equal(accel_session_run_async(session, request, &input, 1, &output, 1, NULL), 0);
	if (accel_request_wait(request, INT64_MAX))
		fail_msg("%s", accel_request_error(request));
	free(pixels);
}

/* A session keeps so many plans; the figures of a request are its own, names too. */
static void figures_outlive_the_plan_that_they_are_of(void **state)
{
	const struct accel_session_options options = {.threads = 1, .trace = true, .disable = "placement"};
	struct accel_session *session = digits_session(&options);
	struct accel_request *kept, *other;
	struct accel_run_stats before, after;
	size_t events;
	char name[64];

	(void)state;
	assert_int_equal(accel_request_create(session, &kept), 0);
	assert_int_equal(accel_request_create(session, &other), 0);
	run_batch(session, kept, 2);
	assert_int_equal(accel_request_stats(kept, &before), 0);
	snprintf(name, sizeof(name), "%s", before.nodes[0].name);
	events = count_in_trace(kept, "\"ph\":\"X\"");
	for (int64_t images = 3; images < 4 + ACCEL_MAX_SPECIALISATIONS; images++)
		run_batch(session, other, images);
	assert_int_equal(accel_request_stats(kept, &after), 0);
	assert_ptr_equal(before.nodes, after.nodes);
	assert_string_equal(after.nodes[0].name, name);
	assert_int_equal(node_cycles(&after), after.cycles);
	assert_int_equal(count_in_trace(kept, "\"ph\":\"X\""), events);
	/* The request that changed plans has the figures of its last. */
	assert_int_equal(accel_request_stats(other, &after), 0);
	assert_int_equal(node_cycles(&after), after.cycles);
	assert_true(after.cycles > before.cycles);
	/* It was thrown out: compiled again. */
	run_batch(session, kept, 2);
	assert_int_equal(accel_request_stats(kept, &after), 0);
	assert_int_equal(after.cycles, before.cycles);
	assert_int_equal(after.compilations + after.cached, 3 + ACCEL_MAX_SPECIALISATIONS + 1);
	accel_request_destroy(kept);
	accel_request_destroy(other);
	accel_session_destroy(session);
}

static void outputs_without_memory_get_some(void **state)
{
	const struct accel_session_options options = {.threads = 1};
	float(*expected)[DIGITS_CLASSES] = digits_expected("sim:", 2);
	struct accel_session *session = digits_session(&options);
	struct job first = {0}, second = {0};

	(void)state;
	job_create(session, &first);
	job_create(session, &second);
	digits_image(first.image, 0);
	digits_image(second.image, 1);
	assert_int_equal(accel_session_run_async(session, first.request, &first.input, 1, &first.output, 1, NULL), 0);
	assert_int_equal(accel_request_wait(first.request, INT64_MAX), 0);
	assert_int_equal(accel_session_run_async(session, second.request, &second.input, 1, &second.output, 1, NULL),
			 0);
	assert_int_equal(accel_request_wait(second.request, INT64_MAX), 0);
	/* Of each request, whatever ran since. */
	assert_memory_equal(first.output.data, expected[0], sizeof(expected[0]));
	assert_memory_equal(second.output.data, expected[1], sizeof(expected[1]));
	assert_int_equal(first.output.size, sizeof(expected[0]));
	accel_request_destroy(first.request);
	accel_request_destroy(second.request);
	accel_session_destroy(session);
	free(expected);
}

static void bad_requests_are_answered(void **state)
{
	const struct accel_session_options options = {.threads = 1};
	struct accel_session *session = digits_session(&options);
	struct job job = {0};

	(void)state;
	job_create(session, &job);
	assert_int_equal(accel_session_run_async(session, job.request, &job.input, 2, &job.output, 1, NULL), -EINVAL);
	assert_int_equal(job_start(session, &job, 0, NULL), 0);
	assert_int_equal(accel_request_wait(job.request, INT64_MAX), 0);
	job.input.dims[2] = 9;
	assert_int_equal(job_start(session, &job, 0, NULL), 0);
	assert_int_equal(accel_request_wait(job.request, INT64_MAX), -EINVAL);
	assert_non_null(strstr(accel_request_error(job.request), "dimension 2"));
	job.input.dims[2] = 8;
	job.output = digits_output(job.scores);
	job.output.size = 4;
	assert_int_equal(accel_session_run_async(session, job.request, &job.input, 1, &job.output, 1, NULL), 0);
	assert_int_equal(accel_request_wait(job.request, INT64_MAX), -ENOSPC);
	accel_request_destroy(job.request);
	accel_request_destroy(NULL);
	accel_session_destroy(session);
}

/* ---- callbacks and file descriptors ---- */

static void the_end_is_told_once_and_before_it_is_seen(void **state)
{
	const struct accel_session_options options = {.threads = 1};
	struct accel_session *session = digits_session(&options);
	struct pollfd poll_fd = {.events = POLLIN};
	struct job job = {0};
	struct gate gate;
	struct accel_run_options run = {.done = gate_pass, .context = &gate};

	(void)state;
	gate_init(&gate);
	job_create(session, &job);
	poll_fd.fd = accel_request_fd(job.request);
	assert_true(poll_fd.fd >= 0);
	assert_int_equal(accel_request_fd(job.request), poll_fd.fd);
	assert_int_equal(job_start(session, &job, 0, &run), 0);
	gate_await(&gate);
	assert_int_equal(accel_request_wait(job.request, 0), -EINPROGRESS);
	assert_int_equal(job_start(session, &job, 0, &run), -EBUSY);
	assert_int_equal(poll(&poll_fd, 1, 0), 0);
	gate_open(&gate);
	assert_int_equal(poll(&poll_fd, 1, -1), 1);
	assert_int_equal(accel_request_wait(job.request, 0), 0);
	assert_int_equal(gate.calls, 1);
	assert_int_equal(gate.result, 0);
	/* A new run makes it unreadable. */
	gate.open = gate.reached = false;
	assert_int_equal(job_start(session, &job, 1, &run), 0);
	gate_await(&gate);
	assert_int_equal(poll(&poll_fd, 1, 0), 0);
	gate_open(&gate);
	accel_request_destroy(job.request);
	accel_session_destroy(session);
}

/* ---- too many, cancelled, late ---- */

/* One thread, and it stands in a callback: what comes then stays where it is. */
static void what_waits_can_be_refused_cancelled_and_late(void **state)
{
	const struct accel_session_options options = {.threads = 1, .depth = 1, .queue = 2};
	float(*expected)[DIGITS_CLASSES] = digits_expected("sim:", IMAGES);
	struct accel_session *session = digits_session(&options);
	const struct accel_run_options nonblock = {.nonblock = true}, late = {.deadline_ns = 1};
	struct job held = {0}, turn = {0}, cancelled = {0}, overdue = {0}, refused = {0};
	struct gate gate;
	struct accel_run_options hold = {.done = gate_pass, .context = &gate};

	(void)state;
	gate_init(&gate);
	job_create(session, &held);
	job_create(session, &turn);
	job_create(session, &cancelled);
	job_create(session, &overdue);
	job_create(session, &refused);
	assert_int_equal(job_start(session, &held, 0, &hold), 0);
	gate_await(&gate);
	assert_int_equal(job_start(session, &turn, 1, &nonblock), 0);
	assert_int_equal(job_start(session, &cancelled, 2, &nonblock), 0);
	assert_int_equal(job_start(session, &overdue, 3, &late), 0);
	assert_int_equal(job_start(session, &refused, 4, &nonblock), -EAGAIN);
	assert_int_equal(accel_request_wait(refused.request, 0), -EINVAL);
	accel_request_cancel(cancelled.request);
	assert_int_equal(accel_request_wait(cancelled.request, 0), -ECANCELED);
	assert_non_null(strstr(accel_request_error(cancelled.request), "cancelled"));
	assert_int_equal(accel_request_wait(overdue.request, INT64_MAX), -ETIMEDOUT);
	/* There is room again. */
	assert_int_equal(job_start(session, &refused, 4, &nonblock), 0);
	assert_int_equal(accel_request_wait(turn.request, 0), -EINPROGRESS);
	gate_open(&gate);
	job_check(&held, expected);
	job_check(&turn, expected);
	job_check(&refused, expected);
	/* Nothing to cancel: nothing happens. */
	accel_request_cancel(held.request);
	assert_int_equal(accel_request_wait(held.request, 0), 0);
	accel_request_destroy(held.request);
	accel_request_destroy(turn.request);
	accel_request_destroy(cancelled.request);
	accel_request_destroy(overdue.request);
	accel_request_destroy(refused.request);
	accel_session_destroy(session);
	free(expected);
}

/* Nobody asks for it, and there is no turn that it could get: it ends nevertheless. */
static void who_waits_for_a_turn_is_late_by_himself(void **state)
{
	const struct accel_session_options options = {.threads = 1, .depth = 1, .queue = 3};
	const struct accel_run_options late = {.deadline_ns = 1};
	float(*expected)[DIGITS_CLASSES] = digits_expected("sim:", IMAGES);
	struct accel_session *session = digits_session(&options);
	struct pollfd poll_fd = {.events = POLLIN};
	struct job held = {0}, patient = {0}, overdue = {0};
	struct gate gate;
	struct accel_run_options hold = {.done = gate_pass, .context = &gate};

	(void)state;
	gate_init(&gate);
	job_create(session, &held);
	job_create(session, &patient);
	job_create(session, &overdue);
	poll_fd.fd = accel_request_fd(overdue.request);
	assert_int_equal(job_start(session, &held, 0, &hold), 0);
	gate_await(&gate);
	/* The first has the turn behind the one that is held, and keeps it. */
	assert_int_equal(job_start(session, &patient, 1, NULL), 0);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(job_start(session, &overdue, 2, &late), 0);
		assert_int_equal(poll(&poll_fd, 1, -1), 1);
		assert_int_equal(accel_request_wait(overdue.request, 0), -ETIMEDOUT);
		assert_non_null(strstr(accel_request_error(overdue.request), "deadline"));
	}
	gate_open(&gate);
	job_check(&held, expected);
	job_check(&patient, expected);
	accel_request_destroy(held.request);
	accel_request_destroy(patient.request);
	accel_request_destroy(overdue.request);
	gate_finish(&gate);
	accel_session_destroy(session);
	free(expected);
}

static void a_request_that_has_its_turn_can_be_late_and_cancelled(void **state)
{
	const struct accel_session_options options = {.threads = 1, .depth = 1, .queue = 1};
	const struct accel_run_options late = {.deadline_ns = 1};
	struct accel_session *session = digits_session(&options);
	struct job held = {0}, next = {0};
	struct gate gate;
	struct accel_run_options hold = {.done = gate_pass, .context = &gate};

	(void)state;
	gate_init(&gate);
	job_create(session, &held);
	job_create(session, &next);
	/* It began, or it did not: it is late. */
	assert_int_equal(job_start(session, &next, 0, &late), 0);
	assert_int_equal(accel_request_wait(next.request, INT64_MAX), -ETIMEDOUT);
	assert_int_equal(job_start(session, &held, 0, &hold), 0);
	gate_await(&gate);
	assert_int_equal(job_start(session, &next, 0, NULL), 0);
	accel_request_cancel(next.request);
	gate_open(&gate);
	assert_int_equal(accel_request_wait(next.request, INT64_MAX), -ECANCELED);
	accel_request_destroy(held.request);
	accel_request_destroy(next.request);
	accel_session_destroy(session);
}

static void requests_cancelled_at_any_time_end_once(void **state)
{
	const struct accel_session_options options = {.threads = 1, .depth = 2, .queue = 4};
	float(*expected)[DIGITS_CLASSES] = digits_expected("sim:", IMAGES);
	struct accel_session *session = digits_session(&options);
	struct job jobs[6] = {0};
	unsigned int cancelled = 0, good = 0;

	(void)state;
	for (int i = 0; i < 6; i++)
		job_create(session, &jobs[i]);
	for (unsigned int n = 0; n < 600; n++) {
		struct job *job = &jobs[n % 6], *other = &jobs[(n * 7 + n / 6) % 6];

		if (n >= 6) {
			int result = accel_request_wait(job->request, INT64_MAX);

			if (result)
				assert_int_equal(result, -ECANCELED);
			else
				assert_memory_equal(job->scores, expected[job->seed], sizeof(job->scores));
			cancelled += result != 0;
			good += result == 0;
		}
		assert_int_equal(job_start(session, job, n % IMAGES, NULL), 0);
		if (n % 3 == 0)
			accel_request_cancel(other->request);
	}
	assert_true(cancelled > 0 && good > 0);
	/* Under way: destroying ends them. */
	for (int i = 0; i < 6; i++)
		accel_request_destroy(jobs[i].request);
	accel_session_destroy(session);
	free(expected);
}

/* ---- threads ---- */

struct caller {
	struct accel_session *session;
	float (*expected)[DIGITS_CLASSES];
	unsigned int first;
	int wrong;
};

static void *call_many_times(void *arg)
{
	struct caller *caller = arg;

	for (unsigned int n = 0; n < 40; n++) {
		float scores[DIGITS_CLASSES];
		unsigned int seed = (caller->first + n) % IMAGES;

		caller->wrong += digits_run(caller->session, seed, scores, NULL, 0) != 0 ||
				 memcmp(scores, caller->expected[seed], sizeof(scores)) != 0;
	}
	return NULL;
}

static void eight_threads_share_two_devices(void **state)
{
	const struct accel_session_options options = {.device = "sim:,sim:", .threads = 1, .depth = 8};
	float(*expected)[DIGITS_CLASSES] = digits_expected("sim:", IMAGES);
	struct accel_session *session = digits_session(&options);
	struct accel_device_stats device[2], none;
	struct caller callers[8];
	pthread_t threads[8];

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		callers[i] = (struct caller){session, expected, i, 0};
		assert_int_equal(pthread_create(&threads[i], NULL, call_many_times, &callers[i]), 0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(callers[i].wrong, 0);
	}
	assert_int_equal(accel_session_num_devices(session), 2);
	for (size_t d = 0; d < 2; d++) {
		assert_int_equal(accel_session_device_stats(session, d, &device[d]), 0);
		assert_string_equal(device[d].name, "sim:");
		assert_int_equal(device[d].under_way, 0);
		assert_int_equal(device[d].faults, 0);
	}
	assert_int_equal(accel_session_device_stats(session, 2, &none), -EINVAL);
	assert_int_equal(device[0].requests + device[1].requests, 320);
	/* On one device the cycles of all; on two, those of the one that had more. At least 1.8 times the throughput. */
	for (size_t d = 0; d < 2; d++)
		assert_true((double)(device[0].cycles + device[1].cycles) >= 1.8 * (double)device[d].cycles);
	accel_session_destroy(session);
	free(expected);
}

static void bad_options_are_answered(void **state)
{
	static const struct {
		struct accel_session_options options;
		int error;
		const char *text;
	} cases[] = {
		{{.depth = ACCEL_MAX_DEPTH + 1}, -EINVAL, "depth"},
		{{.device = "sim:,sim:target=axl-pro"}, -EINVAL, "target"},
		{{.device = "sim:,sim:nonsense=1"}, -EINVAL, "nonsense"},
		{{.device = "sim:,sim:,sim:,sim:,sim:,sim:,sim:,sim:,sim:", .threads = 1}, -EINVAL, "devices"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct accel_session *session;
		char error[512];

		assert_int_equal(accel_session_create(getenv("AXL_TEST_MODEL"), &cases[i].options, &session, error,
						      sizeof(error)),
				 cases[i].error);
		assert_null(session);
		assert_non_null(strstr(error, cases[i].text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_give_what_calls_give),
		cmocka_unit_test(requests_have_figures_and_a_trace_of_their_own),
		cmocka_unit_test(figures_outlive_the_plan_that_they_are_of),
		cmocka_unit_test(outputs_without_memory_get_some),
		cmocka_unit_test(bad_requests_are_answered),
		cmocka_unit_test(the_end_is_told_once_and_before_it_is_seen),
		cmocka_unit_test(what_waits_can_be_refused_cancelled_and_late),
		cmocka_unit_test(who_waits_for_a_turn_is_late_by_himself),
		cmocka_unit_test(a_request_that_has_its_turn_can_be_late_and_cancelled),
		cmocka_unit_test(requests_cancelled_at_any_time_end_once),
		cmocka_unit_test(eight_threads_share_two_devices),
		cmocka_unit_test(bad_options_are_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
