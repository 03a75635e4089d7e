/* SPDX-License-Identifier: MIT */
/*
 * CONV of bytes by instructions that multiply u8 by s8 in groups of four.
 *
 * Sums of (a - a_zero) * (w - w_zero) modulo 2^32 are those of a * w, less a_zero times the sum of w, less w_zero times the
 * sum of a, plus k * a_zero * w_zero; other types are moved to u8 and s8 along with their zero points. The corrections are
 * where the accumulators begin.
 *
 * Nothing is gathered: a table says where the pixel under each tap of each position is, in the scratchpad itself or, where
 * bytes have to be moved or padded to groups of four, in a copy of the image. Padding is a pixel of zero points.
 *
 *	for 64 columns              their weights packed
 *	  for a block of positions  its table
 *	    for some of K           that much of the weights stays in the first-level cache
 *	      for six positions     a tile of accumulators in registers
 */
#include "sim/core/exec_bytes.h"

#include <stdlib.h>
#include <string.h>

#include "sim/core/exec_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define COLUMNS 64
#define ROWS 6          /* 6 x 4 vectors of 16 fit the registers */
#define TABLE_MAX 32768 /* pointers of a block of positions */
#define GROUP_QUADS 96  /* of K at a time: 24 KiB of weights */

/* Part of K: @quads groups of four channels of tap @tap, from channel @channel on. */
struct step {
	uint32_t tap, channel, quads;
};

/*
 * Where the activations are.
 * @pixels: of row @row and column 0; each of channels rounded up to four
 * @padding: a pixel of zero points
 */
struct image {
	const uint8_t *pixels, *padding;
	int row;
	size_t stride_h, stride_w;
};

static uint32_t quads_of(const struct axl_conv *conv)
{
	return (conv->channels + 3) / 4;
}

/* What is added to the bytes of a type to make them u8 (activations), or s8 (weights, as the bits to flip). */
static int shift_a(const struct axl_conv *conv)
{
	return conv->a_type == AXL_TYPE_S8 ? 128 : 0;
}

static int shift_w(const struct axl_conv *conv)
{
	return conv->w_type == AXL_TYPE_U8 ? -128 : 0;
}

/* Padding is an activation equal to its zero point: only where that is a byte. */
bool exec_bytes_will_do(const struct axl_conv *conv)
{
	int zero = conv->a_zero + shift_a(conv);

	return exec_bytes_can() && zero >= 0 && zero <= 255;
}

/* ---- activations ---- */

EXEC_CLONES static void flip(uint8_t *dst, const uint8_t *src, size_t count, uint8_t bits)
{
	for (size_t i = 0; i < count; i++)
		dst[i] = src[i] ^ bits;
}

/* Where output row @oh's taps lie in the input, before dilation: the first and the last row. */
static void input_rows(const struct axl_conv *conv, uint32_t first, uint32_t last, int *low, int *high)
{
	int begin = (int)(first / conv->out_w) * conv->stride_h - conv->pad_top;
	int end = (int)((last - 1) / conv->out_w) * conv->stride_h + (conv->kernel_h - 1) * conv->dilation_h -
		  conv->pad_top;

	*low = begin <= 0 ? 0 : begin / conv->in_dil_h;
	*high = end < 0 ? -1 : end / conv->in_dil_h;
	*high = *high < conv->in_h ? *high : conv->in_h - 1;
}

/* The image as it is, or the rows of it that positions [first, last) need, as u8 and with whole groups of four. */
static struct image find_image(const struct axl_conv *conv, const uint8_t *spad, uint32_t first, uint32_t last)
{
	uint8_t bits = (uint8_t)shift_a(conv), *to;
	size_t pixel = 4 * (size_t)quads_of(conv), count;
	struct image image = {.pixels = spad + conv->a, .stride_h = conv->a_stride_h, .stride_w = conv->a_stride_w};
	int high;

