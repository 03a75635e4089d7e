/* SPDX-License-Identifier: MIT */
/* See fuse.h. */
#include "compiler/fuse/fuse.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/fuse/pattern.h"
#include "compiler/fuse/transformer.h"
#include "compiler/graph/passes.h"

static bool is_conv(const struct graph_node *node)
{
	return node && (is_op(node, "Conv") || is_op(node, "FusedConv"));
}

static void rename_op(struct graph *graph, struct graph_node *node, const char *domain, const char *op_type)
{
	const char *name = graph_intern(graph, op_type), *space = graph_intern(graph, domain);

	if (name && space) {
		node->op_type = name;
		node->domain = space;
		node->opset = *domain ? 1 : node->opset;
	}
}

/* ---- batch normalization into the convolution before it ---- */

static bool constant_f32(const struct graph_node *node, size_t index)
{
	return constant_input(node, index) && node->inputs[index]->constant->dtype == DTYPE_F32;
}

/* @conv's weights to be changed: themselves where nobody else reads them (large networks fold often), else a copy. */
static struct graph_value *own_weights(struct graph *graph, const struct graph_node *conv)
{
	struct graph_value *weights = conv->inputs[1];
	struct tensor copy = {0};

	if (weights->num_uses == 1 && !weights->is_output && weights->constant->owned)
		return weights;
	return tensor_copy(&copy, weights->constant) ? NULL : graph_add_constant(graph, weights->name, &copy);
}

/*
 * @conv computes what @tail computes of it, y = x * factor[c] + shift[c]: weights and bias take it over, and @tail
 * goes.
 */
static int fold_affine(struct graph *graph, struct graph_node *conv, struct graph_node *tail, const double *factor,
		       const double *shift)
{
	struct graph_value *inputs[3] = {conv->inputs[0], own_weights(graph, conv)};
	int64_t channels, per_channel;
	struct tensor bias = {0};
	struct graph_node *new;
	int err;

	if (!inputs[1])
		return -ENOMEM;
	channels = inputs[1]->constant->dims[0];
	per_channel = tensor_count(inputs[1]->constant) / channels;
	err = tensor_init(&bias, DTYPE_F32, 1, &channels);
	if (err)
		return err;
	for (int64_t c = 0; c < channels; c++) {
		double old = conv->num_inputs > 2 && conv->inputs[2] ? tensor_get_f64(conv->inputs[2]->constant, c) : 0;
		float *w = (float *)inputs[1]->constant->data + c * per_channel;

		for (int64_t i = 0; i < per_channel; i++)
			w[i] = (float)(w[i] * factor[c]);
		((float *)bias.data)[c] = (float)(old * factor[c] + shift[c]);
	}
	inputs[2] = graph_add_constant(graph, "bias", &bias);
	if (!inputs[2])
		return -ENOMEM;
	/* A node's inputs can not grow: a new one takes over. */
	new = graph_add_node(graph, conv, conv->domain, conv->op_type, conv->opset, conv->name, 3, inputs, 1,
			     &tail->outputs[0]);
	if (!new)
		return -ENOMEM;
	graph_take_place(new, conv);
	join_origins(graph, new, tail);
	tail->num_outputs = 0;
	for (size_t i = 0; i < tail->num_inputs; i++)
		if (graph_set_input(tail, i, NULL))
			return -ENOMEM;
	err = graph_remove_node(graph, tail);
	return err ? err : graph_remove_node(graph, conv);
}

/* y = x * factor[c] + factor[channels + c] of a normalization whose parameters are constant; malloc'ed, or NULL. */
static double *norm_affine(const struct graph_node *norm, int64_t channels)
{
	double *factor = malloc((size_t)channels * 2 * sizeof(*factor));
	struct op_node op = graph_op_node(norm);
	double epsilon = op_attr_float(&op, "epsilon", 1e-5f);

	for (int64_t c = 0; factor && c < channels; c++) {
		double gamma = tensor_get_f64(norm->inputs[1]->constant, c),
		       beta = tensor_get_f64(norm->inputs[2]->constant, c);
		double mean = tensor_get_f64(norm->inputs[3]->constant, c),
		       variance = tensor_get_f64(norm->inputs[4]->constant, c);

		factor[c] = gamma / sqrt(variance + epsilon);
		factor[channels + c] = beta - mean * factor[c];
	}
	return factor;
}

