/* SPDX-License-Identifier: MIT */
/*
 * CONV and DWCONV. A block of output positions is gathered into dense rows (the implicit im2col, zeros where there is
 * padding) and multiplied by a packed block of 64 columns. Bytes are multiplied as they are where the host can
 * (exec_bytes.c); else they are widened to 16 bits without their zero points and summed in pairs. Floats
 * are summed with one fused multiply-add a step, k ascending: each column is its own chain, so that any vector width
 * gives the same bits.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "sim/core/exec_bytes.h"
#include "sim/core/exec_internal.h"

#define COLUMNS 64
#define ROWS 6 /* rows at a time in the inner kernels: 6 x 4 vectors of 16 fit the registers */

/* ---- gathering rows ---- */

/* Address of the pixel under tap (kh, kw) of output position m, or NULL where there is padding. */
static const uint8_t *pixel(const struct axl_conv *conv, const uint8_t *spad, uint32_t m, unsigned int kh,
			    unsigned int kw)
{
	int y = (int)(m / conv->out_w) * conv->stride_h + (int)kh * conv->dilation_h - conv->pad_top;
	int x = (int)(m % conv->out_w) * conv->stride_w + (int)kw * conv->dilation_w - conv->pad_left;

	if (y < 0 || x < 0 || y % conv->in_dil_h || x % conv->in_dil_w)
		return NULL;
	y /= conv->in_dil_h;
	x /= conv->in_dil_w;
	if (y >= conv->in_h || x >= conv->in_w)
		return NULL;
	return spad + conv->a + (size_t)y * conv->a_stride_h + (size_t)x * conv->a_stride_w;
}

EXEC_CLONES static void widen_u8(int16_t *dst, const uint8_t *src, size_t count, int zero)
{
	for (size_t i = 0; i < count; i++)
		dst[i] = (int16_t)(src[i] - zero);
}

EXEC_CLONES static void widen_s8(int16_t *dst, const int8_t *src, size_t count, int zero)
{
	for (size_t i = 0; i < count; i++)
		dst[i] = (int16_t)(src[i] - zero);
}

static void widen(int16_t *dst, const uint8_t *src, unsigned int type, size_t count, int zero)
{
	if (type == AXL_TYPE_U8)
		widen_u8(dst, src, count, zero);
	else
		widen_s8(dst, (const int8_t *)src, count, zero);
}

/* Rows [m0, m0 + rows) as 16-bit integers, each of @stride elements (K rounded up to even, the rest 0). */
static void gather_int(const struct axl_conv *conv, const uint8_t *spad, uint32_t m0, uint32_t rows, int16_t *dst,
		       size_t stride)
{
	size_t channels = conv->channels, k = channels * conv->kernel_h * conv->kernel_w;

	for (uint32_t r = 0; r < rows; r++, dst += stride) {
		int16_t *at = dst;

		for (unsigned int kh = 0; kh < conv->kernel_h; kh++)
			for (unsigned int kw = 0; kw < conv->kernel_w; kw++, at += channels) {
				const uint8_t *from = pixel(conv, spad, m0 + r, kh, kw);

				if (from)
					widen(at, from, conv->a_type, channels, conv->a_zero);
				else
					memset(at, 0, channels * sizeof(*at));
			}
		for (size_t i = k; i < stride; i++)
			dst[i] = 0;
	}
}

static void gather_float(const struct axl_conv *conv, const uint8_t *spad, uint32_t m0, uint32_t rows, float *dst,
			 size_t stride)
{
	size_t channels = conv->channels;

	for (uint32_t r = 0; r < rows; r++, dst += stride) {
		float *at = dst;

		for (unsigned int kh = 0; kh < conv->kernel_h; kh++)
			for (unsigned int kw = 0; kw < conv->kernel_w; kw++, at += channels) {
				const uint8_t *from = pixel(conv, spad, m0 + r, kh, kw);

				if (from)
					exec_to_f32(at, from, conv->a_type, channels);
				else
					memset(at, 0, channels * sizeof(*at));
			}
	}
}

/* ---- packing weights ---- */

EXEC_CLONES static void interleave(int16_t *dst, const int16_t *even, const int16_t *odd)
{
	for (int c = 0; c < COLUMNS; c++) {
		dst[2 * c] = even[c];
		dst[2 * c + 1] = odd[c];
	}
}

