/* SPDX-License-Identifier: MIT */
/*
 * From a calibrated float graph to a quantized one.
 *
 * Every float value may get a twin: its quantized form. twin_of() makes one when a quantized operator wants to read a
 * value, float_of() makes the float form when a float operator does; so conversions appear exactly where the two kinds
 * meet.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/graph/passes.h"
#include "compiler/quant/quantize.h"

#define MS "com.microsoft"
#define MAX_CONCAT 32

/* @quantized: NULL while there is none; scale and zero are constants of the graph. @is_float: the float form is
 * computed. */
struct twin {
	struct graph_value *quantized, *scale, *zero;
	float scale_value;
	int zero_value;
	bool is_float;
};

struct rewrite {
	struct graph *graph;
	struct twin *twins; /* by value id, of the values there were at the start */
	size_t num_twins;
	bool failed;
};

/* ---- constants ---- */

static struct graph_value *add_constant(struct rewrite *rw, enum dtype type, int rank, const int64_t *dims,
					const void *data)
{
	struct tensor tensor;
	struct graph_value *value = NULL;

	if (!tensor_init(&tensor, type, rank, dims)) {
		memcpy(tensor.data, data, tensor_bytes(&tensor));
		value = graph_add_constant(rw->graph, NULL, &tensor);
	}
	rw->failed |= !value;
	return value;
}

static struct graph_value *scalar_float(struct rewrite *rw, float x)
{
	return add_constant(rw, DTYPE_F32, 0, NULL, &x);
}

static struct graph_value *scalar_u8(struct rewrite *rw, int x)
{
	uint8_t byte = (uint8_t)x;

	return add_constant(rw, DTYPE_U8, 0, NULL, &byte);
}

static struct graph_value *scalar_s8(struct rewrite *rw, int x)
{
	int8_t byte = (int8_t)x;

	return add_constant(rw, DTYPE_S8, 0, NULL, &byte);
}

/* ---- twins ---- */

/* Scale and zero point for [lo, hi], which always includes 0, so that padding is exact. */
static void choose_scale(float lo, float hi, float *scale, int *zero)
{
	lo = lo < 0 ? lo : 0;
	hi = hi > 0 ? hi : 0;
	*scale = (hi - lo) / 255.0f;
	if (!(*scale > 1e-30f))
		*scale = 1.0f;
	*zero = (int)nearbyintf(-lo / *scale);
	*zero = *zero < 0 ? 0 : *zero > 255 ? 255 : *zero;
}

static struct twin *twin_slot(struct rewrite *rw, const struct graph_value *value)
{
	return (size_t)value->id < rw->num_twins ? &rw->twins[value->id] : NULL;
}

/* The twin's parameters from the range that was seen. */
static bool set_parameters(struct rewrite *rw, struct twin *twin, float lo, float hi)
{
	choose_scale(lo, hi, &twin->scale_value, &twin->zero_value);
	twin->scale = scalar_float(rw, twin->scale_value);
	twin->zero = scalar_u8(rw, twin->zero_value);
	return twin->scale && twin->zero;
}

static struct graph_value *new_value(struct rewrite *rw, const struct graph_value *like, enum dtype type)
{
	struct graph_value *value = graph_add_value(rw->graph, NULL, type, like->rank, like->dims);

	rw->failed |= !value;
	return value;
}

static struct graph_node *add_node(struct rewrite *rw, struct graph_node *before, const char *domain,
				   const char *op_type, int opset, size_t num_inputs, struct graph_value *const *inputs,
				   struct graph_value *output)
{
	struct graph_node *node;
	const char *origin = before ? before->origin : "";

	if (rw->failed || !output)
		return NULL;
	node = graph_add_node(rw->graph, before, domain, op_type, opset, before ? before->name : NULL, num_inputs,
			      inputs, 1, &output);
	rw->failed |= !node;
	if (node)
		node->origin = origin;
	return node;
}

/* Can @value be read as 8-bit: a float32 with a range, not a constant. */
static bool quantizable(const struct rewrite *rw, const struct graph_value *value)
{
	return value && !value->constant && value->dtype == DTYPE_F32 && value->has_range &&
	       (size_t)value->id < rw->num_twins;
}

static struct twin *twin_of(struct rewrite *rw, struct graph_node *before, struct graph_value *value)
{
	struct twin *twin = twin_slot(rw, value);

