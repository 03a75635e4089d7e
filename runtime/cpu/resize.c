// SPDX-License-Identifier: MIT
/*
 * Resize and Upsample.
 *
 * Every axis gets a table: for each output position the input positions that count and their weights (one of weight 1
 * for nearest). Nearest is a gather through the tables; linear and cubic are one pass an axis, since the N-dimensional
 * kernels of ONNX are products of one-dimensional ones. Formulas are those of the specification of Resize, opset 19.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/scratch.h"
#include "runtime/cpu/shape_rules.h"
#include "runtime/cpu/strided_copy.h"

enum resize_mode { RESIZE_NEAREST, RESIZE_LINEAR, RESIZE_CUBIC };

enum coordinate_mode {
	COORD_HALF_PIXEL,
	COORD_HALF_PIXEL_SYMMETRIC,
	COORD_PYTORCH_HALF_PIXEL,
	COORD_ALIGN_CORNERS,
	COORD_ASYMMETRIC,
	COORD_TF_HALF_PIXEL_FOR_NN,
	COORD_TF_CROP_AND_RESIZE,
};

enum nearest_mode { NEAREST_ROUND_PREFER_FLOOR, NEAREST_ROUND_PREFER_CEIL, NEAREST_FLOOR, NEAREST_CEIL, NEAREST_OLD };

/*
 * struct resize - what is asked for
 * @scale:  by axis; @dims: output sizes; @roi_start, @roi_end: used by tf_crop_and_resize
 */
struct resize {
	enum resize_mode mode;
	enum coordinate_mode coordinates;
	enum nearest_mode nearest;
	double cubic_a;
	bool exclude_outside, antialias;
	double extrapolation;
	double scale[TENSOR_MAX_RANK];
	int64_t dims[TENSOR_MAX_RANK];
	double roi_start[TENSOR_MAX_RANK], roi_end[TENSOR_MAX_RANK];
};

/*
 * struct taps - the table of one axis
 * @count:   taps of each output position
 * @index, @weight: [positions][count]; indices are inside the input
 * @outside: by position: lies beyond the region of interest (tf_crop_and_resize)
 */
struct taps {
	bool identity;
	int64_t positions;
	int64_t count;
	int64_t *index;
	double *weight;
	bool *outside;
	bool any_outside;
};

/* ---- the tables ---- */

/* Output position @x of @axis as a position in the input. */
static double source_position(const struct resize *r, int axis, int64_t in, double x)
{
	double scale = r->scale[axis], resized = (double)in * scale, start, end;

	switch (r->coordinates) {
	case COORD_HALF_PIXEL_SYMMETRIC:
		/* The integer size against the one that the scale asks for, kept centred. */
		return (double)in / 2 * (1 - (double)r->dims[axis] / resized) + (x + 0.5) / scale - 0.5;
	case COORD_PYTORCH_HALF_PIXEL:
		return r->dims[axis] > 1 ? (x + 0.5) / scale - 0.5 : 0;
	case COORD_ALIGN_CORNERS:
		return resized == 1 || r->dims[axis] == 1 ? 0 : x * (double)(in - 1) / (resized - 1);
	case COORD_ASYMMETRIC:
		return x / scale;
	case COORD_TF_HALF_PIXEL_FOR_NN:
		return (x + 0.5) / scale;
	case COORD_TF_CROP_AND_RESIZE:
		start = r->roi_start[axis];
		end = r->roi_end[axis];
		if (r->dims[axis] <= 1)
			return 0.5 * (start + end) * (double)(in - 1);
		return start * (double)(in - 1) + x * (end - start) * (double)(in - 1) / (double)(r->dims[axis] - 1);
	default:
		return (x + 0.5) / scale - 0.5;
	}
}

static double round_nearest(enum nearest_mode mode, double x, double scale)
{
	switch (mode) {
	case NEAREST_ROUND_PREFER_CEIL:
		return floor(x + 0.5);
	case NEAREST_FLOOR:
		return floor(x);
	case NEAREST_CEIL:
		return ceil(x);
	case NEAREST_OLD:
		/* Opset 10 left it open; ONNX Runtime rounds up when it shrinks. */
		return scale < 1 ? ceil(x) : floor(x);
	default:
		return ceil(x - 0.5);
	}
}

