// SPDX-License-Identifier: MIT
/*
 * Normalizations with learned scale and bias: by channel, by group of channels and by row of trailing axes.
 *
 * All compute y = (x - mean) / deviation * scale + bias; they differ in what the mean is over and where scale and bias
 * change. Statistics are two passes (mean, then squares of differences).
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/normalize.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/row_stats.h"
#include "runtime/cpu/shape_rules.h"

/* True when every input is float32: the loops below; anything else goes through normalize.h. */
static bool all_f32(const struct op_call *call)
{
	for (size_t i = 0; i < call->node->num_inputs; i++)
		if (call->inputs[i] && call->inputs[i]->dtype != DTYPE_F32)
			return false;
	return true;
}

static int check_floats(struct op_call *call)
{
	for (size_t i = 0; i < call->node->num_inputs; i++)
		if (call->inputs[i] && !dtype_is_float(call->inputs[i]->dtype))
			return op_fail(call, -EINVAL, "%s: input %zu is %s, expected a float type", call->node->op_type,
				       i, dtype_name(call->inputs[i]->dtype));
	return 0;
}

/* The com.microsoft kernels have float32 only. */
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

/* ---- through normalize.h ---- */

#define MAX_PARAMETERS 5

/*
 * struct general - a call on doubles
 * @wide: by input, its values; @y: the result
 */
struct general {
	struct normalize n;
	struct tensor wide[MAX_PARAMETERS], y;
};

/* Inputs as doubles, x seen as [@dims], and memory for y. general_finish() after success and failure. */
static int general_start(struct op_call *call, struct general *g, int rank, const int64_t *dims)
{
	int err = 0;

	g->n.rank = rank;
	memcpy(g->n.dims, dims, (size_t)rank * sizeof(*dims));
	for (size_t i = 0; !err && i < call->node->num_inputs && i < MAX_PARAMETERS; i++)
		if (call->inputs[i])
			err = tensor_cast(call->inputs[i], DTYPE_F64, &g->wide[i]);
	if (!err)
		err = tensor_init(&g->y, DTYPE_F64, rank, dims);
	if (err)
		return op_fail(call, err, "%s: no memory for doubles", call->node->op_type);
	g->n.x = g->wide[0].data;
	g->n.y = g->y.data;
	return 0;
}

static void general_finish(struct general *g)
{
	for (size_t i = 0; i < MAX_PARAMETERS; i++)
		tensor_finish(&g->wide[i]);
	tensor_finish(&g->y);
}

/* Input @index as a parameter with the strides of a dense tensor [@dims] whose first axis is axis @first of x. */
static struct normalize_operand general_operand(const struct general *g, size_t index, int first, int rank,
						const int64_t *dims)
{
	struct normalize_operand operand = {.data = g->wide[index].data};
	int64_t stride = 1;

	for (int i = rank - 1; i >= 0; i--) {
		operand.strides[first + i] = dims[i] == 1 ? 0 : stride;
		stride *= dims[i];
	}
	return operand;
}

