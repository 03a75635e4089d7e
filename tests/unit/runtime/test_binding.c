/* SPDX-License-Identifier: MIT */
/*
 * Inputs and outputs bound to memory of the device: the bits of a run that copies, and no copy; whatever memory it is, in several requests
 * at once, and when the device goes. Bindings that can not be are refused, and can not be lost while somebody has them.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/binding.h"
#include "tests/unit/runtime/bound.h"
#include "tests/unit/runtime/digits.h"
#include "tests/unit/runtime/gate.h"

#define IMAGES 8
#define PAGE 4096
#define IMAGE_BYTES (DIGITS_PIXELS * sizeof(float))
#define SCORES_BYTES (DIGITS_CLASSES * sizeof(float))

static struct accel_run_stats stats_of(const struct accel_session *session)
{
	struct accel_run_stats stats;

	assert_int_equal(accel_session_stats(session, &stats), 0);
	return stats;
}

/* ---- the bits, and no copy ---- */

static void assert_untouched(const struct bound *bound, size_t from)
{
	for (size_t i = from; i < accel_buffer_size(bound->buffer); i++)
		assert_int_equal(bound->data[i], 0xa5);
}

/* @in and @out: destroyed. */
static void check_bound_runs(struct accel_session *session, struct bound in, struct bound out)
{
	for (unsigned int n = 0; n < IMAGES; n++) {
		struct accel_tensor input = bound_image(&in, n), output = bound_scores(&out);
		struct accel_run_stats stats;
		float scores[DIGITS_CLASSES];
		char error[256] = "";

		/* The same session, with copies. */
		assert_int_equal(digits_run(session, n, scores, NULL, 0), 0);
		stats = stats_of(session);
		assert_true(stats.copied_in == IMAGE_BYTES && stats.copied_out == SCORES_BYTES);
		assert_true(!stats.in_place_inputs && !stats.in_place_outputs);
		if (accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)))
			fail_msg("%s", error);
		stats = stats_of(session);
		assert_true(!stats.copied_in && !stats.copied_out);
		assert_true(stats.in_place_inputs == 1 && stats.in_place_outputs == 1);
		assert_true(stats.cycles > 0);
		assert_memory_equal(out.data, scores, sizeof(scores));
		assert_ptr_equal(output.data, out.data);
		assert_ptr_equal(output.binding, out.binding);
		assert_true(output.size == SCORES_BYTES && output.rank == 2 && output.dims[1] == DIGITS_CLASSES);
	}
	assert_untouched(&in, IMAGE_BYTES);
	assert_untouched(&out, SCORES_BYTES);
	bound_destroy(&in);
	bound_destroy(&out);
}

