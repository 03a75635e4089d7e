// SPDX-License-Identifier: MIT
/*
 * MaxPool, AveragePool, LpPool and their global forms.
 *
 * One plane (image and channel) at a time; within it, one tap at a time over whole output rows, so that the inner loop
 * is contiguous over the output and vectorises.
 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "runtime/cpu/conv_depthwise.h"
#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/max_plane.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/row_stats.h"
#include "runtime/cpu/scratch.h"
#include "runtime/cpu/window.h"

/*
 * struct row_ops - how one element type pools
 * @start:  fill @n outputs with the neutral element
 * @add:    take in inputs at from[i * stride]; @p for LpPool
 */
struct row_ops {
	size_t size;
	void (*start)(int64_t n, void *to);
	void (*add)(int64_t n, void *to, const void *from, int64_t stride, int64_t p);
};

struct pooling {
	struct window window;
	const struct row_ops *ops;
	const char *x;
	char *y;
	int64_t p;
	bool average, include_pad, root;
	int64_t *indices;
	bool column_major;
	enum dtype dtype;
	struct depthwise layout; /* float32 averages, and maxima at every position */
	int64_t *divisors;       /* by column of the output */
	float *counts;           /* of a plane's outputs: what each sum is divided by */
	atomic_int err;
};

#define MAX_ROWS(SUFFIX, TYPE, LOWEST)                                                                            \
	static void start_max_##SUFFIX(int64_t n, void *to)                                                       \
	{                                                                                                         \
		for (int64_t i = 0; i < n; i++)                                                                   \
			((TYPE *)to)[i] = LOWEST;                                                                 \
	}                                                                                                         \
	CPU_CLONES static void add_max_##SUFFIX(int64_t n, void *to, const void *from, int64_t stride, int64_t p) \
	{                                                                                                         \
		const TYPE *in = from;                                                                            \
		TYPE *out = to;                                                                                   \
                                                                                                                  \
		(void)p;                                                                                          \
		if (stride == 1)                                                                                  \
			for (int64_t i = 0; i < n; i++)                                                           \
				out[i] = in[i] > out[i] ? in[i] : out[i];                                         \
		else if (stride == 2)                                                                             \
			for (int64_t i = 0; i < n; i++)                                                           \
				out[i] = in[i * 2] > out[i] ? in[i * 2] : out[i];                                 \
		else                                                                                              \
			for (int64_t i = 0; i < n; i++)                                                           \
				out[i] = in[i * stride] > out[i] ? in[i * stride] : out[i];                       \
	}                                                                                                         \
	static const struct row_ops max_##SUFFIX = {sizeof(TYPE), start_max_##SUFFIX, add_max_##SUFFIX};

MAX_ROWS(f32, float, -INFINITY)
MAX_ROWS(f64, double, -(double)INFINITY)
MAX_ROWS(u8, uint8_t, 0)
MAX_ROWS(s8, int8_t, INT8_MIN)

/* Sums, and sums of powers of magnitudes. */
#define SUM_ROWS(SUFFIX, TYPE, FABS, POW)                                                                         \
	static void start_zero_##SUFFIX(int64_t n, void *to)                                                      \
	{                                                                                                         \
		memset(to, 0, (size_t)n * sizeof(TYPE));                                                          \
	}                                                                                                         \
	CPU_CLONES static void add_sum_##SUFFIX(int64_t n, void *to, const void *from, int64_t stride, int64_t p) \
	{                                                                                                         \
		const TYPE *in = from;                                                                            \
		TYPE *out = to;                                                                                   \
                                                                                                                  \
		(void)p;                                                                                          \
		if (stride == 1)                                                                                  \
			for (int64_t i = 0; i < n; i++)                                                           \
				out[i] += in[i];                                                                  \
		else                                                                                              \
			for (int64_t i = 0; i < n; i++)                                                           \
				out[i] += in[i * stride];                                                         \
	}                                                                                                         \
	static void add_power_##SUFFIX(int64_t n, void *to, const void *from, int64_t stride, int64_t p)          \
	{                                                                                                         \
		const TYPE *in = from;                                                                            \
		TYPE *out = to;                                                                                   \
                                                                                                                  \
		for (int64_t i = 0; i < n; i++) {                                                                 \
			TYPE v = FABS(in[i * stride]);                                                            \
                                                                                                                  \
			out[i] += p == 1 ? v : p == 2 ? v * v : POW(v, (TYPE)p);                                  \
		}                                                                                                 \
	}                                                                                                         \
	static const struct row_ops sum_##SUFFIX = {sizeof(TYPE), start_zero_##SUFFIX, add_sum_##SUFFIX};         \
	static const struct row_ops power_##SUFFIX = {sizeof(TYPE), start_zero_##SUFFIX, add_power_##SUFFIX};

