// SPDX-License-Identifier: MIT
/*
 * DeformConv: a convolution whose taps are shifted by data and weighed by a mask (Dai et al. 2017, Zhu et al. 2019).
 *
 * For a block of output positions the shifted taps are read by multilinear interpolation into columns, one row for each
 * (channel, tap); the weights multiply the columns. All in double. 1 to 3 spatial axes.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpu/families.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/window.h"
#include "runtime/cpu/work_type.h"

#define MAX_CORNERS 8
#define BLOCK 64

/*
 * struct deform - one call
 * @taps:        elements of the kernel
 * @group_in, @group_out: channels of a group, of the input and of the output
 * @offset_channels:      input channels that share their shifts
 * @offset:      [batch, offset groups, taps, axes, positions]; @mask: [batch, offset groups, taps, positions] or NULL
 */
struct deform {
	struct window window;
	int64_t channels, outputs, groups, group_in, group_out, offset_groups, offset_channels;
	int64_t taps, positions, image, blocks;
	const double *in, *weights, *offset, *bias, *mask;
	double *out;
	bool failed;
};

/* Corners around @at with their weights; those outside of the image read as zero and are left out. */
static int find_corners(const struct window *w, const double *at, int64_t *index, double *weight)
{
	int used = 0;

	for (int corner = 0; corner < 1 << w->rank; corner++) {
		bool inside = true;

		index[used] = 0;
		weight[used] = 1;
		for (int i = WINDOW_AXES - w->rank; i < WINDOW_AXES && inside; i++) {
			bool upper = corner >> (WINDOW_AXES - 1 - i) & 1;
			double low = floor(at[i]), x = low + upper;

			/* In this form NaN and infinity are outside too. */
			inside = x >= 0 && x < (double)w->in[i];
			if (!inside)
				break;
			weight[used] *= upper ? at[i] - low : 1 - (at[i] - low);
			index[used] = index[used] * w->in[i] + (int64_t)x;
		}
		used += inside && weight[used] != 0;
	}
	return used;
}

/* Where tap @tap of output position @position reads, before its shift. */
static void tap_position(const struct window *w, int64_t tap, int64_t position, double *at)
{
	for (int i = WINDOW_AXES - 1; i >= 0; i--) {
		at[i] = (double)(position % w->out[i] * w->stride[i] - w->pad_lo[i] +
				 tap % w->kernel[i] * w->dilation[i]);
		position /= w->out[i];
		tap /= w->kernel[i];
	}
}

/* The value of one tap in all the channels that share its shift: element @column of their rows. */
static void read_tap(const struct deform *d, int64_t batch, int64_t offset_group, int64_t tap, int64_t position,
		     int64_t first_channel, int64_t count, double *columns)
{
	int64_t shifted = (batch * d->offset_groups + offset_group) * d->taps + tap;
	const double *image = d->in + (batch * d->channels + first_channel) * d->image;
	double at[WINDOW_AXES], weight[MAX_CORNERS], mask;
	int64_t index[MAX_CORNERS];
	int used, axes = d->window.rank;

	tap_position(&d->window, tap, position, at);
	for (int i = 0; i < axes; i++)
		at[WINDOW_AXES - axes + i] += d->offset[(shifted * axes + i) * d->positions + position];
	used = find_corners(&d->window, at, index, weight);
	mask = d->mask ? d->mask[shifted * d->positions + position] : 1;
	for (int64_t c = 0; c < count; c++, image += d->image) {
		double sum = 0;

		for (int k = 0; k < used; k++)
			sum += weight[k] * image[index[k]];
		columns[c * d->taps * BLOCK] = sum * mask;
	}
}

/* Rows (channel, tap) of group @group for @count positions from @first. */
static void fill_columns(const struct deform *d, int64_t batch, int64_t group, int64_t first, int64_t count,
			 double *columns)
{
	int64_t begin = group * d->group_in, end = begin + d->group_in;

	for (int64_t channel = begin, next; channel < end; channel = next) {
		int64_t offset_group = channel / d->offset_channels;

		next = (offset_group + 1) * d->offset_channels;
		next = next < end ? next : end;
		for (int64_t tap = 0; tap < d->taps; tap++)
			for (int64_t p = 0; p < count; p++)
				read_tap(d, batch, offset_group, tap, first + p, channel, next - channel,
					 columns + ((channel - begin) * d->taps + tap) * BLOCK + p);
	}
}

static void multiply_columns(const struct deform *d, int64_t batch, int64_t group, int64_t first, int64_t count,
			     const double *columns)
{
	int64_t rows = d->group_in * d->taps;

	for (int64_t o = group * d->group_out; o < (group + 1) * d->group_out; o++) {
		double *out = d->out + (batch * d->outputs + o) * d->positions + first;
		double sums[BLOCK];

		for (int64_t p = 0; p < count; p++)
			sums[p] = d->bias ? d->bias[o] : 0;
		for (int64_t r = 0; r < rows; r++) {
			double w = d->weights[o * rows + r];

			for (int64_t p = 0; p < count; p++)
				sums[p] += w * columns[r * BLOCK + p];
		}
		memcpy(out, sums, (size_t)count * sizeof(*out));
	}
}

