// SPDX-License-Identifier: MIT
/*
 * Cast and CastLike, and the row conversions that other families borrow (cast.h).
 *
 * One loop for each pair of native types, from two lists of types; half floats go through f32. Types of one byte and less are
 * cast_narrow.c's, strings cast_string.c's.
 */
#include "runtime/cpu/cast.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/cast_string.h"
#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"

/* ---- one value ---- */

/* Truncate, saturate, NaN to 0. @limit is the first power of two past the maximum, exact in a double. */
#define SATURATING(name, T, min, max, limit)                                                  \
	static inline T name(double x)                                                        \
	{                                                                                     \
		return x != x ? 0 : x <= (double)(min) ? (min) : x >= (limit) ? (max) : (T)x; \
	}
SATURATING(to_u8, uint8_t, 0, UINT8_MAX, 0x1p8)
SATURATING(to_s8, int8_t, INT8_MIN, INT8_MAX, 0x1p7)
SATURATING(to_u16, uint16_t, 0, UINT16_MAX, 0x1p16)
SATURATING(to_s16, int16_t, INT16_MIN, INT16_MAX, 0x1p15)
SATURATING(to_u32, uint32_t, 0, UINT32_MAX, 0x1p32)
SATURATING(to_s32, int32_t, INT32_MIN, INT32_MAX, 0x1p31)
SATURATING(to_u64, uint64_t, 0, UINT64_MAX, 0x1p64)
SATURATING(to_s64, int64_t, INT64_MIN, INT64_MAX, 0x1p63)

/* ---- rows: every pair of the native types ---- */

/* to: suffix, type, conversion from a float, conversion from an integer */
#define EACH_TARGET(X, from, F, is_float)                             \
	X(from, F, is_float, f32, float, (float)(x), (float)(x))      \
	X(from, F, is_float, f64, double, (double)(x), (double)(x))   \
	X(from, F, is_float, u8, uint8_t, to_u8(x), (uint8_t)(x))     \
	X(from, F, is_float, s8, int8_t, to_s8(x), (int8_t)(x))       \
	X(from, F, is_float, u16, uint16_t, to_u16(x), (uint16_t)(x)) \
	X(from, F, is_float, s16, int16_t, to_s16(x), (int16_t)(x))   \
	X(from, F, is_float, u32, uint32_t, to_u32(x), (uint32_t)(x)) \
	X(from, F, is_float, s32, int32_t, to_s32(x), (int32_t)(x))   \
	X(from, F, is_float, u64, uint64_t, to_u64(x), (uint64_t)(x)) \
	X(from, F, is_float, s64, int64_t, to_s64(x), (int64_t)(x))   \
	X(from, F, is_float, truth, uint8_t, (x) != 0, (x) != 0)

#define EACH_SOURCE(Y)      \
	Y(f32, float, 1)    \
	Y(f64, double, 1)   \
	Y(u8, uint8_t, 0)   \
	Y(s8, int8_t, 0)    \
	Y(u16, uint16_t, 0) \
	Y(s16, int16_t, 0)  \
	Y(u32, uint32_t, 0) \
	Y(s32, int32_t, 0)  \
	Y(u64, uint64_t, 0) \
	Y(s64, int64_t, 0)  \
	Y(truth, uint8_t, 0)

#define PICK_0(from_float, from_integer) from_integer
#define PICK_1(from_float, from_integer) from_float

#define CAST_LOOP(from, F, is_float, to, T, from_float, from_integer)       \
	static void from##_to_##to(size_t n, const void *src, void *dst)    \
	{                                                                   \
		const F *in = src;                                          \
		T *out = dst;                                               \
                                                                            \
		for (size_t i = 0; i < n; i++) {                            \
			F x = in[i];                                        \
                                                                            \
			out[i] = PICK_##is_float(from_float, from_integer); \
		}                                                           \
	}
#define CAST_LOOPS(from, F, is_float) EACH_TARGET(CAST_LOOP, from, F, is_float)
EACH_SOURCE(CAST_LOOPS)

/* ---- rows: half floats (f16 is "half" here, bf16 "brain", to keep apart from tensor.h's conversions of one value)
 * ---- */

/* IEEE half to float without branches: shift the fields into place and let a multiplication fix exponent and
 * subnormals. */
