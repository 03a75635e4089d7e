// SPDX-License-Identifier: MIT
/*
 * ai.onnx.ml SVMClassifier and SVMRegressor: support vector machines as libsvm trains them.
 *
 * C. Chang, C. Lin, "LIBSVM: a library for support vector machines" (ACM TIST 2:27, 2011): decision values one against one
 * (section 7), probabilities by Platt's sigmoid for each pair and the coupling of T. Wu, C. Lin, R. Weng (section 8,
 * second approach). Layout of the attributes: coefficient of support vector v in the pair of its class and another is at
 * row (the other class, less one where it is behind) of (classes - 1) rows.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/ml_scores.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/row_stats.h"

enum kernel_type { KERNEL_LINEAR, KERNEL_POLY, KERNEL_RBF, KERNEL_SIGMOID };

/*
 * @vectors: support vectors, 0 for a linear model, whose @coefficients are the classes' (or the target's) normals whatever
 *           the kernel is
 * @starts:  first support vector of each class
 * @pairs:   two-class machines of a classifier with support vectors
 */
struct svm {
	enum kernel_type kernel;
	float gamma, coef0, degree;
	struct ml_rows x;
	int64_t vectors, classes, pairs;
	const float *coefficients, *support, *rho, *prob_a, *prob_b;
	const int64_t *per_class;
	int64_t *starts;
	struct ml_labels labels;
	enum ml_post post;
	bool one_class;
	int64_t columns;
	float *scores;
	int32_t *winners;
	int err; /* of any thread */
};

static int read_kernel(struct op_call *call, struct svm *svm)
{
	static const char *const names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
	const float *params;
	size_t count = op_attr_floats(call->node, "kernel_params", &params), type = 0;

	while (type < 4 && !op_attr_is(call->node, "kernel_type", "LINEAR", names[type]))
		type++;
	if (type == 4)
		return op_fail(call, -EINVAL, "%s: attribute kernel_type is none of LINEAR, POLY, RBF and SIGMOID",
			       call->node->op_type);
	svm->kernel = (enum kernel_type)type;
	if (count && count != 3)
		return op_fail(call, -EINVAL,
			       "%s: attribute kernel_params has %zu values, expected gamma, coef0 and degree",
			       call->node->op_type, count);
	if (!count && svm->kernel != KERNEL_LINEAR)
		return op_fail(call, -EINVAL, "%s: kernel_type %s needs the attribute kernel_params",
			       call->node->op_type, names[type]);
	svm->gamma = count ? params[0] : 0;
	svm->coef0 = count ? params[1] : 0;
	svm->degree = count ? params[2] : 0;
	return 0;
}

static float kernel(const struct svm *svm, const float *x, const float *vector)
{
	int64_t n = svm->x.features;

	switch (svm->kernel) {
	case KERNEL_POLY:
		return powf(svm->gamma * (float)row_dot(n, x, vector) + svm->coef0, svm->degree);
	case KERNEL_SIGMOID:
		return tanhf(svm->gamma * (float)row_dot(n, x, vector) + svm->coef0);
	case KERNEL_RBF:
		return expf(-svm->gamma * (float)row_distance_squared(n, x, vector));
	case KERNEL_LINEAR:
		break;
	}
	return (float)row_dot(n, x, vector);
}

/* The attribute @name has @count values, or is an error. */
static int check_length(struct op_call *call, const char *name, size_t has, int64_t expected)
{
	if (has == (size_t)expected)
		return 0;
	return op_fail(call, -EINVAL, "%s: attribute %s has %zu values, expected %lld", call->node->op_type, name, has,
		       (long long)expected);
}

/* The sum over @columns of weights is at most INT64_MAX because the lists are in memory. */
static int check_support(struct op_call *call, struct svm *svm, int64_t rows)
{
	size_t num_support = op_attr_floats(call->node, "support_vectors", &svm->support);
	size_t num_coefficients = op_attr_floats(call->node, "coefficients", &svm->coefficients);
	int64_t expected;
	int err;

	if (__builtin_mul_overflow(svm->vectors, svm->x.features, &expected))
		expected = INT64_MAX;
	err = check_length(call, "support_vectors", num_support, expected);
	if (__builtin_mul_overflow(svm->vectors, rows, &expected))
		expected = INT64_MAX;
	return err ? err : check_length(call, "coefficients", num_coefficients, expected);
}

/* ---- regression ---- */

