/* SPDX-License-Identifier: MIT */
/*
 * Nodes of older operator sets as those of a newer one; see onnx_upgrade() in export.h.
 *
 * Most new versions of an operator only take more types or more attributes with a default that means what was: those are
 * the rows of same[]. What changed its form has a rule. Source: ONNX, docs/Changelog.md.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/graph/passes.h"
#include "compiler/onnx/export.h"
#include "runtime/fail.h"
#include "compiler/onnx/schema/schema.h"

#define NO_END 1000

struct upgrade {
	struct graph *graph;
	int opset;
};

/* From version @from on, before @before, a node means in every later version what it meant. */
static const struct {
	const char *op_type;
	int from, before;
} same[] = {
	{"Abs", 6, NO_END},
	{"Acos", 7, NO_END},
	{"Add", 7, NO_END},
	{"And", 7, NO_END},
	{"ArgMax", 1, NO_END},
	{"ArgMin", 1, NO_END},
	{"Asin", 7, NO_END},
	{"Atan", 7, NO_END},
	{"AveragePool", 1, NO_END},
	{"BatchNormalization", 9, NO_END},
	{"Cast", 6, NO_END},
	{"Ceil", 6, NO_END},
	{"Clip", 11, NO_END},
	{"Concat", 4, NO_END},
	{"Constant", 1, NO_END},
	{"ConstantOfShape", 9, NO_END},
	{"Conv", 1, NO_END},
	{"ConvTranspose", 1, NO_END},
	{"Cos", 7, NO_END},
	{"DepthToSpace", 1, NO_END},
	{"DequantizeLinear", 10, NO_END},
	{"Div", 7, NO_END},
	{"Dropout", 12, NO_END},
	{"Elu", 6, NO_END},
	{"Equal", 7, NO_END},
	{"Erf", 9, NO_END},
	{"Exp", 6, NO_END},
	{"Expand", 8, NO_END},
	{"Flatten", 1, NO_END},
	{"Floor", 6, NO_END},
	{"GRU", 7, NO_END},
	{"Gather", 1, NO_END},
	{"GatherElements", 11, NO_END},
	{"Gemm", 7, NO_END},
	{"GlobalAveragePool", 1, NO_END},
	{"GlobalMaxPool", 1, NO_END},
	{"Greater", 7, NO_END},
	{"HardSigmoid", 6, NO_END},
	{"Identity", 1, NO_END},
	{"InstanceNormalization", 6, NO_END},
	{"LRN", 1, NO_END},
	{"LSTM", 7, NO_END},
	{"LeakyRelu", 6, NO_END},
	{"Less", 7, NO_END},
	{"Log", 6, NO_END},
	{"LogSoftmax", 13, NO_END},
	{"MatMul", 1, NO_END},
	{"Max", 8, NO_END},
	{"MaxPool", 1, NO_END},
	{"Mean", 8, NO_END},
	{"Min", 8, NO_END},
	{"Mul", 7, NO_END},
	{"Neg", 6, NO_END},
	{"Not", 1, NO_END},
	{"Or", 7, NO_END},
	{"PRelu", 7, NO_END},
	{"Pad", 11, NO_END},
	{"Pow", 7, NO_END},
	{"QLinearConv", 10, NO_END},
	{"QLinearMatMul", 10, NO_END},
	{"QuantizeLinear", 10, NO_END},
	{"Reciprocal", 6, NO_END},
	{"ReduceL1", 1, 18},
	{"ReduceL2", 1, 18},
	{"ReduceLogSum", 1, 18},
	{"ReduceLogSumExp", 1, 18},
	{"ReduceMax", 1, 18},
	{"ReduceMean", 1, 18},
	{"ReduceMin", 1, 18},
	{"ReduceProd", 1, 18},
	{"ReduceSum", 1, 13},
	{"ReduceSum", 13, NO_END},
	{"ReduceSumSquare", 1, 18},
	{"Relu", 6, NO_END},
	{"Reshape", 5, NO_END},
	{"Resize", 11, NO_END},
	{"Selu", 6, NO_END},
	{"Shape", 1, NO_END},
	{"Sigmoid", 6, NO_END},
	{"Sign", 9, NO_END},
	{"Sin", 7, NO_END},
	{"Size", 1, NO_END},
	{"Slice", 10, NO_END},
	{"Softmax", 13, NO_END},
	{"Softplus", 1, NO_END},
	{"Softsign", 1, NO_END},
	{"SpaceToDepth", 1, NO_END},
	{"Split", 2, 13},
	{"Split", 13, 18},
	{"Sqrt", 6, NO_END},
	{"Squeeze", 1, 13},
	{"Squeeze", 13, NO_END},
	{"Sub", 7, NO_END},
	{"Sum", 8, NO_END},
	{"Tanh", 6, NO_END},
	{"Tile", 6, NO_END},
	{"TopK", 11, NO_END},
	{"Transpose", 1, NO_END},
	{"Unsqueeze", 1, 13},
	{"Unsqueeze", 13, NO_END},
	{"Where", 9, NO_END},
	{"Xor", 7, NO_END},
};