CPU_CLONES static void half_to_f32(size_t n, const void *src, void *dst)
{
	const uint16_t *in = src;
	float *out = dst;

	for (size_t i = 0; i < n; i++) {
		uint32_t sign = (uint32_t)(in[i] & 0x8000) << 16;
		uint32_t rest = (uint32_t)(in[i] & 0x7fff) << 13;
		uint32_t bits;
		float value;

		memcpy(&value, &rest, sizeof(value));
		value *= 0x1p112f;
		memcpy(&bits, &value, sizeof(bits));
		/* Infinity and NaN: the scaled value has not reached the top exponent yet. */
		bits |= rest >= 0x0f800000 ? 0x7f800000 : 0;
		bits |= sign;
		memcpy(&out[i], &bits, sizeof(bits));
	}
}

CPU_CLONES static void brain_to_f32(size_t n, const void *src, void *dst)
{
	const uint16_t *in = src;
	float *out = dst;

	for (size_t i = 0; i < n; i++) {
		uint32_t bits = (uint32_t)in[i] << 16;

		memcpy(&out[i], &bits, sizeof(bits));
	}
}

#define TO_HALF(from, F, to, expression)                                 \
	static void from##_to_##to(size_t n, const void *src, void *dst) \
	{                                                                \
		const F *in = src;                                       \
		uint16_t *out = dst;                                     \
                                                                         \
		for (size_t i = 0; i < n; i++)                           \
			out[i] = (expression);                           \
	}

/* f32_to_f16() of tensor.h without branches, so that the loop vectorises: all cases are computed, then one is chosen.
 */
CPU_CLONES static void f32_to_half(size_t n, const void *src, void *dst)
{
	const float *in = src;
	uint16_t *out = dst;

	for (size_t i = 0; i < n; i++) {
		uint32_t bits, magnitude, normal, small, half, nan;
		float shifted;

		memcpy(&bits, &in[i], sizeof(bits));
		magnitude = bits & 0x7fffffff;
		/* To nearest, ties to even; then from the exponent's bias of 127 to that of 15. */
		normal = ((magnitude + 0xfff + (magnitude >> 13 & 1)) >> 13) - (112 << 10);
		/* Subnormal: in units of 2^-24 behind 0.5, rounded by the addition. */
		shifted = fabsf(in[i]) + 0.5f;
		memcpy(&small, &shifted, sizeof(small));
		small -= 0x3f000000;
		nan = 0x7e00 | (magnitude >> 13 & 0x3ff);
		half = magnitude < 0x38800000 ? small : normal;
		half = magnitude >= 0x477ff000 ? 0x7c00 : half;
		half = magnitude > 0x7f800000 ? nan : half;
		out[i] = (uint16_t)(half | (bits >> 16 & 0x8000));
	}
}

CPU_CLONES static void f32_to_brain(size_t n, const void *src, void *dst)
{
	const float *in = src;
	uint16_t *out = dst;

	for (size_t i = 0; i < n; i++) {
		uint32_t bits, rounded;

		memcpy(&bits, &in[i], sizeof(bits));
		rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
		/* Rounding could turn a NaN into infinity: make it quiet instead. */
		out[i] = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded);
	}
}

/* From the others: through a double, which all but large 64-bit integers reach exactly, and one rounding. */
#define TO_HALVES(from, F)                                                \
	TO_HALF(from, F, half, f32_to_f16(f64_to_f32_odd((double)in[i]))) \
	TO_HALF(from, F, brain, f32_to_bf16(f64_to_f32_odd((double)in[i])))
TO_HALVES(f64, double)
TO_HALVES(u8, uint8_t)
TO_HALVES(s8, int8_t)
TO_HALVES(u16, uint16_t)
TO_HALVES(s16, int16_t)
TO_HALVES(u32, uint32_t)
TO_HALVES(s32, int32_t)
TO_HALVES(u64, uint64_t)
TO_HALVES(s64, int64_t)
TO_HALVES(truth, uint8_t)

#define BLOCK 512

/* From a half to any native type: blocks of f32 in between. */
#define FROM_HALF(from, to, T)                                              \
	static void from##_to_##to(size_t n, const void *src, void *dst)    \
	{                                                                   \
		float block[BLOCK];                                         \
                                                                            \
		for (size_t i = 0; i < n; i += BLOCK) {                     \
			size_t m = n - i < BLOCK ? n - i : BLOCK;           \
                                                                            \
			from##_to_f32(m, (const uint16_t *)src + i, block); \
			f32_to_##to(m, block, (T *)dst + i);                \
		}                                                           \
	}
