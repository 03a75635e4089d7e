/* SPDX-License-Identifier: MIT */
/* DRAIN: the steps of the text, in its order, for one accumulator; pooling gathers such values. */
#include <errno.h>
#include <math.h>

#include "tests/reference/element.h"
#include "tests/reference/parts.h"
#include "tests/reference/reference.h"

static const enum axl_vec_op activation_ops[] = {
#define ACT_OP(name, number, text) [number] = AXL_VEC_##name,
#define AXL_VEC_NONE AXL_VEC_COPY
	AXL_ACTS(ACT_OP)
#undef AXL_VEC_NONE
#undef ACT_OP
};

static float activate(unsigned int act, float f, uint32_t alpha, uint32_t beta)
{
	float result = NAN;

	reference_unary(activation_ops[act], f, float_from_bits(alpha), float_from_bits(beta), &result);
	return result;
}

static const uint8_t *accumulator(const struct axl_drain *drain, const uint8_t *acc, uint32_t h, uint32_t w, uint32_t n)
{
	return acc + drain->acc + ((uint64_t)h * drain->rows_w + w) * drain->acc_stride + 4 * (uint64_t)n;
}

/* Step 1 with integers. */
static int32_t biased_integer(const struct axl_drain *drain, const uint8_t *spad, const uint8_t *at, uint32_t n)
{
	uint32_t t = (uint32_t)element_read_int(at, AXL_TYPE_S32);

	if (drain->dr_flags & AXL_DR_BIAS)
		t += (uint32_t)element_read_int(spad + drain->bias + 4 * (uint64_t)n, AXL_TYPE_S32);
	return (int32_t)t;
}

/* Step 5: the residual element. */
static float residual(const struct axl_drain *drain, const uint8_t *spad, uint32_t h, uint32_t w, uint32_t n)
{
	const uint8_t *at = spad + drain->res + (uint64_t)h * drain->res_stride_h + (uint64_t)w * drain->res_stride_w +
			    (uint64_t)n * element_size(drain->res_type);

	if (element_is_float(drain->res_type))
		return element_read_float(at, drain->res_type);
	return (float)(element_read_int(at, drain->res_type) - drain->res_zero) * float_from_bits(drain->res_scale);
}

/* Steps 1 to 6. */
static float post(const struct axl_drain *drain, const uint8_t *spad, const uint8_t *acc, uint32_t h, uint32_t w,
		  uint32_t n)
{
	const uint8_t *at = accumulator(drain, acc, h, w, n);
	int64_t q;
	float f;

	if (drain->acc_type == AXL_TYPE_S32) {
		f = (float)biased_integer(drain, spad, at, n);
	} else {
		f = element_read_float(at, AXL_TYPE_F32);
		if (drain->dr_flags & AXL_DR_BIAS)
			f = f + element_read_float(spad + drain->bias + 4 * (uint64_t)n, AXL_TYPE_F32);
	}
	if (drain->dr_flags & AXL_DR_SCALE)
		f = f * element_read_float(spad + drain->scale + 4 * (uint64_t)n, AXL_TYPE_F32);
	else if (drain->dr_flags & AXL_DR_SCALE_IMM)
		f = f * float_from_bits(drain->scale_imm);
	f = activate(drain->act1, f, drain->alpha, drain->beta);
	if (drain->dr_flags & AXL_DR_MID) {
		q = saturate((int64_t)round_to_int(f) + drain->mid_zero, drain->mid_type);
		f = (float)(q - drain->mid_zero) * float_from_bits(drain->mid_scale);
	}
	if (drain->dr_flags & AXL_DR_RESIDUAL)
		f = f + residual(drain, spad, h, w, n);
	return activate(drain->act2, f, drain->alpha2, drain->beta2);
}

/* Step 7 at (oh, ow) of the output grid. */
static float pooled(const struct axl_drain *drain, const uint8_t *spad, const uint8_t *acc, uint32_t oh, uint32_t ow,
		    uint32_t n)
{
	uint32_t pool_h = drain->pool_hw >> 4, pool_w = drain->pool_hw & 15;
	uint32_t step_h = drain->pool_stride >> 4, step_w = drain->pool_stride & 15;
	bool largest = drain->pool_kind == AXL_POOL_MAX;
	float p = largest ? -INFINITY : 0;

	for (uint32_t y = 0; y < pool_h; y++)
		for (uint32_t x = 0; x < pool_w; x++) {
			float f = post(drain, spad, acc, oh * step_h + y, ow * step_w + x, n);

			if (!largest)
				p = p + f;
			else
				p = p != p ? p : f != f ? f : f > p ? f : p;
		}
	return largest ? p : p * float_from_bits(drain->pool_scale);
}

/* Step 8. */
static void store(const struct axl_drain *drain, uint8_t *spad, uint8_t *at, float f)
{
	int64_t q;

	if (element_is_float(drain->out_type)) {
		element_write_float(at, drain->out_type, f);
		return;
	}
	if (drain->dr_flags & AXL_DR_OUT_SCALE)
		f = f / float_from_bits(drain->out_scale);
	q = saturate((int64_t)round_to_int(f) + drain->out_zero, drain->out_type);
	*at = drain->dr_flags & AXL_DR_TABLE ? spad[drain->table + (uint8_t)q] : (uint8_t)q;
}

int reference_drain(const struct axl_drain *drain, uint8_t *spad, const uint8_t *acc)
{
	bool pool = drain->pool_hw;
	uint32_t out_h = drain->rows_h, out_w = drain->rows_w;

	if (pool) {
		out_h = (out_h - (drain->pool_hw >> 4)) / (drain->pool_stride >> 4) + 1;
		out_w = (out_w - (drain->pool_hw & 15)) / (drain->pool_stride & 15) + 1;
	}
	for (uint32_t h = 0; h < out_h; h++)
		for (uint32_t w = 0; w < out_w; w++)
			for (uint32_t n = 0; n < drain->n; n++) {
				uint8_t *at = spad + drain->out + (uint64_t)h * drain->out_stride_h +
					      (uint64_t)w * drain->out_stride_w +
					      (uint64_t)n * element_size(drain->out_type);

				if (drain->out_type == AXL_TYPE_S32)
					element_write_int(
						at, AXL_TYPE_S32,
						biased_integer(drain, spad, accumulator(drain, acc, h, w, n), n));
				else
					store(drain, spad, at,
					      pool ? pooled(drain, spad, acc, h, w, n)
						   : post(drain, spad, acc, h, w, n));
			}
	return 0;
}
