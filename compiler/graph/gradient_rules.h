/* SPDX-License-Identifier: MIT */
/*
 * Between the files of rules; see gradient.h. In formulas x, a, b are inputs, y is the output, d… the derivative of the target
 * by it.
 *
 *	gradient_rules.c    arithmetic, products, the look-up     gradient_unary.c   functions of one number, activations
 *	gradient_shape.c    shapes, copies, gathers               gradient_reduce.c  reductions, softmax, losses
 *	gradient_window.c   convolutions and pools                gradient_norm.c    normalizations
 *	gradient_nodes.c    what they share
 *
 * Shapes of values between nodes are not known when rules run (the graph is not inferred yet): rules compute them in the graph.
 */
#ifndef COMPILER_GRAPH_GRADIENT_RULES_H
#define COMPILER_GRAPH_GRADIENT_RULES_H

#include "compiler/graph/gradient.h"

#define RULE(name)                                                                                                     \
	static int name(struct gradient *g, const struct graph_node *node, struct graph_value *dy, const bool *active, \
			struct graph_value **dx)

extern const struct gradient_rule gradient_unary_rules[], gradient_shape_rules[], gradient_reduce_rules[],
	gradient_window_rules[], gradient_norm_rules[]; /* each ends with a NULL name */

/* Nodes of one output, of the element type of their first input. */
struct graph_value *one(struct gradient *g, const char *op_type, struct graph_value *x);
struct graph_value *two(struct gradient *g, const char *op_type, struct graph_value *a, struct graph_value *b);
struct graph_value *times(struct gradient *g, struct graph_value *a, struct graph_value *b);
struct graph_value *plus(struct gradient *g, struct graph_value *a, struct graph_value *b);
struct graph_value *minus(struct gradient *g, struct graph_value *a, struct graph_value *b);
/* @x times or plus a number. */
struct graph_value *scaled(struct gradient *g, struct graph_value *x, double factor);
struct graph_value *shifted(struct gradient *g, struct graph_value *x, double summand);
/* @a where @condition, else @b. */
struct graph_value *choose(struct gradient *g, struct graph_value *condition, struct graph_value *a,
			   struct graph_value *b);
/* @x @relation a number ("Greater", …), a truth value. */
struct graph_value *compare(struct gradient *g, const char *relation, struct graph_value *x, double number);

/* int64 constants: a list, a scalar. */
struct graph_value *numbers(struct gradient *g, int64_t count, const int64_t *values);
struct graph_value *number(struct gradient *g, int64_t value);
/* int64 lists computed in the graph: one behind the other (@c may be NULL); Shape(x)[begin:end]; begin to end - 1. */
struct graph_value *join(struct gradient *g, struct graph_value *a, struct graph_value *b, struct graph_value *c);
struct graph_value *shape_part(struct gradient *g, struct graph_value *x, int64_t begin, int64_t end);
struct graph_value *range(struct gradient *g, struct graph_value *begin, struct graph_value *end);
struct graph_value *rank_of(struct gradient *g, struct graph_value *x); /* a scalar */

/* Attributes of the node that wrote @of. */
void set_int(struct gradient *g, struct graph_value *of, const char *name, int64_t value);
void set_ints(struct gradient *g, struct graph_value *of, const char *name, size_t count, const int64_t *values);
void set_string(struct gradient *g, struct graph_value *of, const char *name, const char *value);

/* -ENOTSUP: "no rule for the derivative of OP @form". */
int no_rule(struct gradient *g, const struct graph_node *node, const char *form);

/*
 * @derivative, summed over the axes along which @x was stretched to the shape of @y (NULL: not known). Shapes may not be known before
 * the graph runs: the axes are found by comparing them there.
 */
struct graph_value *unstretch(struct gradient *g, struct graph_value *derivative, struct graph_value *x,
			      const struct graph_value *y);
/* @x in the shape @shape, a list in the graph; in the shape of @like. */
struct graph_value *reshape_to(struct gradient *g, struct graph_value *x, struct graph_value *shape);
struct graph_value *reshape_like(struct gradient *g, struct graph_value *x, struct graph_value *like);
/* Sums and means over @axes, a list in the graph, which stay with size 1. */
struct graph_value *sum_over(struct gradient *g, struct graph_value *x, struct graph_value *axes);
struct graph_value *mean_over(struct gradient *g, struct graph_value *x, struct graph_value *axes);
/*
 * A list of @room zeros (a scalar in the graph) of the type of @values, to which each element of @values is added at the place that
 * the same element of @index says.
 */
struct graph_value *scatter_sum(struct gradient *g, struct graph_value *room, struct graph_value *index,
				struct graph_value *values);
/* Elements @begin to @end - 1 of the list @x. */
struct graph_value *list_part(struct gradient *g, struct graph_value *x, int64_t begin, int64_t end);

/*
 * A copy of @node in its own opset, attributes included, whose input 0 is @input and whose others are @node's, up to @num_inputs; its
 * output @index.
 */
struct graph_value *repeat(struct gradient *g, const struct graph_node *node, struct graph_value *input,
			   size_t num_inputs, size_t index);

#endif
