/* SPDX-License-Identifier: MIT */
/*
 * VEC: a block is walked row by row along its innermost dimension. A row of each source is converted to the operation's
 * domain, computed, and converted back; rows without a stride of one element are gathered element by element.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "sim/core/exec_internal.h"

#define CHUNK 512

static const struct exec_vec_info infos[256] = {
#define KIND_U EXEC_VEC_UNARY
#define KIND_B EXEC_VEC_BINARY
#define KIND_R EXEC_VEC_REDUCTION
#define KIND_S EXEC_VEC_SPECIAL
#define DOMAIN_F false
#define DOMAIN_I true
#define INFO_ROW(name, number, kind, domain, cost, text) [number] = {KIND_##kind, DOMAIN_##domain},
	AXL_VEC_OPS(INFO_ROW)
#undef INFO_ROW
};

static const uint8_t known[256] = {
#define KNOWN_ROW(name, number, kind, domain, cost, text) [number] = 1,
	AXL_VEC_OPS(KNOWN_ROW)
#undef KNOWN_ROW
};

const struct exec_vec_info *exec_vec_info(unsigned int op)
{
	return op < 256 && known[op] ? &infos[op] : NULL;
}

static float bits_to_float(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static bool is_real(unsigned int type)
{
	return type == AXL_TYPE_F16 || type == AXL_TYPE_BF16 || type == AXL_TYPE_F32;
}

/* ---- rows ---- */

/* @count elements at stride @stride, dense in @dst. */
static const void *dense(void *dst, const uint8_t *src, unsigned int type, int64_t stride, size_t count)
{
	size_t size = exec_type_size((enum axl_type)type);

	if (stride == (int64_t)size)
		return src;
	for (size_t i = 0; i < count; i++)
		memcpy((uint8_t *)dst + i * size, src + (int64_t)i * stride, size);
	return dst;
}

static void load_f32(float *dst, const uint8_t *src, unsigned int type, int64_t stride, size_t count)
{
	uint64_t row[CHUNK];

	if (stride == 0) {
		exec_to_f32(dst, src, (enum axl_type)type, 1);
		for (size_t i = 1; i < count; i++)
			dst[i] = dst[0];
		return;
	}
	exec_to_f32(dst, dense(row, src, type, stride, count), (enum axl_type)type, count);
}

static void store_f32(uint8_t *dst, unsigned int type, int64_t stride, const float *src, size_t count)
{
	size_t size = exec_type_size((enum axl_type)type);
	uint64_t row[CHUNK];

	if (stride == (int64_t)size) {
		exec_from_f32(dst, (enum axl_type)type, src, count);
		return;
	}
	exec_from_f32(row, (enum axl_type)type, src, count);
	for (size_t i = 0; i < count; i++)
		memcpy(dst + (int64_t)i * stride, (uint8_t *)row + i * size, size);
}

static void load_s32(int32_t *dst, const uint8_t *src, unsigned int type, int64_t stride, size_t count)
{
	uint64_t row[CHUNK];

	exec_convert(dst, AXL_TYPE_S32, dense(row, src, type, stride, count), (enum axl_type)type, count);
}

static void store_s32(uint8_t *dst, unsigned int type, int64_t stride, const int32_t *src, size_t count)
{
	size_t size = exec_type_size((enum axl_type)type);
	uint64_t row[CHUNK];

	exec_convert(row, (enum axl_type)type, src, AXL_TYPE_S32, count);
	for (size_t i = 0; i < count; i++)
		memcpy(dst + (int64_t)i * stride, (uint8_t *)row + i * size, size);
}

/* ---- binary operations ---- */

