/* SPDX-License-Identifier: MIT */
/* DRAIN: one row of channels at a time through the steps of axl_isa.h, in their order. */
#include <string.h>

#include "sim/core/exec_internal.h"

#define CHUNK 512 /* channels at a time */

/* Activations are the vector operations of the same names. */
static const enum axl_vec_op act_ops[AXL_NUM_ACTS] = {
	[AXL_ACT_NONE] = AXL_VEC_COPY,
	[AXL_ACT_RELU] = AXL_VEC_RELU,
	[AXL_ACT_CLIP] = AXL_VEC_CLIP,
	[AXL_ACT_LEAKY] = AXL_VEC_LEAKY,
	[AXL_ACT_HARDSIGMOID] = AXL_VEC_HARDSIGMOID,
	[AXL_ACT_HARDSWISH] = AXL_VEC_HARDSWISH,
	[AXL_ACT_SIGMOID] = AXL_VEC_SIGMOID,
	[AXL_ACT_TANH] = AXL_VEC_TANH,
	[AXL_ACT_GELU] = AXL_VEC_GELU,
	[AXL_ACT_GELU_TANH] = AXL_VEC_GELU_TANH,
	[AXL_ACT_SILU] = AXL_VEC_SILU,
	[AXL_ACT_ELU] = AXL_VEC_ELU,
	[AXL_ACT_SOFTPLUS] = AXL_VEC_SOFTPLUS,
	[AXL_ACT_ERF] = AXL_VEC_ERF,
	[AXL_ACT_EXP] = AXL_VEC_EXP,
};

static float bits_to_float(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

EXEC_CLONES static void bias_int(float *f, const int32_t *acc, const int32_t *bias, size_t count)
{
	for (size_t i = 0; i < count; i++)
		f[i] = (float)(int32_t)((uint32_t)acc[i] + (bias ? (uint32_t)bias[i] : 0));
}

EXEC_CLONES static void bias_float(float *f, const float *acc, const float *bias, size_t count)
{
	for (size_t i = 0; i < count; i++)
		f[i] = bias ? acc[i] + bias[i] : acc[i];
}

EXEC_CLONES static void scale_row(float *f, const float *scale, float one, size_t count)
{
	for (size_t i = 0; i < count; i++)
		f[i] = f[i] * (scale ? scale[i] : one);
}

/* rne(x) + @zero saturates at @lo and @hi. Both are integers: the same whether they are met before rounding or after. */
static inline int saturate(float x, int zero, float least, float most)
{
	float y = x == x ? x : 0;

	y = least > y ? least : y;
	y = most < y ? most : y;
	return (int)__builtin_rintf(y) + zero;
}

/* Clamped as an integer, else the compiler makes float(int(x)) of it, and -0 of what is 0. */
EXEC_CLONES static void requantize_row(float *f, int zero, float scale, int lo, int hi, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int q = saturate(f[i], zero, -1e6f, 1e6f);

		q = q < lo ? lo : q > hi ? hi : q;
		f[i] = (float)(q - zero) * scale;
	}
}

EXEC_CLONES static void quantize_row(uint8_t *dst, const float *f, float divisor, int divide, int zero, int lo, int hi,
				     size_t count)
{
	float least = (float)(lo - zero), most = (float)(hi - zero);

	if (divide)
		for (size_t i = 0; i < count; i++)
			dst[i] = (uint8_t)saturate(f[i] / divisor, zero, least, most);
	else
		for (size_t i = 0; i < count; i++)
			dst[i] = (uint8_t)saturate(f[i], zero, least, most);
}

EXEC_CLONES static void add_residual(float *f, const float *r, int zero, float scale, int ints, size_t count)
{
	for (size_t i = 0; i < count; i++)
		f[i] = f[i] + (ints ? (r[i] - (float)zero) * scale : r[i]);
}

/* Steps 1 to 6 for channels [c0, c0 + count) of position (h, w). */
static void steps(const struct axl_drain *drain, const struct exec_memory *memory, uint32_t h, uint32_t w, uint32_t c0,
		  size_t count, float *f)
{
	const uint8_t *acc =
		memory->acc + drain->acc + ((size_t)h * drain->rows_w + w) * drain->acc_stride + 4 * (size_t)c0;
	const void *bias = drain->dr_flags & AXL_DR_BIAS ? memory->spad + drain->bias + 4 * (size_t)c0 : NULL;
	const void *scale = drain->dr_flags & AXL_DR_SCALE ? memory->spad + drain->scale + 4 * (size_t)c0 : NULL;

	if (drain->acc_type == AXL_TYPE_S32)
		bias_int(f, (const int32_t *)(const void *)acc, bias, count);
	else
		bias_float(f, (const float *)(const void *)acc, bias, count);
	if (scale || drain->dr_flags & AXL_DR_SCALE_IMM)
		scale_row(f, scale, bits_to_float(drain->scale_imm), count);
	if (drain->act1)
		exec_unary_f32(act_ops[drain->act1], f, count, bits_to_float(drain->alpha), bits_to_float(drain->beta));
	if (drain->dr_flags & AXL_DR_MID)
		requantize_row(f, drain->mid_zero, bits_to_float(drain->mid_scale),
			       drain->mid_type == AXL_TYPE_U8 ? 0 : -128, drain->mid_type == AXL_TYPE_U8 ? 255 : 127,
			       count);
	if (drain->dr_flags & AXL_DR_RESIDUAL) {
		size_t size = exec_type_size((enum axl_type)drain->res_type);
		float r[CHUNK];

		exec_to_f32(r,
			    memory->spad + drain->res + (size_t)h * drain->res_stride_h +
				    (size_t)w * drain->res_stride_w + c0 * size,
			    (enum axl_type)drain->res_type, count);
		add_residual(f, r, drain->res_zero, bits_to_float(drain->res_scale), size == 1, count);
	}
	if (drain->act2)
		exec_unary_f32(act_ops[drain->act2], f, count, bits_to_float(drain->alpha2),
			       bits_to_float(drain->beta2));
}

