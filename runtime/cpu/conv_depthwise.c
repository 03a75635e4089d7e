// SPDX-License-Identifier: MIT
/*
 * Depthwise convolutions: see conv_depthwise.h.
 */
#include "runtime/cpu/conv_depthwise.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/scratch.h"

/* Outputs that stay in the first-level cache while all taps pass over them. */
#define BLOCK 2048

/* ---- the layout ---- */

static int64_t tap_offset(const struct depthwise *d, int64_t t)
{
	const struct window *w = d->window;
	int64_t k[3] = {t / (w->kernel[1] * w->kernel[2]), t / w->kernel[2] % w->kernel[1], t % w->kernel[2]};
	int64_t part = 0, offset = 0;

	for (int a = 0; a < WINDOW_AXES; a++) {
		int64_t position = k[a] * w->dilation[a];

		part = part * w->stride[a] + position % w->stride[a];
		offset = offset * d->sizes[a] + position / w->stride[a];
	}
	return part * d->part + offset;
}

int64_t depthwise_tap(const struct depthwise *d, int64_t t)
{
	return t < DEPTHWISE_KEPT_TAPS ? d->offsets[t] : tap_offset(d, t);
}

int depthwise_init(struct depthwise *d, struct op_call *call, const struct window *w)
{
	bool overflow = false;
	int64_t strides = 1, bytes;

	*d = (struct depthwise){.window = w, .part = 1};
	for (int a = 0; a < WINDOW_AXES; a++) {
		int64_t reach;

		overflow |= __builtin_mul_overflow(w->out[a] - 1, w->stride[a], &reach);
		overflow |= __builtin_add_overflow(reach, (w->kernel[a] - 1) * w->dilation[a], &reach);
		d->sizes[a] = reach / w->stride[a] + 1;
		overflow |= __builtin_mul_overflow(d->part, d->sizes[a], &d->part);
		overflow |= __builtin_mul_overflow(strides, w->stride[a], &strides);
	}
	overflow |= __builtin_mul_overflow(d->part, strides, &d->image);
	overflow |= __builtin_mul_overflow(d->image, 2 * (int64_t)sizeof(float), &bytes);
	if (overflow)
		return op_fail(call, -EOVERFLOW, "%s: the padded image is too large", call->node->op_type);
	d->span = ((w->out[0] - 1) * d->sizes[1] + w->out[1] - 1) * d->sizes[2] + w->out[2];
	for (int64_t t = 0; t < DEPTHWISE_KEPT_TAPS && t < window_taps(w); t++)
		d->offsets[t] = tap_offset(d, t);
	return 0;
}

/* The image, and behind it the outputs in the image's pitch. */
size_t depthwise_memory(const struct depthwise *d)
{
	return (size_t)(d->image + d->span);
}

void depthwise_clear(const struct depthwise *d, float value, float *memory)
{
	for (int64_t i = 0; i < d->image; i++)
		memory[i] = value;
}

CPU_CLONES static void copy_f32(int64_t n, const float *from, int64_t stride, float *to)
{
	if (stride == 1)
		for (int64_t i = 0; i < n; i++)
			to[i] = from[i];
	else if (stride == 2)
		for (int64_t i = 0; i < n; i++)
			to[i] = from[2 * i];
	else
		for (int64_t i = 0; i < n; i++)
			to[i] = from[i * stride];
}

CPU_CLONES static void copy_u8(int64_t n, const uint8_t *from, int64_t stride, int32_t zero, float *to)
{
	if (stride == 1)
		for (int64_t i = 0; i < n; i++)
			to[i] = (float)(from[i] - zero);
	else if (stride == 2)
		for (int64_t i = 0; i < n; i++)
			to[i] = (float)(from[2 * i] - zero);
	else
		for (int64_t i = 0; i < n; i++)
			to[i] = (float)(from[i * stride] - zero);
}

CPU_CLONES static void copy_s8(int64_t n, const int8_t *from, int64_t stride, int32_t zero, float *to)
{
	if (stride == 1)
		for (int64_t i = 0; i < n; i++)
			to[i] = (float)(from[i] - zero);
	else if (stride == 2)
		for (int64_t i = 0; i < n; i++)
			to[i] = (float)(from[2 * i] - zero);
	else
		for (int64_t i = 0; i < n; i++)
			to[i] = (float)(from[i * stride] - zero);
}

static void copy_row(enum dtype dtype, int64_t n, const void *row, int64_t at, int64_t stride, int32_t zero, float *to)
{
	if (dtype == DTYPE_F32)
		copy_f32(n, (const float *)row + at, stride, to);
	else if (dtype == DTYPE_S8)
		copy_s8(n, (const int8_t *)row + at, stride, zero, to);
	else
		copy_u8(n, (const uint8_t *)row + at, stride, zero, to);
}

