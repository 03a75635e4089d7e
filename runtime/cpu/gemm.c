// SPDX-License-Identifier: MIT
/*
 * Gemm, MatMul and their fused forms.
 *
 * Float products go through sgemm.h, in blocks over the thread pool, with bias and activation as the epilogue. A single
 * row is a matrix-vector product, bound by memory. Doubles are OpenBLAS's, integers wrap as ONNX's do and are plain
 * loops.
 */
#include <cblas.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/epilogue.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/large_memory.h"
#include "runtime/cpu/ms_forward.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/scratch.h"
#include "runtime/cpu/sgemm.h"
#include "runtime/cpu/shape_rules.h"

/* An operand: element (i, j) of matrix b is at data[offset(b) + i * row_stride + j * column_stride]. */
struct operand {
	const void *data;
	int64_t row_stride, column_stride;
	int64_t matrix; /* elements of one matrix */
};

/*
 * struct product - C[b] = epilogue(alpha * A[b] * B[b]) for every b of the batch
 * @batch_rank, @batch_dims: the broadcast batch; @a_strides, @b_strides: in matrices, 0 where stretched
 */
struct product {
	enum dtype dtype;
	int64_t m, n, k, batch;
	int batch_rank;
	int64_t batch_dims[TENSOR_MAX_RANK], a_strides[TENSOR_MAX_RANK], b_strides[TENSOR_MAX_RANK];
	int64_t a_matrices;
	struct operand a, b;
	void *c;
	float alpha;
	struct epilogue epilogue;
	const float *panels; /* B packed once, or NULL */
	float *packed;       /* A */
	size_t packed_size;  /* of one matrix */
	int64_t pack_jobs;   /* of one matrix */
	int64_t block_rows, block_columns, row_blocks, column_blocks;
	atomic_int err;
};

static pthread_once_t blas_once = PTHREAD_ONCE_INIT;

