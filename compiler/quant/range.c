/* SPDX-License-Identifier: MIT */
/* See range.h. */
#include "compiler/quant/range.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define LEVELS 256
#define STEPS 64     /* tried at each end of the range */
#define TAIL 0.00005 /* cut off at each end by the percentile */

void quant_histogram_add(struct quant_histogram *histogram, float x)
{
	double width = (double)histogram->hi - histogram->lo;
	int64_t bin = width > 0 ? (int64_t)(((double)x - histogram->lo) / width * QUANT_BINS) : 0;

	histogram->bins[bin < 0 ? 0 : bin >= QUANT_BINS ? QUANT_BINS - 1 : bin]++;
}

/* The middle of a bin. */
static double number_of(const struct quant_histogram *histogram, int bin)
{
	return histogram->lo + ((double)histogram->hi - histogram->lo) * (bin + 0.5) / QUANT_BINS;
}

static uint64_t total_of(const struct quant_histogram *histogram)
{
	uint64_t total = 0;

	for (int i = 0; i < QUANT_BINS; i++)
		total += histogram->bins[i];
	return total;
}

/* ---- percentile ---- */

static void percentile(const struct quant_histogram *histogram, float *lo, float *hi)
{
	double cut = (double)total_of(histogram) * TAIL, seen = 0;
	double width = ((double)histogram->hi - histogram->lo) / QUANT_BINS;
	int low = 0, high = QUANT_BINS - 1;

	while (low < high && seen + (double)histogram->bins[low] <= cut)
		seen += (double)histogram->bins[low++];
	seen = 0;
	while (high > low && seen + (double)histogram->bins[high] <= cut)
		seen += (double)histogram->bins[high--];
	*lo = low ? (float)(histogram->lo + width * low) : histogram->lo;
	*hi = high < QUANT_BINS - 1 ? (float)(histogram->lo + width * (high + 1)) : histogram->hi;
}

/* ---- costs of a range ---- */

/* Sum of squares of what rounding to 256 steps and cutting at the ends does to the middles of the bins. */
static double square_error(const struct quant_histogram *histogram, float lo, float hi)
{
	double sum = 0, scale;
	float step;
	int zero;

	quant_range_scale(lo, hi, 0, &step, &zero);
	scale = step;
	for (int i = 0; i < QUANT_BINS; i++) {
		double x = number_of(histogram, i), q = nearbyint(x / scale) + zero;

		q = q < 0 ? 0 : q > LEVELS - 1 ? LEVELS - 1 : q;
		x -= (q - zero) * scale;
		sum += (double)histogram->bins[i] * x * x;
	}
	return sum;
}

/*
 * Kullback-Leibler divergence of the distribution in 256 steps from the one in bins (Migacz, 8-bit inference with
 * TensorRT, GTC 2017): what is cut off counts at the ends, and a step's mass is spread over those of its bins that have
 * any.
 */
static double divergence(const struct quant_histogram *histogram, float lo, float hi)
{
	double mass[LEVELS] = {0}, kl = 0, total = 0;
	double ends[2] = {0, 0};
	int used[LEVELS] = {0}, first = -1, last = -1;
	int zero = (int)(-(double)histogram->lo / ((double)histogram->hi - histogram->lo) * QUANT_BINS);
	double width = (double)hi - lo;

	/* The bin of 0, where every Relu has its peak, says nothing: 0 is exact in any range. */
	for (int i = 0; i < QUANT_BINS; i++) {
		double x = number_of(histogram, i);
		int level = (int)((x - lo) / width * LEVELS);

		if (i == zero)
			continue;
		total += (double)histogram->bins[i];
		if (x < lo)
			ends[0] += (double)histogram->bins[i];
		else if (x > hi)
			ends[1] += (double)histogram->bins[i];
		else {
			level = level < 0 ? 0 : level > LEVELS - 1 ? LEVELS - 1 : level;
			mass[level] += (double)histogram->bins[i];
			used[level] += histogram->bins[i] != 0;
			first = first < 0 ? i : first;
			last = i;
		}
	}
	if (first < 0 || total - ends[0] - ends[1] <= 0)
		return DBL_MAX;
	for (int i = first; i <= last; i++) {
		double x = number_of(histogram, i), p = (double)histogram->bins[i], q;
		int level = (int)((x - lo) / width * LEVELS);

		if (i == zero)
			continue;
		level = level < 0 ? 0 : level > LEVELS - 1 ? LEVELS - 1 : level;
		q = histogram->bins[i] ? mass[level] / used[level] : 0;
		p += (i == first ? ends[0] : 0) + (i == last ? ends[1] : 0);
		/* A bin that has mass only by the cut has none in the steps: as little as one number. */
		if (p > 0)
			kl += p / total * log(p / total / ((q > 0 ? q : 0.5) / (total - ends[0] - ends[1])));
	}
	return kl;
}

/* ---- the search ---- */

/* The best part of one end, the other fixed. */
static float best_end(const struct quant_histogram *histogram, enum quant_method method, float fixed, float end,
		      int upper)
{
	double least = DBL_MAX;
	float best = end;

	for (int i = STEPS; i > STEPS / 8; i--) {
		float tried = end * (float)i / STEPS;
		float lo = upper ? fixed : tried, hi = upper ? tried : fixed;
		double cost = method == QUANT_MSE ? square_error(histogram, lo, hi) : divergence(histogram, lo, hi);

		if (cost < least) {
			least = cost;
			best = tried;
		}
	}
	return best;
}

void quant_range(const struct quant_histogram *histogram, enum quant_method method, float *lo, float *hi)
{
	*lo = histogram->lo;
	*hi = histogram->hi;
	if (histogram->hi > histogram->lo && total_of(histogram)) {
		if (method == QUANT_PERCENTILE)
			percentile(histogram, lo, hi);
		*lo = *lo < 0 ? *lo : 0;
		*hi = *hi > 0 ? *hi : 0;
		if (method == QUANT_ENTROPY || method == QUANT_MSE) {
			*hi = best_end(histogram, method, *lo, *hi, 1);
			*lo = best_end(histogram, method, *hi, *lo, 0);
		}
	}
	*lo = *lo < 0 ? *lo : 0;
	*hi = *hi > 0 ? *hi : 0;
}

void quant_range_scale(float lo, float hi, int is_signed, float *scale, int *zero)
{
	int lowest = is_signed ? -128 : 0;

	lo = lo < 0 ? lo : 0;
	hi = hi > 0 ? hi : 0;
	*scale = (float)(((double)hi - lo) / (LEVELS - 1));
	if (!(*scale > 1e-30f))
		*scale = 1.0f;
	*zero = lowest + (int)nearbyint(-(double)lo / *scale);
	*zero = *zero < lowest ? lowest : *zero > lowest + LEVELS - 1 ? lowest + LEVELS - 1 : *zero;
}