static float vec_pow(float x, float y)
{
	float a = fabsf(x), e, r;

	if (y == 0 || x == 1)
		return 1;
	e = a;
	exec_unary_f32(AXL_VEC_LOG, &e, 1, 0, 0);
	r = y * e;
	exec_unary_f32(AXL_VEC_EXP, &r, 1, 0, 0);
	/* Small whole exponents by multiplication: exact where the product is. */
	if (y == 2)
		return x * x;
	if (y == 3)
		return x * x * x;
	if (y == 1)
		return x;
	if (y == 0.5f)
		return __builtin_sqrtf(x);
	if (x < 0) {
		if (__builtin_truncf(y) != y)
			return __builtin_nanf("");
		return fabsf(y) < 16777216.0f && (int)y & 1 ? -r : r;
	}
	return r;
}

#define BINARY_ROW(name, expression)                                         \
	EXEC_CLONES static void name(float *a, const float *b, size_t count) \
	{                                                                    \
		for (size_t i = 0; i < count; i++) {                         \
			float x = a[i], y = b[i];                            \
			a[i] = expression;                                   \
		}                                                            \
	}

BINARY_ROW(f_add, x + y)
BINARY_ROW(f_sub, x - y)
BINARY_ROW(f_mul, x *y)
BINARY_ROW(f_div, x / y)
BINARY_ROW(f_min, x != x ? x : y != y ? y : x < y ? x : y)
BINARY_ROW(f_max, x != x ? x : y != y ? y : x > y ? x : y)
BINARY_ROW(f_pow, vec_pow(x, y))
BINARY_ROW(f_prelu, x >= 0 ? x : x * y)
BINARY_ROW(f_eq, (float)(x == y))
BINARY_ROW(f_ne, (float)(x != y))
BINARY_ROW(f_lt, (float)(x < y))
BINARY_ROW(f_le, (float)(x <= y))
BINARY_ROW(f_gt, (float)(x > y))
BINARY_ROW(f_ge, (float)(x >= y))
BINARY_ROW(f_and, (float)(x != 0 && y != 0))
BINARY_ROW(f_or, (float)(x != 0 || y != 0))
BINARY_ROW(f_xor, (float)((x != 0) != (y != 0)))

static void (*const float_ops[])(float *, const float *, size_t) = {
	[AXL_VEC_ADD] = f_add, [AXL_VEC_SUB] = f_sub, [AXL_VEC_MUL] = f_mul, [AXL_VEC_DIV] = f_div,
	[AXL_VEC_MIN] = f_min, [AXL_VEC_MAX] = f_max, [AXL_VEC_POW] = f_pow, [AXL_VEC_PRELU] = f_prelu,
	[AXL_VEC_EQ] = f_eq,   [AXL_VEC_NE] = f_ne,   [AXL_VEC_LT] = f_lt,   [AXL_VEC_LE] = f_le,
	[AXL_VEC_GT] = f_gt,   [AXL_VEC_GE] = f_ge,   [AXL_VEC_AND] = f_and, [AXL_VEC_OR] = f_or,
	[AXL_VEC_XOR] = f_xor,
};

static int32_t int_binary(unsigned int op, int32_t x, int32_t y)
{
	switch (op) {
	case AXL_VEC_ADD:
		return (int32_t)((uint32_t)x + (uint32_t)y);
	case AXL_VEC_SUB:
		return (int32_t)((uint32_t)x - (uint32_t)y);
	case AXL_VEC_MUL:
		return (int32_t)((uint32_t)x * (uint32_t)y);
	case AXL_VEC_DIV:
		return y == 0 ? 0 : x == INT32_MIN && y == -1 ? INT32_MIN : x / y;
	case AXL_VEC_MIN:
		return x < y ? x : y;
	case AXL_VEC_MAX:
		return x > y ? x : y;
	case AXL_VEC_EQ:
		return x == y;
	case AXL_VEC_NE:
		return x != y;
	case AXL_VEC_LT:
		return x < y;
	case AXL_VEC_LE:
		return x <= y;
	case AXL_VEC_GT:
		return x > y;
	case AXL_VEC_GE:
		return x >= y;
	case AXL_VEC_AND:
		return x && y;
	case AXL_VEC_OR:
		return x || y;
	default:
		return !x != !y;
	}
}

