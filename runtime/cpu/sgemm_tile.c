// SPDX-License-Identifier: MIT
/*
 * The innermost loop of the float product: see sgemm_tile.h.
 *
 * 12 x 32 in AVX-512 is 24 of 32 registers, 6 x 16 in AVX2 is 12 of 16: both hide the latency of the multiply-add and
 * need fewer loads than multiply-adds.
 */
#include "runtime/cpu/sgemm_tile.h"

#include <pthread.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "runtime/cpu/float_forms.h"
#include "runtime/cpu/lanes4.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/*
 * One form: @ROWS rows by @VECTORS (1 or 2) vectors of @LANES. Row k of B is where ROW_K says: in a panel, which is two
 * vectors wide in any case, or anywhere. A comes from memory once and in order: it is asked for AHEAD steps early.
 */
#define AHEAD 48
/*
 * @MORE: another column that a tile computes besides, its sums one vector, a lane a row: NO_MORE, MORE_PANEL (it is in a
 * panel) or MORE_SCATTERED.
 */
#define NO_MORE_PARAMETER
#define NO_MORE_BEGIN(ROWS)
#define NO_MORE_STEP(ROWS)
#define NO_MORE_END(ROWS)
#define SGEMM_TILE(NAME, TARGET, B_TYPE, ROW_K, MORE, VECTOR, ROWS, LANES, VECTORS, ZERO, LOAD, STORE, SPREAD, ADD, \
		   MULTIPLY_ADD, MAX)                                                                               \
	TARGET static void NAME(int64_t depth, const float *a, B_TYPE, float *c, int64_t stride, bool accumulate,   \
				const struct sgemm_finish *finish MORE##_PARAMETER)                                 \
	{                                                                                                           \
		VECTOR sum[ROWS][VECTORS];                                                                          \
		MORE##_BEGIN(ROWS)                                                                                  \
                                                                                                                    \
			UNROLL for (int i = 0; i < ROWS; i++) UNROLL for (int j = 0; j < VECTORS; j++) sum[i][j] =  \
				ZERO;                                                                               \
		for (int64_t k = 0; k < depth; k++, a += ROWS) {                                                    \
			const float *from = ROW_K;                                                                  \
			VECTOR row[VECTORS];                                                                        \
                                                                                                                    \
			__builtin_prefetch(a + AHEAD * ROWS);                                                       \
			UNROLL for (int j = 0; j < VECTORS; j++) row[j] = LOAD(from + j * LANES);                   \
			MORE##_STEP(ROWS) UNROLL for (int i = 0; i < ROWS; i++)                                     \
			{                                                                                           \
				VECTOR spread = SPREAD(a[i]);                                                       \
                                                                                                                    \
				UNROLL for (int j = 0; j < VECTORS; j++) sum[i][j] =                                \
					MULTIPLY_ADD(spread, row[j], sum[i][j]);                                    \
			}                                                                                           \
		}                                                                                                   \
		MORE##_END(ROWS) UNROLL for (int i = 0; i < ROWS; i++, c += stride)                                 \
		{                                                                                                   \
			if (accumulate)                                                                             \
				UNROLL for (int j = 0; j < VECTORS; j++) sum[i][j] =                                \
					ADD(sum[i][j], LOAD(c + j * LANES));                                        \
			if (finish) {                                                                               \
				VECTOR bias = SPREAD(finish->bias ? finish->bias[i] : 0);                           \
				VECTOR floor = SPREAD(finish->floor);                                               \
				const float *residual =                                                             \
					finish->residual ? finish->residual + i * finish->residual_stride : NULL;   \
                                                                                                                    \
				UNROLL for (int j = 0; j < VECTORS; j++)                                            \
				{                                                                                   \
					sum[i][j] = ADD(sum[i][j], bias);                                           \
					if (finish->residual)                                                       \
						sum[i][j] = ADD(sum[i][j], LOAD(residual + j * LANES));             \
					sum[i][j] = MAX(floor, sum[i][j]);                                          \
				}                                                                                   \
			}                                                                                           \
			UNROLL for (int j = 0; j < VECTORS; j++) STORE(c + j * LANES, sum[i][j]);                   \
		}                                                                                                   \
	}

/* One row of A against @PANELS panels. The sums are the tile's: the same steps in the same order. */
#define SGEMM_ROW(NAME, TARGET, PANELS, VECTOR, LANES, ZERO, LOAD, STORE, SPREAD, ADD, MULTIPLY_ADD)    \
	TARGET static void NAME(int64_t depth, const float *x, const float *b, int64_t panel, float *y, \
				bool accumulate)                                                        \
	{                                                                                               \
		VECTOR sum[2 * PANELS];                                                                 \
                                                                                                        \
		UNROLL for (int j = 0; j < 2 * PANELS; j++) sum[j] = ZERO;                              \
		for (int64_t k = 0; k < depth; k++, b += 2 * LANES) {                                   \
			VECTOR spread = SPREAD(x[k]);                                                   \
                                                                                                        \
			UNROLL for (int j = 0; j < 2 * PANELS; j++) sum[j] =                            \
				MULTIPLY_ADD(spread, LOAD(b + j / 2 * panel + j % 2 * LANES), sum[j]);  \
		}                                                                                       \
		UNROLL for (int j = 0; j < 2 * PANELS; j++)                                             \
		{                                                                                       \
			if (accumulate)                                                                 \
				sum[j] = ADD(sum[j], LOAD(y + j * LANES));                              \
			STORE(y + j * LANES, sum[j]);                                                   \
		}                                                                                       \
	}

#define PANEL const float *b
#define PANEL_ROW(LANES) (b + k * 2 * (LANES))
#define SCATTERED const float *b, const int64_t *offsets
#define SCATTERED_ROW (b + offsets[k])

/* The functions of a form for one height of the tile. */
#define SGEMM_HEIGHT(NAME, TARGET, VECTOR, ROWS, LANES, ...)                                                         \
	SGEMM_TILE(multiply_##NAME##_##ROWS, TARGET, PANEL, PANEL_ROW(LANES), NO_MORE, VECTOR, ROWS, LANES, 2,       \
		   __VA_ARGS__)                                                                                      \
	SGEMM_TILE(narrow_##NAME##_##ROWS, TARGET, PANEL, PANEL_ROW(LANES), NO_MORE, VECTOR, ROWS, LANES, 1,         \
		   __VA_ARGS__)                                                                                      \
	SGEMM_TILE(scattered_##NAME##_##ROWS, TARGET, SCATTERED, SCATTERED_ROW, NO_MORE, VECTOR, ROWS, LANES, 2,     \
		   __VA_ARGS__)                                                                                      \
	SGEMM_TILE(scattered_narrow_##NAME##_##ROWS, TARGET, SCATTERED, SCATTERED_ROW, NO_MORE, VECTOR, ROWS, LANES, \
		   1, __VA_ARGS__)

/* And for the forms with registers to spare. */
#define EXTRA_PANEL const float *b, const float *extra
#define EXTRA_SCATTERED const float *b, const float *extra, const int64_t *offsets
#define SGEMM_HEIGHT_PLUS(NAME, TARGET, VECTOR, ROWS, LANES, ...)                                                   \
	SGEMM_TILE(plus_##NAME##_##ROWS, TARGET, EXTRA_PANEL, PANEL_ROW(LANES), MORE_PANEL, VECTOR, ROWS, LANES, 2, \
		   __VA_ARGS__)                                                                                     \
	SGEMM_TILE(scattered_plus_##NAME##_##ROWS, TARGET, EXTRA_SCATTERED, SCATTERED_ROW, MORE_SCATTERED, VECTOR,  \
		   ROWS, LANES, 2, __VA_ARGS__)

#define SGEMM_FUNCTIONS_PLUS(NAME, ROWS)                                                                       \
	{                                                                                                      \
		multiply_##NAME##_##ROWS, narrow_##NAME##_##ROWS, scattered_##NAME##_##ROWS,                   \
			scattered_narrow_##NAME##_##ROWS, plus_##NAME##_##ROWS, scattered_plus_##NAME##_##ROWS \
	}

#define SGEMM_FUNCTIONS(NAME, ROWS)                                                          \
	{                                                                                    \
		multiply_##NAME##_##ROWS, narrow_##NAME##_##ROWS, scattered_##NAME##_##ROWS, \
			scattered_narrow_##NAME##_##ROWS, NULL, NULL                         \
	}

#if defined(__x86_64__)
#define MORE_BEGIN(ROWS)                                       \
	const __mmask16 rows = (__mmask16)((1 << (ROWS)) - 1); \
	__m512 more = _mm512_setzero_ps();
#define MORE_ADD(ROWS, FROM) more = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(rows, a), _mm512_set1_ps(FROM), more);
#define MORE_END(ROWS) _mm512_mask_storeu_ps(sums, rows, more);
#define MORE_PANEL_PARAMETER , float *sums
#define MORE_PANEL_BEGIN(ROWS) MORE_BEGIN(ROWS)
#define MORE_PANEL_STEP(ROWS) MORE_ADD(ROWS, extra[k * 32])
#define MORE_PANEL_END(ROWS) MORE_END(ROWS)
#define MORE_SCATTERED_PARAMETER , float *sums
#define MORE_SCATTERED_BEGIN(ROWS) MORE_BEGIN(ROWS)
#define MORE_SCATTERED_STEP(ROWS) MORE_ADD(ROWS, extra[offsets[k]])
#define MORE_SCATTERED_END(ROWS) MORE_END(ROWS)
#define AVX512_OF(HEIGHT, ROWS)                                                                                    \
	HEIGHT(avx512, __attribute__((target("avx512f"))), __m512, ROWS, 16, _mm512_setzero_ps(), _mm512_loadu_ps, \
	       _mm512_storeu_ps, _mm512_set1_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_max_ps)
#define AVX512(ROWS) AVX512_OF(SGEMM_HEIGHT, ROWS) AVX512_OF(SGEMM_HEIGHT_PLUS, ROWS)
AVX512(4)
AVX512(8)
AVX512(12)
#define AVX512_ROW(NAME, PANELS)                                                                                      \
	SGEMM_ROW(NAME, __attribute__((target("avx512f"))), PANELS, __m512, 16, _mm512_setzero_ps(), _mm512_loadu_ps, \
		  _mm512_storeu_ps, _mm512_set1_ps, _mm512_add_ps, _mm512_fmadd_ps)
AVX512_ROW(row_avx512, SGEMM_ROW_PANELS)
AVX512_ROW(one_panel_avx512, 1)
#define AVX2(ROWS)                                                                                                     \
	SGEMM_HEIGHT(avx2, __attribute__((target("avx2,fma"))), __m256, ROWS, 8, _mm256_setzero_ps(), _mm256_loadu_ps, \
		     _mm256_storeu_ps, _mm256_set1_ps, _mm256_add_ps, _mm256_fmadd_ps, _mm256_max_ps)
AVX2(2)
AVX2(4)
AVX2(6)
#define AVX2_ROW(NAME, PANELS)                                                                                        \
	SGEMM_ROW(NAME, __attribute__((target("avx2,fma"))), PANELS, __m256, 8, _mm256_setzero_ps(), _mm256_loadu_ps, \
		  _mm256_storeu_ps, _mm256_set1_ps, _mm256_add_ps, _mm256_fmadd_ps)
AVX2_ROW(row_avx2, SGEMM_ROW_PANELS)
AVX2_ROW(one_panel_avx2, 1)
#endif

#define ANY(ROWS)                                                                                                    \
	SGEMM_HEIGHT(any, , lanes4, ROWS, 4, LANES4_SPREAD(0), LANES4_LOAD, LANES4_STORE, LANES4_SPREAD, LANES4_ADD, \
		     LANES4_MULTIPLY_ADD, lanes4_max)
ANY(1)
ANY(2)
ANY(3)
#define ANY_ROW(NAME, PANELS)                                                                                        \
	SGEMM_ROW(NAME, , PANELS, lanes4, 4, LANES4_SPREAD(0), LANES4_LOAD, LANES4_STORE, LANES4_SPREAD, LANES4_ADD, \
		  LANES4_MULTIPLY_ADD)
ANY_ROW(row_any, SGEMM_ROW_PANELS)
ANY_ROW(one_panel_any, 1)

#define SGEMM_FORM(NAME, ROWS, COLUMNS, STEP, ...)                        \
	{                                                                 \
#NAME, ROWS, COLUMNS, STEP, row_##NAME, one_panel_##NAME, \
		{                                                         \
			__VA_ARGS__                                       \
		}                                                         \
	}

static const struct sgemm_tile tiles[] = {
#if defined(__x86_64__)
	SGEMM_FORM(avx512, 12, 32, 4, SGEMM_FUNCTIONS_PLUS(avx512, 4), SGEMM_FUNCTIONS_PLUS(avx512, 8),
		   SGEMM_FUNCTIONS_PLUS(avx512, 12)),
	SGEMM_FORM(avx2, 6, 16, 2, SGEMM_FUNCTIONS(avx2, 2), SGEMM_FUNCTIONS(avx2, 4), SGEMM_FUNCTIONS(avx2, 6)),
#endif
	SGEMM_FORM(any, 3, 8, 1, SGEMM_FUNCTIONS(any, 1), SGEMM_FUNCTIONS(any, 2), SGEMM_FUNCTIONS(any, 3)),
};

#define NUM_TILES (sizeof(tiles) / sizeof(tiles[0]))

static const struct sgemm_tile *chosen;
static pthread_once_t choose_once = PTHREAD_ONCE_INIT;

static void choose(void)
{
	chosen = sgemm_tile_at(0);
}

const struct sgemm_tile *sgemm_tile(void)
{
	pthread_once(&choose_once, choose);
	return chosen;
}

const struct sgemm_tile *sgemm_tile_at(size_t index)
{
	/* The last form runs everywhere. */
	for (size_t i = 0; i < NUM_TILES; i++)
		if (float_form_runs(i) && !index--)
			return &tiles[i];
	return NULL;
}