/* ---- parts of rules ---- */

static void drop_attribute(struct graph_node *node, const char *name)
{
	for (size_t i = 0; i < node->num_attrs; i++)
		if (!strcmp(node->attrs[i].name, name)) {
			struct attr *attr = &node->attrs[i];

			free(attr->floats);
			free(attr->ints);
			memmove(attr, attr + 1, (--node->num_attrs - i) * sizeof(*attr));
			return;
		}
}

/* A node with @extra more inputs in the place of @node, which goes. */
static int add_inputs(struct upgrade *up, struct graph_node *node, size_t extra, struct graph_value *const *values)
{
	struct graph_value **inputs = calloc(node->num_inputs + extra + 1, sizeof(*inputs));
	struct graph_value **outputs = calloc(node->num_outputs + 1, sizeof(*outputs));
	struct graph_node *new = NULL;
	size_t num_outputs = node->num_outputs;

	if (inputs && outputs) {
		memcpy(inputs, node->inputs, node->num_inputs * sizeof(*inputs));
		memcpy(inputs + node->num_inputs, values, extra * sizeof(*inputs));
		memcpy(outputs, node->outputs, num_outputs * sizeof(*outputs));
		node->num_outputs = 0;
		new = graph_add_node(up->graph, node, node->domain, node->op_type, up->opset, node->name,
				     node->num_inputs + extra, inputs, num_outputs, outputs);
	}
	free(inputs);
	free(outputs);
	if (!new)
		return -ENOMEM;
	graph_take_place(new, node);
	return graph_remove_node(up->graph, node);
}

static struct graph_value *constant_ints(struct upgrade *up, size_t count, const int64_t *values)
{
	struct tensor tensor;
	int64_t dims[1] = {(int64_t)count};

	if (tensor_init(&tensor, DTYPE_S64, 1, dims))
		return NULL;
	if (count)
		memcpy(tensor.data, values, count * sizeof(*values));
	return graph_add_constant(up->graph, NULL, &tensor);
}

/* A number of the type of @like; NULL for a type that the old versions did not have. */
static struct graph_value *constant_number(struct upgrade *up, const struct graph_value *like, float x)
{
	struct tensor tensor;

	if (like->dtype != DTYPE_F32 && like->dtype != DTYPE_F16 && like->dtype != DTYPE_F64)
		return NULL;
	if (tensor_init(&tensor, like->dtype, 0, NULL))
		return NULL;
	if (like->dtype == DTYPE_F32)
		*(float *)tensor.data = x;
	else if (like->dtype == DTYPE_F64)
		*(double *)tensor.data = x;
	else
		*(uint16_t *)tensor.data = f32_to_f16(x);
	return graph_add_constant(up->graph, NULL, &tensor);
}

/* ---- rules: 0; -ENOTSUP where the node can not be said in the new version; -ENOMEM ---- */

