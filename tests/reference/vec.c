/* SPDX-License-Identifier: MIT */
/* VEC: elementwise operations, reductions, gather and table, one result at a time. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "tests/reference/element.h"
#include "tests/reference/parts.h"
#include "tests/reference/reference.h"

static const char classes[256] = {
#define U 'u'
#define B 'b'
#define R 'r'
#define S 's'
#define OP_CLASS(name, number, class, domains, cost, text) [number] = class,
	AXL_VEC_OPS(OP_CLASS)
#undef OP_CLASS
#undef U
#undef B
#undef R
#undef S
};

static bool has_integers(unsigned int op)
{
	switch (op) {
#define F false
#define I true
#define OP_DOMAIN(name, number, class, domains, cost, text) \
	case number:                                        \
		return domains;
		AXL_VEC_OPS(OP_DOMAIN)
#undef OP_DOMAIN
#undef F
#undef I
	default:
		return false;
	}
}

/* An element on its way through an operation: in one of the two domains. */
struct number {
	float real;
	int32_t integer;
};

/* Index of an element in all five dimensions; counts up in row-major order. */
struct index {
	uint32_t i[5];
};

static bool index_next(struct index *index, const uint16_t *dims, unsigned int mask)
{
	for (int d = 4; d >= 0; d--) {
		if (!(mask >> d & 1))
			continue;
		if (++index->i[d] < dims[d])
			return true;
		index->i[d] = 0;
	}
	return false;
}

static uint8_t *element_at(uint8_t *spad, uint32_t address, const int32_t *stride, const struct index *index,
			   unsigned int mask)
{
	int64_t at = address;

	for (int d = 0; d < 5; d++)
		if (mask >> d & 1)
			at += (int64_t)index->i[d] * stride[d];
	return spad + at;
}

static bool in_integers(const struct axl_vec *vec)
{
	return has_integers(vec->op) && !element_is_float(vec->dst_type) && !element_is_float(vec->src0_type) &&
	       !(classes[vec->op] == 'b' && element_is_float(vec->src1_type));
}

static struct number number_read(const uint8_t *at, unsigned int type, bool integers)
{
	if (integers)
		return (struct number){.integer = (int32_t)element_read_int(at, type)};
	return (struct number){.real = element_read_float(at, type)};
}

static void number_write(uint8_t *at, unsigned int type, struct number value, bool integers)
{
	if (integers)
		element_write_int(at, type, value.integer);
	else
		element_write_float(at, type, value.real);
}

static int32_t wrap(int64_t value)
{
	return (int32_t)(uint32_t)value;
}

static int unary_integer(const struct axl_vec *vec, int64_t x, int32_t *result)
{
	int32_t imm0 = (int32_t)vec->imm0, imm1 = (int32_t)vec->imm1;

	switch (vec->op) {
	case AXL_VEC_COPY:
		*result = wrap(x);
		return 0;
	case AXL_VEC_NEG:
		*result = wrap(-x);
		return 0;
	case AXL_VEC_ABS:
		*result = wrap(x < 0 ? -x : x);
		return 0;
	case AXL_VEC_SIGN:
		*result = (x > 0) - (x < 0);
		return 0;
	case AXL_VEC_RELU:
		*result = wrap(x > 0 ? x : 0);
		return 0;
	case AXL_VEC_CLIP:
		x = x > imm0 ? x : imm0;
		*result = wrap(x < imm1 ? x : imm1);
		return 0;
	case AXL_VEC_AFFINE:
		*result = wrap((int64_t)wrap(x * imm0) + imm1);
		return 0;
	case AXL_VEC_NOT:
		*result = x == 0;
		return 0;
	default:
		return -ENOTSUP;
	}
}

