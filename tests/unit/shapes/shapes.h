/* SPDX-License-Identifier: MIT */
/* Models of one operator in random shapes, from tiny to as large as a layer gets, round sizes and odd ones. */
#ifndef TESTS_UNIT_SHAPES_SHAPES_H
#define TESTS_UNIT_SHAPES_SHAPES_H

#include "compiler/compiler.h"
#include "tests/unit/graph/model.h"

/*
 * struct shape_case
 * @text: operator, shapes and attributes
 * @options: a target and a precision
 */
struct shape_case {
	struct model model;
	char text[256];
	struct compile_options options;
	uint32_t random;
};

/* The case that @seed stands for; model_finish() of its model when it is done with. */
void shape_case_make(struct shape_case *shape, uint32_t seed);
/* Compile it: the result of compile_file(). */
int shape_case_compile(const struct shape_case *shape, struct compile_result *result, char *error, size_t error_size);

#endif
