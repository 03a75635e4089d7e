// SPDX-License-Identifier: MIT
/*
 * Normalization over any axes: see normalize.h.
 */
#include "runtime/cpu/normalize.h"

#include <math.h>

#include "runtime/cpu/parallel.h"
#include "runtime/cpu/strided_copy.h"

/* What is walked together: x (and y), and the parameters. */
enum { AT_X, AT_SCALE, AT_BIAS, AT_MEAN, AT_VARIANCE, NUM_AT };

/* Some of the axes, with every operand's stride along them. */
struct walk {
	int rank;
	int64_t count;
	int64_t dims[TENSOR_MAX_RANK], strides[NUM_AT][TENSOR_MAX_RANK];
};

struct job {
	const struct normalize *n;
	struct walk kept, over;
};

static void plan_walk(const struct normalize *n, bool over, struct walk *walk)
{
	int64_t dense[TENSOR_MAX_RANK];
	const int64_t *strides[NUM_AT] = {dense, n->scale.strides, n->bias.strides, n->mean.strides,
					  n->variance.strides};

	dense_strides(n->rank, n->dims, dense);
	walk->rank = 0;
	walk->count = 1;
	for (int i = 0; i < n->rank; i++) {
		if (n->over[i] != over)
			continue;
		for (int k = 0; k < NUM_AT; k++)
			walk->strides[k][walk->rank] = strides[k][i];
		walk->dims[walk->rank++] = n->dims[i];
		walk->count *= n->dims[i];
	}
}

static void locate(const struct walk *walk, int64_t index, const int64_t *base, int64_t *at)
{
	for (int k = 0; k < NUM_AT; k++)
		at[k] = base[k];
	for (int i = walk->rank - 1; i >= 0; i--) {
		for (int k = 0; k < NUM_AT; k++)
			at[k] += index % walk->dims[i] * walk->strides[k][i];
		index /= walk->dims[i];
	}
}

/* Two passes: the mean, then the squares of differences from it. */
static void take_statistics(const struct job *job, const int64_t *base, double *mean, double *variance)
{
	const struct normalize *n = job->n;
	int64_t at[NUM_AT];
	double sum = 0, squares = 0;

	for (int64_t i = 0; n->form != NORMALIZE_SQUARES && i < job->over.count; i++) {
		locate(&job->over, i, base, at);
		sum += n->x[at[AT_X]];
	}
	*mean = sum / (double)job->over.count;
	for (int64_t i = 0; i < job->over.count; i++) {
		double d;

		locate(&job->over, i, base, at);
		d = n->x[at[AT_X]] - *mean;
		squares += d * d;
	}
	*variance = squares / (double)job->over.count;
}

static void normalize_positions(void *arg, int64_t begin, int64_t end)
{
	static const int64_t origin[NUM_AT];
	const struct job *job = arg;
	const struct normalize *n = job->n;

	for (int64_t position = begin; position < end; position++) {
		int64_t base[NUM_AT], at[NUM_AT];
		double mean = 0, variance = 1;

		locate(&job->kept, position, origin, base);
		if (!n->mean.data)
			take_statistics(job, base, &mean, &variance);
		if (n->mean_out)
			n->mean_out[position] = mean;
		if (n->variance_out)
			n->variance_out[position] = variance;
		for (int64_t i = 0; i < job->over.count; i++) {
			double divisor;

			locate(&job->over, i, base, at);
			if (n->mean.data) {
				mean = n->mean.data[at[AT_MEAN]];
				variance = n->variance.data[at[AT_VARIANCE]];
			}
			divisor = n->form == NORMALIZE_DEVIATION ? sqrt(variance) + n->epsilon
								 : sqrt(variance + n->epsilon);
			n->y[at[AT_X]] =
				(n->x[at[AT_X]] - mean) / divisor * (n->scale.data ? n->scale.data[at[AT_SCALE]] : 1) +
				(n->bias.data ? n->bias.data[at[AT_BIAS]] : 0);
		}
	}
}

void normalize_run(const struct normalize *n, struct cpu_pool *pool)
{
	struct job job = {.n = n};

	if (dims_count(n->rank, n->dims) <= 0)
		return;
	plan_walk(n, false, &job.kept);
	plan_walk(n, true, &job.over);
	parallel_range(pool, job.kept.count, PARALLEL_GRAIN / 8 / job.over.count, normalize_positions, &job);
}
