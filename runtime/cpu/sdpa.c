// SPDX-License-Identifier: MIT
/*
 * Scaled dot-product attention: see sdpa.h.
 */
#include "runtime/cpu/sdpa.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/row_stats.h"
#include "runtime/cpu/scratch.h"
#include "runtime/cpu/sgemm.h"
#include "runtime/cpu/vector_math.h"

/* Queries and keys of a block: its scores stay in the second-level cache, and a multiple of sgemm's rows. */
#define BLOCK_QUERIES 48
#define BLOCK_KEYS 256

struct job {
	const struct sdpa *a;
	int64_t query_blocks, block_keys;
	atomic_int err;
};

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Every limit but the bias is a range: keys [*first, *last) are those that query @i of batch element @b may see. */
static void visible_keys(const struct sdpa *a, int64_t b, int64_t i, int64_t *first, int64_t *last)
{
	int64_t position = i + (a->offset ? a->offset[b] : 0);

	*first = a->left >= 0 && position > a->left ? position - a->left : 0;
	*last = a->valid ? smaller(a->valid[b], a->keys) : a->keys;
	if (a->bias)
		*last = smaller(*last, a->bias_keys);
	if (a->causal)
		*last = smaller(*last, position + 1);
	/* A position may lie before the first key, by as many as there are queries. */
	if (a->right >= 0)
		*last = smaller(*last, position + smaller(a->right, a->keys + a->queries) + 1);
	*last = larger(*last, 0);
	*first = smaller(*first, *last);
}

static int64_t bias_offset(const struct sdpa *a, int64_t b, int64_t h, int64_t i)
{
	return b * a->bias_strides[0] + h * a->bias_strides[1] + i * a->bias_strides[2];
}

static int64_t row_offset(const struct sdpa_rows *rows, int64_t b, int64_t h, int64_t i)
{
	return b * rows->batch + h * rows->head + i * rows->row;
}

/* ---- float32: block by block ---- */

/*
 * struct block - what a thread works with: one block of queries, one block of keys
 * @queries, @probabilities: packed for sgemm
 * @scores: [rows][stride]; @values: weighted sums [rows][value_size]; @product: the current block's part of them
 * @largest, @sum: by query
 */
struct block {
	int64_t rows, stride;
	float *queries, *probabilities, *scores, *values, *product, *largest;
	double *sum;
};

static size_t take(size_t *total, size_t bytes)
{
	size_t at = *total;

	*total += (bytes + 63) / 64 * 64;
	return at;
}

static bool block_memory(const struct job *job, struct block *block)
{
	const struct sdpa *a = job->a;
	size_t total = 0, cell = BLOCK_QUERIES * sizeof(float);
	size_t queries = take(&total, sgemm_packed_size(BLOCK_QUERIES, a->head_size));
	size_t probabilities = take(&total, sgemm_packed_size(BLOCK_QUERIES, job->block_keys));
	size_t scores = take(&total, cell * (size_t)job->block_keys);
	size_t values = take(&total, cell * (size_t)a->value_size);
	size_t product = take(&total, cell * (size_t)a->value_size);
	size_t largest = take(&total, cell);
	size_t sum = take(&total, BLOCK_QUERIES * sizeof(double));
	char *memory = scratch_get_for(SCRATCH_TILE, total);

	if (!memory)
		return false;
	block->queries = (float *)(memory + queries);
	block->probabilities = (float *)(memory + probabilities);
	block->scores = (float *)(memory + scores);
	block->values = (float *)(memory + values);
	block->product = (float *)(memory + product);
	block->largest = (float *)(memory + largest);
	block->sum = (double *)(memory + sum);
	block->stride = job->block_keys;
	return true;
}

/* C [m][n] = packed A times the matrix B. */
static int multiply(int64_t m, int64_t n, int64_t k, const float *packed, const struct sgemm_matrix *b, float *c,
		    int64_t c_stride)
{
	const struct sgemm product = {.m = m,
				      .n = n,
				      .k = k,
				      .a = packed,
				      .fill_b = sgemm_fill_matrix,
				      .arg = b,
				      .c = c,
				      .c_stride = c_stride};

	return sgemm_block(&product, 0, m, 0, n);
}