	if (bits || conv->channels % 4) {
		input_rows(conv, first, last, &image.row, &high);
		count = high < image.row ? 0 : (size_t)(high - image.row + 1) * conv->in_w;
	} else {
		count = 0;
	}
	to = exec_scratch(EXEC_SCRATCH_A, (count + 1) * pixel);
	image.padding = to;
	memset(to, conv->a_zero + shift_a(conv), conv->channels);
	memset(to + conv->channels, 0, pixel - conv->channels);
	if (!bits && conv->channels % 4 == 0)
		return image;
	to += pixel;
	image.pixels = to;
	for (size_t i = 0; i < count; i++, to += pixel) {
		const uint8_t *from = spad + conv->a + (image.row + i / conv->in_w) * conv->a_stride_h +
				      i % conv->in_w * conv->a_stride_w;

		flip(to, from, conv->channels, bits);
		memset(to + conv->channels, 0, pixel - conv->channels);
	}
	image.stride_w = pixel;
	image.stride_h = pixel * conv->in_w;
	return image;
}

/* The row or column that place @at of the dilated input is, or -1: there is none, only padding. */
static int undilated(int at, int dilation, int size)
{
	if (at < 0 || (dilation > 1 && at % dilation))
		return -1;
	at = dilation > 1 ? at / dilation : at;
	return at < size ? at : -1;
}

/* The pixels under the taps of positions [m0, m0 + rows), tap by tap for each. */
static void fill_table(const struct axl_conv *conv, const struct image *image, uint32_t m0, uint32_t rows,
		       const uint8_t **table)
{
	uint32_t oh = m0 / conv->out_w, ow = m0 % conv->out_w;

	for (uint32_t r = 0; r < rows; r++) {
		int top = (int)oh * conv->stride_h - conv->pad_top, left = (int)ow * conv->stride_w - conv->pad_left;

		for (int kh = 0; kh < conv->kernel_h; kh++) {
			int row = undilated(top + kh * conv->dilation_h, conv->in_dil_h, conv->in_h);
			const uint8_t *line = image->pixels;

			if (row >= 0)
				line += (size_t)(row - image->row) * image->stride_h;
			for (int kw = 0; kw < conv->kernel_w; kw++) {
				int column = undilated(left + kw * conv->dilation_w, conv->in_dil_w, conv->in_w);

				*table++ = row >= 0 && column >= 0 ? line + (size_t)column * image->stride_w
								   : image->padding;
			}
		}
		oh += ow + 1 == conv->out_w;
		ow = ow + 1 == conv->out_w ? 0 : ow + 1;
	}
}

EXEC_CLONES static uint32_t sum_bytes(const uint8_t *row, size_t k)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < k; i++)
		sum += row[i];
	return sum;
}

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

/* ---- weights ---- */

/* Four rows of 64 columns to 64 groups of four: bytes to pairs, pairs to groups, and the groups in order. */
VNNI static void interleave(int8_t *dst, const __m512i *rows)
{
	__m512i low = _mm512_unpacklo_epi8(rows[0], rows[1]), high = _mm512_unpackhi_epi8(rows[0], rows[1]);
	__m512i low2 = _mm512_unpacklo_epi8(rows[2], rows[3]), high2 = _mm512_unpackhi_epi8(rows[2], rows[3]);
	/* 16 columns in each of the four lanes: groups 0 to 3 of each lane, 4 to 7, and so on. */
	__m512i a = _mm512_unpacklo_epi16(low, low2), b = _mm512_unpackhi_epi16(low, low2);
	__m512i c = _mm512_unpacklo_epi16(high, high2), d = _mm512_unpackhi_epi16(high, high2);
	__m512i ab = _mm512_shuffle_i32x4(a, b, 0x44), ab2 = _mm512_shuffle_i32x4(a, b, 0xee);
	__m512i cd = _mm512_shuffle_i32x4(c, d, 0x44), cd2 = _mm512_shuffle_i32x4(c, d, 0xee);

	_mm512_store_si512(dst, _mm512_shuffle_i32x4(ab, cd, 0x88));
	_mm512_store_si512(dst + 64, _mm512_shuffle_i32x4(ab, cd, 0xdd));
	_mm512_store_si512(dst + 128, _mm512_shuffle_i32x4(ab2, cd2, 0x88));
	_mm512_store_si512(dst + 192, _mm512_shuffle_i32x4(ab2, cd2, 0xdd));
}