/* Columns [n0, n0 + n) as pairs of k: w[k / 2][column][2], COLUMNS columns, the rest 0. */
static void pack_int(const struct axl_conv *conv, const uint8_t *spad, uint32_t n0, uint32_t n, size_t k, int16_t *dst)
{
	int16_t rows[2][COLUMNS];

	memset(rows, 0, sizeof(rows));
	for (size_t i = 0; i < k; i++) {
		const uint8_t *from = spad + conv->w + i * conv->w_stride_k + (size_t)n0 * conv->w_stride_n;
		int16_t *row = rows[i & 1];

		if (conv->w_stride_n == 1)
			widen(row, from, conv->w_type, n, conv->w_zero);
		else
			for (uint32_t c = 0; c < n; c++)
				widen(&row[c], from + (size_t)c * conv->w_stride_n, conv->w_type, 1, conv->w_zero);
		if (i & 1)
			interleave(dst + i / 2 * 2 * COLUMNS, rows[0], rows[1]);
	}
	if (k & 1) {
		memset(rows[1], 0, sizeof(rows[1]));
		interleave(dst + k / 2 * 2 * COLUMNS, rows[0], rows[1]);
	}
}

static void pack_float(const struct axl_conv *conv, const uint8_t *spad, uint32_t n0, uint32_t n, size_t k, float *dst)
{
	size_t size = exec_type_size((enum axl_type)conv->w_type);

	for (size_t i = 0; i < k; i++, dst += COLUMNS) {
		const uint8_t *from = spad + conv->w + i * conv->w_stride_k + (size_t)n0 * conv->w_stride_n;

		if (conv->w_stride_n == size)
			exec_to_f32(dst, from, (enum axl_type)conv->w_type, n);
		else
			for (uint32_t c = 0; c < n; c++)
				exec_to_f32(&dst[c], from + (size_t)c * conv->w_stride_n, (enum axl_type)conv->w_type,
					    1);
		for (uint32_t c = n; c < COLUMNS; c++)
			dst[c] = 0;
	}
}

/* ---- inner products: acc[row][column] += a[row][] . w[][column], for @rows <= ROWS ---- */

EXEC_CLONES static void int_rows(int32_t (*acc)[COLUMNS], const int16_t *a, size_t stride, const int16_t *w,
				 size_t pairs, uint32_t rows)
{
	for (uint32_t r = 0; r < rows; r++)
		for (size_t p = 0; p < pairs; p++) {
			uint32_t a0 = (uint32_t)a[r * stride + 2 * p], a1 = (uint32_t)a[r * stride + 2 * p + 1];
			const int16_t *at = w + p * 2 * COLUMNS;

			for (int c = 0; c < COLUMNS; c++)
				acc[r][c] = (int32_t)((uint32_t)acc[r][c] + a0 * (uint32_t)at[2 * c] +
						      a1 * (uint32_t)at[2 * c + 1]);
		}
}

EXEC_CLONES static void float_rows(float (*acc)[COLUMNS], const float *a, size_t stride, const float *w, size_t k,
				   uint32_t rows)
{
	for (uint32_t r = 0; r < rows; r++)
		for (size_t i = 0; i < k; i++)
			for (int c = 0; c < COLUMNS; c++)
				acc[r][c] = fmaf(a[r * stride + i], w[i * COLUMNS + c], acc[r][c]);
}

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))) static void
int_rows_vnni(int32_t (*acc)[COLUMNS], const int16_t *a, size_t stride, const int16_t *w, size_t pairs, uint32_t rows)
{
	__m512i sum[ROWS][4];

	for (int r = 0; r < ROWS; r++)
		for (int v = 0; v < 4; v++)
			sum[r][v] = _mm512_loadu_si512(&acc[r][v * 16]);
	for (size_t p = 0; p < pairs; p++) {
		__m512i w0 = _mm512_loadu_si512(w + p * 2 * COLUMNS), w1 = _mm512_loadu_si512(w + p * 2 * COLUMNS + 32);
		__m512i w2 = _mm512_loadu_si512(w + p * 2 * COLUMNS + 64),
			w3 = _mm512_loadu_si512(w + p * 2 * COLUMNS + 96);

#pragma GCC unroll 6
		for (int r = 0; r < ROWS; r++) {
			int32_t pair;
			__m512i x;

			memcpy(&pair, a + (size_t)r * stride + 2 * p, sizeof(pair));
			x = _mm512_set1_epi32(pair);
			sum[r][0] = _mm512_dpwssd_epi32(sum[r][0], x, w0);
			sum[r][1] = _mm512_dpwssd_epi32(sum[r][1], x, w1);
			sum[r][2] = _mm512_dpwssd_epi32(sum[r][2], x, w2);
			sum[r][3] = _mm512_dpwssd_epi32(sum[r][3], x, w3);
		}
	}
	for (int r = 0; r < ROWS; r++)
		for (int v = 0; v < 4; v++)
			_mm512_storeu_si512(&acc[r][v * 16], sum[r][v]);
	(void)rows;
}

