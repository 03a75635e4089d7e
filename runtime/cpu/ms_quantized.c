// SPDX-License-Identifier: MIT
/*
 * com.microsoft operators on quantized tensors that are others in a row: MatMulIntegerToFloat, DynamicQuantizeMatMul,
 * DynamicQuantizeLSTM, QLinearReduceMean, QLinearWhere, EmbedLayerNormalization and QEmbedLayerNormalization.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/nested.h"
#include "runtime/cpu/quant_input.h"

/* Inputs that are needed although some before them may be left out. */
static int check_required(struct op_call *call, size_t count, const size_t *indices)
{
	for (size_t i = 0; i < count; i++)
		if (!op_input(call, indices[i]))
			return op_fail(call, -EINVAL, "%s: input %zu is required", call->node->op_type, indices[i]);
	return 0;
}

/* ---- products ---- */

static int read_column_scales(struct op_call *call, const struct tensor *t, const char *name, int64_t n)
{
	if (t->dtype == DTYPE_F32 && (tensor_count(t) == 1 || tensor_count(t) == n))
		return 0;
	return op_fail(call, -EINVAL, "%s: %s is not float32, one number or one for each of %lld columns",
		       call->node->op_type, name, (long long)n);
}

/* @y = (@a - @a_zero) * (@b - @b_zero) * scales + bias; zeros and bias may be NULL. */
static int multiply(struct op_call *call, const struct tensor *a, const struct tensor *a_zero, const struct tensor *b,
		    const struct tensor *b_zero, const struct tensor *a_scale, const struct tensor *b_scale,
		    const struct tensor *bias)
{
	const struct tensor *inputs[4] = {a, b, a_zero, b_zero};
	struct tensor sums = {0};
	int64_t n, rows;
	float *y;
	int err = op_nested_simple(call, "MatMulInteger", 10, 4, inputs, &sums);

	if (err)
		return err;
	n = sums.rank ? sums.dims[sums.rank - 1] : 1;
	err = read_column_scales(call, a_scale, "a_scale", 1);
	if (!err)
		err = read_column_scales(call, b_scale, "b_scale", n);
	if (!err && bias && (bias->dtype != DTYPE_F32 || tensor_count(bias) != n))
		err = op_fail(call, -EINVAL, "%s: the bias is not float32 [%lld]", call->node->op_type, (long long)n);
	if (!err)
		err = op_output(call, 0, DTYPE_F32, sums.rank, sums.dims);
	if (err || !op_wanted(call, 0))
		goto out;
	y = call->outputs[0]->data;
	rows = n ? tensor_count(&sums) / n : 0;
	for (int64_t r = 0; r < rows; r++)
		for (int64_t j = 0; j < n; j++) {
			float scale = ((const float *)a_scale->data)[0] *
				      ((const float *)b_scale->data)[tensor_count(b_scale) > 1 ? j : 0];

			y[r * n + j] = (float)((const int32_t *)sums.data)[r * n + j] * scale +
				       (bias ? ((const float *)bias->data)[j] : 0);
		}
out:
	tensor_finish(&sums);
	return err;
}

/* A, B, a_scale, b_scale, a_zero_point?, b_zero_point?, bias? */
static int run_matmul_integer_to_float(struct op_call *call)
{
	return multiply(call, call->inputs[0], op_input(call, 4), call->inputs[1], op_input(call, 5), call->inputs[2],
			call->inputs[3], op_input(call, 6));
}

/* A, B, b_scale, b_zero_point?, bias?: A is quantized to uint8 first, as DynamicQuantizeLinear does. */
static int run_dynamic_quantize_matmul(struct op_call *call)
{
	struct tensor parts[3] = {{0}}, *outputs[3] = {&parts[0], &parts[1], &parts[2]};
	struct nested quantize = {.domain = "",
				  .op_type = "DynamicQuantizeLinear",
				  .opset = 11,
				  .num_inputs = 1,
				  .inputs = call->inputs,
				  .num_outputs = 3,
				  .outputs = outputs};
	int err = op_nested(call, &quantize);

	if (!err)
		err = multiply(call, &parts[0], &parts[2], call->inputs[1], op_input(call, 3), &parts[1],
			       call->inputs[2], op_input(call, 4));
	for (int i = 0; i < 3; i++)
		tensor_finish(&parts[i]);
	return err;
}

