/* SPDX-License-Identifier: MIT */
/*
 * Gemm, MatMul and their fused and quantized forms as matrix work: rows of A are an image of M rows and one column.
 *
 * ONNX Operators: Gemm-13, MatMul-13, QLinearMatMul-10, MatMulInteger-10; FusedGemm, FusedMatMul and QGemm as ONNX
 * Runtime's contributed operators define them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compiler/target/lower_matrix.h"
#include "compiler/target/matrix_work.h"
#include "compiler/target/resident.h"

/* Where a node keeps what the lowering needs: indices of inputs, -1 where it has none. */
struct gemm_form {
	const char *domain;
	const char *op_type;
	int a, b, c;
	int a_scale, a_zero, b_scale, b_zero, y_scale, y_zero;
	bool gemm;    /* 2-D with C, alpha, beta; else batched */
	int residual; /* 0: it has none */
};

static const struct gemm_form forms[] = {
	{"", "Gemm", 0, 1, 2, -1, -1, -1, -1, -1, -1, true},
	{"", "MatMul", 0, 1, -1, -1, -1, -1, -1, -1, -1, false},
	{"", "QLinearMatMul", 0, 3, -1, 1, 2, 4, 5, 6, 7, false},
	{"", "MatMulInteger", 0, 1, -1, -1, 2, -1, 3, -1, -1, false},
	{"com.microsoft", "FusedGemm", 0, 1, 2, -1, -1, -1, -1, -1, -1, true},
	{"com.microsoft", "FusedMatMul", 0, 1, -1, -1, -1, -1, -1, -1, -1, false},
	{"com.microsoft", "QGemm", 0, 3, 6, 1, 2, 4, 5, 7, 8, true},
	{"axl", "Linear", 0, 1, 2, -1, -1, -1, -1, -1, -1, false, 3},
	{"axl", "QLinear", 0, 3, 6, 1, 2, 4, 5, 8, 9, false, 7},
};

/* The product as loops: batch dimensions, then M x K by K x N; strides of A in bytes, those of B by kind of operand. */
struct product {
	int batch_rank;
	int64_t batch[TENSOR_MAX_RANK];
	int64_t m, k, n;
	bool trans_a, trans_b;
	float alpha, beta;
};

static const struct gemm_form *find_form(const struct graph_node *node)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (!strcmp(forms[i].op_type, node->op_type))
			return &forms[i];
	return NULL;
}

static const struct graph_value *input(const struct graph_node *node, int index)
{
	return index >= 0 && (size_t)index < node->num_inputs ? node->inputs[index] : NULL;
}

/* What is added behind the activation, or NULL. */
static const struct graph_value *residual_of(const struct graph_node *node, const struct gemm_form *form)
{
	return form->residual ? input(node, form->residual) : NULL;
}

static int read_product(const struct graph_node *node, const struct gemm_form *form, struct product *product,
			char *reason, size_t size)
{
	const struct graph_value *a = input(node, form->a), *b = input(node, form->b), *y = node->outputs[0];
	struct op_node op = graph_op_node(node);
	int y_batch;

	if (!graph_value_is_static(a) || !graph_value_is_static(b) || !graph_value_is_static(y))
		return refuse(reason, size, "its shapes are not known at compile time; bind the symbolic dimensions");
	memset(product, 0, sizeof(*product));
	product->trans_a = op_attr_int(&op, "transA", 0) != 0;
	product->trans_b = op_attr_int(&op, "transB", 0) != 0;
	product->alpha = op_attr_float(&op, "alpha", 1.0f);
	product->beta = op_attr_float(&op, "beta", 1.0f);
	if (op_attr_int(&op, "transBatchA", 0) || op_attr_int(&op, "transBatchB", 0))
		return refuse(reason, size, "transBatchA and transBatchB are not lowered");
	if (product->alpha == 0)
		return refuse(reason, size, "alpha is 0");
	product->k = a->dims[a->rank - (product->trans_a && a->rank > 1 ? 2 : 1)];
	product->m = a->rank == 1 ? 1 : a->dims[a->rank - (product->trans_a ? 1 : 2)];
	product->n = b->rank == 1 ? 1 : b->dims[b->rank - (product->trans_b ? 2 : 1)];
	y_batch = y->rank - (a->rank > 1) - (b->rank > 1);
	product->batch_rank = y_batch > 0 ? y_batch : 0;
	for (int d = 0; d < product->batch_rank; d++)
		product->batch[d] = y->dims[d];
	if (!product->m || !product->k || !product->n || dims_count(y->rank, y->dims) == 0)
		return refuse(reason, size, "an empty product");
	return 0;
}

