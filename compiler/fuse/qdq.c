/* SPDX-License-Identifier: MIT */
/*
 * Quantized models in QDQ form: DequantizeLinear -> operator -> QuantizeLinear becomes the integer operator.
 *
 *	Conv			    QLinearConv				   (int32 sums, rounded once)
 *	MatMul, Gemm		    QLinearMatMul, com.microsoft QGemm	   (the same)
 *	Add, Mul		    com.microsoft QLinearAdd, QLinearMul
 *	GlobalAveragePool, Sigmoid, … com.microsoft QLinear…
 *	Concat			    Concat of bytes where all have one grid, else com.microsoft QLinearConcat
 *	MaxPool, nearest Resize, …  the same operator on bytes, where input and output have one grid
 *
 * A Relu or Clip before the QuantizeLinear vanishes where the saturation of the 8-bit type does its work: rounding is
 * monotonic, so that it does when the limits round to the ends of the type. Where it does not, because the grid is that of a
 * concatenation with negative numbers, a convolution does the Relu itself (axl QLinearConv). The grid (scale and zero point) of every
 * tensor must be constant. A bias is int32 whose scale is the product of those of input and weights, as the standard's
 * QLinearConv has it; whatever does not fit stays a float operator between its conversions.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/fuse/fuse.h"
#include "compiler/fuse/pattern.h"
#include "compiler/graph/passes.h"

#define MS "com.microsoft"
#define MAX_INPUTS 64

/* 8-bit (bias: 32-bit) numbers @q that mean (q - zero) * scale; @zero NULL: 0. @axis: of more than one scale. */
struct grid {
	struct graph_value *q, *scale, *zero;
	int64_t axis;
};

/* What follows an operator: an optional activation, and the QuantizeLinear. */
struct tail {
	struct graph_node *activation, *quantize;
	struct grid grid;
};

/* ---- reading the pattern ---- */

static bool eight_bits(const struct graph_value *value)
{
	return value->dtype == DTYPE_U8 || value->dtype == DTYPE_S8;
}

static bool same_constant(const struct graph_value *a, const struct graph_value *b)
{
	return a == b ||
	       (a && b && a->dtype == b->dtype && tensor_count(a->constant) == 1 && tensor_count(b->constant) == 1 &&
		!memcmp(a->constant->data, b->constant->data, dtype_size(a->dtype)));
}

static int64_t zero_number(const struct grid *grid)
{
	return grid->zero ? tensor_get_s64(grid->zero->constant, 0) : 0;
}

static float scale_number(const struct grid *grid, int64_t i)
{
	const struct tensor *scale = grid->scale->constant;

	return ((const float *)scale->data)[tensor_count(scale) == 1 ? 0 : i];
}

static bool one_scale(const struct grid *grid)
{
	return tensor_count(grid->scale->constant) == 1 && (!grid->zero || tensor_count(grid->zero->constant) == 1);
}

/* Do both mean the same numbers by the same bytes? */
static bool same_grid(const struct grid *a, const struct grid *b)
{
	return a->q->dtype == b->q->dtype && same_constant(a->scale, b->scale) && zero_number(a) == zero_number(b);
}

/* Scale and zero point of @node, a QuantizeLinear or DequantizeLinear whose 8-bit side is @q. */
static bool read_grid(const struct graph_node *node, struct graph_value *q, struct grid *grid)
{
	struct op_node op = graph_op_node(node);

	*grid = (struct grid){q, NULL, NULL, op_attr_int(&op, "axis", 1)};
	if (op_attr_int(&op, "block_size", 0) || !constant_input(node, 1) || node->inputs[1]->dtype != DTYPE_F32)
		return false;
	grid->scale = node->inputs[1];
	if (node->num_inputs > 2 && node->inputs[2]) {
		if (!constant_input(node, 2))
			return false;
		grid->zero = node->inputs[2];
	}
	return true;
}

/* @value is computed by a DequantizeLinear to float32. */
static bool dequantized(const struct graph_value *value, struct grid *grid)
{
	const struct graph_node *node = value ? value->producer : NULL;

	return is_op(node, "DequantizeLinear") && value->dtype == DTYPE_F32 && read_grid(node, node->inputs[0], grid);
}

