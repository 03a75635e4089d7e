/* SPDX-License-Identifier: MIT */
/* See body.h. */
#include "tests/unit/control/body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

Onnx__GraphProto *body_of(struct model *model, Onnx__NodeProto *node, const char *name)
{
	Onnx__GraphProto *graph = model_alloc(model, sizeof(*graph));

	onnx__graph_proto__init(graph);
	graph->name = (char *)(uintptr_t) "body";
	model_attribute(model, node, name, 5)->g = graph;
	return graph;
}

Onnx__NodeProto *body_node(struct model *model, Onnx__GraphProto *graph, const char *op_type, const char *const *inputs,
			   const char *const *outputs)
{
	Onnx__NodeProto *node = model_make_node(model, op_type, inputs, outputs);

	MODEL_APPEND(model, graph->node, graph->n_node, node);
	return node;
}

void body_input(struct model *model, Onnx__GraphProto *graph, const char *name, int type, int rank, const int64_t *dims)
{
	Onnx__ValueInfoProto *info = model_value(model, name, type, rank < 0 ? 0 : (size_t)rank, dims);

	if (rank < 0)
		info->type->tensor_type->shape = NULL;
	MODEL_APPEND(model, graph->input, graph->n_input, info);
}

void body_output(struct model *model, Onnx__GraphProto *graph, const char *name, int type)
{
	Onnx__ValueInfoProto *info = model_value(model, name, type, 0, NULL);

	info->type->tensor_type->shape = NULL;
	MODEL_APPEND(model, graph->output, graph->n_output, info);
}

void body_symbol(struct model *model, size_t input, size_t d, const char *symbol)
{
	Onnx__TensorShapeProto__Dimension *dim = model->proto.graph->input[input]->type->tensor_type->shape->dim[d];

	dim->has_dim_value = 0;
	dim->dim_param = (char *)(uintptr_t)symbol;
}

void body_int(struct model *model, Onnx__NodeProto *node, const char *name, int64_t value)
{
	Onnx__AttributeProto *attribute = model_attribute(model, node, name, 2);

	attribute->has_i = 1;
	attribute->i = value;
}

void body_text(struct model *model, Onnx__NodeProto *node, const char *name, const char *text)
{
	Onnx__AttributeProto *attribute = model_attribute(model, node, name, 3);

	attribute->has_s = 1;
	attribute->s = (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

void body_ints(struct model *model, Onnx__NodeProto *node, const char *name, size_t count, const int64_t *values)
{
	Onnx__AttributeProto *attribute = model_attribute(model, node, name, 7);

	attribute->n_ints = count;
	attribute->ints = model_alloc(model, count * sizeof(*values));
	memcpy(attribute->ints, values, count * sizeof(*values));
}

/* Sessions compile their models again when they meet other shapes: the files stay until the process ends. */
static char *paths[200];
static size_t num_paths;

static void remove_models(void)
{
	while (num_paths) {
		unlink(paths[--num_paths]);
		free(paths[num_paths]);
	}
}

const char *body_file(const struct model *model)
{
	char path[] = "/tmp/axl_control_XXXXXX.onnx";
	size_t size;
	uint8_t *bytes = model_pack(model, &size);
	int fd = mkstemps(path, 5);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	free(bytes);
	if (!num_paths)
		atexit(remove_models);
	assert_true(num_paths < sizeof(paths) / sizeof(paths[0]));
	paths[num_paths] = strdup(path);
	assert_non_null(paths[num_paths]);
	return paths[num_paths++];
}

struct accel_session *body_session(const struct model *model, const char *device, char *error)
{
	struct accel_session_options options = {.device = device, .threads = 2};
	struct accel_session *session = NULL;

	accel_session_create(body_file(model), &options, &session, error, 512);
	return session;
}

static struct accel_tensor view(int32_t dtype, void *data, size_t size, int rank, const int64_t *dims)
{
	struct accel_tensor tensor = {.dtype = dtype, .rank = rank, .data = data, .size = size};

	for (int d = 0; d < rank; d++) {
		tensor.dims[d] = dims[d];
		tensor.size *= (size_t)dims[d];
	}
	return tensor;
}

struct accel_tensor floats_of(float *data, int rank, const int64_t *dims)
{
	return view(FLOAT, data, sizeof(*data), rank, dims);
}

struct accel_tensor ints_of(int64_t *data, int rank, const int64_t *dims)
{
	return view(INT64, data, sizeof(*data), rank, dims);
}
