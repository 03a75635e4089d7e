// SPDX-License-Identifier: MIT
/*
 * com.microsoft GroupNorm and SkipGroupNorm (diffusion models): GroupNormalization of images with the channels last or
 * second, behind a sum with a residual and a bias, before SiLU. Source: ONNX Runtime, docs/ContribOperators.md.
 */
#include <errno.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/ms_channels_last.h"
#include "runtime/cpu/ms_heads.h"
#include "runtime/cpu/nested.h"

enum { IN_X, IN_GAMMA, IN_BETA, IN_SKIP, IN_BIAS };
enum { OUT_Y, OUT_SUM };

/* struct group_norm - a call; @axis: that of the channels */
struct group_norm {
	int64_t groups, channels;
	int axis;
	bool silu;
};

static int read_call(struct op_call *call, struct group_norm *g)
{
	const struct tensor *x = call->inputs[IN_X], *skip = op_input(call, IN_SKIP);
	int64_t activation = op_attr_int(call->node, "activation", 0);
	const char *name = call->node->op_type;
	int err = heads_check_floats(call, 0, IN_BIAS + 1);

	if (err)
		return err;
	if (x->rank < 3)
		return op_fail(call, -EINVAL, "%s: input 0 has rank %d, expected an image", name, x->rank);
	if (activation < 0 || activation > 1)
		return op_fail(call, -EINVAL, "%s: attribute activation is %lld, not 0 or 1", name,
			       (long long)activation);
	g->silu = activation == 1;
	g->axis = op_attr_int(call->node, "channels_last", 1) ? x->rank - 1 : 1;
	g->channels = x->dims[g->axis];
	g->groups = op_attr_int(call->node, "groups", 0);
	if (g->groups < 1 || g->channels % g->groups)
		return op_fail(call, -EINVAL, "%s: %lld channels in %lld groups", name, (long long)g->channels,
			       (long long)g->groups);
	for (size_t i = IN_GAMMA; i <= IN_BIAS; i++)
		if (i != IN_SKIP && op_input(call, i) && tensor_count(op_input(call, i)) != g->channels)
			return op_fail(call, -EINVAL, "%s: input %zu has %lld elements for %lld channels", name, i,
				       (long long)tensor_count(op_input(call, i)), (long long)g->channels);
	if (skip && tensor_count(skip) != tensor_count(x) && tensor_count(skip) != x->dims[0] * g->channels)
		return op_fail(call, -EINVAL,
			       "%s: the skip (input 3) has neither the shape of input 0 nor one element a channel",
			       name);
	return 0;
}

/* @t, of one element for each channel, or of @images as many, as it broadcasts to the image. */
static struct tensor by_channel(const struct group_norm *g, const struct tensor *t, int rank, int64_t images)
{
	int64_t dims[TENSOR_MAX_RANK];

	for (int i = 0; i < rank; i++)
		dims[i] = 1;
	dims[0] = images;
	dims[g->axis] = g->channels;
	return tensor_reshaped(t, rank, dims);
}

/* @sum = x + skip + bias */
static int add_skip(struct op_call *call, const struct group_norm *g, struct tensor *sum)
{
	const struct tensor *x = call->inputs[IN_X], *skip = call->inputs[IN_SKIP], *bias = op_input(call, IN_BIAS);
	struct tensor partial = {0}, view[2];
	int err;

	view[0] = tensor_count(skip) == tensor_count(x) ? tensor_reshaped(skip, x->rank, x->dims)
							: by_channel(g, skip, x->rank, x->dims[0]);
	err = op_nested_simple(call, "Add", 14, 2, (const struct tensor *[]){x, &view[0]}, bias ? &partial : sum);
	if (!err && bias) {
		view[1] = by_channel(g, bias, x->rank, 1);
		err = op_nested_simple(call, "Add", 14, 2, (const struct tensor *[]){&partial, &view[1]}, sum);
	}
	tensor_finish(&partial);
	return err;
}

/* @x normalized, with the channels second. */
static int normalize(struct op_call *call, const struct group_norm *g, const struct tensor *x, struct tensor *y)
{
	const struct attr attrs[] = {attr_int("num_groups", g->groups),
				     attr_float("epsilon", op_attr_float(call->node, "epsilon", 1e-5f))};
	const struct tensor *inputs[] = {x, call->inputs[IN_GAMMA], call->inputs[IN_BETA]};
	struct tensor plain = {0}, *out = g->silu ? &plain : y;
	struct nested nested = {.domain = "",
				.op_type = "GroupNormalization",
				.opset = 21,
				.num_attrs = 2,
				.attrs = attrs,
				.num_inputs = 3,
				.inputs = inputs,
				.num_outputs = 1,
				.outputs = &out};
	int err = op_nested(call, &nested);

	if (!err && g->silu)
		err = op_nested_simple(call, "Swish", 24, 1, (const struct tensor *[]){&plain}, y);
	tensor_finish(&plain);
	return err;
}

static int run_group_norm(struct op_call *call)
{
	struct tensor sum = {0}, second = {0}, y = {0};
	const struct tensor *x = call->inputs[IN_X];
	struct group_norm g = {0};
	int err = read_call(call, &g);

	if (!err && op_input(call, IN_SKIP)) {
		struct tensor *out = op_wanted(call, OUT_SUM) ? call->outputs[OUT_SUM] : &sum;

		err = add_skip(call, &g, out);
		x = out;
	}
	if (err || !op_wanted(call, OUT_Y)) {
		tensor_finish(&sum);
		return err;
	}
	if (g.axis == 1) {
		err = normalize(call, &g, x, call->outputs[OUT_Y]);
	} else {
		err = move_channels(call, x, false, &second);
		if (!err)
			err = normalize(call, &g, &second, &y);
		if (!err)
			err = move_channels(call, &y, true, call->outputs[OUT_Y]);
	}
	tensor_finish(&sum);
	tensor_finish(&second);
	tensor_finish(&y);
	return err;
}

const struct op_kernel ops_ms_group_norm[] = {
	{MICROSOFT, "GroupNorm", 1, 0, 3, 3, 1, 1, run_group_norm, NULL, NULL, &op_half_in_f32},
	{MICROSOFT, "SkipGroupNorm", 1, 0, 4, 5, 1, 2, run_group_norm, NULL, NULL, &op_half_in_f32},
};
const size_t ops_ms_group_norm_count = sizeof(ops_ms_group_norm) / sizeof(ops_ms_group_norm[0]);
