/* SPDX-License-Identifier: MIT */
/* A model through the public interface: compiled for a device or the CPU, run in a session. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <accel/runtime.h>

#include "runtime/value.h"
#include "tests/conformance/runner.h"

static void count_nodes(struct runner *runner)
{
	struct accel_run_stats stats;

	accel_session_stats(runner->model, &stats);
	for (size_t n = 0; n < stats.num_nodes; n++)
		table_add(runner->table, stats.nodes[n].op_type, stats.nodes[n].device, stats.nodes[n].reason);
}

static void close_session(struct runner *runner)
{
	if (runner->table)
		count_nodes(runner);
	accel_session_destroy(runner->model);
	free(runner->input_types);
	free(runner->output_types);
	runner->model = NULL;
	runner->input_types = runner->output_types = NULL;
}

static int open_session(struct runner *runner, const char *path, char *why)
{
	struct accel_session_options options = {.device = runner->device, .threads = 2};
	struct accel_session *session;
	struct accel_value_info info;
	int err = accel_session_create(path, &options, &session, why, TEXT_SIZE);

	if (err)
		return err;
	runner->model = session;
	runner->num_inputs = accel_session_num_inputs(session);
	runner->num_outputs = accel_session_num_outputs(session);
	runner->input_types = calloc(runner->num_inputs + 1, sizeof(*runner->input_types));
	runner->output_types = calloc(runner->num_outputs + 1, sizeof(*runner->output_types));
	if (!runner->input_types || !runner->output_types) {
		close_session(runner);
		snprintf(why, TEXT_SIZE, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < runner->num_inputs && !accel_session_input(session, i, &info); i++)
		runner->input_types[i] = (enum dtype)info.dtype;
	for (size_t i = 0; i < runner->num_outputs && !accel_session_output(session, i, &info); i++)
		runner->output_types[i] = (enum dtype)info.dtype;
	return 0;
}

static int run_session(struct runner *runner, const struct tensor *inputs, struct tensor *outputs, char *why)
{
	struct accel_value *views = calloc(runner->num_inputs + 1, sizeof(*views));
	const struct accel_value **given = calloc(runner->num_inputs + 1, sizeof(*given));
	const struct accel_value **results = calloc(runner->num_outputs + 1, sizeof(*results));
	int err = -ENOMEM;

	if (!views || !given || !results)
		goto out;
	for (size_t i = 0; i < runner->num_inputs; i++) {
		views[i].tensor = inputs[i];
		views[i].tensor.owned = false;
		given[i] = &views[i];
	}
	err = accel_session_run_values(runner->model, given, runner->num_inputs, results, runner->num_outputs, why,
				       TEXT_SIZE);
	for (size_t i = 0; i < runner->num_outputs && !err; i++)
		err = tensor_copy(&outputs[i], &results[i]->tensor);
out:
	free(views);
	free(given);
	free(results);
	return err;
}

const struct runner session_case_runner = {.open = open_session, .close = close_session, .run = run_session};
