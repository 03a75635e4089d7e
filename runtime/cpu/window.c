// SPDX-License-Identifier: MIT
/*
 * Sliding windows: see window.h. Knows attributes and shapes, no element types and no data.
 */
#include "runtime/cpu/window.h"

#include <errno.h>
#include <string.h>

#include "runtime/cpu/shape_rules.h"

/* Sizes beyond this cannot belong to a tensor in memory; below it no product of two of them overflows. */
#define MAX_EXTENT INT32_MAX

/* Attribute @name: rank * @sides values into @lo (and @hi for the second half), each between @min and MAX_EXTENT. */
static int read_axes(struct op_call *call, const char *name, int rank, int64_t min, int64_t *lo, int64_t *hi)
{
	const int64_t *values;
	size_t count = op_attr_ints(call->node, name, &values), expected = (size_t)rank * (hi ? 2 : 1);

	if (!count)
		return 0;
	if (count != expected)
		return op_fail(call, -EINVAL, "%s: attribute %s has %zu values, expected %zu", call->node->op_type,
			       name, count, expected);
	for (size_t i = 0; i < count; i++)
		if (values[i] < min || values[i] > MAX_EXTENT)
			return op_fail(call, -EINVAL, "%s: attribute %s[%zu] is %lld", call->node->op_type, name, i,
				       (long long)values[i]);
	memcpy(lo + WINDOW_AXES - rank, values, (size_t)rank * sizeof(*values));
	if (hi)
		memcpy(hi + WINDOW_AXES - rank, values + rank, (size_t)rank * sizeof(*values));
	return 0;
}

static int read_auto_pad(struct op_call *call, enum auto_pad *mode)
{
	const struct attr *attr = op_attr(call->node, "auto_pad");

	*mode = AUTO_PAD_NOTSET;
	if (!attr || attr->type != ATTR_STRING || !attr->s.size)
		return 0;
	if (auto_pad_parse(attr->s.data, attr->s.size, mode))
		return op_fail(call, -EINVAL, "%s: auto_pad \"%.*s\" is unknown", call->node->op_type,
			       (int)(attr->s.size > 32 ? 32 : attr->s.size), attr->s.data);
	return 0;
}

/* What all windows need: sizes of the input, kernel, strides, dilations and explicit pads. */
static int read_common(struct op_call *call, const struct tensor *x, const int64_t *kernel, struct window *w)
{
	int rank = x->rank - 2, err;

	if (rank < 1 || rank > WINDOW_AXES)
		return op_fail(call, rank < 1 ? -EINVAL : -ENOTSUP, "%s: the input has rank %d, supported are 3 to %d",
			       call->node->op_type, x->rank, WINDOW_AXES + 2);
	*w = (struct window){.rank = rank};
	for (int i = 0; i < WINDOW_AXES; i++)
		w->in[i] = w->kernel[i] = w->stride[i] = w->dilation[i] = w->out[i] = 1;
	for (int i = 0; i < rank; i++) {
		w->in[WINDOW_AXES - rank + i] = x->dims[2 + i];
		if (x->dims[2 + i] > MAX_EXTENT)
			return op_fail(call, -EINVAL, "%s: input dimension %d is too large", call->node->op_type,
				       2 + i);
	}
	err = read_axes(call, "kernel_shape", rank, 1, w->kernel, NULL);
	if (!err)
		err = read_axes(call, "strides", rank, 1, w->stride, NULL);
	if (!err)
		err = read_axes(call, "dilations", rank, 1, w->dilation, NULL);
	if (!err)
		err = read_axes(call, "pads", rank, -MAX_EXTENT, w->pad_lo, w->pad_hi);
	if (err)
		return err;
	if (!kernel) {
		const int64_t *values;

		if (!op_attr_ints(call->node, "kernel_shape", &values))
			return op_fail(call, -EINVAL, "%s: attribute kernel_shape is missing", call->node->op_type);
		return 0;
	}
	for (int i = 0; i < rank; i++) {
		const int64_t *values;
		int64_t *mine = &w->kernel[WINDOW_AXES - rank + i];

		if (op_attr_ints(call->node, "kernel_shape", &values) && *mine != kernel[i])
			return op_fail(call, -EINVAL, "%s: kernel_shape[%d] is %lld, the weight has %lld",
				       call->node->op_type, i, (long long)*mine, (long long)kernel[i]);
		if (kernel[i] < 1 || kernel[i] > MAX_EXTENT)
			return op_fail(call, -EINVAL, "%s: the weight's spatial dimension %d is %lld",
				       call->node->op_type, i, (long long)kernel[i]);
		*mine = kernel[i];
	}
	return 0;
}