	if (twin->quantized)
		return twin;
	if (!set_parameters(rw, twin, value->lo, value->hi))
		return twin;
	twin->quantized = new_value(rw, value, DTYPE_U8);
	add_node(rw, before, "", "QuantizeLinear", 13, 3, (struct graph_value *[]){value, twin->scale, twin->zero},
		 twin->quantized);
	return twin;
}

/* A float operator reads a value that is only computed in 8 bits: compute the float form too. */
static void need_float(struct rewrite *rw, struct graph_node *before, struct graph_value *value)
{
	struct twin *twin = value ? twin_slot(rw, value) : NULL;
	struct graph_value *plain;

	if (!twin || !twin->quantized || twin->is_float)
		return;
	plain = new_value(rw, value, DTYPE_F32);
	add_node(rw, before, "", "DequantizeLinear", 13, 3,
		 (struct graph_value *[]){twin->quantized, twin->scale, twin->zero}, plain);
	if (plain)
		rw->failed |= graph_replace_value(rw->graph, value, plain) != 0;
	twin->is_float = true;
}

/* Let @node's output be computed in 8 bits: its twin, with the range of @range_of. */
static struct twin *output_twin(struct rewrite *rw, struct graph_value *output, const struct graph_value *range_of)
{
	struct twin *twin = twin_slot(rw, output);

	if (set_parameters(rw, twin, range_of->lo, range_of->hi))
		twin->quantized = new_value(rw, output, DTYPE_U8);
	twin->is_float = false;
	return twin;
}

/* ---- operators ---- */

/* Weights [oc][...] to int8 with a scale a channel; @stride and @oc_stride say where the elements of channel i lie. */
static struct graph_value *quantize_weights(struct rewrite *rw, const struct tensor *w, int64_t channels,
					    int64_t per_channel, int64_t oc_stride, int64_t stride, float *scales)
{
	struct tensor q;
	struct graph_value *value;

	if (tensor_init(&q, DTYPE_S8, w->rank, w->dims)) {
		rw->failed = true;
		return NULL;
	}
	for (int64_t c = 0; c < channels; c++) {
		const float *from = (const float *)w->data + c * oc_stride;
		int8_t *to = (int8_t *)q.data + c * oc_stride;
		float largest = 0;

		for (int64_t i = 0; i < per_channel; i++)
			largest = fabsf(from[i * stride]) > largest ? fabsf(from[i * stride]) : largest;
		scales[c] = largest > 1e-30f ? largest / 127.0f : 1.0f;
		for (int64_t i = 0; i < per_channel; i++) {
			float x = nearbyintf(from[i * stride] / scales[c]);

			to[i * stride] = (int8_t)(x > 127 ? 127 : x < -127 ? -127 : x);
		}
	}
	value = graph_add_constant(rw->graph, NULL, &q);
	rw->failed |= !value;
	return value;
}

static struct graph_value *quantize_bias(struct rewrite *rw, const struct tensor *bias, int64_t channels, float x_scale,
					 const float *scales, float factor)
{
	int32_t *values = malloc((size_t)channels * sizeof(*values));
	int64_t count = tensor_count(bias);
	struct graph_value *value;

	if (!values) {
		rw->failed = true;
		return NULL;
	}
	for (int64_t c = 0; c < channels; c++) {
		double x = tensor_get_f64(bias, count == 1 ? 0 : c) * (double)factor /
			   ((double)x_scale * (double)scales[c]);

		values[c] = x > 2147483000.0 ? 2147483000 : x < -2147483000.0 ? -2147483000 : (int32_t)lrint(x);
	}
	value = add_constant(rw, DTYPE_S32, 1, &channels, values);
	free(values);
	return value;
}

/* Activations that saturation of the output can do: none, Relu, Clip; the output's range was seen after it. */
static bool saturating(const struct graph_node *node)
{
	struct op_node op = graph_op_node(node);

	return op_attr_is(&op, "activation", "", "") || op_attr_is(&op, "activation", "", "Relu") ||
	       op_attr_is(&op, "activation", "", "Clip");
}

static bool constant_float(const struct graph_node *node, size_t index)
{
	return index < node->num_inputs && node->inputs[index] && node->inputs[index]->constant &&
	       node->inputs[index]->constant->dtype == DTYPE_F32;
}

