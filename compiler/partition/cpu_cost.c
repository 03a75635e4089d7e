/* SPDX-License-Identifier: MIT */
/* See cpu_cost.h. */
#include "compiler/partition/cpu_cost.h"

#include <string.h>

#include "compiler/graph/passes.h"

static const struct cpu_rate rates[CPU_NUM_CLASSES] = {
#define RATE_ROW(name, unit, call, one, two) {#name, CPU_##unit, call, one, two},
	PARTITION_CPU_RATES(RATE_ROW)
#undef RATE_ROW
};

const struct cpu_rate *cpu_rate_at(size_t index)
{
	return index < CPU_NUM_CLASSES ? &rates[index] : NULL;
}

/* Operators whose name decides. The products are split further by their operands. */
static const struct {
	const char *op_type;
	enum cpu_class class;
} classes[] = {
	{"Conv", CPU_CONV},
	{"FusedConv", CPU_CONV},
	{"ConvTranspose", CPU_CONV},
	{"QLinearConv", CPU_CONV_INT8},
	{"ConvInteger", CPU_CONV_INT8},
	{"Gemm", CPU_PRODUCT},
	{"FusedGemm", CPU_PRODUCT},
	{"MatMul", CPU_PRODUCT},
	{"FusedMatMul", CPU_PRODUCT},
	{"Linear", CPU_PRODUCT},
	{"QGemm", CPU_PRODUCT_INT8},
	{"QLinear", CPU_PRODUCT_INT8},
	{"QLinearMatMul", CPU_PRODUCT_INT8},
	{"MatMulInteger", CPU_PRODUCT_INT8},
	{"Attention", CPU_ATTENTION},
	{"Abs", CPU_STREAM},
	{"Add", CPU_STREAM},
	{"And", CPU_STREAM},
	{"BatchNormalization", CPU_STREAM},
	{"Cast", CPU_STREAM},
	{"CastLike", CPU_STREAM},
	{"Ceil", CPU_STREAM},
	{"Clip", CPU_STREAM},
	{"Div", CPU_STREAM},
	{"Equal", CPU_STREAM},
	{"Floor", CPU_STREAM},
	{"Greater", CPU_STREAM},
	{"GreaterOrEqual", CPU_STREAM},
	{"HardSigmoid", CPU_STREAM},
	{"HardSwish", CPU_STREAM},
	{"LeakyRelu", CPU_STREAM},
	{"Less", CPU_STREAM},
	{"LessOrEqual", CPU_STREAM},
	{"Max", CPU_STREAM},
	{"Mean", CPU_STREAM},
	{"Min", CPU_STREAM},
	{"Mul", CPU_STREAM},
	{"Neg", CPU_STREAM},
	{"Not", CPU_STREAM},
	{"Or", CPU_STREAM},
	{"PRelu", CPU_STREAM},
	{"Reciprocal", CPU_STREAM},
	{"Relu", CPU_STREAM},
	{"Sqrt", CPU_STREAM},
	{"Sub", CPU_STREAM},
	{"Sum", CPU_STREAM},
	{"Where", CPU_STREAM},
	{"Xor", CPU_STREAM},
	{"BiasGelu", CPU_FUNCTION},
	{"Celu", CPU_FUNCTION},
	{"Cos", CPU_FUNCTION},
	{"Cosh", CPU_FUNCTION},
	{"Elu", CPU_FUNCTION},
	{"Erf", CPU_FUNCTION},
	{"Exp", CPU_FUNCTION},
	{"FastGelu", CPU_FUNCTION},
	{"Gelu", CPU_FUNCTION},
	{"Log", CPU_FUNCTION},
	{"Mish", CPU_FUNCTION},
	{"Pow", CPU_FUNCTION},
	{"QuickGelu", CPU_FUNCTION},
	{"Selu", CPU_FUNCTION},
	{"Sigmoid", CPU_FUNCTION},
	{"Sin", CPU_FUNCTION},
	{"Softplus", CPU_FUNCTION},
	{"Swish", CPU_FUNCTION},
	{"Tan", CPU_FUNCTION},
	{"Tanh", CPU_FUNCTION},
	{"InstanceNormalization", CPU_NORMALIZE},
	{"LayerNormalization", CPU_NORMALIZE},
	{"LogSoftmax", CPU_NORMALIZE},
	{"LpNormalization", CPU_NORMALIZE},
	{"RMSNormalization", CPU_NORMALIZE},
	{"SkipLayerNormalization", CPU_NORMALIZE},
	{"Softmax", CPU_NORMALIZE},
	{"AveragePool", CPU_WINDOW},
	{"LRN", CPU_WINDOW},
	{"LpPool", CPU_WINDOW},
	{"MaxPool", CPU_WINDOW},
	{"QLinearAveragePool", CPU_WINDOW},
	{"ArgMax", CPU_REDUCE},
	{"ArgMin", CPU_REDUCE},
	{"GlobalAveragePool", CPU_REDUCE},
	{"GlobalLpPool", CPU_REDUCE},
	{"GlobalMaxPool", CPU_REDUCE},
	{"QLinearGlobalAveragePool", CPU_REDUCE},
	{"QLinearReduceMean", CPU_REDUCE},
	{"ReduceL1", CPU_REDUCE},
	{"ReduceL2", CPU_REDUCE},
	{"ReduceLogSum", CPU_REDUCE},
	{"ReduceLogSumExp", CPU_REDUCE},
	{"ReduceMax", CPU_REDUCE},
	{"ReduceMean", CPU_REDUCE},
	{"ReduceMin", CPU_REDUCE},
	{"ReduceProd", CPU_REDUCE},
	{"ReduceSum", CPU_REDUCE},
	{"ReduceSumSquare", CPU_REDUCE},
	{"DequantizeLinear", CPU_QUANTIZED},
	{"QLinearAdd", CPU_QUANTIZED},
	{"QLinearLeakyRelu", CPU_QUANTIZED},
	{"QLinearMul", CPU_QUANTIZED},
	{"QLinearSigmoid", CPU_QUANTIZED},
	{"QLinearSoftmax", CPU_QUANTIZED},
	{"QuantizeLinear", CPU_QUANTIZED},
	{"Concat", CPU_MOVE},
	{"DepthToSpace", CPU_MOVE},
	{"Expand", CPU_MOVE},
	{"Gather", CPU_MOVE},
	{"Pad", CPU_MOVE},
	{"QLinearConcat", CPU_MOVE},
	{"Resize", CPU_MOVE},
	{"Slice", CPU_MOVE},
	{"SpaceToDepth", CPU_MOVE},
	{"Split", CPU_MOVE},
	{"Tile", CPU_MOVE},
	{"Transpose", CPU_MOVE},
	{"Upsample", CPU_MOVE},
	{"Dropout", CPU_RESHAPE},
	{"Flatten", CPU_RESHAPE},
	{"Identity", CPU_RESHAPE},
	{"Reshape", CPU_RESHAPE},
	{"Squeeze", CPU_RESHAPE},
	{"Unsqueeze", CPU_RESHAPE},
};

