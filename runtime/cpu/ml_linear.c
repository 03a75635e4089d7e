// SPDX-License-Identifier: MIT
/*
 * ai.onnx.ml LinearClassifier and LinearRegressor: a product with the coefficients (one row of them a class or target),
 * intercepts, a transform of the scores.
 */
#include <errno.h>
#include <stdlib.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/ml_scores.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/row_stats.h"

/* @sums: of the model, before a binary model's second score; @columns: of the output */
struct linear {
	struct ml_rows x;
	int64_t sums, columns;
	const float *coefficients, *intercepts;
	struct ml_labels labels;
	enum ml_post post;
	float *scores;
	int32_t *winners; /* label of each row, NULL for a regressor */
};

static void score_row(const struct linear *job, int64_t row)
{
	const float *x = (const float *)job->x.x.data + row * job->x.features;
	float *scores = job->scores + row * job->columns;

	for (int64_t s = 0; s < job->sums; s++)
		scores[s] = (float)row_dot(job->x.features, x, job->coefficients + s * job->x.features) +
			    (job->intercepts ? job->intercepts[s] : 0);
	if (job->winners)
		job->winners[row] = job->sums < job->columns ? scores[0] > 0 : (int32_t)ml_largest(job->sums, scores);
	if (job->columns == job->sums)
		ml_post_apply(job->post, job->columns, scores);
	else /* what the other class gets is ONNX Runtime's choice */
		ml_post_binary(job->post, job->post == ML_POST_NONE || job->post == ML_POST_PROBIT, scores[0], scores);
}

static void score_rows(void *arg, int64_t begin, int64_t end)
{
	for (int64_t row = begin; row < end; row++)
		score_row(arg, row);
}

/* Coefficients and intercepts for job->sums rows of the input's features; input 0 becomes job->x. */
static int read_model(struct op_call *call, struct linear *job)
{
	size_t num_coefficients = op_attr_floats(call->node, "coefficients", &job->coefficients);
	size_t num_intercepts = op_attr_floats(call->node, "intercepts", &job->intercepts);
	int err = ml_post_read(call, &job->post);

	if (!err)
		err = ml_rows_read(call, &job->x);
	if (err)
		return err;
	if (job->sums < 1 || num_coefficients % (size_t)job->sums ||
	    num_coefficients / (size_t)job->sums != (size_t)job->x.features)
		return op_fail(
			call, -EINVAL,
			"%s: attribute coefficients has %zu values, expected %lld rows of the input's %lld features",
			call->node->op_type, num_coefficients, (long long)job->sums, (long long)job->x.features);
	if (num_intercepts && num_intercepts != (size_t)job->sums)
		return op_fail(call, -EINVAL, "%s: attribute intercepts has %zu values, expected %lld",
			       call->node->op_type, num_intercepts, (long long)job->sums);
	return 0;
}

static void run_scores(struct op_call *call, struct linear *job)
{
	int64_t work = job->sums * job->x.features;

	parallel_range(call->pool, job->x.rows, PARALLEL_GRAIN / (work + 1) + 1, score_rows, job);
}

static int run_linear_regressor(struct op_call *call)
{
	struct linear job = {.sums = op_attr_int(call->node, "targets", 1)};
	int64_t dims[2];
	int err = read_model(call, &job);

	job.columns = job.sums;
	dims[0] = job.x.rows;
	dims[1] = job.columns;
	if (!err)
		err = op_output(call, 0, DTYPE_F32, 2, dims);
	if (!err && op_wanted(call, 0)) {
		job.scores = call->outputs[0]->data;
		run_scores(call, &job);
	}
	tensor_finish(&job.x.x);
	return err;
}

/*
 * How many sums the model has. Two classes may have one, whose sign decides: ONNX Runtime goes by the number of
 * intercepts, so do the coefficients when there are none.
 */
static int64_t count_sums(const struct op_call *call, const struct ml_labels *labels)
{
	const struct tensor *x = call->inputs[0];
	const float *values;
	size_t num_intercepts = op_attr_floats(call->node, "intercepts", &values);
	size_t num_coefficients = op_attr_floats(call->node, "coefficients", &values);
	int64_t features = x->rank ? x->dims[x->rank - 1] : 0;

	if (num_intercepts)
		return (int64_t)num_intercepts;
	return labels->count == 2 && num_coefficients == (size_t)features ? 1 : (int64_t)labels->count;
}

static int run_linear_classifier(struct op_call *call)
{
	struct linear job = {0};
	struct tensor *out;
	float *scratch = NULL;
	int64_t dims[2];
	int err = ml_labels_read(call, "classlabels_ints", "classlabels_strings", &job.labels);

	if (err)
		return err;
	job.sums = count_sums(call, &job.labels);
	if ((size_t)job.sums != job.labels.count && !(job.sums == 1 && job.labels.count == 2))
		return op_fail(call, -EINVAL, "LinearClassifier: %zu labels and %lld intercepts", job.labels.count,
			       (long long)job.sums);
	err = read_model(call, &job);
	job.columns = (int64_t)job.labels.count;
	dims[0] = job.x.rows;
	dims[1] = job.columns;
	if (!err)
		err = ml_labels_output(call, 0, &job.labels, job.x.rows);
	if (!err)
		err = op_output(call, 1, DTYPE_F32, 2, dims);
	if (!err) {
		job.winners = calloc((size_t)job.x.rows + 1, sizeof(*job.winners));
		scratch = op_wanted(call, 1) ? NULL : calloc((size_t)(job.x.rows * job.columns) + 1, sizeof(*scratch));
		if (!job.winners || (!op_wanted(call, 1) && !scratch))
			err = -ENOMEM;
	}
	if (!err) {
		job.scores = scratch ? scratch : call->outputs[1]->data;
		run_scores(call, &job);
	}
	out = op_wanted(call, 0) ? call->outputs[0] : NULL;
	for (int64_t row = 0; !err && out && row < job.x.rows; row++)
		err = ml_label_set(out, row, &job.labels, (size_t)job.winners[row]);
	free(scratch);
	free(job.winners);
	tensor_finish(&job.x.x);
	return err;
}

const struct op_kernel ops_ml_linear[] = {
	{"ai.onnx.ml", "LinearClassifier", 1, 0, 1, 1, 1, 2, run_linear_classifier, NULL, NULL, NULL},
	{"ai.onnx.ml", "LinearRegressor", 1, 0, 1, 1, 1, 1, run_linear_regressor, NULL, NULL, NULL},
};
const size_t ops_ml_linear_count = sizeof(ops_ml_linear) / sizeof(ops_ml_linear[0]);