static bool rewrite_conv(struct rewrite *rw, struct graph_node *node)
{
	bool has_bias = node->num_inputs > 2 && node->inputs[2];
	const struct tensor *w;
	struct graph_node *conv;
	struct twin *x, *y;
	float *scales;
	int64_t channels, per_channel;
	struct graph_value *inputs[9];

	if (!constant_float(node, 1) || (has_bias && !constant_float(node, 2)) ||
	    (node->num_inputs > 3 && node->inputs[3]) || !saturating(node) || !quantizable(rw, node->inputs[0]) ||
	    !quantizable(rw, node->outputs[0]))
		return false;
	w = node->inputs[1]->constant;
	channels = w->dims[0];
	per_channel = tensor_count(w) / channels;
	scales = malloc((size_t)channels * sizeof(*scales));
	if (!scales) {
		rw->failed = true;
		return true;
	}
	x = twin_of(rw, node, node->inputs[0]);
	inputs[3] = quantize_weights(rw, w, channels, per_channel, per_channel, 1, scales);
	inputs[8] = has_bias ? quantize_bias(rw, node->inputs[2]->constant, channels, x->scale_value, scales, 1) : NULL;
	y = output_twin(rw, node->outputs[0], node->outputs[0]);
	inputs[0] = x->quantized;
	inputs[1] = x->scale;
	inputs[2] = x->zero;
	inputs[4] = add_constant(rw, DTYPE_F32, 1, &channels, scales);
	inputs[5] = scalar_s8(rw, 0);
	inputs[6] = y->scale;
	inputs[7] = y->zero;
	free(scales);
	conv = add_node(rw, node, "", "QLinearConv", 10, has_bias ? 9 : 8, inputs, y->quantized);
	for (size_t i = 0; conv && i < node->num_attrs; i++) {
		const struct attr *attr = &node->attrs[i];

		if (attr->type == ATTR_INTS)
			rw->failed |= graph_node_set_ints(rw->graph, conv, attr->name, attr->count, attr->ints) != 0;
		else if (attr->type == ATTR_INT)
			rw->failed |= graph_node_set_int(rw->graph, conv, attr->name, attr->i) != 0;
		else if (!strcmp(attr->name, "auto_pad"))
			rw->failed |= graph_node_set_string(rw->graph, conv, attr->name,
							    graph_intern(rw->graph, attr->s.data)) != 0;
	}
	return true;
}

/* Gemm, FusedGemm and MatMul with a constant matrix become QGemm; MatMul of higher rank QLinearMatMul. */
static bool rewrite_gemm(struct rewrite *rw, struct graph_node *node)
{
	bool matmul = !strcmp(node->op_type, "MatMul"), has_bias = !matmul && node->num_inputs > 2 && node->inputs[2];
	struct op_node op = graph_op_node(node);
	bool trans_b = op_attr_int(&op, "transB", 0) != 0;
	float alpha = op_attr_float(&op, "alpha", 1), beta = op_attr_float(&op, "beta", 1);
	const struct tensor *w;
	struct graph_node *gemm;
	struct twin *x, *y;
	float *scales;
	int64_t k, n;

	if (!constant_float(node, 1) || (has_bias && !constant_float(node, 2)) || op_attr_int(&op, "transA", 0) ||
	    alpha != 1 || !saturating(node) || !quantizable(rw, node->inputs[0]) || !quantizable(rw, node->outputs[0]))
		return false;
	w = node->inputs[1]->constant;
	if (w->rank != 2)
		return false;
	n = w->dims[trans_b ? 0 : 1];
	k = w->dims[trans_b ? 1 : 0];
	if (has_bias && tensor_count(node->inputs[2]->constant) != n && tensor_count(node->inputs[2]->constant) != 1)
		return false;
	scales = malloc((size_t)n * sizeof(*scales));
	if (!scales) {
		rw->failed = true;
		return true;
	}
	x = twin_of(rw, node, node->inputs[0]);
	y = output_twin(rw, node->outputs[0], node->outputs[0]);
	{
		struct graph_value *q = quantize_weights(rw, w, n, k, trans_b ? k : 1, trans_b ? 1 : n, scales);
		struct graph_value *w_scale = add_constant(rw, DTYPE_F32, 1, &n, scales), *w_zero = scalar_s8(rw, 0);
		struct graph_value *bias =
			has_bias ? quantize_bias(rw, node->inputs[2]->constant, n, x->scale_value, scales, beta) : NULL;

		if (matmul)
			gemm = add_node(rw, node, "", "QLinearMatMul", 10, 8,
					(struct graph_value *[]){x->quantized, x->scale, x->zero, q, w_scale, w_zero,
								 y->scale, y->zero},
					y->quantized);
		else
			gemm = add_node(rw, node, MS, "QGemm", 1, 9,
					(struct graph_value *[]){x->quantized, x->scale, x->zero, q, w_scale, w_zero,
								 bias, y->scale, y->zero},
					y->quantized);
		if (gemm && !matmul)
			rw->failed |= graph_node_set_int(rw->graph, gemm, "transB", trans_b) != 0;
	}
	free(scales);
	return true;
}

