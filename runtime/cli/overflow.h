/* SPDX-License-Identifier: MIT */
/* Answers that are no numbers, and which layer made them so. */
#ifndef RUNTIME_CLI_OVERFLOW_H
#define RUNTIME_CLI_OVERFLOW_H

#include <accel/runtime.h>

#include "runtime/cli/command.h"
#include "runtime/cpu/tensor.h"

/* A float tensor with NaN or infinity in it. */
bool overflow_found(const struct tensor *tensor);

/*
 * To stderr, where output @name of @session is not finite: the first layer whose numbers fp16 can not hold, by a run of the float
 * network on the CPU with the same @inputs; or why that can not be said.
 */
void overflow_explain(const struct options *options, const char *name, const struct tensor *const *inputs,
		      size_t num_inputs);

#endif
