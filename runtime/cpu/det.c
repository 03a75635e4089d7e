// SPDX-License-Identifier: MIT
/*
 * Det: determinants of a batch of square matrices, by LU decomposition with partial pivoting, in double.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/work_type.h"

/* Destroys @a, @n x @n. The determinant of the empty matrix is 1. */
static double determinant(double *a, int64_t n)
{
	double product = 1;

	for (int64_t k = 0; k < n; k++) {
		int64_t pivot = k;

		for (int64_t i = k + 1; i < n; i++)
			if (fabs(a[i * n + k]) > fabs(a[pivot * n + k]))
				pivot = i;
		product *= a[pivot * n + k];
		/* A column of zeros: singular. A NaN ends here too, as the product. */
		if (!(fabs(product) > 0))
			return product;
		if (pivot != k)
			product = -product;
		for (int64_t j = k; j < n && pivot != k; j++) {
			double swap = a[k * n + j];

			a[k * n + j] = a[pivot * n + j];
			a[pivot * n + j] = swap;
		}
		for (int64_t i = k + 1; i < n; i++) {
			double factor = a[i * n + k] / a[k * n + k];

			for (int64_t j = k + 1; j < n; j++)
				a[i * n + j] -= factor * a[k * n + j];
		}
	}
	return product;
}

struct det_job {
	double *matrices, *out;
	int64_t n;
};

static void run_matrices(void *arg, int64_t begin, int64_t end)
{
	const struct det_job *job = arg;

	for (int64_t i = begin; i < end; i++)
		job->out[i] = determinant(job->matrices + i * job->n * job->n, job->n);
}

static int run_det(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	struct tensor wide = {0}, matrices = {0}, work = {0};
	struct det_job job;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (in->rank < 2 || in->dims[in->rank - 1] != in->dims[in->rank - 2])
		return op_fail(call, -EINVAL, "Det: input 0 of rank %d is no batch of square matrices", in->rank);
	err = op_input_float(call, 0, DTYPE_F64, &wide);
	/* A copy in any case: the decomposition writes over it, and float64 would come as a view. */
	if (!err)
		err = tensor_copy(&matrices, &wide);
	if (!err)
		err = tensor_init(&work, DTYPE_F64, in->rank - 2, in->dims);
	if (!err) {
		job = (struct det_job){matrices.data, work.data, in->dims[in->rank - 1]};
		parallel_range(call->pool, tensor_count(&work),
			       PARALLEL_GRAIN / (job.n + 1) / (job.n + 1) / (job.n + 1) + 1, run_matrices, &job);
		err = op_output_cast(call, 0, in->dtype, &work);
	}
	tensor_finish(&wide);
	tensor_finish(&matrices);
	tensor_finish(&work);
	return err;
}

const struct op_kernel ops_det[] = {
	{"", "Det", 11, 0, 1, 1, 1, 1, run_det},
};
const size_t ops_det_count = sizeof(ops_det) / sizeof(ops_det[0]);