/* ---- DynamicQuantizeLSTM ---- */

/*
 * Weights [directions, inputs, 4 * hidden] of 8 bits as float32 [directions, 4 * hidden, inputs], LSTM's layout. Scale and
 * zero point are one a direction, or one a direction and column.
 */
static int dequantize_gates(struct op_call *call, size_t index, size_t scale_index, struct tensor *out)
{
	const struct tensor *w = call->inputs[index], *scale = call->inputs[scale_index];
	const struct tensor *zero = op_input(call, scale_index + 1);
	int64_t d, k, n, step;
	int err = quant_check_bytes(call, index);

	if (err)
		return err;
	if (w->rank != 3)
		return op_fail(call, -EINVAL, "DynamicQuantizeLSTM: input %zu has rank %d, expected 3", index, w->rank);
	d = w->dims[0];
	k = w->dims[1];
	n = w->dims[2];
	step = tensor_count(scale) == d ? 1 : n;
	if (scale->dtype != DTYPE_F32 || tensor_count(scale) != d * step ||
	    (zero && (zero->dtype != w->dtype || tensor_count(zero) != tensor_count(scale))))
		return op_fail(call, -EINVAL, "DynamicQuantizeLSTM: scale and zero point of input %zu do not fit it",
			       index);
	err = tensor_init(out, DTYPE_F32, 3, (int64_t[]){d, n, k});
	for (int64_t i = 0; !err && i < d * k * n; i++) {
		int64_t column = i % n, row = i / n % k, direction = i / n / k;
		int64_t at = step == 1 ? direction : direction * n + column;
		int32_t value = quant_byte(w->dtype, w->data, i) - (zero ? quant_byte(w->dtype, zero->data, at) : 0);

		((float *)out->data)[(direction * n + column) * k + row] =
			(float)value * ((const float *)scale->data)[at];
	}
	return err;
}

/*
 * X, W, R, B?, sequence_lens?, initial_h?, initial_c?, P?, W_scale, W_zero, R_scale, R_zero. The products are those of
 * float32 LSTM with the weights' own values: ONNX Runtime also rounds the activations to 8 bits, which only adds error.
 */
static int run_dynamic_quantize_lstm(struct op_call *call)
{
	struct tensor w = {0}, r = {0};
	const struct tensor *inputs[8];
	struct nested lstm = {.domain = "",
			      .op_type = "LSTM",
			      .opset = 14,
			      .num_attrs = call->node->num_attrs,
			      .attrs = call->node->attrs,
			      .num_inputs = 8,
			      .inputs = inputs,
			      .num_outputs = call->node->num_outputs,
			      .outputs = call->outputs};
	int err = check_required(call, 4, (size_t[]){8, 9, 10, 11});

	if (err)
		return err;
	memcpy(inputs, call->inputs, sizeof(inputs));
	err = dequantize_gates(call, 1, 8, &w);
	if (!err)
		err = dequantize_gates(call, 2, 10, &r);
	inputs[1] = &w;
	inputs[2] = &r;
	if (!err)
		err = op_nested(call, &lstm);
	tensor_finish(&w);
	tensor_finish(&r);
	return err;
}

/* ---- elementwise ---- */

/* Input @index with its scale and zero point (the next two inputs) as floats. */
static int dequantize(struct op_call *call, size_t index, struct tensor *out)
{
	const struct tensor *inputs[3] = {call->inputs[index], call->inputs[index + 1], op_input(call, index + 2)};

	return op_nested_simple(call, "DequantizeLinear", 13, 3, inputs, out);
}

