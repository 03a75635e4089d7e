/* SPDX-License-Identifier: MIT */
/* From the command line's options to those of a session and of the compiler. */
#ifndef RUNTIME_CLI_SESSION_OPTIONS_H
#define RUNTIME_CLI_SESSION_OPTIONS_H

#include <accel/runtime.h>

#include "compiler/compiler.h"
#include "runtime/cli/command.h"

#define MAX_DIMS 16

/* @options and @compile point into the rest and into what was parsed. */
struct session_setup {
	struct accel_session_options options;
	struct compile_options compile;
	const char *names[MAX_DIMS];
	int64_t sizes[MAX_DIMS];
	struct compile_dim dims[MAX_DIMS];
	char text[MAX_DIMS][64];
};

/* 0, or -EINVAL after a complaint. */
int session_setup(const struct options *options, struct session_setup *setup);

#endif
