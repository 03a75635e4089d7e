/* SPDX-License-Identifier: MIT */
/* See package_input.h. */
#include "runtime/cli/package_input.h"

#include <string.h>

#include "runtime/cli/progress.h"
#include "runtime/cli/session_options.h"

int package_input_open(const struct options *options, struct package_input *input)
{
	size_t length = strlen(options->model);
	struct session_setup setup;
	struct progress *progress;
	char error[512] = "";
	int err;

	memset(input, 0, sizeof(*input));
	if (length > 4 && !strcmp(options->model + length - 4, ".axm")) {
		err = axm_open(options->model, &input->axm, error, sizeof(error));
		return err ? complain(exit_code(err), "%s", error) : EXIT_GOOD;
	}
	if (session_setup(options, &setup))
		return EXIT_USAGE;
	progress = options->print_after ? NULL : progress_of(options, "compiling");
	setup.compile.progress = progress_share;
	setup.compile.progress_context = progress;
	err = compile_file(options->model, &setup.compile, &input->compiled, error, sizeof(error));
	progress_stop(progress);
	if (err)
		return complain(exit_code(err), "%s", error);
	if (*input->compiled.notes.opset)
		complain(0, "%s: %s", options->model, input->compiled.notes.opset);
	if (*input->compiled.notes.precision)
		complain(0, "%s: %s", options->model, input->compiled.notes.precision);
	err = axm_open_built(input->compiled.bytes, input->compiled.size, &input->axm, error, sizeof(error));
	if (err) {
		compile_result_finish(&input->compiled);
		return complain(exit_code(err), "%s: compiler error: %s", options->model, error);
	}
	return EXIT_GOOD;
}

void package_input_close(struct package_input *input)
{
	axm_close(&input->axm);
	compile_result_finish(&input->compiled);
}