/* The normalization of inference with constant parameters of @channels numbers each. */
static bool is_constant_norm(const struct graph_node *norm, int64_t channels)
{
	struct op_node op = graph_op_node(norm);
	bool ok = is_op(norm, "BatchNormalization") && !op_attr_int(&op, "training_mode", 0);

	for (size_t i = 1; i < 5 && ok; i++)
		ok = constant_f32(norm, i) && tensor_count(norm->inputs[i]->constant) == channels;
	for (size_t i = 1; ok && i < norm->num_outputs; i++)
		ok = !norm->outputs[i] || (!norm->outputs[i]->num_uses && !norm->outputs[i]->is_output);
	return ok;
}

static int fold_batchnorm(struct graph *graph, struct graph_node *conv, struct graph_node *norm)
{
	int64_t channels = conv->inputs[1]->constant->dims[0];
	double *factor = norm_affine(norm, channels);
	int err;

	if (!factor)
		return -ENOMEM;
	err = fold_affine(graph, conv, norm, factor, factor + channels);
	free(factor);
	return err;
}

int fuse_batchnorm(struct graph *graph)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		struct graph_node *conv = graph->nodes[n], *norm;
		bool ok = is_op(conv, "Conv") && constant_f32(conv, 1);

		ok = ok && (conv->num_inputs < 3 || !conv->inputs[2] || constant_f32(conv, 2));
		norm = ok ? only_reader(conv->outputs[0]) : NULL;
		ok = norm && norm->num_inputs && norm->inputs[0] == conv->outputs[0] &&
		     is_constant_norm(norm, conv->inputs[1]->constant->dims[0]);
		if (ok) {
			int err = fold_batchnorm(graph, conv, norm);

			if (err)
				return err;
			n = n ? n - 1 : 0;
		}
	}
	return graph_sort(graph);
}

/* ---- batch normalizations that have no convolution before them ---- */

/* A depthwise convolution of one tap: the matrix unit does it at its full width, with what follows in the drain. */
static int norm_to_conv(struct graph *graph, struct graph_node *norm, int64_t channels)
{
	int64_t dims[TENSOR_MAX_RANK] = {channels, 1, 1, 1};
	double *factor = norm_affine(norm, channels);
	struct graph_value *inputs[3] = {norm->inputs[0]};
	struct tensor weights = {0}, bias = {0};
	struct graph_node *conv = NULL;
	int err = factor ? 0 : -ENOMEM;

	if (!err)
		err = tensor_init(&weights, DTYPE_F32, norm->inputs[0]->rank, dims);
	if (!err)
		err = tensor_init(&bias, DTYPE_F32, 1, &channels);
	for (int64_t c = 0; c < channels && !err; c++) {
		((float *)weights.data)[c] = (float)factor[c];
		((float *)bias.data)[c] = (float)factor[channels + c];
	}
	free(factor);
	if (err)
		return err;
	inputs[1] = graph_add_constant(graph, norm->name, &weights);
	inputs[2] = graph_add_constant(graph, norm->name, &bias);
	if (inputs[1] && inputs[2])
		conv = graph_add_node(graph, norm, "", "Conv", 11, norm->name, 3, inputs, 1, &norm->outputs[0]);
	if (!conv || graph_node_set_int(graph, conv, "group", channels))
		return -ENOMEM;
	conv->origin = norm->origin;
	norm->num_outputs = 0;
	for (size_t i = 0; i < norm->num_inputs; i++)
		if (graph_set_input(norm, i, NULL))
			return -ENOMEM;
	return graph_remove_node(graph, norm);
}

int fuse_norm(struct graph *graph)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		struct graph_node *norm = graph->nodes[n];
		const struct graph_value *x = norm->num_inputs ? norm->inputs[0] : NULL;

		/* Images only: a convolution has one or two dimensions beside the channels. */
		if (x && x->dtype == DTYPE_F32 && x->rank >= 3 && x->rank <= 4 && x->dims[1] > 0 && !x->constant &&
		    is_constant_norm(norm, x->dims[1])) {
			int err = norm_to_conv(graph, norm, x->dims[1]);

			if (err)
				return err;
		}
	}
	return graph_sort(graph);
}

/* ---- residual additions ---- */

