// SPDX-License-Identifier: MIT
/*
 * Normalizations by channel, by group of channels and by row of trailing axes.
 *
 * All compute y = (x - mean) / deviation * scale + bias; they differ in what the mean is over and where scale and bias
 * change. Statistics are two passes (mean, then squares of differences).
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/row_stats.h"
#include "runtime/cpu/shape_rules.h"

/* Every kernel here computes in f32. */
static int check_f32(struct op_call *call)
{
	for (size_t i = 0; i < call->node->num_inputs; i++)
		if (call->inputs[i] && call->inputs[i]->dtype != DTYPE_F32)
			return op_fail(call, -ENOTSUP, "%s: input %zu is %s, implemented is float32",
				       call->node->op_type, i, dtype_name(call->inputs[i]->dtype));
	return 0;
}

/* Input @index must be a vector of @count numbers. */
static int check_vector(struct op_call *call, size_t index, int64_t count)
{
	const struct tensor *t = call->inputs[index];

	if (t->rank == 1 && t->dims[0] == count)
		return 0;
	return op_fail(call, -EINVAL, "%s: input %zu must be [%lld]", call->node->op_type, index, (long long)count);
}

/* Elements behind the first two axes. */
static int64_t spatial_count(const struct tensor *x)
{
	return x->rank > 2 ? dims_count(x->rank - 2, x->dims + 2) : 1;
}

/* ---- one scale and shift a plane ---- */

struct planes {
	int64_t channels, count; /* of one image; of one plane */
	const float *x, *scale, *bias;
	const float *mean, *variance; /* by channel: BatchNormalization */
	float *y;
	float epsilon;
	int64_t groups;      /* GroupNormalization */
	bool scale_by_group; /* its opset 18 form */
};

static void normalize_by_channel(void *arg, int64_t begin, int64_t end)
{
	const struct planes *job = arg;

	for (int64_t i = begin; i < end; i++) {
		int64_t c = i % job->channels;
		float scale = job->scale[c] / sqrtf(job->variance[c] + job->epsilon);

		row_affine(job->count, job->x + i * job->count, scale, job->bias[c] - job->mean[c] * scale,
			   job->y + i * job->count);
	}
}

static void normalize_plane(void *arg, int64_t begin, int64_t end)
{
	const struct planes *job = arg;

	for (int64_t i = begin; i < end; i++) {
		const float *x = job->x + i * job->count;
		int64_t c = i % job->channels;
		float mean = (float)(row_sum(job->count, x) / (double)job->count);
		double variance = row_sum_squares(job->count, x, mean) / (double)job->count;
		float scale = job->scale[c] / sqrtf((float)variance + job->epsilon);

		row_affine(job->count, x, scale, job->bias[c] - mean * scale, job->y + i * job->count);
	}
}

static void normalize_group(void *arg, int64_t begin, int64_t end)
{
	const struct planes *job = arg;
	int64_t members = job->channels / job->groups, count = members * job->count;

	for (int64_t i = begin; i < end; i++) {
		const float *x = job->x + i * count;
		float mean = (float)(row_sum(count, x) / (double)count);
		double variance = row_sum_squares(count, x, mean) / (double)count;
		float inverse = 1 / sqrtf((float)variance + job->epsilon);

		for (int64_t m = 0; m < members; m++) {
			int64_t c = job->scale_by_group ? i % job->groups : i % job->groups * members + m;
			float scale = job->scale[c] * inverse;

			row_affine(job->count, x + m * job->count, scale, job->bias[c] - mean * scale,
				   job->y + i * count + m * job->count);
		}
	}
}

/* Training: mean and variance of each channel over the batch become the statistics; returns them in @stats. */
static void batch_statistics(const struct planes *job, int64_t batch, float *mean, float *variance)
{
	double count = (double)(batch * job->count);

	for (int64_t c = 0; c < job->channels; c++) {
		double sum = 0, squares = 0;

		for (int64_t n = 0; n < batch; n++)
			sum += row_sum(job->count, job->x + (n * job->channels + c) * job->count);
		mean[c] = (float)(sum / count);
		for (int64_t n = 0; n < batch; n++)
			squares += row_sum_squares(job->count, job->x + (n * job->channels + c) * job->count, mean[c]);
		variance[c] = (float)(squares / count);
	}
}

