/* SPDX-License-Identifier: MIT */
/* Types and shapes that a model states, against those that its operators give: the importer's and the compiler's own inference. */
#include <errno.h>
#include <string.h>

#include "compiler/graph/passes.h"
#include "compiler/onnx/check/checker.h"
#include "compiler/onnx/import.h"

/* Constants above this many bytes are not folded: shapes need the small ones only. */
#define FOLD_LIMIT 65536

static void compare(struct checker *checker, const struct check_scope *scope, const Onnx__ValueInfoProto *info,
		    const struct graph_value *value)
{
	const Onnx__TypeProto__Tensor *type = info->type ? info->type->tensor_type : NULL;
	const Onnx__TensorShapeProto *shape = type ? type->shape : NULL;

	if (!type || dtype_is_nested(value->dtype))
		return;
	if (value->dtype && check_element_type(type->elem_type) && (int)value->dtype != type->elem_type)
		check_found(checker, scope, RULE_TYPE_MISMATCH, info->name, "value %s is %s, the model states %s",
			    info->name, schema_element_name((int)value->dtype), schema_element_name(type->elem_type));
	if (!shape || value->rank < 0)
		return;
	if (shape->n_dim != (size_t)value->rank) {
		check_found(checker, scope, RULE_SHAPE_MISMATCH, info->name,
			    "value %s has rank %d, the model states %zu", info->name, value->rank, shape->n_dim);
		return;
	}
	for (int d = 0; d < value->rank; d++)
		if (shape->dim[d]->has_dim_value && value->dims[d] >= 0 && shape->dim[d]->dim_value != value->dims[d]) {
			check_found(checker, scope, RULE_SHAPE_MISMATCH, info->name,
				    "dimension %d of value %s is %lld, the model states %lld", d, info->name,
				    (long long)value->dims[d], (long long)shape->dim[d]->dim_value);
			return;
		}
}

static void compare_all(struct checker *checker, const struct check_scope *scope, const struct graph *graph,
			size_t count, Onnx__ValueInfoProto *const *infos)
{
	for (size_t i = 0; i < count; i++) {
		const struct graph_value *value = graph_find_value(graph, check_text(infos[i]->name));

		if (value && !value->is_input)
			compare(checker, scope, infos[i], value);
	}
}

void check_shapes(struct checker *checker, Onnx__ModelProto *model)
{
	const Onnx__GraphProto *proto = model->graph;
	char error[400] = "";
	struct graph *graph;
	struct check_scope scope;
	int err = onnx_import_message(model, checker->folder, &graph, error, sizeof(error));

	check_scope_init(checker, &scope, NULL, "main");
	if (err && err != -ENOTSUP)
		check_found(checker, NULL, RULE_IMPORT, "", "%s", error);
	if (err)
		return; /* what is not supported is no breach of a rule: who compiles the model says it */
	err = graph_infer(graph, FOLD_LIMIT, error, sizeof(error));
	if (err == -EINVAL)
		check_found(checker, &scope, RULE_SHAPE_INFERENCE, "", "%s", error);
	else if (err == -ENOMEM)
		checker->err = err;
	if (!err) {
		compare_all(checker, &scope, graph, proto->n_value_info, proto->value_info);
		compare_all(checker, &scope, graph, proto->n_output, proto->output);
	}
	graph_destroy(graph);
}
