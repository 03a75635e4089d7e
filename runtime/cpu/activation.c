// SPDX-License-Identifier: MIT
/*
 * Operators of one operand, element by element: activations, elementary functions, rounding, sign, predicates, Clip.
 *
 * An operator is a table of loops by element type and up to two parameters from attributes. Half floats are computed in
 * f32, in blocks. f32 functions with a version in vector_math.h use it; the others call libm.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/half.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/strided_copy.h"
#include "runtime/cpu/vector_math.h"

#define DTYPE_LIMIT (DTYPE_BF16 + 1)

typedef void (*unary_fn)(size_t n, void *out, const void *in, double p, double q);

/*
 * struct unary_op - an operator of one operand
 * @rows:    the loop by type of the operand; NULL where the operator does not take the type
 * @logical: the result is bool
 * @through_f64: integers without a loop of their own are computed in double
 */
struct unary_op {
	bool logical;
	bool through_f64;
	unary_fn rows[DTYPE_LIMIT];
};

#define UNARY_LOOP(clones, name, T, R, expression)                                           \
	clones static void name(size_t n, void *out_, const void *in_, double p_, double q_) \
	{                                                                                    \
		R *out = out_;                                                               \
		const T *in = in_;                                                           \
		const T p = (T)p_, q = (T)q_;                                                \
                                                                                             \
		(void)p, (void)q;                                                            \
		for (size_t i = 0; i < n; i++) {                                             \
			const T x = in[i];                                                   \
			out[i] = (R)(expression);                                            \
		}                                                                            \
	}

