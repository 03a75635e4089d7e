// SPDX-License-Identifier: MIT
/*
 * ai.onnx.ml TreeEnsembleClassifier and TreeEnsembleRegressor: what becomes of the sums of an ensemble's votes, and the
 * operator TreeEnsemble that replaced both in version 5. ml_forest.c reads the attributes, ml_ensemble.c walks the trees.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/ml_forest.h"
#include "runtime/cpu/ml_scores.h"
#include "runtime/cpu/parallel.h"

/* Rows walked together, so that a tree is in the cache for all of them. */
#define ROW_BLOCK 64

/*
 * What prepare() keeps: the forest with float32 thresholds where the model has those, and the one with float64, made when a
 * float64 input first asks for it.
 */
struct tree_state {
	pthread_mutex_t lock; /* protects @wide */
	struct forest *forest, *wide;
};

static int prepare_form(const struct op_node *node, enum forest_form form, void **state)
{
	struct tree_state *own = calloc(1, sizeof(*own));
	int err;

	if (!own)
		return -ENOMEM;
	err = forest_create(node, form, false, &own->forest);
	if (err) {
		free(own);
		return err;
	}
	pthread_mutex_init(&own->lock, NULL);
	*state = own;
	return 0;
}

static int prepare_classifier(const struct op_node *node, const struct tensor *const *constants, void **state)
{
	(void)constants;
	return prepare_form(node, FOREST_CLASSIFIER, state);
}

static int prepare_regressor(const struct op_node *node, const struct tensor *const *constants, void **state)
{
	(void)constants;
	return prepare_form(node, FOREST_REGRESSOR, state);
}

static int prepare_ensemble(const struct op_node *node, const struct tensor *const *constants, void **state)
{
	(void)constants;
	return prepare_form(node, FOREST_ENSEMBLE, state);
}

static void release_forests(void *state)
{
	struct tree_state *own = state;

	forest_destroy(own->forest);
	forest_destroy(own->wide);
	pthread_mutex_destroy(&own->lock);
	free(own);
}

/*
 * struct tree_job - one call
 * @own:    a forest of this call alone, when the node was not prepared
 * @x:      input as the forest's type of number
 * @finish: what becomes of a row of sums; returns the class
 */
struct tree_job {
	const struct forest *forest;
	struct forest *own;
	struct tensor x;
	int64_t rows, stride, columns;
	enum ml_post post;
	void *scores; /* rows of @columns, of @dtype */
	enum dtype dtype;
	int32_t *winners;
	int err;
	int32_t (*finish)(const struct tree_job *job, const double *sums, float *scores);
};

/* The forest for this input: prepared, or made now. A model that does not parse is an error here, where a text can say so. */
static int find_forest(struct op_call *call, enum forest_form form, bool wide, struct tree_job *job)
{
	struct tree_state *state = call->state;
	int err = 0;

	if (!state) {
		err = forest_create(call->node, form, wide, &job->own);
		job->forest = job->own;
	} else if (!wide || state->forest->ensemble.wide) {
		job->forest = state->forest;
	} else {
		pthread_mutex_lock(&state->lock);
		if (!state->wide)
			err = forest_create(call->node, form, true, &state->wide);
		job->forest = state->wide;
		pthread_mutex_unlock(&state->lock);
	}
	if (!err && job->forest->err)
		err = op_fail(call, job->forest->err, "%s: %s", call->node->op_type, job->forest->error);
	return err;
}

static int start_job(struct op_call *call, enum forest_form form, struct tree_job *job)
{
	const struct tensor *x = call->inputs[0];
	int err = dtype_is_half(x->dtype) && form == FOREST_ENSEMBLE ? 0 : ml_check_number(call);

	if (!err && x->rank != 2 && !(x->rank == 1 && form != FOREST_ENSEMBLE))
		err = op_fail(call, -EINVAL, "%s: input 0 has rank %d, expected [N, F]", call->node->op_type, x->rank);
	if (!err)
		err = find_forest(call, form, x->dtype == DTYPE_F64, job);
	if (err)
		return err;
	job->rows = x->rank == 2 ? x->dims[0] : 1;
	job->stride = x->dims[x->rank - 1];
	job->columns = job->forest->ensemble.num_targets;
	job->dtype = DTYPE_F32;
	job->post = job->forest->post;
	if (job->forest->ensemble.features > job->stride)
		return op_fail(call, -EINVAL, "%s: the trees read feature %lld, input 0 has %lld", call->node->op_type,
			       (long long)job->forest->ensemble.features - 1, (long long)job->stride);
	return tensor_cast(x, job->forest->ensemble.wide ? DTYPE_F64 : DTYPE_F32, &job->x);
}