/* Keys's cubic kernel at distance @d. */
static double cubic_weight(double a, double d)
{
	d = fabs(d);
	if (d <= 1)
		return ((a + 2) * d - (a + 3)) * d * d + 1;
	if (d < 2)
		return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
	return 0;
}

static double tap_weight(const struct resize *r, double distance)
{
	if (r->mode == RESIZE_CUBIC)
		return cubic_weight(r->cubic_a, distance);
	return fabs(distance) < 1 ? 1 - fabs(distance) : 0;
}

static int64_t clamp_index(double x, int64_t in)
{
	return !(x > 0) ? 0 : x >= (double)(in - 1) ? in - 1 : (int64_t)x;
}

/* The taps of output position @i, whose place in the input is @x. @shrink: the kernel is stretched by 1 / shrink. */
static void fill_position(const struct resize *r, struct taps *t, int64_t i, int64_t in, double x, double scale,
			  double shrink)
{
	int64_t *index = t->index + i * t->count;
	double *weight = t->weight + i * t->count, first, sum = 0;

	if (r->mode == RESIZE_NEAREST) {
		index[0] = clamp_index(round_nearest(r->nearest, x, scale), in);
		weight[0] = 1;
		return;
	}
	first = floor(x) + floor(-(r->mode == RESIZE_CUBIC ? 2.0 : 1.0) / shrink) + 1;
	for (int64_t j = 0; j < t->count; j++) {
		double at = first + (double)j;

		weight[j] = tap_weight(r, (at - x) * shrink);
		if (r->exclude_outside && (at < 0 || at > (double)(in - 1)))
			weight[j] = 0;
		index[j] = clamp_index(at, in);
		sum += weight[j];
	}
	if ((r->exclude_outside || shrink < 1) && sum != 0)
		for (int64_t j = 0; j < t->count; j++)
			weight[j] /= sum;
}

static double shrink_of(const struct resize *r, int axis)
{
	return r->antialias && r->scale[axis] < 1 ? r->scale[axis] : 1;
}

/* The size of an axis's table, and *bytes that it takes: a multiple of 8. */
static int size_taps(const struct resize *r, int axis, int64_t in, struct taps *t, size_t *bytes)
{
	double reach = r->mode == RESIZE_CUBIC ? 2 : 1, wide = ceil(reach / shrink_of(r, axis));
	int64_t total;

	t->positions = r->dims[axis];
	t->identity = in == t->positions && r->scale[axis] == 1 && r->coordinates != COORD_TF_CROP_AND_RESIZE;
	if (r->mode == RESIZE_NEAREST)
		t->count = 1;
	else if (wide <= (double)in * 2 + 4)
		t->count = 2 * (int64_t)wide;
	else
		return -EINVAL;
	if (__builtin_mul_overflow(t->positions, t->count + 1, &total) || total > PTRDIFF_MAX / 64)
		return -EOVERFLOW;
	*bytes = (size_t)(t->positions * t->count) * (sizeof(*t->index) + sizeof(*t->weight)) +
		 ((size_t)t->positions + 7) / 8 * 8;
	return 0;
}

static void fill_taps(const struct resize *r, int axis, int64_t in, void *memory, struct taps *t)
{
	double scale = r->scale[axis];

	t->index = memory;
	t->weight = (double *)(t->index + t->positions * t->count);
	t->outside = (bool *)(t->weight + t->positions * t->count);
	for (int64_t i = 0; i < t->positions; i++) {
		double x = source_position(r, axis, in, (double)i);

		t->outside[i] = r->coordinates == COORD_TF_CROP_AND_RESIZE && !(x >= 0 && x <= (double)(in - 1));
		t->any_outside |= t->outside[i];
		fill_position(r, t, i, in, isfinite(x) ? x : 0, scale, shrink_of(r, axis));
	}
}

