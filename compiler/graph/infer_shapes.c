/* SPDX-License-Identifier: MIT */
/* What is known of an operator's output shape without running it; see infer.h. */
#include "compiler/graph/infer.h"

#include <string.h>

#include "runtime/cpu/shape_rules.h"

/* ---- formulas, where a run would be slow ---- */

/* Attribute list entry @i, or @fallback. */
static int64_t list_entry(const struct op_node *op, const char *name, size_t i, int64_t fallback)
{
	const int64_t *values;
	size_t count = op_attr_ints(op, name, &values);

	return i < count ? values[i] : fallback;
}

static enum auto_pad auto_pad_of(const struct op_node *op)
{
	const struct attr *attr = op_attr(op, "auto_pad");
	enum auto_pad mode = AUTO_PAD_NOTSET;

	if (attr && attr->type == ATTR_STRING)
		auto_pad_parse(attr->s.data, attr->s.size, &mode);
	return mode;
}

/* Conv, FusedConv, QLinearConv, ConvInteger, pools: spatial sizes by conv_output_dim(). */
static bool infer_window(const struct graph_node *node, const struct graph_value *x, const struct graph_value *w,
			 enum dtype type)
{
	struct op_node op = graph_op_node(node);
	int spatial = x->rank - 2;
	int64_t dims[TENSOR_MAX_RANK];
	enum auto_pad mode = auto_pad_of(&op);

	if (spatial < 1 || (w && w->rank != x->rank) || (!w && !op_attr(&op, "kernel_shape")))
		return false;
	dims[0] = x->dims[0];
	dims[1] = w ? w->dims[0] : x->dims[1];
	for (int i = 0; i < spatial; i++) {
		int64_t kernel = w ? w->dims[2 + i] : list_entry(&op, "kernel_shape", (size_t)i, 1);
		int64_t stride = list_entry(&op, "strides", (size_t)i, 1),
			dilation = list_entry(&op, "dilations", (size_t)i, 1);
		int64_t lo = list_entry(&op, "pads", (size_t)i, 0),
			hi = list_entry(&op, "pads", (size_t)(i + spatial), 0);

		if (auto_pad_resolve(mode, x->dims[2 + i], kernel, stride, dilation, &lo, &hi))
			return false;
		dims[2 + i] = conv_output_dim(x->dims[2 + i], kernel, stride, dilation, lo, hi,
					      op_attr_int(&op, "ceil_mode", 0) != 0);
		if (dims[2 + i] < 1)
			return false;
	}
	graph_set_shape(node->outputs[0], type, x->rank, dims);
	return true;
}

static bool infer_conv(const struct graph_node *node)
{
	return infer_window(node, node->inputs[0], node->inputs[1], node->inputs[0]->dtype);
}

static bool infer_pool(const struct graph_node *node)
{
	return node->num_outputs == 1 && infer_window(node, node->inputs[0], NULL, node->inputs[0]->dtype);
}

static bool infer_gemm(const struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	const struct graph_value *a = node->inputs[0], *b = node->inputs[1];
	bool ta = op_attr_int(&op, "transA", 0) != 0, tb = op_attr_int(&op, "transB", 0) != 0;
	int64_t dims[2];

	if (a->rank != 2 || b->rank != 2 || a->dims[ta ? 0 : 1] != b->dims[tb ? 1 : 0])
		return false;
	dims[0] = a->dims[ta ? 1 : 0];
	dims[1] = b->dims[tb ? 0 : 1];
	graph_set_shape(node->outputs[0], a->dtype, 2, dims);
	return true;
}

static bool infer_same(const struct graph_node *node)
{
	graph_set_shape(node->outputs[0], node->inputs[0]->dtype, node->inputs[0]->rank, node->inputs[0]->dims);
	return node->num_outputs == 1;
}

/* Not by a run: the zeros of a string tensor are no numbers. */
static bool infer_cast(const struct graph_node *node)
{
	struct op_node op = graph_op_node(node);
	int64_t to = node->num_inputs > 1 ? node->inputs[1]->dtype : op_attr_int(&op, "to", DTYPE_UNDEFINED);

	if (to < 0 || to > INT32_MAX || !dtype_size((enum dtype)to))
		return false;
	graph_set_shape(node->outputs[0], (enum dtype)to, node->inputs[0]->rank, node->inputs[0]->dims);
	return true;
}

