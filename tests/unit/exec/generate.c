/* SPDX-License-Identifier: MIT */
/* See generate.h. */
#include "tests/unit/exec/generate.h"

#include <axl/axl_access.h>
#include <string.h>

/* Where operands lie, so that none runs into another. */
enum {
	DST = 0,
	SRC0 = 256 << 10,
	SRC1 = 512 << 10,
	PARAMETERS = 768 << 10,
	REGION = 256 << 10,
};

/* xorshift64*, Vigna 2014, https://doi.org/10.1145/2845077 */
uint32_t random_bits(struct random *random)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return (uint32_t)(random->state * 0x2545f4914f6cdd1dull >> 32);
}

uint32_t random_in(struct random *random, uint32_t low, uint32_t high)
{
	return low + random_bits(random) % (high - low + 1);
}

static bool chance(struct random *random, unsigned int percent)
{
	return random_bits(random) % 100 < percent;
}

static float ordinary(struct random *random)
{
	static const float scales[] = {1e-3f, 0.1f, 1, 4, 30, 1000, 1e8f, 1e-20f};

	return ((float)(int32_t)random_bits(random) / 2147483648.0f) * scales[random_bits(random) % 8];
}

static uint32_t bits_of(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, 4);
	return bits;
}

static uint32_t hostile_word(struct random *random)
{
	static const uint32_t f32[] = {0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000,
				       0xffc12345, 0x7f800001, 0x00000001, 0x807fffff, 0x00800000,
				       0x7f7fffff, 0xff7fffff, 0x3f800000, 0xbf800000, 0x4f000000,
				       0xcf000000, 0x3f000000, 0xbf000000, 0x40200000, 0x4b000001};
	static const uint32_t halves[] = {0x7c00fc00, 0x7e000001, 0x03ff8001, 0x7bfffbff, 0x3c00bc00,
					  0x7f80ff80, 0x7fc17f7f, 0x00018001, 0x3f80bf80, 0x80000000};
	static const uint32_t integers[] = {0x7fffffff, 0x80000000, 0xffffffff, 0x00000001, 0x7f80ff00, 0x80017fff};

	switch (random_bits(random) % 8) {
	case 0:
		return f32[random_bits(random) % (sizeof(f32) / 4)];
	case 1:
		return halves[random_bits(random) % (sizeof(halves) / 4)];
	case 2:
		return integers[random_bits(random) % (sizeof(integers) / 4)];
	case 3:
		return random_bits(random);
	case 4:
		return random_bits(random) & 0x3fff3fff; /* small halves */
	default:
		return bits_of(ordinary(random));
	}
}

void generate_memory(struct random *random, uint8_t *memory, size_t bytes)
{
	for (size_t i = 0; i + 4 <= bytes; i += 4) {
		uint32_t word = hostile_word(random);

		memcpy(memory + i, &word, 4);
	}
}

static uint8_t pick(struct random *random, const uint8_t *list, size_t count)
{
	return list[random_bits(random) % count];
}

/* ---- CONV, DWCONV ---- */

void generate_conv(struct random *random, bool depthwise, union axl_insn *insn)
{
	static const uint8_t reals[] = {AXL_TYPE_F16, AXL_TYPE_BF16, AXL_TYPE_F32},
			     bytes[] = {AXL_TYPE_U8, AXL_TYPE_S8};
	struct axl_conv *conv = &insn->conv;
	bool real = chance(random, 40);
	uint32_t size, pixel, columns;

	memset(insn, 0, sizeof(*insn));
	conv->header = (struct axl_header){
		.opcode = depthwise ? AXL_OP_DWCONV : AXL_OP_CONV, .slots = 2, .pipe = AXL_PIPE_MATRIX};
	conv->a_type = real ? pick(random, reals, 3) : pick(random, bytes, 2);
	conv->w_type = real ? conv->a_type : pick(random, bytes, 2);
	size = access_type_bytes(conv->a_type);
	conv->n = chance(random, 30) ? random_in(random, 60, 140) : random_in(random, 1, 20);
	conv->channels = depthwise            ? conv->n
			 : chance(random, 30) ? random_in(random, 60, 200)
					      : random_in(random, 1, 20);
	conv->out_h = (uint16_t)random_in(random, 1, 5);
	conv->out_w = (uint16_t)random_in(random, 1, chance(random, 20) ? 40 : 7);
	conv->in_h = (uint16_t)random_in(random, 1, 9);
	conv->in_w = (uint16_t)random_in(random, 1, 9);
	conv->kernel_h = (uint8_t)random_in(random, 1, chance(random, 50) ? 1 : 3);
	conv->kernel_w = (uint8_t)random_in(random, 1, chance(random, 50) ? 1 : 4);
	conv->stride_h = (uint8_t)random_in(random, 1, 3);
	conv->stride_w = (uint8_t)random_in(random, 1, 3);
	conv->dilation_h = (uint8_t)random_in(random, 1, 2);
	conv->dilation_w = (uint8_t)random_in(random, 1, 2);
	conv->in_dil_h = (uint8_t)(chance(random, 80) ? 1 : random_in(random, 1, 3));
	conv->in_dil_w = (uint8_t)(chance(random, 80) ? 1 : random_in(random, 1, 3));
	conv->pad_top = (int16_t)((int)random_in(random, 0, 4) - 1);
	conv->pad_left = (int16_t)((int)random_in(random, 0, 4) - 1);
	conv->split = (uint8_t)random_in(random, 0, 3);
	conv->mx_flags = chance(random, 40) ? AXL_MX_ACCUMULATE : 0;
	conv->a_zero = real ? 0 : (int16_t)((int)random_in(random, 0, 383) - 128);
	conv->w_zero = real || chance(random, 50) ? 0 : (int16_t)((int)random_in(random, 0, 383) - 128);
	while (!depthwise && conv->kernel_h * conv->kernel_w * conv->channels * (conv->n + 5) * size > REGION - 128)
		conv->channels /= 2;
	pixel = (conv->channels + random_in(random, 0, 3)) * size;
	conv->a = SRC0 + size * random_in(random, 0, 20);
	conv->a_stride_w = pixel;
	conv->a_stride_h = pixel * (conv->in_w + random_in(random, 0, 2));
	columns = conv->n + random_in(random, 0, 5);
	conv->w = SRC1 + size * random_in(random, 0, 20);
	conv->w_stride_n = size;
	conv->w_stride_k = columns * size;
	if (chance(random, 30)) { /* the other order */
		conv->w_stride_k = size;
		conv->w_stride_n = conv->kernel_h * conv->kernel_w * (depthwise ? 1 : conv->channels) * size;
	}
	conv->acc = 4 * random_in(random, 0, 50);
	conv->acc_stride = 4 * (conv->n + random_in(random, 0, 3));
}

