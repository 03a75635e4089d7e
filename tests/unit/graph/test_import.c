/* SPDX-License-Identifier: MIT */
/* The importer: what it reads, and how it says what is wrong with a model. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "compiler/onnx/import.h"
#include "tests/unit/graph/model.h"

static const int64_t two_by_three[] = {2, 3};

static int import(const struct model *model, const char *folder, struct graph **graph, char *error, size_t error_size)
{
	size_t size;
	uint8_t *bytes = model_pack(model, &size);
	int err = onnx_import_bytes(bytes, size, folder, graph, error, error_size);
	char reason[300];

	free(bytes);
	if (!err && graph_validate(*graph, reason, sizeof(reason)))
		fail_msg("imported, and not valid: %s", reason);
	return err;
}

/* The model is refused with @err, and the text has @says in it. */
static void refused(const struct model *model, int err, const char *says)
{
	struct graph *graph;
	char error[500] = "";
	int got = import(model, NULL, &graph, error, sizeof(error));

	if (!got)
		graph_destroy(graph);
	if (got != err || !strstr(error, says))
		fail_msg("%d '%s', expected %d and '%s'", got, error, err, says);
	assert_null(graph);
}

static struct graph *accepted(const struct model *model)
{
	struct graph *graph;
	char error[500] = "";

	if (import(model, NULL, &graph, error, sizeof(error)))
		fail_msg("refused: %s", error);
	return graph;
}

/* y = relu(x) */
static void simple(struct model *model)
{
	model_init(model);
	model_input(model, "x", 1, 2, two_by_three);
	model_node(model, "Relu", NAMES("x"), NAMES("y"));
	model_output(model, "y");
}

static void a_model_as_it_should_be(void **state)
{
	struct model model;
	struct graph *graph;

	(void)state;
	simple(&model);
	graph = accepted(&model);
	assert_int_equal(graph->num_nodes, 1);
	assert_string_equal(graph->nodes[0]->op_type, "Relu");
	assert_int_equal(graph->nodes[0]->opset, 17);
	assert_int_equal(graph->inputs[0]->rank, 2);
	graph_destroy(graph);
	model_finish(&model);
}

static void every_ir_version_from_3_and_none_before(void **state)
{
	(void)state;
	for (int64_t version = 1; version <= 20; version++) {
		struct model model;

		simple(&model);
		model.proto.ir_version = version;
		if (version < 3)
			refused(&model, -ENOTSUP, "IR version");
		else
			graph_destroy(accepted(&model));
		model_finish(&model);
	}
}

static void bytes_that_are_cut_off_anywhere(void **state)
{
	struct model model;
	uint8_t *bytes;
	size_t size;

	(void)state;
	simple(&model);
	model_initializer(&model, model_floats(&model, "w", 2, two_by_three, 6, (float[]){1, 2, 3, 4, 5, 6}));
	bytes = model_pack(&model, &size);
	for (size_t length = 0; length < size; length++) {
		uint8_t *copy = malloc(length + 1); /* a heap block of its own: reading beyond it is found */
		struct graph *graph;
		char error[300] = "";

		memcpy(copy, bytes, length);
		if (!onnx_import_bytes(copy, length, NULL, &graph, error, sizeof(error)))
			graph_destroy(graph); /* cut at the end of a field: a smaller model */
		else
			assert_true(strlen(error) > 5);
		free(copy);
	}
	free(bytes);
	model_finish(&model);
}

