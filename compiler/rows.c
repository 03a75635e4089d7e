/* SPDX-License-Identifier: MIT */
/*
 * Do the rows of a model's inputs go through it side by side (compile_check_rows())?
 *
 * Every value is one of three kinds: FREE of the inputs; SIZES, which depend on their shapes alone; ROWS, whose row i (of the first
 * dimension) is made of row i of the inputs. The kinds follow from the graph as it was imported. Then it gets two numbers of rows, one
 * after the other: a first dimension that is both times the number is that of the rows. Each node that has ROWS must be one of a table,
 * in the form that its rule wants. What is in no table is refused: to be wrong here is to mix up two requests.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/compiler.h"
#include "compiler/graph/passes.h"
#include "compiler/onnx/import.h"
#include "runtime/fail.h"

enum kind { FREE, SIZES, ROWS };

/* @count: of rows; @kinds: by value, of those that the graph had when it was imported; @num_kinds of them */
struct rows {
	struct graph *graph;
	int64_t count;
	uint8_t *kinds;
	size_t num_kinds;
};

static enum kind kind_of(const struct rows *rows, const struct graph_value *value)
{
	return value && (size_t)value->id < rows->num_kinds ? rows->kinds[value->id] : FREE;
}

static bool has_rows(const struct rows *rows, const struct graph_value *value)
{
	return value && kind_of(rows, value) == ROWS && value->rank > 0 && value->dims[0] == rows->count;
}

/* All inputs from @first on. */
static bool rest_is_free(const struct rows *rows, const struct graph_node *node, size_t first)
{
	for (size_t i = first; i < node->num_inputs; i++)
		if (kind_of(rows, node->inputs[i]) != FREE)
			return false;
	return true;
}

static int64_t attr_int(const struct graph_node *node, const char *name, int64_t fallback)
{
	const struct op_node op = graph_op_node(node);

	return op_attr_int(&op, name, fallback);
}

/* ---- rules: is row i of the outputs made of row i of the inputs? Outputs have as many already. ---- */

/* By broadcasting: what has rows has as many dimensions as the output; what has not says the same to all rows. */
static bool is_by_element(const struct rows *rows, const struct graph_node *node)
{
	int rank = node->outputs[0]->rank;

	for (size_t i = 0; i < node->num_inputs; i++) {
		const struct graph_value *in = node->inputs[i];

		if (!in)
			continue;
		if (has_rows(rows, in) ? in->rank != rank
				       : kind_of(rows, in) != FREE || in->rank < 0 || in->rank > rank ||
						 (in->rank == rank && in->dims[0] != 1))
			return false;
	}
	return true;
}

/* Input 0 is a list of images, sentences, …; the others are weights. A second output of MaxPool counts through all of them. */
static bool is_of_first(const struct rows *rows, const struct graph_node *node)
{
	return has_rows(rows, node->inputs[0]) && rest_is_free(rows, node, 1) && node->num_outputs == 1;
}

/* One that trains takes statistics of all rows; before version 7 that was the default. */
static bool is_normalization(const struct rows *rows, const struct graph_node *node)
{
	return is_of_first(rows, node) && node->opset >= 7 && !attr_int(node, "training_mode", 0);
}

/* Along an axis that is not that of the rows; every axis behind it in versions that flatten. */
static bool is_along(const struct rows *rows, const struct graph_node *node, int64_t fallback)
{
	int64_t axis = attr_int(node, "axis", fallback);

	if (!has_rows(rows, node->inputs[0]))
		return false;
	return (axis < 0 ? axis + node->inputs[0]->rank : axis) > 0;
}

static bool is_softmax(const struct rows *rows, const struct graph_node *node)
{
	return is_along(rows, node, node->opset < 13 ? 1 : -1);
}

static bool is_layer_norm(const struct rows *rows, const struct graph_node *node)
{
	return is_along(rows, node, -1) && rest_is_free(rows, node, 1);
}

