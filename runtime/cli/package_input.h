/* SPDX-License-Identifier: MIT */
/* A package from an .axm file, or from an ONNX model compiled on the spot, for the commands that look at compiled
 * models. */
#ifndef RUNTIME_CLI_PACKAGE_INPUT_H
#define RUNTIME_CLI_PACKAGE_INPUT_H

#include "compiler/compiler.h"
#include "compiler/package/axm.h"
#include "runtime/cli/command.h"

struct package_input {
	struct axm axm;
	struct compile_result compiled; /* bytes NULL when the file was an .axm */
};

/* EXIT_GOOD, or another exit code after a complaint. */
int package_input_open(const struct options *options, struct package_input *input);
void package_input_close(struct package_input *input);

#endif