/* Attribute @name, a list of integers, becomes the input behind the others; nothing where it is absent. */
static int ints_to_input(struct upgrade *up, struct graph_node *node, const char *name)
{
	struct op_node op = graph_op_node(node);
	const int64_t *values;
	size_t count = op_attr_ints(&op, name, &values);
	struct graph_value *input;

	if (!op_attr(&op, name))
		return 0;
	input = constant_ints(up, count, values);
	if (!input)
		return -ENOMEM;
	drop_attribute(node, name);
	return add_inputs(up, node, 1, &input);
}

static int upgrade_axes(struct upgrade *up, struct graph_node *node)
{
	return ints_to_input(up, node, "axes");
}

static int upgrade_split(struct upgrade *up, struct graph_node *node)
{
	return ints_to_input(up, node, "split");
}

static int upgrade_reshape(struct upgrade *up, struct graph_node *node)
{
	drop_attribute(node, "consumed_inputs");
	return ints_to_input(up, node, "shape");
}

static int upgrade_clip(struct upgrade *up, struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	struct graph_value *limits[2] = {NULL, NULL};
	static const char *const names[2] = {"min", "max"};

	for (size_t i = 0; i < 2; i++)
		if (op_attr(&op, names[i])) {
			limits[i] = constant_number(up, node->inputs[0], op_attr_float(&op, names[i], 0));
			if (!limits[i])
				return -ENOTSUP;
		}
	drop_attribute(node, "min");
	drop_attribute(node, "max");
	drop_attribute(node, "consumed_inputs");
	return limits[0] || limits[1] ? add_inputs(up, node, 2, limits) : 0;
}

static int upgrade_pad(struct upgrade *up, struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	const int64_t *pads;
	size_t count = op_attr_ints(&op, node->opset < 2 ? "paddings" : "pads", &pads);
	struct graph_value *inputs[2] = {constant_ints(up, count, pads),
					 constant_number(up, node->inputs[0], op_attr_float(&op, "value", 0))};

	if (!inputs[0] || !inputs[1])
		return -ENOTSUP;
	drop_attribute(node, "pads");
	drop_attribute(node, "paddings");
	drop_attribute(node, "value");
	return add_inputs(up, node, 2, inputs);
}

static int upgrade_slice(struct upgrade *up, struct graph_node *node)
{
	static const char *const names[3] = {"starts", "ends", "axes"};
	struct op_node op = graph_op_node(node);
	struct graph_value *inputs[3];
	size_t count = op_attr(&op, "axes") ? 3 : 2;

	for (size_t i = 0; i < count; i++) {
		const int64_t *values;
		size_t length = op_attr_ints(&op, names[i], &values);

		inputs[i] = constant_ints(up, length, values);
		if (!inputs[i])
			return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++)
		drop_attribute(node, names[i]);
	return add_inputs(up, node, count, inputs);
}

/* Before opset 13 all dimensions from the axis on were one: on a flat matrix where that makes a difference. */
static int upgrade_softmax(struct upgrade *up, struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	struct graph_value *x = node->inputs[0], *y = node->outputs[0], *flat, *soft, *shape;
	int64_t axis = op_attr_int(&op, "axis", 1), lengths = 0;
	const int64_t rank = x->rank;
	struct graph_node *softmax, *flatten;

	if (x->rank < 0)
		return -ENOTSUP;
	axis += axis < 0 ? rank : 0;
	for (int64_t d = axis + 1; d < rank; d++)
		lengths += x->dims[d] != 1;
	drop_attribute(node, "axis");
	if (!lengths)
		return graph_node_set_int(up->graph, node, "axis", axis);
	flat = graph_add_value(up->graph, NULL, x->dtype, 2, (int64_t[]){GRAPH_DIM_UNKNOWN, GRAPH_DIM_UNKNOWN});
	soft = graph_add_value(up->graph, NULL, x->dtype, 2, (int64_t[]){GRAPH_DIM_UNKNOWN, GRAPH_DIM_UNKNOWN});
	shape = graph_add_value(up->graph, NULL, DTYPE_S64, 1, &rank);
	if (!flat || !soft || !shape)
		return -ENOMEM;
	node->num_outputs = 0;
	flatten = graph_add_node(up->graph, node, "", "Flatten", up->opset, NULL, 1, &x, 1, &flat);
	softmax = graph_add_node(up->graph, node, "", node->op_type, up->opset, node->name, 1, &flat, 1, &soft);
	if (!flatten || !softmax || !graph_add_node(up->graph, node, "", "Shape", up->opset, NULL, 1, &x, 1, &shape) ||
	    !graph_add_node(up->graph, node, "", "Reshape", up->opset, NULL, 2, (struct graph_value *[]){soft, shape},
			    1, &y) ||
	    graph_node_set_int(up->graph, flatten, "axis", axis) || graph_node_set_int(up->graph, softmax, "axis", -1))
		return -ENOMEM;
	return graph_remove_node(up->graph, node);
}

