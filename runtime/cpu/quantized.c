// SPDX-License-Identifier: MIT
/*
 * QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear.
 *
 * y = saturate(round_half_even(x / scale) + zero) and x = (y - zero) * scale, with one scale and zero point, one for each
 * index of an axis, or one for each block of an axis (quant_runs.h). Float targets round to nearest even instead; which
 * precision x / scale is rounded to is the type of the scale, or the attribute precision.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/quant_input.h"
#include "runtime/cpu/quant_runs.h"
#include "runtime/cpu/row_stats.h"

#define BLOCK 512

/*
 * struct integer_type - how one quantized type is written and read. @scale and @zero advance by @step elements, 0 or 1.
 */
struct integer_type {
	enum dtype dtype;
	int32_t low, high;
	void (*quantize)(int64_t n, const float *x, const float *scale, const int32_t *zero, int64_t step, int32_t low,
			 int32_t high, void *y);
	void (*dequantize)(int64_t n, const void *x, const float *scale, const int32_t *zero, int64_t step, float *y);
};

#define QUANTIZED_TYPE(SUFFIX, TYPE)                                                                                  \
	CPU_CLONES static void quantize_##SUFFIX(int64_t n, const float *x, const float *scale, const int32_t *zero,  \
						 int64_t step, int32_t low, int32_t high, void *y)                    \
	{                                                                                                             \
		TYPE *out = y;                                                                                        \
                                                                                                                      \
		if (step)                                                                                             \
			for (int64_t i = 0; i < n; i++)                                                               \
				out[i] = (TYPE)quant_round(x[i] / scale[i], zero[i], low, high);                      \
		else                                                                                                  \
			for (int64_t i = 0; i < n; i++)                                                               \
				out[i] = (TYPE)quant_round(x[i] / *scale, *zero, low, high);                          \
	}                                                                                                             \
	CPU_CLONES static void dequantize_##SUFFIX(int64_t n, const void *x, const float *scale, const int32_t *zero, \
						   int64_t step, float *y)                                            \
	{                                                                                                             \
		const TYPE *in = x;                                                                                   \
                                                                                                                      \
		if (step)                                                                                             \
			for (int64_t i = 0; i < n; i++)                                                               \
				y[i] = (float)(in[i] - zero[i]) * scale[i];                                           \
		else                                                                                                  \
			for (int64_t i = 0; i < n; i++)                                                               \
				y[i] = (float)(in[i] - *zero) * *scale;                                               \
	}
QUANTIZED_TYPE(u8, uint8_t)
QUANTIZED_TYPE(s8, int8_t)
QUANTIZED_TYPE(u16, uint16_t)
QUANTIZED_TYPE(s16, int16_t)

/* int32 comes without a zero point (a bias); the difference could not wrap. */
CPU_CLONES static void dequantize_s32(int64_t n, const void *x, const float *scale, const int32_t *zero, int64_t step,
				      float *y)
{
	for (int64_t i = 0; i < n; i++)
		y[i] = (float)((int64_t)((const int32_t *)x)[i] - zero[i * step]) * scale[i * step];
}

/* Types of less than a byte lie in whole ones. */
static const struct integer_type integer_types[] = {
	{DTYPE_U8, 0, UINT8_MAX, quantize_u8, dequantize_u8},
	{DTYPE_S8, INT8_MIN, INT8_MAX, quantize_s8, dequantize_s8},
	{DTYPE_U16, 0, UINT16_MAX, quantize_u16, dequantize_u16},
	{DTYPE_S16, INT16_MIN, INT16_MAX, quantize_s16, dequantize_s16},
	{DTYPE_S32, INT32_MIN, INT32_MAX, NULL, dequantize_s32},
	{DTYPE_U4, 0, 15, quantize_u8, dequantize_u8},
	{DTYPE_S4, -8, 7, quantize_s8, dequantize_s8},
	{DTYPE_U2, 0, 3, quantize_u8, dequantize_u8},
	{DTYPE_S2, -2, 1, quantize_s8, dequantize_s8},
};

static const struct integer_type *find_integer(enum dtype dtype)
{
	for (size_t i = 0; i < sizeof(integer_types) / sizeof(integer_types[0]); i++)
		if (integer_types[i].dtype == dtype)
			return &integer_types[i];
	return NULL;
}

