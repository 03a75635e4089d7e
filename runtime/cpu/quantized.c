// SPDX-License-Identifier: MIT
/*
 * QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear.
 *
 * y = saturate(round_half_even(x / scale) + zero) and x = (y - zero) * scale, with one scale and zero point, or one for
 * each index of an axis.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/half.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/quant_input.h"
#include "runtime/cpu/row_stats.h"
#include "runtime/cpu/shape_rules.h"

/*
 * struct integer_type - how one quantized type is written and read
 */
struct integer_type {
	enum dtype dtype;
	int32_t low, high;
	void (*quantize)(int64_t n, const float *x, float scale, int32_t zero, int32_t low, int32_t high, void *y);
	void (*dequantize)(int64_t n, const void *x, float scale, int32_t zero, float *y);
};

#define QUANTIZED_TYPE(SUFFIX, TYPE)                                                                                \
	CPU_CLONES static void quantize_##SUFFIX(int64_t n, const float *x, float scale, int32_t zero, int32_t low, \
						 int32_t high, void *y)                                             \
	{                                                                                                           \
		for (int64_t i = 0; i < n; i++)                                                                     \
			((TYPE *)y)[i] = (TYPE)quant_round(x[i] / scale, zero, low, high);                          \
	}                                                                                                           \
	CPU_CLONES static void dequantize_##SUFFIX(int64_t n, const void *x, float scale, int32_t zero, float *y)   \
	{                                                                                                           \
		for (int64_t i = 0; i < n; i++)                                                                     \
			y[i] = (float)(((const TYPE *)x)[i] - zero) * scale;                                        \
	}
QUANTIZED_TYPE(u8, uint8_t)
QUANTIZED_TYPE(s8, int8_t)
QUANTIZED_TYPE(u16, uint16_t)
QUANTIZED_TYPE(s16, int16_t)

/* int32 comes without a zero point (a bias); the difference could not wrap. */
CPU_CLONES static void dequantize_s32(int64_t n, const void *x, float scale, int32_t zero, float *y)
{
	for (int64_t i = 0; i < n; i++)
		y[i] = (float)((int64_t)((const int32_t *)x)[i] - zero) * scale;
}

static const struct integer_type integer_types[] = {
	{DTYPE_U8, 0, UINT8_MAX, quantize_u8, dequantize_u8},
	{DTYPE_S8, INT8_MIN, INT8_MAX, quantize_s8, dequantize_s8},
	{DTYPE_U16, 0, UINT16_MAX, quantize_u16, dequantize_u16},
	{DTYPE_S16, INT16_MIN, INT16_MAX, quantize_s16, dequantize_s16},
	{DTYPE_S32, INT32_MIN, INT32_MAX, NULL, dequantize_s32},
};

static const struct integer_type *find_type(enum dtype dtype)
{
	for (size_t i = 0; i < sizeof(integer_types) / sizeof(integer_types[0]); i++)
		if (integer_types[i].dtype == dtype)
			return &integer_types[i];
	return NULL;
}

/* Rows of equal scale and zero point: [outer][channels][inner] elements. */
struct linear {
	const struct integer_type *type;
	int64_t channels, inner;
	const float *scale;
	const struct tensor *zero;
	const char *x;
	char *y;
};

static int32_t zero_at(const struct linear *job, int64_t channel)
{
	return job->zero ? (int32_t)tensor_get_s64(job->zero, tensor_count(job->zero) == 1 ? 0 : channel) : 0;
}

/* The part of [begin, end) that lies in one row. */
static int64_t row_end(const struct linear *job, int64_t begin, int64_t end)
{
	int64_t next = (begin / job->inner + 1) * job->inner;

	return next < end ? next : end;
}

static void quantize_range(void *arg, int64_t begin, int64_t end)
{
	const struct linear *job = arg;

	while (begin < end) {
		int64_t stop = row_end(job, begin, end), channel = begin / job->inner % job->channels;

		job->type->quantize(stop - begin, (const float *)job->x + begin, job->scale[channel],
				    zero_at(job, channel), job->type->low, job->type->high,
				    job->y + (size_t)begin * dtype_size(job->type->dtype));
		begin = stop;
	}
}

