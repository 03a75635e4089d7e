/* SPDX-License-Identifier: MIT */
/* Elementwise operators: what those of one table (lower_elementwise.c) and those of their own form (lower_elementwise_forms.c) share. */
#ifndef COMPILER_TARGET_LOWER_ELEMENTWISE_H
#define COMPILER_TARGET_LOWER_ELEMENTWISE_H

#include "compiler/target/lower_loop.h"

/* Names of a step's registers. */
#define IN0 LOOP_IN
#define IN1 (LOOP_IN + 1)
#define IN2 (LOOP_IN + 2)
#define T0 LOOP_TEMP
#define T1 (LOOP_TEMP + 1)
#define OUT LOOP_OUT
#define NONE LOOP_NONE

/* What may be done in the 32-bit integer domain too, and what gives or takes booleans. */
enum { FLOATS = 1, INTS = 2, BOOLS = 4, BOOL_OUT = 8, VARIADIC = 16, MEAN = 32 };

bool elementwise_is_float(enum dtype type);
/* For supports(): shapes known, nothing empty, and types among @flags, of the output and the first @num_inputs inputs. */
int elementwise_check(const struct graph_node *node, size_t num_inputs, unsigned int flags, char *reason, size_t size);
/*
 * A loop over @node's output with its first @count inputs broadcast against it; creates the output in the largest
 * input's order.
 */
int elementwise_prepare(struct lower *lower, struct graph_node *node, size_t count, struct loop *loop);
uint64_t elementwise_cycles(const struct graph_node *node, const struct target *target, enum lower_precision precision);

#endif
