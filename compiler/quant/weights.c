/* SPDX-License-Identifier: MIT */
/* See weights.h. */
#include "compiler/quant/weights.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/cpu_clones.h"

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

/* Of each channel: the sum of the absolute values and the largest one; then the mean error of rounding. */
struct sizes {
	double *sum, *largest, *error;
};

/* The channels' sums in the order of memory: each adds its own elements in the same order. */
static void measure(const struct tensor *w, const struct layout *l, struct sizes *sizes)
{
	const float *data = w->data;

	for (int64_t o = 0; o < l->outer; o++)
		for (int64_t c = 0; c < l->channels; c++, data += l->inner) {
			double sum = sizes->sum[c], largest = sizes->largest[c];

			for (int64_t i = 0; i < l->inner; i++) {
				double a = fabs((double)data[i]);

				sum += a;
				largest = a > largest ? a : largest;
			}
			sizes->sum[c] = sum;
			sizes->largest[c] = largest;
		}
}

/* The scale of a channel: the largest weight at 127, or so wide that no sum leaves 32 bits. */
static float channel_scale(const struct layout *l, double sum, double largest, double bias, float x_scale)
{
	double scale, least;
	const double room =
		(double)INT32_MAX - INPUT_SPAN * (double)(l->outer * l->inner); /* each weight rounds by up to 1/2 */

	scale = largest > 1e-30 ? largest / HIGHEST : 1;
	if (room <= 0) /* more weights than any scale helps; the sums of such a channel can not all be bounded */
		return (float)scale;
	least = (INPUT_SPAN * sum + fabs(bias) / (double)x_scale) / room;
	return (float)(scale > least ? scale : least);
}

static inline int8_t round_weight(float x)
{
	float rounded = rintf(x);

	return (int8_t)(rounded > 127 ? 127 : rounded < -127 ? -127 : rounded);
}

CPU_CLONES static void round_run(int64_t n, const float *w, float scale, int8_t *q)
{
	for (int64_t i = 0; i < n; i++)
		q[i] = round_weight(w[i] / scale);
}

/* A channel each. */
CPU_CLONES static void round_row(int64_t n, const float *w, const float *scales, int8_t *q)
{
	for (int64_t i = 0; i < n; i++)
		q[i] = round_weight(w[i] / scales[i]);
}

static void round_weights(const struct tensor *w, const struct layout *l, const float *scales, int8_t *q)
{
	const float *data = w->data;

	for (int64_t o = 0; o < l->outer && l->inner == 1; o++)
		round_row(l->channels, data + o * l->channels, scales, q + o * l->channels);
	for (int64_t r = 0; r < l->outer * l->channels && l->inner > 1; r++)
		round_run(l->inner, data + r * l->inner, scales[r % l->channels], q + r * l->inner);
}

/*
 * What rounding the weights adds to each channel's output on average: the errors by the mean of what they multiply. Convolutions
 * sum over input channel and taps of a group, products over the rows of the matrix.
 */
static void measure_errors(const struct quant_weights *weights, const struct graph_node *node, const struct layout *l,
			   const struct quant_stats *input, double *errors)
{
	const struct tensor *w = node->inputs[1]->constant;
	const float *data = w->data;
	const int8_t *q = weights->q.data;
	bool conv = !strcmp(node->op_type, "Conv");
	int64_t group_inputs = conv ? w->dims[1] : 0, taps = conv ? l->inner / group_inputs : 1;

	for (int64_t o = 0; o < l->outer; o++)
		for (int64_t c = 0; c < l->channels; c++) {
			int64_t first = conv ? c / (l->channels / (input->channels / group_inputs)) * group_inputs : 0;
			double scale = (double)weights->scales[c], sum = errors[c];

			for (int64_t i = 0; i < l->inner; i++) {
				int64_t channel = conv ? first + i / taps : l->outer > 1 ? o : i;

				sum += ((double)*q++ * scale - (double)*data++) * input->sum[channel] / input->count;
			}
			errors[c] = sum;
		}
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
	struct sizes sizes;
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
	sizes.sum = calloc((size_t)(3 * l.channels) + 1, sizeof(*sizes.sum));
	if (!sizes.sum)
		return -ENOMEM;
	sizes.largest = sizes.sum + l.channels;
	sizes.error = sizes.largest + l.channels;
	measure(w, &l, &sizes);
	for (int64_t c = 0; c < l.channels; c++)
		weights->scales[c] =
			channel_scale(&l, sizes.sum[c], sizes.largest[c], bias_of(bias, c, factor), x->scale);
	round_weights(w, &l, weights->scales, weights->q.data);
	if (bias && correctable(node, &l, input))
		measure_errors(weights, node, &l, input, sizes.error);
	for (int64_t c = 0; bias && c < l.channels; c++) {
		double number = bias_of(bias, c, factor) - sizes.error[c];
		double sums = nearbyint(number / ((double)x->scale * (double)weights->scales[c]));

		weights->bias[c] = (int32_t)(sums > INT32_MAX ? INT32_MAX : sums < INT32_MIN ? INT32_MIN : sums);
	}
	free(sizes.sum);
	return 0;
}

void quant_weights_finish(struct quant_weights *weights)
{
	tensor_finish(&weights->q);
	free(weights->scales);
	free(weights->bias);
	*weights = (struct quant_weights){0};
}
