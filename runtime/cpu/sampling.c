// SPDX-License-Identifier: MIT
/*
 * Operators that read an image at positions that are data: GridSample and RoiAlign.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/strided_copy.h"
#include "runtime/cpu/work_type.h"

/* ---- GridSample ---- */

enum grid_mode { GRID_LINEAR, GRID_NEAREST, GRID_CUBIC };
enum grid_padding { GRID_ZEROS, GRID_BORDER, GRID_REFLECTION };

#define GRID_MAX_SPATIAL 3
#define GRID_MAX_TAPS 4
#define GRID_MAX_CORNERS 64

/*
 * struct grid_job - images [batch, channels, spatial…] read at [batch, positions, spatial]
 * The grid names the innermost axis first (x, y, z).
 */
struct grid_job {
	enum grid_mode mode;
	enum grid_padding padding;
	bool align;
	int spatial;
	int64_t channels, positions, image;
	int64_t dims[GRID_MAX_SPATIAL], strides[GRID_MAX_SPATIAL];
	const double *grid;
	const void *in;
	void *out;
};

struct axis_taps {
	int count;
	int64_t index[GRID_MAX_TAPS]; /* -1: outside, reads as zero */
	double weight[GRID_MAX_TAPS];
};

/* Fold @x into [lo, hi] as between two mirrors. */
static double reflect(double x, double lo, double hi)
{
	double range = hi - lo, turns;

	if (!(range > 0))
		return lo;
	x = fabs(x - lo);
	turns = floor(x / range);
	x -= turns * range;
	return fmod(turns, 2) != 0 ? hi - x : lo + x;
}

/* A whole position of an axis after padding; -1 where it reads as zero. */
static int64_t padded_index(const struct grid_job *job, double x, int64_t length)
{
	double last = (double)(length - 1);

	if (x >= 0 && x <= last)
		return (int64_t)x;
	switch (job->padding) {
	case GRID_BORDER:
		return x > 0 ? length - 1 : 0;
	case GRID_REFLECTION:
		x = job->align ? reflect(x, 0, last) : reflect(x, -0.5, last + 0.5);
		x = rint(x);
		return x > last ? length - 1 : x > 0 ? (int64_t)x : 0;
	default:
		return -1;
	}
}

/* Keys's kernel with a = -0.75, for the four positions around one at @t past the second. */
static void cubic_weights(double t, double *weight)
{
	const double a = -0.75;
	double d[4] = {1 + t, t, 1 - t, 2 - t};

	for (int i = 0; i < 4; i++)
		weight[i] = d[i] <= 1 ? ((a + 2) * d[i] - (a + 3)) * d[i] * d[i] + 1
				      : ((a * d[i] - 5 * a) * d[i] + 8 * a) * d[i] - 4 * a;
}

/* Where one grid coordinate in [-1, 1] reads on an axis of @length. */
static void find_taps(const struct grid_job *job, double coordinate, int64_t length, struct axis_taps *taps)
{
	double x =
		job->align ? (coordinate + 1) / 2 * (double)(length - 1) : ((coordinate + 1) * (double)length - 1) / 2;
	double first;

	/* Also keeps the conversions to integers defined, for NaN and infinity from a hostile grid. */
	if (!(fabs(x) < 0x1p50))
		x = -0x1p20;
	if (job->mode == GRID_NEAREST) {
		taps->count = 1;
		taps->weight[0] = 1;
		/* The standard's cases round halves to even, in images and in volumes, as PyTorch does. */
		taps->index[0] = padded_index(job, rint(x), length);
		return;
	}
	if (job->mode == GRID_LINEAR && job->padding == GRID_BORDER)
		x = x < 0 ? 0 : x > (double)(length - 1) ? (double)(length - 1) : x;
	else if (job->mode == GRID_LINEAR && job->padding == GRID_REFLECTION)
		x = job->align ? reflect(x, 0, (double)(length - 1)) : reflect(x, -0.5, (double)length - 0.5);
	taps->count = job->mode == GRID_CUBIC ? 4 : 2;
	first = floor(x) - (job->mode == GRID_CUBIC ? 1 : 0);
	if (job->mode == GRID_CUBIC) {
		cubic_weights(x - floor(x), taps->weight);
	} else {
		taps->weight[1] = x - first;
		taps->weight[0] = 1 - taps->weight[1];
	}
	for (int i = 0; i < taps->count; i++)
		taps->index[i] = padded_index(job, first + i, length);
}

