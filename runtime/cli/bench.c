/* SPDX-License-Identifier: MIT */
/* accel bench: how long runs take, on the wall clock and in device cycles. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include <accel/runtime.h>

#include "runtime/cli/inputs.h"
#include "runtime/cli/json_file.h"
#include "runtime/cli/report.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/session_options.h"

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* @times: sorted */
static int write_json(const struct options *options, const struct accel_run_stats *stats, const uint64_t *times,
		      unsigned int runs)
{
	struct json json;

	if (json_open(&json, options->json))
		return EXIT_USAGE;
	json_text(&json, "model", options->model);
	json_text(&json, "device", options->device);
	json_text(&json, "precision", options->precision);
	json_unsigned(&json, "device_cycles", stats->cycles);
	json_unsigned(&json, "macs", stats->macs);
	json_unsigned(&json, "min_ns", times[0]);
	json_unsigned(&json, "median_ns", times[runs / 2]);
	json_unsigned(&json, "max_ns", times[runs - 1]);
	json_array(&json, "ns");
	for (unsigned int i = 0; i < runs; i++)
		json_unsigned(&json, NULL, times[i]);
	json_close(&json);
	return json_finish(&json, options->json) ? EXIT_USAGE : EXIT_GOOD;
}

/* One of several requests that are under way. */
struct job {
	struct accel_request *request;
	struct accel_tensor *outputs;
};

static int start_job(struct accel_session *session, struct job *job, const struct accel_tensor *inputs,
		     size_t num_inputs, size_t num_outputs)
{
	for (size_t i = 0; i < num_outputs; i++)
		job->outputs[i] = (struct accel_tensor){0};
	return accel_session_run_async(session, job->request, inputs, num_inputs, job->outputs, num_outputs, NULL);
}

