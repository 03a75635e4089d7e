/* SPDX-License-Identifier: MIT */
/* See model.h. */
#include "tests/unit/graph/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void *model_alloc(struct model *model, size_t size)
{
	void *memory = calloc(1, size ? size : 1);

	assert_non_null(memory);
	assert_true(model->count < sizeof(model->memory) / sizeof(model->memory[0]));
	model->memory[model->count++] = memory;
	return memory;
}

static char *copy(struct model *model, const char *text)
{
	char *copied = model_alloc(model, strlen(text) + 1);

	return strcpy(copied, text);
}

void model_init(struct model *model)
{
	model->count = 0;
	onnx__model_proto__init(&model->proto);
	model->proto.has_ir_version = 1;
	model->proto.ir_version = 8;
	model->proto.graph = model_alloc(model, sizeof(*model->proto.graph));
	onnx__graph_proto__init(model->proto.graph);
	model->proto.graph->name = copy(model, "g");
	model_opset(model, "", 17);
}

void model_finish(struct model *model)
{
	while (model->count)
		free(model->memory[--model->count]);
}

void model_opset(struct model *model, const char *domain, int64_t version)
{
	Onnx__OperatorSetIdProto *set = model_alloc(model, sizeof(*set));

	onnx__operator_set_id_proto__init(set);
	set->domain = copy(model, domain);
	set->has_version = 1;
	set->version = version;
	MODEL_APPEND(model, model->proto.opset_import, model->proto.n_opset_import, set);
}

Onnx__ValueInfoProto *model_value(struct model *model, const char *name, int type, size_t rank, const int64_t *dims)
{
	Onnx__ValueInfoProto *info = model_alloc(model, sizeof(*info));
	Onnx__TypeProto *proto = model_alloc(model, sizeof(*proto));
	Onnx__TypeProto__Tensor *tensor = model_alloc(model, sizeof(*tensor));
	Onnx__TensorShapeProto *shape = model_alloc(model, sizeof(*shape));

	onnx__value_info_proto__init(info);
	onnx__type_proto__init(proto);
	onnx__type_proto__tensor__init(tensor);
	onnx__tensor_shape_proto__init(shape);
	info->name = copy(model, name);
	info->type = proto;
	proto->tensor_type = tensor;
	tensor->has_elem_type = 1;
	tensor->elem_type = type;
	tensor->shape = shape;
	for (size_t d = 0; d < rank; d++) {
		Onnx__TensorShapeProto__Dimension *dim = model_alloc(model, sizeof(*dim));

		onnx__tensor_shape_proto__dimension__init(dim);
		dim->has_dim_value = 1;
		dim->dim_value = dims[d];
		MODEL_APPEND(model, shape->dim, shape->n_dim, dim);
	}
	return info;
}

void model_input(struct model *model, const char *name, int type, size_t rank, const int64_t *dims)
{
	MODEL_APPEND(model, model->proto.graph->input, model->proto.graph->n_input,
		     model_value(model, name, type, rank, dims));
}

void model_output(struct model *model, const char *name)
{
	Onnx__ValueInfoProto *info = model_alloc(model, sizeof(*info));

	onnx__value_info_proto__init(info);
	info->name = copy(model, name);
	MODEL_APPEND(model, model->proto.graph->output, model->proto.graph->n_output, info);
}

static Onnx__TensorProto *make_tensor(struct model *model, const char *name, int type, size_t rank, const int64_t *dims)
{
	Onnx__TensorProto *tensor = model_alloc(model, sizeof(*tensor));

	onnx__tensor_proto__init(tensor);
	tensor->name = copy(model, name);
	tensor->has_data_type = 1;
	tensor->data_type = type;
	tensor->n_dims = rank;
	tensor->dims = model_alloc(model, rank * sizeof(*dims));
	if (rank)
		memcpy(tensor->dims, dims, rank * sizeof(*dims));
	return tensor;
}

Onnx__TensorProto *model_floats(struct model *model, const char *name, size_t rank, const int64_t *dims, size_t count,
				const float *values)
{
	Onnx__TensorProto *tensor = make_tensor(model, name, 1, rank, dims);

	tensor->n_float_data = count;
	tensor->float_data = model_alloc(model, count * sizeof(float));
	if (count)
		memcpy(tensor->float_data, values, count * sizeof(float));
	return tensor;
}

Onnx__TensorProto *model_ints(struct model *model, const char *name, size_t rank, const int64_t *dims, size_t count,
			      const int64_t *values)
{
	Onnx__TensorProto *tensor = make_tensor(model, name, 7, rank, dims);

	tensor->n_int64_data = count;
	tensor->int64_data = model_alloc(model, count * sizeof(int64_t));
	memcpy(tensor->int64_data, values, count * sizeof(int64_t));
	return tensor;
}

void model_initializer(struct model *model, Onnx__TensorProto *tensor)
{
	MODEL_APPEND(model, model->proto.graph->initializer, model->proto.graph->n_initializer, tensor);
}

Onnx__NodeProto *model_make_node(struct model *model, const char *op_type, const char *const *inputs,
				 const char *const *outputs)
{
	Onnx__NodeProto *node = model_alloc(model, sizeof(*node));

	onnx__node_proto__init(node);
	node->op_type = copy(model, op_type);
	for (; *inputs; inputs++)
		MODEL_APPEND(model, node->input, node->n_input, copy(model, *inputs));
	for (; *outputs; outputs++)
		MODEL_APPEND(model, node->output, node->n_output, copy(model, *outputs));
	return node;
}

Onnx__NodeProto *model_node(struct model *model, const char *op_type, const char *const *inputs,
			    const char *const *outputs)
{
	Onnx__NodeProto *node = model_make_node(model, op_type, inputs, outputs);

	MODEL_APPEND(model, model->proto.graph->node, model->proto.graph->n_node, node);
	return node;
}

Onnx__AttributeProto *model_attribute(struct model *model, Onnx__NodeProto *node, const char *name, int type)
{
	Onnx__AttributeProto *attribute = model_alloc(model, sizeof(*attribute));

	onnx__attribute_proto__init(attribute);
	attribute->name = copy(model, name);
	attribute->has_type = type != 0;
	attribute->type = type;
	MODEL_APPEND(model, node->attribute, node->n_attribute, attribute);
	return attribute;
}

uint8_t *model_pack(const struct model *model, size_t *size)
{
	uint8_t *bytes;

	*size = onnx__model_proto__get_packed_size(&model->proto);
	bytes = malloc(*size);
	assert_non_null(bytes);
	onnx__model_proto__pack(&model->proto, bytes);
	return bytes;
}