/* Output 0: @value in 8 bits of @type, by the scale at @index and the zero point behind it. */
static int quantize(struct op_call *call, const struct tensor *value, enum dtype type, size_t index)
{
	const struct tensor *inputs[3] = {value, call->inputs[index], op_input(call, index + 1)};
	struct tensor zero = {0};
	int err = 0;

	/* The zero point says the type. */
	if (!inputs[2]) {
		err = tensor_init(&zero, type, 0, NULL);
		inputs[2] = &zero;
	}
	if (!err && op_wanted(call, 0))
		err = op_nested_simple(call, "QuantizeLinear", 13, 3, inputs, call->outputs[0]);
	tensor_finish(&zero);
	return err;
}

/* data, data_scale, data_zero_point?, reduced_scale, reduced_zero_point? */
static int run_qlinear_reduce_mean(struct op_call *call)
{
	struct tensor data = {0}, mean = {0}, *out = &mean;
	const struct tensor *in = &data;
	struct nested reduce = {.domain = "",
				.op_type = "ReduceMean",
				.opset = 13,
				.num_attrs = call->node->num_attrs,
				.attrs = call->node->attrs,
				.num_inputs = 1,
				.inputs = &in,
				.num_outputs = 1,
				.outputs = &out};
	int err = check_required(call, 1, (size_t[]){3});

	if (!err)
		err = dequantize(call, 0, &data);
	if (!err)
		err = op_nested(call, &reduce);
	if (!err)
		err = quantize(call, &mean, call->inputs[0]->dtype, 3);
	tensor_finish(&data);
	tensor_finish(&mean);
	return err;
}

/* condition, X, x_scale, x_zero, Y, y_scale, y_zero, z_scale, z_zero */
static int run_qlinear_where(struct op_call *call)
{
	struct tensor x = {0}, y = {0}, z = {0};
	const struct tensor *inputs[3] = {call->inputs[0], &x, &y};
	int err = dequantize(call, 1, &x);

	if (!err)
		err = dequantize(call, 4, &y);
	if (!err)
		err = op_nested_simple(call, "Where", 9, 3, inputs, &z);
	if (!err)
		err = quantize(call, &z, call->inputs[1]->dtype, 7);
	tensor_finish(&x);
	tensor_finish(&y);
	tensor_finish(&z);
	return err;
}

/* ---- embeddings ---- */

/*
 * struct embedding - a table [words, width] of floats, or of bytes with a scale and a zero point
 * @ids: which row, by position of the sequence; NULL: none is added
 */
struct embedding {
	const struct tensor *table, *ids;
	float scale;
	int32_t zero;
	const char *name;
};

static float embedding_value(const struct embedding *e, int64_t row, int64_t i)
{
	int64_t at = row * e->table->dims[1] + i;

	if (e->table->dtype == DTYPE_F32)
		return ((const float *)e->table->data)[at];
	return (float)(quant_byte(e->table->dtype, e->table->data, at) - e->zero) * e->scale;
}

static int check_embedding(struct op_call *call, const struct embedding *e, int64_t width)
{
	if (!e->table || e->table->rank != 2 || e->table->dims[1] != width)
		return op_fail(call, -EINVAL, "%s: %s_embedding is not [rows, %lld]", call->node->op_type, e->name,
			       (long long)width);
	for (int64_t i = 0; e->ids && i < tensor_count(e->ids); i++)
		if (tensor_get_s64(e->ids, i) < 0 || tensor_get_s64(e->ids, i) >= e->table->dims[0])
			return op_fail(call, -EINVAL, "%s: %s id %lld of %lld", call->node->op_type, e->name,
				       (long long)tensor_get_s64(e->ids, i), (long long)e->table->dims[0]);
	return 0;
}

