/* SPDX-License-Identifier: MIT */
/* See roofline.h. */
#include "compiler/report/roofline.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <axl/axl_timing.h>

#include "compiler/graph/passes.h"

/* What a rule's operations are counted on. WINDOW: outputs times the window's height plus its width. */
enum basis { BASIS_OUTPUT, BASIS_INPUT, BASIS_WINDOW, BASIS_FREE };

#define RULE_OPS 6
#define OP(name) (AXL_VEC_##name + 1) /* 0 ends the list */

/*
 * What must run on the vector unit, by operator.
 * @wide:     in binary32 whatever the operands are: the quantized operators' own arithmetic
 * @drain:    free behind a node with MACs
 * An operator that is not here is one pass over its output.
 */
static const struct vector_rule {
	const char *op_type;
	enum basis basis;
	bool wide, drain;
	uint16_t ops[RULE_OPS];
} vector_rules[] = {
	{"Reshape", BASIS_FREE, false, false, {0}},
	{"Flatten", BASIS_FREE, false, false, {0}},
	{"Squeeze", BASIS_FREE, false, false, {0}},
	{"Unsqueeze", BASIS_FREE, false, false, {0}},
	{"Identity", BASIS_FREE, false, false, {0}},
	{"Transpose", BASIS_FREE, false, false, {0}},
	{"Slice", BASIS_FREE, false, false, {0}},
	{"Split", BASIS_FREE, false, false, {0}},
	{"Expand", BASIS_FREE, false, false, {0}},
	{"Concat", BASIS_FREE, false, false, {0}},
	{"QLinearConcat", BASIS_FREE, false, false, {0}},
	{"Pad", BASIS_FREE, false, false, {0}},
	{"Tile", BASIS_FREE, false, false, {0}},
	{"DepthToSpace", BASIS_FREE, false, false, {0}},
	{"SpaceToDepth", BASIS_FREE, false, false, {0}},
	{"Gather", BASIS_FREE, false, false, {0}},
	{"Resize", BASIS_FREE, false, false, {0}},
	{"Upsample", BASIS_FREE, false, false, {0}},
	{"Dropout", BASIS_FREE, false, false, {0}},
	{"MaxPool", BASIS_WINDOW, false, true, {OP(RMAX)}},
	{"AveragePool", BASIS_WINDOW, false, true, {OP(RSUM)}},
	{"GlobalAveragePool", BASIS_INPUT, false, false, {OP(RSUM)}},
	{"GlobalMaxPool", BASIS_INPUT, false, false, {OP(RMAX)}},
	{"QLinearGlobalAveragePool", BASIS_INPUT, false, false, {OP(RSUM)}},
	/* square, sum of the window (at least one pass), scale, log, exp, multiply: no power of the vector unit is cheaper */
	{"LRN", BASIS_OUTPUT, false, false, {OP(MUL), OP(RSUM), OP(AFFINE), OP(LOG), OP(EXP), OP(MUL)}},
	{"Softmax", BASIS_INPUT, false, false, {OP(RMAX), OP(SUB), OP(EXP), OP(RSUM), OP(MUL)}},
	{"LogSoftmax", BASIS_INPUT, false, false, {OP(RMAX), OP(SUB), OP(EXP), OP(RSUM), OP(SUB)}},
	{"LayerNormalization", BASIS_INPUT, false, false, {OP(RSUM), OP(SUB), OP(RSUMSQ), OP(MUL), OP(MUL), OP(ADD)}},
	{"SkipLayerNormalization",
	 BASIS_INPUT,
	 false,
	 false,
	 {OP(RSUM), OP(SUB), OP(RSUMSQ), OP(MUL), OP(MUL), OP(ADD)}},
	{"InstanceNormalization",
	 BASIS_INPUT,
	 false,
	 false,
	 {OP(RSUM), OP(SUB), OP(RSUMSQ), OP(MUL), OP(MUL), OP(ADD)}},
	{"RMSNormalization", BASIS_INPUT, false, false, {OP(RSUMSQ), OP(MUL), OP(MUL)}},
	{"LpNormalization", BASIS_INPUT, false, false, {OP(RSUMSQ), OP(MUL)}},
	{"BatchNormalization", BASIS_OUTPUT, false, false, {OP(MUL), OP(ADD)}},
	{"ReduceSum", BASIS_INPUT, false, false, {OP(RSUM)}},
	{"ReduceMean", BASIS_INPUT, false, false, {OP(RSUM)}},
	{"ReduceMax", BASIS_INPUT, false, false, {OP(RMAX)}},
	{"ReduceMin", BASIS_INPUT, false, false, {OP(RMIN)}},
	{"ReduceProd", BASIS_INPUT, false, false, {OP(RPROD)}},
	{"ReduceL1", BASIS_INPUT, false, false, {OP(RSUMABS)}},
	{"ReduceL2", BASIS_INPUT, false, false, {OP(RSUMSQ)}},
	{"ReduceSumSquare", BASIS_INPUT, false, false, {OP(RSUMSQ)}},
	{"ReduceLogSum", BASIS_INPUT, false, false, {OP(RSUM)}},
	{"ReduceLogSumExp", BASIS_INPUT, false, false, {OP(RMAX), OP(SUB), OP(EXP), OP(RSUM)}},
	{"ArgMax", BASIS_INPUT, false, false, {OP(ARGMAX)}},
	{"ArgMin", BASIS_INPUT, false, false, {OP(ARGMIN)}},
	{"QuantizeLinear", BASIS_OUTPUT, true, true, {OP(QUANT)}},
	{"DequantizeLinear", BASIS_OUTPUT, true, true, {OP(DEQUANT)}},
	{"QLinearAdd", BASIS_OUTPUT, true, true, {OP(DEQUANT), OP(DEQUANT), OP(ADD), OP(QUANT)}},
	{"QLinearMul", BASIS_OUTPUT, true, false, {OP(DEQUANT), OP(DEQUANT), OP(MUL), OP(QUANT)}},
	{"QLinearSigmoid", BASIS_OUTPUT, false, true, {OP(TABLE)}},
	{"QLinearLeakyRelu", BASIS_OUTPUT, false, true, {OP(TABLE)}},
	{"Add", BASIS_OUTPUT, false, true, {OP(ADD)}},
	{"Sub", BASIS_OUTPUT, false, false, {OP(SUB)}},
	{"Mul", BASIS_OUTPUT, false, false, {OP(MUL)}},
	{"Div", BASIS_OUTPUT, false, false, {OP(DIV)}},
	{"Pow", BASIS_OUTPUT, false, false, {OP(POW)}},
	{"Sqrt", BASIS_OUTPUT, false, false, {OP(SQRT)}},
	{"Reciprocal", BASIS_OUTPUT, false, false, {OP(RECIP)}},
	{"Exp", BASIS_OUTPUT, false, false, {OP(EXP)}},
	{"Log", BASIS_OUTPUT, false, false, {OP(LOG)}},
	{"Sin", BASIS_OUTPUT, false, false, {OP(SIN)}},
	{"Cos", BASIS_OUTPUT, false, false, {OP(COS)}},
	{"Erf", BASIS_OUTPUT, false, false, {OP(ERF)}},
	{"Relu", BASIS_OUTPUT, false, true, {OP(RELU)}},
	{"Clip", BASIS_OUTPUT, false, true, {OP(CLIP)}},
	{"LeakyRelu", BASIS_OUTPUT, false, true, {OP(LEAKY)}},
	{"Sigmoid", BASIS_OUTPUT, false, true, {OP(SIGMOID)}},
	{"Tanh", BASIS_OUTPUT, false, true, {OP(TANH)}},
	{"Gelu", BASIS_OUTPUT, false, true, {OP(GELU)}},
	{"FastGelu", BASIS_OUTPUT, false, true, {OP(GELU_TANH)}},
	{"Elu", BASIS_OUTPUT, false, true, {OP(ELU)}},
	{"Selu", BASIS_OUTPUT, false, false, {OP(ELU)}},
	{"Softplus", BASIS_OUTPUT, false, true, {OP(SOFTPLUS)}},
	{"HardSigmoid", BASIS_OUTPUT, false, true, {OP(HARDSIGMOID)}},
	{"HardSwish", BASIS_OUTPUT, false, true, {OP(HARDSWISH)}},
	{"Swish", BASIS_OUTPUT, false, true, {OP(SILU)}},
	{"PRelu", BASIS_OUTPUT, false, false, {OP(PRELU)}},
};