/* Doubles into output @index of @type. */
static int general_output(struct op_call *call, size_t index, enum dtype type, int rank, const int64_t *dims,
			  const double *values)
{
	int err = op_output(call, index, type, rank, dims);

	if (!err && op_wanted(call, index))
		cast_row(DTYPE_F64, type)((size_t)tensor_count(call->outputs[index]), values,
					  call->outputs[index]->data);
	return err;
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

/*
 * Outputs of training behind y: the running statistics moved towards this batch's and, before opset 14, this batch's. The
 * batch's are in @statistics: means, then variances.
 */
static int output_statistics(struct op_call *call, const struct general *g, int64_t count, double *statistics)
{
	double momentum = (double)op_attr_float(call->node, "momentum", 0.9f);
	int err = 0;

	for (size_t i = 3; !err && i < call->node->num_outputs; i++)
		err = general_output(call, i, call->inputs[i]->dtype, call->inputs[i]->rank, call->inputs[i]->dims,
				     statistics + (i - 3) * (size_t)count);
	for (size_t i = 1; !err && i < 3 && i < call->node->num_outputs; i++) {
		const double *before = g->wide[2 + i].data;
		double *now = statistics + (i - 1) * (size_t)count;

		for (int64_t c = 0; c < count; c++)
			now[c] = before[c] * momentum + now[c] * (1 - momentum);
		err = general_output(call, i, call->inputs[2 + i]->dtype, call->inputs[2 + i]->rank,
				     call->inputs[2 + i]->dims, now);
	}
	return err;
}

/* Parameters of @rank dims that begin at x's channels: [C], or by activation [C, D1, …] (spatial = 0). */
static int general_batch_normalization(struct op_call *call, bool training, int rank, int64_t count)
{
	const struct tensor *x = call->inputs[0];
	struct general g = {.n = {.epsilon = (double)op_attr_float(call->node, "epsilon", 1e-5f)}};
	/* An input of rank 1 has one channel. */
	int first = x->rank > 1 ? 1 : 0;
	int64_t one = 1;
	const int64_t *dims = first ? x->dims + 1 : &one;
	double *statistics = NULL;
	int err = general_start(call, &g, x->rank, x->dims);

	for (int i = 0; i < x->rank; i++)
		g.n.over[i] = i < first || i >= first + rank || !first;
	if (!err) {
		g.n.scale = general_operand(&g, 1, first, rank, dims);
		g.n.bias = general_operand(&g, 2, first, rank, dims);
	}
	if (!err && !training) {
		g.n.mean = general_operand(&g, 3, first, rank, dims);
		g.n.variance = general_operand(&g, 4, first, rank, dims);
	} else if (!err) {
		statistics = calloc((size_t)count * 2 + 1, sizeof(*statistics));
		err = statistics ? 0 : -ENOMEM;
		g.n.mean_out = statistics;
		g.n.variance_out = statistics + count;
	}
	if (!err) {
		normalize_run(&g.n, call->pool);
		err = general_output(call, 0, x->dtype, x->rank, x->dims, g.y.data);
	}
	if (!err && training)
		err = output_statistics(call, &g, count, statistics);
	free(statistics);
	general_finish(&g);
	return err;
}

/*
 * Training is an attribute since opset 14; before, it is that somebody reads more than y (and no attribute is_test in opsets
 * 1 and 6).
 */
static bool is_training(const struct op_call *call)
{
	if (call->node->opset >= 14)
		return op_attr_int(call->node, "training_mode", 0) != 0;
	for (size_t i = 1; i < call->node->num_outputs; i++)
		if (op_wanted(call, i))
			return !op_attr_int(call->node, "is_test", 0);
	return false;
}

static int run_batch_normalization(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	bool by_activation = call->node->opset < 9 && !op_attr_int(call->node, "spatial", 1),
	     training = is_training(call);
	struct planes job = {.epsilon = op_attr_float(call->node, "epsilon", 1e-5f)};
	int err = check_floats(call), rank = 1;
	int64_t count;

	if (!err && x->rank < 1)
		err = op_fail(call, -EINVAL, "BatchNormalization: the input is a scalar");
	if (!err && call->node->num_outputs > (call->node->opset >= 14 ? 3 : 5))
		err = op_fail(call, -EINVAL, "BatchNormalization: %zu outputs", call->node->num_outputs);
	if (err)
		return err;
	job.channels = count = x->rank > 1 ? x->dims[1] : 1;
	if (by_activation && x->rank > 2) {
		rank = x->rank - 1;
		count = dims_count(rank, x->dims + 1);
	}
	for (size_t i = 1; !err && i < 5; i++) {
		if (rank == 1)
			err = check_vector(call, i, count);
		else if (tensor_count(call->inputs[i]) != count)
			err = op_fail(call, -EINVAL,
				      "BatchNormalization: input %zu must have one number for each of %lld", i,
				      (long long)count);
	}
	for (size_t i = 1; !err && !training && i < call->node->num_outputs; i++)
		if (op_wanted(call, i))
			err = op_fail(call, -EINVAL, "BatchNormalization: output %zu belongs to training", i);
	if (err || !op_wanted(call, 0))
		return err;
	if (training || rank > 1 || !all_f32(call))
		return general_batch_normalization(call, training, rank, count);
	err = op_output(call, 0, DTYPE_F32, x->rank, x->dims);
	if (err || !tensor_count(x))
		return err;
	job.count = spatial_count(x);
	job.x = x->data;
	job.y = call->outputs[0]->data;
	job.scale = call->inputs[1]->data;
	job.bias = call->inputs[2]->data;
	job.mean = call->inputs[3]->data;
	job.variance = call->inputs[4]->data;
	parallel_range(call->pool, x->dims[0] * job.channels, PARALLEL_GRAIN / job.count, normalize_by_channel, &job);
	return 0;
}

/*
 * Instance- and GroupNormalization on doubles: x is seen as [batch, @dims[1] groups, channels of a group, spatial], the
 * parameters begin at axis 1 and have @rank dims.
 */
static int general_group_normalization(struct op_call *call, const int64_t *dims, int rank)
{
	const struct tensor *x = call->inputs[0];
	struct general g = {.n = {.epsilon = (double)op_attr_float(call->node, "epsilon", 1e-5f)}};
	int err = general_start(call, &g, 4, dims);

	g.n.over[2] = g.n.over[3] = true;
	if (!err) {
		g.n.scale = general_operand(&g, 1, 1, rank, dims + 1);
		g.n.bias = general_operand(&g, 2, 1, rank, dims + 1);
		normalize_run(&g.n, call->pool);
		err = general_output(call, 0, x->dtype, x->rank, x->dims, g.y.data);
	}
	general_finish(&g);
	return err;
}

static int run_instance_normalization(struct op_call *call)
{
	const struct tensor *x = call->inputs[0];
	struct planes job = {.epsilon = op_attr_float(call->node, "epsilon", 1e-5f)};
	int err = check_floats(call);

	if (!err && x->rank < 2)
		err = op_fail(call, -EINVAL, "InstanceNormalization: the input has rank %d, at least 2 is needed",
			      x->rank);
	for (size_t i = 1; !err && i < 3; i++)
		err = check_vector(call, i, x->dims[1]);
	if (!err && !all_f32(call))
		return general_group_normalization(call, (int64_t[]){x->dims[0], x->dims[1], 1, spatial_count(x)}, 1);
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
	int err = check_floats(call);

	if (!err && x->rank < 2)
		err = op_fail(call, -EINVAL, "GroupNormalization: the input has rank %d, at least 2 is needed",
			      x->rank);
	if (!err && (job.groups < 1 || x->dims[1] % job.groups))
		err = op_fail(call, -EINVAL, "GroupNormalization: %lld channels and num_groups %lld",
			      (long long)x->dims[1], (long long)job.groups);
	for (size_t i = 1; !err && i < 3; i++)
		err = check_vector(call, i, job.scale_by_group ? job.groups : x->dims[1]);
	if (!err && !all_f32(call))
		return general_group_normalization(
			call, (int64_t[]){x->dims[0], job.groups, x->dims[1] / job.groups, spatial_count(x)},
			job.scale_by_group ? 1 : 2);
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

/* @t stretches to @x without stretching x. */
static bool broadcasts_to(const struct tensor *t, const struct tensor *x)
{
	int64_t dims[TENSOR_MAX_RANK];
	int rank;

	return !broadcast_dims(x->rank, x->dims, t->rank, t->dims, &rank, dims) && rank == x->rank &&
	       !memcmp(dims, x->dims, (size_t)rank * sizeof(*dims));
}

/* Scale and bias stretch to x as NumPy has it; the statistics have x's shape with ones from @axis on. */
static int general_layer_normalization(struct op_call *call, int axis, enum dtype y_type, bool root_mean_square)
{
	const struct tensor *x = call->inputs[0];
	struct general g = {.n = {.epsilon = (double)op_attr_float(call->node, "epsilon", 1e-5f),
				  .form = root_mean_square ? NORMALIZE_SQUARES : NORMALIZE_VARIANCE}};
	enum dtype stash = (enum dtype)op_attr_int(call->node, "stash_type", DTYPE_F32);
	int64_t dims[TENSOR_MAX_RANK], rows = tensor_count(x) ? dims_count(axis, x->dims) : 0;
	double *statistics = calloc((size_t)rows * 2 + 1, sizeof(*statistics));
	int err = general_start(call, &g, x->rank, x->dims);

	if (!err && !statistics)
		err = -ENOMEM;
	for (int i = 0; i < x->rank; i++) {
		g.n.over[i] = i >= axis;
		dims[i] = i < axis ? x->dims[i] : 1;
	}
	for (size_t i = 1; !err && i < 3; i++) {
		const struct tensor *t = op_input(call, i);

		if (t)
			*(i == 1 ? &g.n.scale : &g.n.bias) =
				broadcasts_to(t, x) ? general_operand(&g, i, x->rank - t->rank, t->rank, t->dims)
						    : general_operand(&g, i, axis, x->rank - axis, x->dims + axis);
	}
	g.n.mean_out = statistics;
	g.n.variance_out = statistics + rows;
	if (!err) {
		normalize_run(&g.n, call->pool);
		err = general_output(call, 0, y_type, x->rank, x->dims, g.y.data);
	}
	for (int64_t i = 0; !err && i < rows; i++)
		g.n.variance_out[i] = 1 / sqrt(g.n.variance_out[i] + g.n.epsilon);
	if (!err && !root_mean_square)
		err = general_output(call, 1, stash, x->rank, dims, g.n.mean_out);
	if (!err)
		err = general_output(call, root_mean_square ? 1 : 2, stash, x->rank, dims, g.n.variance_out);
	general_finish(&g);
	free(statistics);
	return err;
}

/* Scale and bias of the same numbers in every row: as many as a row has, without a stretched axis. */
static bool repeats_rows(const struct tensor *t, const struct tensor *x, int axis)
{
	if (t->rank > x->rank - axis) /* leading ones */
		for (int i = 0; i < t->rank - (x->rank - axis); i++)
			if (t->dims[i] != 1)
				return false;
	return tensor_count(t) == dims_count(x->rank - axis, x->dims + axis);
}

static int layer_normalization(struct op_call *call, bool root_mean_square)
{
	const struct tensor *x = call->inputs[0];
	struct rows job = {.epsilon = op_attr_float(call->node, "epsilon", 1e-5f),
			   .root_mean_square = root_mean_square};
	int64_t axis = op_attr_int(call->node, "axis", -1), stash = op_attr_int(call->node, "stash_type", DTYPE_F32);
	int64_t dims[TENSOR_MAX_RANK];
	bool plain = all_f32(call) && stash == DTYPE_F32;
	int err = check_floats(call);

	if (!err && normalize_axis(&axis, x->rank))
		err = op_fail(call, -EINVAL, "%s: axis %lld of a tensor of rank %d", call->node->op_type,
			      (long long)axis, x->rank);
	if (!err && !dtype_is_float((enum dtype)stash))
		err = op_fail(call, -EINVAL, "%s: attribute stash_type is %lld, no float type", call->node->op_type,
			      (long long)stash);
	for (size_t i = 1; !err && i < 3; i++) {
		const struct tensor *t = op_input(call, i);

		if (t && !broadcasts_to(t, x) && !(tensor_count(t) == dims_count(x->rank - (int)axis, x->dims + axis)))
			return op_fail(call, -EINVAL, "%s: input %zu does not stretch to the shape of input 0",
				       call->node->op_type, i);
		plain = plain && (!t || repeats_rows(t, x, (int)axis));
	}
	if (err)
		return err;
	/* RMSNormalization's output has the type of the scale. */
	if (!plain)
		return general_layer_normalization(call, (int)axis, call->inputs[root_mean_square ? 1 : 0]->dtype,
						   root_mean_square);
	/* The statistics have the input's shape with ones where they were taken. */
	for (int i = 0; i < x->rank; i++)
		dims[i] = i < axis ? x->dims[i] : 1;
	for (size_t i = 0; !err && i < call->node->num_outputs; i++)
		err = op_output(call, i, DTYPE_F32, x->rank, i ? dims : x->dims);
	if (err || !op_wanted(call, 0) || !tensor_count(x))
		return err;
	job.n = dims_count(x->rank - (int)axis, x->dims + axis);
	job.x = x->data;
	job.y = call->outputs[0]->data;
	job.scale = call->inputs[1]->data;
	job.bias = op_input(call, 2) ? op_input(call, 2)->data : NULL;
	/* RMSNormalization in its ONNX Runtime form has the inverse as its second output, without the mean. */
	if (!root_mean_square && op_wanted(call, 1))
		job.mean = call->outputs[1]->data;
	if (op_wanted(call, root_mean_square ? 1 : 2))
		job.inverse = call->outputs[root_mean_square ? 1 : 2]->data;
	parallel_range(call->pool, tensor_count(x) / job.n, PARALLEL_GRAIN / 4 / job.n, normalize_rows, &job);
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

/* Mean and deviation stay float32 (stash_type); y and the sum of input and skip do not. */
static const signed char statistics_output[] = {0, -1, -1, 0};
static const struct op_widen statistics_in_f32 = {statistics_output};
/* RMSNormalization: y has the type of the scale. */
static const signed char scaled_output[] = {1, -1};
static const struct op_widen scaled_in_f32 = {scaled_output};
/* Running mean and variance have a type of their own since opset 14. */
static const signed char running_output[] = {0, 3, 4, 3, 4};
static const struct op_widen statistics_as_given = {running_output};

const struct op_kernel ops_normalization[] = {
	{"", "BatchNormalization", 1, 0, 5, 5, 1, 5, run_batch_normalization, NULL, NULL, &statistics_as_given},
	{"", "GroupNormalization", 18, 0, 3, 3, 1, 1, run_group_normalization, NULL, NULL, &op_half_in_f32},
	{"", "InstanceNormalization", 1, 0, 3, 3, 1, 1, run_instance_normalization, NULL, NULL, &op_half_in_f32},
	/* Before opset 17 as ONNX Runtime's extension in the same domain, with the same meaning. */
	{"", "LayerNormalization", 1, 0, 2, 3, 1, 3, run_layer_normalization, NULL, NULL, &statistics_in_f32},
	{"", "RMSNormalization", 1, 0, 2, 2, 1, 2, run_rms_normalization, NULL, NULL, &scaled_in_f32},
	{"", "SimplifiedLayerNormalization", 1, 0, 2, 2, 1, 2, run_rms_normalization, NULL, NULL, &scaled_in_f32},
	{"com.microsoft", "SkipLayerNormalization", 1, 0, 3, 5, 1, 4, run_skip_layer_normalization, NULL, NULL,
	 &statistics_in_f32},
	{"com.microsoft", "SkipSimplifiedLayerNormalization", 1, 0, 3, 4, 1, 4, run_skip_rms_normalization, NULL, NULL,
	 &statistics_in_f32},
};
const size_t ops_normalization_count = sizeof(ops_normalization) / sizeof(ops_normalization[0]);