/* The product of the axes' taps as offsets and weights; returns how many count. */
static int multiply_taps(const struct grid_job *job, const struct axis_taps *taps, int64_t *offset, double *weight)
{
	int total = 1, used = 0;

	for (int d = 0; d < job->spatial; d++)
		total *= taps[d].count;
	for (int i = 0; i < total; i++) {
		int rest = i;
		bool outside = false;

		offset[used] = 0;
		weight[used] = 1;
		for (int d = job->spatial - 1; d >= 0; d--) {
			int tap = rest % taps[d].count;

			rest /= taps[d].count;
			outside |= taps[d].index[tap] < 0;
			offset[used] += taps[d].index[tap] * job->strides[d];
			weight[used] *= taps[d].weight[tap];
		}
		used += !outside;
	}
	return used;
}

/* All taps of position @p of the grid; returns how many count. */
static int find_position(const struct grid_job *job, int64_t p, int64_t *offset, double *weight)
{
	struct axis_taps taps[GRID_MAX_SPATIAL];

	for (int d = 0; d < job->spatial; d++)
		find_taps(job, job->grid[p * job->spatial + job->spatial - 1 - d], job->dims[d], &taps[d]);
	return multiply_taps(job, taps, offset, weight);
}

#define SAMPLE_POSITIONS(T)                                                                                    \
	static void sample_##T(void *arg, int64_t begin, int64_t end)                                          \
	{                                                                                                      \
		const struct grid_job *job = arg;                                                              \
                                                                                                               \
		for (int64_t p = begin; p < end; p++) {                                                        \
			int64_t batch = p / job->positions, at = p % job->positions, offset[GRID_MAX_CORNERS]; \
			const T *image = (const T *)job->in + batch * job->channels * job->image;              \
			T *out = (T *)job->out + batch * job->channels * job->positions + at;                  \
			double weight[GRID_MAX_CORNERS];                                                       \
			int used = find_position(job, p, offset, weight);                                      \
                                                                                                               \
			for (int64_t c = 0; c < job->channels; c++) {                                          \
				T sum = 0;                                                                     \
                                                                                                               \
				for (int i = 0; i < used; i++)                                                 \
					sum += (T)weight[i] * image[c * job->image + offset[i]];               \
				out[c * job->positions] = sum;                                                 \
			}                                                                                      \
		}                                                                                              \
	}
SAMPLE_POSITIONS(float)
SAMPLE_POSITIONS(double)

/* The one element that a nearest sample is, of any type; outside it is zero, or the empty string. */
static void sample_nearest(struct grid_job *job, const struct tensor *in, struct tensor *out)
{
	size_t size = dtype_size(in->dtype);

	memset(out->data, 0, tensor_bytes(out));
	for (int64_t p = 0; p < out->dims[0] * job->positions; p++) {
		int64_t batch = p / job->positions, at = p % job->positions, offset[GRID_MAX_CORNERS];
		double weight[GRID_MAX_CORNERS];

		if (!find_position(job, p, offset, weight))
			continue;
		for (int64_t c = batch * job->channels; c < (batch + 1) * job->channels; c++)
			memcpy((char *)out->data + (size_t)(c * job->positions + at) * size,
			       (const char *)in->data + (size_t)(c * job->image + offset[0]) * size, size);
	}
}