/* All axes' tables, in memory of the thread's. */
static int make_taps(struct op_call *call, const struct resize *r, struct taps *taps)
{
	const struct tensor *in = call->inputs[0];
	size_t bytes[TENSOR_MAX_RANK], total = 0;
	char *memory;

	for (int i = 0; i < in->rank; i++) {
		int err;

		if (in->dims[i] == 0)
			return op_fail(call, -EINVAL, "%s: axis %d of input 0 is empty", call->node->op_type, i);
		err = size_taps(r, i, in->dims[i], &taps[i], &bytes[i]);
		if (err)
			return op_fail(call, err, "%s: no table for axis %d: %" PRId64 " elements from %" PRId64,
				       call->node->op_type, i, r->dims[i], in->dims[i]);
		total += bytes[i];
	}
	memory = scratch_get_for(SCRATCH_IMAGE, total);
	if (!memory)
		return op_fail(call, -ENOMEM, "%s: no memory for tables of %zu bytes", call->node->op_type, total);
	for (int i = 0; i < in->rank; memory += bytes[i++])
		fill_taps(r, i, in->dims[i], memory, &taps[i]);
	return 0;
}

/* ---- nearest ---- */

struct nearest_job {
	int rank;
	size_t size;
	const struct taps *taps;
	const int64_t *in_dims;
	const char *in;
	char *out;
};

static void nearest_row(const struct nearest_job *job, char *out, const char *in)
{
	const struct taps *t = &job->taps[job->rank - 1];

	if (t->identity) {
		memcpy(out, in, t->positions * job->size);
	} else if (job->size == 4) {
		for (int64_t i = 0; i < t->positions; i++)
			((uint32_t *)out)[i] = ((const uint32_t *)in)[t->index[i]];
	} else if (job->size == 1) {
		for (int64_t i = 0; i < t->positions; i++)
			out[i] = in[t->index[i]];
	} else {
		for (int64_t i = 0; i < t->positions; i++)
			memcpy(out + i * job->size, in + t->index[i] * job->size, job->size);
	}
}

static void nearest_rows(void *arg, int64_t begin, int64_t end)
{
	const struct nearest_job *job = arg;
	int last = job->rank - 1;
	size_t out_row = job->taps[last].positions * job->size, in_row = job->in_dims[last] * job->size;
	int64_t before = -1;

	for (int64_t row = begin; row < end; row++) {
		char *out = job->out + row * out_row;
		int64_t rest = row, from = 0, stride = 1;

		for (int i = last - 1; i >= 0; i--) {
			from += job->taps[i].index[rest % job->taps[i].positions] * stride;
			rest /= job->taps[i].positions;
			stride *= job->in_dims[i];
		}
		/* An enlarged image repeats rows. */
		if (from == before)
			memcpy(out, out - out_row, out_row);
		else
			nearest_row(job, out, job->in + from * in_row);
		before = from;
	}
}

static void resize_nearest(struct op_call *call, const struct taps *taps)
{
	const struct tensor *in = call->inputs[0];
	struct nearest_job job = {in->rank, dtype_size(in->dtype), taps, in->dims, in->data, call->outputs[0]->data};
	int64_t width = taps[in->rank - 1].positions;

	parallel_range(call->pool, tensor_count(call->outputs[0]) / width, PARALLEL_GRAIN / width + 1, nearest_rows,
		       &job);
}

/* ---- linear and cubic: one pass an axis over [outer, axis, inner] ---- */

struct pass_job {
	const struct taps *taps;
	int64_t in_length, inner;
	const void *in;
	void *out;
};