static void dequantize_range(void *arg, int64_t begin, int64_t end)
{
	const struct linear *job = arg;

	while (begin < end) {
		int64_t stop = row_end(job, begin, end), channel = begin / job->inner % job->channels;

		job->type->dequantize(stop - begin, job->x + (size_t)begin * dtype_size(job->type->dtype),
				      job->scale[channel], zero_at(job, channel), (float *)job->y + begin);
		begin = stop;
	}
}

/* Rows from the shape of @x, the scale and the attribute axis. */
static int read_rows(struct op_call *call, const struct tensor *x, const struct tensor *scale,
		     const struct tensor *zero, struct linear *job)
{
	int64_t count = tensor_count(scale), axis = op_attr_int(call->node, "axis", 1);

	job->channels = 1;
	job->inner = tensor_count(x);
	job->zero = zero;
	if (op_attr_int(call->node, "block_size", 0))
		return op_fail(call, -ENOTSUP, "%s: blocks (block_size) are not implemented", call->node->op_type);
	if (zero && (find_type(zero->dtype) == NULL || tensor_count(zero) != count))
		return op_fail(call, -EINVAL, "%s: the zero point has %lld elements of %s, the scale %lld",
			       call->node->op_type, (long long)tensor_count(zero), dtype_name(zero->dtype),
			       (long long)count);
	if (count == 1)
		return 0;
	if (normalize_axis(&axis, x->rank) || scale->rank != 1 || count != x->dims[axis])
		return op_fail(call, -EINVAL, "%s: the scale has %lld elements, which do not fit axis %lld",
			       call->node->op_type, (long long)count, (long long)axis);
	job->channels = count;
	job->inner = 1;
	for (int i = (int)axis + 1; i < x->rank; i++)
		job->inner *= x->dims[i];
	return 0;
}

/* A float operand as float32: @t itself, or a converted copy in @copy. */
static int as_f32(struct op_call *call, const struct tensor *t, struct tensor *copy)
{
	int err = tensor_cast(t, DTYPE_F32, copy);

	return err ? op_fail(call, err, "%s: cannot take %s as float32", call->node->op_type, dtype_name(t->dtype)) : 0;
}

static int run_quantize(struct op_call *call)
{
	const struct tensor *x = call->inputs[0], *zero = op_input(call, 2);
	enum dtype type = zero ? zero->dtype : (enum dtype)op_attr_int(call->node, "output_dtype", DTYPE_U8);
	struct tensor x32 = {0}, scale32 = {0};
	struct linear job = {.type = find_type(type ? type : DTYPE_U8)};
	int err;

	if (!job.type || !job.type->quantize)
		return op_fail(call, -ENOTSUP, "%s: quantization to %s is not implemented", call->node->op_type,
			       dtype_name(type));
	if (!dtype_is_float(x->dtype) && x->dtype != DTYPE_S32)
		return op_fail(call, -EINVAL, "%s: input 0 is %s", call->node->op_type, dtype_name(x->dtype));
	err = read_rows(call, x, call->inputs[1], zero, &job);
	if (!err)
		err = as_f32(call, x, &x32);
	if (!err)
		err = as_f32(call, call->inputs[1], &scale32);
	if (!err)
		err = op_output(call, 0, job.type->dtype, x->rank, x->dims);
	if (!err && op_wanted(call, 0)) {
		job.x = x32.data;
		job.scale = scale32.data;
		job.y = call->outputs[0]->data;
		parallel_range(call->pool, tensor_count(x), PARALLEL_GRAIN / 2, quantize_range, &job);
	}
	tensor_finish(&scale32);
	tensor_finish(&x32);
	return err;
}

/* float32 results rounded to the type of the scale, when that is a half. */
static int dequantize_to_half(struct op_call *call, struct linear *job, enum dtype type, const struct tensor *x)
{
	struct tensor result;
	int err = tensor_init(&result, DTYPE_F32, x->rank, x->dims);

	if (err)
		return err;
	job->y = result.data;
	parallel_range(call->pool, tensor_count(x), PARALLEL_GRAIN / 2, dequantize_range, job);
	cast_row(DTYPE_F32, type)((size_t)tensor_count(x), result.data, call->outputs[0]->data);
	tensor_finish(&result);
	return 0;
}