/* Threads are the pool's: OpenBLAS's own would compete with them. */
static void make_blas_single_threaded(void)
{
	openblas_set_num_threads(1);
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Which matrices of A and B make matrix @index of C. */
static void batch_offsets(const struct product *p, int64_t index, int64_t *a, int64_t *b)
{
	*a = *b = 0;
	for (int i = p->batch_rank - 1; i >= 0; i--) {
		*a += index % p->batch_dims[i] * p->a_strides[i];
		*b += index % p->batch_dims[i] * p->b_strides[i];
		index /= p->batch_dims[i];
	}
}

/* ---- a constant B ---- */

/*
 * What op_prepare() keeps when B is constant. It is packed when the first product of more than one row comes: a single
 * row reads B as it is, and a network may have no others.
 */
struct gemm_state {
	pthread_mutex_t lock; /* protects the packing */
	_Atomic(float *) panels;
};

static int packed_constant(struct gemm_state *state, const struct product *p, const float **panels)
{
	struct sgemm_matrix matrix = {p->b.data, p->b.row_stride, p->b.column_stride};
	size_t size = sgemm_packed_b_size(p->k, p->n);
	float *made = atomic_load_explicit(&state->panels, memory_order_acquire);

	if (!made) {
		pthread_mutex_lock(&state->lock);
		made = atomic_load_explicit(&state->panels, memory_order_relaxed);
		if (!made && size)
			made = large_memory(size);
		if (made && made != atomic_load_explicit(&state->panels, memory_order_relaxed)) {
			sgemm_pack_b(p->k, p->n, &matrix, made);
			atomic_store_explicit(&state->panels, made, memory_order_release);
		}
		pthread_mutex_unlock(&state->lock);
	}
	*panels = made;
	return made ? 0 : -ENOMEM;
}

static int prepare_product(const struct op_node *node, const struct tensor *const *constants, void **out)
{
	const struct tensor *b = constants[1];
	struct gemm_state *state;

	(void)node;
	if (!b || b->dtype != DTYPE_F32 || b->rank != 2 || !tensor_count(b))
		return 0;
	state = calloc(1, sizeof(*state));
	if (!state)
		return -ENOMEM;
	pthread_mutex_init(&state->lock, NULL);
	*out = state;
	return 0;
}

static void release_product(void *arg)
{
	struct gemm_state *state = arg;

	free(atomic_load(&state->panels));
	pthread_mutex_destroy(&state->lock);
	free(state);
}

/* ---- float ---- */

/* Rows of A that one job packs: a multiple of every form's panel. */
#define PACK_ROWS 48

static void pack_rows(void *arg, size_t index)
{
	struct product *p = arg;
	int64_t matrix = (int64_t)index / p->pack_jobs, row = (int64_t)index % p->pack_jobs * PACK_ROWS;

	sgemm_pack_rows(p->m, p->k, (const float *)p->a.data + matrix * p->a.matrix, p->a.row_stride,
			p->a.column_stride, row, smaller(p->m - row, PACK_ROWS),
			p->packed + (size_t)matrix * (p->packed_size / sizeof(float)));
}

static void scale(float alpha, size_t n, float *values)
{
	for (size_t i = 0; i < n; i++)
		values[i] *= alpha;
}

static void multiply_block(void *arg, size_t index)
{
	struct product *p = arg;
	int64_t i = (int64_t)index, column = i % p->column_blocks * p->block_columns, row, a, b, err;
	struct sgemm_matrix matrix = {.row_stride = p->b.row_stride, .column_stride = p->b.column_stride};
	struct sgemm block = {
		.m = p->m,
		.n = p->n,
		.k = p->k,
		.panels = p->panels,
		.fill_b = sgemm_fill_matrix,
		.arg = &matrix,
		.c_stride = p->n,
		.epilogue = p->epilogue,
	};

	i /= p->column_blocks;
	row = i % p->row_blocks * p->block_rows;
	i /= p->row_blocks;
	batch_offsets(p, i, &a, &b);
	matrix.b = (const float *)p->b.data + b * p->b.matrix;
	block.a = p->packed + (size_t)a * (p->packed_size / sizeof(float));
	block.c = (float *)p->c + i * p->m * p->n;
	err = sgemm_block(&block, row, smaller(p->m - row, p->block_rows), column,
			  smaller(p->n - column, p->block_columns));
	if (err)
		atomic_store_explicit(&p->err, (int)err, memory_order_relaxed);
}

static int multiply_f32(struct op_call *call, struct product *p)
{
	int err = call->state && p->k ? packed_constant(call->state, p, &p->panels) : 0;

	if (err)
		return err;
	p->packed_size = sgemm_packed_size(p->m, p->k);
	if (p->k && (!p->packed_size || p->packed_size > (size_t)PTRDIFF_MAX / (size_t)p->a_matrices - 64))
		return -EOVERFLOW;
	p->packed = scratch_get_for(SCRATCH_IMAGE, p->packed_size * (size_t)p->a_matrices + 1);
	if (!p->packed)
		return -ENOMEM;
	p->pack_jobs = (p->m + PACK_ROWS - 1) / PACK_ROWS;
	cpu_pool_for(call->pool, (size_t)(p->a_matrices * p->pack_jobs), pack_rows, p);
	if (p->alpha != 1)
		scale(p->alpha, p->packed_size * (size_t)p->a_matrices / sizeof(float), p->packed);
	sgemm_split(p->m, p->n, p->batch, cpu_pool_threads(call->pool), &p->block_rows, &p->block_columns);
	p->row_blocks = (p->m + p->block_rows - 1) / p->block_rows;
	p->column_blocks = (p->n + p->block_columns - 1) / p->block_columns;
	cpu_pool_for(call->pool, (size_t)(p->batch * p->row_blocks * p->column_blocks), multiply_block, p);
	return atomic_load(&p->err);
}

/* y += rows k … k + 3 of B, each times its x. */
CPU_CLONES static void add_four_rows(int64_t n, const float *b, int64_t stride, const float *x, float *y)
{
	const float *b1 = b + stride, *b2 = b1 + stride, *b3 = b2 + stride;
	float x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];

	for (int64_t i = 0; i < n; i++)
		y[i] += b[i] * x0 + b1[i] * x1 + b2[i] * x2 + b3[i] * x3;
}

CPU_CLONES static void add_row(int64_t n, const float *b, float x, float *y)
{
	for (int64_t i = 0; i < n; i++)
		y[i] += b[i] * x;
}

#define DOT_LANES 64

CPU_CLONES static float dot(int64_t n, const float *a, const float *b)
{
	float lanes[DOT_LANES] = {0}, sum = 0;
	int64_t i = 0;

	for (; i + DOT_LANES <= n; i += DOT_LANES)
		for (int l = 0; l < DOT_LANES; l++)
			lanes[l] += a[i + l] * b[i + l];
	for (; i < n; i++)
		sum += a[i] * b[i];
	for (int l = 0; l < DOT_LANES; l++)
		sum += lanes[l];
	return sum;
}