static void bound_runs_give_the_bits_of_unbound_ones(void **state)
{
	static const struct accel_session_options options[] = {
		{.threads = 1},
		{.threads = 1, .precision = ACCEL_F16},
		{.threads = 1, .precision = ACCEL_BF16},
		{.threads = 1, .precision = ACCEL_INT8},
		{.threads = 1, .trace = true},
		{.threads = 1, .device = "sim:target=axl-pro"},
		{.threads = 1, .device = "sim:,sim:"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		struct accel_session *session = digits_session(&options[i]);
		size_t device = accel_session_num_devices(session) - 1;

		check_bound_runs(session,
				 bound_create(session, device, 2 * PAGE, ACCEL_BUFFER_LOCAL, ACCEL_BINDING_INPUT),
				 bound_create(session, device, PAGE, ACCEL_BUFFER_LOCAL, ACCEL_BINDING_OUTPUT));
		accel_session_destroy(session);
	}
}

static struct accel_buffer *shared_file(struct accel_session *session)
{
	int fd = memfd_create("tensor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct accel_buffer *buffer;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(accel_buffer_import_fd(accel_session_device(session, 0), fd, ACCEL_BUFFER_UNBOUND, &buffer),
			 0);
	close(fd);
	return buffer;
}

/* The host's, this process' own, and what came as a file descriptor; rights that a buffer was not made with are no matter. */
static void any_memory_can_be_bound(void **state)
{
	const struct accel_session_options options = {.threads = 1};
	struct accel_session *session = digits_session(&options);
	struct accel_buffer *own;
	void *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(accel_buffer_import_memory(accel_session_device(session, 0), memory, PAGE, 0, &own), 0);
	check_bound_runs(session, bound_of(session, own, PAGE, ACCEL_BINDING_INPUT | ACCEL_BINDING_OUTPUT),
			 bound_create(session, 0, PAGE, ACCEL_BUFFER_UNBOUND, ACCEL_BINDING_OUTPUT));
	check_bound_runs(session, bound_create(session, 0, PAGE, 0, ACCEL_BINDING_INPUT),
			 bound_of(session, shared_file(session), PAGE, ACCEL_BINDING_OUTPUT));
	munmap(memory, PAGE);
	accel_session_destroy(session);
}

static void one_end_alone_can_be_bound(void **state)
{
	const struct accel_session_options options = {.threads = 1};
	struct accel_session *session = digits_session(&options);
	struct bound piece =
		bound_create(session, 0, PAGE, ACCEL_BUFFER_LOCAL, ACCEL_BINDING_INPUT | ACCEL_BINDING_OUTPUT);
	float(*expected)[DIGITS_CLASSES] = digits_expected("sim:", 1);
	struct accel_tensor input = bound_image(&piece, 0), output = {0};
	float image[DIGITS_PIXELS];

	(void)state;
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, NULL, 0), 0);
	assert_memory_equal(output.data, expected[0], SCORES_BYTES);
	assert_true(!stats_of(session).copied_in && stats_of(session).copied_out == SCORES_BYTES);
	assert_true(stats_of(session).in_place_inputs == 1 && !stats_of(session).in_place_outputs);
	digits_image(image, 0);
	input = digits_input(image);
	output = bound_scores(&piece);
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, NULL, 0), 0);
	assert_memory_equal(piece.data, expected[0], SCORES_BYTES);
	assert_true(stats_of(session).copied_in == IMAGE_BYTES && !stats_of(session).copied_out);
	assert_true(!stats_of(session).in_place_inputs && stats_of(session).in_place_outputs == 1);
	bound_destroy(&piece);
	accel_session_destroy(session);
	free(expected);
}

/* ---- several at once ---- */

struct job {
	struct accel_request *request;
	struct bound in, out;
	struct accel_tensor input, output;
	unsigned int seed;
};

static void job_create(struct accel_session *session, struct job *job)
{
	assert_int_equal(accel_request_create(session, &job->request), 0);
	job->in = bound_create(session, 0, PAGE, ACCEL_BUFFER_LOCAL, ACCEL_BINDING_INPUT);
	job->out = bound_create(session, 0, PAGE, ACCEL_BUFFER_LOCAL, ACCEL_BINDING_OUTPUT);
}

static void job_destroy(struct job *job)
{
	accel_request_destroy(job->request);
	bound_destroy(&job->in);
	bound_destroy(&job->out);
}

static int job_start(struct accel_session *session, struct job *job, unsigned int seed,
		     const struct accel_run_options *options)
{
	job->seed = seed;
	job->input = bound_image(&job->in, seed);
	job->output = bound_scores(&job->out);
	return accel_session_run_async(session, job->request, &job->input, 1, &job->output, 1, options);
}

static void job_check(struct job *job, float (*expected)[DIGITS_CLASSES])
{
	struct accel_run_stats stats;

	assert_int_equal(accel_request_wait(job->request, INT64_MAX), 0);
	assert_memory_equal(job->out.data, expected[job->seed], SCORES_BYTES);
	assert_int_equal(accel_request_stats(job->request, &stats), 0);
	assert_true(!stats.copied_in && !stats.copied_out);
	assert_true(stats.in_place_inputs == 1 && stats.in_place_outputs == 1);
}