/* The same, from 8 bits with one scale. */
static bool dequantized_byte(const struct graph_value *value, struct grid *grid)
{
	return dequantized(value, grid) && eight_bits(grid->q) && one_scale(grid);
}

static bool grid_saturates(const struct graph_node *activation, const struct grid *grid)
{
	return saturates(activation, scale_number(grid, 0), (int)zero_number(grid), grid->q->dtype == DTYPE_S8);
}

/* @value goes through an optional activation to one QuantizeLinear of one scale, and nowhere else. */
static bool read_tail(const struct graph_value *value, struct tail *tail)
{
	struct graph_node *reader = only_reader(value);
	struct op_node op;

	*tail = (struct tail){0};
	if (reader && (is_op(reader, "Relu") || is_op(reader, "Clip")) && reader->inputs[0] == value) {
		tail->activation = reader;
		value = reader->outputs[0];
		reader = only_reader(value);
	}
	if (!is_op(reader, "QuantizeLinear") || reader->inputs[0] != value || value->dtype != DTYPE_F32)
		return false;
	op = graph_op_node(reader);
	tail->quantize = reader;
	/* The quotient is rounded to float32, and nothing is left unsaturated. */
	return read_grid(reader, reader->outputs[0], &tail->grid) && eight_bits(tail->grid.q) &&
	       one_scale(&tail->grid) &&
	       (op_attr_int(&op, "precision", 0) == 0 || op_attr_int(&op, "precision", 0) == DTYPE_F32);
}

/* The same, and saturation does what the activation does. */
static bool quantized(const struct graph_value *value, struct tail *tail)
{
	return read_tail(value, tail) && (!tail->activation || grid_saturates(tail->activation, &tail->grid));
}

/* ---- writing the operator ---- */

/* The zero point as an operand: a constant 0 where there is none. */
static struct graph_value *zero_operand(struct graph *graph, const struct grid *grid)
{
	struct tensor tensor;

	if (grid->zero)
		return grid->zero;
	return tensor_init(&tensor, grid->q->dtype, 0, NULL) ? NULL : graph_add_constant(graph, NULL, &tensor);
}

/* q, scale, zero at @inputs. */
static int add_grid(struct graph *graph, const struct grid *grid, struct graph_value **inputs)
{
	inputs[0] = grid->q;
	inputs[1] = grid->scale;
	inputs[2] = zero_operand(graph, grid);
	return inputs[2] ? 0 : -ENOMEM;
}

static int add_output_grid(struct graph *graph, const struct grid *grid, struct graph_value **inputs)
{
	inputs[0] = grid->scale;
	inputs[1] = zero_operand(graph, grid);
	return inputs[1] ? 0 : -ENOMEM;
}

/*
 * Put an operator of @inputs in the place of @node and all of @tail: it writes what the QuantizeLinear wrote and has
 * the attributes of @node. 1, or -ENOMEM.
 */
static int replace(struct graph *graph, struct graph_node *node, const struct tail *tail, const char *domain,
		   const char *op_type, int opset, size_t count, struct graph_value **inputs)
{
	struct graph_node *quantize = tail->quantize, *old[] = {quantize, tail->activation, node}, *new;
	struct graph_value *out = quantize->outputs[0];
	int err = 0;

	quantize->num_outputs = 0;
	out->producer = NULL;
	new = graph_add_node(graph, node, domain, op_type, opset, node->name, count, inputs, 1, &out);
	if (!new)
		return -ENOMEM;
	graph_take_place(new, node);
	if (tail->activation)
		join_origins(graph, new, tail->activation);
	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]) && !err; i++)
		err = old[i] ? graph_remove_node(graph, old[i]) : 0;
	return err ? err : 1;
}

/* The same where nothing follows: the operator writes @out, which @node wrote. */
static int replace_writer(struct graph *graph, struct graph_node *node, const char *domain, const char *op_type,
			  size_t count, struct graph_value **inputs, struct graph_value *out)
{
	struct graph_node *new;
	int err;

	node->num_outputs = 0;
	out->producer = NULL;
	new = graph_add_node(graph, node, domain, op_type, 1, node->name, count, inputs, 1, &out);
	if (!new)
		return -ENOMEM;
	graph_take_place(new, node);
	err = graph_remove_node(graph, node);
	return err ? err : 1;
}

