/* SPDX-License-Identifier: MIT */
/*
 * A flat view of an ONNX model's top graph over the mapped file: nodes, values, who uses what, and the constants among
 * the values.  It knows field numbers of ModelProto, GraphProto, NodeProto, AttributeProto and TensorProto; it infers
 * no shapes and does not descend into subgraphs (it says that there are some).
 */
#ifndef TESTS_MODELS_SCAN_H
#define TESTS_MODELS_SCAN_H

#include "wire.h"

enum { SCAN_MAX_DIMS = 8 };

enum scan_constant {
	SCAN_NOT_CONSTANT,
	SCAN_INITIALIZER, /* TensorProto in graph.initializer */
	SCAN_FILLED,      /* output of a ConstantOfShape whose shape is an initializer */
};

/* One place where a value is read. */
struct scan_use {
	size_t node;
	size_t slot; /* input index */
	size_t next; /* the value's next use, SCAN_NONE at the end */
};

#define SCAN_NONE SIZE_MAX

struct scan_value {
	struct span name;
	size_t producer;  /* node, or SCAN_NONE */
	size_t first_use; /* in file order */
	size_t last_use;
	enum scan_constant constant;
	struct span tensor; /* SCAN_INITIALIZER: the TensorProto */
	int32_t type;       /* TensorProto.DataType of a constant */
	size_t ndim;
	int64_t dim[SCAN_MAX_DIMS];
	uint64_t elements;
	bool graph_input;
};

struct scan_node {
	struct span op;
	size_t first_input, inputs; /* into scan.inputs; SCAN_NONE there for an omitted input */
	size_t output;              /* value of output 0, or SCAN_NONE */
	int64_t group, trans_a, trans_b;
	struct span fill; /* ConstantOfShape's "value" tensor */
	bool constant_of_shape;
};

struct scan {
	int64_t ir_version;
	bool subgraphs;
	struct span graph;
	struct scan_node *node;
	struct scan_value *value;
	struct scan_use *use;
	size_t *input;
	size_t nodes, values, uses, inputs;
	size_t *slot; /* hash table of values by name */
	size_t slots;
	char error[256];
};

/* Reads the model; the file must stay mapped.  0, or -EINVAL/-ENOMEM with scan->error set.  scan_finish() in any case.
 */
int scan_init(struct scan *scan, struct span model);
void scan_finish(struct scan *scan);

/* The value of that name, or SCAN_NONE. */
size_t scan_find(const struct scan *scan, struct span name);

/* The int64 elements of an initializer; -EINVAL when it is not one, or has more than `capacity`.  Else their number. */
int scan_int64(const struct scan_value *value, int64_t *element, size_t capacity);

/* A constant whose elements are all the same: always for SCAN_FILLED; compared for a float initializer. */
bool scan_repeats(const struct scan_value *value);

#endif
