/* SPDX-License-Identifier: MIT */
/*
 * Between the files of the checker. One struct check_scope a graph or function body, on the stack of who walks it, linked to the one
 * around it; each file knows one group of rules:
 *
 *	model.c      IR version, operator sets, training        function.c  model-local functions
 *	graph.c      names, order, cycles, outputs              node.c      operators, operand counts
 *	attribute.c  attributes                                 type.c      element types
 *	subgraph.c   bodies of If, Loop, Scan, SequenceMap      tensor.c    initializers, external data, sparse tensors
 *	shape.c      declared shapes against inferred ones      report.c    findings
 */
#ifndef COMPILER_ONNX_CHECK_CHECKER_H
#define COMPILER_ONNX_CHECK_CHECKER_H

#include <string.h>

#include "compiler/onnx/check/check.h"
#include "compiler/onnx/check/rules.h"
#include "compiler/onnx/schema/schema.h"
#include "onnx.pb-c.h"

#define CHECK_MAX_DEPTH 32 /* of subgraphs, as the importer's */
#define CHECK_MAX_PATH 200

/*
 * struct checker - one check
 * @folder: of the model, NULL: no external data is allowed
 * @err:    -ENOMEM, which ends it
 */
struct checker {
	const Onnx__ModelProto *model;
	const char *folder;
	struct check_report *report;
	int err;
};

/* What kind of value; UNKNOWN: nothing is known, OTHER: a type that no operator table speaks of. */
enum value_kind {
	VALUE_UNKNOWN,
	VALUE_TENSOR,
	VALUE_SEQUENCE,
	VALUE_OPTIONAL,
	VALUE_OPTIONAL_SEQUENCE,
	VALUE_MAP,
	VALUE_SEQUENCE_OF_MAP,
	VALUE_OTHER,
};

/* @key: of a map, element type of the keys */
struct value_type {
	enum value_kind kind;
	int element, key;
};

/*
 * struct definition - a name in a graph
 * @node:  index of the node that writes it, -1: input or initializer
 * @input: of an input: what the graph says of it, else NULL
 */
struct definition {
	const char *name;
	int node;
	const Onnx__ValueInfoProto *input;
	bool initializer;
	struct value_type type;
};

/* Node @to reads what node @from writes. */
struct edge {
	int from, to;
};

/*
 * struct check_scope - a graph while it is walked
 * @current:     index of the node under check, -1: none
 * @definitions: with @slots, a hash table of indices + 1
 */
struct check_scope {
	struct checker *checker;
	struct check_scope *outer;
	const Onnx__FunctionProto *function;
	char path[CHECK_MAX_PATH];
	int depth;
	size_t num_opsets;
	Onnx__OperatorSetIdProto *const *opsets;
	size_t num_nodes;
	Onnx__NodeProto *const *nodes;
	int current;
	struct definition *definitions;
	size_t num_definitions, max_definitions;
	uint32_t *slots;
	size_t num_slots;
	struct edge *edges;
	size_t num_edges, max_edges;
};

static inline const char *check_text(const char *string)
{
	return string ? string : "";
}

static inline const char *check_domain(const char *domain)
{
	return domain && strcmp(domain, "ai.onnx") ? domain : "";
}

/* ---- report.c ---- */
/* A finding at @scope's current node, or about the graph, or (NULL) the model. */
void check_found(struct checker *checker, const struct check_scope *scope, enum check_rule_number rule,
		 const char *subject, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* @name is UTF-8, or that is found. */
void check_utf8(struct checker *checker, const struct check_scope *scope, const char *what, const char *name);

/* ---- graph.c ---- */
void check_graph(struct checker *checker, struct check_scope *outer, const char *path, const Onnx__GraphProto *graph);
/* A scope that sees @outer, of @nodes; *scope is zeroed first. check_scope_finish() frees it. */
void check_scope_init(struct checker *checker, struct check_scope *scope, struct check_scope *outer, const char *path);
void check_scope_finish(struct check_scope *scope);
struct definition *check_define(struct check_scope *scope, const char *name, int node);
/* In @scope alone. */
struct definition *check_lookup(const struct check_scope *scope, const char *name);
/* In @scope or one around it, as far as the reading node may see. */
struct definition *check_resolve(const struct check_scope *scope, const char *name);
/* Two steps over the nodes of a scope: the names that they write; then each node, and their order. */
void check_define_outputs(struct check_scope *scope);
void check_nodes(struct check_scope *scope);
/* Version of the operator set that a node of @scope with the canonical @domain means; 0: not imported. */
int check_opset(const struct check_scope *scope, const char *domain);

/* ---- node.c ---- */
void check_node(struct check_scope *scope, const Onnx__NodeProto *node);

/* ---- attribute.c ---- */
/* @schema: NULL when the operator is not known, or is a function's. */
void check_attributes(struct check_scope *scope, const Onnx__NodeProto *node, const struct schema *schema);
/* AttributeProto.AttributeType of @attribute: stated, or said by the field that is there; 0: neither. */
int check_attribute_type(const Onnx__AttributeProto *attribute);
const Onnx__AttributeProto *check_attribute_find(const Onnx__NodeProto *node, const char *name);

/* ---- type.c ---- */
struct value_type check_value_type(const Onnx__TypeProto *type);
/* A stated type: element types that exist, dimensions. */
void check_type(struct checker *checker, const struct check_scope *scope, const char *name,
		const Onnx__TypeProto *type);
/* @type says what elements are, down to those of sequences and maps. Graphs inside others need not. */
bool check_states_type(const Onnx__TypeProto *type);
bool check_element_type(int type);
void check_operand_types(struct check_scope *scope, const Onnx__NodeProto *node, const struct schema *schema);
/* "tensor(float)" */
char *check_type_text(struct value_type type, char *text, size_t size);
bool check_same_type(struct value_type a, struct value_type b);

/* ---- subgraph.c ---- */
void check_subgraphs(struct check_scope *scope, const Onnx__NodeProto *node);

/* ---- tensor.c ---- */
/* @what: "initializer w", say, for the finding. */
void check_tensor(struct checker *checker, const struct check_scope *scope, const char *what,
		  const Onnx__TensorProto *tensor);
void check_sparse_tensor(struct checker *checker, const struct check_scope *scope, const char *what,
			 const Onnx__SparseTensorProto *sparse);

/* ---- function.c ---- */
void check_functions(struct checker *checker);
void check_call(struct check_scope *scope, const Onnx__NodeProto *node, const Onnx__FunctionProto *function);

/* ---- model.c ---- */
void check_opsets(struct checker *checker, const struct check_scope *scope, size_t count,
		  Onnx__OperatorSetIdProto *const *opsets);

/* What is found needs an IR version of @since or later. */
void check_feature(struct checker *checker, const struct check_scope *scope, const char *subject, int64_t since,
		   const char *what);
void check_element_feature(struct checker *checker, const struct check_scope *scope, const char *subject, int type);

/* ---- shape.c ---- */
/* Import @model, which no rule refuses, and hold declared types and shapes against the inferred ones. Its tensors' bytes are gone then. */
void check_shapes(struct checker *checker, Onnx__ModelProto *model);

#endif
