/* SPDX-License-Identifier: MIT */
/* Tensors in the model, beside it, and sparse. See bad_models.h; all begin with the good model. */
#include "tests/unit/check/bad_build.h"

#include <string.h>

/* ---- tensors ---- */

static Onnx__TensorProto *weights(struct model *m)
{
	good_model(m);
	model_initializer(m, model_floats(m, "w", 2, two_by_three, 6, six_floats));
	return graph_of(m)->initializer[0];
}

static void negative_size(struct model *m)
{
	weights(m)->dims[1] = -3;
}

static void contents_in_another_field(struct model *m)
{
	weights(m)->data_type = INT64;
}

static void contents_in_two_fields(struct model *m)
{
	Onnx__TensorProto *w = weights(m);

	w->has_raw_data = 1;
	w->raw_data = (ProtobufCBinaryData){sizeof(six_floats), (uint8_t *)(uintptr_t)six_floats};
}

static void too_few_values(struct model *m)
{
	weights(m)->n_float_data = 5;
}

static void too_many_bytes(struct model *m)
{
	Onnx__TensorProto *w = weights(m);

	w->n_float_data = 0;
	w->has_raw_data = 1;
	w->raw_data = (ProtobufCBinaryData){sizeof(six_values), (uint8_t *)(uintptr_t)six_values};
}

static void initializer_that_is_no_input(struct model *m)
{
	weights(m);
	m->proto.ir_version = 3;
}

static void initializer_of_another_type(struct model *m)
{
	weights(m);
	model_input(m, "w", INT64, 2, two_by_three);
}

static void initializer_of_another_shape(struct model *m)
{
	weights(m);
	model_input(m, "w", FLOAT, 1, three);
}

static void int4_before_its_time(struct model *m)
{
	Onnx__TensorProto *w = weights(m);

	w->data_type = INT4;
	w->n_float_data = 0;
	w->n_int32_data = 3;
	w->int32_data = model_alloc(m, 3 * sizeof(*w->int32_data));
}

/* ---- external data ---- */

static void say(struct model *m, Onnx__TensorProto *tensor, const char *key, const char *value)
{
	Onnx__StringStringEntryProto *entry = model_alloc(m, sizeof(*entry));

	onnx__string_string_entry_proto__init(entry);
	entry->key = (char *)key;
	entry->value = (char *)value;
	MODEL_APPEND(m, tensor->external_data, tensor->n_external_data, entry);
}

static Onnx__TensorProto *external(struct model *m, const char *location)
{
	Onnx__TensorProto *w = weights(m);

	w->n_float_data = 0;
	w->has_data_location = 1;
	w->data_location = 1;
	if (location)
		say(m, w, "location", location);
	return w;
}

static void external_without_location(struct model *m)
{
	external(m, NULL);
}

static void external_above(struct model *m)
{
	external(m, "../inside.bin");
}

static void external_absolute(struct model *m)
{
	external(m, "/dev/zero");
}

static void external_by_a_link(struct model *m)
{
	external(m, "leads_out.bin");
}

static void external_that_is_not_there(struct model *m)
{
	external(m, "nothing.bin");
}

static void external_offset_of_letters(struct model *m)
{
	say(m, external(m, "inside.bin"), "offset", "ten");
}

static void external_past_the_end(struct model *m)
{
	say(m, external(m, "inside.bin"), "offset", "4");
}

static void external_of_another_length(struct model *m)
{
	say(m, external(m, "inside.bin"), "length", "20");
}

static void external_strings(struct model *m)
{
	external(m, "inside.bin")->data_type = 8;
}

/* ---- sparse tensors ---- */

static Onnx__SparseTensorProto *sparse(struct model *m, const int64_t *indices)
{
	Onnx__SparseTensorProto *tensor;

	good_model(m);
	tensor = model_alloc(m, sizeof(*tensor));
	onnx__sparse_tensor_proto__init(tensor);
	tensor->values = model_floats(m, "w", 1, three, 3, six_floats);
	tensor->indices = model_ints(m, "", 1, three, 3, indices);
	tensor->n_dims = 2;
	tensor->dims = (int64_t *)(uintptr_t)two_by_three;
	MODEL_APPEND(m, graph_of(m)->sparse_initializer, graph_of(m)->n_sparse_initializer, tensor);
	return tensor;
}

static void sparse_without_indices(struct model *m)
{
	sparse(m, six_values)->indices = NULL;
}

static void sparse_that_does_not_fit(struct model *m)
{
	Onnx__SparseTensorProto *tensor = sparse(m, six_values);

	tensor->indices = model_ints(m, "", 2, two_by_three, 6, six_values);
}

static void sparse_outside(struct model *m)
{
	static const int64_t indices[] = {0, 3, 6};

	sparse(m, indices);
}

static void sparse_in_disorder(struct model *m)
{
	static const int64_t indices[] = {3, 1, 2};

	sparse(m, indices);
}

const struct bad_model bad_tensor_models[] = {
	BAD(int4_before_its_time, "ir-feature", ""),
	BAD(negative_size, "tensor-dims", ""),
	BAD(contents_in_another_field, "tensor-field", ""),
	BAD(contents_in_two_fields, "tensor-field", ""),
	BAD(external_strings, "tensor-field", ""),
	BAD(too_few_values, "tensor-size", ""),
	BAD(too_many_bytes, "tensor-size", ""),
	BAD(external_of_another_length, "tensor-size", ""),
	BAD(initializer_that_is_no_input, "initializer-input", ""),
	BAD(initializer_of_another_type, "initializer-type", ""),
	BAD(initializer_of_another_shape, "initializer-type", ""),
	BAD(external_without_location, "external-location", ""),
	BAD(external_above, "external-data-outside", ""),
	BAD(external_absolute, "external-data-outside", ""),
	BAD(external_by_a_link, "external-data-outside", ""),
	BAD(external_that_is_not_there, "external-missing", ""),
	BAD(external_offset_of_letters, "external-number", ""),
	BAD(external_past_the_end, "external-range", ""),
	BAD(sparse_without_indices, "sparse-parts", ""),
	BAD(sparse_that_does_not_fit, "sparse-parts", ""),
	BAD(sparse_outside, "sparse-index", ""),
	BAD(sparse_in_disorder, "sparse-order", ""),
	{NULL},
};
