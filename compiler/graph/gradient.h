/* SPDX-License-Identifier: MIT */
/*
 * Reverse-mode differentiation over the graph: what Gradient of ai.onnx.preview.training asks for.
 *
 * gradient.c walks the nodes between the variables and the target backwards and adds up derivatives; the files of gradient_rules.h
 * know the derivative of each operator and write it as ordinary nodes, so that a derivative runs, folds and is compiled like
 * everything else, and can be differentiated again.
 */
#ifndef COMPILER_GRAPH_GRADIENT_H
#define COMPILER_GRAPH_GRADIENT_H

#include "compiler/graph/graph.h"

/*
 * struct gradient - where a rule writes its nodes
 * @before: new nodes go in front of this one
 * @failed: out of memory; every function then returns NULL
 * @error:  set by a rule that returns -ENOTSUP
 * @dys:    derivatives by the outputs of the node whose rule runs, NULL where the target does not depend on one
 */
struct gradient {
	struct graph *graph;
	struct graph_node *before;
	bool failed;
	char *error;
	size_t error_size;
	struct graph_value **dys;
};

/*
 * struct gradient_rule - the rule of one operator of ai.onnx
 * @differentiate: from @dy, the derivative by the node's output 0, to @dx[i], the derivative by input i; it may leave out (NULL)
 *                 inputs that do not count, for which @active[i] is false, or whose derivative is zero. 0, or -ENOTSUP with g->error
 *                 set for a form of the operator without a rule.
 * @all_outputs:   it reads g->dys, and @dy may be NULL; else an output behind the first may not count
 */
struct gradient_rule {
	const char *op_type;
	int (*differentiate)(struct gradient *g, const struct graph_node *node, struct graph_value *dy,
			     const bool *active, struct graph_value **dx);
	bool all_outputs;
};

/* The rule of an operator of ai.onnx, or NULL. */
const struct gradient_rule *gradient_rule_of(const char *op_type);

/* For rules: a node of ai.onnx with one output, of the element type of @like. */
struct graph_value *gradient_emit(struct gradient *g, const char *op_type, const struct graph_value *like,
				  size_t num_inputs, struct graph_value *const *inputs);
/* A scalar of the element type of @like. */
struct graph_value *gradient_scalar(struct gradient *g, double value, struct graph_value *like);
/* A scalar of the type and shape of @like. */
struct graph_value *gradient_fill(struct gradient *g, double value, struct graph_value *like);

/* Attributes of @from for @to, which has none. -ENOTSUP for a body, -ENOMEM. */
int gradient_copy_attributes(struct gradient *g, const struct graph_node *from, struct graph_node *to);

/*
 * Replace every Gradient node of @graph by the nodes of its derivatives. 0; -EINVAL (attributes or names that do not fit);
 * -ENOTSUP (an operator without a rule); -ENOMEM. @error names node and operator.
 */
int graph_expand_gradients(struct graph *graph, char *error, size_t error_size);

#endif