static int grid_attributes(struct op_call *call, struct grid_job *job)
{
	const struct op_node *node = call->node;

	/* Opset 20 renamed bilinear and bicubic. */
	if (op_attr_is(node, "mode", "linear", "linear") || op_attr_is(node, "mode", "linear", "bilinear"))
		job->mode = GRID_LINEAR;
	else if (op_attr_is(node, "mode", "linear", "cubic") || op_attr_is(node, "mode", "linear", "bicubic"))
		job->mode = GRID_CUBIC;
	else if (op_attr_is(node, "mode", "linear", "nearest"))
		job->mode = GRID_NEAREST;
	else
		return op_fail(call, -EINVAL, "GridSample: attribute mode is none of linear, nearest, cubic");
	if (op_attr_is(node, "padding_mode", "zeros", "zeros"))
		job->padding = GRID_ZEROS;
	else if (op_attr_is(node, "padding_mode", "zeros", "border"))
		job->padding = GRID_BORDER;
	else if (op_attr_is(node, "padding_mode", "zeros", "reflection"))
		job->padding = GRID_REFLECTION;
	else
		return op_fail(call, -EINVAL,
			       "GridSample: attribute padding_mode is none of zeros, border, reflection");
	job->align = op_attr_int(node, "align_corners", 0) != 0;
	return 0;
}

static int grid_shapes(struct op_call *call, struct grid_job *job, int64_t *dims)
{
	const struct tensor *in = call->inputs[0], *grid = call->inputs[1];

	job->spatial = in->rank - 2;
	if (job->spatial < 1 || job->spatial > GRID_MAX_SPATIAL || grid->rank != in->rank ||
	    grid->dims[grid->rank - 1] != job->spatial || grid->dims[0] != in->dims[0])
		return op_fail(call, -EINVAL, "GridSample: a grid (input 1) of rank %d does not fit input 0 of rank %d",
			       grid->rank, in->rank);
	dims[0] = in->dims[0];
	dims[1] = job->channels = in->dims[1];
	job->positions = 1;
	for (int d = 0; d < job->spatial; d++) {
		job->dims[d] = in->dims[2 + d];
		dims[2 + d] = grid->dims[1 + d];
		if (job->dims[d] == 0)
			return op_fail(call, -EINVAL, "GridSample: axis %d of input 0 is empty", 2 + d);
	}
	job->positions = dims_count(job->spatial, dims + 2);
	job->image = dims_count(job->spatial, job->dims);
	if (job->positions < 0 || job->image < 0)
		return op_fail(call, -EOVERFLOW, "GridSample: the dimensions overflow");
	dense_strides(job->spatial, job->dims, job->strides);
	return 0;
}

/* Nearest samples of a type that is not computed with: moved as they are. */
static int run_grid_moves(struct op_call *call, struct grid_job *job, const int64_t *dims)
{
	const struct tensor *in = call->inputs[0];
	int err;

	if (job->mode != GRID_NEAREST)
		return op_fail(call, -EINVAL, "GridSample: attribute mode is not nearest, and input 0 is %s",
			       dtype_name(in->dtype));
	err = op_output(call, 0, in->dtype, in->rank, dims);
	if (err || tensor_count(call->outputs[0]) == 0)
		return err;
	sample_nearest(job, in, call->outputs[0]);
	return in->dtype == DTYPE_STRING ? strings_own(call, call->outputs[0]) : 0;
}

/* Float types up to 32 bits are computed in float32, all else in float64: integers are truncated, anything but 0 is true. */
static int run_grid_numbers(struct op_call *call, struct grid_job *job, const int64_t *dims)
{
	const struct tensor *in = call->inputs[0];
	enum dtype type = dtype_is_float(in->dtype) && in->dtype != DTYPE_F64 ? DTYPE_F32 : DTYPE_F64;
	struct tensor wide = {0}, work = {0};
	int err = tensor_cast(in, type, &wide);

	if (!err)
		err = tensor_init(&work, type, in->rank, dims);
	if (err)
		op_fail(call, err, "GridSample: no memory for a copy of input 0");
	if (!err) {
		job->in = wide.data;
		job->out = work.data;
		if (tensor_count(&work) > 0)
			parallel_range(call->pool, dims[0] * job->positions,
				       PARALLEL_GRAIN / 16 / (job->channels + 1) + 1,
				       type == DTYPE_F32 ? sample_float : sample_double, job);
		err = op_output_cast(call, 0, in->dtype, &work);
	}
	tensor_finish(&wide);
	tensor_finish(&work);
	return err;
}