/* Outputs 1 and 2 of training: the running statistics, moved towards this batch's. */
static int update_running(struct op_call *call, int64_t channels, const float *mean, const float *variance)
{
	float momentum = op_attr_float(call->node, "momentum", 0.9f);

	for (size_t i = 1; i < 3; i++) {
		const float *before = call->inputs[2 + i]->data, *now = i == 1 ? mean : variance;
		int err = op_output(call, i, DTYPE_F32, 1, &channels);

		if (err)
			return err;
		for (int64_t c = 0; op_wanted(call, i) && c < channels; c++)
			((float *)call->outputs[i]->data)[c] = before[c] * momentum + now[c] * (1 - momentum);
	}
	return 0;
}

static int run_batch_normalization(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	bool training = op_attr_int(call->node, "training_mode", 0);
	struct planes job = {.epsilon = op_attr_float(call->node, "epsilon", 1e-5f)};
	float *stats = NULL;
	int err;

	err = check_f32(call);
	if (!err && x->rank < 1)
		err = op_fail(call, -EINVAL, "BatchNormalization: the input is a scalar");
	if (!err && !op_attr_int(call->node, "spatial", 1))
		err = op_fail(call, -ENOTSUP, "BatchNormalization: spatial = 0 is not implemented");
	job.channels = x->rank > 1 ? x->dims[1] : 1;
	for (size_t i = 1; !err && i < 5; i++)
		err = check_vector(call, i, job.channels);
	for (size_t i = 1; !err && i < call->node->num_outputs; i++)
		if (op_wanted(call, i) && (!training || i > 2))
			err = op_fail(call, -ENOTSUP,
				      "BatchNormalization: output %zu belongs to a training form before opset 14", i);
	if (!err)
		err = op_output(call, 0, DTYPE_F32, x->rank, x->dims);
	if (err || !op_wanted(call, 0) || !tensor_count(x))
		return err;
	job.count = spatial_count(x);
	job.x = x->data;
	job.y = call->outputs[0]->data;
	job.scale = call->inputs[1]->data;
	job.bias = call->inputs[2]->data;
	job.mean = call->inputs[3]->data;
	job.variance = call->inputs[4]->data;
	if (training) {
		stats = malloc((size_t)job.channels * 2 * sizeof(*stats));
		if (!stats)
			return -ENOMEM;
		batch_statistics(&job, x->dims[0], stats, stats + job.channels);
		job.mean = stats;
		job.variance = stats + job.channels;
		err = update_running(call, job.channels, job.mean, job.variance);
	}
	if (!err)
		parallel_range(call->pool, x->dims[0] * job.channels, PARALLEL_GRAIN / job.count, normalize_by_channel,
			       &job);
	free(stats);
	return err;
}

static int run_instance_normalization(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	struct planes job = {.epsilon = op_attr_float(call->node, "epsilon", 1e-5f)};
	int err;

	err = check_f32(call);
	if (!err && x->rank < 2)
		err = op_fail(call, -EINVAL, "InstanceNormalization: the input has rank %d, at least 2 is needed",
			      x->rank);
	for (size_t i = 1; !err && i < 3; i++)
		err = check_vector(call, i, x->dims[1]);
	if (!err)
		err = op_output(call, 0, DTYPE_F32, x->rank, x->dims);
	if (err || !op_wanted(call, 0) || !tensor_count(x))
		return err;
	job.channels = x->dims[1];
	job.count = spatial_count(x);
	job.x = x->data;
	job.y = call->outputs[0]->data;
	job.scale = call->inputs[1]->data;
	job.bias = call->inputs[2]->data;
	parallel_range(call->pool, x->dims[0] * job.channels, PARALLEL_GRAIN / job.count, normalize_plane, &job);
	return 0;
}

