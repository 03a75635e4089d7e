// SPDX-License-Identifier: MIT
/*
 * Operators along one axis that depend on the order of its elements: ArgMax, ArgMin, CumSum, CumProd, TopK.
 *
 * A tensor is seen as [outer, axis, inner]; elements are compared in double or, for 64-bit integers, in int64_t.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/work_type.h"

/* ---- common ---- */

struct axis_view {
	int64_t axis, outer, length, inner;
};

static int view_axis(struct op_call *call, int64_t axis, struct axis_view *view)
{
	const struct tensor *in = call->inputs[0];

	if (normalize_axis(&axis, in->rank))
		return op_fail(call, -EINVAL, "%s: axis %" PRId64 " is out of range for rank %d", call->node->op_type,
			       axis, in->rank);
	view->axis = axis;
	view->outer = dims_count(axis, in->dims);
	view->length = in->dims[axis];
	view->inner = dims_count(in->rank - axis - 1, in->dims + axis + 1);
	if (view->outer < 0 || view->inner < 0)
		return op_fail(call, -EOVERFLOW, "%s: the dimensions overflow", call->node->op_type);
	return 0;
}

/*
 * A number as a key whose order as an integer is the number's: no loop by type is needed to compare. Floats: IEEE order
 * is that of sign and magnitude; NaN is the largest, -0 equals 0.
 */
static int64_t float_key(double x)
{
	int64_t bits;

	if (x != x)
		return INT64_MAX;
	x += 0.0;
	memcpy(&bits, &x, sizeof(bits));
	return bits < 0 ? INT64_MIN - bits : bits;
}

static void load_keys(const struct tensor *t, const struct axis_view *view, int64_t line, int64_t *keys)
{
	int64_t first = line / view->inner * view->length * view->inner + line % view->inner;
	size_t size = dtype_size(t->dtype);
	const char *at = (const char *)t->data + first * (int64_t)size;
	enum dtype wide = dtype_is_float(t->dtype) ? DTYPE_F64 : t->dtype == DTYPE_U64 ? DTYPE_U64 : DTYPE_S64;
	cast_fn widen = cast_row(t->dtype, wide);

	for (int64_t i = 0; i < view->length; i++, at += view->inner * (int64_t)size) {
		uint64_t bits;
		double real;

		if (wide == DTYPE_F64) {
			widen(1, at, &real);
			keys[i] = float_key(real);
			continue;
		}
		widen(1, at, &bits);
		/* Unsigned to signed order: turn the top bit. */
		keys[i] = wide == DTYPE_U64 ? (int64_t)(bits ^ ((uint64_t)1 << 63)) : (int64_t)bits;
	}
}

static bool has_order(enum dtype type)
{
	return dtype_is_float(type) || dtype_is_integer(type);
}

/* ---- ArgMax and ArgMin ---- */

struct arg_job {
	const struct tensor *in;
	struct axis_view view;
	int64_t *out;
	bool least, last;
	bool failed;
};

static void run_arg_lines(void *arg, int64_t begin, int64_t end)
{
	struct arg_job *job = arg;
	int64_t *keys = malloc(job->view.length * sizeof(*keys));

	if (!keys) {
		__atomic_store_n(&job->failed, true, __ATOMIC_RELAXED);
		return;
	}
	for (int64_t line = begin; line < end; line++) {
		int64_t best = 0;

		load_keys(job->in, &job->view, line, keys);
		for (int64_t i = 1; i < job->view.length; i++) {
			int64_t a = keys[i], b = keys[best];

			if ((job->least ? a < b : a > b) || (job->last && a == b))
				best = i;
		}
		job->out[line] = best;
	}
	free(keys);
}

/* f32 along the last axis, which is what classifiers do, without keys. */
static void run_arg_rows_f32(void *arg, int64_t begin, int64_t end)
{
	const struct arg_job *job = arg;

	for (int64_t row = begin; row < end; row++) {
		const float *x = (const float *)job->in->data + row * job->view.length;
		int64_t best = 0;

		for (int64_t i = 1; i < job->view.length; i++) {
			bool better = x[best] == x[best] && (job->least ? x[i] < x[best] : x[i] > x[best]);

			if (better || (!job->least && x[i] != x[i] && x[best] == x[best]))
				best = i;
		}
		job->out[row] = best;
	}
}

#define ARG_BLOCK 256