static int fuse_residual(struct graph *graph)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		struct graph_node *conv = graph->nodes[n], *add, *new;
		struct graph_value *other, *inputs[4];

		if (!is_op(conv, "Conv") || !constant_f32(conv, 1))
			continue;
		add = only_reader(conv->outputs[0]);
		if (!is_op(add, "Add") || add->inputs[0] == add->inputs[1])
			continue;
		other = add->inputs[add->inputs[0] == conv->outputs[0]];
		if (other->constant || !same_shape(other, conv->outputs[0]) || !before(other, conv))
			continue;
		inputs[0] = conv->inputs[0];
		inputs[1] = conv->inputs[1];
		inputs[2] = conv->num_inputs > 2 ? conv->inputs[2] : NULL;
		inputs[3] = other;
		new = graph_add_node(graph, conv, "com.microsoft", "FusedConv", 1, conv->name, 4, inputs, 1,
				     &add->outputs[0]);
		if (!new)
			return -ENOMEM;
		graph_take_place(new, conv);
		join_origins(graph, new, add);
		add->num_outputs = 0;
		if (graph_set_input(add, 0, NULL) || graph_set_input(add, 1, NULL) || graph_remove_node(graph, add) ||
		    graph_remove_node(graph, conv) || graph_sort(graph))
			return -ENOMEM;
	}
	return graph_sort(graph);
}

/* ---- activations ---- */

/* activation and activation_params of @node for the activation @act; false when the drain has no such one. */
static bool activation_of(const struct graph_node *act, const char **name, float *params, size_t *count)
{
	struct op_node op = graph_op_node(act);

	*name = act->op_type;
	*count = 0;
	if (*act->domain)
		return false;
	if (is_op(act, "Relu") || is_op(act, "Sigmoid") || is_op(act, "Tanh"))
		return true;
	if (is_op(act, "LeakyRelu")) {
		params[(*count)++] = op_attr_float(&op, "alpha", 0.01f);
		return true;
	}
	*count = 2;
	return is_op(act, "Clip") && clip_limits(act, params);
}

static int fuse_activation(struct graph *graph)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		struct graph_node *node = graph->nodes[n], *act;
		struct op_node op = graph_op_node(node);
		bool gemm = is_op(node, "Gemm");
		const char *name;
		float params[2];
		size_t count;
		int err;

		if (!(is_conv(node) || gemm) || !op_attr_is(&op, "activation", "", "") ||
		    node->outputs[0]->dtype != DTYPE_F32)
			continue;
		act = only_reader(node->outputs[0]);
		if (!act || act->inputs[0] != node->outputs[0] || !activation_of(act, &name, params, &count) ||
		    (gemm && count > 1))
			continue;
		err = graph_node_set_string(graph, node, "activation", name);
		if (!err && count && !gemm)
			err = graph_node_set_floats(graph, node, "activation_params", count, params);
		if (!err && count && gemm)
			err = graph_node_set_float(graph, node, "activation_alpha", params[0]);
		rename_op(graph, node, "com.microsoft", gemm ? "FusedGemm" : "FusedConv");
		if (!err)
			err = take_output(graph, node, act);
		if (err)
			return err;
	}
	return graph_sort(graph);
}

/* ---- multiplications and additions by a constant of each channel, into what is before them ---- */

/* The operand of @tail that is not @value, when it is one number or one for each of @channels (axis 1); else NULL. */
static const struct tensor *channel_constant(const struct graph_node *tail, const struct graph_value *value,
					     int64_t channels)
{
	size_t other = tail->inputs[0] == value;
	const struct tensor *constant;
	int from_right = value->rank - 2;

	if (tail->num_inputs != 2 || tail->inputs[0] == tail->inputs[1] || !constant_f32(tail, other) ||
	    value->rank < 2)
		return NULL;
	constant = tail->inputs[other]->constant;
	if (constant->rank > value->rank)
		return NULL;
	if (tensor_count(constant) == 1)
		return constant;
	/* Aligned at the right: its axis of the channels, and no other, is longer than one. */
	if (tensor_count(constant) != channels || constant->rank <= from_right ||
	    constant->dims[constant->rank - 1 - from_right] != channels)
		return NULL;
	return constant;
}