__attribute__((target("avx512f"))) static void float_rows_avx512(float (*acc)[COLUMNS], const float *a, size_t stride,
								 const float *w, size_t k, uint32_t rows)
{
	__m512 sum[ROWS][4];

	for (int r = 0; r < ROWS; r++)
		for (int v = 0; v < 4; v++)
			sum[r][v] = _mm512_loadu_ps(&acc[r][v * 16]);
	for (size_t i = 0; i < k; i++) {
		__m512 w0 = _mm512_loadu_ps(w + i * COLUMNS), w1 = _mm512_loadu_ps(w + i * COLUMNS + 16);
		__m512 w2 = _mm512_loadu_ps(w + i * COLUMNS + 32), w3 = _mm512_loadu_ps(w + i * COLUMNS + 48);

#pragma GCC unroll 6
		for (int r = 0; r < ROWS; r++) {
			__m512 x = _mm512_set1_ps(a[(size_t)r * stride + i]);

			sum[r][0] = _mm512_fmadd_ps(x, w0, sum[r][0]);
			sum[r][1] = _mm512_fmadd_ps(x, w1, sum[r][1]);
			sum[r][2] = _mm512_fmadd_ps(x, w2, sum[r][2]);
			sum[r][3] = _mm512_fmadd_ps(x, w3, sum[r][3]);
		}
	}
	for (int r = 0; r < ROWS; r++)
		for (int v = 0; v < 4; v++)
			_mm512_storeu_ps(&acc[r][v * 16], sum[r][v]);
	(void)rows;
}
#endif

/* ---- the instruction ---- */

struct kernels {
	void (*ints)(int32_t (*acc)[COLUMNS], const int16_t *a, size_t stride, const int16_t *w, size_t pairs,
		     uint32_t rows);
	bool bytes; /* exec_bytes.c */
	void (*floats)(float (*acc)[COLUMNS], const float *a, size_t stride, const float *w, size_t k, uint32_t rows);
	const char *name;
};

static struct kernels choose(void)
{
	struct kernels kernels = {int_rows, false, float_rows, "portable"};
	const char *forced = getenv("AXL_SIM_ISA");

	if (forced && !strcmp(forced, "portable"))
		return kernels;
#if defined(__x86_64__)
	if (exec_bytes_can())
		kernels = (struct kernels){int_rows_vnni, true, float_rows_avx512, "avx512-vnni"};
#endif
	return kernels;
}

static struct kernels chosen;

__attribute__((constructor)) static void choose_once(void)
{
	chosen = choose();
}

const char *exec_isa_name(void)
{
	return chosen.name;
}

/* A NaN that reaches memory is the quiet one. */
static float canonical(float x)
{
	return x == x ? x : __builtin_nanf("");
}

/* Rows [m0, m0 + rows) of one block of columns: load or clear the accumulators, multiply, store. */
static void multiply_rows(const struct axl_conv *conv, uint8_t *acc, const void *a, size_t stride, const void *w,
			  size_t k, uint32_t m0, uint32_t rows, uint32_t n0, uint32_t n, bool ints)
{
	union {
		int32_t i[ROWS][COLUMNS];
		float f[ROWS][COLUMNS];
	} sum;

	memset(&sum, 0, sizeof(sum));
	for (uint32_t r = 0; r < rows && conv->mx_flags & AXL_MX_ACCUMULATE; r++)
		memcpy(sum.i[r], acc + conv->acc + (size_t)(m0 + r) * conv->acc_stride + 4 * (size_t)n0, 4 * (size_t)n);
	if (ints)
		chosen.ints(sum.i, a, stride, w, stride / 2, rows);
	else
		chosen.floats(sum.f, a, stride, w, k, rows);
	for (uint32_t r = 0; r < rows && !ints; r++)
		for (uint32_t c = 0; c < n; c++)
			sum.f[r][c] = canonical(sum.f[r][c]);
	for (uint32_t r = 0; r < rows; r++)
		memcpy(acc + conv->acc + (size_t)(m0 + r) * conv->acc_stride + 4 * (size_t)n0, sum.i[r], 4 * (size_t)n);
}

