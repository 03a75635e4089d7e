/* SPDX-License-Identifier: MIT */
/* See weights.h. */
#include "compiler/quant/weights.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HIGHEST 127.0
/* Largest distance of a byte from its zero point. */
#define INPUT_SPAN 255.0

/* Weights as [outer][channels][inner] along the axis of the scales. */
struct layout {
	int64_t outer, channels, inner;
};

static struct layout layout_of(const struct tensor *w, int axis)
{
	struct layout layout = {1, w->dims[axis], 1};

	for (int d = 0; d < w->rank; d++)
		if (d != axis)
			*(d < axis ? &layout.outer : &layout.inner) *= w->dims[d];
	return layout;
}

static double bias_of(const struct tensor *bias, int64_t c, float factor)
{
	return bias ? tensor_get_f64(bias, tensor_count(bias) == 1 ? 0 : c) * (double)factor : 0;
}

/* Sum of the absolute values and the largest one of channel @c. */
static void channel_sizes(const struct tensor *w, const struct layout *l, int64_t c, double *sum, double *largest)
{
	const float *data = w->data;

	*sum = *largest = 0;
	for (int64_t o = 0; o < l->outer; o++)
		for (int64_t i = 0; i < l->inner; i++) {
			double a = fabs((double)data[(o * l->channels + c) * l->inner + i]);

			*sum += a;
			*largest = a > *largest ? a : *largest;
		}
}

/* The scale of channel @c: the largest weight at 127, or so wide that no sum leaves 32 bits. */
static float channel_scale(const struct tensor *w, const struct layout *l, int64_t c, double bias, float x_scale)
{
	double sum, largest, scale, least;
	const double room =
		(double)INT32_MAX - INPUT_SPAN * (double)(l->outer * l->inner); /* each weight rounds by up to 1/2 */

	channel_sizes(w, l, c, &sum, &largest);
	scale = largest > 1e-30 ? largest / HIGHEST : 1;
	if (room <= 0) /* more weights than any scale helps; the sums of such a channel can not all be bounded */
		return (float)scale;
	least = (INPUT_SPAN * sum + fabs(bias) / (double)x_scale) / room;
	return (float)(scale > least ? scale : least);
}

/*
 * What rounding the weights of channel @c adds to its output on average: the errors by the mean of what they multiply. Convolutions
 * sum over input channel and taps of a group, products over the rows of the matrix.
 */
static double mean_error(const struct quant_weights *weights, const struct graph_node *node, const struct layout *l,
			 int64_t c, const struct quant_stats *input)
{
	const struct tensor *w = node->inputs[1]->constant;
	bool conv = !strcmp(node->op_type, "Conv");
	int64_t group_inputs = conv ? w->dims[1] : 0, taps = conv ? l->inner / group_inputs : 1;
	int64_t first = conv ? c / (l->channels / (input->channels / group_inputs)) * group_inputs : 0;
	double sum = 0;

	for (int64_t o = 0; o < l->outer; o++)
		for (int64_t i = 0; i < l->inner; i++) {
			int64_t at = (o * l->channels + c) * l->inner + i;
			double error = (double)((const int8_t *)weights->q.data)[at] * (double)weights->scales[c] -
				       (double)((const float *)w->data)[at];
			int64_t channel = conv ? first + i / taps : l->outer > 1 ? o : i;

			sum += error * input->sum[channel] / input->count;
		}
	return sum;
}

static bool correctable(const struct graph_node *node, const struct layout *l, const struct quant_stats *input)
{
	bool conv = !strcmp(node->op_type, "Conv");
	const struct tensor *w = node->inputs[1]->constant;

	if (!input || !input->channels || input->count <= 0)
		return false;
	return conv ? input->channels % w->dims[1] == 0 && l->channels % (input->channels / w->dims[1]) == 0
		    : input->channels == l->outer * l->inner;
}

int quant_weights_make(struct quant_weights *weights, const struct graph_node *node, int axis,
		       const struct quant_value *x, const struct tensor *bias, float factor,
		       const struct quant_stats *input)
{
	const struct tensor *w = node->inputs[1]->constant;
	struct layout l = layout_of(w, axis);
	int8_t *q;
	int err;

	if (weights->q.data && weights->x_scale == x->scale)
		return 0;
	quant_weights_finish(weights);
	err = tensor_init(&weights->q, DTYPE_S8, w->rank, w->dims);
	weights->scales = malloc((size_t)(l.channels + 1) * sizeof(*weights->scales));
	weights->bias = bias ? malloc((size_t)(l.channels + 1) * sizeof(*weights->bias)) : NULL;
	weights->channels = l.channels;
	weights->axis = axis;
	weights->x_scale = x->scale;
	if (err || !weights->scales || (bias && !weights->bias))
		return err ? err : -ENOMEM;
	q = weights->q.data;
	for (int64_t c = 0; c < l.channels; c++) {
		double number = bias_of(bias, c, factor), sums;
		float scale = channel_scale(w, &l, c, number, x->scale);

		weights->scales[c] = scale;
		for (int64_t o = 0; o < l.outer; o++)
			for (int64_t i = 0; i < l.inner; i++) {
				int64_t at = (o * l.channels + c) * l.inner + i;
				float rounded = nearbyintf(((const float *)w->data)[at] / scale);

				q[at] = (int8_t)(rounded > 127 ? 127 : rounded < -127 ? -127 : rounded);
			}
		if (!bias)
			continue;
		if (correctable(node, &l, input))
			number -= mean_error(weights, node, &l, c, input);
		sums = nearbyint(number / ((double)x->scale * (double)scale));
		weights->bias[c] = (int32_t)(sums > INT32_MAX ? INT32_MAX : sums < INT32_MIN ? INT32_MIN : sums);
	}
	return 0;
}

void quant_weights_finish(struct quant_weights *weights)
{
	tensor_finish(&weights->q);
	free(weights->scales);
	free(weights->bias);
	*weights = (struct quant_weights){0};
}