static const struct vector_rule any_operator = {"", BASIS_OUTPUT, false, false, {OP(COPY)}};

/* One count over a graph. @counted: by value, its bytes are in a node's already. */
struct count {
	uint32_t precision;
	bool *counted;
};

/* ---- one node ---- */

/* Bytes of an element as the device holds it between nodes. */
static uint32_t held_size(const struct count *count, const struct graph_value *value)
{
	/* An int8 model keeps what it does not quantize in 16 bits. */
	static const uint32_t sizes[] = {[AXM_F32] = 4, [AXM_F16] = 2, [AXM_BF16] = 2, [AXM_INT8] = 2};

	return dtype_is_float(value->dtype) ? sizes[count->precision] : (uint32_t)dtype_size(value->dtype);
}

static uint64_t elements_of(const struct graph_value *value)
{
	int64_t count = graph_value_is_static(value) ? dims_count(value->rank, value->dims) : 0;

	return count > 0 ? (uint64_t)count : 0;
}

static const struct vector_rule *rule_of(const char *op_type)
{
	for (size_t i = 0; i < sizeof(vector_rules) / sizeof(vector_rules[0]); i++)
		if (!strcmp(vector_rules[i].op_type, op_type))
			return &vector_rules[i];
	return &any_operator;
}

static int64_t int_at(const struct graph_node *node, const char *name, size_t index, int64_t missing)
{
	struct op_node op = graph_op_node(node);
	const int64_t *values;

	return index < op_attr_ints(&op, name, &values) ? values[index] : missing;
}

