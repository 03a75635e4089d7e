// SPDX-License-Identifier: MIT
/*
 * Operators of two and more operands, element by element with broadcasting: arithmetic, logic, bits, comparisons,
 * PRelu.
 *
 * An operator is a table of row loops by element type; broadcast.c drives them. Half floats are computed in f32, in
 * blocks. Integers wrap around; an integer divided by zero is 0 (ONNX leaves it open), never a trap.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/broadcast.h"
#include "runtime/cpu/cast.h"
#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/half.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/strided_copy.h"

#define DTYPE_LIMIT (DTYPE_BF16 + 1)

/* n results from a[i * sa] and b[i * sb]; the steps are 0 or 1. */
typedef void (*binary_fn)(size_t n, void *out, const void *a, const void *b, int64_t sa, int64_t sb);

/*
 * struct binary_op - an operator of two operands
 * @rows:    the loop by type of the operands; NULL where the operator does not take the type
 * @logical: the result is bool, whatever the operands are
 */
struct binary_op {
	bool logical;
	binary_fn rows[DTYPE_LIMIT];
};

#define BINARY_LOOP(clones, name, T, R, expression)                                                           \
	clones static void name(size_t n, void *out_, const void *a_, const void *b_, int64_t sa, int64_t sb) \
	{                                                                                                     \
		R *out = out_;                                                                                \
		const T *a = a_, *b = b_;                                                                     \
                                                                                                              \
		if (sa && sb) {                                                                               \
			for (size_t i = 0; i < n; i++) {                                                      \
				const T x = a[i], y = b[i];                                                   \
				out[i] = (R)(expression);                                                     \
			}                                                                                     \
		} else if (sa) {                                                                              \
			const T y = b[0];                                                                     \
			for (size_t i = 0; i < n; i++) {                                                      \
				const T x = a[i];                                                             \
				out[i] = (R)(expression);                                                     \
			}                                                                                     \
		} else {                                                                                      \
			const T x = a[0];                                                                     \
			for (size_t i = 0; i < n; i++) {                                                      \
				const T y = b[i * sb];                                                        \
				out[i] = (R)(expression);                                                     \
			}                                                                                     \
		}                                                                                             \
	}

/* name, type, unsigned type of arithmetic that neither traps nor is promoted to int */
#define EACH_INTEGER(X, ...)                    \
	X(u8, uint8_t, uint32_t, __VA_ARGS__)   \
	X(s8, int8_t, uint32_t, __VA_ARGS__)    \
	X(u16, uint16_t, uint32_t, __VA_ARGS__) \
	X(s16, int16_t, uint32_t, __VA_ARGS__)  \
	X(u32, uint32_t, uint32_t, __VA_ARGS__) \
	X(s32, int32_t, uint32_t, __VA_ARGS__)  \
	X(u64, uint64_t, uint64_t, __VA_ARGS__) \
	X(s64, int64_t, uint64_t, __VA_ARGS__)

#define INTEGER_ROWS(name)                                                                                  \
	[DTYPE_U8] = name##_u8, [DTYPE_S8] = name##_s8, [DTYPE_U16] = name##_u16, [DTYPE_S16] = name##_s16, \
	[DTYPE_U32] = name##_u32, [DTYPE_S32] = name##_s32, [DTYPE_U64] = name##_u64, [DTYPE_S64] = name##_s64
#define FLOAT_ROWS(name) [DTYPE_F32] = name##_f32, [DTYPE_F64] = name##_f64