static int run_group_normalization(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	struct planes job = {.epsilon = op_attr_float(call->node, "epsilon", 1e-5f),
			     .groups = op_attr_int(call->node, "num_groups", 0),
			     .scale_by_group = call->node->opset < 21};
	int err;

	err = check_f32(call);
	if (!err && x->rank < 2)
		err = op_fail(call, -EINVAL, "GroupNormalization: the input has rank %d, at least 2 is needed",
			      x->rank);
	if (!err && (job.groups < 1 || x->dims[1] % job.groups))
		err = op_fail(call, -EINVAL, "GroupNormalization: %lld channels and num_groups %lld",
			      (long long)x->dims[1], (long long)job.groups);
	for (size_t i = 1; !err && i < 3; i++)
		err = check_vector(call, i, job.scale_by_group ? job.groups : x->dims[1]);
	if (!err)
		err = op_output(call, 0, DTYPE_F32, x->rank, x->dims);
	if (err || !op_wanted(call, 0) || !tensor_count(x))
		return err;
	job.channels = x->dims[1];
	job.count = spatial_count(x);
	job.x = x->data;
	job.y = call->outputs[0]->data;
	job.scale = call->inputs[1]->data;
	job.bias = call->inputs[2]->data;
	parallel_range(call->pool, x->dims[0] * job.groups, 1, normalize_group, &job);
	return 0;
}

/* ---- rows of trailing axes ---- */

struct rows {
	int64_t n;
	const float *x, *skip, *row_bias; /* what is normalized is x + skip + row_bias */
	int64_t skip_rows;                /* rows of skip, which repeats */
	const float *scale, *bias;        /* n numbers, or NULL */
	float *y, *mean, *inverse, *sum;  /* mean, inverse, sum may be NULL */
	float epsilon;
	bool root_mean_square; /* no mean is taken off */
};

CPU_CLONES static void scale_row(int64_t n, const float *x, float mean, float inverse, const float *scale,
				 const float *bias, float *y)
{
	if (scale && bias)
		for (int64_t i = 0; i < n; i++)
			y[i] = (x[i] - mean) * inverse * scale[i] + bias[i];
	else if (scale)
		for (int64_t i = 0; i < n; i++)
			y[i] = (x[i] - mean) * inverse * scale[i];
	else
		for (int64_t i = 0; i < n; i++)
			y[i] = (x[i] - mean) * inverse;
}

CPU_CLONES static void add_rows(int64_t n, const float *a, const float *b, const float *c, float *y)
{
	if (c)
		for (int64_t i = 0; i < n; i++)
			y[i] = a[i] + b[i] + c[i];
	else
		for (int64_t i = 0; i < n; i++)
			y[i] = a[i] + b[i];
}

static void normalize_rows(void *arg, int64_t begin, int64_t end)
{
	const struct rows *job = arg;
	int64_t n = job->n;

	for (int64_t i = begin; i < end; i++) {
		const float *x = job->x + i * n;
		float *y = job->y + i * n, mean = 0, inverse;

		if (job->skip) {
			float *sum = job->sum ? job->sum + i * n : y;

			add_rows(n, x, job->skip + i % job->skip_rows * n, job->row_bias, sum);
			x = sum;
		}
		if (!job->root_mean_square)
			mean = (float)(row_sum(n, x) / (double)n);
		inverse = 1 / sqrtf((float)(row_sum_squares(n, x, mean) / (double)n) + job->epsilon);
		scale_row(n, x, mean, inverse, job->scale, job->bias, y);
		if (job->mean)
			job->mean[i] = mean;
		if (job->inverse)
			job->inverse[i] = inverse;
	}
}

