/* SPDX-License-Identifier: MIT */
/*
 * One operator call for a test: build the node, fill inputs, run it as the runtime would, look at the outputs.
 */
#ifndef TESTS_UNIT_CPU_OP_CASE_H
#define TESTS_UNIT_CPU_OP_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "runtime/cpu/op.h"
#include "runtime/cpu/pool.h"

#define OP_CASE_MAX 20

/*
 * struct op_case - zero it with op_case_init(), free it with op_case_finish()
 * @constants: bit i: input i is given to op_prepare() as constant
 * @omitted:   bit i: input i is an omitted optional input
 */
struct op_case {
	struct op_node node;
	struct attr attrs[OP_CASE_MAX];
	int64_t ints[OP_CASE_MAX][TENSOR_MAX_RANK];
	float floats[OP_CASE_MAX][4];
	struct tensor inputs[OP_CASE_MAX];
	struct tensor outputs[OP_CASE_MAX];
	struct cpu_pool *pool;
	unsigned int constants, omitted;
	char error[OP_ERROR_SIZE];
};

void op_case_init(struct op_case *c, const char *domain, const char *op_type, int opset);
void op_case_finish(struct op_case *c);

void op_case_int(struct op_case *c, const char *name, int64_t value);
void op_case_float(struct op_case *c, const char *name, float value);
void op_case_string(struct op_case *c, const char *name, const char *value);
void op_case_ints(struct op_case *c, const char *name, size_t count, const int64_t *values);
void op_case_floats(struct op_case *c, const char *name, size_t count, const float *values);

/* Any attribute; what it points to stays the caller's. */
void op_case_attr(struct op_case *c, const struct attr *attr);

/* Append an input; the memory is zero (or random) and belongs to the case. */
struct tensor *op_case_input(struct op_case *c, enum dtype type, int rank, const int64_t *dims);
float *op_case_random(struct op_case *c, int rank, const int64_t *dims);
void op_case_random_bytes(struct op_case *c, enum dtype type, int rank, const int64_t *dims);
void op_case_scalar_f32(struct op_case *c, float value);
void op_case_omit(struct op_case *c);

/* Find, prepare, run with node.num_outputs outputs, release. The error text is in c->error. */
int op_case_run(struct op_case *c);

/* Run and expect success: prints the operator's error otherwise. */
void op_case_expect_ok(struct op_case *c);
/* Run and expect @err and an error text that contains @text. */
void op_case_expect_error(struct op_case *c, int err, const char *text);

/* Compare output @index with @expected: |difference| <= atol + rtol * |expected|. Prints index, values and seed. */
void expect_near(const struct tensor *actual, const float *expected, double rtol, double atol);
void expect_same_bytes(const struct tensor *actual, const void *expected);
void expect_shape(const struct tensor *actual, int rank, const int64_t *dims);

/*
 * @op_type of 3-D windows, with so many inputs (image, weights, bias), gives the same in double as in float, by strides and by
 * dilations.
 */
void expect_doubles_agree(const char *op_type, int num_inputs);

/* Reproducible randomness: random_seed() prints its value, AXL_TEST_SEED sets it. */
void random_seed(void);
uint32_t random_below(uint32_t bound);
float random_float(float low, float high);

#endif