void exec_conv(const struct axl_conv *conv, const struct exec_memory *memory, size_t part, size_t parts)
{
	bool ints = exec_type_size((enum axl_type)conv->a_type) == 1;
	size_t k = (size_t)conv->kernel_h * conv->kernel_w * conv->channels;
	size_t stride = ints ? (k + 1) & ~(size_t)1 : k;
	uint32_t m = (uint32_t)conv->out_h * conv->out_w, first = (uint32_t)((uint64_t)m * part / parts);
	uint32_t n_first = 0, n_last = conv->n, blocks = (conv->n + COLUMNS - 1) / COLUMNS;
	uint32_t last = (uint32_t)((uint64_t)m * (part + 1) / parts), step = 96;
	void *a, *w;

	if (blocks >= parts) { /* whole blocks of columns: no part packs another's weights */
		n_first = (uint32_t)((uint64_t)blocks * part / parts) * COLUMNS;
		n_last = (uint32_t)((uint64_t)blocks * (part + 1) / parts) * COLUMNS;
		n_last = n_last < conv->n ? n_last : conv->n;
		first = 0;
		last = m;
	}
	if (first == last || n_first == n_last) /* more parts than positions: nothing is left for this one */
		return;
	if (ints && chosen.bytes && exec_bytes_will_do(conv)) {
		exec_bytes_conv(conv, memory, first, last, n_first, n_last);
		return;
	}
	while (step > ROWS && step * stride > 300000)
		step /= 2;
	step = step / ROWS * ROWS;
	a = exec_scratch(EXEC_SCRATCH_A, (size_t)(step + ROWS) * stride * 4);
	w = exec_scratch(EXEC_SCRATCH_W, (stride + 1) * COLUMNS * 4);
	for (uint32_t n0 = n_first; n0 < n_last; n0 += COLUMNS) {
		uint32_t n = conv->n - n0 < COLUMNS ? conv->n - n0 : COLUMNS;

		if (ints)
			pack_int(conv, memory->spad, n0, n, k, w);
		else
			pack_float(conv, memory->spad, n0, n, k, w);
		for (uint32_t m0 = first; m0 < last; m0 += step) {
			uint32_t rows = last - m0 < step ? last - m0 : step;

			if (ints)
				gather_int(conv, memory->spad, m0, rows, a, stride);
			else
				gather_float(conv, memory->spad, m0, rows, a, stride);
			for (uint32_t r = 0; r < rows; r += ROWS)
				multiply_rows(conv, memory->acc,
					      ints ? (const void *)((int16_t *)a + (size_t)r * stride)
						   : (const void *)((float *)a + (size_t)r * stride),
					      stride, w, k, m0 + r, rows - r < ROWS ? rows - r : ROWS, n0, n, ints);
		}
	}
}

/* ---- depthwise ---- */

EXEC_CLONES static void dw_int(int32_t *acc, const int16_t *a, const int16_t *w, size_t n)
{
	for (size_t c = 0; c < n; c++)
		acc[c] = (int32_t)((uint32_t)acc[c] + (uint32_t)((int32_t)a[c] * w[c]));
}

EXEC_CLONES static void dw_float(float *acc, const float *a, const float *w, size_t n)
{
	for (size_t c = 0; c < n; c++)
		acc[c] = fmaf(a[c], w[c], acc[c]);
}

static void load_weights(const struct axl_conv *conv, const uint8_t *from, bool ints, size_t tap, void *w)
{
	for (uint32_t c = 0; c < conv->n; c++) {
		const uint8_t *at = from + tap * conv->w_stride_k + (size_t)c * conv->w_stride_n;

		if (ints)
			widen((int16_t *)w + tap * conv->n + c, at, conv->w_type, 1, conv->w_zero);
		else
			exec_to_f32((float *)w + tap * conv->n + c, at, (enum axl_type)conv->w_type, 1);
	}
}

void exec_dwconv(const struct axl_conv *conv, const struct exec_memory *memory)
{
	bool ints = exec_type_size((enum axl_type)conv->a_type) == 1;
	size_t taps = (size_t)conv->kernel_h * conv->kernel_w, n = conv->n;
	void *w = exec_scratch(EXEC_SCRATCH_W, (taps * n + 16) * 4), *a = exec_scratch(EXEC_SCRATCH_A, (n + 16) * 4);

	for (size_t tap = 0; tap < taps; tap++)
		load_weights(conv, memory->spad + conv->w, ints, tap, w);
	for (uint32_t m = 0; m < (uint32_t)conv->out_h * conv->out_w; m++) {
		uint8_t *acc = memory->acc + conv->acc + (size_t)m * conv->acc_stride;

		if (!(conv->mx_flags & AXL_MX_ACCUMULATE))
			memset(acc, 0, n * 4);
		for (size_t tap = 0; tap < taps; tap++) {
			const uint8_t *from = pixel(conv, memory->spad, m, (unsigned int)(tap / conv->kernel_w),
						    (unsigned int)(tap % conv->kernel_w));

			if (ints && from) {
				widen(a, from, conv->a_type, n, conv->a_zero);
				dw_int((int32_t *)(void *)acc, a, (int16_t *)w + tap * n, n);
			} else if (!ints) {
				if (from)
					exec_to_f32(a, from, (enum axl_type)conv->a_type, n);
				else
					memset(a, 0, n * 4);
				dw_float((float *)(void *)acc, a, (float *)w + tap * n, n);
			}
		}
		for (size_t c = 0; c < n && !ints; c++)
			((float *)(void *)acc)[c] = canonical(((float *)(void *)acc)[c]);
	}
}
