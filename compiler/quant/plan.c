/* SPDX-License-Identifier: MIT */
/* See plan.h. */
#include "compiler/quant/plan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/fuse/pattern.h"
#include "compiler/graph/passes.h"
#include "compiler/quant/weights.h"

static const struct {
	const char *op_type;
	enum quant_kind kind;
} kinds[] = {
	{"Add", QUANT_BINARY},          {"Concat", QUANT_CONCAT},           {"Conv", QUANT_CONV},
	{"DepthToSpace", QUANT_MOVING}, {"Dropout", QUANT_MOVING},          {"Flatten", QUANT_MOVING},
	{"Gemm", QUANT_PRODUCT},        {"GlobalAveragePool", QUANT_UNARY}, {"Identity", QUANT_MOVING},
	{"LeakyRelu", QUANT_UNARY},     {"MatMul", QUANT_PRODUCT},          {"MaxPool", QUANT_MOVING},
	{"Mul", QUANT_BINARY},          {"Reshape", QUANT_MOVING},          {"Sigmoid", QUANT_UNARY},
	{"Slice", QUANT_MOVING},        {"SpaceToDepth", QUANT_MOVING},     {"Squeeze", QUANT_MOVING},
	{"AveragePool", QUANT_UNARY},   {"Transpose", QUANT_MOVING},        {"Unsqueeze", QUANT_MOVING},
};

enum quant_kind quant_kind_of(const struct graph_node *node)
{
	struct op_node op = graph_op_node(node);

	/* The quantized form has no dilation. */
	if (!strcmp(node->op_type, "AveragePool") && op_attr(&op, "dilations"))
		return QUANT_FLOAT;
	if (!strcmp(node->op_type, "Linear") && !strcmp(node->domain, "axl"))
		return QUANT_LINEAR;
	if (resizes_to_nearest(node))
		return QUANT_MOVING;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].op_type, node->op_type) && !*node->domain && node->num_outputs == 1)
			return kinds[i].kind;
	return QUANT_FLOAT;
}

int quant_plan_init(struct quant_plan *plan, struct graph *graph, const struct quant_options *options)
{
	*plan = (struct quant_plan){.graph = graph,
				    .options = options,
				    .nodes = calloc(graph->num_nodes + 1, sizeof(*plan->nodes)),
				    .values = calloc(graph->num_values + 1, sizeof(*plan->values)),
				    .num_nodes = graph->num_nodes,
				    .num_values = graph->num_values};
	if (!plan->nodes || !plan->values) {
		quant_plan_finish(plan);
		return -ENOMEM;
	}
	for (size_t n = 0; n < graph->num_nodes; n++)
		plan->nodes[n].kind = quant_kind_of(graph->nodes[n]);
	return 0;
}

void quant_plan_finish(struct quant_plan *plan)
{
	for (size_t n = 0; plan->nodes && n < plan->num_nodes; n++)
		quant_weights_finish(&plan->nodes[n].weights);
	free(plan->nodes);
	free(plan->values);
	*plan = (struct quant_plan){0};
}

float quant_grid_round(const struct quant_plan *plan, const struct quant_value *grid, float x)
{
	int lowest = plan->options->is_signed ? -128 : 0;
	float q = nearbyintf(x / grid->scale) + (float)grid->zero;

	q = q < (float)lowest ? (float)lowest : q > (float)(lowest + 255) ? (float)(lowest + 255) : q;
	return (q - (float)grid->zero) * grid->scale;
}

/* ---- what can be quantized ---- */

/* A computed float32, or an input, of which the samples gave a range. */
static bool has_range(const struct quant_plan *plan, const struct graph_value *value)
{
	return value && !value->constant && value->dtype == DTYPE_F32 && plan->stats[value->id].seen;
}

static bool constant_float(const struct graph_node *node, size_t index)
{
	return constant_input(node, index) && node->inputs[index]->constant->dtype == DTYPE_F32;
}

/* The grid of a value, by its range. */
static void use(struct quant_plan *plan, const struct graph_value *value)
{
	struct quant_value *grid = &plan->values[value->id];

	if (grid->used)
		return;
	grid->used = true;
	quant_range_scale(plan->stats[value->id].lo, plan->stats[value->id].hi, plan->options->is_signed, &grid->scale,
			  &grid->zero);
}

/* Would saturation at the ends of @value's grid do what @activation does? As compiler/fuse/qdq.c asks. */
static bool range_saturates(const struct quant_plan *plan, const struct graph_node *activation,
			    const struct graph_value *value)
{
	float scale;
	int zero;

	quant_range_scale(plan->stats[value->id].lo, plan->stats[value->id].hi, plan->options->is_signed, &scale,
			  &zero);
	return saturates(activation, scale, zero, plan->options->is_signed);
}

/*
 * The value that gets the grid: behind a Relu or Clip that alone reads the output, when saturation does its work, or the convolution
 * can (a Relu; compiler/fuse/qdq.c).
 */
static struct graph_value *result_of(const struct quant_plan *plan, const struct graph_node *node)
{
	struct graph_node *reader = only_reader(node->outputs[0]);

	if ((is_op(reader, "Relu") || is_op(reader, "Clip")) && !*reader->domain &&
	    reader->inputs[0] == node->outputs[0] && has_range(plan, reader->outputs[0]) &&
	    (range_saturates(plan, reader, reader->outputs[0]) ||
	     (plan->nodes[node->id].kind == QUANT_CONV && is_op(reader, "Relu"))))
		return reader->outputs[0];
	return node->outputs[0];
}

/* ---- by kind: NULL, or why the node stays float ---- */