static void finish_row(const struct tree_job *job, int64_t row, const double *sums, float *floats)
{
	size_t size = dtype_size(job->dtype) * (size_t)job->columns;
	char *scores = (char *)job->scores + (size_t)row * size;
	int32_t winner = 0;

	if (job->dtype == DTYPE_F64 && job->post == ML_POST_NONE) {
		cast_row(DTYPE_F64, DTYPE_F64)((size_t)job->columns, sums, scores);
		return;
	}
	winner = job->finish(job, sums, floats);
	cast_row(DTYPE_F32, job->dtype)((size_t)job->columns, floats, scores);
	if (job->winners)
		job->winners[row] = winner;
}

/* Base values and averages, which are the same for every operator. */
static void complete_sums(const struct forest *forest, int64_t rows, double *sums)
{
	const struct ensemble *e = &forest->ensemble;

	for (int64_t row = 0; row < rows; row++)
		for (int64_t t = 0; t < e->num_targets; t++) {
			double *sum = &sums[row * e->num_targets + t];

			if (e->aggregate == AGGREGATE_AVERAGE && e->num_trees)
				*sum /= (double)e->num_trees;
			if (forest->num_base == (size_t)e->num_targets && !forest->classifier)
				*sum += forest->base[t];
		}
}

static void score_blocks(void *arg, int64_t begin, int64_t end)
{
	struct tree_job *job = arg;
	const struct ensemble *e = &job->forest->ensemble;
	size_t targets = (size_t)e->num_targets, cells = ROW_BLOCK * targets;
	size_t element = e->wide ? sizeof(double) : sizeof(float);
	double *sums = malloc(cells * sizeof(*sums));
	uint8_t *voted = malloc(cells);
	/* A binary classifier has one column more than it may have targets. */
	float *floats = malloc((targets + (size_t)job->columns) * sizeof(*floats));

	if (!sums || !voted || !floats)
		__atomic_store_n(&job->err, -ENOMEM, __ATOMIC_RELAXED);
	else
		for (int64_t row = begin; row < end; row += ROW_BLOCK) {
			int64_t rows = end - row < ROW_BLOCK ? end - row : ROW_BLOCK;

			for (size_t i = 0; i < cells; i++) {
				sums[i] = 0;
				voted[i] = 0;
			}
			ensemble_walk(e, (const char *)job->x.data + (size_t)(row * job->stride) * element, rows,
				      job->stride, sums, voted);
			complete_sums(job->forest, rows, sums);
			for (int64_t r = 0; r < rows; r++)
				finish_row(job, row + r, sums + (size_t)r * targets, floats);
		}
	free(sums);
	free(voted);
	free(floats);
}

static int run_job(struct op_call *call, struct tree_job *job)
{
	/* Some ten steps a tree. */
	int64_t work = (int64_t)job->forest->ensemble.num_trees * 16 + job->columns;

	parallel_range(call->pool, job->rows, PARALLEL_GRAIN / (work + 1) + 1, score_blocks, job);
	return job->err;
}

static void finish_job(struct tree_job *job)
{
	tensor_finish(&job->x);
	forest_destroy(job->own);
}

/* ---- regressors ---- */

static int32_t finish_regression(const struct tree_job *job, const double *sums, float *scores)
{
	for (int64_t t = 0; t < job->columns; t++)
		scores[t] = (float)sums[t];
	ml_post_apply(job->post, job->columns, scores);
	return 0;
}

static int run_regression(struct op_call *call, enum forest_form form)
{
	struct tree_job job = {.finish = finish_regression};
	int64_t dims[2];
	int err = start_job(call, form, &job);

	dims[0] = job.rows;
	dims[1] = job.columns;
	if (!err && form == FOREST_ENSEMBLE)
		job.dtype = call->inputs[0]->dtype;
	if (!err)
		err = op_output(call, 0, job.dtype, 2, dims);
	if (!err && op_wanted(call, 0)) {
		job.scores = call->outputs[0]->data;
		err = run_job(call, &job);
	}
	finish_job(&job);
	return err;
}