static int32_t int_unary(const struct axl_vec *vec, int32_t x)
{
	int32_t imm0 = (int32_t)vec->imm0, imm1 = (int32_t)vec->imm1;

	switch (vec->op) {
	case AXL_VEC_NEG:
		return (int32_t)(0u - (uint32_t)x);
	case AXL_VEC_ABS:
		return x < 0 ? (int32_t)(0u - (uint32_t)x) : x;
	case AXL_VEC_SIGN:
		return (x > 0) - (x < 0);
	case AXL_VEC_RELU:
		return x > 0 ? x : 0;
	case AXL_VEC_CLIP:
		x = x > imm0 ? x : imm0;
		return x < imm1 ? x : imm1;
	case AXL_VEC_AFFINE:
		return (int32_t)((uint32_t)x * (uint32_t)imm0 + (uint32_t)imm1);
	case AXL_VEC_NOT:
		return x == 0;
	default:
		return x;
	}
}

/* ---- elementwise rows ---- */

struct row {
	const struct axl_vec *vec;
	bool integer, binary;
	uint8_t *dst;
	const uint8_t *a, *b;
	int64_t sd, sa, sb;
};

static void special_row(const struct row *row, size_t count)
{
	const struct axl_vec *vec = row->vec;
	float zero = (float)(int32_t)vec->imm1, scale = bits_to_float(vec->imm0), f[CHUNK];

	if (vec->op == AXL_VEC_QUANT) {
		int lo = vec->dst_type == AXL_TYPE_U8 ? 0 : -128, hi = vec->dst_type == AXL_TYPE_U8 ? 255 : 127;

		load_f32(f, row->a, vec->src0_type, row->sa, count);
		for (size_t i = 0; i < count; i++) {
			int64_t q = (int64_t)exec_rne(f[i] / scale) + (int32_t)vec->imm1;

			row->dst[(int64_t)i * row->sd] = (uint8_t)(q < lo ? lo : q > hi ? hi : q);
		}
		return;
	}
	if (vec->src0_type == AXL_TYPE_S32) {
		int32_t s[CHUNK];

		load_s32(s, row->a, vec->src0_type, row->sa, count);
		for (size_t i = 0; i < count; i++)
			f[i] = (float)((int64_t)s[i] - (int32_t)vec->imm1) * scale;
	} else {
		load_f32(f, row->a, vec->src0_type, row->sa, count);
		for (size_t i = 0; i < count; i++)
			f[i] = (f[i] - zero) * scale;
	}
	store_f32(row->dst, vec->dst_type, row->sd, f, count);
}

static void select_row(const struct row *row, size_t count)
{
	float mask[CHUNK];
	const struct axl_vec *vec = row->vec;
	uint8_t one[8];

	load_f32(mask, row->b, vec->src1_type, row->sb, count);
	for (size_t i = 0; i < count; i++) {
		if (mask[i] == 0)
			continue;
		exec_convert(one, (enum axl_type)vec->dst_type, row->a + (int64_t)i * row->sa,
			     (enum axl_type)vec->src0_type, 1);
		memcpy(row->dst + (int64_t)i * row->sd, one, exec_type_size((enum axl_type)vec->dst_type));
	}
}