/* FLOAT8E8M0 holds scales, never data. */
static bool is_quantized_float(enum dtype dtype)
{
	return dtype_is_narrow_float(dtype) && dtype != DTYPE_F8E8M0;
}

/*
 * struct linear - one call of either operator
 * @integer:   the quantized type, NULL when it is a narrow float
 * @quantized: its dtype
 * @precision: of the quotient: F32, F16 or BF16
 * @result:    type of a dequantized element
 * @scale, @zero: of each run, as float32 and int32 (float32 when the quantized type is a float)
 */
struct linear {
	const struct integer_type *integer;
	enum dtype quantized, precision, result;
	struct cast_rule rule;
	struct quant_runs runs;
	struct tensor scale, zero;
	const char *x;
	char *y;
};

static void finish_linear(struct linear *job)
{
	tensor_finish(&job->scale);
	tensor_finish(&job->zero);
}

/* Scale and zero point as the loops take them, and which of them belongs to which element. */
static int read_parameters(struct op_call *call, const struct tensor *x, struct linear *job)
{
	const struct tensor *scale = call->inputs[1], *zero = op_input(call, 2);
	enum dtype zero_type = job->integer ? DTYPE_S32 : DTYPE_F32;
	struct tensor rounded = {0};
	int err = quant_runs_init(call, x, scale, zero, &job->runs);

	if (err)
		return err;
	/* The scale in the quotient's precision, then as float32 numbers of it. */
	err = tensor_cast(scale, dtype_is_half(job->precision) ? job->precision : DTYPE_F32, &rounded);
	if (!err && rounded.dtype != DTYPE_F32)
		err = tensor_cast(&rounded, DTYPE_F32, &job->scale);
	else if (!err) {
		job->scale = rounded;
		rounded = (struct tensor){0};
	}
	tensor_finish(&rounded);
	if (!err)
		err = zero ? tensor_cast(zero, zero_type, &job->zero)
			   : tensor_init(&job->zero, zero_type, scale->rank, scale->dims);
	return err ? op_fail(call, err, "%s: cannot convert the scale or the zero point", call->node->op_type) : 0;
}

/* ---- QuantizeLinear ---- */

/* x / scale, rounded to the precision of the quotient. */
static void divide_block(const struct linear *job, int64_t n, const float *x, const float *scale, int64_t step,
			 float *quotient)
{
	uint16_t rounded[BLOCK];

	for (int64_t i = 0; i < n; i++)
		quotient[i] = x[i] / scale[i * step];
	if (dtype_is_half(job->precision)) {
		cast_row(DTYPE_F32, job->precision)((size_t)n, quotient, rounded);
		cast_row(job->precision, DTYPE_F32)((size_t)n, rounded, quotient);
	}
}

/* Elements [begin, begin + n) of one run, whose parameters start at @index. */
static void quantize_run(const struct linear *job, int64_t begin, int64_t n, int64_t index, int64_t step)
{
	const float *x = (const float *)job->x + begin, *scale = (const float *)job->scale.data + index;
	char *y = job->y + (size_t)begin * dtype_size(job->quantized);
	const struct integer_type *integer = job->integer;

	if (integer && job->precision == DTYPE_F32) {
		integer->quantize(n, x, scale, (const int32_t *)job->zero.data + index, step, integer->low,
				  integer->high, y);
		return;
	}
	for (int64_t i = 0; i < n; i += BLOCK) {
		int64_t m = n - i < BLOCK ? n - i : BLOCK;
		char *out = y + (size_t)i * dtype_size(job->quantized);
		float quotient[BLOCK];
		const float one = 1;

		divide_block(job, m, x + i, scale + i * step, step, quotient);
		if (integer) {
			const int32_t *zero = (const int32_t *)job->zero.data + index + i * step;

			for (int64_t k = 0; k < m; k++)
				integer->quantize(1, quotient + k, &one, zero + k * step, 0, integer->low,
						  integer->high, out + (size_t)k * dtype_size(job->quantized));
		} else {
			const float *zero = (const float *)job->zero.data + index + i * step;

			/* A zero point of 0 leaves -0 its sign. */
			for (int64_t k = 0; k < m; k++)
				quotient[k] = zero[k * step] != 0 ? quotient[k] + zero[k * step] : quotient[k];
			cast_elements(DTYPE_F32, job->quantized, &job->rule, (size_t)m, quotient, out);
		}
	}
}

