/* SPDX-License-Identifier: MIT */
/* Models with bodies, on top of tests/unit/graph/model.h, and sessions of them. */
#ifndef TESTS_UNIT_CONTROL_BODY_H
#define TESTS_UNIT_CONTROL_BODY_H

#include <accel/runtime.h>

#include "tests/unit/graph/model.h"

enum { FLOAT = 1, INT64 = 7, STRING = 8, BOOL = 9 };

/* Attribute @name of @node becomes an empty graph. */
Onnx__GraphProto *body_of(struct model *model, Onnx__NodeProto *node, const char *name);
/* A node in @graph; the model's own is model->proto.graph. */
Onnx__NodeProto *body_node(struct model *model, Onnx__GraphProto *graph, const char *op_type, const char *const *inputs,
			   const char *const *outputs);
/* An input or output of @graph; @rank -1: without a shape. */
void body_input(struct model *model, Onnx__GraphProto *graph, const char *name, int type, int rank,
		const int64_t *dims);
void body_output(struct model *model, Onnx__GraphProto *graph, const char *name, int type);
/* Dimension @d of the model's input @input is called @symbol. */
void body_symbol(struct model *model, size_t input, size_t d, const char *symbol);
void body_int(struct model *model, Onnx__NodeProto *node, const char *name, int64_t value);
/* @text is not copied. */
void body_text(struct model *model, Onnx__NodeProto *node, const char *name, const char *text);
void body_ints(struct model *model, Onnx__NodeProto *node, const char *name, size_t count, const int64_t *values);

/* The model as a file, which is there until the process ends. */
const char *body_file(const struct model *model);

/* A session of @model on @device. NULL with the text in @error (512 bytes) when it is refused. */
struct accel_session *body_session(const struct model *model, const char *device, char *error);

/* Views for accel_session_run(). */
struct accel_tensor floats_of(float *data, int rank, const int64_t *dims);
struct accel_tensor ints_of(int64_t *data, int rank, const int64_t *dims);

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

#endif