static void regress_rows(void *arg, int64_t begin, int64_t end)
{
	const struct svm *svm = arg;

	for (int64_t row = begin; row < end; row++) {
		const float *x = (const float *)svm->x.x.data + row * svm->x.features;
		double sum = (double)svm->rho[0];

		for (int64_t v = 0; v < svm->vectors; v++)
			sum += (double)svm->coefficients[v] *
			       (double)kernel(svm, x, svm->support + v * svm->x.features);
		if (!svm->vectors)
			sum += row_dot(svm->x.features, x, svm->coefficients);
		svm->scores[row] = svm->one_class ? (sum > 0 ? 1 : -1) : (float)sum;
		ml_post_apply(svm->post, 1, &svm->scores[row]);
	}
}

static int run_svm_regressor(struct op_call *call)
{
	struct svm svm = {.vectors = op_attr_int(call->node, "n_supports", 0),
			  .one_class = op_attr_int(call->node, "one_class", 0) != 0};
	int64_t dims[2] = {0, 1};
	int err = read_kernel(call, &svm);

	if (!err)
		err = ml_post_read(call, &svm.post);
	if (!err)
		err = ml_rows_read(call, &svm.x);
	if (err)
		return err;
	if (svm.vectors < 0)
		err = op_fail(call, -EINVAL, "SVMRegressor: attribute n_supports is %lld", (long long)svm.vectors);
	else if (svm.vectors)
		err = check_support(call, &svm, 1);
	else
		err = check_length(call, "coefficients", op_attr_floats(call->node, "coefficients", &svm.coefficients),
				   svm.x.features);
	if (!err && !op_attr_floats(call->node, "rho", &svm.rho))
		err = op_fail(call, -EINVAL, "SVMRegressor: attribute rho is missing");
	dims[0] = svm.x.rows;
	if (!err)
		err = op_output(call, 0, DTYPE_F32, 2, dims);
	if (!err && op_wanted(call, 0)) {
		svm.scores = call->outputs[0]->data;
		parallel_range(call->pool, svm.x.rows, PARALLEL_GRAIN / (svm.x.features * (svm.vectors + 1) + 1) + 1,
			       regress_rows, &svm);
	}
	tensor_finish(&svm.x.x);
	return err;
}

/* ---- classification ---- */

/* Coefficients of the support vectors of class @own in its machine against class @other. */
static const float *pair_coefficients(const struct svm *svm, int64_t own, int64_t other)
{
	return svm->coefficients + (other > own ? other - 1 : other) * svm->vectors + svm->starts[own];
}

static double class_part(const struct svm *svm, const float *kernels, int64_t own, int64_t other)
{
	const float *c = pair_coefficients(svm, own, other);
	double sum = 0;

	for (int64_t v = 0; v < svm->per_class[own]; v++)
		sum += (double)c[v] * (double)kernels[svm->starts[own] + v];
	return sum;
}

/* Decision values of all pairs, and how many pairs each class won. */
static void decide_pairs(const struct svm *svm, const float *x, float *kernels, float *decisions, int64_t *votes)
{
	int64_t pair = 0;

	for (int64_t v = 0; v < svm->vectors; v++)
		kernels[v] = kernel(svm, x, svm->support + v * svm->x.features);
	for (int64_t c = 0; c < svm->classes; c++)
		votes[c] = 0;
	for (int64_t i = 0; i < svm->classes; i++)
		for (int64_t j = i + 1; j < svm->classes; j++, pair++) {
			decisions[pair] = (float)(class_part(svm, kernels, i, j) + class_part(svm, kernels, j, i) +
						  (double)svm->rho[pair]);
			votes[decisions[pair] > 0 ? i : j]++;
		}
}

/*
 * Probabilities p of k classes from pairwise ones r[i * k + j] of i against j: minimizes the sum over pairs of
 * (r_ji p_i - r_ij p_j)^2 under sum p = 1 by the iteration of Wu, Lin and Weng (algorithm 2 there; LIBSVM section 8).
 * @q: k * k numbers of working memory, @qp: k.
 */
static void couple(int64_t k, const double *r, double *p, double *q, double *qp)
{
	double tolerance = 0.005 / (double)k;
	int64_t most = k > 100 ? k : 100;

	for (int64_t t = 0; t < k; t++) {
		p[t] = 1.0 / (double)k;
		q[t * k + t] = 0;
		for (int64_t j = 0; j < k; j++) {
			if (j == t)
				continue;
			q[t * k + t] += r[j * k + t] * r[j * k + t];
			q[t * k + j] = -r[j * k + t] * r[t * k + j];
		}
	}
	for (int64_t iteration = 0; iteration < most; iteration++) {
		double pqp = 0, error = 0;

		for (int64_t t = 0; t < k; t++) {
			qp[t] = 0;
			for (int64_t j = 0; j < k; j++)
				qp[t] += q[t * k + j] * p[j];
			pqp += p[t] * qp[t];
		}
		for (int64_t t = 0; t < k; t++)
			error = fmax(error, fabs(qp[t] - pqp));
		if (error < tolerance)
			return;
		for (int64_t t = 0; t < k; t++) {
			double step = (pqp - qp[t]) / q[t * k + t];

			p[t] += step;
			pqp = (pqp + step * (step * q[t * k + t] + 2 * qp[t])) / (1 + step) / (1 + step);
			for (int64_t j = 0; j < k; j++) {
				qp[j] = (qp[j] + step * q[t * k + j]) / (1 + step);
				p[j] /= 1 + step;
			}
		}
	}
}