static void graphs_that_break_the_rules(void **state)
{
	struct model model;

	(void)state;
	model_init(&model);
	model.proto.graph = NULL;
	refused(&model, -EINVAL, "no graph");
	model_finish(&model);

	simple(&model);
	model.proto.n_opset_import = 0;
	refused(&model, -EINVAL, "no operator set");
	model_finish(&model);

	simple(&model);
	model.proto.opset_import[0]->version = 0;
	refused(&model, -EINVAL, "version 0");
	model_finish(&model);

	simple(&model);
	model_output(&model, "nowhere");
	refused(&model, -EINVAL, "'nowhere'");
	model_finish(&model);

	simple(&model);
	model_node(&model, "Add", NAMES("y", "missing"), NAMES("z"));
	refused(&model, -EINVAL, "missing");
	model_finish(&model);

	simple(&model);
	model_node(&model, "Neg", NAMES("x"), NAMES("y"));
	refused(&model, -EINVAL, "y is written a second time");
	model_finish(&model);

	simple(&model);
	model_node(&model, "Split", NAMES("x"), NAMES("a", "a"));
	refused(&model, -EINVAL, "written twice");
	model_finish(&model);

	simple(&model);
	model_node(&model, "Neg", NAMES("x"), NAMES("x"));
	refused(&model, -EINVAL, "x is written a second time");
	model_finish(&model);

	simple(&model);
	model_node(&model, "Add", NAMES("x", "b"), NAMES("a"));
	model_node(&model, "Neg", NAMES("a"), NAMES("b"));
	refused(&model, -EINVAL, "cycle");
	model_finish(&model);

	simple(&model);
	model_node(&model, "", NAMES("x"), NAMES("z"));
	refused(&model, -EINVAL, "no operator");
	model_finish(&model);

	simple(&model);
	model_input(&model, "x", 1, 2, two_by_three);
	refused(&model, -EINVAL, "'x'");
	model_finish(&model);

	simple(&model);
	model_input(&model, "q", 99, 2, two_by_three);
	refused(&model, -EINVAL, "element type 99");
	model_finish(&model);
}

static Onnx__GraphProto *add_branch(struct model *model, Onnx__NodeProto *node, const char *name, const char *captured)
{
	Onnx__AttributeProto *branch = model_attribute(model, node, name, 5);
	Onnx__ValueInfoProto *out = model_value(model, "inner", 1, 2, two_by_three);

	branch->g = model_alloc(model, sizeof(*branch->g));
	onnx__graph_proto__init(branch->g);
	MODEL_APPEND(model, branch->g->node, branch->g->n_node,
		     model_make_node(model, "Neg", NAMES(captured), NAMES("inner")));
	MODEL_APPEND(model, branch->g->output, branch->g->n_output, out);
	return branch->g;
}

/* The branches of an If, each one node over @captured; returns the first. */
static Onnx__GraphProto *branch_of(struct model *model, Onnx__NodeProto *node, const char *captured)
{
	add_branch(model, node, "else_branch", captured);
	return add_branch(model, node, "then_branch", captured);
}

static void subgraphs_are_graphs_that_capture_names(void **state)
{
	struct model model;
	struct graph *graph;
	const struct graph_node *node = NULL;
	const struct graph *inner;

	(void)state;
	simple(&model);
	branch_of(&model, model_node(&model, "If", NAMES("x"), NAMES("z")), "y");
	model_output(&model, "z");
	graph = accepted(&model);
	for (size_t n = 0; n < graph->num_nodes; n++)
		if (!strcmp(graph->nodes[n]->op_type, "If"))
			node = graph->nodes[n];
	assert_non_null(node);
	assert_int_equal(node->attrs[0].type, ATTR_GRAPH);
	inner = node->attrs[0].graph;
	assert_ptr_equal(inner->outer, graph);
	assert_int_equal(inner->num_nodes, 1);
	assert_int_equal(inner->nodes[0]->opset, 17);
	assert_null(graph_find_value(inner, "y")->producer);
	graph_destroy(graph);
	model_finish(&model);

	simple(&model);
	branch_of(&model, model_node(&model, "If", NAMES("x"), NAMES("z")), "nobody");
	refused(&model, -EINVAL, "nobody");
	model_finish(&model);

	simple(&model);
	model_attribute(&model, model_node(&model, "If", NAMES("x"), NAMES("z")), "then_branch", 5);
	refused(&model, -EINVAL, "has no graph");
	model_finish(&model);
}