/* ---- operators: 1 replaced, 0 does not fit, -ENOMEM ---- */

/*
 * Weights of 8 bits, constant, with one scale and zero point or one for each of @channels along @axis. A vector of zero
 * points that are all the same is as good as one.
 */
static bool weights(const struct graph_value *value, int64_t axis, int64_t channels, struct grid *grid)
{
	int64_t scales, zeros;

	if (!dequantized(value, grid) || !eight_bits(grid->q) || !grid->q->constant)
		return false;
	scales = tensor_count(grid->scale->constant);
	zeros = grid->zero ? tensor_count(grid->zero->constant) : 1;
	grid->axis += grid->axis < 0 ? grid->q->rank : 0;
	return (scales == 1 || (scales == channels && grid->axis == axis)) && (zeros == 1 || zeros == scales);
}

/* A bias that is int32 at the scale of the sums. Products of two scales differ by their last bits between quantizers. */
static bool bias_fits(const struct graph_value *value, const struct grid *x, const struct grid *w, int64_t channels,
		      struct grid *bias)
{
	if (!dequantized(value, bias) || bias->q->dtype != DTYPE_S32 || !bias->q->constant ||
	    tensor_count(bias->q->constant) != channels)
		return false;
	for (int64_t i = 0; bias->zero && i < tensor_count(bias->zero->constant); i++)
		if (tensor_get_s64(bias->zero->constant, i))
			return false;
	for (int64_t i = 0; i < channels; i++) {
		float sums = scale_number(x, 0) * scale_number(w, i);

		if (fabsf(scale_number(bias, i) - sums) > 1e-6f * sums)
			return false;
	}
	return true;
}

static int fuse_conv(struct graph *graph, struct graph_node *node)
{
	bool has_bias = node->num_inputs > 2 && node->inputs[2];
	struct graph_value *inputs[9];
	struct grid x, w, bias;
	struct tail tail;
	int64_t channels;
	bool clamps;

	if (!dequantized_byte(node->inputs[0], &x) || !graph_value_is_static(node->inputs[1]) ||
	    node->inputs[1]->rank < 3)
		return 0;
	channels = node->inputs[1]->dims[0];
	if (!weights(node->inputs[1], 0, channels, &w) || !read_tail(node->outputs[0], &tail) ||
	    (has_bias && !bias_fits(node->inputs[2], &x, &w, channels, &bias)))
		return 0;
	clamps = tail.activation && !grid_saturates(tail.activation, &tail.grid);
	if (clamps && !is_op(tail.activation, "Relu"))
		return 0;
	if (clamps && graph_node_set_string(graph, node, "activation", "Relu"))
		return -ENOMEM;
	if (add_grid(graph, &x, inputs) || add_grid(graph, &w, inputs + 3) ||
	    add_output_grid(graph, &tail.grid, inputs + 6))
		return -ENOMEM;
	inputs[8] = has_bias ? bias.q : NULL;
	return replace(graph, node, &tail, clamps ? "axl" : "", "QLinearConv", clamps ? 1 : 10, has_bias ? 9 : 8,
		       inputs);
}

static int fuse_gemm(struct graph *graph, struct graph_node *node)
{
	bool has_bias = node->num_inputs > 2 && node->inputs[2];
	struct op_node op = graph_op_node(node);
	bool trans_b = op_attr_int(&op, "transB", 0) != 0;
	struct graph_value *inputs[9];
	struct grid a, b, bias;
	struct tail tail;
	int64_t columns;

	if (!dequantized_byte(node->inputs[0], &a) || node->inputs[1]->rank != 2 ||
	    op_attr_float(&op, "alpha", 1) != 1 || (has_bias && op_attr_float(&op, "beta", 1) != 1))
		return 0;
	columns = node->inputs[1]->dims[trans_b ? 0 : 1];
	if (!weights(node->inputs[1], trans_b ? 0 : 1, columns, &b) || !quantized(node->outputs[0], &tail) ||
	    (has_bias && !bias_fits(node->inputs[2], &a, &b, columns, &bias)))
		return 0;
	if (add_grid(graph, &a, inputs) || add_grid(graph, &b, inputs + 3) ||
	    add_output_grid(graph, &tail.grid, inputs + 7))
		return -ENOMEM;
	inputs[6] = has_bias ? bias.q : NULL;
	for (size_t i = 0; i < node->num_attrs; i++)
		if (!strcmp(node->attrs[i].name, "beta")) /* QGemm knows none */
			node->attrs[i] = node->attrs[--node->num_attrs];
	return replace(graph, node, &tail, MS, "QGemm", 1, 9, inputs);
}

