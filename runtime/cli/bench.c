/* SPDX-License-Identifier: MIT */
/* accel bench: how long runs take, on the wall clock and in device cycles. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

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
		report_cache(&stats, options);
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

	if (options_parse(argc, argv, "bench", "Measure how long a model takes.", "dpiDnRsmcMzjKNvq", &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	if (session_setup(&options, &setup))
		return EXIT_USAGE;
	progress = progress_of(&options, "loading");
	err = accel_session_create(options.model, &setup.options, &session, error, sizeof(error));
	progress_stop(progress);
	if (err)
		return complain(exit_code(err), "%s", error);
	code = measure(session, &options, options.repeat > 1 ? options.repeat : 10);
	accel_session_destroy(session);
	return code;
}