/* Rows and their length from attribute axis, scale and bias from inputs 1 and 2; y is output 0. */
static int read_rows(struct op_call *call, struct rows *job, int64_t *rows, int *axis_out)
{
	const struct tensor *x = call->inputs[0];
	int64_t axis = op_attr_int(call->node, "axis", -1);
	int err = check_f32(call);

	if (!err && normalize_axis(&axis, x->rank))
		err = op_fail(call, -EINVAL, "%s: axis %lld of a tensor of rank %d", call->node->op_type,
			      (long long)axis, x->rank);
	if (err)
		return err;
	job->n = *rows = 1;
	for (int i = 0; tensor_count(x) && i < x->rank; i++)
		*(i < axis ? rows : &job->n) *= x->dims[i];
	for (size_t i = 1; i < 3; i++) {
		const struct tensor *t = op_input(call, i);

		if (t && tensor_count(x) && tensor_count(t) != job->n)
			return op_fail(call, -ENOTSUP,
				       "%s: input %zu has %lld elements, implemented is one for each of %lld",
				       call->node->op_type, i, (long long)tensor_count(t), (long long)job->n);
	}
	err = op_output(call, 0, DTYPE_F32, x->rank, x->dims);
	job->x = x->data;
	job->y = op_wanted(call, 0) ? call->outputs[0]->data : NULL;
	job->scale = op_input(call, 1) ? op_input(call, 1)->data : NULL;
	job->bias = op_input(call, 2) ? op_input(call, 2)->data : NULL;
	*axis_out = (int)axis;
	return err;
}

static int layer_normalization(struct op_call *call, bool root_mean_square)
{
	const struct tensor *x = call->inputs[0];
	struct rows job = {.epsilon = op_attr_float(call->node, "epsilon", 1e-5f),
			   .root_mean_square = root_mean_square};
	int64_t rows, dims[TENSOR_MAX_RANK];
	int axis = 0, err = read_rows(call, &job, &rows, &axis);

	/* The statistics have the input's shape with ones where they were taken. */
	for (int i = 0; !err && i < x->rank; i++)
		dims[i] = i < axis ? x->dims[i] : 1;
	for (size_t i = 1; !err && i < call->node->num_outputs; i++)
		err = op_output(call, i, DTYPE_F32, x->rank, dims);
	if (err || !job.y || !tensor_count(x))
		return err;
	/* RMSNormalization in its ONNX Runtime form has the inverse as its second output, without the mean. */
	if (op_wanted(call, root_mean_square ? 2 : 1) && !root_mean_square)
		job.mean = call->outputs[1]->data;
	if (op_wanted(call, root_mean_square ? 1 : 2))
		job.inverse = call->outputs[root_mean_square ? 1 : 2]->data;
	parallel_range(call->pool, rows, PARALLEL_GRAIN / 4 / job.n, normalize_rows, &job);
	return 0;
}

static int run_layer_normalization(struct op_call *call)
{
	return layer_normalization(call, false);
}

static int run_rms_normalization(struct op_call *call)
{
	return layer_normalization(call, true);
}

/*
 * com.microsoft SkipLayerNormalization: input, skip, gamma, beta?, bias?; the Simplified form has no beta.
 * Outputs: output, mean, inverse deviation, sum.
 */