/* One row of the image to @to: its columns by remainder, each remainder @d->part elements further. */
static void load_row(const struct depthwise *d, enum dtype dtype, const void *row, int32_t zero, float *to)
{
	const struct window *w = d->window;
	int64_t stride = w->stride[2];

	for (int64_t phase = 0; phase < stride; phase++, to += d->part) {
		/* Column j of this part is input column j * stride + phase - pad. */
		int64_t offset = phase - w->pad_lo[2], first = offset < 0 ? (-offset + stride - 1) / stride : 0;
		int64_t room = w->in[2] - offset, last = room <= 0 ? 0 : (room + stride - 1) / stride;

		if (last > d->sizes[2])
			last = d->sizes[2];
		if (first < last)
			copy_row(dtype, last - first, row, first * stride + offset, stride, zero, to + first);
	}
}

void depthwise_load(const struct depthwise *d, enum dtype dtype, const void *plane, int32_t zero, float *memory)
{
	const struct window *w = d->window;
	size_t row_bytes = (size_t)w->in[2] * dtype_size(dtype);

	for (int64_t iz = 0; iz < w->in[0]; iz++)
		for (int64_t iy = 0; iy < w->in[1]; iy++) {
			int64_t z = iz + w->pad_lo[0], y = iy + w->pad_lo[1];
			int64_t slice = z / w->stride[0], line = y / w->stride[1];
			int64_t part = (z % w->stride[0] * w->stride[1] + y % w->stride[1]) * w->stride[2];

			/* Cropped by a negative pad, or behind the last window. */
			if (z < 0 || y < 0 || slice >= d->sizes[0] || line >= d->sizes[1])
				continue;
			load_row(d, dtype, (const char *)plane + (size_t)(iz * w->in[1] + iy) * row_bytes, zero,
				 memory + part * d->part + (slice * d->sizes[1] + line) * d->sizes[2]);
		}
}

/* ---- the taps ---- */

CPU_CLONES static void add_nine(int64_t n, float *out, const float *const *p, int64_t at, const float *w)
{
	const float *p0 = p[0] + at, *p1 = p[1] + at, *p2 = p[2] + at, *p3 = p[3] + at, *p4 = p[4] + at;
	const float *p5 = p[5] + at, *p6 = p[6] + at, *p7 = p[7] + at, *p8 = p[8] + at;
	float w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7], w8 = w[8];

	for (int64_t i = 0; i < n; i++) {
		float a = p0[i] * w0 + p1[i] * w1 + p2[i] * w2;
		float b = p3[i] * w3 + p4[i] * w4 + p5[i] * w5;
		float c = p6[i] * w6 + p7[i] * w7 + p8[i] * w8;

		out[i] += a + b + c;
	}
}

CPU_CLONES static void add_three(int64_t n, float *out, const float *const *p, int64_t at, const float *w)
{
	const float *p0 = p[0] + at, *p1 = p[1] + at, *p2 = p[2] + at;
	float w0 = w[0], w1 = w[1], w2 = w[2];

	for (int64_t i = 0; i < n; i++)
		out[i] += p0[i] * w0 + p1[i] * w1 + p2[i] * w2;
}

CPU_CLONES static void add_one(int64_t n, float *out, const float *p, float w)
{
	for (int64_t i = 0; i < n; i++)
		out[i] += p[i] * w;
}

/* @count taps from @first on, at most nine, over all outputs. */
static void add_taps(const struct depthwise *d, const float *image, int64_t first, int64_t count, const float *weight,
		     float *out)
{
	const float *p[9];

	for (int64_t i = 0; i < count; i++)
		p[i] = image + depthwise_tap(d, first + i);
	for (int64_t at = 0; at < d->span; at += BLOCK) {
		int64_t n = d->span - at < BLOCK ? d->span - at : BLOCK, i = 0;

		if (count == 9) {
			add_nine(n, out + at, p, at, weight);
			continue;
		}
		for (; i + 3 <= count; i += 3)
			add_three(n, out + at, p + i, at, weight + i);
		for (; i < count; i++)
			add_one(n, out + at, p[i] + at, weight[i]);
	}
}

/* From the layout's pitch to rows without gaps. */
static void compact(const struct depthwise *d, const float *sums, float *out)
{
	const struct window *w = d->window;

	for (int64_t z = 0; z < w->out[0]; z++)
		for (int64_t y = 0; y < w->out[1]; y++, out += w->out[2])
			memcpy(out, sums + (z * d->sizes[1] + y) * d->sizes[2], (size_t)w->out[2] * sizeof(*out));
}

