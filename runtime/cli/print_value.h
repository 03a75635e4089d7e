/* SPDX-License-Identifier: MIT */
/* Values for people to read. */
#ifndef RUNTIME_CLI_PRINT_VALUE_H
#define RUNTIME_CLI_PRINT_VALUE_H

#include <stdio.h>

#include "runtime/cpu/tensor.h"

/*
 * One line for a tensor: type, shape, the first values; a line for each element of a sequence or optional; key and value for the
 * entries of a map. @name stands in front.
 */
void print_value(FILE *out, const char *name, const struct tensor *value);

#endif