static bool constant_or_none(const struct graph_value *value)
{
	return !value || value->constant;
}

/* C as a bias (constant, one value a column), or as a residual added in the drain. */
static bool bias_like(const struct graph_value *c, int64_t n)
{
	int64_t count = c->constant ? tensor_count(c->constant) : -1;

	return c->constant && (count == 1 || (count == n && (c->rank < 1 || c->dims[c->rank - 1] == n)));
}

static int gemm_supports(const struct graph_node *node, const struct target *target, enum lower_precision precision,
			 char *reason, size_t size)
{
	const struct gemm_form *form = find_form(node);
	const struct graph_value *a = input(node, form->a), *b = input(node, form->b), *c = input(node, form->c);
	bool integer = a->dtype == DTYPE_U8 || a->dtype == DTYPE_S8;
	const int parameters[] = {form->a_scale, form->a_zero,  form->b_scale,
				  form->b_zero,  form->y_scale, form->y_zero};
	struct product product;
	int err = read_product(node, form, &product, reason, size);

	(void)target;
	(void)precision;
	if (err)
		return err;
	if (integer ? b->dtype != DTYPE_U8 && b->dtype != DTYPE_S8
		    : (a->dtype != DTYPE_F32 && a->dtype != DTYPE_F16 && a->dtype != DTYPE_BF16) ||
			      a->dtype != b->dtype)
		return refuse(reason, size, "the matrix unit takes float32, float16, bfloat16 and 8-bit integers only");
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
		if (!constant_or_none(input(node, parameters[i])))
			return refuse(reason, size, "a scale or zero point is computed at run time");
	if (matrix_zero_uniform(input(node, form->a_zero)) || matrix_zero_uniform(input(node, form->b_zero)))
		return refuse(reason, size, "zero points differ between rows or columns");
	if (form->a_scale >= 0 && tensor_count(input(node, form->a_scale)->constant) != 1)
		return refuse(reason, size, "a scale for each row of A");
	if (form->residual && ((c && !bias_like(c, product.n)) || a->rank < 2 || b->rank != 2))
		return refuse(reason, size,
			      "a bias that is computed at run time, or operands that are no rows and a matrix");
	if (residual_of(node, form) && residual_of(node, form)->dtype != DTYPE_F32)
		return refuse(reason, size, "a residual that is not float32");
	if (c && !bias_like(c, product.n) && (integer || product.beta != 1.0f || product.alpha != 1.0f))
		return refuse(reason, size, "a matrix C with alpha or beta other than 1, or with integers");
	return matrix_activation_supported(node, reason, size);
}

/* [1][M][1][K] (or the output's N) over a matrix at @place. */
static struct dev_tensor rows_view(const struct dev_tensor *tensor, uint64_t offset, int64_t rows, int64_t row_stride,
				   int64_t cols, int64_t col_stride)
{
	struct dev_tensor view = {
		.type = tensor->type,
		.rank = WORK_RANK,
		.dims = {1, rows, 1, cols},
		.stride = {0, row_stride, 0, col_stride},
		.place = tensor->place,
	};

	view.place.offset += offset;
	return view;
}

