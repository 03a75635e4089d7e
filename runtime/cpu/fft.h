/* SPDX-License-Identifier: MIT */
/*
 * The discrete Fourier transform of one complex line of any length, O(n log n), in double.
 *
 *	out[k] = sum over j of in[j] * exp(sign * 2 pi i * j * k / n),   sign -1 forward, +1 inverse, no scaling
 *
 * Lengths whose prime factors are small: mixed radix (Cooley and Tukey 1965). Others: Bluestein's convolution with a chirp
 * (1970), on a power of two. The error of a result is about 1e-16 * log2(n) of the largest one.
 */
#ifndef RUNTIME_CPU_FFT_H
#define RUNTIME_CPU_FFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fft_number {
	double re, im;
};

struct fft;

/* Plan for length @n >= 1. Read-only afterwards: any number of threads may use it. -EINVAL, -ENOMEM. */
int fft_create(int64_t n, bool inverse, struct fft **plan);
void fft_destroy(struct fft *plan);

/* Numbers of working memory that fft_run() needs: one array for each thread. */
int64_t fft_work_size(const struct fft *plan);

/* @in and @out: n numbers each, not overlapping. @work: fft_work_size() numbers. */
void fft_run(const struct fft *plan, const struct fft_number *in, struct fft_number *out, struct fft_number *work);

#endif
