// SPDX-License-Identifier: MIT
/* Gradient in small models: build, import, run, and compare with differences. */
#ifndef TESTS_UNIT_GRAPH_GRADIENT_CASE_H
#define TESTS_UNIT_GRAPH_GRADIENT_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "compiler/graph/graph.h"
#include "tests/unit/graph/model.h"

#define DOUBLE 11

/* struct run - a model that was imported, and its values by id */
struct run {
	struct graph *graph;
	struct tensor *values;
};

/* Gradient(xs) of @y; @names is both the inputs and the attribute, ended by NULL. */
Onnx__NodeProto *add_gradient(struct model *model, const char *const *names, const char *const *outputs, const char *y);

/* Import, and expect success or look at the error. */
int import(const struct model *model, struct graph **graph, char *error, size_t size);
void start(struct run *run, const struct model *model);
void finish(struct run *run);

struct tensor *value_of(struct run *run, const char *name);
void execute(struct run *run);

/* d(sum of "target") by each element of @x, which @dx is, must be what the differences say. @op: for the message */
void check_derivative(struct run *run, const char *op, const char *x, const char *dx);

#endif