/* Byte offset of batch @index (row-major over product->batch) in a tensor with @trailing matrix dimensions. */
static uint64_t batch_offset(const struct product *product, const struct dev_tensor *tensor, int trailing,
			     int64_t index)
{
	int64_t offset = 0;
	int shift = product->batch_rank - (tensor->rank - trailing);

	for (int d = product->batch_rank - 1; d >= 0; d--) {
		int64_t i = index % product->batch[d];

		index /= product->batch[d];
		if (d >= shift && tensor->dims[d - shift] != 1)
			offset += i * tensor->stride[d - shift];
	}
	return (uint64_t)offset;
}

/* Index of the first element of batch @index in a constant's row-major data. */
static int64_t constant_offset(const struct product *product, const struct tensor *tensor, int64_t index)
{
	int64_t offset = 0, step = 1;
	int shift = product->batch_rank - (tensor->rank - 2);

	for (int d = tensor->rank - 1; d >= tensor->rank - 2 && d >= 0; d--)
		step *= tensor->dims[d];
	for (int d = product->batch_rank - 1; d >= 0; d--) {
		int64_t i = index % product->batch[d];

		index /= product->batch[d];
		if (d < shift)
			continue;
		if (tensor->dims[d - shift] != 1)
			offset += i * step;
		step *= tensor->dims[d - shift];
	}
	return offset;
}

static bool evenly_spaced(const struct dev_tensor *tensor, int d)
{
	return tensor->stride[d] == tensor->stride[d + 1] * tensor->dims[d + 1];
}

/*
 * One weight matrix for all batches and A's rows evenly spaced over them: one tall product instead of many.
 */
static void collapse_batches(struct product *product, const struct dev_tensor *a, const struct dev_tensor *y,
			     const struct dev_tensor *c, bool b_is_matrix)
{
	int64_t total = 1;

	if (!b_is_matrix || product->trans_a || a->rank < 3 || a->rank != y->rank || (c && c->rank != y->rank))
		return;
	for (int d = 0; d < product->batch_rank; d++) {
		if (a->dims[d] != product->batch[d] || !evenly_spaced(a, d) || !evenly_spaced(y, d) ||
		    (c && !evenly_spaced(c, d)))
			return;
		total *= product->batch[d];
	}
	product->m *= total;
	product->batch_rank = 0;
}

/* The weight operand of one batch: a constant matrix, or a [K][N] view of a tensor. */
static void set_weight(struct matrix_work *work, const struct product *product, const struct tensor *constant,
		       const struct dev_tensor *b, int64_t index, struct dev_tensor *matrix)
{
	if (constant) {
		work->weight.dtype = constant->dtype;
		work->weight.so = product->trans_b ? product->k : 1;
		work->weight.sc = product->trans_b ? 1 : product->n;
		work->weight.data = (const uint8_t *)constant->data +
				    (size_t)(constant->rank > 2 ? constant_offset(product, constant, index) : 0) *
					    dtype_size(constant->dtype);
		return;
	}
	*matrix = (struct dev_tensor){.type = b->type, .rank = 2, .dims = {product->k, product->n}, .place = b->place};
	if (b->rank == 1) {
		matrix->stride[0] = b->stride[0];
		matrix->stride[1] = b->stride[0] * product->k; /* one column */
	} else {
		matrix->place.offset += batch_offset(product, b, 2, index);
		matrix->stride[0] = b->stride[b->rank - (product->trans_b ? 1 : 2)];
		matrix->stride[1] = b->stride[b->rank - (product->trans_b ? 2 : 1)];
	}
	work->dynamic = matrix;
}

/* C of batch @index as a residual: broadcast to [M][N]. */
static struct dev_tensor residual_view(const struct product *product, const struct dev_tensor *c, int64_t index)
{
	uint64_t offset = c->rank > 2 ? batch_offset(product, c, 2, index) : 0;
	int64_t row = c->rank > 1 && c->dims[c->rank - 2] != 1 ? c->stride[c->rank - 2] : 0;
	int64_t col = c->rank > 0 && c->dims[c->rank - 1] != 1 ? c->stride[c->rank - 1] : 0;

	return rows_view(c, offset, product->m, row, product->n, col);
}

