// SPDX-License-Identifier: MIT
/*
 * QLinearMatMul, MatMulInteger and com.microsoft QGemm: products of 8-bit integers with int32 sums.
 *
 * The left operand may have a zero point and a scale a row, the right one a column.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/igemm.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/quant_input.h"
#include "runtime/cpu/shape_rules.h"

struct product {
	int64_t m, n, k, batch;
	int batch_rank;
	int64_t batch_dims[TENSOR_MAX_RANK];
	int64_t a_strides[TENSOR_MAX_RANK], b_strides[TENSOR_MAX_RANK]; /* in matrices, 0 where stretched */
	int64_t a_matrices;
	enum dtype a_dtype, b_dtype;
	const uint8_t *a, *b;
	bool trans_a, trans_b;
	const void *a_zero, *b_zero;
	int64_t a_zero_step, b_zero_step;
	char *c;
	struct requantize requantize;
	int16_t *packed;
	size_t packed_size; /* bytes of one packed matrix of A */
	int64_t block_rows, block_columns, row_blocks, column_blocks;
	atomic_int err;
};

struct matrix {
	const struct product *product;
	const uint8_t *b;
};

static const uint8_t *matrix_row(const void *arg, int64_t k, int64_t n, int64_t columns, uint8_t *line)
{
	const struct matrix *matrix = arg;
	const struct product *p = matrix->product;

	if (!p->trans_b)
		return matrix->b + k * p->n + n;
	for (int64_t i = 0; i < columns; i++)
		line[i] = matrix->b[(n + i) * p->k + k];
	return line;
}

static void batch_offsets(const struct product *p, int64_t index, int64_t *a, int64_t *b)
{
	*a = *b = 0;
	for (int i = p->batch_rank - 1; i >= 0; i--) {
		*a += index % p->batch_dims[i] * p->a_strides[i];
		*b += index % p->batch_dims[i] * p->b_strides[i];
		index /= p->batch_dims[i];
	}
}

static void pack_matrix(void *arg, size_t index)
{
	struct product *p = arg;

	igemm_pack(p->m, p->k, p->a_dtype, p->a + (int64_t)index * p->m * p->k, p->trans_a ? 1 : p->k,
		   p->trans_a ? p->m : 1, p->a_zero, p->a_zero_step,
		   p->packed + index * (p->packed_size / sizeof(int16_t)));
}

static void multiply_block(void *arg, size_t index)
{
	struct product *p = arg;
	int64_t i = (int64_t)index, column = i % p->column_blocks * p->block_columns, row, a, b, err;
	struct matrix matrix = {.product = p};
	struct igemm block = {
		.m = p->m,
		.n = p->n,
		.k = p->k,
		.row_b = matrix_row,
		.arg = &matrix,
		.b_dtype = p->b_dtype,
		.b_zero = p->b_zero,
		.b_zero_step = p->b_zero_step,
		.c_stride = p->n,
		.requantize = p->requantize,
	};

	i /= p->column_blocks;
	row = i % p->row_blocks * p->block_rows;
	i /= p->row_blocks;
	batch_offsets(p, i, &a, &b);
	matrix.b = p->b + b * p->k * p->n;
	block.a = p->packed + (size_t)a * (p->packed_size / sizeof(int16_t));
	block.c = p->c + (size_t)(i * p->m * p->n) * dtype_size(p->requantize.dtype);
	err = igemm_block(&block, row, p->m - row < p->block_rows ? p->m - row : p->block_rows, column,
			  p->n - column < p->block_columns ? p->n - column : p->block_columns);
	if (err)
		atomic_store_explicit(&p->err, (int)err, memory_order_relaxed);
}

static int multiply(struct op_call *call, struct product *p)
{
	if (p->batch * p->m * p->n == 0)
		return 0;
	p->packed_size = igemm_packed_size(p->m, p->k);
	if ((p->k && !p->packed_size) || p->packed_size > (size_t)PTRDIFF_MAX / (size_t)p->a_matrices - 64)
		return -EOVERFLOW;
	p->packed = aligned_alloc(64, (p->packed_size * (size_t)p->a_matrices + 64) / 64 * 64);
	if (!p->packed)
		return -ENOMEM;
	cpu_pool_for(call->pool, (size_t)p->a_matrices, pack_matrix, p);
	igemm_split(p->m, p->n, p->k, p->batch, cpu_pool_threads(call->pool), &p->block_rows, &p->block_columns);
	p->row_blocks = (p->m + p->block_rows - 1) / p->block_rows;
	p->column_blocks = (p->n + p->block_columns - 1) / p->block_columns;
	cpu_pool_for(call->pool, (size_t)(p->batch * p->row_blocks * p->column_blocks), multiply_block, p);
	free(p->packed);
	return atomic_load(&p->err);
}