SUM_ROWS(f32, float, fabsf, powf)
SUM_ROWS(f64, double, fabs, pow)

/* Elements that an average over output position @o of @axis divides by, on that axis. */
static int64_t divisor(const struct pooling *job, int axis, int64_t o)
{
	const struct window *w = &job->window;
	int64_t first, last, start, end;

	if (!job->include_pad) {
		window_tap_range(w, axis, o, &first, &last);
		return last > first ? last - first : 0;
	}
	/* Padding counts, but not what ceil_mode adds beyond it. */
	start = o * w->stride[axis] - w->pad_lo[axis];
	end = start + (w->kernel[axis] - 1) * w->dilation[axis] + 1;
	if (end > w->in[axis] + w->pad_hi[axis])
		end = w->in[axis] + w->pad_hi[axis];
	return end > start ? (end - start + w->dilation[axis] - 1) / w->dilation[axis] : 0;
}

static void finish_row_f64(const struct pooling *job, int64_t outer, double *row)
{
	for (int64_t i = 0; i < job->window.out[2]; i++) {
		if (job->average)
			row[i] = outer * job->divisors[i] > 0 ? row[i] / (double)(outer * job->divisors[i]) : 0;
		if (job->root && job->p != 1)
			row[i] = job->p == 2 ? sqrt(row[i]) : pow(row[i], 1 / (double)job->p);
	}
}

/* Sums become averages or norms; maxima stay. (Averages of float32 are divided by the plane: pool_planes().) */
static void finish_row(const struct pooling *job, int64_t oz, int64_t oy, void *sums)
{
	const struct window *w = &job->window;
	float *row = sums;

	if (!job->average && !job->root)
		return;
	if (job->dtype == DTYPE_F64) {
		finish_row_f64(job, job->average ? divisor(job, 0, oz) * divisor(job, 1, oy) : 1, sums);
		return;
	}
	if (job->root && job->p != 1)
		for (int64_t i = 0; i < w->out[2]; i++)
			row[i] = job->p == 2 ? sqrtf(row[i]) : powf(row[i], 1 / (float)job->p);
}

static void pool_row(const struct pooling *job, const char *plane, int64_t oz, int64_t oy, char *row)
{
	const struct window *w = &job->window;
	int64_t z0, z1, y0, y1, x0, x1;

	job->ops->start(w->out[2], row);
	window_tap_range(w, 0, oz, &z0, &z1);
	window_tap_range(w, 1, oy, &y0, &y1);
	for (int64_t z = z0; z < z1; z++)
		for (int64_t y = y0; y < y1; y++) {
			int64_t iz = oz * w->stride[0] + z * w->dilation[0] - w->pad_lo[0];
			int64_t iy = oy * w->stride[1] + y * w->dilation[1] - w->pad_lo[1];
			int64_t line = (iz * w->in[1] + iy) * w->in[2];

			for (int64_t k = 0; k < w->kernel[2]; k++) {
				int64_t ix = k * w->dilation[2] - w->pad_lo[2];

				window_output_range(w, 2, k, &x0, &x1);
				if (x0 >= x1)
					continue;
				ix += x0 * w->stride[2] + line;
				job->ops->add(x1 - x0, row + (size_t)x0 * job->ops->size,
					      plane + ix * (int64_t)job->ops->size, w->stride[2], job->p);
			}
		}
	finish_row(job, oz, oy, row);
}

static void pool_plane(void *arg, size_t index)
{
	const struct pooling *job = arg;
	const struct window *w = &job->window;
	const char *plane = job->x + index * (size_t)window_in_count(w) * job->ops->size;
	char *out = job->y + index * (size_t)window_out_count(w) * job->ops->size;

	for (int64_t oz = 0; oz < w->out[0]; oz++)
		for (int64_t oy = 0; oy < w->out[1]; oy++, out += (size_t)w->out[2] * job->ops->size)
			pool_row(job, plane, oz, oy, out);
}

static void max_whole_planes(void *arg, int64_t begin, int64_t end)
{
	const struct pooling *job = arg;
	int64_t count = window_in_count(&job->window);

	for (int64_t plane = begin; plane < end; plane++)
		((float *)job->y)[plane] = row_max(count, (const float *)job->x + plane * count);
}