/*
 * Columns [begin, end) of the one row of C: y = x * B. Every column adds up in the same order, so that equal columns of
 * B give equal results, wherever they stand and whatever thread takes them.
 */
static void multiply_vector(void *arg, int64_t begin, int64_t end)
{
	const struct product *p = arg;
	const float *x = p->packed, *b = (const float *)p->b.data + begin * p->b.column_stride;
	float *y = (float *)p->c + begin;
	int64_t n = end - begin, k = 0;

	if (p->b.column_stride == 1) {
		memset(y, 0, (size_t)n * sizeof(*y));
		for (; k + 4 <= p->k; k += 4)
			add_four_rows(n, b + k * p->b.row_stride, p->b.row_stride, x + k, y);
		for (; k < p->k; k++)
			add_row(n, b + k * p->b.row_stride, x[k], y);
	} else {
		for (int64_t i = 0; i < n; i++)
			y[i] = dot(p->k, b + i * p->b.column_stride, x);
	}
	epilogue_apply(&p->epilogue, 0, 1, begin, n, y, p->n);
}

/* Columns at once, so that they stay in the first-level cache while all of B's rows pass. */
#define VECTOR_COLUMNS 4096

static void multiply_vector_blocks(void *arg, int64_t begin, int64_t end)
{
	for (; begin < end; begin += VECTOR_COLUMNS)
		multiply_vector(arg, begin, smaller(begin + VECTOR_COLUMNS, end));
}

static int multiply_one_row(struct op_call *call, struct product *p)
{
	const float *a = p->a.data;

	p->packed = scratch_get_for(SCRATCH_IMAGE, (size_t)p->k * sizeof(*p->packed));
	if (!p->packed)
		return -ENOMEM;
	for (int64_t i = 0; i < p->k; i++)
		p->packed[i] = p->alpha * a[i * p->a.column_stride];
	/* 16 Ki weights are some microseconds: what a thread's share has to be worth. */
	parallel_range(call->pool, p->n, (16384 + p->k - 1) / p->k, multiply_vector_blocks, p);
	return 0;
}

/* ---- doubles and integers ---- */

static int multiply_f64(struct product *p)
{
	bool a_trans = p->a.column_stride != 1, b_trans = p->b.column_stride != 1;
	int64_t lda = a_trans ? p->a.column_stride : p->a.row_stride, a, b;
	int64_t ldb = b_trans ? p->b.column_stride : p->b.row_stride;

	/* A single row or column has no stride to speak of; BLAS wants one that is long enough all the same. */
	lda = larger(lda, a_trans ? p->m : larger(p->k, 1));
	ldb = larger(ldb, b_trans ? larger(p->k, 1) : p->n);

	if (p->m > INT32_MAX || p->n > INT32_MAX || p->k > INT32_MAX || lda > INT32_MAX || ldb > INT32_MAX)
		return -EOVERFLOW;
	for (int64_t i = 0; i < p->batch; i++) {
		double *c = (double *)p->c + i * p->m * p->n;

		batch_offsets(p, i, &a, &b);
		cblas_dgemm(CblasRowMajor, a_trans ? CblasTrans : CblasNoTrans, b_trans ? CblasTrans : CblasNoTrans,
			    (int)p->m, (int)p->n, (int)p->k, (double)p->alpha,
			    (const double *)p->a.data + a * p->a.matrix, (int)lda,
			    (const double *)p->b.data + b * p->b.matrix, (int)ldb, 0, c, (int)p->n);
	}
	return 0;
}

/* Unsigned arithmetic: overflow wraps, for signed types too. */
#define MULTIPLY_INTEGERS(NAME, TYPE)                                                            \
	static int NAME(struct product *p)                                                       \
	{                                                                                        \
		for (int64_t i = 0; i < p->batch * p->m; i++) {                                  \
			int64_t a_matrix, b_matrix;                                              \
			const TYPE *a = p->a.data, *b = p->b.data;                               \
			TYPE *c = (TYPE *)p->c + i * p->n;                                       \
                                                                                                 \
			batch_offsets(p, i / p->m, &a_matrix, &b_matrix);                        \
			a += a_matrix * p->a.matrix + i % p->m * p->a.row_stride;                \
			b += b_matrix * p->b.matrix;                                             \
			memset(c, 0, (size_t)p->n * sizeof(*c));                                 \
			for (int64_t l = 0; l < p->k; l++)                                       \
				for (int64_t j = 0; j < p->n; j++)                               \
					c[j] += a[l * p->a.column_stride] *                      \
						b[l * p->b.row_stride + j * p->b.column_stride]; \
		}                                                                                \
		return 0;                                                                        \
	}