/* ---- shapes ---- */

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

/* MatMul's rules for inputs @ia and @ib; the output's shape in @dims. */
static int matmul_shapes(struct op_call *call, size_t ia, size_t ib, struct product *p, int *rank, int64_t *dims)
{
	const struct tensor *a = call->inputs[ia], *b = call->inputs[ib];
	int a_rank = a->rank > 2 ? a->rank - 2 : 0, b_rank = b->rank > 2 ? b->rank - 2 : 0, err;
	int64_t b_k;

	if (a->rank < 1 || b->rank < 1)
		return op_fail(call, -EINVAL, "%s: the inputs must not be scalars", call->node->op_type);
	p->k = a->dims[a->rank - 1];
	p->m = a->rank > 1 ? a->dims[a->rank - 2] : 1;
	p->n = b->rank > 1 ? b->dims[b->rank - 1] : 1;
	b_k = b->rank > 1 ? b->dims[b->rank - 2] : b->dims[0];
	if (p->k != b_k)
		return op_fail(call, -EINVAL, "%s: […, %lld, %lld] times […, %lld, %lld] is not a product",
			       call->node->op_type, (long long)p->m, (long long)p->k, (long long)b_k, (long long)p->n);
	err = broadcast_dims(a_rank, a->dims, b_rank, b->dims, &p->batch_rank, p->batch_dims);
	if (err)
		return op_fail(call, err, "%s: the batch dimensions do not broadcast", call->node->op_type);
	memcpy(dims, p->batch_dims, (size_t)p->batch_rank * sizeof(*dims));
	*rank = p->batch_rank;
	if (a->rank > 1)
		dims[(*rank)++] = p->m;
	if (b->rank > 1)
		dims[(*rank)++] = p->n;
	batch_strides(p, a, a_rank, p->a_strides);
	batch_strides(p, b, b_rank, p->b_strides);
	p->batch = dims_count(p->batch_rank, p->batch_dims);
	p->a_matrices = dims_count(a_rank, a->dims);
	return p->batch < 0 || p->a_matrices < 0
		       ? op_fail(call, -EOVERFLOW, "%s: the batch is too large", call->node->op_type)
		       : 0;
}

static int read_operands(struct op_call *call, size_t ia, size_t ib, struct product *p)
{
	int err = quant_check_bytes(call, ia);

	if (!err)
		err = quant_check_bytes(call, ib);
	if (err)
		return err;
	p->a_dtype = call->inputs[ia]->dtype;
	p->b_dtype = call->inputs[ib]->dtype;
	p->a = call->inputs[ia]->data;
	p->b = call->inputs[ib]->data;
	return 0;
}

/* ---- operators ---- */

static int run_matmul_integer(struct op_call *call)
{
	struct product p = {.requantize = {.dtype = DTYPE_S32}};
	int64_t dims[TENSOR_MAX_RANK + 2];
	int rank = 0, err = read_operands(call, 0, 1, &p);

	if (!err)
		err = matmul_shapes(call, 0, 1, &p, &rank, dims);
	if (!err)
		err = quant_zero(call, 2, p.a_dtype, p.m, &p.a_zero, &p.a_zero_step);
	if (!err)
		err = quant_zero(call, 3, p.b_dtype, p.n, &p.b_zero, &p.b_zero_step);
	if (!err)
		err = op_output(call, 0, DTYPE_S32, rank, dims);
	if (err || !op_wanted(call, 0))
		return err;
	p.c = call->outputs[0]->data;
	return multiply(call, &p);
}

/*
 * a_scale * b_scale / y_scale by column, by row, or for every element when a has one a row and b one a column; *multiplier is the
 * caller's to free. @y_scale 0 leaves the division out.
 */
static int make_multiplier(struct op_call *call, struct product *p, size_t a_scale, size_t b_scale, float y_scale,
			   float **multiplier)
{
	const float *a, *b;
	int64_t a_step, b_step, count;
	int err = quant_scale(call, a_scale, p->m, &a, &a_step);

	if (!err)
		err = quant_scale(call, b_scale, p->n, &b, &b_step);
	if (err)
		return err;
	count = (a_step ? p->m : 1) * (b_step ? p->n : 1);
	*multiplier = malloc((size_t)(count + 1) * sizeof(**multiplier));
	if (!*multiplier)
		return -ENOMEM;
	for (int64_t i = 0; i < count; i++) {
		float product = a[b_step ? i / p->n * a_step : i] * b[b_step ? i % p->n : 0];

		(*multiplier)[i] = y_scale != 0 ? product / y_scale : product;
	}
	p->requantize.multiplier = *multiplier;
	p->requantize.row_step = a_step && b_step ? p->n : a_step;
	p->requantize.column_step = b_step;
	return 0;
}