/* Sums of @inner-long rows; a line is one output position of the axis. Where inner is 1 it is the whole axis. */
#define PASS(name, T)                                                                                                 \
	CPU_CLONES static void add_row_##name(int64_t n, T *restrict out, const T *restrict in, T weight, bool first) \
	{                                                                                                             \
		if (first) {                                                                                          \
			for (int64_t i = 0; i < n; i++)                                                               \
				out[i] = weight * in[i];                                                              \
		} else {                                                                                              \
			for (int64_t i = 0; i < n; i++)                                                               \
				out[i] += weight * in[i];                                                             \
		}                                                                                                     \
	}                                                                                                             \
	CPU_CLONES static void last_axis_##name(const struct taps *t, T *restrict out, const T *restrict in)          \
	{                                                                                                             \
		const int64_t *index = t->index;                                                                      \
		const double *weight = t->weight;                                                                     \
                                                                                                                      \
		if (t->count == 2) {                                                                                  \
			for (int64_t i = 0; i < t->positions; i++)                                                    \
				out[i] = (T)weight[2 * i] * in[index[2 * i]] +                                        \
					 (T)weight[2 * i + 1] * in[index[2 * i + 1]];                                 \
			return;                                                                                       \
		}                                                                                                     \
		for (int64_t i = 0; i < t->positions; i++, index += t->count, weight += t->count) {                   \
			T sum = 0;                                                                                    \
                                                                                                                      \
			for (int64_t j = 0; j < t->count; j++)                                                        \
				sum += (T)weight[j] * in[index[j]];                                                   \
			out[i] = sum;                                                                                 \
		}                                                                                                     \
	}                                                                                                             \
	static void pass_##name(void *arg, int64_t begin, int64_t end)                                                \
	{                                                                                                             \
		const struct pass_job *job = arg;                                                                     \
		const struct taps *t = job->taps;                                                                     \
                                                                                                                      \
		for (int64_t line = begin; line < end && job->inner == 1; line++)                                     \
			last_axis_##name(t, (T *)job->out + line * t->positions,                                      \
					 (const T *)job->in + line * job->in_length);                                 \
		for (int64_t line = begin; line < end && job->inner > 1; line++) {                                    \
			int64_t i = line % t->positions;                                                              \
			const T *in = (const T *)job->in + line / t->positions * job->in_length * job->inner;         \
			T *out = (T *)job->out + line * job->inner;                                                   \
                                                                                                                      \
			for (int64_t j = 0; j < t->count; j++)                                                        \
				add_row_##name(job->inner, out, in + t->index[i * t->count + j] * job->inner,         \
					       (T)t->weight[i * t->count + j], j == 0);                               \
		}                                                                                                     \
	}
PASS(f32, float)
PASS(f64, double)

/* Elements of the largest image between passes: the input itself is one where it is of another type. -1: too many. */
static int64_t largest_image(const struct tensor *in, const struct taps *taps)
{
	int64_t count = tensor_count(in), largest = count;

	for (int axis = 0; axis < in->rank; axis++) {
		if (__builtin_mul_overflow(count / in->dims[axis], taps[axis].positions, &count) ||
		    count > PTRDIFF_MAX / 32)
			return -1;
		largest = count > largest ? count : largest;
	}
	return largest;
}

/*
 * Apply every axis's table in turn, from @from to one of two halves of @memory (@half bytes each; @from may be the first), and so on.
 * Returns where the result is.
 */
static void *resize_smooth(struct op_call *call, const struct taps *taps, enum dtype type, void *from, char *memory,
			   size_t half)
{
	const struct tensor *in = call->inputs[0];
	int64_t dims[TENSOR_MAX_RANK];

	memcpy(dims, in->dims, sizeof(dims));
	for (int axis = 0; axis < in->rank; axis++) {
		struct pass_job job = {.taps = &taps[axis], .in_length = dims[axis], .in = from};
		int64_t width;

		if (taps[axis].identity)
			continue;
		dims[axis] = taps[axis].positions;
		job.inner = dims_count(in->rank - axis - 1, dims + axis + 1);
		job.out = from == memory ? memory + half : memory;
		width = job.inner == 1 ? taps[axis].positions : job.inner;
		parallel_range(call->pool, dims_count(in->rank, dims) / width, PARALLEL_GRAIN / 4 / width + 1,
			       type == DTYPE_F32 ? pass_f32 : pass_f64, &job);
		from = job.out;
	}
	return from;
}

/* Positions outside the region of interest on any axis get the extrapolation value. */
static void extrapolate(struct op_call *call, const struct taps *taps, double value)
{
	struct tensor *out = call->outputs[0];
	size_t size = dtype_size(out->dtype);
	uint64_t bits = 0;

	cast_row(DTYPE_F64, out->dtype)(1, &value, &bits);
	for (int64_t i = 0; i < tensor_count(out); i++) {
		bool outside = false;
		int64_t rest = i;

		for (int d = out->rank - 1; d >= 0; d--) {
			outside |= taps[d].outside[rest % out->dims[d]];
			rest /= out->dims[d];
		}
		if (outside)
			memcpy((char *)out->data + i * size, &bits, size);
	}
}

/* From the working type back; integers round to nearest, halves to even, and saturate. */
static void store_result(struct tensor *out, enum dtype type, void *work)
{
	int64_t count = tensor_count(out);

	if (dtype_is_integer(out->dtype))
		for (int64_t i = 0; i < count; i++)
			((double *)work)[i] = rint(((double *)work)[i]);
	if (type == out->dtype)
		memcpy(out->data, work, tensor_bytes(out));
	else
		cast_row(type, out->dtype)(count, work, out->data);
}