static void subgraphs_nest_so_deep_and_no_deeper(void **state)
{
	struct model model;
	Onnx__GraphProto *graph;
	Onnx__NodeProto *node;

	(void)state;
	simple(&model);
	node = model_node(&model, "If", NAMES("x"), NAMES("z"));
	for (int depth = 0; depth < 40; depth++) {
		graph = branch_of(&model, node, "y");
		node = model_make_node(&model, "If", NAMES("x"), NAMES("other"));
		MODEL_APPEND(&model, graph->node, graph->n_node, node);
	}
	branch_of(&model, node, "y");
	refused(&model, -ENOTSUP, "nest deeper");
	model_finish(&model);
}

static void initializers_are_checked(void **state)
{
	static const int64_t negative[] = {-2, 3}, huge[] = {1ll << 40, 1ll << 40}, large[] = {1ll << 33};
	static const float values[] = {1, 2, 3, 4, 5, 6};
	static const struct {
		const int64_t *dims;
		size_t rank, count;
		const char *says;
	} bad[] = {{negative, 2, 6, "negative"},
		   {huge, 2, 6, "too large"},
		   {large, 1, 6, "the shape needs 8589934592"},
		   {two_by_three, 2, 5, "5 values"}};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct model model;

		simple(&model);
		model_initializer(&model, model_floats(&model, "w", bad[i].rank, bad[i].dims, bad[i].count, values));
		refused(&model, -EINVAL, bad[i].says);
		model_finish(&model);
	}
}

static void an_initializer_that_is_an_input_too_is_a_constant(void **state)
{
	struct model model;
	struct graph *graph;

	(void)state;
	simple(&model);
	model_input(&model, "w", 1, 2, two_by_three);
	model_initializer(&model, model_floats(&model, "w", 2, two_by_three, 6, (float[]){1, 2, 3, 4, 5, 6}));
	model_node(&model, "Add", NAMES("y", "w"), NAMES("z"));
	model_output(&model, "z");
	graph = accepted(&model);
	assert_int_equal(graph->num_inputs, 1);
	assert_non_null(graph_find_value(graph, "w")->constant);
	graph_destroy(graph);
	model_finish(&model);
}

/* ---- sparse initializers ---- */

static Onnx__SparseTensorProto *sparse(struct model *model, Onnx__TensorProto *values, Onnx__TensorProto *indices)
{
	Onnx__SparseTensorProto *proto = model_alloc(model, sizeof(*proto));

	onnx__sparse_tensor_proto__init(proto);
	proto->values = values;
	proto->indices = indices;
	proto->n_dims = 2;
	proto->dims = model_alloc(model, sizeof(two_by_three));
	memcpy(proto->dims, two_by_three, sizeof(two_by_three));
	MODEL_APPEND(model, model->proto.graph->sparse_initializer, model->proto.graph->n_sparse_initializer, proto);
	return proto;
}

static void sparse_initializers_become_dense(void **state)
{
	static const int64_t two[] = {2}, two_by_two[] = {2, 2}, linear[] = {1, 5}, pairs[] = {0, 1, 1, 2},
			     outside[] = {1, 6};
	static const float values[] = {7, 9}, expected[] = {0, 7, 0, 0, 0, 9};

	(void)state;
	for (int form = 0; form < 2; form++) {
		struct model model;
		struct graph *graph;

		simple(&model);
		sparse(&model, model_floats(&model, "w", 1, two, 2, values),
		       form ? model_ints(&model, "", 2, two_by_two, 4, pairs)
			    : model_ints(&model, "", 1, two, 2, linear));
		model_node(&model, "Add", NAMES("y", "w"), NAMES("z"));
		model_output(&model, "z");
		graph = accepted(&model);
		assert_memory_equal(graph_find_value(graph, "w")->constant->data, expected, sizeof(expected));
		graph_destroy(graph);
		model_finish(&model);
	}
	{
		struct model model;

		simple(&model);
		sparse(&model, model_floats(&model, "w", 1, two, 2, values),
		       model_ints(&model, "", 1, two, 2, outside));
		refused(&model, -EINVAL, "outside");
		model_finish(&model);
		simple(&model);
		sparse(&model, model_floats(&model, "w", 1, two, 2, values),
		       model_ints(&model, "", 2, two_by_three, 6, (int64_t[6]){0}));
		refused(&model, -EINVAL, "do not fit");
		model_finish(&model);
		simple(&model);
		sparse(&model, model_floats(&model, "w", 1, two, 2, values), NULL);
		refused(&model, -EINVAL, "without values or indices");
		model_finish(&model);
	}
}