MULTIPLY_INTEGERS(multiply_32, uint32_t)
MULTIPLY_INTEGERS(multiply_64, uint64_t)

static int multiply(struct op_call *call, struct product *p)
{
	pthread_once(&blas_once, make_blas_single_threaded);
	if (p->batch * p->m * p->n == 0)
		return 0;
	switch (p->dtype) {
	case DTYPE_F32:
		if (p->m == 1 && p->batch == 1 && p->k > 0)
			return multiply_one_row(call, p);
		return multiply_f32(call, p);
	case DTYPE_F64:
		return multiply_f64(p);
	case DTYPE_S32:
	case DTYPE_U32:
		return multiply_32(p);
	case DTYPE_S64:
	case DTYPE_U64:
		return multiply_64(p);
	default:
		return op_fail(call, -ENOTSUP, "%s: products of %s are not implemented", call->node->op_type,
			       dtype_name(p->dtype));
	}
}

static struct operand make_operand(const struct tensor *t, int64_t rows, int64_t columns, bool transposed)
{
	struct operand o = {.data = t->data, .row_stride = columns, .column_stride = 1, .matrix = rows * columns};

	if (transposed) {
		o.row_stride = 1;
		o.column_stride = rows;
	}
	return o;
}

/* ---- Gemm ---- */

/* Rows and columns of C, each 1 or those of the product. */
static int addend_shape(struct op_call *call, const struct tensor *c, const struct product *p, int64_t *rows,
			int64_t *columns)
{
	*rows = c->rank > 1 ? c->dims[c->rank - 2] : 1;
	*columns = c->rank > 0 ? c->dims[c->rank - 1] : 1;
	if (*rows * *columns == tensor_count(c) && (*rows == 1 || *rows == p->m) && (*columns == 1 || *columns == p->n))
		return 0;
	return op_fail(call, -EINVAL, "%s: input 2 does not broadcast to [%lld, %lld]", call->node->op_type,
		       (long long)p->m, (long long)p->n);
}

/*
 * beta * C as an epilogue of a product [m, n]: a scaled copy in scratch memory unless beta is 1, passed as row
 * bias, as one residual row for all rows, or as a whole residual.
 */
static int addend_as_epilogue(const struct tensor *c, int64_t rows, int64_t columns, float beta, struct product *p)
{
	/* A single number is repeated over a row. */
	int64_t count = rows * columns, wanted = count == 1 ? p->n : count;
	const float *values = c->data;

	if (beta != 1 || wanted != count) {
		float *copy = scratch_get_for(SCRATCH_ADDEND, (size_t)(wanted + 1) * sizeof(*copy));

		if (!copy)
			return -ENOMEM;
		for (int64_t i = 0; i < wanted; i++)
			copy[i] = beta * values[count == 1 ? 0 : i];
		values = copy;
	}
	if (columns == 1 && rows > 1) {
		p->epilogue.row_bias = values;
		return 0;
	}
	p->epilogue.residual = values;
	p->epilogue.residual_stride = rows == 1 ? 0 : p->n;
	return 0;
}

static void add_f64(const struct tensor *c, int64_t rows, int64_t columns, float beta, struct product *p)
{
	const double *values = c->data;
	double *y = p->c;

	for (int64_t i = 0; i < p->m * p->n; i++)
		y[i] += (double)beta * values[(rows > 1 ? i / p->n * columns : 0) + (columns > 1 ? i % p->n : 0)];
}

/*
 * Integers: C = alpha * C + beta * addend. Whole factors of one keep the wrapping arithmetic of the product; others go through
 * double and are cut off.
 */