static void elementwise_row(const struct row *row, size_t count)
{
	const struct axl_vec *vec = row->vec;

	if (vec->op == AXL_VEC_QUANT || vec->op == AXL_VEC_DEQUANT) {
		special_row(row, count);
	} else if (vec->op == AXL_VEC_SELECT) {
		select_row(row, count);
	} else if (vec->op == AXL_VEC_COPY && vec->dst_type == vec->src0_type &&
		   exec_type_size((enum axl_type)vec->dst_type) != 1) {
		size_t size = exec_type_size((enum axl_type)vec->dst_type);

		if (row->sd == (int64_t)size && row->sa == (int64_t)size)
			memmove(row->dst, row->a, count * size);
		else if (size == 4)
			for (size_t i = 0; i < count; i++)
				memcpy(row->dst + (int64_t)i * row->sd, row->a + (int64_t)i * row->sa, 4);
		else
			for (size_t i = 0; i < count; i++)
				memcpy(row->dst + (int64_t)i * row->sd, row->a + (int64_t)i * row->sa, 2);
	} else if (row->integer) {
		int32_t a[CHUNK], b[CHUNK];

		load_s32(a, row->a, vec->src0_type, row->sa, count);
		if (row->binary)
			load_s32(b, row->b, vec->src1_type, row->sb, count);
		for (size_t i = 0; i < count; i++)
			a[i] = row->binary ? int_binary(vec->op, a[i], b[i]) : int_unary(vec, a[i]);
		store_s32(row->dst, vec->dst_type, row->sd, a, count);
	} else {
		float a[CHUNK], b[CHUNK];

		load_f32(a, row->a, vec->src0_type, row->sa, count);
		if (row->binary) {
			load_f32(b, row->b, vec->src1_type, row->sb, count);
			float_ops[vec->op](a, b, count);
		} else {
			exec_unary_f32((enum axl_vec_op)vec->op, a, count, bits_to_float(vec->imm0),
				       bits_to_float(vec->imm1));
		}
		store_f32(row->dst, vec->dst_type, row->sd, a, count);
	}
}

static int table_gather_row(const struct row *row, const struct exec_memory *memory, size_t count,
			    struct exec_error *error)
{
	const struct axl_vec *vec = row->vec;
	size_t size = exec_type_size((enum axl_type)vec->dst_type);

	for (size_t i = 0; i < count; i++) {
		uint8_t *dst = row->dst + (int64_t)i * row->sd;
		const uint8_t *a = row->a + (int64_t)i * row->sa;
		int32_t index;

		if (vec->op == AXL_VEC_TABLE) {
			*dst = memory->spad[vec->table + *a];
			continue;
		}
		memcpy(&index, row->b + (int64_t)i * row->sb, 4);
		if (index < 0 || (uint32_t)index >= vec->limit) {
			*error = (struct exec_error){AXL_CAUSE_INDEX,
						     (uint64_t)(row->b - memory->spad) + i * (uint64_t)row->sb, "src1"};
			return -ERANGE;
		}
		memcpy(dst, a + (int64_t)index * vec->gather_stride, size);
	}
	return 0;
}

static int elementwise(const struct axl_vec *vec, const struct exec_memory *memory, struct exec_error *error)
{
	struct row row = {.vec = vec, .sd = vec->dst_stride[4], .sa = vec->src0_stride[4], .sb = vec->src1_stride[4]};
	bool lookup = vec->op == AXL_VEC_TABLE || vec->op == AXL_VEC_GATHER;
	uint32_t at[4] = {0};

	row.binary = infos[vec->op].kind == EXEC_VEC_BINARY;
	row.integer = infos[vec->op].integer && !is_real(vec->dst_type) && !is_real(vec->src0_type) &&
		      (!row.binary || !is_real(vec->src1_type));
	for (int d = 3; d >= 0;) {
		int64_t od = vec->dst, oa = vec->src0, ob = vec->src1;

		for (int k = 0; k < 4; k++) {
			od += (int64_t)at[k] * vec->dst_stride[k];
			oa += (int64_t)at[k] * vec->src0_stride[k];
			ob += (int64_t)at[k] * vec->src1_stride[k];
		}
		for (uint32_t i = 0; i < vec->dims[4]; i += CHUNK) {
			size_t count = vec->dims[4] - i < CHUNK ? vec->dims[4] - i : CHUNK;

			row.dst = memory->spad + od + (int64_t)i * row.sd;
			row.a = memory->spad + oa + (int64_t)i * row.sa;
			row.b = memory->spad + ob + (int64_t)i * row.sb;
			if (lookup) {
				int err = table_gather_row(&row, memory, count, error);

				if (err)
					return err;
			} else {
				elementwise_row(&row, count);
			}
		}
		for (d = 3; d >= 0; d--) {
			if (++at[d] < vec->dims[d])
				break;
			at[d] = 0;
		}
	}
	return 0;
}

