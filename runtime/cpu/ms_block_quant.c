// SPDX-License-Identifier: MIT
/*
 * com.microsoft operators on weights in blocks that share a scale: MatMulNBits (2, 4 and 8 bits), MatMulBnb4 (the 4-bit
 * floats of bitsandbytes), GatherBlockQuantized.
 *
 * Products read the weights as they are: the float product asks for its right operand block by block, and gets it
 * dequantized; the weights never exist as floats.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cast.h"
#include "runtime/cpu/families.h"
#include "runtime/cpu/nested.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/row_stats.h"
#include "runtime/cpu/scratch.h"
#include "runtime/cpu/sgemm.h"
#include "runtime/cpu/shape_rules.h"

/* ---- a product with weights that are dequantized in passing ---- */

/*
 * struct block_product - y[m][n] = sum over k of a[m][k] * w[n][k] (+ bias)
 * @row: weights k … k + count - 1 of output @n as floats
 */
struct block_product {
	int64_t m, n, k;
	const float *a, *bias;
	float *y;
	void (*row)(const void *weights, int64_t n, int64_t k, int64_t count, float *out);
	const void *weights;
	const float *packed;
	int64_t block_rows, block_columns, row_blocks;
	atomic_int err;
};

/* The callback of sgemm.h: panels of columns, step k by step k. */
static void fill_panels(const void *arg, int64_t k, int64_t depth, int64_t n, int64_t columns, float *panels)
{
	const struct block_product *p = arg;
	int64_t width = sgemm_panel_columns();
	float row[SGEMM_DEPTH];

	for (int64_t j = 0; j < (columns + width - 1) / width * width; j++) {
		float *panel = panels + j / width * depth * width + j % width;

		if (j < columns)
			p->row(p->weights, n + j, k, depth, row);
		for (int64_t i = 0; i < depth; i++)
			panel[i * width] = j < columns ? row[i] : 0;
	}
}

static void multiply_block(void *arg, size_t index)
{
	struct block_product *p = arg;
	int64_t row = (int64_t)index % p->row_blocks * p->block_rows;
	int64_t column = (int64_t)index / p->row_blocks * p->block_columns;
	struct sgemm block = {.m = p->m,
			      .n = p->n,
			      .k = p->k,
			      .a = p->packed,
			      .fill_b = fill_panels,
			      .arg = p,
			      .c = p->y,
			      .c_stride = p->n};
	int64_t rows = p->m - row < p->block_rows ? p->m - row : p->block_rows;
	int64_t columns = p->n - column < p->block_columns ? p->n - column : p->block_columns;
	int err = sgemm_block(&block, row, rows, column, columns);

	if (err)
		atomic_store_explicit(&p->err, err, memory_order_relaxed);
	for (int64_t i = row; p->bias && i < row + rows; i++)
		for (int64_t j = column; j < column + columns; j++)
			p->y[i * p->n + j] += p->bias[j];
}

/* Outputs [begin, end) for few rows: each weight row is made once and stays in the cache. */
static void multiply_columns(void *arg, int64_t begin, int64_t end)
{
	struct block_product *p = arg;
	float *row = scratch_get((size_t)p->k * sizeof(*row) + 1);

	if (!row) {
		atomic_store_explicit(&p->err, -ENOMEM, memory_order_relaxed);
		return;
	}
	for (int64_t n = begin; n < end; n++) {
		p->row(p->weights, n, 0, p->k, row);
		for (int64_t m = 0; m < p->m; m++)
			p->y[m * p->n + n] = (float)row_dot(p->k, p->a + m * p->k, row) + (p->bias ? p->bias[n] : 0);
	}
}

/* Rows below which packing A does not pay. */
#define FEW_ROWS 8

static int multiply(struct op_call *call, struct block_product *p)
{
	float *packed;
	size_t size = sgemm_packed_size(p->m, p->k);

	if (p->m < FEW_ROWS) {
		parallel_range(call->pool, p->n, PARALLEL_GRAIN / (p->k + 1) + 1, multiply_columns, p);
		return atomic_load(&p->err);
	}
	if (!size)
		return -EOVERFLOW;
	packed = scratch_get_for(SCRATCH_IMAGE, size);
	if (!packed)
		return -ENOMEM;
	sgemm_pack(p->m, p->k, p->a, p->k, 1, packed);
	p->packed = packed;
	sgemm_split(p->m, p->n, 1, cpu_pool_threads(call->pool), &p->block_rows, &p->block_columns);
	p->row_blocks = (p->m + p->block_rows - 1) / p->block_rows;
	cpu_pool_for(call->pool, (size_t)(p->row_blocks * ((p->n + p->block_columns - 1) / p->block_columns)),
		     multiply_block, p);
	return atomic_load(&p->err);
}

