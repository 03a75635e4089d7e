// SPDX-License-Identifier: MIT
/*
 * Depthwise convolutions: see conv_depthwise.h.
 */
#include "runtime/cpu/conv_depthwise.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "runtime/cpu/cpu_clones.h"
#include "runtime/cpu/depthwise_tile.h"
#include "runtime/cpu/parallel.h"
#include "runtime/cpu/plane_rows.h"
#include "runtime/cpu/scratch.h"

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

/*
 * Where a row is read past its end, and the next begins with as many columns of padding, those serve both: a 3x3 kernel
 * needs one column between rows, not two.
 */
static int64_t shared_pitch(const struct window *w, int64_t columns)
{
	int64_t pad = w->pad_lo[2], pitch;

	if (w->stride[2] != 1 || pad <= 0 || w->in[2] > INT64_MAX - pad)
		return columns;
	pitch = pad + w->in[2] > columns - pad ? pad + w->in[2] : columns - pad;
	if (pitch < w->out[2]) /* outputs have the same pitch */
		pitch = w->out[2];
	return pitch < columns ? pitch : columns;
}

bool depthwise_sizes(const struct window *w, int64_t *sizes, int64_t *beyond)
{
	bool overflow = false;
	int64_t columns;

	for (int a = 0; a < WINDOW_AXES; a++) {
		int64_t reach, taps;

		overflow |= __builtin_mul_overflow(w->out[a] - 1, w->stride[a], &reach);
		overflow |= __builtin_mul_overflow(w->kernel[a] - 1, w->dilation[a], &taps);
		overflow |= __builtin_add_overflow(reach, taps, &reach);
		sizes[a] = overflow ? 1 : reach / w->stride[a] + 1;
	}
	columns = sizes[2];
	sizes[2] = shared_pitch(w, columns);
	*beyond = columns - sizes[2];
	return !overflow;
}

int depthwise_init(struct depthwise *d, struct op_call *call, const struct window *w)
{
	int64_t strides = 1, beyond = 0, bytes;
	bool overflow;

	*d = (struct depthwise){.window = w, .part = 1};
	overflow = !depthwise_sizes(w, d->sizes, &beyond);
	for (int a = 0; a < WINDOW_AXES; a++) {
		overflow |= __builtin_mul_overflow(d->part, d->sizes[a], &d->part);
		overflow |= __builtin_mul_overflow(strides, w->stride[a], &strides);
	}
	overflow |= __builtin_mul_overflow(d->part, strides, &d->image);
	overflow |= __builtin_add_overflow(d->image, beyond, &d->image);
	overflow |= __builtin_mul_overflow(d->image, 2 * (int64_t)sizeof(float), &bytes);
	if (overflow)
		return op_fail(call, -EOVERFLOW, "%s: the padded image is too large", call->node->op_type);
	d->span = ((w->out[0] - 1) * d->sizes[1] + w->out[1] - 1) * d->sizes[2] + w->out[2];
	for (int64_t t = 0; t < DEPTHWISE_KEPT_TAPS && t < window_taps(w); t++)
		d->offsets[t] = tap_offset(d, t);
	return 0;
}