/*
 * axl Linear with integer rows and weights: QLinear, which adds the residual in floats and gives floats where no QuantizeLinear follows.
 */
static int fuse_qlinear(struct graph *graph, struct graph_node *node)
{
	bool has_bias = node->num_inputs > 2 && node->inputs[2];
	struct graph_value *inputs[10] = {NULL}, *out = node->outputs[0];
	struct grid x, w, bias;
	struct tail tail;
	int64_t columns;
	bool integers;

	if (strcmp(node->domain, "axl") || !dequantized_byte(node->inputs[0], &x) || node->inputs[1]->rank != 2)
		return 0;
	columns = node->inputs[1]->dims[1];
	if (!weights(node->inputs[1], 1, columns, &w) ||
	    (has_bias && !bias_fits(node->inputs[2], &x, &w, columns, &bias)))
		return 0;
	integers = quantized(out, &tail) && !tail.activation;
	if (add_grid(graph, &x, inputs) || add_grid(graph, &w, inputs + 3) ||
	    (integers && add_output_grid(graph, &tail.grid, inputs + 8)))
		return -ENOMEM;
	inputs[6] = has_bias ? bias.q : NULL;
	inputs[7] = node->num_inputs > 3 ? node->inputs[3] : NULL;
	if (!integers)
		return replace_writer(graph, node, "axl", "QLinear", 8, inputs, out);
	return replace(graph, node, &tail, "axl", "QLinear", 1, 10, inputs);
}

/* Either operand may be computed; a constant right one may have a scale for each column. */
static int fuse_matmul(struct graph *graph, struct graph_node *node)
{
	const struct graph_value *right = node->inputs[1];
	struct graph_value *inputs[8];
	struct grid a, b;
	struct tail tail;

	if (!dequantized_byte(node->inputs[0], &a) || right->rank < 1 || !graph_value_is_static(right))
		return 0;
	if (!dequantized_byte(right, &b) && !(right->rank == 2 && weights(right, 1, right->dims[1], &b)))
		return 0;
	if (!quantized(node->outputs[0], &tail))
		return 0;
	if (add_grid(graph, &a, inputs) || add_grid(graph, &b, inputs + 3) ||
	    add_output_grid(graph, &tail.grid, inputs + 6))
		return -ENOMEM;
	return replace(graph, node, &tail, "", "QLinearMatMul", 10, 8, inputs);
}

static int fuse_binary(struct graph *graph, struct graph_node *node)
{
	struct graph_value *inputs[8];
	struct grid a, b;
	struct tail tail;

	if (!dequantized_byte(node->inputs[0], &a) || !dequantized_byte(node->inputs[1], &b) ||
	    !quantized(node->outputs[0], &tail) || a.q->dtype != b.q->dtype || a.q->dtype != tail.grid.q->dtype)
		return 0;
	if (add_grid(graph, &a, inputs) || add_grid(graph, &b, inputs + 3) ||
	    add_output_grid(graph, &tail.grid, inputs + 6))
		return -ENOMEM;
	return replace(graph, node, &tail, MS, is_op(node, "Add") ? "QLinearAdd" : "QLinearMul", 1, 8, inputs);
}

/* One input, by the name under which ONNX Runtime knows the integer form. */
static int fuse_unary(struct graph *graph, struct graph_node *node)
{
	static const char *const names[][2] = {{"GlobalAveragePool", "QLinearGlobalAveragePool"},
					       {"AveragePool", "QLinearAveragePool"},
					       {"LeakyRelu", "QLinearLeakyRelu"},
					       {"Sigmoid", "QLinearSigmoid"}};
	struct graph_value *inputs[5];
	struct tail tail;
	struct grid x;

	if (!dequantized_byte(node->inputs[0], &x) || !quantized(node->outputs[0], &tail) ||
	    x.q->dtype != tail.grid.q->dtype)
		return 0;
	if (add_grid(graph, &x, inputs) || add_output_grid(graph, &tail.grid, inputs + 3))
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (is_op(node, names[i][0]))
			return replace(graph, node, &tail, MS, names[i][1], 1, 5, inputs);
	return 0;
}