CPU_CLONES static void cap_row(int64_t n, float cap, float *x)
{
	for (int64_t i = 0; i < n; i++)
		x[i] = cap * vector_tanhf(x[i] / cap);
}

CPU_CLONES static void add_row(int64_t n, const float *bias, int64_t step, float *x)
{
	if (step)
		for (int64_t i = 0; i < n; i++)
			x[i] += bias[i];
	else
		for (int64_t i = 0; i < n; i++)
			x[i] += bias[0];
}

/* x = e^(x - shift); -infinity becomes 0 exactly. */
CPU_CLONES static void exp_row(int64_t n, float shift, float *x)
{
	for (int64_t i = 0; i < n; i++)
		x[i] = x[i] == -INFINITY ? 0 : vector_expf(x[i] - shift);
}

static void hide(float *x, int64_t begin, int64_t end)
{
	for (int64_t j = begin; j < end; j++)
		x[j] = -INFINITY;
}

/* Where the scores of query @i go, from key @key on, when step @stage is the one that is wanted. */
static void store_scores(const struct sdpa *a, enum sdpa_stage stage, int64_t b, int64_t h, int64_t i, int64_t key,
			 int64_t n, const float *x)
{
	if (a->scores && a->stage == stage)
		memcpy((float *)a->scores + ((b * a->heads + h) * a->queries + i) * a->keys + key, x, n * sizeof(*x));
}

/* The scores @x of query @i against keys [key, key + n): from the product to what the softmax sees. */
static void finish_scores(const struct sdpa *a, int64_t b, int64_t h, int64_t i, int64_t key, int64_t n, float *x)
{
	int64_t first, last;

	store_scores(a, SDPA_PRODUCT, b, h, i, key, n, x);
	if (a->softcap > 0)
		cap_row(n, (float)a->softcap, x);
	store_scores(a, SDPA_CAPPED, b, h, i, key, n, x);
	visible_keys(a, b, i, &first, &last);
	first = smaller(larger(first - key, 0), n);
	last = smaller(larger(last - key, first), n);
	if (a->bias)
		add_row(last - first,
			(const float *)a->bias + bias_offset(a, b, h, i) + (key + first) * a->bias_strides[3],
			a->bias_strides[3], x + first);
	hide(x, 0, first);
	hide(x, last, n);
	store_scores(a, SDPA_BIASED, b, h, i, key, n, x);
}

/* Take the scores of one query into its running softmax: @x becomes exponentials, older sums shrink to the new scale. */
static void accumulate_row(const struct sdpa *a, struct block *block, int64_t row, int64_t n, float *x)
{
	float before = block->largest[row], now = fmaxf(before, row_max(n, x));

	block->largest[row] = now;
	if (now == -INFINITY) {
		/* Nothing to see so far; or nothing but NaN, which must not get lost. */
		if (isnan(row_sum(n, x)))
			block->sum[row] = NAN;
		memset(x, 0, n * sizeof(*x));
		return;
	}
	if (before != now && before != -INFINITY) {
		float shrink = expf(before - now);

		block->sum[row] *= shrink;
		row_affine(a->value_size, block->values + row * a->value_size, shrink, 0,
			   block->values + row * a->value_size);
	}
	exp_row(n, now, x);
	block->sum[row] += row_sum(n, x);
}

static int add_keys(const struct sdpa *a, struct block *block, int64_t b, int64_t h, int64_t query, int64_t key,
		    int64_t n)
{
	int64_t group = a->heads / a->kv_heads, total = block->rows * a->value_size;
	const struct sgemm_matrix keys = {(const float *)a->k.data + row_offset(&a->k, b, h / group, key), 1, a->k.row};
	const struct sgemm_matrix values = {(const float *)a->v.data + row_offset(&a->v, b, h / group, key), a->v.row,
					    1};
	int err = multiply(block->rows, n, a->head_size, block->queries, &keys, block->scores, block->stride);

	if (err)
		return err;
	for (int64_t row = 0; row < block->rows; row++) {
		float *x = block->scores + row * block->stride;

		finish_scores(a, b, h, query + row, key, n, x);
		accumulate_row(a, block, row, n, x);
	}
	sgemm_pack(block->rows, n, block->scores, block->stride, 1, block->probabilities);
	err = multiply(block->rows, a->value_size, n, block->probabilities, &values, block->product, a->value_size);
	if (!err)
		add_row(total, block->product, 1, block->values);
	return err;
}

