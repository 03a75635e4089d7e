// SPDX-License-Identifier: MIT
/*
 * Depthwise convolutions: see conv_depthwise.h.
 *
 * One plane at a time: the image is copied with its padding, and, for a stride above 1, the columns are sorted by their
 * remainder, so that every tap reads a contiguous row whatever the stride and dilation:
 *
 *	columns 0 1 2 3 4 5 6, stride 2  ->  0 2 4 6 | 1 3 5
 */
#include "runtime/cpu/conv_depthwise.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/pool.h"
#include "runtime/cpu/scratch.h"

struct depthwise {
	const struct window *window;
	int64_t groups, channels;
	const float *x, *w;
	float *y;
	struct epilogue epilogue;
	int64_t padded[WINDOW_AXES]; /* sizes of the padded image; the last one is columns a phase */
	int64_t line;                /* padded[2] * stride[2]: elements of one padded row */
	atomic_int err;
};

CPU_CLONES static void add_nine(int64_t n, float *out, const float *const *p, const float *w)
{
	const float *p0 = p[0], *p1 = p[1], *p2 = p[2], *p3 = p[3], *p4 = p[4], *p5 = p[5], *p6 = p[6], *p7 = p[7],
		    *p8 = p[8];
	float w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7], w8 = w[8];

	for (int64_t i = 0; i < n; i++) {
		float a = p0[i] * w0 + p1[i] * w1 + p2[i] * w2;
		float b = p3[i] * w3 + p4[i] * w4 + p5[i] * w5;
		float c = p6[i] * w6 + p7[i] * w7 + p8[i] * w8;

		out[i] += a + b + c;
	}
}

CPU_CLONES static void add_three(int64_t n, float *out, const float *const *p, const float *w)
{
	const float *p0 = p[0], *p1 = p[1], *p2 = p[2];
	float w0 = w[0], w1 = w[1], w2 = w[2];

	for (int64_t i = 0; i < n; i++)
		out[i] += p0[i] * w0 + p1[i] * w1 + p2[i] * w2;
}

CPU_CLONES static void add_one(int64_t n, float *out, const float *p, float w)
{
	for (int64_t i = 0; i < n; i++)
		out[i] += p[i] * w;
}

/* Copy @plane with its padding into @to, columns sorted by remainder. */
static void pad_plane(const struct depthwise *job, const float *plane, float *to)
{
	const struct window *w = job->window;
	int64_t stride = w->stride[2], phase_size = job->padded[2];

	memset(to, 0, (size_t)(job->padded[0] * job->padded[1] * job->line) * sizeof(*to));
	for (int64_t z = 0; z < job->padded[0]; z++)
		for (int64_t y = 0; y < job->padded[1]; y++) {
			int64_t iz = z - w->pad_lo[0], iy = y - w->pad_lo[1];
			float *line = to + (z * job->padded[1] + y) * job->line;
			const float *from = plane + (iz * w->in[1] + iy) * w->in[2];

			if (iz < 0 || iz >= w->in[0] || iy < 0 || iy >= w->in[1])
				continue;
			for (int64_t phase = 0; phase < stride; phase++) {
				/* Column j of this phase is padded column j * stride + phase. */
				int64_t offset = phase - w->pad_lo[2];
				int64_t first = offset < 0 ? (-offset + stride - 1) / stride : 0;
				int64_t room = w->in[2] - offset, last = room <= 0 ? 0 : (room + stride - 1) / stride;
				float *columns = line + phase * phase_size;

				if (last > phase_size)
					last = phase_size;
				if (stride == 1 && first < last)
					memcpy(columns + first, from + first + offset,
					       (size_t)(last - first) * sizeof(*to));
				else
					for (int64_t j = first; j < last; j++)
						columns[j] = from[j * stride + offset];
			}
		}
}