/* f32 along another axis, which is what segmentation does: a block of neighbours at a time. @begin and @end count
 * blocks. */
static void run_arg_blocks_f32(void *arg, int64_t begin, int64_t end)
{
	const struct arg_job *job = arg;
	const struct axis_view *v = &job->view;
	int64_t blocks = (v->inner - 1) / ARG_BLOCK + 1;

	for (int64_t block = begin; block < end; block++) {
		int64_t outer = block / blocks, first = block % blocks * ARG_BLOCK;
		int64_t n = v->inner - first < ARG_BLOCK ? v->inner - first : ARG_BLOCK;
		const float *x = (const float *)job->in->data + outer * v->length * v->inner + first;
		int64_t *out = job->out + outer * v->inner + first;
		float best[ARG_BLOCK];
		int32_t at[ARG_BLOCK] = {0};

		memcpy(best, x, n * sizeof(float));
		for (int32_t i = 1; i < v->length; i++) {
			const float *row = x + i * v->inner;

			for (int64_t j = 0; j < n; j++) {
				bool better = job->least ? row[j] < best[j] : row[j] > best[j];

				better |= !job->least & (row[j] != row[j]);
				better &= best[j] == best[j];
				at[j] = better ? i : at[j];
				best[j] = better ? row[j] : best[j];
			}
		}
		for (int64_t j = 0; j < n; j++)
			out[j] = at[j];
	}
}

static int run_arg(struct op_call *call, bool least)
{
	const struct tensor *in = call->inputs[0];
	struct arg_job job = {.in = in, .least = least};
	int64_t dims[TENSOR_MAX_RANK];
	int rank = 0, err;

	if (!op_wanted(call, 0))
		return 0;
	if (!in || !has_order(in->dtype))
		return op_fail(call, in ? -ENOTSUP : -EINVAL, "%s: input 0 is %s", call->node->op_type,
			       in ? dtype_name(in->dtype) : "missing");
	err = view_axis(call, op_attr_int(call->node, "axis", 0), &job.view);
	if (err)
		return err;
	for (int i = 0; i < in->rank; i++) {
		if (i != job.view.axis)
			dims[rank++] = in->dims[i];
		else if (op_attr_int(call->node, "keepdims", 1))
			dims[rank++] = 1;
	}
	if (job.view.length == 0 && dims_count(rank, dims) != 0)
		return op_fail(call, -EINVAL, "%s: axis %" PRId64 " of input 0 is empty", call->node->op_type,
			       job.view.axis);
	err = op_output(call, 0, DTYPE_S64, rank, dims);
	if (err)
		return err;
	job.out = call->outputs[0]->data;
	job.last = op_attr_int(call->node, "select_last_index", 0) != 0;
	if (in->dtype == DTYPE_F32 && job.view.inner > 8 && job.view.length <= INT32_MAX && !job.last) {
		parallel_range(call->pool, job.view.outer * ((job.view.inner - 1) / ARG_BLOCK + 1),
			       PARALLEL_GRAIN / ARG_BLOCK / (job.view.length + 1) + 1, run_arg_blocks_f32, &job);
		return 0;
	}
	parallel_range(call->pool, job.view.outer * job.view.inner, PARALLEL_GRAIN / (job.view.length + 1) + 1,
		       in->dtype == DTYPE_F32 && job.view.inner == 1 && !job.last ? run_arg_rows_f32 : run_arg_lines,
		       &job);
	return job.failed ? op_fail(call, -ENOMEM, "%s: no memory for a line", call->node->op_type) : 0;
}

static int run_arg_max(struct op_call *call)
{
	return run_arg(call, false);
}

static int run_arg_min(struct op_call *call)
{
	return run_arg(call, true);
}

/* ---- CumSum and CumProd ---- */

typedef void (*scan_fn)(const struct axis_view *v, const void *in, void *out, bool exclusive, bool reverse);

#define SCAN(name, T, A, first_value, op)                                                                    \
	static void name(const struct axis_view *v, const void *in, void *out, bool exclusive, bool reverse) \
	{                                                                                                    \
		for (int64_t line = 0; line < v->outer * v->inner; line++) {                                 \
			int64_t first = line / v->inner * v->length * v->inner + line % v->inner;            \
			A total = first_value;                                                               \
                                                                                                             \
			for (int64_t i = 0; i < v->length; i++) {                                            \
				int64_t at = first + (reverse ? v->length - 1 - i : i) * v->inner;           \
				A x = (A)((const T *)in)[at], before = total;                                \
                                                                                                             \
				total = total op x;                                                          \
				((T *)out)[at] = (T)(exclusive ? before : total);                            \
			}                                                                                    \
		}                                                                                            \
	}