/* What the sink of head @h adds to a sum of exponentials that are relative to @largest. */
static double sink_share(const struct sdpa *a, int64_t h, double largest)
{
	return a->sinks ? exp((double)a->sinks[h] - largest) : 0;
}

/* Sums to averages, into Y; and the probabilities, when they are wanted: all keys were one block then. */
static void finish_rows(const struct sdpa *a, struct block *block, int64_t b, int64_t h, int64_t query)
{
	for (int64_t row = 0; row < block->rows; row++) {
		double sum = block->sum[row];
		float scale = sum != 0 ? (float)(1 / (sum + sink_share(a, h, (double)block->largest[row]))) : 0;
		float *x = block->scores + row * block->stride;

		row_affine(a->value_size, block->values + row * a->value_size, scale, 0,
			   (float *)a->y.data + row_offset(&a->y, b, h, query + row));
		if (!a->scores || a->stage != SDPA_PROBABILITY)
			continue;
		row_affine(a->keys, x, scale, 0, x);
		store_scores(a, SDPA_PROBABILITY, b, h, query + row, 0, a->keys, x);
	}
}

static int attend_block(const struct job *job, struct block *block, int64_t b, int64_t h, int64_t query)
{
	const struct sdpa *a = job->a;
	int64_t from = a->keys, to = 0;

	block->rows = smaller(a->queries - query, BLOCK_QUERIES);
	sgemm_pack(block->rows, a->head_size, (const float *)a->q.data + row_offset(&a->q, b, h, query), a->q.row, 1,
		   block->queries);
	row_affine((int64_t)(sgemm_packed_size(block->rows, a->head_size) / sizeof(float)), block->queries,
		   (float)a->scale, 0, block->queries);
	memset(block->values, 0, block->rows * a->value_size * sizeof(float));
	for (int64_t row = 0; row < block->rows; row++) {
		int64_t first, last;

		block->largest[row] = -INFINITY;
		block->sum[row] = 0;
		visible_keys(a, b, query + row, &first, &last);
		from = smaller(from, first);
		to = larger(to, last);
	}
	if (a->scores) {
		from = 0;
		to = a->keys;
	}
	for (int64_t key = from; key < to; key += job->block_keys) {
		int err = add_keys(a, block, b, h, query, key, smaller(to - key, job->block_keys));

		if (err)
			return err;
	}
	finish_rows(a, block, b, h, query);
	return 0;
}

/* Blocks [begin, end) of queries, counted through heads and batch. */
static void attend_blocks(void *arg, int64_t begin, int64_t end)
{
	struct job *job = arg;
	struct block block = {0};
	int err = block_memory(job, &block) ? 0 : -ENOMEM;

	for (int64_t i = begin; !err && i < end; i++) {
		int64_t plane = i / job->query_blocks;

		err = attend_block(job, &block, plane / job->a->heads, plane % job->a->heads,
				   i % job->query_blocks * BLOCK_QUERIES);
	}
	if (err)
		atomic_store_explicit(&job->err, err, memory_order_relaxed);
}

/* ---- float64: row by row ---- */

static void store_scores_f64(const struct sdpa *a, enum sdpa_stage stage, int64_t row, const double *x)
{
	if (a->scores && a->stage == stage)
		memcpy((double *)a->scores + row * a->keys, x, a->keys * sizeof(*x));
}

