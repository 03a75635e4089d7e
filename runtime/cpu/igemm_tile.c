// SPDX-License-Identifier: MIT
/*
 * The innermost loop of the integer product: see igemm_tile.h.
 */
#include "runtime/cpu/igemm_tile.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Two neighbours of one row as they lie in memory, to be spread over a vector. */
static inline __attribute__((always_inline)) int32_t pair_at(const int16_t *a)
{
	int32_t pair;

	memcpy(&pair, a, sizeof(pair));
	return pair;
}

/* One form: @ROWS rows by two vectors of @LANES sums. MULTIPLY_ADD(x, y, z) is z + x0 * y0 + x1 * y1 in each lane. */
#define IGEMM_TILE(NAME, TARGET, VECTOR, ROWS, LANES, ZERO, LOAD, STORE, SPREAD, MULTIPLY_ADD)       \
	TARGET static void NAME(int64_t pairs, const int16_t *a, const int16_t *b, int32_t *acc)     \
	{                                                                                            \
		VECTOR sum[ROWS][2];                                                                 \
                                                                                                     \
		UNROLL for (int i = 0; i < ROWS; i++) sum[i][0] = sum[i][1] = ZERO;                  \
		for (int64_t k = 0; k < pairs; k++, a += 2 * ROWS, b += 4 * LANES) {                 \
			VECTOR b0 = LOAD((const void *)b), b1 = LOAD((const void *)(b + 2 * LANES)); \
                                                                                                     \
			UNROLL for (int i = 0; i < ROWS; i++)                                        \
			{                                                                            \
				VECTOR spread = SPREAD(pair_at(a + 2 * i));                          \
                                                                                                     \
				sum[i][0] = MULTIPLY_ADD(spread, b0, sum[i][0]);                     \
				sum[i][1] = MULTIPLY_ADD(spread, b1, sum[i][1]);                     \
			}                                                                            \
		}                                                                                    \
		UNROLL for (int i = 0; i < ROWS; i++)                                                \
		{                                                                                    \
			STORE((void *)(acc + i * 2 * LANES), sum[i][0]);                             \
			STORE((void *)(acc + i * 2 * LANES + LANES), sum[i][1]);                     \
		}                                                                                    \
	}

#if defined(__x86_64__)
#define VNNI_ADD(x, y, z) _mm512_dpwssd_epi32(z, x, y)
#define AVX512_ADD(x, y, z) _mm512_add_epi32(z, _mm512_madd_epi16(x, y))
#define AVX2_ADD(x, y, z) _mm256_add_epi32(z, _mm256_madd_epi16(x, y))
IGEMM_TILE(multiply_vnni, __attribute__((target("avx512f,avx512bw,avx512vnni"))), __m512i, 12, 16,
	   _mm512_setzero_si512(), _mm512_loadu_si512, _mm512_storeu_si512, _mm512_set1_epi32, VNNI_ADD)
IGEMM_TILE(multiply_avx512, __attribute__((target("avx512f,avx512bw"))), __m512i, 12, 16, _mm512_setzero_si512(),
	   _mm512_loadu_si512, _mm512_storeu_si512, _mm512_set1_epi32, AVX512_ADD)
IGEMM_TILE(multiply_avx2, __attribute__((target("avx2"))), __m256i, 6, 8, _mm256_setzero_si256(), _mm256_loadu_si256,
	   _mm256_storeu_si256, _mm256_set1_epi32, AVX2_ADD)
#endif

#define ANY_ROWS 4
#define ANY_COLUMNS 8

static void multiply_any(int64_t pairs, const int16_t *a, const int16_t *b, int32_t *acc)
{
	/* Unsigned: sums wrap. */
	uint32_t sum[ANY_ROWS][ANY_COLUMNS] = {{0}};

	for (int64_t k = 0; k < pairs; k++, a += 2 * ANY_ROWS, b += 2 * ANY_COLUMNS)
		for (int i = 0; i < ANY_ROWS; i++)
			for (int j = 0; j < ANY_COLUMNS; j++)
				sum[i][j] += (uint32_t)(a[2 * i] * b[2 * j]) + (uint32_t)(a[2 * i + 1] * b[2 * j + 1]);
	memcpy(acc, sum, sizeof(sum));
}

static const struct igemm_tile tiles[] = {
#if defined(__x86_64__)
	{"avx512vnni", 12, 32, multiply_vnni},
	{"avx512bw", 12, 32, multiply_avx512},
	{"avx2", 6, 16, multiply_avx2},
#endif
	{"any", ANY_ROWS, ANY_COLUMNS, multiply_any},
};

#define NUM_TILES (sizeof(tiles) / sizeof(tiles[0]))

static bool is_supported(size_t index)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (index == 0)
		return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw");
	if (index == 1)
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
	if (index == 2)
		return __builtin_cpu_supports("avx2");
#endif
	return index < NUM_TILES;
}

static const struct igemm_tile *chosen;
static pthread_once_t choose_once = PTHREAD_ONCE_INIT;

static void choose(void)
{
	chosen = igemm_tile_at(0);
}

const struct igemm_tile *igemm_tile(void)
{
	pthread_once(&choose_once, choose);
	return chosen;
}

const struct igemm_tile *igemm_tile_at(size_t index)
{
	/* The last form runs everywhere. */
	for (size_t i = 0; i < NUM_TILES; i++)
		if (is_supported(i) && !index--)
			return &tiles[i];
	return NULL;
}