int window_read(struct op_call *call, const struct tensor *x, const int64_t *kernel, bool ceil, struct window *w)
{
	enum auto_pad mode;
	int err = read_common(call, x, kernel, w);

	if (!err)
		err = read_auto_pad(call, &mode);
	if (err)
		return err;
	for (int i = WINDOW_AXES - w->rank; i < WINDOW_AXES; i++) {
		err = auto_pad_resolve(mode, w->in[i], w->kernel[i], w->stride[i], w->dilation[i], &w->pad_lo[i],
				       &w->pad_hi[i]);
		if (!err) {
			w->out[i] = conv_output_dim(w->in[i], w->kernel[i], w->stride[i], w->dilation[i], w->pad_lo[i],
						    w->pad_hi[i], ceil);
			err = w->out[i] < 0 ? (int)w->out[i] : 0;
		}
		if (err)
			return op_fail(call, err, "%s: no output size for input %lld, kernel %lld, pads %lld and %lld",
				       call->node->op_type, (long long)w->in[i], (long long)w->kernel[i],
				       (long long)w->pad_lo[i], (long long)w->pad_hi[i]);
		/* One output never strides; without this, a large stride would cost the kernels memory or steps. */
		if (w->out[i] <= 1)
			w->stride[i] = 1;
	}
	return 0;
}

int window_read_transpose(struct op_call *call, const struct tensor *x, const int64_t *kernel, struct window *w)
{
	int64_t extra[WINDOW_AXES] = {0}, wanted[WINDOW_AXES] = {-1, -1, -1};
	const int64_t *shape;
	size_t num_shape = op_attr_ints(call->node, "output_shape", &shape);
	enum auto_pad mode;
	int err = read_common(call, x, kernel, w);

	if (!err)
		err = read_auto_pad(call, &mode);
	if (!err)
		err = read_axes(call, "output_padding", w->rank, 0, extra, NULL);
	if (err)
		return err;
	/* Some exporters write the whole shape, batch and channels included. */
	if (num_shape == (size_t)w->rank + 2)
		shape += 2;
	else if (num_shape && num_shape != (size_t)w->rank)
		return op_fail(call, -EINVAL, "%s: output_shape has %zu values, expected %d", call->node->op_type,
			       num_shape, w->rank);
	for (int i = WINDOW_AXES - w->rank; i < WINDOW_AXES; i++) {
		if (num_shape) {
			wanted[i] = shape[i - (WINDOW_AXES - w->rank)];
			if (wanted[i] < 0 || wanted[i] > MAX_EXTENT)
				return op_fail(call, -EINVAL, "%s: output_shape holds %lld", call->node->op_type,
					       (long long)wanted[i]);
		}
		if (num_shape || mode != AUTO_PAD_NOTSET)
			err = auto_pad_resolve_transpose(mode, w->in[i], w->kernel[i], w->stride[i], w->dilation[i],
							 extra[i], wanted[i], &w->pad_lo[i], &w->pad_hi[i]);
		if (!err) {
			w->out[i] = conv_transpose_output_dim(w->in[i], w->kernel[i], w->stride[i], w->dilation[i],
							      w->pad_lo[i], w->pad_hi[i], extra[i]);
			err = w->out[i] < 0 ? (int)w->out[i] : 0;
		}
		/* An output longer than what the input reaches (negative pads) is legal: the rest is bias. */
		if (!err && num_shape)
			w->out[i] = wanted[i];
		if (err)
			return op_fail(call, err, "%s: no output size for input %lld, kernel %lld, pads %lld and %lld",
				       call->node->op_type, (long long)w->in[i], (long long)w->kernel[i],
				       (long long)w->pad_lo[i], (long long)w->pad_hi[i]);
	}
	return 0;
}

int window_global(struct op_call *call, const struct tensor *x, struct window *w)
{
	int64_t count = 1;

	if (x->rank < 2)
		return op_fail(call, -EINVAL, "%s: the input has rank %d, at least 2 is needed", call->node->op_type,
			       x->rank);
	/* All spatial axes as one: a global pool does not look at positions. */
	for (int i = 2; i < x->rank; i++)
		count *= x->dims[i];
	if (count < 1)
		return op_fail(call, -EINVAL, "%s: the input has no elements to pool", call->node->op_type);
	*w = (struct window){
		.rank = x->rank - 2,
		.in = {1, 1, count},
		.kernel = {1, 1, count},
		.stride = {1, 1, 1},
		.dilation = {1, 1, 1},
		.out = {1, 1, 1},
	};
	return 0;
}

static int64_t product(const int64_t *sizes)
{
	return sizes[0] * sizes[1] * sizes[2];
}

int64_t window_in_count(const struct window *w)
{
	return product(w->in);
}

int64_t window_out_count(const struct window *w)
{
	return product(w->out);
}

int64_t window_taps(const struct window *w)
{
	return product(w->kernel);
}

int window_output_dims(const struct window *w, int64_t batch, int64_t channels, int64_t *dims)
{
	dims[0] = batch;
	dims[1] = channels;
	for (int i = 0; i < w->rank; i++)
		dims[2 + i] = w->rank <= WINDOW_AXES ? w->out[WINDOW_AXES - w->rank + i] : 1;
	return w->rank + 2;
}