/* ---- DRAIN ---- */

void generate_drain(struct random *random, union axl_insn *insn)
{
	static const uint8_t outs[] = {AXL_TYPE_U8, AXL_TYPE_S8, AXL_TYPE_F16, AXL_TYPE_BF16, AXL_TYPE_F32},
			     bytes[] = {AXL_TYPE_U8, AXL_TYPE_S8};
	struct axl_drain *drain = &insn->drain;
	uint32_t size, res_size;

	memset(insn, 0, sizeof(*insn));
	drain->header = (struct axl_header){.opcode = AXL_OP_DRAIN, .slots = 2, .pipe = AXL_PIPE_DRAIN};
	drain->acc_type = chance(random, 60) ? AXL_TYPE_S32 : AXL_TYPE_F32;
	drain->rows_h = (uint16_t)random_in(random, 1, 9);
	drain->rows_w = (uint16_t)random_in(random, 1, 9);
	drain->n = chance(random, 30) ? random_in(random, 60, 140) : random_in(random, 1, 20);
	drain->acc = 4 * random_in(random, 0, 50);
	drain->acc_stride = 4 * (drain->n + random_in(random, 0, 3));
	drain->bias = PARAMETERS + 4 * random_in(random, 0, 50);
	drain->scale = PARAMETERS + 8192 + 4 * random_in(random, 0, 50);
	drain->table = PARAMETERS + 16384 + random_in(random, 0, 50);
	if (drain->acc_type == AXL_TYPE_S32 && chance(random, 10)) {
		drain->out_type = AXL_TYPE_S32;
		drain->dr_flags = random_bits(random) & AXL_DR_BIAS;
	} else {
		drain->out_type = pick(random, outs, 5);
		drain->dr_flags = random_bits(random) & 0x7f;
		if (drain->out_type != AXL_TYPE_U8 && drain->out_type != AXL_TYPE_S8)
			drain->dr_flags &= ~AXL_DR_TABLE;
		drain->act1 = (uint8_t)(chance(random, 50) ? 0 : random_in(random, 0, AXL_NUM_ACTS - 1));
		drain->act2 = (uint8_t)(chance(random, 50) ? 0 : random_in(random, 0, AXL_NUM_ACTS - 1));
		if (chance(random, 30)) {
			uint32_t h = random_in(random, 1, drain->rows_h), w = random_in(random, 1, drain->rows_w);

			drain->pool_hw = (uint8_t)(h << 4 | w);
			drain->pool_stride = (uint8_t)(random_in(random, 1, 3) << 4 | random_in(random, 1, 3));
			drain->pool_kind = (uint8_t)random_in(random, 1, 2);
		}
	}
	drain->mid_type = pick(random, bytes, 2);
	drain->res_type = pick(random, outs, 5);
	drain->mid_zero = (int16_t)((int)random_in(random, 0, 255) - 128);
	drain->res_zero = (int16_t)((int)random_in(random, 0, 255) - 128);
	drain->out_zero = (int16_t)((int)random_in(random, 0, 255) - 128);
	drain->scale_imm = bits_of(ordinary(random));
	drain->mid_scale = bits_of(ordinary(random));
	drain->res_scale = bits_of(ordinary(random));
	drain->out_scale = hostile_word(random);
	drain->alpha = hostile_word(random);
	drain->beta = bits_of(ordinary(random));
	drain->alpha2 = bits_of(ordinary(random));
	drain->beta2 = hostile_word(random);
	drain->pool_scale = bits_of(ordinary(random));
	size = access_type_bytes(drain->out_type);
	drain->out = DST + size * random_in(random, 0, 20);
	drain->out_stride_w = size * (drain->n + random_in(random, 0, 3));
	drain->out_stride_h = drain->out_stride_w * (drain->rows_w + random_in(random, 0, 2));
	res_size = access_type_bytes(drain->res_type);
	drain->res = SRC0 + res_size * random_in(random, 0, 20);
	drain->res_stride_w = res_size * (drain->n + random_in(random, 0, 3));
	drain->res_stride_h = drain->res_stride_w * (drain->rows_w + random_in(random, 0, 2));
}