static int skip_layer_normalization(struct op_call *call, bool simplified)
{
	const struct tensor *x = call->inputs[0], *skip = call->inputs[1];
	const struct tensor *beta = simplified ? NULL : op_input(call, 3), *bias = op_input(call, simplified ? 3 : 4);
	const struct tensor *vectors[] = {call->inputs[2], beta, bias};
	struct rows job = {.epsilon = op_attr_float(call->node, "epsilon", 1e-12f), .root_mean_square = simplified};
	int64_t rows, dims[TENSOR_MAX_RANK];
	int err = check_f32(call);

	if (err)
		return err;
	if (x->rank < 1 || !tensor_count(x))
		return op_fail(call, -EINVAL, "%s: the input is empty", call->node->op_type);
	job.n = x->dims[x->rank - 1];
	rows = tensor_count(x) / job.n;
	if (skip->rank < 1 || skip->dims[skip->rank - 1] != job.n || !tensor_count(skip) ||
	    tensor_count(x) % tensor_count(skip))
		return op_fail(call, -EINVAL, "%s: the skip does not broadcast to the input", call->node->op_type);
	for (size_t i = 0; i < 3; i++)
		if (vectors[i] && tensor_count(vectors[i]) != job.n)
			return op_fail(call, -EINVAL, "%s: gamma, beta and bias must be [%lld]", call->node->op_type,
				       (long long)job.n);
	for (int i = 0; i < x->rank; i++)
		dims[i] = i < x->rank - 1 ? x->dims[i] : 1;
	for (size_t i = 0; !err && i < call->node->num_outputs; i++)
		err = op_output(call, i, DTYPE_F32, x->rank, i == 1 || i == 2 ? dims : x->dims);
	if (err || !op_wanted(call, 0))
		return err;
	job.x = x->data;
	job.skip = skip->data;
	job.skip_rows = tensor_count(skip) / job.n;
	job.row_bias = bias ? bias->data : NULL;
	job.scale = call->inputs[2]->data;
	job.bias = beta ? beta->data : NULL;
	job.y = call->outputs[0]->data;
	job.mean = op_wanted(call, 1) ? call->outputs[1]->data : NULL;
	job.inverse = op_wanted(call, 2) ? call->outputs[2]->data : NULL;
	job.sum = op_wanted(call, 3) ? call->outputs[3]->data : NULL;
	parallel_range(call->pool, rows, PARALLEL_GRAIN / 4 / job.n, normalize_rows, &job);
	return 0;
}

static int run_skip_layer_normalization(struct op_call *call)
{
	return skip_layer_normalization(call, false);
}

static int run_skip_rms_normalization(struct op_call *call)
{
	return skip_layer_normalization(call, true);
}

/* ---- over any axes ---- */

/*
 * MeanVarianceNormalization: (x - mean) / (deviation + 1e-9) over the attribute's axes, default [0, 2, 3] (the
 * specification's function body). Each group of elements is visited by its offsets; not a fast path.
 */
struct axes_split {
	int rank;
	int64_t dims[TENSOR_MAX_RANK], strides[TENSOR_MAX_RANK];
	int64_t count;
};

static void split_add(struct axes_split *split, int64_t dim, int64_t stride)
{
	split->dims[split->rank] = dim;
	split->strides[split->rank++] = stride;
	split->count *= dim;
}

static int64_t split_offset(const struct axes_split *split, int64_t index)
{
	int64_t offset = 0;

	for (int i = split->rank - 1; i >= 0; i--) {
		offset += index % split->dims[i] * split->strides[i];
		index /= split->dims[i];
	}
	return offset;
}

static void normalize_offsets(const struct axes_split *inner, const float *x, float *y)
{
	double mean = 0, squares = 0;
	float deviation;

	for (int64_t i = 0; i < inner->count; i++)
		mean += (double)x[split_offset(inner, i)];
	mean /= (double)inner->count;
	for (int64_t i = 0; i < inner->count; i++) {
		double d = (double)x[split_offset(inner, i)] - mean;

		squares += d * d;
	}
	deviation = (float)sqrt(squares / (double)inner->count) + 1e-9f;
	for (int64_t i = 0; i < inner->count; i++) {
		int64_t at = split_offset(inner, i);

		y[at] = (float)((double)x[at] - mean) / deviation;
	}
}

static int run_mean_variance_normalization(struct op_call *call)
{
	static const int64_t default_axes[] = {0, 2, 3};
	const struct tensor *x = call->inputs[0];
	struct axes_split inner = {.count = 1}, outer = {.count = 1};
	const int64_t *axes;
	size_t num_axes = op_attr_ints(call->node, "axes", &axes);
	bool selected[TENSOR_MAX_RANK];
	int64_t stride = 1;
	int err;

	if (!num_axes) {
		axes = default_axes;
		num_axes = 3;
	}
	err = check_f32(call);
	if (!err && normalize_axes(axes, num_axes, x->rank, selected))
		err = op_fail(call, -EINVAL, "MeanVarianceNormalization: the axes do not fit a tensor of rank %d",
			      x->rank);
	if (!err)
		err = op_output(call, 0, DTYPE_F32, x->rank, x->dims);
	if (err || !op_wanted(call, 0) || !tensor_count(x))
		return err;
	for (int i = x->rank - 1; i >= 0; i--) {
		split_add(selected[i] ? &inner : &outer, x->dims[i], stride);
		stride *= x->dims[i];
	}
	for (int64_t i = 0; i < outer.count; i++) {
		int64_t offset = split_offset(&outer, i);

		normalize_offsets(&inner, (const float *)x->data + offset, (float *)call->outputs[0]->data + offset);
	}
	return 0;
}