/* Platt's sigmoid of each pair, kept off 0 and 1, then the coupling. @work: 2 k^2 + 2 k numbers. */
static void probabilities(const struct svm *svm, const float *decisions, double *work, float *scores)
{
	int64_t k = svm->classes, pair = 0;
	double *r = work, *q = r + k * k, *p = q + k * k, *qp = p + k;

	for (int64_t i = 0; i < k; i++)
		for (int64_t j = i + 1; j < k; j++, pair++) {
			double value = (double)decisions[pair] * (double)svm->prob_a[pair] + (double)svm->prob_b[pair];
			double probability = 1 / (1 + exp(value));

			probability = fmin(fmax(probability, 1e-7), 1 - 1e-7);
			r[i * k + j] = probability;
			r[j * k + i] = 1 - probability;
		}
	couple(k, r, p, q, qp);
	for (int64_t c = 0; c < k; c++)
		scores[c] = (float)p[c];
}

/* Working memory of a thread. */
struct svm_work {
	float *kernels, *decisions;
	int64_t *votes;
	double *coupling;
};

static int svm_work_init(const struct svm *svm, struct svm_work *work)
{
	size_t k = (size_t)svm->classes;

	work->kernels = calloc((size_t)svm->vectors + 1, sizeof(float));
	work->decisions = calloc((size_t)(svm->pairs > svm->classes ? svm->pairs : svm->classes) + 1, sizeof(float));
	work->votes = calloc(k + 1, sizeof(int64_t));
	work->coupling = calloc(2 * k * k + 2 * k + 1, sizeof(double));
	return work->kernels && work->decisions && work->votes && work->coupling ? 0 : -ENOMEM;
}

static void svm_work_finish(struct svm_work *work)
{
	free(work->kernels);
	free(work->decisions);
	free(work->votes);
	free(work->coupling);
}

/* Scores of one row before the transform, @count of them in @scores; returns the label. */
static int32_t classify_row(const struct svm *svm, const float *x, struct svm_work *work, float *scores, int64_t *count)
{
	int32_t winner = 0;

	if (!svm->vectors) {
		*count = svm->classes;
		for (int64_t c = 0; c < svm->classes; c++)
			scores[c] = (float)row_dot(svm->x.features, x, svm->coefficients + c * svm->x.features) +
				    svm->rho[0];
		return (int32_t)ml_largest(svm->classes, scores);
	}
	decide_pairs(svm, x, work->kernels, work->decisions, work->votes);
	*count = svm->prob_a ? svm->classes : svm->pairs;
	if (svm->prob_a)
		probabilities(svm, work->decisions, work->coupling, scores);
	else
		memcpy(scores, work->decisions, (size_t)svm->pairs * sizeof(*scores));
	/* By the machines' votes even where there are probabilities, which may say otherwise: libsvm's svm_predict(). */
	for (int32_t c = 1; c < svm->classes; c++)
		if (work->votes[c] > work->votes[winner])
			winner = c;
	return winner;
}

static void classify_rows(void *arg, int64_t begin, int64_t end)
{
	struct svm *svm = arg;
	struct svm_work work = {0};
	int err = svm_work_init(svm, &work);

	for (int64_t row = begin; row < end && !err; row++) {
		float *scores = svm->scores + row * svm->columns;
		int64_t count;

		svm->winners[row] =
			classify_row(svm, (const float *)svm->x.x.data + row * svm->x.features, &work, scores, &count);
		if (count == svm->columns)
			ml_post_apply(svm->post, count, scores);
		else
			ml_post_binary(svm->post, false, scores[0], scores);
	}
	if (err)
		__atomic_store_n(&svm->err, err, __ATOMIC_RELAXED);
	svm_work_finish(&work);
}

