/* SPDX-License-Identifier: MIT */
/* What the fusions share: questions about nodes, and putting one node in the place of several. */
#ifndef COMPILER_FUSE_PATTERN_H
#define COMPILER_FUSE_PATTERN_H

#include "compiler/graph/graph.h"

/* @node may be NULL: then it is not. */
bool is_op(const struct graph_node *node, const char *op_type);
/* @value is read once, by a node, and is no output: that node; else NULL. */
struct graph_node *only_reader(const struct graph_value *value);
/* Both shapes are known, equal, and so are the types. */
bool same_shape(const struct graph_value *a, const struct graph_value *b);
/* Is @value computed without the help of @node? Then it may become an input of it. Ids must be in order (graph_sort()). */
bool before(const struct graph_value *value, const struct graph_node *node);

/* "a, b": @from's origin is added to @into's. */
void join_origins(struct graph *graph, struct graph_node *into, const struct graph_node *from);
/* Let @node write what @last wrote, and drop @last. 0 or negative errno. */
int take_output(struct graph *graph, struct graph_node *node, struct graph_node *last);

/*
 * A new node writes what @last wrote; @last goes, and with it everything that only it needed. @origins: nodes whose
 * names the new one carries on (@last among them). Sorts the graph, so that before() can be asked again. NULL when out
 * of memory.
 */
struct graph_node *replace_with(struct graph *graph, struct graph_node *last, const char *domain, const char *op_type,
				int opset, size_t num_inputs, struct graph_value *const *inputs, size_t num_origins,
				struct graph_node *const *origins);

/* Input @index of @node is there and a constant. */
bool constant_input(const struct graph_node *node, size_t index);
/* Limits of a Clip, from attributes or constant inputs; false when an input is computed. */
bool clip_limits(const struct graph_node *clip, float *limits);
/*
 * Does the saturation of QuantizeLinear to 8 bits of this @scale and @zero do all that @activation, a Relu or Clip
 * before it, does?
 */
bool saturates(const struct graph_node *activation, float scale, int zero, bool is_signed);
/* Resize to the nearest element, with none from outside: each element of the output is one of the input. */
bool resizes_to_nearest(const struct graph_node *node);
/* One float number, or false. */
bool constant_number(const struct graph_value *value, double *number);
/* @value is another one times a constant (Mul, or Div by it): that other one and the @factor, else NULL. */
struct graph_value *without_factor(const struct graph_value *value, double *factor);
/* @node (a binary operator) has @value as one operand, and not twice: the other one, else NULL. */
struct graph_value *other_operand(const struct graph_node *node, const struct graph_value *value);
/* @node has @value as one operand and a number near @number as the other. */
bool with_number(const struct graph_node *node, const struct graph_value *value, double number);

#endif
