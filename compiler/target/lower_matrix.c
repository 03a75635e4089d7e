/* SPDX-License-Identifier: MIT */
/* Types and post-processing of matrix work; see lower_matrix.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/target/lower_matrix.h"

static uint32_t float_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

struct dev_tensor matrix_image(const struct dev_tensor *tensor)
{
	struct dev_tensor view = {.type = tensor->type, .rank = WORK_RANK, .place = tensor->place};
	static const int from_2d[WORK_RANK] = {0, 2, 3, 1}, from_1d[WORK_RANK] = {0, 2, -1, 1};
	const int *from = tensor->rank == 4 ? from_2d : from_1d;

	for (int d = 0; d < WORK_RANK; d++) {
		view.dims[d] = from[d] < 0 ? 1 : tensor->dims[from[d]];
		view.stride[d] = from[d] < 0 ? 0 : tensor->stride[from[d]];
	}
	return view;
}

void matrix_tables_finish(struct matrix_tables *tables)
{
	free(tables->bias);
	free(tables->scale);
	memset(tables, 0, sizeof(*tables));
}

int matrix_zero_uniform(const struct graph_value *value)
{
	int64_t count;

	if (!value)
		return 0;
	if (!value->constant)
		return -ENOTSUP;
	count = tensor_count(value->constant);
	for (int64_t i = 1; i < count; i++)
		if (tensor_get_s64(value->constant, i) != tensor_get_s64(value->constant, 0))
			return -ENOTSUP;
	return 0;
}

static int zero_of(const struct graph_value *value)
{
	return value && value->constant ? (int)tensor_get_s64(value->constant, 0) : 0;
}

int matrix_set_types(struct lower *lower, struct matrix_work *work, const struct graph_value *x, enum dtype w,
		     const struct graph_value *y)
{
	enum axl_type type = lower_type(lower, x->dtype), out = lower_type(lower, y->dtype);

	if (type >= AXL_NUM_TYPES || out >= AXL_NUM_TYPES)
		return -ENOTSUP;
	work->a_type = type;
	work->w_type = w == DTYPE_U8 ? AXL_TYPE_U8 : w == DTYPE_S8 ? AXL_TYPE_S8 : type;
	work->post.acc_type = type == AXL_TYPE_U8 || type == AXL_TYPE_S8 ? AXL_TYPE_S32 : AXL_TYPE_F32;
	work->post.out_type = (uint8_t)out;
	if (work->z.rank) {
		work->post.res_type = (uint8_t)(work->post.acc_type == AXL_TYPE_F32 ? type : work->z.type);
		work->post.dr_flags |= AXL_DR_RESIDUAL;
	}
	return 0;
}

void matrix_estimate_types(struct matrix_work *work, enum dtype x, enum lower_precision precision)
{
	static const enum axl_type held[] = {
		[LOWER_F32] = AXL_TYPE_F32, [LOWER_F16] = AXL_TYPE_F16, [LOWER_BF16] = AXL_TYPE_BF16};

	work->a_type = x == DTYPE_U8 ? AXL_TYPE_U8 : x == DTYPE_S8 ? AXL_TYPE_S8 : held[precision];
	work->w_type = work->a_type;
	work->post.out_type = (uint8_t)work->a_type;
}

void matrix_set_zeros(struct matrix_work *work, const struct graph_value *a_zero, const struct graph_value *w_zero)
{
	work->a_zero = zero_of(a_zero);
	work->w_zero = zero_of(w_zero);
}

/* The scale of each output channel: x_scale * w_scale / @divisor, in floats, as the definition rounds. */
static int set_scales(struct matrix_work *work, struct matrix_tables *tables, const struct graph_value *x_scale,
		      const struct graph_value *w_scale, float divisor)
{
	float sx = (float)tensor_get_f64(x_scale->constant, 0);
	int64_t count = tensor_count(w_scale->constant);

	if (count != 1 && count != work->oc)
		return -EINVAL;
	tables->scale = malloc((size_t)work->oc * sizeof(float));
	if (!tables->scale)
		return -ENOMEM;
	for (int64_t i = 0; i < work->oc; i++) {
		float product = sx * (float)tensor_get_f64(w_scale->constant, count == 1 ? 0 : i);

		tables->scale[i] = product / divisor;
	}
	work->scale = tables->scale;
	work->post.dr_flags |= AXL_DR_SCALE;
	return 0;
}

int matrix_set_requantize(struct matrix_work *work, struct matrix_tables *tables, const struct graph_value *x_scale,
			  const struct graph_value *x_zero, const struct graph_value *w_scale,
			  const struct graph_value *w_zero, const struct graph_value *y_scale,
			  const struct graph_value *y_zero)
{
	matrix_set_zeros(work, x_zero, w_zero);
	work->post.out_zero = (int16_t)zero_of(y_zero);
	return set_scales(work, tables, x_scale, w_scale, (float)tensor_get_f64(y_scale->constant, 0));
}