/* Step 8: convert and store. */
static void store_row(const struct axl_drain *drain, const struct exec_memory *memory, uint32_t h, uint32_t w,
		      uint32_t c0, size_t count, const float *f)
{
	size_t size = exec_type_size((enum axl_type)drain->out_type);
	uint8_t *out = memory->spad + drain->out + (size_t)h * drain->out_stride_h + (size_t)w * drain->out_stride_w +
		       c0 * size;

	if (size != 1) {
		exec_from_f32(out, (enum axl_type)drain->out_type, f, count);
		return;
	}
	quantize_row(out, f, bits_to_float(drain->out_scale), drain->dr_flags & AXL_DR_OUT_SCALE, drain->out_zero,
		     drain->out_type == AXL_TYPE_U8 ? 0 : -128, drain->out_type == AXL_TYPE_U8 ? 255 : 127, count);
	for (size_t i = 0; drain->dr_flags & AXL_DR_TABLE && i < count; i++)
		out[i] = memory->spad[drain->table + out[i]];
}

/* Accumulators as they are, plus the bias. */
static void store_raw(const struct axl_drain *drain, const struct exec_memory *memory, uint32_t h, uint32_t w)
{
	const uint8_t *acc = memory->acc + drain->acc + ((size_t)h * drain->rows_w + w) * drain->acc_stride;
	uint8_t *out = memory->spad + drain->out + (size_t)h * drain->out_stride_h + (size_t)w * drain->out_stride_w;
	const uint8_t *bias = memory->spad + drain->bias;

	for (uint32_t c = 0; c < drain->n; c++) {
		uint32_t sum, add = 0;

		memcpy(&sum, acc + 4 * (size_t)c, 4);
		if (drain->dr_flags & AXL_DR_BIAS)
			memcpy(&add, bias + 4 * (size_t)c, 4);
		sum += add;
		memcpy(out + 4 * (size_t)c, &sum, 4);
	}
}

static void pool_position(const struct axl_drain *drain, const struct exec_memory *memory, uint32_t oh, uint32_t ow,
			  uint32_t c0, size_t count)
{
	unsigned int ph = drain->pool_hw >> 4, pw = drain->pool_hw & 15, sh = drain->pool_stride >> 4,
		     sw = drain->pool_stride & 15;
	float sum[CHUNK], f[CHUNK];

	for (unsigned int y = 0; y < ph; y++)
		for (unsigned int x = 0; x < pw; x++) {
			steps(drain, memory, oh * sh + y, ow * sw + x, c0, count, f);
			for (size_t i = 0; i < count; i++) {
				float prior = y + x                              ? sum[i]
					      : drain->pool_kind == AXL_POOL_MAX ? -__builtin_inff()
										 : 0.0f;

				if (drain->pool_kind == AXL_POOL_AVG)
					sum[i] = prior + f[i];
				else
					sum[i] = f[i] != f[i] || prior != prior ? __builtin_nanf("")
						 : f[i] > prior                 ? f[i]
										: prior;
			}
		}
	if (drain->pool_kind == AXL_POOL_AVG)
		scale_row(sum, NULL, bits_to_float(drain->pool_scale), count);
	store_row(drain, memory, oh, ow, c0, count, sum);
}

void exec_drain(const struct axl_drain *drain, const struct exec_memory *memory)
{
	unsigned int ph = drain->pool_hw >> 4, pw = drain->pool_hw & 15, sh = drain->pool_stride >> 4,
		     sw = drain->pool_stride & 15;
	uint32_t rows = ph ? (drain->rows_h - ph) / sh + 1 : drain->rows_h,
		 cols = ph ? (drain->rows_w - pw) / sw + 1 : drain->rows_w;

	for (uint32_t h = 0; h < rows; h++)
		for (uint32_t w = 0; w < cols; w++) {
			if (drain->out_type == AXL_TYPE_S32) {
				store_raw(drain, memory, h, w);
				continue;
			}
			for (uint32_t c0 = 0; c0 < drain->n; c0 += CHUNK) {
				size_t count = drain->n - c0 < CHUNK ? drain->n - c0 : CHUNK;
				float f[CHUNK];

				if (ph) {
					pool_position(drain, memory, h, w, c0, count);
					continue;
				}
				steps(drain, memory, h, w, c0, count, f);
				store_row(drain, memory, h, w, c0, count, f);
			}
		}
}
