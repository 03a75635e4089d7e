/* SPDX-License-Identifier: MIT */
/* Values against what the suite expects. */
#ifndef TESTS_CONFORMANCE_COMPARE_H
#define TESTS_CONFORMANCE_COMPARE_H

#include "runtime/cpu/tensor.h"

/* The suite's own tolerances (onnx.backend.test.runner). */
#define RTOL 1e-3
#define ATOL 1e-7

/* Within the tolerances; NaN equals NaN. */
bool compare_near(double got, double want);

/* "float32[2,3]" or "sequence[2]" into @text. */
void compare_describe(const struct tensor *t, char *text, size_t size);

/*
 * Types and shapes must be the same, floats near, everything else equal; elements of nested values one by one. False: @why (TEXT_SIZE
 * bytes) says where @name differs first.
 */
bool compare_values(const struct tensor *got, const struct tensor *want, const char *name, char *why);

#endif
