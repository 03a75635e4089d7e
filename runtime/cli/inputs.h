/* SPDX-License-Identifier: MIT */
/*
 * Where the inputs of a run come from: files, a data set, a seed; and what its outputs are compared with.
 */
#ifndef RUNTIME_CLI_INPUTS_H
#define RUNTIME_CLI_INPUTS_H

#include <accel/runtime.h>

#include "runtime/cli/command.h"
#include "runtime/cpu/tensor.h"

/* @tensors: by input, owned; @values: the same as a run takes them. @made: how many were made from the seed. */
struct inputs {
	struct tensor *tensors;
	struct accel_value *views;
	const struct accel_value **values;
	size_t count, made;
};

/*
 * Every input of @session: from --input, else from the data set's input_N.pb, else made from the seed: floats in [-1,
 * 1) that change slowly along the last dimensions plus noise (images, rather than noise alone, so that a misplaced row
 * shows), integers in [0, 100), booleans either. 0 or a negative errno after a complaint.
 */
int inputs_load(const struct accel_session *session, const struct options *options, struct inputs *inputs);
void inputs_finish(struct inputs *inputs);

/*
 * One value from .npy, .pb or .raw. @info: what a .raw file is, and whether a .pb file holds a sequence, optional or map; NULL: a
 * tensor. Complains by itself.
 */
int inputs_read_file(const char *path, const struct accel_value_info *info, struct tensor *tensor);

/* As the session's run wants it. */
struct accel_tensor inputs_view(const struct tensor *tensor);

/*
 * struct difference - of one output from what was expected
 * @count:   elements outside atol + rtol * |expected|
 * @total:   elements; those of sequences, optionals and maps one after the other
 * @largest: largest absolute difference, at element @index
 */
struct difference {
	int64_t count, total, index;
	double largest, actual, expected;
	const char *what; /* NULL, or "shape", "type" or "number of elements" */
};

/* NaN equals NaN; strings are compared as they are. */
void inputs_compare(const struct tensor *actual, const struct tensor *expected, double rtol, double atol,
		    struct difference *difference);

#endif
