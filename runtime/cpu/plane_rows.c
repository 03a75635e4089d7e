// SPDX-License-Identifier: MIT
/*
 * Rows from one pitch to another: see plane_rows.h.
 */
#include "runtime/cpu/plane_rows.h"

#include <pthread.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/float_forms.h"

#if defined(__x86_64__)
#define AVX512 __attribute__((target("avx512f")))
#define LANES 16

/* The first @n lanes; @n may be negative or more than there are. */
AVX512 static inline __mmask16 first_lanes(int64_t n)
{
	return n >= LANES ? 0xffff : n <= 0 ? 0 : (__mmask16)((1u << n) - 1);
}

AVX512 static void copy_avx512(int64_t rows, int64_t n, const float *from, int64_t from_pitch, float *to,
			       int64_t to_pitch)
{
	int64_t whole = n / LANES * LANES;
	__mmask16 rest = first_lanes(n - whole);

	for (int64_t r = 0; r < rows; r++, from += from_pitch, to += to_pitch) {
		for (int64_t i = 0; i < whole; i += LANES)
			_mm512_storeu_ps(to + i, _mm512_loadu_ps(from + i));
		if (rest)
			_mm512_mask_storeu_ps(to + whole, rest, _mm512_maskz_loadu_ps(rest, from + whole));
	}
}

AVX512 static void part_avx512(int64_t rows, int64_t evens, int64_t odds, const float *from, int64_t from_pitch,
			       float *even, float *odd, int64_t to_pitch)
{
	const __m512i pick_even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
	const __m512i pick_odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
	int64_t columns = 2 * evens - 1 > 2 * odds ? 2 * evens - 1 : 2 * odds;

	for (int64_t r = 0; r < rows; r++, from += from_pitch, even += to_pitch, odd += to_pitch)
		for (int64_t i = 0; 2 * i < columns; i += LANES) {
			__m512 low = _mm512_maskz_loadu_ps(first_lanes(columns - 2 * i), from + 2 * i);
			__m512 high = _mm512_maskz_loadu_ps(first_lanes(columns - 2 * i - LANES), from + 2 * i + LANES);

			_mm512_mask_storeu_ps(even + i, first_lanes(evens - i),
					      _mm512_permutex2var_ps(low, pick_even, high));
			_mm512_mask_storeu_ps(odd + i, first_lanes(odds - i),
					      _mm512_permutex2var_ps(low, pick_odd, high));
		}
}
#endif

CPU_CLONES static void copy_any(int64_t rows, int64_t n, const float *restrict from, int64_t from_pitch,
				float *restrict to, int64_t to_pitch)
{
	for (int64_t r = 0; r < rows; r++, from += from_pitch, to += to_pitch)
		for (int64_t i = 0; i < n; i++)
			to[i] = from[i];
}

CPU_CLONES static void part_any(int64_t rows, int64_t evens, int64_t odds, const float *restrict from,
				int64_t from_pitch, float *restrict even, float *restrict odd, int64_t to_pitch)
{
	for (int64_t r = 0; r < rows; r++, from += from_pitch, even += to_pitch, odd += to_pitch) {
		for (int64_t i = 0; i < evens; i++)
			even[i] = from[2 * i];
		for (int64_t i = 0; i < odds; i++)
			odd[i] = from[2 * i + 1];
	}
}

static const struct plane_rows_form forms[] = {
#if defined(__x86_64__)
	{copy_avx512, part_avx512},
	{copy_any, part_any}, /* what AVX2 gives is what the compiler makes of it */
#endif
	{copy_any, part_any},
};

static const struct plane_rows_form *chosen;
static pthread_once_t choose_once = PTHREAD_ONCE_INIT;

static void choose(void)
{
	chosen = plane_rows_form_at(0);
}

static const struct plane_rows_form *form(void)
{
	pthread_once(&choose_once, choose);
	return chosen;
}

void plane_rows_copy(int64_t rows, int64_t n, const float *from, int64_t from_pitch, float *to, int64_t to_pitch)
{
	form()->copy(rows, n, from, from_pitch, to, to_pitch);
}

void plane_rows_part(int64_t rows, int64_t evens, int64_t odds, const float *from, int64_t from_pitch, float *even,
		     float *odd, int64_t to_pitch)
{
	form()->part(rows, evens, odds, from, from_pitch, even, odd, to_pitch);
}

const struct plane_rows_form *plane_rows_form_at(size_t index)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (float_form_runs(i) && !index--)
			return &forms[i];
	return NULL;
}