static int resize_values(struct op_call *call, const struct resize *r, const struct taps *taps)
{
	const struct tensor *in = call->inputs[0];
	enum dtype type = in->dtype == DTYPE_F32 || dtype_is_half(in->dtype) ? DTYPE_F32 : DTYPE_F64;
	int64_t count;
	size_t half;
	void *from = in->data;
	char *memory;

	if (r->mode == RESIZE_NEAREST) {
		resize_nearest(call, taps);
		return 0;
	}
	if (in->dtype != type && !(cast_row(in->dtype, type) && cast_row(type, in->dtype)))
		return op_fail(call, -ENOTSUP, "%s: mode linear or cubic on elements of type %s", call->node->op_type,
			       dtype_name(in->dtype));
	count = largest_image(in, taps);
	half = ((size_t)count * dtype_size(type) + 63) / 64 * 64;
	memory = count < 0 ? NULL : scratch_get_for(SCRATCH_ADDEND, 2 * half);
	if (!memory)
		return op_fail(call, -ENOMEM, "%s: no memory for images between the axes", call->node->op_type);
	if (in->dtype != type) {
		cast_row(in->dtype, type)(tensor_count(in), in->data, memory);
		from = memory;
	}
	store_result(call->outputs[0], type, resize_smooth(call, taps, type, from, memory, half));
	return 0;
}

/* With scales and sizes settled: shape the output, make the tables, run. */
static int resize(struct op_call *call, const struct resize *r)
{
	const struct tensor *in = call->inputs[0];
	struct taps taps[TENSOR_MAX_RANK] = {0};
	bool any_outside = false, same = true;
	int err;

	err = op_output(call, 0, in->dtype, in->rank, r->dims);
	if (err || tensor_count(call->outputs[0]) == 0)
		return err;
	err = make_taps(call, r, taps);
	for (int i = 0; i < in->rank; i++) {
		any_outside |= taps[i].any_outside;
		same &= taps[i].identity;
	}
	if (!err)
		err = same ? op_output_copy(call, 0, in, in->rank, in->dims) : resize_values(call, r, taps);
	if (!err && any_outside) {
		if (cast_row(DTYPE_F64, in->dtype))
			extrapolate(call, taps, r->extrapolation);
		else
			err = op_fail(call, -ENOTSUP, "%s: extrapolation on elements of type %s", call->node->op_type,
				      dtype_name(in->dtype));
	}
	if (!err && in->dtype == DTYPE_STRING && !same)
		err = strings_own(call, call->outputs[0]);
	return err;
}

/* ---- reading the node ---- */

/* The index of the attribute's value among @names; -1 for none of them. */
static int choose(const struct op_node *node, const char *attr, const char *fallback, const char *const *names,
		  size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (op_attr_is(node, attr, fallback, names[i]))
			return i;
	return -1;
}

static int read_mode(struct op_call *call, struct resize *r)
{
	static const char *const names[] = {"nearest", "linear", "cubic", "bilinear"};
	int mode = choose(call->node, "mode", "nearest", names, 4);

	if (mode < 0)
		return op_fail(call, -EINVAL, "%s: attribute mode is none of nearest, linear, cubic",
			       call->node->op_type);
	r->mode = mode == 3 ? RESIZE_LINEAR : (enum resize_mode)mode;
	return 0;
}

static int read_attributes(struct op_call *call, struct resize *r)
{
	static const char *const coordinates[] = {
		"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
		"asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize",
	};
	static const char *const nearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
	const struct op_node *node = call->node;
	int coordinate = choose(node, "coordinate_transformation_mode", "half_pixel", coordinates, 7);
	int rounding = choose(node, "nearest_mode", "round_prefer_floor", nearest, 4);

	if (coordinate < 0 || rounding < 0)
		return op_fail(call, -EINVAL, "Resize: attribute %s has an unknown value",
			       coordinate < 0 ? "coordinate_transformation_mode" : "nearest_mode");
	r->coordinates = coordinate;
	r->nearest = rounding;
	r->cubic_a = op_attr_float(node, "cubic_coeff_a", -0.75f);
	r->exclude_outside = op_attr_int(node, "exclude_outside", 0) != 0;
	r->antialias = op_attr_int(node, "antialias", 0) != 0;
	r->extrapolation = op_attr_float(node, "extrapolation_value", 0);
	return read_mode(call, r);
}