/* ---- QLinearMatMul of float8 (opset 21) ---- */

/* Operand @index as float32 values times its scale, input @index + 1: one, or @count of them along a row or a column. */
static int dequantize_operand(struct op_call *call, size_t index, int64_t count, bool by_row, struct tensor *out)
{
	const struct tensor *t = call->inputs[index], *zero = call->inputs[index + 2];
	int64_t columns = t->rank > 0 ? t->dims[t->rank - 1] : 1, step;
	const float *scale;
	int err = quant_scale(call, index + 1, count, &scale, &step);

	for (int64_t i = 0; !err && i < tensor_count(zero); i++)
		if (tensor_get_f64(zero, i) != 0)
			err = op_fail(call, -EINVAL, "%s: the zero point of %s (input %zu) is not 0",
				      call->node->op_type, dtype_name(t->dtype), index + 2);
	if (err)
		return err;
	err = tensor_init(out, DTYPE_F32, t->rank, t->dims);
	if (err)
		return op_fail(call, err, "%s: no memory for input %zu in float32", call->node->op_type, index);
	cast_row(t->dtype, DTYPE_F32)((size_t)tensor_count(t), t->data, out->data);
	for (int64_t i = 0; i < tensor_count(t); i++) {
		/* A vector on the left is one row, on the right one column. */
		int64_t at = by_row ? (t->rank > 1 ? i / columns % count : 0) : (t->rank > 1 ? i % columns : 0);

		((float *)out->data)[i] *= scale[at * step];
	}
	return 0;
}

/* The product of the values, as MatMul makes it, rounded into the output's type. */
static int multiply_float8(struct op_call *call)
{
	const struct op_kernel *matmul = op_find("", "MatMul", 13);
	const struct tensor *a = call->inputs[0], *b = call->inputs[3], *y_zero = call->inputs[7];
	struct op_node node = {.name = call->node->name,
			       .domain = "",
			       .op_type = "MatMul",
			       .opset = 13,
			       .num_inputs = 2,
			       .num_outputs = 1};
	struct tensor wide[2] = {0}, product = {0};
	const struct tensor *inputs[] = {&wide[0], &wide[1]};
	struct tensor *outputs[] = {&product};
	struct op_call inner = {.node = &node, .inputs = inputs, .outputs = outputs, .pool = call->pool};
	const float *y_scale;
	int64_t step;
	int err = quant_scale(call, 6, 1, &y_scale, &step);

	if (!err &&
	    (a->rank < 1 || b->rank < 1 || !dtype_is_narrow_float(b->dtype) || !dtype_is_narrow_float(y_zero->dtype)))
		err = op_fail(call, -EINVAL, "%s: input 0 is %s, input 3 %s, input 7 %s: float8 mixes with nothing",
			      call->node->op_type, dtype_name(a->dtype), dtype_name(b->dtype),
			      dtype_name(y_zero->dtype));
	if (!err)
		err = dequantize_operand(call, 0, a->rank > 1 ? a->dims[a->rank - 2] : 1, true, &wide[0]);
	if (!err)
		err = dequantize_operand(call, 3, b->rank > 1 ? b->dims[b->rank - 1] : 1, false, &wide[1]);
	if (!err) {
		err = op_run(matmul, &inner);
		if (err)
			op_fail(call, err, "%s: %.200s", call->node->op_type, inner.error);
	}
	if (!err)
		err = op_output(call, 0, y_zero->dtype, product.rank, product.dims);
	if (!err && op_wanted(call, 0)) {
		for (int64_t i = 0; i < tensor_count(&product); i++)
			((float *)product.data)[i] /= y_scale[0];
		cast_row(DTYPE_F32, y_zero->dtype)((size_t)tensor_count(&product), product.data,
						   call->outputs[0]->data);
	}
	tensor_finish(&wide[0]);
	tensor_finish(&wide[1]);
	tensor_finish(&product);
	return err;
}