CPU_CLONES static void divide(int64_t n, const float *restrict counts, float *restrict sums)
{
	for (int64_t i = 0; i < n; i++)
		sums[i] /= counts[i];
}

/* What the sums of a plane are divided by. A window that lies in padding alone has the sum 0, and that is its average. */
static int count_plane(struct pooling *job)
{
	const struct window *w = &job->window;
	float *counts = scratch_get_for(SCRATCH_ADDEND, (size_t)window_out_count(w) * sizeof(*counts));

	job->counts = counts;
	if (!counts)
		return -ENOMEM;
	for (int64_t z = 0; z < w->out[0]; z++)
		for (int64_t y = 0; y < w->out[1]; y++) {
			int64_t outer = divisor(job, 0, z) * divisor(job, 1, y);

			for (int64_t x = 0; x < w->out[2]; x++) {
				int64_t count = outer * job->divisors[x];

				*counts++ = count > 0 ? (float)count : 1;
			}
		}
	return 0;
}

/* float32 maxima of windows at steps. */
static void max_planes(void *arg, int64_t begin, int64_t end)
{
	struct pooling *job = arg;
	const struct window *w = &job->window;
	float *line = scratch_get((size_t)w->in[2] * sizeof(*line));

	if (!line)
		atomic_store_explicit(&job->err, -ENOMEM, memory_order_relaxed);
	for (int64_t plane = begin; plane < end && line; plane++)
		max_plane(w, (const float *)job->x + plane * window_in_count(w), line,
			  (float *)job->y + plane * window_out_count(w));
}

/* float32 maxima and averages: planes in the layout in which every tap is contiguous (conv_depthwise.h). */
static void pool_planes(void *arg, int64_t begin, int64_t end)
{
	struct pooling *job = arg;
	const struct window *w = &job->window;
	int64_t in_count = window_in_count(w), out_count = window_out_count(w);
	float *memory = scratch_get(depthwise_memory(&job->layout) * sizeof(float));

	if (!memory) {
		atomic_store_explicit(&job->err, -ENOMEM, memory_order_relaxed);
		return;
	}
	depthwise_clear(&job->layout, job->average ? 0 : -INFINITY, memory);
	for (int64_t plane = begin; plane < end; plane++) {
		float *y = (float *)job->y + plane * out_count;

		depthwise_load(&job->layout, DTYPE_F32, (const float *)job->x + plane * in_count, 0, memory);
		if (!job->average) {
			depthwise_max(&job->layout, memory, y);
			continue;
		}
		depthwise_sum(&job->layout, memory, y);
		divide(out_count, job->counts, y);
	}
}

/* One output for the whole plane. */
static void average_whole_planes(void *arg, int64_t begin, int64_t end)
{
	const struct pooling *job = arg;
	int64_t count = window_in_count(&job->window);

	for (int64_t plane = begin; plane < end; plane++)
		((float *)job->y)[plane] =
			(float)(row_sum(count, (const float *)job->x + plane * count) / (double)count);
}

/* Position of the greatest element of one window, the first of equals; -1 when it lies in padding alone. */
static int64_t greatest(const struct pooling *job, const struct tensor *plane, const int64_t *o)
{
	const struct window *w = &job->window;
	int64_t first[3], last[3], best = -1;
	double value = 0;

	for (int a = 0; a < 3; a++)
		window_tap_range(w, a, o[a], &first[a], &last[a]);
	for (int64_t z = first[0]; z < last[0]; z++)
		for (int64_t y = first[1]; y < last[1]; y++)
			for (int64_t x = first[2]; x < last[2]; x++) {
				int64_t iz = o[0] * w->stride[0] + z * w->dilation[0] - w->pad_lo[0];
				int64_t iy = o[1] * w->stride[1] + y * w->dilation[1] - w->pad_lo[1];
				int64_t ix = o[2] * w->stride[2] + x * w->dilation[2] - w->pad_lo[2];
				int64_t at = (iz * w->in[1] + iy) * w->in[2] + ix;
				double v = tensor_get_f64(plane, at);

				if (best < 0 || v > value) {
					best = at;
					value = v;
				}
			}
	return best;
}