/* LpNormalization: x / norm along one axis; a zero norm leaves zeros. */
static void normalize_line(int64_t n, int64_t stride, int64_t p, const float *x, float *y)
{
	double norm = 0;

	for (int64_t i = 0; i < n; i++) {
		double v = (double)x[i * stride];

		norm += p == 1 ? fabs(v) : v * v;
	}
	if (p == 2)
		norm = sqrt(norm);
	for (int64_t i = 0; i < n; i++)
		y[i * stride] = norm != 0 ? (float)((double)x[i * stride] / norm) : 0;
}

static int run_lp_normalization(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	int64_t axis = op_attr_int(call->node, "axis", -1), p = op_attr_int(call->node, "p", 2), inner = 1, outer, n;
	int err;

	err = check_f32(call);
	if (!err && (p < 1 || p > 2))
		err = op_fail(call, -EINVAL, "LpNormalization: attribute p is %lld, 1 and 2 are defined", (long long)p);
	if (!err && normalize_axis(&axis, x->rank))
		err = op_fail(call, -EINVAL, "LpNormalization: axis %lld of a tensor of rank %d", (long long)axis,
			      x->rank);
	if (!err)
		err = op_output(call, 0, DTYPE_F32, x->rank, x->dims);
	if (err || !op_wanted(call, 0) || !tensor_count(x))
		return err;
	n = x->dims[axis];
	for (int i = (int)axis + 1; i < x->rank; i++)
		inner *= x->dims[i];
	outer = tensor_count(x) / n / inner;
	for (int64_t i = 0; i < outer * inner; i++) {
		int64_t at = i / inner * n * inner + i % inner;

		normalize_line(n, inner, p, (const float *)x->data + at, (float *)call->outputs[0]->data + at);
	}
	return 0;
}

/* ---- LRN ---- */

struct lrn {
	int64_t channels, count, before, after; /* channels of the window before and after the own one */
	float alpha, beta, bias;                /* alpha already divided by the window's size */
	const float *x;
	float *y;
};

#define LRN_BLOCK 256

CPU_CLONES static void add_squares(int64_t n, const float *x, float *sum)
{
	for (int64_t i = 0; i < n; i++)
		sum[i] += x[i] * x[i];
}

/* y = x * (bias + alpha * sum)^-beta; 0.75, the usual beta, without a logarithm. */
CPU_CLONES static void lrn_scale_usual(int64_t n, const float *x, const float *sum, float bias, float alpha, float *y)
{
	for (int64_t i = 0; i < n; i++) {
		float root = sqrtf(bias + alpha * sum[i]);

		y[i] = x[i] / (root * sqrtf(root));
	}
}

static void lrn_scale(const struct lrn *job, int64_t n, const float *x, const float *sum, float *y)
{
	if (job->beta == 0.75f) {
		lrn_scale_usual(n, x, sum, job->bias, job->alpha, y);
		return;
	}
	for (int64_t i = 0; i < n; i++)
		y[i] = x[i] * powf(job->bias + job->alpha * sum[i], -job->beta);
}

/* Planes [begin, end): image and channel. */
static void lrn_planes(void *arg, int64_t begin, int64_t end)
{
	const struct lrn *job = arg;
	float sum[LRN_BLOCK];

	for (int64_t i = begin; i < end; i++) {
		int64_t c = i % job->channels, first = c < job->before ? 0 : c - job->before;
		int64_t last = job->channels - 1 - c < job->after ? job->channels - 1 : c + job->after;

		for (int64_t j = 0; j < job->count; j += LRN_BLOCK) {
			int64_t width = job->count - j < LRN_BLOCK ? job->count - j : LRN_BLOCK;

			memset(sum, 0, sizeof(sum));
			for (int64_t k = first; k <= last; k++)
				add_squares(width, job->x + (i - c + k) * job->count + j, sum);
			lrn_scale(job, width, job->x + i * job->count + j, sum, job->y + i * job->count + j);
		}
	}
}

