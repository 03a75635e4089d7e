/* SPDX-License-Identifier: MIT */
/* The ways in which the suite runs a model: node by node as it was imported, or compiled in a session. */
#ifndef TESTS_CONFORMANCE_RUNNER_H
#define TESTS_CONFORMANCE_RUNNER_H

#include "runtime/cpu/pool.h"
#include "runtime/cpu/tensor.h"
#include "tests/conformance/table.h"

#define TEXT_SIZE 512
#define PATH_SIZE 4096

/*
 * struct runner - a way to run models, one at a time
 * @device: for sessions: as accel_open() takes it
 * @export: the model goes through the exporter and the importer before it runs (graph_case_runner)
 * @open:   load the model at @path. -ENOTSUP: it is right and can not run; others: it is refused. Reasons in @why (TEXT_SIZE)
 * @run:    @outputs (num_outputs, zeroed) get copies, the caller's. -ENOENT: no kernel, with the operator's name in @why; -ENOTSUP
 * @model:  what is open; input_types and output_types are of the values, sequences and optionals included (DTYPE_UNDEFINED: not said)
 * @table:  where nodes that ran are counted
 */
struct runner {
	const char *device;
	bool export;
	int (*open)(struct runner *runner, const char *path, char *why);
	void (*close)(struct runner *runner);
	int (*run)(struct runner *runner, const struct tensor *inputs, struct tensor *outputs, char *why);
	void *model;
	struct cpu_pool *pool;
	size_t num_inputs, num_outputs;
	enum dtype *input_types, *output_types;
	struct table *table;
};

extern const struct runner graph_case_runner;
extern const struct runner session_case_runner;

#endif