/* @runs for each of the @jobs requests that are under way at any time. *ns: of all of them, without the first of each. */
static int run_jobs(struct accel_session *session, struct job *list, unsigned int jobs, unsigned int runs,
		    const struct accel_tensor *inputs, size_t num_inputs, uint64_t *ns, char *error, size_t size)
{
	size_t num_outputs = accel_session_num_outputs(session);
	struct timespec start = {0}, end;
	int err = 0;

	for (unsigned int i = 0; i < jobs && !err; i++) {
		list[i].outputs = calloc(num_outputs + 1, sizeof(*list[i].outputs));
		err = list[i].outputs ? accel_request_create(session, &list[i].request) : -ENOMEM;
	}
	if (err)
		snprintf(error, size, "out of memory");
	for (unsigned int n = 0; n < jobs * (runs + 2) && !err; n++) {
		struct job *job = &list[n % jobs];

		if (n >= jobs)
			err = accel_request_wait(job->request, INT64_MAX);
		if (err)
			snprintf(error, size, "%s", accel_request_error(job->request));
		else if (n < jobs * (runs + 1))
			err = start_job(session, job, inputs, num_inputs, num_outputs);
		if (n == 2 * jobs - 1)
			clock_gettime(CLOCK_MONOTONIC, &start);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	*ns = (uint64_t)(end.tv_sec - start.tv_sec) * 1000000000u + (uint64_t)(end.tv_nsec - start.tv_nsec);
	for (unsigned int i = 0; i < jobs; i++) {
		accel_request_destroy(list[i].request);
		free(list[i].outputs);
	}
	return err;
}

static int measure_jobs(struct accel_session *session, const struct options *options, unsigned int runs,
			const struct accel_tensor *inputs, size_t num_inputs, char *error, size_t size)
{
	struct job list[ACCEL_MAX_DEPTH] = {0};
	unsigned int jobs = options->jobs, total = jobs * runs;
	struct accel_device_stats device;
	uint64_t ns = 0;
	int err = run_jobs(session, list, jobs, runs, inputs, num_inputs, &ns, error, size);

	if (err || (options->json && options->quiet))
		return err;
	printf("%u requests under way: %u runs in %.3f ms, %.1f a second\n", jobs, total, (double)ns / 1e6,
	       ns ? (double)total * 1e9 / (double)ns : 0);
	for (size_t d = 0; !accel_session_device_stats(session, d, &device); d++)
		printf("  %s: %" PRIu64 " runs, %" PRIu64 " cycles, %" PRIu64 " faults, %" PRIu64 " returns%s%s%s\n",
		       device.name, device.requests, device.cycles, device.faults, device.returns,
		       device.gone ? ", gone" : "", *device.why ? ": " : "", device.why);
	return 0;
}

static int measure(struct accel_session *session, const struct options *options, unsigned int runs)
{
	size_t num_outputs = accel_session_num_outputs(session);
	struct accel_tensor *views, *outputs;
	struct accel_run_stats stats = {0};
	struct progress *progress;
	struct inputs inputs;
	uint64_t *times;
	char error[512];
	int code = EXIT_GOOD, err = inputs_load(session, options, &inputs);

	if (err)
		return exit_code(err);
	views = calloc(inputs.count + 1, sizeof(*views));
	outputs = calloc(num_outputs + 1, sizeof(*outputs));
	times = calloc(runs, sizeof(*times));
	if (!views || !outputs || !times) {
		snprintf(error, sizeof(error), "out of memory");
		err = -ENOMEM;
	}
	for (size_t i = 0; i < inputs.count && !err; i++)
		views[i] = inputs_view(&inputs.tensors[i]);
	progress = progress_of(options, "running");
	/* One run first that is not counted: caches, pages, threads. */
	for (unsigned int n = 0; n <= runs && !err; n++) {
		for (size_t i = 0; i < num_outputs; i++)
			outputs[i] = (struct accel_tensor){0};
		err = accel_session_run(session, views, inputs.count, outputs, num_outputs, error, sizeof(error));
		accel_session_stats(session, &stats);
		if (n)
			times[n - 1] = stats.ns;
		progress_step(progress, n, runs);
	}
	progress_stop(progress);
	if (!err)
		report_notes(&stats, options);
	if (err) {
		complain(0, "%s", error);
	} else {
		qsort(times, runs, sizeof(*times), by_value);
		code = options->json ? write_json(options, &stats, times, runs) : EXIT_GOOD;
	}
	if (!err && !(options->json && options->quiet))
		printf("%s on %s in %s: %u runs, ms: min %.3f, median %.3f, max %.3f; %" PRIu64
		       " device cycles, %.3f GMAC/s\n",
		       options->model, options->device, options->precision, runs, (double)times[0] / 1e6,
		       (double)times[runs / 2] / 1e6, (double)times[runs - 1] / 1e6, stats.cycles,
		       times[runs / 2] ? (double)stats.macs / (double)times[runs / 2] : 0);
	if (!err && options->jobs) {
		err = measure_jobs(session, options, runs, views, inputs.count, error, sizeof(error));
		if (err)
			complain(0, "%s", error);
	}
	free(views);
	free(outputs);
	free(times);
	inputs_finish(&inputs);
	return err ? exit_code(err) : code;
}

int command_bench(int argc, char **argv)
{
	struct accel_session *session;
	struct session_setup setup;
	struct options options;
	struct progress *progress;
	char error[512];
	int code, err;

	if (options_parse(argc, argv, "bench", "Measure how long a model takes.", "JbFdpiDnRsmcMzjKNvq", &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	if (session_setup(&options, &setup))
		return EXIT_USAGE;
	progress = progress_of(&options, "loading");
	setup.options.progress = progress_share;
	setup.options.progress_context = progress;
	err = accel_session_create(options.model, &setup.options, &session, error, sizeof(error));
	progress_stop(progress);
	if (err)
		return complain(exit_code(err), "%s", error);
	code = measure(session, &options, options.repeat > 1 ? options.repeat : 10);
	accel_session_destroy(session);
	return code;
}