static bool is_split(const struct rows *rows, const struct graph_node *node)
{
	return is_along(rows, node, 0) && rest_is_free(rows, node, 1);
}

static bool is_concat(const struct rows *rows, const struct graph_node *node)
{
	for (size_t i = 0; i < node->num_inputs; i++)
		if (!has_rows(rows, node->inputs[i]))
			return false;
	return is_along(rows, node, 1);
}

/* Row-major, and as many rows: each has the same bytes. The new shape may come from the number of rows. */
static bool is_reshape(const struct rows *rows, const struct graph_node *node)
{
	return has_rows(rows, node->inputs[0]) && kind_of(rows, node->num_inputs > 1 ? node->inputs[1] : NULL) != ROWS;
}

static bool is_transpose(const struct rows *rows, const struct graph_node *node)
{
	const struct op_node op = graph_op_node(node);
	const int64_t *order;

	return has_rows(rows, node->inputs[0]) && op_attr_ints(&op, "perm", &order) && order[0] == 0;
}

/* Rows of a table by numbers of the input; or columns of every row. */
static bool is_gather(const struct rows *rows, const struct graph_node *node)
{
	if (kind_of(rows, node->inputs[0]) == FREE)
		return has_rows(rows, node->inputs[1]) && !attr_int(node, "axis", 0);
	return kind_of(rows, node->inputs[1]) == FREE && is_along(rows, node, 0);
}

/* Matrices: rows of A by one B, or as many pairs of them as there are rows. */
static bool is_matmul(const struct rows *rows, const struct graph_node *node)
{
	const struct graph_value *a = node->inputs[0], *b = node->inputs[1];

	if (has_rows(rows, a) && kind_of(rows, b) == FREE)
		return b->rank == 2 || (b->rank == 1 && a->rank > 1) || (b->rank == a->rank && b->dims[0] == 1) ||
		       (b->rank > 2 && b->rank < a->rank);
	return node->outputs[0]->rank > 2 && is_by_element(rows, node);
}

static bool is_gemm(const struct rows *rows, const struct graph_node *node)
{
	const struct graph_value *c = node->num_inputs > 2 ? node->inputs[2] : NULL;

	return is_of_first(rows, node) && !attr_int(node, "transA", 0) && (!c || c->rank < 2 || c->dims[0] == 1);
}

/* One scale for all, or one a channel. */
static bool is_scaled(const struct rows *rows, const struct graph_node *node)
{
	return is_of_first(rows, node) && node->num_inputs > 1 && node->inputs[1]->rank >= 0 &&
	       (node->inputs[1]->rank == 0 || attr_int(node, "axis", 1));
}

/* By constant scales, of which that of the rows is 1. A region of interest has one of its own for them. */
static bool is_resize(const struct rows *rows, const struct graph_node *node)
{
	const struct op_node op = graph_op_node(node);
	const struct graph_value *scales = node->num_inputs > 2 ? node->inputs[2] : node->inputs[1];

	return is_of_first(rows, node) && scales && scales->constant && tensor_count(scales->constant) > 0 &&
	       tensor_get_f64(scales->constant, 0) == 1 && !op_attr(&op, "axes") &&
	       !op_attr_is(&op, "coordinate_transformation_mode", "half_pixel", "tf_crop_and_resize");
}

/* By constants, of which those of the rows are 0. */
static bool is_pad(const struct rows *rows, const struct graph_node *node)
{
	const struct tensor *pads = node->num_inputs > 1 && node->inputs[1] ? node->inputs[1]->constant : NULL;

	return is_of_first(rows, node) && node->num_inputs < 4 && pads &&
	       tensor_count(pads) == 2 * (int64_t)node->inputs[0]->rank && !tensor_get_s64(pads, 0) &&
	       !tensor_get_s64(pads, node->inputs[0]->rank);
}

