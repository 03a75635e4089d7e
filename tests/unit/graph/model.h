/* SPDX-License-Identifier: MIT */
/* Small ONNX models by hand: protobuf-c messages that live until model_finish(). */
#ifndef TESTS_UNIT_GRAPH_MODEL_H
#define TESTS_UNIT_GRAPH_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "onnx.pb-c.h"

/* @memory: everything allocated, freed together */
struct model {
	Onnx__ModelProto proto;
	void *memory[4000];
	size_t count;
};

/* IR 8, opset 17, an empty graph. */
void model_init(struct model *model);
void model_finish(struct model *model);
void *model_alloc(struct model *model, size_t size);

void model_opset(struct model *model, const char *domain, int64_t version);
Onnx__ValueInfoProto *model_value(struct model *model, const char *name, int type, size_t rank, const int64_t *dims);
void model_input(struct model *model, const char *name, int type, size_t rank, const int64_t *dims);
void model_output(struct model *model, const char *name);
Onnx__TensorProto *model_floats(struct model *model, const char *name, size_t rank, const int64_t *dims, size_t count,
				const float *values);
Onnx__TensorProto *model_ints(struct model *model, const char *name, size_t rank, const int64_t *dims, size_t count,
			      const int64_t *values);
void model_initializer(struct model *model, Onnx__TensorProto *tensor);
/* A node: operands are lists that end with NULL. Not yet part of anything. */
Onnx__NodeProto *model_make_node(struct model *model, const char *op_type, const char *const *inputs,
				 const char *const *outputs);
Onnx__NodeProto *model_node(struct model *model, const char *op_type, const char *const *inputs,
			    const char *const *outputs);
Onnx__AttributeProto *model_attribute(struct model *model, Onnx__NodeProto *node, const char *name, int type);

/* Grow a list of a message by one. */
#define MODEL_APPEND(model, list, count, item)                                      \
	do {                                                                        \
		void *grown_ = model_alloc(model, ((count) + 1) * sizeof(*(list))); \
		if (count)                                                          \
			memcpy(grown_, list, (count) * sizeof(*(list)));            \
		(list) = grown_;                                                    \
		(list)[(count)++] = item;                                           \
	} while (0)

/* The bytes, the caller's. */
uint8_t *model_pack(const struct model *model, size_t *size);

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
