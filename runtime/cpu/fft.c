// SPDX-License-Identifier: MIT
/*
 * Fast Fourier transform: see fft.h.
 */
#include "runtime/cpu/fft.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A butterfly of radix p costs p * p; above this Bluestein's three transforms are cheaper. */
#define FFT_MAX_RADIX 31
/* Any factorization of a 63-bit number. */
#define FFT_MAX_FACTORS 64
/* Longest line: what twiddles and work of Bluestein's transform need still fits in memory, and k * k in 64 bits. */
#define FFT_MAX_LENGTH ((int64_t)1 << 30)

/*
 * struct fft - a plan
 * @roots:    exp(sign * 2 pi i * k / n)
 * @chirp:    Bluestein only: exp(sign * pi i * k * k / n), n of them
 * @response: Bluestein only: the transform of the conjugate chirp, wrapped around @forward's length, over that length
 */
struct fft {
	int64_t n;
	int num_factors;
	int64_t factors[FFT_MAX_FACTORS];
	struct fft_number *roots;
	struct fft *forward, *backward;
	struct fft_number *chirp, *response;
};

static struct fft_number multiply(struct fft_number a, struct fft_number b)
{
	return (struct fft_number){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* exp(sign * 2 pi i * k / n), reduced to the first quarter of the turn, so that the axes are hit exactly. */
static struct fft_number root_of_unity(int64_t k, int64_t n, double sign)
{
	const double full_turn = 6.283185307179586476925;
	int64_t quarter = 4 * k / n;
	/* k / n less the whole quarters. */
	double rest = full_turn * (double)(4 * k - quarter * n) / (4.0 * (double)n);
	double c = cos(rest), s = sin(rest);
	struct fft_number turned[4] = {{c, s}, {-s, c}, {-c, -s}, {s, -c}};
	struct fft_number root = turned[quarter & 3];

	root.im *= sign;
	return root;
}

/* Factors of @n, fours first. Returns the largest one. */
static int64_t factorize(struct fft *plan, int64_t n)
{
	int64_t largest = 1;

	plan->num_factors = 0;
	for (int64_t p = 4; n > 1; p = p == 4 ? 2 : p == 2 ? 3 : p + 2) {
		/* What is left has no factor up to its root: a prime. */
		if (p > 4 && p * p > n)
			p = n;
		for (; n % p == 0; n /= p) {
			plan->factors[plan->num_factors++] = p;
			largest = p > largest ? p : largest;
		}
	}
	return largest;
}

/* ---- Bluestein: j * k = (j^2 + k^2 - (k - j)^2) / 2 makes the sum a convolution ---- */

static int create_chirp(struct fft *plan, double sign)
{
	int64_t n = plan->n, m = 1;
	struct fft_number *wrapped, *work;
	int err;

	while (m < 2 * n - 1)
		m *= 2;
	err = fft_create(m, false, &plan->forward);
	if (!err)
		err = fft_create(m, true, &plan->backward);
	if (err)
		return err;
	plan->chirp = calloc((size_t)n, sizeof(*plan->chirp));
	plan->response = calloc((size_t)m, sizeof(*plan->response));
	wrapped = calloc((size_t)m, sizeof(*wrapped));
	work = calloc((size_t)fft_work_size(plan->forward) + 1, sizeof(*work));
	if (!plan->chirp || !plan->response || !wrapped || !work) {
		err = -ENOMEM;
		goto out;
	}
	for (int64_t k = 0; k < n; k++) {
		plan->chirp[k] = root_of_unity(k * k % (2 * n), 2 * n, sign);
		wrapped[k] = (struct fft_number){plan->chirp[k].re / (double)m, -plan->chirp[k].im / (double)m};
		wrapped[(m - k) % m] = wrapped[k];
	}
	fft_run(plan->forward, wrapped, plan->response, work);
out:
	free(wrapped);
	free(work);
	return err;
}

static void run_chirp(const struct fft *plan, const struct fft_number *in, struct fft_number *out,
		      struct fft_number *work)
{
	int64_t n = plan->n, m = plan->forward->n;
	struct fft_number *a = work, *b = work + m;

	for (int64_t k = 0; k < n; k++)
		a[k] = multiply(in[k], plan->chirp[k]);
	memset(a + n, 0, (size_t)(m - n) * sizeof(*a));
	fft_run(plan->forward, a, b, b + m);
	for (int64_t k = 0; k < m; k++)
		b[k] = multiply(b[k], plan->response[k]);
	fft_run(plan->backward, b, a, b + m);
	for (int64_t k = 0; k < n; k++)
		out[k] = multiply(a[k], plan->chirp[k]);
}

/* ---- mixed radix ---- */

static void butterfly_two(const struct fft *plan, int64_t m, int64_t stride, struct fft_number *out)
{
	for (int64_t k = 0; k < m; k++) {
		struct fft_number a = out[k], b = multiply(out[m + k], plan->roots[k * stride]);

		out[k] = (struct fft_number){a.re + b.re, a.im + b.im};
		out[m + k] = (struct fft_number){a.re - b.re, a.im - b.im};
	}
}

static void butterfly_four(const struct fft *plan, int64_t m, int64_t stride, struct fft_number *out)
{
	/* exp(sign * 2 pi i / 4) is sign * i. */
	double sign = plan->roots[plan->n / 4].im;

	for (int64_t k = 0; k < m; k++) {
		struct fft_number a = out[k], b = multiply(out[m + k], plan->roots[k * stride]);
		struct fft_number c = multiply(out[2 * m + k], plan->roots[2 * k * stride]);
		struct fft_number d = multiply(out[3 * m + k], plan->roots[3 * k * stride]);
		struct fft_number even_sum = {a.re + c.re, a.im + c.im}, even_difference = {a.re - c.re, a.im - c.im};
		struct fft_number odd_sum = {b.re + d.re, b.im + d.im};
		struct fft_number odd_turned = {-sign * (b.im - d.im), sign * (b.re - d.re)};

		out[k] = (struct fft_number){even_sum.re + odd_sum.re, even_sum.im + odd_sum.im};
		out[m + k] =
			(struct fft_number){even_difference.re + odd_turned.re, even_difference.im + odd_turned.im};
		out[2 * m + k] = (struct fft_number){even_sum.re - odd_sum.re, even_sum.im - odd_sum.im};
		out[3 * m + k] =
			(struct fft_number){even_difference.re - odd_turned.re, even_difference.im - odd_turned.im};
	}
}

static void butterfly_any(const struct fft *plan, int64_t p, int64_t m, int64_t stride, struct fft_number *out)
{
	int64_t turn = plan->n / p;
	struct fft_number parts[FFT_MAX_RADIX];

	for (int64_t k = 0; k < m; k++) {
		for (int64_t q = 0; q < p; q++)
			parts[q] = multiply(out[q * m + k], plan->roots[q * k * stride]);
		for (int64_t r = 0; r < p; r++) {
			struct fft_number sum = parts[0];

			for (int64_t q = 1; q < p; q++) {
				struct fft_number part = multiply(parts[q], plan->roots[q * r % p * turn]);

				sum.re += part.re;
				sum.im += part.im;
			}
			out[r * m + k] = sum;
		}
	}
}

/* Transform @n numbers of @in, @stride apart, to @out; @factor is the index of the factor to take out. */
static void run_radix(const struct fft *plan, int factor, int64_t n, int64_t stride, const struct fft_number *in,
		      struct fft_number *out)
{
	int64_t p, m;

	if (n == 1) {
		out[0] = in[0];
		return;
	}
	p = plan->factors[factor];
	m = n / p;
	for (int64_t q = 0; q < p; q++)
		run_radix(plan, factor + 1, m, stride * p, in + q * stride, out + q * m);
	if (p == 2)
		butterfly_two(plan, m, stride, out);
	else if (p == 4)
		butterfly_four(plan, m, stride, out);
	else
		butterfly_any(plan, p, m, stride, out);
}

/* ---- plans ---- */

int fft_create(int64_t n, bool inverse, struct fft **plan)
{
	double sign = inverse ? 1 : -1;
	struct fft *made;
	int err = 0;

	*plan = NULL;
	if (n < 1 || n > FFT_MAX_LENGTH)
		return -EINVAL;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->n = n;
	if (factorize(made, n) > FFT_MAX_RADIX) {
		err = create_chirp(made, sign);
	} else {
		made->roots = malloc((size_t)n * sizeof(*made->roots));
		for (int64_t k = 0; made->roots && k < n; k++)
			made->roots[k] = root_of_unity(k, n, sign);
		err = made->roots ? 0 : -ENOMEM;
	}
	if (err) {
		fft_destroy(made);
		return err;
	}
	*plan = made;
	return 0;
}

void fft_destroy(struct fft *plan)
{
	if (!plan)
		return;
	fft_destroy(plan->forward);
	fft_destroy(plan->backward);
	free(plan->roots);
	free(plan->chirp);
	free(plan->response);
	free(plan);
}

int64_t fft_work_size(const struct fft *plan)
{
	return plan->forward ? 2 * plan->forward->n : 0;
}

void fft_run(const struct fft *plan, const struct fft_number *in, struct fft_number *out, struct fft_number *work)
{
	if (plan->forward)
		run_chirp(plan, in, out, work);
	else
		run_radix(plan, 0, plan->n, 1, in, out);
}