#define JOBS 5

static void requests_at_once_have_bindings_of_their_own(void **state)
{
	const struct accel_session_options options = {.threads = 1, .depth = 3};
	float(*expected)[DIGITS_CLASSES] = digits_expected("sim:", IMAGES);
	struct accel_session *session = digits_session(&options);
	struct job jobs[JOBS] = {0};

	(void)state;
	for (int i = 0; i < JOBS; i++)
		job_create(session, &jobs[i]);
	for (unsigned int n = 0; n < 20 * JOBS; n++) {
		struct job *job = &jobs[n % JOBS];

		if (n >= JOBS)
			job_check(job, expected);
		assert_int_equal(job_start(session, job, n % IMAGES, NULL), 0);
	}
	for (int i = 0; i < JOBS; i++) {
		job_check(&jobs[i], expected);
		job_destroy(&jobs[i]);
	}
	accel_session_destroy(session);
	free(expected);
}

/* The session's thread stands in the callback of @held, whose run was good, until gate_open(). */
static void hold_thread(struct accel_session *session, struct job *held, struct gate *gate)
{
	struct accel_run_options hold = {.done = gate_pass, .context = gate};

	gate_init(gate);
	job_create(session, held);
	assert_int_equal(job_start(session, held, 0, &hold), 0);
	gate_await(gate);
}

/* One thread, and it stands in a callback: what waits behind it has its bindings already. */
static void what_a_run_has_is_not_given_away(void **state)
{
	const struct accel_session_options options = {.threads = 1, .depth = 1, .queue = 3};
	float(*expected)[DIGITS_CLASSES] = digits_expected("sim:", IMAGES);
	struct accel_session *session = digits_session(&options);
	struct job held = {0}, next = {0}, third = {0};
	struct accel_tensor input, output;
	char error[256];
	struct gate gate;

	(void)state;
	job_create(session, &next);
	job_create(session, &third);
	hold_thread(session, &held, &gate);
	/* Who has been called back has none any more. */
	assert_int_equal(accel_binding_destroy(held.out.binding), 0);
	assert_int_equal(accel_buffer_destroy(held.out.buffer), 0);
	assert_int_equal(job_start(session, &next, 1, NULL), 0);
	assert_int_equal(accel_binding_destroy(next.in.binding), -EBUSY);
	assert_int_equal(accel_binding_destroy(next.out.binding), -EBUSY);
	/* Written by both. */
	third.input = bound_image(&third.in, 2);
	output = bound_scores(&next.out);
	assert_int_equal(accel_session_run_async(session, third.request, &third.input, 1, &output, 1, NULL), -EBUSY);
	assert_non_null(strstr(accel_request_error(third.request), "in use"));
	assert_int_equal(accel_session_run(session, &third.input, 1, &output, 1, error, sizeof(error)), -EBUSY);
	assert_non_null(strstr(error, "output 0"));
	/* Read by both. */
	input = next.input;
	third.output = bound_scores(&third.out);
	third.seed = 1;
	assert_int_equal(accel_session_run_async(session, third.request, &input, 1, &third.output, 1, NULL), 0);
	gate_open(&gate);
	job_check(&next, expected);
	job_check(&third, expected);
	accel_request_destroy(held.request);
	bound_destroy(&held.in);
	job_destroy(&next);
	job_destroy(&third);
	gate_finish(&gate);
	accel_session_destroy(session);
	free(expected);
}