#define FROM_HALVES(to, T)     \
	FROM_HALF(half, to, T) \
	FROM_HALF(brain, to, T)
FROM_HALVES(f64, double)
FROM_HALVES(u8, uint8_t)
FROM_HALVES(s8, int8_t)
FROM_HALVES(u16, uint16_t)
FROM_HALVES(s16, int16_t)
FROM_HALVES(u32, uint32_t)
FROM_HALVES(s32, int32_t)
FROM_HALVES(u64, uint64_t)
FROM_HALVES(s64, int64_t)
FROM_HALVES(truth, uint8_t)
FROM_HALVES(half, uint16_t)
FROM_HALVES(brain, uint16_t)

/* ---- the table ---- */

#define DTYPE_LIMIT (DTYPE_BF16 + 1)

#define ROW(from)                                                                                          \
	{                                                                                                  \
		[DTYPE_F32] = from##_to_f32, [DTYPE_F64] = from##_to_f64, [DTYPE_U8] = from##_to_u8,       \
		[DTYPE_S8] = from##_to_s8, [DTYPE_U16] = from##_to_u16, [DTYPE_S16] = from##_to_s16,       \
		[DTYPE_U32] = from##_to_u32, [DTYPE_S32] = from##_to_s32, [DTYPE_U64] = from##_to_u64,     \
		[DTYPE_S64] = from##_to_s64, [DTYPE_BOOL] = from##_to_truth, [DTYPE_F16] = from##_to_half, \
		[DTYPE_BF16] = from##_to_brain,                                                            \
	}
static const cast_fn rows[DTYPE_LIMIT][DTYPE_LIMIT] = {
	[DTYPE_F32] = ROW(f32),    [DTYPE_F64] = ROW(f64), [DTYPE_U8] = ROW(u8),      [DTYPE_S8] = ROW(s8),
	[DTYPE_U16] = ROW(u16),    [DTYPE_S16] = ROW(s16), [DTYPE_U32] = ROW(u32),    [DTYPE_S32] = ROW(s32),
	[DTYPE_U64] = ROW(u64),    [DTYPE_S64] = ROW(s64), [DTYPE_BOOL] = ROW(truth), [DTYPE_F16] = ROW(half),
	[DTYPE_BF16] = ROW(brain),
};

cast_fn cast_row(enum dtype from, enum dtype to)
{
	if ((unsigned int)from >= DTYPE_LIMIT || (unsigned int)to >= DTYPE_LIMIT)
		return NULL;
	return rows[from][to];
}

int tensor_cast(const struct tensor *t, enum dtype to, struct tensor *out)
{
	int err;

	memset(out, 0, sizeof(*out));
	if (t->dtype == to) {
		*out = *t;
		out->owned = false;
		return 0;
	}
	if (!cast_exists(t->dtype, to))
		return -EINVAL;
	err = tensor_init(out, to, t->rank, t->dims);
	if (!err)
		cast_elements(t->dtype, to, &cast_default, tensor_count(t), t->data, out->data);
	return err;
}

int op_input_s64(struct op_call *call, size_t index, bool any_integer, struct tensor *out)
{
	const struct tensor *in = index < call->node->num_inputs ? call->inputs[index] : NULL;
	int err;

	memset(out, 0, sizeof(*out));
	if (!in)
		return op_fail(call, -EINVAL, "%s: input %zu is missing", call->node->op_type, index);
	if (in->dtype != DTYPE_S64 && in->dtype != DTYPE_S32 && !(any_integer && dtype_is_integer(in->dtype)))
		return op_fail(call, -EINVAL, "%s: input %zu is %s, not an integer tensor", call->node->op_type, index,
			       dtype_name(in->dtype));
	err = tensor_cast(in, DTYPE_S64, out);
	return err ? op_fail(call, err, "%s: no memory for input %zu", call->node->op_type, index) : 0;
}

/* ---- the operators ---- */

struct cast_job {
	enum dtype from, to;
	struct cast_rule rule;
	const char *src;
	char *dst;
};

static void cast_range(void *arg, int64_t begin, int64_t end)
{
	const struct cast_job *job = arg;

	cast_elements(job->from, job->to, &job->rule, end - begin, job->src + begin * dtype_size(job->from),
		      job->dst + begin * dtype_size(job->to));
}

