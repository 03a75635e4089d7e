// SPDX-License-Identifier: MIT
/*
 * Cast and CastLike, and the row conversions that other families borrow (cast.h).
 *
 * One loop for each pair of types, from two lists of types; half floats go through f32, strings are converted one by
 * one.
 */
#include "runtime/cpu/cast.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/*
 * A double as a float that still tells on which side of a half float's rounding point it lies: round to odd (S. Boldo
 * and G. Melquiond, "Emulation of FMA and correctly rounded sums", section 3). Rounding that to 16 bits gives the same
 * as rounding the double once.
 */
static float narrow_to_odd(double x)
{
	float near = (float)x;
	uint32_t bits;

	if ((double)near == x || x != x || isinf(near))
		return near;
	/* Towards zero, then set the last bit. */
	memcpy(&bits, &near, sizeof(bits));
	if (fabs((double)near) > fabs(x))
		bits--;
	bits |= 1;
	memcpy(&near, &bits, sizeof(bits));
	return near;
}

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
#define TO_HALVES(from, F)                                               \
	TO_HALF(from, F, half, f32_to_f16(narrow_to_odd((double)in[i]))) \
	TO_HALF(from, F, brain, f32_to_bf16(narrow_to_odd((double)in[i])))
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
	cast_fn fn;
	int err;

	memset(out, 0, sizeof(*out));
	if (t->dtype == to) {
		*out = *t;
		out->owned = false;
		return 0;
	}
	fn = cast_row(t->dtype, to);
	if (!fn)
		return -EINVAL;
	err = tensor_init(out, to, t->rank, t->dims);
	if (!err)
		fn(tensor_count(t), t->data, out->data);
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

/* ---- strings ---- */

/* The shortest decimal that reads back as the same float or double, as numpy prints it. */
static void print_float(double x, bool is_double, char *text, size_t size)
{
	int most = is_double ? 17 : 9;

	if (x != x || isinf(x)) {
		snprintf(text, size, "%s", x != x ? "NaN" : x > 0 ? "INF" : "-INF");
		return;
	}
	for (int digits = 1; digits <= most; digits++) {
		snprintf(text, size, "%.*g", digits, x);
		if (is_double ? strtod(text, NULL) == x : strtof(text, NULL) == (float)x)
			break;
	}
	/* 1e+06 is 1000000.0 to numpy; only very large and very small numbers keep the exponent. */
	if (fabs(x) < 1e16 && fabs(x) >= 1e-4 && strchr(text, 'e')) {
		for (int decimals = 0; decimals <= 20; decimals++) {
			snprintf(text, size, "%.*f", decimals, x);
			if (is_double ? strtod(text, NULL) == x : strtof(text, NULL) == (float)x)
				break;
		}
	}
	if (!strpbrk(text, ".e") && strlen(text) + 3 <= size)
		strcat(text, ".0");
}

static int print_element(const struct tensor *t, int64_t i, struct tensor_string *out)
{
	char text[64];

	switch (t->dtype) {
	case DTYPE_F32:
	case DTYPE_F16:
	case DTYPE_BF16:
		print_float(tensor_get_f64(t, i), false, text, sizeof(text));
		break;
	case DTYPE_F64:
		print_float(((const double *)t->data)[i], true, text, sizeof(text));
		break;
	case DTYPE_U64:
		snprintf(text, sizeof(text), "%" PRIu64, ((const uint64_t *)t->data)[i]);
		break;
	case DTYPE_BOOL:
		snprintf(text, sizeof(text), "%s", ((const uint8_t *)t->data)[i] ? "True" : "False");
		break;
	default:
		snprintf(text, sizeof(text), "%" PRId64, tensor_get_s64(t, i));
		break;
	}
	out->data = strdup(text);
	out->size = strlen(text);
	return out->data ? 0 : -ENOMEM;
}

/* Read @s as a number into one element. "NaN", "INF", "-inf", … are what strtod() takes. */
static int parse_element(const struct tensor_string *s, enum dtype type, void *dst)
{
	char text[128], *end;

	if (s->size == 0 || s->size >= sizeof(text))
		return -EINVAL;
	memcpy(text, s->data, s->size);
	text[s->size] = 0;
	errno = 0;
	if (type == DTYPE_U64) {
		uint64_t value = strtoull(text, &end, 10);

		cast_row(DTYPE_U64, type)(1, &value, dst);
	} else if (dtype_is_integer(type) && !strpbrk(text, ".eE")) {
		int64_t value = strtoll(text, &end, 10);

		cast_row(DTYPE_S64, type)(1, &value, dst);
	} else {
		double value = strtod(text, &end);

		cast_row(DTYPE_F64, type)(1, &value, dst);
	}
	return end == text || *end ? -EINVAL : 0;
}