/* Real and imaginary parts are channels of their own. */
static int run_grid_complex(struct op_call *call, struct grid_job *job, const int64_t *dims)
{
	const struct tensor *in = call->inputs[0];
	enum dtype part = in->dtype == DTYPE_C64 ? DTYPE_F32 : DTYPE_F64;
	int64_t plane_dims[2] = {2, tensor_count(in)}, result_dims[2] = {2, dims_count(in->rank, dims)};
	int64_t batches = dims[0], size = (int64_t)dtype_size(part);
	struct tensor planes = {0}, results = {0};
	int err = result_dims[1] < 0 ? -EOVERFLOW : tensor_init(&planes, part, 2, plane_dims);

	if (!err)
		err = tensor_init(&results, part, 2, result_dims);
	if (!err)
		err = op_output(call, 0, in->dtype, in->rank, dims);
	for (int64_t i = 0; !err && i < 2 * plane_dims[1]; i++)
		memcpy((char *)planes.data + (i % 2 * plane_dims[1] + i / 2) * size, (char *)in->data + i * size, size);
	for (int k = 0; !err && k < 2 && result_dims[1] > 0; k++) {
		job->in = (char *)planes.data + k * plane_dims[1] * size;
		job->out = (char *)results.data + k * result_dims[1] * size;
		parallel_range(call->pool, batches * job->positions, PARALLEL_GRAIN / 16 / (job->channels + 1) + 1,
			       part == DTYPE_F32 ? sample_float : sample_double, job);
	}
	for (int64_t i = 0; !err && i < 2 * result_dims[1]; i++)
		memcpy((char *)call->outputs[0]->data + i * size,
		       (char *)results.data + (i % 2 * result_dims[1] + i / 2) * size, size);
	tensor_finish(&planes);
	tensor_finish(&results);
	return err;
}

static int run_grid_sample(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	int64_t dims[TENSOR_MAX_RANK];
	struct grid_job job = {0};
	struct tensor grid = {0};
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = grid_attributes(call, &job);
	if (!err)
		err = grid_shapes(call, &job, dims);
	if (!err)
		err = op_input_float(call, 1, DTYPE_F64, &grid);
	if (!err) {
		job.grid = grid.data;
		if (in->dtype == DTYPE_STRING)
			err = run_grid_moves(call, &job, dims);
		else if (in->dtype == DTYPE_C64 || in->dtype == DTYPE_C128)
			err = run_grid_complex(call, &job, dims);
		else if (dtype_is_float(in->dtype) || dtype_is_integer(in->dtype) || in->dtype == DTYPE_BOOL)
			err = run_grid_numbers(call, &job, dims);
		else
			err = op_fail(call, -ENOTSUP, "GridSample: input 0 is %s", dtype_name(in->dtype));
	}
	tensor_finish(&grid);
	return err;
}

/* ---- RoiAlign ---- */

/*
 * struct roi_job - [regions, channels, height, width] from [images, channels, in_height, in_width]
 * @ratio: samples an output cell and axis; 0: as many as the cell has pixels
 * @shift: 0.5 where pixel centres are at half positions (opset 16)
 * @type:  of @in and @out: float32 or float64; in between everything is double
 */
struct roi_job {
	int64_t channels, in_height, in_width, height, width, ratio;
	double scale, shift;
	bool maximum, half_pixel;
	enum dtype type;
	const void *in;
	const double *rois;
	const int64_t *images;
	void *out;
};