/* A cancelled run, and one that fails, give them back as well. */
static void bindings_come_back_from_runs_that_end_badly(void **state)
{
	const struct accel_session_options options = {
		.threads = 1, .depth = 1, .queue = 2, .device = "sim:fault-packet=2"};
	struct accel_session *session = digits_session(&options);
	struct job held = {0}, next = {0};
	struct gate gate;

	(void)state;
	job_create(session, &next);
	hold_thread(session, &held, &gate);
	assert_int_equal(job_start(session, &next, 1, NULL), 0);
	accel_request_cancel(next.request);
	gate_open(&gate);
	assert_int_equal(accel_request_wait(next.request, INT64_MAX), -ECANCELED);
	assert_int_equal(job_start(session, &next, 1, NULL), 0);
	assert_int_equal(accel_request_wait(next.request, INT64_MAX), -EIO);
	job_destroy(&next);
	job_destroy(&held);
	gate_finish(&gate);
	accel_session_destroy(session);
}

/* ---- buffers and devices that go ---- */

static void a_bound_buffer_can_not_be_destroyed(void **state)
{
	const struct accel_session_options options = {.threads = 1};
	float(*expected)[DIGITS_CLASSES] = digits_expected("sim:", 1);
	struct accel_session *session = digits_session(&options);
	struct bound in = bound_create(session, 0, PAGE, ACCEL_BUFFER_LOCAL, ACCEL_BINDING_INPUT);
	struct bound out = bound_create(session, 0, PAGE, ACCEL_BUFFER_LOCAL, ACCEL_BINDING_OUTPUT);
	struct accel_tensor input = bound_image(&in, 0), output = bound_scores(&out);

	(void)state;
	assert_int_equal(accel_buffer_destroy(in.buffer), -EBUSY);
	assert_int_equal(accel_buffer_destroy(out.buffer), -EBUSY);
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, NULL, 0), 0);
	assert_memory_equal(out.data, expected[0], SCORES_BYTES);
	bound_destroy(&in);
	bound_destroy(&out);
	assert_int_equal(accel_binding_destroy(NULL), 0);
	accel_session_destroy(session);
	free(expected);
}

/* The second device, or the CPU, does what was bound to the first: by copies, or through the process' view. Memory of the host is there still. */
static void bound_runs_go_on_without_their_device(void **state)
{
	static const struct {
		struct accel_session_options options;
		const char *last;
	} cases[] = {
		{{.device = "sim:fault-gone=3,sim:", .threads = 1, .on_fault = ACCEL_FAULT_RETRY}, "sim:"},
		{{.device = "sim:fault-gone=3", .threads = 1, .on_fault = ACCEL_FAULT_CPU}, "cpu"},
	};

	(void)state;
	for (size_t c = 0; c < 2; c++) {
		struct accel_session *session = digits_session(&cases[c].options);
		float(*before)[DIGITS_CLASSES] = digits_expected("sim:", IMAGES);
		float(*behind)[DIGITS_CLASSES] = digits_expected(cases[c].last, IMAGES);
		struct bound in = bound_create(session, 0, PAGE, 0, ACCEL_BINDING_INPUT);
		struct bound out = bound_create(session, 0, PAGE, 0, ACCEL_BINDING_OUTPUT);
		struct accel_device_stats device = {0};

		for (unsigned int n = 0; n < IMAGES; n++) {
			struct accel_tensor input = bound_image(&in, n), output = bound_scores(&out);

			assert_int_equal(accel_session_run(session, &input, 1, &output, 1, NULL, 0), 0);
			assert_int_equal(accel_session_device_stats(session, 0, &device), 0);
			assert_memory_equal(out.data, device.gone ? behind[n] : before[n], SCORES_BYTES);
			assert_int_equal(stats_of(session).copied_in, device.gone && c == 0 ? IMAGE_BYTES : 0);
			assert_int_equal(stats_of(session).copied_out, device.gone && c == 0 ? SCORES_BYTES : 0);
			assert_int_equal(stats_of(session).in_place_outputs, !device.gone || c == 1);
		}
		assert_true(device.gone);
		bound_destroy(&in);
		bound_destroy(&out);
		accel_session_destroy(session);
		free(before);
		free(behind);
	}
}

/*
 * What lay in the device's own memory is gone with it, as an input and as an output; other runs go on. Memory of the host is there, but not
 * bound in the device that came back: it is copied.
 */