/* Output sizes from the scales: floor(size * scale), in float as the scales are. */
static int sizes_from_scales(struct op_call *call, struct resize *r)
{
	const struct tensor *in = call->inputs[0];

	for (int i = 0; i < in->rank; i++) {
		float size = floorf((float)in->dims[i] * (float)r->scale[i]);

		if (!(r->scale[i] > 0) || !(size < 0x1p62f))
			return op_fail(call, -EINVAL, "%s: scale %g of axis %d", call->node->op_type, r->scale[i], i);
		r->dims[i] = size;
	}
	return 0;
}

/* Which axis entry @k of roi, scales and sizes is about (attribute axes, opset 18). */
static int read_axes(struct op_call *call, int *count, int64_t *axes)
{
	const struct tensor *in = call->inputs[0];
	bool seen[TENSOR_MAX_RANK] = {0};
	const int64_t *given;
	size_t num_given = op_attr_ints(call->node, "axes", &given);

	*count = num_given && num_given <= (size_t)in->rank ? (int)num_given : in->rank;
	if (num_given > (size_t)in->rank)
		return op_fail(call, -EINVAL, "Resize: %zu axes for rank %d", num_given, in->rank);
	for (int k = 0; k < *count; k++) {
		axes[k] = num_given ? given[k] : k;
		if (normalize_axis(&axes[k], in->rank) || seen[axes[k]])
			return op_fail(call, -EINVAL, "Resize: attribute axes is out of range or repeats for rank %d",
				       in->rank);
		seen[axes[k]] = true;
	}
	return 0;
}

/* Sizes (input 3), also as a box that keeps the aspect ratio (opset 18). */
static int read_sizes(struct op_call *call, const struct tensor *sizes, int count, const int64_t *axes,
		      struct resize *r)
{
	const struct tensor *in = call->inputs[0];
	bool larger = op_attr_is(call->node, "keep_aspect_ratio_policy", "stretch", "not_larger");
	bool smaller = op_attr_is(call->node, "keep_aspect_ratio_policy", "stretch", "not_smaller");
	double common = larger ? INFINITY : 0;

	for (int k = 0; k < count; k++) {
		int64_t size = tensor_get_s64(sizes, k), from = in->dims[axes[k]];
		double scale = from > 0 ? (double)size / (double)from : 1;

		if (size < 0 || (size == 0 && from > 0 && (larger || smaller)))
			return op_fail(call, -EINVAL, "Resize: size %" PRId64 " (input 3) of axis %" PRId64, size,
				       axes[k]);
		common = larger ? fmin(common, scale) : fmax(common, scale);
		r->scale[axes[k]] = scale;
		r->dims[axes[k]] = size;
	}
	for (int k = 0; (larger || smaller) && k < count; k++) {
		double size = floor((double)in->dims[axes[k]] * common + 0.5);

		if (!(size < 0x1p62))
			return op_fail(call, -EINVAL, "Resize: axis %" PRId64 " grows beyond all bounds", axes[k]);
		r->scale[axes[k]] = common;
		r->dims[axes[k]] = size;
	}
	return 0;
}

/* roi (input 1): starts of the axes, then ends; only tf_crop_and_resize looks at it. */
static int read_roi(struct op_call *call, int count, const int64_t *axes, struct resize *r)
{
	const struct tensor *roi = op_input(call, 1);

	if (r->coordinates != COORD_TF_CROP_AND_RESIZE)
		return 0;
	if (!roi || tensor_count(roi) != 2 * count || !dtype_is_float(roi->dtype))
		return op_fail(call, -EINVAL, "Resize: roi (input 1) does not hold start and end of %d axes", count);
	for (int i = 0; i < call->inputs[0]->rank; i++)
		r->roi_end[i] = 1;
	for (int k = 0; k < count; k++) {
		r->roi_start[axes[k]] = tensor_get_f64(roi, k);
		r->roi_end[axes[k]] = tensor_get_f64(roi, count + k);
	}
	return 0;
}