/* The image, and behind it the outputs in the image's pitch. A run of a whole vector may read as far beyond the image. */
size_t depthwise_memory(const struct depthwise *d)
{
	return (size_t)(d->image + d->span + DEPTHWISE_TILE_MAX_LANES);
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

/* With stride 1 there is one part, and the image lies in it as it is: what is not cropped is one rectangle. */
static void load_rectangle(const struct depthwise *d, const float *plane, float *memory)
{
	const struct window *w = d->window;
	int64_t first[WINDOW_AXES], last[WINDOW_AXES];

	for (int a = 0; a < WINDOW_AXES; a++) {
		first[a] = w->pad_lo[a] < 0 ? -w->pad_lo[a] : 0;
		last[a] = d->sizes[a] - w->pad_lo[a] < w->in[a] ? d->sizes[a] - w->pad_lo[a] : w->in[a];
		if (first[a] >= last[a])
			return;
	}
	for (int64_t z = first[0]; z < last[0]; z++) {
		int64_t line = (z + w->pad_lo[0]) * d->sizes[1] + first[1] + w->pad_lo[1];

		plane_rows_copy(last[1] - first[1], last[2] - first[2],
				plane + (z * w->in[1] + first[1]) * w->in[2] + first[2], w->in[2],
				memory + line * d->sizes[2] + first[2] + w->pad_lo[2], d->sizes[2]);
	}
}

static int64_t within(int64_t value, int64_t least, int64_t most)
{
	return value < least ? least : value > most ? most : value;
}

/* Two-dimensional images with stride 2 both ways, nothing cropped before the first pixel: a row is parted in one pass. */
static void load_parted(const struct depthwise *d, const float *plane, float *memory)
{
	const struct window *w = d->window;
	int64_t pad = w->pad_lo[2], pitch = d->sizes[2];
	/* Input column c lies in part (c + pad) % 2 at (c + pad) / 2: where columns 0 and 1 do, those behind them follow. */
	int64_t even_at = pad % 2 * d->part + pad / 2, odd_at = (pad + 1) % 2 * d->part + (pad + 1) / 2;
	int64_t evens = within((w->in[2] + 1) / 2, 0, pitch - pad / 2);
	int64_t odds = within(w->in[2] / 2, 0, pitch - (pad + 1) / 2);

	for (int64_t first = 0; first < 2; first++) {
		int64_t y = first + w->pad_lo[1], line = y / 2;
		int64_t rows = within((w->in[1] - first + 1) / 2, 0, d->sizes[1] - line);
		float *part = memory + y % 2 * 2 * d->part + line * pitch;

		plane_rows_part(rows, evens, odds, plane + first * w->in[2], 2 * w->in[2], part + even_at,
				part + odd_at, pitch);
	}
}

void depthwise_load(const struct depthwise *d, enum dtype dtype, const void *plane, int32_t zero, float *memory)
{
	const struct window *w = d->window;
	size_t row_bytes = (size_t)w->in[2] * dtype_size(dtype);

	if (dtype == DTYPE_F32 && w->stride[0] * w->stride[1] * w->stride[2] == 1) {
		load_rectangle(d, plane, memory);
		return;
	}
	if (dtype == DTYPE_F32 && w->in[0] == 1 && w->stride[0] == 1 && !w->pad_lo[0] && w->stride[1] == 2 &&
	    w->stride[2] == 2 && w->pad_lo[1] >= 0 && w->pad_lo[2] >= 0) {
		load_parted(d, plane, memory);
		return;
	}
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

enum tap_kind { TAPS_CONVOLVE, TAPS_MAX, TAPS_SUM };

/* Taps [first, first + count), and what they do to outputs. */
struct tap_group {
	enum tap_kind kind;
	int64_t count;
	const int64_t *offsets;
	const float *weight;
	float bias, floor;
	bool accumulate;
};

static void run_taps(const struct tap_group *g, int64_t n, const float *image, float *y)
{
	const struct depthwise_tile *tile = depthwise_tile();

	switch (g->kind) {
	case TAPS_CONVOLVE:
		tile->convolve(g->count, g->offsets, g->weight, n, image, g->bias, g->floor, g->accumulate, y);
		break;
	case TAPS_MAX:
		tile->max(g->count, g->offsets, n, image, g->accumulate, y);
		break;
	case TAPS_SUM:
		tile->sum(g->count, g->offsets, n, image, g->accumulate, y);
		break;
	}
}

/*
 * How outputs are computed: a plane without gaps in one run; wide rows, of ROW_VECTORS and more, one by one, where they
 * belong; others as one run over the plane with its gaps, beside the image, which is compacted at the end.
 */
#define ROW_VECTORS 16

enum output_form { FORM_DENSE, FORM_ROWS, FORM_GAPS };

static enum output_form output_form(const struct depthwise *d)
{
	const struct window *w = d->window;
	int64_t lanes = depthwise_tile()->lanes;

	if (w->out[2] == d->sizes[2] && w->out[1] == d->sizes[1] && d->span >= lanes)
		return FORM_DENSE;
	return w->out[2] >= ROW_VECTORS * lanes ? FORM_ROWS : FORM_GAPS;
}

/* Outputs of the run that goes over the plane's gaps: at least a vector. */
static int64_t padded_span(const struct depthwise *d)
{
	return d->span < DEPTHWISE_TILE_MAX_LANES ? DEPTHWISE_TILE_MAX_LANES : d->span;
}

static void run_rows(const struct depthwise *d, const struct tap_group *g, const float *image, float *out)
{
	const struct window *w = d->window;

	for (int64_t z = 0; z < w->out[0]; z++)
		for (int64_t y = 0; y < w->out[1]; y++, out += w->out[2])
			run_taps(g, w->out[2], image + (z * d->sizes[1] + y) * d->sizes[2], out);
}

/* From the layout's pitch to rows without gaps. */
static void compact(const struct depthwise *d, const float *sums, float *out)
{
	const struct window *w = d->window;

	for (int64_t z = 0; z < w->out[0]; z++, out += w->out[1] * w->out[2])
		plane_rows_copy(w->out[1], w->out[2], sums + z * d->sizes[1] * d->sizes[2], d->sizes[2], out,
				w->out[2]);
}

/* All taps, in groups whose offsets are at hand; bias and floor come with the last. */
static void run_all(const struct depthwise *d, enum tap_kind kind, float *memory, const float *weight, float bias,
		    float floor, float *out)
{
	int64_t taps = window_taps(d->window), later[DEPTHWISE_KEPT_TAPS];
	enum output_form form = output_form(d);
	float *sums = memory + d->image;

	for (int64_t first = 0; first < taps; first += DEPTHWISE_KEPT_TAPS) {
		bool last = taps - first <= DEPTHWISE_KEPT_TAPS;
		struct tap_group group = {
			.kind = kind,
			.count = last ? taps - first : DEPTHWISE_KEPT_TAPS,
			.offsets = first ? later : d->offsets,
			.weight = kind == TAPS_CONVOLVE ? weight + first : weight,
			.bias = last ? bias : 0,
			.floor = last ? floor : -INFINITY,
			.accumulate = first > 0,
		};

		for (int64_t t = 0; first && t < group.count; t++)
			later[t] = tap_offset(d, first + t);
		if (form == FORM_ROWS)
			run_rows(d, &group, memory, out);
		else if (form == FORM_DENSE)
			run_taps(&group, d->span, memory, out);
		else
			run_taps(&group, padded_span(d), memory, sums);
	}
	if (form == FORM_GAPS)
		compact(d, sums, out);
}

void depthwise_convolve(const struct depthwise *d, float *memory, const float *weight, float bias, float floor,
			float *out)
{
	run_all(d, TAPS_CONVOLVE, memory, weight, bias, floor, out);
}

void depthwise_max(const struct depthwise *d, float *memory, float *out)
{
	run_all(d, TAPS_MAX, memory, NULL, 0, 0, out);
}

void depthwise_sum(const struct depthwise *d, float *memory, float *out)
{
	run_all(d, TAPS_SUM, memory, NULL, 0, 0, out);
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
	const float *bias = job->epilogue.row_bias;
	bool simple = !job->epilogue.residual && job->epilogue.activation <= ACTIVATION_RELU;
	float floor = simple && job->epilogue.activation == ACTIVATION_RELU ? 0 : -INFINITY;
	float *memory = scratch_get(depthwise_memory(&job->layout) * sizeof(float));
	struct epilogue e = job->epilogue;

	e.row_bias = NULL; /* added with the taps */
	if (!memory) {
		atomic_store_explicit(&job->err, -ENOMEM, memory_order_relaxed);
		return;
	}
	depthwise_clear(&job->layout, 0, memory);
	for (int64_t plane = begin; plane < end; plane++) {
		int64_t channel = plane % job->groups * job->channels;

		depthwise_load(&job->layout, DTYPE_F32, job->x + plane * in_count, 0, memory);
		if (e.residual)
			e.residual = job->epilogue.residual + plane * job->channels * out_count;
		for (int64_t c = 0; c < job->channels; c++) {
			float *y = job->y + (plane * job->channels + c) * out_count;

			depthwise_convolve(&job->layout, memory, job->w + (channel + c) * taps,
					   bias ? bias[channel + c] : 0, floor, y);
			if (!simple)
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