/* A as [m, k] in p->a, output 0 as [..., n]. */
static int open_product(struct op_call *call, struct block_product *p, int64_t k, int64_t n)
{
	const struct tensor *a = call->inputs[0];
	int64_t dims[TENSOR_MAX_RANK];
	int err;

	if (k < 1 || n < 1 || a->rank < 1 || a->dims[a->rank - 1] != k)
		return op_fail(call, -EINVAL, "%s: input 0 has rows of %lld, attributes K and N are %lld and %lld",
			       call->node->op_type, (long long)(a->rank ? a->dims[a->rank - 1] : 0),
			       (long long)op_attr_int(call->node, "K", 0), (long long)op_attr_int(call->node, "N", 0));
	if (a->dtype != DTYPE_F32)
		return op_fail(call, -EINVAL, "%s: input 0 is %s, expected float32, float16 or bfloat16",
			       call->node->op_type, dtype_name(a->dtype));
	memcpy(dims, a->dims, sizeof(dims));
	dims[a->rank - 1] = n;
	err = op_output(call, 0, DTYPE_F32, a->rank, dims);
	if (err)
		return err;
	p->m = tensor_count(a) / k;
	p->k = k;
	p->n = n;
	p->a = a->data;
	p->y = op_wanted(call, 0) ? call->outputs[0]->data : NULL;
	return 0;
}

/* ---- MatMulNBits ---- */

/*
 * struct nbits - weights in blocks of @block along k, @bits each, the first in the low bits of a byte
 * @group: by k, the block whose scale counts (g_idx), or NULL: its own
 * @zero_bytes: zero points packed as the weights are; @zero_floats: as floats; both NULL: half of the range
 */
struct nbits {
	int64_t k, blocks, block, blob, zero_stride;
	int bits;
	const uint8_t *weights, *zero_bytes;
	const float *scales, *zero_floats;
	const int32_t *group;
};

static int32_t packed_value(const uint8_t *bytes, int64_t i, int bits)
{
	int64_t per_byte = 8 / bits;

	return bytes[i / per_byte] >> (i % per_byte * bits) & ((1 << bits) - 1);
}

static float zero_point(const struct nbits *w, int64_t n, int64_t block)
{
	if (w->zero_bytes)
		return (float)packed_value(w->zero_bytes + n * w->zero_stride, block, w->bits);
	return w->zero_floats ? w->zero_floats[n * w->blocks + block] : (float)(1 << (w->bits - 1));
}

static void nbits_row(const void *arg, int64_t n, int64_t k, int64_t count, float *out)
{
	const struct nbits *w = arg;

	for (int64_t i = k; i < k + count;) {
		int64_t block = i / w->block, end = (block + 1) * w->block;
		const uint8_t *bytes = w->weights + (n * w->blocks + block) * w->blob;
		float scale = w->scales[n * w->blocks + block], zero = zero_point(w, n, block);

		end = end < k + count ? end : k + count;
		for (; i < end; i++) {
			if (w->group) {
				scale = w->scales[n * w->blocks + w->group[i]];
				zero = zero_point(w, n, w->group[i]);
			}
			*out++ = ((float)packed_value(bytes, i % w->block, w->bits) - zero) * scale;
		}
	}
}

static int read_zero_points(struct op_call *call, struct nbits *w, int64_t n)
{
	const struct tensor *zero = op_input(call, 3);

	w->zero_stride = (w->blocks * w->bits + 7) / 8;
	if (!zero)
		return 0;
	if (tensor_count(zero) != n * (zero->dtype == DTYPE_U8 ? w->zero_stride : w->blocks) ||
	    (zero->dtype != DTYPE_U8 && zero->dtype != DTYPE_F32))
		return op_fail(
			call, -EINVAL,
			"MatMulNBits: zero_points (input 3) is neither uint8 [%lld, %lld] nor of A's type [%lld, %lld]",
			(long long)n, (long long)w->zero_stride, (long long)n, (long long)w->blocks);
	w->zero_bytes = zero->dtype == DTYPE_U8 ? zero->data : NULL;
	w->zero_floats = zero->dtype == DTYPE_F32 ? zero->data : NULL;
	return 0;
}