/* ---- reductions ---- */

struct partial {
	float f[AXL_REDUCE_LANES];
	int32_t i[AXL_REDUCE_LANES];
};

static float reduce_f32(unsigned int op, float p, float x)
{
	switch (op) {
	case AXL_VEC_RSUM:
		return p + x;
	case AXL_VEC_RPROD:
		return p * x;
	case AXL_VEC_RSUMSQ:
		return fmaf(x, x, p);
	case AXL_VEC_RSUMABS:
		return p + fabsf(x);
	case AXL_VEC_RMAX:
		return p != p || x != x ? __builtin_nanf("") : x > p ? x : p;
	default:
		return p != p || x != x ? __builtin_nanf("") : x < p ? x : p;
	}
}

static int32_t reduce_s32(unsigned int op, int32_t p, int32_t x)
{
	switch (op) {
	case AXL_VEC_RSUM:
		return (int32_t)((uint32_t)p + (uint32_t)x);
	case AXL_VEC_RPROD:
		return (int32_t)((uint32_t)p * (uint32_t)x);
	case AXL_VEC_RMAX:
		return x > p ? x : p;
	default:
		return x < p ? x : p;
	}
}

static float identity_f32(unsigned int op)
{
	return op == AXL_VEC_RPROD  ? 1.0f
	       : op == AXL_VEC_RMAX ? -__builtin_inff()
	       : op == AXL_VEC_RMIN ? __builtin_inff()
				    : 0.0f;
}

static int32_t identity_s32(unsigned int op)
{
	return op == AXL_VEC_RPROD ? 1 : op == AXL_VEC_RMAX ? INT32_MIN : op == AXL_VEC_RMIN ? INT32_MAX : 0;
}

/* Folding combines partials: sums of squares and of magnitudes are added as they are. */
static unsigned int fold_op(unsigned int op)
{
	return op == AXL_VEC_RSUMSQ || op == AXL_VEC_RSUMABS ? AXL_VEC_RSUM : op;
}

/* One result: its first source element is @src; the reduced dimensions are walked row-major. */
static void reduce_one(const struct axl_vec *vec, const uint8_t *src, const uint32_t *dims, const int32_t *strides,
		       int rank, bool integer, uint8_t *dst)
{
	bool arg = vec->op == AXL_VEC_ARGMAX || vec->op == AXL_VEC_ARGMIN;
	struct partial p;
	uint32_t at[5] = {0};
	uint32_t r = 0;
	int32_t best = 0, best_n = 0;
	float best_value = 0;

	for (int l = 0; l < AXL_REDUCE_LANES; l++) {
		p.f[l] = identity_f32(vec->op);
		p.i[l] = identity_s32(vec->op);
	}
	for (int d = 0; d >= 0; r++) {
		int64_t offset = 0;
		float x = 0;
		int32_t n = 0;

		for (int k = 0; k < rank; k++)
			offset += (int64_t)at[k] * strides[k];
		if (integer)
			load_s32(&n, src + offset, vec->src0_type, 0, 1);
		else
			exec_to_f32(&x, src + offset, (enum axl_type)vec->src0_type, 1);
		if (arg) {
			bool max = vec->op == AXL_VEC_ARGMAX;
			bool better = integer ? (max ? n > best_n : n < best_n)
					      : best_value == best_value &&
							(x != x || (max ? x > best_value : x < best_value));

			if (r == 0 || better) {
				best = (int32_t)r;
				best_value = x;
				best_n = n;
			}
		} else if (integer) {
			p.i[r % AXL_REDUCE_LANES] = reduce_s32(vec->op, p.i[r % AXL_REDUCE_LANES], n);
		} else {
			p.f[r % AXL_REDUCE_LANES] = reduce_f32(vec->op, p.f[r % AXL_REDUCE_LANES], x);
		}
		for (d = rank - 1; d >= 0; d--) {
			if (++at[d] < dims[d])
				break;
			at[d] = 0;
		}
	}
	for (int half = AXL_REDUCE_LANES / 2; half; half /= 2)
		for (int l = 0; l < half; l++) {
			p.f[l] = reduce_f32(fold_op(vec->op), p.f[l], p.f[l + half]);
			p.i[l] = reduce_s32(fold_op(vec->op), p.i[l], p.i[l + half]);
		}
	if (arg)
		memcpy(dst, &best, 4);
	else if (integer)
		store_s32(dst, vec->dst_type, 0, &p.i[0], 1);
	else
		exec_from_f32(dst, (enum axl_type)vec->dst_type, &p.f[0], 1);
}