static void finish_integers(const struct tensor *addend, int64_t rows, int64_t columns, float beta, struct product *p)
{
	size_t size = dtype_size(p->dtype);
	const struct tensor y = {.dtype = p->dtype, .data = p->c};
	bool exact = p->alpha == 1 && (!addend || beta == 1);

	for (int64_t i = 0; (addend || !exact) && i < p->m * p->n; i++) {
		int64_t at = (rows > 1 ? i / p->n * columns : 0) + (columns > 1 ? i % p->n : 0);
		uint64_t sum = (uint64_t)tensor_get_s64(&y, i) + (addend ? (uint64_t)tensor_get_s64(addend, at) : 0);
		double real = (double)p->alpha * tensor_get_f64(&y, i) +
			      (addend ? (double)beta * tensor_get_f64(addend, at) : 0);

		cast_row(exact ? DTYPE_U64 : DTYPE_F64, p->dtype)(1, exact ? (void *)&sum : (void *)&real,
								  (char *)p->c + (size_t)i * size);
	}
}

static int run_gemm(struct op_call *call)
{
	const struct tensor *a = call->inputs[0], *b = call->inputs[1], *c = op_input(call, 2);
	bool trans_a = op_attr_int(call->node, "transA", 0), trans_b = op_attr_int(call->node, "transB", 0);
	float beta = op_attr_float(call->node, "beta", 1);
	struct product p = {.dtype = a->dtype, .batch = 1, .a_matrices = 1};
	int64_t dims[2], c_rows = 1, c_columns = 1;
	bool f64 = a->dtype == DTYPE_F64, f32 = a->dtype == DTYPE_F32;
	int err;

	if (a->rank != 2 || b->rank != 2)
		return op_fail(call, -EINVAL, "%s: inputs 0 and 1 must be matrices, they have ranks %d and %d",
			       call->node->op_type, a->rank, b->rank);
	if (b->dtype != a->dtype || (c && c->dtype != a->dtype))
		return op_fail(call, -EINVAL, "%s: the inputs have different types", call->node->op_type);
	p.m = a->dims[trans_a];
	p.k = a->dims[!trans_a];
	p.n = b->dims[!trans_b];
	if (b->dims[trans_b] != p.k)
		return op_fail(call, -EINVAL, "%s: [%lld, %lld] times [%lld, %lld] is not a product",
			       call->node->op_type, (long long)p.m, (long long)p.k, (long long)b->dims[trans_b],
			       (long long)p.n);
	p.a = make_operand(a, p.m, p.k, trans_a);
	p.b = make_operand(b, p.k, p.n, trans_b);
	p.alpha = op_attr_float(call->node, "alpha", 1);
	err = epilogue_read(call, &p.epilogue);
	if (!err && !f32 && p.epilogue.activation != ACTIVATION_NONE)
		err = op_fail(call, -ENOTSUP, "%s: activations of %s are not implemented", call->node->op_type,
			      dtype_name(a->dtype));
	if (!err && c)
		err = addend_shape(call, c, &p, &c_rows, &c_columns);
	if (!err && c && beta != 0 && f32)
		err = addend_as_epilogue(c, c_rows, c_columns, beta, &p);
	if (err)
		return err;
	dims[0] = p.m;
	dims[1] = p.n;
	err = op_output(call, 0, a->dtype, 2, dims);
	if (err || !op_wanted(call, 0))
		return err;
	p.c = call->outputs[0]->data;
	err = multiply(call, &p);
	if (!err && c && beta != 0 && f64)
		add_f64(c, c_rows, c_columns, beta, &p);
	else if (!err && !f64 && !f32)
		finish_integers(beta != 0 ? c : NULL, c_rows, c_columns, beta, &p);
	return err;
}

/* ---- MatMul ---- */

/* The last two dims of @t as a matrix and the rest as batch; a vector is a row (@left) or a column. */
static void split_dims(const struct tensor *t, bool left, bool transposed, int64_t *rows, int64_t *columns,
		       int *batch_rank)
{
	if (t->rank == 1) {
		*rows = left ? 1 : t->dims[0];
		*columns = left ? t->dims[0] : 1;
		*batch_rank = 0;
		return;
	}
	*batch_rank = t->rank - 2;
	*rows = t->dims[t->rank - 2 + transposed];
	*columns = t->dims[t->rank - 1 - transposed];
}

static void batch_strides(const struct product *p, const struct tensor *t, int rank, int64_t *strides)
{
	int64_t step = 1;

	for (int i = p->batch_rank - 1; i >= 0; i--) {
		int own = i - (p->batch_rank - rank);

		strides[i] = own >= 0 && t->dims[own] != 1 ? step : 0;
		if (own >= 0)
			step *= t->dims[own];
	}
}