/* Windows that touch neither each other nor the border: the drain can pool them. */
static bool drain_can_pool(const struct graph_node *node)
{
	for (size_t d = 0; d < 2; d++) {
		int64_t size = int_at(node, "kernel_shape", d, 1);

		if (size > 15 || int_at(node, "strides", d, 1) != size || int_at(node, "dilations", d, 1) != 1 ||
		    int_at(node, "pads", d, 0) || int_at(node, "pads", d + 2, 0))
			return false;
	}
	return true;
}

/* A device node with MACs makes one of its inputs, and nobody else reads that. */
static bool behind_matrix(const struct graph_node *node)
{
	for (size_t i = 0; i < node->num_inputs; i++) {
		const struct graph_value *value = node->inputs[i];

		if (value && value->producer && value->producer->placement == GRAPH_PLACE_NPU && value->num_uses == 1 &&
		    !value->is_output && graph_node_macs(value->producer))
			return true;
	}
	return false;
}

static void count_vector(const struct count *count, const struct graph_node *node, struct roofline_work *work)
{
	const struct vector_rule *rule = rule_of(node->op_type);
	const struct graph_value *x = node->num_inputs ? node->inputs[0] : NULL,
				 *y = node->num_outputs ? node->outputs[0] : NULL;
	uint64_t elements, cost = 0;
	uint32_t size;

	if (work->macs || rule->basis == BASIS_FREE || !x || !y ||
	    (rule->drain && behind_matrix(node) && (rule->basis != BASIS_WINDOW || drain_can_pool(node))))
		return;
	elements = elements_of(rule->basis == BASIS_INPUT ? x : y);
	if (rule->basis == BASIS_WINDOW) {
		int64_t height = int_at(node, "kernel_shape", 0, 1), width = int_at(node, "kernel_shape", 1, 1);

		elements *= (uint64_t)(width > 1 ? height + width : height);
	}
	for (int i = 0; i < RULE_OPS && rule->ops[i]; i++)
		cost += axl_vec_cost(rule->ops[i] - 1u);
	size = held_size(count, x) > held_size(count, y) ? held_size(count, x) : held_size(count, y);
	work->vector_ops = elements * cost;
	work->vector_size = rule->wide || size > 4 ? 4 : size;
}

/* Does the value cross the border of this node's region? */
static bool crosses(const struct graph_node *node, const struct graph_value *value)
{
	if (value->constant)
		return false;
	if (value->producer != node)
		return !value->producer || value->producer->region != node->region;
	for (size_t i = 0; i < value->num_uses; i++)
		if (value->uses[i]->region != node->region)
			return true;
	return value->is_output;
}

/* Bytes of a value where this node has it: at the border as ONNX says, else as the device holds it. */
static uint64_t value_bytes(const struct count *count, const struct graph_node *node, const struct graph_value *value)
{
	if (crosses(node, value))
		return elements_of(value) * dtype_size(value->dtype);
	/* Biases and scales are of 32 bits. */
	if (value->constant && value->rank < 2 && dtype_is_float(value->dtype))
		return elements_of(value) * 4;
	return elements_of(value) * held_size(count, value);
}