/* Is it read by Linears only, as their rows? Then integers are what they want. */
static bool read_by_linears(const struct graph_value *value)
{
	for (size_t i = 0; i < value->num_uses; i++)
		if (strcmp(value->uses[i]->op_type, "Linear") || value->uses[i]->inputs[0] != value ||
		    (value->uses[i]->num_inputs > 3 && value->uses[i]->inputs[3] == value))
			return false;
	return value->num_uses && !value->is_output;
}

/*
 * axl Linear becomes QLinear: integers in, and out where only other Linears read them; else floats, in which sums of
 * residuals, normalizations and attention go on. The residual stays float.
 */
static bool rewrite_linear(struct rewrite *rw, struct graph_node *node)
{
	struct graph_value *inputs[10] = {0}, *out = node->outputs[0];
	bool has_bias = node->num_inputs > 2 && node->inputs[2], integers = read_by_linears(out);
	const struct attr *activation;
	struct op_node op = graph_op_node(node);
	struct graph_node *linear;
	const struct tensor *w;
	struct twin *x, *y;
	float *scales;

	if (!constant_float(node, 1) || (has_bias && !constant_float(node, 2)) || !quantizable(rw, node->inputs[0]) ||
	    (integers && !quantizable(rw, out)))
		return false;
	w = node->inputs[1]->constant;
	scales = malloc((size_t)w->dims[1] * sizeof(*scales));
	if (!scales) {
		rw->failed = true;
		return true;
	}
	x = twin_of(rw, node, node->inputs[0]);
	inputs[0] = x->quantized;
	inputs[1] = x->scale;
	inputs[2] = x->zero;
	inputs[3] = quantize_weights(rw, w, w->dims[1], w->dims[0], 1, w->dims[1], scales);
	inputs[4] = add_constant(rw, DTYPE_F32, 1, &w->dims[1], scales);
	inputs[5] = scalar_s8(rw, 0);
	inputs[6] = has_bias ? quantize_bias(rw, node->inputs[2]->constant, w->dims[1], x->scale_value, scales, 1) : NULL;
	free(scales);
	if (node->num_inputs > 3 && node->inputs[3]) {
		need_float(rw, node, node->inputs[3]);
		inputs[7] = node->inputs[3];
	}
	if (integers) {
		y = output_twin(rw, out, out);
		inputs[8] = y->scale;
		inputs[9] = y->zero;
		out = y->quantized;
	}
	linear = add_node(rw, node, "axl", "QLinear", 1, integers ? 10 : 8, inputs, out);
	activation = op_attr(&op, "activation");
	if (linear && activation)
		rw->failed |= graph_node_set_string(rw->graph, linear, "activation",
						    graph_intern(rw->graph, activation->s.data)) != 0;
	if (linear && !integers) /* it writes what @node wrote */
		node->num_outputs = 0;
	return true;
}

/* The single Relu that reads @value, or NULL. */
static struct graph_node *following_relu(const struct graph_value *value)
{
	if (value->num_uses == 1 && !value->is_output && !strcmp(value->uses[0]->op_type, "Relu"))
		return value->uses[0];
	return NULL;
}

static bool rewrite_binary(struct rewrite *rw, struct graph_node *node)
{
	bool add = !strcmp(node->op_type, "Add");
	struct graph_node *relu = following_relu(node->outputs[0]);
	struct graph_value *out = relu ? relu->outputs[0] : node->outputs[0];
	struct twin *a, *b, *y;

	if (!quantizable(rw, node->inputs[0]) || !quantizable(rw, node->inputs[1]) || !quantizable(rw, out))
		return false;
	a = twin_of(rw, node, node->inputs[0]);
	b = twin_of(rw, node, node->inputs[1]);
	y = output_twin(rw, out, out);
	add_node(rw, node, MS, add ? "QLinearAdd" : "QLinearMul", 1, 8,
		 (struct graph_value *[]){a->quantized, a->scale, a->zero, b->quantized, b->scale, b->zero, y->scale,
					  y->zero},
		 y->quantized);
	if (relu)
		relu->data = 1; /* its output has a twin already */
	return true;
}