static int upgrade_dropout(struct upgrade *up, struct graph_node *node)
{
	(void)up;
	if (graph_node_is_random(node) || (node->num_outputs > 1 && node->outputs[1]))
		return -ENOTSUP;
	drop_attribute(node, "ratio");
	drop_attribute(node, "is_test");
	drop_attribute(node, "consumed_inputs");
	return 0;
}

static int upgrade_batchnorm(struct upgrade *up, struct graph_node *node)
{
	struct op_node op = graph_op_node(node);

	(void)up;
	if (!op_attr_int(&op, "spatial", 1) || (node->opset < 7 && !op_attr_int(&op, "is_test", 0)))
		return -ENOTSUP;
	drop_attribute(node, "spatial");
	drop_attribute(node, "is_test");
	drop_attribute(node, "consumed_inputs");
	return 0;
}

/* Before opset 7 an operand was stretched only where the attribute says so, from an axis that may not be the last ones. */
static int upgrade_broadcast(struct upgrade *up, struct graph_node *node)
{
	struct op_node op = graph_op_node(node);

	(void)up;
	if (op_attr(&op, "axis"))
		return -ENOTSUP;
	drop_attribute(node, "broadcast");
	drop_attribute(node, "consumed_inputs");
	return 0;
}

static int upgrade_consumed(struct upgrade *up, struct graph_node *node)
{
	(void)up;
	drop_attribute(node, "consumed_inputs");
	return 0;
}

/* Nodes before version @before are written as those of it. */
static const struct {
	const char *op_type;
	int before;
	int (*upgrade)(struct upgrade *up, struct graph_node *node);
} rules[] = {
	{"Add", 7, upgrade_broadcast},
	{"BatchNormalization", 9, upgrade_batchnorm},
	{"Clip", 11, upgrade_clip},
	{"Div", 7, upgrade_broadcast},
	{"Dropout", 12, upgrade_dropout},
	{"Elu", 6, upgrade_consumed},
	{"Exp", 6, upgrade_consumed},
	{"Gemm", 7, upgrade_broadcast},
	{"LeakyRelu", 6, upgrade_consumed},
	{"LogSoftmax", 13, upgrade_softmax},
	{"Mul", 7, upgrade_broadcast},
	{"Neg", 6, upgrade_consumed},
	{"Pad", 11, upgrade_pad},
	{"ReduceL1", 18, upgrade_axes},
	{"ReduceL2", 18, upgrade_axes},
	{"ReduceLogSum", 18, upgrade_axes},
	{"ReduceLogSumExp", 18, upgrade_axes},
	{"ReduceMax", 18, upgrade_axes},
	{"ReduceMean", 18, upgrade_axes},
	{"ReduceMin", 18, upgrade_axes},
	{"ReduceProd", 18, upgrade_axes},
	{"ReduceSum", 13, upgrade_axes},
	{"ReduceSumSquare", 18, upgrade_axes},
	{"Relu", 6, upgrade_consumed},
	{"Reshape", 5, upgrade_reshape},
	{"Sigmoid", 6, upgrade_consumed},
	{"Slice", 10, upgrade_slice},
	{"Softmax", 13, upgrade_softmax},
	{"Split", 13, upgrade_split},
	{"Sqrt", 6, upgrade_consumed},
	{"Squeeze", 13, upgrade_axes},
	{"Sub", 7, upgrade_broadcast},
	{"Tanh", 6, upgrade_consumed},
	{"Unsqueeze", 13, upgrade_axes},
};

