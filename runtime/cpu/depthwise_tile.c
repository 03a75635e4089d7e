// SPDX-License-Identifier: MIT
/*
 * The innermost loops of depthwise convolutions and of pools: see depthwise_tile.h.
 *
 * Sums of four vectors of outputs stay in registers while all taps pass. What is left over at the end is computed as one
 * whole vector that ends at the last output.
 */
#include "runtime/cpu/depthwise_tile.h"

#include <pthread.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "runtime/cpu/float_forms.h"
#include "runtime/cpu/lanes4.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 4")
#endif

/* What all taps do to @COUNT vectors of outputs from @AT on. START, STEP and FINISH see v, the vector's number. */
#define BLOCK(VECTOR, COUNT, LANES, LOAD, AT, START, STEP, FINISH)                                   \
	{                                                                                            \
		VECTOR sum[COUNT];                                                                   \
                                                                                                     \
		UNROLL for (int v = 0; v < COUNT; v++) sum[v] = START(LOAD, AT + v * LANES);         \
		for (int64_t t = 0; t < taps; t++) {                                                 \
			const float *from = x + (AT) + offsets[t];                                   \
                                                                                                     \
			UNROLL for (int v = 0; v < COUNT; v++) STEP(sum[v], LOAD(from + v * LANES)); \
		}                                                                                    \
		UNROLL for (int v = 0; v < COUNT; v++) FINISH(sum[v], y + (AT) + v * LANES);         \
	}

/*
 * Over all n >= LANES outputs. An accumulating last vector must not add to outputs that are done already: they are put
 * aside and back.
 */
#define OVER_OUTPUTS(VECTOR, LANES, LOAD, START, STEP, FINISH)                \
	int64_t i = 0;                                                        \
                                                                              \
	for (; i + 4 * LANES <= n; i += 4 * LANES)                            \
		BLOCK(VECTOR, 4, LANES, LOAD, i, START, STEP, FINISH)         \
	for (; i + LANES <= n; i += LANES)                                    \
		BLOCK(VECTOR, 1, LANES, LOAD, i, START, STEP, FINISH)         \
	if (i < n && accumulate) {                                            \
		float kept[LANES];                                            \
		int64_t done = i - (n - LANES);                               \
                                                                              \
		for (int64_t k = 0; k < done; k++)                            \
			kept[k] = y[n - LANES + k];                           \
		BLOCK(VECTOR, 1, LANES, LOAD, n - LANES, START, STEP, FINISH) \
		for (int64_t k = 0; k < done; k++)                            \
			y[n - LANES + k] = kept[k];                           \
	} else if (i < n) {                                                   \
		BLOCK(VECTOR, 1, LANES, LOAD, n - LANES, START, STEP, FINISH) \
	}