/* Row @k of the weights, columns [n0, n0 + n), as s8, the rest 0. */
VNNI static __m512i weight_row(const struct axl_conv *conv, const uint8_t *spad, size_t k, uint32_t n0, uint32_t n)
{
	const uint8_t *from = spad + conv->w + k * conv->w_stride_k + (size_t)n0 * conv->w_stride_n;
	__mmask64 mask = n < 64 ? ((__mmask64)1 << n) - 1 : ~(__mmask64)0;
	__m512i row, bits = _mm512_maskz_set1_epi8(mask, (char)shift_w(conv));
	uint8_t bytes[COLUMNS];

	if (conv->w_stride_n == 1) {
		row = _mm512_maskz_loadu_epi8(mask, from);
	} else {
		for (uint32_t c = 0; c < n; c++)
			bytes[c] = from[(size_t)c * conv->w_stride_n];
		row = _mm512_maskz_loadu_epi8(mask, bytes);
	}
	return _mm512_xor_si512(row, bits);
}

/* Columns [n0, n0 + n): for each tap its channels in groups of four, [group][column][4]; and the sums of the columns. */
VNNI static void pack(const struct axl_conv *conv, const uint8_t *spad, uint32_t n0, uint32_t n, int8_t *dst,
		      int32_t *sums)
{
	size_t taps = (size_t)conv->kernel_h * conv->kernel_w, k = 0;
	const __m512i ones = _mm512_set1_epi8(1);
	__m512i sum[4];

	for (int v = 0; v < 4; v++)
		sum[v] = _mm512_setzero_si512();
	for (size_t tap = 0; tap < taps; tap++)
		for (uint32_t c = 0; c < conv->channels; c += 4, dst += 4 * COLUMNS) {
			__m512i rows[4];

			for (uint32_t i = 0; i < 4; i++)
				rows[i] = c + i < conv->channels ? weight_row(conv, spad, k++, n0, n)
								 : _mm512_setzero_si512();
			interleave(dst, rows);
			for (int v = 0; v < 4; v++)
				sum[v] = _mm512_dpbusd_epi32(sum[v], ones, _mm512_load_si512(dst + v * 64));
		}
	for (int v = 0; v < 4; v++)
		_mm512_storeu_si512(sums + v * 16, sum[v]);
}

/* ---- the product ---- */

/*
 * to[r][column] = begin[r][column] + the steps' bytes of from[r][tap] by the packed weights @w, for the columns of @masks. The
 * accumulators have names of their own: arrays of vectors do not stay in registers.
 */
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#define BEGIN(R)                                                               \
	__m512i sum##R##0 = _mm512_maskz_loadu_epi32(masks[0], begin[R]),      \
		sum##R##1 = _mm512_maskz_loadu_epi32(masks[1], begin[R] + 16), \
		sum##R##2 = _mm512_maskz_loadu_epi32(masks[2], begin[R] + 32), \
		sum##R##3 = _mm512_maskz_loadu_epi32(masks[3], begin[R] + 48);