static int run_lrn(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	int64_t size = op_attr_int(call->node, "size", 0);
	struct lrn job = {.beta = op_attr_float(call->node, "beta", 0.75f),
			  .bias = op_attr_float(call->node, "bias", 1)};
	int err;

	err = check_f32(call);
	if (!err && x->rank < 2)
		err = op_fail(call, -EINVAL, "LRN: the input has rank %d, at least 2 is needed", x->rank);
	if (!err && (size < 1 || size > INT32_MAX))
		err = op_fail(call, -EINVAL, "LRN: attribute size is %lld", (long long)size);
	if (!err)
		err = op_output(call, 0, DTYPE_F32, x->rank, x->dims);
	if (err || !op_wanted(call, 0) || !tensor_count(x))
		return err;
	job.alpha = op_attr_float(call->node, "alpha", 1e-4f) / (float)size;
	job.before = (size - 1) / 2; /* floor, and the other half is rounded up (LRN's formula) */
	job.after = size - 1 - job.before;
	job.channels = x->dims[1];
	job.count = spatial_count(x);
	job.x = x->data;
	job.y = call->outputs[0]->data;
	parallel_range(call->pool, x->dims[0] * job.channels, PARALLEL_GRAIN / 4 / job.count, lrn_planes, &job);
	return 0;
}

/* Mean and deviation stay float32 (stash_type); y and the sum of input and skip do not. */
static const signed char statistics_output[] = {0, -1, -1, 0};
static const struct op_widen statistics_in_f32 = {statistics_output};
/* Running mean and variance have a type of their own since opset 14. */
static const signed char running_output[] = {0, 3, 4, 3, 4};
static const struct op_widen statistics_as_given = {running_output};

const struct op_kernel ops_normalization[] = {
	{"", "BatchNormalization", 1, 0, 5, 5, 1, 5, run_batch_normalization, NULL, NULL, &statistics_as_given},
	{"", "GroupNormalization", 18, 0, 3, 3, 1, 1, run_group_normalization, NULL, NULL, &op_half_in_f32},
	{"", "InstanceNormalization", 1, 0, 3, 3, 1, 1, run_instance_normalization, NULL, NULL, &op_half_in_f32},
	{"", "LRN", 1, 0, 1, 1, 1, 1, run_lrn, NULL, NULL, &op_half_in_f32},
	/* Before opset 17 as ONNX Runtime's extension in the same domain, with the same meaning. */
	{"", "LayerNormalization", 1, 0, 2, 3, 1, 3, run_layer_normalization, NULL, NULL, &statistics_in_f32},
	{"", "LpNormalization", 1, 0, 1, 1, 1, 1, run_lp_normalization, NULL, NULL, &op_half_in_f32},
	{"", "MeanVarianceNormalization", 1, 0, 1, 1, 1, 1, run_mean_variance_normalization, NULL, NULL,
	 &op_half_in_f32},
	{"", "RMSNormalization", 1, 0, 2, 2, 1, 2, run_rms_normalization, NULL, NULL, &statistics_in_f32},
	{"", "SimplifiedLayerNormalization", 1, 0, 2, 2, 1, 2, run_rms_normalization, NULL, NULL, &statistics_in_f32},
	{"com.microsoft", "SkipLayerNormalization", 1, 0, 3, 5, 1, 4, run_skip_layer_normalization, NULL, NULL,
	 &statistics_in_f32},
	{"com.microsoft", "SkipSimplifiedLayerNormalization", 1, 0, 3, 4, 1, 4, run_skip_rms_normalization, NULL, NULL,
	 &statistics_in_f32},
};
const size_t ops_normalization_count = sizeof(ops_normalization) / sizeof(ops_normalization[0]);
