/* SPDX-License-Identifier: MIT */
/* Runs a graph on the CPU to see the numbers of every value; see stats.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/quant/walk.h"
#include "compiler/quant/stats.h"

struct calibration {
	struct quant_stats *stats;
	bool histograms; /* the second time: the ranges are known */
};

static void record_range(struct quant_stats *stats, const float *x, int64_t count)
{
	float lo = stats->lo, hi = stats->hi;

	for (int64_t i = 0; i < count; i++) {
		if (!isfinite(x[i])) /* masks, and what is divided by nothing */
			continue;
		if (!stats->seen) {
			stats->seen = true;
			lo = hi = x[i];
		}
		lo = x[i] < lo ? x[i] : lo;
		hi = x[i] > hi ? x[i] : hi;
	}
	stats->lo = lo;
	stats->hi = hi;
}

static void record_channels(struct quant_stats *stats, const struct tensor *tensor, int axis)
{
	const float *x = tensor->data;
	int64_t inner = 1, outer = 1;

	for (int d = 0; d < tensor->rank; d++)
		if (d != axis)
			*(d < axis ? &outer : &inner) *= tensor->dims[d];
	for (int64_t o = 0; o < outer; o++)
		for (int64_t c = 0; c < stats->channels; c++) {
			float largest = stats->largest[c];
			double sum = 0;

			for (int64_t i = 0; i < inner; i++) {
				float a = fabsf(x[i]);

				largest = a > largest ? a : largest;
				sum += (double)x[i];
			}
			x += inner;
			stats->largest[c] = largest;
			stats->sum[c] += sum;
		}
	stats->count += (double)(inner * outer);
}

int quant_channel_axis(const struct graph_node *node)
{
	bool conv = !strcmp(node->op_type, "Conv");

	if ((!conv && strcmp(node->op_type, "Gemm") && strcmp(node->op_type, "MatMul") &&
	     strcmp(node->op_type, "Linear")) ||
	    node->num_inputs < 2 || !node->inputs[0] || !node->inputs[1] || !node->inputs[1]->constant ||
	    node->inputs[0]->rank < 2)
		return -1;
	return conv ? 1 : node->inputs[0]->rank - 1;
}

/* Does a convolution or product sum over channels of @value? */
static int axis_of(const struct graph_value *value)
{
	for (size_t i = 0; i < value->num_uses; i++)
		if (value->uses[i]->inputs[0] == value && quant_channel_axis(value->uses[i]) >= 0)
			return quant_channel_axis(value->uses[i]);
	return -1;
}

static int record(void *context, const struct graph_value *value, const struct tensor *tensor)
{
	const struct calibration *calibration = context;
	struct quant_stats *stats = &calibration->stats[value->id];
	int64_t count = tensor_count(tensor);
	int axis;

	if (tensor->dtype != DTYPE_F32 || !count)
		return 0;
	if (calibration->histograms) {
		for (int64_t i = 0; i < count; i++)
			if (isfinite(((const float *)tensor->data)[i]))
				quant_histogram_add(stats->histogram, ((const float *)tensor->data)[i]);
		return 0;
	}
	record_range(stats, tensor->data, count);
	axis = axis_of(value);
	if (axis < 0 || axis >= tensor->rank)
		return 0;
	if (!stats->channels) {
		stats->channels = tensor->dims[axis];
		stats->largest = calloc((size_t)stats->channels, sizeof(*stats->largest));
		stats->sum = calloc((size_t)stats->channels, sizeof(*stats->sum));
		if (!stats->largest || !stats->sum)
			return -ENOMEM;
	}
	if (stats->channels == tensor->dims[axis])
		record_channels(stats, tensor, axis);
	return 0;
}

/* The second run: histograms of what the first one saw. */
static int fill_histograms(const struct graph *graph, const struct quant_sample *samples, size_t count,
			   enum quant_method method, struct calibration *calibration, const struct work_share *share,
			   char *error, size_t error_size)
{
	const struct quant_visitor visitor = {.context = calibration, .value = record, .share = share};
	int err;

	for (size_t i = 0; i < graph->num_values; i++) {
		struct quant_stats *stats = &calibration->stats[i];

		stats->histogram = stats->seen ? calloc(1, sizeof(*stats->histogram)) : NULL;
		if (stats->seen && !stats->histogram)
			return -ENOMEM;
		if (stats->histogram) {
			stats->histogram->lo = stats->lo;
			stats->histogram->hi = stats->hi;
		}
	}
	calibration->histograms = true;
	err = quant_walk(graph, samples, count, &visitor, error, error_size);
	for (size_t i = 0; i < graph->num_values && !err; i++) {
		struct quant_stats *stats = &calibration->stats[i];

		if (stats->histogram)
			quant_range(stats->histogram, method, &stats->lo, &stats->hi);
		free(stats->histogram);
		stats->histogram = NULL;
	}
	return err;
}

int quant_calibrate(const struct graph *graph, const struct quant_sample *samples, size_t count,
		    enum quant_method method, const struct work_share *share, struct quant_stats **stats, char *error,
		    size_t error_size)
{
	static const struct work_share nobody;
	const struct work_share *whole = share ? share : &nobody;
	const struct work_share ranges = work_share_part(whole, 0, method == QUANT_MINMAX ? 1 : 0.5);
	const struct work_share histograms = work_share_part(whole, 0.5, 1);
	struct calibration calibration = {.stats = calloc(graph->num_values + 1, sizeof(**stats))};
	const struct quant_visitor visitor = {.context = &calibration, .value = record, .share = &ranges};
	int err = calibration.stats ? quant_walk(graph, samples, count, &visitor, error, error_size) : -ENOMEM;

	if (!err && method != QUANT_MINMAX)
		err = fill_histograms(graph, samples, count, method, &calibration, &histograms, error, error_size);
	if (err == -ENOMEM)
		snprintf(error, error_size, "out of memory");
	if (err)
		quant_stats_free(calibration.stats, graph->num_values);
	else
		*stats = calibration.stats;
	return err;
}

void quant_stats_free(struct quant_stats *stats, size_t count)
{
	for (size_t i = 0; stats && i < count; i++) {
		free(stats[i].histogram);
		free(stats[i].largest);
		free(stats[i].sum);
	}
	free(stats);
}
