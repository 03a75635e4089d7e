/* SPDX-License-Identifier: MIT */
/*
 * Images with the channels last, for operators that have them second.
 */
#ifndef RUNTIME_CPU_MS_CHANNELS_LAST_H
#define RUNTIME_CPU_MS_CHANNELS_LAST_H

#include "runtime/cpu/op.h"

/* @y = @x with the channels moved: to the second axis, or @back to the last. */
int move_channels(struct op_call *call, const struct tensor *x, bool back, struct tensor *y);

/* The call's node as @op_type of @domain, with input 0 and output 0 transposed and the attribute channels_last left out. */
int run_channels_last(struct op_call *call, const char *domain, const char *op_type, int opset);

#endif