/* Element @i of the images. */
static double roi_pixel(const struct roi_job *job, int64_t i)
{
	return job->type == DTYPE_F64 ? ((const double *)job->in)[i] : (double)((const float *)job->in)[i];
}

/* Bilinear sample; positions more than one pixel outside read as zero. The four parts apart, for the maximum. */
static int roi_sample(const struct roi_job *job, double y, double x, int64_t *offset, double *weight)
{
	int64_t y0, x0, y1, x1;
	double fy, fx;

	if (!(y >= -1 && y <= (double)job->in_height && x >= -1 && x <= (double)job->in_width))
		return 0;
	y = y < 0 ? 0 : y > (double)(job->in_height - 1) ? (double)(job->in_height - 1) : y;
	x = x < 0 ? 0 : x > (double)(job->in_width - 1) ? (double)(job->in_width - 1) : x;
	y0 = (int64_t)y;
	x0 = (int64_t)x;
	y1 = y0 + 1 < job->in_height ? y0 + 1 : y0;
	x1 = x0 + 1 < job->in_width ? x0 + 1 : x0;
	fy = y - (double)y0;
	fx = x - (double)x0;
	offset[0] = y0 * job->in_width + x0;
	offset[1] = y0 * job->in_width + x1;
	offset[2] = y1 * job->in_width + x0;
	offset[3] = y1 * job->in_width + x1;
	weight[0] = (1 - fy) * (1 - fx);
	weight[1] = (1 - fy) * fx;
	weight[2] = fy * (1 - fx);
	weight[3] = fy * fx;
	return 4;
}

/* One output cell of one channel: [y, y + cell_y) x [x, x + cell_x) in samples of a regular grid. */
static double roi_cell(const struct roi_job *job, int64_t image, double y, double x, double cell_y, double cell_x,
		       int64_t samples_y, int64_t samples_x)
{
	double sum = 0, most = 0;
	bool first = true;

	for (int64_t i = 0; i < samples_y; i++)
		for (int64_t j = 0; j < samples_x; j++) {
			int64_t offset[4];
			double weight[4];
			int used = roi_sample(job, y + ((double)i + 0.5) * cell_y / (double)samples_y,
					      x + ((double)j + 0.5) * cell_x / (double)samples_x, offset, weight);
			double largest = 0;

			for (int k = 0; k < used; k++) {
				double part = weight[k] * roi_pixel(job, image + offset[k]);

				sum += part;
				largest = k == 0 || part > largest ? part : largest;
			}
			/* The maximum is over weighted corners, as the specification's reference has it. */
			most = first || largest > most ? largest : most;
			first = false;
		}
	return job->maximum ? most : sum / fmax((double)(samples_y * samples_x), 1);
}

static int64_t samples_of(const struct roi_job *job, double cell)
{
	/* A hostile region may be any size: the limit is far above what a real image needs. */
	return job->ratio > 0 ? job->ratio : cell < 1 ? 1 : cell < 4096 ? (int64_t)ceil(cell) : 4096;
}

static void roi_planes(void *arg, int64_t begin, int64_t end)
{
	const struct roi_job *job = arg;

	for (int64_t plane = begin; plane < end; plane++) {
		int64_t region = plane / job->channels, channel = plane % job->channels;
		const double *roi = job->rois + region * 4;
		int64_t image = (job->images[region] * job->channels + channel) * job->in_height * job->in_width;
		int64_t first = plane * job->height * job->width;
		double x = roi[0] * job->scale - job->shift, y = roi[1] * job->scale - job->shift;
		double wide = roi[2] * job->scale - job->shift - x, high = roi[3] * job->scale - job->shift - y;

		if (!job->half_pixel) {
			wide = fmax(wide, 1);
			high = fmax(high, 1);
		}
		wide /= (double)job->width;
		high /= (double)job->height;
		for (int64_t i = 0; i < job->height * job->width; i++) {
			double cell = roi_cell(job, image, y + (double)(i / job->width) * high,
					       x + (double)(i % job->width) * wide, high, wide, samples_of(job, high),
					       samples_of(job, wide));

			if (job->type == DTYPE_F64)
				((double *)job->out)[first + i] = cell;
			else
				((float *)job->out)[first + i] = (float)cell;
		}
	}
}