static int read_groups(struct op_call *call, struct nbits *w)
{
	const struct tensor *group = op_input(call, 4);

	if (!group)
		return 0;
	if (group->dtype != DTYPE_S32 || tensor_count(group) < w->k)
		return op_fail(call, -EINVAL, "MatMulNBits: g_idx (input 4) is not int32 [%lld]", (long long)w->k);
	w->group = group->data;
	for (int64_t i = 0; i < w->k; i++)
		if (w->group[i] < 0 || w->group[i] >= w->blocks)
			return op_fail(call, -EINVAL, "MatMulNBits: g_idx (input 4) has block %d of %lld", w->group[i],
				       (long long)w->blocks);
	return 0;
}

static int read_nbits(struct op_call *call, struct nbits *w, int64_t n)
{
	const struct tensor *weights = call->inputs[1], *scales = call->inputs[2];

	w->bits = (int)op_attr_int(call->node, "bits", 4);
	w->block = op_attr_int(call->node, "block_size", 0);
	if (op_attr_int(call->node, "weight_prepacked", 0))
		return op_fail(call, -ENOTSUP, "MatMulNBits: weights packed for a CUDA device (weight_prepacked)");
	if (w->bits != 2 && w->bits != 4 && w->bits != 8)
		return op_fail(call, -ENOTSUP, "MatMulNBits: %d bits, implemented are 2, 4 and 8", w->bits);
	if (w->block < 16 || w->block & (w->block - 1) || w->block > INT32_MAX)
		return op_fail(call, -EINVAL, "MatMulNBits: block_size %lld is no power of two from 16 on",
			       (long long)w->block);
	w->blocks = (w->k + w->block - 1) / w->block;
	w->blob = w->block * w->bits / 8;
	if (weights->dtype != DTYPE_U8 || tensor_count(weights) != n * w->blocks * w->blob)
		return op_fail(call, -EINVAL, "MatMulNBits: B (input 1) is not uint8 [%lld, %lld, %lld]", (long long)n,
			       (long long)w->blocks, (long long)w->blob);
	if (scales->dtype != DTYPE_F32 || tensor_count(scales) != n * w->blocks)
		return op_fail(call, -EINVAL, "MatMulNBits: scales (input 2) is not of A's type, [%lld, %lld]",
			       (long long)n, (long long)w->blocks);
	w->weights = weights->data;
	w->scales = scales->data;
	return 0;
}

/* A, B, scales, zero_points?, g_idx?, bias?. accuracy_level only allows less exactness than this has. */
static int run_matmul_nbits(struct op_call *call)
{
	int64_t k = op_attr_int(call->node, "K", 0), n = op_attr_int(call->node, "N", 0);
	const struct tensor *bias = op_input(call, 5);
	struct nbits w = {.k = k};
	struct block_product p = {.row = nbits_row, .weights = &w};
	int err = open_product(call, &p, k, n);

	if (!err)
		err = read_nbits(call, &w, n);
	if (!err)
		err = read_zero_points(call, &w, n);
	if (!err)
		err = read_groups(call, &w);
	if (!err && bias && (bias->dtype != DTYPE_F32 || tensor_count(bias) != n))
		err = op_fail(call, -EINVAL, "MatMulNBits: bias (input 5) is not of A's type, [%lld]", (long long)n);
	if (err || !p.y || !p.m)
		return err;
	p.bias = bias ? bias->data : NULL;
	return multiply(call, &p);
}

/* ---- MatMulBnb4 ---- */

/*
 * The 4-bit types of bitsandbytes: NF4, quantiles of the normal distribution (T. Dettmers et al., "QLoRA", 2023,
 * appendix E), and FP4, one sign, two exponent bits, one mantissa bit.
 */
static const float bnb4_values[2][16] = {
	{0.0f, 0.0052083333f, 0.6666667f, 1.0f, 0.33333334f, 0.5f, 0.16666667f, 0.25f, -0.0f, -0.0052083333f,
	 -0.6666667f, -1.0f, -0.33333334f, -0.5f, -0.16666667f, -0.25f},
	{-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
	 -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
	 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f,
	 1.0f},
};

/* @inner: elements of a row of the stored matrix [N, K]; @column: a row of the product's weights is a column of it */
struct bnb4 {
	const uint8_t *bytes;
	const float *scales, *values;
	int64_t block, inner;
	bool column;
};

static void bnb4_row(const void *arg, int64_t n, int64_t k, int64_t count, float *out)
{
	const struct bnb4 *w = arg;

	for (int64_t i = k; i < k + count; i++) {
		int64_t at = w->column ? i * w->inner + n : n * w->inner + i;
		uint8_t byte = w->bytes[at / 2];

		*out++ = w->values[at % 2 ? byte & 15 : byte >> 4] * w->scales[at / w->block];
	}
}

