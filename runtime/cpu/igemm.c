// SPDX-License-Identifier: MIT
/*
 * The 8-bit integer product: see igemm.h.
 *
 * Unlike the float product it is not blocked over k: a tile's sums are complete when they leave the registers, and are
 * requantized at once. The columns of a block are few enough for all of k to stay in the second-level cache.
 */
#include "runtime/cpu/igemm.h"

#include <errno.h>
#include <string.h>

#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/igemm_tile.h"
#include "runtime/cpu/scratch.h"

/* Bytes of packed B at once. */
#define BLOCK_BYTES (512 << 10)
#define MAX_BLOCK_COLUMNS 512

static int64_t divide_up(int64_t value, int64_t unit)
{
	return (value + unit - 1) / unit;
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ---- requantization ---- */

/* Adding and taking off 1.5 * 2^23 rounds to an integer, ties to even, for numbers below 2^22. */
static inline __attribute__((always_inline)) int32_t round_clamped(float value, float low, float high)
{
	value = value > low ? value : low;
	value = value < high ? value : high;
	return (int32_t)((value + 0x1.8p23f) - 0x1.8p23f);
}

CPU_CLONES static void requantize_u8(int64_t n, const int32_t *acc, const float *multiplier, int64_t step, int32_t zero,
				     bool relu, uint8_t *to)
{
	float low = relu ? 0 : (float)(0 - zero), high = (float)(UINT8_MAX - zero), all = multiplier[0];

	if (step)
		for (int64_t i = 0; i < n; i++)
			to[i] = (uint8_t)(round_clamped((float)acc[i] * multiplier[i], low, high) + zero);
	else
		for (int64_t i = 0; i < n; i++)
			to[i] = (uint8_t)(round_clamped((float)acc[i] * all, low, high) + zero);
}

CPU_CLONES static void requantize_s8(int64_t n, const int32_t *acc, const float *multiplier, int64_t step, int32_t zero,
				     bool relu, int8_t *to)
{
	float low = relu ? 0 : (float)(INT8_MIN - zero), high = (float)(INT8_MAX - zero), all = multiplier[0];

	if (step)
		for (int64_t i = 0; i < n; i++)
			to[i] = (int8_t)(round_clamped((float)acc[i] * multiplier[i], low, high) + zero);
	else
		for (int64_t i = 0; i < n; i++)
			to[i] = (int8_t)(round_clamped((float)acc[i] * all, low, high) + zero);
}

CPU_CLONES static void scale_to_f32(int64_t n, const int32_t *acc, const float *multiplier, int64_t step, float *to)
{
	for (int64_t i = 0; i < n; i++)
		to[i] = (float)acc[i] * multiplier[i * step];
}

static void add_bias(const struct requantize *q, int64_t row, int64_t column, int64_t n, int32_t *acc)
{
	const int32_t *bias = q->bias + row * q->bias_row_step + column * q->bias_column_step;

	for (int64_t i = 0; i < n; i++)
		acc[i] = (int32_t)((uint32_t)acc[i] + (uint32_t)bias[i * q->bias_column_step]);
}

void requantize_row(const struct requantize *q, int64_t row, int64_t column, int64_t n, int32_t *acc, void *to)
{
	const float *multiplier = q->multiplier ? q->multiplier + row * q->row_step + column * q->column_step : NULL;

	if (q->bias)
		add_bias(q, row, column, n, acc);
	switch (q->dtype) {
	case DTYPE_U8:
		requantize_u8(n, acc, multiplier, q->column_step, q->zero, q->relu, to);
		break;
	case DTYPE_S8:
		requantize_s8(n, acc, multiplier, q->column_step, q->zero, q->relu, to);
		break;
	case DTYPE_F32:
		scale_to_f32(n, acc, multiplier, q->column_step, to);
		break;
	default:
		memcpy(to, acc, (size_t)n * sizeof(*acc));
		break;
	}
}

/* ---- packing ---- */

static int32_t byte_at(enum dtype dtype, const void *bytes, int64_t i)
{
	return dtype == DTYPE_S8 ? ((const int8_t *)bytes)[i] : ((const uint8_t *)bytes)[i];
}

size_t igemm_packed_size(int64_t m, int64_t k)
{
	int64_t rows = igemm_tile()->rows, count;

	if (m < 0 || k < 0 || m > INT64_MAX - rows || k == INT64_MAX)
		return 0;
	if (__builtin_mul_overflow(divide_up(m, rows) * rows, (k + 1) / 2 * 2, &count) ||
	    (uint64_t)count > PTRDIFF_MAX / sizeof(int16_t))
		return 0;
	return (size_t)count * sizeof(int16_t);
}

void igemm_pack(int64_t m, int64_t k, enum dtype dtype, const void *a, int64_t row_stride, int64_t column_stride,
		const void *zero, int64_t zero_step, int16_t *packed)
{
	int64_t rows = igemm_tile()->rows;

	for (int64_t m0 = 0; m0 < m; m0 += rows)
		for (int64_t j = 0; j < k; j += 2)
			for (int64_t i = m0; i < m0 + rows; i++)
				for (int64_t l = j; l < j + 2; l++) {
					int32_t z = zero && i < m ? byte_at(dtype, zero, i * zero_step) : 0;
					bool inside = i < m && l < k;

					*packed++ = inside ? (int16_t)(byte_at(dtype, a,
									       i * row_stride + l * column_stride) -
								       z)
							   : 0;
				}
}

/* to[2 * i] and to[2 * i + 1] from two rows, less the zero points. */
CPU_CLONES static void interleave_u8(int64_t n, const uint8_t *even, const uint8_t *odd, const int16_t *zero,
				     int16_t *to)
{
	for (int64_t i = 0; i < n; i++) {
		to[2 * i] = (int16_t)(even[i] - zero[i]);
		to[2 * i + 1] = (int16_t)(odd[i] - zero[i]);
	}
}

CPU_CLONES static void interleave_s8(int64_t n, const int8_t *even, const int8_t *odd, const int16_t *zero, int16_t *to)
{
	for (int64_t i = 0; i < n; i++) {
		to[2 * i] = (int16_t)(even[i] - zero[i]);
		to[2 * i + 1] = (int16_t)(odd[i] - zero[i]);
	}
}

static void interleave(enum dtype dtype, int64_t n, const uint8_t *even, const uint8_t *odd, const int16_t *zero,
		       int16_t *to)
{
	if (dtype == DTYPE_S8)
		interleave_s8(n, (const int8_t *)even, (const int8_t *)odd, zero, to);
	else
		interleave_u8(n, even, odd, zero, to);
}

/*
 * All rows of B, columns [column, column + columns), as panels of pairs. Beyond the last column the panels hold
 * whatever they held: those sums are never read. Beyond the last row stands zero.
 */
static void pack_b(const struct igemm *p, int64_t column, int64_t columns, int16_t *panels)
{
	int64_t lanes = igemm_tile()->columns, pairs = divide_up(p->k, 2);
	int16_t zero[MAX_BLOCK_COLUMNS];
	uint8_t lines[2][MAX_BLOCK_COLUMNS], zero_bytes[MAX_BLOCK_COLUMNS];

	for (int64_t i = 0; i < columns; i++) {
		zero[i] = 0;
		zero_bytes[i] = 0;
		if (p->b_zero) {
			int64_t at = (column + i) * p->b_zero_step;

			zero[i] = (int16_t)byte_at(p->b_dtype, p->b_zero, at);
			zero_bytes[i] = ((const uint8_t *)p->b_zero)[at];
		}
	}
	for (int64_t pair = 0; pair < pairs; pair++) {
		const uint8_t *even = p->row_b(p->arg, 2 * pair, column, columns, lines[0]);
		/* The zero point less itself is the 0 that an odd k ends with. */
		const uint8_t *odd =
			2 * pair + 1 < p->k ? p->row_b(p->arg, 2 * pair + 1, column, columns, lines[1]) : zero_bytes;

		for (int64_t j = 0; j < columns; j += lanes)
			interleave(p->b_dtype, smaller(lanes, columns - j), even + j, odd + j, zero + j,
				   panels + (j * pairs + pair * lanes) * 2);
	}
}

/* ---- the product ---- */

static void multiply_columns(const struct igemm *p, int64_t row, int64_t rows, int64_t column, int64_t columns,
			     int16_t *panels)
{
	_Alignas(64) int32_t acc[IGEMM_TILE_MAX_ROWS * IGEMM_TILE_MAX_COLUMNS];
	const struct igemm_tile *tile = igemm_tile();
	int64_t pairs = divide_up(p->k, 2);
	size_t size = dtype_size(p->requantize.dtype);

	pack_b(p, column, columns, panels);
	for (int64_t i = row; i < row + rows; i += tile->rows)
		for (int64_t j = 0; j < columns; j += tile->columns) {
			int64_t height = smaller(tile->rows, row + rows - i),
				width = smaller(tile->columns, columns - j);

			tile->multiply(pairs, p->a + i * pairs * 2, panels + j * pairs * 2, acc);
			for (int64_t l = 0; l < height; l++)
				requantize_row(&p->requantize, i + l, column + j, width, acc + l * tile->columns,
					       (char *)p->c + (size_t)((i + l) * p->c_stride + column + j) * size);
		}
}

/* Columns of a block: all of k in BLOCK_BYTES, whole panels. */
static int64_t block_columns(int64_t k)
{
	int64_t lanes = igemm_tile()->columns, fit = BLOCK_BYTES / 4 / (k / 2 + 1) / lanes * lanes;

	return fit < lanes ? lanes : smaller(fit, MAX_BLOCK_COLUMNS);
}

int igemm_block(const struct igemm *p, int64_t row, int64_t rows, int64_t column, int64_t columns)
{
	int64_t block = block_columns(p->k), lanes = igemm_tile()->columns;
	int64_t padded = divide_up(smaller(block, columns), lanes) * lanes;
	int16_t *panels = scratch_get((size_t)padded * (size_t)(divide_up(p->k, 2) + 1) * 2 * sizeof(*panels));

	if (!panels)
		return -ENOMEM;
	for (int64_t j = 0; j < columns; j += block)
		multiply_columns(p, row, rows, column + j, smaller(block, columns - j), panels);
	return 0;
}

void igemm_split(int64_t m, int64_t n, int64_t k, int64_t count, size_t threads, int64_t *rows, int64_t *columns)
{
	const struct igemm_tile *tile = igemm_tile();
	int64_t blocks, wanted = (int64_t)threads;

	*rows = m;
	*columns = smaller(block_columns(k), n);
	if (m < 1 || n < 1 || threads < 2)
		return;
	/* Columns first: a block of rows packs all of B again. */
	blocks = count * divide_up(n, *columns);
	if (blocks < wanted) {
		int64_t parts = divide_up(wanted, count);

		*columns = smaller(divide_up(divide_up(n, parts), tile->columns) * tile->columns, n);
		blocks = count * divide_up(n, *columns);
	}
	if (blocks < wanted)
		*rows = smaller(divide_up(divide_up(m, divide_up(wanted, blocks)), tile->rows) * tile->rows, m);
}