static void run_blocks(void *arg, int64_t begin, int64_t end)
{
	struct deform *d = arg;
	double *columns = calloc((size_t)(d->group_in * d->taps), BLOCK * sizeof(*columns));

	if (!columns) {
		__atomic_store_n(&d->failed, true, __ATOMIC_RELAXED);
		return;
	}
	for (int64_t i = begin; i < end; i++) {
		int64_t batch = i / d->blocks, first = i % d->blocks * BLOCK;
		int64_t count = d->positions - first < BLOCK ? d->positions - first : BLOCK;

		for (int64_t group = 0; group < d->groups; group++) {
			fill_columns(d, batch, group, first, count, columns);
			multiply_columns(d, batch, group, first, count, columns);
		}
	}
	free(columns);
}

/* ---- shapes ---- */

static int check_channels(struct op_call *call, struct deform *d)
{
	const struct tensor *in = call->inputs[0], *weights = call->inputs[1], *bias = op_input(call, 3);

	d->channels = in->dims[1];
	d->outputs = weights->dims[0];
	d->group_in = weights->dims[1];
	if (d->groups < 1 || d->group_in < 1 || d->channels % d->groups || d->channels / d->groups != d->group_in ||
	    d->outputs % d->groups)
		return op_fail(call, -EINVAL,
			       "DeformConv: %" PRId64 " channels (input 0) and weights for %" PRId64 " to %" PRId64
			       " (input 1) in %" PRId64 " groups",
			       d->channels, d->group_in, d->outputs, d->groups);
	if (d->offset_groups < 1 || d->channels % d->offset_groups)
		return op_fail(call, -EINVAL,
			       "DeformConv: attribute offset_group = %" PRId64 " for %" PRId64 " channels",
			       d->offset_groups, d->channels);
	if (bias && (bias->rank != 1 || bias->dims[0] != d->outputs))
		return op_fail(call, -EINVAL,
			       "DeformConv: the bias (input 3) is not one number for each of %" PRId64 " outputs",
			       d->outputs);
	d->group_out = d->outputs / d->groups;
	d->offset_channels = d->channels / d->offset_groups;
	return 0;
}

/* Input @index must be [batch, offset_groups * taps * @per_tap, output positions]. */
static int check_shifts(struct op_call *call, const struct deform *d, size_t index, int64_t per_tap)
{
	const struct tensor *t = op_input(call, index), *in = call->inputs[0];
	bool fits = t && t->rank == in->rank && t->dims[0] == in->dims[0] &&
		    t->dims[1] == d->offset_groups * d->taps * per_tap;

	for (int i = 0; i < d->window.rank && fits; i++)
		fits = t->dims[2 + i] == d->window.out[WINDOW_AXES - d->window.rank + i];
	if (fits)
		return 0;
	return op_fail(call, -EINVAL, "DeformConv: %s (input %zu) are not [%" PRId64 ", %" PRId64 ", output positions]",
		       index == 2 ? "the offsets" : "the mask's weights", index, in->dims[0],
		       d->offset_groups * d->taps * per_tap);
}

static int read_shapes(struct op_call *call, struct deform *d)
{
	const struct tensor *in = call->inputs[0], *weights = call->inputs[1];
	int err;

	if (in->rank < 3 || weights->rank != in->rank)
		return op_fail(call, -EINVAL, "DeformConv: input 0 of rank %d with weights (input 1) of rank %d",
			       in->rank, weights->rank);
	d->groups = op_attr_int(call->node, "group", 1);
	d->offset_groups = op_attr_int(call->node, "offset_group", 1);
	err = window_read(call, in, weights->dims + 2, false, &d->window);
	if (!err)
		err = check_channels(call, d);
	if (err)
		return err;
	d->taps = window_taps(&d->window);
	d->positions = window_out_count(&d->window);
	d->image = window_in_count(&d->window);
	if (d->positions < 1)
		return op_fail(call, -EINVAL, "DeformConv: the kernel (input 1) does not fit input 0");
	d->blocks = (d->positions - 1) / BLOCK + 1;
	err = check_shifts(call, d, 2, d->window.rank);
	if (!err && op_input(call, 4))
		err = check_shifts(call, d, 4, 1);
	return err;
}

static int run_deform_conv(struct op_call *call)
{
	const struct tensor *in = call->inputs[0];
	struct tensor wide[5] = {0}, work = {0};
	int64_t dims[TENSOR_MAX_RANK];
	struct deform d = {0};
	int err;

	if (!op_wanted(call, 0))
		return 0;
	err = read_shapes(call, &d);
	for (size_t i = 0; i < 5 && !err; i++)
		if (op_input(call, i))
			err = op_input_float(call, i, DTYPE_F64, &wide[i]);
	if (!err && tensor_init(&work, DTYPE_F64, window_output_dims(&d.window, in->dims[0], d.outputs, dims), dims))
		err = op_fail(call, -ENOMEM, "DeformConv: no memory for the output");
	if (!err) {
		d.in = wide[0].data;
		d.weights = wide[1].data;
		d.offset = wide[2].data;
		d.bias = wide[3].data;
		d.mask = wide[4].data;
		d.out = work.data;
		parallel_range(call->pool, in->dims[0] * d.blocks, 1, run_blocks, &d);
		err = d.failed ? op_fail(call, -ENOMEM, "DeformConv: no memory for the columns")
			       : op_output_cast(call, 0, in->dtype, &work);
	}
	for (size_t i = 0; i < 5; i++)
		tensor_finish(&wide[i]);
	tensor_finish(&work);
	return err;
}

const struct op_kernel ops_deform_conv[] = {
	{"", "DeformConv", 19, 0, 3, 5, 1, 1, run_deform_conv},
};
const size_t ops_deform_conv_count = sizeof(ops_deform_conv) / sizeof(ops_deform_conv[0]);
