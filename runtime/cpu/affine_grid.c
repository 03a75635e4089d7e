// SPDX-License-Identifier: MIT
/*
 * AffineGrid: where an affine map sends the points of a regular grid in [-1, 1]; the input of GridSample.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/work_type.h"

/* struct affine - maps [batch, spatial, spatial + 1] over points of @dims */
struct affine {
	int spatial;
	bool align;
	int64_t points, dims[3];
	const double *theta;
	double *out;
};

/* Point @i of @count between -1 and 1: ends on the corner pixels' centres (align) or edges. One point lies in the middle. */
static double coordinate(const struct affine *a, int64_t i, int64_t count)
{
	if (!a->align)
		return (2 * (double)i + 1) / (double)count - 1;
	return count == 1 ? 0 : 2 * (double)i / (double)(count - 1) - 1;
}

static void map_points(void *arg, int64_t begin, int64_t end)
{
	const struct affine *a = arg;

	for (int64_t p = begin; p < end; p++) {
		const double *theta = a->theta + p / a->points * a->spatial * (a->spatial + 1);
		int64_t rest = p % a->points;
		double at[4];

		/* The maps know the innermost axis first (x, y, z), then the one that shifts. */
		for (int i = 0; i < a->spatial; i++) {
			int64_t size = a->dims[a->spatial - 1 - i];

			at[i] = coordinate(a, rest % size, size);
			rest /= size;
		}
		at[a->spatial] = 1;
		for (int i = 0; i < a->spatial; i++) {
			double sum = 0;

			for (int k = 0; k <= a->spatial; k++)
				sum += theta[i * (a->spatial + 1) + k] * at[k];
			a->out[p * a->spatial + i] = sum;
		}
	}
}

static int read_size(struct op_call *call, struct affine *a, int64_t *dims)
{
	const struct tensor *theta = call->inputs[0];
	struct tensor size;
	const int64_t *entries;
	int err = op_input_s64(call, 1, false, &size);

	if (err)
		return err;
	entries = size.data;
	a->spatial = (int)tensor_count(&size) - 2;
	if (size.rank != 1 || (a->spatial != 2 && a->spatial != 3))
		err = op_fail(call, -EINVAL, "AffineGrid: size (input 1) has %" PRId64 " entries, expected 4 or 5",
			      tensor_count(&size));
	else if (theta->rank != 3 || theta->dims[0] != entries[0] || theta->dims[1] != a->spatial ||
		 theta->dims[2] != a->spatial + 1)
		err = op_fail(call, -EINVAL, "AffineGrid: theta (input 0) is not [%" PRId64 ", %d, %d]", entries[0],
			      a->spatial, a->spatial + 1);
	for (int i = 0; i < a->spatial && !err; i++) {
		dims[1 + i] = a->dims[i] = entries[2 + i];
		if (a->dims[i] < 1)
			err = op_fail(call, -EINVAL, "AffineGrid: size (input 1) has the entry %" PRId64, a->dims[i]);
	}
	if (!err) {
		dims[0] = entries[0];
		dims[1 + a->spatial] = a->spatial;
	}
	tensor_finish(&size);
	return err;
}

static int run_affine_grid(struct op_call *call)
{
	struct affine a = {.align = op_attr_int(call->node, "align_corners", 0) != 0};
	struct tensor theta = {0}, work = {0};
	int64_t dims[5];
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = read_size(call, &a, dims);
	if (!err)
		err = op_input_float(call, 0, DTYPE_F64, &theta);
	if (!err && tensor_init(&work, DTYPE_F64, a.spatial + 2, dims))
		err = op_fail(call, -ENOMEM, "AffineGrid: no memory for the grid");
	if (!err) {
		a.points = dims_count(a.spatial, a.dims);
		a.theta = theta.data;
		a.out = work.data;
		parallel_range(call->pool, dims[0] * a.points, PARALLEL_GRAIN / 8, map_points, &a);
		err = op_output_cast(call, 0, call->inputs[0]->dtype, &work);
	}
	tensor_finish(&theta);
	tensor_finish(&work);
	return err;
}

const struct op_kernel ops_affine_grid[] = {
	{"", "AffineGrid", 20, 0, 2, 2, 1, 1, run_affine_grid},
};
const size_t ops_affine_grid_count = sizeof(ops_affine_grid) / sizeof(ops_affine_grid[0]);