/* ---- functions ---- */

static Onnx__FunctionProto *function(struct model *model, const char *name, const char *const *inputs,
				     const char *const *outputs)
{
	Onnx__FunctionProto *proto = model_alloc(model, sizeof(*proto));
	Onnx__NodeProto *lists = model_make_node(model, name, inputs, outputs);

	onnx__function_proto__init(proto);
	proto->name = lists->op_type;
	proto->domain = (char *)"local";
	proto->n_input = lists->n_input;
	proto->input = lists->input;
	proto->n_output = lists->n_output;
	proto->output = lists->output;
	proto->n_opset_import = model->proto.n_opset_import;
	proto->opset_import = model->proto.opset_import;
	MODEL_APPEND(model, model->proto.functions, model->proto.n_functions, proto);
	return proto;
}

static void body(struct model *model, Onnx__FunctionProto *proto, Onnx__NodeProto *node)
{
	MODEL_APPEND(model, proto->node, proto->n_node, node);
}

static Onnx__NodeProto *call(struct model *model, Onnx__NodeProto *node)
{
	(void)model;
	node->domain = (char *)"local";
	return node;
}

static void functions_are_put_in_the_place_of_their_calls(void **state)
{
	struct model model;
	struct graph *graph;
	Onnx__FunctionProto *twice, *outer;
	Onnx__NodeProto *leaky;

	(void)state;
	simple(&model);
	model_opset(&model, "local", 1);
	/* twice(a) = { t = leaky(a; alpha = slope); b = t + t }, outer(p) = twice(twice(p; slope = mine)) */
	twice = function(&model, "twice", NAMES("a"), NAMES("b"));
	leaky = model_make_node(&model, "LeakyRelu", NAMES("a"), NAMES("t"));
	model_attribute(&model, leaky, "alpha", 1)->ref_attr_name = (char *)"slope";
	MODEL_APPEND(&model, twice->attribute, twice->n_attribute, (char *)"slope");
	body(&model, twice, leaky);
	body(&model, twice, model_make_node(&model, "Add", NAMES("t", "t"), NAMES("b")));
	outer = function(&model, "outer", NAMES("p"), NAMES("q"));
	MODEL_APPEND(&model, outer->attribute, outer->n_attribute, (char *)"mine");
	body(&model, outer, call(&model, model_make_node(&model, "twice", NAMES("p"), NAMES("m"))));
	model_attribute(&model, outer->node[0], "slope", 1)->ref_attr_name = (char *)"mine";
	body(&model, outer, call(&model, model_make_node(&model, "twice", NAMES("m"), NAMES("q"))));
	for (int i = 0; i < 2; i++) {
		const char *in = i ? "z0" : "y", *out = i ? "z1" : "z0";
		Onnx__AttributeProto *mine = model_attribute(
			&model, call(&model, model_node(&model, "outer", NAMES(in), NAMES(out))), "mine", 1);

		mine->has_f = 1;
		mine->f = i ? 0.5f : 0.25f;
	}
	model_output(&model, "z1");
	graph = accepted(&model);
	assert_int_equal(graph->num_nodes, 1 + 2 * 4);
	for (size_t n = 0, seen = 0; n < graph->num_nodes; n++) {
		if (strcmp(graph->nodes[n]->op_type, "LeakyRelu"))
			continue;
		/* The inner call of each pair has the outer's value, the other leaves the attribute out. */
		assert_int_equal(graph->nodes[n]->num_attrs, seen % 2 ? 0 : 1);
		if (!(seen % 2))
			assert_true(graph->nodes[n]->attrs[0].f == (seen ? 0.5f : 0.25f));
		seen++;
	}
	graph_destroy(graph);
	model_finish(&model);
}