static void count_bytes(const struct count *count, const struct graph_node *node, struct roofline_work *work)
{
	bool gather = !strcmp(node->op_type, "Gather");

	for (size_t i = 0; i < node->num_inputs + node->num_outputs; i++) {
		const struct graph_value *value =
			i < node->num_inputs ? node->inputs[i] : node->outputs[i - node->num_inputs];
		uint64_t bytes, rows;

		/* Shapes, axes and indices that are constant went into the code. */
		if (!value || (value->constant && value->dtype == DTYPE_S64))
			continue;
		bytes = value_bytes(count, node, value);
		rows = gather && i == 0 && node->outputs[0] ? value_bytes(count, node, node->outputs[0]) : bytes;
		bytes = rows < bytes ? rows : bytes; /* of a table only what is looked up */
		work->operand_bytes += bytes;
		if ((value->constant || crosses(node, value)) && !count->counted[value->id]) {
			work->bytes += bytes;
			count->counted[value->id] = true;
		}
	}
}

int roofline_count(const struct graph *graph, uint32_t precision, struct roofline_work *work)
{
	struct count count = {precision, calloc(graph->num_values + 1, sizeof(*count.counted))};

	if (!count.counted)
		return -ENOMEM;
	for (size_t n = 0; n < graph->num_nodes; n++) {
		const struct graph_node *node = graph->nodes[n];

		work[n] = (struct roofline_work){0};
		if (node->placement != GRAPH_PLACE_NPU)
			continue;
		work[n].macs = graph_node_macs(node);
		if (work[n].macs && node->inputs[0])
			work[n].mac_size = held_size(&count, node->inputs[0]);
		count_vector(&count, node, &work[n]);
		count_bytes(&count, node, &work[n]);
	}
	free(count.counted);
	return 0;
}

/* ---- of a package ---- */

static enum axl_type type_of_size(unsigned int size)
{
	return size >= 4 ? AXL_TYPE_F32 : size == 2 ? AXL_TYPE_F16 : AXL_TYPE_S8;
}

double roofline_peak_macs(const struct axm *axm, unsigned int size)
{
	return (double)axl_array_rows(type_of_size(size)) * AXL_ARRAY_N * axm->model->tiles;
}

void roofline_of_node(const struct axm *axm, uint32_t node, struct roofline *roofline)
{
	const struct axm_node *from = &axm->nodes[node];

	memset(roofline, 0, sizeof(*roofline));
	if (!axm->regions[from->region].device)
		return;
	roofline->macs = from->macs;
	roofline->vector_ops = from->vector_ops;
	roofline->bytes = from->bytes;
	roofline->operand_bytes = from->operand_bytes;
	roofline->cycles[ROOFLINE_MATRIX] = (double)from->macs / roofline_peak_macs(axm, from->mac_size);
	roofline->cycles[ROOFLINE_VECTOR] =
		(double)from->vector_ops / ((double)axl_vector_lanes(from->vector_size, 1) * axm->model->tiles);
	roofline->cycles[ROOFLINE_MEMORY] = (double)from->bytes / axm->model->dram_rate;
}

void roofline_of_nodes(const struct axm *axm, uint32_t first, uint32_t count, struct roofline *total)
{
	memset(total, 0, sizeof(*total));
	for (uint32_t n = first; n < first + count; n++) {
		struct roofline node;

		roofline_of_node(axm, n, &node);
		total->macs += node.macs;
		total->vector_ops += node.vector_ops;
		total->bytes += node.bytes;
		total->operand_bytes += node.operand_bytes;
		for (int b = 0; b < ROOFLINE_NUM_BOUNDS; b++)
			total->cycles[b] += node.cycles[b];
	}
}

void roofline_of_package(const struct axm *axm, struct roofline *total)
{
	roofline_of_nodes(axm, 0, axm->num_region_nodes, total);
}

const char *roofline_bound_name(enum roofline_bound bound)
{
	static const char *const names[] = {"matrix", "vector", "memory"};

	return names[bound];
}

double roofline_cycles(const struct roofline *roofline, enum roofline_bound *bound)
{
	enum roofline_bound largest = ROOFLINE_MATRIX;

	for (int b = 1; b < ROOFLINE_NUM_BOUNDS; b++)
		if (roofline->cycles[b] > roofline->cycles[largest])
			largest = (enum roofline_bound)b;
	if (bound)
		*bound = largest;
	return roofline->cycles[largest];
}
