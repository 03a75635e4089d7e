/* SPDX-License-Identifier: MIT */
/* Sets of inputs for calibration: from files, or made. */
#ifndef COMPILER_QUANT_SAMPLES_H
#define COMPILER_QUANT_SAMPLES_H

#include "compiler/graph/graph.h"

/* One set of inputs, in the graph's order; borrowed. */
struct quant_sample {
	const struct tensor *const *inputs;
};

#define QUANT_MAX_SAMPLES 512

/* Samples of uniform noise in [-1, 1) (integers 0..99) made from @seed, for graphs without real ones. Free with
 * quant_samples_free(). */
int quant_make_samples(const struct graph *graph, uint64_t seed, size_t count, struct quant_sample **samples);
void quant_samples_free(struct quant_sample *samples, size_t count, size_t num_inputs);

/*
 * Samples from files, at most QUANT_MAX_SAMPLES. @path is a folder with test_data_set_N/input_I.pb for N = 0, 1, …, or with
 * input_I.pb for one; or, for a graph with one input, an .npy file with a sample in each row (or in as many rows as the
 * input's first dimension says), or a folder with such files. -ENOENT: there are none; -EINVAL: of another type or shape, or not
 * finite. @error names the file.
 */
int quant_load_samples(const struct graph *graph, const char *path, struct quant_sample **samples, size_t *count,
		       char *error, size_t error_size);

/*
 * Calls @visit for each file at @path that quant_load_samples() may read, in an order that depends on their names only; @name is relative
 * to @path, "" for @path itself. 0, the first other value that @visit gives, or the errno of a folder with a text in @error.
 */
int quant_sample_files(const char *path, int (*visit)(void *context, const char *name, const char *file), void *context,
		       char *error, size_t error_size);

#endif