#define INTEGER_LOOP(type, T, U, name, expression) BINARY_LOOP(, name##_##type, T, T, expression)
#define FLOAT_LOOPS(name, in_f32, in_f64)                         \
	BINARY_LOOP(CPU_CLONES, name##_f32, float, float, in_f32) \
	BINARY_LOOP(, name##_f64, double, double, in_f64)

/* ---- arithmetic ---- */

#define WRAPPING_LOOP(type, T, U, name, op) BINARY_LOOP(, name##_##type, T, T, (U)x op(U) y)
#define ARITHMETIC(name, op)                  \
	FLOAT_LOOPS(name, x op y, x op y)     \
	EACH_INTEGER(WRAPPING_LOOP, name, op) \
	static const struct binary_op name##_op = {.rows = {FLOAT_ROWS(name), INTEGER_ROWS(name)}};
ARITHMETIC(add, +)
ARITHMETIC(sub, -)
ARITHMETIC(mul, *)

/* -1 apart: the most negative number over it traps on x86. */
#define DIVIDE(T, U, x, y) ((y) == 0 ? (T)0 : (T)-1 < (T)1 && (y) == (T)-1 ? (T)((U)0 - (U)(x)) : (T)((x) / (y)))
#define DIVIDE_LOOP(type, T, U, name) BINARY_LOOP(, name##_##type, T, T, DIVIDE(T, U, x, y))
FLOAT_LOOPS(div, x / y, x / y)
EACH_INTEGER(DIVIDE_LOOP, div)
static const struct binary_op div_op = {.rows = {FLOAT_ROWS(div), INTEGER_ROWS(div)}};

/* The remainder with the dividend's sign (C, fmod = 1). */
#define REMAINDER(T, x, y) ((y) == 0 || ((T)-1 < (T)1 && (y) == (T)-1) ? (T)0 : (T)((x) % (y)))
#define FMOD_LOOP(type, T, U, name) BINARY_LOOP(, name##_##type, T, T, REMAINDER(T, x, y))
FLOAT_LOOPS(fmod, fmodf(x, y), fmod(x, y))
EACH_INTEGER(FMOD_LOOP, fmod)
static const struct binary_op fmod_op = {.rows = {FLOAT_ROWS(fmod), INTEGER_ROWS(fmod)}};

/* With the divisor's sign (Python, fmod = 0): integers only. Neither is 0 when the signs are compared. */
#define MODULO(T, x, y) \
	((T)(REMAINDER(T, x, y) + (REMAINDER(T, x, y) != 0 && (REMAINDER(T, x, y) < 1) != ((y) < 1) ? (y) : 0)))
#define MOD_LOOP(type, T, U, name) BINARY_LOOP(, name##_##type, T, T, MODULO(T, x, y))
EACH_INTEGER(MOD_LOOP, mod)
static const struct binary_op mod_op = {.rows = {INTEGER_ROWS(mod)}};

/* A NaN on either side is the answer, as in NumPy. */
FLOAT_LOOPS(max, x > y || x != x ? x : y, x > y || x != x ? x : y)
FLOAT_LOOPS(min, x < y || x != x ? x : y, x < y || x != x ? x : y)
EACH_INTEGER(INTEGER_LOOP, max, x > y ? x : y)
EACH_INTEGER(INTEGER_LOOP, min, x < y ? x : y)
static const struct binary_op max_op = {.rows = {FLOAT_ROWS(max), INTEGER_ROWS(max)}};
static const struct binary_op min_op = {.rows = {FLOAT_ROWS(min), INTEGER_ROWS(min)}};

FLOAT_LOOPS(prelu, x < 0 ? x * y : x, x < 0 ? x * y : x)
#define PRELU_LOOP(type, T, U, name) BINARY_LOOP(, name##_##type, T, T, x < 0 ? (U)x * (U)y : (U)x)
PRELU_LOOP(s32, int32_t, uint32_t, prelu)
PRELU_LOOP(s64, int64_t, uint64_t, prelu)
BINARY_LOOP(, prelu_u32, uint32_t, uint32_t, ((void)y, x))
BINARY_LOOP(, prelu_u64, uint64_t, uint64_t, ((void)y, x))
static const struct binary_op prelu_op = {.rows = {FLOAT_ROWS(prelu), [DTYPE_S32] = prelu_s32, [DTYPE_S64] = prelu_s64,
						   [DTYPE_U32] = prelu_u32, [DTYPE_U64] = prelu_u64}};

/* ---- bits ---- */

#define BITS(name, op)                           \
	EACH_INTEGER(INTEGER_LOOP, name, x op y) \
	static const struct binary_op name##_op = {.rows = {INTEGER_ROWS(name)}};
BITS(bit_and, &)
BITS(bit_or, |)
BITS(bit_xor, ^)

/* Shifting by the width or more leaves nothing (C leaves it undefined). */
#define SHIFT_LOOPS(type, T)                                                             \
	BINARY_LOOP(, shift_left_##type, T, T, y < sizeof(T) * 8 ? (uint64_t)x << y : 0) \
	BINARY_LOOP(, shift_right_##type, T, T, y < sizeof(T) * 8 ? (uint64_t)x >> y : 0)
SHIFT_LOOPS(u8, uint8_t)
SHIFT_LOOPS(u16, uint16_t)
SHIFT_LOOPS(u32, uint32_t)
SHIFT_LOOPS(u64, uint64_t)
#define UNSIGNED_ROWS(name) \
	[DTYPE_U8] = name##_u8, [DTYPE_U16] = name##_u16, [DTYPE_U32] = name##_u32, [DTYPE_U64] = name##_u64
static const struct binary_op shift_left_op = {.rows = {UNSIGNED_ROWS(shift_left)}};
static const struct binary_op shift_right_op = {.rows = {UNSIGNED_ROWS(shift_right)}};

/* ---- logic and comparisons ---- */

#define LOGIC(name, expression)                                      \
	BINARY_LOOP(, name##_bool_row, uint8_t, uint8_t, expression) \
	static const struct binary_op name##_op = {.logical = true, .rows = {[DTYPE_BOOL] = name##_bool_row}};
LOGIC(and, (x != 0) & (y != 0))
LOGIC(or, (x != 0) | (y != 0))
LOGIC(xor, (x != 0) ^ (y != 0))

#define COMPARE_LOOP(type, T, U, name, op) BINARY_LOOP(, name##_##type, T, uint8_t, x op y)
#define COMPARISON(name, op)                                        \
	BINARY_LOOP(CPU_CLONES, name##_f32, float, uint8_t, x op y) \
	COMPARE_LOOP(f64, double, , name, op)                       \
	EACH_INTEGER(COMPARE_LOOP, name, op)
COMPARISON(equal, ==)
COMPARISON(less, <)
COMPARISON(greater, >)
COMPARISON(less_equal, <=)
COMPARISON(greater_equal, >=)

static bool strings_equal(struct tensor_string a, struct tensor_string b)
{
	return a.size == b.size && (a.size == 0 || !memcmp(a.data, b.data, a.size));
}
BINARY_LOOP(, equal_string, struct tensor_string, uint8_t, strings_equal(x, y))
BINARY_LOOP(, equal_truth, uint8_t, uint8_t, (x != 0) == (y != 0))

static const struct binary_op equal_op = {
	.logical = true,
	.rows = {FLOAT_ROWS(equal), INTEGER_ROWS(equal), [DTYPE_STRING] = equal_string, [DTYPE_BOOL] = equal_truth}};
#define ORDER_OP(name) \
	static const struct binary_op name##_op = {.logical = true, .rows = {FLOAT_ROWS(name), INTEGER_ROWS(name)}};
ORDER_OP(less)
ORDER_OP(greater)
ORDER_OP(less_equal)
ORDER_OP(greater_equal)

/* ---- running them ---- */

/* One pass of an operator over two operands. The row of a half float type goes through f32 blocks. */
struct binary_job {
	binary_fn row;
	cast_fn widen, narrow; /* NULL unless half */
	char *out;
	const char *a, *b;
	size_t in_size, out_size;
};

static void run_half_row(const struct binary_job *job, size_t n, char *out, const char *a, const char *b,
			 const int64_t *step)
{
	float wide_a[HALF_BLOCK], wide_b[HALF_BLOCK], wide_out[HALF_BLOCK];

	for (size_t i = 0; i < n; i += HALF_BLOCK) {
		size_t m = n - i < HALF_BLOCK ? n - i : HALF_BLOCK;

		job->widen(step[0] ? m : 1, a + i * step[0] * job->in_size, wide_a);
		job->widen(step[1] ? m : 1, b + i * step[1] * job->in_size, wide_b);
		if (job->narrow) {
			job->row(m, wide_out, wide_a, wide_b, step[0], step[1]);
			job->narrow(m, wide_out, out + i * job->out_size);
		} else {
			job->row(m, out + i * job->out_size, wide_a, wide_b, step[0], step[1]);
		}
	}
}

static void run_binary_row(void *arg, size_t n, int64_t out, const int64_t *in, const int64_t *step)
{
	const struct binary_job *job = arg;
	char *to = job->out + out * job->out_size;
	const char *a = job->a + in[0] * job->in_size, *b = job->b + in[1] * job->in_size;

	if (job->widen)
		run_half_row(job, n, to, a, b, step);
	else
		job->row(n, to, a, b, step[0], step[1]);
}

/* out = a (op) b; @out has its final shape, and may be @a. */
static int apply_binary(struct op_call *call, const struct binary_op *op, struct tensor *out, const struct tensor *a,
			const struct tensor *b)
{
	const struct tensor *operands[2] = {a, b};
	struct binary_job job = {.out = out->data, .a = a->data, .b = b->data};
	struct broadcast plan;

	if (broadcast_plan(&plan, 2, operands, out->rank, out->dims))
		return op_fail(call, -EINVAL, "%s: the inputs do not broadcast to the shape of the output",
			       call->node->op_type);
	job.in_size = dtype_size(a->dtype);
	job.out_size = dtype_size(out->dtype);
	job.row = op->rows[a->dtype];
	if (!job.row) {
		job.row = op->rows[DTYPE_F32];
		job.widen = cast_row(a->dtype, DTYPE_F32);
		job.narrow = op->logical ? NULL : cast_row(DTYPE_F32, a->dtype);
	}
	broadcast_run(&plan, call->pool, run_binary_row, &job);
	return 0;
}

static int check_types(struct op_call *call, const struct binary_op *op)
{
	enum dtype type = call->inputs[0]->dtype;

	for (size_t i = 1; i < call->node->num_inputs; i++)
		if (call->inputs[i]->dtype != type)
			return op_fail(call, -EINVAL, "%s: input %zu is %s but input 0 is %s", call->node->op_type, i,
				       dtype_name(call->inputs[i]->dtype), dtype_name(type));
	if ((unsigned int)type < DTYPE_LIMIT && (op->rows[type] || (op->rows[DTYPE_F32] && dtype_is_half(type))))
		return 0;
	return op_fail(call, -ENOTSUP, "%s: elements of type %s", call->node->op_type, dtype_name(type));
}

static int run_binary(struct op_call *call, const struct binary_op *op)
{
	const struct tensor *inputs[2] = {call->inputs[0], call->inputs[1]};
	struct op_call aligned = *call;
	int64_t dims[TENSOR_MAX_RANK];
	struct tensor view;
	int rank, err;

	if (!op_wanted(call, 0))
		return 0;
	if (!inputs[0] || !inputs[1])
		return op_fail(call, -EINVAL, "%s: input %d is missing", call->node->op_type, inputs[0] ? 1 : 0);
	if (call->node->opset < 7 && !*call->node->domain) {
		err = broadcast_align_legacy(call, &view);
		if (err)
			return err;
		inputs[1] = &view;
		aligned.inputs = inputs;
	}
	err = broadcast_shape(&aligned, &rank, dims);
	if (err)
		return op_fail(call, err, "%s", aligned.error);
	err = check_types(call, op);
	if (err)
		return err;
	err = op_output(call, 0, op->logical ? DTYPE_BOOL : inputs[0]->dtype, rank, dims);
	return err ? err : apply_binary(call, op, call->outputs[0], inputs[0], inputs[1]);
}

#define BINARY_RUN(name)                             \
	static int run_##name(struct op_call *call)  \
	{                                            \
		return run_binary(call, &name##_op); \
	}
BINARY_RUN(add)
BINARY_RUN(sub)
BINARY_RUN(mul)
BINARY_RUN(div)
BINARY_RUN(and)
BINARY_RUN(or)
BINARY_RUN(xor)
BINARY_RUN(bit_and)
BINARY_RUN(bit_or)
BINARY_RUN(bit_xor)
BINARY_RUN(equal)
BINARY_RUN(less)
BINARY_RUN(greater)
BINARY_RUN(less_equal)
BINARY_RUN(greater_equal)

/* Unidirectional: the slope stretches to X, never X to the slope. */
static int run_prelu(struct op_call *call)
{
	const struct tensor *x = call->inputs[0], *slope = call->inputs[1];
	int64_t dims[TENSOR_MAX_RANK];
	int rank;

	if (x && slope && call->node->opset < 7 && slope->rank == 1 && x->rank > 1) {
		/* One slope a channel, aligned at axis 1. */
		struct tensor channels = *slope;
		const struct tensor *inputs[2] = {x, &channels};
		struct op_call aligned = *call;

		channels.rank = x->rank - 1;
		for (int i = 1; i < channels.rank; i++)
			channels.dims[i] = 1;
		aligned.inputs = inputs;
		return run_binary(&aligned, &prelu_op);
	}
	if (x && slope &&
	    (broadcast_dims(x->rank, x->dims, slope->rank, slope->dims, &rank, dims) || rank != x->rank ||
	     memcmp(dims, x->dims, rank * sizeof(*dims))))
		return op_fail(call, -EINVAL, "PRelu: the shape of the slope (input 1) does not stretch to X");
	return run_binary(call, &prelu_op);
}

static int run_mod(struct op_call *call)
{
	bool c_style = op_attr_int(call->node, "fmod", 0) != 0;

	if (!c_style && call->inputs[0] && dtype_is_float(call->inputs[0]->dtype))
		return op_fail(call, -EINVAL, "Mod: floating-point inputs need the attribute fmod = 1");
	return run_binary(call, c_style ? &fmod_op : &mod_op);
}

static int run_bit_shift(struct op_call *call)
{
	if (op_attr_is(call->node, "direction", "", "LEFT"))
		return run_binary(call, &shift_left_op);
	if (op_attr_is(call->node, "direction", "", "RIGHT"))
		return run_binary(call, &shift_right_op);
	return op_fail(call, -EINVAL, "BitShift: attribute direction is neither LEFT nor RIGHT");
}

/* ---- Sum, Mean, Max, Min: any number of inputs ---- */

static int run_variadic(struct op_call *call, const struct binary_op *op)
{
	const struct tensor *const *in = call->inputs;
	size_t count = call->node->num_inputs;
	int64_t dims[TENSOR_MAX_RANK];
	struct tensor zero = {0};
	uint64_t zeros = 0;
	struct tensor *out;
	int rank, err;

	if (!op_wanted(call, 0))
		return 0;
	err = broadcast_shape(call, &rank, dims);
	if (!err)
		err = check_types(call, op);
	if (!err)
		err = op_output(call, 0, in[0]->dtype, rank, dims);
	if (err)
		return err;
	out = call->outputs[0];
	if (count == 1) {
		/* max(x, x) = x; a sum needs a zero instead. -0 + 0 is +0, which compares equal. */
		err = tensor_init_view(&zero, in[0]->dtype, 0, NULL, &zeros, sizeof(zeros));
		return err ? err : apply_binary(call, op, out, in[0], op == &add_op ? &zero : in[0]);
	}
	err = apply_binary(call, op, out, in[0], in[1]);
	for (size_t i = 2; !err && i < count; i++)
		err = apply_binary(call, op, out, out, in[i]);
	return err;
}

static int run_sum(struct op_call *call)
{
	return run_variadic(call, &add_op);
}

static int run_max(struct op_call *call)
{
	return run_variadic(call, &max_op);
}

static int run_min(struct op_call *call)
{
	return run_variadic(call, &min_op);
}

static int run_mean(struct op_call *call)
{
	int err = run_variadic(call, &add_op);
	struct tensor divisor;
	uint64_t bits = 0;
	double count = call->node->num_inputs;

	if (err || !op_wanted(call, 0))
		return err;
	cast_row(DTYPE_F64, call->outputs[0]->dtype)(1, &count, &bits);
	err = tensor_init_view(&divisor, call->outputs[0]->dtype, 0, NULL, &bits, sizeof(bits));
	return err ? err : apply_binary(call, &div_op, call->outputs[0], call->outputs[0], &divisor);
}

const struct op_kernel ops_elementwise[] = {
	{"", "Add", 1, 0, 2, 2, 1, 1, run_add},
	{"", "And", 1, 0, 2, 2, 1, 1, run_and},
	{"", "BitShift", 11, 0, 2, 2, 1, 1, run_bit_shift},
	{"", "BitwiseAnd", 18, 0, 2, 2, 1, 1, run_bit_and},
	{"", "BitwiseOr", 18, 0, 2, 2, 1, 1, run_bit_or},
	{"", "BitwiseXor", 18, 0, 2, 2, 1, 1, run_bit_xor},
	{"", "Div", 1, 0, 2, 2, 1, 1, run_div},
	{"", "Equal", 1, 0, 2, 2, 1, 1, run_equal},
	{"", "Greater", 1, 0, 2, 2, 1, 1, run_greater},
	{"", "GreaterOrEqual", 12, 0, 2, 2, 1, 1, run_greater_equal},
	{"", "Less", 1, 0, 2, 2, 1, 1, run_less},
	{"", "LessOrEqual", 12, 0, 2, 2, 1, 1, run_less_equal},
	{"", "Max", 1, 0, 1, -1, 1, 1, run_max},
	{"", "Mean", 1, 0, 1, -1, 1, 1, run_mean},
	{"", "Min", 1, 0, 1, -1, 1, 1, run_min},
	{"", "Mod", 10, 0, 2, 2, 1, 1, run_mod},
	{"", "Mul", 1, 0, 2, 2, 1, 1, run_mul},
	{"", "Or", 1, 0, 2, 2, 1, 1, run_or},
	{"", "PRelu", 1, 0, 2, 2, 1, 1, run_prelu},
	{"", "Sub", 1, 0, 2, 2, 1, 1, run_sub},
	{"", "Sum", 1, 0, 1, -1, 1, 1, run_sum},
	{"", "Xor", 1, 0, 2, 2, 1, 1, run_xor},
};
const size_t ops_elementwise_count = sizeof(ops_elementwise) / sizeof(ops_elementwise[0]);