/* The second output of MaxPool: where each maximum was, as a position in the whole input. */
static void index_plane(void *arg, size_t index)
{
	const struct pooling *job = arg;
	const struct window *w = &job->window;
	int64_t count = window_in_count(w), base = (int64_t)index * count, o[3];
	int64_t *out = job->indices + (int64_t)index * window_out_count(w);
	struct tensor plane = {.dtype = job->dtype,
			       .data = (void *)(uintptr_t)(job->x + base * (int64_t)job->ops->size)};

	for (o[0] = 0; o[0] < w->out[0]; o[0]++)
		for (o[1] = 0; o[1] < w->out[1]; o[1]++)
			for (o[2] = 0; o[2] < w->out[2]; o[2]++) {
				int64_t at = greatest(job, &plane, o);

				if (at >= 0 && job->column_major) {
					int64_t x = at % w->in[2], y = at / w->in[2] % w->in[1];
					int64_t z = at / w->in[2] / w->in[1];

					at = w->rank == 3 ? (x * w->in[1] + y) * w->in[0] + z : x * w->in[1] + y;
				}
				*out++ = at < 0 ? -1 : base + at;
			}
}

static bool covers_plane(const struct window *w)
{
	return window_out_count(w) == 1 && window_taps(w) == window_in_count(w) && !w->pad_lo[0] && !w->pad_lo[1] &&
	       !w->pad_lo[2];
}

/* Output 0, whichever way is fastest. */
static int run_values(struct op_call *call, struct pooling *job, int64_t planes)
{
	const struct window *w = &job->window;
	int err = 0;

	if (job->average) {
		job->divisors = scratch_get_for(SCRATCH_IMAGE, (size_t)w->out[2] * sizeof(*job->divisors));
		if (!job->divisors)
			return -ENOMEM;
		for (int64_t i = 0; i < w->out[2]; i++)
			job->divisors[i] = divisor(job, 2, i);
	}
	if (job->ops == &sum_f32 && covers_plane(w)) {
		parallel_range(call->pool, planes, PARALLEL_GRAIN / window_in_count(w) + 1, average_whole_planes, job);
	} else if (job->ops == &max_f32 && covers_plane(w)) {
		parallel_range(call->pool, planes, PARALLEL_GRAIN / window_in_count(w) + 1, max_whole_planes, job);
	} else if (job->ops == &max_f32 && w->stride[2] > 1) {
		parallel_range(call->pool, planes, PARALLEL_GRAIN / 2 / (window_in_count(w) + 1), max_planes, job);
		err = atomic_load(&job->err);
	} else if (job->ops == &max_f32 || job->ops == &sum_f32) {
		err = depthwise_init(&job->layout, call, w);
		if (!err && job->average)
			err = count_plane(job);
		if (!err)
			parallel_range(call->pool, planes, PARALLEL_GRAIN / 2 / (job->layout.span + 1), pool_planes,
				       job);
		if (!err)
			err = atomic_load(&job->err);
	} else {
		cpu_pool_for(call->pool, (size_t)planes, pool_plane, job);
	}
	return err;
}

/* Shape and allocate output 0, run the planes. */
static int run_planes(struct op_call *call, struct pooling *job)
{
	const struct tensor *x = call->inputs[0];
	int64_t dims[TENSOR_MAX_RANK], planes;
	int rank = window_output_dims(&job->window, x->dims[0], x->dims[1], dims);
	int err = op_output(call, 0, x->dtype, rank, dims);

	if (!err)
		err = op_output(call, 1, DTYPE_S64, rank, dims);
	if (err)
		return err;
	job->x = x->data;
	job->dtype = x->dtype;
	/* Checked before planes are counted: what is empty may have sizes whose product overflows. */
	if (dims_count(rank, dims) == 0)
		return 0;
	planes = x->dims[0] * x->dims[1];
	if (op_wanted(call, 0)) {
		job->y = call->outputs[0]->data;
		err = run_values(call, job, planes);
	}
	if (op_wanted(call, 1)) {
		job->indices = call->outputs[1]->data;
		cpu_pool_for(call->pool, (size_t)planes, index_plane, job);
	}
	return err;
}

/* Nothing in the loops is longer than the kernel: bound it by what the padded input can hold. */
static int check_extent(struct op_call *call, const struct window *w)
{
	for (int i = 0; i < WINDOW_AXES; i++)
		if (w->out[i] > 0 && w->kernel[i] > w->in[i] + (w->pad_lo[i] > 0 ? w->pad_lo[i] : 0) +
							    (w->pad_hi[i] > 0 ? w->pad_hi[i] : 0))
			return op_fail(call, -EINVAL, "%s: the kernel is larger than the padded input",
				       call->node->op_type);
	return 0;
}

static int read_pool(struct op_call *call, struct pooling *job)
{
	int err = window_read(call, call->inputs[0], NULL, op_attr_int(call->node, "ceil_mode", 0), &job->window);

	return err ? err : check_extent(call, &job->window);
}