static bool rewrite_average(struct rewrite *rw, struct graph_node *node)
{
	struct twin *x, *y;
	struct graph_node *pool;

	if (!quantizable(rw, node->inputs[0]) || !quantizable(rw, node->outputs[0]))
		return false;
	x = twin_of(rw, node, node->inputs[0]);
	y = output_twin(rw, node->outputs[0], node->outputs[0]);
	pool = add_node(rw, node, MS, "QLinearGlobalAveragePool", 1, 5,
			(struct graph_value *[]){x->quantized, x->scale, x->zero, y->scale, y->zero}, y->quantized);
	if (pool)
		rw->failed |= graph_node_set_int(rw->graph, pool, "channels_last", 0) != 0;
	return true;
}

static bool rewrite_concat(struct rewrite *rw, struct graph_node *node)
{
	struct graph_value *inputs[2 + 3 * MAX_CONCAT];
	struct op_node op = graph_op_node(node);
	struct graph_node *concat;
	struct twin *y;

	if (node->num_inputs > MAX_CONCAT || !quantizable(rw, node->outputs[0]))
		return false;
	for (size_t i = 0; i < node->num_inputs; i++)
		if (!quantizable(rw, node->inputs[i]))
			return false;
	for (size_t i = 0; i < node->num_inputs; i++) {
		const struct twin *x = twin_of(rw, node, node->inputs[i]);

		inputs[2 + 3 * i] = x->quantized;
		inputs[3 + 3 * i] = x->scale;
		inputs[4 + 3 * i] = x->zero;
	}
	y = output_twin(rw, node->outputs[0], node->outputs[0]);
	inputs[0] = y->scale;
	inputs[1] = y->zero;
	concat = add_node(rw, node, MS, "QLinearConcat", 1, 2 + 3 * node->num_inputs, inputs, y->quantized);
	if (concat)
		rw->failed |= graph_node_set_int(rw->graph, concat, "axis", op_attr_int(&op, "axis", 1)) != 0;
	return true;
}

/* Operators that only choose or move elements: the same node on the quantized value, with the same scale. */
static bool rewrite_moving(struct rewrite *rw, struct graph_node *node)
{
	struct twin *x, *y;
	struct graph_value *inputs[8];
	struct graph_node *moved;

	if (!quantizable(rw, node->inputs[0]) || !quantizable(rw, node->outputs[0]) || node->num_inputs > 8 ||
	    node->num_outputs != 1)
		return false;
	/* What is not in integers yet moves as it is: a mask, say, which would only lose. */
	if (!twin_slot(rw, node->inputs[0])->quantized)
		return false;
	x = twin_of(rw, node, node->inputs[0]);
	y = twin_slot(rw, node->outputs[0]);
	*y = (struct twin){
		.scale = x->scale, .zero = x->zero, .scale_value = x->scale_value, .zero_value = x->zero_value};
	y->quantized = new_value(rw, node->outputs[0], DTYPE_U8);
	memcpy(inputs, node->inputs, node->num_inputs * sizeof(*inputs));
	inputs[0] = x->quantized;
	moved = add_node(rw, node, node->domain, node->op_type, node->opset, node->num_inputs, inputs, y->quantized);
	for (size_t i = 0; moved && i < node->num_attrs; i++) {
		const struct attr *attr = &node->attrs[i];

		if (attr->type == ATTR_INTS)
			rw->failed |= graph_node_set_ints(rw->graph, moved, attr->name, attr->count, attr->ints) != 0;
		else if (attr->type == ATTR_INT)
			rw->failed |= graph_node_set_int(rw->graph, moved, attr->name, attr->i) != 0;
		else if (attr->type == ATTR_STRING)
			rw->failed |= graph_node_set_string(rw->graph, moved, attr->name,
							    graph_intern(rw->graph, attr->s.data)) != 0;
	}
	return true;
}

static bool rewrite_dropout(struct rewrite *rw, struct graph_node *node)
{
	return !graph_node_is_random(node) && rewrite_moving(rw, node);
}