static int binary_integer(unsigned int op, int64_t x, int64_t y, int32_t *result)
{
	switch (op) {
	case AXL_VEC_ADD:
		*result = wrap(x + y);
		return 0;
	case AXL_VEC_SUB:
		*result = wrap(x - y);
		return 0;
	case AXL_VEC_MUL:
		*result = wrap(x * y);
		return 0;
	case AXL_VEC_DIV:
		*result = y == 0 ? 0 : wrap(x / y);
		return 0;
	case AXL_VEC_MIN:
		*result = wrap(x < y ? x : y);
		return 0;
	case AXL_VEC_MAX:
		*result = wrap(x > y ? x : y);
		return 0;
	case AXL_VEC_EQ:
		*result = x == y;
		return 0;
	case AXL_VEC_NE:
		*result = x != y;
		return 0;
	case AXL_VEC_LT:
		*result = x < y;
		return 0;
	case AXL_VEC_LE:
		*result = x <= y;
		return 0;
	case AXL_VEC_GT:
		*result = x > y;
		return 0;
	case AXL_VEC_GE:
		*result = x >= y;
		return 0;
	case AXL_VEC_AND:
		*result = x != 0 && y != 0;
		return 0;
	case AXL_VEC_OR:
		*result = x != 0 || y != 0;
		return 0;
	case AXL_VEC_XOR:
		*result = (x != 0) != (y != 0);
		return 0;
	default:
		return -ENOTSUP;
	}
}

static int elementwise(const struct axl_vec *vec, uint8_t *dst, const uint8_t *src0, const uint8_t *src1)
{
	bool integers = in_integers(vec), binary = classes[vec->op] == 'b';
	struct number x = number_read(src0, vec->src0_type, integers), y = {0}, result = {0};
	int err;

	if (binary)
		y = number_read(src1, vec->src1_type, integers);
	if (vec->op == AXL_VEC_COPY && vec->dst_type == vec->src0_type && vec->dst_type != AXL_TYPE_BOOL) {
		element_copy(dst, vec->dst_type, src0, vec->src0_type);
		return 0;
	}
	if (integers && binary)
		err = binary_integer(vec->op, x.integer, y.integer, &result.integer);
	else if (integers)
		err = unary_integer(vec, x.integer, &result.integer);
	else if (binary)
		err = reference_binary(vec->op, x.real, y.real, &result.real);
	else
		err = reference_unary(vec->op, x.real, float_from_bits(vec->imm0), float_from_bits(vec->imm1),
				      &result.real);
	if (!err)
		number_write(dst, vec->dst_type, result, integers);
	return err;
}

static int quantize(const struct axl_vec *vec, uint8_t *dst, const uint8_t *src0)
{
	float x = element_read_float(src0, vec->src0_type) / float_from_bits(vec->imm0);

	element_write_int(dst, vec->dst_type, (int64_t)round_to_int(x) + (int32_t)vec->imm1);
	return 0;
}

static int dequantize(const struct axl_vec *vec, uint8_t *dst, const uint8_t *src0)
{
	int64_t x = element_read_int(src0, vec->src0_type) - (int32_t)vec->imm1;

	element_write_float(dst, vec->dst_type, (float)x * float_from_bits(vec->imm0));
	return 0;
}

static int select_element(const struct axl_vec *vec, uint8_t *dst, const uint8_t *src0, const uint8_t *src1)
{
	bool chosen = element_is_float(vec->src1_type) ? element_read_float(src1, vec->src1_type) != 0
						       : element_read_int(src1, vec->src1_type) != 0;

	if (chosen)
		element_copy(dst, vec->dst_type, src0, vec->src0_type);
	return 0;
}

static int gather(const struct axl_vec *vec, uint8_t *dst, const uint8_t *src0, const uint8_t *src1)
{
	int64_t index = element_read_int(src1, AXL_TYPE_S32);

	if (index < 0 || index >= vec->limit)
		return -ERANGE;
	element_copy(dst, vec->dst_type, src0 + index * vec->gather_stride, vec->src0_type);
	return 0;
}

static struct number identity(unsigned int op)
{
	switch (op) {
	case AXL_VEC_RPROD:
		return (struct number){1, 1};
	case AXL_VEC_RMAX:
		return (struct number){-INFINITY, INT32_MIN};
	case AXL_VEC_RMIN:
		return (struct number){INFINITY, INT32_MAX};
	default:
		return (struct number){0, 0};
	}
}

static float max_real(float p, float x)
{
	return p != p ? p : x != x ? x : x > p ? x : p;
}

static float min_real(float p, float x)
{
	return p != p ? p : x != x ? x : x < p ? x : p;
}