int matrix_set_rescale(struct matrix_work *work, struct matrix_tables *tables, const struct graph_value *x_scale,
		       const struct graph_value *x_zero, const struct graph_value *w_scale,
		       const struct graph_value *w_zero, const struct graph_value *y_scale,
		       const struct graph_value *y_zero)
{
	matrix_set_zeros(work, x_zero, w_zero);
	if (y_scale) {
		work->post.dr_flags |= AXL_DR_OUT_SCALE;
		work->post.out_scale = float_bits((float)tensor_get_f64(y_scale->constant, 0));
		work->post.out_zero = (int16_t)zero_of(y_zero);
	}
	return set_scales(work, tables, x_scale, w_scale, 1);
}

int matrix_set_bias(struct matrix_work *work, struct matrix_tables *tables, const struct graph_value *bias,
		    float factor)
{
	bool integer = work->post.acc_type == AXL_TYPE_S32;
	int64_t count;

	if (!bias)
		return 0;
	count = tensor_count(bias->constant);
	if (count != 1 && count != work->oc)
		return -EINVAL;
	tables->bias = malloc((size_t)work->oc * 4);
	if (!tables->bias)
		return -ENOMEM;
	for (int64_t i = 0; i < work->oc; i++) {
		if (integer)
			((int32_t *)tables->bias)[i] = (int32_t)tensor_get_s64(bias->constant, count == 1 ? 0 : i);
		else
			((float *)tables->bias)[i] = (float)tensor_get_f64(bias->constant, count == 1 ? 0 : i) * factor;
	}
	work->bias = tables->bias;
	work->post.dr_flags |= AXL_DR_BIAS;
	return 0;
}

/* Activations by ONNX's names; parameters in the order of activation_params, with ONNX's defaults. */
static const struct {
	const char *name;
	enum axl_act act;
	float alpha, beta;
} activations[] = {
	{"Relu", AXL_ACT_RELU, 0, 0},
	{"Clip", AXL_ACT_CLIP, -3.402823466e+38f, 3.402823466e+38f},
	{"LeakyRelu", AXL_ACT_LEAKY, 0.01f, 0},
	{"HardSigmoid", AXL_ACT_HARDSIGMOID, 0.2f, 0.5f},
	{"HardSwish", AXL_ACT_HARDSWISH, 1.0f / 6, 0.5f},
	{"Sigmoid", AXL_ACT_SIGMOID, 0, 0},
	{"Tanh", AXL_ACT_TANH, 0, 0},
	{"Gelu", AXL_ACT_GELU, 0, 0},
	{"FastGelu", AXL_ACT_GELU_TANH, 0, 0},
	{"Elu", AXL_ACT_ELU, 1, 0},
	{"Softplus", AXL_ACT_SOFTPLUS, 0, 0},
	{"Swish", AXL_ACT_SILU, 0, 0},
};

static int find_activation(const struct graph_node *node)
{
	struct op_node op = graph_op_node(node);

	for (size_t i = 0; i < sizeof(activations) / sizeof(activations[0]); i++)
		if (op_attr_is(&op, "activation", "", activations[i].name))
			return (int)i;
	return -1;
}

int matrix_activation_supported(const struct graph_node *node, char *reason, size_t size)
{
	struct op_node op = graph_op_node(node);

	if (op_attr_is(&op, "activation", "", "") || find_activation(node) >= 0)
		return 0;
	snprintf(reason, size, "its activation is not one of the drain stage's");
	return -ENOTSUP;
}

int matrix_set_activation(struct matrix_work *work, const struct graph_node *node, bool residual)
{
	struct op_node op = graph_op_node(node);
	const struct attr *params = op_attr(&op, "activation_params");
	int index = find_activation(node);
	uint32_t alpha, beta;

	if (op_attr_is(&op, "activation", "", ""))
		return 0;
	if (index < 0)
		return -ENOTSUP;
	/* FusedConv has a list, FusedGemm two attributes. */
	alpha = float_bits(params && params->count > 0
				   ? params->floats[0]
				   : op_attr_float(&op, "activation_alpha", activations[index].alpha));
	beta = float_bits(params && params->count > 1 ? params->floats[1]
						      : op_attr_float(&op, "activation_beta", activations[index].beta));
	if (residual) {
		work->post.act2 = (uint8_t)activations[index].act;
		work->post.alpha2 = alpha;
		work->post.beta2 = beta;
	} else {
		work->post.act1 = (uint8_t)activations[index].act;
		work->post.alpha = alpha;
		work->post.beta = beta;
	}
	return 0;
}
