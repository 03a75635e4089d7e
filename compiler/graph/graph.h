/* SPDX-License-Identifier: MIT */
/*
 * The compiler's graph: typed SSA over ONNX operators.
 *
 * Every stage up to partitioning reads and writes this one form, and after every stage it is still an executable ONNX graph:
 * fused operators carry the names under which ONNX Runtime knows them (com.microsoft FusedConv, FusedGemm, FusedMatMul, Gelu,
 * FastGelu, QLinearAdd, …), so that runtime/cpu can run the graph after any pass and the first pass that changes an answer is
 * found by running it.
 *
 *	graph ── nodes[]  in topological order after graph_sort()
 *	      ── values[] each defined once: graph input, constant, or output of one node
 *	      ── captures[] of a subgraph: values that are inputs there and come from the graph around
 *
 * Bodies of branches and loops are graphs of their own, in attributes of their node. What they read of the graph around is no
 * look-up by name but an input of the node, behind the operator's own (num_captures of them): uses, order and dead code
 * come out right in every pass that knows nothing of bodies, and values may be renamed.
 *
 * All objects belong to the graph and die with it (graph_destroy). Names are interned in the graph: compare with strcmp.
 * A graph is not thread-safe; two graphs may be used by two threads.
 */
#ifndef COMPILER_GRAPH_GRAPH_H
#define COMPILER_GRAPH_GRAPH_H

#include <stdio.h>

#include "runtime/cpu/op.h"
#include "runtime/cpu/tensor.h"

struct graph;
struct graph_node;

/* A dimension: >= 0 known; GRAPH_DIM_UNKNOWN not known; below that a symbol, index -2 - dim into graph->symbols. */
#define GRAPH_DIM_UNKNOWN (-1)
#define GRAPH_DIM_SYMBOL(index) (-2 - (int64_t)(index))

/*
 * struct graph_type - what the elements of a nested value are; belongs to the graph and never changes
 * @dtype:   element type of a tensor, or DTYPE_SEQUENCE, DTYPE_OPTIONAL, DTYPE_MAP
 * @key:     type of a map's keys, else DTYPE_UNDEFINED
 * @element: of a nested type: what it holds (of a map: its values); NULL for a tensor, or while it is not known
 */
struct graph_type {
	enum dtype dtype;
	enum dtype key;
	const struct graph_type *element;
};

/*
 * struct graph_value - one SSA value
 * @dtype:    element type of a tensor; DTYPE_SEQUENCE, DTYPE_OPTIONAL or DTYPE_MAP for a nested value, whose rank stays -1
 * @key, @element: of a nested value, as in struct graph_type
 * @rank:     -1 while the rank is unknown
 * @constant: its contents when it is an initializer or was folded, else NULL
 * @producer: the node that computes it; NULL for graph inputs, captures and constants
 * @is_input: a graph input, or a capture
 * @uses:     nodes that read it (a node appears once per reading input); graph outputs are not in it, see @is_output
 * @lo, @hi:  range seen in calibration; valid when has_range
 * @data:     for the passes that need a word per value (a pass owns it only while it runs)
 */
struct graph_value {
	int id; /* index in graph->values, stable */
	const char *name;
	enum dtype dtype;
	enum dtype key;
	const struct graph_type *element;
	int rank;
	int64_t dims[TENSOR_MAX_RANK];
	struct tensor *constant;
	struct graph_node *producer;
	struct graph_node **uses;
	size_t num_uses;
	bool is_input;
	bool is_output;
	bool has_range;
	float lo, hi;
	intptr_t data;
};

enum graph_placement { GRAPH_PLACE_UNDECIDED, GRAPH_PLACE_NPU, GRAPH_PLACE_CPU };

/*
 * struct graph_node - one operator
 * @inputs:    NULL for an omitted optional input; the last @num_captures of them are what the bodies capture
 * @origin:    names of the ONNX node(s) it came from, ", " between them when fused; for reports and the device trace
 * @placement: set by the partitioner; @region numbers the partition; @reason says why it is on the CPU (static or interned)
 */
struct graph_node {
	int id; /* index in graph->nodes; renumbered by graph_sort() */
	const char *name;
	const char *op_type;
	const char *domain;
	int opset;
	const char *origin;
	size_t num_inputs;
	struct graph_value **inputs;
	size_t num_captures;
	size_t num_outputs;
	struct graph_value **outputs;
	size_t num_attrs;
	struct attr *attrs;
	enum graph_placement placement;
	int region;
	const char *reason;
	intptr_t data;
};

/*
 * struct graph_capture - a value of a subgraph that comes from the graph around
 * @value: in the subgraph
 * @index: among the captures of the node that the subgraph belongs to
 */
struct graph_capture {
	struct graph_value *value;
	size_t index;
};

struct graph_opset {
	const char *domain;
	int version;
};

/* @rank -1: not stated; @dims as of a value, also symbols of this graph that no input has */
struct graph_shape {
	int rank;
	int64_t dims[TENSOR_MAX_RANK];
};

struct graph {
	const char *name;
	int ir_version;
	size_t num_opsets;
	struct graph_opset *opsets;
	size_t num_nodes;
	struct graph_node **nodes;
	size_t num_values;
	struct graph_value **values;
	size_t num_inputs;
	struct graph_value **inputs; /* without initializers */
	size_t num_outputs;
	struct graph_value **outputs;
	struct graph_shape *stated; /* by output, as the file states it; NULL: it states none, and in subgraphs */
	size_t num_symbols;
	const char **symbols;
	size_t num_captures; /* of a subgraph */
	struct graph_capture *captures;
	struct graph *outer; /* of a subgraph: the graph that its node is in */
	struct graph_private *priv;
};