/* ---- the walk ---- */

static bool same_meaning(const struct graph_node *node, int opset)
{
	const struct schema *own = schema_find("", node->op_type, node->opset), *target;

	target = schema_find("", node->op_type, opset);
	if (!own || !target || own == target)
		return own && own == target;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (!strcmp(same[i].op_type, node->op_type) && own->since >= same[i].from &&
		    target->since < same[i].before)
			return true;
	return false;
}

/* -ENOTSUP when nothing is known of it. */
static int upgrade_node(struct upgrade *up, struct graph_node *node)
{
	if (node->opset >= up->opset || same_meaning(node, up->opset)) {
		node->opset = node->opset > up->opset ? node->opset : up->opset;
		return 0;
	}
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (!strcmp(rules[i].op_type, node->op_type) && node->opset < rules[i].before &&
		    up->opset >= rules[i].before) {
			int err = rules[i].upgrade(up, node);

			node->opset = up->opset;
			return err;
		}
	return -ENOTSUP;
}

static int newest_version(const struct graph *graph, int opset)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		const struct graph_node *node = graph->nodes[n];

		if (!*node->domain && node->opset > opset)
			opset = node->opset;
		for (size_t i = 0; i < node->num_attrs; i++)
			if (graph_node_body(node, i))
				opset = newest_version(graph_node_body(node, i), opset);
	}
	return opset;
}

static int upgrade_graph(struct graph *graph, int opset, char *error, size_t error_size)
{
	struct graph_node **nodes = malloc((graph->num_nodes + 1) * sizeof(*nodes));
	struct upgrade up = {graph, opset};
	size_t count = graph->num_nodes;
	int err = 0;

	if (!nodes)
		return fail(error, error_size, -ENOMEM, "out of memory");
	for (size_t n = 0; n < count; n++)
		nodes[n] = graph->nodes[n];
	for (size_t n = 0; n < count && !err; n++) {
		for (size_t i = 0; i < nodes[n]->num_attrs && !err; i++)
			if (graph_node_body(nodes[n], i))
				err = upgrade_graph(graph_node_body(nodes[n], i), opset, error, error_size);
		if (!err && !*nodes[n]->domain) {
			int old = nodes[n]->opset;

			err = upgrade_node(&up, nodes[n]);
			if (err)
				fail(error, error_size, err, "node %s: %s of opset %d can not be written for opset %d",
				     nodes[n]->name, nodes[n]->op_type, old, opset);
		}
	}
	free(nodes);
	return err ? err : graph_sort(graph);
}

int onnx_upgrade(struct graph *graph, int opset, char *error, size_t error_size)
{
	/* onnx.proto, Version: opset 13 came with IR 7, 15 with 8, 19 with 9, 21 with 10. */
	int err, ir, newest;

	for (size_t i = 0; i < graph->num_opsets; i++)
		if (!*graph->opsets[i].domain && graph->opsets[i].version > opset)
			opset = graph->opsets[i].version;
	newest = newest_version(graph, opset);
	err = upgrade_graph(graph, newest, error, error_size);
	if (err)
		return err;
	for (size_t i = 0; i < graph->num_opsets; i++)
		if (!*graph->opsets[i].domain)
			graph->opsets[i].version = newest;
	ir = newest >= 21 ? 10 : newest >= 19 ? 9 : newest >= 15 ? 8 : 7;
	graph->ir_version = graph->ir_version > ir ? graph->ir_version : ir;
	return 0;
}