static void functions_that_call_themselves(void **state)
{
	struct model model;
	Onnx__FunctionProto *loop;

	(void)state;
	simple(&model);
	model_opset(&model, "local", 1);
	loop = function(&model, "loop", NAMES("a"), NAMES("b"));
	body(&model, loop, call(&model, model_make_node(&model, "loop", NAMES("a"), NAMES("m"))));
	body(&model, loop, call(&model, model_make_node(&model, "loop", NAMES("m"), NAMES("b"))));
	call(&model, model_node(&model, "loop", NAMES("y"), NAMES("z")));
	refused(&model, -EINVAL, "calls itself");
	model_finish(&model);
}

static void calls_that_multiply_are_bounded(void **state)
{
	struct model model;
	static const char *const others[] = {"c", "d", "e"};
	char name[2][8];

	(void)state;
	simple(&model);
	model_opset(&model, "local", 1);
	for (int i = 0; i < 24; i++) { /* each calls the one before four times */
		Onnx__FunctionProto *f;

		snprintf(name[0], sizeof(name[0]), "f%d", i);
		snprintf(name[1], sizeof(name[1]), "f%d", i - 1);
		f = function(&model, name[0], NAMES("a"), NAMES("b"));
		for (int k = 0; k < 4; k++)
			body(&model, f,
			     i ? call(&model,
				      model_make_node(&model, name[1], NAMES("a"), NAMES(k ? others[k - 1] : "b")))
			       : model_make_node(&model, "Neg", NAMES("a"), NAMES(k ? others[k - 1] : "b")));
	}
	call(&model, model_node(&model, "f23", NAMES("y"), NAMES("z")));
	refused(&model, -ENOTSUP, "more than");
	model_finish(&model);
}

/* @node is of a domain that the standard knows nothing of: it may have any attribute. */
static Onnx__NodeProto *foreign(struct model *model, Onnx__NodeProto *node)
{
	model_opset(model, "com.example", 1);
	node->domain = (char *)"com.example";
	return node;
}

static void strings_as_attributes(void **state)
{
	struct model model;
	struct graph *graph;
	Onnx__AttributeProto *list;

	(void)state;
	simple(&model);
	list = model_attribute(&model, foreign(&model, model_node(&model, "Neg", NAMES("y"), NAMES("z"))), "names", 8);
	list->n_strings = 2;
	list->strings = model_alloc(&model, 2 * sizeof(*list->strings));
	list->strings[1] = (ProtobufCBinaryData){5, (uint8_t *)"ab\0cd"};
	model_output(&model, "z");
	graph = accepted(&model);
	for (size_t n = 0; n < graph->num_nodes; n++)
		if (graph->nodes[n]->num_attrs) {
			assert_int_equal(graph->nodes[n]->attrs[0].count, 2);
			assert_int_equal(graph->nodes[n]->attrs[0].strings[1].size, 5);
			assert_memory_equal(graph->nodes[n]->attrs[0].strings[1].data, "ab\0cd", 5);
		}
	graph_destroy(graph);
	model_finish(&model);
}