/* Partial @p takes @x: an element, or (with @merge) another partial. */
static void take(unsigned int op, struct number *p, struct number x, bool merge)
{
	switch (op) {
	case AXL_VEC_RMAX:
		p->real = max_real(p->real, x.real);
		p->integer = x.integer > p->integer ? x.integer : p->integer;
		break;
	case AXL_VEC_RMIN:
		p->real = min_real(p->real, x.real);
		p->integer = x.integer < p->integer ? x.integer : p->integer;
		break;
	case AXL_VEC_RPROD:
		p->real = p->real * x.real;
		p->integer = wrap((int64_t)p->integer * x.integer);
		break;
	case AXL_VEC_RSUMSQ:
		p->real = merge ? p->real + x.real : fmaf(x.real, x.real, p->real);
		break;
	case AXL_VEC_RSUMABS:
		p->real = p->real + (merge ? x.real : fabsf(x.real));
		break;
	default:
		p->real = p->real + x.real;
		p->integer = wrap((int64_t)p->integer + x.integer);
		break;
	}
}

/* Whether @x comes before the best so far; of several equal ones the first stays. */
static bool better(unsigned int op, struct number x, struct number best, bool integers)
{
	bool largest = op == AXL_VEC_ARGMAX;

	if (integers)
		return largest ? x.integer > best.integer : x.integer < best.integer;
	if (isnan(best.real))
		return false;
	if (isnan(x.real))
		return true;
	return largest ? x.real > best.real : x.real < best.real;
}

static void reduce(const struct axl_vec *vec, uint8_t *spad, struct index index)
{
	bool integers = in_integers(vec), arg = vec->op == AXL_VEC_ARGMAX || vec->op == AXL_VEC_ARGMIN;
	uint8_t *dst = element_at(spad, vec->dst, vec->dst_stride, &index, ~vec->reduce_mask & 31u);
	struct number partial[AXL_REDUCE_LANES], best = {0};
	int64_t best_r = 0, r = 0;

	for (int i = 0; i < AXL_REDUCE_LANES; i++)
		partial[i] = identity(vec->op);
	do {
		const uint8_t *at = element_at(spad, vec->src0, vec->src0_stride, &index, 31);
		struct number x = number_read(at, vec->src0_type, integers);

		if (arg && (r == 0 || better(vec->op, x, best, integers))) {
			best = x;
			best_r = r;
		}
		if (!arg)
			take(vec->op, &partial[r % AXL_REDUCE_LANES], x, false);
		r++;
	} while (index_next(&index, vec->dims, vec->reduce_mask));
	if (arg) {
		element_write_int(dst, vec->dst_type, best_r);
		return;
	}
	for (int width = AXL_REDUCE_LANES / 2; width >= 1; width /= 2)
		for (int i = 0; i < width; i++)
			take(vec->op, &partial[i], partial[i + width], true);
	number_write(dst, vec->dst_type, partial[0], integers);
}

static int one_element(const struct axl_vec *vec, uint8_t *spad, const struct index *index)
{
	uint8_t *dst = element_at(spad, vec->dst, vec->dst_stride, index, 31);
	const uint8_t *src0 = element_at(spad, vec->src0, vec->src0_stride, index, 31);
	const uint8_t *src1 = element_at(spad, vec->src1, vec->src1_stride, index, 31);

	switch (vec->op) {
	case AXL_VEC_QUANT:
		return quantize(vec, dst, src0);
	case AXL_VEC_DEQUANT:
		return dequantize(vec, dst, src0);
	case AXL_VEC_SELECT:
		return select_element(vec, dst, src0, src1);
	case AXL_VEC_GATHER:
		return gather(vec, dst, src0, src1);
	case AXL_VEC_TABLE:
		*dst = spad[vec->table + *src0];
		return 0;
	default:
		return elementwise(vec, dst, src0, src1);
	}
}

int reference_vec(const struct axl_vec *vec, uint8_t *spad)
{
	bool reduction = classes[vec->op] == 'r';
	unsigned int outer = reduction ? ~vec->reduce_mask & 31u : 31;
	struct index index = {0};
	int err;

	if (!classes[vec->op])
		return -ENOTSUP;
	do {
		if (reduction) {
			reduce(vec, spad, index);
		} else {
			err = one_element(vec, spad, &index);
			if (err)
				return err;
		}
	} while (index_next(&index, vec->dims, outer));
	return 0;
}