/* A group of its own for every channel. */
static bool is_depthwise(const struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	const struct graph_value *x = node->inputs[0];
	int64_t group = op_attr_int(&op, "group", 1);

	return group > 1 && x && x->rank > 1 && x->dims[1] == group;
}

enum cpu_class cpu_class_of(const struct graph_node *node)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (strcmp(classes[i].op_type, node->op_type))
			continue;
		if (classes[i].class == CPU_CONV && is_depthwise(node))
			return CPU_DEPTHWISE;
		if (classes[i].class == CPU_CONV_INT8 && is_depthwise(node))
			return CPU_DEPTHWISE_INT8;
		return classes[i].class;
	}
	return CPU_OTHER;
}

static uint64_t elements(const struct graph_value *value)
{
	return value && graph_value_is_static(value) ? (uint64_t)dims_count(value->rank, value->dims) : 0;
}

static uint64_t list_elements(struct graph_value *const *values, size_t count, bool bytes)
{
	uint64_t total = 0;

	for (size_t i = 0; i < count; i++)
		if (values[i])
			total += elements(values[i]) * (bytes ? dtype_size(values[i]->dtype) : 1);
	return total;
}

/* Values that one output of a window operator reads. */
static uint64_t window_taps(const struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	const int64_t *kernel;
	size_t axes = op_attr_ints(&op, "kernel_shape", &kernel);
	uint64_t taps = axes ? 1 : (uint64_t)op_attr_int(&op, "size", 1);

	for (size_t i = 0; i < axes; i++)
		taps *= (uint64_t)kernel[i];
	return taps;
}

uint64_t cpu_work_of(const struct graph_node *node)
{
	switch (rates[cpu_class_of(node)].unit) {
	case CPU_MACS:
		return graph_node_macs(node);
	case CPU_BYTES:
		return list_elements(node->inputs, node->num_inputs, true) +
		       list_elements(node->outputs, node->num_outputs, true);
	case CPU_INPUTS:
		return node->num_inputs ? elements(node->inputs[0]) : 0;
	case CPU_TAPS:
		return list_elements(node->outputs, 1, false) * window_taps(node);
	default:
		return list_elements(node->outputs, node->num_outputs, false);
	}
}

uint64_t cpu_cost_ns(const struct graph_node *node, unsigned int threads)
{
	const struct cpu_rate *rate = &rates[cpu_class_of(node)];
	double gain = rate->two_fs < rate->one_fs ? (double)rate->one_fs / (double)rate->two_fs - 1 : 0;
	double speed = 1 + gain * (double)(threads ? threads - 1 : 0);

	return rate->call_ns + (uint64_t)((double)cpu_work_of(node) * (double)rate->one_fs / speed / 1e6);
}