#define SCAN_TYPES(name, first_value, op)                     \
	SCAN(name##_f32, float, double, first_value, op)      \
	SCAN(name##_f64, double, double, first_value, op)     \
	SCAN(name##_u32, uint32_t, uint32_t, first_value, op) \
	SCAN(name##_u64, uint64_t, uint64_t, first_value, op)
SCAN_TYPES(cumsum, 0, +)
SCAN_TYPES(cumprod, 1, *)

/* By working type: f32, f64, 32 bits, 64 bits. Two's complement sums and products are the same signed and unsigned. */
static const scan_fn cumsum_rows[] = {cumsum_f32, cumsum_f64, cumsum_u32, cumsum_u64};
static const scan_fn cumprod_rows[] = {cumprod_f32, cumprod_f64, cumprod_u32, cumprod_u64};
static const enum dtype scan_types[] = {DTYPE_F32, DTYPE_F64, DTYPE_U32, DTYPE_U64};

static int run_scan_rows(struct op_call *call, const scan_fn *rows)
{
	const struct tensor *in = call->inputs[0];
	const char *name = call->node->op_type;
	bool exclusive = op_attr_int(call->node, "exclusive", 0), reverse = op_attr_int(call->node, "reverse", 0);
	struct tensor wide = {0}, totals = {0};
	struct axis_view view;
	int64_t axis;
	int kind, err;

	if (!op_wanted(call, 0))
		return 0;
	if (!op_input(call, 1))
		return op_fail(call, -EINVAL, "%s: axis (input 1) is missing", name);
	err = op_input_scalar(call, 1, 0, &axis);
	if (!err)
		err = view_axis(call, axis, &view);
	if (err)
		return err;
	if (!has_order(in->dtype))
		return op_fail(call, -ENOTSUP, "%s: elements of type %s", name, dtype_name(in->dtype));
	kind = dtype_is_float(in->dtype) ? in->dtype == DTYPE_F64 : dtype_size(in->dtype) > 4 ? 3 : 2;
	err = op_output(call, 0, in->dtype, in->rank, in->dims);
	if (err)
		return err;
	err = tensor_cast(in, scan_types[kind], &wide);
	if (!err)
		err = tensor_init(&totals, scan_types[kind], in->rank, in->dims);
	if (!err) {
		rows[kind](&view, wide.data, totals.data, exclusive, reverse);
		cast_row(scan_types[kind], in->dtype)(tensor_count(in), totals.data, call->outputs[0]->data);
	}
	tensor_finish(&wide);
	tensor_finish(&totals);
	return err ? op_fail(call, err, "%s: no memory", name) : 0;
}

static int run_cum_sum(struct op_call *call)
{
	return run_scan_rows(call, cumsum_rows);
}

static int run_cum_prod(struct op_call *call)
{
	return run_scan_rows(call, cumprod_rows);
}

/* ---- TopK ---- */

struct ranked {
	int64_t key, index;
};

/* Largest first; equal ones by index, as the specification wants. */
static int compare_ranked(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;

	if (a->key != b->key)
		return a->key > b->key ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

/* Bring the @k first in order to the front: quickselect, so that sorting sees only them. */
static void select_first(struct ranked *items, int64_t n, int64_t k)
{
	int64_t lo = 0, hi = n - 1;

	while (lo < hi && k > 0 && k < n) {
		struct ranked pivot = items[lo + (hi - lo) / 2];
		int64_t i = lo, j = hi;

		while (i <= j) {
			while (compare_ranked(&items[i], &pivot) < 0)
				i++;
			while (compare_ranked(&items[j], &pivot) > 0)
				j--;
			if (i <= j) {
				struct ranked swap = items[i];

				items[i++] = items[j];
				items[j--] = swap;
			}
		}
		if (k - 1 <= j)
			hi = j;
		else if (k - 1 >= i)
			lo = i;
		else
			break;
	}
}

struct top_job {
	const struct tensor *in;
	struct axis_view view;
	int64_t k;
	bool largest;
	char *values;
	int64_t *indices;
	bool failed;
};

static void write_top(const struct top_job *job, int64_t line, const struct ranked *items)
{
	const struct axis_view *v = &job->view;
	int64_t from = line / v->inner * v->length * v->inner + line % v->inner;
	int64_t to = line / v->inner * job->k * v->inner + line % v->inner;
	size_t size = dtype_size(job->in->dtype);

	for (int64_t i = 0; i < job->k; i++, to += v->inner) {
		if (job->indices)
			job->indices[to] = items[i].index;
		if (job->values)
			memcpy(job->values + to * size,
			       (const char *)job->in->data + (from + items[i].index * v->inner) * size, size);
	}
}

static void run_top_lines(void *arg, int64_t begin, int64_t end)
{
	struct top_job *job = arg;
	int64_t length = job->view.length;
	struct ranked *items = malloc(length * sizeof(*items));
	int64_t *keys = malloc(length * sizeof(*keys));

	if (!items || !keys)
		__atomic_store_n(&job->failed, true, __ATOMIC_RELAXED);
	for (int64_t line = begin; items && keys && line < end; line++) {
		load_keys(job->in, &job->view, line, keys);
		/* ~ reverses the order of the keys without a special case for the least one. */
		for (int64_t i = 0; i < length; i++)
			items[i] = (struct ranked){job->largest ? keys[i] : ~keys[i], i};
		select_first(items, length, job->k);
		qsort(items, job->k, sizeof(*items), compare_ranked);
		write_top(job, line, items);
	}
	free(items);
	free(keys);
}

/* k: an attribute up to opset 9, input 1 since 10. */
static int top_k(struct op_call *call, int64_t *k)
{
	struct tensor input;
	int err;

	if (call->node->opset < 10) {
		*k = op_attr_int(call->node, "k", -1);
		return 0;
	}
	err = op_input_s64(call, 1, false, &input);
	if (err)
		return err;
	*k = tensor_count(&input) == 1 ? ((int64_t *)input.data)[0] : -1;
	tensor_finish(&input);
	return 0;
}

static int run_top_k(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	struct top_job job = {.in = in};
	int64_t dims[TENSOR_MAX_RANK];
	int err;

	if (!in || !has_order(in->dtype))
		return op_fail(call, in ? -ENOTSUP : -EINVAL, "TopK: input 0 is %s",
			       in ? dtype_name(in->dtype) : "missing");
	err = view_axis(call, op_attr_int(call->node, "axis", -1), &job.view);
	if (!err)
		err = top_k(call, &job.k);
	if (err)
		return err;
	if (job.k < 0 || job.k > job.view.length)
		return op_fail(call, -EINVAL, "TopK: k is %" PRId64 " but axis %" PRId64 " has %" PRId64 " elements",
			       job.k, job.view.axis, job.view.length);
	memcpy(dims, in->dims, sizeof(dims));
	dims[job.view.axis] = job.k;
	err = op_output(call, 0, in->dtype, in->rank, dims);
	if (!err)
		err = op_output(call, 1, DTYPE_S64, in->rank, dims);
	if (err || job.k == 0)
		return err;
	job.largest = op_attr_int(call->node, "largest", 1) != 0;
	job.values = op_wanted(call, 0) ? call->outputs[0]->data : NULL;
	job.indices = op_wanted(call, 1) ? call->outputs[1]->data : NULL;
	parallel_range(call->pool, job.view.outer * job.view.inner, PARALLEL_GRAIN / (4 * job.view.length) + 1,
		       run_top_lines, &job);
	return job.failed ? op_fail(call, -ENOMEM, "TopK: no memory for a line") : 0;
}

const struct op_kernel ops_order[] = {
	{"", "ArgMax", 1, 0, 1, 1, 1, 1, run_arg_max},    {"", "ArgMin", 1, 0, 1, 1, 1, 1, run_arg_min},
	{"", "CumProd", 26, 0, 2, 2, 1, 1, run_cum_prod}, {"", "CumSum", 11, 0, 2, 2, 1, 1, run_cum_sum},
	{"", "TopK", 1, 9, 1, 1, 2, 2, run_top_k},        {"", "TopK", 10, 0, 2, 2, 1, 2, run_top_k},
};
const size_t ops_order_count = sizeof(ops_order) / sizeof(ops_order[0]);