static bool is_dropout(const struct rows *rows, const struct graph_node *node)
{
	return has_rows(rows, node->inputs[0]) && rest_is_free(rows, node, 1) && !graph_node_is_random(node);
}

/* clang-format off */
static const char *const by_element[] = {
	"Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "Cast", "Ceil", "Celu", "Clip", "Cos", "Cosh", "Div",
	"Elu", "Equal", "Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "IsInf",
	"IsNaN", "LeakyRelu", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "PRelu",
	"Pow", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Sub", "Sum",
	"Tan", "Tanh", "ThresholdedRelu", "Where", "Xor", NULL};
/* The reductions: over the rows nothing of their number would be left. */
static const char *const of_first[] = {
	"AveragePool", "Conv", "ConvInteger", "ConvTranspose", "DepthToSpace", "GlobalAveragePool", "GlobalMaxPool",
	"InstanceNormalization", "LRN", "LpPool", "MatMulInteger", "MaxPool", "QLinearConv", "QLinearMatMul", "ReduceL1", "ReduceL2",
	"ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "SpaceToDepth", NULL};
static const char *const normalization[] = {"BatchNormalization", NULL};
static const char *const softmax[] = {"Softmax", "LogSoftmax", "Hardmax", NULL};
static const char *const layer_norm[] = {"LayerNormalization", NULL};
static const char *const split[] = {"Split", NULL};
static const char *const concat[] = {"Concat", NULL};
static const char *const reshape[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", NULL};
static const char *const transpose[] = {"Transpose", NULL};
static const char *const gather[] = {"Gather", NULL};
static const char *const matmul[] = {"MatMul", NULL};
static const char *const gemm[] = {"Gemm", NULL};
static const char *const scaled[] = {"QuantizeLinear", "DequantizeLinear", NULL};
static const char *const resize[] = {"Resize", NULL};
static const char *const pad[] = {"Pad", NULL};
static const char *const dropout[] = {"Dropout", NULL};

static const struct {
	const char *const *names;
	bool (*rule)(const struct rows *rows, const struct graph_node *node);
} rules[] = {
	{by_element, is_by_element}, {of_first, is_of_first},   {normalization, is_normalization}, {softmax, is_softmax},
	{layer_norm, is_layer_norm}, {split, is_split},         {concat, is_concat},               {reshape, is_reshape},
	{transpose, is_transpose},   {gather, is_gather},       {matmul, is_matmul},               {gemm, is_gemm},
	{scaled, is_scaled},         {dropout, is_dropout},       {resize, is_resize},         {pad, is_pad},
};
/* clang-format on */

static bool names(const char *const *list, const char *name)
{
	while (*list && strcmp(*list, name))
		list++;
	return *list;
}

static bool follows_a_rule(const struct rows *rows, const struct graph_node *node)
{
	if (*node->domain && strcmp(node->domain, "ai.onnx"))
		return false;
	for (size_t o = 0; o < node->num_outputs; o++)
		if (node->outputs[o] && !has_rows(rows, node->outputs[o]))
			return false;
	for (size_t r = 0; r < sizeof(rules) / sizeof(rules[0]); r++)
		if (names(rules[r].names, node->op_type))
			return rules[r].rule(rows, node);
	return false;
}

static int check_nodes(const struct rows *rows, char *error, size_t size)
{
	for (size_t n = 0; n < rows->graph->num_nodes; n++) {
		const struct graph_node *node = rows->graph->nodes[n];
		bool concerned = false;

		for (size_t i = 0; i < node->num_inputs; i++)
			concerned |= kind_of(rows, node->inputs[i]) == ROWS;
		if (concerned && !follows_a_rule(rows, node))
			return fail(error, size, -ENOTSUP,
				    "requests can not be joined: node %s (%s) may mix rows of its inputs", node->name,
				    node->op_type);
	}
	for (size_t i = 0; i < rows->graph->num_outputs; i++)
		if (!has_rows(rows, rows->graph->outputs[i]))
			return fail(error, size, -ENOTSUP,
				    "requests can not be joined: output %s has not a row for each of the inputs'",
				    rows->graph->outputs[i]->name);
	return 0;
}

/* ---- the inputs and the kinds ---- */

/* The one name that the first dimensions have, and no other; NULL with the reason in @error. */
static const char *symbol_of_rows(const struct graph *graph, char *error, size_t size)
{
	int64_t symbol = GRAPH_DIM_UNKNOWN;

	for (size_t i = 0; i < graph->num_inputs; i++) {
		const struct graph_value *input = graph->inputs[i];

		symbol = i ? symbol : input->rank > 0 ? input->dims[0] : GRAPH_DIM_UNKNOWN;
		if (symbol >= GRAPH_DIM_UNKNOWN || input->rank < 1 || input->dims[0] != symbol) {
			fail(error, size, -ENOTSUP,
			     "requests can not be joined: the first dimension of input %s has no name, or another one",
			     input->name);
			return NULL;
		}
		for (int d = 1; d < input->rank; d++)
			if (input->dims[d] == symbol) {
				fail(error, size, -ENOTSUP,
				     "requests can not be joined: dimension %d of input %s is that of the rows too", d,
				     input->name);
				return NULL;
			}
	}
	if (!graph->num_inputs)
		fail(error, size, -ENOTSUP, "requests can not be joined: the model has no inputs");
	return graph->num_inputs ? graph->symbols[-2 - symbol] : NULL;
}

static int find_kinds(struct rows *rows, char *error, size_t size)
{
	const struct graph *graph = rows->graph;

	rows->num_kinds = graph->num_values;
	rows->kinds = calloc(rows->num_kinds + 1, sizeof(*rows->kinds));
	if (!rows->kinds)
		return fail(error, size, -ENOMEM, "out of memory");
	for (size_t i = 0; i < graph->num_inputs; i++)
		rows->kinds[graph->inputs[i]->id] = ROWS;
	for (size_t n = 0; n < graph->num_nodes; n++) {
		const struct graph_node *node = graph->nodes[n];
		enum kind kind = FREE;

		if (graph_has_body(node))
			return fail(error, size, -ENOTSUP, "requests can not be joined: node %s (%s) has a body",
				    node->name, node->op_type);
		for (size_t i = 0; i < node->num_inputs; i++)
			kind = kind_of(rows, node->inputs[i]) > kind ? kind_of(rows, node->inputs[i]) : kind;
		if (kind == ROWS && (!strcmp(node->op_type, "Shape") || !strcmp(node->op_type, "Size")))
			kind = SIZES;
		for (size_t o = 0; o < node->num_outputs; o++)
			if (node->outputs[o])
				rows->kinds[node->outputs[o]->id] = (uint8_t)kind;
	}
	return 0;
}

static int check_graph(struct rows *rows, char *error, size_t size)
{
	const char *symbol = symbol_of_rows(rows->graph, error, size);
	int err = symbol ? find_kinds(rows, error, size) : -ENOTSUP;

	if (err)
		return err;
	graph_bind_symbol(rows->graph, symbol, rows->count);
	graph_bind_rest(rows->graph, 1);
	err = graph_infer(rows->graph, 0, error, size);
	/* A model that takes one row alone. */
	if (err == -EINVAL)
		return -ENOTSUP;
	return err ? err : check_nodes(rows, error, size);
}

static int check_count(const char *path, int64_t count, char *error, size_t size)
{
	struct rows rows = {.count = count};
	int err = onnx_import_file(path, &rows.graph, error, size);

	if (err)
		return err;
	err = check_graph(&rows, error, size);
	graph_destroy(rows.graph);
	free(rows.kinds);
	return err;
}

int compile_check_rows(const char *path, char *error, size_t error_size)
{
	int err = check_count(path, 2, error, error_size);

	return err ? err : check_count(path, 3, error, error_size);
}