/* A batch of A's rows against the same B is one taller A. */
static void merge_batch(struct product *p, bool trans_a, int b_rank)
{
	if (p->batch < 2 || trans_a || b_rank || p->a_matrices != p->batch)
		return;
	p->m *= p->batch;
	p->batch = p->a_matrices = 1;
	p->batch_rank = 0;
}

static int matmul_shapes(struct op_call *call, bool trans_a, bool trans_b, struct product *p, int *out_rank,
			 int64_t *dims)
{
	const struct tensor *a = call->inputs[0], *b = call->inputs[1];
	int64_t b_k;
	int a_rank, b_rank, err;

	if (a->rank < 1 || b->rank < 1)
		return op_fail(call, -EINVAL, "%s: the inputs must not be scalars", call->node->op_type);
	trans_a = trans_a && a->rank > 1;
	trans_b = trans_b && b->rank > 1;
	split_dims(a, true, trans_a, &p->m, &p->k, &a_rank);
	split_dims(b, false, trans_b, &b_k, &p->n, &b_rank);
	if (p->k != b_k)
		return op_fail(call, -EINVAL, "%s: […, %lld, %lld] times […, %lld, %lld] is not a product",
			       call->node->op_type, (long long)p->m, (long long)p->k, (long long)b_k, (long long)p->n);
	err = broadcast_dims(a_rank, a->dims, b_rank, b->dims, &p->batch_rank, p->batch_dims);
	if (err)
		return op_fail(call, err, "%s: the batch dimensions do not broadcast", call->node->op_type);
	memcpy(dims, p->batch_dims, (size_t)p->batch_rank * sizeof(*dims));
	*out_rank = p->batch_rank;
	if (a->rank > 1)
		dims[(*out_rank)++] = p->m;
	if (b->rank > 1)
		dims[(*out_rank)++] = p->n;
	batch_strides(p, a, a_rank, p->a_strides);
	batch_strides(p, b, b_rank, p->b_strides);
	p->batch = dims_count(p->batch_rank, p->batch_dims);
	p->a_matrices = dims_count(a_rank, a->dims);
	if (p->batch < 0 || p->a_matrices < 0)
		return op_fail(call, -EOVERFLOW, "%s: the batch is too large", call->node->op_type);
	p->a = make_operand(a, p->m, p->k, trans_a);
	p->b = make_operand(b, p->k, p->n, trans_b);
	merge_batch(p, trans_a, b_rank);
	return 0;
}

static int run_matmul(struct op_call *call)
{
	const struct tensor *a = call->inputs[0], *b = call->inputs[1];
	struct product p = {.dtype = a->dtype, .alpha = op_attr_float(call->node, "alpha", 1)};
	int64_t dims[TENSOR_MAX_RANK + 2];
	int rank = 0, err;

	if (a->dtype != b->dtype)
		return op_fail(call, -EINVAL, "%s: %s times %s", call->node->op_type, dtype_name(a->dtype),
			       dtype_name(b->dtype));
	if (op_attr_int(call->node, "transBatchA", 0) || op_attr_int(call->node, "transBatchB", 0))
		return run_matmul_trans_batch(call);
	err = matmul_shapes(call, op_attr_int(call->node, "transA", 0), op_attr_int(call->node, "transB", 0), &p, &rank,
			    dims);
	if (!err)
		err = op_output(call, 0, a->dtype, rank, dims);
	if (err || !op_wanted(call, 0))
		return err;
	p.c = call->outputs[0]->data;
	return multiply(call, &p);
}

const struct op_kernel ops_gemm[] = {
	{"", "Gemm", 1, 0, 2, 3, 1, 1, run_gemm, prepare_product, release_product, &op_half_in_f32},
	{"", "MatMul", 1, 0, 2, 2, 1, 1, run_matmul, prepare_product, release_product, &op_half_in_f32},
	{"com.microsoft", "FusedGemm", 1, 0, 2, 3, 1, 1, run_gemm, prepare_product, release_product, &op_half_in_f32},
	{"com.microsoft", "FusedMatMul", 1, 0, 2, 2, 1, 1, run_matmul, prepare_product, release_product,
	 &op_half_in_f32},
};
const size_t ops_gemm_count = sizeof(ops_gemm) / sizeof(ops_gemm[0]);