/* ---- building ---- */
int graph_create(const char *name, struct graph **graph);
void graph_destroy(struct graph *graph);
/* A copy of the string that lives as long as the graph; NULL when out of memory. */
const char *graph_intern(struct graph *graph, const char *text);
/* @size bytes of any content and a NUL behind them, that live as long as the graph; NULL when out of memory. */
char *graph_copy_bytes(struct graph *graph, const void *bytes, size_t size);
/* New value; a NULL or taken name is made unique. NULL when out of memory. rank -1: unknown. */
struct graph_value *graph_add_value(struct graph *graph, const char *name, enum dtype dtype, int rank,
				    const int64_t *dims);
/* A type that lives as long as the graph; NULL when out of memory. @element must live as long, too. */
const struct graph_type *graph_add_type(struct graph *graph, enum dtype dtype, enum dtype key,
					const struct graph_type *element);
/* New constant; takes over what @tensor owns (also on failure). */
struct graph_value *graph_add_constant(struct graph *graph, const char *name, struct tensor *tensor);
/* New node before @before (NULL: at the end). Inputs get the use recorded, outputs the producer. */
struct graph_node *graph_add_node(struct graph *graph, struct graph_node *before, const char *domain,
				  const char *op_type, int opset, const char *name, size_t num_inputs,
				  struct graph_value *const *inputs, size_t num_outputs,
				  struct graph_value *const *outputs);
/* @node stands for @from now: it gets the other's origin and attributes, which is left without any. */
void graph_take_place(struct graph_node *node, struct graph_node *from);
/*
 * Let @value of the subgraph @body, an attribute of @node, be a capture of @from, a value of the graph that @node is in. -ENOMEM.
 */
int graph_add_capture(struct graph_node *node, struct graph *body, struct graph_value *value, struct graph_value *from);
/* Where capture @index of @node comes from. */
static inline struct graph_value *graph_captured(const struct graph_node *node, size_t index)
{
	return node->inputs[node->num_inputs - node->num_captures + index];
}
/* Attribute @i of @node when it is a subgraph, else NULL. */
struct graph *graph_node_body(const struct graph_node *node, size_t i);
/* Does the node have a body? */
bool graph_has_body(const struct graph_node *node);
/* Attributes: set replaces one of the same name; strings and arrays are copied. */
int graph_node_set_int(struct graph *graph, struct graph_node *node, const char *name, int64_t value);
int graph_node_set_float(struct graph *graph, struct graph_node *node, const char *name, float value);
int graph_node_set_string(struct graph *graph, struct graph_node *node, const char *name, const char *value);
int graph_node_set_ints(struct graph *graph, struct graph_node *node, const char *name, size_t count,
			const int64_t *values);
int graph_node_set_floats(struct graph *graph, struct graph_node *node, const char *name, size_t count,
			  const float *values);

/* ---- editing ---- */
struct graph_value *graph_find_value(const struct graph *graph, const char *name);
/* Let every reader of @from (and the graph output, when it is one) read @to instead. */
int graph_replace_value(struct graph *graph, struct graph_value *from, struct graph_value *to);
int graph_set_input(struct graph_node *node, size_t index, struct graph_value *value);
/* Remove a node whose outputs have no readers (checked: -EBUSY). */
int graph_remove_node(struct graph *graph, struct graph_node *node);
/*
 * Put the nodes of @body, a subgraph without inputs of @node (If), in the place of @node. -EINVAL: the body has not as many outputs as
 * the node, or has inputs. -ENOMEM leaves a graph that can only be destroyed.
 */
int graph_inline(struct graph *graph, struct graph_node *node, struct graph *body);
/* What was interned in @from lives as long as @graph now. */
void graph_take_memory(struct graph *graph, struct graph *from);
/* Order nodes topologically (stable), renumber ids, drop removed slots. -ELOOP when there is a cycle. */
int graph_sort(struct graph *graph);

/* ---- reading ---- */
/* The node as the operator library wants it; borrows from the node. */
struct op_node graph_op_node(const struct graph_node *node);
/* Is @node's operator one of @names (whatever its domain)? GRAPH_NODE_IS takes an array's own length. */
bool graph_node_is_in(const struct graph_node *node, const char *const *names, size_t count);
#define GRAPH_NODE_IS(node, names) graph_node_is_in(node, names, sizeof(names) / sizeof((names)[0]))
/* Is one of @value's readers? */
bool graph_read_by(const struct graph_value *value, const char *const *names, size_t count);
bool graph_value_is_static(const struct graph_value *value); /* rank and every dimension known */
/* "float32[1,3,224,224]", "float32[N,?,8]" or "seq(tensor(float32))" into @text. Returns @text. */
char *graph_value_type(const struct graph *graph, const struct graph_value *value, char *text, size_t size);
/* The graph as text, one line a node; the form of `--print-after`. */
int graph_print(const struct graph *graph, FILE *out);
/* Invariants (SSA, uses, order, types of constants). 0, or -EINVAL with a text in @error. */
int graph_validate(const struct graph *graph, char *error, size_t error_size);

#endif
