/* SPDX-License-Identifier: MIT */
/* The list of operators of `accel info --operators`. */
#ifndef RUNTIME_CLI_OPERATORS_H
#define RUNTIME_CLI_OPERATORS_H

/* As text, or, when @json is not NULL, as JSON into that file ("-": standard output). The exit code. */
int operators_list(const char *json);

#endif