static int run_resize(struct op_call *call)
{
	const struct tensor *in = call->inputs[0], *scales = op_input(call, 2), *sizes = op_input(call, 3);
	struct resize r = {0};
	int64_t axes[TENSOR_MAX_RANK];
	int count, err;

	if (!op_wanted(call, 0))
		return 0;
	/* Exporters give an empty tensor for what they omit. */
	if (scales && tensor_count(scales) == 0)
		scales = NULL;
	if (sizes && tensor_count(sizes) == 0)
		sizes = NULL;
	if ((scales != NULL) == (sizes != NULL) && in->rank > 0)
		return op_fail(call, -EINVAL, "Resize: needs scales (input 2) or sizes (input 3), one of them");
	err = read_attributes(call, &r);
	if (!err)
		err = read_axes(call, &count, axes);
	if (err)
		return err;
	for (int i = 0; i < in->rank; i++) {
		r.scale[i] = 1;
		r.dims[i] = in->dims[i];
	}
	if ((scales && (tensor_count(scales) != count || !dtype_is_float(scales->dtype))) ||
	    (sizes && (tensor_count(sizes) != count || !dtype_is_integer(sizes->dtype))))
		return op_fail(call, -EINVAL, "Resize: %s does not have one number for each of %d axes",
			       scales ? "scales (input 2)" : "sizes (input 3)", count);
	for (int k = 0; scales && k < count; k++)
		r.scale[axes[k]] = tensor_get_f64(scales, k);
	err = sizes ? read_sizes(call, sizes, count, axes, &r) : sizes_from_scales(call, &r);
	if (!err)
		err = read_roi(call, count, axes, &r);
	if (err)
		return err;
	return in->rank == 0 ? op_output_copy(call, 0, in, 0, NULL) : resize(call, &r);
}

/* Upsample 1: an image [batch, channels, height, width] and a scale for each side. */
static int upsample_image(struct op_call *call, struct resize *r)
{
	const struct tensor *in = call->inputs[0];
	int err;

	if (in->rank != 4)
		return op_fail(call, -EINVAL, "Upsample: input 0 has rank %d, not 4", in->rank);
	r->scale[0] = r->scale[1] = 1;
	r->scale[2] = op_attr_float(call->node, "height_scale", 0);
	r->scale[3] = op_attr_float(call->node, "width_scale", 0);
	err = sizes_from_scales(call, r);
	return err ? err : resize(call, r);
}

/* Resize 10 and Upsample 9 take the scales as input 1, Upsample 7 as an attribute; all are asymmetric. */
static int run_scales_only(struct op_call *call)
{
	const struct tensor *in = call->inputs[0], *scales = op_input(call, 1);
	const struct attr *attr = op_attr(call->node, "scales");
	bool upsample = call->node->op_type[0] == 'U';
	struct resize r = {.coordinates = COORD_ASYMMETRIC, .nearest = upsample ? NEAREST_FLOOR : NEAREST_OLD};
	int err;

	if (!op_wanted(call, 0))
		return 0;
	r.cubic_a = -0.75;
	err = read_mode(call, &r);
	if (err)
		return err;
	if (call->node->opset < 7)
		return upsample_image(call, &r);
	if (scales ? tensor_count(scales) != in->rank || !dtype_is_float(scales->dtype)
		   : !attr || attr->type != ATTR_FLOATS || attr->count != (size_t)in->rank)
		return op_fail(call, -EINVAL, "%s: scales are not one float for each of %d axes", call->node->op_type,
			       in->rank);
	for (int i = 0; i < in->rank; i++)
		r.scale[i] = scales ? tensor_get_f64(scales, i) : (double)attr->floats[i];
	err = sizes_from_scales(call, &r);
	if (err)
		return err;
	return in->rank == 0 ? op_output_copy(call, 0, in, 0, NULL) : resize(call, &r);
}

const struct op_kernel ops_resize[] = {
	{"", "Resize", 10, 10, 2, 2, 1, 1, run_scales_only},
	{"", "Resize", 11, 0, 1, 4, 1, 1, run_resize},
	{"", "Upsample", 1, 8, 1, 1, 1, 1, run_scales_only},
	{"", "Upsample", 9, 9, 2, 2, 1, 1, run_scales_only},
};
const size_t ops_resize_count = sizeof(ops_resize) / sizeof(ops_resize[0]);