#define FIND(R) const uint8_t *at##R = from[R][step->tap] + step->channel;
#define MULTIPLY_ADD(SUM, W) __asm__("vpdpbusd %2, %1, %0" : "+v"(SUM) : "v"(x), "v"(W))
#define ADD(R)                                  \
	memcpy(&four, at##R + q, sizeof(four)); \
	x = _mm512_set1_epi32(four);            \
	MULTIPLY_ADD(sum##R##0, w0);            \
	MULTIPLY_ADD(sum##R##1, w1);            \
	MULTIPLY_ADD(sum##R##2, w2);            \
	MULTIPLY_ADD(sum##R##3, w3);
#define END(R)                                                     \
	_mm512_mask_storeu_epi32(to[R], masks[0], sum##R##0);      \
	_mm512_mask_storeu_epi32(to[R] + 16, masks[1], sum##R##1); \
	_mm512_mask_storeu_epi32(to[R] + 32, masks[2], sum##R##2); \
	_mm512_mask_storeu_epi32(to[R] + 48, masks[3], sum##R##3);

VNNI static void multiply(int32_t *const *to, const int32_t *const *begin, const uint8_t *const *const *from,
			  const struct step *steps, size_t num_steps, const int8_t *w, const __mmask16 *masks)
{
	EACH_ROW(BEGIN)
	for (const struct step *step = steps; step < steps + num_steps; step++) {
		EACH_ROW(FIND)
		for (size_t q = 0; q < 4 * (size_t)step->quads; q += 4, w += 4 * COLUMNS) {
			__m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + 64);
			__m512i w2 = _mm512_load_si512(w + 128), w3 = _mm512_load_si512(w + 192), x;
			int32_t four;

			EACH_ROW(ADD)
		}
	}
	EACH_ROW(END)
}

/*
 * Positions [m0, m0 + rows) of a block of columns: @table is theirs. @start: what every position begins with, or NULL: with
 * what is in the accumulators.
 */
VNNI static void multiply_block(const struct axl_conv *conv, uint8_t *acc, const uint8_t **table, uint32_t m0,
				uint32_t rows, const struct step *steps, size_t num_steps, const int8_t *w,
				const int32_t *start, uint32_t n0, uint32_t n)
{
	size_t taps = (size_t)conv->kernel_h * conv->kernel_w, begin = 0;
	int32_t spare[COLUMNS] = {0};
	__mmask16 masks[4];

	for (uint32_t v = 0; v < 4; v++)
		masks[v] = n >= 16 * (v + 1) ? 0xffff : n <= 16 * v ? 0 : (__mmask16)((1u << (n - 16 * v)) - 1);
	while (begin < num_steps) {
		size_t end = begin, quads = 0;

		while (end < num_steps && quads < GROUP_QUADS)
			quads += steps[end++].quads;
		for (uint32_t r = 0; r < rows; r += ROWS) {
			const uint8_t *const *from[ROWS];
			const int32_t *first[ROWS];
			int32_t *to[ROWS];

			for (uint32_t i = 0; i < ROWS; i++) {
				bool there = r + i < rows;

				from[i] = table + (size_t)(there ? r + i : r) * taps;
				to[i] = there ? (int32_t *)(void *)(acc + conv->acc +
								    (size_t)(m0 + r + i) * conv->acc_stride +
								    4 * (size_t)n0)
					      : spare;
				first[i] = start && !begin ? start : to[i];
			}
			multiply(to, first, from, steps + begin, end - begin, w, masks);
		}
		w += quads * 4 * COLUMNS;
		begin = end;
	}
}

/* What the zero points take off every position's sums in these columns, modulo 2^32; see begin_rows() for the rest. */
static void begin_columns(const struct axl_conv *conv, const int32_t *sums, int32_t *start)
{
	uint32_t a_zero = (uint32_t)(conv->a_zero + shift_a(conv));

	for (uint32_t c = 0; c < COLUMNS; c++)
		start[c] = (int32_t)(0u - a_zero * (uint32_t)sums[c]);
}

/*
 * Where the accumulators of positions [m0, m0 + rows) begin: at @start, plus what they are when the instruction adds to them,
 * less the weights' zero point times the sum of the position's activations without theirs.
 */
VNNI static void begin_rows(const struct axl_conv *conv, uint8_t *acc, const uint8_t *const *table, uint32_t m0,
			    uint32_t rows, const int32_t *start, uint32_t n0, uint32_t n)
{
	uint32_t a_zero = (uint32_t)(conv->a_zero + shift_a(conv)), w_zero = (uint32_t)(conv->w_zero + shift_w(conv));
	uint32_t taps = (uint32_t)conv->kernel_h * conv->kernel_w;

	for (uint32_t r = 0; r < rows; r++, table += taps) {
		uint8_t *to = acc + conv->acc + (size_t)(m0 + r) * conv->acc_stride + 4 * (size_t)n0;
		uint32_t of_a = 0u - taps * conv->channels * a_zero, sums[COLUMNS];

		for (uint32_t tap = 0; tap < taps && w_zero; tap++)
			of_a += sum_bytes(table[tap], conv->channels);
		if (conv->mx_flags & AXL_MX_ACCUMULATE)
			memcpy(sums, to, 4 * (size_t)n);
		else
			memset(sums, 0, 4 * (size_t)n);
		for (uint32_t c = 0; c < n; c++)
			sums[c] += (uint32_t)start[c] - w_zero * of_a;
		memcpy(to, sums, 4 * (size_t)n);
	}
}

/* K in steps of at most GROUP_QUADS groups. Returns how many. */
static size_t make_steps(const struct axl_conv *conv, struct step *steps)
{
	uint32_t taps = (uint32_t)conv->kernel_h * conv->kernel_w, quads = quads_of(conv);
	size_t count = 0;

	for (uint32_t tap = 0; tap < taps; tap++)
		for (uint32_t q = 0; q < quads; q += GROUP_QUADS)
			steps[count++] = (struct step){tap, 4 * q, quads - q < GROUP_QUADS ? quads - q : GROUP_QUADS};
	return count;
}

bool exec_bytes_can(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

void exec_bytes_conv(const struct axl_conv *conv, const struct exec_memory *memory, uint32_t first, uint32_t last,
		     uint32_t n_first, uint32_t n_last)
{
	size_t taps = (size_t)conv->kernel_h * conv->kernel_w, quads = quads_of(conv), num_steps;
	uint32_t block = taps < TABLE_MAX / ROWS ? (uint32_t)(TABLE_MAX / taps) / ROWS * ROWS : ROWS;
	struct image image = find_image(conv, memory->spad, first, last);
	const uint8_t **table;
	struct step *steps;
	int32_t sums[COLUMNS], start[COLUMNS];
	/* Do all positions begin with the same? */
	bool alike = !(conv->mx_flags & AXL_MX_ACCUMULATE) && conv->w_zero + shift_w(conv) == 0;
	int8_t *w;

	block = last - first < block ? last - first : block;
	w = exec_scratch(EXEC_SCRATCH_W, taps * quads * 4 * COLUMNS);
	table = exec_scratch(EXEC_SCRATCH_TABLE, block * taps * sizeof(*table));
	steps = exec_scratch(EXEC_SCRATCH_STEPS, taps * (quads / GROUP_QUADS + 1) * sizeof(*steps));
	num_steps = make_steps(conv, steps);
	for (uint32_t n0 = n_first; n0 < n_last; n0 += COLUMNS) {
		uint32_t n = conv->n - n0 < COLUMNS ? conv->n - n0 : COLUMNS;

		pack(conv, memory->spad, n0, n, w, sums);
		begin_columns(conv, sums, start);
		for (uint32_t m0 = first; m0 < last; m0 += block) {
			uint32_t rows = last - m0 < block ? last - m0 : block;

			/* One block of positions serves all columns. */
			if (n0 == n_first || last - first > block)
				fill_table(conv, &image, m0, rows, table);
			if (!alike)
				begin_rows(conv, memory->acc, table, m0, rows, start, n0, n);
			multiply_block(conv, memory->acc, table, m0, rows, steps, num_steps, w, alike ? start : NULL,
				       n0, n);
		}
	}
}

#else

bool exec_bytes_can(void)
{
	return false;
}

bool exec_bytes_will_do(const struct axl_conv *conv)
{
	(void)conv;
	return false;
}

void exec_bytes_conv(const struct axl_conv *conv, const struct exec_memory *memory, uint32_t first, uint32_t last,
		     uint32_t n_first, uint32_t n_last)
{
	(void)conv, (void)memory, (void)first, (void)last, (void)n_first, (void)n_last;
	abort(); /* exec_bytes_can() said no */
}

#endif