/* BatchNormalization takes a factor into its scale and bias, an addend into its bias. */
static int fold_into_norm(struct graph *graph, struct graph_node *norm, struct graph_node *tail,
			  const struct tensor *constant)
{
	bool multiply = is_op(tail, "Mul");
	bool single = tensor_count(constant) == 1;

	for (size_t input = multiply ? 1 : 2; input <= 2; input++) {
		struct graph_value *value;
		struct tensor changed = {0};
		int err = tensor_copy(&changed, norm->inputs[input]->constant);

		if (err)
			return err;
		for (int64_t c = 0; c < tensor_count(&changed); c++) {
			float *at = (float *)changed.data + c;
			double number = tensor_get_f64(constant, single ? 0 : c);

			*at = (float)(multiply ? *at * number : *at + number);
		}
		value = graph_add_constant(graph, norm->inputs[input]->name, &changed);
		if (!value || graph_set_input(norm, input, value))
			return -ENOMEM;
	}
	return take_output(graph, norm, tail);
}

static int fold_into_conv(struct graph *graph, struct graph_node *conv, struct graph_node *tail,
			  const struct tensor *constant)
{
	int64_t channels = conv->inputs[1]->constant->dims[0];
	bool multiply = is_op(tail, "Mul"), single = tensor_count(constant) == 1;
	double *factor = malloc((size_t)channels * 2 * sizeof(*factor));
	int err;

	if (!factor)
		return -ENOMEM;
	for (int64_t c = 0; c < channels; c++) {
		double number = tensor_get_f64(constant, single ? 0 : c);

		factor[c] = multiply ? number : 1;
		factor[channels + c] = multiply ? 0 : number;
	}
	err = fold_affine(graph, conv, tail, factor, factor + channels);
	free(factor);
	return err;
}

int fuse_scale(struct graph *graph)
{
	for (size_t n = 0; n < graph->num_nodes; n++) {
		struct graph_node *node = graph->nodes[n], *tail;
		bool conv = is_op(node, "Conv") && constant_f32(node, 1) &&
			    (node->num_inputs < 3 || !node->inputs[2] || constant_f32(node, 2));
		bool norm = is_op(node, "BatchNormalization") && constant_f32(node, 1) && constant_f32(node, 2);
		const struct tensor *constant;
		int err;

		if (!conv && !norm)
			continue;
		for (size_t i = 1; norm && i < node->num_outputs; i++)
			norm = !node->outputs[i] || (!node->outputs[i]->num_uses && !node->outputs[i]->is_output);
		tail = only_reader(node->outputs[0]);
		if ((!conv && !norm) || (!is_op(tail, "Mul") && !is_op(tail, "Add")))
			continue;
		constant = channel_constant(tail, node->outputs[0],
					    conv ? node->inputs[1]->constant->dims[0]
						 : tensor_count(node->inputs[1]->constant));
		if (!constant)
			continue;
		err = conv ? fold_into_conv(graph, node, tail, constant) : fold_into_norm(graph, node, tail, constant);
		if (err || graph_sort(graph))
			return -ENOMEM;
		n = (size_t)-1; /* nodes have moved, and the next constant may follow */
	}
	return 0;
}

const struct fuse_pass fuse_passes[] = {
	{"qdq", PASS_QDQ, fuse_qdq, 0},
	{"constants", PASS_CONSTANTS, graph_fold_constants, 0},
	{"batchnorm", PASS_BATCHNORM, fuse_batchnorm, FUSE_CHANNELS},
	{"scale", PASS_SCALE, fuse_scale, FUSE_CHANNELS},
	{"norm", PASS_NORM, fuse_norm, FUSE_CHANNELS},
	{"concat-relu", PASS_CONCAT_RELU, fuse_concat_relu, FUSE_CHANNELS},
	{"residual", PASS_RESIDUAL, fuse_residual, 0},
	{"activation", PASS_ACTIVATION, fuse_activation, 0},
	{"layernorm", PASS_LAYERNORM, fuse_layer_norm, FUSE_FLOATS},
	{"gelu", PASS_GELU, fuse_gelu, FUSE_FLOATS},
	{"attention", PASS_ATTENTION, fuse_attention, FUSE_FLOATS},
	{"linear", PASS_LINEAR, fuse_linear, FUSE_FLOATS},
	{"shuffle", PASS_SHUFFLE, fuse_shuffle, 0},
	{NULL, NUM_PASSES, NULL, 0},
};

int fuse_run_early(struct graph *graph, unsigned int early, uint32_t disabled)
{
	int err = 0;

	for (const struct fuse_pass *pass = fuse_passes; pass->name && !err; pass++)
		if (pass->early & early && pass_runs(disabled, pass->pass))
			err = pass->run(graph);
	return err;
}