/* a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero */
static int run_qlinear_matmul(struct op_call *call)
{
	struct product p = {0};
	int64_t dims[TENSOR_MAX_RANK + 2];
	float y_scale, *multiplier = NULL;
	int rank = 0, err;

	if (dtype_is_narrow_float(call->inputs[0]->dtype))
		return multiply_float8(call);
	err = read_operands(call, 0, 3, &p);
	if (!err)
		err = matmul_shapes(call, 0, 3, &p, &rank, dims);
	if (!err)
		err = quant_zero(call, 2, p.a_dtype, p.m, &p.a_zero, &p.a_zero_step);
	if (!err)
		err = quant_zero(call, 5, p.b_dtype, p.n, &p.b_zero, &p.b_zero_step);
	if (!err)
		err = quant_check_bytes(call, 7);
	if (err)
		return err;
	p.requantize.dtype = call->inputs[7]->dtype;
	err = quant_scalar(call, 6, p.requantize.dtype, &y_scale, &p.requantize.zero);
	if (!err)
		err = make_multiplier(call, &p, 1, 4, y_scale, &multiplier);
	if (!err)
		err = op_output(call, 0, p.requantize.dtype, rank, dims);
	if (!err && op_wanted(call, 0)) {
		p.c = call->outputs[0]->data;
		err = multiply(call, &p);
	}
	free(multiplier);
	return err;
}

/* C of QGemm: int32, a vector by column, a whole matrix or one number. */
static int read_bias(struct op_call *call, const struct tensor *c, struct product *p)
{
	int64_t rows = c->rank > 1 ? c->dims[c->rank - 2] : 1, columns = c->rank > 0 ? c->dims[c->rank - 1] : 1;

	if (c->dtype != DTYPE_S32 || c->rank > 2 || (rows != 1 && rows != p->m) || (columns != 1 && columns != p->n))
		return op_fail(call, -EINVAL, "%s: input 6 must be int32 and broadcast to [%lld, %lld]",
			       call->node->op_type, (long long)p->m, (long long)p->n);
	p->requantize.bias = c->data;
	p->requantize.bias_row_step = rows > 1 ? columns : 0;
	p->requantize.bias_column_step = columns > 1;
	return 0;
}

/* A, a_scale, a_zero, B, b_scale, b_zero, C?, y_scale?, y_zero?; float32 without y_scale. */
static int run_qgemm(struct op_call *call)
{
	const struct tensor *a = call->inputs[0], *b = call->inputs[3], *c = op_input(call, 6),
			    *y_zero = op_input(call, 8);
	struct product p = {.batch = 1, .a_matrices = 1, .requantize = {.dtype = DTYPE_F32}};
	float y_scale = 0, *multiplier = NULL, alpha = op_attr_float(call->node, "alpha", 1);
	int64_t dims[2];
	int err = read_operands(call, 0, 3, &p);

	if (err)
		return err;
	p.trans_a = op_attr_int(call->node, "transA", 0);
	p.trans_b = op_attr_int(call->node, "transB", 0);
	if (a->rank != 2 || b->rank != 2 || a->dims[!p.trans_a] != b->dims[p.trans_b])
		return op_fail(call, -EINVAL, "QGemm: inputs 0 and 3 are not the matrices of a product");
	p.m = a->dims[p.trans_a];
	p.k = a->dims[!p.trans_a];
	p.n = b->dims[!p.trans_b];
	err = quant_zero(call, 2, p.a_dtype, 1, &p.a_zero, &p.a_zero_step);
	if (!err)
		err = quant_zero(call, 5, p.b_dtype, p.n, &p.b_zero, &p.b_zero_step);
	if (!err && c)
		err = read_bias(call, c, &p);
	if (!err && op_input(call, 7)) {
		p.requantize.dtype = y_zero ? y_zero->dtype : p.a_dtype;
		err = y_zero ? quant_check_bytes(call, 8) : 0;
		if (!err)
			err = quant_scalar(call, 7, p.requantize.dtype, &y_scale, &p.requantize.zero);
	}
	if (!err)
		err = make_multiplier(call, &p, 1, 4, y_scale, &multiplier);
	if (err)
		goto out_free;

	for (int64_t i = 0; i < (p.requantize.row_step ? p.m : 1) * (p.requantize.column_step ? p.n : 1); i++)
		multiplier[i] *= alpha;
	dims[0] = p.m;
	dims[1] = p.n;
	err = op_output(call, 0, p.requantize.dtype, 2, dims);
	if (!err && op_wanted(call, 0)) {
		p.c = call->outputs[0]->data;
		err = multiply(call, &p);
	}
out_free:
	free(multiplier);
	return err;
}

const struct op_kernel ops_qlinear_gemm[] = {
	{"", "MatMulInteger", 10, 0, 2, 4, 1, 1, run_matmul_integer, NULL, NULL},
	/* Opset 21: scales may be float16 or bfloat16. */
	{"", "QLinearMatMul", 10, 0, 8, 8, 1, 1, run_qlinear_matmul, NULL, NULL, &op_half_in_f32},
	{"com.microsoft", "QGemm", 1, 0, 6, 9, 1, 1, run_qgemm, NULL, NULL},
};
const size_t ops_qlinear_gemm_count = sizeof(ops_qlinear_gemm) / sizeof(ops_qlinear_gemm[0]);