/* The attributes saturate (since version 19) and round_mode (since version 24). */
static int read_rule(struct op_call *call, struct cast_rule *rule)
{
	rule->saturate = op_attr_int(call->node, "saturate", 1) != 0;
	rule->round = E8M0_UP;
	if (op_attr_is(call->node, "round_mode", "up", "down"))
		rule->round = E8M0_DOWN;
	else if (op_attr_is(call->node, "round_mode", "up", "nearest"))
		rule->round = E8M0_NEAREST;
	else if (!op_attr_is(call->node, "round_mode", "up", "up"))
		return op_fail(call, -EINVAL, "%s: the attribute round_mode is not up, down or nearest",
			       call->node->op_type);
	return 0;
}

static int cast_to(struct op_call *call, enum dtype type)
{
	const struct tensor *in = call->inputs[0];
	struct cast_job job = {.from = in->dtype, .to = type};
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = read_rule(call, &job.rule);
	if (err)
		return err;
	/* A string is read and printed as a number of any kind. */
	if (!cast_exists(in->dtype == DTYPE_STRING ? DTYPE_F64 : in->dtype, type == DTYPE_STRING ? DTYPE_F64 : type))
		return op_fail(call, -ENOTSUP, "%s: from %s to %s (type %d)", call->node->op_type,
			       dtype_name(in->dtype), dtype_name(type), (int)type);
	err = op_output(call, 0, type, in->rank, in->dims);
	if (err)
		return err;
	if (type == DTYPE_STRING)
		return cast_to_strings(call, in, call->outputs[0]);
	if (in->dtype == DTYPE_STRING)
		return cast_from_strings(call, in, &job.rule, call->outputs[0]);
	job.src = in->data;
	job.dst = call->outputs[0]->data;
	parallel_range(call->pool, tensor_count(in), PARALLEL_GRAIN, cast_range, &job);
	return 0;
}

static int run_cast(struct op_call *call)
{
	const struct attr *to = op_attr(call->node, "to");

	/* Opset 1 to 5 spelled the type as a string. */
	if (to && to->type == ATTR_STRING) {
		char name[16] = "";

		for (size_t i = 0; i < to->s.size && i < sizeof(name) - 1; i++)
			name[i] = to->s.data[i] >= 'A' && to->s.data[i] <= 'Z' ? to->s.data[i] + 32 : to->s.data[i];
		return cast_to(call, dtype_from_name(name));
	}
	if (!to || to->type != ATTR_INT)
		return op_fail(call, -EINVAL, "Cast: the attribute 'to' is missing");
	if (!dtype_is_element(to->i))
		return op_fail(call, -ENOTSUP, "Cast: attribute to = %" PRId64 " is no type known here", to->i);
	return cast_to(call, to->i);
}

static int run_cast_like(struct op_call *call)
{
	if (!call->inputs[1])
		return op_fail(call, -EINVAL, "CastLike: input 1 (target_type) is missing");
	return cast_to(call, call->inputs[1]->dtype);
}

/* The same bits as another type of as many: no element changes, but for what the types keep above 6, 4 or 2 bits. */
static int run_bit_cast(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int64_t to = op_attr_int(call->node, "to", 0);
	enum dtype type = (enum dtype)to;
	int err;

	if (!dtype_is_element(to) || type == DTYPE_STRING || dtype_owns_memory(in->dtype))
		return op_fail(call, -EINVAL, "BitCast: from %s to type %" PRId64 ", which has no bits to take",
			       dtype_name(in->dtype), to);
	if (dtype_bits(in->dtype) != dtype_bits(type))
		return op_fail(call, -EINVAL, "BitCast: %s has %d bits, %s has %d", dtype_name(in->dtype),
			       dtype_bits(in->dtype), dtype_name(type), dtype_bits(type));
	err = op_output(call, 0, type, in->rank, in->dims);
	if (err || !op_wanted(call, 0))
		return err;
	if (dtype_bits(type) < 8)
		wrap_bits(type, (size_t)tensor_count(in), in->data, call->outputs[0]->data);
	else if (tensor_bytes(in))
		memcpy(call->outputs[0]->data, in->data, tensor_bytes(in));
	return 0;
}

const struct op_kernel ops_cast[] = {
	{"", "BitCast", 26, 0, 1, 1, 1, 1, run_bit_cast},
	{"", "Cast", 1, 0, 1, 1, 1, 1, run_cast},
	{"", "CastLike", 15, 0, 2, 2, 1, 1, run_cast_like},
};
const size_t ops_cast_count = sizeof(ops_cast) / sizeof(ops_cast[0]);