/* Many results at once: the innermost dimension is kept and dense, so its elements are independent lanes. */
EXEC_CLONES static void fold_rows(float *p, const float *x, unsigned int op, size_t count)
{
	for (size_t i = 0; i < count; i++)
		p[i] = op == AXL_VEC_RSUM      ? p[i] + x[i]
		       : op == AXL_VEC_RSUMSQ  ? fmaf(x[i], x[i], p[i])
		       : op == AXL_VEC_RSUMABS ? p[i] + fabsf(x[i])
		       : op == AXL_VEC_RMAX    ? (p[i] != p[i] || x[i] != x[i] ? __builtin_nanf("")
						  : x[i] > p[i]                ? x[i]
									       : p[i])
		       : op == AXL_VEC_RMIN    ? (p[i] != p[i] || x[i] != x[i] ? __builtin_nanf("")
						  : x[i] < p[i]                ? x[i]
									       : p[i])
					       : p[i] * x[i];
}

#define WIDE 128

static void reduce_wide(const struct axl_vec *vec, const uint8_t *src, const uint32_t *dims, const int32_t *strides,
			int rank, uint8_t *dst, size_t count)
{
	float p[AXL_REDUCE_LANES][WIDE], x[WIDE];
	uint32_t at[5] = {0}, r = 0;

	for (int l = 0; l < AXL_REDUCE_LANES; l++)
		for (size_t i = 0; i < count; i++)
			p[l][i] = identity_f32(vec->op);
	for (int d = 0; d >= 0; r++) {
		int64_t offset = 0;

		for (int k = 0; k < rank; k++)
			offset += (int64_t)at[k] * strides[k];
		load_f32(x, src + offset, vec->src0_type, vec->src0_stride[4], count);
		fold_rows(p[r % AXL_REDUCE_LANES], x, vec->op, count);
		for (d = rank - 1; d >= 0; d--) {
			if (++at[d] < dims[d])
				break;
			at[d] = 0;
		}
	}
	for (int half = AXL_REDUCE_LANES / 2; half; half /= 2)
		for (int l = 0; l < half; l++)
			fold_rows(p[l], p[l + half], fold_op(vec->op), count);
	store_f32(dst, vec->dst_type, vec->dst_stride[4], p[0], count);
}

EXEC_CLONES static void widen_bytes(int32_t *x, const uint8_t *src, bool is_signed, size_t count)
{
	for (size_t i = 0; i < count; i++)
		x[i] = is_signed ? (int8_t)src[i] : src[i];
}