static int run_dequantize(struct op_call *call)
{
	const struct tensor *x = call->inputs[0], *scale = call->inputs[1], *zero = op_input(call, 2);
	struct linear job = {.type = find_type(x->dtype), .x = x->data};
	struct tensor scale32 = {0};
	int err;

	if (!job.type)
		return op_fail(call, -ENOTSUP, "%s: %s is not implemented", call->node->op_type, dtype_name(x->dtype));
	if (scale->dtype != DTYPE_F32 && !dtype_is_half(scale->dtype))
		return op_fail(call, -EINVAL, "%s: the scale is %s", call->node->op_type, dtype_name(scale->dtype));
	if (zero && zero->dtype != x->dtype)
		return op_fail(call, -EINVAL, "%s: the zero point is %s, the input %s", call->node->op_type,
			       dtype_name(zero->dtype), dtype_name(x->dtype));
	err = read_rows(call, x, scale, zero, &job);
	if (!err)
		err = as_f32(call, scale, &scale32);
	if (!err)
		err = op_output(call, 0, scale->dtype, x->rank, x->dims);
	if (!err && op_wanted(call, 0)) {
		job.scale = scale32.data;
		job.y = call->outputs[0]->data;
		if (scale->dtype == DTYPE_F32)
			parallel_range(call->pool, tensor_count(x), PARALLEL_GRAIN / 2, dequantize_range, &job);
		else
			err = dequantize_to_half(call, &job, scale->dtype, x);
	}
	tensor_finish(&scale32);
	return err;
}

CPU_CLONES static float row_min(int64_t n, const float *x)
{
	float lanes[16], min = INFINITY;
	int64_t i = 0;

	for (int l = 0; l < 16; l++)
		lanes[l] = INFINITY;
	for (; i + 16 <= n; i += 16)
		for (int l = 0; l < 16; l++)
			lanes[l] = x[i + l] < lanes[l] ? x[i + l] : lanes[l];
	for (; i < n; i++)
		min = x[i] < min ? x[i] : min;
	for (int l = 0; l < 16; l++)
		min = lanes[l] < min ? lanes[l] : min;
	return min;
}

/* The range, with 0 in it, over 255 steps; all-zero data gets scale 0 and zero point 0, as in ONNX Runtime. */
static int run_dynamic_quantize(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	int64_t n = tensor_count(x);
	float low, high, scale;
	uint8_t zero = 0;
	int err;

	if (x->dtype != DTYPE_F32)
		return op_fail(call, -EINVAL, "DynamicQuantizeLinear: input 0 is %s, expected float32",
			       dtype_name(x->dtype));
	err = op_output(call, 0, DTYPE_U8, x->rank, x->dims);
	if (!err)
		err = op_output(call, 1, DTYPE_F32, 0, NULL);
	if (!err)
		err = op_output(call, 2, DTYPE_U8, 0, NULL);
	if (err)
		return err;
	low = row_min(n, x->data);
	high = row_max(n, x->data);
	low = low < 0 ? low : 0;
	high = high > 0 ? high : 0;
	scale = (high - low) / 255;
	if (scale > 0)
		zero = (uint8_t)quant_round(-low / scale, 0, 0, 255);
	if (op_wanted(call, 1))
		*(float *)call->outputs[1]->data = scale;
	if (op_wanted(call, 2))
		*(uint8_t *)call->outputs[2]->data = zero;
	if (!op_wanted(call, 0))
		return 0;
	if (scale > 0)
		quantize_u8(n, x->data, scale, zero, 0, 255, call->outputs[0]->data);
	else
		memset(call->outputs[0]->data, 0, (size_t)n);
	return 0;
}

const struct op_kernel ops_quantized[] = {
	{"", "DequantizeLinear", 10, 0, 2, 3, 1, 1, run_dequantize, NULL, NULL},
	{"", "DynamicQuantizeLinear", 11, 0, 1, 1, 1, 3, run_dynamic_quantize, NULL, NULL},
	{"", "QuantizeLinear", 10, 0, 2, 3, 1, 1, run_quantize, NULL, NULL},
	{"com.microsoft", "DequantizeLinear", 1, 0, 2, 3, 1, 1, run_dequantize, NULL, NULL},
	{"com.microsoft", "QuantizeLinear", 1, 0, 2, 3, 1, 1, run_quantize, NULL, NULL},
};
const size_t ops_quantized_count = sizeof(ops_quantized) / sizeof(ops_quantized[0]);
