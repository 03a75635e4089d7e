// SPDX-License-Identifier: MIT
/*
 * MaxRoiPool: the maximum of every cell of a grid over regions of images (Girshick, "Fast R-CNN", 2015, section 2.1).
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/work_type.h"

/* struct roi_pool - regions are [image, x1, y1, x2, y2], both ends inside, scaled to pixels */
struct roi_pool {
	int64_t channels, in_height, in_width, height, width;
	double scale;
	const double *in, *rois;
	double *out;
};

static int64_t clip(double x, int64_t limit)
{
	return x > 0 ? (x < (double)limit ? (int64_t)x : limit) : 0;
}

/* Cell @i of @count over an axis: the region's pixels from @first, @size of them. */
static void cell_range(double first, double size, int64_t i, int64_t count, int64_t limit, int64_t *begin, int64_t *end)
{
	double cell = size / (double)count;

	*begin = clip(floor((double)i * cell) + first, limit);
	*end = clip(ceil((double)(i + 1) * cell) + first, limit);
}

/* A cell without a pixel is 0. */
static double cell_maximum(const struct roi_pool *r, const double *image, int64_t y0, int64_t y1, int64_t x0,
			   int64_t x1)
{
	double most = y0 < y1 && x0 < x1 ? -INFINITY : 0;

	for (int64_t y = y0; y < y1; y++)
		for (int64_t x = x0; x < x1; x++)
			most = image[y * r->in_width + x] > most ? image[y * r->in_width + x] : most;
	return most;
}

static void pool_planes(void *arg, int64_t begin, int64_t end)
{
	const struct roi_pool *r = arg;

	for (int64_t plane = begin; plane < end; plane++) {
		const double *roi = r->rois + plane / r->channels * 5;
		int64_t channel = plane % r->channels;
		const double *image = r->in + ((int64_t)roi[0] * r->channels + channel) * r->in_height * r->in_width;
		double x = round(roi[1] * r->scale), y = round(roi[2] * r->scale);
		double wide = fmax(round(roi[3] * r->scale) - x + 1, 1),
		       high = fmax(round(roi[4] * r->scale) - y + 1, 1);
		double *out = r->out + plane * r->height * r->width;

		for (int64_t i = 0; i < r->height * r->width; i++) {
			int64_t y0, y1, x0, x1;

			cell_range(y, high, i / r->width, r->height, r->in_height, &y0, &y1);
			cell_range(x, wide, i % r->width, r->width, r->in_width, &x0, &x1);
			out[i] = cell_maximum(r, image, y0, y1, x0, x1);
		}
	}
}

static int check_regions(struct op_call *call, const double *rois)
{
	const struct tensor *in = call->inputs[0];

	for (int64_t i = 0; i < call->inputs[1]->dims[0]; i++)
		if (!(rois[5 * i] >= 0 && rois[5 * i] < (double)in->dims[0]))
			return op_fail(call, -EINVAL,
				       "MaxRoiPool: region %" PRId64 " (input 1) is of image %g of %" PRId64, i,
				       rois[5 * i], in->dims[0]);
	return 0;
}

static int run_max_roi_pool(struct op_call *call)
{
	const struct tensor *in = call->inputs[0], *rois = call->inputs[1];
	struct tensor wide = {0}, regions = {0}, work = {0};
	const int64_t *pooled;
	struct roi_pool r;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (in->rank != 4 || rois->rank != 2 || rois->dims[1] != 5 || (rois->dims[0] > 0 && tensor_count(in) == 0))
		return op_fail(call, -EINVAL,
			       "MaxRoiPool: input 0 of rank %d and regions (input 1) of rank %d are not "
			       "[N, C, H, W] and [regions, 5]",
			       in->rank, rois->rank);
	if (op_attr_ints(call->node, "pooled_shape", &pooled) != 2 || pooled[0] < 1 || pooled[1] < 1)
		return op_fail(call, -EINVAL, "MaxRoiPool: attribute pooled_shape is not a height and a width");
	err = op_input_float(call, 0, DTYPE_F64, &wide);
	if (!err)
		err = op_input_float(call, 1, DTYPE_F64, &regions);
	if (!err)
		err = check_regions(call, regions.data);
	if (!err && tensor_init(&work, DTYPE_F64, 4, (int64_t[]){rois->dims[0], in->dims[1], pooled[0], pooled[1]}))
		err = op_fail(call, -ENOMEM, "MaxRoiPool: no memory for %" PRId64 " regions", rois->dims[0]);
	if (!err) {
		r = (struct roi_pool){in->dims[1], in->dims[2],  in->dims[3],
				      pooled[0],   pooled[1],    op_attr_float(call->node, "spatial_scale", 1),
				      wide.data,   regions.data, work.data};
		parallel_range(call->pool, rois->dims[0] * in->dims[1], 1, pool_planes, &r);
		err = op_output_cast(call, 0, in->dtype, &work);
	}
	tensor_finish(&wide);
	tensor_finish(&regions);
	tensor_finish(&work);
	return err;
}

const struct op_kernel ops_roi_pool[] = {
	{"", "MaxRoiPool", 1, 0, 2, 2, 1, 1, run_max_roi_pool},
};
const size_t ops_roi_pool_count = sizeof(ops_roi_pool) / sizeof(ops_roi_pool[0]);