/* @sum [B, S, width] = word + position + segment. Positions count from 0 in each sequence unless they are given. */
static int sum_embeddings(struct op_call *call, const struct embedding *word, const struct embedding *position,
			  const struct embedding *segment, struct tensor *sum)
{
	const struct tensor *ids = word->ids;
	int64_t width = word->table->rank == 2 ? word->table->dims[1] : 0, dims[3], count = tensor_count(ids);
	int err;

	if (ids->rank != 2 || (segment->ids && !tensor_same_shape(ids, segment->ids)) ||
	    (position->ids && tensor_count(position->ids) != count && tensor_count(position->ids) != ids->dims[1]))
		return op_fail(call, -EINVAL, "%s: ids are not [B, S], all alike", call->node->op_type);
	err = check_embedding(call, word, width);
	if (!err)
		err = check_embedding(call, position, width);
	if (!err && segment->ids)
		err = check_embedding(call, segment, width);
	if (!err && !position->ids && position->table->dims[0] < ids->dims[1])
		err = op_fail(call, -EINVAL, "%s: %lld positions for sequences of %lld", call->node->op_type,
			      (long long)position->table->dims[0], (long long)ids->dims[1]);
	dims[0] = ids->dims[0];
	dims[1] = ids->dims[1];
	dims[2] = width;
	if (!err)
		err = tensor_init(sum, DTYPE_F32, 3, dims);
	for (int64_t i = 0; i < count && !err; i++) {
		int64_t row = i % dims[1];
		float *to = (float *)sum->data + i * width;

		if (position->ids)
			row = tensor_get_s64(position->ids, tensor_count(position->ids) == count ? i : row);
		for (int64_t j = 0; j < width; j++)
			to[j] = embedding_value(word, tensor_get_s64(ids, i), j) + embedding_value(position, row, j) +
				(segment->ids ? embedding_value(segment, tensor_get_s64(segment->ids, i), j) : 0);
	}
	return err;
}

/* Output 0: @sum normalized; output 1: how many words each mask has; output 2: the sum. */
static int finish_embedding(struct op_call *call, const struct tensor *sum, const struct tensor *gamma,
			    const struct tensor *beta, const struct tensor *mask, int64_t batch)
{
	const struct tensor *inputs[3] = {sum, gamma, beta};
	struct attr attrs[] = {attr_int("axis", -1),
			       attr_float("epsilon", op_attr_float(call->node, "epsilon", 1e-12f))};
	struct nested norm = {.domain = "",
			      .op_type = "LayerNormalization",
			      .opset = 17,
			      .num_attrs = 2,
			      .attrs = attrs,
			      .num_inputs = 3,
			      .inputs = inputs,
			      .num_outputs = 1,
			      .outputs = call->outputs};
	int err = op_wanted(call, 0) ? op_nested(call, &norm) : 0;

	if (!err)
		err = op_output(call, 1, DTYPE_S32, 1, &batch);
	if (!err)
		err = op_output(call, 2, DTYPE_F32, sum->rank, sum->dims);
	if (!err && op_wanted(call, 2))
		memcpy(call->outputs[2]->data, sum->data, tensor_bytes(sum));
	if (err || !op_wanted(call, 1))
		return err;
	if (mask && tensor_count(mask) != sum->dims[0] * sum->dims[1])
		return op_fail(call, -EINVAL, "%s: the mask is not [B, S]", call->node->op_type);
	for (int64_t b = 0; b < batch; b++) {
		int32_t words = 0;

		for (int64_t s = 0; mask && s < sum->dims[1]; s++)
			words += tensor_get_s64(mask, b * sum->dims[1] + s) == 1;
		((int32_t *)call->outputs[1]->data)[b] = words;
	}
	return 0;
}

/* input_ids, segment_ids?, word, position, segment?, gamma, beta, mask?, position_ids? */
static int run_embed_layer_normalization(struct op_call *call)
{
	struct embedding word = {.table = op_input(call, 2), .ids = call->inputs[0], .name = "word"};
	struct embedding position = {.table = op_input(call, 3), .ids = op_input(call, 8), .name = "position"};
	struct embedding segment = {.table = op_input(call, 4), .ids = op_input(call, 1), .name = "segment"};
	struct tensor sum = {0};
	int err = check_required(call, 4, (size_t[]){2, 3, 5, 6});

	if (!err)
		err = sum_embeddings(call, &word, &position, &segment, &sum);

	if (!err)
		err = finish_embedding(call, &sum, call->inputs[5], call->inputs[6], op_input(call, 7),
				       call->inputs[0]->dims[0]);
	tensor_finish(&sum);
	return err;
}