static void quantize_range(void *arg, int64_t begin, int64_t end)
{
	const struct linear *job = arg;

	while (begin < end) {
		int64_t index, step, stop = quant_run(&job->runs, begin, end, &index, &step);

		quantize_run(job, begin, stop - begin, index, step);
		begin = stop;
	}
}

/* An attribute that names an element type; @fallback where it is absent or 0. */
static int type_attribute(struct op_call *call, const char *name, enum dtype fallback, enum dtype *type)
{
	int64_t value = op_attr_int(call->node, name, 0);

	*type = value ? (enum dtype)value : fallback;
	if (value && !dtype_is_element(value))
		return op_fail(call, -EINVAL, "%s: attribute %s = %" PRId64 " is no element type", call->node->op_type,
			       name, value);
	return 0;
}

/* The quantized type and the precision of the quotient, from the attributes and the types of scale and zero point. */
static int read_quantize_types(struct op_call *call, struct linear *job)
{
	const struct tensor *zero = op_input(call, 2);
	enum dtype scale = call->inputs[1]->dtype, stated;
	int err = type_attribute(call, "output_dtype", zero ? zero->dtype : DTYPE_U8, &stated);

	if (err)
		return err;
	if (zero && stated != zero->dtype)
		return op_fail(call, -EINVAL, "%s: output_dtype is %s, the zero point is %s", call->node->op_type,
			       dtype_name(stated), dtype_name(zero->dtype));
	job->quantized = stated;
	job->integer = find_integer(stated);
	if (!is_quantized_float(stated) && (!job->integer || !job->integer->quantize))
		return op_fail(call, -EINVAL, "%s: %s is no type to quantize to", call->node->op_type,
			       dtype_name(stated));
	if (scale != DTYPE_F32 && scale != DTYPE_S32 && scale != DTYPE_F8E8M0 && !dtype_is_half(scale))
		return op_fail(call, -EINVAL, "%s: input 1 (the scale) is %s", call->node->op_type, dtype_name(scale));
	err = type_attribute(call, "precision", dtype_is_half(scale) ? scale : DTYPE_F32, &job->precision);
	if (!err && job->precision != DTYPE_F32 && !dtype_is_half(job->precision))
		err = op_fail(call, -ENOTSUP, "%s: a precision of %s", call->node->op_type, dtype_name(job->precision));
	job->rule = (struct cast_rule){.saturate = op_attr_int(call->node, "saturate", 1) != 0};
	return err;
}

/* @x as float32 numbers of the quotient's precision. */
static int convert_input(struct op_call *call, const struct tensor *x, enum dtype precision, struct tensor *x32)
{
	struct tensor rounded;
	int err;

	if (!dtype_is_half(precision) || x->dtype == precision) {
		err = tensor_cast(x, DTYPE_F32, x32);
	} else {
		err = tensor_cast(x, precision, &rounded);
		if (!err)
			err = tensor_cast(&rounded, DTYPE_F32, x32);
		tensor_finish(&rounded);
	}
	return err ? op_fail(call, err, "%s: cannot take %s as float32", call->node->op_type, dtype_name(x->dtype)) : 0;
}

static int run_quantize(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	struct linear job = {0};
	struct tensor x32 = {0};
	int err;

	if (x->dtype != DTYPE_F32 && x->dtype != DTYPE_S32 && !dtype_is_half(x->dtype))
		return op_fail(call, -EINVAL, "%s: input 0 is %s", call->node->op_type, dtype_name(x->dtype));
	err = read_quantize_types(call, &job);
	if (!err)
		err = read_parameters(call, x, &job);
	if (!err)
		err = convert_input(call, x, job.precision, &x32);
	if (!err)
		err = op_output(call, 0, job.quantized, x->rank, x->dims);
	if (!err && op_wanted(call, 0)) {
		job.x = x32.data;
		job.y = call->outputs[0]->data;
		parallel_range(call->pool, tensor_count(x), PARALLEL_GRAIN / 2, quantize_range, &job);
	}
	tensor_finish(&x32);
	finish_linear(&job);
	return err;
}

