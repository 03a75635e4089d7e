/* SPDX-License-Identifier: MIT */
/* accel run: one model, its inputs, its outputs, and where the time went. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <accel/runtime.h>

#include "runtime/cli/colour.h"
#include "runtime/cli/command.h"
#include "runtime/cli/compile_report.h"
#include "runtime/cli/inputs.h"
#include "runtime/cli/json_file.h"
#include "compiler/onnx/npy.h"
#include "runtime/cli/overflow.h"
#include "runtime/cli/print_value.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/report.h"
#include "runtime/cli/session_options.h"
#include "runtime/session.h"
#include "runtime/value.h"

/*
 * Outputs of the last run against output_N.pb; prints one line each. An output without a file is not compared, which is said; one
 * of them has to have a file. EXIT_GOOD, EXIT_DIFFERS, or a file's error.
 */
static int compare_outputs(const struct accel_session *session, const struct options *options,
			   const struct accel_value *const *outputs, struct json *json)
{
	int code = EXIT_GOOD;
	size_t compared = 0;

	if (json)
		json_array(json, "outputs");
	for (size_t i = 0; i < accel_session_num_outputs(session); i++) {
		struct accel_value_info info;
		struct tensor expected;
		struct difference difference;
		char path[4096];
		int err;

		accel_session_output(session, i, &info);
		snprintf(path, sizeof(path), "%s/output_%zu.pb", options->data_set, i);
		if (access(path, F_OK) && errno == ENOENT) {
			if (!options->quiet)
				printf("output %s: not compared, there is no %s\n", info.name, path);
			continue;
		}
		compared++;
		info.dtype = accel_value_type(outputs[i]);
		err = inputs_read_file(path, &info, &expected);
		if (err)
			return exit_code(err);
		inputs_compare(&outputs[i]->tensor, &expected, options->rtol, options->atol, &difference);
		if (difference.count)
			code = EXIT_DIFFERS;
		if (!options->quiet && difference.what)
			printf("output %s: %sthe %s differs%s\n", info.name, colour(stdout, COLOUR_BAD),
			       difference.what, colour(stdout, COLOUR_NONE));
		else if (!options->quiet)
			printf("output %s: %s%s%s, largest difference %.3g at element %lld of %lld (%.6g, expected "
			       "%.6g)%s\n",
			       info.name, colour(stdout, difference.count ? COLOUR_BAD : COLOUR_GOOD),
			       difference.count ? "DIFFERS" : "as expected", colour(stdout, COLOUR_NONE),
			       difference.largest, (long long)difference.index, (long long)difference.total,
			       difference.actual, difference.expected,
			       difference.count ? ", outside the tolerance" : "");
		if (json) {
			json_object(json, NULL);
			json_text(json, "name", info.name);
			json_bool(json, "as_expected", !difference.count);
			json_number(json, "largest_difference", difference.largest);
			json_unsigned(json, "elements_outside", (uint64_t)difference.count);
			json_close(json);
		}
		tensor_finish(&expected);
	}
	if (json)
		json_close(json);
	return compared ? code : complain(EXIT_USAGE, "%s: no output_N.pb to compare with", options->data_set);
}

/* Without a data set: what the outputs look like. */
static void print_outputs(const struct accel_session *session, const struct accel_value *const *outputs)
{
	for (size_t i = 0; i < accel_session_num_outputs(session); i++) {
		struct accel_value_info info;
		char name[300];

		accel_session_output(session, i, &info);
		snprintf(name, sizeof(name), "output %.280s", info.name);
		print_value(stdout, name, &outputs[i]->tensor);
	}
}

static int save_outputs(const struct accel_session *session, const char *folder,
			const struct accel_value *const *outputs)
{
	for (size_t i = 0; i < accel_session_num_outputs(session); i++) {
		char path[4096];
		int err;

		snprintf(path, sizeof(path), "%s/output_%zu.npy", folder, i);
		if (dtype_is_nested(outputs[i]->tensor.dtype))
			return complain(EXIT_UNSUPPORTED, "%s: a %s can not be saved as .npy", path,
					dtype_name(outputs[i]->tensor.dtype));
		err = npy_write(path, &outputs[i]->tensor);
		if (err)
			return complain(EXIT_USAGE, "%s: %s", path, strerror(-err));
	}
	return EXIT_GOOD;
}

/* ---- classification of many samples ---- */