static void what_was_in_a_device_goes_with_it(void **state)
{
	static const struct accel_session_options cases[] = {
		{.device = "sim:fault-gone=6,sim:", .threads = 1, .on_fault = ACCEL_FAULT_RETRY},
		{.device = "sim:fault-gone=6", .threads = 1, .on_fault = ACCEL_FAULT_CPU},
		{.device = "sim:fault-gone=6,fault-back=1", .threads = 1, .on_fault = ACCEL_FAULT_RETRY},
	};

	(void)state;
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct accel_session *session = digits_session(&cases[c]);
		struct bound in = bound_create(session, 0, PAGE, ACCEL_BUFFER_LOCAL, ACCEL_BINDING_INPUT);
		struct bound out = bound_create(session, 0, PAGE, ACCEL_BUFFER_LOCAL, ACCEL_BINDING_OUTPUT);
		struct bound own = bound_create(session, 0, PAGE, 0, ACCEL_BINDING_INPUT);
		struct accel_device *before = accel_session_device(session, 0);
		struct accel_device_stats device = {0};
		float image[DIGITS_PIXELS], scores[DIGITS_CLASSES], expected[DIGITS_CLASSES];
		struct accel_tensor plain = digits_input(image), copied = digits_output(scores);
		struct accel_tensor input = bound_image(&in, 0), output = bound_scores(&out);
		struct accel_binding *late;
		char error[256] = "";

		digits_image(image, 0);
		for (int n = 0; n < 3; n++)
			assert_int_equal(accel_session_run(session, &input, 1, &output, 1, NULL, 0), 0);
		/* One that comes back is there for those that bind nothing of what it was. */
		while (!device.gone) {
			accel_session_run(session, &plain, 1, &copied, 1, NULL, 0);
			accel_session_device_stats(session, 0, &device);
		}
		assert_int_equal(
			accel_binding_create(session, in.buffer, 0, PAGE, ACCEL_BINDING_INPUT, &late, error, 256),
			-ENODEV);
		assert_non_null(strstr(error, "gone"));
		while (c == 2 && device.gone) {
			accel_session_run(session, &plain, 1, &copied, 1, NULL, 0);
			accel_session_device_stats(session, 0, &device);
		}
		output = bound_scores(&out);
		assert_int_equal(accel_session_run(session, &input, 1, &copied, 1, error, sizeof(error)), -ENODEV);
		assert_non_null(strstr(error, "in the memory of a device that is gone"));
		copied = digits_output(scores);
		assert_int_equal(accel_session_run(session, &plain, 1, &output, 1, error, sizeof(error)), -ENODEV);
		assert_non_null(strstr(error, "in the memory of a device that is gone"));
		assert_int_equal(accel_session_run(session, &plain, 1, &copied, 1, error, sizeof(error)), 0);
		input = bound_image(&own, 0);
		memcpy(expected, scores, sizeof(scores));
		assert_int_equal(accel_session_run(session, &input, 1, &copied, 1, error, sizeof(error)), 0);
		assert_memory_equal(scores, expected, sizeof(scores));
		assert_int_equal(stats_of(session).copied_in, c == 1 ? 0 : IMAGE_BYTES);
		bound_destroy(&in);
		bound_destroy(&out);
		bound_destroy(&own);
		assert_true((accel_session_device(session, 0) != before) == (c == 2));
		if (c == 2) {
			in = bound_create(session, 0, PAGE, ACCEL_BUFFER_LOCAL, ACCEL_BINDING_INPUT);
			input = bound_image(&in, 0);
			assert_int_equal(accel_session_run(session, &input, 1, &copied, 1, NULL, 0), 0);
			assert_int_equal(stats_of(session).in_place_inputs, 1);
			bound_destroy(&in);
		}
		accel_session_destroy(session);
	}
}