/* A, B (bytes of two elements, the first in the high half), absmax */
static int run_matmul_bnb4(struct op_call *call)
{
	int64_t k = op_attr_int(call->node, "K", 0), n = op_attr_int(call->node, "N", 0), count;
	bool transposed = op_attr_int(call->node, "transB", 1) != 0;
	int64_t type = op_attr_int(call->node, "quant_type", 0);
	const struct tensor *b = call->inputs[1], *scales = call->inputs[2];
	struct bnb4 w = {.block = op_attr_int(call->node, "block_size", 0), .inner = k, .column = !transposed};
	struct block_product p = {.row = bnb4_row, .weights = &w};
	int err = open_product(call, &p, transposed ? k : n, transposed ? n : k);

	if (err)
		return err;
	if (type < 0 || type > 1)
		return op_fail(call, -EINVAL, "MatMulBnb4: quant_type is %lld, 0 and 1 are defined", (long long)type);
	if (w.block < 16 || w.block & (w.block - 1))
		return op_fail(call, -EINVAL, "MatMulBnb4: block_size %lld is no power of two from 16 on",
			       (long long)w.block);
	if (__builtin_mul_overflow(n, k, &count) || b->dtype != DTYPE_U8 || tensor_count(b) != (count + 1) / 2)
		return op_fail(call, -EINVAL, "MatMulBnb4: B (input 1) is not uint8 with two elements a byte");
	if (scales->dtype != DTYPE_F32 || tensor_count(scales) != (count + w.block - 1) / w.block)
		return op_fail(call, -EINVAL, "MatMulBnb4: absmax (input 2) is not of A's type, one for each block");
	if (!p.y || !p.m)
		return 0;
	w.bytes = b->data;
	w.scales = scales->data;
	w.values = bnb4_values[type];
	return multiply(call, &p);
}

/* ---- GatherBlockQuantized ---- */

/*
 * struct gather_quantized - data in blocks of @block along @axis
 * @packed: values a byte of a uint8 tensor holds along its last axis (1: none share a byte)
 */
struct gather_quantized {
	const struct tensor *data, *scales, *zero;
	int64_t axis, block, packed, dims[TENSOR_MAX_RANK];
	int bits;
};

/* Element @i of a tensor whose bytes hold @packed values each; otherwise as tensor_get_f64(). */
static double unpacked(const struct gather_quantized *g, const struct tensor *t, int64_t i)
{
	if (g->packed > 1 && t->dtype == DTYPE_U8)
		return packed_value(t->data, i, g->bits);
	return tensor_get_f64(t, i);
}

/* Element @i (row-major in the unpacked shape) as a number. */
static float dequantized(const struct gather_quantized *g, int64_t i)
{
	const struct tensor *s = g->scales;
	int64_t rest = i, at = 0, stride = 1, zero_at;
	double zero = g->data->dtype == DTYPE_U8 ? (double)(1 << (g->bits - 1)) : 0;

	for (int d = g->data->rank - 1; d >= 0; d--) {
		int64_t coordinate = rest % g->dims[d];

		rest /= g->dims[d];
		at += (d == g->axis ? coordinate / g->block : s->dims[d] == 1 ? 0 : coordinate) * stride;
		stride *= s->dims[d];
	}
	zero_at = at;
	if (g->zero) {
		/* Packed zero points pad each row of their last axis to whole bytes. */
		int64_t width = s->dims[s->rank - 1], bytes = (width + g->packed - 1) / g->packed;

		if (g->packed > 1)
			zero_at = at / width * bytes * g->packed + at % width;
		zero = unpacked(g, g->zero, zero_at);
	}
	return (float)((unpacked(g, g->data, i) - zero) * tensor_get_f64(s, at));
}