/* Rows of taps at output row (@oz, @oy), nine, three or one at a time. */
static void add_taps(const struct depthwise *job, const float *image, const float *weight, int64_t oz, int64_t oy,
		     float *out)
{
	const struct window *w = job->window;
	int64_t taps = window_taps(w), n = w->out[2], pending = 0;
	const float *rows[9];

	for (int64_t t = 0; t < taps; t++) {
		int64_t kz = t / (w->kernel[1] * w->kernel[2]), ky = t / w->kernel[2] % w->kernel[1];
		int64_t column = t % w->kernel[2] * w->dilation[2];
		int64_t z = oz * w->stride[0] + kz * w->dilation[0], y = oy * w->stride[1] + ky * w->dilation[1];

		rows[pending++] = image + (z * job->padded[1] + y) * job->line +
				  column % w->stride[2] * job->padded[2] + column / w->stride[2];
		if (pending == 9) {
			add_nine(n, out, rows, weight + t - 8);
			pending = 0;
		}
	}
	weight += taps - pending;
	for (int64_t i = 0; i < pending;) {
		if (pending - i >= 3) {
			add_three(n, out, rows + i, weight + i);
			i += 3;
		} else {
			add_one(n, out, rows[i], weight[i]);
			i++;
		}
	}
}

static void convolve_plane(void *arg, size_t index)
{
	struct depthwise *job = arg;
	const struct window *w = job->window;
	int64_t plane = (int64_t)index, group = plane % job->groups, taps = window_taps(w),
		out_count = window_out_count(w);
	float *image = scratch_get((size_t)(job->padded[0] * job->padded[1] * job->line) * sizeof(float));
	struct epilogue e = job->epilogue;

	if (!image) {
		atomic_store_explicit(&job->err, -ENOMEM, memory_order_relaxed);
		return;
	}
	pad_plane(job, job->x + plane * window_in_count(w), image);
	if (e.row_bias)
		e.row_bias += group * job->channels;
	if (e.residual)
		e.residual += plane * job->channels * out_count;
	for (int64_t channel = 0; channel < job->channels; channel++) {
		float *y = job->y + (plane * job->channels + channel) * out_count;
		const float *weight = job->w + (group * job->channels + channel) * taps;

		memset(y, 0, (size_t)out_count * sizeof(*y));
		for (int64_t oz = 0; oz < w->out[0]; oz++)
			for (int64_t oy = 0; oy < w->out[1]; oy++)
				add_taps(job, image, weight, oz, oy, y + (oz * w->out[1] + oy) * w->out[2]);
		epilogue_apply(&e, channel, 1, 0, out_count, y, out_count);
	}
}

int conv_depthwise(struct op_call *call, const struct window *window, int64_t planes, int64_t groups, int64_t channels,
		   const float *x, const float *w, const struct epilogue *e, float *y)
{
	struct depthwise job = {
		.window = window, .groups = groups, .channels = channels, .x = x, .w = w, .y = y, .epilogue = *e};
	int64_t count = sizeof(float);

	for (int i = 0; i < WINDOW_AXES; i++)
		if (__builtin_mul_overflow(window->out[i] - 1, window->stride[i], &job.padded[i]) ||
		    __builtin_add_overflow(job.padded[i], (window->kernel[i] - 1) * window->dilation[i] + 1,
					   &job.padded[i]) ||
		    __builtin_mul_overflow(count, job.padded[i], &count))
			return op_fail(call, -EOVERFLOW, "%s: the padded image is too large", call->node->op_type);
	job.padded[2] = (job.padded[2] + window->stride[2] - 1) / window->stride[2];
	if (__builtin_mul_overflow(job.padded[2], window->stride[2], &job.line) ||
	    __builtin_mul_overflow(count, 2, &count))
		return op_fail(call, -EOVERFLOW, "%s: the padded image is too large", call->node->op_type);
	cpu_pool_for(call->pool, (size_t)planes, convolve_plane, &job);
	return atomic_load(&job.err);
}