static int run_regressor(struct op_call *call)
{
	return run_regression(call, FOREST_REGRESSOR);
}

static int run_ensemble(struct op_call *call)
{
	enum dtype type = call->inputs[0]->dtype;

	if (type != DTYPE_F32 && type != DTYPE_F64 && type != DTYPE_F16)
		return op_fail(call, -EINVAL, "TreeEnsemble: input 0 is %s, allowed are float32, float64 and float16",
			       dtype_name(type));
	return run_regression(call, FOREST_ENSEMBLE);
}

/* ---- classifier ---- */

/*
 * Two classes of which only one has votes: its sum decides alone. Sums of positive weights are probabilities: against a
 * half, and class 0 has the rest when it is class 0's place that the votes are at. Others are margins: against zero, and
 * class 0 has the negative. A transform other than NONE and PROBIT takes margins (ONNX Runtime and ONNX's reference).
 */
static int32_t finish_one_sided(const struct tree_job *job, const double *sums, float *scores)
{
	const struct forest *forest = job->forest;
	bool complement = forest->all_positive && (job->post == ML_POST_NONE || job->post == ML_POST_PROBIT);
	float score = (float)(sums[forest->sole_class] + (forest->num_base ? forest->base[0] : 0));

	if (forest->sole_class == 0) {
		ml_post_binary(job->post, complement, score, scores);
	} else {
		scores[0] = 0;
		scores[1] = score;
		ml_post_apply(job->post, 2, scores);
	}
	return score > (complement ? 0.5f : 0);
}

static int32_t finish_classes(const struct tree_job *job, const double *sums, float *scores)
{
	const struct forest *forest = job->forest;
	int32_t winner;

	for (int64_t t = 0; t < job->columns; t++)
		scores[t] = (float)(sums[t] + (forest->num_base == (size_t)job->columns ? forest->base[t] : 0));
	winner = (int32_t)ml_largest(job->columns, scores);
	ml_post_apply(job->post, job->columns, scores);
	return winner;
}

static int run_classifier(struct op_call *call)
{
	struct tree_job job = {0};
	struct ml_labels labels;
	void *scratch = NULL;
	int64_t dims[2];
	int err = ml_labels_read(call, "classlabels_int64s", "classlabels_strings", &labels);

	if (!err)
		err = start_job(call, FOREST_CLASSIFIER, &job);
	if (!err) {
		job.columns = (int64_t)labels.count;
		job.finish = job.forest->one_sided && job.forest->num_base < 2 ? finish_one_sided : finish_classes;
		dims[0] = job.rows;
		dims[1] = job.columns;
		err = ml_labels_output(call, 0, &labels, job.rows);
	}
	if (!err)
		err = op_output(call, 1, DTYPE_F32, 2, dims);
	if (!err) {
		job.winners = calloc((size_t)job.rows + 1, sizeof(*job.winners));
		if (!op_wanted(call, 1))
			scratch = calloc((size_t)(job.rows * job.columns) + 1, sizeof(float));
		err = job.winners && (op_wanted(call, 1) || scratch) ? 0 : -ENOMEM;
	}
	if (!err) {
		job.scores = scratch ? scratch : call->outputs[1]->data;
		err = run_job(call, &job);
	}
	for (int64_t row = 0; !err && op_wanted(call, 0) && row < job.rows; row++)
		err = ml_label_set(call->outputs[0], row, &labels, (size_t)job.winners[row]);
	free(scratch);
	free(job.winners);
	finish_job(&job);
	return err;
}

const struct op_kernel ops_ml_tree[] = {
	{"ai.onnx.ml", "TreeEnsemble", 5, 0, 1, 1, 1, 1, run_ensemble, prepare_ensemble, release_forests, NULL},
	{"ai.onnx.ml", "TreeEnsembleClassifier", 1, 0, 1, 1, 1, 2, run_classifier, prepare_classifier, release_forests,
	 NULL},
	{"ai.onnx.ml", "TreeEnsembleRegressor", 1, 0, 1, 1, 1, 1, run_regressor, prepare_regressor, release_forests,
	 NULL},
};
const size_t ops_ml_tree_count = sizeof(ops_ml_tree) / sizeof(ops_ml_tree[0]);