/* As a dma-buf that lets no processor look at it. */
static void what_nobody_can_see_is_for_its_device_alone(void **state)
{
	const struct accel_session_options options = {.threads = 1, .device = "sim:,sim:"};
	float(*expected)[DIGITS_CLASSES] = digits_expected("sim:", 1);
	struct accel_session *session = digits_session(&options);
	struct bound in = bound_create(session, 0, PAGE, ACCEL_BUFFER_LOCAL, ACCEL_BINDING_INPUT);
	struct bound out = bound_create(session, 0, PAGE, ACCEL_BUFFER_LOCAL, ACCEL_BINDING_OUTPUT);
	struct bound far = bound_create(session, 1, PAGE, ACCEL_BUFFER_LOCAL, ACCEL_BINDING_OUTPUT);
	struct accel_tensor input = bound_image(&in, 0), output = bound_scores(&out);
	char error[256];

	(void)state;
	in.binding->data = out.binding->data = far.binding->data = NULL;
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, NULL, 0), 0);
	assert_memory_equal(out.data, expected[0], SCORES_BYTES);
	assert_null(output.data);
	assert_int_equal(output.size, SCORES_BYTES);
	/* Two devices: the run is on that of the input. */
	output = bound_scores(&far);
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)), -ENOTSUP);
	assert_non_null(strstr(error, "logits"));
	far.binding->data = far.data;
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, NULL, 0), 0);
	assert_memory_equal(far.data, expected[0], SCORES_BYTES);
	assert_int_equal(stats_of(session).copied_out, SCORES_BYTES);
	assert_true(stats_of(session).in_place_inputs == 1 && !stats_of(session).in_place_outputs);
	bound_destroy(&in);
	bound_destroy(&out);
	bound_destroy(&far);
	accel_session_destroy(session);
	free(expected);
}

/* ---- what can not be ---- */

static void bindings_that_can_not_be_are_refused(void **state)
{
	static const struct {
		uint64_t offset, size;
		unsigned int use;
		int error;
		const char *text;
	} cases[] = {
		{64, 64, ACCEL_BINDING_INPUT, -EINVAL, "multiple"},
		{0, 0, ACCEL_BINDING_INPUT, -EINVAL, "0 bytes"},
		{0, 3 * PAGE + 1, ACCEL_BINDING_INPUT, -EINVAL, "12289 bytes"},
		{PAGE, UINT64_MAX, ACCEL_BINDING_INPUT, -EINVAL, "bytes from 4096"},
		{UINT64_MAX - PAGE + 1, PAGE, ACCEL_BINDING_INPUT, -EINVAL, "bytes from"},
		{0, PAGE, 0, -EINVAL, "inputs, outputs"},
		{0, PAGE, 4, -EINVAL, "0x4"},
		{0, PAGE + 1, ACCEL_BINDING_INPUT, -EEXIST, "another"},
		{PAGE, 1, ACCEL_BINDING_OUTPUT, -EEXIST, "another"},
	};
	const struct accel_session_options options = {.threads = 1}, cpu = {.device = "cpu", .threads = 1};
	struct accel_session *session = digits_session(&options), *other = digits_session(&options),
			     *processor = digits_session(&cpu);
	struct accel_binding *binding, *middle, *behind;
	struct accel_buffer *buffer, *theirs;
	char error[256];
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(accel_buffer_create(accel_session_device(session, 0), 2 * PAGE + 1, 0, &buffer), 0);
	assert_int_equal(accel_binding_create(session, buffer, PAGE, 100, ACCEL_BINDING_INPUT, &middle, NULL, 0), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(accel_binding_create(session, buffer, cases[i].offset, cases[i].size, cases[i].use,
						      &binding, error, sizeof(error)),
				 cases[i].error);
		assert_null(binding);
		assert_non_null(strstr(error, cases[i].text));
	}
	assert_int_equal(accel_binding_create(session, buffer, 2 * PAGE, PAGE, ACCEL_BINDING_OUTPUT, &behind, NULL, 0),
			 0);
	assert_int_equal(
		accel_binding_create(other, buffer, 0, PAGE, ACCEL_BINDING_INPUT, &binding, error, sizeof(error)),
		-EINVAL);
	assert_non_null(strstr(error, "no device of this session"));
	assert_int_equal(
		accel_binding_create(processor, buffer, 0, PAGE, ACCEL_BINDING_INPUT, &binding, error, sizeof(error)),
		-EINVAL);
	assert_null(accel_session_device(processor, 0));
	assert_null(accel_session_device(session, 1));
	assert_true(fd >= 0);
	assert_int_equal(accel_buffer_import_fd(accel_session_device(session, 0), fd, 0, &theirs), -ENOTSUP);
	assert_null(theirs);
	close(fd);
	assert_int_equal(accel_binding_destroy(middle), 0);
	assert_int_equal(accel_binding_destroy(behind), 0);
	assert_int_equal(accel_buffer_destroy(buffer), 0);
	accel_session_destroy(session);
	accel_session_destroy(other);
	accel_session_destroy(processor);
}