static int set_post(struct lower *lower, struct matrix_work *work, struct matrix_tables *tables,
		    const struct graph_node *node, const struct gemm_form *form, const struct product *product)
{
	const struct graph_value *c = input(node, form->c), *y_scale = input(node, form->y_scale);
	int err = matrix_set_types(lower, work, input(node, form->a), input(node, form->b)->dtype, node->outputs[0]);

	if (err)
		return err;
	if (form->a_scale >= 0 && (form->residual || !y_scale)) /* QGemm without y_scale gives floats */
		err = matrix_set_rescale(work, tables, input(node, form->a_scale), input(node, form->a_zero),
					 input(node, form->b_scale), input(node, form->b_zero), y_scale,
					 input(node, form->y_zero));
	else if (y_scale)
		err = matrix_set_requantize(work, tables, input(node, form->a_scale), input(node, form->a_zero),
					    input(node, form->b_scale), input(node, form->b_zero), y_scale,
					    input(node, form->y_zero));
	else
		matrix_set_zeros(work, input(node, form->a_zero), input(node, form->b_zero));
	if (!err && c && (form->residual || !work->z.rank))
		err = matrix_set_bias(work, tables, c, product->beta / product->alpha);
	if (!err && product->alpha != 1.0f) {
		if (work->scale) {
			for (int64_t i = 0; i < work->oc; i++)
				tables->scale[i] *= product->alpha;
		} else {
			memcpy(&work->post.scale_imm, &product->alpha, sizeof(product->alpha));
			work->post.dr_flags |= AXL_DR_SCALE_IMM;
		}
	}
	/* Of a form with a residual the activation comes before it, of Gemm with a matrix C behind. */
	return err ? err : matrix_set_activation(work, node, work->z.rank != 0 && !form->residual);
}

/* Operators of the vector unit that need all of a row. */
static bool reads_rows(const struct graph_node *node)
{
	static const char *const names[] = {"LayerNormalization", "RMSNormalization", "Softmax"};

	return GRAPH_NODE_IS(node, names);
}

static bool read_by_rows(const struct graph_value *value)
{
	for (size_t u = 0; u < value->num_uses; u++)
		if (reads_rows(value->uses[u]))
			return true;
	return false;
}