/* ---- DequantizeLinear ---- */

/* At most BLOCK elements of one run as float32. */
static void dequantize_block(const struct linear *job, int64_t begin, int64_t n, int64_t index, int64_t step, float *y)
{
	const float *scale = (const float *)job->scale.data + index, *zero = (const float *)job->zero.data + index;
	const char *x = job->x + (size_t)begin * dtype_size(job->quantized);

	if (job->integer) {
		job->integer->dequantize(n, x, scale, (const int32_t *)job->zero.data + index, step, y);
		return;
	}
	cast_elements(job->quantized, DTYPE_F32, &job->rule, (size_t)n, x, y);
	for (int64_t i = 0; i < n; i++)
		y[i] = (y[i] - zero[i * step]) * scale[i * step];
}

static void dequantize_run(const struct linear *job, int64_t begin, int64_t n, int64_t index, int64_t step)
{
	char *y = job->y + (size_t)begin * dtype_size(job->result);
	float values[BLOCK];

	if (job->result == DTYPE_F32) {
		dequantize_block(job, begin, n, index, step, (float *)y);
		return;
	}
	for (int64_t i = 0; i < n; i += BLOCK) {
		int64_t m = n - i < BLOCK ? n - i : BLOCK;

		dequantize_block(job, begin + i, m, index + i * step, step, values);
		cast_row(DTYPE_F32, job->result)((size_t)m, values, y + (size_t)i * dtype_size(job->result));
	}
}

static void dequantize_range(void *arg, int64_t begin, int64_t end)
{
	const struct linear *job = arg;

	while (begin < end) {
		int64_t index, step, stop = quant_run(&job->runs, begin, end, &index, &step);

		dequantize_run(job, begin, stop - begin, index, step);
		begin = stop;
	}
}

static int run_dequantize(struct op_call *call)
{
	const struct tensor *x = call->inputs[0], *scale = call->inputs[1], *zero = op_input(call, 2);
	struct linear job = {.integer = find_integer(x->dtype),
			     .quantized = x->dtype,
			     .precision = DTYPE_F32,
			     .rule = cast_default,
			     .x = x->data};
	int err;

	if (!job.integer && !is_quantized_float(x->dtype))
		return op_fail(call, -EINVAL, "%s: input 0 is %s, which is no quantized type", call->node->op_type,
			       dtype_name(x->dtype));
	if (scale->dtype != DTYPE_F32 && scale->dtype != DTYPE_F8E8M0 && !dtype_is_half(scale->dtype))
		return op_fail(call, -EINVAL, "%s: input 1 (the scale) is %s", call->node->op_type,
			       dtype_name(scale->dtype));
	if (zero && zero->dtype != x->dtype)
		return op_fail(call, -EINVAL, "%s: the zero point is %s, the input %s", call->node->op_type,
			       dtype_name(zero->dtype), dtype_name(x->dtype));
	err = type_attribute(call, "output_dtype", scale->dtype, &job.result);
	if (!err && job.result != DTYPE_F32 && !dtype_is_half(job.result))
		err = op_fail(call, -EINVAL, "%s: an output of %s; output_dtype must be a float type",
			      call->node->op_type, dtype_name(job.result));
	if (!err)
		err = read_parameters(call, x, &job);
	if (!err)
		err = op_output(call, 0, job.result, x->rank, x->dims);
	if (!err && op_wanted(call, 0)) {
		job.y = call->outputs[0]->data;
		parallel_range(call->pool, tensor_count(x), PARALLEL_GRAIN / 2, dequantize_range, &job);
	}
	finish_linear(&job);
	return err;
}

/* ---- DynamicQuantizeLinear ---- */

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
	int32_t zero = 0;
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
		zero = quant_round(-low / scale, 0, 0, 255);
	if (op_wanted(call, 1))
		*(float *)call->outputs[1]->data = scale;
	if (op_wanted(call, 2))
		*(uint8_t *)call->outputs[2]->data = (uint8_t)zero;
	if (!op_wanted(call, 0))
		return 0;
	if (scale > 0)
		quantize_u8(n, x->data, &scale, &zero, 0, 0, 255, call->outputs[0]->data);
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