static int64_t largest(const struct accel_tensor *scores)
{
	struct tensor tensor;
	int64_t best = 0;

	if (tensor_init_view(&tensor, (enum dtype)scores->dtype, scores->rank, scores->dims, scores->data,
			     scores->size))
		return -1;
	for (int64_t i = 1; i < tensor_count(&tensor); i++)
		if (tensor_get_f64(&tensor, i) > tensor_get_f64(&tensor, best))
			best = i;
	return best;
}

/* Is the answer to a sample no number? The first one is explained; @before: how many there were. */
static bool check_sample(const struct options *options, const struct accel_value_info *info,
			 const struct accel_tensor *input, const struct accel_tensor *output, int64_t before)
{
	struct tensor sample, scores;
	const struct tensor *inputs[] = {&sample};

	if (tensor_init_view(&scores, (enum dtype)output->dtype, output->rank, output->dims, output->data,
			     output->size) ||
	    tensor_init_view(&sample, (enum dtype)input->dtype, input->rank, input->dims, input->data, input->size) ||
	    !overflow_found(&scores))
		return false;
	if (!before)
		overflow_explain(options, info->name, inputs, 1);
	return true;
}

/* Runs every row of --samples; prints the accuracy against --labels. */
static int classify(struct accel_session *session, const struct options *options, struct json *json)
{
	struct tensor samples = {0}, labels = {0};
	struct progress *progress;
	struct accel_value_info info, answer;
	char error[512];
	int64_t rows, right = 0, lost = 0;
	uint64_t cycles = 0;
	int code = EXIT_USAGE, err = 0;

	if (accel_session_num_inputs(session) != 1 || accel_session_num_outputs(session) != 1)
		return complain(EXIT_USAGE, "--samples needs a model with one input and one output");
	accel_session_input(session, 0, &info);
	accel_session_output(session, 0, &answer);
	if (inputs_read_file(options->samples, &info, &samples) ||
	    (options->labels && inputs_read_file(options->labels, NULL, &labels)))
		goto out;
	rows = samples.rank ? samples.dims[0] : 0;
	if (rows < 1 || (options->labels && tensor_count(&labels) != rows)) {
		complain(0, "--samples has %lld rows, --labels %lld", (long long)rows,
			 options->labels ? (long long)tensor_count(&labels) : 0);
		goto out;
	}
	if (json)
		json_array(json, "predictions");
	progress = progress_of(options, "running");
	for (int64_t i = 0; i < rows && !err; i++) {
		struct accel_tensor input = inputs_view(&samples), output = {0};
		struct accel_run_stats stats;
		int64_t class;

		input.size = tensor_bytes(&samples) / (size_t)rows;
		input.data = (uint8_t *)samples.data + (size_t)i * input.size;
		input.dims[0] = 1;
		err = accel_session_run(session, &input, 1, &output, 1, error, sizeof(error));
		if (err)
			break;
		progress_step(progress, (uint64_t)i, (uint64_t)rows);
		class = largest(&output);
		lost += check_sample(options, &answer, &input, &output, lost);
		accel_session_stats(session, &stats);
		cycles += stats.cycles;
		if (options->labels)
			right += class == tensor_get_s64(&labels, i);
		if (json)
			json_unsigned(json, NULL, (uint64_t) class);
	}
	progress_stop(progress);
	if (json)
		json_close(json);
	if (err) {
		code = complain(exit_code(err), "%s", error);
		goto out;
	}
	code = EXIT_GOOD;
	if (lost)
		complain(0, "%lld of %lld answers are not finite", (long long)lost, (long long)rows);
	if (!options->quiet && options->labels)
		printf("accuracy: %lld of %lld, %.2f %%; %.0f device cycles a sample\n", (long long)right,
		       (long long)rows, 100.0 * (double)right / (double)rows, (double)cycles / (double)rows);
	if (json && options->labels) {
		json_unsigned(json, "right", (uint64_t)right);
		json_unsigned(json, "samples", (uint64_t)rows);
	}
out:
	tensor_finish(&samples);
	tensor_finish(&labels);
	return code;
}

/* ---- one run ---- */

/* Says of the first output that is not finite which layer made it so. */
static void check_outputs(const struct accel_session *session, const struct options *options,
			  const struct inputs *inputs, const struct accel_value *const *outputs)
{
	const struct tensor **given = calloc(inputs->count + 1, sizeof(*given));

	for (size_t i = 0; given && i < inputs->count; i++)
		given[i] = &inputs->values[i]->tensor;
	for (size_t i = 0; given && i < accel_session_num_outputs(session); i++) {
		struct accel_value_info info;

		if (dtype_is_nested(outputs[i]->tensor.dtype) || !overflow_found(&outputs[i]->tensor))
			continue;
		accel_session_output(session, i, &info);
		overflow_explain(options, info.name, given, inputs->count);
		break;
	}
	free(given);
}