/* A string of any bytes, a list of tensors, a sparse tensor that becomes dense; and each of them without its content. */
static void tensors_and_bytes_as_attributes(void **state)
{
	static const int64_t two[] = {2}, three[] = {3}, at[] = {0, 2};
	static const float values[] = {7, 9}, dense[] = {7, 0, 9};
	Onnx__SparseTensorProto sparse_value = ONNX__SPARSE_TENSOR_PROTO__INIT;
	Onnx__AttributeProto *attribute;
	struct model model;
	struct graph *graph;
	const struct attr *attr;

	(void)state;
	simple(&model);
	attribute = model_attribute(&model, foreign(&model, model.proto.graph->node[0]), "bytes", ATTR_STRING);
	attribute->has_s = 1;
	attribute->s = (ProtobufCBinaryData){4, (uint8_t *)"a\0\xff"
							   "b"};
	attribute = model_attribute(&model, model.proto.graph->node[0], "list", ATTR_TENSORS);
	for (int i = 0; i < 3; i++)
		MODEL_APPEND(&model, attribute->tensors, attribute->n_tensors,
			     model_floats(&model, "", 1, two, 2, values));
	sparse_value.values = model_floats(&model, "", 1, two, 2, values);
	sparse_value.indices = model_ints(&model, "", 1, two, 2, at);
	sparse_value.n_dims = 1;
	sparse_value.dims = (int64_t *)(uintptr_t)three;
	attribute = model_attribute(&model, model_node(&model, "Constant", NAMES(NULL), NAMES("z")), "sparse_value",
				    ATTR_SPARSE_TENSOR);
	attribute->sparse_tensor = &sparse_value;
	graph = accepted(&model);
	attr = &graph->nodes[0]->attrs[0];
	assert_int_equal(attr->s.size, 4);
	assert_memory_equal(attr->s.data,
			    "a\0\xff"
			    "b",
			    4);
	attr = &graph->nodes[0]->attrs[1];
	assert_int_equal(attr->type, ATTR_TENSORS);
	assert_int_equal(attr->count, 3);
	for (int i = 0; i < 3; i++)
		assert_memory_equal(attr->tensor[i].data, values, sizeof(values));
	attr = &graph->nodes[1]->attrs[0];
	assert_int_equal(attr->type, ATTR_TENSOR);
	assert_memory_equal(attr->tensor->data, dense, sizeof(dense));
	graph_destroy(graph);

	attribute->sparse_tensor = NULL;
	refused(&model, -EINVAL, "attribute sparse_value has no sparse_tensor");
	attribute->type = ATTR_TENSOR;
	refused(&model, -EINVAL, "attribute sparse_value has no tensor");
	attribute->sparse_tensor = &sparse_value;
	attribute->type = ATTR_SPARSE_TENSOR;
	sparse_value.indices->int64_data[1] = 3;
	refused(&model, -EINVAL, "attribute sparse_value: entry 1 lies outside the dimensions");
	sparse_value.indices->int64_data[1] = 2;
	model.proto.graph->node[0]->attribute[1]->tensors[2]->n_float_data = 1;
	refused(&model, -EINVAL, "attribute list: 1 values");
	model_finish(&model);
}

static void an_attribute_that_is_given_twice(void **state)
{
	struct model model;
	Onnx__NodeProto *node;

	(void)state;
	simple(&model);
	node = model_node(&model, "LeakyRelu", NAMES("y"), NAMES("z"));
	model_attribute(&model, node, "alpha", 1);
	model_attribute(&model, node, "alpha", 1);
	refused(&model, -EINVAL, "given twice");
	model_finish(&model);
}

/* ---- external data ---- */

static void set_external(struct model *model, Onnx__TensorProto *tensor, const char *key, const char *value)
{
	Onnx__StringStringEntryProto *entry = model_alloc(model, sizeof(*entry));

	onnx__string_string_entry_proto__init(entry);
	entry->key = strcpy(model_alloc(model, strlen(key) + 1), key);
	entry->value = strcpy(model_alloc(model, strlen(value) + 1), value);
	MODEL_APPEND(model, tensor->external_data, tensor->n_external_data, entry);
}