static int read_quantized_embedding(struct op_call *call, struct embedding *e, size_t scale, size_t zero)
{
	const struct tensor *s = op_input(call, scale), *z = op_input(call, zero);

	if (!e->table)
		return 0;
	if (!s || !z || s->dtype != DTYPE_F32 || tensor_count(s) != 1 || tensor_count(z) != 1 ||
	    (e->table->dtype != DTYPE_U8 && e->table->dtype != DTYPE_S8) || z->dtype != e->table->dtype)
		return op_fail(call, -EINVAL,
			       "QEmbedLayerNormalization: %s_embedding, its scale and its zero point do not fit",
			       e->name);
	e->scale = ((const float *)s->data)[0];
	e->zero = quant_byte(z->dtype, z->data, 0);
	return 0;
}

/* A vector of bytes with scale and zero point as floats. */
static int dequantize_vector(struct op_call *call, size_t index, size_t scale, size_t zero, struct tensor *out)
{
	const struct tensor *inputs[3] = {call->inputs[index], op_input(call, scale), op_input(call, zero)};

	return op_nested_simple(call, "DequantizeLinear", 13, 3, inputs, out);
}

/*
 * input_ids, segment_ids?, word, position, segment?, gamma, beta, mask?, then scales (8 to 12) and zero points (13 to 17) of
 * word, position, segment, gamma and beta.
 */
static int run_qembed_layer_normalization(struct op_call *call)
{
	struct embedding word = {.table = op_input(call, 2), .ids = call->inputs[0], .name = "word"};
	struct embedding position = {.table = op_input(call, 3), .name = "position"};
	struct embedding segment = {.table = op_input(call, 4), .ids = op_input(call, 1), .name = "segment"};
	struct tensor sum = {0}, gamma = {0}, beta = {0};
	int err = check_required(call, 4, (size_t[]){2, 3, 5, 6});

	if (!err)
		err = read_quantized_embedding(call, &word, 8, 13);
	if (!err)
		err = read_quantized_embedding(call, &position, 9, 14);
	if (!err)
		err = read_quantized_embedding(call, &segment, 10, 15);
	if (!err)
		err = dequantize_vector(call, 5, 11, 16, &gamma);
	if (!err)
		err = dequantize_vector(call, 6, 12, 17, &beta);
	if (!err)
		err = sum_embeddings(call, &word, &position, &segment, &sum);
	if (!err)
		err = finish_embedding(call, &sum, &gamma, &beta, op_input(call, 7), call->inputs[0]->dims[0]);
	tensor_finish(&sum);
	tensor_finish(&gamma);
	tensor_finish(&beta);
	return err;
}

const struct op_kernel ops_ms_quantized[] = {
	{MICROSOFT, "DynamicQuantizeLSTM", 1, 0, 3, 12, 0, 3, run_dynamic_quantize_lstm, NULL, NULL, NULL},
	{MICROSOFT, "DynamicQuantizeMatMul", 1, 0, 3, 5, 1, 1, run_dynamic_quantize_matmul, NULL, NULL, NULL},
	{MICROSOFT, "EmbedLayerNormalization", 1, 0, 1, 9, 1, 3, run_embed_layer_normalization, NULL, NULL, NULL},
	{MICROSOFT, "MatMulIntegerToFloat", 1, 0, 4, 7, 1, 1, run_matmul_integer_to_float, NULL, NULL, NULL},
	{MICROSOFT, "QEmbedLayerNormalization", 1, 0, 1, 18, 1, 2, run_qembed_layer_normalization, NULL, NULL, NULL},
	{MICROSOFT, "QLinearReduceMean", 1, 0, 2, 5, 1, 1, run_qlinear_reduce_mean, NULL, NULL, NULL},
	{MICROSOFT, "QLinearWhere", 1, 0, 9, 9, 1, 1, run_qlinear_where, NULL, NULL, NULL},
};
const size_t ops_ms_quantized_count = sizeof(ops_ms_quantized) / sizeof(ops_ms_quantized[0]);
