/* SPDX-License-Identifier: MIT */
/* What the samples told about every value of a graph. */
#ifndef COMPILER_QUANT_STATS_H
#define COMPILER_QUANT_STATS_H

#include "compiler/graph/graph.h"
#include "compiler/quant/range.h"
#include "compiler/quant/samples.h"
#include "compiler/work_share.h"

/*
 * struct quant_stats - of one value
 * @seen:      it is a float of which there was a finite number
 * @lo, @hi:   the range by the method
 * @channels:  of what convolutions and products read: along the axis that their weights sum over; 0: not recorded
 * @largest:   by channel, the largest absolute value
 * @sum:       by channel, of all elements; @count elements of each channel
 */
struct quant_stats {
	bool seen;
	float lo, hi;
	struct quant_histogram *histogram;
	int64_t channels;
	float *largest;
	double *sum;
	double count;
};

/*
 * Run the graph on the CPU for each sample: *stats gets an entry for each value by id. All methods but QUANT_MINMAX run every
 * sample twice, for the histograms are of the range. -ENOTSUP with the node in @error when an operator has no CPU kernel; what
 * the kernel returns otherwise. @share: told how far it is, or NULL. Free with quant_stats_free().
 */
int quant_calibrate(const struct graph *graph, const struct quant_sample *samples, size_t count,
		    enum quant_method method, const struct work_share *share, struct quant_stats **stats, char *error,
		    size_t error_size);
void quant_stats_free(struct quant_stats *stats, size_t count);

/* The axis of a value read by convolution or product @node that its weights sum over; -1: it has no constant weights. */
int quant_channel_axis(const struct graph_node *node);

#endif