static int run_once(struct accel_session *session, const struct options *options, struct json *json)
{
	size_t num_outputs = accel_session_num_outputs(session);
	const struct accel_value **outputs;
	struct inputs inputs = {0};
	char error[512];
	int code, err = inputs_load(session, options, &inputs);

	if (err)
		return exit_code(err);
	outputs = calloc(num_outputs + 1, sizeof(*outputs));
	if (!outputs) {
		inputs_finish(&inputs);
		return complain(EXIT_USAGE, "out of memory");
	}
	if (inputs.made && !options->quiet)
		printf("%zu input%s made from seed %llu\n", inputs.made, inputs.made == 1 ? "" : "s",
		       (unsigned long long)options->seed);
	for (unsigned int n = 0; n < options->repeat && !err; n++)
		err = accel_session_run_values(session, inputs.values, inputs.count, outputs, num_outputs, error,
					       sizeof(error));
	if (err)
		code = complain(exit_code(err), "%s: %s", options->model, error);
	else if (options->data_set)
		code = compare_outputs(session, options, outputs, json);
	else
		code = EXIT_GOOD;
	if (!err && !options->data_set && !options->quiet)
		print_outputs(session, outputs);
	if (!err)
		check_outputs(session, options, &inputs, outputs);
	if (!err && options->save && save_outputs(session, options->save, outputs))
		code = EXIT_USAGE;
	free(outputs);
	inputs_finish(&inputs);
	return code;
}

/* A page, or the trace. */
static int write_profile(const struct accel_session *session, const struct options *options,
			 const struct accel_run_stats *stats)
{
	bool page = report_is_page(options->profile);
	int err;

	if (page && stats->compilations + stats->cached > 1)
		return complain(EXIT_USAGE,
				"%s: the inputs have other sizes than the session started with: give them with --dim",
				options->profile);
	if (page) {
		err = run_report(options, session, stats, options->profile);
	} else {
		err = accel_session_trace(session, options->profile);
		if (err)
			complain(0, "%s: %s", options->profile, strerror(-err));
	}
	if (!err && !options->quiet)
		printf("%s: %s\n", page ? "report" : "trace", options->profile);
	return err;
}

static int run_session(struct accel_session *session, const struct options *options, struct json *json)
{
	struct accel_run_stats stats;
	int code = options->samples ? classify(session, options, json) : run_once(session, options, json);

	if (code != EXIT_GOOD && code != EXIT_DIFFERS)
		return code;
	accel_session_stats(session, &stats);
	report_notes(&stats, options);
	if (*stats.note && options->calibration) /* what made-up samples say is not worth a word */
		complain(0, "%s", stats.note);
	if (!options->quiet) {
		report_regions(&stats, stdout);
		report_nodes(&stats, 10, stdout);
	}
	if (options->explain)
		report_reasons(&stats, stdout);
	if (json)
		report_json(&stats, json);
	if (options->profile && write_profile(session, options, &stats))
		return EXIT_USAGE;
	return code;
}

int command_run(int argc, char **argv)
{
	struct accel_session *session;
	struct session_setup setup;
	struct options options;
	struct json json;
	struct progress *progress;
	char error[512];
	int code, err;

	if (options_parse(argc, argv, "run", "Run a model and show where the time went.", "FdpiDSraxynRsmcMzjPeKNvq",
			  &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	err = session_setup(&options, &setup);
	if (err)
		return EXIT_USAGE;
	setup.options.trace = true;
	progress = progress_of(&options, "loading");
	setup.options.progress = progress_share;
	setup.options.progress_context = progress;
	err = accel_session_create(options.model, &setup.options, &session, error, sizeof(error));
	progress_stop(progress);
	if (err)
		return complain(exit_code(err), "%s", error);
	if (options.json) {
		if (json_open(&json, options.json)) {
			accel_session_destroy(session);
			return EXIT_USAGE;
		}
		json_text(&json, "model", options.model);
		json_text(&json, "device", options.device);
		json_text(&json, "precision", options.precision);
	}
	code = run_session(session, &options, options.json ? &json : NULL);
	if (options.json && json_finish(&json, options.json))
		code = EXIT_USAGE;
	accel_session_destroy(session);
	return code;
}