static int fuse_concat(struct graph *graph, struct graph_node *node)
{
	struct graph_value *inputs[2 + 3 * MAX_INPUTS], *bytes[MAX_INPUTS];
	bool same = true;
	struct tail tail;

	if (node->num_inputs > MAX_INPUTS || !quantized(node->outputs[0], &tail))
		return 0;
	for (size_t i = 0; i < node->num_inputs; i++) {
		struct grid x;

		if (!dequantized_byte(node->inputs[i], &x) || x.q->dtype != tail.grid.q->dtype)
			return 0;
		same &= same_grid(&x, &tail.grid);
		bytes[i] = x.q;
		if (add_grid(graph, &x, inputs + 2 + 3 * i))
			return -ENOMEM;
	}
	if (same)
		return replace(graph, node, &tail, "", "Concat", node->opset, node->num_inputs, bytes);
	if (add_output_grid(graph, &tail.grid, inputs))
		return -ENOMEM;
	return replace(graph, node, &tail, MS, "QLinearConcat", 1, 2 + 3 * node->num_inputs, inputs);
}

/* Operators that only choose or move elements: the same on bytes. */
static int fuse_moving(struct graph *graph, struct graph_node *node)
{
	struct graph_value *inputs[MAX_INPUTS];
	struct tail tail;
	struct grid x;

	if (node->num_outputs != 1 || node->num_inputs > MAX_INPUTS || graph_node_is_random(node) ||
	    !dequantized_byte(node->inputs[0], &x) || !quantized(node->outputs[0], &tail) || !same_grid(&x, &tail.grid))
		return 0;
	memcpy(inputs, node->inputs, node->num_inputs * sizeof(*inputs));
	inputs[0] = x.q;
	return replace(graph, node, &tail, "", node->op_type, node->opset, node->num_inputs, inputs);
}

static const struct {
	const char *op_type;
	int (*fuse)(struct graph *graph, struct graph_node *node);
} rules[] = {
	{"Conv", fuse_conv},           {"Gemm", fuse_gemm},         {"MatMul", fuse_matmul},
	{"Add", fuse_binary},          {"Mul", fuse_binary},        {"GlobalAveragePool", fuse_unary},
	{"LeakyRelu", fuse_unary},     {"AveragePool", fuse_unary}, {"Linear", fuse_qlinear},
	{"Sigmoid", fuse_unary},       {"Concat", fuse_concat},     {"DepthToSpace", fuse_moving},
	{"Dropout", fuse_moving},      {"Flatten", fuse_moving},    {"Identity", fuse_moving},
	{"MaxPool", fuse_moving},      {"Reshape", fuse_moving},    {"Slice", fuse_moving},
	{"SpaceToDepth", fuse_moving}, {"Squeeze", fuse_moving},    {"Transpose", fuse_moving},
	{"Unsqueeze", fuse_moving},
};

int fuse_qdq(struct graph *graph)
{
	struct graph_node **nodes = malloc((graph->num_nodes + 1) * sizeof(*nodes));
	size_t count = graph->num_nodes;
	bool changed = false;
	int done = nodes ? 0 : -ENOMEM;

	/* A node that is removed is one that was looked at already, or no operator of the table. */
	for (size_t n = 0; n < count && done >= 0; n++)
		nodes[n] = graph->nodes[n];
	for (size_t n = 0; n < count && done >= 0; n++) {
		struct graph_node *node = nodes[n];

		done = resizes_to_nearest(node) ? fuse_moving(graph, node) : 0;
		for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]) && !done; i++)
			if (is_op(node, rules[i].op_type) && (!*node->domain || rules[i].fuse == fuse_qlinear))
				done = rules[i].fuse(graph, node);
		changed |= done == 1;
	}
	free(nodes);
	if (done < 0)
		return done;
	return changed ? graph_simplify(graph) : 0;
}