static void external_data_stay_in_the_models_folder(void **state)
{
	static const float values[6] = {1, 2, 3, 4, 5, 6};
	static const struct {
		const char *location, *offset, *length;
		bool good;
	} cases[] = {
		{"data.bin", NULL, NULL, true},
		{"data.bin", "0", "24", true},
		{"data.bin", "8", "24", false},
		{"data.bin", "0", "20", false},
		{"data.bin", "-4", "24", false},
		{"data.bin", "99999999999999999999", "24", false},
		{"data.bin", "18446744073709551612", "24", false},
		{"data.bin", "x", "24", false},
		{"../data.bin", NULL, NULL, false},
		{"sub/../../data.bin", NULL, NULL, false},
		{"/etc/hostname", NULL, NULL, false},
		{"link.bin", NULL, NULL, false},
		{"missing.bin", NULL, NULL, false},
		{"", NULL, NULL, false},
	};
	char folder[] = "/tmp/axl-test-XXXXXX", path[100], outside[100];
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/inner", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/inner/data.bin", folder);
	file = fopen(path, "wb");
	assert_int_equal(fwrite(values, 1, sizeof(values), file), sizeof(values));
	fclose(file);
	snprintf(outside, sizeof(outside), "%s/data.bin", folder);
	assert_int_equal(link(path, outside), 0);
	snprintf(path, sizeof(path), "%s/inner/link.bin", folder);
	assert_int_equal(symlink("../data.bin", path), 0);
	snprintf(path, sizeof(path), "%s/inner", folder);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct model model;
		struct graph *graph;
		Onnx__TensorProto *tensor;
		char error[500] = "";
		int err;

		simple(&model);
		tensor = model_floats(&model, "w", 2, two_by_three, 0, values);
		tensor->has_data_location = 1;
		tensor->data_location = 1;
		set_external(&model, tensor, "location", cases[i].location);
		if (cases[i].offset)
			set_external(&model, tensor, "offset", cases[i].offset);
		if (cases[i].length)
			set_external(&model, tensor, "length", cases[i].length);
		model_initializer(&model, tensor);
		model_node(&model, "Add", NAMES("y", "w"), NAMES("z"));
		model_output(&model, "z");
		err = import(&model, path, &graph, error, sizeof(error));
		if (!err != cases[i].good)
			fail_msg("case %zu (%s): %d %s", i, cases[i].location, err, error);
		if (err) {
			assert_non_null(strstr(error, "initializer w"));
		} else {
			assert_memory_equal(graph_find_value(graph, "w")->constant->data, values, sizeof(values));
			graph_destroy(graph);
		}
		/* Without a folder there are none. */
		assert_int_not_equal(import(&model, NULL, &graph, error, sizeof(error)), 0);
		model_finish(&model);
	}
	snprintf(path, sizeof(path), "rm -r %s", folder);
	assert_int_equal(system(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_model_as_it_should_be),
		cmocka_unit_test(every_ir_version_from_3_and_none_before),
		cmocka_unit_test(bytes_that_are_cut_off_anywhere),
		cmocka_unit_test(graphs_that_break_the_rules),
		cmocka_unit_test(subgraphs_are_graphs_that_capture_names),
		cmocka_unit_test(subgraphs_nest_so_deep_and_no_deeper),
		cmocka_unit_test(initializers_are_checked),
		cmocka_unit_test(an_initializer_that_is_an_input_too_is_a_constant),
		cmocka_unit_test(sparse_initializers_become_dense),
		cmocka_unit_test(functions_are_put_in_the_place_of_their_calls),
		cmocka_unit_test(functions_that_call_themselves),
		cmocka_unit_test(calls_that_multiply_are_bounded),
		cmocka_unit_test(strings_as_attributes),
		cmocka_unit_test(tensors_and_bytes_as_attributes),
		cmocka_unit_test(an_attribute_that_is_given_twice),
		cmocka_unit_test(external_data_stay_in_the_models_folder),
	};

	return cmocka_run_group_tests_name("import", tests, NULL, NULL);
}