static int roi_attributes(struct op_call *call, struct roi_job *job)
{
	const struct op_node *node = call->node;
	const char *fallback = node->opset >= 16 ? "half_pixel" : "output_half_pixel";

	job->height = op_attr_int(node, "output_height", 1);
	job->width = op_attr_int(node, "output_width", 1);
	job->ratio = op_attr_int(node, "sampling_ratio", 0);
	job->scale = op_attr_float(node, "spatial_scale", 1);
	job->maximum = op_attr_is(node, "mode", "avg", "max");
	job->half_pixel = op_attr_is(node, "coordinate_transformation_mode", fallback, "half_pixel");
	job->shift = job->half_pixel ? 0.5 : 0;
	if (!job->maximum && !op_attr_is(node, "mode", "avg", "avg"))
		return op_fail(call, -EINVAL, "RoiAlign: attribute mode is neither avg nor max");
	if (job->height < 1 || job->width < 1 || job->ratio < 0 || job->ratio > 4096)
		return op_fail(call, -EINVAL, "RoiAlign: attributes output_height, output_width or sampling_ratio");
	return 0;
}

static int check_regions(struct op_call *call, const struct tensor *images)
{
	const struct tensor *in = call->inputs[0], *rois = call->inputs[1];

	if (in->rank != 4 || rois->rank != 2 || rois->dims[1] != 4 || tensor_count(images) != rois->dims[0] ||
	    (rois->dims[0] > 0 && tensor_count(in) == 0))
		return op_fail(call, -EINVAL, "RoiAlign: regions (input 1) and images (input 2) do not fit input 0");
	for (int64_t i = 0; i < tensor_count(images); i++) {
		int64_t image = ((int64_t *)images->data)[i];

		if (image < 0 || image >= in->dims[0])
			return op_fail(call, -EINVAL, "RoiAlign: image %" PRId64 " (input 2) of %" PRId64, image,
				       in->dims[0]);
	}
	return 0;
}

static int run_roi_align(struct op_call *call)
{
	struct tensor in = {0}, rois = {0}, images = {0}, work = {0};
	struct roi_job job = {0};
	int64_t dims[4];
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = roi_attributes(call, &job);
	if (!err)
		err = op_input_s64(call, 2, false, &images);
	if (!err)
		err = check_regions(call, &images);
	job.type = call->inputs[0]->dtype == DTYPE_F64 ? DTYPE_F64 : DTYPE_F32;
	if (!err)
		err = op_input_float(call, 0, job.type, &in);
	if (!err)
		err = op_input_float(call, 1, DTYPE_F64, &rois);
	if (!err) {
		memcpy(dims, (int64_t[]){rois.dims[0], in.dims[1], job.height, job.width}, sizeof(dims));
		err = tensor_init(&work, job.type, 4, dims);
	}
	if (!err) {
		job.channels = in.dims[1];
		job.in_height = in.dims[2];
		job.in_width = in.dims[3];
		job.in = in.data;
		job.rois = rois.data;
		job.images = images.data;
		job.out = work.data;
		if (tensor_count(&work) > 0)
			parallel_range(call->pool, dims[0] * dims[1], 1, roi_planes, &job);
		err = op_output_cast(call, 0, call->inputs[0]->dtype, &work);
	}
	tensor_finish(&in);
	tensor_finish(&rois);
	tensor_finish(&images);
	tensor_finish(&work);
	return err;
}

const struct op_kernel ops_sampling[] = {
	{"", "GridSample", 16, 0, 2, 2, 1, 1, run_grid_sample},
	{"", "RoiAlign", 10, 0, 3, 3, 1, 1, run_roi_align},
};
const size_t ops_sampling_count = sizeof(ops_sampling) / sizeof(ops_sampling[0]);
