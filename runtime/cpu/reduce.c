// SPDX-License-Identifier: MIT
/*
 * Reductions over axes: ReduceSum and its relatives.
 *
 * The input's dimensions are merged into runs of kept and reduced ones. When the innermost run is reduced, each output
 * element folds contiguous rows; when it is kept, whole rows are folded into a row of accumulators, so that memory is
 * read in order either way. f32 sums accumulate in double: a mean over a large feature map keeps its last digits.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/strided_copy.h"

/* Accumulators of one row of outputs; a multiple of what the loops unroll. */
#define LANES 256

/*
 * struct fold - how one reduction treats one type
 * @start:  set @n accumulators to the neutral element
 * @rows:   fold n elements of @x into n accumulators, one each
 * @line:   fold n contiguous elements of @x into accumulator 0
 * @finish: n accumulators to n results, each the fold of @count elements
 * Accumulators are 8 bytes: double, int64_t or uint64_t.
 */
struct fold {
	void (*start)(size_t n, void *acc);
	void (*rows)(size_t n, void *acc, const void *x);
	void (*line)(size_t n, void *acc, const void *x);
	void (*finish)(size_t n, const void *acc, void *out, int64_t count);
};

#define FOLD(clones, name, T, A, neutral, step, merge, result)                           \
	static void name##_start(size_t n, void *acc_)                                   \
	{                                                                                \
		A *acc = acc_;                                                           \
                                                                                         \
		for (size_t i = 0; i < n; i++)                                           \
			acc[i] = (neutral);                                              \
	}                                                                                \
	clones static void name##_rows(size_t n, void *acc_, const void *x_)             \
	{                                                                                \
		A *acc = acc_;                                                           \
		const T *in = x_;                                                        \
                                                                                         \
		for (size_t i = 0; i < n; i++) {                                         \
			A a = acc[i], x = (A)in[i];                                      \
                                                                                         \
			acc[i] = (step);                                                 \
		}                                                                        \
	}                                                                                \
	/* Eight chains, because one is bound by the latency of an addition. */          \
	clones static void name##_line(size_t n, void *acc_, const void *x_)             \
	{                                                                                \
		A *acc = acc_, lanes[8];                                                 \
		const T *in = x_;                                                        \
		size_t i = 0;                                                            \
                                                                                         \
		for (int l = 0; l < 8; l++)                                              \
			lanes[l] = (neutral);                                            \
		for (; i + 8 <= n; i += 8)                                               \
			for (int l = 0; l < 8; l++) {                                    \
				A a = lanes[l], x = (A)in[i + l];                        \
                                                                                         \
				lanes[l] = (step);                                       \
			}                                                                \
		for (; i < n; i++) {                                                     \
			A a = lanes[0], x = (A)in[i];                                    \
                                                                                         \
			lanes[0] = (step);                                               \
		}                                                                        \
		for (int l = 0; l < 8; l++) {                                            \
			A a = acc[0], x = lanes[l];                                      \
                                                                                         \
			acc[0] = (merge);                                                \
		}                                                                        \
	}                                                                                \
	static void name##_finish(size_t n, const void *acc_, void *out_, int64_t count) \
	{                                                                                \
		const A *acc = acc_;                                                     \
		T *out = out_;                                                           \
                                                                                         \
		(void)count;                                                             \
		for (size_t i = 0; i < n; i++) {                                         \
			A a = acc[i];                                                    \
                                                                                         \
			out[i] = (T)(result);                                            \
		}                                                                        \
	}                                                                                \
	static const struct fold name = {name##_start, name##_rows, name##_line, name##_finish};

/* Results of integer folds whose formula is real (L2, LogSum) go through double. */
static inline int64_t whole(double x)
{
	return x != x || x <= -0x1p63 ? INT64_MIN : x >= 0x1p63 ? INT64_MAX : (int64_t)x;
}

#define EACH_TYPE(X)                                             \
	X(CPU_CLONES, f32, float, double, , -INFINITY, INFINITY) \
	X(, f64, double, double, , -INFINITY, INFINITY)          \
	X(, s8, int8_t, int64_t, whole, INT8_MIN, INT8_MAX)      \
	X(, u8, uint8_t, uint64_t, whole, 0, UINT8_MAX)          \
	X(, s16, int16_t, int64_t, whole, INT16_MIN, INT16_MAX)  \
	X(, u16, uint16_t, uint64_t, whole, 0, UINT16_MAX)       \
	X(, s32, int32_t, int64_t, whole, INT32_MIN, INT32_MAX)  \
	X(, u32, uint32_t, uint64_t, whole, 0, UINT32_MAX)       \
	X(, s64, int64_t, int64_t, whole, INT64_MIN, INT64_MAX)  \
	X(, u64, uint64_t, uint64_t, whole, 0, UINT64_MAX)

static inline uint64_t magnitude_s64(int64_t x)
{
	return x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
}

static inline uint64_t magnitude_u64(uint64_t x)
{
	return x;
}

/* The mean of nothing: NaN for floats (numpy), 0 for integers, which have no such value. */
static inline double average_f64(double sum, int64_t count)
{
	return sum / (double)count;
}

static inline int64_t average_s64(int64_t sum, int64_t count)
{
	return count ? sum / count : 0;
}

static inline uint64_t average_u64(uint64_t sum, int64_t count)
{
	return count ? sum / (uint64_t)count : 0;
}

/* Signed sums and products that overflow wrap, without being undefined. */
#define WRAP_ADD(a, x) _Generic((a), double : (a) + (x), default : (uint64_t)(a) + (uint64_t)(x))
#define WRAP_MUL(a, x) _Generic((a), double : (a) * (x), default : (uint64_t)(a) * (uint64_t)(x))
#define MAGNITUDE(x) _Generic((x), double : fabs, int64_t : magnitude_s64, default : magnitude_u64)(x)
#define MEAN(a) _Generic((a), double : average_f64, int64_t : average_s64, default : average_u64)(a, count)

#define FOLDS(clones, type, T, A, convert, lowest, highest)                                                     \
	FOLD(clones, sum_##type, T, A, 0, WRAP_ADD(a, x), WRAP_ADD(a, x), a)                                    \
	FOLD(clones, mean_##type, T, A, 0, WRAP_ADD(a, x), WRAP_ADD(a, x), MEAN(a))                             \
	FOLD(clones, prod_##type, T, A, 1, WRAP_MUL(a, x), WRAP_MUL(a, x), a)                                   \
	FOLD(clones, max_##type, T, A, lowest, x > a || x != x ? x : a, x > a || x != x ? x : a, a)             \
	FOLD(clones, min_##type, T, A, highest, x < a || x != x ? x : a, x < a || x != x ? x : a, a)            \
	FOLD(clones, l1_##type, T, A, 0, WRAP_ADD(a, MAGNITUDE(x)), WRAP_ADD(a, x), a)                          \
	FOLD(clones, square_##type, T, A, 0, WRAP_ADD(a, WRAP_MUL(x, x)), WRAP_ADD(a, x), a)                    \
	FOLD(clones, l2_##type, T, A, 0, WRAP_ADD(a, WRAP_MUL(x, x)), WRAP_ADD(a, x), convert(sqrt((double)a))) \
	FOLD(clones, log_sum_##type, T, A, 0, WRAP_ADD(a, x), WRAP_ADD(a, x), convert(log((double)a)))
EACH_TYPE(FOLDS)

/* After the largest element was subtracted; the caller adds it again. */
FOLD(, exp_sum_f32, float, double, 0, a + exp(x), a + x, log(a))
FOLD(, exp_sum_f64, double, double, 0, a + exp(x), a + x, log(a))

#define DTYPE_LIMIT (DTYPE_BF16 + 1)

struct reduce_op {
	const struct fold *folds[DTYPE_LIMIT];
};
#define REDUCE_OP(name)                                                            \
	static const struct reduce_op reduce_##name = {{[DTYPE_F32] = &name##_f32, \
							[DTYPE_F64] = &name##_f64, \
							[DTYPE_S8] = &name##_s8,   \
							[DTYPE_U8] = &name##_u8,   \
							[DTYPE_S16] = &name##_s16, \
							[DTYPE_U16] = &name##_u16, \
							[DTYPE_S32] = &name##_s32, \
							[DTYPE_U32] = &name##_u32, \
							[DTYPE_S64] = &name##_s64, \
							[DTYPE_U64] = &name##_u64}};
REDUCE_OP(sum)
REDUCE_OP(mean)
REDUCE_OP(prod)
REDUCE_OP(max)
REDUCE_OP(min)
REDUCE_OP(l1)
REDUCE_OP(square)
REDUCE_OP(l2)
REDUCE_OP(log_sum)
static const struct reduce_op reduce_exp_sum = {{[DTYPE_F32] = &exp_sum_f32, [DTYPE_F64] = &exp_sum_f64}};

/* ---- the loop ---- */

/*
 * struct reduce_plan - kept and reduced dimensions, merged, each in its order
 * @rows: the innermost dimension is kept: fold row by row
 */
struct reduce_plan {
	const struct fold *fold;
	const char *in;
	char *out;
	size_t size;
	int64_t count, outputs; /* elements folded into one output; number of outputs */
	int num_kept, num_reduced;
	int64_t kept[TENSOR_MAX_RANK], kept_strides[TENSOR_MAX_RANK];
	int64_t reduced[TENSOR_MAX_RANK], reduced_strides[TENSOR_MAX_RANK];
	bool rows;
	int64_t width; /* the innermost dimension */
};

static void plan_dims(struct reduce_plan *plan, int rank, const int64_t *dims, const bool *reduce)
{
	int64_t strides[TENSOR_MAX_RANK];
	int before = -1; /* the last dimension taken that is not 1 */

	dense_strides(rank, dims, strides);
	plan->count = plan->outputs = 1;
	for (int i = 0; i < rank; i++) {
		int *n = reduce[i] ? &plan->num_reduced : &plan->num_kept;
		int64_t *sizes = reduce[i] ? plan->reduced : plan->kept;
		int64_t *steps = reduce[i] ? plan->reduced_strides : plan->kept_strides;

		*(reduce[i] ? &plan->count : &plan->outputs) *= dims[i];
		if (dims[i] == 1)
			continue;
		if (before >= 0 && reduce[before] == reduce[i]) {
			sizes[*n - 1] *= dims[i];
			steps[*n - 1] = strides[i];
		} else {
			sizes[*n] = dims[i];
			steps[(*n)++] = strides[i];
		}
		before = i;
	}
	plan->rows = before >= 0 && !reduce[before];
	plan->width = 1;
	if (before >= 0)
		plan->width = plan->rows ? plan->kept[--plan->num_kept] : plan->reduced[--plan->num_reduced];
}

/* Advance the odometer; returns false when it wrapped around. */
static bool advance(int n, const int64_t *dims, const int64_t *strides, int64_t *index, int64_t *offset)
{
	for (int i = n - 1; i >= 0; i--) {
		*offset += strides[i];
		if (++index[i] < dims[i])
			return true;
		*offset -= dims[i] * strides[i];
		index[i] = 0;
	}
	return false;
}

/* Where output @position (in units of rows or elements) starts in the input. */
static int64_t kept_offset(const struct reduce_plan *plan, int64_t position)
{
	int64_t offset = 0;

	for (int i = plan->num_kept - 1; i >= 0; i--) {
		offset += position % plan->kept[i] * plan->kept_strides[i];
		position /= plan->kept[i];
	}
	return offset;
}

/* Fold @n accumulators (rows) or one (lines) that start at element @base of the input. */
static void fold_at(const struct reduce_plan *plan, int64_t base, size_t n, uint64_t *acc)
{
	int64_t index[TENSOR_MAX_RANK] = {0}, offset = base;

	plan->fold->start(n, acc);
	if (plan->count == 0)
		return;
	do {
		const char *x = plan->in + offset * (int64_t)plan->size;

		if (plan->rows)
			plan->fold->rows(n, acc, x);
		else
			plan->fold->line(plan->width, acc, x);
	} while (advance(plan->num_reduced, plan->reduced, plan->reduced_strides, index, &offset));
}

/* Outputs [begin, end). */
static void run_outputs(void *arg, int64_t begin, int64_t end)
{
	const struct reduce_plan *plan = arg;
	uint64_t acc[LANES];

	while (begin < end) {
		size_t n = 1;
		int64_t base;

		if (plan->rows) {
			int64_t column = begin % plan->width, left = plan->width - column;

			n = left < end - begin ? left : end - begin;
			n = n < LANES ? n : LANES;
			base = kept_offset(plan, begin / plan->width) + column;
		} else {
			base = kept_offset(plan, begin);
		}
		fold_at(plan, base, n, acc);
		plan->fold->finish(n, acc, plan->out + begin * (int64_t)plan->size, plan->count);
		begin += n;
	}
}

static void reduce_into(struct op_call *call, const struct fold *fold, const struct tensor *in, const bool *reduce,
			void *out)
{
	struct reduce_plan plan = {.fold = fold, .in = in->data, .out = out, .size = dtype_size(in->dtype)};

	plan_dims(&plan, in->rank, in->dims, reduce);
	if (plan.outputs > 0)
		parallel_range(call->pool, plan.outputs, (PARALLEL_GRAIN - 1) / (plan.count > 0 ? plan.count : 1) + 1,
			       run_outputs, &plan);
}

/* ---- axes, types, shapes ---- */

/*
 * Which axes to reduce. Attribute "axes" up to opset 17 (12 for ReduceSum), input 1 since; none given means all of them
 * or, with noop_with_empty_axes, none: then only what the operator does to single elements is left, such as the square.
 */
static int choose_axes(struct op_call *call, bool *reduce)
{
	const struct tensor *in = call->inputs[0];
	const int64_t *axes;
	size_t count = op_attr_ints(call->node, "axes", &axes);
	struct tensor input = {0};
	int err;

	if (op_input(call, 1)) {
		err = op_input_s64(call, 1, false, &input);
		if (err)
			return err;
		axes = input.data;
		count = tensor_count(&input);
	}
	err = normalize_axes(axes, count, in->rank, reduce);
	tensor_finish(&input);
	if (err)
		return op_fail(call, -EINVAL, "%s: axes holds %s for an input of rank %d", call->node->op_type,
			       err == -EEXIST ? "an axis twice" : "an axis out of range", in->rank);
	if (count == 0) {
		bool all = !op_attr_int(call->node, "noop_with_empty_axes", 0);

		for (int i = 0; i < in->rank; i++)
			reduce[i] = all;
	}
	return 0;
}

static int reduced_shape(const struct tensor *in, const bool *reduce, bool keep, int64_t *dims)
{
	int rank = 0;

	for (int i = 0; i < in->rank; i++) {
		if (!reduce[i])
			dims[rank++] = in->dims[i];
		else if (keep)
			dims[rank++] = 1;
	}
	return rank;
}

/* log(sum(exp(x))) as m + log(sum(exp(x - m))) with m the largest, so that nothing overflows. */
static int log_sum_exp(struct op_call *call, const struct tensor *in, const bool *reduce, void *out)
{
	const struct fold *largest = reduce_max.folds[in->dtype];
	bool single = in->dtype == DTYPE_F32;
	struct tensor shifted = {0}, most = {0};
	int64_t dims[TENSOR_MAX_RANK], strides[TENSOR_MAX_RANK], in_strides[TENSOR_MAX_RANK];
	int err;

	reduced_shape(in, reduce, true, dims);
	err = tensor_init(&most, in->dtype, in->rank, dims);
	if (!err)
		err = tensor_init(&shifted, in->dtype, in->rank, in->dims);
	if (err) {
		tensor_finish(&most);
		return op_fail(call, err, "%s: no memory for the differences", call->node->op_type);
	}
	reduce_into(call, largest, in, reduce, most.data);
	dense_strides(in->rank, dims, strides);
	dense_strides(in->rank, in->dims, in_strides);
	for (int64_t i = 0; i < tensor_count(in); i++) {
		int64_t at = 0;

		for (int d = 0; d < in->rank; d++)
			at += reduce[d] ? 0 : i / in_strides[d] % in->dims[d] * strides[d];
		if (single) {
			float m = ((float *)most.data)[at];

			((float *)shifted.data)[i] = ((const float *)in->data)[i] - (isinf(m) ? 0 : m);
		} else {
			double m = ((double *)most.data)[at];

			((double *)shifted.data)[i] = ((const double *)in->data)[i] - (isinf(m) ? 0 : m);
		}
	}
	reduce_into(call, reduce_exp_sum.folds[in->dtype], &shifted, reduce, out);
	for (int64_t i = 0; i < tensor_count(&most); i++) {
		if (single)
			((float *)out)[i] += isinf(((float *)most.data)[i]) ? 0 : ((float *)most.data)[i];
		else
			((double *)out)[i] += isinf(((double *)most.data)[i]) ? 0 : ((double *)most.data)[i];
	}
	tensor_finish(&shifted);
	tensor_finish(&most);
	return 0;
}

static int reduce_native(struct op_call *call, const struct reduce_op *op, const struct tensor *in, const bool *reduce,
			 void *out)
{
	if (op == &reduce_exp_sum)
		return log_sum_exp(call, in, reduce, out);
	reduce_into(call, op->folds[in->dtype], in, reduce, out);
	return 0;
}

/* The type in which to compute on @type; DTYPE_UNDEFINED when the operator does not take it. */
static enum dtype working_type(const struct reduce_op *op, enum dtype type)
{
	bool limits = op == &reduce_max || op == &reduce_min;

	if (dtype_is_half(type))
		return DTYPE_F32;
	if (type == DTYPE_BOOL)
		return limits ? DTYPE_U8 : DTYPE_UNDEFINED;
	if (op == &reduce_exp_sum && dtype_is_integer(type))
		return DTYPE_F64;
	return (unsigned int)type < DTYPE_LIMIT && op->folds[type] ? type : DTYPE_UNDEFINED;
}

static int run_reduce(struct op_call *call, const struct reduce_op *op)
{
	const struct tensor *in = call->inputs[0];
	struct tensor wide = {0}, result = {0};
	bool reduce[TENSOR_MAX_RANK];
	int64_t dims[TENSOR_MAX_RANK];
	enum dtype type;
	int rank, err;

	if (!op_wanted(call, 0))
		return 0;
	if (!in)
		return op_fail(call, -EINVAL, "%s: input 0 is missing", call->node->op_type);
	type = working_type(op, in->dtype);
	if (type == DTYPE_UNDEFINED)
		return op_fail(call, -ENOTSUP, "%s: elements of type %s", call->node->op_type, dtype_name(in->dtype));
	err = choose_axes(call, reduce);
	if (err)
		return err;
	rank = reduced_shape(in, reduce, op_attr_int(call->node, "keepdims", 1) != 0, dims);
	err = op_output(call, 0, in->dtype, rank, dims);
	if (err)
		return err;
	if (type == in->dtype)
		return reduce_native(call, op, in, reduce, call->outputs[0]->data);
	err = tensor_cast(in, type, &wide);
	if (!err)
		err = tensor_init(&result, type, rank, dims);
	if (err)
		err = op_fail(call, err, "%s: no memory to widen input 0", call->node->op_type);
	else
		err = reduce_native(call, op, &wide, reduce, result.data);
	if (!err)
		cast_row(type, in->dtype)(tensor_count(&result), result.data, call->outputs[0]->data);
	tensor_finish(&wide);
	tensor_finish(&result);
	return err;
}

#define REDUCE_RUN(name)                                 \
	static int run_##name(struct op_call *call)      \
	{                                                \
		return run_reduce(call, &reduce_##name); \
	}
REDUCE_RUN(sum)
REDUCE_RUN(mean)
REDUCE_RUN(prod)
REDUCE_RUN(max)
REDUCE_RUN(min)
REDUCE_RUN(l1)
REDUCE_RUN(l2)
REDUCE_RUN(square)
REDUCE_RUN(log_sum)
REDUCE_RUN(exp_sum)

const struct op_kernel ops_reduce[] = {
	{"", "ReduceL1", 1, 0, 1, 2, 1, 1, run_l1},          {"", "ReduceL2", 1, 0, 1, 2, 1, 1, run_l2},
	{"", "ReduceLogSum", 1, 0, 1, 2, 1, 1, run_log_sum}, {"", "ReduceLogSumExp", 1, 0, 1, 2, 1, 1, run_exp_sum},
	{"", "ReduceMax", 1, 0, 1, 2, 1, 1, run_max},        {"", "ReduceMean", 1, 0, 1, 2, 1, 1, run_mean},
	{"", "ReduceMin", 1, 0, 1, 2, 1, 1, run_min},        {"", "ReduceProd", 1, 0, 1, 2, 1, 1, run_prod},
	{"", "ReduceSum", 1, 0, 1, 2, 1, 1, run_sum},        {"", "ReduceSumSquare", 1, 0, 1, 2, 1, 1, run_square},
};
const size_t ops_reduce_count = sizeof(ops_reduce) / sizeof(ops_reduce[0]);