EXEC_CLONES static void fold_rows_s32(int32_t *p, const int32_t *x, unsigned int op, size_t count)
{
	switch (op) {
	case AXL_VEC_RSUM:
		for (size_t i = 0; i < count; i++)
			p[i] = (int32_t)((uint32_t)p[i] + (uint32_t)x[i]);
		break;
	case AXL_VEC_RPROD:
		for (size_t i = 0; i < count; i++)
			p[i] = (int32_t)((uint32_t)p[i] * (uint32_t)x[i]);
		break;
	case AXL_VEC_RMAX:
		for (size_t i = 0; i < count; i++)
			p[i] = x[i] > p[i] ? x[i] : p[i];
		break;
	default:
		for (size_t i = 0; i < count; i++)
			p[i] = x[i] < p[i] ? x[i] : p[i];
	}
}

/* Integers: the order of the elements does not show in the result, so one row of partials is enough. */
static void reduce_wide_s32(const struct axl_vec *vec, const uint8_t *src, const uint32_t *dims, const int32_t *strides,
			    int rank, uint8_t *dst, size_t count)
{
	bool bytes = (vec->src0_type == AXL_TYPE_U8 || vec->src0_type == AXL_TYPE_S8) && vec->src0_stride[4] == 1;
	int32_t p[WIDE], x[WIDE];
	uint32_t at[5] = {0};

	for (size_t i = 0; i < count; i++)
		p[i] = identity_s32(vec->op);
	for (int d = 0; d >= 0;) {
		int64_t offset = 0;

		for (int k = 0; k < rank; k++)
			offset += (int64_t)at[k] * strides[k];
		if (bytes)
			widen_bytes(x, src + offset, vec->src0_type == AXL_TYPE_S8, count);
		else
			load_s32(x, src + offset, vec->src0_type, vec->src0_stride[4], count);
		fold_rows_s32(p, x, vec->op, count);
		for (d = rank - 1; d >= 0; d--) {
			if (++at[d] < dims[d])
				break;
			at[d] = 0;
		}
	}
	store_s32(dst, vec->dst_type, vec->dst_stride[4], p, count);
}

static int reduce(const struct axl_vec *vec, const struct exec_memory *memory)
{
	bool arg = vec->op == AXL_VEC_ARGMAX || vec->op == AXL_VEC_ARGMIN;
	bool integer = infos[vec->op].integer && !is_real(vec->src0_type) && (arg || !is_real(vec->dst_type));
	bool wide = !arg && !(vec->reduce_mask >> 4 & 1) && vec->dims[4] >= 8;
	uint32_t dims[5], at[5] = {0};
	int32_t strides[5];
	int rank = 0;

	for (int d = 0; d < 5; d++)
		if (vec->reduce_mask >> d & 1) {
			dims[rank] = vec->dims[d];
			strides[rank++] = vec->src0_stride[d];
		}
	for (int d = 0; d >= 0;) {
		int64_t od = vec->dst, oa = vec->src0;

		for (int k = 0; k < 5; k++) {
			if (vec->reduce_mask >> k & 1)
				continue;
			od += (int64_t)at[k] * vec->dst_stride[k];
			oa += (int64_t)at[k] * vec->src0_stride[k];
		}
		if (wide) {
			size_t count = vec->dims[4] - at[4] < WIDE ? vec->dims[4] - at[4] : WIDE;

			(integer ? reduce_wide_s32 : reduce_wide)(vec, memory->spad + oa, dims, strides, rank,
								  memory->spad + od, count);
			at[4] += (uint32_t)count - 1;
		} else {
			reduce_one(vec, memory->spad + oa, dims, strides, rank, integer, memory->spad + od);
		}
		for (d = 4; d >= 0; d--) {
			if (vec->reduce_mask >> d & 1)
				continue;
			if (++at[d] < vec->dims[d])
				break;
			at[d] = 0;
		}
	}
	return 0;
}

int exec_vec(const struct axl_vec *vec, const struct exec_memory *memory, struct exec_error *error)
{
	return infos[vec->op].kind == EXEC_VEC_REDUCTION ? reduce(vec, memory) : elementwise(vec, memory, error);
}