#define FLOAT_LOOPS(name, in_f32, in_f64)                        \
	UNARY_LOOP(CPU_CLONES, name##_f32, float, float, in_f32) \
	UNARY_LOOP(, name##_f64, double, double, in_f64)
#define FLOAT_ROWS(name) [DTYPE_F32] = name##_f32, [DTYPE_F64] = name##_f64
/* An operator on floats only. */
#define FLOAT_OP(name, in_f32, in_f64)    \
	FLOAT_LOOPS(name, in_f32, in_f64) \
	static const struct unary_op name##_op = {.rows = {FLOAT_ROWS(name)}};

#define SIGNED_LOOPS(name, expression)                         \
	UNARY_LOOP(, name##_s8, int8_t, int8_t, expression)    \
	UNARY_LOOP(, name##_s16, int16_t, int16_t, expression) \
	UNARY_LOOP(, name##_s32, int32_t, int32_t, expression) \
	UNARY_LOOP(, name##_s64, int64_t, int64_t, expression)
#define UNSIGNED_LOOPS(name, expression)                         \
	UNARY_LOOP(, name##_u8, uint8_t, uint8_t, expression)    \
	UNARY_LOOP(, name##_u16, uint16_t, uint16_t, expression) \
	UNARY_LOOP(, name##_u32, uint32_t, uint32_t, expression) \
	UNARY_LOOP(, name##_u64, uint64_t, uint64_t, expression)
#define SIGNED_ROWS(name) \
	[DTYPE_S8] = name##_s8, [DTYPE_S16] = name##_s16, [DTYPE_S32] = name##_s32, [DTYPE_S64] = name##_s64
#define UNSIGNED_ROWS(name) \
	[DTYPE_U8] = name##_u8, [DTYPE_U16] = name##_u16, [DTYPE_U32] = name##_u32, [DTYPE_U64] = name##_u64

/* ---- the Relu family and other cheap ones ---- */

FLOAT_LOOPS(relu, x < 0 ? 0 : x, x < 0 ? 0 : x)
SIGNED_LOOPS(relu, x < 0 ? 0 : x)
static const struct unary_op relu_op = {.rows = {FLOAT_ROWS(relu), SIGNED_ROWS(relu)}};

FLOAT_OP(leaky_relu, x < 0 ? p * x : x, x < 0 ? p * x : x)
FLOAT_OP(thresholded_relu, x > p ? x : 0, x > p ? x : 0)
FLOAT_OP(softsign, x / (1 + fabsf(x)), x / (1 + fabs(x)))

#define CLAMP_UNIT(y) ((y) < 0 ? 0 : (y) > 1 ? 1 : (y))
FLOAT_OP(hard_sigmoid, CLAMP_UNIT(p *x + q), CLAMP_UNIT(p *x + q))
FLOAT_OP(hard_swish, x *CLAMP_UNIT(x *(1.0f / 6) + 0.5f), x *CLAMP_UNIT(x *(1.0 / 6) + 0.5))

#define SHRINK(x) ((x) < -p ? (x) + q : (x) > p ? (x)-q : 0)
FLOAT_LOOPS(shrink, SHRINK(x), SHRINK(x))
static const struct unary_op shrink_op = {.through_f64 = true, .rows = {FLOAT_ROWS(shrink)}};

/* ---- activations with an exponential ---- */

static inline double sigmoid(double x)
{
	double e = exp(-fabs(x));

	return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

/* log(1 + e^x); the large part is taken out first so that nothing overflows. */
static inline double softplus(double x)
{
	return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

VECTOR_MATH float softplusf(float x)
{
	return (x > 0 ? x : x != x ? x : 0) + log1pf(vector_expf(-fabsf(x)));
}

/* x tanh(log(1 + e^x)): with n = e^x (e^x + 2), the tanh is n / (n + 2). Above 20 it is 1 to the last bit. */
VECTOR_MATH float mishf(float x)
{
	float e = vector_expf(x > 20 ? 20 : x), n = e * (e + 2);

	return x > 20 ? x : x * (n / (n + 2));
}

#define SQRT_HALF 0.70710678118654752440
#define SQRT_2_OVER_PI 0.79788456080286535588
#define CUBIC 0.044715

VECTOR_MATH float geluf(float x)
{
	return 0.5f * x * (1 + vector_erff(x * (float)SQRT_HALF));
}

VECTOR_MATH float gelu_tanhf(float x)
{
	return 0.5f * x * (1 + vector_tanhf((float)SQRT_2_OVER_PI * (x + (float)CUBIC * x * x * x)));
}

FLOAT_OP(elu, x < 0 ? p * vector_expm1f(x) : x, x < 0 ? p * expm1(x) : x)
FLOAT_OP(selu, q *(x > 0 ? x : p * vector_expm1f(x)), q *(x > 0 ? x : p * expm1(x)))
FLOAT_OP(celu, x < 0 ? p * vector_expm1f(x / p) : x, x < 0 ? p * expm1(x / p) : x)
FLOAT_OP(sigmoid, vector_sigmoidf(x), sigmoid(x))
FLOAT_OP(tanh, vector_tanhf(x), tanh(x))
FLOAT_OP(swish, x *vector_sigmoidf(p *x), x *sigmoid(p *x))
FLOAT_OP(softplus, softplusf(x), softplus(x))
FLOAT_OP(mish, mishf(x), x *tanh(softplus(x)))
FLOAT_OP(gelu, geluf(x), 0.5 * x * (1 + erf(x * SQRT_HALF)))
FLOAT_OP(gelu_tanh, gelu_tanhf(x), 0.5 * x * (1 + tanh(SQRT_2_OVER_PI * (x + CUBIC * x * x * x))))

/* ---- elementary functions ---- */

FLOAT_LOOPS(erf, vector_erff(x), erf(x))
/* Of integers as well (opset 9): cut off to -1, 0 or 1. */
static const struct unary_op erf_op = {.through_f64 = true, .rows = {FLOAT_ROWS(erf)}};
FLOAT_OP(exp, vector_expf(x), exp(x))
FLOAT_OP(log, logf(x), log(x))
FLOAT_OP(sqrt, sqrtf(x), sqrt(x))
FLOAT_OP(reciprocal, 1 / x, 1 / x)
FLOAT_OP(sin, sinf(x), sin(x))
FLOAT_OP(cos, cosf(x), cos(x))
FLOAT_OP(tan, tanf(x), tan(x))
FLOAT_OP(asin, asinf(x), asin(x))
FLOAT_OP(acos, acosf(x), acos(x))
FLOAT_OP(atan, atanf(x), atan(x))
FLOAT_OP(sinh, sinhf(x), sinh(x))
FLOAT_OP(cosh, coshf(x), cosh(x))
FLOAT_OP(asinh, asinhf(x), asinh(x))
FLOAT_OP(acosh, acoshf(x), acosh(x))
FLOAT_OP(atanh, atanhf(x), atanh(x))
FLOAT_OP(ceil, ceilf(x), ceil(x))
FLOAT_OP(floor, floorf(x), floor(x))
/* Halves to even: the default rounding mode, which nothing here changes. */
FLOAT_OP(round, rintf(x), rint(x))

/* ---- signs, on every number; the most negative integer wraps to itself ---- */

FLOAT_LOOPS(abs, fabsf(x), fabs(x))
SIGNED_LOOPS(abs, x < 0 ? 0 - (uint64_t)x : (uint64_t)x)
UNSIGNED_LOOPS(abs, x)
static const struct unary_op abs_op = {.rows = {FLOAT_ROWS(abs), SIGNED_ROWS(abs), UNSIGNED_ROWS(abs)}};

FLOAT_LOOPS(neg, -x, -x)
SIGNED_LOOPS(neg, 0 - (uint64_t)x)
static const struct unary_op neg_op = {.rows = {FLOAT_ROWS(neg), SIGNED_ROWS(neg)}};

#define SIGN(x) ((x) > 0 ? 1 : (x) < 0 ? -1 : (x))
FLOAT_LOOPS(sign, SIGN(x), SIGN(x))
SIGNED_LOOPS(sign, (x > 0) - (x < 0))
UNSIGNED_LOOPS(sign, x != 0)
static const struct unary_op sign_op = {.rows = {FLOAT_ROWS(sign), SIGNED_ROWS(sign), UNSIGNED_ROWS(sign)}};

/* ---- predicates and bits ---- */

#define PREDICATE(name, T_f32, T_f64)                    \
	UNARY_LOOP(, name##_f32, float, uint8_t, T_f32)  \
	UNARY_LOOP(, name##_f64, double, uint8_t, T_f64) \
	static const struct unary_op name##_op = {.logical = true, .rows = {FLOAT_ROWS(name)}};
PREDICATE(is_nan, x != x, x != x)
/* p and q: whether to look for +infinity and -infinity. */
PREDICATE(is_inf, (p != 0 && x == INFINITY) || (q != 0 && x == -INFINITY),
	  (p != 0 && x == INFINITY) || (q != 0 && x == -INFINITY))

UNARY_LOOP(, not_bool, uint8_t, uint8_t, x == 0)
static const struct unary_op not_op = {.logical = true, .rows = {[DTYPE_BOOL] = not_bool}};

SIGNED_LOOPS(bitwise_not, ~x)
UNSIGNED_LOOPS(bitwise_not, ~x)
static const struct unary_op bitwise_not_op = {.rows = {SIGNED_ROWS(bitwise_not), UNSIGNED_ROWS(bitwise_not)}};

/* ---- running them ---- */

struct unary_job {
	unary_fn row;
	cast_fn widen, narrow; /* NULL unless computed in another type */
	double p, q;
	char *out;
	const char *in;
	size_t out_size, in_size;
};

static void run_unary_range(void *arg, int64_t begin, int64_t end)
{
	const struct unary_job *job = arg;
	char *out = job->out + begin * job->out_size;
	const char *in = job->in + begin * job->in_size;
	size_t n = end - begin;

	if (!job->widen) {
		job->row(n, out, in, job->p, job->q);
		return;
	}
	for (size_t i = 0; i < n; i += HALF_BLOCK) {
		size_t m = n - i < HALF_BLOCK ? n - i : HALF_BLOCK;
		double wide[HALF_BLOCK]; /* or floats */

		job->widen(m, in + i * job->in_size, wide);
		if (job->narrow) {
			job->row(m, wide, wide, job->p, job->q);
			job->narrow(m, wide, out + i * job->out_size);
		} else {
			job->row(m, out + i * job->out_size, wide, job->p, job->q);
		}
	}
}

/* Choose the loop for @type, or the one to go through. */
static bool choose_row(const struct unary_op *op, enum dtype type, struct unary_job *job)
{
	enum dtype wide = dtype_is_half(type) ? DTYPE_F32 : DTYPE_F64;

	/* IsInf and IsNaN take the float8 and float4 types as well (opset 20): each of their values is a float32. */
	if (op->logical && dtype_is_narrow_float(type)) {
		job->row = op->rows[DTYPE_F32];
		job->widen = cast_row(type, DTYPE_F32);
		return job->row != NULL;
	}
	if ((unsigned int)type >= DTYPE_LIMIT)
		return false;
	job->row = op->rows[type];
	if (job->row)
		return true;
	if (!dtype_is_half(type) && !(op->through_f64 && dtype_is_integer(type)))
		return false;
	job->row = op->rows[wide];
	job->widen = cast_row(type, wide);
	job->narrow = op->logical ? NULL : cast_row(wide, type);
	return job->row != NULL;
}

static int run_unary(struct op_call *call, const struct unary_op *op, double p, double q)
{
	const struct tensor *in = call->inputs[0];
	struct unary_job job = {.p = p, .q = q};
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (!in)
		return op_fail(call, -EINVAL, "%s: input 0 is missing", call->node->op_type);
	if (!choose_row(op, in->dtype, &job))
		return op_fail(call, -ENOTSUP, "%s: elements of type %s", call->node->op_type, dtype_name(in->dtype));
	err = op_output(call, 0, op->logical ? DTYPE_BOOL : in->dtype, in->rank, in->dims);
	if (err)
		return err;
	job.in = in->data;
	job.out = call->outputs[0]->data;
	job.in_size = dtype_size(in->dtype);
	job.out_size = dtype_size(call->outputs[0]->dtype);
	parallel_range(call->pool, tensor_count(in), PARALLEL_GRAIN / 4, run_unary_range, &job);
	return 0;
}

/* An operator without attributes. */
#define UNARY_RUN(name)                                   \
	static int run_##name(struct op_call *call)       \
	{                                                 \
		return run_unary(call, &name##_op, 0, 0); \
	}
/* An operator with attributes p and q (the same one twice when there is only one). */
#define UNARY_RUN_WITH(name, p_name, p_default, q_name, q_default)                               \
	static int run_##name(struct op_call *call)                                              \
	{                                                                                        \
		return run_unary(call, &name##_op, op_attr_float(call->node, p_name, p_default), \
				 op_attr_float(call->node, q_name, q_default));                  \
	}
UNARY_RUN(relu)
UNARY_RUN(softsign)
UNARY_RUN(hard_swish)
UNARY_RUN(sigmoid)
UNARY_RUN(tanh)
UNARY_RUN(softplus)
UNARY_RUN(mish)
UNARY_RUN(erf)
UNARY_RUN(exp)
UNARY_RUN(log)
UNARY_RUN(sqrt)
UNARY_RUN(reciprocal)
UNARY_RUN(sin)
UNARY_RUN(cos)
UNARY_RUN(tan)
UNARY_RUN(asin)
UNARY_RUN(acos)
UNARY_RUN(atan)
UNARY_RUN(sinh)
UNARY_RUN(cosh)
UNARY_RUN(asinh)
UNARY_RUN(acosh)
UNARY_RUN(atanh)
UNARY_RUN(ceil)
UNARY_RUN(floor)
UNARY_RUN(round)
UNARY_RUN(abs)
UNARY_RUN(neg)
UNARY_RUN(sign)
UNARY_RUN(is_nan)
UNARY_RUN(not )
UNARY_RUN(bitwise_not)
UNARY_RUN_WITH(leaky_relu, "alpha", 0.01f, "alpha", 0)
UNARY_RUN_WITH(thresholded_relu, "alpha", 1.0f, "alpha", 0)
UNARY_RUN_WITH(elu, "alpha", 1.0f, "alpha", 0)
UNARY_RUN_WITH(selu, "alpha", 1.67326319217681884765625f, "gamma", 1.05070102214813232421875f)
UNARY_RUN_WITH(celu, "alpha", 1.0f, "alpha", 0)
UNARY_RUN_WITH(hard_sigmoid, "alpha", 0.2f, "beta", 0.5f)
UNARY_RUN_WITH(shrink, "lambd", 0.5f, "bias", 0)
UNARY_RUN_WITH(swish, "alpha", 1.0f, "alpha", 0)

/* com.microsoft.QuickGelu is Swish with another default. */
static int run_quick_gelu(struct op_call *call)
{
	return run_unary(call, &swish_op, op_attr_float(call->node, "alpha", 1.702f), 0);
}

/* Selu had rounder constants before opset 6. */
static int run_selu_first(struct op_call *call)
{
	return run_unary(call, &selu_op, op_attr_float(call->node, "alpha", 1.6732f),
			 op_attr_float(call->node, "gamma", 1.0507f));
}

static int run_is_inf(struct op_call *call)
{
	return run_unary(call, &is_inf_op, op_attr_int(call->node, "detect_positive", 1),
			 op_attr_int(call->node, "detect_negative", 1));
}

static int run_gelu(struct op_call *call)
{
	if (op_attr_is(call->node, "approximate", "none", "tanh"))
		return run_unary(call, &gelu_tanh_op, 0, 0);
	if (op_attr_is(call->node, "approximate", "none", "none"))
		return run_unary(call, &gelu_op, 0, 0);
	return op_fail(call, -EINVAL, "Gelu: attribute approximate is neither none nor tanh");
}

/* ---- com.microsoft BiasGelu and FastGelu: a bias along the last dimension first ---- */

struct bias_job {
	unary_fn gelu;
	float *out;
	const float *in, *bias;
	int64_t width;
};

static void run_bias_rows(void *arg, int64_t begin, int64_t end)
{
	const struct bias_job *job = arg;

	for (int64_t row = begin; row < end; row++) {
		float *out = job->out + row * job->width;
		const float *in = job->in + row * job->width;

		for (int64_t i = 0; i < job->width; i++)
			out[i] = in[i] + job->bias[i];
		job->gelu(job->width, out, out, 0, 0);
	}
}

static int run_biased(struct op_call *call, const struct unary_op *op)
{
	const struct tensor *in = call->inputs[0], *bias = op_input(call, 1);
	struct bias_job job = {.gelu = op->rows[DTYPE_F32]};
	int err;

	if (!bias)
		return run_unary(call, op, 0, 0);
	if (!op_wanted(call, 0))
		return 0;
	if (!in || in->dtype != DTYPE_F32 || bias->dtype != DTYPE_F32)
		return op_fail(call, -ENOTSUP, "%s: with a bias, inputs of type %s", call->node->op_type,
			       dtype_name(bias->dtype));
	if (bias->rank != 1 || in->rank < 1 || bias->dims[0] != in->dims[in->rank - 1])
		return op_fail(call, -EINVAL, "%s: the bias (input 1) is not as long as the last dimension of input 0",
			       call->node->op_type);
	err = op_output(call, 0, in->dtype, in->rank, in->dims);
	if (err || tensor_count(in) == 0)
		return err;
	job.width = bias->dims[0];
	job.in = in->data;
	job.bias = bias->data;
	job.out = call->outputs[0]->data;
	parallel_range(call->pool, tensor_count(in) / job.width, PARALLEL_GRAIN / 4 / job.width, run_bias_rows, &job);
	return 0;
}

static int run_bias_gelu(struct op_call *call)
{
	return run_biased(call, &gelu_op);
}

static int run_fast_gelu(struct op_call *call)
{
	return run_biased(call, &gelu_tanh_op);
}

/* ---- Identity ---- */

static int run_identity(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];

	if (!in)
		return op_fail(call, -EINVAL, "%s: input 0 is missing", call->node->op_type);
	return op_output_copy(call, 0, in, in->rank, in->dims);
}

const struct op_kernel ops_activation[] = {
	{"", "Abs", 1, 0, 1, 1, 1, 1, run_abs},
	{"", "Acos", 7, 0, 1, 1, 1, 1, run_acos},
	{"", "Acosh", 9, 0, 1, 1, 1, 1, run_acosh},
	{"", "Asin", 7, 0, 1, 1, 1, 1, run_asin},
	{"", "Asinh", 9, 0, 1, 1, 1, 1, run_asinh},
	{"", "Atan", 7, 0, 1, 1, 1, 1, run_atan},
	{"", "Atanh", 9, 0, 1, 1, 1, 1, run_atanh},
	{"", "BitwiseNot", 18, 0, 1, 1, 1, 1, run_bitwise_not},
	{"", "Ceil", 1, 0, 1, 1, 1, 1, run_ceil},
	{"", "Celu", 12, 0, 1, 1, 1, 1, run_celu},
	{"", "Cos", 7, 0, 1, 1, 1, 1, run_cos},
	{"", "Cosh", 9, 0, 1, 1, 1, 1, run_cosh},
	{"", "Elu", 1, 0, 1, 1, 1, 1, run_elu},
	{"", "Erf", 9, 0, 1, 1, 1, 1, run_erf},
	{"", "Exp", 1, 0, 1, 1, 1, 1, run_exp},
	{"", "Floor", 1, 0, 1, 1, 1, 1, run_floor},
	{"", "Gelu", 20, 0, 1, 1, 1, 1, run_gelu},
	{"", "HardSigmoid", 1, 0, 1, 1, 1, 1, run_hard_sigmoid},
	{"", "HardSwish", 14, 0, 1, 1, 1, 1, run_hard_swish},
	{"", "Identity", 1, 0, 1, 1, 1, 1, run_identity},
	{"", "IsInf", 10, 0, 1, 1, 1, 1, run_is_inf},
	{"", "IsNaN", 9, 0, 1, 1, 1, 1, run_is_nan},
	{"", "LeakyRelu", 1, 0, 1, 1, 1, 1, run_leaky_relu},
	{"", "Log", 1, 0, 1, 1, 1, 1, run_log},
	{"", "Mish", 18, 0, 1, 1, 1, 1, run_mish},
	{"", "Neg", 1, 0, 1, 1, 1, 1, run_neg},
	{"", "Not", 1, 0, 1, 1, 1, 1, run_not},
	{"", "Reciprocal", 1, 0, 1, 1, 1, 1, run_reciprocal},
	{"", "Relu", 1, 0, 1, 1, 1, 1, run_relu},
	{"", "Round", 11, 0, 1, 1, 1, 1, run_round},
	{"", "Selu", 1, 5, 1, 1, 1, 1, run_selu_first},
	{"", "Selu", 6, 0, 1, 1, 1, 1, run_selu},
	{"", "Shrink", 9, 0, 1, 1, 1, 1, run_shrink},
	{"", "Sigmoid", 1, 0, 1, 1, 1, 1, run_sigmoid},
	{"", "Sign", 9, 0, 1, 1, 1, 1, run_sign},
	{"", "Sin", 7, 0, 1, 1, 1, 1, run_sin},
	{"", "Sinh", 9, 0, 1, 1, 1, 1, run_sinh},
	{"", "Softplus", 1, 0, 1, 1, 1, 1, run_softplus},
	{"", "Softsign", 1, 0, 1, 1, 1, 1, run_softsign},
	{"", "Sqrt", 1, 0, 1, 1, 1, 1, run_sqrt},
	{"", "Swish", 24, 0, 1, 1, 1, 1, run_swish},
	{"", "Tan", 7, 0, 1, 1, 1, 1, run_tan},
	{"", "Tanh", 1, 0, 1, 1, 1, 1, run_tanh},
	{"", "ThresholdedRelu", 1, 0, 1, 1, 1, 1, run_thresholded_relu},
	{"com.microsoft", "BiasGelu", 1, 0, 2, 2, 1, 1, run_bias_gelu},
	{"com.microsoft", "FastGelu", 1, 0, 1, 2, 1, 1, run_fast_gelu},
	{"com.microsoft", "Gelu", 1, 0, 1, 1, 1, 1, run_gelu},
	{"com.microsoft", "QuickGelu", 1, 0, 1, 1, 1, 1, run_quick_gelu},
};
const size_t ops_activation_count = sizeof(ops_activation) / sizeof(ops_activation[0]);