static int choose_max(struct op_call *call, struct pooling *job)
{
	switch (call->inputs[0]->dtype) {
	case DTYPE_F32:
		job->ops = &max_f32;
		return 0;
	case DTYPE_F64:
		job->ops = &max_f64;
		return 0;
	case DTYPE_U8:
		job->ops = &max_u8;
		return 0;
	case DTYPE_S8:
		job->ops = &max_s8;
		return 0;
	default:
		return op_fail(call, -ENOTSUP, "%s: element type %s is not implemented", call->node->op_type,
			       dtype_name(call->inputs[0]->dtype));
	}
}

static int choose_float(struct op_call *call, const struct row_ops *f32, const struct row_ops *f64, struct pooling *job)
{
	enum dtype type = call->inputs[0]->dtype;

	job->ops = type == DTYPE_F64 ? f64 : f32;
	return type == DTYPE_F32 || type == DTYPE_F64
		       ? 0
		       : op_fail(call, -EINVAL, "%s: input 0 is %s, expected a float type", call->node->op_type,
				 dtype_name(type));
}

static int run_max_pool(struct op_call *call)
{
	struct pooling job = {.column_major = op_attr_int(call->node, "storage_order", 0)};
	int err;

	err = choose_max(call, &job);
	if (!err)
		err = read_pool(call, &job);
	return err ? err : run_planes(call, &job);
}

static int run_global_max_pool(struct op_call *call)
{
	struct pooling job = {0};
	int err;

	err = choose_max(call, &job);
	if (!err)
		err = window_global(call, call->inputs[0], &job.window);
	return err ? err : run_planes(call, &job);
}

static int run_average_pool(struct op_call *call)
{
	struct pooling job = {.average = true, .include_pad = op_attr_int(call->node, "count_include_pad", 0)};
	int err;

	err = choose_float(call, &sum_f32, &sum_f64, &job);
	if (!err)
		err = read_pool(call, &job);
	return err ? err : run_planes(call, &job);
}

static int run_global_average_pool(struct op_call *call)
{
	struct pooling job = {.average = true};
	int err;

	err = choose_float(call, &sum_f32, &sum_f64, &job);
	if (!err)
		err = window_global(call, call->inputs[0], &job.window);
	return err ? err : run_planes(call, &job);
}

static int run_lp(struct op_call *call, bool global)
{
	/* Opset 1 had p as a float. */
	const struct attr *p = op_attr(call->node, "p");
	struct pooling job = {.root = true,
			      .p = p && p->type == ATTR_FLOAT ? (int64_t)p->f : op_attr_int(call->node, "p", 2)};
	int err = choose_float(call, &power_f32, &power_f64, &job);

	if (!err && p && p->type == ATTR_FLOAT && p->f != (float)job.p)
		err = op_fail(call, -ENOTSUP, "%s: attribute p is %g, implemented are whole numbers",
			      call->node->op_type, (double)p->f);
	if (!err && job.p < 1)
		err = op_fail(call, -EINVAL, "%s: attribute p is %lld", call->node->op_type, (long long)job.p);
	if (!err)
		err = global ? window_global(call, call->inputs[0], &job.window) : read_pool(call, &job);
	return err ? err : run_planes(call, &job);
}

static int run_lp_pool(struct op_call *call)
{
	return run_lp(call, false);
}

static int run_global_lp_pool(struct op_call *call)
{
	return run_lp(call, true);
}

const struct op_kernel ops_pooling[] = {
	{"", "AveragePool", 1, 0, 1, 1, 1, 1, run_average_pool, NULL, NULL, &op_half_in_f32},
	{"", "GlobalAveragePool", 1, 0, 1, 1, 1, 1, run_global_average_pool, NULL, NULL, &op_half_in_f32},
	{"", "GlobalLpPool", 1, 0, 1, 1, 1, 1, run_global_lp_pool, NULL, NULL, &op_half_in_f32},
	{"", "GlobalMaxPool", 1, 0, 1, 1, 1, 1, run_global_max_pool, NULL, NULL, &op_half_in_f32},
	{"", "LpPool", 1, 0, 1, 1, 1, 1, run_lp_pool, NULL, NULL, &op_half_in_f32},
	{"", "MaxPool", 1, 0, 1, 1, 1, 2, run_max_pool, NULL, NULL, &op_half_in_f32},
};
const size_t ops_pooling_count = sizeof(ops_pooling) / sizeof(ops_pooling[0]);
