// SPDX-License-Identifier: MIT
/*
 * Losses: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.
 *
 * Scores are [batch, classes, positions…], targets [batch, positions…]. Both operators are the same sum of -weight *
 * log probability at the target; the second one takes the logarithm of the softmax over the classes first. Computed in
 * double, rounded once.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/work_type.h"

enum loss_reduction { LOSS_MEAN, LOSS_SUM, LOSS_NONE };

/*
 * struct loss - one call; tensors are f64 and owned, targets s64
 */
struct loss {
	enum loss_reduction reduction;
	bool ignores;
	int64_t ignored;
	int64_t batch, classes, positions;
	struct tensor scores, targets, weights, losses;
};

static void finish_loss(struct loss *l)
{
	tensor_finish(&l->scores);
	tensor_finish(&l->targets);
	tensor_finish(&l->weights);
	tensor_finish(&l->losses);
}

static int read_loss(struct op_call *call, struct loss *l)
{
	const struct op_node *node = call->node;
	const struct tensor *scores = call->inputs[0], *targets = call->inputs[1], *weights = op_input(call, 2);
	bool fits = scores->rank >= 2 && targets->rank == scores->rank - 1 && targets->dims[0] == scores->dims[0];
	int err;

	memset(l, 0, sizeof(*l));
	if (op_attr_is(node, "reduction", "mean", "sum"))
		l->reduction = LOSS_SUM;
	else if (op_attr_is(node, "reduction", "mean", "none"))
		l->reduction = LOSS_NONE;
	else if (!op_attr_is(node, "reduction", "mean", "mean"))
		return op_fail(call, -EINVAL, "%s: attribute reduction is none of mean, sum, none", node->op_type);
	for (int i = 2; fits && i < scores->rank; i++)
		fits = targets->dims[i - 1] == scores->dims[i];
	if (!fits || !dtype_is_float(scores->dtype))
		return op_fail(call, -EINVAL, "%s: targets (input 1) do not fit the scores (input 0)", node->op_type);
	if (weights && (weights->rank != 1 || weights->dims[0] != scores->dims[1] || !dtype_is_float(weights->dtype)))
		return op_fail(call, -EINVAL, "%s: weights (input 2) are not one float a class", node->op_type);
	l->batch = scores->dims[0];
	l->classes = scores->dims[1];
	l->positions = dims_count(scores->rank - 2, scores->dims + 2);
	l->ignores = op_attr(node, "ignore_index") != NULL;
	l->ignored = op_attr_int(node, "ignore_index", 0);
	if (l->positions < 0)
		return op_fail(call, -EOVERFLOW, "%s: the dimensions overflow", node->op_type);
	err = op_input_s64(call, 1, false, &l->targets);
	if (!err)
		err = tensor_cast(scores, DTYPE_F64, &l->scores);
	if (!err && weights)
		err = tensor_cast(weights, DTYPE_F64, &l->weights);
	if (!err)
		err = tensor_init(&l->losses, DTYPE_F64, targets->rank, targets->dims);
	for (int64_t i = 0; !err && i < tensor_count(&l->targets); i++) {
		int64_t target = ((int64_t *)l->targets.data)[i];

		if ((target < 0 || target >= l->classes) && !(l->ignores && target == l->ignored))
			err = op_fail(call, -EINVAL, "%s: target %" PRId64 " (input 1) of %" PRId64 " classes",
				      node->op_type, target, l->classes);
	}
	return err;
}

/* log(softmax) over the classes into @out, which may be the scores. */
static void log_softmax(const struct loss *l, double *out)
{
	const double *in = l->scores.data;

	for (int64_t p = 0; p < l->batch * l->positions; p++) {
		int64_t first = p / l->positions * l->classes * l->positions + p % l->positions;
		double sum = 0;
		double most = -INFINITY;

		for (int64_t c = 0; c < l->classes; c++)
			most = fmax(most, in[first + c * l->positions]);
		for (int64_t c = 0; c < l->classes; c++)
			sum += exp(in[first + c * l->positions] - most);
		for (int64_t c = 0; c < l->classes; c++)
			out[first + c * l->positions] = in[first + c * l->positions] - most - log(sum);
	}
}

/* The loss of every position from log probabilities; returns the sum and, in *weight, what the mean divides by. */
static double sum_losses(const struct loss *l, const double *logs, double *weight)
{
	const int64_t *targets = l->targets.data;
	double *losses = l->losses.data;
	double sum = 0;

	*weight = 0;
	for (int64_t p = 0; p < l->batch * l->positions; p++) {
		int64_t first = p / l->positions * l->classes * l->positions + p % l->positions;
		double w = 1;

		losses[p] = 0;
		if (l->ignores && targets[p] == l->ignored)
			continue;
		if (l->weights.data)
			w = ((double *)l->weights.data)[targets[p]];
		losses[p] = -w * logs[first + targets[p] * l->positions];
		sum += losses[p];
		*weight += w;
	}
	return sum;
}

static int write_loss(struct op_call *call, const struct loss *l, const double *logs)
{
	double weight, sum = sum_losses(l, logs, &weight);
	struct tensor scalar;
	double value = l->reduction == LOSS_MEAN ? sum / weight : sum;
	int err;

	if (!op_wanted(call, 0))
		return 0;
	if (l->reduction == LOSS_NONE)
		return op_output_cast(call, 0, call->inputs[0]->dtype, &l->losses);
	err = tensor_init_view(&scalar, DTYPE_F64, 0, NULL, &value, sizeof(value));
	return err ? err : op_output_cast(call, 0, call->inputs[0]->dtype, &scalar);
}

static int run_nll(struct op_call *call)
{
	struct loss l;
	int err = read_loss(call, &l);

	if (!err)
		err = write_loss(call, &l, l.scores.data);
	finish_loss(&l);
	return err;
}

static int run_softmax_cross_entropy(struct op_call *call)
{
	struct tensor logs = {0};
	struct loss l;
	int err = read_loss(call, &l);

	if (!err)
		err = tensor_init(&logs, DTYPE_F64, l.scores.rank, l.scores.dims);
	if (!err) {
		log_softmax(&l, logs.data);
		err = write_loss(call, &l, logs.data);
	}
	if (!err && call->node->num_outputs > 1 && op_wanted(call, 1))
		err = op_output_cast(call, 1, call->inputs[0]->dtype, &logs);
	tensor_finish(&logs);
	finish_loss(&l);
	return err;
}

const struct op_kernel ops_loss[] = {
	{"", "NegativeLogLikelihoodLoss", 12, 0, 2, 3, 1, 1, run_nll},
	{"", "SoftmaxCrossEntropyLoss", 12, 0, 2, 3, 1, 2, run_softmax_cross_entropy},
};
const size_t ops_loss_count = sizeof(ops_loss) / sizeof(ops_loss[0]);