/* Vectors of each class, their sum, where each starts; then the lengths of everything that goes with them. */
static int read_vectors(struct op_call *call, struct svm *svm)
{
	size_t num_a = op_attr_floats(call->node, "prob_a", &svm->prob_a);
	size_t num_b = op_attr_floats(call->node, "prob_b", &svm->prob_b);
	size_t num_rho = op_attr_floats(call->node, "rho", &svm->rho);
	int err = check_length(call, "vectors_per_class",
			       op_attr_ints(call->node, "vectors_per_class", &svm->per_class), svm->classes);

	svm->starts = calloc((size_t)svm->classes + 1, sizeof(*svm->starts));
	if (!err && !svm->starts)
		err = -ENOMEM;
	for (int64_t c = 0; c < svm->classes && !err; c++) {
		svm->starts[c] = svm->vectors;
		if (svm->per_class[c] < 0 || __builtin_add_overflow(svm->vectors, svm->per_class[c], &svm->vectors))
			err = op_fail(call, -EINVAL, "SVMClassifier: entry %lld of vectors_per_class is %lld",
				      (long long)c, (long long)svm->per_class[c]);
	}
	if (!err && !svm->vectors)
		err = op_fail(call, -EINVAL, "SVMClassifier: vectors_per_class counts no vector");
	if (!err)
		err = check_support(call, svm, svm->classes - 1);
	svm->pairs = svm->classes * (svm->classes - 1) / 2;
	if (!err)
		err = check_length(call, "rho", num_rho, svm->pairs);
	if (!err && num_a)
		err = check_length(call, "prob_a", num_a, svm->pairs);
	if (!err && num_a)
		err = check_length(call, "prob_b", num_b, svm->pairs);
	svm->columns = num_a ? svm->classes : svm->pairs == 1 ? 2 : svm->pairs;
	return err;
}

static int read_linear(struct op_call *call, struct svm *svm)
{
	size_t num_coefficients = op_attr_floats(call->node, "coefficients", &svm->coefficients);
	int64_t expected;

	if (__builtin_mul_overflow(svm->classes, svm->x.features, &expected))
		expected = INT64_MAX;
	svm->columns = svm->classes;
	if (!op_attr_floats(call->node, "rho", &svm->rho))
		return op_fail(call, -EINVAL, "SVMClassifier: attribute rho is missing");
	return check_length(call, "coefficients", num_coefficients, expected);
}

static int read_classifier(struct op_call *call, struct svm *svm)
{
	const int64_t *per_class;
	int err = ml_labels_read(call, "classlabels_ints", "classlabels_strings", &svm->labels);

	if (!err)
		err = read_kernel(call, svm);
	if (!err)
		err = ml_post_read(call, &svm->post);
	if (!err)
		err = ml_rows_read(call, &svm->x);
	if (err)
		return err;
	svm->classes = (int64_t)svm->labels.count;
	if (svm->classes < 2)
		return op_fail(call, -EINVAL, "SVMClassifier: one class label, at least two are needed");
	return op_attr_ints(call->node, "vectors_per_class", &per_class) ? read_vectors(call, svm)
									 : read_linear(call, svm);
}

static int run_svm_classifier(struct op_call *call)
{
	struct svm svm = {0};
	float *scratch = NULL;
	int64_t dims[2];
	int err = read_classifier(call, &svm);

	dims[0] = svm.x.rows;
	dims[1] = svm.columns;
	if (!err)
		err = ml_labels_output(call, 0, &svm.labels, svm.x.rows);
	if (!err)
		err = op_output(call, 1, DTYPE_F32, 2, dims);
	if (!err) {
		svm.winners = calloc((size_t)svm.x.rows + 1, sizeof(*svm.winners));
		if (!op_wanted(call, 1))
			scratch = calloc((size_t)(svm.x.rows * svm.columns) + 1, sizeof(*scratch));
		if (!svm.winners || (!op_wanted(call, 1) && !scratch))
			err = -ENOMEM;
	}
	if (!err) {
		svm.scores = scratch ? scratch : call->outputs[1]->data;
		parallel_range(call->pool, svm.x.rows, PARALLEL_GRAIN / (svm.x.features * (svm.vectors + 1) + 1) + 1,
			       classify_rows, &svm);
		err = svm.err;
	}
	for (int64_t row = 0; !err && op_wanted(call, 0) && row < svm.x.rows; row++)
		err = ml_label_set(call->outputs[0], row, &svm.labels, (size_t)svm.winners[row]);
	free(scratch);
	free(svm.winners);
	free(svm.starts);
	tensor_finish(&svm.x.x);
	return err;
}

const struct op_kernel ops_ml_svm[] = {
	{"ai.onnx.ml", "SVMClassifier", 1, 0, 1, 1, 1, 2, run_svm_classifier, NULL, NULL, NULL},
	{"ai.onnx.ml", "SVMRegressor", 1, 0, 1, 1, 1, 1, run_svm_regressor, NULL, NULL, NULL},
};
const size_t ops_ml_svm_count = sizeof(ops_ml_svm) / sizeof(ops_ml_svm[0]);