void depthwise_convolve(const struct depthwise *d, float *memory, const float *weight, float *out)
{
	float *sums = memory + d->image;
	int64_t taps = window_taps(d->window);

	memset(sums, 0, (size_t)d->span * sizeof(*sums));
	for (int64_t t = 0; t < taps; t += 9)
		add_taps(d, memory, t, taps - t < 9 ? taps - t : 9, weight + t, sums);
	compact(d, sums, out);
}

/* ---- the pools ---- */

CPU_CLONES static void max_three(int64_t n, float *out, const float *a, const float *b, const float *c)
{
	for (int64_t i = 0; i < n; i++) {
		float m = a[i] > b[i] ? a[i] : b[i], l = c[i] > out[i] ? c[i] : out[i];

		out[i] = m > l ? m : l;
	}
}

CPU_CLONES static void max_one(int64_t n, float *out, const float *a)
{
	for (int64_t i = 0; i < n; i++)
		out[i] = a[i] > out[i] ? a[i] : out[i];
}

CPU_CLONES static void sum_three(int64_t n, float *out, const float *a, const float *b, const float *c)
{
	for (int64_t i = 0; i < n; i++)
		out[i] += a[i] + b[i] + c[i];
}

CPU_CLONES static void sum_one(int64_t n, float *out, const float *a)
{
	for (int64_t i = 0; i < n; i++)
		out[i] += a[i];
}

/* Taps three at a time over blocks of outputs; @out begins with the first tap's values, or zero. */
static void pool_taps(const struct depthwise *d, const float *image, int64_t first, float *out,
		      void (*three)(int64_t n, float *out, const float *a, const float *b, const float *c),
		      void (*one)(int64_t n, float *out, const float *a))
{
	int64_t taps = window_taps(d->window);

	for (int64_t at = 0; at < d->span; at += BLOCK) {
		int64_t n = d->span - at < BLOCK ? d->span - at : BLOCK, t = first;

		for (; t + 3 <= taps; t += 3)
			three(n, out + at, image + at + depthwise_tap(d, t), image + at + depthwise_tap(d, t + 1),
			      image + at + depthwise_tap(d, t + 2));
		for (; t < taps; t++)
			one(n, out + at, image + at + depthwise_tap(d, t));
	}
}

void depthwise_max(const struct depthwise *d, float *memory, float *out)
{
	float *sums = memory + d->image;

	memcpy(sums, memory + depthwise_tap(d, 0), (size_t)d->span * sizeof(*sums));
	pool_taps(d, memory, 1, sums, max_three, max_one);
	compact(d, sums, out);
}

void depthwise_sum(const struct depthwise *d, float *memory, float *out)
{
	float *sums = memory + d->image;

	memset(sums, 0, (size_t)d->span * sizeof(*sums));
	pool_taps(d, memory, 0, sums, sum_three, sum_one);
	compact(d, sums, out);
}

/* ---- the float operation ---- */

struct job {
	struct depthwise layout;
	int64_t groups, channels;
	const float *x, *w;
	float *y;
	struct epilogue epilogue;
	atomic_int err;
};

static void convolve_planes(void *arg, int64_t begin, int64_t end)
{
	struct job *job = arg;
	const struct window *w = job->layout.window;
	int64_t taps = window_taps(w), in_count = window_in_count(w), out_count = window_out_count(w);
	float *memory = scratch_get(depthwise_memory(&job->layout) * sizeof(float));

	if (!memory) {
		atomic_store_explicit(&job->err, -ENOMEM, memory_order_relaxed);
		return;
	}
	depthwise_clear(&job->layout, 0, memory);
	for (int64_t plane = begin; plane < end; plane++) {
		struct epilogue e = job->epilogue;
		int64_t channel = plane % job->groups * job->channels;

		depthwise_load(&job->layout, DTYPE_F32, job->x + plane * in_count, 0, memory);
		if (e.row_bias)
			e.row_bias += channel;
		if (e.residual)
			e.residual += plane * job->channels * out_count;
		for (int64_t c = 0; c < job->channels; c++) {
			float *y = job->y + (plane * job->channels + c) * out_count;

			depthwise_convolve(&job->layout, memory, job->w + (channel + c) * taps, y);
			epilogue_apply(&e, c, 1, 0, out_count, y, out_count);
		}
	}
}

int conv_depthwise(struct op_call *call, const struct window *window, int64_t planes, int64_t groups, int64_t channels,
		   const float *x, const float *w, const struct epilogue *e, float *y)
{
	struct job job = {.groups = groups, .channels = channels, .x = x, .w = w, .y = y, .epilogue = *e};
	int err = depthwise_init(&job.layout, call, window);

	if (err)
		return err;
	parallel_range(call->pool, planes, PARALLEL_GRAIN / 2 / (job.layout.span + 1), convolve_planes, &job);
	return atomic_load(&job.err);
}
