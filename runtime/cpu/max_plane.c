// SPDX-License-Identifier: MIT
/* See max_plane.h. */
#include "runtime/cpu/max_plane.h"

#include <math.h>
#include <string.h>

#include "runtime/cpu/cpu_clones.h"

static inline float larger(float a, float b)
{
	return b > a ? b : a;
}

/* ---- down the columns ---- */

CPU_CLONES static void max_of_two(int64_t n, const float *a, const float *b, float *restrict to)
{
	for (int64_t i = 0; i < n; i++)
		to[i] = larger(a[i], b[i]);
}

CPU_CLONES static void max_of_three(int64_t n, const float *a, const float *b, const float *c, float *restrict to)
{
	for (int64_t i = 0; i < n; i++)
		to[i] = larger(larger(a[i], b[i]), c[i]);
}

CPU_CLONES static void max_into(int64_t n, const float *from, float *restrict to)
{
	for (int64_t i = 0; i < n; i++)
		to[i] = larger(to[i], from[i]);
}

/* The largest of @count rows, @step floats apart from @x on: one of them, or @line. */
static const float *max_rows(int64_t n, const float *x, int64_t step, int64_t count, float *line)
{
	if (count == 1)
		return x;
	if (count == 2)
		max_of_two(n, x, x + step, line);
	else
		max_of_three(n, x, x + step, x + 2 * step, line);
	for (int64_t k = 3; k < count; k++)
		max_into(n, x + k * step, line);
	return line;
}

/* The columns of @rows rows of each of @slices slices, the first at @x, as one line; NULL: there are none. */
static const float *max_columns(const struct window *w, const float *x, int64_t slices, int64_t rows, float *line)
{
	int64_t n = w->in[2], row_step = w->dilation[1] * n, slice_step = w->dilation[0] * w->in[1] * n;
	const float *first;

	if (slices <= 0 || rows <= 0)
		return NULL;
	first = max_rows(n, x, row_step, rows, line);
	if (slices > 1 && first != line)
		memcpy(line, first, (size_t)n * sizeof(*line));
	for (int64_t z = 1; z < slices; z++)
		for (int64_t k = 0; k < rows; k++)
			max_into(n, x + z * slice_step + k * row_step, line);
	return slices > 1 ? line : first;
}

/* ---- along the rows ---- */

CPU_CLONES static void max_pairs_by_two(int64_t n, const float *line, float *restrict y)
{
	for (int64_t i = 0; i < n; i++)
		y[i] = larger(line[2 * i], line[2 * i + 1]);
}

CPU_CLONES static void max_triples_by_two(int64_t n, const float *line, float *restrict y)
{
	for (int64_t i = 0; i < n; i++)
		y[i] = larger(larger(line[2 * i], line[2 * i + 1]), line[2 * i + 2]);
}

CPU_CLONES static void max_strided_into(int64_t n, const float *from, int64_t stride, float *restrict y)
{
	for (int64_t i = 0; i < n; i++)
		y[i] = larger(y[i], from[i * stride]);
}

/* @n outputs of which each sees all its taps, from those of the first on. */
static void max_inside(const struct window *w, int64_t n, const float *line, float *y)
{
	int64_t taps = w->kernel[2], stride = w->stride[2], dilation = w->dilation[2];

	if (stride == 2 && dilation == 1 && taps == 2) {
		max_pairs_by_two(n, line, y);
	} else if (stride == 2 && dilation == 1 && taps == 3) {
		max_triples_by_two(n, line, y);
	} else {
		for (int64_t i = 0; i < n; i++)
			y[i] = line[i * stride];
		for (int64_t k = 1; k < taps; k++)
			max_strided_into(n, line + k * dilation, stride, y);
	}
}

/* Outputs [@first, @last), of which taps may lie in the padding. */
static void max_at_border(const struct window *w, int64_t first, int64_t last, const float *line, float *y)
{
	for (int64_t o = first; o < last; o++) {
		int64_t k0, k1, at = o * w->stride[2] - w->pad_lo[2];

		window_tap_range(w, 2, o, &k0, &k1);
		y[o] = k0 < k1 ? line[at + k0 * w->dilation[2]] : -INFINITY;
		for (int64_t k = k0 + 1; k < k1; k++)
			y[o] = larger(y[o], line[at + k * w->dilation[2]]);
	}
}

/* Outputs [@first, @last) see all their taps. */
static void max_along(const struct window *w, int64_t first, int64_t last, const float *line, float *y)
{
	max_at_border(w, 0, first, line, y);
	if (first < last)
		max_inside(w, last - first, line + first * w->stride[2] - w->pad_lo[2], y + first);
	max_at_border(w, last, w->out[2], line, y);
}

/* Outputs [*@first, *@last) of rows see all their taps; @first is out[2] where none does. */
static void find_inside(const struct window *w, int64_t *first, int64_t *last)
{
	int64_t ignored;

	window_output_range(w, 2, 0, first, &ignored);
	window_output_range(w, 2, w->kernel[2] - 1, &ignored, last);
	if (*first >= *last)
		*first = *last = w->out[2];
}

void max_plane(const struct window *w, const float *x, float *line, float *y)
{
	int64_t first, last, z0, z1, y0, y1;

	find_inside(w, &first, &last);
	for (int64_t oz = 0; oz < w->out[0]; oz++) {
		window_tap_range(w, 0, oz, &z0, &z1);
		for (int64_t oy = 0; oy < w->out[1]; oy++, y += w->out[2]) {
			int64_t iz = oz * w->stride[0] + z0 * w->dilation[0] - w->pad_lo[0], iy;
			const float *row;

			window_tap_range(w, 1, oy, &y0, &y1);
			iy = oy * w->stride[1] + y0 * w->dilation[1] - w->pad_lo[1];
			row = max_columns(w, x + (iz * w->in[1] + iy) * w->in[2], z1 - z0, y1 - y0, line);
			if (row)
				max_along(w, first, last, row, y);
			for (int64_t i = 0; i < w->out[2] && !row; i++)
				y[i] = -INFINITY;
		}
	}
}
