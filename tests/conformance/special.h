/* SPDX-License-Identifier: MIT */
/*
 * The cases that the packaged expectation can not judge, each with its reason: outputs that the standard leaves open, and
 * expectations that later editions of the suite corrected. README.md lists them. Nothing is let through unchecked.
 */
#ifndef TESTS_CONFORMANCE_SPECIAL_H
#define TESTS_CONFORMANCE_SPECIAL_H

#include "tests/conformance/runner.h"

struct special;

/* How case @name is judged when not by its files, else NULL. */
const struct special *special_find(const char *name);

/* The reason, for the log. */
const char *special_reason(const struct special *special);

/*
 * The model to run in the place of @path: itself, or a corrected copy, whose path is then in @copy (PATH_SIZE bytes) to be unlinked,
 * else @copy is "". Negative errno.
 */
int special_model(const struct special *special, const char *path, char *copy);

/* Are the expectation files right after all (for the corrected model)? */
bool special_by_files(const struct special *special);

/* Judge the @outputs that @runner, whose model is open, gave for @inputs; may run it again. False with the reason in @why. */
bool special_judge(const struct special *special, struct runner *runner, const struct tensor *inputs,
		   const struct tensor *outputs, const struct tensor *expected, char *why);

#endif