/* Batched product of two matrices; vectors and mismatches are left to the kernel. */
static bool infer_matmul(const struct graph_node *node)
{
	const struct graph_value *a = node->inputs[0], *b = node->inputs[1];
	int64_t dims[TENSOR_MAX_RANK];
	int rank;

	if (a->rank < 2 || b->rank < 2 || a->dims[a->rank - 1] != b->dims[b->rank - 2] ||
	    broadcast_dims(a->rank - 2, a->dims, b->rank - 2, b->dims, &rank, dims))
		return false;
	dims[rank] = a->dims[a->rank - 2];
	dims[rank + 1] = b->dims[b->rank - 1];
	graph_set_shape(node->outputs[0], a->dtype, rank + 2, dims);
	return true;
}

static const struct {
	const char *op_type;
	bool (*infer)(const struct graph_node *node);
} formulas[] = {
	{"Conv", infer_conv}, {"FusedConv", infer_conv}, {"MaxPool", infer_pool},  {"AveragePool", infer_pool},
	{"Gemm", infer_gemm}, {"FusedGemm", infer_gemm}, {"Linear", infer_matmul}, {"MatMul", infer_matmul},
	{"Relu", infer_same}, {"Cast", infer_cast},      {"CastLike", infer_cast}, {"BatchNormalization", infer_same},
	{"LRN", infer_same},  {"Softmax", infer_same},
};

bool graph_infer_formula(const struct graph_node *node)
{
	if (!node->num_inputs || !node->inputs[0])
		return false;
	for (size_t i = 0; i < sizeof(formulas) / sizeof(formulas[0]); i++)
		if (!strcmp(formulas[i].op_type, node->op_type) && formulas[i].infer(node))
			return true;
	return false;
}

/* ---- operators whose shape depends on what is in an input, not only on its shape ---- */

static const struct {
	const char *op_type;
	unsigned int inputs; /* bit i: input i must be constant; ~0: the shape depends on data in any case */
} by_value[] = {
	{"Reshape", 2},
	{"Expand", 2},
	{"Tile", 2},
	{"ConstantOfShape", 1},
	{"Range", 7},
	{"Slice", 30},
	{"Resize", 14},
	{"Upsample", 2},
	{"Pad", 10},
	{"TopK", 2},
	{"OneHot", 2},
	{"Squeeze", 2},
	{"Unsqueeze", 2},
	{"Split", 2},
	{"NonZero", ~0u},
	{"Unique", ~0u},
	{"Compress", ~0u},
	{"NonMaxSuppression", ~0u},
	{"ReduceSum", 2},
	{"ReduceMean", 2},
	{"ReduceMax", 2},
	{"ReduceMin", 2},
	{"ReduceProd", 2},
	{"ReduceL1", 2},
	{"ReduceL2", 2},
	{"ReduceSumSquare", 2},
	{"ReduceLogSum", 2},
	{"ReduceLogSumExp", 2},
	{"CenterCropPad", 2},
	{"AffineGrid", 2},
	{"BlackmanWindow", 1},
	{"Col2Im", 6},
	{"DFT", 6},
	{"HammingWindow", 1},
	{"HannWindow", 1},
	{"ImageDecoder", ~0u},
	{"MaxUnpool", 4},
	{"MelWeightMatrix", 31},
	{"STFT", 10},
	{"StringNormalizer", ~0u},
	{"StringSplit", ~0u},
	{"OneHotEncoder", 1},
	{"SplitToSequence", 2},
	{"ExpandDims", 2},
	{"GroupQueryAttention", 96},
};

bool graph_shape_needs_data(const struct graph_node *node)
{
	for (size_t i = 0; i < sizeof(by_value) / sizeof(by_value[0]); i++) {
		if (strcmp(by_value[i].op_type, node->op_type))
			continue;
		if (by_value[i].inputs == ~0u)
			return true;
		for (size_t k = 0; k < node->num_inputs && k < 32; k++)
			if (by_value[i].inputs >> k & 1 && node->inputs[k] && !node->inputs[k]->constant)
				return true;
	}
	return false;
}