static const struct {
	const char *op_type;
	bool (*rewrite)(struct rewrite *rw, struct graph_node *node);
} rules[] = {
	{"Conv", rewrite_conv},           {"FusedConv", rewrite_conv},
	{"Gemm", rewrite_gemm},           {"FusedGemm", rewrite_gemm},
	{"MatMul", rewrite_gemm},         {"Linear", rewrite_linear},
	{"Add", rewrite_binary},
	{"Mul", rewrite_binary},          {"GlobalAveragePool", rewrite_average},
	{"Concat", rewrite_concat},       {"MaxPool", rewrite_moving},
	{"Reshape", rewrite_moving},      {"Flatten", rewrite_moving},
	{"Transpose", rewrite_moving},    {"Squeeze", rewrite_moving},
	{"Unsqueeze", rewrite_moving},    {"Slice", rewrite_moving},
	{"Identity", rewrite_moving},     {"Dropout", rewrite_dropout},
	{"DepthToSpace", rewrite_moving}, {"SpaceToDepth", rewrite_moving},
};

/* ---- the walk ---- */

static void rewrite_node(struct rewrite *rw, struct graph_node *node)
{
	bool done = node->data != 0;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]) && !done; i++)
		if (!strcmp(rules[i].op_type, node->op_type))
			done = rules[i].rewrite(rw, node);
	for (size_t i = 0; i < node->num_inputs && !done; i++)
		need_float(rw, node, node->inputs[i]);
}

int quant_rewrite(struct graph *graph, char *error, size_t error_size)
{
	struct rewrite rw = {.graph = graph, .num_twins = graph->num_values};
	size_t count = graph->num_nodes;
	struct graph_node **nodes = malloc((count + 1) * sizeof(*nodes));
	int err = -ENOMEM;

	rw.twins = calloc(graph->num_values + 1, sizeof(*rw.twins));
	if (!nodes || !rw.twins)
		goto out;
	for (size_t i = 0; i < rw.num_twins; i++)
		rw.twins[i].is_float = true;
	for (size_t i = 0; i < count; i++) {
		nodes[i] = graph->nodes[i];
		nodes[i]->data = 0;
	}
	for (size_t i = 0; i < count && !rw.failed; i++)
		rewrite_node(&rw, nodes[i]);
	for (size_t i = 0; i < graph->num_outputs && !rw.failed; i++)
		need_float(&rw, NULL, graph->outputs[i]);
	for (size_t i = 0; i < count; i++)
		nodes[i]->data = 0;
	if (!rw.failed)
		err = graph_sort(graph);
out:
	if (err)
		snprintf(error, error_size, "quantization: %s", strerror(-err));
	free(nodes);
	free(rw.twins);
	return err;
}

int quant_split_residuals(struct graph *graph)
{
	for (size_t i = 0; i < graph->num_nodes; i++) {
		struct graph_node *node = graph->nodes[i], *add, *relu;
		struct op_node op = graph_op_node(node);
		struct graph_value *sum, *out, *z;
		bool is_relu = op_attr_is(&op, "activation", "", "Relu");

		if (strcmp(node->op_type, "FusedConv") || node->num_inputs < 4 || !node->inputs[3] ||
		    (!is_relu && !op_attr_is(&op, "activation", "", "")))
			continue;
		/* conv -> sum -> (relu) -> what the fused node wrote */
		out = node->outputs[0];
		z = node->inputs[3];
		sum = graph_add_value(graph, NULL, out->dtype, out->rank, out->dims);
		if (!sum || graph_set_input(node, 3, NULL) || graph_node_set_string(graph, node, "activation", ""))
			return -ENOMEM;
		if (is_relu) {
			struct graph_value *last = graph_add_value(graph, NULL, out->dtype, out->rank, out->dims);

			if (!last || graph_replace_value(graph, out, last))
				return -ENOMEM;
			add = graph_add_node(graph, NULL, "", "Add", 13, node->name, 2,
					     (struct graph_value *[]){out, z}, 1, &sum);
			relu = graph_add_node(graph, NULL, "", "Relu", 13, node->name, 1, &sum, 1, &last);
			if (!relu)
				return -ENOMEM;
			relu->origin = node->origin;
		} else {
			if (graph_replace_value(graph, out, sum))
				return -ENOMEM;
			add = graph_add_node(graph, NULL, "", "Add", 13, node->name, 2,
					     (struct graph_value *[]){out, z}, 1, &sum);
		}
		if (!add)
			return -ENOMEM;
		add->origin = node->origin;
	}
	return graph_sort(graph);
}