#define FORM(NAME, TARGET, VECTOR, LANES, LOAD, SPREAD)                                                        \
	TARGET static void convolve_##NAME(int64_t taps, const int64_t *offsets, const float *w, int64_t n,    \
					   const float *x, float bias, float floor, bool accumulate, float *y) \
	{                                                                                                      \
		VECTOR bias_all = SPREAD(bias), floor_all = SPREAD(floor);                                     \
                                                                                                               \
		OVER_OUTPUTS(VECTOR, LANES, LOAD, FROM_Y_##NAME, FUSE_##NAME, FLOOR_##NAME)                    \
	}                                                                                                      \
	TARGET static void max_##NAME(int64_t taps, const int64_t *offsets, int64_t n, const float *x,         \
				      bool accumulate, float *y){OVER_OUTPUTS(                                 \
		VECTOR, LANES, LOAD, FIRST_##NAME, LARGER_##NAME,                                              \
		KEEP_##NAME)} TARGET static void sum_##NAME(int64_t taps, const int64_t *offsets, int64_t n,   \
							    const float *x, bool accumulate, float *y)         \
	{                                                                                                      \
		OVER_OUTPUTS(VECTOR, LANES, LOAD, FROM_Y_##NAME, SUM_##NAME, KEEP_##NAME)                      \
	}

#if defined(__x86_64__)
#define FROM_Y_avx512(LOAD, at) (accumulate ? LOAD(y + (at)) : _mm512_setzero_ps())
#define FIRST_avx512(LOAD, at) (accumulate ? LOAD(y + (at)) : LOAD(x + (at) + offsets[0]))
#define FUSE_avx512(sum, in) sum = _mm512_fmadd_ps(_mm512_set1_ps(w[t]), in, sum)
#define LARGER_avx512(sum, in) sum = _mm512_max_ps(in, sum)
#define SUM_avx512(sum, in) sum = _mm512_add_ps(sum, in)
#define FLOOR_avx512(sum, to) _mm512_storeu_ps(to, _mm512_max_ps(floor_all, _mm512_add_ps(sum, bias_all)))
#define KEEP_avx512(sum, to) _mm512_storeu_ps(to, sum)
FORM(avx512, __attribute__((target("avx512f"))), __m512, 16, _mm512_loadu_ps, _mm512_set1_ps)

#define FROM_Y_avx2(LOAD, at) (accumulate ? LOAD(y + (at)) : _mm256_setzero_ps())
#define FIRST_avx2(LOAD, at) (accumulate ? LOAD(y + (at)) : LOAD(x + (at) + offsets[0]))
#define FUSE_avx2(sum, in) sum = _mm256_fmadd_ps(_mm256_set1_ps(w[t]), in, sum)
#define LARGER_avx2(sum, in) sum = _mm256_max_ps(in, sum)
#define SUM_avx2(sum, in) sum = _mm256_add_ps(sum, in)
#define FLOOR_avx2(sum, to) _mm256_storeu_ps(to, _mm256_max_ps(floor_all, _mm256_add_ps(sum, bias_all)))
#define KEEP_avx2(sum, to) _mm256_storeu_ps(to, sum)
FORM(avx2, __attribute__((target("avx2,fma"))), __m256, 8, _mm256_loadu_ps, _mm256_set1_ps)
#endif

#define FROM_Y_any(LOAD, at) (accumulate ? LOAD(y + (at)) : LANES4_SPREAD(0))
#define FIRST_any(LOAD, at) (accumulate ? LOAD(y + (at)) : LOAD(x + (at) + offsets[0]))
#define FUSE_any(sum, in) sum += w[t] * (in)
#define LARGER_any(sum, in) sum = lanes4_max(in, sum)
#define SUM_any(sum, in) sum += (in)
#define FLOOR_any(sum, to) LANES4_STORE(to, lanes4_max(floor_all, sum + bias_all))
#define KEEP_any(sum, to) LANES4_STORE(to, sum)
FORM(any, , lanes4, 4, LANES4_LOAD, LANES4_SPREAD)

static const struct depthwise_tile tiles[] = {
#if defined(__x86_64__)
	{"avx512", 16, convolve_avx512, max_avx512, sum_avx512},
	{"avx2", 8, convolve_avx2, max_avx2, sum_avx2},
#endif
	{"any", 4, convolve_any, max_any, sum_any},
};

#define NUM_TILES (sizeof(tiles) / sizeof(tiles[0]))

static const struct depthwise_tile *chosen;
static pthread_once_t choose_once = PTHREAD_ONCE_INIT;

static void choose(void)
{
	chosen = depthwise_tile_at(0);
}

const struct depthwise_tile *depthwise_tile(void)
{
	pthread_once(&choose_once, choose);
	return chosen;
}

const struct depthwise_tile *depthwise_tile_at(size_t index)
{
	/* The last form runs everywhere. */
	for (size_t i = 0; i < NUM_TILES; i++)
		if (float_form_runs(i) && !index--)
			return &tiles[i];
	return NULL;
}