static const char *product_axis(const struct graph_node *node, int *axis)
{
	struct op_node op = graph_op_node(node);
	bool gemm = is_op(node, "Gemm");

	if (node->inputs[1]->constant->rank != 2)
		return "its weights are no matrix";
	if (gemm && (op_attr_int(&op, "transA", 0) || op_attr_float(&op, "alpha", 1) != 1))
		return "transA, or alpha other than 1";
	*axis = gemm && op_attr_int(&op, "transB", 0) ? 0 : 1;
	return NULL;
}

/* Input, weights, bias and output of a convolution or product. */
static const char *weighted(struct quant_plan *plan, struct graph_node *node, int *err)
{
	struct quant_node *own = &plan->nodes[node->id];
	bool has_bias = node->num_inputs > 2 && node->inputs[2];
	struct op_node op = graph_op_node(node);
	const struct quant_stats *input;
	const char *reason = NULL;
	int axis = 0;

	if (!constant_float(node, 1) || (has_bias && !constant_float(node, 2)))
		return "its weights or bias are computed";
	if (own->kind == QUANT_PRODUCT)
		reason = product_axis(node, &axis);
	if (own->kind == QUANT_LINEAR)
		axis = 1;
	if (reason)
		return reason;
	if (has_bias && tensor_count(node->inputs[2]->constant) != node->inputs[1]->constant->dims[axis] &&
	    tensor_count(node->inputs[2]->constant) != 1)
		return "its bias is not one number a channel";
	if (!has_range(plan, node->inputs[0]))
		return "no sample gave its input a range";
	use(plan, node->inputs[0]);
	input = plan->options->plain ? NULL : &plan->stats[node->inputs[0]->id];
	*err = quant_weights_make(&own->weights, node, axis, &plan->values[node->inputs[0]->id],
				  has_bias ? node->inputs[2]->constant : NULL,
				  has_bias && own->kind == QUANT_PRODUCT ? op_attr_float(&op, "beta", 1) : 1, input);
	return NULL;
}

/* Is it read by Linears only, as their rows? Sums of residuals, normalizations and attention go on in floats. */
static bool read_by_linears(const struct quant_plan *plan, const struct graph_value *value)
{
	for (size_t i = 0; i < value->num_uses; i++) {
		const struct graph_node *reader = value->uses[i];

		if (plan->nodes[reader->id].kind != QUANT_LINEAR || plan->nodes[reader->id].keep_float ||
		    reader->inputs[0] != value || (reader->num_inputs > 3 && reader->inputs[3] == value))
			return false;
	}
	return value->num_uses && !value->is_output;
}

/* Operands of a sum or product: both in integers, else two conversions would pay for one operator. */
static const char *integer_operands(const struct quant_plan *plan, const struct graph_node *node)
{
	for (size_t i = 0; i < node->num_inputs; i++)
		if (node->inputs[i] && !node->inputs[i]->constant && !plan->values[node->inputs[i]->id].integer)
			return "an operand is float";
	return NULL;
}

static const char *operands(struct quant_plan *plan, const struct graph_node *node)
{
	for (size_t i = 0; i < node->num_inputs; i++)
		if (!has_range(plan, node->inputs[i]))
			return node->inputs[i] && node->inputs[i]->constant ? "an operand is a float constant"
									    : "no sample gave an operand a range";
	for (size_t i = 0; i < node->num_inputs; i++)
		use(plan, node->inputs[i]);
	return NULL;
}

/* The node on bytes: the output's grid is the input's. */
static const char *moving(struct quant_plan *plan, const struct graph_node *node)
{
	const struct quant_value *from = node->inputs[0] ? &plan->values[node->inputs[0]->id] : NULL;

	if (!from || !from->integer || graph_node_is_random(node) || !has_range(plan, node->outputs[0]))
		return "its input is float";
	plan->values[node->outputs[0]->id] = *from;
	return NULL;
}

static int decide(struct quant_plan *plan, struct graph_node *node)
{
	struct quant_node *own = &plan->nodes[node->id];
	int err = 0;

	own->integer = false;
	own->reason = NULL;
	own->result = node->outputs[0];
	if (own->kind == QUANT_FLOAT)
		return 0;
	if (own->keep_float) {
		own->reason = "kept float for the target";
		return 0;
	}
	if (own->kind != QUANT_MOVING && own->kind != QUANT_LINEAR)
		own->result = result_of(plan, node);
	if (!has_range(plan, own->result))
		own->reason = "no sample gave its output a range";
	else if (own->kind == QUANT_CONV || own->kind == QUANT_PRODUCT || own->kind == QUANT_LINEAR)
		own->reason = weighted(plan, node, &err);
	else if (own->kind == QUANT_MOVING)
		own->reason = moving(plan, node);
	else if (own->kind == QUANT_BINARY)
		own->reason = integer_operands(plan, node);
	if (!own->reason && (own->kind == QUANT_BINARY || own->kind == QUANT_UNARY || own->kind == QUANT_CONCAT))
		own->reason = operands(plan, node);
	if (err || own->reason)
		return err;
	own->integer = true;
	own->floats_out = own->kind == QUANT_LINEAR && !read_by_linears(plan, own->result);
	if (own->floats_out)
		return 0;
	use(plan, own->result);
	plan->values[own->result->id].integer = true;
	return 0;
}

int quant_plan_make(struct quant_plan *plan, const struct quant_stats *stats)
{
	int err = 0;

	if (plan->stats != stats) /* weights may have been scaled, and means are others */
		for (size_t n = 0; n < plan->num_nodes; n++)
			quant_weights_finish(&plan->nodes[n].weights);
	plan->stats = stats;
	memset(plan->values, 0, plan->num_values * sizeof(*plan->values));
	for (size_t n = 0; n < plan->num_nodes && !err; n++)
		err = decide(plan, plan->graph->nodes[n]);
	return err;
}