static void bindings_that_do_not_fit_the_run_are_refused(void **state)
{
	const struct accel_session_options options = {.threads = 1};
	struct accel_session *session = digits_session(&options), *other = digits_session(&options);
	struct bound in = bound_create(session, 0, IMAGE_BYTES, 0, ACCEL_BINDING_INPUT),
		     out = bound_create(session, 0, SCORES_BYTES, 0, ACCEL_BINDING_OUTPUT),
		     few = bound_create(session, 0, SCORES_BYTES - 1, 0, ACCEL_BINDING_INPUT | ACCEL_BINDING_OUTPUT),
		     theirs = bound_create(other, 0, PAGE, 0, ACCEL_BINDING_OUTPUT);
	struct accel_tensor input = bound_image(&in, 0), output = bound_scores(&out);
	const struct {
		struct accel_binding *in, *out;
		int error;
		const char *text;
	} cases[] = {
		{few.binding, out.binding, -EINVAL, "39 bytes"},
		{in.binding, few.binding, -ENOSPC, "needs 40 bytes"},
		{out.binding, out.binding, -EINVAL, "not for inputs"},
		{in.binding, in.binding, -EINVAL, "not for outputs"},
		{few.binding, few.binding, -EBUSY, "in use"},
		{in.binding, theirs.binding, -EINVAL, "another session"},
	};
	char error[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		input.binding = cases[i].in;
		output.binding = cases[i].out;
		assert_int_equal(accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)),
				 cases[i].error);
		assert_non_null(strstr(error, cases[i].text));
		/* None of them is held back, nor is the session worse for it. */
		input.binding = in.binding;
		output.binding = out.binding;
		assert_int_equal(accel_session_run(session, &input, 1, &output, 1, NULL, 0), 0);
	}
	input.dims[2] = 9;
	assert_int_equal(accel_session_run(session, &input, 1, &output, 1, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "dimension 2"));
	bound_destroy(&in);
	bound_destroy(&out);
	bound_destroy(&few);
	bound_destroy(&theirs);
	accel_session_destroy(session);
	accel_session_destroy(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bound_runs_give_the_bits_of_unbound_ones),
		cmocka_unit_test(any_memory_can_be_bound),
		cmocka_unit_test(one_end_alone_can_be_bound),
		cmocka_unit_test(requests_at_once_have_bindings_of_their_own),
		cmocka_unit_test(what_a_run_has_is_not_given_away),
		cmocka_unit_test(bindings_come_back_from_runs_that_end_badly),
		cmocka_unit_test(a_bound_buffer_can_not_be_destroyed),
		cmocka_unit_test(bound_runs_go_on_without_their_device),
		cmocka_unit_test(what_was_in_a_device_goes_with_it),
		cmocka_unit_test(what_nobody_can_see_is_for_its_device_alone),
		cmocka_unit_test(bindings_that_can_not_be_are_refused),
		cmocka_unit_test(bindings_that_do_not_fit_the_run_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
