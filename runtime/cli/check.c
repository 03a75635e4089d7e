/* SPDX-License-Identifier: MIT */
/* accel check: does a model import, infer and compile; if not, what is wrong and where. */
#include <stdlib.h>
#include <string.h>

#include "runtime/cli/package_input.h"
#include "runtime/cli/session_options.h"

int command_check(int argc, char **argv)
{
	struct compile_result result;
	struct session_setup setup;
	struct options options;
	char error[512] = "";
	int err;

	if (options_parse(argc, argv, "check", "Check a model and say what is wrong with it and where.", "mq",
			  &options))
		return EXIT_USAGE;
	if (options.help)
		return EXIT_GOOD;
	if (session_setup(&options, &setup))
		return EXIT_USAGE;
	setup.compile.target = "cpu";
	err = compile_file(options.model, &setup.compile, &result, error, sizeof(error));
	if (err)
		return complain(exit_code(err), "%s", error);
	if (!options.quiet)
		printf("%s: good, %zu nodes, %.3f GMAC\n", options.model, result.nodes, (double)result.macs / 1e9);
	compile_result_finish(&result);
	return EXIT_GOOD;
}
