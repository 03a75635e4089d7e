// SPDX-License-Identifier: MIT
/*
 * Convolutions of doubles: see conv_f64.h.
 */
#include "runtime/cpu/conv_f64.h"

#include "runtime/cpu/pool.h"

/*
 * Along one axis, tap @k pairs positions i of the side that is strided over (Conv: output, ConvTranspose: input) with
 * positions i * stride + k * dilation - pad of the other. Those that pair up are [*first, *last); *start is the other side's
 * position of the first.
 */
static void pairs(const struct window *w, bool transposed, int axis, int64_t k, int64_t *first, int64_t *last,
		  int64_t *start)
{
	int64_t offset = k * w->dilation[axis] - w->pad_lo[axis], stride = w->stride[axis];
	int64_t room = (transposed ? w->out[axis] : w->in[axis]) - offset,
		count = transposed ? w->in[axis] : w->out[axis];

	*first = offset < 0 ? (-offset + stride - 1) / stride : 0;
	*last = room <= 0 ? 0 : (room + stride - 1) / stride;
	if (*last > count)
		*last = count;
	*start = *first * stride + offset;
}

/* y += weight * x for one tap of one pair of planes. */
static void add_tap(const struct window *w, bool transposed, const int64_t *tap, double weight, const double *x,
		    double *y)
{
	int64_t first[WINDOW_AXES], last[WINDOW_AXES], start[WINDOW_AXES];
	int64_t x_step = transposed ? 1 : w->stride[2], y_step = transposed ? w->stride[2] : 1;

	for (int a = 0; a < WINDOW_AXES; a++)
		pairs(w, transposed, a, tap[a], &first[a], &last[a], &start[a]);
	for (int64_t z = first[0]; z < last[0]; z++)
		for (int64_t row = first[1]; row < last[1]; row++) {
			int64_t near = z * (transposed ? w->in[1] : w->out[1]) + row;
			int64_t far = (start[0] + (z - first[0]) * w->stride[0]) * (transposed ? w->out[1] : w->in[1]) +
				      start[1] + (row - first[1]) * w->stride[1];
			const double *from =
				transposed ? x + near * w->in[2] + first[2] : x + far * w->in[2] + start[2];
			double *to = transposed ? y + far * w->out[2] + start[2] : y + near * w->out[2] + first[2];

			for (int64_t i = 0; i < last[2] - first[2]; i++)
				to[i * y_step] += weight * from[i * x_step];
		}
}

/* One plane of y: @index counts batch and channels of all groups. */
static void run_plane(const struct conv_f64 *conv, bool transposed, size_t index)
{
	const struct window *w = conv->window;
	int64_t taps = window_taps(w), in_count = window_in_count(w), out_count = window_out_count(w);
	int64_t channel = (int64_t)index % (conv->group * conv->channels),
		image = (int64_t)index / (conv->group * conv->channels);
	int64_t group = channel / conv->channels;
	double *y = conv->y + (int64_t)index * out_count;

	for (int64_t i = 0; i < out_count; i++)
		y[i] = conv->bias ? conv->bias[channel] : 0;
	for (int64_t c = 0; c < conv->inputs; c++) {
		int64_t input = group * conv->inputs + c;
		const double *x = conv->x + (image * conv->group * conv->inputs + input) * in_count;
		const double *weights = conv->w + taps * (transposed ? input * conv->channels + channel % conv->channels
								     : channel * conv->inputs + c);

		for (int64_t t = 0; t < taps; t++) {
			const int64_t tap[WINDOW_AXES] = {t / (w->kernel[1] * w->kernel[2]),
							  t / w->kernel[2] % w->kernel[1], t % w->kernel[2]};

			add_tap(w, transposed, tap, weights[t], x, y);
		}
	}
}

static void conv_plane(void *arg, size_t index)
{
	run_plane(arg, false, index);
}

static void conv_transpose_plane(void *arg, size_t index)
{
	run_plane(arg, true, index);
}

static size_t count_planes(const struct conv_f64 *conv)
{
	return window_out_count(conv->window) ? (size_t)(conv->batch * conv->group * conv->channels) : 0;
}

void conv_f64(const struct conv_f64 *conv, struct cpu_pool *pool)
{
	cpu_pool_for(pool, count_planes(conv), conv_plane, (void *)(uintptr_t)conv);
}

void conv_transpose_f64(const struct conv_f64 *conv, struct cpu_pool *pool)
{
	cpu_pool_for(pool, count_planes(conv), conv_transpose_plane, (void *)(uintptr_t)conv);
}
