/* SPDX-License-Identifier: MIT */
/* What the bad models are built of. Each bad_*.c has a table of its own, which bad_models.c lists; {NULL} ends it. */
#ifndef TESTS_UNIT_CHECK_BAD_BUILD_H
#define TESTS_UNIT_CHECK_BAD_BUILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/check/bad_models.h"

enum { FLOAT = 1, INT64 = 7, BOOL = 9, INT4 = 22 };
enum { A_FLOAT = 1, A_INT = 2, A_STRING = 3, A_TENSOR = 4, A_GRAPH = 5, A_INTS = 7 };

static const int64_t two_by_three[] = {2, 3}, three[] = {3}, six_values[] = {0, 1, 2, 3, 4, 5};
static const float six_floats[] = {1, 2, 3, 4, 5, 6};

static inline Onnx__GraphProto *graph_of(struct model *m)
{
	return m->proto.graph;
}

/* A node with a name, for the finding. */
static inline Onnx__NodeProto *add(struct model *m, const char *name, const char *op_type, const char *const *inputs,
				   const char *const *outputs)
{
	Onnx__NodeProto *node = model_node(m, op_type, inputs, outputs);

	node->name = (char *)name;
	return node;
}

static inline void add_output(struct model *m, const char *name, int type)
{
	MODEL_APPEND(m, graph_of(m)->output, graph_of(m)->n_output, model_value(m, name, type, 2, two_by_three));
}

static inline void set_int(Onnx__AttributeProto *attribute, int64_t value)
{
	attribute->has_i = 1;
	attribute->i = value;
}

static inline void set_text(Onnx__AttributeProto *attribute, const char *text)
{
	attribute->has_s = 1;
	attribute->s = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

#define BAD(build, rule, node)                   \
	{                                        \
#build, rule, node, build, false \
	}
#define BAD_FILE(build, rule, node)             \
	{                                       \
#build, rule, node, build, true \
	}

extern const struct bad_model bad_graph_models[], bad_node_models[], bad_tensor_models[], bad_body_models[];

#endif