static int read_gather(struct op_call *call, struct gather_quantized *g)
{
	const struct tensor *data = call->inputs[0];

	g->data = data;
	g->scales = call->inputs[2];
	g->zero = op_input(call, 3);
	g->axis = op_attr_int(call->node, "quantize_axis", 1);
	g->block = op_attr_int(call->node, "block_size", 128);
	g->bits = (int)op_attr_int(call->node, "bits", 4);
	if (data->rank < 1 || normalize_axis(&g->axis, data->rank))
		return op_fail(call, -EINVAL, "GatherBlockQuantized: quantize_axis %lld of a tensor of rank %d",
			       (long long)g->axis, data->rank);
	if (g->bits != 2 && g->bits != 4 && g->bits != 8)
		return op_fail(call, -EINVAL, "GatherBlockQuantized: %d bits", g->bits);
	g->packed = data->dtype == DTYPE_U8 ? 8 / g->bits : 1;
	memcpy(g->dims, data->dims, sizeof(g->dims));
	g->dims[data->rank - 1] *= g->packed;
	if (g->block == 0)
		g->block = g->dims[g->axis] ? g->dims[g->axis] : 1;
	if (g->block < 1)
		return op_fail(call, -EINVAL, "GatherBlockQuantized: block_size is %lld", (long long)g->block);
	if (g->scales->rank != data->rank)
		return op_fail(call, -EINVAL, "GatherBlockQuantized: scales (input 2) has rank %d, data has %d",
			       g->scales->rank, data->rank);
	for (int d = 0; d < data->rank; d++) {
		int64_t expected = d == g->axis ? (g->dims[d] + g->block - 1) / g->block : g->dims[d];

		if (g->scales->dims[d] != expected && (g->scales->dims[d] != 1 || d == g->axis))
			return op_fail(call, -EINVAL, "GatherBlockQuantized: dimension %d of scales is %lld, not %lld",
				       d, (long long)g->scales->dims[d], (long long)expected);
	}
	if (g->zero &&
	    (g->zero->dtype != data->dtype || (g->packed == 1 && tensor_count(g->zero) != tensor_count(g->scales)) ||
	     (g->packed > 1 && tensor_count(g->zero) * g->packed < tensor_count(g->scales))))
		return op_fail(call, -EINVAL, "GatherBlockQuantized: zero_points (input 3) do not fit data and scales");
	return 0;
}

/* An index that is out of range gives zeros. */
static int run_gather_block_quantized(struct op_call *call)
{
	const struct tensor *data = call->inputs[0];
	int64_t axis = op_attr_int(call->node, "gather_axis", 0), outer = 1, inner = 1, dims[TENSOR_MAX_RANK];
	struct gather_quantized g;
	struct tensor indices = {0};
	int rank = 0, err = read_gather(call, &g);
	cast_fn write;

	if (!err && normalize_axis(&axis, data->rank))
		err = op_fail(call, -EINVAL, "GatherBlockQuantized: gather_axis is out of range");
	if (!err && g.packed > 1 && axis == data->rank - 1)
		err = op_fail(call, -ENOTSUP, "GatherBlockQuantized: a gather along the axis that bytes share");
	if (!err)
		err = op_input_s64(call, 1, false, &indices);
	if (!err && data->rank - 1 + indices.rank > TENSOR_MAX_RANK)
		err = op_fail(call, -EINVAL, "GatherBlockQuantized: the output has too many dimensions");
	for (int d = 0; d < data->rank && !err; d++) {
		if (d == axis)
			for (int i = 0; i < indices.rank; i++)
				dims[rank++] = indices.dims[i];
		else
			dims[rank++] = g.dims[d];
		if (d != axis)
			*(d < axis ? &outer : &inner) *= g.dims[d];
	}
	if (!err)
		err = op_output(call, 0, g.scales->dtype, rank, dims);
	write = cast_row(DTYPE_F32, g.scales->dtype);
	for (int64_t o = 0, at = 0; !err && op_wanted(call, 0) && o < outer; o++)
		for (int64_t i = 0; i < tensor_count(&indices); i++) {
			int64_t index = ((const int64_t *)indices.data)[i];

			index += index < 0 ? g.dims[axis] : 0;
			for (int64_t j = 0; j < inner; j++, at++) {
				bool inside = index >= 0 && index < g.dims[axis];
				float value = inside ? dequantized(&g, (o * g.dims[axis] + index) * inner + j) : 0;

				write(1, &value,
				      (char *)call->outputs[0]->data + (size_t)at * dtype_size(g.scales->dtype));
			}
		}
	tensor_finish(&indices);
	return err;
}

const struct op_kernel ops_ms_block_quant[] = {
	{MICROSOFT, "GatherBlockQuantized", 1, 0, 3, 4, 1, 1, run_gather_block_quantized, NULL, NULL, NULL},
	{MICROSOFT, "MatMulBnb4", 1, 0, 3, 3, 1, 1, run_matmul_bnb4, NULL, NULL, &op_half_in_f32},
	{MICROSOFT, "MatMulNBits", 1, 0, 3, 6, 1, 1, run_matmul_nbits, NULL, NULL, &op_half_in_f32},
};
const size_t ops_ms_block_quant_count = sizeof(ops_ms_block_quant) / sizeof(ops_ms_block_quant[0]);