static int gemm_lower(struct lower *lower, struct graph_node *node)
{
	const struct gemm_form *form = find_form(node);
	const struct graph_value *c_value = input(node, form->c), *residual = residual_of(node, form);
	const struct tensor *constant = input(node, form->b)->constant;
	struct dev_tensor *a, *b = NULL, *y, *c = NULL;
	bool integer = input(node, form->a)->dtype == DTYPE_U8 || input(node, form->a)->dtype == DTYPE_S8;
	struct product product;
	int64_t batches = 1, a_row, a_col, y_row, y_col;
	int err = read_product(node, form, &product, lower->error, sizeof(lower->error));

	if (err)
		return err;
	if (constant && constant->rank == 1)
		constant = NULL; /* a single column: as a tensor */
	a = lower_tensor(lower, input(node, form->a));
	if (!constant)
		b = lower_tensor(lower, input(node, form->b));
	if (c_value && !bias_like(c_value, product.n))
		c = lower_tensor(lower, c_value);
	if (residual)
		c = lower_tensor(lower, residual);
	y = lower_output_resident(lower, node->outputs[0], NULL);
	if (!a || (!constant && !b) || !y || (residual && !c))
		return lower_fail(lower, node, -ENOMEM, "out of memory for tensors");
	collapse_batches(&product, a, y, residual ? c : NULL, constant ? constant->rank == 2 : b->rank <= 2);
	a_row = a->rank == 1 ? 0 : a->stride[a->rank - (product.trans_a ? 1 : 2)];
	a_col = a->rank == 1 ? a->stride[0] : a->stride[a->rank - (product.trans_a ? 2 : 1)];
	y_col = input(node, form->b)->rank == 1 ? 0 : y->stride[y->rank - 1];
	y_row = a->rank == 1 ? 0 : y->stride[y->rank - (input(node, form->b)->rank == 1 ? 1 : 2)];
	for (int d = 0; d < product.batch_rank; d++)
		batches *= product.batch[d];
	for (int64_t i = 0; i < batches && !err; i++) {
		struct matrix_work work = {
			.node = node,
			.groups = 1,
			.ic = product.k,
			.oc = product.n,
			.ih = product.m,
			.iw = 1,
			.oh = product.m,
			.ow = 1,
			.kh = 1,
			.kw = 1,
			.sh = 1,
			.sw = 1,
			.dh = 1,
			.dw = 1,
			.in_dil_h = 1,
			.in_dil_w = 1,
		};
		struct matrix_tables tables = {0};
		struct dev_tensor matrix;
		int y_trailing = (a->rank > 1) + (input(node, form->b)->rank > 1);

		work.x = rows_view(a, a->rank > 2 ? batch_offset(&product, a, 2, i) : 0, product.m, a_row, product.k,
				   a_col);
		work.y = rows_view(y, batch_offset(&product, y, y_trailing, i), product.m, y_row, product.n, y_col);
		if (c)
			work.z = residual_view(&product, c, i);
		work.x_resident = tensor_is_resident(lower, a);
		work.y_resident = tensor_is_resident(lower, y);
		work.z_resident = c && tensor_is_resident(lower, c);
		work.spad_taken = lower->resident.bytes;
		/* Weights of 16 bits would come twice, and memory is busy with them half of the time already. */
		work.row_reader = integer && read_by_rows(node->outputs[0]);
		set_weight(&work, &product, constant, b, i, &matrix);
		err = set_post(lower, &work, &tables, node, form, &product);
		if (err)
			err = lower_fail(lower, node, err, "post-processing can not be expressed");
		else
			err = matrix_lower(lower, &work);
		matrix_tables_finish(&tables);
	}
	return err;
}

static uint64_t gemm_estimate(const struct graph_node *node, const struct target *target,
			      enum lower_precision precision)
{
	const struct gemm_form *form = find_form(node);
	struct product product;
	struct matrix_work work = {.node = node,
				   .groups = 1,
				   .iw = 1,
				   .ow = 1,
				   .kh = 1,
				   .kw = 1,
				   .sh = 1,
				   .sw = 1,
				   .dh = 1,
				   .dw = 1,
				   .in_dil_h = 1,
				   .in_dil_w = 1};
	struct matrix_plan plan;
	uint64_t batches = 1;
	char reason[64];

	if (read_product(node, form, &product, reason, sizeof(reason)))
		return 0;
	work.ic = product.k;
	work.oc = product.n;
	work.ih = work.oh = product.m;
	work.x.dims[WORK_N] = 1;
	matrix_estimate_types(&work, input(node, form->a)->dtype, precision);
	for (int d = 0; d < product.batch_rank; d++)
		batches *= (uint64_t)product.batch[d];
	return matrix_plan(&work, target, &plan, NULL) ? 0 : plan.cycles * batches;
}

extern const struct lower_op lower_ops_gemm[];
const struct lower_op lower_ops_gemm[] = {
	{"", "Gemm", gemm_supports, gemm_lower, gemm_estimate},
	{"", "MatMul", gemm_supports, gemm_lower, gemm_estimate},
	{"", "QLinearMatMul", gemm_supports, gemm_lower, gemm_estimate},
	{"", "MatMulInteger", gemm_supports, gemm_lower, gemm_estimate},
	{"com.microsoft", "FusedGemm", gemm_supports, gemm_lower, gemm_estimate},
	{"com.microsoft", "FusedMatMul", gemm_supports, gemm_lower, gemm_estimate},
	{"com.microsoft", "QGemm", gemm_supports, gemm_lower, gemm_estimate},
	{"axl", "Linear", gemm_supports, gemm_lower, gemm_estimate},
	{"axl", "QLinear", gemm_supports, gemm_lower, gemm_estimate},
	{NULL, NULL, NULL, NULL, NULL},
};
