/* SPDX-License-Identifier: MIT */
/*
 * What names mean while the body of a model-local function is put in the place of its call: formal inputs and outputs
 * are the call's, inner values get the call's name in front, attribute references are the call's attributes.
 */
#ifndef COMPILER_ONNX_SCOPE_H
#define COMPILER_ONNX_SCOPE_H

#include "onnx.pb-c.h"

#define SCOPE_MAX_DEPTH 32

/*
 * @function, @call: whose body is imported, and the node that calls it; NULL: the model's own graph, or a subgraph
 * @outer:  where the call stands, or the node with the subgraph; NULL: nowhere
 * @prefix: of inner names
 */
struct scope {
	const Onnx__FunctionProto *function;
	const Onnx__NodeProto *call;
	const struct scope *outer;
	const char *prefix;
	int depth;
};

/* The function that @node calls, or NULL. */
const Onnx__FunctionProto *scope_find_function(const Onnx__ModelProto *model, const Onnx__NodeProto *node);

/*
 * The value that @name means in @scope: written to @full (of @size), or "" for an omitted operand. -ENAMETOOLONG. The
 * text may be @name itself, unchanged.
 */
int scope_resolve(const struct scope *scope, const char *name, char *full, size_t size);

/*
 * The attribute that @attribute stands for: itself, or what the call gives for its reference, or the function's
 * default; NULL: the call leaves it out.
 */
Onnx__AttributeProto *scope_attribute(const struct scope *scope, Onnx__AttributeProto *attribute);

/* The function whose body @scope is in, directly or in a subgraph; NULL: none. */
const Onnx__FunctionProto *scope_function(const struct scope *scope);

#endif
