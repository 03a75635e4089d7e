// SPDX-License-Identifier: MIT
/*
 * com.microsoft GroupNorm and SkipGroupNorm (diffusion models): group normalization of images with the channels last or
 * second, behind a sum with a residual and a bias, before SiLU. Source: ONNX Runtime, docs/ContribOperators.md.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/nested.h"
#include "runtime/cpu/parallel.h"

enum { IN_X, IN_GAMMA, IN_BETA, IN_SKIP, IN_BIAS };
enum { OUT_Y, OUT_SUM };

/*
 * struct group_norm - a call
 * @channels:         of a group
 * @positions:        of a channel
 * @channel_step, @position_step: elements from one to the next
 * @image:            elements of an image
 * @skip, @bias:      what is added first; NULL: nothing
 * @skip_each:        the skip has an element for each of x, else one for each channel of each image
 * @sum:              what is normalized: x itself where nothing is added
 */
struct group_norm {
	int64_t groups, channels, positions, channel_step, position_step, image;
	double epsilon;
	bool silu, skip_each;
	const float *x, *gamma, *beta, *skip, *bias;
	float *sum, *y;
};

static void add_residual(const struct group_norm *g, int64_t image, int64_t channel)
{
	int64_t first = image * g->image + channel * g->channel_step;
	float bias = g->bias ? g->bias[channel] : 0;

	for (int64_t p = 0; p < g->positions; p++) {
		int64_t i = first + p * g->position_step;

		g->sum[i] = g->x[i] + g->skip[g->skip_each ? i : image * g->groups * g->channels + channel] + bias;
	}
}

/* Sum over a group of (value - @centre) ^ @power. */
static double moment(const struct group_norm *g, const float *group, double centre, int power)
{
	double sum = 0;

	for (int64_t c = 0; c < g->channels; c++)
		for (int64_t p = 0; p < g->positions; p++) {
			double v = (double)group[c * g->channel_step + p * g->position_step] - centre;

			sum += power == 2 ? v * v : v;
		}
	return sum;
}

static void normalize_groups(void *arg, int64_t begin, int64_t end)
{
	const struct group_norm *g = arg;
	double count = (double)(g->channels * g->positions);

	for (int64_t i = begin; i < end; i++) {
		int64_t image = i / g->groups, channel = i % g->groups * g->channels;
		int64_t first = image * g->image + channel * g->channel_step;
		const float *group = (g->skip ? g->sum : g->x) + first;
		double mean, scale;

		for (int64_t c = 0; g->skip && c < g->channels; c++)
			add_residual(g, image, channel + c);
		mean = moment(g, group, 0, 1) / count;
		scale = 1 / sqrt(moment(g, group, mean, 2) / count + g->epsilon);
		for (int64_t c = 0; c < g->channels; c++)
			for (int64_t p = 0; p < g->positions; p++) {
				int64_t at = c * g->channel_step + p * g->position_step;
				double v = ((double)group[at] - mean) * scale * (double)g->gamma[channel + c] +
					   (double)g->beta[channel + c];

				g->y[first + at] = (float)(g->silu ? v / (1 + exp(-v)) : v);
			}
	}
}

static int check_operands(struct op_call *call, struct group_norm *g)
{
	const struct tensor *x = call->inputs[IN_X], *skip = op_input(call, IN_SKIP);
	const char *name = call->node->op_type;
	int64_t channels, activation = op_attr_int(call->node, "activation", 0);
	bool last = op_attr_int(call->node, "channels_last", 1) != 0;

	for (size_t i = 0; i <= IN_BIAS; i++)
		if (op_input(call, i) && op_input(call, i)->dtype != DTYPE_F32)
			return op_fail(call, -EINVAL, "%s: input %zu is %s, expected float32 or float16", name, i,
				       dtype_name(op_input(call, i)->dtype));
	if (x->rank < 3)
		return op_fail(call, -EINVAL, "%s: input 0 has rank %d, expected an image", name, x->rank);
	if (activation < 0 || activation > 1)
		return op_fail(call, -EINVAL, "%s: attribute activation is %lld, not 0 or 1", name,
			       (long long)activation);
	channels = x->dims[last ? x->rank - 1 : 1];
	g->groups = op_attr_int(call->node, "groups", 0);
	if (g->groups < 1 || channels % g->groups)
		return op_fail(call, -EINVAL, "%s: %lld channels in %lld groups", name, (long long)channels,
			       (long long)g->groups);
	for (size_t i = IN_GAMMA; i <= IN_BIAS; i++)
		if (i != IN_SKIP && op_input(call, i) && tensor_count(op_input(call, i)) != channels)
			return op_fail(call, -EINVAL, "%s: input %zu has %lld elements for %lld channels", name, i,
				       (long long)tensor_count(op_input(call, i)), (long long)channels);
	g->skip_each = skip && tensor_count(skip) == tensor_count(x);
	if (skip && !g->skip_each && tensor_count(skip) != x->dims[0] * channels)
		return op_fail(call, -EINVAL,
			       "%s: the skip (input 3) has neither the shape of input 0 nor one element a channel",
			       name);
	g->channels = channels / g->groups;
	g->image = tensor_count(x) ? tensor_count(x) / x->dims[0] : 0;
	g->positions = channels ? g->image / channels : 0;
	g->channel_step = last ? 1 : g->positions;
	g->position_step = last ? channels : 1;
	g->silu = activation == 1;
	g->epsilon = (double)op_attr_float(call->node, "epsilon", 1e-5f);
	return 0;
}

static int run_group_norm(struct op_call *call)
{
	const struct tensor *x = call->inputs[IN_X], *skip = op_input(call, IN_SKIP), *bias = op_input(call, IN_BIAS);
	struct tensor sum = {0}, y = {0};
	struct group_norm g = {0};
	int err = check_operands(call, &g);

	for (size_t i = 0; !err && i < call->node->num_outputs; i++)
		err = op_output(call, i, DTYPE_F32, x->rank, x->dims);
	if (err || !tensor_count(x))
		return err;
	if (!op_wanted(call, OUT_Y))
		err = tensor_init(&y, DTYPE_F32, x->rank, x->dims);
	if (!err && skip && !op_wanted(call, OUT_SUM))
		err = tensor_init(&sum, DTYPE_F32, x->rank, x->dims);
	if (!err) {
		g.x = x->data;
		g.gamma = call->inputs[IN_GAMMA]->data;
		g.beta = call->inputs[IN_BETA]->data;
		g.skip = skip ? skip->data : NULL;
		g.bias = bias ? bias->data : NULL;
		g.y = op_wanted(call, OUT_Y) ? call->outputs[OUT_Y]->data : y.data;
		g.sum = op_wanted(call, OUT_SUM) ? call->outputs[OUT_SUM]->data : sum.data;
		parallel_range(call->pool, x->dims[0] * g.groups, PARALLEL_GRAIN / 4 / (g.channels * g.positions),
			       normalize_groups, &g);
	}
	tensor_finish(&sum);
	tensor_finish(&y);
	return err ? op_fail(call, err, "%s: no memory for an image", call->node->op_type) : 0;
}

const struct op_kernel ops_ms_group_norm[] = {
	{MICROSOFT, "GroupNorm", 1, 0, 3, 3, 1, 1, run_group_norm, NULL, NULL, &op_half_in_f32},
	{MICROSOFT, "SkipGroupNorm", 1, 0, 4, 5, 1, 2, run_group_norm, NULL, NULL, &op_half_in_f32},
};
const size_t ops_ms_group_norm_count = sizeof(ops_ms_group_norm) / sizeof(ops_ms_group_norm[0]);