/* ---- VEC ---- */

/* Dense strides in a random order of the dimensions, with gaps; the extent stays below REGION. */
static void layout(struct random *random, const __u16 *dims, __s32 *stride, uint32_t size, bool plain, uint8_t skip)
{
	int order[5] = {4, 3, 2, 1, 0};
	int64_t next = (int64_t)size;

	for (int d = 4; d > 0 && !plain; d--) {
		int other = (int)(random_bits(random) % (unsigned int)(d + 1)), kept = order[d];

		order[d] = order[other];
		order[other] = kept;
	}
	for (int i = 0; i < 5; i++) {
		int d = order[i];

		stride[d] = (__s32)next;
		if (skip >> d & 1)
			continue;
		next *= dims[d];
		if (!plain && chance(random, 20))
			next += size;
	}
}

void generate_vec(struct random *random, enum axl_vec_op op, enum axl_type dst, enum axl_type src0, enum axl_type src1,
		  union axl_insn *insn)
{
	struct axl_vec *vec = &insn->vec;
	uint32_t dst_size = access_type_bytes(dst), src0_size = access_type_bytes(src0),
		 src1_size = access_type_bytes(src1);
	bool in_place;

	memset(insn, 0, sizeof(*insn));
	vec->header = (struct axl_header){.opcode = AXL_OP_VEC, .slots = 2, .pipe = AXL_PIPE_VECTOR};
	vec->op = (uint8_t)op;
	vec->dst_type = (uint8_t)dst;
	vec->src0_type = (uint8_t)src0;
	vec->src1_type = (uint8_t)src1;
	for (int d = 0; d < 5; d++)
		vec->dims[d] = (uint16_t)(chance(random, 50) ? 1 : random_in(random, 1, 6));
	vec->dims[4] = (uint16_t)(chance(random, 50) ? random_in(random, 1, 20) : random_in(random, 20, 150));
	if (vec_is_reduction(op))
		vec->reduce_mask = (uint8_t)random_in(random, 0, 31);
	layout(random, vec->dims, vec->dst_stride, dst_size, chance(random, 60), vec->reduce_mask);
	layout(random, vec->dims, vec->src0_stride, src0_size, chance(random, 60), 0);
	layout(random, vec->dims, vec->src1_stride, src1_size, chance(random, 60), 0);
	for (int d = 0; d < 5; d++) {
		if (chance(random, 15))
			vec->src0_stride[d] = 0;
		if (chance(random, 25))
			vec->src1_stride[d] = 0;
	}
	vec->dst = DST + dst_size * random_in(random, 0, 20);
	vec->src0 = SRC0 + src0_size * random_in(random, 0, 20);
	vec->src1 = SRC1 + src1_size * random_in(random, 0, 20);
	in_place = chance(random, 15) && src0_size == dst_size && !vec->reduce_mask && op != AXL_VEC_GATHER;
	if (in_place) {
		vec->src0 = vec->dst;
		memcpy(vec->src0_stride, vec->dst_stride, sizeof(vec->dst_stride));
	}
	vec->imm0 = chance(random, 70) ? bits_of(ordinary(random)) : hostile_word(random);
	vec->imm1 = chance(random, 70) ? bits_of(ordinary(random)) : hostile_word(random);
	if (op == AXL_VEC_QUANT || op == AXL_VEC_DEQUANT)
		vec->imm1 = (uint32_t)((int)random_in(random, 0, 255) - 128);
	vec->table = PARAMETERS + random_in(random, 0, 100);
	if (op == AXL_VEC_GATHER) {
		vec->limit = random_in(random, 1, 50);
		vec->gather_stride = (__s32)(src0_size * random_in(random, 1, 40));
	}
}

void generate_indices(struct random *random, const union axl_insn *insn, uint8_t *spad)
{
	for (uint32_t at = SRC1; at < SRC1 + REGION; at += 4) {
		uint32_t index = random_in(random, 0, insn->vec.limit - 1);

		memcpy(spad + at, &index, 4);
	}
}