static int cast_to_strings(struct op_call *call, const struct tensor *in, struct tensor *out)
{
	for (int64_t i = 0; i < tensor_count(in); i++) {
		struct tensor_string *s = (struct tensor_string *)out->data + i;
		const struct tensor_string *from = (const struct tensor_string *)in->data + i;
		int err = 0;

		if (in->dtype != DTYPE_STRING) {
			err = print_element(in, i, s);
		} else {
			s->data = malloc(from->size + 1);
			if (s->data && from->size)
				memcpy(s->data, from->data, from->size);
			s->size = s->data ? from->size : 0;
			err = s->data ? 0 : -ENOMEM;
		}
		if (err)
			return op_fail(call, err, "%s: no memory for strings", call->node->op_type);
	}
	return 0;
}

static int cast_from_strings(struct op_call *call, const struct tensor *in, struct tensor *out)
{
	size_t step = dtype_size(out->dtype);

	for (int64_t i = 0; i < tensor_count(in); i++) {
		const struct tensor_string *s = (const struct tensor_string *)in->data + i;

		if (parse_element(s, out->dtype, (char *)out->data + i * step))
			return op_fail(call, -EINVAL, "%s: \"%.*s\" (element %" PRId64 ") is not a %s",
				       call->node->op_type, (int)(s->size < 40 ? s->size : 40), s->data, i,
				       dtype_name(out->dtype));
	}
	return 0;
}

/* ---- the operators ---- */

struct cast_job {
	cast_fn fn;
	const char *src;
	char *dst;
	size_t src_size, dst_size;
};

static void cast_range(void *arg, int64_t begin, int64_t end)
{
	const struct cast_job *job = arg;

	job->fn(end - begin, job->src + begin * job->src_size, job->dst + begin * job->dst_size);
}

static int cast_to(struct op_call *call, enum dtype type)
{
	const struct tensor *in = call->inputs[0];
	struct cast_job job = {0};
	int err;

	if (!op_wanted(call, 0))
		return 0;
	job.fn = cast_row(in->dtype, type);
	if (!job.fn && in->dtype != DTYPE_STRING && type != DTYPE_STRING)
		return op_fail(call, -ENOTSUP, "%s: from %s to %s (type %d)", call->node->op_type,
			       dtype_name(in->dtype), dtype_name(type), (int)type);
	if (in->dtype == DTYPE_STRING && type != DTYPE_STRING && !cast_row(DTYPE_F64, type))
		return op_fail(call, -ENOTSUP, "%s: from string to %s (type %d)", call->node->op_type, dtype_name(type),
			       (int)type);
	if (type == DTYPE_STRING && in->dtype != DTYPE_STRING && !cast_row(in->dtype, DTYPE_F64))
		return op_fail(call, -ENOTSUP, "%s: from %s to string", call->node->op_type, dtype_name(in->dtype));
	err = op_output(call, 0, type, in->rank, in->dims);
	if (err)
		return err;
	if (type == DTYPE_STRING)
		return cast_to_strings(call, in, call->outputs[0]);
	if (in->dtype == DTYPE_STRING)
		return cast_from_strings(call, in, call->outputs[0]);
	job.src = in->data;
	job.dst = call->outputs[0]->data;
	job.src_size = dtype_size(in->dtype);
	job.dst_size = dtype_size(type);
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
	if (to->i <= 0 || to->i >= DTYPE_LIMIT)
		return op_fail(call, -ENOTSUP, "Cast: attribute to = %" PRId64 " is no type known here", to->i);
	return cast_to(call, to->i);
}

static int run_cast_like(struct op_call *call)
{
	if (!call->inputs[1])
		return op_fail(call, -EINVAL, "CastLike: input 1 (target_type) is missing");
	return cast_to(call, call->inputs[1]->dtype);
}

const struct op_kernel ops_cast[] = {
	{"", "Cast", 1, 0, 1, 1, 1, 1, run_cast},
	{"", "CastLike", 15, 0, 2, 2, 1, 1, run_cast_like},
};
const size_t ops_cast_count = sizeof(ops_cast) / sizeof(ops_cast[0]);