/* Exponentials of the visible ones of @x, which becomes probabilities; all zeros when there are none. */
static void softmax_f64(const struct sdpa *a, int64_t h, int64_t n, double *x)
{
	double most = -INFINITY, sum = 0;

	for (int64_t j = 0; j < n; j++)
		most = x[j] > most || x[j] != x[j] ? x[j] : most;
	for (int64_t j = 0; j < n; j++) {
		x[j] = x[j] == -INFINITY ? 0 : exp(x[j] - most);
		sum += x[j];
	}
	if (sum == 0)
		return;
	sum += sink_share(a, h, most);
	for (int64_t j = 0; j < n; j++)
		x[j] /= sum;
}

static void attend_row_f64(const struct sdpa *a, int64_t row, double *x)
{
	int64_t i = row % a->queries, h = row / a->queries % a->heads, b = row / a->queries / a->heads;
	int64_t kv_head = h / (a->heads / a->kv_heads), first, last;
	const double *q = (const double *)a->q.data + row_offset(&a->q, b, h, i);
	const double *v = (const double *)a->v.data + row_offset(&a->v, b, kv_head, 0);
	const double *bias = a->bias ? (const double *)a->bias + bias_offset(a, b, h, i) : NULL;
	double *y = (double *)a->y.data + row_offset(&a->y, b, h, i);

	for (int64_t j = 0; j < a->keys; j++) {
		const double *k = (const double *)a->k.data + row_offset(&a->k, b, kv_head, j);

		x[j] = 0;
		for (int64_t d = 0; d < a->head_size; d++)
			x[j] += q[d] * k[d];
		x[j] *= a->scale;
	}
	store_scores_f64(a, SDPA_PRODUCT, row, x);
	for (int64_t j = 0; a->softcap > 0 && j < a->keys; j++)
		x[j] = a->softcap * tanh(x[j] / a->softcap);
	store_scores_f64(a, SDPA_CAPPED, row, x);
	visible_keys(a, b, i, &first, &last);
	for (int64_t j = 0; j < a->keys; j++)
		x[j] = j < first || j >= last ? -INFINITY : x[j] + (bias ? bias[j * a->bias_strides[3]] : 0);
	store_scores_f64(a, SDPA_BIASED, row, x);
	softmax_f64(a, h, a->keys, x);
	store_scores_f64(a, SDPA_PROBABILITY, row, x);
	memset(y, 0, a->value_size * sizeof(*y));
	for (int64_t j = first; j < last; j++)
		for (int64_t d = 0; d < a->value_size; d++)
			y[d] += x[j] * v[j * a->v.row + d];
}

static void attend_rows_f64(void *arg, int64_t begin, int64_t end)
{
	struct job *job = arg;
	double *x = scratch_get_for(SCRATCH_TILE, (size_t)job->a->keys * sizeof(*x));

	if (!x) {
		atomic_store_explicit(&job->err, -ENOMEM, memory_order_relaxed);
		return;
	}
	for (int64_t row = begin; row < end; row++)
		attend_row_f64(job->a, row, x);
}

/* ---- */

int sdpa_run(const struct sdpa *a, struct cpu_pool *pool)
{
	struct job job = {.a = a, .block_keys = a->scores ? a->keys : smaller(a->keys, BLOCK_KEYS)};
	int64_t rows, work;

	if (__builtin_mul_overflow(a->batch * a->heads, a->queries, &rows) ||
	    __builtin_mul_overflow(
		    a->keys, (a->head_size + a->value_size + 1) * (int64_t)(BLOCK_QUERIES * sizeof(double)), &work))
		return -EOVERFLOW;
	if (rows == 0)
		return 0;
	work = a->keys * (a->head_size + a->value_size) + 1;
	if (a->dtype == DTYPE_F64) {
		parallel_range(pool, rows, PARALLEL_GRAIN / work, attend_rows_f64, &job);
	} else {
		job.query_blocks = (a->queries + BLOCK_QUERIES - 1) / BLOCK_QUERIES;
		parallel_range(pool, a->batch * a->heads * job.query_blocks,
			       PARALLEL_GRAIN / work / smaller(a->queries, BLOCK_QUERIES), attend_blocks, &job);
	}
	return atomic_load(&job.err);
}
